// # One pass over memory
//
// `relu(a * b + a)` on four million numbers is three operations, and each reads its inputs from memory and writes its
// result back: the processor mostly waits. Said as
//
//     Tensor y = fused([](auto a, auto b) { return relu(a * b + a); }, a, b);
//
// the formula is compiled, by your compiler, into one loop that reads a and b and writes y, and one node in the graph.
// Backward is one loop as well: the lambda is called on dual numbers (`func/dual.hpp`), which give y's slope for every
// argument, and nothing but the inputs is kept. Derivatives of higher order, and devices for which the lambda was
// never compiled, call the same lambda on tensors.
//
// The lambda captures nothing; numbers that change are arguments (`fused(f, a, 0.5)`), and count as constants. It
// works element by element, in the vocabulary of `func/dual.hpp`.
#pragma once

#include <algorithm>
#include <array>
#include <concepts>
#include <type_traits>

#include "autograd/autograd.hpp"
#include "backend/cpu/cpu_features.hpp"
#include "backend/runs.hpp"
#include "func/dual.hpp"
#include "ops/elementwise.hpp"

namespace cr {
namespace detail {

// The tensors' common floating-point type. Throws DTypeError, DeviceError.
DType fused_type(std::span<const Tensor* const> tensors);

// Gradients for the arguments that need one, f being called on tensors that stand in for them, each with a place of
// its own in the graph: with the arguments themselves, `fused(f, x, x)` would count each of the two gradients twice.
Grads fused_composed(Backward& b, int count, Tensor (*f)(const Tensor*, Backward&));

inline void* first_element(const Tensor& x) {
  return static_cast<char*>(x.impl()->storage->data()) + x.impl()->offset * size_of(x.dtype());
}

template <class F, class... A> struct Fused {
  static constexpr int kArguments = sizeof...(A);
  static constexpr std::array<bool, sizeof...(A)> kIsTensor{std::same_as<A, Tensor>...};
  static constexpr int kTensors = (0 + ... + int(std::same_as<A, Tensor>));
  // How many tensors, or numbers, stand before argument i.
  static constexpr int tensor_at(size_t i) { return int(std::count(kIsTensor.begin(), kIsTensor.begin() + i, true)); }
  static constexpr int number_at(size_t i) { return int(i) - tensor_at(i); }
  using Each = std::index_sequence_for<A...>;

  // Elements come in blocks of a fixed size, so that compilers turn the loop over one into vector instructions without
  // having to prove anything. Inputs that are strided or broadcast, and the last few, are brought into a block of
  // their own first. Fewer than kFew are not worth a block.
  static constexpr int64_t kBlock = 64, kFew = 12;
  template <class T> using Inputs = std::array<const T*, kTensors + 1>;

  struct Job {
    std::array<double, kArguments - kTensors + 1> numbers;
    std::array<void*, 2 * kTensors + 1> data;  // inputs, then y; or inputs, dy, and the gradients: null if not wanted
  };

  // Argument i of the lambda for element j.
  template <class T, int N, size_t i> static auto argument(const Job& job, const Inputs<T>& in, int64_t j) {
    if constexpr (kIsTensor[i]) {
      constexpr auto own = static_cast<size_t>(tensor_at(i));
      return dual::make<T, N>(in[own][j], [](size_t k) { return T(k == own); });
    } else {
      return static_cast<std::tuple_element_t<i, std::tuple<A...>>>(job.numbers[size_t(number_at(i))]);
    }
  }

  template <class T, int N, size_t... i>
  [[gnu::always_inline]] static Dual<T, N> call(const Job& job, const Inputs<T>& in, int64_t j,
                                                std::index_sequence<i...>) {
    return F{}(argument<T, N, i>(job, in, j)...);
  }

  // What is computed for element j: y, or dx = dy · slope for every argument.
  template <class T> struct Values {
    static constexpr int kInputs = kTensors, kOutputs = 1;
    [[gnu::always_inline]] static void at(const Job& job, const Inputs<T>& in, int64_t j, T (&y)[1][kBlock]) {
      y[0][j] = call<T, 0>(job, in, j, Each()).value;
    }
  };
  template <class T> struct Slopes {
    static constexpr int kInputs = kTensors + 1, kOutputs = kTensors;
    [[gnu::always_inline]] static void at(const Job& job, const Inputs<T>& in, int64_t j, T (&dx)[kTensors][kBlock]) {
      Dual<T, kTensors> y = call<T, kTensors>(job, in, j, Each());
      T dy = in[kTensors][j];
      [&]<size_t... k>(std::index_sequence<k...>) { ((dx[k][j] = dy * y.slope[k]), ...); }
      (std::make_index_sequence<kTensors>());
    }
  };

  // Walks a run in blocks; output k goes to data[kInputs + k].
  template <class T, class What>
  static void run(const void* context, int64_t n, const int64_t* offset, const int64_t* step) {
    constexpr int kInputs = What::kInputs, kOutputs = What::kOutputs;
    const Job& job = *static_cast<const Job*>(context);
    T copies[kInputs][kBlock], results[kOutputs][kBlock];
    for (int64_t begin = 0; begin < n; begin += kBlock) {
      int64_t count = std::min(kBlock, n - begin);
      Inputs<T> in{};
      for (size_t k = 0; k < kInputs; ++k) {
        const T* x = static_cast<const T*>(job.data[k]) + offset[k] + begin * step[k];
        if (step[k] == 1 && count == kBlock) {
          in[k] = x;
        } else {
          for (int64_t j = 0; j < count; ++j) copies[k][j] = x[j * step[k]];
          if (count >= kFew) std::fill(copies[k] + count, copies[k] + kBlock, T(0));
          in[k] = copies[k];
        }
      }
      if (count < kFew) {
        for (int64_t j = 0; j < count; ++j) What::at(job, in, j, results);
      } else {
        for (int64_t j = 0; j < kBlock; ++j) What::at(job, in, j, results);
      }
      for (size_t k = 0; k < kOutputs; ++k) {
        T* y = static_cast<T*>(job.data[kInputs + k]);
        int64_t gap = step[kInputs + k];  // 1, but for runs of one
        if (!y) continue;
        y += offset[kInputs + k] + begin * gap;
        if (gap == 1 && count == kBlock) std::copy_n(results[k], kBlock, y);
        else
          for (int64_t j = 0; j < count; ++j) y[j * gap] = results[k][j];
      }
    }
  }

  // The same float32 loops once more in wider instructions, for machines that have them: the bits are the same.
#if CHAINRULE_X86_DISPATCH
  template <class What>
  [[gnu::target("avx2"), gnu::flatten]] static void run_wide(const void* context, int64_t n, const int64_t* offset,
                                                             const int64_t* step) {
    run<float, What>(context, n, offset, step);
  }
#endif
  template <template <class> class What> static backend::Run run_for(DType type) {
    if (type == DType::float64) return run<double, What<double>>;
#if CHAINRULE_X86_DISPATCH
    if (backend::cpu::isa() >= backend::cpu::Isa::avx2) return run_wide<What<float>>;
#endif
    return run<float, What<float>>;
  }

  static Tensor on_tensors(const Tensor* x, Backward& b) {
    return [&]<size_t... i>(std::index_sequence<i...>) {
      auto argument = [&]<size_t at>() {
        if constexpr (kIsTensor[at]) return x[tensor_at(at)];
        else return static_cast<std::tuple_element_t<at, std::tuple<A...>>>(b.number(number_at(at)));
      };
      return Tensor(F{}(argument.template operator()<i>()...));
    }
    (Each());
  }

  static Grads rule(Backward& b) {
    if (b.create_graph()) return fused_composed(b, kTensors, on_tensors);
    Tensor dy = b.dy();
    std::array<Tensor, kTensors> x, dx;
    std::array<const Tensor*, 2 * kTensors + 1> operands{};
    Job job{};
    for (int i = 0; i < kArguments - kTensors; ++i) job.numbers[size_t(i)] = b.number(i);
    for (size_t k = 0; k < kTensors; ++k) {
      x[k] = b[int(k)];
      operands[k] = &x[k];
      if (b.needs(int(k))) dx[k] = empty(dy.shape(), dy.dtype());
      if (dx[k].defined()) operands[kTensors + 1 + k] = &dx[k];
    }
    operands[kTensors] = &dy;
    for (size_t k = 0; k < operands.size(); ++k) job.data[k] = operands[k] ? first_element(*operands[k]) : nullptr;
    backend::for_each_run(dy.shape(), operands, run_for<Slopes>(dy.dtype()), &job);
    Grads grads;
    grads.resize(kTensors);
    for (size_t k = 0; k < kTensors; ++k) grads[int(k)] = dx[k];
    return grads;
  }
};

}  // namespace detail

// f(arguments…), element by element: tensors of float32 or float64, which broadcast and promote as in any operation,
// and C++ numbers. Throws DTypeError for other types, ShapeError for shapes that do not broadcast.
template <class F, class... A> Tensor fused(F f, const A&... arguments) {
  using Loop = detail::Fused<F, A...>;
  static_assert(std::is_empty_v<F>, "fused: the lambda may capture nothing; pass numbers and tensors as arguments");
  static_assert(((std::same_as<A, Tensor> || std::is_arithmetic_v<A>)&&...),
                "fused: arguments are tensors and numbers");
  static_assert(std::same_as<std::invoke_result_t<F, A...>, Tensor>,
                "fused: the lambda must return a tensor for tensors");
  static_assert(Loop::kTensors > 0 && 2 * Loop::kTensors < backend::kMaxRunOperands,
                "fused: takes one to seven tensors");

  std::array<const Tensor*, sizeof...(A)> all{};
  std::array<double, sizeof...(A) + 1> numbers{};
  size_t tensors = 0, scalars = 0;
  auto sort_out = [&](const auto& a) {
    if constexpr (std::same_as<std::remove_cvref_t<decltype(a)>, Tensor>) all[tensors++] = &a;
    else numbers[scalars++] = static_cast<double>(a);
  };
  (sort_out(arguments), ...);
  DType type = detail::fused_type({all.data(), tensors});
  if (all[0]->device() != Device::cpu) return f(arguments...);

  typename Loop::Job job{};
  std::array<Tensor, Loop::kTensors> x;
  std::array<const Tensor*, Loop::kTensors + 1> operands{};
  std::array<Saved, Loop::kTensors> saved{};
  std::array<Attribute, Loop::kArguments - Loop::kTensors + 1> attributes{};
  Shape shape;
  for (size_t k = 0; k < tensors; ++k) {
    x[k] = all[k]->to(type);
    operands[k] = &x[k];
    saved[k] = {&x[k], false};
    shape = broadcast_shapes(shape, x[k].shape(), "fused");
    job.data[k] = detail::first_element(x[k]);
  }
  Tensor y = empty(shape, type);
  operands[tensors] = &y;
  job.data[tensors] = detail::first_element(y);
  for (size_t i = 0; i < scalars; ++i) attributes[i] = job.numbers[i] = numbers[i];
  backend::for_each_run(shape, operands, Loop::template run_for<Loop::template Values>(type), &job);
  return record("fused", y, {operands.data(), tensors}, saved, {attributes.data(), scalars}, Loop::rule);
}

}  // namespace cr
