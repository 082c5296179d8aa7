// Row $r$ of column $c$ lies in bank $(s r + c) \bmod 32$. The 32 rows meet 32 different banks
// exactly if $s r$ takes all values modulo 32, that is, if $s$ and 32 have no common divisor:
// if $s$ is odd. In general $\gcd(s, 32)$ numbers meet in each bank. Without longer rows:
// put column $c$ of row $r$ at place $c \oplus r$. Then row and column are both free of
// conflicts, since $\oplus$ with a constant only changes the order.
#include <cstdio>
#include <numeric>

#include "layouts.hpp"

int main() {
  bool right = true;
  for (int step = 32; step <= 64; ++step) {
    std::vector<int> column;
    for (int r = 0; r < 32; ++r) column.push_back(r * step + 5);
    right = right && wavefronts(column) == std::gcd(step, 32);
    std::printf("%d words: %d wavefronts\n", step, wavefronts(column));
  }
  for (int fixed = 0; fixed < 32; ++fixed) {
    std::vector<int> row, column;
    for (int e = 0; e < 32; ++e) {
      row.push_back(fixed * 32 + (e ^ fixed));
      column.push_back(e * 32 + (fixed ^ e));
    }
    right = right && wavefronts(row) == 1 && wavefronts(column) == 1;
  }
  return right ? 0 : 1;
}
