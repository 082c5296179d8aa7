#include "data/images.hpp"

#include <algorithm>
#include <filesystem>

#include "backend/parallel.hpp"
#include "data/source.hpp"
#include "io/atomic_file.hpp"
#include "io/bytes.hpp"
#include "io/png.hpp"

namespace cr::data {
namespace {

// ## CIFAR-10
//
// A file is one record after another: a byte for the label, then 1024 bytes each of red, green and blue.
constexpr int64_t kPixels = 3 * 32 * 32, kRecord = 1 + kPixels;

Dataset read_cifar(const std::vector<std::string>& paths) {
  std::vector<std::string> files;
  int64_t n = 0;
  for (const std::string& path : paths) {
    files.push_back(io::read_file(path, 10000 * kRecord));
    const auto bytes = static_cast<int64_t>(files.back().size());
    if (bytes == 0 || bytes % kRecord != 0)
      throw IoError(path + ": " + std::to_string(bytes) + " bytes are not records of 3073, one for each image");
    n += bytes / kRecord;
  }
  Dataset data{empty({n, 3, 32, 32}), empty({n}, DType::int64)};
  float* pixels = data.inputs.mutable_data<float>();
  int64_t* labels = data.targets.mutable_data<int64_t>();
  for (size_t f = 0; f < files.size(); ++f) {
    const auto* at = reinterpret_cast<const unsigned char*>(files[f].data());
    for (const auto* end = at + files[f].size(); at < end; at += kRecord) {
      if (*at > 9) throw IoError(paths[f] + ": holds the label " + std::to_string(*at));
      *labels++ = *at;
      pixels =
          std::transform(at + 1, at + kRecord, pixels, [](unsigned char p) { return static_cast<float>(p) / 255; });
    }
  }
  return data;
}

// ## Omniglot

// The folders, or files, in a folder, sorted; hidden ones are none of ours.
std::vector<std::string> names_in(const std::string& folder, bool folders) {
  std::vector<std::string> names;
  std::error_code error;
  for (std::filesystem::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().string();
    std::error_code ignored;
    if (!name.starts_with('.') && it->is_directory(ignored) == folders) names.push_back(name);
  }
  if (error) throw IoError("cannot read " + folder + ": " + error.message());
  std::sort(names.begin(), names.end());
  return names;
}

// Which old pixels lie within a new one, along one side of a picture, and how much of the new one each of them covers.
struct Share {
  int64_t from;
  double weight;
};
std::vector<std::vector<Share>> shares(int64_t old_size, int64_t size) {
  const double scale = static_cast<double>(old_size) / static_cast<double>(size);
  std::vector<std::vector<Share>> result(static_cast<size_t>(size));
  for (int64_t i = 0; i < size; ++i) {
    const double low = static_cast<double>(i) * scale, high = low + scale;
    for (auto j = static_cast<int64_t>(low); j < old_size && static_cast<double>(j) < high; ++j) {
      const double at = static_cast<double>(j), covered = std::min(high, at + 1) - std::max(low, at);
      result[static_cast<size_t>(i)].push_back({j, covered / scale});
    }
  }
  return result;
}

// Shrinks a square picture: each new pixel is the average of the square that it covers.
void shrink(const float* from, int64_t old_size, float* to, const std::vector<std::vector<Share>>& sides) {
  for (const std::vector<Share>& rows : sides)
    for (const std::vector<Share>& columns : sides) {
      double sum = 0;
      for (const Share& row : rows)
        for (const Share& column : columns)
          sum += row.weight * column.weight * static_cast<double>(from[row.from * old_size + column.from]);
      *to++ = static_cast<float>(sum);
    }
}

constexpr int64_t kDrawing = 105, kDrawers = 20;

// NNNN_DD.png, where DD is the drawer, 01 to 20.
int64_t drawer_of(const std::string& folder, const std::string& file) {
  const auto digit = [&](size_t i) { return file[i] >= '0' && file[i] <= '9'; };
  if (file.size() == 11 && file[4] == '_' && file.ends_with(".png") && digit(5) && digit(6)) {
    const int64_t drawer = (file[5] - '0') * 10 + file[6] - '0';
    if (drawer >= 1 && drawer <= kDrawers) return drawer - 1;
  }
  throw IoError(folder + ": " + io::quote(file) + " is no drawing's name, such as 0001_20.png");
}

// Paper is white in the file, and ink is black.
void read_drawing(const std::string& path, float* to, const std::vector<std::vector<Share>>& sides) {
  const Tensor image = io::read_png(path, {.channels = 1, .max_pixels = kDrawing * kDrawing});
  if (image.shape() != Shape{kDrawing, kDrawing})
    throw IoError(path + ": a picture of " + to_string(image.shape()) + ", not (105, 105)");
  std::vector<float> ink(static_cast<size_t>(kDrawing * kDrawing));
  std::transform(image.data<float>(), image.data<float>() + image.numel(), ink.begin(), [](float v) { return 1 - v; });
  shrink(ink.data(), kDrawing, to, sides);
}

}  // namespace

TrainTest cifar10(const std::string& folder) {
  const Source source(folder, "cifar10", {"cifar10-2k"});
  std::vector<std::string> paths = {source.get("data_batch_1.bin")};
  // A whole data set must not pass for a subset because a file of it is missing.
  bool more = false;
  for (const char* number : {"2", "3", "4", "5"})
    more = more || !source.find(std::string("data_batch_") + number + ".bin").empty();
  for (const char* number : {"2", "3", "4", "5"})
    if (more) paths.push_back(source.get(std::string("data_batch_") + number + ".bin"));
  return {read_cifar(paths), read_cifar({source.get("test_batch.bin")})};
}

Omniglot omniglot(const std::string& folder, const std::string& part, int64_t size) {
  if (size < 1 || size > kDrawing) throw Error("omniglot: size must be from 1 to 105, got " + std::to_string(size));
  const std::string root = Source(folder, "omniglot").get(part);

  // First the names: what there is, and that it is what it should be.
  Omniglot result;
  std::vector<std::string> paths;
  std::vector<int64_t> characters, drawers, alphabets;
  for (const std::string& alphabet : names_in(root, true)) {
    for (const std::string& character : names_in(root + "/" + alphabet, true)) {
      const std::string place = root + "/" + alphabet + "/" + character;
      const std::vector<std::string> files = names_in(place, false);
      if (static_cast<int64_t>(files.size()) != kDrawers)
        throw IoError(place + ": " + std::to_string(files.size()) + " drawings, not 20");
      std::array<bool, kDrawers> seen{};
      for (const std::string& file : files) {
        const int64_t drawer = drawer_of(place, file);
        if (std::exchange(seen[static_cast<size_t>(drawer)], true))
          throw IoError(place + ": two drawings by number " + std::to_string(drawer + 1));
        paths.push_back(place + "/" + file);
        characters.push_back(static_cast<int64_t>(result.names.size()));
        drawers.push_back(drawer);
        alphabets.push_back(static_cast<int64_t>(result.alphabet_names.size()));
      }
      result.names.push_back(alphabet + "/" + character);
    }
    result.alphabet_names.push_back(alphabet);
  }
  if (paths.empty()) throw IoError(root + ": no drawings in it");

  const auto n = static_cast<int64_t>(paths.size());
  result.images = empty({n, size, size});
  float* pixels = result.images.mutable_data<float>();
  const std::vector<std::vector<Share>> sides = shares(kDrawing, size);
  constexpr int64_t kTile = 64;
  backend::parallel_for((n + kTile - 1) / kTile, [&](int64_t tile) {
    for (int64_t i = tile * kTile; i < std::min(n, (tile + 1) * kTile); ++i)
      read_drawing(paths[static_cast<size_t>(i)], pixels + i * size * size, sides);
  });
  const auto column = [&](const std::vector<int64_t>& values) {
    Tensor x = empty({n}, DType::int64);
    std::copy(values.begin(), values.end(), x.mutable_data<int64_t>());
    return x;
  };
  result.characters = column(characters), result.drawers = column(drawers), result.alphabets = column(alphabets);
  return result;
}

}  // namespace cr::data
