// # CSV
//
// Tables as text: one row a line, cells between commas, the first line names the columns. RFC 4180 adds quotes: a cell
// between `"` may hold commas, line breaks and, doubled, quotes.
//
//     name,type,hp
//     "Mr. Mime","Psychic, Fairy",40
//
// The whole table is kept as text. What a column means is for its reader to say, by the function it asks with. A table
// takes five bytes for each of the file at most (a comma ends a cell, and each cell's end is kept in four bytes), and
// while it grows three times as much, besides the file itself.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tensor/tensor.hpp"

namespace cr::io {

struct CsvOptions {
  char separator = ',';
  bool header = true;                      // without one, columns are called "0", "1", …
  uint64_t max_bytes = uint64_t{1} << 30;  // a longer file is refused; at most 4 GB, less a byte
};

class CsvTable {
 public:
  const std::vector<std::string>& columns() const { return columns_; }
  int64_t rows() const { return static_cast<int64_t>(lines_.size()); }

  // The place of a column. Throws IoError if none or several are called so.
  int64_t column(const std::string& name) const;

  // One cell as it stood in the file, without its quotes. Throws IndexError.
  std::string_view cell(int64_t row, int64_t column) const;

  // A column as text; and as numbers, (rows,) float64, with spaces around them allowed. Throws IoError naming the line
  // of a cell that is no finite number.
  std::vector<std::string> strings(const std::string& name) const;
  Tensor numbers(const std::string& name) const;

  // The line of the file on which a row begins, from 1, and the file's name: for messages.
  int64_t line(int64_t row) const;
  const std::string& name() const { return name_; }

 private:
  friend class CsvParser;
  std::string name_;
  std::vector<std::string> columns_;
  std::string text_;             // all cells, row by row, end to end
  std::vector<uint32_t> ends_;   // where each of them ends
  std::vector<uint32_t> lines_;  // of each row
};

// Reads a file in UTF-8 or any other encoding that contains ASCII; a byte-order mark is dropped, lines may end in CR
// LF, empty ones are passed over. Throws IoError, one line with the file, line and column (in bytes, from 1), for a
// file that is missing or too large, more than 65536 columns, a row of more or fewer cells than the first, a quote that
// is not closed or stands inside a cell without quotes, and for bytes that no text holds: NUL, or a CR alone.
CsvTable read_csv(const std::string& path, const CsvOptions& options = {});

// The same from memory; `name` stands for the path in messages.
CsvTable parse_csv(std::string_view text, const CsvOptions& options = {}, const std::string& name = "CSV");

// Write a table, atomically: what `read_csv` then gives is the same, cell for cell. Throws IoError if the file cannot
// be written, ShapeError if a row has not as many cells as there are columns.
void write_csv(const std::string& path, const std::vector<std::string>& columns,
               const std::vector<std::vector<std::string>>& rows, const CsvOptions& options = {});

// The same for numbers (rows, columns), in as few digits as give the same number back. Throws ShapeError for another
// shape, DTypeError for float16 and bfloat16, IoError for a number that is not finite, which `numbers` would refuse.
void write_csv(const std::string& path, const std::vector<std::string>& columns, const Tensor& numbers,
               const CsvOptions& options = {});

}  // namespace cr::io
