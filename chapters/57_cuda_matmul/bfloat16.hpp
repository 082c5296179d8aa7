// The numbers of the tensor cores. A **bfloat16** is the upper half of a
// float32: sign, 8 bits of exponent, 7 of fraction ([chapter
// 56](../56_cpu_performance/main.cpp#bfloat16-tiles) made its tiles of it).
// We keep it as 16 bits. **TF32** is a float32 whose last 13 bits nobody
// looks at: 10 bits of fraction.
#pragma once

#include <bit>
#include <cstdint>

using Bf16 = uint16_t;

// Rounded to the nearest, ties to an even last bit. (Of finite numbers only.)
constexpr Bf16 to_bfloat16(float x) {
  const uint32_t bits = std::bit_cast<uint32_t>(x);
  return Bf16((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}
constexpr float from_bfloat16(Bf16 x) {
  return std::bit_cast<float>(uint32_t{x} << 16);
}

// Rounded to the nearest, ties away from zero, as the instruction `cvt.rna`
// does it.
constexpr float to_tf32(float x) {
  return std::bit_cast<float>((std::bit_cast<uint32_t>(x) + 0x1000u) & 0xffffe000u);
}

// What rounding does to a number at most, relative to it.
inline constexpr double kBf16Error = 1.0 / 256, kTf32Error = 1.0 / 2048;
