// What test_gdb.sh looks at: tensors of each kind, at the line of the breakpoint.
#include "tensor/tensor.hpp"

using namespace cr;

int main() {
  Tensor x = empty({2, 3}, DType::float64);
  for (int i = 0; i < 6; ++i) x.mutable_data<double>()[i] = i + 0.5;
  Tensor transposed = window(x, {3, 2}, {1, 3}, 0);
  Tensor column = window(x, {2}, {3}, 1);
  Tensor many = empty({2, 100}, DType::int64);
  for (int i = 0; i < 200; ++i) many.mutable_data<int64_t>()[i] = i;
  Tensor mask = empty({2}, DType::boolean);
  mask.mutable_data<bool>()[0] = true;
  mask.mutable_data<bool>()[1] = false;
  Tensor number = empty({}, DType::float32);
  number.mutable_data<float>()[0] = 0.1f;
  Tensor deep = empty({1, 1, 1, 1, 1, 1, 2}, DType::int64);  // more dimensions than lie inside a shape
  deep.mutable_data<int64_t>()[0] = deep.mutable_data<int64_t>()[1] = 7;
  Tensor nothing;
  return static_cast<int>(nothing.defined() + transposed.defined() + column.defined());  // breakpoint
}
