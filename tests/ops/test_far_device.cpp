// # Nobody reads a GPU's numbers where they lie
#include <set>
#include <sstream>

#include "backend/backend.hpp"
#include "catch.hpp"
#include "far_device.hpp"
#include "io/npy.hpp"
#include "io/safetensors.hpp"
#include "nn/linear.hpp"
#include "op_cases.hpp"
#include "optim/adam.hpp"

using namespace cr;
using namespace cr::test;

namespace {

std::string compare(const std::vector<Tensor>& got, const std::vector<Tensor>& want) {
  if (got.size() != want.size()) return "another number of gradients";
  for (size_t k = 0; k < got.size(); ++k) {
    if (!got[k].defined() && !want[k].defined()) continue;
    if (std::string d = difference(got[k], want[k]); !d.empty()) return d;
  }
  return "";
}

}  // namespace

TEST_CASE("every operation on memory out of reach", "[far]") {
  FarDevice far;
  std::string failures;
  for (const OpCase& c : op_cases()) {
    if (c.large) continue;
    NamedTensors inputs = make_inputs(c, false), moved;
    for (auto& [name, x] : inputs) moved[name] = x.detach().to(Device::cuda);
    for (const std::string& name : c.grad) moved[name].requires_grad_();
    try {
      std::vector<Tensor> got = evaluate(c, moved);
      for (const Tensor& t : got) {
        if (t.defined() && t.device() != Device::cuda) failures += "\n  " + c.id + ": the result is elsewhere";
      }
      if (std::string d = compare(got, evaluate(c, inputs)); !d.empty()) failures += "\n  " + c.id + ": " + d;
    } catch (const Error& e) {
      failures += "\n  " + c.id + ": " + e.what();
    }
  }
  INFO(failures);
  CHECK(failures.empty());
  CHECK(far.live_bytes() == 0);
}

// One input is on the GPU, the others are not: an error that names both devices, or, where an argument is no more than a
// list of numbers to the operation, the right result.
TEST_CASE("operands on two devices are refused by every operation", "[far]") {
  FarDevice far;
  std::string failures;
  std::set<std::string> refused;
  for (const OpCase& c : op_cases()) {
    if (c.large || c.inputs.size() < 2) continue;
    const NamedTensors inputs = make_inputs(c);
    for (const std::string& name : c.inputs) {
      NamedTensors mixed = inputs;
      mixed[name] = inputs.at(name).detach().to(Device::cuda);
      try {
        std::string d = compare(c.call(mixed), c.call(inputs));
        if (!d.empty()) failures += "\n  " + c.id + " with " + name + " elsewhere: " + d;
      } catch (const DeviceError& e) {
        std::string what = e.what();
        refused.insert(c.op);
        if (what.find("cpu and cuda") == std::string::npos && what.find("cuda and cpu") == std::string::npos)
          failures += "\n  " + c.id + " with " + name + " elsewhere: " + what;
      } catch (const Error& e) {
        failures += "\n  " + c.id + " with " + name + " elsewhere: " + e.what();
      }
    }
  }
  INFO(failures);
  CHECK(failures.empty());
  CHECK(refused.size() > 60);
}

TEST_CASE("what looks at numbers carries them over first", "[far]") {
  FarDevice far;
  const Tensor here = arange(6).to(DType::float32).reshape({2, 3}), there = here.to(Device::cuda);
  CHECK(there.device() == Device::cuda);
  CHECK(to_string(there) == to_string(here));
  CHECK(there[{1, 2}].item() == 5);
  CHECK(there.t().sum().item() == 15);
  CHECK(difference(there.t().to(Device::cpu), here.t()) == "");
#if CHAINRULE_SIMT
  CHECK(difference(there.t().to(Device::simt), here.t()) == "");
  CHECK(difference(here.t().to(Device::simt).to(Device::cuda).to(Device::cpu), here.t()) == "");
#endif
  CHECK(difference(there.to(DType::int64), here.to(DType::int64)) == "");
  CHECK_THROWS_AS(there.data<float>(), DeviceError);
  CHECK_THROWS_AS(there.mutable_data<float>(), DeviceError);
  CHECK(to_host(here).impl() == here.impl());

  // Gradients go back the way the numbers came.
  Tensor leaf = here.detach().requires_grad_();
  sum(square(leaf.to(Device::cuda))).backward();
  CHECK(leaf.grad().device() == Device::cpu);
  CHECK(difference(leaf.grad(), here * 2) == "");

  const std::string folder = std::string(std::getenv("TMPDIR") ? std::getenv("TMPDIR") : "/tmp") + "/cr_far_device";
  io::save_safetensors(folder + ".safetensors", {{"x", there.t()}});
  CHECK(difference(io::load_safetensors(folder + ".safetensors").tensors.at("x"), here.t()) == "");
  io::write_npy(folder + ".npy", there);
  CHECK(difference(io::read_npy(folder + ".npy"), here) == "");
  std::remove((folder + ".safetensors").c_str());
  std::remove((folder + ".npy").c_str());

  Tensor to = zeros({2, 3}, DType::float32, Device::cuda);
  to[0] = here[1];  // copy_ takes numbers from anywhere
  CHECK(difference(to[0], here[1]) == "");
  CHECK(empty({0, 4}, DType::float32, Device::cuda).to(Device::cpu).numel() == 0);
}

TEST_CASE("a model learns the same on memory out of reach", "[far]") {
  FarDevice far;
  auto train = [](Device device) {
    Generator g(3);
    nn::Linear layer(4, 2, g);
    Tensor x = randn({16, 4}, g).to(device), y = randint(0, 2, {16}, g).to(device);
    layer = to(layer, device);
    optim::Adam adam(parameters(layer), {.lr = 0.05});
    for (int i = 0; i < 5; ++i) {
      adam.zero_grad();
      cross_entropy(layer(x), y).backward();
      adam.step();
    }
    return layer.weight.detach().to(Device::cpu);
  };
  CHECK(difference(train(Device::cuda), train(Device::cpu)) == "");
  CHECK(far.live_bytes() == 0);
}

TEST_CASE("out of the device's memory, and on", "[far]") {
  FarDevice far;
  far.limit(1 << 20);
  Tensor x = ones({1000}, DType::float32, Device::cuda);
  CHECK_THROWS_AS(ones({1 << 20}, DType::float32, Device::cuda), OutOfMemory);
  CHECK((x + x).sum().item() == 2000);
}
