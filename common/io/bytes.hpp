// # Bytes of files
//
// What the readers share: numbers in either byte order, and the check that stands before every allocation.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "tensor/error.hpp"
#include "tensor/shape.hpp"

namespace cr::io {

using Bytes = std::span<const std::byte>;

inline Bytes bytes_of(std::string_view text) { return std::as_bytes(std::span(text)); }

// The number at `from`, which need not be aligned, in the order of bytes `order`.
template <class T> T load(const std::byte* from, std::endian order) {
  std::byte bytes[sizeof(T)];
  std::memcpy(bytes, from, sizeof(T));
  if (order != std::endian::native) std::reverse(bytes, bytes + sizeof(T));
  T value;
  std::memcpy(&value, bytes, sizeof(T));
  return value;
}
template <class T> T load_little(const std::byte* from) { return load<T>(from, std::endian::little); }
template <class T> T load_big(const std::byte* from) { return load<T>(from, std::endian::big); }

// The same, the other way: `value` to `to`.
template <class T> void store(std::byte* to, T value, std::endian order) {
  std::memcpy(to, &value, sizeof(T));
  if (order != std::endian::native) std::reverse(to, to + sizeof(T));
}

// Appends `value` to `text`, least significant byte first.
template <class T> void append_little(std::string& text, T value) {
  std::byte bytes[sizeof(T)];
  store(bytes, value, std::endian::little);
  text.append(reinterpret_cast<const char*>(bytes), sizeof(T));
}

// How many bytes elements of `element_bytes` take in this shape; none if the product does not fit into memory's
// addresses. The strides of a shape are products of some of its sizes, and must not overflow either: so a size of 0
// counts as 1 against overflow.
std::optional<uint64_t> bytes_for(const Shape& shape, uint64_t element_bytes);

// A name from a file between quotation marks, fit for a message of one line: shortened, without control characters.
std::string quote(std::string_view name);

}  // namespace cr::io
