// Feeds whatever libFuzzer invents to the CSV reader. It may refuse it with an IoError; anything else is a bug. The
// first byte chooses the separator, and whether the first row is a header.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "io/csv.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  try {
    const cr::io::CsvTable table =
        cr::io::parse_csv(text, {.separator = ",;\t"[data[0] / 2 % 3], .header = data[0] % 2 == 0});
    size_t bytes = 0;
    const auto columns = static_cast<int64_t>(table.columns().size());
    for (int64_t row = 0; row < table.rows(); ++row)
      for (int64_t column = 0; column < columns; ++column) bytes += table.cell(row, column).size();
    if (bytes > size) __builtin_trap();
    for (const std::string& name : table.columns()) {
      const cr::Tensor x = table.numbers(name);
      for (double value : x.span<double>())
        if (!std::isfinite(value)) __builtin_trap();
    }
  } catch (const cr::IoError&) {
  }
  return 0;
}
