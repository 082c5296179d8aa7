// Tables: what is read is what was written, and what cannot be a table is refused with its place.

#include <cmath>
#include <cstring>
#include <limits>

#include "backend/generator.hpp"
#include "catch.hpp"
#include "contains.hpp"
#include "io/atomic_file.hpp"
#include "io/csv.hpp"
#include "ops/ops.hpp"
#include "temporary_folder.hpp"

using namespace cr;
using namespace cr::io;
using namespace std::string_literals;

namespace {

using Strings = std::vector<std::string>;
using Rows = std::vector<Strings>;

Rows rows(const CsvTable& table) {
  Rows result;
  for (int64_t i = 0; i < table.rows(); ++i) {
    result.emplace_back();
    for (size_t j = 0; j < table.columns().size(); ++j)
      result.back().emplace_back(table.cell(i, static_cast<int64_t>(j)));
  }
  return result;
}

std::string complaint(const std::string& text) {
  try {
    parse_csv(text, {}, "f");
  } catch (const IoError& error) {
    return error.what();
  }
  return "none";
}

}  // namespace

TEST_CASE("quotes, separators and line breaks in cells", "[csv]") {
  const CsvTable t = parse_csv("name,say\nA,\"x, \"\"y\"\"\nz\"\n\"\",B \n");
  CHECK(t.columns() == Strings{"name", "say"});
  CHECK(rows(t) == Rows{{"A", "x, \"y\"\nz"}, {"", "B "}});
  CHECK(t.line(0) == 2);
  CHECK(t.line(1) == 4);
  CHECK(t.strings("say") == Strings{"x, \"y\"\nz", "B "});
  CHECK(t.column("say") == 1);
}

TEST_CASE("the ways in which files end lines, begin and separate", "[csv]") {
  const Rows expected = {{"1", "2"}, {"3", ""}};
  CHECK(rows(parse_csv("a,b\n1,2\n3,\n")) == expected);
  CHECK(rows(parse_csv("a,b\n1,2\n3,")) == expected);
  CHECK(rows(parse_csv("a,b\r\n1,2\r\n3,\r\n")) == expected);
  CHECK(rows(parse_csv("\xef\xbb\xbf\n\na,b\n\n1,2\n\r\n3,\n\n")) == expected);
  CHECK(parse_csv("\xef\xbb\xbf\"a\",b\n").columns() == Strings{"a", "b"});
  CHECK(rows(parse_csv("a\tb,\n1\t2\n3\t\n", {.separator = '\t'})) == expected);
  const CsvTable bare = parse_csv("1;2\n3;\n", {.separator = ';', .header = false});
  CHECK(bare.columns() == Strings{"0", "1"});
  CHECK(rows(bare) == expected);
  CHECK(bare.line(1) == 2);
  CHECK(parse_csv("", {.header = false}).rows() == 0);
  CHECK(parse_csv("a,b").rows() == 0);
  CHECK(rows(parse_csv("a\n\"\"\n\n\"\r\n\"\n")) == Rows{{""}, {"\r\n"}});
}

TEST_CASE("what is no table is refused with its place", "[csv]") {
  CHECK(complaint("") == "f: line 1, column 1: nothing here, not even the columns' names");
  CHECK(complaint("a,b\n1,2\n\n3\n") == "f: line 4, column 1: a row of 1 cells; the first has 2");
  CHECK(complaint("a,b\n1,2,3\n") == "f: line 2, column 1: a row of more cells than the first, which has 2");
  CHECK(complaint("a,b\n1,\"2\n3,4\n") == "f: line 2, column 3: the quote that opens here is never closed");
  CHECK(complaint("a,b\n1,\"2\n3\"4\n") == "f: line 3, column 3: text behind the quote that closes a cell");
  CHECK(complaint("a,b\n1,2\"\n") == "f: line 2, column 4: a quote inside a cell that does not begin with one");
  CHECK(complaint("a,b\n1,\0002"s) == "f: line 2, column 3: a NUL byte");
  CHECK(complaint("a,b\n1,\"\0002"s) == "f: line 2, column 4: a NUL byte");
  CHECK(complaint("a,b\r1,2") == "f: line 1, column 4: a carriage return without a line feed");
  CHECK(complaint("\xef\xbb\xbf"
                  "a\r") == "f: line 1, column 2: a carriage return without a line feed");
  CHECK(complaint(std::string(70000, ',')) == "f: line 1, column 1: more than 65536 columns");
  CHECK_THROWS_WITH(parse_csv("a\n1\n", {.max_bytes = 3}, "f"), "f: 4 bytes, more than 3");
  CHECK_THROWS_AS(parse_csv("", {.separator = '"'}), Error);
  TemporaryFolder folder;
  CHECK_THROWS_WITH(read_csv(folder / "a"), "cannot read " + (folder / "a") + ": No such file or directory");
  write_file(folder / "a", "a\n1\n");
  CHECK_THROWS_AS(read_csv(folder / "a", {.max_bytes = 3}), IoError);
}

TEST_CASE("columns as numbers, or the line of what is none", "[csv]") {
  const CsvTable t = parse_csv("x,y,x\n1,\" -2.5e3 \",0\n+3,0x1,0\n\n,1,0\n5,nan,0\n6,1e999,0\n7,1 2,0\n", {}, "f");
  CHECK_THROWS_WITH(t.numbers("y"), "f: line 3, column \"y\": \"0x1\" is not a finite number");
  CHECK_THROWS_WITH(t.numbers("z"), "f: no column \"z\"; there is \"x\", \"y\", \"x\"");
  CHECK_THROWS_WITH(t.numbers("x"), "f: two columns are called \"x\"");
  CHECK_THROWS_AS(t.cell(0, 3), IndexError);
  CHECK_THROWS_AS(t.cell(-1, 0), IndexError);
  CHECK_THROWS_AS(t.line(6), IndexError);
  for (const char* bad :
       {"", " ", "nan", "inf", "-inf", "1e999", "1 2", "1,5", "--1", "+-1", "+", "1.5x", "0x10", "\n1"}) {
    CAPTURE(bad);
    CHECK_THROWS_WITH(parse_csv("x\n\""s + bad + "\"\n").numbers("x"), ContainsSubstring("line 2, column \"x\""));
  }
  // A message is one line, whatever the cell.
  CHECK_THROWS_WITH(parse_csv("x\n\"\n\x1b" + std::string(100, 'a') + "\"\n", {}, "f").numbers("x"),
                    "f: line 2, column \"x\": \"??" + std::string(58, 'a') + "…\" is not a finite number");

  const Tensor x = parse_csv("x\n1\n\" -2.5e3\t\"\n+3\n.5\n5e-324\n").numbers("x");
  CHECK(x.dtype() == DType::float64);
  REQUIRE(x.shape() == Shape{5});
  const std::vector<double> expected = {1, -2500, 3, 0.5, 5e-324};
  CHECK(std::equal(expected.begin(), expected.end(), x.data<double>()));
  // What is too small for a double is 0, and keeps its sign; what is too large, however it is written, is refused.
  const Tensor tiny = parse_csv("x\n1e-400\n-1e-99999\n0." + std::string(500, '0') + "1\n").numbers("x");
  for (double v : tiny.span<double>()) CHECK(v == 0);
  CHECK(std::signbit(tiny.data<double>()[1]));
  CHECK_THROWS_AS(parse_csv("x\n" + std::string(500, '9') + "\n").numbers("x"), IoError);
}

TEST_CASE("a row of too many cells is refused where they begin", "[csv]") {
  const std::string row(10'000'000, ',');  // kept, its cells would take 40 MB; the quote behind it is never reached
  CHECK_THROWS_WITH(parse_csv("a\n" + row + "\"", {}, "f"),
                    ContainsSubstring("more cells than the first, which has 1"));
  CHECK_THROWS_WITH(parse_csv(row + "\"", {}, "f"), ContainsSubstring("more than 65536 columns"));
}

TEST_CASE("numbers of 16 bits are not written", "[csv]") {
  for (DType type : {DType::float16, DType::bfloat16})
    CHECK_THROWS_WITH(write_csv("none", {"a"}, ones({1, 1}, type)),
                      ContainsSubstring("write_csv: ") && ContainsSubstring(name(type)));
}

TEST_CASE("any cells come back", "[csv]") {
  TemporaryFolder folder;
  Generator g(1);
  const std::string alphabet = ",;\"\r\n \tab\xef\xbb\xbf";
  for (int trial = 0; trial < 300; ++trial) {
    const int64_t width = g.randint(1, 4);
    auto cells = [&] {
      Strings row;
      for (int64_t j = 0; j < width; ++j) {
        row.emplace_back();
        for (int64_t k = g.randint(0, 5); k > 0; --k)
          row.back() += alphabet[static_cast<size_t>(g.randint(0, static_cast<int64_t>(alphabet.size())))];
      }
      return row;
    };
    const Strings columns = cells();
    Rows table;
    for (int64_t i = g.randint(0, 4); i > 0; --i) table.push_back(cells());
    const CsvOptions options{.separator = trial % 2 ? ',' : ';'};
    write_csv(folder / "a", columns, table, options);
    const CsvTable again = read_csv(folder / "a", options);
    REQUIRE(again.columns() == columns);
    REQUIRE(rows(again) == table);
  }
  CHECK(folder.count() == 1);
}

TEST_CASE("numbers come back to the last bit", "[csv]") {
  TemporaryFolder folder;
  using Limits = std::numeric_limits<double>;
  std::vector<double> numbers = {
      0.1, -0.0, 1 / 3., Limits::max(), Limits::lowest(), Limits::min(), Limits::denorm_min(), 1e22};
  Generator g(2);
  while (numbers.size() < 2000) {
    const uint64_t bits = g.next64();
    double value;
    std::memcpy(&value, &bits, 8);
    if (std::isfinite(value)) numbers.push_back(value);
  }
  const Tensor x = from_span(std::span<const double>(numbers), {1000, 2});
  write_csv(folder / "a", {"p", "q"}, x);
  const CsvTable t = read_csv(folder / "a");
  const Tensor p = t.numbers("p"), q = t.numbers("q");
  for (size_t i = 0; i < 1000; ++i) {
    REQUIRE(std::memcmp(&numbers[2 * i], p.data<double>() + i, 8) == 0);
    REQUIRE(std::memcmp(&numbers[2 * i + 1], q.data<double>() + i, 8) == 0);
  }
  // A float32's digits give back the float32, though read as a double.
  const Tensor single = rand({1000}, g);
  write_csv(folder / "a", {"n"}, single.reshape({1000, 1}));
  const Tensor again = read_csv(folder / "a").numbers("n").to(DType::float32);
  CHECK(std::memcmp(single.data<float>(), again.data<float>(), 4000) == 0);
  write_csv(folder / "a", {"n"}, tensor({0.1f, 3.f}).reshape({2, 1}));
  CHECK(read_file(folder / "a") == "n\n0.1\n3\n");
  write_csv(folder / "a", {"n"}, full({1, 1}, INT64_MAX, DType::int64), {.header = false});
  CHECK(read_file(folder / "a") == "9223372036854775807\n");
}

TEST_CASE("a table that cannot be written leaves the old file", "[csv]") {
  TemporaryFolder folder;
  write_file(folder / "a", "old");
  CHECK_THROWS_AS(write_csv(folder / "a", {"x", "y"}, Rows{{"1", "2"}, {"3"}}), ShapeError);
  CHECK_THROWS_AS(write_csv(folder / "a", {}, Rows{}), ShapeError);
  CHECK_THROWS_AS(write_csv(folder / "a", {"x"}, Rows{{"\0"s}}), IoError);
  CHECK_THROWS_AS(write_csv(folder / "a", {"x"}, full({1, 1}, NAN)), IoError);
  CHECK_THROWS_AS(write_csv(folder / "a", {"x"}, zeros({2})), ShapeError);
  CHECK_THROWS_AS(write_csv(folder / "no/a", {"x"}, Rows{}), IoError);
  CHECK(read_file(folder / "a") == "old");
  CHECK(folder.count() == 1);
}

TEST_CASE("a table cut short anywhere is refused or shorter, never wrong", "[csv]") {
  const std::string text = "a,b\r\n1,\"x\r\n\"\"y\"\"\"\r\n2,z\r\n";
  const Rows all = rows(parse_csv(text));
  for (size_t length = 0; length < text.size(); ++length) {
    CAPTURE(length);
    try {
      const Rows some = rows(parse_csv(text.substr(0, length)));
      REQUIRE(some.size() <= all.size());
      // Every row but the last is whole.
      for (size_t i = 0; i + 1 < some.size(); ++i) CHECK(some[i] == all[i]);
    } catch (const IoError&) {
    }
  }
}
