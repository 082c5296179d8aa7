#include "data/source.hpp"

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "io/gzip.hpp"
#include "tensor/error.hpp"

namespace cr::data {

Source::Source(const std::string& folder, const std::string& name, const std::vector<std::string>& or_else)
    : name_(name) {
  std::string place = folder;
  if (const char* environment = std::getenv("CHAINRULE_DATA"); place.empty() && environment) place = environment;
  if (place.empty())
    throw IoError(name + ": no folder was named, and CHAINRULE_DATA names none; ./run data " + name + " fetches it");
  places_.push_back(place + "/" + name);
  for (const std::string& other : or_else) places_.push_back(place + "/" + other);
  places_.push_back(place);
}

std::string Source::find(const std::string& file) const {
  for (const std::string& place : places_)
    for (const char* ending : {"", ".gz"}) {
      std::error_code ignored;
      const std::string path = place + "/" + file + ending;
      if (std::filesystem::exists(path, ignored)) return path;
    }
  return "";
}

std::string Source::get(const std::string& file) const {
  std::string path = find(file);
  if (path.empty())
    throw IoError(name_ + ": no " + file + " in " + places_.front() + " or " + places_.back() + "; ./run data " +
                  name_ + " fetches the data set, and CHAINRULE_DATA=DIR or --data DIR says where it lies");
  return path;
}

void fail_at(const std::string& path, size_t line, const std::string& what) {
  throw IoError(path + ": line " + std::to_string(line) + ": " + what);
}

// UTF-8 (RFC 3629): the first byte says how many follow; the shortest form is the only one, surrogates and what lies
// beyond U+10FFFF are no characters.
void check_utf8(std::string_view text, const std::string& path) {
  size_t line = 1;
  for (size_t at = 0; at < text.size();) {
    const auto byte = [&](size_t i) { return at + i < text.size() ? static_cast<unsigned char>(text[at + i]) : 0u; };
    const unsigned lead = byte(0);
    if (lead == 0) fail_at(path, line, "a NUL byte");
    line += lead == '\n';
    const size_t length = lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    bool sound = lead < 0x80 || (lead >= 0xC2 && lead <= 0xF4);
    for (size_t i = 1; i < length; ++i) sound = sound && (byte(i) & 0xC0) == 0x80;
    if ((lead == 0xE0 && byte(1) < 0xA0) || (lead == 0xED && byte(1) > 0x9F) || (lead == 0xF0 && byte(1) < 0x90) ||
        (lead == 0xF4 && byte(1) > 0x8F))
      sound = false;
    if (!sound) fail_at(path, line, "a byte that is no UTF-8");
    at += length;
  }
}

std::string read_utf8(const std::string& path) {
  std::string text = io::read_text(path);
  check_utf8(text, path);
  return text;
}

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    if (line.ends_with('\r')) line.remove_suffix(1);
    lines.push_back(line);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

std::vector<std::string_view> words_of(std::string_view text) {
  std::vector<std::string_view> words;
  for (size_t begin = 0; (begin = text.find_first_not_of(' ', begin)) != std::string_view::npos;) {
    const size_t end = std::min(text.find(' ', begin), text.size());
    words.push_back(text.substr(begin, end - begin));
    begin = end;
  }
  return words;
}

}  // namespace cr::data
