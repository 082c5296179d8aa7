// # Pools
//
// A window slides over the places of each plane of x and keeps one number of what it sees: the largest or the mean. x is
// (n, c, places…) or (c, places…) with as many dimensions of places as the name says; `kernel_size` has a number for each,
// or one for all. What is optional stands in a struct:
//
//     max_pool2d(x, 2)
//     max_pool2d(x, {3, 3}, {.stride = {2}, .padding = {1}})
//
// All throw ShapeError for sizes that do not fit and DTypeError for types they do not take.
#pragma once

#include "ops/places.hpp"
#include "ops/sort.hpp"

namespace cr {

using Sizes = PerPlace;

// ## The largest number
//
// Windows begin `stride` apart, the kernel's own size if that is left out. `padding` puts so much of −∞ on each side, at most
// half of what a window spans; `dilation` is the distance of the places that a window looks at. A last window that hangs over
// the far edge counts in `ceil_mode`, unless it begins beyond it. NaN is the largest of all.
struct MaxPool {
  Sizes stride = {}, padding = 0, dilation = 1;
  bool ceil_mode = false;
};
Tensor max_pool1d(const Tensor& x, const Sizes& kernel_size, const MaxPool& options = {});
Tensor max_pool2d(const Tensor& x, const Sizes& kernel_size, const MaxPool& options = {});
Tensor max_pool3d(const Tensor& x, const Sizes& kernel_size, const MaxPool& options = {});

// And where in its plane each lies, counting row by row: the first of equals.
ValuesIndices max_pool1d_with_indices(const Tensor& x, const Sizes& kernel_size, const MaxPool& options = {});
ValuesIndices max_pool2d_with_indices(const Tensor& x, const Sizes& kernel_size, const MaxPool& options = {});
ValuesIndices max_pool3d_with_indices(const Tensor& x, const Sizes& kernel_size, const MaxPool& options = {});

// Back to a plane of zeros with each number where it was; of several in one place the last. `output_size` (places…) says
// which of the sizes that a pool brings to x's is meant. IndexError for an index outside of the plane.
struct MaxUnpool {
  Sizes stride = {}, padding = 0;
  Sizes output_size = {};
};
Tensor max_unpool1d(const Tensor& x, const Tensor& indices, const Sizes& kernel_size, const MaxUnpool& options = {});
Tensor max_unpool2d(const Tensor& x, const Tensor& indices, const Sizes& kernel_size, const MaxUnpool& options = {});
Tensor max_unpool3d(const Tensor& x, const Tensor& indices, const Sizes& kernel_size, const MaxUnpool& options = {});

// ## The mean
//
// Padding is 0. A window's sum is divided by how many numbers it has, padding included or not, or by `divisor_override`.
struct AvgPool {
  Sizes stride = {}, padding = 0;
  bool ceil_mode = false, count_include_pad = true;
  std::optional<int64_t> divisor_override = {};
};
Tensor avg_pool1d(const Tensor& x, const Sizes& kernel_size, const AvgPool& options = {});
Tensor avg_pool2d(const Tensor& x, const Sizes& kernel_size, const AvgPool& options = {});
Tensor avg_pool3d(const Tensor& x, const Sizes& kernel_size, const AvgPool& options = {});

// (Σ xᵖ)^(1/p), for p = ∞ the largest |x|, for −∞ the smallest. Of a negative sum, which an odd p may have, the root is NaN, or
// for p = 1 the sum itself. Throws Error for p = 0.
struct LpPool {
  Sizes stride = {};
  bool ceil_mode = false;
};
Tensor lp_pool1d(const Tensor& x, double norm_type, const Sizes& kernel_size, const LpPool& options = {});
Tensor lp_pool2d(const Tensor& x, double norm_type, const Sizes& kernel_size, const LpPool& options = {});
Tensor lp_pool3d(const Tensor& x, double norm_type, const Sizes& kernel_size, const LpPool& options = {});

// ## To a given size
//
// Whatever x's size n, `output_size` windows: window i covers the places from i n / size, rounded down, to (i + 1) n / size,
// rounded up. A size of −1 keeps n. So `adaptive_avg_pool2d(x, 1)` is the mean of each plane.
Tensor adaptive_avg_pool1d(const Tensor& x, const Sizes& output_size);
Tensor adaptive_avg_pool2d(const Tensor& x, const Sizes& output_size);
Tensor adaptive_avg_pool3d(const Tensor& x, const Sizes& output_size);
Tensor adaptive_max_pool1d(const Tensor& x, const Sizes& output_size);
Tensor adaptive_max_pool2d(const Tensor& x, const Sizes& output_size);
Tensor adaptive_max_pool3d(const Tensor& x, const Sizes& output_size);
ValuesIndices adaptive_max_pool1d_with_indices(const Tensor& x, const Sizes& output_size);
ValuesIndices adaptive_max_pool2d_with_indices(const Tensor& x, const Sizes& output_size);
ValuesIndices adaptive_max_pool3d_with_indices(const Tensor& x, const Sizes& output_size);

}  // namespace cr
