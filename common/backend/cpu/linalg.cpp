// # Factorisations, one matrix of the batch after another
//
// Our matrices lie row by row, LAPACK's column by column: each is turned on the way in and on the way out, which costs
// n² moves beside n³ additions.
#include <cmath>
#include <vector>

#include "backend/cpu/cpu.hpp"
#include "backend/cpu/lapack.hpp"
#include "backend/cpu/small_lapack.hpp"

namespace cr::backend::cpu {
namespace {

#if CHAINRULE_LAPACK
template <class T> using Solver = Lapack<T>;
#else
template <class T> using Solver = SmallLapack<T>;
#endif

// The matrices of a tensor (…, m, n).
template <class T> struct Matrices {
  explicit Matrices(const Tensor& x)
      : m(x.size(-2)), n(x.size(-1)), first(static_cast<T*>(x.impl()->storage->data()) + x.impl()->offset) {}
  int64_t m, n;
  T* first;
  T* at(int64_t i) const { return first + i * m * n; }
};

// The numbers of a tensor whose last dimension has one row for each matrix.
template <class T> T* row(const Tensor& x, int64_t i) {
  int64_t length = x.dim() > 0 ? x.shape().back() : 1;
  return static_cast<T*>(x.impl()->storage->data()) + x.impl()->offset + i * length;
}
int64_t* number(const Tensor& info, int64_t i) {
  return static_cast<int64_t*>(info.impl()->storage->data()) + info.impl()->offset + i;
}

// How many matrices (…, m, n) holds, even if they are empty.
int64_t batch(const Tensor& x) {
  int64_t count = 1;
  for (int d = 0; d + 2 < x.dim(); ++d) count *= x.shape()[d];
  return count;
}

// to (n, m) = from (m, n)ᵀ, both row by row
template <class T> void transpose(T* to, const T* from, int64_t m, int64_t n) {
  for (int64_t i = 0; i < m; ++i) {
    for (int64_t j = 0; j < n; ++j) to[j * m + i] = from[i * n + j];
  }
}

// A matrix column by column.
template <class T> struct Columns : std::vector<T> {
  Columns(int64_t m, int64_t n) : std::vector<T>(static_cast<size_t>(std::max<int64_t>(m * n, 1))), m(m), n(n) {}
  int64_t m, n;
  void load(const T* from) { transpose(this->data(), from, m, n); }
  void store(T* to) const { transpose(to, this->data(), n, m); }
};

// The iterations would turn on NaN in circles.
template <class T> bool all_finite(const T* x, int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    if (!std::isfinite(x[i])) return false;
  }
  return true;
}
constexpr int64_t kNotFinite = -1;

}  // namespace

void Cpu::cholesky(const Tensor& x, const Tensor& info) {
  dispatch_floating(x.dtype(), "cholesky", [&](auto zero) {
    using T = decltype(zero);
    Matrices<T> xs(x);
    Columns<T> a(xs.n, xs.n);
    for (int64_t i = 0, count = batch(x); i < count; ++i) {
      a.load(xs.at(i));
      *number(info, i) = xs.n == 0 ? 0 : Solver<T>::cholesky(a.data(), xs.n);
      for (int64_t c = 1; c < xs.n; ++c) std::fill_n(a.data() + c * xs.n, c, T(0));
      a.store(xs.at(i));
    }
  });
}

void Cpu::lu(const Tensor& x, const Tensor& pivots, const Tensor& info) {
  dispatch_floating(x.dtype(), "lu", [&](auto zero) {
    using T = decltype(zero);
    Matrices<T> xs(x);
    Columns<T> a(xs.m, xs.n);
    for (int64_t i = 0, count = batch(x); i < count; ++i) {
      a.load(xs.at(i));
      *number(info, i) = x.numel() == 0 ? 0 : Solver<T>::lu(a.data(), xs.m, xs.n, row<int64_t>(pivots, i));
      a.store(xs.at(i));
    }
  });
}

void Cpu::solve_triangular(const Tensor& y, const Tensor& x, bool upper, bool unit) {
  dispatch_floating(x.dtype(), "solve_triangular", [&](auto zero) {
    using T = decltype(zero);
    Matrices<T> xs(x), ys(y);
    Columns<T> a(xs.n, xs.n), b(ys.m, ys.n);
    for (int64_t i = 0, count = y.numel() == 0 ? 0 : batch(x); i < count; ++i) {
      a.load(xs.at(i));
      b.load(ys.at(i));
      Solver<T>::solve_triangular(a.data(), upper, unit, b.data(), ys.m, ys.n);
      b.store(ys.at(i));
    }
  });
}

void Cpu::qr(const Tensor& x, const Tensor& tau) {
  dispatch_floating(x.dtype(), "qr", [&](auto zero) {
    using T = decltype(zero);
    Matrices<T> xs(x);
    Columns<T> a(xs.m, xs.n);
    for (int64_t i = 0, count = x.numel() == 0 ? 0 : batch(x); i < count; ++i) {
      a.load(xs.at(i));
      Solver<T>::qr(a.data(), xs.m, xs.n, row<T>(tau, i));
      a.store(xs.at(i));
    }
  });
}

void Cpu::householder_product(const Tensor& x, const Tensor& tau) {
  dispatch_floating(x.dtype(), "householder_product", [&](auto zero) {
    using T = decltype(zero);
    Matrices<T> xs(x);
    Columns<T> q(xs.m, xs.n);
    for (int64_t i = 0, count = x.numel() == 0 ? 0 : batch(x); i < count; ++i) {
      q.load(xs.at(i));
      Solver<T>::householder_product(q.data(), xs.m, xs.n, tau.shape().back(), row<T>(tau, i));
      q.store(xs.at(i));
    }
  });
}

void Cpu::eigh(const Tensor& x, const Tensor& values, bool upper, bool vectors, const Tensor& info) {
  dispatch_floating(x.dtype(), "eigh", [&](auto zero) {
    using T = decltype(zero);
    Matrices<T> xs(x);
    Columns<T> a(xs.n, xs.n);
    for (int64_t i = 0, count = batch(x); i < count; ++i) {
      a.load(xs.at(i));
      for (int64_t c = 0; c < xs.n; ++c) {  // what is not read may hold anything
        T* column = a.data() + c * xs.n;
        upper ? std::fill(column + c + 1, column + xs.n, T(0)) : std::fill(column, column + c, T(0));
      }
      bool finite = all_finite(a.data(), xs.n * xs.n);
      *number(info, i) = xs.n == 0 ? 0
                         : !finite ? kNotFinite
                                   : Solver<T>::eigh(a.data(), xs.n, row<T>(values, i), upper, vectors);
      a.store(xs.at(i));
    }
  });
}

void Cpu::svd(const Tensor& x, const Tensor& u, const Tensor& s, const Tensor& vh, const Tensor& info) {
  dispatch_floating(x.dtype(), "svd", [&](auto zero) {
    using T = decltype(zero);
    Matrices<T> xs(x);
    int64_t m = xs.m, n = xs.n, k = std::min(m, n);
    bool full = u.defined() && (u.size(-1) > k || vh.size(-2) > k);
    Columns<T> a(m, n), left(m, full ? m : k), right(full ? n : k, n);
    for (int64_t i = 0, count = batch(x); i < count; ++i) {
      a.load(xs.at(i));
      int64_t failed = 0;
      if (k == 0) {  // nothing but an orthonormal basis
        for (int64_t c = 0; c < left.n; ++c) left[static_cast<size_t>(c + c * m)] = 1;
        for (int64_t c = 0; c < right.m; ++c) right[static_cast<size_t>(c + c * right.m)] = 1;
      } else if (!all_finite(a.data(), m * n)) {
        failed = kNotFinite;
      } else {
        failed = Solver<T>::svd(a.data(), m, n, u.defined() ? left.data() : nullptr, row<T>(s, i),
                                u.defined() ? right.data() : nullptr, full);
      }
      *number(info, i) = failed;
      if (!u.defined()) continue;
      left.store(Matrices<T>(u).at(i));
      right.store(Matrices<T>(vh).at(i));
    }
  });
}

}  // namespace cr::backend::cpu
