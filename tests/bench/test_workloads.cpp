// The training steps that are timed compute what PyTorch's compute: the losses of the first 20 steps from the same weights
// and data, `golden/workloads.json`.
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "catch.hpp"
#include "compare.hpp"
#include "workloads.hpp"

using namespace cr;

using Names = std::set<std::string>;
static const Names kPerceptrons = {"mlp_b64", "mlp_b1", "vae_b128", "sgns_b512"},
                   kConvolutions = {"lenet_b64", "resnet_b32", "gan_b32"},
                   kRecurrent = {"lstm_t50_b32", "gru_t50_b32", "seq2seq_b32"},
                   kAttention = {"attention_t64", "attention_t512", "encoder_b16", "gpt_b16_t128"};

static const nlohmann::json& golden() {
  static const auto j = nlohmann::json::parse(std::ifstream(test::test_file("golden/workloads.json")));
  return j;
}

// The first `steps` steps, in builds with sanitizers the first two.
static void compare(const Names& names, DType dtype, const char* type, size_t steps, double tolerance) {
  for (const bench::Workload& w : bench::workloads()) {
    if (!names.count(w.name)) continue;
    std::vector<double> wanted = golden().at(w.name).at(type);
    REQUIRE(wanted.size() == 20);
    wanted.resize(test::kSanitized ? 2 : steps);
    bench::Step step = w.make(dtype);
    for (size_t i = 0; i < wanted.size(); ++i) {
      double loss = step().item();
      INFO(w.name << ", " << type << ", step " << i + 1 << " of " << wanted.size());
      REQUIRE(std::abs(loss - wanted[i]) <= tolerance * std::max(1.0, std::abs(wanted[i])));
    }
  }
}

// Training amplifies rounding: after 20 steps PyTorch's own float32 losses are up to 1e-5 from its float64 ones, and at
// larger learning rates more than 1e-4 for the networks with batch norm. That the two sides compute the same, and not
// nearly the same, shows in float64.
static void compare(const Names& names) {
  compare(names, DType::float32, "float32", 20, 1e-4);
  compare(names, DType::float64, "float64", 5, 1e-10);
}

TEST_CASE("perceptrons train as PyTorch's do") { compare(kPerceptrons); }
TEST_CASE("convolutional networks train as PyTorch's do") { compare(kConvolutions); }
TEST_CASE("recurrent networks train as PyTorch's do") { compare(kRecurrent); }
TEST_CASE("transformers train as PyTorch's do") { compare(kAttention); }

TEST_CASE("every training step is compared") {
  Names compared, known, there;
  for (const Names& names : {kPerceptrons, kConvolutions, kRecurrent, kAttention})
    compared.insert(names.begin(), names.end());
  for (const bench::Workload& w : bench::workloads()) known.insert(w.name);
  for (const auto& [name, losses] : golden().items()) there.insert(name);
  CHECK(compared == known);
  CHECK(compared == there);
  CHECK(compared.size() == 14);
}

TEST_CASE("every kernel runs") {
  if (test::kSanitized) SKIP("sorting and multiplying millions of numbers takes a sanitizer minutes");
  for (const bench::Workload& w : bench::kernels()) {
    INFO(w.name);
    CHECK(w.make(DType::float32)().defined());
  }
}
