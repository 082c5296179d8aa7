#include "io/events.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <system_error>
#include <tuple>

#include "io/atomic_file.hpp"
#include "io/png.hpp"
#include "io/protobuf.hpp"

namespace cr::io {
namespace {

// The fields of event.proto, summary.proto and histogram.proto that we write or read.
enum EventField { kWallTime = 1, kStep = 2, kFileVersion = 3, kSummary = 5, kSessionLog = 7 };
enum SummaryField { kValue = 1 };
enum ValueField { kTag = 1, kSimpleValue = 2, kImage = 4, kHistogram = 5 };
enum ImageField { kHeight = 1, kWidth = 2, kColourSpace = 3, kEncoded = 4 };
enum HistogramField { kMin = 1, kMax = 2, kNumber = 3, kSum = 4, kSumSquares = 5, kLimits = 6, kCounts = 7 };
enum SessionField { kStatus = 1 };
constexpr int kStart = 1;  // the status of a session that begins
constexpr std::string_view kVersion = "brain.Event:2";
constexpr std::string_view kPrefix = "events.out.tfevents.";

// The remainders of all bytes under Castagnoli's polynomial, with bits in reverse.
constexpr std::array<uint32_t, 256> crc_table() {
  std::array<uint32_t, 256> table{};
  for (uint32_t byte = 0; byte < 256; ++byte) {
    uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
    table[byte] = crc;
  }
  return table;
}

double now() { return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count(); }

proto::Message event_at(std::optional<double> time, int64_t step) {
  proto::Message event;
  event.number(kWallTime, time.value_or(now()));
  event.integer(kStep, static_cast<uint64_t>(step));
  return event;
}

std::string summary(std::optional<double> time, int64_t step, const proto::Message& value) {
  proto::Message event = event_at(time, step);
  event.bytes(kSummary, proto::Message().bytes(kValue, value.text).text);
  return event.text;
}

// The second in the name of an event file; 0 for other files.
int64_t second_of(const std::string& name) {
  int64_t second = 0;
  if (name.starts_with(kPrefix)) std::from_chars(&name[kPrefix.size()], name.data() + name.size(), second);
  return second;
}

Histogram histogram_of(std::span<const double> values, int64_t bins) {
  Histogram h;
  h.min = *std::min_element(values.begin(), values.end());
  h.max = *std::max_element(values.begin(), values.end());
  h.number = static_cast<double>(values.size());
  // Where all values are equal the bins lie around them.
  const double around = h.min < h.max ? 0 : std::max(0.5, std::abs(h.min) * 1e-6);
  const double start = h.min - around, span = h.max - h.min + 2 * around, n = static_cast<double>(bins);
  for (int64_t i = 1; i < bins; ++i) h.limits.push_back(start + span * (static_cast<double>(i) / n));
  h.limits.push_back(h.max + around);
  h.counts.resize(static_cast<size_t>(bins));
  for (double v : values) {
    h.sum += v;
    h.sum_squares += v * v;
    ++h.counts[static_cast<size_t>(std::min((v - start) / span * n, n - 1))];
  }
  return h;
}

}  // namespace

uint32_t masked_crc32c(Bytes bytes) {
  static constexpr auto kTable = crc_table();
  uint32_t crc = ~uint32_t{0};
  for (std::byte b : bytes) crc = crc >> 8 ^ kTable[(crc ^ static_cast<uint32_t>(b)) & 0xff];
  return std::rotr(~crc, 15) + 0xa282ead8u;
}

EventWriter::EventWriter(const std::string& folder, std::optional<int64_t> resume_step) {
  // The name begins with the second, or with the one after the last file's if a clock was set back or is slow.
  std::error_code failed;
  std::filesystem::create_directories(folder, failed);
  auto second = static_cast<int64_t>(now());
  for (std::filesystem::directory_iterator file(folder, failed), end; !failed && file != end; file.increment(failed))
    second = std::max(second, second_of(file->path().filename().string()) + 1);
  if (failed) throw IoError("cannot write to " + folder + ": " + failed.message());
  if (second > 9'999'999'999) throw IoError("cannot write to " + folder + ": it holds an event file of another age");

  char host[256] = "localhost";
  ::gethostname(host, sizeof host - 1);
  std::string number = std::to_string(second);
  number.insert(0, 10 - number.size(), '0');
  path_ = folder + "/" + std::string(kPrefix) + number + "." + host + "." + std::to_string(::getpid());
  descriptor_ = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0666);
  if (descriptor_ < 0) throw IoError("cannot write " + path_ + ": " + std::generic_category().message(errno));

  try {
    write(proto::Message().number(kWallTime, now()).bytes(kFileVersion, kVersion).text);
    if (resume_step) {
      const proto::Message start = proto::Message().integer(kStatus, kStart);
      write(event_at({}, *resume_step).bytes(kSessionLog, start.text).text);
    }
  } catch (...) {
    ::close(descriptor_);
    throw;
  }
}

EventWriter::~EventWriter() { ::close(descriptor_); }

// One record: its length in 8 bytes, the checksum of those, the event, its checksum.
void EventWriter::write(const std::string& event) {
  std::string record;
  append_little(record, static_cast<uint64_t>(event.size()));
  append_little(record, masked_crc32c(bytes_of(record)));
  record += event;
  append_little(record, masked_crc32c(bytes_of(event)));
  std::string_view rest = record;
  while (!rest.empty()) {
    const ssize_t written = ::write(descriptor_, rest.data(), rest.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) {
      // Half a record would hide all that follow it: take back what was written of it.
      const int error_number = errno;
      struct stat info;
      if (rest.size() < record.size() && ::fstat(descriptor_, &info) == 0)
        std::ignore = ::ftruncate(descriptor_, info.st_size - static_cast<off_t>(record.size() - rest.size()));
      throw IoError("cannot write " + path_ + ": " + std::generic_category().message(error_number));
    }
    rest.remove_prefix(static_cast<size_t>(written));
  }
}

void EventWriter::flush() {
  if (::fsync(descriptor_) != 0) throw IoError("cannot write " + path_ + ": " + std::generic_category().message(errno));
}

void EventWriter::add_scalar(const std::string& tag, double value, int64_t step, std::optional<double> time) {
  proto::Message scalar;
  scalar.bytes(kTag, tag);
  scalar.number(kSimpleValue, static_cast<float>(value));
  write(summary(time, step, scalar));
}

void EventWriter::add_histogram(const std::string& tag, const Tensor& x, int64_t step, int64_t bins,
                                std::optional<double> time) {
  if (x.numel() == 0 || bins < 1 || bins > 100'000)
    throw ShapeError("add_histogram: needs values and 1 to 100000 bins, got shape " + to_string(x.shape()) + " and " +
                     std::to_string(bins) + " bins");
  const Tensor all = to_host(x).to(DType::float64).contiguous();
  for (double v : all.span<double>())
    if (!(std::abs(v) < 1e150))  // or its square is not finite
      throw IoError("cannot write " + path_ + ": " + quote(tag) + " has a value " + std::to_string(v));
  const Histogram h = histogram_of(all.span<double>(), bins);
  proto::Message histogram;
  histogram.number(kMin, h.min);
  histogram.number(kMax, h.max);
  histogram.number(kNumber, h.number);
  histogram.number(kSum, h.sum);
  histogram.number(kSumSquares, h.sum_squares);
  histogram.numbers(kLimits, h.limits);
  histogram.numbers(kCounts, h.counts);
  write(summary(time, step, proto::Message().bytes(kTag, tag).bytes(kHistogram, histogram.text)));
}

void EventWriter::add_image(const std::string& tag, const Tensor& x, int64_t step, std::optional<double> time) {
  if ((x.dim() != 2 && x.dim() != 3) || x.numel() == 0 || (x.dim() == 3 && x.size(2) > 4))
    throw ShapeError("add_image: needs (height, width) or (height, width, 1 to 4 channels), got " +
                     to_string(x.shape()));
  const std::string png = encode_png(x, 255, path_);
  proto::Message image;
  image.integer(kHeight, static_cast<uint64_t>(x.size(0)));
  image.integer(kWidth, static_cast<uint64_t>(x.size(1)));
  image.integer(kColourSpace, static_cast<uint64_t>(x.dim() == 3 ? x.size(2) : 1));
  image.bytes(kEncoded, png);
  write(summary(time, step, proto::Message().bytes(kTag, tag).bytes(kImage, image.text)));
}

// ## Reading

namespace {

Histogram parse_histogram(Bytes message, const std::string& file) {
  Histogram h;
  proto::for_each(message, file, [&](const proto::Field& field) {
    switch (field.number) {
      case kMin: h.min = field.as_double(); break;
      case kMax: h.max = field.as_double(); break;
      case kNumber: h.number = field.as_double(); break;
      case kSum: h.sum = field.as_double(); break;
      case kSumSquares: h.sum_squares = field.as_double(); break;
      case kLimits: field.append_doubles(h.limits); break;
      case kCounts: field.append_doubles(h.counts); break;
      default: break;
    }
  });
  if (h.limits.size() != h.counts.size())
    throw IoError(file + ": not a sound event file: a histogram has " + std::to_string(h.limits.size()) +
                  " limits and " + std::to_string(h.counts.size()) + " counts");
  return h;
}

// One value of a summary; of a kind that we do not know, nothing is added.
void parse_value(Bytes message, Event event, std::vector<Event>& events, const std::string& file) {
  bool known = false;
  proto::for_each(message, file, [&](const proto::Field& field) {
    switch (field.number) {
      case kTag: event.tag = field.as_text(); break;
      case kSimpleValue: event.kind = Event::Kind::scalar, event.scalar = field.as_float(), known = true; break;
      case kHistogram:
        event.kind = Event::Kind::histogram, event.histogram = parse_histogram(field.as_bytes(), file), known = true;
        break;
      case kImage:
        event.kind = Event::Kind::image, known = true;
        proto::for_each(field.as_bytes(), file, [&](const proto::Field& part) {
          if (part.number == kEncoded) event.png = part.as_text();
        });
        break;
      default: break;
    }
  });
  if (known) events.push_back(std::move(event));
}

void parse_event(Bytes message, std::vector<Event>& events, const std::string& file) {
  Event event;
  std::vector<Bytes> summaries;
  proto::for_each(message, file, [&](const proto::Field& field) {
    switch (field.number) {
      case kWallTime: event.time = field.as_double(); break;
      case kStep: event.step = static_cast<int64_t>(field.as_integer()); break;
      case kSummary: summaries.push_back(field.as_bytes()); break;
      case kSessionLog:
        proto::for_each(field.as_bytes(), file, [&](const proto::Field& part) {
          if (part.number == kStatus && part.as_integer() == kStart) event.kind = Event::Kind::restart;
        });
        break;
      default: break;
    }
  });
  if (event.kind == Event::Kind::restart) events.push_back(event);
  for (Bytes summary : summaries)
    proto::for_each(summary, file, [&](const proto::Field& field) {
      if (field.number == kValue) parse_value(field.as_bytes(), event, events, file);
    });
}

}  // namespace

std::vector<Event> parse_events(Bytes file, const std::string& name, bool cut_end) {
  auto damaged = [&](const std::string& what) { throw IoError(name + ": not a sound event file: " + what); };
  std::vector<Event> events;
  for (size_t at = 0; at < file.size();) {
    const Bytes rest = file.subspan(at);
    const std::string record = "the record at byte " + std::to_string(at);
    const bool headed = rest.size() >= 12;
    if (headed && load_little<uint32_t>(&rest[8]) != masked_crc32c(rest.first(8)))
      damaged("the checksum of the length of " + record + " is wrong");
    const uint64_t length = headed ? load_little<uint64_t>(&rest[0]) : 0;
    if (!headed || rest.size() - 12 < 4 || length > rest.size() - 16) {
      if (!cut_end) damaged(record + " goes on beyond the end");
      break;
    }
    const Bytes event = rest.subspan(12, static_cast<size_t>(length));
    if (load_little<uint32_t>(&rest[12 + event.size()]) != masked_crc32c(event))
      damaged("the checksum of " + record + " is wrong");
    parse_event(event, events, name);
    at += 16 + event.size();
  }
  return events;
}

std::vector<Event> read_events(const std::string& path, bool cut_end) {
  const std::string file = read_file(path);
  return parse_events(bytes_of(file), path, cut_end);
}

}  // namespace cr::io
