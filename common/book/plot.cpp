// # From a figure to an SVG
//
// The look is laid down here, once for all figures: two thin axes, numbers in grey, the first series blue and the
// second rust, and each label beside its series, so that no legend needs decoding. Places are computed in pixels, y
// downwards; gnuplot gets every range, tick and label from us and chooses nothing itself.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>

#include "book/figure_data.hpp"
#include "book/process.hpp"
#include "book/text.hpp"
#include "io/atomic_file.hpp"

namespace cr::book {

// Middle tones: each can be read on white paper and on a dark screen.
static constexpr const char* kColours[] = {"#2476a8", "#ba4a1f", "#4b8b3b", "#8a5aa8",
                                           "#b98a1d", "#2a918c", "#b84a7c", "#7a7a82"};
static const char* colour(size_t series) { return kColours[series % std::size(kColours)]; }

// Grey for axes, numbers and words. In the finished file it becomes `currentColor`, so that a page can choose its own.
static constexpr const char* kInk = "#74747c";
static constexpr double kFont = 13;

static double text_width(const std::string& text) { return 0.6 * kFont * display_width(text); }

// Text of the user's, safe in gnuplot's single quotes: those know no escapes but the doubled quote.
static std::string quote(const std::string& text) {
  std::string out = "'";
  for (char c : text) {
    if (c == '\'') out += "''";
    else out += static_cast<unsigned char>(c) < 32 ? ' ' : c;
  }
  return out + "'";
}

// A range of one axis, and where a value lies in it as a fraction.
struct Axis {
  double low = 0, high = 1;
  bool log = false;
  double map(double v) const { return log ? std::log(v / low) / std::log(high / low) : (v - low) / (high - low); }
  bool has(double v) const { return std::isfinite(v) && (!log || v > 0); }
};

struct Tick {
  double at;
  std::string label;
};

static std::string minus(std::string number) {
  return !number.empty() && number[0] == '-' ? "−" + number.substr(1) : number;
}

// A few points want to be seen, many would hide one another.
static double point_size(size_t points) { return points > 400 ? 0.22 : points > 40 ? 0.38 : 0.6; }

// 10⁻⁵ where 0.00001 would be counted zero by zero.
static std::string power_of_ten(int exponent) {
  if (exponent >= -3 && exponent <= 4) return fmt::format("{:g}", std::pow(10, exponent));
  static const char* const kDigits[] = {"⁰", "¹", "²", "³", "⁴", "⁵", "⁶", "⁷", "⁸", "⁹"};
  std::string text = exponent < 0 ? "10⁻" : "10";
  for (char c : std::to_string(std::abs(exponent))) text += kDigits[c - '0'];
  return text;
}

// Ticks at 1, 2 or 5 times a power of ten, about `count` of them.
static std::vector<Tick> ticks(const Axis& axis, double count) {
  std::vector<Tick> result;
  if (axis.log) {
    int first = static_cast<int>(std::ceil(std::log10(axis.low) - 1e-9)),
        last = static_cast<int>(std::floor(std::log10(axis.high) + 1e-9));
    int step = std::max(1, static_cast<int>(std::ceil((last - first + 1) / count)));
    if (last > first) {
      for (int e = first; e <= last; e += step) result.push_back({std::pow(10, e), power_of_ten(e)});
      return result;
    }
    for (int e = first - 1; e <= last; ++e) {
      for (int m : {1, 2, 5}) {
        double at = m * std::pow(10, e);
        if (at >= axis.low * (1 - 1e-9) && at <= axis.high * (1 + 1e-9))
          result.push_back({at, fmt::format("{:g}", at)});
      }
    }
    return result;
  }
  double raw = (axis.high - axis.low) / std::max(1.0, count);
  double power = std::pow(10, std::floor(std::log10(raw)));
  double step = raw / power < 1.5 ? power : raw / power < 3.5 ? 2 * power : raw / power < 7.5 ? 5 * power : 10 * power;
  int decimals = std::clamp(static_cast<int>(-std::floor(std::log10(step) + 1e-9)), 0, 12);
  double largest = std::max(std::abs(axis.low), std::abs(axis.high));
  for (double i = std::ceil(axis.low / step - 1e-9); i <= axis.high / step + 1e-9; ++i) {
    double at = i * step;
    if (i == 0) result.push_back({0, "0"});
    else if (largest >= 1e6 || largest < 1e-4) result.push_back({at, minus(fmt::format("{:.4g}", at))});
    else result.push_back({at, minus(fmt::format("{:.{}f}", at, decimals))});
  }
  return result;
}

// The range that holds all values, with a little air; limits that were asked for win.
static Axis fit(const std::vector<double>& values, bool log, double air,
                const std::optional<std::pair<double, double>>& limits) {
  Axis axis{0, 1, log};
  if (limits && limits->first < limits->second && (!log || limits->first > 0))
    return {limits->first, limits->second, log};
  double low = std::numeric_limits<double>::infinity(), high = -low;
  for (double v : values) {
    if (axis.has(v)) low = std::min(low, v), high = std::max(high, v);
  }
  if (low > high) return log ? Axis{1, 10, true} : axis;
  if (log) {
    if (high / low < 2) low /= 1.5, high *= 1.5;
    double factor = std::pow(high / low, air);
    return {low / factor, high * factor, true};
  }
  if (high - low <= 1e-12 * std::max(std::abs(low), std::abs(high)) || high == low) {
    double around = low == 0 ? 1 : 0.5 * std::abs(low);
    return {low - around, high + around, false};
  }
  double margin = air * (high - low);
  // Counts, errors and probabilities stand on zero rather than a little above it.
  axis.low = low >= 0 && low < margin ? std::min(0.0, low) : low - margin;
  axis.high = high <= 0 && -high < margin ? 0 : high + margin;
  return axis;
}

struct Rect {
  double left, top, right, bottom;
  double width() const { return right - left; }
  double height() const { return bottom - top; }
};

// A label that wants to stand at height y in the right margin.
struct SideLabel {
  double y;
  std::string text, colour;
};

// Labels that would overlap push each other apart, as little as possible: neighbours that touch form a block centred on
// where its members wanted to be.
static void spread(std::vector<SideLabel>& labels, double top, double bottom) {
  constexpr double kGap = 17;
  std::stable_sort(labels.begin(), labels.end(), [](const SideLabel& a, const SideLabel& b) { return a.y < b.y; });
  struct Block {
    double wanted_sum, start;  // the sum of where each member would like the block to start
    int count;
  };
  std::vector<Block> blocks;
  for (const SideLabel& label : labels) {
    double y = std::clamp(label.y, top, bottom);
    Block block{y, y, 1};
    while (!blocks.empty() && blocks.back().start + kGap * blocks.back().count > block.start) {
      Block above = blocks.back();
      blocks.pop_back();
      block.wanted_sum += above.wanted_sum - kGap * above.count * block.count;
      block.count += above.count;
      block.start = std::clamp(block.wanted_sum / block.count, top, std::max(top, bottom - kGap * (block.count - 1)));
    }
    blocks.push_back(block);
  }
  size_t i = 0;
  for (const Block& block : blocks) {
    for (int k = 0; k < block.count; ++k) labels[i++].y = block.start + kGap * k;
  }
}

// Writes one figure's script.
class Script {
 public:
  explicit Script(const FigureData& figure) : figure_(figure) {}

  std::string write() {
    height_ = figure_.height ? figure_.height : natural_height();
    width_ = figure_.width;
    body_ += "set multiplot\nunset key\nunset colorbox\nset datafile missing 'NaN'\n";
    double each = width_ / static_cast<double>(figure_.panels.size());
    for (size_t i = 0; i < figure_.panels.size(); ++i) {
      Rect space{each * static_cast<double>(i) + (i ? 12 : 0), 0, each * static_cast<double>(i + 1), height_};
      panel(figure_.panels[i], space);
    }
    return fmt::format(
               "set encoding utf8\nset terminal svg noenhanced size {:.0f},{:.0f} dynamic rounded font 'serif,{:g}'\n",
               width_, height_, kFont) +
           data_ + body_ + "unset multiplot\n";
  }

 private:
  double natural_height() const {
    double height = 0, each = figure_.width / static_cast<double>(figure_.panels.size());
    for (const Panel& p : figure_.panels) {
      double title = p.title.empty() ? 0 : 24;
      if (!p.images.empty()) {
        auto rows = (static_cast<int64_t>(p.images.size()) + p.image_columns - 1) / p.image_columns;
        double cell =
            each / p.image_columns * static_cast<double>(p.images[0].rows) / static_cast<double>(p.images[0].columns);
        height = std::max(
            height, std::min(900.0, title + (cell + (p.image_labels.empty() ? 4 : 20)) * static_cast<double>(rows)));
      } else {
        height = std::max(height, std::clamp(each * 0.8, 200.0, 360.0));
      }
    }
    return std::round(height);
  }

  // Places on the whole canvas, as gnuplot wants them.
  std::string screen(double x, double y) const {
    return fmt::format("screen {:.5f},{:.5f}", x / width_, 1 - y / height_);
  }

  void label(double x, double y, const std::string& text, const char* align, const std::string& colour_code,
             const char* style = "") {
    if (text.empty()) return;
    body_ += fmt::format("set label {} at {} {} front font 'serif{},{:g}' tc rgb '{}'\n", quote(text), screen(x, y),
                         align, style, kFont, colour_code);
  }

  void rectangle(const Rect& r) {
    body_ += fmt::format(
        "set lmargin at screen {:.5f}\nset rmargin at screen {:.5f}\nset tmargin at screen {:.5f}\nset bmargin at "
        "screen {:.5f}\n",
        r.left / width_, r.right / width_, 1 - r.top / height_, 1 - r.bottom / height_);
  }

  void clear() {
    body_ += "unset label\nunset arrow\nunset object\nunset logscale\nset border 0\nunset xtics\nunset ytics\n";
  }

  void range(char axis, const Axis& a) {
    if (a.log) body_ += fmt::format("set logscale {}\n", axis);
    body_ += fmt::format("set {}range [{:.10g}:{:.10g}]\n", axis, a.low, a.high);
  }

  void tick_marks(char axis, const std::vector<Tick>& marks, const char* more = "scale 0.4") {
    std::string list;
    for (const Tick& t : marks) list += fmt::format("{}{} {:.10g}", list.empty() ? "" : ", ", quote(t.label), t.at);
    body_ +=
        fmt::format("set {}tics nomirror out {} ({}) {} font 'serif,{:g}' tc rgb '{}'\n", axis, more, list,
                    axis == 'x' ? (std::string_view(more).ends_with("right") ? "" : "offset 0,0.35") : "offset 0.4,0",
                    kFont - 1, kInk);
  }

  std::string new_data(const std::string& rows) {
    std::string name = fmt::format("$D{}", ++blocks_);
    data_ += name + " << END\n" + rows + "END\n";
    return name;
  }

  void panel(const Panel& p, const Rect& space) {
    clear();
    if (!p.images.empty()) return images(p, space);
    if (p.heat && !p.extent) return matrix(p, space);
    plane(p, space);
  }

  // ## Lines, points and bars in a plane
  void plane(const Panel& p, const Rect& space) {
    // Ranges first: they decide the ticks, the ticks the left margin, and that the rest.
    std::vector<double> xs, ys;
    for (const Series& s : p.series) {
      for (size_t i = 0; i < s.x.size(); ++i) {
        // A value outside the limits asked for on one axis does not stretch the other.
        bool inside = !p.x_limits || (s.x[i] >= p.x_limits->first && s.x[i] <= p.x_limits->second);
        if (std::isfinite(s.x[i]) && std::isfinite(s.y[i])) xs.push_back(s.x[i]);
        if (inside && std::isfinite(s.x[i]) && std::isfinite(s.y[i])) ys.push_back(s.y[i]);
      }
    }
    for (const Mark& m : p.horizontal) ys.push_back(m.y);
    for (const Mark& m : p.vertical) xs.push_back(m.x);
    for (const Series& bars : p.bars) ys.insert(ys.end(), bars.y.begin(), bars.y.end());
    bool points =
        std::any_of(p.series.begin(), p.series.end(), [](const Series& s) { return s.style == Series::Style::points; });
    Axis x = fit(xs, p.log_x, points ? 0.03 : 0, p.x_limits), y;
    if (p.extent) {
      if (!p.x_limits)
        x = {std::min(p.extent->left, p.extent->right), std::max(p.extent->left, p.extent->right), false};
      y = {std::min(p.extent->bottom, p.extent->top), std::max(p.extent->bottom, p.extent->top), false};
      if (p.y_limits) y = fit({}, false, 0, p.y_limits);
    } else {
      if (!p.bars.empty()) ys.push_back(0);
      y = fit(ys, p.log_y, p.bars.empty() ? 0.05 : 0.09, p.y_limits);
    }
    if (!p.bars.empty()) x = {-0.65, static_cast<double>(p.bar_labels.size()) - 0.35, false};

    Rect r = space;
    r.top += 12 + (p.title.empty() ? 0 : 24) + (p.y_label.empty() ? 0 : 22);
    r.bottom -= 26 + (p.x_label.empty() ? 0 : 20);
    std::vector<Tick> y_ticks = ticks(y, std::max(2.0, r.height() / 55));
    bool values_on_bars = !p.bars.empty() && p.bars.size() * p.bar_labels.size() <= 16;
    double widest = 0;
    for (const Tick& t : y_ticks) widest = std::max(widest, text_width(t.label));
    r.left += values_on_bars ? 8 : widest + 16;

    double labels_width = 0;
    for (const Series& s : p.series) labels_width = std::max(labels_width, text_width(s.label));
    for (const Series& s : p.bars) labels_width = std::max(labels_width, text_width(s.label));
    r.right -= labels_width > 0 ? std::min(labels_width + 14, 0.45 * space.width()) : 14;
    if (p.extent && p.heat) r.right -= labels_width > 0 ? 0 : 46;

    // Bars' labels lie down where they do not fit side by side.
    bool slanted = false;
    if (!p.bars.empty()) {
      double slot = r.width() / static_cast<double>(p.bar_labels.size()), longest = 0;
      for (const std::string& l : p.bar_labels) longest = std::max(longest, text_width(l));
      slanted = longest > slot - 4;
      if (slanted) {
        r.bottom -= std::min(0.57 * longest, 0.35 * space.height());
        r.left =
            std::max(r.left, space.left + std::min(0.82 * text_width(p.bar_labels[0]), 0.3 * space.width()) - slot / 2);
      }
    }
    rectangle(r);
    range('x', x);
    range('y', y);
    body_ += fmt::format("set border {} lw 0.8 lc rgb '{}'\n", values_on_bars ? 0 : 3, kInk);
    if (p.bars.empty()) {
      tick_marks('x', ticks(x, std::max(2.0, r.width() / 85)));
    } else {
      std::vector<Tick> names;
      for (size_t i = 0; i < p.bar_labels.size(); ++i) names.push_back({static_cast<double>(i), p.bar_labels[i]});
      tick_marks('x', names, slanted ? "scale 0 rotate by 35 right" : "scale 0");
    }
    if (!values_on_bars) tick_marks('y', y_ticks);
    label(space.left + 8, space.top + 16, p.title, "left", kInk, ":Bold");
    label(values_on_bars ? r.left : std::max(space.left + 4, r.left - widest - 8), r.top - 14, p.y_label, "left", kInk,
          ":Italic");
    label(r.right, slanted ? space.bottom - 8 : r.bottom + 36, p.x_label, "right", kInk, ":Italic");

    auto px = [&](double v) { return r.left + std::clamp(x.map(v), 0.0, 1.0) * r.width(); };
    auto py = [&](double v) { return r.bottom - std::clamp(y.map(v), 0.0, 1.0) * r.height(); };
    if (!y.log && y.low < 0 && y.high > 0) straight(r.left, py(0), r.right, py(0), 0.6, "", "back");
    for (const Mark& m : p.horizontal) {
      straight(r.left, py(m.y), r.right, py(m.y), 1, " dt (5,4)", "back");
      label(r.right - 4, py(m.y) - 9, m.text, "right", kInk, ":Italic");
    }
    for (const Mark& m : p.vertical) {
      straight(px(m.x), r.bottom, px(m.x), r.top, 1, " dt (5,4)", "back");
      bool near_right = px(m.x) + 6 + text_width(m.text) > r.right;
      label(px(m.x) + (near_right ? -6 : 6), r.top + 8, m.text, near_right ? "right" : "left", kInk, ":Italic");
    }
    for (const Mark& m : p.notes) {
      if (x.has(m.x) && y.has(m.y)) label(px(m.x), py(m.y), m.text, "left", kInk);
    }

    // The series, back to front, and where their labels want to stand: at a line's end, in a cloud's middle.
    std::string plots;
    auto plot = [&](const std::string& what) { plots += (plots.empty() ? "plot " : ", \\\n     ") + what; };
    if (p.heat) plot(image(*p.heat, *p.extent));
    std::vector<SideLabel> side;
    size_t index = 0;
    for (const Series& s : p.series) {
      std::string code = colour(index++);
      std::string rows = series_rows(s, x, y);
      double wanted = r.top;
      if (s.style == Series::Style::line || s.style == Series::Style::dashed) {
        for (size_t i = s.x.size(); i-- > 0;) {
          if (!x.has(s.x[i]) || !y.has(s.y[i]) || x.map(s.x[i]) > 1 + 1e-9) continue;
          wanted = py(s.y[i]);
          break;
        }
      } else {
        double sum = 0, count = 0;
        for (size_t i = 0; i < s.x.size(); ++i) {
          if (x.has(s.x[i]) && y.has(s.y[i])) sum += py(s.y[i]), ++count;
        }
        if (count > 0) wanted = sum / count;
      }
      if (!s.label.empty()) side.push_back({wanted, s.label, code});
      if (rows.empty()) continue;
      std::string name = new_data(rows);
      if (s.style == Series::Style::points)
        plot(fmt::format("{} using 1:2 with points pt 7 ps {} lc rgb '{}'", name, point_size(s.x.size()), code));
      else
        plot(fmt::format("{} using 1:2 with lines lw {} lc rgb '{}'{}", name,
                         s.style == Series::Style::segments ? 1.2 : 1.8, code,
                         s.style == Series::Style::dashed ? " dt (7,5)" : ""));
    }
    bars(p, r, x, y, values_on_bars, side, plot);
    spread(side, r.top + 4, r.bottom - 4);
    for (const SideLabel& s : side) label(r.right + 8, s.y, s.text, "left", s.colour);
    body_ += (plots.empty() ? "plot NaN" : plots) + "\n";
    if (p.heat && labels_width == 0) colour_bar(*p.heat, {r.right + 12, r.top, r.right + 20, r.bottom});
  }

  void straight(double x0, double y0, double x1, double y1, double lw, const char* dashes, const char* layer) {
    body_ += fmt::format("set arrow from {} to {} nohead {} lw {} lc rgb '{}'{}\n", screen(x0, y0), screen(x1, y1),
                         layer, lw, kInk, dashes);
  }

  // Rows "x y"; a blank line where the pen is lifted. A line of very many points is thinned to the lowest and the
  // highest of each pixel's, which looks the same.
  std::string series_rows(const Series& s, const Axis& x, const Axis& y) const {
    std::string rows;
    bool any = false;
    auto put = [&](size_t i) {
      bool segment_end = s.style == Series::Style::segments && i % 2;
      if (x.has(s.x[i]) && y.has(s.y[i])) {
        rows += fmt::format("{:.7g} {:.7g}\n", s.x[i], s.y[i]);
        any = true;
        if (segment_end) rows += "\n";
      } else if (any && s.style != Series::Style::points) {
        rows += "\n";
      }
    };
    const size_t n = s.x.size(), kMost = 2400, buckets = kMost / 4;
    bool thin = n > kMost && s.style != Series::Style::points && s.style != Series::Style::segments &&
                std::is_sorted(s.x.begin(), s.x.end());
    if (!thin) {
      for (size_t i = 0; i < n; ++i) put(i);
    } else {
      auto bucket = [&](size_t i) {
        const double at = x.has(s.x[i]) ? x.map(s.x[i]) : 0;
        return static_cast<size_t>(std::clamp(at, 0.0, 1.0) * static_cast<double>(buckets - 1));
      };
      for (size_t from = 0, to = 0; from < n; from = to) {
        while (to < n && bucket(to) == bucket(from)) ++to;
        size_t low = from, high = from;
        for (size_t i = from; i < to; ++i) {
          if (s.y[i] < s.y[low] || std::isnan(s.y[low])) low = i;
          if (s.y[i] > s.y[high] || std::isnan(s.y[high])) high = i;
        }
        std::vector<size_t> kept{from, low, high, to - 1};
        std::sort(kept.begin(), kept.end());
        kept.erase(std::unique(kept.begin(), kept.end()), kept.end());
        for (size_t i : kept) put(i);
      }
    }
    return any ? rows : "";
  }

  template <class Plot>
  void bars(const Panel& p, const Rect& r, const Axis& x, const Axis& y, bool values, std::vector<SideLabel>& side,
            Plot& plot) {
    double each = 0.72 / static_cast<double>(std::max<size_t>(1, p.bars.size()));
    double floor = y.log ? y.low : 0;
    for (size_t b = 0; b < p.bars.size(); ++b) {
      std::string rows;
      for (size_t i = 0; i < p.bar_labels.size(); ++i) {
        double value = p.bars[b].y[i];
        if (!y.has(value)) continue;
        double centre = static_cast<double>(i) - 0.36 + each * (static_cast<double>(b) + 0.5), half = each * 0.46;
        rows += fmt::format("{:.7g} {:.7g} {:.7g} {:.7g} {:.7g} {:.7g}\n", centre, value, centre - half, centre + half,
                            std::min(value, floor), std::max(value, floor));
        double tip = r.bottom - std::clamp(y.map(value), 0.0, 1.0) * r.height();
        if (values)
          label(r.left + x.map(centre) * r.width(), value < floor ? tip + 10 : tip - 9, minus(show(value, 3)), "center",
                kInk);
      }
      if (!p.bars[b].label.empty()) side.push_back({r.top + 17.0 * static_cast<double>(b), p.bars[b].label, colour(b)});
      if (!rows.empty())
        plot(fmt::format("{} using 1:2:3:4:5:6 with boxxyerror fs solid 1 noborder lc rgb '{}'", new_data(rows),
                         colour(b)));
    }
    double zero = r.bottom - std::clamp(y.map(floor), 0.0, 1.0) * r.height();
    if (!p.bars.empty()) straight(r.left, zero, r.right, zero, 0.8, "", "front");
  }

  // ## Matrices
  //
  // One sign: paper to blue. Both signs: rust below zero, blue above, paper at zero. Images: paper to ink.
  void palette(const std::vector<double>& values, bool ink) {
    double low = std::numeric_limits<double>::infinity(), high = -low;
    for (double v : values) {
      if (std::isfinite(v)) low = std::min(low, v), high = std::max(high, v);
    }
    if (low > high) low = 0, high = 1;
    if (low < 0 && high > 0) {
      high = std::max(-low, high), low = -high;
      body_ += "set palette defined (0 '#8f3413', 1 '#d08a68', 2 '#f4f1e8', 3 '#6fa3c4', 4 '#17567c')\n";
    } else {
      if (low == high) high = low + 1;
      body_ += ink ? "set palette defined (0 '#f4f1e8', 1 '#23252c')\n"
                   : "set palette defined (0 '#f4f1e8', 1 '#6fa3c4', 2 '#1f6f9f', 3 '#0f3350')\n";
    }
    body_ += fmt::format("set cbrange [{:.10g}:{:.10g}]\n", low, high);
    colour_range_ = {low, high, false};
  }

  static std::string matrix_rows(const Matrix& m) {
    std::string rows;
    for (int64_t r = 0; r < m.rows; ++r) {
      for (int64_t c = 0; c < m.columns; ++c)
        rows += (c ? " " : "") + (std::isfinite(m.at(r, c)) ? fmt::format("{:.5g}", m.at(r, c)) : std::string("NaN"));
      rows += "\n";
    }
    return rows;
  }

  // The extent names the centres of the outermost cells' outer edges: the picture fills it exactly.
  std::string image(const Matrix& m, const Extent& e) {
    palette(m.values, false);
    double dx = (e.right - e.left) / static_cast<double>(m.columns),
           dy = (e.top - e.bottom) / static_cast<double>(m.rows);
    return fmt::format("{} matrix using ({:.10g} + $1 * {:.10g}):({:.10g} + $2 * {:.10g}):3 with image",
                       new_data(matrix_rows(m)), e.left + dx / 2, dx, e.bottom + dy / 2, dy);
  }

  void colour_bar(const Matrix&, const Rect& r) {
    std::string column;
    constexpr int kSteps = 64;
    for (int i = 0; i < kSteps; ++i)
      column += fmt::format("{0:.6g} {0:.6g}\n",
                            colour_range_.low + (colour_range_.high - colour_range_.low) * (i + 0.5) / kSteps);
    clear();
    rectangle(r);
    body_ += fmt::format("set xrange [-0.5:1.5]\nset yrange [-0.5:{}.5]\n", kSteps - 1);
    for (const Tick& t : ticks(colour_range_, 4))
      label(r.right + 6, r.bottom - colour_range_.map(t.at) * r.height(), t.label, "left", kInk);
    body_ += "plot " + new_data(column) + " matrix with image\n";
  }

  // A matrix as it is written: first row on top, square cells, rows and columns counted from 0.
  void matrix(const Panel& p, const Rect& space) {
    const Matrix& m = *p.heat;
    Rect r = space;
    r.top += 12 + (p.title.empty() ? 0 : 24) + (p.y_label.empty() ? 0 : 22);
    r.bottom -= 26 + (p.x_label.empty() ? 0 : 20);
    r.left += 16 + text_width(std::to_string(m.rows));
    r.right -= 64;
    double cell = std::min(r.width() / static_cast<double>(m.columns), r.height() / static_cast<double>(m.rows));
    bool stretch = cell * static_cast<double>(std::min(m.columns, m.rows)) < 40;  // too oblong for square cells
    if (!stretch) {
      r.right = r.left + cell * static_cast<double>(m.columns);
      r.bottom = r.top + cell * static_cast<double>(m.rows);
    }
    rectangle(r);
    Axis x{-0.5, static_cast<double>(m.columns) - 0.5, false}, y{-0.5, static_cast<double>(m.rows) - 0.5, false};
    range('x', x);
    body_ += fmt::format("set yrange [{:.10g}:{:.10g}]\n", y.high, y.low);
    auto whole = [&](const Axis& a, double room) {
      double count = std::clamp(room / 45, 1.0, a.high + 0.5);
      std::vector<Tick> marks;
      for (Tick t : ticks(a, count)) {
        if (t.at >= 0 && t.at == std::floor(t.at)) marks.push_back(t);
      }
      return marks;
    };
    tick_marks('x', whole(x, r.width()), "scale 0");
    tick_marks('y', whole(y, r.height()), "scale 0");
    label(space.left + 8, space.top + 16, p.title, "left", kInk, ":Bold");
    label(space.left + 8, r.top - 14, p.y_label, "left", kInk, ":Italic");
    label(r.right, r.bottom + 36, p.x_label, "right", kInk, ":Italic");
    palette(m.values, false);
    for (const Mark& note : p.notes) {
      // Light on a dark cell: both ends of a palette with two signs are dark, and the upper end of one.
      const auto row = static_cast<int64_t>(std::lround(note.y)), column = static_cast<int64_t>(std::lround(note.x));
      if (row < 0 || row >= m.rows || column < 0 || column >= m.columns) continue;
      const double shade = colour_range_.map(m.at(row, column));
      const bool dark = colour_range_.low < 0 ? std::abs(shade - 0.5) > 0.35 : shade > 0.4;
      label(r.left + x.map(note.x) * r.width(), r.top + y.map(note.y) * r.height(), note.text, "center",
            dark ? "#f4f1e8" : "#23252c");
    }
    body_ += "plot " + new_data(matrix_rows(m)) + " matrix with image\n";
    colour_bar(m, {r.right + 12, r.top, r.right + 20, r.bottom});
  }

  // Images side by side are one matrix with gaps.
  void images(const Panel& p, const Rect& space) {
    int64_t n = static_cast<int64_t>(p.images.size()), columns = p.image_columns, rows = (n + columns - 1) / columns;
    int64_t h = p.images[0].rows, w = p.images[0].columns;
    double top = p.title.empty() ? 2 : 26, room = p.image_labels.empty() ? 0 : 18;
    int64_t gap = std::max<int64_t>(1, w / 12);
    double scale = std::min(space.width() / static_cast<double>(columns * (w + gap) - gap),
                            (space.height() - top - room) / static_cast<double>(rows * (h + gap) - gap));
    int64_t gap_below = std::max(gap, static_cast<int64_t>(std::ceil(room / scale)));
    scale = std::min(scale, (space.height() - top - room) / static_cast<double>(rows * (h + gap_below) - gap_below));

    Matrix mosaic{rows * (h + gap_below) - gap_below, columns * (w + gap) - gap, {}};
    mosaic.values.assign(static_cast<size_t>(mosaic.rows * mosaic.columns), std::numeric_limits<double>::quiet_NaN());
    double left = space.left + 1;
    for (int64_t i = 0; i < n; ++i) {
      int64_t r0 = i / columns * (h + gap_below), c0 = i % columns * (w + gap);
      for (int64_t r = 0; r < h; ++r) {
        for (int64_t c = 0; c < w; ++c)
          mosaic.values[static_cast<size_t>((r0 + r) * mosaic.columns + c0 + c)] =
              p.images[static_cast<size_t>(i)].at(r, c);
      }
      if (!p.image_labels.empty()) {
        label(left + scale * (static_cast<double>(c0) + static_cast<double>(w) / 2),
              space.top + top + scale * static_cast<double>(r0 + h) + 9, p.image_labels[static_cast<size_t>(i)],
              "center", kInk);
      }
    }
    label(space.left + 2, space.top + 14, p.title, "left", kInk, ":Bold");
    rectangle({left, space.top + top, left + scale * static_cast<double>(mosaic.columns),
               space.top + top + scale * static_cast<double>(mosaic.rows)});
    body_ += fmt::format("set xrange [-0.5:{}.5]\nset yrange [{}.5:-0.5]\n", mosaic.columns - 1, mosaic.rows - 1);
    palette(mosaic.values, true);
    body_ += "plot " + new_data(matrix_rows(mosaic)) + " matrix with image\n";
  }

  const FigureData& figure_;
  double width_ = 640, height_ = 360;
  std::string data_, body_;
  int blocks_ = 0;
  Axis colour_range_;
};

std::string gnuplot_script(const FigureData& figure) { return Script(figure).write(); }

static void replace_all(std::string& text, std::string_view from, std::string_view to) {
  for (size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size())
    text.replace(at, from.size(), to);
}

static void remove_elements(std::string& text, std::string_view open, std::string_view close) {
  for (size_t at = 0; (at = text.find(open, at)) != std::string::npos;) {
    size_t end = text.find(close, at);
    if (end == std::string::npos) return;
    text.erase(at, end + close.size() - at);
  }
}

static std::string escape_xml(const std::string& text) {
  std::string out;
  for (char c : text) out += c == '<' ? "&lt;" : c == '>' ? "&gt;" : c == '&' ? "&amp;" : std::string(1, c);
  return out;
}

// What gnuplot wrote, made fit for a page: ink that follows the page's colour, fonts as CSS says them, crisp pixels,
// the caption as the picture's title, and no trace of the program's version.
static std::string finish(std::string svg, const FigureData& figure) {
  remove_elements(svg, "<desc>", "</desc>\n");
  remove_elements(svg, "<title>", "</title>\n");
  remove_elements(svg, "<title>", "</title>");
  remove_elements(svg, "\t<filter", "</filter>\n");
  replace_all(svg, "rgb(116, 116, 124)", "currentColor");
  replace_all(svg, "rgb(116,116,124)", "currentColor");
  replace_all(svg, "font-family=\"serif:Italic\"", "font-family=\"serif\" font-style=\"italic\"");
  replace_all(svg, "font-family=\"serif:Bold\"", "font-family=\"serif\" font-weight=\"bold\"");
  replace_all(svg, "<image ", "<image style='image-rendering:pixelated' ");
  replace_all(svg, "color=\"black\" stroke=\"currentColor\"", "stroke=\"currentColor\"");
  replace_all(
      svg, "xmlns:xlink=\"http://www.w3.org/1999/xlink\"\n>",
      fmt::format("xmlns:xlink=\"http://www.w3.org/1999/xlink\"\n color=\"{}\" role=\"img\"\n>\n<title>{}</title>",
                  kInk, escape_xml(figure.caption)));
  return svg;
}

std::string draw(const FigureData& figure, const std::filesystem::path& file) {
  std::string gnuplot = find_program("gnuplot");
  if (gnuplot.empty()) return "gnuplot is not installed (apt-get install gnuplot-nox)";
  Finished done = run_process({gnuplot, "-"}, gnuplot_script(figure));
  if (done.status != 0 || done.out.find("</svg>") == std::string::npos) {
    size_t end = done.err.find_last_not_of(" \n");
    size_t start = end == std::string::npos ? end : done.err.rfind('\n', end) + 1;
    return "gnuplot failed" + (end == std::string::npos ? "" : ": " + done.err.substr(start, end + 1 - start));
  }
  io::write_file(file.string(), finish(std::move(done.out), figure));
  return {};
}

}  // namespace cr::book
