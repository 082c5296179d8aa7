#include "compare.hpp"

#include <cmath>
#include <cstdio>

#include "backend/backend.hpp"

namespace cr::test {

std::vector<Device> other_devices() {
  std::vector<Device> here;
  for (Device device : {Device::simt, Device::cuda}) {
    try {
      backend::on(device);
      here.push_back(device);
    } catch (const DeviceError&) {
    }
  }
  return here;
}

std::string test_file(const std::string& path) { return std::string(CHAINRULE_TESTS_DIR) + "/" + path; }

DType dtype_named(const std::string& name) {
  for (DType t : {DType::boolean, DType::int64, DType::float32, DType::float64, DType::float16, DType::bfloat16}) {
    if (name == cr::name(t)) return t;
  }
  throw Error("no type is called " + name);
}

std::vector<double> numbers_of(const Tensor& x) {
  Tensor y = x.detach().to(Device::cpu).to(DType::float64).contiguous();
  return {y.data<double>(), y.data<double>() + y.numel()};
}

Tensor from_numbers(const std::vector<double>& values, const Shape& shape, DType dtype) {
  return from_span(std::span<const double>(values), shape).to(dtype);
}

std::string difference(const Tensor& got, const Tensor& want, double ulps, double of_largest) {
  if (!got.defined()) return "undefined";
  if (got.dtype() != want.dtype()) return std::string("type ") + name(got.dtype()) + ", not " + name(want.dtype());
  if (!(got.shape() == want.shape())) return "shape " + to_string(got.shape()) + ", not " + to_string(want.shape());
  bool narrow = want.dtype() == DType::float32;
  double eps = narrow ? 0x1p-23 : 0x1p-52, least = narrow ? 0x1p-149 : 0x1p-1074, largest = 0;
  std::vector<double> a = numbers_of(got), b = numbers_of(want);
  for (double v : b) {
    if (std::isfinite(v)) largest = std::max(largest, std::abs(v));
  }
  for (size_t i = 0; i < a.size(); ++i) {
    bool same = a[i] == b[i] || (std::isnan(a[i]) && std::isnan(b[i]));
    bool close = std::abs(a[i] - b[i]) <= ulps * (eps * (std::abs(b[i]) + of_largest * largest) + least);
    if (!same && !(ulps > 0 && std::isfinite(b[i]) && close)) {
      char text[160];
      double unit = std::max(eps * std::abs(b[i]), least);
      std::snprintf(text, sizeof text, "number %zu of shape %s: %.17g, not %.17g (%.1f ulps)", i,
                    to_string(want.shape()).c_str(), a[i], b[i], std::abs(a[i] - b[i]) / unit);
      return text;
    }
  }
  return "";
}

}  // namespace cr::test
