// # What TMA has to know of a matrix
//
// Its address, its sizes, the distance of its rows, and the box that one copy brings: 128 bytes that the driver packs, made
// once and handed to kernels.
#pragma once

#include <cuda.h>

#include <cstdint>

namespace cr::backend::cuda {

// `matrices` matrices (rows, columns) of bfloat16, one behind the other; columns a multiple of 8, `first` at a multiple of 16
// bytes. A copy brings a panel: `box_rows` rows (up to 256) of 64 columns, swizzled as in `hopper.hpp`, with zeros beyond the
// edges, and never reaches into the next matrix. With one matrix the copies have two coordinates, otherwise three. Throws
// DeviceError where the driver knows no TMA or refuses.
CUtensorMap tensor_map(const void* first, int64_t rows, int64_t columns, int box_rows);
CUtensorMap tensor_maps(const void* first, int64_t matrices, int64_t rows, int64_t columns, int box_rows);

}  // namespace cr::backend::cuda
