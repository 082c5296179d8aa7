// # Reading and placing at computed indices
//
// Both primitives walk the index. The tensor it points into stands still along dimension d, where the index decides;
// along the others the two go together. An index expanded from a vector, as `index_select` gives it, has stride 0 in
// all dimensions but one: whole runs then share one index, and are copied or added as runs.
#include <cstring>
#include <vector>

#include "backend/cpu/cpu.hpp"
#include "backend/cpu/nest.hpp"

namespace cr::backend::cpu {
namespace {

template <class T> T* elements(const Tensor& x) {
  return reinterpret_cast<T*>(static_cast<char*>(x.impl()->storage->data()) + x.impl()->offset * size_of(x.dtype()));
}

[[noreturn]] void out_of_range(int64_t i, int64_t size, const char* op) {
  throw IndexError(std::string(op) + ": index " + std::to_string(i) + " is out of range for a dimension of size " +
                   std::to_string(size));
}
bool inside(int64_t i, int64_t size) { return static_cast<uint64_t>(i) < static_cast<uint64_t>(size); }

// Looks at n indices before any is used. i and size - 1 - i are both non-negative exactly if i lies inside, so the sign
// bits tell, and the loop has no branch.
void check_run(const int64_t* i, int64_t n, int64_t step, int64_t size, const char* op) {
  uint64_t signs = 0, last = static_cast<uint64_t>(size - 1);
  for (int64_t k = 0; k < n; ++k)
    signs |= static_cast<uint64_t>(i[k * step]) | (last - static_cast<uint64_t>(i[k * step]));
  for (int64_t k = 0; k < n && signs >> 63; ++k) {
    if (!inside(i[k * step], size)) out_of_range(i[k * step], size, op);
  }
}

// Before anything is written: all indices, each once however often it is repeated by a stride of 0.
void check_all(const Tensor& index, int64_t size, const char* op) {
  Shape once = index.shape();
  for (int d = 0; d < once.size(); ++d) {
    if (index.strides()[d] == 0 && once[d] > 0) once[d] = 1;
  }
  Tensor seen = window(index, once, index.strides(), index.impl()->offset);
  const auto* p = elements<int64_t>(index);
  Nest<1>(once, {&seen}).parallel([&](int64_t n, const auto& offset, const auto& step) {
    check_run(p + offset[0], n, step[0], size, op);
  });
}

// x with stride 0 along d, as wide as the index.
Tensor standing_still(const Tensor& x, int d, const Tensor& index) {
  Strides strides = x.strides();
  strides[d] = 0;
  return window(x, index.shape(), strides, 0);
}

}  // namespace

void Cpu::gather(const Tensor& out, const Tensor& x, int d, const Tensor& index, const char* op) {
  int64_t size = x.shape()[d], stride = x.strides()[d];
  Tensor still = standing_still(x, d, index);
  const auto* at = elements<int64_t>(index);
  dispatch_size(x.dtype(), [&](auto t) {
    using T = decltype(t);
    T* o = elements<T>(out);
    const T* p = elements<T>(x);
    Nest<3>(index.shape(), {&out, &still, &index}).parallel([&](int64_t n, const auto& offset, const auto& step) {
      T* to = o + offset[0];
      const T* from = p + offset[1];
      const int64_t* i = at + offset[2];
      if (step[2] == 0) {
        if (n == 0) return;
        if (!inside(*i, size)) out_of_range(*i, size, op);
        from += *i * stride;
        if (step[0] == 1 && step[1] == 1) {
          std::memcpy(to, from, static_cast<size_t>(n) * sizeof(T));
        } else {
          for (int64_t k = 0; k < n; ++k) to[k * step[0]] = from[k * step[1]];
        }
        return;
      }
      check_run(i, n, step[2], size, op);
      if (step[0] == 1 && step[2] == 1 && step[1] == 0 && stride == 1) {
        for (int64_t k = 0; k < n; ++k) to[k] = from[i[k]];
      } else {
        for (int64_t k = 0; k < n; ++k) to[k * step[0]] = from[k * step[1] + i[k * step[2]] * stride];
      }
    });
  });
}

// ## Writing
//
// Two elements of the index may point at one place only if they differ along d. So another dimension can be cut into
// tiles for several threads, and within a tile everything happens in order: a sum adds up alike for any number of
// threads, and of several values `set` at one place the last remains.
namespace {

template <class T, class Combine>
void scatter_typed(const Tensor& out, int d, const Tensor& index, const Tensor& x, Combine combine) {
  T* o = elements<T>(out);
  const T* p = elements<T>(x);
  const auto* at = elements<int64_t>(index);
  int64_t stride = out.strides()[d];
  int cut = -1;
  for (int i = 0; i < index.dim(); ++i) {
    if (i != d && (cut < 0 || index.shape()[i] > index.shape()[cut])) cut = i;
  }

  // The part of the index from `begin` to `end` along the dimension that is cut.
  auto place = [&](int64_t begin, int64_t end) {
    Shape shape = index.shape();
    if (cut >= 0) shape[cut] = end - begin;
    auto piece = [&](const Tensor& whole, int skipped) {
      Strides strides = whole.strides();
      if (skipped >= 0) strides[skipped] = 0;
      return window(whole, shape, strides, cut >= 0 ? begin * whole.strides()[cut] : 0);
    };
    Tensor to = piece(out, d), from = piece(x, -1), index_piece = piece(index, -1);
    std::array<int64_t, 3> start{to.impl()->offset, from.impl()->offset, index_piece.impl()->offset};
    Nest<3> nest(shape, {&to, &from, &index_piece});
    nest.walk(0, nest.runs(), [&](int64_t n, const auto& offset, const auto& step) {
      T* run = o + start[0] + offset[0];
      const T* values = p + start[1] + offset[1];
      const int64_t* i = at + start[2] + offset[2];
      if (step[2] == 0 && n > 0) {
        run += *i * stride;
        if (step[0] == 1 && step[1] == 1) {
          for (int64_t k = 0; k < n; ++k) run[k] = combine(run[k], values[k]);
        } else {
          for (int64_t k = 0; k < n; ++k) run[k * step[0]] = combine(run[k * step[0]], values[k * step[1]]);
        }
        return;
      }
      for (int64_t k = 0; k < n; ++k) {
        T& place = run[k * step[0] + i[k * step[2]] * stride];
        place = combine(place, values[k * step[1]]);
      }
    });
  };
  int64_t length = cut < 0 ? 1 : index.shape()[cut], shortest = cut == index.dim() - 1 ? 32 : 1;
  int64_t tiles = std::clamp<int64_t>(length / shortest, 1, 16);
  if (index.numel() < kParallelElements || tiles == 1) return place(0, length);
  parallel_for(tiles, [&](int64_t t) { place(t * length / tiles, (t + 1) * length / tiles); });
}

// Whole rows, each to the row that one number of the index names: of an embedding, say. Cut by where they go, so that a
// thread has rows of out to itself and takes whole rows of x; each looks through all of the index for its own.
template <class T, class Combine>
void scatter_rows(const Tensor& out, const Tensor& index, const Tensor& x, int64_t width, Combine combine) {
  const int64_t n = index.shape()[0], rows = out.shape()[0], tiles = std::clamp<int64_t>(n * width / 16384, 1, 16);
  const auto* at = elements<int64_t>(index);
  auto place = [&](int64_t tile) {
    const int64_t begin = rows * tile / tiles, end = rows * (tile + 1) / tiles;
    for (int64_t i = 0; i < n; ++i) {
      const int64_t row = at[i * index.strides()[0]];
      if (row < begin || row >= end) continue;
      T* to = elements<T>(out) + row * width;
      const T* from = elements<T>(x) + i * width;
      for (int64_t k = 0; k < width; ++k) to[k] = combine(to[k], from[k]);
    }
  };
  if (tiles == 1) return place(0);
  parallel_for(tiles, place);
}

// Calls the one that fits.
template <class T, class Combine>
void scatter_as(const Tensor& out, int d, const Tensor& index, const Tensor& x, Combine combine) {
  int64_t width = 1;
  bool rows = d == 0 && index.dim() > 1 && index.shape()[0] > 0 && out.is_contiguous() && x.is_contiguous();
  for (int i = 1; i < index.dim() && rows; ++i) {
    rows = index.strides()[i] == 0 && out.shape()[i] == index.shape()[i] && x.shape()[i] == index.shape()[i];
    width *= index.shape()[i];
  }
  if (rows && width >= 16) return scatter_rows<T>(out, index, x, width, combine);
  scatter_typed<T>(out, d, index, x, combine);
}

}  // namespace

void Cpu::scatter(const Tensor& out, int d, const Tensor& index, const Tensor& x, Place how, const char* op) {
  check_all(index, out.shape()[d], op);
  if (how == Place::set) {
    return dispatch_size(
        x.dtype(), [&](auto t) { scatter_as<decltype(t)>(out, d, index, x, [](auto, auto value) { return value; }); });
  }
  if (is_storage(x.dtype())) refuse_storage(x.dtype(), op);
  dispatch(x.dtype(), [&](auto t) {
    using T = decltype(t);
    switch (how) {
      case Place::add: return scatter_as<T>(out, d, index, x, functor::Add{});
      case Place::multiply: return scatter_as<T>(out, d, index, x, functor::Mul{});
      case Place::smallest: return scatter_as<T>(out, d, index, x, functor::Minimum{});
      default: return scatter_as<T>(out, d, index, x, functor::Maximum{});
    }
  });
}

// ## Finding
//
// Every tile counts its own; the counts add up to where each tile writes.
Tensor Cpu::nonzero(const Tensor& x) {
  int64_t tiles = (x.numel() + kTileElements - 1) / kTileElements;
  std::vector<int64_t> first(static_cast<size_t>(tiles) + 1, 0);
  Tensor found;
  dispatch(x.dtype(), [&](auto t) {
    using T = decltype(t);
    const T* p = elements<T>(x);
    auto in_tile = [&](int64_t tile, auto&& f) {
      for (int64_t i = tile * kTileElements; i < std::min(x.numel(), (tile + 1) * kTileElements); ++i) {
        if (p[i] != T(0)) f(i);
      }
    };
    parallel_for(tiles, [&](int64_t tile) {
      int64_t count = 0;
      in_tile(tile, [&](int64_t) { ++count; });
      first[static_cast<size_t>(tile) + 1] = count;
    });
    for (size_t i = 1; i < first.size(); ++i) first[i] += first[i - 1];
    found = empty({first.back(), x.dim()}, DType::int64, x.device());
    auto* coordinates = elements<int64_t>(found);
    int rank = x.dim();
    parallel_for(tiles, [&](int64_t tile) {
      int64_t* row = coordinates + first[static_cast<size_t>(tile)] * rank;
      in_tile(tile, [&](int64_t i) {
        for (int d = rank - 1; d > 0; --d) {
          row[d] = i % x.shape()[d];
          i /= x.shape()[d];
        }
        if (rank > 0) row[0] = i;
        row += rank;
      });
    });
  });
  return found;
}

}  // namespace cr::backend::cpu
