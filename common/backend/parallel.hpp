// # Threads
//
// A kernel that wants both cores cuts its work into **tiles** and hands them to `parallel_for`. Every thread begins with
// its own share of them, and who is done helps the others: which thread ends up with which tile is a matter of luck. What
// comes out is not. So no tile may read what another writes, and where a cut goes through a sum, it must follow from the
// shape of the work alone, never from the number of threads. Then one thread and sixty-four give the same bits.
//
//     parallel_for(tiles, [&](int64_t tile) { ... rows tile * 64 to tile * 64 + 63 ... });
//
#pragma once

#include <cstdint>
#include <memory>
#include <type_traits>

namespace cr::backend {

// How many threads share a `parallel_for`, the caller included. At first this is the environment variable
// `CHAINRULE_THREADS`, or, without it, the number of processors. Throws `Error` when the variable is no number in
// 0..256.
int num_threads();

// Sets the number of threads, 1 to 256; 0 stands for the number of processors. It may be called at any time, from any
// thread: work under way is not disturbed. Throws `Error` outside 0..256. A build without threads stays at one.
void set_num_threads(int n);

namespace detail {

using TileFunction = void (*)(void* context, int64_t tile);
void run_tiles(int64_t tiles, TileFunction function, void* context);

}  // namespace detail

// Calls `f(tile)` once for every tile in 0..tiles-1 and returns when all have finished.
//
// The first exception that a tile throws is thrown again here, after the tiles already begun have ended; tiles not yet
// begun are dropped. Inside a tile a further `parallel_for` runs in that thread alone. Two threads of the program may
// call at the same time: the second finds the pool busy and does its tiles itself.
//
// A lambda travels as a plain function pointer and the address of its captures: nothing is allocated.
template <class F> void parallel_for(int64_t tiles, F&& f) {
  using Function = std::remove_reference_t<F>;
  const void* context = std::addressof(f);
  detail::run_tiles(
      tiles, [](void* self, int64_t tile) { (*static_cast<Function*>(self))(tile); }, const_cast<void*>(context));
}

}  // namespace cr::backend
