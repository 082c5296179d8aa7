// # The weights of a convolution, laid out
//
// Rows are cut into tiles. Then the numbers come in the order in which a tile wants them: class after class, tile after
// tile, channel after channel, tap after tap, and for each of these the weights of the tile's rows side by side.
#pragma once

#include "backend/cpu/conv.hpp"
#include "backend/cpu/workspace.hpp"

namespace cr::backend::cpu {

// How many tiles, nearly equal ones, and how many vectors of places each of them takes.
template <class T> int64_t row_tiles(const Convolution<T>& c) { return pieces(c.rows, conv_kernel<T>().tile_rows); }
template <class T> int64_t tile_vectors(const Convolution<T>& c) {
  return conv_kernel<T>().vectors(pieces(c.rows, row_tiles(c)));
}

template <class T> class ConvWeights {
 public:
  explicit ConvWeights(const Convolution<T>& c)
      : c_(c),
        kernel_(conv_kernel<T>()),
        tiles_(row_tiles(c)),
        group_(c.rows * c.channels * c.num_taps()),
        numbers_(c.groups * group_) {
    for (const ConvTap& tap : c.taps) one_ = std::max(one_, tap.w + 1);
    bool in_order = c.num_classes() == 1 && c.w_channel == c.num_taps();
    for (int64_t i = 0; i < c.num_taps(); ++i) in_order = in_order && c.taps[i].w == i;
    for_tiles(c.groups * tiles_, c.worth_threads(), [&](int64_t tile) {
      if (in_order) copy_in_order(tile / tiles_, tile % tiles_);
      else copy_sorted(tile / tiles_, tile % tiles_);
    });
  }

  int64_t tiles() const { return tiles_; }
  int64_t first_row(int64_t tile) const { return c_.rows * tile / tiles_; }
  int64_t rows(int64_t tile) const { return first_row(tile + 1) - first_row(tile); }

  // Of a tile's rows: tap i of channel c is number (c · own.taps + i) · rows.
  const T* of(int64_t group, const ConvClass& own, int64_t tile) const { return place(group, own, tile); }

 private:
  const T* source(int64_t group, int64_t tile) const { return c_.w + group * c_.w_group + first_row(tile) * c_.w_row; }
  T* place(int64_t group, const ConvClass& own, int64_t tile) const {
    return numbers_.data() + group * group_ + (own.first_tap * c_.rows + first_row(tile) * own.taps) * c_.channels;
  }

  // A row's weights lie in this order already.
  void copy_in_order(int64_t group, int64_t tile) const {
    const ConvClass& all = c_.classes[0];
    kernel_.transposed(place(group, all, tile), rows(tile), source(group, tile), c_.w_row, rows(tile),
                       c_.channels * all.taps);
  }

  void copy_sorted(int64_t group, int64_t tile) const {
    const int64_t rows = this->rows(tile);
    Workspace<T> by_taps(one_ * rows);
    const T* from = source(group, tile);
    for (int64_t channel = 0; channel < c_.channels; ++channel, from += c_.w_channel) {
      kernel_.transposed(by_taps.data(), rows, from, c_.w_row, rows, one_);
      for (const ConvClass& own : c_.classes) {
        T* to = place(group, own, tile) + channel * own.taps * rows;
        for (int64_t i = 0; i < own.taps; ++i, to += rows)
          std::copy_n(by_taps.data() + c_.taps[own.first_tap + i].w * rows, rows, to);
      }
    }
  }

  const Convolution<T>& c_;
  const ConvKernel<T>& kernel_;
  int64_t tiles_, group_, one_ = 0;  // tiles of rows; numbers of one group, of one channel of a row
  Workspace<T> numbers_;
};

}  // namespace cr::backend::cpu
