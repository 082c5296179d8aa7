#include "io/idx.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>
#include <vector>

#include "io/atomic_file.hpp"

#if CHAINRULE_ZLIB
#include <zlib.h>
#endif

namespace cr::io {
namespace {

using Bytes = std::span<const std::byte>;

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

// A number of the file, most significant byte first; and one to be written.
template <typename T> T from_big_endian(const std::byte* from) {
  std::byte bytes[sizeof(T)];
  std::memcpy(bytes, from, sizeof(T));
  if constexpr (std::endian::native == std::endian::little) std::reverse(bytes, bytes + sizeof(T));
  T value;
  std::memcpy(&value, bytes, sizeof(T));
  return value;
}
template <typename T> void to_big_endian(std::byte* to, T value) {
  std::memcpy(to, &value, sizeof(T));
  if constexpr (std::endian::native == std::endian::little) std::reverse(to, to + sizeof(T));
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

  // As in safetensors, a size of 0 counts as 1 against overflow: strides are products of the other sizes.
  header.data_bytes = dispatch_idx(header.type, [](auto t) { return sizeof t; });
  bool empty = false;
  for (uint8_t d = 0; d < rank; ++d) {
    uint32_t size = from_big_endian<uint32_t>(start.data() + 4 + 4 * d);
    header.shape.push_back(size);
    empty = empty || size == 0;
    if (__builtin_mul_overflow(header.data_bytes, uint64_t{std::max(size, 1u)}, &header.data_bytes) ||
        header.data_bytes > uint64_t{1} << 58)
      damaged(file, "it claims more elements than memory can address");
  }
  if (empty) header.data_bytes = 0;
  if (header.data_bytes > available - std::min(available, header.bytes))
    damaged(file, "it claims " + to_string(header.shape) + " elements, more than the file can hold");
  return header;
}

// Convert the elements. The loop over a type known to the compiler is as fast as the memory.
Tensor convert(const Header& header, Bytes data, DType dtype, double scale) {
  Tensor x = empty(header.shape, dtype);
  dispatch(dtype, [&](auto to) {
    using To = decltype(to);
    dispatch_idx(header.type, [&](auto from) {
      using From = decltype(from);
      To* out = x.mutable_data<To>();
      for (int64_t i = 0; i < x.numel(); ++i) {
        auto value = static_cast<double>(from_big_endian<From>(data.data() + static_cast<size_t>(i) * sizeof(From)));
        value *= scale;
        // Out of an integer's range, conversion would be undefined behaviour.
        if constexpr (std::is_same_v<To, int64_t>)
          out[i] = value >= -0x1p63 && value < 0x1p63 ? static_cast<int64_t>(value) : 0;
        else out[i] = static_cast<To>(value);
      }
    });
  });
  return x;
}

#if CHAINRULE_ZLIB

// Decompresses gzip, so many bytes at a time.
class Gunzip {
 public:
  Gunzip(Bytes file, const std::string& name) : file_(file), name_(name) {
    constexpr int kGzip = 16;  // added to the window's logarithm, this asks for gzip's header and checksum
    if (inflateInit2(&stream_, 15 + kGzip) != Z_OK) throw OutOfMemory("no memory to decompress " + name);
  }
  ~Gunzip() { inflateEnd(&stream_); }
  Gunzip(const Gunzip&) = delete;
  Gunzip& operator=(const Gunzip&) = delete;

  // Fills `out` as far as the data reach; returns how many bytes came.
  size_t read(std::span<std::byte> out) {
    size_t done = 0;
    while (done < out.size() && !ended_) {
      // zlib counts in 32 bits.
      constexpr size_t kMost = 1 << 30;
      const size_t in = std::min(kMost, file_.size() - used_), room = std::min(kMost, out.size() - done);
      stream_.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(file_.data() + used_));
      stream_.avail_in = static_cast<uInt>(in);
      stream_.next_out = reinterpret_cast<Bytef*>(out.data() + done);
      stream_.avail_out = static_cast<uInt>(room);
      const int status = inflate(&stream_, Z_NO_FLUSH);
      used_ += in - stream_.avail_in;
      done += room - stream_.avail_out;
      if (status == Z_MEM_ERROR) throw OutOfMemory("no memory to decompress " + name_);
      if (status == Z_STREAM_END) ended_ = true;
      else if (status == Z_BUF_ERROR && used_ == file_.size()) damaged(name_, "the compressed data end early");
      else if (status != Z_OK && status != Z_BUF_ERROR) damaged(name_, "the compressed data are damaged");
    }
    return done;
  }

  // Nothing may be left, in the file or of the data. Getting here also checks gzip's checksum.
  void expect_end() {
    std::byte one;
    if (read({&one, 1}) != 0) damaged(name_, "it is longer than its header says");
    if (!ended_ || used_ != file_.size()) damaged(name_, "something follows the compressed data");
  }

 private:
  Bytes file_;
  const std::string& name_;
  z_stream stream_{};
  size_t used_ = 0;
  bool ended_ = false;
};

Tensor parse_gzip(Bytes file, DType dtype, double scale, const std::string& name) {
  Gunzip gunzip(file, name);
  std::vector<std::byte> start(4 + 4 * 16);
  // The header's length is in its fourth byte.
  size_t got = gunzip.read(std::span(start).first(4));
  if (got == 4)
    got += gunzip.read(std::span(start).subspan(4, 4 * std::min<size_t>(16, static_cast<size_t>(start[3]))));
  // Deflate makes at most 1032 bytes of one, so a small file cannot claim a large tensor.
  const Header header = parse_header(std::span(start).first(got), uint64_t{1032} * file.size(), name);
  std::vector<std::byte> data(static_cast<size_t>(header.data_bytes));
  if (gunzip.read(data) != data.size()) damaged(name, "it is shorter than its header says");
  gunzip.expect_end();
  return convert(header, data, dtype, scale);
}

#endif

}  // namespace

Tensor parse_idx(Bytes file, DType dtype, double scale, const std::string& name) {
  if (dtype == DType::boolean) throw DTypeError("read_idx: dtype must be float32, float64 or int64, not bool");
  if (file.size() >= 2 && file[0] == std::byte{0x1f} && file[1] == std::byte{0x8b}) {
#if CHAINRULE_ZLIB
    return parse_gzip(file, dtype, scale, name);
#else
    throw IoError(name + ": compressed, and this build has no zlib: run gunzip on it first");
#endif
  }
  const Header header = parse_header(file, file.size(), name);
  if (file.size() != header.bytes + header.data_bytes)
    damaged(name, "it is " + std::to_string(file.size() - header.bytes - header.data_bytes) +
                      " bytes longer than its header says");
  return convert(header, file.subspan(static_cast<size_t>(header.bytes)), dtype, scale);
}

Tensor read_idx(const std::string& path, DType dtype, double scale) {
  const std::string file = read_file(path, kMaxFile);
  return parse_idx(std::as_bytes(std::span(file)), dtype, scale, path);
}

void write_idx(const std::string& path, const Tensor& x, IdxType type) {
  if (x.dim() > 16) throw IoError("cannot write " + path + ": IDX here has at most 16 dimensions");
  const Tensor values = x.contiguous();
  std::vector<std::byte> bytes(4 + 4 * static_cast<size_t>(x.dim()));
  bytes[2] = static_cast<std::byte>(type), bytes[3] = static_cast<std::byte>(x.dim());
  for (int d = 0; d < x.dim(); ++d) {
    if (x.size(d) > int64_t{0xffffffff}) throw IoError("cannot write " + path + ": a size does not fit 32 bits");
    to_big_endian(&bytes[4 + 4 * static_cast<size_t>(d)], static_cast<uint32_t>(x.size(d)));
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
        to_big_endian(&bytes[at], static_cast<To>(value));
        at += sizeof(To);
      }
    });
  });
  AtomicFile file(path);
  file.write(bytes.data(), bytes.size());
  file.commit();
}

}  // namespace cr::io
