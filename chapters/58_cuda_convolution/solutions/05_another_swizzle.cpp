// 32 banks of 4 bytes are 128 bytes, four rows. Row $r$ and row $r + 4$ fall on the same banks: of eight rows, two and two
// collide. Four rows have eight groups of banks, and with `chunk ^ (row / 4 % 2)` rows 0 to 3 take the first chunk's groups and
// rows 4 to 7 the second's.
#include <cstdio>
#include <set>

static int swizzled(int row, int chunk) {
  return row * 2 + (chunk ^ (row / 4 % 2));
}

int main() {
  bool good = true;
  for (int first = 0; first < 64; first += 8)
    for (int chunk = 0; chunk < 2; ++chunk) {
      std::set<int> groups, plain;
      for (int row = first; row < first + 8; ++row) {
        groups.insert(swizzled(row, chunk) % 8);
        plain.insert((row * 2 + chunk) % 8);
      }
      good = good && groups.size() == 8 && plain.size() == 4;
    }
  std::set<int> places;
  for (int row = 0; row < 64; ++row)
    for (int chunk = 0; chunk < 2; ++chunk) places.insert(swizzled(row, chunk));
  good = good && places.size() == 128 && *places.rbegin() == 127;
  std::printf("%s\n",
              good ? "no two of eight collide, and no chunk is lost" : "wrong");
  return good ? 0 : 1;
}
