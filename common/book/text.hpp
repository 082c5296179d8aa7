// # Text for a terminal
#pragma once

#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace cr::book {

// A number or a piece of text: what is put into `{}` in a sentence and into a table's cell.
struct Value {
  template <std::integral T> Value(T v) : is(static_cast<int64_t>(v)) {}
  template <std::floating_point T> Value(T v) : is(static_cast<double>(v)) {}
  Value(bool v) : is(std::string(v ? "yes" : "no")) {}
  Value(const char* v) : is(std::string(v)) {}
  Value(std::string_view v) : is(std::string(v)) {}
  Value(const std::string& v) : is(v) {}
  std::variant<int64_t, double, std::string> is;
};

// Fills `{}`, `{:.3f}` and the like as fmt does. A mistake in the format is a bug: throws std::logic_error.
std::string fill(std::string_view text, const std::vector<Value>& values);

// How a number is shown where nobody said how: integers in full, others to `digits` digits that count.
std::string show(double value, int digits = 4);
std::string show(const Value& value);

// How many columns UTF-8 text takes: accents that combine take none, East Asian wide letters two.
int display_width(std::string_view utf8);

// Breaks a paragraph between words into lines of at most `width` columns. Newlines in the text are kept; the first line
// begins with `first`, the others with `indent`.
std::string wrap(std::string_view text, int width, std::string_view first = {}, std::string_view indent = {});

// The one of `words` that was probably meant, or empty if none is close (counting typed, dropped, swapped letters).
std::string nearest(std::string_view word, const std::vector<std::string>& words);

}  // namespace cr::book
