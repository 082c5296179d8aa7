// # Laying out a graph
//
// In four steps, after Sugiyama (1981): give every box a layer, so that arrows point down; let long arrows pass
// through a bend in each layer between; order the layers so that few arrows cross; and move boxes sideways until
// arrows are nearly straight.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <numeric>

#include "func/graph.hpp"
#include "func/graph_parts.hpp"

namespace cr {
namespace {

constexpr double kTitleSize = 13, kDetailSize = 10.5, kBoxHeight = 38, kLayerHeight = 68, kGap = 18, kMargin = 12;

// A box, or a bend of a long arrow.
struct Spot {
  const graph::Part* part = nullptr;
  size_t layer = 0;  // from the result up
  double width = 0, x = 0, wish = 0;
  std::vector<size_t> above, below;
};

class Layout {
 public:
  explicit Layout(const std::vector<graph::Part>& parts) {
    spots_.resize(parts.size());
    for (size_t i = 0; i < parts.size(); ++i) {
      double text = std::max(static_cast<double>(graph::characters(parts[i].title)) * 0.6 * kTitleSize,
                             static_cast<double>(graph::characters(parts[i].detail)) * 0.55 * kDetailSize);
      spots_[i].part = &parts[i];
      spots_[i].width = std::max(60.0, text + 20);
    }
    assign_layers(parts);
    for (int sweep = 0; sweep < 24; ++sweep) order(sweep % 2 == 0);
    use_best();
    for (int sweep = 0; sweep < 40; ++sweep) straighten(sweep % 2 == 0);
  }

  std::string svg() const {
    double left = 1e300, right = -1e300;
    for (const Spot& s : spots_) {
      left = std::min(left, s.x - s.width / 2);
      right = std::max(right, s.x + s.width / 2);
    }
    double width = right - left + 2 * kMargin,
           height = static_cast<double>(layers_.size()) * kLayerHeight - (kLayerHeight - kBoxHeight) + 2 * kMargin;
    std::string out = "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 " + number(width) + " " +
                      number(height) + "\" width=\"" + number(width) + "\" height=\"" + number(height) +
                      "\" font-family=\"sans-serif\" text-anchor=\"middle\">\n" +
                      "<g fill=\"none\" stroke=\"#74747c\" stroke-width=\"1.2\">\n";
    for (size_t i = 0; i < spots_.size(); ++i) {
      for (size_t to : spots_[i].part ? spots_[i].below : std::vector<size_t>()) out += arrow(i, to, left);
    }
    out += "</g>\n";
    for (const Spot& s : spots_) {
      if (s.part) out += box(s, left);
    }
    return out + "</svg>\n";
  }

 private:
  // One more than the lowest user: an input sits right above the first that needs it.
  void assign_layers(const std::vector<graph::Part>& parts) {
    for (size_t i = parts.size(); i-- > 0;) {
      for (size_t from : parts[i].inputs) spots_[from].layer = std::max(spots_[from].layer, spots_[i].layer + 1);
    }
    size_t top = 0;
    for (const Spot& s : spots_) top = std::max(top, s.layer);
    layers_.resize(top + 1);
    for (size_t i = 0; i < parts.size(); ++i) layers_[spots_[i].layer].push_back(i);
    for (size_t i = 0; i < parts.size(); ++i) {
      std::vector<size_t> inputs = parts[i].inputs;  // x * x is one arrow
      std::sort(inputs.begin(), inputs.end());
      inputs.erase(std::unique(inputs.begin(), inputs.end()), inputs.end());
      for (size_t from : inputs) connect(from, i);
    }
    best_ = layers_;
    best_crossings_ = crossings();
  }

  void connect(size_t from, size_t to) {
    while (spots_[from].layer > spots_[to].layer + 1) {
      if (spots_.size() > 50'000) throw Error("graph_svg: the graph is too large to draw; graph_dot writes any");
      Spot bend;
      bend.layer = spots_[from].layer - 1;
      layers_[bend.layer].push_back(spots_.size());
      spots_[from].below.push_back(spots_.size());
      bend.above.push_back(from);
      from = spots_.size();
      spots_.push_back(bend);
    }
    spots_[from].below.push_back(to);
    spots_[to].above.push_back(from);
  }

  // Sorts each layer by where its neighbours in the layer before lie on average.
  void order(bool downwards) {
    place_in_order();
    for (size_t k = 1; k < layers_.size(); ++k) {
      auto& layer = layers_[downwards ? layers_.size() - 1 - k : k];
      for (size_t i : layer) spots_[i].wish = average(i, downwards);
      std::stable_sort(layer.begin(), layer.end(), [&](size_t a, size_t b) { return spots_[a].wish < spots_[b].wish; });
      for (size_t p = 0; p < layer.size(); ++p) spots_[layer[p]].x = static_cast<double>(p);
    }
    if (size_t n = crossings(); n < best_crossings_) {
      best_ = layers_;
      best_crossings_ = n;
    }
  }

  void place_in_order() {
    for (auto& layer : layers_) {
      for (size_t p = 0; p < layer.size(); ++p) spots_[layer[p]].x = static_cast<double>(p);
    }
  }

  double average(size_t i, bool of_above) const {
    const auto& others = of_above ? spots_[i].above : spots_[i].below;
    double sum = 0;
    for (size_t o : others) sum += spots_[o].x;
    return others.empty() ? spots_[i].x : sum / static_cast<double>(others.size());
  }

  // Pairs of arrows between neighbouring layers whose ends are in opposite order.
  size_t crossings() {
    place_in_order();
    size_t count = 0;
    for (auto& layer : layers_) {
      std::vector<std::pair<double, double>> arrows;
      for (size_t i : layer) {
        for (size_t to : spots_[i].below) arrows.emplace_back(spots_[i].x, spots_[to].x);
      }
      if (arrows.size() > 500) continue;  // nobody counts those
      for (size_t a = 0; a < arrows.size(); ++a) {
        for (size_t b = a + 1; b < arrows.size(); ++b) {
          count += (arrows[a].first - arrows[b].first) * (arrows[a].second - arrows[b].second) < 0;
        }
      }
    }
    return count;
  }

  void use_best() {
    layers_ = best_;
    for (auto& layer : layers_) {
      double x = 0;
      for (size_t i : layer) {
        spots_[i].x = x + spots_[i].width / 2;
        x += spots_[i].width + kGap;
      }
      for (size_t i : layer) spots_[i].x -= x / 2;
    }
  }

  // Moves every box of a layer as near to its neighbours' average as order and gaps allow. With the gaps subtracted,
  // that is the nearest non-decreasing sequence: wherever two wishes are in the wrong order, both get the mean of
  // theirs.
  void straighten(bool downwards) {
    for (size_t k = 1; k < layers_.size(); ++k) {
      auto& layer = layers_[downwards ? layers_.size() - 1 - k : k];
      struct Group {
        double sum, count;
        double mean() const { return sum / count; }
      };
      std::vector<Group> groups;
      std::vector<double> offset;
      double at = 0;
      for (size_t p = 0; p < layer.size(); ++p) {
        if (p > 0) at += (spots_[layer[p - 1]].width + spots_[layer[p]].width) / 2 + kGap;
        offset.push_back(at);
        groups.push_back({average(layer[p], downwards) - at, 1});
        while (groups.size() > 1 && groups[groups.size() - 2].mean() > groups.back().mean()) {
          Group last = groups.back();
          groups.pop_back();
          groups.back().sum += last.sum;
          groups.back().count += last.count;
        }
      }
      size_t p = 0;
      for (const Group& g : groups) {
        for (double n = 0; n < g.count; ++n, ++p) spots_[layer[p]].x = g.mean() + offset[p];
      }
    }
  }

  double top_of(const Spot& s) const {
    return kMargin + static_cast<double>(layers_.size() - 1 - s.layer) * kLayerHeight;
  }

  static std::string number(double v) {
    char text[32];
    std::snprintf(text, sizeof text, "%.1f", v);
    return text;
  }

  // A smooth line through the bends, with a small head.
  std::string arrow(size_t from, size_t to, double left) const {
    const Spot* s = &spots_[from];
    double x = s->x - left + kMargin, y = top_of(*s) + kBoxHeight;
    std::string path = "M" + number(x) + " " + number(y);
    while (true) {
      const Spot& next = spots_[to];
      double nx = next.x - left + kMargin, ny = top_of(next) - (next.part ? 2 : 0), middle = (y + ny) / 2;
      path += "C" + number(x) + " " + number(middle) + " " + number(nx) + " " + number(middle) + " " + number(nx) +
              " " + number(ny);
      x = nx, y = ny;
      if (next.part) break;
      path += "V" + number(y += kBoxHeight);
      to = next.below[0];
    }
    return "<path d=\"" + path + "M" + number(x - 3.5) + " " + number(y - 6) + "L" + number(x) + " " + number(y) + "L" +
           number(x + 3.5) + " " + number(y - 6) + "\"/>\n";
  }

  std::string box(const Spot& s, double left) const {
    double x = s.x - left + kMargin, y = top_of(s);
    const char* colour = s.part->leaf ? "#2476a8" : s.below.empty() ? "#ba4a1f" : "#74747c";
    auto text = [&](double dy, double size, const std::string& words, const char* more) {
      return "<text x=\"" + number(x) + "\" y=\"" + number(y + dy) + "\" font-size=\"" + number(size) +
             "\" fill=\"currentColor\"" + more + ">" + graph::xml(words) + "</text>\n";
    };
    return "<rect x=\"" + number(x - s.width / 2) + "\" y=\"" + number(y) + "\" width=\"" + number(s.width) +
           "\" height=\"" + number(kBoxHeight) + "\" rx=\"6\" fill=\"" + colour + "\" fill-opacity=\"0.1\" stroke=\"" +
           colour + "\"/>\n" + text(16, kTitleSize, s.part->title, "") +
           text(31, kDetailSize, s.part->detail, " opacity=\"0.7\"");
  }

  std::vector<Spot> spots_;
  std::vector<std::vector<size_t>> layers_, best_;
  size_t best_crossings_ = 0;
};

}  // namespace

std::string graph_svg(const Tensor& y, const std::map<std::string, Tensor>& names) {
  auto parts = graph::parts_of("graph_svg", y, names);
  if (parts.size() > 5000) {
    throw Error("graph_svg: a graph of " + std::to_string(parts.size()) +
                " operations is too large to draw; graph_dot writes any");
  }
  return Layout(parts).svg();
}

}  // namespace cr
