#include "backend/cpu/lapack.hpp"

#include <dlfcn.h>

#include <climits>
#include <vector>

// Of Armadillo, only its declarations of LAPACK are used.
#define ARMA_DONT_USE_OPENMP
#include <armadillo>

#include "backend/cpu/small_lapack.hpp"
#include "tensor/error.hpp"

namespace cr::backend::cpu {
namespace {

using Int = arma::blas_int;

// Which BLAS there is shows only when the program runs, so its switch is looked up by name. Asked every time, since
// somebody else in the process may have turned it; it costs a few nanoseconds.
void one_thread() {
  using Set = void (*)(int);
  static const Set switches[] = {reinterpret_cast<Set>(dlsym(RTLD_DEFAULT, "openblas_set_num_threads")),
                                 reinterpret_cast<Set>(dlsym(RTLD_DEFAULT, "MKL_Set_Num_Threads"))};
  for (Set set : switches) {
    if (set) set(1);
  }
}

// A size as LAPACK takes it.
Int size(int64_t n) {
  if (n > INT_MAX)
    throw ShapeError("linalg: a matrix with a side of " + std::to_string(n) + " is too large for LAPACK");
  return static_cast<Int>(n);
}

size_t count(int64_t n) { return static_cast<size_t>(n); }

// Calls f(work, length) twice: with length -1 it says how much room it wants.
template <class T, class F> void with_work(F&& f) {
  T best = 0;
  f(&best, Int(-1));
  Int length = std::max<Int>(1, static_cast<Int>(best * T(1.0000002)));  // a float rounds large sizes down
  std::vector<T> work(count(length));
  f(work.data(), length);
}

char lower = 'L';

}  // namespace

template <class T> int64_t Lapack<T>::cholesky(T* a, int64_t n) {
  one_thread();
  Int rows = size(n), info = 0;
  arma::lapack::potrf(&lower, &rows, a, &rows, &info);
  // NaN is no pivot either, but some versions let it pass.
  for (int64_t i = 0; info == 0 && i < n; ++i) {
    if (!(a[i + i * n] > 0)) info = static_cast<Int>(i + 1);
  }
  return info;
}

template <class T> int64_t Lapack<T>::lu(T* a, int64_t m, int64_t n, int64_t* pivots) {
  one_thread();
  Int rows = size(m), columns = size(n), info = 0;
  std::vector<Int> exchanged(count(std::min(m, n)));
  arma::lapack::getrf(&rows, &columns, a, &rows, exchanged.data(), &info);
  std::copy(exchanged.begin(), exchanged.end(), pivots);
  return info;
}

template <class T> void Lapack<T>::solve_triangular(const T* a, bool upper, bool unit, T* b, int64_t n, int64_t k) {
  one_thread();
  char triangle = upper ? 'U' : 'L', transposed = 'N', diagonal = unit ? 'U' : 'N';
  Int rows = size(n), columns = size(k), info = 0;
  arma::lapack::trtrs(&triangle, &transposed, &diagonal, &rows, &columns, a, &rows, b, &rows, &info);
  // LAPACK refuses to divide by zero. We want the infinities.
  if (info > 0) SmallLapack<T>::solve_triangular(a, upper, unit, b, n, k);
}

template <class T> void Lapack<T>::qr(T* a, int64_t m, int64_t n, T* tau) {
  one_thread();
  Int rows = size(m), columns = size(n), info = 0;
  with_work<T>([&](T* work, Int length) { arma::lapack::geqrf(&rows, &columns, a, &rows, tau, work, &length, &info); });
}

template <class T> void Lapack<T>::householder_product(T* q, int64_t m, int64_t n, int64_t k, const T* tau) {
  one_thread();
  Int rows = size(m), columns = size(n), reflections = size(k), info = 0;
  with_work<T>([&](T* work, Int length) {
    arma::lapack::orgqr(&rows, &columns, &reflections, q, &rows, const_cast<T*>(tau), work, &length, &info);
  });
}

template <class T> int64_t Lapack<T>::eigh(T* a, int64_t n, T* values, bool upper, bool vectors) {
  one_thread();
  char job = vectors ? 'V' : 'N', triangle = upper ? 'U' : 'L';
  Int rows = size(n), info = 0, best = 0, query = -1;
  T best_work = 0;
  arma::lapack::syevd(&job, &triangle, &rows, a, &rows, values, &best_work, &query, &best, &query, &info);
  std::vector<Int> integers(count(best));
  Int integer_length = best;
  with_work<T>([&](T* work, Int length) {
    arma::lapack::syevd(&job, &triangle, &rows, a, &rows, values, work, &length, integers.data(), &integer_length,
                        &info);
  });
  return info;
}

template <class T> int64_t Lapack<T>::svd(T* a, int64_t m, int64_t n, T* u, T* s, T* vt, bool full) {
  one_thread();
  char job = !u ? 'N' : full ? 'A' : 'S';
  int64_t k = std::min(m, n);
  Int rows = size(m), columns = size(n), vt_rows = size(full ? n : k), info = 0;
  std::vector<Int> integers(count(8 * k));
  T unused = 0;
  with_work<T>([&](T* work, Int length) {
    arma::lapack::gesdd(&job, &rows, &columns, a, &rows, s, u ? u : &unused, &rows, u ? vt : &unused, &vt_rows, work,
                        &length, integers.data(), &info);
  });
  return info;
}

template struct Lapack<float>;
template struct Lapack<double>;

}  // namespace cr::backend::cpu
