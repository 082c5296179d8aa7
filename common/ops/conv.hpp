// # Convolution
//
// A small kernel slides over a signal, an image or a volume and is multiplied with what lies under it: the same few
// weights look at every place, so what they learn to see is seen everywhere. The suffix counts the dimensions of places.
//
// All throw ShapeError for sizes that do not fit and DTypeError for tensors that are not of one type, float32, float64 or
// int64 (which has no gradient). Zeros around a signal are multiplied like other numbers: an infinite weight makes NaN of
// them, also of those that a transposed convolution sees around x, where PyTorch adds nothing.
#pragma once

#include <concepts>
#include <string>

#include "ops/places.hpp"

namespace cr {

// Zeros around the input: as many on both sides as the numbers say; "valid", none; or "same", as many as make the result
// as large as the input, of an odd number one more behind (with stride 1 only).
struct ConvPadding : PerPlace {
  template <std::integral N> ConvPadding(N all) : PerPlace(all) {}
  ConvPadding(std::initializer_list<int64_t> each) : PerPlace(each) {}
  ConvPadding(const Dims& each) : PerPlace(each) {}
  ConvPadding(const char* word) : ConvPadding(std::string(word)) {}
  ConvPadding(const std::string& word);  // throws Error for another word
  bool same = false;
};

// `stride`: how far the kernel moves from place to place. `dilation`: how far apart the places are that it looks at.
// `groups`: the channels are cut into as many equal groups, of which each sees and makes its own.
struct ConvOptions {
  PerPlace stride = 1;
  ConvPadding padding = 0;
  PerPlace dilation = 1;
  int64_t groups = 1;
};

// x (n, c, places…) or (c, places…), weight (o, c / groups, kernel…), bias (o,) or undefined → (n, o, places…), with
// ⌊(size + 2 padding − dilation (kernel − 1) − 1) / stride⌋ + 1 places for each dimension.
Tensor conv1d(const Tensor& x, const Tensor& weight, const Tensor& bias = {}, const ConvOptions& options = {});
Tensor conv2d(const Tensor& x, const Tensor& weight, const Tensor& bias = {}, const ConvOptions& options = {});
Tensor conv3d(const Tensor& x, const Tensor& weight, const Tensor& bias = {}, const ConvOptions& options = {});

struct ConvTransposeOptions {
  PerPlace stride = 1;
  PerPlace padding = 0;         // cut off, on both sides
  PerPlace output_padding = 0;  // added behind; less than stride or dilation
  int64_t groups = 1;
  PerPlace dilation = 1;
};

// The adjoint: every number of x (n, c, places…) is multiplied with the kernel, and these patches are added up, `stride`
// apart. weight (c, o / groups, kernel…), bias (o,) or undefined → (n, o, places…), with (size − 1) stride − 2 padding +
// dilation (kernel − 1) + output_padding + 1 places for each dimension.
Tensor conv_transpose1d(const Tensor& x, const Tensor& weight, const Tensor& bias = {},
                        const ConvTransposeOptions& options = {});
Tensor conv_transpose2d(const Tensor& x, const Tensor& weight, const Tensor& bias = {},
                        const ConvTransposeOptions& options = {});
Tensor conv_transpose3d(const Tensor& x, const Tensor& weight, const Tensor& bias = {},
                        const ConvTransposeOptions& options = {});

}  // namespace cr
