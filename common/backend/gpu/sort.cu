// # Sorting and picking
//
// A block sorts what fits its shared memory by a **bitonic** network: passes in which every thread compares and exchanges
// pairs that are fixed beforehand, whatever the numbers are (Batcher 1968). Longer lines are sorted in pieces, and then two
// sorted pieces become one, again and again: an element's place in the merged piece is its place in its own piece plus the
// number of smaller elements in the other, which it finds by halving.
//
// Elements are sorted as unsigned integers, and their place in the line decides between equals. So no two are equal, any
// order of comparisons gives the same result, and equal elements keep their order.
#include "backend/gpu/gpu.cuh"
#include "backend/gpu/scratch.cuh"
#include "backend/gpu/waist.hpp"

namespace cr::backend::CR_GPU {
namespace {

// ## Keys
//
// Unsigned integers in the order of the numbers. The bits of positive floating-point numbers rise with the number; those of
// negative ones fall, so all of them are flipped, and the sign bit puts one group above the other. NaN is the largest of
// all, whatever its sign; −0 + 0 is 0, which makes both zeros equal.
__device__ inline uint32_t key_of(float x) {
  if (x != x) return UINT32_MAX;
  const auto bits = __builtin_bit_cast(uint32_t, x + 0.f);
  return bits >> 31 ? ~bits : bits | 0x80000000u;
}
__device__ inline uint64_t key_of(double x) {
  if (x != x) return UINT64_MAX;
  const auto bits = __builtin_bit_cast(uint64_t, x + 0.);
  return bits >> 63 ? ~bits : bits | 0x8000000000000000u;
}
__device__ inline uint64_t key_of(int64_t x) { return static_cast<uint64_t>(x) ^ 0x8000000000000000u; }
__device__ inline uint32_t key_of(bool x) { return x; }
template <class T> using Key = std::conditional_t<sizeof(T) == 8, uint64_t, uint32_t>;

// Elements of all lines: keys, and where in its line each is.
template <class K> struct Entries {
  K* key;
  uint32_t* at;
};
template <class K> __device__ bool before(K key, uint32_t at, K other, uint32_t other_at) {
  return key != other ? key < other : at < other_at;
}

// The lines of x along d: `places` says where they begin in x, values and indices, `step` how far elements are apart.
struct SortLines {
  Places<3> places;
  int64_t n, step[3];
};

// ## In shared memory
//
// A block has kMost entries, of one piece of a line or of several short lines. `size`, a power of two, is what each takes;
// what is missing is filled with keys that come last.
constexpr int kMost = 1024, kThreads = 256;

template <class T>
__global__ void sort_pieces_kernel(SortLines lines, const T* x, bool descending, int size, Entries<Key<T>> to) {
  using K = Key<T>;
  __shared__ K key[kMost];
  __shared__ uint32_t at[kMost];
  const int threads = static_cast<int>(blockDim.x), t = static_cast<int>(threadIdx.x);
  const int64_t pieces = (lines.n + size - 1) / size, all = lines.places.numel * pieces, together = 2 * threads / size;
  const int count = 2 * threads > size ? 2 * threads : size;  // entries of this block
  const int64_t each = together > 0 ? together : 1;
  for (int64_t first = int64_t{blockIdx.x} * each; first < all; first += int64_t{gridDim.x} * each) {
    for (int e = t; e < count; e += threads) {
      const int64_t piece = first + e / size, line = piece / pieces, i = piece % pieces * size + e % size;
      key[e] = static_cast<K>(~K(0));
      at[e] = UINT32_MAX;
      if (piece >= all || i >= lines.n) continue;
      int64_t offset[3];
      lines.places.find(line, offset);
      const K own = key_of(x[offset[0] + i * lines.step[0]]);
      key[e] = descending ? static_cast<K>(~own) : own;
      at[e] = static_cast<uint32_t>(i);
    }
    // Stretches of `width` entries become sorted, upwards and downwards in turn, so that two of them make one that first
    // rises and then falls; such a one is sorted by comparing entries that are width / 2, width / 4, … 1 apart.
    for (int width = 2; width <= size; width *= 2) {
      for (int apart = width / 2; apart > 0; apart /= 2) {
        __syncthreads();
        for (int pair = t; pair < count / 2; pair += threads) {
          const int i = (pair & ~(apart - 1)) * 2 + (pair & (apart - 1)), j = i + apart;
          const bool up = (i & (size - 1) & width) == 0;
          if (before(key[j], at[j], key[i], at[i]) != up) continue;
          const K k = key[i];
          const uint32_t a = at[i];
          key[i] = key[j], at[i] = at[j];
          key[j] = k, at[j] = a;
        }
      }
    }
    __syncthreads();
    for (int e = t; e < count; e += threads) {
      const int64_t piece = first + e / size, i = piece % pieces * size + e % size;
      if (piece >= all || i >= lines.n) continue;
      to.key[piece / pieces * lines.n + i] = key[e];
      to.at[piece / pieces * lines.n + i] = at[e];
    }
    __syncthreads();
  }
}

// ## Merging
//
// Pieces of `size` entries, two by two.
template <class K>
__global__ void merge_kernel(int64_t lines, int64_t n, int64_t size, Entries<K> from, Entries<K> to) {
  for (int64_t e = first_element(); e < lines * n; e += all_threads()) {
    const int64_t line = e / n * n, i = e % n, begin = i / size * size;
    const int64_t other = (i / size ^ 1) * size, end = other + size < n ? other + size : n;
    const K key = from.key[e];
    const uint32_t at = from.at[e];
    int64_t low = other, high = end > other ? end : other;
    while (low < high) {
      const int64_t middle = low + (high - low) / 2;
      if (before(from.key[line + middle], from.at[line + middle], key, at)) low = middle + 1;
      else high = middle;
    }
    const int64_t place = line + (begin < other ? begin : other) + (i - begin) + (low - other);
    to.key[place] = key;
    to.at[place] = at;
  }
}

template <class T>
__global__ void sorted_kernel(SortLines lines, const T* x, T* values, int64_t* indices, int64_t count,
                              Entries<Key<T>> from) {
  for (int64_t e = first_element(); e < lines.places.numel * count; e += all_threads()) {
    const int64_t line = e / count, i = e % count, at = from.at[line * lines.n + i];
    int64_t offset[3];
    lines.places.find(line, offset);
    values[offset[1] + i * lines.step[1]] = x[offset[0] + at * lines.step[0]];
    indices[offset[2] + i * lines.step[2]] = at;
  }
}

// ## All of it
//
// Scratch memory for two sets of entries, one of which holds the result.
template <class T> class Sorted {
  using K = Key<T>;

 public:
  SortLines lines;
  Entries<K> entries;

  Sorted(const char* op, const Tensor& x, const Tensor& values, const Tensor& indices, int d, bool descending)
      : lines(lines_of(op, x, values, indices, d)), keys_(2 * x.numel(), x.device()), at_(2 * x.numel(), x.device()) {
    const int64_t n = lines.n, total = x.numel();
    Entries<K> spare{keys_.data() + total, at_.data() + total};
    entries = {keys_.data(), at_.data()};

    int size = 2;
    while (size < n && size < kMost) size *= 2;
    const int64_t all = lines.places.numel * pieces(n, size);
    // Two entries for each thread, or four in the largest pieces.
    int64_t threads = 32;
    while (threads < kThreads && threads * 2 < all * size) threads *= 2;
    const int64_t each = std::max<int64_t>(2 * threads / size, 1);
    launch("sort_pieces", sort_pieces_kernel<T>,
           {.blocks = {blocks_for(all, each, kGridBlocks)}, .threads = {static_cast<unsigned>(threads)}}, lines,
           elements<T>(x), descending, size, entries);
    for (int64_t merged = size; merged < n; merged *= 2) {
      launch("sort_merge", merge_kernel<K>, grid_for(total), lines.places.numel, n, merged, entries, spare);
      std::swap(entries, spare);
    }
  }

 private:
  static SortLines lines_of(const char* op, const Tensor& x, const Tensor& values, const Tensor& indices, int d) {
    auto first_of = [d](const Tensor& t) {
      Shape shape = t.shape();
      shape[d] = 1;
      return window(t, shape, t.strides(), 0);
    };
    const Tensor first[3] = {first_of(x), first_of(values), first_of(indices)};
    return {places<3>(op, first[0].shape(), {&first[0], &first[1], &first[2]}),
            x.shape()[d],
            {x.strides()[d], values.strides()[d], indices.strides()[d]}};
  }
  Scratch<K> keys_;
  Scratch<uint32_t> at_;
};

// ## Picking
//
// One element of each sorted line. NaN has the largest key, so what is not NaN comes first.
template <class T>
__global__ void pick_kernel(SortLines lines, Pick what, int64_t k, const T* x, T* values, int64_t* indices,
                            Entries<Key<T>> from) {
  using K = Key<T>;
  for (int64_t line = first_element(); line < lines.places.numel; line += all_threads()) {
    const K* key = from.key + line * lines.n;
    const uint32_t* at = from.at + line * lines.n;
    int64_t place = k;
    if (what == Pick::median || what == Pick::nanmedian) {
      int64_t numbers = lines.n;
      if constexpr (std::is_floating_point_v<T>) {
        int64_t low = 0;
        while (low < numbers) {
          const int64_t middle = (low + numbers) / 2;
          if (key[middle] == static_cast<K>(~K(0))) numbers = middle;
          else low = middle + 1;
        }
      }
      place = what == Pick::median && numbers < lines.n ? numbers : numbers > 0 ? (numbers - 1) / 2 : 0;
    } else if (what == Pick::mode) {
      // The last of the longest run of equal elements, the smallest if several are as long.
      int64_t longest = 0, begin = 0;
      for (int64_t i = 0; i < lines.n; ++i) {
        if (i + 1 < lines.n && key[i + 1] == key[i]) continue;
        if (i + 1 - begin > longest) longest = i + 1 - begin, place = i;
        begin = i + 1;
      }
    }
    int64_t offset[3];
    lines.places.find(line, offset);
    values[offset[1]] = x[offset[0] + at[place] * lines.step[0]];
    indices[offset[2]] = at[place];
  }
}

// So many elements of a line have a number of 32 bits.
constexpr int64_t kLongest = UINT32_MAX - 1;

}  // namespace

void Waist::sort(const Tensor& values, const Tensor& indices, const Tensor& x, int d, bool descending) {
  const int64_t n = x.shape()[d], count = values.shape()[d];
  if (n == 0 || count == 0 || x.numel() == 0) return;
  if (n > kLongest) {
    return on_host({values, indices}, {x},
                   [&](Tensors out, Tensors in) { on(Device::cpu).sort(out[0], out[1], in[0], d, descending); });
  }
  dispatch(x.dtype(), [&](auto t) {
    using T = decltype(t);
    const Sorted<T> sorted("sort", x, values, indices, d, descending);
    launch("sort_write", sorted_kernel<T>, grid_for(sorted.lines.places.numel * count), sorted.lines, elements<T>(x),
           elements<T>(values), elements<int64_t>(indices), count, sorted.entries);
  });
}

void Waist::pick(Pick what, const Tensor& values, const Tensor& indices, const Tensor& x, int d, int64_t k) {
  if (x.numel() == 0) return;
  if (x.shape()[d] > kLongest) {
    return on_host({values, indices}, {x},
                   [&](Tensors out, Tensors in) { on(Device::cpu).pick(what, out[0], out[1], in[0], d, k); });
  }
  dispatch(x.dtype(), [&](auto t) {
    using T = decltype(t);
    const Sorted<T> sorted("pick", x, values, indices, d, false);
    launch("pick", pick_kernel<T>, grid_for(sorted.lines.places.numel), sorted.lines, what, k, elements<T>(x),
           elements<T>(values), elements<int64_t>(indices), sorted.entries);
  });
}

}  // namespace cr::backend::CR_GPU
