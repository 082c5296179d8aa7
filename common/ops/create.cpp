#include "ops/create.hpp"

#include <numeric>

#include "backend/backend.hpp"
#include "ops/elementwise.hpp"

namespace cr {

Tensor full(const Shape& shape, Scalar value, DType dtype, Device device) {
  return backend::full(shape, value, dtype, device);
}
Tensor zeros(const Shape& shape, DType dtype, Device device) { return full(shape, 0, dtype, device); }
Tensor ones(const Shape& shape, DType dtype, Device device) { return full(shape, 1, dtype, device); }
Tensor zeros_like(const Tensor& x) { return zeros(x.shape(), x.dtype(), x.device()); }
Tensor ones_like(const Tensor& x) { return ones(x.shape(), x.dtype(), x.device()); }

Tensor arange(int64_t end) { return arange(0, end); }
Tensor arange(int64_t start, int64_t end, int64_t step) {
  if (step == 0 || (end > start && step < 0) || (end < start && step > 0)) {
    throw Error("arange: from " + std::to_string(start) + " to " + std::to_string(end) + " does not go in steps of " +
                std::to_string(step));
  }
  uint64_t length = step > 0 ? static_cast<uint64_t>(end) - static_cast<uint64_t>(start)
                             : static_cast<uint64_t>(start) - static_cast<uint64_t>(end);
  uint64_t stride = step > 0 ? static_cast<uint64_t>(step) : -static_cast<uint64_t>(step);
  uint64_t count = length / stride + (length % stride != 0);
  if (count > INT64_MAX) throw ShapeError("arange: " + std::to_string(count) + " numbers are too many");
  Tensor x = empty({static_cast<int64_t>(count)}, DType::int64);
  backend::on(x.device()).arange(x, start, step);
  return x;
}

Tensor linspace(double start, double end, int64_t steps, DType dtype) {
  Tensor x = empty({steps}, dtype);
  backend::on(x.device()).arange(x, start, steps > 1 ? (end - start) / static_cast<double>(steps - 1) : 0.0);
  if (steps > 1)
    backend::on(x.device()).fill(window(x, {1}, {1}, steps - 1), end);  // exactly, whatever the steps add up to
  return x;
}

Tensor eye(int64_t n, DType dtype) {
  Tensor x = zeros({n, n}, dtype);
  backend::on(x.device()).fill(window(x, {n}, {n + 1}, 0), 1);
  return x;
}

// ## Random numbers
//
// A generator reserves as many of its words as the tensor needs and goes on behind them; each element then depends on its
// own place only, so threads may fill in any order.
template <class Words>
static Tensor random(const Shape& shape, DType dtype, backend::Random kind, Generator& generator, Words&& words,
                     int64_t lo = 0, int64_t hi = 0) {
  Tensor x = empty(shape, dtype);
  backend::on(x.device()).random(x, kind, generator.reserve(words(x.numel())), lo, hi);
  return x;
}

Tensor rand(const Shape& shape, Generator& generator, DType dtype) {
  return random(shape, dtype, backend::Random::uniform, generator, [&](int64_t n) {
    return dtype == DType::float64 ? backend::words_for_uniform<double>(n) : backend::words_for_uniform<float>(n);
  });
}

Tensor randn(const Shape& shape, Generator& generator, DType dtype) {
  return random(shape, dtype, backend::Random::normal, generator, [&](int64_t n) {
    return dtype == DType::float64 ? backend::words_for_normal<double>(n) : backend::words_for_normal<float>(n);
  });
}

Tensor randint(int64_t lo, int64_t hi, const Shape& shape, Generator& generator) {
  if (lo >= hi) throw Error("randint: no integer from " + std::to_string(lo) + " to below " + std::to_string(hi));
  return random(shape, DType::int64, backend::Random::randint, generator, backend::words_for_randint, lo, hi);
}

Tensor randperm(int64_t n, Generator& generator) {
  Tensor x = arange(n);
  generator.shuffle(std::span<int64_t>(x.mutable_data<int64_t>(), static_cast<size_t>(n)));
  return x;
}

// ## Numbers written down
namespace {

void find_shape(const Nested& values, Shape& shape) {
  if (!values.is_list) return;
  shape.push_back(static_cast<int64_t>(values.items.size()));
  if (!values.items.empty()) find_shape(values.items[0], shape);
}

DType find_dtype(const Nested& values) {
  if (!values.is_list) return values.number.kind;
  DType type = values.items.empty() ? DType::float32 : DType::boolean;
  for (const Nested& item : values.items) type = promote(type, find_dtype(item));
  return type;
}

template <class T> void collect(const Nested& values, const Shape& shape, int d, std::vector<T>& out) {
  bool fits =
      values.is_list ? d < shape.size() && static_cast<int64_t>(values.items.size()) == shape[d] : d == shape.size();
  if (!fits) throw ShapeError("tensor: rows of different lengths; the first ones suggest shape " + to_string(shape));
  if (!values.is_list) out.push_back(values.number.as<T>());
  for (const Nested& item : values.items) collect(item, shape, d + 1, out);
}

}  // namespace

Tensor tensor(const Nested& values) { return tensor(values, find_dtype(values)); }

Tensor tensor(const Nested& values, DType dtype) {
  Shape shape;
  find_shape(values, shape);
  std::vector<double> numbers;
  std::vector<int64_t> integers;
  if (dtype == DType::int64) {
    collect(values, shape, 0, integers);
    return from_span(std::span<const int64_t>(integers), shape).to(dtype);
  }
  collect(values, shape, 0, numbers);
  return from_span(std::span<const double>(numbers), shape).to(dtype);
}

}  // namespace cr
