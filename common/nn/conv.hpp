// # Layers that convolve
//
// The operations of `ops/conv.hpp` with their parameters, which have PyTorch's names, shapes and initial values: weight and
// bias uniform between ±1/√n, where n is the number of weights in weight[0], what each result sums over. The number in a
// layer's name counts the dimensions of places. Without a generator the weights are drawn from a fixed seed that depends
// on the sizes; give one to choose the seed. Constructors throw ShapeError for sizes that do not fit.
#pragma once

#include <string>

#include "nn/fields.hpp"
#include "nn/init.hpp"
#include "ops/ops.hpp"

namespace cr::nn {

// `padding_mode` says what lies around the input: "zeros", or what `pad` knows, "reflect", "replicate" and "circular".
struct ConvLayerOptions {
  PerPlace stride = 1;
  ConvPadding padding = 0;
  PerPlace dilation = 1;
  int64_t groups = 1;
  bool bias = true;
  std::string padding_mode = "zeros";
};

// (n, in, places…) → (n, out, places…), or both without n.
template <int places> struct Conv {
  Tensor weight;  // (out, in / groups, kernel…)
  Tensor bias;    // (out,), undefined without bias
  ConvLayerOptions options;

  Conv() = default;
  Conv(int64_t in, int64_t out, const PerPlace& kernel, Generator& generator, const ConvLayerOptions& options = {});
  Conv(int64_t in, int64_t out, const PerPlace& kernel, const ConvLayerOptions& options = {});
  Tensor operator()(const Tensor& x) const;
  CR_FIELDS(weight, bias)
};
using Conv1d = Conv<1>;
using Conv2d = Conv<2>;
using Conv3d = Conv<3>;

struct ConvTransposeLayerOptions {
  PerPlace stride = 1;
  PerPlace padding = 0;
  PerPlace output_padding = 0;
  int64_t groups = 1;
  bool bias = true;
  PerPlace dilation = 1;
};

template <int places> struct ConvTranspose {
  Tensor weight;  // (in, out / groups, kernel…)
  Tensor bias;    // (out,), undefined without bias
  ConvTransposeLayerOptions options;

  ConvTranspose() = default;
  ConvTranspose(int64_t in, int64_t out, const PerPlace& kernel, Generator& generator,
                const ConvTransposeLayerOptions& options = {});
  ConvTranspose(int64_t in, int64_t out, const PerPlace& kernel, const ConvTransposeLayerOptions& options = {});
  Tensor operator()(const Tensor& x) const;
  CR_FIELDS(weight, bias)
};
using ConvTranspose1d = ConvTranspose<1>;
using ConvTranspose2d = ConvTranspose<2>;
using ConvTranspose3d = ConvTranspose<3>;

}  // namespace cr::nn
