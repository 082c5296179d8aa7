#include "op_cases.hpp"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <set>

#include <nlohmann/json.hpp>

#include "catch.hpp"
#include "io/safetensors.hpp"

namespace cr::test {
namespace {

using nlohmann::json;

// A number, or one that JSON cannot write: {"float": "inf"}.
double number(const json& j) {
  if (j.is_object()) return std::stod(j.at("float").get<std::string>());
  return j.is_boolean() ? j.get<bool>() : j.get<double>();
}

Dims dims_of(const json& j) {
  Dims dims;
  for (const json& item : j) dims.push_back(item.get<int64_t>());
  return dims;
}

DType dtype_named(const std::string& name) {
  for (DType t : {DType::boolean, DType::int64, DType::float32, DType::float64}) {
    if (name == cr::name(t)) return t;
  }
  throw Error("no type is called " + name);
}

// ## Arguments, by position or by name
struct Args {
  const json& positional;
  const json& named;
  const Tensors& tensors;

  bool has(size_t i) const { return i < positional.size(); }
  const json& at(size_t i) const { return positional.at(i); }
  bool is_tensor(size_t i) const { return at(i).is_object() && at(i).contains("tensor"); }
  Tensor tensor(size_t i) const { return tensors.at(at(i).at("tensor").get<std::string>()); }
  std::vector<Tensor> list(size_t i) const {
    std::vector<Tensor> all;
    for (const json& n : at(i).at("tensors")) all.push_back(tensors.at(n.get<std::string>()));
    return all;
  }
  double real(size_t i) const { return number(at(i)); }
  Scalar scalar(size_t i) const { return at(i).is_number_integer() ? Scalar(at(i).get<int64_t>()) : Scalar(real(i)); }
  int64_t integer(size_t i) const { return at(i).get<int64_t>(); }
  double alpha() const { return named.value("alpha", 1.0); }
  bool keepdim() const { return named.value("keepdim", false); }
  Reduction reduction() const {
    std::string r = named.value("reduction", "mean");
    return r == "sum" ? Reduction::sum : r == "none" ? Reduction::none : Reduction::mean;
  }
};

using Call = Tensor (*)(const Args&);

template <Tensor (*f)(const Tensor&)> Tensor unary(const Args& a) { return f(a.tensor(0)); }

template <Tensor (*f)(const Tensor&, const Tensor&), Tensor (*g)(const Tensor&, Scalar)> Tensor binary(const Args& a) {
  return a.is_tensor(1) ? f(a.tensor(0), a.tensor(1)) : g(a.tensor(0), a.scalar(1));
}

template <Tensor (*all)(const Tensor&), Tensor (*some)(const Tensor&, Dims, bool)> Tensor reduction(const Args& a) {
  return a.named.contains("dim") ? some(a.tensor(0), dims_of(a.named["dim"]), a.keepdim()) : all(a.tensor(0));
}

template <Tensor (*f)(const Tensor&, Dims, bool)> Tensor extreme(const Args& a) {
  return f(a.tensor(0), dims_of(a.named.value("dim", json::array())), a.keepdim());
}

template <Tensor (*f)(const Tensor&, int64_t, bool)> Tensor arg_extreme(const Args& a) {
  return f(a.tensor(0), a.integer(1), a.keepdim());
}

template <Tensor (*f)(const Tensor&, const Tensor&, Reduction)> Tensor loss(const Args& a) {
  return f(a.tensor(0), a.tensor(1), a.reduction());
}

// In place, on a copy: the argument itself may be a leaf.
template <const Tensor& (Tensor::*f)(const Tensor&) const, const Tensor& (Tensor::*g)(Scalar) const>
Tensor in_place(const Args& a) {
  Tensor x = a.tensor(0).clone();
  return a.is_tensor(1) ? (x.*f)(a.tensor(1)) : (x.*g)(a.scalar(1));
}
template <const Tensor& (Tensor::*f)(const Tensor&, double) const, const Tensor& (Tensor::*g)(Scalar) const>
Tensor in_place_scaled(const Args& a) {
  Tensor x = a.tensor(0).clone();
  return a.is_tensor(1) ? (x.*f)(a.tensor(1), a.alpha()) : (x.*g)(a.scalar(1));
}

// x[i], x[{start, stop, step}], x[i, {…}, …]
Tensor item(Tensor x, const json& indices) {
  auto index = [](const json& j) {
    return j.is_object() ? Index(Slice{j["slice"][0], j["slice"][1], j["slice"][2]}) : Index(j.get<int64_t>());
  };
  switch (indices.size()) {
    case 1: return x[index(indices[0])];
    case 2: return x[{index(indices[0]), index(indices[1])}];
    default: return x[{index(indices[0]), index(indices[1]), index(indices[2])}];
  }
}

const std::map<std::string, Call>& table() {
  static const std::map<std::string, Call> calls = {
      {"neg", unary<neg>},
      {"abs", unary<abs>},
      {"sign", unary<sign>},
      {"square", unary<square>},
      {"relu", unary<relu>},
      {"exp", unary<exp>},
      {"log", unary<log>},
      {"sqrt", unary<sqrt>},
      {"sin", unary<sin>},
      {"cos", unary<cos>},
      {"tanh", unary<tanh>},
      {"sigmoid", unary<sigmoid>},
      {"pow", [](const Args& a) { return pow(a.tensor(0), a.real(1)); }},
      {"clamp", [](const Args& a) { return clamp(a.tensor(0), a.real(1), a.real(2)); }},
      {"add",
       [](const Args& a) {
         return a.is_tensor(1) ? add(a.tensor(0), a.tensor(1), a.alpha()) : add(a.tensor(0), a.scalar(1));
       }},
      {"sub",
       [](const Args& a) {
         return a.is_tensor(1) ? sub(a.tensor(0), a.tensor(1), a.alpha()) : a.tensor(0) - a.real(1);
       }},
      {"rsub", [](const Args& a) { return a.real(1) - a.tensor(0); }},
      {"mul", binary<mul, mul>},
      {"div", binary<div, div>},
      {"Tensor.__rtruediv__", [](const Args& a) { return div(a.scalar(1), a.tensor(0)); }},
      {"maximum", [](const Args& a) { return maximum(a.tensor(0), a.tensor(1)); }},
      {"minimum", [](const Args& a) { return minimum(a.tensor(0), a.tensor(1)); }},
      {"where", [](const Args& a) { return where(a.tensor(0), a.tensor(1), a.tensor(2)); }},
      {"eq", binary<eq, eq>},
      {"ne", binary<ne, ne>},
      {"lt", binary<lt, lt>},
      {"le", binary<le, le>},
      {"gt", binary<gt, gt>},
      {"ge", binary<ge, ge>},
      {"sum", reduction<sum, sum>},
      {"mean", reduction<mean, mean>},
      {"amax", extreme<amax>},
      {"amin", extreme<amin>},
      {"argmax", arg_extreme<argmax>},
      {"argmin", arg_extreme<argmin>},
      {"softmax", [](const Args& a) { return softmax(a.tensor(0), a.integer(1)); }},
      {"log_softmax", [](const Args& a) { return log_softmax(a.tensor(0), a.integer(1)); }},
      {"matmul", [](const Args& a) { return matmul(a.tensor(0), a.tensor(1)); }},
      {"dot", [](const Args& a) { return dot(a.tensor(0), a.tensor(1)); }},
      {"linear", [](const Args& a) { return linear(a.tensor(0), a.tensor(1), a.has(2) ? a.tensor(2) : Tensor()); }},
      {"mse_loss", loss<mse_loss>},
      {"cross_entropy", loss<cross_entropy>},
      {"binary_cross_entropy_with_logits", loss<binary_cross_entropy_with_logits>},
      {"index_select", [](const Args& a) { return index_select(a.tensor(0), a.integer(1), a.tensor(2)); }},
      {"index_add", [](const Args& a) { return index_add(a.tensor(0), a.integer(1), a.tensor(2), a.tensor(3)); }},
      {"gather", [](const Args& a) { return gather(a.tensor(0), a.integer(1), a.tensor(2)); }},
      {"scatter_add", [](const Args& a) { return scatter_add(a.tensor(0), a.integer(1), a.tensor(2), a.tensor(3)); }},
      {"cat", [](const Args& a) { return cat(a.list(0), a.integer(1)); }},
      {"stack", [](const Args& a) { return stack(a.list(0), a.integer(1)); }},
      {"one_hot", [](const Args& a) { return one_hot(a.tensor(0), a.integer(1)); }},
      {"reshape", [](const Args& a) { return a.tensor(0).reshape(dims_of(a.at(1))); }},
      {"view", [](const Args& a) { return a.tensor(0).view(dims_of(a.at(1))); }},
      {"flatten",
       [](const Args& a) {
         return a.has(1) ? a.tensor(0).flatten(a.integer(1), a.integer(2)) : a.tensor(0).flatten();
       }},
      {"t", [](const Args& a) { return a.tensor(0).t(); }},
      {"transpose", [](const Args& a) { return a.tensor(0).transpose(a.integer(1), a.integer(2)); }},
      {"permute", [](const Args& a) { return a.tensor(0).permute(dims_of(a.at(1))); }},
      {"squeeze", [](const Args& a) { return a.has(1) ? a.tensor(0).squeeze(a.integer(1)) : a.tensor(0).squeeze(); }},
      {"unsqueeze", [](const Args& a) { return a.tensor(0).unsqueeze(a.integer(1)); }},
      {"expand", [](const Args& a) { return a.tensor(0).expand(dims_of(a.at(1))); }},
      {"select", [](const Args& a) { return a.tensor(0).select(a.integer(1), a.integer(2)); }},
      {"narrow", [](const Args& a) { return a.tensor(0).narrow(a.integer(1), a.integer(2), a.integer(3)); }},
      {"getitem", [](const Args& a) { return item(a.tensor(0), a.at(1)); }},
      {"setitem",
       [](const Args& a) {
         Tensor x = a.tensor(0).clone();
         if (a.is_tensor(2)) item(x, a.at(1)) = a.tensor(2);
         else item(x, a.at(1)) = a.scalar(2);
         return x;
       }},
      {"clone", [](const Args& a) { return a.tensor(0).clone(); }},
      {"contiguous", [](const Args& a) { return a.tensor(0).contiguous(); }},
      {"to", [](const Args& a) { return a.tensor(0).to(dtype_named(a.at(1).get<std::string>())); }},
      {"add_", in_place_scaled<&Tensor::add_, &Tensor::add_>},
      {"sub_", in_place_scaled<&Tensor::sub_, &Tensor::sub_>},
      {"mul_", in_place<&Tensor::mul_, &Tensor::mul_>},
      {"div_", in_place<&Tensor::div_, &Tensor::div_>},
      {"copy_", [](const Args& a) { return a.tensor(0).clone().copy_(a.tensor(1)); }},
      {"fill_", [](const Args& a) { return a.tensor(0).clone().fill_(a.scalar(1)); }},
      {"zero_", [](const Args& a) { return a.tensor(0).clone().zero_(); }},
  };
  return calls;
}

// Numbers for a large input, by recipe: uniform in its range, or indices, or booleans.
Tensor large_numbers(const std::string& name, const json& recipe) {
  Generator g(std::hash<std::string>{}(name));
  Shape shape = dims_of(recipe.at("shape"));
  std::string type = recipe.value("dtype", "float32");
  if (recipe.contains("index")) return randint(0, recipe["index"].get<int64_t>(), shape, g);
  if (type == "bool") return randint(0, 2, shape, g).to(DType::boolean);
  if (type == "int64") return randint(1, 9, shape, g);
  double lo = -2, hi = 2;
  if (recipe.contains("range")) lo = recipe["range"][0], hi = recipe["range"][1];
  return rand(shape, g, dtype_named(type)) * (hi - lo) + lo;
}

OpCase parse(const std::string& line) {
  auto j = std::make_shared<const json>(json::parse(line));
  OpCase c;
  c.id = j->at("id");
  c.op = j->at("op");
  c.grad = j->at("grad").get<std::vector<std::string>>();
  c.layout = j->value("layout", std::map<std::string, std::string>());
  c.order = j->value("order", 2);
  c.ulps = j->value("ulps", 1.0);
  c.large = j->contains("large");
  auto note = [&](const std::string& name) {
    if (std::find(c.inputs.begin(), c.inputs.end(), name) == c.inputs.end()) c.inputs.push_back(name);
  };
  for (const json& a : j->at("args")) {
    if (!a.is_object()) continue;
    if (a.contains("tensor")) note(a["tensor"]);
    if (a.contains("tensors")) {
      for (const json& n : a["tensors"]) note(n);
    }
  }
  bool large = c.large;
  c.numbers = [j, large](const std::string& name) {
    return large ? large_numbers(name, j->at("large").at(name)) : golden(name);
  };
  auto found = table().find(c.op);
  if (found == table().end()) throw Error("op_cases.cpp does not know the operation " + c.op);
  Call call = found->second;
  c.call = [j, call](const Tensors& tensors) { return call({j->at("args"), j->at("kwargs"), tensors}); };
  return c;
}

}  // namespace

std::string test_file(const std::string& path) { return std::string(CHAINRULE_SOURCE_DIR) + "/tests/" + path; }

const std::vector<OpCase>& op_cases() {
  static const std::vector<OpCase> all = [] {
    std::vector<OpCase> cases;
    std::ifstream file(test_file("golden/ops.jsonl"));
    for (std::string line; std::getline(file, line);) cases.push_back(parse(line));
    if (cases.empty()) throw Error("tests/golden/ops.jsonl is missing or empty");
    return cases;
  }();
  return all;
}

const Tensor& golden(const std::string& name) {
  static const io::SafeTensors file = io::load_safetensors(test_file("golden/ops.safetensors"));
  auto found = file.tensors.find(name);
  if (found == file.tensors.end()) throw Error("no golden tensor " + name);
  return found->second;
}

std::vector<std::string> known_ops() {
  std::vector<std::string> names;
  for (auto& [name, call] : table()) names.push_back(name);
  return names;
}

Tensor with_layout(const Tensor& x, const std::string& layout) {
  if (layout == "contiguous") return x.detach().clone();
  if (layout == "transposed") {
    Dims reverse;
    for (int d = x.dim() - 1; d >= 0; --d) reverse.push_back(d);
    return x.detach().permute(reverse).clone().permute(reverse).detach();
  }
  if (layout == "sliced") {
    Shape wide = x.shape();
    int64_t n = wide.back();
    wide[x.dim() - 1] = 2 * n + 1;
    Tensor part = full(wide, 77, x.dtype()).slice(-1, {1, 2 * n + 1, 2});
    part.copy_(x.detach());
    return part.detach();
  }
  if (layout == "expanded") return x.detach().narrow(0, 0, 1).clone().expand(x.shape()).detach();
  throw Error("no layout is called " + layout);
}

Tensors make_inputs(const OpCase& c, bool layouts) {
  Tensors inputs;
  for (const std::string& name : c.inputs) {
    auto found = c.layout.find(name);
    inputs[name] = with_layout(c.numbers(name), layouts && found != c.layout.end() ? found->second : "contiguous");
  }
  for (const std::string& name : c.grad) inputs[name].requires_grad_();
  return inputs;
}

std::vector<double> numbers_of(const Tensor& x) {
  Tensor y = x.detach().to(Device::cpu).to(DType::float64).contiguous();
  return {y.data<double>(), y.data<double>() + y.numel()};
}

Tensor from_numbers(const std::vector<double>& values, const Shape& shape, DType dtype) {
  return from_span(std::span<const double>(values), shape).to(dtype);
}

std::string difference(const Tensor& got, const Tensor& want, double ulps, double of_largest) {
  if (!got.defined()) return "undefined";
  if (got.dtype() != want.dtype()) return std::string("type ") + name(got.dtype()) + ", not " + name(want.dtype());
  if (!(got.shape() == want.shape())) return "shape " + to_string(got.shape()) + ", not " + to_string(want.shape());
  bool narrow = want.dtype() == DType::float32;
  double eps = narrow ? 0x1p-23 : 0x1p-52, least = narrow ? 0x1p-149 : 0x1p-1074, largest = 0;
  std::vector<double> a = numbers_of(got), b = numbers_of(want);
  for (double v : b) {
    if (std::isfinite(v)) largest = std::max(largest, std::abs(v));
  }
  for (size_t i = 0; i < a.size(); ++i) {
    bool same = a[i] == b[i] || (std::isnan(a[i]) && std::isnan(b[i]));
    bool close = std::abs(a[i] - b[i]) <= ulps * (eps * (std::abs(b[i]) + of_largest * largest) + least);
    if (!same && !(ulps > 0 && std::isfinite(b[i]) && close)) {
      char text[160];
      double unit = std::max(eps * std::abs(b[i]), least);
      std::snprintf(text, sizeof text, "number %zu of shape %s: %.17g, not %.17g (%.1f ulps)", i,
                    to_string(want.shape()).c_str(), a[i], b[i], std::abs(a[i] - b[i]) / unit);
      return text;
    }
  }
  return "";
}

}  // namespace cr::test

// ## Nothing is forgotten
using namespace cr;
using namespace cr::test;

TEST_CASE("every operation of the public headers has a case", "[ops]") {
  std::set<std::string> tested;
  for (const OpCase& c : op_cases()) tested.insert(c.op);
  for (const std::string& name : known_ops()) {
    INFO(name);
    CHECK(tested.count(name));
  }
  // Members under another name, and those that have tests of their own.
  tested.insert({"slice", "detach", "grad", "requires_grad_", "operator", "empty", "window"});
  std::string missing;
  for (std::string file : {"ops/elementwise.hpp", "ops/index.hpp", "ops/loss.hpp", "ops/product.hpp", "ops/reduce.hpp",
                           "tensor/tensor.hpp"}) {
    std::ifstream in(std::string(CHAINRULE_SOURCE_DIR) + "/common/" + file);
    REQUIRE(in.good());
    // "Tensor name(", "const Tensor& name(" at the beginning of a line
    for (std::string line; std::getline(in, line);) {
      line.erase(0, line.find_first_not_of(' ') == std::string::npos ? line.size() : line.find_first_not_of(' '));
      for (std::string start : {"const Tensor& ", "Tensor "}) {
        size_t end = line.find('(');
        if (line.rfind(start, 0) != 0 || end == std::string::npos) continue;
        std::string name = line.substr(start.size(), end - start.size());
        bool is_name = name.find_first_of(" ;=") == std::string::npos && name.rfind("operator", 0) != 0;
        if (is_name && !tested.count(name)) missing += " " + name;
      }
    }
  }
  INFO("without a case:" << missing);
  CHECK(missing.empty());
}
