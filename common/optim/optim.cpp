#include "optim/optim.hpp"

#include "backend/backend.hpp"
#include "ops/create.hpp"

namespace cr::optim {

Optimizer::Optimizer(std::vector<Tensor> parameters) : parameters_(std::move(parameters)) {
  steps_.resize(parameters_.size());
  for (size_t i = 0; i < parameters_.size(); ++i) {
    const Tensor& p = parameters_[i];
    if (!p.defined() || !p.requires_grad() || !p.is_leaf()) {
      throw AutogradError("optimiser: parameter " + std::to_string(i) + " is not a leaf that requires a gradient");
    }
    for (size_t j = 0; j < i; ++j) {
      if (parameters_[j].impl() == p.impl()) {
        throw AutogradError("optimiser: parameters " + std::to_string(j) + " and " + std::to_string(i) +
                            " are the same tensor");
      }
    }
    if (!p.is_contiguous())
      throw ShapeError("optimiser: parameter " + std::to_string(i) + " is a strided view; clone() it first");
  }
}

void Optimizer::zero_grad() {
  for (const Tensor& p : parameters_) p.set_grad({});
}

std::map<std::string, Tensor> Optimizer::state_dict() const {
  std::map<std::string, Tensor> state{{"steps", from_vector(steps_)}};
  for (auto& [name, tensors] : buffers_) {
    for (size_t i = 0; i < tensors.size(); ++i) {
      if (tensors[i].defined()) state.emplace(name + "." + std::to_string(i), tensors[i]);
    }
  }
  return state;
}

static std::string name_of(const Tensor& t) { return name(t.dtype()); }

void Optimizer::load_state_dict(const std::map<std::string, Tensor>& state) {
  std::map<std::string, std::vector<Tensor>> loaded;
  size_t used = 1;
  for (auto& [name, tensors] : buffers_) {
    for (size_t i = 0; i < tensors.size(); ++i) {
      auto found = state.find(name + "." + std::to_string(i));
      Tensor& slot = loaded[name].emplace_back();
      if (found == state.end()) continue;
      if (!(found->second.shape() == parameters_[i].shape())) {
        throw ShapeError("optimiser: " + found->first + " has shape " + to_string(found->second.shape()) +
                         ", its parameter " + to_string(parameters_[i].shape()));
      }
      if (found->second.dtype() != parameters_[i].dtype()) {
        throw DTypeError("optimiser: " + found->first + " is " + name_of(found->second) + ", its parameter " +
                         name_of(parameters_[i]));
      }
      slot = found->second.detach().to(parameters_[i].device()).clone();
      ++used;
    }
  }
  auto steps = state.find("steps");
  if (steps == state.end() || steps->second.numel() != static_cast<int64_t>(steps_.size()) || used != state.size()) {
    throw Error("optimiser: this state belongs to another optimiser");
  }
  std::span<const int64_t> counts = steps->second.span<int64_t>();
  for (size_t i = 0; i < parameters_.size(); ++i) {
    int64_t present = 0;
    for (auto& [name, tensors] : loaded) present += tensors[i].defined();
    if (counts[i] < 0 || (present != 0 && present != static_cast<int64_t>(loaded.size()))) {
      throw Error("optimiser: the state of parameter " + std::to_string(i) + " is incomplete");
    }
  }
  buffers_ = std::move(loaded);
  steps_.assign(counts.begin(), counts.end());
}

namespace {

void require(bool ok, const std::string& message) {
  if (!ok) throw Error(message);
}

// An update is no operation of the graph, but it is a write: what saved the old value must notice.
template <class F> void update(const Tensor& p, const char* name, F&& f) {
  Tensor g = p.grad();
  if (!g.defined()) return;
  f(g.detach().contiguous());
  p.impl()->storage->bump(name);
}

}  // namespace

SGD::SGD(std::vector<Tensor> parameters, SgdOptions o) : Optimizer(std::move(parameters)), options(o) {
  require(o.lr >= 0 && o.momentum >= 0 && o.weight_decay >= 0,
          "SGD: lr, momentum and weight_decay must not be negative");
  require(!o.nesterov || (o.momentum > 0 && o.dampening == 0), "SGD: Nesterov needs momentum and no dampening");
  buffers_["momentum"].resize(parameters_.size());
}

void SGD::step() {
  for (size_t i = 0; i < parameters_.size(); ++i) {
    const Tensor& p = parameters_[i];
    update(p, "SGD", [&](const Tensor& g) {
      Tensor& m = buffers_["momentum"][i];
      bool first = options.momentum != 0 && !m.defined();
      if (first) m = zeros(p.shape(), p.dtype(), p.device());
      backend::on(p.device())
          .sgd(p, g, options.momentum != 0 ? m : Tensor(),
               {options.lr, options.momentum, options.dampening, options.weight_decay, options.nesterov, first});
      ++steps_[i];
    });
  }
}

Adam::Adam(std::vector<Tensor> parameters, AdamOptions o) : Optimizer(std::move(parameters)), options(o) {
  require(o.lr >= 0 && o.eps >= 0 && o.weight_decay >= 0, "Adam: lr, eps and weight_decay must not be negative");
  require(o.beta1 >= 0 && o.beta1 < 1 && o.beta2 >= 0 && o.beta2 < 1, "Adam: the betas must lie in [0, 1)");
  buffers_["exp_avg"].resize(parameters_.size());
  buffers_["exp_avg_sq"].resize(parameters_.size());
}

void Adam::step() {
  for (size_t i = 0; i < parameters_.size(); ++i) {
    const Tensor& p = parameters_[i];
    update(p, "Adam", [&](const Tensor& g) {
      Tensor& m = buffers_["exp_avg"][i];
      Tensor& v = buffers_["exp_avg_sq"][i];
      if (!m.defined()) m = zeros(p.shape(), p.dtype(), p.device()), v = zeros(p.shape(), p.dtype(), p.device());
      backend::on(p.device())
          .adam(p, g, m, v, {options.lr, options.beta1, options.beta2, options.eps, options.weight_decay, ++steps_[i]});
    });
  }
}

}  // namespace cr::optim
