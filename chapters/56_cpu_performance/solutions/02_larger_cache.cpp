// Blocks of side $b$ need $4 b^2$ numbers and fetch $2 n^3 / b + n^2$. A cache four times as large has blocks twice as wide,
// and half the traffic. To quarter the traffic it must be *sixteen* times as large: traffic falls with the root of the
// cache. So a processor that gets four times as fast, with the same memory, needs sixteen times the cache to stay busy.
// That is why caches have grown as they have.
#include <cmath>
#include <cstdint>
#include <cstdio>

#include "layout.hpp"

// The numbers that a product of n × n fetches, in blocks of b × b, with a cache for `room` numbers.
static double fetched(int64_t n, int64_t b, int64_t room) {
  PaperCache cache(1, room, 1);
  count_blocks(cache, Layout{n, 1}, b);
  return double(cache.misses);
}

// Leave out the $n^2$ that are fetched in any case.
int main() {
  const int64_t n = 96;
  const double small = fetched(n, 4, 64) - n * n, four = fetched(n, 8, 256) - n * n,
               sixteen = fetched(n, 16, 1024) - n * n;
  std::printf("4 times the cache: 1 / %.3f; 16 times: 1 / %.3f\n", small / four,
              small / sixteen);
  return std::abs(small / four - 2) < 0.01 && std::abs(small / sixteen - 4) < 0.01
             ? 0
             : 1;
}
