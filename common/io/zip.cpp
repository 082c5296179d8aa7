#include "io/zip.hpp"

#include <deque>
#include <set>

#include "io/atomic_file.hpp"
#include "io/gzip.hpp"

#if CHAINRULE_LIBZIP
#include <zip.h>
#endif

namespace cr::io {

#if CHAINRULE_LIBZIP

namespace {

[[noreturn]] void damaged(const std::string& file, const std::string& what) {
  throw IoError(file + ": not a sound zip archive: " + what);
}

// An error of libzip's, in its words.
struct ZipError {
  zip_error_t error;
  ZipError() { zip_error_init(&error); }
  ~ZipError() { zip_error_fini(&error); }
  ZipError(const ZipError&) = delete;
  ZipError& operator=(const ZipError&) = delete;
  std::string text() { return zip_error_strerror(&error); }
};

}  // namespace

struct ZipReader::Archive {
  zip_t* zip;
  ~Archive() { zip_discard(zip); }
};

ZipReader::ZipReader(const std::string& path) : name_(path), file_(read_file(path, uint64_t{1} << 34)) {
  open(bytes_of(file_));
}

ZipReader::ZipReader(Bytes file, const std::string& name) : name_(name) { open(file); }

void ZipReader::open(Bytes file) {
  if (file.size() < 22) damaged(name_, "it has only " + std::to_string(file.size()) + " bytes");

  // With ZIP_CHECKCONS libzip compares the directory with the header before each entry's data. It believes no number of
  // entries that the directory has no room for.
  ZipError error;
  zip_source_t* source = zip_source_buffer_create(file.data(), file.size(), 0, &error.error);
  if (!source) throw OutOfMemory("no memory to open " + name_);
  zip_t* zip = zip_open_from_source(source, ZIP_RDONLY | ZIP_CHECKCONS, &error.error);
  if (!zip) {
    zip_source_free(source);
    if (zip_error_code_zip(&error.error) == ZIP_ER_MEMORY) throw OutOfMemory("no memory to open " + name_);
    damaged(name_, error.text());
  }
  archive_.reset(new Archive{zip});

  // Every entry takes its compressed bytes, a header of 30 bytes and one of 46, and its name in both. Entries that
  // share bytes can claim together more than there are; those that fit side by side are harmless, wherever they lie.
  uint64_t taken = 22;
  std::set<std::string> names;
  for (zip_int64_t i = 0; i < zip_get_num_entries(zip, 0); ++i) {
    zip_stat_t stat;
    zip_stat_init(&stat);
    constexpr zip_uint64_t kNeeded =
        ZIP_STAT_NAME | ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE | ZIP_STAT_COMP_METHOD | ZIP_STAT_ENCRYPTION_METHOD;
    if (zip_stat_index(zip, static_cast<zip_uint64_t>(i), 0, &stat) != 0 || (stat.valid & kNeeded) != kNeeded)
      damaged(name_, "entry " + std::to_string(i) + " lacks its name or size");
    const std::string entry = "entry " + quote(stat.name);
    if (!names.insert(stat.name).second) damaged(name_, entry + " comes twice");
    if (stat.encryption_method != ZIP_EM_NONE) throw IoError(name_ + ": " + entry + " is encrypted");
    if (stat.comp_method != ZIP_CM_STORE && stat.comp_method != ZIP_CM_DEFLATE)
      throw IoError(name_ + ": " + entry + " is compressed by method " + std::to_string(stat.comp_method) +
                    "; known are 0 (stored) and 8 (deflate)");
    const bool stored = stat.comp_method == ZIP_CM_STORE;
    if (stored ? stat.size != stat.comp_size : stat.size > inflated_at_most(stat.comp_size))
      damaged(name_, entry + " claims " + std::to_string(stat.size) + " bytes, more or less than " +
                         std::to_string(stat.comp_size) + " compressed ones can hold");
    if (stat.comp_size > file.size()) damaged(name_, entry + " is longer than the archive");
    const char* raw_name = zip_get_name(zip, static_cast<zip_uint64_t>(i), ZIP_FL_ENC_RAW);
    taken += stat.comp_size + 30 + 46 + 2 * std::strlen(raw_name ? raw_name : "");
    if (taken > file.size()) damaged(name_, "its entries overlap");
    entries_.push_back({stat.name, stat.size, stat.comp_size});
  }
}

std::string ZipReader::read(const std::string& entry) const {
  const auto found = std::find_if(entries_.begin(), entries_.end(), [&](const ZipEntry& e) { return e.name == entry; });
  if (found == entries_.end()) throw IoError(name_ + ": has no entry " + quote(entry));
  const auto index = static_cast<zip_uint64_t>(found - entries_.begin());
  std::unique_ptr<zip_file_t, int (*)(zip_file_t*)> file(zip_fopen_index(archive_->zip, index, 0), zip_fclose);
  if (!file) damaged(name_, "entry " + quote(entry) + ": " + zip_strerror(archive_->zip));

  // One byte more than declared is asked for: only at the end does libzip compare the checksum.
  std::string bytes(static_cast<size_t>(found->bytes), '\0');
  size_t done = 0;
  char beyond;
  for (;;) {
    const bool full = done == bytes.size();
    const zip_int64_t got = zip_fread(file.get(), full ? &beyond : &bytes[done], full ? 1 : bytes.size() - done);
    if (got < 0) damaged(name_, "entry " + quote(entry) + ": " + zip_file_strerror(file.get()));
    if (got == 0) break;
    if (full) damaged(name_, "entry " + quote(entry) + " is longer than it declares");
    done += static_cast<size_t>(got);
  }
  if (done < bytes.size()) damaged(name_, "entry " + quote(entry) + " is shorter than it declares");
  return bytes;
}

// libzip reads what is to be compressed when the archive is closed: until then we keep it. The archive is made in
// memory, in a source that is read back at the end.
struct ZipWriter::Archive {
  zip_source_t* target = nullptr;
  zip_t* zip = nullptr;
  std::deque<std::string> contents;

  ~Archive() {
    if (zip) zip_discard(zip);
    if (target) zip_source_free(target);
  }
};

ZipWriter::ZipWriter(const std::string& path) : path_(path), archive_(new Archive) {
  archive_->target = zip_source_buffer_create(nullptr, 0, 0, nullptr);
  if (!archive_->target) throw OutOfMemory("no memory to write " + path);
  zip_source_keep(archive_->target);  // once for us, once for the archive
  ZipError error;
  archive_->zip = zip_open_from_source(archive_->target, ZIP_CREATE | ZIP_TRUNCATE, &error.error);
  if (!archive_->zip) {
    zip_source_free(archive_->target);
    throw IoError("cannot write " + path + ": " + error.text());
  }
}

ZipWriter::~ZipWriter() = default;

void ZipWriter::add(const std::string& name, std::string bytes, bool deflate) {
  if (!archive_->zip) throw Error("ZipWriter: " + path_ + " is already written");
  auto fail = [&] { throw IoError("cannot write " + path_ + ": " + quote(name) + ": " + zip_strerror(archive_->zip)); };
  if (name.empty() || name.find('\0') != name.npos)
    throw IoError("cannot write " + path_ + ": an entry's name is empty or has a zero byte");
  if (name.size() > 65535)  // its length has 16 bits
    throw IoError("cannot write " + path_ + ": " + quote(name) + " has more than 65535 bytes");
  const std::string& kept = archive_->contents.emplace_back(std::move(bytes));
  zip_source_t* source = zip_source_buffer(archive_->zip, kept.data(), kept.size(), 0);
  if (!source) fail();
  const zip_int64_t index = zip_file_add(archive_->zip, name.c_str(), source, ZIP_FL_ENC_UTF_8);
  if (index < 0) {
    zip_source_free(source);
    fail();
  }
  const auto i = static_cast<zip_uint64_t>(index);
  // The earliest time that the format can say: 1 January 1980.
  if (zip_set_file_compression(archive_->zip, i, deflate ? ZIP_CM_DEFLATE : ZIP_CM_STORE, 0) != 0 ||
      zip_file_set_dostime(archive_->zip, i, 0, (1 << 5) | 1, 0) != 0)
    fail();
}

void ZipWriter::commit() {
  Archive& archive = *archive_;
  if (!archive.zip) throw Error("ZipWriter: " + path_ + " is already written");
  AtomicFile file(path_);
  // An archive without entries is nothing at all to libzip; the end of an empty directory is the empty zip file.
  if (archive.contents.empty()) {
    file.write(std::string("PK\x05\x06", 4) + std::string(18, '\0'));
    file.commit();
    zip_discard(archive.zip);
    archive.zip = nullptr;
    return;
  }
  if (zip_close(archive.zip) != 0) throw IoError("cannot write " + path_ + ": " + zip_strerror(archive.zip));
  archive.zip = nullptr;
  if (zip_source_open(archive.target) != 0) throw IoError("cannot write " + path_ + ": the archive was lost");
  char piece[1 << 16];
  zip_int64_t got;
  while ((got = zip_source_read(archive.target, piece, sizeof piece)) > 0) file.write(piece, static_cast<size_t>(got));
  zip_source_close(archive.target);
  if (got < 0) throw IoError("cannot write " + path_ + ": the archive was lost");
  file.commit();
}

#else

struct ZipReader::Archive {};
struct ZipWriter::Archive {};
ZipReader::ZipReader(const std::string& path) { throw IoError(path + ": a zip archive, and this build has no libzip"); }
ZipReader::ZipReader(Bytes, const std::string& name) : ZipReader(name) {}
void ZipReader::open(Bytes) {}
std::string ZipReader::read(const std::string&) const { return {}; }
ZipWriter::ZipWriter(const std::string& path) { throw IoError("cannot write " + path + ": this build has no libzip"); }
ZipWriter::~ZipWriter() = default;
void ZipWriter::add(const std::string&, std::string, bool) {}
void ZipWriter::commit() {}

#endif

ZipReader::~ZipReader() = default;

}  // namespace cr::io
