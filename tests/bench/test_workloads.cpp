// The training steps that are timed compute what PyTorch's compute: the losses of the first 20 steps from the same weights
// and data, `golden/workloads.json`.
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "catch.hpp"
#include "compare.hpp"
#include "workloads.hpp"

using namespace cr;

// The first `steps` steps, in builds with sanitizers the first two.
static void compare(DType dtype, const char* type, size_t steps, double tolerance) {
  const auto golden = nlohmann::json::parse(std::ifstream(test::test_file("golden/workloads.json")));
  for (const bench::Workload& w : bench::workloads()) {
    bench::Step step = w.make(dtype);
    std::vector<double> wanted = golden.at(w.name).at(type);
    REQUIRE(wanted.size() == 20);
    wanted.resize(test::kSanitized ? 2 : steps);
    for (size_t i = 0; i < wanted.size(); ++i) {
      double loss = step().item();
      INFO(w.name << ", " << type << ", step " << i + 1 << " of " << wanted.size());
      REQUIRE(std::abs(loss - wanted[i]) <= tolerance * std::max(1.0, std::abs(wanted[i])));
    }
  }
}

TEST_CASE("training steps have PyTorch's losses") { compare(DType::float32, "float32", 20, 1e-4); }

// Training amplifies rounding: after 20 steps PyTorch's own float32 losses are up to 1e-5 from its float64 ones, and with
// larger learning rates more than 1e-4 for the networks with batch norm. That the two sides compute the same, and not
// nearly the same, shows in float64.
TEST_CASE("training steps have PyTorch's losses to ten digits in float64") {
  compare(DType::float64, "float64", 5, 1e-10);
}

TEST_CASE("every workload is compared") {
  const auto golden = nlohmann::json::parse(std::ifstream(test::test_file("golden/workloads.json")));
  CHECK(golden.size() == bench::workloads().size());
}
