// What the program learned, read from the results that a --quick run writes; and that every solution solves.
#include <filesystem>

#include "catch.hpp"
#include "chapter_test.hpp"

using namespace cr::test;

TEST_CASE("the quick run learns the slope") {
  Run quick = run_program({"--quick"});
  INFO(quick.out << quick.err);
  REQUIRE(quick.status == 0);
  CHECK(quick.claim("slope").value == Approx(3).epsilon(0.05));
  CHECK(quick.claim("falls").value < 0.01);
  CHECK(quick.claim("first-error").judged);
  CHECK(!quick.claim("diverges").made);
  CHECK(quick.figures() == std::vector<std::string>{"descent"});
}

TEST_CASE("the bug shows its symptom, and only that is judged") {
  Run broken = run_program({"--quick", "--break", "too-fast"});
  INFO(broken.out << broken.err);
  CHECK(broken.status == 0);
  CHECK(broken.claim("diverges").value > 1e3);
  CHECK(!broken.claim("slope").judged);
}

TEST_CASE("a wrong option ends the program with one line") {
  Run wrong = run_program({"--quikc"});
  CHECK(wrong.status == 2);
  CHECK(lines(wrong.err) == 1);
}

TEST_CASE("the default size holds its claims") {
  if (!all_sizes()) SKIP("the default size is judged by ./run test 56 --all");
  CHECK(run_program({}).status == 0);
}

TEST_CASE("the solutions solve their exercises") {
  for (const auto& solution : std::filesystem::directory_iterator(CHAINRULE_SOLUTIONS)) {
    INFO(solution.path());
    CHECK(run_program(solution.path().string(), {}).status == 0);
  }
}
