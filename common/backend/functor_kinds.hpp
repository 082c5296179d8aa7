// # What a functor says of itself
//
// `kName` is what messages call it, `kArity` counts its inputs, `kTypes` says what element types it takes, and
// `kPredicate` whether its result is a bool whatever it takes.
#pragma once

#include <cstdint>

// Files in `cpu/isa/` are compiled once per instruction set, each with a namespace of its own; see there.
#ifndef CR_ISA
#define CR_ISA generic
#endif

namespace cr::functor {
inline namespace CR_ISA {

// Floating-point numbers only, numbers (int64 too), everything (bool too), int64 and bool, or int64 only.
enum Types { kFloating, kNumbers, kEverything, kWhole, kIntegers };

template <int arity, Types types> struct Elementwise {
  static constexpr int kArity = arity;
  static constexpr Types kTypes = types;
  static constexpr bool kPredicate = false;
};
template <int arity, Types types> struct Predicate : Elementwise<arity, types> {
  static constexpr bool kPredicate = true;
};

// Does F take elements of type T?
template <class F, class T> constexpr bool takes() {
  bool integer = __is_same(T, int64_t), boolean = __is_same(T, bool);
  switch (F::kTypes) {
    case kFloating: return !integer && !boolean;
    case kNumbers: return !boolean;
    case kWhole: return integer || boolean;
    case kIntegers: return integer;
    default: return true;
  }
}

}  // namespace CR_ISA
}  // namespace cr::functor
