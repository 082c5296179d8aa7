#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace cr::book {

// SHA-256 (FIPS 180-4) of a string of bytes, as 64 hexadecimal digits.
std::string sha256(std::string_view bytes);

// A hash of a chapter's *code*, so that a page knows when its numbers are older than what computes them, and mending
// prose does not make them stale: the folder's own .cpp, .hpp, .cu and .cuh files but test.cpp, in the order of their
// names; of each a line "== name" and its lines that are neither blank nor wholly a comment. Empty when there is no
// such folder.
std::string source_hash(const std::filesystem::path& folder);

}  // namespace cr::book
