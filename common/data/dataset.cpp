#include "data/dataset.hpp"

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "io/idx.hpp"

namespace cr::data {
namespace {

// Rows first to last - 1 as a view.
Tensor rows(const Tensor& x, int64_t first, int64_t last) {
  Shape shape = x.shape();
  shape[0] = last - first;
  return window(x, shape, x.strides(), x.impl()->offset + first * x.strides()[0]);
}

// The path of one of the four files.
std::string find_file(const std::string& folder, const std::string& name, const std::string& file) {
  for (const std::string& place : {folder + "/" + name + "/" + file, folder + "/" + file})
    for (const char* ending : {"", ".gz"}) {
      std::error_code ignored;
      if (std::filesystem::exists(place + ending, ignored)) return place + ending;
    }
  throw IoError(name + ": no " + file + ".gz in " + folder + "/" + name + " or " + folder +
                "; put the data set's four files into a folder DIR/" + name +
                " and say --data DIR or CHAINRULE_DATA=DIR");
}

Dataset read_part(const std::string& folder, const std::string& name, const std::string& part) {
  const std::string image_path = find_file(folder, name, part + "-images-idx3-ubyte");
  const std::string label_path = find_file(folder, name, part + "-labels-idx1-ubyte");
  Dataset data{io::read_idx(image_path, DType::float32, 1 / 255.), io::read_idx(label_path, DType::int64)};
  if (data.inputs.dim() != 3 || data.inputs.size(1) != 28 || data.inputs.size(2) != 28)
    throw IoError(image_path + ": holds " + to_string(data.inputs.shape()) + ", not images of 28 x 28");
  if (data.targets.shape() != Shape{data.size()})
    throw IoError(label_path + ": holds " + to_string(data.targets.shape()) + " labels for " +
                  std::to_string(data.size()) + " images");
  for (int64_t label : data.targets.span<int64_t>())
    if (label < 0 || label > 9) throw IoError(label_path + ": holds the label " + std::to_string(label));
  return data;
}

}  // namespace

std::pair<Dataset, Dataset> Dataset::split(int64_t n) const {
  if (n < 0 || n > size())
    throw IndexError("split: cannot take " + std::to_string(n) + " of " + std::to_string(size()) + " samples");
  return {{rows(inputs, 0, n), rows(targets, 0, n)}, {rows(inputs, n, size()), rows(targets, n, size())}};
}

TrainTest mnist(const std::string& folder, const std::string& name) {
  std::string place = folder;
  if (const char* environment = std::getenv("CHAINRULE_DATA"); place.empty() && environment) place = environment;
  if (place.empty())
    throw IoError(name + ": no place to look in; say --data DIR or CHAINRULE_DATA=DIR, where DIR/" + name +
                  " holds the data set's four files");
  return {read_part(place, name, "train"), read_part(place, name, "t10k")};
}

}  // namespace cr::data
