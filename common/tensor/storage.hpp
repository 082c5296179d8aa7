// # Storage
//
// A **storage** is a block of bytes that one or more tensors look at. It counts its writes: autograd compares the count
// when a saved value is read back and so notices that the value has been overwritten.
#pragma once

#include <atomic>
#include <cstdint>

#include "tensor/dtype.hpp"
#include "tensor/ref.hpp"

namespace cr {

class Storage : public Counted<Storage> {
 public:
  // A block of at least `bytes` bytes on `device`, aligned to 64 bytes, contents unspecified. Throws OutOfMemory, and
  // DeviceError where there is no such device.
  static Ref<Storage> allocate(int64_t bytes, Device device);

  // A block that somebody else owns: a mapped file, another library's matrix. `free(context)` is called at the end, if it is given.
  static Ref<Storage> wrap(void* data, int64_t bytes, Device device, void (*free)(void*), void* context);

  // A device that wants to know of its blocks says here how to get and return them, before any tensor is made there.
  // They are the host's memory all the same; for memory elsewhere there is `device_memory.hpp`. `allocate` throws
  // OutOfMemory.
  struct Memory {
    void* (*allocate)(int64_t bytes) = nullptr;
    void (*free)(void* data, int64_t bytes) = nullptr;
  };
  static void set_memory(Device device, Memory memory);

  static void destroy(Storage* storage);

  void* data() const { return data_; }
  int64_t bytes() const { return bytes_; }
  Device device() const { return device_; }

  // How often the block has been written to since it was made, and by which operation last.
  uint32_t version() const { return version_.load(std::memory_order_relaxed); }
  const char* last_writer() const { return writer_.load(std::memory_order_relaxed); }
  void bump(const char* writer) {
    writer_.store(writer, std::memory_order_relaxed);
    version_.fetch_add(1, std::memory_order_relaxed);
  }

 private:
  Storage(void* data, int64_t bytes, Device device) : data_(data), bytes_(bytes), device_(device) {}

  void* data_;
  int64_t bytes_;
  void (*free_)(void*) = nullptr;
  void* context_ = nullptr;
  std::atomic<const char*> writer_{nullptr};
  std::atomic<uint32_t> version_{0};
  Device device_;
  bool lent_ = false;  // by the device, which wants the block back
};

}  // namespace cr
