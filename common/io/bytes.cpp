#include "io/bytes.hpp"

namespace cr::io {

std::optional<uint64_t> bytes_for(const Shape& shape, uint64_t element_bytes) {
  constexpr uint64_t kMost = uint64_t{1} << 60;
  uint64_t bytes = element_bytes;
  bool empty = false;
  for (int64_t size : shape) {
    if (size < 0) return std::nullopt;
    empty = empty || size == 0;
    if (__builtin_mul_overflow(bytes, static_cast<uint64_t>(std::max<int64_t>(size, 1)), &bytes) || bytes > kMost)
      return std::nullopt;
  }
  return empty ? 0 : bytes;
}

std::string quote(std::string_view name) {
  size_t shown = std::min<size_t>(name.size(), 60);
  while (shown > 0 && shown < name.size() && (name[shown] & 0xc0) == 0x80) --shown;  // not within a letter of UTF-8
  std::string text = "\"";
  for (char c : name.substr(0, shown)) text += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c;
  return text + (shown < name.size() ? "…\"" : "\"");
}

}  // namespace cr::io
