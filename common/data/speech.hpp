// # Spoken digits
//
// The Free Spoken Digit Dataset (Jackson, 2018): six people say each digit fifty times, 8000 samples a second.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "data/dataset.hpp"

namespace cr::data {

struct SpokenDigits {
  std::vector<Tensor> waves;               // each (frames,) float32 in [-1, 1], as long as it is
  std::vector<int64_t> digits;             // what is said, from 0 to 9
  std::vector<int64_t> speakers;           // by whom: places in `speaker_names`
  std::vector<int64_t> takes;              // the how-manieth time, from 0
  std::vector<std::string> speaker_names;  // sorted

  // As tensors: waves (n, frames), cut off there or continued with silence, and digits (n,). Throws Error if frames < 1.
  Dataset cut(int64_t frames) const;
};

constexpr int64_t kSpokenDigitRate = 8000;

// Takes 0 to 4 of each digit are the test set, as the authors propose; the order is by digit, speaker and take. Reads
// recordings/DIGIT_SPEAKER_TAKE.wav in `folder`/fsdd, or `folder`, or where CHAINRULE_DATA says. Throws IoError, one
// line, when there are none, for another name there, and for a recording that is damaged, has another rate than 8000,
// more than one channel, no sample, or more than ten seconds.
struct SpokenDigitsSplit {
  SpokenDigits train, test;
};
SpokenDigitsSplit spoken_digits(const std::string& folder = "");

}  // namespace cr::data
