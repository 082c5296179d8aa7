#include "io/atomic_file.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <climits>
#include <system_error>
#include <tuple>

#include "tensor/error.hpp"

namespace cr::io {
namespace {

// What the system says about an error number, such as "Permission denied". (Plain `strerror` may not be called from two
// threads at once.)
std::string reason(int error_number) { return std::generic_category().message(error_number); }

constexpr std::string_view kTemporary = ".tmp-";  // and a process id, "-", and a count

std::string folder_of(const std::string& path) {
  size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
}

// Follow symbolic links, so that a linked file is replaced where it really lies and the link stays, and so that a link to
// a file that does not exist yet makes that file. Links that lead nowhere in forty steps are left as they are.
std::string resolve(std::string path) {
  for (int step = 0; step < 40; ++step) {
    char link[PATH_MAX];
    const ssize_t length = ::readlink(path.c_str(), link, sizeof link);
    if (length <= 0 || length == sizeof link) return path;
    const std::string target(link, static_cast<size_t>(length));
    path = target.front() == '/' ? target : folder_of(path) + "/" + target;
  }
  return path;
}

}  // namespace

AtomicFile::AtomicFile(const std::string& path) : path_(path), target_(resolve(path)) {
  // Renaming over a device such as /dev/null would replace it by a file.
  struct stat info;
  const bool exists = ::stat(target_.c_str(), &info) == 0;
  if (exists && !S_ISREG(info.st_mode)) throw IoError("cannot write " + path_ + ": it exists and is not a plain file");

  // The process id and a count keep two writers apart. In a container the same two may come again, and meet what a
  // killed writer left: then the next count will do.
  static std::atomic<unsigned> count{0};
  for (int attempt = 0; descriptor_ < 0; ++attempt) {
    temporary_ = target_ + std::string(kTemporary) + std::to_string(::getpid()) + "-" + std::to_string(count++);
    descriptor_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (descriptor_ < 0 && (errno != EEXIST || attempt == 1000)) {
      const int error_number = errno;
      temporary_.clear();
      fail(error_number);
    }
  }
  // Who may read the old file may read the new one.
  if (exists) std::ignore = ::fchmod(descriptor_, info.st_mode & 07777);
}

AtomicFile::~AtomicFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

void AtomicFile::fail(int error_number) const { throw IoError("cannot write " + path_ + ": " + reason(error_number)); }

void AtomicFile::write(const void* data, size_t bytes) {
  const char* at = static_cast<const char*>(data);
  while (bytes > 0) {
    ssize_t written = ::write(descriptor_, at, bytes);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail(errno);
    at += written;
    bytes -= static_cast<size_t>(written);
  }
}

void AtomicFile::commit() {
  if (::fsync(descriptor_) != 0) fail(errno);
  // Some file systems report a full disk only when the file is closed.
  int closed = ::close(descriptor_);
  descriptor_ = -1;
  if (closed != 0) fail(errno);
  if (::rename(temporary_.c_str(), target_.c_str()) != 0) fail(errno);
  temporary_.clear();

  // The new name is an entry of the folder, which the disk must learn of too. Where folders cannot be opened or synced
  // the file is complete all the same.
  sync_folder(folder_of(target_));
}

void sync_folder(const std::string& folder) {
  const int descriptor = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) return;
  ::fsync(descriptor);
  ::close(descriptor);
}

std::string target_of_temporary(const std::string& path) {
  const size_t at = path.rfind(kTemporary);
  if (at == std::string::npos) return {};
  const std::string rest = path.substr(at + kTemporary.size());
  const size_t middle = rest.find('-');
  auto number = [](const std::string& digits) {
    return !digits.empty() && digits.find_first_not_of("0123456789") == std::string::npos;
  };
  if (middle == std::string::npos || !number(rest.substr(0, middle)) || !number(rest.substr(middle + 1))) return {};
  return path.substr(0, at);
}

void write_file(const std::string& path, std::string_view text) {
  AtomicFile file(path);
  file.write(text);
  file.commit();
}

InputFile::InputFile(const std::string& path) : path_(path) {
  // Without O_NONBLOCK, opening a named pipe would wait for a writer.
  descriptor_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  struct stat info;
  if (descriptor_ < 0 || ::fstat(descriptor_, &info) != 0) {
    int error_number = errno;
    if (descriptor_ >= 0) ::close(descriptor_);
    throw IoError("cannot read " + path + ": " + reason(error_number));
  }
  if (!S_ISREG(info.st_mode)) {
    ::close(descriptor_);
    throw IoError("cannot read " + path + ": not a plain file");
  }
  size_ = static_cast<uint64_t>(info.st_size);
}

InputFile::~InputFile() { ::close(descriptor_); }

void InputFile::read(uint64_t offset, void* data, size_t bytes) const {
  char* at = static_cast<char*>(data);
  while (bytes > 0) {
    ssize_t got = ::pread(descriptor_, at, bytes, static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw IoError("cannot read " + path_ + ": " + reason(errno));
    if (got == 0) throw IoError("cannot read " + path_ + ": the file ends early");
    at += got;
    offset += static_cast<uint64_t>(got);
    bytes -= static_cast<size_t>(got);
  }
}

std::shared_ptr<std::byte> InputFile::map() const {
  if (size_ == 0) return nullptr;
  const auto bytes = static_cast<size_t>(size_);
  void* start = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE, descriptor_, 0);
  if (start == MAP_FAILED) throw IoError("cannot read " + path_ + ": " + reason(errno));
  return {static_cast<std::byte*>(start), [bytes](std::byte* p) { ::munmap(p, bytes); }};
}

std::string read_file(const std::string& path, uint64_t max_bytes) {
  InputFile file(path);
  if (file.size() > max_bytes)
    throw IoError("cannot read " + path + ": " + std::to_string(file.size()) + " bytes, at most " +
                  std::to_string(max_bytes) + " were expected");
  std::string text(static_cast<size_t>(file.size()), '\0');
  file.read(0, text.data(), text.size());
  return text;
}

}  // namespace cr::io
