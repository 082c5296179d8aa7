// # Data sets
//
// A data set is two tensors of the same length: what goes in and what should come out. Row $i$ of `inputs` belongs to
// row $i$ of `targets`. All of it lies in memory.
#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include "tensor/tensor.hpp"

namespace cr::data {

struct Dataset {
  Tensor inputs;   // (n, …)
  Tensor targets;  // (n, …); for class labels (n,) int64

  int64_t size() const { return inputs.size(0); }

  // The first n samples and the rest, as views. Throws IndexError unless 0 ≤ n ≤ size().
  std::pair<Dataset, Dataset> split(int64_t n) const;

  Dataset to(Device device) const { return {inputs.to(device), targets.to(device)}; }
};

struct TrainTest {
  Dataset train, test;
};

// MNIST, or a data set in the same four files such as Fashion-MNIST, or a part of one: images (n, 28, 28) float32 in [0, 1], labels (n,)
// int64 from 0 to 9. The files are looked for in `folder`/`name` and in `folder` itself, plain or compressed (.gz);
// without a `folder`, the environment variable CHAINRULE_DATA says where. Throws IoError, one line, when they are not
// there (it says where they were looked for, and how to name the place) or do not fit together.
TrainTest mnist(const std::string& folder = "", const std::string& name = "mnist");

}  // namespace cr::data
