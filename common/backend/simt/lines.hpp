// # From addresses back to the source
//
// A running program knows addresses; its reader wants lines and names. The executable still has both: its debug
// information says which line an instruction came from, its symbol table where each variable lies.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace cr::backend::simt {

struct Line {
  std::string file;  // "common/backend/gpu/gemm.cu"; empty where there is no debug information
  int line = 0;
};

// The lines of the calls that return to these addresses. A call inside an inlined function of the emulator counts for
// the kernel's line that it was inlined into. Asks the program `addr2line`, once for all.
std::vector<Line> lines_of(const std::vector<const void*>& return_addresses);

// One of them, as "file:line"; the function's name or the bare address where the line is unknown.
std::string line_of(const void* return_address);

// A stretch of memory.
struct Range {
  uintptr_t low = 0, high = 0;
  bool holds(uintptr_t a) const { return a - low < high - low; }
};

// A variable declared `__shared__`, or the gap before one.
struct SharedVariable {
  Range range;
  std::string symbol;  // as the linker knows it
  bool gap = false;
  bool constructed = false;  // the program constructs it, which a GPU does not
};

// What the loader brought into memory with the program or library that a kernel belongs to.
struct Module {
  std::string path;
  uintptr_t base = 0;  // what the loader added to the addresses in the file
  struct Segment {
    Range range;
    bool writable = true;
  };
  std::vector<Segment> segments;  // what the loader has protected stands before what it is a part of
  bool holds(uintptr_t a) const;
};
// The module with this address; without segments if there is none.
Module module_of(uintptr_t a);

// What its symbol table says: sorted by address, empty in a program that was stripped of its symbols.
struct Symbols {
  std::vector<SharedVariable> shared;
  std::vector<Range> variables;  // all of static duration
};
Symbols symbols_of(const Module& module);

std::string demangled(const std::string& symbol);

}  // namespace cr::backend::simt
