#include "io/gzip.hpp"

#include <algorithm>

#include "io/atomic_file.hpp"

#if CHAINRULE_ZLIB
#include <zlib.h>
#endif

namespace cr::io {

bool is_gzip(Bytes file) { return file.size() >= 2 && file[0] == std::byte{0x1f} && file[1] == std::byte{0x8b}; }

#if CHAINRULE_ZLIB

struct Gunzip::Stream {
  Bytes file;
  std::string name;
  z_stream z{};
  size_t used = 0;
  bool ended = false;

  [[noreturn]] void damaged(const std::string& what) const { throw IoError(name + ": " + what); }
};

Gunzip::Gunzip(Bytes file, std::string name) : stream_(new Stream{file, std::move(name)}) {
  constexpr int kGzip = 16;  // added to the window's logarithm, this asks for gzip's header and checksum
  if (inflateInit2(&stream_->z, 15 + kGzip) != Z_OK) throw OutOfMemory("no memory to decompress " + stream_->name);
}

Gunzip::~Gunzip() { inflateEnd(&stream_->z); }

size_t Gunzip::read(std::span<std::byte> out) {
  Stream& s = *stream_;
  size_t done = 0;
  while (done < out.size() && !s.ended) {
    // zlib counts in 32 bits.
    constexpr size_t kMost = 1 << 30;
    const size_t in = std::min(kMost, s.file.size() - s.used), room = std::min(kMost, out.size() - done);
    s.z.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(s.file.data() + s.used));
    s.z.avail_in = static_cast<uInt>(in);
    s.z.next_out = reinterpret_cast<Bytef*>(out.data() + done);
    s.z.avail_out = static_cast<uInt>(room);
    const int status = inflate(&s.z, Z_NO_FLUSH);
    s.used += in - s.z.avail_in;
    done += room - s.z.avail_out;
    if (status == Z_MEM_ERROR) throw OutOfMemory("no memory to decompress " + s.name);
    if (status == Z_STREAM_END) {
      s.ended = !is_gzip(s.file.subspan(s.used));
      if (!s.ended) inflateReset(&s.z);  // another member
    } else if (status == Z_BUF_ERROR && s.used == s.file.size()) {
      s.damaged("the compressed data end early");
    } else if (status != Z_OK && status != Z_BUF_ERROR) {
      s.damaged("the compressed data are damaged");
    }
  }
  return done;
}

void Gunzip::expect_end() {
  std::byte one;
  if (read({&one, 1}) != 0) stream_->damaged("the compressed data are longer than announced");
  if (!stream_->ended || stream_->used != stream_->file.size())
    stream_->damaged("something follows the compressed data");
}

#else

struct Gunzip::Stream {};
Gunzip::Gunzip(Bytes, std::string name) {
  throw IoError(name + ": compressed, and this build has no zlib: run gunzip on it first");
}
Gunzip::~Gunzip() = default;
size_t Gunzip::read(std::span<std::byte>) { return 0; }
void Gunzip::expect_end() {}

#endif

std::string gunzip(Bytes file, const std::string& name) {
  Gunzip stream(file, name);
  if (file.size() < 18) throw IoError(name + ": the compressed data end early");
  // The last four bytes are the length of the last member, so of most files: a guess, but of no more than can come.
  // Then we grow as the data do.
  const uint64_t guess = load_little<uint32_t>(file.data() + file.size() - 4);
  std::string text(static_cast<size_t>(std::min(guess, inflated_at_most(file.size()))), '\0');
  size_t done = 0;
  for (std::byte more;; text[done++] = static_cast<char>(more)) {
    done += stream.read(std::as_writable_bytes(std::span(text)).subspan(done));
    if (done < text.size() || stream.read({&more, 1}) == 0) break;
    text.resize(text.size() + text.size() / 2 + (1 << 16));
  }
  stream.expect_end();
  text.resize(done);
  return text;
}

std::string read_text(const std::string& path) {
  std::string file = read_file(path, uint64_t{1} << 34);
  return is_gzip(bytes_of(file)) ? gunzip(bytes_of(file), path) : file;
}

}  // namespace cr::io
