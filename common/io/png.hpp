// # PNG
//
// Pictures without loss (ISO 15948): rows of pixels, each predicted from its neighbours, the rest deflated. libpng
// decodes them. Grey, grey with alpha, colour, colour with alpha, palettes; 1 to 16 bits a sample; interlaced or not:
// all become a tensor of shape (height, width), or (height, width, channels) where there is more than one channel.
#pragma once

#include <string>

#include "io/bytes.hpp"
#include "tensor/tensor.hpp"

namespace cr::io {

struct PngOptions {
  // 0: as in the file. 1 grey, 2 grey and alpha, 3 red, green and blue, 4 those and alpha. Colour becomes grey by
  // 0.299 R + 0.587 G + 0.114 B (ITU-R BT.601); missing alpha is opaque; alpha that is not asked for is dropped.
  int channels = 0;
  // A sample goes from 0 to 255, as in a file of 8 bits, whatever the file's bits are; then it is multiplied by this.
  double scale = 1 / 255.;
  // float32, float64 or int64. With int64 and a scale of 1 a picture of 8 bits gives its bytes.
  DType dtype = DType::float32;
  // A file of a megabyte may hold a thousand of them: refuse what is larger. A picture is also refused if decoding it,
  // its tensor included, takes more than 64 MB and more than 16 · 1032 times the file's bytes. (Deflate makes 1032
  // bytes of one, and one bit of a palette may become four float64.)
  int64_t max_pixels = int64_t{1} << 25;
};

// Reads a picture. The values are those of the file: no gamma is applied. Throws IoError, one line, for a file that is
// missing, damaged or too large, or when this build has no libpng.
Tensor read_png(const std::string& path, const PngOptions& options = {});

// The same from memory; `name` stands for the path in messages.
Tensor parse_png(Bytes file, const PngOptions& options = {}, const std::string& name = "PNG");

// Writes x, of shape (height, width) or (height, width, channels), with 8 bits a sample: x times `scale`, rounded, and
// cut off below 0 and above 255. Atomic; equal pictures give equal bytes. Throws ShapeError for another shape, and
// IoError for NaN, if the file cannot be written, or when this build has no libpng.
void write_png(const std::string& path, const Tensor& x, double scale = 255);

// The bytes of such a file; `name` stands for its path in messages.
std::string encode_png(const Tensor& x, double scale = 255, const std::string& name = "PNG");

}  // namespace cr::io
