#include "tensor/storage.hpp"

#include <atomic>
#include <new>

#include "tensor/allocator.hpp"
#include "tensor/device_memory.hpp"

namespace cr {

// The header and the bytes share one allocation: 64 bytes of header keep the data aligned.
static constexpr int64_t kHeader = 64;
static_assert(sizeof(Storage) <= kHeader);

// ## Whose memory
static constinit Storage::Memory memories[3];  // in the order of Device
void Storage::set_memory(Device device, Memory memory) { memories[static_cast<int>(device)] = memory; }

static std::atomic<DeviceMemory*> other_memory{nullptr};
void set_device_memory(DeviceMemory* memory) { other_memory = memory; }
DeviceMemory& device_memory() {
  if (DeviceMemory* other = other_memory) return *other;
  return cuda_memory();
}

#if !CHAINRULE_CUDA
DeviceMemory& cuda_memory() {
  throw DeviceError("this build has no CUDA backend: use --device cpu, or build with --preset cuda");
}
#endif

// ## Blocks
Ref<Storage> Storage::allocate(int64_t bytes, Device device) {
  const Memory& memory = memories[static_cast<int>(device)];
  if (memory.allocate || !is_host(device)) {
    Ref<Storage> storage = wrap(nullptr, bytes, device, nullptr, nullptr);
    if (memory.allocate) storage->data_ = memory.allocate(bytes);
    else if (bytes > 0) storage->data_ = device_memory().allocate(bytes);
    storage->lent_ = storage->data_ != nullptr;
    return storage;
  }
  if (bytes > INT64_MAX - kHeader) throw OutOfMemory("out of memory: " + std::to_string(bytes) + " bytes asked for");
  char* block = static_cast<char*>(allocator::allocate(kHeader + bytes));
  return Ref<Storage>::adopt(new (block) Storage(block + kHeader, bytes, device));
}

Ref<Storage> Storage::wrap(void* data, int64_t bytes, Device device, void (*free)(void*), void* context) {
  auto* storage = new (allocator::allocate(kHeader)) Storage(data, bytes, device);
  storage->free_ = free;
  storage->context_ = context;
  return Ref<Storage>::adopt(storage);
}

void Storage::destroy(Storage* storage) {
  bool ours = storage->data_ == reinterpret_cast<char*>(storage) + kHeader;
  int64_t size = ours ? kHeader + storage->bytes_ : kHeader;
  if (storage->free_) storage->free_(storage->context_);
  if (storage->lent_) {
    if (const Memory& memory = memories[static_cast<int>(storage->device_)]; memory.free)
      memory.free(storage->data_, storage->bytes_);
    else device_memory().free(storage->data_, storage->bytes_);
  }
  storage->~Storage();
  allocator::free(storage, size);
}

}  // namespace cr
