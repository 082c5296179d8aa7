// # Copies that nobody waits for
//
// `cp.async`, from compute capability 8.0 on (before, an ordinary copy): a thread asks memory to put some bytes into shared
// memory, without passing through registers, and goes on at once. Requests are gathered into **batches**. A thread waits
// for its own batches; what the others have ordered is there behind the next barrier. A kernel that orders the next tile,
// multiplies this one, and only then waits has hidden the way from memory behind the multiplying.
#pragma once

#include <type_traits>

#include "backend/gpu/gpu.cuh"
#if !defined(__CUDACC__)
#include "backend/simt/copies.hpp"
#endif

namespace cr::backend::CR_GPU {

// Orders `kBytes` bytes (4, 8 or 16; both addresses multiples of that), or zeros where there is nothing to copy: `from` is
// not read then.
template <int kBytes> __device__ __forceinline__ void copy_async(void* to, const void* from, bool exists) {
  static_assert(kBytes == 4 || kBytes == 8 || kBytes == 16);
  // How many bytes move at once: a word, two, four.
  using Words = std::conditional_t<kBytes == 16, uint4, std::conditional_t<kBytes == 8, uint2, unsigned>>;
#if !defined(__CUDACC__)
  AsyncCopy copy{to, kBytes, make_uint4(0, 0, 0, 0)};
  if (exists) {
    const Words words = *static_cast<const Words*>(from);
    __builtin_memcpy(static_cast<void*>(&copy.value), &words, kBytes);
  }
  begin_copy(copy);
#elif CR_CAPABILITY < 80
  *static_cast<Words*>(to) = exists ? *static_cast<const Words*>(from) : Words{};
#else
  const auto shared = static_cast<unsigned>(__cvta_generic_to_shared(to));
  const int bytes = exists ? kBytes : 0;  // the rest, up to kBytes, is filled with zeros
  if constexpr (kBytes == 16)
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared), "l"(from), "r"(bytes) : "memory");
  else
    asm volatile("cp.async.ca.shared.global [%0], [%1], %3, %2;" ::"r"(shared), "l"(from), "r"(bytes), "n"(kBytes)
                 : "memory");
#endif
}

// Closes the batch of what was ordered since the last one.
__device__ __forceinline__ void commit_copies() {
#if !defined(__CUDACC__)
  close_batch();
#elif CR_CAPABILITY >= 80
  asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}

// Waits until all but the last `kOpen` batches of this thread have arrived.
template <int kOpen> __device__ __forceinline__ void wait_for_copies() {
#if !defined(__CUDACC__)
  for (AsyncCopy copy; next_copy(copy, kOpen);) {
    if (copy.bytes == 16) *static_cast<uint4*>(copy.to) = copy.value;
    else if (copy.bytes == 8) *static_cast<uint2*>(copy.to) = make_uint2(copy.value.x, copy.value.y);
    else *static_cast<unsigned*>(copy.to) = copy.value.x;
  }
#elif CR_CAPABILITY >= 80
  asm volatile("cp.async.wait_group %0;" ::"n"(kOpen) : "memory");
#endif
}

}  // namespace cr::backend::CR_GPU
