#include "backend/cuda/stopwatch.hpp"

#include <algorithm>
#include <limits>

#include "backend/cuda/runtime.hpp"
#include "tensor/error.hpp"

namespace cr::backend::cuda {
namespace {

struct Event {
  cudaEvent_t event = nullptr;
  Event() { Runtime::get().check(cudaEventCreate(&event), "stopwatch"); }
  ~Event() { cudaEventDestroy(event); }
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  void record() { Runtime::get().check(cudaEventRecord(event, Runtime::get().stream()), "stopwatch"); }
};

// Of `calls` calls together.
double milliseconds(const std::function<void()>& work, int calls) {
  Event begin, end;
  begin.record();
  for (int call = 0; call < calls; ++call) work();
  end.record();
  float result = 0;
  Runtime::get().check(cudaEventSynchronize(end.event), "stopwatch");
  Runtime::get().check(cudaEventElapsedTime(&result, begin.event, end.event), "stopwatch");
  return result;
}

}  // namespace

std::string gpu_name() {
  try {
    return Runtime::get().properties().name;
  } catch (const DeviceError&) {
    return {};
  }
}

double seconds(const std::function<void()>& work) {
  milliseconds(work, 1);
  const int calls = static_cast<int>(std::clamp(20 / std::max(milliseconds(work, 1), 1e-3), 1.0, 1000.0));
  double best = std::numeric_limits<double>::max();
  for (int round = 0; round < 5; ++round) best = std::min(best, milliseconds(work, calls) / calls);
  return best / 1e3;
}

}  // namespace cr::backend::cuda
