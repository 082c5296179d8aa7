// Feeds whatever libFuzzer invents to the reader of compressed text. It may refuse it with an IoError; anything else is
// a bug.
#include <cstddef>
#include <cstdint>
#include <span>

#include "io/gzip.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    if (cr::io::gunzip(std::as_bytes(std::span(data, size))).size() > cr::io::inflated_at_most(size)) __builtin_trap();
  } catch (const cr::IoError&) {
  }
  return 0;
}
