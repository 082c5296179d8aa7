// Lane $l$ reads bytes $4 (f + l s)$ to $4 (f + l s) + 3$, which lie in sector $\lfloor (f + l
// s) / 8 \rfloor$. For steps up to 8 the 32 lanes span $31 s + 1$ numbers without a gap of a
// sector, so the count is $\lfloor (f + 31 s) / 8 \rfloor - \lfloor f / 8 \rfloor + 1$; from 8
// on every lane has a sector of its own. Step 2 costs 8: twice what neighbours cost, for half
// of each sector. Beginning at the worst place costs one more, for steps from 1 to 7.
#include <cstdio>
#include <set>

#include "workbench.hpp"

int main() {
  const Kernels kernels = cr::backend::simt::kernels();
  const Tensor x = zeros({1024}), y = zeros({32});
  const simt::Memory in(x.data<float>(), 4096), out(y.mutable_data<float>(), 128);
  bool right = true;
  for (int step = 0; step <= 16; ++step) {
    for (int first = 0; first < 8; ++first) {
      std::set<int> sectors;
      for (int lane = 0; lane < 32; ++lane)
        sectors.insert((first + lane * step) / 8);
      const int formula = step >= 8   ? 32
                          : step == 0 ? 1
                                      : (first + 31 * step) / 8 - first / 8 + 1;
      const simt::Counts counts = simt::count([&] {
        kernels.read(x.data<float>(), y.mutable_data<float>(), 32, first, step);
      });
      right = right && std::ssize(sectors) == formula &&
              counts.total().load_sectors == formula;
      if (first == 0) std::printf("step %2d: %2d sectors\n", step, formula);
    }
  }
  return right ? 0 : 1;
}
