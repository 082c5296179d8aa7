// # Memory for time
//
// Backward needs what forward computed, so a deep network's activations pile up until they are used. **Checkpointing**
// (Chen et al. 2016) keeps only the inputs of a part of the network, and computes the part again when backward gets
// there. With a network of $n$ layers cut into $\sqrt n$ parts, memory falls from $n$ to about $2 \sqrt n$ layers'
// worth, for one more forward pass.
//
//     Tensor h = checkpoint([&](Tensor x) { return relu(first(x)); }, x);
//
// The graph is recorded as always; only the values in it are missing, and the first rule that asks for one has f
// computed again. So gradients are the same bit for bit, also those of parameters that f captures; derivatives of any
// order, `grad`, hooks and checkpoints within checkpoints work; and dropout draws the same mask again, from whatever
// generator (`RandomTape`).
//
// f is called again later, so what it captures by reference must still be there, and it must do the same again: not
// write to what it was given or captures. AutogradError if it computed something else, or if an argument or a captured
// tensor has been overwritten since. While f runs, all its values are held, once forward and once backward: that is
// the part's size.
#pragma once

#include "func/function.hpp"

namespace cr {

namespace detail {
Tensors checkpoint(const TensorFunction& f, const Tensors& inputs);
}

// f(inputs…), which may be several tensors or a vector; returns what f returns, a tensor or a vector of tensors.
template <class F, std::same_as<Tensor>... T> auto checkpoint(F f, const T&... inputs) {
  if constexpr (std::same_as<std::invoke_result_t<F&, T...>, Tensors>) return detail::checkpoint(f, {inputs...});
  else return detail::checkpoint(f, {inputs...})[0];
}
template <class F> auto checkpoint(F f, const Tensors& inputs) {
  if constexpr (std::same_as<std::invoke_result_t<F&, Tensors>, Tensors>) return detail::checkpoint(f, inputs);
  else return detail::checkpoint(f, inputs)[0];
}

}  // namespace cr
