// Three instructions of a warp, wrapped. On a GPU each is one line of
// **PTX**, the assembly language that nvcc accepts inside C++. On the
// emulator the lanes ask each other for what they hold, by `__shfl_sync`,
// according to [the pictures](fragments.hpp). That is slow, and it means that
// every index of a tensor-core kernel is put to the test on any machine.
#pragma once

#include "backend/gpu/gpu.cuh"
#include "bfloat16.hpp"
#include "fragments.hpp"

namespace cr::backend::CR_GPU {

// C += A · B for 16 × 16 by 16 × 8 bfloat16, sums in float32.
__device__ inline void mma_bf16(float (&c)[4], const uint32_t (&a)[4],
                                const uint32_t (&b)[2]) {
#if defined(__CUDACC__)
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, "
      "{%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#else
  // A lane's four sums lie in two rows and two columns. The rows of A are in
  // the registers of its own four neighbours, the columns of B in those of
  // two other fours.
  const int lane = int(threadIdx.x) % 32;
  float row[2][16], column[2][16];
  for (int other = 0; other < 4; ++other) {
    for (int r = 0; r < 4; ++r) {
      const uint32_t x = __shfl_sync(~0u, a[r], lane / 4 * 4 + other);
      for (int half : {0, 1})
        row[r % 2][bf16_mma::a(other, r, half).column] =
            from_bfloat16(Bf16(x >> 16 * half));
    }
    for (int r = 0; r < 2; ++r)
      for (int which : {0, 1}) {
        const int holder = mma_c(lane, which).column * 4 + other;
        const uint32_t x = __shfl_sync(~0u, b[r], holder);
        for (int half : {0, 1})
          column[which][bf16_mma::b(holder, r, half).row] =
              from_bfloat16(Bf16(x >> 16 * half));
      }
  }
  // Two rows, two columns, four sums.
  for (int r = 0; r < 4; ++r)
    for (int p = 0; p < 16; ++p) c[r] += row[r / 2][p] * column[r % 2][p];
#endif
}

// C += A · B for 16 × 8 by 8 × 8 numbers of TF32.
__device__ inline void mma_tf32(float (&c)[4], const float (&a)[4],
                                const float (&b)[2]) {
#if defined(__CUDACC__)
  asm volatile(
      "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, "
      "{%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(__float_as_uint(a[0])), "r"(__float_as_uint(a[1])),
        "r"(__float_as_uint(a[2])), "r"(__float_as_uint(a[3])),
        "r"(__float_as_uint(b[0])), "r"(__float_as_uint(b[1])));
#else
  // The same with one number to a register.
  const int lane = int(threadIdx.x) % 32;
  float row[2][8], column[2][8];
  for (int other = 0; other < 4; ++other) {
    for (int r = 0; r < 4; ++r)
      row[r % 2][tf32_mma::a(other, r).column] =
          __shfl_sync(~0u, a[r], lane / 4 * 4 + other);
    for (int r = 0; r < 2; ++r)
      for (int which : {0, 1}) {
        const int holder = mma_c(lane, which).column * 4 + other;
        column[which][tf32_mma::b(holder, r).row] = __shfl_sync(~0u, b[r], holder);
      }
  }
  for (int r = 0; r < 4; ++r)
    for (int p = 0; p < 8; ++p) c[r] += row[r / 2][p] * column[r % 2][p];
#endif
}

// `ldmatrix`: four matrices of 8 × 8 bfloat16 from shared memory into the
// registers of a warp, just as `mma` wants them. Lane $l$ says where row $l
// \bmod 8$ of matrix $l / 8$ begins: `byte` bytes behind `tile`. Register $r$
// of each lane then holds two neighbours of matrix $r$.
__device__ inline void load_matrices(uint32_t (&to)[4], const char* tile,
                                     int byte) {
#if defined(__CUDACC__)
  const unsigned shared = unsigned(__cvta_generic_to_shared(tile)) + unsigned(byte);
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
               : "r"(shared)
               : "memory");
#else
  // Lane l holds numbers 2 (l mod 4) and the next of row l / 4 of each
  // matrix. Whoever named that row knows where it begins.
  const int lane = int(threadIdx.x) % 32;
  for (int r = 0; r < 4; ++r) {
    const int begin = __shfl_sync(~0u, byte, r * 8 + lane / 4);
    to[r] = *reinterpret_cast<const uint32_t*>(tile + begin + lane % 4 * 4);
  }
#endif
}

}  // namespace cr::backend::CR_GPU
