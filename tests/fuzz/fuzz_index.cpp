// Feeds whatever libFuzzer invents to the reader of a sharded model's index. It may refuse it with an IoError; anything
// else is a bug, and so is a shard whose name leads out of the index's folder.
#include <cstddef>
#include <cstdint>
#include <string>

#include "io/safetensors.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    const auto files = cr::io::parse_safetensors_index(std::string(reinterpret_cast<const char*>(data), size));
    for (const auto& [tensor, file] : files)
      if (file.empty() || file.find('/') != file.npos || file == "." || file == "..") __builtin_trap();
  } catch (const cr::IoError&) {
  }
  return 0;
}
