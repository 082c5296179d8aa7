#include "op_table.hpp"

namespace cr::test {
namespace {

// What is random cannot be compared with PyTorch: dropout counts where nothing, or everything, falls.
Generator& dice(bool random) {
  static thread_local Generator generator(0);
  if (random) throw Unsupported("random numbers are not PyTorch's");
  return generator;
}

using Dropout = Tensor (*)(const Tensor&, double, bool, Generator&);
auto dropping(Dropout f) {
  return [f](Tensor x, double p, bool training, bool) { return f(x, p, training, dice(training && p > 0 && p < 1)); };
}

// PyTorch's choice where no dimension is named.
int64_t dim_or_default(const Tensor& x, std::optional<int64_t> d) {
  return d ? *d : x.dim() == 0 || x.dim() == 1 || x.dim() == 3 ? 0 : 1;
}

// Writing in place, PyTorch's last argument, would change the memory used, not the result.
template <auto f> auto plain() {
  return [](Tensor x, bool) { return f(x); };
}
template <auto f> auto with_number() {
  return [](Tensor x, double a, bool) { return f(x, a); };
}

}  // namespace

Table activation_ops() {
  return {
      {"leaky_relu", "input negative_slope=0.01 inplace=false", with_number<leaky_relu>()},
      {"prelu", "input weight", prelu},
      {"rrelu", "input lower=0.125 upper=0.3333333333333333 training=false inplace=false",
       [](Tensor x, double lower, double upper, bool training, bool) {
         return rrelu(x, lower, upper, training, dice(training));
       }},
      {"elu", "input alpha=1 inplace=false", with_number<elu>()},
      {"celu", "input alpha=1 inplace=false", with_number<celu>()},
      {"selu", "input inplace=false", plain<selu>()},
      {"gelu", "input approximate=\"none\"", gelu},
      {"silu", "input inplace=false", plain<silu>()},
      {"mish", "input inplace=false", plain<mish>()},
      {"hardswish", "input inplace=false", plain<hardswish>()},
      {"glu", "input dim=-1", glu},
      {"softplus", "input beta=1 threshold=20", softplus},
      {"logsigmoid", "input", logsigmoid},
      {"hardtanh", "input min_val=-1 max_val=1 inplace=false",
       [](Tensor x, double lo, double hi, bool) { return hardtanh(x, lo, hi); }},
      {"relu6", "input inplace=false", plain<relu6>()},
      {"hardsigmoid", "input inplace=false", plain<hardsigmoid>()},
      {"hardshrink", "input lambd=0.5", hardshrink},
      {"softshrink", "input lambd=0.5", softshrink},
      {"tanhshrink", "input", tanhshrink},
      {"softsign", "input", softsign},
      {"threshold", "input threshold value inplace=false",
       [](Tensor x, double at, double value, bool) { return threshold(x, at, value); }},
      {"maxout", "input k dim=1", maxout},
      {"softmin", "input dim=null _stacklevel=3 dtype=null",
       [](Tensor x, std::optional<int64_t> d, int64_t, std::optional<DType> dtype) {
         return softmin(x, dim_or_default(x, d), dtype);
       }},
      {"dropout", "input p=0.5 training=true inplace=false", dropping(dropout)},
      {"dropout1d", "input p=0.5 training=true inplace=false", dropping(dropout1d)},
      {"dropout2d", "input p=0.5 training=true inplace=false", dropping(dropout2d)},
      {"dropout3d", "input p=0.5 training=true inplace=false", dropping(dropout3d)},
      {"alpha_dropout", "input p=0.5 training=false inplace=false", dropping(alpha_dropout)},
      {"feature_alpha_dropout", "input p=0.5 training=false inplace=false", dropping(feature_alpha_dropout)},
  };
}

}  // namespace cr::test
