// # The allocator: size classes, steady training, running out
#include <atomic>
#include <cstring>
#include <thread>

#include "catch.hpp"
#include "chainrule.hpp"
#include "tensor/allocator.hpp"

using namespace cr;

TEST_CASE("a block holds what it was asked for, and comes back for the same size", "[memory]") {
  std::vector<int64_t> sizes;
  for (int64_t n = 0; n <= 4200; ++n) sizes.push_back(n);
  for (int64_t p = 4096; p <= int64_t{1} << 24; p *= 2)
    sizes.insert(sizes.end(), {p - 1, p, p + 1, p + p / 4, p + p / 4 + 1, p + p / 2, 2 * p - 1});
  int misaligned = 0, not_reused = 0;
  double most_wasted = 0;
  for (int64_t n : sizes) {
    int64_t before = allocator::stats().reserved_bytes;
    allocator::release_cached();
    int64_t empty = allocator::stats().reserved_bytes;
    void* block = allocator::allocate(n);
    std::memset(block, 0x5a, static_cast<size_t>(n));  // under the address sanitizer this proves the size
    misaligned += reinterpret_cast<uintptr_t>(block) % 64 != 0;
    int64_t got = allocator::stats().reserved_bytes - empty;
    if (n > 64) most_wasted = std::max(most_wasted, static_cast<double>(got - n) / static_cast<double>(got));
    CHECK((got >= n && before >= empty));
    allocator::free(block, n);
    if (!allocator::caches()) continue;
    void* again = allocator::allocate(n);
    not_reused += again != block;
    allocator::free(again, n);
  }
  CHECK(misaligned == 0);
  CHECK(not_reused == 0);
  CHECK(most_wasted <= 0.25);
}

TEST_CASE("a steady training step asks the system for nothing", "[memory]") {
  if (!allocator::caches()) SKIP("this build takes every block from the system");
  Generator g(1);
  nn::Linear hidden(64, 32, g), out(32, 10, g);
  std::vector<Tensor> parameters{hidden.weight, hidden.bias, out.weight, out.bias};
  Tensor x = randn({16, 64}, g), target = randint(0, 10, {16}, g);
  for (bool adam : {false, true}) {
    optim::SGD sgd(parameters, {.lr = 0.01, .momentum = 0.9});
    optim::Adam other(parameters);
    auto step = [&] {
      auto& optimizer = adam ? static_cast<optim::Optimizer&>(other) : sgd;
      optimizer.zero_grad();
      cross_entropy(out(relu(hidden(x))), target).backward();
      optimizer.step();
    };
    step();
    step();
    allocator::Stats before = allocator::stats();
    for (int i = 0; i < 100; ++i) step();
    CHECK(allocator::stats().system_allocations == before.system_allocations);
    CHECK(allocator::stats().reserved_bytes == before.reserved_bytes);
  }
}

TEST_CASE("memory that one thread frees another can use", "[memory]") {
#if CHAINRULE_THREADS
  auto round = [] {
    std::vector<Tensor> batch;
    std::thread([&] {
      for (int i = 0; i < 200; ++i) batch.push_back(ones({i % 2 ? 10 : 5000}));
    }).join();
    batch.clear();
  };
  for (int i = 0; i < 3; ++i) round();
  int64_t before = allocator::stats().reserved_bytes;
  for (int i = 0; i < 50; ++i) round();
  CHECK(allocator::stats().reserved_bytes <= before + (allocator::caches() ? 64 * 5100 * 4 : 0));
#else
  SKIP("this build has no threads");
#endif
}

// Threads are dealt out to eight lists in turn, so of nine new ones at most two share ours.
TEST_CASE("a thread gets back the memory that it freed itself", "[memory]") {
#if CHAINRULE_THREADS
  if (!allocator::caches()) SKIP("this build takes every block from the system");
  constexpr int64_t kBytes = 3 << 20;
  int own = 0;
  for (int i = 0; i < 9; ++i) {
    allocator::release_cached();
    void *mine = allocator::allocate(kBytes), *other = allocator::allocate(kBytes);
    std::atomic<int> turn{0};
    std::thread thread([&] {
      allocator::free(other, kBytes);
      turn = 1, turn.notify_one();
      turn.wait(1);
      void *first = allocator::allocate(kBytes), *second = allocator::allocate(kBytes);
      own += first == other;
      CHECK((first == other || first == mine));
      CHECK(second == (first == other ? mine : other));  // none of its own is left, so another's
      allocator::free(second, kBytes);
      allocator::free(first, kBytes);
    });
    turn.wait(0);
    allocator::free(mine, kBytes);  // later than the other block
    turn = 2, turn.notify_one();
    thread.join();
    void* again = allocator::allocate(kBytes);  // of a thread that is no more
    CHECK((again == mine || again == other));
    allocator::free(again, kBytes);
  }
  CHECK(own >= 7);
#else
  SKIP("this build has no threads");
#endif
}

TEST_CASE("running out of memory is an exception, and the library goes on", "[memory]") {
  // Past the largest block, past 2⁶³ with the header added, and past it in bytes.
  CHECK_THROWS_AS(zeros({int64_t{1} << 46}), OutOfMemory);
  CHECK_THROWS_AS(empty({(int64_t{1} << 60) - 1}, DType::float64), OutOfMemory);
  CHECK_THROWS_AS(empty({(int64_t{1} << 61) - 1}), OutOfMemory);
  CHECK_THROWS_AS(empty({int64_t{1} << 62}, DType::float64), ShapeError);
  CHECK_THROWS_AS(matmul(zeros({1 << 30, 0}), zeros({0, 1 << 30})), OutOfMemory);
  CHECK_THROWS_AS(ones({1}).expand({int64_t{1} << 50}).clone(), OutOfMemory);
  Tensor x = ones({3}).requires_grad_();
  CHECK_THROWS_AS(x.unsqueeze(1).expand({3, int64_t{1} << 50}) * 2, OutOfMemory);
  sum(x * 2).backward();
  CHECK(sum(x.grad()).item() == 6);
  int64_t before = allocator::stats().reserved_bytes;
  for (int i = 0; i < 100; ++i) {
    try {
      Tensor y = x * 3;
      zeros({int64_t{1} << 50});
    } catch (const OutOfMemory& e) {
      CHECK(std::string(e.what()).find("out of memory") == 0);
    }
  }
  CHECK(allocator::stats().reserved_bytes <= before + 4096);
}

TEST_CASE("memory of others can be looked at", "[memory]") {
  static int freed = 0;
  float numbers[] = {1, 2, 3, 4, 5, 6};
  {
    auto storage = Storage::wrap(
        numbers, sizeof numbers, Device::cpu, [](void* context) { ++*static_cast<int*>(context); }, &freed);
    auto impl = Ref<TensorImpl>::adopt(new TensorImpl);
    impl->storage = storage;
    impl->shape = {6};
    impl->strides = {1};
    impl->numel = 6;
    Tensor x(impl), m = x.view({2, 3}).t();
    m.mul_(2);
    CHECK(sum(m[0]).item() == 10);
  }
  CHECK(freed == 1);
  CHECK(numbers[5] == 12);
}
