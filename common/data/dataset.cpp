#include "data/dataset.hpp"

#include <fmt/format.h>

#include <cmath>

#include "data/source.hpp"
#include "io/idx.hpp"

namespace cr::data {
namespace {

// Rows first to last - 1 as a view.
Tensor rows(const Tensor& x, int64_t first, int64_t last) {
  Shape shape = x.shape();
  shape[0] = last - first;
  return window(x, shape, x.strides(), x.impl()->offset + first * x.strides()[0]);
}

Dataset read_part(const Source& source, const std::string& part) {
  const std::string image_path = source.get(part + "-images-idx3-ubyte");
  const std::string label_path = source.get(part + "-labels-idx1-ubyte");
  const Tensor images = io::read_idx(image_path, DType::float32, 1 / 255.);
  if (images.dim() != 3 || images.size(1) != 28 || images.size(2) != 28)
    throw IoError(image_path + ": holds " + to_string(images.shape()) + ", not images of 28 x 28");
  for (float pixel : images.span<float>())
    if (!(pixel >= 0 && pixel <= 1)) throw IoError(image_path + ": holds a pixel that is no byte");

  // The format has floating labels too: NaN is none, and neither is 2.5.
  const Tensor labels = io::read_idx(label_path, DType::float64);
  if (labels.shape() != Shape{images.size(0)})
    throw IoError(label_path + ": holds " + to_string(labels.shape()) + " labels for " +
                  std::to_string(images.size(0)) + " images");
  for (double label : labels.span<double>())
    if (!(label >= 0 && label <= 9 && label == std::floor(label)))
      throw IoError(label_path + ": holds the label " + fmt::format("{}", label));
  return {images, labels.to(DType::int64)};
}

}  // namespace

std::pair<Dataset, Dataset> Dataset::split(int64_t n) const {
  if (n < 0 || n > size())
    throw IndexError("split: cannot take " + std::to_string(n) + " of " + std::to_string(size()) + " samples");
  return {{rows(inputs, 0, n), rows(targets, 0, n)}, {rows(inputs, n, size()), rows(targets, n, size())}};
}

TrainTest mnist(const std::string& folder, const std::string& name) {
  const Source source(folder, name);
  return {read_part(source, "train"), read_part(source, "t10k")};
}

}  // namespace cr::data
