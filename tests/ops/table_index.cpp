#include "op_table.hpp"

namespace cr::test {
namespace {

// x[i], x[{start, stop, step}], x[i, {…}, …]
Tensor item(const Tensor& x, const Json& indices) {
  auto index = [](const Json& j) {
    return j.is_object() ? Index(Slice{j["slice"][0], j["slice"][1], j["slice"][2]}) : Index(j.get<int64_t>());
  };
  switch (indices.size()) {
    case 1: return x[index(indices[0])];
    case 2: return x[{index(indices[0]), index(indices[1])}];
    default: return x[{index(indices[0]), index(indices[1]), index(indices[2])}];
  }
}

}  // namespace

Table index_ops() {
  return {
      {"index_select", "input dim index", index_select},
      {"index_add", "input dim index source", index_add},
      {"gather", "input dim index", gather},
      {"scatter_add", "input dim index src", scatter_add},
      {"cat", "tensors dim=0", cat},
      {"stack", "tensors dim=0", stack},
      {"one_hot", "input num_classes", [](Tensor x, int64_t classes) { return one_hot(x, classes); }},
      {"getitem", "input indices", [](Tensor x, Json indices) { return item(x, indices); }},
      {"setitem", "input indices value",
       [](Tensor x, Json indices, Operand value) {
         Tensor y = x.clone();
         if (value.is_tensor()) item(y, indices) = value.tensor();
         else item(y, indices) = value.scalar();
         return y;
       }},
  };
}

}  // namespace cr::test
