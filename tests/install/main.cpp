// d(x²)/dx at 3, from an installed library.
#include <chainrule.hpp>
#include <cstdio>

int main() {
  cr::Tensor x = cr::tensor(3.0).requires_grad_();
  cr::square(x).backward();
  std::printf("dx = %g\n", x.grad().item<double>());
}
