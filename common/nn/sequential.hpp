#pragma once

#include <string>
#include <tuple>

#include "nn/fields.hpp"

namespace cr::nn {

// # Sequential
//
// One layer after another. A layer is anything that takes a tensor and returns one: a model, a function, a lambda. Their
// names are their places, functions counted, as in PyTorch: "0.weight", "2.bias".
//
//     nn::Sequential net(nn::Linear(784, 256), relu, nn::Linear(256, 10));
template <class... Layers> struct Sequential {
  std::tuple<Layers...> layers;

  Sequential() = default;
  explicit Sequential(Layers... list) requires(sizeof...(Layers) > 0) : layers(std::move(list)...) {}

  Tensor operator()(Tensor x) const {
    std::apply([&](const auto&... layer) { ((x = layer(x)), ...); }, layers);
    return x;
  }

  template <class Visit> void visit_fields(Visit&& visit) { visit_each(layers, visit); }
  template <class Visit> void visit_fields(Visit&& visit) const { visit_each(layers, visit); }

 private:
  template <class Tuple, class Visit> static void visit_each(Tuple& all, Visit&& visit) {
    size_t i = 0;
    std::apply([&](auto&... layer) { (visit(std::to_string(i++), layer), ...); }, all);
  }
};

}  // namespace cr::nn
