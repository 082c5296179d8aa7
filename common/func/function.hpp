// # Functions of tensors
//
// What `jvp`, `jacobian`, `gradcheck` and the others take: anything that can be called with one to four tensors, or
// with a vector of them, and returns a tensor or a vector of them.
#pragma once

#include <functional>
#include <string>
#include <type_traits>
#include <vector>

#include "tensor/tensor.hpp"

namespace cr {

using Tensors = std::vector<Tensor>;

class TensorFunction {
 public:
  template <class F>
    requires(!std::same_as<std::remove_cvref_t<F>, TensorFunction>)
  TensorFunction(F f) {
    if constexpr (std::is_invocable_v<F&, Tensor>) take<1>(std::move(f));
    else if constexpr (std::is_invocable_v<F&, Tensor, Tensor>) take<2>(std::move(f));
    else if constexpr (std::is_invocable_v<F&, Tensor, Tensor, Tensor>) take<3>(std::move(f));
    else if constexpr (std::is_invocable_v<F&, Tensor, Tensor, Tensor, Tensor>) take<4>(std::move(f));
    else take<0>(std::move(f));
  }

  // Throws Error if f takes another number of tensors.
  Tensors operator()(const Tensors& inputs) const {
    if (arity_ && inputs.size() != arity_) {
      throw Error("a function of " + std::to_string(arity_) + " tensors was given " + std::to_string(inputs.size()));
    }
    return call_(inputs);
  }

 private:
  static Tensors as_vector(Tensor y) { return {std::move(y)}; }
  static Tensors as_vector(Tensors y) { return y; }

  // `count` tensors one by one; 0: all of them as a vector.
  template <size_t count, class F> void take(F f) {
    arity_ = count;
    call_ = [f = std::move(f)](const Tensors& x) mutable {
      if constexpr (count == 0) return as_vector(f(x));
      else if constexpr (count == 1) return as_vector(f(x[0]));
      else if constexpr (count == 2) return as_vector(f(x[0], x[1]));
      else if constexpr (count == 3) return as_vector(f(x[0], x[1], x[2]));
      else return as_vector(f(x[0], x[1], x[2], x[3]));
    };
  }

  size_t arity_ = 0;
  std::function<Tensors(const Tensors&)> call_;
};

}  // namespace cr
