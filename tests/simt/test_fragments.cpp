// # Who holds what, and where it lies: on paper, on any machine
#include <algorithm>
#include <set>
#include <utility>
#include <vector>

#include "backend/gpu/fragments.hpp"
#include "backend/gpu/hopper.hpp"
#include "catch.hpp"

using namespace cr::backend;
using fragment::Place;

namespace {

// Do the registers of all threads hold each number of a (rows, columns) matrix once?
template <class Where> bool share_out(int threads, int registers, int halves, int rows, int columns, Where where) {
  std::set<std::pair<int, int>> seen;
  for (int t = 0; t < threads; ++t) {
    for (int r = 0; r < registers; ++r) {
      for (int half = 0; half < halves; ++half) {
        const Place at = where(t, r, half);
        if (at.row < 0 || at.row >= rows || at.column < 0 || at.column >= columns) return false;
        seen.insert({at.row, at.column});
      }
    }
  }
  return static_cast<int>(seen.size()) == rows * columns && threads * registers * halves == rows * columns;
}

}  // namespace

TEST_CASE("fragments share out their matrices") {
  CHECK(share_out(32, 4, 2, 16, 16, fragment::a));
  CHECK(share_out(32, 2, 2, 16, 8, fragment::b));
  CHECK(share_out(32, 4, 1, 16, 8, [](int t, int r, int) { return fragment::c(t, r); }));
  CHECK(share_out(32, 4, 1, 16, 8, [](int t, int r, int) { return fragment::tf32_a(t, r); }));
  CHECK(share_out(32, 2, 1, 8, 8, [](int t, int r, int) { return fragment::tf32_b(t, r); }));
  for (int columns : {8, 64, 128, 256})
    CHECK(share_out(128, columns / 2, 1, 64, columns, [](int t, int r, int) { return fragment::warpgroup_c(t, r); }));
}

// A few numbers read off the manual's pictures (PTX ISA: matrix fragments for mma.m16n8k16 with .bf16, mma.m16n8k8 with
// .tf32, and for wgmma.mma_async's accumulator), not computed.
TEST_CASE("fragments are those of the manual") {
  CHECK(fragment::a(0, 0, 1) == Place{0, 1});     // T0: a1
  CHECK(fragment::a(3, 0, 0) == Place{0, 6});     // T3: a0
  CHECK(fragment::a(0, 1, 0) == Place{8, 0});     // T0: a2
  CHECK(fragment::a(0, 2, 0) == Place{0, 8});     // T0: a4
  CHECK(fragment::a(31, 3, 1) == Place{15, 15});  // T31: a7
  CHECK(fragment::b(0, 0, 1) == Place{1, 0});
  CHECK(fragment::b(4, 0, 0) == Place{0, 1});
  CHECK(fragment::b(31, 1, 1) == Place{15, 7});
  CHECK(fragment::c(1, 0) == Place{0, 2});
  CHECK(fragment::c(0, 2) == Place{8, 0});
  CHECK(fragment::c(31, 3) == Place{15, 7});
  CHECK(fragment::tf32_a(1, 0) == Place{0, 1});
  CHECK(fragment::tf32_a(0, 1) == Place{8, 0});
  CHECK(fragment::tf32_a(0, 2) == Place{0, 4});
  CHECK(fragment::tf32_b(3, 1) == Place{7, 0});
  CHECK(fragment::tf32_b(4, 0) == Place{0, 1});
  CHECK(fragment::warpgroup_c(0, 2) == Place{8, 0});
  CHECK(fragment::warpgroup_c(0, 4) == Place{0, 8});
  CHECK(fragment::warpgroup_c(32, 0) == Place{16, 0});
  CHECK(fragment::warpgroup_c(127, 7) == Place{63, 15});
}

// What `ldmatrix` gives lane l of matrix i: numbers 2t and 2t + 1 of row g, which lane 8i + g has named; transposed, of
// column g.
static Place given(fragment::Chunk (*names)(int), int lane, int i, int half, bool transposed) {
  const int g = lane / 4, t = 2 * (lane % 4) + half;
  const fragment::Chunk named = names(8 * i + (transposed ? t : g));
  return {named.row, 8 * named.chunk + (transposed ? g : t)};
}

TEST_CASE("ldmatrix fetches the fragments that mma wants") {
  for (int lane = 0; lane < 32; ++lane) {
    for (int half = 0; half < 2; ++half) {
      for (int i = 0; i < 4; ++i) {
        const Place a = fragment::a(lane, i, half), turned = given(fragment::named_for_b, lane, i, half, true);
        CHECK(given(fragment::named_for_a, lane, i, half, false) == a);
        CHECK(turned == Place{a.column, a.row});
        const Place b = fragment::b(lane, i % 2, half);
        const int column = b.column + 8 * (i / 2);
        CHECK(given(fragment::named_for_b, lane, i, half, false) == Place{column, b.row});
        CHECK(given(fragment::named_for_a, lane, i, half, true) == Place{b.row, column});
      }
    }
  }
}

TEST_CASE("a swizzled tile loses nothing, and eight rows lie in all banks") {
  for (int chunks : {4, 8, 16, 32}) {
    CAPTURE(chunks);
    std::set<int> all;
    for (int row = 0; row < 64; ++row)
      for (int chunk = 0; chunk < chunks; ++chunk) all.insert(fragment::swizzled(row, chunk, chunks));
    CHECK(static_cast<int>(all.size()) == 64 * chunks);
    CHECK(*all.rbegin() == 64 * chunks - 1);
    for (int first = 0; first < 64; first += 8) {
      for (int chunk = 0; chunk < chunks; ++chunk) {
        std::set<int> banks;  // in fours
        for (int row = first; row < first + 8; ++row) banks.insert(fragment::swizzled(row, chunk, chunks) % 8);
        CHECK(banks.size() == 8);
      }
    }
  }
}

// ## Hopper
TEST_CASE("the swizzle of an address is that of a chunk") {
  for (int row = 0; row < 64; ++row)
    for (int column = 0; column < 64; ++column)
      CHECK(hopper::put_by_tma(64, row, column) == 16 * fragment::swizzled(row, column / 8, 8) + column % 8 * 2);
  // Typed, not computed: row 1 begins with its second chunk, row 7 with its last.
  CHECK(hopper::put_by_tma(64, 1, 0) == 128 + 16);
  CHECK(hopper::put_by_tma(64, 1, 8) == 128);
  CHECK(hopper::put_by_tma(64, 7, 0) == 7 * 128 + 112);
  CHECK(hopper::put_by_tma(64, 8, 0) == 1024);
  CHECK(hopper::put_by_tma(64, 0, 64) == 64 * 128);
}

TEST_CASE("a TMA tile loses nothing") {
  for (int64_t width : {64, 128, 256}) {
    for (int64_t rows : {64, 128}) {
      std::set<int64_t> all;
      for (int64_t row = 0; row < rows; ++row)
        for (int64_t column = 0; column < width; ++column) all.insert(hopper::put_by_tma(rows, row, column));
      CHECK(static_cast<int64_t>(all.size()) == rows * width);
      CHECK(*all.rbegin() == 2 * rows * width - 2);
    }
  }
}

TEST_CASE("a descriptor's fields") {
  const uint64_t d = hopper::descriptor(0x12400, 16, 1024);
  CHECK((d & 0x3fff) == 0x1240);
  CHECK((d >> 16 & 0x3fff) == 1);
  CHECK((d >> 32 & 0x3fff) == 64);
  CHECK((d >> 49 & 7) == 0);  // base offset
  CHECK(d >> 62 == 1);        // swizzle of 128 bytes
  // The last tile of 227 KB can be named, and 32 bytes further is two units further.
  CHECK((hopper::descriptor(227 * 1024, 16, 1024) & 0x3fff) == 227 * 64);
  CHECK(hopper::descriptor(0x12400 + 32, 16, 1024) - d == 2);
}

TEST_CASE("a product reads what TMA put there") {
  constexpr uint64_t kBase = 0x2400 - 0x2400 % 1024;
  for (int64_t width : {64, 128, 256}) {
    for (int64_t rows : {64, 128, 256}) {
      int wrong = 0;
      auto place = [&](int64_t row, int64_t column) {
        return kBase + static_cast<uint64_t>(hopper::put_by_tma(rows, row, column));
      };
      for (int64_t row = 0; row < rows; row += 64) {  // 64 rows from here on, 16 columns from k on
        for (int64_t k = 0; k < width; k += 16) {
          const uint64_t d = hopper::rowwise(kBase, rows, row, k);
          for (int64_t i = 0; i < 64; ++i)
            for (int64_t p = 0; p < 16; ++p) wrong += hopper::read_rowwise(d, i, p) != place(row + i, k + p);
        }
      }
      for (int64_t k = 0; k < rows; k += 16) {  // 16 rows from k on, all columns
        const uint64_t d = hopper::columnwise(kBase, rows, k, 0);
        for (int64_t p = 0; p < 16; ++p)
          for (int64_t j = 0; j < width; ++j) wrong += hopper::read_columnwise(d, p, j) != place(k + p, j);
      }
      CAPTURE(width, rows);
      CHECK(wrong == 0);
    }
  }
}
