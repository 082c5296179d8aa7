// Settings of the whole program that a test changes and this brings back.
#pragma once

#include "backend/cpu/cpu_features.hpp"
#include "backend/parallel.hpp"

namespace cr {

struct Threads {
  Threads() = default;
  explicit Threads(int n) { backend::set_num_threads(n); }
  ~Threads() { backend::set_num_threads(before); }
  Threads(const Threads&) = delete;
  Threads& operator=(const Threads&) = delete;
  const int before = backend::num_threads();
};

struct InstructionSet {
  InstructionSet() = default;
  ~InstructionSet() { backend::cpu::set_isa(before); }
  InstructionSet(const InstructionSet&) = delete;
  InstructionSet& operator=(const InstructionSet&) = delete;
  const backend::cpu::Isa before = backend::cpu::isa();
};

}  // namespace cr
