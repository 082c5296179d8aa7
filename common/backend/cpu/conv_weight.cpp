// # The gradient of a convolution's weights
//
// $$dw_{o,c,t} = \sum_{\text{images}} \sum_p dy_o(p)\; x_c(p \cdot s + t)$$
//
// A matrix product again, of dy (o × places) and the pictures of the canvas (places × taps), which sums over places. With
// dy transposed, output channels lie side by side: a vector of them times one number of x, for as many taps as there are
// registers. x is read on the canvas where it lies.
#include "backend/cpu/conv.hpp"
#include "backend/cpu/cpu.hpp"
#include "backend/cpu/gemm.hpp"
#include "backend/cpu/workspace.hpp"

namespace cr::backend::cpu {
namespace {

// ## Who adds what
//
// The sum over images is cut into `parts`, which are added up at the end, in order; how many depends on the size of the
// gradient. The gradient itself is cut into blocks of input channels. A task is one part of one block. Within it, output
// channels come in panels of two vectors.
template <class T> class WeightPlan {
  // So many places of dy, 32 kB, stay in a core's first cache while tap after tap is multiplied with them.
  static constexpr int64_t kChunk = 256;

 public:
  WeightPlan(const ConvShape& s, T* dw, const T* x, const T* dy)
      : s_(s),
        dw_(dw),
        x_(x),
        dy_(dy),
        kernel_(conv_kernel<T>()),
        taps_each_(s.kernel[0] * s.kernel[1] * s.kernel[2]),
        size_(s.groups * s.rows * s.channels * taps_each_),
        places_(s.lines[0].places * s.lines[1].places * s.lines[2].places),
        panels_(pieces(s.rows, 2 * kernel_.width)),
        banded_(first_long(s.lines)) {
    const double work = static_cast<double>(s.images * places_) * static_cast<double>(size_);
    threads_ = work >= kWorthThreads;
    // Parts cost memory, blocks cost a transposition of dy each: so many of them that there are tasks for a few cores. (With a
    // single part every core would read all images, and whoever writes to their memory next takes it away from all of them.)
    constexpr int64_t kParts = 16, kNumbers = 1 << 18;
    const int64_t tasks = std::clamp(static_cast<int64_t>(work / 64e6), int64_t{4}, int64_t{16});
    parts_ = std::clamp<int64_t>(kNumbers / std::max<int64_t>(size_, 1), 1,
                                 std::min(kParts, std::max<int64_t>(s.images, 1)));
    if (!threads_) parts_ = 1;
    channels_ = std::max<int64_t>(s.channels, 1);
    auto numbers = [&] { return ConvCanvas(s_.lines, channels_, -1, kernel_.width).size(); };
    while (channels_ > 16 && (parts_ * s.groups * pieces(s.channels, channels_) < tasks || numbers() > kConvCanvas<T>))
      channels_ = pieces(channels_, 2);
    const int64_t columns = places_ * panels_ * 2 * kernel_.width;
    const int64_t bands = std::clamp<int64_t>(pieces(std::max(numbers(), columns), kConvCanvas<T>), 1,
                                              std::max<int64_t>(s.lines[banded_].places, 1));
    band_ = pieces(s.lines[banded_].places, bands);
  }

  void run() {
    const int64_t blocks = pieces(s_.channels, channels_);
    Workspace<T> sums(parts_ > 1 ? parts_ * size_ : 0);
    for_tiles(parts_ * s_.groups * blocks, threads_, [&](int64_t task) {
      const int64_t block = task % blocks, group = task / blocks % s_.groups, part = task / blocks / s_.groups;
      add_part(parts_ > 1 ? sums.data() + part * size_ : dw_, part, group, block * channels_);
    });
    if (parts_ == 1) return;
    constexpr int64_t kTogether = 4096;
    for_tiles(pieces(size_, kTogether), threads_, [&](int64_t tile) {
      const int64_t end = std::min(size_, (tile + 1) * kTogether);
      for (int64_t i = tile * kTogether; i < end; ++i) dw_[i] = sums[i];
      for (int64_t part = 1; part < parts_; ++part)
        for (int64_t i = tile * kTogether; i < end; ++i) dw_[i] += sums[part * size_ + i];
    });
  }

 private:
  void add_part(T* out, int64_t part, int64_t group, int64_t first_channel) const {
    const int64_t W = kernel_.width, channels = std::min(channels_, s_.channels - first_channel);
    ConvLine line[3] = {s_.lines[0], s_.lines[1], s_.lines[2]};
    const bool cut = line[banded_].places > band_;
    line[banded_].places = band_;
    const ConvCanvas canvas(line, channels, cut ? banded_ : -1, W);
    const int64_t taps = channels * taps_each_, most = line[0].places * line[1].places * line[2].places;
    const int64_t together = cut ? 1 : std::clamp<int64_t>(kChunk / most, 1, kConvCanvas<T> / canvas.size() + 1);

    const int64_t dy_panel = together * most * 2 * W, sum_panel = taps * 2 * W;

    Workspace<T> picture(together * canvas.size() + W), dy(panels_ * dy_panel), sum(panels_ * sum_panel);
    Workspace<int64_t> offset(taps);
    Workspace<const T*> at(together * most);
    std::fill(sum.data(), sum.data() + panels_ * sum_panel, T{0});
    int64_t tap = 0;
    for (int64_t channel = 0; channel < channels; ++channel)
      for (int64_t z = 0; z < s_.kernel[0]; ++z)
        for (int64_t y = 0; y < s_.kernel[1]; ++y)
          for (int64_t x = 0; x < s_.kernel[2]; ++x) offset[tap++] = canvas.offset(channel, z, y, x);

    // A few images at a time, or a band of one: picture, transposed dy, and where on the canvas each place is.
    const int64_t x_channel = line[0].size * line[1].size * line[2].size;
    const int64_t end = s_.images * (part + 1) / parts_;
    const auto pack = gemm_kernel<T>().pack_b;  // `lanes` rows, `k` long each, become k groups of two vectors
    for (int64_t from = s_.images * part / parts_; from < end; from += together) {
      for (int64_t first = 0; first < s_.lines[banded_].places; first += band_) {
        line[banded_].places = std::min(band_, s_.lines[banded_].places - first);
        const int64_t places = line[0].places * line[1].places * line[2].places;
        const int64_t before = first * (most / band_);  // places in the bands before
        int64_t place = 0;
        for (int64_t i = 0; i < std::min(together, end - from); ++i) {
          const int64_t image = (from + i) * s_.groups + group;
          canvas.fill(picture.data() + i * canvas.size(), x_ + (image * s_.channels + first_channel) * x_channel,
                      banded_, first);
          for (int64_t panel = 0; panel < panels_; ++panel) {
            pack(dy.data() + panel * dy_panel + i * places * 2 * W, columns(panel), places,
                 dy_ + (image * s_.rows + panel * 2 * W) * places_ + before, places_, 1);
          }
          for (int64_t z = 0; z < line[0].places; ++z)
            for (int64_t y = 0; y < line[1].places; ++y)
              for (int64_t x = 0; x < line[2].places; ++x)
                at[place++] = picture.data() + i * canvas.size() + canvas.place(z, y, x);
        }
        for (int64_t p = 0; p < place; p += kChunk) {
          for (int64_t panel = 0; panel < panels_; ++panel) {
            ConvWeightTile<T> t{};
            t.columns = columns(panel), t.places = std::min(kChunk, place - p);
            t.x = at.data() + p, t.dy = dy.data() + panel * dy_panel + p * 2 * W;
            add(t, offset.data(), taps, sum.data() + panel * sum_panel);
          }
        }
      }
    }

    // From a tap's channels to a channel's taps.
    const int64_t dw_row = s_.channels * taps_each_;
    for (int64_t panel = 0; panel < panels_; ++panel)
      kernel_.transposed(out + (group * s_.rows + panel * 2 * W) * dw_row + first_channel * taps_each_, dw_row,
                         sum.data() + panel * sum_panel, 2 * W, taps, columns(panel));
  }

  int64_t columns(int64_t panel) const { return std::min(2 * kernel_.width, s_.rows - panel * 2 * kernel_.width); }

  void add(ConvWeightTile<T> t, const int64_t* offset, int64_t taps, T* sum) const {
    const int64_t tiles = pieces(taps, kernel_.tile_rows);
    for (int64_t tile = 0; tile < tiles; ++tile) {
      const int64_t tap = taps * tile / tiles;
      t.rows = taps * (tile + 1) / tiles - tap;
      t.offset = offset + tap, t.c = sum + tap * 2 * kernel_.width;
      kernel_.weight_tile(t);
    }
  }

  const ConvShape& s_;
  T* dw_;
  const T *x_, *dy_;
  const ConvKernel<T>& kernel_;
  int64_t taps_each_, size_, places_, panels_;
  int banded_;
  bool threads_;
  int64_t parts_, channels_, band_;
};

}  // namespace

void Cpu::conv_weight(const Tensor& dw, const Tensor& x, const Tensor& dy, const Window& window, int64_t groups) {
  if (dw.numel() == 0) return;
  if (x.numel() == 0 || dy.numel() == 0) return fill(dw, 0);
  const ConvShape s(x, dw, dy, window, groups);
  dispatch_floating(x.dtype(), "conv_weight", [&](auto type) {
    using T = decltype(type);
    auto numbers = [](const Tensor& t) { return static_cast<T*>(t.impl()->storage->data()) + t.impl()->offset; };
    WeightPlan<T>(s, numbers(dw), numbers(x), numbers(dy)).run();
  });
}

}  // namespace cr::backend::cpu
