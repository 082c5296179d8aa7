// # Claims
//
// A claim is a sentence with a number in it that the program measures. It has a **bound** the number must keep, a
// **kind** that says what keeping it proves, and the size of run it is judged at.
#pragma once

#include <optional>
#include <string>

namespace cr::book {

// How much a run does: `--quick` a few seconds, the default a minute, `--full` the published experiment.
enum class Size { quick, normal, full };

// Quick, default, full.
const char* name(Size size);

// What a claim is worth. An *identity* is mathematics and can only fail by a mistake. What is *built in* was put into
// the generated data, so finding it again shows that the method works. What is *found* nobody put there.
enum class Kind { identity, built_in, found };
using enum Kind;

const char* name(Kind kind);

// The interval a measured value must lie in, ends included. NaN lies in none.
struct Bound {
  enum class Form { at_least, at_most, near, between } form;
  double a = 0, b = 0;

  bool holds(double value) const;

  // "≥ 0.98", "≤ 1e-10", "1491.5 ± 0.1 %", "0.3 … 0.5"; with the unit "%" in hundredths: "≥ 98 %".
  std::string text(const std::string& unit = {}) const;
};

inline Bound at_least(double x) { return {Bound::Form::at_least, x, 0}; }
inline Bound at_most(double x) { return {Bound::Form::at_most, x, 0}; }
// Within a relative tolerance of `x`; for `x = 0` there is nothing to be relative to, and the tolerance is absolute.
inline Bound near(double x, double tolerance) { return {Bound::Form::near, x, tolerance}; }
inline Bound exactly(double x) { return near(x, 0); }  // for what is counted
inline Bound between(double low, double high) { return {Bound::Form::between, low, high}; }

// What a claim may say beyond its five arguments.
struct ClaimOptions {
  // The size it is judged at. Unsaid, an identity is judged at every size and any other claim at the default size.
  std::optional<Size> at = {};
  // Bounds for one size. Giving one also has the claim judged there.
  std::optional<Bound> quick = {}, normal = {}, full = {};
  // The planted bug that this claim is the symptom of. It is judged under `--break` with that name, at every size, and
  // only there.
  std::string symptom_of = {};
  // Printed behind the value: "s", "MB". With "%" the value is a fraction: 0.981 is printed as 98.1 %.
  std::string unit = {};
};

// A claim as it came out.
struct Claim {
  std::string id, sentence, unit, symptom_of, at;
  double value = 0;
  Bound bound;
  Kind kind;
  bool judged = false;
  bool passed = false;  // does the bound hold? Said of every claim, counted of judged ones

  // The value as printed: as many digits as the bound asks for, and the unit.
  int digits() const;
  std::string text() const;
};

// A value with its unit; "%" is of a fraction.
std::string with_unit(double value, int digits, const std::string& unit);

}  // namespace cr::book

namespace cr {
using book::at_least;
using book::at_most;
using book::between;
using book::exactly;
using book::Kind;
using book::near;
using book::Size;
using enum book::Kind;
}  // namespace cr
