#include "optim/adam.hpp"

#include "backend/backend.hpp"

namespace cr::optim {
namespace {

template <class Options> void check_adam(const Options& o) {
  require(o.lr >= 0 && o.eps >= 0 && o.weight_decay >= 0, "Adam: lr, eps and weight_decay must not be negative");
  require(o.beta1 >= 0 && o.beta1 < 1 && o.beta2 >= 0 && o.beta2 < 1, "Adam: the betas must lie in [0, 1)");
}

std::vector<std::string> buffers(bool amsgrad) {
  if (amsgrad) return {"exp_avg", "exp_avg_sq", "max_exp_avg_sq"};
  return {"exp_avg", "exp_avg_sq"};
}

template <class Options> backend::AdamStep numbers(const Options& o, int64_t step, bool decoupled) {
  return {o.lr, o.beta1, o.beta2, o.eps, o.weight_decay, step, decoupled, o.maximize};
}

}  // namespace

Adam::Adam(std::vector<Tensor> parameters, AdamOptions o) : Adam({{std::move(parameters), o}}) {}
Adam::Adam(const std::vector<Group<AdamOptions>>& list) : GroupedOptimizer(list) { check_all(); }
void Adam::check(size_t group) const { check_adam(groups[group]); }
std::vector<std::string> Adam::buffers_of(size_t group) const { return buffers(groups[group].amsgrad); }

void Adam::step() {
  for (size_t i = 0; i < parameters_.size(); ++i) {
    const AdamOptions& o = groups[group_[i]];
    update(i, "Adam", false, [&](const Tensor& p, const Tensor& g) {
      backend::on(p.device())
          .adam(p, g, buffer("exp_avg", i), buffer("exp_avg_sq", i), o.amsgrad ? buffer("max_exp_avg_sq", i) : Tensor(),
                numbers(o, steps_[i] + 1, false));
    });
  }
}

AdamW::AdamW(std::vector<Tensor> parameters, AdamWOptions o) : AdamW({{std::move(parameters), o}}) {}
AdamW::AdamW(const std::vector<Group<AdamWOptions>>& list) : GroupedOptimizer(list) { check_all(); }
void AdamW::check(size_t group) const { check_adam(groups[group]); }
std::vector<std::string> AdamW::buffers_of(size_t group) const { return buffers(groups[group].amsgrad); }

void AdamW::step() {
  for (size_t i = 0; i < parameters_.size(); ++i) {
    const AdamWOptions& o = groups[group_[i]];
    update(i, "AdamW", false, [&](const Tensor& p, const Tensor& g) {
      backend::on(p.device())
          .adam(p, g, buffer("exp_avg", i), buffer("exp_avg_sq", i), o.amsgrad ? buffer("max_exp_avg_sq", i) : Tensor(),
                numbers(o, steps_[i] + 1, true));
    });
  }
}

}  // namespace cr::optim
