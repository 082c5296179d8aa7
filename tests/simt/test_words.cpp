// # CUDA's words mean on the emulator what they mean on a GPU
#include "backend/backend.hpp"

#if CHAINRULE_SIMT
#include "catch.hpp"
#include "words.cuh"

TEST_CASE("shuffles and shared memory add up a block", "[simt]") {
  std::vector<float> x(512);
  for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i);
  CHECK(words::block_sums(x) == std::vector<float>{255 * 128, 255 * 128 + 256 * 256});
}

TEST_CASE("votes, reductions, shuffles and atomics", "[simt]") {
  auto seen = words::lane_report();
  for (unsigned t = 0; t < 96; ++t) {
    CAPTURE(t);
    unsigned lane = t % 32;
    const unsigned* mine = &seen[8 * t];
    CHECK(mine[0] == 0x49249249u);
    CHECK(mine[1] == 1);
    CHECK(mine[2] == 31 * 16);
    CHECK(mine[3] == t - lane + (lane ^ 5));
    CHECK(mine[4] == (lane % 8 < 3 ? t : t - 3));
    CHECK(mine[5] == 20);
    CHECK(mine[6] == (lane < 10 ? 0x3ffu : 0xfffffc00u));
    CHECK(mine[7] == (t == 0 ? 96 + 95 : 1));
  }
}

TEST_CASE("tiles of eight threads", "[simt]") {
  std::vector<float> x(64), expected(64);
  for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i);
  for (size_t i = 0; i < x.size(); ++i) expected[i] = static_cast<float>(i / 8 * 64 + 28 + 1000 * (i / 8));
  CHECK(words::groups(x) == expected);
}

TEST_CASE("four floats at once, and dynamic shared memory", "[simt]") {
  std::vector<float> x(12 * 20), expected(12 * 20);
  for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i);
  for (size_t r = 0; r < 12; ++r)
    for (size_t c = 0; c < 20; ++c) expected[c * 12 + r] = x[r * 20 + c];
  CHECK(words::transposed(x, 12, 20) == expected);
}
#endif
