// Feeds whatever libFuzzer invents to the reader of checkpoints. It may refuse it with an IoError; anything else is a bug.
#include <cstddef>
#include <cstdint>
#include <span>

#include "io/checkpoint.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    cr::io::Checkpoint checkpoint = cr::io::parse_checkpoint(std::as_bytes(std::span(data, size)));
    if (checkpoint.json.size() > size) __builtin_trap();
  } catch (const cr::IoError&) {
  }
  return 0;
}
