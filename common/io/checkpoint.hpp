// # Checkpoints
//
// What a program needs to go on where it stopped: tensors by name, and a piece of JSON for the rest. It is a
// safetensors file, so any other tool can look into it, and it is written atomically, so a program that is killed while
// saving still has the checkpoint before. A checksum over names, types, shapes and numbers tells a file that was
// damaged on the disk from one that was written so.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

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
Checkpoint parse_checkpoint(std::span<const std::byte> file, const std::string& name = "checkpoint");

// ## One after the other
//
// A long run saves many checkpoints, in files FOLDER/NAME-STEP.safetensors. Two are kept, because the last one may turn
// out damaged when it is needed: the one just written, and of the others the one that this run saved or loaded last.
class CheckpointSeries {
 public:
  // The folder need not be there before the first `save`.
  CheckpointSeries(std::string folder, std::string name) : folder_(std::move(folder)), name_(std::move(name)) {}

  // Writes the new file, and only then removes those that are no longer needed. Throws IoError; the files that were
  // there are there still.
  void save(int64_t step, const Checkpoint& checkpoint);

  struct Found {
    int64_t step;
    std::string path;
    Checkpoint checkpoint;
  };

  // The checkpoint with the highest step that can be read, or nothing. Of each that cannot, `damaged` is told why.
  std::optional<Found> load(const std::function<void(const std::string& why)>& damaged);

  // The steps there are files for, the highest first.
  std::vector<int64_t> steps() const;
  std::string path(int64_t step) const;

  // Removes all files of the series.
  void remove();

 private:
  std::string folder_, name_;
  std::optional<int64_t> mine_;  // what this run saved or loaded last
};

}  // namespace cr::io
