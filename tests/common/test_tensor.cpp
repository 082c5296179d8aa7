// # Tensors: shapes, types, printing, errors
#include <bit>
#include <cmath>
#include <fstream>
#include <sstream>

#include <nlohmann/json.hpp>

#include "catch.hpp"
#include "chainrule.hpp"
#include "compare.hpp"
#include "contains.hpp"

using namespace cr;
using cr::test::dtype_named;
using cr::test::numbers_of;
using nlohmann::json;

namespace {

const json& semantics() {
  static const json j = json::parse(std::ifstream(cr::test::test_file("golden/semantics.json")));
  return j;
}

Dims dims_of(const json& j) {
  Dims dims;
  for (const json& item : j) dims.push_back(item.get<int64_t>());
  return dims;
}

}  // namespace

TEST_CASE("shapes, strides and views", "[tensor]") {
  Tensor x = arange(24).reshape({2, 3, 4});
  CHECK(x.strides() == Strides{12, 4, 1});
  CHECK(x.size(-1) == 4);
  Tensor y = x.permute({2, 0, 1});
  CHECK(y.shape() == Shape{4, 2, 3});
  CHECK(y.strides() == Strides{1, 12, 4});
  CHECK_FALSE(y.is_contiguous());
  CHECK(y.contiguous().is_contiguous());
  CHECK(y[{3, 1, 2}].item<int64_t>() == 23);
  CHECK(x.contiguous().impl() == x.impl());
  CHECK(x[1].data<int64_t>() == x.data<int64_t>() + 12);  // a view, not a copy
  CHECK(x[{Slice{}, 1}].shape() == Shape{2, 4});
  CHECK(x[Slice{-1}].shape() == Shape{1, 3, 4});
  CHECK(x.transpose(0, 0).shape() == x.shape());
  CHECK(x.reshape({4, -1}).impl()->storage == x.impl()->storage);
  CHECK_FALSE(y.reshape({24}).impl()->storage == x.impl()->storage);
  CHECK(ones({3, 0}).is_contiguous());
  CHECK(ones({3, 0}).numel() == 0);
  CHECK(Tensor(2.5).dim() == 0);
  CHECK(zeros({1, 3}).expand({0, 3}).numel() == 0);
  CHECK(ones({1}).expand({5, -1}).shape() == Shape{5, 1});
  CHECK(ones({2, 1}).unsqueeze(-1).squeeze().shape() == Shape{2});
  Shape seven{1, 2, 1, 2, 1, 2, 1};  // longer than fits inline
  CHECK(ones(seven).transpose(1, 5).sum({0, 1}).shape() == Shape{1, 2, 1, 2, 1});
  CHECK(sum(ones(seven)).item() == 8);
}

TEST_CASE("a view is possible exactly when PyTorch says so, and reshape always", "[tensor]") {
  int possible = 0, impossible = 0;
  for (const json& row : semantics()["views"]) {
    Tensor buffer = arange(200), x = window(buffer, dims_of(row[0]), dims_of(row[1]), 0);
    INFO(row.dump());
    Tensor want = x.clone().view(dims_of(row[2]));
    bool may = true;
    try {
      Tensor y = x.view(dims_of(row[2]));
      if (!(y.impl()->storage == buffer.impl()->storage)) FAIL_CHECK("copied");
      if (auto d = test::difference(y, want); !d.empty()) FAIL_CHECK(d);
    } catch (const ShapeError&) {
      may = false;
    }
    if (may != row[3].get<bool>()) FAIL_CHECK("view: " << may);
    if (auto d = test::difference(x.reshape(dims_of(row[2])), want); !d.empty()) FAIL_CHECK(d);
    ++(may ? possible : impossible);
  }
  CHECK(possible > 50);
  CHECK(impossible > 30);
}

// ## Types
TEST_CASE("types are promoted by PyTorch's table", "[tensor]") {
  auto operand = [](const std::string& name) {
    bool scalar = name.ends_with(":0d");
    return ones(scalar ? Shape{} : Shape{2}, dtype_named(scalar ? name.substr(0, name.size() - 3) : name));
  };
  std::string wrong;
  int checked = 0;
  for (const json& row : semantics()["promotion"]) {
    std::string op = row[0], a = row[1], b = row[2], want = row[3];
    Tensor x = operand(a), result;
    bool is_number = b == "2" || b == "2.5";
    Scalar s = b == "2" ? Scalar(2) : Scalar(2.5);
    Tensor y = is_number ? Tensor() : operand(b);
    try {
      if (op == "add") result = is_number ? add(x, s) : add(x, y);
      if (op == "mul") result = is_number ? mul(x, s) : mul(x, y);
      if (op == "div") result = is_number ? div(x, s) : div(x, y);
      if (op == "eq") result = is_number ? eq(x, s) : eq(x, y);
      if (op == "maximum") result = maximum(x, y);
      if (op == "where") result = where(ones({2}, DType::boolean), x, y);
      if (name(result.dtype()) != want)
        wrong += "\n  " + op + " " + a + " " + b + ": " + name(result.dtype()) + ", not " + want;
    } catch (const Error& e) {
      wrong += "\n  " + op + " " + a + " " + b + ": " + e.what();
    }
    ++checked;
  }
  INFO(wrong);
  CHECK(wrong.empty());
  CHECK(checked > 300);
}

TEST_CASE("integers, booleans and numbers", "[tensor]") {
  Tensor n = tensor({7, -7, 3});
  CHECK(n.dtype() == DType::int64);
  CHECK((n + 1).dtype() == DType::int64);
  CHECK((n * 1.5).dtype() == DType::float32);
  CHECK((n / 2).data<float>()[1] == -3.5f);
  CHECK(numbers_of(n - 1u) ==
        std::vector<double>{6, -8, 2});  // an unsigned number is not negated before it is taken away
  CHECK(numbers_of(ones({1}) - 1u) == std::vector<double>{0});
  CHECK(numbers_of(n - std::vector<int>(3).size()) == std::vector<double>{4, -10, 0});
  CHECK(numbers_of(2u - n) == std::vector<double>{-5, 9, -1});
  int64_t large = (int64_t{1} << 60) + 1;
  CHECK((full({1}, large, DType::int64) + 1).item<int64_t>() == large + 1);  // not through a double
  CHECK((full({1}, large, DType::int64) * 3).item<int64_t>() == large * 3);
  CHECK(sum(full({3}, large, DType::int64)).item<int64_t>() == large * 3);
  CHECK(numbers_of(tensor({true, false}) + tensor({true, true})) == std::vector<double>{1, 1});
  CHECK(numbers_of(tensor({true, false}) * tensor({true, true})) == std::vector<double>{1, 0});
  CHECK(sum(tensor({true, true})).item<int64_t>() == 2);
  CHECK_THROWS_AS(mean(n), DTypeError);
  CHECK_THROWS_AS(n.add_(1.5), DTypeError);
  CHECK_THROWS_AS(n.add_(ones({3})), DTypeError);
  CHECK_THROWS_AS(add(n, n, 0.5), DTypeError);
  CHECK_THROWS_AS(tensor({true}) - tensor({true}), DTypeError);
  CHECK(clamp(n, std::nullopt, 5).dtype() == DType::int64);
  CHECK(numbers_of(clamp(n, std::nullopt, 5)) == std::vector<double>{5, -7, 3});
  CHECK(numbers_of(clamp(n, 0, INFINITY)) == std::vector<double>{7, 0, 3});
  CHECK(clamp(n, 0.5, 5).dtype() == DType::float32);
  CHECK(numbers_of(where(tensor({0, 1, 0}), n, tensor({1.5, 2.5, 3.5}))) == std::vector<double>{1.5, -7, 3.5});
  CHECK(Tensor(2.5).dtype() == DType::float32);
  CHECK(tensor({1.5}, DType::int64).item<int64_t>() == 1);
  CHECK(tensor({{1, 2}, {3, 4}}).shape() == Shape{2, 2});
  CHECK_THROWS_AS(tensor({{1, 2}, {3}}), ShapeError);
  CHECK(tensor({1e30, -1e30}).to(DType::int64).data<int64_t>()[1] == INT64_MIN);
}

TEST_CASE("making tensors", "[tensor]") {
  CHECK(numbers_of(arange(3)) == std::vector<double>{0, 1, 2});
  CHECK(numbers_of(arange(5, 0, -2)) == std::vector<double>{5, 3, 1});
  CHECK(arange(4, 4).numel() == 0);
  CHECK_THROWS_AS(arange(0, 5, -1), Error);
  CHECK_THROWS_AS(arange(0, 5, 0), Error);
  CHECK(numbers_of(linspace(-1, 1, 5)) == std::vector<double>{-1, -0.5, 0, 0.5, 1});
  CHECK(numbers_of(linspace(3, 9, 1)) == std::vector<double>{3});
  CHECK(linspace(0, 1, 0).numel() == 0);
  CHECK(numbers_of(eye(2)) == std::vector<double>{1, 0, 0, 1});
  CHECK(eye(0).shape() == Shape{0, 0});
  CHECK(zeros_like(arange(3)).dtype() == DType::int64);
  CHECK_THROWS_AS(from_span(std::span<const float>(), {2}), ShapeError);
  Generator g(3), same(3);
  Tensor r = rand({1000}, g);
  CHECK(amin(r).item() >= 0);
  CHECK(amax(r).item() < 1);
  CHECK(test::difference(r, rand({1000}, same)) == "");
  CHECK_FALSE(test::difference(rand({1000}, g), r).empty());
  Tensor p = randperm(100, g);
  CHECK(sum(one_hot(p, 100), {0}).sum().item() == 100);
  CHECK(amin(sum(one_hot(p, 100), {0})).item() == 1);
  CHECK_THROWS_AS(randint(3, 3, {2}, g), Error);
  CHECK_THROWS_AS(rand({2}, g, DType::int64), DTypeError);
}

// ## Printing
TEST_CASE("tensors print as PyTorch prints them", "[tensor]") {
  std::string wrong;
  for (const json& j : semantics()["printing"]) {
    Shape shape = dims_of(j["shape"]);
    std::vector<double> values;
    if (j["values"].is_object()) {
      for (int64_t i = 0; i < numel(shape); ++i)
        values.push_back(static_cast<double>(i) * j["values"]["step"].get<double>());
    } else {
      for (const json& v : j["values"])
        values.push_back(v.is_object()    ? std::stod(v["float"].get<std::string>())
                         : v.is_boolean() ? double(v.get<bool>())
                                          : v.get<double>());
    }
    Tensor x = test::from_numbers(values, shape, dtype_named(j["dtype"]));
    std::string text = to_string(x), want = j["text"];
    if (text != want) wrong += "\n" + text + "\nnot\n" + want + "\n";
  }
  INFO(wrong);
  CHECK(wrong.empty());
  CHECK(to_string(arange(6).reshape({2, 3}).t()) == "tensor([[0, 3],\n        [1, 4],\n        [2, 5]])");
  std::ostringstream out;
  out << ones({1}).requires_grad_() << ones({1}).requires_grad_() * 2 << Tensor();
  CHECK(out.str() == "tensor([1.], requires_grad=true)tensor([2.], grad_fn=<mul>)tensor(undefined)");
}

// ## Storing in 16 bits
TEST_CASE("types promote as PyTorch's do, the 16-bit ones too", "[tensor]") {
  for (const json& row : semantics()["promote_types"]) {
    INFO(row.dump());
    CHECK(std::string(name(promote(dtype_named(row[0]), dtype_named(row[1])))) == row[2].get<std::string>());
  }
}

TEST_CASE("float16 and bfloat16 are the nearest numbers, and come back exactly", "[tensor]") {
  const json& j = semantics()["conversions"];
  auto n = static_cast<int64_t>(j["float32"].size());
  Tensor x = empty({n});
  for (int64_t i = 0; i < n; ++i) {
    x.mutable_data<float>()[i] = std::bit_cast<float>(j["float32"][static_cast<size_t>(i)].get<uint32_t>());
  }
  auto check = [&](auto t) {
    using T = decltype(t);
    Tensor y = x.to(dtype_of<T>);
    int wrong = 0;
    for (int64_t i = 0; i < n; ++i) {
      float v = x.data<float>()[i];
      bool same = y.data<T>()[i].bits == j[name(dtype_of<T>)][static_cast<size_t>(i)].template get<uint16_t>();
      if (!same && v == v) ++wrong;
      if (v != v && y[i].item<double>() == y[i].item<double>()) ++wrong;
    }
    CHECK(wrong == 0);
    // All 65536 of them survive the way to float32 and back.
    Tensor all = empty({65536}, dtype_of<T>);
    for (int i = 0; i < 65536; ++i) all.mutable_data<T>()[i].bits = static_cast<uint16_t>(i);
    Tensor back = all.to(DType::float32).to(dtype_of<T>);
    int changed = 0;
    for (int i = 0; i < 65536; ++i) {
      double v = all[i].template item<double>();
      changed += v == v && back.data<T>()[i].bits != static_cast<uint16_t>(i);
    }
    CHECK(changed == 0);
  };
  check(Float16{});
  check(BFloat16{});
}

TEST_CASE("16-bit tensors store, and say so when asked to compute", "[tensor]") {
  Tensor x = tensor({1.5, -2.0, 1000.25}).to(DType::bfloat16);
  CHECK(to_string(x) == "tensor([   1.5000,   -2.0000, 1000.0000], dtype=bfloat16)");
  CHECK(x[1].item() == -2);
  CHECK(full({2}, 0.1, DType::float16)[1].item() == 0.0999755859375);
  CHECK_THROWS_WITH(x + x, "add: bfloat16 is for storage; convert with to(DType::float32)");
  CHECK_THROWS_WITH(sum(x), "sum: bfloat16 is for storage; convert with to(DType::float32)");
  CHECK((x + tensor({1.0, 1.0, 1.0})).dtype() == DType::float32);
  CHECK(x.t().contiguous().reshape({3, 1}).to(DType::int64)[2].item<int64_t>() == 1000);
  // The gradient passes through, rounded on its way.
  Tensor w = tensor({1.0, 2.0, 3.0}).requires_grad_(), h = w.to(DType::bfloat16);
  sum(h.to(DType::float32) * tensor({1.0, 1.00001, 0.5}) + h.to(DType::float32)).backward();
  CHECK(test::difference(w.grad(), tensor({2.0, 2.0, 1.5})) == "");
  CHECK(grad(sum(h.to(DType::float32)), h).dtype() == DType::bfloat16);
  // Moved about in 16 bits, numbers collect their gradients in 32.
  w.set_grad({});
  sum(gather(h, 0, tensor({2, 2, 0})).to(DType::float32)).backward();
  sum(embedding(tensor({1, 1}), h.unsqueeze(1)).to(DType::float32)).backward();
  sum(h.expand({5, 3}).to(DType::float32)).backward();
  CHECK(test::difference(w.grad(), tensor({6.0, 7.0, 7.0})) == "");
  CHECK_THROWS_AS(x.requires_grad_(), DTypeError);
}

// ## Versions
TEST_CASE("every write counts", "[tensor]") {
  Tensor x = zeros({4});
  auto version = [&] { return x.impl()->storage->version(); };
  uint32_t before = version();
  x.add_(1);
  CHECK(version() == before + 1);
  CHECK(std::string(x.impl()->storage->last_writer()) == "add_");
  x[1] = 5.0;
  x[Slice{2}].mul_(2);
  CHECK(version() == before + 3);
  x.mutable_data<float>()[0] = 9;
  CHECK(version() == before + 4);
  CHECK(numbers_of(x * 2 + x.clone()) == std::vector<double>{27, 15, 6, 6});
  CHECK(x.data<float>()[3] == 2);
  CHECK(version() == before + 4);  // reading does not
}

TEST_CASE("a write whose source looks at the same memory reads before it writes", "[tensor]") {
  Tensor x = arange(6).to(DType::float32);
  x[Slice{1}].copy_(x[Slice{0, 5}]);
  CHECK(numbers_of(x) == std::vector<double>{0, 0, 1, 2, 3, 4});
  Tensor m = arange(4).to(DType::float32).reshape({2, 2});
  m.add_(m.t());
  CHECK(numbers_of(m) == std::vector<double>{0, 3, 3, 6});
  m.mul_(m);
  CHECK(numbers_of(m) == std::vector<double>{0, 9, 9, 36});
  Tensor row = ones({2, 3});
  row.sub_(row[0]);
  CHECK(sum(row).item() == 0);
}

// ## Errors
namespace {
template <class E, class F> void check_error(F&& f, std::initializer_list<const char*> parts) {
  std::string message = "no exception";
  try {
    f();
  } catch (const E& e) {
    message = e.what();
  } catch (const std::exception& e) {
    message = std::string("another type: ") + e.what();
  }
  INFO(message);
  CHECK(message.find('\n') == std::string::npos);
  for (const char* part : parts) {
    INFO("expected: " << part);
    CHECK(message.find(part) != std::string::npos);
  }
}
}  // namespace

TEST_CASE("errors say what does not fit", "[tensor]") {
  Tensor x = ones({3, 4}), n = arange(3);
  check_error<ShapeError>([&] { matmul(x, ones({5, 6})); }, {"matmul: (3, 4) x (5, 6): inner sizes 4 and 5 differ"});
  check_error<ShapeError>([&] { matmul(x, Tensor(1.0)); }, {"matmul", "scalar"});
  check_error<DTypeError>([&] { matmul(x, ones({4, 2}, DType::float64)); }, {"matmul", "float32", "float64"});
  check_error<ShapeError>([&] { dot(x, x); }, {"dot", "(3, 4)"});
  check_error<ShapeError>([&] { linear(x, ones({2, 5})); }, {"linear", "(3, 4)", "(2, 5)"});
  check_error<ShapeError>([&] { linear(x, ones({2, 4}), ones({3})); }, {"linear", "bias", "(3,)"});
  check_error<ShapeError>([&] { x + ones({5}); }, {"add", "(3, 4)", "(5,)"});
  check_error<ShapeError>([&] { maximum(x, ones({2, 4})); }, {"maximum", "(2, 4)"});
  check_error<ShapeError>([&] { where(ones({2}), x, x); }, {"where"});
  check_error<ShapeError>([&] { x.reshape({5, -1}); }, {"reshape", "12", "(5, -1)"});
  check_error<ShapeError>([&] { x.reshape({-1, -1}); }, {"reshape"});
  check_error<ShapeError>([&] { x.reshape({-2, 6}); }, {});
  check_error<ShapeError>([&] { x.t().view({12}); }, {"view", "reshape()"});
  check_error<ShapeError>([&] { x.expand({3, 5}); }, {"expand", "(3, 4)", "(3, 5)"});
  check_error<ShapeError>([&] { x.expand({4}); }, {"expand"});
  check_error<ShapeError>([&] { ones({1}).expand({-1, 3}); }, {});
  check_error<ShapeError>([&] { ones({2, 2, 2}).t(); }, {"t:", "(2, 2, 2)"});
  check_error<ShapeError>([&] { x.permute({0}); }, {"permute"});
  check_error<IndexError>([&] { x.permute({0, 0}); }, {"permute", "twice"});
  check_error<IndexError>([&] { x.permute({0, 2}); }, {"permute", "2"});
  check_error<IndexError>([&] { x.transpose(0, 2); }, {"transpose", "2"});
  check_error<IndexError>([&] { x[3]; }, {"3", "(3, 4)"});
  check_error<IndexError>([&] { x[-4]; }, {"-4"});
  check_error<IndexError>([&] { x[{0, 1, 2}]; }, {"3 indices", "(3, 4)"});
  check_error<IndexError>([&] { Tensor(1.0)[0]; }, {"1 indices", "shape ()"});
  check_error<IndexError>([&] { x.narrow(0, 1, 3); }, {"narrow", "(3, 4)"});
  check_error<IndexError>([&] { x.narrow(0, 1, INT64_MAX); }, {"narrow"});
  check_error<IndexError>([&] { x[Slice{0, 2, 0}]; }, {"step 0"});
  check_error<IndexError>([&] { x[Slice{0, 2, -1}]; }, {"step -1"});
  check_error<IndexError>([&] { sum(x, {2}); }, {"sum", "2"});
  check_error<IndexError>([&] { sum(x, {1, -1}); }, {"sum", "twice"});
  check_error<IndexError>([&] { softmax(x, 2); }, {"softmax", "2"});
  check_error<ShapeError>([&] { amax(zeros({0, 3})); }, {"amax", "(0, 3)"});
  check_error<ShapeError>([&] { argmin(zeros({0, 3}), 0); }, {"argmin", "(0, 3)"});
  check_error<DTypeError>([&] { softmax(n, 0); }, {"softmax", "int64"});
  check_error<DTypeError>([&] { mean(n); }, {"mean", "int64"});
  check_error<ShapeError>([&] { cross_entropy(x, arange(4)); }, {"cross_entropy", "(3, 4)", "(4,)"});
  check_error<DTypeError>([&] { cross_entropy(x, ones({3})); }, {"cross_entropy", "float32"});
  check_error<IndexError>(
      [&] {
        cross_entropy(x, tensor({0, 4, 1}));
      },
      {"cross_entropy", "label 4", "row 1", "4 classes"});
  check_error<IndexError>([&] { cross_entropy(x, tensor({0, -1, 1})); }, {"label -1"});
  check_error<ShapeError>([&] { cross_entropy(zeros({3, 0}), arange(3)); }, {"cross_entropy", "(3, 0)"});
  check_error<ShapeError>([&] { mse_loss(ones({3, 1}), ones({3})); }, {"mse_loss", "(3, 1)", "(3,)", "(3, 3)"});
  check_error<IndexError>([&] { index_select(x, 0, tensor({0, 3})); }, {"index_select", "3"});
  check_error<IndexError>([&] { index_select(x, 0, tensor({-1})); }, {"index_select", "-1"});
  check_error<DTypeError>([&] { index_select(x, 0, ones({2})); }, {"index_select", "float32"});
  check_error<ShapeError>([&] { index_add(x, 0, tensor({0}), ones({2, 4})); }, {"index_add", "(2, 4)"});
  check_error<IndexError>([&] { gather(x, 1, full({3, 1}, 4, DType::int64)); }, {"gather", "4"});
  check_error<ShapeError>([&] { gather(x, 1, zeros({4, 1}, DType::int64)); }, {"gather", "(4, 1)"});
  check_error<ShapeError>(
      [&] {
        scatter_add(x, 1, zeros({3, 1}, DType::int64), ones({2, 1}));
      },
      {"scatter_add", "(3, 1)", "(2, 1)"});
  check_error<IndexError>([&] { one_hot(tensor({5}), 5); }, {"one_hot", "5"});
  check_error<ShapeError>([&] { cat({x, ones({3, 5})}); }, {"cat", "(3, 4)", "(3, 5)"});
  check_error<ShapeError>([&] { cat({}); }, {"cat"});
  check_error<ShapeError>([&] { stack({x, ones({4, 3})}); }, {"stack", "(4, 3)"});
  check_error<ShapeError>([&] { x.item(); }, {"item", "(3, 4)"});
  check_error<DTypeError>([&] { x.data<double>(); }, {"data", "float32", "float64"});
  check_error<ShapeError>([&] { x.t().data<float>(); }, {"contiguous()"});
  check_error<ShapeError>([&] { x.add_(ones({2, 3, 4})); }, {"add_", "(2, 3, 4)"});
  check_error<ShapeError>([&] { x.copy_(ones({5})); }, {"copy_", "(5,)"});
  check_error<Error>([&] { Tensor().item(); }, {"undefined"});
#if !CHAINRULE_CUDA
  check_error<DeviceError>([&] { zeros({2}, DType::float32, Device::cuda); }, {"CUDA", "--device cpu"});
#endif
  check_error<ShapeError>([&] { zeros({-1}); }, {"(-1,)", "negative"});
}

TEST_CASE("steps and sizes that overflow", "[tensor]") {
  int64_t large = int64_t{1} << 40;
  check_error<ShapeError>([&] { zeros({large, large}); }, {"more elements than memory can address"});
  check_error<ShapeError>([&] { ones({1, 1}).expand({large, large}); }, {"more elements"});
  CHECK(zeros({large, large, 0}).numel() == 0);
  CHECK(numbers_of(arange(5)[Slice{0, 5, INT64_MAX}]) == std::vector<double>{0});
  CHECK(numbers_of(arange(5)[Slice{INT64_MIN, INT64_MAX, 4}]) == std::vector<double>{0, 4});
}
