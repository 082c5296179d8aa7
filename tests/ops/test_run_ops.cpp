// # The conformance program answers every line
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>

#include "catch.hpp"
#include "io/safetensors.hpp"
#include "op_cases.hpp"

using namespace cr;
using namespace cr::test;

namespace {

struct Run {
  int status = -1;
  std::vector<std::string> lines;
};

Run run(const std::string& arguments) {
  Run r;
  FILE* pipe = popen((std::string("\"") + CHAINRULE_RUN_OPS + "\" " + arguments + " 2>&1").c_str(), "r");
  REQUIRE(pipe);
  std::string text;
  std::array<char, 4096> buffer;
  while (size_t n = fread(buffer.data(), 1, buffer.size(), pipe)) text.append(buffer.data(), n);
  int status = pclose(pipe);
  r.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  for (size_t at = 0, end; (end = text.find('\n', at)) != std::string::npos; at = end + 1) {
    r.lines.push_back(text.substr(at, end - at));
  }
  return r;
}

}  // namespace

TEST_CASE("run_ops lists what it knows, and refuses wrong options", "[ops]") {
  Run list = run("--list");
  CHECK(list.status == 0);
  CHECK(list.lines.size() == all_ops().size());
  CHECK(std::is_sorted(list.lines.begin(), list.lines.end()));
  CHECK(run("").status == 2);
  CHECK(run("--nonsense").status == 2);
  CHECK(run("/nowhere/cases.jsonl /nowhere/in /nowhere/out").status == 2);
}

TEST_CASE("run_ops answers each case, whatever is wrong with it", "[ops]") {
  std::string folder = (std::filesystem::temp_directory_path() / "chainrule-run-ops-XXXXXX").string();
  REQUIRE(mkdtemp(folder.data()));
  io::save_safetensors(folder + "/in", {{"x", tensor({1.0, 2.0})},
                                        {"m", tensor({{1.0, 2.0}, {3.0, 4.0}})},
                                        {"i", tensor({5})},
                                        {"good/cotangent0", tensor({1.0, 10.0})},
                                        {"flat/cotangent0", tensor({1.0, 10.0})}});
  const std::vector<std::array<std::string, 3>> cases = {
      {R"({"id":"good","op":"mul","args":[{"tensor":"x"},{"tensor":"x"}],"kwargs":{},"grad":["x"]})", "good", "ok"},
      {R"({"id":"named","op":"add","args":[],"kwargs":{"input":{"tensor":"x"},"other":1,"alpha":2},"grad":[]})",
       "named", "ok"},
      {R"({"id":"inf","op":"maximum","args":[{"tensor":"x"},{"tensor":"x"}]})", "inf", "ok"},
      {R"({"id":"prefix","op":"torch.nn.functional.relu","args":[{"tensor":"x"}]})", "prefix", "ok"},
      {R"({"id":"unknown","op":"no_such_op","args":[]})", "unknown", "unsupported"},
      {R"({"id":"keyword","op":"neg","args":[{"tensor":"x"}],"kwargs":{"speed":9}})", "keyword", "unsupported"},
      {R"({"id":"missing","op":"neg","args":[]})", "missing", "unsupported"},
      {R"({"id":"kind","op":"neg","args":["x"]})", "kind", "unsupported"},
      {R"({"id":"nobody","op":"neg","args":[{"tensor":"nobody"}]})", "nobody", "error"},
      {R"({"id":"shapes","op":"matmul","args":[{"tensor":"m"},{"tensor":"i"}]})", "shapes", "error"},
      {R"({"id":"range","op":"index_select","args":[{"tensor":"x"},0,{"tensor":"i"}]})", "range", "error"},
      {R"({"id":"nograd","op":"neg","args":[{"tensor":"x"}],"grad":["m"]})", "nograd", "error"},
      {R"({"id":"nocotangent","op":"neg","args":[{"tensor":"x"}],"grad":["x"]})", "nocotangent", "error"},
      {R"({"id":"flat","op":"sign","args":[{"tensor":"x"}],"grad":["x"]})", "flat", "ok"},
      {"not json", "line 15", "error"},
      {"[1,2]", "line 16", "error"},
      {R"({"op":"neg"})", "line 17", "error"},
      {R"({"id":"last","op":"neg","args":[{"tensor":"x"}]})", "last", "ok"},
  };
  std::ofstream file(folder + "/cases");
  for (auto& c : cases) file << c[0] << "\n";
  file.close();
  Run r = run(folder + "/cases " + folder + "/in " + folder + "/out");
  CHECK(r.status == 0);
  REQUIRE(r.lines.size() == cases.size());
  for (size_t i = 0; i < cases.size(); ++i) {
    INFO(r.lines[i]);
    Json answer = Json::parse(r.lines[i]);
    CHECK(answer["id"] == cases[i][1]);
    CHECK(answer["status"] == cases[i][2]);
    CHECK(answer["message"].get<std::string>().empty() == (cases[i][2] == "ok"));
  }
  NamedTensors out = io::load_safetensors(folder + "/out").tensors;
  CHECK(difference(out.at("good/out0"), tensor({1.0, 4.0})) == "");
  CHECK(difference(out.at("good/grad/0"), tensor({2.0, 40.0})) == "");
  CHECK(difference(out.at("flat/grad/0"), tensor({0.0, 0.0})) == "");
  CHECK(difference(out.at("named/out0"), tensor({3.0, 4.0})) == "");
  CHECK(out.count("nocotangent/out0") == 0);
  std::filesystem::remove_all(folder);
}
