// # Kernels that are wrong on purpose
#pragma once

#include <functional>
#include <string>
#include <vector>

// Each comes with its correct twin. The line at fault carries the comment "// here: NAME" in broken.cu.
struct BrokenKernel {
  std::string name;
  std::function<void(bool broken)> run;
  std::string says;  // what the error must say, among other things
};
std::vector<BrokenKernel> broken_kernels();
