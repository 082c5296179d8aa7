// Feeds whatever libFuzzer invents to the npy reader. It may refuse it with an IoError; anything else is a bug.
#include <cstddef>
#include <cstdint>
#include <span>

#include "io/npy.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    const cr::Tensor x = cr::io::parse_npy(std::as_bytes(std::span(data, size)));
    // One byte of the file may have become eight.
    if (static_cast<uint64_t>(x.numel() * cr::size_of(x.dtype())) > 8 * size) __builtin_trap();
  } catch (const cr::IoError&) {
  }
  return 0;
}
