#pragma once

#include "openblas.hpp"
#include "rung_8_threads.hpp"
#include "rung_9_bf16.hpp"
#include "workbench.hpp"

// All of them take the same struct.
static void library_gemm(const Product& g) { backend::cpu::gemm(g); }

template <int kThreads> static void openblas(const Product& g) {
  static const OpenBlas blas;
  blas(g, kThreads > 0 ? kThreads : backend::num_threads());
}

static void library_alone(const Product& g) {
  const int before = backend::num_threads();
  backend::set_num_threads(1);
  backend::cpu::gemm(g);
  backend::set_num_threads(before);
}

// OpenBLAS asks the processor itself. Where `CHAINRULE_ISA` holds the library back, the
// two are not to be compared.
static bool openblas_is_fair() {
  return OpenBlas().here() && backend::cpu::isa() == backend::cpu::best_isa();
}

static std::vector<Contestant> all_rungs(int64_t spare) {
  std::vector<Contestant> rungs = {{"three loops", three_loops, spare},
                                   {"loop order", ::loop_order, spare},
                                   {"vectors", vectors, 4},
                                   {"cache blocks", ::cache_blocks, 4},
                                   {"packing", ::packing, 4}};
  if (has(Isa::avx2))
    rungs.push_back({"AVX2, sums in memory", ::sums_in_memory, 2});
  if (has(Isa::avx2)) rungs.push_back({"register tile", ::register_tile});
  if (has(Isa::avx512)) rungs.push_back({"AVX-512", avx512});
  rungs.push_back({"threads", ::threads, 1, true});
  if (has_tiles())
    rungs.push_back({"bf16 tiles", bf16_tiles, 1, false, kBf16Error});
  rungs.push_back({"library, 1 thread", library_alone});
  rungs.push_back({"library", library_gemm, 1, true});
  if (OpenBlas().here()) rungs.push_back({"OpenBLAS, 1 thread", openblas<1>});
  if (OpenBlas().here()) rungs.push_back({"OpenBLAS", openblas<0>, 1, true});
  return rungs;
}

static void the_ladder(Chapter& chapter, Ladder& ladder) {
  chapter.section("The ladder");
  const std::vector<Contestant> rungs = all_rungs(ladder.spare());
  // Twice, at a good size and at a bad one. The slowest programs do a few dozen rows of C
  // only: all rows are alike, and nobody wants to wait for the rest.
  const std::vector<double> good = ladder.climb(ladder.square, rungs,
                                                chapter.pick(1, 4, 4)),
                            bad = ladder.climb(ladder.power, rungs,
                                               chapter.pick(1, 3, 3));
  // The speed of a rung, 0 if it is not on this machine.
  auto speed = [&](const std::string& name) {
    for (size_t k = 0; k < rungs.size(); ++k)
      if (rungs[k].name == name) return good[k];
    return 0.0;
  };

  // Whoever runs on one thread is held against the peak and the OpenBLAS of one thread, and
  // bfloat16 against its own peak.
  chapter.say("The sizes: {} and the power of two {}.", ladder.n, ladder.trap);
  Table table = chapter.table(
      {"rung", "GFLOP/s", "power of two", "% of peak", "% of OpenBLAS"});
  std::vector<std::string> names;
  for (size_t k = 0; k < rungs.size(); ++k) {
    const Contestant& r = rungs[k];
    const Machine& machine = ladder.machine;
    const double peak = r.input > 0 ? machine.peak_tiles
                        : r.threads ? machine.peak_all
                                    : machine.peak,
                 blas = speed(r.threads ? "OpenBLAS" : "OpenBLAS, 1 thread");
    table.row(r.name, good[k], bad[k], fmt::format("{:.0f}", 1e11 * good[k] / peak),
              blas > 0 ? fmt::format("{:.0f}", 100 * good[k] / blas) : "not here");
    names.push_back(r.name);
  }
  for (const char* rung : {"register tile", "AVX-512", "bf16 tiles"})
    if (speed(rung) == 0) table.row(rung, "not on this machine", "", "", "");
  if (!chapter.full())
    chapter
        .figure("ladder", "GFLOP/s of every rung, at a good size and at a bad one")
        .size(820, 420)
        .bar(names, good, fmt::format("n = {}", ladder.n))
        .bar(names, bad, fmt::format("n = {}", ladder.trap))
        .log_y();
  chapter.claim("right", "largest error of any rung, in units of its bound",
                ladder.worst, at_most(1), identity);
  chapter.claim(
      "ladder", "the library on all cores is so many times as fast as three loops",
      speed("library") / speed("three loops"), at_least(by_isa(3, 8, 15)), found);
  chapter.claim("library", "the library is so many times as fast as our rung 8",
                speed("library") / speed("threads"), at_least(0.8), found);
  chapter.claim("peak-share", "so much of its peak one thread of the library uses",
                1e9 * speed("library, 1 thread") / ladder.machine.peak,
                between(0.35, 1.05), found, {.unit = "%"});
  if (openblas_is_fair())
    chapter.claim("openblas", "the library over OpenBLAS, each on one thread",
                  speed("library, 1 thread") / speed("OpenBLAS, 1 thread"),
                  at_least(0.7), found);
}
