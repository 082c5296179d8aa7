#include <fmt/format.h>
#include <sys/resource.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "backend/cpu/cpu_features.hpp"
#include "backend/parallel.hpp"
#include "book/chapter_state.hpp"
#include "book/sha256.hpp"

namespace cr::book {

using json = nlohmann::ordered_json;

std::string cpu_model() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    size_t colon = line.find(": ");
    if (colon != std::string::npos && line.starts_with("model name")) return line.substr(colon + 2);
  }
  return "unknown processor";
}

std::string compiler() {
#if defined(__clang__)
  return fmt::format("clang++ {}.{}", __clang_major__, __clang_minor__);
#elif defined(__GNUC__)
  return fmt::format("g++ {}.{}", __GNUC__, __GNUC_MINOR__);
#else
  return "another compiler";
#endif
}

// "2 cores, AVX-512"
std::string machine() {
  using backend::cpu::Isa;
  Isa isa = backend::cpu::isa();
  unsigned cores = std::max(1u, std::thread::hardware_concurrency());
  return fmt::format("{} core{}, {}", cores, cores == 1 ? "" : "s",
                     isa == Isa::avx512 ? "AVX-512"
                     : isa == Isa::avx2 ? "AVX2"
                                        : "no vector extensions");
}

// JSON knows neither NaN nor infinity; `text` tells them apart.
static json number(double value) { return std::isfinite(value) ? json(value) : json(nullptr); }

static json cell(const Value& value) {
  if (const auto* d = std::get_if<double>(&value.is)) return std::isfinite(*d) ? json(*d) : json(show(*d));
  return std::visit([](const auto& v) { return json(v); }, value.is);
}

std::string results_json(const ChapterState& state) {
  const Options& o = state.options;
  rusage usage = {};
  getrusage(RUSAGE_SELF, &usage);
  json own = json::object(), claims = json::array(), checks = json::array(), tables = json::array(),
       figures = json::array();
  for (const OptionSpec& spec : state.info.options) own[spec.name] = cell(o.own.at(spec.name));
  for (const Claim& c : state.claims) {
    json claim = {{"id", c.id},
                  {"sentence", c.sentence},
                  {"value", number(c.value)},
                  {"text", c.text()},
                  {"bound", c.bound.text(c.unit)},
                  {"kind", name(c.kind)},
                  {"judged", c.judged},
                  {"passed", c.passed},
                  {"at", c.at},
                  {"unit", c.unit},
                  {"digits", c.digits()}};
    if (!c.symptom_of.empty()) claim["symptom_of"] = c.symptom_of;
    claims.push_back(claim);
  }
  for (const Check& c : state.checks)
    checks.push_back({{"name", c.name}, {"by_hand", c.by_hand}, {"library", c.library}, {"passed", c.passed}});
  for (const TableData& t : state.tables) {
    json rows = json::array();
    for (const auto& row : t.rows) {
      json cells = json::array();
      for (const Value& value : row) cells.push_back(cell(value));
      rows.push_back(cells);
    }
    tables.push_back({{"columns", t.columns}, {"rows", rows}});
  }
  for (const auto& f : state.drawn)
    figures.push_back({{"id", f->id}, {"caption", f->caption}, {"file", "figures/" + f->id + ".svg"}});

  json results = {{"chapter", full_name(state.info)},
                  {"size", name(o.size)},
                  {"seed", o.seed},
                  {"break", o.broken},
                  {"options", own},
                  {"machine", machine()},
                  {"cpu", cpu_model()},
                  {"compiler", compiler()},
                  {"isa", backend::cpu::isa_name(backend::cpu::isa())},
                  {"threads", backend::num_threads()},
                  {"device", cr::name(o.device)},
                  {"seconds", std::round(state.seconds() * 100) / 100},
                  {"peak_mb", usage.ru_maxrss / 1024},
                  {"data", o.size == Size::full ? state.info.data : ""},
                  {"headline", state.info.headline},
                  {"source_hash", source_hash(state.source_folder)},
                  {"claims", claims},
                  {"checks", checks},
                  {"tables", tables},
                  {"figures", figures},
                  {"skipped", state.skipped}};
  return results.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}

}  // namespace cr::book
