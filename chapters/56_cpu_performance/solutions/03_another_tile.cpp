// A tile of $r$ rows by $v$ vectors has $r v$ sums and needs $r v + v + 1 \le 16$ registers; it takes $r + v$ loads for $r v$
// multiply-adds. Of what fits, 4 × 3 takes the fewest: 7 loads for 12, against 8 for 12. It needs all 16 registers.
//
// Is it faster? Hardly, where it is at all: the processor can do two loads in a cycle beside its two multiply-adds, and 8 loads for 12
// leave room enough. Its 24 columns fit worse: 1000 is 41 tiles and two thirds of one.
#include <cstdio>

#include "chainrule.hpp"
#include "clock.hpp"
#include "machine.hpp"
#include "rung_6_avx2.hpp"

using namespace cr;

#if CHAINRULE_X86_DISPATCH
[[gnu::target("avx2,fma")]] static void tile_4x24(const Tile& t) {
  __m256 sum[4][3];
#pragma GCC unroll 16
  for (int i = 0; i < 4; ++i)
#pragma GCC unroll 16
    for (int j = 0; j < 3; ++j) sum[i][j] = _mm256_setzero_ps();
  const float *a = t.a, *b = t.b;
  for (int64_t p = t.k; p > 0; --p, a += 4, b += t.b_step) {
    __m256 row[3];
#pragma GCC unroll 16
    for (int j = 0; j < 3; ++j) row[j] = _mm256_loadu_ps(b + 8 * j);
#pragma GCC unroll 16
    for (int i = 0; i < 4; ++i) {
      const __m256 x = _mm256_broadcast_ss(a + i);
#pragma GCC unroll 16
      for (int j = 0; j < 3; ++j) sum[i][j] = _mm256_fmadd_ps(x, row[j], sum[i][j]);
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < 4; ++i)
#pragma GCC unroll 16
    for (int j = 0; j < 3; ++j) {
      float* c = t.c + i * t.c_row + 8 * j;
      _mm256_storeu_ps(c, _mm256_add_ps(_mm256_loadu_ps(c), sum[i][j]));
    }
}

static bool try_it() {
  const int64_t m = 301, n = 403, k = 500;
  const Kernel ours = {4, 24, tile_4x24};
  Generator random(1);
  Tensor a = randn({m, k}, random), b = randn({k, n}, random), c = empty({m, n});
  const Product g = product_of(a, b, c);
  five_loops(g, ours);
  const double gap = amax(abs(c - matmul(a, b))).item();
  const std::vector<double> times =
      race({[&] { five_loops(g, ours); }, [&] { five_loops(g, kAvx2); }}, 7);
  std::printf("largest gap %.2g; 6 x 16 takes %.2f times as long as 4 x 24\n", gap,
              times[1] / times[0]);
  return gap < 1e-3;
}
#else
static bool try_it() { return true; }
#endif

int main() {
  int best_rows = 0, best_vectors = 0;
  double fewest = 1e9;
  for (int r = 1; r <= 15; ++r)
    for (int v = 1; r * v + v + 1 <= 16; ++v)
      if (double(r + v) / (r * v) < fewest)
        fewest = double(r + v) / (r * v), best_rows = r, best_vectors = v;
  std::printf("%d rows of %d vectors: %.3f loads for each multiply-add\n",
              best_rows, best_vectors, fewest);
  if (!has(Isa::avx2)) std::printf("this machine has no AVX2\n");
  else if (!try_it()) return 1;
  return best_rows == 4 && best_vectors == 3 ? 0 : 1;
}
