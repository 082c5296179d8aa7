// The training steps that are timed compute what PyTorch's compute: the losses of the first 20 steps from the same weights
// and data, `golden/workloads.json`.
#include <algorithm>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "catch.hpp"
#include "compare.hpp"
#include "ops/far_device.hpp"
#include "workloads.hpp"

using namespace cr;

static const nlohmann::json& golden() {
  static const auto j = nlohmann::json::parse(std::ifstream(test::test_file("golden/workloads.json")));
  return j;
}

// The first `steps` steps, in builds with sanitizers the first two.
static void compare(const bench::Workload& w, DType dtype, const char* type, size_t steps, double tolerance) {
  std::vector<double> wanted = golden().at(w.name).at(type);
  REQUIRE(wanted.size() == 20);
  wanted.resize(test::kSanitized ? 2 : steps);
  bench::Step step = w.make(dtype);
  for (size_t i = 0; i < wanted.size(); ++i) {
    double loss = step().item();
    INFO(type << ", step " << i + 1 << " of " << wanted.size());
    REQUIRE(std::abs(loss - wanted[i]) <= tolerance * std::max(1.0, std::abs(wanted[i])));
  }
}

// Training amplifies rounding: after 20 steps PyTorch's own float32 losses are up to 1e-5 from its float64 ones, and at
// larger learning rates more than 1e-4 for the networks with batch norm. That the two sides compute the same, and not
// nearly the same, shows in float64.
static void trains_as_in_pytorch(const std::string& name) {
  for (const bench::Workload& w : bench::workloads()) {
    if (w.name != name) continue;
    compare(w, DType::float32, "float32", 20, 1e-4);
    compare(w, DType::float64, "float64", 5, 1e-10);
    return;
  }
  FAIL("there is no workload " << name);
}

TEST_CASE("mlp_b64 trains as in PyTorch") { trains_as_in_pytorch("mlp_b64"); }
TEST_CASE("mlp_b1 trains as in PyTorch") { trains_as_in_pytorch("mlp_b1"); }
TEST_CASE("lenet_b64 trains as in PyTorch") { trains_as_in_pytorch("lenet_b64"); }
TEST_CASE("resnet_b32 trains as in PyTorch") { trains_as_in_pytorch("resnet_b32"); }
TEST_CASE("lstm_t50_b32 trains as in PyTorch") { trains_as_in_pytorch("lstm_t50_b32"); }
TEST_CASE("gru_t50_b32 trains as in PyTorch") { trains_as_in_pytorch("gru_t50_b32"); }
TEST_CASE("seq2seq_b32 trains as in PyTorch") { trains_as_in_pytorch("seq2seq_b32"); }
TEST_CASE("attention_t64 trains as in PyTorch") { trains_as_in_pytorch("attention_t64"); }
TEST_CASE("attention_t512 trains as in PyTorch") { trains_as_in_pytorch("attention_t512"); }
TEST_CASE("encoder_b16 trains as in PyTorch") { trains_as_in_pytorch("encoder_b16"); }
TEST_CASE("gpt_b16_t128 trains as in PyTorch") { trains_as_in_pytorch("gpt_b16_t128"); }
TEST_CASE("vae_b128 trains as in PyTorch") { trains_as_in_pytorch("vae_b128"); }
TEST_CASE("gan_b32 trains as in PyTorch") { trains_as_in_pytorch("gan_b32"); }
TEST_CASE("sgns_b512 trains as in PyTorch") { trains_as_in_pytorch("sgns_b512"); }

// Where workloads are made while it lives.
struct On {
  explicit On(Device device) { bench::Numbers::device = device; }
  ~On() { bench::Numbers::device = Device::cpu; }
};

// In float32 for all 20 steps; so exact that a GPU's own order of sums does not show.
TEST_CASE("on a GPU every workload trains as in PyTorch") {
  const std::vector<Device> there = test::other_devices();
  if (std::find(there.begin(), there.end(), Device::cuda) == there.end()) SKIP("no GPU here");
  const On gpu(Device::cuda);
  for (const bench::Workload& w : bench::workloads()) {
    INFO(w.name);
    compare(w, DType::float32, "float32", 20, 1e-4);
  }
}

// What is timed on a GPU has all its tensors there: on memory that the processor cannot touch it computes the same.
TEST_CASE("every workload runs on another device") {
  test::FarDevice far;
  for (const bench::Workload& w : bench::workloads()) {
    INFO(w.name);
    const Tensor there = [&] {
      const On gpu(Device::cuda);
      return w.make(DType::float32)();
    }();
    CHECK(there.device() == Device::cuda);
    CHECK(test::difference(there.to(Device::cpu), w.make(DType::float32)(), 64) == "");
  }
}

TEST_CASE("PyTorch's losses are there for each of the fourteen training steps, and for nothing else") {
  CHECK(bench::workloads().size() == 14);
  for (const bench::Workload& w : bench::workloads()) CHECK(golden().contains(w.name));
  CHECK(golden().size() == 14);
}

TEST_CASE("every kernel runs") {
  if (test::kSanitized) SKIP("sorting and multiplying millions of numbers takes a sanitizer minutes");
  for (const bench::Workload& w : bench::kernels()) {
    INFO(w.name);
    CHECK(w.make(DType::float32)().defined());
  }
}
