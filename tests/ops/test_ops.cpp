// # Every operation against PyTorch and against finite differences
#include <algorithm>
#include <cmath>

#include "catch.hpp"
#include "op_cases.hpp"

using namespace cr;
using namespace cr::test;

namespace {

// A gradient that nothing contributed to is zero.
Tensor or_zeros(const Tensor& g, const Tensor& like) { return g.defined() ? g : zeros(like.shape(), like.dtype()); }

std::vector<Tensor> wanted(const OpCase& c, const NamedTensors& inputs) {
  std::vector<Tensor> list;
  for (const std::string& name : c.grad) list.push_back(inputs.at(name));
  return list;
}

// One for each differentiable result.
std::vector<Tensor> cotangents(const OpCase& c, const Outputs& ys) {
  std::vector<Tensor> list;
  for (size_t j = 0; j < differentiable(ys).size(); ++j) {
    list.push_back(golden(c, c.id + "/cotangent" + std::to_string(j)));
  }
  return list;
}

// Fails once, at the end, with everything that went wrong: a thousand cases are one assertion.
struct Failures {
  std::string text;
  int count = 0, checked = 0;
  void note(const std::string& where, const std::string& what) {
    ++checked;
    if (what.empty()) return;
    if (++count <= 40) text += "\n  " + where + ": " + what;
  }
  ~Failures() noexcept(false) {
    INFO(count << " of " << checked << " checks failed" << text);
    CHECK(count == 0);
    CHECK(checked > 0);
  }
};

template <class F> void for_each_case(bool large, Failures& failures, F&& f) {
  for (const OpCase& c : op_cases()) {
    if (c.large != large) continue;
    try {
      f(c);
    } catch (const std::exception& e) {
      failures.note(c.id, std::string("threw ") + e.what());
    }
  }
}

}  // namespace

TEST_CASE("operations have PyTorch's values and vector-Jacobian products", "[ops]") {
  Failures failures;
  for_each_case(false, failures, [&](const OpCase& c) {
    NamedTensors inputs = make_inputs(c);
    // Where there are gradients the numbers are tame, and a sum's last bits count in units of its terms.
    double of_largest = c.grad.empty() ? 0 : 1;
    Outputs ys = c.call(inputs);
    for (size_t j = 0; j < ys.size(); ++j) {
      const Tensor& want = golden(c, c.id + "/out" + std::to_string(j));
      failures.note(c.id + " out " + std::to_string(j), difference(ys[j], want, c.ulps, of_largest));
    }
    if (c.grad.empty()) return;
    GradOptions options{.grad_outputs = cotangents(c, ys), .allow_unused = true};
    std::vector<Tensor> grads = grad(differentiable(ys), wanted(c, inputs), options);
    for (size_t k = 0; k < grads.size(); ++k) {
      const Tensor& want = golden(c, c.id + "/grad/" + std::to_string(k));
      failures.note(c.id + " grad " + std::to_string(k), difference(or_zeros(grads[k], want), want, c.grad_ulps, 2));
    }
  });
}

TEST_CASE("create_graph does not change the gradients", "[ops]") {
  Failures failures;
  for_each_case(false, failures, [&](const OpCase& c) {
    if (c.grad.empty()) return;
    auto grads = [&](bool create_graph) {
      NamedTensors inputs = make_inputs(c);
      Outputs ys = c.call(inputs);
      GradOptions options{.grad_outputs = cotangents(c, ys), .create_graph = create_graph, .allow_unused = true};
      return grad(differentiable(ys), wanted(c, inputs), options);
    };
    std::vector<Tensor> plain = grads(false), recorded = grads(true);
    for (size_t k = 0; k < plain.size(); ++k) {
      if (!plain[k].defined() && !recorded[k].defined()) continue;
      failures.note(c.id, difference(recorded[k], plain[k], c.grad_ulps, 2));
    }
  });
}

// ## Finite differences
//
// For cotangents c and directions v, first L(x) = c · y(x), then S(x, c) = v · ∂L/∂x: the derivatives of both, which our
// rules give, against central differences, in float64. The cotangents are inputs of S like any other: second derivatives
// pass through it.
namespace {

using Numbers = std::vector<std::vector<double>>;

constexpr double kStep = 1e-5;

// The derivatives of f at `at` by central differences.
template <class F> Numbers differences(Numbers at, F&& f) {
  Numbers out;
  for (size_t k = 0; k < at.size(); ++k) {
    out.emplace_back();
    for (double& v : at[k]) {
      double x = v;
      v = x + kStep;
      double up = f(at);
      v = x - kStep;
      double down = f(at);
      v = x;
      out[k].push_back((up - down) / (2 * kStep));
    }
  }
  return out;
}

std::string compare(const Numbers& exact, const Numbers& approximate) {
  double largest = 1;
  for (auto& list : approximate) {
    for (double v : list) largest = std::max(largest, std::abs(v));
  }
  for (size_t k = 0; k < exact.size(); ++k) {
    for (size_t i = 0; i < exact[k].size(); ++i) {
      if (!(std::abs(exact[k][i] - approximate[k][i]) <= 1e-7 * largest)) {
        return "input " + std::to_string(k) + " number " + std::to_string(i) + ": " + std::to_string(exact[k][i]) +
               ", finite difference " + std::to_string(approximate[k][i]);
      }
    }
  }
  return "";
}

std::vector<double> directions(int64_t n, uint64_t seed) {
  Generator g(seed);
  return numbers_of(rand({n}, g, DType::float64) * 2 - 1);
}

// L's gradient, and S's, at the case's inputs as laid out, or at other numbers laid out plainly.
struct Gradients {
  double l = 0, s = 0;
  Numbers first, second;  // second: with the cotangents' last
};

Gradients gradients(const OpCase& c, const NamedTensors& inputs, const std::vector<Tensor>& cotangents, bool second) {
  Gradients out;
  std::vector<Tensor> x = wanted(c, inputs);
  Outputs ys = differentiable(c.call(inputs));
  for (size_t j = 0; j < ys.size(); ++j) out.l += sum(ys[j] * cotangents[j]).item();
  GradOptions options{.grad_outputs = cotangents, .create_graph = second, .allow_unused = true};
  std::vector<Tensor> g = grad(ys, x, options);
  Tensor s = zeros({}, DType::float64);
  for (size_t k = 0; k < g.size(); ++k) {
    out.first.push_back(numbers_of(or_zeros(g[k], x[k])));
    if (!g[k].defined()) continue;
    s = s + sum(g[k] * from_numbers(directions(x[k].numel(), 100 + k), x[k].shape(), DType::float64));
  }
  out.s = s.item();
  if (!second) return out;
  x.insert(x.end(), cotangents.begin(), cotangents.end());
  std::vector<Tensor> h(x.size());
  if (s.requires_grad()) h = grad(std::vector<Tensor>{s}, x, {.allow_unused = true});
  for (size_t k = 0; k < h.size(); ++k) out.second.push_back(numbers_of(or_zeros(h[k], x[k])));
  return out;
}

}  // namespace

TEST_CASE("derivatives agree with finite differences, first and second order", "[ops]") {
  Failures failures;
  for_each_case(false, failures, [&](const OpCase& c) {
    if (c.grad.empty() || c.order == 0 || golden(c, c.grad[0]).dtype() != DType::float64) return;
    std::vector<Tensor> weights = cotangents(c, c.call(make_inputs(c, false)));
    Numbers at, of_weights;
    for (const std::string& name : c.grad) at.push_back(numbers_of(golden(c, name)));
    for (Tensor& w : weights) of_weights.push_back(numbers_of(w));

    // L, or S, at these inputs and, for S, cotangents.
    auto evaluate = [&](const Numbers& x, bool second) {
      NamedTensors inputs = make_inputs(c, false);
      for (size_t k = 0; k < c.grad.size(); ++k) {
        inputs[c.grad[k]] = from_numbers(x[k], golden(c, c.grad[k]).shape(), DType::float64).requires_grad_();
      }
      std::vector<Tensor> moved = weights;
      for (size_t j = 0; second && j < moved.size(); ++j) {
        moved[j] = from_numbers(x[c.grad.size() + j], weights[j].shape(), DType::float64);
      }
      Gradients g = gradients(c, inputs, moved, false);
      return second ? g.s : g.l;
    };
    std::vector<Tensor> leaves;
    for (const Tensor& w : weights) leaves.push_back(w.detach().clone().requires_grad_());
    Gradients ours = gradients(c, make_inputs(c), leaves, c.order > 1);
    failures.note(c.id + " first order",
                  compare(ours.first, differences(at, [&](const Numbers& x) { return evaluate(x, false); })));
    if (c.order < 2) return;
    at.insert(at.end(), of_weights.begin(), of_weights.end());
    failures.note(c.id + " second order",
                  compare(ours.second, differences(at, [&](const Numbers& x) { return evaluate(x, true); })));
  });
}
