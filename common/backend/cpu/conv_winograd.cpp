// # A convolution with fewer multiplications
//
// Two neighbouring results of three taps g, from four pixels d,
//
//     y₀ = d₀ g₀ + d₁ g₁ + d₂ g₂
//     y₁ =         d₁ g₀ + d₂ g₁ + d₃ g₂
//
// are six products. Winograd's rule F(2, 3) makes them of four,
//
//     m₀ = (d₀ − d₂) g₀                    y₀ = m₀ + m₁ + m₂
//     m₁ = (d₁ + d₂) (g₀ + g₁ + g₂) / 2    y₁ = m₁ − m₂ − m₃
//     m₂ = (d₂ − d₁) (g₀ − g₁ + g₂) / 2
//     m₃ = (d₁ − d₃) g₂
//
// and, once for columns and once for rows, 2 × 2 results of 3 × 3 taps of sixteen products instead of 36. (S. Winograd,
// *Arithmetic Complexity of Computations*, 1980; A. Lavin and S. Gray, *Fast Algorithms for Convolutional Neural Networks*,
// 2016. Chapter 58 derives it.) The sums on the left belong to a channel, those of the taps to a channel and a row, those on
// the right to a row. In between, where all channels meet all rows, are sixteen matrix products. So with many of both the
// sums cost little.
//
// Images lie side by side (`conv_turned.hpp`), so that all these sums are sums of vectors. A task takes some tiles of 2 × 2
// places, of as many images as a vector has lanes. It writes down the factors of their pixels, and then, for some rows at a
// time, sixteen small products and the results.
//
// **Rounding.** An error is relative to the largest numbers that a result sees, even where their factors are zero. On the other
// hand the long sums are those over channels, not over channels and taps: of normally distributed numbers, 64 channels, the
// usual error is 0.65 times that of the plain loop, after a ReLU 0.8 times. float64 does not come here: it is chosen for its
// digits. **Infinities** are subtracted from each other, and a result that ought to be infinite is not a number. Then whoever
// calls has to compute y in another way.
#include <array>
#include <atomic>
#include <cmath>

#include "backend/cpu/conv_turned.hpp"
#include "backend/cpu/conv_ways.hpp"
#include "backend/cpu/isa/winograd_kernel.hpp"

namespace cr::backend::cpu {
namespace {

const WinogradKernel& winograd_kernel() {
#if CHAINRULE_X86_DISPATCH
  if (isa() == Isa::avx512) return avx512::winograd_kernel;
  if (isa() == Isa::avx2) return avx2::winograd_kernel;
#endif
  return base::winograd_kernel;
}

class ConvWinograd {
 public:
  explicit ConvWinograd(const Convolution<float>& c)
      : c_(c), kernel_(conv_kernel<float>()), winograd_(winograd_kernel()), turned_(c, 1), together_(tile_vectors(c)) {}

  // What a sum and a weight cost was measured, on a Zen 4 with AVX-512 and two threads. Weights are expensive, since all cores
  // read what one of them wrote.
  double work() const {
    if (!turned_.fits() || !of_nine_neighbours()) return HUGE_VAL;
    const double weights = static_cast<double>(c_.groups * weights_of_group());
    const double sums = static_cast<double>(c_.groups * (40 * c_.channels + 44 * c_.rows));
    return turned_.padded() * static_cast<double>(down() * across()) * (weights + sums) + 64 * weights + turned_.work();
  }

  bool run() const {
    const ConvWeights<float> taps(c_);
    Workspace<float> weights(c_.groups * weights_of_group());
    for_tiles(c_.groups * taps.tiles(), c_.worth_threads(), [&](int64_t task) {
      const int64_t group = task / taps.tiles();
      transform(weights.data() + group * weights_of_group(), taps, group, task % taps.tiles());
    });
    Workspace<ConvStep> steps(c_.channels);
    for (int64_t channel = 0; channel < c_.channels; ++channel) steps[channel] = {channel, channel * kernel_.width};

    // A line is cut into parts for threads, and where their factors are too many, but not below what the kernel takes at once.
    const int64_t sets = pieces(across(), together_), most = std::max<int64_t>(kFactors / (together_ * tile_size()), 1);
    const int64_t cuts = std::clamp<int64_t>(std::max(pieces(sets, most), pieces(turned_.cuts(), down())), 1, sets);
    auto tile_of = [&](int64_t cut) { return std::min(sets * cut / cuts * together_, across()); };
    std::atomic<bool> finite = true;
    turned_.for_images(c_.groups * down() * cuts, [&](const float* x, int64_t image, int64_t images, int64_t task) {
      const int64_t cut = task % cuts, line = task / cuts % down(), group = task / cuts / down();
      const Part part{image, images, group, line, tile_of(cut), tile_of(cut + 1)};
      if (!compute(part, x, weights.data() + group * weights_of_group(), taps, steps.data())) finite = false;
    });
    return finite;
  }

 private:
  // Factors of pixels that one task keeps: as much as a core's second cache, and a little more (see `factor_size`).
  static constexpr int64_t kFactors = 9 * kConvCanvas<float> / 4;

  // 3 × 3 taps in one plane, neighbours all.
  bool of_nine_neighbours() const {
    int64_t plane;
    bool fits = c_.num_classes() == 1 && c_.num_taps() == 9 && c_.size[0] == 1 && c_.lines[0].size == 1;
    fits = fits && c_.sees(0, 0, c_.taps[0], plane);
    for (int d = 1; d < 3; ++d)
      fits = fits && c_.step[d] == 1 && c_.lines[d].stride == 1 && c_.lines[d].tap_step == 1 &&
             std::ssize(c_.seen[d]) == 3 && c_.seen[d][2] == c_.seen[d][0] + 2;
    return fits;
  }

  // Tiles of 2 × 2 places, down an image and across.
  int64_t down() const { return pieces(c_.size[1], 2); }
  int64_t across() const { return pieces(c_.size[2], 2); }
  // The coordinate of the first number that place 0 sees.
  int64_t first(int d) const { return c_.lines[d].tap + c_.seen[d][0]; }

  // ## Factors of weights
  //
  // Rows are cut as in `ConvWeights`. For each piece of them, product after product, channel after channel, rows side by side.
  int64_t weights_of_group() const { return kWinogradProducts * c_.rows * c_.channels; }
  template <class F> F* of_piece(F* weights, const ConvWeights<float>& taps, int64_t piece) const {
    return weights + kWinogradProducts * c_.channels * taps.first_row(piece);
  }

  void transform(float* weights, const ConvWeights<float>& taps, int64_t group, int64_t piece) const {
    const int64_t rows = taps.rows(piece);
    std::array<int64_t, 9> order;  // number of each tap
    for (int64_t i = 0; i < 9; ++i) order[c_.taps[i].seen[1] * 3 + c_.taps[i].seen[2]] = i;
    const float* from = taps.of(group, c_.classes[0], piece);
    float* to = of_piece(weights, taps, piece);
    for (int64_t channel = 0; channel < c_.channels; ++channel, from += 9 * rows, to += rows) {
      const float* tap[9];
      for (int i = 0; i < 9; ++i) tap[i] = from + order[i] * rows;
      winograd_.weights(to, c_.channels * rows, tap, rows);
    }
  }

  // ## One task
  struct Part {
    int64_t image, images, group;
    int64_t line, begin, end;  // tiles begin … end - 1 of one line of them
  };

  // Factors of pixels: tile after tile, product after product, channel after channel. (And a vector more, so that the factors
  // of a channel do not all fall on the same lines of a cache.)
  int64_t factor_size() const { return (c_.channels + 1) * kernel_.width; }
  int64_t tile_size() const { return kWinogradProducts * factor_size(); }

  void look(const Part& part, const float* x, float* factors) const {
    WinogradInput in{};
    in.first = first(2) + 2 * part.begin, in.columns = c_.lines[2].size;
    in.tiles = part.end - part.begin, in.to = factors, in.to_tile = tile_size(), in.to_factor = factor_size();
    for (int64_t channel = 0; channel < c_.channels; ++channel, in.to += kernel_.width) {
      const float* from = x + (part.group * c_.channels + channel) * turned_.x_channel();
      for (int64_t i = 0; i < 4; ++i) {
        const int64_t at = first(1) + 2 * part.line + i;
        in.lines[i] = at >= 0 && at < c_.lines[1].size ? from + at * in.columns * kernel_.width : nullptr;
      }
      winograd_.input(in);
    }
  }

  // False if a result is not finite.
  bool compute(const Part& part, const float* x, const float* weights, const ConvWeights<float>& taps,
               const ConvStep* steps) const {
    const int64_t W = kernel_.width, tiles = part.end - part.begin;
    Workspace<float> factors(tiles * tile_size()), products(kWinogradProducts * kernel_.tile_rows * together_ * W);
    look(part, x, factors.data());

    ConvLanes side[kConvVectors];  // a vector for each tile
    for (int64_t j = 0; j < together_; ++j) side[j] = whole_vector(j * tile_size(), j * W, W);
    ConvTile<float> t{};
    t.first = t.last = true, t.lanes = side, t.y_row = together_ * W, t.taps = c_.channels, t.steps = steps;

    const int64_t width = std::min(2 * part.end, c_.size[2]) - 2 * part.begin;
    WinogradOutput out{};
    out.sums_row = t.y_row, out.height = std::min<int64_t>(2, c_.size[1] - 2 * part.line);
    out.y_line = width * W, out.y_row = out.height * out.y_line;
    Workspace<float> y(kernel_.tile_rows * out.y_row);
    bool finite = true;
    for (int64_t piece = 0; piece < taps.tiles(); ++piece) {
      const int64_t row = part.group * c_.rows + taps.first_row(piece);
      t.rows = out.rows = taps.rows(piece), out.sums_factor = t.rows * t.y_row;
      for (int64_t i = 0; i < tiles; i += together_) {
        t.vectors = std::min(together_, tiles - i);
        t.a = of_piece(weights, taps, piece), t.b = factors.data() + i * tile_size();
        multiply(t, products.data(), c_.bias ? c_.bias + row : nullptr);
        for (int64_t j = 0; j < t.vectors; ++j) {
          out.sums = products.data() + j * W, out.y = y.data() + 2 * (i + j) * W;
          out.width = std::min<int64_t>(2, width - 2 * (i + j));
          finite = winograd_.output(out) && finite;
        }
      }
      for (int64_t i = 0; i < t.rows; ++i) give(part, row + i, y.data() + i * out.y_row, out.height, width);
    }
    return finite;
  }

  // All four results of a tile have product (1, 1) once, so it is the one that begins with the bias.
  void multiply(ConvTile<float> t, float* products, const float* bias) const {
    t.y = products;
    for (int m = 0; m < kWinogradProducts; ++m) {
      t.bias = m == 1 * 4 + 1 ? bias : nullptr;
      kernel_.tile(t);
      t.a += c_.channels * t.rows, t.b += factor_size(), t.y += t.rows * t.y_row;
    }
  }

  // One or two lines of a row of y, which lie side by side if they are whole.
  void give(const Part& part, int64_t row, const float* from, int64_t height, int64_t width) const {
    int64_t place = 2 * part.line * c_.size[2] + 2 * part.begin;
    if (width == c_.size[2]) return turned_.give(from, part.image, part.images, row, place, height * width);
    for (int64_t line = 0; line < height; ++line, from += width * kernel_.width, place += c_.size[2])
      turned_.give(from, part.image, part.images, row, place, width);
  }

  const Convolution<float>& c_;
  const ConvKernel<float>& kernel_;
  const WinogradKernel& winograd_;
  ConvTurned<float> turned_;
  int64_t together_;  // tiles that the kernel takes at once
};

}  // namespace

double winograd_work(const Convolution<float>& c) { return ConvWinograd(c).work(); }
bool convolve_winograd(const Convolution<float>& c) { return ConvWinograd(c).run(); }

}  // namespace cr::backend::cpu
