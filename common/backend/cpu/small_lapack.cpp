#include "backend/cpu/small_lapack.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

namespace cr::backend::cpu {
namespace {

template <class T> constexpr T kEps = std::numeric_limits<T>::epsilon();
constexpr int kMostSweeps = 60;

template <class T> std::vector<T> zeros(int64_t n) { return std::vector<T>(static_cast<size_t>(n), T(0)); }

template <class T> T dot(const T* x, const T* y, int64_t n) {
  T sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += x[i] * y[i];
  return sum;
}

// y -= f x
template <class T> void subtract(T* y, T f, const T* x, int64_t n) {
  for (int64_t i = 0; i < n; ++i) y[i] -= f * x[i];
}

// (x, y) ← (c x - s y, s x + c y)
template <class T> void rotate(T* x, T* y, T c, T s, int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    T xi = x[i], yi = y[i];
    x[i] = c * xi - s * yi;
    y[i] = s * xi + c * yi;
  }
}

// The tangent of the smaller angle that makes a symmetric 2 × 2 matrix with off-diagonal g diagonal, where `difference`
// is that of its diagonal's elements: t² + 2 θ t = 1 with θ = difference / 2g.
template <class T> T jacobi_tangent(T difference, T g) {
  T theta = difference / (2 * g);
  return std::copysign(T(1), theta) / (std::abs(theta) + std::hypot(T(1), theta));
}

// A power of two that brings the largest number near 1, so that squares neither overflow nor vanish; 0 if all are 0.
template <class T> T scale_of(const T* a, int64_t n) {
  T largest = 0;
  for (int64_t i = 0; i < n; ++i) largest = std::max(largest, std::abs(a[i]));
  return largest == 0 ? T(0) : std::ldexp(T(1), std::ilogb(largest));
}

// Columns `have` … `want` - 1 of u (m, want) become unit vectors orthogonal to all before them. Of the basis vectors, the
// one that u's rows hold least of is furthest from their span; projecting twice leaves no rounding error behind
// (Kahan: "twice is enough").
template <class T> void complete_basis(T* u, int64_t m, int64_t have, int64_t want) {
  std::vector<T> held = zeros<T>(m);
  auto add_to_held = [&](const T* column) {
    for (int64_t i = 0; i < m; ++i) held[static_cast<size_t>(i)] += column[i] * column[i];
  };
  for (int64_t j = 0; j < have; ++j) add_to_held(u + j * m);
  for (int64_t j = have; j < want; ++j) {
    T* x = u + j * m;
    std::fill(x, x + m, T(0));
    x[std::min_element(held.begin(), held.end()) - held.begin()] = 1;
    for (int pass = 0; pass < 2; ++pass) {
      for (int64_t k = 0; k < j; ++k) subtract(x, dot(x, u + k * m, m), u + k * m, m);
      T norm = std::sqrt(dot(x, x, m));
      for (int64_t i = 0; i < m; ++i) x[i] /= norm;
    }
    add_to_held(x);
  }
}

}  // namespace

// ## Cholesky
//
// Column j of A = L Lᵀ is Σₖ lⱼₖ (column k of L), k ≤ j: take off what the columns before have explained, and what is
// left is lⱼⱼ times column j.
template <class T> int64_t SmallLapack<T>::cholesky(T* a, int64_t n) {
  for (int64_t j = 0; j < n; ++j) {
    T* column = a + j * n;
    for (int64_t k = 0; k < j; ++k) subtract(column + j, a[j + k * n], a + j + k * n, n - j);
    if (!(column[j] > 0)) return j + 1;  // NaN too
    T pivot = std::sqrt(column[j]);
    for (int64_t i = j; i < n; ++i) column[i] /= pivot;
  }
  return 0;
}

// ## LU with partial pivoting
//
// Gaussian elimination. The largest number left in the column goes on the diagonal, so that no multiplier exceeds 1.
template <class T> int64_t SmallLapack<T>::lu(T* a, int64_t m, int64_t n, int64_t* pivots) {
  int64_t zero_pivot = 0;
  for (int64_t k = 0; k < std::min(m, n); ++k) {
    T* column = a + k * m;
    int64_t p = k;
    for (int64_t i = k + 1; i < m; ++i) {
      if (std::abs(column[i]) > std::abs(column[p])) p = i;
    }
    pivots[k] = p + 1;
    if (column[p] == 0) {
      if (zero_pivot == 0) zero_pivot = k + 1;
      continue;
    }
    if (p != k) {
      for (int64_t j = 0; j < n; ++j) std::swap(a[k + j * m], a[p + j * m]);
    }
    for (int64_t i = k + 1; i < m; ++i) column[i] /= column[k];
    for (int64_t j = k + 1; j < n; ++j) subtract(a + k + 1 + j * m, a[k + j * m], column + k + 1, m - k - 1);
  }
  return zero_pivot;
}

// ## Substitution
//
// Once x[i] is known, take its share out of all rows that are still to come.
template <class T>
void SmallLapack<T>::solve_triangular(const T* a, bool upper, bool unit, T* b, int64_t n, int64_t k) {
  for (int64_t j = 0; j < k; ++j) {
    T* x = b + j * n;
    for (int64_t step = 0; step < n; ++step) {
      int64_t i = upper ? n - 1 - step : step;
      const T* column = a + i * n;
      if (!unit) x[i] /= column[i];
      if (upper) subtract(x, x[i], column, i);
      else subtract(x + i + 1, x[i], column + i + 1, n - i - 1);
    }
  }
}

// ## Householder's QR
//
// The reflection H = I - τ v vᵀ takes a column's part from the diagonal on to (β, 0, …, 0), with β of the opposite sign
// to the first element, which cancels nothing. v starts with a 1, which is not stored.
template <class T> void SmallLapack<T>::qr(T* a, int64_t m, int64_t n, T* tau) {
  for (int64_t k = 0; k < std::min(m, n); ++k) {
    T* v = a + k + k * m;
    int64_t length = m - k;
    T scale = scale_of(v + 1, length - 1);
    tau[k] = 0;
    if (scale == 0) continue;  // the column is done: H = I
    T below = 0;
    for (int64_t i = 1; i < length; ++i) below += (v[i] / scale) * (v[i] / scale);
    T alpha = v[0], beta = -std::copysign(std::hypot(alpha, scale * std::sqrt(below)), alpha);
    tau[k] = (beta - alpha) / beta;
    for (int64_t i = 1; i < length; ++i) v[i] /= alpha - beta;
    v[0] = 1;
    for (int64_t j = k + 1; j < n; ++j) {
      T* x = a + k + j * m;
      subtract(x, tau[k] * dot(v, x, length), v, length);
    }
    v[0] = beta;
  }
}

template <class T> void SmallLapack<T>::householder_product(T* q, int64_t m, int64_t n, int64_t k, const T* tau) {
  std::vector<T> v(q, q + m * k);
  std::fill(q, q + m * n, T(0));
  for (int64_t j = 0; j < n; ++j) q[j + j * m] = 1;
  // The last reflection first. Columns before i are still those of the identity, which it leaves alone.
  for (int64_t i = k - 1; i >= 0; --i) {
    T* reflect = v.data() + i + i * m;
    reflect[0] = 1;
    for (int64_t j = i; j < n; ++j) {
      T* x = q + i + j * m;
      subtract(x, tau[i] * dot(reflect, x, m - i), reflect, m - i);
    }
  }
}

// ## Jacobi's eigenvalues
//
// A rotation in the plane of two axes makes one off-diagonal pair zero and spoils others, but the sum of their squares
// only falls, in the end quadratically. Sweep over all pairs until none is worth a rotation. (Golub & Van Loan, 8.5)
template <class T> int64_t SmallLapack<T>::eigh(T* a, int64_t n, T* values, bool upper, bool vectors) {
  std::vector<T> s(a, a + n * n), v = zeros<T>(n * n);
  T scale = scale_of(a, n * n), norm = 0;
  for (int64_t j = 0; j < n; ++j) {
    v[static_cast<size_t>(j + j * n)] = 1;
    for (int64_t i = j; i < n; ++i) {
      T x = scale == 0 ? T(0) : a[upper ? j + i * n : i + j * n] / scale;
      s[static_cast<size_t>(i + j * n)] = s[static_cast<size_t>(j + i * n)] = x;
      norm += (i == j ? 1 : 2) * x * x;
    }
  }
  T small = kEps<T> * std::sqrt(norm) / static_cast<T>(std::max<int64_t>(n, 1)) / 8;
  bool rotated = true;
  for (int sweep = 0; rotated; ++sweep) {
    if (sweep == kMostSweeps) return 1;
    rotated = false;
    for (int64_t p = 0; p < n; ++p) {
      for (int64_t q = p + 1; q < n; ++q) {
        T *sp = s.data() + p * n, *sq = s.data() + q * n;
        if (!(std::abs(sp[q]) > small)) continue;
        rotated = true;
        T t = jacobi_tangent(sq[q] - sp[p], sp[q]), cosine = 1 / std::hypot(T(1), t), sine = t * cosine;
        T pp = sp[p] - t * sp[q], qq = sq[q] + t * sp[q];
        rotate(sp, sq, cosine, sine, n);
        for (int64_t i = 0; i < n; ++i) {  // the rows are the columns
          s[static_cast<size_t>(p + i * n)] = sp[i];
          s[static_cast<size_t>(q + i * n)] = sq[i];
        }
        sp[p] = pp, sq[q] = qq, sp[q] = sq[p] = 0;
        rotate(v.data() + p * n, v.data() + q * n, cosine, sine, n);
      }
    }
  }
  // In ascending order.
  std::vector<int64_t> order(static_cast<size_t>(n));
  std::iota(order.begin(), order.end(), 0);
  auto value = [&](int64_t i) { return s[static_cast<size_t>(i + i * n)]; };
  std::stable_sort(order.begin(), order.end(), [&](int64_t i, int64_t j) { return value(i) < value(j); });
  for (int64_t j = 0; j < n; ++j) {
    int64_t from = order[static_cast<size_t>(j)];
    values[j] = value(from) * scale;
    if (vectors) std::copy_n(v.data() + from * n, n, a + j * n);
  }
  return 0;
}

// ## Singular values, by one-sided Jacobi
//
// Rotate pairs of columns until all are orthogonal: A V = U S. Their lengths are the singular values. (Hestenes 1958;
// Golub & Van Loan, 8.6.3.) A wide matrix is done as its transpose.
template <class T> int64_t SmallLapack<T>::svd(T* a, int64_t m, int64_t n, T* u, T* s, T* vt, bool full) {
  int64_t k = std::min(m, n);
  if (m < n) {
    int64_t columns = full ? n : k;
    std::vector<T> transposed(static_cast<size_t>(m * n)), v = zeros<T>(n * columns), ut = zeros<T>(m * m);
    for (int64_t i = 0; i < m; ++i) {
      for (int64_t j = 0; j < n; ++j) transposed[static_cast<size_t>(j + i * n)] = a[i + j * m];
    }
    int64_t info = svd(transposed.data(), n, m, u ? v.data() : nullptr, s, ut.data(), full);
    for (int64_t i = 0; u && i < m; ++i) {
      for (int64_t j = 0; j < m; ++j) u[i + j * m] = ut[static_cast<size_t>(j + i * m)];
    }
    for (int64_t j = 0; u && j < columns; ++j) {
      for (int64_t i = 0; i < n; ++i) vt[j + i * columns] = v[static_cast<size_t>(i + j * n)];
    }
    return info;
  }

  T scale = scale_of(a, m * n), small = kEps<T> * std::sqrt(static_cast<T>(std::max<int64_t>(m, 1)));
  std::vector<T> v = zeros<T>(n * n), length = zeros<T>(n);
  for (int64_t j = 0; j < n; ++j) v[static_cast<size_t>(j + j * n)] = 1;
  for (int64_t i = 0; scale != 0 && i < m * n; ++i) a[i] /= scale;
  bool rotated = true;
  for (int sweep = 0; rotated; ++sweep) {
    if (sweep == kMostSweeps) return 1;
    rotated = false;
    for (int64_t p = 0; p < n; ++p) {
      for (int64_t q = p + 1; q < n; ++q) {
        T *x = a + p * m, *y = a + q * m;
        T xx = dot(x, x, m), yy = dot(y, y, m), xy = dot(x, y, m);
        if (!(std::abs(xy) > small * std::sqrt(xx * yy)) || std::abs(xy) < std::numeric_limits<T>::min()) continue;
        rotated = true;
        T t = jacobi_tangent(yy - xx, xy), cosine = 1 / std::hypot(T(1), t), sine = t * cosine;
        rotate(x, y, cosine, sine, m);
        rotate(v.data() + p * n, v.data() + q * n, cosine, sine, n);
      }
    }
  }

  // In descending order; a column of length 0 has no direction, and gets one that is orthogonal to the others.
  std::vector<int64_t> order(static_cast<size_t>(n));
  std::iota(order.begin(), order.end(), 0);
  for (int64_t j = 0; j < n; ++j) length[static_cast<size_t>(j)] = std::sqrt(dot(a + j * m, a + j * m, m));
  std::stable_sort(order.begin(), order.end(), [&](int64_t i, int64_t j) {
    return length[static_cast<size_t>(i)] > length[static_cast<size_t>(j)];
  });
  int64_t directions = 0;
  for (int64_t j = 0; j < n; ++j) {
    int64_t from = order[static_cast<size_t>(j)];
    T sigma = length[static_cast<size_t>(from)];
    s[j] = sigma * scale;
    if (!u) continue;
    for (int64_t i = 0; i < n; ++i) vt[j + i * n] = v[static_cast<size_t>(i + from * n)];
    if (sigma == 0) continue;
    for (int64_t i = 0; i < m; ++i) u[i + j * m] = a[i + from * m] / sigma;
    ++directions;
  }
  if (u) complete_basis(u, m, directions, full ? m : k);
  return 0;
}

template struct SmallLapack<float>;
template struct SmallLapack<double>;

}  // namespace cr::backend::cpu
