// # What optimisers share
#pragma once

#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "autograd/autograd.hpp"
#include "nn/fields.hpp"

namespace cr::optim {

class Optimizer {
 public:
  Optimizer(const Optimizer&) = delete;
  virtual ~Optimizer() = default;

  // Drops all gradients. The next backward() sets them instead of adding.
  void zero_grad();
  virtual void step() = 0;

  // Those of all groups, in order.
  const std::vector<Tensor>& parameters() const { return parameters_; }

  // The learning rate of each group: what a schedule writes to.
  virtual size_t num_groups() const = 0;
  virtual double& lr(size_t group = 0) = 0;

  // What the optimiser remembers, by name, for checkpoints: its buffers, how often each parameter was updated, and the
  // options of each group. Loading takes all of it over, the options too, and throws Error if it does not fit.
  std::map<std::string, Tensor> state_dict() const;
  void load_state_dict(const std::map<std::string, Tensor>& state);

 protected:
  // Throws AutogradError if a tensor is not a leaf that requires a gradient, or is listed twice.
  explicit Optimizer(std::vector<Tensor> parameters);

  // One update f(p, g) of parameter i, unless it has no gradient. `zero_rests` says that where a gradient is 0, f leaves
  // parameter and buffers alone. Then of a gradient that was collected as rows (`sparse_grad`) f is given these rows, of p
  // and by `buffer` too; the others are not touched.
  void update(size_t i, const char* name, bool zero_rests,
              const std::function<void(const Tensor& p, const Tensor& g)>& f);

  // Where the gradient of parameter i was collected as rows: adds `factor` times each to its row, and does no more. That is
  // the whole of a step that is linear in the gradient; rows that come several times need not be added up before.
  bool add_rows(size_t i, const char* name, double factor);

  // Buffer `name` of parameter i, filled with `value` when it is first asked for. Called within `update`.
  Tensor buffer(const std::string& name, size_t i, double value = 0);

  using Numbers = std::map<std::string, double>;
  virtual Numbers options_of(size_t group) const = 0;
  virtual void set_options(size_t group, const Numbers& numbers) = 0;

  // Throws Error if a group has an option that makes no sense. `check_all` is for constructors.
  virtual void check(size_t group) const = 0;
  void check_all() const;

  // The buffers a parameter of this group has once it was updated.
  virtual std::vector<std::string> buffers_of(size_t group) const = 0;

  std::vector<Tensor> parameters_;
  std::vector<size_t> group_;                           // of each parameter
  std::map<std::string, std::vector<Tensor>> buffers_;  // one tensor for each parameter; undefined until first used
  std::vector<int64_t> steps_;                          // how often each parameter was updated

 private:
  Tensor rows_;                                   // which rows the update that goes on is about; undefined: all
  std::vector<std::pair<Tensor, Tensor>> parts_;  // a buffer, and its rows as they will be
};

// ## Parameter groups
//
// Parameters may come in groups, each with options of its own: no weight decay for biases, a smaller rate for layers that
// are trained already.
//
//     optim::AdamW opt({{matrices, {.lr = 1e-3}}, {biases, {.lr = 1e-3, .weight_decay = 0}}});
//     opt.groups[1].lr = 1e-4;
//
// Options may be changed between steps. `options` are those of the first group, which in most programs is the only one.
template <class Options> struct Group {
  std::vector<Tensor> parameters;
  Options options = {};
};

template <class Options> class GroupedOptimizer : public Optimizer {
  std::vector<Options> all_;

 public:
  const std::span<Options> groups;
  Options& options;

  size_t num_groups() const override { return groups.size(); }
  double& lr(size_t group = 0) override {
    if (group >= groups.size()) throw IndexError("optimiser: no group " + std::to_string(group));
    return groups[group].lr;
  }

 protected:
  explicit GroupedOptimizer(const std::vector<Group<Options>>& list)
      : Optimizer(joined(list)), all_(of(list)), groups(all_), options(all_.front()) {
    for (size_t g = 0; g < list.size(); ++g) group_.insert(group_.end(), list[g].parameters.size(), g);
  }

  // Every number and flag of the options by its name.
  Numbers options_of(size_t group) const override {
    Numbers numbers;
    groups[group].visit_fields(
        [&](const std::string& name, auto& value) { numbers[name] = static_cast<double>(value); });
    return numbers;
  }
  void set_options(size_t group, const Numbers& numbers) override {
    groups[group].visit_fields([&](const std::string& name, auto& value) {
      value = static_cast<std::remove_reference_t<decltype(value)>>(numbers.at(name));
    });
  }

 private:
  static std::vector<Tensor> joined(const std::vector<Group<Options>>& list) {
    std::vector<Tensor> all;
    for (auto& group : list) all.insert(all.end(), group.parameters.begin(), group.parameters.end());
    return all;
  }
  static std::vector<Options> of(const std::vector<Group<Options>>& list) {
    if (list.empty()) throw Error("optimiser: needs at least one group of parameters");
    std::vector<Options> options;
    for (auto& group : list) options.push_back(group.options);
    return options;
  }
};

// Throws Error with this message unless the option is all right.
inline void require(bool ok, const char* message) {
  if (!ok) throw Error(message);
}

}  // namespace cr::optim
