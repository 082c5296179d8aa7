#include "chapter_test.hpp"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <stdexcept>

#include "catch.hpp"

namespace cr::test {

using json = nlohmann::json;
namespace fs = std::filesystem;

Folder::Folder() {
  std::string name = (fs::temp_directory_path() / "chainrule-test-XXXXXX").string();
  if (!mkdtemp(name.data())) throw std::runtime_error("cannot make a temporary folder");
  path_ = name;
}

Folder::~Folder() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

static std::string read(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

std::string Run::results() const {
  for (const char* size : {"quick", "default", "full"}) {
    fs::path file = folder->path() / (std::string("results-") + size + ".json");
    if (fs::exists(file)) return read(file);
  }
  return {};
}

static json parse(const Run& run) {
  std::string text = run.results();
  return text.empty() ? json{{"claims", json::array()}, {"figures", json::array()}} : json::parse(text);
}

ClaimResult Run::claim(const std::string& id) const {
  ClaimResult result;
  const json all = parse(*this);
  for (const json& claim : all["claims"]) {
    if (claim["id"] != id) continue;
    result.made = true;
    result.judged = claim["judged"];
    result.passed = claim["passed"];
    if (claim["value"].is_number()) result.value = claim["value"];
  }
  return result;
}

std::vector<std::string> Run::claims() const {
  std::vector<std::string> ids;
  const json all = parse(*this);
  for (const json& claim : all["claims"]) ids.push_back(claim["id"]);
  return ids;
}

std::vector<std::string> Run::figures() const {
  std::vector<std::string> ids;
  const json all = parse(*this);
  for (const json& figure : all["figures"]) ids.push_back(figure["id"]);
  return ids;
}

std::string essence(const Run& run) {
  json results = json::parse(run.results());
  results.erase("seconds");
  results.erase("peak_mb");
  return results.dump();
}

Run run_program(const std::string& program, std::vector<std::string> arguments, std::shared_ptr<Folder> folder) {
  return Running(program, std::move(arguments), std::move(folder)).finish();
}

Running::Running(const std::string& program, std::vector<std::string> arguments, std::shared_ptr<Folder> folder)
    : folder_(folder ? std::move(folder) : std::make_shared<Folder>()) {
  if (std::find(arguments.begin(), arguments.end(), "--out") == arguments.end())
    arguments.insert(arguments.begin(), {"--out", folder_->path().string()});
  errors_ = folder_->path().string() + ".err";
  arguments.insert(arguments.begin(), program);
  std::vector<char*> words;
  for (std::string& word : arguments) words.push_back(word.data());
  words.push_back(nullptr);

  int ends[2];
  if (pipe(ends) != 0) throw std::runtime_error("cannot make a pipe");
  process_ = fork();
  if (process_ == 0) {
    int errors = open(errors_.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0666);
    dup2(ends[1], 1);
    dup2(errors, 2);
    close(ends[0]);
    close(ends[1]);
    execv(words[0], words.data());
    _exit(127);
  }
  close(ends[1]);
  output_ = ends[0];
}

Running::~Running() {
  if (output_ >= 0) close(output_);
  if (process_ > 0) {
    kill(process_, SIGKILL);
    waitpid(process_, nullptr, 0);
  }
  std::error_code ignored;
  fs::remove(errors_, ignored);
}

// Appends what has come; false at the end.
static bool read_some(int descriptor, std::string& text) {
  char buffer[4096];
  ssize_t n;
  while ((n = ::read(descriptor, buffer, sizeof buffer)) < 0 && errno == EINTR) {
  }
  if (n > 0) text.append(buffer, static_cast<size_t>(n));
  return n > 0;
}

bool Running::wait_for(const std::string& text) {
  while (out_.find(text) == std::string::npos) {
    if (!read_some(output_, out_)) return false;
  }
  return true;
}

void Running::send(int signal) { kill(process_, signal); }

void Running::close_output() {
  close(output_);
  output_ = -1;
}

Run Running::finish() {
  while (output_ >= 0 && read_some(output_, out_)) {
  }
  int status = 0;
  waitpid(process_, &status, 0);
  process_ = -1;
  return {WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status), out_, read(errors_), folder_};
}

int lines(const std::string& text) { return static_cast<int>(std::count(text.begin(), text.end(), '\n')); }

void check_same_values(const Run& one, const Run& other, const std::vector<std::string>& ids) {
  for (const std::string& id : ids) {
    CAPTURE(id);
    CHECK(one.claim(id).value == other.claim(id).value);
  }
}

void check_refused(const std::string& program, const std::vector<std::vector<std::string>>& wrong) {
  for (const auto& arguments : wrong) {
    CAPTURE(arguments);
    Run run = run_program(program, arguments);
    CHECK(run.status == 2);
    CHECK(lines(run.err) == 1);
    CHECK(run.results().empty());
  }
}

void check_resumes(const std::string& program, std::vector<std::string> arguments, const std::string& before,
                   const std::string& sign, const std::vector<std::string>& ids) {
  Run whole = run_program(program, arguments);
  auto folder = std::make_shared<Folder>();
  Running running(program, arguments, folder);
  REQUIRE(running.wait_for(sign));
  running.send(SIGINT);
  Run stopped = running.finish();
  CHECK(stopped.status == 130);
  CHECK(stopped.err.find("--resume") != std::string::npos);
  for (const std::string& id : ids) CHECK_FALSE(stopped.claim(id).made);
  arguments.push_back("--resume");
  Run resumed = run_program(program, arguments, folder);
  CHECK(resumed.status == 0);
  CHECK(resumed.out.find(before) == std::string::npos);
  for (const std::string& id : ids) CHECK(resumed.claim(id).made);
  check_same_values(resumed, whole, ids);
}

void check_solutions(const fs::path& folder, int count) {
  int found = 0;
  for (const auto& file : fs::directory_iterator(folder)) {
    CAPTURE(file.path().string());
    CHECK(std::system(("'" + file.path().string() + "' > /dev/null").c_str()) == 0);
    ++found;
  }
  CHECK(found == count);
}

bool all_sizes() {
  const char* all = getenv("CHAINRULE_TEST_ALL");
  return all && *all && std::string(all) != "0";
}

}  // namespace cr::test
