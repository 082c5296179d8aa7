// Which line stays while the innermost loop runs? In the order $i, p, j$ a row of B and a row of C meet, four times each, and
// one number of A stays. In $p, i, j$ they do as well, but every row of C is visited again for each $p$, and by then it has gone.
// With $j$ inside the innermost loop walks along rows; with $p$ inside it walks down a column of B; with $i$ inside, down
// a column of A *and* one of C: the worst.
#include <array>
#include <cstdint>
#include <cstdio>

#include "cache.hpp"

// The loops in the order of the three letters. A row of 4 numbers is one line of 16 bytes; as in the chapter, what does not
// change in the innermost loop is kept in a register: it is touched once, before the loop (a number of A or B) or behind it
// (a finished sum of C).
static int64_t misses(const char* order) {
  PaperCache cache(1, 4, 16);
  auto touch = [&](int matrix, int64_t row, int64_t column) {
    cache.touch(64 * matrix + 16 * row + 4 * column);
  };
  std::array<int64_t, 3> at{};  // i, j, p
  auto which = [](char letter) -> size_t {
    return letter == 'i' ? 0 : letter == 'j' ? 1 : 2;
  };
  const size_t outer = which(order[0]), middle = which(order[1]),
               inner = which(order[2]);
  for (at[outer] = 0; at[outer] < 4; ++at[outer])
    for (at[middle] = 0; at[middle] < 4; ++at[middle]) {
      if (inner == 1) touch(0, at[0], at[2]);
      if (inner == 0) touch(1, at[2], at[1]);
      for (at[inner] = 0; at[inner] < 4; ++at[inner]) {
        if (inner != 1) touch(0, at[0], at[2]);
        if (inner != 0) touch(1, at[2], at[1]);
        if (inner != 2) touch(2, at[0], at[1]);
      }
      if (inner == 2) touch(2, at[0], at[1]);
    }
  return cache.misses;
}

int main() {
  bool good = misses("ijp") == 84 && misses("ipj") == 24;
  for (const char* order : {"ijp", "jip", "ipj", "pij", "jpi", "pji"})
    std::printf("%s: %ld misses\n", order, long(misses(order)));
  for (const char* order : {"ijp", "jip", "jpi", "pji"})
    good = good && misses(order) > 2 * misses("pij");
  for (const char* order : {"ijp", "jip", "ipj", "pij", "pji"})
    good = good && misses(order) <= misses("jpi");
  return good ? 0 : 1;
}
