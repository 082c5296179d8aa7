#include "backend/cuda/errors.hpp"

#include <algorithm>

namespace cr::backend::cuda {

static std::string version(int v) { return std::to_string(v / 1000) + "." + std::to_string(v % 1000 / 10); }

std::string why_not(const Found& f) {
  if (f.error == kSuccess) return "";
  if (f.driver == 0) return "no NVIDIA driver is installed here";
  if (f.error == kInsufficientDriver) {
    return "the NVIDIA driver is too old: it knows CUDA " + version(f.driver) + ", and this program needs " +
           version(f.runtime);
  }
  if (f.error == kNoDevice) return "the NVIDIA driver finds no GPU (CUDA_VISIBLE_DEVICES may hide it)";
  if (f.error == kNoKernelImage || f.error == kUnsupportedPtx) {
    return "this program has no code for " + f.name + ", of compute capability " + std::to_string(f.major) + "." +
           std::to_string(f.minor) + ": it was built for " + f.built_for + " (CMAKE_CUDA_ARCHITECTURES)";
  }
  return "the GPU does not answer: " + f.text;
}

// An uncorrectable bit or link, a fault that was contained, illegal instruction, access or address, a stack or hardware error, a
// kernel stopped by its clock or by an assertion, a context that is gone, a failed launch.
bool is_sticky(int error) {
  static constexpr int kSticky[] = {214, 220, 226, 700, 702, 709, 710, 714, 715, 716, 717, 718, 719, 721, 999};
  return std::find(std::begin(kSticky), std::end(kSticky), error) != std::end(kSticky);
}

std::string LaunchLog::recent() const {
  std::string list;
  for (size_t i = 1; i <= std::min(count_, names_.size()); ++i)
    list += (i > 1 ? ", " : "") + std::string(names_[(count_ - i) % names_.size()]);
  return list;
}

std::string message(const char* where, int error, const std::string& text, bool certain, const LaunchLog& log) {
  std::string line = std::string(where) + ": " + text;
  const std::string recent = log.recent();
  if (!certain && is_sticky(error) && !recent.empty())
    line += ", in a kernel that was begun before; the last were " + recent + "; --sync tells which it was";
  return is_sticky(error) ? line + "; the GPU is lost to this process, which has to be started again" : line;
}

std::string lost(const std::string& first_message) {
  return "the GPU is lost to this process, which has to be started again, since " + first_message;
}

}  // namespace cr::backend::cuda
