// # Checkpoints
//
// What a program needs to go on where it stopped: tensors by name, and a piece of JSON for the rest. It is a
// safetensors file, so any other tool can look into it, and it is written atomically, so a program that is killed while
// saving still has the checkpoint before.
#pragma once

#include <map>
#include <string>

#include "tensor/tensor.hpp"

namespace cr::io {

struct Checkpoint {
  std::map<std::string, Tensor> tensors;
  std::string json = "{}";
};

// Throws IoError if the file cannot be written.
void save_checkpoint(const std::string& path, const Checkpoint& checkpoint);

// Throws IoError if the file is missing, damaged, or a safetensors file that `save_checkpoint` did not write. `json` is
// handed back as it was given: its reader judges it.
Checkpoint load_checkpoint(const std::string& path);

}  // namespace cr::io
