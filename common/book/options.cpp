#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <charconv>
#include <cmath>
#include <cstdlib>
#include <iostream>

#include "backend/gpu_options.hpp"
#include "backend/parallel.hpp"
#include "book/chapter_state.hpp"

#ifndef CHAINRULE_VERSION
#define CHAINRULE_VERSION "unreleased"
#endif

namespace cr::book {

std::string full_name(const ChapterInfo& info) { return fmt::format("{:02}_{}", info.number, info.name); }

// ## From words to values
//
// CLI11 cuts the line into options and words. The words are turned into values here, so that each message says what was
// written and what would do.
static std::string or_else(const std::string& word, const std::vector<std::string>& words) {
  std::string meant = nearest(word, words);
  return meant.empty() ? "" : fmt::format("; did you mean {}?", meant);
}

static int64_t whole_number(const std::string& option, const std::string& word, double lowest, double highest) {
  int64_t value = 0;
  auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
  if (error == std::errc::invalid_argument || end != word.data() + word.size())
    throw UsageError(fmt::format("{}: \"{}\" is not a whole number", option, word));
  if (error != std::errc() || static_cast<double>(value) < lowest || static_cast<double>(value) > highest)
    throw UsageError(fmt::format("{}: {} is not between {:.15g} and {:.15g}", option, word, lowest, highest));
  return value;
}

static double number(const std::string& option, const std::string& word, double lowest, double highest) {
  char* end = nullptr;
  double value = std::strtod(word.c_str(), &end);
  if (word.empty() || *end || !std::isfinite(value))
    throw UsageError(fmt::format("{}: \"{}\" is not a number", option, word));
  if (value < lowest || value > highest) {
    bool open = highest == std::numeric_limits<double>::max();
    throw UsageError(open ? fmt::format("{}: {} is below {:.15g}", option, word, lowest)
                          : fmt::format("{}: {} is not between {:.15g} and {:.15g}", option, word, lowest, highest));
  }
  return value;
}

static Value own_value(const OptionSpec& spec, const Value& standard, const std::string& word) {
  if (std::holds_alternative<int64_t>(standard.is)) {
    constexpr double kMost = 9e18;
    return whole_number("--" + spec.name, word, std::max(spec.lowest, -kMost), std::min(spec.highest, kMost));
  }
  if (std::holds_alternative<double>(standard.is)) return number("--" + spec.name, word, spec.lowest, spec.highest);
  return word;
}

static Device device(const std::string& word) {
  const std::vector<std::string> words{"cpu", "simt", "cuda"};
  for (Device d : {Device::cpu, Device::simt, Device::cuda}) {
    if (word != cr::name(d)) continue;
#if !CHAINRULE_CUDA
    if (d == Device::cuda)
      throw UsageError(
          "--device cuda: this program was built without CUDA; ./run --preset cuda has it, if nvcc is there");
#endif
#if !CHAINRULE_SIMT
    if (d == Device::simt)
      throw UsageError("--device simt: this build has no emulator (it needs Boost.Context); use --device cpu");
#endif
    try {
      empty({1}, DType::float32, d);
    } catch (const Error& e) {
      throw UsageError(fmt::format("--device {}: {}; use --device cpu", word, e.what()));
    }
    return d;
  }
  throw UsageError(fmt::format("--device: \"{}\" is not cpu, simt or cuda{}", word, or_else(word, words)));
}

// What is said about a GPU changes nothing elsewhere, and a word without effect is a mistake.
static void read_gpu_options(const std::string& kernels, const std::string& precision, bool sync, bool fast,
                             Device device) {
  backend::GpuOptions& gpu = backend::gpu_options();
  auto only_cuda = [&](const char* option) {
    if (device != Device::cuda) throw UsageError(fmt::format("{} goes with --device cuda", option));
  };
  auto only_kernels = [&](const char* option) {
    if (device == Device::cpu) throw UsageError(fmt::format("{} goes with --device cuda or simt", option));
  };
  if (sync) {
    only_cuda("--sync");
    gpu.sync = true;
  }
  if (fast) {
    only_kernels("--fast");
    gpu.fast = true;
  }
  if (!kernels.empty()) {
    only_cuda("--kernels");
    if (kernels != "own" && kernels != "library")
      throw UsageError(
          fmt::format("--kernels: \"{}\" is not own or library{}", kernels, or_else(kernels, {"own", "library"})));
    gpu.library = kernels == "library";
  }
  if (precision.empty()) return;
  only_kernels("--precision");
  const std::vector<std::string> names{"fp32", "tf32", "bf16"};
  const auto found = std::find(names.begin(), names.end(), precision);
  if (found == names.end())
    throw UsageError(
        fmt::format("--precision: \"{}\" is not fp32, tf32 or bf16{}", precision, or_else(precision, names)));
  gpu.precision = static_cast<backend::Precision>(found - names.begin());
}

static std::string broken(const std::string& word, const ChapterInfo& info) {
  std::vector<std::string> names;
  std::string list;
  for (const BreakSpec& b : info.breaks) {
    if (b.name == word) return word;
    names.push_back(b.name);
    list += (list.empty() ? "" : ", ") + b.name;
  }
  throw UsageError(fmt::format("--break: there is no \"{}\" here, only {}{}", word, list, or_else(word, names)));
}

// The data that --full reads has to be there before anything is computed.
static void check_data(const ChapterInfo& info, const Options& options) {
  const std::string what = info.data.empty() ? "its data" : info.data;
  for (const std::string& file : info.full_needs) {
    const std::string other = file.ends_with(".gz") ? file.substr(0, file.size() - 3) : file + ".gz";
    const std::string get =
        fmt::format("./run data {} fetches it, or say where it is with --data DIR or in CHAINRULE_DATA",
                    file.substr(0, file.find('/')));
    if (options.data.empty()) throw UsageError(fmt::format("--full needs {}: {}", what, get));
    if (!std::filesystem::exists(options.data / file) && !std::filesystem::exists(options.data / other))
      throw UsageError(fmt::format("--full needs {}: {} is not there; {}", what, (options.data / file).string(), get));
  }
}

static std::string value_text(const PerSize& value) {
  std::string quick = show(value.value[0]), normal = show(value.value[1]), full = show(value.value[2]);
  if (quick == normal && normal == full) return normal.empty() ? "" : fmt::format(" ({})", normal);
  return fmt::format(" ({}; --quick {}, --full {})", normal, quick, full);
}

static std::string footer(const ChapterInfo& info) {
  std::string run = fmt::format("./run {:02}", info.number);
  std::string text = fmt::format("Sizes:\n  {0} --quick   {1}\n  {0}           {2}\n  {0} --full    {3}\n", run,
                                 info.quick, info.normal, info.full);
  if (!info.breaks.empty()) text += "\nBugs to plant and to look at (--break NAME):\n";
  size_t longest = 0;
  for (const BreakSpec& b : info.breaks) longest = std::max(longest, b.name.size());
  for (const BreakSpec& b : info.breaks) text += fmt::format("  {:<{}}  {}\n", b.name, longest, b.what);
  text += fmt::format("\nExamples:\n  {} --seed 2 --out /tmp/try\n", run);
  if (!info.full_needs.empty())
    text += fmt::format("  {} --full --data DIR          DIR holds {} (./run data {} fetches it)\n", run,
                        info.full_needs.front(), info.full_needs.front().substr(0, info.full_needs.front().find('/')));
  if (!info.breaks.empty()) text += fmt::format("  {} --break {}\n", run, info.breaks.front().name);
  return text + "\nExit status: 0 all judged claims hold, 1 one does not, 2 something you can mend, 130 stopped.";
}

bool read_options(int argc, char** argv, const ChapterInfo& info, const std::string& source_folder, Options& options) {
  options.command_line.assign(argv + std::min(argc, 1), argv + argc);
  CLI::App app(fmt::format("Chapter {}: {}\n{}", info.number, info.title, info.question),
               fmt::format("./run {:02}", info.number));
  app.footer(footer(info));
  app.set_help_flag("-h,--help", "Say this");
  bool version = false, quick = false, full = false;
  std::map<std::string, std::string> words;
  auto add = [&](const std::string& option, const std::string& help, const std::string& type) {
    return app.add_option("--" + option, words[option], help)->type_name(type)->take_last();
  };
  app.add_flag("--quick", quick, "A few seconds");
  app.add_flag("--full", full, "The published experiment");
  add("seed", "Where all randomness starts (1)", "N");
  add("device", "cpu, simt or cuda (cpu)", "NAME");
  bool sync = false, fast = false;
  add("kernels", "On cuda, matrix products and convolutions: own, or library, cuBLAS and cuDNN (own)", "NAME");
  add("precision", "On cuda and simt, what the factors of products are rounded to: fp32, tf32, bf16 (fp32)", "NAME");
  app.add_flag("--fast", fast, "On cuda and simt: sums in any order (atomics), so not the same bits every time");
  app.add_flag("--sync", sync, "On cuda: wait for each kernel, so that an error names its own (CHAINRULE_SYNC=1)");
  add("threads", "Threads to compute on; results do not depend on it (all processors)", "N");
  add("data", "Folder with real data (environment: CHAINRULE_DATA; else data/, where ./run data puts it)", "DIR");
  add("out", fmt::format("Where results and figures go (out/{})", full_name(info)), "DIR");
  if (!info.breaks.empty()) add("break", "Plant a bug and show its symptom", "NAME");
  app.add_flag("--resume", options.resume, "Go on from the checkpoint of an interrupted run");
  app.add_flag("--tensorboard", options.tensorboard, "Write what each training shows into OUT/tensorboard as well");
  add("checkpoint-every", "Seconds between checkpoints (30; 0: after every step)", "SECONDS");
  auto* report = add("report", "Run once per seed and write results and figures into this chapter folder", "DIR");
  add("seeds", "How many seeds for --report (1)", "N")->needs(report);
  app.add_flag("--version", version, "Say which version this is");
  for (const OptionSpec& spec : info.options)
    add(spec.name, spec.help + value_text(spec.value),
        std::holds_alternative<std::string>(spec.value.value[0].is) ? "TEXT" : "N")
        ->group("Options of this chapter");

  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    std::cout << app.help() << std::flush;
    return false;
  } catch (const CLI::ExtrasError&) {
    std::string word = app.remaining().empty() ? "?" : app.remaining().front();
    std::vector<std::string> known{"--quick", "--full",    "--resume", "--tensorboard",
                                   "--help",  "--version", "--sync",   "--fast"};
    for (const auto& [option, value] : words) known.push_back("--" + option);
    throw UsageError(fmt::format("{} is not an option here{}", word, or_else(word.substr(0, word.find('=')), known)) +
                     " (--help lists them)");
  } catch (const CLI::ArgumentMismatch& e) {
    std::string what = e.what();
    throw UsageError(what.substr(0, what.find(':')) + " needs a value (see --help)");
  } catch (const CLI::ParseError& e) {
    std::string what = e.what();
    std::replace(what.begin(), what.end(), '\n', ' ');
    throw UsageError(what + " (see --help)");
  }
  if (version) {
    std::cout << fmt::format("chainrule {}, chapter {}: {}\n", CHAINRULE_VERSION, info.number, info.title)
              << std::flush;
    return false;
  }

  auto given = [&](const char* option) { return !words[option].empty() || app.count("--" + std::string(option)) > 0; };
  if (quick && full) throw UsageError("--quick and --full: choose one");
  options.size = quick ? Size::quick : full ? Size::full : Size::normal;
  if (given("seed")) options.seed = static_cast<uint64_t>(whole_number("--seed", words["seed"], 0, 1e15));
  if (given("seeds")) options.seeds = static_cast<int>(whole_number("--seeds", words["seeds"], 1, 1000));
  if (given("checkpoint-every"))
    options.checkpoint_every =
        number("--checkpoint-every", words["checkpoint-every"], 0, std::numeric_limits<double>::max());
  if (!info.breaks.empty() && given("break")) options.broken = broken(words["break"], info);
  for (const OptionSpec& spec : info.options) {
    const Value& standard = spec.value.value[static_cast<size_t>(options.size)];
    options.own.emplace(spec.name, given(spec.name.c_str()) ? own_value(spec, standard, words[spec.name]) : standard);
  }
  if (given("report")) {
    options.report = words["report"];
    if (options.report.empty()) throw UsageError("--report needs the chapter's folder");
    if (!options.broken.empty()) throw UsageError("--report runs the planted bugs itself; leave out --break");
  }

  if (given("data")) {
    options.data = words["data"];
    if (!std::filesystem::is_directory(options.data))
      throw UsageError(fmt::format("--data: {} is not a folder", words["data"]));
  } else if (const char* folder = std::getenv("CHAINRULE_DATA"); folder && *folder) {
    options.data = folder;
  } else if (std::filesystem::path ours = std::filesystem::path(source_folder) / "../../data";
             !source_folder.empty() && std::filesystem::is_directory(ours)) {
    options.data = std::filesystem::weakly_canonical(ours);  // where ./run data puts it
  }
  if (full && !info.full_needs.empty()) check_data(info, options);
  if (given("threads")) backend::set_num_threads(static_cast<int>(whole_number("--threads", words["threads"], 1, 256)));
  if (given("device")) options.device = device(words["device"]);
  read_gpu_options(words["kernels"], words["precision"], sync, fast, options.device);

  options.out = given("out") ? std::filesystem::path(words["out"]) : std::filesystem::path("out") / full_name(info);
  if (options.out.empty()) throw UsageError("--out needs a folder");
  if (!given("out") && !options.broken.empty()) options.out /= "break-" + options.broken;
  return true;
}

}  // namespace cr::book
