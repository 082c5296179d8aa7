// # Derivatives of functions
//
// A function $y = f(x)$ of many numbers has a matrix for a derivative, the **Jacobian**
// $J_{ij} = \partial y_i / \partial x_j$. Backward computes $v^\top J$, a weighted sum of its rows, at the price of a
// few calls of $f$; everything here is made of that. Names, order and results are those of
// `torch.autograd.functional`: with a derivative comes the value, `auto [y, dy] = …`.
//
// Inputs and outputs are floating-point tensors; an output that does not depend on an input has derivative 0. The
// inputs may require gradients or not; results are outside the graph, unless `create_graph` asks for results that can
// be differentiated in their turn. All throw DTypeError for inputs that are not floating-point, ShapeError for a `v`
// that does not match. The versions for one tensor want f to return one tensor.
#pragma once

#include <utility>
#include <vector>

#include "func/function.hpp"

namespace cr {

struct DerivativeOptions {
  bool create_graph = false;
};

// $v^\top J$: the gradient, weighted by v, which has f's outputs' shapes and may be left out if f returns a single
// number.
std::pair<Tensor, Tensor> vjp(const TensorFunction& f, const Tensor& x, const Tensor& v = {},
                              const DerivativeOptions& options = {});
std::pair<Tensors, Tensors> vjp(const TensorFunction& f, const Tensors& inputs, const Tensors& v = {},
                                const DerivativeOptions& options = {});

// $J v$: how fast f changes when x moves in direction v, which has x's shape. One rule an operation suffices for both
// directions: $u^\top J$ is linear in $u$, and its derivative with respect to $u$, along $v$, is $J v$. So this costs
// two passes back and no second set of rules.
std::pair<Tensor, Tensor> jvp(const TensorFunction& f, const Tensor& x, const Tensor& v,
                              const DerivativeOptions& options = {});
std::pair<Tensors, Tensors> jvp(const TensorFunction& f, const Tensors& inputs, const Tensors& v,
                                const DerivativeOptions& options = {});

// $H v$ and $v^\top H$ for f with a single number as its value, H being the matrix of second derivatives, without
// building H. H is symmetric wherever f is twice continuously differentiable, so both are the gradient of $\nabla f
// \cdot v$ (Pearlmutter 1994).
std::pair<Tensor, Tensor> hvp(const TensorFunction& f, const Tensor& x, const Tensor& v,
                              const DerivativeOptions& options = {});
std::pair<Tensor, Tensors> hvp(const TensorFunction& f, const Tensors& inputs, const Tensors& v,
                               const DerivativeOptions& options = {});
std::pair<Tensor, Tensor> vhp(const TensorFunction& f, const Tensor& x, const Tensor& v,
                              const DerivativeOptions& options = {});
std::pair<Tensor, Tensors> vhp(const TensorFunction& f, const Tensors& inputs, const Tensors& v,
                               const DerivativeOptions& options = {});

// All of J: the shape is the output's followed by the input's. One pass back for each number in the output.
Tensor jacobian(const TensorFunction& f, const Tensor& x, const DerivativeOptions& options = {});
std::vector<Tensors> jacobian(const TensorFunction& f, const Tensors& inputs,
                              const DerivativeOptions& options = {});  // [output][input]

// All of H, for f with a single number as its value: the input's shape twice.
Tensor hessian(const TensorFunction& f, const Tensor& x, const DerivativeOptions& options = {});
std::vector<Tensors> hessian(const TensorFunction& f, const Tensors& inputs,
                             const DerivativeOptions& options = {});  // [input][input]

}  // namespace cr
