#include "nn/conv.hpp"

#include <cmath>

namespace cr::nn {
namespace {

using detail::spread;

// (first, second / groups, kernel…), of which groups must divide both.
Shape weight_shape(const std::string& layer, int64_t first, int64_t second, const Dims& kernel, int places,
                   int64_t groups) {
  if (first < 1 || second < 1 || groups < 1 || first % groups != 0 || second % groups != 0) {
    throw ShapeError(layer + ": needs at least one channel in and out, which divide into groups, got " +
                     std::to_string(first) + " and " + std::to_string(second) +
                     " for groups = " + std::to_string(groups));
  }
  Shape shape{first, second / groups};
  for (int64_t k : spread(layer, "kernel", kernel, places, 1)) shape.push_back(k);
  return shape;
}

template <class Layer> void draw(Layer& layer, const Shape& shape, int64_t out, bool with_bias, Generator& generator) {
  const double bound = 1 / std::sqrt(static_cast<double>(numel(shape) / shape[0]));
  layer.weight = uniform(shape, -bound, bound, generator).requires_grad_();
  if (with_bias) layer.bias = uniform({out}, -bound, bound, generator).requires_grad_();
}

Generator seeded(int64_t in, int64_t out, const Dims& kernel) {
  Generator generator = Generator(0).split(static_cast<uint64_t>(in)).split(static_cast<uint64_t>(out));
  for (int64_t k : kernel) generator = generator.split(static_cast<uint64_t>(k));
  return generator;
}

}  // namespace

template <int places>
Conv<places>::Conv(int64_t in, int64_t out, const PerPlace& kernel, Generator& generator, const ConvLayerOptions& o)
    : options(o) {
  const std::string layer = "Conv" + std::to_string(places) + "d", &mode = o.padding_mode;
  if (mode != "zeros" && mode != "reflect" && mode != "replicate" && mode != "circular")
    throw Error(layer + ": padding_mode is zeros, reflect, replicate or circular, got " + mode);
  draw(*this, weight_shape(layer, out, in, kernel, places, o.groups), out, o.bias, generator);
}

template <int places> Conv<places>::Conv(int64_t in, int64_t out, const PerPlace& kernel, const ConvLayerOptions& o) {
  Generator generator = seeded(in, out, kernel);
  *this = Conv(in, out, kernel, generator, o);
}

// What is not zeros is laid around x first: (before, after) for each dimension, the last one first.
template <int places> Tensor Conv<places>::operator()(const Tensor& x) const {
  constexpr auto conv = places == 1 ? conv1d : places == 2 ? conv2d : conv3d;
  ConvOptions o{
      .stride = options.stride, .padding = options.padding, .dilation = options.dilation, .groups = options.groups};
  if (options.padding_mode == "zeros") return conv(x, weight, bias, o);
  const std::string layer = "Conv" + std::to_string(places) + "d";
  const Dims sizes = spread(layer, "padding", o.padding, places, 0),
             stride = spread(layer, "stride", o.stride, places, 1),
             dilation = spread(layer, "dilation", o.dilation, places, 1);
  Dims around;
  for (int d = places - 1; d >= 0; --d) {
    if (o.padding.same && stride[d] != 1) throw ShapeError(layer + ": \"same\" padding goes with stride 1 only");
    const int64_t both = o.padding.same ? dilation[d] * (weight.shape()[d + 2] - 1) : 2 * sizes[d];
    around.push_back(both / 2);
    around.push_back(both - both / 2);
  }
  o.padding = 0;
  return conv(pad(x, around, options.padding_mode), weight, bias, o);
}

template <int places>
ConvTranspose<places>::ConvTranspose(int64_t in, int64_t out, const PerPlace& kernel, Generator& generator,
                                     const ConvTransposeLayerOptions& o)
    : options(o) {
  const std::string layer = "ConvTranspose" + std::to_string(places) + "d";
  draw(*this, weight_shape(layer, in, out, kernel, places, o.groups), out, o.bias, generator);
}

template <int places>
ConvTranspose<places>::ConvTranspose(int64_t in, int64_t out, const PerPlace& kernel,
                                     const ConvTransposeLayerOptions& o) {
  Generator generator = seeded(in, out, kernel);
  *this = ConvTranspose(in, out, kernel, generator, o);
}

template <int places> Tensor ConvTranspose<places>::operator()(const Tensor& x) const {
  constexpr auto conv = places == 1 ? conv_transpose1d : places == 2 ? conv_transpose2d : conv_transpose3d;
  return conv(x, weight, bias,
              {.stride = options.stride,
               .padding = options.padding,
               .output_padding = options.output_padding,
               .groups = options.groups,
               .dilation = options.dilation});
}

template struct Conv<1>;
template struct Conv<2>;
template struct Conv<3>;
template struct ConvTranspose<1>;
template struct ConvTranspose<2>;
template struct ConvTranspose<3>;

}  // namespace cr::nn
