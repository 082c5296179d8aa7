#include "words.cuh"

#include "backend/gpu/async_copy.cuh"
#include "backend/gpu/tensor_core.cuh"
#include "backend/simt/memory.hpp"

using namespace cr::backend::CR_GPU;
namespace cg = cooperative_groups;
namespace fragment = cr::backend::fragment;

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

// Shuffles beyond all edges, counters that go round, and what else there is.
__global__ void more_words(unsigned* out, unsigned* counters, unsigned long long* bits) {
  const unsigned t = threadIdx.x;
  unsigned* mine = out + t * 8;
  mine[0] = __match_any_sync(0xffffffffu, t % 3);
  mine[1] = __shfl_up_sync(0xffffffffu, t, 0xffffffffu);
  mine[2] = __shfl_down_sync(0xffffffffu, t, 1u << 31);
  mine[3] = __shfl_xor_sync(0xffffffffu, t, -1);
  mine[4] = atomicInc(counters, 4);
  mine[5] = atomicDec(counters + 1, 4);
  mine[6] = static_cast<unsigned>(atomicXor(bits, 1ull << (t + 16)) >> 16);
  mine[7] = static_cast<unsigned>(__fdividef(6 * __expf(0), 2));
}

// C (16, 16) = A (16, 16) · B (16, 16) by one warp. Tiles of four chunks to a row, of which two are used. kTurned: A comes
// with k down its columns and B with k down its columns too; otherwise both have k along their rows.
template <bool kTurned> __global__ void multiply_bf16(const uint16_t* a, const uint16_t* b, float* c) {
  __shared__ __align__(16) uint16_t tiles[2][16 * 32];
  const int lane = static_cast<int>(threadIdx.x);
  const int row = lane / 2, chunk = lane % 2;
  copy_async<16>(&tiles[0][8 * fragment::swizzled(row, chunk, 4)], a + 8 * lane, true);
  copy_async<16>(&tiles[1][8 * fragment::swizzled(row, chunk, 4)], b + 8 * lane, true);
  commit_copies();
  wait_for_copies<0>();
  __syncthreads();
  const fragment::Chunk for_a = fragment::named_for_a(lane), for_b = fragment::named_for_b(lane);
  const fragment::Chunk of_a = kTurned ? for_b : for_a, of_b = kTurned ? for_a : for_b;
  uint32_t left[4], right[4];
  ldmatrix<kTurned>(left, &tiles[0][8 * fragment::swizzled(of_a.row, of_a.chunk, 4)]);
  ldmatrix<kTurned>(right, &tiles[1][8 * fragment::swizzled(of_b.row, of_b.chunk, 4)]);
  for (int half = 0; half < 2; ++half) {
    float sum[4] = {};
    mma_bf16(sum, left, right[2 * half], right[2 * half + 1]);
    for (int r = 0; r < 4; ++r) {
      const fragment::Place at = fragment::c(lane, r);
      c[at.row * 16 + at.column + 8 * half] = sum[r];
    }
  }
}

// C (16, 8) = A (16, 8) · B (8, 8).
__global__ void multiply_tf32(const float* a, const float* b, float* c) {
  const int lane = static_cast<int>(threadIdx.x);
  uint32_t left[4], right[2];
  for (int r = 0; r < 4; ++r)
    left[r] = round_tf32(a[fragment::tf32_a(lane, r).row * 8 + fragment::tf32_a(lane, r).column]);
  for (int r = 0; r < 2; ++r)
    right[r] = round_tf32(b[fragment::tf32_b(lane, r).row * 8 + fragment::tf32_b(lane, r).column]);
  float sum[4] = {};
  mma_tf32(sum, left, right[0], right[1]);
  for (int r = 0; r < 4; ++r) c[fragment::c(lane, r).row * 8 + fragment::c(lane, r).column] = sum[r];
}

// Copies of 4, 8 and 16 bytes, some of which do not exist; in two batches.
__global__ void copies(const float* x, float* y) {
  __shared__ __align__(16) float tile[3][128];
  const int t = static_cast<int>(threadIdx.x);
  copy_async<16>(&tile[0][4 * t], x + 4 * t, t != 3);
  commit_copies();
  copy_async<8>(&tile[1][2 * t], x + 2 * t, t != 5);
  copy_async<4>(&tile[2][t], nullptr, false);
  commit_copies();
  wait_for_copies<1>();
  for (int i = 0; i < 4; ++i) y[4 * t + i] = tile[0][4 * t + i];
  wait_for_copies<0>();
  for (int i = 0; i < 2; ++i) y[128 + 2 * t + i] = tile[1][2 * t + i];
  y[256 + t] = tile[2][t];
}

uint16_t bf16_bits(float x) { return static_cast<uint16_t>(pack_bf16(x, 0)); }

}  // namespace

namespace words {

std::vector<float> product_bf16(const std::vector<float>& a, const std::vector<float>& b, bool turned) {
  std::vector<uint16_t> left, right;
  for (float x : a) left.push_back(bf16_bits(x));
  for (float x : b) right.push_back(bf16_bits(x));
  std::vector<float> c(256);
  Memory a_memory(left), b_memory(right), c_memory(c);
  launch("multiply_bf16", turned ? multiply_bf16<true> : multiply_bf16<false>, {.blocks = {1}, .threads = {32}},
         left.data(), right.data(), c.data());
  return c;
}

std::vector<float> product_tf32(const std::vector<float>& a, const std::vector<float>& b) {
  std::vector<float> c(128);
  Memory a_memory(a), b_memory(b), c_memory(c);
  launch("multiply_tf32", multiply_tf32, {.blocks = {1}, .threads = {32}}, a.data(), b.data(), c.data());
  return c;
}

std::vector<float> copied(const std::vector<float>& x) {
  std::vector<float> y(288);
  Memory x_memory(x), y_memory(y);
  launch("copies", copies, {.blocks = {1}, .threads = {32}}, x.data(), y.data());
  return y;
}

float rounded_bf16(float x) { return unpack_bf16(pack_bf16(0, x), 1); }
float rounded_tf32(float x) { return std::bit_cast<float>(round_tf32(x)); }

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

std::vector<unsigned> more_of_them() {
  std::vector<unsigned> out(32 * 8), counters(2);
  std::vector<unsigned long long> bits(1);
  Memory out_memory(out), counter_memory(counters), bit_memory(bits);
  launch("more_words", more_words, {.blocks = {1}, .threads = {32}}, out.data(), counters.data(), bits.data());
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
