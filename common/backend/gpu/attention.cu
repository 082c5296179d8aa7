// # Attention, tile by tile
//
// For every query $q_i$ of a head,
//
// $$o_i = \sum_j P_{ij} v_j, \qquad P_{ij} = \frac{e^{s_{ij}}}{\sum_m e^{s_{im}}}, \qquad s_{ij} = c\, q_i \cdot k_j + b_{ij} .$$
//
// The scores of all pairs would fill memory, so nobody keeps them (FlashAttention: Dao, Fu, Ermon, Rudra and Ré 2022). A block
// of threads has some queries and takes one tile of keys after another: their scores live in shared memory, are turned into
// $e^{s - m}$ with $m$ the row's largest score so far, and meet their values at once. When a later tile brings a larger score
// $m'$, what was summed is multiplied by $e^{m - m'}$ (the online softmax of Milakov and Gimelshein 2018).
//
// The sums of a tile fill a thread's registers. What does not fit goes to memory between the products, never within one:
//
// spills attention_kernel: a few words between the products
// spills attention_dq_kernel: with numbers of 8 bytes, as many again
// spills attention_dkv_kernel: it has two sums to keep
#include "backend/functor.hpp"
#include "backend/gpu/attention.cuh"

#include "backend/gpu/block.cuh"
#include "backend/gpu/team.cuh"
#include "backend/gpu/waist.hpp"

namespace cr::backend::CR_GPU {
namespace {

// ## One call
//
// Tensors are (heads…, rows, columns). Each head has its place in all of them.
enum AttentionOperand { kQ, kK, kV, kBias, kOut, kDout, kDq, kDk, kDv, kOperands };
template <class T> struct Attention {
  int64_t queries, keys, width, depth, heads;
  Places<kOperands> places;
  int64_t row[kOperands];  // from row to row
  int64_t bias_step;
  T* at[kOperands];
  T *normalizer, *d;  // (heads, queries, 2) and (heads, queries)
  T scale;
  bool causal;
};

// One head's pointers. It is the same for a whole block.
template <class T> struct Head {
  int64_t offset[kOperands];
  const Attention<T>& a;
  __device__ Head(const Attention<T>& attention, int64_t head) : a(attention) { a.places.find(head, offset); }
  __device__ RowsOf<const T> rows(int which, int64_t first, int64_t count, int64_t width) const {
    return RowsOf<const T>{a.at[which] + offset[which], a.row[which], count, width}.from(first);
  }
  __device__ RowsOf<T> out(int which, int64_t first, int64_t count, int64_t width) const {
    return RowsOf<T>{a.at[which] + offset[which], a.row[which], count, width}.from(first);
  }
  __device__ T bias(int64_t i, int64_t j) const {
    return a.at[kBias] ? a.at[kBias][offset[kBias] + i * a.row[kBias] + j * a.bias_step] : T(0);
  }
  __device__ bool sees(int64_t i, int64_t j) const { return i < a.queries && j < a.keys && (!a.causal || j <= i); }
};

template <class T> __device__ T never() { return static_cast<T>(-__builtin_huge_val()); }

// ## Forward
//
// A tile of queries for each block, the last ones first: in the causal case they have the most to do. Where values are wider
// than a tile, they come in pieces along z, for each of which the scores are computed anew.
template <class Tile, class T> __global__ void __launch_bounds__(Tile::kThreads) attention_kernel(Attention<T> a) {
  auto& shared = Tile::shared();
  const int64_t across = (a.queries + Tile::kSize - 1) / Tile::kSize, head = blockIdx.x / across;
  const int64_t i0 = (across - 1 - blockIdx.x % across) * Tile::kSize, first = int64_t{blockIdx.z} * Tile::kWidth;
  const Head<T> own(a, head);
  const RowsOf<const T> q = own.rows(kQ, i0, a.queries, a.width);
  T total[Tile::kRows][Tile::kWide] = {};

  // Two threads share a row of scores. Each knows the largest so far and has a sum of its own half of e^(s − largest).
  const int t = static_cast<int>(threadIdx.x), row = t / 2, half = t % 2;
  T largest = never<T>(), sum = 0;
  const int64_t end = a.causal && i0 + Tile::kSize < a.keys ? i0 + Tile::kSize : a.keys;
  for (int64_t j0 = 0; j0 < end; j0 += Tile::kSize) {
    T score[Tile::kRows][Tile::kColumns] = {};
    multiply_scores<Tile>(score, q, own.rows(kK, j0, a.keys, a.width));
#pragma unroll
    for (int r = 0; r < Tile::kRows; ++r) {
#pragma unroll
      for (int c = 0; c < Tile::kColumns; ++c) {
        const int64_t i = i0 + Tile::row(r), j = j0 + Tile::column(c);
        shared.scores[Tile::row(r)][Tile::column(c)] =
            own.sees(i, j) ? multiply_add(score[r][c], a.scale, own.bias(i, j)) : never<T>();
      }
    }
    __syncthreads();

    T most = largest;
    for (int c = half; c < Tile::kSize; c += 2) {
      const T s = shared.scores[row][c];
      most = s > most ? s : most;
    }
    const T other = __shfl_xor_sync(~0u, most, 1);
    most = other > most ? other : most;
    // As long as nothing is seen the largest is −∞, and −∞ − (−∞) is not what we want.
    const T from = most == never<T>() ? T(0) : most;
    const T factor = largest == never<T>() ? T(0) : functor::Exp{}(largest - from);
    largest = most;
    sum *= factor;
    for (int c = half; c < Tile::kSize; c += 2) {
      const T p = functor::Exp{}(shared.scores[row][c] - from);
      shared.scores[row][c] = p;
      sum += p;
    }
    if (half == 0) shared.factor[row] = factor;
    __syncthreads();

#pragma unroll
    for (int r = 0; r < Tile::kRows; ++r)
#pragma unroll
      for (int c = 0; c < Tile::kWide; ++c) total[r][c] *= shared.factor[Tile::row(r)];
    const int64_t n = end - j0 < Tile::kSize ? end - j0 : Tile::kSize;
    add_rows<Tile>(total, own.rows(kV, j0, a.keys, a.depth), static_cast<int>(n), first);
  }

  sum += __shfl_xor_sync(~0u, sum, 1);
  if (half == 0) {
    shared.factor[row] = sum == 0 ? T(1) : 1 / sum;
    if (i0 + row < a.queries && blockIdx.z == 0) {
      T* normalizer = a.normalizer + 2 * (head * a.queries + i0 + row);
      normalizer[0] = largest == never<T>() ? T(0) : largest;
      normalizer[1] = sum == 0 ? T(0) : 1 / sum;
    }
  }
  __syncthreads();
  store_rows<Tile>(own.out(kOut, i0, a.queries, a.depth), first, total, shared.factor);
}

// ## Backward
//
// With dO for o, $D_i = dO_i \cdot o_i$ and $dP = dO\, v^\top$:
//
// $$dS = P \circ (dP - D), \qquad dv = P^\top dO, \qquad dk = c\, dS^\top q, \qquad dq = c\, dS\, k .$$
//
// dq sums over keys, dk and dv over queries. One pass could do both only if blocks added to each other's results, in any
// order. So there are two, each of which computes the scores: a block of the first has some queries, one of the second some
// keys.
template <class T> __global__ void attention_dots_kernel(Attention<T> a) {
  for (int64_t row = first_row(); row < a.heads * a.queries; row += all_rows()) {
    int64_t offset[kOperands];
    a.places.find(row / a.queries, offset);
    const T* x = a.at[kDout] + offset[kDout] + row % a.queries * a.row[kDout];
    const T* y = a.at[kOut] + offset[kOut] + row % a.queries * a.row[kOut];
    const double own = sum_of<T>(threadIdx.x, a.depth, kWarp, [&](int64_t i) { return x[i] * y[i]; });
    const double dot = team_total<functor::Sum, kWarp>(own);
    if (threadIdx.x == 0) a.d[row] = static_cast<T>(dot);
  }
}

// P and c · dS of query i and key j, from q · k and dO · v.
template <class T> struct Slopes {
  T p, ds;
  __device__ Slopes(const Head<T>& own, int64_t head, int64_t i, int64_t j, T qk, T dov) : p(0), ds(0) {
    if (!own.sees(i, j)) return;
    const Attention<T>& a = own.a;
    const T* normalizer = a.normalizer + 2 * (head * a.queries + i);
    p = functor::Exp{}(multiply_add(qk, a.scale, own.bias(i, j)) - normalizer[0]) * normalizer[1];
    ds = p * (dov - a.d[head * a.queries + i]) * a.scale;
  }
};

template <class Tile, class T> __global__ void __launch_bounds__(Tile::kThreads) attention_dq_kernel(Attention<T> a) {
  auto& shared = Tile::shared();
  const int64_t across = (a.queries + Tile::kSize - 1) / Tile::kSize, head = blockIdx.x / across;
  const int64_t i0 = (across - 1 - blockIdx.x % across) * Tile::kSize, first = int64_t{blockIdx.z} * Tile::kWidth;
  const Head<T> own(a, head);
  const RowsOf<const T> q = own.rows(kQ, i0, a.queries, a.width), dout = own.rows(kDout, i0, a.queries, a.depth);
  T total[Tile::kRows][Tile::kWide] = {};
  const int64_t end = a.causal && i0 + Tile::kSize < a.keys ? i0 + Tile::kSize : a.keys;
  for (int64_t j0 = 0; j0 < end; j0 += Tile::kSize) {
    T qk[Tile::kRows][Tile::kColumns] = {}, dov[Tile::kRows][Tile::kColumns] = {};
    const RowsOf<const T> k = own.rows(kK, j0, a.keys, a.width);
    multiply_scores<Tile>(qk, q, k);
    multiply_scores<Tile>(dov, dout, own.rows(kV, j0, a.keys, a.depth));
#pragma unroll
    for (int r = 0; r < Tile::kRows; ++r)
#pragma unroll
      for (int c = 0; c < Tile::kColumns; ++c)
        shared.scores[Tile::row(r)][Tile::column(c)] =
            Slopes<T>(own, head, i0 + Tile::row(r), j0 + Tile::column(c), qk[r][c], dov[r][c]).ds;
    const int64_t n = end - j0 < Tile::kSize ? end - j0 : Tile::kSize;
    add_rows<Tile>(total, k, static_cast<int>(n), first);
  }
  store_rows<Tile>(own.out(kDq, i0, a.queries, a.width), first, total);
}

// Here the rows of a tile are keys, and its columns queries. Two sums of rows at once fill a thread's 255 registers: where they
// are 128 wide, or of float64, a handful of numbers has to wait in memory. To compute the scores twice would cost more.
template <class Tile, class T> __global__ void __launch_bounds__(Tile::kThreads) attention_dkv_kernel(Attention<T> a) {
  auto& shared = Tile::shared();
  const int64_t across = (a.keys + Tile::kSize - 1) / Tile::kSize, head = blockIdx.x / across;
  const int64_t j0 = blockIdx.x % across * Tile::kSize, first = int64_t{blockIdx.z} * Tile::kWidth;
  const Head<T> own(a, head);
  const RowsOf<const T> k = own.rows(kK, j0, a.keys, a.width), v = own.rows(kV, j0, a.keys, a.depth);
  T dk[Tile::kRows][Tile::kWide] = {}, dv[Tile::kRows][Tile::kWide] = {};
  for (int64_t i0 = a.causal ? j0 : 0; i0 < a.queries; i0 += Tile::kSize) {
    T qk[Tile::kRows][Tile::kColumns] = {}, dov[Tile::kRows][Tile::kColumns] = {};
    const RowsOf<const T> q = own.rows(kQ, i0, a.queries, a.width), dout = own.rows(kDout, i0, a.queries, a.depth);
    multiply_scores<Tile>(qk, k, q);
    multiply_scores<Tile>(dov, v, dout);
#pragma unroll
    for (int r = 0; r < Tile::kRows; ++r) {
#pragma unroll
      for (int c = 0; c < Tile::kColumns; ++c) {
        const Slopes<T> s(own, head, i0 + Tile::column(c), j0 + Tile::row(r), qk[r][c], dov[r][c]);
        shared.scores[Tile::row(r)][Tile::column(c)] = s.p;
        dov[r][c] = s.ds;
      }
    }
    const int64_t n = a.queries - i0 < Tile::kSize ? a.queries - i0 : Tile::kSize;
    add_rows<Tile>(dv, dout, static_cast<int>(n), first);
#pragma unroll
    for (int r = 0; r < Tile::kRows; ++r)
#pragma unroll
      for (int c = 0; c < Tile::kColumns; ++c) shared.scores[Tile::row(r)][Tile::column(c)] = dov[r][c];
    add_rows<Tile>(dk, q, static_cast<int>(n), first);
  }
  store_rows<Tile>(own.out(kDv, j0, a.keys, a.depth), first, dv);
  store_rows<Tile>(own.out(kDk, j0, a.keys, a.width), first, dk);
}

// ## Launches
template <class T>
Attention<T> make(const Tensor (&x)[kOperands], const Tensor& normalizer, double scale, bool causal) {
  Attention<T> a{};
  const Tensor &q = x[kQ], &k = x[kK], &v = x[kV];
  a.queries = q.shape()[q.dim() - 2], a.keys = k.shape()[k.dim() - 2];
  a.width = q.shape().back(), a.depth = v.shape().back();
  std::array<Tensor, kOperands> heads;
  std::array<const Tensor*, kOperands> pointers{};
  for (int i = 0; i < kOperands; ++i) {
    if (!x[i].defined()) continue;
    Shape shape = x[i].shape();
    Strides strides = x[i].strides();
    a.row[i] = strides[x[i].dim() - 2];
    if (i == kBias) a.bias_step = strides.back();
    shape.resize(x[i].dim() - 2), strides.resize(x[i].dim() - 2);
    heads[static_cast<size_t>(i)] = window(x[i], shape, strides, 0);
    pointers[static_cast<size_t>(i)] = &heads[static_cast<size_t>(i)];
    a.at[i] = elements<T>(x[i]);
  }
  a.places = places<kOperands>("attention", heads[kQ].shape(), pointers);
  a.heads = a.places.numel;
  a.normalizer = elements<T>(normalizer);
  a.scale = static_cast<T>(scale), a.causal = causal;
  return a;
}

// Calls f with the tile for so many rows of results, `wide` numbers each: the larger one where there is enough to do.
template <class T, class F> void with_tile(int64_t heads, int64_t rows, int64_t wide, F&& f) {
  constexpr int64_t kEnoughTiles = 128;
  if constexpr (sizeof(T) == 4) {
    if (heads * pieces(rows, 64) >= kEnoughTiles && rows > 32) {
      if (wide > 64) return f(AttentionTile<T, 64, 128>{});
      return f(AttentionTile<T, 64, 64>{});
    }
  }
  f(AttentionTile<T, 32, 64>{});
}

template <class Tile> Grid grid_of(Tile, int64_t heads, int64_t rows, int64_t wide) {
  return {.blocks = {static_cast<unsigned>(heads * pieces(rows, Tile::kSize)), 1,
                     static_cast<unsigned>(std::max<int64_t>(pieces(wide, Tile::kWidth), 1))},
          .threads = {Tile::kThreads}};
}

}  // namespace

void Waist::attention(const Tensor& out, const Tensor& normalizer, const Tensor& q, const Tensor& k, const Tensor& v,
                      const Tensor& bias, double scale, bool causal) {
  if (normalizer.numel() == 0) return;
  dispatch_floating(q.dtype(), "attention", [&](auto type) {
    using T = decltype(type);
    const auto a = make<T>({q, k, v, bias, out, {}, {}, {}, {}}, normalizer, scale, causal);
    with_tile<T>(a.heads, a.queries, a.depth, [&](auto tile) {
      launch("attention", attention_kernel<decltype(tile), T>, grid_of(tile, a.heads, a.queries, a.depth), a);
    });
  });
}

void Waist::attention_backward(const Tensor& dq, const Tensor& dk, const Tensor& dv, const Tensor& dout,
                               const Tensor& out, const Tensor& normalizer, const Tensor& q, const Tensor& k,
                               const Tensor& v, const Tensor& bias, double scale, bool causal) {
  if (normalizer.numel() == 0 || k.shape()[k.dim() - 2] == 0) {  // no query, or nothing to look at
    for (const Tensor* x : {&dq, &dk, &dv}) {
      if (x->numel() > 0) fill(*x, 0);
    }
    return;
  }
  dispatch_floating(q.dtype(), "attention", [&](auto type) {
    using T = decltype(type);
    auto a = make<T>({q, k, v, bias, out, dout, dq, dk, dv}, normalizer, scale, causal);
    const Scratch<T> d(a.heads * a.queries, q.device());
    a.d = d.data();
    launch("attention_dots", attention_dots_kernel<T>, grid_for_rows<kWarp>(a.heads * a.queries), a);
    with_tile<T>(a.heads, a.queries, a.width, [&](auto tile) {
      launch("attention_dq", attention_dq_kernel<decltype(tile), T>, grid_of(tile, a.heads, a.queries, a.width), a);
    });
    const int64_t wide = std::max(a.width, a.depth);
    with_tile<T>(a.heads, a.keys, wide, [&](auto tile) {
      launch("attention_dkv", attention_dkv_kernel<decltype(tile), T>, grid_of(tile, a.heads, a.keys, wide), a);
    });
  });
}

}  // namespace cr::backend::CR_GPU
