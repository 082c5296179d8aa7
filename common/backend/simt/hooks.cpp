// # The hooks
//
// What the compiler calls in a file compiled with `-fsanitize=thread`, by the names that it knows. Each tells the watcher
// of the running kernel, if there is one: kernel files hold ordinary functions too, and those must not pay more than
// one look at a variable.
//
// The number in a name is the bytes of the access. The *unaligned* ones come where the type itself does not ask for
// alignment, so there every address is good. A *range* is a copy of a whole struct; a GPU would make it from pieces of
// 4 bytes, or 8 where they fit.
#if CHAINRULE_SIMT_CHECKS
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "backend/simt/watch.hpp"

using cr::backend::simt::Access;
using cr::backend::simt::LookAway;
using cr::backend::simt::watching;

namespace {

// The line that called the hook. A macro, because it speaks of the function it stands in.
#define CR_HERE __builtin_return_address(0)

// Nobody watches most of the time, and then a hook should be four instructions: the rest is a function of its own.
[[gnu::noinline]] void tell_watcher(const void* p, unsigned bytes, unsigned alignment, Access kind, const void* pc) {
  LookAway from;
  from.watcher.access(reinterpret_cast<uintptr_t>(p), bytes, alignment, kind, pc);
}
inline void tell(const void* p, unsigned bytes, unsigned alignment, Access kind, const void* pc) {
  if (watching) [[unlikely]]
    tell_watcher(p, bytes, alignment, kind, pc);
}

// g++ says the same of all structs of 16 bytes, though most may lie at a multiple of 8: see `OneAccess` in `vectors.hpp`.
#if defined(__clang__)
constexpr unsigned kOfSixteen = 16;
#else
constexpr unsigned kOfSixteen = 8;
#endif

inline void tell_range(const void* p, size_t bytes, Access kind, const void* pc) {
  if (!watching) return;
  LookAway from;
  const auto a = reinterpret_cast<uintptr_t>(p);
  const unsigned piece = a % 8 == 0 && bytes % 8 == 0 ? 8 : a % 4 == 0 && bytes % 4 == 0 ? 4 : 1;
  for (size_t i = 0; i < bytes; i += piece) from.watcher.access(a + i, piece, 1, kind, pc);
}

}  // namespace

extern "C" {

void __tsan_init() {}
void __tsan_func_entry(void*) {
  if (watching) [[unlikely]]
    watching->enter(reinterpret_cast<uintptr_t>(__builtin_frame_address(0)), CR_HERE);
}
void __tsan_func_exit() {}
void __tsan_vptr_update(void**, void*) {}
void __tsan_vptr_read(void**) {}

void __tsan_read1(void* p) { tell(p, 1, 1, Access::read, CR_HERE); }
void __tsan_write1(void* p) { tell(p, 1, 1, Access::write, CR_HERE); }
void __tsan_read2(void* p) { tell(p, 2, 2, Access::read, CR_HERE); }
void __tsan_write2(void* p) { tell(p, 2, 2, Access::write, CR_HERE); }
void __tsan_read4(void* p) { tell(p, 4, 4, Access::read, CR_HERE); }
void __tsan_write4(void* p) { tell(p, 4, 4, Access::write, CR_HERE); }
void __tsan_read8(void* p) { tell(p, 8, 8, Access::read, CR_HERE); }
void __tsan_write8(void* p) { tell(p, 8, 8, Access::write, CR_HERE); }
void __tsan_read16(void* p) { tell(p, 16, kOfSixteen, Access::read, CR_HERE); }
void __tsan_write16(void* p) { tell(p, 16, kOfSixteen, Access::write, CR_HERE); }
void __tsan_unaligned_read2(void* p) { tell(p, 2, 1, Access::read, CR_HERE); }
void __tsan_unaligned_write2(void* p) { tell(p, 2, 1, Access::write, CR_HERE); }
void __tsan_unaligned_read4(void* p) { tell(p, 4, 1, Access::read, CR_HERE); }
void __tsan_unaligned_write4(void* p) { tell(p, 4, 1, Access::write, CR_HERE); }
void __tsan_unaligned_read8(void* p) { tell(p, 8, 1, Access::read, CR_HERE); }
void __tsan_unaligned_write8(void* p) { tell(p, 8, 1, Access::write, CR_HERE); }
void __tsan_unaligned_read16(void* p) { tell(p, 16, 1, Access::read, CR_HERE); }
void __tsan_unaligned_write16(void* p) { tell(p, 16, 1, Access::write, CR_HERE); }
void __tsan_read_range(void* p, size_t bytes) { tell_range(p, bytes, Access::read, CR_HERE); }
void __tsan_write_range(void* p, size_t bytes) { tell_range(p, bytes, Access::write, CR_HERE); }

// `words.hpp` makes these three stand for the C library's own in a kernel file.
void* cr_simt_memcpy(void* to, const void* from, size_t bytes) {
  tell_range(from, bytes, Access::read, CR_HERE);
  tell_range(to, bytes, Access::write, CR_HERE);
  return std::memcpy(to, from, bytes);
}
void* cr_simt_memmove(void* to, const void* from, size_t bytes) {
  tell_range(from, bytes, Access::read, CR_HERE);
  tell_range(to, bytes, Access::write, CR_HERE);
  return std::memmove(to, from, bytes);
}
void* cr_simt_memset(void* to, int value, size_t bytes) {
  tell_range(to, bytes, Access::write, CR_HERE);
  return std::memset(to, value, bytes);
}

// ## Atomics
//
// `std::atomic` becomes a call too. Kernels have CUDA's own atomics; these are for the host's code beside them.
#define CR_ATOMICS(bits, T)                                                                                         \
  T __tsan_atomic##bits##_load(const volatile T* p, int) { return __atomic_load_n(p, __ATOMIC_SEQ_CST); }           \
  void __tsan_atomic##bits##_store(volatile T* p, T v, int) { __atomic_store_n(p, v, __ATOMIC_SEQ_CST); }           \
  T __tsan_atomic##bits##_exchange(volatile T* p, T v, int) { return __atomic_exchange_n(p, v, __ATOMIC_SEQ_CST); } \
  T __tsan_atomic##bits##_fetch_add(volatile T* p, T v, int) { return __atomic_fetch_add(p, v, __ATOMIC_SEQ_CST); } \
  T __tsan_atomic##bits##_fetch_sub(volatile T* p, T v, int) { return __atomic_fetch_sub(p, v, __ATOMIC_SEQ_CST); } \
  T __tsan_atomic##bits##_fetch_and(volatile T* p, T v, int) { return __atomic_fetch_and(p, v, __ATOMIC_SEQ_CST); } \
  T __tsan_atomic##bits##_fetch_or(volatile T* p, T v, int) { return __atomic_fetch_or(p, v, __ATOMIC_SEQ_CST); }   \
  T __tsan_atomic##bits##_fetch_xor(volatile T* p, T v, int) { return __atomic_fetch_xor(p, v, __ATOMIC_SEQ_CST); } \
  int __tsan_atomic##bits##_compare_exchange_strong(volatile T* p, T* expected, T v, int, int) {                    \
    return __atomic_compare_exchange_n(p, expected, v, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);                  \
  }                                                                                                                 \
  int __tsan_atomic##bits##_compare_exchange_weak(volatile T* p, T* expected, T v, int, int) {                      \
    return __atomic_compare_exchange_n(p, expected, v, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);                  \
  }                                                                                                                 \
  T __tsan_atomic##bits##_compare_exchange_val(volatile T* p, T expected, T v, int, int) {                          \
    __atomic_compare_exchange_n(p, &expected, v, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);                        \
    return expected;                                                                                                \
  }
CR_ATOMICS(8, unsigned char)
CR_ATOMICS(16, unsigned short)
CR_ATOMICS(32, unsigned)
CR_ATOMICS(64, unsigned long)
#undef CR_ATOMICS
#undef CR_HERE
void __tsan_atomic_thread_fence(int) { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
void __tsan_atomic_signal_fence(int) {}

}  // extern "C"
#endif
