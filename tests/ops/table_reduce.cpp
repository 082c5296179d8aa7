#include "op_table.hpp"

namespace cr::test {
namespace {

using MaybeDim = std::optional<int64_t>;
using MaybeDims = std::optional<Dims>;
using MaybeDType = std::optional<DType>;

Outputs both(const ValuesIndices& y) { return {y.values, y.indices}; }

// all() and any() take an empty list of dimensions at its word.
template <class F> Tensor truth(F f, const Tensor& x, const MaybeDims& dims, bool keepdim) {
  if (dims && dims->empty()) return x != 0;
  return f(x, dims.value_or(Dims{}), keepdim);
}

// An old spelling: `var(x, unbiased)`, `var(x, dim, unbiased)`.
struct Spread {
  Dims dims;
  double correction = 1;
};
Spread spread(const Json& dim, const Json& unbiased, const std::optional<double>& correction) {
  Spread s;
  if (dim.is_boolean()) s.correction = dim.get<bool>();
  else read(dim, {}, s.dims);
  if (unbiased.is_boolean()) s.correction = unbiased.get<bool>();
  if (correction) s.correction = *correction;
  return s;
}
constexpr const char* kSpread = "input dim=null unbiased=null keepdim=false correction=null";
template <class F> auto spread_of(F f) {
  return [f](Tensor x, Json dim, Json unbiased, bool keepdim, std::optional<double> correction) {
    Spread s = spread(dim, unbiased, correction);
    return f(x, s.dims, s.correction, keepdim);
  };
}

// max(x), max(x, dim, keepdim), max(x, other)
template <class All, class Along, class Two> auto extreme_of(All all, Along along, Two two) {
  return [=](Tensor x, std::optional<Operand> dim, bool keepdim, Tensor other) -> Outputs {
    if (other.defined()) return {two(x, other)};
    if (!dim) return {all(x)};
    if (dim->is_tensor()) return {two(x, dim->tensor())};
    return both(along(x, dim->scalar().as<int64_t>(), keepdim));
  };
}

template <class All, class Along> auto index_of(All all, Along along) {
  return [=](Tensor x, MaybeDim d, bool keepdim) {
    if (d) return along(x, *d, keepdim);
    return keepdim ? all(x).reshape(Shape(x.dim(), 1)) : all(x);
  };
}

template <class All, class Along> auto median_of(All all, Along along) {
  return [=](Tensor x, MaybeDim d, bool keepdim) -> Outputs {
    if (!d) return {all(x)};
    return both(along(x, *d, keepdim));
  };
}

double order_of(const Json& p) {
  if (p.is_null() || p == "fro") return 2;
  if (p.is_string()) throw Unsupported("norm: p = " + p.dump());
  return number(p);
}

template <class F> auto quantile_of(F f) {
  return [f](Tensor x, Operand q, MaybeDim d, bool keepdim, std::string interpolation) {
    const char* names[] = {"linear", "lower", "higher", "midpoint", "nearest"};
    for (int i = 0; i < 5; ++i) {
      if (interpolation != names[i]) continue;
      Tensor places = q.is_tensor() ? q.tensor() : full({}, q.scalar(), x.dtype(), x.device());
      return f(x, places, d, keepdim, static_cast<Interpolation>(i));
    }
    throw Error("quantile: no interpolation is called " + interpolation);
  };
}

// softmax without a dimension guesses one.
int64_t guessed(const MaybeDim& d, const Tensor& x) {
  return d ? *d : x.dim() == 0 || x.dim() == 1 || x.dim() == 3 ? 0 : 1;
}

Tensor tensor_of(const Operand& x) {
  if (x.is_tensor()) return x.tensor();
  DType type = x.scalar().kind;
  return full({}, x.scalar(), type);
}

// unique returns what it is asked for.
Outputs asked(const Unique& u, bool inverse, bool counts) {
  Outputs ys{u.values};
  if (inverse) ys.push_back(u.inverse);
  if (counts) ys.push_back(u.counts);
  return ys;
}

bool right_side(bool right, const Json& side) {
  if (side == "left" && right) throw Error("searchsorted: side is left, but right is true");
  return right || side == "right";
}

}  // namespace

Table reduce_ops() {
  Table table{
      {"sum", "input dim=null keepdim=false dtype=null",
       [](Tensor x, Dims d, bool keep, MaybeDType t) { return sum(x, d, keep, t); }},
      {"nansum", "input dim=null keepdim=false dtype=null", nansum},
      {"mean", "input dim=null keepdim=false dtype=null",
       [](Tensor x, Dims d, bool keep, MaybeDType t) { return mean(x, d, keep, t); }},
      {"nanmean", "input dim=null keepdim=false dtype=null", nanmean},
      {"prod", "input dim=null keepdim=false dtype=null", prod},
      {"logsumexp", "input dim keepdim=false", logsumexp},
      {"amax", "input dim=[] keepdim=false", amax},
      {"amin", "input dim=[] keepdim=false", amin},
      {"aminmax", "input dim=null keepdim=false", aminmax},
      {"max", "input dim=null keepdim=false other=null",
       extreme_of(
           unary(max), [](auto... a) { return max(a...); }, binary(max))},
      {"min", "input dim=null keepdim=false other=null",
       extreme_of(
           unary(min), [](auto... a) { return min(a...); }, binary(min))},
      {"argmax", "input dim=null keepdim=false", index_of(unary(argmax), [](auto... a) { return argmax(a...); })},
      {"argmin", "input dim=null keepdim=false", index_of(unary(argmin), [](auto... a) { return argmin(a...); })},
      {"all", "input dim=null keepdim=false", [](Tensor x, MaybeDims d, bool keep) { return truth(all, x, d, keep); }},
      {"any", "input dim=null keepdim=false", [](Tensor x, MaybeDims d, bool keep) { return truth(any, x, d, keep); }},
      {"count_nonzero", "input dim=null", count_nonzero},
      {"softmax", "input dim=null _stacklevel=3 dtype=null",
       [](Tensor x, MaybeDim d, int64_t, MaybeDType t) { return softmax(x, guessed(d, x), t); }},
      {"log_softmax", "input dim=null _stacklevel=3 dtype=null",
       [](Tensor x, MaybeDim d, int64_t, MaybeDType t) { return log_softmax(x, guessed(d, x), t); }},
  };
  auto add = [&](Table more) { table.insert(table.end(), more.begin(), more.end()); };
  add({
      {"var", kSpread, spread_of(var)},
      {"std", kSpread, spread_of(cr::std)},
      {"var_mean", kSpread, spread_of(var_mean)},
      {"std_mean", kSpread, spread_of(std_mean)},
      {"cov", "input correction=1 fweights=null aweights=null", cov},
      {"corrcoef", "input", corrcoef},
      {"norm", "input p=\"fro\" dim=null keepdim=false dtype=null",
       [](Tensor x, Json p, Dims d, bool keep, MaybeDType t) {
         if (p == "nuc") return linalg::matrix_norm(x, "nuc", d.empty() ? Dims{-2, -1} : d, keep, t);
         return norm(t ? x.to(*t) : x, order_of(p), d, keep);
       }},
      {"dist", "input other p=2", dist},
      {"renorm", "input p dim maxnorm", renorm},
  });
  add({
      {"cumsum", "input dim dtype=null", cumsum},
      {"cumprod", "input dim dtype=null", cumprod},
      {"logcumsumexp", "input dim", logcumsumexp},
      {"cummax", "input dim", [](Tensor x, int64_t d) { return both(cummax(x, d)); }},
      {"cummin", "input dim", [](Tensor x, int64_t d) { return both(cummin(x, d)); }},
      {"linear_scan", "factor input dim reverse=false", linear_scan},
      {"diff", "input n=1 dim=-1 prepend=null append=null", diff},
  });
  auto trapezoids = [](Tensor y, Tensor x, std::optional<double> dx, int64_t d) {
    return x.defined() ? trapezoid(y, x, d) : trapezoid(y, dx.value_or(1), d);
  };
  add({{"trapezoid", "y x=null dx=null dim=-1", trapezoids}, {"trapz", "y x=null dx=null dim=-1", trapezoids}});
  add({
      {"cumulative_trapezoid", "y x=null dx=null dim=-1",
       [](Tensor y, Tensor x, std::optional<double> dx, int64_t d) {
         return x.defined() ? cumulative_trapezoid(y, x, d) : cumulative_trapezoid(y, dx.value_or(1), d);
       }},
  });
  add({
      {"sort", "input dim=-1 descending=false stable=false",
       [](Tensor x, int64_t d, bool down, bool) { return both(sort(x, d, down)); }},
      {"argsort", "input dim=-1 descending=false stable=false",
       [](Tensor x, int64_t d, bool down, bool) { return argsort(x, d, down); }},
      {"msort", "input", msort},
      {"topk", "input k dim=-1 largest=true sorted=true",
       [](Tensor x, int64_t k, int64_t d, bool largest, bool) { return both(topk(x, k, d, largest)); }},
      {"kthvalue", "input k dim=-1 keepdim=false",
       [](Tensor x, int64_t k, int64_t d, bool keep) { return both(kthvalue(x, k, d, keep)); }},
      {"mode", "input dim=-1 keepdim=false", [](Tensor x, int64_t d, bool keep) { return both(mode(x, d, keep)); }},
      {"median", "input dim=null keepdim=false", median_of(unary(median), [](auto... a) { return median(a...); })},
      {"nanmedian", "input dim=null keepdim=false",
       median_of(unary(nanmedian), [](auto... a) { return nanmedian(a...); })},
      {"quantile", "input q dim=null keepdim=false interpolation=\"linear\"",
       quantile_of([](auto... a) { return quantile(a...); })},
      {"nanquantile", "input q dim=null keepdim=false interpolation=\"linear\"",
       quantile_of([](auto... a) { return nanquantile(a...); })},
  });
  add({
      {"unique", "input sorted=true return_inverse=false return_counts=false dim=null",
       [](Tensor x, bool, bool inverse, bool counts, MaybeDim d) { return asked(unique(x, d), inverse, counts); }},
      {"unique_consecutive", "input return_inverse=false return_counts=false dim=null",
       [](Tensor x, bool inverse, bool counts, MaybeDim d) {
         return asked(unique_consecutive(x, d), inverse, counts);
       }},
      {"searchsorted", "sorted_sequence input out_int32=false right=false side=null sorter=null",
       [](Tensor sorted, Operand x, bool, bool right, Json side, Tensor sorter) {
         return searchsorted(sorted, tensor_of(x), right_side(right, side), sorter);
       }},
      {"bucketize", "input boundaries out_int32=false right=false",
       [](Operand x, Tensor boundaries, bool, bool right) { return bucketize(tensor_of(x), boundaries, right); }},
      {"isin", "elements test_elements assume_unique=false invert=false",
       [](Operand x, Operand list, bool, bool invert) { return isin(tensor_of(x), tensor_of(list), invert); }},
      {"bincount", "input weights=null minlength=0", bincount},
      {"histc", "input bins=100 min=0 max=0", histc},
  });
  return table;
}

}  // namespace cr::test
