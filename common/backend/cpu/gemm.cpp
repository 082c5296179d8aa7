#include "backend/cpu/gemm.hpp"

#include <algorithm>

#include "backend/cpu/cpu_features.hpp"
#include "backend/cpu/isa/gemm_kernel.hpp"
#include "backend/cpu/tiles.hpp"
#include "backend/cpu/workspace.hpp"

#ifndef CHAINRULE_X86_DISPATCH
#define CHAINRULE_X86_DISPATCH 0
#endif

namespace cr::backend::cpu {
namespace {

// Where all of B comes from far away for one row, a core does a tenth of the work meanwhile.
constexpr double kRowsWorthThreads = kWorthThreads / 10;

template <class T> double work(const Gemm<T>& g) {
  return static_cast<double>(g.m) * static_cast<double>(g.n) * static_cast<double>(g.k);
}

// ## The blocks
//
// A number that comes from memory should be used many times before it leaves the cache. So the three loops are cut into
// blocks, and each block is sized for the cache it is to stay in (the scheme of Goto and van de Geijn, *Anatomy of
// high-performance matrix multiplication*, 2008):
//
// - `kDepth` steps of k at once: a panel of A, 14 numbers a step, then fills 45 kB, and a panel of B 100 kB;
// - `kBlockColumns` bounds what is packed of B at one time, and so the workspace: 7 MB;
// - a group of panels of A, up to `kGroupRows` rows or 180 kB, stays in a core's second cache while that core multiplies it
//   by one panel of B after another. The core packs it there itself, just before: packed by another, or long before, it
//   would have to be fetched once more.
template <class T> constexpr int64_t kDepth = 3200 / static_cast<int64_t>(sizeof(T));
constexpr int64_t kBlockColumns = 2048;
constexpr int64_t kGroupRows = 64;

// Blocks are made equally large, so that none is a thin rest: 520 is 2 × 260, not 512 + 8.
int64_t even_block(int64_t total, int64_t most, int64_t multiple_of) {
  if (total <= most) return total;
  return multiple(pieces(total, pieces(total, most)), multiple_of);
}

// Packing costs a pass over the matrix. It pays when each panel is then read many times, or when the matrix would be
// slow to read where it lies. One trap: a cache finds its place for a number by the last bits of the address. When rows
// lie a multiple of 4096 bytes apart, all of them fall on one place and drive each other out: measured, 100 GFLOP/s
// instead of 165.
template <class T> bool rows_collide(int64_t row_stride, int64_t k) {
  return row_stride * static_cast<int64_t>(sizeof(T)) % 4096 == 0 && k > 256;
}

// The tile reads one number of each of its rows of A at a step. Where rows are contiguous, these are 14 streams that the
// cache follows well, so that A stays in place, unless rows collide and many panels of B will meet them. Where columns are
// contiguous, each step is a jump: A stays only when k is small or two panels of B meet it.
template <class T> bool reads_a_in_place(const Gemm<T>& g, const GemmKernel<T>& kernel) {
  const int64_t meetings = pieces(g.n, kernel.tile_columns);
  if (g.a_cs == 1) return meetings <= 8 || !rows_collide<T>(g.a_rs, g.k);
  return g.a_rs == 1 && (meetings <= 2 || g.k <= 16);
}

// B stays in place when its rows are contiguous and at most 40 panels of A meet it (560 rows in AVX-512), or k is small:
// the tile asks for each row eight steps ahead.
template <class T> bool reads_b_in_place(const Gemm<T>& g, const GemmKernel<T>& kernel) {
  if (g.b_cs != 1) return false;
  return g.k <= 64 || g.m <= (rows_collide<T>(g.b_rs, g.k) ? 2 : 40) * kernel.tile_rows;
}

// Only B's last panel, if it is narrower than the others, is packed in any case, to be filled up with zeros.
template <class T> class PackedProduct {
 public:
  PackedProduct(const Gemm<T>& g, const GemmKernel<T>& kernel)
      : g_(g),
        kernel_(kernel),
        threads_(work(g) >= kWorthThreads),
        depth_(std::max<int64_t>(even_block(g.k, kDepth<T>, 1), 1)),
        share_(threads_ ? num_threads() : 1),
        by_rows_(pieces(g.m, kernel.tile_rows) >= 8 * share_),
        group_(std::clamp<int64_t>(g.m / kernel.tile_rows / (8 * share_), 1, kGroupRows / kernel.tile_rows)),
        a_panels_(multiple(pieces(g.m, kernel.tile_rows), by_rows_ ? share_ * group_ : 1)),
        columns_(even_block(g.n, kBlockColumns, kernel.tile_columns)),
        a_in_place_(reads_a_in_place(g, kernel)),
        b_in_place_(reads_b_in_place(g, kernel)),
        a_panel_(panel_size(kernel.tile_rows)),
        b_panel_(panel_size(kernel.tile_columns)),
        packed_a_(a_in_place_ || by_rows_ ? 0 : a_panel_ * a_panels_),
        packed_b_(b_panel_ * (b_in_place_ ? 1 : pieces(columns_, kernel.tile_columns))) {}

  // Every sum runs along k in the same order, block after block: each block adds to what the blocks before it left in C.
  void run() {
    for (int64_t j = 0; j < g_.n; j += columns_)
      for (int64_t p = 0; p == 0 || p < g_.k; p += depth_) block(j, p);
  }

 private:
  // The first row of a panel of A.
  int64_t row(int64_t panel) const {
    return by_rows_ ? g_.m * panel / a_panels_ : std::min(panel * kernel_.tile_rows, g_.m);
  }

  // Panels begin on a cache line.
  int64_t panel_size(int64_t lanes) const { return multiple(lanes * depth_, 64); }

  // Packs and multiplies one block. First all threads pack; when all panels are there, all threads multiply.
  //
  // A tile of work is a group of panels of A times all panels of B, so that no two threads share rows of A or C. (Cut
  // along B as well, the threads take neighbouring columns in turn, and the same product scales by 1.5 instead of 1.9.)
  // With too few rows for that, it is one panel of B times all of A, which is packed beforehand.
  //
  // Every thread is to get equally many groups, equally large: 512 rows are 40 panels of 12 or 13 rather than 36 of 14 and
  // one of 8, at the end of which one of two threads would wait. The number of threads decides where rows are cut, then,
  // but not how any number of C comes about.
  void block(int64_t j0, int64_t p0) {
    const int64_t columns = std::min(columns_, g_.n - j0), depth = std::min(depth_, g_.k - p0);
    const int64_t b_panels = pieces(columns, kernel_.tile_columns);
    const int64_t a_to_pack = a_in_place_ || by_rows_ ? 0 : a_panels_;
    const int64_t b_first = b_in_place_ ? columns / kernel_.tile_columns : 0, b_to_pack = b_panels - b_first;
    const int64_t a_bundle = bundle_of(a_to_pack), b_bundle = bundle_of(b_to_pack);
    const int64_t a_bundles = pieces(a_to_pack, a_bundle), b_bundles = pieces(b_to_pack, b_bundle);
    for_tiles(a_bundles + b_bundles, threads_, [&](int64_t bundle) {
      if (bundle < a_bundles) {
        const int64_t first = bundle * a_bundle;
        pack_a(packed_a_.data() + first * a_panel_, first, std::min(first + a_bundle, a_panels_), p0, depth);
      } else {
        const int64_t first = b_first + (bundle - a_bundles) * b_bundle;
        pack_b(first, std::min(first + b_bundle, b_panels), j0, p0, depth);
      }
    });

    if (!by_rows_) {
      for_tiles(b_panels, threads_,
                [&](int64_t b) { multiply(packed_a_.data(), 0, a_panels_, b, b + 1, j0, p0, depth); });
      return;
    }
    for_tiles(a_panels_ / group_, threads_, [&](int64_t number) {
      const int64_t first = number * group_, end = first + group_;
      Workspace<T> group(a_in_place_ ? 0 : group_ * a_panel_);
      if (!a_in_place_) pack_a(group.data(), first, end, p0, depth);
      multiply(group.data(), first, end, 0, b_panels, j0, p0, depth);
    });
  }

  // Neighbouring panels are packed together, up to four, but in eight bundles or more, for the threads. Where lanes lie side
  // by side (`across`), a row of the matrix runs through all of them: 16 rows at a time, then, so that what comes from
  // memory comes in longer pieces.
  static int64_t bundle_of(int64_t panels) { return std::clamp<int64_t>(panels / 8, 1, 4); }
  template <class F> static void in_strips(bool across, int64_t depth, int64_t first, int64_t end, F&& pack) {
    const int64_t strip = across ? 16 : depth;
    for (int64_t p = 0; p < depth; p += strip)
      for (int64_t panel = first; panel < end; ++panel) pack(panel, p, std::min(strip, depth - p));
  }

  // Panels first … end − 1 of A, `depth` steps from p0 on, to `to`.
  void pack_a(T* to, int64_t first, int64_t end, int64_t p0, int64_t depth) {
    in_strips(g_.a_rs == 1, depth, first, end, [&](int64_t panel, int64_t p, int64_t steps) {
      const int64_t i = row(panel);
      kernel_.pack_a(to + (panel - first) * a_panel_ + p * kernel_.tile_rows, std::min(kernel_.tile_rows, g_.m - i),
                     steps, g_.a + i * g_.a_rs + (p0 + p) * g_.a_cs, g_.a_rs, g_.a_cs);
    });
  }

  bool in_place(int64_t j) const { return b_in_place_ && j + kernel_.tile_columns <= g_.n; }
  T* packed_b(int64_t panel) const { return packed_b_.data() + (b_in_place_ ? 0 : panel * b_panel_); }

  void pack_b(int64_t first, int64_t end, int64_t j0, int64_t p0, int64_t depth) {
    in_strips(g_.b_cs == 1, depth, first, end, [&](int64_t panel, int64_t p, int64_t steps) {
      const int64_t j = j0 + panel * kernel_.tile_columns;
      kernel_.pack_b(packed_b(panel) + p * kernel_.tile_columns, std::min(kernel_.tile_columns, g_.n - j), steps,
                     g_.b + (p0 + p) * g_.b_rs + j * g_.b_cs, g_.b_cs, g_.b_rs);
    });
  }

  // Panels a_first … a_end − 1 of A, which are at `packed` unless they stay in place, times those of B.
  void multiply(const T* packed, int64_t a_first, int64_t a_end, int64_t b_first, int64_t b_end, int64_t j0, int64_t p0,
                int64_t depth) {
    for (int64_t b = b_first; b < b_end; ++b)
      for (int64_t a = a_first; a < a_end; ++a)
        tile(packed + (a_in_place_ ? 0 : (a - a_first) * a_panel_), a, b, j0, p0, depth);
  }

  void tile(const T* packed, int64_t a_panel, int64_t b_panel, int64_t j0, int64_t p0, int64_t depth) {
    const int64_t i = row(a_panel), j = j0 + b_panel * kernel_.tile_columns;
    const bool first = p0 == 0, last = p0 + depth >= g_.k;
    GemmTile<T> t{};
    t.rows = row(a_panel + 1) - i;
    t.columns = std::min(kernel_.tile_columns, g_.n - j);
    t.k = depth;
    t.a = a_in_place_ ? g_.a + i * g_.a_rs + p0 * g_.a_cs : packed;
    t.a_row = a_in_place_ ? g_.a_rs : 1;
    t.a_step = a_in_place_ ? g_.a_cs : kernel_.tile_rows;
    t.b = in_place(j) ? g_.b + p0 * g_.b_rs + j : packed_b(b_panel);
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
  int64_t depth_, share_;  // steps at a time; threads
  bool by_rows_;
  int64_t group_, a_panels_;  // panels of A in a group, and in all
  int64_t columns_;
  bool a_in_place_, b_in_place_;
  int64_t a_panel_, b_panel_;
  Workspace<T> packed_a_, packed_b_;
};

// ## Few rows
//
// With m = 1 every number of B is used once; to pack it first would double the traffic. So single rows go through loops
// that read B where it lies. Three more products are of this kind:
//
// - up to four rows, when the columns of B are contiguous: packing would transpose all of B for so little;
// - n = 1, since the transposed product $C^\top = B^\top A^\top$ has one row;
// - k = 1, the **outer product**: each row of C is one number times a row. It has many rows, but nothing to reuse.
//
// `dots` says which loop: the one for contiguous columns of B or the one for contiguous rows.
template <class T>
void multiply_rows(const Gemm<T>& g, const GemmKernel<T>& kernel, bool dots, int64_t y_step = 1,
                   int64_t bias_step = 1) {
  // Dot products read their row of A as vectors: it must be in one piece.
  const bool copy = dots && g.a_cs != 1;
  Workspace<T> rows(copy ? g.m * g.k : 0);
  for (int64_t i = 0; copy && i < g.m; ++i)
    for (int64_t p = 0; p < g.k; ++p) rows.data()[i * g.k + p] = g.a[i * g.a_rs + p * g.a_cs];
  const T* x = copy ? rows.data() : g.a;
  const int64_t x_row = copy ? g.k : g.a_rs, x_step = copy ? 1 : g.a_cs;

  // A tile of work is 16 rows by as many columns as make 64 kB of B.
  constexpr int64_t kRows = 16;
  const int64_t line = dots ? 4 : 128;
  const int64_t columns = multiple(std::max<int64_t>(65536 / static_cast<int64_t>(sizeof(T)) / g.k, 1), line);
  const int64_t across = pieces(g.n, columns);
  // A dot product has many sums for one number. By rows there is one, and a long one loses digits: it is cut as in blocks.
  const int64_t depth = dots ? g.k : kDepth<T>;
  const bool threads = work(g) >= kRowsWorthThreads;
  for_tiles(pieces(g.m, kRows) * across, threads, [&](int64_t tile) {
    const int64_t first = tile / across * kRows, j = tile % across * columns;
    for (int64_t i = first; i < std::min(first + kRows, g.m); ++i)
      for (int64_t p = 0; p < g.k; p += depth) {
        const bool last = p + depth >= g.k;
        GemmRow<T> row{};
        row.columns = std::min(columns, g.n - j);
        row.k = std::min(depth, g.k - p);
        row.x = x + i * x_row + p * x_step;
        row.x_step = x_step;
        row.b = g.b + j * g.b_cs + p * g.b_rs;
        row.b_step = dots ? g.b_cs : g.b_rs;
        row.y = g.c + i * g.c_rs + j * y_step;
        row.y_step = y_step;
        row.accumulate = g.accumulate || p > 0;
        row.bias = last && g.bias ? g.bias + j * bias_step : nullptr;
        row.bias_step = bias_step;
        row.relu = last && g.relu;
        (dots ? kernel.dots : kernel.row)(row);
      }
  });
}

// One column as one row. The results lie c_rs apart and share one bias.
template <class T> void multiply_column(const Gemm<T>& g, const GemmKernel<T>& kernel, bool dots) {
  Gemm<T> t = g;
  t.m = 1, t.n = g.m;
  t.a = g.b, t.a_rs = 0, t.a_cs = g.b_rs;
  t.b = g.a, t.b_rs = g.a_cs, t.b_cs = g.a_rs;
  multiply_rows(t, kernel, dots, g.c_rs, 0);
}

template <class T> void run(const Gemm<T>& g) {
  if (g.m == 0 || g.n == 0) return;
  const GemmKernel<T>& kernel = gemm_kernel<T>();
  const bool one_column = g.n == 1 && g.k > 0, one_row = (g.m == 1 || g.k == 1) && g.k > 0;
  if (one_column && g.a_cs == 1) return multiply_column(g, kernel, true);
  if (one_column && g.a_rs == 1 && g.c_rs == 1 && !g.bias) return multiply_column(g, kernel, false);
  if (one_row && g.b_cs == 1) return multiply_rows(g, kernel, false);
  if (g.m <= 4 && g.k > 0 && g.b_rs == 1) return multiply_rows(g, kernel, true);
  PackedProduct<T>(g, kernel).run();
}

}  // namespace

template <> const GemmKernel<float>& gemm_kernel() {
#if CHAINRULE_X86_DISPATCH
  if (isa() == Isa::avx512) return avx512::gemm_float;
  if (isa() == Isa::avx2) return avx2::gemm_float;
#endif
  return base::gemm_float;
}

template <> const GemmKernel<double>& gemm_kernel() {
#if CHAINRULE_X86_DISPATCH
  if (isa() == Isa::avx512) return avx512::gemm_double;
  if (isa() == Isa::avx2) return avx2::gemm_double;
#endif
  return base::gemm_double;
}

void gemm(const Gemm<float>& g) { run(g); }
void gemm(const Gemm<double>& g) { run(g); }

}  // namespace cr::backend::cpu
