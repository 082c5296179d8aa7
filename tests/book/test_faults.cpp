// What can go wrong with files while a chapter runs: killed at any moment, a checkpoint damaged, a full disk, a folder that
// may not be written to or that is taken away, two runs in one place. Nothing is lost, and one line says what happened.
#include <signal.h>
#include <sys/mount.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>

#include "backend/generator.hpp"
#include "catch.hpp"
#include "chapter_test.hpp"

using namespace cr::test;
using nlohmann::json;
namespace fs = std::filesystem;

static bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

static std::vector<std::string> with(std::vector<std::string> arguments, std::vector<std::string> more) {
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

static std::vector<fs::path> checkpoints(const fs::path& out) {
  std::vector<fs::path> files;
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(out / "checkpoint", none)) files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  return files;
}

// A run that saves after every update is killed again and again, each time a random moment after it has begun, and goes
// on from what it finds. What it arrives at in the end has the bits of a run that nobody disturbed.
TEST_CASE("killed at sixty random moments, a run ends with the same bits") {
  const std::vector<std::string> options = {"--quick", "--seed", "5", "--steps", "20", "--updates", "20000"};
  Run unbroken = run_program(options);
  REQUIRE(unbroken.status == 0);

  auto folder = std::make_shared<Folder>();
  cr::Generator random(1);
  int survived = 0, in_the_middle = 0;
  while (survived < 60) {
    auto arguments = with(options, {"--checkpoint-every", "0"});
    const bool resuming = !checkpoints(folder->path()).empty();
    if (resuming) arguments.push_back("--resume");
    Running running(CHAINRULE_PROGRAM, arguments, folder);
    REQUIRE(running.wait_for("By hand first"));
    usleep(static_cast<useconds_t>(1000 + random.uniform_double() * 25000));
    running.send(SIGKILL);
    Run killed = running.finish();
    REQUIRE(killed.status == 128 + SIGKILL);
    survived += resuming;
    for (const auto& entry : fs::recursive_directory_iterator(folder->path()))
      in_the_middle += contains(entry.path().string(), ".tmp-");
  }
  Run resumed = run_program(with(options, {"--resume"}), folder);
  INFO(resumed.out << resumed.err);
  CHECK(resumed.status == 0);
  CHECK(contains(resumed.out, "resumed net at updates"));
  CHECK(essence(resumed) == essence(unbroken));
  CHECK(in_the_middle > 0);  // some kills came while a file was being written

  // Nothing is left of checkpoints and of files that were never finished.
  for (const auto& entry : fs::recursive_directory_iterator(folder->path())) {
    CAPTURE(entry.path().string());
    CHECK((entry.is_directory() || entry.path().extension() == ".json" || entry.path().extension() == ".svg"));
  }
  CHECK(checkpoints(folder->path()).empty());
}

// A run of the network that was stopped after some of its updates, each of them saved.
static Run stopped_run(const std::vector<std::string>& options, std::shared_ptr<Folder> folder = nullptr) {
  Running running(CHAINRULE_PROGRAM, with(options, {"--checkpoint-every", "0"}), folder);
  REQUIRE(running.wait_for("the network is training"));
  running.send(SIGTERM);
  Run stopped = running.finish();
  INFO(stopped.out << stopped.err);
  REQUIRE(stopped.status == 128 + SIGTERM);
  return stopped;
}

static const std::vector<std::string> kLong = {"--quick", "--seed", "6", "--updates", "20000"};

TEST_CASE("of a damaged checkpoint the one before is used, and the damaged one is named") {
  const std::vector<std::string> options = {"--quick", "--seed", "6", "--steps", "100", "--updates", "20000"};
  Run unbroken = run_program(options);
  Running running(CHAINRULE_PROGRAM, with(options, {"--checkpoint-every", "0"}));
  REQUIRE(running.wait_for("the network is training"));
  std::vector<fs::path> of_net;
  auto look = [&] {
    of_net.clear();
    for (const fs::path& file : checkpoints(running.out_folder())) {
      if (file.filename().string().starts_with("net-") && file.extension() == ".safetensors") of_net.push_back(file);
    }
  };
  while (of_net.size() < 2) look();
  running.send(SIGTERM);
  Run stopped = running.finish();
  REQUIRE(stopped.status == 128 + SIGTERM);
  look();
  REQUIRE(of_net.size() == 2);
  auto step = [](const fs::path& file) { return std::stoi(file.stem().string().substr(4)); };
  const fs::path newest = step(of_net[0]) > step(of_net[1]) ? of_net[0] : of_net[1];

  // One byte in the middle of its numbers.
  std::fstream file(newest, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(static_cast<std::streamoff>(fs::file_size(newest)) - 40);
  file.put('!');
  file.close();
  Run resumed = run_program(with(options, {"--resume"}), stopped.folder);
  INFO(resumed.out << resumed.err);
  CHECK(resumed.status == 0);
  CHECK(contains(resumed.out, "not usable: " + newest.string() + ": damaged"));
  CHECK(contains(resumed.out, "resumed net at updates " + std::to_string(std::min(step(of_net[0]), step(of_net[1])))));
  CHECK(essence(resumed) == essence(unbroken));
}

TEST_CASE("stopped in a training within a training, a run ends with the same bits") {
  const std::vector<std::string> options = {"--quick", "--inner", "30000"};
  Run unbroken = run_program(options);
  REQUIRE(unbroken.status == 0);
  Running running(CHAINRULE_PROGRAM, options);
  REQUIRE(running.wait_for("the second inner training"));
  running.send(SIGINT);
  Run stopped = running.finish();
  INFO(stopped.out << stopped.err);
  REQUIRE(stopped.status == 128 + SIGINT);
  Run resumed = run_program(with(options, {"--resume"}), stopped.folder);
  INFO(resumed.out << resumed.err);
  CHECK(resumed.status == 0);
  CHECK(contains(resumed.out, "resumed inner-1 at steps"));
  CHECK(essence(resumed) == essence(unbroken));
  CHECK(checkpoints(stopped.folder->path()).empty());
}

TEST_CASE("what a run did not write it does not remove, and what an older run left it does") {
  Run stopped = stopped_run(kLong);
  const fs::path out = stopped.folder->path();
  for (const char* name : {"report.tmp-2023-01-05", "notes.json.tmp-12-3", "results-quick.json.tmp-12-3"})
    std::ofstream(out / name) << "mine";
  Run anew = run_program({"--quick"}, stopped.folder);
  CHECK(anew.status == 0);
  CHECK(fs::exists(out / "report.tmp-2023-01-05"));
  CHECK(fs::exists(out / "notes.json.tmp-12-3"));
  CHECK_FALSE(fs::exists(out / "results-quick.json.tmp-12-3"));
  CHECK(checkpoints(out).empty());

  // A checkpoint of something else: the run says that it began anew.
  fs::create_directories(out / "checkpoint");
  std::ofstream(out / "checkpoint" / "other-007.safetensors") << "x";
  Run none = run_program({"--quick", "--resume"}, stopped.folder);
  CHECK(none.status == 0);
  CHECK(contains(none.out, "was one of this run's; it began anew"));
  CHECK(fs::exists(out / "checkpoint" / "other-007.safetensors"));
}

TEST_CASE("with no good checkpoint left, one line says so") {
  Run stopped = stopped_run(kLong);
  for (const fs::path& file : checkpoints(stopped.folder->path())) std::ofstream(file) << "nonsense";
  Run resumed = run_program(with(kLong, {"--resume"}), stopped.folder);
  CHECK(resumed.status == 2);
  CHECK(lines(resumed.err) == 1);
  CHECK(contains(resumed.err, "no good one is left, so leave out --resume"));
}

TEST_CASE("two runs in one folder: the second is refused") {
  Running first(CHAINRULE_PROGRAM, with(kLong, {"--updates", "1000000"}));
  REQUIRE(first.wait_for("the network is training"));
  Run second = run_program({"--quick", "--out", first.out_folder()});
  CHECK(second.status == 2);
  CHECK(second.out.empty());
  CHECK(lines(second.err) == 1);
  CHECK(contains(second.err, "another run is writing to " + first.out_folder()));
  first.send(SIGKILL);
  Run killed = first.finish();
  CHECK(run_program({"--quick"}, killed.folder).status == 0);  // a dead run holds nothing
}

TEST_CASE("a folder that is removed under a run is made again") {
  Running running(CHAINRULE_PROGRAM, with(kLong, {"--updates", "1000000"}));
  REQUIRE(running.wait_for("the network is training"));
  fs::remove_all(running.out_folder());
  running.send(SIGINT);
  Run stopped = running.finish();
  INFO(stopped.err);
  CHECK(stopped.status == 128 + SIGINT);
  CHECK(contains(stopped.err, "stopped and saved"));
  CHECK_FALSE(checkpoints(stopped.folder->path()).empty());
}

// A small disk of its own, for a test that may make one.
struct SmallDisk {
  Folder folder;
  bool there;
  explicit SmallDisk(const char* size) : there(mount("none", folder.path().c_str(), "tmpfs", 0, size) == 0) {}
  ~SmallDisk() {
    if (there) umount2(folder.path().c_str(), MNT_DETACH);
  }
};

TEST_CASE("a full disk: one line, the old checkpoint stays, and the run goes on once there is room") {
  SmallDisk disk("size=256k");
  if (!disk.there) SKIP("only the administrator can make a small disk");
  const std::vector<std::string> options = with(kLong, {"--updates", "2000"});
  Run unbroken = run_program(options);
  const fs::path out = disk.folder.path() / "out";
  const auto here = with(options, {"--out", out.string()});
  Run stopped = stopped_run(here);
  const std::vector<fs::path> before = checkpoints(out);
  REQUIRE(before.size() >= 1);

  std::ofstream filler(disk.folder.path() / "filler");
  while (filler << std::string(512, 'x') << std::flush) {
  }
  filler.close();
  Run full = run_program(with(here, {"--resume", "--checkpoint-every", "0"}));
  INFO(full.out << full.err);
  CHECK(full.status == 2);
  CHECK(lines(full.err) == 1);
  CHECK(contains(full.err, "No space left on device"));
  CHECK(checkpoints(out) == before);

  fs::remove(disk.folder.path() / "filler");
  Run resumed = run_program(with(here, {"--resume"}));
  INFO(resumed.out << resumed.err);
  CHECK(resumed.status == 0);
  std::ifstream in(out / "results-quick.json");
  json ours = json::parse(in), theirs = json::parse(essence(unbroken));
  CHECK(ours["claims"] == theirs["claims"]);

  // A disk so full that nothing at all can be written: no half results.
  std::ofstream again(disk.folder.path() / "filler");
  while (again << std::string(512, 'x') << std::flush) {
  }
  again.close();
  Run none = run_program({"--quick", "--out", (disk.folder.path() / "other").string()});
  CHECK(none.status == 2);
  CHECK(lines(none.err) == 1);
  CHECK_FALSE(fs::exists(disk.folder.path() / "other" / "results-quick.json"));
}

TEST_CASE("a read-only disk is refused before the story begins") {
  SmallDisk disk("size=256k");
  if (!disk.there) SKIP("only the administrator can make a small disk");
  REQUIRE(mount("none", disk.folder.path().c_str(), "tmpfs", MS_REMOUNT | MS_RDONLY, "") == 0);
  for (const char* out : {"", "new"}) {
    Run run = run_program({"--quick", "--out", (disk.folder.path() / out).string()});
    INFO(run.err);
    CHECK(run.status == 2);
    CHECK(run.out.empty());
    CHECK(lines(run.err) == 1);
    CHECK(contains(run.err, "Read-only file system; choose another folder"));
  }
}

TEST_CASE("a folder that others own is refused before the story begins") {
  auto folder = std::make_shared<Folder>();
  fs::permissions(folder->path(),
                  fs::perms::owner_read | fs::perms::owner_exec | fs::perms::others_exec | fs::perms::others_read);
  std::vector<std::string> arguments = {"--quick", "--out", folder->path().string()};
  Run run;
  if (geteuid() != 0) {
    run = run_program(arguments);
  } else {
    // The administrator may write everywhere, so somebody else has to try.
    const std::string setpriv = "/usr/bin/setpriv";
    const std::vector<std::string> as_nobody = {"--reuid=65534", "--regid=65534", "--clear-groups", CHAINRULE_PROGRAM};
    if (!fs::exists(setpriv) || run_program(setpriv, with(as_nobody, with({"--version"}, arguments))).status != 0)
      SKIP("no other user can run the program here");
    run = run_program(setpriv, with(as_nobody, arguments));
  }
  INFO(run.out << run.err);
  CHECK(run.status == 2);
  CHECK(lines(run.err) == 1);
  CHECK(contains(run.err, "Permission denied; choose another folder"));
  fs::permissions(folder->path(), fs::perms::owner_all);
}
