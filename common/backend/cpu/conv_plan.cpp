// # How a convolution is computed
//
// For one place the sum over taps is a row of weights times a column of numbers; for all places it is a matrix product,
// whose right matrix has a row for every tap of every channel and repeats each number of x as often as a window sees it:
// nine times for a 3 × 3 kernel. So nobody writes it down. Each of its rows is a picture on the canvas
// (`conv_canvas.hpp`), seen from an offset, and the register tile of the matrix product can read it there.
#include <bit>

#include "backend/cpu/conv_ways.hpp"
#include "backend/cpu/conv_weights.hpp"

namespace cr::backend::cpu {
namespace {

// ## A plan
//
// What is the same for every image: how rows and places are cut, where the taps are, in which vectors places come.
template <class T> class ConvPlan {
  // What the taps of some channels see, for the places of one tile, stays in a core's first cache, 48 kB, while row after
  // row of weights is multiplied with it.
  static constexpr int64_t kPanel = (32 << 10) / static_cast<int64_t>(sizeof(T));

 public:
  explicit ConvPlan(const Convolution<T>& c)
      : c_(c),
        kernel_(conv_kernel<T>()),
        width_(tile_vectors(c) * kernel_.width),
        seen_(std::ssize(c.seen[0]) * std::ssize(c.seen[1]) * std::ssize(c.seen[2])),
        block_(std::max<int64_t>(kPanel / (seen_ * width_), 1)),
        blocks_(std::max<int64_t>(pieces(c.channels, block_), 1)),
        banded_(first_long(c.lines)),
        bands_(count_bands()),
        band_(pieces(c.lines[banded_].places, bands_)),
        canvas_(band_lines(), c.channels, bands_ > 1 ? banded_ : -1, kernel_.width),
        seen_offset_(c.channels * seen_),
        steps_(c.channels * c.num_taps()) {
    block_ = pieces(c.channels, blocks_);
    bands_ = pieces(c.lines[banded_].places, band_);
    choose();
    lay_out_taps();
  }

  void run() {
    const bool threads = c_.worth_threads();
    const ConvWeights<T> weights(c_);

    // One task is a few images of one group, or a band of one.
    const int64_t parts = pieces(c_.images, together_);
    for_tiles(parts * c_.groups * bands_, threads, [&](int64_t task) {
      const int64_t part = task / bands_ / c_.groups, image = part * together_;
      compute(image, std::min(together_, c_.images - image), task / bands_ % c_.groups, task % bands_, weights);
    });
  }

 private:
  // An image is cut along its first dimension where its canvas would be too large, or where there are too few images for
  // many cores.
  int64_t count_bands() const {
    const int64_t numbers = ConvCanvas(c_.lines, c_.channels, -1, kernel_.width).size();
    const int64_t wanted = c_.worth_threads() ? pieces(8, c_.images * c_.groups) : 1;
    return std::clamp<int64_t>(std::max(pieces(numbers, kConvCanvas<T>), wanted), 1, c_.lines[banded_].places);
  }
  const ConvLine (&band_lines())[3] {
    for (int d = 0; d < 3; ++d) lines_[d] = c_.lines[d];
    lines_[banded_].places = band_;
    return lines_;
  }

  // ## Two ways to read the canvas
  //
  // **Directly**: a vector begins at a place and takes what lies there. Where a row ends it also takes zeros, and then
  // places of the next row; the results for what is no place are dropped. For rows of 16 and 32 places nothing is lost,
  // for rows of 8 a fifth is.
  //
  // **Gathered**: the places of a tile are copied together first, tap by tap, into a panel. Nothing is lost, and the copy
  // pays if many rows of weights use it. A panel may hold places of several images.
  void choose() {
    const int64_t W = kernel_.width, places = lines_[0].places * lines_[1].places * lines_[2].places;
    const int64_t lost = count_vectors() - places / W;
    const int64_t copies = lines_[0].places * lines_[1].places * pieces(lines_[2].places, W);
    gathered_ = lost * c_.rows * c_.num_taps() > 6 * copies * seen_;
    if (!gathered_ || bands_ > 1) return;
    const int64_t tasks = pieces(c_.images * c_.groups, 8);
    auto vectors = [&](int64_t images) { return pieces(images * places, W) * 8 / images; };
    for (int64_t n = 2; n <= std::min<int64_t>({8, tasks, kConvCanvas<T> / std::max<int64_t>(canvas_.size(), 1)}); ++n)
      if (vectors(n) * 50 < vectors(together_) * 49) together_ = n;
  }

  // Where each tap is seen: on the canvas, and for those who read a panel, in the panel.
  void lay_out_taps() {
    for (int64_t channel = 0, i = 0; channel < c_.channels; ++channel)
      for (int64_t z : c_.seen[0])
        for (int64_t y : c_.seen[1])
          for (int64_t x : c_.seen[2]) seen_offset_[i++] = canvas_.offset(channel, z, y, x);
    for (const ConvClass& own : c_.classes) {
      ConvStep* to = steps_.data() + own.first_tap * c_.channels;
      int64_t number = 0;
      for (int64_t channel = 0; channel < c_.channels; ++channel)
        for (int64_t i = own.first_tap; i < own.first_tap + own.taps; ++i) {
          const int64_t(&at)[3] = c_.taps[i].seen;
          const int64_t row = (at[0] * std::ssize(c_.seen[1]) + at[1]) * std::ssize(c_.seen[2]) + at[2];
          *to++ = {number++, gathered_ ? (channel * seen_ + row) * width_ : seen_offset_[channel * seen_ + row]};
        }
    }
  }

  // ## A panel of places
  //
  // As many places as fill the vectors of a tile: runs of neighbours, each at a place of a band.
  struct Place {
    int64_t image = 0, z = 0, y = 0, x = 0;
  };
  struct Panel {
    static constexpr int64_t kLanes = kConvVectors * 16;
    ConvLanes lanes[kConvVectors];
    int64_t vectors = 0;
    ConvRun runs[kLanes];
    Place at[kLanes];  // where they begin
    int64_t num_runs = 0;
  };

  struct Band {
    ConvLine line[3];
    int64_t first;
  };
  Band band(int64_t number) const {
    Band b{{lines_[0], lines_[1], lines_[2]}, number * band_};
    b.line[banded_].places = std::min(band_, c_.lines[banded_].places - b.first);
    return b;
  }
  static void move(Place& at, const ConvLine (&line)[3], int64_t along_row) {
    at.x += along_row;
    if (at.x == line[2].places) at.x = 0, ++at.y;
    if (at.y == line[1].places) at.y = 0, ++at.z;
    if (at.z == line[0].places) at.z = 0, ++at.image;
  }
  int64_t on_canvas(const Place& at) const { return at.image * canvas_.size() + canvas_.place(at.z, at.y, at.x); }

  // The panel that begins at `at`, which moves on to the next one. A vector of lanes that read the canvas goes on beyond a
  // row's end, but not beyond a plane.
  void next_panel(Panel& p, const ConvLine (&line)[3], Place& at, int64_t images) const {
    const int64_t W = kernel_.width, n = line[2].places;
    p.vectors = p.num_runs = 0;
    for (int64_t lane = 0; lane < width_ && at.image < images; ++p.vectors) {
      ConvLanes& lanes = p.lanes[p.vectors];
      lanes = {gathered_ ? lane : on_canvas(at), lane, 0};
      const Place start = at;
      for (const int64_t end = lane + W; lane < end && at.image < images;) {
        const int64_t here = std::min(n - at.x, end - lane);
        lanes.mask |= static_cast<uint32_t>(((uint64_t{1} << here) - 1) << (lane + W - end));
        p.runs[p.num_runs] = {on_canvas(at), lane, here};
        p.at[p.num_runs++] = at;
        lane += here;
        move(at, line, here);
        if (gathered_ || at.x > 0) continue;
        lane = at.z == start.z && at.image == start.image ? lane + canvas_.pitch() - n : end;
      }
      lane = (p.vectors + 1) * W;
    }
  }
  int64_t count_vectors() const {
    Panel p;
    int64_t count = 0;
    for (Place at; at.image == 0; count += p.vectors) next_panel(p, lines_, at, 1);
    return count;
  }

  // ## One task
  //
  // Panel by panel: some channels at a time, all rows of weights of every class.
  void compute(int64_t image, int64_t images, int64_t group, int64_t number, const ConvWeights<T>& weights) const {
    const Band b = band(number);
    const int64_t y_row = c_.y_row(), sums_row = width_;
    Workspace<T> canvas(images * canvas_.size() + kernel_.width), panel(gathered_ ? block_ * seen_ * width_ : 0);
    Workspace<T> sums(c_.num_classes() * c_.rows * sums_row + kernel_.width);
    for (int64_t i = 0; i < images; ++i)
      canvas_.fill(canvas.data() + i * canvas_.size(),
                   c_.x + ((image + i) * c_.groups + group) * c_.channels * c_.x_channel(), banded_, b.first);

    T* y = c_.y + (image * c_.groups + group) * c_.rows * y_row;
    Panel p;
    for (Place at; at.image < images;) {
      next_panel(p, b.line, at, images);
      // Results go where they belong at once, if they lie side by side.
      const bool at_once = whole_rows() && p.at[0].image == p.at[p.num_runs - 1].image;
      int64_t to = index(of_y(b, p.at[0], c_.classes[0]));
      for (int64_t j = 0; j < p.vectors; ++j) {
        if (at_once) p.lanes[j].to = to, to += std::popcount(p.lanes[j].mask);
        else p.lanes[j].mask = static_cast<uint32_t>((uint64_t{1} << kernel_.width) - 1);
      }
      ConvTile<T> t{};
      t.vectors = p.vectors, t.lanes = p.lanes, t.b = gathered_ ? panel.data() : canvas.data();
      t.sums_row = sums_row, t.y_row = at_once ? y_row : sums_row;
      for (int64_t block = 0; block < blocks_; ++block) {
        const int64_t channel = c_.channels * block / blocks_;
        const int64_t channels = c_.channels * (block + 1) / blocks_ - channel;
        t.first = block == 0, t.last = block + 1 == blocks_;
        if (gathered_)
          kernel_.gather(panel.data(), width_, channels * seen_, seen_offset_.data() + channel * seen_, canvas.data(),
                         p.runs, p.num_runs);
        T* sum = sums.data();
        for (const ConvClass& own : c_.classes) {
          t.taps = channels * own.taps;
          // A panel begins with these channels, the canvas with the first.
          const int64_t before = channel * own.taps;
          t.steps = steps_.data() + own.first_tap * c_.channels + (gathered_ ? 0 : before);
          for (int64_t tile = 0; tile < weights.tiles(); ++tile, sum += t.rows * sums_row) {
            const int64_t row = weights.first_row(tile);
            t.rows = weights.rows(tile);
            t.a = weights.of(group, own, tile) + (gathered_ ? before * t.rows : 0);
            t.bias = c_.bias ? c_.bias + group * c_.rows + row : nullptr;
            t.sums = sum, t.y = at_once ? y + row * y_row : sum;
            kernel_.tile(t);
          }
        }
      }
      if (!at_once) spread(p, b, y, sums.data());
    }
  }

  // The place of y that is a class's place of a band.
  struct OfY {
    int64_t image, at[3];
  };
  OfY of_y(const Band& b, const Place& place, const ConvClass& own) const {
    OfY to{place.image, {place.z, place.y, place.x}};
    to.at[banded_] += b.first;
    for (int d = 0; d < 3; ++d) to.at[d] = to.at[d] * c_.step[d] + own.residue[d];
    return to;
  }
  int64_t index(const OfY& to) const {
    return to.image * c_.groups * c_.rows * c_.y_row() + (to.at[0] * c_.size[1] + to.at[1]) * c_.size[2] + to.at[2];
  }

  // From the sums of all classes to rows of y, where classes that differ in the last coordinate only take turns.
  void spread(const Panel& p, const Band& b, T* y, const T* sums) const {
    ConvSpread<T> s{};
    s.rows = c_.rows, s.y_row = c_.y_row(), s.step = c_.step[2];
    s.sums_row = width_, s.sums_class = c_.rows * width_;
    s.classes = c_.num_classes() > 1 ? std::min(c_.step[2], c_.size[2]) : 1;
    for (int64_t i = 0; i < p.num_runs; ++i) {
      const ConvRun& run = p.runs[i];
      const Place& place = p.at[i];
      int64_t count = run.count * c_.step[2];
      // Without steps, row follows row.
      while (whole_rows() && i + 1 < p.num_runs && p.at[i + 1].image == place.image) count += p.runs[++i].count;
      for (int64_t k = 0; k < c_.num_classes(); k += s.classes) {
        const OfY to = of_y(b, place, c_.classes[k]);
        if (to.at[0] >= c_.size[0] || to.at[1] >= c_.size[1]) continue;
        s.y = y + index(to), s.sums = sums + k * s.sums_class + run.to;
        s.count = whole_rows() ? count : std::min(count, c_.size[2] - to.at[2]);
        kernel_.spread(s);
      }
    }
  }
  bool whole_rows() const { return c_.step[0] * c_.step[1] * c_.step[2] == 1; }

  const Convolution<T>& c_;
  const ConvKernel<T>& kernel_;
  int64_t width_;           // places in a tile
  int64_t seen_;            // by one channel
  int64_t block_, blocks_;  // channels at a time
  int banded_;
  int64_t bands_, band_;
  ConvLine lines_[3];  // of one band
  ConvCanvas canvas_;
  Workspace<int64_t> seen_offset_;
  Workspace<ConvStep> steps_;
  bool gathered_ = false;
  int64_t together_ = 1;  // images in one task
};

}  // namespace

// A plan keeps the sums of all classes. Those of a large stride are too many: they come one after another.
template <class T> void convolve_plan(const Convolution<T>& c) {
  if (c.num_classes() == 1 || c.num_classes() * c.rows * 2 * conv_kernel<T>().width <= kConvCanvas<T>)
    return ConvPlan<T>(c).run();
  Convolution<T> one = c;
  for (const ConvClass& own : c.classes) {
    const auto first = c.taps.begin() + own.first_tap;
    one.taps.assign(first, first + own.taps);
    one.classes = {own};
    one.classes[0].first_tap = 0;
    ConvPlan<T>(one).run();
  }
}

template void convolve_plan(const Convolution<float>&);
template void convolve_plan(const Convolution<double>&);

}  // namespace cr::backend::cpu
