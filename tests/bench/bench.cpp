// # How fast are we, beside PyTorch?
//
// Each workload is timed here and, if Python can import torch, in `torch_worker.py`, in turn: a little of ours, a little
// of theirs, five rounds. Machines drift by a factor of two within minutes, so a ratio means something only between
// neighbours in time; the table shows the median ratio of the rounds and its spread.
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>

#include "backend/cpu/cpu_features.hpp"
#include "backend/parallel.hpp"
#include "tensor/error.hpp"
#include "workloads.hpp"

using namespace cr;
using cr::bench::Workload;

namespace {

// ## Timing
struct Timing {
  double ms = 0, min_ms = 0;  // median and smallest over the samples
  int64_t n = 0;              // samples
};

Timing summarize(std::vector<double> samples) {
  if (samples.empty()) return {};
  std::sort(samples.begin(), samples.end());
  return {samples[samples.size() / 2], samples[0], static_cast<int64_t>(samples.size())};
}

double milliseconds(std::chrono::steady_clock::duration d) {
  return std::chrono::duration<double, std::milli>(d).count();
}

// Samples of one step each, for `seconds`, after a short warm-up.
std::vector<double> sample(const std::function<void()>& step, double seconds, int64_t operations) {
  using Clock = std::chrono::steady_clock;
  for (int i = 0; i < 3; ++i) step();
  std::vector<double> samples;
  for (auto start = Clock::now(), t = start; milliseconds(t - start) < seconds * 1e3 || samples.empty();) {
    step();
    auto now = Clock::now();
    samples.push_back(milliseconds(now - t) / static_cast<double>(operations));
    t = now;
  }
  return samples;
}

// ## The other side
//
// A Python process that answers each line `NAME SECONDS THREADS` with one line `median min count`.
class TorchWorker {
 public:
  static std::unique_ptr<TorchWorker> start(std::string& why_not) {
    const char* python = std::getenv("CHAINRULE_PYTHON");
    int to[2], from[2];
    if (pipe(to) != 0 || pipe(from) != 0) return nullptr;
    pid_t pid = fork();
    if (pid == 0) {
      dup2(to[0], 0);
      dup2(from[1], 1);
      for (int fd : {to[0], to[1], from[0], from[1]}) close(fd);
      if (!freopen("/dev/null", "w", stderr)) _exit(127);
      execlp(python ? python : "python3", python ? python : "python3", CHAINRULE_TORCH_WORKER, nullptr);
      _exit(127);
    }
    close(to[0]);
    close(from[1]);
    std::unique_ptr<TorchWorker> worker(new TorchWorker(pid, fdopen(to[1], "w"), fdopen(from[0], "r")));
    char line[256];
    if (pid > 0 && fgets(line, sizeof line, worker->from_)) {
      worker->version = std::string(line, strcspn(line, "\n"));
      return worker;
    }
    why_not = "Python cannot import torch";
    return nullptr;
  }
  TorchWorker(const TorchWorker&) = delete;
  ~TorchWorker() {
    fclose(to_);  // the end of its input is the end of its work
    fclose(from_);
    if (pid_ > 0) waitpid(pid_, nullptr, 0);
  }

  Timing time(const std::string& name, double seconds, int threads) {
    fprintf(to_, "%s %g %d\n", name.c_str(), seconds, threads);
    fflush(to_);
    char line[256];
    Timing t;
    if (!fgets(line, sizeof line, from_) || sscanf(line, "%lf %lf %ld", &t.ms, &t.min_ms, &t.n) != 3) return {};
    return t;
  }

  std::string version;

 private:
  TorchWorker(pid_t pid, FILE* to, FILE* from) : pid_(pid), to_(to), from_(from) {}
  pid_t pid_;
  FILE *to_, *from_;
};

struct Row {
  Timing ours, theirs;
  std::vector<double> ratios;  // theirs / ours, a round each, sorted
};

Row measure(const Workload& w, double seconds, int threads, TorchWorker* torch) {
  constexpr int kRounds = 5;
  Row row;
  auto step = w.make();
  std::vector<double> samples, their_medians, their_minima;
  for (int r = 0; r <= kRounds; ++r) {  // round 0 warms up and does not count
    std::vector<double> round = sample(step, seconds / kRounds, w.operations);
    if (torch) {
      Timing t = torch->time(w.name, seconds / kRounds, threads);
      if (t.n > 0 && r > 0) {
        their_medians.push_back(t.ms);
        their_minima.push_back(t.min_ms);
        row.theirs.n += t.n;
        row.ratios.push_back(t.ms / summarize(round).ms);
      }
    }
    if (r > 0) samples.insert(samples.end(), round.begin(), round.end());
  }
  row.ours = summarize(samples);
  if (!their_medians.empty()) {
    row.theirs.ms = summarize(their_medians).ms;
    row.theirs.min_ms = summarize(their_minima).min_ms;
  }
  std::sort(row.ratios.begin(), row.ratios.end());
  return row;
}

}  // namespace

int main(int argc, char** argv) try {
  std::vector<Workload> all = bench::workloads();
  std::vector<std::string> names;
  double seconds = 2;
  int threads = 0;
  bool only_ours = false;
  std::string json_file;
  CLI::App app(
      "Times training steps and operations of this library, beside PyTorch's if Python can import torch\n"
      "(python3 -m venv venv && venv/bin/pip install torch, then CHAINRULE_PYTHON=venv/bin/python ./run bench).\n"
      "Prints a table, then one JSON line per workload: median and smallest milliseconds over n samples.");
  std::vector<std::string> known;
  for (const Workload& w : all) known.push_back(w.name);
  app.add_option("NAME", names, "workloads to time; all if none is named")->check(CLI::IsMember(known));
  app.add_option("--seconds", seconds, "time for each workload and side")
      ->check(CLI::Range(0.01, 600.0))
      ->capture_default_str();
  app.add_option("--threads", threads, "threads for both sides; 0: one a processor")
      ->check(CLI::Range(0, 256))
      ->capture_default_str();
  app.add_flag("--only-ours", only_ours, "leave PyTorch out");
  app.add_option("--json", json_file, "write the JSON lines to this file instead");
  std::string list;
  for (const Workload& w : all)
    list += "  " + w.name + std::string(14 - std::min<size_t>(w.name.size(), 13), ' ') + w.what + "\n";
  app.footer("Workloads:\n" + list);
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp& e) {
    return app.exit(e);
  } catch (const CLI::ParseError& e) {
    fprintf(stderr, "bench: %s (--help lists the options and workloads)\n", e.what());
    return 2;
  }

  std::ofstream json;
  if (!json_file.empty()) {
    json.open(json_file);
    if (!json) {
      fprintf(stderr, "bench: cannot write %s\n", json_file.c_str());
      return 2;
    }
  }
  backend::set_num_threads(threads);
  std::string why_not = "left out";
  std::unique_ptr<TorchWorker> torch;
  if (!only_ours) torch = TorchWorker::start(why_not);
  printf("%d threads, %s%s%s\n\n", backend::num_threads(), backend::cpu::isa_name(backend::cpu::isa()),
         torch ? ", PyTorch " : "; PyTorch: ", torch ? torch->version.c_str() : why_not.c_str());
  printf("%-13s %12s %12s %12s %12s   %s\n", "", "ours ms", "min", "PyTorch ms", "min",
         "times faster (median, range of 5 rounds)");

  std::string lines;
  for (const Workload& w : all) {
    if (!names.empty() && std::find(names.begin(), names.end(), w.name) == names.end()) continue;
    Row row = measure(w, seconds, backend::num_threads(), torch.get());
    printf("%-13s %12.5g %12.5g", w.name.c_str(), row.ours.ms, row.ours.min_ms);
    if (!row.ratios.empty()) {
      printf(" %12.5g %12.5g   %.2f  (%.2f to %.2f)", row.theirs.ms, row.theirs.min_ms,
             row.ratios[row.ratios.size() / 2], row.ratios.front(), row.ratios.back());
    }
    printf("\n");
    fflush(stdout);
    nlohmann::json line = {{"name", w.name}, {"ms", row.ours.ms}, {"min_ms", row.ours.min_ms}, {"n", row.ours.n}};
    if (!row.ratios.empty()) {
      line["torch_ms"] = row.theirs.ms;
      line["torch_min_ms"] = row.theirs.min_ms;
      line["ratio"] = row.ratios[row.ratios.size() / 2];
      line["ratio_range"] = {row.ratios.front(), row.ratios.back()};
    }
    lines += line.dump() + "\n";
  }
  if (json.is_open()) {
    json << lines;
    json.close();
    if (!json) throw Error("cannot write " + json_file);
  } else {
    printf("\n%s", lines.c_str());
  }
  return 0;
} catch (const Error& e) {
  fprintf(stderr, "bench: %s\n", e.what());
  return 2;
}
