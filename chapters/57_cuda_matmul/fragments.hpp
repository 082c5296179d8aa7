// ## Who holds what
//
// A tensor core multiplies small matrices, and its inputs and outputs lie in
// the registers of a whole warp, a few numbers in each lane. Which number is
// where is laid down by the instruction, in pictures of its manual. Here are
// the pictures as arithmetic: for each lane, register and half, the row and
// column that it holds. They can be tested to the last number without owning
// a tensor core.
#pragma once

struct Place {
  int row, column;
  constexpr bool operator==(const Place&) const = default;
};

// `mma.m16n8k16` for bfloat16: C (16, 8) += A (16, 16) · B (16, 8). Two
// numbers to a register: A's four registers hold two neighbours of a row
// each, B's two hold two neighbours of a column.
namespace bf16_mma {
constexpr Place a(int lane, int r, int half) {
  return {lane / 4 + r % 2 * 8, lane % 4 * 2 + half + r / 2 * 8};
}
constexpr Place b(int lane, int r, int half) {
  return {lane % 4 * 2 + half + r * 8, lane / 4};
}
}  // namespace bf16_mma

// `mma.m16n8k8` for TF32: C (16, 8) += A (16, 8) · B (8, 8), a number to each
// register.
namespace tf32_mma {
constexpr Place a(int lane, int r) {
  return {lane / 4 + r % 2 * 8, lane % 4 + r / 2 * 4};
}
constexpr Place b(int lane, int r) { return {lane % 4 + r * 4, lane / 4}; }
}  // namespace tf32_mma

// The sums lie alike in both: four to a lane.
constexpr Place mma_c(int lane, int r) {
  return {lane / 4 + r / 2 * 8, lane % 4 * 2 + r % 2};
}

// ## The swizzle
//
// A row of 64 bfloat16 is 128 bytes, exactly all banks once. So the same 16
// bytes of eight rows lie in the same four banks, eight deep. Lengthening the
// rows would help, as before, but a copy engine wants them at multiples of
// 128 bytes. The other way is to mix the places *within* a row: chunk $c$ of
// row $r$ goes to place $c \oplus (r \bmod 8)$. In eight rows that follow
// each other, the same chunk then has eight different places. On byte
// addresses: bits 4-6 are the chunk, bits 7-9 the row.
constexpr int swizzle_128(int byte) { return byte ^ (byte >> 3 & 0x70); }
