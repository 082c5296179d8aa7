#include "backend/simt/words.hpp"

#include <algorithm>
#include <utility>

#include "backend/simt/emulator.hpp"

namespace cr::backend::simt {

void misaligned_access(const void* p, unsigned bytes, bool writes) {
  if (!watching) return;
  LookAway().watcher.access(reinterpret_cast<uintptr_t>(p), bytes, bytes, writes ? Access::write : Access::read,
                            __builtin_return_address(0));
}

void* dynamic_shared_bytes() { return emulator().shared(); }

// ## The words that wait
//
// Where the call came from names its line in an error.
void __syncthreads() { emulator().barrier("__syncthreads", false, __builtin_return_address(0)); }
int __syncthreads_count(int p) {
  return emulator().barrier("__syncthreads_count", p != 0, __builtin_return_address(0));
}
int __syncthreads_or(int p) { return emulator().barrier("__syncthreads_or", p != 0, __builtin_return_address(0)) != 0; }
int __syncthreads_and(int p) {
  return emulator().barrier("__syncthreads_and", p == 0, __builtin_return_address(0)) == 0;
}

// The only meeting of lanes that orders memory.
void __syncwarp(unsigned mask) { emulator().meet("__syncwarp", mask, {}, __builtin_return_address(0), true); }
unsigned __activemask() { return emulator().meet_whoever_is_here("__activemask", __builtin_return_address(0)).mask; }

static unsigned lanes_with(const Emulator::Meeting& m, bool predicate) {
  unsigned lanes = 0;
  for (unsigned lane = 0; lane < 32; ++lane) {
    if (m.mask >> lane & 1 && (m.brought[lane][0] != 0) == predicate) lanes |= 1u << lane;
  }
  return lanes;
}
unsigned __ballot_sync(unsigned mask, int p) {
  return lanes_with(emulator().meet("__ballot_sync", mask, {p != 0}, __builtin_return_address(0)), true);
}
int __any_sync(unsigned mask, int p) {
  return lanes_with(emulator().meet("__any_sync", mask, {p != 0}, __builtin_return_address(0)), true) != 0;
}
int __all_sync(unsigned mask, int p) {
  return lanes_with(emulator().meet("__all_sync", mask, {p != 0}, __builtin_return_address(0)), false) == 0;
}

uint64_t warp_shuffle(Shuffle kind, unsigned mask, uint64_t bits, int source, int width) {
  constexpr const char* kCalls[] = {"__shfl_sync", "__shfl_up_sync", "__shfl_down_sync", "__shfl_xor_sync"};
  const auto m = emulator().meet(kCalls[static_cast<int>(kind)], mask, {bits}, __builtin_return_address(0));
  const unsigned lane = m.lane, part = static_cast<unsigned>(width), first = lane & ~(part - 1);
  const auto number = static_cast<unsigned>(source);
  unsigned from = lane;
  switch (kind) {
    case Shuffle::index: from = first + (number & (part - 1)); break;
    case Shuffle::up: from = number > lane - first ? lane : lane - number; break;
    case Shuffle::down: from = number >= first + part - lane ? lane : lane + number; break;
    case Shuffle::exclusive_or: from = ((lane ^ number) & 31) >= first + part ? lane : lane ^ number; break;
  }
  from %= 32;
  return m.mask >> from & 1 ? m.brought[from][0] : ~uint64_t{0};
}

unsigned warp_match(unsigned mask, uint64_t bits) {
  const auto m = emulator().meet("__match_any_sync", mask, {bits}, __builtin_return_address(0));
  unsigned same = 0;
  for (unsigned lane = 0; lane < 32; ++lane) {
    if (m.mask >> lane & 1 && m.brought[lane][0] == m.brought[m.lane][0]) same |= 1u << lane;
  }
  return same;
}

unsigned warp_combine(Combine kind, unsigned mask, unsigned value) {
  constexpr const char* kCalls[] = {"__reduce_add_sync", "__reduce_min_sync", "__reduce_max_sync",
                                    "__reduce_add_sync", "__reduce_min_sync", "__reduce_max_sync",
                                    "__reduce_and_sync", "__reduce_or_sync",  "__reduce_xor_sync"};
  const auto m = emulator().meet(kCalls[static_cast<int>(kind)], mask, {value}, __builtin_return_address(0));
  unsigned result = 0;
  bool begun = false;
  for (unsigned lane = 0; lane < 32; ++lane) {
    if (!(m.mask >> lane & 1)) continue;
    const auto v = static_cast<unsigned>(m.brought[lane][0]);
    const int signed_v = static_cast<int>(v), signed_result = static_cast<int>(result);
    if (!std::exchange(begun, true)) {
      result = v;
      continue;
    }
    switch (kind) {
      case Combine::add_int:
      case Combine::add_unsigned: result += v; break;
      case Combine::min_int: result = static_cast<unsigned>(std::min(signed_result, signed_v)); break;
      case Combine::max_int: result = static_cast<unsigned>(std::max(signed_result, signed_v)); break;
      case Combine::min_unsigned: result = std::min(result, v); break;
      case Combine::max_unsigned: result = std::max(result, v); break;
      case Combine::bit_and: result &= v; break;
      case Combine::bit_or: result |= v; break;
      case Combine::bit_xor: result ^= v; break;
    }
  }
  return result;
}

// ## Copies under way
void begin_copy(const AsyncCopy& copy) { emulator().begin_copy(copy, __builtin_return_address(0)); }
void close_batch() { emulator().close_batch(); }
bool next_copy(AsyncCopy& copy, unsigned open) { return emulator().next_copy(copy, open); }

// ## What stands for a tensor core
//
// A lane's four sums lie in two rows of A and two columns of B, and those lie with four lanes each.
unsigned lane_index() { return emulator().lane("lane_index"); }

void warp_gather(uint64_t mine, uint64_t (&all)[32]) {
  const auto m = emulator().meet_whole_warp("ldmatrix", {mine}, __builtin_return_address(0));
  for (unsigned lane = 0; lane < 32; ++lane) all[lane] = m.brought[lane][0];
}

// `part(register, p)`: number p of those that a register of 64 bits, two of the lane's, holds: 0 and 1 in the lower, 2 and 3 in
// the upper half, or 0 and 1 of 32 bits.
template <unsigned kNumbers, class Part>
static void multiply_fragments(const char* call, float* c, const uint32_t* a, uint32_t b0, uint32_t b1, const void* pc,
                               Part part) {
  const auto pair = [](uint32_t low, uint32_t high) { return low | uint64_t{high} << 32; };
  const auto m = emulator().meet_whole_warp(call, {pair(a[0], a[2]), pair(a[1], a[3]), pair(b0, b1)}, pc);
  const unsigned row = m.lane / 4 * 4, column = m.lane % 4 * 8;
  for (unsigned half = 0; half < 2; ++half) {
    for (unsigned lane = 0; lane < 4; ++lane) {
      for (unsigned p = half * kNumbers; p < (half + 1) * kNumbers; ++p) {
        for (unsigned r = 0; r < 4; ++r)
          c[r] += part(m.brought[row + lane][r / 2], p) * part(m.brought[column + r % 2 * 4 + lane][2], p);
      }
    }
  }
}
void warp_mma_bf16(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
  multiply_fragments<2>("mma_bf16", c, a, b0, b1, __builtin_return_address(0), [](uint64_t pairs, unsigned p) {
    return __builtin_bit_cast(float, static_cast<uint32_t>(pairs >> 16 * p) << 16);
  });
}
void warp_mma_tf32(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
  multiply_fragments<1>("mma_tf32", c, a, b0, b1, __builtin_return_address(0), [](uint64_t pair, unsigned p) {
    return __builtin_bit_cast(float, static_cast<uint32_t>(pair >> 32 * p) & 0xffffe000u);
  });
}

}  // namespace cr::backend::simt
