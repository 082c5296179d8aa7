#include "op_table.hpp"

namespace cr::test {

Table view_ops() {
  return {
      {"reshape", "input shape", [](Tensor x, Dims shape) { return x.reshape(shape); }},
      {"view", "input *shape", [](Tensor x, Dims shape) { return x.view(shape); }},
      {"flatten", "input start_dim=0 end_dim=-1", [](Tensor x, int64_t a, int64_t b) { return x.flatten(a, b); }},
      {"t", "input", [](Tensor x) { return x.t(); }},
      {"transpose", "input dim0 dim1", [](Tensor x, int64_t a, int64_t b) { return x.transpose(a, b); }},
      {"permute", "input *dims", [](Tensor x, Dims order) { return x.permute(order); }},
      {"squeeze", "input dim=null",
       [](Tensor x, std::optional<int64_t> d) { return d ? x.squeeze(*d) : x.squeeze(); }},
      {"unsqueeze", "input dim", [](Tensor x, int64_t d) { return x.unsqueeze(d); }},
      {"expand", "input *size", [](Tensor x, Dims shape) { return x.expand(shape); }},
      {"select", "input dim index", [](Tensor x, int64_t d, int64_t at) { return x.select(d, at); }},
      {"narrow", "input dim start length",
       [](Tensor x, int64_t d, int64_t start, int64_t length) { return x.narrow(d, start, length); }},
      {"clone", "input", [](Tensor x) { return x.clone(); }},
      {"contiguous", "input", [](Tensor x) { return x.contiguous(); }},
      {"to", "input dtype", [](Tensor x, DType type) { return x.to(type); }},
  };
}

}  // namespace cr::test
