// Every rung gets the same struct: A (m, k) times B (k, n), into C (m, n), all
// row by row without gaps. (Rungs 11 to 13 take bfloat16, and B lying the
// other way round; they say so.) No strides, no bias: a library needs all of
// that ([ours](../../common/backend/gpu/gpu.cuh) has it), and each would hide
// what this chapter is about.
#pragma once

#include <cstdint>

template <class T> struct Product {
  int64_t m, n, k;
  const T *a, *b;
  T* c;
};

// So many tiles cover all rows; the last may stick out.
constexpr int64_t tiles(int64_t rows, int64_t tile) {
  return (rows + tile - 1) / tile;
}
