// # Searching and counting
//
// Operations on values as such: which ones occur, how often, and where they would stand in a sorted list. Their results
// are indices and counts (int64) and have no gradient.
#pragma once

#include "ops/sort.hpp"

namespace cr {

// The different elements in order; for each element of x, which of them it is (x's shape); how often each occurs. Every NaN
// is different from every other. With d: different slices along d, in the order of their elements, and as many numbers as
// there are slices. `unique_consecutive` only drops what repeats its predecessor, and keeps the order.
struct Unique {
  Tensor values, inverse, counts;
};
Unique unique(const Tensor& x, std::optional<int64_t> d = {});
Unique unique_consecutive(const Tensor& x, std::optional<int64_t> d = {});

// How many elements of `sorted` are less than each x (at most x, if `right`): where x could be put in without disorder.
// `sorted` is a line for all, or has a line for each line of x: (…, n), (…, m) → (…, m). bucketize has the arguments the
// other way round, and one line of boundaries.
Tensor searchsorted(const Tensor& sorted, const Tensor& x, bool right = false, const Tensor& sorter = {});
Tensor bucketize(const Tensor& x, const Tensor& boundaries, bool right = false);

// Does each element of x occur among those of `list`? Or, inverted, does it not? (bool, x's shape)
Tensor isin(const Tensor& x, const Tensor& list, bool invert = false);

// (n,) non-negative integers → how often 0, 1, … occur, up to the largest and at least `minlength` numbers; with weights
// (n,), their sums (float64, or float32 for such weights). Throws Error for a negative element.
Tensor bincount(const Tensor& x, const Tensor& weights = {}, int64_t minlength = 0);

// How many elements lie in each of `bins` equal parts of min … max, both ends included; min = max means the range of x.
// Elements outside, and NaN, are not counted. (bins,), of x's type.
Tensor histc(const Tensor& x, int64_t bins = 100, double min = 0, double max = 0);

}  // namespace cr
