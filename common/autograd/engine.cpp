// # The engine
//
// Backward, a node may run only when all its users have: only then is its gradient complete. A node's depth is one more
// than its deepest input's, so its users are always deeper; taking the deepest waiting node first is therefore enough,
// and no edges need to be counted. The heap holds one entry for each branch under way: for a chain of a million
// operations, one.
#include <mutex>
#include <queue>
#include <unordered_map>
#include <unordered_set>

#include "autograd/anomaly.hpp"
#include "autograd/autograd.hpp"
#include "autograd/basics.hpp"
#include "backend/backend.hpp"

namespace cr {
namespace {

// May we write into g, because nobody else can see its numbers, and each has a place of its own?
bool exclusive(const Tensor& g) {
  return g.impl()->use_count() == 1 && g.impl()->storage->use_count() == 1 && !g.impl()->node &&
         (g.is_contiguous() || is_dense(g.shape(), g.strides()));
}

std::mutex collecting;  // guards the gradients of leaves

void accumulate(Tensor& sum, Tensor g, bool create_graph) {
  if (!sum.defined()) {
    sum = std::move(g);
  } else if (!create_graph && exclusive(sum)) {
    backend::map_into(sum, functor::Add{}, {sum, g});
  } else {
    sum = add_same(sum, g);
  }
}

struct Wanted {
  Node* node;
  int output;
};

class Run {
 public:
  // Without `wanted`, gradients go to all leaves.
  Run(bool create_graph, bool retain_graph, const std::vector<Wanted>* wanted)
      : create_graph_(create_graph), retain_graph_(retain_graph), wanted_(wanted) {}

  void seed(const Tensor& output, const Tensor& gradient) { send(*node_of(output), output.impl()->output, gradient); }

  // Marks the nodes that lead to a wanted one, deepest last, so that no work is done for the others.
  void find_useful(const std::vector<Tensor>& outputs) {
    std::vector<Node*> found, stack;
    std::unordered_set<Node*> seen;
    auto visit = [&](Node* n) {
      if (n && seen.insert(n).second) stack.push_back(n);
    };
    for (const Tensor& y : outputs) visit(node_of(y));
    while (!stack.empty()) {
      Node* n = stack.back();
      stack.pop_back();
      found.push_back(n);
      for (Node::Edge& e : n->edges()) visit(e.get());
    }
    std::sort(found.begin(), found.end(), [](Node* a, Node* b) { return a->depth < b->depth; });
    for (const Wanted& w : *wanted_) useful_.insert(w.node);
    for (Node* n : found) {
      for (Node::Edge& e : n->edges()) {
        if (useful_.count(e.get())) useful_.insert(n);
      }
    }
  }

  void run(std::vector<Tensor>* results) {
    GradMode mode(create_graph_);
    while (!ready_.empty()) {
      Node* node = ready_.top().node;
      ready_.pop();
      auto found = tasks_.find(node);
      Task task = std::move(found->second);
      tasks_.erase(found);
      call_hooks(*node, task.gradients);
      if (wanted_) {
        for (size_t i = 0; i < wanted_->size(); ++i) {
          const Wanted& w = (*wanted_)[i];
          if (w.node != node) continue;
          const Tensor& g = task.gradients[w.output];
          (*results)[i] = g.defined() ? to_dtype(g, node->outputs()[static_cast<size_t>(w.output)].dtype) : g;
        }
      }
      if (node->is_leaf()) {
        if (!wanted_) collect(*node, std::move(task.gradients[0]));
      } else {
        call_rule(*node, task.gradients);
      }
    }
  }

 private:
  struct Task {
    Ref<GraphNode> hold;  // a hook may drop the last handle
    InlineVector<Tensor, 1> gradients;
  };
  struct Entry {
    int64_t depth, order;
    Node* node;
    bool operator<(const Entry& other) const {
      return depth != other.depth ? depth < other.depth : order > other.order;
    }
  };

  bool useful(Node* n) const { return n && (!wanted_ || useful_.count(n)); }

  // Where the gradient of an output is summed up.
  Tensor& sum_for(Node& node, int output) {
    Task& task = tasks_[&node];
    if (!task.hold) {
      task.hold = Ref<GraphNode>::share(&node);
      task.gradients.resize(node.num_outputs);
      ready_.push({node.depth, order_++, &node});
    }
    return task.gradients[output];
  }

  void send(Node& node, int output, Tensor g) {
    const Node::Output& to = node.outputs()[static_cast<size_t>(output)];
    g = sum_to(to_dtype(g, gradient_type(to.dtype)), to.shape);
    accumulate(sum_for(node, output), std::move(g), create_graph_);
  }

  void send_part(Node& node, int output, const Tensor& dy, const Part& part) {
    const Node::Output& to = node.outputs()[static_cast<size_t>(output)];
    const DType type = gradient_type(to.dtype);
    Tensor g = to_dtype(dy, type), &sum = sum_for(node, output);
    const bool first = !sum.defined(), in_place = !first && exclusive(sum) && sum.strides() == part.layout;
    if (!in_place) {
      Tensor memory = first ? backend::full(to.shape, 0, type, to.device) : empty(to.shape, type, to.device);
      Tensor laid_out = window(memory, to.shape, part.layout, 0);
      memory = {};
      if (!first) backend::on(to.device).copy(laid_out, sum);
      sum = std::move(laid_out);
    }
    const Tensor place = window(sum, part.shape, part.strides, sum.impl()->offset + part.offset);
    backend::Backend& device = backend::on(to.device);
    if (may_overlap(part.shape, part.strides)) device.add_overlapping(place, g);
    else if (first) device.copy(place, g);
    else backend::map_into(place, functor::Add{}, {place, g});
  }

  static void call_hooks(Node& node, InlineVector<Tensor, 1>& gradients) {
    if (!node.extra_if_any()) return;
    auto& hooks = node.extra().hooks;
    for (size_t i = 0, n = hooks.size(); i < n; ++i) {
      auto [output, kept] = hooks[i];
      Node::Hook hook = *kept;  // a copy: a hook may register further ones, and remove itself
      Tensor& g = gradients[output];
      if (!hook || !g.defined()) continue;
      Tensor replaced = hook(g);
      if (!replaced.defined()) continue;
      if (!(replaced.shape() == g.shape())) {
        throw ShapeError("hook: returned a gradient of shape " + to_string(replaced.shape()) + " for one of shape " +
                         to_string(g.shape()));
      }
      if (replaced.dtype() != g.dtype() || replaced.device() != g.device()) {
        throw DTypeError(std::string("hook: returned ") + name(replaced.dtype()) + " on " + name(replaced.device()) +
                         " for a gradient of " + name(g.dtype()) + " on " + name(g.device()));
      }
      g = replaced;
    }
    std::erase_if(hooks, [](auto& entry) { return !*entry.second; });
  }

  // Several threads may train copies that share leaves, so adding to a leaf's gradient is guarded.
  void collect(Node& leaf, Tensor g) {
    std::scoped_lock lock(collecting);
    Tensor& sum = leaf.extra().grad;
    if (!sum.defined()) {
      sum = exclusive(g) && g.is_contiguous() ? std::move(g)
                                              : g.clone();  // nobody else's: users write to gradients, to clip them
    } else if (create_graph_ || node_of(sum) || !sum.is_contiguous()) {
      sum = add_same(sum, g);
    } else {
      backend::map_into(sum, functor::Add{}, {sum, g});
      sum.impl()->storage->bump("backward");
    }
  }

  bool collect_rows(Node& leaf, RowSparse& rows) {
    if (wanted_ || create_graph_ || !leaf.is_leaf() || !leaf.extra().hooks.empty()) return false;
    std::scoped_lock lock(collecting);
    leaf.extra().rows.push_back(std::move(rows));
    return true;
  }

  void call_rule(Node& node, InlineVector<Tensor, 1>& gradients) {
    bool any = false;
    for (Node::Edge& e : node.edges()) any = any || useful(e.get());
    if (!any) return;
    if (node.released) {
      throw AutogradError(std::string(node.name) +
                          ": what its derivative needs was freed by an earlier backward(); pass "
                          "retain_graph to the earlier one");
    }
    struct Context final : BackwardContext {
      Run& run;
      Node& node;
      Context(Run& r, Node& n) : run(r), node(n) {}
      Node::Edge& edge(int i) { return node.edges()[static_cast<size_t>(i)]; }
      bool wants(int i) override { return run.useful(edge(i).get()); }
      bool collect_rows(int i, RowSparse& rows) override {
        return edge(i).get() && run.collect_rows(*edge(i).get(), rows);
      }
      void add_to_part(int i, const Tensor& dy, const Part& part) override {
        run.send_part(*edge(i).get(), edge(i).output, dy, part);
      }
    } context{*this, node};
    Backward b(node, {gradients.data(), static_cast<size_t>(gradients.size())}, create_graph_, context);
    if (anomaly_mode) [[unlikely]]
      anomaly::check_arrived(node, {gradients.data(), static_cast<size_t>(gradients.size())});
    Grads results = node.rule(b);
    if (anomaly_mode) [[unlikely]]
      anomaly::check_results(node, results);
    gradients = {};  // from here on a result may be the only handle, and be written to
    if (!retain_graph_) {
      node.released = node.num_slots > 0;
      for (Node::Slot& slot : node.slots()) slot = {};
      recalled_.drop_unused();
    }
    for (int i = 0; i < results.size(); ++i) {
      Node::Edge& e = node.edges()[static_cast<size_t>(i)];
      if (results[i].defined() && useful(e.get())) send(*e.get(), e.output, std::move(results[i]));
    }
  }

  bool create_graph_, retain_graph_;
  const std::vector<Wanted>* wanted_;
  std::unordered_set<Node*> useful_;
  std::unordered_map<Node*, Task> tasks_;
  std::priority_queue<Entry> ready_;
  RecallScope recalled_;
  int64_t order_ = 0;
};

// The gradient to begin with: the one given, or 1 for an output of one element.
Tensor initial(const char* op, const Tensor& y, const Tensor& given) {
  if (!y.defined()) throw Error(std::string(op) + ": the tensor is undefined");
  if (!node_of(y)) {
    throw AutogradError(std::string(op) +
                        ": this tensor requires no gradient; call requires_grad_() on what it should be "
                        "differentiated by, before computing it");
  }
  if (!given.defined()) {
    if (y.numel() != 1) {
      throw ShapeError(std::string(op) + ": the output has shape " + to_string(y.shape()) +
                       ", not one element: say which gradient to begin with, or sum() it first");
    }
    return backend::full(y.shape(), 1, y.dtype(), y.device());
  }
  if (!(given.shape() == y.shape())) {
    throw ShapeError(std::string(op) + ": the gradient has shape " + to_string(given.shape()) + ", the output " +
                     to_string(y.shape()));
  }
  return given;
}

}  // namespace

void Tensor::backward(const Tensor& gradient, bool retain_graph, bool create_graph) const {
  Tensor first = initial("backward", *this, gradient);
  Run run(create_graph, retain_graph || create_graph, nullptr);
  run.seed(*this, first);
  first = {};
  run.run(nullptr);
}

std::vector<Tensor> grad(const std::vector<Tensor>& outputs, const std::vector<Tensor>& inputs,
                         const GradOptions& options) {
  if (!options.grad_outputs.empty() && options.grad_outputs.size() != outputs.size()) {
    throw ShapeError("grad: " + std::to_string(outputs.size()) + " outputs, but " +
                     std::to_string(options.grad_outputs.size()) + " grad_outputs");
  }
  std::vector<Wanted> wanted;
  for (size_t i = 0; i < inputs.size(); ++i) {
    Node* n = inputs[i].defined() ? node_of(inputs[i]) : nullptr;
    if (!n) throw AutogradError("grad: input " + std::to_string(i) + " requires no gradient");
    wanted.push_back({n, inputs[i].impl()->output});
  }
  Run run(options.create_graph, options.retain_graph.value_or(options.create_graph), &wanted);
  std::vector<Tensor> firsts;
  for (size_t i = 0; i < outputs.size(); ++i) {
    firsts.push_back(initial("grad", outputs[i], options.grad_outputs.empty() ? Tensor() : options.grad_outputs[i]));
  }
  run.find_useful(outputs);
  for (size_t i = 0; i < outputs.size(); ++i) run.seed(outputs[i], firsts[i]);
  firsts.clear();
  std::vector<Tensor> results(inputs.size());
  run.run(&results);
  for (size_t i = 0; i < results.size() && !options.allow_unused; ++i) {
    if (!results[i].defined()) {
      throw AutogradError("grad: input " + std::to_string(i) +
                          " was not used in computing the outputs; pass allow_unused "
                          "if that is meant");
    }
  }
  return results;
}

Tensor grad(const Tensor& output, const Tensor& input, const GradOptions& options) {
  return grad(std::vector<Tensor>{output}, std::vector<Tensor>{input}, options)[0];
}
std::vector<Tensor> grad(const Tensor& output, const std::vector<Tensor>& inputs, const GradOptions& options) {
  return grad(std::vector<Tensor>{output}, inputs, options);
}

// ## The members about gradients
bool Tensor::requires_grad() const { return node_of(*this) != nullptr; }

bool Tensor::is_leaf() const {
  Node* n = node_of(*this);
  return !n || n->is_leaf();
}

const char* Tensor::grad_fn() const {
  Node* n = node_of(*this);
  return n && !n->is_leaf() ? n->name : nullptr;
}

const Tensor& Tensor::requires_grad_(bool on) const {
  if (on && requires_grad()) return *this;
  if (!is_leaf())
    throw AutogradError("requires_grad_: the tensor was computed by " + std::string(grad_fn()) + "; detach() it first");
  if (!on) {
    impl_->node = nullptr;
  } else if (!impl_->node) {
    if (!is_floating(dtype()))
      throw DTypeError(std::string("requires_grad_: a tensor of ") + name(dtype()) + " collects no gradient");
    Ref<Node> leaf = Node::make("leaf", nullptr, 0, 0, 1, 0);
    leaf->extra();  // made here, before several threads may look for it
    leaf->outputs()[0] = {shape(), dtype(), device()};
    impl_->node = Ref<GraphNode>::share(leaf.get());
    impl_->output = 0;
    impl_->node_version = impl_->storage->version();
  }
  return *this;
}

Tensor Tensor::grad() const {
  Node* n = node_of(*this);
  if (!n || !n->is_leaf() || !n->extra_if_any()) return {};
  Node::Extra& extra = n->extra();
  std::scoped_lock lock(collecting);
  if (extra.rows.empty()) return extra.grad;
  Tensor sum = extra.grad.defined() ? backend::copy(extra.grad, dtype(), device())
                                    : backend::full(shape(), 0, dtype(), device());
  for (const RowSparse& rows : extra.rows) {
    Strides along_rows(dim(), 0);
    along_rows[0] = rows.indices.strides()[0];
    Tensor index = window(rows.indices, rows.values.shape(), along_rows, rows.indices.impl()->offset);
    backend::on(device()).scatter(sum, 0, index, rows.values, backend::Place::add, "grad");
  }
  extra.grad = sum;
  extra.rows.clear();
  return extra.grad;
}

void Tensor::set_grad(const Tensor& g) const {
  Node* n = node_of(*this);
  if (!n || !n->is_leaf()) throw AutogradError("set_grad: only a leaf that requires a gradient keeps one");
  if (g.defined() && !(g.shape() == shape())) {
    throw ShapeError("set_grad: shape " + to_string(g.shape()) + " for a tensor of shape " + to_string(shape()));
  }
  if (g.defined() && (g.dtype() != dtype() || g.device() != device())) {
    throw DTypeError(std::string("set_grad: ") + name(g.dtype()) + " on " + name(g.device()) + " for a tensor of " +
                     name(dtype()) + " on " + name(device()));
  }
  n->extra().grad = g;
  n->extra().rows.clear();
}

Tensor Tensor::detach() const { return window(*this, shape(), strides(), self().offset); }

HookHandle Tensor::register_hook(std::function<Tensor(const Tensor&)> hook) const {
  Node* n = node_of(*this);
  if (!n) throw AutogradError("register_hook: this tensor requires no gradient");
  auto kept = std::make_shared<Node::Hook>(std::move(hook));
  n->extra().hooks.emplace_back(impl_->output, kept);
  return HookHandle(kept);
}

void HookHandle::remove() {
  if (auto hook = hook_.lock()) *hook = nullptr;
}

}  // namespace cr
