// # Who holds what
//
// A tensor core multiplies small matrices whose numbers lie in the registers of a whole warp, a few in each lane: a
// **fragment**. Which number is where is laid down by the instruction, in pictures of its manual (PTX ISA 8.x, *Warp-level
// matrix instructions*). Here are the pictures as arithmetic: for each lane, register and half of a register, the row and
// column that it holds. So they can be tested to the last number by whoever owns no tensor core.
//
// Lanes come in eight groups of four. All pictures are made of two numbers: the **group** $\lfloor l / 4 \rfloor$ of lane
// $l$, and its place in it, $l \bmod 4$.
#pragma once

#include <cstdint>

namespace cr::backend::fragment {

struct Place {
  int row, column;
  constexpr bool operator==(const Place&) const = default;
};

// ## Sixteen bits
//
// `mma.m16n8k16`: C (16, 8) += A (16, 16) · B (16, 8). Two numbers of 16 bits share a register, half 0 below half 1. A's
// four registers hold two neighbours of a row each, B's two hold two neighbours of a column.
constexpr Place a(int lane, int r, int half) { return {lane / 4 + r % 2 * 8, lane % 4 * 2 + half + r / 2 * 8}; }
constexpr Place b(int lane, int r, int half) { return {lane % 4 * 2 + half + r * 8, lane / 4}; }

// The sums are float32, four to a lane.
constexpr Place c(int lane, int r) { return {lane / 4 + r / 2 * 8, lane % 4 * 2 + r % 2}; }

// ## TF32
//
// `mma.m16n8k8`: C (16, 8) += A (16, 8) · B (8, 8), a number to each register. The sums lie as before.
constexpr Place tf32_a(int lane, int r) { return {lane / 4 + r % 2 * 8, lane % 4 + r / 2 * 4}; }
constexpr Place tf32_b(int lane, int r) { return {lane % 4 + r * 4, lane / 4}; }

// ## A warpgroup
//
// `wgmma` (compute capability 9.0) makes 64 rows and up to 256 columns of sums, and four warps hold them, 16 rows each: sum
// $r$ of thread $t$ of the 128.
constexpr Place warpgroup_c(int t, int r) {
  const Place in_tile = c(t % 32, r % 4);
  return {t / 32 * 16 + in_tile.row, r / 4 * 8 + in_tile.column};
}

// ## From shared memory to fragments
//
// `ldmatrix` fetches four matrices of 8 × 8 numbers of 16 bits. Lane $l$ names row $l \bmod 8$ of matrix $\lfloor l / 8
// \rfloor$, which is a **chunk** of 16 bytes; afterwards register $i$ of each lane holds two neighbours of matrix $i$: of its
// row $\lfloor l / 4 \rfloor$ or, transposed, of that column. So that the registers are A's, lane $l$ has to name this row
// and this chunk of a tile that has $k$ along its rows:
struct Chunk {
  int row, chunk;
};
constexpr Chunk named_for_a(int lane) { return {lane % 16, lane / 16}; }

// And so that registers 0 and 1 are B's, and 2 and 3 those of the B to its right, of a tile Bᵀ that has $k$ along its rows:
constexpr Chunk named_for_b(int lane) { return {lane % 8 + lane / 16 * 8, lane / 8 % 2}; }

// Of a tile with $k$ down its columns, `ldmatrix` transposes, and the two change roles: `named_for_b` serves A,
// `named_for_a` serves B.

// ## The swizzle
//
// Eight rows at a time, 16 bytes of each: they come in one go if together they lie in all 32 banks. Rows of 128 bytes go
// round the banks exactly once, so the same chunk of eight rows would lie in the same four banks. Longer rows would help;
// but a copy engine wants none of that, and it costs memory. The other way is to change places *within* a row: chunk $c$ of
// row $r$ goes to place $c \oplus (r \bmod 8)$, and in eight rows that follow each other the same chunk has eight different
// places. Rows of 64 bytes go round half: two of them are one turn, so there it is $c \oplus (\lfloor r / 2 \rfloor \bmod 4)$:
//
//     row 0: 0 1 2 3    row 1: 0 1 2 3
//     row 2: 1 0 3 2    row 3: 1 0 3 2
//     row 4: 2 3 0 1    row 5: 2 3 0 1
//     row 6: 3 2 1 0    row 7: 3 2 1 0
//
// The result is a chunk's number in a tile whose rows have `chunks` of them, 4 or a multiple of 8.
constexpr int swizzled(int row, int chunk, int chunks) {
  const int turn = chunks == 4 ? row / 2 % 4 : row % 8;
  return row * chunks + (chunk ^ turn);
}

}  // namespace cr::backend::fragment
