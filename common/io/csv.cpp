#include "io/csv.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <locale>
#include <sstream>
#include <system_error>
#include <type_traits>

#include "io/atomic_file.hpp"
#include "io/bytes.hpp"

namespace cr::io {
namespace {

constexpr size_t kMaxColumns = 1 << 16;

// Whether all of `text`, but for spaces around it, is one finite number; and which.
bool parse_number(std::string_view text, double& value) {
  const size_t first = text.find_first_not_of(" \t"), last = text.find_last_not_of(" \t");
  if (first == std::string_view::npos) return false;
  text = text.substr(first, last - first + 1);
  if (text[0] == '+' && !text.starts_with("+-")) text.remove_prefix(1);
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  // Too large and too small are one error to `from_chars`, but not to a stream. What rounds to 0 is 0.
  if (error == std::errc::result_out_of_range) {
    std::istringstream in{std::string(text)};
    in.imbue(std::locale::classic());
    in >> value;
    return end == text.data() + text.size() && std::abs(value) < std::numeric_limits<double>::min();
  }
  return error == std::errc() && end == text.data() + text.size() && std::isfinite(value);
}

uint64_t checked_limit(const CsvOptions& options) {
  const char s = options.separator;
  if (s == '"' || s == '\r' || s == '\n' || s == '\0')
    throw Error("CSV: a quote, a line's end or NUL cannot separate cells");
  return std::min<uint64_t>(options.max_bytes, UINT32_MAX);
}

}  // namespace

// ## Reading
//
// One pass over the text. `at_` is where we are; `line_` and where it began give every message its place.
class CsvParser {
 public:
  CsvParser(std::string_view text, const CsvOptions& options, const std::string& name)
      : text_(text), separator_(options.separator) {
    table_.name_ = name;
  }

  CsvTable parse(bool header) {
    if (text_.starts_with("\xef\xbb\xbf")) at_ = line_start_ = 3;
    const size_t width = read_row(kMaxColumns, "more than " + std::to_string(kMaxColumns) + " columns");
    if (header) name_columns(width);
    else {
      for (size_t i = 0; i < width; ++i) table_.columns_.push_back(std::to_string(i));
      if (width > 0) table_.lines_.push_back(static_cast<uint32_t>(row_.line));
    }
    const std::string too_many = "a row of more cells than the first, which has " + std::to_string(width);
    while (const size_t cells = read_row(width, too_many)) {
      if (cells != width)
        fail(row_, "a row of " + std::to_string(cells) + " cells; the first has " + std::to_string(width));
      table_.lines_.push_back(static_cast<uint32_t>(row_.line));
    }
    return std::move(table_);
  }

 private:
  struct Place {
    size_t line, column;
  };
  Place here() const { return {line_, at_ - line_start_ + 1}; }

  [[noreturn]] void fail(Place place, const std::string& what) const {
    throw IoError(table_.name_ + ": line " + std::to_string(place.line) + ", column " + std::to_string(place.column) +
                  ": " + what);
  }

  // The first row's cells become the columns' names.
  void name_columns(size_t width) {
    if (width == 0) fail(row_, "nothing here, not even the columns' names");
    size_t begin = 0;
    for (uint32_t end : table_.ends_) table_.columns_.push_back(table_.text_.substr(begin, end - begin)), begin = end;
    table_.text_.clear();
    table_.ends_.clear();
  }

  // Append a row's cells to the table. Returns how many there were: 0 at the end of the file. `too_many` is the
  // complaint about more than `most`.
  size_t read_row(size_t most, const std::string& too_many) {
    while (at_ < text_.size() && at_line_end()) end_line();
    row_ = here();
    if (at_ == text_.size()) return 0;
    for (size_t cells = 1;; ++cells, ++at_) {
      if (cells > most) fail(row_, too_many);
      if (text_.substr(at_, 1) == "\"") read_quoted();
      else read_plain();
      table_.ends_.push_back(static_cast<uint32_t>(table_.text_.size()));
      if (at_ < text_.size() && text_[at_] == separator_) continue;
      if (at_ < text_.size()) end_line();
      return cells;
    }
  }

  // A cell without quotes.
  void read_plain() {
    const size_t begin = at_;
    for (; !at_cell_end(); ++at_) {
      const char c = text_[at_];
      if (c == '"') fail(here(), "a quote inside a cell that does not begin with one");
      if (c == '\r') fail(here(), "a carriage return without a line feed");
      if (c == '\0') fail(here(), "a NUL byte");
    }
    table_.text_ += text_.substr(begin, at_ - begin);
  }

  // A cell in quotes. Inside, a line's end is text, and two quotes stand for one.
  void read_quoted() {
    const Place opened = here();
    for (++at_;; ++at_) {
      if (at_ == text_.size()) fail(opened, "the quote that opens here is never closed");
      const char c = text_[at_];
      if (c == '\0') fail(here(), "a NUL byte");
      if (c == '"' && text_.substr(++at_, 1) != "\"") break;
      table_.text_ += c;
      if (c == '\n') ++line_, line_start_ = at_ + 1;
    }
    if (!at_cell_end()) fail(here(), "text behind the quote that closes a cell");
  }

  bool at_cell_end() const { return at_ == text_.size() || text_[at_] == separator_ || at_line_end(); }
  bool at_line_end() const { return text_[at_] == '\n' || text_.substr(at_, 2) == "\r\n"; }
  void end_line() {
    at_ += text_[at_] == '\r' ? 2 : 1;
    ++line_, line_start_ = at_;
  }

  std::string_view text_;
  char separator_;
  CsvTable table_;
  size_t at_ = 0, line_ = 1, line_start_ = 0;
  Place row_{1, 1};  // where the last row began
};

CsvTable parse_csv(std::string_view text, const CsvOptions& options, const std::string& name) {
  if (text.size() > checked_limit(options))
    throw IoError(name + ": " + std::to_string(text.size()) + " bytes, more than " +
                  std::to_string(checked_limit(options)));
  return CsvParser(text, options, name).parse(options.header);
}

CsvTable read_csv(const std::string& path, const CsvOptions& options) {
  return parse_csv(read_file(path, checked_limit(options)), options, path);
}

// ## Asking
int64_t CsvTable::column(const std::string& name) const {
  const auto found = std::find(columns_.begin(), columns_.end(), name);
  if (found == columns_.end()) {
    std::string known;
    for (size_t i = 0; i < std::min<size_t>(columns_.size(), 20); ++i) known += (i ? ", " : "") + quote(columns_[i]);
    throw IoError(name_ + ": no column " + quote(name) + "; there is " + known + (columns_.size() > 20 ? ", ..." : ""));
  }
  if (std::find(found + 1, columns_.end(), name) != columns_.end())
    throw IoError(name_ + ": two columns are called " + quote(name));
  return found - columns_.begin();
}

std::string_view CsvTable::cell(int64_t row, int64_t column) const {
  const auto width = static_cast<int64_t>(columns_.size());
  if (row < 0 || row >= rows() || column < 0 || column >= width)
    throw IndexError("CSV: no cell (" + std::to_string(row) + ", " + std::to_string(column) + ") in a table of (" +
                     std::to_string(rows()) + ", " + std::to_string(width) + ")");
  const auto i = static_cast<size_t>(row * width + column);
  const size_t begin = i == 0 ? 0 : ends_[i - 1];
  return std::string_view(text_).substr(begin, ends_[i] - begin);
}

int64_t CsvTable::line(int64_t row) const {
  if (row < 0 || row >= rows()) throw IndexError("CSV: no row " + std::to_string(row));
  return lines_[static_cast<size_t>(row)];
}

std::vector<std::string> CsvTable::strings(const std::string& name) const {
  const int64_t at = column(name);
  std::vector<std::string> result;
  for (int64_t row = 0; row < rows(); ++row) result.emplace_back(cell(row, at));
  return result;
}

Tensor CsvTable::numbers(const std::string& name) const {
  const int64_t at = column(name);
  Tensor result = empty({rows()}, DType::float64);
  double* out = result.mutable_data<double>();
  for (int64_t row = 0; row < rows(); ++row)
    if (!parse_number(cell(row, at), out[row]))
      throw IoError(name_ + ": line " + std::to_string(line(row)) + ", column " + quote(name) + ": " +
                    quote(cell(row, at)) + " is not a finite number");
  return result;
}

// ## Writing
namespace {

// A cell gets quotes when it would not come back without them. A lone empty cell would be an empty line.
void append_cell(std::string& text, std::string_view cell, char separator, bool lone) {
  if (cell.find('\0') != std::string_view::npos) throw IoError("CSV: a cell with a NUL byte cannot be written");
  const bool plain = cell.find_first_of(std::string("\"\r\n") + separator) == std::string_view::npos;
  if (plain && !(lone && cell.empty()) && !cell.starts_with("\xef\xbb\xbf")) {
    text += cell;
    return;
  }
  text += '"';
  for (char c : cell) text.append(c == '"' ? 2 : 1, c);
  text += '"';
}

// The fewest digits that give the same number back.
template <typename T> std::string number_text(T value) {
  if constexpr (std::is_same_v<T, bool>) {
    return value ? "1" : "0";
  } else {
    if (!std::isfinite(static_cast<double>(value)))
      throw IoError("CSV: " + std::to_string(value) + " is no number to write");
    char text[32];
    return {text, std::to_chars(text, text + sizeof text, value).ptr};
  }
}

// One row at a time, so that a large table is not held in memory a second time.
class CsvWriter {
 public:
  CsvWriter(const std::string& path, const std::vector<std::string>& columns, const CsvOptions& options)
      : file_(path), width_(columns.size()), separator_(options.separator) {
    checked_limit(options);
    if (width_ == 0) throw ShapeError("write_csv: a table without columns");
    if (options.header) row(columns);
  }

  void row(const std::vector<std::string>& cells) {
    if (cells.size() != width_)
      throw ShapeError("write_csv: a row of " + std::to_string(cells.size()) + " cells for " + std::to_string(width_) +
                       " columns");
    for (size_t i = 0; i < width_; ++i) {
      if (i > 0) text_ += separator_;
      append_cell(text_, cells[i], separator_, width_ == 1);
    }
    text_ += '\n';
    if (text_.size() > 1 << 16) flush();
  }

  void commit() { flush(), file_.commit(); }

 private:
  void flush() { file_.write(text_), text_.clear(); }

  AtomicFile file_;
  std::string text_;
  size_t width_;
  char separator_;
};

}  // namespace

void write_csv(const std::string& path, const std::vector<std::string>& columns,
               const std::vector<std::vector<std::string>>& rows, const CsvOptions& options) {
  CsvWriter writer(path, columns, options);
  for (const std::vector<std::string>& row : rows) writer.row(row);
  writer.commit();
}

void write_csv(const std::string& path, const std::vector<std::string>& columns, const Tensor& numbers,
               const CsvOptions& options) {
  if (numbers.dim() != 2 || numbers.size(1) != static_cast<int64_t>(columns.size()))
    throw ShapeError("write_csv: " + to_string(numbers.shape()) + " numbers for " + std::to_string(columns.size()) +
                     " columns");
  if (is_storage(numbers.dtype()))
    throw DTypeError(std::string("write_csv: numbers must be float32, float64, int64 or bool, not ") +
                     name(numbers.dtype()) + "; .to(DType::float32) first");
  const Tensor values = to_host(numbers.detach()).contiguous();
  CsvWriter writer(path, columns, options);
  dispatch(values.dtype(), [&](auto type) {
    auto at = values.span<decltype(type)>().begin();
    for (int64_t i = 0; i < values.size(0); ++i) {
      std::vector<std::string> row;
      for (size_t j = 0; j < columns.size(); ++j) row.push_back(number_text(*at++));
      writer.row(row);
    }
  });
  writer.commit();
}

}  // namespace cr::io
