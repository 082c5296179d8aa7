// # Tensor cores
//
// Three instructions of a warp, wrapped. On a GPU each is one line of **PTX**, the assembly language that nvcc accepts inside
// C++. The emulator has no tensor core: there the lanes tell each other what they hold, and each adds up its own sums, by
// the pictures of `fragments.hpp`. So every index of a kernel made of them is put to the test on any machine.
//
// All 32 lanes must call them together. A GPU must have compute capability 8.0 (`ldmatrix`: 7.5): say
// `.needs = 80` where such a kernel is launched.
#pragma once

#include <bit>

#include "backend/gpu/fragments.hpp"
#include "backend/gpu/gpu.cuh"

namespace cr::backend::CR_GPU {

// ## Numbers
//
// Two numbers rounded to bfloat16, to the nearest, ties to even; the first in the lower half of the register.
__device__ __forceinline__ uint32_t pack_bf16(float low, float high) {
#if defined(__CUDACC__) && CR_CAPABILITY >= 80
  uint32_t both;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(both) : "f"(high), "f"(low));
  return both;
#else
  // Half of what is cut off is added, one less if the number is even already. A NaN stays one.
  auto round = [](float x) {
    const auto bits = std::bit_cast<uint32_t>(x);
    return x != x ? 0x7fffu : (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
  };
  return round(low) | round(high) << 16;
#endif
}

// Half 0 or 1 of a register as float32.
__device__ __forceinline__ float unpack_bf16(uint32_t both, int half) {
  const uint32_t bits = half == 0 ? both << 16 : both & 0xffff0000u;
  return std::bit_cast<float>(bits);
}

// Rounded to the 10 binary digits of TF32, to the nearest, ties away from zero.
__device__ __forceinline__ uint32_t round_tf32(float x) {
#if defined(__CUDACC__) && CR_CAPABILITY >= 80
  uint32_t bits;
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(bits) : "f"(x));
  return bits;
#else
  const auto bits = std::bit_cast<uint32_t>(x);
  return (bits & 0x7f800000u) == 0x7f800000u ? bits : (bits + 0x1000u) & 0xffffe000u;
#endif
}

// ## Products
//
// C (16, 8) += A (16, 16) · B (16, 8), bfloat16, sums in float32.
__device__ __forceinline__ void mma_bf16(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
#if defined(__CUDACC__) && CR_CAPABILITY >= 80
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
      "{%0, %1, %2, %3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
#elif defined(__CUDACC__)
  __trap();
#else
  warp_mma_bf16(c, a, b0, b1);
#endif
}

// C (16, 8) += A (16, 8) · B (8, 8), TF32: float32 of which the last 13 binary digits are not looked at.
__device__ __forceinline__ void mma_tf32(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
#if defined(__CUDACC__) && CR_CAPABILITY >= 80
  asm volatile(
      "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
      "{%0, %1, %2, %3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
#elif defined(__CUDACC__)
  __trap();
#else
  warp_mma_tf32(c, a, b0, b1);
#endif
}

// ## From shared memory to fragments
//
// Four matrices of 8 × 8 numbers of 16 bits. Lane $l$ names where row $l \bmod 8$ of matrix $\lfloor l / 8 \rfloor$ begins, a
// multiple of 16 bytes. Register $i$ then holds two neighbours of row $\lfloor l / 4 \rfloor$ of matrix $i$, or, transposed,
// of that column.
template <bool kTransposed = false> __device__ __forceinline__ void ldmatrix(uint32_t (&to)[4], const void* row) {
#if defined(__CUDACC__)
  const auto shared = static_cast<unsigned>(__cvta_generic_to_shared(row));
  if constexpr (kTransposed)
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
                 : "r"(shared)
                 : "memory");
  else
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
                 : "r"(shared)
                 : "memory");
#else
  // A matrix is one request: each lane reads a word of it. To transpose, words change hands.
  const unsigned lane = lane_index();
  uint64_t rows[32], words[32];
  warp_gather(reinterpret_cast<uintptr_t>(row), rows);
  for (unsigned i = 0; i < 4; ++i) {
    to[i] = reinterpret_cast<const uint32_t*>(rows[8 * i + lane / 4])[lane % 4];
    if constexpr (kTransposed) {
      warp_gather(to[i], words);
      const unsigned upper = lane % 4 * 8 + lane / 8,
                     shift = lane / 4 % 2 * 16;  // who has two rows of this lane's column
      to[i] = (static_cast<uint32_t>(words[upper]) >> shift & 0xffff) |
              (static_cast<uint32_t>(words[upper + 4]) >> shift & 0xffff) << 16;
    }
  }
#endif
}

}  // namespace cr::backend::CR_GPU
