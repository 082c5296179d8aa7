#include "counted.cuh"

#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <vector>

#include "backend/gpu/gpu.cuh"
#include "backend/simt/memory.hpp"

using namespace cr::backend::CR_GPU;

namespace {

// One warp a block. Sectors are 32 bytes, so 32 neighbouring floats lie in 4, floats 32 bytes apart in 32, one float
// that all want in 1; shifted by one float the neighbours touch a fifth.
__global__ void access_patterns(const float* x, float* y) {
  const int t = static_cast<int>(threadIdx.x);
  float sum = x[t];                                        // count: coalesced
  sum += x[8 * t];                                         // count: strided
  sum += x[17];                                            // count: broadcast
  sum += x[t + 1];                                         // count: shifted
  sum += x[31 - t];                                        // count: reversed
  const float4 v = reinterpret_cast<const float4*>(x)[t];  // count: four at once
  sum += v.x + v.y + v.z + v.w;
  sum += x[(t * 7) % 32];                 // count: permuted
  y[t] = sum;                             // count: stored
  y[32 + 2 * t] = static_cast<float>(t);  // count: every second
  if (t % 2 == 0) y[t] = sum + 1;         // count: half a warp
}

// A word's bank is its number modulo 32. A column of a 32 x 32 tile is all one bank; padded to 33 it is all 32.
__global__ void bank_patterns(float* y) {
  __shared__ float tile[32][32];
  __shared__ float padded[32][33];
  __shared__ float4 four[32];
  __shared__ double two[32];
  const int t = static_cast<int>(threadIdx.x);
  for (int i = 0; i < 32; ++i) {
    tile[i][t] = static_cast<float>(i);  // count: row by row
    padded[i][t] = static_cast<float>(i);
  }
  four[t] = make_float4(1, 2, 3, 4);  // count: sixteen bytes
  two[t] = t;                         // count: eight bytes
  __syncthreads();                    // count: barrier
  float sum = tile[t][5];             // count: column
  sum += padded[t][5];                // count: padded column
  sum += tile[0][2 * t % 32];         // count: every second word
  sum += tile[t / 16][2 * t % 32];    // count: two rows
  sum += tile[3][7];                  // count: one word
  y[t] = sum + four[t].x + static_cast<float>(two[t]);
}

__global__ void partial_warps(float* y) {
  const int t = static_cast<int>(threadIdx.x);
  y[t] = 1;  // count: a warp and a quarter
  __syncwarp();
  if (t < 40) y[t] = 2;  // count: all take the branch
  __syncwarp();
  if (t == 3) y[t] = 3;  // count: one lane
}

constexpr int kTile = 16;
__global__ void matmul(const float* a, const float* b, float* c, int n) {
  __shared__ float a_tile[kTile][kTile];
  __shared__ float b_tile[kTile][kTile];
  const int x = static_cast<int>(threadIdx.x), y = static_cast<int>(threadIdx.y);
  const int row = static_cast<int>(blockIdx.y) * kTile + y, column = static_cast<int>(blockIdx.x) * kTile + x;
  float sum = 0;
  for (int k = 0; k < n; k += kTile) {
    a_tile[y][x] = a[row * n + k + x];
    b_tile[y][x] = b[(k + y) * n + column];
    __syncthreads();
    for (int i = 0; i < kTile; ++i) sum += a_tile[y][i] * b_tile[i][x];
    __syncthreads();
  }
  c[row * n + column] = sum;
}

__global__ void double_strided(float* x, int64_t count, int64_t stride) {
  const int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (i < count) x[i * stride] *= 2;
}

// Library copies read and write; all lanes' atomics on one word come one after the other.
__global__ void copies_and_atomics(const float* x, float* y) {
  __shared__ int sum;
  __shared__ int sums[32];
  const int t = static_cast<int>(threadIdx.x);
  if (t == 0) sum = 0;
  sums[t] = 0;
  __syncthreads();
  std::memcpy(y + 16 * t, x + 16 * t, 64);  // count: library copy
  atomicAdd(&sum, t);                       // count: atomics on one word
  atomicAdd(&sums[t], t);                   // count: atomics on many words
  __syncthreads();
  if (sum + sums[t] < 0) y[t] = 0;
}

// The first column of blocks does more.
__global__ void uneven_columns(const float* x, float* y) {
  const int t = static_cast<int>(threadIdx.x);
  y[t] = x[t];
  if (blockIdx.x == 0) y[t] += x[8 * t];
}

__global__ void throwing(unsigned which) {
  __syncwarp();
  __syncthreads();
  if (threadIdx.x == which) throw std::out_of_range("thrown in a kernel");
  __syncthreads();
}

__device__ [[gnu::noinline]] float recursive(int depth, float x) {
  return depth == 0 ? x : recursive(depth - 1, x * 0.5f) + 1;
}
__global__ void recursion(int depth, float* y) { y[threadIdx.x] = recursive(depth, 1); }

__global__ void fill(int n, float* y) {
  for (int i = static_cast<int>(threadIdx.x); i < n; i += 32) y[i] = 1;
}

__global__ void exiting(int code) {
  if (threadIdx.x == 3) std::exit(code);
  __syncthreads();
}

__global__ void stack_hungry(int bytes) {
  volatile char* p = static_cast<volatile char*>(__builtin_alloca(static_cast<size_t>(bytes)));
  for (int i = bytes - 1; i >= 0; --i) p[i] = 1;
}

__global__ void nothing() {}
__global__ void nested() { launch("inner", nothing, {.blocks = {1}, .threads = {1}}); }

}  // namespace

void run_access_patterns(unsigned blocks) {
  std::vector<float> memory(2 * 512 + 16);
  float* x =
      memory.data() + (64 - reinterpret_cast<uintptr_t>(memory.data()) % 64) / sizeof(float);  // at a sector's edge
  Memory all(memory);
  launch("access", access_patterns, {.blocks = {blocks}, .threads = {32}}, x, x + 512);
}

void run_bank_patterns() {
  std::vector<float> y(32);
  Memory all(y);
  launch("banks", bank_patterns, {.blocks = {1}, .threads = {32}}, y.data());
}

void run_partial_warps() {
  alignas(32) float y[40];
  Memory all(y, sizeof y);
  launch("partial", partial_warps, {.blocks = {1}, .threads = {40}}, &y[0]);
}

void run_matmul(const float* a, const float* b, float* c, int n) {
  const auto tiles = static_cast<unsigned>(n / kTile);
  launch("matmul", matmul, {.blocks = {tiles, tiles}, .threads = {kTile, kTile}}, a, b, c, n);
}

void run_double_strided(float* x, int64_t count, int64_t stride) {
  launch("double_strided", double_strided, {.blocks = {static_cast<unsigned>((count + 255) / 256)}, .threads = {256}},
         x, count, stride);
}

void run_copies_and_atomics() {
  alignas(32) static float x[512], y[512];
  Memory x_memory(x, sizeof x), y_memory(y, sizeof y);
  launch("copies_and_atomics", copies_and_atomics, {.blocks = {1}, .threads = {32}}, &x[0], &y[0]);
}

void run_uneven_columns() {
  alignas(32) static float x[256], y[32];
  Memory x_memory(x, sizeof x), y_memory(y, sizeof y);
  launch("uneven_columns", uneven_columns, {.blocks = {32, 32}, .threads = {32}}, &x[0], &y[0]);
}

void run_throwing(unsigned which) { launch("throwing", throwing, {.blocks = {2}, .threads = {64}}, which); }

void run_recursion(int depth) {
  std::vector<float> y(2);
  Memory memory(y);
  launch("recursion", recursion, {.blocks = {1}, .threads = {2}}, depth, y.data());
}

void run_fill(size_t size, int n) {
  std::vector<float> y(size + 64);
  Memory memory(y.data(), size * sizeof(float));
  launch("fill", fill, {.blocks = {1}, .threads = {32}}, n, y.data());
}

void run_exiting(int code) { launch("exiting", exiting, {.blocks = {1}, .threads = {32}}, code); }

void run_stack_hungry(int bytes) { launch("stack_hungry", stack_hungry, {.blocks = {1}, .threads = {2}}, bytes); }

void run_nothing(unsigned blocks_x, unsigned blocks_y, unsigned blocks_z, unsigned threads_x, unsigned threads_y,
                 unsigned threads_z, unsigned long shared_bytes) {
  launch("nothing", nothing,
         {.blocks = {blocks_x, blocks_y, blocks_z},
          .threads = {threads_x, threads_y, threads_z},
          .shared_bytes = shared_bytes});
}

void run_nested() { launch("outer", nested, {.blocks = {1}, .threads = {1}}); }
