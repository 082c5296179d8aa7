// What a figure has been asked to show, for `figure.cpp`, which fills it, and `plot.cpp`, which draws it.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "book/figure.hpp"

namespace cr::book {

struct Matrix {
  int64_t rows = 0, columns = 0;
  std::vector<double> values;  // row by row
  double at(int64_t r, int64_t c) const { return values[static_cast<size_t>(r * columns + c)]; }
};

struct Series {
  enum class Style { line, dashed, points, segments } style;
  std::vector<double> x, y;  // of segments, two values each
  std::string label;
};

struct Mark {
  double x = 0, y = 0;
  std::string text;
};

struct Panel {
  std::string title, x_label, y_label;
  bool log_x = false, log_y = false;
  std::optional<std::pair<double, double>> x_limits, y_limits;
  std::vector<Series> series;
  std::vector<Mark> horizontal, vertical, notes;

  std::vector<std::string> bar_labels;
  std::vector<Series> bars;  // y is used

  std::optional<Matrix> heat;
  std::optional<Extent> extent;

  std::vector<Matrix> images;
  std::vector<std::string> image_labels;
  int image_columns = 1;
};

struct FigureData {
  std::string id, caption;
  std::vector<Panel> panels{1};
  int width = 640, height = 0;  // height 0: whatever suits
  bool closed = false;
  Panel& panel() { return panels.back(); }
};

// Draws a figure to `file`, whole or not at all. Returns why it could not: "" on success. Throws IoError when the file
// cannot be written.
std::string draw(const FigureData& figure, const std::filesystem::path& file);

// What gnuplot is told: fixed by the figure alone, so that the same numbers give the same bytes.
std::string gnuplot_script(const FigureData& figure);

}  // namespace cr::book
