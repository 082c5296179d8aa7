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

// What to do with a tensor whose element type is none of ours, whatever its name: refuse the file, or leave the tensor
// out.
enum class UnknownTypes { refuse, skip };

struct SafeTensorsOptions {
  UnknownTypes unknown = UnknownTypes::refuse;

  // Do not copy: the tensors look at the file itself, mapped into memory, and the system fetches a page when somebody
  // first looks at it. So a model of many gigabytes is there at once, and programs that read the same file share its
  // memory. Writing to such a tensor changes this program's copy of the page, never the file. See `InputFile::map` for
  // what happens to a file that is shortened meanwhile.
  bool map = false;
};

// Reads a file; or, where `path` ends in ".json", the index of a model in several files (below). Known types are F64,
// F32, F16, BF16, I64 and BOOL; U8, I8, I16 and I32 become int64, so the tensors take up to eight times the file's
// bytes. Throws IoError, one line, for a file that is missing, damaged or of another type.
SafeTensors load_safetensors(const std::string& path, const SafeTensorsOptions& options = {});

// The same from memory; `name` stands for the path in messages.
SafeTensors parse_safetensors(std::span<const std::byte> file, const std::string& name = "safetensors",
                              UnknownTypes unknown = UnknownTypes::refuse);

// Writes a file, atomically; equal contents give equal bytes. Throws IoError if it cannot be written, or if a name or
// the metadata is not UTF-8.
void save_safetensors(const std::string& path, const std::map<std::string, Tensor>& tensors,
                      const std::map<std::string, std::string>& metadata = {});

// ## In several files
//
// A large model is published as several files of some gigabytes, called shards, and an index that says in which of them
// each tensor lies:
//
//     { "metadata": {"total_size": 26953662464},
//       "weight_map": { "hidden.weight": "model-00001-of-00002.safetensors", … } }
//
// Which file holds which tensor, by the text of an index. Files are names, never paths that lead elsewhere. Throws
// IoError for anything else.
std::map<std::string, std::string> parse_safetensors_index(const std::string& text, const std::string& name = "index");

// Writes shards of at most `max_bytes` bytes of numbers (or one tensor, if that alone has more) beside the index
// `path`, which has to end in ".safetensors.index.json". They have names that no file has yet, so until the new index
// takes the old one's place, the old model is whole. Then its shards are removed: those that the old index names, that
// have such names as these, and that no other "….index.json" in the folder names. Throws IoError.
void save_sharded_safetensors(const std::string& path, const std::map<std::string, Tensor>& tensors,
                              uint64_t max_bytes = 5'000'000'000,
                              const std::map<std::string, std::string>& metadata = {});

}  // namespace cr::io
