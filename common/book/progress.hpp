// # Progress
//
// Work that takes longer than two seconds says how far it is, on stderr: on a terminal in one line that is rewritten at
// most ten times a second, in a log in about ten lines altogether. Shorter work says nothing.
//
//     Progress progress = chapter.progress("training", steps);
//     for (int64_t step = 0; step < steps; ++step) {
//       …
//       progress.step("loss", loss);        // training   42 %   420 of 1000 steps   133/s   4 s left   loss 0.2711
//     }
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace cr::book {

// How long work may take before it says something, and how far apart two lines of a log are.
inline double quiet_seconds = 2;

class Progress {
 public:
  Progress(std::string what, int64_t total, std::string unit = "steps");
  Progress(Progress&&) noexcept;
  Progress& operator=(Progress&&) noexcept;
  ~Progress();  // takes the line off the terminal

  // One unit more is done; or `done` of them are. The number shown beside it is the latest one given. Both throw
  // Interrupted after Ctrl-C.
  void step() { update(done() + 1); }
  void step(std::string_view name, double value) { update(done() + 1, name, value); }
  void update(int64_t done);
  void update(int64_t done, std::string_view name, double value);

  // Sets the number shown, without counting.
  void show(std::string_view name, double value);

  int64_t done() const;

 private:
  friend class Training;  // counts without throwing, and may begin in the middle
  void count(int64_t done);
  void begin_at(int64_t done);
  struct State;
  std::unique_ptr<State> state_;
};

// Thrown where a run notices Ctrl-C (SIGINT) or SIGTERM. Not an std::exception: nobody should catch it by accident.
struct Interrupted {
  int signal;
};

// The signal that asked this run to stop, or 0. `catch_interrupts` installs the handler: the first signal is noted and
// noticed at the next step, the second one ends the program at once.
int interrupted();
void catch_interrupts();

// Throws Interrupted if there was a signal. Within a `Training` it does not: there the step is finished and saved
// first.
void throw_if_interrupted();
void enter_training();
void leave_training();

// Takes an unfinished progress line off the terminal, so that what is printed next starts on a clean line.
void clear_progress_line();

}  // namespace cr::book

namespace cr {
using book::Progress;
}
