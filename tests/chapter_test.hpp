// # Testing a chapter
//
// A chapter is tested from outside, as its reader runs it: the program is started with options, and its exit status,
// its output and the results it wrote are looked at.
//
//     Run quick = run_program({"--quick", "--seed", "3"});
//     REQUIRE(quick.status == 0);
//     CHECK(quick.claim("curve").value < 0.02);
//
//     Run wrong = run_program({"--hidden", "many"});
//     CHECK(wrong.status == 2);
//     CHECK(lines(wrong.err) == 1);
//
// Each run writes into a temporary folder of its own, which goes with the last copy of its `Run`. The program is the
// one the build names in CHAINRULE_PROGRAM.
#pragma once

#include <filesystem>
#include <limits>
#include <memory>
#include <string>
#include <vector>

namespace cr::test {

// A claim as the results file has it. One that was not made has no value (NaN) and has not passed.
struct ClaimResult {
  bool made = false, judged = false, passed = false;
  double value = std::numeric_limits<double>::quiet_NaN();
};

// A temporary folder, removed with everything in it.
class Folder {
 public:
  Folder();
  ~Folder();
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

struct Run {
  int status = -1;                 // 128 + n if signal n ended it
  std::string out, err;            // what it printed
  std::shared_ptr<Folder> folder;  // what --out was

  ClaimResult claim(const std::string& id) const;
  std::vector<std::string> claims() const;   // ids of the claims made
  std::vector<std::string> figures() const;  // ids of the figures drawn
  std::string results() const;               // the JSON text, "" if none was written
};

// Runs `program` with `--out` a fresh folder, or an earlier run's (to resume it). An own `--out` is left as it is.
Run run_program(const std::string& program, std::vector<std::string> arguments,
                std::shared_ptr<Folder> folder = nullptr);

// The results as text, without how long the run took and how much memory.
std::string essence(const Run& run);

// A program that is still running: wait for a word in its output, send it a signal, see how it ends.
class Running {
 public:
  Running(const std::string& program, std::vector<std::string> arguments, std::shared_ptr<Folder> folder = nullptr);
  ~Running();
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;

  bool wait_for(const std::string& text);  // false if the output ended without it
  void send(int signal);
  void close_output();  // as `| head` does
  std::string out_folder() const { return folder_->path().string(); }
  Run finish();

 private:
  int process_ = -1, output_ = -1;
  std::string out_;
  std::filesystem::path errors_;
  std::shared_ptr<Folder> folder_;
};

// How many lines a text has.
int lines(const std::string& text);

// ## What every chapter's test asks
//
// These check with Catch2. Of two runs: the claims `ids` have the same values, bit for bit. Of a program: each of these
// command lines is refused with exit status 2, one line, and no results; stopped by Ctrl-C once it has printed `sign`, it
// goes on with --resume, without printing `before` again, to the values of an unbroken run. Of a folder: it holds `count`
// programs, and each ends with exit status 0.
void check_same_values(const Run& one, const Run& other, const std::vector<std::string>& ids);
void check_refused(const std::string& program, const std::vector<std::vector<std::string>>& wrong);
void check_resumes(const std::string& program, std::vector<std::string> arguments, const std::string& before,
                   const std::string& sign, const std::vector<std::string>& ids);
void check_solutions(const std::filesystem::path& folder, int count);

// Was `./run test --all` asked for? Then tests judge the default size too.
bool all_sizes();

#ifdef CHAINRULE_PROGRAM
inline Run run_program(std::vector<std::string> arguments, std::shared_ptr<Folder> folder = nullptr) {
  return run_program(CHAINRULE_PROGRAM, std::move(arguments), std::move(folder));
}
#endif

}  // namespace cr::test
