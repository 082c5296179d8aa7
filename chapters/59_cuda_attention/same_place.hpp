#pragma once

#include <vector>

#include "book/chapter.hpp"
#include "hopper.hpp"

using namespace cr;

static void same_place(Chapter& chapter) {
  chapter.section("Rung 6: one copies, two compute");

  // All tiles that rung 6 has, and some that it has not: both heights for every
  // width.
  int64_t asked = 0, wrong = 0;
  for (int64_t width : {64, 128, 256})
    for (int64_t rows : {64, 128}) {
      // The copy writes number `row * width + column` to its place.
      std::vector<int64_t> shared(size_t(rows * width), -1);
      for (int64_t row = 0; row < rows; ++row)
        for (int64_t column = 0; column < width; ++column)
          shared[size_t(put_by_tma(rows, row, column) / 2)] = row * width + column;

      // The products ask for it: Q and K by rows of 16 columns, V by 16 keys and 64
      // columns.
      const uint64_t base = 4096;
      auto ask = [&](uint64_t address, int64_t name) {
        ++asked;
        wrong += shared[size_t((address - base) / 2)] != name;
      };
      for (int64_t d = 0; d < width; d += 16)
        for (int64_t first = 0; first < rows; first += 64)
          for (int64_t row = 0; row < 64; ++row)
            for (int64_t k = 0; k < 16; ++k)
              ask(read_rowwise(rowwise(base, rows, first, d), row, k),
                  (first + row) * width + d + k);
      for (int64_t key = 0; key < rows; key += 16)
        for (int64_t first = 0; first < width; first += 64)
          for (int64_t k = 0; k < 16; ++k)
            for (int64_t column = 0; column < 64; ++column)
              ask(read_columnwise(columnwise(base, rows, key, first), k, column),
                  (key + k) * width + first + column);
    }
  // The one that we did by hand.
  chapter.check("row 9, column 70: written to", 21660,
                double(4096 + put_by_tma(128, 9, 70)));
  chapter.check("and read from", 21660,
                double(read_rowwise(rowwise(4096, 128, 0, 64), 9, 6)));
  chapter.say("Copy and products, asked for {} numbers.", asked);
  chapter.claim("same-place",
                "numbers that the products look for in the wrong place",
                double(wrong), exactly(0), identity);
}
