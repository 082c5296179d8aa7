// # A million operations, nothing leaked, several threads
#include <array>
#include <cmath>
#include <thread>

#include "catch.hpp"
#include "chainrule.hpp"
#include "compare.hpp"
#include "tensor/allocator.hpp"

#if CHAINRULE_THREADS
#include <pthread.h>
#endif

using namespace cr;
using cr::test::kSanitized;

namespace {

// Runs `f` in a thread with little stack: one level of recursion for each operation would end the program. Half of it goes
// to what each thread has of its own, the emulator's shared memory.
void with_small_stack(void (*f)()) {
#if CHAINRULE_THREADS
  pthread_attr_t attributes;
  pthread_t thread;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, kSanitized ? 2 << 20 : 1 << 20);
  REQUIRE(pthread_create(
              &thread, &attributes,
              [](void* run) -> void* {
                reinterpret_cast<void (*)()>(run)();
                return nullptr;
              },
              reinterpret_cast<void*>(f)) == 0);
  pthread_join(thread, nullptr);
  pthread_attr_destroy(&attributes);
#else
  f();
#endif
}

double chain_gradient = 0;

void run_chain() {
  constexpr int kLength = kSanitized ? 100000 : 1000000;
  Tensor x = Tensor(1.0f).requires_grad_();
  Tensor y = x;
  for (int i = 0; i < kLength; ++i) y = y * (i % 2 ? 2.0 : 0.5);
  y.backward({}, true);
  chain_gradient = x.grad().item();
  Tensor dropped = y * 1;
  y = Tensor();
  dropped = Tensor();  // frees the chain
  Tensor view = ones({2}).requires_grad_() * 1;
  for (int i = 0; i < kLength / 10; ++i) view = view.unsqueeze(0)[0];
  chain_gradient += sum(view).item();
}

// Bytes held from the system after `f` ran a few times, and after it ran often.
template <class F> std::array<int64_t, 2> held(F&& f) {
  for (int i = 0; i < 20; ++i) f();
  int64_t before = allocator::stats().reserved_bytes;
  for (int i = 0; i < 500; ++i) f();
  return {before, allocator::stats().reserved_bytes};
}

}  // namespace

TEST_CASE("a chain of a million operations goes backward and is freed on a small stack", "[autograd][limits]") {
  chain_gradient = 0;
  with_small_stack(run_chain);
  CHECK(chain_gradient == 1 + 2);
}

TEST_CASE("grad through a long chain with a second derivative", "[autograd][limits]") {
  Tensor x = Tensor(1.5f).requires_grad_(), y = x * x;
  for (int i = 0; i < 20000; ++i) y = y + 0.0;
  Tensor g = grad(y, x, {.create_graph = true});
  CHECK(grad(g, x).item() == 2);
}

TEST_CASE("graphs of all kinds give their memory back", "[autograd][limits]") {
  Generator generator(1);
  Tensor w = randn({16, 16}, generator).requires_grad_(), x = randn({8, 16}, generator);

  auto first = held([&] {
    w.set_grad({});
    sum(square(tanh(matmul(x, w)))).backward();
  });
  CHECK(first[1] == first[0]);

  auto second = held([&] {
    Tensor g = grad(sum(square(tanh(matmul(x, w)))), w, {.create_graph = true});
    grad(sum(square(g)), w);
  });
  CHECK(second[1] == second[0]);

  auto dropped = held([&] {
    Tensor g = grad(sum(sigmoid(matmul(x, w)) * exp(x)), w, {.create_graph = true});
    Tensor unused = square(g) * 2;
  });
  CHECK(dropped[1] == dropped[0]);

  auto written = held([&] {
    Tensor b = w * 1, v = b[0];
    v.mul_(w[1]);
    b[{Slice{1, 5, 2}, Slice{}}] = w[Slice{0, 2}];
    v.add_(b[3]);
    grad(sum(b * b), w);
  });
  CHECK(written[1] == written[0]);

  auto hooked = held([&] {
    Tensor y = w * 2;
    Tensor kept = x;
    y.register_hook([kept](const Tensor& g) { return g * sum(kept); });
    grad(sum(y), w);
  });
  CHECK(hooked[1] == hooked[0]);

  auto failed = held([&] {
    Tensor y = exp(w * 1);
    y.mul_(2);
    CHECK_THROWS_AS(grad(sum(y), w), AutogradError);
  });
  CHECK(failed[1] == failed[0]);
}

TEST_CASE("two threads build and differentiate graphs that share leaves", "[autograd][limits]") {
#if CHAINRULE_THREADS
  Generator generator(2);
  Tensor w = randn({20, 20}, generator, DType::float64).requires_grad_(),
         x = randn({10, 20}, generator, DType::float64);
  Tensor alone = grad(sum(tanh(matmul(x, w))), w);
  constexpr int kRounds = 200;
  auto work = [&] {
    for (int i = 0; i < kRounds; ++i) sum(tanh(matmul(x, w))).backward();
  };
  std::thread a(work), b(work);
  a.join();
  b.join();
  CHECK(test::difference(w.grad(), alone * (2 * kRounds), 2000, 1) == "");
  // NoGrad is a matter of each thread.
  bool recorded = false;
  NoGrad off;
  std::thread([&] { recorded = (w * 2).requires_grad(); }).join();
  CHECK(recorded);
#else
  SKIP("this build has no threads");
#endif
}
