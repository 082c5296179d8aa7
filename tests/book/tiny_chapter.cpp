// A chapter of no subject, with everything a chapter can have. The tests run it well and run it badly; its own option
// `misuse` plants the mistakes that a chapter's author can make.
#include <cmath>
#include <limits>
#include <new>
#include <stdexcept>

#include "book/chapter.hpp"
#include "chainrule.hpp"

using namespace cr;

static Tensor vector(const std::vector<double>& values) {
  Tensor x = empty({static_cast<int64_t>(values.size())}, DType::float64);
  std::copy(values.begin(), values.end(), x.mutable_data<double>());
  return x;
}

// A network with everything that has to survive an interruption: parameters, dropout's own generator, Adam's moments and
// the schedule of its rate, the loader's place and the noise that it adds.
struct Net {
  nn::Linear hidden, out;
  nn::Dropout dropout;
  Tensor operator()(const Tensor& x) const { return out(dropout(tanh(hidden(x)))); }
  CR_FIELDS(hidden, out, dropout)
};

static double train_net(Chapter& chapter) {
  chapter.section("A network");
  Generator random(chapter.seed());
  Net net{nn::Linear(3, 8, random), nn::Linear(8, 1, random), nn::Dropout(0.2, random)};
  Tensor x = randn({100, 3}, random);
  data::DataLoader batches({x, sum(x * x, {1}, true)},
                           {.batch_size = 10,
                            .shuffle = true,
                            .transform = [](data::Batch& b, Generator& g) { b.x = b.x + 0.1 * randn(b.x.shape(), g); }},
                           random);
  optim::Adam adam(parameters(net), {.lr = 0.01});
  optim::StepLR schedule(adam, 100);
  Training run = chapter.training("net", chapter.option("updates"), "updates");
  run.keep("net", net).keep("adam", adam).keep("schedule", schedule).keep("batches", batches);
  double last = 0;
  run.keep("last", last);
  for (int64_t step : run) {
    auto [input, target] = batches.next();
    Tensor loss = mse_loss(net(input), target);
    adam.zero_grad();
    loss.backward();
    adam.step();
    schedule.step();
    last = loss.item();
    run.show("loss", last);
    if (step == 0) chapter.print("the network is training");
  }
  return last;
}

// A training within each step of another, and one that is left early. The tensors get new values rather than new numbers.
static double train_within(Chapter& chapter) {
  chapter.section("One within another");
  for (int64_t step : chapter.training("left early", 100)) {
    if (step == 3) break;
  }
  Tensor w = vector({1});
  Training outer = chapter.training("outer", 3);
  outer.keep("w", w);
  for (int64_t step : outer) {
    Tensor v = w;
    Training inner = chapter.training("inner-" + std::to_string(step), chapter.option("inner"));
    inner.keep("v", v);
    for (int64_t i : inner) {
      v = v * 0.999 + 0.001 * static_cast<double>(step);
      if (step == 1 && i == 5) chapter.print("the second inner training");
    }
    w = w + v;
  }
  return w.item();
}

void story(Chapter& chapter) {
  const std::string misuse = chapter.option("misuse");

  chapter.section("By hand first");
  chapter.say(
      "Twice {} is {:.1f}; a long sentence follows, so that it has to be broken somewhere before the hundredth column.",
      2, 4.0);
  chapter.check("twice two", 4, misuse == "mismatch" ? 5 : 2 * 2.0);
  chapter.check("three numbers", vector({1, 2, 3}), vector({1, 2, misuse == "mismatch-nan" ? std::nan("") : 3}));

  // A walk that goes downhill with noise: its place, its randomness and its history have to survive an interruption.
  chapter.section("A walk");
  Generator noise(chapter.seed());
  Tensor place = vector({1, 1});
  double best = 1;
  int64_t turns = 0;
  std::vector<double> heights;
  int64_t steps = chapter.option("steps");
  Training run = chapter.training("walk", steps);
  run.keep("place", place).keep("noise", noise).keep("best", best).keep("turns", turns).keep("heights", heights);
  if (std::string(chapter.option("wait")) == "yes") chapter.print("walking");
  for (int64_t step : run) {
    double* x = place.mutable_data<double>();
    for (int i = 0; i < 2; ++i) x[i] += 0.05 * noise.normal_double() - 0.01 * x[i];
    double height = std::hypot(x[0], x[1]);
    if (height < best) best = height, ++turns;
    heights.push_back(height);
    run.show("height", height);
    if (step == 99) chapter.print("step 99");
  }

  const double loss = train_net(chapter), within = train_within(chapter);

  Table table = chapter.table({"name", "value", "ŷ"});
  table.row("height", heights.back(), 1);
  table.row("best", best, turns);
  chapter.figure("walk", "the height of a walk").line(heights, "height").hline(best, "best").axes("step", "height");

  chapter.section("Claims");
  double value = misuse == "nan" ? std::nan("") : misuse == "wrong" ? 3.0 : 2.0;
  chapter.claim("two", "two is two", value, near(2, 1e-3), identity);
  chapter.claim("low", "the walk comes lower than it began", best, at_most(1), found, {.quick = at_most(1)});
  chapter.claim("share", "a share is printed in hundredths", 0.981, at_least(0.98), built_in,
                {.at = Size::quick, .unit = "%"});
  chapter.claim("published", "judged at full size only", misuse == "unjudged" ? 0 : 1, at_least(1), found,
                {.at = Size::full});
  chapter.claim("net", "the network's last loss", loss, at_least(0), found, {.quick = at_least(0)});
  chapter.claim("within", "where the nested trainings end", within, at_least(0), found, {.quick = at_least(0)});
  if (misuse != "unreached") chapter.claim("last", "the last one", 1, between(0, 1), identity);
  if (misuse == "twice") chapter.claim("two", "two is two", 2, near(2, 0), identity);
  if (misuse == "unlisted") chapter.claim("unlisted", "nobody said so", 2, near(2, 0), identity);
  if (misuse == "figure-sizes") chapter.figure("sizes", "two against three").line({1, 2}, {1, 2, 3}, "short");
  if (misuse == "one-file") chapter.training("left/early", 1);
  if (misuse == "memory") throw std::bad_alloc();
  if (misuse == "bug") throw std::runtime_error("something odd");

  double slope = chapter.broken("forgotten-sign") ? 1 : -1;
  if (chapter.broken("forgotten-sign")) chapter.figure("uphill", "with the wrong sign").line({0, 1}, {0, slope});
  chapter.claim("uphill", "with the wrong sign the walk goes up", slope, at_least(0.5), built_in,
                {.symptom_of = "forgotten-sign"});
}

int main(int argc, char** argv) {
  return run_chapter(argc, argv,
                     {.number = 98,
                      .name = "tiny",
                      .title = "Tiny",
                      .question = "Does everything a chapter does work?",
                      .options = {{"misuse", "", "a mistake to make"},
                                  {"steps", book::PerSize{200, 300, 400}, "length of the walk", 1, 1000000000},
                                  {"updates", 20, "of the network", 1, 1000000},
                                  {"inner", 10, "steps of a training within another", 1, 1000000},
                                  {"rate", 0.5, "a number", 0, 1},
                                  {"wait", "", "say when the walk begins"}},
                      .breaks = {{"forgotten-sign", "the gradient is added instead of subtracted"},
                                 {"mute", "a bug without a symptom"}},
                      .claims = {"two", "low", "share", "published", "net", "within", "last"},
                      .data = "a file",
                      .full_needs = {"tiny/numbers-idx1-ubyte.gz"},
                      .headline = "low"},
                     story);
}
