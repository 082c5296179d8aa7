// # A convolution of many images at once
//
// Images lie side by side (`conv_turned.hpp`), and each place is computed from those of its taps that lie inside: no zero is
// multiplied. Of an image of 8 × 8 a kernel of 3 × 3 sees 484 numbers and 92 zeros. A stride is nothing but another offset.
//
// So this pays where images are small and channels many. (Image by image an infinite weight makes NaN of the zeros around x.
// Here it does not meet them.)
#include "backend/cpu/conv_ways.hpp"

#include <cmath>

#include "backend/cpu/conv_turned.hpp"

namespace cr::backend::cpu {
namespace {

template <class T> class ConvBatch {
 public:
  explicit ConvBatch(const Convolution<T>& c)
      : c_(c),
        kernel_(conv_kernel<T>()),
        turned_(c, vectors_of_images(c)),
        together_(tile_vectors(c) / vectors_of_images(c)) {}

  double work() const {
    if (!turned_.fits()) return HUGE_VAL;
    const double each = static_cast<double>(c_.groups * c_.rows * c_.channels);
    return turned_.padded() * static_cast<double>(pairs_inside()) * each + turned_.work();
  }

  void run() const {
    const ConvWeights<T> weights(c_);
    const int64_t cuts = std::min(turned_.cuts(), c_.y_row());
    const int64_t bands = multiple(std::max(pieces(c_.y_row(), kernel_.width), cuts), cuts);
    turned_.for_images(c_.groups * bands, [&](const T* x, int64_t image, int64_t images, int64_t task) {
      const int64_t band = task % bands;
      compute(x, weights, image, images, task / bands, c_.y_row() * band / bands, c_.y_row() * (band + 1) / bands);
    });
  }

 private:
  // A tile's vectors are one of images for each of some places: then threads have images of their own, and share only weights.
  // But a place that sees what no other sees is left alone with its vector, and with few rows of weights one addition then
  // waits for another. So for few rows (with AVX2 there are never more than six) the vectors are all of images, at one place.
  static int64_t vectors_of_images(const Convolution<T>& c) {
    constexpr int64_t kEnough = 8;
    return pieces(c.rows, row_tiles(c)) < kEnough ? tile_vectors(c) : 1;
  }

  // Pairs of a place and a tap of it that lie inside.
  int64_t pairs_inside() const {
    int64_t sum = 0;
    for (const ConvClass& own : c_.classes)
      for (int64_t i = own.first_tap; i < own.first_tap + own.taps; ++i) {
        int64_t pairs = 1;
        for (int d = 0; d < 3; ++d) pairs *= c_.count_seeing(d, own, c_.taps[i]);
        sum += pairs;
      }
    return sum;
  }

  // Which taps of a place lie inside. Most places see the same ones, at a distance.
  struct View {
    const ConvClass* own;
    std::vector<int64_t> taps;    // of its taps, these
    std::vector<ConvStep> steps;  // the same for all channels, relative to the first
    bool operator==(const View& other) const { return own == other.own && taps == other.taps; }
  };
  struct Place {
    size_t view;       // number of its view
    int64_t from, to;  // where what the first tap sees lies, and where its sums go
  };

  Place look(int64_t place, int64_t to, std::vector<View>& views) const {
    const std::array<int64_t, 3> at = c_.coordinates(place);
    const ConvClass& own = c_.class_of(at);
    View view{&own, {}, {}};
    std::vector<int64_t> at_x;
    for (int64_t i = 0, number; i < own.taps; ++i)
      if (c_.sees(at, c_.taps[own.first_tap + i], number))
        view.taps.push_back(i), at_x.push_back(number * turned_.lanes());
    const auto known = std::find(views.begin(), views.end(), view);
    const Place result{static_cast<size_t>(known - views.begin()), at_x.empty() ? 0 : at_x[0], to};
    if (known != views.end()) return result;
    view.steps.reserve(c_.channels * at_x.size());
    for (int64_t channel = 0; channel < c_.channels; ++channel)
      for (size_t k = 0; k < at_x.size(); ++k)
        view.steps.push_back({channel * own.taps + view.taps[k], channel * turned_.x_channel() + at_x[k] - at_x[0]});
    views.push_back(std::move(view));
    return result;
  }

  // Places first … end - 1 of one group, for all rows. What they see stays in a core's second cache, while one tile of rows
  // after another passes by.
  void compute(const T* x, const ConvWeights<T>& weights, int64_t image, int64_t images, int64_t group, int64_t first,
               int64_t end) const {
    std::vector<View> views;
    std::vector<Place> places;
    for (int64_t place = first; place < end; ++place)
      places.push_back(look(place, (place - first) * turned_.lanes(), views));
    std::stable_sort(places.begin(), places.end(), [](const Place& a, const Place& b) { return a.view < b.view; });

    const int64_t sums_row = (end - first) * turned_.lanes();
    Workspace<T> sums(kernel_.tile_rows * sums_row);
    ConvLanes side[kConvVectors];
    ConvTile<T> t{};
    t.first = t.last = true, t.lanes = side, t.y_row = sums_row, t.y = sums.data();
    t.b = x + group * c_.channels * turned_.x_channel();
    for (int64_t tile = 0; tile < weights.tiles(); ++tile) {
      const int64_t row = group * c_.rows + weights.first_row(tile);
      t.rows = weights.rows(tile);
      t.bias = c_.bias ? c_.bias + row : nullptr;
      for (const Place *place = places.data(), *end_of_all = place + places.size(); place != end_of_all;) {
        const View& view = views[place->view];
        t.a = weights.of(group, *view.own, tile), t.taps = std::ssize(view.steps), t.steps = view.steps.data();
        place = lay_out_together(place, end_of_all, side, t.vectors);
        kernel_.tile(t);
      }
      for (int64_t i = 0; i < t.rows; ++i)
        turned_.give(sums.data() + i * sums_row, image, images, row + i, first, end - first);
    }
  }

  // As many places of one view as the kernel takes at once, with their vectors. A few that are left over are taken one by one;
  // of many the last one is repeated, and so fills the tile up. Returns the next place.
  const Place* lay_out_together(const Place* place, const Place* end, ConvLanes* side, int64_t& vectors) const {
    const int64_t width = kernel_.width, each = turned_.lanes() / width;
    const Place* const first = place;
    while (place != end && place->view == first->view && place - first < together_) ++place;
    const int64_t count = place - first, filled = 2 * count > together_ ? together_ : count;
    vectors = filled * each;
    for (int64_t i = 0; i < vectors; ++i) {
      const Place& own = first[std::min(i / each, count - 1)];
      side[i] = whole_vector(own.from + i % each * width, own.to + i % each * width, width);
    }
    return place;
  }

  const Convolution<T>& c_;
  const ConvKernel<T>& kernel_;
  ConvTurned<T> turned_;
  int64_t together_;  // places that the kernel takes at once
};

}  // namespace

template <class T> double batch_work(const Convolution<T>& c) { return ConvBatch<T>(c).work(); }
template <class T> void convolve_batch(const Convolution<T>& c) { ConvBatch<T>(c).run(); }

template double batch_work(const Convolution<float>&);
template double batch_work(const Convolution<double>&);
template void convolve_batch(const Convolution<float>&);
template void convolve_batch(const Convolution<double>&);

}  // namespace cr::backend::cpu
