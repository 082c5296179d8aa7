// PNG: what we write we read, what PIL wrote we read, and what lies is refused.

#include "io/png.hpp"

#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>

#include "contains.hpp"
#include "hostile.hpp"
#include "io/atomic_file.hpp"
#include "ops/create.hpp"
#include "ops/ops.hpp"
#include "temporary_folder.hpp"

#if CHAINRULE_PNG
#include <zlib.h>

using namespace cr;
using namespace cr::io;
using namespace std::string_literals;

namespace {

// The samples as whole numbers.
const PngOptions kBytes{.scale = 1, .dtype = DType::int64};

void parse(const std::string& file) { parse_png(bytes_of(file), {}, "f"); }

std::string big(uint32_t value) {
  std::byte bytes[4];
  store(bytes, value, std::endian::big);
  return {reinterpret_cast<char*>(bytes), 4};
}

std::string chunk(const std::string& name, const std::string& data) {
  const std::string body = name + data;
  const auto crc = crc32(0, reinterpret_cast<const Bytef*>(body.data()), static_cast<uInt>(body.size()));
  return big(static_cast<uint32_t>(data.size())) + body + big(static_cast<uint32_t>(crc));
}

std::string deflated(const std::string& data) {
  uLongf bytes = compressBound(data.size());
  std::string out(bytes, '\0');
  compress2(reinterpret_cast<Bytef*>(out.data()), &bytes, reinterpret_cast<const Bytef*>(data.data()), data.size(), 9);
  out.resize(bytes);
  return out;
}

// A picture of this size, bits a sample and type of colour; chunks before its rows; and the rows.
std::string file_of(uint32_t width, uint32_t height, char bits, char type, const std::string& before,
                    const std::string& rows) {
  const std::string header = big(width) + big(height) + bits + type + "\0\0\0"s;
  return "\x89PNG\r\n\x1a\n"s + chunk("IHDR", header) + before + chunk("IDAT", deflated(rows)) + chunk("IEND", "");
}

}  // namespace

TEST_CASE("the bytes of a PNG, by hand", "[io]") {
  const Tensor grey = parse_png(bytes_of(file_of(2, 2, 8, 0, "", "\0\x01\x02\0\xfe\xff"s)), kBytes);
  CHECK(grey.shape() == Shape{2, 2});
  CHECK(values<int64_t>(grey) == std::vector<int64_t>{1, 2, 254, 255});
  // One bit a pixel; 16 bits; a palette.
  CHECK(values<int64_t>(parse_png(bytes_of(file_of(3, 1, 1, 0, "", "\0\xa0"s)), kBytes)) ==
        std::vector<int64_t>{255, 0, 255});
  const Tensor deep = parse_png(bytes_of(file_of(2, 1, 16, 0, "", "\0\xff\xff\x80\x00"s)));
  CHECK(values<float>(deep) == std::vector<float>{1, 32768 / 65535.f});
  const std::string palette = chunk("PLTE", "\1\2\3\4\5\6");
  const Tensor coloured = parse_png(bytes_of(file_of(2, 1, 8, 3, palette, "\0\1\0"s)), kBytes);
  CHECK(coloured.shape() == Shape{1, 2, 3});
  CHECK(values<int64_t>(coloured) == std::vector<int64_t>{4, 5, 6, 1, 2, 3});
  // The same with two bits, and the first colour half transparent.
  const std::string clear = palette + chunk("tRNS", "\x80");
  CHECK(values<int64_t>(parse_png(bytes_of(file_of(2, 1, 2, 3, clear, "\0\x40"s)), kBytes)) ==
        std::vector<int64_t>{4, 5, 6, 255, 1, 2, 3, 128});
}

TEST_CASE("pictures come back", "[io]") {
  TemporaryFolder folder;
  for (const Shape& shape : {Shape{5, 7}, Shape{5, 7, 2}, Shape{5, 7, 3}, Shape{5, 7, 4}, Shape{1, 1}}) {
    const Tensor x = remainder(arange(numel(shape)) * 37, 256).reshape(shape);
    write_png(folder / "a.png", x, 1);
    CHECK(values<int64_t>(read_png(folder / "a.png", kBytes)) == values<int64_t>(x));
    CHECK(read_png(folder / "a.png").shape() == shape);
    // From 0 to 1, and back.
    const std::string once = read_file(folder / "a.png");
    write_png(folder / "a.png", read_png(folder / "a.png"));
    CHECK(read_file(folder / "a.png") == once);
  }
  write_png(folder / "a.png", zeros({4, 5, 1}));
  CHECK(read_png(folder / "a.png").shape() == Shape{4, 5});

  // What is beyond 0 … 1 is cut off; NaN is refused.
  write_png(folder / "a.png", tensor({{-1., 0.5, 7., INFINITY}}));
  CHECK(values<int64_t>(read_png(folder / "a.png", kBytes)) == std::vector<int64_t>{0, 128, 255, 255});
  CHECK_THROWS_WITH(write_png(folder / "b.png", full({1, 1}, NAN)), ContainsSubstring("b.png: element 0 is NaN"));
  for (const Shape& shape : {Shape{}, Shape{3}, Shape{2, 2, 5}, Shape{2, 0}, Shape{1, 1, 1, 1}})
    CHECK_THROWS_AS(write_png(folder / "b.png", zeros(shape)), ShapeError);
  CHECK(folder.count() == 1);
}

TEST_CASE("channels are converted", "[io]") {
  const std::string red = encode_png(tensor({{{200, 100, 50, 128}}}), 1);
  auto as = [](const std::string& file, int channels) {
    return values<int64_t>(parse_png(bytes_of(file), {.channels = channels, .scale = 1, .dtype = DType::int64}));
  };
  CHECK(as(red, 0) == std::vector<int64_t>{200, 100, 50, 128});
  CHECK(as(red, 1) == std::vector<int64_t>{124});  // 59.8 + 58.7 + 5.7
  CHECK(as(red, 2) == std::vector<int64_t>{124, 128});
  CHECK(as(red, 3) == std::vector<int64_t>{200, 100, 50});
  const std::string grey = encode_png(tensor({{77}}), 1);
  CHECK(as(grey, 2) == std::vector<int64_t>{77, 255});
  CHECK(as(grey, 4) == std::vector<int64_t>{77, 77, 77, 255});
  CHECK(parse_png(bytes_of(grey), {.channels = 3}).shape() == Shape{1, 1, 3});
  CHECK(parse_png(bytes_of(grey), {.dtype = DType::float64}).item<double>() == 77 / 255.);
  CHECK_THROWS_AS(parse_png(bytes_of(grey), {.channels = 5}), ShapeError);
  CHECK_THROWS_AS(parse_png(bytes_of(grey), {.dtype = DType::boolean}), DTypeError);
}

TEST_CASE("PNGs written by PIL, of every kind", "[io]") {
  const std::string folder = CHAINRULE_SOURCE_DIR "/tests/io/golden/png/";
  const auto expected = nlohmann::json::parse(read_file(folder + "values.json"));
  REQUIRE(expected.size() >= 15);
  for (const auto& item : expected.items()) {
    CAPTURE(item.key());
    const Tensor x = read_png(folder + item.key(), {.scale = item.value()["scale"], .dtype = DType::int64});
    CHECK(std::vector<int64_t>(x.shape().begin(), x.shape().end()) ==
          item.value()["shape"].get<std::vector<int64_t>>());
    CHECK(values<int64_t>(x) == item.value()["values"].get<std::vector<int64_t>>());
  }
}

TEST_CASE("PNGs that are cut, damaged or lie are refused", "[io]") {
  const std::string palette = chunk("PLTE", "\1\2\3\4\5\6");
  for (const std::string& whole : {file_of(3, 2, 8, 0, "", "\0abc\1def"s), file_of(2, 1, 8, 3, palette, "\0\1\0"s),
                                   encode_png(zeros({3, 3, 4}))}) {
    refuse_every_cut(whole, parse);
    CHECK(survive_damage(whole, parse) > 1000);
    CHECK_THROWS_WITH(parse(whole + "x"), ContainsSubstring("something follows"));
  }
  auto refuse = [](const std::string& file, const std::string& why) {
    CHECK(refused(parse, file));
    CHECK_THROWS_WITH(parse(file), ContainsSubstring(why));
  };
  refuse("", "does not begin");
  refuse("GIF89a..................", "does not begin");
  refuse(file_of(1u << 31, 1, 8, 0, "", ""), "not a sound PNG");
  refuse(file_of(1u << 25, 1, 8, 0, "", ""), "not a sound PNG");
  refuse(file_of(0, 1, 8, 0, "", ""), "not a sound PNG");
  refuse(file_of(1, 1, 3, 0, "", "\0\0"s), "not a sound PNG");
  refuse(file_of(1, 1, 16, 3, palette, "\0\0"s), "not a sound PNG");
  refuse(file_of(60000, 60000, 8, 6, "", ""), "60000 x 60000 pixels, at most");
  refuse(file_of(5000, 5000, 8, 2, "", ""), "more than its bytes can hold");
  refuse(file_of(2, 2, 8, 0, "", "\0\1\2"s), "not a sound PNG");  // one row of two
  refuse(file_of(1, 1, 8, 0, "", "\x07\1"s), "not a sound PNG");  // a filter that there is not
  refuse(file_of(1, 1, 8, 3, "", "\0\0"s), "not a sound PNG");    // no palette
  refuse(file_of(2, 1, 8, 3, palette, "\0\1\2"s), "a pixel's colour is not in the palette");
  refuse(file_of(2, 2, 8, 0, "", "\0ab\0cd" + std::string(100, 'x')), "not a sound PNG");  // more than its rows
  // White pages: of 64 MB at most, and of more, in 4 KB, with one bit a pixel and a palette's four channels.
  auto page = [&](uint32_t height) {
    return file_of(8192, height, 1, 3, palette + chunk("tRNS", "\x80"), std::string(1025 * size_t{height}, '\0'));
  };
  CHECK(parse_png(bytes_of(page(400))).shape() == Shape{400, 8192, 4});
  refuse(page(4096), "take too much memory");
  CHECK_THROWS_WITH(parse_png(bytes_of(encode_png(zeros({3, 4}))), {.max_pixels = 11}, "f"),
                    ContainsSubstring("at most 11"));
  // Text that unpacks to ten megabytes is not kept, wherever it stands.
  const std::string text = chunk("zTXt", "a\0\0"s + deflated(std::string(10'000'000, 'x')));
  CHECK_NOTHROW(parse(file_of(1, 1, 8, 0, text, "\0\1"s)));
}

#else

TEST_CASE("PNGs", "[io]") { SKIP("this build has no libpng"); }

using namespace cr;
using namespace cr::io;

TEST_CASE("without libpng pictures are refused", "[io]") {
  CHECK_THROWS_WITH(parse_png(bytes_of("x"), {}, "f"), "f: a PNG, and this build has no libpng");
  CHECK_THROWS_WITH(write_png("f", zeros({1, 1})), ContainsSubstring("no libpng"));
}

#endif
