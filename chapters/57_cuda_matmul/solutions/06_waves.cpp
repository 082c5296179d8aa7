// 132 multiprocessors take 132 tiles at a time. 4096 × 4096 in tiles of 128 × 256 are 512
// tiles: 3.88 rounds, so four, of which the last is nearly full: 97 % are busy. With 128 × 128
// it is 1024 tiles, 7.76 of 8 rounds, 97 % as well. Worst is 1024: 64 tiles of 128 × 128 keep
// 48 % busy, 32 of 128 × 256 24 %. There everything is the last round: 64 tiles in two slices
// each are 128 pieces of half the length, 32 in four are 128 of a quarter, and all but four
// multiprocessors work. For 3072, 288 tiles of 128 × 256 are 2.18 rounds of 3, and 73 % are
// busy; the last round's 24 tiles in five slices each are 120 pieces of a fifth of the length,
// so 2.2 rounds instead of 3.
#include <cmath>
#include <cstdio>
#include <initializer_list>

static double busy(int n, int rows, int columns) {
  const double count = std::ceil(double(n) / rows) * std::ceil(double(n) / columns);
  return count / (132 * std::ceil(count / 132));
}

int main() {
  for (int n : {1024, 2048, 3072, 4096, 8192})
    std::printf("n = %d: 128 x 128 %.0f %%, 128 x 256 %.0f %%\n", n,
                100 * busy(n, 128, 128), 100 * busy(n, 128, 256));
  const double whole = std::ceil(288.0 / 132), last = 288 - 132 * 2;
  const double sliced = 2 + std::ceil(last * 5 / 132) / 5;
  std::printf("n = 3072: %.1f rounds, with the last one in five slices %.1f\n",
              whole, sliced);
  return std::abs(busy(4096, 128, 256) - 0.97) < 0.005 &&
                 std::abs(busy(1024, 128, 128) - 64 / 132.0) < 1e-9 &&
                 std::abs(busy(1024, 128, 256) - 32 / 132.0) < 1e-9 &&
                 std::abs(busy(3072, 128, 256) - 0.727) < 0.005 &&
                 std::abs(sliced - 2.2) < 1e-9
             ? 0
             : 1;
}
