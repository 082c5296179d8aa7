#include "func/checkpoint.hpp"

#include <mutex>

#include "autograd/autograd.hpp"
#include "backend/generator.hpp"

namespace cr::detail {
namespace {

[[noreturn]] void not_the_same(const std::string& what) {
  throw AutogradError(
      "checkpoint: computed again, f " + what +
      "; it must do the same both times, and tensors that it captures must not be written to in between");
}

// Stands in the slots of the nodes that f recorded. Its own arguments are slots too, so that a checkpoint around this
// one can take them away in turn.
class Recomputed : public SlotKeeper {
 public:
  Recomputed(const TensorFunction& f, const Tensors& inputs) : f_(f) {
    for (const Tensor& x : inputs) {
      arguments_.push_back(slot_of(x));
      needs_gradient_.push_back(x.requires_grad());
    }
  }

  Tensors first_time(const Tensors& inputs) {
    RandomTapeScope record(tape_, RandomTapeScope::record);
    KeepSlots mine(this);
    Tensors y = f_(inputs);
    running_ = false;
    for (Node::Slot& value : values_) expected_.push_back({value.shape, value.dtype, value.version});
    values_.clear();
    return y;
  }

  // While f runs its values stay here: f may differentiate inside itself, and then reads them at once.
  void keep(Node::Slot& slot) override {
    slot.number = static_cast<uint32_t>(values_.size());
    values_.push_back(slot);
    values_.back().keeper = nullptr;  // it may stand in the slot already, and must not hold itself
    slot.keeper = Ref<SlotKeeper>::share(this);
    slot.storage = nullptr;
  }

  Node::Slot recall(const Node::Slot& slot) override {
    std::scoped_lock lock(mutex_);
    if (!running_ && values_.empty()) compute_again();
    return values_[slot.number];
  }

  void forget() override {
    std::scoped_lock lock(mutex_);
    if (!running_) values_.clear();
  }

 private:
  struct Expected {
    Shape shape;
    DType dtype;
    uint32_t version;
  };

  // Sees the slots fill a second time, and copies them.
  struct Collector : SlotKeeper {
    explicit Collector(const std::vector<Expected>& e) : expected(e) {}
    void keep(Node::Slot& slot) override {
      size_t i = values.size();
      if (i == expected.size()) not_the_same("saves more than its " + std::to_string(i) + " values");
      const Expected& e = expected[i];
      if (!(slot.shape == e.shape) || slot.dtype != e.dtype) {
        not_the_same("saves shape " + to_string(slot.shape) + " where it saved " + to_string(e.shape));
      }
      if (slot.version != e.version) {
        const char* writer = slot.storage->last_writer();
        not_the_same("finds a tensor of shape " + to_string(slot.shape) + " overwritten by " +
                     (writer ? writer : "a write"));
      }
      values.push_back(slot);
    }
    Node::Slot recall(const Node::Slot& slot) override { return slot; }
    void forget() override {}
    const std::vector<Expected>& expected;
    std::vector<Node::Slot> values;
  };

  void compute_again() {
    Tensors inputs;
    for (size_t i = 0; i < arguments_.size(); ++i) {
      Tensor x = tensor_in(arguments_[i]);
      if (x.impl()->storage->version() != arguments_[i].version) {
        const char* writer = x.impl()->storage->last_writer();
        throw AutogradError("checkpoint: argument " + std::to_string(i) + " of shape " + to_string(x.shape()) +
                            " has been changed in place by " + (writer ? writer : "a write") +
                            " since f was called with it; clone() it before the write");
      }
      inputs.push_back(needs_gradient_[i] ? x.requires_grad_() : x);
    }
    RandomTapeScope play(tape_, RandomTapeScope::play);
    EnableGrad on;
    auto collector = Ref<Collector>::adopt(new Collector(expected_));
    KeepSlots theirs(collector.get());
    f_(inputs);
    if (collector->values.size() != expected_.size()) {
      not_the_same("saves " + std::to_string(collector->values.size()) + " values, not " +
                   std::to_string(expected_.size()));
    }
    values_ = std::move(collector->values);
  }

  TensorFunction f_;
  std::vector<Node::Slot> arguments_;
  std::vector<bool> needs_gradient_;
  RandomTape tape_;
  std::vector<Expected> expected_;
  std::vector<Node::Slot> values_;
  bool running_ = true;
  std::mutex mutex_;
};

}  // namespace

Tensors checkpoint(const TensorFunction& f, const Tensors& inputs) {
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (!inputs[i].defined()) throw Error("checkpoint: argument " + std::to_string(i) + " is undefined");
  }
  if (!grad_enabled()) return f(inputs);
  auto part = Ref<Recomputed>::adopt(new Recomputed(f, inputs));
  return part->first_time(inputs);
}

}  // namespace cr::detail
