// The sum is in a register when the loop ends. Adding a number of the bias and cutting at zero
// there costs one load of a neighbour for each lane, 4 sectors a warp. A second kernel would
// have to read all of C and write it again: 8 sectors for each 32 numbers. For C of $m \times
// n$ that is $2 m n / 8$ sectors more, whatever $k$ is.
#include <cstdio>

#include "rung_3_shared.cuh"
#include "workbench.hpp"

namespace cr::backend::CR_GPU {

static __global__ void bias_relu_kernel(float* c, const float* bias, int64_t m,
                                        int64_t n) {
  const int64_t j = int64_t{blockIdx.x} * 32 + threadIdx.x, i = blockIdx.y;
  if (i >= m || j >= n) return;
  const float x = c[i * n + j] + bias[j];
  c[i * n + j] = x > 0 ? x : 0;
}

// Rung 3 with another last line.
template <int kTile>
__global__ void fused_kernel(Product<float> g, const float* bias) {
  __shared__ float a[kTile][kTile];
  __shared__ float b[kTile][kTile];
  const int x = int(threadIdx.x), y = int(threadIdx.y);
  const int64_t i = int64_t{blockIdx.y} * kTile + y,
                j = int64_t{blockIdx.x} * kTile + x;
  float sum = 0;
  for (int64_t p0 = 0; p0 < g.k; p0 += kTile) {
    a[y][x] = i < g.m && p0 + x < g.k ? g.a[i * g.k + p0 + x] : 0.0f;
    b[y][x] = p0 + y < g.k && j < g.n ? g.b[(p0 + y) * g.n + j] : 0.0f;
    __syncthreads();
    for (int p = 0; p < kTile; ++p) sum += a[y][p] * b[p][x];
    __syncthreads();
  }
  if (i >= g.m || j >= g.n) return;
  sum += bias[j];
  g.c[i * g.n + j] = sum > 0 ? sum : 0;
}

}  // namespace cr::backend::CR_GPU

int main() {
  Generator random(1);
  const int64_t n = 96, k = 64;
  Workbench bench(n, n, k, random);
  const Tensor bias = randn({n}, random);
  const simt::Memory memory(bias.data<float>(), size_t(n) * 4);
  const auto sectors = [](const simt::Counts& c) {
    return c.total().load_sectors + c.total().store_sectors;
  };
  const simt::Counts two = bench.run([&](const Product<float>& g) {
    simt::launch(
        "product", simt::shared_kernel<32, true>,
        {.blocks = {unsigned(n / 32), unsigned(n / 32)}, .threads = {32, 32}}, g);
    simt::launch("bias and relu", simt::bias_relu_kernel,
                 {.blocks = {unsigned(n / 32), unsigned(n)}, .threads = {32}}, g.c,
                 bias.data<float>(), n, n);
  });
  const Tensor apart = bench.result().clone();
  const simt::Counts one = bench.run([&](const Product<float>& g) {
    simt::launch(
        "fused", simt::fused_kernel<32>,
        {.blocks = {unsigned(n / 32), unsigned(n / 32)}, .threads = {32, 32}}, g,
        bias.data<float>());
  });
  const int64_t saved = sectors(two) - sectors(one);
  std::printf("%ld sectors in two kernels, %ld in one: %ld saved\n",
              long(sectors(two)), long(sectors(one)), long(saved));
  return saved == 2 * n * n / 8 && amax(abs(apart - bench.result())).item() == 0
             ? 0
             : 1;
}
