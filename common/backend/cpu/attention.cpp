// # Attention, block by block
//
// For every query $q_i$ of a head,
//
// $$o_i = \sum_j P_{ij} v_j, \qquad P_{ij} = \frac{e^{s_{ij}}}{\sum_m e^{s_{im}}}, \qquad s_{ij} = c\, q_i \cdot k_j + b_{ij} .$$
//
// There are l × s scores: at l = s = 4096 they are 64 MB for each head, where q, k, v and o have half a megabyte each. So we never
// keep them (FlashAttention: Dao, Fu, Ermon, Rudra and Ré 2022). A block of keys is taken at a time; its scores live in the first
// cache, are turned into $e^{s - m}$ with $m$ the row's largest score *so far*, and meet their values at once. When a later
// block brings a larger score $m'$, all that was summed is multiplied by $e^{m - m'}$, and nothing is lost (the online softmax
// of Milakov and Gimelshein 2018). Of each row we keep $m$ and $1 / \sum_j e^{s_{ij} - m}$, from which $P$ can be had again on
// the way back. Their logsumexp alone would not do: added to an $m$ of $-10^{20}$, a logarithm changes no digit.
//
// All products are register tiles of the matrix product (`isa/gemm_kernel.hpp`). They read k and v from panels that are packed
// once for many queries. How the work is cut depends on the shapes only, so the bits do not depend on the number of threads.
#include <algorithm>
#include <limits>

#include "backend/cpu/cpu.hpp"
#include "backend/cpu/cpu_features.hpp"
#include "backend/cpu/gemm.hpp"
#include "backend/cpu/isa/attention_kernel.hpp"
#include "backend/cpu/lines.hpp"
#include "backend/cpu/tiles.hpp"
#include "tensor/allocator.hpp"

namespace cr::backend::cpu {
namespace {

template <class T> const AttentionKernel<T>& attention_kernel() {
  constexpr bool kFloat = sizeof(T) == sizeof(float);
#if CHAINRULE_X86_DISPATCH
  if constexpr (kFloat) {
    if (isa() == Isa::avx512) return avx512::attention_float;
    if (isa() == Isa::avx2) return avx2::attention_float;
  } else {
    if (isa() == Isa::avx512) return avx512::attention_double;
    if (isa() == Isa::avx2) return avx2::attention_double;
  }
#endif
  if constexpr (kFloat) return base::attention_float;
  else return base::attention_double;
}

template <class T> struct Kernels {
  const GemmKernel<T>& product = gemm_kernel<T>();
  const AttentionKernel<T>& rows = attention_kernel<T>();
};

// ## The blocks
//
// Keys at a time; queries at a time, on the way back; and how many queries one tile of work has, for which each block of keys is
// packed once.
constexpr int64_t kKeys = 64, kQueries = 128, kTileQueries = 256;

// Rows no farther apart than this, in bytes, share the first cache well enough.
constexpr int64_t kClose = 512;

// Tiles enough to keep several threads busy, where there are fewer heads than that.
constexpr int64_t kEnoughTiles = 16;

// One head's matrix in a tensor (…, rows, columns) whose columns are contiguous.
template <class T> struct Matrix {
  T* at;
  int64_t row;
  T* operator[](int64_t i) const { return at + i * row; }
};

int64_t offset_of(const Tensor& x, int64_t head) {
  int64_t offset = 0;
  for (int d = x.dim() - 3; d >= 0; --d) {
    offset += head % x.shape()[d] * x.strides()[d];
    head /= x.shape()[d];
  }
  return offset;
}

template <class T> Matrix<T> matrix_of(const Tensor& x, int64_t head) {
  return {elements<T>(x) + offset_of(x, head), x.strides()[x.dim() - 2]};
}

// A tile's memory, one block of it, handed out piece by piece on cache lines.
class Scratch {
 public:
  explicit Scratch(int64_t bytes)
      : bytes_(bytes), block_(allocator::allocate(bytes)), next_(static_cast<char*>(block_)) {}
  ~Scratch() { allocator::free(block_, bytes_); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  template <class T> T* take(int64_t count) {
    char* piece = next_;
    next_ += size<T>(count);
    return reinterpret_cast<T*>(piece);
  }
  template <class T> static int64_t size(int64_t count) {
    return multiple(count * static_cast<int64_t>(sizeof(T)), 64);
  }

 private:
  int64_t bytes_;
  void* block_;
  char* next_;
};

// What all tiles of one call know.
template <class T> struct Attention {
  Attention(const Tensor& q_, const Tensor& k_, const Tensor& v_, const Tensor& bias_, double scale_, bool causal_)
      : q(q_),
        k(k_),
        v(v_),
        bias(bias_),
        scale(static_cast<T>(scale_)),
        causal(causal_),
        queries(q.shape()[q.dim() - 2]),
        keys(k.shape()[k.dim() - 2]),
        width(q.shape().back()),
        depth(v.shape().back()) {
    for (int d = 0; d < q.dim() - 2; ++d) heads *= q.shape()[d];
    step = multiple(multiple(kKeys, kernel.product.tile_columns), 64);
  }

  // ## Products
  //
  // The right side of a product: panels of tile_columns columns, `size` apart, in which rows are `row` apart.
  struct Panels {
    const T* at;
    int64_t row, size;
  };

  // B(p, j) = x[p][j]. Whole panels that lie close together are read where they are.
  Panels rows_of(Matrix<const T> x, int64_t rows, int64_t columns, T* buffer) const {
    const int64_t lanes = kernel.product.tile_columns;
    if (columns % lanes == 0 && x.row * static_cast<int64_t>(sizeof(T)) <= kClose) return {x.at, x.row, lanes};
    for (int64_t j = 0; j < columns; j += lanes)
      kernel.product.pack_b(buffer + j * rows, std::min(lanes, columns - j), rows, x.at + j, 1, x.row);
    return {buffer, lanes, rows * lanes};
  }

  // B(p, j) = x[j][p], turned round.
  Panels turned(Matrix<const T> x, int64_t rows, int64_t columns, T* buffer) const {
    const int64_t lanes = kernel.product.tile_columns;
    for (int64_t j = 0; j < rows; j += lanes)
      kernel.product.pack_b(buffer + j * columns, std::min(lanes, rows - j), columns, x[j], x.row, 1);
    return {buffer, lanes, columns * lanes};
  }
  int64_t panels_size(int64_t rows, int64_t columns) const {
    return multiple(rows, kernel.product.tile_columns) * multiple(columns, kernel.product.tile_columns);
  }

  // C = [C +] A B for at most tile_rows rows, where A(i, p) is a[i · a_row + p · a_step] and B begins at row `from` of its panels.
  void multiply(int64_t rows, int64_t columns, int64_t k_size, const T* a, int64_t a_row, int64_t a_step,
                const Panels& b, int64_t from, T* c, int64_t c_row, bool accumulate) const {
    const int64_t lanes = kernel.product.tile_columns;
    GemmTile<T> t{};
    t.rows = rows, t.k = k_size;
    t.a = a, t.a_row = a_row, t.a_step = a_step;
    t.b = b.at + from * b.row, t.b_step = b.row;
    t.c = c, t.c_step = c_row;
    t.accumulate = accumulate;
    for (int64_t j = 0; j < columns; j += lanes, t.b += b.size, t.c += lanes) {
      t.columns = std::min(lanes, columns - j);
      kernel.product.tile(t);
    }
  }

  // The scores of rows i … i + rows - 1 against keys j …, of which `columns` are looked at.
  ScoreRows<T> scores_of(int64_t head, int64_t i, int64_t rows, int64_t j, int64_t columns, T* scores) const {
    ScoreRows<T> s{rows, columns, scores, step, scale, nullptr, 0, 0, causal, i + 1 - j};
    if (bias.defined()) {
      const Matrix<const T> b = matrix_of<const T>(bias, head);
      s.bias_row = b.row, s.bias_step = bias.strides().back();
      s.bias = b[i] + j * s.bias_step;
    }
    return s;
  }

  double work() const {
    return static_cast<double>(heads) * static_cast<double>(queries) * static_cast<double>(keys) *
           static_cast<double>(width + depth);
  }
  bool worth_threads() const { return work() >= kWorthThreads; }

  void forward(const Tensor& out, const Tensor& normalizer) const;
  void forward_tile(const Tensor& out, T* normalizer, int64_t head, int64_t begin, int64_t end) const;
  void backward(const Tensor& dq, const Tensor& dk, const Tensor& dv, const Tensor& dout, const Tensor& out,
                const Tensor& normalizer) const;
  struct Gradients;
  void backward_tile(const Gradients& g, int64_t head, Matrix<T> dq, int64_t begin, int64_t end) const;

  static constexpr int64_t kLanes = AttentionKernel<T>::kLanes;
  const Kernels<T> kernel;
  const Tensor &q, &k, &v, &bias;
  T scale;
  bool causal;
  int64_t queries, keys, width, depth, heads = 1;
  int64_t step;  // from row to row in a buffer of scores
};

// ## Forward
//
// In the causal case the last queries have the most to do: they go first.
template <class T> void Attention<T>::forward(const Tensor& out, const Tensor& normalizer) const {
  const int64_t enough = pieces(kEnoughTiles, std::max<int64_t>(heads, 1));
  const int64_t block =
      std::clamp(multiple(pieces(queries, enough), kernel.product.tile_rows), int64_t{1}, kTileQueries);
  const int64_t across = pieces(queries, block);
  for_tiles(heads * across, worth_threads(), [&](int64_t tile) {
    const int64_t head = tile / across, begin = (across - 1 - tile % across) * block;
    forward_tile(out, elements<T>(normalizer) + 2 * head * queries, head, begin, std::min(queries, begin + block));
  });
}

template <class T>
void Attention<T>::forward_tile(const Tensor& out, T* normalizer, int64_t head, int64_t begin, int64_t end) const {
  const int64_t group = kernel.product.tile_rows, count = end - begin, kt_size = panels_size(kKeys, width),
                v_size = panels_size(kKeys, depth);
  Scratch scratch(Scratch::size<T>(kt_size) + Scratch::size<T>(v_size) + Scratch::size<T>(group * step) +
                  2 * Scratch::size<T>(count) + Scratch::size<T>(count * kLanes));
  T *kt_memory = scratch.take<T>(kt_size), *v_memory = scratch.take<T>(v_size);
  T *scores = scratch.take<T>(group * step), *top = scratch.take<T>(count), *factor = scratch.take<T>(count);
  T* sums = scratch.take<T>(count * kLanes);
  std::fill_n(top, count, -std::numeric_limits<T>::infinity());
  std::fill_n(sums, count * kLanes, T(0));

  const Matrix<const T> q_rows = matrix_of<const T>(q, head), k_rows = matrix_of<const T>(k, head),
                        v_rows = matrix_of<const T>(v, head);
  const Matrix<T> o = matrix_of<T>(out, head);
  const int64_t last = causal ? std::min(keys, end) : keys;  // keys beyond are seen by none of these queries
  for (int64_t j = 0; j < last; j += kKeys) {
    const int64_t n = std::min(kKeys, last - j);
    const Panels kt = turned({k_rows[j], k_rows.row}, n, width, kt_memory);
    const Panels values = rows_of({v_rows[j], v_rows.row}, n, depth, v_memory);
    for (int64_t i = begin; i < end; i += group) {
      const int64_t rows = std::min(group, end - i), seen = causal ? std::min(n, i + rows - j) : n;
      if (seen <= 0) continue;
      const int64_t r = i - begin;
      multiply(rows, multiple(seen, kernel.product.tile_columns / 2), width, q_rows[i], q_rows.row, 1, kt, 0, scores,
               step, false);
      kernel.rows.softmax(scores_of(head, i, rows, j, seen, scores), top + r, sums + r * kLanes, factor + r);
      if (j > 0) kernel.rows.scale(rows, depth, o[i], o.row, factor + r);
      multiply(rows, depth, seen, scores, step, 1, values, 0, o[i], o.row, j > 0);
    }
  }

  // A query that saw nothing has zeros, once there was a block of keys.
  for (int64_t i = begin; last <= 0 && i < end; ++i) std::fill_n(o[i], depth, T(0));
  kernel.rows.finish(count, depth, o[begin], o.row, top, sums, normalizer + 2 * begin);
}

// ## Backward
//
// With dO for o, $D_i = dO_i \cdot o_i$ and $dP = dO\, v^\top$:
//
// $$dS = P \circ (dP - D), \qquad dv = P^\top dO, \qquad dk = c\, dS^\top q, \qquad dq = c\, dS\, k .$$
//
// A tile of work takes one block of keys after another, and for each all the queries that see it: dk and dv are finished with
// their block, dq grows with each. One tile for each head is enough where there are many. Otherwise the keys of a head are
// cut into several, each but the first with a dq of its own, and these are added up in order at the end.
template <class T> struct Attention<T>::Gradients {
  const Tensor &dk, &dv, &dout;
  const T *d, *normalizer;
};

template <class T>
void Attention<T>::backward(const Tensor& dq, const Tensor& dk, const Tensor& dv, const Tensor& dout, const Tensor& out,
                            const Tensor& normalizer) const {
  Scratch ds(Scratch::size<T>(heads * queries));
  T* d = ds.take<T>(heads * queries);
  for_tiles(heads, worth_threads(), [&](int64_t head) {
    const Matrix<const T> dos = matrix_of<const T>(dout, head), os = matrix_of<const T>(out, head);
    kernel.rows.dots(queries, depth, dos.at, dos.row, os.at, os.row, d + head * queries);
  });

  const int64_t enough = pieces(kEnoughTiles, std::max<int64_t>(heads, 1));
  const int64_t block = multiple(pieces(keys, enough), kKeys),
                chunks = std::max<int64_t>(pieces(keys, std::max<int64_t>(block, 1)), 1);
  const int64_t part = multiple(queries * width, 16);
  Scratch more(Scratch::size<T>((chunks - 1) * heads * part));
  T* parts = more.take<T>((chunks - 1) * heads * part);
  auto dq_of = [&](int64_t head, int64_t chunk) {
    return chunk == 0 ? matrix_of<T>(dq, head) : Matrix<T>{parts + ((chunk - 1) * heads + head) * part, width};
  };
  const Gradients g{dk, dv, dout, d, elements<T>(normalizer)};
  for_tiles(heads * chunks, worth_threads(), [&](int64_t tile) {
    const int64_t head = tile / chunks, chunk = tile % chunks, begin = chunk * block;
    backward_tile(g, head, dq_of(head, chunk), begin, std::min(keys, begin + block));
  });
  if (chunks > 1) {
    const int64_t across = pieces(queries, kQueries);
    for_tiles(heads * across, worth_threads(), [&](int64_t tile) {
      const int64_t head = tile / across, begin = tile % across * kQueries, end = std::min(queries, begin + kQueries);
      const Matrix<T> sum = dq_of(head, 0);
      for (int64_t chunk = 1; chunk < chunks; ++chunk) {
        const int64_t i = causal ? std::max(begin, chunk * block) : begin;  // queries before see none of these keys
        if (i < end) kernel.rows.add(end - i, width, sum[i], sum.row, dq_of(head, chunk)[i], width);
      }
    });
  }
}

template <class T>
void Attention<T>::backward_tile(const Gradients& g, int64_t head, Matrix<T> dq, int64_t begin, int64_t end) const {
  const int64_t group = kernel.product.tile_rows, lanes = kernel.product.tile_columns;
  const int64_t k_size = panels_size(kKeys, width), v_size = panels_size(kKeys, depth),
                q_size = panels_size(kQueries, width), o_size = panels_size(kQueries, depth);
  Scratch scratch(2 * Scratch::size<T>(k_size) + Scratch::size<T>(v_size) + Scratch::size<T>(q_size) +
                  Scratch::size<T>(o_size) + 2 * Scratch::size<T>(kQueries * step));
  T *kt_memory = scratch.take<T>(k_size), *k_memory = scratch.take<T>(k_size), *vt_memory = scratch.take<T>(v_size);
  T *q_memory = scratch.take<T>(q_size), *do_memory = scratch.take<T>(o_size);
  T *p = scratch.take<T>(kQueries * step), *ds = scratch.take<T>(kQueries * step);

  const Matrix<const T> q_rows = matrix_of<const T>(q, head), k_rows = matrix_of<const T>(k, head),
                        v_rows = matrix_of<const T>(v, head), do_rows = matrix_of<const T>(g.dout, head);
  const Matrix<T> dk = matrix_of<T>(g.dk, head), dv = matrix_of<T>(g.dv, head);
  const T *normalizer = g.normalizer + 2 * head * queries, *d = g.d + head * queries;
  for (int64_t j0 = begin; j0 < end; j0 += kKeys) {
    const int64_t n = std::min(kKeys, end - j0), first = causal ? j0 : 0;
    if (first >= queries) {  // nobody sees these keys
      for (int64_t j = j0; j < j0 + n; ++j) std::fill_n(dk[j], width, T(0)), std::fill_n(dv[j], depth, T(0));
      continue;
    }
    const Panels kt = turned({k_rows[j0], k_rows.row}, n, width, kt_memory);
    const Panels ks = rows_of({k_rows[j0], k_rows.row}, n, width, k_memory);
    const Panels vt = turned({v_rows[j0], v_rows.row}, n, depth, vt_memory);
    for (int64_t i0 = first; i0 < queries; i0 += kQueries) {
      const int64_t m = std::min(kQueries, queries - i0);
      const Panels qs = rows_of({q_rows[i0], q_rows.row}, m, width, q_memory);
      const Panels dos = rows_of({do_rows[i0], do_rows.row}, m, depth, do_memory);

      // P and dS, and with them dq, some queries at a time.
      for (int64_t r = 0; r < m; r += group) {
        const int64_t i = i0 + r, rows = std::min(group, m - r), seen = causal ? std::min(n, i + rows - j0) : n;
        const int64_t columns = multiple(seen, lanes / 2);
        T *p_rows = p + r * step, *ds_rows = ds + r * step;
        multiply(rows, columns, width, q_rows[i], q_rows.row, 1, kt, 0, p_rows, step, false);
        multiply(rows, columns, depth, do_rows[i], do_rows.row, 1, vt, 0, ds_rows, step, false);
        kernel.rows.gradient(scores_of(head, i, rows, j0, n, p_rows), ds_rows, normalizer + 2 * i, d + i);
        multiply(rows, width, seen, ds_rows, step, 1, ks, 0, dq[i], dq.row, j0 > begin);
      }

      // dk and dv, some keys at a time. In the causal case key j is seen from query j on.
      for (int64_t c = 0; c < n; c += group) {
        const int64_t j = j0 + c, rows = std::min(group, n - c), from = causal ? std::clamp(j - i0, int64_t{0}, m) : 0;
        const int64_t at = from * step + c;
        multiply(rows, depth, m - from, p + at, 1, step, dos, from, dv[j], dv.row, i0 > first);
        multiply(rows, width, m - from, ds + at, 1, step, qs, from, dk[j], dk.row, i0 > first);
      }
    }
  }
}

template <class F> void with_type(const Tensor& x, F&& f) {
  if (x.dtype() == DType::float64) f(double{});
  else f(float{});
}

void zero(const Tensor& x, Backend& backend) {
  if (x.numel() > 0) backend.fill(x, 0);
}

}  // namespace

void Cpu::attention(const Tensor& out, const Tensor& normalizer, const Tensor& q, const Tensor& k, const Tensor& v,
                    const Tensor& bias, double scale, bool causal) {
  if (normalizer.numel() == 0) return;
  with_type(q, [&](auto t) { Attention<decltype(t)>(q, k, v, bias, scale, causal).forward(out, normalizer); });
}

void Cpu::attention_backward(const Tensor& dq, const Tensor& dk, const Tensor& dv, const Tensor& dout,
                             const Tensor& out, const Tensor& normalizer, const Tensor& q, const Tensor& k,
                             const Tensor& v, const Tensor& bias, double scale, bool causal) {
  if (normalizer.numel() == 0 || k.shape()[k.dim() - 2] == 0) {  // no query, or nothing to look at
    for (const Tensor* x : {&dq, &dk, &dv}) zero(*x, *this);
    return;
  }
  with_type(q, [&](auto t) {
    Attention<decltype(t)>(q, k, v, bias, scale, causal).backward(dq, dk, dv, dout, out, normalizer);
  });
}

}  // namespace cr::backend::cpu
