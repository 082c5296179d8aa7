// # Element types and devices
//
// Four element types are enough to compute in: `float32` to train, `float64` to check derivatives, `int64` for labels and
// indices, `boolean` for masks. Two more only store: `float16` (5 bits of exponent, 10 of fraction) and `bfloat16` (8 and
// 7, the upper half of a float32) take half the memory, and are converted to float32 before anything is computed.
#pragma once

#include <concepts>
#include <cstdint>
#include <string>

#include "tensor/error.hpp"
#include "tensor/half.hpp"

namespace cr {

enum class DType : uint8_t { boolean, int64, float32, float64, float16, bfloat16 };

template <class T> inline constexpr DType dtype_of = DType::float32;
template <> inline constexpr DType dtype_of<double> = DType::float64;
template <> inline constexpr DType dtype_of<int64_t> = DType::int64;
template <> inline constexpr DType dtype_of<bool> = DType::boolean;
template <> inline constexpr DType dtype_of<Float16> = DType::float16;
template <> inline constexpr DType dtype_of<BFloat16> = DType::bfloat16;

template <class T>
concept Element = std::same_as<T, float> || std::same_as<T, double> || std::same_as<T, int64_t> ||
    std::same_as<T, bool> || std::same_as<T, Float16> || std::same_as<T, BFloat16>;

constexpr int64_t size_of(DType t) {
  constexpr int64_t kBytes[] = {1, 8, 4, 8, 2, 2};
  return kBytes[static_cast<int>(t)];
}
constexpr bool is_floating(DType t) { return t == DType::float32 || t == DType::float64; }  // to compute in
constexpr bool is_storage(DType t) { return t == DType::float16 || t == DType::bfloat16; }
constexpr const char* name(DType t) {
  constexpr const char* kNames[] = {"bool", "int64", "float32", "float64", "float16", "bfloat16"};
  return kNames[static_cast<int>(t)];
}

// A C++ number that takes part in an operation with a tensor. It remembers its kind, because the kind decides the type
// of the result: `int_tensor + 1` stays int64, `int_tensor + 1.5` becomes float32.
struct Scalar {
  template <std::integral T>
  Scalar(T v)
      : value(static_cast<double>(v)),
        integer(static_cast<int64_t>(v)),
        kind(std::same_as<T, bool> ? DType::boolean : DType::int64) {}
  template <std::floating_point T> Scalar(T v) : value(static_cast<double>(v)), integer(0), kind(DType::float32) {}
  template <class T> T as() const { return kind == DType::float32 ? static_cast<T>(value) : static_cast<T>(integer); }
  double value;
  int64_t integer;
  DType kind;  // boolean, int64, or float32 for any floating-point number
};

// **Promotion**, PyTorch's table: bool → int64 → float16, bfloat16 → float32 → float64, the later of the two wins, and
// the two 16-bit types meet in float32. For a tensor of at least
// one dimension against a 0-d tensor or a C++ number, the weaker operand counts only if it is of a higher category
// (bool, integer, floating): `float32_tensor * 2.0` and `float32_tensor * zero_dim_float64` stay float32.
constexpr int category(DType t) { return t == DType::boolean ? 0 : t == DType::int64 ? 1 : 2; }
constexpr DType promote(DType a, DType b) {
  constexpr int kRank[] = {0, 1, 3, 4, 2, 2};
  int rank_a = kRank[static_cast<int>(a)], rank_b = kRank[static_cast<int>(b)];
  if (rank_a == rank_b && a != b) return DType::float32;
  return rank_a > rank_b ? a : b;
}
constexpr DType promote_weak(DType strong, DType weak) { return category(weak) > category(strong) ? weak : strong; }

[[noreturn]] inline void refuse_storage(DType t, const std::string& op = {}) {
  throw DTypeError((op.empty() ? "" : op + ": ") + name(t) + " is for storage; convert with to(DType::float32)");
}

// Calls `f(T{})` with the C++ type behind `t`, one of the four to compute in; throws DTypeError for the other two.
template <class F> decltype(auto) dispatch(DType t, F&& f) {
  switch (t) {
    case DType::boolean: return f(bool{});
    case DType::int64: return f(int64_t{});
    case DType::float64: return f(double{});
    case DType::float32: return f(float{});
    default: break;
  }
  refuse_storage(t);
}

// Likewise for floating-point types only. Throws DTypeError naming `op`.
template <class F> decltype(auto) dispatch_floating(DType t, const char* op, F&& f) {
  if (t == DType::float32) return f(float{});
  if (t == DType::float64) return f(double{});
  throw DTypeError(std::string(op) + ": needs a floating-point tensor, got " + name(t));
}

// Numbers that are moved, not computed with, need no type but a size: f(uint8_t{}) … f(uint64_t{}).
template <class F> decltype(auto) dispatch_size(DType t, F&& f) {
  switch (size_of(t)) {
    case 1: return f(uint8_t{});
    case 2: return f(uint16_t{});
    case 4: return f(uint32_t{});
    default: return f(uint64_t{});
  }
}

// Where numbers live. `simt` runs the GPU kernels on the CPU, one fiber a thread; its memory is the host's.
enum class Device : uint8_t { cpu, simt, cuda };

constexpr const char* name(Device d) {
  constexpr const char* kNames[] = {"cpu", "simt", "cuda"};
  return kNames[static_cast<int>(d)];
}

// Can the processor read a device's numbers where they lie?
constexpr bool is_host(Device d) { return d != Device::cuda; }

}  // namespace cr
