#include "ops/places.hpp"

namespace cr::detail {

Dims spread(const std::string& op, const char* what, const Dims& given, int places, int64_t least) {
  auto refuse = [&](const std::string& must) {
    throw ShapeError(op + ": " + what + " " + to_string(given) + " must be " + must);
  };
  if (given.size() != 1 && given.size() != places) refuse("one number or " + std::to_string(places));
  for (int64_t n : given) {
    if (n < least) refuse("at least " + std::to_string(least));
    if (n > INT32_MAX) refuse("less than 2³¹");
  }
  return given.size() == 1 ? Dims(places, given[0]) : given;
}

}  // namespace cr::detail
