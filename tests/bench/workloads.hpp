// # What is timed
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "nn/fields.hpp"
#include "tensor/tensor.hpp"

namespace cr::bench {

// A step returns what it computed: the loss of a training step.
using Step = std::function<Tensor()>;

// `torch_workloads.py` has the same by the same names.
struct Workload {
  std::string name, group, what;    // group: training, kernels, more
  std::function<Step(DType)> make;  // sets the stage
  double work = 0;                  // of one operation, in `unit`: "GFLOP" or "GB"
  const char* unit = "";
  int64_t operations = 1;  // in one step; times are given for one operation
};
std::vector<Workload> workloads();
std::vector<Workload> kernels();

// ## Numbers that both sides can work out
//
// Weights and data are not stored: tensor number k that is asked for is lo + (hi − lo) · rand(shape, Generator(k)), which
// `torch_workloads.py` computes too, to the last bit. float64 is float32 converted.
class Numbers {
 public:
  explicit Numbers(DType dtype) : dtype_(dtype) {}

  // Where both sides compute. To be set before any workload is made.
  static inline Device device = Device::cpu;

  Tensor uniform(double lo, double hi, const Shape& shape);
  Tensor labels(int64_t classes, const Shape& shape);

  // Matrices and filters lie within ±1/√(inputs), biases within ±0.05; weights of norms stay 1.
  template <class Model> Model initialise(const Model& model) {
    return map_tensors(model, [&](const Tensor& t) { return t.requires_grad() ? weight(t) : as_wanted(t); });
  }

 private:
  Tensor weight(const Tensor& t);
  Tensor as_wanted(const Tensor& t) const;

  DType dtype_;
  uint64_t asked_ = 0;
};

}  // namespace cr::bench
