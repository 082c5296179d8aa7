// # Any layout gives what the contiguous one gives
//
// Random views (permuted, sliced with steps, expanded, with dimensions of size 1 and 0) of up to six dimensions, against
// plain loops over their elements.
#include "catch.hpp"
#include "chainrule.hpp"
#include "compare.hpp"

using namespace cr;
using cr::test::difference;
using cr::test::numbers_of;

namespace {

// A random view of a fresh tensor of whole numbers, so that sums are exact in any order.
Tensor random_view(Generator& g, DType dtype) {
  Shape shape;
  for (int64_t d = g.randint(0, 7); d > 0; --d) shape.push_back(g.randint(0, 12) == 0 ? 0 : g.randint(1, 5));
  Tensor x = randint(-20, 20, shape, g).to(dtype);
  for (int i = 0; i < 3 && x.dim() > 0; ++i) {
    int64_t d = g.randint(0, x.dim()), n = x.size(d);
    switch (g.randint(0, 5)) {
      case 0: x = x.transpose(d, g.randint(0, x.dim())); break;
      case 1: x = x.slice(d, {g.randint(0, n + 1), INT64_MAX, g.randint(1, 4)}); break;
      case 2: x = x.unsqueeze(d); break;
      case 3:
        if (n > 0) x = x.select(d, g.randint(0, n));
        break;
      default:
        if (n == 1) {
          Shape wide = x.shape();
          wide[static_cast<int>(d)] = 3;
          x = x.expand(wide);
        }
    }
  }
  return x;
}

// x's elements row by row, read one at a time.
std::vector<double> elements(const Tensor& x) {
  std::vector<double> values;
  Dims at(x.dim(), 0);
  for (int64_t i = 0; i < x.numel(); ++i) {
    int64_t offset = x.impl()->offset;
    for (int d = 0; d < x.dim(); ++d) offset += at[d] * x.strides()[d];
    dispatch(x.dtype(), [&](auto t) {
      values.push_back(static_cast<double>(static_cast<const decltype(t)*>(x.impl()->storage->data())[offset]));
    });
    for (int d = x.dim() - 1; d >= 0 && ++at[d] == x.shape()[d]; --d) at[d] = 0;
  }
  return values;
}

// The sum and the largest over `dims` by plain loops, as `keepdim` gives them.
std::pair<Tensor, Tensor> reduced_plainly(const Tensor& x, const Dims& dims) {
  Shape kept = x.shape();
  for (int64_t d : dims) kept[static_cast<int>(d)] = 1;
  Strides strides = contiguous_strides(kept);
  auto count = static_cast<size_t>(numel(kept));
  std::vector<double> values = elements(x), sums(count, 0), largest(count, -INFINITY);
  Dims at(x.dim(), 0);
  for (double v : values) {
    int64_t to = 0;
    for (int d = 0; d < x.dim(); ++d) to += kept[d] == 1 ? 0 : at[d] * strides[d];
    sums[static_cast<size_t>(to)] += v;
    largest[static_cast<size_t>(to)] = std::max(largest[static_cast<size_t>(to)], v);
    for (int d = x.dim() - 1; d >= 0 && ++at[d] == x.shape()[d]; --d) at[d] = 0;
  }
  return {test::from_numbers(sums, kept, x.dtype()), test::from_numbers(largest, kept, x.dtype())};
}

}  // namespace

TEST_CASE("random views: copies, elementwise operations, reductions, writes", "[layouts]") {
  Generator g(11);
  std::string failures;
  for (int round = 0; round < 2000; ++round) {
    DType dtype = std::array{DType::float32, DType::float64, DType::int64}[static_cast<size_t>(round % 3)];
    Tensor x = random_view(g, dtype);
    std::vector<double> values = elements(x);
    Tensor plain = test::from_numbers(values, x.shape(), dtype);
    auto expect = [&](const char* what, const std::string& d) {
      if (!d.empty())
        failures += "\n  round " + std::to_string(round) + ", shape " + to_string(x.shape()) + " strides " +
                    to_string(x.strides()) + ", " + what + ": " + d;
    };
    expect("clone", difference(x.clone(), plain));
    expect("neg", difference(-x, -plain));
    expect("to", difference(x.to(DType::float64), plain.to(DType::float64)));
    expect("reshape",
           difference(x.reshape({-1, 1, x.numel() > 0 ? 1 : 2}), plain.reshape({-1, 1, x.numel() > 0 ? 1 : 2})));

    // Against another layout that broadcasts with it.
    Tensor y = x;
    if (x.dim() > 0) {
      int64_t d = g.randint(0, x.dim());
      if (x.size(d) > 0) y = x.slice(d, {0, 1});
      if (g.randint(0, 2)) y = y.transpose(d, d).clone();
    }
    Tensor plain_y = test::from_numbers(elements(y), y.shape(), dtype);
    expect("sub", difference(x - y, plain - plain_y));
    expect("maximum", difference(maximum(y, x), maximum(plain_y, plain)));

    Dims dims;
    int64_t count = 1;
    for (int d = 0; d < x.dim(); ++d) {
      if (g.randint(0, 2)) dims.push_back(d), count *= x.shape()[d];
    }
    if (!dims.empty()) {
      auto [sums, largest] = reduced_plainly(x, dims);
      expect("sum", difference(sum(x, dims, true), sums));
      if (count > 0) expect("amax", difference(amax(x, dims, true), largest));
    }

    // Written to: only where no two elements share memory.
    bool shares = false;
    for (int d = 0; d < x.dim(); ++d) shares = shares || (x.strides()[d] == 0 && x.shape()[d] > 1);
    if (shares) continue;
    x.add_(y.clone(), 2);
    expect("add_", difference(x.clone(), plain + plain_y * 2));
    x.copy_(plain);
    expect("copy_", difference(x.clone(), plain));
  }
  INFO(failures);
  CHECK(failures.empty());
}

TEST_CASE("random views as operands of products and picks", "[layouts]") {
  Generator g(12);
  std::string failures;
  for (int round = 0; round < 300; ++round) {
    int64_t m = g.randint(0, 9), k = g.randint(0, 9), n = g.randint(0, 9);
    auto matrix = [&](int64_t rows, int64_t columns) {
      Tensor wide = randint(-9, 9, {2 * rows + 1, 3 * columns + 1}, g).to(DType::float32);
      Tensor x = wide[{Slice{1, 2 * rows + 1, 2}, Slice{0, 3 * columns, 3}}];
      return g.randint(0, 2) ? x : x.clone().t().clone().t();
    };
    Tensor a = matrix(m, k), b = matrix(k, n), product = matmul(a, b);
    std::vector<double> pa = elements(a), pb = elements(b), want;
    for (int64_t i = 0; i < m; ++i) {
      for (int64_t j = 0; j < n; ++j) {
        double total = 0;
        for (int64_t l = 0; l < k; ++l)
          total += pa[static_cast<size_t>(i * k + l)] * pb[static_cast<size_t>(l * n + j)];
        want.push_back(total);
      }
    }
    std::string d = difference(product, test::from_numbers(want, {m, n}, DType::float32));
    if (!d.empty()) failures += "\n  matmul " + to_string(a.shape()) + " x " + to_string(b.shape()) + ": " + d;
    if (m == 0 || k == 0) continue;
    Tensor index = randint(0, m, {5, 2}, g).select(1, 0), picked = index_select(a, 0, index);
    for (int64_t i = 0; i < 5; ++i) {
      d = difference(picked[i], a[index[i].item<int64_t>()].clone());
      if (!d.empty()) failures += "\n  index_select: " + d;
    }
    Tensor one = one_hot(index, m, DType::float32);
    if (!(d = difference(matmul(one, a), picked)).empty()) failures += "\n  one_hot: " + d;
    Tensor back = index_add(zeros({m, k}), 0, index, picked);
    if (!(d = difference(back, matmul(one.t(), picked))).empty()) failures += "\n  index_add: " + d;
  }
  INFO(failures);
  CHECK(failures.empty());
}
