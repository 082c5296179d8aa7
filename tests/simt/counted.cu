#include "counted.cuh"

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

struct CountsItself {
  explicit CountsItself(int& counter) : n(counter) { ++n; }
  ~CountsItself() { --n; }
  int& n;
};
__global__ void throwing(int* alive, unsigned which) {
  CountsItself counted(*alive);
  __syncwarp();
  __syncthreads();
  if (threadIdx.x == which) throw std::out_of_range("thrown in a kernel");
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

void run_throwing(int* alive, unsigned which) {
  Memory memory(alive, sizeof *alive);
  launch("throwing", throwing, {.blocks = {2}, .threads = {64}}, alive, which);
}

void run_stack_hungry(int bytes) { launch("stack_hungry", stack_hungry, {.blocks = {1}, .threads = {2}}, bytes); }

void run_nothing(unsigned blocks_x, unsigned blocks_y, unsigned blocks_z, unsigned threads_x, unsigned threads_y,
                 unsigned threads_z, unsigned long shared_bytes) {
  launch("nothing", nothing,
         {.blocks = {blocks_x, blocks_y, blocks_z},
          .threads = {threads_x, threads_y, threads_z},
          .shared_bytes = shared_bytes});
}

void run_nested() { launch("outer", nested, {.blocks = {1}, .threads = {1}}); }
