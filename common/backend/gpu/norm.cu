// # Layer norm
//
// A team of threads takes a row: its mean, its variance, its result. Batch norm is in `batch_norm.cu`.
#include "backend/functor.hpp"
#include "backend/gpu/block.cuh"
#include "backend/gpu/gpu.cuh"
#include "backend/gpu/norm.cuh"
#include "backend/gpu/scratch.cuh"
#include "backend/gpu/team.cuh"
#include "backend/gpu/waist.hpp"

namespace cr::backend::CR_GPU {
namespace {

// weight and bias may be null; without `mean` rows are not centered.
template <class T> struct Rows {
  int64_t rows, n;
  T* y;
  double *mean, *var;
  const T *x, *weight, *bias;
  double eps;
};

// ## Forward
//
// Adding up numbers near 10000 rounds each sum to their digits. So the first mean is only near; what is left around it gives
// the rest, and the squares, from which only the square of that small rest is taken away.
template <int team, class T> __global__ void layer_norm_kernel(Rows<T> p) {
  const int t = static_cast<int>(threadIdx.x);
  const double count = static_cast<double>(p.n);
  for (int64_t row = first_row(); row < p.rows; row += all_rows()) {
    const T* x = p.x + row * p.n;
    double mean = 0, var = 0;
    if (p.mean) {
      const double sum = team_total<functor::Sum, team>(sum_of<T>(t, p.n, team, [&](int64_t i) { return x[i]; }));
      const T near = static_cast<T>(sum / count);
      LongSum<T> around, squares;
      for (int64_t i = t; i < p.n; i += team) {
        const T d = x[i] - near;
        around.add(d);
        squares.add(d * d);
      }
      const double rest_sum = team_total<functor::Sum, team>(around.value()), rest = rest_sum / count;
      const double square = team_total<functor::Sum, team>(squares.value()) - rest * rest_sum;
      mean = static_cast<double>(near) + rest;
      var = (square < 0 ? 0 : square) / count;
    } else {
      var = team_total<functor::Sum, team>(sum_of<T>(t, p.n, team, [&](int64_t i) { return x[i] * x[i]; })) / count;
    }
    if (t == 0) {
      if (p.mean) p.mean[row] = mean;
      p.var[row] = var;
    }
    const Centered<T> centered(mean, var, p.eps);
    for (int64_t i = t; i < p.n; i += team) {
      T y = centered(x[i]);
      if (p.weight) y *= p.weight[i];
      if (p.bias) y += p.bias[i];
      p.y[row * p.n + i] = y;
    }
  }
}

// ## Backward
//
// With g = dy · weight and x̂ = (x − mean) / √(var + eps):  dx = (g − mean g − x̂ · mean(g x̂)) / √(var + eps).
template <class T> struct RowGradients {
  int64_t rows, n;
  T* dx;
  const T *dy, *x, *weight;
  const double *mean, *var;
  double eps;
  Centered<T>* centered;  // kept for the sums over rows; or null
};

template <int team, class T> __global__ void layer_norm_backward_kernel(RowGradients<T> p) {
  const int t = static_cast<int>(threadIdx.x);
  const double count = static_cast<double>(p.n);
  for (int64_t row = first_row(); row < p.rows; row += all_rows()) {
    const T *x = p.x + row * p.n, *dy = p.dy + row * p.n;
    const Centered<T> centered(p.mean ? p.mean[row] : 0, p.var[row], p.eps);
    if (p.centered && t == 0) p.centered[row] = centered;
    auto g = [&](int64_t i) { return p.weight ? dy[i] * p.weight[i] : dy[i]; };
    LongSum<T> plain, times_x;
    for (int64_t i = t; i < p.n; i += team) {
      plain.add(g(i));
      times_x.add(g(i) * centered(x[i]));
    }
    const double sum = team_total<functor::Sum, team>(plain.value()),
                 sum_x = team_total<functor::Sum, team>(times_x.value());
    const T level = p.mean ? static_cast<T>(sum / count) : T(0), slope = static_cast<T>(sum_x / count);
    for (int64_t i = t; i < p.n; i += team)
      p.dx[row * p.n + i] = centered.scale * (g(i) - level - centered(x[i]) * slope);
  }
}

// The gradients of weight and bias are sums down the columns. A block takes 32 columns of some rows; `sums`, (parts, 2, n),
// holds what each part of the rows gives.
constexpr int kColumns = 32, kRowsAtOnce = 4;
template <class T> __global__ void column_kernel(RowGradients<T> p, int64_t parts, double* sums) {
  constexpr int kThreads = kColumns * kRowsAtOnce;
  const int64_t column = int64_t{blockIdx.x} * kColumns + threadIdx.x % kColumns;
  for (int64_t part = blockIdx.z; part < parts; part += gridDim.z) {
    const int64_t end = p.rows * (part + 1) / parts;
    LongSum<T> plain, times_x;
    for (int64_t row = p.rows * part / parts + threadIdx.x / kColumns; row < end && column < p.n; row += kRowsAtOnce) {
      const T dy = p.dy[row * p.n + column];
      plain.add(dy);
      times_x.add(dy * p.centered[row](p.x[row * p.n + column]));
    }
    const double total = block_sum<kThreads>(plain.value(), kColumns);
    const double total_x = block_sum<kThreads>(times_x.value(), kColumns);
    if (threadIdx.x >= kColumns || column >= p.n) continue;
    sums[2 * part * p.n + column] = total_x;
    sums[(2 * part + 1) * p.n + column] = total;
  }
}

template <class T> __global__ void meet_kernel(int64_t n, int64_t parts, const double* sums, T* dweight, T* dbias) {
  for (int64_t i = first_element(); i < n; i += all_threads()) {
    double total = 0, total_x = 0;
    for (int64_t part = 0; part < parts; ++part) {
      total_x += sums[2 * part * n + i];
      total += sums[(2 * part + 1) * n + i];
    }
    if (dweight) dweight[i] = static_cast<T>(total_x);
    if (dbias) dbias[i] = static_cast<T>(total);
  }
}

}  // namespace

void Waist::layer_norm(const Tensor& y, const Tensor& mean, const Tensor& var, const Tensor& x, const Tensor& weight,
                       const Tensor& bias, double eps) {
  if (x.shape()[0] == 0) return;
  dispatch_floating(x.dtype(), "layer_norm", [&](auto type) {
    using T = decltype(type);
    const Rows<T> p{x.shape()[0],
                    x.shape()[1],
                    elements<T>(y),
                    elements<double>(mean),
                    elements<double>(var),
                    elements<const T>(x),
                    elements<const T>(weight),
                    elements<const T>(bias),
                    eps};
    with_team(p.n,
              [&](auto team) { launch("layer_norm", layer_norm_kernel<team(), T>, grid_for_rows<team()>(p.rows), p); });
  });
}

void Waist::layer_norm_backward(const Tensor& dx, const Tensor& dweight, const Tensor& dbias, const Tensor& dy,
                                const Tensor& x, const Tensor& weight, const Tensor& mean, const Tensor& var,
                                double eps) {
  const int64_t rows = x.shape()[0], n = x.shape()[1];
  dispatch_floating(x.dtype(), "layer_norm", [&](auto type) {
    using T = decltype(type);
    const bool sums = (dweight.defined() || dbias.defined()) && n > 0;
    // Scratch memory counts in T: three of them for each row.
    const Scratch<T> centered(sums ? rows * 3 : 0, x.device());
    const RowGradients<T> p{rows,
                            n,
                            elements<T>(dx),
                            elements<const T>(dy),
                            elements<const T>(x),
                            elements<const T>(weight),
                            elements<const double>(mean),
                            elements<const double>(var),
                            eps,
                            reinterpret_cast<Centered<T>*>(centered.data())};
    if (rows > 0) {
      with_team(n, [&](auto team) {
        launch("layer_norm_backward", layer_norm_backward_kernel<team(), T>, grid_for_rows<team()>(rows), p);
      });
    }
    if (!sums) return;
    const int64_t across = pieces(n, kColumns);
    const int64_t parts = parts_of(rows, across, 64);
    const Scratch<double> partial(parts * 2 * n, x.device());
    launch("layer_norm_columns", column_kernel<T>,
           {.blocks = {static_cast<unsigned>(across), 1, deep(parts)}, .threads = {kColumns * kRowsAtOnce}}, p, parts,
           partial.data());
    launch("layer_norm_meet", meet_kernel<T>, grid_for(n), n, parts, partial.data(), elements<T>(dweight),
           elements<T>(dbias));
  });
}

}  // namespace cr::backend::CR_GPU
