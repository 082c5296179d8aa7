// # The report
//
// `--report FOLDER --seeds N` runs the same program once per seed, in processes of their own, and writes what came out
// into the chapter's folder: every seed's values, the first seed's figures, and the table in its README. No number on a
// page is typed by hand.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "book/chapter_state.hpp"
#include "book/process.hpp"
#include "book/sha256.hpp"
#include "io/atomic_file.hpp"

namespace cr::book {

using json = nlohmann::ordered_json;

static constexpr std::string_view kOpen = "<!-- results -->", kClose = "<!-- /results -->";

// The command line of one run: ours, without what is about the report.
static std::vector<std::string> run_arguments(const Options& options) {
  std::vector<std::string> kept;
  const auto& words = options.command_line;
  for (size_t i = 0; i < words.size(); ++i) {
    std::string option = words[i].substr(0, words[i].find('='));
    if (option == "--resume") continue;
    if (option == "--report" || option == "--seeds" || option == "--seed" || option == "--out") {
      if (words[i] == option) ++i;
      continue;
    }
    kept.push_back(words[i]);
  }
  return kept;
}

static double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  size_t n = values.size();
  return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

// Every seed's value of one claim, beside the first seed's. It has passed when every seed's has.
static void gather(json& claim, const std::vector<json>& runs) {
  json values = json::array();
  std::vector<double> finite;
  bool passed = true;
  for (const json& run : runs) {
    json value = nullptr;
    bool held = false;
    for (const json& other : run["claims"]) {
      if (other["id"] == claim["id"]) value = other["value"], held = other["passed"].get<bool>();
    }
    if (value.is_number()) finite.push_back(value.get<double>());
    passed = passed && held;
    values.push_back(value);
  }
  claim["passed"] = passed;
  claim["values"] = values;
  if (finite.empty()) return;
  int digits = claim.value("digits", 4);
  std::string unit = claim.value("unit", "");
  double low = *std::min_element(finite.begin(), finite.end()), high = *std::max_element(finite.begin(), finite.end());
  claim["median"] = median(finite);
  claim["min"] = low;
  claim["max"] = high;
  std::string middle = with_unit(median(finite), digits, unit), least = with_unit(low, digits, ""),
              most = with_unit(high, digits, "");
  if (unit == "%") least = show(low * 100, digits), most = show(high * 100, digits);
  claim["measured"] = least == most ? middle : fmt::format("{} [{}, {}]", middle, least, most);
}

static std::string cell(std::string text) {
  for (size_t at = 0; (at = text.find('|', at)) != std::string::npos; at += 2) text.insert(at, "\\");
  return text;
}

// The README's table for one size.
static std::string markdown(const ChapterInfo& info, const json& r) {
  const json& seeds = r["seeds"];
  bool full = r["size"] == "full";
  std::string text = fmt::format("`./run report {:02}{}{}`: ", info.number,
                                 full                   ? " --full"
                                 : r["size"] == "quick" ? " --quick"
                                                        : "",
                                 seeds.size() > 1 ? fmt::format(" --seeds {}", seeds.size()) : "");
  text += seeds.size() > 1 ? fmt::format("{} seeds, median [lowest, highest]", seeds.size()) : "one seed";
  text += fmt::format("; {}, {} thread{}, {}; {:.3g} s and {} MB per run{}.\n\n", r["machine"].get<std::string>(),
                      r["threads"].get<int>(), r["threads"] == 1 ? "" : "s", r["compiler"].get<std::string>(),
                      r["seconds"].get<double>(), r["peak_mb"].get<int64_t>(),
                      r["data"] == "" ? "" : "; data: " + r["data"].get<std::string>());
  text += "| claim | measured | bound | kind |\n|---|---|---|---|\n";
  for (const json& c : r["claims"]) {
    if (!c["judged"].get<bool>()) continue;
    std::string kind = c.contains("symptom_of")
                           ? fmt::format("symptom of `--break {}`", c["symptom_of"].get<std::string>())
                           : c["kind"].get<std::string>();
    text += fmt::format("| {} (`{}`) | {}{} | {} | {} |\n", cell(c["sentence"].get<std::string>()),
                        c["id"].get<std::string>(), c.value("measured", c["text"].get<std::string>()),
                        c["passed"].get<bool>() ? "" : " **missed**", c["bound"].get<std::string>(), kind);
  }
  return text;
}

// The README with a new table between its two markers.
static std::string with_table(const std::string& readme, const std::string& table) {
  size_t open = readme.find(kOpen) + kOpen.size(), close = readme.find(kClose, open);
  return readme.substr(0, open) + "\n" + table + readme.substr(close);
}

int make_report(const ChapterInfo& info, const Options& options, const std::string& source_folder,
                const char* program) {
  namespace fs = std::filesystem;
  const std::string size = name(options.size), hash = source_hash(source_folder);

  // Whatever could stop us at the end is looked at before the first run.
  const fs::path readme_file = options.report / "README.md";
  if (!fs::exists(readme_file)) throw UsageError(fmt::format("--report: {} is not there", readme_file.string()));
  std::string readme = io::read_file(readme_file.string());
  size_t open = readme.find(kOpen);
  if (open == std::string::npos || readme.find(kClose, open) == std::string::npos)
    throw UsageError(
        fmt::format("--report: {} has no lines {} and {} for the table", readme_file.string(), kOpen, kClose));
  if (hash.empty()) throw UsageError("--report: this program does not know where its sources are; build it with CMake");
  if (find_program("gnuplot").empty()) throw UsageError("--report: figures need gnuplot (apt-get install gnuplot-nox)");
  std::error_code error;
  const fs::path work = options.out / ("report-" + size);
  fs::create_directories(work, error);
  if (!error) fs::create_directories(options.report / "figures", error);
  if (error) throw UsageError(fmt::format("--report: cannot write: {}", error.message()));
  const FolderLock lock(work.string());
  if (!lock.ours()) throw UsageError(fmt::format("--report: another one is being made in {}", work.string()));

  char self[4096];
  ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
  const std::string binary = length > 0 ? std::string(self, static_cast<size_t>(length)) : program;

  // One run in a folder of its own. Under --resume a run that has ended is not made again, and one that was stopped is
  // gone on with. Returns its exit status.
  auto run = [&](const std::string& what, uint64_t seed, const std::string& broken, json& results) {
    fs::path out = work / what, file = out / ("results-" + size + ".json");
    if (options.resume && fs::exists(file)) {
      results = json::parse(io::read_file(file.string()), nullptr, false);
      if (results.is_object() && results.value("source_hash", "") == hash) return 0;
    }
    fs::create_directories(out);
    fs::remove(file, error);
    std::vector<std::string> command{binary};
    for (const std::string& word : run_arguments(options)) command.push_back(word);
    command.insert(command.end(), {"--seed", std::to_string(seed), "--out", out.string()});
    if (!broken.empty()) command.insert(command.end(), {"--break", broken});
    if (options.resume && fs::exists(out / "checkpoint")) command.push_back("--resume");
    Finished done = run_process(command, {}, (out / "log.txt").string());
    if (done.status > 1) return done.status;
    results = json::parse(io::read_file(file.string()));
    put(fmt::format("{}: {} in {:.1f} s\n", what, done.status == 0 ? "all judged claims hold" : "a claim does not hold",
                    results["seconds"].get<double>()));
    return done.status;
  };
  auto give_up = [&](const std::string& what, int status) {
    clear_progress_line();
    std::fprintf(stderr, "%s: %s ended with status %d; its output is in %s; --resume goes on from here\n",
                 full_name(info).c_str(), what.c_str(), status, (work / what / "log.txt").c_str());
    return interrupted() ? 128 + interrupted() : status;
  };

  std::vector<json> runs;
  json seeds = json::array();
  for (int k = 0; k < options.seeds; ++k) {
    uint64_t seed = options.seed + static_cast<uint64_t>(k);
    std::string what = fmt::format("seed-{}", seed);
    json results;
    int status = run(what, seed, "", results);
    if (status > 1) return give_up(what, status);
    runs.push_back(results);
    seeds.push_back(seed);
  }
  json report = runs[0];
  report["seeds"] = seeds;
  for (json& claim : report["claims"]) gather(claim, runs);
  std::vector<fs::path> pictures;
  for (const json& figure : report["figures"])
    pictures.push_back(work / fmt::format("seed-{}", options.seed) / figure["file"].get<std::string>());

  // Each planted bug is run once, for its symptom and for the figures that only it draws.
  if (options.size == Size::normal) {
    for (const BreakSpec& b : info.breaks) {
      std::string what = "break-" + b.name;
      json results;
      int status = run(what, options.seed, b.name, results);
      if (status > 1) return give_up(what, status);
      for (json& claim : results["claims"]) {
        if (!claim["judged"].get<bool>()) continue;
        auto& claims = report["claims"];
        claims.erase(
            std::remove_if(claims.begin(), claims.end(), [&](const json& c) { return c["id"] == claim["id"]; }),
            claims.end());
        gather(claim, {results});
        claims.push_back(claim);
      }
      for (const json& figure : results["figures"]) {
        const auto& known = report["figures"];
        if (std::any_of(known.begin(), known.end(), [&](const json& f) { return f["id"] == figure["id"]; })) continue;
        report["figures"].push_back(figure);
        pictures.push_back(work / what / figure["file"].get<std::string>());
      }
    }
  }

  for (const fs::path& picture : pictures)
    io::write_file((options.report / "figures" / picture.filename()).string(), io::read_file(picture.string()));
  io::write_file((options.report / fmt::format("results-{}.json", size)).string(), report.dump(2) + "\n");

  std::string table;
  for (Size each : {Size::normal, Size::full}) {
    fs::path file = options.report / fmt::format("results-{}.json", name(each));
    if (!fs::exists(file)) continue;
    json r = json::parse(io::read_file(file.string()), nullptr, false);
    if (r.is_object() && r.contains("seeds")) table += "\n" + markdown(info, r);
  }
  io::write_file(readme_file.string(), with_table(readme, table + "\n"));

  bool all = std::all_of(report["claims"].begin(), report["claims"].end(),
                         [](const json& c) { return !c["judged"].get<bool>() || c["passed"].get<bool>(); });
  put(fmt::format("{}: results, {} figure{} and the README's table are written; {}\n", options.report.string(),
                  pictures.size(), pictures.size() == 1 ? "" : "s",
                  all ? "every judged claim holds for every seed" : "a claim does not hold for every seed"));
  return all ? 0 : 1;
}

}  // namespace cr::book
