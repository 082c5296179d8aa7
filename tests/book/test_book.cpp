// The pieces: bounds, text, the hash, figures, progress.
#include <unistd.h>
#include <cmath>
#include <cstdio>
#include <fstream>

#include "book/chapter_state.hpp"
#include "book/process.hpp"
#include "book/sha256.hpp"
#include "catch.hpp"
#include "chapter_test.hpp"

using namespace cr;
using namespace cr::book;

TEST_CASE("bounds hold at their ends, and never for NaN") {
  CHECK(at_least(0.98).holds(0.98));
  CHECK_FALSE(at_least(0.98).holds(0.9799));
  CHECK(at_most(1).holds(1));
  CHECK(cr::near(100, 0.01).holds(101));
  CHECK_FALSE(cr::near(100, 0.01).holds(101.1));
  CHECK(cr::near(-100, 0.01).holds(-99));
  CHECK(cr::near(0, 0.1).holds(-0.1));
  CHECK(between(1, 2).holds(2));
  CHECK_FALSE(between(1, 2).holds(2.1));
  double nan = std::nan("");
  for (Bound b : {at_least(0), at_most(0), cr::near(0, 1), between(-1, 1)}) CHECK_FALSE(b.holds(nan));
  CHECK(at_least(0.98).text("%") == "≥ 98 %");
  CHECK(cr::near(1491.5, 1e-3).text() == "1491.5 ± 0.1 %");
  CHECK(cr::near(2, 1e-10).text() == "2 ± 1e-10 of it");
  CHECK(cr::near(0, 1e-10).text() == "0 ± 1e-10");
  CHECK(between(0.3, 0.5).text("s") == "0.3 … 0.5 s");
  CHECK(Claim{"", "", "", "", "", 1491.4789, cr::near(1491.5, 1e-3), identity}.text() == "1491.5");
}

TEST_CASE("numbers and words are shown as one would write them") {
  CHECK(show(1491.48) == "1491");
  CHECK(show(123456.7) == "123457");
  CHECK(show(0.000012345) == "1.234e-05");
  CHECK(show(-2.5) == "-2.5");
  CHECK(show(Value(int64_t{1} << 40)) == "1099511627776");
  CHECK(show(Value(true)) == "yes");
  CHECK(fill("{} of {:.2f} {}", {1, 2.0, "x"}) == "1 of 2.00 x");
  CHECK_THROWS_AS(fill("{} {}", {1}), std::logic_error);
  CHECK(display_width("ŷ = y\xCC\x82") == 5);
  CHECK(wrap("one two three", 7) == "one two\nthree");
  CHECK(wrap("one two three", 9, "- ", "  ") == "- one two\n  three");
  CHECK(wrap("a\nb", 9) == "a\nb");
  CHECK(nearest("sede", {"seed", "size"}) == "seed");
  CHECK(nearest("forgoten", {"forgotten-sign", "mute"}) == "forgotten-sign");
  CHECK(nearest("xyz", {"seed", "size"}).empty());
}

TEST_CASE("sha256 agrees with the standard's examples, and the sources' hash with the shell's") {
  CHECK(sha256("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK(sha256("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(sha256(std::string(1000, 'a')) == "41edece42d63e8d9bf515a9ba6932e1c20cbc9f5a5d134645adb5db1b9737ea3");
  CHECK(source_hash("/nowhere").empty());
  test::Folder folder;
  std::ofstream(folder.path() / "b.hpp") << "// prose\n\nint b;  // code\n  \t// prose\n";
  std::ofstream(folder.path() / "a.cpp") << "int a;";
  std::ofstream(folder.path() / "test.cpp") << "int t;";
  CHECK(source_hash(folder.path()) == sha256("== a.cpp\nint a;\n== b.hpp\nint b;  // code\n"));
}

static Figure make(std::shared_ptr<FigureData>& data) {
  data = std::make_shared<FigureData>();
  data->id = "test";
  data->caption = "less < more & \"quotes\"";
  return Figure(data);
}

TEST_CASE("figures refuse sizes that do not fit, in plain words") {
  std::shared_ptr<FigureData> data;
  CHECK_THROWS_WITH(make(data).line({1, 2}, {1, 2, 3}, "loss"), "figure test: loss: 2 x values but 3 y values");
  CHECK_THROWS_WITH(make(data).bar({"a"}, {1, 2}), "figure test: 1 bars but 2 values");
  CHECK_THROWS_AS(make(data).bar({"a"}, {1}).bar({"b"}, {1}), ShapeError);
  CHECK_THROWS_AS(make(data).heatmap(empty({3}, DType::float64)), ShapeError);
  CHECK_THROWS_AS(make(data).heatmap(Tensor()), ShapeError);
  CHECK_THROWS_AS(make(data).images(empty({3, 4}, DType::float32), 2), ShapeError);
  CHECK_THROWS_AS(make(data).images(empty({3, 4, 4}, DType::float32), 2, {"one"}), ShapeError);
  CHECK_THROWS_AS(make(data).size(1, 1), ShapeError);
  Figure late = make(data);
  data->closed = true;
  CHECK_THROWS_AS(late.line({1}, {1}), std::logic_error);
}

TEST_CASE("a matrix's cells can be named, legibly") {
  std::shared_ptr<FigureData> data;
  Tensor cells = empty({1, 2}, DType::float64);
  cells.mutable_data<double>()[0] = 0, cells.mutable_data<double>()[1] = 9;
  make(data).heatmap(cells).note(0, 0, "light").note(1, 0, "dark").note(2, 0, "no");
  const std::string script = gnuplot_script(*data);
  auto line = [&](const char* word) {
    const size_t at = script.find(word);
    return at == std::string::npos ? std::string() : script.substr(at, script.find('\n', at) - at);
  };
  CHECK(line("light").find("#f4f1e8") == std::string::npos);
  CHECK(line("dark").find("#f4f1e8") != std::string::npos);
  CHECK(script.find("no\"") == std::string::npos);
  CHECK(script.find("no'") == std::string::npos);
}

TEST_CASE("what is drawn is fixed by the numbers, and text cannot command gnuplot") {
  std::shared_ptr<FigureData> data;
  auto fill_in = [&] {
    make(data)
        .line({0, 1, NAN, 3}, {1, 2, 3, INFINITY}, "it's '\n!touch /tmp/x\n`id`")
        .axes("x' at 0,0", "y")
        .note(1, 1, "\"; exit")
        .panel("second")
        .scatter({1}, {1})
        .log_x()
        .log_y()
        .hline(2, "two")
        .vline(1)
        .panel("empty")
        .line(Numbers(std::vector<double>{}), "nothing")
        .panel("bars")
        .bar({"a", "b"}, {1, -2}, "one")
        .bar({"a", "b"}, {NAN, 0}, "two");
    return gnuplot_script(*data);
  };
  std::string script = fill_in();
  CHECK(script == fill_in());
  CHECK(script.find("\n!") == std::string::npos);
  CHECK(script.find("it''s ''") != std::string::npos);
  if (find_program("gnuplot").empty()) SKIP("gnuplot is not installed");
  test::Folder folder;
  REQUIRE(draw(*data, folder.path() / "a.svg").empty());
  REQUIRE(draw(*data, folder.path() / "b.svg").empty());
  auto content = [&](const char* name) {
    std::ifstream in(folder.path() / name);
    return std::string(std::istreambuf_iterator<char>(in), {});
  };
  std::string svg = content("a.svg");
  CHECK(svg == content("b.svg"));
  CHECK(svg.find("<title>less &lt; more &amp; ") != std::string::npos);
  CHECK(svg.find("it's '") != std::string::npos);
  CHECK(svg.find("GNUPLOT") == std::string::npos);
}

TEST_CASE("contours lie where the level is crossed") {
  std::shared_ptr<FigureData> data;
  // f(x, y) = x on [0, 2] x [0, 1]: the level 0.5 is the line x = 0.5.
  Tensor f = empty({2, 3}, DType::float64);
  double values[] = {0, 1, 2, 0, 1, 2};
  std::copy(values, values + 6, f.mutable_data<double>());
  make(data).contour(f, {0, 2, 0, 1}, 0.5);
  const Series& s = data->panel().series[0];
  CHECK(s.x == std::vector<double>{0.5, 0.5});
  CHECK(std::abs(s.y[0] - s.y[1]) == 1);
}

// What a piece of work prints to stderr when that is no terminal.
template <class Work> static std::string errors_of(Work work) {
  FILE* file = std::tmpfile();
  int saved = dup(2);
  std::fflush(stderr);
  dup2(fileno(file), 2);
  work();
  std::fflush(stderr);
  dup2(saved, 2);
  close(saved);
  std::string text;
  std::rewind(file);
  for (int c; (c = std::fgetc(file)) != EOF;) text += static_cast<char>(c);
  std::fclose(file);
  return text;
}

TEST_CASE("progress is silent about short work and sparse in a log") {
  CHECK(errors_of([] {
          Progress p("short", 100000);
          for (int i = 0; i < 100000; ++i) p.step("loss", 0.5);
        }).empty());
  quiet_seconds = 0;
  std::string log = errors_of([] {
    Progress p("long", 100000);
    for (int i = 0; i < 100000; ++i) p.step("loss", 0.5);
  });
  quiet_seconds = 2;
  INFO(log);
  CHECK(test::lines(log) >= 2);
  CHECK(test::lines(log) <= 11);
  CHECK(log.find("loss 0.5") != std::string::npos);
  CHECK(log.find('\r') == std::string::npos);
}
