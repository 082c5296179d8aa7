// # Products of rounded factors
//
// Where `--precision tf32` or `bf16` allows it, the factors of a float32 product are rounded on their way into shared memory,
// and tensor cores multiply them; sums stay float32. A TF32 factor is off by $2^{-11}$ of itself at most, a bfloat16 one
// by $2^{-8}$.
//
// The two are one kernel. What differs is how many steps of k a register of 32 bits holds, one or two; seen in registers, the
// fragments of both lie alike (`fragments.hpp`).
#include "backend/gpu/products.cuh"
#include "backend/gpu/tensor_core.cuh"
#include "backend/gpu_options.hpp"

namespace cr::backend::CR_GPU {
namespace {

// A tile is 128 × 128, and 16 registers deep. A block's eight warps make 64 × 32 each, 4 × 4 matrices of 16 × 8.
constexpr int kSide = 128, kDepth = 16, kThreads = 256;

// Rows of 20 words: eight of them, four words each, lie in all 32 banks.
using Words = uint32_t[kSide][kDepth + 4];

// One side of the tile: rows of A, or columns of B, from `first` on.
template <Precision kPrecision> struct Side {
  static constexpr int kSteps = kPrecision == Precision::bf16 ? 2 : 1;  // of k, in a word
  static constexpr int kOn = kDepth * kSteps;                           // of k, in a tile
  const float* from;                                                    // this thread's first number of the next tile
  int64_t k_step, on;
  int rows, row, rows_on, word, words_on;
  uint32_t on_its_way[kSide * kDepth / kThreads];

  // Beginning with step `begin` of k. Neighbouring threads fetch what lies together, along k or across rows.
  __device__ Side(const float* matrix, int64_t first, int64_t count, int64_t row_step, int64_t step_of_k, int64_t begin)
      : k_step(step_of_k), rows(static_cast<int>(count - first < kSide ? count - first : kSide)) {
    const int t = static_cast<int>(threadIdx.x);
    const bool along_k = k_step == 1;
    row = along_k ? t / kDepth : t % kSide, rows_on = along_k ? kThreads / kDepth : 0;
    word = along_k ? t % kDepth : t / kSide, words_on = along_k ? 0 : kThreads / kSide;
    from = matrix + (first + row) * row_step + (begin + word * kSteps) * k_step;
    on = rows_on * row_step + words_on * kSteps * k_step;
  }

  // The next tile, of whose steps `steps_left` exist.
  __device__ void fetch(int64_t steps_left) {
    const int left = steps_left < kOn ? static_cast<int>(steps_left) : kOn;
#pragma unroll
    for (int e = 0; e < kSide * kDepth / kThreads; ++e) {
      auto number = [&](int s) {
        const bool exists = row + e * rows_on < rows && (word + e * words_on) * kSteps + s < left;
        return exists ? from[e * on + s * k_step] : 0.0f;
      };
      if constexpr (kPrecision == Precision::bf16) on_its_way[e] = pack_bf16(number(0), number(1));
      else on_its_way[e] = round_tf32(number(0));
    }
    from += kOn * k_step;
  }
  __device__ void store(Words& words) const {
#pragma unroll
    for (int e = 0; e < kSide * kDepth / kThreads; ++e) words[row + e * rows_on][word + e * words_on] = on_its_way[e];
  }
};

// One block for each tile of C, along the grid's z one for each part of each product, as in `products.cu`.
template <Precision kPrecision>
__global__ void __launch_bounds__(kThreads) rounded_kernel(Product<float> p, int64_t parts, float* partial) {
  __shared__ Words a;
  __shared__ Words b;
  const int64_t down = (p.m + kSide - 1) / kSide;
  const int64_t row = blockIdx.x % down * kSide, column = blockIdx.x / down * kSide;
  const int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32;
  const int of_a = warp / 4 * 64, of_b = warp % 4 * 32;  // where the warp's part begins
  for (int64_t z = blockIdx.z; z < p.batch.numel * parts; z += gridDim.z) {
    const Product<float> one = one_of(p, z / parts);
    const int64_t part = z % parts, begin = p.k * part / parts, end = p.k * (part + 1) / parts;
    Side<kPrecision> left(one.a, row, p.m, p.a_row, p.a_column, begin),
        right(one.b, column, p.n, p.b_column, p.b_row, begin);
    float sum[4][4][4] = {};
    left.fetch(end - begin);
    right.fetch(end - begin);
    constexpr int kOn = Side<kPrecision>::kOn;
    for (int64_t p0 = begin; p0 < end; p0 += kOn) {
      left.store(a);
      right.store(b);
      __syncthreads();
      if (p0 + kOn < end) {  // while these are multiplied, the next are on their way
        left.fetch(end - p0 - kOn);
        right.fetch(end - p0 - kOn);
      }
#pragma unroll
      for (int w = 0; w < kDepth; w += 8) {
        // Register r of A: row l / 4, from the third on 4 words further; every second one 8 rows below. Of B likewise.
        uint32_t x[4][4], y[4][2];
#pragma unroll
        for (int i = 0; i < 4; ++i)
#pragma unroll
          for (int r = 0; r < 4; ++r) {
            const fragment::Place at = fragment::tf32_a(lane, r);
            x[i][r] = a[of_a + 16 * i + at.row][w + at.column];
          }
#pragma unroll
        for (int j = 0; j < 4; ++j)
#pragma unroll
          for (int r = 0; r < 2; ++r) {
            const fragment::Place at = fragment::tf32_b(lane, r);
            y[j][r] = b[of_b + 8 * j + at.column][w + at.row];
          }
#pragma unroll
        for (int i = 0; i < 4; ++i)
#pragma unroll
          for (int j = 0; j < 4; ++j) {
            if constexpr (kPrecision == Precision::bf16) mma_bf16(sum[i][j], x[i], y[j][0], y[j][1]);
            else mma_tf32(sum[i][j], x[i], y[j][0], y[j][1]);
          }
      }
      __syncthreads();
    }
#pragma unroll
    for (int i = 0; i < 4; ++i)
#pragma unroll
      for (int j = 0; j < 4; ++j)
#pragma unroll
        for (int r = 0; r < 4; ++r) {
          const fragment::Place at = fragment::c(lane, r);
          const int64_t to_row = row + of_a + 16 * i + at.row, to_column = column + of_b + 8 * j + at.column;
          if (to_row >= p.m || to_column >= p.n) continue;
          if (partial) partial[(z * p.m + to_row) * p.n + to_column] = sum[i][j][r];
          else finish(one, to_row, to_column, sum[i][j][r]);
        }
  }
}

}  // namespace

void multiply_rounded(const Product<float>& p, Device device) {
  const int64_t tiles = pieces(p.m, kSide) * pieces(p.n, kSide), parts = parts_of(p, tiles);
  const Scratch<float> partial(parts > 1 ? p.batch.numel * parts * p.m * p.n : 0, device);
  const Grid grid{
      .blocks = {static_cast<unsigned>(tiles), 1, deep(p.batch.numel * parts)}, .threads = {kThreads}, .needs = 80};
  if (gpu_options().precision == Precision::bf16)
    launch("matmul_bf16", rounded_kernel<Precision::bf16>, grid, p, parts, partial.data());
  else launch("matmul_tf32", rounded_kernel<Precision::tf32>, grid, p, parts, partial.data());
  if (parts > 1) add_parts(p, parts, partial.data());
}

}  // namespace cr::backend::CR_GPU
