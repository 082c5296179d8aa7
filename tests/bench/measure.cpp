#include "measure.hpp"

#include <malloc.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <fstream>

#include "book/process.hpp"
#include "ops/ops.hpp"
#include "tensor/allocator.hpp"

namespace cr::bench {
namespace {

Timing summarize(std::vector<double> samples, int64_t operations = 1) {
  if (samples.empty()) return {};
  std::sort(samples.begin(), samples.end());
  auto each = static_cast<double>(operations);
  return {samples[samples.size() / 2] / each, samples[0] / each, static_cast<int64_t>(samples.size())};
}

double milliseconds(std::chrono::steady_clock::duration d) {
  return std::chrono::duration<double, std::milli>(d).count();
}

// Milliseconds of one step each, for `seconds`, after two that warm caches and threads up again.
std::vector<double> sample(const Step& step, double seconds) {
  using Clock = std::chrono::steady_clock;
  for (int i = 0; i < 2; ++i) step();
  std::vector<double> samples;
  for (auto start = Clock::now(), t = start; milliseconds(t - start) < seconds * 1e3 || samples.empty();) {
    step();
    auto now = Clock::now();
    samples.push_back(milliseconds(now - t));
    t = now;
  }
  return samples;
}

const char* python() {
  const char* chosen = std::getenv("CHAINRULE_PYTHON");
  return chosen ? chosen : "python3";
}

}  // namespace

std::unique_ptr<TorchWorker> TorchWorker::start() {
  int to[2], from[2];
  if (pipe(to) != 0 || pipe(from) != 0) return nullptr;
  pid_t pid = fork();
  if (pid == 0) {
    dup2(to[0], 0);
    dup2(from[1], 1);
    for (int fd : {to[0], to[1], from[0], from[1]}) close(fd);
    if (!freopen("/dev/null", "w", stderr)) _exit(127);
    execlp(python(), python(), CHAINRULE_TORCH_WORKER, nullptr);
    _exit(127);
  }
  close(to[0]);
  close(from[1]);
  std::unique_ptr<TorchWorker> worker(new TorchWorker(pid, fdopen(to[1], "w"), fdopen(from[0], "r")));
  char line[256];
  if (pid < 0 || !fgets(line, sizeof line, worker->from_)) return nullptr;
  worker->version = std::string(line, strcspn(line, "+\n"));
  return worker;
}

TorchWorker::~TorchWorker() {
  fclose(to_);  // the end of its input is the end of its work
  fclose(from_);
  if (pid_ > 0) waitpid(pid_, nullptr, 0);
}

Timing TorchWorker::time(const Workload& workload, double seconds, int threads) {
  fprintf(to_, "%s %g %d\n", workload.name.c_str(), seconds, threads);
  fflush(to_);
  char line[256];
  double median = 0, least = 0;
  long count = 0;
  if (!fgets(line, sizeof line, from_) || sscanf(line, "%lf %lf %ld", &median, &least, &count) != 3)
    throw Error("PyTorch's side of " + workload.name + " has ended early");
  auto operations = static_cast<double>(workload.operations);
  return {median / operations, least / operations, count};
}

// ## Memory
//
// Each side in a fresh process, so that nothing is left over from another workload.
static int64_t number_printed_by(const std::vector<std::string>& command) {
  book::Finished done = book::run_process(command);
  return done.status == 0 ? std::atoll(done.out.c_str()) : -1;
}

static int64_t our_memory(const Workload& w, int threads) {
  return number_printed_by({"/proc/self/exe", "--memory-of", w.name, "--threads", std::to_string(threads)});
}

static int64_t torch_memory(const Workload& w, int threads) {
  return number_printed_by(
      {"/usr/bin/env", python(), CHAINRULE_TORCH_WORKER, "--memory", w.name, std::to_string(threads)});
}

// A line of /proc/self/status such as "VmRSS:   1234 kB".
static int64_t resident(const std::string& what) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with(what + ":")) return std::atoll(line.c_str() + what.size() + 1) * 1024;
  }
  return -1;
}

int64_t measure_memory(const Workload& workload) {
  sum(ones({1}) + 1);
  int64_t before = resident("VmRSS");
  Step step = workload.make(DType::float32);
  allocator::release_cached();
  malloc_trim(0);
  std::ofstream("/proc/self/clear_refs") << 5;  // forget the peak so far
  for (int i = 0; i < 5; ++i) step();
  return before < 0 ? -1 : resident("VmHWM") - before;
}

// ## A row
Row measure(const Workload& w, const Plan& plan, TorchWorker* torch) {
  Row row;
  row.name = w.name, row.group = w.group;
  std::vector<double> samples, their_medians, their_minima;
  Step step;
  for (int r = 0; r < plan.rounds; ++r) {
    if (plan.progress) plan.progress(w, r);
    // Training begins anew in each round: neither side should get to time the last, small steps of a long training.
    bool anew = r == 0 || w.group == "training";
    Timing ours, theirs;
    auto our_turn = [&] {
      if (anew) step = w.make(DType::float32);
      std::vector<double> turn = sample(step, plan.seconds);
      ours = summarize(turn);
      samples.insert(samples.end(), turn.begin(), turn.end());
    };
    auto their_turn = [&] {
      if (!torch) return;
      if (anew) torch->time(w, 0, plan.threads);
      theirs = torch->time(w, plan.seconds, plan.threads);
      their_medians.push_back(theirs.ms);
      their_minima.push_back(theirs.min_ms);
      row.theirs.n += theirs.n;
    };
    // Whoever was second goes first next: A B, B A, A B …
    if (r % 2 == 0) our_turn(), their_turn();
    else their_turn(), our_turn();
    if (torch) row.ratios.push_back(theirs.ms / (ours.ms / static_cast<double>(w.operations)));
  }
  row.ours = summarize(samples, w.operations);
  row.theirs.ms = summarize(their_medians).ms;
  row.theirs.min_ms = summarize(their_minima).min_ms;
  std::sort(row.ratios.begin(), row.ratios.end());
  if (w.work > 0) {
    row.unit = std::string(w.unit) + "/s";
    row.rate = w.work / row.ours.ms * 1e3;
    if (torch) row.torch_rate = w.work / row.theirs.ms * 1e3;
  }
  if (plan.memory && w.group == "training") {
    step = nullptr;
    row.bytes = our_memory(w, plan.threads);
    if (torch) row.torch_bytes = torch_memory(w, plan.threads);
  }
  return row;
}

}  // namespace cr::bench
