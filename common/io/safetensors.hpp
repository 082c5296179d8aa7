// # safetensors
//
// The file format in which most published models come: eight bytes that give the length of a JSON header, the header,
// and behind it the numbers of all tensors, little-endian, end to end.
//
//     { "hidden.weight": {"dtype": "F32", "shape": [256, 784], "data_offsets": [0, 802816]},
//       "__metadata__": {"made by": "chainrule"}, … }
//
// Reading one runs no code from it, unlike Python's pickle, and that is its point. But a file from a stranger may still
// lie about its sizes, so every number in the header is checked against the file before it is believed, and before any
// memory is asked for.
#pragma once

#include <cstddef>
#include <map>
#include <span>
#include <string>

#include "tensor/tensor.hpp"

namespace cr::io {

struct SafeTensors {
  std::map<std::string, Tensor> tensors;
  std::map<std::string, std::string> metadata;
  std::map<std::string, std::string> unknown;  // tensors left out, with their type's name
};

// What to do with a tensor whose element type is none of ours: refuse the file, or leave the tensor out.
enum class UnknownTypes { refuse, skip };

// Reads a file. Known types are F64, F32, F16, BF16, I64 and BOOL; U8, I8, I16 and I32 become int64. Throws IoError, one line, for a
// file that is missing, damaged or of another type.
SafeTensors load_safetensors(const std::string& path, UnknownTypes unknown = UnknownTypes::refuse);

// The same from memory; `name` stands for the path in messages.
SafeTensors parse_safetensors(std::span<const std::byte> file, const std::string& name = "safetensors",
                              UnknownTypes unknown = UnknownTypes::refuse);

// Writes a file, atomically; equal contents give equal bytes. Throws IoError if it cannot be written, or if a name or
// the metadata is not UTF-8.
void save_safetensors(const std::string& path, const std::map<std::string, Tensor>& tensors,
                      const std::map<std::string, std::string>& metadata = {});

}  // namespace cr::io
