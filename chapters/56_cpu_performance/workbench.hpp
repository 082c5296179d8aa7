// A rung is a function of that struct, and the workbench makes such structs and looks at
// the results.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "how_fast.hpp"
#include "rung_1_loops.hpp"

using Rung = void (*)(const Product&);

class Workbench {
 public:
  Workbench(int64_t m, int64_t n, int64_t k, Generator& random)
      : a_(randn({m, k}, random)),
        b_(randn({k, n}, random)),
        c_(zeros({m, n})),
        true_(zeros({m, n}, DType::float64)),
        size_(zeros({m, n}, DType::float64)) {
    // The true product is made in float64, whose rounding is half a billion times finer.
    // Beside it stands the product of the absolute values: a sum of k terms may err by a
    // multiple of that, however small the sum itself has come out.
    // A few hundred rows at a time: large ones take a while.
    const Tensor b = b_.to(DType::float64), b_size = abs(b);
    Progress progress("the true product", m, "rows");
    for (int64_t i = 0; i < m; i += 256) {
      const int64_t rows = std::min<int64_t>(256, m - i);
      const Tensor a = a_.narrow(0, i, rows).to(DType::float64);
      true_.narrow(0, i, rows).copy_(matmul(a, b));            // (rows, n)
      size_.narrow(0, i, rows).copy_(matmul(abs(a), b_size));  // (rows, n)
      progress.update(i + rows);
    }
  }

  // The product, or its first rows only: one part of so many. All rows are alike, and who
  // is slow need not do them all.
  Product product(int64_t part = 1) const {
    Product g = product_of(a_, b_, c_);
    g.m /= part;
    return g;
  }

  // The largest error of what was computed last, in units of its bound; each input may be
  // wrong by `input` as well.
  double error(int64_t part = 1, double input = 0) const {
    const int64_t rows = c_.size(0) / part;
    const double k = double(a_.size(1)), ku = k * std::ldexp(1.0, -24);
    const double bound = (1 + input) * (1 + input) * (1 + ku / (1 - ku)) - 1;
    Tensor gap =
        abs(c_.narrow(0, 0, rows).to(DType::float64) - true_.narrow(0, 0, rows)) /
        (bound * size_.narrow(0, 0, rows));
    const double worst = amax(gap).item();
    return std::isnan(worst) ? INFINITY : worst;
  }

  // Who forgets a number of C shall not find the right one there from the rung before.
  void spoil() { c_.fill_(NAN); }

  const Tensor& result() const { return c_; }
  const Tensor& truth() const { return true_; }

 private:
  Tensor a_, b_, c_, true_, size_;
};

inline double gflops(const Product& g, double time) {
  return 2e-9 * double(g.m) * double(g.n) * double(g.k) / time;
}

// A contestant: a name, a function, and which part of the rows it has to do.
struct Contestant {
  std::string name;
  Rung multiply;
  int64_t part = 1;
  bool threads = false;
  double input = 0;  // relative error of the inputs, if they are rounded first
};

// Before a rung is timed it has to be right: at an odd size, with something left over at
// every edge of every tile, and at the size of the race.
struct Ladder {
  const Machine& machine;
  int64_t n, trap;  // 1000 and 1024
  Workbench odd, square, power;
  double worst = 0;  // the largest error, in units of its bound

  // The slowest do a few dozen rows.
  int64_t spare() const { return std::max<int64_t>(1, n * n / 32768); }

  void check(Workbench& bench, const std::vector<Contestant>& rungs) {
    Progress progress("checking", std::ssize(rungs), "programs");
    for (const Contestant& r : rungs) {
      odd.spoil();
      r.multiply(odd.product());
      worst = std::max(worst, odd.error(1, r.input));
      bench.spoil();
      r.multiply(bench.product(r.part));
      worst = std::max(worst, bench.error(r.part, r.input));
      progress.step();
    }
  }

  std::vector<double> climb(Workbench& bench, const std::vector<Contestant>& rungs,
                            int rounds) {
    check(bench, rungs);
    std::vector<Racer> contestants;
    for (const Contestant& r : rungs)
      contestants.push_back(
          {[&bench, r] { r.multiply(bench.product(r.part)); }, r.threads});
    std::vector<double> rates = race(contestants, rounds);
    for (size_t k = 0; k < rates.size(); ++k)
      rates[k] = gflops(bench.product(rungs[k].part), rates[k]);
    return rates;
  }

  // The last one's speed over the first one's, and one line about both.
  double step(Chapter& chapter, const std::vector<Contestant>& two) {
    const std::vector<double> rates = climb(square, two, 5);
    chapter.say("{}: {:.1f} GFLOP/s. {}: {:.1f} GFLOP/s, {:.1f} % of the peak.",
                two[0].name, rates[0], two[1].name, rates[1],
                1e11 * rates[1] / machine.peak);
    return rates[1] / rates[0];
  }
};
