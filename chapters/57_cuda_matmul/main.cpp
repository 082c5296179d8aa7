#include <cstdio>
#include <chrono>
#include <cmath>
#include "ladder.hpp"
#include "chainrule.hpp"
#include "rung_2_coalesced.cuh"
#include "rung_11_bf16.cuh"
int main() {
  auto k = cr::backend::simt::kernels();
  using namespace cr;
  for (int64_t n : {128, 256}) {
  Generator r(1);
  Tensor a = randn({n, n}, r), b = randn({n, n}, r), c = zeros({n, n}), want = matmul(a, b);
  for (auto& rung : k.ladder) {
    auto t0 = std::chrono::steady_clock::now();
    c.fill_(NAN);
    rung.multiply({n, n, n, a.data<float>(), b.data<float>(), c.mutable_data<float>()});
    double s = std::chrono::duration<double>(std::chrono::steady_clock::now() - t0).count();
    std::printf("%s %g s, error %g\n", rung.name.c_str(), s, amax(abs(c - want)).item());
  }
  }
}
