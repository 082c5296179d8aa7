#include "backend/cpu/cpu.hpp"

#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "backend/cpu/cpu_features.hpp"
#include "backend/cpu/isa/kernels.hpp"
#include "backend/cpu/nest.hpp"

namespace cr::backend::cpu {
namespace {

const Kernels& kernels() {
#if CHAINRULE_X86_DISPATCH
  switch (isa()) {
    case Isa::avx512: return avx512::kernels;
    case Isa::avx2: return avx2::kernels;
    default: break;
  }
#endif
  return base::kernels;
}

int type_of(const Tensor& x) { return static_cast<int>(x.dtype()); }
int floating(const Tensor& x) { return x.dtype() == DType::float64; }

char* bytes(const Tensor& x) {
  return static_cast<char*>(x.impl()->storage->data()) + x.impl()->offset * size_of(x.dtype());
}
template <class T> T* elements(const Tensor& x) { return reinterpret_cast<T*>(bytes(x)); }

// A number as an element of type `t`, in memory.
union Element {
  bool b;
  int64_t i;
  float f;
  double d;
  float stored;  // of the 16-bit types; a copy narrows it
};
Element element(Scalar s, DType t) {
  Element e{};
  switch (t) {
    case DType::boolean: e.b = s.as<bool>(); break;
    case DType::int64: e.i = s.as<int64_t>(); break;
    case DType::float32: e.f = s.as<float>(); break;
    case DType::float64: e.d = s.as<double>(); break;
    default: e.stored = s.as<float>();
  }
  return e;
}

}  // namespace

// ## Elementwise
template <int Arity>
static void map_nested(void (*kernel)(int64_t, void*, const void* const*, const int64_t*), const Tensor& out,
                       const std::array<const Tensor*, Arity + 1>& operands, const std::array<char*, Arity + 1>& base,
                       int64_t in_size) {
  int64_t out_size = size_of(out.dtype());
  Nest<Arity + 1>(out.shape(), operands).parallel([&](int64_t n, const auto& offset, const auto& step) {
    const void* in[Arity];
    for (size_t k = 0; k < Arity; ++k) in[k] = base[k + 1] + offset[k + 1] * in_size;
    kernel(n, base[0] + offset[0] * out_size, in, step.data());
  });
}

void Cpu::map(int functor, const Tensor& out, std::span<const Operand> in) {
  DType type = out.dtype();
  bool aligned = out.is_contiguous();  // may everything be walked as one run?
  for (const Operand& operand : in) {
    if (!operand.tensor) continue;
    type = operand.tensor->dtype();
    aligned = aligned && operand.tensor->is_contiguous() && operand.tensor->shape() == out.shape();
  }
  if (is_storage(type)) refuse_storage(type, functor::Maps::names[functor]);
  auto* kernel = kernels().map[functor][static_cast<int>(type)];
  if (!kernel)
    throw DTypeError(std::string(functor::Maps::names[functor]) + ": does not take " + name(type) + " tensors");

  Element number[3];
  std::array<const Tensor*, 4> operands{&out};
  std::array<char*, 4> base{bytes(out)};
  for (size_t k = 0; k < in.size(); ++k) {
    operands[k + 1] = in[k].tensor;
    number[k] = in[k].tensor ? Element{} : element(in[k].number, type);
    base[k + 1] = in[k].tensor ? bytes(*in[k].tensor) : reinterpret_cast<char*>(&number[k]);
  }

  if (aligned && out.numel() < kParallelElements) {
    int64_t steps[4] = {1, operands[1] != nullptr, operands[2] != nullptr, operands[3] != nullptr};
    const void* pointers[3] = {base[1], base[2], base[3]};
    return kernel(out.numel(), base[0], pointers, steps);
  }
  int64_t size = size_of(type);
  switch (in.size()) {
    case 1: return map_nested<1>(kernel, out, {operands[0], operands[1]}, {base[0], base[1]}, size);
    case 2:
      return map_nested<2>(kernel, out, {operands[0], operands[1], operands[2]}, {base[0], base[1], base[2]}, size);
    default: return map_nested<3>(kernel, out, operands, base, size);
  }
}

void Cpu::fill(const Tensor& out, Scalar number) {
  Element e = element(number, out.dtype());
  int from = is_storage(out.dtype()) ? static_cast<int>(DType::float32) : type_of(out);
  auto* kernel = kernels().copy[type_of(out)][from];
  int64_t size = size_of(out.dtype());
  Nest<1>(out.shape(), {&out}).parallel([&](int64_t n, const auto& offset, const auto& step) {
    kernel(n, bytes(out) + offset[0] * size, step[0], &e, 0);
  });
}

void Cpu::copy(const Tensor& out, const Tensor& x) {
  if (out.dtype() == x.dtype() && copy_transposed(out, x)) return;
  auto* kernel = kernels().copy[type_of(out)][type_of(x)];
  Nest<2>(out.shape(), {&out, &x}).parallel([&](int64_t n, const auto& offset, const auto& step) {
    kernel(n, bytes(out) + offset[0] * size_of(out.dtype()), step[0], bytes(x) + offset[1] * size_of(x.dtype()),
           step[1]);
  });
}

void Cpu::arange(const Tensor& out, Scalar start, Scalar step) {
  dispatch(out.dtype(), [&](auto t) {
    using T = decltype(t);
    auto* p = elements<T>(out);
    for (int64_t i = 0; i < out.numel(); ++i) {
      // i · step may leave int64 where the sum does not; unsigned arithmetic wraps there and back.
      if constexpr (std::is_integral_v<T>) {
        uint64_t steps = static_cast<uint64_t>(i) * static_cast<uint64_t>(step.as<int64_t>());
        p[i] = static_cast<T>(static_cast<uint64_t>(start.as<int64_t>()) + steps);
      } else {
        p[i] = static_cast<T>(start.value + static_cast<double>(i) * step.value);
      }
    }
  });
}

// Slices of the first dimension that lie beyond one another may be added to at once.
void Cpu::add_overlapping(const Tensor& out, const Tensor& x) {
  int64_t reach = 0, slices = out.dim() ? out.shape()[0] : 1;
  for (int d = 1; d < out.dim(); ++d) reach += (out.shape()[d] - 1) * out.strides()[d];
  bool apart = out.dim() > 0 && out.strides()[0] > reach;
  dispatch(out.dtype(), [&](auto t) {
    using T = decltype(t);
    auto add = [&](const Tensor& part, int64_t out_start, int64_t x_start) {
      Nest<2> nest(part.shape(), {&part, &x});
      nest.walk(0, nest.runs(), [&](int64_t n, const auto& offset, const auto& step) {
        T* o = elements<T>(out) + out_start + offset[0];
        const T* p = elements<T>(x) + x_start + offset[1];
        for (int64_t i = 0; i < n; ++i) o[i * step[0]] = static_cast<T>(o[i * step[0]] + p[i * step[1]]);
      });
    };
    if (!apart || out.numel() < kParallelElements) return add(out, 0, 0);
    Shape shape = out.shape();
    shape[0] = 1;
    Tensor slice = window(out, shape, out.strides(), 0);
    parallel_for(slices, [&](int64_t i) { add(slice, i * out.strides()[0], i * x.strides()[0]); });
  });
}

// ## Reductions
//
// The dimensions that stay form one nest, those that go another. Where the innermost dimension stays and lies next to
// each other in memory, whole rows are added (`reduce_columns`); otherwise each result gathers its own elements. Few
// results of many elements are cut into pieces of a fixed size whose totals meet in order.
namespace {

double identity_of(int functor) {
  constexpr double k[] = {functor::Sum::identity, functor::Prod::identity, functor::Max::identity,
                          functor::Min::identity};
  return k[functor];
}

template <class A> A combine(int functor, A x, A y) {
  switch (functor) {
    case functor::Reductions::index_of<functor::Sum>(): return functor::Sum{}(x, y);
    case functor::Reductions::index_of<functor::Prod>(): return functor::Prod{}(x, y);
    case functor::Reductions::index_of<functor::Max>(): return functor::Max{}(x, y);
    default: return functor::Min{}(x, y);
  }
}

template <class T, class A> A identity_as(int functor) {
  double d = identity_of(functor);
  if (std::is_same_v<T, bool> && std::isinf(d)) return static_cast<A>(d > 0);
  if (std::is_same_v<A, int64_t> && std::isinf(d)) return static_cast<A>(d > 0 ? INT64_MAX : INT64_MIN);
  return static_cast<A>(d);
}

// From elements T by way of totals A to results R.
template <class T, class A, class R>
void reduce_typed(int functor, const Tensor& out, const Tensor& x, const Dims& dims) {
  auto* by_rows = kernels().reduce[functor][type_of(x)];
  auto* by_columns = kernels().reduce_columns[functor][type_of(x)];

  // Split x into the dimensions that stay and those that go, as windows with zero offset.
  Shape stay_shape, go_shape;
  Strides stay_strides, go_strides, out_strides;
  for (int d = 0; d < x.dim(); ++d) {
    bool goes = std::find(dims.begin(), dims.end(), d) != dims.end();
    (goes ? go_shape : stay_shape).push_back(x.shape()[d]);
    (goes ? go_strides : stay_strides).push_back(x.strides()[d]);
    if (!goes) out_strides.push_back(out.strides()[d]);
  }
  Tensor stay_x = window(x, stay_shape, stay_strides, x.impl()->offset);
  Tensor stay_out = window(out, stay_shape, out_strides, out.impl()->offset);
  Tensor go_x = window(x, go_shape, go_strides, 0);
  Nest<1> go(go_shape, {&go_x});
  Nest<2> stay(stay_shape, {&stay_out, &stay_x});
  R* o = elements<R>(out);
  const T* p = elements<T>(x);
  int64_t go_count = go.runs() * go.run(), results = stay.runs() * stay.run();

  bool columns = stay.strides[1].back() == 1 && stay.run() > 1 && go.strides[0].back() != 1;
  if (columns) {
    constexpr int64_t kWidth = 512;
    int64_t pieces = (stay.run() + kWidth - 1) / kWidth, last = stay.sizes.size() - 1;
    auto reduce_piece = [&](int64_t tile) {
      A totals[kWidth];
      int64_t left = tile % pieces * kWidth, width = std::min(kWidth, stay.run() - left);
      std::fill_n(totals, width, identity_as<T, A>(functor));
      stay.walk(tile / pieces, tile / pieces + 1, [&](int64_t, const auto& at, const auto&) {
        go.walk(0, go.runs(), [&](int64_t n, const auto& offset, const auto& step) {
          by_columns(n, width, p + at[1] + left + offset[0], step[0], totals);
        });
        int64_t step = stay.strides[0][static_cast<int>(last)];
        for (int64_t j = 0; j < width; ++j) o[at[0] + (left + j) * step] = static_cast<R>(totals[j]);
      });
    };
    int64_t tiles = stay.runs() * pieces;
    if (results * go_count < kParallelElements) {
      for (int64_t t = 0; t < tiles; ++t) reduce_piece(t);
    } else {
      parallel_for(tiles, reduce_piece);
    }
    return;
  }

  // Where no sum is cut, a tile may be as large as the threads allow: each begins with an empty pipeline.
  auto rows_in_tile = [](int64_t rows, int64_t n) {
    return std::max<int64_t>(1, std::max(kTileElements, rows * n / (16 * num_threads())) / std::max<int64_t>(n, 1));
  };

  if (results == 1 && go_count >= kParallelElements && go.runs() == 1) {
    const int64_t whole = go_count / kTileElements, rest = go_count % kTileElements, step = go.strides[0].back();
    std::vector<A> totals(static_cast<size_t>(whole + 1), identity_as<T, A>(functor));
    const int64_t rows = rows_in_tile(whole, kTileElements);
    parallel_for((whole + rows - 1) / rows, [&](int64_t tile) {
      const int64_t first = tile * rows, begin = first * kTileElements * step;
      by_rows(std::min(rows, whole - first), kTileElements, p + begin, kTileElements * step, step,
              &totals[static_cast<size_t>(first)]);
    });
    if (rest > 0) by_rows(1, rest, p + whole * kTileElements * step, 0, step, &totals.back());
    A total = totals[0];
    for (size_t i = 1; i < totals.size(); ++i) total = combine(functor, total, totals[i]);
    *o = static_cast<R>(total);
    return;
  }

  auto reduce_run = [&](int64_t n, const auto& at, const auto& step) {
    constexpr int64_t kRows = 256;
    A totals[kRows];
    for (int64_t top = 0; top < n; top += kRows) {
      const int64_t count = std::min(kRows, n - top);
      std::fill_n(totals, count, identity_as<T, A>(functor));
      go.walk(0, go.runs(), [&](int64_t run, const auto& offset, const auto& go_step) {
        by_rows(count, run, p + at[1] + top * step[1] + offset[0], step[1], go_step[0], totals);
      });
      for (int64_t i = 0; i < count; ++i) o[at[0] + (top + i) * step[0]] = static_cast<R>(totals[i]);
    }
  };
  if (results * go_count < kParallelElements) {
    stay.walk(0, stay.runs(), reduce_run);
  } else {
    const int64_t n = stay.run(), rows = rows_in_tile(n, go_count), pieces = (n + rows - 1) / rows;
    parallel_for(stay.runs() * pieces, [&](int64_t tile) {
      int64_t start = tile % pieces * rows;
      stay.walk(tile / pieces, tile / pieces + 1, [&](int64_t, auto at, const auto& step) {
        at[0] += start * step[0];
        at[1] += start * step[1];
        reduce_run(std::min(rows, n - start), at, step);
      });
    });
  }
}

}  // namespace

void Cpu::reduce(int functor, const Tensor& out, const Tensor& x, const Dims& dims) {
  switch (x.dtype()) {
    case DType::boolean:
      if (out.dtype() == DType::boolean) return reduce_typed<bool, int64_t, bool>(functor, out, x, dims);
      return reduce_typed<bool, int64_t, int64_t>(functor, out, x, dims);
    case DType::int64: return reduce_typed<int64_t, int64_t, int64_t>(functor, out, x, dims);
    case DType::float32: return reduce_typed<float, double, float>(functor, out, x, dims);
    case DType::float64: return reduce_typed<double, double, double>(functor, out, x, dims);
    default: refuse_storage(x.dtype(), functor::Reductions::names[functor]);
  }
}

template <class T> static bool is_nan(T x) {
  if constexpr (std::is_floating_point_v<T>) return std::isnan(x);
  return false;
}

// Lines next to each other in memory: the vectorised reduction finds the extreme, a second look finds its place. Otherwise
// neighbouring lines are walked side by side.
template <class T> static void arg_reduce_typed(bool largest, const Tensor& out, const Tensor& x, int d) {
  Shape rest = x.shape();
  int64_t n = rest[d], step = x.strides()[d];
  rest[d] = 1;
  Tensor first = window(x, rest, x.strides(), x.impl()->offset);
  auto* extreme = kernels().reduce[largest ? functor::Reductions::index_of<functor::Max>()
                                           : functor::Reductions::index_of<functor::Min>()][type_of(x)];
  auto* p = elements<T>(x);
  auto* o = elements<int64_t>(out);
  auto one_line = [&](const T* line) {
    std::conditional_t<std::is_floating_point_v<T>, double, int64_t> total = line[0];
    extreme(1, n, line, 0, 1, &total);
    T best = static_cast<T>(total);
    int64_t at = 0;
    if (is_nan(best)) {
      while (!is_nan(line[at])) ++at;
    } else {
      while (line[at] != best) ++at;
    }
    return at;
  };
  auto side_by_side = [&](int64_t count, const T* line, int64_t line_step, int64_t* to, int64_t to_step) {
    constexpr int64_t kWidth = 256;
    T best[kWidth];
    for (int64_t left = 0; left < count; left += kWidth) {
      int64_t width = std::min(kWidth, count - left);
      for (int64_t j = 0; j < width; ++j) {
        best[j] = line[(left + j) * line_step];
        to[(left + j) * to_step] = 0;
      }
      for (int64_t i = 1; i < n; ++i) {
        for (int64_t j = 0; j < width; ++j) {
          T candidate = line[(left + j) * line_step + i * step];
          bool beyond = largest ? candidate > best[j] : candidate < best[j];
          if (beyond || (is_nan(candidate) && !is_nan(best[j]))) {
            best[j] = candidate;
            to[(left + j) * to_step] = i;
          }
        }
      }
    }
  };
  Nest<2> lines(rest, {&out, &first});
  auto run = [&](int64_t count, const auto& offset, const auto& steps) {
    if (step != 1) return side_by_side(count, p + offset[1], steps[1], o + offset[0], steps[0]);
    for (int64_t i = 0; i < count; ++i) o[offset[0] + i * steps[0]] = one_line(p + offset[1] + i * steps[1]);
  };
  // Lines count as many elements: cut by what there is to read, not by what there is to write.
  int64_t count = lines.run(), block = std::max<int64_t>(step == 1 ? 1 : 64, kTileElements / std::max<int64_t>(n, 1));
  int64_t pieces = (count + block - 1) / block, tiles = lines.runs() * pieces;
  auto tile = [&](int64_t t) {
    int64_t start = t % pieces * block;
    lines.walk(t / pieces, t / pieces + 1, [&](int64_t, std::array<int64_t, 2> offset, const auto& steps) {
      for (size_t k = 0; k < 2; ++k) offset[k] += start * steps[k];
      run(std::min(block, count - start), offset, steps);
    });
  };
  if (x.numel() < kParallelElements) {
    for (int64_t t = 0; t < tiles; ++t) tile(t);
  } else {
    parallel_for(tiles, tile);
  }
}

void Cpu::arg_reduce(bool largest, const Tensor& out, const Tensor& x, int d) {
  dispatch(x.dtype(), [&](auto t) { arg_reduce_typed<decltype(t)>(largest, out, x, d); });
}

// ## Softmax and cross-entropy, a row at a time
template <class F> static void for_each_row(const Tensor& x, F&& f) {
  int64_t n = x.dim() ? x.shape().back() : 1, rows = n ? x.numel() / n : 0;
  int64_t block = std::max<int64_t>(1, kTileElements / std::max<int64_t>(n, 1));
  auto run = [&](int64_t tile) {
    for (int64_t r = tile * block; r < std::min(rows, (tile + 1) * block); ++r) f(r, n);
  };
  int64_t tiles = (rows + block - 1) / block;
  if (x.numel() < kParallelElements) {
    for (int64_t t = 0; t < tiles; ++t) run(t);
  } else {
    parallel_for(tiles, run);
  }
}

void Cpu::softmax(const Tensor& out, const Tensor& x, bool log) {
  auto* kernel = kernels().softmax[floating(x)];
  int64_t size = size_of(x.dtype());
  for_each_row(x, [&](int64_t r, int64_t n) { kernel(n, bytes(out) + r * n * size, bytes(x) + r * n * size, log); });
}

void Cpu::softmax_backward(const Tensor& dx, const Tensor& y, const Tensor& dy, bool log) {
  auto* kernel = kernels().softmax_backward[floating(y)];
  int64_t size = size_of(y.dtype());
  for_each_row(y, [&](int64_t r, int64_t n) {
    int64_t at = r * n * size;
    kernel(n, bytes(dx) + at, bytes(y) + at, bytes(dy) + at, log);
  });
}

void Cpu::logsumexp(const Tensor& out, const Tensor& x) {
  if (x.numel() == 0) return fill(out, -std::numeric_limits<double>::infinity());
  auto* kernel = kernels().logsumexp[floating(x)];
  dispatch_floating(x.dtype(), "logsumexp", [&](auto t) {
    using T = decltype(t);
    for_each_row(
        x, [&](int64_t r, int64_t n) { elements<T>(out)[r] = static_cast<T>(kernel(n, elements<T>(x) + r * n)); });
  });
}

void Cpu::cross_entropy(const Tensor& loss, const Tensor& logsumexp, const Tensor& x, const Tensor& target) {
  auto* kernel = kernels().logsumexp[floating(x)];
  dispatch_floating(x.dtype(), "cross_entropy", [&](auto t) {
    using T = decltype(t);
    for_each_row(x, [&](int64_t r, int64_t n) {
      int64_t label = elements<int64_t>(target)[r];
      if (label < 0 || label >= n) {
        throw IndexError("cross_entropy: label " + std::to_string(label) + " in row " + std::to_string(r) +
                         ", but there are " + std::to_string(n) + " classes");
      }
      const T* row = elements<T>(x) + r * n;
      double lse = kernel(n, row);
      if (lse == HUGE_VAL) lse = NAN;  // a logit is ∞: its share would be ∞ / ∞
      elements<double>(logsumexp)[r] = lse;
      elements<T>(loss)[r] = static_cast<T>(lse - static_cast<double>(row[label]));
    });
  });
}

void Cpu::cross_entropy_backward(const Tensor& dx, const Tensor& x, const Tensor& target, const Tensor& logsumexp,
                                 const Tensor& dloss) {
  auto* kernel = kernels().cross_entropy_backward[floating(x)];
  dispatch_floating(x.dtype(), "cross_entropy", [&](auto t) {
    using T = decltype(t);
    for_each_row(x, [&](int64_t r, int64_t n) {
      kernel(n, elements<T>(dx) + r * n, elements<T>(x) + r * n, elements<int64_t>(target)[r],
             elements<double>(logsumexp)[r], static_cast<double>(elements<T>(dloss)[r]));
    });
  });
}

// ## Random numbers
void Cpu::random(const Tensor& out, Random kind, const RandomState& from, int64_t lo, int64_t hi) {
  int64_t n = out.numel(), tiles = (n + kTileElements - 1) / kTileElements;
  auto fill = [&](int64_t tile) {
    int64_t begin = tile * kTileElements, end = std::min(n, begin + kTileElements);
    if (kind == Random::randint) {
      fill_randint(elements<int64_t>(out), begin, end, lo, hi, from);
    } else {
      dispatch_floating(out.dtype(), "random", [&](auto t) {
        auto* p = elements<decltype(t)>(out);
        if (kind == Random::uniform) fill_uniform(p, begin, end, from);
        else fill_normal(p, begin, end, from);
      });
    }
  };
  parallel_for(tiles, fill);
}

// ## Optimiser steps
namespace {

template <class F> void in_tiles(const Tensor& p, F&& f) {
  int64_t n = p.numel(), size = size_of(p.dtype());
  int64_t tiles = (n + kTileElements - 1) / kTileElements;
  auto run = [&](int64_t tile) {
    int64_t begin = tile * kTileElements;
    f(std::min(kTileElements, n - begin), begin * size);
  };
  if (n < kParallelElements) {
    for (int64_t t = 0; t < tiles; ++t) run(t);
  } else {
    parallel_for(tiles, run);
  }
}

}  // namespace

// Where a tile of x begins; null for an undefined tensor.
static char* at_or_null(const Tensor& x, int64_t at) { return x.defined() ? bytes(x) + at : nullptr; }

void Cpu::sgd(const Tensor& p, const Tensor& g, const Tensor& momentum, const SgdStep& o) {
  SgdNumbers numbers{o.lr, o.momentum, o.dampening, o.weight_decay, o.nesterov, o.first, o.maximize};
  auto* kernel = kernels().sgd[floating(p)];
  in_tiles(p,
           [&](int64_t n, int64_t at) { kernel(n, bytes(p) + at, bytes(g) + at, at_or_null(momentum, at), numbers); });
}

void Cpu::adam(const Tensor& p, const Tensor& g, const Tensor& m, const Tensor& v, const Tensor& largest_v,
               const AdamStep& o) {
  AdamNumbers numbers{o.lr,
                      o.beta1,
                      o.beta2,
                      o.eps,
                      o.decoupled ? 0 : o.weight_decay,
                      o.decoupled ? 1 - o.lr * o.weight_decay : 1,
                      1 - std::pow(o.beta1, static_cast<double>(o.step)),
                      1 - std::pow(o.beta2, static_cast<double>(o.step)),
                      o.maximize};
  auto* kernel = kernels().adam[floating(p)];
  in_tiles(p, [&](int64_t n, int64_t at) {
    kernel(n, bytes(p) + at, bytes(g) + at, bytes(m) + at, bytes(v) + at, at_or_null(largest_v, at), numbers);
  });
}

void Cpu::adagrad(const Tensor& p, const Tensor& g, const Tensor& sum, const AdagradStep& o) {
  AdagradNumbers numbers{o.lr, o.eps, o.weight_decay, o.maximize};
  auto* kernel = kernels().adagrad[floating(p)];
  in_tiles(p, [&](int64_t n, int64_t at) { kernel(n, bytes(p) + at, bytes(g) + at, bytes(sum) + at, numbers); });
}

void Cpu::rmsprop(const Tensor& p, const Tensor& g, const Tensor& square, const Tensor& mean, const Tensor& momentum,
                  const RmspropStep& o) {
  RmspropNumbers numbers{o.lr, o.alpha, o.eps, o.weight_decay, o.momentum, o.maximize};
  auto* kernel = kernels().rmsprop[floating(p)];
  in_tiles(p, [&](int64_t n, int64_t at) {
    kernel(n, bytes(p) + at, bytes(g) + at, bytes(square) + at, at_or_null(mean, at), at_or_null(momentum, at),
           numbers);
  });
}

}  // namespace cr::backend::cpu

namespace cr::backend {
std::unique_ptr<Backend> make_cpu() { return std::make_unique<cpu::Cpu>(); }
}  // namespace cr::backend
