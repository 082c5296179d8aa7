// # Nothing is forgotten
#include <filesystem>
#include <fstream>
#include <set>

#include "catch.hpp"
#include "op_cases.hpp"

using namespace cr;
using namespace cr::test;

TEST_CASE("every operation of the public headers has a case", "[ops]") {
  std::set<std::string> tested;
  for (const OpCase& c : op_cases())
    tested.insert(c.op.substr(c.op.rfind("linalg.", 0) == 0 ? 7 : 0)), tested.insert(c.op);
  std::string untested;
  // What makes tensors out of nothing has tests of its own.
  Table create = create_ops();
  for (const Op& op : create) tested.insert(op.name);
  for (auto& [name, op] : all_ops()) {
    if (!tested.count(name)) untested += " " + name;
  }
  INFO("in the table, without a case:" << untested);
  CHECK(untested.empty());

  // Members under another name, and those that have tests of their own.
  tested.insert({"index", "index_put_", "nonzero_as_tuple", "detach", "grad", "requires_grad_", "operator", "empty",
                 "window", "from_storage", "gumbel_softmax", "to_host"});
  std::string missing;
  std::filesystem::path common = std::string(CHAINRULE_SOURCE_DIR) + "/common";
  std::vector<std::filesystem::path> headers{common / "tensor/tensor.hpp"};
  for (auto& entry : std::filesystem::directory_iterator(common / "ops")) {
    const bool other = std::set<std::string>{"create", "random", "linalg_parts"}.contains(entry.path().stem());
    if (entry.path().extension() == ".hpp" && !other) headers.push_back(entry.path());
  }
  for (auto& header : headers) {
    std::ifstream in(header);
    REQUIRE(in.good());
    // "Tensor name(", "const Tensor& name(" at the beginning of a line
    for (std::string line; std::getline(in, line);) {
      line.erase(0, std::min(line.find_first_not_of(' '), line.size()));
      for (std::string start : {"const Tensor& ", "Tensor ", "std::vector<Tensor> ", "std::pair<Tensor, Tensor> "}) {
        size_t end = line.find('(');
        if (line.rfind(start, 0) != 0 || end == std::string::npos) continue;
        std::string name = line.substr(start.size(), end - start.size());
        bool is_name = name.find_first_of(" ;=") == std::string::npos && name.rfind("operator", 0) != 0;
        if (is_name && !tested.count(name)) missing += " " + name;
      }
    }
  }
  INFO("in a header, without a case:" << missing);
  CHECK(missing.empty());
}
