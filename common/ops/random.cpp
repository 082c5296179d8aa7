#include "ops/random.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "autograd/node.hpp"
#include "backend/backend.hpp"
#include "ops/create.hpp"
#include "ops/elementwise.hpp"
#include "ops/reduce.hpp"

namespace cr {

// A generator reserves as many of its words as the tensor needs and goes on behind them; each element then depends on
// its own place only, so threads may fill in any order.
template <class Words>
static Tensor random(const char* op, const Shape& shape, DType dtype, backend::Random kind, Generator& generator,
                     Words&& words, int64_t lo = 0, int64_t hi = 0) {
  if (kind != backend::Random::randint && dtype != DType::float32 && dtype != DType::float64)
    throw DTypeError(std::string(op) + ": makes float32 or float64, not " + name(dtype));
  Tensor x = empty(shape, dtype);
  backend::on(x.device()).random(x, kind, generator.reserve(words(x.numel())), lo, hi);
  return x;
}

static void require(bool ok, const std::string& message) {
  if (!ok) throw Error(message);
}

Tensor rand(const Shape& shape, Generator& generator, DType dtype) {
  return random("rand", shape, dtype, backend::Random::uniform, generator, [&](int64_t n) {
    return dtype == DType::float64 ? backend::words_for_uniform<double>(n) : backend::words_for_uniform<float>(n);
  });
}

Tensor randn(const Shape& shape, Generator& generator, DType dtype) {
  return random("randn", shape, dtype, backend::Random::normal, generator, [&](int64_t n) {
    return dtype == DType::float64 ? backend::words_for_normal<double>(n) : backend::words_for_normal<float>(n);
  });
}
Tensor normal(double mean, double std, const Shape& shape, Generator& generator, DType dtype) {
  require(std >= 0, "normal: a standard deviation of " + std::to_string(std));
  return randn(shape, generator, dtype) * std + mean;
}

// If u is uniform over [0, 1), then -ln(1 - u) is exponential.
Tensor exponential(double rate, const Shape& shape, Generator& generator, DType dtype) {
  require(rate > 0, "exponential: a rate of " + std::to_string(rate));
  return log(1 - rand(shape, generator, dtype)) / -rate;
}

Tensor normal(const Tensor& mean, const Tensor& std, Generator& generator) {
  NoGrad no_gradient;
  DType type = promote(mean.dtype(), std.dtype());
  if (!is_floating(type)) throw DTypeError(std::string("normal: needs floating-point tensors, got ") + name(type));
  require(std.numel() == 0 || amin(std).item() >= 0, "normal: a standard deviation is negative");
  Tensor z = randn(broadcast_shapes(mean.shape(), std.shape(), "normal"), generator, type);
  return z.to(mean.device()) * std.detach() + mean.detach();
}
Tensor normal(const Tensor& mean, double std, Generator& generator) {
  return normal(mean, full({}, std, mean.dtype(), mean.device()), generator);
}
Tensor normal(double mean, const Tensor& std, Generator& generator) {
  return normal(full({}, mean, std.dtype(), std.device()), std, generator);
}

Tensor randint(int64_t lo, int64_t hi, const Shape& shape, Generator& generator) {
  if (lo >= hi) throw Error("randint: no integer from " + std::to_string(lo) + " to below " + std::to_string(hi));
  return random("randint", shape, DType::int64, backend::Random::randint, generator, backend::words_for_randint, lo,
                hi);
}

Tensor randperm(int64_t n, Generator& generator) {
  require(n >= 0, "randperm: " + std::to_string(n) + " numbers");
  Tensor x = arange(n);
  generator.shuffle(std::span<int64_t>(x.mutable_data<int64_t>(), static_cast<size_t>(n)));
  return x;
}

Tensor rand_like(const Tensor& x, Generator& generator, std::optional<DType> dtype) {
  return rand(x.shape(), generator, dtype.value_or(x.dtype())).to(x.device());
}
Tensor randn_like(const Tensor& x, Generator& generator, std::optional<DType> dtype) {
  return randn(x.shape(), generator, dtype.value_or(x.dtype())).to(x.device());
}
Tensor randint_like(const Tensor& x, int64_t lo, int64_t hi, Generator& generator, std::optional<DType> dtype) {
  return randint(lo, hi, x.shape(), generator).to(dtype.value_or(x.dtype())).to(x.device());
}

// Compared in float64, whose 53 random bits tell small probabilities apart.
Tensor bernoulli(const Tensor& p, Generator& generator) {
  NoGrad no_gradient;
  if (!is_floating(p.dtype()))
    throw DTypeError(std::string("bernoulli: needs floating-point probabilities, got ") + name(p.dtype()));
  if (p.numel() > 0 && !(amin(p).item() >= 0 && amax(p).item() <= 1))
    throw Error("bernoulli: a probability lies outside 0 … 1");
  return (rand(p.shape(), generator, DType::float64).to(p.device()) < p.detach().to(DType::float64)).to(p.dtype());
}
Tensor bernoulli(const Tensor& x, double p, Generator& generator) {
  require(p >= 0 && p <= 1, "bernoulli: " + std::to_string(p) + " is no probability");
  return (rand(x.shape(), generator, DType::float64) < p).to(x.dtype()).to(x.device());
}

// With replacement: where a uniform number falls among the running sums of the weights. Without: every category waits
// for a time that is exponential with its weight as rate, and the first n to come are taken (Efraimidis and Spirakis
// 2006).
Tensor multinomial(const Tensor& weights, int64_t n, bool replacement, Generator& generator) {
  if (weights.dim() != 1 && weights.dim() != 2) {
    throw ShapeError("multinomial: needs a vector or rows of weights, got shape " + to_string(weights.shape()));
  }
  if (!is_floating(weights.dtype()))
    throw DTypeError(std::string("multinomial: needs floating-point weights, got ") + name(weights.dtype()));
  int64_t categories = weights.shape().back(), rows = weights.dim() == 2 ? weights.shape()[0] : 1;
  require(n > 0 && (replacement || n <= categories),
          "multinomial: " + std::to_string(n) + " of " + std::to_string(categories) + " categories");
  Tensor w = weights.detach().to(Device::cpu).to(DType::float64).contiguous();
  int64_t draws = replacement ? n : categories;
  Tensor u = rand({rows, draws}, generator, DType::float64), picked = empty({rows, n}, DType::int64);
  auto* out = picked.mutable_data<int64_t>();
  std::vector<double> keys(static_cast<size_t>(categories));
  std::vector<int64_t> order(keys.size());
  for (int64_t r = 0; r < rows; ++r) {
    std::span<const double> row = w.span<double>().subspan(static_cast<size_t>(r * categories), keys.size());
    std::span<const double> random =
        u.span<double>().subspan(static_cast<size_t>(r * draws), static_cast<size_t>(draws));
    int64_t positive = std::count_if(row.begin(), row.end(), [](double v) { return v > 0; });
    bool valid = std::all_of(row.begin(), row.end(), [](double v) { return v >= 0 && std::isfinite(v); });
    require(valid, "multinomial: a weight in row " + std::to_string(r) + " is negative or not finite");
    require(positive >= (replacement ? 1 : n), "multinomial: row " + std::to_string(r) + " has " +
                                                   std::to_string(positive) + " weights that are not zero");
    if (replacement) {
      std::partial_sum(row.begin(), row.end(), keys.begin());
      for (double v : random) {
        // The first sum beyond v · total: never a category of weight 0, whose sum is its neighbour's.
        auto at = std::upper_bound(keys.begin(), keys.end(), v * keys.back());
        if (at == keys.end()) at = std::lower_bound(keys.begin(), keys.end(), keys.back());
        *out++ = at - keys.begin();
      }
    } else {
      for (size_t i = 0; i < keys.size(); ++i) {
        keys[i] = row[i] > 0 ? -std::log1p(-random[i]) / row[i] : HUGE_VAL;
        order[i] = static_cast<int64_t>(i);
      }
      auto earlier = [&](int64_t a, int64_t b) {
        double x = keys[static_cast<size_t>(a)], y = keys[static_cast<size_t>(b)];
        return x != y ? x < y : a < b;
      };
      std::partial_sort(order.begin(), order.begin() + n, order.end(), earlier);
      out = std::copy_n(order.begin(), n, out);
    }
  }
  return (weights.dim() == 1 ? picked.view({n}) : picked).to(weights.device());
}

}  // namespace cr
