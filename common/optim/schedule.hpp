// # Learning rates that change
//
// A schedule sets the rate of every group of an optimiser: at once for step 0, and again each time `step()` is called,
// after the optimiser's. Here the rate is a function of the step's number and of the rate the group began with, so a
// schedule remembers nothing else, and one that is resumed goes on with the same bits.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "optim/optimizer.hpp"

namespace cr::optim {

class Schedule {
 public:
  // The rate at step t of a group that began with `base`.
  using Rate = std::function<double(double base, int64_t t)>;

  // `base` is the rate the optimiser has now: a second schedule goes on from where the first has brought it. The optimiser
  // must live as long as its schedule.
  Schedule(Optimizer& optimizer, Rate rate);

  void step();
  int64_t steps() const { return t_; }  // taken so far
  std::vector<double> last_lr() const;  // of each group, as set last

  // For checkpoints. Loading sets the optimiser's rates; Error if the number of groups is another.
  std::map<std::string, Tensor> state_dict() const;
  void load_state_dict(const std::map<std::string, Tensor>& state);

 private:
  void apply();
  Optimizer* optimizer_;
  Rate rate_;
  std::vector<double> base_;
  int64_t t_ = 0;
};

// base · f(t)
struct LambdaLR : Schedule {
  LambdaLR(Optimizer& optimizer, std::function<double(int64_t)> f);
};

// base · gammaⁿ, n being how often `step_size` steps, or one of the `milestones`, have passed; or all steps.
struct StepLR : Schedule {
  StepLR(Optimizer& optimizer, int64_t step_size, double gamma = 0.1);
};
struct MultiStepLR : Schedule {
  MultiStepLR(Optimizer& optimizer, std::vector<int64_t> milestones, double gamma = 0.1);
};
struct ExponentialLR : Schedule {
  ExponentialLR(Optimizer& optimizer, double gamma);
};

// base · a factor that goes in a straight line from `start_factor` to `end_factor` and stays there: a warm-up.
struct LinearLR : Schedule {
  LinearLR(Optimizer& optimizer, double start_factor = 1.0 / 3, double end_factor = 1, int64_t total_iters = 5);
};

// From base down half a cosine to eta_min at step T_max, and up again (Loshchilov and Hutter 2017, without restarts).
struct CosineAnnealingLR : Schedule {
  CosineAnnealingLR(Optimizer& optimizer, int64_t T_max, double eta_min = 0);
};

// base · (t + 1) / warmup during the first `warmup` steps, then half a cosine down to `min_lr` at step `total`, where it
// stays: how transformers are trained.
struct WarmupCosine : Schedule {
  WarmupCosine(Optimizer& optimizer, int64_t warmup, int64_t total, double min_lr = 0);
};

// Up from max_lr / div_factor to max_lr during the first `pct_start` of the steps, then down to the first rate /
// final_div_factor, along half cosines (Smith and Topin 2018). Momentum is left as it is: PyTorch's with
// cycle_momentum = False.
struct OneCycleLR : Schedule {
  OneCycleLR(Optimizer& optimizer, double max_lr, int64_t total_steps, double pct_start = 0.3, double div_factor = 25,
             double final_div_factor = 1e4);
};

}  // namespace cr::optim
