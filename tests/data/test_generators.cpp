// Toy data: where the points lie, how many of each class, and the same bits for the same seed and index.

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <functional>
#include <vector>

#include "backend/parallel.hpp"
#include "catch.hpp"
#include "data/generators.hpp"
#include "machine.hpp"

using namespace cr;
using namespace cr::data;

namespace {

constexpr double kPi = 3.14159265358979323846;

// Every generator under one signature.
using Make = std::function<Dataset(int64_t n, const Generator& g, int64_t first)>;
struct Case {
  const char* name;
  int64_t classes;  // 0: none, a regression
  Make make;
};
const std::vector<Case> kCases = {
    {"moons", 2, [](int64_t n, const Generator& g, int64_t first) { return make_moons(n, g, {}, first); }},
    {"circles", 2, [](int64_t n, const Generator& g, int64_t first) { return make_circles(n, g, {}, first); }},
    {"rings", 5, [](int64_t n, const Generator& g, int64_t first) { return make_circles(n, g, {.rings = 5}, first); }},
    {"blobs", 3, [](int64_t n, const Generator& g, int64_t first) { return make_blobs(n, g, {}, first); }},
    {"spirals", 3, [](int64_t n, const Generator& g, int64_t first) { return make_spirals(n, g, {.arms = 3}, first); }},
    {"polynomial", 0,
     [](int64_t n, const Generator& g, int64_t first) {
       return make_polynomial(n, {1, -2, 0.5}, g, {}, first);
     }},
};

bool same(const Tensor& a, const Tensor& b) {
  if (a.shape() != b.shape() || a.dtype() != b.dtype()) return false;
  return dispatch(a.dtype(), [&](auto type) {
    using T = decltype(type);
    return std::memcmp(a.data<T>(), b.data<T>(), static_cast<size_t>(a.numel()) * sizeof(T)) == 0;
  });
}
bool same(const Dataset& a, const Dataset& b) { return same(a.inputs, b.inputs) && same(a.targets, b.targets); }

Dataset part(const Dataset& all, int64_t first, int64_t n) { return all.split(first).second.split(n).first; }

// Calls f(x, y, label) for every point.
template <typename F> void each(const Dataset& data, F f) {
  const float* p = data.inputs.data<float>();
  const int64_t* label = data.targets.data<int64_t>();
  for (int64_t i = 0; i < data.size(); ++i) f(double{p[2 * i]}, double{p[2 * i + 1]}, label[i]);
}

uint64_t fingerprint(const Tensor& x) {
  const auto* bytes = reinterpret_cast<const unsigned char*>(x.data<float>());
  uint64_t hash = 14695981039346656037u;
  for (int64_t i = 0; i < x.numel() * 4; ++i) hash = (hash ^ bytes[i]) * 1099511628211u;
  return hash;
}

}  // namespace

TEST_CASE("a point depends on seed and index only", "[generators]") {
  for (const Case& c : kCases) {
    CAPTURE(c.name);
    Generator g(1);
    const Dataset all = c.make(3000, g, 0);
    CHECK(same(part(all, 1500, 700), c.make(700, g, 1500)));
    CHECK(same(part(all, 0, 10), c.make(10, g, 0)));
    CHECK_FALSE(same(c.make(700, Generator(2), 1500), c.make(700, g, 1500)));
    CHECK_FALSE(same(c.make(700, g.split(1), 1500), c.make(700, g, 1500)));
    g.next();  // its place does not matter
    for (int t : {1, 2}) {
      Threads own(t);
      CHECK(same(c.make(3000, g, 0), all));
    }
    CHECK(c.make(0, g, 0).size() == 0);
    CHECK_THROWS_AS(c.make(-1, g, 0), ShapeError);
    CHECK_THROWS_AS(c.make(1, g, -1), IndexError);
    CHECK_THROWS_AS(c.make(2, g, INT64_MAX - 1), IndexError);
  }
}

TEST_CASE("the points are the same bits on every machine", "[generators]") {
  const std::vector<uint64_t> expected = {0xcdb4dd767cfeaf93u, 0xd54f717b5c10f6afu, 0x9ab73555a7e5a40bu,
                                          0x96c5db042fe25ca8u, 0x6932279ed86d106du, 0x1caaa5ee7eaeefe0u};
  for (size_t i = 0; i < kCases.size(); ++i) {
    CAPTURE(kCases[i].name);
    CHECK(fingerprint(kCases[i].make(100, Generator(42), 0).inputs) == expected[i]);
  }
}

TEST_CASE("every class comes equally often, in random order", "[generators]") {
  for (const Case& c : kCases) {
    if (c.classes == 0) continue;
    CAPTURE(c.name);
    const Dataset data = c.make(1000 * c.classes, Generator(3), 0);
    CHECK(data.inputs.shape() == Shape{1000 * c.classes, 2});
    CHECK(data.inputs.dtype() == DType::float32);
    const auto labels = data.targets.span<int64_t>();
    for (size_t i = 0; i < labels.size(); i += static_cast<size_t>(c.classes)) {
      std::vector<bool> seen(static_cast<size_t>(c.classes));
      for (size_t k = 0; k < seen.size(); ++k) {
        REQUIRE((labels[i + k] >= 0 && labels[i + k] < c.classes));
        seen[static_cast<size_t>(labels[i + k])] = true;
      }
      CHECK(std::count(seen.begin(), seen.end(), true) == c.classes);
    }
    // The first place of a group is as often one class as another.
    int64_t zeros = 0;
    for (size_t i = 0; i < labels.size(); i += static_cast<size_t>(c.classes)) zeros += labels[i] == 0;
    CHECK(std::abs(static_cast<double>(zeros) - 1000. / static_cast<double>(c.classes)) < 80);  // 5 standard deviations
  }
}

TEST_CASE("without noise the points lie on their curves", "[generators]") {
  const Generator g(4);
  double left = 0, right = 0;
  each(make_moons(2000, g, {.noise = 0}), [&](double x, double y, int64_t label) {
    if (label == 1) x = 1 - x, y = 0.5 - y;
    CHECK(std::abs(x * x + y * y - 1) < 1e-5);
    CHECK(y >= -1e-6);
    (x < 0 ? left : right) += 1;
  });
  CHECK(std::abs(left - right) < 250);  // all along the arc: 5 standard deviations
  each(make_circles(2000, g, {.noise = 0, .factor = 0.2f, .rings = 3}), [&](double x, double y, int64_t label) {
    CHECK(std::abs(std::hypot(x, y) - (1 - 0.4 * double(label))) < 1e-5);
  });
  each(make_spirals(2000, g, {.arms = 3, .turns = -1.5f, .noise = 0}), [&](double x, double y, int64_t label) {
    const double r = std::hypot(x, y), angle = 2 * kPi * (double(label) / 3 - 1.5 * r);
    CHECK(r <= 1 + 1e-6);
    CHECK(std::abs(x - r * std::cos(angle)) < 1e-5);
    CHECK(std::abs(y - r * std::sin(angle)) < 1e-5);
  });
  each(make_blobs(100, g, {.spread = 0, .centers = {{1, 2}, {-3, 4}}}), [&](double x, double y, int64_t label) {
    CHECK(x == (label == 0 ? 1 : -3));
    CHECK(y == (label == 0 ? 2 : 4));
  });
  for (DType dtype : {DType::float32, DType::float64}) {
    const Dataset curve = make_polynomial(1000, {1, -2, 0.5}, g, {.noise = 0, .low = 2, .high = 5, .dtype = dtype});
    CHECK(curve.inputs.shape() == Shape{1000, 1});
    CHECK(curve.targets.dtype() == dtype);
    const Tensor x = curve.inputs.to(DType::float64), y = curve.targets.to(DType::float64);
    double sum = 0;
    for (int64_t i = 0; i < 1000; ++i) {
      const double v = x.data<double>()[i];
      CHECK((v >= 2 && v < 5.0001));
      CHECK(std::abs(y.data<double>()[i] - (1 - 2 * v + 0.5 * v * v)) < 1e-6);
      sum += v;
    }
    CHECK(std::abs(sum / 1000 - 3.5) < 0.14);  // 5 standard deviations of 3 / sqrt(12) / sqrt(1000)
  }
}

TEST_CASE("noise has the standard deviation that was asked for", "[generators]") {
  const Generator g(5);
  const int64_t n = 20000;
  // The same points with and without: what was added is the noise.
  const auto spread = [&](const Dataset& with, const Dataset& without) {
    std::array<double, 2> sum{}, square{};
    for (int64_t i = 0; i < 2 * n; ++i) {
      const double d = double{with.inputs.data<float>()[i]} - double{without.inputs.data<float>()[i]};
      sum[static_cast<size_t>(i % 2)] += d, square[static_cast<size_t>(i % 2)] += d * d;
    }
    for (size_t j : {0, 1}) {
      CHECK(std::abs(sum[j] / double(n)) < 0.3 * 5 / std::sqrt(double(n)));
      CHECK(std::abs(std::sqrt(square[j] / double(n)) - 0.3) < 0.3 * 5 / std::sqrt(2 * double(n)));
    }
  };
  spread(make_moons(n, g, {.noise = 0.3f}), make_moons(n, g, {.noise = 0}));
  spread(make_circles(n, g, {.noise = 0.3f}), make_circles(n, g, {.noise = 0}));
  spread(make_spirals(n, g, {.noise = 0.3f}), make_spirals(n, g, {.noise = 0}));
  spread(make_blobs(n, g, {.spread = 0.3f}), make_blobs(n, g, {.spread = 0}));
  const Dataset with = make_polynomial(n, {0, 1}, g, {.noise = 0.3, .dtype = DType::float64});
  double square = 0;
  for (int64_t i = 0; i < n; ++i) square += std::pow(with.targets.data<double>()[i] - with.inputs.data<double>()[i], 2);
  CHECK(std::abs(std::sqrt(square / double(n)) - 0.3) < 0.3 * 5 / std::sqrt(2 * double(n)));
}

TEST_CASE("drawn centres belong to the seed and lie in the box", "[generators]") {
  std::array<double, 2> low{1e9, 1e9}, high{-1e9, -1e9};
  for (uint64_t seed = 0; seed < 200; ++seed)
    each(make_blobs(5, Generator(seed), {.classes = 5, .spread = 0, .box = 3}), [&](double x, double y, int64_t) {
      low = {std::min(low[0], x), std::min(low[1], y)}, high = {std::max(high[0], x), std::max(high[1], y)};
    });
  for (size_t j : {0, 1}) {
    CHECK((low[j] >= -3 && low[j] < -2.9));
    CHECK((high[j] <= 3 && high[j] > 2.9));
  }
  // More samples keep the centres.
  const Dataset few = make_blobs(3, Generator(7), {.spread = 0}), many = make_blobs(300, Generator(7), {.spread = 0});
  CHECK(same(few, part(many, 0, 3)));
}

TEST_CASE("options out of range", "[generators]") {
  const Generator g(1);
  CHECK_THROWS_AS(make_moons(1, g, {.noise = -1}), Error);
  CHECK_THROWS_AS(make_moons(1, g, {.noise = NAN}), Error);
  CHECK_THROWS_AS(make_circles(1, g, {.factor = 1}), Error);
  CHECK_THROWS_AS(make_circles(1, g, {.factor = NAN}), Error);
  CHECK_THROWS_AS(make_circles(1, g, {.rings = 1}), Error);
  CHECK_THROWS_AS(make_blobs(1, g, {.classes = 0}), Error);
  CHECK_THROWS_AS(make_blobs(1, g, {.classes = 1001}), Error);
  CHECK_THROWS_AS(make_blobs(1, g, {.box = INFINITY}), Error);
  CHECK_THROWS_AS(make_blobs(1, g, {.centers = {{0, NAN}}}), Error);
  CHECK_THROWS_AS(make_spirals(1, g, {.arms = 0}), Error);
  CHECK_THROWS_AS(make_spirals(1, g, {.turns = 1e9f}), Error);
  CHECK_THROWS_AS(make_polynomial(1, {}, g), Error);
  CHECK_THROWS_AS(make_polynomial(1, {NAN}, g), Error);
  CHECK_THROWS_AS(make_polynomial(1, {1}, g, {.low = 1, .high = 0}), Error);
  CHECK_THROWS_AS(make_polynomial(1, {1}, g, {.dtype = DType::int64}), DTypeError);
}
