// # Device memory that the watcher knows
//
// A GPU has memory of its own; the emulator's is the host's, and so a kernel could read anything. The watcher allows it
// only what has been announced: the storage of `Device::simt` tensors is, and a test can announce a buffer of its own.
//
// Two things that a GPU's kernel may do are no part of this: `malloc`, whose memory nobody announces, and `assert`, which
// here ends the program.
#pragma once

#include <cstddef>

namespace cr::backend::simt {

// From now on kernels may access these bytes; from `forget` on an access is reported as a use after free. What was announced
// several times must be forgotten as often.
void announce(const void* data, size_t bytes);
void forget(const void* data);

// Announces a buffer for as long as it lives: `simt::Memory memory(x.data(), x.size() * sizeof(float));`
class Memory {
 public:
  Memory(const void* data, size_t bytes) : data_(data) { announce(data, bytes); }
  template <class Container> explicit Memory(Container& c) : Memory(c.data(), c.size() * sizeof(*c.data())) {}
  ~Memory() { forget(data_); }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;

 private:
  const void* data_;
};

}  // namespace cr::backend::simt
