// # Elementwise operations
//
// Thread $i$ computes element $i$ of the result: the maths is one functor, the same that the CPU's loops compile, so float32
// numbers are the same to the bit, but for the few functions that the toolkit's own float64 maths stands behind
// (docs/semantics.md). There are two kernels. If all operands lie in a row, each thread takes 16 bytes of each; otherwise
// it finds the places of its element by the strides.
#include "backend/functor.hpp"
#include "backend/gpu/gpu.cuh"
#include "backend/gpu/places.cuh"
#include "backend/gpu/waist.hpp"

namespace cr::backend::CR_GPU {
namespace {

// `in[k]` is null where operand k is a number.
template <class T> struct Inputs {
  const T* in[3];
  T number[3];
};

template <class F, class T> __device__ auto apply(const T* x) {
  if constexpr (F::kArity == 1) return F{}(x[0]);
  else if constexpr (F::kArity == 2) return F{}(x[0], x[1]);
  else return F{}(x[0], x[1], x[2]);
}

// The result's place comes first.
template <class F, class T, class R> __global__ void map_kernel(Places<F::kArity + 1> p, R* out, Inputs<T> inputs) {
  for (int64_t i = first_element(); i < p.numel; i += all_threads()) {
    int64_t at[F::kArity + 1];
    p.find(i, at);
    T x[F::kArity];
    for (int k = 0; k < F::kArity; ++k) x[k] = inputs.in[k] ? inputs.in[k][at[k + 1]] : inputs.number[k];
    out[at[0]] = apply<F>(x);
  }
}

// A pack of inputs makes as many results; of a comparison these are bools, which are stored one by one.
template <class F, class T, class R> __global__ void map_row_kernel(int64_t n, R* out, Inputs<T> inputs) {
  constexpr int kSize = Pack<T>::kSize, kArity = F::kArity;
  const int64_t packs = n / kSize;
  for (int64_t i = first_element(); i < packs; i += all_threads()) {
    Pack<T> x[kArity];
    for (int k = 0; k < kArity; ++k) {
      if (inputs.in[k]) {
        x[k] = load_pack(inputs.in[k] + i * kSize);
      } else {
        for (T& number : x[k].x) number = inputs.number[k];
      }
    }
    R y[kSize];
    for (int j = 0; j < kSize; ++j) {
      T one[kArity];
      for (int k = 0; k < kArity; ++k) one[k] = x[k].x[j];
      y[j] = apply<F>(one);
    }
    store_all(out + i * kSize, y);
  }
  for (int64_t i = packs * kSize + first_element(); i < n; i += all_threads()) {
    T x[kArity];
    for (int k = 0; k < kArity; ++k) x[k] = inputs.in[k] ? inputs.in[k][i] : inputs.number[k];
    out[i] = apply<F>(x);
  }
}

template <class F, class T> void launch_map(const Tensor& out, std::span<const Operand> in) {
  constexpr int N = F::kArity + 1;
  using R = std::conditional_t<F::kPredicate, bool, T>;
  R* to = elements<R>(out);
  Inputs<T> inputs{};
  std::array<const Tensor*, N> operands{&out};
  bool row = is_aligned(to);
  for (size_t k = 0; k + 1 < N; ++k) {
    operands[k + 1] = in[k].tensor;
    if (in[k].tensor) inputs.in[k] = elements<const T>(*in[k].tensor);
    else inputs.number[k] = in[k].number.as<T>();
    row = row && is_aligned(inputs.in[k]);
  }
  Places<N> p = places<N>(F::kName, out.shape(), operands);
  if (p.dims == 1) {
    for (int k = 0; k < N && row; ++k) row = p.stride[k][0] == 1 || (k > 0 && !inputs.in[k - 1]);
  }
  if (row && p.dims == 1) {
    launch(F::kName, map_row_kernel<F, T, R>, grid_for(p.numel / Pack<T>::kSize + 1), p.numel, to, inputs);
  } else {
    launch(F::kName, map_kernel<F, T, R>, grid_for(p.numel), p, to, inputs);
  }
}

// A functor's number and an element type choose the kernel; null where the functor does not take the type.
using LaunchMap = void (*)(const Tensor&, std::span<const Operand>);

template <class F, class T> constexpr LaunchMap launcher() {
  if constexpr (functor::takes<F, T>()) return launch_map<F, T>;
  else return nullptr;
}
template <class... F> constexpr auto launchers(functor::List<F...>) {
  using Row = std::array<LaunchMap, 4>;  // in the order of DType
  return std::array{Row{launcher<F, bool>(), launcher<F, int64_t>(), launcher<F, float>(), launcher<F, double>()}...};
}
constexpr auto kLaunchMap = launchers(functor::Maps{});

}  // namespace

void Waist::map(int functor, const Tensor& out, std::span<const Operand> in) {
  DType type = out.dtype();
  for (const Operand& operand : in) {
    if (operand.tensor) type = operand.tensor->dtype();
  }
  const char* op = functor::Maps::names[functor];
  if (is_storage(type)) refuse_storage(type, op);
  LaunchMap launch_it = kLaunchMap[static_cast<size_t>(functor)][static_cast<size_t>(type)];
  if (!launch_it) throw DTypeError(std::string(op) + ": does not take " + name(type) + " tensors");
  if (out.numel() > 0) launch_it(out, in);
}

}  // namespace cr::backend::CR_GPU
