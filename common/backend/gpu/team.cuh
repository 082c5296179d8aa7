// # Threads that add up together
//
// A row of numbers is summed by a **team**: one thread, the 32 of a warp, or a whole block, as long as the row is. Each
// member first adds every so-manieth number, and then the team's totals meet, always in the same order: so a sum has the
// same bits every time.
#pragma once

#include "backend/gpu/gpu.cuh"
#include "backend/gpu/places.cuh"

namespace cr::backend::CR_GPU {

inline constexpr int kWarp = 32, kBlock = 256;

// In five steps every thread of a warp has all 32 numbers: from the thread 16 further, 8 further … (the numbers of both are
// the same then, since x + y = y + x to the bit; an extreme of 0 and −0 may be either).
template <class F, class A> __device__ A warp_total(A x) {
  for (int step = kWarp / 2; step > 0; step /= 2) x = F{}(x, __shfl_xor_sync(~0u, x, step));
  return x;
}

// For all threads of a block along x: the warps' totals, one after the other.
template <class F, class A> __device__ A block_total(A x) {
  __shared__ A totals[kBlock / kWarp];
  x = warp_total<F>(x);
  if (threadIdx.x % kWarp == 0) totals[threadIdx.x / kWarp] = x;
  __syncthreads();
  A total = totals[0];
  for (int warp = 1; warp < kBlock / kWarp; ++warp) total = F{}(total, totals[warp]);
  __syncthreads();  // the memory may serve for the next total
  return total;
}

// A team has as many threads as a block has along x, and a block has kBlock / team teams along y.
template <class F, int team, class A> __device__ A team_total(A x) {
  if constexpr (team == 1) return x;
  else if constexpr (team == kWarp) return warp_total<F>(x);
  else return block_total<F>(x);
}

// `f` with the team for rows of n numbers, as a constant: calls f(std::integral_constant<int, team>{}).
template <class F> void with_team(int64_t n, F&& f) {
  if (n <= kWarp) f(std::integral_constant<int, 1>{});
  else if (n <= 4 * kBlock) f(std::integral_constant<int, kWarp>{});
  else f(std::integral_constant<int, kBlock>{});
}

// A grid in which each team of a block takes a row, and then every so-manieth one. A team of one thread lies along y as
// well, so 32 of them make a warp.
template <int team> Grid grid_for_rows(int64_t rows) {
  constexpr unsigned kTeams = kBlock / team;
  const unsigned teams = rows >= kTeams ? kTeams
                         : team > 1     ? static_cast<unsigned>(rows)
                                        : kWarp * blocks_for(rows, kWarp, kMostBlocks);
  return {.blocks = {blocks_for(rows, teams, kMostBlocks)}, .threads = {team, teams}};
}
__device__ inline int64_t first_row() { return static_cast<int64_t>(blockIdx.x) * blockDim.y + threadIdx.y; }
__device__ inline int64_t all_rows() { return static_cast<int64_t>(gridDim.x) * blockDim.y; }

}  // namespace cr::backend::CR_GPU
