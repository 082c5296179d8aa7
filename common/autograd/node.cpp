#include "autograd/node.hpp"

#include <atomic>
#include <mutex>
#include <new>
#include <optional>
#include <stdexcept>

#include "autograd/anomaly.hpp"
#include "autograd/basics.hpp"
#include "backend/backend.hpp"
#include "tensor/allocator.hpp"

namespace cr {

// ## Making and freeing nodes
//
// The arrays lie behind the node in the same block, so a node costs one allocation whatever its size.
template <class T> static T* place(char*& at, int count) {
  static_assert(alignof(T) <= 8);
  T* first = reinterpret_cast<T*>(at);
  for (int i = 0; i < count; ++i) new (at + static_cast<size_t>(i) * sizeof(T)) T();
  at += static_cast<size_t>(count) * sizeof(T);
  return first;
}

static int64_t block_size(int edges, int slots, int outputs, int attributes) {
  return static_cast<int64_t>(sizeof(Node)) + edges * static_cast<int64_t>(sizeof(Node::Edge)) +
         slots * static_cast<int64_t>(sizeof(Node::Slot)) + outputs * static_cast<int64_t>(sizeof(Node::Output)) +
         attributes * static_cast<int64_t>(sizeof(Attribute));
}

Ref<Node> Node::make(const char* name, Rule rule, int edges, int slots, int outputs, int attributes) {
  char* block = static_cast<char*>(allocator::allocate(block_size(edges, slots, outputs, attributes)));
  auto* node = new (block) Node;
  char* at = block + sizeof(Node);
  node->name = name;
  node->rule = rule;
  node->num_edges = static_cast<uint32_t>(edges);
  node->num_slots = static_cast<uint32_t>(slots);
  node->num_outputs = static_cast<uint32_t>(outputs);
  node->num_attributes = static_cast<uint32_t>(attributes);
  node->edges_ = place<Edge>(at, edges);
  node->slots_ = place<Slot>(at, slots);
  node->outputs_ = place<Output>(at, outputs);
  node->attributes_ = place<Attribute>(at, attributes);
  return Ref<Node>::adopt(node);
}

// Freeing a node drops its edges, which may free their nodes, and so on: for a chain of a million operations recursion
// would overflow the stack. So the dead wait in a list, and whoever freed the first empties it.
void GraphNode::destroy(GraphNode* base) {
  thread_local Node* dead = nullptr;
  thread_local bool draining = false;
  auto* node = static_cast<Node*>(base);
  node->next_dead_ = dead;
  dead = node;
  if (draining) return;
  draining = true;
  while (dead) {
    Node* n = dead;
    dead = n->next_dead_;
    int64_t size = block_size(n->num_edges, n->num_slots, n->num_outputs, n->num_attributes);
    std::destroy_n(n->edges_, n->num_edges);
    std::destroy_n(n->slots_, n->num_slots);
    std::destroy_n(n->outputs_, n->num_outputs);
    std::destroy_n(n->attributes_, n->num_attributes);
    n->~Node();
    allocator::free(n, size);
  }
  draining = false;
}

// ## Recording
static thread_local bool grad_mode = true;
bool grad_enabled() { return grad_mode; }
GradMode::GradMode(bool on) : before_(grad_mode) { grad_mode = on; }
GradMode::~GradMode() { grad_mode = before_; }

namespace {

void set_output(Node& node, int j, const Tensor& y) {
  Node::Output& o = node.outputs()[static_cast<size_t>(j)];
  o.shape = y.shape();
  o.dtype = y.dtype();
  o.device = y.device();
}

thread_local SlotKeeper* slot_keeper = nullptr;
thread_local RecallScope* recall_scope = nullptr;

void fill_slot(Node::Slot& slot, const Tensor& t, int source) {
  const TensorImpl& impl = *t.impl();
  slot.storage = impl.storage;
  slot.shape = impl.shape;
  slot.strides = impl.strides;
  slot.offset = impl.offset;
  slot.dtype = impl.dtype;
  slot.version = impl.storage->version();
  slot.source = source;
  if (slot_keeper) slot_keeper->keep(slot);
}

void attach(const Tensor& y, const Ref<Node>& node, int output) {
  TensorImpl& impl = *y.impl();
  impl.node = Ref<GraphNode>::share(node.get());
  impl.output = output;
  impl.node_version = impl.storage->version();
}

bool any_needs_gradient(std::span<const Tensor* const> inputs) {
  for (const Tensor* x : inputs) {
    if (node_of(*x)) return true;
  }
  return false;
}

// A node with edges, attributes and the slots of inputs and constants; outputs' slots need the outputs.
Ref<Node> make_node(const char* name, std::span<const Tensor* const> inputs, std::span<const Saved> saved,
                    std::span<const Attribute> attributes, Rule rule, std::span<Tensor* const> outputs) {
  Ref<Node> node = Node::make(name, rule, static_cast<int>(inputs.size()), static_cast<int>(saved.size()),
                              static_cast<int>(outputs.size()), static_cast<int>(attributes.size()));
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (Node* from = node_of(*inputs[i])) {
      node->edges()[i].node = Ref<GraphNode>::share(from);
      node->edges()[i].output = inputs[i]->impl()->output;
      node->depth = std::max(node->depth, from->depth + 1);
    }
  }
  for (size_t k = 0; k < saved.size(); ++k) {
    const Tensor& t = *saved[k].tensor;
    int source = Node::kConstant;
    bool found = saved[k].constant;
    for (size_t i = 0; i < inputs.size() && !found; ++i) {
      if (inputs[i]->impl() == t.impl()) source = static_cast<int>(i), found = true;
    }
    for (size_t j = 0; j < outputs.size() && !found; ++j) {
      if (outputs[j]->impl() == t.impl()) source = -1 - static_cast<int>(j), found = true;
    }
    if (!found) throw std::logic_error(std::string(name) + ": a saved tensor is neither input, output nor constant");
    fill_slot(node->slots()[k], t, source);
  }
  std::copy(attributes.begin(), attributes.end(), node->attributes().begin());
  for (size_t j = 0; j < outputs.size(); ++j) set_output(*node, static_cast<int>(j), *outputs[j]);
  return node;
}

}  // namespace

void record(const char* name, std::span<Tensor* const> outputs, std::span<const Tensor* const> inputs,
            std::span<const Saved> saved, std::span<const Attribute> attributes, Rule rule) {
  if (anomaly_mode && anomaly_mode->forward) [[unlikely]]
    anomaly::check_outputs(name, outputs, inputs);
  if (!grad_mode || !any_needs_gradient(inputs)) return;
  Ref<Node> node = make_node(name, inputs, saved, attributes, rule, outputs);
  for (size_t j = 0; j < outputs.size(); ++j) {
    if (category(outputs[j]->dtype()) == 2) attach(*outputs[j], node, static_cast<int>(j));
  }
}

Tensor record(const char* name, Tensor y, std::span<const Tensor* const> inputs, std::span<const Saved> saved,
              std::span<const Attribute> attributes, Rule rule) {
  Tensor* outputs[] = {&y};
  record(name, outputs, inputs, saved, attributes, rule);
  return y;
}

Tensor record(const char* name, Tensor y, std::span<const Tensor* const> inputs, std::span<const Saved> saved,
              Rule rule) {
  return record(name, std::move(y), inputs, saved, std::span<const Attribute>(), rule);
}

// ## Views
//
// All views of a tensor know one **base**, the tensor that is a view of nothing. Writing through a view changes the base,
// and with it every other view. In the graph that is: a new value of the base, made from its old value and the value
// written (`write_view`); the views find their new place, "this window of the new base" (`as_strided`), when next used.
Tensor record_view(const char* name, Tensor y, const Tensor& x, std::span<const Attribute> attributes, Rule rule) {
  y.impl()->base = x.impl()->base ? x.impl()->base : Ref<TensorImpl>::share(x.impl());
  y.impl()->node_version = y.impl()->storage->version();
  const Tensor* in[] = {&x};
  return record(name, std::move(y), in, {}, attributes, rule);
}

namespace {

// A view's window relative to its base, as a rule's attributes.
std::array<Attribute, 4> window_attributes(const TensorImpl& view, const TensorImpl& base) {
  return {base.shape, view.shape, view.strides, view.offset - base.offset};
}

Grads as_strided_rule(Backward& b) {
  return {as_strided_adjoint(b.dy(), b.dims(0), b.dims(1), b.dims(2), b.integer(3))};
}

Grads write_view_rule(Backward& b) {
  return {b.needs(0) ? zero_window(b.dy(), b.dims(1), b.dims(2), b.integer(3)) : Tensor(),
          b.needs(1) ? as_strided(b.dy(), b.dims(1), b.dims(2), b.integer(3)) : Tensor()};
}

Ref<Node> window_node(const char* name, Rule rule, const TensorImpl& view, const TensorImpl& base, int edges) {
  if (!base.contiguous) {
    throw AutogradError(
        "a view of a tensor that is itself strided cannot follow writes to it: clone() that tensor first");
  }
  auto geometry = window_attributes(view, base);
  Ref<Node> node = Node::make(name, rule, edges, 0, 1, 4);
  std::copy(geometry.begin(), geometry.end(), node->attributes().begin());
  node->edges()[0].node = base.node;
  node->edges()[0].output = base.output;
  if (base.node) node->depth = static_cast<Node*>(base.node.get())->depth + 1;
  return node;
}

}  // namespace

Node* node_of(const Tensor& x) {
  if (!x.defined()) throw Error("the tensor is undefined: it was never given a value");
  TensorImpl& impl = *x.impl();
  if (!impl.base) return static_cast<Node*>(impl.node.get());
  uint32_t version = impl.storage->version();
  std::atomic_ref seen(impl.node_version);
  if (seen.load(std::memory_order_acquire) != version) {
    static std::mutex mutex;  // several threads may read one view
    std::scoped_lock lock(mutex);
    auto* own = static_cast<Node*>(impl.node.get());
    if (seen.load(std::memory_order_relaxed) != version && !(own && own->is_leaf())) {
      Ref<Node> node;
      if (impl.base->node) {
        node = window_node("as_strided", as_strided_rule, impl, *impl.base, 1);
        set_output(*node, 0, x);
      }
      impl.node = Ref<GraphNode>::share(node.get());
      impl.output = 0;
    }
    seen.store(version, std::memory_order_release);
  }
  return static_cast<Node*>(impl.node.get());
}

// A saved value that is about to be overwritten is kept as a copy if the gradient of another input may ask for it:
// `x.mul_(w)` needs the old x for w's. (Nobody asks for it otherwise, and then no copy is made.)
static void keep_overwritten(Node& node, const Tensor& x) {
  bool others = false;
  for (size_t i = 1; i < node.edges().size(); ++i) others = others || node.edges()[i].node;
  Tensor old;
  for (Node::Slot& slot : node.slots()) {
    if (slot.source != 0 || !others) continue;
    if (!old.defined()) old = backend::copy(x, x.dtype(), x.device());
    fill_slot(slot, old, 0);
  }
}

void record_in_place(const char* name, const Tensor& x, std::span<const Tensor* const> inputs,
                     std::span<const Saved> saved, std::span<const Attribute> attributes, Rule rule,
                     const std::function<void()>& write) {
  if (may_overlap(x.shape(), x.strides())) {
    throw ShapeError(std::string(name) + ": several elements of this view share memory; clone() it first");
  }
  TensorImpl& impl = *x.impl();
  // A view made under NoGrad has no place in the graph yet. Written to, it takes the one that every view has.
  if (impl.base && impl.base->node && !impl.node) impl.node_version = impl.storage->version() - 1;
  Ref<Node> node;
  if (grad_mode && any_needs_gradient(inputs)) {
    auto* own = node_of(x);
    auto* base = impl.base ? static_cast<Node*>(impl.base->node.get()) : nullptr;
    if ((own && own->is_leaf()) || (base && base->is_leaf())) {
      throw AutogradError(std::string(name) +
                          ": a leaf that requires a gradient cannot be written in place while gradients "
                          "are recorded; use NoGrad for updates");
    }
    Tensor self = x;
    Tensor* outputs[] = {&self};
    node = make_node(name, inputs, saved, attributes, rule, outputs);
    keep_overwritten(*node, x);
  }
  write();
  impl.storage->bump(name);
  if (!node) return;
  if (!impl.base) {
    attach(x, node, 0);
    return;
  }
  TensorImpl& base = *impl.base;
  Ref<Node> written = window_node("write_view", write_view_rule, impl, base, 2);
  written->edges()[1].node = Ref<GraphNode>::share(node.get());
  written->depth = std::max(written->depth, node->depth + 1);
  Tensor whole(impl.base);
  set_output(*written, 0, whole);
  attach(whole, written, 0);
  impl.node_version = base.node_version - 1;  // this view finds its new place like all others
}

// ## Values that are not kept
KeepSlots::KeepSlots(SlotKeeper* keeper) : before_(slot_keeper) { slot_keeper = keeper; }
KeepSlots::~KeepSlots() { slot_keeper = before_; }

RecallScope::RecallScope() : before_(recall_scope) { recall_scope = this; }
RecallScope::~RecallScope() {
  recall_scope = before_;
  for (Ref<SlotKeeper>& keeper : keepers_) keeper->forget();
}
void RecallScope::add(SlotKeeper* keeper) {
  for (Ref<SlotKeeper>& known : keepers_) {
    if (known.get() == keeper) return;
  }
  keepers_.push_back(Ref<SlotKeeper>::share(keeper));
}

void RecallScope::drop_unused() {
  std::erase_if(keepers_, [](Ref<SlotKeeper>& keeper) { return keeper->use_count() == 1; });
}

Node::Slot slot_of(const Tensor& x) {
  Node::Slot slot;
  fill_slot(slot, x, Node::kConstant);
  return slot;
}

Tensor tensor_in(const Node::Slot& kept) {
  std::optional<Node::Slot> recalled;
  if (kept.keeper) {
    recalled = kept.keeper->recall(kept);
    if (recall_scope) recall_scope->add(kept.keeper.get());
  }
  const Node::Slot& slot = recalled ? *recalled : kept;
  auto impl = Ref<TensorImpl>::adopt(new TensorImpl);
  impl->storage = slot.storage;
  impl->shape = slot.shape;
  impl->strides = slot.strides;
  impl->offset = slot.offset;
  impl->dtype = slot.dtype;
  impl->numel = numel(slot.shape);
  impl->contiguous = is_contiguous(slot.shape, slot.strides);
  return Tensor(std::move(impl));
}

// ## What a rule sees
bool Backward::has_dy(int j) const { return gradients_[static_cast<size_t>(j)].defined(); }

const Tensor& Backward::dy(int j) {
  Tensor& g = gradients_[static_cast<size_t>(j)];
  if (!g.defined()) {
    const Node::Output& o = node_.outputs()[static_cast<size_t>(j)];
    g = backend::full(o.shape, 0, gradient_type(o.dtype), o.device);
  }
  return g;
}

Tensor Backward::operator[](int k) {
  const Node::Slot& slot = node_.slots()[static_cast<size_t>(k)];
  Tensor x = tensor_in(slot);
  TensorImpl* impl = x.impl();
  if (slot.version != impl->storage->version()) {
    const char* writer = impl->storage->last_writer();
    throw AutogradError(std::string(node_.name) + ": a value of shape " + to_string(slot.shape) +
                        " that its derivative needs has since been changed in place by " +
                        (writer ? writer : "a write") + " (version " + std::to_string(impl->storage->version()) +
                        ", saved at version " + std::to_string(slot.version) + "); clone() it before the write");
  }
  if (create_graph_ && slot.source != Node::kConstant) {
    if (slot.source >= 0) {
      const Node::Edge& edge = node_.edges()[static_cast<size_t>(slot.source)];
      impl->node = edge.node;
      impl->output = edge.output;
    } else {
      impl->node = Ref<GraphNode>::share(&node_);
      impl->output = -1 - slot.source;
    }
  }
  return x;
}

const Shape& Backward::shape(int input) {
  const Node::Edge& e = node_.edges()[static_cast<size_t>(input)];
  return e.get()->outputs()[static_cast<size_t>(e.output)].shape;
}

DType Backward::dtype(int input) {
  const Node::Edge& e = node_.edges()[static_cast<size_t>(input)];
  return e.get()->outputs()[static_cast<size_t>(e.output)].dtype;
}

}  // namespace cr
