// # Names become calls
//
// An operation's name and parameters are PyTorch's; what it calls is ours. One line of a family's table says both:
//
//     {"softplus", "input beta=1 threshold=20", softplus},
//     {"sum", "input dim=null keepdim=false", [](Tensor x, Dims dims, bool keepdim) { return sum(x, dims, keepdim); }},
//
// The types of the function's parameters say how the JSON arguments are read. The golden tests and the conformance
// program `run_ops` both look operations up here.
#pragma once

#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <tuple>
#include <variant>
#include <vector>

#include "chainrule.hpp"

namespace cr::test {

using Json = nlohmann::json;
using NamedTensors = std::map<std::string, Tensor>;

// An argument where PyTorch takes a tensor or a number.
struct Operand : std::variant<Tensor, Scalar> {
  using variant::variant;
  bool is_tensor() const { return index() == 0; }
  const Tensor& tensor() const { return std::get<Tensor>(*this); }
  Scalar scalar() const { return std::get<Scalar>(*this); }
};

// An operation, argument or type that we do not have. What is wrong with the numbers is another Error.
struct Unsupported : Error {
  using Error::Error;
};

// ## Arguments from JSON
//
// A number, or one that JSON cannot write: {"float": "inf"}. A tensor is {"tensor": "its name"}, a list of tensors
// {"tensors": [names]} or a list of such; `null` is an undefined tensor, an empty list or an absent optional.
double number(const Json& j);
void read(const Json& j, const NamedTensors& tensors, Json& out);
void read(const Json& j, const NamedTensors& tensors, double& out);
void read(const Json& j, const NamedTensors& tensors, int64_t& out);
void read(const Json& j, const NamedTensors& tensors, bool& out);
void read(const Json& j, const NamedTensors& tensors, std::string& out);
void read(const Json& j, const NamedTensors& tensors, Scalar& out);
void read(const Json& j, const NamedTensors& tensors, DType& out);
void read(const Json& j, const NamedTensors& tensors, Dims& out);  // an integer is a list of one
void read(const Json& j, const NamedTensors& tensors, Tensor& out);
void read(const Json& j, const NamedTensors& tensors, Operand& out);
template <class T> void read(const Json& j, const NamedTensors& tensors, std::vector<T>& out);
template <class T> void read(const Json& j, const NamedTensors& tensors, std::optional<T>& out) {
  if (!j.is_null()) read(j, tensors, out.emplace());
}
template <class T> void read(const Json& j, const NamedTensors& tensors, std::vector<T>& out) {
  if (j.is_null()) return;
  if (j.is_object() && j.contains("tensors")) {
    for (const Json& name : j["tensors"])
      read(name.is_null() ? name : Json{{"tensor", name}}, tensors, out.emplace_back());
  } else if (j.is_array()) {
    for (const Json& item : j) read(item, tensors, out.emplace_back());
  } else {
    read(j, tensors, out.emplace_back());
  }
}

// The arguments of one call. `take(i)` is the JSON for parameter i: given by position, by name, or its default.
struct Parameter {
  std::string name;
  Json value;  // the default
  bool required, rest;
};
struct Args {
  const std::vector<Parameter>& parameters;
  const Json& positional;
  const Json& named;
  const NamedTensors& tensors;
  Json take(size_t i) const;
  template <class T> T get(size_t i) const {
    // Scalar and DType have no default of their own.
    if constexpr (std::is_same_v<T, Scalar>) {
      Scalar s{0};
      read(take(i), tensors, s);
      return s;
    } else {
      T value{};
      read(take(i), tensors, value);
      return value;
    }
  }
  void check(const std::string& op) const;  // throws Unsupported for an argument that no parameter takes
};

// ## Results
//
// A tensor, several, or a plain number, as a list of tensors.
using Outputs = std::vector<Tensor>;
inline Outputs outputs(Tensor y) { return {std::move(y)}; }
inline Outputs outputs(Outputs ys) { return ys; }
inline Outputs outputs(bool y) { return {Tensor(y)}; }
inline Outputs outputs(int64_t y) { return {Tensor(y)}; }
template <class... T> Outputs outputs(const std::tuple<T...>& ys) {
  return std::apply([](auto&... y) { return Outputs{y...}; }, ys);
}
template <class A, class B> Outputs outputs(const std::pair<A, B>& ys) { return {ys.first, ys.second}; }

// ## One line of a table
template <class F> struct Signature : Signature<decltype(&F::operator())> {};
template <class R, class... A> struct Signature<R (*)(A...)> { using arguments = std::tuple<std::decay_t<A>...>; };
template <class C, class R, class... A> struct Signature<R (C::*)(A...) const> : Signature<R (*)(A...)> {};

struct Op {
  std::string name;
  std::vector<Parameter> parameters;
  std::function<Outputs(const Args&)> call;

  // `words`: the parameters' names in PyTorch's order, each with its default, in JSON without spaces, unless it must be
  // given. A name that begins with * takes all remaining positional arguments as one list.
  template <class F> Op(const char* op_name, const char* words, F f) : name(op_name), parameters(parse(words)) {
    using A = typename Signature<F>::arguments;
    require_arity(std::tuple_size_v<A>);
    call = [f](const Args& args) {
      return [&]<size_t... i>(std::index_sequence<i...>) {
        // In a braced list, arguments are read from left to right.
        A values{args.get<std::tuple_element_t<i, A>>(i)...};
        return outputs(f(std::get<i>(values)...));
      }
      (std::make_index_sequence<std::tuple_size_v<A>>{});
    };
  }

 private:
  static std::vector<Parameter> parse(const std::string& words);
  void require_arity(size_t n) const;
};

// Picks one of several functions of a name: the one from tensor to tensor.
using Unary = Tensor (*)(const Tensor&);
using Binary = Tensor (*)(const Tensor&, const Tensor&);
inline Unary unary(Unary f) { return f; }
inline Binary binary(Binary f) { return f; }

// ## The tables, one a family
using Table = std::vector<Op>;
Table elementwise_ops();
Table activation_ops();
Table reduce_ops();
Table view_ops();
Table index_ops();
Table create_ops();
Table product_ops();
Table linalg_ops();
Table norm_ops();
Table loss_ops();
Table conv_ops();

// All of them by name.
const std::map<std::string, Op>& all_ops();

// The operation of this name, or null. PyTorch's prefixes may be there or not: `torch.nn.functional.gelu` is `gelu`.
const Op* find_op(const std::string& name);

// Calls the operation of this name. Throws Unsupported if it or one of its arguments is unknown.
Outputs call_op(const std::string& name, const Json& positional, const Json& named, const NamedTensors& tensors);

}  // namespace cr::test
