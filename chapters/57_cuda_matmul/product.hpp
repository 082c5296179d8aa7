// Every rung gets the same struct: A (m, k) times B (k, n), into C (m, n),
// all three row by row without gaps. The last rungs take numbers of 16 bits,
// and B lying the other way round; they say so.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

// No strides, no transposed inputs, no bias: a library needs all of that (ours
// is in [gpu](../../common/backend/gpu/gpu.cuh)), and each would hide what this
// chapter is about.
template <class T> struct Product {
  int64_t m, n, k;
  const T *a, *b;
  T* c;
};

// How many tiles of so many rows it takes to cover all of them; the last may
// stick out.
constexpr int64_t tiles(int64_t rows, int64_t tile) {
  return (rows + tile - 1) / tile;
}
