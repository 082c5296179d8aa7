// **How sums leave.** The four lanes of a group hold two neighbours each of 8
// columns: 16 bytes of a row of C in bfloat16, half a sector. Written like that,
// C costs twice the sectors that it has. But of four such blocks side by side,
// 32 columns, they hold 64 bytes: two whole sectors, if each lane has one
// *block* and not two numbers of each. So the four change places: word $b$ of
// lane $t$ becomes word $t$ of lane $b$, in two rounds. First neighbours swap,
// then those who are two apart. (`__shfl_xor_sync` is such a swap: each lane
// gives a word to the one whose number differs in this bit, and gets its.)
#pragma once

#include "rung_6_vectors.cuh"

namespace cr::backend::CR_GPU {

// Row i of C from column j on: `words[b]` is this lane's pair of block b. All
// lanes must come; n must be a multiple of 8.
__device__ inline void store_row(const Product<BFloat16>& g, int64_t i, int64_t j,
                                 uint32_t (&words)[4], int lane) {
#pragma unroll
  for (int apart = 1; apart < 4; apart *= 2)
#pragma unroll
    for (int b = 0; b < 4; ++b) {
      if (b & apart) continue;
      const bool upper = (lane & apart) != 0;
      const uint32_t got =
          __shfl_xor_sync(~0u, upper ? words[b] : words[b + apart], apart);
      if (upper) words[b] = got;
      else words[b + apart] = got;
    }
  // Now lane t has block t, 16 bytes.
  j += lane % 4 * 8;
  if (i < g.m && j < g.n)
    store16(g.c + i * g.n + j, make_uint4(words[0], words[1], words[2], words[3]));
}

}  // namespace cr::backend::CR_GPU
