// # The conformance program
//
//     run_ops CASES.jsonl IN.safetensors OUT.safetensors
//     run_ops --list
//
// Calls operations by PyTorch's names with arguments from a file, so that anybody can hold our results against those of
// another library. A case is one line:
//
//     {"id":"add/0","op":"add","args":[{"tensor":"add/0/x"},2.0],"kwargs":{},"grad":["add/0/x"]}
//
// Its tensors come from IN; its results go to OUT as `add/0/out0`, …, and, where `grad` names inputs, their
// vector-Jacobian products with `add/0/cotangent0`, … of IN as `add/0/grad/0`, …. Each case is answered by a line
// {"id":…,"status":"ok"|"unsupported"|"error","message":…}; a bad one never ends the run. Exit status 2 if a file
// cannot be read or written, or for wrong options.
#include <cstdio>
#include <fstream>
#include <iostream>
#include <new>

#include "io/safetensors.hpp"
#include "op_cases.hpp"

namespace cr::test {
namespace {

constexpr const char* kUsage =
    "usage: run_ops CASES.jsonl IN.safetensors OUT.safetensors\n"
    "       run_ops --list      the operations it knows, one a line\n";

// The tensors a case's arguments name, fresh for this case, those of `grad` as leaves.
void collect(const Json& j, const io::SafeTensors& in, NamedTensors& tensors) {
  if (j.is_object() && j.contains("tensor")) {
    std::string name = j["tensor"];
    if (tensors.count(name)) return;
    if (auto other = in.unknown.find(name); other != in.unknown.end()) {
      throw Unsupported("tensor " + name + " has elements of type " + other->second);
    }
    auto found = in.tensors.find(name);
    if (found == in.tensors.end()) throw Error("no tensor is called " + name);
    tensors[name] = found->second.clone();
  } else if (j.is_object() && j.contains("tensors")) {
    for (const Json& name : j["tensors"]) {
      if (!name.is_null()) collect({{"tensor", name}}, in, tensors);
    }
  } else if (j.is_structured()) {
    for (const Json& item : j) collect(item, in, tensors);
  }
}

void run_case(const Json& line, const std::string& id, const io::SafeTensors& in, NamedTensors& out) {
  std::string op = line.at("op");
  Json args = line.value("args", Json::array()), kwargs = line.value("kwargs", Json::object());
  auto wanted = line.value("grad", std::vector<std::string>());
  if (!find_op(op)) throw Unsupported("no operation is called " + op);
  NamedTensors tensors, results;
  collect(args, in, tensors);
  collect(kwargs, in, tensors);
  std::vector<Tensor> leaves;
  for (const std::string& name : wanted) {
    auto found = tensors.find(name);
    if (found == tensors.end()) throw Error("grad names " + name + ", which is no argument");
    leaves.push_back(found->second.requires_grad_());
  }
  Outputs ys = call_op(op, args, kwargs, tensors);
  for (size_t j = 0; j < ys.size(); ++j) {
    if (ys[j].defined()) results[id + "/out" + std::to_string(j)] = ys[j].detach();
  }
  if (!wanted.empty()) {
    Outputs some = differentiable(ys), cotangents;
    for (size_t j = 0; j < some.size(); ++j) {
      auto found = in.tensors.find(id + "/cotangent" + std::to_string(j));
      if (found == in.tensors.end()) throw Error("no tensor is called " + id + "/cotangent" + std::to_string(j));
      cotangents.push_back(found->second.to(some[j].dtype()));
    }
    std::vector<Tensor> grads(leaves.size());
    if (!some.empty()) grads = grad(some, leaves, {.grad_outputs = cotangents, .allow_unused = true});
    for (size_t k = 0; k < grads.size(); ++k) {
      results[id + "/grad/" + std::to_string(k)] = grads[k].defined() ? grads[k].detach() : zeros_like(leaves[k]);
    }
  }
  out.merge(results);
}

int run(const std::string& cases_path, const std::string& in_path, const std::string& out_path) {
  std::ifstream cases(cases_path);
  if (!cases) throw IoError("cannot read " + cases_path);
  io::SafeTensors in = io::load_safetensors(in_path, {.unknown = io::UnknownTypes::skip});
  NamedTensors out;
  int number = 0;
  for (std::string text; std::getline(cases, text);) {
    ++number;
    if (text.find_first_not_of(" \t\r") == std::string::npos) continue;
    Json answer = {{"id", "line " + std::to_string(number)}, {"status", "ok"}, {"message", ""}};
    auto failed = [&](const char* status, const char* what) {
      answer["status"] = status;
      answer["message"] = what;
    };
    try {
      Json line = Json::parse(text);
      answer["id"] = line.at("id").get<std::string>();
      run_case(line, answer["id"], in, out);
    } catch (const Unsupported& e) {
      failed("unsupported", e.what());
    } catch (const std::bad_alloc&) {
      failed("error", "out of memory");
    } catch (const std::exception& e) {
      failed("error", e.what());
    }
    std::cout << answer.dump(-1, ' ', false, Json::error_handler_t::replace) << std::endl;
  }
  if (cases.bad()) throw IoError("cannot read " + cases_path);
  io::save_safetensors(out_path, out);
  return std::cout ? 0 : 2;
}

}  // namespace
}  // namespace cr::test

int main(int argc, char** argv) {
  using namespace cr::test;
  std::vector<std::string> words(argv + 1, argv + argc);
  if (words == std::vector<std::string>{"--list"}) {
    for (auto& [name, op] : all_ops()) std::cout << name << "\n";
    return 0;
  }
  if (words == std::vector<std::string>{"--help"} || words == std::vector<std::string>{"-h"}) {
    std::cout << kUsage;
    return 0;
  }
  if (words.size() != 3 || words[0].rfind("--", 0) == 0) {
    std::cerr << kUsage;
    return 2;
  }
  try {
    return run(words[0], words[1], words[2]);
  } catch (const std::exception& e) {
    std::cerr << "run_ops: " << e.what() << "\n";
    return 2;
  }
}
