// # Hopper's arithmetic
//
// From compute capability 9.0 on, a **TMA** copy (*tensor memory accelerator*) brings a whole box of a matrix into shared
// memory, asked for by one thread, and a **WGMMA** product (*warpgroup matrix multiply-accumulate*) reads its tiles from
// there itself, on behalf of 128 threads. Neither asks a thread where a number lies. Both compute it, one from a map, the
// other from a **descriptor** of 64 bits. If they do not mean the same place, everything runs and the result is wrong. So
// here is the arithmetic of both, as functions, and a test compares them for every number of a tile.
#pragma once

#include <cstdint>

namespace cr::backend::hopper {

// A tile of 16-bit numbers is cut into **panels** of 64 columns, which lie one after the other. A row of a panel has 128
// bytes.
constexpr int kPanel = 64, kPanelRow = 128;

// What the swizzle of 128 bytes does is done to the address: bits 4-6, the chunk of 16 bytes within a row, are changed by
// bits 7-9, the row. So tiles begin at multiples of 1024 bytes. (Seen from the tile: `fragment::swizzled`.)
constexpr uint64_t swizzled_address(uint64_t address) { return address ^ (address >> 7 & 7) << 4; }

// Where TMA puts number (row, column) of a tile of so many rows, in bytes from its beginning.
constexpr int64_t put_by_tma(int64_t rows, int64_t row, int64_t column) {
  const int64_t panel = column / kPanel;
  return static_cast<int64_t>(
      swizzled_address(static_cast<uint64_t>((panel * rows + row) * kPanelRow + column % kPanel * 2)));
}

// ## Descriptors
//
// Where a tile begins (bits 0-13), two distances (bits 16-29 and 32-45), all in units of 16 bytes, and which swizzle (bits
// 62-63, 1 for 128 bytes).
constexpr uint64_t descriptor(uint64_t address, uint64_t leading, uint64_t stride) {
  return (address & 0x3ffff) >> 4 | (leading & 0x3ffff) >> 4 << 16 | (stride & 0x3ffff) >> 4 << 32 | uint64_t{1} << 62;
}

// What a product takes from one: number (row, k) of an operand that has the summed index along its rows. Eight rows make a
// pattern, and the next eight are `stride` farther on; `leading` is not used with this swizzle.
constexpr uint64_t read_rowwise(uint64_t d, int64_t row, int64_t k) {
  const uint64_t start = (d & 0x3fff) << 4, stride = (d >> 32 & 0x3fff) << 4;
  return swizzled_address(start + static_cast<uint64_t>(row / 8) * stride + static_cast<uint64_t>(row % 8) * kPanelRow +
                          static_cast<uint64_t>(k) * 2);
}

// And number (k, column) of one that has the summed index down its columns. Eight rows make a pattern again, the next
// eight are `stride` farther on, and the next 64 columns `leading`.
constexpr uint64_t read_columnwise(uint64_t d, int64_t k, int64_t column) {
  const uint64_t start = (d & 0x3fff) << 4, leading = (d >> 16 & 0x3fff) << 4, stride = (d >> 32 & 0x3fff) << 4;
  return swizzled_address(start + static_cast<uint64_t>(k / 8) * stride + static_cast<uint64_t>(k % 8) * kPanelRow +
                          static_cast<uint64_t>(column / kPanel) * leading +
                          static_cast<uint64_t>(column % kPanel) * 2);
}

// The descriptors of parts of a tile of so many rows that begins at `base`: from `row` on, columns k … k + 15; and rows k …
// k + 15, from `column` (a multiple of 64) on.
constexpr uint64_t rowwise(uint64_t base, int64_t rows, int64_t row, int64_t k) {
  return descriptor(base + static_cast<uint64_t>(k / kPanel * rows * kPanelRow + row * kPanelRow + k % kPanel * 2), 16,
                    8 * kPanelRow);
}
constexpr uint64_t columnwise(uint64_t base, int64_t rows, int64_t k, int64_t column) {
  return descriptor(base + static_cast<uint64_t>(column / kPanel * rows * kPanelRow + k * kPanelRow),
                    static_cast<uint64_t>(rows * kPanelRow), 8 * kPanelRow);
}

}  // namespace cr::backend::hopper
