// # Softmax and cross-entropy
//
// Along the last dimension of contiguous tensors: a team (`team.cuh`) for each row. Three times it goes through its row, for
// the largest number, for the sum and for the result; the second and the third time the row lies in a cache.
//
// The largest number m is subtracted first: $e^{1000}$ overflows, $e^{1000 - 1000}$ does not, and the quotient is the same.
#include <limits>

#include "backend/functor.hpp"
#include "backend/gpu/gpu.cuh"
#include "backend/gpu/places.cuh"
#include "backend/gpu/team.cuh"
#include "backend/gpu/waist.hpp"

namespace cr::backend::CR_GPU {
namespace {

// m, for all members of the team; NaN if one number is.
template <int team, class T> __device__ T row_largest(int64_t n, const T* x) {
  T most = -std::numeric_limits<T>::infinity();
  for (int64_t j = threadIdx.x; j < n; j += team) most = functor::Max{}(most, x[j]);
  return team_total<functor::Max, team>(most);
}

// $\sum_j e^{x_j - m}$
template <int team, class T> __device__ double row_sum(int64_t n, const T* x, T m) {
  double sum = 0;
  for (int64_t j = threadIdx.x; j < n; j += team) sum += static_cast<double>(functor::vexp(x[j] - m));
  return team_total<functor::Sum, team>(sum);
}

// $\ln \sum_j e^{x_j}$. If the largest is infinite, or there is a NaN, so is the result.
template <int team, class T> __device__ double row_logsumexp(int64_t n, const T* x) {
  const T m = row_largest<team>(n, x);
  const double sum = row_sum<team>(n, x, m);
  if (!(m - m == 0)) return static_cast<double>(m);
  if constexpr (std::is_same_v<T, float>) return static_cast<double>(m) + functor::wide_log(sum);
  else return m + functor::vlog(sum);
}

// A log-sum-exp as two numbers of type T: the nearest one, and what is left of it. At logits near 1000, float32's last digit is
// 0.00006: taking both parts away one after the other keeps what matters, the small differences to the largest.
template <class T> struct Split { T high, low; };
template <class T> __device__ Split<T> split(double logsumexp) {
  const T high = static_cast<T>(logsumexp);
  const double rest = logsumexp - static_cast<double>(high);
  return {high, rest == rest ? static_cast<T>(rest) : T(0)};  // infinite: nothing is left
}

template <bool log, int team, class T> __global__ void softmax_kernel(int64_t rows, int64_t n, T* out, const T* x) {
  for (int64_t row = first_row(); row < rows; row += all_rows()) {
    const T* from = x + row * n;
    T* to = out + row * n;
    if constexpr (log) {
      const Split<T> lse = split<T>(row_logsumexp<team>(n, from));
      for (int64_t j = threadIdx.x; j < n; j += team) to[j] = (from[j] - lse.high) - lse.low;
    } else {
      const T m = row_largest<team>(n, from), scale = static_cast<T>(1 / row_sum<team>(n, from, m));
      for (int64_t j = threadIdx.x; j < n; j += team) to[j] = functor::vexp(from[j] - m) * scale;
    }
  }
}

template <bool log, int team, class T>
__global__ void softmax_backward_kernel(int64_t rows, int64_t n, T* dx, const T* y, const T* dy) {
  for (int64_t row = first_row(); row < rows; row += all_rows()) {
    const int64_t begin = row * n;
    double sum = 0;
    for (int64_t j = begin + threadIdx.x; j < begin + n; j += team)
      sum += static_cast<double>(log ? dy[j] : dy[j] * y[j]);
    const T total = static_cast<T>(team_total<functor::Sum, team>(sum));
    for (int64_t j = begin + threadIdx.x; j < begin + n; j += team) {
      if constexpr (log) dx[j] = dy[j] - functor::vexp(y[j]) * total;
      else dx[j] = dy[j] * y[j] - y[j] * total;
    }
  }
}

template <int team, class T> __global__ void logsumexp_kernel(int64_t rows, int64_t n, T* out, const T* x) {
  for (int64_t row = first_row(); row < rows; row += all_rows()) {
    const double lse = row_logsumexp<team>(n, x + row * n);
    if (threadIdx.x == 0) out[row] = static_cast<T>(lse);
  }
}

// ## Cross-entropy
//
// The label chooses one logit of its row. A label that is no class is left alone and counted out by its row: the host reads
// the first such row and throws.
template <int team, class T>
__global__ void cross_entropy_kernel(int64_t rows, int64_t n, T* loss, double* logsumexp, const T* x,
                                     const int64_t* target, unsigned long long* wrong_row) {
  for (int64_t row = first_row(); row < rows; row += all_rows()) {
    const T* from = x + row * n;
    double lse = row_logsumexp<team>(n, from);
    if (threadIdx.x != 0) continue;
    const int64_t label = target[row];
    if (label < 0 || label >= n) {
      atomicMin(wrong_row, static_cast<unsigned long long>(row));
      continue;
    }
    constexpr double kInfinity = std::numeric_limits<double>::infinity();
    if (lse == kInfinity) lse = std::numeric_limits<double>::quiet_NaN();  // a logit is ∞: its share would be ∞ / ∞
    logsumexp[row] = lse;
    loss[row] = static_cast<T>(lse - static_cast<double>(from[label]));
  }
}

// Element i of dx is $(\mathrm{softmax}(x)_j - [j = \mathrm{label}])$ times the row's gradient.
template <class T>
__global__ void cross_entropy_backward_kernel(int64_t rows, int64_t n, T* dx, const T* x, const int64_t* target,
                                              const double* logsumexp, const T* dloss) {
  for (int64_t i = first_element(); i < rows * n; i += all_threads()) {
    const int64_t row = i / n, j = i - row * n;
    const Split<T> lse = split<T>(logsumexp[row]);
    const T scale = dloss[row], share = functor::vexp((x[i] - lse.high) - lse.low) * scale;
    dx[i] = j == target[row] ? share - scale : share;
  }
}

int64_t row_length(const Tensor& x) { return x.dim() ? x.shape().back() : 1; }

}  // namespace

// ## The launches
void Waist::softmax(const Tensor& out, const Tensor& x, bool log) {
  if (x.numel() == 0) return;
  const int64_t n = row_length(x), rows = x.numel() / n;
  dispatch_floating(x.dtype(), "softmax", [&](auto t) {
    using T = decltype(t);
    with_team(n, [&](auto team) {
      auto* kernel = log ? softmax_kernel<true, team(), T> : softmax_kernel<false, team(), T>;
      launch(log ? "log_softmax" : "softmax", kernel, grid_for_rows<team()>(rows), rows, n, elements<T>(out),
             elements<const T>(x));
    });
  });
}

void Waist::softmax_backward(const Tensor& dx, const Tensor& y, const Tensor& dy, bool log) {
  if (y.numel() == 0) return;
  const int64_t n = row_length(y), rows = y.numel() / n;
  dispatch_floating(y.dtype(), "softmax", [&](auto t) {
    using T = decltype(t);
    with_team(n, [&](auto team) {
      auto* kernel = log ? softmax_backward_kernel<true, team(), T> : softmax_backward_kernel<false, team(), T>;
      launch("softmax backward", kernel, grid_for_rows<team()>(rows), rows, n, elements<T>(dx), elements<const T>(y),
             elements<const T>(dy));
    });
  });
}

void Waist::logsumexp(const Tensor& out, const Tensor& x) {
  if (x.numel() == 0) return fill(out, -std::numeric_limits<double>::infinity());
  const int64_t n = row_length(x), rows = x.numel() / n;
  dispatch_floating(x.dtype(), "logsumexp", [&](auto t) {
    using T = decltype(t);
    with_team(n, [&](auto team) {
      launch("logsumexp", logsumexp_kernel<team(), T>, grid_for_rows<team()>(rows), rows, n, elements<T>(out),
             elements<const T>(x));
    });
  });
}

void Waist::cross_entropy(const Tensor& loss, const Tensor& logsumexp, const Tensor& x, const Tensor& target) {
  const int64_t n = row_length(x), rows = n ? x.numel() / n : 0;
  if (rows == 0) return;
  const Tensor wrong_row = full({1}, rows, DType::int64, x.device());
  dispatch_floating(x.dtype(), "cross_entropy", [&](auto t) {
    using T = decltype(t);
    with_team(n, [&](auto team) {
      launch("cross_entropy", cross_entropy_kernel<team(), T>, grid_for_rows<team()>(rows), rows, n, elements<T>(loss),
             elements<double>(logsumexp), elements<const T>(x), elements<const int64_t>(target),
             reinterpret_cast<unsigned long long*>(elements<int64_t>(wrong_row)));
    });
  });
  const auto row = backend::copy(wrong_row, DType::int64, Device::cpu).item<int64_t>();
  if (row == rows) return;
  const auto label = backend::copy(target, DType::int64, Device::cpu).data<int64_t>()[row];
  throw IndexError("cross_entropy: label " + std::to_string(label) + " in row " + std::to_string(row) +
                   ", but there are " + std::to_string(n) + " classes");
}

void Waist::cross_entropy_backward(const Tensor& dx, const Tensor& x, const Tensor& target, const Tensor& logsumexp,
                                   const Tensor& dloss) {
  if (x.numel() == 0) return;
  const int64_t n = row_length(x), rows = x.numel() / n;
  dispatch_floating(x.dtype(), "cross_entropy", [&](auto t) {
    using T = decltype(t);
    launch("cross_entropy backward", cross_entropy_backward_kernel<T>, grid_for(rows * n), rows, n, elements<T>(dx),
           elements<const T>(x), elements<const int64_t>(target), elements<const double>(logsumexp),
           elements<const T>(dloss));
  });
}

}  // namespace cr::backend::CR_GPU
