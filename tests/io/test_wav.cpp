// WAV: what we write we read, what soundfile wrote we read, and what lies is refused.

#include "io/wav.hpp"

#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>

#include "contains.hpp"
#include "hostile.hpp"
#include "io/atomic_file.hpp"
#include "ops/create.hpp"
#include "temporary_folder.hpp"

using namespace cr;
using namespace cr::io;
using namespace std::string_literals;

#if CHAINRULE_SNDFILE

namespace {

void parse(const std::string& file) { parse_wav(bytes_of(file), "f"); }

// A RIFF file of 16-bit samples, whose header says what it is told to.
struct Raw {
  uint16_t format = 1, channels = 1, bits = 16;
  uint32_t rate = 8000, data_bytes = 4;
  std::string data = "\0\x40\0\xc0"s;  // 0.5, -0.5
};
std::string file_of(const Raw& raw) {
  std::string body = "WAVEfmt \x10\0\0\0"s;
  append_little(body, raw.format);
  append_little(body, raw.channels);
  append_little(body, raw.rate);
  append_little(body, raw.rate * raw.channels * raw.bits / 8);
  append_little(body, static_cast<uint16_t>(raw.channels * raw.bits / 8));
  append_little(body, raw.bits);
  body += "data";
  append_little(body, raw.data_bytes);
  body += raw.data;
  std::string file = "RIFF";
  append_little(file, static_cast<uint32_t>(body.size()));
  return file + body;
}

}  // namespace

TEST_CASE("the bytes of a WAV file, by hand", "[io]") {
  const Wav wav = parse_wav(bytes_of(file_of({})));
  CHECK(wav.rate == 8000);
  CHECK(wav.samples.shape() == Shape{2});
  CHECK(values<float>(wav.samples) == std::vector<float>{0.5f, -0.5f});
  const Wav stereo = parse_wav(bytes_of(file_of({.channels = 2})));
  CHECK(stereo.samples.shape() == Shape{1, 2});
  CHECK(values<float>(parse_wav(bytes_of(file_of({.bits = 8}))).samples) == std::vector<float>{-1, -0.5f, -1, 0.5f});
  CHECK(parse_wav(bytes_of(file_of({.data_bytes = 0, .data = ""}))).samples.shape() == Shape{0});
}

TEST_CASE("sounds come back", "[io]") {
  TemporaryFolder folder;
  // All 65536 values of 16 bits, in two channels.
  const Tensor steps = arange(-32768, 32768).reshape({32768, 2}).to(DType::float32);
  std::vector<float> fractions = values<float>(steps);
  for (float& f : fractions) f /= 32768;
  const Tensor x = from_span(std::span<const float>(fractions), {32768, 2});
  for (WavType type : {WavType::pcm16, WavType::float32}) {
    write_wav(folder / "a.wav", x, 44100, type);
    const Wav wav = read_wav(folder / "a.wav");
    CHECK(wav.rate == 44100);
    CHECK(wav.samples.shape() == x.shape());
    CHECK(values<float>(wav.samples) == fractions);
    CHECK(encode_wav(x, 44100, type) == read_file(folder / "a.wav"));
  }
  write_wav(folder / "a.wav", tensor({1., -2., 0.3, 1e-5}), 1);
  CHECK(values<float>(read_wav(folder / "a.wav").samples) ==
        std::vector<float>{32767 / 32768.f, -1, 9830 / 32768.f, 0});
  write_wav(folder / "a.wav", tensor({3., -2.}), INT32_MAX, WavType::float32);
  CHECK(values<float>(read_wav(folder / "a.wav").samples) == std::vector<float>{3, -2});
  write_wav(folder / "a.wav", zeros({0}), 8000);
  CHECK(read_wav(folder / "a.wav").samples.shape() == Shape{0});

  CHECK_THROWS_AS(write_wav(folder / "b.wav", zeros({}), 8000), ShapeError);
  CHECK_THROWS_AS(write_wav(folder / "b.wav", zeros({1, 1, 1}), 8000), ShapeError);
  CHECK_THROWS_WITH(write_wav(folder / "b.wav", zeros({1}), 0), ContainsSubstring("a rate of 0"));
  CHECK_THROWS_WITH(write_wav(folder / "b.wav", zeros({2, 0}), 1), ContainsSubstring("0 channels"));
  CHECK_THROWS_WITH(write_wav(folder / "b.wav", zeros({1, 1025}), 1), ContainsSubstring("1025 channels"));
  CHECK_THROWS_WITH(write_wav(folder / "b.wav", full({1}, NAN), 1), ContainsSubstring("sample 0 is not finite"));
  CHECK(folder.count() == 1);
}

TEST_CASE("WAVs written by soundfile, of every kind", "[io]") {
  const std::string folder = CHAINRULE_SOURCE_DIR "/tests/io/golden/wav/";
  const auto expected = nlohmann::json::parse(read_file(folder + "values.json"));
  REQUIRE(expected.size() >= 8);
  for (const auto& item : expected.items()) {
    CAPTURE(item.key());
    const Wav wav = read_wav(folder + item.key());
    CHECK(wav.rate == item.value()["rate"]);
    const Shape& shape = wav.samples.shape();
    CHECK(std::vector<int64_t>(shape.begin(), shape.end()) == item.value()["shape"].get<std::vector<int64_t>>());
    CHECK(values<float>(wav.samples) == item.value()["values"].get<std::vector<float>>());
  }
}

TEST_CASE("WAVs that are cut, damaged or lie are refused", "[io]") {
  const std::string whole = file_of({});
  refuse_every_cut(whole, parse);
  survive_damage(whole, parse);
  auto refuse = [](const std::string& file, const std::string& why) {
    CHECK(refused(parse, file));
    CHECK_THROWS_WITH(parse(file), ContainsSubstring(why));
  };
  refuse("", "does not begin");
  refuse("fLaC............", "does not begin");
  refuse("RIFF\0\0\0\0AVI fmt ", "does not begin");
  refuse(whole + "xx", "it has 50 bytes, and should have 48");
  refuse(file_of({.data_bytes = 6}), "its chunk at byte 36 goes on beyond the end");
  refuse(file_of({.data_bytes = 0xffffffff}), "its chunk at byte 36 goes on beyond the end");
  refuse(file_of({.channels = 0}), "not a sound WAV");
  refuse(file_of({.rate = 0}), "its rate is 0");
  refuse(file_of({.channels = 2, .data_bytes = 6, .data = "123456"}), "its samples end within a frame");
  refuse(file_of({.data = "1234data\2\0\0\0ab"s}), "it has two chunks of samples");
  refuse(file_of({.format = 0x55}), "");
  refuse(file_of({.format = 2}), "");
  // Floating-point samples that are none.
  const float bad[] = {1, NAN, INFINITY};
  for (float f : bad) {
    std::string data(4, '\0');
    std::memcpy(data.data(), &f, 4);
    const std::string file = file_of({.format = 3, .bits = 32, .data = data});
    if (std::isfinite(f)) CHECK(parse_wav(bytes_of(file)).samples.item<float>() == 1);
    else refuse(file, "sample 0 is not finite");
  }
}

#else

TEST_CASE("WAV files", "[io]") { SKIP("this build has no libsndfile"); }

TEST_CASE("without libsndfile sounds are refused", "[io]") {
  CHECK_THROWS_WITH(parse_wav(bytes_of("x"), "f"), "f: a WAV file, and this build has no libsndfile");
  CHECK_THROWS_WITH(write_wav("f", zeros({1}), 1), ContainsSubstring("no libsndfile"));
}

#endif
