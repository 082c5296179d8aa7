// Here is what makes attention fit. The weights $P$ come out of one product as sums,
// where `fragment::c` says, and go into the next as its left side, where
// `fragment::a` says. Two tiles of sums side by side are 16 × 16 numbers, and each
// lane already has exactly those that the left side wants from it. Nothing moves
// from lane to lane. A test asks for all of them.
#pragma once

// Half `half` of register `reg` of the left side is sum `reg` of tile `tile`.
struct FromSums {
  int tile, reg;
};
constexpr FromSums a_from_c(int reg, int half) {
  return {reg / 2, 2 * (reg % 2) + half};
}
