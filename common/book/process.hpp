#pragma once

#include <string>
#include <vector>

namespace cr::book {

// The file that the shell would run for `name`, or empty.
std::string find_program(const std::string& name);

// How a program ended: its exit status (128 + n after signal n; 127 if it could not be started) and what it printed.
struct Finished {
  int status = 127;
  std::string out, err;
};

// Runs `command`, of which the first word is a path, without a shell: `input` on its standard input, and its output
// caught. With an `out_file` its standard output goes there and its errors to ours.
Finished run_process(const std::vector<std::string>& command, const std::string& input = {},
                     const std::string& out_file = {});

// Holds a folder, against other programs that would hold it too, until it is destroyed or the program ends, however that
// comes about.
class FolderLock {
 public:
  explicit FolderLock(const std::string& folder);
  ~FolderLock();
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

  // False if another program holds it. A file system that knows no locks lets everybody in.
  bool ours() const { return ours_; }

 private:
  int descriptor_;
  bool ours_ = true;
};

}  // namespace cr::book
