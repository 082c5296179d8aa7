// # gzip
//
// A file compressed by `gzip` (RFC 1952): a short header, the data as RFC 1951's *deflate* packs them, their checksum
// and their length. Several such *members*, one behind the other, are a file too, of all their data. Deflate makes at
// most 1032 bytes of one. So a file of a kilobyte that claims to hold a gigabyte lies, and no more memory is asked for
// than it can fill.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "io/bytes.hpp"

namespace cr::io {

// How many bytes deflate can make of `bytes` compressed ones, at most.
constexpr uint64_t inflated_at_most(uint64_t bytes) { return bytes > UINT64_MAX / 1032 ? UINT64_MAX : 1032 * bytes; }

// Does the file begin as gzip files do?
bool is_gzip(Bytes file);

// Decompresses a gzip file piece by piece. `file` must outlive it; `name` is for messages. Throws IoError, one line,
// for damaged data, and when this build has no zlib.
class Gunzip {
 public:
  Gunzip(Bytes file, std::string name);
  ~Gunzip();

  // Fills `out` as far as the data reach; returns how many bytes came.
  size_t read(std::span<std::byte> out);

  // Throws IoError if anything is left, in the file or of the data. Getting here also checks gzip's checksum.
  void expect_end();

 private:
  struct Stream;
  std::unique_ptr<Stream> stream_;
};

// All bytes of a gzip file, of whatever length: up to 1032 times its own, and while memory grows with them three
// times as much.
std::string gunzip(Bytes file, const std::string& name = "gzip");

// The whole of a file, plain or gzip, as its first bytes tell. Throws IoError as `read_file` and `gunzip` do.
std::string read_text(const std::string& path);

}  // namespace cr::io
