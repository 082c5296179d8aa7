#include "data/digits.hpp"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <numeric>
#include <vector>

#include "backend/parallel.hpp"

namespace cr::data {
namespace {

struct Point {
  float x, y;
};
Point operator+(Point a, Point b) { return {a.x + b.x, a.y + b.y}; }
Point operator-(Point a, Point b) { return {a.x - b.x, a.y - b.y}; }
Point operator*(float s, Point a) { return {s * a.x, s * a.y}; }
bool operator==(Point a, Point b) { return a.x == b.x && a.y == b.y; }
float dot(Point a, Point b) { return a.x * b.x + a.y * b.y; }

// ## How people write
//
// A **glyph** is one way to write a digit: strokes through a few points, in a box with x to the right and y down, both
// from 0 to 1 (in the table, to 100). The pen goes through the points in a smooth curve and is lifted at each `/`; a
// stroke that starts where the last one ended makes a corner. The number in front says how common this way is among
// those for the same digit.
struct Glyph {
  float share;
  std::vector<std::vector<Point>> strokes;
};

// "0,50 100,50 / 20,0 20,100": two strokes.
std::vector<std::vector<Point>> strokes(const char* text) {
  std::vector<std::vector<Point>> result(1);
  while (*text) {
    char* end;
    if (*text == '/') {
      result.emplace_back();
      ++text;
    } else if (*text == ' ') {
      ++text;
    } else {
      const long x = std::strtol(text, &end, 10), y = std::strtol(end + 1, &end, 10);  // "x,y"
      result.back().push_back({static_cast<float>(x) / 100, static_cast<float>(y) / 100});
      text = end;
    }
  }
  return result;
}

const std::array<std::vector<Glyph>, 10>& glyphs() {
  static const std::array<std::vector<Glyph>, 10> table = {{
      // 0: an oval from the top, closed; and one whose ends cross.
      {{3, strokes("50,0 18,12 1,45 10,82 42,100 80,86 99,50 85,13 50,0")},
       {2, strokes("62,2 25,8 2,42 10,84 48,100 90,80 97,40 75,10 36,6")}},
      // 1: a line; a line with a flag; with flag and foot.
      {{4, strokes("50,0 50,50 50,100")},
       {3, strokes("26,28 42,15 56,0 / 56,0 55,50 55,100")},
       {1, strokes("26,27 41,14 54,0 / 54,0 53,50 53,100 / 24,100 50,99 80,100")}},
      // 2: with a corner; with a loop; with a wave for a foot.
      {{3, strokes("6,26 25,5 60,0 88,20 78,46 42,75 4,99 / 4,99 50,98 96,97")},
       {2, strokes("8,22 32,2 70,3 86,26 70,54 36,86 12,97 5,85 22,78 50,91 76,100 99,90")},
       {1, strokes("10,20 40,0 80,10 80,40 45,70 6,96 / 6,96 35,88 65,100 100,90")}},
      // 3: two bows; a flat top; two bows with a small loop between them.
      {{3, strokes("10,14 40,0 78,6 82,30 38,46 / 38,46 82,56 94,80 60,100 22,98 3,84")},
       {1, strokes("10,3 50,1 88,2 / 88,2 64,22 42,42 / 42,42 82,48 96,74 68,98 28,100 3,86")},
       {1, strokes("12,10 45,0 82,10 76,34 45,47 34,42 46,40 85,56 92,82 55,100 5,88")}},
      // 4: open, in two strokes; closed, in one turn; open with a round bowl.
      {{3, strokes("22,2 13,30 3,60 / 3,60 50,60 98,57 / 74,16 70,60 66,100")},
       {2, strokes("68,0 36,34 2,68 / 2,68 50,68 98,67 / 68,0 68,50 68,100")},
       {2, strokes("10,2 6,32 22,54 55,55 86,42 / 90,0 82,50 74,100")}},
      // 5: bar, corner and bowl in one go; round like an S; with the bar put on last.
      {{2, strokes("88,2 50,3 20,3 / 20,3 17,24 13,44 / 13,44 50,35 90,54 90,82 52,100 4,92")},
       {1, strokes("92,3 45,3 16,20 30,42 74,54 88,80 52,100 6,92")},
       {2, strokes("22,4 19,24 16,42 / 16,42 52,36 88,56 86,84 50,100 5,90 / 22,5 60,4 96,0")}},
      // 6: a round back; a straight one.
      {{3, strokes("78,2 40,14 10,48 6,80 34,100 76,95 92,72 68,53 32,57 8,76")},
       {2, strokes("62,0 34,30 10,66 20,94 55,100 88,84 80,60 46,54 14,72")}},
      // 7: plain; with a bar; with a serif; both.
      {{3, strokes("4,5 50,4 95,3 / 95,3 62,48 40,100")},
       {2, strokes("4,5 50,4 95,3 / 95,3 62,48 42,100 / 26,53 55,50 86,48")},
       {1, strokes("4,20 6,12 8,4 / 8,4 50,5 94,3 / 94,3 60,50 44,100")},
       {1, strokes("6,4 40,7 70,6 94,2 / 94,2 58,46 38,100 / 28,50 55,52 82,50")}},
      // 8: one stroke that crosses itself; two circles.
      {{3, strokes("84,14 50,0 16,14 24,38 62,55 92,78 58,100 18,95 8,76 38,54 76,36 84,14")},
       {2, strokes("50,46 20,36 20,10 50,0 80,10 80,36 50,46 / 50,46 12,58 8,86 50,100 92,86 88,58 50,46")}},
      // 9: with a straight stem; with a round tail; with a hook.
      {{3, strokes("86,14 52,0 14,12 10,38 42,50 76,38 86,14 / 86,14 84,58 74,100")},
       {2, strokes("84,18 50,0 12,14 14,42 50,50 80,34 88,12 / 88,12 92,50 78,88 40,100 12,92")},
       {1, strokes("80,8 42,2 12,20 22,44 56,42 82,10 / 82,10 74,55 50,100")}},
  }};
  return table;
}

// ## From strokes to a line
//
// The line that the pen follows in one image: short straight pieces, with gaps where the pen was lifted.
struct Line {
  struct Piece {
    Point from, to;
  };
  std::array<Piece, 256> pieces;
  size_t size = 0;

  void add(Point from, Point to) {
    if (size < pieces.size()) pieces[size++] = {from, to};
  }
};

// The smooth curve through the points: between $p_1$ and $p_2$ a **Catmull-Rom** cubic, which leaves each point in the
// direction from its neighbour before to its neighbour behind.
void add_curve(Line& line, std::span<const Point> p) {
  constexpr int kSteps = 6;
  Point last = p[0];
  for (size_t i = 0; i + 1 < p.size(); ++i) {
    Point p0 = i > 0 ? p[i - 1] : p[i], p1 = p[i], p2 = p[i + 1], p3 = i + 2 < p.size() ? p[i + 2] : p[i + 1];
    // A closed curve goes on at its start.
    if (p.front() == p.back()) p0 = i > 0 ? p0 : p[p.size() - 2], p3 = i + 2 < p.size() ? p3 : p[1];
    for (int step = 1; step <= kSteps; ++step) {
      float t = static_cast<float>(step) / kSteps;
      Point next =
          p1 + 0.5f * t * ((p2 - p0) + t * ((2 * p0 - 5 * p1 + 4 * p2 - p3) + t * (3 * p1 - p0 - 3 * p2 + p3)));
      line.add(last, next);
      last = next;
    }
  }
}

// A bump of noise: the sum of four uniforms is close enough to a normal here, and never far out.
float bump(Generator& g) {
  float sum = g.uniform() + g.uniform();
  sum += g.uniform();
  sum += g.uniform();
  return (sum - 2) * 1.7320508f;
}

// A hand's **wobble**: a smooth field that pushes every point of the plane a little, a sum of three waves of random
// direction and phase. Two strokes that touch stay together in it.
class Wobble {
 public:
  Wobble(Generator& g, float strength) {
    for (Wave& w : waves_) {
      w.wave_x = g.uniform(-1.1f, 1.1f), w.wave_y = g.uniform(-1.1f, 1.1f), w.phase = g.uniform();
      w.push = {strength * bump(g), strength * bump(g)};
    }
  }
  Point operator()(Point p) const {
    Point moved = p;
    for (const Wave& w : waves_) {
      float turns = w.wave_x * p.x + w.wave_y * p.y + w.phase + 8;  // positive
      float turn = turns - static_cast<float>(static_cast<int>(turns));
      moved = moved + backend::sin_cos_turn<float>(static_cast<uint32_t>(turn * 0x1p32f)).sin * w.push;
    }
    return moved;
  }

 private:
  struct Wave {
    float wave_x, wave_y, phase;
    Point push;
  };
  std::array<Wave, 3> waves_;
};

const Glyph& choose(const std::vector<Glyph>& ways, Generator& g) {
  float total = 0;
  for (const Glyph& way : ways) total += way.share;
  float at = g.uniform() * total;
  for (const Glyph& way : ways) {
    if (at < way.share) return way;
    at -= way.share;
  }
  return ways.back();
}

// ## From a line to ink
//
// A pixel is as dark as the pen covers it: fully when the line passes nearer than the pen's radius less half a pixel,
// not at all from half a pixel beyond it, in between in proportion. That is the anti-aliasing. Each piece looks only at
// the pixels in its reach.
void ink_piece(std::span<float> pixels, Line::Piece piece, float radius, float ink) {
  constexpr int kSize = kDigitSize;
  const float reach = radius + 0.5f;
  auto first = [&](float a) { return std::clamp(static_cast<int>(a - reach + 0.5f), 0, kSize); };
  auto last = [&](float a) { return std::clamp(static_cast<int>(a + reach + 0.5f), 0, kSize); };
  const Point along = piece.to - piece.from;
  const float scale = 1 / std::max(dot(along, along), 1e-12f);
  const int x_first = first(std::min(piece.from.x, piece.to.x)), x_last = last(std::max(piece.from.x, piece.to.x));
  const int y_first = first(std::min(piece.from.y, piece.to.y)), y_last = last(std::max(piece.from.y, piece.to.y));
  for (int y = y_first; y < y_last; ++y)
    for (int x = x_first; x < x_last; ++x) {
      Point to_pixel = Point{static_cast<float>(x) + 0.5f, static_cast<float>(y) + 0.5f} - piece.from;
      Point off = to_pixel - std::clamp(dot(to_pixel, along) * scale, 0.f, 1.f) * along;
      float cover = std::clamp(reach - backend::square_root(dot(off, off)), 0.f, 1.f);
      float& pixel = pixels[static_cast<size_t>(y * kSize + x)];
      pixel = std::max(pixel, ink * cover);
    }
}

// A stray stroke or, one time in two, a speck: thinner and fainter than the writing, anywhere.
void ink_distractor(std::span<float> pixels, Generator& g, float ink) {
  Point at{g.uniform(0, kDigitSize), g.uniform(0, kDigitSize)};
  bool speck = g.uniform() < 0.5f;
  float length = speck ? 0.5f : g.uniform(3, 7);
  backend::SinCos<float> way = backend::sin_cos_turn<float>(g.next());
  Point to = at + length * Point{way.cos, way.sin};
  const float radius = g.uniform(0.4f, 0.8f), faintness = g.uniform(0.4f, 0.9f);
  ink_piece(pixels, {at, to}, radius, ink * faintness);
}

// The ten labels of a group of ten images, in random order.
int64_t label_of(const Generator& generator, int64_t index) {
  Generator g = generator.split(0).split(static_cast<uint64_t>(index) / 10);
  std::array<int64_t, 10> labels;
  std::iota(labels.begin(), labels.end(), 0);
  g.shuffle(std::span<int64_t>(labels));
  return labels[static_cast<size_t>(index) % 10];
}

void check(const DigitOptions& o) {
  auto range = [](float lo, float hi, float limit) { return 0 < lo && lo <= hi && hi <= limit; };
  auto within = [](float x, float limit) { return 0 <= x && x <= limit; };
  if (!range(o.min_height, o.max_height, 100) || !range(o.min_aspect, o.max_aspect, 10) ||
      !range(o.min_pen, o.max_pen, 10) || !range(o.min_ink, 1, 1) || !within(o.slant, 2) || !within(o.rotation, 360) ||
      !within(o.wobble, 0.5f) || !within(o.shift, kDigitSize) || !within(o.distractors, 3))
    throw Error("digits: an option is out of range (sizes must be positive and least before greatest)");
}

}  // namespace

int64_t digit_label(const Generator& generator, int64_t index) { return label_of(generator, index); }

int64_t draw_digit(std::span<float> pixels, const Generator& generator, int64_t index, const DigitOptions& o) {
  check(o);
  const int64_t label = label_of(generator, index);
  Generator g = generator.split(1).split(static_cast<uint64_t>(index));
  const Glyph& glyph = choose(glyphs()[static_cast<size_t>(label)], g);

  // Write it: every point a little off, each stroke that follows a lifted pen a little more, all of it in the wobble.
  const Wobble wobble(g, o.wobble);
  Line line;
  Point end_in_table{-1, -1}, end{};
  for (const std::vector<Point>& stroke : glyph.strokes) {
    std::array<Point, 16> points;
    const bool joined = stroke[0] == end_in_table;
    Point lifted = joined ? Point{0, 0} : 0.5f * o.wobble * Point{bump(g), bump(g)};
    for (size_t i = 0; i < stroke.size(); ++i)
      points[i] = wobble(stroke[i] + lifted + 0.4f * o.wobble * Point{bump(g), bump(g)});
    if (joined) points[0] = end;
    if (stroke.front() == stroke.back()) points[stroke.size() - 1] = points[0];
    add_curve(line, std::span<const Point>(points.data(), stroke.size()));
    end_in_table = stroke.back(), end = points[stroke.size() - 1];
  }

  // Slant, stretch and turn it about the middle of its box.
  const float height = g.uniform(o.min_height, o.max_height), aspect = g.uniform(o.min_aspect, o.max_aspect);
  const float slant = 0.1f + o.slant * bump(g);
  const auto turn = static_cast<int64_t>(o.rotation / 360 * bump(g) * 0x1p32f);
  const backend::SinCos<float> angle = backend::sin_cos_turn<float>(static_cast<uint32_t>(turn));
  Point low{1e9f, 1e9f}, high{-1e9f, -1e9f};
  auto place = [&](Point& p) {
    float x = height * (aspect * (p.x - 0.5f) - slant * (p.y - 0.5f)), y = height * (p.y - 0.5f);
    p = {angle.cos * x - angle.sin * y, angle.sin * x + angle.cos * y};
    low = {std::min(low.x, p.x), std::min(low.y, p.y)}, high = {std::max(high.x, p.x), std::max(high.y, p.y)};
  };
  for (size_t i = 0; i < line.size; ++i) place(line.pieces[i].from), place(line.pieces[i].to);

  // Put its middle near the image's, but no ink over the edge; what is too large for the image is made smaller.
  const float radius = g.uniform(o.min_pen, o.max_pen) / 2 * height / 20;
  const float room = static_cast<float>(kDigitSize) / 2 - radius - 0.5f;
  const Point half = 0.5f * (high - low), middle = 0.5f * (low + high);
  const float shrink = std::min(1.f, room / std::max({half.x, half.y, 1e-6f}));
  auto offset = [&](float half_size) {
    float free = std::min(o.shift, room - shrink * half_size);
    return static_cast<float>(kDigitSize) / 2 + g.uniform(-free, free);
  };
  const float x = offset(half.x), y = offset(half.y);
  auto to_image = [&](Point p) { return Point{x, y} + shrink * (p - middle); };

  if (pixels.size() != static_cast<size_t>(kDigitSize * kDigitSize)) {
    throw ShapeError("draw_digit: " + std::to_string(pixels.size()) + " pixels for an image of 28 x 28");
  }

  // Ink it. The pressure of the pen swells and fades slowly along the line.
  std::fill(pixels.begin(), pixels.end(), 0.f);
  const float ink = g.uniform(o.min_ink, 1);
  const uint32_t phase = g.next(), pressure_step = static_cast<uint32_t>(g.uniform(0.005f, 0.03f) * 0x1p32f);
  for (size_t i = 0; i < line.size; ++i) {
    uint32_t turn_here = phase + pressure_step * static_cast<uint32_t>(i);
    float pressure = 1 + 0.15f * backend::sin_cos_turn<float>(turn_here).sin;
    ink_piece(pixels, {to_image(line.pieces[i].from), to_image(line.pieces[i].to)}, radius * pressure, ink);
  }

  // Up to three distractors, each there or not.
  for (int i = 0; i < 3; ++i)
    if (g.uniform() < o.distractors / 3) ink_distractor(pixels, g, ink);
  return label;
}

Dataset make_digits(int64_t n, const Generator& generator, int64_t first, const DigitOptions& options) {
  if (first < 0 || first > INT64_MAX - std::max<int64_t>(n, 0))
    throw IndexError("make_digits: there are no images from " + std::to_string(first) + " on");
  Dataset digits{empty({n, kDigitSize, kDigitSize}), empty({n}, DType::int64)};
  float* images = digits.inputs.mutable_data<float>();
  int64_t* labels = digits.targets.mutable_data<int64_t>();
  constexpr int64_t kTile = 64, kPixels = kDigitSize * kDigitSize;
  backend::parallel_for((n + kTile - 1) / kTile, [&](int64_t tile) {
    for (int64_t i = tile * kTile; i < std::min(n, (tile + 1) * kTile); ++i)
      labels[i] = draw_digit({images + i * kPixels, size_t{kPixels}}, generator, first + i, options);
  });
  return digits;
}

}  // namespace cr::data
