// Feeds whatever libFuzzer invents to the safetensors reader. It may refuse it with an IoError; anything else is a bug.
#include <cstddef>
#include <cstdint>
#include <span>

#include "io/safetensors.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    cr::io::SafeTensors file = cr::io::parse_safetensors(std::as_bytes(std::span(data, size)));
    // What was accepted cannot hold more than the file did, but that one byte of it may have become eight.
    uint64_t bytes = 0;
    for (const auto& [name, x] : file.tensors) bytes += static_cast<uint64_t>(x.numel() * cr::size_of(x.dtype()));
    if (bytes / 8 > size) __builtin_trap();
  } catch (const cr::IoError&) {
  }
  return 0;
}
