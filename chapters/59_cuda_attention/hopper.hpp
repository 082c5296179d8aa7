// From Hopper on, a **TMA** copy (*tensor memory accelerator*) brings a whole tile
// from memory, asked for by one thread, and a **WGMMA** product (*warpgroup matrix
// multiply-accumulate*) reads its tiles from shared memory itself, on behalf of 128
// threads. Neither asks a thread where a number lies. Both compute it, from a
// **descriptor** of 64 bits. If copy and product do not mean the same place,
// everything runs and the result is wrong. So here is the arithmetic of both, as
// functions which a test compares for every number of a tile.
#pragma once

#include <cstdint>

// A tile is cut into **panels** of 64 columns. A row of a panel has 128 bytes: 64
// numbers of 16 bits.
constexpr int kPanel = 64, kPanelRow = 128;

// Where a TMA copy with the swizzle of 128 bytes puts the number at (row, column)
// of a tile with so many rows, in bytes: panels one after the other, and in each
// row the pieces of 16 bytes change places, as in `swizzled`.
constexpr int64_t put_by_tma(int64_t rows, int64_t row, int64_t column) {
  // Which panel, which byte of the row; then the row, and the piece within it.
  const int64_t panel = column / kPanel, in_row = column % kPanel * 2;
  return panel * rows * kPanelRow + row * kPanelRow +
         ((in_row / 16) ^ (row % 8)) * 16 + in_row % 16;
}

// A descriptor: address, two strides (all in units of 16 bytes), and the number 1
// for this swizzle.
constexpr uint64_t descriptor(uint64_t address, uint64_t leading, uint64_t stride) {
  return (address & 0x3ffff) >> 4 | (leading & 0x3ffff) >> 4 << 16 |
         (stride & 0x3ffff) >> 4 << 32 | uint64_t{1} << 62;
}

// What the hardware swizzles is the address: bits 4-6 are changed by bits 7-9. So
// tiles begin at multiples of 1024 bytes.
constexpr uint64_t swizzled_address(uint64_t address) {
  return address ^ (address >> 7 & 7) << 4;
}

// Q and K lie with the summed index, the width, along the rows: eight rows make a
// pattern, and the next eight are `stride` farther on. Here is the address of
// number (row, k) of an operand whose 16 columns begin at the descriptor's address.
constexpr uint64_t read_rowwise(uint64_t d, int64_t row, int64_t k) {
  // Take the descriptor apart, walk to the row, and swizzle what comes out.
  const uint64_t start = (d & 0x3fff) << 4, stride = (d >> 32 & 0x3fff) << 4;
  return swizzled_address(start + uint64_t(row / 8) * stride +
                          uint64_t(row % 8) * kPanelRow + uint64_t(k) * 2);
}

// V lies with the summed index, the key, down the columns. Eight keys make a
// pattern again, the next eight keys are `stride` farther on, and the next 64
// columns `leading`.
constexpr uint64_t read_columnwise(uint64_t d, int64_t k, int64_t column) {
  const uint64_t start = (d & 0x3fff) << 4, leading = (d >> 16 & 0x3fff) << 4,
                 stride = (d >> 32 & 0x3fff) << 4;
  return swizzled_address(
      start + uint64_t(k / 8) * stride + uint64_t(k % 8) * kPanelRow +
      uint64_t(column / kPanel) * leading + uint64_t(column % kPanel) * 2);
}

// The two descriptors of rung 6. For a tile with so many rows at `base`: rows from
// `row` on with the columns k … k + 15; and keys from `key` on with the columns
// from `column` on.
constexpr uint64_t rowwise(uint64_t base, int64_t rows, int64_t row, int64_t k) {
  return descriptor(base + uint64_t(k / kPanel * rows * kPanelRow +
                                    row * kPanelRow + k % kPanel * 2),
                    16, 8 * kPanelRow);
}
constexpr uint64_t columnwise(uint64_t base, int64_t rows, int64_t key,
                              int64_t column) {
  return descriptor(
      base + uint64_t(column / kPanel * rows * kPanelRow + key * kPanelRow),
      uint64_t(rows * kPanelRow), 8 * kPanelRow);
}

// ## A ring of two
//
// Tile `n` goes to place `n mod 2`. A barrier has two phases that take turns, and
// who waits says for the end of which: the tile's turn round the ring, mod 2. A
// producer waits for the place to be empty, which for the first turn it is.
constexpr int kPlaces = 2;
constexpr int place_of(int64_t tile) { return int(tile % kPlaces); }
constexpr uint32_t full_phase(int64_t tile) { return uint32_t(tile / kPlaces % 2); }
constexpr uint32_t empty_phase(int64_t tile) { return full_phase(tile) ^ 1; }
