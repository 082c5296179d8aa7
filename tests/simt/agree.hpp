// The emulator against the CPU: one call of a primitive, made on both with the same numbers in the same layout.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "backend/backend.hpp"
#include "catch.hpp"

namespace cr::test {

// x on a device, with its strides.
inline Tensor placed(const Tensor& x, Device device) {
  if (!x.defined()) return {};
  int64_t extent = x.numel() > 0 ? 1 : 0;
  for (int d = 0; d < x.dim() && extent > 0; ++d) extent += (x.shape()[d] - 1) * x.strides()[d];
  Tensor base = empty({extent}, x.dtype(), device);
  const auto size = static_cast<size_t>(size_of(x.dtype()));
  auto bytes = [&](const Tensor& t) {
    return static_cast<char*>(t.impl()->storage->data()) + static_cast<size_t>(t.impl()->offset) * size;
  };
  if (extent > 0) std::memcpy(bytes(base), bytes(x), static_cast<size_t>(extent) * size);
  return window(base, x.shape(), x.strides(), 0);
}

// Numbers that repeat: uniform in −1 … 1, or whole ones from −4 to 4.
inline Tensor numbers_of(const Shape& shape, DType type = DType::float32, uint32_t seed = 1) {
  Tensor x = empty(shape, type);
  uint64_t state = seed * 0x9e3779b97f4a7c15u + 1;
  auto next = [&] {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return static_cast<double>(state >> 40) / double(1 << 24);
  };
  dispatch(type, [&](auto t) {
    using T = decltype(t);
    T* p = static_cast<T*>(x.impl()->storage->data());
    for (int64_t i = 0; i < x.numel(); ++i) {
      if constexpr (std::is_floating_point_v<T>) p[i] = static_cast<T>(2 * next() - 1);
      else p[i] = static_cast<T>(static_cast<int64_t>(9 * next()) - 4);
    }
  });
  return x;
}

// Calls `f(backend, outputs, inputs)` on CPU and emulator and compares the outputs, which are made with what `out` holds.
// Floating-point numbers may differ by `bound` times the largest of their tensor, or 1; NaN must meet NaN.
using Call = std::function<void(backend::Backend&, const std::vector<Tensor>& out, const std::vector<Tensor>& in)>;
inline void agree(const std::vector<Tensor>& out, const std::vector<Tensor>& in, double bound, const Call& f) {
  std::vector<Tensor> results[2];
  const Device devices[2] = {Device::cpu, Device::simt};
  for (size_t k = 0; k < 2; ++k) {
    std::vector<Tensor> inputs;
    for (const Tensor& x : in) inputs.push_back(placed(x, devices[k]));
    for (const Tensor& x : out) results[k].push_back(placed(x, devices[k]));
    f(backend::on(devices[k]), results[k], inputs);
  }
  for (size_t i = 0; i < out.size(); ++i) {
    if (!out[i].defined()) continue;
    Tensor expected = empty(out[i].shape(), DType::float64), got = empty(out[i].shape(), DType::float64);
    backend::on(Device::cpu).copy(expected, results[0][i]);
    backend::on(Device::cpu).copy(got, results[1][i]);
    const auto *e = static_cast<double*>(expected.impl()->storage->data()),
               *g = static_cast<double*>(got.impl()->storage->data());
    double scale = 1, worst = 0;
    int64_t where = -1;
    for (int64_t k = 0; k < expected.numel(); ++k) {
      if (std::isfinite(e[k])) scale = std::max(scale, std::abs(e[k]));
    }
    for (int64_t k = 0; k < expected.numel(); ++k) {
      const bool same = e[k] == g[k] || (std::isnan(e[k]) && std::isnan(g[k]));
      const double error = same ? 0 : std::abs(e[k] - g[k]) / scale;
      if (error <= worst) continue;  // false for NaN: it is the worst
      worst = std::isnan(error) ? INFINITY : error;
      where = k;
    }
    INFO("output " << i << " " << to_string(out[i].shape()) << ", element " << where << ": "
                   << (where < 0 ? 0 : e[where]) << " and " << (where < 0 ? 0 : g[where]));
    CHECK(worst <= bound);
  }
}

}  // namespace cr::test
