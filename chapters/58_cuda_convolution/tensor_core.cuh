// Three kinds of instructions that C++ has no word for. On a GPU each is a line of
// assembly. On the emulator the lanes tell each other by hand what the hardware has
// wires for, so that everything around them can be run and counted without one.
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

// ## On a GPU
//
// `mma` names the registers of the three fragments. The sums are in and out at
// once. `.row` and `.col` say that A's fragment runs along its rows and B's down
// its columns: the sum is the inner direction in both.
#if defined(__CUDACC__)

inline __device__ void mma(FragmentC& c, const FragmentA& a, const FragmentB& b) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
      "{%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
      : "+f"(c.r[0]), "+f"(c.r[1]), "+f"(c.r[2]), "+f"(c.r[3])
      : "r"(a.r[0]), "r"(a.r[1]), "r"(a.r[2]), "r"(a.r[3]), "r"(b.r[0]),
        "r"(b.r[1]));
}

// `ldmatrix` wants a 32-bit address in shared memory, which a pointer has to be
// turned into. With `.trans` each 8 × 8 matrix arrives transposed.
template <bool kDown> __device__ inline FragmentA ldmatrix(const Chunk* named) {
  FragmentA m;
  const auto at = uint32_t(__cvta_generic_to_shared(named));
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

// Copies 16 bytes from global to shared memory without a detour through registers,
// and does not wait; or fills them with zeros. `commit` closes a group of such
// copies, `wait<n>` waits until all but the last n groups have arrived.
inline __device__ void copy_async(Chunk* to, const void* from, bool inside) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(
                   uint32_t(__cvta_generic_to_shared(to))),
               "l"(from), "r"(inside ? 16 : 0)
               : "memory");
}
inline __device__ void commit() {
  asm volatile("cp.async.commit_group;" ::: "memory");
}
template <int n> __device__ inline void wait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(n) : "memory");
}

#else

// ## On the emulator
//
// What the lanes of a warp hand to each other lies here, in a place that is wired,
// not addressed: the emulator shall neither watch nor count it. Two places take
// turns, so that one meeting is enough: nobody fills a place again before all have
// met once more.
struct Wires {
  uint64_t word[2][32][3];
};
__attribute__((no_sanitize("thread"))) inline const Wires& meet(int& turn,
                                                                uint64_t a,
                                                                uint64_t b = 0,
                                                                uint64_t c = 0) {
  static thread_local Wires wires[32];
  static thread_local int turns[1024];
  const unsigned thread = threadIdx.x;
  turn = turns[thread] ^= 1;
  uint64_t* mine = wires[thread / 32].word[turn][thread % 32];
  mine[0] = a, mine[1] = b, mine[2] = c;
  __syncwarp();
  return wires[thread / 32];
}

// A lane's sum at (row, column) needs all of A's row and all of B's column, and
// those lie with four other lanes each.
__attribute__((no_sanitize("thread"))) inline void mma(FragmentC& c,
                                                       const FragmentA& a,
                                                       const FragmentB& b) {
  int turn = 0;
  const Wires& wires =
      meet(turn, a.r[0] | uint64_t{a.r[1]} << 32, a.r[2] | uint64_t{a.r[3]} << 32,
           b.r[0] | uint64_t{b.r[1]} << 32);
  const unsigned lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
  // Number `half` of the pair in the lower or upper 32 bits.
  const auto number = [](uint64_t pairs, unsigned upper, unsigned half)
      __attribute__((no_sanitize("thread"))) {
    return __builtin_bit_cast(float, uint32_t(pairs >> (32 * upper + 16 * half))
                                         << 16);
  };
  for (unsigned q = 0; q < 4; ++q) {
    const uint64_t* rows = wires.word[turn][4 * g + q];
    const uint64_t left = wires.word[turn][8 * t + q][2],
                   right = wires.word[turn][8 * t + 4 + q][2];
    for (unsigned deep = 0; deep < 2; ++deep)
      for (unsigned half = 0; half < 2; ++half)
        for (unsigned r = 0; r < 4; ++r)
          c.r[r] += number(rows[deep], r / 2, half) *
                    number(r % 2 == 0 ? left : right, deep, half);
  }
}

// The row that a lane has named. Here the *reading* is as on a GPU, number by
// number, and watched: a row that lies outside of the tile, or that somebody is
// still writing to, is caught, and rows on the same banks are counted.
template <class T>
__attribute__((no_sanitize("thread"))) const T* named_by(const Wires& wires,
                                                         int turn, int lane) {
  return reinterpret_cast<const T*>(wires.word[turn][lane][0]);
}

template <bool kDown> FragmentA ldmatrix(const Chunk* named) {
  const int lane = int(threadIdx.x) % 32, g = lane / 4, t = lane % 4;
  int turn = 0;
  const Wires& wires = meet(turn, reinterpret_cast<uintptr_t>(named));
  FragmentA m;
  for (int i = 0; i < 4; ++i) {
    if constexpr (kDown) {
      const auto* up = named_by<uint16_t>(wires, turn, 8 * i + 2 * t);
      const auto* down = named_by<uint16_t>(wires, turn, 8 * i + 2 * t + 1);
      m.r[i] = uint32_t(up[g]) | uint32_t(down[g]) << 16;
    } else {
      m.r[i] = named_by<uint32_t>(wires, turn, 8 * i + g)[t];
    }
  }
  return m;
}

// Here all lanes fetch, and those outside write zeros.
inline void copy_async(Chunk* to, const void* from, bool inside) {
  using Four = uint32_t __attribute__((vector_size(16), may_alias));
  const uint32_t keep = inside ? 0xffffffff : 0;
  *reinterpret_cast<Four*>(to) =
      *static_cast<const Four*>(from) & Four{keep, keep, keep, keep};
}
inline void commit() {}
template <int n> void wait() {}

#endif

}  // namespace cr::backend::CR_GPU
