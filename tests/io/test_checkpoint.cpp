// Checkpoints: what was saved is loaded, the last good one is found, and no instant at which the program is killed
// leaves less than the checkpoint before.

#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "catch.hpp"
#include "contains.hpp"
#include "io/atomic_file.hpp"
#include "io/checkpoint.hpp"
#include "io/safetensors.hpp"
#include "ops/ops.hpp"
#include "temporary_folder.hpp"

using namespace cr;
using namespace cr::io;

static Checkpoint checkpoint(int64_t step) {
  return {{{"weight", full({100}, static_cast<double>(step))}, {"mask", zeros({3}, DType::boolean)}},
          "{\"step\": " + std::to_string(step) + "}"};
}

// What is loaded, as the step it says it is from; -1 for nothing.
static int64_t loaded_step(CheckpointSeries series, int* damaged = nullptr) {
  int count = 0;
  auto found = series.load([&](const std::string&) { ++count; });
  if (damaged) *damaged = count;
  if (!found) return -1;
  CHECK(found->checkpoint.json == checkpoint(found->step).json);
  CHECK(found->checkpoint.tensors.at("weight")[99].item() == static_cast<double>(found->step));
  return found->step;
}

TEST_CASE("a checkpoint comes back", "[io]") {
  TemporaryFolder folder;
  save_checkpoint(folder / "a", checkpoint(7));
  Checkpoint read = load_checkpoint(folder / "a");
  CHECK(read.json == R"({"step": 7})");
  CHECK(read.tensors.at("weight")[0].item() == 7);
  CHECK(read.tensors.at("mask").dtype() == DType::boolean);
  CHECK(folder.count() == 1);

  save_safetensors(folder / "other", {{"w", zeros({2})}});
  CHECK_THROWS_WITH(load_checkpoint(folder / "other"), ContainsSubstring("not a checkpoint"));
  CHECK_THROWS_AS(load_checkpoint(folder / "missing"), IoError);
  CHECK_THROWS_AS(save_checkpoint(folder / "b", {{{"w", Tensor()}}, "{}"}), IoError);
  CHECK_THROWS_AS(save_checkpoint(folder / "b", {{}, "\xff"}), IoError);
  CHECK(folder.count() == 2);
}

TEST_CASE("every bit of a checkpoint counts", "[io]") {
  TemporaryFolder folder;
  save_checkpoint(folder / "a", {{{"w", tensor({1, 2})}, {"v", tensor({3, 4})}}, R"({"step": 7})"});
  const std::string whole = read_file(folder / "a");
  auto load = [](const std::string& file) { return parse_checkpoint(std::as_bytes(std::span(file)), "f"); };
  CHECK(load(whole).json == R"({"step": 7})");
  int changed = 0;
  for (size_t at = 0; at < whole.size(); ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string file = whole;
      file[at] = static_cast<char>(file[at] ^ (1 << bit));
      try {
        // What passes says what the whole file says: a space that became a tab, say.
        Checkpoint read = load(file);
        CHECK(read.json == R"({"step": 7})");
        CHECK(read.tensors.at("w")[1].item() == 2);
        CHECK(read.tensors.at("v")[1].item() == 4);
      } catch (const IoError& e) {
        ++changed;
      }
    }
  }
  CHECK(changed > static_cast<int>(7 * whole.size()));
  for (size_t length = 0; length < whole.size(); ++length) CHECK_THROWS_AS(load(whole.substr(0, length)), IoError);
}

TEST_CASE("a series keeps two, and finds the last good one", "[io]") {
  TemporaryFolder folder;
  CheckpointSeries series(folder / "checkpoint", "walk");
  CHECK(loaded_step(series) == -1);
  for (int64_t step : {3, 20, 100}) series.save(step, checkpoint(step));
  CHECK(series.steps() == std::vector<int64_t>{100, 20});
  CHECK(loaded_step(series) == 100);

  // Neighbours are no members: another series, another ending, a name that is no number.
  for (const char* name :
       {"walk-7-1.safetensors", "walk-200.txt", "walk-.safetensors", "walk-x.safetensors", "walk.safetensors",
        "walk-99999999999999999999.safetensors", "walking-500.safetensors", "walk--5.safetensors"})
    write_file(folder / "checkpoint/" + name, "");
  CHECK(series.steps() == std::vector<int64_t>{100, 20});

  // The newest damaged, in its middle or at its end.
  int damaged = 0;
  const std::string good = read_file(series.path(100));
  for (std::string bad : {good.substr(0, good.size() / 2), std::string(), good.substr(0, good.size() - 5) + "flips"}) {
    write_file(series.path(100), bad);
    CHECK(loaded_step(series, &damaged) == 20);
    CHECK(damaged == 1);
  }
  // A run that goes on from step 20 keeps it until it has a newer one of its own, and not the damaged one.
  CheckpointSeries resumed(folder / "checkpoint", "walk");
  resumed.load([](const std::string&) {});
  resumed.save(50, checkpoint(50));
  CHECK(resumed.steps() == std::vector<int64_t>{50, 20});
  // A run that begins anew leaves nothing of the old one once it has saved.
  CheckpointSeries anew(folder / "checkpoint", "walk");
  anew.save(1, checkpoint(1));
  CHECK(anew.steps() == std::vector<int64_t>{1});
  anew.remove();
  CHECK(anew.steps().empty());
}

// Everything the kernel does for us happens in a system call, so a process killed before and after each of them has been
// killed at every instant that the disk can tell apart. The child asks to be traced, and stops at each call; at the n-th
// stop it is killed. Sanitizers' runtimes trace too and make calls of their own, so they are left out.
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
TEST_CASE("killed at any system call while it saves, a program keeps a whole checkpoint", "[io]") {
  TemporaryFolder folder;
  int kills = 0, kept_old = 0, found_new = 0;
  for (bool finished = false; !finished; ++kills) {
    CheckpointSeries series(folder / "checkpoint", "walk");
    series.remove();
    series.save(1, checkpoint(1));
    series.save(2, checkpoint(2));
    const pid_t child = ::fork();
    if (child == 0) {
      if (::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0) ::_exit(77);
      ::raise(SIGSTOP);
      series.save(3, checkpoint(3));
      ::_exit(0);
    }
    REQUIRE(child > 0);
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77) SKIP("this system does not let a process be traced");
    for (int stop = 0; stop < kills && !finished; ++stop) {
      REQUIRE(::ptrace(PTRACE_SYSCALL, child, nullptr, nullptr) == 0);
      REQUIRE(::waitpid(child, &status, 0) == child);
      finished = WIFEXITED(status);
    }
    if (!finished) {
      ::kill(child, SIGKILL);
      REQUIRE(::waitpid(child, &status, 0) == child);
    }
    int damaged = 0;
    const int64_t step = loaded_step(series, &damaged);
    CAPTURE(kills);
    CHECK((step == 2 || step == 3));
    CHECK(damaged == 0);
    ++(step == 2 ? kept_old : found_new);
    REQUIRE(kills < 1000);
  }
  CHECK(kept_old > 5);
  CHECK(found_new > 5);
}
#endif
