#include "book/text.hpp"

#include <fmt/args.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>

namespace cr::book {

std::string fill(std::string_view text, const std::vector<Value>& values) {
  fmt::dynamic_format_arg_store<fmt::format_context> arguments;
  for (const Value& value : values) std::visit([&](const auto& v) { arguments.push_back(v); }, value.is);
  try {
    return fmt::vformat(fmt::string_view(text.data(), text.size()), arguments);
  } catch (const fmt::format_error& e) {
    throw std::logic_error("say: " + std::string(e.what()) + " in: " + std::string(text));
  }
}

std::string show(double value, int digits) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  // 123456 with four digits is 123456, not 1.235e+05.
  if (std::abs(value) >= std::pow(10, digits - 1) && std::abs(value) < 1e9) {
    int before = static_cast<int>(std::floor(std::log10(std::abs(value)))) + 1;
    int behind = std::max(0, digits - before);
    return fmt::format("{:.{}f}", value, behind);
  }
  return fmt::format("{:.{}g}", value, digits);
}

std::string show(const Value& value) {
  if (const auto* integer = std::get_if<int64_t>(&value.is)) return std::to_string(*integer);
  if (const auto* number = std::get_if<double>(&value.is)) return show(*number);
  return std::get<std::string>(value.is);
}

int display_width(std::string_view utf8) {
  int width = 0;
  for (size_t i = 0; i < utf8.size();) {
    unsigned char lead = static_cast<unsigned char>(utf8[i]);
    size_t length = lead < 0x80 ? 1 : lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC0 ? 2 : 1;
    uint32_t code = length == 1 ? lead : lead & (0x7Fu >> length);
    for (size_t k = 1; k < length && i + k < utf8.size(); ++k)
      code = code << 6 | (static_cast<unsigned char>(utf8[i + k]) & 0x3F);
    i += length;
    bool combines =
        (code >= 0x300 && code < 0x370) || (code >= 0x20D0 && code < 0x2100) || code == 0x200B || code == 0xFE0F;
    bool wide = (code >= 0x1100 && code < 0x1160) || (code >= 0x2E80 && code < 0xA4D0) ||
                (code >= 0xAC00 && code < 0xD7A4) || (code >= 0xF900 && code < 0xFB00) ||
                (code >= 0xFF00 && code < 0xFF61) || (code >= 0x1F300 && code < 0x1FA00);
    width += combines ? 0 : wide ? 2 : 1;
  }
  return width;
}

std::string wrap(std::string_view text, int width, std::string_view first, std::string_view indent) {
  std::string out(first), line;
  int room = width - display_width(first);
  auto end_line = [&](bool last) {
    out += line;
    if (last) return;
    out += "\n";
    out += indent;
    line.clear();
    room = width - display_width(indent);
  };
  for (size_t i = 0; i <= text.size();) {
    size_t end = std::min(text.find_first_of(" \n", i), text.size());
    std::string_view word = text.substr(i, end - i);
    if (!word.empty()) {
      int needed = display_width(line) + (line.empty() ? 0 : 1) + display_width(word);
      if (!line.empty() && needed > room) end_line(false);
      if (!line.empty()) line += ' ';
      line += word;
    }
    if (end < text.size() && text[end] == '\n') end_line(false);
    i = end + 1;
  }
  end_line(true);
  return out;
}

// Edit distance with swaps of neighbours (optimal string alignment), row by row.
static size_t distance(std::string_view a, std::string_view b) {
  std::vector<size_t> before(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) row[j] = std::min(row[j], before[j - 2] + 1);
    }
    before.swap(last);
    last.swap(row);
  }
  return last[b.size()];
}

std::string nearest(std::string_view word, const std::vector<std::string>& words) {
  std::string best;
  size_t best_distance = std::max<size_t>(1, word.size() / 3) + 1;
  for (const std::string& candidate : words) {
    size_t d = distance(word, candidate);
    for (size_t length : {word.size(), word.size() + 1}) {  // an abbreviation
      if (word.size() >= 3) d = std::min(d, 1 + distance(word, candidate.substr(0, length)));
    }
    if (d < best_distance) best = candidate, best_distance = d;
  }
  return best;
}

}  // namespace cr::book
