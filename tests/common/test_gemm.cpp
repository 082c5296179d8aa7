// # The matrix product against three loops
//
// The reference is the definition, summed in double. The sizes sit on both sides of every boundary in the kernels:
// register tiles of 4, 6 and 14 rows and of 4 to 32 columns, blocks of k, and the special cases for one row, one
// column, one step.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>

#include "backend/cpu/cpu_features.hpp"
#include "backend/cpu/gemm.hpp"
#include "backend/parallel.hpp"
#include "catch.hpp"
#include "machine.hpp"
#include "tensor/error.hpp"

using namespace cr;
using namespace cr::backend;
using cpu::Gemm;
using cpu::Isa;

namespace {

// A matrix in memory, with room between its rows or columns filled with NaN: whoever reads there is found out.
enum class Layout { rows, columns, padded_rows, padded_columns, spread };
constexpr Layout kLayouts[] = {Layout::rows, Layout::columns, Layout::padded_rows, Layout::padded_columns,
                               Layout::spread};

template <class T> struct Matrix {
  std::vector<T> memory;
  int64_t rs, cs;

  Matrix(int64_t rows, int64_t columns, Layout layout, uint32_t seed) {
    switch (layout) {
      case Layout::rows: rs = columns, cs = 1; break;
      case Layout::columns: rs = 1, cs = rows; break;
      case Layout::padded_rows: rs = columns + 3, cs = 1; break;
      case Layout::padded_columns: rs = 1, cs = rows + 5; break;
      case Layout::spread: rs = 2 * columns + 1, cs = 2; break;
    }
    const int64_t last = rows > 0 && columns > 0 ? (rows - 1) * rs + (columns - 1) * cs + 1 : 0;
    memory.assign(static_cast<size_t>(last), std::numeric_limits<T>::quiet_NaN());
    for (int64_t i = 0; i < rows; ++i)
      for (int64_t j = 0; j < columns; ++j) {
        seed = seed * 1664525u + 1013904223u;
        (*this)(i, j) = static_cast<T>(static_cast<double>(seed) / 2147483648.0 - 1.0);
      }
  }
  T& operator()(int64_t i, int64_t j) { return memory[static_cast<size_t>(i * rs + j * cs)]; }
  const T& operator()(int64_t i, int64_t j) const { return memory[static_cast<size_t>(i * rs + j * cs)]; }
};

// One product with its operands; C has two columns of padding, which must stay as they are.
template <class T> struct Case {
  int64_t m, n, k;
  Matrix<T> a, b, c, bias;
  bool accumulate, with_bias, relu;

  Case(int64_t m_, int64_t n_, int64_t k_, Layout la = Layout::rows, Layout lb = Layout::rows, int options = 0)
      : m(m_),
        n(n_),
        k(k_),
        a(m, k, la, 1),
        b(k, n, lb, 2),
        c(m, n + 2, Layout::rows, 3),
        bias(1, n, Layout::rows, 4),
        accumulate(options & 1),
        with_bias(options & 2),
        relu(options & 4) {}

  std::vector<T> run() {
    Matrix<T> result = c;
    Gemm<T> g;
    g.m = m, g.n = n, g.k = k;
    g.a = a.memory.data(), g.a_rs = a.rs, g.a_cs = a.cs;
    g.b = b.memory.data(), g.b_rs = b.rs, g.b_cs = b.cs;
    g.c = result.memory.data(), g.c_rs = result.rs;
    g.accumulate = accumulate, g.relu = relu;
    g.bias = with_bias ? bias.memory.data() : nullptr;
    cpu::gemm(g);
    return result.memory;
  }

  // The largest distance from the definition, in units of what rounding may do to a sum of k products: each of the k
  // additions errs by at most half an ulp of a partial sum, and those are at most sum |a b|.
  double worst() {
    const std::vector<T> result = run();
    double worst = 0;
    for (int64_t i = 0; i < m; ++i) {
      for (int64_t j = 0; j < n; ++j) {
        double sum = accumulate ? c(i, j) : 0.0, size = std::abs(sum);
        for (int64_t p = 0; p < k; ++p) {
          const double product = static_cast<double>(a(i, p)) * static_cast<double>(b(p, j));
          sum += product;
          size += std::abs(product);
        }
        if (with_bias) sum += bias(0, j), size += std::abs(bias(0, j));
        if (relu) sum = std::max(sum, 0.0);
        const double got = result[static_cast<size_t>(i * (n + 2) + j)];
        const double allowed = static_cast<double>(k + 2) * std::numeric_limits<T>::epsilon() * size;
        const double off = std::abs(got - sum);
        worst = std::max(worst, off == 0 ? 0 : allowed == 0 || std::isnan(off) ? 1e9 : off / allowed);
      }
      for (int64_t j = n; j < n + 2; ++j)
        if (result[static_cast<size_t>(i * (n + 2) + j)] != c(i, j)) return 1e9;
    }
    return worst;
  }
};

template <class T> bool same_bits(const std::vector<T>& x, const std::vector<T>& y) {
  return x.size() == y.size() && std::memcmp(x.data(), y.data(), x.size() * sizeof(T)) == 0;
}

// Catch2's assertions are slow, so whole families are checked with one.
template <class T> void check(Case<T>& product) {
  const double worst = product.worst();
  if (worst <= 1) return;
  CAPTURE(product.m, product.n, product.k, product.a.rs, product.a.cs, product.b.rs, product.b.cs, product.accumulate,
          product.with_bias, product.relu, worst);
  FAIL_CHECK("gemm differs from the three loops");
}

}  // namespace

TEMPLATE_TEST_CASE("gemm equals the three loops at all small sizes", "[gemm]", float, double) {
  const int64_t sizes[] = {0, 1, 2, 3, 5, 7, 13, 14, 15, 16, 17, 31, 32, 33};
  for_each_isa([&] {
    int options = 0;
    for (const int64_t m : sizes)
      for (const int64_t n : sizes)
        for (const int64_t k : {0, 1, 2, 7, 16, 33}) {
          options = (options + 3) % 8;
          Case<TestType> product(m, n, k, kLayouts[(m + k) % 5], kLayouts[(n + 2 * k + m) % 5], options);
          check(product);
        }
  });
  SUCCEED();
}

TEMPLATE_TEST_CASE("gemm equals the three loops at larger sizes and in every layout", "[gemm]", float, double) {
  const int64_t shapes[][3] = {{63, 65, 64}, {64, 10, 100}, {100, 64, 17}, {15, 257, 65}, {257, 31, 33}, {10, 64, 64}};
  for_each_isa([&] {
    int options = 0;
    for (const auto& shape : shapes)
      for (const Layout la : kLayouts)
        for (const Layout lb : kLayouts) {
          options = (options + 1) % 8;
          Case<TestType> product(shape[0], shape[1], shape[2], la, lb, options);
          check(product);
        }
  });
  SUCCEED();
}

TEMPLATE_TEST_CASE("gemm equals the three loops beyond every block size", "[gemm]", float, double) {
  const int64_t shapes[][3] = {{17, 35, 1100}, {1100, 9, 20},  {9, 2100, 20},
                               {1, 257, 1100}, {257, 1, 1100}, {610, 70, 900}};
  for_each_isa([&] {
    for (const auto& shape : shapes)
      for (const Layout layout : {Layout::rows, Layout::padded_columns}) {
        Case<TestType> product(shape[0], shape[1], shape[2], layout, layout, 7);
        check(product);
      }
  });
  SUCCEED();
}

TEMPLATE_TEST_CASE("one row, one column, one step, in every layout with every option", "[gemm]", float, double) {
  const int64_t shapes[][3] = {{1, 1, 1}, {1, 129, 65}, {65, 1, 130}, {33, 67, 1}, {1, 3, 257}, {2, 1, 5}, {1, 1, 100}};
  for_each_isa([&] {
    for (const auto& shape : shapes)
      for (const Layout la : kLayouts)
        for (const Layout lb : kLayouts)
          for (int options = 0; options < 8; ++options) {
            Case<TestType> product(shape[0], shape[1], shape[2], la, lb, options);
            check(product);
          }
  });
  SUCCEED();
}

// One float32 sum of three million thirds is 2 % off.
TEST_CASE("a long row keeps its digits", "[gemm]") {
  const int64_t k = 3'000'000;
  const std::vector<float> thirds(static_cast<size_t>(k), 1.f / 3), ones(static_cast<size_t>(2 * k), 1.f);
  for_each_isa([&] {
    float c[2];
    Gemm<float> g;
    g.m = 1, g.n = 2, g.k = k;
    g.a = thirds.data(), g.a_rs = k, g.a_cs = 1;
    g.b = ones.data(), g.b_rs = 2, g.b_cs = 1;
    g.c = c, g.c_rs = 2;
    cpu::gemm(g);
    CHECK(std::abs(c[1] / 1e6f - 1) < 1e-4f);
  });
}

TEST_CASE("the number of threads does not change a bit of a product", "[gemm]") {
  const Threads restore;
  const int64_t shapes[][3] = {{1700, 40, 70}, {257, 300, 700}, {64, 256, 784}, {1, 3000, 300},
                               {3000, 1, 300}, {500, 800, 1},   {20, 900, 100}};
  for_each_isa([&] {
    for (const auto& shape : shapes)
      for (const Layout layout : {Layout::rows, Layout::columns}) {
        Case<float> product(shape[0], shape[1], shape[2], layout, layout, 3);
        set_num_threads(1);
        const std::vector<float> one = product.run();
        for (const int threads : {2, 3, 7}) {
          set_num_threads(threads);
          CHECK(same_bits(one, product.run()));
        }
      }
  });
}

TEST_CASE("a product inside a tile of another loop gives the same bits", "[gemm]") {
  const Threads restore;
  set_num_threads(3);
  Case<float> product(70, 90, 300);
  const std::vector<float> expected = product.run();
  std::vector<std::vector<float>> results(6);
  parallel_for(6, [&](int64_t tile) {
    Case<float> mine(70, 90, 300);
    results[static_cast<size_t>(tile)] = mine.run();
  });
  for (const auto& result : results) CHECK(same_bits(expected, result));
}

// 0 · inf is NaN, and a NaN anywhere in a row of A reaches the whole row of C. A kernel that skips zeros would lose
// both.
TEMPLATE_TEST_CASE("infinity and NaN spread as in the three loops", "[gemm]", float, double) {
  const TestType inf = std::numeric_limits<TestType>::infinity(), nan = std::numeric_limits<TestType>::quiet_NaN();
  for_each_isa([&] {
    for (const int64_t m : {1, 5, 40})
      for (const int64_t n : {1, 6, 40})
        for (const int64_t k : {1, 9})
          for (const Layout layout : {Layout::rows, Layout::columns}) {
            Case<TestType> product(m, n, k, layout, layout, 4);  // with ReLU, which keeps NaN
            for (int64_t p = 0; p < k; ++p) product.a(m - 1, p) = 0;
            product.b(k - 1, n - 1) = inf;
            std::vector<TestType> result = product.run();
            CHECK(std::isnan(result[static_cast<size_t>((m - 1) * (n + 2) + n - 1)]));
            if (n > 1) CHECK(result[static_cast<size_t>((m - 1) * (n + 2))] == 0);

            product.a(m - 1, 0) = nan;
            result = product.run();
            for (int64_t j = 0; j < n; ++j) CHECK(std::isnan(result[static_cast<size_t>((m - 1) * (n + 2) + j)]));
            if (m > 1) CHECK(!std::isnan(result[0]));
          }
  });
}

TEST_CASE("without accumulate, C is written and never read", "[gemm]") {
  for_each_isa([&] {
    for (const int64_t m : {1, 20})
      for (const int64_t n : {1, 50})
        for (const int64_t k : {0, 1, 30}) {
          Case<float> product(m, n, k);
          for (int64_t i = 0; i < m; ++i)
            for (int64_t j = 0; j < n; ++j) product.c(i, j) = std::numeric_limits<float>::quiet_NaN();
          const std::vector<float> result = product.run();
          for (int64_t i = 0; i < m; ++i)
            for (int64_t j = 0; j < n; ++j) CHECK(!std::isnan(result[static_cast<size_t>(i * (n + 2) + j)]));
        }
  });
}

TEST_CASE("an instruction set that is not there is refused", "[gemm]") {
  const Isa before = cpu::isa();
  cpu::set_isa(Isa::base);
  CHECK(cpu::isa() == Isa::base);
  if (cpu::best_isa() < Isa::avx512) CHECK_THROWS_AS(cpu::set_isa(Isa::avx512), Error);
  CHECK(cpu::isa() == Isa::base);
  cpu::set_isa(before);
}
