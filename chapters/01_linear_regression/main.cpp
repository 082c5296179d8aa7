// This file is the whole chapter, in the order in which one reads it. It needs the library and
// nothing else. All numbers are float64: a chapter about a method whose answer is known exactly
// should show the method's errors, not those of rounding.
#include "book/chapter.hpp"
#include "chainrule.hpp"
#include "data/pokemon.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

using namespace cr;

constexpr DType f64 = DType::float64;

static double largest_gap(const Tensor& a, const Tensor& b) {
  return amax(abs(a - b)).item();
}

// # Three steps
//
// A Pokémon's strength is a number, its *combat power* or CP. Feed it enough and it evolves into
// something stronger. How much stronger? Three of ours have evolved already; CP in hundreds:
//
// | before, $x$ | after, $y$ |
// |---|---|
// | 1 | 2 |
// | 2 | 6 |
// | 3 | 7 |
//
// A fourth has $x = 4$ and is waiting. We want a function that turns *before* into *after*, and
// there are too many functions to look at them all. So we go in three steps, and the rest of this
// book is these three steps again and again.
//
// 1. **Model.** Say which functions are allowed. Ours are the straight lines
//
//    $$\hat y = w x + b .$$
//
//    The **weight** $w$ and the **bias** $b$ are the line's **parameters**, chapter 0's dials. The hat on
//    $\hat y$ says: a guess at $y$.
// 2. **Loss.** Say how bad each of them is, as one number. Ours is the **mean squared error** over the $n$ examples:
//
//    $$L(w, b) = \frac1n \sum_i (\hat y_i - y_i)^2 .$$
//
//    The square makes too high as bad as too low, and one large error worse than two of half its size.
// 3. **Optimisation.** Find the function with the smallest loss. This is the step that takes the work.
struct Line {
  double w, b;
};

struct Points {
  std::vector<double> x, y;
  double n() const { return static_cast<double>(x.size()); }
};

// In code, the first two of the three:
static double predict(const Line& line, double x) { return line.w * x + line.b; }

static double loss_of(const Line& line, const Points& points) {
  double total = 0;
  for (size_t i = 0; i < points.x.size(); ++i) {
    double residual = predict(line, points.x[i]) - points.y[i];
    total += residual * residual;
  }
  return total / points.n();
}

// Chapter 0 found slopes [by nudging](../00_before_you_begin/main.cpp#a-slope-by-nudging). Here we
// differentiate on paper. Write $e_i = \hat y_i - y_i$ for the **residual** at example $i$. A nudge
// of $w$ moves $\hat y_i$ by $x_i$ times as much, a nudge of $b$ by once as much, and $e_i^2$ moves
// $2 e_i$ times as far as $\hat y_i$:
//
// $$\frac{\partial L}{\partial w} = \frac2n \sum_i e_i x_i, \qquad
//   \frac{\partial L}{\partial b} = \frac2n \sum_i e_i .$$
//
// Together the two slopes are the **gradient**. It has as many numbers as there are parameters, so
// it fits into a `Line`.
static Line gradient(const Line& line, const Points& points) {
  Line slope = {0, 0};
  for (size_t i = 0; i < points.x.size(); ++i) {
    double residual = predict(line, points.x[i]) - points.y[i];
    slope.w += 2 * residual * points.x[i] / points.n();
    slope.b += 2 * residual / points.n();
  }
  return slope;
}

// # By hand
//
// Start somewhere, say at $w = 1$, $b = 1$. Take a pencil before you read on: what does this line
// predict for the three, what are its residuals, its loss, and its gradient?
static const Points kThree = {.x = {1, 2, 3}, .y = {2, 6, 7}};

static void by_hand(Chapter& chapter) {
  chapter.section("By hand");
  double w = 1, b = 1;

  // Predictions $2, 3, 4$. Residuals $0, -3, -3$: the first is right, the others are three too low.
  double e1 = w * 1 + b - 2;                        // 0
  double e2 = w * 2 + b - 6;                        // -3
  double e3 = w * 3 + b - 7;                        // -3
  double loss = (e1 * e1 + e2 * e2 + e3 * e3) / 3;  // (0 + 9 + 9) / 3 = 6
  double dw = 2 * (e1 * 1 + e2 * 2 + e3 * 3) / 3;   // 2 (0 - 6 - 9) / 3 = -10
  double db = 2 * (e1 + e2 + e3) / 3;               // 2 (0 - 3 - 3) / 3 = -4

  // Both slopes are negative: a larger $w$ and a larger $b$ would make the loss smaller. So we take
  // a step *against the gradient*. How long a step? The slope says which way and how steeply, not
  // how far it stays so. We choose a small factor, the **learning rate** $\eta = 0.1$, and see.
  double lr = 0.1;
  double new_w = w - lr * dw;  // 1 + 1 = 2
  double new_b = b - lr * db;  // 1 + 0.4 = 1.4

  // Predictions $3.4, 5.4, 7.4$, residuals $1.4, -0.6, 0.4$. The loss has come down from 6 to
  // $2.48 / 3 = 0.827$.
  double new_loss =
      (std::pow(new_w * 1 + new_b - 2, 2) + std::pow(new_w * 2 + new_b - 6, 2) +
       std::pow(new_w * 3 + new_b - 7, 2)) /
      3;
  chapter.say("w = {}, b = {}: residuals {}, {}, {}, loss {}.", w, b, e1, e2, e3,
              loss);
  chapter.say("Gradient: dL/dw = {}, dL/db = {}.", dw, db);
  chapter.say("One step of {}: w = {}, b = {:.1f}, loss {:.4f}.", lr, new_w, new_b,
              new_loss);

  // Is it right? The library can differentiate whatever we write down (chapter 6 shows how). We let
  // it check our arithmetic, and our loops above as well.
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
// That is **gradient descent**. Why against the gradient, of all directions? Chapter 0 took a short
// step in [any direction](../00_before_you_begin/main.cpp#any-direction): the loss falls fastest
// against the gradient. Where the gradient is zero the steps end by themselves. In general that
// need not be the lowest point. Here it is: our loss is **convex**, it curves upwards whichever way
// one walks, so there is one bottom and nothing else to stop at.
static Line step_against(const Line& line, const Line& slope, double lr) {
  return {line.w - lr * slope.w, line.b - lr * slope.b};
}

// For a straight line we can work out where that is. At the best line both slopes are zero.
// $\sum_i e_i = 0$ says that the line goes through the mean point: $b = \bar y - w \bar x$, and
// $e_i = w (x_i - \bar x) - (y_i - \bar y)$. Since the $e_i$ add up to zero,
// $\sum_i e_i x_i = 0$ holds for $x_i - \bar x$ as well. Put $e_i$ into that, and solve for $w$:
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

// For the three pairs $w = (3 + 0 + 2) / 2 = 2.5$ and $b = 5 - 2.5 \cdot 2 = 0$. Its residuals are
// $0.5, -1, 0.5$: no line goes through all three, and 0.5 is the smallest loss there is.
static void descend(Chapter& chapter) {
  chapter.section("Gradient descent");
  const double lr = chapter.option("lr");
  chapter.say(
      "From w = 1, b = 1 with learning rate {}. Watch how unequal the "
      "steps are: after the first one most of the loss is gone, and most of the "
      "way still to go.",
      lr);

  // The loop of this whole book, in its smallest form: where are we, which way is down, one step.
  Table table = chapter.table({"step", "w", "b", "loss"});
  Line line = {1, 1};
  for (int step = 0; step <= 1000; ++step) {
    for (int shown : {0, 1, 2, 10, 100, 300})
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
// The first step took the loss from 6 to 0.83. The last 0.33 took about a hundred more. To see why,
// draw the loss over all lines at once: $w$ to the right, $b$ upwards, and a ring wherever the loss
// has doubled once more. Each row of the tensor belongs to one $b$, each column to one $w$, and
// broadcasting meets every $b$ with every $w$.
static Tensor bowl(const Points& points, Extent over) {
  Tensor w = linspace(over.left, over.right, 81, f64);  // (81,)
  Tensor b = linspace(over.bottom, over.top, 81, f64);  // (81,)
  Tensor loss = zeros({81, 81}, f64);
  for (size_t i = 0; i < points.x.size(); ++i) {
    Tensor e = w * points.x[i] + b.reshape({-1, 1}) - points.y[i];  // (81, 81)
    loss = loss + square(e) / points.n();
  }
  return loss;
}

// Of $\log_2 L$ every whole number is a ring. They are the places where $\sin(\pi \log_2 L)$ is
// zero.
static Tensor rings(const Tensor& loss) {
  return sin(std::numbers::pi * log2(loss));
}

// The surface is a long valley. Across it the loss rises steeply, along it hardly at all. How
// quickly the slope changes as one walks is called **curvature**. It is the second derivative. With
// two parameters there are four of them, together the **Hessian**:
//
// $$H = \begin{pmatrix} \partial^2 L / \partial w^2 & \partial^2 L / \partial w \partial b \\ \partial^2 L / \partial b \partial w & \partial^2 L / \partial b^2 \end{pmatrix} = 2 \begin{pmatrix} \overline{x^2} & \bar x \\ \bar x & 1 \end{pmatrix} ,$$
//
// where a bar is a mean over the examples. $H$ times a step is how much the slopes change on it.
// For our three pairs, and a step of $(2.27, 1)$,
//
// $$\begin{pmatrix} 9.33 & 4 \\ 4 & 2 \end{pmatrix} \begin{pmatrix} 2.27 \\ 1 \end{pmatrix} = \begin{pmatrix} 25.2 \\ 11.1 \end{pmatrix} = 11.09 \begin{pmatrix} 2.27 \\ 1 \end{pmatrix} :$$
//
// the same direction, 11.09 times as long. In the direction at right angles, $(1, -2.27)$, it is
// 0.24 times. A symmetric matrix always has such directions, its *eigenvectors*; here one runs
// across the valley and one along it. The factors, its *eigenvalues*, are the curvatures there. We
// write $\kappa$ for a curvature.
static Tensor curvatures(const Points& points) {
  Tensor x = from_vector(points.x);  // (n,)
  double mean_x = mean(x).item(), mean_xx = mean(square(x)).item();
  Tensor H = 2.0 * tensor({{mean_xx, mean_x}, {mean_x, 1.0}}, f64);  // (2, 2)
  return linalg::eigvalsh(H);  // (2,): the smaller one first
}

// In such a direction everything is one-dimensional. At a distance $a$ from the bottom the slope is
// $\kappa a$, so one step leads to
//
// $$a \leftarrow a - \eta \kappa a = (1 - \eta\kappa)\, a .$$
//
// Each step multiplies the distance by $1 - \eta\kappa$. With $\eta = 0.1$ the factors are $-0.11$
// across and $0.976$ along: across, one step makes nearly all of the way; along, it makes one
// fortieth.
//
// ? What happens with $\eta = 0.19$, nearly twice as long a step?
// - [ ] it takes half as many steps: along the valley it would, but nobody asks only there
// - [ ] it jumps from side to side at the same height: so it would at $\eta = 2/11.09$, about 0.18
// - [x] it never arrives: across the valley the factor is $1 - 0.19 \cdot 11.09 = -1.11$, so every step ends farther away on the other side
struct Path {
  std::vector<double> w, b;
  double distance(const Line& to, size_t step) const {
    return std::hypot(w[step] - to.w, b[step] - to.b);
  }
};

static Path path(const Points& points, Line line, double lr, int steps) {
  Path path;
  for (int step = 0; step <= steps; ++step) {
    path.w.push_back(line.w);
    path.b.push_back(line.b);
    line = step_against(line, gradient(line, points), lr);
  }
  return path;
}

static void three_rates(Chapter& chapter) {
  chapter.section("Too small, good, too large");
  chapter.say(
      "The loss of every line at once, and three walks across it, all "
      "from w = 1, b = 1. Each ring is twice the loss of the one inside.");
  Path small = path(kThree, {1, 1}, 0.003, 100);
  Path good = path(kThree, {1, 1}, 0.1, 100);
  Path large = path(kThree, {1, 1}, 0.19, 14);
  const Extent over = {-1.5, 6.5, -3, 4};
  Tensor map = rings(bowl(kThree, over));  // (81, 81)
  chapter
      .figure(
          "three-rates",
          "100 steps that are too small, 100 good ones, and 14 that are too large")
      .size(720, 300)
      .panel("η = 0.003")
      .contour(map, over, 0)
      .line(small.w, small.b)
      .scatter({2.5}, {0.0})
      .note(0.4, 0.4, "start")
      .axes("w", "b")
      .panel("η = 0.1")
      .contour(map, over, 0)
      .line(good.w, good.b)
      .scatter({2.5}, {0.0})
      .axes("w", "b")
      .panel("η = 0.19")
      .contour(map, over, 0)
      .line(large.w, large.b)
      .scatter({2.5}, {0.0})
      .axes("w", "b");

  // Is the factor right? After 50 steps only the direction that grows is left to see, and one more
  // step should multiply the distance by $0.19\, \kappa - 1$.
  Path astray = path(kThree, {1, 1}, 0.19, 51);
  Line best = best_line(kThree);
  double steepest = curvatures(kThree)[1].item();
  chapter.check("curvature across", (17 + std::sqrt(265.0)) / 3, steepest);
  chapter.claim(
      "too-large",
      "with η = 0.19 each step multiplies the distance by |1 - η κ|: ratio",
      astray.distance(best, 51) / astray.distance(best, 50) / (0.19 * steepest - 1),
      near(1, 1e-6), identity);
}

// So the learning rate has a ceiling, $2 / \kappa$ of the *steepest* direction, and that ceiling
// holds for the flattest direction as well. How long the descent takes is decided by the ratio of
// the two curvatures: here 46. It will get worse.
//
// # Ten pairs
//
// Now a table of the size one has after an afternoon in the park. *We made it up*, and this is
// how: the CP before evolution is drawn at random between 100 and 1000, the CP after it follows a
// rule of ours,
//
// $$y = r x + 100 \cdot 2^{x / 250} + \text{noise},$$
//
// with $r = 1.2$, and the noise is normal with a spread (a [standard
// deviation](../00_before_you_begin/main.cpp#a-die-expectation-and-variance)) of 60. (In the game
// the rule is another one. With a rule of our own we know what there is to be found, and can draw
// as many tables as we like.)
static Tensor rule(const Tensor& x, const Tensor& rate) {
  return rate * x + 100.0 * exp2(x / 250.0);
}

struct Pairs {
  Tensor x, y;  // CP before and after: (n,), (n,)
};

static Pairs draw_pairs(int64_t n, double noise, Generator& random) {
  Tensor x = floor(100.0 + 900.0 * rand({n}, random, f64));  // (n,)
  Tensor exact = rule(x, tensor(1.2, f64));                  // (n,)
  return {x, round(exact + noise * randn({n}, random, f64))};
}

// The first ten pairs are to learn from: the **training data**. The other ten stay in the drawer,
// to see what was learned: the **test data**.
static const Points kTrain = {
    .x = {905, 740, 886, 690, 600, 929, 132, 148, 696, 850},
    .y = {2358, 1618, 2226, 1558, 1256, 2430, 215, 506, 1488, 2085}};
static const Points kTest = {
    .x = {366, 334, 209, 789, 520, 568, 920, 783, 694, 273},
    .y = {591, 636, 450, 1814, 1015, 1167, 2462, 1850, 1475, 588}};

// The rule with seed 1 gives this table again: it was the first one drawn, and not picked.
static void ten_pairs(Chapter& chapter) {
  chapter.section("Ten pairs");
  Generator random(1);
  Pairs drawn = draw_pairs(20, 60, random);
  Tensor x = cat({from_vector(kTrain.x), from_vector(kTest.x)});  // (20,)
  Tensor y = cat({from_vector(kTrain.y), from_vector(kTest.y)});  // (20,)
  chapter.claim("made-up", "the table is what our rule gives: largest gap",
                std::max(largest_gap(drawn.x, x), largest_gap(drawn.y, y)),
                exactly(0), identity);
  Line best = best_line(kTrain);
  chapter.say(
      "The best straight line: CP after = {:.3f} · CP before {:.0f}. It "
      "misses the ten it has learned from by {:.0f} CP (the root of the "
      "loss), the other ten by {:.0f}.",
      best.w, best.b, std::sqrt(loss_of(best, kTrain)),
      std::sqrt(loss_of(best, kTest)));
}

// # Badly scaled axes
//
// We found that line by the formula. Now by gradient descent, and here most first attempts fail: CP
// is now counted in ones, as in the table, so $\overline{x^2}$ is about half a million. A nudge of
// $w$ moves all predictions by hundreds, a nudge of $b$ by one. The valley is very steep across, in
// $w$, and very flat along.
//
// Three ways to walk. In code, a way gets the slope and says how far to move; it may keep a note
// from step to step. The first is the one we know.
using Way = Line (*)(const Line& slope, Line& note, double lr);

static Line plain(const Line& slope, Line&, double lr) {
  return {lr * slope.w, lr * slope.b};
}

// The second is **Adagrad** (Duchi, Hazan and Singer, 2011). It gives each parameter a rate of its
// own: it adds up the squares of all slopes this parameter has seen, $s$, and divides by the root.
//
// $$s \leftarrow s + \Big(\frac{\partial L}{\partial w}\Big)^2, \qquad
//   w \leftarrow w - \frac{\eta}{\sqrt s}\, \frac{\partial L}{\partial w} .$$
//
// Where slopes are large the rate becomes small. Multiply the loss by a thousand: plain descent
// jumps a thousand times as far, Adagrad does not notice. (Libraries add a tiny number to the root,
// lest it be zero. We leave it out.)
static Line adagrad(const Line& slope, Line& note, double lr) {
  note.w += slope.w * slope.w;
  note.b += slope.b * slope.b;
  return {lr * slope.w / std::sqrt(note.w), lr * slope.b / std::sqrt(note.b)};
}

// Walk from $w = b = 0$ until the loss is within one per cent of the least possible.
struct Walk {
  std::vector<double> step, w, b;
  std::vector<double> excess;  // loss above the least, as a share
  int64_t steps = 0;
};

static Walk walk(const Points& points, Way way, double lr, int64_t limit) {
  Walk walk;
  Line line = {0, 0}, note = {0, 0};
  const double least = loss_of(best_line(points), points);
  double next = 0;
  for (;; ++walk.steps) {
    double excess = loss_of(line, points) / least - 1;

    // Note where we are: after every step at first, later each time five per cent farther on.
    bool done = excess < 0.01 || walk.steps == limit;
    if (done || static_cast<double>(walk.steps) >= next) {
      walk.step.push_back(static_cast<double>(walk.steps));
      walk.w.push_back(line.w);
      walk.b.push_back(line.b);
      walk.excess.push_back(excess);
      next = std::max(next + 1, next * 1.05);
    }
    if (done) return walk;

    // One step, as long as the way says.
    line = step_against(line, way(gradient(line, points), note, lr), 1);
  }
}

// The third way is to change the axes. **Standardise** $x$: take off its mean and divide by its
// spread, so that it is measured in spreads from the middle.
//
// $$u = \frac{x - \bar x}{\mathrm{std}(x)}$$
//
// Then $\bar u = 0$ and $\overline{u^2} = 1$, and look at $H$: it is twice the identity matrix, 2
// on the diagonal and 0 beside it. The valley has become a round bowl. With $\eta = 1/2$ the factor
// $1 - \eta\kappa$ is zero in every direction, and one step is enough.
static Points standardised(const Points& points) {
  double mean_x = 0, mean_square = 0;
  for (double x : points.x) mean_x += x / points.n();
  for (double x : points.x) mean_square += (x - mean_x) * (x - mean_x) / points.n();
  Points result = points;
  for (double& x : result.x) x = (x - mean_x) / std::sqrt(mean_square);
  return result;
}

// ? Adagrad starts at $w = b = 0$ with $\eta = 1$. There $\partial L/\partial w$ is about -2.5 million and $\partial L/\partial b$ about -3100. How far does the first step go?
// - [ ] $w$ by millions, $b$ by thousands: that would be plain descent, with this $\eta$
// - [x] both by exactly 1: after one slope $g$ the sum is $g^2$, and $\eta g / \sqrt{g^2}$ has size $\eta$, whatever $g$ was
// - [ ] both by less than 1: the rates do fall, but only from the second step on
static void badly_scaled_axes(Chapter& chapter) {
  chapter.section("Badly scaled axes");
  Tensor curvature = curvatures(kTrain);  // (2,)
  double flat = curvature[0].item(), steep = curvature[1].item();
  Points scaled = kTrain, shifted = kTrain;
  Tensor x = from_vector(kTrain.x), y = from_vector(kTrain.y);  // (10,), (10,)
  for (double& value : scaled.x) value /= sqrt(mean(square(x))).item();
  for (double& value : shifted.x) value -= mean(x).item();
  Tensor angle = curvatures(scaled);  // (2,)
  chapter.say(
      "With CP counted in ones the curvatures are {:.3g} and {:.3g}, as {:.2g} "
      "to 1. With x divided by its root mean square, and not shifted, they are "
      "as {:.0f} to 1. Steps until the loss is within 1 % of the least:",
      steep, flat, steep / flat, (angle[1] / angle[0]).item());

  // Plain descent gets the rate $1 / \kappa$ of the steep direction: across the valley the factor
  // is 0, one step arrives. (A rate just below the ceiling, $2 / \kappa$, would only halve the
  // rest.) Adagrad gets four rates, because it should not need luck.
  const int64_t limit = 100'000'000;
  Walk by_plain = walk(kTrain, plain, 1 / steep, limit);
  Walk by_adagrad = walk(kTrain, adagrad, 1, limit);
  Walk by_scale = walk(standardised(kTrain), plain, 0.5, limit);
  Table table = chapter.table({"way", "steps"});
  table.row("plain", by_plain.steps);
  table.row("Adagrad, η = 1", by_adagrad.steps);
  table.row("Adagrad, η = 10", walk(kTrain, adagrad, 10, limit).steps);
  table.row("Adagrad, η = 100", walk(kTrain, adagrad, 100, limit).steps);
  Walk at_angle = walk(kTrain, adagrad, 1000, limit);
  Walk no_angle = walk(shifted, adagrad, 1000, limit);
  table.row("Adagrad, η = 1000", at_angle.steps);
  table.row("the same, x shifted by its mean", no_angle.steps);
  table.row("plain, x scaled", walk(scaled, plain, 0.5, limit).steps);
  table.row("plain, x standardised", by_scale.steps);

  // On the left the first two paths, from the origin; the floor of the valley runs down to the
  // lower right. Plain descent is on it after one step, and from then on it seems to stand.
  const Extent over = {-0.5, 5, -150, 150};
  chapter.figure("ravine", "how the line is found when an axis is badly scaled")
      .size(720, 330)
      .panel("where they walk")
      .contour(rings(bowl(kTrain, over)), over, 0)
      .line(by_plain.w, by_plain.b, "")
      .dashed(by_adagrad.w, by_adagrad.b, "")
      .xlim(over.left, over.right)
      .ylim(over.bottom, over.top)
      .axes("w", "b")
      .panel("loss above the least, as a share of it")
      .line({1}, {1})
      .line(by_plain.step, by_plain.excess, "plain")
      .dashed(by_adagrad.step, by_adagrad.excess, "Adagrad")
      .axes("step", "")
      .log_x()
      .log_y();
  chapter.claim("one-step", "standardised, one step of 0.5 arrives: steps",
                static_cast<double>(by_scale.steps), exactly(1), identity);
  chapter.claim("adagrad-steps", "Adagrad, η = 1: steps until within 1 %",
                static_cast<double>(by_adagrad.steps), at_most(50000), found,
                {.quick = at_most(50000)});
  chapter.claim("plain-steps", "plain descent: steps until within 1 %",
                static_cast<double>(by_plain.steps), at_least(1e6), found,
                {.quick = at_least(1e6)});
  chapter.claim(
      "angle", "Adagrad, η = 1000: steps, over those with x shifted",
      static_cast<double>(at_angle.steps) / static_cast<double>(no_angle.steps),
      at_least(100), found, {.quick = at_least(100)});

  // Does the library's Adagrad take the same steps? `backward()` puts each slope beside its
  // parameter, `step()` moves the parameters, `zero_grad()` clears the slopes. A hundred steps:
  Tensor w = zeros({}, f64).requires_grad_(), b = zeros({}, f64).requires_grad_();
  optim::Adagrad theirs({w, b}, {.lr = 1});
  Line ours = {0, 0}, note = {0, 0};
  for (int step = 0; step < 100; ++step) {
    theirs.zero_grad();
    mse_loss(w * x + b, y).backward();
    theirs.step();
    ours = step_against(ours, adagrad(gradient(ours, kTrain), note, 1), 1);
  }
  chapter.check("w after 100 steps of Adagrad", ours.w, w.item());
  chapter.check("b after 100 steps of Adagrad", ours.b, b.item());
}

// Two cures, and they are not the same. Standardising removes the valley, if we see the data before
// we begin. Adagrad walks well in a valley that runs along an axis, and it works where nothing can
// be standardised: inside a network. A valley at an angle it does not cure, since it knows the axes
// and nothing else (exercise 4). In these units our angle looks slight. Divide $x$ by its root mean square,
// and it is 45°: plain descent then needs under a hundred steps, Adagrad thousands at every rate.
// For $s$ never forgets the huge first slopes, and a larger $\eta$ makes them larger. Shift $x$ by
// its mean, and the angle is gone. From here on all inputs are standardised.
//
// # Bend the line
//
// The best line still misses the ten pairs it was fitted to by 145 CP. The noise has a spread of
// 60, so the rest must be the fault of the model: the rule bends, and a line does not. So we allow
// more functions, the polynomials of degree $d$:
//
// $$\hat y = b + w_1 x + w_2 x^2 + \dots + w_d x^d .$$
//
// As functions of $x$ they bend, but look at it from the parameters' side: each $w_j$ is multiplied
// by a number we know, and all is added up. It is the line's model with $d$ inputs instead of one.
// Such an input, made from the data by us, is called a **feature**. (The powers are taken of $x$
// shifted and scaled to lie between -1 and 1: $1000^5$ is a number nobody wants to meet.)
static Tensor powers(const Tensor& x, int64_t degree) {
  Tensor t = ((x - 550) / 450).reshape({-1, 1});  // (n, 1)
  return pow(t, arange(1, degree + 1, 1, f64));   // (n, d)
}

// Rows are examples, columns are inputs: $X$ has shape $(n, d)$. Its columns are standardised, each
// by itself.
struct Scale {
  Tensor mean, std;  // (d,), (d,)
  Tensor operator()(const Tensor& X) const { return (X - mean) / std; }
};

// A column in which all numbers are the same has spread 0. It is divided by 1 instead, which makes
// it all zeros.
static Scale scale_of(const Tensor& X) {
  Tensor middle = mean(X, {0});                         // (d,)
  Tensor spread = sqrt(mean(square(X - middle), {0}));  // (d,)
  return {middle, where(spread > 0, spread, 1)};
}

// All $n$ predictions are one product: $\hat y = X w + b$. (A vector counts as one column.) The
// scale is part of the model: what comes later is measured with the training data's mean and
// spread.
struct Model {
  Scale scale;
  Tensor w, b;  // (d,), ()
  Tensor operator()(const Tensor& X) const {
    return matmul(scale(X), w) + b;  // (n, d) x (d,) → (n,)
  }
};

// The gradient is the one we know. Weight $w_j$ gets $\frac2n \sum_i e_i X_{ij}$, and all $d$ of
// these sums together are a product as well:
//
// $$\frac{\partial L}{\partial w} = \frac2n X^\top e, \qquad \frac{\partial L}{\partial b} = \frac2n \sum_i e_i, \qquad e = X w + b - y .$$
struct Slopes {
  Tensor w, b;  // (d,), ()
};

static Slopes gradient(const Tensor& X, const Tensor& y, const Tensor& w,
                       const Tensor& b) {
  Tensor e = matmul(X, w) + b - y;  // (n,)
  double n = static_cast<double>(y.size(0));
  return {matmul(X.t(), e) * (2 / n), sum(e) * (2 / n)};  // (d, n) x (n,) → (d,)
}

// At the best parameters it is zero, and that can be solved as it was for the line. Give $X$ a last
// column of ones, $A = [X\ 1]$, and the bias becomes a weight like the others, $\theta = (w, b)$.
// Then $A^\top (A\theta - y) = 0$, which is
//
// $$A^\top A\, \theta = A^\top y .$$
//
// These are the **normal equations**: $d + 1$ linear equations for $d + 1$ unknowns.
// `linalg::solve` hands them to LAPACK, or eliminates by itself where the library was built without
// it.
static Tensor with_ones(const Tensor& X) {
  return cat({X, ones({X.size(0), 1}, f64)}, 1);  // (n, d) → (n, d + 1)
}

static Model fit(const Tensor& X, const Tensor& y) {
  Scale scale = scale_of(X);
  Tensor A = with_ones(scale(X));                                    // (n, d + 1)
  Tensor theta = linalg::solve(matmul(A.t(), A), matmul(A.t(), y));  // (d + 1,)
  return {scale, theta[Slice{0, -1}], theta[-1]};
}

// The **root mean squared error** is in CP again. We call it the miss.
static double miss_of(const Model& model, const Tensor& X, const Tensor& y) {
  return std::sqrt(mse_loss(model(X), y).item());
}

// First, do two ways lead to the same place? One solves equations. The other knows only the slope
// where it stands.
static void bend_the_line(Chapter& chapter) {
  chapter.section("Bend the line");
  Tensor x = from_vector(kTrain.x), y = from_vector(kTrain.y);  // (10,), (10,)
  Model solved = fit(powers(x, 3), y);
  Tensor X = solved.scale(powers(x, 3));  // (10, 3), standardised

  // The gradient by hand, against the library's, at a random place. (`detach()` keeps
  // the numbers and drops their history.)
  Generator random(chapter.seed());
  Tensor w = randn({3}, random, f64).requires_grad_();  // (3,)
  Tensor b = randn({}, random, f64).requires_grad_();
  Slopes ours = gradient(X, y, w.detach(), b.detach());
  std::vector<Tensor> theirs = grad(mse_loss(matmul(X, w) + b, y), {w, b});
  chapter.say(
      "A polynomial of degree 3 for the ten pairs. Its gradient by hand, "
      "at random weights, against the library's:");
  chapter.check("dL/dw", ours.w, theirs[0]);
  chapter.check("dL/db", ours.b, theirs[1]);

  // Then the walk, from zero.
  Tensor walk_w = zeros({3}, f64), walk_b = zeros({}, f64);
  int64_t steps = 10000;
  for (int64_t step = 0; step < steps; ++step) {
    Slopes slope = gradient(X, y, walk_w, walk_b);
    walk_w = walk_w - 0.3 * slope.w;
    walk_b = walk_b - 0.3 * slope.b;
  }
  chapter.claim(
      "two-ways", "gradient descent and the normal equations agree: largest gap",
      std::max(largest_gap(walk_w, solved.w), largest_gap(walk_b, solved.b)),
      at_most(1e-6), identity);
}

// Why descend at all, then? Because there is a formula for this model with this loss, and for few
// others. From chapter 3 on there is mostly none, and the walk works there too.
//
// # How far to bend?
//
// Now fit degrees 1 to 5 to the ten pairs, and open the drawer with the other ten.
//
// ? What do the two errors do as the degree grows from 1 to 5?
// - [ ] both fall: the training error does, because degree 5 contains all polynomials of degree 4; but that says nothing about the drawer
// - [ ] both fall and then rise: the training error cannot rise, since each degree may choose what the one before chose
// - [x] the training error falls, the test error falls and then rises: first the curve learns how the rule bends, then how these ten points happen to lie
static void how_far_to_bend(Chapter& chapter) {
  chapter.section("How far to bend?");
  chapter.say(
      "Polynomials of degree 1 to 5, fitted to ten pairs and tested on ten "
      "others. The miss is in CP.");
  Tensor x = from_vector(kTrain.x), y = from_vector(kTrain.y);  // (10,), (10,)
  Tensor x_test = from_vector(kTest.x), y_test = from_vector(kTest.y);
  Tensor everywhere = linspace(100, 1000, 181, f64);  // (181,)
  Table table = chapter.table({"degree", "miss, training", "miss, test"});
  Figure figure = chapter.figure("fits", "the same ten pairs, bent more and more");
  figure.size(720, 300);
  for (int64_t degree = 1; degree <= 5; ++degree) {
    Model model = fit(powers(x, degree), y);
    table.row(degree, miss_of(model, powers(x, degree), y),
              miss_of(model, powers(x_test, degree), y_test));
    if (degree == 3 || degree == 4) continue;
    figure.panel("degree " + std::to_string(degree))
        .line(everywhere, model(powers(everywhere, degree)))
        .scatter(x, y, degree == 5 ? "training" : "")
        .scatter(x_test, y_test, degree == 5 ? "test" : "")
        .axes("CP before", "CP after")
        .ylim(0, 2500);
  }
}

// Look at degree 5 in the figure, between 150 and 600. No training pair lies there, and the curve
// does as it likes. (By luck it misses the other ten a little less than degree 4 does.)
//
// To do well on what was given and badly on what comes is called **overfitting**. A model that is
// too stiff for both **underfits**. But one table of ten is one table. Would another afternoon have
// given the same picture? We can draw as many as we like.
struct Misses {
  Tensor train, test;  // (drawings, 5): one column for each degree
};

static Misses draw_again(Chapter& chapter, int64_t drawings) {
  Generator random(chapter.seed());
  Misses miss = {zeros({drawings, 5}, f64), zeros({drawings, 5}, f64)};
  for (int64_t k = 0; k < drawings; ++k) {
    Pairs ten =
        draw_pairs(chapter.option("pairs"), chapter.option("noise"), random);
    Pairs others = draw_pairs(200, chapter.option("noise"), random);
    for (int64_t degree = 1; degree <= 5; ++degree) {
      Model model = fit(powers(ten.x, degree), ten.y);
      miss.train[{k, degree - 1}] = miss_of(model, powers(ten.x, degree), ten.y);
      miss.test[{k, degree - 1}] =
          miss_of(model, powers(others.x, degree), others.y);
    }
  }
  return miss;
}

// Of each column the median: half of the drawings do better, half worse. (A mean would be ruled by
// the few drawings in which degree 5 goes wild.)
static Tensor middle(const Tensor& miss) { return quantile(miss, 0.5, 0); }

static void two_hundred_drawings(Chapter& chapter) {
  const int64_t drawings = 200;
  chapter.say(
      "The same with {} tables of ten pairs, each tested on 200 others. "
      "What the drawing in the middle misses by:",
      drawings);
  Misses miss = draw_again(chapter, drawings);
  Tensor train = middle(miss.train), test = middle(miss.test);  // (5,), (5,)
  Table table = chapter.table({"degree", "miss, training", "miss, test"});
  for (int64_t d = 0; d < 5; ++d) table.row(d + 1, train[d].item(), test[d].item());
  chapter.figure("u-curve", "what a typical table of ten pairs leads to")
      .line({1, 2, 3, 4, 5}, train, "training")
      .line({1, 2, 3, 4, 5}, test, "test")
      .axes("degree", "miss in CP")
      .ylim(0, amax(test).item() * 1.1);

  // A training error that never rises is mathematics. That the test error falls first and rises
  // then we have **built in**: the rule bends, so degree 1 is too stiff; the noise is large and the
  // pairs are few, so degree 5 has too much freedom. Bend the rule less, or draw a hundred pairs,
  // and it looks different (exercise 2).
  Tensor falls = miss.train.narrow(1, 0, 4) - miss.train.narrow(1, 1, 4);
  chapter.claim("training-falls",
                "the training miss never rises with the degree: smallest fall, CP",
                amin(falls).item(), at_least(-1e-6), identity);
  double best = amin(test).item();
  chapter.claim("u-left", "test miss of degree 1, over that of the best degree",
                test[0].item() / best, at_least(1.4), built_in,
                {.quick = at_least(1.4)});
  chapter.claim("u-right", "test miss of degree 5, over that of the best degree",
                test[4].item() / best, at_least(1.3), built_in,
                {.quick = at_least(1.3)});
  Tensor inside = amin(miss.test.narrow(1, 1, 3), {1});                   // (200,)
  Tensor ends = minimum(miss.test.select(1, 0), miss.test.select(1, 4));  // (200,)
  chapter.claim("u-share",
                "drawings in which a degree between 2 and 4 beats both 1 and 5",
                mean((inside < ends).to(f64)).item(), at_least(0.9), built_in,
                {.quick = at_least(0.9), .unit = "%"});
}

// # Why the curve turns up again
//
// Draw fifteen tables, fit each, and draw all fifteen curves into one picture.
static void fifteen_curves(Chapter& chapter) {
  chapter.section("Why the curve turns up again");
  chapter.say(
      "Fifteen tables of ten pairs, fifteen fits. Do they agree with each "
      "other? Do they agree with the rule?");
  Tensor everywhere = linspace(100, 1000, 91, f64);  // (91,)
  Tensor gap = full({1}, NAN, f64);  // lifts the pen between two curves
  Figure figure = chapter.figure(
      "redraws",
      "fifteen tables: a stiff model errs alike, a free one each time anew");
  figure.size(720, 300);
  for (int64_t degree : {1, 2, 5}) {
    Generator random(chapter.seed());
    std::vector<Tensor> x, y;
    for (int table = 0; table < 15; ++table) {
      Pairs ten =
          draw_pairs(chapter.option("pairs"), chapter.option("noise"), random);
      Model model = fit(powers(ten.x, degree), ten.y);
      x.insert(x.end(), {everywhere, gap});
      y.insert(y.end(), {model(powers(everywhere, degree)), gap});
    }
    figure.panel("degree " + std::to_string(degree))
        .line(cat(x), cat(y), degree == 5 ? "fits" : "")
        .dashed(everywhere, rule(everywhere, tensor(1.2, f64)),
                degree == 5 ? "rule" : "")
        .axes("CP before", "CP after")
        .ylim(-500, 3000);
  }
}

// The lines agree with each other and not with the rule. The curves of degree 5 do not agree with
// each other; in the middle of the range, where there are pairs on both sides, they agree with the
// rule on average. Two ways to be wrong:
//
// - **bias**: how far the *average* fit is from the rule. (An unlucky word: it has nothing to do with the parameter $b$.)
// - **variance**: how far a single fit strays from the average one, because of its own ten points' noise.
//
// For fits by least squares one can say exactly what both cost. Begin with one parameter,
// $\hat y = b$. The best $b$ is the mean of the $n$ values. If each of them has noise of variance
// $\sigma^2$, their mean has noise of variance $\sigma^2 / n$: chapter 0's [standard
// error](../00_before_you_begin/main.cpp#a-die-expectation-and-variance), squared. So much noise
// the fit has swallowed. Each further parameter swallows as much again. With $d + 1$ of them, at
// the places that were fitted and on average over the noise,
//
// $$\text{error on new noise} = \sigma^2 + \text{bias}^2 + \frac{d + 1}{n}\, \sigma^2,$$
//
// $$\text{training error} = \sigma^2 + \text{bias}^2 - \frac{d + 1}{n}\, \sigma^2 .$$
//
// Every parameter costs $\sigma^2 / n$. Swallowed noise makes the fit worse by that much, and it
// makes the training error look *better* by as much, because that is measured against the very
// noise that was swallowed. This is how the two curves part.
//
// Why as much again? (One may skip this, up to the table.) The normal equations give
// $\theta = (A^\top A)^{-1} A^\top y$, where the *inverse* $^{-1}$ undoes a multiplication. So the
// predictions at the ten places are a matrix times $y$:
//
// $$\hat y = M y, \qquad M = A\, (A^\top A)^{-1} A^\top .$$
//
// With $y = f + \varepsilon$, the rule's values and their noise, $\hat y = M f + M \varepsilon$:
// the average fit, bias² being the mean square of $f - M f$, and the noise it has swallowed. $M$ is
// a *projection*: to fit what is a fit already changes nothing, $M M = M$. Of the $n$ directions in
// which $n$ numbers can move it keeps as many as there are parameters (the sum of its diagonal, its
// *trace*, counts them) and drops the others. The noise has the same share in every direction.
//
// Hold it against 2000 drawings of the noise, at ten places that stay where they are.
static void price_of_a_parameter(Chapter& chapter) {
  Generator random(chapter.seed());
  const double noise = chapter.option("noise");
  Tensor x = draw_pairs(chapter.option("pairs"), 0, random).x;  // (n,)
  Tensor f = rule(x, tensor(1.2, f64));                         // (n,)
  const double n = static_cast<double>(x.size(0));
  Tensor seen = f + noise * randn({2000, x.size(0)}, random, f64);   // (2000, n)
  Tensor fresh = f + noise * randn({2000, x.size(0)}, random, f64);  // (2000, n)
  chapter.say(
      "Ten places, 2000 drawings of the noise there. Mean squared errors, in "
      "units of the noise's own, as measured and as the formula says:");
  Table table =
      chapter.table({"degree", "bias²", "test", "formula", "training", "formula"});
  double worst = 0, trace_gap = 0;

  // Each row of `seen` is one drawing of ten values, and each row of `fits` the fit to it: 2000
  // fits are one product.
  for (int64_t degree = 1; degree <= 5; ++degree) {
    Tensor A = with_ones(powers(x, degree));                       // (n, d + 1)
    Tensor M = matmul(A, linalg::solve(matmul(A.t(), A), A.t()));  // (n, n)
    double unit = noise * noise;
    double bias = mean(square(f - matmul(M, f))).item() / unit;
    double price = static_cast<double>(degree + 1) / n;
    Tensor fits = matmul(seen, M);  // (2000, n)
    double test = mse_loss(fits, fresh).item() / unit;
    double train = mse_loss(fits, seen).item() / unit;
    double formula_test = 1 + bias + price, formula_train = 1 + bias - price;
    table.row(degree, std::round(1e4 * bias) / 1e4, test, formula_test, train,
              formula_train);
    worst = std::max({worst, std::abs(test / formula_test - 1),
                      std::abs(train / formula_train - 1)});
    trace_gap = std::max(
        trace_gap, std::abs(trace(M).item() - static_cast<double>(degree + 1)));
  }
  chapter.claim("price", "the trace of M is the number of parameters: largest gap",
                trace_gap, at_most(1e-8), identity);
  chapter.claim("two-curves",
                "2000 drawings agree with the formula: largest deviation", worst,
                at_most(0.06), built_in, {.quick = at_most(0.06), .unit = "%"});
}

// Between the ten places and outside of them swallowed noise costs more than at them, as the figure
// of the fifteen shows, so the U of the 200 drawings is steeper than this formula's.
//
// # What was left out
//
// A better curve cannot help where the trouble is something we did not write down. The ten in the
// table were Zubats, all of them. Here are 36 from a mixed catch: nine each of four species, which
// grow at rates of their own, $r = 0.6$, $1.2$, $1.8$ and $2.6$. Of each we also noted HP, weight
// and height. In our rule these three have no influence on the CP after evolution, but a reader of
// the table could not know.
const std::vector<std::string> kSpecies = {"Rattata", "Zubat", "Psyduck", "Eevee"};

struct Catch {
  Tensor species;  // (n,) int64: 0 … 3
  Tensor numbers;  // (n, 4): CP before, HP, weight in kg, height in m
  Tensor after;    // (n,): CP after
  Tensor cp() const { return numbers.select(1, 0); }
};

static Catch draw_catch(int64_t n, Generator& random) {
  Tensor species = arange(n) % 4;                         // (n,)
  Tensor rates = tensor({0.6, 1.2, 1.8, 2.6}, f64);       // (4,)
  Tensor kilograms = tensor({3.5, 7.5, 19.6, 6.5}, f64);  // (4,)
  Tensor metres = tensor({0.3, 0.8, 0.8, 0.3}, f64);      // (4,)
  auto noise = [&] { return randn({n}, random, f64); };
  Tensor cp = floor(100.0 + 900.0 * rand({n}, random, f64));                 // (n,)
  Tensor hp = round(20.0 + 0.08 * cp + 8.0 * noise());                       // (n,)
  Tensor weight = index_select(kilograms, 0, species) * exp(0.2 * noise());  // (n,)
  Tensor height = index_select(metres, 0, species) * exp(0.1 * noise());     // (n,)
  Tensor after = rule(cp, index_select(rates, 0, species)) + 60.0 * noise();
  return {species, stack({cp, hp, weight, height}, 1), round(after)};
}

// How does a species get into a formula? Numbering them 0, 1, 2, 3 would say that Psyduck lies
// halfway between Zubat and Eevee. Instead each gets an input of its own that is 1 for its members
// and 0 for all others: a **one-hot** code. Multiply it by CP, and every species has a slope to
// itself:
//
// $$\hat y = b + \sum_s w_s\, [\text{species} = s]\, x .$$
//
// The bracket is 1 where that is true and else 0. This is still a sum of weights times known
// numbers, so the normal equations solve it.
static Tensor slopes(const Catch& c) {
  return one_hot(c.species, 4, f64) * c.cp().reshape({-1, 1});  // (n, 4)
}

// One more input, the square of CP, for the bend.
static Tensor slopes_and_square(const Catch& c) {
  return cat({slopes(c), square(c.cp()).reshape({-1, 1})}, 1);  // (n, 5)
}

// And if we do not know what matters? Then take all of it: each of the four numbers with a slope
// for each species, and every square and product of two numbers.
static Tensor everything(const Catch& c) {
  std::vector<Tensor> columns;
  Tensor is = one_hot(c.species, 4, f64);  // (n, 4)
  for (int64_t i = 0; i < 4; ++i) {
    Tensor number = c.numbers.narrow(1, i, 1);  // (n, 1)
    columns.push_back(is * number);             // (n, 4)
    for (int64_t j = i; j < 4; ++j)
      columns.push_back(number * c.numbers.narrow(1, j, 1));  // (n, 1)
  }
  return cat(columns, 1);  // (n, 26)
}

// ? 36 pairs to learn from. The model with everything has 27 parameters, four times as many as are needed. How does it do, beside the model with six?
// - [ ] better on both: it could set the 21 that do not matter to zero, and on the training data it has no reason to
// - [x] better on the training data, worse on the test data: every parameter swallows noise, whether it is needed or not
// - [ ] the same: HP, weight and height have no influence in the rule, but among 36 pairs they seem to have some
struct Team {
  Catch train, validation, test;  // validation: for Ridge, below
};

static Team draw_team(Generator& random) {
  Catch train = draw_catch(36, random), validation = draw_catch(36, random);
  return {train, validation, draw_catch(400, random)};
}

static void what_was_left_out(Chapter& chapter, const Team& team) {
  chapter.section("What was left out");
  chapter.say(
      "A mixed catch: 36 to learn from, 400 others to be tested on. The "
      "noise is 60, so nobody can miss by much less.");
  struct Try {
    std::string name;
    Tensor (*inputs)(const Catch&);
    double train = 0, test = 0;
  };
  std::vector<Try> tries = {
      {"CP, degree 3", [](const Catch& c) { return powers(c.cp(), 3); }},
      {"CP × species", slopes},
      {"the same and CP²", slopes_and_square},
      {"everything", everything}};
  Table table =
      chapter.table({"inputs", "parameters", "miss, training", "miss, test"});
  for (Try& t : tries) {
    Tensor X = t.inputs(team.train);  // (36, d)
    Model model = fit(X, team.train.after);
    t.train = miss_of(model, X, team.train.after);
    t.test = miss_of(model, t.inputs(team.test), team.test.after);
    table.row(t.name, X.size(1) + 1, t.train, t.test);
  }

  // For the figure: what belongs to one species, and the curve that the model with six parameters
  // draws for it.
  Tensor cp = team.train.cp(), after = team.train.after;  // (36,), (36,)
  auto of = [](const Tensor& all, int64_t species) {
    return index_select(all, 0, arange(species, 36, 4));  // (36,) → (9,)
  };
  Model model = fit(slopes_and_square(team.train), after);
  Tensor grid = linspace(100, 1000, 46, f64), gap = full({1}, NAN, f64);
  std::vector<Tensor> x, y;
  Figure figure = chapter.figure(
      "species", "to a model that does not know the species, all this is noise");
  for (int64_t s = 0; s < 4; ++s) {
    Catch one = {full({46}, s, DType::int64), grid.reshape({46, 1}), {}};
    x.insert(x.end(), {grid, gap});
    y.insert(y.end(), {model(slopes_and_square(one)), gap});
    figure.scatter(of(cp, s), of(after, s))
        .note(1010, y[y.size() - 2][-1].item(), kSpecies[static_cast<size_t>(s)]);
  }
  figure.line(cat(x), cat(y)).xlim(50, 1150).axes("CP before", "CP after");

  // That four species matter this much was our choice, and so was how little the rest does.
  chapter.claim("species",
                "without the species the test miss is so many times as large",
                tries[0].test / tries[1].test, at_least(2.5), built_in,
                {.quick = at_least(2.5)});
  chapter.claim("overfit", "with everything, the test miss over the training miss",
                tries[3].test / tries[3].train, at_least(2), built_in,
                {.quick = at_least(2)});
  chapter.claim("too-much",
                "test miss with everything, over that with what matters",
                tries[3].test / tries[2].test, at_least(1.3), built_in,
                {.quick = at_least(1.3)});
}

// # Ridge
//
// We knew which inputs matter. Suppose we did not. A fit that swallows noise gives itself away: it
// has large weights of both signs that nearly cancel. For two inputs that are nearly alike can
// follow the noise only by their difference, 1000 times the one and -999 times the other. So make
// large weights cost something:
//
// $$L_\lambda = \frac1n \sum_i (\hat y_i - y_i)^2 + \lambda \sum_j w_j^2 .$$
//
// This is **ridge regression** (Hoerl and Kennard, 1970). The gradient gains a term $2\lambda w$:
// each step also shrinks every weight a little, whence the name *weight decay* in later chapters.
// The normal equations gain one too,
//
// $$\Big(\tfrac1n A^\top A + \lambda D\Big)\, \theta = \tfrac1n A^\top y,$$
//
// with a diagonal matrix $D$ that has a 1 for every weight and a **0 for the bias**. The bias says
// how high the predictions lie on the whole. To pull it to zero would pull all predictions to zero,
// and nothing speaks for that: if everybody gained 1000 CP, predictions should gain 1000. (And here
// the inputs have to be standardised: a weight per gram is a thousand times smaller than one per
// kilogram, and would go unpunished.)
static Model ridge(const Tensor& X, const Tensor& y, double lambda) {
  Scale scale = scale_of(X);
  Tensor A = with_ones(scale(X));  // (n, d + 1)
  double n = static_cast<double>(y.size(0));
  Tensor D = cat({ones({X.size(1)}, f64), zeros({1}, f64)});  // (d + 1,)
  Tensor left = matmul(A.t(), A) / n + lambda * diag(D);      // (d + 1, d + 1)
  Tensor theta = linalg::solve(left, matmul(A.t(), y) / n);   // (d + 1,)
  return {scale, theta[Slice{0, -1}], theta[-1]};
}

// How large should $\lambda$ be? Such a number, set before the training and not by it, is a
// **hyperparameter**; the degree and $\eta$ are others. Gradient descent cannot tell us: the
// training error is smallest for $\lambda = 0$. The test data must not tell us, or they are no
// longer new. So a third part is set aside, the **validation data**: learn on the first part,
// choose on the second, and report the third.
//
// ? Let $\lambda$ grow without end. What does ridge regression predict?
// - [ ] zero: so it would if the bias were penalised as well
// - [x] the mean of the training data's $y$, for everybody: all weights are 0, and the bias alone is left to make the error small
// - [ ] what it predicted without a penalty: that is the other end, $\lambda = 0$
struct Trace {
  Tensor lambdas = logspace(-6, 2, 33, 10, f64);  // (33,)
  std::vector<double> train, validation;
  std::vector<Tensor> weights;
  double chosen = 0;
};

static Trace trace_of(const Team& team) {
  Tensor X = everything(team.train), y = team.train.after;  // (36, 26), (36,)
  Tensor X_validation = everything(team.validation);        // (36, 26)
  Trace trace;
  for (int64_t i = 0; i < trace.lambdas.size(0); ++i) {
    Model model = ridge(X, y, trace.lambdas[i].item());
    trace.train.push_back(miss_of(model, X, y));
    trace.validation.push_back(miss_of(model, X_validation, team.validation.after));
    trace.weights.push_back(model.w);  // (26,)
  }
  int64_t best = argmin(from_vector(trace.validation)).item<int64_t>();
  trace.chosen = trace.lambdas[best].item();
  return trace;
}

// The test miss with everything, with ridge, and of the model that was told what matters.
struct Harm {
  double before, after, told;
};

static Harm harm_of(const Team& team, double lambda) {
  const Tensor& y = team.train.after;
  auto miss = [&](const Model& model, Tensor (*inputs)(const Catch&)) {
    return miss_of(model, inputs(team.test), team.test.after);
  };
  Tensor X = everything(team.train);  // (36, 26)
  return {miss(fit(X, y), everything), miss(ridge(X, y, lambda), everything),
          miss(fit(slopes_and_square(team.train), y), slopes_and_square)};
}

static void the_right_price(Chapter& chapter, const Team& team, Generator& random) {
  chapter.section("Ridge");
  Trace trace = trace_of(team);
  Tensor all = stack(trace.weights);  // (33, 26)
  const double lambda = trace.chosen;

  // The figure is the whole method: from left to right the penalty grows. On the left panel the
  // weights together shrink towards zero (one or another grows for a while), on the right one the
  // training error can only rise, and the validation error has a U of its own.
  Figure figure = chapter.figure("ridge", "26 weights under a growing penalty");
  figure.size(720, 330).panel("weights");
  for (int64_t j = 0; j < 26; ++j) figure.line(trace.lambdas, all.select(1, j));
  figure.axes("λ", "CP per spread").log_x().vline(lambda);
  figure.panel("miss in CP")
      .line(trace.lambdas, trace.train, "training")
      .line(trace.lambdas, trace.validation, "validation")
      .vline(lambda, "chosen")
      .axes("λ", "")
      .log_x()
      .ylim(0, 400);
  Harm harm = harm_of(team, lambda);
  chapter.say(
      "Of 33 penalties the validation data choose λ = {:.2g}. On the test "
      "data, which had no say, the miss falls from {:.0f} to {:.0f} CP. The "
      "model that was told what matters has {:.0f}.",
      lambda, harm.before, harm.after, harm.told);

  // One catch may be a lucky one. Of twenty more, the one in the middle:
  std::vector<double> back;
  for (int k = 0; k < 20; ++k) {
    Team other = draw_team(random);
    Harm h = harm_of(other, trace_of(other).chosen);
    back.push_back((h.before - h.after) / (h.before - h.told));
  }
  chapter.claim("ridge",
                "share of the harm that the chosen penalty takes back, typically",
                quantile(from_vector(back), 0.5).item(), between(0.6, 1), built_in,
                {.quick = between(0.6, 1), .unit = "%"});

  // The two ends of the path, and the bias.
  Tensor X = everything(team.train), y = team.train.after;  // (36, 26), (36,)
  Tensor X_test = everything(team.test);                    // (400, 26)
  Model none = ridge(X, y, 0), huge = ridge(X, y, 1e12);
  chapter.check("λ = 0 is least squares", fit(X, y).w, none.w, 1e-6);
  chapter.claim("all-alike",
                "λ = 10¹² predicts the mean for everybody: largest gap, CP",
                largest_gap(huge(X_test), mean(y)), at_most(1e-6), identity);
  chapter.claim("shifted",
                "1000 CP more for all: predictions gain 1000; largest gap, CP",
                largest_gap(ridge(X, y + 1000, lambda)(X_test),
                            ridge(X, y, lambda)(X_test) + 1000),
                at_most(1e-6), identity);
}

// Ridge takes back most of the harm, typically {claim:ridge}, and not all of it. A penalty is what
// one does for want of knowledge.

// # A table nobody here made up
//
// The real table lists 1215 Pokémon and forms of them, from nine generations of the games, with six
// numbers each. The question for `./run 01 --full`: how well does a linear model guess *Attack*
// from the other five, the types, and the generation? A Pokémon has one type or two, so its code
// has up to two ones.
struct StatTable {
  Tensor stats, generation, types;  // (n, 5), (n, generations), (n, 18)
  Tensor attack;                    // (n,)
  Tensor kind;  // (n,) int64: equal for all forms of one Pokémon
  std::vector<std::string> type_names;
};

static StatTable read_table(const Chapter& chapter) {
  data::Pokemon table = data::pokemon(chapter.data_dir().string());
  int64_t n = table.stats.size(0), types = static_cast<int64_t>(table.types.size());

  // "No second type" is -1. Shifted by one it becomes class 0, and its column is cut off again.
  Tensor first = one_hot(table.type1, types, f64);  // (n, 18)
  Tensor second = one_hot(table.type2 + 1, types + 1, f64)[{Slice{}, Slice{1}}];
  Tensor generation = one_hot(table.generation - 1, -1, f64);  // (n, 9)

  // Forms carry their name in front: "Venusaur", "Venusaur (Mega Venusaur)".
  std::vector<std::string> seen;
  std::vector<int64_t> kind;
  for (const std::string& name : table.names) {
    std::string plain = name.substr(0, name.find(" ("));
    auto found = std::find(seen.begin(), seen.end(), plain);
    kind.push_back(found - seen.begin());
    if (found == seen.end()) seen.push_back(plain);
  }
  Tensor others = index_select(table.stats, 1, tensor({0, 2, 3, 4, 5}));  // (n, 5)
  return {others,
          generation,
          first + second,
          table.stats.select(1, 1).reshape({n}),
          from_vector(kind),
          table.types};
}

// Which Pokémon are held out is a draw of lots: three fifths to learn from, a fifth to choose
// $\lambda$, a fifth to be judged by. All forms of a Pokémon go to the same part, or else the test
// would ask for a Venusaur that has been seen in a different hat.
struct Split {
  Tensor train, validation, test;  // which rows
};

static Split split(const StatTable& table, Generator& random) {
  int64_t kinds = amax(table.kind).item<int64_t>() + 1;
  Tensor place = index_select(randperm(kinds, random), 0, table.kind);  // (n,)
  int64_t three = kinds * 3 / 5, four = kinds * 4 / 5;
  Tensor rows = arange(table.kind.size(0));  // (n,)
  return {masked_select(rows, place < three),
          masked_select(rows, (place >= three) & (place < four)),
          masked_select(rows, place >= four)};
}

// How good is a guess? **R²** compares its squared error with that of a guess that always says the
// mean of these very $y$: 1 is perfect, 0 is no better than the mean, and below 0 is worse.
//
// $$R^2 = 1 - \frac{\sum_i (\hat y_i - y_i)^2}{\sum_i (\bar y - y_i)^2}$$
static double r_squared(const Model& model, const Tensor& X, const Tensor& y) {
  return 1 - mse_loss(model(X), y).item() / var(y, {}, 0).item();
}

// One split, one set of inputs: with next to no penalty, and with the one that does best on the
// validation part.
struct Score {
  double free, chosen;
  Model model;
};

static Score score(const Tensor& X, const Tensor& y, const Split& split) {
  auto part = [&](const Tensor& all, const Tensor& rows) {
    return index_select(all, 0, rows);
  };
  Tensor X_train = part(X, split.train), y_train = part(y, split.train);
  Tensor X_valid = part(X, split.validation), y_valid = part(y, split.validation);
  Tensor X_test = part(X, split.test), y_test = part(y, split.test);

  // The test part is asked once, at the end.
  Model free = ridge(X_train, y_train, 1e-6);
  Model best = free;
  double highest = r_squared(free, X_valid, y_valid);
  for (double power = -3; power <= 1.5; power += 0.5) {
    Model model = ridge(X_train, y_train, std::pow(10, power));
    double r2 = r_squared(model, X_valid, y_valid);
    if (r2 > highest) highest = r2, best = model;
  }
  return {r_squared(free, X_test, y_test), r_squared(best, X_test, y_test), best};
}

// All squares and products of the 32 inputs beside the inputs themselves: 560 numbers for each
// Pokémon.
static Tensor with_products(const Tensor& X) {
  Tensor each = X.unsqueeze(2) * X.unsqueeze(1);  // (n, d, d): all products, twice
  Tensor upper = triu_indices(X.size(1), X.size(1));
  return cat({X, each.index({Slice{}, upper[0], upper[1]})},
             1);  // (n, d + d (d + 1) / 2)
}

// Twenty splits, and three sets of inputs for each.
static void attack_of_pokemon(Chapter& chapter) {
  chapter.section("A table nobody here made up");
  StatTable table = read_table(chapter);
  Tensor plain = cat({table.stats, table.generation}, 1);  // (n, 14)
  Tensor typed = cat({plain, table.types}, 1);             // (n, 32)
  Tensor all = with_products(typed);                       // (n, 560)
  const int splits = 20;
  chapter.say(
      "{} Pokémon and forms. Attack from the other stats and the "
      "generation; with the types; with all products. R² on a fifth that is "
      "held out, {} splits: mean, and how far it varies.",
      table.attack.size(0), splits);
  Tensor free = zeros({splits, 3}, f64), chosen = zeros({splits, 3}, f64);
  Generator random(chapter.seed());
  Progress progress = chapter.progress("splits", splits, "splits");
  Split last;
  Score shown;

  // All sets of inputs meet the same splits: what differs then is the inputs, not the luck of the
  // draw.
  for (int k = 0; k < splits; ++k) {
    last = split(table, random);
    int64_t column = 0;
    for (const Tensor& X : {plain, typed, all}) {
      Score s = score(X, table.attack, last);
      free[{k, column}] = s.free;
      chosen[{k, column}] = s.chosen;
      if (++column == 2) shown = s;
    }
    progress.step();
  }
  Tensor free_mean = mean(free, {0}),
         chosen_mean = mean(chosen, {0});  // (3,), (3,)
  Tensor free_std = cr::std(free, {0}),
         chosen_std = cr::std(chosen, {0});  // (3,), (3,)
  Table result =
      chapter.table({"inputs", "count", "λ = 10⁻⁶", "±", "λ chosen", "±"});
  const char* names[] = {"stats, generation", "with types", "all products"};
  const int64_t sizes[] = {plain.size(1), typed.size(1), all.size(1)};
  auto three = [](const Tensor& t) { return std::round(1e3 * t.item()) / 1e3; };
  for (int64_t c = 0; c < 3; ++c)
    result.row(names[c], sizes[c], three(free_mean[c]), three(free_std[c]),
               three(chosen_mean[c]), three(chosen_std[c]));

  // Three things to see. A little less than half of what tells one Attack from another is in the
  // other numbers; the rest the designers decided. From split to split R² varies by about as much
  // as the types bring, so two numbers from two different splits could not be compared; on the same
  // split, they can. And ridge brings nothing where some 700 Pokémon meet 32 inputs: there is
  // little to cure. With 560 inputs R² without it is below zero, worse than no inputs at all, and
  // ridge makes all the difference.
  chapter.claim("attack", "Attack from stats, generation and types: R²",
                chosen_mean[1].item(), at_least(0.4), found, {.at = Size::full});
  chapter.claim("types-help", "what the types bring: difference in R²",
                (chosen_mean[1] - chosen_mean[0]).item(), at_least(0.02), found,
                {.at = Size::full});
  chapter.claim("no-cure-needed",
                "what the chosen penalty brings for 32 inputs: R²",
                (chosen_mean[1] - free_mean[1]).item(), between(-0.02, 0.01), found,
                {.at = Size::full});
  chapter.claim("cure", "what the chosen penalty brings for 560 inputs: R²",
                (chosen_mean[2] - free_mean[2]).item(), at_least(0.3), found,
                {.at = Size::full});
  chapter.claim("no-better", "all products, cured, over the 32 inputs alone: R²",
                (chosen_mean[2] - chosen_mean[1]).item(), between(-0.1, 0), found,
                {.at = Size::full});

  // One split of the twenty, the last. Points on the dashed line are guessed rightly. Below it,
  // what the same model adds to the guess for each type, all else equal: a type's weight, divided
  // by its spread.
  Tensor X = index_select(typed, 0, last.test),
         y = index_select(table.attack, 0, last.test);
  Tensor effect =
      (shown.model.w / shown.model.scale.std)[Slice{plain.size(1)}];  // (18,)
  chapter.figure("attack", "Attack of Pokémon that were held out")
      .size(440, 400)
      .scatter(y, shown.model(X))
      .dashed({0, 200}, {0, 200})
      .axes("Attack", "guess")
      .xlim(0, 200)
      .ylim(0, 200);
  chapter
      .figure("types",
              "what a type adds to the guess, the other numbers being equal")
      .size(720, 300)
      .bar(table.type_names, effect)
      .axes("", "Attack");
}

// # Break it
//
// Two mistakes that run without a word of complaint. `./run 01 --break penalised-bias` and `./run
// 01 --break own-scale` show them beside the healthy run.
//
// **The bias penalised.** In a library one does not write $D$; one gives the optimiser a weight
// decay, and it applies it to whatever parameters it is given. Below it is given two groups,
// weights and bias. (The library's weight decay is the whole added term, $2\lambda$; `SGD` is plain
// descent.)
static Model ridge_by_descent(const Tensor& X, const Tensor& y, double lambda,
                              bool bias_too) {
  Scale scale = scale_of(X);
  Tensor U = scale(X);                                  // (n, d)
  Tensor w = zeros({X.size(1)}, f64).requires_grad_();  // (d,)
  Tensor b = zeros({}, f64).requires_grad_();
  optim::SGD sgd({{{w}, {.lr = 0.05, .weight_decay = 2 * lambda}},
                  {{b}, {.lr = 0.05, .weight_decay = bias_too ? 2 * lambda : 0}}});
  for (int step = 0; step < 3000; ++step) {
    sgd.zero_grad();
    mse_loss(matmul(U, w) + b, y).backward();
    sgd.step();
  }
  return {scale, w.detach(), b.detach()};
}

// ? Everything is penalised, with $\lambda = 0.1$, and the CP after evolution are 1480 on average. How far off are the predictions on average?
// - [ ] not at all: the weights can make up for it; but the inputs are standardised, and weighted sums of them are zero on average
// - [x] about 135 too low: the best bias under its penalty is $\bar y / (1 + \lambda)$
// - [ ] 148 too low: $\lambda \bar y$ is the pull at full height, and the bias gives way to it
static void penalised_bias(Chapter& chapter) {
  chapter.section("Broken: the bias penalised");
  chapter.say(
      "Ridge by gradient descent, λ = 0.1, with the weight decay on the "
      "weights alone and on everything. Compare how high the predictions "
      "lie.");
  Generator random(chapter.seed());
  Team team = draw_team(random);
  Tensor X = slopes_and_square(team.train), y = team.train.after;  // (36, 5), (36,)
  Tensor X_test = slopes_and_square(team.test), y_test = team.test.after;
  const double lambda = 0.1;
  Model healthy = ridge_by_descent(X, y, lambda, false);
  Model broken = ridge_by_descent(X, y, lambda, true);
  chapter.check("healthy: descent finds what the normal equations find",
                ridge(X, y, lambda).w, healthy.w, 1e-6);

  // Both clouds lean: a penalty pulls strong and weak towards the mean, and that is what it is for.
  // But the healthy cloud lies around zero, and the other one below it.
  chapter
      .figure("penalised-bias",
              "residuals on 400 others: a penalised bias pushes them down")
      .size(720, 330)
      .panel("weights penalised")
      .scatter(y_test, healthy(X_test) - y_test)
      .hline(0)
      .ylim(-1000, 400)
      .axes("CP after", "prediction too high by")
      .panel("weights and bias penalised")
      .scatter(y_test, broken(X_test) - y_test)
      .hline(0)
      .ylim(-1000, 400)
      .axes("CP after", "prediction too high by");
  double low = mean(y - broken(X)).item(), should = mean(y - healthy(X)).item();
  chapter.say(
      "Mean residual on the training data: healthy {:.2g} CP, broken {:.0f} CP "
      "too low.",
      std::abs(should), low);
  chapter.claim("too-low", "predictions too low, over ȳ λ / (1 + λ)",
                low / (mean(y).item() * lambda / (1 + lambda)), near(1, 1e-6),
                identity, {.symptom_of = "penalised-bias"});
  chapter.claim("too-low-test", "the test miss is so many times as large",
                miss_of(broken, X_test, y_test) / miss_of(healthy, X_test, y_test),
                at_least(1.2), found, {.symptom_of = "penalised-bias"});
}

// **Each on its own scale.** The training data were standardised with their mean and spread. So are
// the test data, with *their* mean and spread. It looks even-handed. But then 0.5 means one CP in
// training and another in the test, and the prediction for a Pokémon depends on the company in
// which it is asked for.
static Tensor on_its_own_scale(const Model& model, const Tensor& X) {
  return matmul(scale_of(X)(X), model.w) +
         model.b;  // scale_of(X): here is the mistake
}

static void own_scale(Chapter& chapter) {
  chapter.section("Broken: each on its own scale");
  chapter.say(
      "Degree 2, 200 tables of ten pairs and ten others to be tested on. "
      "Once the test data are put on the training data's scale, once on "
      "their own.");

  Generator random(chapter.seed());
  std::vector<double> healthy, broken;
  for (int k = 0; k < 200; ++k) {
    Pairs train = draw_pairs(10, 60, random), test = draw_pairs(10, 60, random);
    Model model = fit(powers(train.x, 2), train.y);
    Tensor X = powers(test.x, 2);  // (10, 2)
    healthy.push_back(miss_of(model, X, test.y));
    broken.push_back(
        std::sqrt(mse_loss(on_its_own_scale(model, X), test.y).item()));
  }
  double ratio =
      (median(from_vector(broken)) / median(from_vector(healthy))).item();

  // One Pokémon of 600 CP, asked for among weaker ones and among stronger ones.
  Pairs train = draw_pairs(10, 60, random);
  Model model = fit(powers(train.x, 2), train.y);
  Tensor weak = powers(tensor({600, 100, 200, 300, 400, 500}, f64), 2);  // (6, 2)
  Tensor strong =
      powers(tensor({600, 700, 800, 900, 950, 1000}, f64), 2);  // (6, 2)
  double among_weak = on_its_own_scale(model, weak)[0].item();
  double among_strong = on_its_own_scale(model, strong)[0].item();
  chapter.say(
      "A Pokémon of 600 CP is predicted to reach {:.0f} when asked for among "
      "weaker ones, {:.0f} among stronger ones, and {:.0f} by the healthy "
      "program in any company.",
      among_weak, among_strong, model(weak)[0].item());
  chapter.figure("own-scale", "the test miss of 200 tables, one dot each")
      .scatter(healthy, broken)
      .dashed({0, 400}, {0, 400}, "equal")
      .axes("miss on the training data's scale", "on its own scale")
      .xlim(0, 400)
      .ylim(0, 1000);
  chapter.claim("own-scale-miss", "the typical test miss is so many times as large",
                ratio, at_least(1.5), found, {.symptom_of = "own-scale"});
  chapter.claim("company",
                "600 CP among weak ones and among strong ones: apart by, CP",
                std::abs(among_weak - among_strong), at_least(200), found,
                {.symptom_of = "own-scale"});
}

// # Do you remember?
//
// Three questions about this page, because what is asked again is kept.
//
// ? At $w = 2$, $b = 0$ a line sees one pair, $x = 3$, $y = 5$. With $\eta = 0.1$, where does $w$ go?
// - [x] to 1.4: the residual is $6 - 5 = 1$, the slope $2 \cdot 1 \cdot 3 = 6$, and the step goes against it
// - [ ] to 2.6: that is a step along the gradient, and the loss grows
// - [ ] to 1.8: that is the step of $b$'s kind, $2 \cdot 1$; the slope of $w$ has the factor $x = 3$ as well
//
// ? Gradient descent on a bowl with curvatures 100 and 1. Which learning rate is the largest that does not diverge, and what does it mean for the flat direction?
// - [ ] 2, because the flat direction allows it: the steep one multiplies its distance by $1 - 200$ then
// - [x] just below 0.02, and along the flat direction each step still leaves 98 % of the way
// - [ ] 0.5, where one step arrives: so it is for curvature 2 in *every* direction
//
// ? You try a hundred penalties, keep the one with the smallest test error, and report that test error. What is wrong?
// - [ ] nothing, the test data were never trained on: not by gradient descent, but you have chosen by them
// - [x] the smallest of a hundred is small partly by luck with these test data; on new data it will be worse
// - [ ] too few penalties were tried: the more are tried, the luckier the best one
static void story(Chapter& chapter) {
  if (chapter.broken("penalised-bias")) return penalised_bias(chapter);
  if (chapter.broken("own-scale")) return own_scale(chapter);
  by_hand(chapter);
  descend(chapter);
  three_rates(chapter);
  ten_pairs(chapter);
  badly_scaled_axes(chapter);
  bend_the_line(chapter);
  how_far_to_bend(chapter);
  two_hundred_drawings(chapter);
  fifteen_curves(chapter);
  price_of_a_parameter(chapter);
  Generator random(chapter.seed());
  Team team = draw_team(random);
  what_was_left_out(chapter, team);
  the_right_price(chapter, team, random);
  if (chapter.full()) attack_of_pokemon(chapter);
  chapter.section("Break it");
  chapter.say(
      "Two bugs are planted in this program. Guess what each does to the "
      "predictions, and look: --break penalised-bias, --break own-scale.");
}

// What the program is called, which options it takes, and which claims a run has to make.
int main(int argc, char** argv) {
  return run_chapter(
      argc, argv,
      {.number = 1,
       .name = "linear_regression",
       .title = "Linear regression",
       .question =
           "Ten pairs of numbers, and others of which we know one half. What is the "
           "other half, and how sure may we be?",
       .full =
           "the default run, and the Pokémon table: Attack from the other numbers",
       .options = {{"lr", 0.1, "learning rate of the first descent", 0, 100},
                   {"pairs", 10, "pairs in each table that is drawn anew", 8,
                    10000},
                   {"noise", 60.0, "spread of the noise in them, in CP", 0.001,
                    10000}},
       .breaks = {{"penalised-bias",
                   "the weight decay applies to the bias as well"},
                  {"own-scale", "test data are standardised by themselves"}},
       .claims = {"descent",
                  "too-large",
                  "made-up",
                  "one-step",
                  "adagrad-steps",
                  "plain-steps",
                  "angle",
                  "two-ways",
                  "training-falls",
                  "u-left",
                  "u-right",
                  "u-share",
                  "price",
                  "two-curves",
                  "species",
                  "overfit",
                  "too-much",
                  "ridge",
                  "all-alike",
                  "shifted",
                  {"attack", Size::full},
                  {"types-help", Size::full},
                  {"no-cure-needed", Size::full},
                  {"cure", Size::full},
                  {"no-better", Size::full}},
       .data = "the Pokémon table",
       .full_needs = {"pokemon/Pokemon.csv"},
       .headline = "attack"},
      story);
}
