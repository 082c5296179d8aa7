#pragma once

#include <cstdlib>
#include <filesystem>
#include <string>

// The folder that holds the data set NAME: CHAINRULE_DATA or a folder in it. Empty if there is none; then SKIP with a word
// about it, at the top level of the test case.
inline std::string real_data(const std::string& name) {
  const char* data = std::getenv("CHAINRULE_DATA");
  if (!data) return "";
  for (const char* below : {"", "/research-only"})
    if (std::filesystem::is_directory(std::string(data) + below + "/" + name)) return std::string(data) + below;
  return "";
}
