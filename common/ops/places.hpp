// # Numbers for dimensions of places
//
// What convolutions and pools are told: one number for all dimensions of places, or one for each.
#pragma once

#include <string>

#include "tensor/tensor.hpp"

namespace cr {

// `.stride = 2`, `.stride = {2, 1}`.
struct PerPlace : Dims {
  PerPlace(int64_t all) : Dims{all} {}
  PerPlace(std::initializer_list<int64_t> each) : Dims(each) {}
  PerPlace(const Dims& each) : Dims(each) {}
};

namespace detail {

// A number for each of `places` dimensions. Throws ShapeError, naming `op` and `what` is given, unless these are one number
// or `places`, from `least` to 2³¹ − 1: no product of two and no sum of a few such products overflows.
Dims spread(const std::string& op, const char* what, const Dims& given, int places, int64_t least);

}  // namespace detail
}  // namespace cr
