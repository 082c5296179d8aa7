// # npy and npz
//
// How numpy saves one array: a magic word, the version, a header that is a Python dictionary in text, and the numbers.
//
//     \x93NUMPY 1 0 <length> {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }
//
// `descr` gives the order of bytes (`<` least significant first, `>` most, `|` it does not matter), the kind (b bool, i
// and u integers, f floating) and the bytes per element; `fortran_order` says whether the first index runs fastest.
// An `.npz` file is a zip archive of them, `NAME.npy` for the array NAME. The format is described in numpy's
// documentation as numpy.lib.format.
#pragma once

#include <map>
#include <string>

#include "io/bytes.hpp"
#include "tensor/tensor.hpp"

namespace cr::io {

// Reads a file of version 1, 2 or 3: bool, float16, float32 and float64 keep their type, integers become int64, so of
// one byte eight. Throws IoError, one line, for a file that is missing, damaged, longer or shorter than it says; of
// elements of another type (complex numbers, text, Python objects); or with an unsigned number that int64 cannot hold.
Tensor read_npy(const std::string& path);

// The same from memory; `name` stands for the path in messages.
Tensor parse_npy(Bytes file, const std::string& name = "npy");

// Writes `x` atomically, in C's order and little-endian; equal tensors give equal bytes. Throws IoError if it cannot be
// written, or if x is bfloat16, which numpy lacks.
void write_npy(const std::string& path, const Tensor& x);

// The bytes of such a file; `name` stands for its path in messages.
std::string encode_npy(const Tensor& x, const std::string& name = "npy");

// Reads the arrays of an archive, stored or deflated, by their names without ".npy". Deflated, they may take 8 · 1032
// times the archive's bytes, and while one is read its bytes besides. Throws IoError as `read_npy` and
// `ZipReader` do, and for an entry that is no array.
std::map<std::string, Tensor> read_npz(const std::string& path);
std::map<std::string, Tensor> parse_npz(Bytes file, const std::string& name = "npz");

// Writes an archive atomically; equal contents give equal bytes. Deflate gains little on
// trained weights, whose digits look random; a file of labels or black images may shrink a hundredfold.
enum class NpzCompression { stored, deflated };
void write_npz(const std::string& path, const std::map<std::string, Tensor>& arrays,
               NpzCompression compression = NpzCompression::stored);

}  // namespace cr::io
