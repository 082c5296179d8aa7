// # Pictures
//
// The real pictures of the book beside MNIST (`data/dataset.hpp`). `./run data NAME` fetches them. All loaders throw
// IoError, one line, when a file is missing (it says where they looked), damaged, or not what it should be.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "data/dataset.hpp"

namespace cr::data {

// CIFAR-10 (Krizhevsky, 2009): photographs of ten kinds of things. Images (n, 3, 32, 32) float32 in [0, 1], red, green,
// blue; labels (n,) int64, places in `kCifar10Classes`. Read are data_batch_1.bin to data_batch_5.bin and test_batch.bin;
// a subset has only the first of the five.
inline constexpr std::array<const char*, 10> kCifar10Classes = {"airplane", "automobile", "bird",  "cat",  "deer",
                                                                "dog",      "frog",       "horse", "ship", "truck"};
TrainTest cifar10(const std::string& folder = "");

// Omniglot (Lake, Salakhutdinov and Tenenbaum, 2015): characters of 50 alphabets, each drawn once by 20 people.
struct Omniglot {
  Tensor images;                   // (n, size, size) float32: 1 is ink, 0 paper
  Tensor characters;               // (n,) int64: places in `names`
  Tensor drawers;                  // (n,) int64, from 0 to 19
  Tensor alphabets;                // (n,) int64: places in `alphabet_names`
  std::vector<std::string> names;  // "Greek/character01", sorted
  std::vector<std::string> alphabet_names;
};

// Reads the part images_background (964 characters, to learn from) or images_evaluation (659 others), in the order of
// the names and drawers. A drawing has 105 x 105 pixels; a smaller `size`, from 1 on, gives their averages: 28 is usual,
// and takes 60 MB for the larger part, where 105 would take 850. Throws Error for another size.
Omniglot omniglot(const std::string& folder = "", const std::string& part = "images_background", int64_t size = 28);

}  // namespace cr::data
