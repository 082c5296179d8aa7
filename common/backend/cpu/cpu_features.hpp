// # Which instructions does this machine have?
//
// The hot loops are compiled once per **instruction set** (ISA) and the best one is chosen when the program runs: the
// same binary serves an old laptop and a new server. Results are the same bits on every machine that runs the same
// instruction set; between sets they differ in the last bits, since only the newer ones multiply and add with one
// rounding.
#pragma once

namespace cr::backend::cpu {

// In ascending order, each a superset of the one before. `base` is what the compiler assumes of any machine (SSE2 on
// x86-64), `avx2` includes FMA and F16C, `avx512` means F, DQ, BW and VL.
enum class Isa { base, avx2, avx512 };

// The name as it is written in `CHAINRULE_ISA`.
const char* isa_name(Isa isa);

// The best instruction set that both this machine (processor and system) and this build have.
Isa best_isa();

// The instruction set in use: the best one, unless the environment variable `CHAINRULE_ISA` (base, avx2 or avx512) or
// `set_isa` says less. Throws `Error` when the variable holds another word or a set that is not there.
Isa isa();

// Chooses an instruction set, for tests and measurements. Throws `Error` when it is not there. Not to be called while
// another thread computes: it would change sets between two of its kernels.
void set_isa(Isa isa);

}  // namespace cr::backend::cpu
