#include "measure.hpp"

#include <malloc.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>
#include <thread>

#include "backend/backend.hpp"
#include "backend/gpu_options.hpp"
#include "book/process.hpp"
#include "ops/ops.hpp"
#include "tensor/allocator.hpp"

namespace cr::bench {
namespace {

Timing summarize(std::vector<double> samples, int64_t operations = 1) {
  if (samples.empty()) return {};
  std::sort(samples.begin(), samples.end());
  auto each = static_cast<double>(operations);
  return {median(samples) / each, samples[0] / each, static_cast<int64_t>(samples.size())};
}

double milliseconds(std::chrono::steady_clock::duration d) {
  return std::chrono::duration<double, std::milli>(d).count();
}

// Milliseconds of one step each, for `seconds`, after two that warm caches and threads up again.
std::vector<double> sample(const Step& step, double seconds) {
  using Clock = std::chrono::steady_clock;
  // A GPU is still at work when a step returns, on both sides.
  backend::Backend& backend = backend::on(Numbers::device);
  for (int i = 0; i < 2; ++i) step();
  backend.synchronize();
  std::vector<double> samples;
  for (auto start = Clock::now(), t = start; milliseconds(t - start) < seconds * 1e3 || samples.empty();) {
    step();
    backend.synchronize();
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

double median(const std::vector<double>& sorted) {
  const size_t n = sorted.size();
  return n == 0 ? 0 : (sorted[(n - 1) / 2] + sorted[n / 2]) / 2;
}

std::unique_ptr<TorchWorker> TorchWorker::start(bool compiled) {
  int to[2], from[2];
  if (pipe(to) != 0 || pipe(from) != 0) return nullptr;
  pid_t pid = fork();
  if (pid == 0) {
    dup2(to[0], 0);
    dup2(from[1], 1);
    for (int fd : {to[0], to[1], from[0], from[1]}) close(fd);
    if (!freopen("/dev/null", "w", stderr)) _exit(127);
    execlp(python(), python(), CHAINRULE_TORCH_WORKER, name(Numbers::device), compiled ? "compiled" : "eager",
           backend::gpu_options().precision == backend::Precision::fp32 ? "fp32" : "tf32", nullptr);
    _exit(127);
  }
  close(to[0]);
  close(from[1]);
  std::signal(SIGPIPE, SIG_IGN);  // that it has ended is seen when it does not answer
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

std::string TorchWorker::ask(const std::string& command) {
  fprintf(to_, "%s\n", command.c_str());
  fflush(to_);
  char line[256];
  return fgets(line, sizeof line, from_) ? line : "";
}

void TorchWorker::make(const Workload& w, int threads) {
  if (ask("make " + w.name + " " + std::to_string(threads)).empty())
    throw Error("PyTorch's process has ended at " + w.name);
}

Timing TorchWorker::time(const Workload& w, double seconds) {
  double median = 0, least = 0;
  long count = 0;
  if (sscanf(ask("time " + std::to_string(seconds)).c_str(), "%lf %lf %ld", &median, &least, &count) != 3)
    throw Error("PyTorch's process has ended in " + w.name);
  auto operations = static_cast<double>(w.operations);
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

// ## Is the machine ours?
//
// Two threads that wait for each other suffer out of proportion when a third program wants one of two cores. So we look at
// how much of the processors' time was neither idle nor ours.
namespace {

struct Clock {
  double total = 0, busy = 0, ours = 0;  // in ticks of 10 ms, of all processors together
};

double ticks_of(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string line;
  std::getline(file, line);
  std::istringstream fields(line.substr(line.rfind(')') + 1));  // the name before it may hold anything
  double user = 0, system = 0;
  std::string skipped;
  for (int i = 3; i < 14; ++i) fields >> skipped;
  fields >> user >> system;
  return user + system;
}

Clock look_at_clock(const TorchWorker* torch) {
  Clock clock;
  std::ifstream file("/proc/stat");
  std::string cpu;
  file >> cpu;
  double ticks;
  for (int i = 0; i < 8 && file >> ticks;
       ++i) {  // user, nice, system, idle, waiting for the disk, interrupts (2), stolen
    clock.total += ticks;
    if (i != 3 && i != 4) clock.busy += ticks;
  }
  clock.ours = ticks_of(getpid()) + (torch ? ticks_of(torch->pid()) : 0);
  return clock;
}

double share_of_others(const Clock& from, const Clock& to) {
  double total = to.total - from.total;
  return total > 0 ? std::max(0.0, (to.busy - from.busy - (to.ours - from.ours)) / total) : 0;
}

// ## How far apart are the processors?
//
// Cores that share a cache hand a number over in some 50 ns; those of two chips in one package need five times as long. A
// virtual machine may find itself on the one or the other pair from one minute to the next, and programs that share much
// between threads are a third slower then. So we let two threads call to and fro.
double round_trip() {
  if (std::thread::hardware_concurrency() < 2) return 0;
  constexpr int kTogether = 10;
  using Time = std::chrono::steady_clock;
  alignas(128) std::atomic<int> there{0};
  alignas(128) std::atomic<int> back{0};
  std::thread echo([&] {
    for (int seen = 0; (seen = there.load(std::memory_order_acquire)) >= 0;)
      back.store(seen, std::memory_order_release);
  });
  double least = HUGE_VAL;
  int call = 0;
  // It is time that ends this: two threads on one processor, as they may be at first, wait for each other's turns.
  for (const auto end = Time::now() + std::chrono::milliseconds(20); Time::now() < end;) {
    const auto begin = Time::now();
    for (int i = 0; i < kTogether; ++i) {
      there.store(++call, std::memory_order_release);
      while (back.load(std::memory_order_acquire) != call) {
      }
    }
    least = std::min(least, std::chrono::duration<double, std::nano>(Time::now() - begin).count() / kTogether);
  }
  there.store(-1, std::memory_order_release);
  echo.join();
  return least;
}

}  // namespace

// ## A row
Row measure(const Workload& w, const Plan& plan, TorchWorker* torch) {
  Row row;
  row.name = w.name, row.group = w.group;
  std::vector<double> samples, their_medians, their_minima;
  Step step;
  row.round_trip = round_trip();
  const Clock begin = look_at_clock(torch);
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
      if (anew) torch->make(w, plan.threads);
      theirs = torch->time(w, plan.seconds);
      their_medians.push_back(theirs.ms);
      their_minima.push_back(theirs.min_ms);
      row.theirs.n += theirs.n;
    };
    // Whoever was second goes first next: A B, B A, A B …
    if (r % 2 == 0) our_turn(), their_turn();
    else their_turn(), our_turn();
    if (torch) row.ratios.push_back(theirs.ms / (ours.ms / static_cast<double>(w.operations)));
  }
  row.others = share_of_others(begin, look_at_clock(torch));
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
