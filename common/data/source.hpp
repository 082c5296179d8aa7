// # Where data lie
//
// What the loaders of real data share: finding the files of a data set, and text that is what it should be. A data set
// NAME lies in the folder DIR/NAME, where `./run data NAME` puts it, or in DIR itself.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace cr::data {

class Source {
 public:
  // Looks in `folder`; if that is empty, where the environment variable CHAINRULE_DATA says. `name` is what `./run data`
  // calls the data set; its folder may also bear one of the names `or_else`. Throws IoError if there is no place to look.
  Source(const std::string& folder, const std::string& name, const std::vector<std::string>& or_else = {});

  // The path of a file, under its name or compressed as NAME.gz, or of a folder. `find` gives "" if there is none; `get`
  // throws IoError, one line: where it was looked for and how to come by it.
  std::string find(const std::string& file) const;
  std::string get(const std::string& file) const;

 private:
  std::string name_;
  std::vector<std::string> places_;
};

// The whole of a text, plain or compressed with gzip. Throws IoError, one line, for a file that is missing or damaged,
// and with the line of a byte that is no UTF-8, or NUL.
std::string read_utf8(const std::string& path);
void check_utf8(std::string_view text, const std::string& path);

// Its lines, without their ends ("\n" or "\r\n"), as parts of `text`. A last line may lack its end.
std::vector<std::string_view> lines_of(std::string_view text);

// Its words, which are what spaces part.
std::vector<std::string_view> words_of(std::string_view text);

// Throws the IoError for line `line`, counted from 1, of a file.
[[noreturn]] void fail_at(const std::string& path, size_t line, const std::string& what);

}  // namespace cr::data
