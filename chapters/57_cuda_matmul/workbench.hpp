// ## The workbench
//
// It makes matrices, lets a rung multiply them, and looks at two things: the
// result, and what the emulator has counted. Kernels on the emulator may read
// what has been announced to it and nothing else, hence `Memory`.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "backend/simt/counts.hpp"
#include "backend/simt/memory.hpp"
#include "book/chapter.hpp"
#include "chainrule.hpp"
#include "ladder.hpp"

using namespace cr;
namespace simt = cr::backend::simt;

class Workbench {
 public:
  // Random numbers, from the chapter's seed.
  Workbench(int64_t m, int64_t n, int64_t k, Generator& random)
      : a_(randn({m, k}, random)), b_(randn({k, n}, random)), c_(zeros({m, n})) {}

  Product<float> product() const {
    return {c_.size(0),       c_.size(1),       a_.size(1),
            a_.data<float>(), b_.data<float>(), c_.mutable_data<float>()};
  }

  // Runs a rung, and returns what was counted.
  simt::Counts run(const std::function<void(const Product<float>&)>& multiply) {
    const Product<float> g = product();
    const simt::Memory a(g.a, size_t(g.m * g.k) * 4), b(g.b, size_t(g.k * g.n) * 4),
        c(g.c, size_t(g.m * g.n) * 4);
    c_.fill_(NAN);  // who forgets a number shall not find an old one there
    return simt::count([&] { multiply(g); });
  }

  // The largest error of the last result, in units of the bound of [chapter
  // 56](../56_cpu_performance/main.cpp#three-loops); each input may be wrong
  // by `input` as well.
  double error(double input = 0) const {
    const Tensor a = a_.to(DType::float64), b = b_.to(DType::float64);
    const double ku = double(a_.size(1)) * std::ldexp(1.0, -24);
    const double bound = (1 + input) * (1 + input) * (1 + ku / (1 - ku)) - 1;
    const double worst = amax(abs(c_.to(DType::float64) - matmul(a, b)) /
                              (bound * matmul(abs(a), abs(b))))
                             .item();
    return std::isnan(worst) ? INFINITY : worst;
  }

  const Tensor& result() const { return c_; }

 private:
  Tensor a_, b_, c_;
};

// The same for 16 bits: A (m, k), B (n, k), C (m, n). The inputs are rounded
// before anyone multiplies, so they are exact; the result is rounded once.
class HalfBench {
 public:
  HalfBench(int64_t m, int64_t n, int64_t k, Generator& random)
      : m_(m),
        n_(n),
        k_(k),
        a_(round(randn({m, k}, random))),
        b_(round(randn({n, k}, random))),
        c_(size_t(m * n)) {}

  simt::Counts run(void (*multiply)(const Product<Bf16>&)) {
    const simt::Memory a(a_), b(b_), c(c_);
    std::fill(c_.begin(), c_.end(), Bf16(0xffff));
    return simt::count([&] {
      multiply({m_, n_, k_, a_.data(), b_.data(), c_.data()});
    });
  }

  // Rounding the result changes it by at most a part in 256; the sum before
  // it may err as above. In units of both together.
  double error() const {
    const Tensor a = widen(a_, m_, k_), b = widen(b_, n_, k_).t(),
                 c = widen(c_, m_, n_);
    const double ku = double(k_) * std::ldexp(1.0, -24), rounding = 1.0 / 256;
    const Tensor right = matmul(a, b), size = matmul(abs(a), abs(b));
    const double worst =
        amax(abs(c - right) / (rounding * abs(right) + (1 + rounding) * ku * size))
            .item();
    return std::isnan(worst) ? INFINITY : worst;
  }

 private:
  // Tensors to 16 bits and back.
  static std::vector<Bf16> round(const Tensor& x) {
    std::vector<Bf16> halves;
    for (int64_t i = 0; i < x.numel(); ++i)
      halves.push_back(to_bfloat16(x.data<float>()[i]));
    return halves;
  }
  static Tensor widen(const std::vector<Bf16>& x, int64_t rows, int64_t columns) {
    Tensor wide = zeros({rows, columns}, DType::float64);
    for (size_t i = 0; i < x.size(); ++i)
      wide.mutable_data<double>()[i] = double(from_bfloat16(x[i]));
    return wide;
  }
  int64_t m_, n_, k_;
  std::vector<Bf16> a_, b_, c_;
};

// All that the story carries along: the kernels, a small product with
// something left over at every edge, a square one for counting, and what was
// counted of each rung.
struct Ladder {
  Ladder(int64_t n, int64_t depth, Generator& random)
      : kernels(backend::simt::kernels()),
        odd(37, 61, 43, random),
        square(n, n, depth, random) {}

  Kernels kernels;
  Workbench odd, square;
  double worst = 0;  // the largest error of any rung, in units of its bound
  std::vector<simt::LineCounts> seen;

  // Multiply-adds of the square product, in warps: 32 at a time.
  double warp_steps() const {
    const Product<float> g = square.product();
    return double(g.m * g.n * g.k) / 32;
  }

  // Runs the next rung twice, at the awkward shape and at the square one,
  // adds its error to the worst, and returns its counts.
  const simt::LineCounts& climb() {
    const Rung<float>& rung = kernels.ladder[seen.size()];
    odd.run(rung.multiply);
    worst = std::max(worst, odd.error(rung.input));
    seen.push_back(square.run(rung.multiply).total());
    worst = std::max(worst, square.error(rung.input));
    return seen.back();
  }

  // Bytes fetched from memory for one multiply-add, in sectors of 32;
  // wavefronts of shared memory for eight steps of p of a thread's 64 sums.
  double bytes(const simt::LineCounts& c) const {
    return double(c.load_sectors) / warp_steps();
  }
  double wavefronts_of_eight(const simt::LineCounts& c) const {
    return double(c.wavefronts) / warp_steps() * 8 * 64;
  }
};
