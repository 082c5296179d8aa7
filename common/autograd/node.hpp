// # The graph
//
// While we compute, autograd writes down what was done: every operation on a tensor that requires a gradient leaves a
// **node**. The node knows its inputs' nodes (its **edges**), keeps the few values its derivative will need (its
// **slots**) and a rule that turns the gradient of its outputs into the gradients of its inputs. A leaf, a tensor that
// somebody called `requires_grad_()` on, has a node too: one without rule or edges, where its gradient collects.
//
// What must not go wrong here is ownership. A tensor holds its node, the node holds its inputs' nodes, and so on back to
// the leaves: dropping the loss frees the graph. A node never holds the handle of its own output, which would be a cycle.
// So a slot keeps storage, shape and version instead, and says where in the graph the value belongs; reading it makes a
// fresh tensor at that place.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <span>
#include <variant>
#include <vector>

#include "tensor/tensor.hpp"

namespace cr {

class Backward;

// The gradients of a node's inputs, in order; an undefined tensor where there is none.
struct Grads : InlineVector<Tensor, 3> {
  template <std::same_as<Tensor>... T> Grads(T... gradients) {
    resize(sizeof...(T));
    int i = 0;
    ((begin()[i++] = std::move(gradients)), ...);
  }
};

// A rule is a plain function: a lambda that captures nothing converts to it, one that captures does not compile.
using Rule = Grads (*)(Backward&);

// Numbers and shapes that a rule needs besides tensors.
using Attribute = std::variant<int64_t, double, Dims>;

struct SlotKeeper;

// A gradient that is zero but for some rows: values[i] belongs to row indices[i], and what belongs to one row adds up.
struct RowSparse {
  Tensor indices;  // (n,) int64
  Tensor values;   // (n, …)
};

// What a gradient is computed in: that of a tensor in 16 bits, which are for storage, as float32.
constexpr DType gradient_type(DType of) { return is_storage(of) ? DType::float32 : of; }

struct Node : GraphNode {
  struct Edge {
    Ref<GraphNode> node;  // null: no gradient wanted
    int output = 0;       // which of that node's outputs the input was
    Node* get() const { return static_cast<Node*>(node.get()); }
  };
  // What an output looks like: the shape and type its gradient must have.
  struct Output {
    Shape shape;
    DType dtype = DType::float32;
    Device device = Device::cpu;
  };
  // A saved value. `source` ≥ 0: it is input `source`; otherwise output -1 - source, or a constant.
  static constexpr int kConstant = INT32_MIN;
  struct Slot {
    Ref<Storage> storage;
    Shape shape;
    Strides strides;
    int64_t offset = 0;
    DType dtype = DType::float32;
    uint32_t version = 0;
    int source = kConstant;
    uint32_t number = 0;     // which of the keeper's values this is
    Ref<SlotKeeper> keeper;  // where the storage is to be had, if it is not here
  };
  using Hook = std::function<Tensor(const Tensor&)>;
  struct Extra {
    std::vector<std::pair<int, std::shared_ptr<Hook>>> hooks;  // with the output they watch; empty once removed
    Tensor grad;                                               // of a leaf
    std::vector<RowSparse> rows;  // what is to be added to it when somebody asks for it in full
  };

  // Node and arrays are one allocation. Use `make`.
  static Ref<Node> make(const char* name, Rule rule, int edges, int slots, int outputs, int attributes);
  static void operator delete(void*) = delete;

  std::span<Edge> edges() { return {edges_, num_edges}; }
  std::span<Slot> slots() { return {slots_, num_slots}; }
  std::span<Output> outputs() { return {outputs_, num_outputs}; }
  std::span<Attribute> attributes() { return {attributes_, num_attributes}; }
  Extra& extra() {
    if (!extra_) extra_ = std::make_unique<Extra>();
    return *extra_;
  }
  const Extra* extra_if_any() const { return extra_.get(); }
  bool is_leaf() const { return rule == nullptr; }

  const char* name;
  Rule rule;
  int64_t depth = 0;  // one more than the deepest input's: a node's users are always deeper than the node
  bool released = false;
  uint32_t num_edges, num_slots, num_outputs, num_attributes;

 private:
  friend struct GraphNode;
  Node() = default;
  ~Node() = default;
  Edge* edges_;
  Slot* slots_;
  Output* outputs_;
  Attribute* attributes_;
  std::unique_ptr<Extra> extra_;
  Node* next_dead_ = nullptr;
};

// The node of x, or null when x requires no gradient. For a view whose base has been written to since, this is where its
// place in the graph is brought up to date.
Node* node_of(const Tensor& x);

// ## Recording
//
// `record("tanh", y, inputs(x), saved(y), rule)` returns y, attached to a new node if gradients are being recorded and
// some input requires one. Saved tensors must be among the inputs and outputs: a value computed on the way would lose
// its own derivative without a word, so it is refused (std::logic_error). `constant(t)` marks what has none: labels,
// masks. `attributes(…)` takes integers, doubles and Dims.
struct Saved {
  const Tensor* tensor;
  bool constant;
};
struct Constant {
  const Tensor& tensor;
};
inline Constant constant(const Tensor& t) { return {t}; }
inline Saved as_saved(const Tensor& t) { return {&t, false}; }
inline Saved as_saved(const Constant& c) { return {&c.tensor, true}; }

template <class... T> std::array<const Tensor*, sizeof...(T)> inputs(const T&... tensors) { return {&tensors...}; }
template <class... T> std::array<Saved, sizeof...(T)> saved(const T&... values) { return {as_saved(values)...}; }
template <class... T> std::array<Attribute, sizeof...(T)> attributes(T... values) {
  return {Attribute(std::move(values))...};
}

Tensor record(const char* name, Tensor y, std::span<const Tensor* const> inputs, std::span<const Saved> saved,
              Rule rule);
Tensor record(const char* name, Tensor y, std::span<const Tensor* const> inputs, std::span<const Saved> saved,
              std::span<const Attribute> attributes, Rule rule);
// For operations with several outputs; those that are not floating-point get no gradient.
void record(const char* name, std::span<Tensor* const> outputs, std::span<const Tensor* const> inputs,
            std::span<const Saved> saved, std::span<const Attribute> attributes, Rule rule);

// y is a view of x: the same numbers through another window.
Tensor record_view(const char* name, Tensor y, const Tensor& x, std::span<const Attribute> attributes, Rule rule);

// An operation that writes its result into x. Slots are taken before `write` runs, so a value that it overwrites is
// noticed when the rule asks for it. Throws AutogradError for a leaf that requires a gradient, ShapeError for a view whose
// elements share memory.
void record_in_place(const char* name, const Tensor& x, std::span<const Tensor* const> inputs,
                     std::span<const Saved> saved, std::span<const Attribute> attributes, Rule rule,
                     const std::function<void()>& write);

// ## Values that are not kept
//
// `func/checkpoint.hpp` drops what a graph saved and computes it again when it is needed. It can, because a slot knows
// its place in the graph apart from its numbers: while a `KeepSlots` lives, this thread's slots are shown to its keeper
// as they are filled, which may take the storage out and leave itself instead. A rule that reads the slot asks it back.
struct SlotKeeper : Counted<SlotKeeper> {
  virtual ~SlotKeeper() = default;
  virtual void keep(Node::Slot& slot) = 0;
  virtual Node::Slot recall(const Node::Slot& slot) = 0;  // with its storage
  virtual void forget() = 0;                              // the run of the engine that recalled values has ended
  static void destroy(SlotKeeper* keeper) { delete keeper; }
};

class KeepSlots {
 public:
  explicit KeepSlots(SlotKeeper* keeper);  // null: slots are filled as usual
  ~KeepSlots();
  KeepSlots(const KeepSlots&) = delete;
  KeepSlots& operator=(const KeepSlots&) = delete;

 private:
  SlotKeeper* before_;
};

// A run of the engine: what was recalled during it is forgotten at its end, or as soon as no slot wants it any more.
class RecallScope {
 public:
  RecallScope();
  ~RecallScope();
  RecallScope(const RecallScope&) = delete;
  RecallScope& operator=(const RecallScope&) = delete;
  void add(SlotKeeper* keeper);
  void drop_unused();

 private:
  std::vector<Ref<SlotKeeper>> keepers_;
  RecallScope* before_;
};

// A slot filled with x, as an operation that saves x fills it; and the tensor that it holds, outside the graph.
Node::Slot slot_of(const Tensor& x);
Tensor tensor_in(const Node::Slot& slot);

// ## What a rule sees
//
// A window onto a tensor whose elements lie in memory as `layout` says.
struct Part {
  Shape shape;
  Strides strides;
  int64_t offset;
  Strides layout;
};

// What the engine does for a rule besides taking its results.
struct BackwardContext {
  virtual bool wants(int input) = 0;
  virtual bool collect_rows(int input, RowSparse& rows) = 0;
  virtual void add_to_part(int input, const Tensor& dy, const Part& part) = 0;
};

class Backward {
 public:
  Backward(Node& node, std::span<Tensor> gradients, bool create_graph, BackwardContext& context)
      : node_(node), gradients_(gradients), create_graph_(create_graph), context_(context) {}

  const Tensor& dy(int j = 0);        // the gradient of output j: zeros if nothing depended on it
  bool has_dy(int j = 0) const;       // does anything depend on output j? To be asked before dy(j)
  Tensor operator[](int slot);        // a saved value, back at its place in the graph. Throws AutogradError if changed
  const Shape& shape(int input = 0);  // of an input that needs a gradient
  DType dtype(int input = 0);
  int64_t integer(int i) { return std::get<int64_t>(node_.attributes()[static_cast<size_t>(i)]); }
  double number(int i) { return std::get<double>(node_.attributes()[static_cast<size_t>(i)]); }
  const Dims& dims(int i) { return std::get<Dims>(node_.attributes()[static_cast<size_t>(i)]); }
  bool needs(int input) const { return context_.wants(input); }
  bool create_graph() const { return create_graph_; }
  // Leaves the gradient of an input as rows, if it is a leaf in whose `grad()` gradients collect; false if it must be
  // dense.
  bool collect_rows(int input, RowSparse rows) { return context_.collect_rows(input, rows); }
  // Adds dy to a part of the gradient of an input that is zero elsewhere, in place: the n slices of a tensor cost one pass
  // in all and not one each. False if the gradient is to be differentiated again, which no write in place can be.
  bool add_to_part(int input, const Tensor& dy, const Part& part) {
    if (!create_graph_ && needs(input)) context_.add_to_part(input, dy, part);
    return !create_graph_;
  }

 private:
  Node& node_;
  std::span<Tensor> gradients_;
  bool create_graph_;
  BackwardContext& context_;
};

// ## Recording switched off
//
// While a `NoGrad` lives, this thread records nothing: for evaluation, and for updating parameters in place.
bool grad_enabled();
class GradMode {
 public:
  explicit GradMode(bool on);
  ~GradMode();
  GradMode(const GradMode&) = delete;
  GradMode& operator=(const GradMode&) = delete;

 private:
  bool before_;
};
struct NoGrad : GradMode {
  NoGrad() : GradMode(false) {}
};
struct EnableGrad : GradMode {
  EnableGrad() : GradMode(true) {}
};

}  // namespace cr
