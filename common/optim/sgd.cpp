#include "optim/sgd.hpp"

#include "backend/backend.hpp"

namespace cr::optim {

SGD::SGD(std::vector<Tensor> parameters, SgdOptions o) : SGD({{std::move(parameters), o}}) {}

SGD::SGD(const std::vector<Group<SgdOptions>>& list) : GroupedOptimizer(list) { check_all(); }

void SGD::check(size_t group) const {
  const SgdOptions& o = groups[group];
  require(o.lr >= 0 && o.momentum >= 0 && o.weight_decay >= 0,
          "SGD: lr, momentum and weight_decay must not be negative");
  require(!o.nesterov || (o.momentum > 0 && o.dampening == 0), "SGD: Nesterov needs momentum and no dampening");
}

std::vector<std::string> SGD::buffers_of(size_t group) const {
  if (groups[group].momentum == 0) return {};
  return {"momentum"};
}

void SGD::step() {
  for (size_t i = 0; i < parameters_.size(); ++i) {
    const SgdOptions& o = groups[group_[i]];
    const bool plain = o.momentum == 0 && o.weight_decay == 0;
    if (plain && add_rows(i, "SGD", o.maximize ? o.lr : -o.lr)) continue;
    update(i, "SGD", false, [&](const Tensor& p, const Tensor& g) {
      bool first = buffers_["momentum"].size() <= i || !buffers_["momentum"][i].defined();
      Tensor m = o.momentum != 0 ? buffer("momentum", i) : Tensor();
      backend::on(p.device())
          .sgd(p, g, m, {o.lr, o.momentum, o.dampening, o.weight_decay, o.nesterov, first, o.maximize});
    });
  }
}

}  // namespace cr::optim
