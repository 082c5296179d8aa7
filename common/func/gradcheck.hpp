// # Is this derivative right?
//
// The definition itself is the test. Move one number of an input by ε both ways, and see what the outputs do:
//
// $$\frac{\partial f}{\partial x} \approx \frac{f(x + \varepsilon) - f(x - \varepsilon)}{2 \varepsilon} .$$
//
// The error of this **central difference** is of order ε², and rounding adds about $10^{-16} / \varepsilon$: in
// float64 with $\varepsilon = 10^{-6}$ about ten digits remain, in float32 none. Where f has a kink (relu at 0) no
// derivative is right, and the check fails there: choose other numbers.
#pragma once

#include "func/function.hpp"

namespace cr {

struct GradcheckOptions {
  double eps = 1e-6;
  double atol = 1e-5;  // good if |analytic − numeric| ≤ atol + rtol · |numeric|
  double rtol = 1e-3;
  bool raise_exception = true;
};

// Compares every ∂output/∂input of f, which may have several of both, with central differences. All floating-point
// inputs are differentiated and must be float64 (else DTypeError); they may be views of any layout, and those of other
// types are passed on as they are. Also checked: that f gives the same result twice, and the same gradient with and
// without `create_graph`. Throws AutogradError naming output, input, element and both numbers of the worst mismatch;
// returns false instead if `raise_exception` is off.
bool gradcheck(const TensorFunction& f, const Tensors& inputs, const GradcheckOptions& options = {});

// The same for second derivatives: `gradcheck` of the function that maps (inputs, v) to the gradients weighted by v.
// The v are fixed random numbers.
bool gradgradcheck(const TensorFunction& f, const Tensors& inputs, const GradcheckOptions& options = {});

}  // namespace cr
