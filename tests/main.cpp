// The main of every test program. It ends with the line that `./run test` adds up: "N passed, N failed, N skipped".
#define CATCH_CONFIG_RUNNER
#include "catch.hpp"

#include <cstdio>

namespace {
// Test cases so far.
int passed = 0, failed = 0, skipped = 0;
bool running_is_skipped = false;

#if __has_include(<catch2/catch_all.hpp>)
using Listener = Catch::EventListenerBase;
#else
using Listener = Catch::TestEventListenerBase;
#endif

// Counts test cases: failed if an assertion in it did, skipped if it said so, passed otherwise.
struct Tally : Listener {
  using Listener::Listener;
  void testCaseStarting(const Catch::TestCaseInfo&) override { running_is_skipped = false; }
  void testCaseEnded(const Catch::TestCaseStats& stats) override {
    if (stats.totals.testCases.failed > 0) ++failed;
    else if (running_is_skipped) ++skipped;
    else ++passed;
  }
};
CATCH_REGISTER_LISTENER(Tally)
}  // namespace

void cr::test::skip(const std::string& why) {
  running_is_skipped = true;
  std::printf("skipped: %s\n", why.c_str());
}

int main(int argc, char** argv) {
  const int status = Catch::Session().run(argc, argv);
  if (passed + failed + skipped > 0) {
    std::printf("%d passed, %d failed, %d skipped\n", passed, failed, skipped);
    return failed > 0 ? 1 : 0;
  }
  return status;  // --help, --list-tests, a wrong option, a filter that matches nothing
}
