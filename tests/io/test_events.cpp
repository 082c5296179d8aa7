// TensorBoard's event files: what we write we read, and damage is found. (That TensorBoard reads them, test_python.py
// tries.)

#include <sys/resource.h>

#include <cmath>
#include <csignal>
#include <cstring>
#include <filesystem>

#include "contains.hpp"
#include "hostile.hpp"
#include "io/atomic_file.hpp"
#include "io/events.hpp"
#include "io/png.hpp"
#include "ops/create.hpp"
#include "ops/ops.hpp"
#include "temporary_folder.hpp"

using namespace cr;
using namespace cr::io;
using namespace std::string_literals;

namespace {

std::vector<Event> parse(const std::string& file) { return parse_events(bytes_of(file), "f"); }

// A record of such bytes, with sound checksums.
std::string record(const std::string& event) {
  std::string text;
  append_little(text, uint64_t{event.size()});
  append_little(text, masked_crc32c(bytes_of(text)));
  text += event;
  append_little(text, masked_crc32c(bytes_of(event)));
  return text;
}

}  // namespace

TEST_CASE("the checksum of the format", "[io]") {
  // RFC 3720, B.4: CRC-32C of 32 zeros, 32 bytes 0xff, and 0, 1, 2 … 31.
  auto masked = [](uint32_t crc) { return (crc >> 15 | crc << 17) + 0xa282ead8u; };
  CHECK(masked_crc32c(bytes_of(std::string(32, '\0'))) == masked(0x8a9136aa));
  CHECK(masked_crc32c(bytes_of(std::string(32, '\xff'))) == masked(0x62a8ab43));
  std::string rising;
  for (char c = 0; c < 32; ++c) rising += c;
  CHECK(masked_crc32c(bytes_of(rising)) == masked(0x46dd794e));
}

TEST_CASE("scalars and histograms come back", "[io]") {
  TemporaryFolder folder;
  EventWriter writer(folder / "new/folder");
  writer.add_scalar("loss", 0.25, 1, 1000.5);
  writer.add_scalar("ключ/acc", INFINITY, INT64_MAX, 1001);
  writer.add_histogram("w", tensor({{0., 1.}, {1., 4.}}), 2, 4);
  writer.add_histogram("same", ones({10}), 3, 2);
  writer.flush();

  // The file is whole at any time, not only when the writer is gone.
  const std::vector<Event> events = read_events(writer.path());
  REQUIRE(events.size() == 4);
  CHECK(events[0].kind == Event::Kind::scalar);
  CHECK(events[0].tag == "loss");
  CHECK(events[0].scalar == 0.25);
  CHECK(events[0].step == 1);
  CHECK(events[0].time == 1000.5);
  CHECK(events[1].tag == "ключ/acc");
  CHECK(events[1].step == INT64_MAX);
  CHECK(std::isinf(events[1].scalar));

  const Histogram& h = events[2].histogram;
  CHECK(events[2].kind == Event::Kind::histogram);
  CHECK((h.min == 0 && h.max == 4 && h.number == 4 && h.sum == 6 && h.sum_squares == 18));
  CHECK(h.limits == std::vector<double>{1, 2, 3, 4});
  CHECK(h.counts == std::vector<double>{1, 2, 0, 1});
  CHECK(events[3].histogram.limits == std::vector<double>{1, 1.5});
  CHECK(events[3].histogram.counts == std::vector<double>{0, 10});
  CHECK(std::abs(events[3].time - 1.7e9) < 1e9);
  CHECK(events[3].time > 1.7e9);
}

TEST_CASE("every value is in one bin", "[io]") {
  TemporaryFolder folder;
  EventWriter writer(folder / "events");
  for (double scale : {1., 1e-310, 1e149, 1e-30}) {
    const Tensor x = tensor({-3., -1., 0., 0.7, 2., 2.9999}, DType::float64) * scale;
    writer.add_histogram("x", x, 0, 7);
    const Histogram h = read_events(writer.path()).back().histogram;
    double sum = 0;
    for (double count : h.counts) sum += count;
    CHECK(sum == 6);
    CHECK(h.limits.back() >= h.max);
    CHECK(std::is_sorted(h.limits.begin(), h.limits.end()));
  }
  for (double value : {0., 1e149, -1e149, 5e-324}) {
    writer.add_histogram("x", full({3}, value, DType::float64), 0, 3);
    const Histogram h = read_events(writer.path()).back().histogram;
    CHECK(h.counts[0] + h.counts[1] + h.counts[2] == 3);
  }
  CHECK_THROWS_AS(writer.add_histogram("x", zeros({0}), 0), ShapeError);
  CHECK_THROWS_AS(writer.add_histogram("x", zeros({3}), 0, 0), ShapeError);
  CHECK_THROWS_WITH(writer.add_histogram("x", full({3}, NAN), 0), ContainsSubstring("\"x\" has a value nan"));
  CHECK_THROWS_AS(writer.add_histogram("x", full({3}, INFINITY), 0), IoError);
  CHECK(read_events(writer.path()).size() == 8);
}

#if CHAINRULE_PNG
TEST_CASE("an image is a PNG in an event", "[io]") {
  TemporaryFolder folder;
  EventWriter writer(folder / "events");
  const Tensor x = arange(12).reshape({2, 2, 3}).to(DType::float32) / 255.;
  writer.add_image("picture", x, 5);
  const Event event = read_events(writer.path()).at(0);
  CHECK(event.kind == Event::Kind::image);
  CHECK(event.step == 5);
  CHECK(values<float>(parse_png(bytes_of(event.png))) == values<float>(x));
  for (const Shape& shape : {Shape{2}, Shape{3, 32, 32}, Shape{0, 2}, Shape{1, 2, 2, 3}}) {
    CHECK_THROWS_AS(writer.add_image("picture", zeros(shape), 5), ShapeError);
    CHECK_THROWS_WITH(writer.add_image("picture", zeros(shape), 5), ContainsSubstring("add_image: needs (height"));
  }
}
#else
TEST_CASE("an image in an event", "[io]") { SKIP("this build has no libpng"); }
#endif

TEST_CASE("an event file written by TensorBoard's own code", "[io]") {
  const std::vector<Event> events = read_events(CHAINRULE_SOURCE_DIR "/tests/io/golden/events/tensorboard");
  REQUIRE(events.size() == 5);  // the text in it is of no kind that we know
  CHECK((events[0].tag == "loss" && events[0].scalar == 0.5 && events[0].step == 1 && events[0].time == 2));
  CHECK((events[1].tag == "acc" && events[1].scalar == 1 && events[1].step == 1));
  const Histogram& h = events[2].histogram;
  CHECK((events[2].tag == "weights" && events[2].step == -2));
  CHECK((h.min == -1 && h.max == 2 && h.number == 4 && h.sum == 2.5 && h.sum_squares == 6.25));
  CHECK((h.limits == std::vector<double>{0, 1, 2} && h.counts == std::vector<double>{1, 1, 2}));
  CHECK((events[3].kind == Event::Kind::image && events[3].step == int64_t{1} << 40));
#if CHAINRULE_PNG
  const Tensor picture = parse_png(bytes_of(events[3].png), {.scale = 1, .dtype = DType::int64});
  CHECK(values<int64_t>(picture) == values<int64_t>(arange(12)));
#endif
  CHECK((events[4].kind == Event::Kind::restart && events[4].step == 7));
}

TEST_CASE("a run that goes on writes a file of its own, which sorts behind the others", "[io]") {
  TemporaryFolder folder;
  std::string last;
  for (int64_t run = 0; run < 3; ++run) {
    EventWriter writer(folder / "e", run == 0 ? std::nullopt : std::optional(10 * run));
    writer.add_scalar("loss", 0, 10 * run);
    CHECK(writer.path() > last);
    CHECK(writer.path().find("/events.out.tfevents.") != std::string::npos);
    last = writer.path();
    const std::vector<Event> events = read_events(writer.path());
    REQUIRE(events.size() == (run == 0 ? 1 : 2));
    if (run > 0) CHECK(events[0].kind == Event::Kind::restart);
    if (run > 0) CHECK(events[0].step == 10 * run);
  }
  // Also behind one from a machine whose clock is an hour ahead.
  const std::string later = folder / "e/events.out.tfevents.4000000000.host.1";
  write_file(later, "");
  CHECK(EventWriter(folder / "e").path() > later);
  write_file(folder / "e/events.out.tfevents.9999999999.host.1", "");
  CHECK_THROWS_WITH(EventWriter(folder / "e"), ContainsSubstring("of another age"));
}

TEST_CASE("a writer that cannot write says so in one line", "[io]") {
  TemporaryFolder folder;
  write_file(folder / "file", "");
  CHECK_THROWS_WITH(EventWriter(folder / "file"), ContainsSubstring("cannot write"));
  CHECK_THROWS_AS(EventWriter("/proc/none"), IoError);

  // A full disk, as a limit on the file's size: nothing of the record that does not fit stays behind.
  EventWriter writer(folder / "e");
  writer.add_scalar("loss", 1, 1);
  rlimit old;
  ::getrlimit(RLIMIT_FSIZE, &old);
  auto* handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{std::filesystem::file_size(writer.path()) + 20, old.rlim_max};
  ::setrlimit(RLIMIT_FSIZE, &small);
  bool threw = false;
  try {
    writer.add_scalar("loss", 2, 2);
  } catch (const IoError&) {
    threw = true;
  }
  ::setrlimit(RLIMIT_FSIZE, &old);
  std::signal(SIGXFSZ, handler);
  CHECK(threw);
  writer.add_scalar("loss", 3, 3);
  const std::vector<Event> events = read_events(writer.path());
  REQUIRE(events.size() == 2);
  CHECK(events[1].scalar == 3);
}

TEST_CASE("event files that are cut or damaged are refused", "[io]") {
  TemporaryFolder folder;
  EventWriter writer(folder / "e", 3);
  writer.add_scalar("a", 1, 1, 2);
  writer.add_histogram("b", ones({2}), 1, 1, 2);
  const std::string whole = read_file(writer.path());
  // Cut between two records the file is sound, only shorter; anywhere else it is not.
  size_t ends = 0, read = 0;
  for (size_t length = 0; length < whole.size(); ++length) {
    const std::string cut = whole.substr(0, length);
    ends += !refused(parse, cut);
    CHECK_NOTHROW(read += parse_events(bytes_of(cut), "f", true).size());
  }
  CHECK(ends == 4);  // nothing, the version, the restart, the scalar
  CHECK(read > 0);
  CHECK(survive_damage(whole, parse) == static_cast<int>(whole.size()) * 51);

  // Sound checksums around messages that are not.
  auto refuse = [](const std::string& event, const std::string& why) {
    CAPTURE(event);
    CHECK(refused(parse, record(event)));
    CHECK_THROWS_WITH(parse(record(event)), ContainsSubstring(why));
  };
  CHECK(parse(record("")).empty());
  CHECK(parse(record("\x52\x01x"s)).empty());                                     // a field that we do not know
  CHECK(parse(record("\x2a\x09\x0a\x07\x0a\x05other"s)).empty());                 // a value of another kind
  CHECK(parse(record("\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"s)).empty());  // step -1
  refuse("\x10"s, "ends within a field");
  refuse("\x10\x80"s, "ends within a field");
  refuse("\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"s, "ends within a field");
  refuse("\x09\1\2\3"s, "ends within a field");
  refuse("\x2a\xff\xff\xff\xff\x0f"s, "ends within a field");
  refuse("\x2a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"s, "ends within a field");
  refuse("\x0b"s, "ends within a field");
  refuse("\x0d\1\2\3\4"s, "field 1 is of another kind");
  refuse("\x2a\x06\x0a\x04\x2a\x02\x30\x01"s, "field 6 is of another kind");
  refuse("\x2a\x07\x0a\x05\x2a\x03\x32\x01x"s, "field 6 is of another kind");
  refuse("\x2a\x0e\x0a\x0c\x2a\x0a\x32\x08"s + std::string(8, '\0'), "1 limits and 0 counts");

  // A length that no file has, with its own sound checksum.
  std::string huge(8, '\xff');
  append_little(huge, masked_crc32c(bytes_of(huge)));
  CHECK_THROWS_WITH(parse(huge + "xxxxxxxx"), ContainsSubstring("goes on beyond the end"));
}
