// What ./run bench shows of its measurements, keeps of them, and writes into the README.
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "catch.hpp"
#include "contains.hpp"
#include "io/atomic_file.hpp"
#include "table.hpp"
#include "tensor/error.hpp"

using namespace cr;
using namespace cr::bench;

static Row row(const std::string& name, const std::string& group, double ours, double ratio) {
  Row r;
  r.name = name, r.group = group;
  r.ours = {ours, ours, 10};
  r.theirs = {ours * ratio, ours * ratio, 10};
  r.ratios = {ratio * 0.5, ratio, ratio * 2};
  return r;
}

static std::vector<Row> training(double least) {
  std::vector<Row> rows;
  for (int i = 0; i < 14; ++i) rows.push_back(row("step_" + std::to_string(i), "training", 2, i == 5 ? least : 2.2));
  return rows;
}

TEST_CASE("the summary has the geometric mean, the least one, and says what is reached") {
  std::vector<Row> rows = {row("a", "training", 1, 1), row("b", "training", 1, 4)};
  CHECK_THAT(summary(rows), ContainsSubstring("2.00 times as fast") && ContainsSubstring("1.00 at least (a)"));
  CHECK_THAT(summary(rows), !ContainsSubstring("reached"));  // that is said of all fourteen
  CHECK_THAT(summary(training(1.3)), ContainsSubstring(": reached"));
  CHECK_THAT(summary(training(1.1)), ContainsSubstring("1.10 at least (step_5)") && ContainsSubstring(": not reached"));
  CHECK_THAT(summary({row("matmul", "kernels", 1, 0.9)}), ContainsSubstring("0.90 at least (matmul)"));
  CHECK(summary({}).empty());
}

TEST_CASE(
    "the summary says whose memory is larger, when the machine was not quiet, and how far its processors are apart") {
  std::vector<Row> rows = training(1.3);
  CHECK_THAT(summary(rows), !ContainsSubstring("memory") && !ContainsSubstring("quiet"));
  rows[0].bytes = 10, rows[0].torch_bytes = 20, rows[3].bytes = 30, rows[3].torch_bytes = 20;
  rows[1].others = 0.25, rows[2].round_trip = 500, rows[3].round_trip = 100;
  CHECK_THAT(summary(rows), ContainsSubstring("More memory than PyTorch's: step_3") &&
                                ContainsSubstring("up to 25 %") && ContainsSubstring("100 to 500 ns"));
}

TEST_CASE("results come back from their file as they were") {
  std::vector<Row> rows = training(1.3);
  rows[2].unit = "GFLOP/s", rows[2].rate = 123, rows[2].torch_rate = 99;
  rows[4].bytes = 5000000, rows[4].torch_bytes = 7000000, rows[4].others = 0.5, rows[4].round_trip = 123;
  rows.push_back(row("ours_alone", "kernels", 1, 1));
  rows.back().ratios.clear(), rows.back().theirs = {};
  nlohmann::ordered_json results = to_json(rows, {.rounds = 3, .threads = 2}, "2.15.0");
  std::vector<Row> back = from_json(nlohmann::ordered_json::parse(results.dump()));
  REQUIRE(back.size() == rows.size());
  CHECK(summary(back) == summary(rows));
  for (size_t i = 0; i < rows.size(); ++i) CHECK(table_line(back[i], true) == table_line(rows[i], true));
  CHECK_THAT(markdown(results), ContainsSubstring("| step_4 | 2.00 | 4.40 | **2.20** [1.10, 4.40] | 5.00 | 7.00 |"));
  CHECK_THAT(markdown(results), ContainsSubstring("PyTorch 2.15.0") && !ContainsSubstring("ours_alone"));
  rows.erase(rows.begin());
  CHECK_THROWS_AS(markdown(to_json(rows, {}, "2.15.0")), Error);  // a page wants all fourteen
  for (const char* other : {"null", "[1]", "{}", R"({"rows": 1})", R"({"rows": [1]})", R"({"rows": [{"name": 1}]})"})
    CHECK_THROWS_AS(markdown(nlohmann::ordered_json::parse(other)), Error);
}

TEST_CASE("the table replaces what stands between its markers, and nothing else") {
  const std::string file = (std::filesystem::temp_directory_path() / "chainrule-bench-readme.md").string();
  io::write_file(file, "before\n<!-- bench -->\nold\n<!-- /bench -->\nafter\n");
  put_between_markers(file, "new\n");
  put_between_markers(file, "newer\n");
  CHECK(io::read_file(file) == "before\n<!-- bench -->\n\nnewer\n\n<!-- /bench -->\nafter\n");
  io::write_file(file, "no markers\n");
  CHECK_THROWS_AS(put_between_markers(file, "new\n"), Error);
  CHECK(io::read_file(file) == "no markers\n");
  std::filesystem::remove(file);
}
