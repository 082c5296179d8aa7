#include "optim/schedule.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "ops/create.hpp"

namespace cr::optim {

Schedule::Schedule(Optimizer& optimizer, Rate rate) : optimizer_(&optimizer), rate_(std::move(rate)) {
  base_ = last_lr();
  apply();
}

void Schedule::step() {
  ++t_;
  apply();
}

void Schedule::apply() {
  for (size_t g = 0; g < base_.size(); ++g) optimizer_->lr(g) = rate_(base_[g], t_);
}

std::vector<double> Schedule::last_lr() const {
  std::vector<double> rates;
  for (size_t g = 0; g < optimizer_->num_groups(); ++g) rates.push_back(optimizer_->lr(g));
  return rates;
}

std::map<std::string, Tensor> Schedule::state_dict() const {
  return {{"steps", Tensor(t_)}, {"base_lr", from_vector(base_)}};
}

void Schedule::load_state_dict(const std::map<std::string, Tensor>& state) {
  auto steps = state.find("steps"), base = state.find("base_lr");
  if (state.size() != 2 || steps == state.end() || base == state.end() || steps->second.numel() != 1 ||
      base->second.numel() != static_cast<int64_t>(base_.size())) {
    throw Error("schedule: this state belongs to another schedule");
  }
  std::span<const double> rates = base->second.span<double>();
  t_ = steps->second.item<int64_t>();
  base_.assign(rates.begin(), rates.end());
  apply();
}

// ## The functions
namespace {

// From a at fraction 0 to b at 1, along half a cosine.
double half_cosine(double a, double b, double fraction) {
  return b + (a - b) * (1 + std::cos(std::numbers::pi * fraction)) / 2;
}
double ratio(int64_t a, int64_t b) { return static_cast<double>(a) / static_cast<double>(b); }
int64_t positive(const char* what, int64_t n) {
  if (n < 1) throw Error(std::string(what) + " must be at least 1, got " + std::to_string(n));
  return n;
}

std::function<double(int64_t)> callable(std::function<double(int64_t)> f) {
  if (!f) throw Error("LambdaLR: there is no function");
  return f;
}

// The step at which a cycle reaches the top, after this share of `steps`.
double top_of_cycle(int64_t steps, double share, double div_factor, double final_div_factor) {
  if (!(share >= 0 && share <= 1))
    throw Error("OneCycleLR: pct_start = " + std::to_string(share) + " is not between 0 and 1");
  if (!(div_factor > 0 && final_div_factor > 0)) throw Error("OneCycleLR: rates are divided by positive numbers");
  return share * static_cast<double>(positive("OneCycleLR: total_steps", steps)) - 1;
}

int64_t decay_steps(int64_t warmup, int64_t total) {
  if (warmup < 0 || total <= warmup) {
    throw Error("WarmupCosine: " + std::to_string(warmup) + " steps of warm-up do not fit into " +
                std::to_string(total));
  }
  return total - warmup;
}

}  // namespace

LambdaLR::LambdaLR(Optimizer& optimizer, std::function<double(int64_t)> f)
    : Schedule(optimizer, [f = callable(std::move(f))](double base, int64_t t) { return base * f(t); }) {}

StepLR::StepLR(Optimizer& optimizer, int64_t step_size, double gamma)
    : Schedule(optimizer, [n = positive("StepLR: step_size", step_size), gamma](double base, int64_t t) {
        return base * std::pow(gamma, t / n);
      }) {}

MultiStepLR::MultiStepLR(Optimizer& optimizer, std::vector<int64_t> milestones, double gamma)
    : Schedule(optimizer, [milestones, gamma](double base, int64_t t) {
        return base *
               std::pow(gamma, std::count_if(milestones.begin(), milestones.end(), [t](int64_t m) { return m <= t; }));
      }) {}

ExponentialLR::ExponentialLR(Optimizer& optimizer, double gamma)
    : Schedule(optimizer, [gamma](double base, int64_t t) { return base * std::pow(gamma, t); }) {}

LinearLR::LinearLR(Optimizer& optimizer, double start_factor, double end_factor, int64_t total_iters)
    : Schedule(optimizer, [=, n = positive("LinearLR: total_iters", total_iters)](double base, int64_t t) {
        return base * (start_factor + (end_factor - start_factor) * ratio(std::min(t, n), n));
      }) {}

CosineAnnealingLR::CosineAnnealingLR(Optimizer& optimizer, int64_t T_max, double eta_min)
    : Schedule(optimizer, [eta_min, n = positive("CosineAnnealingLR: T_max", T_max)](double base, int64_t t) {
        return half_cosine(base, eta_min, ratio(t, n));
      }) {}

WarmupCosine::WarmupCosine(Optimizer& optimizer, int64_t warmup, int64_t total, double min_lr)
    : Schedule(optimizer, [=, decay = decay_steps(warmup, total)](double base, int64_t t) {
        if (t < warmup) return base * ratio(t + 1, warmup);
        return half_cosine(base, min_lr, ratio(std::min(t, total) - warmup, decay));
      }) {}

OneCycleLR::OneCycleLR(Optimizer& optimizer, double max_lr, int64_t total_steps, double pct_start, double div_factor,
                       double final_div_factor)
    : Schedule(optimizer,
               [=, top = top_of_cycle(total_steps, pct_start, div_factor, final_div_factor)](double, int64_t t) {
                 double first = max_lr / div_factor, last = static_cast<double>(total_steps - 1);
                 double at = std::min(static_cast<double>(t), last);
                 if (at <= top) return half_cosine(first, max_lr, top > 0 ? at / top : 1);
                 return half_cosine(max_lr, first / final_div_factor, (at - top) / (last - top));
               }) {}

}  // namespace cr::optim
