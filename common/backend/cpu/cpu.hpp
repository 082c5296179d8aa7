#pragma once

#include "backend/backend.hpp"

namespace cr::backend::cpu {

// # The CPU backend
//
// Walks strided tensors (`nest.hpp`), hands runs to loops compiled for this machine's instruction set (`isa/`), and
// matrix products to `gemm.hpp`. The emulator derives from it: its memory is the host's too.
class Cpu : public Backend {
 public:
  void fill(const Tensor& out, Scalar number) override;
  void copy(const Tensor& out, const Tensor& x) override;
  void arange(const Tensor& out, Scalar start, Scalar step) override;
  void map(int functor, const Tensor& out, std::span<const Operand> in) override;
  void reduce(int functor, const Tensor& out, const Tensor& x, const Dims& dims) override;
  void arg_reduce(bool largest, const Tensor& out, const Tensor& x, int d) override;
  void gemm(const Tensor& c, const Tensor& a, const Tensor& b, const GemmOptions& options) override;
  void distances(const Tensor& out, const Tensor& x, const Tensor& y, double p) override;
  void index_select(const Tensor& out, const Tensor& x, int d, const Tensor& index, const char* op) override;
  void index_add(const Tensor& out, int d, const Tensor& index, const Tensor& x, const char* op) override;
  void gather(const Tensor& out, const Tensor& x, int d, const Tensor& index, const char* op) override;
  void scatter_add(const Tensor& out, int d, const Tensor& index, const Tensor& x, const char* op) override;
  void add_overlapping(const Tensor& out, const Tensor& x) override;
  void softmax(const Tensor& out, const Tensor& x, bool log) override;
  void cross_entropy(const Tensor& loss, const Tensor& logsumexp, const Tensor& x, const Tensor& target) override;
  void cross_entropy_backward(const Tensor& dx, const Tensor& x, const Tensor& target, const Tensor& logsumexp,
                              const Tensor& dloss) override;
  void random(const Tensor& out, Random kind, const RandomState& from, int64_t lo, int64_t hi) override;
  void sgd(const Tensor& p, const Tensor& g, const Tensor& momentum, const SgdStep& options) override;
  void adam(const Tensor& p, const Tensor& g, const Tensor& m, const Tensor& v, const AdamStep& options) override;
};

}  // namespace cr::backend::cpu
