// # Random numbers from a counter
//
// Most random number generators are machines with a state: to get number 1000 one must make the 999 before it, and two
// threads that share one machine get numbers that depend on who came first. **Philox 4×32-10** (Salmon, Moraes, Dror
// and Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011) has no state. It is a keyed scrambler: a 128-bit
// counter goes in, 128 random bits come out, and number 1000 is as cheap as number 0.
//
// Here the key is the seed, and the counter is (which stream, which block of four words). So word $i$ of a stream is a
// pure function of (seed, stream, $i$): the same on every device, whatever the number of threads.
//
// All functions are `static`: a source file compiled for another instruction set then keeps a copy of its own, and no
// caller on an older machine can be handed a copy it cannot run.
#pragma once

#include <cstdint>

#include "backend/shared_math.hpp"

namespace cr::backend {

// Four 32-bit words: one counter, or one block of output.
struct PhiloxBlock {
  uint32_t word[4];
};

// One of $2^{64}$ seeds, one of $2^{64}$ streams under it, and how many words were already drawn.
struct RandomState {
  uint64_t seed = 0;
  uint64_t stream = 0;
  uint64_t position = 0;

  friend constexpr bool operator==(const RandomState&, const RandomState&) = default;
};

// One **round** multiplies two of the words by odd constants. The low half of a product depends on the low bits of its
// input only, the high half on all of them, so the halves change places and the key is mixed in. Ten rounds pass every
// known statistical test; seven would already do.
static constexpr PhiloxBlock philox_round(const PhiloxBlock& c, uint32_t key0, uint32_t key1) {
  uint64_t p0 = uint64_t{0xD2511F53} * c.word[0];
  uint64_t p1 = uint64_t{0xCD9E8D57} * c.word[2];
  return {{static_cast<uint32_t>(p1 >> 32) ^ c.word[1] ^ key0, static_cast<uint32_t>(p1),
           static_cast<uint32_t>(p0 >> 32) ^ c.word[3] ^ key1, static_cast<uint32_t>(p0)}};
}

// Scramble one counter under one 64-bit key. Between rounds the key takes a step of a Weyl sequence: the constants are
// the golden ratio and $\sqrt 3 - 1$ as 32-bit fractions.
static constexpr PhiloxBlock philox(PhiloxBlock counter, uint64_t key) {
  uint32_t key0 = static_cast<uint32_t>(key), key1 = static_cast<uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round) {
    counter = philox_round(counter, key0, key1);
    key0 += 0x9E3779B9;
    key1 += 0xBB67AE85;
  }
  return counter;
}

// Block `index` of a stream: its words 4·index to 4·index + 3.
static constexpr PhiloxBlock random_block(uint64_t seed, uint64_t stream, uint64_t index) {
  return philox({{static_cast<uint32_t>(index), static_cast<uint32_t>(index >> 32), static_cast<uint32_t>(stream),
                  static_cast<uint32_t>(stream >> 32)}},
                seed);
}

// Two words make one 64-bit number, the first word low.
static constexpr uint64_t join_words(uint32_t low, uint32_t high) { return uint64_t{high} << 32 | low; }

// ## From bits to numbers
//
// A float32 holds 24 significant bits and a float64 53. Taking exactly so many gives equally spaced numbers in $[0,
// 1)$, each as likely as the next; more bits would be rounded, and $1$ would appear.
static constexpr float to_uniform(uint32_t bits) { return static_cast<float>(bits >> 8) * 0x1p-24f; }
static constexpr double to_uniform(uint64_t bits) { return static_cast<double>(bits >> 11) * 0x1p-53; }

// Two independent numbers from the standard normal distribution.
template <typename T> struct NormalPair { T first, second; };

// **Box and Muller** (1958): the point $(x, y)$ of two independent normals has a uniform angle, and half its squared
// length is exponentially distributed. So draw both, $r = \sqrt{-2 \ln u}$ and $\theta = 2\pi v$, and go back to $x$
// and $y$. Here $u$ is never 0: the largest float32 normal is $\sqrt{66 \ln 2} = 6.76$, the largest float64 one 9.5.
CR_DEVICE static inline NormalPair<float> to_normal(uint32_t u, uint32_t v) {
  float r = square_root(-2 * shared_log(static_cast<float>(u) * 0x1p-32f + 0x1p-33f));
  SinCos<float> angle = sin_cos_turn<float>(v);
  return {r * angle.cos, r * angle.sin};
}
CR_DEVICE static inline NormalPair<double> to_normal(uint64_t u, uint64_t v) {
  double r = square_root(-2 * shared_log(static_cast<double>(u) * 0x1p-64 + 0x1p-65));
  SinCos<double> angle = sin_cos_turn<double>(v);
  return {r * angle.cos, r * angle.sin};
}

}  // namespace cr::backend
