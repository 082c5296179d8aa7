// # Gradients
//
// Two ways to ask. `loss.backward()` adds the gradient of `loss` to `grad()` of every leaf it was computed from: for
// training. `grad(y, x)` returns the gradient of y with respect to x and touches nothing: for everything else. With
// `create_graph` the gradients are recorded in their turn, and can be differentiated again, to any order.
#pragma once

#include <optional>
#include <vector>

#include "autograd/node.hpp"

namespace cr {

struct GradOptions {
  std::vector<Tensor> grad_outputs = {};  // one for each output; may be left out for outputs of one element
  std::optional<bool> retain_graph = {};  // keep what the graph saved, for another pass; default: as create_graph
  bool create_graph = false;              // record the gradients, so that they can be differentiated
  bool allow_unused = false;              // an input the outputs do not depend on gets an undefined gradient, no error
};

// The sum over outputs of grad_outputs · ∂output/∂input, one tensor for each input, in its shape. Throws AutogradError if
// an output or input requires no gradient, or an input was not used (see `allow_unused`); ShapeError if a gradient is
// needed for an output of several elements or has another shape.
std::vector<Tensor> grad(const std::vector<Tensor>& outputs, const std::vector<Tensor>& inputs,
                         const GradOptions& options = {});
Tensor grad(const Tensor& output, const Tensor& input, const GradOptions& options = {});
std::vector<Tensor> grad(const Tensor& output, const std::vector<Tensor>& inputs, const GradOptions& options = {});
// `grad({y}, {x})` is about lists, of one element each.
inline std::vector<Tensor> grad(std::initializer_list<Tensor> outputs, std::initializer_list<Tensor> inputs,
                                const GradOptions& options = {}) {
  return grad(std::vector<Tensor>(outputs), std::vector<Tensor>(inputs), options);
}

}  // namespace cr
