// # The graph: PyTorch's semantics, program by program
#include <cmath>
#include <fstream>

#include <nlohmann/json.hpp>

#include "catch.hpp"
#include "chainrule.hpp"
#include "compare.hpp"
#include "contains.hpp"

using namespace cr;
using cr::test::numbers_of;

namespace {

Tensor leaf(std::vector<double> values) { return from_vector(values).requires_grad_(); }

// The message of what `f` throws, or what happened instead.
template <class E = AutogradError, class F> std::string error_of(F&& f) {
  try {
    f();
  } catch (const E& e) {
    return e.what();
  } catch (const std::exception& e) {
    return std::string("another exception: ") + e.what();
  }
  return "no exception";
}

const nlohmann::json& semantics() {
  static const nlohmann::json j = nlohmann::json::parse(std::ifstream(cr::test::test_file("golden/semantics.json")));
  return j;
}

}  // namespace

// ## backward() and grad()
TEST_CASE("backward adds to the leaves' gradients", "[autograd]") {
  Tensor x = leaf({1, 2, 3}), w = leaf({4, 5, 6});
  sum(x * w).backward();
  CHECK(numbers_of(x.grad()) == std::vector<double>{4, 5, 6});
  Tensor held = x.grad();
  sum(x * x).backward();
  CHECK(numbers_of(x.grad()) == std::vector<double>{6, 9, 12});
  CHECK(numbers_of(held) == std::vector<double>{6, 9, 12});  // the same tensor, as in PyTorch
  CHECK(numbers_of(w.grad()) == std::vector<double>{1, 2, 3});
  x.set_grad({});
  CHECK_FALSE(x.grad().defined());
  CHECK_FALSE((x * 1).grad().defined());

  (x * 2).backward(from_vector(std::vector<double>{1, 10, 100}));
  CHECK(numbers_of(x.grad()) == std::vector<double>{2, 20, 200});
}

TEST_CASE("a gradient that was handed in is not written to", "[autograd]") {
  for (bool create_graph : {false, true}) {
    Tensor x = leaf({1, 1, 1}), given = from_vector(std::vector<double>{1, 2, 3});
    (x + 0).backward(given, false, create_graph);
    sum(x * 2).backward();
    CHECK(numbers_of(given) == std::vector<double>{1, 2, 3});
    CHECK(numbers_of(x.grad()) == std::vector<double>{3, 4, 5});
    // A sum's gradient is one number seen three times; adding to it must not add three times.
    Tensor y = leaf({1, 1, 1});
    sum(y).backward({}, false, create_graph);
    sum(y * 2).backward();
    CHECK(numbers_of(y.grad()) == std::vector<double>{3, 3, 3});
  }
}

TEST_CASE("the options of grad", "[autograd]") {
  Tensor x = leaf({1, 2}), y = leaf({3, 4}), unused = leaf({5});
  Tensor z = x * y;

  CHECK_THAT(error_of([&] { grad(sum(z), unused); }),
             ContainsSubstring("not used") && ContainsSubstring("allow_unused"));
  auto some = grad(sum(z), std::vector<Tensor>{x, unused}, {.retain_graph = true, .allow_unused = true});
  CHECK(numbers_of(some[0]) == std::vector<double>{3, 4});
  CHECK_FALSE(some[1].defined());
  CHECK_FALSE(x.grad().defined());  // grad touches no leaf

  CHECK_THAT(error_of<ShapeError>([&] { grad(z, x); }), ContainsSubstring("(2,)"));
  CHECK_THAT(error_of<ShapeError>([&] { grad({z}, {x}, {.grad_outputs = {ones({3})}}); }), ContainsSubstring("(3,)"));
  CHECK_THAT(error_of<ShapeError>([&] {
               grad({z}, {x}, {.grad_outputs = {ones({2}), ones({2})}});
             }),
             ContainsSubstring("grad_outputs"));
  CHECK_THAT(error_of([&] { grad(sum(z), ones({2})); }), ContainsSubstring("requires no gradient"));
  CHECK_THAT(error_of([&] { ones({1}).backward(); }), ContainsSubstring("requires no gradient"));

  // Several outputs with a gradient each, and a tensor in the middle as input.
  Tensor a = x * 2, b = sum(a * y);
  auto g =
      grad({b, sum(a)}, {a, x, x}, {.grad_outputs = {Tensor(10.0).to(DType::float64), Tensor(1.0).to(DType::float64)}});
  CHECK(numbers_of(g[0]) == std::vector<double>{31, 41});
  CHECK(numbers_of(g[1]) == std::vector<double>{62, 82});
  CHECK(numbers_of(g[2]) == std::vector<double>{62, 82});
  CHECK(grad(x, x, {.grad_outputs = {x.detach()}}).data<double>()[1] == 2);  // of a leaf by itself
}

TEST_CASE("what backward freed cannot be used again", "[autograd]") {
  Tensor x = leaf({1, 2});
  Tensor y = sum(exp(x));
  y.backward({}, true);
  y.backward();
  CHECK_THAT(error_of([&] { y.backward(); }), ContainsSubstring("retain_graph") && ContainsSubstring("exp"));
  CHECK(numbers_of(x.grad())[0] == 2 * std::exp(1.0));
}

TEST_CASE("derivatives of every order are exact", "[autograd]") {
  Tensor x = leaf({0.5, -1.25, 2});
  Tensor y = sum(tanh(x) * x);
  for (const auto& order : semantics()["programs"]["tanh_x_x"]) {
    Tensor g = grad(y, x, {.create_graph = true});
    std::vector<double> want = order, got = numbers_of(g);
    for (size_t i = 0; i < want.size(); ++i) CHECK(got[i] == Approx(want[i]).epsilon(1e-12).margin(1e-14));
    y = sum(g);
  }
}

TEST_CASE("fourth derivative of a polynomial, through backward as well", "[autograd]") {
  Tensor x = leaf({3});
  Tensor y = sum(x * x * x * x);
  for (int i = 0; i < 3; ++i) y = sum(grad(y, x, {.create_graph = true}));
  y.backward();
  CHECK(x.grad().item() == 24);
}

// ## Recording on and off
TEST_CASE("NoGrad and detach leave no trace", "[autograd]") {
  Tensor x = leaf({1, 2});
  CHECK(grad_enabled());
  {
    NoGrad off;
    CHECK_FALSE(grad_enabled());
    CHECK_FALSE((x * 2).requires_grad());
    {
      EnableGrad on;
      CHECK((x * 2).requires_grad());
    }
    CHECK_FALSE(grad_enabled());
  }
  CHECK(grad_enabled());
  Tensor y = x * 2, d = y.detach();
  CHECK_FALSE(d.requires_grad());
  CHECK(d.data<double>() == y.data<double>());
  CHECK(grad(sum(y * d), x).data<double>()[1] == 8);
  CHECK_FALSE((x > 1).requires_grad());
  CHECK_FALSE(argmax(x, 0).requires_grad());
  CHECK_FALSE(x.to(DType::int64).requires_grad());
}

TEST_CASE("rules for leaves", "[autograd]") {
  Tensor x = leaf({1, 2});
  CHECK(x.is_leaf());
  CHECK(x.grad_fn() == nullptr);
  Tensor y = x * 2;
  CHECK_FALSE(y.is_leaf());
  CHECK(std::string(y.grad_fn()) == "mul");
  CHECK_NOTHROW(y.requires_grad_());  // it does already
  CHECK_THAT(error_of([&] { y.requires_grad_(false); }), ContainsSubstring("mul"));
  CHECK(ones({2}).is_leaf());
  CHECK_THROWS_AS(arange(3).requires_grad_(), DTypeError);
  x.requires_grad_(false);
  CHECK_FALSE(x.requires_grad());
  x.requires_grad_();

  CHECK_THAT(error_of([&] { x.add_(1); }),
             ContainsSubstring("add_") && ContainsSubstring("leaf") && ContainsSubstring("NoGrad"));
  CHECK_THAT(error_of([&] { x[0] = 1; }), ContainsSubstring("leaf"));
  {
    NoGrad off;
    x.add_(1);
    x[0] = 7;
  }
  CHECK(numbers_of(x) == std::vector<double>{7, 3});
  CHECK(x.is_leaf());
  CHECK(grad(sum(x * x), x).data<double>()[0] == 14);
  CHECK_THROWS_AS(x.set_grad(ones({3}, DType::float64)), ShapeError);
}

TEST_CASE("hooks see gradients and replace them", "[autograd]") {
  Tensor x = leaf({1, 2});
  std::vector<double> seen, at_leaf;
  Tensor y = x * 3;
  y.register_hook([&](const Tensor& g) {
    seen = numbers_of(g);
    return g * 10;
  });
  x.register_hook([&](const Tensor& g) {
    at_leaf = numbers_of(g);
    return Tensor();
  });
  (sum(y) + sum(y * y)).backward();  // both contributions arrive before the hook runs
  CHECK(seen == std::vector<double>{7, 13});
  CHECK(at_leaf == std::vector<double>{210, 390});
  CHECK(numbers_of(x.grad()) == at_leaf);
  Tensor z = x * 1;
  z.register_hook([](const Tensor&) { return ones({5}); });
  CHECK_THROWS_AS(sum(z).backward(), ShapeError);
  CHECK_THAT(error_of([] { ones({1}).register_hook([](const Tensor& g) { return g; }); }),
             ContainsSubstring("requires no gradient"));
}

// ## Graphs of all shapes
TEST_CASE("gradients of types and shapes come back as the inputs'", "[autograd]") {
  Tensor x = ones({3}).requires_grad_(), w = ones({2, 1}, DType::float64).requires_grad_(),
         s = Tensor(2.0f).requires_grad_();
  Tensor y = x * w + s;
  CHECK(y.dtype() == DType::float64);
  sum(y).backward();
  CHECK(x.grad().dtype() == DType::float32);
  CHECK(x.grad().shape() == Shape{3});
  CHECK(w.grad().dtype() == DType::float64);
  CHECK(w.grad().shape() == Shape{2, 1});
  CHECK(s.grad().shape() == Shape{});
  CHECK(s.grad().item() == 6);
  CHECK(w.grad().data<double>()[0] == 3);
  Tensor n = tensor({1, 2, 3});
  CHECK(numbers_of(grad(sum(x * n), x)) == std::vector<double>{1, 2, 3});
}

TEST_CASE("a tensor used many times", "[autograd]") {
  Tensor x = leaf({1.5});
  Tensor y = x;
  for (int i = 0; i < 20; ++i) y = y + y;  // a million paths, 20 nodes
  CHECK(grad(sum(y), x).item() == 1 << 20);
  Tensor z = x * x;
  CHECK(grad(sum(z * z + z * x), x).item() == Approx(4 * 1.5 * 1.5 * 1.5 + 3 * 1.5 * 1.5));
}

TEST_CASE("a saved value must be input, output or constant", "[autograd]") {
  Tensor x = leaf({1}), between = x * 2;
  auto rule = [](Backward& b) { return Grads{b.dy()}; };
  CHECK_THROWS_AS(record("bad", x * 1, inputs(x), saved(between), rule), std::logic_error);
  CHECK_NOTHROW(record("good", x.detach() * 1, inputs(x), saved(constant(between)), rule));
}

// ## Writes in place
//
// Each program stands in `make_golden.py` in Python, line for line; PyTorch computed the loss and both gradients.
namespace {

Tensor zeros64(const Shape& shape) { return zeros(shape, DType::float64); }

Tensor run_program(const std::string& name, const Tensor& x, const Tensor& w) {
  if (name == "write_row") {
    Tensor b = zeros64({2, 3});
    b[0] = x;
    b[1] = w * x;
    return sum(b * b * b);
  }
  if (name == "view_then_base" || name == "view_writes_base") {
    Tensor b = stack({x, w}) * 2, v = b[0];
    if (name == "view_then_base") {
      b.mul_(w);
      return sum(v * v) + sum(b);
    }
    v.mul_(w);
    return sum(sin(b) * b);
  }
  if (name == "siblings") {
    Tensor b = stack({x, w}) * 1, row = b[1], column = b[{Slice{}, 0}];
    row.mul_(x);
    column.add_(2.0);
    row.mul_(row.detach() + 1);
    return sum(b * b) + sum(column * column) + sum(row * x);
  }
  if (name == "view_of_view") {
    Tensor b = stack({x, w}).reshape({6}) * 1;
    Tensor v = b.view({2, 3})[{Slice{}, Slice{1}}].t();
    v.mul_(stack({x[Slice{0, 2}], w[Slice{0, 2}]}));
    v[0].add_(x[Slice{1}]);
    return sum(b * arange(6).to(DType::float64)) + sum(v * v);
  }
  if (name == "overwritten") {
    Tensor y = x * w;
    y[1] = 3.0;
    y[0] = y[2];
    return sum(y * y);
  }
  if (name == "strided_slice") {
    Tensor b = cat({x, w}) * 1;
    b[Slice{0, 6, 2}] = w * w;
    b[Slice{1, 6, 2}].mul_(x);
    return sum(b * b * b);
  }
  if (name == "saved_before_write") {
    Tensor y = x * w, z = exp(y * 2);
    y.add_(1);
    return sum(z + y);
  }
  if (name == "add_same_twice") {
    Tensor y = x * 1;
    y.add_(y);
    y.add_(w);
    y.sub_(x, 3);
    y.div_(w.detach());
    return sum(y * y);
  }
  if (name == "copy_broadcast") {
    Tensor b = ones({2, 3}, DType::float64) * w;
    b.copy_(x);
    b[1].copy_(w[1]);
    return sum(b * b * w);
  }
  if (name == "mixed_types") {
    Tensor y = x.to(DType::float32) * w + x.to(DType::float32) * 2;
    return sum(y * y);
  }
  if (name == "diamond") {
    Tensor a = x * w, b = tanh(a), c = a * b;
    return sum(c * b + a * c);
  }
  if (name == "expanded_then_written") {
    Tensor b = x.expand({2, 3}).clone();
    b[0].mul_(w);
    b.t()[2].mul_(b[{Slice{}, 0}].detach().clone());
    return sum(b * b);
  }
  throw Error("no C++ program is called " + name);
}

}  // namespace

TEST_CASE("programs that write in place have PyTorch's gradients", "[autograd]") {
  int programs = 0;
  for (auto& [name, want] : semantics()["programs"].items()) {
    if (!want.is_object()) continue;
    for (bool create_graph : {false, true}) {
      INFO(name << (create_graph ? ", with create_graph" : ""));
      Tensor x = leaf({0.5, -1.25, 2}), w = leaf({1.5, 0.75, -0.5});
      Tensor loss = run_program(name, x, w);
      CHECK(loss.item() == Approx(want["loss"].get<double>()).epsilon(name == "mixed_types" ? 1e-6 : 1e-13));
      auto grads = grad(loss, std::vector<Tensor>{x, w}, {.create_graph = create_graph, .allow_unused = true});
      for (size_t k = 0; k < 2; ++k) {
        std::vector<double> expected = want["grads"][k], got = numbers_of(grads[k]);
        CHECK(got.size() == expected.size());
        for (size_t i = 0; i < got.size(); ++i) CHECK(got[i] == Approx(expected[i]).epsilon(1e-12).margin(1e-13));
      }
    }
    ++programs;
  }
  CHECK(programs >= 13);
}

TEST_CASE("a second derivative passes through a write into a view", "[autograd]") {
  Tensor x = leaf({0.5, -1.25, 2}), w = leaf({1.5, 0.75, -0.5});
  Tensor g = grad(sum(exp(x * w)), x, {.create_graph = true});
  Tensor b = g * 1;
  b[Slice{1}].mul_(x[Slice{0, 2}]);
  auto grads = grad(sum(b * b), std::vector<Tensor>{x, w});
  for (size_t k = 0; k < 2; ++k) {
    std::vector<double> want = semantics()["programs"]["second_through_view"][k], got = numbers_of(grads[k]);
    for (size_t i = 0; i < got.size(); ++i) CHECK(got[i] == Approx(want[i]).epsilon(1e-12));
  }
}

TEST_CASE("writing into a view of a plain tensor makes it part of the graph", "[autograd]") {
  Tensor x = leaf({2}), plain = zeros64({3}), early = plain[Slice{1}];
  CHECK_FALSE(plain.requires_grad());
  plain[1] = x[0] * 5;
  CHECK(plain.requires_grad());
  CHECK_FALSE(plain.is_leaf());
  CHECK(early.requires_grad());  // a view made before sees it too
  CHECK(grad(sum(early * early), x, {.retain_graph = true}).item() == 2 * 10 * 5);
  plain.zero_();
  CHECK(grad(sum(plain) + sum(x * 3), x).item() == 3);
}

TEST_CASE("a write through a view made under NoGrad is not lost", "[autograd]") {
  Tensor x = leaf({1, 1, 1}), b = x * 2, v;
  {
    NoGrad off;
    v = b[0];
  }
  v.fill_(0);
  CHECK(numbers_of(grad(sum(b), x)) == std::vector<double>{0, 2, 2});
}

TEST_CASE("a saved value that was overwritten is reported with both operations", "[autograd]") {
  Tensor x = leaf({1, 2});
  Tensor y = exp(x * 1);
  y.mul_(2);
  CHECK_THAT(error_of([&] { sum(y).backward(); }), ContainsSubstring("exp") && ContainsSubstring("mul_"));
  Tensor z = x * 1, product = z * z, part = z[0];
  part.add_(1);  // a write through a view counts as well
  CHECK_THAT(error_of([&] { sum(product).backward(); }),
             ContainsSubstring("mul:") && ContainsSubstring("add_") && ContainsSubstring("version"));
  Tensor u = x * 1, twice = u + u;
  u.zero_();  // add keeps nothing
  CHECK_NOTHROW(sum(twice).backward());
  Tensor own = x * 1;
  own.mul_(own);  // keeps a copy of what it overwrites
  CHECK(numbers_of(grad(sum(own), x)) == std::vector<double>{2, 4});
  Tensor wide = (x * 1).unsqueeze(0).expand({3, 2});
  CHECK_THROWS_AS(wide.add_(1), ShapeError);
  Tensor optimised = leaf({1, 2}), loss = sum(exp(optimised) * optimised);
  {
    NoGrad off;
    optimised.sub_(0.1);
  }
  CHECK_THAT(error_of([&] { loss.backward(); }), ContainsSubstring("sub_"));
}

// ## Parts
//
// First-order gradients of slices are added to one tensor in place; those that are differentiated again take the long way.
// Both must agree, whatever the layout of what was cut up, and beside a gradient that reaches all of it.
TEST_CASE("gradients of parts are those of the formula", "[autograd]") {
  Generator generator(7);
  Tensor whole = randn({4, 3, 6}, generator, DType::float64).requires_grad_();
  auto f = [](const Tensor& x) {
    Tensor y = sum(square(x));
    for (int64_t i = 0; i < x.shape()[1]; ++i) y = y + static_cast<double>(i + 1) * sum(pow(x.select(1, i), 3));
    y = y + sum(x.slice(0, {1, 3}) * x.slice(0, {0, 2})) + sum(square(x.unfold(2, 2, 1)));
    for (const Tensor& piece : unbind(x, 2)) y = y * 0.5 + sum(exp(piece));
    return y + sum(square(x.diagonal(0, 0, 1)));
  };
  for (const Dims& order : {Dims{0, 1, 2}, Dims{2, 0, 1}, Dims{1, 2, 0}}) {
    Tensor fast = grad(f(whole.permute(order)), whole);
    Tensor slow = grad(f(whole.permute(order)), whole, {.create_graph = true});
    CHECK(max(abs(fast - slow)).item<double>() < 1e-12);
    CHECK(fast.is_contiguous());
  }
}
