// Feeds whatever libFuzzer invents to the IDX reader, plain and gzip. It may refuse it with an IoError; anything else
// is a bug. The first byte chooses the type of the result.
#include <cstddef>
#include <cstdint>
#include <span>

#include "io/idx.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const cr::DType types[] = {cr::DType::float32, cr::DType::float64, cr::DType::int64};
  try {
    cr::io::parse_idx(std::as_bytes(std::span(data + 1, size - 1)), types[data[0] % 3], 1 / 255.);
  } catch (const cr::IoError&) {
  }
  return 0;
}
