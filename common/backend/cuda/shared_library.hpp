// # A library that need not be there
//
// cuBLAS and cuDNN are looked for when somebody first asks for them, by name, and so are their functions. From their headers
// come the types only: a program that never asks needs neither. Where one is missing the error says what does without it.
#pragma once

#include <dlfcn.h>

#include <initializer_list>
#include <string>

#include "tensor/error.hpp"

namespace cr::backend::cuda {

class SharedLibrary {
 public:
  // The first of these names that the system finds: "libcudnn.so.9". Throws DeviceError if it finds none.
  explicit SharedLibrary(std::initializer_list<const char*> names) : name_(*names.begin()) {
    for (const char* name : names) {
      handle_ = dlopen(name, RTLD_NOW | RTLD_LOCAL);
      if (handle_) return;
    }
    throw DeviceError(name_ + " is not installed; --kernels own does without");
  }

  // A function, of the type that the header declares: `library.find<decltype(&cudnnCreate)>("cudnnCreate")`.
  template <class F> F find(const char* function) const {
    if (void* found = dlsym(handle_, function)) return reinterpret_cast<F>(found);
    throw DeviceError(name_ + " has no " + function + "; --kernels own does without");
  }

 private:
  std::string name_;
  void* handle_ = nullptr;
};

}  // namespace cr::backend::cuda
