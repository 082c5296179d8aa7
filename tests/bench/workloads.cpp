#include "workloads.hpp"

#include <memory>

#include "chainrule.hpp"

namespace cr::bench {
namespace {

using Step = std::function<void()>;

// ## Training steps: forward, loss, backward, update
struct Mlp {
  nn::Linear hidden{784, 256}, out{256, 10};
  Tensor operator()(const Tensor& x) const { return out(relu(hidden(x))); }
  CR_FIELDS(hidden, out)
};

Step mlp(int64_t batch) {
  Generator generator(1);
  Mlp model;
  auto optimizer = std::make_shared<optim::SGD>(parameters(model), optim::SgdOptions{.lr = 0.01});
  Tensor x = randn({batch, 784}, generator), y = randint(0, 10, {batch}, generator);
  return [=] {
    optimizer->zero_grad();
    cross_entropy(model(x), y).backward();
    optimizer->step();
  };
}

// ## Single operations
//
// `f` of a normal tensor of this shape; with `gradient`, of a leaf, and its gradient for ones.
Step kernel(const Shape& shape, Tensor (*f)(const Tensor&), bool gradient = false) {
  Generator generator(1);
  Tensor x = randn(shape, generator);
  if (!gradient) return [=] { f(x); };
  x.requires_grad_();
  Tensor ones = ones_like(f(x));
  return [=] { grad(std::vector<Tensor>{f(x)}, {x}, {.grad_outputs = {ones}}); };
}

Step square_matmul(int64_t n) {
  Generator generator(1);
  Tensor a = randn({n, n}, generator), b = randn({n, n}, generator);
  return [=] { matmul(a, b); };
}

constexpr auto kReluMulAdd = [](auto a, auto b) { return relu(a * b + a); };
Step relu_ab_a(bool in_one_pass) {
  Generator generator(1);
  Tensor a = randn({4 << 20}, generator), b = randn({4 << 20}, generator);
  if (in_one_pass) return [=] { fused(kReluMulAdd, a, b); };
  return [=] { kReluMulAdd(a, b); };
}

Step gather_rows() {
  Generator generator(1);
  Tensor x = randn({4096, 1024}, generator), index = randint(0, 1024, {4096, 1024}, generator);
  return [=] { gather(x, 1, index); };
}

}  // namespace

std::vector<Workload> workloads() {
  const Shape matrix{4096, 1024};
  std::vector<Workload> list = {
      {"mlp_b64", "training step of Linear 784-256-10, ReLU, cross-entropy, SGD, batch 64", [] { return mlp(64); }},
      {"mlp_b1", "the same with batch 1", [] { return mlp(1); }},
      {"tiny_op", "x * x for a tensor of one element that requires a gradient: forward and record",
       [] {
         Tensor x = ones({1}).requires_grad_();
         return [x] {
           for (int i = 0; i < 1000; ++i) Tensor y = x * x;
         };
       },
       1000},
      {"relu_ab_a", "relu(a * b + a), 4 M numbers, one operation after another", [] { return relu_ab_a(false); }},
      {"fused", "the same, in one pass; PyTorch as before", [] { return relu_ab_a(true); }},
      {"gather", "gather along rows of 4096 x 1024", gather_rows},
  };
  for (int64_t n : {64, 256, 512, 1024, 2048}) {
    std::string size = std::to_string(n);
    list.push_back(
        {"matmul_" + size, "matrix product of two " + size + " x " + size, [n] { return square_matmul(n); }});
  }
  struct Kernel {
    const char *name, *what;
    Tensor (*f)(const Tensor&);
    bool gradient;
  };
  const Kernel kernels[] = {
      {"gelu", "exact GELU", [](const Tensor& x) { return gelu(x); }, false},
      {"gelu_grad", "the same and its gradient", [](const Tensor& x) { return gelu(x); }, true},
      {"softmax", "softmax of rows", [](const Tensor& x) { return softmax(x, -1); }, false},
      {"softmax_grad", "the same and its gradient", [](const Tensor& x) { return softmax(x, -1); }, true},
      {"layer_norm", "layer norm of rows", [](const Tensor& x) { return layer_norm(x, {1024}); }, false},
      {"norm_grad", "the same and its gradient", [](const Tensor& x) { return layer_norm(x, {1024}); }, true},
      {"row_sums", "sums of rows", [](const Tensor& x) { return sum(x, {1}); }, false},
      {"col_sums", "sums of columns", [](const Tensor& x) { return sum(x, {0}); }, false},
      {"transpose", "copy of the transpose", [](const Tensor& x) { return x.t().contiguous(); }, false},
      {"cumsum", "cumulative sums of rows", [](const Tensor& x) { return cumsum(x, 1); }, false},
      {"sort", "sorted rows and where they came from", [](const Tensor& x) { return sort(x, 1).values; }, false},
  };
  for (const Kernel& k : kernels) {
    list.push_back({k.name, k.what + std::string(", 4096 x 1024"), [=] { return kernel(matrix, k.f, k.gradient); }});
  }
  return list;
}

}  // namespace cr::bench
