#include "io/npy.hpp"
#include "io/zip.hpp"

namespace cr::io {
namespace {

constexpr std::string_view kSuffix = ".npy";

std::map<std::string, Tensor> arrays_of(const ZipReader& zip, const std::string& name) {
  std::map<std::string, Tensor> arrays;
  for (const ZipEntry& entry : zip.entries()) {
    if (!std::string_view(entry.name).ends_with(kSuffix))
      throw IoError(name + ": not a sound npz file: its entry " + quote(entry.name) + " is no .npy");
    arrays[entry.name.substr(0, entry.name.size() - kSuffix.size())] =
        parse_npy(bytes_of(zip.read(entry.name)), name + "/" + entry.name);
  }
  return arrays;
}

}  // namespace

std::map<std::string, Tensor> read_npz(const std::string& path) { return arrays_of(ZipReader(path), path); }

std::map<std::string, Tensor> parse_npz(Bytes file, const std::string& name) {
  return arrays_of(ZipReader(file, name), name);
}

void write_npz(const std::string& path, const std::map<std::string, Tensor>& arrays, NpzCompression compression) {
  ZipWriter zip(path);
  for (const auto& [name, x] : arrays)
    zip.add(name + std::string(kSuffix), encode_npy(x, path + "/" + name), compression == NpzCompression::deflated);
  zip.commit();
}

}  // namespace cr::io
