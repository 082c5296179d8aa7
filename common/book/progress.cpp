#include "book/progress.hpp"

#include <fmt/format.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>

#include "book/text.hpp"

namespace cr::book {

// ## Ctrl-C
//
// The handler only takes a note. A second signal means it: the program ends there and then.
static volatile sig_atomic_t noted_signal = 0, trainings_running = 0;

extern "C" {
static void note_signal(int signal) {
  if (noted_signal) _exit(128 + signal);
  noted_signal = signal;
  if (trainings_running) {
    constexpr char kNote[] = "\nstopping at the end of this step; Ctrl-C again stops at once\n";
    [[maybe_unused]] auto written = write(STDERR_FILENO, kNote, sizeof kNote - 1);
  }
}
}

void catch_interrupts() {
  noted_signal = 0;
  struct sigaction action = {};
  action.sa_handler = note_signal;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);

  // A terminal that is closed sends SIGHUP, unless the program was told by `nohup` to ignore it.
  struct sigaction hangup = {};
  sigaction(SIGHUP, nullptr, &hangup);
  if (hangup.sa_handler != SIG_IGN) sigaction(SIGHUP, &action, nullptr);
}

int interrupted() { return noted_signal; }

void throw_if_interrupted() {
  if (noted_signal && !trainings_running) throw Interrupted{noted_signal};
}

void enter_training() { trainings_running = trainings_running + 1; }
void leave_training() { trainings_running = trainings_running - 1; }

// ## The line
//
// One progress line at a time is on the terminal. Whoever prints something else takes it off first.
static bool line_on_terminal = false;

void clear_progress_line() {
  if (!line_on_terminal) return;
  std::fputs("\r\033[K", stderr);
  std::fflush(stderr);
  line_on_terminal = false;
}

using Clock = std::chrono::steady_clock;

struct Progress::State {
  std::string what, unit, name;
  int64_t total = 0, done = 0, started_at = 0;
  double value = 0;
  bool terminal = isatty(STDERR_FILENO) == 1;
  bool spoke = false;
  Clock::time_point started = Clock::now(), next = started + quiet();
  int64_t next_tenth = 0;
  int64_t until_look = 1, look_every = 1;  // the clock is read every so many steps

  static Clock::duration quiet() {
    return std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(quiet_seconds));
  }

  static std::string duration(double seconds) {
    auto s = static_cast<int64_t>(std::llround(seconds));
    if (s < 100) return fmt::format("{} s", s);
    if (s < 6000) return fmt::format("{} min {:02} s", s / 60, s % 60);
    return fmt::format("{} h {:02} min", s / 3600, s / 60 % 60);
  }

  std::string text(Clock::time_point now) const {
    double seconds = std::chrono::duration<double>(now - started).count();
    double rate = seconds > 0 ? static_cast<double>(done - started_at) / seconds : 0;
    std::string line = fmt::format("{}  {:3.0f} %  {} of {} {}", what,
                                   total > 0 ? 100.0 * static_cast<double>(done) / static_cast<double>(total) : 100.0,
                                   done, total, unit);
    if (rate > 0)
      line += rate >= 1 ? fmt::format("  {}/s", book::show(rate, 3)) : fmt::format("  {} each", duration(1 / rate));
    if (rate > 0 && done < total) line += fmt::format("  {} left", duration(static_cast<double>(total - done) / rate));
    if (!name.empty()) line += fmt::format("  {} {}", name, book::show(value));
    return line;
  }

  void look() {
    auto now = Clock::now();
    // Aim at looking at the clock about a hundred times a second, however short the steps are.
    double each = std::chrono::duration<double>(now - started).count() /
                  static_cast<double>(std::max<int64_t>(1, done - started_at));
    look_every = std::clamp<int64_t>(static_cast<int64_t>(0.01 / std::max(each, 1e-9)), 1, 1 << 20);
    until_look = look_every;
    if (now < next) return;
    if (terminal) {
      winsize window = {};
      int width = ioctl(STDERR_FILENO, TIOCGWINSZ, &window) == 0 && window.ws_col > 20 ? window.ws_col : 80;
      std::string line = text(now);
      while (display_width(line) >= width) {
        while ((line.back() & 0xC0) == 0x80) line.pop_back();  // all bytes of the last letter
        line.pop_back();
      }
      std::fprintf(stderr, "\r\033[K%s", line.c_str());
      std::fflush(stderr);
      line_on_terminal = true;
      next = now + std::chrono::milliseconds(100);
    } else {
      // A log gets a line when another tenth is done, and the last one is a while ago.
      int64_t tenth = total > 0 ? done * 10 / total : 10;
      if (tenth < next_tenth) return;
      std::fprintf(stderr, "%s\n", text(now).c_str());
      next_tenth = tenth + 1;
      next = now + quiet();
    }
    spoke = true;
  }
};

Progress::Progress(std::string what, int64_t total, std::string unit) : state_(std::make_unique<State>()) {
  state_->what = std::move(what);
  state_->unit = std::move(unit);
  state_->total = total;
}
Progress::Progress(Progress&&) noexcept = default;
Progress& Progress::operator=(Progress&&) noexcept = default;
Progress::~Progress() {
  if (state_ && state_->terminal && state_->spoke) clear_progress_line();
}

void Progress::update(int64_t done) {
  throw_if_interrupted();
  count(done);
}

// What was done before this run began must not count into its rate.
void Progress::begin_at(int64_t done) { state_->done = state_->started_at = done; }

void Progress::count(int64_t done) {
  state_->done = done;
  if (--state_->until_look <= 0 || done == state_->total) state_->look();
}

void Progress::update(int64_t done, std::string_view name, double value) {
  show(name, value);
  update(done);
}

void Progress::show(std::string_view name, double value) {
  if (state_->name != name) state_->name = name;
  state_->value = value;
}

int64_t Progress::done() const { return state_->done; }

}  // namespace cr::book
