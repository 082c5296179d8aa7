// # Digits without a download
//
// Handwritten-looking digits, drawn from our own stroke tables: enough to learn on when there is no network and no
// data. An image depends on (seed, index) only, so image 7 is the same whether one asks for ten of them or a million.
//
// They are made about as hard as the real ones. Trained on 20 000 and tested on 4 000, with five seeds: a linear
// classifier reads 89.0-90.1 % (90.9 % with 60 000), a perceptron with 256 hidden units 97.4-97.9 %, a convolutional
// network of two small layers 98.9-99.3 % after four epochs (99.6 % with 60 000).
#pragma once

#include <cstdint>
#include <span>

#include "backend/generator.hpp"
#include "data/dataset.hpp"

namespace cr::data {

constexpr int64_t kDigitSize = 28;

// How the writers differ. Lengths are in pixels; ranges are uniform, "spread" is a standard deviation.
struct DigitOptions {
  float min_height = 15.5f, max_height = 21;    // of the digit, in an image of 28
  float min_aspect = 0.55f, max_aspect = 0.9f;  // width of the writing over its height
  float min_pen = 1.5f, max_pen = 3.2f;         // width of the stroke, for a digit 20 high
  float min_ink = 0.7f;                         // the faintest pen; the darkest is 1
  float slant = 0.18f;                          // spread of the shear to the right, around 0.1
  float rotation = 6;                           // spread, in degrees
  float wobble = 0.04f;                         // how far strokes stray from the table, as a fraction of the height
  float shift = 2.3f;                           // at most so far off the centre, in each direction
  float distractors = 0.7f;                     // stray strokes and specks an image holds, on average (up to 3)
};

// Images `first` to `first + n - 1` of the seed's endless sequence. Of any ten images from a multiple of ten on, each
// digit is one. `inputs` is (n, 28, 28) float32, 0 for paper and 1 for ink; `targets` is (n,) int64. Test images are
// those with other indices or of another seed:
//
//     Dataset train = make_digits(10000, Generator(1)), test = make_digits(2000, Generator(1), 10000);
//
// Throws ShapeError for a negative n, IndexError for a negative first, Error for options out of range.
Dataset make_digits(int64_t n, const Generator& generator, int64_t first = 0, const DigitOptions& options = {});

// The label of image `index`, without drawing it.
int64_t digit_label(const Generator& generator, int64_t index);

// Draw image `index` over `pixels`, 784 of them in rows, and return its label.
int64_t draw_digit(std::span<float> pixels, const Generator& generator, int64_t index,
                   const DigitOptions& options = {});

}  // namespace cr::data
