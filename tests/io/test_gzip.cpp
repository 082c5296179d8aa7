// gzip: text, plain and compressed; and what lies is refused.

#include <cstring>

#include "contains.hpp"
#include "hostile.hpp"
#include "io/atomic_file.hpp"
#include "io/gzip.hpp"
#include "temporary_folder.hpp"

#if CHAINRULE_ZLIB
#include <zlib.h>
#endif

using namespace cr;
using namespace cr::io;

TEST_CASE("plain text is read as it stands", "[io]") {
  TemporaryFolder folder;
  write_file(folder / "a.txt", "hello\n");
  CHECK(read_text(folder / "a.txt") == "hello\n");
  write_file(folder / "empty.txt", "");
  CHECK(read_text(folder / "empty.txt").empty());
  CHECK_THROWS_AS(read_text(folder / "missing.txt"), IoError);
}

#if CHAINRULE_ZLIB

namespace {

std::string gzip(const std::string& text) {
  TemporaryFolder folder;
  gzFile file = gzopen((folder / "a").c_str(), "wb9");
  gzwrite(file, text.data(), static_cast<unsigned>(text.size()));
  gzclose(file);
  return read_file(folder / "a");
}

void parse(const std::string& file) { gunzip(bytes_of(file), "f"); }

}  // namespace

TEST_CASE("compressed text is read", "[io]") {
  TemporaryFolder folder;
  std::string text;
  for (int i = 0; i < 20000; ++i) text += std::to_string(i) + " ";
  for (const std::string& t : {text, std::string("x"), std::string()}) {
    write_file(folder / "a.gz", gzip(t));
    CHECK(read_text(folder / "a.gz") == t);
  }
}

TEST_CASE("a file of several members is all their data", "[io]") {
  const std::string large(300'000, 'x'), file = gzip(large);
  CHECK(gunzip(bytes_of(file + gzip("y"))) == large + "y");
  CHECK(gunzip(bytes_of(gzip("y") + file)) == "y" + large);
  CHECK(gunzip(bytes_of(gzip("") + gzip("a") + gzip("") + gzip("bc") + gzip(""))) == "abc");
  std::string both = file + gzip("yz");
  for (size_t at = file.size(); at < both.size(); ++at)
    CHECK((refused(parse, both.substr(0, at)) == (at > file.size())));
}

TEST_CASE("damaged gzip is refused", "[io]") {
  const std::string whole = gzip("the quick brown fox jumps over the quick brown dog");
  refuse_every_cut(whole, parse);
  CHECK(survive_damage(whole, parse) > 1000);
  CHECK_THROWS_WITH(parse(whole + "x"), ContainsSubstring("f: "));
  CHECK_THROWS_WITH(parse(whole + whole + "x"), "f: something follows the compressed data");
  CHECK_THROWS_WITH(parse(whole + "\x1f\x8b"), ContainsSubstring("end early"));

  // The last four bytes announce the length: too little, too much, and more than the file can hold.
  auto announcing = [&](uint32_t bytes) {
    std::string file = whole;
    std::memcpy(&file[file.size() - 4], &bytes, 4);
    return file;
  };
  CHECK_THROWS_WITH(parse(announcing(49)), ContainsSubstring("damaged"));
  CHECK_THROWS_WITH(parse(announcing(51)), ContainsSubstring("damaged"));
  CHECK_THROWS_WITH(parse(announcing(0xffffffff)), ContainsSubstring("damaged"));
}

TEST_CASE("a bomb of gzip holds what it announces", "[io]") {
  // A megabyte of zeros in a kilobyte is deflate's best, and fair.
  const std::string zeros(1 << 20, '\0'), packed = gzip(zeros);
  CHECK(packed.size() < 1100);
  CHECK(gunzip(bytes_of(packed)) == zeros);
  // Packed twice, the inside is only text.
  CHECK(gunzip(bytes_of(gzip(packed))) == packed);
}

#else

TEST_CASE("gzip files", "[io]") { SKIP("this build has no zlib"); }

TEST_CASE("without zlib compressed text is refused with advice", "[io]") {
  TemporaryFolder folder;
  write_file(folder / "a.gz", "\x1f\x8b\x08");
  CHECK_THROWS_WITH(read_text(folder / "a.gz"), ContainsSubstring("run gunzip on it first"));
}

#endif
