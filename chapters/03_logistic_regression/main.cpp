// This file is the whole chapter, in the order in which one reads it. It needs the library and nothing else. Every gradient
// in it is derived on the page and computed by our own formula; the library's `grad` only checks.
#include "book/chapter.hpp"
#include "chainrule.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

using namespace cr;

constexpr DType f64 = DType::float64;

static double largest_gap(const Tensor& a, const Tensor& b) {
  return amax(abs(a - b)).item();
}

// # A line that answers the wrong question
//
// Six messages. $x$ counts their words in capitals. Those with 1, 2 and 3 such words were wanted mail, $y = 0$; those
// with 4, 5 and 6 were junk, $y = 1$. A rule for the next message, please.
//
// We have a tool that turns $x$ into $y$: the straight line of chapter 1. Fit it to the labels as if 0 and 1 were
// amounts, and call junk whatever it puts above one half. For six points it puts the border at 3.5, between the two
// kinds. So far, so good.
static void a_line(Chapter& chapter) {
  chapter.section("A line that answers the wrong question");
  chapter.say(
      "Six messages, x words in capitals. 1, 2, 3 were wanted (0), 4, 5, 6 were "
      "junk (1). We fit a straight line to these labels; above 1/2 means junk.");

  // Least squares for one input: slope and height at the mean. The border is where the line passes through one half.
  struct Line {
    double slope, x_mean, y_mean;
    double operator()(double x) const { return y_mean + slope * (x - x_mean); }
    double border() const { return x_mean + (0.5 - y_mean) / slope; }
  };
  auto fit = [](const Tensor& x, const Tensor& y) {
    Tensor dx = x - mean(x), dy = y - mean(y);  // (n,)
    return Line{(sum(dx * dy) / sum(dx * dx)).item(), mean(x).item(),
                mean(y).item()};
  };
  Tensor x = tensor({1, 2, 3, 4, 5, 6, 30}, f64);  // (7,)
  Tensor y = tensor({0, 0, 0, 1, 1, 1, 1}, f64);   // (7,)
  Line six = fit(x[Slice{0, 6}], y[Slice{0, 6}]);
  chapter.check("border for six messages", 3.5, six.border());

  // Then a seventh arrives. It has 30 words in capitals and is junk, as anybody would have guessed, and as the line said
  // already.
  //
  // ? We fit the line again, to all seven. Where does its border go?
  // - [ ] it stays at 3.5, since the new message was on the right side: a line knows no sides, it was asked for 1 and said 7.3
  // - [ ] to the left, since there is more junk now: there is, but what counts is how far the line misses, and it misses upwards
  // - [x] to the right, past 4: to come down from 7.3 at $x = 30$ the line tilts, and the message with 4 capitals is let through
  Line seven = fit(x, y);
  chapter.say("At x = 30 the first line says {:.2f}. It was asked for 1.", six(30));
  chapter.claim("pulled", "one message more, no surprise, and the border moves to",
                seven.border(), near(4.4955, 1e-4), identity);
  Tensor along = linspace(0, 31, 63, f64);  // (63,)
  auto heights = [&along](const Line& line) {
    return line.y_mean + line.slope * (along - line.x_mean);
  };
  chapter.figure("line", "the best line for six messages, and for seven")
      .line(along, heights(six), "six")
      .line(along, heights(seven), "seven")
      .scatter(x, y, "messages")
      .hline(0.5, "1/2")
      .ylim(-0.5, 2)
      .axes("words in capitals", "answer");
}

// The line answers "how much?". At 30 capitals it saw an amount of 7.3, and squared error punished it for being too right. We
// asked "which one?", and to that the answer is a number between 0 and 1: a probability.
//
// # Adding up evidence
//
// What should that probability be? Write [Bayes' rule](../00_before_you_begin/main.cpp#the-blue-cab-bayes-rule) once for
// junk and once for wanted mail, and divide: the probability of what was seen, which both have below the line, falls
// out, and
//
// $$\frac{P(\text{junk} \mid \text{seen})}{P(\text{mail} \mid \text{seen})} = \frac{P(\text{junk})}{P(\text{mail})} \cdot
// \frac{P(\text{seen} \mid \text{junk})}{P(\text{seen} \mid \text{mail})} .$$
//
// Such a ratio is called the **odds**, and evidence multiplies it. Say that a message without capitals is junk with odds
// of 1 to 8, one junk message for eight wanted ones, and that every word in capitals doubles them. The logarithm turns
// the product into a sum:
//
// $$\text{odds} = \tfrac18 \cdot 2^x, \qquad \ln \text{odds} = x \ln 2 - 3 \ln 2 .$$
//
// A straight line! Evidence adds up, as long as we count in logarithms of odds. That is what we change: the line stays,
// but what it answers is the log-odds of class 1, and it may be any number. It is called the **logit**, $z = w x + b$.
//
// Odds are $p / (1 - p)$, so $e^z = p/(1-p)$. Solve for $p$ and out comes the **sigmoid**, or logistic function:
//
// $$p = \frac{1}{1 + e^{-z}} = \sigma(z) .$$
//
// A model that computes $\hat y = \sigma(w x + b)$ is called **logistic regression**. It always answers with a number
// between 0 and 1. A logit of 0 means "no idea", one of 10 "almost surely". And one of 30 is hardly more than one of 10:
// nobody is punished for being too right.
static void adding_up_evidence(Chapter& chapter) {
  chapter.section("Adding up evidence");
  chapter.say(
      "Odds of 1 to 8 without capitals, doubled by every word in capitals. With "
      "five of them the odds are 4 to 1, which is a probability of 4/5:");
  double w = std::log(2), b = -3 * std::log(2);
  Tensor five = tensor(w * 5 + b, f64);  // ln 4
  chapter.check("σ(ln 4)", 4.0 / 5, sigmoid(five).item());
  Tensor x = linspace(-2, 8, 101, f64);               // (101,)
  Tensor words = tensor({0, 1, 2, 3, 4, 5, 6}, f64);  // (7,)
  chapter
      .figure("evidence",
              "log-odds climb in a straight line; the probability follows")
      .size(760, 300)
      .panel("log-odds")
      .line(x, w * x + b)
      .scatter(words, w * words + b)
      .hline(0)
      .axes("words in capitals", "z")
      .panel("probability")
      .line(x, sigmoid(w * x + b))
      .scatter(words, sigmoid(w * words + b))
      .hline(0.5)
      .ylim(0, 1)
      .axes("words in capitals", "σ(z)");
}

// # Cross-entropy
//
// Nobody tells us $w$ and $b$; we have examples. Which $w$ and $b$ fit them best? Chapter 0's [maximum
// likelihood](../00_before_you_begin/main.cpp#maximum-likelihood-the-dial-that-makes-it-likely) says: those under which
// what happened was most probable. The model gives a label $y = 1$ the probability $\hat y$, and a label $y = 0$ the
// probability $1 - \hat y$. In one line that is $\hat y^{\,y} (1 - \hat y)^{1 - y}$, since anything to the power 0 is 1.
// For $n$ examples, drawn independently, we multiply ($\prod$ multiplies as $\sum$ adds):
//
// $$\text{likelihood} = \prod_{i=1}^{n} \hat y_i^{\,y_i}\, (1 - \hat y_i)^{1 - y_i} .$$
//
// Take minus the logarithm, so that products become sums and larger is worse, and divide by $n$. That is our loss:
//
// $$L = -\frac1n \sum_{i=1}^{n} \big( y_i \ln \hat y_i + (1 - y_i) \ln (1 - \hat y_i) \big) .$$
//
// It is the **cross-entropy** of [chapter 0](../00_before_you_begin/main.cpp#surprise-entropy): the mean surprise of
// somebody who believes the model's $\hat y$ and sees the labels of the world. (There surprise was counted in bits,
// $\log_2 (1/p)$. With the natural logarithm, $-\ln p$, slopes are simpler; a bit is 0.693 of that unit.)
//
// Why the logarithm, if both are best at the same place? Because a product of two thousand probabilities is zero to a
// computer ([chapter 0](../00_before_you_begin/main.cpp#arithmetic-that-rounds)), and zero has no slope.
static void cross_entropy_from_likelihood(Chapter& chapter) {
  chapter.section("Cross-entropy");
  chapter.say(
      "Three messages; the model says 0.5, 0.8 and 0.9, and the labels are 0, "
      "1 and 1. How likely was that? Then the same as a loss.");
  double likelihood = (1 - 0.5) * 0.8 * 0.9;  // 0.36
  double loss = -std::log(likelihood) / 3;    // 0.3406
  Tensor y_hat = tensor({0.5, 0.8, 0.9}, f64), y = tensor({0, 1, 1}, f64);  // (3,)
  Tensor surprise = -(y * log(y_hat) + (1 - y) * log(1 - y_hat));           // (3,)
  chapter.check("mean surprise", loss, mean(surprise).item());
  chapter.check("the library's loss", loss, binary_cross_entropy(y_hat, y).item());
}

// # One example, by hand
//
// One message with $x = 2$ that was junk, $y = 1$, and a guess, $w = 0.5$ and $b = -1$. The **forward pass** goes from
// left to right:
//
// $$z = w x + b, \qquad \hat y = \sigma(z), \qquad L = -\ln \hat y \quad (\text{as } y = 1).$$
static void one_example_by_hand(Chapter& chapter) {
  chapter.section("One example, by hand");
  double x = 2, y = 1;                    // one example
  double w = 0.5, b = -1;                 // two parameters, guessed
  double z = w * x + b;                   // 0
  double y_hat = 1 / (1 + std::exp(-z));  // 0.5
  double loss = -std::log(y_hat);         // ln 2 = 0.6931

  // Now the chain rule. First the slope of the sigmoid. With $u = 1 + e^{-z}$ it is $\sigma = 1/u$, so $\sigma' = -u'/u^2 =
  // e^{-z} / u^2$, and since $e^{-z} = u - 1$,
  //
  // $$\sigma'(z) = \frac{u - 1}{u^2} = \frac1u \Big(1 - \frac1u\Big) = \sigma(z)\,(1 - \sigma(z)) .$$
  //
  // Then both terms of the loss at once. The slope of $-\ln \hat y$ is $-1/\hat y$, that of $-\ln(1 - \hat y)$ is $1/(1 -
  // \hat y)$:
  //
  // $$\frac{\partial L}{\partial z} = \Big( -\frac{y}{\hat y} + \frac{1 - y}{1 - \hat y} \Big)\, \hat y\,(1 - \hat y)$$
  //
  // $$= -y\,(1 - \hat y) + (1 - y)\,\hat y = \hat y - y .$$
  //
  // Everything complicated cancels. What is left is the answer minus the label, as in chapter 1 (without its factor 2).
  // From $z = w x + b$ follow $\partial L / \partial w = (\hat y - y)\, x$ and $\partial L / \partial b = \hat y - y$.
  double dz = y_hat - y;  // -0.5
  double dw = dz * x;     // -1
  double db = dz;         // -0.5

  // One step of chapter 1's gradient descent, with learning rate 0.4: against the gradient, so both parameters go up. The
  // model now gives the right label 73 % instead of 50.
  double lr = 0.4;
  double new_w = w - lr * dw;                        // 0.9
  double new_b = b - lr * db;                        // -0.8
  double new_z = new_w * x + new_b;                  // 1
  double new_loss = std::log(1 + std::exp(-new_z));  // 0.3133
  chapter.say("Forward: z = {}, ŷ = {}, loss {:.4f}.", z, y_hat, loss);
  chapter.say("Backward: dL/dz = {}, dL/dw = {}, dL/db = {}.", dz, dw, db);
  chapter.say("One step of {}: w = {}, b = {}, loss {:.4f}.", lr, new_w, new_b,
              new_loss);

  // The library gets its gradients from a record of the forward pass, without our formula. Does it agree?
  Tensor W = tensor(w, f64).requires_grad_();
  Tensor B = tensor(b, f64).requires_grad_();
  Tensor Y = tensor(y, f64);
  Tensor L = binary_cross_entropy_with_logits(W * x + B, Y);
  std::vector<Tensor> g = grad(L, {W, B});
  chapter.check("loss", loss, L.item());
  chapter.check("dL/dw", dw, g[0].item());
  chapter.check("dL/db", db, g[1].item());
  Tensor L2 =
      binary_cross_entropy_with_logits((W - lr * g[0]) * x + (B - lr * g[1]), Y);
  chapter.check("loss after one step", new_loss, L2.item());
}

// # Why not squared error?
//
// We could keep the loss of chapter 1 and fit $\hat y = \sigma(z)$ to labels 0 and 1 with $(\hat y - y)^2$.
// Watch its gradient when the model is confidently wrong: for $y = 1$,
//
// $$\frac{\partial L}{\partial z} = 2(\hat y - 1)\,\hat y\,(1 - \hat y) \;\to\; 0 \quad\text{as}\quad z \to -\infty .$$
//
// Far on the wrong side the push dies out. Cross-entropy's gradient is $\hat y - y$: it never lets go.

// The ratio of two gradients at the point of the grid next to `at`.
static double ratio_at(const Tensor& a, const Tensor& b, const Tensor& z,
                       double at) {
  int64_t i = argmin(abs(z - at)).item<int64_t>();
  return a[i].item() / b[i].item();
}

static void why_not_squared_error(Chapter& chapter) {
  chapter.section("Why not squared error?");
  chapter.say(
      "Both losses for a label y = 1, differentiated at every logit from -10 to "
      "10. Look at the left end, where the model is confidently wrong.");
  Tensor z = linspace(-10, 10, 201).requires_grad_();  // (201,)
  Tensor y = ones_like(z);                             // (201,)

  // Differentiate both losses at every $z$ at once. The terms of the sum do not share variables, so the sum's gradient
  // is each term's own. (`Reduction::none` gives each its own loss and takes no mean.)
  Tensor squared = grad(sum(square(sigmoid(z) - y)), z);  // (201,)
  Tensor entropy = grad(
      sum(binary_cross_entropy_with_logits(z, y, Reduction::none)), z);  // (201,)
  Tensor y_hat = sigmoid(z.detach());                                    // (201,)
  chapter.check("squared error, by hand", 2 * (y_hat - 1) * y_hat * (1 - y_hat),
                squared, 1e-6);
  chapter.check("cross-entropy, by hand", y_hat - 1, entropy, 1e-6);
  chapter.figure("gradients", "gradient of the two losses when the label is 1")
      .line(z.detach(), entropy, "cross-entropy")
      .line(z.detach(), squared, "squared error")
      .axes("z", "dL/dz");

  // ? At $z = -8$, how many times harder does cross-entropy push?
  // - [ ] about 2: that is the ratio at $z = 0$
  // - [ ] about 55: that is $e^4$, half of the exponent lost
  // - [x] over 1000: $1 / (2\,\hat y (1 - \hat y))$, and $\hat y = 0.0003$
  chapter.claim("harder-push",
                "at z = -8 cross-entropy pushes 1 / (2 ŷ (1 - ŷ)) times harder",
                ratio_at(entropy, squared, z.detach(), -8), near(1491.5, 1e-3),
                identity);
}

// # Two clouds
//
// Two inputs now, so that we can see the whole model: 2000 points around $(-1, -\frac12)$ with label 0 and 2000 around
// $(1, \frac12)$ with label 1, all scattered by a normal distribution of variance 1 in each direction.
struct Points {
  Tensor x, y;  // (n, 2), (n,)
};

static Points two_clouds(uint64_t seed) {
  Generator random(seed);
  Tensor centre = tensor({1, 0.5}, f64);                 // (2,)
  Tensor zero = randn({2000, 2}, random, f64) - centre;  // (2000, 2)
  Tensor one = randn({2000, 2}, random, f64) + centre;   // (2000, 2)
  return {cat({zero, one}, 0), cat({zeros({2000}, f64), ones({2000}, f64)}, 0)};
}

// The model is a plane of logits over the plane of points, $z = w_1 x_1 + w_2 x_2 + b$. Points are rows of $X$.
struct LinearModel {
  Tensor w, b;  // (d,), ()
  Tensor logits(const Tensor& X) const {
    return matmul(X, w) + b;
  }  // (n, d) → (n,)
};

// Every example adds its own $(\hat y_i - y_i)\, x_i$ to the gradient of $w$, and the loss is a mean, so
//
// $$\frac{\partial L}{\partial w} = \frac1n \sum_i (\hat y_i - y_i)\, x_i = \tfrac1n X^\top (\hat y - y),$$
//
// $$\frac{\partial L}{\partial b} = \frac1n \sum_i (\hat y_i - y_i) .$$
//
// For squared error only the push changes: $2 (\hat y - y)\,\hat y\,(1 - \hat y)$ in place of $\hat y - y$. We write both.
using Push = Tensor (*)(const Tensor& y_hat, const Tensor& y);
static Tensor of_entropy(const Tensor& y_hat, const Tensor& y) { return y_hat - y; }
static Tensor of_squares(const Tensor& y_hat, const Tensor& y) {
  return 2 * (y_hat - y) * y_hat * (1 - y_hat);
}

static LinearModel gradient(const LinearModel& model, const Points& points,
                            Push push) {
  Tensor dz = push(sigmoid(model.logits(points.x)), points.y);  // (n,)
  return {matmul(points.x.t(), dz) / points.x.size(0), mean(dz)};
}

// Gradient descent, with nobody's help. `watch` sees the model before every step.
template <class Watch>
static LinearModel descend(LinearModel model, const Points& points, Push push,
                           int steps, double lr, Watch watch) {
  for (int step = 0; step < steps; ++step) {
    watch(model);
    LinearModel g = gradient(model, points, push);
    model = {model.w - lr * g.w, model.b - lr * g.b};
  }
  return model;
}

static LinearModel descend(const LinearModel& start, const Points& points,
                           int steps, double lr) {
  return descend(start, points, of_entropy, steps, lr, [](const LinearModel&) {});
}

// Which share of the points lies on the side of its label?
static double right(const LinearModel& model, const Points& points) {
  Tensor says_one = model.logits(points.x) > 0;  // (n,)
  return mean((says_one == (points.y > 0.5)).to(f64)).item();
}

// A grid of places in the plane, row by row from the bottom, to colour it by what a model says there.
constexpr int64_t kGrid = 61;
static Tensor places(Extent e) {
  Tensor x1 =
      linspace(e.left, e.right, kGrid, f64).reshape({1, -1}).expand({kGrid, kGrid});
  Tensor x2 =
      linspace(e.bottom, e.top, kGrid, f64).reshape({-1, 1}).expand({kGrid, kGrid});
  return stack({x1.reshape({-1}), x2.reshape({-1})}, 1);  // (61 · 61, 2)
}

// Is the formula right? The library differentiates the same loss without it, at a random $w$ and $b$.
static void two_clouds_in_the_plane(Chapter& chapter) {
  chapter.section("Two clouds");
  Points points = two_clouds(chapter.seed());
  chapter.say(
      "4000 points in the plane, two classes. First our gradient against the "
      "library's at a random place, then 500 steps of descent from zero.");
  Generator random(chapter.seed());
  LinearModel anywhere = {randn({2}, random, f64).requires_grad_(),
                          randn({}, random, f64).requires_grad_()};
  LinearModel ours = gradient(anywhere, points, of_entropy);
  std::vector<Tensor> theirs =
      grad(binary_cross_entropy_with_logits(anywhere.logits(points.x), points.y),
           {anywhere.w, anywhere.b});
  chapter.claim(
      "gradient", "the gradient by hand equals the library's: largest gap",
      std::max(largest_gap(ours.w, theirs[0]), largest_gap(ours.b, theirs[1])),
      at_most(1e-12), identity);

  // We start at zero: every logit is 0, and every probability one half.
  LinearModel model = descend({zeros({2}, f64), zeros({}, f64)}, points, 500, 0.5);
  chapter.say(
      "w = ({:.2f}, {:.2f}), b = {:.2f}; {:.1f} % of the points on their side.",
      model.w[0].item(), model.w[1].item(), model.b.item(),
      100 * right(model, points));

  // The colour is the probability of class 1, and the line is where it is one half, the **decision boundary**. It is
  // straight, because $z = 0$ is the equation of a straight line. Across it the colour changes gradually: near the
  // boundary the model says that it does not know, and there the clouds really mix.
  Extent plane = {-4, 4, -3.5, 3.5};
  Tensor probability = sigmoid(model.logits(places(plane))).reshape({kGrid, kGrid});
  auto some = [&points](int64_t first) { return points.x.narrow(0, first, 150); };
  chapter
      .figure("boundary",
              "some of the points, and the probability of class 1 as colour")
      .size(760, 380)
      .panel("the points")
      .scatter(some(0).select(1, 0), some(0).select(1, 1), "class 0")
      .scatter(some(2000).select(1, 0), some(2000).select(1, 1), "class 1")
      .contour(probability, plane, 0.5, "boundary")
      .xlim(-4, 4)
      .ylim(-3.5, 3.5)
      .axes("x₁", "x₂")
      .panel("what the model says")
      .heatmap(probability, plane)
      .contour(probability, plane, 0.1)
      .contour(probability, plane, 0.5)
      .contour(probability, plane, 0.9)
      .axes("x₁", "x₂");

  // For these clouds we can tell what the model should have found. Both have as many points, so before we look the odds
  // are 1 to 1, and a place multiplies them by the ratio of the clouds' densities there. In each direction a density is
  // chapter 0's [bell](../00_before_you_begin/main.cpp#why-squares), and exponents add: around $\mu_1$ and $\mu_0$, with
  // variance 1, the logarithm of the ratio is $-\frac12 \|x - \mu_1\|^2 + \frac12 \|x - \mu_0\|^2$. The squares of $x$
  // cancel, and what is left is $(\mu_1 - \mu_0) \cdot x$ plus a constant, here 0. So the true logit is $2 x_1 + x_2$.
  Tensor truth = tensor({2, 1, 0}, f64);                      // (3,)
  Tensor found_it = cat({model.w, model.b.reshape({1})}, 0);  // (3,)
  chapter.claim("recovered",
                "w and b of the clouds are found again: largest gap to (2, 1, 0)",
                largest_gap(found_it, truth), at_most(0.35), built_in,
                {.quick = at_most(0.35)});

  // Now the race. Both losses start from the same bad place, three times the true $w$ with its sign turned round, so
  // that most points are confidently wrong. Which has 80 % of them right first? We run it at three learning rates, so
  // that no lucky rate decides.
  auto race = [&](Push push, double lr) {
    std::vector<double> share;
    descend({tensor({-6, -3}, f64), zeros({}, f64)}, points, push,
            static_cast<int>(600 / lr), lr,
            [&](const LinearModel& m) { share.push_back(right(m, points)); });
    return share;
  };
  auto first = [](const std::vector<double>& share) {
    auto there =
        std::find_if(share.begin(), share.end(), [](double s) { return s > 0.8; });
    return static_cast<double>(there - share.begin());
  };
  Table table = chapter.table({"rate", "cross-entropy", "squared error", "ratio"});
  double least = std::numeric_limits<double>::infinity();
  std::vector<double> step, by_entropy, by_squares;  // for the figure, at 0.5
  for (double lr : {0.2, 0.5, 2.5}) {
    std::vector<double> entropy = race(of_entropy, lr),
                        squares = race(of_squares, lr);
    const double ratio = first(squares) / first(entropy);
    table.row(lr, first(entropy), first(squares), ratio);
    least = std::min(least, ratio);
    for (size_t i = 0; lr == 0.5 && i < entropy.size(); i += 1 + i / 20) {
      step.push_back(static_cast<double>(i + 1));
      by_entropy.push_back(entropy[i]);
      by_squares.push_back(squares[i]);
    }
  }
  chapter
      .figure(
          "race",
          "share of points on the right side, from a bad start, at a rate of 0.5")
      .line(step, by_entropy, "cross-entropy")
      .line(step, by_squares, "squared error")
      .log_x()
      .axes("step", "right");
  chapter.claim(
      "race",
      "at each rate squared error needs at least so many times as many steps",
      least, at_least(20), found);
}

// Round clouds and a straight boundary: that is what logistic regression is made for. Now to what it cannot do.
//
// # XOR
//
// Two switches and a lamp that is on if exactly one of them is: *exclusive or*, XOR. Four examples are all there is.
//
// | $x_1$ | $x_2$ | $y$ |
// |---|---|---|
// | 0 | 0 | 0 |
// | 0 | 1 | 1 |
// | 1 | 0 | 1 |
// | 1 | 1 | 0 |
//
// Is there a line that has the lamp's "on" on one side and its "off" on the other? Write down what $z = w_1 x_1 + w_2
// x_2 + b$ would have to do, one inequality for each example:
//
// $$b < 0, \qquad w_2 + b > 0, \qquad w_1 + b > 0, \qquad w_1 + w_2 + b < 0 .$$
//
// Add the two in the middle: $w_1 + w_2 + 2b > 0$. Add the two outer ones: $w_1 + w_2 + 2b < 0$. Both cannot be. No line does
// it, and no training will find what is not there.
static Points exclusive_or() {
  return {tensor({{0, 0}, {0, 1}, {1, 0}, {1, 1}}, f64), tensor({0, 1, 1, 0}, f64)};
}

// The corners in a figure, wherever a transform has put them: where the lamp is off, where it is on.
static Figure& draw_corners(Figure& figure, const Tensor& at) {  // (4, 2)
  Tensor off = index_select(at, 0, tensor({0, 3})),
         on = index_select(at, 0, tensor({1, 2}));
  return figure.scatter(off.select(1, 0), off.select(1, 1), "off")
      .scatter(on.select(1, 0), on.select(1, 1), "on");
}

// A proof needs no experiment. But it is good to see one agree: of a hundred thousand lines drawn at random, how many
// corners does the best get right?
static void xor_defeats_it(Chapter& chapter) {
  chapter.section("XOR");
  chapter.say(
      "Four examples: on if exactly one of two switches is. First the best of "
      "100 000 random lines, then what logistic regression makes of it.");
  Points corners = exclusive_or();
  Generator random(chapter.seed());
  Tensor lines = randn({3, 100000}, random);  // w₁, w₂ and b of each, in a column
  Tensor with_one =
      cat({corners.x, ones({4, 1}, f64)}, 1).to(DType::float32);  // (4, 3)
  Tensor says_one = matmul(with_one, lines) > 0;                  // (4, 100000)
  Tensor is_one = corners.y.reshape({4, 1}) > 0.5;                // (4, 1)
  Tensor hits = sum((says_one == is_one).to(DType::int64), {0});  // (100000,)
  chapter.claim("best-line", "of four corners the best of 100 000 lines gets right",
                amax(hits).item(), exactly(3), identity);

  // ? Logistic regression is trained on these four examples, from a random start, until nothing moves any more. What does it
  // say?
  // - [ ] three right and one wrong: a line can do that, but the more sure it is of the three, the more it pays for the fourth
  // - [x] one half, four times: opposite corners always have the same sum of logits, so what one pair gains the other loses
  // - [ ] it depends on the start: the loss of a linear model is convex, a bowl, and these four corners give it one lowest point
  LinearModel start = {randn({2}, random, f64), randn({}, random, f64)};
  LinearModel model = descend(start, corners, 5000, 0.5);
  Tensor says = sigmoid(model.logits(corners.x));  // (4,)
  chapter.claim(
      "no-idea",
      "after training: largest gap between the four answers and the prediction",
      largest_gap(says, full({4}, 0.5, f64)), at_most(1e-6), identity);

  // You can check by hand that one half is the lowest point. At $w = 0$ and $b = 0$ the errors $\hat y - y$ are $\frac12,
  // -\frac12, -\frac12, \frac12$. They add up to 0, and so do those of the two corners where $x_1 = 1$, and those where
  // $x_2 = 1$: the gradient is zero. And the loss has no other such place, because it curves upwards in every direction
  // (exercise 4 computes the curvature).
  //
  // ## Other inputs
  //
  // The line is not to blame. Ask it about the wrong inputs, and it has no answer; so give it others. How many switches
  // are on, $\varphi_1 = x_1 + x_2$, and are both, $\varphi_2 = x_1 x_2$? The four corners move to $(0, 0)$, $(1, 0)$,
  // $(1, 0)$ and $(2, 1)$, and there a line passes between them: $z = \varphi_1 - 2 \varphi_2 - \frac12$ is $-\frac12,
  // \frac12, \frac12, -\frac12$. A rule that computes new inputs from old ones is a **feature transform**, and what it
  // computes are **features**. (Chapter 1 used one: the powers of $x$.)
  auto transform = [](const Tensor& x) {
    Tensor x1 = x.select(1, 0), x2 = x.select(1, 1);  // (n,)
    return stack({x1 + x2, x1 * x2}, 1);              // (n, 2)
  };
  Tensor z = matmul(transform(corners.x), tensor({1, -2}, f64)) - 0.5;
  chapter.check("the line by hand", tensor({-0.5, 0.5, 0.5, -0.5}, f64), z);

  // Training finds such a line, too. Seen in the old plane it is no line any more: it has become two bows that keep the
  // corners apart crosswise.
  Points moved = {transform(corners.x), corners.y};
  LinearModel bent = descend({zeros({2}, f64), zeros({}, f64)}, moved, 5000, 0.5);
  Extent old_plane = {-0.5, 1.5, -0.5, 1.5}, new_plane = {-0.5, 2.5, -0.5, 1.5};
  Tensor in_old =
      sigmoid(bent.logits(transform(places(old_plane)))).reshape({kGrid, kGrid});
  Tensor in_new = sigmoid(bent.logits(places(new_plane))).reshape({kGrid, kGrid});
  Figure figure =
      chapter.figure("xor", "no line parts the corners, until they are moved");
  figure.size(760, 300).panel("before");
  draw_corners(figure, corners.x).xlim(-0.5, 1.5).ylim(-0.5, 1.5).axes("x₁", "x₂");
  figure.panel("after: a line");
  draw_corners(figure, moved.x).contour(in_new, new_plane, 0.5).xlim(-0.5, 2.5);
  figure.ylim(-0.5, 1.5).axes("how many", "both");
  figure.panel("that line, seen before");
  draw_corners(figure, corners.x).contour(in_old, old_plane, 0.5).xlim(-0.5, 1.5);
  figure.ylim(-0.5, 1.5).axes("x₁", "x₂");
  Tensor of_right = where(corners.y > 0.5, sigmoid(bent.logits(moved.x)),
                          sigmoid(-bent.logits(moved.x)));
  chapter.claim(
      "transformed",
      "with new inputs every corner's label gets at least the probability",
      amin(of_right).item(), at_least(0.9), found, {.unit = "%"});
}

// # Who finds the transform?
//
// We did, by looking. For two switches that was easy; for ten thousand pixels it is a career. But look at what the
// features were: numbers computed from the inputs. A logistic unit computes a number from its inputs. Take two units in
// place of our two formulas, and let a third one read them:
//
// $$h_1 = \sigma(w_1 \cdot x + b_1), \qquad h_2 = \sigma(w_2 \cdot x + b_2),$$
//
// $$\hat y = \sigma(v_1 h_1 + v_2 h_2 + c) .$$
//
// Units that read other units are **cascaded**. ($w_1$ now means all weights of unit 1.) In the code $s$ such cascades
// stand side by side. Read it for one, $s = 1$; `matmul` does the same for each.
struct Cascade {
  Tensor W, b;  // (s, 2, 2), (s, 2, 1): two units that read x
  Tensor v, c;  // (s, 2, 1), (s, 1): the unit that reads them
};

static Tensor features(const Cascade& m, const Tensor& x) {
  return sigmoid(matmul(m.W, x.t()) + m.b);  // (s, 2, 2) x (2, n) → (s, 2, n)
}

static Tensor logits(const Cascade& m, const Tensor& h) {
  return sum(m.v * h, {1}) + m.c;  // (s, 2, n) → (s, n)
}

// And the gradient? Nothing new is needed but one more link in the chain. The third unit is logistic regression on the
// features, so $\partial L / \partial z = (\hat y - y)/n$ and $\partial L / \partial v_j = \sum_i \partial L / \partial
// z_i \cdot h_{ij}$. Feature $h_j$ reaches the loss through $v_j$ alone: $\partial L / \partial h_j = v_j\, \partial L /
// \partial z$. And through its own sigmoid, with the slope $h_j (1 - h_j)$, we are at a linear function of $x$ again.
// Chapter 5 makes this a method.
static Cascade gradient(const Cascade& m, const Points& points) {
  Tensor h = features(m, points.x);                                   // (s, 2, n)
  Tensor dz = (sigmoid(logits(m, h)) - points.y) / points.x.size(0);  // (s, n)
  Tensor dz_of_unit = m.v * dz.unsqueeze(1) * h * (1 - h);            // (s, 2, n)
  return {.W = matmul(dz_of_unit, points.x),                          // (s, 2, 2)
          .b = sum(dz_of_unit, {2}, true),                            // (s, 2, 1)
          .v = sum(dz.unsqueeze(1) * h, {2}, true),                   // (s, 2, 1)
          .c = sum(dz, {1}, true)};                                   // (s, 1)
}

static void cascaded_units(Chapter& chapter) {
  chapter.section("Who finds the transform?");
  chapter.say(
      "Two logistic units read the switches, a third reads the two. First by "
      "hand, then trained from 200 random starts. How many find XOR?");

  // Cascades can do XOR. By hand, with steep weights: let $h_1$ ask whether any switch is on, $h_2$ whether both are, and
  // the third unit say "the first, but not the second".
  Points corners = exclusive_or();
  Cascade by_hand = {tensor({{{20, 20}, {20, 20}}}, f64),
                     tensor({{{-10}, {-30}}}, f64), tensor({{{20}, {-20}}}, f64),
                     tensor({{-10}}, f64)};
  Tensor answer =
      sigmoid(logits(by_hand, features(by_hand, corners.x)))[0];  // (4,)
  chapter.check("three units by hand", corners.y, answer, 1e-4);

  // Now from random starts. A single start would prove nothing either way, so we take 200 at once, side by side in one
  // tensor. Adding up their losses keeps them apart, for no parameter occurs in two of them.
  const int64_t starts = 200;
  Generator random(chapter.seed());
  Cascade m = {randn({starts, 2, 2}, random, f64).requires_grad_(),
               randn({starts, 2, 1}, random, f64).requires_grad_(),
               randn({starts, 2, 1}, random, f64).requires_grad_(),
               randn({starts, 1}, random, f64).requires_grad_()};
  Tensor y = corners.y.expand({starts, 4});  // (s, 4)
  auto losses = [&](const Cascade& now) {
    Tensor z = logits(now, features(now, corners.x));  // (s, 4)
    return mean(binary_cross_entropy_with_logits(z, y, Reduction::none),
                {1});  // (s,)
  };
  Cascade ours = gradient(m, corners);
  std::vector<Tensor> theirs = grad(sum(losses(m)), {m.W, m.b, m.v, m.c});
  chapter.claim(
      "cascade-gradient",
      "their gradients by hand equal the library's: largest gap",
      std::max({largest_gap(ours.W, theirs[0]), largest_gap(ours.b, theirs[1]),
                largest_gap(ours.v, theirs[2]), largest_gap(ours.c, theirs[3])}),
      at_most(1e-12), identity);

  // ? Two logistic units and a third that reads them *can* do XOR. We train 200 such cascades for 5000 steps, each from its own
  // random start. How many do?
  // - [ ] all: that would be so if the loss were a bowl, as it is for one unit; here some valleys lead elsewhere
  // - [ ] hardly any: gradients know nothing of switches, but from most starts some way leads downhill to the solution
  // - [x] about two in three: the others run into a place where two corners are right and the other two stay at one half
  m = {m.W.detach(), m.b.detach(), m.v.detach(), m.c.detach()};
  Cascade start = m;
  auto solved = [&](const Cascade& now) {
    Tensor says_one = logits(now, features(now, corners.x)) > 0;  // (s, 4)
    return all(says_one == (corners.y > 0.5), {1});               // (s,)
  };
  Table table = chapter.table({"steps", "solved"});
  const int steps = 5000;
  for (int step = 1; step <= steps; ++step) {
    Cascade g = gradient(m, corners);
    m = {m.W - g.W, m.b - g.b, m.v - g.v, m.c - g.c};  // learning rate 1
    if (step == 100 || step == 500 || step == 1000 || step == 2000 || step == steps)
      table.row(step, sum(solved(m).to(DType::int64)).item());
  }
  Tensor yes = solved(m);  // (s,)
  chapter.claim("learned", "of 200 random starts so many find XOR",
                mean(yes.to(f64)).item(), between(0.5, 0.85), found,
                {.quick = between(0.5, 0.85), .unit = "%"});

  // In the plane of the two features one can see what happened. (Corners that fall on each other are drawn side by
  // side.) At the start the four lie anyhow. Where it went well, the features have moved them so that a line parts "on"
  // from "off". Where it did not, two corners of different kind lie on each other, or nearly, and no line will part
  // them: they get one half each and cost $\ln 2$ each, so the mean of four stays at $\frac12 \ln 2 = 0.347$. As far as
  // we can see, these are no hollows that hold a ball but plains that go down ever more slowly; hardly any start is
  // freed between step 2000 and step 5000.
  Tensor answers = yes.to(DType::int64);
  const int64_t good = argmax(answers).item<int64_t>(),
                bad = argmin(answers).item<int64_t>();
  Figure figure =
      chapter.figure("features", "the corners as the two units see them");
  figure.size(760, 300);
  auto panel = [&](const std::string& title, const Cascade& now, int64_t s) {
    Cascade one = {now.W.narrow(0, s, 1), now.b.narrow(0, s, 1),
                   now.v.narrow(0, s, 1), now.c.narrow(0, s, 1)};
    Extent square = {-0.1, 1.1, -0.1, 1.1};
    Tensor z = logits(one, places(square).t().unsqueeze(0)).reshape({kGrid, kGrid});
    Tensor at = features(one, corners.x)[0].t().clone();  // (4, 2)
    for (int64_t i = 1; i < 4; ++i) {
      for (int64_t j = 0; j < i; ++j) {
        if (largest_gap(at[i], at[j]) < 0.03) at[{i, 0}] = at[{i, 0}].item() - 0.05;
      }
    }
    figure.panel(title);
    draw_corners(figure, at).contour(z, square, 0);
    figure.xlim(-0.1, 1.1).ylim(-0.1, 1.1).axes("h₁", "h₂");
  };
  panel("at the start", start, good);
  panel("solved", m, good);
  panel("another one, stuck", m, bad);
  Tensor stuck = losses(m).index({~yes});
  chapter.claim("stuck", "the others' median loss", median(stuck).item(),
                near(0.3466, 0.05), found, {.quick = near(0.3466, 0.05)});
}

// # Softmax
//
// Mail is wanted or junk, but a digit is one of ten. Give each of $k$ classes a row of weights and a logit of its own,
// $z_c = w_c \cdot x + b_c$, or all at once $z = W x + b$: that is a **linear classifier**. Its answer is the class with
// the highest logit. What are the probabilities?
//
// Ask of any two classes what we asked of wanted mail and junk: let the difference of their logits be the logarithm of
// their odds, $\ln (p_c / p_j) = z_c - z_j$. Then every $p_c$ is the same number times $e^{z_c}$, and since probabilities
// add up to one,
//
// $$p_c = \frac{e^{z_c}}{\sum_j e^{z_j}} .$$
//
// This is **softmax**. For two classes it is the sigmoid of the difference: divide top and bottom by $e^{z_1}$, and $p_1
// = 1 / (1 + e^{-(z_1 - z_0)})$. Adding the same number to all logits changes no probability; only differences count.
//
// The loss is once more minus the logarithm of what the right class $r$ was given, and the logarithm undoes the
// exponential:
//
// $$L = -\ln p_r = \ln \sum_j e^{z_j} - z_r .$$
//
// Differentiate it. The sum's logarithm has the slope $e^{z_c} / \sum_j e^{z_j}$, which is $p_c$, and $z_r$ counts for
// the right class only. With the **one-hot** label $y$, which is 1 at the right class and 0 elsewhere,
//
// $$\frac{\partial L}{\partial z} = p - y .$$
//
// The answer minus the label, for the third time.
static void softmax_by_hand(Chapter& chapter) {
  chapter.section("Softmax");
  chapter.say(
      "Three classes with the logits ln 6, ln 3 and 0; the second is right. On "
      "paper: p = (0.6, 0.3, 0.1), loss -ln 0.3, gradient (0.6, -0.7, 0.1).");
  Tensor z = log(tensor({6, 3, 1}, f64)).requires_grad_();  // (3,)
  Tensor label = tensor(1);                 // the label, counted from 0
  Tensor p = tensor({0.6, 0.3, 0.1}, f64);  // 6/10, 3/10, 1/10
  Tensor y = tensor({0, 1, 0}, f64);
  Tensor loss = cross_entropy(z, label);
  chapter.check("p", p, softmax(z.detach(), 0));
  chapter.check("loss", -std::log(0.3), loss.item());
  chapter.check("dL/dz", p - y, grad(loss, z));

  // One step against the gradient, with rate 1, gives the right class more and takes it from the others, most from the
  // one that was most wrongly believed. The gradient's numbers add up to zero, so the logits keep their sum.
  Tensor after = softmax(z.detach() - (p - y), 0);  // (3,)
  chapter.say("After one step p = ({:.2f}, {:.2f}, {:.2f}).", after[0].item(),
              after[1].item(), after[2].item());
  Tensor two = softmax(tensor({0.5, 2}, f64), 0)[1];
  chapter.check("two classes: softmax is a sigmoid", 1 / (1 + std::exp(-1.5)),
                two.item());
}

// # Why losses take logits
//
// In most libraries the loss wants logits and not probabilities. It seems roundabout: we have $\hat y$, why not take its
// logarithm? Let us do that, in float32, as one would write it down.
static Tensor naive_loss(const Tensor& z, const Tensor& y) {
  Tensor y_hat = 1 / (1 + exp(-z));
  return -(y * log(y_hat) + (1 - y) * log(1 - y_hat));
}

// For a label 0 the loss is $\ln (1 + e^z)$, and for large logits that is nearly $z$: a logit of 1000 should cost 1000.
// But $e^{1000}$ is beyond float32, which ends at about $3.4 \cdot 10^{38} = e^{88.7}$.
//
// ? The label is 0. We raise the logit by one at a time. Where does the formula above first say "infinite", in float32?
// - [ ] at 1000 or so: a thousand is far too large, but we are not that lucky
// - [ ] at 89, where $e^z$ leaves float32: the formula takes $e^{-z}$, which goes quietly to zero there
// - [x] at 17: $1 + e^{-17}$ is rounded to 1, so $1 - \hat y = 0$, and the logarithm of zero is $-\infty$
static void why_losses_take_logits(Chapter& chapter) {
  chapter.section("Why losses take logits");
  chapter.say(
      "The loss of a logit z for both labels, in float32: from the formula as it "
      "stands, and from the library. Both should be finite everywhere.");
  Tensor z = tensor({-1000, -100, -10, 0, 10, 100, 1000}, DType::float32);  // (7,)
  Tensor zero = zeros_like(z), one = ones_like(z);
  Tensor naive_0 = naive_loss(z, zero), naive_1 = naive_loss(z, one);
  Tensor stable_0 = binary_cross_entropy_with_logits(z, zero, Reduction::none);
  Tensor stable_1 = binary_cross_entropy_with_logits(z, one, Reduction::none);
  Table table = chapter.table(
      {"z", "y = 0: naive", "y = 0: library", "y = 1: naive", "y = 1: library"});
  for (int64_t i = 0; i < 7; ++i) {
    table.row(z[i].item(), naive_0[i].item(), stable_0[i].item(), naive_1[i].item(),
              stable_1[i].item());
  }
  Tensor count = arange(0, 100).to(DType::float32);               // (100,)
  Tensor infinite = isinf(naive_loss(count, zeros_like(count)));  // (100,)
  chapter.claim(
      "infinite", "the naive loss of label 0 is infinite from this logit on",
      static_cast<double>(argmax(infinite.to(DType::int64)).item<int64_t>()),
      exactly(17), identity);

  // It gets worse. For the label 1 and a logit of 1000 the model is perfectly right and the loss should be 0; the formula
  // says NaN, not a number, because $(1 - y) \ln (1 - \hat y)$ is $0 \cdot (-\infty)$. One such example, and the mean
  // loss, the gradient and after the next step every weight are NaN. At $\pm 1000$, with both labels, the formula finds
  // no finite number at all.
  Tensor ends = tensor({-1000, 1000}, DType::float32);  // (2,)
  Tensor four = cat({naive_loss(ends, zeros({2})), naive_loss(ends, ones({2}))}, 0);
  chapter.claim(
      "naive-finite", "finite among the naive loss's four answers at ±1000",
      static_cast<double>(sum(isfinite(four).to(DType::int64)).item<int64_t>()),
      exactly(0), identity);

  // ## From the logit
  //
  // The cure is to do on paper what the computer does badly. For a sum of exponentials, take the largest exponent $m$ out
  // first; this is called the **log-sum-exp** trick:
  //
  // $$\ln \sum_j e^{z_j} = m + \ln \sum_j e^{z_j - m}, \qquad m = \max_j z_j .$$
  //
  // Nothing can overflow, since no exponent is above zero, and the sum cannot vanish, since one of its terms is 1. For
  // two classes, with logits $z$ and 0, it reads $\ln (1 + e^z) = \max(z, 0) + \ln (1 + e^{-|z|})$, which is the loss of
  // label 0; label 1 takes off $z$. But that takes the *logit*. Once it has been squeezed into $\hat y = 1$, it is gone.
  Tensor fine = linspace(0, 25, 1001);                            // (1001,)
  Tensor by_hand = clamp(fine, 0, 1e9) + log1p(exp(-abs(fine)));  // (1001,)
  Tensor naive = naive_loss(fine, zeros_like(fine));              // (1001,)
  Tensor nan = full_like(fine, std::numeric_limits<double>::quiet_NaN());
  chapter.figure("overflow", "the loss of label 0 in float32")
      .line(fine, by_hand, "from the logit")
      .line(fine, where(isfinite(naive), naive, nan), "from the probability")
      .axes("z", "loss");
  // Is it exact? For logits from -80 to 700 the plain formula survives in float64, and can judge ours in float32.
  Tensor wide = linspace(-80, 700, 2001);                      // (2001,)
  Tensor exact = log1p(exp(wide.to(f64)));                     // (2001,)
  Tensor ours = clamp(wide, 0, 1e9) + log1p(exp(-abs(wide)));  // (2001,)
  chapter.claim(
      "log-sum-exp",
      "our float32 loss from logits against float64: largest relative gap",
      amax(abs(ours.to(f64) - exact) / exact).item(), at_most(1e-6), identity);
  Tensor three = logsumexp(tensor({1000, 0, -1000}, DType::float32), {0});
  chapter.check("ln(e^1000 + e^0 + e^-1000), in float32", 1000, three.item());
  Tensor truth = tensor({0, 1000, 1000, 0}, DType::float32);  // (4,)
  Tensor stable =
      cat({binary_cross_entropy_with_logits(ends, zeros({2}), Reduction::none),
           binary_cross_entropy_with_logits(ends, ones({2}), Reduction::none)},
          0);
  chapter.claim("stable",
                "the library's four answers at ±1000: largest gap to 0 or 1000",
                largest_gap(stable, truth), at_most(1e-4), identity);
}

// # Ten digits
//
// Now for something with ten classes: digits. The program draws its own, with random pen, slant and scale, and stray
// marks among them. A picture has 28 times 28, that is 784 pixels, from 0 for paper to 1 for ink; we put them in a row
// and forget which was beside which. So $W$ is $(10, 784)$, and with the ten biases there are 7850 numbers to be found.
static data::TrainTest as_rows(data::TrainTest digits) {
  digits.train.inputs = digits.train.inputs.flatten(1);  // (n, 28, 28) → (n, 784)
  digits.test.inputs = digits.test.inputs.flatten(1);
  return digits;
}

static data::TrainTest draw_digits(int64_t n_train, int64_t n_test, uint64_t seed) {
  Generator writers(seed);
  return {data::make_digits(n_train, writers),
          data::make_digits(n_test, writers, n_train)};
}

struct LinearClassifier {
  Tensor W, b;  // (k, d), (k,)
  Tensor operator()(const Tensor& X) const {
    return matmul(X, W.t()) + b;
  }  // (n, d) → (n, k)
};

// The gradient, for $n$ pictures as rows of $X$ and their one-hot labels as rows of $Y$. Logit $c$ of picture $i$ is
// $z_{ic} = \sum_j W_{cj} X_{ij} + b_c$, so weight $W_{cj}$ hears from every picture: $\sum_i (P - Y)_{ic}\, X_{ij} / n$.
// As matrices,
//
// $$\frac{\partial L}{\partial W} = \tfrac1n (P - Y)^\top X, \qquad \frac{\partial L}{\partial b} = \tfrac1n \sum_i (P - Y)_i .$$
//
// Read it as a recipe: against the gradient, the weights of class $c$ get a little of every picture of a $c$ that was not
// fully believed, and lose a little of every other picture that was taken for a $c$. The softmax in it takes the largest
// logit off first.
static LinearClassifier gradient(const LinearClassifier& model, const Tensor& X,
                                 const Tensor& Y) {
  Tensor Z = model(X);                       // (n, k)
  Tensor E = exp(Z - amax(Z, {1}, true));    // (n, k)
  Tensor error = E / sum(E, {1}, true) - Y;  // (n, k): P - Y
  return {matmul(error.t(), X) / X.size(0),
          mean(error, {0})};  // (k, n) x (n, d) → (k, d)
}

static LinearClassifier zero_classifier(Device device,
                                        DType type = DType::float32) {
  return {zeros({10, 784}, type).to(device), zeros({10}, type).to(device)};
}

// The **accuracy** is the share of pictures whose highest logit is that of the right class.
static double accuracy(const LinearClassifier& model, const data::Dataset& digits) {
  auto [x, y] = digits.to(model.W.device());  // (n, 784), (n,)
  return mean((argmax(model(x), 1) == y).to(DType::float32)).item();
}

// One thing is new. In the plane every step looked at all the points. Here a step that looks at all pictures takes
// nearly as long as two hundred steps that look at a hundred each, and a hundred drawn at random point in nearly the
// same direction: the mean over a sample is the mean over all, plus noise ([chapter
// 0](../00_before_you_begin/main.cpp#a-die-expectation-and-variance)). So each step takes the next hundred, and when all
// have had their turn, an **epoch**, they are shuffled. Chapter 5 weighs what that costs and brings.
constexpr int64_t kBatch = 100;

struct History {
  std::vector<double> epoch, test, train;  // accuracies after each epoch
};

static LinearClassifier train(Chapter& chapter, const std::string& name,
                              const data::TrainTest& digits, History& history) {
  const int64_t epochs = chapter.option("epochs");
  const double lr = chapter.option("lr");
  LinearClassifier model = zero_classifier(chapter.device());
  data::DataLoader batches(digits.train, {.batch_size = kBatch, .shuffle = true},
                           Generator(chapter.seed()));

  // Whatever the loop changes is saved now and then. Press Ctrl-C in a long run, and go on another day with `--resume`.
  Training run = chapter.training(name, epochs * batches.size(), "updates");
  run.keep("W", model.W).keep("b", model.b).keep("batches", batches);
  run.keep("epoch", history.epoch)
      .keep("test", history.test)
      .keep("train", history.train);
  for (int64_t step : run) {
    auto [x, y] = batches.next().to(chapter.device());  // (100, 784), (100,)
    LinearClassifier g = gradient(model, x, one_hot(y, 10, DType::float32));
    model.W.sub_(lr * g.W);
    model.b.sub_(lr * g.b);
    if ((step + 1) % batches.size() != 0) continue;
    history.epoch.push_back(static_cast<double>((step + 1) / batches.size()));
    history.test.push_back(accuracy(model, digits.test));
    history.train.push_back(accuracy(model, digits.train));
    run.show("test", history.test.back());
    chapter.say(
        "epoch {}: {:.1f} % of the training digits, {:.1f} % of the test digits",
        history.epoch.back(), 100 * history.train.back(),
        100 * history.test.back());
  }
  return model;
}

static const std::vector<std::string> kNames = {"0", "1", "2", "3", "4",
                                                "5", "6", "7", "8", "9"};

static void ten_digits(Chapter& chapter) {
  chapter.section("Ten digits");
  const int64_t n = chapter.pick(4000, 20000, 20000);
  const int64_t n_test = chapter.pick(2000, 5000, 5000);
  data::TrainTest digits = as_rows(draw_digits(n, n_test, chapter.seed()));
  chapter.say("{} digits to learn from, {} others to be tested on, 7850 weights.",
              n, n_test);
  chapter.figure("drawn", "thirty of the digits that the program has drawn")
      .images(digits.train.inputs.narrow(0, 0, 30).reshape({30, 28, 28}), 10);

  // First our formula against the library's gradient, on 50 digits, at random weights and in float64.
  Generator random(chapter.seed());
  LinearClassifier anywhere = {
      nn::normal({10, 784}, 0, 0.1, random, f64).requires_grad_(),
      nn::normal({10}, 0, 0.1, random, f64).requires_grad_()};
  Tensor few = digits.train.inputs.narrow(0, 0, 50).to(f64);  // (50, 784)
  Tensor labels = digits.train.targets.narrow(0, 0, 50);      // (50,)
  LinearClassifier ours = gradient(anywhere, few, one_hot(labels, 10, f64));
  std::vector<Tensor> theirs =
      grad(cross_entropy(anywhere(few), labels), {anywhere.W, anywhere.b});
  chapter.claim(
      "softmax-gradient",
      "all 7850 gradients by hand equal the library's: largest gap",
      std::max(largest_gap(ours.W, theirs[0]), largest_gap(ours.b, theirs[1])),
      at_most(1e-12), identity);

  // We start at zero. The loss is convex, so there is no valley to be caught in, and zero is as good a start as any;
  // better than a random one, which would stay in the pixels that never have ink. (In chapter 5 it will be a mistake.)
  // At zero every class has the probability 1/10, so the loss is $\ln 10$, whatever the digits are.
  LinearClassifier nothing = zero_classifier(Device::cpu, f64);
  chapter.check("loss at zero", std::log(10),
                cross_entropy(nothing(few), labels).item());
  History history;
  LinearClassifier model = train(chapter, "digits", digits, history);
  chapter.claim("digits", "the linear classifier reads new digits",
                history.test.back(), at_least(0.87), found,
                {.quick = at_least(0.78), .unit = "%"});
  chapter.figure("learning", "how many digits are read rightly")
      .line(history.epoch, history.train, "training")
      .line(history.epoch, history.test, "test")
      .axes("epoch", "accuracy");

  // Each class has 784 weights, one for each pixel: a picture. It is called the class's **template**, since the logit is
  // what we get by laying it over the digit and adding up the weights under the ink.
  //
  // ? What does the template of 0 have in the middle, where a 0 has no ink?
  // - [ ] about zero, since no 0 has ink there and nothing can be learned: nothing about zeros, but other digits do have ink there
  // - [x] negative weights: ink in the middle speaks against a 0
  // - [ ] positive weights, to fill the ring: a weight says what *ink* at its place would mean
  Tensor templates = model.W.reshape({10, 28, 28}).to(Device::cpu);
  Tensor middle = templates[{0, Slice{12, 16}, Slice{12, 16}}];  // (4, 4)
  chapter
      .figure("templates",
              "where ink speaks for a class (blue) and against it (red)")
      .images(templates, 5, kNames);
  chapter.claim("hole", "mean weight in the middle of the template of 0",
                mean(middle).item(), at_most(-0.4), found,
                {.quick = at_most(-0.2)});
}

// One template has to fit every way to write a digit, which is too much to ask. Chapter 5 gives each class more than one,
// and they will be cascaded units, as in XOR.
//
// # Digits that people wrote
//
// MNIST has 60 000 digits to learn from and 10 000 to be tested on, from employees of the American census office and
// from school students. `./run 03 --full` reads {claim:mnist} of the test digits. Nothing changes but the pictures: the
// rate and the number of epochs were chosen by hand, on drawn digits.
static void mnist(Chapter& chapter) {
  chapter.section("Digits that people wrote");
  data::TrainTest digits = as_rows(data::mnist(chapter.data_dir().string()));
  chapter.say("{} digits to learn from, {} to be tested on.", digits.train.size(),
              digits.test.size());
  History history;
  LinearClassifier model = train(chapter, "mnist", digits, history);
  chapter.claim("mnist", "the linear classifier reads MNIST's test digits",
                history.test.back(), at_least(0.92), found,
                {.at = Size::full, .unit = "%"});
  chapter.figure("mnist-learning", "how many of MNIST's digits are read rightly")
      .line(history.epoch, history.train, "training")
      .line(history.epoch, history.test, "test")
      .axes("epoch", "accuracy");
  chapter.figure("mnist-templates", "templates of digits that people wrote")
      .images(model.W.reshape({10, 28, 28}), 5, kNames);
}

// # Break it
//
// Two bugs that are hard to see, because the program runs, the loss falls and nothing complains. `./run 03 --break
// softmax-twice` and `./run 03 --break clamped` show them beside the healthy run: 2000 drawn digits, 1000 steps from zero
// at a rate of 0.1. The library differentiates whatever loss we wrote, mistakes included.
using Loss = Tensor (*)(const Tensor& z, const Tensor& labels);  // (n, k), (n,)

struct Ward {
  LinearClassifier model;
  data::TrainTest digits;
  std::vector<double> losses;       // of every step
  std::vector<double> step, right;  // every 20th, and the share of training digits
};

static Ward run_small(const Chapter& chapter, Loss loss_of, double ink) {
  Ward ward;
  ward.model = zero_classifier(chapter.device());
  ward.digits = as_rows(draw_digits(2000, 2000, chapter.seed()));
  ward.digits.train.inputs = ink * ward.digits.train.inputs;
  ward.digits.test.inputs = ink * ward.digits.test.inputs;
  data::DataLoader batches(ward.digits.train,
                           {.batch_size = kBatch, .shuffle = true},
                           Generator(chapter.seed()));
  for (int step = 0; step < 1000; ++step) {
    auto [x, y] = batches.next().to(chapter.device());  // (100, 784), (100,)
    LinearClassifier at = {ward.model.W.detach().requires_grad_(),
                           ward.model.b.detach().requires_grad_()};
    Tensor loss = loss_of(at(x), y);
    std::vector<Tensor> g = grad(loss, {at.W, at.b});
    ward.model = {at.W.detach() - 0.1 * g[0], at.b.detach() - 0.1 * g[1]};
    ward.losses.push_back(loss.item());
    if (step % 20 != 0) continue;
    ward.step.push_back(step + 1);
    ward.right.push_back(accuracy(ward.model, ward.digits.train));
  }
  return ward;
}

static Tensor healthy(const Tensor& z, const Tensor& labels) {
  return cross_entropy(z, labels);
}

// ## Softmax twice
//
// A model should answer with probabilities, so its last line is a softmax. The loss for classes is `cross_entropy`. Each
// is right; together they are wrong, because `cross_entropy` has a softmax inside and takes the probabilities for logits.
//
// ? Ten classes, and softmax is taken twice. How low can the loss get?
// - [ ] to 0: for that the right logit has to grow without end, and these end at 1
// - [x] to 1.46: the best "logits" are 1 for the right class and 0 for the nine others, and $\ln(e + 9) - 1 = 1.46$
// - [ ] not below 2.30: $\ln 10$ is the loss of who knows nothing, and the bug leaves something to learn
static Tensor softmax_within(const Tensor& z, const Tensor& labels) {
  return cross_entropy(softmax(z, 1), labels);
}

static void softmax_twice(Chapter& chapter) {
  chapter.section("Broken: softmax twice");
  chapter.say(
      "Two classifiers from the same start, 1000 steps. One loss gets logits, the "
      "other gets probabilities and takes them for logits. Compare the losses.");
  Ward well = run_small(chapter, healthy, 1),
       ill = run_small(chapter, softmax_within, 1);
  const double lowest = std::log(std::exp(1.0) + 9) - 1;
  chapter.figure("softmax-twice", "the loss when softmax is taken twice")
      .line(well.losses, "healthy")
      .line(ill.losses, "softmax twice")
      .hline(lowest, "ln(e + 9) - 1")
      .axes("step", "loss");
  chapter.claim("floor", "the lowest loss of 1000 steps",
                *std::min_element(ill.losses.begin(), ill.losses.end()),
                at_least(1.4611), identity, {.symptom_of = "softmax-twice"});
  auto at_the_end = [](const Ward& ward) {
    return mean(from_vector(ward.losses)[Slice{900, 1000}]).item();
  };
  chapter.claim("still-high", "its mean over the last hundred steps",
                at_the_end(ill), between(1.7, 1.95), found,
                {.symptom_of = "softmax-twice"});
  chapter.claim("healthy-loss", "the same of the healthy run", at_the_end(well),
                at_most(0.6), found, {.symptom_of = "softmax-twice"});

  // What makes it so hard to see is that it learns. The highest probability is where the highest logit is, so the
  // accuracy is an honest one, and it rises. It is only late: a second softmax multiplies the push by slopes $p\,(1 -
  // p)$, just as squared error does, and where the model is sure of the wrong class that is nearly nothing. The sign is
  // a loss that never comes below 1.46, however long one trains. After our 1000 steps it is still at {claim:still-high},
  // where the healthy one has long passed that floor, at {claim:healthy-loss}.
  chapter.claim("late", "after as many steps it misreads so many times as many",
                (1 - accuracy(ill.model, ill.digits.test)) /
                    (1 - accuracy(well.model, well.digits.test)),
                at_least(1.2), found, {.symptom_of = "softmax-twice"});
}

// ## A clamped logarithm
//
// Somebody forgot to scale the pixels: they go from 0 to 255. After one step the logits are huge, the right class often
// has the probability 0, and the loss is infinite. So somebody else mended it, as one finds it mended in many a program:
// no probability below $10^{-7}$.
static Tensor clamped(const Tensor& z, const Tensor& labels) {
  Tensor p = gather(softmax(z, 1), 1, labels.reshape({-1, 1}));  // (n, k) → (n, 1)
  return -mean(log(clamp(p, 1e-7, 1)));
}

// The loss is finite again. And the slope of a clamped number is zero: what was most wrong has stopped pushing. We give
// the same large pixels to both losses.
static void clamped_logarithm(Chapter& chapter) {
  chapter.section("Broken: a clamped logarithm");
  chapter.say(
      "Pixels from 0 to 255. One loss is computed from logits, the other from "
      "probabilities that are kept above 1e-7. Compare what they learn to read.");
  Ward well = run_small(chapter, healthy, 255),
       ill = run_small(chapter, clamped, 255);
  chapter.figure("clamped", "how many of the training digits are read rightly")
      .line(well.step, well.right, "from logits")
      .line(ill.step, ill.right, "clamped")
      .axes("step", "right");
  chapter.claim("clamped-right",
                "percentage points by which the loss from logits reads more digits",
                100 * (accuracy(well.model, well.digits.train) -
                       accuracy(ill.model, ill.digits.train)),
                at_least(50), found, {.symptom_of = "clamped"});

  // Of the digits that it misreads, how many could still teach it something? We ask the library for the gradient in the
  // logits of each.
  data::Dataset digits = ill.digits.train.to(chapter.device());
  Tensor z = ill.model(digits.inputs).requires_grad_();               // (2000, 10)
  Tensor push = grad(clamped(z, digits.targets), z);                  // (2000, 10)
  Tensor misread = argmax(z.detach(), 1) != digits.targets;           // (2000,)
  Tensor silent = logical_and(misread, amax(abs(push), {1}) == 0.0);  // (2000,)
  chapter.claim("silent", "of the misread digits so many push with exactly zero",
                sum(silent.to(f64)).item() / sum(misread.to(f64)).item(),
                at_least(0.8), found, {.symptom_of = "clamped", .unit = "%"});
}

// Note that the loss from logits needed no scaled pixels to get through. (It learns better with them all the same;
// chapter 11 says why.)
//
// # Do you remember?
//
// Three questions about chapter 0: what is asked again is remembered.
//
// ? The chain rule. $u = x^2$ and $y = 3u$. At $x = 2$ we nudge $x$ by 0.01. By how much does $y$ move?
// - [ ] about 0.03: that is the second step's slope alone, as if $u$ had moved by 0.01
// - [ ] about 0.04: that is how far $u$ moves, and $y$ moves three times as far
// - [x] about 0.12: the slopes multiply, $4 \cdot 3$
//
// ? Bayes. One in a thousand has a disease. A test is right 99 times in 100, for the sick and the healthy. Yours is positive.
// How likely are you sick?
// - [ ] 99 %: that is how likely a sick person's test is positive, which is another question
// - [x] about 9 %: the odds of 1 to 999 are multiplied by 99, and 99 to 999 is about one in ten
// - [ ] 0.1 %: so it was before the test, and a positive one multiplies the odds by 99
//
// ? Entropy. A fair coin, and one that falls heads nine times in ten. Which has the larger entropy?
// - [x] the fair one: entropy is the *mean* surprise, 1 bit here and 0.47 there
// - [ ] the other one, because its tails are such a surprise: they are, 3.32 bits, but they are rare
// - [ ] both the same, there are two sides: the number of sides limits the entropy, the probabilities make it
static void story(Chapter& chapter) {
  if (chapter.broken("softmax-twice")) return softmax_twice(chapter);
  if (chapter.broken("clamped")) return clamped_logarithm(chapter);
  a_line(chapter);
  adding_up_evidence(chapter);
  cross_entropy_from_likelihood(chapter);
  one_example_by_hand(chapter);
  why_not_squared_error(chapter);
  two_clouds_in_the_plane(chapter);
  xor_defeats_it(chapter);
  cascaded_units(chapter);
  softmax_by_hand(chapter);
  why_losses_take_logits(chapter);
  ten_digits(chapter);
  if (chapter.full()) mnist(chapter);
  chapter.section("Break it");
  chapter.say(
      "Two bugs are planted in this program. Guess what each does to a training "
      "run, and look: --break softmax-twice, --break clamped.");
}

// What the program is called, which options it takes, and which claims a run has to make.
int main(int argc, char** argv) {
  return run_chapter(
      argc, argv,
      {.number = 3,
       .name = "logistic_regression",
       .title = "Logistic regression",
       .question =
           "A straight line answers \"how much?\". What do we change, and what must "
           "we not keep, to answer \"which one?\"",
       .full =
           "the default run, and the linear classifier on MNIST: a quarter of a minute",
       .options = {{"epochs", book::PerSize{5, 20, 20}, "passes through the digits",
                    1, 1000},
                   {"lr", 0.2, "learning rate for them", 0, 100}},
       .breaks = {{"softmax-twice", "the loss takes logits and gets probabilities"},
                  {"clamped",
                   "the loss takes the logarithm of clamped probabilities"}},
       .claims = {"pulled",
                  "harder-push",
                  "gradient",
                  "recovered",
                  "race",
                  "best-line",
                  "no-idea",
                  "transformed",
                  "cascade-gradient",
                  "learned",
                  "stuck",
                  "infinite",
                  "naive-finite",
                  "log-sum-exp",
                  "stable",
                  "softmax-gradient",
                  "digits",
                  "hole",
                  {"mnist", Size::full}},
       .data = "MNIST",
       .full_needs = {"mnist/train-images-idx3-ubyte.gz",
                      "mnist/train-labels-idx1-ubyte.gz",
                      "mnist/t10k-images-idx3-ubyte.gz",
                      "mnist/t10k-labels-idx1-ubyte.gz"},
       .headline = "mnist"},
      story);
}
