// In rung 3 warp $y$ fetches row $y$ of both tiles. Of `a` it reads that row
// only, so somebody finds that the second barrier is there for one warp and
// writes `__syncwarp()`. But of `b` every warp reads all rows.
//
// The emulator keeps, for every word of shared memory, who touched it since
// which barrier. When a thread writes what another has read, or the other way
// round, without anything between them that would put the two in order, that
// is a **race**, whether or not the result came out right this time.
#pragma once

#include "tensor/error.hpp"
#include "the_ladder.hpp"

static void missing_barrier(Chapter& chapter, Ladder& ladder) {
  chapter.section("Broken: a missing barrier");
  chapter.say(
      "Rung 3 with both barriers, and with a second one for the warp only.");
  auto caught = [&](void (*multiply)(const Product<float>&)) -> std::string {
    try {
      ladder.square.run(multiply);
    } catch (const DeviceError& error) {
      return error.what();
    }
    return {};
  };
  const std::string healthy = caught(ladder.kernels.ladder[2].multiply),
                    broken = caught(ladder.kernels.missing_barrier);
  chapter.say("Both: {}. For the warp only: {}.",
              healthy.empty() ? "no complaint" : healthy, broken);
  chapter.claim("race-caught",
                "races found with the barrier for the warp only, less "
                "those with both",
                double(!broken.empty()) - double(!healthy.empty()), exactly(1),
                identity, {.symptom_of = "missing-barrier"});
}

// **Short rows.** The tensor-core kernel of rung 10 lays its tiles into rows
// that are longer than they have to be. Somebody tidies up: rows of 16 and of
// 128 words, not one wasted. Every result stays right, and every test stays
// green.
#include "broken.cuh"

// Four rows of B, or eight of A, now share banks: four wavefronts for each
// read, where one was enough. 48 reads for 16 steps become 192 wavefronts.
// Only the writes gain, 16 wavefronts instead of 24.
static void short_rows(Chapter& chapter, Ladder& ladder) {
  chapter.section("Broken: short rows");
  const Rung<float>& rung = ladder.kernels.ladder[9];
  const double healthy =
      double(ladder.square.run(rung.multiply).total().wavefronts);
  const double broken =
      double(ladder.square.run(ladder.kernels.short_rows).total().wavefronts);
  chapter.claim("short-right", "short rows: largest error, in units of its bound",
                ladder.square.error(rung.input), at_most(1), identity,
                {.symptom_of = "short-rows"});
  chapter.figure("short-rows", "wavefronts of shared memory, rung 10")
      .bar({"20 and 136 words", "16 and 128 words"}, {healthy, broken});
  chapter.claim("short-slow", "short rows take so many times the wavefronts",
                broken / healthy, exactly(208.0 / 72), identity,
                {.symptom_of = "short-rows"});
}
