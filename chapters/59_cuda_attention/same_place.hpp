#pragma once

#include <vector>

#include "backend/gpu/hopper.hpp"
#include "book/chapter.hpp"
#include "rung_6_shape.hpp"

using namespace cr;

// For one width, all that a consumer's products read: its 64 queries and a tile of
// keys, 16 columns at a time, and 16 keys of a tile of values, all columns.
template <int kWidth> static void ask_all(int64_t& asked, int64_t& wrong) {
  namespace hopper = backend::hopper;
  using S = Shape6<kWidth>;
  const uint64_t base = 4096;

  // The copy writes number `row * width + column` to its place.
  auto copied = [](int64_t rows) {
    std::vector<int64_t> shared(size_t(rows * kWidth), -1);
    for (int64_t row = 0; row < rows; ++row)
      for (int64_t column = 0; column < kWidth; ++column)
        shared[size_t(hopper::put_by_tma(rows, row, column) / 2)] =
            row * kWidth + column;
    return shared;
  };

  // And whoever asks says which one he wants.
  const std::vector<int64_t> queries = copied(S::kRows), keys = copied(S::kColumns);
  auto ask = [&](const std::vector<int64_t>& shared, uint64_t address, int64_t row,
                 int64_t column) {
    const size_t at = size_t((address - base) / 2);
    ++asked, wrong += at >= shared.size() || shared[at] != row * kWidth + column;
  };
  for (int64_t d = 0; d < kWidth; d += 16)
    for (int64_t k = 0; k < 16; ++k) {
      for (int64_t first = 0; first < S::kRows; first += 64)
        for (int64_t row = 0; row < 64; ++row)
          ask(queries,
              hopper::read_rowwise(hopper::rowwise(base, S::kRows, first, d), row,
                                   k),
              first + row, d + k);
      for (int64_t row = 0; row < S::kColumns; ++row)
        ask(keys,
            hopper::read_rowwise(hopper::rowwise(base, S::kColumns, 0, d), row, k),
            row, d + k);
    }
  for (int64_t key = 0; key < S::kColumns; key += 16)
    for (int64_t k = 0; k < 16; ++k)
      for (int64_t column = 0; column < kWidth; ++column)
        ask(keys,
            hopper::read_columnwise(hopper::columnwise(base, S::kColumns, key, 0),
                                    k, column),
            key + k, column);
}

static void same_place(Chapter& chapter) {
  chapter.section("Rung 6: one copies, two compute");

  // The one that we did by hand, and then all.
  namespace hopper = backend::hopper;
  chapter.check("row 9, column 70: written to", 21660,
                double(4096 + hopper::put_by_tma(128, 9, 70)));
  chapter.check(
      "and read from", 21660,
      double(hopper::read_rowwise(hopper::rowwise(4096, 128, 0, 64), 9, 6)));
  int64_t asked = 0, wrong = 0;
  ask_all<64>(asked, wrong);
  ask_all<128>(asked, wrong);
  ask_all<256>(asked, wrong);
  chapter.say("Copy and products, asked for {} numbers.", asked);
  chapter.claim("same-place",
                "numbers that the products look for in the wrong place",
                double(wrong), exactly(0), identity);
}
