#include "op_cases.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "io/safetensors.hpp"

namespace cr::test {
namespace {

// Numbers for a large input, by recipe: uniform in its range, or indices, or booleans.
Tensor large_numbers(const std::string& name, const Json& recipe) {
  Generator g(std::hash<std::string>{}(name));
  Dims shape;
  read(recipe.at("shape"), {}, shape);
  std::string type = recipe.value("dtype", "float32");
  if (recipe.contains("index")) return randint(0, recipe["index"].get<int64_t>(), shape, g);
  if (type == "bool") return randint(0, 2, shape, g).to(DType::boolean);
  if (type == "int64") return randint(1, 9, shape, g);
  double lo = -2, hi = 2;
  if (recipe.contains("range")) lo = recipe["range"][0], hi = recipe["range"][1];
  return rand(shape, g, dtype_named(type)) * (hi - lo) + lo;
}

void note_tensors(const Json& j, std::vector<std::string>& names) {
  if (j.is_object() && j.contains("tensor")) {
    std::string name = j["tensor"];
    if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
  } else if (j.is_object() && j.contains("tensors")) {
    for (const Json& n : j["tensors"]) note_tensors({{"tensor", n}}, names);
  } else if (j.is_array()) {
    for (const Json& item : j) note_tensors(item, names);
  }
}

OpCase parse(const std::string& text, const std::string& family) {
  OpCase c;
  c.line = Json::parse(text);
  c.family = family;
  c.id = c.line.at("id");
  c.op = c.line.at("op");
  c.grad = c.line.at("grad").get<std::vector<std::string>>();
  c.layout = c.line.value("layout", std::map<std::string, std::string>());
  c.order = c.line.value("order", 2);
  c.ulps = c.line.value("ulps", 1.0);
  c.grad_ulps = c.line.value("grad_ulps", 2 * c.ulps);
  c.large = c.line.contains("large");
  note_tensors(c.line["args"], c.inputs);
  for (auto& [name, value] : c.line["kwargs"].items()) note_tensors(value, c.inputs);
  return c;
}

}  // namespace

// The sign of each column's product with its counterpart, as (…, 1, n) numbers 1 and -1.
static Tensor signs(const Tensor& got, const Tensor& want) {
  Tensor s = sum(got.detach() * want.to(got.dtype()).to(got.device()), {-2}, true);
  return where(s < 0, full({}, -1, got.dtype(), got.device()), ones({}, got.dtype(), got.device()));
}

Outputs OpCase::call(const NamedTensors& tensors) const {
  Outputs ys = call_op(op, line["args"], line["kwargs"], tensors);
  bool is_svd = op == "linalg.svd" || op == "svd", is_eigh = op == "linalg.eigh";
  if (large || (!is_svd && !is_eigh)) return ys;
  size_t left = is_svd ? 0 : 1;
  const Tensor& want = golden(*this, id + "/out" + std::to_string(left));
  if (want.numel() == 0 || !(want.shape() == ys[left].shape())) return ys;
  Tensor flip = signs(ys[left], want);
  ys[left] = ys[left] * flip;
  if (op == "svd") ys[2] = ys[2] * flip.narrow(-1, 0, std::min(flip.size(-1), ys[2].size(-1)));
  if (op == "linalg.svd") ys[2] = ys[2] * flip.transpose(-1, -2).narrow(-2, 0, std::min(flip.size(-1), ys[2].size(-2)));
  return ys;
}

Tensor OpCase::numbers(const std::string& input) const {
  return large ? large_numbers(input, line.at("large").at(input)) : golden(*this, input);
}

const std::vector<OpCase>& op_cases() {
  static const std::vector<OpCase> all = [] {
    std::vector<std::filesystem::path> files;
    for (auto& entry : std::filesystem::directory_iterator(test_file("golden/ops"))) {
      if (entry.path().extension() == ".jsonl") files.push_back(entry.path());
    }
    std::sort(files.begin(), files.end());
    std::vector<OpCase> cases;
    for (auto& path : files) {
      std::ifstream file(path);
      for (std::string line; std::getline(file, line);) cases.push_back(parse(line, path.stem()));
    }
    if (cases.empty()) throw Error("tests/golden/ops holds no cases");
    return cases;
  }();
  return all;
}

const Tensor& golden(const OpCase& c, const std::string& name) {
  static std::map<std::string, io::SafeTensors> files;
  auto file = files.find(c.family);
  if (file == files.end()) {
    file = files.emplace(c.family, io::load_safetensors(test_file("golden/ops/" + c.family + ".safetensors"))).first;
  }
  auto found = file->second.tensors.find(name);
  if (found == file->second.tensors.end()) throw Error("no golden tensor " + name);
  return found->second;
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

NamedTensors make_inputs(const OpCase& c, bool layouts) {
  NamedTensors inputs;
  for (const std::string& name : c.inputs) {
    auto found = c.layout.find(name);
    inputs[name] = with_layout(c.numbers(name), layouts && found != c.layout.end() ? found->second : "contiguous");
  }
  for (const std::string& name : c.grad) inputs[name].requires_grad_();
  return inputs;
}

Outputs differentiable(const Outputs& ys) {
  Outputs some;
  for (const Tensor& y : ys) {
    if (y.defined() && y.requires_grad()) some.push_back(y);
  }
  return some;
}

std::vector<Tensor> evaluate(const OpCase& c, const NamedTensors& inputs) {
  Outputs ys = c.call(inputs), results, wanted, cotangents;
  for (const Tensor& y : ys) results.push_back(y.defined() ? y.detach() : y);
  for (const std::string& name : c.grad) wanted.push_back(inputs.at(name));
  ys = differentiable(ys);
  Generator random(11);
  for (const Tensor& y : ys) cotangents.push_back((rand(y.shape(), random, y.dtype()) + 0.5).to(y.device()));
  if (wanted.empty() || ys.empty()) return results;
  for (const Tensor& g : grad(ys, wanted, {.grad_outputs = cotangents, .allow_unused = true})) {
    if (g.defined()) results.push_back(g);
  }
  return results;
}

}  // namespace cr::test
