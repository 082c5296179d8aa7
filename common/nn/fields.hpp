// # A model is a struct of tensors
//
// A model's parts are ordinary members. One line names them, and from that line follows everything one does to a whole
// model: listing its parameters, saving, loading, cloning, moving it to another device.
//
//     struct Mlp {
//       nn::Linear hidden{784, 256}, out{256, 10};
//       Tensor operator()(const Tensor& x) const { return out(relu(hidden(x))); }
//       CR_FIELDS(hidden, out)
//     };
//
// A field is a `Tensor`, another struct with `CR_FIELDS`, or a `std::vector` of either. Names are joined by dots, as in
// PyTorch: `hidden.weight`, `layers.0.bias`. Copying a model copies the handles, so the copy trains with the original;
// `clone` copies the numbers.
//
// Some layers compute something else in training than afterwards. Training mode is a field too, a `bool` called
// `training`; `train(model)` and `eval(model)` set it wherever it occurs.
#pragma once

#include <algorithm>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "autograd/autograd.hpp"

#define CR_FIELDS(...)                                                                                                 \
  template <class Visit> void visit_fields(Visit&& visit) { ::cr::nn::visit_named(#__VA_ARGS__, visit, __VA_ARGS__); } \
  template <class Visit> void visit_fields(Visit&& visit) const {                                                      \
    ::cr::nn::visit_named(#__VA_ARGS__, visit, __VA_ARGS__);                                                           \
  }

namespace cr {
namespace nn {

// Calls `visit("a", a)`, `visit("b", b)`, … for the names in "a, b, …".
template <class Visit, class... Fields> void visit_named(std::string_view names, Visit&& visit, Fields&... fields) {
  auto next = [&] {
    size_t end = std::min(names.find(','), names.size());
    std::string_view name = names.substr(0, end);
    names.remove_prefix(std::min(end + 1, names.size()));
    while (!name.empty() && name.front() == ' ') name.remove_prefix(1);
    while (!name.empty() && name.back() == ' ') name.remove_suffix(1);
    return std::string(name);
  };
  (visit(next(), fields), ...);
}

// Calls `f(full name, x)` for every x of type `T` in `field`, in the order in which they were named.
template <class T, class Field, class F> void visit_all(const std::string& name, Field& field, F&& f) {
  auto join = [&](const std::string& part) { return name.empty() ? part : name + "." + part; };
  if constexpr (std::is_same_v<std::remove_const_t<Field>, T>) {
    f(name, field);
  } else if constexpr (requires { field.visit_fields([](const std::string&, auto&) {}); }) {
    field.visit_fields([&](const std::string& part, auto& inner) { visit_all<T>(join(part), inner, f); });
  } else if constexpr (requires { field.begin(); }) {
    size_t i = 0;
    for (auto& inner : field) visit_all<T>(join(std::to_string(i++)), inner, f);
  }  // anything else, such as a size or a flag, holds none
}

template <class Field, class F> void visit_tensors(const std::string& name, Field& field, F&& f) {
  visit_all<Tensor>(name, field, f);
}

// Sets every flag that is called `training`.
template <class Field> void set_training(Field& field, bool on) {
  if constexpr (requires { field.visit_fields([](const std::string&, auto&) {}); }) {
    field.visit_fields([on](const std::string& name, auto& inner) {
      if constexpr (std::is_same_v<decltype(inner), bool&>) {
        if (name == "training") inner = on;
      } else {
        set_training(inner, on);
      }
    });
  } else if constexpr (requires { field.begin(); }) {
    for (auto& inner : field) set_training(inner, on);
  }
}

template <class T>
concept Model = requires(T& model) {
  model.visit_fields([](const std::string&, auto&) {});
};

}  // namespace nn

// Puts all parts of a model into training mode, in which they begin, or out of it.
template <nn::Model M> void train(M& model, bool on = true) { nn::set_training(model, on); }
template <nn::Model M> void eval(M& model) { nn::set_training(model, false); }

using StateDict = std::map<std::string, Tensor>;

// All tensors of a model by name, parameters and buffers alike. The handles are shared, not copied.
template <class Model> StateDict state_dict(const Model& model) {
  StateDict state;
  nn::visit_tensors("", model, [&](const std::string& name, const Tensor& t) {
    if (t.defined()) state.emplace(name, t);
  });
  return state;
}

// The tensors that require a gradient, in the order of their fields: what an optimiser is given. One that stands in two
// places, as tied weights do, is listed once.
template <class Model> std::vector<Tensor> parameters(const Model& model) {
  std::vector<Tensor> list;
  nn::visit_tensors("", model, [&](const std::string&, const Tensor& t) {
    bool known = std::any_of(list.begin(), list.end(), [&](const Tensor& other) { return other.impl() == t.impl(); });
    if (t.defined() && t.requires_grad() && !known) list.push_back(t);
  });
  return list;
}

// Copies the numbers of `state` into the model's tensors. Throws Error naming what is missing or left over, ShapeError
// naming the tensor whose shape differs; then the model is unchanged.
template <class Model> void load_state_dict(Model& model, const StateDict& state) {
  StateDict own = state_dict(model);
  for (auto& [name, t] : own) {
    auto found = state.find(name);
    if (found == state.end()) throw Error("load_state_dict: no tensor named " + name);
    if (!(found->second.shape() == t.shape())) {
      throw ShapeError("load_state_dict: " + name + " has shape " + to_string(found->second.shape()) +
                       ", the model's has " + to_string(t.shape()));
    }
  }
  for (auto& [name, t] : state) {
    if (!own.count(name)) throw Error("load_state_dict: the model has no tensor named " + name);
  }
  NoGrad no_grad;
  for (auto& [name, t] : own) t.copy_(state.at(name));
}

// A model of the same type with `f(tensor)` in place of every tensor. Tied tensors stay tied.
template <class Model, class F> Model map_tensors(const Model& model, F&& f) {
  Model copy = model;
  std::map<TensorImpl*, std::pair<Tensor, Tensor>>
      done;  // by identity: what was there (held, so that it stays one) and what is now
  nn::visit_tensors("", copy, [&](const std::string&, Tensor& t) {
    if (!t.defined()) return;
    auto [entry, fresh] = done.try_emplace(t.impl());
    if (fresh) entry->second = {t, f(t)};
    t = entry->second.second;
  });
  return copy;
}

// A copy with numbers of its own, and gradients of its own.
template <class Model> Model clone(const Model& model) {
  return map_tensors(model, [](const Tensor& t) { return t.detach().clone().requires_grad_(t.requires_grad()); });
}

// The model on another device (new leaves; itself where it is there already).
template <class Model> Model to(const Model& model, Device device) {
  return map_tensors(model, [&](const Tensor& t) {
    return t.device() == device ? t : t.detach().to(device).requires_grad_(t.requires_grad());
  });
}

// The model with `f(parameter, gradient)` in place of each parameter, one gradient for each of `parameters(model)`.
// Gradients flow through the result: `map_parameters(model, grads, [&](Tensor p, Tensor g) { return p - lr * g; })` is
// the inner step of MAML (Finn et al. 2017).
template <class Model, class F> Model map_parameters(const Model& model, const std::vector<Tensor>& grads, F&& f) {
  if (size_t n = parameters(model).size(); n != grads.size()) {
    throw ShapeError("map_parameters: " + std::to_string(n) + " parameters, but " + std::to_string(grads.size()) +
                     " gradients");
  }
  size_t i = 0;
  return map_tensors(model, [&](const Tensor& t) { return t.requires_grad() ? Tensor(f(t, grads[i++])) : t; });
}

}  // namespace cr
