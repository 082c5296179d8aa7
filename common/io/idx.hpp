// # IDX
//
// The file format of MNIST: two zero bytes, one for the element type, one for the number of dimensions, then the sizes
// and the elements, all big-endian. It usually comes compressed with gzip.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "tensor/tensor.hpp"

namespace cr::io {

// The element types of the format, by their code in the file.
enum class IdxType : uint8_t { u8 = 0x08, i8 = 0x09, i16 = 0x0B, i32 = 0x0C, f32 = 0x0D, f64 = 0x0E };

// Reads a file, plain or gzip, as a tensor of type `dtype` (float32, float64 or int64), every element times `scale`:
// images with 1 / 255. As int64 they are rounded then. An element of one byte becomes 4 or 8, so the tensor takes up to
// 8 times the file's bytes, and of a gzip file 8 · 1032 times. Throws IoError, one line, for a file that is missing,
// damaged, longer or shorter than it says, compressed when this build has no zlib, or, read as int64, with an element
// such as NaN that no int64 is.
Tensor read_idx(const std::string& path, DType dtype = DType::float32, double scale = 1);

// The same from memory; `name` stands for the path in messages.
Tensor parse_idx(std::span<const std::byte> file, DType dtype = DType::float32, double scale = 1,
                 const std::string& name = "IDX");

// Writes `x` as elements of `type`, atomically and uncompressed. Throws IoError if the file cannot be written, if a
// size does not fit the format's 32 bits, or if an element is out of the type's range.
void write_idx(const std::string& path, const Tensor& x, IdxType type = IdxType::u8);

}  // namespace cr::io
