// A warp that reads a row of A and writes a column of Aᵀ costs 4 sectors and then 32. So go by
// way of shared memory: a block reads a tile of 32 × 32 row by row, and writes the turned tile
// row by row as well. In between the tile is read by columns, so its rows are 33 words long.
// Four sectors each way, one wavefront each.
#include <cstdio>

#include "backend/gpu/gpu.cuh"
#include "workbench.hpp"

namespace cr::backend::CR_GPU {

static __global__ void transpose_kernel(const float* a, float* t, int rows,
                                        int columns) {
  __shared__ float tile[32][33];
  const int x = int(threadIdx.x), i0 = int(blockIdx.y) * 32,
            j0 = int(blockIdx.x) * 32;
  for (int y = int(threadIdx.y); y < 32; y += 8)
    if (i0 + y < rows && j0 + x < columns)
      tile[y][x] = a[(i0 + y) * columns + j0 + x];
  __syncthreads();
  for (int y = int(threadIdx.y); y < 32; y += 8)
    if (j0 + y < columns && i0 + x < rows) t[(j0 + y) * rows + i0 + x] = tile[x][y];
}

}  // namespace cr::backend::CR_GPU

int main() {
  Generator random(1);
  bool right = true;
  for (auto [rows, columns] : {std::pair{64, 96}, {37, 61}}) {
    const Tensor a = randn({rows, columns}, random), t = full({columns, rows}, NAN);
    const simt::Memory in(a.data<float>(), size_t(a.numel()) * 4),
        out(t.mutable_data<float>(), size_t(t.numel()) * 4);
    const simt::LineCounts c =
        simt::count([&] {
          simt::launch(
              "transpose", simt::transpose_kernel,
              {.blocks = {unsigned(tiles(columns, 32)), unsigned(tiles(rows, 32))},
               .threads = {32, 8}},
              a.data<float>(), t.mutable_data<float>(), rows, columns);
        }).total();
    right = right && amax(abs(t - a.t())).item() == 0 &&
            c.wavefronts == c.shared_requests;
    std::printf(
        "%d x %d: %ld sectors read in %ld requests, %ld written in %ld, %ld wavefronts in %ld\n",
        rows, columns, long(c.load_sectors), long(c.loads), long(c.store_sectors),
        long(c.stores), long(c.wavefronts), long(c.shared_requests));
    if (rows == 64)
      right =
          right && c.load_sectors == 4 * c.loads && c.store_sectors == 4 * c.stores;
  }
  return right ? 0 : 1;
}
