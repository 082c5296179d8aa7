// The generated digits: the same bits everywhere, balanced, in range, and as hard as they claim to be.

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "backend/parallel.hpp"
#include "catch.hpp"
#include "data/digits.hpp"
#include "machine.hpp"

using namespace cr;
using namespace cr::data;

namespace {

uint64_t fingerprint(const Tensor& images) {
  const auto* bytes = reinterpret_cast<const unsigned char*>(images.data<float>());
  uint64_t hash = 14695981039346656037u;
  for (int64_t i = 0; i < images.numel() * 4; ++i) hash = (hash ^ bytes[i]) * 1099511628211u;
  return hash;
}

// Softmax regression by stochastic gradient descent in plain loops, so that nothing of the library is trusted here.
// Returns its accuracy on `test`.
double linear_accuracy(const Dataset& train, const Dataset& test, int epochs) {
  std::vector<float> weight(10 * 785);
  auto logits = [&](const float* x, float* z) {
    for (size_t c = 0; c < 10; ++c) {
      const float* w = &weight[c * 785];
      float sums[8] = {w[784]};
      for (size_t i = 0; i < 784; i += 8)
        for (size_t k = 0; k < 8; ++k) sums[k] += w[i + k] * x[i + k];
      z[c] = 0;
      for (float s : sums) z[c] += s;
    }
  };
  const float* images = train.inputs.data<float>();
  for (int epoch = 0; epoch < epochs; ++epoch)
    for (int64_t n = 0; n < train.size(); ++n) {
      const float* x = images + n * 784;
      float z[10], total = 0;
      logits(x, z);
      const float top = *std::max_element(z, z + 10);
      for (float& v : z) v = std::exp(v - top), total += v;
      const float lr = 0.02f * static_cast<float>(epochs - epoch) / static_cast<float>(epochs);
      for (size_t c = 0; c < 10; ++c) {
        const float push =
            lr * (z[c] / total - (static_cast<int64_t>(c) == train.targets.data<int64_t>()[n] ? 1.f : 0.f));
        float* w = &weight[c * 785];
        for (size_t i = 0; i < 784; ++i) w[i] -= push * x[i];
        w[784] -= push;
      }
    }
  int64_t right = 0;
  for (int64_t n = 0; n < test.size(); ++n) {
    float z[10];
    logits(test.inputs.data<float>() + n * 784, z);
    right += std::max_element(z, z + 10) - z == test.targets.data<int64_t>()[n];
  }
  return static_cast<double>(right) / static_cast<double>(test.size());
}

}  // namespace

TEST_CASE("a digit depends on seed and index only", "[digits]") {
  Generator g(1);
  Dataset all = make_digits(300, g), some = make_digits(7, g, 120), other = make_digits(7, Generator(2), 120);
  CHECK(all.inputs.shape() == Shape{300, 28, 28});
  CHECK(all.targets.shape() == Shape{300});
  CHECK(std::memcmp(all.inputs.data<float>() + 120 * 784, some.inputs.data<float>(), 7 * 784 * 4) == 0);
  CHECK(std::memcmp(all.targets.data<int64_t>() + 120, some.targets.data<int64_t>(), 7 * 8) == 0);
  CHECK(std::memcmp(other.inputs.data<float>(), some.inputs.data<float>(), 7 * 784 * 4) != 0);

  // The generator's place does not matter, nor the number of threads.
  g.next();
  Threads threads(1);
  CHECK(fingerprint(make_digits(300, g).inputs) == fingerprint(all.inputs));
  backend::set_num_threads(2);
  CHECK(fingerprint(make_digits(300, g).inputs) == fingerprint(all.inputs));
}

TEST_CASE("the digits are the same bits on every machine", "[digits]") {
  CHECK(fingerprint(make_digits(100, Generator(42)).inputs) == 0x0b1cce037b9415a7u);
}

TEST_CASE("labels are balanced and in random order", "[digits]") {
  Dataset digits = make_digits(1000, Generator(3));
  int count[10] = {}, ascending = 0;
  for (int64_t i = 0; i < 1000; ++i) {
    const int64_t label = digits.targets.data<int64_t>()[i];
    REQUIRE((label >= 0 && label < 10));
    CHECK(label == digit_label(Generator(3), i));
    ++count[label];
    ascending += i > 0 && label == digits.targets.data<int64_t>()[i - 1] + 1;
  }
  for (int c : count) CHECK(c == 100);
  CHECK(ascending < 150);  // about 1000 * 9 / 100 by chance
}

TEST_CASE("an image is dark ink on white paper, away from the edge", "[digits]") {
  const int64_t n = 500;
  Dataset digits = make_digits(n, Generator(4), 0, {.distractors = 0});
  double ink = 0;
  for (int64_t i = 0; i < n; ++i) {
    const float* x = digits.inputs.data<float>() + i * 784;
    CHECK(*std::min_element(x, x + 784) == 0);
    const float darkest = *std::max_element(x, x + 784);
    CHECK((darkest > 0.5f && darkest <= 1));
    for (int64_t k = 0; k < 28; ++k) ink += x[k] + x[27 * 28 + k] + x[28 * k] + x[28 * k + 27];
  }
  // The pen's pressure may swell beyond its margin by a hair.
  CHECK(ink / static_cast<double>(n) < 0.1);
}

TEST_CASE("no digits, and digits that cannot be", "[digits]") {
  CHECK(make_digits(0, Generator(1)).size() == 0);
  CHECK_THROWS_AS(make_digits(-1, Generator(1)), ShapeError);
  CHECK_THROWS_AS(make_digits(1, Generator(1), -1), IndexError);
  CHECK_THROWS_AS(make_digits(2, Generator(1), INT64_MAX - 1), IndexError);
  CHECK_THROWS_AS(make_digits(1, Generator(1), 0, {.min_pen = 0}), Error);
  CHECK_THROWS_AS(make_digits(1, Generator(1), 0, {.wobble = NAN}), Error);
}

TEST_CASE("a linear classifier reads most digits, but stays under 93 %", "[digits]") {
  Dataset train = make_digits(10000, Generator(5)), test = make_digits(2000, Generator(5), 10000);
  const double accuracy = linear_accuracy(train, test, 5);
  CAPTURE(accuracy);
  CHECK(accuracy < 0.93);
  CHECK(accuracy > 0.80);
}
