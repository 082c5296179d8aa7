#include "book/chapter.hpp"

#include <fmt/format.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <stdexcept>

#include "backend/stop.hpp"
#include "book/chapter_state.hpp"
#include "io/atomic_file.hpp"

namespace cr::book {

// ## Printing
//
// Everything goes out at once, line by line, so that a pipe or a log shows it as it happens.
void put(std::string_view text) {
  clear_progress_line();
  errno = 0;
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
  if (!std::ferror(stdout)) return;  // a line-buffered stream reports a failed write nowhere else
  if (errno == EPIPE) throw OutputClosed{};
  throw IoError(fmt::format("cannot write to standard output: {}", std::strerror(errno)));
}

static bool coloured() {
  static const bool yes = isatty(STDOUT_FILENO) == 1 && !std::getenv("NO_COLOR");
  return yes;
}
static std::string paint(const char* code, std::string_view text) {
  return coloured() ? fmt::format("\033[{}m{}\033[0m", code, text) : std::string(text);
}

int terminal_width() {
  winsize window = {};
  if (isatty(STDOUT_FILENO) != 1 || ioctl(STDOUT_FILENO, TIOCGWINSZ, &window) != 0 || window.ws_col == 0) return 100;
  return std::clamp<int>(window.ws_col, 40, 100);
}

// Under `--break` the chapter's claims and checks are printed but not judged: only the symptom is.
static std::string mark(bool judged, bool passed) {
  return !judged ? "·" : passed ? paint("32", "✓") : paint("31", "✗");
}

Chapter::Chapter(std::unique_ptr<ChapterState> state) : state_(std::move(state)) {}
Chapter::~Chapter() = default;

void Chapter::section(std::string_view title) {
  throw_if_interrupted();
  state_->flush(true);
  std::string rule;
  for (int i = display_width(title); i > 0; --i) rule += "─";
  put(fmt::format("\n{}\n{}\n", paint("1", title), rule));
}

void Chapter::paragraph(std::string_view text) {
  throw_if_interrupted();
  state_->flush(false);
  state_->open_table = SIZE_MAX;
  put(wrap(text, terminal_width()) + "\n");
}

void Chapter::print(std::string_view text) {
  throw_if_interrupted();
  state_->flush(false);
  state_->open_table = SIZE_MAX;
  put(std::string(text) + (text.ends_with('\n') ? "" : "\n"));
}

// ## Tables
//
// Rows are held until the next thing is printed, which settles the columns' widths; rows that come later are printed
// under them. Numbers stand on the right, words on the left.
Table Chapter::table(const std::vector<std::string>& columns) {
  throw_if_interrupted();
  state_->flush(false);
  state_->tables.push_back({columns, {}, {}});
  return Table(state_.get(), state_->tables.size() - 1);
}

Table& Table::add(std::vector<Value> cells) {
  TableData& table = state_->tables[index_];
  if (cells.size() != table.columns.size())
    throw ShapeError(
        fmt::format("table: a row of {} cells in a table of {} columns", cells.size(), table.columns.size()));
  table.rows.push_back(std::move(cells));
  return *this;
}

void ChapterState::print_rows(size_t index) {
  TableData& t = tables[index];
  if (t.printed == t.rows.size()) return;
  auto word = [](const Value& v) { return std::holds_alternative<std::string>(v.is); };
  size_t n = t.columns.size();
  if (t.widths.empty()) {
    for (const std::string& column : t.columns) t.widths.push_back(display_width(column));
    for (const auto& row : t.rows) {
      for (size_t c = 0; c < n; ++c) t.widths[c] = std::max(t.widths[c], display_width(show(row[c])));
    }
  }
  auto pad = [&](const std::string& text, size_t c, bool left) {
    std::string space(static_cast<size_t>(std::max(0, t.widths[c] - display_width(text))), ' ');
    return left ? text + space : space + text;
  };
  auto put_line = [&](std::string line) {
    while (line.ends_with(' ')) line.pop_back();
    put(line + "\n");
  };
  if (open_table != index) {
    std::string head = " ", rule = "  ";
    for (size_t c = 0; c < n; ++c) {
      head += " " + pad(t.columns[c], c, word(t.rows[0][c])) + " ";
      for (int i = 0; i < t.widths[c]; ++i) rule += "─";
      rule += "  ";
    }
    put("\n");
    put_line(head);
    put_line(rule);
  }
  for (; t.printed < t.rows.size(); ++t.printed) {
    std::string line = " ";
    for (size_t c = 0; c < n; ++c) line += " " + pad(show(t.rows[t.printed][c]), c, word(t.rows[t.printed][c])) + " ";
    put_line(line);
  }
  open_table = index;
}

// ## Figures
Figure Chapter::figure(const std::string& id, const std::string& caption) {
  throw_if_interrupted();
  state_->flush(false);
  if (id.empty() || id.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-_") != std::string::npos)
    throw std::logic_error("figure \"" + id + "\": an id is made of a-z, 0-9, - and _");
  auto same = [&](const auto& f) { return f->id == id; };
  if (std::any_of(state_->waiting.begin(), state_->waiting.end(), same) ||
      std::any_of(state_->drawn.begin(), state_->drawn.end(), same) ||
      std::find(state_->undrawn.begin(), state_->undrawn.end(), id) != state_->undrawn.end())
    throw std::logic_error("figure \"" + id + "\" is drawn twice");
  auto data = std::make_shared<FigureData>();
  data->id = id;
  data->caption = caption;
  state_->waiting.push_back(data);
  return Figure(data);
}

void ChapterState::draw_figure(FigureData& figure) {
  figure.closed = true;
  std::filesystem::path file = options.out / "figures" / (figure.id + ".svg");
  std::filesystem::create_directories(file.parent_path());
  std::string why = draw(figure, file);
  if (why.empty()) {
    put(fmt::format("  figure  {}: {}\n", file.string(), figure.caption));
    return;
  }
  // An older run's picture must not pass for this one's.
  std::error_code ignored;
  std::filesystem::remove(file, ignored);
  undrawn.push_back(figure.id);
  undrawn_why = why;
}

void ChapterState::flush(bool all) {
  for (size_t i = 0; i < tables.size(); ++i) print_rows(i);
  for (size_t i = 0; i < waiting.size();) {
    if (!all && waiting[i].use_count() > 1) {  // somebody still holds the handle
      ++i;
      continue;
    }
    auto figure = waiting[i];
    waiting.erase(waiting.begin() + static_cast<std::ptrdiff_t>(i));
    draw_figure(*figure);
    if (undrawn.empty() || undrawn.back() != figure->id) drawn.push_back(figure);
    open_table = SIZE_MAX;
  }
  if (all) open_table = SIZE_MAX;
}

// ## Claims
void Chapter::claim(const std::string& id, const std::string& sentence, double value, Bound bound, Kind kind,
                    const ClaimOptions& options) {
  throw_if_interrupted();
  ChapterState& s = *state_;
  s.flush(false);
  s.open_table = SIZE_MAX;
  for (const Claim& c : s.claims) {
    if (c.id == id) throw std::logic_error("claim \"" + id + "\" is made twice");
  }
  const auto& breaks = s.info.breaks;
  bool symptom = !options.symptom_of.empty();
  if (symptom &&
      std::none_of(breaks.begin(), breaks.end(), [&](const BreakSpec& b) { return b.name == options.symptom_of; }))
    throw std::logic_error("claim \"" + id + "\" is the symptom of \"" + options.symptom_of +
                           "\", which the chapter does not declare");
  const auto& listed = s.info.claims;
  if (!symptom && !listed.empty() &&
      std::none_of(listed.begin(), listed.end(), [&](const Expected& e) { return e.id == id; }))
    throw std::logic_error("claim \"" + id + "\" is not in the chapter's list of claims");

  Size size = s.options.size;
  const std::optional<Bound>& own = size == Size::quick    ? options.quick
                                    : size == Size::normal ? options.normal
                                                           : options.full;
  Claim c{id, sentence, options.unit, options.symptom_of, {}, value, own.value_or(bound), kind};
  if (symptom) {
    c.at = "break " + options.symptom_of;
    c.judged = s.options.broken == options.symptom_of;
  } else {
    bool everywhere = !options.at && kind == identity;
    c.at = everywhere ? name(size) : name(options.at.value_or(Size::normal));
    c.judged = s.options.broken.empty() && (everywhere || own || size == options.at.value_or(Size::normal));
    if (own) c.at = name(size);
  }
  c.passed = c.bound.holds(value);

  put(wrap(fmt::format("{} {}: {}", mark(c.judged, c.passed), id, sentence), terminal_width() + (coloured() ? 9 : 0),
           "  ", "    ") +
      "\n");
  std::string verdict = c.judged                    ? (c.passed ? "holds" : paint("31", "does not hold"))
                        : symptom                   ? "a symptom, judged under --break " + options.symptom_of
                        : !s.options.broken.empty() ? "not judged under --break"
                                                    : fmt::format("judged at {} size", c.at);
  put(fmt::format("    measured {}, claimed {} · {} · {}\n", paint("1", c.text()), c.bound.text(c.unit), name(kind),
                  verdict));
  s.claims.push_back(std::move(c));
}

static std::string close_enough(double by_hand, double library, double tolerance, bool& passed) {
  double gap = std::abs(by_hand - library);
  passed = gap <= tolerance * std::max(1.0, std::abs(library));  // false for NaN
  return fmt::format("{:.2g}", gap);
}

static void record(ChapterState& s, Check check, const std::string& gap) {
  throw_if_interrupted();
  s.flush(false);
  s.open_table = SIZE_MAX;
  put(fmt::format("  {} {}: by hand {}, library {}, apart by {}\n", mark(s.options.broken.empty(), check.passed),
                  check.name, check.by_hand, check.library, gap));
  s.checks.push_back(std::move(check));
}

void Chapter::check(const std::string& name, double by_hand, double library, double tolerance) {
  bool passed = false;
  std::string gap = close_enough(by_hand, library, tolerance, passed);
  record(*state_, {name, show(by_hand, 12), show(library, 12), passed}, gap);
}

void Chapter::check(const std::string& name, const Tensor& by_hand, const Tensor& library, double tolerance) {
  Numbers ours(by_hand), theirs(library);
  if (by_hand.shape() != library.shape()) {
    throw ShapeError(
        fmt::format("check {}: by hand {}, library {}", name, to_string(by_hand.shape()), to_string(library.shape())));
  }
  auto text = [](const Numbers& numbers) {
    std::string list;
    for (size_t i = 0; i < numbers.values.size() && i < 4; ++i) list += (i ? ", " : "") + show(numbers.values[i], 6);
    if (numbers.values.size() == 1) return list;
    return "(" + list + (numbers.values.size() > 4 ? ", …)" : ")");
  };
  // The element that is furthest apart speaks for all; NaN is further than anything.
  bool passed = true;
  std::string gap = "0";
  double furthest = -1;
  for (size_t i = 0; i < ours.values.size(); ++i) {
    bool here = false;
    std::string apart = close_enough(ours.values[i], theirs.values[i], tolerance, here);
    double distance = std::abs(ours.values[i] - theirs.values[i]);
    if (!(distance <= furthest) && !std::isnan(furthest)) furthest = distance, gap = apart;
    passed = passed && here;
  }
  record(*state_, {name, text(ours), text(theirs), passed}, gap);
}

// ## What was asked for
Size Chapter::size() const { return state_->options.size; }
uint64_t Chapter::seed() const { return state_->options.seed; }
Device Chapter::device() const { return state_->options.device; }
const std::filesystem::path& Chapter::out() const { return state_->options.out; }
bool Chapter::interrupted() const { return book::interrupted() != 0; }

OptionValue Chapter::option(std::string_view name) const {
  auto found = state_->options.own.find(std::string(name));
  if (found == state_->options.own.end())
    throw std::logic_error("option \"" + std::string(name) + "\" is not declared");
  return {found->first, found->second};
}

int64_t OptionValue::integer() const {
  if (const auto* v = std::get_if<int64_t>(&value.is)) return *v;
  throw std::logic_error("option \"" + name + "\" is not a whole number");
}
double OptionValue::number() const {
  if (const auto* v = std::get_if<double>(&value.is)) return *v;
  return static_cast<double>(integer());
}
std::string OptionValue::text() const {
  if (const auto* v = std::get_if<std::string>(&value.is)) return *v;
  throw std::logic_error("option \"" + name + "\" is not text");
}

bool Chapter::broken(std::string_view name) const {
  const auto& breaks = state_->info.breaks;
  if (std::none_of(breaks.begin(), breaks.end(), [&](const BreakSpec& b) { return b.name == name; }))
    throw std::logic_error("broken(\"" + std::string(name) + "\"): the chapter does not declare that bug");
  return state_->options.broken == name;
}

const std::filesystem::path& Chapter::data_dir() const {
  if (state_->options.data.empty())
    throw UsageError("this part needs real data: say where it is with --data DIR or in CHAINRULE_DATA");
  if (!std::filesystem::is_directory(state_->options.data))
    throw UsageError(fmt::format("CHAINRULE_DATA: {} is not a folder", state_->options.data.string()));
  return state_->options.data;
}

// ## Taking long
Progress Chapter::progress(const std::string& what, int64_t total, const std::string& unit) {
  throw_if_interrupted();
  state_->flush(false);
  return Progress(what, total, unit);
}

Training Chapter::training(const std::string& name, int64_t total, const std::string& unit) {
  throw_if_interrupted();
  state_->flush(false);
  const std::string file = checkpoint_name(name);
  if (std::find(state_->trainings.begin(), state_->trainings.end(), file) != state_->trainings.end())
    throw std::logic_error("training \"" + name + "\": the name is taken, and it is the checkpoint's");
  state_->trainings.push_back(file);
  return Training(*state_, name, total, unit);
}

// ## From beginning to end
//
// Before the story: can we write there, and is there something to resume?
static void prepare(ChapterState& s) {
  const std::filesystem::path &out = s.options.out, checkpoints = out / "checkpoint";
  std::error_code error;
  auto saved = [&] {
    for (const auto& entry : std::filesystem::directory_iterator(checkpoints, error)) {
      if (entry.path().extension() == ".safetensors") return true;
    }
    return false;
  };
  if (s.options.resume && !saved())
    throw UsageError(fmt::format("--resume: no checkpoint in {}; run without --resume", checkpoints.string()));
  if (s.options.resume) check_checkpoints(s);
  std::filesystem::create_directories(out, error);
  if (!error && access(out.c_str(), W_OK) != 0) error = std::error_code(errno, std::generic_category());
  if (error)
    throw UsageError(
        fmt::format("--out: cannot write to {}: {}; choose another folder", out.string(), error.message()));
  s.lock = std::make_unique<FolderLock>(out.string());
  if (!s.lock->ours())
    throw UsageError(
        fmt::format("--out: another run is writing to {}; wait for it, or choose another folder", out.string()));

  // A run that was killed while it wrote left a file under a temporary name. Nobody else writes here now.
  auto ours = [](const std::filesystem::path& file) {
    return file.extension() == ".svg" || file.extension() == ".safetensors" ||
           (file.extension() == ".json" && file.filename().string().starts_with("results-"));
  };
  for (const auto& folder : {out, checkpoints, out / "figures"}) {
    for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
      if (ours(io::target_of_temporary(entry.path().string()))) std::filesystem::remove(entry.path(), error);
    }
  }
  if (!s.options.resume && saved())
    std::fprintf(stderr, "an interrupted run left a checkpoint in %s; --resume goes on from it\n", checkpoints.c_str());
}

// After it: was everything measured that had to be, and does it hold? Returns the exit status.
static int conclude(ChapterState& s) {
  s.flush(true);
  const std::string& broken = s.options.broken;
  int judged = 0, held = 0, missing = 0, mismatched = 0;
  put("\n");
  for (const Claim& c : s.claims) judged += c.judged, held += c.judged && c.passed;
  if (broken.empty()) {
    for (const Expected& e : s.info.claims) {
      bool due = !e.at || *e.at == s.options.size;
      if (!due || std::any_of(s.claims.begin(), s.claims.end(), [&](const Claim& c) { return c.id == e.id; })) continue;
      put(fmt::format("{} {}: was not measured, and at this size it has to be\n", mark(true, false), e.id));
      ++missing;
    }
    for (const Check& c : s.checks) mismatched += !c.passed;
  } else if (judged == 0) {
    put(fmt::format("{} no claim says what --break {} shows\n", mark(true, false), broken));
    ++missing;
  }
  if (!s.undrawn.empty()) {
    std::string list;
    for (const std::string& id : s.undrawn) list += (list.empty() ? "" : ", ") + id;
    s.skipped.push_back(
        fmt::format("{} figure{} ({}): {}", s.undrawn.size(), s.undrawn.size() == 1 ? "" : "s", list, s.undrawn_why));
  }
  if (s.options.tensorboard && s.trainings.empty())
    s.skipped.push_back("--tensorboard: nothing here is trained step by step");
  for (const std::string& line : s.skipped) put("skipped: " + line + "\n");

  std::filesystem::create_directories(s.options.out);  // in case somebody removed it under us
  std::filesystem::path file = s.options.out / fmt::format("results-{}.json", name(s.options.size));
  io::write_file(file.string(), results_json(s));
  std::string summary = fmt::format("{} of {} judged claims hold", held, judged);
  if (!s.checks.empty() && broken.empty())
    summary += fmt::format(", {} of {} values by hand agree", s.checks.size() - static_cast<size_t>(mismatched),
                           s.checks.size());
  put(fmt::format("{}; {:.1f} s; {}\n", summary, s.seconds(), file.string()));

  if (s.options.resume && !s.resumed)
    put(fmt::format("--resume: no checkpoint in {} was one of this run's; it began anew\n",
                    (s.options.out / "checkpoint").string()));

  // Nothing is left to resume.
  std::error_code ignored;
  for (const std::string& training : s.trainings)
    io::CheckpointSeries((s.options.out / "checkpoint").string(), training).remove();
  std::filesystem::remove(s.options.out / "checkpoint", ignored);
  return held == judged && missing == 0 && mismatched == 0 ? 0 : 1;
}

// A word as a shell would want it.
static std::string shell_word(const std::string& word) {
  if (!word.empty() &&
      word.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_=+./,:@%") ==
          std::string::npos)
    return word;
  std::string out = "'";
  for (char c : word) out += c == '\'' ? "'\\''" : std::string(1, c);
  return out + "'";
}

static int stopped(const ChapterState& s, int signal) {
  clear_progress_line();
  std::error_code none;
  const bool before = !std::filesystem::is_empty(s.options.out / "checkpoint", none) && !none;
  if (!s.saved && !before) {
    std::fprintf(stderr, "%s: stopped; there was nothing to save yet\n", full_name(s.info).c_str());
  } else {
    std::string words;
    for (const std::string& word : s.options.command_line) {
      if (word != "--resume") words += " " + shell_word(word);
    }
    std::fprintf(stderr, "%s: stopped%s; go on with: ./run %02d%s --resume\n", full_name(s.info).c_str(),
                 s.saved ? " and saved" : "; the checkpoint from before is still there", s.info.number, words.c_str());
  }
  return 128 + signal;
}

int run_chapter(int argc, char** argv, const ChapterInfo& info, Story story, const char* source_folder) {
  signal(SIGPIPE, SIG_IGN);
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  const std::string name = full_name(info);
  auto complain = [&](const std::string& what, int status) {
    clear_progress_line();
    std::fprintf(stderr, "%s: %s\n", name.c_str(), what.c_str());
    return status;
  };
  auto owner = std::make_unique<ChapterState>();
  ChapterState& state = *owner;
  state.info = info;
  state.source_folder = source_folder;
  try {
    if (!read_options(argc, argv, info, source_folder, state.options)) return 0;
    catch_interrupts();
    backend::stop_here = throw_if_interrupted;
    if (!state.options.report.empty()) return make_report(info, state.options, source_folder, argv[0]);
    prepare(state);
    Chapter chapter(std::move(owner));
    int status = 70;
    try {
      put(fmt::format("{}\n{}\n", paint("1", fmt::format("Chapter {}: {}", info.number, info.title)), info.question));
      story(chapter);
      status = conclude(state);
    } catch (const Interrupted& e) {
      status = stopped(state, e.signal);
    } catch (const OutputClosed&) {
      status = 128 + SIGPIPE;
    } catch (const Error& e) {
      status = complain(e.what(), 2);
    } catch (const std::bad_alloc&) {
      status = complain("out of memory; try a smaller size (--quick)", 2);
    } catch (const std::filesystem::filesystem_error& e) {
      status = complain(e.what(), 2);
    } catch (const std::exception& e) {
      status = complain(fmt::format("this is a bug in the program: {}", e.what()), 70);
    }
    return status;
  } catch (const OutputClosed&) {
    return 128 + SIGPIPE;
  } catch (const Error& e) {
    return complain(e.what(), 2);
  } catch (const std::filesystem::filesystem_error& e) {
    return complain(e.what(), 2);
  } catch (const std::exception& e) {
    return complain(fmt::format("this is a bug in the program: {}", e.what()), 70);
  }
}

}  // namespace cr::book
