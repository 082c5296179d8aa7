// A chapter program from outside: verdicts, exit statuses, misuse, results, interruption.
#include <signal.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "catch.hpp"
#include "chapter_test.hpp"
#include "io/events.hpp"

using namespace cr::test;
using nlohmann::json;
namespace fs = std::filesystem;

static bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

static std::string content(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

// A change of the environment that ends with the scope.
struct Environment {
  std::string name, old;
  bool was_set;
  Environment(const char* variable, const char* value) : name(variable), was_set(getenv(variable) != nullptr) {
    if (was_set) old = getenv(variable);
    setenv(variable, value, 1);
  }
  ~Environment() {
    if (was_set) setenv(name.c_str(), old.c_str(), 1);
    else unsetenv(name.c_str());
  }
};

TEST_CASE("a healthy chapter: story, verdicts and results") {
  Run run = run_program({"--quick", "--seed", "3"});
  INFO(run.out << run.err);
  REQUIRE(run.status == 0);
  CHECK(run.err.empty());
  CHECK(contains(run.out, "By hand first\n─────────────\n"));
  CHECK(contains(run.out, "✓ two: two is two\n    measured 2, claimed 2 ± 0.1 % · identity · holds\n"));
  CHECK(contains(run.out, "· published: judged at full size only\n"));
  CHECK(contains(run.out, "measured 98.1 %, claimed ≥ 98 % · built in · holds\n"));
  std::istringstream story(run.out);
  for (std::string line; std::getline(story, line);) CHECK(line.size() < 320);

  CHECK(run.claim("two").passed);
  CHECK(run.claim("two").judged);
  CHECK(run.claim("low").judged);  // has a bound of its own for --quick
  CHECK(run.claim("published").made);
  CHECK_FALSE(run.claim("published").judged);
  CHECK_FALSE(run.claim("uphill").judged);
  CHECK_FALSE(run.claim("nothing").made);

  json results = json::parse(run.results());
  CHECK(results["chapter"] == "98_tiny");
  CHECK(results["size"] == "quick");
  CHECK(results["seed"] == 3);
  CHECK(results["options"]["steps"] == 200);
  CHECK(results["options"]["rate"] == 0.5);
  CHECK(results["source_hash"].get<std::string>().size() == 64);
  CHECK(results["claims"][2]["text"] == "98.1 %");
  CHECK(results["tables"][0]["columns"][2] == "ŷ");
  CHECK(results["tables"][0]["rows"][0][0] == "height");
  CHECK(results["checks"][0]["passed"] == true);
  CHECK(results["threads"].get<int>() >= 1);
  CHECK_FALSE(fs::exists(run.folder->path() / "checkpoint"));
}

TEST_CASE("the same seed gives the same numbers, another seed others") {
  auto heights = [](const char* seed) {
    Run run = run_program({"--quick", "--seed", seed});
    return run.claim("low").value;
  };
  CHECK(heights("3") == heights("3"));
  CHECK(heights("3") != heights("4"));
}

TEST_CASE("a claim that does not hold, is NaN, or is not reached fails the run") {
  for (const char* misuse : {"wrong", "nan", "unreached", "mismatch", "mismatch-nan"}) {
    Run run = run_program({"--quick", "--misuse", misuse});
    INFO(misuse << ": " << run.out << run.err);
    CHECK(run.status == 1);
    CHECK(contains(run.out, "✗"));
    CHECK_FALSE(run.results().empty());  // what was measured is written all the same
  }
  Run nan = run_program({"--quick", "--misuse", "nan"});
  CHECK(json::parse(nan.results())["claims"][0]["value"].is_null());
  CHECK(json::parse(nan.results())["claims"][0]["text"] == "nan");

  // A claim judged at another size is free to fail at this one.
  CHECK(run_program({"--quick", "--misuse", "unjudged"}).status == 0);
}

TEST_CASE("exit statuses tell mistakes of the user from mistakes of the author") {
  for (auto [misuse, status] :
       {std::pair{"twice", 70}, {"unlisted", 70}, {"one-file", 70}, {"bug", 70}, {"memory", 2}, {"figure-sizes", 2}}) {
    Run run = run_program({"--quick", "--misuse", misuse});
    INFO(misuse << ": " << run.err);
    CHECK(run.status == status);
    CHECK(lines(run.err) == 1);
    CHECK(run.results().empty());
  }
  CHECK(contains(run_program({"--quick", "--misuse", "figure-sizes"}).err,
                 "figure sizes: short: 2 x values but 3 y values"));
}

TEST_CASE("wrong options give one line and exit status 2") {
  struct Case {
    std::vector<std::string> arguments;
    const char* says;
  };
  const std::vector<Case> cases = {
    {{"--sede", "3"}, "did you mean --seed?"},
    {{"3"}, "3 is not an option"},
    {{"--seed", "x"}, "--seed: \"x\" is not a whole number"},
    {{"--seed", "-1"}, "--seed: -1 is not between"},
    {{"--seed"}, "--seed needs a value"},
    {{"--seed", "--quick"}, "--seed: \"--quick\" is not a whole number"},
    {{"--threads", "0"}, "--threads: 0 is not between 1 and 256"},
    {{"--quick", "--full"}, "choose one"},
    {{"--device", "gpu"}, "is not cpu, simt or cuda"},
    {{"--steps", "0"}, "--steps: 0 is not between 1"},
    {{"--steps", "1.5"}, "is not a whole number"},
    {{"--rate", "nan"}, "--rate: \"nan\" is not a number"},
    {{"--rate", "1.5"}, "--rate: 1.5 is not between 0 and 1"},
    {{"--break", "forgoten-sign"}, "did you mean forgotten-sign?"},
    {{"--data", "/nowhere"}, "/nowhere is not a folder"},
    {{"--full"}, "./run data tiny fetches it, or say where it is with --data DIR"},
    {{"--full", "--data", "/"}, "/tiny/numbers-idx1-ubyte.gz is not there"},
    {{"--seeds", "3"}, "--seeds requires --report"},
    {{"--report", "/nowhere"}, "/nowhere/README.md is not there"},
    {{"--resume"}, "no checkpoint in"},
#if !CHAINRULE_CUDA
    {{"--device", "cuda"}, "built without CUDA"},
#endif
    {{"--sync"}, "--sync goes with --device cuda"},
    {{"--kernels", "library"}, "--kernels goes with --device cuda"},
    {{"--precision", "bf16"}, "--precision goes with --device cuda or simt"},
    {{"--fast"}, "--fast goes with --device cuda or simt"},
#if CHAINRULE_SIMT
    {{"--precision", "bf15", "--device", "simt"}, "did you mean bf16?"},
#endif
  };
  Environment no_data("CHAINRULE_DATA", "");
  for (const Case& c : cases) {
    Run run = run_program(c.arguments);
    INFO(c.says << " / " << run.err);
    CHECK(run.status == 2);
    CHECK(run.out.empty());
    CHECK(lines(run.err) == 1);
    CHECK(contains(run.err, "98_tiny: "));
    CHECK(contains(run.err, c.says));
    CHECK(fs::is_empty(run.folder->path()));
  }
}

TEST_CASE("an output folder that cannot be written is refused before the story begins") {
  Folder folder;
  std::ofstream(folder.path() / "file") << "not a folder";
  Run run = run_program({"--quick", "--out", (folder.path() / "file" / "out").string()});
  CHECK(run.status == 2);
  CHECK(run.out.empty());
  CHECK(lines(run.err) == 1);
  CHECK(contains(run.err, "cannot write to"));
}

TEST_CASE("--help and --version") {
  Run help = run_program({"--help"});
  CHECK(help.status == 0);
  for (const char* part :
       {"Does everything a chapter does work?", "--steps", "./run 98 --quick", "forgotten-sign", "Exit status"})
    CHECK(contains(help.out, part));
  CHECK(fs::is_empty(help.folder->path()));
  Run version = run_program({"--version"});
  CHECK(version.status == 0);
  CHECK(lines(version.out) == 1);
}

TEST_CASE("a planted bug is judged by its symptom alone") {
  Run run = run_program({"--quick", "--break", "forgotten-sign", "--misuse", "wrong"});
  INFO(run.out);
  CHECK(run.status == 0);
  CHECK(run.claim("uphill").judged);
  CHECK(run.claim("uphill").passed);
  CHECK_FALSE(run.claim("two").judged);
  CHECK(json::parse(run.results())["break"] == "forgotten-sign");

  // A bug that shows nothing is no lesson.
  Run mute = run_program({"--quick", "--break", "mute"});
  CHECK(mute.status == 1);
  CHECK(contains(mute.out, "no claim says what --break mute shows"));
}

TEST_CASE("without gnuplot the program runs and says what it skipped") {
  Run with = run_program({"--quick"});
  if (with.figures().empty()) SKIP("gnuplot is not installed");
  CHECK(with.figures() == std::vector<std::string>{"walk"});
  std::string svg = content(with.folder->path() / "figures" / "walk.svg");
  CHECK(contains(svg, "<title>the height of a walk</title>"));
  CHECK(contains(svg, "</svg>"));

  Environment nothing("PATH", "");
  Run without = run_program({"--quick"}, with.folder);
  CHECK(without.status == 0);
  CHECK(without.figures().empty());
  CHECK(contains(without.out, "skipped: 1 figure (walk): gnuplot is not installed"));
  CHECK_FALSE(
      fs::exists(without.folder->path() / "figures" / "walk.svg"));  // the older run's picture is not this one's
}

TEST_CASE("stopped by Ctrl-C and resumed, a run ends with the same bits") {
  const std::vector<std::string> options = {"--steps", "2000000", "--seed", "5", "--wait", "yes"};
  Run unbroken = run_program(options);
  REQUIRE(unbroken.status == 0);

  ::signal(SIGHUP, SIG_DFL);  // `nohup` would have the program ignore it
  for (int signal : {SIGINT, SIGTERM, SIGHUP}) {
    Running running(CHAINRULE_PROGRAM, options);
    REQUIRE(running.wait_for("step 99"));
    running.send(signal);
    Run stopped = running.finish();
    INFO(stopped.out << stopped.err);
    REQUIRE(stopped.status == 128 + signal);
    CHECK(contains(stopped.err, "stopped and saved; go on with: ./run 98 --out "));
    CHECK(contains(stopped.err, " --steps 2000000 --seed 5 --wait yes"));
    CHECK(contains(stopped.err, " --resume\n"));
    CHECK(stopped.results().empty());

    // Not this run's: another seed, another option.
    for (std::vector<std::string> other :
         {std::vector<std::string>{"--steps", "2000000", "--seed", "6", "--wait", "yes", "--resume"},
          {"--steps", "2000001", "--seed", "5", "--wait", "yes", "--resume"}}) {
      Run refused = run_program(other, stopped.folder);
      INFO(refused.err);
      CHECK(refused.status == 2);
      CHECK(lines(refused.err) == 1);
      CHECK(contains(refused.err, "belongs to another run"));
    }

    std::vector<std::string> resume = options;
    resume.push_back("--resume");
    Run resumed = run_program(resume, stopped.folder);
    INFO(resumed.out << resumed.err);
    CHECK(resumed.status == 0);
    CHECK(contains(resumed.out, "resumed walk at steps"));
    CHECK_FALSE(contains(resumed.out, "step 99\n"));
    CHECK(essence(resumed) == essence(unbroken));
    CHECK(content(resumed.folder->path() / "figures" / "walk.svg") ==
          content(unbroken.folder->path() / "figures" / "walk.svg"));
    CHECK_FALSE(fs::exists(resumed.folder->path() / "checkpoint"));
  }
}

TEST_CASE("killed outright, a run goes on from its last checkpoint") {
  const std::vector<std::string> options = {"--steps", "130", "--seed", "5", "--wait", "yes", "--checkpoint-every",
                                            "0"};
  Run unbroken = run_program(options);
  REQUIRE(unbroken.status == 0);
  Running running(CHAINRULE_PROGRAM, options);
  REQUIRE(running.wait_for("step 99"));
  running.send(SIGKILL);
  Run killed = running.finish();
  REQUIRE(killed.status == 128 + SIGKILL);

  std::vector<std::string> resume = options;
  resume.push_back("--resume");
  Run resumed = run_program(resume, killed.folder);
  INFO(resumed.out << resumed.err);
  CHECK(resumed.status == 0);
  CHECK(essence(resumed) == essence(unbroken));
}

TEST_CASE("what a training shows is there for TensorBoard, also when it was stopped in between") {
  const std::vector<std::string> options = {"--quick", "--updates", "3000", "--tensorboard"};
  Running running(CHAINRULE_PROGRAM, options);
  REQUIRE(running.wait_for("the network is training"));
  running.send(SIGINT);
  Run stopped = running.finish();
  REQUIRE(stopped.status == 128 + SIGINT);
  std::vector<std::string> resume = options;
  resume.push_back("--resume");
  Run run = run_program(resume, stopped.folder);
  INFO(run.out << run.err);
  REQUIRE(run.status == 0);

  // Two files, in the order of their names. The second begins with a restart at the step it goes on with.
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(run.folder->path() / "tensorboard" / "net"))
    files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  REQUIRE(files.size() == 2);
  std::vector<cr::io::Event> first = cr::io::read_events(files[0].string()),
                             second = cr::io::read_events(files[1].string());
  REQUIRE(second[0].kind == cr::io::Event::Kind::restart);
  const int64_t restart = second[0].step;
  CHECK(first.back().step == restart - 1);
  CHECK(second.size() == static_cast<size_t>(3000 - restart + 1));
  CHECK(second.back().tag == "loss");
  CHECK(second.back().step == 2999);
  CHECK(second.back().scalar == Approx(run.claim("net").value).epsilon(1e-6));
  CHECK_FALSE(fs::exists(run_program({"--quick"}).folder->path() / "tensorboard"));
}

TEST_CASE("a reader who closes the output ends the run quietly") {
  Running running(CHAINRULE_PROGRAM, {"--steps", "100000", "--wait", "yes"});
  REQUIRE(running.wait_for("walking"));
  running.close_output();
  Run run = running.finish();
  CHECK(run.status == 128 + SIGPIPE);
  CHECK(run.err.empty());
}

TEST_CASE("the report gathers every seed into the chapter's folder") {
  Run probe = run_program({"--quick"});
  if (probe.figures().empty()) SKIP("gnuplot is not installed");
  Folder chapter;
  fs::copy(fs::path(CHAINRULE_SOURCE_DIR) / "tests/book/tiny/README.md", chapter.path() / "README.md");
  Run run = run_program({"--report", chapter.path().string(), "--seeds", "3", "--seed", "7", "--break", "mute"});
  CHECK(run.status == 2);  // the planted bugs are run by the report itself

  // One bug of this chapter shows no symptom, so its run fails, but the report is written.
  run = run_program({"--report", chapter.path().string(), "--seeds", "3", "--seed", "7"});
  INFO(run.out << run.err);
  CHECK(run.status == 0);
  json results = json::parse(content(chapter.path() / "results-default.json"));
  CHECK(results["seeds"] == json::array({7, 8, 9}));
  CHECK(results["claims"][1]["values"].size() == 3);
  CHECK(results["claims"][1]["values"][0] == results["claims"][1]["value"]);
  CHECK(results["claims"][1]["min"] <= results["claims"][1]["median"]);
  CHECK(results["claims"].back()["id"] == "uphill");
  CHECK(results["claims"].back()["judged"] == true);
  CHECK(fs::exists(chapter.path() / "figures" / "walk.svg"));
  CHECK(fs::exists(chapter.path() / "figures" / "uphill.svg"));
  std::string readme = content(chapter.path() / "README.md");
  CHECK(contains(readme, "| two is two (`two`) | 2 | 2 ± 0.1 % | identity |"));
  CHECK(contains(readme, "symptom of `--break forgotten-sign`"));
  CHECK(contains(readme, "3 seeds, median [lowest, highest]"));
  CHECK(contains(readme, "<!-- /results -->"));

  // A second report replaces the table. With --resume, what was run is not run again.
  Run again = run_program({"--report", chapter.path().string(), "--seeds", "3", "--seed", "7", "--resume"}, run.folder);
  CHECK(again.status == 0);
  CHECK(content(chapter.path() / "README.md") == readme);
}
