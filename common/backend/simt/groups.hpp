// # Cooperative groups: the basics
//
// CUDA's other spelling of the same meetings: a group is an object that knows its size and a thread's rank in it.
// Here are the block and the tiles of 1, 2, 4, 8, 16 or 32 lanes that it can be cut into.
#pragma once

#include "backend/simt/words.hpp"

namespace cooperative_groups {

class thread_block {
 public:
  static void sync() { cr::backend::simt::__syncthreads(); }
  static unsigned thread_rank() {
    using namespace cr::backend::simt;
    return (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;
  }
  static unsigned size() {
    using namespace cr::backend::simt;
    return blockDim.x * blockDim.y * blockDim.z;
  }
  static unsigned num_threads() { return size(); }
  static cr::backend::simt::dim3 group_index() { return cr::backend::simt::blockIdx; }
  static cr::backend::simt::dim3 thread_index() { return cr::backend::simt::threadIdx; }
};
inline thread_block this_thread_block() { return {}; }

template <unsigned Size> class thread_block_tile {
  static_assert(Size >= 1 && Size <= 32 && (Size & (Size - 1)) == 0, "a tile has 1, 2, 4, 8, 16 or 32 threads");

 public:
  static unsigned thread_rank() { return thread_block::thread_rank() % Size; }
  static constexpr unsigned size() { return Size; }
  static constexpr unsigned num_threads() { return Size; }
  static unsigned meta_group_rank() { return thread_block::thread_rank() / Size; }
  static unsigned meta_group_size() { return (thread_block::size() + Size - 1) / Size; }

  void sync() const { cr::backend::simt::__syncwarp(mask()); }
  template <class T> T shfl(T value, int source) const {
    return cr::backend::simt::__shfl_sync(mask(), value, source, Size);
  }
  template <class T> T shfl_up(T value, unsigned delta) const {
    return cr::backend::simt::__shfl_up_sync(mask(), value, delta, Size);
  }
  template <class T> T shfl_down(T value, unsigned delta) const {
    return cr::backend::simt::__shfl_down_sync(mask(), value, delta, Size);
  }
  template <class T> T shfl_xor(T value, unsigned lane_mask) const {
    return cr::backend::simt::__shfl_xor_sync(mask(), value, static_cast<int>(lane_mask), Size);
  }
  int any(int predicate) const { return cr::backend::simt::__any_sync(mask(), predicate); }
  int all(int predicate) const { return cr::backend::simt::__all_sync(mask(), predicate); }
  unsigned ballot(int predicate) const { return cr::backend::simt::__ballot_sync(mask(), predicate) >> first_lane(); }

 private:
  static unsigned first_lane() { return thread_block::thread_rank() % 32 / Size * Size; }
  static unsigned mask() { return (0xffffffffu >> (32 - Size)) << first_lane(); }
};
template <unsigned Size> thread_block_tile<Size> tiled_partition(const thread_block&) { return {}; }

template <class Group> void sync(const Group& group) { group.sync(); }

template <class T> struct plus {
  T operator()(T a, T b) const { return a + b; }
};
template <class T> struct less {
  T operator()(T a, T b) const { return b < a ? b : a; }
};
template <class T> struct greater {
  T operator()(T a, T b) const { return a < b ? b : a; }
};

// The values of a tile, combined pairwise; every thread gets the result.
template <unsigned Size, class T, class F> T reduce(const thread_block_tile<Size>& tile, T value, F combine) {
  for (unsigned half = Size / 2; half > 0; half /= 2) value = combine(value, tile.shfl_xor(value, half));
  return value;
}

}  // namespace cooperative_groups
