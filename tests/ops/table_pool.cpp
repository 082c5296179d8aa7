#include "op_table.hpp"

namespace cr::test {
namespace {

using Number = std::optional<int64_t>;

// PyTorch's None among the sizes of an adaptive pool is our −1.
Dims sizes(const Json& given) {
  Dims out;
  auto add = [&](const Json& n) { out.push_back(n.is_null() ? -1 : n.get<int64_t>()); };
  if (given.is_array())
    for (const Json& n : given) add(n);
  else add(given);
  return out;
}

// One output or two, as `return_indices` says.
using WithIndices = ValuesIndices (*)(const Tensor&, const Sizes&, const MaxPool&);
Outputs chosen(const ValuesIndices& both, bool indices) {
  if (indices) return {both.values, both.indices};
  return {both.values};
}
auto max_pool(Tensor (*alone)(const Tensor&, const Sizes&, const MaxPool&), WithIndices with) {
  return [=](Tensor x, Dims kernel, Dims stride, Dims padding, Dims dilation, bool ceil_mode, bool indices) -> Outputs {
    MaxPool options{.stride = stride, .padding = padding, .dilation = dilation, .ceil_mode = ceil_mode};
    if (!indices) return {alone(x, kernel, options)};
    return chosen(with(x, kernel, options), true);
  };
}
auto adaptive_max_pool(Tensor (*alone)(const Tensor&, const Sizes&),
                       ValuesIndices (*with)(const Tensor&, const Sizes&)) {
  return [=](Tensor x, Json size, bool indices) -> Outputs {
    if (!indices) return {alone(x, sizes(size))};
    return chosen(with(x, sizes(size)), true);
  };
}
auto adaptive_avg_pool(Tensor (*pool)(const Tensor&, const Sizes&)) {
  return [=](Tensor x, Json size) { return pool(x, sizes(size)); };
}
auto max_unpool(Tensor (*unpool)(const Tensor&, const Tensor&, const Sizes&, const MaxUnpool&)) {
  return [=](Tensor x, Tensor indices, Dims kernel, Dims stride, Dims padding, Dims size) {
    return unpool(x, indices, kernel, {.stride = stride, .padding = padding, .output_size = size});
  };
}
auto avg_pool(Tensor (*pool)(const Tensor&, const Sizes&, const AvgPool&)) {
  return [=](Tensor x, Dims kernel, Dims stride, Dims padding, bool ceil_mode, bool include_pad, Number divisor) {
    return pool(x, kernel,
                {.stride = stride,
                 .padding = padding,
                 .ceil_mode = ceil_mode,
                 .count_include_pad = include_pad,
                 .divisor_override = divisor});
  };
}
auto lp_pool(Tensor (*pool)(const Tensor&, double, const Sizes&, const LpPool&)) {
  return [=](Tensor x, double p, Dims kernel, Dims stride, bool ceil_mode) {
    return pool(x, p, kernel, {.stride = stride, .ceil_mode = ceil_mode});
  };
}

}  // namespace

Table pool_ops() {
  constexpr const char* kMax =
      "input kernel_size stride=null padding=0 dilation=1 ceil_mode=false return_indices=false";
  constexpr const char* kAvg =
      "input kernel_size stride=null padding=0 ceil_mode=false count_include_pad=true divisor_override=null";
  constexpr const char* kUnpool = "input indices kernel_size stride=null padding=0 output_size=null";
  constexpr const char* kLp = "input norm_type kernel_size stride=null ceil_mode=false";
  constexpr const char* kAdaptiveMax = "input output_size return_indices=false";
  return {
      {"max_pool1d", kMax, max_pool(max_pool1d, max_pool1d_with_indices)},
      {"max_pool2d", kMax, max_pool(max_pool2d, max_pool2d_with_indices)},
      {"max_pool3d", kMax, max_pool(max_pool3d, max_pool3d_with_indices)},
      {"avg_pool1d", "input kernel_size stride=null padding=0 ceil_mode=false count_include_pad=true",
       [](Tensor x, Dims kernel, Dims stride, Dims padding, bool ceil_mode, bool include_pad) {
         return avg_pool(avg_pool1d)(x, kernel, stride, padding, ceil_mode, include_pad, {});
       }},
      {"avg_pool2d", kAvg, avg_pool(avg_pool2d)},
      {"avg_pool3d", kAvg, avg_pool(avg_pool3d)},
      {"adaptive_avg_pool1d", "input output_size", adaptive_avg_pool(adaptive_avg_pool1d)},
      {"adaptive_avg_pool2d", "input output_size", adaptive_avg_pool(adaptive_avg_pool2d)},
      {"adaptive_avg_pool3d", "input output_size", adaptive_avg_pool(adaptive_avg_pool3d)},
      {"adaptive_max_pool1d", kAdaptiveMax, adaptive_max_pool(adaptive_max_pool1d, adaptive_max_pool1d_with_indices)},
      {"adaptive_max_pool2d", kAdaptiveMax, adaptive_max_pool(adaptive_max_pool2d, adaptive_max_pool2d_with_indices)},
      {"adaptive_max_pool3d", kAdaptiveMax, adaptive_max_pool(adaptive_max_pool3d, adaptive_max_pool3d_with_indices)},
      {"max_unpool1d", kUnpool, max_unpool(max_unpool1d)},
      {"max_unpool2d", kUnpool, max_unpool(max_unpool2d)},
      {"max_unpool3d", kUnpool, max_unpool(max_unpool3d)},
      {"lp_pool1d", kLp, lp_pool(lp_pool1d)},
      {"lp_pool2d", kLp, lp_pool(lp_pool2d)},
      {"lp_pool3d", kLp, lp_pool(lp_pool3d)},
  };
}

}  // namespace cr::test
