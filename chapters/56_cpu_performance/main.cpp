// # Cpu performance
//
// Can a weight find the slope of a line by walking against its gradient? This page is a whole chapter in small, made by
// `./run new`: keep its parts, replace what they say. The prose you are reading becomes the page, beside the code.
#include "book/chapter.hpp"
#include "chainrule.hpp"

using namespace cr;

static void story(Chapter& chapter) {
  // ## By hand first
  //
  // One input, one weight, one target: $x = 2$, $w = 0.5$, $t = 3$. The model says $wx = 1$, the squared error is
  // $(wx - t)^2 = 4$, and its slope in $w$ is $2(wx - t)\,x = -8$. The library has to agree.
  chapter.section("By hand first");
  Tensor w = tensor(0.5, DType::float64).requires_grad_();  // ()
  Tensor error = square(w * 2.0 - 3.0);
  error.backward();
  chapter.check("squared error", 4, error.item(), 1e-12);
  chapter.check("its slope in w", -8, w.grad().item(), 1e-12);

  // The slope is negative, so a larger $w$ is better: one step of size $0.1$ goes to $0.5 + 0.8 = 1.3$.
  //
  // ? The best weight is 1.5. Where does one step of size 0.25 from 0.5 go?
  // - [ ] to 1.5: that would be a step of 0.125, whose length is exactly the distance
  // - [x] to 2.5: the slope there is as steep as before, only the other way, so the next step comes back to 0.5
  // - [ ] to 0.25: that multiplies the weight by the step
  //
  // ## Many points, many steps
  //
  // Now 64 points on the line $t = 3x$, and twenty steps from $w = 0$.
  //
  // ? With the step 0.1, how far from 3 is the weight after twenty of them?
  // - [ ] exactly 0: that takes an unlimited number of steps, because each one leaves a part of the way
  // - [x] a few hundredths: each step leaves about four fifths of the way, and $0.8^{20} \approx 0.012$
  // - [ ] about 1: that is what ten per cent off per step would leave after ten steps
  chapter.section("Many points, many steps");
  const int steps = 20;
  Generator generator(chapter.seed());
  Tensor x = randn({64}, generator);                  // (64,)
  Tensor target = x * 3.0;                            // (64,)
  Tensor weight = zeros({}).requires_grad_();         // ()
  optim::SGD sgd({weight}, {.lr = chapter.broken("too-fast") ? 2.0 : 0.1});
  std::vector<double> losses;
  for (int step = 0; step < steps; ++step) {
    Tensor loss = mse_loss(x * weight, target);
    losses.push_back(loss.item());
    sgd.zero_grad();
    loss.backward();
    sgd.step();
  }
  chapter.figure("descent", "the error falls by the same factor in every step")
      .line(losses, "mean squared error").axes("step", "error").log_y();

  // The error is quadratic in the distance, so both shrink geometrically.
  chapter.claim("slope", "the weight finds the line's slope", weight.item(), near(3, 0.05), built_in,
                {.quick = near(3, 0.05)});
  chapter.claim("falls", "the last error is a small part of the first", losses.back() / losses.front(), at_most(0.01),
                found, {.quick = at_most(0.01)});
  chapter.claim("first-error", "the first error is the mean of the squared targets", losses.front(),
                near(mean(square(target)).item(), 1e-6), identity);

  // ## Break it
  //
  // `./run 56 --break too-fast` takes steps of size 2. Each one overshoots by more than it came from.
  if (chapter.broken("too-fast")) {
    chapter.claim("diverges", "with steps of size 2 the error explodes", losses.back() / losses.front(), at_least(1e3),
                  found, {.symptom_of = "too-fast"});
  }

  // ## Recall
  //
  // ? The model says 1, the target is 3. What is the slope of the squared error in the model's output?
  // - [x] -4: twice the difference, and the output is too small
  // - [ ] 4: that is the error itself
  // - [ ] -2: that is the difference, without the 2 that comes from the square
  //
  // ? Why does `zero_grad` stand before `backward`?
  // - [x] because `backward` adds to the gradients that are there
  // - [ ] because the weight would be reset otherwise: no, only gradients are dropped
  // - [ ] because the graph would grow: no, each step builds its own
  //
  // ? The error is a thousandth of the first one. How far is the weight from the target, in parts of the first distance?
  // - [ ] a thousandth: the error is quadratic in the distance
  // - [x] about three hundredths: the square root of a thousandth
}

int main(int argc, char** argv) {
  return run_chapter(argc, argv,
                     {.number = 56,
                      .name = "cpu_performance",
                      .title = "Cpu performance",
                      .question = "Can a weight find the slope of a line by walking against its gradient?",
                      .breaks = {{"too-fast", "steps of size 2"}},
                      .claims = {"slope", "falls", "first-error"}},
                     story);
}
