#include "optim/adagrad.hpp"

#include "backend/backend.hpp"

namespace cr::optim {

Adagrad::Adagrad(std::vector<Tensor> parameters, AdagradOptions o) : Adagrad({{std::move(parameters), o}}) {}

Adagrad::Adagrad(const std::vector<Group<AdagradOptions>>& list) : GroupedOptimizer(list) { check_all(); }

void Adagrad::check(size_t group) const {
  const AdagradOptions& o = groups[group];
  require(o.lr >= 0 && o.lr_decay >= 0 && o.weight_decay >= 0 && o.initial_accumulator_value >= 0 && o.eps >= 0,
          "Adagrad: no option may be negative");
}

void Adagrad::step() {
  for (size_t i = 0; i < parameters_.size(); ++i) {
    const AdagradOptions& o = groups[group_[i]];
    update(i, "Adagrad", o.weight_decay == 0, [&](const Tensor& p, const Tensor& g) {
      double lr = o.lr / (1 + static_cast<double>(steps_[i]) * o.lr_decay);
      backend::on(p.device())
          .adagrad(p, g, buffer("sum", i, o.initial_accumulator_value), {lr, o.eps, o.weight_decay, o.maximize});
    });
  }
}

}  // namespace cr::optim
