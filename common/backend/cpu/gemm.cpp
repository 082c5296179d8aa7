#include "backend/cpu/gemm.hpp"

#include <algorithm>

#include "backend/cpu/cpu_features.hpp"
#include "backend/cpu/isa/gemm_kernel.hpp"
#include "backend/parallel.hpp"
#include "tensor/allocator.hpp"

#ifndef CHAINRULE_X86_DISPATCH
#define CHAINRULE_X86_DISPATCH 0
#endif

namespace cr::backend::cpu {
namespace {

// The loops of the instruction set in use.
template <class T>
const GemmKernel<T>& kernel_in_use();

template <>
const GemmKernel<float>& kernel_in_use() {
#if CHAINRULE_X86_DISPATCH
  if (isa() == Isa::avx512) return avx512::gemm_float;
  if (isa() == Isa::avx2) return avx2::gemm_float;
#endif
  return base::gemm_float;
}

template <>
const GemmKernel<double>& kernel_in_use() {
#if CHAINRULE_X86_DISPATCH
  if (isa() == Isa::avx512) return avx512::gemm_double;
  if (isa() == Isa::avx2) return avx2::gemm_double;
#endif
  return base::gemm_double;
}

// Memory for packed panels. The caching allocator hands the same block out again in the next step of a training loop.
template <class T>
class Workspace {
 public:
  explicit Workspace(int64_t count)
      : bytes_(count * static_cast<int64_t>(sizeof(T))), data_(bytes_ ? allocator::allocate(bytes_) : nullptr) {}
  ~Workspace() {
    if (data_) allocator::free(data_, bytes_);
  }
  Workspace(const Workspace&) = delete;
  Workspace& operator=(const Workspace&) = delete;
  T* data() const { return static_cast<T*>(data_); }

 private:
  int64_t bytes_;
  void* data_;
};

int64_t pieces(int64_t total, int64_t size) { return (total + size - 1) / size; }

// To hand work to another thread and wait for it takes a few microseconds, in which one core does some 100 000
// multiply-adds. Less work than that stays on this thread: the same tiles, hence the same bits.
constexpr double kWorthThreads = 1e5;

template <class F>
void for_tiles(bool threads, int64_t tiles, F&& f) {
  if (threads) return parallel_for(tiles, f);
  for (int64_t tile = 0; tile < tiles; ++tile) f(tile);
}

// ## The blocks
//
// A number that comes from memory should be used many times before it leaves the cache. So the three loops are cut into
// blocks, and each block is sized for the cache it is to stay in (the scheme of Goto and van de Geijn, *Anatomy of
// high-performance matrix multiplication*, 2008):
//
// - `kDepth` steps of k at once: the panel of A that a register tile reads, 14 × 4 bytes a step, stays in the first cache
//   (32 or 48 kB), while panels of B pass by, or the other way round;
// - a group of panels that one thread multiplies stays in its second cache;
// - the block of A and the block of B that are packed at one time, `kBlockRows` and `kBlockColumns`, bound the workspace.
template <class T>
constexpr int64_t kDepth = 2048 / static_cast<int64_t>(sizeof(T));
constexpr int64_t kBlockRows = 1024, kBlockColumns = 2048;
constexpr int64_t kGroup = 8;  // panels of A

// Blocks are made equally large, so that none is a thin rest: 520 is 2 × 260, not 512 + 8.
int64_t even_block(int64_t total, int64_t most, int64_t multiple_of) {
  if (total <= most) return total;
  return pieces(pieces(total, pieces(total, most)), multiple_of) * multiple_of;
}

template <class T>
class PackedProduct {
 public:
  PackedProduct(const Gemm<T>& g, const GemmKernel<T>& kernel)
      : g_(g),
        kernel_(kernel),
        threads_(double(g.m) * double(g.n) * double(g.k) >= kWorthThreads),
        depth_(std::max<int64_t>(even_block(g.k, kDepth<T>, 1), 1)),
        rows_(even_block(g.m, kBlockRows, kernel.tile_rows)),
        columns_(even_block(g.n, kBlockColumns, kernel.tile_columns)),
        // Packing B pays when several panels of A will read it. With few rows B is read where it lies, if its rows are in one
        // piece; only the panel at the right edge, which must be filled up with zeros, is packed.
        b_in_place_(g.b_cs == 1 && g.m <= 2 * kernel.tile_rows),
        a_panel_(panel_size(kernel.tile_rows)),
        b_panel_(panel_size(kernel.tile_columns)),
        packed_a_(a_panel_ * pieces(rows_, kernel.tile_rows)),
        packed_b_(b_panel_ * (b_in_place_ ? 1 : pieces(columns_, kernel.tile_columns))) {}

  // Every sum runs along k in the same order, block after block: the loop over k lies outside the one over rows, and
  // each block adds to what the blocks before it left in C.
  void run() {
    for (int64_t j = 0; j < g_.n; j += columns_)
      for (int64_t p = 0; p == 0 || p < g_.k; p += depth_)
        for (int64_t i = 0; i < g_.m; i += rows_) block(i, j, p);
  }

 private:
  // Panels begin on a cache line.
  int64_t panel_size(int64_t lanes) const { return pieces(lanes * depth_, 64) * 64; }

  // Packs and multiplies one block. First all threads pack; when all panels are there, all threads multiply.
  void block(int64_t i0, int64_t j0, int64_t p0) {
    const int64_t rows = std::min(rows_, g_.m - i0), columns = std::min(columns_, g_.n - j0);
    const int64_t depth = std::min(depth_, g_.k - p0);
    const int64_t a_panels = pieces(rows, kernel_.tile_rows), b_panels = pieces(columns, kernel_.tile_columns);

    const int64_t b_to_pack = i0 > 0 ? 0 : b_panels;  // the rows below use the same panels of B
    for_tiles(threads_, a_panels + b_to_pack, [&](int64_t panel) {
      if (panel < a_panels)
        pack_a(panel, i0, p0, depth);
      else
        pack_b(panel - a_panels, j0, p0, depth);
    });

    // A tile of work is a group of panels of A times one panel of B. The next tile takes the next panel of B: the group stays in
    // the second cache while all of B passes by.
    for_tiles(threads_, pieces(a_panels, kGroup) * b_panels, [&](int64_t number) {
      const int64_t first = number / b_panels * kGroup, b = number % b_panels;
      for (int64_t a = first; a < std::min(first + kGroup, a_panels); ++a) tile(a, b, i0, j0, p0, depth);
    });
  }

  void pack_a(int64_t panel, int64_t i0, int64_t p0, int64_t depth) {
    const int64_t i = i0 + panel * kernel_.tile_rows;
    kernel_.pack_a(packed_a_.data() + panel * a_panel_, std::min(kernel_.tile_rows, g_.m - i), depth,
                   g_.a + i * g_.a_rs + p0 * g_.a_cs, g_.a_rs, g_.a_cs);
  }

  bool in_place(int64_t j) const { return b_in_place_ && j + kernel_.tile_columns <= g_.n; }

  void pack_b(int64_t panel, int64_t j0, int64_t p0, int64_t depth) {
    const int64_t j = j0 + panel * kernel_.tile_columns;
    if (in_place(j)) return;
    kernel_.pack_b(packed_b_.data() + (b_in_place_ ? 0 : panel * b_panel_), std::min(kernel_.tile_columns, g_.n - j), depth,
                   g_.b + p0 * g_.b_rs + j * g_.b_cs, g_.b_cs, g_.b_rs);
  }

  void tile(int64_t a_panel, int64_t b_panel, int64_t i0, int64_t j0, int64_t p0, int64_t depth) {
    const int64_t i = i0 + a_panel * kernel_.tile_rows, j = j0 + b_panel * kernel_.tile_columns;
    const bool first = p0 == 0, last = p0 + depth >= g_.k;
    GemmTile<T> t{};
    t.rows = std::min(kernel_.tile_rows, g_.m - i);
    t.columns = std::min(kernel_.tile_columns, g_.n - j);
    t.k = depth;
    t.a = packed_a_.data() + a_panel * a_panel_;
    t.b = in_place(j) ? g_.b + p0 * g_.b_rs + j : packed_b_.data() + (b_in_place_ ? 0 : b_panel * b_panel_);
    t.b_step = in_place(j) ? g_.b_rs : kernel_.tile_columns;
    t.c = g_.c + i * g_.c_rs + j;
    t.c_step = g_.c_rs;
    t.accumulate = g_.accumulate || !first;
    t.bias = last && g_.bias ? g_.bias + j : nullptr;
    t.relu = last && g_.relu;
    kernel_.tile(t);
  }

  const Gemm<T>& g_;
  const GemmKernel<T>& kernel_;
  bool threads_;
  int64_t depth_, rows_, columns_;
  bool b_in_place_;
  int64_t a_panel_, b_panel_;
  Workspace<T> packed_a_, packed_b_;
};

// ## One row, one column, one step
//
// A product with m = 1 reads every number of B once; to pack it first would double the traffic. With n = 1 the same holds for
// A, and the transposed product $C^\top = B^\top A^\top$ has one row: so both are a row times a matrix. And for k = 1,
// the **outer product** of a column and a row, each row of C is one number times a row: m tiny products of the same kind.
template <class T>
class RowProduct {
 public:
  // Whether the row kernels can serve this product.
  static bool fits(const Gemm<T>& g) {
    if (g.k == 0) return false;
    if (g.m == 1) return g.b_cs == 1 || g.b_rs == 1;
    if (g.n == 1) return g.a_cs == 1 || (g.a_rs == 1 && g.c_rs == 1 && !g.bias);
    return g.k == 1 && g.b_cs == 1;
  }

  static void run(const Gemm<T>& g, const GemmKernel<T>& kernel) {
    GemmRow<T> r{};
    r.k = g.k;
    r.accumulate = g.accumulate;
    r.bias = g.bias;
    r.relu = g.relu;
    r.y = g.c;
    const bool threads = double(g.m) * double(g.n) * double(g.k) >= kWorthThreads;

    if (g.m == 1) {
      r.columns = g.n, r.x = g.a, r.x_step = g.a_cs, r.b = g.b, r.y_step = 1, r.bias_step = 1;
      const bool by_rows = g.b_cs == 1;
      r.b_step = by_rows ? g.b_rs : g.b_cs;
      return one_row(r, by_rows, threads, kernel);
    }
    if (g.n == 1) {
      r.columns = g.m, r.x = g.b, r.x_step = g.b_rs, r.b = g.a, r.y_step = g.c_rs, r.bias_step = 0;
      const bool by_rows = g.a_cs != 1;
      r.b_step = by_rows ? g.a_cs : g.a_rs;
      return one_row(r, by_rows, threads, kernel);
    }
    r.columns = g.n, r.b = g.b, r.y_step = 1, r.bias_step = 1;
    constexpr int64_t kRows = 16;
    for_tiles(threads, pieces(g.m, kRows), [&](int64_t piece) {
      GemmRow<T> one = r;
      for (int64_t i = piece * kRows; i < std::min(g.m, (piece + 1) * kRows); ++i) {
        one.x = g.a + i * g.a_rs;
        one.y = g.c + i * g.c_rs;
        kernel.row(one);
      }
    });
  }

 private:
  // The result is cut into pieces of about 64 kB of B each, which any thread computes.
  static void one_row(GemmRow<T> r, bool by_rows, bool threads, const GemmKernel<T>& kernel) {
    Workspace<T> contiguous_x(by_rows || r.x_step == 1 ? 0 : r.k);
    if (contiguous_x.data()) {
      for (int64_t p = 0; p < r.k; ++p) contiguous_x.data()[p] = r.x[p * r.x_step];
      r.x = contiguous_x.data();
      r.x_step = 1;
    }
    const int64_t line = by_rows ? 128 : 4;
    const int64_t piece = pieces(std::max<int64_t>(65536 / static_cast<int64_t>(sizeof(T)) / r.k, 1), line) * line;
    for_tiles(threads, pieces(r.columns, piece), [&](int64_t number) {
      const int64_t j = number * piece;
      GemmRow<T> part = r;
      part.columns = std::min(piece, r.columns - j);
      part.b += by_rows ? j : j * r.b_step;
      part.y += j * r.y_step;
      if (part.bias) part.bias += j * r.bias_step;
      (by_rows ? kernel.row : kernel.dots)(part);
    });
  }
};

template <class T>
void run(const Gemm<T>& g) {
  if (g.m == 0 || g.n == 0) return;
  const GemmKernel<T>& kernel = kernel_in_use<T>();
  if (RowProduct<T>::fits(g)) return RowProduct<T>::run(g, kernel);
  PackedProduct<T>(g, kernel).run();
}

}  // namespace

void gemm(const Gemm<float>& g) { run(g); }
void gemm(const Gemm<double>& g) { run(g); }

}  // namespace cr::backend::cpu
