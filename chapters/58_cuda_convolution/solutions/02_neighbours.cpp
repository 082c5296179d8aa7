// The weights of one filter lie next to each other, $64 \cdot 9 = 576$ of them, so the same tap of the next filter is 2304
// bytes further: 32 lanes, 32 sectors. The pixel is the same for all: one sector. That is $33 \cdot 32 = 1056$ bytes for 32
// multiply-adds, 33 for each, six times as many as before. With the filters next to each other the 32 weights are 128 bytes, 4
// sectors: $5 \cdot 32 / 32 = 5$ bytes, as rung 1 has with places. What matters is not what neighbouring threads compute,
// but whether what they fetch are neighbours.
#include <cstdint>
#include <cstdio>
#include <set>

// Sectors that a warp touches, whose lane l reads the four bytes of number first + l · step.
static int sectors(int64_t first, int64_t step) {
  std::set<int64_t> touched;
  for (int64_t lane = 0; lane < 32; ++lane)
    touched.insert((first + lane * step) * 4 / 32);
  return static_cast<int>(touched.size());
}

int main() {
  const int pixel = sectors(0, 0), apart = sectors(0, 64 * 9),
            together = sectors(0, 1);
  std::printf(
      "weights of 32 filters: %d sectors; next to each other: %d; pixel: %d\n",
      apart, together, pixel);
  std::printf("bytes for each multiply-add: %d and %d\n", apart + pixel,
              together + pixel);
  return apart == 32 && together == 4 && pixel == 1 ? 0 : 1;
}
