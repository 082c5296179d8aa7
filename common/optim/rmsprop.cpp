#include "optim/rmsprop.hpp"

#include "backend/backend.hpp"

namespace cr::optim {

RMSprop::RMSprop(std::vector<Tensor> parameters, RmspropOptions o) : RMSprop({{std::move(parameters), o}}) {}

RMSprop::RMSprop(const std::vector<Group<RmspropOptions>>& list) : GroupedOptimizer(list) { check_all(); }

void RMSprop::check(size_t group) const {
  const RmspropOptions& o = groups[group];
  require(o.lr >= 0 && o.alpha >= 0 && o.eps >= 0 && o.weight_decay >= 0 && o.momentum >= 0,
          "RMSprop: no option may be negative");
}

std::vector<std::string> RMSprop::buffers_of(size_t group) const {
  std::vector<std::string> names{"square_avg"};
  if (groups[group].centered) names.push_back("grad_avg");
  if (groups[group].momentum != 0) names.push_back("momentum");
  return names;
}

void RMSprop::step() {
  for (size_t i = 0; i < parameters_.size(); ++i) {
    const RmspropOptions& o = groups[group_[i]];
    update(i, "RMSprop", false, [&](const Tensor& p, const Tensor& g) {
      backend::on(p.device())
          .rmsprop(p, g, buffer("square_avg", i), o.centered ? buffer("grad_avg", i) : Tensor(),
                   o.momentum != 0 ? buffer("momentum", i) : Tensor(),
                   {o.lr, o.alpha, o.eps, o.weight_decay, o.momentum, o.maximize});
    });
  }
}

}  // namespace cr::optim
