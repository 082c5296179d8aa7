// # How fast are we, beside PyTorch?
//
// `measure.hpp` says how it is measured, `workloads.hpp` what, `table.hpp` how it is shown. This is the program around it.
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "backend/backend.hpp"
#include "backend/cpu/cpu_features.hpp"
#include "backend/gpu_options.hpp"
#include "backend/parallel.hpp"
#include "io/atomic_file.hpp"
#include "measure.hpp"
#include "table.hpp"
#include "tensor/error.hpp"

using namespace cr;
using namespace cr::bench;

static const std::string kSource = CHAINRULE_SOURCE_DIR;

struct UsageError : Error {
  using Error::Error;
};

// On a terminal: which workload, which round, and how long it will be.
static void show_progress(const std::string& text) {
  if (isatty(STDERR_FILENO)) fmt::print(stderr, "\r\033[K{}", text);
}

static std::vector<Workload> choose(const std::vector<Workload>& all, const std::vector<std::string>& names,
                                    const std::vector<std::string>& groups) {
  auto has = [](const std::vector<std::string>& list, const std::string& word) {
    return std::find(list.begin(), list.end(), word) != list.end();
  };
  std::vector<Workload> chosen;
  for (const Workload& w : all) {
    if (names.empty() ? has(groups, w.group) : has(names, w.name)) chosen.push_back(w);
  }
  return chosen;
}

// A file's results; whatever is wrong with it can be mended by naming another.
static std::string page_of(const std::string& file) try {
  const auto results = nlohmann::ordered_json::parse(io::read_file(file), nullptr, false);
  return markdown(results);
} catch (const IoError& e) {
  throw UsageError(e.what());
} catch (const Error& e) {
  throw UsageError(fmt::format("{}: {}", file, e.what()));
}

// What is done stays: a result file is written anew, whole, after each line.
static void stopped(int) {
  const char line[] = "\nbench: stopped\n";
  [[maybe_unused]] ssize_t written = write(STDERR_FILENO, line, sizeof line - 1);
  _exit(130);
}

static void run(const std::vector<Workload>& chosen, Plan plan, bool only_ours, const std::string& out) {
  std::unique_ptr<TorchWorker> torch = only_ours ? nullptr : TorchWorker::start(plan.compiled);
  const std::string version = torch ? torch->version : "";
  // A turn begins with setting the stage and two steps to warm up.
  const double turns = static_cast<double>(chosen.size()) * plan.rounds * (torch ? 2 : 1);
  const double seconds = turns * (plan.seconds + 0.1);
  const std::string gpu = backend::on(Numbers::device).machine();
  fmt::print("{}{} threads, {}{}; {} round{} of {} s a side, about {:.0f} {} in all\n\n{}",
             gpu.empty() ? "" : gpu + ", ", plan.threads, backend::cpu::isa_name(backend::cpu::isa()),
             torch ? ", PyTorch " + version + (plan.compiled ? " (torch.compile)" : "")
             : only_ours
                 ? ""
                 : ", no PyTorch: Python cannot import torch, or not for this device (--help says how to get it)",
             plan.rounds, plan.rounds == 1 ? "" : "s", plan.seconds, std::ceil(seconds < 120 ? seconds : seconds / 60),
             seconds <= 1    ? "second"
             : seconds < 120 ? "seconds"
                             : "minutes",
             table_head(plan.memory));

  std::vector<Row> rows;
  for (const Workload& w : chosen) {
    plan.progress = [&](const Workload&, int round) {
      show_progress(
          fmt::format("{} ({} of {}): round {} of {}", w.name, rows.size() + 1, chosen.size(), round + 1, plan.rounds));
    };
    fflush(stdout);
    rows.push_back(measure(w, plan, torch.get()));
    show_progress("");
    fmt::print("{}", table_line(rows.back(), plan.memory));
    if (!out.empty()) io::write_file(out, to_json(rows, plan, version).dump(1) + "\n");
  }
  fmt::print("\n{}", summary(rows));
}

// The device, and how a GPU computes.
static void choose_device(const std::string& device, const std::string& kernels, const std::string& precision,
                          const Plan& plan) try {
  Numbers::device = device == "cuda" ? Device::cuda : device == "simt" ? Device::simt : Device::cpu;
  backend::on(Numbers::device);
  backend::GpuOptions& gpu = backend::gpu_options();
  gpu.library = kernels == "library";
  gpu.precision = precision == "tf32"   ? backend::Precision::tf32
                  : precision == "bf16" ? backend::Precision::bf16
                                        : backend::Precision::fp32;
  if (Numbers::device != Device::cuda && gpu.library) throw UsageError("--kernels library goes with --device cuda");
  if (Numbers::device == Device::cpu && gpu.precision != backend::Precision::fp32)
    throw UsageError("--precision goes with --device cuda or simt");
  if (Numbers::device != Device::cpu && plan.memory)
    throw UsageError("--memory measures the processor's memory; leave it out with --device " + device);
} catch (const DeviceError& e) {
  throw UsageError(fmt::format("--device {}: {}", device, e.what()));
}

// Better to fail now than after the first minute: CHAINRULE_THREADS and CHAINRULE_ISA are read here, and a file can be begun.
static void set_up(Plan& plan, bool threads_given, const std::string& out) try {
  if (threads_given) backend::set_num_threads(plan.threads);
  plan.threads = backend::num_threads();
  backend::cpu::isa();
  if (!out.empty()) io::AtomicFile probe(out);
} catch (const Error& e) {
  throw UsageError(e.what());
}

int main(int argc, char** argv) try {
  std::signal(SIGINT, stopped);
  std::vector<Workload> all = workloads();
  for (Workload& w : kernels()) all.push_back(std::move(w));
  std::vector<std::string> known;
  for (const Workload& w : all) known.push_back(w.name);

  std::vector<std::string> names, groups{"training", "kernels"};
  Plan plan;
  bool only_ours = false, list = false, help = false;
  std::string out, readme, memory_of, device = "cpu", kernel_choice = "own", precision = "fp32";
  CLI::App app;
  app.set_help_flag();  // the page is in usage.txt, where ./run finds it before anything is built
  app.add_flag("-h,--help", help);
  app.add_option("NAME", names);
  app.add_option("--groups", groups)->check(CLI::IsMember({"training", "kernels", "more"}));
  app.add_option("--rounds", plan.rounds)->check(CLI::Range(1, 1000));
  app.add_option("--seconds", plan.seconds)->check(CLI::Range(0.001, 600.0));
  app.add_option("--threads", plan.threads)->check(CLI::Range(0, 256));
  app.add_flag("--memory", plan.memory);
  app.add_option("--device", device)->check(CLI::IsMember({"cpu", "simt", "cuda"}));
  app.add_option("--kernels", kernel_choice)->check(CLI::IsMember({"own", "library"}));
  app.add_option("--precision", precision)->check(CLI::IsMember({"fp32", "tf32", "bf16"}));
  app.add_flag("--compiled", plan.compiled);
  app.add_flag("--only-ours", only_ours);
  app.add_option("--out", out);
  app.add_option("--readme", readme);
  app.add_flag("--list", list);
  app.add_option("--memory-of", memory_of);  // what --memory starts for each workload
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    throw UsageError(fmt::format("{} (./run bench --help)", e.what()));
  }
  for (const std::string& name : names) {
    if (std::find(known.begin(), known.end(), name) == known.end())
      throw UsageError(fmt::format("there is no {} to time (./run bench --list)", name));
  }
  if (!std::isfinite(plan.seconds)) throw UsageError("--seconds: not a number (./run bench --help)");

  if (help) {
    fmt::print("{}", io::read_file(kSource + "/tests/bench/usage.txt"));
  } else if (list) {
    for (const Workload& w : all) fmt::print("{:<9} {:<16} {}\n", w.group, w.name, w.what);
  } else if (!readme.empty()) {
    if (!names.empty()) throw UsageError("--readme measures nothing, and takes no names (./run bench --help)");
    put_between_markers(kSource + "/README.md", page_of(readme));
  } else {
    choose_device(device, kernel_choice, precision, plan);
    set_up(plan, app.count("--threads") > 0, out);
    if (!memory_of.empty()) {
      for (const Workload& w : choose(all, {memory_of}, {})) fmt::print("{}\n", measure_memory(w));
    } else {
      run(choose(all, names, groups), plan, only_ours, out);
    }
  }
  return 0;
} catch (const UsageError& e) {
  fmt::print(stderr, "bench: {}\n", e.what());
  return 2;
} catch (const std::exception& e) {
  fmt::print(stderr, "bench: {}\n", e.what());
  return 1;
}
