#include "op_table.hpp"

namespace cr::test {
namespace {

// A word, a number or several.
struct PaddingArgument {
  ConvPadding value = 0;
};
void read(const Json& j, const NamedTensors& tensors, PaddingArgument& out) {
  if (j.is_string()) {
    out.value = ConvPadding(j.get<std::string>());
  } else {
    Dims sizes;
    test::read(j, tensors, sizes);
    out.value = ConvPadding(sizes);
  }
}

using Conv = Tensor (*)(const Tensor&, const Tensor&, const Tensor&, const ConvOptions&);
auto with(Conv conv) {
  return [conv](Tensor x, Tensor weight, Tensor bias, Dims stride, PaddingArgument padding, Dims dilation,
                int64_t groups) {
    return conv(x, weight, bias, {.stride = stride, .padding = padding.value, .dilation = dilation, .groups = groups});
  };
}

using Transposed = Tensor (*)(const Tensor&, const Tensor&, const Tensor&, const ConvTransposeOptions&);
auto with(Transposed conv) {
  return [conv](Tensor x, Tensor weight, Tensor bias, Dims stride, Dims padding, Dims output_padding, int64_t groups,
                Dims dilation) {
    return conv(x, weight, bias,
                {.stride = stride,
                 .padding = padding,
                 .output_padding = output_padding,
                 .groups = groups,
                 .dilation = dilation});
  };
}

}  // namespace

Table conv_ops() {
  const char *conv = "input weight bias=null stride=1 padding=0 dilation=1 groups=1",
             *transposed = "input weight bias=null stride=1 padding=0 output_padding=0 groups=1 dilation=1";
  return {
      {"conv1d", conv, with(conv1d)},
      {"conv2d", conv, with(conv2d)},
      {"conv3d", conv, with(conv3d)},
      {"conv_transpose1d", transposed, with(conv_transpose1d)},
      {"conv_transpose2d", transposed, with(conv_transpose2d)},
      {"conv_transpose3d", transposed, with(conv_transpose3d)},
  };
}

}  // namespace cr::test
