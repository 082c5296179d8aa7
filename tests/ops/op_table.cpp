#include "op_table.hpp"

#include <algorithm>
#include <cmath>
#include <sstream>

#include "compare.hpp"

namespace cr::test {
namespace {

[[noreturn]] void not_a(const char* what, const Json& j) {
  throw Unsupported(std::string("expected ") + what + ", got " +
                    j.dump(-1, ' ', false, Json::error_handler_t::replace));
}
bool is_number(const Json& j) { return j.is_number() || j.is_boolean() || (j.is_object() && j.contains("float")); }

}  // namespace

double number(const Json& j) {
  if (!is_number(j)) not_a("a number", j);
  if (j.is_object()) return std::stod(j.at("float").get<std::string>());
  return j.is_boolean() ? j.get<bool>() : j.get<double>();
}

void read(const Json& j, const NamedTensors&, Json& out) { out = j; }
void read(const Json& j, const NamedTensors&, double& out) { out = number(j); }
void read(const Json& j, const NamedTensors&, int64_t& out) {
  if (!j.is_number_integer() && !j.is_boolean() && !(j.is_number() && j.get<double>() == std::floor(j.get<double>())))
    not_a("a whole number", j);
  out = j.is_boolean() ? j.get<bool>() : j.get<int64_t>();
}
void read(const Json& j, const NamedTensors&, bool& out) {
  if (!j.is_boolean() && !j.is_number_integer()) not_a("true or false", j);
  out = j.is_boolean() ? j.get<bool>() : j.get<int64_t>() != 0;
}
void read(const Json& j, const NamedTensors&, std::string& out) {
  if (!j.is_string()) not_a("a word", j);
  out = j.get<std::string>();
}
void read(const Json& j, const NamedTensors&, Scalar& out) {
  if (j.is_boolean()) out = Scalar(j.get<bool>());
  else if (j.is_number_integer()) out = Scalar(j.get<int64_t>());
  else out = Scalar(number(j));
}
void read(const Json& j, const NamedTensors&, DType& out) {
  if (!j.is_string()) not_a("a dtype", j);
  try {
    out = dtype_named(j.get<std::string>());
  } catch (const Error& e) {
    throw Unsupported(e.what());
  }
}
void read(const Json& j, const NamedTensors& tensors, Dims& out) {
  if (j.is_null()) return;
  if (!j.is_array()) {
    int64_t d;
    read(j, tensors, d);
    out = Dims{d};
    return;
  }
  for (const Json& item : j) {
    int64_t d;
    read(item, tensors, d);
    out.push_back(d);
  }
}
void read(const Json& j, const NamedTensors& tensors, Tensor& out) {
  if (j.is_null()) return;
  if (!j.is_object() || !j.contains("tensor")) not_a("a tensor", j);
  auto found = tensors.find(j["tensor"].get<std::string>());
  if (found == tensors.end()) throw Error("no tensor is called " + j["tensor"].dump());
  out = found->second;
}
void read(const Json& j, const NamedTensors& tensors, Operand& out) {
  if (is_number(j)) {
    Scalar s{0};
    read(j, tensors, s);
    out = s;
  } else {
    Tensor t;
    read(j, tensors, t);
    out = t;
  }
}

// Positional arguments end at the parameter that takes the rest; those behind it go by name.
Json Args::take(size_t i) const {
  const Parameter& p = parameters[i];
  bool by_name = std::any_of(parameters.begin(), parameters.begin() + static_cast<std::ptrdiff_t>(i),
                             [](auto& q) { return q.rest; });
  if (p.rest && positional.size() > i) {
    bool one_list = positional.size() == i + 1 && (positional[i].is_array() || positional[i].contains("tensors"));
    return one_list ? positional[i] : Json(positional.begin() + static_cast<std::ptrdiff_t>(i), positional.end());
  }
  if (i < positional.size() && !by_name) return positional[i];
  if (auto found = named.find(p.name); found != named.end()) return *found;
  if (p.required) throw Unsupported("argument " + p.name + " is missing");
  return p.value;
}

void Args::check(const std::string& op) const {
  bool rest = std::any_of(parameters.begin(), parameters.end(), [](const Parameter& p) { return p.rest; });
  if (positional.size() > parameters.size() && !rest) {
    throw Unsupported(op + " takes " + std::to_string(parameters.size()) + " arguments here, not " +
                      std::to_string(positional.size()));
  }
  for (auto& argument : named.items()) {
    auto same = [&](const Parameter& p) { return p.name == argument.key(); };
    if (!std::any_of(parameters.begin(), parameters.end(), same))
      throw Unsupported(op + ": argument " + argument.key() + " is not taken here");
  }
}

std::vector<Parameter> Op::parse(const std::string& words) {
  std::vector<Parameter> list;
  std::istringstream in(words);
  for (std::string word; in >> word;) {
    size_t equals = word.find('=');
    bool rest = word[0] == '*';
    Parameter p{word.substr(rest, equals - rest), nullptr, equals == std::string::npos && !rest, rest};
    if (equals != std::string::npos) p.value = Json::parse(word.substr(equals + 1));
    list.push_back(p);
  }
  return list;
}

void Op::require_arity(size_t n) const {
  if (parameters.size() != n)
    throw std::logic_error("table of operations: " + name + " names " + std::to_string(parameters.size()) +
                           " parameters for a function of " + std::to_string(n));
}

const std::map<std::string, Op>& all_ops() {
  static const std::map<std::string, Op> ops = [] {
    std::map<std::string, Op> all;
    for (auto family : {elementwise_ops, activation_ops, reduce_ops, view_ops, index_ops, create_ops, product_ops,
                        linalg_ops, norm_ops, loss_ops, conv_ops}) {
      for (Op& op : family()) {
        std::string name = op.name;
        if (!all.emplace(name, std::move(op)).second) throw std::logic_error("two operations are called " + name);
      }
    }
    return all;
  }();
  return ops;
}

const Op* find_op(const std::string& name) {
  auto found = all_ops().find(name);
  if (found != all_ops().end()) return &found->second;
  for (std::string prefix : {"torch.", "nn.functional.", "special.", "Tensor."}) {
    if (name.rfind(prefix, 0) == 0) return find_op(name.substr(prefix.size()));
  }
  return nullptr;
}

Outputs call_op(const std::string& name, const Json& positional, const Json& named, const NamedTensors& tensors) {
  const Op* op = find_op(name);
  if (!op) throw Unsupported("no operation is called " + name);
  Args args{op->parameters, positional, named, tensors};
  args.check(name);
  return op->call(args);
}

}  // namespace cr::test
