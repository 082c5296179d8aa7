// # Lines that tests speak of
#pragma once

#include <fstream>
#include <string>

// The number of the line of tests/simt/FILE whose comment says "KEY: NAME"; 0 if there is none.
inline int marked_line(const std::string& file, const std::string& key, const std::string& name) {
  std::ifstream source(CHAINRULE_SOURCE_DIR "/tests/simt/" + file);
  const std::string mark = "// " + key + ": " + name;
  std::string line;
  for (int number = 1; std::getline(source, line); ++number) {
    for (size_t at = 0; (at = line.find(mark, at)) != std::string::npos; ++at) {
      const size_t end = at + mark.size();
      if (end == line.size() || line.compare(end, 3, " //") == 0) return number;
    }
  }
  return 0;
}
