// # One declaration for every test of an operation
//
// `cases/<family>.jsonl` declares each operation once; `../golden/make_golden.py` makes cases of it and asks PyTorch for
// their values, which lie in `../golden/ops/<family>`. Here they are read back. A case's line is what `run_ops` takes, and
// `op_table.hpp` turns it into a call.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "compare.hpp"
#include "op_table.hpp"

namespace cr::test {

struct OpCase {
  std::string id, op, family;
  Json line;
  std::vector<std::string> inputs;  // the names of the tensors among its arguments, each once
  std::vector<std::string> grad;    // those that get gradients
  std::map<std::string, std::string> layout;
  int order = 2;         // how many derivatives finite differences check
  double ulps = 1;       // how far from PyTorch the result may be
  double grad_ulps = 2;  // and the gradients
  bool large = false;    // no golden values: `numbers` makes the inputs

  Tensor numbers(const std::string& input) const;
  // The results, with the signs of singular vectors and eigenvectors, which nothing determines, as PyTorch chose them.
  Outputs call(const NamedTensors& tensors) const;
};

// All cases, family by family, in the order of their files.
const std::vector<OpCase>& op_cases();

// The golden tensor of this name: `id/out0`, `id/cotangent0`, `id/grad/0`, or an input.
const Tensor& golden(const OpCase& c, const std::string& name);

// x's numbers laid out in memory otherwise: "contiguous", "transposed" (dimensions in reverse order), "sliced" (every
// second number of a longer row), "expanded" (dimension 0 repeats one row). A tensor without history.
Tensor with_layout(const Tensor& x, const std::string& layout);

// The inputs of a case, in its layouts (or contiguous), as leaves that require gradients where the case wants them.
NamedTensors make_inputs(const OpCase& c, bool layouts = true);

// Those of the results that have a gradient, in order: cotangent j belongs to the j-th.
Outputs differentiable(const Outputs& ys);

// The results of a case, followed by its gradients. Cotangents are numbers between ½ and 1½: ones alone would hide a gradient
// that goes to the wrong place.
std::vector<Tensor> evaluate(const OpCase& c, const NamedTensors& inputs);

}  // namespace cr::test
