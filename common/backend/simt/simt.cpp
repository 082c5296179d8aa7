// # The emulated GPU as a backend
//
// Its memory is the host's, so whatever has no kernel yet is inherited from the CPU. Two primitives have one: the
// smallest set that shows how kernels come to serve the waist.
#include "backend/cpu/cpu.hpp"
#include "backend/cpu/nest.hpp"
#include "backend/cpu/products.hpp"
#include "backend/simt/gemm.cuh"
#include "backend/simt/launch.hpp"
#include "backend/simt/map.cuh"

namespace cr::backend::simt {
namespace {

template <class T> T* elements(const Tensor& x) {
  return static_cast<T*>(x.impl()->storage->data()) + x.impl()->offset;
}

unsigned blocks_for(int64_t count, int64_t size) { return static_cast<unsigned>((count + size - 1) / size); }

// Takes what the kernel needs out of the tensors. `Nest` finds the strides and merges dimensions that lie in one piece.
template <class F, class T> void launch_map(const Tensor& out, std::span<const Operand> in) {
  using R = decltype(apply(F{}, std::declval<const T(&)[3]>()));
  MapParams<T, R> p{};
  std::array<const Tensor*, 4> operands{&out};
  for (size_t k = 0; k < in.size(); ++k) {
    operands[k + 1] = in[k].tensor;
    p.in[k] = in[k].tensor ? elements<const T>(*in[k].tensor) : nullptr;
    p.number[k] = in[k].number.as<T>();
  }
  cpu::Nest<4> nest(out.shape(), operands);
  if (nest.sizes.size() > kMaxDims)
    throw DeviceError(std::string(F::kName) + ": more dimensions than a simt kernel takes");
  p.numel = out.numel();
  p.dims = nest.sizes.size();
  p.out = elements<R>(out);
  for (int d = 0; d < p.dims; ++d) {
    p.size[d] = nest.sizes[d];
    for (size_t k = 0; k < 4; ++k) p.stride[k][d] = nest.strides[k][d];
  }
  constexpr unsigned kThreads = 256, kMostBlocks = 1024;
  unsigned blocks = blocks_for(std::min<int64_t>(p.numel, kMostBlocks * kThreads), kThreads);
  launch(F::kName, map_kernel<F, T, R>, {.blocks = {blocks}, .threads = {kThreads}}, p);
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

class Simt : public cpu::Cpu {
 public:
  void map(int functor, const Tensor& out, std::span<const Operand> in) override {
    DType type = out.dtype();
    for (const Operand& operand : in) {
      if (operand.tensor) type = operand.tensor->dtype();
    }
    LaunchMap launch_it = kLaunchMap[static_cast<size_t>(functor)][static_cast<size_t>(type)];
    if (!launch_it)
      throw DTypeError(std::string(functor::Maps::names[functor]) + ": does not take " + name(type) + " tensors");
    if (out.numel() > 0) launch_it(out, in);
  }

  // Whole numbers have no kernel yet.
  void gemm(const Tensor& c, const Tensor& a, const Tensor& b, const GemmOptions& options) override {
    if (c.dtype() == DType::int64) return cpu::Cpu::gemm(c, a, b, options);
    dispatch_floating(c.dtype(), "matmul", [&](auto t) {
      using T = decltype(t);
      if (c.numel() == 0) return;
      const int row = c.dim() - 2, column = c.dim() - 1;
      GemmParams<T> p{};
      p.m = c.shape()[row], p.n = c.shape()[column], p.k = a.shape()[column];
      p.a = elements<T>(a), p.b = elements<T>(b), p.c = elements<T>(c);
      p.bias = options.bias ? elements<T>(*options.bias) : nullptr;
      p.a_row_step = a.strides()[row], p.a_column_step = a.strides()[column];
      p.b_row_step = b.strides()[row], p.b_column_step = b.strides()[column];
      p.c_row_step = c.strides()[row];
      p.accumulate = options.accumulate, p.relu = options.relu;

      cpu::Nest<3> batch = cpu::batch_nest(c, a, b);
      if (batch.sizes.size() > kMaxBatchDims) throw DeviceError("matmul: more dimensions than a simt kernel takes");
      p.products = batch.runs() * batch.run();
      p.batch_dims = batch.sizes.size();
      for (int d = 0; d < p.batch_dims; ++d) {
        p.batch[d] = batch.sizes[d];
        for (size_t i = 0; i < 3; ++i) p.batch_step[i][d] = batch.strides[i][d];
      }
      constexpr int64_t kMostBlocks = 65535;  // along z
      dim3 blocks{blocks_for(p.m, kTile), blocks_for(p.n, kTile),
                  static_cast<unsigned>(std::min(p.products, kMostBlocks))};
      launch("matmul", gemm_kernel<T>, {.blocks = blocks, .threads = {kTile, kTile}}, p);
    });
  }
};

}  // namespace
}  // namespace cr::backend::simt

namespace cr::backend {
std::unique_ptr<Backend> make_simt() { return std::make_unique<simt::Simt>(); }
}  // namespace cr::backend
