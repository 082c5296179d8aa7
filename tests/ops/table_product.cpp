#include "op_table.hpp"

namespace cr::test {

Table product_ops() {
  return {
      {"matmul", "input other", binary(matmul)},
      {"dot", "input tensor", binary(dot)},
      {"linear", "input weight bias=null", linear},
  };
}

}  // namespace cr::test
