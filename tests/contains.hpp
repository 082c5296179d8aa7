#pragma once

#include "catch.hpp"

// Catch2's matcher for a part of a message, under version 3's name with either version.
#if __has_include(<catch2/catch_all.hpp>)
using Catch::Matchers::ContainsSubstring;
#else
inline auto ContainsSubstring(const std::string& part) { return Catch::Matchers::Contains(part); }
#endif
