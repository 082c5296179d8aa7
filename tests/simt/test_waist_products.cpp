// Matrix products and distances of odd sizes, on the emulator.
#include "backend/backend.hpp"

#if CHAINRULE_SIMT
#include "agree.hpp"

using namespace cr;
using namespace cr::test;
using backend::GemmOptions;

namespace {

double bound_of(DType type) { return type == DType::float32 ? 1e-5 : type == DType::float64 ? 1e-13 : 0; }

void product(const Tensor& c, const Tensor& a, const Tensor& b, GemmOptions options = {}, const Tensor& bias = {}) {
  INFO(to_string(a.shape()) << " x " << to_string(b.shape()) << " " << name(a.dtype()));
  agree({c}, {a, b, bias}, bound_of(c.dtype()), [&](auto& backend, auto& out, auto& in) {
    GemmOptions own = options;
    if (in[2].defined()) own.bias = &in[2];
    backend.gemm(out[0], in[0], in[1], own);
  });
}

}  // namespace

TEST_CASE("simt: products of any size") {
  for (DType type : {DType::float32, DType::float64, DType::int64}) {
    for (int64_t m : {1, 3, 5, 33, 65}) {
      for (int64_t n : {1, 2, 31, 67}) {
        for (int64_t k : {0, 1, 7, 64, 131}) {
          product(numbers_of({m, n}, type), numbers_of({m, k}, type, 2), numbers_of({k, n}, type, 3));
        }
      }
    }
  }
}

TEST_CASE("simt: products of any layout, with all that may follow") {
  for (DType type : {DType::float32, DType::int64}) {
    for (int64_t m : {2, 40}) {
      for (int64_t n : {5, 70}) {
        const int64_t k = 70;
        const Tensor c = numbers_of({m, n}, type), bias = numbers_of({n}, type, 4);
        const Tensor a = numbers_of({m, k}, type, 2), at = numbers_of({k, m}, type, 2).t();
        const Tensor b = numbers_of({k, n}, type, 3), bt = numbers_of({n, k}, type, 3).t();
        product(c, at, b);
        product(c, a, bt, {.accumulate = true});
        product(c, at, bt, {.relu = true}, bias);
        product(c, a, b, {.accumulate = true, .relu = true}, bias);
        product(window(numbers_of({m, 2 * n}, type), {m, n}, {2 * n, 1}, 0), a, b, {.accumulate = true}, bias);
        product(c, window(numbers_of({m, 3 * k}, type, 2), {m, k}, {3 * k, 3}, 0), b);
      }
    }
  }
}

TEST_CASE("simt: batches of products, factors that serve several") {
  const Tensor a = numbers_of({3, 4, 5, 6}), b = numbers_of({3, 4, 6, 7}, DType::float32, 2);
  product(numbers_of({3, 4, 5, 7}), a, b);
  product(numbers_of({3, 4, 5, 7}), window(a, {3, 4, 5, 6}, {0, 30, 6, 1}, 0),
          window(b, {3, 4, 6, 7}, {42, 0, 7, 1}, 0));
  product(numbers_of({0, 5, 7}), numbers_of({0, 5, 6}), numbers_of({0, 6, 7}));
  product(numbers_of({2, 1, 9}), numbers_of({2, 1, 99}), window(numbers_of({99, 9}), {2, 99, 9}, {0, 9, 1}, 0));
  product(numbers_of({100, 70, 66}), numbers_of({100, 70, 3}), numbers_of({100, 3, 66}));  // large tiles
}

TEST_CASE("simt: a long sum in parts") {
  product(numbers_of({20, 17}), numbers_of({20, 3001}), numbers_of({3001, 17}, DType::float32, 2),
          {.accumulate = true});
  product(numbers_of({3, 17}), numbers_of({3, 3001}), numbers_of({17, 3001}, DType::float32, 2).t());
  product(numbers_of({50, 2}), numbers_of({50, 301}), numbers_of({301, 2}, DType::float32, 2), {.relu = true},
          numbers_of({2}));
}

TEST_CASE("simt: infinities and NaN spread as in the plain loop") {
  Tensor a = numbers_of({33, 40}), b = numbers_of({40, 35}, DType::float32, 2);
  auto *x = static_cast<float*>(a.impl()->storage->data()), *y = static_cast<float*>(b.impl()->storage->data());
  x[3 * 40 + 39] = INFINITY, x[7 * 40] = NAN, y[39 * 35 + 4] = 0, y[5] = -INFINITY;
  product(numbers_of({33, 35}), a, b, {.relu = true});
}

TEST_CASE("simt: distances") {
  for (DType type : {DType::float32, DType::float64}) {
    for (double p : {0., 1., 2., 3.5, 0.5, static_cast<double>(INFINITY)}) {
      for (int64_t k : {0, 1, 5, 70}) {
        INFO("p = " << p << ", k = " << k);
        agree({numbers_of({2, 35, 3}, type)}, {numbers_of({2, 35, k}, type, 2), numbers_of({2, 3, k}, type, 3)},
              type == DType::float32 ? 1e-5 : 1e-12,
              [&](auto& backend, auto& out, auto& in) { backend.distances(out[0], in[0], in[1], p); });
      }
    }
  }
  agree({numbers_of({0, 5, 3})}, {numbers_of({0, 5, 4}), numbers_of({0, 3, 4})}, 0,
        [&](auto& backend, auto& out, auto& in) { backend.distances(out[0], in[0], in[1], 2); });
}
#endif
