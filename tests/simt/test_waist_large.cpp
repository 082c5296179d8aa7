// # What only larger tensors do
//
// A kernel chooses its way by size: rows for a thread, a warp or a block, sums in pieces, tiles that are transposed, lines
// that several threads share. The operations' own tests are small; these are large enough for every way.
#include "backend/backend.hpp"

#if CHAINRULE_SIMT
#include <functional>

#include "backend/gpu_options.hpp"
#include "backend/simt/launch.hpp"
#include "catch.hpp"
#include "chainrule.hpp"
#include "compare.hpp"

using namespace cr;
using namespace cr::test;

namespace {

// f of x on the CPU and of x on the emulator; `ulps` of the result's largest number apart.
void agree(const Tensor& x, double ulps, const std::function<Tensor(const Tensor&)>& f) {
  const Tensor want = f(x), got = f(x.to(Device::simt));
  REQUIRE(got.device() == Device::simt);
  CHECK(difference(got.to(Device::cpu), want, ulps, ulps > 0) == "");
}

Tensor numbers(const Shape& shape, DType type = DType::float32) {
  Generator g(5);
  return (rand(shape, g) * 10.0 - 3.0).to(type);
}

Tensor indices(const Shape& shape, int64_t below) {
  Generator g(6);
  return randint(0, below, shape, g);
}

// Options changed by a test end with it.
struct KeepOptions {
  backend::GpuOptions before = backend::gpu_options();
  ~KeepOptions() { backend::gpu_options() = before; }
};

}  // namespace

TEST_CASE("simt: sums and extremes of long rows, tall columns and everything", "[simt]") {
  for (DType type : {DType::float32, DType::float64, DType::int64, DType::boolean}) {
    CAPTURE(name(type));
    for (const Tensor& x : {numbers({3, 700}, type), numbers({2, 40000}, type), numbers({40001, 3}, type),
                            numbers({300, 70}, type), numbers({5, 33, 65}, type).transpose(0, 2)}) {
      CAPTURE(to_string(x.shape()));
      const double ulps = is_floating(type) ? 4 : 0;
      for (int d = 0; d < x.dim(); ++d) {
        agree(x, ulps, [&](const Tensor& t) { return t.sum({d}); });
        agree(x, 0, [&](const Tensor& t) { return amax(t, {d}); });
        agree(x, 0, [&](const Tensor& t) { return argmax(t, d); });
        agree(x, 0, [&](const Tensor& t) { return argmin(t, d); });
      }
      agree(x, ulps, [](const Tensor& t) { return t.sum(); });
      agree(x, 0, [](const Tensor& t) { return amin(t); });
      agree(x, 0, [](const Tensor& t) { return argmax(t); });
    }
  }
}

TEST_CASE("simt: softmax of rows for a thread, a warp and a block", "[simt]") {
  for (DType type : {DType::float32, DType::float64}) {
    for (int64_t n : {3, 32, 33, 500, 1500}) {
      CAPTURE(name(type), n);
      const Tensor x = numbers({70, n}, type), labels = indices({70}, n);
      auto gradient = [&](const std::function<Tensor(const Tensor&)>& f) {
        agree(x, 100, [&](const Tensor& t) {  // what is left of sums that nearly cancel
          const Tensor leaf = t.detach().requires_grad_();
          return grad((f(leaf) * t).sum(), leaf);
        });
      };
      agree(x, 4, [](const Tensor& t) { return softmax(t, -1); });
      agree(x, 4, [](const Tensor& t) { return log_softmax(t, -1); });
      agree(x, 2, [](const Tensor& t) { return logsumexp(t, {-1}); });
      gradient([](const Tensor& t) { return softmax(t, -1); });
      gradient([](const Tensor& t) { return log_softmax(t, -1); });
      gradient([&](const Tensor& t) { return cross_entropy(t, labels.to(t.device())); });
    }
  }
}

TEST_CASE("simt: copies that transpose, and copies of any type", "[simt]") {
  for (DType type : {DType::float32, DType::float64, DType::int64, DType::boolean, DType::float16}) {
    CAPTURE(name(type));
    agree(numbers({70, 45}, type), 0, [](const Tensor& t) { return t.t().contiguous(); });
    agree(numbers({3, 40, 50}, type), 0, [](const Tensor& t) { return t.permute({0, 2, 1}).contiguous(); });
    agree(numbers({33, 4, 50}, type), 0, [](const Tensor& t) { return t.permute({2, 1, 0}).contiguous(); });
    agree(numbers({5003}, type), 0, [](const Tensor& t) { return t.slice(0, {1, 5003, 1}).clone(); });
    for (DType to : {DType::float32, DType::float64, DType::int64, DType::boolean, DType::float16, DType::bfloat16})
      agree(numbers({101}, type), 0, [&](const Tensor& t) { return t.to(to); });
  }
}

TEST_CASE("simt: long lines are placed in order, by several threads", "[simt]") {
  const Tensor rows = indices({3000}, 7), values = numbers({3000, 5});
  agree(zeros({7, 5}), 0, [&](const Tensor& t) { return index_add(t, 0, rows.to(t.device()), values.to(t.device())); });
  agree(zeros({50, 9}), 0, [&](const Tensor& t) {
    return scatter(t, 0, indices({400, 9}, 50).to(t.device()), numbers({400, 9}).to(t.device()));
  });
  agree(numbers({9, 41}), 0, [&](const Tensor& t) { return gather(t, 1, indices({9, 3000}, 41).to(t.device())); });
}

TEST_CASE("simt: gradients of views whose elements share memory", "[simt]") {
  auto through = [](const Tensor& x, const std::function<Tensor(const Tensor&)>& view) {
    agree(x, 4, [&](const Tensor& t) {
      const Tensor leaf = t.detach().requires_grad_(), y = view(leaf);
      Generator g(2);
      return grad((y * rand(y.shape(), g).to(t.device())).sum(), leaf);
    });
  };
  through(numbers({4, 90}), [](const Tensor& t) { return t.unfold(1, 7, 3); });
  through(numbers({90, 4}), [](const Tensor& t) { return t.unfold(0, 7, 2); });
  through(numbers({60}), [](const Tensor& t) { return t.as_strided({5, 6, 7}, {3, 2, 4}); });
}

TEST_CASE("simt: random numbers are the CPU's", "[simt]") {
  auto draw = [](Device device) {
    Generator g(9);
    std::vector<Tensor> drawn;
    for (int64_t n : {1, 7, 5001}) {
      for (DType type : {DType::float32, DType::float64}) {
        drawn.push_back(empty({n}, type, device));
        backend::on(device).random(drawn.back(), backend::Random::uniform, g.reserve(20000), 0, 0);
        drawn.push_back(empty({n}, type, device));
        backend::on(device).random(drawn.back(), backend::Random::normal, g.reserve(20000), 0, 0);
      }
      drawn.push_back(empty({n}, DType::int64, device));
      backend::on(device).random(drawn.back(), backend::Random::randint, g.reserve(20000), -5, int64_t{3} << 61);
    }
    return drawn;
  };
  const std::vector<Tensor> want = draw(Device::cpu), got = draw(Device::simt);
  for (size_t i = 0; i < want.size(); ++i) CHECK(difference(got[i].to(Device::cpu), want[i], 0) == "");
}

TEST_CASE("simt: an index out of range names the operation, and nothing is written", "[simt]") {
  const Tensor x = numbers({5, 3}).to(Device::simt), before = x.clone();
  auto at = [](int64_t i) { return full({2, 3}, i, DType::int64).to(Device::simt); };
  REQUIRE_THROWS_WITH(gather(x, 0, at(5)), "gather: index 5 is out of range for a dimension of size 5");
  const Tensor bad = at(1);
  bad[{1, 2}] = 17;
  REQUIRE_THROWS_AS(backend::on(Device::simt).scatter(x, 0, bad, at(1).to(DType::float32), backend::Place::add, "here"),
                    IndexError);
  CHECK(difference(x.to(Device::cpu), before.to(Device::cpu), 0) == "");
  const Tensor labels = at(0).slice(0, {0, 1, 1}).reshape({3}).clone();
  labels[1] = 9;
  REQUIRE_THROWS_WITH(cross_entropy(x.t().contiguous(), labels),
                      "cross_entropy: label 9 in row 1, but there are 5 classes");
}
// Factors rounded to TF32 or bfloat16 are off by a share of themselves, so a product by twice that share of the product of
// sizes; and the emulator's tensor core, unlike a GPU's, adds in float32 order.
TEST_CASE("simt: products of rounded factors", "[simt]") {
  const KeepOptions keep;
  for (backend::Precision precision : {backend::Precision::tf32, backend::Precision::bf16}) {
    const double share = precision == backend::Precision::tf32 ? 0x1p-11 : 0x1p-8;
    for (int64_t m : {32, 129, 200}) {
      for (int64_t n : {33, 130}) {
        for (int64_t k : {1, 17, 96, 1100}) {
          const Tensor a = numbers({m, k}), b = numbers({n, k}).t(), bias = numbers({n});
          auto multiply = [&](Device device, backend::Precision p) {
            backend::gpu_options().precision = p;
            Tensor c = full({m, n}, 1.0, DType::float32, device);
            const Tensor on_device = bias.to(device);
            backend::on(device).gemm(c, a.to(device), b.to(device), {.accumulate = true, .bias = &on_device});
            return c.to(Device::cpu);
          };
          const Tensor rounded = multiply(Device::simt, precision),
                       plain = multiply(Device::simt, backend::Precision::fp32);
          const Tensor bound = matmul(abs(a), abs(b)) * (2 * share + share * share) + 1e-5;
          CAPTURE(m, n, k, share);
          CHECK(amax(abs(rounded - plain) / bound).item() <= 1);
          if (k > 1) CHECK(amax(abs(rounded - plain)).item() > 0);  // it does round
        }
      }
    }
  }
}

// More columns than a grid has blocks for, if each had to have one.
TEST_CASE("simt: a few columns of very many rows", "[simt]") {
  const backend::simt::Unwatched unwatched;
  const Tensor x = numbers({262'200, 64}), w = numbers({64, 1});
  CHECK(difference(matmul(x.to(Device::simt), w.to(Device::simt)).to(Device::cpu), matmul(x, w), 64, true) == "");
}

// In any order: whole numbers add up to the same, others nearly.
TEST_CASE("simt: --fast adds at places by atomics", "[simt]") {
  const KeepOptions keep;
  backend::gpu_options().fast = true;
  for (DType type : {DType::float32, DType::float64, DType::int64}) {
    CAPTURE(name(type));
    const Tensor x = numbers({50, 7}, type), from = numbers({400, 7}, type), index = indices({400, 7}, 50);
    for (int d : {0, 1}) {
      auto add = [&](Device device) {
        const auto at = d == 0 ? index : index.t();
        return scatter_add((d == 0 ? x : x.t()).to(device), d, at.to(device), (d == 0 ? from : from.t()).to(device));
      };
      CHECK(difference(add(Device::simt).to(Device::cpu), add(Device::cpu), is_floating(type) ? 16 : 0,
                       is_floating(type)) == "");
    }
  }
}
// Windows that overlap a little or a lot, rows that repeat, both; and steps so small that no phases help.
TEST_CASE("simt: where windows overlap, all is added", "[simt]") {
  struct Case {
    Shape shape;
    Strides strides;
  };
  for (const Case& c : {Case{{400, 7}, {3, 1}},
                        {{7, 400}, {1, 3}},
                        {{5, 300, 9}, {1000, 2, 1}},
                        {{30, 40}, {0, 1}},
                        {{50, 60}, {0, 0}},
                        {{6, 200, 4}, {0, 2, 1}},
                        {{100, 90, 3}, {1, 1, 1}},
                        {{20, 30, 4}, {1, 7, 2}}}) {
    for (DType type : {DType::float32, DType::float64, DType::int64}) {
      CAPTURE(to_string(c.shape), to_string(c.strides), name(type));
      int64_t extent = 1;
      for (int d = 0; d < c.shape.size(); ++d) extent += (c.shape[d] - 1) * c.strides[d];
      auto add = [&](Device device) {
        const Tensor base = numbers({extent}, type).to(device);
        backend::on(device).add_overlapping(window(base, c.shape, c.strides, 0), numbers(c.shape, type).to(device));
        return base.to(Device::cpu);
      };
      CHECK(difference(add(Device::simt), add(Device::cpu), is_floating(type) ? 256 : 0, is_floating(type)) == "");
    }
  }
}
#endif
