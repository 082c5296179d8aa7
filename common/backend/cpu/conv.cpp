// # Convolution
//
// $$y_{o}(p) = b_o + \sum_{c}\sum_{t} w_{o,c,t}\; x_c(p \cdot s + t)$$
//
// For one place p this is a row of weights times a column of numbers; for all places it is a matrix product, whose right
// matrix has a row for every tap (c, t) and repeats each number of x as often as a window sees it: nine times for a 3 × 3
// kernel. So nobody writes it down. Each of its rows is a picture on the canvas (`conv_canvas.hpp`), seen from an offset,
// and the register tile of the matrix product can read it there.
#include "backend/cpu/conv.hpp"

#include "backend/cpu/cpu.hpp"
#include "backend/cpu/workspace.hpp"
#include "backend/parallel.hpp"

namespace cr::backend::cpu {
namespace {

// ## A plan
//
// What is the same for every image: how rows and places are cut, where the taps are, in which vectors places come.
template <class T> class ConvPlan {
  // So many taps at a time: the panel of places that they see, two vectors each, stays in a core's first cache, 48 kB, while
  // row after row of weights is multiplied with it.
  static constexpr int64_t kTapBlock = 1024 / static_cast<int64_t>(sizeof(T));

 public:
  explicit ConvPlan(const Convolution<T>& c)
      : c_(c),
        kernel_(conv_kernel<T>()),
        row_tiles_(pieces(c.rows, kernel_.tile_rows)),
        tile_rows_(pieces(c.rows, row_tiles_)),
        vectors_(kernel_.vectors(tile_rows_)),
        taps_(c.channels * c.taps()),
        tap_blocks_(std::max<int64_t>(pieces(taps_, kTapBlock), 1)),
        banded_(first_long(c.lines)),
        bands_(count_bands()),
        band_(pieces(c.lines[banded_].places, bands_)),
        canvas_(band_lines(), c.channels, bands_ > 1 ? banded_ : -1, kernel_.width),
        offset_(taps_),
        row_offset_(pieces(taps_, tap_blocks_)) {
    bands_ = pieces(c.lines[banded_].places, band_);
    int64_t tap = 0;
    for (int64_t channel = 0; channel < c.channels; ++channel)
      for (int64_t z = 0; z < c.lines[0].taps; ++z)
        for (int64_t y = 0; y < c.lines[1].taps; ++y)
          for (int64_t x = 0; x < c.lines[2].taps; ++x) offset_[tap++] = canvas_.offset(channel, z, y, x);
    for (tap = 0; tap < pieces(taps_, tap_blocks_); ++tap) row_offset_[tap] = tap * vectors_ * kernel_.width;
    choose();
  }

  void run() {
    const bool threads = c_.work() >= kConvWorthThreads;
    auto for_tiles = [&](int64_t tiles, auto&& f) {
      if (threads) return parallel_for(tiles, f);
      for (int64_t tile = 0; tile < tiles; ++tile) f(tile);
    };
    Workspace<T> weights(c_.groups * c_.rows * taps_);
    for_tiles(c_.groups * row_tiles_,
              [&](int64_t tile) { pack(weights.data(), tile / row_tiles_, tile % row_tiles_); });

    // One task is a few images of one group, or a band of one.
    const int64_t parts = pieces(c_.images, together_);
    for_tiles(parts * c_.groups * bands_, [&](int64_t task) {
      const int64_t band = task % bands_, group = task / bands_ % c_.groups, part = task / bands_ / c_.groups;
      const int64_t image = part * together_, images = std::min(together_, c_.images - image);
      const T* packed = weights.data() + group * c_.rows * taps_;
      gathered_ ? gathered(image, images, group, band, packed) : direct(image, group, band, packed);
    });
  }

 private:
  // An image is cut along its first dimension where its canvas would be too large, or where there are too few images for
  // many cores.
  int64_t count_bands() const {
    const int64_t numbers = ConvCanvas(c_.lines, c_.channels, -1, kernel_.width).size();
    const int64_t wanted = c_.work() >= kConvWorthThreads ? pieces(8, c_.images * c_.groups) : 1;
    return std::clamp<int64_t>(std::max(pieces(numbers, kConvCanvas<T>), wanted), 1, c_.lines[banded_].places);
  }
  const ConvLine (&band_lines())[3] {
    for (int d = 0; d < 3; ++d) lines_[d] = c_.lines[d];
    lines_[banded_].places = band_;
    return lines_;
  }

  // Tile after tile, tap after tap: the weights of the tile's rows side by side.
  int64_t first_row(int64_t tile) const { return c_.rows * tile / row_tiles_; }
  void pack(T* weights, int64_t group, int64_t tile) const {
    const int64_t row = first_row(tile), rows = first_row(tile + 1) - row;
    T* to = weights + (group * c_.rows + row) * taps_;
    const T* from = c_.w + group * c_.w_group + row * c_.w_row;
    for (int64_t channel = 0; channel < c_.channels; ++channel)
      for (int64_t z = 0; z < c_.lines[0].taps; ++z)
        for (int64_t y = 0; y < c_.lines[1].taps; ++y)
          for (int64_t x = 0; x < c_.lines[2].taps; ++x) {
            const T* w = from + channel * c_.w_channel + z * c_.w_tap[0] + y * c_.w_tap[1] + x * c_.w_tap[2];
            for (int64_t i = 0; i < rows; ++i, w += c_.w_row) *to++ = *w;
          }
  }

  // ## Two ways to read the canvas
  //
  // **Directly**: a vector begins at a place and takes what lies there. Where a row ends it also takes zeros, and then
  // places of the next row; each result goes where it belongs and the rest is dropped. For rows of 16 and 32 places
  // nothing is lost, for rows of 8 a fifth is.
  //
  // **Gathered**: the places of a tile are copied together first, tap by tap, into a panel. Nothing is lost, and the copy
  // pays if many rows of weights use it.
  void choose() {
    const ConvLine* line = lines_;
    const int64_t W = kernel_.width, places = line[0].places * line[1].places * line[2].places;
    const int64_t runs = line[0].places * line[1].places, run = line[2].places;
    const int64_t lost = count_lanes() - places / W;
    together_ = 1;
    const int64_t tasks = pieces(c_.images * c_.groups * bands_, 8);
    auto vectors = [&](int64_t images) { return pieces(images * places, W) * 8 / images; };
    if (bands_ == 1)
      for (int64_t n = 2; n <= std::min<int64_t>({8, tasks, kConvCanvas<T> / std::max<int64_t>(canvas_.size(), 1)});
           ++n)
        if (vectors(n) * 50 < vectors(together_) * 49) together_ = n;
    const int64_t copies = runs * pieces(run, W);
    gathered_ = lost * c_.rows > 6 * copies;
    if (!gathered_) together_ = 1;
  }

  // Calls f(lanes) for the vectors that cover the places of `lines` on the canvas.
  template <class F> void for_each_lanes(const ConvLine (&line)[3], F&& f) const {
    const int64_t W = kernel_.width, pitch = canvas_.pitch(), n = line[2].places;
    int64_t to = 0;
    for (int64_t z = 0; z < line[0].places; ++z) {
      int64_t y = 0, x = 0;
      while (y < line[1].places) {
        const int64_t from = canvas_.place(z, y, x);
        uint32_t mask = 0;
        int64_t count = 0;
        for (int64_t lane = 0; lane < W && y < line[1].places;) {
          const int64_t here = std::min(n - x, W - lane);
          mask |= static_cast<uint32_t>(((uint64_t{1} << here) - 1) << lane);
          count += here, x += here, lane += here;
          if (x == n) x = 0, ++y, lane += pitch - n;
        }
        f(ConvLanes{from, to, mask});
        to += count;
      }
    }
  }
  int64_t count_lanes() const {
    int64_t count = 0;
    for_each_lanes(lines_, [&](const ConvLanes&) { ++count; });
    return count;
  }

  // Walks over the places of a band, row by row and, where there are several, image by image.
  struct Cursor {
    const ConvLine (&line)[3];
    int64_t image = 0, z = 0, y = 0, x = 0;
    int64_t in_row() const { return line[2].places - x; }
    void move(int64_t along_row) {
      x += along_row;
      if (x == line[2].places) x = 0, ++y;
      if (y == line[1].places) y = 0, ++z;
      if (z == line[0].places) z = 0, ++image;
    }
  };
  // Where the results of a place go. `first` is the band's.
  int64_t y_of(const Cursor& at, int64_t first) const {
    return at.image * c_.groups * c_.rows * c_.y_row + at.z * c_.y_place[0] + at.y * c_.y_place[1] +
           at.x * c_.y_place[2] + first * c_.y_place[banded_];
  }
  bool side_by_side() const {
    return c_.y_place[2] == 1 && c_.y_place[1] == c_.lines[2].places &&
           c_.y_place[0] == c_.lines[1].places * c_.lines[2].places;
  }

  struct Band {
    ConvLine line[3];
    int64_t first, places;
  };
  Band band(int64_t number) const {
    Band b{{lines_[0], lines_[1], lines_[2]}, number * band_, 0};
    b.line[banded_].places = std::min(band_, c_.lines[banded_].places - b.first);
    b.places = b.line[0].places * b.line[1].places * b.line[2].places;
    return b;
  }

  T* results(int64_t image, int64_t group) const { return c_.y + (image * c_.groups + group) * c_.rows * c_.y_row; }
  void fill(T* canvas, int64_t image, int64_t group, int64_t first) const {
    canvas_.fill(canvas, c_.x + (image * c_.groups + group) * c_.channels * c_.x_channel(), banded_, first);
  }

  // All rows of weights for the places of `t`, some taps at a time. `prepare(first, taps)` is called before.
  template <class F> void rows(ConvTile<T> t, int64_t group, T* y, const T* weights, T* sums, F&& prepare) const {
    t.y_row = c_.y_row, t.sums_row = vectors_ * kernel_.width;
    for (int64_t block = 0; block < tap_blocks_; ++block) {
      const int64_t tap = taps_ * block / tap_blocks_;
      t.taps = taps_ * (block + 1) / tap_blocks_ - tap;
      t.first = block == 0, t.last = block + 1 == tap_blocks_;
      t.offset = prepare(tap, t.taps);
      for (int64_t tile = 0; tile < row_tiles_; ++tile) {
        const int64_t row = first_row(tile);
        t.rows = first_row(tile + 1) - row;
        t.a = weights + row * taps_ + tap * t.rows;
        t.y = y + row * c_.y_row;
        t.bias = c_.bias ? c_.bias + group * c_.rows + row : nullptr;
        t.sums = sums + row * t.sums_row;
        kernel_.tile(t);
      }
    }
  }
  int64_t sums() const { return tap_blocks_ > 1 ? c_.rows * vectors_ * kernel_.width : 0; }

  void direct(int64_t image, int64_t group, int64_t number, const T* weights) const {
    const Band b = band(number);
    const int64_t W = kernel_.width;
    Workspace<T> canvas(canvas_.size() + W), partial(sums());
    fill(canvas.data(), image, group, b.first);

    constexpr int64_t kMost = 8;
    ConvLanes lanes[kMost];
    int64_t places[kMost * 16], have = 0;
    const bool simple = side_by_side();
    T* y = results(image, group);
    Cursor at{b.line};
    const int64_t start = simple ? y_of(at, b.first) : 0;
    int64_t num_places = 0;
    auto flush = [&] {
      if (have == 0) return;
      ConvTile<T> t{};
      t.vectors = have, t.lanes = lanes, t.b = canvas.data();
      t.places = simple ? nullptr : places, t.num_places = num_places;
      rows(t, group, y + start, weights, partial.data(), [&](int64_t tap, int64_t) { return offset_.data() + tap; });
      have = 0;
    };
    for_each_lanes(b.line, [&](const ConvLanes& l) {
      lanes[have] = l;
      if (!simple) {
        // What is dropped goes where the next place's result will be written over it.
        for (int64_t i = 0; i < W; ++i) {
          places[have * W + i] = y_of(at, b.first);
          if (l.mask >> i & 1) at.move(1), num_places = have * W + i + 1;
        }
      }
      if (++have == vectors_) flush();
    });
    flush();
  }

  void gathered(int64_t image, int64_t images, int64_t group, int64_t number, const T* weights) const {
    const Band b = band(number);
    const int64_t W = kernel_.width, width = vectors_ * W, total = images * b.places;
    Workspace<T> canvas(images * canvas_.size() + W), panel(pieces(taps_, tap_blocks_) * width), partial(sums());
    for (int64_t i = 0; i < images; ++i) fill(canvas.data() + i * canvas_.size(), image + i, group, b.first);

    constexpr int64_t kMost = 8 * 16;
    ConvLanes lanes[kMost];
    ConvRun runs[kMost];
    int64_t places[kMost];
    T* y = results(image, group);
    Cursor at{b.line};
    for (int64_t p = 0; p < total; p += width) {
      // The places of this panel, row by row.
      const int64_t count = std::min(width, total - p);
      const int64_t start = y_of(at, b.first), image_before = at.image;
      int64_t num_runs = 0;
      for (int64_t done = 0; done < count;) {
        const int64_t here = std::min(at.in_row(), count - done), to = y_of(at, b.first);
        runs[num_runs++] = {at.image * canvas_.size() + canvas_.place(at.z, at.y, at.x), done, here};
        for (int64_t i = 0; i < here; ++i) places[done + i] = to + i * c_.y_place[2];
        done += here;
        at.move(here);
      }
      const bool one_image = at.image == image_before || p + count == (image_before + 1) * b.places;
      const bool simple = side_by_side() && one_image;

      ConvTile<T> t{};
      t.vectors = pieces(count, W), t.lanes = lanes, t.b = panel.data();
      for (int64_t j = 0; j < t.vectors; ++j) {
        const int64_t lanes_here = std::min(W, count - j * W);
        lanes[j] = {j * W, j * W, static_cast<uint32_t>((uint64_t{1} << lanes_here) - 1)};
      }
      t.places = simple ? nullptr : places, t.num_places = count;
      rows(t, group, simple ? y + start : y, weights, partial.data(), [&](int64_t tap, int64_t taps) {
        kernel_.gather(panel.data(), width, taps, offset_.data() + tap, canvas.data(), runs, num_runs);
        return row_offset_.data();
      });
    }
  }

  const Convolution<T>& c_;
  const ConvKernel<T>& kernel_;
  int64_t row_tiles_, tile_rows_, vectors_, taps_, tap_blocks_;
  int banded_;
  int64_t bands_, band_;
  ConvLine lines_[3];  // of one band
  ConvCanvas canvas_;
  Workspace<int64_t> offset_, row_offset_;  // of the taps, on the canvas and in a panel
  bool gathered_ = false;
  int64_t together_ = 1;  // images in one task
};

// The plain loop, for integers.
void run_plain(const Convolution<int64_t>& c) {
  const ConvLine* line = c.lines;
  for (int64_t part = 0; part < c.images * c.groups; ++part)
    for (int64_t row = 0; row < c.rows; ++row)
      for (int64_t place = 0; place < c.places(); ++place) {
        const int64_t group = part % c.groups, row_of_all = group * c.rows + row;
        const int64_t at[3] = {place / line[2].places / line[1].places, place / line[2].places % line[1].places,
                               place % line[2].places};
        uint64_t sum = c.bias ? static_cast<uint64_t>(c.bias[row_of_all]) : 0;
        for (int64_t tap = 0; tap < c.channels * c.taps(); ++tap) {
          const int64_t channel = tap / c.taps();
          int64_t rest = tap % c.taps(), w = group * c.w_group + row * c.w_row + channel * c.w_channel;
          int64_t x = 0, scale = 1;
          bool inside = true;
          for (int d = 2; d >= 0; rest /= line[d].taps, --d) {
            const int64_t t = rest % line[d].taps, i = at[d] * line[d].stride + line[d].tap + t * line[d].tap_step;
            inside = inside && i >= 0 && i < line[d].size;
            x += i * scale, scale *= line[d].size, w += t * c.w_tap[d];
          }
          if (!inside) continue;
          sum += static_cast<uint64_t>(c.w[w]) * static_cast<uint64_t>(c.x[(part * c.channels + channel) * scale + x]);
        }
        int64_t y = (part * c.rows + row) * c.y_row;
        for (int d = 0; d < 3; ++d) y += at[d] * c.y_place[d];
        c.y[y] = static_cast<int64_t>(sum);
      }
}

template <class T> void run(const Convolution<T>& c) {
  if (c.images == 0 || c.groups == 0 || c.rows == 0 || c.places() == 0) return;
  if constexpr (std::is_same_v<T, int64_t>) run_plain(c);
  else ConvPlan<T>(c).run();
}

template <class T> T* numbers(const Tensor& x) {
  return x.defined() ? static_cast<T*>(x.impl()->storage->data()) + x.impl()->offset : nullptr;
}

// dx = bias, channel by channel.
template <class T> void fill_channels(T* dx, const ConvShape& s, const T* bias) {
  const int64_t places = s.lines[0].size * s.lines[1].size * s.lines[2].size, channels = s.groups * s.channels;
  parallel_for(s.images, [&](int64_t image) {
    for (int64_t c = 0; c < channels; ++c) {
      T* row = dx + (image * channels + c) * places;
      std::fill(row, row + places, bias ? bias[c] : T{0});
    }
  });
}

template <class F> void dispatch(const Tensor& x, const char* op, F&& f) {
  if (x.dtype() == DType::int64) f(int64_t{});
  else dispatch_floating(x.dtype(), op, f);
}

}  // namespace

ConvShape::ConvShape(const Tensor& x, const Tensor& w, const Tensor& y, const Window& window, int64_t of_groups)
    : images(x.shape()[0]), groups(of_groups), channels(w.shape()[1]), rows(w.shape()[0] / of_groups) {
  for (int d = 0; d < 3; ++d) {
    const int own = d - (5 - x.dim());  // of the dimensions that are there
    lines[d] = ConvLine{};
    if (own >= 0) {
      lines[d] = {.size = x.shape()[own + 2],
                  .places = y.shape()[own + 2],
                  .stride = window.stride[own],
                  .tap = -window.padding[own],
                  .tap_step = window.dilation[own],
                  .taps = w.shape()[own + 2]};
    }
    kernel[d] = lines[d].taps;
  }
}

void Cpu::conv(const Tensor& y, const Tensor& x, const Tensor& w, const Tensor& bias, const Window& window,
               int64_t groups) {
  const ConvShape s(x, w, y, window, groups);
  dispatch(x, "conv", [&](auto type) {
    using T = decltype(type);
    Convolution<T> c;
    for (int d = 0; d < 3; ++d) c.lines[d] = s.lines[d];
    c.images = s.images, c.groups = groups, c.channels = s.channels, c.rows = s.rows;
    c.x = numbers<T>(x), c.w = numbers<T>(w), c.bias = numbers<T>(bias), c.y = numbers<T>(y);
    c.w_tap[2] = 1, c.w_tap[1] = s.kernel[2], c.w_tap[0] = s.kernel[1] * s.kernel[2];
    c.w_channel = c.taps(), c.w_row = s.channels * c.w_channel, c.w_group = s.rows * c.w_row;
    c.y_place[2] = 1, c.y_place[1] = c.lines[2].places, c.y_place[0] = c.lines[1].places * c.y_place[1];
    c.y_row = c.places();
    run(c);
  });
}

// ## The adjoint
//
// Number i of x was seen by place p through tap t wherever i = p s + t d − padding. So dx(i) sums dy(p) w(t) over these
// pairs: a convolution of dy with the taps in reverse. With a stride s, which taps they are depends on i mod s: every
// residue class is a convolution of its own, of stride 1, with some of the taps. Nothing is scattered, and every sum
// has its order.
void Cpu::conv_input(const Tensor& dx, const Tensor& dy, const Tensor& w, const Tensor& bias, const Window& window,
                     int64_t groups) {
  const ConvShape s(dx, w, dy, window, groups);
  // In one dimension, for residue r: the taps t with r + padding − t d divisible by s are first, first + every, …; place j
  // (number r + j s) sees dy at j + (r + padding − t d) / s.
  struct Residue {
    ConvLine line;
    int64_t first, every;
  };
  auto residue = [&](int d, int64_t r) {
    const ConvLine& l = s.lines[d];
    Residue out{{.size = l.places, .places = (l.size - r + l.stride - 1) / l.stride, .taps = 0}, 0, 1};
    auto fits = [&](int64_t t) { return (r - l.tap - t * l.tap_step) % l.stride == 0; };
    while (out.first < l.taps && !fits(out.first)) ++out.first;
    if (out.first == l.taps) return out;
    while (out.first + out.every < l.taps && !fits(out.first + out.every)) ++out.every;
    out.line.taps = (l.taps - out.first + out.every - 1) / out.every;
    out.line.tap = (r - l.tap - out.first * l.tap_step) / l.stride;
    out.line.tap_step = -out.every * l.tap_step / l.stride;
    return out;
  };
  dispatch(dx, "conv_input", [&](auto type) {
    using T = decltype(type);
    // Numbers that no window sees have their bias only.
    bool unseen = false;
    for (int d = 0; d < 3; ++d)
      for (int64_t r = 0; r < std::min(s.lines[d].stride, s.lines[d].size); ++r)
        unseen = unseen || residue(d, r).line.taps == 0;
    if (unseen) fill_channels(numbers<T>(dx), s, numbers<T>(bias));
    for (int64_t z = 0; z < std::min(s.lines[0].stride, s.lines[0].size); ++z)
      for (int64_t y = 0; y < std::min(s.lines[1].stride, s.lines[1].size); ++y)
        for (int64_t x = 0; x < std::min(s.lines[2].stride, s.lines[2].size); ++x) {
          const Residue residues[3] = {residue(0, z), residue(1, y), residue(2, x)};
          if (residues[0].line.taps * residues[1].line.taps * residues[2].line.taps == 0) continue;
          Convolution<T> c;
          c.images = s.images, c.groups = groups, c.channels = s.rows, c.rows = s.channels;
          c.x = numbers<T>(dy), c.w = numbers<T>(w), c.bias = numbers<T>(bias), c.y = numbers<T>(dx);
          int64_t tap = 1, place = 1;
          const int64_t at[3] = {z, y, x};
          for (int d = 2; d >= 0; --d) {
            c.lines[d] = residues[d].line;
            c.w += residues[d].first * tap, c.w_tap[d] = residues[d].every * tap, tap *= s.kernel[d];
            c.y += at[d] * place, c.y_place[d] = s.lines[d].stride * place, place *= s.lines[d].size;
          }
          c.w_row = tap, c.w_channel = s.channels * tap, c.w_group = s.rows * c.w_channel;
          c.y_row = place;
          run(c);
        }
  });
}

}  // namespace cr::backend::cpu
