// # A chapter program
//
// What a chapter does with the outside world is in this folder: options, printing, figures, claims, results,
// checkpoints. The chapter itself is a function, its *story*:
//
//     #include "book/chapter.hpp"
//     using namespace cr;
//
//     void story(Chapter& chapter) {
//       chapter.section("By hand first");
//       chapter.say("One weight, one input, no loop: x = {}, w = {}.", 2.0, 0.5);
//       chapter.check("dL/dw", 2 * (0.5 * 2 - 3) * 2, w.grad().item(), 1e-10);
//
//       chapter.section("Wider is better, up to a point");
//       Table table = chapter.table({"units", "error"});
//       for (int units : {1, 3, 10}) table.row(units, fit(units, chapter.pick(50, 500, 500)));
//       chapter.figure("fit", "the curve and its fit").line(x, y, "curve").line(x, fitted, "10 units").axes("x", "y");
//       chapter.claim("fit-10", "ten units follow the curve", error, at_most(0.01), found, {.quick = at_most(0.1)});
//     }
//
//     int main(int argc, char** argv) {
//       return run_chapter(argc, argv, {.number = 5, .name = "neural_network", .title = "Neural network",
//                                       .question = "What can a hidden layer do that a line cannot?",
//                                       .options = {{"hidden", 100, "width of the hidden layer", 1, 4096}},
//                                       .breaks = {{"zero-init", "all weights start at zero"}},
//                                       .claims = {"fit-10", {"mnist", Size::full}}}, story);
//     }
//
// Exit status: 0 when every judged claim holds, 1 when one does not, 2 when the user can mend it (a wrong option,
// missing data, no GPU: one line on stderr), 130 after Ctrl-C, 70 for a bug in the program.
#pragma once

#include <array>
#include <filesystem>
#include <initializer_list>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "book/claim.hpp"
#include "book/figure.hpp"
#include "book/progress.hpp"
#include "book/text.hpp"
#include "book/training.hpp"
#include "tensor/tensor.hpp"

namespace cr::book {

// A wrong option, or an option that is missing.
struct UsageError : Error {
  using Error::Error;
};

// A value for each size.
struct PerSize {
  PerSize(Value every) : value{every, every, every} {}
  PerSize(Value quick, Value normal, Value full) : value{quick, normal, full} {}
  std::array<Value, 3> value;
};

// An option of the chapter's own, `--name`. The default's type is the option's: whole number, number or text. Numbers
// outside [lowest, highest] are refused.
struct OptionSpec {
  template <class T>
  OptionSpec(std::string option, T standard, std::string what_it_is,
             double from = std::numeric_limits<double>::lowest(), double to = std::numeric_limits<double>::max())
      : name(std::move(option)), value(standard), help(std::move(what_it_is)), lowest(from), highest(to) {}
  std::string name;
  PerSize value;
  std::string help;
  double lowest, highest;
};

// What an option was set to; converts to the variable it is put into: `int64_t hidden = chapter.option("hidden");`
struct OptionValue {
  std::string name;
  Value value;
  template <class T>
    requires std::is_arithmetic_v<T>
  operator T() const {
    if constexpr (std::is_integral_v<T>) return static_cast<T>(integer());
    else return static_cast<T>(number());
  }
  operator std::string() const { return text(); }

 private:
  int64_t integer() const;  // throw std::logic_error for an option of another type
  double number() const;
  std::string text() const;
};

// A bug that can be planted, `--break NAME`, and what it is.
struct BreakSpec {
  std::string name, what;
};

// A claim the story has to make: at every size, or at one.
struct Expected {
  Expected(const char* claim) : id(claim) {}
  Expected(const char* claim, Size only) : id(claim), at(only) {}
  std::string id;
  std::optional<Size> at = {};
};

// What a chapter is. Only the first four are needed.
struct ChapterInfo {
  int number = 0;
  std::string name = {};  // the folder's: "neural_network" for 05_neural_network
  std::string title = {};
  std::string question = {};

  // What each size does and takes, for --help.
  std::string quick = "a few seconds: small enough for a test";
  std::string normal = "up to a minute, no files, no GPU";
  std::string full = "the published experiment";

  std::vector<OptionSpec> options = {};
  std::vector<BreakSpec> breaks = {};

  // Every claim of the story but the symptoms. One that is not reached at its size fails; one that is not listed is a
  // bug.
  std::vector<Expected> claims = {};

  // What --full reads: the data's name, and files below --data that must be there (".gz" may be missing) before it
  // starts.
  std::string data = {};
  std::vector<std::string> full_needs = {};

  std::string headline = {};  // the id of the claim that stands for the chapter
};

struct ChapterState;

// A table: rows appear as they come, aligned, and are written to the results.
class Table {
 public:
  template <class... Cells> Table& row(const Cells&... cells) { return add({Value(cells)...}); }
  Table& add(std::vector<Value> cells);  // throws ShapeError unless there is one cell per column

 private:
  friend class Chapter;
  Table(ChapterState* state, size_t index) : state_(state), index_(index) {}
  ChapterState* state_;
  size_t index_;
};

class Chapter {
 public:
  explicit Chapter(std::unique_ptr<ChapterState> state);
  ~Chapter();

  // ## Telling
  //
  // A title; a paragraph, broken at the terminal's width, with `{}` filled from the arguments (without arguments,
  // braces are braces); text as it stands.
  void section(std::string_view title);
  template <class... Args> void say(std::string_view text, const Args&... args) {
    if constexpr (sizeof...(args) == 0) paragraph(text);
    else paragraph(fill(text, {Value(args)...}));
  }
  void print(std::string_view text);
  Table table(const std::vector<std::string>& columns);

  // The numbers are part of `OUT/figures/<id>.svg`; see figure.hpp.
  Figure figure(const std::string& id, const std::string& caption);

  // ## Measuring
  //
  // Prints the claim with its value and verdict and writes it to the results; see claim.hpp. An id may be used once.
  void claim(const std::string& id, const std::string& sentence, double value, Bound bound, Kind kind,
             const ClaimOptions& options = {});

  // Holds a value worked out by hand against the library's: |by hand - library| ≤ tolerance · max(1, |library|), for
  // tensors at every element. Both are printed; a mismatch fails the run, whatever its size.
  void check(const std::string& name, double by_hand, double library, double tolerance = 1e-10);
  void check(const std::string& name, const Tensor& by_hand, const Tensor& library, double tolerance = 1e-10);

  // ## What this run was asked for
  Size size() const;
  bool quick() const { return size() == Size::quick; }
  bool full() const { return size() == Size::full; }
  template <class Quick, class Normal, class Full>
  std::common_type_t<Quick, Normal, Full> pick(Quick quick, Normal normal, Full full) const {
    using T = std::common_type_t<Quick, Normal, Full>;
    return size() == Size::quick ? T(quick) : size() == Size::normal ? T(normal) : T(full);
  }
  uint64_t seed() const;
  Device device() const;
  OptionValue option(std::string_view name) const;
  bool broken(std::string_view name) const;  // is this bug planted? `name` must be declared

  // The folder of --data, else of the environment's CHAINRULE_DATA, else data/ in the tree the program was built from;
  // throws UsageError if there is none of them.
  const std::filesystem::path& data_dir() const;
  const std::filesystem::path& out() const;

  // ## Taking long
  Progress progress(const std::string& what, int64_t total, const std::string& unit = "steps");
  Training training(const std::string& name, int64_t total, const std::string& unit = "steps");
  bool interrupted() const;

 private:
  void paragraph(std::string_view text);
  std::unique_ptr<ChapterState> state_;
};

using Story = void (*)(Chapter&);

int run_chapter(int argc, char** argv, const ChapterInfo& info, Story story, const char* source_folder);

}  // namespace cr::book

namespace cr {
using book::Chapter;
using book::Table;
using book::UsageError;

// Reads the options, tells the story, writes `OUT/results-<size>.json` and returns the exit status. The build tells
// each chapter where its sources are; a program that is not told is not able to say which sources its numbers came
// from.
static inline int run_chapter(int argc, char** argv, const book::ChapterInfo& info, book::Story story) {
#ifdef CHAINRULE_CHAPTER
  return book::run_chapter(argc, argv, info, story, CHAINRULE_CHAPTER);
#else
  return book::run_chapter(argc, argv, info, story, "");
#endif
}
}  // namespace cr
