#include "words.cuh"

#include "backend/gpu/gpu.cuh"
#include "backend/simt/memory.hpp"

using namespace cr::backend::CR_GPU;
namespace cg = cooperative_groups;

namespace {

__device__ float warp_sum(float v) {
  for (int half = 16; half > 0; half /= 2) v += __shfl_down_sync(0xffffffffu, v, half);
  return v;
}

__global__ void __launch_bounds__(256) block_sum(const float* __restrict__ x, float* __restrict__ out) {
  __shared__ float of_warp[8];
  float sum = warp_sum(x[blockIdx.x * 256 + threadIdx.x]);
  if (threadIdx.x % 32 == 0) of_warp[threadIdx.x / 32] = sum;
  __syncthreads();
  if (threadIdx.x < 32) {
    sum = warp_sum(threadIdx.x < 8 ? of_warp[threadIdx.x] : 0.0f);
    if (threadIdx.x == 0) out[blockIdx.x] = sum;
  }
}

// Sums of tiles of 8 threads; every thread gets its tile's.
__global__ void tiles(const float* x, float* out) {
  auto tile = cg::tiled_partition<8>(cg::this_thread_block());
  const unsigned i = cg::this_thread_block().thread_rank();
  float sum = cg::reduce(tile, x[i], cg::plus<float>());
  tile.sync();
  out[i] = tile.shfl(sum, 3) + 1000 * static_cast<float>(tile.meta_group_rank());
}

// Four columns at a time.
__global__ void transpose(const float* x, float* y, int rows, int columns) {
  float* tile = dynamic_shared<float>();
  const int t = static_cast<int>(threadIdx.x);
  for (int i = t; i < rows * columns / 4; i += static_cast<int>(blockDim.x)) {
    float4 v = reinterpret_cast<const float4*>(x)[i];
    const int row = 4 * i / columns, column = 4 * i % columns;
    tile[(column + 0) * rows + row] = v.x;
    tile[(column + 1) * rows + row] = v.y;
    tile[(column + 2) * rows + row] = v.z;
    tile[(column + 3) * rows + row] = v.w;
  }
  __syncthreads();
  for (int i = t; i < rows * columns; i += static_cast<int>(blockDim.x)) y[i] = tile[i];
}

// Words that answer the same to every thread, or that a short sum can check.
__global__ void all_words(unsigned* out, int* counter) {
  const unsigned t = threadIdx.x, lane = t % warpSize;
  unsigned* mine = out + t * 8;
  mine[0] = __ballot_sync(0xffffffffu, lane % 3 == 0);
  mine[1] = static_cast<unsigned>(__any_sync(0xffffffffu, lane == 7) + 10 * __all_sync(0xffffffffu, lane < 31));
  mine[2] = __reduce_add_sync(0xffffffffu, lane);
  mine[3] = __shfl_xor_sync(0xffffffffu, t, 5);
  mine[4] = __shfl_up_sync(0xffffffffu, t, 3u, 8);
  mine[5] = static_cast<unsigned>(__syncthreads_count(t % 5 == 0));
  if (lane < 10) mine[6] = __activemask();
  else mine[6] = __activemask();
  atomicAdd(counter, 1);
  atomicMax(counter + 1, static_cast<int>(t));
  mine[7] = static_cast<unsigned>(atomicCAS(counter + 2, 0, static_cast<int>(t) + 1));
  if (__syncthreads_or(t == 95) && t == 0) mine[7] = static_cast<unsigned>(counter[0] + counter[1]);
}

}  // namespace

namespace words {

std::vector<float> block_sums(const std::vector<float>& x) {
  std::vector<float> out(x.size() / 256);
  Memory in_memory(x), out_memory(out);
  launch("block_sum", block_sum, {.blocks = {static_cast<unsigned>(out.size())}, .threads = {256}}, x.data(),
         out.data());
  return out;
}

std::vector<unsigned> lane_report() {
  std::vector<unsigned> out(96 * 8);
  std::vector<int> counter(3);
  Memory out_memory(out), counter_memory(counter);
  launch("words", all_words, {.blocks = {1}, .threads = {96}}, out.data(), counter.data());
  return out;
}

std::vector<float> groups(const std::vector<float>& x) {
  std::vector<float> out(x.size());
  Memory in_memory(x), out_memory(out);
  launch("tiles", tiles, {.blocks = {1}, .threads = {static_cast<unsigned>(x.size())}}, x.data(), out.data());
  return out;
}

std::vector<float> transposed(const std::vector<float>& x, int rows, int columns) {
  std::vector<float> out(x.size());
  Memory in_memory(x), out_memory(out);
  launch("transpose", transpose, {.blocks = {1}, .threads = {96}, .shared_bytes = x.size() * sizeof(float)}, x.data(),
         out.data(), rows, columns);
  return out;
}

}  // namespace words
