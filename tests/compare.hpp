// # Comparing tensors in tests
#pragma once

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

// Empty if `got` has the type, shape and numbers of `want`, otherwise the first difference in words. A number may differ
// by `ulps` units in its last place, or in that of the tensor's largest number times `of_largest`.
std::string difference(const Tensor& got, const Tensor& want, double ulps = 0, double of_largest = 0);

// The numbers of x, row by row.
std::vector<double> numbers_of(const Tensor& x);
Tensor from_numbers(const std::vector<double>& values, const Shape& shape, DType dtype);

// The devices of this machine and build besides the CPU.
std::vector<Device> other_devices();

// The path of a file below tests/.
std::string test_file(const std::string& path);

// The type of this name; throws Error if there is none.
DType dtype_named(const std::string& name);

}  // namespace cr::test
