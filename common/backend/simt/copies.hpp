// # Copies under way
//
// What stands behind `copy_async` (`gpu/async_copy.cuh`). Each thread of a block keeps a list of what it has asked for. Here a
// copy arrives when it is waited for, and not before; from the request on its place counts as not written, so who forgets to
// wait, or reads ahead of the barrier, is found out.
#pragma once

#include <cstddef>

#include "backend/simt/vectors.hpp"

namespace cr::backend::simt {

struct AsyncCopy {
  void* to;  // shared memory
  unsigned bytes;
  uint4 value;
};

// Of the running thread: begins one, closes a batch of them, takes out the next that has to arrive if all but `open`
// batches are to; false if there is none.
void begin_copy(const AsyncCopy& copy);
void close_batch();
bool next_copy(AsyncCopy& copy, unsigned open);

}  // namespace cr::backend::simt
