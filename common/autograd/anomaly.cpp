#include "autograd/anomaly.hpp"

#include <cmath>

#include "backend/backend.hpp"

namespace cr {

constinit thread_local const AnomalyOptions* anomaly_mode = nullptr;

DetectAnomaly::DetectAnomaly(const AnomalyOptions& options) : options_(options), before_(anomaly_mode) {
  anomaly_mode = &options_;
}
DetectAnomaly::~DetectAnomaly() { anomaly_mode = before_; }

namespace anomaly {
namespace {

// "NaN at (1, 2)" for the first bad number of x, or nothing.
std::string bad_number(const Tensor& x) {
  if (!x.defined() || !is_floating(x.dtype())) return "";
  Tensor numbers = backend::copy(x.detach(), DType::float64, Device::cpu);
  auto values = numbers.span<double>();
  for (size_t i = 0; i < values.size(); ++i) {
    double v = values[i];
    if (std::isfinite(v) || (!std::isnan(v) && !anomaly_mode->infinite)) continue;
    Dims at(x.dim(), 0);
    int64_t rest = static_cast<int64_t>(i);
    for (int d = x.dim() - 1; d >= 0; --d) {
      at[d] = rest % x.shape()[d];
      rest /= x.shape()[d];
    }
    return std::string(std::isnan(v) ? "NaN" : v > 0 ? "inf" : "-inf") + " at " + to_string(at);
  }
  return "";
}

std::string outputs_of(Node& node) {
  std::string text = node.name;
  for (const Node::Output& o : node.outputs()) text += " " + to_string(o.shape);
  return text;
}

std::string input_of(Node& node, size_t i) {
  const Node::Edge& e = node.edges()[i];
  if (!e.node) return "a constant";
  return (e.get()->is_leaf() ? "leaf" : e.get()->name) + std::string(" ") +
         to_string(e.get()->outputs()[static_cast<size_t>(e.output)].shape);
}

}  // namespace

void check_outputs(const char* name, std::span<Tensor* const> outputs, std::span<const Tensor* const> inputs) {
  for (Tensor* y : outputs) {
    std::string bad = bad_number(*y);
    if (bad.empty()) continue;
    std::string from;
    for (const Tensor* x : inputs) {
      if (!bad_number(*x).empty()) return;  // the damage was done before
      Node* made = node_of(*x);
      from += from.empty() ? " from " : ", ";
      from += (!made ? "a constant" : made->is_leaf() ? "leaf" : made->name) + std::string(" ") + to_string(x->shape());
    }
    throw AutogradError(std::string(name) + " " + to_string(y->shape()) + ": the result has " + bad +
                        (from.empty() ? "" : "," + from + ", all of them good numbers"));
  }
}

// A gradient that is bad before a rule has seen it was handed in, came from a hook, or overflowed in a sum.
void check_arrived(Node& node, std::span<const Tensor> gradients) {
  for (const Tensor& g : gradients) {
    std::string bad = bad_number(g);
    if (bad.empty()) continue;
    throw AutogradError(outputs_of(node) + ": the gradient that arrived has " + bad +
                        ": no rule made it, so it was handed in, came from a hook, or overflowed in a sum");
  }
}

void check_results(Node& node, const Grads& results) {
  for (int i = 0; i < results.size(); ++i) {
    std::string bad = bad_number(results[i]);
    if (bad.empty()) continue;
    throw AutogradError(outputs_of(node) + ": its rule gives input " + std::to_string(i) + " (" +
                        input_of(node, static_cast<size_t>(i)) + ") a gradient with " + bad);
  }
}

}  // namespace anomaly
}  // namespace cr
