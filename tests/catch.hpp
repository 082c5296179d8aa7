// The tests' one way to Catch2: version 2.13 (Debian 12) or 3, whichever is installed.
//
// Catch2 2 has no `SKIP`, and version 3's prints a page; ours is one line in both. It leaves the test case, which then counts
// as skipped: neither passed nor failed. Use it at the top level of a test case, not inside a helper or a lambda.
#pragma once

#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>
using Catch::Approx;
#else
#include <catch2/catch.hpp>
#endif

#include <string>

namespace cr::test {
// Notes that the running test case is skipped, and why.
void skip(const std::string& why);
}  // namespace cr::test

#undef SKIP
#define SKIP(why)          \
  do {                     \
    ::cr::test::skip(why); \
    return;                \
  } while (false)
