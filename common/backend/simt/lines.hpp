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

// A `thread_local` variable of this program, as the calling thread sees it.
struct ThreadLocal {
  Range range;
  std::string symbol;  // as the linker knows it
};
// All of them, sorted by address; empty in a program that was stripped of its symbols.
std::vector<ThreadLocal> thread_locals();

// What the loader brought into memory: code, constants and global variables of the program and its libraries.
std::vector<Range> static_data();
// The calling thread's `thread_local` variables of this program, all in one piece.
Range thread_local_block();

std::string demangled(const std::string& symbol);

}  // namespace cr::backend::simt
