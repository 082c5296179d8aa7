// # Images side by side
//
// What shall lie side by side in a vector? In `conv_plan.cpp` it is neighbouring places of one image. All taps can then
// read the same canvas, but they read its padding, too, and lanes are lost where rows end.
//
// Here it is the same place of many images. x is turned over first, images last, and so a place is one vector or a few, of which
// no lane is lost, and what it sees may lie anywhere. To turn x and y over costs as much as a few multiply-adds for each of
// their numbers. Two ways to convolve make up for that: `conv_batch.cpp` and `conv_winograd.cpp`.
#pragma once

#include "backend/cpu/conv_weights.hpp"

namespace cr::backend::cpu {

// A vector of images, all of whose lanes are wanted.
inline ConvLanes whole_vector(int64_t from, int64_t to, int64_t width) {
  return {from, to, static_cast<uint32_t>((uint64_t{1} << width) - 1)};
}

template <class T> class ConvTurned {
 public:
  // With so many vectors of images for each place.
  ConvTurned(const Convolution<T>& c, int64_t vectors)
      : c_(c), kernel_(conv_kernel<T>()), lanes_(vectors * kernel_.width) {}

  // Numbers of a place, one for each image.
  int64_t lanes() const { return lanes_; }
  // A vector more, so that the same place of all channels does not always fall on the same lines of a cache.
  int64_t x_channel() const { return c_.x_channel() * lanes() + kernel_.width; }

  // There must be images enough for a vector, and x must stay in the caches.
  bool fits() const { return c_.images >= kernel_.width && lanes() * x_image() <= kMost; }
  // Lanes there are for all images, and multiply-adds that turning over is worth.
  double padded() const { return static_cast<double>(multiple(c_.images, lanes())); }
  double work() const { return 8 * padded() * static_cast<double>(x_image() + c_.groups * c_.rows * c_.y_row()); }

  // So many parts of an image's group give all threads work. Who turns over x and who reads it should cut it alike: then
  // what a thread wants is likely to be in its own cache. The number does not matter otherwise, since no sum is cut.
  int64_t cuts() const { return pieces(2 * num_threads(), together() * c_.groups); }

  // For as many images as a place has lanes, and each of `tasks`: f(turned x, first image, number of images, task).
  template <class F> void for_images(int64_t tasks, F&& f) const {
    const bool threads = c_.worth_threads();
    const int64_t together = this->together();  // asked once: the number of threads may change meanwhile
    const int64_t step = together * lanes(), size = c_.groups * c_.channels * x_channel();
    const int64_t squares = pieces(c_.x_channel(), kernel_.width), cuts = std::min(this->cuts(), squares);
    auto first_of = [&](int64_t cut) { return std::min(squares * cut / cuts * kernel_.width, c_.x_channel()); };
    Workspace<T> x(together * size);
    for (int64_t first = 0; first < c_.images; first += step) {
      const int64_t sets = pieces(std::min(step, c_.images - first), lanes());
      auto images = [&](int64_t image) { return std::min(lanes(), c_.images - image); };
      for_tiles(sets * c_.groups * cuts, threads, [&](int64_t task) {
        const int64_t cut = task % cuts, group = task / cuts % c_.groups, set = task / cuts / c_.groups;
        const int64_t image = first + set * lanes(), channel = group * c_.channels;
        take(x.data() + set * size + channel * x_channel(), c_.x + image * x_image() + channel * c_.x_channel(),
             images(image), first_of(cut), first_of(cut + 1));
      });
      for_tiles(sets * tasks, threads, [&](int64_t task) {
        const int64_t set = task / tasks, image = first + set * lanes();
        f(static_cast<const T*>(x.data() + set * size), image, images(image), task % tasks);
      });
    }
  }

  // Results of `places` neighbours, from place `first` of a row on, to where they belong.
  void give(const T* from, int64_t image, int64_t images, int64_t row, int64_t first, int64_t places) const {
    const int64_t y_image = c_.groups * c_.rows * c_.y_row();
    kernel_.transposed(c_.y + image * y_image + row * c_.y_row() + first, y_image, from, lanes(), places, images);
  }

 private:
  // Numbers of x that are turned over at one time: sixteen megabytes, which the cores' last cache may hold.
  static constexpr int64_t kMost = 32 * kConvCanvas<T>;

  // So many times the images of a place are turned over together: threads that have their own images share only weights.
  int64_t together() const {
    const int64_t most = std::min<int64_t>(num_threads(), kMost / std::max<int64_t>(lanes() * x_image(), 1));
    return std::clamp<int64_t>(most, 1, pieces(c_.images, lanes()));
  }
  int64_t x_image() const { return c_.groups * c_.channels * c_.x_channel(); }

  // Numbers first … end - 1 of every channel of a group.
  void take(T* to, const T* from, int64_t images, int64_t first, int64_t end) const {
    for (int64_t channel = 0; channel < c_.channels; ++channel, to += x_channel(), from += c_.x_channel()) {
      if (images < lanes()) std::fill(to + first * lanes(), to + end * lanes(), T{0});
      kernel_.transposed(to + first * lanes(), lanes(), from + first, x_image(), images, end - first);
    }
  }

  const Convolution<T>& c_;
  const ConvKernel<T>& kernel_;
  int64_t lanes_;
};

}  // namespace cr::backend::cpu
