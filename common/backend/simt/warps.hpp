// # What the threads of a warp say to each other
//
// The 32 threads of a **warp** (its **lanes**) can pass numbers directly, without memory. Each function below is a
// meeting: the lanes whose bits are set in `mask` must all call it, with the same mask, and none goes on before all
// are there. Lanes that have returned are not waited for. Only `__syncwarp` also orders memory: after the others a lane must
// not rely on what another one wrote before.
//
// What a lane reads from one that does not take part is undefined on a GPU; here all its bits are 1, so a float is NaN.
#pragma once

#include <cstdint>
#include <type_traits>

// Calls of one word in two branches are two meetings. clang would gladly make them one.
#if defined(__clang__)
#define CR_MEETING [[clang::nomerge]]
#else
#define CR_MEETING
#endif

namespace cr::backend::simt {

inline constexpr int warpSize = 32;

// The meetings themselves (`words.cpp`). `source` is the lane whose bits are wanted.
enum class Shuffle : uint8_t { index, up, down, exclusive_or };
enum class Combine : uint8_t {
  add_int,
  min_int,
  max_int,
  add_unsigned,
  min_unsigned,
  max_unsigned,
  bit_and,
  bit_or,
  bit_xor
};
CR_MEETING uint64_t warp_shuffle(Shuffle kind, unsigned mask, uint64_t bits, int lane, int width);
CR_MEETING unsigned warp_combine(Combine kind, unsigned mask, unsigned value);
CR_MEETING unsigned warp_match(unsigned mask, uint64_t bits);

// What one lane wrote before it, the others read after it.
CR_MEETING void __syncwarp(unsigned mask = 0xffffffffu);

// Which lanes of `mask` gave something other than 0; whether all did, whether any did.
CR_MEETING unsigned __ballot_sync(unsigned mask, int predicate);
CR_MEETING int __all_sync(unsigned mask, int predicate);
CR_MEETING int __any_sync(unsigned mask, int predicate);

// The lanes that are here together right now.
CR_MEETING unsigned __activemask();

// A number's bits, filled up to 64, and back.
template <class T> uint64_t to_bits(T value) {
  static_assert(sizeof(T) == 4 || sizeof(T) == 8, "a shuffle passes 4 or 8 bytes");
  if constexpr (sizeof(T) == 4) return __builtin_bit_cast(uint32_t, value);
  else return __builtin_bit_cast(uint64_t, value);
}
template <class T> T from_bits(uint64_t bits) {
  if constexpr (sizeof(T) == 4) return __builtin_bit_cast(T, static_cast<uint32_t>(bits));
  else return __builtin_bit_cast(T, bits);
}

// Every lane gives `value` and gets that of lane `source`; of the lane `delta` below or above it; of the lane whose
// number differs in the bits of `lane_mask`. With a `width` (a power of two) the warp falls into parts of that many
// lanes, each with its own numbering from 0. Beyond the edge of its part a lane gets its own value back.
template <class T> T __shfl_sync(unsigned mask, T value, int source, int width = warpSize) {
  return from_bits<T>(warp_shuffle(Shuffle::index, mask, to_bits(value), source, width));
}
template <class T> T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = warpSize) {
  return from_bits<T>(warp_shuffle(Shuffle::up, mask, to_bits(value), static_cast<int>(delta), width));
}
template <class T> T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = warpSize) {
  return from_bits<T>(warp_shuffle(Shuffle::down, mask, to_bits(value), static_cast<int>(delta), width));
}
template <class T> T __shfl_xor_sync(unsigned mask, T value, int lane_mask, int width = warpSize) {
  return from_bits<T>(warp_shuffle(Shuffle::exclusive_or, mask, to_bits(value), lane_mask, width));
}

// The lanes that gave the same value as this one.
template <class T> unsigned __match_any_sync(unsigned mask, T value) { return warp_match(mask, to_bits(value)); }

// The sum, least or greatest of all lanes' values, to every lane. As on a GPU, for whole numbers only.
inline int __reduce_add_sync(unsigned mask, int v) { return int(warp_combine(Combine::add_int, mask, unsigned(v))); }
inline int __reduce_min_sync(unsigned mask, int v) { return int(warp_combine(Combine::min_int, mask, unsigned(v))); }
inline int __reduce_max_sync(unsigned mask, int v) { return int(warp_combine(Combine::max_int, mask, unsigned(v))); }
inline unsigned __reduce_add_sync(unsigned mask, unsigned v) { return warp_combine(Combine::add_unsigned, mask, v); }
inline unsigned __reduce_min_sync(unsigned mask, unsigned v) { return warp_combine(Combine::min_unsigned, mask, v); }
inline unsigned __reduce_max_sync(unsigned mask, unsigned v) { return warp_combine(Combine::max_unsigned, mask, v); }
inline unsigned __reduce_and_sync(unsigned mask, unsigned v) { return warp_combine(Combine::bit_and, mask, v); }
inline unsigned __reduce_or_sync(unsigned mask, unsigned v) { return warp_combine(Combine::bit_or, mask, v); }
inline unsigned __reduce_xor_sync(unsigned mask, unsigned v) { return warp_combine(Combine::bit_xor, mask, v); }

// What stands for a tensor core (`gpu/tensor_core.cuh`): a lane gets what every other brought; and the two products of
// fragments. All 32 lanes must come.
unsigned lane_index();
CR_MEETING void warp_gather(uint64_t mine, uint64_t (&all)[32]);
CR_MEETING void warp_mma_bf16(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1);
CR_MEETING void warp_mma_tf32(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1);

}  // namespace cr::backend::simt
