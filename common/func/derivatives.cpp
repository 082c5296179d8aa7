#include "func/derivatives.hpp"

#include "autograd/autograd.hpp"
#include "ops/create.hpp"
#include "ops/elementwise.hpp"
#include "ops/index.hpp"
#include "ops/reduce.hpp"

namespace cr {
namespace {

void check_floating(const char* op, const char* what, const Tensors& tensors) {
  for (size_t i = 0; i < tensors.size(); ++i) {
    if (!is_floating(tensors[i].dtype())) {
      throw DTypeError(std::string(op) + ": " + what + " " + std::to_string(i) + " is " + name(tensors[i].dtype()) +
                       ", which has no derivative");
    }
  }
}

void check_direction(const char* op, const char* of, const Tensors& v, const Tensors& x) {
  if (v.size() != x.size()) {
    throw ShapeError(std::string(op) + ": v has " + std::to_string(v.size()) + " tensors for " +
                     std::to_string(x.size()) + " " + of + "s");
  }
  for (size_t i = 0; i < v.size(); ++i) {
    if (!(v[i].shape() == x[i].shape())) {
      throw ShapeError(std::string(op) + ": v has shape " + to_string(v[i].shape()) + " for " + of + " " +
                       std::to_string(i) + " of shape " + to_string(x[i].shape()));
    }
  }
}

// The inputs as f shall see them: with a place in the graph that is theirs alone, so that a tensor given twice, or
// captured by f as well, counts once. With `create_graph` that place leads on to where they came from.
Tensors own_places(const char* op, const Tensors& inputs, bool create_graph) {
  check_floating(op, "input", inputs);
  Tensors x;
  for (const Tensor& t : inputs) {
    x.push_back(create_graph && t.requires_grad() ? t.expand(t.shape()) : t.detach().requires_grad_());
  }
  return x;
}

// v summed against the Jacobian, zeros for inputs that played no part.
Tensors weighted(const Tensors& y, const Tensors& x, const Tensors& v, bool create_graph) {
  Tensors depends, weights;
  for (size_t j = 0; j < y.size(); ++j) {
    if (!y[j].requires_grad()) continue;
    depends.push_back(y[j]);
    weights.push_back(v[j]);
  }
  Tensors g(x.size());
  if (!depends.empty()) {
    g = grad(depends, x,
             {.grad_outputs = weights, .retain_graph = true, .create_graph = create_graph, .allow_unused = true});
  }
  for (size_t i = 0; i < x.size(); ++i) {
    if (!g[i].defined()) g[i] = zeros_like(x[i]);
  }
  return g;
}

Tensors result(const Tensors& tensors, bool create_graph) {
  Tensors out = tensors;
  for (Tensor& t : out) t = create_graph ? t : t.detach();
  return out;
}

const Tensor& only(const char* op, const Tensors& y) {
  if (y.size() == 1) return y[0];
  throw Error(std::string(op) + ": f returns " + std::to_string(y.size()) +
              " tensors; give the inputs as a vector to get as many");
}

const Tensor& number(const char* op, const Tensors& y) {
  if (y.size() == 1 && y[0].numel() == 1) return y[0];
  throw ShapeError(std::string(op) + ": f must return a single number, not " +
                   (y.size() == 1 ? "shape " + to_string(y[0].shape()) : std::to_string(y.size()) + " tensors"));
}

Tensors evaluate(const char* op, const TensorFunction& f, const Tensors& x) {
  Tensors y = f(x);
  check_floating(op, "output", y);
  return y;
}

}  // namespace

std::pair<Tensors, Tensors> vjp(const TensorFunction& f, const Tensors& inputs, const Tensors& v,
                                const DerivativeOptions& options) {
  EnableGrad on;
  Tensors x = own_places("vjp", inputs, options.create_graph), y = evaluate("vjp", f, x);
  bool given = !v.empty() && v[0].defined();
  if (!given) number("vjp", y);
  Tensors weights = given ? v : Tensors{ones_like(y[0])};
  check_direction("vjp", "output", weights, y);
  return {result(y, options.create_graph), weighted(y, x, weights, options.create_graph)};
}

std::pair<Tensors, Tensors> jvp(const TensorFunction& f, const Tensors& inputs, const Tensors& v,
                                const DerivativeOptions& options) {
  EnableGrad on;
  Tensors x = own_places("jvp", inputs, options.create_graph);
  check_direction("jvp", "input", v, inputs);
  Tensors y = evaluate("jvp", f, x), u;
  for (const Tensor& t : y) u.push_back(zeros_like(t).requires_grad_());
  Tensors back = weighted(y, x, u, true);
  return {result(y, options.create_graph), weighted(back, u, v, options.create_graph)};
}

static std::pair<Tensor, Tensors> second(const char* op, const TensorFunction& f, const Tensors& inputs,
                                         const Tensors& v, const DerivativeOptions& options) {
  EnableGrad on;
  Tensors x = own_places(op, inputs, options.create_graph);
  check_direction(op, "input", v, inputs);
  Tensors y = evaluate(op, f, x);
  number(op, y);
  Tensors gradient = weighted(y, x, {ones_like(y[0])}, true);
  return {result(y, options.create_graph)[0], weighted(gradient, x, v, options.create_graph)};
}
std::pair<Tensor, Tensors> hvp(const TensorFunction& f, const Tensors& inputs, const Tensors& v,
                               const DerivativeOptions& options) {
  return second("hvp", f, inputs, v, options);
}
std::pair<Tensor, Tensors> vhp(const TensorFunction& f, const Tensors& inputs, const Tensors& v,
                               const DerivativeOptions& options) {
  return second("vhp", f, inputs, v, options);
}

// Row i of the Jacobian is what comes back when output i alone is given weight 1.
std::vector<Tensors> jacobian(const TensorFunction& f, const Tensors& inputs, const DerivativeOptions& options) {
  EnableGrad on;
  Tensors x = own_places("jacobian", inputs, options.create_graph), y = evaluate("jacobian", f, x);
  std::vector<Tensors> all;
  for (const Tensor& output : y) {
    int64_t n = output.numel();
    std::vector<Tensors> rows(x.size());
    for (int64_t i = 0; i < n; ++i) {
      Tensor weight = zeros({n}, output.dtype(), output.device());
      weight[i] = 1;
      Tensors row = weighted({output}, x, {weight.reshape(output.shape())}, options.create_graph);
      for (size_t k = 0; k < x.size(); ++k) rows[k].push_back(row[k]);
    }
    all.emplace_back();
    for (size_t k = 0; k < x.size(); ++k) {
      Shape shape = output.shape();
      for (int64_t size : x[k].shape()) shape.push_back(size);
      all.back().push_back(n ? stack(rows[k]).reshape(shape) : zeros(shape, x[k].dtype(), x[k].device()));
    }
  }
  return all;
}

std::vector<Tensors> hessian(const TensorFunction& f, const Tensors& inputs, const DerivativeOptions& options) {
  check_floating("hessian", "input", inputs);
  auto gradient = [&](const Tensors& x) {
    Tensors y = evaluate("hessian", f, x);
    number("hessian", y);
    return weighted(y, x, {ones_like(y[0])}, true);
  };
  return jacobian(gradient, inputs, options);
}

// ## For one tensor
std::pair<Tensor, Tensor> vjp(const TensorFunction& f, const Tensor& x, const Tensor& v,
                              const DerivativeOptions& options) {
  auto [y, g] = vjp(f, Tensors{x}, v.defined() ? Tensors{v} : Tensors{}, options);
  return {only("vjp", y), g[0]};
}
std::pair<Tensor, Tensor> jvp(const TensorFunction& f, const Tensor& x, const Tensor& v,
                              const DerivativeOptions& options) {
  auto [y, dy] = jvp(f, Tensors{x}, Tensors{v}, options);
  return {only("jvp", y), dy[0]};
}
std::pair<Tensor, Tensor> hvp(const TensorFunction& f, const Tensor& x, const Tensor& v,
                              const DerivativeOptions& options) {
  auto [y, product] = second("hvp", f, {x}, {v}, options);
  return {y, product[0]};
}
std::pair<Tensor, Tensor> vhp(const TensorFunction& f, const Tensor& x, const Tensor& v,
                              const DerivativeOptions& options) {
  auto [y, product] = second("vhp", f, {x}, {v}, options);
  return {y, product[0]};
}
Tensor jacobian(const TensorFunction& f, const Tensor& x, const DerivativeOptions& options) {
  auto all = jacobian(f, Tensors{x}, options);
  if (all.size() != 1) only("jacobian", Tensors(all.size()));
  return all[0][0];
}
Tensor hessian(const TensorFunction& f, const Tensor& x, const DerivativeOptions& options) {
  return hessian(f, Tensors{x}, options)[0][0];
}

}  // namespace cr
