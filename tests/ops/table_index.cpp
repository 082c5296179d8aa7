#include "op_table.hpp"

namespace cr::test {
namespace {

// What stands between brackets: an integer, {"slice": [start, stop, step]}, null, "...", a tensor, or a list of indices.
struct Item {
  AnyIndex index = 0;
};
void read(const Json& j, const NamedTensors& tensors, Item& out) {
  if (j.is_object() && j.contains("slice")) {
    auto part = [&](size_t i, int64_t otherwise) {
      return j["slice"][i].is_null() ? otherwise : j["slice"][i].get<int64_t>();
    };
    out.index = Slice{part(0, 0), part(1, INT64_MAX), part(2, 1)};
  } else if (j.is_null()) {
    out.index = None{};
  } else if (j.is_string()) {
    out.index = Ellipsis{};
  } else if (j.is_object()) {
    Tensor t;
    test::read(j, tensors, t);
    out.index = t;
  } else if (j.is_array() || j.is_boolean()) {
    std::vector<int64_t> list;
    std::vector<bool> mask;
    Shape shape;
    std::function<void(const Json&, int)> collect = [&](const Json& part, int d) {
      if (part.is_array()) {
        if (d == shape.size()) shape.push_back(static_cast<int64_t>(part.size()));
        for (const Json& item : part) collect(item, d + 1);
      } else {
        mask.push_back(part.is_boolean());
        list.push_back(part.is_boolean() ? part.get<bool>() : part.get<int64_t>());
      }
    };
    collect(j, 0);
    Tensor t = from_span(std::span<const int64_t>(list), shape);
    out.index = !mask.empty() && mask[0] ? t.to(DType::boolean) : t;
  } else {
    int64_t i;
    test::read(j, tensors, i);
    out.index = i;
  }
}
// One item, or several. A list of plain integers is one item in Python, a tensor of indices.
struct Items : std::vector<AnyIndex> {};
void read(const Json& j, const NamedTensors& tensors, Items& out) {
  bool several =
      j.is_array() && std::any_of(j.begin(), j.end(), [](const Json& i) { return !i.is_number() && !i.is_boolean(); });
  if (j.is_object() && j.contains("tensors")) {
    for (const Json& name : j["tensors"]) {
      Item i;
      read(name.is_null() ? name : Json{{"tensor", name}}, tensors, i);
      out.push_back(i.index);
    }
    return;
  }
  for (const Json& item : several ? j : Json::array({j})) {
    Item i;
    read(item, tensors, i);
    out.push_back(i.index);
  }
}

std::vector<AnyIndex> all_of(const std::vector<Item>& items) {
  std::vector<AnyIndex> list;
  for (const Item& i : items) list.push_back(i.index);
  return list;
}
// The same by operator[], which a test of ours wants; at most three items.
bool plain(const std::vector<AnyIndex>& items) {
  return items.size() <= 3 && std::none_of(items.begin(), items.end(), [](auto& i) { return i.tensor.defined(); });
}
Tensor bracketed(const Tensor& x, const std::vector<AnyIndex>& items) {
  switch (items.size()) {
    case 0: return x;
    case 1: return x[items[0]];
    case 2: return x[{items[0], items[1]}];
    default: return x[{items[0], items[1], items[2]}];
  }
}

Tensor as_tensor(const Operand& o, const Tensor& like) {
  return o.is_tensor() ? o.tensor() : full({}, o.scalar(), like.dtype(), like.device());
}

EmbeddingOptions options(std::optional<int64_t> padding, std::optional<double> max_norm, double norm_type,
                         bool by_frequency, bool sparse) {
  return {padding, max_norm, norm_type, by_frequency, sparse};
}

}  // namespace

Table index_ops() {
  return {
      {"index_select", "input dim index", index_select},
      {"index_add", "input dim index source alpha=1", index_add},
      {"index_copy", "input dim index source", index_copy},
      {"index_fill", "input dim index value",
       [](Tensor x, int64_t d, Tensor index, Operand v) {
         return v.is_tensor() ? index_fill(x, d, index, v.tensor()) : index_fill(x, d, index, v.scalar());
       }},
      {"index_reduce", "input dim index source reduce include_self=true", index_reduce},
      {"gather", "input dim index sparse_grad=false",
       [](Tensor x, int64_t d, Tensor index, bool) { return gather(x, d, index); }},
      {"scatter", "input dim index src=null value=null reduce=null",
       [](Tensor x, int64_t d, Tensor index, std::optional<Operand> src, std::optional<Operand> value,
          std::optional<std::string> reduce) {
         Operand from = src ? *src : value.value();
         Tensor source = as_tensor(from, x);
         if (!from.is_tensor()) source = source.expand(index.shape());
         if (!reduce) return from.is_tensor() ? scatter(x, d, index, source) : scatter(x, d, index, from.scalar());
         if (*reduce == "add") return scatter_add(x, d, index, source);
         return scatter_reduce(x, d, index, source, *reduce == "multiply" ? "prod" : *reduce);
       }},
      {"scatter_add", "input dim index src", scatter_add},
      {"scatter_reduce", "input dim index src reduce include_self=true", scatter_reduce},
      {"take_along_dim", "input indices dim=null", take_along_dim},
      {"take", "input index", take},
      {"put", "input index source accumulate=false", put},
      {"nonzero", "input as_tuple=false",
       [](Tensor x, bool as_tuple) { return as_tuple ? nonzero_as_tuple(x) : Outputs{nonzero(x)}; }},
      {"argwhere", "input", argwhere},
      {"masked_select", "input mask", masked_select},
      {"masked_scatter", "input mask source", masked_scatter},
      {"index_put", "input indices values accumulate=false",
       [](Tensor x, std::vector<Tensor> indices, Tensor values, bool accumulate) {
         return index_put(x, indices, values, accumulate);
       }},
      {"unravel_index", "indices shape", unravel_index},
      {"one_hot", "input num_classes=-1", [](Tensor x, int64_t classes) { return one_hot(x, classes); }},
      {"getitem", "input indices",
       [](Tensor x, std::vector<Item> items) {
         std::vector<AnyIndex> all = all_of(items);
         return plain(all) ? bracketed(x, all) : x.index(all);
       }},
      {"setitem", "input indices value",
       [](Tensor x, std::vector<Item> items, Operand value) {
         Tensor y = x.clone();
         std::vector<AnyIndex> all = all_of(items);
         if (!plain(all)) y.index_put_(all, as_tensor(value, x));
         else if (value.is_tensor()) bracketed(y, all) = value.tensor();
         else bracketed(y, all) = value.scalar();
         return y;
       }},
      {"__getitem__", "input indices",
       [](Tensor x, Items items) {
         for (AnyIndex& i : items) {
           if (i.tensor.defined()) i.tensor = i.tensor.to(x.device());  // a list of numbers is nowhere yet
         }
         return x.index(items);
       }},
      {"embedding", "input weight padding_idx=null max_norm=null norm_type=2 scale_grad_by_freq=false sparse=false",
       [](Tensor input, Tensor weight, std::optional<int64_t> padding, std::optional<double> max_norm, double norm_type,
          bool by_frequency, bool sparse) {
         if (is_floating(input.dtype())) std::swap(input, weight);  // torch.embedding has them the other way round
         return embedding(input, weight, options(padding, max_norm, norm_type, by_frequency, sparse));
       }},
      {"embedding_bag",
       "input weight offsets=null max_norm=null norm_type=2 scale_grad_by_freq=false mode=\"mean\" sparse=false "
       "per_sample_weights=null include_last_offset=false padding_idx=null",
       [](Tensor input, Tensor weight, Tensor offsets, std::optional<double> max_norm, double norm_type,
          bool by_frequency, std::string mode, bool sparse, Tensor weights, bool last, std::optional<int64_t> padding) {
         if (is_floating(input.dtype())) std::swap(input, weight);
         return embedding_bag(input, weight, offsets,
                              {mode, weights, last, options(padding, max_norm, norm_type, by_frequency, sparse)});
       }},
      {"cat", "tensors dim=0", cat},
      {"stack", "tensors dim=0", stack},
      {"hstack", "tensors", hstack},
      {"vstack", "tensors", vstack},
      {"dstack", "tensors", dstack},
      {"column_stack", "tensors", column_stack},
      {"pad", "input pad mode=\"constant\" value=null",
       [](Tensor x, Dims borders, std::string mode, std::optional<Operand> value) {
         return pad(x, borders, mode, value ? value->scalar() : Scalar(0));
       }},
      {"constant_pad_nd", "input pad value=0", constant_pad_nd},
      {"unfold", "input kernel_size dilation=1 padding=0 stride=1",
       [](Tensor x, Dims kernel, Dims dilation, Dims padding, Dims stride) {
         return unfold(x, kernel, {dilation, padding, stride});
       }},
      {"fold", "input output_size kernel_size dilation=1 padding=0 stride=1",
       [](Tensor x, Dims size, Dims kernel, Dims dilation, Dims padding, Dims stride) {
         return fold(x, size, kernel, {dilation, padding, stride});
       }},
  };
}

}  // namespace cr::test
