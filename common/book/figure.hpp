// # Figures
//
//     chapter.figure("gradients", "gradient of the two losses when y = 1")
//         .line(z, squared, "squared error").line(z, entropy, "cross-entropy").axes("z", "dL/dz");
//
// A figure is a list of things to draw. Numbers are copied when they are given, so the tensors may change afterwards.
// The chapter draws it as `figures/<id>.svg` by gnuplot, once the figure's last handle is gone or the section ends;
// where gnuplot is missing the program goes on and says at the end what it skipped.
#pragma once

#include <concepts>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "tensor/tensor.hpp"

namespace cr::book {

// Numbers for a figure: a tensor of any shape and type, row by row, or a list of C++ numbers.
struct Numbers {
  Numbers(const Tensor& x);
  Numbers(std::span<const double> x) : values(x.begin(), x.end()) {}
  Numbers(std::initializer_list<double> x) : values(x) {}
  Numbers(std::vector<double> x) : values(std::move(x)) {}
  Numbers(const std::vector<float>& x) : values(x.begin(), x.end()) {}
  Numbers(const std::vector<int64_t>& x) : values(x.begin(), x.end()) {}
  Numbers(const std::vector<int>& x) : values(x.begin(), x.end()) {}
  std::vector<double> values;
};

// The rectangle of the plane that a matrix covers: its first row lies along the bottom, its first column on the left.
struct Extent {
  double left, right, bottom, top;
};

struct FigureData;  // what has been asked for so far: figure_data.hpp

// The handle. Each function adds one thing and returns the handle; series are coloured in the order they come, and a
// label stands beside its series in the same colour. All throw ShapeError, naming figure and series, when sizes do not
// fit.
class Figure {
 public:
  explicit Figure(std::shared_ptr<FigureData> data) : data_(std::move(data)) {}

  // x and y need the same number of values. Without x they are 0, 1, 2, … NaN leaves a gap.
  Figure& line(const Numbers& x, const Numbers& y, const std::string& label = {});
  Figure& line(const Numbers& y) { return line_from_zero(y, {}); }
  template <class Label>
  requires std::convertible_to<const Label&, std::string> Figure& line(const Numbers& y, const Label& label) {
    return line_from_zero(y, label);
  }
  Figure& dashed(const Numbers& x, const Numbers& y, const std::string& label = {});
  Figure& scatter(const Numbers& x, const Numbers& y, const std::string& label = {});

  // One bar per label, from zero. A second call puts its bars beside the first's and needs the same labels.
  Figure& bar(const std::vector<std::string>& labels, const Numbers& values, const std::string& series = {});

  // A matrix (rows, columns) in colours. Without an extent its first row is on top, as a matrix is written; with one it
  // is a function over the plane, and lines and points can lie on it. Values of both signs get two colours around zero.
  Figure& heatmap(const Tensor& matrix);
  Figure& heatmap(const Tensor& matrix, Extent extent);

  // Where a function over the plane, given as for heatmap with an extent, takes the value `level`.
  Figure& contour(const Tensor& matrix, Extent extent, double level, const std::string& label = {});

  // Images (n, height, width), `columns` of them in a row, all on one scale; under each its label, if there are any.
  Figure& images(const Tensor& images, int columns, const std::vector<std::string>& labels = {});

  // A straight line across the panel, and a word at a place; on a matrix, in the middle of column x, row y.
  Figure& hline(double y, const std::string& label = {});
  Figure& vline(double x, const std::string& label = {});
  Figure& note(double x, double y, const std::string& text);

  Figure& axes(const std::string& x, const std::string& y);
  Figure& title(const std::string& text);
  Figure& log_x();
  Figure& log_y();
  Figure& xlim(double low, double high);
  Figure& ylim(double low, double high);

  // What follows is drawn in a new panel to the right, with this title: a symptom beside the healthy run.
  Figure& panel(const std::string& title);

  // Width and height in pixels, 640 x 360 unless said.
  Figure& size(int width, int height);

 private:
  Figure& line_from_zero(const Numbers& y, const std::string& label);
  std::shared_ptr<FigureData> data_;
};

}  // namespace cr::book

namespace cr {
using book::Extent;
using book::Figure;
}  // namespace cr
