// What chapter 5 promises, held against its program. Bounds come from ten seeds or more, with room to spare; the claims have
// their own, and a run that misses one exits with status 1.
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
    CHECK(run.claim("digits").value > 0.88);
    CHECK(run.claim("gap").value > 1.3);
    CHECK(run.claim("fit-relu").value < 0.4);
    CHECK(run.claim("backward").value < 1e-10);
    CHECK(run.claim("batch-time").value > 1.5);
    CHECK(run.out.find("v = 2.96, w = 0.26, loss 0.2907") != std::string::npos);
  }
}

TEST_CASE("the default run keeps its claims") {
  if (!all_sizes()) SKIP("the default size is judged by ./run test --all");
  Run run = run_program({});
  INFO(run.out << run.err);
  CHECK(run.status == 0);
  CHECK(run.claim("digits").value > 0.965);
}

// A claim that cannot fail says nothing. With one hidden unit the digits cannot be told apart, and the run must say so.
TEST_CASE("a network too narrow to read misses its claim") {
  Run run = run_program({"--quick", "--hidden", "1"});
  CHECK(run.status == 1);
  CHECK(run.claim("digits").made);
  CHECK_FALSE(run.claim("digits").passed);
  CHECK(run.claim("digits").value < 0.6);
  CHECK(run.claim("backward").passed);
}

// ## The planted bugs show
TEST_CASE("equal weights stay equal") {
  Run run = run_program({"--quick", "--break", "same-weights"});
  CHECK(run.status == 0);
  CHECK(run.claim("twins").judged);
  CHECK(run.claim("twins").value == 0);
  CHECK(run.claim("twins-loss").value > 2);
  CHECK_FALSE(run.claim("digits").made);
}

TEST_CASE("without zero_grad the loss runs away") {
  Run run = run_program({"--quick", "--break", "forgotten-zero-grad"});
  CHECK(run.status == 0);
  CHECK(run.claim("runaway").judged);
  CHECK(run.claim("runaway").value > 2);
}

// ## The same numbers again
TEST_CASE("one thread gives the bits of two") {
  Run one = run_program({"--quick", "--threads", "1"}),
      two = run_program({"--quick", "--threads", "2"});
  check_same_values(
      one, two,
      {"digits", "gap", "fit-relu", "fit-sigmoid", "batch-updates", "backward"});
}

TEST_CASE("a run that was stopped goes on to the same numbers") {
  check_resumes(CHAINRULE_PROGRAM, {"--quick", "--epochs", "30"},
                "epoch 1:", "epoch 2:", {"digits", "gap"});
}

// ## What the user can mend is said in one line
TEST_CASE("misuse") {
  check_refused(CHAINRULE_PROGRAM, {{"--hidden", "0"},
                                    {"--hidden", "many"},
                                    {"--lr", "-1"},
                                    {"--break", "nothing"},
                                    {"--full", "--data", "/nowhere"},
                                    {"--resume"},
                                    {"--device", "cuda"}});
}

// ## The chapter's mathematics, at other points than the chapter's
TEST_CASE("the gradient of one unit, by hand, at random points") {
  Generator random(7);
  for (int i = 0; i < 100; ++i) {
    double x = random.normal_double(), y = random.normal_double(),
           w = random.normal_double(), v = random.normal_double();
    double z = w * x, h = z > 0 ? z : 0, dy_hat = 2 * (v * h - y);
    Tensor W = tensor(w, DType::float64).requires_grad_(),
           V = tensor(v, DType::float64).requires_grad_();
    std::vector<Tensor> g = grad(square(V * relu(W * x) - y), {W, V});
    CHECK(g[0].item() == Approx(dy_hat * v * (z > 0 ? x : 0)).margin(1e-12));
    CHECK(g[1].item() == Approx(dy_hat * h).margin(1e-12));
  }
}

TEST_CASE("equal hidden units get equal gradients, for every activation") {
  Generator random(7);
  Tensor x = randn({20, 5}, random, DType::float64),
         y = randint(0, 3, {20}, random);
  Tensor out = randn({3, 1}, random, DType::float64).expand({3, 4}).contiguous();
  using Activation = Tensor (*)(const Tensor&);
  for (Activation bend :
       {Activation(relu), Activation(sigmoid), Activation(tanh)}) {
    Tensor w = randn({1, 5}, random, DType::float64)
                   .expand({4, 5})
                   .contiguous()
                   .requires_grad_();  // four equal units
    Tensor g = grad(cross_entropy(matmul(bend(matmul(x, w.t())), out.t()), y), w);
    CHECK(amax(abs(g - g.narrow(0, 0, 1))).item() < 1e-15);
    CHECK(amax(abs(g)).item() > 1e-4);
  }
}

// ## Every exercise has a solution that holds
TEST_CASE("solutions") { check_solutions(CHAINRULE_SOLUTIONS, 6); }
