// # Files that are whole or not there
//
// A program can be stopped at any instruction: Ctrl-C, a full disk, a lost power line. A checkpoint that was half
// overwritten then is worse than none. So a file is written under another name in the same folder, forced to the disk,
// and only then renamed over the old one; POSIX promises that a rename happens at once or not at all. Whoever reads the
// name sees the whole old file or the whole new one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace cr::io {

class AtomicFile {
 public:
  // Begins to write what shall become `path`. A symbolic link is followed. Throws IoError if the folder is missing or
  // cannot be written to, or if `path` is something other than a file.
  explicit AtomicFile(const std::string& path);

  // Without `commit`, the temporary file is removed and `path` stays what it was.
  ~AtomicFile();

  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  // Append. Throws IoError naming the path and the reason, such as "No space left on device".
  void write(const void* data, size_t bytes);
  void write(std::string_view text) { write(text.data(), text.size()); }

  // Force everything to the disk and give the file its name. Nothing may be written afterwards.
  void commit();

 private:
  [[noreturn]] void fail(int error_number) const;

  std::string path_;       // as the caller named it, for messages
  std::string target_;     // behind symbolic links
  std::string temporary_;  // beside the target; empty once committed
  int descriptor_ = -1;
};

// If `path` is the temporary name of a file being written, the name it would have got; else "". A writer that was killed
// leaves such a file behind.
std::string target_of_temporary(const std::string& path);

// Waits until a folder's entries are on the disk; what cannot be synced is left.
void sync_folder(const std::string& folder);

// Write `text` as the whole of `path`, atomically.
void write_file(const std::string& path, std::string_view text);

// The whole of a file. Throws IoError when it cannot be read, is not a plain file, or holds more than `max_bytes`.
std::string read_file(const std::string& path, uint64_t max_bytes = uint64_t{1} << 32);

// An open file of known size, from which any part can be read.
class InputFile {
 public:
  // Throws IoError if there is no such plain file or it may not be read.
  explicit InputFile(const std::string& path);
  ~InputFile();
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;

  uint64_t size() const { return size_; }

  // `bytes` bytes from `offset` on. Throws IoError if the file is too short or the disk fails.
  void read(uint64_t offset, void* data, size_t bytes) const;

  // All of it as memory: the system reads a page of the file when it is first looked at. What is written there stays in
  // this program's copy of the page. The mapping lives as long as the pointer or a copy of it, null for an empty file.
  // Whoever shortens the file in the meantime ends the program that looks behind its new end (SIGBUS); replacing it, as
  // an `AtomicFile` does, or removing it does no harm.
  std::shared_ptr<std::byte> map() const;

 private:
  std::string path_;
  int descriptor_;
  uint64_t size_;
};

}  // namespace cr::io
