// # Finding what is not zero
//
// Where the coordinates of an element go depends on how many are found before it. So x is read twice: every block counts what
// its 1024 elements have, a running sum of the counts says where each block begins, and then every block writes what it
// finds. The host has to know the total in between, to make the result.
#include "backend/gpu/block.cuh"
#include "backend/gpu/gpu.cuh"
#include "backend/gpu/scratch.cuh"
#include "backend/gpu/waist.hpp"

namespace cr::backend::CR_GPU {
namespace {

constexpr int kThreads = 128, kOwn = 8, kPiece = kThreads * kOwn;

// A thread has eight elements that lie together. Calls f(i) for those that are not 0.
template <class T, class F> __device__ void for_each_found(const T* x, int64_t n, int64_t piece, const F& f) {
  const int64_t begin = piece * kPiece + static_cast<int>(threadIdx.x) * kOwn;
  for (int64_t i = begin; i < begin + kOwn && i < n; ++i) {
    if (x[i] != T(0)) f(i);
  }
}

template <class T> __global__ void count_kernel(const T* x, int64_t n, int64_t pieces, int64_t* counts) {
  for (int64_t piece = blockIdx.x; piece < pieces; piece += gridDim.x) {
    int own = 0;
    for_each_found(x, n, piece, [&](int64_t) { ++own; });
    const int found = block_sum<kThreads>(own);
    if (threadIdx.x == 0) counts[piece] = found;
  }
}

struct Sizes {
  int rank;
  int64_t size[kMaxDims];
};

// `ends` has the running sum of the counts.
template <class T>
__global__ void write_kernel(const T* x, int64_t n, int64_t pieces, const int64_t* ends, Sizes sizes, int64_t* out) {
  __shared__ int shared[2][kThreads];
  const int t = static_cast<int>(threadIdx.x);
  for (int64_t piece = blockIdx.x; piece < pieces; piece += gridDim.x) {
    int own = 0;
    for_each_found(x, n, piece, [&](int64_t) { ++own; });
    // How many the threads up to this one have, in steps of 1, 2, 4, …
    int from = 0, total = own;
    shared[from][t] = total;
    for (int step = 1; step < kThreads; step *= 2, from = 1 - from) {
      __syncthreads();
      if (t >= step) total += shared[from][t - step];
      shared[1 - from][t] = total;
    }
    __syncthreads();
    int64_t row = ends[piece] - shared[from][kThreads - 1] + total - own;
    for_each_found(x, n, piece, [&](int64_t i) {
      int64_t* at = out + row++ * sizes.rank;
      for (int d = sizes.rank - 1; d > 0; --d) {
        at[d] = i % sizes.size[d];
        i /= sizes.size[d];
      }
      if (sizes.rank > 0) at[0] = i;
    });
    __syncthreads();
  }
}

}  // namespace

Tensor Waist::nonzero(const Tensor& x) {
  if (x.dim() > kMaxDims) throw DeviceError("nonzero: more dimensions than a kernel takes");
  const int64_t n = x.numel(), pieces_of_x = pieces(n, kPiece);
  if (n == 0) return empty({0, x.dim()}, DType::int64, x.device());
  Sizes sizes{x.dim(), {}};
  for (int d = 0; d < x.dim(); ++d) sizes.size[d] = x.shape()[d];
  const Tensor counts = empty({pieces_of_x}, DType::int64, x.device()),
               ends = empty({pieces_of_x}, DType::int64, x.device());
  const Grid grid{.blocks = {blocks_for(pieces_of_x, 1, kGridBlocks)}, .threads = {kThreads}};
  Tensor found;
  dispatch(x.dtype(), [&](auto t) {
    using T = decltype(t);
    launch("nonzero_count", count_kernel<T>, grid, elements<const T>(x), n, pieces_of_x, elements<int64_t>(counts));
    scan(Scan::sum, ends, counts, 0, false);
    const Tensor total = window(ends, {1}, {1}, pieces_of_x - 1).to(Device::cpu);
    found = empty({*elements<int64_t>(total), x.dim()}, DType::int64, x.device());
    if (found.shape()[0] == 0) return;
    launch("nonzero", write_kernel<T>, grid, elements<const T>(x), n, pieces_of_x, elements<const int64_t>(ends), sizes,
           elements<int64_t>(found));
  });
  return found;
}

}  // namespace cr::backend::CR_GPU
