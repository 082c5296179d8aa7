// Feeds whatever libFuzzer invents to the CSV reader. It may refuse it with an IoError; anything else is a bug, and so is
// a table that does not add up or whose numbers are not finite.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "io/csv.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  // The first byte chooses the options.
  const cr::io::CsvOptions options{.separator = data[0] & 1 ? ',' : ';', .header = (data[0] & 2) != 0};
  try {
    const auto table = cr::io::parse_csv({reinterpret_cast<const char*>(data) + 1, size - 1}, options);
    size_t text = 0;
    for (int64_t i = 0; i < table.rows(); ++i)
      for (size_t j = 0; j < table.columns().size(); ++j) text += table.cell(i, static_cast<int64_t>(j)).size();
    if (text > size) __builtin_trap();
    for (const std::string& name : table.columns()) try {
        const cr::Tensor numbers = table.numbers(name);
        for (double x : numbers.span<double>())
          if (!std::isfinite(x)) __builtin_trap();
      } catch (const cr::IoError&) {
      }
  } catch (const cr::IoError&) {
  }
  return 0;
}
