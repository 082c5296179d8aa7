// Row $r$ begins at word $(64 + p)\, r$, so the lanes' banks are $p\, r \bmod 32$.
// They are 32 different ones if and only if $p$ has no factor in common with 32: if
// it is odd. With four numbers at once, eight lanes want 32 words together, and
// their first words must lie in different groups of four banks: $(64 + p)\, r / 4
// \bmod 8$, so $p$ must be 4 times something odd.
#include <algorithm>
#include <array>
#include <cstdio>
#include <numeric>

static int wavefronts(int padding, int lanes, int words) {
  std::array<int, 32> wanted = {};
  for (int lane = 0; lane < lanes; ++lane)
    for (int w = 0; w < words; ++w)
      ++wanted[size_t(((64 + padding) * lane + w) % 32)];
  return *std::max_element(wanted.begin(), wanted.end());
}

int main() {
  bool right = true;
  for (int p = 0; p <= 32; ++p) {
    right &= wavefronts(p, 32, 1) == std::gcd(p == 0 ? 32 : p, 32);
    if (p % 4 == 0)
      right &= (wavefronts(p, 8, 4) == 1) ==
               (p / 4 % 2 == 1);  // other paddings would not be aligned
  }
  std::printf(
      "one number: 1 wavefront for odd paddings; four: for 4, 12, 20, 28\n");
  return right ? 0 : 1;
}
