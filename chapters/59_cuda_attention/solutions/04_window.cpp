// The last tile is the causal one. The first is that of the first key which the
// tile's *first* query still sees. The work is $N w$ now: twice the length, twice
// the work.
#include <algorithm>
#include <cstdio>

#include "schedule.hpp"

static int64_t first_key_tile(int64_t begin, int64_t window, int64_t columns) {
  return std::max<int64_t>(0, begin - window + 1) / columns;
}

int main() {
  int64_t wrong = 0;
  for (int64_t n = 1; n <= 20; ++n)
    for (int64_t window = 1; window <= 20; ++window)
      for (int64_t rows : {1, 2, 3, 4, 8})
        for (int64_t columns : {1, 2, 3, 4, 8}) {
          AttentionSizes s;
          s.queries = s.keys = n, s.width = 64, s.causal = true;
          for (int64_t i0 = 0; i0 < n; i0 += rows)
            for (int64_t tile = 0; tile * columns < n; ++tile) {
              bool any = false;
              for (int64_t i = i0; i < std::min(n, i0 + rows); ++i)
                for (int64_t j = tile * columns;
                     j < std::min(n, (tile + 1) * columns); ++j)
                  any |= j <= i && j > i - window;
              wrong += any != (tile >= first_key_tile(i0, window, columns) &&
                               tile < key_tiles(s, i0, rows, columns));
            }
        }
  auto work = [](int64_t n) {
    AttentionSizes s;
    s.queries = s.keys = n, s.width = 64, s.causal = true;
    int64_t sum = 0;
    for (int64_t i = 0; i < n; i += 32)
      sum += key_tiles(s, i, 32, 32) - first_key_tile(i, 256, 32);
    return double(sum);
  };
  std::printf("wrong: %ld; from 8192 to 16384 the work grows %.2f times\n",
              long(wrong), work(16384) / work(8192));
  return wrong == 0 && work(16384) / work(8192) < 2.05 ? 0 : 1;
}
