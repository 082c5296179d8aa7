#include "backend/cpu/cpu_features.hpp"

#include <atomic>
#include <cstdlib>
#include <string>
#include <string_view>

#include "tensor/error.hpp"

#ifndef CHAINRULE_X86_DISPATCH
#define CHAINRULE_X86_DISPATCH 0
#endif

namespace cr::backend::cpu {
namespace {

constexpr Isa kAll[] = {Isa::base, Isa::avx2, Isa::avx512};

// -1 until the first question.
std::atomic<int> chosen{-1};

void check_available(const std::string& who, Isa wanted) {
  if (wanted > best_isa())
    throw Error(who + ": not available here; the best this machine and build have is " + isa_name(best_isa()));
}

Isa isa_from_environment() {
  const char* word = std::getenv("CHAINRULE_ISA");
  if (word == nullptr || *word == '\0') return best_isa();
  const std::string who = "CHAINRULE_ISA=" + std::string(word);
  for (const Isa candidate : kAll) {
    if (std::string_view(word) != isa_name(candidate)) continue;
    check_available(who, candidate);
    return candidate;
  }
  throw Error(who + ": expected base, avx2 or avx512");
}

// The compiler's builtin asks the processor (CPUID) and also whether the system saves the wide registers when it
// switches threads (XGETBV). F16C is not asked for: every processor with AVX2 has it, and clang 14 has no word for it.
Isa detect() {
#if CHAINRULE_X86_DISPATCH
  __builtin_cpu_init();
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return Isa::base;
  if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512dq")) return Isa::avx2;
  if (!__builtin_cpu_supports("avx512bw") || !__builtin_cpu_supports("avx512vl")) return Isa::avx2;
  return Isa::avx512;
#else
  return Isa::base;
#endif
}

}  // namespace

const char* isa_name(Isa isa) {
  switch (isa) {
    case Isa::avx512: return "avx512";
    case Isa::avx2: return "avx2";
    default: return "base";
  }
}

Isa best_isa() {
  static const Isa best = detect();
  return best;
}

Isa isa() {
  int now = chosen.load(std::memory_order_relaxed);
  if (now < 0) {
    const int initial = static_cast<int>(isa_from_environment());
    now = chosen.compare_exchange_strong(now, initial) ? initial : now;
  }
  return static_cast<Isa>(now);
}

void set_isa(Isa isa) {
  check_available(std::string("set_isa(") + isa_name(isa) + ")", isa);
  chosen.store(static_cast<int>(isa));
}

}  // namespace cr::backend::cpu
