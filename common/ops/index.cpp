#include "ops/index.hpp"

#include "autograd/autograd.hpp"
#include "autograd/basics.hpp"
#include "backend/backend.hpp"
#include "ops/create.hpp"
#include "ops/detail/dims.hpp"
#include "ops/elementwise.hpp"
#include "ops/reduce.hpp"
#include "ops/types.hpp"
#include "ops/view.hpp"

namespace cr {
namespace {

using backend::Place;

void check_index(const char* op, const Tensor& x, const Tensor& index) {
  backend::check_device(op, x, index);
  if (index.dtype() != DType::int64)
    throw DTypeError(std::string(op) + ": the index must be int64, got " + name(index.dtype()));
}

void check_type(const char* op, const Tensor& x, const Tensor& source) {
  backend::check_device(op, x, source);
  if (source.dtype() != x.dtype())
    throw DTypeError(std::string(op) + ": " + name(source.dtype()) + " values into " + name(x.dtype()));
}

// The index no larger than x outside d.
void check_fits(const char* op, const Tensor& x, int d, const Tensor& index) {
  bool fits = index.dim() == x.dim();
  for (int i = 0; i < x.dim() && fits; ++i) fits = i == d || index.shape()[i] <= x.shape()[i];
  if (!fits) {
    throw ShapeError(std::string(op) + ": index " + to_string(index.shape()) + " does not fit " + to_string(x.shape()) +
                     " along dimension " + std::to_string(d));
  }
}

// A vector of indices as wide as the slices of x that it names.
Tensor widened(const char* op, const Tensor& x, int d, const Tensor& index) {
  check_index(op, x, index);
  if (index.dim() > 1)
    throw ShapeError(std::string(op) + ": the index must be a vector, got shape " + to_string(index.shape()));
  Shape shape = x.shape();
  shape[d] = index.numel();
  Strides strides(x.dim(), 0);
  strides[d] = index.dim() ? index.strides()[0] : 1;
  return window(index, shape, strides, index.impl()->offset);
}

// `source` has x's shape but for dimension d, where it has one slice for each index.
void check_slices(const char* op, const Tensor& wide_index, const Tensor& source) {
  if (!(source.shape() == wide_index.shape())) {
    throw ShapeError(std::string(op) + ": the source has shape " + to_string(source.shape()) + ", but needs " +
                     to_string(wide_index.shape()));
  }
}

// The part of `source` that an index of this shape reads.
Tensor first_of(const char* op, const Tensor& source, const Tensor& index) {
  bool fits = source.dim() == index.dim();
  for (int d = 0; d < index.dim() && fits; ++d) fits = index.shape()[d] <= source.shape()[d];
  if (!fits) {
    throw ShapeError(std::string(op) + ": index " + to_string(index.shape()) + " is larger than source " +
                     to_string(source.shape()));
  }
  Tensor part = source;
  for (int d = 0; d < index.dim(); ++d) {
    if (part.shape()[d] != index.shape()[d]) part = part.narrow(d, 0, index.shape()[d]);
  }
  return part;
}

// Negative indices counted from the end.
Tensor wrapped(const Tensor& index, int64_t size) { return where(index < 0, index + size, index); }

Tensor as_vector(const Tensor& x) { return x.dim() == 0 ? x.reshape({1}) : x; }

}  // namespace

// ## Along a dimension
//
// y[i][j] = x[index[i][j]][j],  dx[index[i][j]][j] += dy[i][j]
Tensor gather(const Tensor& x, int64_t dim, const Tensor& index) {
  check_index("gather", x, index);
  int d = wrap_dim(dim, x.dim(), "gather");
  if (x.dim() == 0 || index.dim() == 0) return gather(as_vector(x), 0, as_vector(index)).reshape(index.shape());
  if (index.numel() > 0) check_fits("gather", x, d, index);
  Tensor y = empty(index.shape(), x.dtype(), x.device());
  if (y.numel() > 0) backend::on(x.device()).gather(y, x, d, index, "gather");
  return record("gather", y, inputs(x), saved(constant(index)), attributes(int64_t{d}), [](Backward& b) {
    return Grads{scatter_add(zeros(b.shape(), b.dy().dtype(), b.dy().device()), b.integer(0), b[0], b.dy())};
  });
}

// y[i] = x[index[i]],  dx[index[i]] += dy[i]
static Tensor selected(const char* op, const Tensor& x, int d, const Tensor& index) {
  Tensor wide = widened(op, x, d, index);
  Tensor y = empty(wide.shape(), x.dtype(), x.device());
  if (y.numel() > 0) backend::on(x.device()).gather(y, x, d, wide, op);
  return record(op, y, inputs(x), saved(constant(index)), attributes(int64_t{d}), [](Backward& b) {
    return Grads{index_add(zeros(b.shape(), b.dy().dtype(), b.dy().device()), b.integer(0), b[0], b.dy())};
  });
}
Tensor index_select(const Tensor& x, int64_t dim, const Tensor& index) {
  int d = wrap_dim(dim, x.dim(), "index_select");
  if (x.dim() > 0) return selected("index_select", x, d, index);
  if (index.numel() != 1) throw ShapeError("index_select: a scalar has one element, not " + to_string(index.shape()));
  return selected("index_select", x.reshape({1}), 0, index).reshape({});
}

// y = x, then y[index[i][j]][j] += source[i][j];  dx = dy, dsource[i][j] = dy[index[i][j]][j]
static Tensor added(const char* op, const Tensor& x, int d, const Tensor& index, const Tensor& source) {
  check_type(op, x, source);
  Tensor y = backend::copy(x, x.dtype(), x.device());
  if (index.numel() > 0) backend::on(x.device()).scatter(y, d, index, source, Place::add, op);
  return record(op, y, inputs(x, source), saved(constant(index)), attributes(int64_t{d}), [](Backward& b) {
    return Grads{b.dy(), b.needs(1) ? gather(b.dy(), b.integer(0), b[0]) : Tensor()};
  });
}

Tensor scatter_add(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& source) {
  check_index("scatter_add", x, index);
  int d = wrap_dim(dim, x.dim(), "scatter_add");
  if (x.dim() == 0) return scatter_add(x.reshape({1}), 0, as_vector(index), as_vector(source)).reshape({});
  if (index.numel() == 0) return x.clone();
  check_fits("scatter_add", x, d, as_vector(index));
  return added("scatter_add", x, d, as_vector(index), first_of("scatter_add", as_vector(source), as_vector(index)));
}

Tensor index_add(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& source, Scalar alpha) {
  int d = wrap_dim(dim, x.dim(), "index_add");
  if (x.dim() == 0) return index_add(x.reshape({1}), 0, index, as_vector(source), alpha).reshape({});
  Tensor wide = widened("index_add", x, d, index), slices = source;
  if (source.dim() == 0 && x.dim() == 1) slices = source.reshape({1});
  check_slices("index_add", wide, slices);
  bool plain = alpha.kind == DType::float32 ? alpha.value == 1 : alpha.integer == 1;
  return added("index_add", x, d, wide,
               plain ? slices : slices * backend::full({}, alpha, source.dtype(), source.device()));
}

// y = x, then y[index[i][j]][j] = source[i][j];  dx = dy where nothing was written, dsource[i][j] = dy[index[i][j]][j]
static Tensor placed(const char* op, const Tensor& x, int d, const Tensor& index, const Tensor& source) {
  check_type(op, x, source);
  Tensor y = backend::copy(x, x.dtype(), x.device());
  if (index.numel() > 0) backend::on(x.device()).scatter(y, d, index, source, Place::set, op);
  return record(op, y, inputs(x, source), saved(constant(index)), attributes(int64_t{d}), [](Backward& b) {
    return Grads{b.needs(0) ? scatter(b.dy(), b.integer(0), b[0], 0) : Tensor(),
                 b.needs(1) ? gather(b.dy(), b.integer(0), b[0]) : Tensor()};
  });
}

Tensor scatter(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& source) {
  check_index("scatter", x, index);
  int d = wrap_dim(dim, x.dim(), "scatter");
  if (x.dim() == 0) return scatter(x.reshape({1}), 0, as_vector(index), as_vector(source)).reshape({});
  if (index.numel() == 0) return x.clone();
  check_fits("scatter", x, d, as_vector(index));
  return placed("scatter", x, d, as_vector(index), first_of("scatter", as_vector(source), as_vector(index)));
}

Tensor scatter(const Tensor& x, int64_t d, const Tensor& index, Scalar value) {
  return scatter(x, d, index, full({}, value, x.dtype(), x.device()).expand(index.shape()));
}

Tensor index_copy(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& source) {
  int d = wrap_dim(dim, x.dim(), "index_copy");
  if (x.dim() == 0) return index_copy(x.reshape({1}), 0, index, as_vector(source)).reshape({});
  Tensor wide = widened("index_copy", x, d, index);
  Tensor slices = source.dim() == 0 && x.dim() == 1 ? source.reshape({1}) : source;
  check_slices("index_copy", wide, slices);
  return placed("index_copy", x, d, wide, slices);
}

// Places named twice are still filled once, and the value's gradient counts them so.
Tensor index_fill(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& value) {
  int d = wrap_dim(dim, x.dim(), "index_fill");
  if (value.dim() != 0)
    throw ShapeError("index_fill: the value must be a scalar, got shape " + to_string(value.shape()));
  if (x.dim() == 0) return index_fill(x.reshape({1}), 0, index, value).reshape({});
  check_index("index_fill", x, index);
  if (index.dim() > 1)
    throw ShapeError("index_fill: the index must be a vector, got shape " + to_string(index.shape()));
  Shape along(x.dim(), 1);
  along[d] = x.shape()[d];
  Tensor filled = zeros({along[d]}, DType::boolean, x.device()), yes = ones({}, DType::boolean, x.device());
  backend::on(x.device())
      .scatter(filled, 0, wrapped(as_vector(index), along[d]), yes.expand({index.numel()}), Place::set, "index_fill");
  return where(filled.view(along), value.to(x.dtype()), x);
}
Tensor index_fill(const Tensor& x, int64_t d, const Tensor& index, Scalar value) {
  return index_fill(x, d, index, full({}, value, x.dtype(), x.device()));
}

// ## Combining what arrives at one place
namespace {

enum class Reduce : int64_t { sum, prod, mean, amax, amin };

Reduce reduce_named(const char* op, const std::string& word) {
  constexpr const char* kWords[] = {"sum", "prod", "mean", "amax", "amin"};
  for (int i = 0; i < 5; ++i) {
    if (word == kWords[i]) return static_cast<Reduce>(i);
  }
  throw Error(std::string(op) + ": \"" + word + "\" is none of sum, prod, mean, amax, amin");
}

// What changes nothing when it is combined with x's numbers.
Tensor neutral(Reduce how, const Tensor& x) {
  bool whole = x.dtype() == DType::int64;
  auto number = [&]() -> Scalar {
    switch (how) {
      case Reduce::prod: return 1;
      case Reduce::amax:
        return x.dtype() == DType::boolean ? Scalar(false) : whole ? Scalar(INT64_MIN) : Scalar(-HUGE_VAL);
      case Reduce::amin:
        return x.dtype() == DType::boolean ? Scalar(true) : whole ? Scalar(INT64_MAX) : Scalar(HUGE_VAL);
      default: return 0;
    }
  };
  return full({}, number(), x.dtype(), x.device());
}

// How many numbers meet at each place, itself counted if it takes part.
Tensor counts(const Tensor& x, int64_t d, const Tensor& index, bool include_self) {
  Tensor n = full(x.shape(), include_self, x.dtype(), x.device());
  return scatter_add(n, d, index, ones({}, x.dtype(), x.device()).expand(index.shape()));
}

Tensor reduced(const char* op, const Tensor& x, int d, const Tensor& index, const Tensor& source, Reduce how,
               bool include_self);

// The derivative of each is its own; PyTorch's, also where several are equal or zero. Slots: x, source, y, index.
Grads reduced_rule(Backward& b) {
  int64_t d = b.integer(0);
  auto how = static_cast<Reduce>(b.integer(1));
  bool include_self = b.integer(2) != 0;
  Tensor dy = b.dy(), x = b[0], source = b[1], index = b[3], dx, dsource;
  auto one = [](const Tensor& like) { return ones({}, like.dtype(), like.device()); };
  switch (how) {
    case Reduce::sum: dx = dy, dsource = gather(dy, d, index); break;
    case Reduce::mean: {
      Tensor n = counts(x.detach(), d, index, include_self);
      n = where(n == 0, one(n), n);
      dx = dy / n;
      dsource = gather(dy, d, index) / gather(n, d, index);
      break;
    }
    // ∂y/∂source is the product of the others: y / source, or, for a single zero, the product with 1 in its place.
    case Reduce::prod: {
      Tensor y = b[2];
      Tensor x_nonzero = where(x == 0, one(x), x);
      dx = dy * reduced("scatter_reduce", x_nonzero, static_cast<int>(d), index, source, how, include_self) / x_nonzero;
      Tensor zero = source == 0;
      Tensor zeros_there =
          gather(scatter_add(zeros(x.shape(), x.dtype(), x.device()), d, index, zero.to(x.dtype())), d, index);
      // Of several zeros each has the slope 0, but not for ever: it changes with the others.
      if (b.create_graph() && b.needs(1) && anywhere(zeros_there > 1)) {
        throw AutogradError(
            "scatter_reduce, index_reduce: \"prod\" has no second derivative here where several zeros meet");
      }
      Tensor single = zero * (zeros_there == 1);
      Tensor others =
          reduced("scatter_reduce", x, static_cast<int>(d), index, where(single, one(x), source), how, include_self);
      dsource = where(single, gather(dy * others, d, index), gather(dy * y, d, index) / where(zero, one(x), source));
      break;
    }
    default: {  // the largest, or smallest, ones share the gradient
      Tensor y = b[2].detach();
      Tensor x_wins = (x.detach() == y).to(x.dtype()),
             source_wins = (source.detach() == gather(y, d, index)).to(x.dtype());
      Tensor share = dy / scatter_add(x_wins, d, index, source_wins);
      dx = x_wins * share;
      dsource = source_wins * gather(share, d, index);
      break;
    }
  }
  if (!include_self) dx = scatter(dx, d, index, 0);
  return {dx, dsource};
}

Tensor reduced(const char* op, const Tensor& x, int d, const Tensor& index, const Tensor& source, Reduce how,
               bool include_self) {
  check_type(op, x, source);
  if (index.numel() == 0) return x.clone();
  backend::Backend& on = backend::on(x.device());
  Tensor y = backend::copy(x, x.dtype(), x.device());
  if (!include_self) on.scatter(y, d, index, neutral(how, x).expand(index.shape()), Place::set, op);
  constexpr Place kPlaces[] = {Place::add, Place::multiply, Place::add, Place::greatest, Place::smallest};
  on.scatter(y, d, index, source, kPlaces[static_cast<int>(how)], op);
  if (how == Reduce::mean) {
    NoGrad nothing;
    Tensor n = counts(x.detach(), d, index, include_self);
    n = where(n == 0, ones({}, n.dtype(), n.device()), n);
    Tensor quotient = is_floating(x.dtype()) ? y / n : Tensor();
    if (!quotient.defined()) {  // rounded down
      quotient = y.to(DType::float64) / n.to(DType::float64);
      Tensor cut = quotient.to(DType::int64);
      quotient = cut - (cut.to(DType::float64) > quotient).to(DType::int64);
    }
    y = quotient.to(x.dtype());
  }
  return record(op, y, inputs(x, source), saved(x, source, y, constant(index)),
                attributes(int64_t{d}, static_cast<int64_t>(how), int64_t{include_self}), reduced_rule);
}

}  // namespace

Tensor scatter_reduce(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& source,
                      const std::string& reduce, bool include_self) {
  Reduce how = reduce_named("scatter_reduce", reduce);
  check_index("scatter_reduce", x, index);
  int d = wrap_dim(dim, x.dim(), "scatter_reduce");
  if (x.dim() == 0) {
    return scatter_reduce(x.reshape({1}), 0, as_vector(index), as_vector(source), reduce, include_self).reshape({});
  }
  Tensor i = as_vector(index);
  if (i.numel() == 0) return x.clone();
  check_fits("scatter_reduce", x, d, i);
  return reduced("scatter_reduce", x, d, i, first_of("scatter_reduce", as_vector(source), i), how, include_self);
}

Tensor index_reduce(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& source, const std::string& reduce,
                    bool include_self) {
  Reduce how = reduce_named("index_reduce", reduce);
  int d = wrap_dim(dim, x.dim(), "index_reduce");
  if (x.dim() == 0) return index_reduce(x.reshape({1}), 0, index, as_vector(source), reduce, include_self).reshape({});
  Tensor wide = widened("index_reduce", x, d, index);
  check_slices("index_reduce", wide, source);
  return reduced("index_reduce", x, d, wide, source, how, include_self);
}

// ## Broadcast, flat, masked
Tensor take_along_dim(const Tensor& x, const Tensor& index, std::optional<int64_t> dim) {
  check_index("take_along_dim", x, index);
  if (!dim) return take_along_dim(x.reshape({-1}), index.reshape({-1}), 0);
  if (x.dim() != index.dim()) {
    throw ShapeError("take_along_dim: index " + to_string(index.shape()) + " and input " + to_string(x.shape()) +
                     " have different ranks");
  }
  int d = wrap_dim(*dim, x.dim(), "take_along_dim");
  if (x.dim() == 0) return gather(x, 0, index);
  Shape of_x = x.shape(), of_index = index.shape();
  of_x[d] = of_index[d] = 1;
  Shape both = broadcast_shapes(of_x, of_index, "take_along_dim"), x_shape = both, index_shape = both;
  x_shape[d] = x.shape()[d];
  index_shape[d] = index.shape()[d];
  return gather(expand_to(x, x_shape), d, expand_to(wrapped(index, x.shape()[d]), index_shape));
}

Tensor take(const Tensor& x, const Tensor& index) {
  check_index("take", x, index);
  return selected("take", x.reshape({-1}), 0, wrapped(index.reshape({-1}), x.numel())).reshape(index.shape());
}

Tensor put(const Tensor& x, const Tensor& index, const Tensor& source, bool accumulate) {
  check_index("put", x, index);
  if (index.numel() != source.numel()) {
    throw ShapeError("put: " + std::to_string(index.numel()) + " indices for " + std::to_string(source.numel()) +
                     " values");
  }
  Tensor flat = x.reshape({-1}), at = wrapped(index.reshape({-1}), x.numel()), values = source.reshape({-1});
  return (accumulate ? added : placed)("put", flat, 0, at, values).reshape(x.shape());
}

Tensor nonzero(const Tensor& x) {
  detail::require_computing("nonzero", x);
  return backend::on(x.device()).nonzero(x.detach().contiguous());
}
Tensor argwhere(const Tensor& x) { return nonzero(x); }
std::vector<Tensor> nonzero_as_tuple(const Tensor& x) { return unbind(nonzero(as_vector(x)), 1); }
std::vector<Tensor> where(const Tensor& condition) { return nonzero_as_tuple(condition); }

static Tensor places(const char* op, const Tensor& mask, const Shape& shape) {
  if (mask.dtype() != DType::boolean)
    throw DTypeError(std::string(op) + ": the mask must be bool, got " + name(mask.dtype()));
  return nonzero(expand_to(mask, shape).reshape({-1})).reshape({-1});
}

Tensor masked_select(const Tensor& x, const Tensor& mask) {
  Shape shape = broadcast_shapes(x.shape(), mask.shape(), "masked_select");
  Tensor at = places("masked_select", mask, shape);
  return index_select(expand_to(x, shape).reshape({-1}), 0, at);
}

Tensor masked_scatter(const Tensor& x, const Tensor& mask, const Tensor& source) {
  check_type("masked_scatter", x, source);
  backend::check_device("masked_scatter", x, mask);
  Shape shape = broadcast_shapes(x.shape(), mask.shape(), "masked_scatter");
  Tensor at = places("masked_scatter", mask, shape);
  if (source.numel() < at.numel()) {
    throw ShapeError("masked_scatter: " + std::to_string(source.numel()) + " values for " + std::to_string(at.numel()) +
                     " places");
  }
  Tensor values = source.reshape({-1}).narrow(0, 0, at.numel());
  return placed("masked_scatter", expand_to(x, shape).reshape({-1}), 0, at, values).reshape(shape);
}

Tensor one_hot(const Tensor& labels, int64_t classes, DType dtype) {
  check_index("one_hot", labels, labels);
  if (classes < -1 || classes == 0 || (classes == -1 && labels.numel() == 0)) {
    throw ShapeError("one_hot: " + std::to_string(classes) + " classes for labels of shape " +
                     to_string(labels.shape()));
  }
  if (classes == -1) {
    auto [low, high] = aminmax(labels);
    int64_t least = low.item<int64_t>(), most = high.item<int64_t>();
    if (least < 0 || most == INT64_MAX)
      throw IndexError("one_hot: label " + std::to_string(least < 0 ? least : most) + " is no class");
    classes = most + 1;
  }
  Shape shape = labels.shape();
  shape.push_back(classes);
  Tensor y = zeros(shape, dtype, labels.device()), index = labels.unsqueeze(-1);
  Tensor one = full({}, 1, dtype, labels.device()).expand(index.shape());
  backend::on(y.device()).scatter(y, y.dim() - 1, index, one, Place::set, "one_hot");
  return y;
}

}  // namespace cr
