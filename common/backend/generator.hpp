// # Generator
//
// A seed and a place in its stream of random words (`backend/philox.hpp`). It is a value: a copy goes on from the same
// place and gives the same numbers, and saving one is saving three integers. Not to be shared between threads; give
// each thread, sample or purpose a `split` of its own instead.
//
//     Generator g(42);
//     float  u = g.uniform();            // [0, 1), one word
//     Generator shuffling = g.split(1);  // independent of g, and of where g stands
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "backend/philox.hpp"

namespace cr {

using backend::RandomState;

class Generator {
 public:
  explicit Generator(uint64_t seed = 0) : state_{seed, 0, 0} {}

  // The next 32 or 64 random bits. 64 bits are two words.
  uint32_t next();
  uint64_t next64();

  // Uniform in $[0, 1)$, with 24 (float, one word) or 53 (double, two words) random bits.
  float uniform() { return backend::to_uniform(next()); }
  float uniform(float lo, float hi) { return lo + (hi - lo) * uniform(); }
  double uniform_double() { return backend::to_uniform(next64()); }

  // From the standard normal distribution by Box and Muller (two and four words; the second of the pair is dropped, so
  // that a generator has nothing to remember but its place).
  float normal();
  double normal_double();

  // A whole number in $[lo, hi)$, every one equally likely. Throws `Error` when the interval is empty.
  int64_t randint(int64_t lo, int64_t hi);

  // Shuffle in place (Fisher and Yates): every order equally likely.
  template <typename T> void shuffle(std::span<T> items) {
    for (size_t i = items.size(); i > 1; --i)
      std::swap(items[i - 1], items[static_cast<size_t>(randint(0, static_cast<int64_t>(i)))]);
  }

  // An independent generator: a function of this one's seed and stream and of `id`, not of its place. Splits may be
  // split again; two different paths give different streams.
  Generator split(uint64_t id) const;

  // Pass over `words` words without making them.
  void skip(uint64_t words);

  // Set aside `words` words, beginning with a fresh block, and return the state that stands before them: what the bulk
  // functions below are given. The generator goes on behind them.
  RandomState reserve(uint64_t words);

  const RandomState& state() const { return state_; }
  void set_state(const RandomState& state) { *this = Generator(state); }

 private:
  explicit Generator(const RandomState& state) : state_(state) {}

  RandomState state_;
  // The block that was made last, since four words come at a time.
  uint64_t block_index_ = ~uint64_t{0};
  backend::PhiloxBlock block_{};
};

// ## The same numbers once more
//
// A computation that is done twice (`func/checkpoint.hpp`) must draw the same random numbers twice. While a tape
// records, it writes down where each draw of this thread began, from whatever generator; while it plays, draws get
// those numbers again, one after another, and the generators themselves stay where they are.
struct RandomDraw {
  RandomState from;
  uint64_t words;
};
using RandomTape = std::vector<RandomDraw>;

// Recording or playing lasts as long as the scope. Scopes nest: what is drawn in an inner one is noted by those around
// it, up to one that plays. A tape must outlive its scope. Playing on past the end of the tape throws Error.
class RandomTapeScope {
 public:
  enum Mode { record, play };
  RandomTapeScope(RandomTape& tape, Mode mode);
  ~RandomTapeScope();
  RandomTapeScope(const RandomTapeScope&) = delete;
  RandomTapeScope& operator=(const RandomTapeScope&) = delete;

  // For `Generator`: where a draw of `words` words shall begin, and whether the generator moves on.
  static bool plays();
  static RandomState draw(const RandomState& from, uint64_t words);

 private:
  RandomTape& tape_;
  Mode mode_;
  size_t next_ = 0;
  RandomTapeScope* around_;
};

}  // namespace cr

namespace cr::backend {

// ## In bulk
//
// Write numbers `begin` to `end` (exclusive) of the sequence that starts at `from`, to `out[begin]` and so on. Number
// $i$ depends on `from` and $i$ only, so any cutting into pieces, on any number of threads, gives the same numbers.
// `from` is what `Generator::reserve` returned for the whole sequence, and `words_for_...` counts its words.
//
//     RandomState from = generator.reserve(words_for_uniform<float>(n));
//     for each piece: fill_uniform(out, begin, end, from);
template <typename T> constexpr uint64_t words_for_uniform(int64_t n) {
  return static_cast<uint64_t>(n) * (sizeof(T) / 4);
}
// Normals come in pairs: an odd count takes the words of one more.
template <typename T> constexpr uint64_t words_for_normal(int64_t n) {
  return (static_cast<uint64_t>(n) + 1) / 2 * 2 * (sizeof(T) / 4);
}
constexpr uint64_t words_for_randint(int64_t n) { return static_cast<uint64_t>(n) * 2; }

void fill_uniform(float* out, int64_t begin, int64_t end, const RandomState& from);
void fill_uniform(double* out, int64_t begin, int64_t end, const RandomState& from);
void fill_normal(float* out, int64_t begin, int64_t end, const RandomState& from);
void fill_normal(double* out, int64_t begin, int64_t end, const RandomState& from);
void fill_randint(int64_t* out, int64_t begin, int64_t end, int64_t lo, int64_t hi, const RandomState& from);

}  // namespace cr::backend
