#include "book/figure.hpp"

#include <fmt/format.h>

#include <cmath>
#include <stdexcept>

#include "book/figure_data.hpp"

namespace cr::book {

// Reads any tensor as doubles, row by row.
static std::vector<double> to_doubles(const Tensor& tensor) {
  if (!tensor.defined()) throw Error("figure: an undefined tensor has no numbers to draw");
  Tensor x = tensor.detach().to(Device::cpu).to(DType::float64).contiguous();
  auto values = x.span<double>();
  return {values.begin(), values.end()};
}

Numbers::Numbers(const Tensor& x) : values(to_doubles(x)) {}

static Panel& open(FigureData& figure) {
  if (figure.closed)
    throw std::logic_error("figure " + figure.id + ": it has been drawn; add to it within its section");
  return figure.panel();
}

static void add(FigureData& figure, Series::Style style, const Numbers& x, const Numbers& y, const std::string& label) {
  if (x.values.size() != y.values.size()) {
    throw ShapeError(fmt::format("figure {}: {}{} x values but {} y values", figure.id,
                                 label.empty() ? "" : label + ": ", x.values.size(), y.values.size()));
  }
  open(figure).series.push_back({style, x.values, y.values, label});
}

static Matrix matrix_of(const FigureData& figure, const char* what, const Tensor& x) {
  if (!x.defined() || x.dim() != 2 || x.numel() == 0) {
    throw ShapeError(fmt::format("figure {}: {} needs a matrix (rows, columns), got {}", figure.id, what,
                                 x.defined() ? to_string(x.shape()) : "an undefined tensor"));
  }
  return {x.size(0), x.size(1), to_doubles(x)};
}

Figure& Figure::line(const Numbers& x, const Numbers& y, const std::string& label) {
  add(*data_, Series::Style::line, x, y, label);
  return *this;
}

Figure& Figure::line_from_zero(const Numbers& y, const std::string& label) {
  std::vector<double> x(y.values.size());
  for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<double>(i);
  return line(x, y, label);
}

Figure& Figure::dashed(const Numbers& x, const Numbers& y, const std::string& label) {
  add(*data_, Series::Style::dashed, x, y, label);
  return *this;
}

Figure& Figure::scatter(const Numbers& x, const Numbers& y, const std::string& label) {
  add(*data_, Series::Style::points, x, y, label);
  return *this;
}

Figure& Figure::bar(const std::vector<std::string>& labels, const Numbers& values, const std::string& series) {
  Panel& panel = open(*data_);
  if (labels.size() != values.values.size())
    throw ShapeError(fmt::format("figure {}: {} bars but {} values", data_->id, labels.size(), values.values.size()));
  if (!panel.bars.empty() && labels != panel.bar_labels)
    throw ShapeError("figure " + data_->id + ": bars side by side need the same labels");
  panel.bar_labels = labels;
  panel.bars.push_back({Series::Style::points, {}, values.values, series});
  return *this;
}

Figure& Figure::heatmap(const Tensor& matrix) {
  open(*data_).heat = matrix_of(*data_, "a heat map", matrix);
  data_->panel().extent.reset();
  return *this;
}

Figure& Figure::heatmap(const Tensor& matrix, Extent extent) {
  open(*data_).heat = matrix_of(*data_, "a heat map", matrix);
  data_->panel().extent = extent;
  return *this;
}

// March through the squares between four neighbouring values. Where the level lies between two corners, the line
// crosses that edge, at the place that interpolation gives; a square has none, two or (at a saddle) four such places.
Figure& Figure::contour(const Tensor& tensor, Extent extent, double level, const std::string& label) {
  Panel& panel = open(*data_);
  Matrix m = matrix_of(*data_, "a contour", tensor);
  Series segments{Series::Style::segments, {}, {}, label};
  double dx = (extent.right - extent.left) / std::max<double>(1, static_cast<double>(m.columns - 1));
  double dy = (extent.top - extent.bottom) / std::max<double>(1, static_cast<double>(m.rows - 1));
  for (int64_t r = 0; r + 1 < m.rows; ++r) {
    for (int64_t c = 0; c + 1 < m.columns; ++c) {
      const int64_t corner[5][2] = {{r, c}, {r, c + 1}, {r + 1, c + 1}, {r + 1, c}, {r, c}};
      for (int edge = 0; edge < 4; ++edge) {
        const auto& from = corner[edge];
        const auto& to = corner[edge + 1];
        double a = m.at(from[0], from[1]) - level, b = m.at(to[0], to[1]) - level;
        if (!((a < 0) != (b < 0)) || std::isnan(a) || std::isnan(b)) continue;
        double t = a / (a - b);
        segments.x.push_back(extent.left +
                             dx * (static_cast<double>(from[1]) + t * static_cast<double>(to[1] - from[1])));
        segments.y.push_back(extent.bottom +
                             dy * (static_cast<double>(from[0]) + t * static_cast<double>(to[0] - from[0])));
      }
      if (segments.x.size() % 2) segments.x.pop_back(), segments.y.pop_back();  // an edge of NaN
    }
  }
  panel.series.push_back(std::move(segments));
  return *this;
}

Figure& Figure::images(const Tensor& images, int columns, const std::vector<std::string>& labels) {
  Panel& panel = open(*data_);
  if (!images.defined() || images.dim() != 3 || images.numel() == 0) {
    throw ShapeError(fmt::format("figure {}: images need a tensor (n, height, width), got {}", data_->id,
                                 images.defined() ? to_string(images.shape()) : "an undefined one"));
  }
  int64_t n = images.size(0);
  if (columns < 1) throw ShapeError("figure " + data_->id + ": images need at least one column");
  if (!labels.empty() && static_cast<int64_t>(labels.size()) != n)
    throw ShapeError(fmt::format("figure {}: {} images but {} labels", data_->id, n, labels.size()));
  std::vector<double> values = to_doubles(images);
  auto pixels = static_cast<std::ptrdiff_t>(images.size(1) * images.size(2));
  panel.images.clear();
  for (int64_t i = 0; i < n; ++i)
    panel.images.push_back(
        {images.size(1), images.size(2), {values.begin() + i * pixels, values.begin() + (i + 1) * pixels}});
  panel.image_columns = static_cast<int>(std::min<int64_t>(columns, n));
  panel.image_labels = labels;
  return *this;
}

Figure& Figure::hline(double y, const std::string& label) {
  open(*data_).horizontal.push_back({0, y, label});
  return *this;
}

Figure& Figure::vline(double x, const std::string& label) {
  open(*data_).vertical.push_back({x, 0, label});
  return *this;
}

Figure& Figure::note(double x, double y, const std::string& text) {
  open(*data_).notes.push_back({x, y, text});
  return *this;
}

Figure& Figure::axes(const std::string& x, const std::string& y) {
  open(*data_).x_label = x;
  data_->panel().y_label = y;
  return *this;
}

Figure& Figure::title(const std::string& text) {
  open(*data_).title = text;
  return *this;
}

Figure& Figure::log_x() {
  open(*data_).log_x = true;
  return *this;
}

Figure& Figure::log_y() {
  open(*data_).log_y = true;
  return *this;
}

Figure& Figure::xlim(double low, double high) {
  open(*data_).x_limits = {low, high};
  return *this;
}

Figure& Figure::ylim(double low, double high) {
  open(*data_).y_limits = {low, high};
  return *this;
}

Figure& Figure::panel(const std::string& title) {
  // The first panel may be named too: nothing has been put into it then.
  Panel& current = open(*data_);
  bool fresh = current.series.empty() && current.bars.empty() && !current.heat && current.images.empty() &&
               current.title.empty();
  if (!fresh) data_->panels.emplace_back();
  data_->panel().title = title;
  return *this;
}

Figure& Figure::size(int width, int height) {
  if (width < 100 || width > 4000 || height < 60 || height > 4000)
    throw ShapeError(
        fmt::format("figure {}: {} x {} pixels; 100 x 60 to 4000 x 4000 will do", data_->id, width, height));
  open(*data_);
  data_->width = width;
  data_->height = height;
  return *this;
}

}  // namespace cr::book
