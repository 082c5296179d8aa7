#include "func/gradcheck.hpp"

#include <cmath>
#include <cstdio>

#include "autograd/autograd.hpp"
#include "ops/create.hpp"
#include "ops/elementwise.hpp"

namespace cr {
namespace {

std::string digits(double v) {
  char text[32];
  std::snprintf(text, sizeof text, "%.9g", v);
  return text;
}

// "output 1[0, 2]", or "input 0" for a 0-d tensor.
std::string element(const char* what, size_t which, int64_t flat, const Shape& shape) {
  std::string text = std::string(what) + " " + std::to_string(which);
  std::string at;
  for (int d = shape.size() - 1; d >= 0; --d) {
    at = std::to_string(flat % shape[d]) + (at.empty() ? "" : ", ") + at;
    flat /= shape[d];
  }
  return at.empty() ? text : text + "[" + at + "]";
}

std::vector<double> numbers(const Tensor& x) {
  Tensor flat = x.detach().to(Device::cpu).to(DType::float64).contiguous();
  auto span = flat.span<double>();
  return {span.begin(), span.end()};
}

bool same(double a, double b) { return a == b || (std::isnan(a) && std::isnan(b)); }

// Outputs that have a derivative, evaluated without recording.
std::vector<std::vector<double>> values(const TensorFunction& f, const Tensors& x) {
  std::vector<std::vector<double>> all;
  for (const Tensor& y : f(x)) {
    if (is_floating(y.dtype())) all.push_back(numbers(y));
  }
  return all;
}

class Check {
 public:
  Check(const char* op, const TensorFunction& f, const Tensors& inputs, const GradcheckOptions& options)
      : op_(op), f_(f), inputs_(inputs), options_(options) {
    for (size_t i = 0; i < inputs.size(); ++i) {
      DType type = inputs[i].dtype();
      if (is_floating(type) && type != DType::float64) {
        throw DTypeError(std::string(op) + ": input " + std::to_string(i) + " is " + name(type) +
                         "; differences have no digits left there, use float64");
      }
      if (is_floating(type)) checked_.push_back(i);
    }
    if (checked_.empty()) throw DTypeError(std::string(op) + ": no input is float64, so there is nothing to check");
  }

  // What is wrong, or nothing.
  std::string run() {
    EnableGrad on;
    Tensors x = inputs_, leaves;
    for (size_t i : checked_) leaves.push_back(x[i] = inputs_[i].detach().requires_grad_());
    Tensors y;
    for (Tensor& t : f_(x)) {
      if (is_floating(t.dtype())) y.push_back(t);
    }
    if (std::string why = not_repeatable(y); !why.empty()) return why;
    for (const Tensor& t : y) {
      if (t.dtype() != DType::float64) {
        throw DTypeError(std::string(op_) + ": f returns " + name(t.dtype()) + " for float64 inputs");
      }
    }
    if (std::string why = depends_on_create_graph(y, leaves); !why.empty()) return why;
    compare(y, leaves, differences(y));
    if (mismatches_ == 0) return "";
    return worst_text_ + " (" + std::to_string(mismatches_) + " of " + std::to_string(compared_) +
           " derivatives differ; this one most)";
  }

 private:
  std::string not_repeatable(const Tensors& y) {
    NoGrad off;
    auto again = values(f_, inputs_);
    if (again.size() != y.size())
      return "f returns " + std::to_string(y.size()) + " outputs, and then " + std::to_string(again.size());
    for (size_t j = 0; j < y.size(); ++j) {
      auto first = numbers(y[j]);
      for (size_t i = 0; i < first.size(); ++i) {
        if (i >= again[j].size() || !same(first[i], again[j][i])) {
          return element("output", j, static_cast<int64_t>(i), y[j].shape()) +
                 " is not the same when f is called again: does it draw random numbers, or write to its input?";
        }
      }
    }
    return "";
  }

  // A rule may have one way for the first derivative and another for the rest.
  std::string depends_on_create_graph(const Tensors& y, const Tensors& leaves) {
    Tensors depends, weights;
    Generator generator(1);
    for (const Tensor& t : y) {
      if (!t.requires_grad()) continue;
      depends.push_back(t);
      weights.push_back(randn(t.shape(), generator, DType::float64));
    }
    if (depends.empty()) return "";
    GradOptions options{.grad_outputs = weights, .retain_graph = true, .allow_unused = true};
    Tensors once = grad(depends, leaves, options);
    options.create_graph = true;
    Tensors recorded = grad(depends, leaves, options);
    for (size_t k = 0; k < leaves.size(); ++k) {
      std::vector<double> a = once[k].defined() ? numbers(once[k]) : std::vector<double>(),
                          b = recorded[k].defined() ? numbers(recorded[k]) : std::vector<double>();
      for (size_t i = 0; i < std::max(a.size(), b.size()); ++i) {
        double p = i < a.size() ? a[i] : 0, q = i < b.size() ? b[i] : 0;
        if (same(p, q) || std::abs(p - q) <= options_.atol + options_.rtol * std::abs(q)) continue;
        return "the gradient of " + element("input", checked_[k], static_cast<int64_t>(i), leaves[k].shape()) + " is " +
               digits(p) + ", but " + digits(q) + " with create_graph";
      }
    }
    return "";
  }

  // [input][output][element of the input][element of the output]
  using Differences = std::vector<std::vector<std::vector<std::vector<double>>>>;
  Differences differences(const Tensors& y) {
    NoGrad off;
    Differences all;
    for (size_t i : checked_) {
      Tensors x = inputs_;
      x[i] = inputs_[i].detach().to(Device::cpu).clone().contiguous();
      auto* number = x[i].mutable_data<double>();
      Device device = inputs_[i].device();
      auto at = [&](int64_t e, double value) {
        double before = number[e];
        number[e] = value;
        Tensors moved = x;
        moved[i] = x[i].to(device);
        auto result = values(f_, moved);
        number[e] = before;
        bool same = result.size() == y.size();
        for (size_t j = 0; j < y.size() && same; ++j) same = result[j].size() == static_cast<size_t>(y[j].numel());
        if (!same) {
          throw ShapeError(std::string(op_) + ": f returns tensors of other sizes when " +
                           element("input", i, e, x[i].shape()) + " moves");
        }
        return result;
      };
      all.emplace_back(y.size());
      for (int64_t e = 0; e < x[i].numel(); ++e) {
        double here = number[e];
        auto above = at(e, here + options_.eps), below = at(e, here - options_.eps);
        for (size_t j = 0; j < y.size(); ++j) {
          for (size_t k = 0; k < above[j].size(); ++k) above[j][k] = (above[j][k] - below[j][k]) / (2 * options_.eps);
          all.back()[j].push_back(std::move(above[j]));
        }
      }
    }
    return all;
  }

  void compare(const Tensors& y, const Tensors& leaves, const Differences& numeric) {
    for (size_t j = 0; j < y.size(); ++j) {
      for (int64_t o = 0; o < y[j].numel(); ++o) {
        Tensors rows(leaves.size());
        if (y[j].requires_grad()) {
          Tensor weight = zeros({y[j].numel()}, DType::float64, y[j].device());
          weight[o] = 1;
          rows = grad({y[j]}, leaves,
                      {.grad_outputs = {weight.reshape(y[j].shape())}, .retain_graph = true, .allow_unused = true});
        }
        for (size_t k = 0; k < leaves.size(); ++k) {
          std::vector<double> row =
              rows[k].defined() ? numbers(rows[k]) : std::vector<double>(static_cast<size_t>(leaves[k].numel()), 0);
          for (size_t e = 0; e < row.size(); ++e) {
            judge(row[e], numeric[k][j][e][static_cast<size_t>(o)], [&] {
              return "d " + element("output", j, o, y[j].shape()) + " / d " +
                     element("input", checked_[k], static_cast<int64_t>(e), leaves[k].shape());
            });
          }
        }
      }
    }
  }

  template <class Where> void judge(double analytic, double numeric, Where&& where) {
    ++compared_;
    double error = std::abs(analytic - numeric), excess = error - options_.atol - options_.rtol * std::abs(numeric);
    if (excess <= 0) return;
    if (std::isnan(excess)) excess = HUGE_VAL;
    if (mismatches_++ == 0 || excess > worst_) {
      worst_ = excess;
      worst_text_ = where() + " is " + digits(analytic) + " by its rule and " + digits(numeric) + " by differences";
    }
  }

  const char* op_;
  const TensorFunction& f_;
  const Tensors& inputs_;
  const GradcheckOptions& options_;
  std::vector<size_t> checked_;
  int64_t compared_ = 0, mismatches_ = 0;
  double worst_ = 0;
  std::string worst_text_;
};

bool check(const char* op, const TensorFunction& f, const Tensors& inputs, const GradcheckOptions& options) {
  std::string wrong = Check(op, f, inputs, options).run();
  if (!wrong.empty() && options.raise_exception) throw AutogradError(std::string(op) + ": " + wrong);
  return wrong.empty();
}

}  // namespace

bool gradcheck(const TensorFunction& f, const Tensors& inputs, const GradcheckOptions& options) {
  return check("gradcheck", f, inputs, options);
}

bool gradgradcheck(const TensorFunction& f, const Tensors& inputs, const GradcheckOptions& options) {
  // One v for each output that has a derivative. They come after the inputs, and are checked like them.
  Tensors all = inputs;
  Generator generator(2);
  for (const Tensor& y : f(inputs)) {
    if (is_floating(y.dtype())) all.push_back(randn(y.shape(), generator, DType::float64).to(y.device()));
  }
  size_t n = inputs.size();
  auto gradient = [&](const Tensors& x) {
    EnableGrad on;  // also where the check only wants numbers
    Tensors own, wanted, outputs, weights;
    for (size_t i = 0; i < n; ++i) {
      Tensor t = x[i];
      if (is_floating(t.dtype()) && !t.requires_grad()) t = t.detach().requires_grad_();
      if (is_floating(t.dtype())) wanted.push_back(t);
      own.push_back(t);
    }
    size_t j = n;
    for (const Tensor& y : f(own)) {
      if (!is_floating(y.dtype())) continue;
      if (y.requires_grad()) outputs.push_back(y), weights.push_back(x[j]);
      ++j;
    }
    Tensors g(wanted.size());
    if (!outputs.empty())
      g = grad(outputs, wanted, {.grad_outputs = weights, .create_graph = true, .allow_unused = true});
    for (size_t k = 0; k < g.size(); ++k) {
      if (!g[k].defined()) g[k] = zeros_like(wanted[k]);
    }
    return g;
  };
  return check("gradgradcheck", gradient, all, options);
}

}  // namespace cr
