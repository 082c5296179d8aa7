// # The watcher finds what is wrong, at its line, and nothing else
#include "backend/backend.hpp"

#if CHAINRULE_SIMT
#include <cctype>
#include <string>

#include "backend/simt/counts.hpp"
#include "broken.cuh"
#include "catch.hpp"
#include "marked_line.hpp"
#include "tensor/error.hpp"

namespace {

// Without the watcher (a sanitizer's build) there is nothing to test here.
bool watched() {
  if (cr::backend::simt::count([] {}).checked) return true;
  cr::test::skip("this build's emulator has no watcher");
  return false;
}

std::string message_of(const std::function<void()>& f) {
  try {
    f();
  } catch (const cr::DeviceError& e) {
    return e.what();
  }
  return "";
}

}  // namespace

TEST_CASE("every broken kernel is caught at its line, and its correct twin is clean", "[simt]") {
  if (!watched()) return;
  for (const BrokenKernel& kernel : broken_kernels()) {
    CAPTURE(kernel.name);
    for (int twice = 0; twice < 2; ++twice) {  // an error leaves nothing behind
      CHECK(message_of([&] { kernel.run(false); }) == "");
      const std::string message = message_of([&] { kernel.run(true); });
      CAPTURE(message);
      CHECK(message.rfind(kernel.name + ": block (0, 0, 0), thread (", 0) == 0);
      CHECK(message.find(kernel.says) != std::string::npos);
      const std::string place = "tests/simt/broken.cu:" + std::to_string(marked_line("broken.cu", "here", kernel.name));
      const size_t at = message.find(place);
      CAPTURE(place);
      CHECK(at != std::string::npos);
      if (at != std::string::npos) CHECK(!std::isdigit(message[at + place.size()]));
    }
  }
}
#endif
