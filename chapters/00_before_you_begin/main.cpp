// This file is the whole chapter, in the order in which one reads it; `map.hpp`, behind it, is the map of the book.
#include "book/chapter.hpp"
#include "chainrule.hpp"
#include "map.hpp"

#include <cmath>
#include <limits>

using namespace cr;

constexpr DType f64 = DType::float64;

static double largest_gap(const Tensor& a, const Tensor& b) {
  return amax(abs(a - b)).item();
}

// # Two dials
//
// Four taxi rides, how far they went and what they cost:
//
// | | | | | |
// |---|---|---|---|---|
// | kilometres | 1 | 2 | 3 | 5 |
// | euros | 6 | 8 | 9 | 14 |
//
// What will the next ride cost? We guess that a taxi asks $b$ euros for getting in and $w$ euros for each kilometre. Then a ride
// of $x$ kilometres costs
//
// $$\hat y = w x + b .$$
//
// The hat says that this is a guess; the true fare is $y$. Think of $w$ and $b$ as two dials on a machine. Set them to $w = 2$,
// $b = 3$, and do it on paper before you read the code: what does the machine predict, and by how much is it off?
static Tensor rides() { return tensor({1, 2, 3, 5}, f64); }   // (4,): kilometres
static Tensor fares() { return tensor({6, 8, 9, 14}, f64); }  // (4,): euros

static void two_dials(Chapter& chapter) {
  chapter.section("Two dials");
  chapter.say(
      "Four taxi rides, and a machine with two dials: w euros a kilometre, b for getting in. First what we found on paper, "
      "then the library.");
  double w = 2, b = 3;
  Tensor x = rides(), y = fares();  // (4,), (4,)
  Tensor y_hat = w * x + b;         // (4,): 2·1 + 3, 2·2 + 3, 2·3 + 3, 2·5 + 3
  Tensor error = y_hat - y;         // (4,)
  chapter.check("predicted fares", tensor({5, 7, 9, 13}, f64), y_hat);
  chapter.check("errors", tensor({-1, -1, 0, -1}, f64), error);

  // Four errors are hard to compare with four others. We want *one* number that says how wrong the dials are. Take the mean of
  // the squares: $(1 + 1 + 0 + 1) / 4 = 0.75$. Such a number is called a **loss**, and this one the mean squared error:
  //
  // $$L = \frac1n \sum_{i=1}^{n} (\hat y_i - y_i)^2 .$$
  double loss = 0.75;
  chapter.check("loss", loss, mean(square(error)).item());

  // Now turn one dial, by a tenth. With $b = 3.1$ every prediction grows by 0.1 and the loss becomes $(3 \cdot 0.81 + 0.01) / 4 =
  // 0.61$. Turn $b$ back and $w$ up instead: the predictions grow by 0.1, 0.2, 0.3 and 0.5, and the loss becomes 0.4475.
  double with_b = 0.61, with_w = 0.4475;
  chapter.check("loss with b = 3.1", with_b, mean(square(w * x + 3.1 - y)).item());
  chapter.check("loss with w = 2.1", with_w, mean(square(2.1 * x + b - y)).item());

  // Per unit of turning, the loss fell by 1.4 for the dial $b$ and by about 3 for $w$. So both dials should go up, and $w$
  // matters about twice as much. Nobody told the machine what a taxi is. It found out which way to turn by *trying*.
  chapter.say(
      "Turn b by 0.1: the loss moves by {:.3g} for each unit. Turn w by 0.1: by {:.4g}.",
      (with_b - loss) / 0.1, (with_w - loss) / 0.1);
}

// That is the business of this book: a machine with dials, a number that says how wrong it is, and for every dial the question
// what happens to the number when the dial is turned a little. A machine that reads digits has a hundred thousand dials, one that
// writes text has billions. Between this page and those machines stand four things, and this chapter is about them:
//
// - **Numbers in boxes.** Four rides fit on paper. How do we write down a million? (*Shapes and broadcasting*)
// - **Slopes.** "About 3" is not good enough. What exactly does a turn of each dial do? (*A slope by nudging*, *The gradient*)
// - **Chance.** Four other rides would have given other dials. How far may we trust ours? (*A die*, and three sections more)
// - **Arithmetic that rounds.** Why turn by a tenth, why not by a billionth of a billionth? (*Arithmetic that rounds*)
//
// # How to read a program
//
// Every chapter is one program, and its page is that program's source: prose on the left, the code it speaks of on the right, no
// line left out. You have met most of the vocabulary already.
//
// - A `Tensor` is a box of numbers. `tensor({1, 2, 3, 5}, f64)` makes one from a list; `zeros({2, 3})` makes two rows of three
//   zeros. Lists and shapes stand in braces.
// - `// (4,)` at the end of a line is the *shape* of what that line makes: four numbers in a row. These comments are the thread to
//   hold on to in long formulas.
// - `f64` means `double`, 64 bits. Without it the library uses `float`, 32 bits, which is faster and exact enough for learning.
//   What is meant to be exact is computed in `f64`.
// - `w * x + b` works on all numbers of a box at once; `item()` takes the number out of a box that holds a single one.
//   Functions have PyTorch's names: `mean`, `square`, `matmul`.
// - `chapter.section` and `chapter.say` print the story in the terminal, `chapter.figure` draws, and `chapter.check(name, by hand,
//   library)` holds what we worked out on paper against what the library says. A mismatch fails the run.
//
// Chance enters through a `Generator`, which makes random-looking numbers from a starting number, its **seed**. The same seed makes
// the same numbers, on every machine. `./run 00` uses seed 1, `./run 00 --seed 2` another, and then all that depends on chance comes
// out a little differently. A result that only holds for one seed is no result.
//
// The last word is `chapter.claim`. A **claim** is a sentence with a number in it, which the program measures, and a bound that the
// number has to keep. If one does not hold, the run says so and ends with exit status 1. What keeping it proves depends on
// its kind. An *identity* is mathematics: only a mistake can break it. What is *built in* was put there by us, say in a die that we
// made fair: finding it again shows that the method works. What is *found* was put there by nobody. Here is the first:
static void how_to_read(Chapter& chapter) {
  chapter.section("How to read a program");
  chapter.say(
      "A generator with a seed makes numbers between 0 and 1. We ask two generators with this run's seed, {}.",
      int64_t(chapter.seed()));
  Generator random(chapter.seed()), again(chapter.seed());
  Tensor once = rand({1000}, random, f64);  // (1000,)
  Tensor twice = rand({1000}, again, f64);  // (1000,)
  chapter.claim("same-seed",
                "the same seed gives the same 1000 numbers: largest gap",
                largest_gap(once, twice), exactly(0), identity);
}

// `./run 00 --quick` does the same in small, for the test. Most chapters have `--full` as well, with real data.
//
// # Shapes and broadcasting
//
// A single number is a **scalar**. A row of numbers is a **vector**; ours of the four rides has the shape `(4,)`. A table with rows
// and columns is a **matrix**; its shape says rows first: `(4, 3)` is four rows of three. A **tensor** has any number of such
// directions, called **dimensions**: a hundred colour pictures of 32 by 32 points are a tensor `(100, 3, 32, 32)`. A scalar's
// shape is `()`, and the comma in `(4,)` only says that this is a list with one entry.
//
// The numbers themselves lie in memory one after the other, row by row. The shape says how to read them.
//
// Most of what you will do wrong in this book is to bring together two shapes that do not fit. The library answers with one line.
// So we look at every rule twice: working, and failing. The second argument below is the message, word for word.
template <class F>
static bool refuses(Chapter& chapter, const std::string& message, F wrong) {
  try {
    wrong();
  } catch (const Error& error) {
    chapter.say("  {}", error.what());
    return error.what() == message;
  }
  return false;
}

static void shapes_and_broadcasting(Chapter& chapter) {
  chapter.section("Shapes and broadcasting");
  chapter.say(
      "Each rule is shown working, and failing once. These are the messages:");
  int refused = 0;

  // **Another shape for the same numbers.** Six numbers can be read as two rows of three or as three rows of two, but not as four
  // rows of two.
  Tensor six = arange(6).to(f64);      // (6,): 0, 1, 2, 3, 4, 5
  Tensor table = six.reshape({2, 3});  // (2, 3): 0, 1, 2 over 3, 4, 5
  chapter.check("row 1, column 0", 3, table[{1, 0}].item());
  refused += refuses(
      chapter, "reshape: 6 elements of shape (2, 3) do not fit shape (4, 2)", [&] {
        return table.reshape({4, 2});
      });

  // **An element has its place**, counted from 0. Rows 0 and 1 exist, row 2 does not. And `item` wants a box with one number.
  refused += refuses(
      chapter, "select: index 2 is out of range for dimension 0 of shape (2, 3)",
      [&] { return table[2]; });
  refused += refuses(chapter, "item: needs one element, got shape (2, 3)",
                     [&] { return table.item(); });

  // **Sums and means take the dimension that goes away.** `sum(table, {0})` adds up along dimension 0, down the columns, and three
  // sums are left. `sum(table, {1})` adds along the rows. There is no dimension 2.
  chapter.check("sums of the columns", tensor({3, 5, 7}, f64),
                sum(table, {0}));  // (2, 3) → (3,)
  chapter.check("sums of the rows", tensor({3, 12}, f64),
                sum(table, {1}));  // (2, 3) → (2,)
  refused += refuses(
      chapter, "sum: dimension 2 is out of range for a tensor with 2 dimensions",
      [&] { return sum(table, {2}); });

  // **Equal shapes meet element by element.** So do, surprisingly, some unequal ones. In `w * x + b` four numbers met one. That is
  // called **broadcasting**, and it has one rule: *compare the shapes from the right. Two sizes fit if they are equal, or if one
  // of them is 1 or missing; that one is repeated.*
  //
  // | | | | |
  // |---|---|---|---|
  // | `(2, 3)` with `(3,)` | 3 = 3, 2 meets nothing | each row gets the vector | `(2, 3)` |
  // | `(2, 3)` with `(2, 1)` | 1 is repeated, 2 = 2 | each column gets it | `(2, 3)` |
  // | `(4, 1)` with `(3,)` | 1 and nothing are repeated | each with each | `(4, 3)` |
  // | `(2, 3)` with `(2,)` | 3 and 2 differ | | error |
  Tensor three = tensor({10, 20, 30}, f64), two = tensor({10, 20}, f64);
  chapter.check("(2, 3) + (3,)", tensor({{10, 21, 32}, {13, 24, 35}}, f64),
                table + three);
  chapter.check("(2, 3) + (2, 1)", tensor({{10, 11, 12}, {23, 24, 25}}, f64),
                table + two.reshape({2, 1}));
  refused += refuses(
      chapter,
      "add: shapes (2, 3) and (2,) do not broadcast: sizes 3 and 2 differ, and neither is 1",
      [&] { return table + two; });

  // The last two lines differ in nothing but `reshape({2, 1})`, which says *which way* the two numbers should go. Without it the
  // library would have to guess, and it refuses to. One more thing that cannot work: to write the larger result into the smaller
  // box.
  refused += refuses(
      chapter,
      "add_: a result of shape (2, 3) does not fit into a tensor of shape (3,)",
      [&] { return three.add_(table); });

  // Each with each is how one line of code handles many taxis. Three firms have a price a kilometre and a price for getting in.
  // What does each of the four rides cost with each firm?
  Tensor x = rides();                      // (4,)
  Tensor w = tensor({2, 3, 4}, f64);       // (3,): euros a kilometre
  Tensor b = tensor({3, 1, 0}, f64);       // (3,): for getting in
  Tensor product = x.reshape({4, 1}) * w;  // (4, 1) * (3,) → (4, 3)
  Tensor prices = product + b;             // (4, 3) + (3,) → (4, 3)
  chapter.check("four rides, three firms",
                tensor({{5, 4, 4}, {7, 7, 8}, {9, 10, 12}, {13, 16, 20}}, f64),
                prices);
  chapter
      .figure("broadcasting",
              "what is repeated: the rides to the right, the prices downwards")
      .size(760, 250)
      .panel("rides (4, 1)")
      .heatmap(x.reshape({4, 1}).expand({4, 3}))
      .panel("times price (3,)")
      .heatmap(w.expand({4, 3}))
      .panel("product (4, 3)")
      .heatmap(product);

  // **The matrix product** says the same with a sum inside. Row $i$ of $A$ and column $j$ of $B$ are multiplied number by
  // number and added up: $(AB)_{ij} = \sum_k A_{ik} B_{kj}$. So $A$ must be as wide as $B$ is high: $(n, d)$ times $(d, k)$ gives
  // $(n, k)$. Give each ride a second number, 1, that the price for getting in can be multiplied with; give each firm a row of weights.
  // Rides stand in the rows of $X$, firms in the rows of $W$, and all fares are $X W^\top$, where $\top$ turns rows into columns.
  // Throughout this book examples are rows, and a weight matrix is (what comes out, what goes in).
  Tensor X =
      tensor({{1, 1}, {2, 1}, {3, 1}, {5, 1}}, f64);  // (4, 2): kilometres, 1
  Tensor W =
      tensor({{2, 3}, {3, 1}, {4, 0}}, f64);  // (3, 2): a kilometre, getting in
  chapter.check("the same fares as one matrix product", prices,
                matmul(X, W.t()));  // (4, 2) x (2, 3) → (4, 3)
  refused += refuses(chapter, "matmul: (4, 2) x (3, 2): inner sizes 2 and 3 differ",
                     [&] { return matmul(X, W); });
  chapter.claim("messages",
                "messages, each word for word as it stands in the source", refused,
                exactly(7), identity);
}

// An error is the good case. What if two shapes fit that should not?
//
// ? Our machine's four predictions come as a matrix of one column, `(4, 1)`. The fares are a vector, `(4,)`. What is the mean of
// `square(y_hat - y)`, which was 0.75 above?
// - [ ] 0.75: the numbers are the same, but the shapes are compared from the right, where 1 meets 4
// - [ ] an error: there would be one if neither size were 1
// - [x] 18: each prediction is compared with each fare, sixteen differences, and nobody complains
static void the_silent_mistake(Chapter& chapter) {
  chapter.section("The silent mistake");
  Tensor y_hat = (2.0 * rides() + 3).reshape({4, 1});  // (4, 1)
  Tensor gap = y_hat - fares();                        // (4, 1) - (4,) → (4, 4)
  chapter.claim("each-with-each",
                "(4, 1) minus (4,): the 'loss' of the dials whose loss is 0.75",
                mean(square(gap)).item(), exactly(18), identity);

  // This happens to everybody, and it can cost days, because a machine can be trained on the wrong number. So the library's own losses
  // refuse the pair. When you write a loss yourself, write the shapes beside it.
  bool refused = refuses(
      chapter,
      "mse_loss: input (4, 1) and target (4,) would be compared as (4, 4); reshape one of them",
      [&] { return mse_loss(y_hat, fares()); });
  chapter.check("mse_loss refuses (1 = yes)", 1, refused);
}

// # A slope by nudging
//
// Back to the dial $w$. Turned by 0.1 it moved the loss by $-0.3025$, so by about $-3$ for each unit. The amount of turning is a **nudge**;
// we call it $\varepsilon$. Does the answer depend on the nudge?
//
// ? From $w = 2$ we turn the dial by 0.8. The loss goes from 0.75 to 3.79. Which way should the dial go?
// - [ ] down, since the loss grew: it fell before it grew; 0.8 jumps right over the valley
// - [x] up, as before: what counts is what happens close to $w = 2$, and a nudge of 0.8 does not see it
// - [ ] it is fine where it is: the loss can fall below 0.75, as a nudge of 0.1 has shown
static double loss_at(double w, double b) {
  return mean(square(w * rides() + b - fares())).item();
}

template <class F> static double slope(F f, double x, double nudge) {
  return (f(x + nudge) - f(x)) / nudge;
}

// The change of the loss divided by the nudge is a **slope**. In the picture it is the steepness of a straight line through two points
// of the curve, a secant. As the second point slides towards the first, the secant turns into the line that touches the curve:
// the tangent.
static void a_slope_by_nudging(Chapter& chapter) {
  chapter.section("A slope by nudging");
  chapter.say(
      "The slope of the loss when we turn the dial w from 2 by smaller and smaller nudges.");
  auto loss = [](double w) { return loss_at(w, 3); };
  Table table = chapter.table({"nudge", "slope"});
  for (double nudge : {0.8, 0.4, 0.2, 0.1, 0.01, 0.001})
    table.row(nudge, slope(loss, 2, nudge));

  // Each line goes through $(2, 0.75)$ with the slope that its nudge gave.
  Figure figure = chapter.figure(
      "secants", "the smaller the nudge, the closer the secant to the tangent");
  Tensor w = linspace(1.6, 2.95, 136, f64);  // (136,)
  Tensor column = w.reshape({-1, 1});        // (136, 1)
  figure.line(w, mean(square(column * rides() + 3 - fares()), {1}), "loss")
      .ylim(-1.2, 4.5)
      .axes("w", "loss");
  for (double nudge : {0.8, 0.4, 0.1}) {
    Tensor secant = 0.75 + slope(loss, 2, nudge) * (w - 2);  // (136,)
    figure.line(w, secant, "nudge 0." + std::to_string(int(10 * nudge + 0.5)));
  }
  figure.dashed(w, 0.75 - 4 * (w - 2), "tangent")
      .scatter({2, 2.1, 2.4, 2.8}, {0.75, loss(2.1), loss(2.4), loss(2.8)});

  // The slopes settle down at $-4$. That number is the **derivative** of the loss, and the formula is what we did, with the nudge sent
  // to zero:
  //
  // $$\frac{\partial L}{\partial w} = \lim_{\varepsilon \to 0} \frac{L(w + \varepsilon) - L(w)}{\varepsilon} .$$
  //
  // The curly $\partial$ says that the other dials stand still meanwhile. Does $-4$ come out on paper? Call the four errors $e_i$. The nudge
  // adds $\varepsilon x_i$ to each, so
  //
  // $$L(w + \varepsilon) = \frac1n \sum_i (e_i + \varepsilon x_i)^2
  //   = L(w) + \varepsilon \cdot \frac2n \sum_i e_i x_i + \varepsilon^2 \cdot \frac1n \sum_i x_i^2 .$$
  //
  // The middle sum is $\frac24 (-1 - 2 + 0 - 5) = -4$, the last is $39/4 = 9.75$. A nudge gives $-4 + 9.75\,\varepsilon$: the derivative, and
  // an error in proportion to the nudge.
  chapter.check("slope with a nudge of 0.1", -4 + 0.975, slope(loss, 2, 0.1));
  chapter.check("slope with a nudge of 0.001", -4 + 0.00975, slope(loss, 2, 0.001));
}

// Half the nudge, half the error. Can we do better for the same work? Nudge *both ways* and divide by twice the nudge:
static constexpr auto two_sided = [](auto f, double x, double nudge) {
  return (f(x + nudge) - f(x - nudge)) / (2 * nudge);
};

// On one side the curve bends away from its tangent upwards, and on the other side it does so as well; in the difference
// the two cancel. For our parabola nothing is left, and $-4$ comes out at once. For other curves something is. Take one
// whose slope school knows: at $x = 1$ the slope of $\sin x$ is $\cos 1$.
static void both_ways(Chapter& chapter) {
  chapter.section("Nudging both ways");
  chapter.check("both ways, a nudge of 0.8", -4,
                two_sided([](double w) { return loss_at(w, 3); }, 2, 0.8));
  auto sine = [](double x) { return std::sin(x); };
  auto error = [](double measured) { return std::abs(measured - std::cos(1.0)); };
  chapter.claim(
      "half-nudge",
      "half the nudge: the error of the slope of sin shrinks by this factor",
      error(slope(sine, 1, 0.02)) / error(slope(sine, 1, 0.01)), near(2, 0.02),
      identity);
  chapter.claim("half-nudge-both", "the same, nudged both ways",
                error(two_sided(sine, 1, 0.02)) / error(two_sided(sine, 1, 0.01)),
                near(4, 0.01), identity);
}

// ## Slopes multiply
//
// A loss is made in steps. For one ride, the one of 5 kilometres and 14 euros, with $w = 2$ and $b = 3$:
//
// $$w \;\xrightarrow{\;5w + b\;}\; \hat y = 13 \;\xrightarrow{\;\hat y - 14\;}\; e = -1 \;\xrightarrow{\;e^2\;}\; 1 .$$
//
// Nudge $w$ by $\varepsilon$. Then $\hat y$ moves by $5\varepsilon$, since the ride has 5 kilometres. The error moves by as much.
// Its square moves by $2e = -2$ times as much. Like the gears of a clock each step passes on the movement, so many times as large, and from
// one end to the other the factors multiply: $5 \cdot 1 \cdot (-2) = -10$. This is the **chain rule**:
//
// $$\frac{\partial L}{\partial w} = \frac{\partial L}{\partial e} \cdot \frac{\partial e}{\partial \hat y} \cdot
//   \frac{\partial \hat y}{\partial w} .$$
//
// Where one dial reaches the loss on several ways, the movements that arrive *add up*: the loss of all four rides is their mean, so its slope is
// the mean of the four rides' slopes.
static void slopes_multiply(Chapter& chapter) {
  chapter.section("Slopes multiply");
  chapter.say(
      "One ride: w = 2 → ŷ = 13 → error -1 → loss 1. The slope of each step by nudging, and their product:");
  auto predict = [](double w) { return 5 * w + 3; };
  auto error = [](double y_hat) { return y_hat - 14; };
  auto squared = [](double e) { return e * e; };
  double first = two_sided(predict, 2, 1e-3);   // 5
  double second = two_sided(error, 13, 1e-3);   // 1
  double third = two_sided(squared, -1, 1e-3);  // -2
  chapter.check(
      "the slope from end to end", first * second * third,
      two_sided([&](double w) { return squared(error(predict(w))); }, 2, 1e-3),
      1e-9);

  // All four rides: $2 e_i x_i$ is $-2$, $-4$, $0$ and $-10$, and the mean is $-4$ again.
  Tensor each = 2.0 * tensor({-1, -1, 0, -1}, f64) * rides();  // (4,)
  chapter.check("the four rides' slopes", tensor({-2, -4, 0, -10}, f64), each);
  chapter.check("their mean", -4, mean(each).item());

  // The library does precisely this, without a nudge. Say of a tensor that you will want slopes, `requires_grad_()`, and it keeps a
  // record of every step that follows. `grad(loss, w)` walks back over the record and multiplies. Chapter 6 builds such a machine,
  // and the whole book lives on it.
  Tensor w = tensor(2, f64).requires_grad_();  // ()
  Tensor loss = mean(square(w * rides() + 3.0 - fares()));
  chapter.check("the library's slope", -4, grad(loss, w).item());
}

// # The gradient
//
// Two dials, two slopes. The list of all slopes is the **gradient**, written $\nabla L$:
//
// $$\nabla L = \Bigl( \frac{\partial L}{\partial w}, \frac{\partial L}{\partial b} \Bigr) = (-4, -1.5) .$$
//
// The dials $(w, b)$ are a place on a map, and the loss is the height of the land there. Lines of equal height are
// **contours**. The gradient is an arrow on this map. Which way does it point?
//
// ? We stand at $(2, 3)$ and take a tiny step of fixed length, in any direction. In which does the loss grow fastest?
// - [x] along the gradient: and by the gradient's length for each unit of the step
// - [ ] in the direction of the larger slope alone, along $w$: part of the step would better be spent on $b$, which counts as well
// - [ ] directly away from the lowest point: the land near us knows nothing of that; try it in the picture
static void the_gradient(Chapter& chapter) {
  chapter.section("The gradient");
  chapter.say(
      "We stand at w = 2, b = 3 and take a tiny step in each of 3600 directions. How steeply does the loss climb?");
  Tensor slopes =
      tensor({two_sided([](double w) { return loss_at(w, 3); }, 2, 1e-4),
              two_sided([](double b) { return loss_at(2, b); }, 3, 1e-4)},
             f64);  // (2,)
  chapter.check("the gradient", tensor({-4, -1.5}, f64), slopes, 1e-8);

  // The direction with angle $\alpha$ is the step $(\cos\alpha, \sin\alpha)$ of length 1. Nudge along each.
  const double pi = std::acos(-1.0);
  const int64_t n = 3600;
  Tensor angle = linspace(-180, 180 - 360.0 / n, n, f64);  // (n,): degrees
  Tensor u =
      stack({cos(angle * (pi / 180)), sin(angle * (pi / 180))}, 1);  // (n, 2)
  auto losses = [&](double nudge) {
    Tensor at = tensor({2, 3}, f64) + nudge * u;  // (2,) + (n, 2) → (n, 2)
    Tensor w = at.narrow(1, 0, 1), b = at.narrow(1, 1, 1);  // (n, 1), (n, 1)
    return mean(square(w * rides() + b - fares()),
                {1});  // (n, 1) * (4,) → (n, 4) → (n,)
  };
  Tensor climb = (losses(1e-4) - losses(-1e-4)) / 2e-4;  // (n,)

  // On the left the map, on the right the climb in every direction. It is a wave: highest along the gradient, lowest opposite, and
  // zero at right angles to it. A direction in which the height does not change is that of the contour. So the gradient stands
  // perpendicular on the contour, and points uphill.
  Tensor across = linspace(1.1, 2.9, 91, f64),
         up = linspace(2.1, 3.9, 91, f64);  // (91,), (91,)
  Tensor W = across.reshape({1, 91, 1}),
         B = up.reshape({91, 1, 1});  // one w a column, one b a row
  Tensor land =
      mean(square(W * rides() + B - fares()), {2});  // (91, 91, 4) → (91, 91)
  Extent extent{1.1, 2.9, 2.1, 3.9};
  const int64_t top = argmax(climb).item<int64_t>();
  double best = angle[top].item();
  double gx = slopes[0].item(), gy = slopes[1].item(),
         steepest = std::hypot(gx, gy);
  Figure map = chapter.figure(
      "compass",
      "the gradient stands on the contour; the climb in every direction is a wave");
  map.size(760, 384).panel("the map").axes("w", "b");
  for (double level : {0.3, 0.75, 1.5, 3.0, 5.0, 8.0})
    map.contour(land, extent, level);
  auto arrow = [&](double x, double y,
                   double length) {  // to the end, and the two strokes of its head
    double dx = x * length, dy = y * length;
    std::vector<double> xs = {2, 2 + dx, 2 + 0.8 * dx - 0.1 * dy, 2 + dx,
                              2 + 0.8 * dx + 0.1 * dy};
    std::vector<double> ys = {3, 3 + dy, 3 + 0.8 * dy + 0.1 * dx, 3 + dy,
                              3 + 0.8 * dy - 0.1 * dx};
    map.line(xs, ys);
  };
  arrow(gx / steepest, gy / steepest, 0.55);
  map.note(1.15, 2.72, "gradient")
      .scatter({2}, {3})
      .note(2.04, 2.93, "we")
      .xlim(1.1, 2.9)
      .ylim(2.1, 3.9);
  map.panel("climb by direction")
      .line(angle, climb)
      .vline(best, "gradient")
      .axes("degrees", "climb")
      .xlim(-180, 180);

  // The direction of the gradient itself has the angle of the arrow $(-4, -1.5)$; its length is $\sqrt{4^2 + 1.5^2} = 4.27$.
  chapter.claim("steepest",
                "degrees between the gradient and the steepest of 3600 directions",
                std::abs(best - std::atan2(gy, gx) * 180 / pi), at_most(0.06),
                identity);
  chapter.claim("as-steep", "the steepest climb over the length of the gradient",
                amax(climb).item() / std::hypot(4, 1.5), near(1, 1e-5), identity);
  chapter.claim("level", "the climb at right angles to the gradient",
                std::abs(climb[(top + n / 4) % n].item()), at_most(0.01), identity);

  // Every direction in between obeys one formula. Each dial is turned by its part of the step and does with it what its slope says:
  // the climb in direction $u$ is the sum of $\partial L / \partial w \cdot u_1$ and $\partial L / \partial b \cdot u_2$, the **dot product** of
  // gradient and step.
  chapter.claim(
      "dot", "climb in 3600 directions, by nudging and by dot product: largest gap",
      largest_gap(climb, matmul(u, slopes)), at_most(1e-8), identity);

  // And the library? One call gives all slopes, for any function made of its operations. Here is a crooked one, at 1000 random places.
  Generator random(chapter.seed());
  Tensor p = randn({1000}, random, f64).requires_grad_(),
         q = randn({1000}, random, f64).requires_grad_();  // (1000,)
  auto crooked = [](const Tensor& a, const Tensor& c) {
    return sin(a * c) + exp(-square(a)) * c;
  };
  std::vector<Tensor> g = grad(sum(crooked(p, q)), {p, q});  // (1000,), (1000,)
  NoGrad from_here_on_no_record;
  const double nudge = 1e-5;
  Tensor by_p = (crooked(p + nudge, q) - crooked(p - nudge, q)) / (2 * nudge);
  Tensor by_q = (crooked(p, q + nudge) - crooked(p, q - nudge)) / (2 * nudge);
  chapter.claim(
      "nudged",
      "gradients of a crooked function at 1000 places, nudged and by the library: largest gap",
      std::max(largest_gap(by_p, g[0]), largest_gap(by_q, g[1])), at_most(1e-6),
      identity);
}

// Look at the map again. To go down fast, walk *against* the gradient; chapter 1 does, and calls it gradient descent. Yet the arrow
// does not point away from the lowest point: it crosses a long valley. Walking against it is a good idea, not a perfect one, and
// chapter 9 is about better ones.
//
// Nudging would do for two dials. For the network of chapter 5, with its hundred thousand, each gradient would take as many runs of the
// network as there are dials. `grad` needs one run, and one walk back. That is why deep learning is possible at all. What nudging stays good
// for is the check.
//
// # A die
//
// Chance is what makes learning hard: the four rides are four out of many, and we want dials for the others. The smallest piece of
// chance is a die. Before it falls we cannot say what it will show. We can say what *many* throws do.
//
// Each of the six numbers comes up in a share of $1/6$ of all throws, in the long run. Such a share is a **probability**. The mean of
// many throws settles at the **expectation**: every value times its probability, added up,
//
// $$\mathbb E[x] = \sum_x p(x)\, x = \tfrac16 (1 + 2 + 3 + 4 + 5 + 6) = 3.5 .$$
//
// No throw shows 3.5. How far from it are they? The mean square of the distance is the **variance**, and its root, which
// has the unit of $x$ again, the **standard deviation** $\sigma$:
//
// $$\mathrm{Var}[x] = \mathbb E\bigl[(x - \mathbb E[x])^2\bigr] = \sigma^2 .$$
//
// For the die the distances are 2.5, 1.5 and 0.5, each twice: $\sigma^2 = 35/12$ and $\sigma = 1.71$.
static Tensor throw_dice(const Shape& shape, Generator& random) {
  return randint(1, 7, shape, random).to(f64);  // 1, 2, 3, 4, 5 or 6
}

// Every statement about chance in this book can be tried out, and from here on we do both: formula and experiment. The experiment
// never gives exactly the formula's number. So it has to come with a statement of how far off it may be.
//
// ? With 100 throws the mean is typically off by 0.17. We want it ten times as exact. How many throws does that take?
// - [ ] 1000: ten times as many throws make the mean $\sqrt{10} = 3.2$ times as exact
// - [x] 10 000: the error shrinks with the *root* of the number of throws
// - [ ] no number suffices: the mean of enough throws comes as close to 3.5 as you like
static void a_die(Chapter& chapter) {
  chapter.section("A die");
  const int64_t repeats = chapter.pick(200, 1000, 1000);
  chapter.say(
      "We throw a die 10, 100, 1000 and 10 000 times, take the mean, and do it all again, {} times. Are the means off by as "
      "much as σ/√n?",
      repeats);
  const double sigma = std::sqrt(35.0 / 12);
  Generator random(chapter.seed());

  // If one throw is typically off by $\sigma$, the mean of $n$ throws is typically off by its **standard error**
  //
  // $$\frac{\sigma}{\sqrt n} .$$
  //
  // The reason is that variances of independent throws add up, and signs do not: the sum of $n$ throws has the variance $n \sigma^2$,
  // its standard deviation is $\sqrt n\, \sigma$, and the mean is the sum divided by $n$.
  std::vector<double> throws = {10, 100, 1000, 10000}, spreads, expected;
  Table table = chapter.table({"throws", "spread of the means", "σ/√n"});
  double within = 0;
  for (double n : throws) {
    Tensor means = mean(throw_dice({repeats, int64_t(n)}, random),
                        {1});  // (repeats, n) → (repeats,)
    spreads.push_back(cr::std(means).item());
    expected.push_back(sigma / std::sqrt(n));
    within += mean((abs(means - 3.5) < 2 * expected.back()).to(f64)).item() / 4;
    table.row(int64_t(n), spreads.back(), expected.back());
  }

  // One long run of throws, five times over, with the band of two standard errors that it should mostly keep to. And the spread of all
  // the means: on these scales, where each step is a factor of ten, $1/\sqrt n$ is a straight line that falls by one step in two.
  const int64_t n = 3000;
  Tensor count = arange(1, n + 1).to(f64);  // (n,)
  Tensor running =
      cumsum(throw_dice({5, n}, random), 1) / count;  // (5, n) / (n,) → (5, n)
  Tensor band = 2 * sigma / sqrt(count);              // (n,)
  Figure figure =
      chapter.figure("die", "the mean of ever more throws, and how far off it is");
  figure.size(760, 320)
      .panel("five runs")
      .log_x()
      .ylim(1, 6)
      .axes("throws", "mean so far");
  for (int64_t run = 0; run < 5; ++run) figure.line(count, running[run]);
  figure.dashed(count, 3.5 + band).dashed(count, 3.5 - band);
  figure.panel("spread of the means")
      .log_x()
      .log_y()
      .axes("throws", "spread")
      .line(throws, expected, "σ/√n")
      .scatter(throws, spreads);

  // An error that is proportional to $n^{-1/2}$ has the slope $-\frac12$ in that picture. How often does a mean lie within two
  // standard errors of what it should be? The formula for many throws says 95.4 %, and one time in twenty it does not. So where this
  // book compares an experiment with a formula, it allows five standard errors: one false alarm in a million.
  double slope = (std::log(spreads[3]) - std::log(spreads[0])) /
                 (std::log(throws[3]) - std::log(throws[0]));
  chapter.claim("root-n", "the error of the mean goes with n to the power of",
                slope, near(-0.5, 0.08), built_in, {.quick = near(-0.5, 0.2)});
  chapter.claim("two-errors", "means within two standard errors", within,
                between(0.93, 0.98), built_in,
                {.quick = between(0.9, 0.99), .unit = "%"});
}

// How far off a number may be is called its *error bar*. A table of results without one cannot be read: is 98.1 % better than
// 97.9 %? With 10 000 test pictures the standard error of such a share is 0.14 %, and the answer is that nobody knows.
//
// # The blue cab
//
// A taxi has hit a fence at night and driven on. In this town 85 % of the taxis are green and 15 % are blue. A witness says: *it was
// blue*. Tests show that at night she tells the colour rightly in 80 % of cases, for both colours. (The problem is Tversky and
// Kahneman's.)
//
// ? How probable is it that the taxi was blue?
// - [ ] 80 %: that is how often she is right about a blue taxi, not how often a taxi that she calls blue is one
// - [ ] about 60 %: more than half of the taxis that she calls blue are green ones; there are so many of those
// - [x] about 41 %: of 100 nights 15 have a blue taxi, she says blue on 12 of these, and on 17 of the 85 with a green one
//
// We let a hundred thousand nights pass and look only at those on which she says *blue*. Two random numbers decide each night: the first
// whether the taxi is blue, the second whether she is right.
static void the_blue_cab(Chapter& chapter) {
  chapter.section("The blue cab");
  const int64_t nights = chapter.pick(20000, 200000, 200000);
  chapter.say(
      "{} nights. On each a taxi, blue with probability 0.15, and a witness, right with probability 0.8.",
      nights);
  Generator random(chapter.seed());
  Tensor u = rand({nights}, random, f64),
         v = rand({nights}, random, f64);   // (nights,), (nights,)
  Tensor blue = u < 0.15, right = v < 0.8;  // (nights,) of yes and no
  Tensor says_blue =
      blue == right;  // a blue taxi and right, or a green one and wrong

  // The picture has the two random numbers of each night as its coordinates. So shares of nights are *areas*. What she calls blue are two
  // blocks, and the answer is the left one's share of both.
  auto dots = [&](const Tensor& which, const Tensor& of) {
    return of.narrow(0, 0, 2000).index({which.narrow(0, 0, 2000)});
  };
  Tensor blue_and_says = blue & says_blue, green_and_says = ~blue & says_blue;
  chapter.figure("cab", "2000 nights; two blocks are called blue")
      .scatter(dots(blue_and_says, u), dots(blue_and_says, v), "blue, called blue")
      .scatter(dots(green_and_says, u), dots(green_and_says, v),
               "green, called blue")
      .scatter(dots(~says_blue, u), dots(~says_blue, v), "called green")
      .vline(0.15)
      .axes("first number: colour", "second: right or wrong")
      .xlim(0, 1)
      .ylim(0, 1);

  // In symbols, $P(A \mid B)$ is the probability of $A$ among the cases in which $B$ holds, and **Bayes' rule** turns it round:
  //
  // $$P(\text{blue} \mid \text{says blue}) = \frac{P(\text{says blue} \mid \text{blue})\, P(\text{blue})}{P(\text{says blue})}
  //   = \frac{0.8 \cdot 0.15}{0.8 \cdot 0.15 + 0.2 \cdot 0.85} = \frac{12}{29} .$$
  //
  // What we believed before, $P(\text{blue})$, is the **prior**; what we believe afterwards is the **posterior**. The
  // experiment knows neither. It counts.
  double p = 12.0 / 29;
  double counted =
      sum(blue_and_says.to(f64)).item() / sum(says_blue.to(f64)).item();
  double bar = std::sqrt(p * (1 - p) / sum(says_blue.to(f64)).item());
  chapter.say("Counted {:.4f} ± {:.4f}; Bayes' rule says {:.4f}.", counted, bar, p);
  chapter.claim("cab", "of the taxis called blue so many are blue", counted,
                near(0.414, 0.025), built_in,
                {.quick = near(0.414, 0.08), .unit = "%"});
  chapter.claim(
      "cab-bars", "counted against Bayes' rule: distance in standard errors",
      std::abs(counted - p) / bar, at_most(5), built_in, {.quick = at_most(5)});
}

// A share of $n$ cases with probability $p$ has the standard error $\sqrt{p(1-p)/n}$: a yes counts 1, a no 0, and the variance of that
// is $p(1-p)$.
//
// # The dial that makes it likely
//
// A coin falls on heads 7 times out of 10. How often would it in the long run? Its probability $p$ of heads is a dial that we cannot
// see. Turn it round: for each setting of the dial, *how often would such a coin do what this one did?* That is something one can
// try: take coins with $p = 0.05, 0.1, \dots, 0.95$, toss each ten times, and count how often there are exactly 7 heads.
//
// The formula multiplies the probabilities of ten tosses, and counts the 120 orders in which 7 heads can come:
//
// $$\ell(p) = 120\; p^7 (1 - p)^3 .$$
//
// As a function of the dial this is the **likelihood**. The setting that makes what we saw most likely is the **maximum likelihood
// estimate**. Nearly every loss in this book is one: its minimum is the dial setting under which the data are least of a surprise.
static void the_dial_that_makes_it_likely(Chapter& chapter) {
  chapter.section("The dial that makes it likely");
  const int64_t repeats = chapter.pick(4000, 20000, 20000);
  chapter.say(
      "19 coins, from p = 0.05 to p = 0.95. Each is tossed ten times, {} times over. How often are there 7 heads?",
      repeats);
  Generator random(chapter.seed());
  Tensor p = linspace(0.05, 0.95, 19, f64);  // (19,)
  Tensor heads =
      sum((rand({19, repeats, 10}, random, f64) < p.reshape({19, 1, 1})).to(f64),
          {2});                                    // (19, repeats)
  Tensor share = mean((heads == 7).to(f64), {1});  // (19,)
  auto likelihood = [](const Tensor& q) {
    return 120.0 * pow(q, 7) * pow(1.0 - q, 3);
  };

  // The dots lie on the formula's hill. Were it 700 heads of 1000, the top would stay where it is, and the hill would become a
  // needle: ten times as narrow, for a hundred times as many tosses. It is the $1/\sqrt n$ of the die.
  Tensor fine = linspace(0.002, 0.998, 499, f64);  // (499,)
  Tensor log_ratio = 7 * log(fine / 0.7) +
                     3 * log((1.0 - fine) / 0.3);  // (499,): ln of ℓ(p) / ℓ(0.7)
  chapter.figure("hill", "how often ten tosses give 7 heads, for every coin")
      .size(760, 320)
      .panel("tried out")
      .line(fine, likelihood(fine))
      .scatter(p, share)
      .vline(0.7, "0.7")
      .axes("p", "share with 7 heads")
      .panel("7 of 10, 70 of 100, 700 of 1000")
      .line(fine, exp(log_ratio))
      .line(fine, exp(10 * log_ratio))
      .line(fine, exp(100 * log_ratio))
      .axes("p", "likelihood, top = 1");
  Tensor bar = sqrt(likelihood(p) * (1.0 - likelihood(p)) / double(repeats)) +
               1.0 / double(repeats);
  chapter.claim(
      "hill",
      "19 coins, tried out against the formula: largest distance in standard errors",
      amax(abs(share - likelihood(p)) / bar).item(), at_most(5), built_in,
      {.quick = at_most(5)});

  // Why is the top at 0.7 exactly? Take the logarithm, which turns the product into a sum and moves no top: $\ln \ell = 7 \ln p + 3 \ln (1 - p)$
  // and a number. At the top the slope is zero: $7/p - 3/(1-p) = 0$, which $p = 7/10$ solves. The share of heads is the maximum
  // likelihood estimate.
  Tensor top = tensor(0.7, f64).requires_grad_();
  chapter.check("slope of ln ℓ at p = 0.7", 7 / 0.7 - 3 / 0.3,
                grad(7 * log(top) + 3 * log(1.0 - top), top).item());
}

// ## Why squares?
//
// Our loss squares the errors. Why not take them as they are, or their fourth powers? Suppose a fare is $w x + b$ and some
// chance on top: a red light, a detour. The sum of many small chances has the **normal distribution**, the bell curve, with
// mean $\mu$ and standard deviation $\sigma$:
//
// $$p(y) = \frac{1}{\sqrt{2\pi}\,\sigma}\; e^{-(y - \mu)^2 / 2\sigma^2} .$$
//
// It is a **density**: areas under it are probabilities, of $y$ falling between two values. Between $\mu - \sigma$ and $\mu + \sigma$ lie
// 68.3 %. With $\mu = w x_i + b$ the likelihood of the dials is the product over the rides, and its logarithm is
//
// $$\ln \ell(w, b) = -\frac{1}{2\sigma^2} \sum_i (w x_i + b - y_i)^2 + \text{a number without } w \text{ and } b .$$
//
// There are the squares. Where the likelihood is largest the mean squared error is smallest, whatever $\sigma$ is. Another kind of chance asks for
// another loss: for yes and no it is the coin's, as chapter 3 shows.
static void why_squares(Chapter& chapter) {
  chapter.section("Why squares?");
  Generator random(chapter.seed());
  const int64_t n = chapter.pick(20000, 200000, 200000);
  Tensor chance =
      randn({n}, random, f64);  // (n,): normal, mean 0, standard deviation 1
  double sum_of_many = mean((abs(chance) < 1).to(f64)).item();
  chapter.claim("one-sigma", "normal numbers within one standard deviation",
                sum_of_many, near(0.6827, 0.01), built_in,
                {.quick = near(0.6827, 0.03), .unit = "%"});

  // Two settings of the dials, and fares that vary by 1.5 euros. How much likelier is the second? By the bell curves, and by the losses:
  const double sigma = 1.5, pi = std::acos(-1.0);
  auto log_likelihood = [&](double w, double b) {
    Tensor density = exp(-square(w * rides() + b - fares()) / (2 * sigma * sigma)) /
                     (std::sqrt(2 * pi) * sigma);
    return std::log(prod(density).item());
  };
  double by_curves = log_likelihood(2.1, 3) - log_likelihood(2, 3);
  double by_losses = -4 * (0.4475 - 0.75) / (2 * sigma * sigma);
  chapter.check("ln of how much likelier", by_losses, by_curves);
}

// # Surprise
//
// How much does it tell us that something has happened? That the sun rose, nothing; that a coin fell heads five times running, quite a
// lot. What has probability $p$ carries the **surprise** $\log_2 (1/p)$, counted in **bits**: heads carries one bit, five heads in a
// row five. Surprises of independent events add up, as their probabilities multiply.
//
// The mean surprise is the **entropy**:
//
// $$H(p) = \sum_x p(x) \log_2 \frac{1}{p(x)} .$$
//
// It says how many yes-or-no questions one needs on average to find out what happened, if one asks well and about many cases at once. A
// fair coin takes one. A coin that always falls on heads takes none. A die takes $\log_2 6 = 2.58$.
//
// Somebody who believes in wrong probabilities $q$ is surprised by $\log_2 (1/q(x))$, and on average by the **cross-entropy**
//
// $$H(p, q) = \sum_x p(x) \log_2 \frac{1}{q(x)} \;\ge\; H(p) .$$
//
// It is smallest for $q = p$: nobody is surprised less than the one who knows. That is why machines which answer with probabilities
// are trained to have a small cross-entropy. The excess is the **Kullback–Leibler divergence** of $q$ from $p$.
static Tensor entropy(const Tensor& p) {  // of a coin with p heads, in bits
  return -(p * log2(p) + (1.0 - p) * log2(1.0 - p));
}

static void surprise(Chapter& chapter) {
  chapter.section("Surprise");
  const int64_t tosses = chapter.pick(4000, 20000, 20000);
  chapter.say(
      "Nine coins, {} tosses each. We add up the surprises, once of somebody who knows the coin, once of somebody who believes "
      "that it is fair with 80 % heads.",
      tosses);
  Generator random(chapter.seed());
  Tensor p = linspace(0.1, 0.9, 9, f64);                              // (9,)
  Tensor heads = rand({9, tosses}, random, f64) < p.reshape({9, 1});  // (9, tosses)
  Tensor knows =
      -log2(where(heads, p.reshape({9, 1}),
                  1.0 - p.reshape({9, 1})));  // (9, tosses): surprise of each toss
  Tensor believes =
      -log2(where(heads, tensor(0.8, f64), tensor(0.2, f64)));   // (9, tosses)
  Tensor bar = cr::std(knows, {1}) / std::sqrt(double(tosses));  // (9,)

  Tensor fine = linspace(0.001, 0.999, 999, f64);
  chapter
      .figure(
          "entropy",
          "mean surprise at a coin: of one who knows it, and of one who believes in 80 % heads")
      .line(fine, entropy(fine), "entropy")
      .line(fine, -(fine * std::log2(0.8) + (1.0 - fine) * std::log2(0.2)),
            "cross-entropy")
      .scatter(p, mean(knows, {1}))
      .scatter(p, mean(believes, {1}))
      .axes("probability of heads", "bits")
      .ylim(0, 2.4);
  chapter.claim(
      "entropy",
      "mean surprise at nine coins against the entropy: largest distance in standard errors",
      amax(abs(mean(knows, {1}) - entropy(p)) / (bar + 1e-9)).item(), at_most(5),
      built_in, {.quick = at_most(5)});
  chapter.claim(
      "cross-entropy",
      "whoever believes wrongly is surprised more: least excess over all coins but his own, in bits",
      amin((mean(believes, {1}) - mean(knows, {1})).narrow(0, 0, 7)).item(),
      at_least(0.01), built_in, {.quick = at_least(0.005)});
  chapter.check(
      "bits in a die", std::log2(6.0),
      -sum(full({6}, 1.0 / 6, f64) * log2(full({6}, 1.0 / 6, f64))).item());
}

// The touching point of the two curves lies at $p = 0.8$, where the belief is right. In losses the book uses the natural logarithm, $\ln$,
// because its slope is $1/x$ without a factor. The unit is then the **nat**, 1.44 bits.
//
// # Arithmetic that rounds
//
// Type `0.1 + 0.2 == 0.3` into any language. The answer is no. Why?
//
// A `double` has 64 bits, so it can be at most $2^{64}$ different numbers, and between 0 and 1 alone there are infinitely many. The computer keeps
// a grid of them and rounds everything to the grid. It keeps a number as
//
// $$\pm\, 1.\underbrace{b_1 b_2 \dots b_{52}}_{\text{bits}} \times 2^{\text{exponent}},$$
//
// scientific notation in base two: this is a **floating-point number**. Between 1 and 2 the grid is $2^{-52}$ wide, about $2.2 \cdot 10^{-16}$. Between 2 and
// 4 twice that, and so on: the *relative* error of rounding is at most $u = 2^{-53}$, for large numbers and for small ones. As 1/3 has
// no end in decimals, 1/10 has none in base two. So 0.1 is rounded, 0.2 is rounded, their sum is rounded, and it comes out one step of the grid
// above the number to which 0.3 is rounded.
static void arithmetic_that_rounds(Chapter& chapter) {
  chapter.section("Arithmetic that rounds");
  double tenth = 0.1, fifth = 0.2;
  chapter.say(
      "0.1 is kept as {:.25f}.\n0.2 is kept as {:.25f}.\nTheir sum is  {:.25f}.\n0.3 is kept as {:.25f}.",
      tenth, fifth, tenth + fifth, 0.3);
  chapter.claim("tenths",
                "0.1 + 0.2 lies above 0.3 by so many steps of the grid there, 2⁻⁵⁴",
                (tenth + fifth - 0.3) / std::ldexp(1, -54), exactly(1), identity);

  // Rounding has consequences that algebra does not know. Sums depend on their order: $(1 + 10^{16}) - 10^{16}$ is 0, because
  // beyond $2^{53}$ the grid is wider than 1, and $1 + (10^{16} - 10^{16})$ is 1.
  Tensor one = tensor(1, f64), large = tensor(1e16, f64);
  chapter.check("(1 + 1e16) - 1e16", 0, ((one + large) - large).item());
  chapter.check("1 + (1e16 - 1e16)", 1, (one + (large - large)).item());

  // A `float` has 24 bits for its digits where a `double` has 53. Let us count with it, by ones.
  //
  // ? `float x = 0; while (x + 1 != x) x = x + 1;` Where does this stop?
  // - [ ] never: it would, if a `float` had room for every whole number
  // - [ ] at $3.4 \cdot 10^{38}$, the largest `float`: long before that the grid is wider than 1
  // - [x] at 16 777 216: this is $2^{24}$, from where on the grid is 2 wide, and adding 1 rounds back to where it was
  float x = 0;
  while (x + 1 != x) x = x + 1;
  chapter.claim("counting", "counting by ones in float stops at", double(x),
                exactly(16777216), identity);

  // Large and small come to an end as well. Above $1.8 \cdot 10^{308}$ there is only `inf`, and `inf - inf` is `nan`, *not a number*, which spoils
  // all that it touches and is not even equal to itself. Below $5 \cdot 10^{-324}$ there is only 0. A likelihood of 2000 tosses gets there: multiply 2000 halves.
  // Its logarithm is no trouble, which is one more reason for logarithms.
  Tensor halves = full({2000}, 0.5, f64);  // (2000,)
  chapter.check("the product of 2000 halves", 0, prod(halves).item());
  chapter.check("the sum of their logarithms", -2000 * std::log(2.0),
                sum(log(halves)).item());
  Tensor inf = exp(tensor(1000, f64));
  chapter.check("inf - inf equals itself (1 = yes)", 0,
                equal(inf - inf, inf - inf));
}

// # How small may a nudge be?
//
// Now the last of our questions can be answered. A smaller nudge is closer to the tangent. Then why not take the smallest?
//
// ? We measure the slope of $\sin x$ at $x = 1$, which is 0.5403, with a nudge of $10^{-17}$, in `double`. What comes out?
// - [ ] 0.5403, to 16 digits: the secant would be that good, if $1 + 10^{-17}$ were not rounded
// - [x] 0: $1 + 10^{-17}$ is rounded to 1, and the sine has not moved
// - [ ] nonsense of any size: so it is with a nudge of $10^{-15}$, where the difference has a digit or so left
//
// Two errors pull against each other. The secant's error is proportional to the nudge, $\varepsilon$. But each of the two sines is
// rounded, by about $u$; their difference is divided by $\varepsilon$, and the error becomes $u / \varepsilon$. The sum
// $\varepsilon + u / \varepsilon$ is smallest near $\varepsilon = \sqrt u$, about $10^{-8}$, and there half of the digits are
// lost. With a nudge both ways it is $\varepsilon^2 + u / \varepsilon$: the best nudge is $\sqrt[3]{u}$, and only a third is lost.
template <class Number>
static std::vector<double> slope_errors(const std::vector<double>& nudges,
                                        bool both) {
  std::vector<double> errors;
  for (double nudge : nudges) {
    volatile Number right = Number(1) + Number(nudge),
                    left = both ? Number(1) - Number(nudge) : Number(1);
    Number rise = std::sin(right) - std::sin(left);
    Number measured = rise / (both ? 2 * Number(nudge) : Number(nudge));
    errors.push_back(std::abs(double(measured) - std::cos(1.0)));
  }
  return errors;
}

static void how_small_a_nudge(Chapter& chapter) {
  chapter.section("How small may a nudge be?");
  chapter.say(
      "The slope of sin at 1, measured with nudges from 0.1 down to 1e-17. First the error shrinks, then it grows.");
  std::vector<double> nudges;
  for (int k = 4; k <= 68; ++k) nudges.push_back(std::pow(10, -k / 4.0));
  std::vector<double> in_float = slope_errors<float>(nudges, false),
                      in_double = slope_errors<double>(nudges, false),
                      both = slope_errors<double>(nudges, true);
  chapter
      .figure("v",
              "the error of a slope, for every nudge: too large, and too small")
      .line(nudges, in_float, "float")
      .line(nudges, in_double, "double")
      .line(nudges, both, "double, both ways")
      .log_x()
      .log_y()
      .axes("nudge", "error");

  // Each curve falls along the secant's error and climbs back along the rounding's, until the nudge is swallowed, and the error is the slope itself.
  auto best = [&](const std::vector<double>& errors) {
    return nudges[size_t(argmin(from_vector(errors)).item<int64_t>())];
  };
  chapter.claim("best-float", "float: the best nudge", best(in_float),
                between(1e-5, 1e-2), found, {.quick = between(1e-5, 1e-2)});
  chapter.claim("best-double", "double: the best nudge", best(in_double),
                between(1e-10, 1e-6), found, {.quick = between(1e-10, 1e-6)});
  chapter.claim("best-both", "double, both ways: the best nudge", best(both),
                between(1e-7, 1e-4), found, {.quick = between(1e-7, 1e-4)});
  chapter.claim("too-small", "the error with a nudge of 1e-17 is the whole slope",
                in_double.back(), near(0.5403, 1e-4), identity);
}

// That is why the two dials were turned by a tenth and then by thousandths, and why a check in this book says how large a gap it allows. It is also why
// all that is held to $10^{-10}$ is computed in `double`, while learning gets along with `float` and even fewer digits: a slope that is
// wrong in the seventh digit points downhill all the same.
//
// # The notation of this book
//
// For looking up, not for learning. What you have met in this chapter comes first; the number says where the others are introduced.
//
// | | in code | |
// |---|---|---|
// | $x$, $y$, $\hat y$ | `x`, `y`, `y_hat` | what goes in, what should come out, what does |
// | $n$, $d$, $k$ | | how many examples, inputs, classes |
// | $X$ | `X`, `x` | examples as rows, $(n, d)$ |
// | $w$, $b$ | `weight`, `bias` | weight and bias: the dials. $W$ is (out, in) |
// | $\theta$ | `parameters(model)` | all dials together |
// | $L$ | `loss` | how wrong the dials are |
// | $\partial L / \partial w$, $\nabla L$ | `grad(loss, w)` | one slope, all slopes |
// | $\varepsilon$ | `eps` | a nudge, or another small number |
// | $A^\top$, $AB$, $\odot$ | `A.t()`, `matmul`, `*` | rows become columns; product of matrices; element by element |
// | $\lVert x \rVert$ | `norm(x)` | length: root of the sum of squares |
// | $[z > 0]$ | `z > 0` | 1 where it is true, else 0 |
// | $\ln$, $\log_2$ | `log`, `log2` | natural logarithm, logarithm to base 2 |
// | $\arg\max$ | `argmax` | not the largest value, but where it is |
// | $P(A \mid B)$, $p(x)$ | | probability, if $B$ holds; probability or density |
// | $\mathbb E[x]$, $\mathrm{Var}[x]$ | `mean`, `var` | expectation and variance; a mean over data estimates the first |
// | $\mu$, $\sigma$, $\Sigma$ | | mean, standard deviation, covariance matrix (2) |
// | $\mathcal N(\mu, \sigma^2)$, $\sim$ | `randn` | normal distribution; "is drawn from" |
// | $H(p)$, $H(p, q)$, $\mathrm{KL}(p \,\Vert\, q)$ | `cross_entropy` | entropy, cross-entropy, the excess |
// | $u$ | | relative error of rounding, $2^{-53}$ or $2^{-24}$ |
// | $\eta$ | `lr` | learning rate: how far one step goes (1) |
// | $\lambda$ | `weight_decay` | weight of a penalty (1, 13) |
// | $z$ | `logits` | a value before the bend; a score for each class (3, 5). In 39–44 a code |
// | $\sigma(z)$ | `sigmoid` | with an argument: $1 / (1 + e^{-z})$ (3) |
// | $h$, $a$ | `hidden` | hidden unit, activation function (5) |
// | $W_l$, $\delta_l$ | | layer $l$: weights, $\partial L / \partial Z_l$ (5) |
// | $v$, $m$ | | running means of squares and of gradients (9) |
// | $H$ | `hessian` | matrix of second slopes (8) |
// | $t$, $T$ | | time or step; number of steps (9, 23) |
// | $h_t$, $c_t$ | | state, and cell, at time $t$ (23, 24) |
// | $Q$, $K$, $V$ | | queries, keys, values (30) |
// | $(B, T, C)$, $(B, C, H, W)$ | | in shapes: batch, time, channels; height, width (16, 30) |
// | $G$, $D$ | | generator and discriminator (40) |
// | $s$, $a$, $r$, $\gamma$, $\pi$ | | state, action, reward, discount, policy (45) |
//
// The sign $\sigma$ has two meanings, as everywhere: with an argument it is the sigmoid. And $H$ has three; the chapter says which.
//
// # Do you remember?
//
// Three questions about this page, because what is asked again is kept.
//
// ? `x` has shape (50, 128) and `m` has shape (50,). What is `x - m`?
// - [ ] each row loses its own number: for that, `m` would have to be (50, 1)
// - [x] an error: compared from the right, 128 meets 50, and neither is 1
// - [ ] only the first 50 columns change: nothing is ever filled up or cut off
//
// ? A weight reaches the loss on two ways. On one the slopes are 3 and 2, on the other 5 and -1. What is the slope of the loss?
// - [ ] 9: slopes along one way multiply, they do not add
// - [ ] -30: slopes of different ways add, they do not multiply
// - [x] 1: $3 \cdot 2 + 5 \cdot (-1)$: multiply along each way, add the ways
//
// ? A test finds 99 % of the spam, and calls 1 % of the good mail spam. One mail in a hundred is spam. The test says *spam*. How sure is it?
// - [ ] 99 %: that is how often it finds spam that is there
// - [x] 50 %: of 10 000 mails it marks 99 of the 100 bad ones and 99 of the 9900 good ones
// - [ ] 1 %: that was so before the test spoke; it does say something
//
// What now? [The map](#the-map-of-the-book) shows a way through the book.
static void story(Chapter& chapter) {
  two_dials(chapter);
  how_to_read(chapter);
  shapes_and_broadcasting(chapter);
  the_silent_mistake(chapter);
  a_slope_by_nudging(chapter);
  both_ways(chapter);
  slopes_multiply(chapter);
  the_gradient(chapter);
  a_die(chapter);
  the_blue_cab(chapter);
  the_dial_that_makes_it_likely(chapter);
  why_squares(chapter);
  surprise(chapter);
  arithmetic_that_rounds(chapter);
  how_small_a_nudge(chapter);
  show_the_map(chapter);
}

// What the program is called, and which claims a run has to make.
int main(int argc, char** argv) {
  return run_chapter(
      argc, argv,
      {.number = 0,
       .name = "before_you_begin",
       .title = "Before you begin",
       .question =
           "How does a machine find out which way to turn its dials, when nobody tells it?",
       .quick = "the same with fewer throws of dice",
       .normal = "everything: a few seconds, no files, no GPU",
       .full =
           "the same as without: nothing here trains, so there is no data to train on",
       .claims = {"same-seed",   "messages",        "each-with-each",
                  "half-nudge",  "half-nudge-both", "steepest",
                  "as-steep",    "level",           "dot",
                  "nudged",      "root-n",          "two-errors",
                  "cab",         "cab-bars",        "hill",
                  "one-sigma",   "entropy",         "cross-entropy",
                  "tenths",      "counting",        "best-float",
                  "best-double", "best-both",       "too-small"}},
      story);
}
