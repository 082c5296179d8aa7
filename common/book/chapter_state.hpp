// What a running chapter knows, shared by the files of book/ that make it up.
#pragma once

#include <chrono>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "book/chapter.hpp"
#include "book/figure_data.hpp"
#include "book/process.hpp"
#include "io/checkpoint.hpp"

namespace cr::book {

// What the command line asks for, checked.
struct Options {
  Size size = Size::normal;
  uint64_t seed = 1;
  Device device = Device::cpu;
  std::filesystem::path data, out, report;
  int seeds = 1;
  double checkpoint_every = 30;
  bool resume = false, tensorboard = false;
  std::string broken;
  std::map<std::string, Value> own;       // the chapter's own options
  std::vector<std::string> command_line;  // as it was given, without the program
};

// Reads the command line. Prints and returns false for --help and --version; throws UsageError with one line that says
// what is wrong and what would be right.
bool read_options(int argc, char** argv, const ChapterInfo& info, const std::string& source_folder, Options& options);

// "05_neural_network"
std::string full_name(const ChapterInfo& info);

// What a training's checkpoints are called; and, for --resume, UsageError if one that is there is of another run.
std::string checkpoint_name(const std::string& training);
void check_checkpoints(const ChapterState& chapter);

struct ChapterState;

struct Check {
  std::string name, by_hand, library;
  bool passed;
};

struct TableData {
  std::vector<std::string> columns;
  std::vector<std::vector<Value>> rows;
  std::vector<int> widths;  // settled when the first rows are printed
  size_t printed = 0;
};

struct ChapterState {
  ChapterInfo info;
  Options options;
  std::string source_folder;
  std::unique_ptr<FolderLock> lock;  // on the output folder
  std::chrono::steady_clock::time_point started = std::chrono::steady_clock::now();

  std::vector<Claim> claims;
  std::vector<Check> checks;
  std::vector<TableData> tables;
  std::vector<std::shared_ptr<FigureData>> waiting;  // figures not drawn yet
  std::vector<std::shared_ptr<FigureData>> drawn;
  std::vector<std::string> skipped;  // one line each
  std::vector<std::string> undrawn;  // figures without gnuplot
  std::string undrawn_why;
  std::vector<std::string> trainings;   // the names of their checkpoints
  bool saved = false, resumed = false;  // is there a checkpoint of this run, and did it begin with one?
  double last_checkpoint = 0;           // seconds since the start
  size_t open_table = SIZE_MAX;         // the table whose rows were printed last, nothing since

  double seconds() const { return std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count(); }

  // Prints rows and draws figures that are complete; at a section's end, all of them.
  void flush(bool all);
  void print_rows(size_t table);
  void draw_figure(FigureData& figure);
};

// Prints to standard output and flushes. Throws OutputClosed when nobody reads it any more.
struct OutputClosed {};
void put(std::string_view text);
int terminal_width();

// The results of a run as JSON (docs: the page reads them), and its pieces.
std::string results_json(const ChapterState& state);
std::string machine();
std::string cpu_model();
std::string compiler();

// Runs the program once per seed and gathers what came out; returns the exit status.
int make_report(const ChapterInfo& info, const Options& options, const std::string& source_folder, const char* program);

}  // namespace cr::book
