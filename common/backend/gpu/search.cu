// # Searching in order
//
// A thread for each number: halve the sorted line until one place is left.
#include "backend/gpu/gpu.cuh"
#include "backend/gpu/places.cuh"
#include "backend/gpu/waist.hpp"

namespace cr::backend::CR_GPU {
namespace {

// NaN is the largest number.
template <class T> __device__ bool less(T x, T y) { return x < y || (y != y && x == x); }

template <bool right, class T>
__global__ void search_kernel(int64_t total, int64_t* out, const T* sorted, const T* x, int64_t n, int64_t width) {
  for (int64_t i = first_element(); i < total; i += all_threads()) {
    const T number = x[i];
    const T* line = sorted + i / width * n;
    int64_t low = 0, high = n;
    while (low < high) {
      const int64_t middle = low + (high - low) / 2;
      const bool before = right ? !less(number, line[middle]) : less(line[middle], number);
      if (before) low = middle + 1;
      else high = middle;
    }
    out[i] = low;
  }
}

}  // namespace

void Waist::search_sorted(const Tensor& out, const Tensor& sorted, const Tensor& x, bool right) {
  const int64_t n = sorted.shape().back(), total = x.numel();
  if (total == 0) return;
  const int64_t width = sorted.dim() == 1 ? total : x.shape().back();
  dispatch(x.dtype(), [&](auto t) {
    using T = decltype(t);
    auto* kernel = right ? search_kernel<true, T> : search_kernel<false, T>;
    launch("searchsorted", kernel, grid_for(total), total, elements<int64_t>(out), elements<const T>(sorted),
           elements<const T>(x), n, width);
  });
}

}  // namespace cr::backend::CR_GPU
