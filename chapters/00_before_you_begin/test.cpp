// What chapter 0 promises, held against its program. The bounds are the claims' own, from ten seeds or more; a run that
// misses one exits with status 1.
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <regex>
#include <set>
#include <string>

#include "catch.hpp"
#include "chainrule.hpp"
#include "chapter_test.hpp"
#include "map.hpp"

using namespace cr;
using namespace cr::test;

// ## It holds, whatever the seed
TEST_CASE("the quick run keeps its claims") {
  for (const char* seed : {"1", "2", "11", "12345"}) {
    CAPTURE(seed);
    Run run = run_program({"--quick", "--seed", seed});
    INFO(run.out << run.err);
    REQUIRE(run.status == 0);
    CHECK(run.claim("each-with-each").value == 18);
    CHECK(run.claim("root-n").judged);
    CHECK(run.claim("root-n").value == Approx(-0.5).epsilon(0.2));
    CHECK(run.claim("cab").value == Approx(12.0 / 29).margin(0.03));
    CHECK(run.claim("hill").value < 5);
    CHECK(run.claim("counting").value == 16777216);
    CHECK(run.claim("two-errors").value > 0.9);
    CHECK(run.figures().size() == 9);
    CHECK(run.out.find("add: shapes (2, 3) and (2,) do not broadcast") !=
          std::string::npos);
  }
}

TEST_CASE("the default run keeps its claims") {
  if (!all_sizes()) SKIP("the default size is judged by ./run test --all");
  Run run = run_program({});
  INFO(run.out << run.err);
  CHECK(run.status == 0);
  CHECK(run.claim("root-n").value == Approx(-0.5).epsilon(0.08));
}

// A claim that cannot fail says nothing. What is claimed of the witness holds for one who is right in 80 % of cases.
TEST_CASE("with another witness the claim about her fails, and no other") {
  for (const char* reliable : {"0.5", "0.9", "1", "0"}) {
    CAPTURE(reliable);
    Run run = run_program({"--quick", "--witness", reliable});
    CHECK(run.status == 1);
    for (const std::string& id : run.claims()) {
      CAPTURE(id);
      CHECK(run.claim(id).passed == (id != "cab"));
    }
  }
  CHECK(run_program({"--quick", "--witness", "1"}).claim("cab").value == 1);
}

// `--full` has nothing to add, says so, and needs no data.
TEST_CASE("full says that it is the default run") {
  Run help = run_program({"--help"});
  CHECK(help.status == 0);
  CHECK(help.out.find("nothing trains here") != std::string::npos);
}

TEST_CASE("full is the default run") {
  if (!all_sizes()) SKIP("the full size is judged by ./run test --all");
  Run full = run_program({"--full"}), normal = run_program({});
  CHECK(full.status == 0);
  CHECK(full.claims() == normal.claims());
  for (const std::string& id : normal.claims()) {
    CAPTURE(id);
    CHECK(full.claim(id).value == normal.claim(id).value);
  }
}

// Another seed throws other dice, and what does not depend on them stays.
TEST_CASE("a seed decides what chance does, and nothing else") {
  Run one = run_program({"--quick", "--seed", "1"}),
      again = run_program({"--quick", "--seed", "1"}),
      two = run_program({"--quick", "--seed", "2"});
  for (const char* id : {"root-n", "cab", "hill", "entropy", "one-sigma"}) {
    CAPTURE(id);
    CHECK(one.claim(id).value == again.claim(id).value);
    CHECK(one.claim(id).value != two.claim(id).value);
  }
  check_same_values(one, two,
                    {"steepest", "level", "half-nudge", "best-double", "tenths"});
}

TEST_CASE("one thread gives the bits of two") {
  Run one = run_program({"--quick", "--threads", "1"}),
      two = run_program({"--quick", "--threads", "2"});
  REQUIRE(one.claims() == two.claims());
  check_same_values(one, two, one.claims());
}

TEST_CASE("misuse") {
  check_refused(CHAINRULE_PROGRAM, {{"--seed", "many"},
                                    {"--break", "nothing"},
                                    {"--quick", "--full"},
                                    {"--witness", "2"},
                                    {"--resume"},
                                    {"--device", "cuda"},
                                    {"--threads", "none"}});
}

// ## The map is right
//
// It has the 61 chapters in their order, fifteen of them on the first path; and every chapter that is there stands in it
// under its own name, so that nobody can add one that the map calls something else.
TEST_CASE("the map") {
  std::set<std::string> known;
  int number = 0, on_path = 0, written = 0;
  for (const auto& [title, part] : kBook) {
    for (const Stop& stop : part) {
      CAPTURE(stop.folder);
      CHECK(std::regex_match(stop.folder, std::regex("[0-9]{2}_[a-z0-9_]+")));
      CHECK(std::stoi(stop.folder.substr(0, 2)) == number++);
      on_path += stop.first_path;
      written += is_written(stop);
      known.insert(stop.folder);
    }
  }
  CHECK(number == 61);
  CHECK(on_path == 15);
  int there = 0;
  for (const auto& entry : std::filesystem::directory_iterator(
           std::filesystem::path(CHAINRULE_CHAPTER).parent_path())) {
    std::string folder = entry.path().filename().string();
    if (!std::filesystem::exists(entry.path() / "main.cpp")) continue;
    CAPTURE(folder);
    CHECK(known.count(folder) == 1);
    ++there;
  }
  CHECK(there == written);
}

TEST_CASE("the program marks what is not written") {
  Run run = run_program({"--quick"});
  CHECK(run.out.find("   * 00_before_you_begin:") != std::string::npos);
  for (const auto& [title, part] : kBook) {
    for (const Stop& stop : part) {
      CAPTURE(stop.folder);
      std::string mark = is_written(stop) ? " " : "·";
      CHECK(run.out.find(mark + (stop.first_path ? "* " : "  ") + stop.folder +
                         ": ") != std::string::npos);
    }
  }
}

// ## The chapter's mathematics, at other points than the chapter's
TEST_CASE("broadcasting is what loops would do") {
  Generator random(7);
  for (int i = 0; i < 50; ++i) {
    int64_t n = random.randint(1, 5), m = random.randint(1, 5);
    Tensor column = randn({n, 1}, random, DType::float64),
           row = randn({m}, random, DType::float64);
    Tensor both = column * row;
    REQUIRE(both.shape() == Shape{n, m});
    for (int64_t r = 0; r < n; ++r) {
      for (int64_t c = 0; c < m; ++c)
        CHECK(both[{r, c}].item() == column[{r, 0}].item() * row[c].item());
    }
  }
}

TEST_CASE("a step climbs by the dot product of gradient and direction") {
  Generator random(7);
  for (int i = 0; i < 50; ++i) {
    Tensor at = randn({5}, random, DType::float64).requires_grad_(),
           step = randn({5}, random, DType::float64);
    auto f = [](const Tensor& x) {
      return sum(sin(x) * exp(-square(x))) + prod(x);
    };
    double dot_product = sum(grad(f(at), at) * step).item();
    NoGrad no_grad;
    double nudged = (f(at + 1e-5 * step) - f(at - 1e-5 * step)).item() / 2e-5;
    CHECK(nudged == Approx(dot_product).margin(1e-7));
  }
}

TEST_CASE("cross-entropy is least for the truth") {
  Generator random(7);
  for (int i = 0; i < 50; ++i) {
    Tensor p = softmax(randn({6}, random, DType::float64), 0),
           q = softmax(randn({6}, random, DType::float64), 0);
    CHECK(-sum(p * log(q)).item() > -sum(p * log(p)).item());
    Tensor logits = log(p).requires_grad_();  // at q = p the slope is zero
    CHECK(amax(abs(grad(-sum(p * log_softmax(logits, 0)), logits))).item() < 1e-15);
  }
}

// ## Every exercise has a solution that holds
TEST_CASE("solutions") { check_solutions(CHAINRULE_SOLUTIONS, 6); }
