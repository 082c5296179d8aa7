// # The same numbers on any number of threads, any instruction set, any device
#include <set>

#include "backend/backend.hpp"
#include "backend/cpu/cpu_features.hpp"
#include "backend/parallel.hpp"
#include "catch.hpp"
#include "machine.hpp"
#include "op_cases.hpp"

using namespace cr;
using namespace cr::test;

namespace {

// What to compare: the ulps allowed, and whether units of the tensor's largest number count.
std::string compare(const std::vector<Tensor>& got, const std::vector<Tensor>& want, double ulps) {
  if (got.size() != want.size()) return "another number of gradients";
  for (size_t k = 0; k < got.size(); ++k) {
    std::string d = difference(got[k], want[k], ulps, ulps > 0);
    if (!d.empty()) return (k ? "gradient: " : "result: ") + d;
  }
  return "";
}

// Instruction sets and devices may add up a product's terms in another order.
bool is_product(const OpCase& c) {
  static const std::set<std::string> others = {"cov", "corrcoef", "linear_cross_entropy"};
  return c.family == "product" || c.family == "linalg" || c.family == "conv" || c.family == "recurrent" ||
         c.family == "attention" || others.count(c.op);
}

}  // namespace

TEST_CASE("one thread and two give the same bits", "[bits]") {
  Threads restore;
  std::string failures;
  int seen = 0;
  for (const OpCase& c : op_cases()) {
    if (!c.large || seen++ % (kSanitized ? 4 : 1) != 0) continue;
    NamedTensors inputs = make_inputs(c);
    backend::set_num_threads(1);
    std::vector<Tensor> one = evaluate(c, inputs);
    backend::set_num_threads(2);
    std::string d = compare(evaluate(c, inputs), one, 0);
    if (!d.empty()) failures += "\n  " + c.id + ": " + d;
  }
  INFO(failures);
  CHECK(seen > 100);
  CHECK(failures.empty());
}

TEST_CASE("one thread and two give the same random tensors", "[bits]") {
  Threads restore;
  auto draw = [](int threads) {
    backend::set_num_threads(threads);
    Generator g(7);
    return std::vector<Tensor>{rand({300001}, g),
                               randn({300001}, g),
                               rand({200, 1000}, g, DType::float64),
                               randn({200001}, g, DType::float64),
                               randint(-5, 1000, {300000}, g),
                               randperm(1000, g)};
  };
  CHECK(compare(draw(2), draw(1), 0) == "");
}

TEST_CASE("all instruction sets give the same bits, products the same to rounding", "[bits]") {
  InstructionSet restore;
  using backend::cpu::Isa;
  if (backend::cpu::best_isa() == Isa::base) SKIP("this machine or build has one instruction set");
  std::string failures;
  for (Isa isa : {Isa::avx2, Isa::avx512}) {
    if (isa > backend::cpu::best_isa()) continue;
    for (const OpCase& c : op_cases()) {
      if (kSanitized && c.large) continue;
      NamedTensors inputs = make_inputs(c);
      backend::cpu::set_isa(Isa::base);
      std::vector<Tensor> base = evaluate(c, inputs);
      backend::cpu::set_isa(isa);
      std::string d = compare(evaluate(c, inputs), base, is_product(c) ? 64 : 0);
      if (!d.empty()) failures += "\n  " + c.id + " with " + isa_name(isa) + ": " + d;
    }
  }
  INFO(failures);
  CHECK(failures.empty());
}

// A device need not have every operation, but says so (DeviceError) and is right in what it has.
TEST_CASE("every device computes what the CPU computes", "[bits]") {
  std::string failures, devices;
  for (Device device : other_devices()) {
    std::set<std::string> done, refused;
    for (const OpCase& c : op_cases()) {
      if (c.large) continue;
      NamedTensors inputs = make_inputs(c), moved;
      std::vector<Tensor> want = evaluate(c, inputs), got;
      try {
        for (auto& [name, x] : inputs) moved[name] = x.detach().to(device);
        for (const std::string& name : c.grad) moved[name].requires_grad_();
        got = evaluate(c, moved);
        done.insert(c.op);
      } catch (const DeviceError&) {
        refused.insert(c.op);
        continue;
      }
      for (Tensor& t : got) {
        if (t.device() != device) failures += "\n  " + c.id + " on " + name(device) + ": the result is elsewhere";
        t = t.to(Device::cpu);
      }
      // A norm's gradient is what is left of two sums that nearly cancel.
      std::string d = compare(got, want, is_product(c) || c.family == "norm" ? 64 : c.ulps);
      if (!d.empty()) failures += "\n  " + c.id + " on " + name(device) + ": " + d;
    }
    devices += std::string(name(device)) + ": " + std::to_string(done.size()) + " operations; ";
    INFO(name(device) << " refuses everything");
    CHECK(done.size() > 10);
  }
  if (devices.empty()) SKIP("this build has the CPU only");
  INFO(devices << failures);
  CHECK(failures.empty());
}
