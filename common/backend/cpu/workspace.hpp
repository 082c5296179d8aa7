#pragma once

#include <cstdint>

#include "tensor/allocator.hpp"

namespace cr::backend::cpu {

// Memory for what a kernel lays out for itself. The caching allocator hands the same block out again in the next step of a
// training loop. Throws `OutOfMemory`.
template <class T> class Workspace {
 public:
  explicit Workspace(int64_t count)
      : bytes_(count * static_cast<int64_t>(sizeof(T))), data_(bytes_ ? allocator::allocate(bytes_) : nullptr) {}
  ~Workspace() {
    if (data_) allocator::free(data_, bytes_);
  }
  Workspace(const Workspace&) = delete;
  Workspace& operator=(const Workspace&) = delete;
  T* data() const { return static_cast<T*>(data_); }
  T& operator[](int64_t i) const { return data()[i]; }

 private:
  int64_t bytes_;
  void* data_;
};

}  // namespace cr::backend::cpu
