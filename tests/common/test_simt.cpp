// # The emulator and its backend
#include "backend/backend.hpp"

#if CHAINRULE_SIMT
#include <cmath>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "backend/simt/launch.hpp"
#include "catch.hpp"
#include "chainrule.hpp"

using namespace cr;
using namespace cr::backend::simt;

namespace {

// Kernels for the tests. Each writes what a thread saw where the host can see it.
__global__ void who_am_i(int* out) {
  unsigned thread = (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;
  unsigned block = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
  unsigned i = block * blockDim.x * blockDim.y * blockDim.z + thread;
  out[i] += static_cast<int>(i) + 1;
}

// Sums a block's numbers pairwise: one barrier for each halving.
__global__ void block_sum(const float* x, float* out) {
  auto* sum = dynamic_shared<float>();
  unsigned t = threadIdx.x;
  sum[t] = x[blockIdx.x * blockDim.x + t];
  for (unsigned half = blockDim.x / 2; half > 0; half /= 2) {
    __syncthreads();
    if (t < half) sum[t] += sum[t + half];
  }
  if (t == 0) out[blockIdx.x] = sum[0];
}

__global__ void return_early(unsigned from_block) {
  if (blockIdx.x >= from_block && threadIdx.x % 3 == 2) return;
  __syncthreads();
}

__global__ void reads_unwritten(float* out) { out[threadIdx.x] = dynamic_shared<float>()[threadIdx.x]; }

std::string message_of(const std::function<void()>& f) {
  try {
    f();
  } catch (const DeviceError& e) {
    return e.what();
  }
  return "";
}

// The same bits; any NaN equals any other.
bool same_bits(const Tensor& x, const Tensor& y) {
  REQUIRE(x.shape() == y.shape());
  REQUIRE(x.dtype() == y.dtype());
  return dispatch(x.dtype(), [&](auto t) {
    using T = decltype(t);
    Tensor a = x.to(Device::cpu).contiguous(), b = y.to(Device::cpu).contiguous();
    for (int64_t i = 0; i < a.numel(); ++i) {
      T p = a.data<T>()[i], q = b.data<T>()[i];
      if (std::memcmp(&p, &q, sizeof(T)) != 0 && (p == p || q == q)) return false;
    }
    return true;
  });
}

double largest_difference(const Tensor& x, const Tensor& y) {
  if (x.numel() == 0) return 0;
  return amax(abs(x.to(Device::cpu) - y.to(Device::cpu))).item<double>();
}

constexpr DType kTypes[] = {DType::boolean, DType::int64, DType::float32, DType::float64};

// Numbers of both signs, zeros and, for floating types, ∞, NaN, tiny and huge ones.
Tensor numbers(const Shape& shape, DType type, uint64_t seed) {
  Generator g(seed);
  Tensor x = (randn(shape, g) * 3.0).to(type);
  if (is_floating(type) && x.numel() > 8) {
    double special[] = {0.0, -0.0, INFINITY, -INFINITY, NAN, 1e-40, 80.0, -200.0};
    Tensor flat = x.view({-1});
    for (int64_t i = 0; i < 8; ++i) flat[(i * 5 + static_cast<int64_t>(seed)) % x.numel()] = special[i];
  }
  return x;
}

// x on the emulator, with the same strides: what lies in its storage, and then the same window onto it.
Tensor there(const Tensor& x) {
  const int64_t n = x.impl()->storage->bytes() / size_of(x.dtype());
  Tensor all = window(x, {n}, {1}, 0).to(Device::simt);
  return window(all, x.shape(), x.strides(), x.impl()->offset);
}

// Runs map number f on both backends. False where both refuse the type.
bool agree(int f, DType out_type, const Shape& shape, const std::vector<backend::Operand>& in) {
  Tensor here = zeros(shape, out_type), out = zeros(shape, out_type, Device::simt);
  std::vector<Tensor> moved;
  for (const backend::Operand& x : in) moved.push_back(x.tensor ? there(*x.tensor) : Tensor());
  std::vector<backend::Operand> in_there = in;
  for (size_t k = 0; k < in.size(); ++k) {
    if (in[k].tensor) in_there[k] = backend::Operand(moved[k]);
  }
  std::string refused;
  try {
    backend::on(Device::cpu).map(f, here, in);
  } catch (const DTypeError& e) {
    refused = e.what();
  }
  if (!refused.empty()) {
    REQUIRE_THROWS_WITH(backend::on(Device::simt).map(f, out, in_there), refused);
    return false;
  }
  backend::on(Device::simt).map(f, out, in_there);
  REQUIRE(same_bits(here, out));
  return true;
}

template <class... F> std::vector<int> arities(functor::List<F...>) { return {F::kArity...}; }

}  // namespace

TEST_CASE("every thread of every block runs once and knows its place", "[simt]") {
  std::vector<int> seen(2 * 3 * 2 * 4 * 5 * 3, 0);
  launch("who", who_am_i, {.blocks = {2, 3, 2}, .threads = {4, 5, 3}}, seen.data());
  for (size_t i = 0; i < seen.size(); ++i) REQUIRE(seen[i] == static_cast<int>(i) + 1);
}

TEST_CASE("blocks of 1024 threads meet at barriers and share memory", "[simt]") {
  std::vector<float> x(3 * 1024), sums(3);
  for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i);
  launch("block_sum", block_sum, {.blocks = {3}, .threads = {1024}, .shared_bytes = 4096}, x.data(), sums.data());
  for (size_t b = 0; b < 3; ++b) REQUIRE(sums[b] == 1024 * 1023 / 2 + 1024.f * 1024.f * static_cast<float>(b));

  std::vector<float> unwritten(32, 0);
  launch("unwritten", reads_unwritten, {.blocks = {1}, .threads = {32}, .shared_bytes = 128}, unwritten.data());
  for (float v : unwritten) REQUIRE(std::isnan(v));
}

TEST_CASE("a barrier that some threads never reach is reported with names", "[simt]") {
  Grid grid{.blocks = {4}, .threads = {8}};
  auto diverge = [&] { launch("return_early", return_early, grid, 2u); };
  std::string expected =
      "return_early: block (2, 0, 0), thread (0, 0, 0) waits at __syncthreads, but thread (2, 0, 0) has returned: "
      "all threads of a block must reach the same barriers";
  REQUIRE(message_of(diverge) == expected);
  REQUIRE(message_of(diverge) == expected);  // it left nothing behind
  REQUIRE_NOTHROW(launch("return_early", return_early, grid, 4u));
}

TEST_CASE("map: every functor and type has the CPU's bits", "[simt]") {
  auto arity = arities(functor::Maps{});
  int ran = 0;
  for (int f = 0; f < functor::Maps::size; ++f) {
    for (DType type : kTypes) {
      CAPTURE(functor::Maps::names[f], name(type));
      bool comparison = f >= functor::Maps::index_of<functor::Eq>() && f <= functor::Maps::index_of<functor::Ge>();
      DType out_type = comparison ? DType::boolean : type;
      auto n = static_cast<size_t>(arity[static_cast<size_t>(f)]);
      Tensor a = numbers({7, 9}, type, 1), b = numbers({7, 9}, type, 2), c = numbers({7, 9}, type, 3);
      auto with = [&](const Shape& shape, std::vector<backend::Operand> in) {
        in.resize(n, backend::Operand(0));
        return agree(f, out_type, shape, in);
      };
      ran += with({7, 9}, {a, b, c});

      // Transposed and sliced, broadcast, and with a number in place of the last tensor.
      Tensor wide = numbers({9, 14}, type, 4), row = numbers({1, 9}, type, 5), column = numbers({7, 1}, type, 6);
      Tensor strided = wide.t().slice(0, {0, 14, 2});
      with({7, 9}, {strided, row, column});
      with({7, 9}, {column, strided, row});
      with({2, 7, 9}, {a, strided, row});
      if (n > 1) with({7, 9}, n == 2 ? std::vector<backend::Operand>{a, 2} : std::vector<backend::Operand>{a, b, 2});
      with({0, 9}, {zeros({0, 9}, type), zeros({0, 9}, type), row});
      with({}, {numbers({}, type, 7), numbers({}, type, 8), numbers({}, type, 9)});
    }
  }
  REQUIRE(ran > 60);
}

TEST_CASE("map: more elements than threads, and writing to a view", "[simt]") {
  Generator g(1);
  Tensor x = randn({600, 1001}, g), y = randn({1001}, g);
  REQUIRE(same_bits((x.to(Device::simt) * y.to(Device::simt)), x * y));
  Tensor here = x.clone(), there = x.clone().to(Device::simt);
  here.t()[Slice{0, 1001, 3}].add_(here.t()[Slice{0, 1001, 3}], 0.5);
  there.t()[Slice{0, 1001, 3}].add_(there.t()[Slice{0, 1001, 3}], 0.5);
  REQUIRE(same_bits(here, there));
}

TEST_CASE("map: dimensions beyond what a kernel takes are refused", "[simt]") {
  Tensor x = ones(Shape(17, 2), DType::float32, Device::simt);
  Dims reversed;
  for (int d = 16; d >= 0; --d) reversed.push_back(d);
  REQUIRE_NOTHROW(x + x);
  REQUIRE_THROWS_AS(x + x.permute(reversed), DeviceError);
}

TEST_CASE("matmul: odd sizes, any strides, options", "[simt]") {
  for (DType type : {DType::float32, DType::float64}) {
    double tolerance = type == DType::float32 ? 2e-5 : 2e-14;
    for (int64_t m : {0, 1, 17, 33}) {
      for (int64_t k : {0, 1, 17, 33}) {
        for (int64_t n : {0, 1, 17, 33}) {
          CAPTURE(m, k, n, name(type));
          Generator g(static_cast<uint64_t>(m * 10000 + k * 100 + n));
          Tensor a = randn({m, k}, g).to(type), b = randn({n, k}, g).to(type), bias = randn({n}, g).to(type);
          Tensor c = randn({m, n}, g).to(type), d = c.to(Device::simt);
          Tensor wide = randn({m, 2 * k}, g).to(type), strided = wide.slice(1, {0, 2 * k, 2});
          for (const Tensor& left : {a, strided}) {
            for (bool plain : {true, false}) {
              backend::GemmOptions options;
              if (!plain) options = {.accumulate = true, .bias = &bias, .relu = true};
              backend::on(Device::cpu).gemm(c, left, b.t(), options);
              Tensor bias_there = bias.to(Device::simt);
              if (options.bias) options.bias = &bias_there;
              backend::on(Device::simt).gemm(d, there(left), there(b.t()), options);
              REQUIRE(largest_difference(c, d) <= tolerance);
            }
          }
        }
      }
    }
  }
  Tensor i = zeros({2, 2}, DType::int64, Device::simt);
  backend::on(Device::simt).gemm(i, i, i, {});
  REQUIRE(i.sum().item() == 0);
  Tensor flags = zeros({2, 2}, DType::boolean, Device::simt);
  REQUIRE_THROWS_AS(backend::on(Device::simt).gemm(flags, flags, flags, {}), DTypeError);
}

namespace {
struct Mlp {
  nn::Linear hidden{20, 33}, out{33, 5};
  Tensor operator()(const Tensor& x) const { return out(relu(hidden(x))); }
  CR_FIELDS(hidden, out)
};
}  // namespace

TEST_CASE("a network trains on simt as it does on the CPU", "[simt]") {
  Generator g(3);
  Tensor x = randn({17, 20}, g), y = randint(0, 5, {17}, g);
  Mlp here, there = to(here, Device::simt);
  REQUIRE(there.hidden.weight.device() == Device::simt);
  Tensor x_there = x.to(Device::simt), y_there = y.to(Device::simt);
  REQUIRE(x_there.device() == Device::simt);

  auto step = [](Mlp& model, const Tensor& input, const Tensor& target, optim::Optimizer& opt) {
    opt.zero_grad();
    Tensor loss = cross_entropy(model(input), target);
    loss.backward();
    opt.step();
    return loss.item<double>();
  };
  optim::SGD opt_here(parameters(here), {.lr = 0.5, .momentum = 0.9}),
      opt_there(parameters(there), {.lr = 0.5, .momentum = 0.9});
  double first = 0, last = 0;
  for (int i = 0; i < 5; ++i) {
    last = step(here, x, y, opt_here);
    if (i == 0) first = last;
    REQUIRE(step(there, x_there, y_there, opt_there) == Approx(last).epsilon(1e-5));
  }
  REQUIRE(last < 0.5 * first);
  auto p = parameters(here), q = parameters(there);
  for (size_t i = 0; i < p.size(); ++i) REQUIRE(largest_difference(p[i].detach(), q[i].detach()) < 1e-5);
}

TEST_CASE("operands on two devices are refused", "[simt]") {
  Tensor here = ones({3, 3}), there = here.to(Device::simt), label = zeros({3}, DType::int64);
  REQUIRE_THROWS_WITH(here + there, "add: operands on cpu and simt");
  REQUIRE_THROWS_AS(matmul(there, here), DeviceError);
  REQUIRE_THROWS_AS(cross_entropy(there, label), DeviceError);
  REQUIRE_THROWS_AS(where(there > 0.0, here, here), DeviceError);
}
#endif
