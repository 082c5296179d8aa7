// # Memory that runs out in the middle
//
// Every operation here is run again and again: the first time the system has no memory for it at all, the second time it has
// one block, then two, until it is enough. Each time before, the operation must throw `OutOfMemory`, whichever thread and
// whichever kernel asked; and in the end the result must be what it was when there was plenty.
#include <atomic>
#include <cstdlib>
#include <functional>

#include "backend/parallel.hpp"
#include "catch.hpp"
#include "chainrule.hpp"
#include "compare.hpp"
#include "machine.hpp"
#include "tensor/allocator.hpp"

using namespace cr;
using namespace cr::test;

namespace {
std::atomic<int64_t> blocks_left = INT64_MAX;
}

// The allocator's only source, so that the tests can close it.
extern "C" void* aligned_alloc(size_t alignment, size_t size) noexcept {
  void* block = nullptr;
  if (blocks_left.fetch_sub(1) <= 0 || ::posix_memalign(&block, alignment, size) != 0) return nullptr;
  return block;
}

namespace {

using Results = std::vector<Tensor>;

// How often `f` ran out of memory before it had enough, and what was wrong, in words.
struct Outcome {
  int failures = 0;
  std::string wrong;
};
Outcome run_short_of_memory(const std::function<Results()>& f) {
  Outcome outcome;
  const Results want = f();
  for (int64_t blocks = 0; blocks < 1000; ++blocks) {
    allocator::release_cached();
    blocks_left = blocks;
    try {
      const Results got = f();
      blocks_left = INT64_MAX;
      for (size_t i = 0; i < got.size(); ++i) outcome.wrong += difference(got[i], want[i]);
      return outcome;
    } catch (const OutOfMemory&) {
      blocks_left = INT64_MAX;
      ++outcome.failures;
    }
  }
  outcome.wrong = "never enough";
  return outcome;
}

// The value and its gradients.
std::function<Results()> with_gradients(const Results& leaves, std::function<Tensor()> f) {
  return [leaves, f] {
    Tensor y = f();
    Results all = grad(std::vector<Tensor>{sum(square(y))}, leaves);
    all.push_back(y.detach());
    return all;
  };
}

}  // namespace

TEST_CASE("an operation that runs out of memory throws, and works when there is enough", "[ops][memory]") {
  Generator g(1);
  auto leaf = [&](const Shape& shape) { return randn(shape, g).requires_grad_(); };
  Tensor a = leaf({300, 900}), b = leaf({900, 200}), image = leaf({8, 6, 20, 20}), filters = leaf({10, 6, 3, 3});
  Tensor images = leaf({32, 20, 8, 8}), nine = leaf({20, 20, 3, 3});  // these by Winograd's rule
  Tensor spread = leaf({6, 10, 4, 4}), bias = leaf({10});
  Tensor q = leaf({2, 4, 150, 16}), sequence = leaf({5, 16, 20}), table = leaf({50, 30});
  Results params = {leaf({4 * 40, 20}), leaf({4 * 40, 40}), leaf({4 * 40}), leaf({4 * 40})};
  Results recurrent_leaves = params;
  recurrent_leaves.push_back(sequence);
  const std::vector<std::pair<const char*, std::function<Results()>>> operations = {
      {"matmul", with_gradients({a, b}, [=] { return matmul(a, b); })},
      {"matmul of columns", with_gradients({a, b}, [=] { return matmul(b.t(), a.t()); })},
      {"conv2d", with_gradients({image, filters, bias}, [=] { return conv2d(image, filters, bias, {.padding = 1}); })},
      {"conv2d of many images",
       with_gradients({images, nine}, [=] { return conv2d(images, nine, {}, {.padding = 1}); })},
      {"conv2d by two", with_gradients({image, filters}, [=] { return conv2d(image, filters, {}, {.stride = 2}); })},
      {"conv_transpose2d",
       with_gradients({image, spread}, [=] { return conv_transpose2d(image, spread, {}, {.stride = 2}); })},
      {"max_pool2d", with_gradients({image}, [=] { return max_pool2d(image, 3); })},
      {"avg_pool2d", with_gradients({image}, [=] { return avg_pool2d(image, 2); })},
      {"attention", with_gradients({q}, [=] { return scaled_dot_product_attention(q, q, q, {.is_causal = true}); })},
      {"lstm", with_gradients(recurrent_leaves, [=] { return lstm(sequence, {}, params).output; })},
      {"embedding", with_gradients({table}, [=] { return embedding(arange(40), table); })},
      {"softmax", with_gradients({a}, [=] { return softmax(a, 1); })},
  };
  for (int n : {1, 2}) {
    Threads own(n);
    for (const auto& [name, f] : operations) {
      Outcome outcome = run_short_of_memory(f);
      INFO(name << " with " << n << " threads");
      CHECK(outcome.wrong == "");
      CHECK(outcome.failures > 0);
    }
  }
}

TEST_CASE("what ran out of memory keeps none", "[ops][memory]") {
  if (!allocator::caches()) SKIP("this build's allocator keeps no account");
  Generator g(2);
  Tensor image = randn({8, 6, 20, 20}, g).requires_grad_(), filters = randn({10, 6, 3, 3}, g).requires_grad_();
  auto f = with_gradients({image, filters}, [=] { return relu(conv2d(image, filters, {}, {.padding = 1})); });
  f();
  allocator::release_cached();
  const int64_t before = allocator::stats().reserved_bytes;
  run_short_of_memory(f);
  allocator::release_cached();
  CHECK(allocator::stats().reserved_bytes <= before + 65536);  // the other threads' small blocks
}
