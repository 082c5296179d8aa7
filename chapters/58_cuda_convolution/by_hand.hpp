#pragma once

#include "book/chapter.hpp"
#include "chainrule.hpp"

using namespace cr;

// $\mathrm{out}_0 = 2 \cdot 4 + 1 \cdot 7 + 3 \cdot 5 = 30$ and
// $\mathrm{out}_1 = 2 \cdot 7 + 1 \cdot 5 + 3 \cdot 9 = 46$.
static void by_hand(Chapter& chapter) {
  chapter.section("By hand: four pixels");
  chapter.say(
      "Four pixels 4, 7, 5, 9 and three weights 2, 1, 3. From above comes the gradient "
      "1, -1. Forward and both ways back, on paper and by the library:");
  constexpr DType f64 = DType::float64;
  Tensor x = tensor({4, 7, 5, 9}, f64).reshape({1, 1, 4}).requires_grad_();
  Tensor w = tensor({2, 1, 3}, f64).reshape({1, 1, 3}).requires_grad_();
  Tensor dy = tensor({1, -1}, f64).reshape({1, 1, 2});
  Tensor y = conv1d(x, w);  // (1, 1, 2)
  sum(y * dy).backward();
  chapter.check("y", tensor({30, 46}, f64), y.detach().reshape({2}));

  // Put under each other what the window sees, place by place:
  //
  // $$\begin{pmatrix} 4 & 7 & 5 \\ 7 & 5 & 9 \end{pmatrix}
  //   \begin{pmatrix} 2 \\ 1 \\ 3 \end{pmatrix} = \begin{pmatrix} 30 \\ 46 \end{pmatrix} .$$
  //
  // One row for each place, one column for each tap: a convolution is a product of
  // matrices. The matrix holds six numbers, and the image only four.
  Tensor rows = tensor({4, 7, 5, 7, 5, 9}, f64).reshape({2, 3});
  chapter.check("the same as a product", tensor({30, 46}, f64),
                matmul(rows, tensor({2, 1, 3}, f64)));

  // Now back. Each weight met one pixel at each place, so its gradient is the sum
  // of these pixels, each times the gradient of its place: the matrix transposed,
  // times $(1, -1)$.
  //
  // $$\frac{\partial L}{\partial w} = \begin{pmatrix} 4 & 7 \\ 7 & 5 \\ 5 & 9 \end{pmatrix}
  //   \begin{pmatrix} 1 \\ -1 \end{pmatrix} = \begin{pmatrix} -3 \\ 2 \\ -4 \end{pmatrix}$$
  chapter.check("dL/dw", tensor({-3, 2, -4}, f64), w.grad().reshape({3}));

  // Each pixel was seen from some places through some taps. The second, the 7, was
  // seen from place 0 through tap 1 and from place 1 through tap 0: its gradient is
  // $1 \cdot 1 + (-1) \cdot 2 = -1$. That is a product as well, with a row for each
  // pixel and, again, a column for each tap.
  //
  // $$\frac{\partial L}{\partial x} =
  //   \begin{pmatrix} 1 & 0 & 0 \\ -1 & 1 & 0 \\ 0 & -1 & 1 \\ 0 & 0 & -1 \end{pmatrix}
  //   \begin{pmatrix} 2 \\ 1 \\ 3 \end{pmatrix} =
  //   \begin{pmatrix} 2 \\ -1 \\ 2 \\ -3 \end{pmatrix}$$
  chapter.check("dL/dx", tensor({2, -1, 2, -3}, f64), x.grad().reshape({4}));
}
