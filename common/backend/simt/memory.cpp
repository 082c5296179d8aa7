#include "backend/simt/memory.hpp"

namespace cr::backend::simt {

void announce(const void*, size_t) {}
void forget(const void*) {}

}  // namespace cr::backend::simt
