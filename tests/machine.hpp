// Settings of the whole program that a test changes and this brings back.
#pragma once

#include "backend/cpu/cpu_features.hpp"
#include "backend/parallel.hpp"
#include "catch.hpp"

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

// Every instruction set of this machine in turn; afterwards the one that was in use.
template <class F> void for_each_isa(F&& f) {
  InstructionSet restore;
  using backend::cpu::Isa;
  for (const Isa isa : {Isa::base, Isa::avx2, Isa::avx512}) {
    if (isa > backend::cpu::best_isa()) continue;
    INFO("instruction set " << backend::cpu::isa_name(isa));
    backend::cpu::set_isa(isa);
    f();
  }
}

}  // namespace cr
