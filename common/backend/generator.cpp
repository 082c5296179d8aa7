#include "backend/generator.hpp"

#include <algorithm>
#include <string>

#include "tensor/error.hpp"

namespace cr {
namespace {

// Bits of the stream number that keep three uses of one stream apart: the sequence itself (none set), the splits, and
// the repeated draws of `randint`.
constexpr uint64_t kSplit = uint64_t{1} << 63;
constexpr int kAttemptShift = 48;

// How many whole numbers lie in $[lo, hi)$.
uint64_t interval_size(int64_t lo, int64_t hi) {
  if (lo >= hi) throw Error("randint: [" + std::to_string(lo) + ", " + std::to_string(hi) + ") is empty");
  return static_cast<uint64_t>(hi) - static_cast<uint64_t>(lo);
}

// Of the $2^{64}$ possible words, the lowest $2^{64} \bmod size$ would make some remainders likelier than others:
// refuse them. The chance of a refusal is below $size / 2^{64}$.
uint64_t refused_below(uint64_t size) { return (0 - size) % size; }

int64_t offset_from(int64_t lo, uint64_t offset) { return static_cast<int64_t>(static_cast<uint64_t>(lo) + offset); }

thread_local RandomTapeScope* tape = nullptr;

}  // namespace

RandomTapeScope::RandomTapeScope(RandomTape& t, Mode mode) : tape_(t), mode_(mode), around_(tape) { tape = this; }
RandomTapeScope::~RandomTapeScope() { tape = around_; }

bool RandomTapeScope::plays() {
  for (RandomTapeScope* s = tape; s; s = s->around_) {
    if (s->mode_ == play) return true;
  }
  return false;
}

RandomState RandomTapeScope::draw(const RandomState& from, uint64_t words) {
  RandomTapeScope* player = tape;
  while (player && player->mode_ == record) player = player->around_;
  RandomState begin = from;
  if (player) {
    if (player->next_ == player->tape_.size() || player->tape_[player->next_].words != words) {
      throw Error("random numbers: the second time, other numbers are drawn than the first");
    }
    begin = player->tape_[player->next_++].from;
  }
  for (RandomTapeScope* s = tape; s != player; s = s->around_) s->tape_.push_back({begin, words});
  return begin;
}

uint32_t Generator::next() {
  if (tape) [[unlikely]] {
    RandomState at = RandomTapeScope::draw(state_, 1);
    if (!RandomTapeScope::plays()) ++state_.position;
    return backend::random_block(at.seed, at.stream, at.position / 4).word[at.position % 4];
  }
  uint64_t index = state_.position / 4;
  if (index != block_index_) {
    block_ = backend::random_block(state_.seed, state_.stream, index);
    block_index_ = index;
  }
  return block_.word[state_.position++ % 4];
}

uint64_t Generator::next64() {
  uint32_t low = next();
  return backend::join_words(low, next());
}

float Generator::normal() {
  uint32_t u = next();
  return backend::to_normal(u, next()).first;
}

double Generator::normal_double() {
  uint64_t u = next64();
  return backend::to_normal(u, next64()).first;
}

int64_t Generator::randint(int64_t lo, int64_t hi) {
  uint64_t size = interval_size(lo, hi), threshold = refused_below(size);
  uint64_t bits = next64();
  while (bits < threshold) bits = next64();
  return offset_from(lo, bits % size);
}

void Generator::skip(uint64_t words) {
  if (!RandomTapeScope::plays()) state_.position += words;
}

Generator Generator::split(uint64_t id) const {
  backend::PhiloxBlock b = backend::random_block(state_.seed, state_.stream ^ kSplit, id);
  return Generator(
      RandomState{backend::join_words(b.word[0], b.word[1]), backend::join_words(b.word[2], b.word[3]), 0});
}

RandomState Generator::reserve(uint64_t words) {
  RandomState from = state_;
  from.position = (from.position + 3) / 4 * 4;
  if (tape) [[unlikely]] {
    RandomState at = RandomTapeScope::draw(from, words);
    if (RandomTapeScope::plays()) return at;
  }
  state_.position = from.position + words;
  return from;
}

}  // namespace cr

namespace cr::backend {
namespace {

// Walk the blocks that hold numbers begin to end, `PerBlock` numbers in each. `convert` turns a block into that many
// numbers; whole blocks go straight to their place, the ragged ends through a small array.
template <int PerBlock, typename T, typename Convert>
void fill_blocks(T* out, int64_t begin, int64_t end, const RandomState& from, Convert convert) {
  const uint64_t first_block = from.position / 4;
  for (int64_t i = begin; i < end;) {
    int64_t block = i / PerBlock, block_begin = block * PerBlock;
    PhiloxBlock bits = random_block(from.seed, from.stream, first_block + static_cast<uint64_t>(block));
    if (i == block_begin && i + PerBlock <= end) {
      convert(bits, out + i);
      i += PerBlock;
    } else {
      T numbers[PerBlock];
      convert(bits, numbers);
      for (; i < std::min(end, block_begin + PerBlock); ++i) out[i] = numbers[i - block_begin];
    }
  }
}

}  // namespace

void fill_uniform(float* out, int64_t begin, int64_t end, const RandomState& from) {
  fill_blocks<4>(out, begin, end, from, [](const PhiloxBlock& b, float* x) {
    for (int k = 0; k < 4; ++k) x[k] = to_uniform(b.word[k]);
  });
}

void fill_uniform(double* out, int64_t begin, int64_t end, const RandomState& from) {
  fill_blocks<2>(out, begin, end, from, [](const PhiloxBlock& b, double* x) {
    for (int k = 0; k < 2; ++k) x[k] = to_uniform(join_words(b.word[2 * k], b.word[2 * k + 1]));
  });
}

void fill_normal(float* out, int64_t begin, int64_t end, const RandomState& from) {
  fill_blocks<4>(out, begin, end, from, [](const PhiloxBlock& b, float* x) {
    NormalPair<float> p = to_normal(b.word[0], b.word[1]), q = to_normal(b.word[2], b.word[3]);
    x[0] = p.first, x[1] = p.second, x[2] = q.first, x[3] = q.second;
  });
}

void fill_normal(double* out, int64_t begin, int64_t end, const RandomState& from) {
  fill_blocks<2>(out, begin, end, from, [](const PhiloxBlock& b, double* x) {
    NormalPair<double> p = to_normal(join_words(b.word[0], b.word[1]), join_words(b.word[2], b.word[3]));
    x[0] = p.first, x[1] = p.second;
  });
}

// A refused word is drawn again from the same place of another stream, so that the numbers behind it stay where they
// are.
void fill_randint(int64_t* out, int64_t begin, int64_t end, int64_t lo, int64_t hi, const RandomState& from) {
  const uint64_t size = interval_size(lo, hi), threshold = refused_below(size), first_block = from.position / 4;
  for (int64_t i = begin; i < end; ++i) {
    uint64_t bits = 0;
    for (uint64_t attempt = 0; attempt == 0 || bits < threshold; ++attempt) {
      uint64_t stream = from.stream ^ attempt << kAttemptShift;
      PhiloxBlock b = random_block(from.seed, stream, first_block + static_cast<uint64_t>(i) / 2);
      bits = i % 2 ? join_words(b.word[2], b.word[3]) : join_words(b.word[0], b.word[1]);
    }
    out[i] = offset_from(lo, bits % size);
  }
}

}  // namespace cr::backend
