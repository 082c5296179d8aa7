// The generator against the published vectors, the C library and the laws its numbers should obey.

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <set>
#include <thread>
#include <vector>

#include "backend/generator.hpp"
#include "catch.hpp"
#include "tensor/error.hpp"

using namespace cr;
using namespace cr::backend;

namespace {

constexpr bool same(const PhiloxBlock& a, const PhiloxBlock& b) {
  return a.word[0] == b.word[0] && a.word[1] == b.word[1] && a.word[2] == b.word[2] && a.word[3] == b.word[3];
}

// The known-answer vectors that the authors publish with Random123, checked while compiling.
static_assert(same(philox({{0, 0, 0, 0}}, 0), {{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}}));
static_assert(same(philox({{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}}, 0xffffffffffffffff),
                   {{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}}));
static_assert(same(philox({{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}}, 0x299f31d0a4093822),
                   {{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}}));

// Distance in units in the last place of the exact value, which `exact` holds with more digits.
template <typename T> double ulps(T value, long double exact) {
  T rounded = static_cast<T>(exact);
  T spacing = std::nextafter(std::fabs(rounded), std::numeric_limits<T>::infinity()) - std::fabs(rounded);
  return static_cast<double>(std::fabs(static_cast<long double>(value) - exact) / spacing);
}

// FNV-1a over the bytes: a fingerprint that any machine can compare.
template <typename T> uint64_t fingerprint(const std::vector<T>& values) {
  const auto* bytes = reinterpret_cast<const unsigned char*>(values.data());
  uint64_t hash = 14695981039346656037u;
  for (size_t i = 0; i < values.size() * sizeof(T); ++i) hash = (hash ^ bytes[i]) * 1099511628211u;
  return hash;
}

struct Moments {
  double mean = 0, variance = 0, skew = 0, kurtosis = 0;
};
template <typename T> Moments moments(const std::vector<T>& x) {
  Moments m;
  const double n = static_cast<double>(x.size());
  for (T v : x) m.mean += static_cast<double>(v) / n;
  for (T v : x) {
    double d = static_cast<double>(v) - m.mean;
    m.variance += d * d / n, m.skew += d * d * d / n, m.kurtosis += d * d * d * d / n;
  }
  m.skew /= std::pow(m.variance, 1.5), m.kurtosis /= m.variance * m.variance;
  return m;
}

}  // namespace

TEST_CASE("shared log, sin and cos are good to two units in the last place", "[generator]") {
  Generator g(1);
  double worst_log = 0, worst_log_double = 0, worst_sin = 0, worst_sin_double = 0;
  for (int i = 0; i < 200000; ++i) {
    float x = std::ldexp(1 + g.uniform(), static_cast<int>(g.randint(-33, 1)));
    double y = std::ldexp(1 + g.uniform_double(), static_cast<int>(g.randint(-65, 1)));
    worst_log = std::max(worst_log, ulps(shared_log(x), std::log(static_cast<long double>(x))));
    worst_log_double = std::max(worst_log_double, ulps(shared_log(y), std::log(static_cast<long double>(y))));

    uint32_t turn = g.next();
    long double angle = turn * 0x1p-32L * 6.283185307179586476925286766559L;
    SinCos<float> a = sin_cos_turn<float>(turn);
    worst_sin = std::max({worst_sin, static_cast<double>(std::fabs(a.sin - std::sin(angle))),
                          static_cast<double>(std::fabs(a.cos - std::cos(angle)))});
    uint64_t turn64 = g.next64();
    angle = static_cast<long double>(turn64) * 0x1p-64L * 6.283185307179586476925286766559L;
    SinCos<double> b = sin_cos_turn<double>(turn64);
    worst_sin_double = std::max({worst_sin_double, static_cast<double>(std::fabs(b.sin - std::sin(angle))),
                                 static_cast<double>(std::fabs(b.cos - std::cos(angle)))});
  }
  CAPTURE(worst_log, worst_log_double, worst_sin, worst_sin_double);
  CHECK(worst_log < 2);
  CHECK(worst_log_double < 2);
  CHECK(worst_sin < 1.2e-7);
  CHECK(worst_sin_double < 2.3e-16);
  CHECK(shared_log(1.f) == 0);
  CHECK(shared_log(1.) == 0);
}

TEST_CASE("uniform numbers fill [0, 1) evenly", "[generator]") {
  Generator g(2);
  std::vector<float> x(400000);
  for (float& v : x) v = g.uniform();
  CHECK(*std::min_element(x.begin(), x.end()) >= 0);
  CHECK(*std::max_element(x.begin(), x.end()) < 1);
  Moments m = moments(x);
  CHECK(m.mean == Approx(0.5).margin(0.002));
  CHECK(m.variance == Approx(1. / 12).margin(0.0005));
  CHECK(to_uniform(uint32_t{0xffffffff}) < 1);
  CHECK(to_uniform(uint64_t{0xffffffffffffffff}) < 1);
}

TEST_CASE("normal numbers have the normal distribution's moments", "[generator]") {
  Generator g(3);
  std::vector<float> x(400000);
  std::vector<double> y(400000);
  fill_normal(x.data(), 0, 400000, g.reserve(words_for_normal<float>(400000)));
  fill_normal(y.data(), 0, 400000, g.reserve(words_for_normal<double>(400000)));
  for (const Moments& m : {moments(x), moments(y)}) {
    CHECK(m.mean == Approx(0).margin(0.006));
    CHECK(m.variance == Approx(1).margin(0.009));
    CHECK(m.skew == Approx(0).margin(0.016));
    CHECK(m.kurtosis == Approx(3).margin(0.032));
  }
  // Neighbours are the two halves of one pair, and independent all the same.
  double product = 0;
  for (size_t i = 0; i + 1 < x.size(); i += 2) product += x[i] * x[i + 1] / 200000.;
  CHECK(product == Approx(0).margin(0.009));
  // The farthest that the extreme words reach.
  CHECK(to_normal(uint32_t{0}, uint32_t{0}).first == Approx(6.7637f));
  CHECK(to_normal(uint32_t{0xffffffff}, uint32_t{0}).first == 0);
}

TEST_CASE("the bits are the same on every machine", "[generator]") {
  Generator g(42);
  std::vector<float> x(1000), u(1000);
  std::vector<double> y(1000);
  std::vector<int64_t> k(1000);
  fill_uniform(u.data(), 0, 1000, g.reserve(words_for_uniform<float>(1000)));
  fill_normal(x.data(), 0, 1000, g.reserve(words_for_normal<float>(1000)));
  fill_normal(y.data(), 0, 1000, g.reserve(words_for_normal<double>(1000)));
  fill_randint(k.data(), 0, 1000, -5, 1000003, g.reserve(words_for_randint(1000)));
  CHECK(fingerprint(u) == 0xdd4b3d01b3622360u);
  CHECK(fingerprint(x) == 0x570bea0860740358u);
  CHECK(fingerprint(y) == 0x6731cd4ccd559621u);
  CHECK(fingerprint(k) == 0x3de17aa20cc8ecefu);
}

TEST_CASE("a bulk fill does not depend on how it is cut", "[generator]") {
  const int64_t n = 1003;
  Generator g(5);
  g.skip(7);
  RandomState from = g.reserve(4 * n);
  CHECK(from.position == 8);
  CHECK(g.state().position == 8 + 4 * n);

  auto whole_and_pieces = [&](auto type, auto fill) {
    using T = decltype(type);
    std::vector<T> whole(n), pieces(n);
    fill(whole.data(), 0, n);
    for (int64_t begin = 0, step = 1; begin < n; begin += step, step = step * 3 % 17)
      fill(pieces.data(), begin, std::min(n, begin + step));
    CHECK(std::memcmp(whole.data(), pieces.data(), n * sizeof(T)) == 0);

    std::vector<T> halves(n);
    std::thread other([&] { fill(halves.data(), 501, n); });
    fill(halves.data(), 0, 501);
    other.join();
    CHECK(std::memcmp(whole.data(), halves.data(), n * sizeof(T)) == 0);
  };
  whole_and_pieces(0.f, [&](float* x, int64_t b, int64_t e) { fill_uniform(x, b, e, from); });
  whole_and_pieces(0., [&](double* x, int64_t b, int64_t e) { fill_uniform(x, b, e, from); });
  whole_and_pieces(0.f, [&](float* x, int64_t b, int64_t e) { fill_normal(x, b, e, from); });
  whole_and_pieces(0., [&](double* x, int64_t b, int64_t e) { fill_normal(x, b, e, from); });
  whole_and_pieces(int64_t{}, [&](int64_t* x, int64_t b, int64_t e) { fill_randint(x, b, e, -3, 4, from); });
}

TEST_CASE("bulk numbers are the ones drawn one at a time", "[generator]") {
  Generator one(6), bulk(6);
  std::vector<float> x(10);
  std::vector<double> y(10);
  fill_uniform(x.data(), 0, 10, bulk.reserve(words_for_uniform<float>(10)));
  for (float v : x) CHECK(v == one.uniform());
  one.reserve(0);
  fill_uniform(y.data(), 0, 10, bulk.reserve(words_for_uniform<double>(10)));
  for (double v : y) CHECK(v == one.uniform_double());
  one.reserve(0);
  fill_normal(x.data(), 0, 10, bulk.reserve(words_for_normal<float>(10)));
  for (int i = 0; i < 10; i += 2) CHECK(x[static_cast<size_t>(i)] == one.normal());
}

TEST_CASE("randint is unbiased and stays inside", "[generator]") {
  Generator g(7);
  // An interval of 3/4 of all words: without refusals its lower third would come up twice as often.
  const int64_t size = int64_t{3} << 61;
  std::vector<int64_t> bulk(30000);
  fill_randint(bulk.data(), 0, 30000, 0, size, g.reserve(words_for_randint(30000)));
  int low = 0, low_bulk = 0;
  for (int64_t v : bulk) low_bulk += v < size / 3;
  for (int i = 0; i < 30000; ++i) low += g.randint(0, size) < size / 3;
  CHECK(low == Approx(10000).margin(350));
  CHECK(low_bulk == Approx(10000).margin(350));

  std::vector<int> count(7);
  for (int i = 0; i < 70000; ++i) ++count.at(static_cast<size_t>(g.randint(-3, 4) + 3));
  for (int c : count) CHECK(c == Approx(10000).margin(400));
  CHECK(g.randint(5, 6) == 5);
  CHECK(g.randint(INT64_MIN, INT64_MAX) < INT64_MAX);
  CHECK_THROWS_AS(g.randint(3, 3), Error);
  CHECK_THROWS_WITH(g.randint(4, 3), "randint: [4, 3) is empty");
}

TEST_CASE("shuffle makes every order equally likely", "[generator]") {
  Generator g(8);
  std::vector<int> count(6);
  for (int i = 0; i < 12000; ++i) {
    int order[3] = {0, 1, 2};
    g.shuffle(std::span<int>(order));
    ++count[static_cast<size_t>(order[0] * 2 + (order[1] > order[2]))];
  }
  for (int c : count) CHECK(c == Approx(2000).margin(170));
}

TEST_CASE("splits are independent streams that do not depend on the place", "[generator]") {
  Generator g(9);
  Generator a = g.split(0), b = g.split(1), aa = a.split(0);
  g.next();
  Generator again = g.split(1);
  CHECK(again.state() == b.state());
  std::set<uint64_t> first{g.next64(), a.next64(), b.next64(), aa.next64(), Generator(10).next64()};
  CHECK(first.size() == 5);

  double product = 0;
  for (int i = 0; i < 100000; ++i) product += (a.uniform() - 0.5) * (b.uniform() - 0.5) * 12 / 100000;
  CHECK(product == Approx(0).margin(0.013));
}

TEST_CASE("a saved place is found again", "[generator]") {
  Generator g(11);
  g.skip(5);
  RandomState place = g.state();
  std::vector<uint32_t> expected(9);
  for (uint32_t& w : expected) w = g.next();
  Generator other(99);
  other.next();
  other.set_state(place);
  for (uint32_t w : expected) CHECK(other.next() == w);
}
