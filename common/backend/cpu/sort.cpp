// # Sorting
//
// A comparison sort asks "is a < b?" n log n times, and a processor guesses every second answer wrong. **Radix sort** asks
// nothing. It deals the elements into 256 piles by the last byte of their keys, picks the piles up in order, and deals
// again by the next byte. Dealing never swaps two elements of the same pile, so after the last byte everything is in
// order, and equal elements are in the order they came in.
//
// That needs keys whose order as unsigned integers is the order of the numbers. For floating-point numbers they are
// nearly there: the bits of positive ones already rise with the number; those of negative ones fall, so all of them are
// flipped, and the sign bit puts one group above the other.
#include <algorithm>
#include <cmath>

#include "backend/cpu/cpu.hpp"
#include "backend/cpu/lines.hpp"

namespace cr::backend::cpu {
namespace {

// NaN is the largest of all, whatever its sign; -0 + 0 is 0, which makes both zeros equal.
uint32_t key_of(float x) {
  if (std::isnan(x)) return UINT32_MAX;
  auto bits = __builtin_bit_cast(uint32_t, x + 0.f);
  return bits >> 31 ? ~bits : bits | 0x80000000u;
}
uint64_t key_of(double x) {
  if (std::isnan(x)) return UINT64_MAX;
  auto bits = __builtin_bit_cast(uint64_t, x + 0.);
  return bits >> 63 ? ~bits : bits | 0x8000000000000000u;
}
uint64_t key_of(int64_t x) { return static_cast<uint64_t>(x) ^ 0x8000000000000000u; }
uint32_t key_of(bool x) { return x; }

template <class T> bool is_nan(T x) {
  if constexpr (std::is_floating_point_v<T>) return std::isnan(x);
  return false;
}

// What is sorted: a key and where its element was. 32-bit keys share one word with the place; all entries differ, so any
// sort of them is a stable sort of the elements.
struct Short {
  static constexpr int kBytes = 4;
  uint64_t word;
  Short() = default;
  Short(uint64_t key, int64_t at) : word(key << 32 | static_cast<uint64_t>(at)) {}
  uint64_t key() const { return word >> 32; }
  int64_t at() const { return static_cast<int64_t>(word & UINT32_MAX); }
  bool operator<(const Short& other) const { return word < other.word; }
};
struct Long {
  static constexpr int kBytes = 8;
  uint64_t word;
  int64_t place;
  Long() = default;
  Long(uint64_t key, int64_t at) : word(key), place(at) {}
  uint64_t key() const { return word; }
  int64_t at() const { return place; }
  bool operator<(const Long& other) const { return word != other.word ? word < other.word : place < other.place; }
};

// Sorts the n entries of a, which needs a spare array of the same size, and returns the one of both that holds the result.
template <class E> E* radix_sort(E* a, E* spare, int64_t n) {
  if (n < 64) {
    std::sort(a, a + n);
    return a;
  }
  // How many entries have each value of each byte? One pass counts for all bytes.
  int64_t counts[E::kBytes][256] = {};
  for (int64_t i = 0; i < n; ++i) {
    uint64_t key = a[i].key();
    for (int byte = 0; byte < E::kBytes; ++byte) ++counts[byte][key >> (8 * byte) & 255];
  }
  for (int byte = 0; byte < E::kBytes; ++byte) {
    int64_t(&place)[256] = counts[byte];
    if (place[a[0].key() >> (8 * byte) & 255] == n) continue;  // all alike
    int64_t next = 0;
    for (int64_t& p : place) next += std::exchange(p, next);
    for (int64_t i = 0; i < n; ++i) spare[place[a[i].key() >> (8 * byte) & 255]++] = a[i];
    std::swap(a, spare);
  }
  return a;
}

// The entries of one line: an array of them, another to deal into, and what fills and orders them.
template <class E> struct Line {
  Tensor memory;
  E *a, *spare;
  int64_t n;
  Line(int64_t length, bool deals)
      : memory(empty({deals ? 2 : 1, length, sizeof(E) / sizeof(int64_t)}, DType::int64)), n(length) {
    a = static_cast<E*>(memory.impl()->storage->data());
    spare = deals ? a + length : nullptr;
  }

  // The first `count` entries in order.
  const E* sorted(int64_t count) {
    if (spare) return radix_sort(a, spare, n);
    std::partial_sort(a, a + count, a + n);
    return a;
  }
  E kth(int64_t k) {
    std::nth_element(a, a + k, a + n);
    return a[k];
  }
  // The last of the longest run of equal elements, the smallest if several are as long.
  E mode() {
    E* s = radix_sort(a, spare, n);
    int64_t longest = 0, begin = 0;
    E best = s[0];
    for (int64_t i = 0; i < n; ++i) {
      if (i + 1 < n && s[i + 1].key() == s[i].key()) continue;
      if (i + 1 - begin > longest) {
        longest = i + 1 - begin;
        best = s[i];
      }
      begin = i + 1;
    }
    return best;
  }
};

// Fills a line from n elements `step` apart and calls `f` with it. 64-bit keys that lie within 2³² of each other, as most
// integers do, lose nothing as 32-bit ones.
template <class T, class F> void with_line(const T* x, int64_t n, int64_t step, bool descending, bool deals, F&& f) {
  using Key = decltype(key_of(T()));
  Key flip = descending ? static_cast<Key>(~Key(0)) : Key(0), low = 0, high = UINT32_MAX;
  if constexpr (sizeof(Key) == 8) {
    low = high = key_of(x[0]) ^ flip;
    for (int64_t i = 1; i < n; ++i) {
      Key key = key_of(x[i * step]) ^ flip;
      low = std::min(low, key);
      high = std::max(high, key);
    }
  }
  auto fill = [&](auto line, Key base) {
    using E = std::remove_reference_t<decltype(line.a[0])>;
    for (int64_t i = 0; i < n; ++i) line.a[i] = E(static_cast<Key>(key_of(x[i * step]) ^ flip) - base, i);
    f(line);
  };
  if (high - low <= UINT32_MAX && n <= int64_t{UINT32_MAX}) fill(Line<Short>(n, deals), low);
  else fill(Line<Long>(n, deals), 0);
}

}  // namespace

void Cpu::sort(const Tensor& values, const Tensor& indices, const Tensor& x, int d, bool descending) {
  int64_t n = x.shape()[d], count = values.shape()[d];
  if (n == 0 || count == 0 || x.numel() == 0) return;
  int64_t step = x.strides()[d], value_step = values.strides()[d], index_step = indices.strides()[d];
  bool few = count < n / 16;  // a heap of the best so far looks at most elements only once
  dispatch(x.dtype(), [&](auto t) {
    using T = decltype(t);
    for_each_line<3>({&x, &values, &indices}, d, n, [&](const auto& offset) {
      const T* from = elements<T>(x) + offset[0];
      T* value = elements<T>(values) + offset[1];
      int64_t* index = elements<int64_t>(indices) + offset[2];
      with_line(from, n, step, descending, !few, [&](auto& line) {
        auto* sorted = line.sorted(count);
        for (int64_t i = 0; i < count; ++i) {
          int64_t at = sorted[i].at();
          value[i * value_step] = from[at * step];
          index[i * index_step] = at;
        }
      });
    });
  });
}

void Cpu::pick(Pick what, const Tensor& values, const Tensor& indices, const Tensor& x, int d, int64_t k) {
  int64_t n = x.shape()[d], step = x.strides()[d];
  if (x.numel() == 0) return;
  dispatch(x.dtype(), [&](auto t) {
    using T = decltype(t);
    for_each_line<3>({&x, &values, &indices}, d, n, [&](const auto& offset) {
      const T* from = elements<T>(x) + offset[0];
      int64_t at = 0, numbers = 0, first_nan = n;
      for (int64_t i = 0; i < n; ++i) {
        if (!is_nan(from[i * step])) ++numbers;
        else first_nan = std::min(first_nan, i);
      }
      int64_t rank = what == Pick::kth ? k : (std::max<int64_t>(numbers, 1) - 1) / 2;
      if (what == Pick::median && first_nan < n) {
        at = first_nan;
      } else {
        with_line(from, n, step, false, what == Pick::mode,
                  [&](auto& line) { at = (what == Pick::mode ? line.mode() : line.kth(rank)).at(); });
      }
      elements<T>(values)[offset[1]] = from[at * step];
      elements<int64_t>(indices)[offset[2]] = at;
    });
  });
}

// ## Searching
//
// Halving: what lies left of `low` is before x, what lies from `high` on is not.
template <class T> static bool less(T x, T y) { return x < y || (is_nan(y) && !is_nan(x)); }

void Cpu::search_sorted(const Tensor& out, const Tensor& sorted, const Tensor& x, bool right) {
  int64_t n = sorted.shape().back(), total = x.numel();
  int64_t width = sorted.dim() == 1 ? std::max<int64_t>(total, 1) : x.shape().back();
  dispatch(x.dtype(), [&](auto t) {
    using T = decltype(t);
    auto tile = [&](int64_t begin) {
      for (int64_t i = begin * kTileElements; i < std::min(total, (begin + 1) * kTileElements); ++i) {
        T number = elements<T>(x)[i];
        const T* line = elements<T>(sorted) + i / width * n;
        int64_t low = 0, high = n;
        while (low < high) {
          int64_t middle = low + (high - low) / 2;
          bool before = right ? !less(number, line[middle]) : less(line[middle], number);
          if (before) low = middle + 1;
          else high = middle;
        }
        elements<int64_t>(out)[i] = low;
      }
    };
    parallel_for((total + kTileElements - 1) / kTileElements, tile);
  });
}

}  // namespace cr::backend::cpu
