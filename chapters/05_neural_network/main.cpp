// This file is the whole chapter, in the order in which one reads it. It needs the library and nothing else. What is meant
// to be exact is computed in float64, and held to its counterpart by the largest gap between two tensors.
#include "book/chapter.hpp"
#include "chainrule.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>

using namespace cr;

constexpr DType f64 = DType::float64;

static double largest_gap(const Tensor& a, const Tensor& b) {
  return amax(abs(a - b)).item();
}

// # A line does not bend
//
// Three points make a V: $(-1, 1)$, $(0, 0)$ and $(1, 1)$. Fit the straight line of chapter 1 to them. It lies flat at
// $\hat y = 2/3$: give it a slope, and it misses one of the outer points by as much more as it comes closer to the other,
// and squares punish the larger miss. Its mean squared error is $(1/9 + 4/9 + 1/9)/3 = 2/9$, and no line does better.
static void a_line_does_not_bend(Chapter& chapter) {
  chapter.section("A line does not bend");
  chapter.say(
      "Three points in a V: (-1, 1), (0, 0), (1, 1). First the best straight "
      "line, then two lines with a bend in them.");
  Tensor x = tensor({-1, 0, 1}, f64);      // (3,)
  Tensor y = tensor({1, 0, 1}, f64);       // (3,)
  Tensor slope = sum(x * y) / sum(x * x);  // least squares: the mean of x is 0
  chapter.check("error of the best line", 2.0 / 9,
                mse_loss(slope * x + mean(y), y).item());

  // Do more lines help, one fed into the next? Put $u = 2x + 1$ into $3u - 4$. Out comes $6x - 1$: a line again. Fifty
  // lines and any way to mix them are no better, because $W_2 (W_1 x) = (W_2 W_1)\, x$ and the product $W_2 W_1$ is just
  // another matrix. (Biases do not help: they add up to one more constant.) Here are both sides for a random choice of fifty
  // lines. In the code each $x$ is a row, so every matrix is transposed and the order turns round.
  Generator random(chapter.seed());
  Tensor first = randn({1, 50}, random, f64);   // W₁ᵀ: from x to fifty lines
  Tensor second = randn({50, 1}, random, f64);  // W₂ᵀ: from fifty lines to one
  Tensor many = linspace(-2, 2, 401, f64).reshape({-1, 1});  // (401, 1)
  Tensor stacked = matmul(matmul(many, first), second);      // (401, 1)
  Tensor one_line = matmul(many, matmul(first, second));     // (401, 1)
  chapter.claim("still-a-line",
                "fifty lines fed into a line make one line: largest gap",
                largest_gap(stacked, one_line), at_most(1e-12), identity);

  // So something has to bend. The smallest bend there is goes by the name of **ReLU** (*rectified linear unit*):
  //
  // $$\mathrm{relu}(z) = \max(0, z) .$$
  //
  // Left of zero it is flat, right of zero it is the line $z$. Two of them, one facing each way, pass through all three
  // points of the V: $\mathrm{relu}(x) + \mathrm{relu}(-x) = |x|$.
  chapter.check("relu(x) + relu(-x)", y, relu(x) + relu(-x));
}

// That is the whole plan of this chapter: many lines, each bent, added up. What is left is to find out where each
// should bend. Nobody wants to do that by hand for a thousand lines, so we do it by hand for one, and watch closely.
//
// # One unit, by hand
//
// The smallest network that has something to bend takes one input $x$, multiplies it by a **weight** $w$, bends, and
// multiplies by a second weight $v$:
//
// $$z = w x, \qquad h = \mathrm{relu}(z), \qquad \hat y = v h, \qquad L = (\hat y - y)^2 .$$
//
// The number $h$ is a **hidden unit**, also called a neuron. It is hidden because it is neither what we put in nor what we
// ask for: the data never say what $h$ should be. They only say that for $x = 2$ we want $y = 1$.
static void one_unit_by_hand(Chapter& chapter) {
  chapter.section("One unit, by hand");
  double x = 2, y = 1;    // one example
  double w = 0.5, v = 3;  // two parameters, guessed

  // The **forward pass** computes from left to right. Take $w = 0.5$ and $v = 3$ and do it on paper before you read the code:
  // the answer should be 1. What do we get?
  double z = w * x;                         // 1
  double h = std::max(0.0, z);              // 1
  double y_hat = v * h;                     // 3
  double loss = (y_hat - y) * (y_hat - y);  // 4

  // The **backward pass** computes from right to left. Of every number it asks: if this grew a little, how many times that
  // little would the loss grow? Chapter 0 answered by nudging. The chain rule answers without a nudge: take the answer for
  // the number to the right, and multiply by the slope of the step between them.
  //
  // $$\frac{\partial L}{\partial \hat y} = 2 (\hat y - y), \qquad
  //   \frac{\partial L}{\partial v} = \frac{\partial L}{\partial \hat y}\, h, \qquad
  //   \frac{\partial L}{\partial h} = \frac{\partial L}{\partial \hat y}\, v,$$
  //
  // $$\frac{\partial L}{\partial z} = \frac{\partial L}{\partial h} \cdot [z > 0], \qquad
  //   \frac{\partial L}{\partial w} = \frac{\partial L}{\partial z}\, x .$$
  //
  // The bracket $[z > 0]$ is 1 where that is true and else 0: the slope of relu. (At the corner itself there is no slope; we
  // take 0.)
  double dy_hat = 2 * (y_hat - y);   // 4
  double dv = dy_hat * h;            // 4
  double dh = dy_hat * v;            // 12
  double dz = dh * (z > 0 ? 1 : 0);  // 12
  double dw = dz * x;                // 24

  // Both slopes are positive, so both weights go down, as in chapter 1: a small step against the gradient. The step's size
  // is chapter 1's learning rate, here 0.01. One step takes the loss from 4 to 0.29.
  double lr = 0.01;
  double new_w = w - lr * dw;                        // 0.26
  double new_v = v - lr * dv;                        // 2.96
  double new_h = std::max(0.0, new_w * x);           // 0.52
  double new_loss = std::pow(new_v * new_h - y, 2);  // 0.5392² = 0.2907
  chapter.say("x = {}, we want {}. Forward: z = {}, h = {}, ŷ = {}, loss {}.", x, y,
              z, h, y_hat, loss);
  chapter.say("Backward: dL/dv = {}, dL/dw = {}.", dv, dw);
  chapter.say("One step of {}: v = {}, w = {}, loss {:.4f}.", lr, new_v, new_w,
              new_loss);

  // Does the library agree? It records what the forward pass does and walks back over the record; chapter 6 builds such a
  // recorder. `L.backward()` walks back and puts each slope beside its parameter, where `grad()` finds it; `step.step()`
  // moves all parameters against their slopes. For the curve below we take its word. For a whole network we derive every gradient ourselves, and it checks us.
  chapter.say("The same from the library, which got its gradients without us:");
  Tensor W = tensor(w, f64).requires_grad_();
  Tensor V = tensor(v, f64).requires_grad_();
  optim::SGD step({W, V}, {.lr = lr});
  Tensor L = square(V * relu(W * x) - y);
  L.backward();
  chapter.check("loss", loss, L.item());
  chapter.check("dL/dv", dv, V.grad().item());
  chapter.check("dL/dw", dw, W.grad().item());
  step.step();
  chapter.check("v after one step", new_v, V.item());
  chapter.check("w after one step", new_w, W.item());
  Tensor L2 = square(V * relu(W * x) - y);
  chapter.check("loss after one step", new_loss, L2.item());

  // ? We go back to $w = 0.5$ and show the unit another example: $x = -2$, and we want $y = 1$ again. Which way does $w$ go?
  // - [ ] up, the gradient is -24: turning $x$ round would turn the sign round, if $h$ stayed what it was; it does not
  // - [ ] down, the gradient is 48: right without the bend, where $\hat y = -3$; but $z = -1$ lies on the flat side
  // - [x] nowhere, the gradient is 0: $h = 0$, so $\hat y = 0$ is wrong, yet a small change of $w$ leaves $h$ at 0
  Tensor back = tensor(w, f64).requires_grad_();
  Tensor silent = grad(square(v * relu(back * -2.0) - 1), back);
  chapter.claim("silent-unit",
                "at x = -2 the unit is silent: size of the gradient of w",
                std::abs(silent.item()), near(0, 1e-12), identity);
}

// A unit learns from the examples on its own side of the bend and from no others. That sounds like a defect. It is what
// lets many units share the work: each looks after its own side, and their bends cut the input into stretches.
//
// # A curve out of ramps
//
// Now a curve worth bending for, on the interval from -2 to 2:
//
// $$f(x) = \sin 3x + \tfrac12 x .$$
static Tensor curve(const Tensor& x) { return sin(3.0 * x) + 0.5 * x; }

// The **hard sigmoid** is a ramp: 0 up to zero, rising to 1 at one, and 1 from there on. (The sigmoid of chapter 3,
// $\sigma(z) = 1 / (1 + e^{-z})$, is the same climb with its corners rounded off.)
static Tensor hard_sigmoid(const Tensor& z) { return clamp(z, 0, 1); }

// Cut the interval into $n$ pieces at the places $x_0 < x_1 < \dots < x_n$. Start at the height $f(x_0)$ and walk right.
// Over piece $k$ the curve climbs by $f(x_{k+1}) - f(x_k)$, so give that piece a ramp of its own, stretched to start at
// $x_k$ and end at $x_{k+1}$, and scaled to that climb:
//
// $$\hat f(x) = f(x_0) + \sum_{k=0}^{n-1} v_k\; \mathrm{ramp}(w_k x + b_k),$$
//
// $$v_k = f(x_{k+1}) - f(x_k), \qquad w_k = \frac{1}{x_{k+1} - x_k}, \qquad b_k = -x_k w_k .$$
//
// Ramps to the left of $x$ have finished their climb, those to the right have not begun, and the one over $x$ is on its
// way. Their sum is $f$ with straight lines between the $n + 1$ places. We have chosen three numbers for each ramp: the
// weights $w_k$ and $v_k$, and a **bias** $b_k$, which moves the ramp sideways.
static Tensor ramps(const Tensor& x, int64_t pieces) {
  Tensor place = linspace(-2, 2, pieces + 1, f64);      // (n + 1,)
  Tensor start = place[Slice{0, -1}];                   // (n,)
  Tensor end = place[Slice{1}];                         // (n,)
  Tensor w = 1.0 / (end - start);                       // (n,)
  Tensor b = -start * w;                                // (n,)
  Tensor v = curve(end) - curve(start);                 // (n,)
  return hard_sigmoid(x.reshape({-1, 1}) * w + b) * v;  // (m, 1) * (n,) → (m, n)
}

// Each column is one ramp, so the sum over columns is the curve.
static Tensor sum_of_ramps(const Tensor& x, int64_t pieces) {
  return sum(ramps(x, pieces), {1}) + curve(tensor(-2.0, f64));  // (m,)
}

// With eight pieces one can still see how it works.
static void a_curve_out_of_ramps(Chapter& chapter) {
  chapter.section("A curve out of ramps");
  chapter.say(
      "We build sin 3x + x/2 from straight ramps, chosen by hand. Look at the "
      "figure: on the left the ramps one by one, on the right their sum.");
  Tensor x = linspace(-2, 2, 129, f64);  // (129,)
  Tensor each = ramps(x, 8);             // (129, 8)
  Figure figure =
      chapter.figure("ramps", "eight ramps, and the curve that is their sum");
  figure.size(760, 320).panel("each ramp").axes("x", "height");
  for (int64_t k = 0; k < 8; ++k)
    figure.line(x, each[{Slice{}, k}], k == 0 ? "ramp 1" : k == 7 ? "ramp 8" : "");
  figure.panel("their sum")
      .line(x, curve(x), "the curve")
      .line(x, sum_of_ramps(x, 8), "8 ramps")
      .axes("x", "y");

  // At the places themselves nothing is missing.
  Tensor place = linspace(-2, 2, 9, f64);
  chapter.claim(
      "ramps-meet", "eight ramps meet the curve at all nine places: largest gap",
      largest_gap(sum_of_ramps(place, 8), curve(place)), at_most(1e-12), identity);

  // Between the places a straight line cuts the corner. How wrong is it at worst, and how fast does that shrink?
  //
  // ? We go from 32 pieces to 64. By which factor does the largest gap shrink?
  // - [ ] 2: the pieces are half as long, but a curve also strays less from a line over a shorter way
  // - [x] about 4: over a piece of length $d$ a parabola strays from its chord by $|f''|\, d^2 / 8$, in the middle, and $d$ is halved
  // - [ ] about 8: that would need pieces that are themselves curved, such as parabolas
  Table table = chapter.table({"pieces", "largest gap"});
  Tensor fine = linspace(-2, 2, 2001, f64);  // (2001,)
  std::vector<double> gaps;
  for (int64_t pieces : {4, 8, 16, 32, 64}) {
    gaps.push_back(largest_gap(sum_of_ramps(fine, pieces), curve(fine)));
    table.row(pieces, gaps.back());
  }
  chapter.claim("twice-the-pieces",
                "twice the pieces: the largest gap shrinks by this factor",
                gaps[3] / gaps[4], near(4, 0.03), identity);
}

// So ramps can draw any continuous curve on an interval as closely as we like, if we may use enough of them. (For sigmoids, and for any
// number of inputs, that is Cybenko's theorem of 1989; for ReLUs, Leshno's and others' of 1993. It promises that good weights exist. It says nothing about how to
// find them.)
//
// # Two ReLUs make a ramp
//
// A ramp has two corners, a ReLU has one. Let one ReLU begin the climb at 0 and a second one, upside down, stop it at 1:
//
// $$\mathrm{ramp}(z) = \mathrm{relu}(z) - \mathrm{relu}(z - 1) .$$
//
// Beyond 1 the first still climbs and the second falls as fast. Whatever ramps can draw, twice as many ReLUs can draw.
static void two_relus(Chapter& chapter) {
  chapter.section("Two ReLUs make a ramp");
  chapter.say("One ReLU begins the climb, a second one, upside down, ends it.");
  Tensor z = linspace(-3, 4, 701, f64);
  Tensor two = relu(z) - relu(z - 1);
  chapter.figure("two-relus", "one ReLU begins the climb, the other ends it")
      .line(z, relu(z), "relu(z)")
      .line(z, -relu(z - 1), "-relu(z - 1)")
      .line(z, two, "their sum")
      .axes("z", "")
      .ylim(-1.5, 2.5);
  chapter.claim("two-relus",
                "relu(z) - relu(z - 1) is the hard sigmoid: largest gap",
                largest_gap(two, hard_sigmoid(z)), at_most(1e-14), identity);
}

// # Let it learn
//
// So far *we* knew the curve and placed every ramp. Turn it round: we are given points, and the ramps have to find their
// own places. Write the sum with a general bend $a$, called the **activation function**:
//
// $$\hat y = c + \sum_{k} v_k\; a(w_k x + b_k) .$$
//
// Everything that can be moved, $w$, $b$, $v$ and $c$, is a **parameter**. The units that share an input are a **layer**;
// this one is a **hidden layer**, and the number of its units is its **width**. Layers one after the other, with a bend
// between them, are a **neural network**, more exactly a **multilayer perceptron** or MLP. In the library a layer without
// its bend is called `nn::Linear`: it holds the weights as a matrix and the biases as a vector. A network is a struct of such
// layers; `CR_FIELDS` names its parts, so that `parameters(net)` finds every number that can be moved.
using Activation = Tensor (*)(const Tensor&);

struct CurveNet {
  nn::Linear hidden, out;
  Activation bend;
  Tensor operator()(const Tensor& x) const {
    return out(bend(hidden(x)));  // (n, 1) → (n, width) → (n, 1)
  }
  CR_FIELDS(hidden, out)
};

// Where should the parameters start? All units the same, in what goes in and what goes out, is a choice that never works
// (*Break it*, below, shows why).
// Random is good, and we take care that the bends lie where the data lie: unit $k$ bends where $w_k x + b_k = 0$, at
// $x = -b_k / w_k$, so we draw that place and set the bias from it. About half of the units face left.
static CurveNet scattered(int64_t width, double slope, Activation bend,
                          Generator& random) {
  CurveNet net{nn::Linear(1, width, random), nn::Linear(width, 1, random), bend};
  Tensor place = nn::uniform({width}, -2, 2, random);         // (width,)
  Tensor weight = slope * sign(rand({width}, random) - 0.5);  // (width,) of ±slope
  net.hidden.weight = weight.reshape({-1, 1}).requires_grad_();  // (width, 1)
  net.hidden.bias = (-weight * place).requires_grad_();          // (width,)
  return net;
}

// Training repeats what we did by hand: forward, loss, backward, one small step. Gradients are *added* to what is there,
// so they are cleared before each backward pass.
static void update(optim::SGD& sgd, const Tensor& loss) {
  sgd.zero_grad();
  loss.backward();
  sgd.step();
}

// For a curve of 201 points each update may look at all of them. The result is the error in the end.
static double fit(const CurveNet& net, const Tensor& x, const Tensor& y,
                  int64_t steps, double lr) {
  optim::SGD sgd(parameters(net), {.lr = lr});
  double error = 0;
  for (int64_t step = 0; step < steps; ++step) {
    Tensor loss = mse_loss(net(x), y);
    update(sgd, loss);
    error = std::sqrt(loss.item());
  }
  return error;
}

// Four networks of 32 hidden units, all with the same 201 points. The first has no bend at all. The others differ in how
// steep their units begin and in the learning rate, because a ReLU's output has no ceiling and larger steps throw it off. Both were
// chosen by hand for each, so the rows are no race.
static Tensor no_bend(const Tensor& z) { return z; }

struct Bend {
  std::string name;
  Activation bend;
  double slope, lr;
  CurveNet net = {};
  double error = 0;
};

static void let_it_learn(Chapter& chapter) {
  chapter.section("Let it learn");
  const int64_t steps = chapter.pick(1000, 8000, 8000);
  chapter.say(
      "Four networks look for the curve, given 201 points of it, each by {} "
      "steps of gradient descent. The error is the root of the mean squared "
      "gap. Look at the first row: it has no bend.",
      steps);
  Tensor x = linspace(-2, 2, 201).reshape({-1, 1});  // (201, 1)
  Tensor y = curve(x);                               // (201, 1)

  // Each line: the bend, the slope its units begin with, the learning rate.
  std::vector<Bend> bends = {{"none", no_bend, 1, 0.02},
                             {"hard sigmoid", hard_sigmoid, 2, 0.1},
                             {"sigmoid", sigmoid, 4, 0.1},
                             {"ReLU", relu, 1, 0.02}};
  Table table = chapter.table({"bend", "error"});
  for (Bend& b : bends) {
    Generator random(chapter.seed());
    b.net = scattered(32, b.slope, b.bend, random);
    b.error = fit(b.net, x, y, steps, b.lr);
    table.row(b.name, b.error);
  }

  // Without a bend, 32 units and 97 parameters end where the formula for the best straight line ends.
  // (`NoGrad` tells the library to keep no record: from here on we only look.)
  NoGrad no_grad;
  Tensor line = sum(x * y) / sum(x * x) * x + mean(y);  // (201, 1)
  chapter.claim("no-bend", "error without a bend, over that of the best line",
                bends[0].error / std::sqrt(mse_loss(line, y).item()), near(1, 1e-3),
                identity);

  // The ReLU network's curve is made of straight pieces; the figure marks where its units bend now. The hard sigmoid learns
  // too, although each of its units has two flat sides and learns nothing from points that lie there. The sigmoid has no
  // corners, and no side that is quite flat. Now and then a random start gets stuck far above its fellows; none of the ten
  // in the README's table did, but the bounds allow for it. Chapter 8 looks at such places.
  const CurveNet& net = bends[3].net;
  Tensor place = -net.hidden.bias.reshape({-1, 1}) / net.hidden.weight;  // (32, 1)
  chapter.figure("fits", "the curve, and what 32 hidden units made of it")
      .size(760, 320)
      .panel("no bend")
      .line(x, y, "curve")
      .line(x, bends[0].net(x), "fit")
      .axes("x", "y")
      .panel("ReLU")
      .line(x, y, "curve")
      .line(x, net(x), "fit")
      .scatter(place, net(place), "bends")
      .xlim(-2, 2)
      .axes("x", "y");
  chapter.figure("misses", "what the three fits leave of the curve")
      .line(x, bends[1].net(x) - y, "hard sigmoid")
      .line(x, bends[2].net(x) - y, "sigmoid")
      .line(x, bends[3].net(x) - y, "ReLU")
      .hline(0)
      .axes("x", "fit - curve");
  chapter.claim("fit-hard-sigmoid", "hard sigmoids follow the curve: error",
                bends[1].error, at_most(0.1), found);
  chapter.claim("fit-sigmoid", "sigmoids follow the curve: error", bends[2].error,
                at_most(0.3), found);
  chapter.claim("fit-relu", "ReLUs follow the curve: error", bends[3].error,
                at_most(0.3), found, {.quick = at_most(0.4)});
}

// # Everything is a matrix product
//
// A picture of a digit has 28 times 28, that is 784 pixels, so a unit now has 784 weights, and there are ten answers to choose from. Written
// unit by unit that is unreadable, and slow. Put $n$ examples as rows into $X$ and the weights of each unit as a row into
// $W_1$, and the forward pass is two products:
//
// | | | shape |
// |---|---|---|
// | inputs | $X$ | $(n, d)$ |
// | before the bend | $Z_1 = X W_1^\top + b_1$ | $(n, m)$ |
// | hidden units | $H = \mathrm{relu}(Z_1)$ | $(n, m)$ |
// | logits | $Z_2 = H W_2^\top + b_2$ | $(n, k)$ |
//
// The bias is added to every row. The logits are chapter 3's scores for the $k$ classes, before softmax.
struct Weights {
  Tensor W1, b1, W2, b2;  // (m, d), (m,), (k, m), (k,)
};

struct Forward {
  Tensor Z1, H, Z2;  // (n, m), (n, m), (n, k)
};

static Forward forward(const Tensor& X, const Weights& p) {
  Tensor Z1 = matmul(X, p.W1.t()) + p.b1;  // (n, d) x (d, m) → (n, m)
  Tensor H = relu(Z1);                     // (n, m)
  Tensor Z2 = matmul(H, p.W2.t()) + p.b2;  // (n, m) x (m, k) → (n, k)
  return {Z1, H, Z2};
}

// The same with loops, one unit of one example at a time, as we would do it on paper. Here `x`, `w1` and `w2` are the
// matrices' numbers, row after row, and `out` is where the logits go.
static Tensor forward_with_loops(const Tensor& X, const Weights& p) {
  int64_t n = X.size(0), d = X.size(1), m = p.b1.size(0), k = p.b2.size(0);
  Tensor Z2 = zeros({n, k}, f64);
  const double *x = X.data<double>(), *w1 = p.W1.data<double>();
  const double *w2 = p.W2.data<double>(), *b1 = p.b1.data<double>();
  double* out = Z2.mutable_data<double>();
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t u = 0; u < m; ++u) {
      double z = b1[u];
      for (int64_t j = 0; j < d; ++j) z += w1[u * d + j] * x[i * d + j];
      double hidden = std::max(0.0, z);
      for (int64_t c = 0; c < k; ++c) out[i * k + c] += w2[c * m + u] * hidden;
    }
  }
  return Z2 + p.b2;
}

// # The backward pass, by hand
//
// The loss is chapter 3's cross-entropy, averaged over the $n$ examples. Walking backwards, we hand one thing from layer to
// layer: how the loss changes with what stands before the bend. For layer $l$ it is called $\delta_l = \partial L / \partial Z_l$.
static Weights backward(const Tensor& X, const Tensor& Y, const Weights& p,
                        const Forward& f) {
  // At the logits we know it from chapter 3: the probabilities $P = \mathrm{softmax}(Z_2)$ minus the one-hot labels $Y$,
  //
  // $$\delta_2 = \tfrac1n (P - Y) .$$
  //
  // The largest logit is taken off first, which changes no probability and lets nothing overflow.
  Tensor E = exp(f.Z2 - amax(f.Z2, {1}, true));  // (n, k)
  Tensor P = E / sum(E, {1}, true);              // (n, k)
  Tensor delta2 = (P - Y) / X.size(0);           // (n, k)

  // Hidden unit $u$ of example $i$ reaches the loss through all $k$ logits, since $(Z_2)_{ic} = \sum_u H_{iu} (W_2)_{cu} +
  // (b_2)_c$. The chain rule adds up the ways: $\partial L / \partial H_{iu} = \sum_c (\delta_2)_{ic} (W_2)_{cu}$, which is
  // $(\delta_2 W_2)_{iu}$. A unit is to blame for each output's error in proportion to the weight between them, and for
  // nothing at all where it was silent. So we multiply element by element ($\odot$) with the slope of relu:
  //
  // $$\delta_1 = (\delta_2 W_2) \odot [Z_1 > 0] .$$
  //
  // These are the steps to $\partial L / \partial h$ and $\partial L / \partial z$ of our one unit.
  Tensor slope = (f.Z1 > 0).to(f64);             // (n, m): 1 or 0
  Tensor delta1 = matmul(delta2, p.W2) * slope;  // (n, k) x (k, m) → (n, m)

  // In the same way weight $(W_2)_{cu}$ reaches the loss through logit $c$ of every example: $\partial L / \partial (W_2)_{cu} =
  // \sum_i (\delta_2)_{ic} H_{iu}$. From each $\delta$ follow the gradients of the weights before it: what came in times what
  // was wrong, summed over the examples.
  //
  // $$\frac{\partial L}{\partial W_1} = \delta_1^\top X, \qquad \frac{\partial L}{\partial b_1} = \sum_i \delta_{1,i},$$
  //
  // $$\frac{\partial L}{\partial W_2} = \delta_2^\top H, \qquad \frac{\partial L}{\partial b_2} = \sum_i \delta_{2,i} .$$
  //
  // You can check half of it by shapes alone: a gradient has the shape of what it belongs to, and only one order of the two
  // factors gives that.
  return {.W1 = matmul(delta1.t(), X),    // (m, n) x (n, d) → (m, d)
          .b1 = sum(delta1, {0}),         // (m,)
          .W2 = matmul(delta2.t(), f.H),  // (k, n) x (n, m) → (k, m)
          .b2 = sum(delta2, {0})};        // (k,)
}

// This is **backpropagation**: the chain rule from the last layer to the first, each step once, for all examples and all
// weights together. The test is the comparison: 32 digits, a network with 784 inputs, 16 hidden units and 10 logits.
static void forward_and_backward(Chapter& chapter) {
  chapter.section("Forward and backward, by hand, as matrices");
  chapter.say(
      "A network 784-16-10 and 32 digits, in float64. First loops against two "
      "matrix products, then our four formulas against the library's gradients.");
  data::Dataset digits = data::make_digits(32, Generator(chapter.seed()));
  Tensor X = digits.inputs.flatten(1).to(f64);  // (32, 28, 28) → (32, 784)
  Tensor Y = one_hot(digits.targets, 10, f64);  // (32,) → (32, 10)

  // Any weights will do: the formulas have to hold at every one.
  Generator random(chapter.seed());
  Weights p = {.W1 = nn::normal({16, 784}, 0, 0.05, random, f64).requires_grad_(),
               .b1 = nn::normal({16}, 0, 0.1, random, f64).requires_grad_(),
               .W2 = nn::normal({10, 16}, 0, 0.5, random, f64).requires_grad_(),
               .b2 = nn::normal({10}, 0, 0.1, random, f64).requires_grad_()};
  Forward f = forward(X, p);
  chapter.claim(
      "loops", "two matrix products give what the loops give: largest gap",
      largest_gap(f.Z2, forward_with_loops(X, p)), at_most(1e-12), identity);

  // Now the library differentiates the same forward pass by its own record of it.
  Weights ours = backward(X, Y, p, f);
  std::vector<Tensor> theirs =
      grad(cross_entropy(f.Z2, digits.targets), {p.W1, p.b1, p.W2, p.b2});
  chapter.check("dL/dW1", ours.W1, theirs[0], 1e-10);
  chapter.check("dL/db1", ours.b1, theirs[1], 1e-10);
  chapter.check("dL/dW2", ours.W2, theirs[2], 1e-10);
  chapter.check("dL/db2", ours.b2, theirs[3], 1e-10);
  double in_first =
      std::max(largest_gap(ours.W1, theirs[0]), largest_gap(ours.b1, theirs[1]));
  double in_second =
      std::max(largest_gap(ours.W2, theirs[2]), largest_gap(ours.b2, theirs[3]));
  chapter.claim("backward",
                "all 12 730 gradients by hand equal the library's: largest gap",
                std::max(in_first, in_second), at_most(1e-10), identity);
}

// # It learns to read
//
// The formulas are right, so from here on we let the library apply them. The program draws its own data: digits with random
// pen, slant and scale, and stray marks among them.
static data::TrainTest draw_digits(int64_t n_train, int64_t n_test, uint64_t seed) {
  Generator writers(seed);
  return {data::make_digits(n_train, writers),
          data::make_digits(n_test, writers, n_train)};
}

// A picture becomes one row of numbers. That neighbouring pixels belong together is lost; chapter 16 will get it back.
static data::TrainTest as_rows(data::TrainTest digits) {
  digits.train.inputs = digits.train.inputs.flatten(1);  // (n, 28, 28) → (n, 784)
  digits.test.inputs = digits.test.inputs.flatten(1);
  return digits;
}

// Two models are to read them: chapter 3's linear classifier, which is one layer, and a network, which has a hidden layer in
// front. Both give ten logits.
struct Mlp {
  nn::Linear hidden, out;
  Tensor operator()(const Tensor& x) const {
    return out(relu(hidden(x)));  // (n, 784) → (n, m) → (n, 10)
  }
  CR_FIELDS(hidden, out)
};

struct Readers {
  nn::Linear linear;
  Mlp network;
  CR_FIELDS(linear, network)
};

// The **accuracy** is the share of digits whose highest logit is that of the right class.
template <class Model>
static double accuracy(const Model& model, const data::Dataset& digits) {
  NoGrad no_grad;
  auto [x, y] = digits.to(parameters(model)[0].device());  // (n, 784), (n,)
  return mean((argmax(model(x), 1) == y).to(DType::float32)).item();
}

// In chapter 1 every step looked at all the data. With 20 000 pictures that is a lot of looking for one small step, and the
// gradient of a random handful points roughly the same way. So, as in chapter 3, each step takes a handful, here 50. Three
// words that are easily mixed up, once and for all:
//
// - an **update** is one step: forward, loss, backward, and the parameters move once;
// - a **mini-batch**, or batch, is the examples that one update looks at;
// - an **epoch** is one pass through all examples, batch by batch, in a new random order.
//
// So 20 000 examples in batches of 50 make 400 updates an epoch, and ten epochs make 4000. (If the examples do not divide
// evenly, the last batch is smaller and still counts as one.)
//
// Gradient descent by batches is called **stochastic gradient descent**, SGD.
constexpr int64_t kBatch = 50;

struct History {
  std::vector<double> epoch, linear, network;  // accuracies after each epoch
  int64_t updates = 0;
};

// Both models learn in one loop, from the same batches. Their losses are added: neither model's parameters occur in the
// other's loss, so each gets the gradient of its own.
static History train(Chapter& chapter, const std::string& name,
                     const Readers& readers, const data::TrainTest& digits,
                     int64_t epochs, double lr) {
  data::DataLoader batches(digits.train, {.batch_size = kBatch, .shuffle = true},
                           Generator(chapter.seed()));
  optim::SGD sgd(parameters(readers), {.lr = lr});
  History history;

  // Whatever the loop changes is saved now and then. Press Ctrl-C in a long run, and go on another day with `--resume`.
  Training run = chapter.training(name, epochs * batches.size(), "updates");
  run.keep("readers", readers)
      .keep("batches", batches)
      .keep("updates", history.updates);
  run.keep("epoch", history.epoch)
      .keep("linear", history.linear)
      .keep("network", history.network);

  // The loop of this whole book: a batch, the loss, an update.
  for (int64_t step : run) {
    auto [x, y] = batches.next().to(chapter.device());  // (50, 784), (50,)
    Tensor loss = cross_entropy(readers.network(x), y);
    Tensor both = loss + cross_entropy(readers.linear(x), y);
    update(sgd, both);
    ++history.updates;
    run.show("loss", loss.item());
    if ((step + 1) % batches.size() != 0) continue;

    // An epoch is over: how well do they read digits that they never saw?
    history.epoch.push_back(static_cast<double>((step + 1) / batches.size()));
    history.linear.push_back(accuracy(readers.linear, digits.test));
    history.network.push_back(accuracy(readers.network, digits.test));
    chapter.say("epoch {}: linear {:.1f} %, network {:.1f} %", history.epoch.back(),
                100 * history.linear.back(), 100 * history.network.back());
  }
  return history;
}

// Accuracies of 98 and 99 % look alike, yet one of the two makes twice as many mistakes. So we compare what is misread.
static double times_as_many(const History& history) {
  return (1 - history.linear.back()) / (1 - history.network.back());
}

// Now to the reading lesson.
static void it_learns_to_read(Chapter& chapter) {
  chapter.section("It learns to read");
  const int64_t n = chapter.pick(8000, 20000, 20000);
  const int64_t n_test = chapter.pick(2000, 5000, 5000);
  const int64_t width = chapter.option("hidden"), epochs = chapter.option("epochs");
  const int64_t per_epoch = (n + kBatch - 1) / kBatch;  // rounded up
  data::TrainTest digits = as_rows(draw_digits(n, n_test, chapter.seed()));
  chapter.say(
      "{} digits to learn from, {} others to be tested on; an epoch is {} "
      "updates of {}. Which share of the test digits is read rightly after "
      "each epoch? Watch the two numbers part:",
      n, n_test, per_epoch, kBatch);
  chapter.figure("digits", "thirty of the test digits")
      .images(digits.test.inputs.narrow(0, 0, 30).reshape({-1, 28, 28}), 10);

  // ? The linear classifier misreads about one in ten of the test digits. The network misreads
  // - [ ] about one in ten: then a hidden layer would be worth nothing, as in the first section without a bend
  // - [ ] about one in fifteen: a fair guess for a small change, but the hidden layer changes what can be drawn at all
  // - [x] fewer than one in thirty: one template has to fit every way to write a 4, while hidden units can share the work, a stroke for each, say
  Generator random(chapter.seed());
  Readers readers =
      to(Readers{nn::Linear(784, 10, random),
                 {nn::Linear(784, width, random), nn::Linear(width, 10, random)}},
         chapter.device());
  History history =
      train(chapter, "digits", readers, digits, epochs, chapter.option("lr"));

  // How hard the digits are was decided by whoever wrote their generator, so these numbers are *built in*. The same with
  // digits that people wrote stands further down.
  chapter.claim("gap", "the linear classifier misreads so many times as many",
                times_as_many(history), at_least(3.5), built_in,
                {.quick = at_least(1.2)});
  chapter.claim("digits", "the network reads new digits", history.network.back(),
                at_least(0.965), built_in, {.quick = at_least(0.85), .unit = "%"});
  chapter.claim("updates", "updates counted in the loop",
                static_cast<double>(history.updates),
                exactly(static_cast<double>(epochs * per_epoch)), identity);
  chapter.figure("learning", "how many of the test digits are read rightly")
      .line(history.epoch, history.network, "network")
      .line(history.epoch, history.linear, "linear")
      .axes("epoch", "accuracy");

  // What do the hidden units look for? The 784 weights into a unit form a picture: where ink speaks for the unit (blue), and
  // where against it (red). None of them is a digit. Some are strokes with the paper beside them; many have hardly left their random start.
  Tensor weight = readers.network.hidden.weight.detach();           // (m, 784)
  Tensor some = weight.narrow(0, 0, std::min<int64_t>(width, 24));  // (24, 784)
  chapter.figure("looks-for", "what 24 of the hidden units look for")
      .images(some.reshape({-1, 28, 28}), 8);
}

// # Digits that people wrote
//
// MNIST has 60 000 digits to learn from and 10 000 to be tested on, written by employees of the American census office and
// by school students. `./run 05 --full` reads {claim:mnist} of them rightly, with 800 hidden units, as many as Simard,
// Steinkraus and Platt took in 2003. It trains for 15 epochs instead of ten, with three times as many pictures in each, by
// which time the accuracy has long been level; the learning rate is that of the drawn digits. Nothing else changes.
static void it_reads_mnist(Chapter& chapter) {
  chapter.section("Digits that people wrote");
  data::TrainTest digits = as_rows(data::mnist(chapter.data_dir().string()));
  chapter.say(
      "{} digits to learn from, {} to be tested on, 800 hidden units. This "
      "takes a minute or so.",
      digits.train.size(), digits.test.size());
  Generator random(chapter.seed());
  Readers readers =
      to(Readers{nn::Linear(784, 10, random),
                 {nn::Linear(784, 800, random), nn::Linear(800, 10, random)}},
         chapter.device());
  History history = train(chapter, "mnist", readers, digits, 15, 0.3);
  chapter.claim("mnist", "the network reads MNIST's test digits",
                history.network.back(), at_least(0.98), found,
                {.at = Size::full, .unit = "%"});
  chapter.claim("mnist-gap",
                "on MNIST the linear classifier misreads so many times as many",
                times_as_many(history), at_least(3), found, {.at = Size::full});
  chapter.figure("mnist-learning", "how many of MNIST's digits are read rightly")
      .line(history.epoch, history.network, "network")
      .line(history.epoch, history.linear, "linear")
      .axes("epoch", "accuracy");

  // The digits that it still misreads. How many of them would you have read?
  NoGrad no_grad;
  Tensor shown = digits.test.inputs.to(chapter.device());  // (10000, 784)
  Tensor answer = argmax(readers.network(shown), 1);       // (10000,)
  std::vector<int64_t> which;
  std::vector<std::string> labels;
  for (int64_t i = 0; i < answer.size(0) && which.size() < 30; ++i) {
    int64_t said = answer[i].item<int64_t>();
    int64_t is = digits.test.targets[i].item<int64_t>();
    if (said == is) continue;
    which.push_back(i);
    labels.push_back(std::to_string(is) + " as " + std::to_string(said));
  }
  Tensor misread =
      index_select(digits.test.inputs, 0, from_vector(which));  // (30, 784)
  chapter.figure("misread", "the first thirty that the network misreads")
      .images(misread.reshape({-1, 28, 28}), 10, labels);
}

// # How large a batch?
//
// One epoch looks at every picture once and multiplies the same numbers, whatever the batch. So where is the difference?
//
// ? One epoch over the same digits with batches of 1, then with batches of 100. How do the times compare?
// - [ ] the same: the arithmetic is, but the computer has to be told what to do 100 times as often
// - [x] batches of 1 take about ten times as long: an update has fixed work, and reads and writes all weights, for however few pictures
// - [ ] batches of 1 take 100 times as long: so it would be if an update cost the same whatever its batch
//
// We take the network of the last section and put a clock beside it.
struct Epoch {
  int64_t batch;
  double lr;
  int64_t updates;
  double seconds, accuracy;
};

// Every batch size gets the same start and the same digits.
static Epoch one_epoch(const Chapter& chapter, const data::TrainTest& digits,
                       int64_t batch, double lr = 0.05) {
  Generator random(chapter.seed());
  Mlp network = to(Mlp{nn::Linear(784, 128, random), nn::Linear(128, 10, random)},
                   chapter.device());
  optim::SGD sgd(parameters(network), {.lr = lr});
  data::DataLoader batches(digits.train, {.batch_size = batch, .shuffle = true},
                           random);
  using Clock = std::chrono::steady_clock;
  Clock::time_point start = Clock::now();
  for (const data::Batch& batch_of_digits : batches) {
    auto [x, y] = batch_of_digits.to(chapter.device());  // (batch, 784), (batch,)
    update(sgd, cross_entropy(network(x), y));
  }
  std::chrono::duration<double> seconds = Clock::now() - start;
  return {batch, lr, batches.size(), seconds.count(),
          accuracy(network, digits.test)};
}

// Then three batch sizes beside each other.
static void how_large_a_batch(Chapter& chapter) {
  chapter.section("How large a batch?");
  const int64_t n = chapter.pick(1000, 4000, 4000);
  chapter.say("One epoch over {} digits in batches of 1, of 10 and of 100.", n);
  data::TrainTest digits = as_rows(draw_digits(n, 1000, chapter.seed()));

  // Other programs use this machine too. Each measurement is made three times, in turns, and the shortest time counts.
  std::vector<Epoch> best;
  for (int round = 0; round < 3; ++round) {
    for (size_t k = 0; k < 3; ++k) {
      Epoch epoch = one_epoch(chapter, digits, k == 0 ? 1 : k == 1 ? 10 : 100);
      if (round == 0) best.push_back(epoch);
      best[k].seconds = std::min(best[k].seconds, epoch.seconds);
    }
  }
  Table table = chapter.table({"batch", "updates", "seconds", "accuracy"});
  for (const Epoch& e : best) table.row(e.batch, e.updates, e.seconds, e.accuracy);
  chapter.claim("batch-time",
                "an epoch by ones takes so many times as long as one by hundreds",
                best[0].seconds / best[2].seconds, between(2, 60), found,
                {.quick = between(1.5, 100)});

  // So large batches are cheap. But what has the network learned after that one epoch? By ones it has made a hundred times as
  // many updates as by hundreds, each in a rougher direction, and all three took steps of 0.05: the share of test digits it
  // reads is higher by {claim:batch-updates} (percentage points, as always with differences of shares).
  chapter.claim("batch-updates",
                "after one epoch by ones the network reads so many more digits",
                best[0].accuracy - best[2].accuracy, at_least(0.15), found,
                {.unit = "%"});

  // Is that fair? The mean over a hundred pictures wavers less than one picture's gradient, so it bears larger steps. Give
  // batches of 100 steps of 0.5, ten times as large, and most of the gap is gone.
  Epoch bold = one_epoch(chapter, digits, 100, 0.5);
  chapter.claim(
      "batch-rate",
      "with ten times the rate by hundreds so much of the gap is left",
      (best[0].accuracy - bold.accuracy) / (best[0].accuracy - best[2].accuracy),
      at_most(0.65), found, {.unit = "%"});
}

// Batch size and learning rate belong together; the best pair depends on machine and task. Chapter 9 goes on from here.
//
// # Break it
//
// Two mistakes that everybody makes once. Each is planted in this program: `./run 05 --break same-weights` and
// `./run 05 --break forgotten-zero-grad` show them beside the healthy run.
//
// Both use the same small network, the same 2000 digits and 400 updates; only the mistake differs.
struct Ward {
  Mlp network;
  std::vector<double> losses;
};

static Ward run_small(const Chapter& chapter, bool same_weights, bool forget) {
  Generator random(chapter.seed());
  Mlp network = to(Mlp{nn::Linear(784, 32, random), nn::Linear(32, 10, random)},
                   chapter.device());
  if (same_weights) {
    NoGrad no_grad;
    for (const Tensor& parameter : parameters(network)) parameter.fill_(0.02);
  }
  data::TrainTest digits = as_rows(draw_digits(2000, 10, chapter.seed()));
  data::DataLoader batches(digits.train, {.batch_size = kBatch, .shuffle = true},
                           random);
  optim::SGD sgd(parameters(network), {.lr = 0.1});
  std::vector<double> losses;
  for (int step = 0; step < 400; ++step) {
    auto [x, y] = batches.next().to(chapter.device());  // (50, 784), (50,)
    Tensor loss = cross_entropy(network(x), y);
    if (!forget) sgd.zero_grad();
    loss.backward();
    sgd.step();
    losses.push_back(loss.item());
  }
  return {network, losses};
}

// The mean loss of the last 40 updates.
static double last_losses(const Ward& ward) {
  double total = 0;
  for (size_t i = 360; i < 400; ++i) total += ward.losses[i] / 40;
  return total;
}

// **All weights the same.** It looks tidy: why not start every weight at 0.02?
//
// ? We start all weights of a network with 32 hidden units at the same value. How many different units has it after training?
// - [ ] 32: training would have to tell them apart, but what would it tell them apart by?
// - [ ] 10, one for each digit: the outputs do differ from each other, the hidden units do not
// - [x] one, 32 times: equal units get equal gradients, so they stay equal forever
static void same_weights(Chapter& chapter) {
  chapter.section("Broken: all weights the same");
  chapter.say(
      "Two networks with 32 hidden units, 400 updates. One starts at random, in "
      "the other every weight starts at 0.02. Compare what their units look for.");
  Ward healthy = run_small(chapter, false, false);
  Ward broken = run_small(chapter, true, false);

  // If you have chosen: eight of the 32 units on each side.
  auto pictures = [](const Ward& ward) {
    Tensor eight = ward.network.hidden.weight.detach().narrow(0, 0, 8);  // (8, 784)
    return eight.reshape({8, 28, 28});
  };
  chapter.figure("same-weights", "what eight hidden units look for in the end")
      .size(760, 260)
      .panel("random start")
      .images(pictures(healthy), 4)
      .panel("all weights the same")
      .images(pictures(broken), 4);

  // One template is not enough for ten digits, however often it is there.
  chapter.figure("same-weights-loss", "a width of 32 that works like a width of 1")
      .line(healthy.losses, "random start")
      .line(broken.losses, "all the same")
      .axes("update", "loss");
  Tensor w = broken.network.hidden.weight.detach();  // (32, 784)
  chapter.claim("twins",
                "largest difference between any weight and the first unit's",
                largest_gap(w, w.narrow(0, 0, 1)), at_most(1e-6), identity,
                {.symptom_of = "same-weights"});
  chapter.claim("twins-loss",
                "the loss stays so many times as high as with a random start",
                last_losses(broken) / last_losses(healthy), at_least(2.5), found,
                {.symptom_of = "same-weights"});
}

// Rumelhart, Hinton and Williams warned of this in 1986. Their remedy is everybody's since: small random weights.
//
// **Forgotten `zero_grad`.** `backward()` adds to the gradients that are there. Leave out the line that clears them, and
// every step goes along the sum of all gradients so far: old ones never fade. The program runs, and says nothing. Worse: at first the loss falls faster than in
// the healthy run, because the steps are larger. Then they overshoot.
static void forgotten_zero_grad(Chapter& chapter) {
  chapter.section("Broken: zero_grad forgotten");
  chapter.say(
      "Two networks from the same start, 400 updates. One clears its gradients "
      "before each backward pass, the other never does. Compare their losses.");
  Ward healthy = run_small(chapter, false, false);
  Ward broken = run_small(chapter, false, true);
  chapter.figure("forgotten-zero-grad", "the loss when gradients pile up")
      .line(healthy.losses, "healthy")
      .line(broken.losses, "forgotten zero_grad")
      .axes("update", "loss")
      .log_y();
  chapter.claim("runaway", "the loss ends so many times as high as it should",
                last_losses(broken) / last_losses(healthy), at_least(2.5), found,
                {.symptom_of = "forgotten-zero-grad"});
}

// # Do you remember?
//
// Three questions about earlier chapters, because what is asked again is kept.
//
// ? Chapter 0, broadcasting. `x` has shape (50, 128). What is `x + b` if `b` has shape (50,)?
// - [ ] one number of `b` is added to each row: shapes are compared from the right, where 128 meets 50
// - [x] an error: shapes are compared from the right, and 128 and 50 differ; `b.reshape({50, 1})` would add one to each row
// - [ ] the missing numbers count as zero: no rule of broadcasting fills anything with zeros
//
// ? Chapter 1. We fit polynomials of degree 1, 2, 3, 4, 5 to ten points. What do training and test error do as the degree grows?
// - [ ] both fall: the training error does, but a curve that follows the noise misses new points
// - [ ] both fall and then rise: more freedom never makes the best fit to the training points worse
// - [x] the training error falls, the test error falls and then rises: the curve first learns the shape, then the noise
//
// ? Chapter 0. One network reads 98.1 % of 10 000 test digits, another 97.9 %. Is the first one better?
// - [ ] yes, it reads twenty digits more: on these digits; on ten thousand others it might read twenty fewer
// - [x] these numbers cannot tell: the standard error of such a share is $\sqrt{p (1 - p) / n} = 0.14$ percentage points for each of the two
// - [ ] no: they may well differ, only two shares so close together do not show it
static void story(Chapter& chapter) {
  if (chapter.broken("same-weights")) return same_weights(chapter);
  if (chapter.broken("forgotten-zero-grad")) return forgotten_zero_grad(chapter);
  a_line_does_not_bend(chapter);
  one_unit_by_hand(chapter);
  a_curve_out_of_ramps(chapter);
  two_relus(chapter);
  let_it_learn(chapter);
  forward_and_backward(chapter);
  it_learns_to_read(chapter);
  if (chapter.full()) it_reads_mnist(chapter);
  how_large_a_batch(chapter);
  chapter.section("Break it");
  chapter.say(
      "Two bugs are planted in this program. Guess what each does to a training "
      "run, and look: --break same-weights, --break forgotten-zero-grad.");
}

// What the program is called, which options it takes, and which claims a run has to make.
int main(int argc, char** argv) {
  return run_chapter(
      argc, argv,
      {.number = 5,
       .name = "neural_network",
       .title = "Neural network",
       .question =
           "A straight line cannot bend. How do we get curves out of lines, and "
           "who tells each line where to bend?",
       .full =
           "the default run, and a network with 800 hidden units on MNIST: a minute",
       .options = {{"hidden", book::PerSize{64, 128, 128},
                    "width of the hidden layer that reads the drawn digits", 1,
                    10000},
                   {"epochs", book::PerSize{5, 10, 10},
                    "passes through the drawn digits", 1, 1000},
                   {"lr", 0.3, "learning rate for them", 0, 100}},
       .breaks = {{"same-weights", "all weights start at the same value"},
                  {"forgotten-zero-grad", "gradients are never cleared"}},
       .claims = {"still-a-line",
                  "silent-unit",
                  "ramps-meet",
                  "twice-the-pieces",
                  "two-relus",
                  "no-bend",
                  "fit-hard-sigmoid",
                  "fit-sigmoid",
                  "fit-relu",
                  "loops",
                  "backward",
                  "gap",
                  "digits",
                  "updates",
                  {"mnist", Size::full},
                  {"mnist-gap", Size::full},
                  "batch-time",
                  "batch-updates",
                  "batch-rate"},
       .data = "MNIST",
       .full_needs = {"mnist/train-images-idx3-ubyte.gz",
                      "mnist/train-labels-idx1-ubyte.gz",
                      "mnist/t10k-images-idx3-ubyte.gz",
                      "mnist/t10k-labels-idx1-ubyte.gz"},
       .headline = "mnist"},
      story);
}
