// # The watcher finds what is wrong, at its line, and nothing else
#include "backend/backend.hpp"

#if CHAINRULE_SIMT
#include <cctype>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>

#include "backend/simt/counts.hpp"
#include "broken.cuh"
#include "catch.hpp"
#include "counted.cuh"
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

// Only between declarations lies a gap that shows who runs past an array's end.
TEST_CASE("shared variables are declared one at a time", "[simt]") {
  int declarations = 0;
  for (const char* folder : {"/common/backend/gpu", "/tests/simt", "/chapters/57_cuda_matmul",
                             "/chapters/58_cuda_convolution", "/chapters/59_cuda_attention"}) {
    for (const auto& file : std::filesystem::directory_iterator(CHAINRULE_SOURCE_DIR + std::string(folder))) {
      std::ifstream source(file.path());
      std::string line;
      while (std::getline(source, line)) {
        const size_t start = line.find("  __shared__ ");
        if (start == std::string::npos) continue;
        ++declarations;
        CAPTURE(file.path().string(), line);
        int depth = 0;
        for (char c : line.substr(start)) {
          depth += (c == '(' || c == '[' || c == '<') - (c == ')' || c == ']' || c == '>');
          CHECK((c != ',' || depth > 0));
        }
      }
    }
  }
  CHECK(declarations > 30);
}

TEST_CASE("of launches in plenty those with new numbers are watched", "[simt]") {
  if (!watched()) return;
  for (int i = 0; i < 40; ++i) CHECK(message_of([] { run_fill(64, 64); }) == "");
  CHECK(message_of([] { run_fill(64, 65); }).find("0 bytes past the end") != std::string::npos);
  CHECK(message_of([] { run_fill(64, 64); }) == "");
}
#endif
