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
};
Element element(Scalar s, DType t) {
  Element e{};
  switch (t) {
    case DType::boolean: e.b = s.as<bool>(); break;
    case DType::int64: e.i = s.as<int64_t>(); break;
    case DType::float32: e.f = s.as<float>(); break;
    case DType::float64: e.d = s.as<double>(); break;
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
  auto* kernel = kernels().copy[type_of(out)][type_of(out)];
  int64_t size = size_of(out.dtype());
  Nest<1>(out.shape(), {&out}).parallel([&](int64_t n, const auto& offset, const auto& step) {
    kernel(n, bytes(out) + offset[0] * size, step[0], &e, 0);
  });
}

void Cpu::copy(const Tensor& out, const Tensor& x) {
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

void Cpu::add_overlapping(const Tensor& out, const Tensor& x) {
  dispatch(out.dtype(), [&](auto t) {
    using T = decltype(t);
    Nest<2> nest(out.shape(), {&out, &x});
    nest.walk(0, nest.runs(), [&](int64_t n, const auto& offset, const auto& step) {
      T* o = elements<T>(out) + offset[0];
      const T* p = elements<T>(x) + offset[1];
      for (int64_t i = 0; i < n; ++i) o[i * step[0]] = static_cast<T>(o[i * step[0]] + p[i * step[1]]);
    });
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

template <class A> A identity_as(int functor) {
  double d = identity_of(functor);
  if (std::is_same_v<A, int64_t> && std::isinf(d)) return static_cast<A>(d > 0 ? INT64_MAX : INT64_MIN);
  return static_cast<A>(d);
}

template <class T, class A> void reduce_typed(int functor, const Tensor& out, const Tensor& x, const Dims& dims) {
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
  T* o = elements<T>(out);
  const T* p = elements<T>(x);
  int64_t go_count = go.runs() * go.run(), results = stay.runs() * stay.run();

  bool columns = stay.strides[1].back() == 1 && stay.run() > 1 && go.strides[0].back() != 1;
  if (columns) {
    constexpr int64_t kWidth = 512;
    int64_t pieces = (stay.run() + kWidth - 1) / kWidth, last = stay.sizes.size() - 1;
    auto reduce_piece = [&](int64_t tile) {
      A totals[kWidth];
      int64_t left = tile % pieces * kWidth, width = std::min(kWidth, stay.run() - left);
      std::fill_n(totals, width, identity_as<A>(functor));
      stay.walk(tile / pieces, tile / pieces + 1, [&](int64_t, const auto& at, const auto&) {
        go.walk(0, go.runs(), [&](int64_t n, const auto& offset, const auto& step) {
          by_columns(n, width, p + at[1] + left + offset[0], step[0], totals);
        });
        int64_t step = stay.strides[0][static_cast<int>(last)];
        for (int64_t j = 0; j < width; ++j) o[at[0] + (left + j) * step] = static_cast<T>(totals[j]);
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

  if (results == 1 && go_count >= kParallelElements && go.runs() == 1) {
    int64_t pieces = (go_count + kTileElements - 1) / kTileElements, step = go.strides[0].back();
    std::vector<A> totals(static_cast<size_t>(pieces), identity_as<A>(functor));
    parallel_for(pieces, [&](int64_t tile) {
      int64_t begin = tile * kTileElements;
      by_rows(std::min(kTileElements, go_count - begin), p + begin * step, step, &totals[static_cast<size_t>(tile)]);
    });
    A total = totals[0];
    for (size_t i = 1; i < totals.size(); ++i) total = combine(functor, total, totals[i]);
    *o = static_cast<T>(total);
    return;
  }

  auto reduce_run = [&](int64_t n, const auto& at, const auto& step) {
    for (int64_t i = 0; i < n; ++i) {
      A total = identity_as<A>(functor);
      go.walk(0, go.runs(), [&](int64_t count, const auto& offset, const auto& go_step) {
        by_rows(count, p + at[1] + i * step[1] + offset[0], go_step[0], &total);
      });
      o[at[0] + i * step[0]] = static_cast<T>(total);
    }
  };
  int64_t rows = std::max<int64_t>(1, kTileElements / std::max<int64_t>(go_count, 1));
  if (results * go_count < kParallelElements) {
    stay.walk(0, stay.runs(), reduce_run);
  } else {
    int64_t n = stay.run(), pieces = (n + rows - 1) / rows;
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
      throw DTypeError(std::string(functor::Reductions::names[functor]) + ": does not take bool tensors");
    case DType::int64: return reduce_typed<int64_t, int64_t>(functor, out, x, dims);
    case DType::float32: return reduce_typed<float, double>(functor, out, x, dims);
    case DType::float64: return reduce_typed<double, double>(functor, out, x, dims);
  }
}

template <class T> static bool is_nan(T x) {
  if constexpr (std::is_floating_point_v<T>) return std::isnan(x);
  return false;
}

void Cpu::arg_reduce(bool largest, const Tensor& out, const Tensor& x, int d) {
  dispatch(x.dtype(), [&](auto t) {
    using T = decltype(t);
    Shape rest = x.shape();
    int64_t n = rest[d], step = x.strides()[d];
    rest[d] = 1;
    Tensor first = window(x, rest, x.strides(), x.impl()->offset);
    Nest<2>(rest, {&out, &first}).parallel([&](int64_t count, const auto& offset, const auto& steps) {
      for (int64_t i = 0; i < count; ++i) {
        const T* p = elements<T>(x) + offset[1] + i * steps[1];
        int64_t best = 0;
        for (int64_t j = 1; j < n && !is_nan(p[best * step]); ++j) {
          T candidate = p[j * step], champion = p[best * step];
          if (is_nan(candidate) || (largest ? candidate > champion : candidate < champion)) best = j;
        }
        elements<int64_t>(out)[offset[0] + i * steps[0]] = best;
      }
    });
  });
}

// ## Indices
namespace {

void check_index(int64_t i, int64_t size, const char* op) {
  if (i < 0 || i >= size) {
    throw IndexError(std::string(op) + ": index " + std::to_string(i) + " is out of range for a dimension of size " +
                     std::to_string(size));
  }
}

// The nest over one slice of a and of b across dimension d, both of which have the other dimensions alike.
Nest<2> slice_nest(const Tensor& a, const Tensor& b, int d) {
  Shape slice = a.shape();
  slice[d] = 1;
  Tensor slice_a = window(a, slice, a.strides(), 0), slice_b = window(b, slice, b.strides(), 0);
  return Nest<2>(slice, {&slice_a, &slice_b});
}

// Calls `f(position in a, position in b)` for every element of the slices that begin at these positions.
template <class F> void along(const Nest<2>& nest, int64_t from_a, int64_t from_b, F&& f) {
  nest.walk(0, nest.runs(), [&](int64_t n, const auto& offset, const auto& step) {
    for (int64_t k = 0; k < n; ++k) f(from_a + offset[0] + k * step[0], from_b + offset[1] + k * step[1]);
  });
}

void check_all(const Tensor& index, int64_t size, const char* op) {
  Nest<1> nest(index.shape(), {&index});
  nest.walk(0, nest.runs(), [&](int64_t n, const auto& offset, const auto& step) {
    for (int64_t i = 0; i < n; ++i) check_index(elements<int64_t>(index)[offset[0] + i * step[0]], size, op);
  });
}

}  // namespace

void Cpu::index_select(const Tensor& out, const Tensor& x, int d, const Tensor& index, const char* op) {
  check_all(index, x.shape()[d], op);
  auto* at = elements<int64_t>(index);
  int64_t step = index.dim() ? index.strides()[0] : 0;
  int64_t size = size_of(x.dtype());
  if (d == 0 && out.is_contiguous() && x.is_contiguous()) {  // rows: one memcpy each
    int64_t row = (x.shape()[0] ? x.numel() / x.shape()[0] : 0) * size;
    for (int64_t i = 0; i < index.numel(); ++i) {
      std::memcpy(bytes(out) + i * row, bytes(x) + at[i * step] * row, static_cast<size_t>(row));
    }
    return;
  }
  dispatch(x.dtype(), [&](auto t) {
    auto* o = elements<decltype(t)>(out);
    auto* p = elements<decltype(t)>(x);
    Nest<2> nest = slice_nest(out, x, d);
    for (int64_t i = 0; i < index.numel(); ++i) {
      along(nest, i * out.strides()[d], at[i * step] * x.strides()[d],
            [&](int64_t to, int64_t from) { o[to] = p[from]; });
    }
  });
}

void Cpu::index_add(const Tensor& out, int d, const Tensor& index, const Tensor& x, const char* op) {
  check_all(index, out.shape()[d], op);
  auto* at = elements<int64_t>(index);
  int64_t step = index.dim() ? index.strides()[0] : 0;
  dispatch(x.dtype(), [&](auto t) {
    using T = decltype(t);
    auto* o = elements<T>(out);
    auto* p = elements<T>(x);
    Nest<2> nest = slice_nest(out, x, d);
    for (int64_t i = 0; i < index.numel(); ++i) {
      along(nest, at[i * step] * out.strides()[d], i * x.strides()[d],
            [&](int64_t to, int64_t from) { o[to] = static_cast<T>(o[to] + p[from]); });
    }
  });
}

// The nest runs over the index's shape; in `x` the stride along d is taken by the index instead of the position.
template <class F>
static void for_each_index(const Tensor& dense, const Tensor& indexed, int d, const Tensor& index, const char* op,
                           F&& f) {
  check_all(index, indexed.shape()[d], op);
  Strides strides = indexed.strides();
  strides[d] = 0;
  Tensor still = window(indexed, index.shape(), strides, 0);
  Nest<3> nest(index.shape(), {&dense, &still, &index});
  nest.walk(0, nest.runs(), [&](int64_t n, const auto& offset, const auto& step) {
    for (int64_t i = 0; i < n; ++i) {
      int64_t at = elements<int64_t>(index)[offset[2] + i * step[2]];
      f(offset[0] + i * step[0], offset[1] + i * step[1] + at * indexed.strides()[d]);
    }
  });
}

void Cpu::gather(const Tensor& out, const Tensor& x, int d, const Tensor& index, const char* op) {
  dispatch(x.dtype(), [&](auto t) {
    auto* o = elements<decltype(t)>(out);
    auto* p = elements<decltype(t)>(x);
    for_each_index(out, x, d, index, op, [&](int64_t to, int64_t from) { o[to] = p[from]; });
  });
}

void Cpu::scatter_add(const Tensor& out, int d, const Tensor& index, const Tensor& x, const char* op) {
  dispatch(x.dtype(), [&](auto t) {
    using T = decltype(t);
    auto* o = elements<T>(out);
    auto* p = elements<T>(x);
    for_each_index(x, out, d, index, op, [&](int64_t from, int64_t to) { o[to] = static_cast<T>(o[to] + p[from]); });
  });
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

void Cpu::sgd(const Tensor& p, const Tensor& g, const Tensor& momentum, const SgdStep& o) {
  SgdNumbers numbers{o.lr, o.momentum, o.dampening, o.weight_decay, o.nesterov, o.first};
  auto* kernel = kernels().sgd[floating(p)];
  in_tiles(p, [&](int64_t n, int64_t at) {
    kernel(n, bytes(p) + at, bytes(g) + at, momentum.defined() ? bytes(momentum) + at : nullptr, numbers);
  });
}

void Cpu::adam(const Tensor& p, const Tensor& g, const Tensor& m, const Tensor& v, const AdamStep& o) {
  AdamNumbers numbers{o.lr,
                      o.beta1,
                      o.beta2,
                      o.eps,
                      o.weight_decay,
                      1 - std::pow(o.beta1, static_cast<double>(o.step)),
                      1 - std::pow(o.beta2, static_cast<double>(o.step))};
  auto* kernel = kernels().adam[floating(p)];
  in_tiles(p, [&](int64_t n, int64_t at) {
    kernel(n, bytes(p) + at, bytes(g) + at, bytes(m) + at, bytes(v) + at, numbers);
  });
}

}  // namespace cr::backend::cpu

namespace cr::backend {
std::unique_ptr<Backend> make_cpu() { return std::make_unique<cpu::Cpu>(); }
}  // namespace cr::backend
