// # Measuring beside PyTorch
//
// Machines drift by a factor of two within minutes, so a ratio means something only between neighbours in time. The two
// sides take turns of a fraction of a second, each round gives one ratio, and what we report is the median of the rounds.
#pragma once

#include <cstdio>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "workloads.hpp"

namespace cr::bench {

struct Timing {
  double ms = 0, min_ms = 0;  // for one operation: median and smallest over the samples
  int64_t n = 0;              // samples; 0 if there is no timing
};

// Of sorted numbers: the one in the middle, or the mean of the two; 0 of none.
double median(const std::vector<double>& sorted);

// ## The other side
//
// `torch_worker.py`, running in a process of its own.
class TorchWorker {
 public:
  // Computes on `Numbers::device`; `compiled`: each step goes through torch.compile. Null if Python cannot import torch, or
  // PyTorch has no such device.
  static std::unique_ptr<TorchWorker> start(bool compiled = false);
  TorchWorker(const TorchWorker&) = delete;
  ~TorchWorker();

  // Sets the stage of a workload, anew each time; one turn of it. Throw Error if the process has ended.
  void make(const Workload& workload, int threads);
  Timing time(const Workload& workload, double seconds);

  std::string version;
  pid_t pid() const { return pid_; }

 private:
  TorchWorker(pid_t pid, FILE* to, FILE* from) : pid_(pid), to_(to), from_(from) {}
  std::string ask(const std::string& command);

  pid_t pid_;
  FILE *to_, *from_;
};

// ## One line of the table
struct Row {
  std::string name, group;
  Timing ours, theirs;
  std::vector<double> ratios;            // theirs / ours, a round each, sorted
  double rate = 0, torch_rate = 0;       // work per second at the median
  std::string unit;                      // of the rates: "GFLOP/s", "GB/s" or none
  double others = 0;                     // what share of the processors other programs had meanwhile
  double round_trip = 0;                 // of a number between two processors, in ns; 0 if there is one
  int64_t bytes = -1, torch_bytes = -1;  // peak memory; -1 if it was not measured

  double ratio() const { return median(ratios); }
};

struct Plan {
  int rounds = 15, threads = 0;
  double seconds = 0.25;  // of one turn
  bool memory = false, compiled = false;
  std::function<void(const Workload&, int round)> progress = {};
};

// `torch` may be null.
Row measure(const Workload& workload, const Plan& plan, TorchWorker* torch);

// What a few steps of a workload add to this process' resident set at its largest, in bytes; -1 if the system does not
// say. Meant for a process that has done nothing else: `measure` starts one, for each side.
int64_t measure_memory(const Workload& workload);

}  // namespace cr::bench
