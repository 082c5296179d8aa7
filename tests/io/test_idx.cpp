// IDX files: what we write we read, plain and gzip; real MNIST where there is one; and what lies is refused.

#include <cmath>
#include <cstdlib>
#include <cstring>

#include "catch.hpp"
#include "contains.hpp"
#include "hostile.hpp"
#include "io/atomic_file.hpp"
#include "io/idx.hpp"
#include "ops/create.hpp"
#include "temporary_folder.hpp"

#if CHAINRULE_ZLIB
#include <zlib.h>
#endif

using namespace cr;
using namespace cr::io;
using namespace std::string_literals;

namespace {

Tensor parse(const std::string& file, DType dtype = DType::float32) {
  return parse_idx(std::as_bytes(std::span(file)), dtype, 1, "f");
}

std::vector<float> values(const Tensor& x) { return ::values<float>(x); }

// Two rows of three bytes.
const std::string kSmall = "\0\0\x08\x02\0\0\0\x02\0\0\0\x03\x01\x02\x03\xfd\xfe\xff"s;

#if CHAINRULE_ZLIB
std::string gzip(const std::string& text) {
  TemporaryFolder folder;
  gzFile file = gzopen((folder / "a").c_str(), "wb9");
  gzwrite(file, text.data(), static_cast<unsigned>(text.size()));
  gzclose(file);
  return read_file(folder / "a");
}
#endif

}  // namespace

TEST_CASE("the bytes of an IDX file, by hand", "[io]") {
  Tensor x = parse(kSmall);
  CHECK(x.shape() == Shape{2, 3});
  CHECK(values(x) == std::vector<float>{1, 2, 3, 253, 254, 255});
  CHECK(parse(kSmall, DType::int64).data<int64_t>()[5] == 255);
  CHECK(parse_idx(std::as_bytes(std::span(kSmall)), DType::float32, 1 / 255.).data<float>()[5] == 1);
  CHECK(parse_idx(std::as_bytes(std::span(kSmall)), DType::int64, 1 / 255.).data<int64_t>()[4] == 1);
  CHECK(values(parse("\0\0\x09\x01\0\0\0\x01\xff"s)) == std::vector<float>{-1});
  CHECK(values(parse("\0\0\x0b\x01\0\0\0\x01\xff\xfe"s)) == std::vector<float>{-2});
  CHECK(values(parse("\0\0\x0d\x01\0\0\0\x01\x3f\xc0\0\0"s)) == std::vector<float>{1.5f});
  CHECK(parse("\0\0\x08\x00\x07"s).item<float>() == 7);
  CHECK(parse("\0\0\x08\x01\0\0\0\0"s).numel() == 0);
}

TEST_CASE("IDX of every type comes back", "[io]") {
  TemporaryFolder folder;
  const std::vector<float> numbers = {0, 1, 2, 100, 127, 5};
  Tensor x = from_span(std::span<const float>(numbers), {3, 1, 2});
  for (IdxType type : {IdxType::u8, IdxType::i8, IdxType::i16, IdxType::i32, IdxType::f32, IdxType::f64}) {
    write_idx(folder / "a", x, type);
    Tensor y = read_idx(folder / "a");
    CHECK(y.shape() == x.shape());
    CHECK(values(y) == numbers);
    CHECK(read_idx(folder / "a", DType::float64).data<double>()[3] == 100);
    CHECK(read_idx(folder / "a", DType::int64).data<int64_t>()[3] == 100);
  }
  CHECK_THROWS_WITH(write_idx(folder / "b", full({1}, 256)), ContainsSubstring("does not fit"));
  CHECK_THROWS_AS(write_idx(folder / "b", full({1}, 0.5)), IoError);
  CHECK_THROWS_AS(write_idx(folder / "b", full({1}, NAN)), IoError);
  CHECK(folder.count() == 1);
  CHECK_THROWS_AS(read_idx(folder / "a", DType::boolean), DTypeError);
  CHECK_THROWS_WITH(read_idx(folder / "a", DType::float16),
                    ContainsSubstring("read_idx: ") && ContainsSubstring("float16"));
}

TEST_CASE("an IDX file cut short anywhere, or too long, is refused", "[io]") {
  for (size_t length = 0; length < kSmall.size(); ++length) {
    CAPTURE(length);
    CHECK_THROWS_AS(parse(kSmall.substr(0, length)), IoError);
  }
  CHECK_THROWS_WITH(parse(kSmall + "x"), "f: not a sound IDX file: it is 1 bytes longer than its header says");
}

TEST_CASE("IDX headers that lie are refused before memory is asked for", "[io]") {
  CHECK_THROWS_WITH(parse("\x01\0\x08\x01\0\0\0\x01x"s), ContainsSubstring("first four bytes"));
  CHECK_THROWS_WITH(parse("\0\0\x0a\x01\0\0\0\x01x"s), ContainsSubstring("first four bytes"));
  CHECK_THROWS_WITH(parse("\0\0\x08\x11"s + std::string(100, '\0')), ContainsSubstring("17 dimensions"));
  CHECK_THROWS_WITH(parse("\0\0\x08\x01\xff\xff\xff\xffx"s), ContainsSubstring("more than the file can hold"));
  CHECK_THROWS_WITH(parse("\0\0\x08\x02"s + std::string(8, '\xff')), ContainsSubstring("more elements than memory"));
  // 2^16 four times is 0 in 64 bits; and so are the strides when another size is 0.
  const std::string k = "\0\x01\0\0"s;
  CHECK_THROWS_WITH(parse("\0\0\x08\x04"s + k + k + k + k), ContainsSubstring("more elements than memory"));
  CHECK_THROWS_WITH(parse("\0\0\x08\x05"s + "\0\0\0\0"s + k + k + k + k),
                    ContainsSubstring("more elements than memory"));
}

TEST_CASE("one damaged byte of an IDX file never does worse than an error", "[io]") {
  CHECK(survive_damage(kSmall, [](const std::string& file) { parse(file); }) > 100);
}

TEST_CASE("NaN is no label", "[io]") {
  const std::string nan = "\0\0\x0d\x01\0\0\0\x02\x3f\x80\0\0\x7f\xc0\0\0"s;
  CHECK(std::isnan(parse(nan).data<float>()[1]));
  CHECK_THROWS_WITH(parse(nan, DType::int64), ContainsSubstring("element 1 is no int64"));
  CHECK_THROWS_WITH(parse("\0\0\x0d\x01\0\0\0\x01\x7f\x80\0\0"s, DType::int64), ContainsSubstring("element 0"));
  CHECK_THROWS_WITH(parse("\0\0\x0d\x01\0\0\0\x01\x5f\0\0\0"s, DType::int64), ContainsSubstring("element 0"));  // 2⁶³
}

#if CHAINRULE_ZLIB

TEST_CASE("gzip is read, and damage in it is found", "[io]") {
  const std::string packed = gzip(kSmall);
  CHECK(values(parse(packed)) == values(parse(kSmall)));
  for (size_t length = 0; length < packed.size(); ++length) {
    CAPTURE(length);
    CHECK_THROWS_AS(parse(packed.substr(0, length)), IoError);
  }
  CHECK_THROWS_WITH(parse(packed + "x"), ContainsSubstring("something follows"));
  std::string wrong_checksum = packed;
  wrong_checksum[packed.size() - 8] ^= 1;
  CHECK_THROWS_WITH(parse(wrong_checksum), ContainsSubstring("damaged"));
  CHECK_THROWS_WITH(parse(gzip(kSmall + "x")), ContainsSubstring("longer than announced"));
  CHECK_THROWS_WITH(parse(gzip(kSmall.substr(0, 15))), ContainsSubstring("shorter than its header"));
  CHECK_THROWS_AS(parse(gzip(kSmall.substr(0, 6))), IoError);
  CHECK_THROWS_AS(parse(gzip("")), IoError);
}

TEST_CASE("gzip is read piece by piece", "[io]") {
  std::string file = "\0\0\x0b\x01\0\1\x86\xa0"s;  // 100000 of 16 bits
  for (int i = 0; i < 100000; ++i) file += "\0"s + static_cast<char>(i % 128);
  const Tensor x = parse(gzip(file));
  CHECK(values(x) == values(parse(file)));
  CHECK(x.data<float>()[99999] == 99999 % 128);
  // Of two members.
  CHECK(values(parse(gzip(file.substr(0, 1001)) + gzip(file.substr(1001)))) == values(x));
}

TEST_CASE("a small compressed file cannot claim a large tensor", "[io]") {
  // 4 GB of zeros claimed by 40 bytes; and a true bomb, which says little and unpacks to much.
  CHECK_THROWS_WITH(parse(gzip("\0\0\x08\x01\xff\xff\xff\xff"s)), ContainsSubstring("more than the file can hold"));
  CHECK_THROWS_WITH(parse(gzip("\0\0\x08\x01\0\0\0\x01"s + std::string(50'000'000, '\0'))),
                    ContainsSubstring("longer than announced"));
}

TEST_CASE("real MNIST", "[io]") {
  const char* data = std::getenv("CHAINRULE_DATA");
  if (!data) SKIP("CHAINRULE_DATA is not set");
  const std::string folder = std::string(data) + "/mnist/";
  if (!std::filesystem::exists(folder + "t10k-images-idx3-ubyte.gz")) SKIP("CHAINRULE_DATA holds no mnist");
  Tensor images = read_idx(folder + "t10k-images-idx3-ubyte.gz", DType::float32, 1 / 255.);
  Tensor labels = read_idx(folder + "t10k-labels-idx1-ubyte.gz", DType::int64);
  CHECK(images.shape() == Shape{10000, 28, 28});
  REQUIRE(labels.shape() == Shape{10000});
  CHECK(labels.data<int64_t>()[0] == 7);
  double sum = 0;
  for (float v : images.span<float>()) sum += v;
  CHECK(sum / static_cast<double>(images.numel()) == Approx(0.1325).margin(0.001));
  // There and back.
  TemporaryFolder temporary;
  write_idx(temporary / "labels", labels);
  Tensor again = read_idx(temporary / "labels", DType::int64);
  CHECK(std::memcmp(labels.data<int64_t>(), again.data<int64_t>(), 80000) == 0);
}

#else

TEST_CASE("compressed IDX files", "[io]") { SKIP("this build has no zlib"); }

TEST_CASE("without zlib a compressed file is refused with advice", "[io]") {
  CHECK_THROWS_WITH(parse("\x1f\x8b\x08"), ContainsSubstring("gunzip"));
}

#endif
