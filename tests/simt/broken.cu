#include "broken.cuh"

#include <cstdio>
#include <cstring>
#include <memory>

#include "backend/gpu/async_copy.cuh"
#include "backend/gpu/tensor_core.cuh"
#include "backend/simt/memory.hpp"

using namespace cr::backend::CR_GPU;
namespace cg = cooperative_groups;

namespace {

constexpr int kThreads = 64;

// ## Barriers and races

// Every thread reads its neighbour's number. If nobody waits, the neighbour may not have written it.
template <bool Broken> __global__ void missing_barrier(const float* x, float* y) {
  __shared__ float tile[kThreads];
  const int t = static_cast<int>(threadIdx.x);
  tile[t] = x[t];
  if (!Broken) __syncthreads();
  y[t] = tile[t > 0 ? t - 1 : 0];  // here: missing_barrier
}

// Two rounds through the same tile. The second overwrites what others still have to read in the first.
template <bool Broken> __global__ void missing_second_barrier(const float* x, float* y) {
  __shared__ float tile[kThreads];
  const int t = static_cast<int>(threadIdx.x);
  float sum = 0;
  for (int round = 0; round < 2; ++round) {
    tile[t] = x[t] + static_cast<float>(round);  // here: missing_second_barrier
    __syncthreads();
    sum += tile[kThreads - 1 - t];
    if (!Broken) __syncthreads();
  }
  y[t] = sum;
}

// All add to one number, which has to be atomic.
template <bool Broken> __global__ void lost_updates(const float*, float* y) {
  __shared__ int sum;
  const int t = static_cast<int>(threadIdx.x);
  if (t == 0) sum = 0;
  __syncthreads();
  if (Broken) sum += t;  // here: lost_updates
  else atomicAdd(&sum, t);
  __syncthreads();
  y[t] = static_cast<float>(sum);
}

// Bytes that share a word are no race; the same byte is.
template <bool Broken> __global__ void racing_bytes(const float*, float* y) {
  __shared__ bool seen[kThreads];
  const int t = static_cast<int>(threadIdx.x);
  seen[Broken ? t / 2 : t] = true;  // here: racing_bytes
  if (Broken) seen[kThreads / 2 + t / 2] = true;
  __syncthreads();
  y[t] = seen[t];
}

// A warp's last steps of a sum: lanes run one by one, so the warp has to meet between the steps.
template <bool Broken> __global__ void missing_syncwarp(const float* x, float* y) {
  __shared__ float sum[32];
  const unsigned t = threadIdx.x;
  if (t >= 32) return;
  sum[t] = x[t];
  __syncwarp();
  for (unsigned half = 16; half > 0; half /= 2) {
    float other = t < half ? sum[t + half] : 0.0f;  // here: missing_syncwarp
    if (!Broken) __syncwarp();
    if (t < half) sum[t] += other;
    if (!Broken) __syncwarp();
  }
  if (t == 0) y[0] = sum[0];
}

// Lanes that vote, shuffle or ask who is there meet, but what they wrote before is not in order for that.
template <bool Broken> __global__ void vote_as_fence(const float* x, float* y) {
  __shared__ float tile[kThreads];
  const int t = static_cast<int>(threadIdx.x);
  tile[t] = x[t];
  const unsigned lanes = __ballot_sync(0xffffffffu, t > 3);
  if (!Broken) __syncwarp();
  y[t] = tile[t ^ 1] + static_cast<float>(lanes & 1);  // here: vote_as_fence
}

template <bool Broken> __global__ void shuffle_as_fence(const float* x, float* y) {
  __shared__ float tile[kThreads];
  const int t = static_cast<int>(threadIdx.x);
  tile[t] = x[t];
  const float next = __shfl_xor_sync(0xffffffffu, x[t], 1);
  if (!Broken) __syncwarp();
  y[t] = tile[t ^ 1] + next;  // here: shuffle_as_fence
}

template <bool Broken> __global__ void active_lanes_as_fence(const float* x, float* y) {
  __shared__ float tile[kThreads];
  const int t = static_cast<int>(threadIdx.x);
  tile[t] = x[t];
  const unsigned lanes = __activemask();
  if (!Broken) __syncwarp();
  y[t] = tile[t ^ 1] + static_cast<float>(lanes & 1);  // here: active_lanes_as_fence
}

template <bool Broken> __global__ void matrix_not_yet_there(const float*, float* y) {
  __shared__ __align__(16) uint32_t tile[32 * 4];
  const int t = static_cast<int>(threadIdx.x);
  if (t >= 32) return;
  for (int i = 0; i < 4; ++i) tile[4 * t + i] = static_cast<uint32_t>(t);
  if (!Broken) __syncwarp();
  uint32_t row[4];
  ldmatrix(row, &tile[4 * t]);  // here: matrix_not_yet_there
  y[t] = static_cast<float>(row[0] + row[3]);
}

// Atomics are in no order among themselves. Who wants the sum, or the counter to begin at zero, must wait.
template <bool Broken> __global__ void sum_read_too_early(const float* x, float* y) {
  __shared__ int sum;
  const int t = static_cast<int>(threadIdx.x);
  if (t == 0) sum = 0;
  __syncthreads();
  atomicAdd(&sum, static_cast<int>(x[t]));
  if (!Broken) __syncthreads();
  if (t == kThreads - 1) y[0] = static_cast<float>(sum);  // here: sum_read_too_early
}

template <bool Broken> __global__ void counter_set_too_late(const float*, float* y) {
  __shared__ int count;
  const int t = static_cast<int>(threadIdx.x);
  if (t == 0) count = 0;
  if (!Broken) __syncthreads();
  atomicAdd(&count, 1);  // here: counter_set_too_late
  __syncthreads();
  y[t] = static_cast<float>(count);
}

// Two tiles of a warp read. One of them meets, but that says nothing about the other.
template <bool Broken> __global__ void written_under_the_other_tile(const float* x, float* y) {
  __shared__ float shared;
  const int t = static_cast<int>(threadIdx.x);
  if (t == 0) shared = x[0];
  __syncthreads();
  const float v = t < 32 ? shared : 0.0f;
  if (Broken) cg::tiled_partition<16>(cg::this_thread_block()).sync();
  else cg::tiled_partition<32>(cg::this_thread_block()).sync();
  if (t == 16) shared = 5;  // here: written_under_the_other_tile
  y[t] = v;
}

// ## Copies under way

// Without waiting, nobody knows whether the copy has come.
template <bool Broken> __global__ void forgets_to_wait(const float* x, float* y) {
  __shared__ float tile[kThreads];
  const int t = static_cast<int>(threadIdx.x);
  copy_async<4>(&tile[t], x + t, true);
  commit_copies();
  if (!Broken) wait_for_copies<0>();
  __syncthreads();
  y[t] = tile[kThreads - 1 - t];  // here: forgets_to_wait
}

// Every thread waits for its own copies only: the others' are there behind the barrier.
template <bool Broken> __global__ void waits_for_itself(const float* x, float* y) {
  __shared__ float tile[kThreads];
  const int t = static_cast<int>(threadIdx.x);
  copy_async<4>(&tile[t], x + t, true);
  commit_copies();
  wait_for_copies<0>();
  if (!Broken) __syncthreads();
  y[t] = tile[t > 0 ? t - 1 : 0];  // here: waits_for_itself
}

// The last but one batch has come, but this is the last.
template <bool Broken> __global__ void waits_for_another(const float* x, float* y) {
  __shared__ float tile[2][kThreads];
  const int t = static_cast<int>(threadIdx.x);
  for (int stage = 0; stage < 2; ++stage) {
    copy_async<4>(&tile[stage][t], x + t, true);
    commit_copies();
  }
  wait_for_copies<Broken ? 1 : 0>();
  __syncthreads();
  y[t] = tile[1][kThreads - 1 - t];  // here: waits_for_another
}

// The copy of the next numbers is ordered while others still read the last ones. It may come at any time from then on.
template <bool Broken> __global__ void ordered_too_early(const float* x, float* y) {
  __shared__ float tile[kThreads];
  const int t = static_cast<int>(threadIdx.x);
  tile[t] = x[t];
  __syncthreads();
  const float sum = tile[kThreads - 1 - t];  // here: ordered_too_early
  if (!Broken) __syncthreads();
  copy_async<4>(&tile[t], x + t, true);
  commit_copies();
  wait_for_copies<0>();
  y[t] = sum + tile[t];
}

// The copy was never waited for: it may still come, and overwrite the five.
template <bool Broken> __global__ void copy_comes_late(const float* x, float* y) {
  __shared__ float tile[kThreads];
  const int t = static_cast<int>(threadIdx.x);
  copy_async<4>(&tile[t], x + t, true);
  commit_copies();
  if (!Broken) wait_for_copies<0>();
  __syncthreads();
  tile[kThreads - 1 - t] = 5;  // here: copy_comes_late
  __syncthreads();
  if (Broken) wait_for_copies<0>();
  __syncthreads();
  y[t] = tile[t];
}

// The two halves of a warp meet each for itself, and read from each other.
template <bool Broken> __global__ void half_a_warp_meets(const float* x, float* y) {
  __shared__ float tile[32];
  const unsigned t = threadIdx.x;
  if (t >= 32) return;
  tile[t] = x[t];
  if (Broken) __syncwarp(t < 16 ? 0x0000ffffu : 0xffff0000u);
  else __syncwarp();
  y[t] = tile[31 - t];  // here: half_a_warp_meets
}

// A struct of 16 bytes is copied in one piece, or in two: that must be seen too.
struct Best {
  double value;
  int64_t index;
};
template <bool Broken> __global__ void racing_structs(const float* x, float* y) {
  __shared__ Best best[kThreads];
  const int t = static_cast<int>(threadIdx.x);
  Best mine{x[t], t};
  best[t] = mine;
  if (!Broken) __syncthreads();
  Best next = best[t > 0 ? t - 1 : 0];  // here: racing_structs
  y[t] = static_cast<float>(next.value) + static_cast<float>(next.index);
}

template <bool Broken> __global__ void divergent_barrier(const float* x, float* y) {
  const int t = static_cast<int>(threadIdx.x);
  if (Broken && t >= 48) return;
  y[t] = x[t];
  __syncthreads();  // here: divergent_barrier
  y[t] += 1;
}

template <bool Broken> __global__ void two_barriers(const float* x, float* y) {
  const int t = static_cast<int>(threadIdx.x);
  if (Broken && t >= 32) {
    y[t] = 1;
    __syncthreads();
    return;
  }
  y[t] = x[t];
  __syncthreads();  // here: two_barriers
}

// Thread 0 waits for a flag of thread 32, which on a GPU comes; here it comes when thread 0 lets it.
template <bool Broken> __global__ void spins(const float*, float* y) {
  __shared__ int flag;
  const int t = static_cast<int>(threadIdx.x);
  if (t == 0) flag = 0;
  __syncthreads();
  if (t == 32) atomicExch(&flag, 1);
  if (!Broken) __syncthreads();
  if (t == 0) {
    while (atomicAdd(&flag, 0) == 0) {  // here: spins
    }
  }
  y[t] = 1;
}

// Where a thread waits that may not throw, an error of another one is still an error and no more.
struct AtTheEnd {
  ~AtTheEnd() { __syncthreads(); }
};
__device__ [[gnu::noinline]] void wait_and_never_throw() noexcept { __syncthreads(); }
template <bool Broken> __global__ void fails_where_others_cannot(const float* x, float* y) {
  const int t = static_cast<int>(threadIdx.x);
  AtTheEnd waits;
  if (t < 32) wait_and_never_throw();
  y[Broken && t == 63 ? t + 1 : t] = x[t];  // here: fails_where_others_cannot
  if (t >= 32) wait_and_never_throw();
}

// ## Addresses

template <bool Broken> __global__ void reads_past_the_end(const float* x, float* y) {
  const int t = static_cast<int>(threadIdx.x);
  float sum = 0;
  for (int i = t; Broken ? i <= kThreads : i < kThreads; i += kThreads) sum += x[i];  // here: reads_past_the_end
  y[t] = sum;
}

template <bool Broken> __global__ void writes_past_the_end(const float* x, float* y) {
  const int t = static_cast<int>(threadIdx.x);
  y[Broken ? t + 1 : t] = x[t];  // here: writes_past_the_end
}

template <bool Broken> __global__ void reads_before_the_beginning(const float* x, float* y) {
  const int t = static_cast<int>(threadIdx.x);
  float left = Broken || t > 0 ? x[t - 1] : 0.0f;  // here: reads_before_the_beginning
  y[t] = x[t] - left;
}

template <bool Broken> __global__ void past_a_shared_array(const float* x, float* y) {
  __shared__ float tile[kThreads];
  __shared__ float other[kThreads];
  const int t = static_cast<int>(threadIdx.x);
  tile[t] = other[t] = x[t];
  __syncthreads();
  const int next = Broken ? t + 1 : (t + 1) % kThreads;
  y[t] = tile[next] + other[t];  // here: past_a_shared_array
}

template <bool Broken> __global__ void past_dynamic_shared(const float* x, float* y) {
  auto* tile = dynamic_shared<float>();
  const int t = static_cast<int>(threadIdx.x);
  tile[t] = x[t];
  __syncthreads();
  y[t] = tile[Broken ? t + 1 : t];  // here: past_dynamic_shared
}

template <bool Broken> __global__ void misaligned(const float* x, float* y) {
  const int t = static_cast<int>(threadIdx.x);
  if (t >= 8) return;
  float4 v = *reinterpret_cast<const float4*>(x + 4 * t + (Broken ? 2 : 0));  // here: misaligned
  y[t] = v.x + v.w;
}

// Local variables lie in memory too.
__device__ [[gnu::noinline]] float ends_of_four(const float* x) {
  const float4 v = *reinterpret_cast<const float4*>(x);  // here: misaligned_local
  return v.x + v.w;
}
template <bool Broken> __global__ void misaligned_local(const float* x, float* y) {
  const int t = static_cast<int>(threadIdx.x);
  alignas(16) float local[8];
  for (int i = 0; i < 8; ++i) local[i] = x[i];
  y[t] = ends_of_four(local + (Broken ? 2 : 4));
}

// Two numbers of 8 bytes may lie at any multiple of 8, also where they are copied in one piece; but at no other address.
template <bool Broken> __global__ void misaligned_struct(const float* x, float* y) {
  const int t = static_cast<int>(threadIdx.x);
  if (t >= 8) return;
  const auto* best = reinterpret_cast<const Best*>(x + 4 * t + (Broken ? 1 : 2));
  const Best copy = Broken ? Best{best->value, 0} : *best;  // here: misaligned_struct
  reinterpret_cast<Best*>(y + 2)[t] = copy;
}

// The library's copies, of a size that a compiler knows.
template <bool Broken> __global__ void copies_past_the_end(const float* x, float* y) {
  const int t = static_cast<int>(threadIdx.x);
  if (t < 4) std::memcpy(y + 16 * t + (Broken ? 1 : 0), x, 64);  // here: copies_past_the_end
}
template <bool Broken> __global__ void clears_past_the_end(const float*, float* y) {
  const int t = static_cast<int>(threadIdx.x);
  if (t < 4) std::memset(y + 16 * t + (Broken ? 1 : 0), 0, 64);  // here: clears_past_the_end
}
template <bool Broken> __global__ void racing_copies(const float* x, float* y) {
  __shared__ float tile[16 * kThreads];
  const int t = static_cast<int>(threadIdx.x);
  std::memcpy(tile + (Broken ? 0 : 16 * t), x, 64);  // here: racing_copies
  __syncthreads();
  y[t] = tile[0];
}

// A row further on.
template <bool Broken> __global__ void far_past_a_shared_array(const float* x, float* y) {
  __shared__ float tile[kThreads];
  __shared__ float other[kThreads];
  const int t = static_cast<int>(threadIdx.x);
  tile[t] = other[t] = x[t];
  __syncthreads();
  y[t] = tile[Broken ? t + 32 : t] + other[Broken ? t + 32 : t];  // here: far_past_a_shared_array
}

// Far from everything, where the loader may have put a library.
template <bool Broken> __global__ void writes_into_the_blue(const float* x, float* y) {
  const int t = static_cast<int>(threadIdx.x);
  if (Broken) y = reinterpret_cast<float*>(reinterpret_cast<uintptr_t>(&std::fwrite) & ~uintptr_t{7});
  y[t] = x[t];  // here: writes_into_the_blue
}

__global__ void writes_memory(float* y) {
  y[threadIdx.x % 4] = 1;  // here: constant_memory
}

template <bool Broken> __global__ void too_much_shared(const float* x, float* y) {
  __shared__ float tile[Broken ? 13000 : 12000];
  const int t = static_cast<int>(threadIdx.x);
  tile[t] = x[t];  // here: too_much_shared
  __syncthreads();
  y[t] = tile[kThreads - 1 - t];
}

template <bool Broken> __global__ void unwritten_shared(const float* x, float* y) {
  __shared__ float tile[kThreads];
  const int t = static_cast<int>(threadIdx.x);
  if (!Broken || t % 2 == 0) tile[t] = x[t];
  __syncthreads();
  y[t] = tile[t];  // here: unwritten_shared
}

// A struct that is written member by member has bytes that nobody writes, and is copied with them.
struct Padded {
  double value;
  int index;
};
template <bool Broken> __global__ void padded_structs(const float* x, float* y) {
  __shared__ Padded all[kThreads];
  __shared__ Padded sorted[kThreads];
  const int t = static_cast<int>(threadIdx.x);
  if (!Broken || t != 5) {
    all[t].value = x[t];
    all[t].index = t;
  }
  __syncthreads();
  sorted[t] = all[kThreads - 1 - t];  // here: padded_structs
  y[t] = static_cast<float>(sorted[t].value) + static_cast<float>(sorted[t].index);
}

// Each of two branches keeps its line.
template <bool Broken> __global__ void one_of_two_branches(const float* x, float* y) {
  const int t = static_cast<int>(threadIdx.x);
  float* to = y + t;
  if (t & 1) to[Broken ? kThreads : 0] = x[t];  // here: one_of_two_branches
  else to[0] = 2;
}

__global__ void reads_memory(const float* x, float* y) {
  y[threadIdx.x] =
      x[threadIdx.x];  // here: freed_memory // here: host_memory // here: reused_memory // here: announced_twice
}

// A pointer to a local variable is good for the thread that owns it.
template <bool Broken> __global__ void somebody_elses_local(const float* x, float* y) {
  __shared__ const float* pointer;
  const int t = static_cast<int>(threadIdx.x);
  float local[4] = {x[t], 1, 2, 3};
  if (t == 0) pointer = Broken ? local : x;
  __syncthreads();
  const float* p = t == 0 ? local : pointer;
  y[t] = p[t % 4];  // here: somebody_elses_local
  __syncthreads();
  local[t % 3] = y[t];
  y[t] += local[(t + 1) % 3];
}

// ## Warps

template <bool Broken> __global__ void own_lane_missing(const float* x, float* y) {
  const int t = static_cast<int>(threadIdx.x);
  y[t] = __shfl_down_sync(Broken ? 0xfffffffeu : 0xffffffffu, x[t], 1u);  // here: own_lane_missing
}

template <bool Broken> __global__ void shuffle_in_a_branch(const float* x, float* y) {
  const int t = static_cast<int>(threadIdx.x);
  float v = x[t];
  if (t % 32 < 16) v += __shfl_xor_sync(Broken ? 0xffffffffu : 0x0000ffffu, v, 8);  // here: shuffle_in_a_branch
  __syncthreads();
  y[t] = v;
}

// A product takes a whole warp.
template <bool Broken> __global__ void product_of_half_a_warp(const float*, float* y) {
  const int t = static_cast<int>(threadIdx.x);
  if (Broken && t % 32 >= 16) return;
  float c[4] = {};
  const uint32_t ones = pack_bf16(1, 1), a[4] = {ones, ones, ones, ones};
  mma_bf16(c, a, ones, ones);  // here: product_of_half_a_warp
  y[t] = c[0] + c[3];
}

// Runs kernel<true> or kernel<false> on 64 numbers.
using Pair = void (*)(const float*, float*);
BrokenKernel kernel(const char* name, Pair broken, Pair right, const char* says) {
  return {name,
          [=](bool wrong) {
            std::vector<float> x(kThreads, 1.0f), y(kThreads);
            Memory x_memory(x), y_memory(y);
            launch(name, wrong ? broken : right,
                   {.blocks = {2}, .threads = {kThreads}, .shared_bytes = kThreads * sizeof(float)}, x.data(),
                   y.data());
          },
          says};
}
#define BROKEN(name, says) kernel(#name, name<true>, name<false>, says)

void freed_memory(bool broken) {
  std::vector<float> x(kThreads), y(kThreads);
  Memory y_memory(y);
  auto x_memory = std::make_unique<Memory>(x);
  if (broken) x_memory.reset();
  launch("freed_memory", reads_memory, {.blocks = {1}, .threads = {kThreads}}, x.data(), y.data());
}

// Once there was a longer block in its place.
void reused_memory(bool broken) {
  std::vector<float> x(2 * kThreads), y(kThreads);
  Memory y_memory(y);
  std::make_unique<Memory>(x);
  Memory x_memory(x.data(), kThreads * sizeof(float));
  launch("reused_memory", reads_memory, {.blocks = {1}, .threads = {kThreads}}, x.data() + (broken ? 1 : 0), y.data());
}

const float kConstants[4] = {1, 2, 3, 4};
void constant_memory(bool broken) {
  std::vector<float> y(kThreads);
  Memory y_memory(y);
  launch("constant_memory", writes_memory, {.blocks = {1}, .threads = {kThreads}},
         broken ? const_cast<float*>(kConstants) : y.data());
}

void announced_twice(bool broken) {
  std::vector<float> x(kThreads), y(kThreads);
  Memory y_memory(y);
  auto first = std::make_unique<Memory>(x), second = std::make_unique<Memory>(x);
  first.reset();
  if (broken) second.reset();
  launch("announced_twice", reads_memory, {.blocks = {1}, .threads = {kThreads}}, x.data(), y.data());
}

void host_memory(bool broken) {
  std::vector<float> x(kThreads), y(kThreads), far(1 << 20);
  float on_the_host[kThreads] = {};
  Memory x_memory(x), y_memory(y);
  launch("host_memory", reads_memory, {.blocks = {1}, .threads = {kThreads}}, broken ? on_the_host : x.data(),
         y.data());
}

}  // namespace

std::vector<BrokenKernel> broken_kernels() {
  return {
      BROKEN(missing_barrier, "in a race with thread (0, 0, 0), which wrote"),
      BROKEN(missing_second_barrier, "in a race with thread (31, 0, 0), which wrote it"),
      BROKEN(lost_updates, "of __shared__ sum"),
      BROKEN(racing_bytes, "writes byte 0 of __shared__ seen (1 byte)"),
      BROKEN(missing_syncwarp, "in a race"),
      BROKEN(half_a_warp_meets, "in a race"),
      BROKEN(forgets_to_wait, "to which a copy is on its way that thread (63, 0, 0) has ordered"),
      BROKEN(waits_for_itself, "in a race"),
      BROKEN(waits_for_another, "to which a copy is on its way"),
      BROKEN(ordered_too_early, "which wrote it"),
      BROKEN(vote_as_fence, "in a race"),
      BROKEN(shuffle_as_fence, "in a race"),
      BROKEN(active_lanes_as_fence, "in a race"),
      BROKEN(matrix_not_yet_there, "in a race"),
      BROKEN(sum_read_too_early, "in a race"),
      BROKEN(counter_set_too_late, "thread (1, 0, 0) changes byte 0 of __shared__ count"),
      BROKEN(written_under_the_other_tile, "in a race"),
      BROKEN(copy_comes_late, "writes byte 252 of __shared__ tile (4 bytes)"),
      BROKEN(spins, "thread (0, 0, 0) waits in a loop"),
      BROKEN(fails_where_others_cannot, "0 bytes past the end of a block of 256 bytes"),
      BROKEN(misaligned_local, "reads 16 bytes at once"),
      BROKEN(misaligned_struct, "reads 8 bytes at once"),
      BROKEN(copies_past_the_end, "thread (3, 0, 0) writes 4 bytes 0 bytes past the end of a block"),
      BROKEN(clears_past_the_end, "thread (3, 0, 0) writes 4 bytes 0 bytes past the end of a block"),
      BROKEN(racing_copies, "thread (1, 0, 0) writes byte 0 of __shared__ tile"),
      BROKEN(far_past_a_shared_array, "past the end of __shared__ "),
      BROKEN(writes_into_the_blue, "writes 4 bytes"),
      BROKEN(too_much_shared, "have 52000 bytes"),
      BROKEN(product_of_half_a_warp, "calls mma_bf16 with 16 lanes"),
      BROKEN(racing_structs, "in a race"),
      BROKEN(divergent_barrier, "thread (48, 0, 0) has returned"),
      BROKEN(two_barriers, "but thread (32, 0, 0) at"),
      BROKEN(reads_past_the_end, "reads 4 bytes 0 bytes past the end of a block of 256 bytes"),
      BROKEN(writes_past_the_end, "thread (63, 0, 0) writes 4 bytes"),
      BROKEN(reads_before_the_beginning, "4 bytes before the beginning of a block"),
      BROKEN(past_a_shared_array, "the end of __shared__ tile"),
      BROKEN(past_dynamic_shared, "the end of dynamic_shared"),
      BROKEN(misaligned, "reads 16 bytes at once from an address"),
      BROKEN(unwritten_shared, "byte 4 of __shared__ tile (4 bytes), which nobody"),
      BROKEN(somebody_elses_local, "of a local variable of thread (0, 0, 0)"),
      BROKEN(own_lane_missing, "its own lane 0 is missing"),
      BROKEN(shuffle_in_a_branch, "for thread (16, 0, 0), which waits at __syncthreads"),
      BROKEN(padded_structs, "which nobody in this block has written yet"),
      BROKEN(one_of_two_branches, "thread (1, 0, 0) writes 4 bytes 4 bytes past the end of a block"),
      {"freed_memory", freed_memory, "has been freed"},
      {"reused_memory", reused_memory, "0 bytes past the end of a block of 256 bytes"},
      {"constant_memory", constant_memory, "writes 4 bytes of a constant"},
      {"announced_twice", announced_twice, "has been freed"},
      {"host_memory", host_memory, "reads 4 bytes"},
  };
}
