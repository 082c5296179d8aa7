// Files of a few hundred bytes that claim gigabytes: every reader must refuse them without having asked for the memory.
// Each is read in a process of its own that may take 64 MB more than it has, so that a reader that believed it would
// fail otherwise than by IoError. And files that do not lie are read within what they account for.

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <fstream>

#include "catch.hpp"
#include "io/atomic_file.hpp"
#include "io/bytes.hpp"
#include "io/events.hpp"
#include "io/gzip.hpp"
#include "io/idx.hpp"
#include "io/npy.hpp"
#include "io/png.hpp"
#include "io/safetensors.hpp"
#include "io/wav.hpp"
#include "io/zip.hpp"
#include "ops/create.hpp"
#include "temporary_folder.hpp"

// The sanitizers reserve terabytes of addresses, and no limit on those can be set.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define CR_TEST_MEMORY 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define CR_TEST_MEMORY 0
#endif
#endif
#ifndef CR_TEST_MEMORY
#define CR_TEST_MEMORY 1
#endif

#if CR_TEST_MEMORY

using namespace cr;
using namespace cr::io;
using namespace std::string_literals;

namespace {

constexpr size_t kMegabyte = 1 << 20;

enum Outcome { kRead, kRefused, kOutOfMemory, kOther };

// What becomes of `read` in a process that may take `bytes` more memory than it has.
template <class F> Outcome outcome(size_t bytes, F read) {
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    size_t pages = 0;
    std::ifstream("/proc/self/statm") >> pages;
    const rlim_t limit = pages * static_cast<size_t>(::sysconf(_SC_PAGESIZE)) + bytes;
    const rlimit both{limit, limit};
    ::setrlimit(RLIMIT_AS, &both);
    ::alarm(20);
    Outcome result = kRead;
    try {
      read();
    } catch (const IoError&) {
      result = kRefused;
    } catch (const OutOfMemory&) {
      result = kOutOfMemory;
    } catch (const std::bad_alloc&) {
      result = kOutOfMemory;
    } catch (...) {
      result = kOther;
    }
    ::_exit(result);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  return WIFEXITED(status) ? static_cast<Outcome>(WEXITSTATUS(status)) : kOther;
}

std::string npy_of(const std::string& shape) {
  const std::string header = "{'descr': '|u1', 'fortran_order': False, 'shape': " + shape + "}";
  std::string file = "\x93NUMPY\x01\x00"s;
  append_little(file, static_cast<uint16_t>(header.size()));
  return file + header + std::string(100, 'x');
}

std::string safetensors_of(const std::string& header, uint64_t length) {
  std::string file;
  append_little(file, length);
  return file + header + std::string(100, '\0');
}

}  // namespace

// clang leaves out a string that nobody looks at, and the memory with it.
void fill(size_t bytes) {
  const std::string text(bytes, 'x');
  [[maybe_unused]] volatile char last = *static_cast<const volatile char*>(&text.back());
}

TEST_CASE("the limit on memory is one", "[io]") {
  CHECK(outcome(64 * kMegabyte, [] { fill(32 * kMegabyte); }) == kRead);
  CHECK(outcome(64 * kMegabyte, [] { fill(128 * kMegabyte); }) == kOutOfMemory);
  CHECK(outcome(64 * kMegabyte, [] { empty({int64_t{1} << 30}); }) == kOutOfMemory);
}

TEST_CASE("small files that claim gigabytes are refused without the memory", "[io]") {
  auto refused = [](const std::string& file, auto parse) {
    return outcome(64 * kMegabyte, [&] { parse(bytes_of(file)); }) == kRefused;
  };
  auto npy = [](Bytes file) { parse_npy(file); };
  CHECK(refused(npy_of("(2000000000,)"), npy));
  CHECK(refused(npy_of("(1, 0, 9000000000000000000, 2)"), npy));
  CHECK(refused("\x93NUMPY\x02\x00\xff\xff\xff\x7f"s + std::string(100, ' '), npy));

  auto safetensors = [](Bytes file) { parse_safetensors(file); };
  CHECK(refused(safetensors_of("{}", 90'000'000), safetensors));
  const std::string entry = R"({"a":{"dtype":"F32","shape":[1000000000],"data_offsets":[0,4000000000]}})";
  CHECK(refused(safetensors_of(entry, entry.size()), safetensors));

  auto idx = [](Bytes file) { parse_idx(file); };
  CHECK(refused("\0\0\x0d\x01\x7f\xff\xff\xff"s + std::string(100, 'x'), idx));

  auto events = [](Bytes file) { parse_events(file); };
  std::string record;
  append_little(record, uint64_t{1} << 33);
  append_little(record, masked_crc32c(bytes_of(record)));
  CHECK(refused(record + std::string(100, 'x'), events));

#if CHAINRULE_ZLIB
  // Just within deflate's best at 4 KB: 4 MB, for which there is room; just beyond it at 2 GB.
  auto text = [](Bytes file) { gunzip(file); };
  std::string gz = "\x1f\x8b\x08\0\0\0\0\0\0\x03"s + std::string(4086, '\0');
  append_little(gz, uint32_t{2'000'000'000});
  CHECK(refused(gz, text));
  CHECK(refused(gz, idx));
#endif

#if CHAINRULE_PNG
  // A picture of 16000 by 2000 pixels, 128 MB as a tensor, of which there is one byte; the checksums are right.
  auto png = [](Bytes file) { parse_png(file); };
  const std::string start = "\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR"s;
  const std::string end = "\0\0\0\x09IDATx\x9c\x63\0\0\0\1\0\1\x5e\xff\x7d\xf9"s;
  CHECK(refused(start + "\0\0\x3e\x80\0\0\x07\xd0\x10\x06\0\0\0"s + "\x20\x9b\xeb\xeb"s + end, png));
#endif

#if CHAINRULE_SNDFILE
  auto wav = [](Bytes file) { parse_wav(file); };
  const std::string format = "fmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x80\x3e\0\0\x02\0\x10\0"s;
  CHECK(refused("RIFF\x80\0\0\0WAVE"s + format + "data\xff\xff\xff\x7f"s + std::string(92, 'x'), wav));
#endif

#if CHAINRULE_LIBZIP
  // A directory of 2^28 entries in a record of 100 bytes (zip64).
  auto zip = [](Bytes file) { ZipReader(file, "zip"); };
  std::string archive = "PK\6\6"s;
  append_little(archive, uint64_t{44});
  append_little(archive, uint32_t{45} << 16 | 45);
  append_little(archive, uint64_t{0});
  for (uint64_t number : {uint64_t{1} << 28, uint64_t{1} << 28, uint64_t{0}, uint64_t{0}})
    append_little(archive, number);
  archive += "PK\6\7"s + std::string(12, '\0') + "\1\0\0\0"s;
  CHECK(refused(archive + "PK\5\6" + std::string(4, '\0') + std::string(12, '\xff') + "\0\0"s, zip));
#endif
}

TEST_CASE("files that do not lie are read within what they account for", "[io]") {
  TemporaryFolder folder;
  const Tensor x = zeros({4 << 20});  // 16 MB
  const size_t megabytes = 16 * kMegabyte, room = 24 * kMegabyte;
  write_npy(folder / "a.npy", x);
  CHECK(outcome(2 * megabytes + room, [&] { read_npy(folder / "a.npy"); }) == kRead);
  save_safetensors(folder / "a.safetensors", {{"x", x}});
  CHECK(outcome(2 * megabytes + room, [&] { load_safetensors(folder / "a.safetensors"); }) == kRead);
  write_idx(folder / "a.idx", x);  // 4 MB there, 16 here
  CHECK(outcome(2 * megabytes + room, [&] { read_idx(folder / "a.idx"); }) == kRead);
#if CHAINRULE_LIBZIP
  write_npz(folder / "a.npz", {{"x", x}}, NpzCompression::deflated);
  CHECK(read_file(folder / "a.npz").size() < 20000);
  CHECK(outcome(2 * megabytes + room, [&] { read_npz(folder / "a.npz"); }) == kRead);
#endif
#if CHAINRULE_PNG
  write_png(folder / "a.png", x.reshape({2048, 2048}));
  CHECK(outcome(2 * megabytes + room, [&] { read_png(folder / "a.png"); }) == kRead);
#endif
#if CHAINRULE_SNDFILE
  write_wav(folder / "a.wav", x, 8000);
  CHECK(outcome(2 * megabytes + room, [&] { read_wav(folder / "a.wav"); }) == kRead);
#endif
}

#endif
