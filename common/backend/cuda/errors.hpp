// # What can go wrong with a GPU, in words
//
// The runtime reports numbers. What each means for the person at the keyboard is said here, in plain C++, so that it can
// be tested where there is no GPU.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

namespace cr::backend::cuda {

// The runtime's error numbers that we tell apart (cudaError_t).
enum Code : int {
  kSuccess = 0,
  kMemoryAllocation = 2,
  kInsufficientDriver = 35,
  kNoDevice = 100,
  kNoKernelImage = 209,
  kUnsupportedPtx = 222,
};

// The GPU and its driver, as far as they answered. Versions are CUDA's, as in 12040.
struct Found {
  int error = kSuccess;   // of looking for devices, or of trying a kernel on the first one
  std::string text = "";  // what the runtime calls it
  int driver = 0;         // the newest CUDA that the driver knows; 0: no driver
  int runtime = 0;        // the CUDA that we were built with
  std::string name = "";  // of the GPU
  int major = 0, minor = 0;
  std::string built_for = "";  // the architectures in this program: "75-real, 80-real"
};

// Why there is no GPU to compute on, in one line without a full stop; empty if there is one.
std::string why_not(const Found& found);

// After such an error every further call of this process fails: the GPU's memory may be damaged.
bool is_sticky(int error);

// ## Which kernel was it?
//
// A kernel runs after the call that started it has returned, and its fault comes to light at some later call. The last
// few names are what can be said without `--sync`: a hint, since more may be queued.
class LaunchLog {
 public:
  void add(const char* kernel) { names_[count_++ % names_.size()] = kernel; }
  // "softmax, matmul, matmul, map"; the newest first.
  std::string recent() const;

 private:
  std::array<const char*, 4> names_{};
  size_t count_ = 0;
};

// The message of an error that came to light in `where`: a kernel's name, or "synchronize", "copy". `certain`: it is that
// kernel's own.
std::string message(const char* where, int error, const std::string& text, bool certain, const LaunchLog& log);

// What every later call says.
std::string lost(const std::string& first_message);

}  // namespace cr::backend::cuda
