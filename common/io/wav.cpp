#include "io/wav.hpp"

#include <cmath>
#include <memory>
#include <optional>
#include <vector>

#include "io/atomic_file.hpp"

#if CHAINRULE_SNDFILE
#include <sndfile.h>
#endif

namespace cr::io {

#if CHAINRULE_SNDFILE

namespace {

[[noreturn]] void damaged(const std::string& file, const std::string& what) {
  throw IoError(file + ": not a sound WAV file: " + what);
}

// A file in memory, as libsndfile sees it: one to read from, and one to write to.
struct Memory {
  Bytes file;
  std::string written;
  sf_count_t at = 0;
  bool writing = false;

  sf_count_t size() const { return static_cast<sf_count_t>(writing ? written.size() : file.size()); }
};

SF_VIRTUAL_IO callbacks() {
  SF_VIRTUAL_IO io;
  io.get_filelen = [](void* data) { return static_cast<Memory*>(data)->size(); };
  io.tell = [](void* data) { return static_cast<Memory*>(data)->at; };
  io.seek = [](sf_count_t offset, int from, void* data) {
    auto& m = *static_cast<Memory*>(data);
    const sf_count_t base = from == SEEK_CUR ? m.at : from == SEEK_END ? m.size() : 0;
    sf_count_t to = 0;
    if (__builtin_add_overflow(base, offset, &to) || to < 0 || to > m.size()) return sf_count_t{-1};
    return m.at = to;
  };
  io.read = [](void* to, sf_count_t bytes, void* data) {
    auto& m = *static_cast<Memory*>(data);
    bytes = std::clamp<sf_count_t>(bytes, 0, m.size() - m.at);
    if (bytes > 0) std::memcpy(to, m.file.data() + m.at, static_cast<size_t>(bytes));
    m.at += bytes;
    return bytes;
  };
  io.write = [](const void* from, sf_count_t bytes, void* data) {
    auto& m = *static_cast<Memory*>(data);
    try {
      m.written.resize(std::max(m.written.size(), static_cast<size_t>(m.at + bytes)));
    } catch (const std::bad_alloc&) {
      return sf_count_t{0};  // an exception may not pass through libsndfile
    }
    std::memcpy(&m.written[static_cast<size_t>(m.at)], from, static_cast<size_t>(bytes));
    m.at += bytes;
    return bytes;
  };
  return io;
}

using Sound = std::unique_ptr<SNDFILE, int (*)(SNDFILE*)>;

// The bytes of one sample in the file; 0 for a type that we do not read. Those that compress have no such number, and
// no bound on what they become.
int64_t sample_bytes(int format) {
  const int container = format & SF_FORMAT_TYPEMASK;
  if (container != SF_FORMAT_WAV && container != SF_FORMAT_WAVEX) return 0;
  switch (format & SF_FORMAT_SUBMASK) {
    case SF_FORMAT_PCM_U8:
    case SF_FORMAT_ULAW:
    case SF_FORMAT_ALAW: return 1;
    case SF_FORMAT_PCM_16: return 2;
    case SF_FORMAT_PCM_24: return 3;
    case SF_FORMAT_PCM_32:
    case SF_FORMAT_FLOAT: return 4;
    case SF_FORMAT_DOUBLE: return 8;
    default: return 0;
  }
}

// A RIFF file is a row of chunks: a name of four letters, a length, so many bytes, and one more if they are odd.
// libsndfile makes do with a file that was cut, and reads what is left; we want to know. Returns the bytes of the
// samples.
uint64_t check_chunks(Bytes file, const std::string& name) {
  const std::string_view text(reinterpret_cast<const char*>(file.data()), file.size());
  const bool big = text.starts_with("RIFX");
  if (file.size() < 12 || !(big || text.starts_with("RIFF")) || text.substr(8, 4) != "WAVE")
    damaged(name, "it does not begin as one");
  auto length_at = [&](size_t at) {
    return uint64_t{load<uint32_t>(&file[at], big ? std::endian::big : std::endian::little)};
  };
  if (length_at(4) + 8 != file.size() && length_at(4) + 9 != file.size())
    damaged(name,
            "it has " + std::to_string(file.size()) + " bytes, and should have " + std::to_string(length_at(4) + 8));
  std::optional<uint64_t> samples;
  for (uint64_t at = 12; at < file.size();) {
    const uint64_t left = file.size() - at;
    if (left < 8 || length_at(static_cast<size_t>(at) + 4) > left - 8)
      damaged(name, "its chunk at byte " + std::to_string(at) + " goes on beyond the end");
    const uint64_t length = length_at(static_cast<size_t>(at) + 4);
    const std::string_view kind = text.substr(static_cast<size_t>(at), 4);
    if (kind == "fmt " && length >= 8 && length_at(static_cast<size_t>(at) + 12) == 0) damaged(name, "its rate is 0");
    if (kind == "data") {
      if (samples) damaged(name, "it has two chunks of samples");
      samples = length;
    }
    at += 8 + length + length % 2;
  }
  return samples.value_or(0);
}

}  // namespace

Wav parse_wav(Bytes file, const std::string& name) {
  const uint64_t data_bytes = check_chunks(file, name);
  Memory memory;
  memory.file = file;
  SF_VIRTUAL_IO io = callbacks();
  SF_INFO info{};
  Sound sound(sf_open_virtual(&io, SFM_READ, &info, &memory), sf_close);
  if (!sound) damaged(name, sf_strerror(nullptr));
  const int64_t bytes = sample_bytes(info.format);
  if (bytes == 0) throw IoError(name + ": its samples are of a type that is not read here");
  if (info.frames < 0 || info.channels < 1 || info.channels > 1024 || info.samplerate < 1)
    damaged(name, "it claims " + std::to_string(info.frames) + " frames of " + std::to_string(info.channels) +
                      " channels, " + std::to_string(info.samplerate) + " per second");
  const auto frame_bytes = static_cast<uint64_t>(bytes * info.channels);
  if (data_bytes % frame_bytes != 0) damaged(name, "its samples end within a frame");
  if (static_cast<uint64_t>(info.frames) > data_bytes / frame_bytes)
    damaged(name, "it claims " + std::to_string(info.frames) + " frames, more than its bytes can hold");

  Wav wav;
  wav.rate = info.samplerate;
  wav.samples = empty(info.channels == 1 ? Shape{info.frames} : Shape{info.frames, info.channels});
  float* samples = wav.samples.mutable_data<float>();
  if (sf_readf_float(sound.get(), samples, info.frames) != info.frames) damaged(name, "it ends early");
  for (int64_t i = 0; i < wav.samples.numel(); ++i)
    if (!std::isfinite(samples[i])) throw IoError(name + ": sample " + std::to_string(i) + " is not finite");
  return wav;
}

std::string encode_wav(const Tensor& samples, int64_t rate, WavType type, const std::string& name) {
  if (samples.dim() != 1 && samples.dim() != 2)
    throw ShapeError("write_wav: needs (frames,) or (frames, channels), got " + to_string(samples.shape()));
  const int64_t frames = samples.size(0), channels = samples.dim() == 2 ? samples.size(1) : 1;
  auto refuse = [&](const std::string& what) { throw IoError("cannot write " + name + ": " + what); };
  if (rate < 1 || rate > INT32_MAX) refuse("a rate of " + std::to_string(rate) + " frames per second");
  if (channels < 1 || channels > 1024) refuse(std::to_string(channels) + " channels");
  if (samples.numel() > INT32_MAX / 4) refuse("more than 2 GB of samples");
  const Tensor values = to_host(samples).to(DType::float32).contiguous();
  const float* from = values.data<float>();
  for (int64_t i = 0; i < values.numel(); ++i)
    if (!std::isfinite(from[i])) refuse("sample " + std::to_string(i) + " is not finite");

  Memory memory;
  memory.writing = true;
  SF_VIRTUAL_IO io = callbacks();
  SF_INFO info{};
  info.samplerate = static_cast<int>(rate), info.channels = static_cast<int>(channels);
  info.format = SF_FORMAT_WAV | (type == WavType::pcm16 ? SF_FORMAT_PCM_16 : SF_FORMAT_FLOAT);
  Sound sound(sf_open_virtual(&io, SFM_WRITE, &info, &memory), sf_close);
  if (!sound) refuse(sf_strerror(nullptr));
  sf_count_t written = 0;
  if (type == WavType::pcm16) {
    // 32768 steps to 1, as in reading, so that what was read is written back as it was.
    std::vector<short> steps(static_cast<size_t>(values.numel()));
    for (size_t i = 0; i < steps.size(); ++i)
      steps[i] = static_cast<short>(std::clamp(std::nearbyint(from[i] * 32768.f), -32768.f, 32767.f));
    written = sf_writef_short(sound.get(), steps.data(), frames);
  } else {
    // A chunk with the loudest sample would also bear the time of day.
    sf_command(sound.get(), SFC_SET_ADD_PEAK_CHUNK, nullptr, SF_FALSE);
    written = sf_writef_float(sound.get(), from, frames);
  }
  if (written != frames || sf_close(sound.release()) != 0) refuse("no memory");
  return std::move(memory.written);
}

#else

Wav parse_wav(Bytes, const std::string& name) {
  throw IoError(name + ": a WAV file, and this build has no libsndfile");
}
std::string encode_wav(const Tensor&, int64_t, WavType, const std::string& name) {
  throw IoError("cannot write " + name + ": this build has no libsndfile");
}

#endif

Wav read_wav(const std::string& path) {
  const std::string file = read_file(path);
  return parse_wav(bytes_of(file), path);
}

void write_wav(const std::string& path, const Tensor& samples, int64_t rate, WavType type) {
  write_file(path, encode_wav(samples, rate, type, path));
}

}  // namespace cr::io
