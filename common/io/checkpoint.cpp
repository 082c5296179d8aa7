#include "io/checkpoint.hpp"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "io/atomic_file.hpp"
#include "io/safetensors.hpp"

namespace cr::io {
namespace {

// The metadata's keys; the first holds the version of what we write.
const char* const kJson = "chainrule checkpoint 2";
const char* const kChecksum = "checksum";

// Eight bytes at a time: exclusive or, rotate, multiply by an odd number. Each of the three can be undone, so two inputs
// that differ in one word never give the same sum. It finds accidents, not forgers.
class Checksum {
 public:
  void add(const void* data, size_t bytes) {
    const char* at = static_cast<const char*>(data);
    for (; bytes >= 8; at += 8, bytes -= 8) {
      uint64_t word;
      std::memcpy(&word, at, 8);
      mix(word);
    }
    uint64_t rest = 0;
    if (bytes > 0) std::memcpy(&rest, at, bytes);
    mix(rest ^ uint64_t{bytes} << 56);
  }
  void add(const std::string& text) { add(text.data(), text.size()); }

  std::string text() const {
    char digits[17];
    std::snprintf(digits, sizeof digits, "%016llx", static_cast<unsigned long long>(sum_));
    return digits;
  }

 private:
  void mix(uint64_t word) { sum_ = std::rotl(sum_ ^ word, 29) * 0x9e3779b97f4a7c15; }
  uint64_t sum_ = 0x6a09e667f3bcc908;
};

std::string checksum(const Checkpoint& checkpoint) {
  Checksum sum;
  for (const auto& [name, x] : checkpoint.tensors) {
    if (!x.defined()) continue;  // `save_safetensors` refuses it by name
    const Tensor host = to_host(x).contiguous();
    const int64_t size = size_of(x.dtype());
    sum.add(name);
    sum.add(cr::name(x.dtype()) + to_string(x.shape()));
    sum.add(static_cast<const char*>(host.impl()->storage->data()) + host.impl()->offset * size,
            static_cast<size_t>(x.numel() * size));
  }
  sum.add(checkpoint.json);
  return sum.text();
}

Checkpoint checked(SafeTensors file, const std::string& name) {
  auto json = file.metadata.find(kJson), sum = file.metadata.find(kChecksum);
  if (json == file.metadata.end() || sum == file.metadata.end())
    throw IoError(name + ": a safetensors file, but not a checkpoint of ours");
  Checkpoint checkpoint{std::move(file.tensors), std::move(json->second)};
  if (checksum(checkpoint) != sum->second) throw IoError(name + ": damaged: its checksum is not that of its contents");
  return checkpoint;
}

}  // namespace

void save_checkpoint(const std::string& path, const Checkpoint& checkpoint) {
  save_safetensors(path, checkpoint.tensors, {{kJson, checkpoint.json}, {kChecksum, checksum(checkpoint)}});
}

Checkpoint load_checkpoint(const std::string& path) { return checked(load_safetensors(path), path); }

Checkpoint parse_checkpoint(std::span<const std::byte> file, const std::string& name) {
  return checked(parse_safetensors(file, name), name);
}

// ## The series

static constexpr std::string_view kEnding = ".safetensors";

std::string CheckpointSeries::path(int64_t step) const {
  return folder_ + "/" + name_ + "-" + std::to_string(step) + std::string(kEnding);
}

std::vector<int64_t> CheckpointSeries::steps() const {
  std::vector<int64_t> steps;
  std::error_code none;
  for (const auto& entry : std::filesystem::directory_iterator(folder_, none)) {
    const std::string file = entry.path().filename().string(), start = name_ + "-";
    if (!file.starts_with(start) || !file.ends_with(kEnding) || file.size() <= start.size() + kEnding.size()) continue;
    const char *first = file.data() + start.size(), *last = file.data() + file.size() - kEnding.size();
    int64_t step = 0;
    auto [end, error] = std::from_chars(first, last, step);
    if (error == std::errc() && end == last && step >= 0 && std::to_string(step) == std::string(first, last))
      steps.push_back(step);
  }
  std::sort(steps.rbegin(), steps.rend());
  return steps;
}

void CheckpointSeries::save(int64_t step, const Checkpoint& checkpoint) {
  std::error_code error;
  const bool fresh = std::filesystem::create_directories(folder_, error);
  if (fresh) sync_folder(folder_ + "/..");
  if (error) throw IoError("cannot write " + path(step) + ": " + error.message());
  save_checkpoint(path(step), checkpoint);
  for (int64_t other : steps()) {
    if (other != step && other != mine_) std::filesystem::remove(path(other), error);
  }
  mine_ = step;
}

std::optional<CheckpointSeries::Found> CheckpointSeries::load(const std::function<void(const std::string&)>& damaged) {
  for (int64_t step : steps()) {
    try {
      Found found{step, path(step), load_checkpoint(path(step))};
      mine_ = step;
      return found;
    } catch (const IoError& e) {
      damaged(e.what());
    }
  }
  return {};
}

void CheckpointSeries::remove() {
  std::error_code ignored;
  for (int64_t step : steps()) std::filesystem::remove(path(step), ignored);
}

}  // namespace cr::io
