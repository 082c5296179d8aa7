#pragma once

// The error against the number of keys, beside the healthy kernel's.
static void no_rescale(Chapter& chapter, const Rungs& rungs) {
  chapter.section("Broken: forgotten rescaling");
  std::vector<double> keys, healthy, broken;
  for (int64_t n : {8, 24, 32, 40, 64, 96, 128, 192, 256}) {
    Generator random(chapter.seed());
    const Layer l = make_layer({.queries = 16, .keys = n, .width = 64}, random);
    Bench<float> bench(l);
    keys.push_back(double(n));
    healthy.push_back(relative_error(bench.forward(rungs.flash), l.o));
    broken.push_back(relative_error(bench.forward(rungs.no_rescale), l.o));
    chapter.say("{} keys: healthy {:.2g}, broken {:.2g}.", n, healthy.back(),
                broken.back());
  }
  chapter
      .figure("no-rescale",
              "one line is missing: right up to 32 keys, wrong beyond")
      .line(keys, healthy, "healthy")
      .line(keys, broken, "without rescaling")
      .log_y()
      .axes("keys", "error");
  chapter.claim("rescale-short", "error of the broken kernel with 32 keys",
                broken[2], at_most(1e-6), found, {.symptom_of = "no-rescale"});
  chapter.claim("rescale-long", "error of the broken kernel with 256 keys",
                broken.back(), at_least(0.1), found, {.symptom_of = "no-rescale"});
}

// So a test has to have more keys than a tile, and best a number that is no
// multiple of it.
//
// **A missing barrier.** Before a tile is overwritten all four warps wait for each
// other. The first `__syncthreads` of the loop is left out; the second, after the
// copy, is still there.
//
// ? What does a GPU make of it?
// - [ ] it hangs: a barrier that some threads never reach would do that; this one nobody reaches
// - [x] right numbers nearly always: warps run about equally fast, and only one that is late reads keys of the next tile
// - [ ] wrong numbers at once: then somebody would have found it
//
// A race is not a wrong number. It is a read and a write of the same place without
// a barrier between them. The emulator watches for just that, in whatever order it
// happens to run the threads.
static void no_barrier(Chapter& chapter, const Rungs& rungs) {
  chapter.section("Broken: a missing barrier");
  Generator random(chapter.seed());
  const Layer l = make_layer({.queries = 32, .keys = 96, .width = 64}, random);
  Bench<float> bench(l);

  // What does the emulator say when this rung runs?
  auto told = [&](auto rung) -> std::string {
    try {
      bench.forward(rung);
      return "nothing";
    } catch (const DeviceError& error) {
      return error.what();
    }
  };

  // One block and three tiles are enough: from the second tile on, a fast warp can
  // overwrite what a slow one still reads.
  const std::string healthy = told(rungs.flash), broken = told(rungs.no_barrier);
  chapter.say("The emulator says of the healthy kernel: {}.", healthy);
  chapter.say("And of the broken one: {}", broken);
  if (!watched()) return chapter.say("This build's emulator does not watch.");
  chapter.claim("race-healthy", "complaints about the healthy kernel",
                healthy == "nothing" ? 0 : 1, exactly(0), identity,
                {.symptom_of = "no-barrier"});
  chapter.claim("race-caught", "complaints about the broken kernel",
                broken == "nothing" ? 0 : 1, exactly(1), identity,
                {.symptom_of = "no-barrier"});
}

// **One key too many.** In the causal mask, `j >= seen_by(a, i)` becomes `j >=
// seen_by(a, i + 1)`. Shapes are right, numbers look right, and a model that trains
// with it reaches a wonderful loss: it is told the word that it should guess.
//
// To see it, change one key and its value, and look at whose output changes. Those
// before it must not.
//
// ? We change key 50 of 96. Which outputs change in the broken kernel?
// - [ ] all from 50 on, as they should: then nothing would be broken
// - [x] all from 49 on: query 49 sees one key too many
// - [ ] all: the mask is still there, one place too late
static void looks_ahead(Chapter& chapter, const Rungs& rungs) {
  chapter.section("Broken: one key too many");
  Generator random(chapter.seed());
  const Layer l =
      make_layer({.queries = 96, .keys = 96, .width = 64, .causal = true}, random);

  // A second layer, where key 50 and its value have the opposite sign.
  Layer other = l;
  other.k = l.k.clone(), other.v = l.v.clone();
  const int64_t at = 50;
  other.k.narrow(2, at, 1).mul_(tensor(-1.0, DType::float64));
  other.v.narrow(2, at, 1).mul_(tensor(-1.0, DType::float64));

  // The largest change of each query's output.
  auto change = [&](auto rung) {
    return amax(
        abs(Bench<float>(l).forward(rung) - Bench<float>(other).forward(rung)),
        {0, 1, 3});  // (96,)
  };
  const Tensor healthy = change(rungs.flash), broken = change(rungs.looks_ahead);
  const Tensor queries = linspace(40, 60, 21);
  chapter
      .figure("looks-ahead",
              "key 50 is changed: by how much do the outputs around it change?")
      .size(760, 320)
      .panel("healthy")
      .scatter(queries, healthy.narrow(0, 40, 21))
      .vline(double(at), "key 50")
      .axes("query", "change")
      .panel("one key too many")
      .scatter(queries, broken.narrow(0, 40, 21))
      .vline(double(at), "key 50")
      .axes("query", "change");
  chapter.say(
      "Key 50 is changed. The output of query 49 changes by {:.2g} in the healthy kernel, and by {:.2g} in the broken "
      "one.",
      healthy[at - 1].item(), broken[at - 1].item());
  chapter.claim("ahead-healthy", "healthy: change of the query before",
                healthy[at - 1].item(), exactly(0), identity,
                {.symptom_of = "looks-ahead"});
  chapter.claim("ahead-broken", "broken: change of the query before",
                broken[at - 1].item(), at_least(0.001), found,
                {.symptom_of = "looks-ahead"});

  // And a trap within the trap: query 31 is the last of its tile, and key 32 begins
  // a tile that its block never visits. There the broken kernel is right. So a test
  // of one pair of places can miss it, and a test of all of them cannot.
}
