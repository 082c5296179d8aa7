#include "book/claim.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "book/text.hpp"

namespace cr::book {

const char* name(Size size) {
  constexpr const char* kNames[] = {"quick", "default", "full"};
  return kNames[static_cast<int>(size)];
}

const char* name(Kind kind) {
  constexpr const char* kNames[] = {"identity", "built in", "found"};
  return kNames[static_cast<int>(kind)];
}

bool Bound::holds(double value) const {
  switch (form) {
    case Form::at_least: return value >= a;
    case Form::at_most: return value <= a;
    case Form::near: return std::abs(value - a) <= (a == 0 ? b : b * std::abs(a));
    default: return value >= a && value <= b;
  }
}

std::string Bound::text(const std::string& unit) const {
  double scale = unit == "%" ? 100 : 1;
  std::string behind = unit.empty() ? "" : " " + unit;
  auto number = [&](double x) { return fmt::format("{:.12g}", x * scale); };
  switch (form) {
    case Form::at_least: return "≥ " + number(a) + behind;
    case Form::at_most: return "≤ " + number(a) + behind;
    case Form::between: return number(a) + " … " + number(b) + behind;
    default:
      if (b == 0) return "= " + number(a) + behind;
      if (a == 0) return "0 ± " + number(b) + behind;
      if (b >= 1e-5) return number(a) + behind + " ± " + fmt::format("{:.12g} %", b * 100);
      return number(a) + behind + " ± " + fmt::format("{:.12g} of it", b);
  }
}

int Claim::digits() const {
  // A value held to one part in a thousand is not shown with fewer than five digits.
  if (bound.form != Bound::Form::near || (bound.a == 0 && bound.b > 0)) return 4;
  if (bound.b == 0) return 17;
  return std::clamp(static_cast<int>(std::ceil(-std::log10(bound.b))) + 2, 4, 17);
}

std::string Claim::text() const { return with_unit(value, digits(), unit); }

std::string with_unit(double value, int digits, const std::string& unit) {
  std::string number = show(unit == "%" ? value * 100 : value, digits);
  return unit.empty() ? number : number + " " + unit;
}

}  // namespace cr::book
