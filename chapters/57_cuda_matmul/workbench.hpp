// The workbench makes matrices, lets a rung multiply them, and looks at two
// things: the result, and what the emulator has counted. Kernels on the
// emulator may read what has been announced to it and nothing else, hence
// `Memory`.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <vector>

#include "backend/simt/counts.hpp"
#include "backend/simt/memory.hpp"
#include "book/chapter.hpp"
#include "chainrule.hpp"
#include "ladder.hpp"

using namespace cr;
namespace simt = cr::backend::simt;

// The largest error of C = A B, in units of the bound of [chapter
// 56](../56_cpu_performance/main.cpp#three-loops); each input may be wrong by
// `input` as well. A number that nobody wrote is NaN, and infinitely wrong.
inline double float_error(const Tensor& a, const Tensor& b, const Tensor& c,
                          double input) {
  const Tensor x = a.to(DType::float64), y = b.to(DType::float64);
  const double ku = double(a.size(1)) * std::ldexp(1.0, -24);
  const double bound = (1 + input) * (1 + input) * (1 + ku / (1 - ku)) - 1;
  const double worst = amax(abs(c.to(DType::float64) - matmul(x, y)) /
                            (bound * matmul(abs(x), abs(y))))
                           .item();
  return std::isnan(worst) ? INFINITY : worst;
}

// The same for bfloat16 and C = A Bᵀ. Its inputs are exact. Rounding the result
// changes it by at most a part in 256; the sum before it may err as above. In
// units of both together: rounding alone nearly fills it.
inline double half_error(const Tensor& a, const Tensor& b, const Tensor& c) {
  const Tensor x = a.to(DType::float64), y = b.to(DType::float64).t();
  const double ku = double(a.size(1)) * std::ldexp(1.0, -24), rounding = 1.0 / 256;
  const Tensor right = matmul(x, y), size = matmul(abs(x), abs(y));
  const double worst = amax(abs(c.to(DType::float64) - right) /
                            (rounding * abs(right) + (1 + rounding) * ku * size))
                           .item();
  return std::isnan(worst) ? INFINITY : worst;
}

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

  // The largest error of the last result; each input may be wrong by `input`.
  double error(double input = 0) const { return float_error(a_, b_, c_, input); }

  const Tensor& result() const { return c_; }

 private:
  Tensor a_, b_, c_;
};

// The same for bfloat16: A (m, k), B (n, k), C (m, n).
class HalfBench {
 public:
  HalfBench(int64_t m, int64_t n, int64_t k, Generator& random)
      : a_(randn({m, k}, random).to(DType::bfloat16)),
        b_(randn({n, k}, random).to(DType::bfloat16)),
        c_(full({m, n}, NAN).to(DType::bfloat16)) {}

  simt::Counts run(void (*multiply)(const Product<BFloat16>&)) {
    const Product<BFloat16> g{c_.size(0),          c_.size(1),
                              a_.size(1),          a_.data<BFloat16>(),
                              b_.data<BFloat16>(), c_.mutable_data<BFloat16>()};
    const simt::Memory a(g.a, size_t(g.m * g.k) * 2), b(g.b, size_t(g.n * g.k) * 2),
        c(g.c, size_t(g.m * g.n) * 2);
    return simt::count([&] { multiply(g); });
  }

  double error() const { return half_error(a_, b_, c_); }

 private:
  Tensor a_, b_, c_;
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
  simt::LineCounts seen_of_bf16;  // rung 11, at 128 x 128 x 128

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

  // Bytes fetched for one multiply-add: sectors of 32, for 32 at a time. And
  // wavefronts of shared memory for eight steps of p of a thread's 64 sums:
  // 512 multiply-adds of a warp.
  double bytes(const simt::LineCounts& c) const {
    return double(c.load_sectors) / warp_steps();
  }
  double wavefronts_of_eight(const simt::LineCounts& c) const {
    return double(c.wavefronts) / warp_steps() * 8 * 64;
  }
};
