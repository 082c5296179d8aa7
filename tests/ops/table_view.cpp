#include "op_table.hpp"

namespace cr::test {
namespace {

// Where to cut: a number of pieces, or a list of sizes or places, which may come as a tensor.
struct Cuts {
  Dims list;
  int64_t number = 0;
  bool is_list = false;
};
void read(const Json& j, const NamedTensors& tensors, Cuts& out) {
  if (j.is_object()) {
    Tensor t;
    test::read(j, tensors, t);
    out.is_list = t.dim() > 0;
    if (!out.is_list) out.number = t.item<int64_t>();
    for (int64_t i = 0; out.is_list && i < t.numel(); ++i) out.list.push_back(t[i].item<int64_t>());
  } else if ((out.is_list = j.is_array())) {
    test::read(j, tensors, out.list);
  } else {
    test::read(j, tensors, out.number);
  }
}
using Pieces = std::vector<Tensor>;
auto cut(Pieces (*by_list)(const Tensor&, const Dims&, int64_t), Pieces (*by_number)(const Tensor&, int64_t, int64_t)) {
  return [=](Tensor x, Cuts c, int64_t d) { return c.is_list ? by_list(x, c.list, d) : by_number(x, c.number, d); };
}
auto cut(Pieces (*by_list)(const Tensor&, const Dims&), Pieces (*by_number)(const Tensor&, int64_t)) {
  return [=](Tensor x, Cuts c) { return c.is_list ? by_list(x, c.list) : by_number(x, c.number); };
}

// What `to` may be given: a dtype, a tensor whose dtype is meant, a device.
struct Target {
  std::optional<DType> dtype;
};
void read(const Json& j, const NamedTensors& tensors, Target& out) {
  if (j.is_object()) {
    Tensor other;
    test::read(j, tensors, other);
    out.dtype = other.dtype();
  } else if (j.is_string() && j.get<std::string>().rfind("cpu", 0) != 0) {
    test::read(j, tensors, out.dtype.emplace());
  }
}
Tensor to_any(Tensor x, std::vector<Target> targets, std::optional<DType> dtype, Target, bool, bool) {
  for (const Target& t : targets) {
    if (t.dtype) dtype = t.dtype;
  }
  return dtype ? x.to(*dtype) : x;
}

template <DType type> Tensor cast(Tensor x) { return x.to(type); }

int64_t whole(const Operand& o) { return o.is_tensor() ? o.tensor().item<int64_t>() : o.scalar().as<int64_t>(); }

Slice range(std::optional<int64_t> start, std::optional<int64_t> end, int64_t step) {
  return {start.value_or(0), end.value_or(INT64_MAX), step};
}

}  // namespace

Table view_ops() {
  return {
      {"reshape", "input shape", [](Tensor x, Dims shape) { return x.reshape(shape); }},
      {"reshape_as", "input other", reshape_as},
      {"view", "input *shape", [](Tensor x, Dims shape) { return x.view(shape); }},
      {"view_as", "input other", view_as},
      {"flatten", "input start_dim=0 end_dim=-1", [](Tensor x, int64_t a, int64_t b) { return x.flatten(a, b); }},
      {"unflatten", "input dim sizes", unflatten},
      {"ravel", "input", ravel},
      {"t", "input", [](Tensor x) { return x.t(); }},
      {"T", "input", [](Tensor x) { return x.T(); }},
      {"mT", "input", [](Tensor x) { return x.mT(); }},
      {"transpose", "input dim0 dim1", [](Tensor x, int64_t a, int64_t b) { return x.transpose(a, b); }},
      {"swapaxes", "input axis0 axis1", swapaxes},
      {"permute", "input *dims", [](Tensor x, Dims order) { return x.permute(order); }},
      {"movedim", "input source destination", movedim},
      {"moveaxis", "input source destination", moveaxis},
      {"squeeze", "input dim=null",
       [](Tensor x, Json d) {
         Dims dims;
         test::read(d, {}, dims);
         return d.is_null() ? x.squeeze() : d.is_array() ? x.squeeze(dims) : x.squeeze(dims[0]);
       }},
      {"unsqueeze", "input dim", [](Tensor x, int64_t d) { return x.unsqueeze(d); }},
      {"expand", "input *size", [](Tensor x, Dims shape) { return x.expand(shape); }},
      {"expand_as", "input other", expand_as},
      {"broadcast_to", "input size", broadcast_to},
      {"broadcast_tensors", "*tensors", broadcast_tensors},
      {"select", "input dim index", [](Tensor x, int64_t d, int64_t at) { return x.select(d, at); }},
      {"slice", "input dim=0 start=null end=null step=1",
       [](Tensor x, int64_t d, std::optional<int64_t> start, std::optional<int64_t> end, int64_t step) {
         return x.slice(d, range(start, end, step));
       }},
      {"narrow", "input dim start length",
       [](Tensor x, int64_t d, Operand start, int64_t length) { return x.narrow(d, whole(start), length); }},
      {"diagonal", "input offset=0 dim1=0 dim2=1", diagonal},
      {"Tensor.unfold", "input dimension size step",
       [](Tensor x, int64_t d, int64_t size, int64_t step) { return x.unfold(d, size, step); }},
      {"as_strided", "input size stride storage_offset=null",
       [](Tensor x, Dims shape, Dims strides, std::optional<int64_t> at) { return x.as_strided(shape, strides, at); }},
      {"split", "input split_size_or_sections dim=0", cut(split, split)},
      {"split_with_sizes", "input split_sizes dim=0",
       [](Tensor x, Dims sizes, int64_t d) { return split(x, sizes, d); }},
      {"chunk", "input chunks dim=0", chunk},
      {"tensor_split", "input indices_or_sections dim=0", cut(tensor_split, tensor_split)},
      {"hsplit", "input indices_or_sections", cut(hsplit, hsplit)},
      {"vsplit", "input indices_or_sections", cut(vsplit, vsplit)},
      {"dsplit", "input indices_or_sections", cut(dsplit, dsplit)},
      {"unbind", "input dim=0", unbind},
      {"atleast_1d", "*tensors",
       [](std::vector<Tensor> xs) {
         for (Tensor& x : xs) x = atleast_1d(x);
         return xs;
       }},
      {"atleast_2d", "*tensors",
       [](std::vector<Tensor> xs) {
         for (Tensor& x : xs) x = atleast_2d(x);
         return xs;
       }},
      {"atleast_3d", "*tensors",
       [](std::vector<Tensor> xs) {
         for (Tensor& x : xs) x = atleast_3d(x);
         return xs;
       }},
      {"clone", "input", [](Tensor x) { return x.clone(); }},
      {"contiguous", "input", [](Tensor x) { return x.contiguous(); }},
      {"to", "input *other dtype=null device=null non_blocking=false copy=false", to_any},
      {"type_as", "input other", [](Tensor x, Tensor y) { return x.to(y.dtype()); }},
      {"float", "input", cast<DType::float32>},
      {"double", "input", cast<DType::float64>},
      {"long", "input", cast<DType::int64>},
      {"bool", "input", cast<DType::boolean>},
      // Copies in another order.
      {"repeat", "input *repeats", repeat},
      {"tile", "input *dims", tile},
      {"repeat_interleave", "input repeats=null dim=null output_size=null",
       [](Tensor x, std::optional<Operand> n, std::optional<int64_t> d, std::optional<int64_t> size) {
         if (!n) return repeat_interleave(x);
         return n->is_tensor() ? repeat_interleave(x, n->tensor(), d, size)
                               : repeat_interleave(x, n->scalar().as<int64_t>(), d);
       }},
      {"flip", "input *dims", flip},
      {"fliplr", "input", fliplr},
      {"flipud", "input", flipud},
      {"roll", "input shifts dims=null", roll},
      {"rot90", "input k=1 dims=[0,1]", rot90},
      {"tril", "input diagonal=0", tril},
      {"triu", "input diagonal=0", triu},
      {"diag_embed", "input offset=0 dim1=-2 dim2=-1", diag_embed},
      {"diag", "input diagonal=0", diag},
      {"diagflat", "input offset=0", diagflat},
      {"block_diag", "*tensors", block_diag},
      {"diagonal_scatter", "input src offset=0 dim1=0 dim2=1", diagonal_scatter},
      {"select_scatter", "input src dim index", select_scatter},
      {"slice_scatter", "input src dim=0 start=null end=null step=1",
       [](Tensor x, Tensor y, int64_t d, std::optional<int64_t> start, std::optional<int64_t> end, int64_t step) {
         return slice_scatter(x, y, d, range(start, end, step));
       }},
      {"as_strided_scatter", "input src size stride storage_offset=null", as_strided_scatter},
      {"meshgrid", "*tensors indexing=\"ij\"", meshgrid},
      {"cartesian_prod", "*tensors", cartesian_prod},
      {"combinations", "input r=2 with_replacement=false", combinations},
      {"pixel_shuffle", "input upscale_factor", pixel_shuffle},
      {"pixel_unshuffle", "input downscale_factor", pixel_unshuffle},
      {"channel_shuffle", "input groups", channel_shuffle},
  };
}

}  // namespace cr::test
