#include "optim/optimizer.hpp"

#include "backend/backend.hpp"
#include "ops/create.hpp"
#include "ops/embedding.hpp"
#include "ops/index.hpp"

namespace cr::optim {

Optimizer::Optimizer(std::vector<Tensor> parameters) : parameters_(std::move(parameters)) {
  if (parameters_.empty()) throw Error("optimiser: there are no parameters (does CR_FIELDS name them all?)");
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

// An update is no operation of the graph, but it is a write: what saved the old value must notice.
void Optimizer::update(size_t i, const char* name, bool zero_rests,
                       const std::function<void(const Tensor&, const Tensor&)>& f) {
  const Tensor& p = parameters_[i];
  std::optional<RowSparse> sparse = zero_rests ? sparse_grad(p) : std::nullopt;
  rows_ = sparse ? sparse->indices : Tensor();
  parts_.clear();
  if (sparse) {
    NoGrad no_grad;
    Tensor part = index_select(p, 0, rows_);
    f(part, sparse->values);
    parts_.emplace_back(p, part);
    for (auto& [all, rows] : parts_) all.index_put_({rows_}, rows);
  } else {
    Tensor g = p.grad();
    if (!g.defined()) return;
    f(p, g.detach().contiguous());
  }
  ++steps_[i];
  p.impl()->storage->bump(name);
}

bool Optimizer::add_rows(size_t i, const char* name, double factor) {
  const Tensor& p = parameters_[i];
  const std::vector<RowSparse>* pieces = row_pieces(p);
  if (!pieces) return false;
  for (const RowSparse& rows : *pieces) {
    Strides along_rows(p.dim(), 0);
    along_rows[0] = rows.indices.strides()[0];
    Tensor index = window(rows.indices, rows.values.shape(), along_rows, rows.indices.impl()->offset);
    Tensor change = backend::map(rows.values, factor, functor::Mul{});
    backend::on(p.device()).scatter(p, 0, index, change, backend::Place::add, name);
  }
  ++steps_[i];
  p.impl()->storage->bump(name);
  return true;
}

Tensor Optimizer::buffer(const std::string& name, size_t i, double value) {
  std::vector<Tensor>& list = buffers_[name];
  list.resize(parameters_.size());
  const Tensor& p = parameters_[i];
  if (!list[i].defined()) list[i] = full(p.shape(), value, p.dtype(), p.device());
  if (!rows_.defined()) return list[i];
  return parts_.emplace_back(list[i], index_select(list[i], 0, rows_)).second;
}

void Optimizer::check_all() const {
  for (size_t g = 0; g < num_groups(); ++g) check(g);
}

static std::string group_key(size_t group, const std::string& option) {
  return "group." + std::to_string(group) + "." + option;
}

std::map<std::string, Tensor> Optimizer::state_dict() const {
  std::map<std::string, Tensor> state{{"steps", from_vector(steps_)}};
  for (auto& [name, tensors] : buffers_) {
    for (size_t i = 0; i < tensors.size(); ++i) {
      if (tensors[i].defined()) state.emplace(name + "." + std::to_string(i), tensors[i]);
    }
  }
  for (size_t g = 0; g < num_groups(); ++g) {
    for (auto& [option, value] : options_of(g)) state.emplace(group_key(g, option), full({}, value, DType::float64));
  }
  return state;
}

static std::string name_of(const Tensor& t) { return name(t.dtype()); }

void Optimizer::load_state_dict(const std::map<std::string, Tensor>& state) {
  const Error another("optimiser: this state belongs to another optimiser");
  size_t used = 0;
  auto take = [&](const std::string& key) {
    auto found = state.find(key);
    used += found != state.end();
    return found == state.end() ? Tensor() : found->second;
  };
  Tensor steps = take("steps");
  if (!steps.defined() || steps.dtype() != DType::int64 || steps.numel() != static_cast<int64_t>(steps_.size()))
    throw another;
  std::span<const int64_t> counts = steps.span<int64_t>();

  // The options first: they decide which buffers there are. All is read before anything is changed.
  std::vector<Numbers> before, options;
  for (size_t g = 0; g < num_groups(); ++g) {
    options.push_back(before.emplace_back(options_of(g)));
    for (auto& [option, value] : options[g]) {
      Tensor t = take(group_key(g, option));
      if (!t.defined() || t.numel() != 1) throw another;
      value = t.item<double>();
    }
  }
  auto set_all = [&](const std::vector<Numbers>& all) {
    for (size_t g = 0; g < all.size(); ++g) set_options(g, all[g]);
  };
  set_all(options);
  std::map<std::string, std::vector<Tensor>> loaded;
  try {
    check_all();
    for (size_t i = 0; i < parameters_.size(); ++i) {
      const Tensor& p = parameters_[i];
      size_t present = 0;
      std::vector<std::string> wanted = buffers_of(group_[i]);
      for (const std::string& name : wanted) {
        std::string key = name + "." + std::to_string(i);
        Tensor t = take(key);
        std::vector<Tensor>& list = loaded[name];
        list.resize(parameters_.size());
        if (!t.defined()) continue;
        ++present;
        if (!(t.shape() == p.shape())) {
          throw ShapeError("optimiser: " + key + " has shape " + to_string(t.shape()) + ", its parameter " +
                           to_string(p.shape()));
        }
        if (t.dtype() != p.dtype())
          throw DTypeError("optimiser: " + key + " is " + name_of(t) + ", its parameter " + name_of(p));
        list[i] = t.detach().to(p.device()).clone();
      }
      if (counts[i] < 0 || (present != 0 && present != wanted.size()))
        throw Error("optimiser: the state of parameter " + std::to_string(i) + " is incomplete");
    }
    if (used != state.size()) throw another;
  } catch (...) {
    set_all(before);
    throw;
  }
  buffers_ = std::move(loaded);
  steps_.assign(counts.begin(), counts.end());
}

}  // namespace cr::optim
