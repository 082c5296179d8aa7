// # What the emulator does at its limits and after errors
#include "backend/backend.hpp"

#if CHAINRULE_SIMT
#include <sys/mman.h>
#include <sys/wait.h>

#include <cstdlib>
#include <filesystem>
#include <functional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "backend/simt/counts.hpp"
#include "backend/simt/launch.hpp"
#include "backend/simt/memory.hpp"
#include "broken.cuh"
#include "catch.hpp"
#include "counted.cuh"
#include "tensor/error.hpp"

namespace {

std::string message_of(const std::function<void()>& f) {
  try {
    f();
  } catch (const cr::DeviceError& e) {
    return e.what();
  }
  return "";
}

}  // namespace

TEST_CASE("what a kernel throws arrives at the launch", "[simt]") {
  for (int twice = 0; twice < 2; ++twice) {
    for (unsigned which : {0u, 31u, 63u}) CHECK_THROWS_WITH(run_throwing(which), "thrown in a kernel");
    CHECK_NOTHROW(run_throwing(99));
  }
}

// An error of the watcher leaves one fiber where it stands; the next launch must have a new one in its place.
TEST_CASE("a hundred errors leave the emulator as good as new", "[simt]") {
  if (message_of([] { broken_kernels()[0].run(true); }).empty()) {
    cr::test::skip("this build's emulator has no watcher");
    return;
  }
  for (int i = 0; i < 100; ++i) {
    CHECK(message_of([] { broken_kernels()[0].run(true); }) != "");
    CHECK_NOTHROW(run_throwing(99));
  }
}

// While one of the emulator's fibers is running. This program runs itself for it.
TEST_CASE("ends the program with 3", "[.exiting]") { run_exiting(3); }
TEST_CASE("a kernel may end the program", "[simt]") {
  const std::string program = std::filesystem::read_symlink("/proc/self/exe").string();
  // (What Catch2 holds is not given back then; a sanitizer shall not mind.)
  const int status =
      std::system(("ASAN_OPTIONS=detect_leaks=0 timeout 60 '" + program + "' '[.exiting]' >/dev/null 2>&1").c_str());
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 3);
}

TEST_CASE("threads of the system launch kernels side by side", "[simt]") {
  constexpr size_t kThreads = 4, kNumbers = 1000;
  std::vector<std::vector<float>> x(kThreads, std::vector<float>(kNumbers, 1));
  std::vector<std::thread> threads;
  for (auto& mine : x) {
    threads.emplace_back([&mine] {
      cr::backend::simt::Memory memory(mine);
      for (int i = 0; i < 10; ++i) run_double_strided(mine.data(), kNumbers, 1);
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const auto& mine : x) CHECK(mine == std::vector<float>(kNumbers, 1024));
}

TEST_CASE("grids that a GPU refuses are refused", "[simt]") {
  CHECK(message_of([] { run_nothing(1, 1, 1, 1024, 1, 1, 0); }) == "");
  CHECK(message_of([] { run_nothing(1, 1, 1, 1025, 1, 1, 0); }) ==
        "nothing: cannot launch (1, 1, 1) blocks of (1025, 1, 1) threads");
  CHECK(message_of([] { run_nothing(1, 1, 1, 4, 4, 64, 0); }) == "");
  CHECK(message_of([] { run_nothing(1, 1, 1, 1, 1, 65, 0); }) != "");
  CHECK(message_of([] { run_nothing(1, 1, 1, 65536, 65536, 1, 0); }) != "");
  CHECK(message_of([] { run_nothing(1, 65536, 1, 1, 1, 1, 0); }) != "");
  CHECK(message_of([] { run_nothing(1, 1, 65535, 1, 1, 1, 0); }) == "");
  CHECK(message_of([] { run_nothing(1, 1, 1, 1, 1, 1, 227 << 10); }) == "");
  CHECK(message_of([] { run_nothing(1, 1, 1, 1, 1, 1, (227 << 10) + 1); }) ==
        "nothing: 232449 bytes of shared memory asked for; a block has at most 232448");
  CHECK(message_of(run_nested) == "inner: a kernel cannot launch a kernel");
}

TEST_CASE("a grid without blocks does nothing", "[simt]") {
  CHECK(message_of([] { run_nothing(0, 1, 1, 1, 1, 1, 0); }) == "");
  CHECK(message_of([] { run_nothing(1, 1, 0, 1, 1, 1, 0); }) == "");
}

TEST_CASE("__syncthreads outside a kernel", "[simt]") {
  CHECK(message_of([] { cr::backend::simt::__syncthreads(); }) == "__syncthreads: called outside a kernel");
}

TEST_CASE("a thread that needs more stack than there is", "[simt]") {
  CHECK(message_of([] { run_stack_hungry(48 << 10); }) == "");
  CHECK(message_of([] { run_stack_hungry(68 << 10); }).find("needs more than 64 kB of stack") != std::string::npos);
  CHECK(message_of([] { run_stack_hungry(48 << 10); }) == "");
}

TEST_CASE("a thread that calls itself too often", "[simt]") {
  CHECK(message_of([] { run_recursion(100); }) == "");
  if (!cr::backend::simt::count([] {}).checked) {
    cr::test::skip("this build's emulator does not see calls");
    return;
  }
  for (int depth : {5000, 100000})
    CHECK(message_of([&] { run_recursion(depth); }).find("needs more than 64 kB of stack") != std::string::npos);
  CHECK(message_of([] { run_recursion(100); }) == "");
}

// Four numbers, each more than 2^31 elements after the one before: 24 GB of addresses, four pages of memory.
TEST_CASE("a tensor of more than 2^31 elements", "[simt]") {
  constexpr int64_t kStride = (int64_t{1} << 31) + 3, kCount = 4;
  const size_t bytes = (kStride * (kCount - 1) + 1) * sizeof(float);
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) {
    cr::test::skip("the system does not lend 24 GB of addresses");
    return;
  }
  auto* x = static_cast<float*>(memory);
  for (int64_t i = 0; i < kCount; ++i) x[i * kStride] = static_cast<float>(i + 1);
  {
    cr::backend::simt::Memory announced(memory, bytes);
    run_double_strided(x, kCount, kStride);
  }
  for (int64_t i = 0; i < kCount; ++i) CHECK(x[i * kStride] == 2 * static_cast<float>(i + 1));
  munmap(memory, bytes);
}
#endif
