// Feeds whatever libFuzzer invents to the reader of archives, every entry of which is read, and to that of npz. They may
// refuse it with an IoError; anything else is a bug.
#include <cstddef>
#include <cstdint>
#include <span>

#include "io/gzip.hpp"
#include "io/npy.hpp"
#include "io/zip.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto file = std::as_bytes(std::span(data, size));
  try {
    const cr::io::ZipReader zip(file, "zip");
    uint64_t declared = 0;
    for (const auto& entry : zip.entries()) declared += entry.bytes;
    if (declared > cr::io::inflated_at_most(size)) __builtin_trap();
    for (const auto& entry : zip.entries()) {
      try {
        if (zip.read(entry.name).size() != entry.bytes) __builtin_trap();
      } catch (const cr::IoError&) {
      }
    }
    cr::io::parse_npz(file);
  } catch (const cr::IoError&) {
  }
  return 0;
}
