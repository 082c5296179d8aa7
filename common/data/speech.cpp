#include "data/speech.hpp"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <tuple>

#include "data/source.hpp"
#include "io/bytes.hpp"
#include "io/wav.hpp"

namespace cr::data {
namespace {

struct Recording {
  int64_t digit;
  std::string speaker;
  int64_t take;
  std::string path;
};

// 7_jackson_32.wav.
Recording parse_name(const std::string& folder, const std::string& file) {
  const size_t first = file.find('_'), last = file.rfind('_');
  Recording r{0, "", 0, folder + "/" + file};
  if (first == 1 && last > first + 1 && file[0] >= '0' && file[0] <= '9' && file.ends_with(".wav")) {
    r.digit = file[0] - '0';
    r.speaker = file.substr(2, last - 2);
    const char *begin = file.data() + last + 1, *end = file.data() + file.size() - 4;
    const auto [stop, error] = std::from_chars(begin, end, r.take);
    if (error == std::errc() && stop == end && r.take >= 0 && begin[0] != '-') return r;
  }
  throw IoError(folder + ": " + io::quote(file) + " is no recording's name, such as 7_jackson_32.wav");
}

std::vector<Recording> recordings(const std::string& folder) {
  std::vector<Recording> all;
  std::error_code error;
  for (std::filesystem::directory_iterator it(folder, error), end; !error && it != end; it.increment(error))
    if (const std::string name = it->path().filename().string(); !name.starts_with('.'))
      all.push_back(parse_name(folder, name));
  if (error) throw IoError("cannot read " + folder + ": " + error.message());
  std::sort(all.begin(), all.end(), [](const Recording& a, const Recording& b) {
    return std::tie(a.digit, a.speaker, a.take, a.path) < std::tie(b.digit, b.speaker, b.take, b.path);
  });
  return all;
}

Tensor read_wave(const std::string& path) {
  const io::Wav wav = io::read_wav(path);
  if (wav.rate != kSpokenDigitRate || wav.samples.dim() != 1)
    throw IoError(path + ": " + std::to_string(wav.rate) + " samples a second of shape " +
                  to_string(wav.samples.shape()) + ", not 8000 of one channel");
  if (wav.samples.numel() == 0 || wav.samples.numel() > 10 * kSpokenDigitRate)
    throw IoError(path + ": " + std::to_string(wav.samples.numel()) + " samples, not 1 to 80000");
  return wav.samples;
}

}  // namespace

SpokenDigitsSplit spoken_digits(const std::string& folder) {
  const std::string root = Source(folder, "fsdd").get("recordings");
  const std::vector<Recording> all = recordings(root);
  std::vector<std::string> names;
  for (const Recording& r : all) names.push_back(r.speaker);
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());

  SpokenDigitsSplit split;
  split.train.speaker_names = split.test.speaker_names = names;
  for (const Recording& r : all) {
    SpokenDigits& part = r.take < 5 ? split.test : split.train;
    part.waves.push_back(read_wave(r.path));
    part.digits.push_back(r.digit);
    part.speakers.push_back(std::lower_bound(names.begin(), names.end(), r.speaker) - names.begin());
    part.takes.push_back(r.take);
  }
  if (split.train.waves.empty() || split.test.waves.empty())
    throw IoError(root + ": no recordings to train with, or none (takes 0 to 4) to test with");
  return split;
}

Dataset SpokenDigits::cut(int64_t frames) const {
  if (frames < 1) throw Error("spoken_digits: cannot cut to " + std::to_string(frames) + " frames");
  const auto n = static_cast<int64_t>(waves.size());
  Dataset data{empty({n, frames}), empty({n}, DType::int64)};
  float* out = data.inputs.mutable_data<float>();
  for (const Tensor& wave : waves) {
    const int64_t sound = std::min(frames, wave.numel());
    out = std::copy_n(wave.data<float>(), sound, out);
    out = std::fill_n(out, frames - sound, 0.f);
  }
  std::copy(digits.begin(), digits.end(), data.targets.mutable_data<int64_t>());
  return data;
}

}  // namespace cr::data
