// # What is timed
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace cr::bench {

struct Workload {
  std::string name, what;
  std::function<std::function<void()>()> make;  // sets the stage and returns one step
  int64_t operations = 1;                       // in one step; times are given for one operation
};

// `torch_worker.py` has the same by the same names.
std::vector<Workload> workloads();

}  // namespace cr::bench
