#include "op_table.hpp"

namespace cr::test {

Table reduce_ops() {
  return {
      {"sum", "input dim=null keepdim=false", [](Tensor x, Dims dims, bool keep) { return sum(x, dims, keep); }},
      {"mean", "input dim=null keepdim=false", [](Tensor x, Dims dims, bool keep) { return mean(x, dims, keep); }},
      {"amax", "input dim=[] keepdim=false", amax},
      {"amin", "input dim=[] keepdim=false", amin},
      {"argmax", "input dim keepdim=false", argmax},
      {"argmin", "input dim keepdim=false", argmin},
      {"softmax", "input dim", softmax},
      {"log_softmax", "input dim", log_softmax},
  };
}

}  // namespace cr::test
