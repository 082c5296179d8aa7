// A block's sums must fit into registers, and two stages of its tiles into shared memory. A
// multiprocessor has 65 536 registers; leave a quarter for everything else, and 49 152 sums
// remain. A tile of $r \times c$ fetches $4 (1/r + 1/c)$ bytes for a multiply-add. With powers
// of two that is least at 128 × 256 or 256 × 128 (a square of 256 needs all 65 536): 0.047
// bytes. Without caches an H100 has 3.35e12 bytes in a second for 33.5e12 multiply-adds, a
// tenth of a byte for each, so 64 × 128 (0.094) would do. An L2 that gives twice as much to
// blocks that need the same numbers at the same time could feed 32 × 64 (0.19).
#include <cstdio>

struct Tile {
  int rows, columns;
  double bytes() const { return 4.0 / rows + 4.0 / columns; }
};

int main() {
  Tile best{16, 16}, smallest{1 << 10, 1 << 10};
  for (int rows = 16; rows <= 512; rows *= 2)
    for (int columns = 16; columns <= 512; columns *= 2) {
      const Tile tile{rows, columns};
      const int shared = 2 * 16 * (rows + columns) * 4;
      if (rows * columns > 49152 || shared > 227 * 1024) continue;
      if (tile.bytes() < best.bytes()) best = tile;
      if (tile.bytes() <= 0.1 && rows * columns < smallest.rows * smallest.columns)
        smallest = tile;
    }
  std::printf("least bytes: %d x %d, %.4f for a multiply-add\n", best.rows,
              best.columns, best.bytes());
  std::printf("smallest with at most 0.1: %d x %d\n", smallest.rows,
              smallest.columns);
  return best.rows * best.columns == 128 * 256 &&
                 smallest.rows * smallest.columns == 64 * 128
             ? 0
             : 1;
}
