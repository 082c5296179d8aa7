#include "io/idx.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>
#include <vector>

#include "io/atomic_file.hpp"
#include "io/bytes.hpp"
#include "io/gzip.hpp"

namespace cr::io {
namespace {

constexpr uint64_t kMaxFile = uint64_t{1} << 34;

[[noreturn]] void damaged(const std::string& file, const std::string& what) {
  throw IoError(file + ": not a sound IDX file: " + what);
}

// What the first bytes say.
struct Header {
  IdxType type;
  Shape shape;
  uint64_t bytes;  // of the header itself
  uint64_t data_bytes;
};

// Calls `f` with a value of the C++ type behind `type`.
template <typename F> decltype(auto) dispatch_idx(IdxType type, F&& f) {
  switch (type) {
    case IdxType::i8: return f(int8_t{});
    case IdxType::i16: return f(int16_t{});
    case IdxType::i32: return f(int32_t{});
    case IdxType::f32: return f(float{});
    case IdxType::f64: return f(double{});
    default: return f(uint8_t{});
  }
}

uint64_t element_bytes(IdxType type) {
  return dispatch_idx(type, [](auto t) { return sizeof t; });
}

// Read the header from the first bytes of the (uncompressed) file. `available` is how many bytes the whole file can
// have at most: a header that claims more is refused before any memory is asked for.
Header parse_header(Bytes start, uint64_t available, const std::string& file) {
  if (start.size() < 4) damaged(file, "it ends within its header");
  const auto code = static_cast<uint8_t>(start[2]);
  const auto rank = static_cast<uint8_t>(start[3]);
  const bool known = code == 0x08 || code == 0x09 || (code >= 0x0B && code <= 0x0E);
  if (start[0] != std::byte{0} || start[1] != std::byte{0} || !known) damaged(file, "its first four bytes are wrong");
  Header header{static_cast<IdxType>(code), {}, 4 + uint64_t{4} * rank, 0};
  if (rank > 16) damaged(file, "it claims " + std::to_string(rank) + " dimensions");
  if (start.size() < header.bytes) damaged(file, "it ends within its header");

  for (uint8_t d = 0; d < rank; ++d) header.shape.push_back(load_big<uint32_t>(start.data() + 4 + 4 * d));
  const auto bytes = bytes_for(header.shape, element_bytes(header.type));
  if (!bytes) damaged(file, "it claims more elements than memory can address");
  header.data_bytes = *bytes;
  if (header.data_bytes > available - std::min(available, header.bytes))
    damaged(file, "it claims " + to_string(header.shape) + " elements, more than the file can hold");
  return header;
}

// Convert the elements in `data` to those of `x` from `first` on. The loop over a type known to the compiler is as fast
// as the memory.
void convert(const Header& header, Bytes data, Tensor& x, int64_t first, double scale, const std::string& file) {
  dispatch(x.dtype(), [&](auto to) {
    using To = decltype(to);
    dispatch_idx(header.type, [&](auto from) {
      using From = decltype(from);
      To* out = x.mutable_data<To>() + first;
      for (int64_t i = 0; i < static_cast<int64_t>(data.size() / sizeof(From)); ++i) {
        auto value = static_cast<double>(load_big<From>(data.data() + static_cast<size_t>(i) * sizeof(From)));
        value *= scale;
        // NaN as a label, or a number out of an integer's range: conversion would be undefined behaviour.
        if constexpr (std::is_same_v<To, int64_t>) {
          if (!(value >= -0x1p63 && value < 0x1p63))
            damaged(file, "element " + std::to_string(first + i) + " is no int64");
          value = std::nearbyint(value);
        }
        out[i] = static_cast<To>(value);
      }
    });
  });
}

Tensor parse_gzip(Bytes file, DType dtype, double scale, const std::string& name) {
  Gunzip gunzip(file, name);
  std::vector<std::byte> start(4 + 4 * 16);
  // The header's length is in its fourth byte.
  size_t got = gunzip.read(std::span(start).first(4));
  if (got == 4)
    got += gunzip.read(std::span(start).subspan(4, 4 * std::min<size_t>(16, static_cast<size_t>(start[3]))));
  const Header header = parse_header(std::span(start).first(got), inflated_at_most(file.size()), name);
  // A piece at a time, so that the tensor alone takes memory.
  Tensor x = empty(header.shape, dtype);
  std::vector<std::byte> data(std::min<size_t>(1 << 16, static_cast<size_t>(header.data_bytes)));
  for (uint64_t done = 0; done < header.data_bytes;) {
    const auto piece = std::span(data).first(std::min<size_t>(data.size(), header.data_bytes - done));
    if (gunzip.read(piece) != piece.size()) damaged(name, "it is shorter than its header says");
    convert(header, piece, x, static_cast<int64_t>(done / element_bytes(header.type)), scale, name);
    done += piece.size();
  }
  gunzip.expect_end();
  return x;
}

}  // namespace

Tensor parse_idx(Bytes file, DType dtype, double scale, const std::string& name) {
  if (dtype != DType::float32 && dtype != DType::float64 && dtype != DType::int64)
    throw DTypeError(std::string("read_idx: dtype must be float32, float64 or int64, not ") + cr::name(dtype));
  if (is_gzip(file)) return parse_gzip(file, dtype, scale, name);
  const Header header = parse_header(file, file.size(), name);
  if (file.size() != header.bytes + header.data_bytes)
    damaged(name, "it is " + std::to_string(file.size() - header.bytes - header.data_bytes) +
                      " bytes longer than its header says");
  Tensor x = empty(header.shape, dtype);
  convert(header, file.subspan(static_cast<size_t>(header.bytes)), x, 0, scale, name);
  return x;
}

Tensor read_idx(const std::string& path, DType dtype, double scale) {
  const std::string file = read_file(path, kMaxFile);
  return parse_idx(bytes_of(file), dtype, scale, path);
}

void write_idx(const std::string& path, const Tensor& x, IdxType type) {
  if (x.dim() > 16) throw IoError("cannot write " + path + ": IDX here has at most 16 dimensions");
  const Tensor values = to_host(x).contiguous();
  std::vector<std::byte> bytes(4 + 4 * static_cast<size_t>(x.dim()));
  bytes[2] = static_cast<std::byte>(type), bytes[3] = static_cast<std::byte>(x.dim());
  for (int d = 0; d < x.dim(); ++d) {
    if (x.size(d) > int64_t{0xffffffff}) throw IoError("cannot write " + path + ": a size does not fit 32 bits");
    store(&bytes[4 + 4 * static_cast<size_t>(d)], static_cast<uint32_t>(x.size(d)), std::endian::big);
  }
  dispatch(x.dtype(), [&](auto from) {
    dispatch_idx(type, [&](auto to) {
      using To = decltype(to);
      size_t at = bytes.size();
      bytes.resize(at + static_cast<size_t>(x.numel()) * sizeof(To));
      for (auto value : values.span<decltype(from)>()) {
        // Whole numbers must be in the integer type's range; its limits are exact as doubles.
        if constexpr (std::is_integral_v<To>) {
          const auto v = static_cast<double>(value);
          if (!(v >= std::numeric_limits<To>::min() && v <= std::numeric_limits<To>::max() && v == std::floor(v)))
            throw IoError("cannot write " + path + ": element " + std::to_string(v) + " does not fit the file's type");
        }
        store(&bytes[at], static_cast<To>(value), std::endian::big);
        at += sizeof(To);
      }
    });
  });
  AtomicFile file(path);
  file.write(bytes.data(), bytes.size());
  file.commit();
}

}  // namespace cr::io
