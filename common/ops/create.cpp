#include "ops/create.hpp"

#include <cmath>

#include "backend/backend.hpp"
#include "ops/arrange.hpp"
#include "ops/elementwise.hpp"
#include "ops/index.hpp"
#include "ops/types.hpp"

namespace cr {

Tensor full(const Shape& shape, Scalar value, DType dtype, Device device) {
  check_holds("full", dtype, value);
  return backend::full(shape, value, dtype, device);
}
Tensor zeros(const Shape& shape, DType dtype, Device device) { return full(shape, 0, dtype, device); }
Tensor ones(const Shape& shape, DType dtype, Device device) { return full(shape, 1, dtype, device); }

Tensor new_full(const Tensor& x, const Shape& shape, Scalar value, std::optional<DType> dtype) {
  return full(shape, value, dtype.value_or(x.dtype()), x.device());
}
Tensor new_zeros(const Tensor& x, const Shape& shape, std::optional<DType> dtype) {
  return new_full(x, shape, 0, dtype);
}
Tensor new_ones(const Tensor& x, const Shape& shape, std::optional<DType> dtype) {
  return new_full(x, shape, 1, dtype);
}
Tensor new_empty(const Tensor& x, const Shape& shape, std::optional<DType> dtype) {
  return empty(shape, dtype.value_or(x.dtype()), x.device());
}
Tensor zeros_like(const Tensor& x, std::optional<DType> dtype) { return new_full(x, x.shape(), 0, dtype); }
Tensor ones_like(const Tensor& x, std::optional<DType> dtype) { return new_full(x, x.shape(), 1, dtype); }
Tensor full_like(const Tensor& x, Scalar value, std::optional<DType> dtype) {
  return new_full(x, x.shape(), value, dtype);
}
Tensor empty_like(const Tensor& x, std::optional<DType> dtype) { return new_empty(x, x.shape(), dtype); }
Tensor scalar_tensor(Scalar value, DType dtype) { return full({}, value, dtype); }

// ## Evenly spaced
namespace {

template <class N> [[noreturn]] void does_not_go(N start, N end, N step) {
  throw Error("arange: from " + std::to_string(start) + " to " + std::to_string(end) + " does not go in steps of " +
              std::to_string(step));
}

int64_t checked_count(double count) {
  if (!(count < 0x1p62)) throw ShapeError("arange: the numbers are too many");
  return static_cast<int64_t>(count);
}

Tensor whole_range(int64_t start, int64_t end, int64_t step) {
  if (step == 0 || (end > start && step < 0) || (end < start && step > 0)) does_not_go(start, end, step);
  uint64_t length = step > 0 ? static_cast<uint64_t>(end) - static_cast<uint64_t>(start)
                             : static_cast<uint64_t>(start) - static_cast<uint64_t>(end);
  uint64_t stride = step > 0 ? static_cast<uint64_t>(step) : -static_cast<uint64_t>(step);
  uint64_t count = length / stride + (length % stride != 0);
  if (count > INT64_MAX) throw ShapeError("arange: " + std::to_string(count) + " numbers are too many");
  Tensor x = empty({static_cast<int64_t>(count)}, DType::int64);
  backend::on(x.device()).arange(x, start, step);
  return x;
}

// Real limits decide how many; the numbers of an integer type then start and step by whole ones.
Tensor real_range(Scalar start, Scalar end, Scalar step, DType dtype) {
  double a = start.value, b = end.value, s = step.value;
  if (!std::isfinite(b - a) || std::isnan(s)) {
    throw Error("arange: from " + std::to_string(a) + " to " + std::to_string(b) + " in steps of " + std::to_string(s) +
                ": the numbers must be finite");
  }
  if (s == 0 || (b > a && s < 0) || (b < a && s > 0)) does_not_go(a, b, s);
  Tensor x = empty({checked_count(std::ceil((b - a) / s))}, dtype);
  if (is_floating(dtype)) backend::on(x.device()).arange(x, a, s);
  else backend::on(x.device()).arange(x, start.as<int64_t>(), step.as<int64_t>());
  return x;
}

}  // namespace

Tensor arange(Scalar end) { return arange(0, end); }
Tensor arange(Scalar start, Scalar end, Scalar step, std::optional<DType> dtype) {
  bool real = is_floating(start.kind) || is_floating(end.kind) || is_floating(step.kind);
  DType type = dtype.value_or(real ? DType::float32 : DType::int64);
  if (type == DType::boolean) return arange(start, end, step, DType::int64).to(type);
  if (is_storage(type)) return arange(start, end, step, DType::float32).to(type);
  if (!real && !is_floating(type)) return whole_range(start.integer, end.integer, step.integer);
  return real_range(start, end, step, type);
}

// PyTorch steps through integers in float32, and cuts off: which one is next to a whole number depends on that.
static Tensor whole_linspace(double from, double to, int64_t steps) {
  for (double limit : {from, to}) check_holds("linspace", DType::int64, static_cast<float>(limit));
  auto start = static_cast<int64_t>(from), end = static_cast<int64_t>(to);
  Tensor x = empty({steps}, DType::int64);
  auto* p = x.mutable_data<int64_t>();
  float step = steps > 1 ? static_cast<float>(static_cast<double>(end) - static_cast<double>(start)) /
                               static_cast<float>(steps - 1)
                         : 0.f;
  for (int64_t i = 0; i < steps; ++i) {
    p[i] = static_cast<int64_t>(i < steps / 2 || steps == 1
                                    ? static_cast<float>(start) + step * static_cast<float>(i)
                                    : static_cast<float>(end) - step * static_cast<float>(steps - i - 1));
  }
  return x;
}

// From both ends to the middle, so that it is symmetric to the last bit and ends at `end`.
Tensor linspace(double start, double end, int64_t steps, DType dtype) {
  if (steps < 0) throw ShapeError("linspace: " + std::to_string(steps) + " steps");
  if (is_storage(dtype)) return linspace(start, end, steps, DType::float32).to(dtype);
  if (!is_floating(dtype)) return whole_linspace(start, end, steps).to(dtype);
  Tensor x = empty({steps}, dtype);
  int64_t half = (steps + 1) / 2;
  double step = steps > 1 ? (end - start) / static_cast<double>(steps - 1) : 0.0;
  backend::Backend& on = backend::on(x.device());
  on.arange(window(x, {half}, {1}, 0), start, step);
  if (steps == half) return x;
  Tensor back = empty({steps - half}, dtype);
  on.arange(back, end, -step);
  on.copy(window(x, {steps - half}, {1}, half), window(back, {steps - half}, {-1}, steps - half - 1));
  return x;
}

Tensor logspace(double start, double end, int64_t steps, double base, DType dtype) {
  if (steps < 0) throw ShapeError("logspace: " + std::to_string(steps) + " steps");
  Tensor x = linspace(start, end, steps, DType::float64);
  for (double& v : std::span(x.mutable_data<double>(), static_cast<size_t>(steps))) v = std::pow(base, v);
  return x.to(dtype);
}

Tensor eye(int64_t n, DType dtype) { return eye(n, n, dtype); }
Tensor eye(int64_t n, int64_t m, DType dtype) {
  Tensor x = zeros({n, m}, dtype);
  int64_t length = std::min(n, m);
  if (length > 0) backend::on(x.device()).fill(window(x, {length}, {m + 1}, 0), 1);
  return x;
}

static Tensor kept_places(Tensor (*triangle)(const Tensor&, int64_t), int64_t rows, int64_t columns, int64_t offset) {
  return nonzero(triangle(ones({rows, columns}, DType::boolean), offset)).t().contiguous();
}
Tensor tril_indices(int64_t rows, int64_t columns, int64_t offset) { return kept_places(tril, rows, columns, offset); }
Tensor triu_indices(int64_t rows, int64_t columns, int64_t offset) { return kept_places(triu, rows, columns, offset); }

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
