// zip: what we write we read; bombs, overlaps and lies are refused.

#include "io/zip.hpp"

#include <cstring>
#include <map>

#include "contains.hpp"
#include "hostile.hpp"
#include "io/atomic_file.hpp"
#include "temporary_folder.hpp"

#if CHAINRULE_LIBZIP

using namespace cr;
using namespace cr::io;
using namespace std::string_literals;

namespace {

// Reads all that an archive holds.
std::map<std::string, std::string> contents(const std::string& file) {
  ZipReader zip(bytes_of(file), "f");
  std::map<std::string, std::string> all;
  for (const ZipEntry& entry : zip.entries()) all[entry.name] = zip.read(entry.name);
  return all;
}
void parse(const std::string& file) { contents(file); }

// One entry of an archive written by hand: what its headers say, and its bytes.
struct Raw {
  std::string name, data;
  uint32_t crc = 0, bytes = 0;
  uint16_t method = 0, flags = 0;
  int at = -1;  // the index of an entry whose header and data it shares
};

// The record at an archive's end.
std::string end_of(size_t entries, size_t directory_bytes, size_t directory_begin) {
  std::string end = "PK\5\6\0\0\0\0"s;
  append_little(end, static_cast<uint16_t>(entries));
  append_little(end, static_cast<uint16_t>(entries));
  append_little(end, static_cast<uint32_t>(directory_bytes));
  append_little(end, static_cast<uint32_t>(directory_begin));
  return end + "\0\0"s;
}

// zip's checksum, bit by bit.
uint32_t crc(const std::string& text) {
  uint32_t crc = ~0u;
  for (char c : text) {
    crc ^= static_cast<unsigned char>(c);
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
  }
  return ~crc;
}

// An archive of such entries.
std::string archive_of(const std::vector<Raw>& entries) {
  std::string file, directory;
  std::vector<uint32_t> offsets;
  for (const Raw& e : entries) {
    std::string fields;
    append_little(fields, uint16_t{20});
    append_little(fields, e.flags);
    append_little(fields, e.method);
    append_little(fields, uint32_t{33} << 16);
    append_little(fields, e.crc);
    append_little(fields, static_cast<uint32_t>(e.data.size()));
    append_little(fields, e.bytes);
    append_little(fields, static_cast<uint16_t>(e.name.size()));
    append_little(fields, uint16_t{0});
    offsets.push_back(e.at < 0 ? static_cast<uint32_t>(file.size()) : offsets[static_cast<size_t>(e.at)]);
    if (e.at < 0) file += "PK\3\4" + fields + e.name + e.data;
    directory += "PK\1\2\x14\0"s + fields + std::string(10, '\0');
    append_little(directory, offsets.back());
    directory += e.name;
  }
  return file + directory + end_of(entries.size(), directory.size(), file.size());
}

const Raw kAbc = {"a", "abc", crc("abc"), 3};

std::string written(const std::map<std::string, std::string>& files, bool deflate = true) {
  TemporaryFolder folder;
  ZipWriter zip(folder / "a.zip");
  for (const auto& [name, bytes] : files) zip.add(name, bytes, deflate);
  zip.commit();
  CHECK(folder.count() == 1);
  return read_file(folder / "a.zip");
}

}  // namespace

TEST_CASE("the bytes of a zip archive, by hand", "[io]") {
  CHECK(contents(archive_of({kAbc})) == std::map<std::string, std::string>{{"a", "abc"}});
  CHECK(contents(archive_of({})).empty());
  // A name in DOS's encoding (code page 437), which we get as UTF-8.
  CHECK(contents(archive_of({{"\x81", "abc", crc("abc"), 3}})).at("ü") == "abc");
}

TEST_CASE("archives come back", "[io]") {
  const std::map<std::string, std::string> files = {
      {"a.txt", "hello"}, {"folder/b", std::string(100000, 'x')}, {"empty", ""}, {"ключ 🔑", "\0\n"s}};
  for (bool deflate : {false, true}) {
    const std::string file = written(files, deflate);
    CHECK(contents(file) == files);
    CHECK(written(files, deflate) == file);
    CHECK((file.size() < 1500) == deflate);
  }
  CHECK(written({}).size() == 22);

  TemporaryFolder folder;
  write_file(folder / "a.zip", written(files));
  ZipReader zip(folder / "a.zip");
  REQUIRE(zip.entries().size() == 4);
  CHECK(zip.entries()[0].name == "a.txt");
  CHECK(zip.entries()[2].bytes == 100000);
  CHECK(zip.entries()[2].compressed_bytes < 200);
  CHECK_THROWS_WITH(zip.read("missing"), ContainsSubstring("has no entry \"missing\""));

  ZipWriter writer(folder / "b.zip");
  writer.add("a", "x");
  CHECK_THROWS_AS(writer.add("a", "y"), IoError);
  CHECK_THROWS_AS(writer.add("", "y"), IoError);
  CHECK_THROWS_AS(writer.add("\xff\xfe", "y"), IoError);
  CHECK_THROWS_WITH(writer.add(std::string(65536, 'x'), "y"), ContainsSubstring("has more than 65535 bytes"));
  writer.add(std::string(65535, 'x'), "y");
  CHECK(folder.count() == 1);
  writer.commit();
  ZipWriter none(folder / "c.zip");
  none.commit();
  for (ZipWriter* done : {&writer, &none}) {
    CHECK_THROWS_WITH(done->commit(), ContainsSubstring("zip is already written"));
    CHECK_THROWS_WITH(done->add("b", "x"), ContainsSubstring("zip is already written"));
  }
  CHECK(ZipReader(folder / "b.zip").entries().size() == 2);
}

TEST_CASE("archives that are cut, damaged or lie are refused", "[io]") {
  for (bool deflate : {false, true}) {
    const std::string whole = written({{"a", "hello hello hello"}, {"b", "x"}}, deflate);
    refuse_every_cut(whole, parse);
    CHECK(survive_damage(whole, parse, 11) > 1000);
  }
  auto refuse = [](const std::string& file, const std::string& why) {
    CHECK(refused(parse, file));
    CHECK_THROWS_WITH(parse(file), ContainsSubstring(why));
  };
  refuse(std::string(100, 'x'), "not a sound zip archive");
  Raw entry = kAbc;
  entry.crc ^= 1;
  refuse(archive_of({entry}), "CRC");
  entry = kAbc, entry.flags = 1;
  refuse(archive_of({entry}), "encrypted");
  entry = kAbc, entry.method = 12;
  refuse(archive_of({entry}), "compressed by method 12");
  entry = kAbc, entry.bytes = 4;
  refuse(archive_of({entry}), "claims 4 bytes");
  entry = kAbc, entry.bytes = 0xfffffff0, entry.method = 8;
  refuse(archive_of({entry}), "claims 4294967280 bytes");
  refuse(archive_of({kAbc, kAbc}), "");  // listed twice: libzip says it
}

TEST_CASE("entries that share bytes are refused", "[io]") {
  // The same header and data, listed again and again.
  std::vector<Raw> shared = {kAbc, kAbc};
  shared[1].at = 0;
  CHECK(refused(parse, archive_of(shared)));
  shared.resize(1000, shared[1]);
  CHECK(refused(parse, archive_of(shared)));

  // D. Fifield's bomb: every entry has a name of its own, and its data begin with the next entry's header. All agree
  // with the directory, and each alone is sound.
  std::vector<Raw> nested;
  std::string data(1000, 'x');
  for (char name = 'a'; name <= 'z'; ++name) {
    nested.insert(nested.begin(), {std::string(1, name), data, crc(data), static_cast<uint32_t>(data.size())});
    const std::string whole = archive_of({nested[0]});
    data = whole.substr(0, 31 + data.size());
  }
  const std::string file = archive_of({nested[0]});
  REQUIRE(contents(file).size() == 1);
  std::string directory, offsets;
  uint32_t offset = 0;
  for (const Raw& entry : nested) {
    const std::string alone = archive_of({entry});
    std::string line = alone.substr(alone.size() - 22 - 47, 47);
    std::memcpy(&line[42], &offset, 4);
    directory += line;
    offset += 31;
  }
  const std::string front = file.substr(0, file.size() - 22 - 47);
  CHECK_THROWS_WITH(parse(front + directory + end_of(26, directory.size(), front.size())),
                    ContainsSubstring("its entries overlap"));
}

TEST_CASE("an archive in an archive is only bytes", "[io]") {
  const std::string inner = written({{"zeros", std::string(10'000'000, '\0')}});
  CHECK(inner.size() < 11000);
  const std::string outer = written({{"inner.zip", inner}});
  CHECK(contents(outer).at("inner.zip") == inner);
  // What is declared is what comes: fewer zeros than the data hold are refused, not cut.
  std::string lying = inner;
  const uint32_t bytes = 10'000'000, less = 9'999'999;
  for (size_t at = 0; at + 4 <= lying.size(); ++at)
    if (std::memcmp(&lying[at], &bytes, 4) == 0) std::memcpy(&lying[at], &less, 4);
  CHECK(refused(parse, lying));
}

TEST_CASE("a directory cannot claim more entries than it has room for", "[io]") {
  // zip64: the end record points to another, which claims 2^32 entries.
  std::string file = archive_of({kAbc});
  const std::string end = file.substr(file.size() - 22);
  file.resize(file.size() - 22);
  const uint64_t directory_bytes = 47, directory = file.size() - directory_bytes, record = file.size();
  file += "PK\6\6"s;
  append_little(file, uint64_t{44});
  append_little(file, uint32_t{45} << 16 | 45);
  append_little(file, uint64_t{0});
  const size_t counts = file.size();
  append_little(file, uint64_t{1});
  append_little(file, uint64_t{1});
  append_little(file, directory_bytes);
  append_little(file, directory);
  file += "PK\6\7\0\0\0\0"s;
  append_little(file, record);
  append_little(file, uint32_t{0});
  file += end;
  CHECK(contents(file).at("a") == "abc");
  for (uint64_t claimed : {uint64_t{1} << 32, uint64_t{1} << 60, ~uint64_t{0}, uint64_t{300}}) {
    std::memcpy(&file[counts], &claimed, 8);
    std::memcpy(&file[counts + 8], &claimed, 8);
    CHECK(refused(parse, file));
  }
}

#else

TEST_CASE("zip archives", "[io]") { SKIP("this build has no libzip"); }

#endif
