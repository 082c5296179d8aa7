#include "op_table.hpp"

namespace cr::test {
namespace {

// einsum takes an equation and operands, in one list or one after another; its operands may also come first.
struct EinsumArgument {
  std::string equation;
  std::vector<Tensor> operands;
};
void read(const Json& j, const NamedTensors& tensors, EinsumArgument& out) {
  if (j.is_string()) out.equation = j.get<std::string>();
  else test::read(j, tensors, out.operands);
}
Tensor call_einsum(const std::vector<EinsumArgument>& arguments) {
  std::string equation;
  std::vector<Tensor> operands;
  for (const EinsumArgument& a : arguments) {
    equation += a.equation;
    operands.insert(operands.end(), a.operands.begin(), a.operands.end());
  }
  return einsum(equation, operands);
}

// One number of dimensions, or a list of dimensions for each side.
Tensor call_tensordot(Tensor a, Tensor b, Json dims) {
  if (!dims.is_array()) return tensordot(a, b, dims.get<int64_t>());
  if (dims.size() == 1) dims = dims[0];
  Dims of_a, of_b;
  test::read(dims.at(0), {}, of_a);
  test::read(dims.at(1), {}, of_b);
  return tensordot(a, b, of_a, of_b);
}

}  // namespace

Table product_ops() {
  return {
      {"matmul", "input other", binary(matmul)},
      {"__rmatmul__", "input other", [](Tensor x, Tensor y) { return matmul(y, x); }},
      {"mm", "input mat2", binary(mm)},
      {"bmm", "input mat2", binary(bmm)},
      {"mv", "input vec", binary(mv)},
      {"dot", "input tensor", binary(dot)},
      {"vdot", "input other", binary(dot)},
      {"inner", "input other", binary(inner)},
      {"outer", "input vec2", binary(outer)},
      {"ger", "input vec2", binary(outer)},
      {"linalg.vecdot", "x y dim=-1", linalg::vecdot},
      {"addmm", "input mat1 mat2 beta=1 alpha=1", addmm},
      {"addmv", "input mat vec beta=1 alpha=1", addmv},
      {"addr", "input vec1 vec2 beta=1 alpha=1", addr},
      {"addbmm", "input batch1 batch2 beta=1 alpha=1", addbmm},
      {"baddbmm", "input batch1 batch2 beta=1 alpha=1", baddbmm},
      {"linalg.multi_dot", "tensors", linalg::multi_dot},
      {"chain_matmul", "*matrices", linalg::multi_dot},
      {"linalg.matrix_power", "A n", linalg::matrix_power},
      {"matrix_power", "input n", linalg::matrix_power},
      {"einsum", "*equation", call_einsum},
      {"tensordot", "a b dims=2", call_tensordot},
      {"kron", "input other", binary(kron)},
      {"trace", "input", unary(trace)},
      {"cross", "input other dim=null", cross},
      {"linalg.cross", "input other dim=-1", linalg::cross},
      {"linear", "input weight bias=null", linear},
      {"bilinear", "input1 input2 weight bias=null", bilinear},
      {"cdist", "x1 x2 p=2.0 compute_mode=null", [](Tensor x, Tensor y, double p, Json) { return cdist(x, y, p); }},
      {"pdist", "input p=2.0", pdist},
      {"pairwise_distance", "x1 x2 p=2.0 eps=1e-06 keepdim=false", pairwise_distance},
      {"cosine_similarity", "x1 x2 dim=1 eps=1e-08", cosine_similarity},
  };
}

}  // namespace cr::test
