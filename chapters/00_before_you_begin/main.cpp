// This file is the whole chapter, in the order in which one reads it; the map of the book, `map.hpp`, comes behind it.
#include "book/chapter.hpp"
#include "chainrule.hpp"
#include "map.hpp"

#include <cmath>

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
// What will the next ride cost? We guess that a taxi asks $b$ euros for getting in and $w$ euros for each kilometre. Then
// a ride of $x$ kilometres costs
//
// $$\hat y = w x + b .$$
//
// The hat says that this is a guess; the true fare is $y$. Think of $w$ and $b$ as two dials on a machine. Set them to
// $w = 2$ and $b = 3$, and do it on paper first: what does the machine predict, and how far off is it? (Do not mind the
// C++ beside it yet; the next section explains it.)
static Tensor rides() { return tensor({1, 2, 3, 5}, f64); }   // (4,): kilometres
static Tensor fares() { return tensor({6, 8, 9, 14}, f64); }  // (4,): euros

static void two_dials(Chapter& chapter) {
  chapter.section("Two dials");
  chapter.say(
      "Four taxi rides, and a machine with two dials: w euros a kilometre, b for "
      "getting in. What we found on paper, and what the library says:");
  double w = 2, b = 3;
  Tensor x = rides(), y = fares();  // (4,), (4,)
  Tensor y_hat = w * x + b;         // (4,)
  Tensor error = y_hat - y;         // (4,)
  chapter.check("predicted fares", tensor({5, 7, 9, 13}, f64), y_hat);
  chapter.check("errors", tensor({-1, -1, 0, -1}, f64), error);

  // Four errors are hard to compare with four others. We want *one* number that says how wrong the dials are. Take the
  // mean of the squares: $(1 + 1 + 0 + 1) / 4 = 0.75$. Such a number is called a **loss**, and this one the **mean
  // squared error**:
  //
  // $$L = \frac1n \sum_{i=1}^{n} (\hat y_i - y_i)^2 .$$
  double loss = 0.75;
  chapter.check("loss", loss, mean(square(error)).item());

  // Now turn one dial, by a tenth. With $b = 3.1$ every prediction grows by 0.1, and the loss becomes
  // $(3 \cdot 0.81 + 0.01) / 4 = 0.61$. Turn $b$ back and $w$ up instead: the predictions grow by 0.1, 0.2, 0.3 and 0.5,
  // and the loss becomes 0.4475.
  double with_b = 0.61, with_w = 0.4475;
  chapter.check("loss with b = 3.1", with_b, mean(square(w * x + 3.1 - y)).item());
  chapter.check("loss with w = 2.1", with_w, mean(square(2.1 * x + b - y)).item());

  // For each unit of turning the loss fell by 1.4 with $b$, and by about 3 with $w$. So both dials should go up, and $w$
  // matters about twice as much. Nobody told the machine what a taxi is. It found out which way to turn by *trying*.
  chapter.say(
      "Turn b by 0.1: the loss changes by {:.4g} for each unit. w: by {:.4g}.",
      (with_b - loss) / 0.1, (with_w - loss) / 0.1);
  Tensor turn = linspace(-0.3, 0.3, 61, f64).reshape({-1, 1});   // (61, 1)
  Tensor turning_w = mean(square((turn + w) * x + b - y), {1});  // (61,)
  Tensor turning_b = mean(square(w * x + (turn + b) - y), {1});  // (61,)
  chapter.figure("dials", "the machine, and its loss when one dial is turned")
      .size(760, 320)
      .panel("four rides and a guess")
      .scatter(x, y, "rides")
      .line({0, 6}, {3, 15}, "2x + 3")
      .axes("kilometres", "euros")
      .panel("one dial turned")
      .line(turn, turning_w, "w")
      .line(turn, turning_b, "b")
      .axes("turned by", "loss");
}

// That is the business of this book: a machine with dials, a number that says how wrong it is, and for every dial the
// question what the number does when the dial is turned a little. Chapter 5 reads digits with a hundred thousand dials;
// machines that write text have billions. Between this page and those machines stand four things:
//
// - *Numbers in boxes.* Four rides fit on paper. How do we write down a million?
// - *Slopes.* "About 3" is not good enough. What exactly does a turn of each dial do?
// - *Chance.* Four other rides would have given other dials. How far may we trust ours?
// - *Arithmetic that rounds.* Why turn by a tenth, why not by a billionth of a billionth?
//
// # How to read a program
//
// Every chapter is one program, and its page is the program's source, no line left out. The last two points of its
// vocabulary are for looking up.
//
// - A `Tensor` is a box of numbers. `tensor({1, 2}, f64)` makes one from a list, `zeros({2, 3})` two rows of three
//   zeros: lists and shapes stand in braces.
// - `// (4,)` at the end of a line is the *shape* of what that line makes: four numbers in a row. Hold on to these
//   comments.
// - `f64` means `double`. Without it the library takes `float`, which is faster and exact enough to learn with. (A list
//   of whole numbers stays whole.) What is meant to be exact is computed in `f64`.
// - `w * x + b` works on all numbers of a box; `item()` takes the number out of a box that holds one.
// - `chapter.section` and `chapter.say` print in the terminal, `chapter.figure` draws, and
//   `chapter.check(name, by hand, library)` holds what we worked out against what the library says. A mismatch fails
//   the run.
// - Parts of a table `t`: `t[1]` is row 1, `t.select(1, 0)` column 0, `t.narrow(0, 0, 5)` five rows from row 0 on.
//   `x < 2` gives a box of true and false, with `~` for not and `&` for and; `x.index({yes})` keeps the numbers where
//   `yes` is true, and `where(yes, a, b)` takes `a` there, else `b`. `expand` repeats a box until it has a given shape.
// - `chapter.pick(4, 20, 20)` is 4 with `--quick`, else 20. In a claim `near(2, 0.02)` allows 2 give or take 2 %, and
//   `{.quick = …}` is the bound of the quick run.
//
// Chance enters through a `Generator`. From a starting number, its **seed**, it makes numbers that look random and are
// the same on every machine. `./run 00` takes seed 1. With `--seed 2` everything that depends on chance comes out a
// little differently. A result that holds for one seed only is no result.
//
// Last, `chapter.claim`. A **claim** is a sentence with a number in it that the program measures, and a bound that the
// number has to keep; if it does not, the run ends with exit status 1. What keeping it proves depends on its kind. An
// *identity* follows from mathematics, whatever the seed: only a mistake can break it. *Built in* is what follows from
// data or chance that we made ourselves, say a fair die; to find it again shows that the method works. *Found* is what
// nobody put there, and only measuring shows: in real data, or in how a training behaves. Here is the first:
static void how_to_read(Chapter& chapter) {
  chapter.section("How to read a program");
  chapter.say("Two generators with the same seed, {}.", int64_t(chapter.seed()));
  Generator random(chapter.seed()), again(chapter.seed());
  Tensor once = rand({1000}, random, f64);  // (1000,): between 0 and 1
  Tensor twice = rand({1000}, again, f64);  // (1000,)
  chapter.claim("same-seed",
                "the same seed gives the same 1000 numbers: largest gap",
                largest_gap(once, twice), exactly(0), identity);
}

// # Shapes and broadcasting
//
// A single number is a **scalar**. A row of numbers is a **vector**; that of the four rides has the shape `(4,)`. A table
// is a **matrix**, and its shape says rows first: `(4, 3)` is four rows of three. A **tensor** has any number of such
// directions, called **dimensions**: a hundred colour pictures of 32 by 32 points are `(100, 3, 32, 32)`. A scalar's
// shape is `()`.
//
// Most of your mistakes in this book will be two shapes that do not fit. The library answers in one line. So we look at
// every rule twice, working and failing. The string in each call of `refuses` is the message, word for word.
template <class F>
static bool refuses(Chapter& chapter, const std::string& message, F wrong) {
  try {
    wrong();
  } catch (const Error& error) {
    chapter.print("  " + std::string(error.what()) + "\n");
    return error.what() == message;
  }
  return false;
}

static void shapes_and_broadcasting(Chapter& chapter) {
  chapter.section("Shapes and broadcasting");
  chapter.say("Each rule, working and failing. These are the messages:");
  int refused = 0;

  // *The same numbers in another shape.* They lie in memory one after the other, row by row, and the shape says how to
  // read them. Six can be read as two rows of three, but not as four rows of two. One size may be left to the library:
  // `reshape({-1, 1})` is one column, as long as need be.
  Tensor table = arange(6).to(f64).reshape({2, 3});  // (6,) → (2, 3): 0 1 2, 3 4 5
  refused += refuses(
      chapter, "reshape: 6 elements of shape (2, 3) do not fit shape (4, 2)", [&] {
        return table.reshape({4, 2});
      });

  // *Places are counted from 0.* `table[{1, 0}]` is row 1, column 0; `table[1]` is all of row 1. There is no row 2. And
  // `item` wants a box with one number in it.
  chapter.check("row 1, column 0", 3, table[{1, 0}].item());
  refused += refuses(
      chapter, "select: index 2 is out of range for dimension 0 of shape (2, 3)",
      [&] { return table[2]; });
  refused += refuses(chapter, "item: needs one element, got shape (2, 3)",
                     [&] { return table.item(); });

  // *Sums and means name the dimension that goes away.* `sum(table, {0})` adds along dimension 0, down each column, and
  // leaves three sums. `sum(table, {1})` adds along each row. There is no dimension 2.
  chapter.check("sums of columns", tensor({3, 5, 7}, f64),
                sum(table, {0}));                                        // (3,)
  chapter.check("sums of rows", tensor({3, 12}, f64), sum(table, {1}));  // (2,)
  refused += refuses(
      chapter, "sum: dimension 2 is out of range for a tensor with 2 dimensions",
      [&] { return sum(table, {2}); });

  // *Equal shapes meet element by element.* So do some unequal ones: in `w * x + b` four numbers met one. That is
  // **broadcasting**: compare the shapes from the right; two sizes fit if they are equal, or if one of them is 1 or
  // missing, and then that one is repeated.
  //
  // | | | |
  // |---|---|---|
  // | $(2, 3)$ with $(3,)$ | 3 = 3, 2 meets nothing | each row gets the vector |
  // | $(2, 3)$ with $(2, 1)$ | 1 is repeated, 2 = 2 | each column gets it |
  // | $(4, 1)$ with $(3,)$ | both are repeated: $(4, 3)$ | each with each |
  // | $(2, 3)$ with $(2,)$ | 3 and 2 differ | an error |
  //
  // In the second and the last row the same two numbers meet the table. `reshape({2, 1})` says *which way* they should
  // go; without it the library would have to guess, and refuses to.
  Tensor three = tensor({10, 20, 30}, f64), two = tensor({10, 20}, f64);
  chapter.check("(2, 3) + (3,)", tensor({{10, 21, 32}, {13, 24, 35}}, f64),
                table + three);
  chapter.check("(2, 3) + (2, 1)", tensor({{10, 11, 12}, {23, 24, 25}}, f64),
                table + two.reshape({2, 1}));
  refused += refuses(chapter,
                     "add: shapes (2, 3) and (2,) do not broadcast: "
                     "sizes 3 and 2 differ, and neither is 1",
                     [&] { return table + two; });

  // What is written into a box has to fit: the box itself is not repeated, though what is added to it may be.
  refused += refuses(
      chapter,
      "add_: a result of shape (2, 3) does not fit into a tensor of shape (3,)",
      [&] { return three.add_(table); });

  // Each with each is how one line handles many taxis. Three firms have a price a kilometre and a price for getting in.
  // What does each of the four rides cost with each firm?
  Tensor x = rides();                  // (4,)
  Tensor w = tensor({2, 3, 4}, f64);   // (3,): euros a kilometre
  Tensor b = tensor({3, 1, 0}, f64);   // (3,): for getting in
  Tensor way = x.reshape({4, 1}) * w;  // (4, 1) * (3,) → (4, 3)
  Tensor prices = way + b;             // (4, 3) + (3,) → (4, 3)
  chapter.check("four rides, three firms",
                tensor({{5, 4, 4}, {7, 7, 8}, {9, 10, 12}, {13, 16, 20}}, f64),
                prices);
  chapter
      .figure("broadcasting", "a column is repeated to the right, a row downwards")
      .size(760, 250)
      .panel("rides (4, 1)")
      .heatmap(x.reshape({4, 1}).expand({4, 3}))
      .panel("prices (3,)")
      .heatmap(w.expand({4, 3}))
      .panel("product (4, 3)")
      .heatmap(way);

  // *The matrix product* is each with each, with a sum inside: row $i$ of $A$ and column $j$ of $B$ are multiplied number
  // by number and added up, $(AB)_{ij} = \sum_k A_{ik} B_{kj}$. So $A$ must be as wide as $B$ is high: $(n, d)$ times
  // $(d, k)$ gives $(n, k)$.
  //
  // Give each ride a second number, 1, for the price of getting in, and each firm a row of its two prices. All fares are
  // $X W^\top$, where $\top$ turns rows into columns. So it is in the whole book: examples are rows, and a weight matrix
  // is (out, in).
  Tensor X = tensor({{1, 1}, {2, 1}, {3, 1}, {5, 1}}, f64);  // (4, 2)
  Tensor W = tensor({{2, 3}, {3, 1}, {4, 0}}, f64);          // (3, 2)
  chapter.check("the same as a matrix product", prices,
                matmul(X, W.t()));  // (4, 2) x (2, 3) → (4, 3)
  refused += refuses(chapter, "matmul: (4, 2) x (3, 2): inner sizes 2 and 3 differ",
                     [&] { return matmul(X, W); });
  chapter.check("messages that stand here word for word", 7, refused);
}

// ## The silent mistake
//
// An error is the good case. What if two shapes fit that should not?
//
// ? Our machine's four predictions come as a matrix of one column, (4, 1). The fares are a vector, (4,). What is the mean of `square(y_hat - y)`, which was 0.75 above?
// - [ ] 0.75: the numbers are the same, but the shapes are compared from the right, where 1 meets 4
// - [ ] an error: there would be one if neither of the two sizes were 1
// - [x] 18: each prediction is compared with each fare, sixteen differences, and nobody complains
static void the_silent_mistake(Chapter& chapter) {
  chapter.section("The silent mistake");
  Tensor y_hat = (2.0 * rides() + 3).reshape({4, 1});  // (4, 1)
  Tensor gap = y_hat - fares();                        // (4, 1) - (4,) → (4, 4)
  chapter.claim("each-with-each",
                "the 'loss' of (4, 1) against (4,), which should be 0.75",
                mean(square(gap)).item(), exactly(18), identity);

  // This happens to everybody, and can cost days: a machine can be trained on the wrong number. The library's own losses
  // refuse the pair. Where you write one yourself, write the shapes beside it.
  bool refused = refuses(chapter,
                         "mse_loss: input (4, 1) and target (4,) would be "
                         "compared as (4, 4); reshape one of them",
                         [&] { return mse_loss(y_hat, fares()); });
  chapter.check("mse_loss refuses (1 = yes)", 1, refused);
}

// # A slope by nudging
//
// Back to the dial $w$. Turned by 0.1 it changed the loss by $-0.3025$, about $-3$ for each unit. We call the amount of
// turning a **nudge**, $\varepsilon$, and the change of the loss divided by the nudge a **slope**. Does it depend on the
// nudge?
//
// ? From $w = 2$ we turn the dial by 0.8. The loss goes from 0.75 to 3.79. Which way should the dial go?
// - [ ] down, since the loss grew: it fell before it grew; 0.8 jumps right over the valley
// - [x] up, as before: what counts is what happens close to $w = 2$, and a nudge of 0.8 does not see it
// - [ ] it should stay: the loss can fall below 0.75, as a nudge of 0.1 has shown
static double loss_at(double w, double b) {
  return mean(square(w * rides() + b - fares())).item();
}

static double loss_at_w(double w) { return loss_at(w, 3); }

template <class F> static double slope(F f, double x, double nudge) {
  return (f(x + nudge) - f(x)) / nudge;
}

// In a picture the slope is the steepness of the straight line through two points of the curve, a secant. As the second
// point slides towards the first, the secant turns into the line that touches the curve: the tangent.
static void a_slope_by_nudging(Chapter& chapter) {
  chapter.section("A slope by nudging");
  chapter.say("The slope of the loss at w = 2, by smaller and smaller nudges:");
  Table table = chapter.table({"nudge", "slope"});
  for (double nudge : {0.8, 0.4, 0.2, 0.1, 0.01, 0.001})
    table.row(nudge, slope(loss_at_w, 2, nudge));
  Tensor w = linspace(1.6, 2.95, 136, f64);  // (136,)
  Tensor curve =
      mean(square(w.reshape({-1, 1}) * rides() + 3 - fares()), {1});  // (136,)
  auto secant = [&](double nudge) {
    return 0.75 + slope(loss_at_w, 2, nudge) * (w - 2);
  };
  chapter
      .figure("secants",
              "the smaller the nudge, the closer the secant to the tangent")
      .line(w, curve, "loss")
      .line(w, secant(0.8), "nudge 0.8")
      .line(w, secant(0.4), "nudge 0.4")
      .line(w, secant(0.1), "nudge 0.1")
      .dashed(w, 0.75 - 4 * (w - 2), "tangent")
      .scatter({2, 2.1, 2.4, 2.8},
               {0.75, loss_at_w(2.1), loss_at_w(2.4), loss_at_w(2.8)})
      .ylim(-1.2, 4.5)
      .axes("w", "loss");

  // The slopes settle down at $-4$. That is the **derivative** of the loss: the slope, with the nudge sent to zero,
  //
  // $$\frac{\partial L}{\partial w} = \lim_{\varepsilon \to 0} \frac{L(w + \varepsilon) - L(w)}{\varepsilon} .$$
  //
  // The curly $\partial$ says that the other dials stand still meanwhile. Does $-4$ come out on paper? Call the four
  // errors $e_i$. A nudge adds $\varepsilon x_i$ to each. Multiply out $(e_i + \varepsilon x_i)^2$ and take the mean:
  //
  // $$L(w + \varepsilon) = L(w) + \varepsilon\, \frac2n \sum_i e_i x_i + \varepsilon^2\, \frac1n \sum_i x_i^2 .$$
  //
  // The first sum, with its factor, is $\frac24 (-1 - 2 + 0 - 5) = -4$, and the second is $39/4 = 9.75$. So a nudge gives
  // $-4 + 9.75\,\varepsilon$: the derivative, and an error in proportion to the nudge.
  chapter.check("nudged by 0.1", -4 + 9.75 * 0.1, slope(loss_at_w, 2, 0.1));
  chapter.check("nudged by 0.001", -4 + 9.75 * 0.001, slope(loss_at_w, 2, 0.001));
}

// ## Both ways
//
// Half the nudge, half the error. Much more is gained by nudging *both ways*. On either side the curve leaves its
// tangent, nearly by the same amount, and in the difference of the two sides that cancels. What is left is in
// proportion to $\varepsilon^2$.
template <class F> static double two_sided(F f, double x, double nudge) {
  return (f(x + nudge) - f(x - nudge)) / (2 * nudge);
}

// For our loss, which is a parabola, $-4$ comes out at once. For other curves a little is left. Take $\sin x$ at $x = 1$,
// whose slope school knows: $\cos 1$.
static void both_ways(Chapter& chapter) {
  chapter.section("Both ways");
  chapter.check("nudged both ways by 0.8", -4, two_sided(loss_at_w, 2, 0.8));
  auto sine = [](double x) { return std::sin(x); };
  auto error = [](double slope) { return std::abs(slope - std::cos(1.0)); };
  chapter.claim("half-nudge",
                "half the nudge: the slope's error shrinks by this factor",
                error(slope(sine, 1, 0.02)) / error(slope(sine, 1, 0.01)),
                near(2, 0.02), identity);
  chapter.claim("half-nudge-both",
                "half the nudge, both ways: it shrinks by this factor",
                error(two_sided(sine, 1, 0.02)) / error(two_sided(sine, 1, 0.01)),
                near(4, 0.01), identity);
}

// ## Slopes multiply
//
// A loss is made in steps. For one ride, that of 5 kilometres and 14 euros, with $w = 2$ and $b = 3$:
//
// $$w \;\xrightarrow{\;5w + b\;}\; \hat y = 13 \;\xrightarrow{\;\hat y - 14\;}\; e = -1 \;\xrightarrow{\;e^2\;}\; 1 .$$
//
// Nudge $w$ by $\varepsilon$. Then $\hat y$ moves by $5\varepsilon$, since the ride has 5 kilometres. The error moves as
// far. Its square moves $2e = -2$ times as far. Like the wheels of a gear each step passes the movement on, so many times
// as large, and from one end to the other the factors multiply: $5 \cdot 1 \cdot (-2) = -10$. This is the **chain rule**:
//
// $$\frac{\partial L}{\partial w} = \frac{\partial L}{\partial e} \cdot \frac{\partial e}{\partial \hat y} \cdot \frac{\partial \hat y}{\partial w} .$$
//
// Where a dial reaches the loss in several ways, what arrives by each *adds up*. The loss of four rides is their mean, so
// its slope is the mean of four slopes.
static void slopes_multiply(Chapter& chapter) {
  chapter.section("Slopes multiply");
  chapter.say("One ride: w = 2 → ŷ = 13 → error -1 → loss 1. Each step, nudged:");
  auto predict = [](double w) { return 5 * w + 3; };
  auto error = [](double y_hat) { return y_hat - 14; };
  auto squared = [](double e) { return e * e; };
  auto all = [&](double w) { return squared(error(predict(w))); };
  chapter.check("prediction", 5, two_sided(predict, 2, 0.1));
  chapter.check("error", 1, two_sided(error, 13, 0.1));
  chapter.check("square", -2, two_sided(squared, -1, 0.1));
  chapter.check("from end to end", 5 * 1 * -2, two_sided(all, 2, 0.1));

  // All four rides: $2 e_i x_i$ is $-2$, $-4$, $0$ and $-10$. The mean is $-4$ again.
  //
  // The library does precisely this, without a nudge. Say of a tensor that you will want slopes, `requires_grad_()`, and
  // it keeps a record of every step that follows. `grad(loss, w)` walks back over the record and multiplies. Chapter 6
  // builds such a recorder, and the whole book lives on it.
  Tensor w = tensor(2, f64).requires_grad_();  // ()
  Tensor loss = mean(square(w * rides() + 3 - fares()));
  chapter.check("the library's slope", (-2 - 4 + 0 - 10) / 4.0,
                grad(loss, w).item());
}

// # The gradient
//
// Two dials, two slopes. The list of all slopes is the **gradient**, written $\nabla L$:
//
// $$\nabla L = \Bigl( \frac{\partial L}{\partial w}, \frac{\partial L}{\partial b} \Bigr) = (-4, -1.5) .$$
//
// See $(w, b)$ as a place on a map, and the loss as the height of the land there. Lines of equal height are
// **contours**. The gradient is an arrow on this map. Where does it point? A tiny step $v = (v_1, v_2)$ turns each dial
// by its part, and each turn does what its slope says: the loss changes by $-4 v_1 - 1.5 v_2$.
//
// ? We stand at $(2, 3)$ and take a tiny step of fixed length. In which direction does the loss grow fastest?
// - [x] along the gradient: for a step of length 1 that gives $\sqrt{4^2 + 1.5^2} = 4.27$, and none of 3600 directions below gives more
// - [ ] along $w$, which has the larger slope: a step of length 1 gives 4, and is better spent partly on $b$
// - [ ] directly away from the lowest point: a tiny step knows nothing of points far away
static void the_gradient(Chapter& chapter) {
  chapter.section("The gradient");
  chapter.say(
      "We stand at w = 2, b = 3 and take a tiny step in each of 3600 directions. "
      "How steeply does the loss climb in each?");
  auto loss_at_b = [](double b) { return loss_at(2, b); };
  Tensor gradient = tensor(
      {two_sided(loss_at_w, 2, 1e-4), two_sided(loss_at_b, 3, 1e-4)}, f64);  // (2,)
  chapter.check("the gradient", tensor({-4, -1.5}, f64), gradient, 1e-8);

  // The direction of angle $\alpha$ is the step $(\cos\alpha, \sin\alpha)$, of length 1. We nudge along it, both ways.
  const double degree = std::acos(-1.0) / 180;
  const int64_t n = 3600;
  Tensor angle = linspace(-180, 179.9, n, f64);                     // (n,)
  Tensor v = stack({cos(angle * degree), sin(angle * degree)}, 1);  // (n, 2)
  auto losses = [&](double nudge) {
    Tensor at = tensor({2, 3}, f64) + nudge * v;  // (2,) + (n, 2) → (n, 2)
    Tensor w = at.narrow(1, 0, 1), b = at.narrow(1, 1, 1);  // (n, 1), (n, 1)
    return mean(square(w * rides() + b - fares()), {1});    // (n, 4) → (n,)
  };
  Tensor climb = (losses(1e-4) - losses(-1e-4)) / 2e-4;  // (n,)
  const int64_t top = argmax(climb).item<int64_t>();
  double best = angle[top].item();

  // On the left the map, on the right the climb in every direction: a wave. Where it is zero the height does not
  // change, and there lies the contour. So the gradient stands *perpendicular to the contour*, and points uphill.
  Tensor across = linspace(0.95, 3.05, 106, f64);  // (106,): w
  Tensor up = linspace(2.1, 4.1, 101, f64);        // (101,): b
  Tensor land = mean(
      square(across.reshape({-1, 1}) * rides() + up.reshape({-1, 1, 1}) - fares()),
      {2});  // (101, 106, 4) → (101, 106)
  const int64_t low = argmin(land).item<int64_t>();
  Extent extent{0.95, 3.05, 2.1, 4.1};
  double tip_w = 2 - 0.14 * 4, tip_b = 3 - 0.14 * 1.5;
  chapter
      .figure("compass",
              "the gradient on the map, and the climb in every direction")
      .size(760, 417)
      .panel("the map")
      .contour(land, extent, 0.75)
      .line({2, tip_w, tip_w + 0.09, tip_w, tip_w + 0.04},
            {3, tip_b, tip_b - 0.03, tip_b, tip_b + 0.08})
      .contour(land, extent, 0.25)
      .contour(land, extent, 2)
      .contour(land, extent, 4)
      .contour(land, extent, 8)
      .scatter(across[low % 106], up[low / 106])
      .note(across[low % 106].item() + 0.04, up[low / 106].item(), "lowest")
      .note(1.12, 2.68, "gradient")
      .note(2.04, 2.93, "here")
      .xlim(0.95, 3.05)
      .ylim(2.1, 4.1)
      .axes("w", "b")
      .panel("climb in every direction")
      .line(angle, climb)
      .vline(best, "gradient")
      .vline(best + 90, "contour")
      .vline(best + 270, "contour")
      .xlim(-180, 180)
      .axes("degrees", "climb");
  chapter.claim(
      "steepest", "degrees between the gradient and the steepest direction",
      std::abs(best - std::atan2(-1.5, -4) / degree), at_most(0.06), identity);
  chapter.claim("level", "climb at right angles to it, beside a steepest of 4.27",
                std::abs(climb[(top + n / 4) % n].item()), at_most(0.01), identity);
}

// ## Any direction
//
// What a step $v$ does, $\frac{\partial L}{\partial w} v_1 + \frac{\partial L}{\partial b} v_2$, is the **dot product**
// of gradient and step. If $v$ has length 1, it is the gradient's length, $\lVert \nabla L \rVert$, times the cosine of
// the angle between the two: largest along the gradient, zero at right angles. That is the wave.
//
// This holds for any smooth function, one without jumps and kinks, and any number of dials. We take a crooked one at
// 1000 random places, and step from each in a random direction. Here the gradient comes from the library: one call, all
// slopes. Each place has its own term in the sum, so the gradient of the sum holds each place's own slopes, row by row.
static Tensor crooked(const Tensor& p) {  // (n, 2) → (n,)
  Tensor a = p.select(1, 0), b = p.select(1, 1);
  return sin(a * b) + b * exp(-square(a));
}

static void any_direction(Chapter& chapter) {
  chapter.section("Any direction");
  Generator random(chapter.seed());
  Tensor p = randn({1000, 2}, random, f64).requires_grad_();  // (1000, 2)
  Tensor v = randn({1000, 2}, random, f64);                   // (1000, 2)
  Tensor gradient = grad(sum(crooked(p)), p);                 // (1000, 2)
  const double nudge = 1e-5;
  Tensor climb = (crooked(p + nudge * v) - crooked(p - nudge * v)) / (2 * nudge);
  chapter.claim("dot", "climb by nudging and by dot product: largest gap",
                largest_gap(climb, sum(gradient * v, {1})), at_most(1e-6),
                identity);
}

// To go down, walk *against* the gradient: chapter 1 does, and calls it gradient descent. But look at the map once more.
// The arrow does not point straight away from the lowest point; it points across a long valley. Walking against it is a
// good idea and not a perfect one. Chapter 9 is about better ones.
//
// Nudging two dials is no trouble. Nudging a hundred thousand would take as many runs of the machine for a single
// gradient. `grad` takes one run and one walk back, and that is why deep learning is possible. Nudging remains the way to
// check it.
//
// # A die: expectation and variance
//
// Four rides are four out of many, and the dials are meant for the others. What can be said about things that depend on
// chance? Take a die. Nobody knows what the next throw will show, but *many* throws can be relied on. Each number comes
// up in one sixth of them, in the long run: that is its **probability**. The mean of the throws settles, by the **law
// of large numbers**, at the **expectation**, every value times its probability, added up:
//
// $$\mathbb E[x] = \sum_x p(x)\, x = \frac{1 + 2 + \dots + 6}{6} = 3.5 .$$
//
// The mean square of the distance to it is the **variance**, and the root of that the **standard deviation** $\sigma$:
//
// $$\mathrm{Var}[x] = \mathbb E\bigl[(x - \mathbb E[x])^2\bigr] = \sigma^2 .$$
//
// For the die the distances are 2.5, 1.5 and 0.5, each twice. So $\sigma^2 = 35/12$ and $\sigma = 1.71$: that far off is
// a typical throw.
static Tensor throw_dice(const Shape& shape, Generator& random) {
  return randint(1, 7, shape, random).to(f64);  // 1, 2, 3, 4, 5 or 6
}

// Any statement about chance can be tried out, so in this book formula and experiment stand side by side. But an
// experiment never gives the formula's number exactly. How far off may it be?
//
// ? The mean of 100 throws is typically off by 0.17. We want it ten times as exact. How many throws does that take?
// - [ ] 1000: ten times as many throws make the mean only $\sqrt{10} = 3.2$ times as exact
// - [x] 10 000: the error shrinks with the *root* of the number of throws
// - [ ] no number suffices: the mean of enough throws comes as close to 3.5 as you like
static void a_die(Chapter& chapter) {
  chapter.section("A die: expectation and variance");
  const int64_t repeats = chapter.pick(200, 500, 500);
  chapter.say(
      "The mean of 10, of 100, of 1000 and of 10 000 throws, {} times each. How "
      "far do the means spread?",
      repeats);
  const double sigma = std::sqrt(35.0 / 12);
  Generator random(chapter.seed());

  // If one throw is typically off by $\sigma$, the mean of $n$ throws is typically off by the **standard error**
  // $\sigma / \sqrt n$. For throws are **independent**: what one shows changes no probability of another, so both
  // happen with the product of their probabilities. When the square of the summed distances is multiplied out, the
  // mixed products then average to 0, and the variances add up. The sum of $n$ throws has variance $n \sigma^2$ and
  // standard deviation $\sqrt n\, \sigma$, and the mean is the sum divided by $n$.
  std::vector<double> throws = {10, 100, 1000, 10000}, spread, expected;
  Table table = chapter.table({"throws", "spread of the means", "σ/√n"});
  double within = 0;  // share of means less than two standard errors from 3.5
  for (double n : throws) {
    Tensor means =
        mean(throw_dice({repeats, int64_t(n)}, random), {1});  // (repeats,)
    expected.push_back(sigma / std::sqrt(n));
    spread.push_back(cr::std(means).item());
    within += mean((abs(means - 3.5) < 2 * expected.back()).to(f64)).item() / 4;
    table.row(int64_t(n), spread.back(), expected.back());
  }

  // On the left five long runs, in a band of two standard errors. On the right the spread of the means against $n$. On
  // these axes equal lengths are equal factors, and $n^{-1/2}$ becomes a straight line of slope $-\frac12$.
  Tensor count = arange(1, 2001).to(f64);                         // (2000,)
  Tensor run = cumsum(throw_dice({5, 2000}, random), 1) / count;  // (5, 2000)
  Tensor band = 2 * sigma / sqrt(count);                          // (2000,)
  chapter.figure("die", "the mean of ever more throws, and how far off it is")
      .size(760, 320)
      .panel("five runs")
      .line(count, run[0])
      .line(count, run[1])
      .line(count, run[2])
      .line(count, run[3])
      .line(count, run[4])
      .dashed(count, 3.5 + band)
      .dashed(count, 3.5 - band)
      .log_x()
      .ylim(1, 6)
      .axes("throws", "mean so far")
      .panel("spread of the means")
      .line(throws, expected, "σ/√n")
      .scatter(throws, spread)
      .log_x()
      .log_y()
      .axes("throws", "spread");
  chapter.claim("root-n", "the error of the mean goes with n to the power of",
                std::log10(spread[3] / spread[0]) / 3, near(-0.5, 0.08), built_in,
                {.quick = near(-0.5, 0.2)});

  // For many throws 95.4 % of the means should lie within two standard errors: one in twenty does not. Five standard
  // errors are exceeded less than once in a million times, so where this book holds an experiment against a formula it
  // allows about five, or a bound from ten seeds.
  chapter.claim("two-errors", "means within two standard errors", within,
                between(0.93, 0.98), built_in,
                {.quick = between(0.9, 0.99), .unit = "%"});
}

// A result without such an *error bar* cannot be read. Is 98.1 % better than 97.9 %? A share $p$ of $n$ cases has the
// standard error $\sqrt{p(1-p)/n}$. With 10 000 test pictures that is 0.14 percentage points, and from these numbers
// alone nobody knows.
//
// # The blue cab: Bayes' rule
//
// A taxi has hit a fence at night and driven on. In this town 85 % of the taxis are green and 15 % are blue. A witness
// says that it was *blue*. Tests show that at night she tells the colour rightly in 80 % of cases, whichever it is. (The
// problem is Tversky and Kahneman's.)
//
// ? How probable is it that the taxi was blue?
// - [ ] 80 %: so often she is right about a blue taxi; we ask how often a taxi that she *calls* blue is one
// - [ ] about 60 %: more than half of the taxis that she calls blue are green, because there are so many green ones
// - [x] about 41 %: of 100 nights 15 have a blue taxi, and she says blue on 12 of them, and on 17 of the 85 with a green one
//
// Let many nights pass. Two random numbers decide each: one whether the taxi is blue, one whether she is right. We look
// only at the nights on which she says *blue*.
static void the_blue_cab(Chapter& chapter) {
  chapter.section("The blue cab: Bayes' rule");
  const int64_t nights = chapter.pick(20000, 200000, 200000);
  const double reliable = chapter.option("witness");  // 0.8
  Generator random(chapter.seed());
  Tensor first = rand({nights}, random, f64),
         second = rand({nights}, random, f64);            // (nights,)
  Tensor blue = first < 0.15, right = second < reliable;  // of true and false
  Tensor says_blue = blue == right;  // blue and right, or green and wrong
  Tensor hit = blue & says_blue, false_alarm = ~blue & says_blue;

  // Draw each night as a point, its two random numbers as coordinates. Then probabilities are *areas*. What she calls
  // blue are two blocks, and the answer is the share of the left one in both.
  auto shown = [](const Tensor& which, const Tensor& of) {
    return of.narrow(0, 0, 2000).index({which.narrow(0, 0, 2000)});
  };
  chapter.figure("cab", "2000 nights: two blocks are called blue")
      .scatter(shown(hit, first), shown(hit, second), "blue, called blue")
      .scatter(shown(false_alarm, first), shown(false_alarm, second),
               "green, called blue")
      .scatter(shown(~says_blue, first), shown(~says_blue, second), "called green")
      .vline(0.15)
      .xlim(0, 1)
      .ylim(0, 1)
      .axes("first number: the colour", "second: is she right?");

  // Write $P(A \mid B)$ for the probability of $A$ among the cases in which $B$ holds. The areas say that
  // $P(\text{blue} \mid \text{says blue})$ is
  //
  // $$\frac{0.15 \cdot 0.8}{0.15 \cdot 0.8 + 0.85 \cdot 0.2} = \frac{12}{29} = 0.414,$$
  //
  // and in general this is **Bayes' rule**:
  //
  // $$P(A \mid B) = \frac{P(A)\, P(B \mid A)}{P(B)} .$$
  //
  // What we believed before, $P(A)$, is the **prior**; what we believe after, $P(A \mid B)$, is the **posterior**.
  double counted = sum(hit.to(f64)).item() / sum(says_blue.to(f64)).item();
  double bar = std::sqrt(counted * (1 - counted) / sum(says_blue.to(f64)).item());
  chapter.say("{} nights. Of the taxis that she calls blue {:.4f} ± {:.4f} are.",
              nights, counted, bar);
  double p = 0.15 * reliable / (0.15 * reliable + 0.85 * (1 - reliable));
  chapter.check("the formula, give or take five error bars", p, counted, 5 * bar);
  chapter.claim("cab", "of the taxis that are called blue so many are blue",
                counted, near(0.414, 0.025), built_in,
                {.quick = near(0.414, 0.08), .unit = "%"});
}

// # Maximum likelihood: the dial that makes it likely
//
// A coin falls on heads 7 times out of 10. How often would it in the long run? Its probability $p$ of heads is a dial
// that we cannot see. Turn the question round, as we did with the cab: for each setting of the dial, *how often would
// such a coin do what this one did?* We can try. Take 19 coins, from $p = 0.05$ to $p = 0.95$, toss each ten times,
// again and again, and count how often there are exactly 7 heads.
//
// The formula multiplies the probabilities of ten tosses and counts the orders in which 3 tails can come, of which
// there are $10 \cdot 9 \cdot 8 / (3 \cdot 2 \cdot 1) = 120$:
//
// $$\ell(p) = 120\, p^7 (1 - p)^3 .$$
//
// As a function of the dial this is the **likelihood**. The setting that makes what we saw most likely is the **maximum
// likelihood** estimate. Most losses in this book come from it.
static Tensor likelihood(const Tensor& p) {
  return 120.0 * pow(p, 7) * pow(1 - p, 3);
}

static void maximum_likelihood(Chapter& chapter) {
  chapter.section("Maximum likelihood: the dial that makes it likely");
  const int64_t repeats = chapter.pick(4000, 20000, 20000);
  chapter.say(
      "19 coins, from p = 0.05 to p = 0.95. Ten tosses each, {} times over: how "
      "often are there 7 heads?",
      repeats);
  Generator random(chapter.seed());
  Tensor p = linspace(0.05, 0.95, 19, f64);  // (19,)
  Tensor heads =
      rand({19, repeats, 10}, random) < p.reshape({19, 1, 1});  // of true, false
  Tensor seven = sum(heads, {2}) == 7;                          // (19, repeats)
  Tensor share = mean(seven.to(f64), {1});                      // (19,)
  Tensor bar =
      sqrt(likelihood(p) * (1 - likelihood(p)) / double(repeats));  // (19,)

  // The dots lie on the formula's hill. Were it 700 heads of 1000, the top would stay, and the hill become a needle:
  // ten times as narrow for a hundred times as many tosses. That is the $1/\sqrt n$ of the die. The hill is not a
  // probability of $p$: its area is 1/11, not 1. For that one needs a prior, as with the cab.
  Tensor fine = linspace(0.002, 0.998, 499, f64);                  // (499,)
  Tensor ratio = likelihood(fine) / likelihood(tensor(0.7, f64));  // (499,)
  chapter.figure("hill", "how often ten tosses give 7 heads, for every coin")
      .size(760, 320)
      .panel("tried out")
      .line(fine, likelihood(fine))
      .scatter(p, share)
      .vline(0.7)
      .axes("p", "share with 7 heads")
      .panel("7 of 10, 70 of 100, 700 of 1000")
      .line(fine, ratio, "7")
      .line(fine, pow(ratio, 10), "70")
      .line(fine, pow(ratio, 100), "700")
      .axes("p", "likelihood (top = 1)");

  // Coins that should do it fewer than ten times have no error bar worth the name, and are left out.
  Tensor enough = likelihood(p) * double(repeats) >= 10;  // (19,)
  Tensor off = abs(share - likelihood(p)) / bar;          // (19,)
  chapter.claim("hill",
                "the dots' largest distance from the hill, in standard errors",
                amax(where(enough, off, 0)).item(), at_most(5), built_in,
                {.quick = at_most(5)});

  // Why is the top at 0.7 exactly? Take logarithms: products become sums, and no top moves.
  // $\ln \ell = 7 \ln p + 3 \ln(1 - p)$ and a number. The slope of $\ln p$ is $1/p$, that of $\ln(1 - p)$ is
  // $-1/(1-p)$, and at the top they cancel: $7/p - 3/(1-p) = 0$. So $p = 7/10$, the share of heads.
  Tensor top = tensor(0.7, f64).requires_grad_();
  chapter.check("slope of ln ℓ at 0.7", 7 / 0.7 - 3 / 0.3,
                grad(log(likelihood(top)), top).item());
}

// ## Why squares?
//
// Why did we square the taxi's errors? Suppose a fare is $w x + b$ plus chance: a red light, a short cut. The sum of
// many small independent chances, none of which dominates, has very nearly the **normal distribution**, the bell curve:
// so says the **central limit theorem**. With mean $\mu$ and standard deviation $\sigma$ it is
//
// $$p(y) = \frac{1}{\sqrt{2\pi}\,\sigma}\; e^{-(y - \mu)^2 / 2\sigma^2} .$$
//
// It is a **density**: areas under it are probabilities. Between $\mu - \sigma$ and $\mu + \sigma$ lie 68.3 %. For one
// ride $\mu = w x_i + b$, and the logarithm is $-\ln(\sqrt{2\pi}\,\sigma) - (w x_i + b - y_i)^2 / 2\sigma^2$. The rides
// are independent: their densities multiply, and the logarithms add up:
//
// $$\ln \ell(w, b) = c - \frac{1}{2\sigma^2} \sum_i (w x_i + b - y_i)^2 .$$
//
// The number $c$ has no dials in it, and there are the squares. Where the likelihood is largest the mean squared error
// is smallest, whatever $\sigma$ is. Other kinds of chance ask for other losses; for yes and no it is the coin's, in
// chapter 3.
static void why_squares(Chapter& chapter) {
  chapter.section("Why squares?");
  Generator random(chapter.seed());
  const int64_t n = chapter.pick(10000, 50000, 50000);
  chapter.say("{} sums of 48 small chances each.", n);
  Tensor small = rand({n, 48}, random) - 0.5;  // (n, 48): variance ∫x²dx = 1/12
  Tensor chance = sum(small, {1});             // (n,): variance 48/12, so σ = 2
  chapter.claim("one-sigma", "sums of 48 chances within one standard deviation",
                mean((abs(chance) < 2).to(f64)).item(), near(0.683, 0.02), built_in,
                {.quick = near(0.683, 0.045), .unit = "%"});

  // Fares that vary by 1.5 euros, and two settings of the dials whose losses we know. How much likelier is the second? By
  // bell curves, and by losses:
  const double sigma = 1.5;
  auto log_likelihood = [&](double w) {
    Tensor off = (w * rides() + 3 - fares()) / sigma;  // (4,)
    Tensor bell =
        exp(-square(off) / 2) / (std::sqrt(2 * std::acos(-1.0)) * sigma);  // (4,)
    return std::log(prod(bell).item());
  };
  chapter.check("ln of how much likelier",
                -4 * (0.4475 - 0.75) / (2 * sigma * sigma),
                log_likelihood(2.1) - log_likelihood(2));
}

// # Surprise: entropy
//
// How much does it tell us that something happened? That the sun rose, nothing. That a coin fell on heads five times
// running, a lot. The **surprise** at something of probability $p$ is $\log_2 (1/p)$, counted in **bits**: one for heads,
// five for five heads. Where probabilities multiply, surprises add up. The mean surprise is the **entropy**:
//
// $$H(p) = \sum_x p(x) \log_2 \frac{1}{p(x)} .$$
//
// If you may ask only yes-or-no questions, the entropy is how many a good asker needs on average, with many cases at
// once. A fair coin has one bit, a coin that always falls on heads none, a die $\log_2 6 = 2.58$.
//
// Whoever believes in wrong probabilities $q$ is surprised by $\log_2 (1/q(x))$, on average by the **cross-entropy**
//
// $$H(p, q) = \sum_x p(x) \log_2 \frac{1}{q(x)} \;\ge\; H(p) .$$
//
// Nobody is surprised less than the one who knows, $q = p$. That is why machines that answer with probabilities are
// trained to a small cross-entropy. The excess is the **Kullback–Leibler divergence**.
static Tensor cross_entropy_of_coins(const Tensor& p, const Tensor& q) {
  return -(p * log2(q) + (1 - p) * log2(1 - q));  // p heads, q believed
}

static void surprise(Chapter& chapter) {
  chapter.section("Surprise: entropy");
  const int64_t tosses = chapter.pick(4000, 20000, 20000);
  chapter.say(
      "Nine coins, {} tosses each. The mean surprise of one who knows the coin, "
      "and of one who takes every coin for one with 80 % heads:",
      tosses);
  Generator random(chapter.seed());
  Tensor p = linspace(0.1, 0.9, 9, f64).reshape({9, 1});  // (9, 1)
  Tensor heads = rand({9, tosses}, random, f64) < p;      // (9, tosses)
  Tensor knows = -log2(where(heads, p, 1 - p));           // (9, tosses)
  Tensor believes = -log2(where(heads, tensor(0.8, f64), tensor(0.2, f64)));
  Tensor bar = cr::std(knows, {1}) / std::sqrt(double(tosses));  // (9,)

  Tensor fine = linspace(0.001, 0.999, 999, f64);  // (999,)
  chapter
      .figure("entropy", "mean surprise at a coin, known and mistaken for another")
      .line(fine, cross_entropy_of_coins(fine, fine), "entropy")
      .line(fine, cross_entropy_of_coins(fine, tensor(0.8, f64)), "believes 0.8")
      .scatter(p, mean(knows, {1}))
      .scatter(p, mean(believes, {1}))
      .ylim(0, 2.4)
      .axes("probability of heads", "bits");
  // A fair coin surprises by one bit at every toss: its standard error is zero, and so a ten-thousandth is added to all.
  Tensor gap = mean(knows, {1}) - cross_entropy_of_coins(p, p).squeeze();  // (9,)
  chapter.claim("entropy",
                "the dots' largest distance from the entropy, in standard errors",
                amax(abs(gap) / (bar + 1e-4)).item(), at_most(5), built_in,
                {.quick = at_most(5)});
  Tensor sixths = full({6}, 1.0 / 6, f64);  // (6,)
  chapter.check("bits in a die", std::log2(6.0),
                -sum(sixths * log2(sixths)).item());
}

// The curves touch at $p = 0.8$, where the belief is right. Losses in this book take the natural logarithm, $\ln$,
// because its slope is $1/x$ without a factor; the unit is then the nat, 1.44 bits.
//
// # Arithmetic that rounds
//
// Ask any language whether `0.1 + 0.2 == 0.3`. It says no. Why?
//
// A `double` has 64 bits, so there are at most $2^{64}$ of them, and between 0 and 1 alone lie infinitely many numbers.
// The computer keeps a grid of numbers and rounds everything to it. It is scientific notation in base two, a
// **floating-point number**:
//
// $$\pm\, 1.b_1 b_2 \dots b_{52} \times 2^{\text{exponent}} .$$
//
// From 1 to 2 the grid is $2^{-52}$ wide, from 2 to 4 twice that, and so on. So between about $10^{-308}$ and
// $10^{308}$ the *relative* error of rounding is at most $u = 2^{-53} \approx 10^{-16}$, for large and small numbers
// alike. As 1/3 has no end in decimals, 1/10 has none in base two: 0.1 is rounded, 0.2 is rounded, their sum is
// rounded, and it comes out beside the rounded 0.3.
static void arithmetic_that_rounds(Chapter& chapter) {
  chapter.section("Arithmetic that rounds");
  double tenth = 0.1, fifth = 0.2;
  chapter.say("0.1 + 0.2 = {:.25f}\n      0.3 = {:.25f}", tenth + fifth, 0.3);
  chapter.claim("tenths",
                "0.1 + 0.2 lies above 0.3 by so many steps of the grid there",
                (tenth + fifth - 0.3) / std::ldexp(1, -54), exactly(1), identity);

  // Sums depend on their order, which algebra does not know. Beyond $2^{53}$ the grid is wider than 1: a 1 that is
  // added is lost or becomes 2 (a tie goes to the even neighbour), and beyond $2^{54}$ it is always lost.
  Tensor one = tensor(1, f64), large = tensor(1e16, f64);
  chapter.check("(1 + 1e16) - 1e16", 0, (one + large - large).item());
  chapter.check("1 + (1e16 - 1e16)", 1, (one + (large - large)).item());

  // A `float` keeps 24 binary digits where a `double` keeps 53. Count with it, by ones.
  //
  // ? `float x = 0; while (x + 1 != x) x = x + 1;` Where does this stop?
  // - [ ] never: so it would be if a `float` had room for every whole number
  // - [ ] at $3.4 \cdot 10^{38}$, the largest `float`: the grid is wider than 1 long before that
  // - [x] at 16 777 216: from $2^{24}$ on the grid is 2 wide, 16 777 217 lies half way, and the tie goes back to the even neighbour
  float x = 0;
  while (x + 1 != x) x = x + 1;
  chapter.claim("counting", "counting by ones in float stops at", double(x),
                exactly(16777216), identity);

  // Beyond $1.8 \cdot 10^{308}$ there is only `inf`, and `inf - inf` is `nan`, not a number, which spoils all it touches
  // and does not even equal itself. Below $5 \cdot 10^{-324}$ there is only 0, and the likelihood of 2000 tosses gets
  // there. Its logarithm does not.
  Tensor inf = exp(tensor(1000, f64));
  chapter.check("inf - inf equals itself (1 = yes)", 0,
                equal(inf - inf, inf - inf));
  Tensor halves = full({2000}, 0.5, f64);  // (2000,)
  chapter.check("product of 2000 halves", 0, prod(halves).item());
  chapter.check("sum of their logarithms", -2000 * std::log(2),
                sum(log(halves)).item());
}

// # How small may a nudge be?
//
// The last question. The smaller the nudge, the closer the secant to the tangent. Why not take the smallest?
//
// ? We measure the slope of $\sin x$ at 1, which is 0.5403, with a nudge of $10^{-17}$, in `double`. What comes out?
// - [ ] 0.5403, to 16 digits: the secant is that good, but $1 + 10^{-17}$ is not kept
// - [x] 0: $1 + 10^{-17}$ is rounded to 1, and the sine has not moved
// - [ ] 0.54, roughly: so it is with a nudge of $10^{-14}$, where the difference of the two sines has a few digits left
//
// Two errors pull against each other. The secant's is in proportion to $\varepsilon$. But both sines are rounded, by
// about $u$; their difference is divided by $\varepsilon$, and that error becomes $u / \varepsilon$. The sum
// $\varepsilon + u / \varepsilon$ is smallest near $\varepsilon = \sqrt u \approx 10^{-8}$, where half of the digits
// are lost. Nudged both ways it is $\varepsilon^2 + u / \varepsilon$: the best nudge is near
// $\sqrt[3]{u} \approx 5 \cdot 10^{-6}$, and a third is lost. In `float` $u$ is $2^{-24}$, and $\sqrt u$ a
// four-thousandth. The bounds below leave a factor of ten either way.
template <class Number>
static std::vector<double> slope_errors(const std::vector<double>& nudges,
                                        bool both) {
  std::vector<double> errors;
  for (double nudge : nudges) {
    Number right = 1 + Number(nudge), left = both ? 1 - Number(nudge) : Number(1);
    Number width = both ? 2 * Number(nudge) : Number(nudge);
    Number measured = (std::sin(right) - std::sin(left)) / width;
    errors.push_back(std::abs(double(measured) - std::cos(1.0)));
  }
  return errors;
}

// Sixty-five nudges, from 0.1 down to $10^{-17}$. From the right each curve follows the secant's error down, then
// rounding's error up, until the nudge is swallowed and the error is the whole slope.
static void how_small_a_nudge(Chapter& chapter) {
  chapter.section("How small may a nudge be?");
  chapter.say("The slope of sin at 1, by nudges from 0.1 down to 1e-17.");
  std::vector<double> nudges;
  for (int k = 4; k <= 68; ++k) nudges.push_back(std::pow(10, -k / 4.0));
  std::vector<double> in_float = slope_errors<float>(nudges, false);
  std::vector<double> in_double = slope_errors<double>(nudges, false);
  std::vector<double> both_ways = slope_errors<double>(nudges, true);
  chapter.figure("v", "the error of a slope, for every nudge")
      .line(nudges, in_float, "float")
      .line(nudges, in_double, "double")
      .line(nudges, both_ways, "double, both ways")
      .log_x()
      .log_y()
      .axes("nudge", "error");
  auto best = [&](const std::vector<double>& errors) {
    return nudges[size_t(argmin(from_vector(errors)).item<int64_t>())];
  };
  chapter.claim("best-float", "the best nudge in float", best(in_float),
                between(2e-5, 2e-3), found, {.quick = between(2e-5, 2e-3)});
  chapter.claim("best-double", "the best nudge in double", best(in_double),
                between(1e-9, 1e-7), found, {.quick = between(1e-9, 1e-7)});
  chapter.claim("best-both", "the best nudge in double, both ways", best(both_ways),
                between(5e-7, 5e-5), found, {.quick = between(5e-7, 5e-5)});
  chapter.claim("too-small", "the error with a nudge of 1e-17: the whole slope",
                in_double.back(), near(0.5403, 1e-4), identity);
}

// So the dials were turned by a tenth, then by thousandths; and every check says how large a gap it allows. Learning gets
// along with `float` and less: a slope that is wrong in its seventh digit points downhill all the same.
//
// # The notation of this book
//
// For looking up, not for learning. `Code` is how the programs call it; a number in brackets is the chapter that brings
// what this one did not.
//
// | | |
// |---|---|
// | $x$, $y$, $\hat y$ | what goes in, what should come out, what does: `x`, `y`, `y_hat` |
// | $e_i$, $\bar x$ | error of example $i$, $\hat y_i - y_i$; mean of the $x_i$ |
// | $n$, $d$, $k$ | how many examples, inputs, classes |
// | $X$, $A = [X\ 1]$ | examples as rows, $(n, d)$; with a column of ones for the bias (1) |
// | $w$, $b$, $W$ | the dials: `weight`, `bias`; a matrix $W$ is (out, in) |
// | $\theta$ | all dials together: `parameters(model)` |
// | $L$ | how wrong the dials are: `loss` |
// | $\partial L / \partial w$, $\nabla L$ | one slope, all slopes: `grad(loss, w)` |
// | $H$, $\nabla^2 L$ | the slopes of the slopes, the Hessian (1, 8) |
// | $\kappa$ | curvature: the slope's slope in one direction (1) |
// | $\varepsilon$ | a nudge, or another small number: `eps` |
// | $A^\top$, $AB$, $\odot$ | rows become columns, `A.t()`; matrix product, `matmul`; product element by element, `*` |
// | $\lVert x \rVert$ | length, root of the sum of squares: `norm` |
// | $[z > 0]$ | 1 where it is true, else 0 |
// | $\ln$, $\arg\max$ | natural logarithm, `log`; where the largest value is |
// | $P(A \mid B)$, $p(x)$ | probability of $A$ if $B$ holds; probability or density |
// | $\ell(p)$, $\ell(w, b)$ | likelihood of the dials |
// | $\mathbb E$, $\mathrm{Var}$ | expectation, variance; estimated by `mean`, `var` |
// | $\mu$, $\sigma$, $\Sigma$ | mean, standard deviation, covariance matrix (2) |
// | $R^2$ | the share of the variance that a model accounts for (1) |
// | $\mathcal N(\mu, \sigma^2)$, $\sim$ | normal distribution, `randn`; is drawn from |
// | $H(p)$, $\mathrm{KL}(p \,\Vert\, q)$ | entropy, Kullback–Leibler divergence |
// | $u$ | relative error of rounding |
// | $\eta$ | learning rate, `lr`: how far one step goes (1) |
// | $\lambda$ | weight of a penalty (1) |
// | $z$ | score of a class, `logits` (3); what goes into a bend (5); a code (38) |
// | $\sigma(z)$ | $1 / (1 + e^{-z})$, `sigmoid` (3) |
// | $\varphi$ | feature that we design (3) |
// | $h$, $H$, $a$ | hidden unit, their number, activation function (5); $h$: state (23) |
// | $\delta_l$ | $\partial L / \partial Z_l$ for layer $l$ (5) |
// | $t$, $T$ | step or time, and their number (9, 23) |
// | $Q$, $K$, $V$ | queries, keys, values (30) |
// | $(B, T, C)$ | in shapes: batch, time, channels (30) |
// | $(B, C, H, W)$ | batch, channels, height, width (16) |
// | $p_\theta$, $q_\phi$ | a model's density, an approximate posterior (39) |
// | $G$, $D$ | generator, discriminator (40) |
// | $s$, $a$, $r$, $\gamma$, $\pi$ | state, action, reward, discount, policy (45) |
//
// Some signs have two meanings, as everywhere. With an argument $\sigma$ is the sigmoid, and $H$ the entropy; alone $H$
// is the Hessian, and in a shape the number of hidden units, or a height.
//
// # Do you remember?
//
// Three questions about this page, because what is asked again is kept.
//
// ? `x` has shape (50, 128) and `m` has shape (50,). What is `x - m`?
// - [ ] each row loses its own number of `m`: for that, `m` would have to be (50, 1)
// - [x] an error: compared from the right 128 meets 50, and neither is 1
// - [ ] only the first 50 columns change: nothing is ever filled up or cut off
//
// ? A weight reaches the loss in two ways. Along one the slopes are 3 and 2, along the other 5 and $-1$. What is the slope of the loss?
// - [ ] 9: slopes along one way multiply, they do not add
// - [ ] $-30$: slopes of different ways add, they do not multiply
// - [x] 1: multiply along each way, add the ways, $3 \cdot 2 + 5 \cdot (-1)$
//
// ? One mail in a hundred is spam. A filter marks 99 % of the spam, and 1 % of the good mail. It marks this one. How probable is it that it is spam?
// - [ ] 99 %: so often it marks spam that is there; the good mails it marks have to be counted as well
// - [x] 50 %: of 10 000 mails it marks 99 of the 100 bad ones and 99 of the 9900 good ones
// - [ ] 1 %: so it was before the filter spoke, and the filter does tell us something
//
// And now? [The map](map.hpp#the-map-of-the-book) shows a way through the book.
static void story(Chapter& chapter) {
  two_dials(chapter);
  how_to_read(chapter);
  shapes_and_broadcasting(chapter);
  the_silent_mistake(chapter);
  a_slope_by_nudging(chapter);
  both_ways(chapter);
  slopes_multiply(chapter);
  the_gradient(chapter);
  any_direction(chapter);
  a_die(chapter);
  the_blue_cab(chapter);
  maximum_likelihood(chapter);
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
           "How does a machine find out which way to turn its dials, when nobody "
           "tells it?",
       .quick = "the same with fewer throws of dice",
       .normal = "a second or two, no files, no GPU",
       .full = "the same as without: nothing trains here, and no data are read",
       .options = {{"witness", 0.8,
                    "how often the witness of the blue cab is right", 0, 1}},
       .claims = {"same-seed", "each-with-each", "half-nudge", "half-nudge-both",
                  "steepest", "level", "dot", "root-n", "two-errors", "cab", "hill",
                  "one-sigma", "entropy", "tenths", "counting", "best-float",
                  "best-double", "best-both", "too-small"}},
      story);
}
