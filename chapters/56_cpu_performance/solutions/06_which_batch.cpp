// The ridge of that machine lies at $200 / 25 = 8$ operations for each byte. The layer makes $2 m k n$ operations on
// $4 (m k + k n + m n)$ bytes, and with $k = n$ this is at least 8 when
//
// $$\frac{2 m n^2}{4 (2 m n + n^2)} = \frac{m n}{2 (2 m + n)} \ge 8
//   \quad\Longleftrightarrow\quad m\,(n - 32) \ge 16\, n .$$
//
// For $n = 1000$: $m \ge 16.5$, so from 17 rows on. For $n \le 32$ no batch is large enough: even an endless one makes only $n / 4$
// operations for each byte.
//
// In bfloat16 the intensity doubles and the ridge moves from 8 to 64. Halving the bytes is not enough: the batch has to grow.
// Faster arithmetic makes more programs memory-bound.
#include <cstdint>
#include <cstdio>

// Operations for each byte, numbers of `bytes` bytes.
static double intensity(int64_t m, int64_t k, int64_t n, double bytes) {
  return 2.0 * double(m * k * n) / (bytes * double(m * k + k * n + m * n));
}

// The smallest batch at or right of the ridge; 0 if there is none below a million.
static int64_t smallest(int64_t width, double ridge, double bytes) {
  for (int64_t m = 1; m < 1'000'000; ++m)
    if (intensity(m, width, width, bytes) >= ridge) return m;
  return 0;
}

int main() {
  const int64_t batch = smallest(1000, 8, 4), bf16 = smallest(1000, 64, 2);
  std::printf("float32: from a batch of %ld on; bfloat16: %ld\n", long(batch),
              long(bf16));
  const bool narrow = smallest(32, 8, 4) == 0 && smallest(33, 8, 4) == 16 * 33;
  return batch == 17 && narrow && bf16 > 4 * batch - 4 ? 0 : 1;
}
