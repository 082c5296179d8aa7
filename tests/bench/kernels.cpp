#include "chainrule.hpp"
#include "workloads.hpp"

namespace cr::bench {
namespace {

using Inputs = std::vector<Tensor>;
using Operation = Tensor (*)(const Inputs&);

// The operation of tensors of these shapes; with `gradient`, of leaves, and their gradients for a cotangent of ones.
std::function<Step(DType)> kernel(Operation f, const std::vector<Shape>& shapes, bool gradient = false) {
  return [=](DType dtype) -> Step {
    Numbers n(dtype);
    Inputs x;
    for (const Shape& shape : shapes) x.push_back(n.uniform(-2, 2, shape).requires_grad_(gradient));
    if (!gradient) return [=] { return f(x); };
    Tensor ones = ones_like(f(x)).detach();
    return [=] { return grad(Inputs{f(x)}, x, {.grad_outputs = {ones}})[0]; };
  };
}

// One multiplication needs a tensor, a node and nothing else to speak of.
Step tiny_op(DType dtype) {
  Tensor x = ones({1}, dtype, Numbers::device).requires_grad_();
  return [x] {
    for (int i = 0; i < 1000; ++i) Tensor y = x * x;
    return x;
  };
}

Step gather_rows(DType dtype) {
  Numbers n(dtype);
  Tensor x = n.uniform(-2, 2, {4096, 1024});
  Tensor index = n.labels(1024, {4096, 1024});
  return [=] { return gather(x, 1, index); };
}

constexpr auto kReluMulAdd = [](auto a, auto b) { return relu(a * b + a); };

}  // namespace

std::vector<Workload> kernels() {
  std::vector<Workload> list;
  for (int64_t n : {64, 256, 512, 1024, 2048}) {
    std::string size = std::to_string(n);
    list.push_back({"matmul_" + size, "kernels", size + " x " + size + " times the same",
                    kernel([](const Inputs& x) { return matmul(x[0], x[1]); }, {{n, n}, {n, n}}),
                    2e-9 * static_cast<double>(n * n * n), "GFLOP"});
  }

  for (auto [channels, side] : {std::pair<int64_t, int64_t>{16, 32}, {64, 16}, {128, 8}}) {
    std::string name = "conv_c" + std::to_string(channels), image = std::to_string(side) + " x " + std::to_string(side);
    std::string what = "3 x 3 convolution of " + std::to_string(channels) + " channels of " + image + ", batch 32";
    const std::vector<Shape> shapes = {{32, channels, side, side}, {channels, channels, 3, 3}};
    auto f = [](const Inputs& x) { return conv2d(x[0], x[1], {}, {.padding = 1}); };
    double work = 2e-9 * static_cast<double>(32 * channels * channels * 9 * side * side);
    list.push_back({name, "kernels", what, kernel(f, shapes), work, "GFLOP"});
    list.push_back({name + "_grad", "more", what + ", and its gradients", kernel(f, shapes, true), 3 * work, "GFLOP"});
  }

  // Numbers that have to pass between memory and processor at least: each input once, each result once.
  const Shape matrix{4096, 1024}, vector{4 << 20};
  const double gigabytes = 4e-9 * (4 << 20);
  auto add = [&](const char* name, const char* what, Operation f, const std::vector<Shape>& shapes, double passes,
                 bool gradient = false) {
    list.push_back({name, gradient ? "more" : "kernels", what, kernel(f, shapes, gradient), passes * gigabytes, "GB"});
  };
  auto gelu_of = [](const Inputs& x) { return gelu(x[0]); };
  auto softmax_of = [](const Inputs& x) { return softmax(x[0], -1); };
  auto norm_of = [](const Inputs& x) { return layer_norm(x[0], {1024}); };
  add("gelu", "exact GELU of 4 M numbers", gelu_of, {vector}, 2);
  add("softmax", "softmax of the rows of 4096 x 1024", softmax_of, {matrix}, 2);
  add("layer_norm", "layer norm of the rows of 4096 x 1024", norm_of, {matrix}, 2);
  add(
      "relu_mul_add", "fused relu(a * b + a), 4 M numbers; PyTorch takes three operations",
      [](const Inputs& x) { return fused(kReluMulAdd, x[0], x[1]); }, {vector, vector}, 3);
  add(
      "sum", "sum of 4096 x 1024", [](const Inputs& x) { return sum(x[0]); }, {matrix}, 1);
  add(
      "row_sums", "sums of the rows of 4096 x 1024", [](const Inputs& x) { return sum(x[0], {1}); }, {matrix}, 1);
  add(
      "col_sums", "sums of the columns of 4096 x 1024", [](const Inputs& x) { return sum(x[0], {0}); }, {matrix}, 1);
  add(
      "transpose", "copy of the transpose of 4096 x 1024", [](const Inputs& x) { return x[0].t().contiguous(); },
      {matrix}, 2);
  list.push_back(
      {"tiny_op", "kernels", "x * x of one number that requires a gradient: forward and record", tiny_op, 0, "", 1000});

  add("gelu_grad", "gelu and its gradient", gelu_of, {vector}, 5, true);
  add("softmax_grad", "softmax and its gradient", softmax_of, {matrix}, 5, true);
  add("layer_norm_grad", "layer_norm and its gradient", norm_of, {matrix}, 5, true);
  auto more = [&](const char* name, const char* what, std::function<Step(DType)> make) {
    list.push_back({name, "more", what, std::move(make)});
  };
  more("relu_mul_add_3", "relu(a * b + a) in three operations, like PyTorch",
       kernel([](const Inputs& x) { return kReluMulAdd(x[0], x[1]); }, {vector, vector}));
  more("gather", "gather along the rows of 4096 x 1024", gather_rows);
  more("cumsum", "cumulative sums of the rows of 4096 x 1024",
       kernel([](const Inputs& x) { return cumsum(x[0], 1); }, {matrix}));
  more("sort", "sorted rows of 4096 x 1024, and where they came from",
       kernel([](const Inputs& x) { return sort(x[0], 1).values; }, {matrix}));
  return list;
}

}  // namespace cr::bench
