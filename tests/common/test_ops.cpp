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

std::vector<Tensor> wanted(const OpCase& c, const Tensors& inputs) {
  std::vector<Tensor> list;
  for (const std::string& name : c.grad) list.push_back(inputs.at(name));
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
    Tensors inputs = make_inputs(c);
    // Where there are gradients the numbers are tame, and a sum's last bits count in units of its terms.
    double of_largest = c.grad.empty() ? 0 : 1;
    Tensor y = c.call(inputs);
    failures.note(c.id, difference(y, golden(c.id + "/out0"), c.ulps, of_largest));
    if (c.grad.empty()) return;
    GradOptions options{.grad_outputs = {golden(c.id + "/cotangent0")}, .allow_unused = true};
    std::vector<Tensor> grads = grad(std::vector<Tensor>{y}, wanted(c, inputs), options);
    for (size_t k = 0; k < grads.size(); ++k) {
      const Tensor& want = golden(c.id + "/grad/" + std::to_string(k));
      failures.note(c.id + " grad " + std::to_string(k), difference(or_zeros(grads[k], want), want, 2 * c.ulps, 2));
    }
  });
}

TEST_CASE("create_graph does not change the gradients", "[ops]") {
  Failures failures;
  for_each_case(false, failures, [&](const OpCase& c) {
    if (c.grad.empty()) return;
    auto grads = [&](bool create_graph) {
      Tensors inputs = make_inputs(c);
      GradOptions options{
          .grad_outputs = {golden(c.id + "/cotangent0")}, .create_graph = create_graph, .allow_unused = true};
      return grad(std::vector<Tensor>{c.call(inputs)}, wanted(c, inputs), options);
    };
    std::vector<Tensor> plain = grads(false), recorded = grads(true);
    for (size_t k = 0; k < plain.size(); ++k) {
      if (!plain[k].defined() && !recorded[k].defined()) continue;
      failures.note(c.id, difference(recorded[k], plain[k], 2 * c.ulps, 2));
    }
  });
}

// ## Finite differences
//
// For a cotangent c and directions v, first L(x) = c · y(x), then S(x, c) = v · ∂L/∂x: the derivatives of both, which our
// rules give, against central differences, in float64. The cotangent is an input of S like any other: second derivatives
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
  Numbers first, second;  // second: with the cotangent's last
};

Gradients gradients(const OpCase& c, const Tensors& inputs, const Tensor& cotangent, bool second) {
  Gradients out;
  std::vector<Tensor> x = wanted(c, inputs);
  Tensor y = c.call(inputs);
  out.l = sum(y * cotangent).item();
  GradOptions options{.grad_outputs = {cotangent}, .create_graph = second, .allow_unused = true};
  std::vector<Tensor> g = grad(std::vector<Tensor>{y}, x, options);
  Tensor s = zeros({}, DType::float64);
  for (size_t k = 0; k < g.size(); ++k) {
    out.first.push_back(numbers_of(or_zeros(g[k], x[k])));
    if (!g[k].defined()) continue;
    s = s + sum(g[k] * from_numbers(directions(x[k].numel(), 100 + k), x[k].shape(), DType::float64));
  }
  out.s = s.item();
  if (!second) return out;
  x.push_back(cotangent);
  std::vector<Tensor> h(x.size());
  if (s.requires_grad()) h = grad(std::vector<Tensor>{s}, x, {.allow_unused = true});
  for (size_t k = 0; k < h.size(); ++k) out.second.push_back(numbers_of(or_zeros(h[k], x[k])));
  return out;
}

}  // namespace

TEST_CASE("derivatives agree with finite differences, first and second order", "[ops]") {
  Failures failures;
  for_each_case(false, failures, [&](const OpCase& c) {
    if (c.grad.empty() || c.order == 0 || golden(c.grad[0]).dtype() != DType::float64) return;
    const Tensor& cotangent = golden(c.id + "/cotangent0");
    Numbers at;
    for (const std::string& name : c.grad) at.push_back(numbers_of(golden(name)));

    auto evaluate = [&](const Numbers& x, bool second) {
      Tensors inputs = make_inputs(c, false);
      for (size_t k = 0; k < c.grad.size(); ++k) {
        inputs[c.grad[k]] = from_numbers(x[k], golden(c.grad[k]).shape(), DType::float64).requires_grad_();
      }
      Tensor weight = second ? from_numbers(x.back(), cotangent.shape(), DType::float64) : cotangent;
      Gradients g = gradients(c, inputs, weight, false);
      return second ? g.s : g.l;
    };
    Gradients ours = gradients(c, make_inputs(c), cotangent.detach().requires_grad_(), c.order > 1);
    failures.note(c.id + " first order",
                  compare(ours.first, differences(at, [&](const Numbers& x) { return evaluate(x, false); })));
    if (c.order < 2) return;
    at.push_back(numbers_of(cotangent));
    failures.note(c.id + " second order",
                  compare(ours.second, differences(at, [&](const Numbers& x) { return evaluate(x, true); })));
  });
}
