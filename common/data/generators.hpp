// # Toy data
//
// Points of the plane in shapes that pictures can show: what a model does with them can be seen, and so can what it
// cannot do. A line parts two blobs, but neither two moons, nor a ring from what it encloses, nor two arms of a spiral.
//
// Point $i$ depends on the generator's seed and stream and on $i$ only, not on how many are asked for or on threads. So
// the test set is more of the same sequence:
//
//     Dataset train = make_moons(1000, Generator(1));
//     Dataset test = make_moons(500, Generator(1), {}, 1000);
//
// With $k$ classes, each $k$ points from a multiple of $k$ on hold one of every class, in random order. `inputs` is
// (n, 2) float32 and `targets` (n,) int64. **Noise** is the standard deviation of a normal shift in $x$ and in $y$.
//
// All throw ShapeError for a negative `n`, IndexError for a negative `first`, and Error for an option that is not finite
// or out of its range.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "backend/generator.hpp"
#include "data/dataset.hpp"

namespace cr::data {

// Two half circles of radius 1 that reach into each other: class 0 the upper one around (0, 0), class 1 the lower one
// around (1, 1/2).
struct MoonOptions {
  float noise = 0.1f;
};
Dataset make_moons(int64_t n, const Generator& generator, const MoonOptions& options = {}, int64_t first = 0);

// Rings around (0, 0): class 0 has radius 1, the last class radius `factor`, those between radii at equal steps.
struct CircleOptions {
  float noise = 0.05f;
  float factor = 0.5f;  // from 0, where the last ring is a point, to less than 1
  int64_t rings = 2;    // from 2 on
};
Dataset make_circles(int64_t n, const Generator& generator, const CircleOptions& options = {}, int64_t first = 0);

// Clouds: normal around a centre for each class, with standard deviation `spread`. Centres that are not given are drawn,
// `classes` of them, uniformly in the square of side 2 `box` around (0, 0); they depend on the seed only.
struct BlobOptions {
  int64_t classes = 3;
  float spread = 1;
  float box = 10;
  std::vector<std::array<float, 2>> centers = {};
};
Dataset make_blobs(int64_t n, const Generator& generator, const BlobOptions& options = {}, int64_t first = 0);

// Spiral arms from (0, 0) out to radius 1, which turn `turns` times on the way; class $c$ begins at $c / k$ of a turn.
struct SpiralOptions {
  int64_t arms = 2;
  float turns = 1;
  float noise = 0.02f;
};
Dataset make_spirals(int64_t n, const Generator& generator, const SpiralOptions& options = {}, int64_t first = 0);

// Points on the curve $y = c_0 + c_1 x + c_2 x^2 + \dots$, each y shifted by noise: x uniform from `low` to `high`.
// `inputs` and `targets` are (n, 1), of type `dtype`, float32 or float64. Throws Error if there are no coefficients, and
// DTypeError.
struct PolynomialOptions {
  double noise = 0.1;
  double low = -1, high = 1;
  DType dtype = DType::float32;
};
Dataset make_polynomial(int64_t n, const std::vector<double>& coefficients, const Generator& generator,
                        const PolynomialOptions& options = {}, int64_t first = 0);

}  // namespace cr::data
