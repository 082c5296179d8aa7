// Numbers in **bfloat16** are the upper halves of float32: eight bits of exponent,
// seven of fraction ([chapter 56](../56_cpu_performance/main.cpp#bfloat16-tiles)
// met them). Rounding is to the nearest, and from half way to the even neighbour.
#pragma once

#include <bit>
#include <cstdint>

constexpr uint16_t to_bfloat16(float x) {
  const uint32_t bits = std::bit_cast<uint32_t>(x);
  if ((bits & 0x7fffffff) > 0x7f800000)
    return uint16_t(bits >> 16 | 0x40);  // NaN stays NaN
  return uint16_t((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}
constexpr float from_bfloat16(uint16_t x) {
  return std::bit_cast<float>(uint32_t(x) << 16);
}
constexpr float round_to_bfloat16(float x) { return from_bfloat16(to_bfloat16(x)); }

// ## Who holds what
//
// One instruction, `mma.sync.m16n8k16`, multiplies a 16 × 16 matrix A by a 16 × 8
// matrix B and adds the product to a 16 × 8 matrix C. The matrices lie spread over
// the registers of the 32 threads of a warp, a **fragment** in each. Write
// $g = \lfloor \text{lane}/4 \rfloor$ and $t = \text{lane} \bmod 4$. A thread holds
// four registers of A with two neighbours along $k$ in each, two registers of B
// likewise, and four sums.
//
// Lane 13, for example, has $g = 3$ and $t = 1$. It holds numbers 2, 3, 10 and 11
// of rows 3 and 11 of A, the same four of column 3 of B, and of C numbers 2 and 3
// of rows 3 and 11. To finish them it needs all of row 3 and of row 11, which lie
// with lanes 12 to 15, and columns 2 and 3 of B, which lie with lanes 8 to 15. That
// exchange is what the hardware does.
struct Spot {
  int row, column;
};
constexpr bool operator==(const Spot& a, const Spot& b) {
  return a.row == b.row && a.column == b.column;
}

// Number `half` (0 or 1) of register `r` of the lane's fragment: where in A (m, k),
// in B (k, n), in C (m, n) does it stand?
constexpr Spot spot_of_a(int lane, int r, int half) {
  return {lane / 4 + 8 * (r % 2), 2 * (lane % 4) + half + 8 * (r / 2)};
}
constexpr Spot spot_of_b(int lane, int r, int half) {
  return {2 * (lane % 4) + half + 8 * r, lane / 4};
}
constexpr Spot spot_of_c(int lane, int r) {
  return {lane / 4 + 8 * (r / 2), 2 * (lane % 4) + r % 2};
}

// ## From shared memory to fragments
//
// `ldmatrix` fetches four matrices of 8 × 8 numbers for a warp. Lane $l$ names the
// address of one row, 16 bytes: row $l \bmod 8$ of matrix $\lfloor l/8 \rfloor$.
// Afterwards lane $l$ holds of each matrix two neighbours in row $g$, or, in its
// transposed form, two neighbours in column $g$. The functions say which row (of
// the tile) and which **chunk** of eight numbers a lane has to name, so that the
// four registers are the fragments above.
//
// A tile that has $k$ along its rows, as all of the forward pass has:
constexpr Spot names_of_a(int lane) { return {lane % 16, lane / 16}; }
constexpr Spot names_of_b(int lane) {
  return {lane % 8 + 8 * (lane / 16), lane / 8 % 2};
}
// And one that has $k$ down its columns, as the weight gradient has:
constexpr Spot names_of_a_down(int lane) {
  return {lane % 8 + 8 * (lane / 16), lane / 8 % 2};
}
constexpr Spot names_of_b_down(int lane) { return {lane % 16, lane / 16}; }

// ## Where a chunk lies
//
// Eight rows are fetched at a time, 16 bytes of each, and they come in one go only
// if they fall on different banks. Rows of 64 bytes are half of the 32 banks:
// without care rows 0, 2, 4, 6 collide. So the chunks of a row are shuffled, by an
// exclusive or with the row's number, which needs no extra memory as padding would.
// This is called a **swizzle**.
//
// For rows of four chunks the first eight rows look like this; read a column
// downwards and you see that chunk 0 stands in a different place each time,
// counting eight places from every even row on:
//
//     row 0: 0 1 2 3    row 1: 0 1 2 3
//     row 2: 1 0 3 2    row 3: 1 0 3 2
//     row 4: 2 3 0 1    row 5: 2 3 0 1
//     row 6: 3 2 1 0    row 7: 3 2 1 0
//
// The result is the chunk's number in the tile, whose rows have `chunks` of them:
// 4, 8 or 16.
constexpr int swizzled(int row, int chunk, int chunks) {
  const int turn = chunks == 4 ? row / 2 % 4 : row % 8;
  return row * chunks + (chunk ^ turn);
}
