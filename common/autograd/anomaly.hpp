// # Where did the NaN come from?
//
// A NaN in a loss or gradient says nothing about its origin: by the time it is seen, it has passed through everything.
// While a `DetectAnomaly` lives, the engine looks at every gradient as it is made, on this thread, and the first bad
// one throws, naming the operation whose rule produced it and what it had computed from what.
//
//     DetectAnomaly watch;
//     loss.backward();  // AutogradError: sqrt (3,): its rule gives input 0 (square (3,)) a gradient with inf at (1,)
//
// Every gradient is read twice more, so this is for looking, not for training.
#pragma once

#include "autograd/node.hpp"

namespace cr {

struct AnomalyOptions {
  bool forward =
      false;  // watch results as they are computed too: an operation that makes a bad number of good ones throws
  bool infinite = true;  // ±∞ is as bad as NaN
};

class DetectAnomaly {
 public:
  explicit DetectAnomaly(const AnomalyOptions& options = {});
  ~DetectAnomaly();
  DetectAnomaly(const DetectAnomaly&) = delete;
  DetectAnomaly& operator=(const DetectAnomaly&) = delete;

 private:
  AnomalyOptions options_;
  const AnomalyOptions* before_;
};

// Null when nobody is looking: all that an operation pays then.
extern constinit thread_local const AnomalyOptions* anomaly_mode;

// What the engine calls while somebody is. They throw AutogradError.
namespace anomaly {
void check_outputs(const char* name, std::span<Tensor* const> outputs, std::span<const Tensor* const> inputs);
void check_arrived(Node& node, std::span<const Tensor> gradients);
void check_results(Node& node, const Grads& results);
}  // namespace anomaly

}  // namespace cr
