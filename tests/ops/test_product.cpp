// # What golden values cannot show of products
#include <cmath>

#include "backend/backend.hpp"
#include "backend/parallel.hpp"
#include "catch.hpp"
#include "chainrule.hpp"
#include "compare.hpp"
#include "machine.hpp"

using namespace cr;
using namespace cr::test;

TEST_CASE("products of wrong shapes name them", "[ops][product]") {
  auto of = [](Shape shape) { return zeros(shape); };
  CHECK_THROWS_WITH(matmul(of({3, 4}), of({5, 6})), "matmul: (3, 4) x (5, 6): inner sizes 4 and 5 differ");
  CHECK_THROWS_WITH(matmul(of({2, 3, 4}), of({3, 4, 5})),
                    "matmul: (2, 3, 4) x (3, 4, 5): batch sizes 2 and 3 differ, and neither is 1");
  CHECK_THROWS_WITH(matmul(of({}), of({3})), "matmul: () x (3,): a scalar has no inner size; use *");
  CHECK_THROWS_WITH(mm(of({3}), of({3, 2})), "mm: (3,) x (3, 2): needs a matrix and a matrix");
  CHECK_THROWS_WITH(bmm(of({2, 3, 4}), of({3, 4, 5})), "bmm: (2, 3, 4) x (3, 4, 5): batch sizes 2 and 3 differ");
  CHECK_THROWS_WITH(mv(of({3, 4}), of({3})), "mv: (3, 4) x (3,): inner sizes 4 and 3 differ");
  CHECK_THROWS_WITH(dot(of({3}), of({4})), "dot: (3,) x (4,): inner sizes 3 and 4 differ");
  CHECK_THROWS_WITH(addmm(of({3, 3}), of({3, 4}), of({4, 2})),
                    "addmm: shapes (3, 3) and (3, 2) do not broadcast: sizes 3 and 2 differ, and neither is 1");
  CHECK_THROWS_WITH(baddbmm(of({1, 2, 3, 2}), of({2, 3, 4}), of({2, 4, 2})),
                    "baddbmm: input (1, 2, 3, 2) does not broadcast to the product (2, 3, 2)");
  CHECK_THROWS_WITH(inner(of({2, 3}), of({4})), "inner: (2, 3) x (4,): last sizes 3 and 4 differ");
  CHECK_THROWS_WITH(outer(of({2, 3}), of({4})), "outer: (2, 3) x (4,): needs a vector and a vector");
  CHECK_THROWS_WITH(cross(of({2, 2}), of({2, 2})), "cross: (2, 2) x (2, 2): no dimension has size 3");
  CHECK_THROWS_WITH(trace(of({3})), "trace: needs a matrix, got shape (3,)");
  CHECK_THROWS_WITH(linalg::multi_dot({of({2, 3})}), "multi_dot: needs at least two tensors, got 1");
  CHECK_THROWS_WITH(linalg::multi_dot({of({2, 3}), of({3}), of({3, 1})}),
                    "multi_dot: tensor 1 of shape (3,) is no matrix; only the first and the last may be vectors");
  CHECK_THROWS_WITH(linalg::matrix_power(of({2, 3}), 2), "matrix_power: (2, 3) is no square matrix or batch of them");
  CHECK_THROWS_WITH(linear(of({2, 3}), of({4, 5})),
                    "linear: input (2, 3) does not fit weight (4, 5) = (out, in): the input's last size must be in");
  CHECK_THROWS_WITH(linear(of({2, 5}), of({4, 5}), of({3})),
                    "linear: bias (3,) does not fit weight (4, 5) = (out, in): it must be (out,)");
  CHECK_THROWS_WITH(bilinear(of({2, 3}), of({2, 4}), of({5, 3, 3})),
                    "bilinear: inputs (2, 3) and (2, 4) do not fit weight (5, 3, 3) = (out, in1, in2)");
  CHECK_THROWS_WITH(cdist(of({2, 3}), of({2, 4})), "cdist: (2, 3) and (2, 4): the rows have different lengths");
  Tensor wide = zeros({1}).expand({int64_t{1} << 40});
  CHECK_THROWS_AS(kron(wide, wide), ShapeError);
}

TEST_CASE("products take two tensors of one type that has sums", "[ops][product]") {
  Tensor f = zeros({2, 2}), d = zeros({2, 2}, DType::float64), i = zeros({2, 2}, DType::int64);
  Tensor flags = zeros({2, 2}, DType::boolean);
  CHECK_THROWS_WITH(matmul(f, d),
                    "matmul: needs two tensors of one type, floating-point or int64, got float32 and float64");
  CHECK_THROWS_AS(matmul(flags, flags), DTypeError);
  CHECK_THROWS_AS(einsum("ij,jk", {f, i}), DTypeError);
  CHECK_THROWS_AS(addmm(d, f, f), DTypeError);
  CHECK_THROWS_AS(cdist(i, i), DTypeError);
  CHECK_THROWS_AS(matmul(f, f.to(Device::simt)), DeviceError);
}

TEST_CASE("einsum says what is wrong with an equation", "[ops][product]") {
  Tensor x = zeros({2, 3}), y = zeros({3, 4});
  CHECK_THROWS_WITH(einsum("ij,jk", {x}), "einsum: \"ij,jk\": 2 lists of labels for 1 operands");
  CHECK_THROWS_WITH(einsum("i?", {x}), "einsum: \"i?\": '?' at position 1 is not expected");
  CHECK_THROWS_WITH(einsum("ij->ji->ij", {x}), "einsum: \"ij->ji->ij\": '-' at position 6 is not expected");
  CHECK_THROWS_WITH(einsum("i", {x}), "einsum: operand 0 of shape (2, 3) has 1 labels for its 2 dimensions");
  CHECK_THROWS_WITH(einsum("ii", {x}), "einsum: operand 0 of shape (2, 3) has sizes 2 and 3 for the repeated label i");
  CHECK_THROWS_WITH(einsum("ij,ik", {x, y}), "einsum: label i has size 2 in operand 0 and 3 in operand 1");
  CHECK_THROWS_WITH(einsum("ij->k", {x}), "einsum: label k of the result is in no operand");
  CHECK_THROWS_WITH(einsum("ij->ii", {x}), "einsum: label i is named twice in the result");
  CHECK_THROWS_WITH(tensordot(x, y, {0}, {1}),
                    "tensordot: (2, 3) x (3, 4): size 2 of dimension 0 and 4 of dimension 1 differ");
  CHECK_THROWS_WITH(tensordot(x, y, 3), "tensordot: (2, 3) x (3, 4): cannot sum over 3 dimensions");
}

TEST_CASE("int64 products are exact and wrap around", "[ops][product]") {
  Tensor big = full({1, 2}, Scalar(int64_t{1} << 62), DType::int64), two = full({2, 1}, Scalar(2), DType::int64);
  CHECK(matmul(big, two).item<int64_t>() == 0);
  Tensor odd = full({1, 1}, Scalar((int64_t{1} << 53) + 1), DType::int64);
  CHECK(matmul(odd, ones({1, 1}, DType::int64)).item<int64_t>() == (int64_t{1} << 53) + 1);
}

// A repeated matrix has stride 0: a batch of two million costs what its result costs.
TEST_CASE("broadcasting a batch copies nothing", "[ops][product]") {
  Tensor a = ones({1, 1, 2}).expand({1 << 21, 1, 2}), b = ones({1 << 21, 2, 1});
  CHECK(matmul(a, b).sum().item() == 2 * (1 << 21));
}

// All products of a batch together give the bits of each alone, whichever way the cores share them.
TEST_CASE("a batch has the bits of its products", "[ops][product]") {
  Threads restore;
  Generator g(1);
  for (Shape shape : {Shape{40, 30, 20, 10}, Shape{3, 170, 180, 190}, Shape{20, 1, 300, 300}}) {
    Tensor a = randn({shape[0], shape[1], shape[2]}, g), b = randn({shape[0], shape[2], shape[3]}, g);
    for (int threads : {1, 2, 3}) {
      backend::set_num_threads(threads);
      Tensor c = bmm(a, b);
      for (int64_t i = 0; i < shape[0]; ++i)
        CHECK(eq(c[i], mm(a[i], b[i])).to(DType::int64).sum().item() == c[i].numel());
    }
  }
}

// Neither option of the waist is reached through matmul.
TEST_CASE("the waist adds, adds a bias and cuts off in batches too", "[ops][product]") {
  Generator g(2);
  Tensor a = randint(-3, 4, {2, 3, 4}, g), b = randint(-3, 4, {2, 4, 5}, g), bias = randint(-3, 4, {5}, g);
  Tensor before = randint(-3, 4, {2, 3, 5}, g), expected = relu(matmul(a, b) + before + bias);
  std::vector<Device> devices = other_devices();
  devices.push_back(Device::cpu);
  for (Device device : devices) {
    for (DType type : {DType::int64, DType::float32, DType::float64}) {
      Tensor c = before.to(type).clone().to(device), row = bias.to(type).to(device);
      backend::on(device).gemm(c, a.to(type).to(device), b.to(type).to(device),
                               {.accumulate = true, .bias = &row, .relu = true});
      CHECK(eq(c.to(Device::cpu).to(DType::int64), expected).to(DType::int64).sum().item() == 30);
    }
  }
}

// The shortcut over the dot product would answer 0 or NaN here.
TEST_CASE("distances of near points keep their digits", "[ops][product]") {
  Tensor x = full({1, 3}, 1000.0), y = full({1, 3}, 1000.0) + 0.0009765625;
  CHECK(cdist(x, y).item() == Approx(0.0009765625 * std::sqrt(3.0)).epsilon(1e-6));
  CHECK(cdist(x, x).item() == 0);
  Tensor leaf = x.clone().requires_grad_();
  cdist(leaf, x).sum().backward();
  CHECK(leaf.grad().sum().item() == 0);
}

TEST_CASE("a chain of four has the product's numbers in whatever order", "[ops][product]") {
  Generator g(3);
  Tensor a = randn({2, 50}, g, DType::float64), b = randn({50, 40}, g, DType::float64);
  Tensor c = randn({40, 3}, g, DType::float64), d = randn({3, 30}, g, DType::float64);
  Tensor difference = linalg::multi_dot({a, b, c, d}) - matmul(matmul(a, b), matmul(c, d));
  CHECK(abs(difference).sum().item() < 1e-10);
}
