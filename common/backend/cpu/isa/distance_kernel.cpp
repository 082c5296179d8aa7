#include "backend/cpu/isa/distance_kernel.hpp"

#include "backend/functor.hpp"

namespace cr::backend::cpu::CR_ISA {
namespace {

// ## Norms
//
// Each knows what one difference contributes, how contributions meet, and what becomes of the total.
template <class T> constexpr T magnitude(T d) { return d < 0 ? -d : d; }

struct Count {  // p = 0
  template <class T> T term(T d) const { return d != 0 ? T(1) : T(0); }
  template <class T> T join(T x, T y) const { return x + y; }
  double finish(double total) const { return total; }
};
struct Sum {  // p = 1
  template <class T> T term(T d) const { return magnitude(d); }
  template <class T> T join(T x, T y) const { return x + y; }
  double finish(double total) const { return total; }
};
struct Euclid {  // p = 2
  template <class T> T term(T d) const { return d * d; }
  template <class T> T join(T x, T y) const { return x + y; }
  double finish(double total) const { return __builtin_sqrt(total); }
};
struct Largest {  // p = ∞; NaN wins
  template <class T> T term(T d) const { return magnitude(d); }
  template <class T> T join(T x, T y) const { return x > y || x != x ? x : y; }
  double finish(double total) const { return total; }
};
struct Power {  // any other p
  double p;
  float term(float d) const { return functor::Pow{}(magnitude(d), static_cast<float>(p)); }
  double term(double d) const { return functor::Pow{}(magnitude(d), p); }
  template <class T> T join(T x, T y) const { return x + y; }
  double finish(double total) const { return functor::Pow{}(total, 1 / p); }
};

// Sixteen lanes run side by side and meet in float64, in the same order on every machine.
template <class T, class Norm> double distance(int64_t k, const T* x, const T* y, Norm norm) {
  constexpr int kLanes = 16;
  T lane[kLanes] = {};
  int64_t i = 0;
  for (; i + kLanes <= k; i += kLanes) {
    for (int j = 0; j < kLanes; ++j) lane[j] = norm.join(lane[j], norm.term(x[i + j] - y[i + j]));
  }
  const int64_t lanes = k < kLanes ? k : kLanes;
  for (int j = 0; i < k; ++i, ++j) lane[j] = norm.join(lane[j], norm.term(x[i] - y[i]));
  double total = 0;
  for (int64_t j = 0; j < lanes; ++j) total = norm.join(total, static_cast<double>(lane[j]));
  return norm.finish(total);
}

template <class T, class Norm> void distances(int64_t n, int64_t k, T* out, const T* x, const T* y, Norm norm) {
  for (int64_t j = 0; j < n; ++j) out[j] = static_cast<T>(distance(k, x, y + j * k, norm));
}

template <class T> void row(int64_t n, int64_t k, void* out, const void* from, const void* to, double p) {
  auto* o = static_cast<T*>(out);
  auto *x = static_cast<const T*>(from), *y = static_cast<const T*>(to);
  if (p == 0) distances(n, k, o, x, y, Count{});
  else if (p == 1) distances(n, k, o, x, y, Sum{});
  else if (p == 2) distances(n, k, o, x, y, Euclid{});
  else if (p == __builtin_inf()) distances(n, k, o, x, y, Largest{});
  else distances(n, k, o, x, y, Power{p});
}

}  // namespace

const DistanceKernels distance_kernels = {{row<float>, row<double>}};

}  // namespace cr::backend::cpu::CR_ISA
