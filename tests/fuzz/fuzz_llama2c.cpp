// Feeds whatever libFuzzer invents to the readers of llama2.c's checkpoint and tokenizer; the first byte chooses. They may
// refuse it with an IoError; anything else is a bug, and so are more numbers than the file holds.
#include <cstddef>
#include <cstdint>
#include <span>

#include "data/stories.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const cr::io::Bytes file = std::as_bytes(std::span(data + 1, size - 1));
  try {
    if (data[0] & 1) {
      int64_t numbers = 0;
      for (const auto& [name, x] : cr::data::parse_llama2c(file).tensors) numbers += x.numel();
      if (static_cast<uint64_t>(4 * numbers) > size) __builtin_trap();
    } else {
      const auto tokenizer = cr::data::parse_llama2c_tokenizer(file, 3);
      if (tokenizer.pieces.size() != 3) __builtin_trap();
    }
  } catch (const cr::IoError&) {
  }
  return 0;
}
