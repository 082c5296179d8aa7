#include "io/checkpoint.hpp"

#include "io/safetensors.hpp"

namespace cr::io {

// The metadata's key, and with it the version of what we write.
static const char* const kKey = "chainrule checkpoint 1";

void save_checkpoint(const std::string& path, const Checkpoint& checkpoint) {
  save_safetensors(path, checkpoint.tensors, {{kKey, checkpoint.json}});
}

Checkpoint load_checkpoint(const std::string& path) {
  SafeTensors file = load_safetensors(path);
  auto json = file.metadata.find(kKey);
  if (json == file.metadata.end()) throw IoError(path + ": a safetensors file, but not a checkpoint of ours");
  return {std::move(file.tensors), std::move(json->second)};
}

}  // namespace cr::io
