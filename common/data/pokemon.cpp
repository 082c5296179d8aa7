#include "data/pokemon.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <set>

#include "io/csv.hpp"

namespace cr::data {
namespace {

std::string find_table(const std::string& folder) {
  for (const char* file : {"Pokemon.csv", "pokemon_data.csv"})
    for (const std::string& place : {folder + "/pokemon/", folder + "/"}) {
      std::error_code ignored;
      if (std::filesystem::exists(place + file, ignored)) return place + file;
    }
  throw IoError("pokemon: no Pokemon.csv in " + folder + "/pokemon or " + folder +
                "; put it there or say --data DIR or CHAINRULE_DATA=DIR");
}

// A column whose values are all whole numbers from `low` to `high`.
Tensor whole_numbers(const io::CsvTable& table, const std::string& column, double low, double high) {
  Tensor numbers = table.numbers(column);
  for (int64_t row = 0; row < table.rows(); ++row) {
    const double value = numbers.data<double>()[row];
    if (value != std::floor(value) || value < low || value > high)
      throw IoError(table.name() + ": line " + std::to_string(table.line(row)) + ": " + column + " is " +
                    std::string(table.cell(row, table.column(column))) + ", not a whole number from " +
                    std::to_string(static_cast<int>(low)) + " to " + std::to_string(static_cast<int>(high)));
  }
  return numbers;
}

// One of the files writes " " for "none", the other "".
std::string without_spaces(std::string text) {
  text.erase(0, text.find_first_not_of(' '));
  text.erase(text.find_last_not_of(' ') + 1);
  return text;
}

std::vector<std::string> words(const io::CsvTable& table, const std::string& column, bool may_be_empty) {
  std::vector<std::string> values = table.strings(column);
  for (size_t row = 0; row < values.size(); ++row) {
    values[row] = without_spaces(values[row]);
    if (values[row].empty() && !may_be_empty)
      throw IoError(table.name() + ": line " + std::to_string(table.line(static_cast<int64_t>(row))) + ": no " +
                    column);
  }
  return values;
}

Tensor places(const std::vector<std::string>& values, const std::vector<std::string>& types) {
  Tensor result = empty({static_cast<int64_t>(values.size())}, DType::int64);
  int64_t* out = result.mutable_data<int64_t>();
  for (const std::string& value : values)
    *out++ = value.empty() ? -1 : std::lower_bound(types.begin(), types.end(), value) - types.begin();
  return result;
}

}  // namespace

Pokemon pokemon(const std::string& folder) {
  std::string place = folder;
  if (const char* environment = std::getenv("CHAINRULE_DATA"); place.empty() && environment) place = environment;
  if (place.empty())
    throw IoError(
        "pokemon: no place to look in; say --data DIR or CHAINRULE_DATA=DIR, where DIR/pokemon holds Pokemon.csv");
  const io::CsvTable table = io::read_csv(find_table(place));
  if (table.rows() == 0) throw IoError(table.name() + ": a table without rows");

  // The two files name their columns differently, and only one tells forms of the same creature apart by a column.
  const auto& columns = table.columns();
  const auto has = [&](const char* name) { return std::find(columns.begin(), columns.end(), name) != columns.end(); };
  const std::string space = has("Type 1") ? " " : "";
  Pokemon result;
  result.names = words(table, "Name", false);
  if (has("Form")) {
    const std::vector<std::string> forms = words(table, "Form", true);
    for (size_t i = 0; i < forms.size(); ++i)
      if (!forms[i].empty()) result.names[i] += " (" + forms[i] + ")";
  }

  const std::vector<std::string> first = words(table, "Type" + space + "1", false);
  const std::vector<std::string> second = words(table, "Type" + space + "2", true);
  std::set<std::string> types(first.begin(), first.end());
  types.insert(second.begin(), second.end());
  types.erase("");
  result.types.assign(types.begin(), types.end());
  result.type1 = places(first, result.types);
  result.type2 = places(second, result.types);

  const int64_t n = table.rows(), width = static_cast<int64_t>(kPokemonStats.size());
  result.stats = empty({n, width}, DType::float64);
  double* stats = result.stats.mutable_data<double>();
  for (int64_t j = 0; j < width; ++j) {
    const Tensor column = whole_numbers(table, kPokemonStats[static_cast<size_t>(j)], 1, 255);
    for (int64_t i = 0; i < n; ++i) stats[i * width + j] = column.data<double>()[i];
  }
  result.generation = whole_numbers(table, "Generation", 1, 99).to(DType::int64);
  return result;
}

}  // namespace cr::data
