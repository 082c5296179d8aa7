#include "table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <ctime>
#include <nlohmann/json.hpp>

#include "backend/backend.hpp"
#include "book/chapter_state.hpp"
#include "io/atomic_file.hpp"
#include "tensor/error.hpp"

namespace cr::bench {

using json = nlohmann::ordered_json;

// What this library is to reach.
static constexpr double kMean = 2, kLeast = 1.2, kKernel = 1, kTinyMs = 0.2e-3;
static constexpr size_t kTraining = 14;

// A run is quiet if other programs had no more than this of the processors.
static constexpr double kQuiet = 0.05;

// Three digits that count, and no exponent.
static std::string digits(double x) {
  if (x == 0) return "0";
  int before = static_cast<int>(std::floor(std::log10(std::abs(x)))) + 1;
  return fmt::format("{:.{}f}", x, std::clamp(3 - before, 0, 6));
}
static std::string megabytes(int64_t bytes) { return bytes < 0 ? "" : digits(static_cast<double>(bytes) / 1e6); }
static std::string rate(double r, const std::string& unit) { return unit.empty() ? "" : digits(r) + " " + unit; }
static std::string range(const Row& row) {
  return fmt::format("{:.2f} to {:.2f}", row.ratios.front(), row.ratios.back());
}

std::string table_head(bool memory) {
  return fmt::format("{:<16}{:>10}{:>12}   {:<24}{:>14}{:>14}{}\n", "", "ours ms", "PyTorch ms", "times faster (range)",
                     "ours", "PyTorch", memory ? fmt::format("{:>12}{:>12}", "ours MB", "PyTorch MB") : "");
}

std::string table_line(const Row& row, bool memory) {
  bool both = !row.ratios.empty();
  std::string line =
      fmt::format("{:<16}{:>10}{:>12}   {:<24}{:>14}{:>14}{}", row.name, digits(row.ours.ms),
                  both ? digits(row.theirs.ms) : "", both ? fmt::format("{:.2f}  ({})", row.ratio(), range(row)) : "",
                  rate(row.rate, row.unit), both ? rate(row.torch_rate, row.unit) : "",
                  memory ? fmt::format("{:>12}{:>12}", megabytes(row.bytes), megabytes(row.torch_bytes)) : "");
  line.resize(line.find_last_not_of(' ') + 1);
  if (row.others > kQuiet) line += fmt::format("   others: {:.0f} %", row.others * 100);
  return line + "\n";
}

// ## The verdict
namespace {

struct Verdict {
  size_t count = 0;
  double mean = 0;  // geometric
  const Row* least = nullptr;
};

Verdict judge(const std::vector<Row>& rows, const std::string& group) {
  Verdict v;
  double logs = 0;
  for (const Row& row : rows) {
    if (row.group != group || row.ratios.empty()) continue;
    ++v.count;
    logs += std::log(row.ratio());
    if (!v.least || row.ratio() < v.least->ratio()) v.least = &row;
  }
  if (v.count > 0) v.mean = std::exp(logs / static_cast<double>(v.count));
  return v;
}

const char* reached(bool yes) { return yes ? "reached" : "not reached"; }

}  // namespace

std::string summary(const std::vector<Row>& rows) {
  std::string text;
  if (Verdict v = judge(rows, "training"); v.count > 0) {
    text +=
        fmt::format("{} training step{}: {:.2f} times as fast as PyTorch in the geometric mean, {:.2f} at least ({})",
                    v.count, v.count == 1 ? "" : "s", v.mean, v.least->ratio(), v.least->name);
    if (v.count == kTraining)
      text += fmt::format("; {} and {} are to be reached: {}", kMean, kLeast,
                          reached(v.mean >= kMean && v.least->ratio() >= kLeast));
    text += ".\n";
  }
  if (Verdict v = judge(rows, "kernels"); v.count > 0)
    text += fmt::format("{} kernel{}: {:.2f} in the mean, {:.2f} at least ({}); {} is to be reached: {}.\n", v.count,
                        v.count == 1 ? "" : "s", v.mean, v.least->ratio(), v.least->name, kKernel,
                        reached(v.least->ratio() >= kKernel));
  for (const Row& row : rows) {
    if (row.name == "tiny_op")
      text += fmt::format("One operation on a tiny tensor, recorded: {:.2f} µs; {} is to be reached: {}.\n",
                          row.ours.ms * 1e3, kTinyMs * 1e3, reached(row.ours.ms <= kTinyMs));
  }
  double others = 0;
  for (const Row& row : rows) others = std::max(others, row.others);
  if (others > kQuiet)
    text += fmt::format(
        "The machine was not quiet: other programs had up to {:.0f} % of its processors, and then ratios mean little.\n",
        others * 100);
  double nearest = 0, farthest = 0;
  for (const Row& row : rows) {
    if (row.round_trip <= 0 || row.round_trip > 1e4) continue;  // or both threads had one processor
    nearest = nearest > 0 ? std::min(nearest, row.round_trip) : row.round_trip;
    farthest = std::max(farthest, row.round_trip);
  }
  if (farthest > 0)
    text +=
        fmt::format("From one processor to another and back a number took {:.0f} to {:.0f} ns.\n", nearest, farthest);
  std::string hungry;
  bool compared = false;
  for (const Row& row : rows) {
    if (row.bytes < 0 || row.torch_bytes < 0) continue;
    compared = true;
    if (row.bytes > row.torch_bytes) hungry += (hungry.empty() ? "" : ", ") + row.name;
  }
  if (compared)
    text += hungry.empty() ? "No training step takes more memory than PyTorch's.\n"
                           : "More memory than PyTorch's: " + hungry + ".\n";
  return text;
}

// ## On disk
static json timing(const Timing& t) { return {{"ms", t.ms}, {"min_ms", t.min_ms}, {"n", t.n}}; }
static Timing timing(const json& t) { return {t.at("ms"), t.at("min_ms"), t.at("n")}; }

json to_json(const std::vector<Row>& rows, const Plan& plan, const std::string& torch_version) {
  char date[32];
  std::time_t now = std::time(nullptr);
  std::strftime(date, sizeof date, "%Y-%m-%d %H:%M UTC", std::gmtime(&now));
  json results = {{"date", date},
                  {"processor", book::cpu_model()},
                  {"machine", book::machine()},
                  {"device", cr::name(Numbers::device)},
                  {"gpu", backend::on(Numbers::device).machine()},
                  {"threads", plan.threads},
                  {"compiler", book::compiler()},
                  {"torch", torch_version + (plan.compiled ? ", torch.compile" : "")},
                  {"rounds", plan.rounds},
                  {"seconds", plan.seconds},
                  {"rows", json::array()}};
  for (const Row& row : rows) {
    json line = {{"name", row.name}, {"group", row.group}, {"ours", timing(row.ours)}, {"others", row.others}};
    if (row.round_trip > 0) line["round_trip"] = row.round_trip;
    if (!row.ratios.empty()) {
      line["torch"] = timing(row.theirs);
      line["ratio"] = row.ratio();
      line["ratios"] = row.ratios;
    }
    if (!row.unit.empty()) line["unit"] = row.unit, line["rate"] = row.rate, line["torch_rate"] = row.torch_rate;
    if (row.bytes >= 0) line["bytes"] = row.bytes;
    if (row.torch_bytes >= 0) line["torch_bytes"] = row.torch_bytes;
    results["rows"].push_back(line);
  }
  return results;
}

std::vector<Row> from_json(const json& results) try {
  std::vector<Row> rows;
  for (const json& line : results.at("rows")) {
    Row row;
    row.name = line.at("name"), row.group = line.at("group"), row.ours = timing(line.at("ours"));
    if (line.contains("torch"))
      row.theirs = timing(line["torch"]), row.ratios = line.at("ratios").get<std::vector<double>>();
    row.others = line.value("others", 0.0);
    row.round_trip = line.value("round_trip", 0.0);
    row.unit = line.value("unit", "");
    row.rate = line.value("rate", 0.0);
    row.torch_rate = line.value("torch_rate", 0.0);
    row.bytes = line.value("bytes", int64_t{-1});
    row.torch_bytes = line.value("torch_bytes", int64_t{-1});
    rows.push_back(row);
  }
  return rows;
} catch (const json::exception&) {
  throw Error("these are no results of ./run bench --out");
}

// ## On a page
std::string markdown(const json& results) {
  const std::vector<Row> rows = from_json(results);
  if (judge(rows, "training").count != kTraining)
    throw Error(fmt::format("a page wants all {} training steps, beside PyTorch's", kTraining));
  std::string text = fmt::format(
      "`./run bench --memory`, {}: {}, {}, {} threads, {}; PyTorch {}. Median of {} rounds [lowest, highest]; memory is what "
      "a few steps add to the resident set at its largest.\n",
      results.at("date").get<std::string>(), results.at("processor").get<std::string>(),
      results.at("machine").get<std::string>(), results.at("threads").get<int>(),
      results.at("compiler").get<std::string>(), results.at("torch").get<std::string>(),
      results.at("rounds").get<int>());
  for (const char* group : {"training", "kernels"}) {
    bool training = group == std::string("training");
    text += training ? "\n| training step | ours, ms | PyTorch, ms | times as fast | ours, MB | PyTorch, MB |\n"
                     : "\n| kernel | ours, ms | PyTorch, ms | times as fast | ours | PyTorch |\n";
    text += "|---|---:|---:|---:|---:|---:|\n";
    for (const Row& row : rows) {
      if (row.group != group || row.ratios.empty()) continue;
      text += fmt::format("| {} | {} | {} | **{:.2f}** [{:.2f}, {:.2f}] | {} | {} |\n", row.name, digits(row.ours.ms),
                          digits(row.theirs.ms), row.ratio(), row.ratios.front(), row.ratios.back(),
                          training ? megabytes(row.bytes) : rate(row.rate, row.unit),
                          training ? megabytes(row.torch_bytes) : rate(row.torch_rate, row.unit));
    }
  }
  return text + "\n" + summary(rows);
}

void put_between_markers(const std::string& file, const std::string& text) {
  const std::string open = "<!-- bench -->", close = "<!-- /bench -->";
  std::string page = io::read_file(file);
  size_t from = page.find(open), to = page.find(close);
  if (from == std::string::npos || to == std::string::npos || to < from)
    throw Error(fmt::format("{} has no lines {} and {} for the table", file, open, close));
  from += open.size();
  io::write_file(file, page.substr(0, from) + "\n\n" + text + "\n" + page.substr(to));
}

}  // namespace cr::bench
