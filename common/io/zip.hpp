// # zip
//
// An archive: files one behind the other, each compressed on its own, and at the end a directory that says where each
// begins (PKWARE's APPNOTE.TXT). libzip reads and writes it; this file is about what it is made to refuse. A zip file
// is the classic bomb: its directory may list one stretch of bytes a million times, or claim what no memory holds.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "io/bytes.hpp"

namespace cr::io {

struct ZipEntry {
  std::string name;
  uint64_t bytes;             // as declared, checked when it is read
  uint64_t compressed_bytes;  // in the archive
};

// An archive that was read into memory.
class ZipReader {
 public:
  // Throws IoError, one line, for a file that is missing or damaged; for entries that are encrypted, compressed by
  // anything but deflate, listed twice, that claim more than 1032 times their compressed bytes (deflate's best), or
  // that together have more compressed bytes than the file and so must share some; and when this build has no libzip.
  explicit ZipReader(const std::string& path);

  // The same for an archive in memory, which must outlive the reader; `name` stands for the path in messages.
  ZipReader(Bytes file, const std::string& name);

  ~ZipReader();

  // In the order of the archive. Folders are entries with names that end in "/".
  const std::vector<ZipEntry>& entries() const { return entries_; }

  // The bytes of an entry. Throws IoError if there is none of this name, if it is damaged, or if it has not exactly the
  // size it declares.
  std::string read(const std::string& entry) const;

 private:
  struct Archive;
  void open(Bytes file);

  std::string name_, file_;
  std::unique_ptr<Archive> archive_;
  std::vector<ZipEntry> entries_;
};

// An archive to be written. Nothing is on the disk before `commit`, which replaces `path` atomically. Entries bear no
// times, so equal contents give equal bytes.
class ZipWriter {
 public:
  // Throws IoError when this build has no libzip.
  explicit ZipWriter(const std::string& path);
  ~ZipWriter();

  // Throws IoError for a name that is empty, longer than 65535 bytes, not UTF-8 or there already; and Error after
  // `commit`.
  void add(const std::string& name, std::string bytes, bool deflate = true);

  // Once. Throws IoError if the file cannot be written, and Error if it is already.
  void commit();

 private:
  struct Archive;
  std::string path_;
  std::unique_ptr<Archive> archive_;
};

}  // namespace cr::io
