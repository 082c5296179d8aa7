// # A convolution of many images at once
//
// What shall lie side by side in a vector? In `conv_plan.cpp` it is neighbouring places of one image. All taps can then
// read the same canvas, but they read its padding, too: of an image of 8 × 8 a kernel of 3 × 3 sees 484 numbers and 92
// zeros.
//
// Here it is the same place of many images. x is turned over first, images last, and so a place is a few vectors, and its
// taps are those that lie inside. No zero is multiplied, no lane is lost where a row ends, and a stride is nothing but
// another offset. To turn x and y over costs as much as a few multiply-adds for each of their numbers, so it pays where
// images are small and channels many. (One more difference: an infinite weight meets no zero of the padding, so it makes no
// NaN there.)
#include "backend/cpu/conv_batch.hpp"

#include "backend/cpu/conv_weights.hpp"

namespace cr::backend::cpu {
namespace {

template <class T> class ConvBatch {
 public:
  explicit ConvBatch(const Convolution<T>& c) : c_(c), kernel_(conv_kernel<T>()), vectors_(tile_vectors(c)) {}

  // It saves multiply-adds, and costs the turning over of x and y, eight multiply-adds a number.
  bool pays() const {
    if (c_.images < kernel_.width || lanes() * x_image() > kMost) return false;
    const int64_t padded = pieces(c_.images, lanes()) * lanes();
    const int64_t saved = c_.images * c_.places() * c_.num_taps() - padded * pairs_inside();
    const int64_t turned = padded * (x_image() + c_.groups * c_.rows * c_.y_row());
    return static_cast<double>(saved) * static_cast<double>(c_.groups * c_.rows * c_.channels) >
           8 * static_cast<double>(turned);
  }

  void run() const {
    const bool threads = c_.work() >= kWorthThreads;
    const ConvWeights<T> weights(c_);
    // Both loops are cut alike: who turns some places over is likely to be the one who wants them. How often does not
    // matter, since no sum is cut.
    const int64_t cuts = std::min(pieces(2 * num_threads(), c_.groups), c_.y_row());
    const int64_t bands = multiple(std::max(pieces(c_.y_row(), kernel_.width), cuts), cuts);
    Workspace<T> x(c_.groups * c_.channels * x_channel());
    for (int64_t image = 0; image < c_.images; image += lanes()) {
      const int64_t images = std::min(lanes(), c_.images - image);
      for_tiles(c_.groups * cuts, threads, [&](int64_t task) {
        const int64_t cut = task % cuts, channel = task / cuts * c_.channels;
        turn(x.data() + channel * x_channel(), c_.x + image * x_image() + channel * c_.x_channel(), images,
             c_.x_channel() * cut / cuts, c_.x_channel() * (cut + 1) / cuts);
      });
      for_tiles(c_.groups * bands, threads, [&](int64_t task) {
        const int64_t band = task % bands;
        compute(x.data(), weights, image, images, task / bands, c_.y_row() * band / bands,
                c_.y_row() * (band + 1) / bands);
      });
    }
  }

 private:
  // Numbers of x that are turned over at one time: two megabytes, which stay in the caches.
  static constexpr int64_t kMost = 4 * kConvCanvas<T>;

  int64_t lanes() const { return vectors_ * kernel_.width; }
  int64_t x_image() const { return c_.groups * c_.channels * c_.x_channel(); }
  // A vector more, so that the same place of all channels does not always fall on the same lines of a cache.
  int64_t x_channel() const { return c_.x_channel() * lanes() + kernel_.width; }

  // Pairs of a place and a tap of it that lie inside.
  int64_t pairs_inside() const {
    int64_t sum = 0, from;
    for (const ConvClass& own : c_.classes)
      for (int64_t i = own.first_tap; i < own.first_tap + own.taps; ++i) {
        int64_t pairs = 1;
        for (int d = 0; d < 3; ++d) {
          int64_t count = 0;
          for (int64_t at = own.residue[d]; at < c_.size[d]; at += c_.step[d])
            count += c_.sees(d, at, c_.taps[i], from);
          pairs *= count;
        }
        sum += pairs;
      }
    return sum;
  }

  // Numbers first … end - 1 of every channel of a group.
  void turn(T* to, const T* from, int64_t images, int64_t first, int64_t end) const {
    for (int64_t channel = 0; channel < c_.channels; ++channel, to += x_channel(), from += c_.x_channel()) {
      if (images < lanes()) std::fill(to + first * lanes(), to + end * lanes(), T{0});
      kernel_.transposed(to + first * lanes(), lanes(), from + first, x_image(), images, end - first);
    }
  }

  // Which taps of a place lie inside. Most places see the same ones, at a distance.
  struct View {
    const ConvClass* own;
    std::vector<int64_t> taps;    // of its taps, these
    std::vector<ConvStep> steps;  // the same for all channels, relative to the first
    bool operator==(const View& other) const { return own == other.own && taps == other.taps; }
  };
  struct Place {
    size_t view;    // number of its view
    int64_t first;  // where what the first tap sees lies
  };

  Place look(int64_t place, std::vector<View>& views) const {
    const std::array<int64_t, 3> at = c_.coordinates(place);
    const ConvClass& own = c_.class_of(at);
    View view{&own, {}, {}};
    std::vector<int64_t> at_x;
    for (int64_t i = 0, number; i < own.taps; ++i)
      if (c_.sees(at, c_.taps[own.first_tap + i], number)) view.taps.push_back(i), at_x.push_back(number * lanes());
    const auto known = std::find(views.begin(), views.end(), view);
    const Place result{static_cast<size_t>(known - views.begin()), at_x.empty() ? 0 : at_x[0]};
    if (known != views.end()) return result;
    view.steps.reserve(c_.channels * at_x.size());
    for (int64_t channel = 0; channel < c_.channels; ++channel)
      for (size_t k = 0; k < at_x.size(); ++k)
        view.steps.push_back({channel * own.taps + view.taps[k], channel * x_channel() + at_x[k] - at_x[0]});
    views.push_back(std::move(view));
    return result;
  }

  // Places first … end - 1 of one group, for all rows. What they see stays in a core's second cache, while one tile of rows
  // after another passes by.
  void compute(const T* x, const ConvWeights<T>& weights, int64_t image, int64_t images, int64_t group, int64_t first,
               int64_t end) const {
    std::vector<View> views;
    std::vector<Place> places;
    for (int64_t place = first; place < end; ++place) places.push_back(look(place, views));

    const int64_t W = kernel_.width, sums_row = (end - first) * lanes(), y_image = c_.groups * c_.rows * c_.y_row();
    T* y = c_.y + image * y_image + group * c_.rows * c_.y_row() + first;
    Workspace<T> sums(kernel_.tile_rows * sums_row);
    ConvLanes side[kConvVectors];
    for (int64_t j = 0; j < vectors_; ++j) side[j] = {0, j * W, static_cast<uint32_t>((uint64_t{1} << W) - 1)};
    ConvTile<T> t{};
    t.first = t.last = true, t.vectors = vectors_, t.lanes = side, t.y_row = sums_row;
    t.b = x + group * c_.channels * x_channel();
    for (int64_t tile = 0; tile < weights.tiles(); ++tile) {
      const int64_t row = weights.first_row(tile);
      t.rows = weights.rows(tile);
      t.bias = c_.bias ? c_.bias + group * c_.rows + row : nullptr;
      t.y = sums.data();
      for (const Place& place : places) {
        const View& view = views[place.view];
        t.a = weights.of(group, *view.own, tile), t.taps = std::ssize(view.steps), t.steps = view.steps.data();
        for (int64_t j = 0; j < vectors_; ++j) side[j].from = place.first + j * W;
        kernel_.tile(t);
        t.y += lanes();
      }
      for (int64_t i = 0; i < t.rows; ++i)
        kernel_.transposed(y + (row + i) * c_.y_row(), y_image, sums.data() + i * sums_row, lanes(), end - first,
                           images);
    }
  }

  const Convolution<T>& c_;
  const ConvKernel<T>& kernel_;
  int64_t vectors_;  // of images
};

template <class T> bool run(const Convolution<T>& c) {
  const ConvBatch<T> batch(c);
  if (!batch.pays()) return false;
  batch.run();
  return true;
}

}  // namespace

bool convolve_batch(const Convolution<float>& c) { return run(c); }
bool convolve_batch(const Convolution<double>& c) { return run(c); }

}  // namespace cr::backend::cpu
