#include "op_table.hpp"

namespace cr::test {

// Running statistics are written in place; a case's tensors are its own, so the writing is done to copies.
Table norm_ops() {
  auto copy = [](const Tensor& x) { return x.defined() ? x.detach().clone() : x; };
  return {
      {"layer_norm", "input normalized_shape weight=null bias=null eps=1e-05", layer_norm},
      {"rms_norm", "input normalized_shape weight=null eps=null", rms_norm},
      {"group_norm", "input num_groups weight=null bias=null eps=1e-05", group_norm},
      {"batch_norm", "input running_mean running_var weight=null bias=null training=false momentum=0.1 eps=1e-05",
       [=](Tensor x, Tensor mean, Tensor var, Tensor weight, Tensor bias, bool training, double momentum, double eps) {
         return batch_norm(x, copy(mean), copy(var), weight, bias, training, momentum, eps);
       }},
      {"instance_norm",
       "input running_mean=null running_var=null weight=null bias=null use_input_stats=true momentum=0.1 eps=1e-05",
       [=](Tensor x, Tensor mean, Tensor var, Tensor weight, Tensor bias, bool own, double momentum, double eps) {
         return instance_norm(x, copy(mean), copy(var), weight, bias, own, momentum, eps);
       }},
      {"local_response_norm", "input size alpha=0.0001 beta=0.75 k=1.0", local_response_norm},
      {"normalize", "input p=2.0 dim=1 eps=1e-12", normalize},
  };
}

}  // namespace cr::test
