// # What is shown and kept of the measurements
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "measure.hpp"

namespace cr::bench {

// The lines of the table on the terminal.
std::string table_head(bool memory);
std::string table_line(const Row& row, bool memory);

// Means and least ones, beside what this library is to reach: a paragraph of text, empty if nothing was compared.
std::string summary(const std::vector<Row>& rows);

// All of it: rows, machine, versions, date. And back.
nlohmann::ordered_json to_json(const std::vector<Row>& rows, const Plan& plan, const std::string& torch_version);
std::vector<Row> from_json(const nlohmann::ordered_json& results);

// The table as Markdown, with where and when it was measured.
std::string markdown(const nlohmann::ordered_json& results);

// Puts `text` between the lines <!-- bench --> and <!-- /bench --> of a file. Throws Error if it has none.
void put_between_markers(const std::string& file, const std::string& text);

}  // namespace cr::bench
