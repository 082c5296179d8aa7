#include "op_table.hpp"

namespace cr::test {
namespace {

// Every function that makes a tensor also takes these, by name. Only the type matters here.
#define CR_MADE "dtype=null layout=null device=null requires_grad=false pin_memory=false memory_format=null"
struct Made {};
void read(const Json&, const NamedTensors&, Made&) {}
using Type = std::optional<DType>;
constexpr DType f32 = DType::float32;

double real(const Operand& o) { return o.is_tensor() ? o.tensor().item() : o.scalar().as<double>(); }

}  // namespace

Table create_ops() {
  static Generator generator(0);
  return {
      {"zeros", "*size " CR_MADE,
       [](Dims size, Type t, Made, Made, Made, Made, Made) { return zeros(size, t.value_or(f32)); }},
      {"ones", "*size " CR_MADE,
       [](Dims size, Type t, Made, Made, Made, Made, Made) { return ones(size, t.value_or(f32)); }},
      {"full", "size fill_value " CR_MADE,
       [](Dims size, Scalar v, Type t, Made, Made, Made, Made, Made) { return full(size, v, t.value_or(v.kind)); }},
      {"zeros_like", "input " CR_MADE, [](Tensor x, Type t, Made, Made, Made, Made, Made) { return zeros_like(x, t); }},
      {"ones_like", "input " CR_MADE, [](Tensor x, Type t, Made, Made, Made, Made, Made) { return ones_like(x, t); }},
      {"full_like", "input fill_value " CR_MADE,
       [](Tensor x, Scalar v, Type t, Made, Made, Made, Made, Made) { return full_like(x, v, t); }},
      {"new_zeros", "input *size " CR_MADE,
       [](Tensor x, Dims size, Type t, Made, Made, Made, Made, Made) { return new_zeros(x, size, t); }},
      {"new_ones", "input *size " CR_MADE,
       [](Tensor x, Dims size, Type t, Made, Made, Made, Made, Made) { return new_ones(x, size, t); }},
      {"new_full", "input size fill_value " CR_MADE,
       [](Tensor x, Dims size, Scalar v, Type t, Made, Made, Made, Made, Made) { return new_full(x, size, v, t); }},
      {"scalar_tensor", "s " CR_MADE,
       [](Scalar v, Type t, Made, Made, Made, Made, Made) { return scalar_tensor(v, t.value_or(f32)); }},
      {"fill", "input value",
       [](Tensor x, Operand v) {
         return v.is_tensor() ? v.tensor().to(x.dtype()).expand(x.shape()).clone() : full_like(x, v.scalar());
       }},
      {"arange", "start=0 end=null step=1 " CR_MADE,
       [](Scalar start, std::optional<Operand> end, Scalar step, Type t, Made, Made, Made, Made, Made) {
         return end ? arange(start, end->scalar(), step, t) : arange(0, start, step, t);
       }},
      {"linspace", "start end steps " CR_MADE,
       [](Operand start, Operand end, int64_t steps, Type t, Made, Made, Made, Made, Made) {
         return linspace(real(start), real(end), steps, t.value_or(f32));
       }},
      {"logspace", "start end steps base=10 " CR_MADE,
       [](Operand start, Operand end, int64_t steps, double base, Type t, Made, Made, Made, Made, Made) {
         return logspace(real(start), real(end), steps, base, t.value_or(f32));
       }},
      {"eye", "n m=null " CR_MADE,
       [](int64_t n, std::optional<int64_t> m, Type t, Made, Made, Made, Made, Made) {
         return eye(n, m.value_or(n), t.value_or(f32));
       }},
      {"tril_indices", "row col offset=0 " CR_MADE,
       [](int64_t r, int64_t c, int64_t k, Type t, Made, Made, Made, Made, Made) {
         return tril_indices(r, c, k).to(t.value_or(DType::int64));
       }},
      {"triu_indices", "row col offset=0 " CR_MADE,
       [](int64_t r, int64_t c, int64_t k, Type t, Made, Made, Made, Made, Made) {
         return triu_indices(r, c, k).to(t.value_or(DType::int64));
       }},
      {"rand", "*size " CR_MADE,
       [](Dims size, Type t, Made, Made, Made, Made, Made) { return rand(size, generator, t.value_or(f32)); }},
      {"randn", "*size " CR_MADE,
       [](Dims size, Type t, Made, Made, Made, Made, Made) { return randn(size, generator, t.value_or(f32)); }},
      {"rand_like", "input " CR_MADE,
       [](Tensor x, Type t, Made, Made, Made, Made, Made) { return rand_like(x, generator, t); }},
      {"randn_like", "input " CR_MADE,
       [](Tensor x, Type t, Made, Made, Made, Made, Made) { return randn_like(x, generator, t); }},
      {"randint", "low high=null size=null " CR_MADE,
       [](int64_t low, Json high, Json size, Type t, Made, Made, Made, Made,
          Made) {  // (high, size) or (low, high, size)
         Dims shape;
         read(high.is_array() ? high : size, {}, shape);
         bool both = high.is_number();
         return randint(both ? low : 0, both ? high.get<int64_t>() : low, shape, generator)
             .to(t.value_or(DType::int64));
       }},
      {"randint_like", "input low=0 high=null " CR_MADE,
       [](Tensor x, int64_t low, std::optional<int64_t> high, Type t, Made, Made, Made, Made, Made) {
         return randint_like(x, high ? low : 0, high.value_or(low), generator, t);
       }},
      {"randperm", "n " CR_MADE,
       [](int64_t n, Type t, Made, Made, Made, Made, Made) {
         return randperm(n, generator).to(t.value_or(DType::int64));
       }},
      {"bernoulli", "input p=null generator=null",
       [](Tensor x, std::optional<double> p, Made) {
         return p ? bernoulli(x, *p, generator) : bernoulli(x, generator);
       }},
      {"multinomial", "input num_samples replacement=false generator=null",
       [](Tensor x, int64_t n, bool replacement, Made) { return multinomial(x, n, replacement, generator); }},
      {"normal", "mean=0 std=1 size=null generator=null " CR_MADE,
       [](Operand mean, Operand std, Dims size, Made, Type t, Made, Made, Made, Made, Made) {
         if (mean.is_tensor())
           return std.is_tensor() ? normal(mean.tensor(), std.tensor(), generator)
                                  : normal(mean.tensor(), real(std), generator);
         return std.is_tensor() ? normal(real(mean), std.tensor(), generator)
                                : normal(real(mean), real(std), size, generator, t.value_or(f32));
       }},
  };
}

}  // namespace cr::test
