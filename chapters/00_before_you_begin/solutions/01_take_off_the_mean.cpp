// `mean(x, {0})` goes down the columns and leaves (3,). Compared from the right, (4, 3) and (3,) fit: each row loses the
// column means. `mean(x, {1})` leaves (4,), and (4, 3) against (4,) does not fit: 3 meets 4. The four numbers have to
// stand as a column, (4, 1), which is what `true` asks for: keep the dimension, with size 1.
//
// With a square matrix (3, 3) and (3,) always fit. The library takes the mean of row $j$ off *column* $j$, and says
// nothing. So keep the dimension wherever you subtract a mean of rows, and try out your code with sizes that all differ.
#include <cstdio>
#include <string>

#include "chainrule.hpp"

using namespace cr;

static double largest(const Tensor& x) { return amax(abs(x)).item(); }

int main() {
  Generator random(1);
  Tensor x = randn({4, 3}, random, DType::float64);
  Tensor columns = x - mean(x, {0});     // (4, 3) - (3,)
  Tensor rows = x - mean(x, {1}, true);  // (4, 3) - (4, 1)
  double column_means = largest(mean(columns, {0})),
         row_means = largest(mean(rows, {1}));
  std::string message;
  try {
    x - mean(x, {1});  // (4, 3) - (4,)
  } catch (const ShapeError& error) {
    message = error.what();
  }

  Tensor square_one = randn({3, 3}, random, DType::float64);
  Tensor wrong = square_one - mean(square_one, {1});  // (3, 3) - (3,): no complaint
  double left_over = largest(mean(wrong, {1}));
  std::printf(
      "column means %.1g, row means %.1g; %s; square: row means up to %.2f\n",
      column_means, row_means, message.c_str(), left_over);
  bool good =
      column_means < 1e-15 && row_means < 1e-15 && left_over > 0.01 &&
      message ==
          "sub: shapes (4, 3) and (4,) do not broadcast: sizes 3 and 4 differ, and neither is 1";
  return good ? 0 : 1;
}
