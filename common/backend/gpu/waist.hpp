// # The waist in kernels
//
// The page `backend.hpp` once more, for a GPU. Every primitive is overridden here and defined in one of the `.cu` files
// beside this one, each of which tells one story: first its kernels, then the functions that take tensors apart and
// launch them. There is one source for two machines. The compiler of the house makes of it kernels for the emulator
// (namespace `simt`), and where CHAINRULE_CUDA is on, nvcc makes of it kernels for a GPU (namespace `cuda`).
//
// What is left to a machine is where memory lies, how numbers get there, and `on_host`: `simt/simt.cpp` and
// `cuda/cuda.cu` derive from this class.
#pragma once

#include <functional>

#include "backend/backend.hpp"

// Which of the two: `gpu.cuh` says so for kernel sources; a host's file of `cuda/` says `#define CR_GPU cuda` first.
#ifndef CR_GPU
#define CR_GPU simt
#endif

namespace cr::backend::CR_GPU {

// Some things a GPU does badly: factorising a matrix. `on_host` hands the tensors to `work` in
// memory that the CPU backend can read, and sees to it that afterwards `outputs` hold on the device what was written to
// them there. What an output held before is there too; undefined tensors stay undefined.
//
//     on_host({a, info}, {}, [&](auto out, auto) { on(Device::cpu).cholesky(out[0], out[1]); });
using Tensors = std::span<const Tensor>;
void on_host(std::initializer_list<Tensor> outputs, std::initializer_list<Tensor> inputs,
             const std::function<void(Tensors out, Tensors in)>& work);

class Waist : public Backend {
 public:
  void fill(const Tensor& out, Scalar number) override;
  void copy(const Tensor& out, const Tensor& x) override;
  void arange(const Tensor& out, Scalar start, Scalar step) override;
  void map(int functor, const Tensor& out, std::span<const Operand> in) override;
  void reduce(int functor, const Tensor& out, const Tensor& x, const Dims& dims) override;
  void arg_reduce(bool largest, const Tensor& out, const Tensor& x, int d) override;
  void gemm(const Tensor& c, const Tensor& a, const Tensor& b, const GemmOptions& options) override;
  void distances(const Tensor& out, const Tensor& x, const Tensor& y, double p) override;
  void gather(const Tensor& out, const Tensor& x, int d, const Tensor& index, const char* op) override;
  void scatter(const Tensor& out, int d, const Tensor& index, const Tensor& x, Place how, const char* op) override;
  Tensor nonzero(const Tensor& x) override;
  void add_overlapping(const Tensor& out, const Tensor& x) override;
  void softmax(const Tensor& out, const Tensor& x, bool log) override;
  void softmax_backward(const Tensor& dx, const Tensor& y, const Tensor& dy, bool log) override;
  void cross_entropy(const Tensor& loss, const Tensor& logsumexp, const Tensor& x, const Tensor& target) override;
  void cross_entropy_backward(const Tensor& dx, const Tensor& x, const Tensor& target, const Tensor& logsumexp,
                              const Tensor& dloss) override;
  void sort(const Tensor& values, const Tensor& indices, const Tensor& x, int d, bool descending) override;
  void pick(Pick what, const Tensor& values, const Tensor& indices, const Tensor& x, int d, int64_t k) override;
  void scan(Scan kind, const Tensor& out, const Tensor& x, int d, bool reverse) override;
  void scan_linear(const Tensor& out, const Tensor& factor, const Tensor& x, int d, bool reverse) override;
  void scan_extreme(bool largest, const Tensor& values, const Tensor& indices, const Tensor& x, int d) override;
  void search_sorted(const Tensor& out, const Tensor& sorted, const Tensor& x, bool right) override;
  void logsumexp(const Tensor& out, const Tensor& x) override;
  void layer_norm(const Tensor& y, const Tensor& mean, const Tensor& var, const Tensor& x, const Tensor& weight,
                  const Tensor& bias, double eps) override;
  void layer_norm_backward(const Tensor& dx, const Tensor& dweight, const Tensor& dbias, const Tensor& dy,
                           const Tensor& x, const Tensor& weight, const Tensor& mean, const Tensor& var,
                           double eps) override;
  void batch_norm(const Tensor& y, const Tensor& mean, const Tensor& var, const Tensor& x, const Tensor& weight,
                  const Tensor& bias, double eps) override;
  void batch_norm_backward(const Tensor& dx, const Tensor& dweight, const Tensor& dbias, const Tensor& dy,
                           const Tensor& x, const Tensor& weight, const Tensor& mean, const Tensor& var,
                           double eps) override;
  void random(const Tensor& out, Random kind, const RandomState& from, int64_t lo, int64_t hi) override;
  void conv(const Tensor& y, const Tensor& x, const Tensor& w, const Tensor& bias, const Window& window,
            int64_t groups) override;
  void conv_input(const Tensor& dx, const Tensor& dy, const Tensor& w, const Tensor& bias, const Window& window,
                  int64_t groups) override;
  void conv_weight(const Tensor& dw, const Tensor& x, const Tensor& dy, const Window& window, int64_t groups) override;
  void max_pool(const Tensor& y, const Tensor& indices, const Tensor& x, std::span<const PoolSpan> spans) override;
  void max_pool_backward(const Tensor& dx, const Tensor& dy, const Tensor& indices,
                         std::span<const PoolSpan> spans) override;
  void avg_pool(const Tensor& y, const Tensor& x, std::span<const PoolSpan> spans) override;
  void avg_pool_backward(const Tensor& dx, const Tensor& dy, std::span<const PoolSpan> spans) override;
  void recurrent(const RecurrentLayer& layer) override;
  void recurrent_backward(const RecurrentLayer& layer, const RecurrentGradients& d) override;
  void attention(const Tensor& out, const Tensor& normalizer, const Tensor& q, const Tensor& k, const Tensor& v,
                 const Tensor& bias, double scale, bool causal) override;
  void attention_backward(const Tensor& dq, const Tensor& dk, const Tensor& dv, const Tensor& dout, const Tensor& out,
                          const Tensor& normalizer, const Tensor& q, const Tensor& k, const Tensor& v,
                          const Tensor& bias, double scale, bool causal) override;
  void cholesky(const Tensor& a, const Tensor& info) override;
  void lu(const Tensor& a, const Tensor& pivots, const Tensor& info) override;
  void solve_triangular(const Tensor& b, const Tensor& a, bool upper, bool unit) override;
  void qr(const Tensor& a, const Tensor& tau) override;
  void householder_product(const Tensor& q, const Tensor& tau) override;
  void eigh(const Tensor& a, const Tensor& values, bool upper, bool vectors, const Tensor& info) override;
  void svd(const Tensor& a, const Tensor& u, const Tensor& s, const Tensor& vh, const Tensor& info) override;
  void sgd(const Tensor& p, const Tensor& g, const Tensor& momentum, const SgdStep& options) override;
  void adam(const Tensor& p, const Tensor& g, const Tensor& m, const Tensor& v, const Tensor& largest_v,
            const AdamStep& options) override;
  void adagrad(const Tensor& p, const Tensor& g, const Tensor& sum, const AdagradStep& options) override;
  void rmsprop(const Tensor& p, const Tensor& g, const Tensor& square, const Tensor& mean, const Tensor& momentum,
               const RmspropStep& options) override;
};

}  // namespace cr::backend::CR_GPU
