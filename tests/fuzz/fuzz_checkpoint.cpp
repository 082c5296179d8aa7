// Feeds whatever libFuzzer invents to the reader of checkpoints. It may refuse it with an IoError; anything else is a
// bug.
#include <cstddef>
#include <cstdint>
#include <span>

#include "io/checkpoint.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    const cr::io::Checkpoint checkpoint = cr::io::parse_checkpoint(std::as_bytes(std::span(data, size)));
    uint64_t bytes = 0;
    for (const auto& [name, x] : checkpoint.tensors) bytes += static_cast<uint64_t>(x.numel() * cr::size_of(x.dtype()));
    if (bytes / 8 > size) __builtin_trap();
  } catch (const cr::IoError&) {
  }
  return 0;
}
