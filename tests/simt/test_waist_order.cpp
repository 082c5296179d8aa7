// Sorts, picks and scans of odd sizes, on the emulator.
#include "backend/backend.hpp"

#if CHAINRULE_SIMT
#include "agree.hpp"

using namespace cr;
using namespace cr::test;
using backend::Pick;
using backend::Scan;

namespace {

// Numbers of which many are equal, with NaN, infinities and both zeros among them.
Tensor awkward(const Shape& shape, DType type, uint32_t seed = 1) {
  Tensor x = numbers_of(shape, type, seed);
  dispatch_floating(type, "awkward", [&](auto t) {
    using T = decltype(t);
    T* p = static_cast<T*>(x.impl()->storage->data());
    for (int64_t i = 0; i < x.numel(); ++i) {
      p[i] = std::round(p[i] * 4) / 4;
      if (i % 11 == 5) p[i] = static_cast<T>(NAN);
      if (i % 13 == 6) p[i] = static_cast<T>(i % 2 ? INFINITY : -INFINITY);
      if (i % 7 == 3) p[i] = T(-0.);
    }
  });
  return x;
}

Shape kept(Shape shape, int d, int64_t count) {
  shape[d] = count;
  return shape;
}

void sorts(const Tensor& x, int d) {
  const int64_t n = x.shape()[d];
  for (int64_t count : {n, n / 3}) {
    for (bool descending : {false, true}) {
      INFO(to_string(x.shape()) << " " << name(x.dtype()) << " along " << d << (descending ? ", descending" : ""));
      const Shape shape = kept(x.shape(), d, count);
      agree({numbers_of(shape, x.dtype()), numbers_of(shape, DType::int64)}, {x}, 0,
            [&](auto& b, auto& out, auto& in) { b.sort(out[0], out[1], in[0], d, descending); });
    }
  }
  const Shape one = kept(x.shape(), d, 1);
  for (Pick what : {Pick::kth, Pick::median, Pick::nanmedian, Pick::mode}) {
    if (n == 0) break;
    INFO(to_string(x.shape()) << " " << name(x.dtype()) << " along " << d << ", pick " << static_cast<int>(what));
    agree({numbers_of(one, x.dtype()), numbers_of(one, DType::int64)}, {x}, 0,
          [&](auto& b, auto& out, auto& in) { b.pick(what, out[0], out[1], in[0], d, n / 2); });
  }
}

void scans(const Tensor& x, int d, double bound) {
  for (Scan kind : {Scan::sum, Scan::prod, Scan::logsumexp}) {
    if (kind == Scan::logsumexp && x.dtype() == DType::int64) continue;
    for (bool reverse : {false, true}) {
      INFO(to_string(x.shape()) << " " << name(x.dtype()) << " along " << d << ", scan " << static_cast<int>(kind));
      agree({x}, {x}, bound, [&](auto& b, auto& out, auto& in) { b.scan(kind, out[0], in[0], d, reverse); });
    }
  }
  for (bool largest : {false, true}) {
    agree({x, numbers_of(x.shape(), DType::int64)}, {x}, 0,
          [&](auto& b, auto& out, auto& in) { b.scan_extreme(largest, out[0], out[1], in[0], d); });
  }
}

const Shape kShapes[] = {{1}, {2}, {7}, {3, 33}, {65, 3}, {2, 130, 3}, {5, 1}, {0, 4}, {4, 0}, {70, 2, 5}};

}  // namespace

TEST_CASE("simt: sorts and picks") {
  for (DType type : {DType::float32, DType::float64, DType::int64, DType::boolean}) {
    for (const Shape& shape : kShapes) {
      for (int d = 0; d < static_cast<int>(shape.size()); ++d) sorts(numbers_of(shape, type), d);
    }
  }
  for (DType type : {DType::float32, DType::float64}) {
    sorts(awkward({3, 101}, type), 1);
    sorts(awkward({101, 3}, type).t(), 1);
  }
}

TEST_CASE("simt: long lines are merged") {
  sorts(awkward({2, 1025}, DType::float32), 1);
  sorts(awkward({5000}, DType::float32), 0);
  sorts(numbers_of({2048}, DType::int64), 0);
}

TEST_CASE("simt: scans") {
  for (DType type : {DType::float32, DType::float64, DType::int64}) {
    const double bound = type == DType::float32 ? 1e-6 : type == DType::float64 ? 1e-13 : 0;
    for (const Shape& shape : kShapes) {
      for (int d = 0; d < static_cast<int>(shape.size()); ++d) scans(numbers_of(shape, type), d, bound);
    }
    if (type == DType::int64) continue;
    scans(awkward({2, 515}, type), 1, bound);
    scans(awkward({515, 2}, type), 0, bound);
  }
  const Tensor flags = numbers_of({3, 70}, DType::boolean);
  agree({flags, numbers_of({3, 70}, DType::int64)}, {flags}, 0,
        [&](auto& b, auto& out, auto& in) { b.scan_extreme(true, out[0], out[1], in[0], 1); });
}

TEST_CASE("simt: scans of long lines, in parts") {
  scans(numbers_of({10007}), 0, 1e-6);
  scans(numbers_of({9001}, DType::int64), 0, 0);
}

TEST_CASE("simt: linear scans") {
  for (DType type : {DType::float32, DType::float64}) {
    for (const Shape& shape : kShapes) {
      for (int d = 0; d < static_cast<int>(shape.size()); ++d) {
        for (bool reverse : {false, true}) {
          Tensor factor = numbers_of(shape, type, 2);
          if (factor.numel() > 0) backend::on(Device::cpu).fill(window(factor, {1}, {1}, 0), INFINITY);
          agree({numbers_of(shape, type)}, {factor, numbers_of(shape, type, 3)}, 1e-6,
                [&](auto& b, auto& out, auto& in) { b.scan_linear(out[0], in[0], in[1], d, reverse); });
        }
      }
    }
  }
  agree({numbers_of({9001})}, {numbers_of({9001}, DType::float32, 2), numbers_of({9001})}, 1e-6,
        [&](auto& b, auto& out, auto& in) { b.scan_linear(out[0], in[0], in[1], 0, false); });
}

TEST_CASE("simt: what is not zero") {
  for (DType type : {DType::float32, DType::int64, DType::boolean}) {
    for (const Shape& shape : {Shape{}, Shape{0, 3}, Shape{7}, Shape{3, 5, 2}, Shape{1023}, Shape{5, 411}}) {
      const Tensor x = numbers_of(shape, type);
      if (type == DType::float32) backend::on(Device::cpu).copy(x, numbers_of(shape, DType::int64));
      const Tensor want = backend::on(Device::cpu).nonzero(x);
      const Tensor got = backend::on(Device::simt).nonzero(placed(x, Device::simt));
      REQUIRE(got.shape() == want.shape());
      agree({want}, {}, 0, [&](auto&, auto& out, auto&) {
        if (out[0].device() == Device::simt && got.numel() > 0) backend::on(Device::simt).copy(out[0], got);
      });
    }
  }
}
#endif
