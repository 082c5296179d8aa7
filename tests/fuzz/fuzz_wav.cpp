// Feeds whatever libFuzzer invents to the WAV reader. It may refuse it with an IoError; anything else is a bug.
#include <cstddef>
#include <cstdint>
#include <span>

#include "io/wav.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    const cr::io::Wav wav = cr::io::parse_wav(std::as_bytes(std::span(data, size)));
    if (static_cast<uint64_t>(wav.samples.numel()) > size) __builtin_trap();
  } catch (const cr::IoError&) {
  }
  return 0;
}
