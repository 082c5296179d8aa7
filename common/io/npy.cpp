#include "io/npy.hpp"

#include <cctype>
#include <set>
#include <type_traits>

#include "io/atomic_file.hpp"

namespace cr::io {
namespace {

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr size_t kMaxHeader = 65536;  // ours need some 100 bytes
constexpr int kMaxRank = 32;

[[noreturn]] void damaged(const std::string& file, const std::string& what) {
  throw IoError(file + ": not a sound npy file: " + what);
}

// What the dictionary says.
struct Header {
  std::string descr;
  bool fortran_order = false;
  Shape shape;
};

// Reads the little of Python that a header is written in.
class HeaderParser {
 public:
  HeaderParser(std::string_view text, const std::string& file) : text_(text), file_(file) {}

  Header parse() {
    Header header;
    std::set<std::string> seen;
    expect('{');
    while (!accept('}')) {
      const std::string key = string();
      if (!seen.insert(key).second) fail("names " + quote(key) + " twice");
      expect(':');
      if (key == "descr") header.descr = string();
      else if (key == "fortran_order") header.fortran_order = boolean();
      else if (key == "shape") header.shape = shape();
      else fail("has an unknown key " + quote(key));
      if (!accept(',')) {
        expect('}');
        break;
      }
    }
    if (seen.size() != 3) fail("lacks its descr, fortran_order or shape");
    skip_space();
    if (!text_.empty()) fail("goes on behind its dictionary");
    return header;
  }

 private:
  [[noreturn]] void fail(const std::string& what) const { damaged(file_, "its header " + what); }

  void skip_space() {
    while (!text_.empty() && (text_[0] == ' ' || text_[0] == '\n' || text_[0] == '\t')) text_.remove_prefix(1);
  }
  bool accept(char c) {
    skip_space();
    if (text_.empty() || text_[0] != c) return false;
    text_.remove_prefix(1);
    return true;
  }
  void expect(char c) {
    if (!accept(c)) fail(std::string("lacks a ") + c);
  }

  std::string string() {
    skip_space();
    if (text_.starts_with("u'") || text_.starts_with("u\"")) text_.remove_prefix(1);  // Python 2
    if (!text_.empty() && text_[0] == '[') fail("describes records, not numbers");
    const char quote = text_.empty() ? 0 : text_[0];
    const size_t end = quote == '\'' || quote == '"' ? text_.find(quote, 1) : text_.npos;
    if (end == text_.npos) fail("lacks a text between quotation marks");
    std::string value(text_.substr(1, end - 1));
    text_.remove_prefix(end + 1);
    return value;
  }

  bool boolean() {
    skip_space();
    for (bool value : {true, false}) {
      const std::string_view word = value ? "True" : "False";
      if (text_.substr(0, word.size()) == word) {
        text_.remove_prefix(word.size());
        return value;
      }
    }
    fail("lacks True or False");
  }

  // "()", "(3,)", "(3, 4)"; Python 2 wrote "3L". To Python "(3)" is the number 3.
  Shape shape() {
    Shape sizes;
    expect('(');
    while (!accept(')')) {
      if (sizes.size() == kMaxRank) fail("has more than 32 dimensions");
      sizes.push_back(number());
      if (!accept(',')) {
        expect(')');
        if (sizes.size() == 1) fail("has a number for its shape");
        break;
      }
    }
    return sizes;
  }

  int64_t number() {
    skip_space();
    int64_t value = 0;
    size_t digits = 0;
    for (; digits < text_.size() && std::isdigit(static_cast<unsigned char>(text_[digits])); ++digits)
      if (__builtin_mul_overflow(value, 10, &value) || __builtin_add_overflow(value, text_[digits] - '0', &value))
        fail("has a size beyond int64");
    if (digits == 0) fail("has a size that is no whole number");
    text_.remove_prefix(digits);
    accept('L');
    return value;
  }

  std::string_view text_;
  const std::string& file_;
};

// Calls `f` with a value of the C++ type that `descr` stands for, without its order of bytes; false if it is none of
// ours.
template <class F> bool dispatch_descr(std::string_view descr, F&& f) {
  if (descr == "b1") f(bool{});
  else if (descr == "i1") f(int8_t{});
  else if (descr == "i2") f(int16_t{});
  else if (descr == "i4") f(int32_t{});
  else if (descr == "i8") f(int64_t{});
  else if (descr == "u1") f(uint8_t{});
  else if (descr == "u2") f(uint16_t{});
  else if (descr == "u4") f(uint32_t{});
  else if (descr == "u8") f(uint64_t{});
  else if (descr == "f2") f(Float16{});
  else if (descr == "f4") f(float{});
  else if (descr == "f8") f(double{});
  else return false;
  return true;
}

// The elements in the order in which they lie in the file. Integers of the file become int64.
template <class From> Tensor convert(Bytes data, const Shape& shape, std::endian order, const std::string& file) {
  using To = std::conditional_t<std::is_integral_v<From> && !std::is_same_v<From, bool>, int64_t, From>;
  Tensor x = empty(shape, dtype_of<To>);
  To* out = x.mutable_data<To>();
  if (std::is_same_v<From, To> && !std::is_same_v<From, bool> && order == std::endian::native && !data.empty()) {
    std::memcpy(out, data.data(), data.size());
    return x;
  }
  for (size_t i = 0; i < data.size() / sizeof(From); ++i) {
    const std::byte* at = &data[i * sizeof(From)];
    if constexpr (std::is_same_v<From, bool>) {
      if (*at > std::byte{1}) damaged(file, "it holds a bool that is neither 0 nor 1");
      out[i] = *at == std::byte{1};
    } else {
      const From value = load<From>(at, order);
      if constexpr (std::is_same_v<From, uint64_t>)
        if (value > uint64_t{INT64_MAX})
          throw IoError(file + ": element " + std::to_string(value) + " is beyond int64");
      out[i] = static_cast<To>(value);
    }
  }
  return x;
}

const char* descr_of(DType dtype, const std::string& file) {
  switch (dtype) {
    case DType::boolean: return "|b1";
    case DType::int64: return "<i8";
    case DType::float16: return "<f2";
    case DType::float64: return "<f8";
    case DType::bfloat16: throw IoError("cannot write " + file + ": numpy has no bfloat16; .to(DType::float32) first");
    default: return "<f4";
  }
}

}  // namespace

Tensor parse_npy(Bytes file, const std::string& name) {
  // The magic word, two bytes of version, then the header's length: two bytes in version 1, four in 2 and 3.
  if (file.size() < 10) damaged(name, "it has only " + std::to_string(file.size()) + " bytes");
  if (std::memcmp(file.data(), kMagic.data(), kMagic.size()) != 0) damaged(name, "it does not begin with \\x93NUMPY");
  const int version = static_cast<int>(file[6]);
  if (version < 1 || version > 3 || file[7] != std::byte{0})
    damaged(name, "its version " + std::to_string(version) + "." + std::to_string(static_cast<int>(file[7])) +
                      " is not 1.0, 2.0 or 3.0");
  const size_t start = version == 1 ? 10 : 12;
  if (file.size() < start) damaged(name, "it ends within its header");
  const size_t length = version == 1 ? load_little<uint16_t>(&file[8]) : load_little<uint32_t>(&file[8]);
  if (length > kMaxHeader) damaged(name, "its header claims more than 64 KB");
  if (length > file.size() - start) damaged(name, "its header claims more bytes than there are");
  const std::string_view text(reinterpret_cast<const char*>(file.data()) + start, length);
  const Bytes data = file.subspan(start + length);
  Header header = HeaderParser(text, name).parse();

  const char order = header.descr.empty() ? ' ' : header.descr[0];
  const bool ordered = order == '<' || order == '>' || order == '|' || order == '=';
  const std::string_view type = std::string_view(header.descr).substr(ordered ? 1 : 0);
  // The sizes in the order of memory: for Fortran's, where the first index runs fastest, backwards.
  if (header.fortran_order) std::reverse(header.shape.begin(), header.shape.end());
  Tensor x;
  const bool known = dispatch_descr(type, [&](auto t) {
    using From = decltype(t);
    // "|", "=" and nothing stand for the order of the machine that wrote the file, and those are little-endian today.
    const auto bytes = bytes_for(header.shape, std::max<uint64_t>(sizeof(From), 8));
    if (!bytes) damaged(name, "it claims more elements than memory can address");
    const uint64_t expected = *bytes / std::max<uint64_t>(sizeof(From), 8) * sizeof(From);
    if (data.size() != expected)
      damaged(name,
              "its elements take " + std::to_string(expected) + " bytes, and there are " + std::to_string(data.size()));
    x = convert<From>(data, header.shape, order == '>' ? std::endian::big : std::endian::little, name);
  });
  if (!known)
    throw IoError(name + ": elements of type " + quote(header.descr) +
                  "; known are bool, integers, float16, float32, float64");
  return header.fortran_order ? x.T().contiguous() : x;
}

Tensor read_npy(const std::string& path) {
  const std::string file = read_file(path, uint64_t{1} << 34);
  return parse_npy(bytes_of(file), path);
}

std::string encode_npy(const Tensor& x, const std::string& name) {
  const Tensor values = to_host(x).contiguous();
  std::string header = std::string("{'descr': '") + descr_of(x.dtype(), name) +
                       "', 'fortran_order': False, 'shape': " + to_string(x.shape()) + ", }";
  // Numbers begin at a multiple of 64 bytes, so that whoever maps the file into memory finds them aligned.
  constexpr size_t kStart = 10;
  header.append(63 - (kStart + header.size()) % 64, ' ') += '\n';

  std::string file(kMagic);
  file += std::string_view("\x01\x00", 2);
  append_little(file, static_cast<uint16_t>(header.size()));
  file += header;
  const auto* storage = static_cast<const char*>(values.impl()->storage->data());
  const int64_t element = size_of(x.dtype());
  if (x.numel() > 0) file.append(storage + values.impl()->offset * element, static_cast<size_t>(x.numel() * element));
  return file;
}

void write_npy(const std::string& path, const Tensor& x) { write_file(path, encode_npy(x, path)); }

}  // namespace cr::io
