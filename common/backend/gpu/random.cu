// # Random numbers
//
// Philox (`philox.hpp`) makes four words of a counter, so every thread can begin where it likes: thread i takes block i and
// makes two or four numbers of it, the same ones as on any other device.
#include "backend/gpu/gpu.cuh"
#include "backend/gpu/places.cuh"
#include "backend/gpu/waist.hpp"
#include "backend/philox.hpp"

namespace cr::backend::CR_GPU {
namespace {

// What a block of words becomes.
template <class T> using Numbers = Pack<T>;
__device__ inline void uniform(const PhiloxBlock& b, Numbers<float>& y) {
  for (int k = 0; k < 4; ++k) y.x[k] = to_uniform(b.word[k]);
}
__device__ inline void uniform(const PhiloxBlock& b, Numbers<double>& y) {
  for (int k = 0; k < 2; ++k) y.x[k] = to_uniform(join_words(b.word[2 * k], b.word[2 * k + 1]));
}
__device__ inline void normal(const PhiloxBlock& b, Numbers<float>& y) {
  const NormalPair<float> p = to_normal(b.word[0], b.word[1]), q = to_normal(b.word[2], b.word[3]);
  y.x[0] = p.first, y.x[1] = p.second, y.x[2] = q.first, y.x[3] = q.second;
}
__device__ inline void normal(const PhiloxBlock& b, Numbers<double>& y) {
  const NormalPair<double> p = to_normal(join_words(b.word[0], b.word[1]), join_words(b.word[2], b.word[3]));
  y.x[0] = p.first, y.x[1] = p.second;
}

template <bool gaussian, class T> __global__ void random_kernel(int64_t n, T* out, RandomState from) {
  constexpr int kSize = Numbers<T>::kSize;
  for (int64_t i = first_element(); i * kSize < n; i += all_threads()) {
    const PhiloxBlock words = random_block(from.seed, from.stream, from.position / 4 + static_cast<uint64_t>(i));
    Numbers<T> y;
    if constexpr (gaussian) normal(words, y);
    else uniform(words, y);
    for (int k = 0; k < kSize && i * kSize + k < n; ++k) out[i * kSize + k] = y.x[k];
  }
}

// Of the $2^{64}$ words, those below `threshold` would make some remainders likelier than others. Such a word is drawn again,
// from the same place of another stream, so that the numbers behind it stay where they are.
__global__ void randint_kernel(int64_t n, int64_t* out, RandomState from, int64_t lo, uint64_t size,
                               uint64_t threshold) {
  constexpr int kAttemptShift = 48;
  for (int64_t i = first_element(); i < n; i += all_threads()) {
    uint64_t bits = 0;
    for (uint64_t attempt = 0; attempt == 0 || bits < threshold; ++attempt) {
      const uint64_t stream = from.stream ^ attempt << kAttemptShift;
      const PhiloxBlock b = random_block(from.seed, stream, from.position / 4 + static_cast<uint64_t>(i) / 2);
      bits = i % 2 ? join_words(b.word[2], b.word[3]) : join_words(b.word[0], b.word[1]);
    }
    out[i] = static_cast<int64_t>(static_cast<uint64_t>(lo) + bits % size);
  }
}

}  // namespace

void Waist::random(const Tensor& out, Random kind, const RandomState& from, int64_t lo, int64_t hi) {
  const int64_t n = out.numel();
  if (n == 0) return;
  if (kind == Random::randint) {
    if (lo >= hi) throw Error("randint: [" + std::to_string(lo) + ", " + std::to_string(hi) + ") is empty");
    const uint64_t size = static_cast<uint64_t>(hi) - static_cast<uint64_t>(lo), threshold = (0 - size) % size;
    return launch("randint", randint_kernel, grid_for(n), n, elements<int64_t>(out), from, lo, size, threshold);
  }
  dispatch_floating(out.dtype(), "random", [&](auto t) {
    using T = decltype(t);
    auto* kernel = kind == Random::normal ? random_kernel<true, T> : random_kernel<false, T>;
    launch(kind == Random::normal ? "randn" : "rand", kernel, grid_for(n / Numbers<T>::kSize + 1), n, elements<T>(out),
           from);
  });
}

}  // namespace cr::backend::CR_GPU
