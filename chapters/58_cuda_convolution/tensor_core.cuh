// Three instructions that C++ has no word for. On a GPU each is a line of assembly. On the
// emulator we do by shuffles between lanes what the hardware does by wires, so that
// everything around them can be run and counted without one.
#pragma once

#include "backend/gpu/gpu.cuh"
#include "fragments.hpp"

namespace cr::backend::CR_GPU {

struct FragmentA {
  uint32_t r[4];
};
struct FragmentB {
  uint32_t r[2];
};
struct FragmentC {
  float r[4];
};

// Sixteen bytes, or eight numbers of bfloat16.
struct alignas(16) Chunk {
  uint32_t word[4];
};

#if defined(__CUDACC__)

inline __device__ void mma(FragmentC& c, const FragmentA& a, const FragmentB& b) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
      "{%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
      : "+f"(c.r[0]), "+f"(c.r[1]), "+f"(c.r[2]), "+f"(c.r[3])
      : "r"(a.r[0]), "r"(a.r[1]), "r"(a.r[2]), "r"(a.r[3]), "r"(b.r[0]),
        "r"(b.r[1]));
}

template <bool kDown> __device__ inline FragmentA ldmatrix(const Chunk* named) {
  FragmentA m;
  const auto at = static_cast<uint32_t>(__cvta_generic_to_shared(named));
  if constexpr (kDown)
    asm volatile(
        "ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
        : "=r"(m.r[0]), "=r"(m.r[1]), "=r"(m.r[2]), "=r"(m.r[3])
        : "r"(at)
        : "memory");
  else
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(m.r[0]), "=r"(m.r[1]), "=r"(m.r[2]), "=r"(m.r[3])
                 : "r"(at)
                 : "memory");
  return m;
}

// Copies 16 bytes from global to shared memory without a detour through registers, and does
// not wait; or fills them with zeros. `commit` closes a group of such copies, `wait<n>`
// waits until all but the last n groups have arrived.
inline __device__ void copy_async(Chunk* to, const void* from, bool inside) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(
                   static_cast<uint32_t>(__cvta_generic_to_shared(to))),
               "l"(from), "r"(inside ? 16 : 0)
               : "memory");
}
inline __device__ void commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
template <int n> __device__ inline void wait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(n) : "memory");
}

#else

// A lane's sum at (row, column) needs all of A's row and all of B's column, and those lie
// with four other lanes each.
inline float half_of(uint32_t word, int half) {
  return from_bfloat16(static_cast<uint16_t>(word >> (16 * half)));
}

inline void mma(FragmentC& c, const FragmentA& a, const FragmentB& b) {
  constexpr unsigned kAll = 0xffffffff;
  const int lane = static_cast<int>(threadIdx.x) % 32, g = lane / 4, t = lane % 4;
  for (int q = 0; q < 4; ++q) {
    uint32_t rows[4], left[2], right[2];
    for (int r = 0; r < 4; ++r) rows[r] = __shfl_sync(kAll, a.r[r], 4 * g + q);
    for (int r = 0; r < 2; ++r) left[r] = __shfl_sync(kAll, b.r[r], 8 * t + q);
    for (int r = 0; r < 2; ++r) right[r] = __shfl_sync(kAll, b.r[r], 8 * t + 4 + q);
    for (int deep = 0; deep < 2; ++deep)
      for (int half = 0; half < 2; ++half)
        for (int r = 0; r < 4; ++r)
          c.r[r] += half_of(rows[r / 2 + 2 * deep], half) *
                    half_of(r % 2 == 0 ? left[deep] : right[deep], half);
  }
}

template <bool kDown> FragmentA ldmatrix(const Chunk* named) {
  constexpr unsigned kAll = 0xffffffff;
  const int lane = static_cast<int>(threadIdx.x) % 32, g = lane / 4, t = lane % 4;
  const auto mine = reinterpret_cast<uintptr_t>(named);
  FragmentA m;
  for (int i = 0; i < 4; ++i) {
    if constexpr (kDown) {
      const auto* up =
          reinterpret_cast<const uint16_t*>(__shfl_sync(kAll, mine, 8 * i + 2 * t));
      const auto* down = reinterpret_cast<const uint16_t*>(
          __shfl_sync(kAll, mine, 8 * i + 2 * t + 1));
      m.r[i] = static_cast<uint32_t>(up[g]) | static_cast<uint32_t>(down[g]) << 16;
    } else {
      const auto* row =
          reinterpret_cast<const uint32_t*>(__shfl_sync(kAll, mine, 8 * i + g));
      m.r[i] = row[t];
    }
  }
  return m;
}

inline void copy_async(Chunk* to, const void* from, bool inside) {
  *to = inside ? *static_cast<const Chunk*>(from) : Chunk{};
}
inline void commit() {}
template <int n> void wait() {}

#endif

}  // namespace cr::backend::CR_GPU
