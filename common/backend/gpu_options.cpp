#include "backend/gpu_options.hpp"

#include <cstdlib>
#include <string>

namespace cr::backend {

GpuOptions& gpu_options() {
  static GpuOptions options = [] {
    const char* sync = std::getenv("CHAINRULE_SYNC");
    return GpuOptions{.sync = sync && *sync && std::string(sync) != "0"};
  }();
  return options;
}

}  // namespace cr::backend
