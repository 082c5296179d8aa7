// Feeds whatever libFuzzer invents to the reader of event files. It may refuse it with an IoError; anything else is a
// bug. An even first byte means a file as it is; an odd one, the inside of a record, which gets sound checksums.
#include <cstddef>
#include <cstdint>
#include <span>

#include "io/events.hpp"

namespace io = cr::io;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  std::string file(reinterpret_cast<const char*>(data) + 1, size - 1);
  if (data[0] % 2 == 1) {
    std::string record;
    io::append_little(record, uint64_t{file.size()});
    io::append_little(record, io::masked_crc32c(io::bytes_of(record)));
    record += file;
    io::append_little(record, io::masked_crc32c(io::bytes_of(file)));
    file = record;
  }
  try {
    const auto events = io::parse_events(io::bytes_of(file), "events", data[0] % 4 >= 2);
    if (events.size() > file.size()) __builtin_trap();
  } catch (const cr::IoError&) {
  }
  return 0;
}
