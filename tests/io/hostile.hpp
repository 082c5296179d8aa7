// What every reader of files must stand: a file cut short anywhere, and any one byte of it damaged.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "catch.hpp"
#include "tensor/tensor.hpp"

using Parse = std::function<void(const std::string& file)>;

// Is it refused by an IoError of one line that begins with the name "f"?
inline bool refused(const Parse& parse, const std::string& file) {
  try {
    parse(file);
    return false;
  } catch (const cr::IoError& error) {
    const std::string message = error.what();
    CHECK(message.find('\n') == std::string::npos);
    CHECK(message.substr(0, 1) == "f");
    return true;
  }
}

// `whole` is read, and refused when anything is missing at its end.
inline void refuse_every_cut(const std::string& whole, const Parse& parse) {
  REQUIRE_NOTHROW(parse(whole));
  for (size_t length = 0; length < whole.size(); ++length) {
    CAPTURE(length);
    CHECK(refused(parse, whole.substr(0, length)));
  }
}

// Each byte in turn takes other values: the file is read or refused, and nothing else happens. Returns how often it was
// refused.
inline int survive_damage(const std::string& whole, const Parse& parse, int step = 5) {
  int count = 0;
  for (size_t at = 0; at < whole.size(); ++at)
    for (int change = 1; change < 256; change += step) {
      std::string file = whole;
      file[at] = static_cast<char>(file[at] ^ change);
      CAPTURE(at, change);
      count += refused(parse, file);
    }
  return count;
}

template <typename T> std::vector<T> values(const cr::Tensor& x) {
  const auto all = x.span<T>();
  return {all.begin(), all.end()};
}
