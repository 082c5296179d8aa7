// What chapter 3 promises, held against its program. Bounds come from ten seeds or more, with room to spare; the claims have
// their own, and a run that misses one exits with status 1.
#include <cmath>
#include "catch.hpp"
#include "chainrule.hpp"
#include "chapter_test.hpp"

using namespace cr;
using namespace cr::test;

// ## It learns, whatever the seed
TEST_CASE("the quick run keeps its claims") {
  for (const char* seed : {"1", "2", "11"}) {
    CAPTURE(seed);
    Run run = run_program({"--quick", "--seed", seed});
    INFO(run.out << run.err);
    REQUIRE(run.status == 0);
    CHECK(run.claim("digits").judged);
    CHECK(run.claim("digits").value > 0.78);
    CHECK(run.claim("learned").judged);
    CHECK(run.claim("best-line").value == 3);
    CHECK(run.claim("gradient").value < 1e-12);
    CHECK(run.claim("softmax-gradient").value < 1e-12);
    CHECK(run.claim("cascade-gradient").value < 1e-12);
    CHECK(run.claim("harder-push").value == Approx(1491.5).epsilon(1e-3));
    CHECK(run.out.find("w = 0.9, b = -0.8, loss 0.3133") != std::string::npos);
  }
}

TEST_CASE("the default run keeps its claims") {
  if (!all_sizes()) SKIP("the default size is judged by ./run test --all");
  Run run = run_program({});
  INFO(run.out << run.err);
  CHECK(run.status == 0);
  CHECK(run.claim("digits").value > 0.87);
}

// A claim that cannot fail says nothing. With steps a million times too small nothing is learned, and the run must say so.
TEST_CASE("a classifier that hardly moves misses its claims") {
  Run run = run_program({"--quick", "--lr", "1e-7", "--epochs", "1"});
  CHECK(run.status == 1);
  CHECK(run.claim("hole").made);
  CHECK_FALSE(run.claim("hole").passed);
  CHECK_FALSE(run.claim("digits").passed);
  CHECK(run.claim("softmax-gradient").passed);
}

// ## The planted bugs show
TEST_CASE("softmax twice never gets below its floor, and is late") {
  Run run = run_program({"--quick", "--break", "softmax-twice"});
  CHECK(run.status == 0);
  CHECK(run.claim("floor").judged);
  const double lowest = std::log(std::exp(1.0) + 9) - 1;
  CHECK(run.claim("floor").value >= lowest);
  CHECK(run.claim("still-high").value > lowest + 0.2);
  CHECK(run.claim("healthy-loss").value < lowest / 2);
  CHECK(run.claim("late").value > 1.2);
  CHECK_FALSE(run.claim("digits").made);
}

TEST_CASE("a clamped logarithm silences what is most wrong") {
  Run run = run_program({"--quick", "--break", "clamped"});
  CHECK(run.status == 0);
  CHECK(run.claim("silent").judged);
  CHECK(run.claim("silent").value > 0.8);
  CHECK(run.claim("clamped-right").value > 50);
}

// ## The same numbers again
TEST_CASE("one thread gives the bits of two") {
  Run one = run_program({"--quick", "--threads", "1"}),
      two = run_program({"--quick", "--threads", "2"});
  check_same_values(
      one, two,
      {"digits", "hole", "recovered", "race", "learned", "stuck", "transformed"});
}

TEST_CASE("a run that was stopped goes on to the same numbers") {
  check_resumes(CHAINRULE_PROGRAM, {"--quick", "--epochs", "60"},
                "epoch 1:", "epoch 2:", {"digits", "hole"});
}

// ## What the user can mend is said in one line
TEST_CASE("misuse") {
  check_refused(CHAINRULE_PROGRAM, {{"--epochs", "0"},
                                    {"--epochs", "many"},
                                    {"--lr", "-1"},
                                    {"--break", "twice"},
                                    {"--full", "--data", "/nowhere"},
                                    {"--resume"},
                                    {"--hidden", "3"},
                                    {"--device", "cuda"}});
}

// ## The chapter's mathematics, at other points than the chapter's
TEST_CASE("the gradient of one example, by hand, at random points") {
  Generator random(7);
  for (int i = 0; i < 100; ++i) {
    double x = random.normal_double(), w = random.normal_double(),
           b = random.normal_double();
    double y = static_cast<double>(random.randint(0, 2)),
           error = 1 / (1 + std::exp(-w * x - b)) - y;
    Tensor W = tensor(w, DType::float64).requires_grad_(),
           B = tensor(b, DType::float64).requires_grad_();
    Tensor loss =
        binary_cross_entropy_with_logits(W * x + B, tensor(y, DType::float64));
    std::vector<Tensor> g = grad(loss, {W, B});
    CHECK(g[0].item() == Approx(error * x).margin(1e-12));
    CHECK(g[1].item() == Approx(error).margin(1e-12));
  }
}

TEST_CASE(
    "softmax: adds up to one, does not mind a shift, and p - y is its gradient") {
  Generator random(7);
  for (double size : {1.0, 30.0, 700.0}) {
    CAPTURE(size);
    Tensor z = size * randn({40, 7}, random, DType::float64);
    Tensor labels = randint(0, 7, {40}, random),
           y = one_hot(labels, 7, DType::float64);
    Tensor p = softmax(z, 1);
    CHECK(amax(abs(sum(p, {1}) - 1)).item() < 1e-14);
    CHECK(amax(abs(softmax(z + 5.0, 1) - p)).item() < 1e-11);
    Tensor leaf = z.detach().requires_grad_();
    Tensor g = grad(cross_entropy(leaf, labels, Reduction::sum), leaf);
    CHECK(amax(abs(g - (p - y))).item() < 1e-12);
    CHECK(amax(abs(sum(g, {1}))).item() < 1e-12);
  }
}

TEST_CASE("the loss of logistic regression is convex") {
  Generator random(7);
  Tensor x = randn({30, 4}, random, DType::float64),
         y = bernoulli(full({30}, 0.5, DType::float64), random);
  auto loss = [&](const Tensor& w) {
    return binary_cross_entropy_with_logits(matmul(x, w), y).item();
  };
  for (int i = 0; i < 200; ++i) {
    Tensor a = 3.0 * randn({4}, random, DType::float64),
           b = 3.0 * randn({4}, random, DType::float64);
    CHECK(loss((a + b) / 2) <= (loss(a) + loss(b)) / 2);
  }
}

// ## Every exercise has a solution that holds
TEST_CASE("solutions") { check_solutions(CHAINRULE_SOLUTIONS, 7); }
