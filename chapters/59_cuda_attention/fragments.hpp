// One instruction, `mma.sync.m16n8k16`, multiplies a 16 × 16 matrix by a 16 × 8
// matrix and adds the product to a 16 × 8 matrix. No thread has any of the three.
// They lie scattered over the registers of the 32 lanes, by a layout that the
// instruction prescribes (PTX ISA, section 9.7.14). Lanes come in eight groups of
// four: group $g = \lfloor lane / 4 \rfloor$, place $t = lane \bmod 4$.
//
// The layouts are plain functions, so that they can be tested for all lanes and
// registers on any machine.
#pragma once

// A row and a column of one of the three matrices.
struct Place {
  int row, column;
  constexpr bool operator==(const Place&) const = default;
};

// A, 16 × 16 numbers of 16 bits: four registers of two numbers each, side by side
// in a row.
constexpr Place place_in_a(int lane, int reg, int half) {
  return {lane / 4 + 8 * (reg % 2), 2 * (lane % 4) + half + 8 * (reg / 2)};
}

// B, 16 × 8 numbers of 16 bits: two registers of two numbers each, one below the
// other.
constexpr Place place_in_b(int lane, int reg, int half) {
  return {2 * (lane % 4) + half + 8 * reg, lane / 4};
}

// C, 16 × 8 sums in float32: four registers.
constexpr Place place_in_c(int lane, int reg) {
  return {lane / 4 + 8 * (reg / 2), 2 * (lane % 4) + reg % 2};
}

// Here is what makes attention fit. The weights $P$ come out of one product in
// layout C, and go into the next in layout A. Two tiles of C side by side are 16 ×
// 16 numbers, and each lane already has exactly those that A wants from it: of tile
// `column / 8`, register `2 (reg mod 2) + half`. Nothing moves.
struct FromC {
  int tile, reg;
};
constexpr FromC a_from_c(int reg, int half) {
  return {reg / 2, 2 * (reg % 2) + half};
}

// ## Swizzle
//
// `ldmatrix` fetches 8 × 8 tiles from shared memory: eight lanes name a row each,
// 16 bytes, and the rows of one tile lie one stride apart. A row of 64 numbers is
// 128 bytes, once around the 32 banks: all eight rows would come from the same four
// banks. Padding would help, but 16 bytes more in each row cost memory, and a TMA
// copy cannot pad. So the rows stay and their pieces of 16 bytes change places:
// piece $c$ of row $r$ lies where piece $c \oplus (r \bmod 8)$ would.
constexpr int swizzled(int row, int piece, int pieces_in_row) {
  return row * pieces_in_row + (piece ^ (row % 8));
}
