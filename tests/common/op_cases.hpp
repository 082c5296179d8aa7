// # One declaration for every test of an operation
//
// `op_cases.jsonl` declares each operation once; `../golden/make_golden.py` makes cases of it and asks PyTorch for their
// values. Here the cases are read back, and an operation's name becomes a call of ours.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "chainrule.hpp"

namespace cr::test {

// Is this a build with a sanitizer? It takes ten times as long, so the largest tests do less there.
#if defined(__has_feature)
#define CHAINRULE_TEST_HAS_FEATURE(f) __has_feature(f)
#else
#define CHAINRULE_TEST_HAS_FEATURE(f) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || CHAINRULE_TEST_HAS_FEATURE(address_sanitizer) || \
    CHAINRULE_TEST_HAS_FEATURE(thread_sanitizer)
inline constexpr bool kSanitized = true;
#else
inline constexpr bool kSanitized = false;
#endif

using Tensors = std::map<std::string, Tensor>;

struct OpCase {
  std::string id, op;
  std::vector<std::string> inputs;  // the names of the tensors among its arguments, each once
  std::vector<std::string> grad;    // those that get gradients
  std::map<std::string, std::string> layout;
  int order = 2;       // how many derivatives finite differences check
  double ulps = 1;     // how far from PyTorch the result may be
  bool large = false;  // no golden values: `numbers` makes the inputs
  std::function<Tensor(const std::string&)> numbers;
  std::function<Tensor(const Tensors&)> call;
};

// All cases, in the order of the file.
const std::vector<OpCase>& op_cases();

// The golden tensor of this name.
const Tensor& golden(const std::string& name);

// The names that `OpCase::call` knows.
std::vector<std::string> known_ops();

// x's numbers laid out in memory otherwise: "contiguous", "transposed" (dimensions in reverse order), "sliced" (every
// second number of a longer row), "expanded" (dimension 0 repeats one row). A tensor without history.
Tensor with_layout(const Tensor& x, const std::string& layout);

// The inputs of a case, in its layouts (or contiguous), as leaves that require gradients where the case wants them.
Tensors make_inputs(const OpCase& c, bool layouts = true);

// Empty if `got` has the type, shape and numbers of `want`, otherwise the first difference in words. A number may differ
// by `ulps` units in its last place, or in that of the tensor's largest number times `of_largest`.
std::string difference(const Tensor& got, const Tensor& want, double ulps = 0, double of_largest = 0);

// Are type, shape and all bits the same? (A NaN equals a NaN.)
inline std::string bit_difference(const Tensor& got, const Tensor& want) { return difference(got, want, 0, 0); }

// The numbers of x, row by row.
std::vector<double> numbers_of(const Tensor& x);
Tensor from_numbers(const std::vector<double>& values, const Shape& shape, DType dtype);

// The path of a file below tests/.
std::string test_file(const std::string& path);

}  // namespace cr::test
