#include "backend/simt/atomics.hpp"

#include <algorithm>
#include <cstring>

#include "backend/simt/emulator.hpp"

namespace cr::backend::simt {
namespace {

// All of these become part of the function that the kernel calls, whose return address is then the kernel's line.
#define CR_INLINE [[gnu::always_inline]] inline

template <class T, class F> CR_INLINE T change(T* p, F f) {
  if (watching) {
    LookAway from;
    from.watcher.access(reinterpret_cast<uintptr_t>(p), sizeof(T), sizeof(T), Access::atomic,
                        __builtin_return_address(0));
  }
  const T before = *p, after = f(before);
  if (std::memcmp(&before, &after, sizeof(T)) == 0) emulator().changed_nothing(p, __builtin_return_address(0));
  else *p = after;
  return before;
}

template <class T> CR_INLINE T add(T* p, T v) {
  return change(p, [v](T old) { return old + v; });
}
template <class T> CR_INLINE T least(T* p, T v) {
  return change(p, [v](T old) { return std::min(old, v); });
}
template <class T> CR_INLINE T most(T* p, T v) {
  return change(p, [v](T old) { return std::max(old, v); });
}
template <class T> CR_INLINE T all_bits(T* p, T v) {
  return change(p, [v](T old) { return old & v; });
}
template <class T> CR_INLINE T any_bits(T* p, T v) {
  return change(p, [v](T old) { return old | v; });
}
template <class T> CR_INLINE T swap(T* p, T v) {
  return change(p, [v](T) { return v; });
}
template <class T> CR_INLINE T swap_if(T* p, T expected, T v) {
  return change(p, [=](T old) { return old == expected ? v : old; });
}

}  // namespace

int atomicAdd(int* p, int v) { return add(p, v); }
unsigned atomicAdd(unsigned* p, unsigned v) { return add(p, v); }
unsigned long long atomicAdd(unsigned long long* p, unsigned long long v) { return add(p, v); }
float atomicAdd(float* p, float v) { return add(p, v); }
double atomicAdd(double* p, double v) { return add(p, v); }
int atomicSub(int* p, int v) { return add(p, -v); }
unsigned atomicSub(unsigned* p, unsigned v) { return add(p, -v); }

int atomicMin(int* p, int v) { return least(p, v); }
unsigned atomicMin(unsigned* p, unsigned v) { return least(p, v); }
long long atomicMin(long long* p, long long v) { return least(p, v); }
unsigned long long atomicMin(unsigned long long* p, unsigned long long v) { return least(p, v); }
int atomicMax(int* p, int v) { return most(p, v); }
unsigned atomicMax(unsigned* p, unsigned v) { return most(p, v); }
long long atomicMax(long long* p, long long v) { return most(p, v); }
unsigned long long atomicMax(unsigned long long* p, unsigned long long v) { return most(p, v); }

int atomicAnd(int* p, int v) { return all_bits(p, v); }
unsigned atomicAnd(unsigned* p, unsigned v) { return all_bits(p, v); }
unsigned long long atomicAnd(unsigned long long* p, unsigned long long v) { return all_bits(p, v); }
int atomicOr(int* p, int v) { return any_bits(p, v); }
unsigned atomicOr(unsigned* p, unsigned v) { return any_bits(p, v); }
unsigned long long atomicOr(unsigned long long* p, unsigned long long v) { return any_bits(p, v); }
int atomicXor(int* p, int v) {
  return change(p, [v](int old) { return old ^ v; });
}
unsigned atomicXor(unsigned* p, unsigned v) {
  return change(p, [v](unsigned old) { return old ^ v; });
}

unsigned long long atomicXor(unsigned long long* p, unsigned long long v) {
  return change(p, [v](unsigned long long old) { return old ^ v; });
}
unsigned atomicInc(unsigned* p, unsigned last) {
  return change(p, [last](unsigned old) { return old >= last ? 0 : old + 1; });
}
unsigned atomicDec(unsigned* p, unsigned last) {
  return change(p, [last](unsigned old) { return old == 0 || old > last ? last : old - 1; });
}

int atomicExch(int* p, int v) { return swap(p, v); }
unsigned atomicExch(unsigned* p, unsigned v) { return swap(p, v); }
unsigned long long atomicExch(unsigned long long* p, unsigned long long v) { return swap(p, v); }
float atomicExch(float* p, float v) { return swap(p, v); }
int atomicCAS(int* p, int expected, int v) { return swap_if(p, expected, v); }
unsigned atomicCAS(unsigned* p, unsigned expected, unsigned v) { return swap_if(p, expected, v); }
unsigned long long atomicCAS(unsigned long long* p, unsigned long long expected, unsigned long long v) {
  return swap_if(p, expected, v);
}

}  // namespace cr::backend::simt
