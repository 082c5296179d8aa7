// # Protocol buffers, as much of them as event files need
//
// A message is a row of fields. Each begins with its number and its kind in one integer; integers come seven bits to a
// byte, least significant first, and the eighth bit says whether more follow (a *varint*). Then comes the value:
// another varint, 8 bytes, 4 bytes, or a length and so many bytes, which are text, a packed list or a message again
// (protobuf.dev, "Encoding").
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "io/bytes.hpp"

namespace cr::io::proto {

enum class Wire : uint8_t { varint = 0, fixed64 = 1, bytes = 2, fixed32 = 5 };

// A message being written.
struct Message {
  std::string text;

  Message& integer(int field, uint64_t value) {
    begin(field, Wire::varint);
    varint(value);
    return *this;
  }
  Message& number(int field, double value) {
    begin(field, Wire::fixed64);
    append_little(text, value);
    return *this;
  }
  Message& number(int field, float value) {
    begin(field, Wire::fixed32);
    append_little(text, value);
    return *this;
  }
  Message& numbers(int field, const std::vector<double>& values) {
    begin(field, Wire::bytes);
    varint(8 * values.size());
    for (double value : values) append_little(text, value);
    return *this;
  }
  Message& bytes(int field, std::string_view value) {
    begin(field, Wire::bytes);
    varint(value.size());
    text += value;
    return *this;
  }

 private:
  void begin(int field, Wire wire) { varint(static_cast<uint64_t>(field) << 3 | static_cast<uint64_t>(wire)); }
  void varint(uint64_t value) {
    for (; value >= 0x80; value >>= 7) text += static_cast<char>(value | 0x80);
    text += static_cast<char>(value);
  }
};

// A field that was read. The conversions throw IoError if it is of another kind.
struct Field {
  uint64_t number;
  Wire wire;
  uint64_t value;  // of a number, its bits
  Bytes content;   // of bytes
  const std::string* file;

  [[noreturn]] void refuse() const {
    throw IoError(*file + ": not a sound event file: field " + std::to_string(number) + " is of another kind");
  }
  void expect(Wire expected) const {
    if (wire != expected) refuse();
  }
  uint64_t as_integer() const {
    expect(Wire::varint);
    return value;
  }
  double as_double() const {
    expect(Wire::fixed64);
    return std::bit_cast<double>(value);
  }
  float as_float() const {
    expect(Wire::fixed32);
    return std::bit_cast<float>(static_cast<uint32_t>(value));
  }
  Bytes as_bytes() const {
    expect(Wire::bytes);
    return content;
  }
  std::string as_text() const {
    expect(Wire::bytes);
    return {reinterpret_cast<const char*>(content.data()), content.size()};
  }
  // A list may come packed, or as one field for each element.
  void append_doubles(std::vector<double>& to) const {
    if (wire == Wire::fixed64) {
      to.push_back(as_double());
      return;
    }
    if (as_bytes().size() % 8 != 0) refuse();
    for (size_t i = 0; i < content.size(); i += 8) to.push_back(load_little<double>(&content[i]));
  }
};

// Calls `f` for every field of a message. Throws IoError if it is no message.
template <class F> void for_each(Bytes message, const std::string& file, F f) {
  auto damaged = [&] { throw IoError(file + ": not a sound event file: an event ends within a field"); };
  size_t at = 0;
  auto take = [&](uint64_t bytes) {
    if (bytes > message.size() - at) damaged();
    const Bytes taken = message.subspan(at, static_cast<size_t>(bytes));
    at += static_cast<size_t>(bytes);
    return taken;
  };
  auto varint = [&] {
    uint64_t value = 0;
    for (int shift = 0;; shift += 7) {
      const auto byte = static_cast<uint64_t>(take(1)[0]);
      if (shift == 63 && byte > 1) damaged();
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  while (at < message.size()) {
    const uint64_t key = varint();
    Field field{key >> 3, static_cast<Wire>(key & 7), 0, {}, &file};
    switch (field.wire) {
      case Wire::varint: field.value = varint(); break;
      case Wire::fixed64: field.value = load_little<uint64_t>(take(8).data()); break;
      case Wire::fixed32: field.value = load_little<uint32_t>(take(4).data()); break;
      case Wire::bytes: field.content = take(varint()); break;
      default: damaged();
    }
    f(field);
  }
}

}  // namespace cr::io::proto
