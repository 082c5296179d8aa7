#include "data/generators.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <string>

#include "backend/parallel.hpp"

namespace cr::data {
namespace {

struct Point {
  float x, y;
};

// What a sample is made of comes from streams of their own: 0 its class, 1 where it lies, 2 what all samples share.
enum Stream : uint64_t { kClass, kPlace, kShared };

// A point at distance `radius` and `turns` of a full circle from the x axis. These sine and cosine are the same bits on
// every machine.
Point polar(float radius, float turns) {
  const auto turn = static_cast<uint32_t>(static_cast<int64_t>(turns * 0x1p32f));
  const backend::SinCos<float> angle = backend::sin_cos_turn<float>(turn);
  return {radius * angle.cos, radius * angle.sin};
}

Point shifted(Point p, float noise, Generator& g) {
  const float x = p.x + noise * g.normal();
  return {x, p.y + noise * g.normal()};
}

bool within(double x, double low, double high) { return low <= x && x <= high; }  // and not NaN

void require(bool right, const char* what) {
  if (!right) throw Error(what);
}

// The classes of one group of k samples, in random order.
void shuffle_classes(std::vector<int64_t>& classes, const Generator& generator, int64_t group) {
  Generator g = generator.split(kClass).split(static_cast<uint64_t>(group));
  std::iota(classes.begin(), classes.end(), 0);
  g.shuffle(std::span<int64_t>(classes));
}

void check_range(int64_t n, int64_t first) {
  if (first < 0 || (n > 0 && first > std::numeric_limits<int64_t>::max() - n))
    throw IndexError("make: samples from " + std::to_string(first) + " on cannot be counted");
}

// Samples `first` to `first + n - 1` of k classes; `place(class, g)` draws a point of its class.
template <typename Place> Dataset make(int64_t n, int64_t k, const Generator& generator, int64_t first, Place place) {
  Dataset data{empty({n, 2}), empty({n}, DType::int64)};
  check_range(n, first);
  float* points = data.inputs.mutable_data<float>();
  int64_t* labels = data.targets.mutable_data<int64_t>();
  constexpr int64_t kTile = 1024;
  backend::parallel_for((n + kTile - 1) / kTile, [&](int64_t tile) {
    std::vector<int64_t> classes(static_cast<size_t>(k));
    int64_t shuffled = -1;
    for (int64_t i = tile * kTile; i < std::min(n, (tile + 1) * kTile); ++i) {
      const int64_t index = first + i;
      if (index / k != shuffled) shuffle_classes(classes, generator, shuffled = index / k);
      labels[i] = classes[static_cast<size_t>(index % k)];
      Generator g = generator.split(kPlace).split(static_cast<uint64_t>(index));
      const Point p = place(labels[i], g);
      points[2 * i] = p.x, points[2 * i + 1] = p.y;
    }
  });
  return data;
}

constexpr int64_t kMaxClasses = 1000;

}  // namespace

Dataset make_moons(int64_t n, const Generator& generator, const MoonOptions& o, int64_t first) {
  require(within(o.noise, 0, 1e6), "make_moons: noise must be from 0 to 1e6");
  return make(n, 2, generator, first, [&](int64_t label, Generator& g) {
    Point p = polar(1, g.uniform() / 2);
    if (label == 1) p = {1 - p.x, 0.5f - p.y};
    return shifted(p, o.noise, g);
  });
}

Dataset make_circles(int64_t n, const Generator& generator, const CircleOptions& o, int64_t first) {
  require(within(o.noise, 0, 1e6), "make_circles: noise must be from 0 to 1e6");
  require(o.factor >= 0 && o.factor < 1, "make_circles: factor must be at least 0 and less than 1");
  require(o.rings >= 2 && o.rings <= kMaxClasses, "make_circles: rings must be from 2 to 1000");
  return make(n, o.rings, generator, first, [&](int64_t label, Generator& g) {
    const float step = (1 - o.factor) / static_cast<float>(o.rings - 1);
    return shifted(polar(1 - step * static_cast<float>(label), g.uniform()), o.noise, g);
  });
}

Dataset make_blobs(int64_t n, const Generator& generator, const BlobOptions& o, int64_t first) {
  require(within(o.spread, 0, 1e6) && within(o.box, 0, 1e6), "make_blobs: spread and box must be from 0 to 1e6");
  std::vector<std::array<float, 2>> centers = o.centers;
  if (centers.empty()) {
    require(o.classes >= 1 && o.classes <= kMaxClasses, "make_blobs: classes must be from 1 to 1000");
    Generator g = generator.split(kShared);
    for (int64_t c = 0; c < o.classes; ++c) {
      const float x = g.uniform(-o.box, o.box);
      centers.push_back({x, g.uniform(-o.box, o.box)});
    }
  }
  require(centers.size() <= static_cast<size_t>(kMaxClasses), "make_blobs: at most 1000 centers");
  for (const auto& c : centers)
    require(within(c[0], -1e6, 1e6) && within(c[1], -1e6, 1e6), "make_blobs: centers must be from -1e6 to 1e6");
  return make(n, static_cast<int64_t>(centers.size()), generator, first, [&](int64_t label, Generator& g) {
    const auto& center = centers[static_cast<size_t>(label)];
    return shifted({center[0], center[1]}, o.spread, g);
  });
}

Dataset make_spirals(int64_t n, const Generator& generator, const SpiralOptions& o, int64_t first) {
  require(within(o.noise, 0, 1e6), "make_spirals: noise must be from 0 to 1e6");
  require(within(o.turns, -100, 100), "make_spirals: turns must be from -100 to 100");
  require(o.arms >= 1 && o.arms <= kMaxClasses, "make_spirals: arms must be from 1 to 1000");
  return make(n, o.arms, generator, first, [&](int64_t label, Generator& g) {
    const float radius = g.uniform(), start = static_cast<float>(label) / static_cast<float>(o.arms);
    return shifted(polar(radius, start + o.turns * radius), o.noise, g);
  });
}

Dataset make_polynomial(int64_t n, const std::vector<double>& coefficients, const Generator& generator,
                        const PolynomialOptions& o, int64_t first) {
  require(!coefficients.empty(), "make_polynomial: needs at least one coefficient");
  for (double c : coefficients) require(std::isfinite(c), "make_polynomial: coefficients must be finite");
  require(within(o.noise, 0, 1e6), "make_polynomial: noise must be from 0 to 1e6");
  require(within(o.low, -1e6, o.high) && o.high <= 1e6, "make_polynomial: -1e6 <= low <= high <= 1e6 must hold");
  Dataset data{empty({n, 1}, o.dtype), empty({n, 1}, o.dtype)};
  check_range(n, first);
  dispatch_floating(o.dtype, "make_polynomial", [&](auto type) {
    using T = decltype(type);
    T* inputs = data.inputs.mutable_data<T>();
    T* targets = data.targets.mutable_data<T>();
    for (int64_t i = 0; i < n; ++i) {
      Generator g = generator.split(kPlace).split(static_cast<uint64_t>(first + i));
      // The curve is taken at x as it is stored, so that without noise y is exact for it.
      const T x = static_cast<T>(o.low + (o.high - o.low) * g.uniform_double());
      double y = 0;
      for (size_t j = coefficients.size(); j-- > 0;) y = y * static_cast<double>(x) + coefficients[j];
      inputs[i] = x, targets[i] = static_cast<T>(y + o.noise * g.normal_double());
    }
  });
  return data;
}

}  // namespace cr::data
