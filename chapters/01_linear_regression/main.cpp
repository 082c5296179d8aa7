// This file is the whole chapter, in the order in which one reads it. It needs the library and nothing else. All numbers are
// float64: a chapter about a method whose answer is known exactly should show the method's errors, not those of rounding.
#include "book/chapter.hpp"
#include "chainrule.hpp"

#include <algorithm>
#include <array>
#include <cmath>

using namespace cr;

constexpr DType f64 = DType::float64;

static double largest_gap(const Tensor& a, const Tensor& b) {
  return amax(abs(a - b)).item();
}

// # Three steps
//
// A Pokémon's strength is a number, its *combat power* or CP. Feed it enough and it evolves into something stronger. How
// much stronger? Three of ours have evolved already; CP in hundreds:
//
// | before, $x$ | after, $y$ |
// |---|---|
// | 1 | 2 |
// | 2 | 6 |
// | 3 | 7 |
//
// A fourth has $x = 4$ and is waiting. We want a function that turns *before* into *after*, and there are too many functions
// to look at them all. So we go in three steps, and the rest of this book is these three steps again and again.
//
// 1. **Model.** Say which functions are allowed. Ours are the straight lines
//
//    $$\hat y = w x + b .$$
//
//    The **weight** $w$ and the **bias** $b$ are the line's **parameters**. The hat on $\hat y$ says: a guess at $y$.
// 2. **Loss.** Say how bad each of them is, as one number. Ours is the **mean squared error** over the $n$ examples:
//
//    $$L(w, b) = \frac1n \sum_i (\hat y_i - y_i)^2 .$$
//
//    The square makes too high as bad as too low, and one large miss worse than two of half its size.
// 3. **Optimisation.** Find the function with the smallest loss. This is the step that takes the work.
struct Line {
  double w, b;
};

struct Points {
  std::vector<double> x, y;
  double n() const { return static_cast<double>(x.size()); }
};

// Models and losses are a line of code each.
static double predict(const Line& line, double x) { return line.w * x + line.b; }

static double loss_of(const Line& line, const Points& points) {
  double total = 0;
  for (size_t i = 0; i < points.x.size(); ++i) {
    double miss = predict(line, points.x[i]) - points.y[i];
    total += miss * miss;
  }
  return total / points.n();
}

// Chapter 0 found slopes by nudging. Here we differentiate on paper. Write $e_i = \hat y_i - y_i$ for the miss at example
// $i$. A nudge of $w$ moves $\hat y_i$ by $x_i$ times as much, a nudge of $b$ by once as much, and $e_i^2$ moves $2 e_i$
// times as far as $\hat y_i$:
//
// $$\frac{\partial L}{\partial w} = \frac2n \sum_i e_i x_i, \qquad
//   \frac{\partial L}{\partial b} = \frac2n \sum_i e_i .$$
//
// Together the two slopes are the **gradient**. It has as many numbers as there are parameters, so it fits into a `Line`.
static Line gradient(const Line& line, const Points& points) {
  Line slope = {0, 0};
  for (size_t i = 0; i < points.x.size(); ++i) {
    double miss = predict(line, points.x[i]) - points.y[i];
    slope.w += 2 * miss * points.x[i] / points.n();
    slope.b += 2 * miss / points.n();
  }
  return slope;
}

// # By hand
//
// Start somewhere, say at $w = 1$, $b = 1$. Take a pencil before you read on: what does this line predict for the three, what
// are its misses, its loss, and its gradient?
static const Points kThree = {.x = {1, 2, 3}, .y = {2, 6, 7}};

static void by_hand(Chapter& chapter) {
  chapter.section("By hand");
  double w = 1, b = 1;

  // Predictions $2, 3, 4$. Misses $0, -3, -3$: the first is right, the others are three too low.
  double e1 = w * 1 + b - 2;                         // 0
  double e2 = w * 2 + b - 6;                         // -3
  double e3 = w * 3 + b - 7;                         // -3
  double loss = (e1 * e1 + e2 * e2 + e3 * e3) / 3;   // (0 + 9 + 9) / 3 = 6
  double dw = 2 * (e1 * 1 + e2 * 2 + e3 * 3) / 3;    // 2 (0 - 6 - 9) / 3 = -10
  double db = 2 * (e1 + e2 + e3) / 3;                // 2 (0 - 3 - 3) / 3 = -4

  // Both slopes are negative: a larger $w$ and a larger $b$ would make the loss smaller. So we take a step **against the
  // gradient**. How long a step? The slope says which way and how steeply, not how far it stays so. We choose a small factor,
  // the **learning rate** $\eta = 0.1$, and see.
  double lr = 0.1;
  double new_w = w - lr * dw;  // 1 + 1 = 2
  double new_b = b - lr * db;  // 1 + 0.4 = 1.4

  // Predictions $3.4, 5.4, 7.4$, misses $1.4, -0.6, 0.4$. The loss has come down from 6 to $2.48 / 3 = 0.827$.
  double new_loss =
      (std::pow(new_w * 1 + new_b - 2, 2) + std::pow(new_w * 2 + new_b - 6, 2) +
       std::pow(new_w * 3 + new_b - 7, 2)) /
      3;
  chapter.say("w = {}, b = {}: misses {}, {}, {}, loss {}.", w, b, e1, e2, e3, loss);
  chapter.say("Gradient: dL/dw = {}, dL/db = {}.", dw, db);
  chapter.say("One step of {}: w = {}, b = {:.1f}, loss {:.4f}.", lr, new_w, new_b,
              new_loss);

  // Is it right? The library can differentiate whatever we write down (chapter 6 shows how). We let it check our arithmetic,
  // and our loops above as well.
  chapter.say("The same from the library, which differentiates by itself:");
  Tensor x = from_vector(kThree.x), y = from_vector(kThree.y);  // (3,), (3,)
  Tensor W = tensor(w, f64).requires_grad_();
  Tensor B = tensor(b, f64).requires_grad_();
  Tensor L = mse_loss(W * x + B, y);
  std::vector<Tensor> slopes = grad(L, {W, B});
  chapter.check("loss", loss, L.item());
  chapter.check("dL/dw", dw, slopes[0].item());
  chapter.check("dL/db", db, slopes[1].item());
  chapter.check("loss after one step", new_loss,
                mse_loss(new_w * x + new_b, y).item());
  Line by_loop = gradient({w, b}, kThree);
  chapter.check("dL/dw by our loop", by_loop.w, slopes[0].item());
  chapter.check("dL/db by our loop", by_loop.b, slopes[1].item());
}

// # Gradient descent
//
// One step helped. So take another, from where we are now, with the gradient as it is there:
//
// $$w \leftarrow w - \eta\, \frac{\partial L}{\partial w}, \qquad b \leftarrow b - \eta\, \frac{\partial L}{\partial b} .$$
//
// That is **gradient descent**. Why against the gradient, of all directions? Close by, the loss is as good as flat: a step
// $(s_w, s_b)$ changes it by $\frac{\partial L}{\partial w} s_w + \frac{\partial L}{\partial b} s_b$. Among all steps of one
// length, this sum is smallest for the one that points exactly against the gradient. And once the gradient is zero, no
// direction is better than any other, and the steps end by themselves.
static Line step_against(const Line& line, const Line& slope, double lr) {
  return {line.w - lr * slope.w, line.b - lr * slope.b};
}

// For a straight line we can work out where that is. At the best line both slopes are zero. $\sum_i e_i = 0$ says that the line goes through
// the mean point $(\bar x, \bar y)$; put $b = \bar y - w \bar x$ into $\sum_i e_i x_i = 0$ and solve for $w$:
//
// $$w = \frac{\sum_i (x_i - \bar x)(y_i - \bar y)}{\sum_i (x_i - \bar x)^2}, \qquad b = \bar y - w \bar x .$$
static Line best_line(const Points& points) {
  double mean_x = 0, mean_y = 0, above = 0, below = 0;
  for (double x : points.x) mean_x += x / points.n();
  for (double y : points.y) mean_y += y / points.n();
  for (size_t i = 0; i < points.x.size(); ++i) {
    above += (points.x[i] - mean_x) * (points.y[i] - mean_y);
    below += (points.x[i] - mean_x) * (points.x[i] - mean_x);
  }
  return {above / below, mean_y - above / below * mean_x};
}

// For the three pairs $w = (3 + 0 + 2) / 2 = 2.5$ and $b = 5 - 2.5 \cdot 2 = 0$. It misses by $0.5, -1, 0.5$: no line goes through all
// three, and 0.5 is the smallest loss there is.
static void descend(Chapter& chapter) {
  chapter.section("Gradient descent");
  const double lr = chapter.option("lr");
  chapter.say("From w = 1, b = 1 with learning rate {}. Watch how unequal the "
              "steps are: most of the way is made in the first one.",
              lr);
  Table table = chapter.table({"step", "w", "b", "loss"});
  Line line = {1, 1};
  for (int step = 0; step <= 1000; ++step) {
    for (int shown : {0, 1, 2, 10, 100, 1000})
      if (step == shown) table.row(step, line.w, line.b, loss_of(line, kThree));
    line = step_against(line, gradient(line, kThree), lr);
  }
  Line best = best_line(kThree);
  chapter.check("w of the best line", 2.5, best.w);
  chapter.check("b of the best line", 0, best.b);
  chapter.claim("descent", "a thousand steps end at the best line: distance",
                std::hypot(line.w - best.w, line.b - best.b), at_most(1e-6),
                identity);
  chapter.say("So the fourth, with x = 4, is predicted to reach {:.0f} CP.",
              100 * predict(line, 4));
}

// # Too small, good, too large
//
// The first step took the loss from 6 to 0.83, and then it needed hundreds more for the last third. To see why, draw the
// loss over all lines at once: $w$ to the right, $b$ upwards, and a ring wherever the loss has doubled once more. Each row of
// the tensor belongs to one $b$, each column to one $w$, and broadcasting meets every $b$ with every $w$.
static Tensor bowl(const Points& points, Extent over) {
  Tensor w = linspace(over.left, over.right, 161, f64);      // (161,)
  Tensor b = linspace(over.bottom, over.top, 161, f64);      // (161,)
  Tensor loss = zeros({161, 161}, f64);
  for (size_t i = 0; i < points.x.size(); ++i) {
    Tensor miss = w * points.x[i] + b.reshape({-1, 1}) - points.y[i];  // (161, 161)
    loss = loss + square(miss) / points.n();
  }
  return loss;
}

// Of $\log_2 L$ every whole number is a ring. They are the places where $\sin(\pi \log_2 L)$ is zero.
static Tensor rings(const Tensor& loss) { return sin(M_PI * log2(loss)); }

// The surface is a long valley. Across it the loss rises steeply, along it hardly at all. How steeply a slope changes as one walks is
// called **curvature**, the second derivative, and in more than one dimension there is one for each pair of parameters:
//
// $$H = \begin{pmatrix} \partial^2 L / \partial w^2 & \partial^2 L / \partial w\, \partial b \\
//   \partial^2 L / \partial b\, \partial w & \partial^2 L / \partial b^2 \end{pmatrix}
//   = 2 \begin{pmatrix} \overline{x^2} & \bar x \\ \bar x & 1 \end{pmatrix} ,$$
//
// where a bar is a mean over the examples.
// Such a symmetric matrix has two directions at right angles in which it only stretches, the *eigenvectors*. Here they run across the valley and
// along it, and the stretches $\lambda$, the *eigenvalues*, are the curvatures there.
static Tensor curvatures(const Points& points) {
  Tensor x = from_vector(points.x);  // (n,)
  double mean_x = mean(x).item(), mean_xx = mean(square(x)).item();
  Tensor H = 2.0 * tensor({{mean_xx, mean_x}, {mean_x, 1.0}}, f64);  // (2, 2)
  return linalg::eigvalsh(H);  // (2,): the smaller one first
}

// In such a direction everything is one-dimensional. At a distance $r$ from the bottom the slope is $\lambda r$, so
// one step leads to
//
// $$r \leftarrow r - \eta \lambda r = (1 - \eta\lambda)\, r .$$
//
// Each step multiplies the distance by $1 - \eta\lambda$. For our three pairs the curvatures are 11.09 across and 0.24
// along. With $\eta = 0.1$ the factors are $-0.11$ and $0.976$: across, one step makes nearly all of the way; along, it
// makes one fortieth.
//
// ? What happens with $\eta = 0.19$, nearly twice as long a step?
// - [ ] it takes half as many steps: along the valley it would, but nobody asks only there
// - [ ] it jumps from side to side at the same height: so it would at $\eta = 2/11.09 = 0.18$ exactly
// - [x] it never arrives: across the valley the factor is $1 - 0.19 \cdot 11.09 = -1.11$, so every step ends farther away on the other side
static std::vector<Line> path(const Points& points, Line line, double lr, int steps) {
  std::vector<Line> all = {line};
  for (int step = 0; step < steps; ++step) {
    line = step_against(line, gradient(line, points), lr);
    all.push_back(line);
  }
  return all;
}

static void three_rates(Chapter& chapter) {
  chapter.section("Too small, good, too large");
  chapter.say("The loss of every line at once, and three walks across it, all "
              "from w = 1, b = 1. Each ring is twice the loss of the one inside.");
  const Extent over = {-1.5, 6.5, -3, 4};
  Tensor loss = bowl(kThree, over);
  Figure figure = chapter.figure(
      "three-rates", "100 steps too small, 100 good ones, and 14 that are too large");
  figure.size(1000, 330);
  struct Rate {
    double lr;
    int steps;
    std::string name;
  };
  for (const Rate& rate : {Rate{0.003, 100, "η = 0.003"}, Rate{0.1, 100, "η = 0.1"},
                           Rate{0.19, 14, "η = 0.19"}}) {
    std::vector<double> w, b;
    for (const Line& line : path(kThree, {1, 1}, rate.lr, rate.steps)) {
      w.push_back(line.w);
      b.push_back(line.b);
    }
    figure.panel(rate.name).contour(rings(loss), over, 0);
    figure.line(w, b).scatter({2.5}, {0.0}, "best").axes("w", "b");
    figure.xlim(over.left, over.right).ylim(over.bottom, over.top);
  }

  // Is the factor right? After 50 steps only the direction that grows is left to see, and one more step should multiply the
  // distance by $0.19 \lambda - 1$.
  std::vector<Line> astray = path(kThree, {1, 1}, 0.19, 51);
  auto distance = [&](size_t i) {
    return std::hypot(astray[i].w - 2.5, astray[i].b);
  };
  double steepest = curvatures(kThree)[1].item();
  chapter.check("curvature across", (17 + std::sqrt(265.0)) / 3, steepest);
  chapter.claim("too-large",
                "with η = 0.19 each step multiplies the distance by |1 - η λ|: ratio",
                distance(51) / distance(50) / (0.19 * steepest - 1), near(1, 1e-6),
                identity);
}

// So the learning rate has a ceiling, $2 / \lambda$ of the *steepest* direction, and that ceiling holds for the flattest direction
// as well. How long the descent takes is decided by the ratio of the two curvatures: here 46. It will get worse.
//
// # Ten pairs
//
// Now a table of the size one has after an afternoon in the park. **We made it up**, and this is how: the CP before
// evolution is drawn at random between 100 and 1000, the CP after it follows a rule of ours,
//
// $$y = 100 + r x + 60 \cdot 2^{x / 250} + \text{noise},$$
//
// with $r = 1.2$, and the noise is normal with a spread of 60. (In the game the rule is another one. With a rule of our own we know what
// there is to be found, and can draw as many tables as we like.)
static Tensor rule(const Tensor& x, const Tensor& rate) {
  return 100.0 + rate * x + 60.0 * exp2(x / 250.0);
}

struct Pairs {
  Tensor x, y;  // CP before and after: (n,), (n,)
};

static Pairs draw_pairs(int64_t n, double noise, Generator& random) {
  Tensor x = floor(100.0 + 900.0 * rand({n}, random, f64));           // (n,)
  Tensor exact = rule(x, tensor(1.2, f64));                           // (n,)
  return {x, round(exact + noise * randn({n}, random, f64))};
}

// The first ten pairs are to learn from: the **training data**. The other ten stay in the drawer, to see what was learned:
// the **test data**.
static const Points kTrain = {
    .x = {905, 740, 886, 690, 600, 929, 132, 148, 696, 850},
    .y = {1966, 1406, 1859, 1387, 1145, 2004, 258, 545, 1313, 1763}};
static const Points kTest = {
    .x = {366, 334, 209, 789, 520, 568, 920, 783, 694, 273},
    .y = {580, 635, 479, 1558, 946, 1074, 2049, 1600, 1301, 603}};

// The rule with seed 1 gives this table again: it was the first one drawn, and not picked.
static void ten_pairs(Chapter& chapter) {
  chapter.section("Ten pairs");
  Generator random(1);
  Pairs drawn = draw_pairs(20, 60, random);
  Tensor x = cat({from_vector(kTrain.x), from_vector(kTest.x)});  // (20,)
  Tensor y = cat({from_vector(kTrain.y), from_vector(kTest.y)});  // (20,)
  chapter.claim("made-up", "the table is what our rule gives: largest gap",
                std::max(largest_gap(drawn.x, x), largest_gap(drawn.y, y)),
                at_most(0), identity);
  Line best = best_line(kTrain);
  chapter.say("The best straight line: CP after = {:.3f} · CP before {:.0f}. It "
              "misses the ten it has learned from by {:.0f} CP (the root of the "
              "mean squared error), the other ten by {:.0f}.",
              best.w, best.b, std::sqrt(loss_of(best, kTrain)),
              std::sqrt(loss_of(best, kTest)));
}

// # Badly scaled axes
//
// We found that line by the formula. Now by gradient descent, and here most first attempts fail: CP is now counted in ones, as in
// the table, so $\overline{x^2}$ is about half a million. A nudge of $w$ moves all predictions by hundreds, a nudge of $b$
// by one. The valley is very steep across, in $w$, and very flat along.
//
// Three ways to walk. A rule gets the slope and says how far to move; it may keep a note from step to step.
using Rule = Line (*)(const Line& slope, Line& note, double lr);

static Line plain(const Line& slope, Line&, double lr) {
  return {lr * slope.w, lr * slope.b};
}

// The second is **Adagrad** (Duchi, Hazan and Singer, 2011). It gives each parameter a rate of its own: it adds up the squares of
// all slopes this parameter has seen, $s$, and divides by the root.
//
// $$s \leftarrow s + \Big(\frac{\partial L}{\partial w}\Big)^2, \qquad
//   w \leftarrow w - \frac{\eta}{\sqrt s}\, \frac{\partial L}{\partial w} .$$
//
// Where slopes are large the rate becomes small. Multiply the loss by a thousand: plain descent jumps a thousand times as
// far, Adagrad does not notice.
static Line adagrad(const Line& slope, Line& note, double lr) {
  note.w += slope.w * slope.w;
  note.b += slope.b * slope.b;
  return {lr * slope.w / std::sqrt(note.w), lr * slope.b / std::sqrt(note.b)};
}

// Walk from $w = b = 0$ until the loss is within one per cent of the least possible. The path is noted at growing
// distances, for the figure.
struct Walk {
  std::vector<double> step, w, b, excess;  // excess: loss above the least, as a share
  int64_t steps = 0;
};

static Walk walk(const Points& points, Rule rule, double lr, int64_t limit) {
  Walk walk;
  Line line = {0, 0}, note = {0, 0};
  const double least = loss_of(best_line(points), points);
  double next = 0;
  for (;; ++walk.steps) {
    double excess = loss_of(line, points) / least - 1;
    bool done = excess < 0.01 || walk.steps == limit;
    if (done || static_cast<double>(walk.steps) >= next) {
      walk.step.push_back(static_cast<double>(walk.steps));
      walk.w.push_back(line.w);
      walk.b.push_back(line.b);
      walk.excess.push_back(excess);
      next = std::max(next + 1, next * 1.05);
    }
    if (done) return walk;
    line = step_against(line, rule(gradient(line, points), note, lr), 1);
  }
}

// The third way is to change the axes. **Standardise** $x$: take off its mean and divide by its spread, so that it is measured in
// spreads from the middle.
//
// $$u = \frac{x - \bar x}{\mathrm{std}(x)}$$
//
// Then $\bar u = 0$ and $\overline{u^2} = 1$, and look at $H$: it is twice the identity matrix. The valley has become a round bowl. With
// $\eta = 1/2$ the factor $1 - \eta\lambda$ is zero in every direction, and one step is enough.
static Points standardised(const Points& points) {
  Tensor x = from_vector(points.x);  // (n,)
  Tensor u = (x - mean(x)) / std(x, {}, 0);
  return {.x = u.to_vector<double>(), .y = points.y};
}

// ? Adagrad starts with $\eta = 10$. At the start $\partial L/\partial w$ is some -1.8 million and $\partial L/\partial b$ is -2800. How far
//   does the first step move $w$ and $b$?
// - [ ] $w$ by millions, $b$ by thousands: that would be plain descent, with this $\eta$
// - [x] both by exactly 10: after one slope $g$, $s = g^2$, and $\eta g / \sqrt{g^2}$ is $\eta$, whatever $g$ was
// - [ ] both by less than 10: the rates do fall, but only from the second step on
static void badly_scaled_axes(Chapter& chapter) {
  chapter.section("Badly scaled axes");
  Tensor curvature = curvatures(kTrain);  // (2,)
  double flat = curvature[0].item(), steep = curvature[1].item();
  chapter.say("With CP counted in ones the curvatures are {:.3g} and {:.3g}, as 1 "
              "to {:.2g}. Steps until the loss is within 1 % of the least:",
              steep, flat, steep / flat);

  // Plain descent gets the best rate that theory knows for it, $2 / (\lambda_1 + \lambda_2)$, just below the ceiling.
  const int64_t limit = 20'000'000;
  Walk by_plain = walk(kTrain, plain, 2 / (flat + steep), limit);
  Walk by_adagrad = walk(kTrain, adagrad, 10, limit);
  Walk by_scale = walk(standardised(kTrain), plain, 0.5, limit);
  Table table = chapter.table({"way", "steps"});
  table.row("plain, best rate", by_plain.steps);
  table.row("Adagrad, η = 10", by_adagrad.steps);
  table.row("standardised, η = 0.5", by_scale.steps);

  // On the left the two paths, from the origin. Plain descent falls to the valley's floor at once, and then it stands there. On the
  // right the loss, on axes where each mark is ten times the last one.
  const Extent over = {-0.5, 5, -800, 200};
  chapter.figure("ravine", "how the line is found when an axis is badly scaled")
      .size(860, 340)
      .panel("where they walk")
      .contour(rings(bowl(kTrain, over)), over, 0)
      .line(by_plain.w, by_plain.b, "")
      .line(by_adagrad.w, by_adagrad.b, "")
      .axes("w", "b")
      .panel("loss above the least, as a share of it")
      .line(by_plain.step, by_plain.excess, "plain")
      .line(by_adagrad.step, by_adagrad.excess, "Adagrad")
      .axes("step", "")
      .log_x()
      .log_y();
  chapter.claim("one-step", "standardised, one step of 0.5 arrives: steps",
                static_cast<double>(by_scale.steps), exactly(1), identity);
  chapter.claim("adagrad", "plain descent takes so many times as many steps as Adagrad",
                static_cast<double>(by_plain.steps) /
                    static_cast<double>(by_adagrad.steps),
                at_least(100), found, {.quick = at_least(100)});

  // Does the library's Adagrad take the same steps? A hundred of them:
  Tensor x = from_vector(kTrain.x), y = from_vector(kTrain.y);  // (10,), (10,)
  Tensor w = zeros({}, f64).requires_grad_(), b = zeros({}, f64).requires_grad_();
  optim::Adagrad theirs({w, b}, {.lr = 10});
  Line ours = {0, 0}, note = {0, 0};
  for (int step = 0; step < 100; ++step) {
    theirs.zero_grad();
    mse_loss(w * x + b, y).backward();
    theirs.step();
    ours = step_against(ours, adagrad(gradient(ours, kTrain), note, 10), 1);
  }
  chapter.check("w after 100 steps of Adagrad", ours.w, w.item());
  chapter.check("b after 100 steps of Adagrad", ours.b, b.item());
}
