#include "io/safetensors.hpp"

#include <algorithm>
#include <bit>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <regex>
#include <set>
#include <string_view>
#include <vector>

#include "io/atomic_file.hpp"
#include "io/bytes.hpp"

namespace cr::io {
namespace {

static_assert(std::endian::native == std::endian::little, "safetensors files are little-endian, and so must we be");

using Json = nlohmann::json;

// The reference implementation's limit on the header.
constexpr uint64_t kMaxHeader = 100'000'000;
constexpr size_t kMaxRank = 32;

// Where the bytes come from: `read(offset, destination, bytes)`, always within the size that was announced; and, if the
// file is mapped, its memory.
struct Source {
  std::function<void(uint64_t, void*, size_t)> read;
  std::shared_ptr<std::byte> memory = {};
};

// How an element lies in the file and what it becomes here. Where `widen` is set the two differ: it turns `n` elements
// of the file into int64.
struct Type {
  uint64_t bytes;
  DType dtype = DType::float32;
  void (*widen)(int64_t n, const char* from, int64_t* to) = nullptr;
};

template <class T> void widen(int64_t n, const char* from, int64_t* to) {
  for (int64_t i = 0; i < n; ++i) {
    T value;
    std::memcpy(&value, from + static_cast<size_t>(i) * sizeof(T), sizeof(T));
    to[i] = value;
  }
}

const Type* type_named(const std::string& name) {
  static const std::map<std::string, Type> kTypes = {
      {"F32", {4, DType::float32}},
      {"F64", {8, DType::float64}},
      {"I64", {8, DType::int64}},
      {"BOOL", {1, DType::boolean}},
      {"U8", {1, DType::int64, widen<uint8_t>}},
      {"I8", {1, DType::int64, widen<int8_t>}},
      {"I16", {2, DType::int64, widen<int16_t>}},
      {"I32", {4, DType::int64, widen<int32_t>}},
      {"F16", {2, DType::float16}},
      {"BF16", {2, DType::bfloat16}},
  };
  auto found = kTypes.find(name);
  return found == kTypes.end() ? nullptr : &found->second;
}

// One tensor's line of the header, checked.
struct Entry {
  std::string name, type_name;
  const Type* type;  // none if it is none of ours
  Shape shape;
  uint64_t begin, end;  // bytes from the end of the header
};

[[noreturn]] void damaged(const std::string& file, const std::string& what, const char* kind = "safetensors file") {
  throw IoError(file + ": not a sound " + kind + ": " + what);
}

constexpr const char* kIndex = "index of safetensors files";

// JSON allows a key to come twice, and readers differ in which one they take: refuse it. And nothing in a header or an
// index is nested deeper than three levels. This looks at a text word by word and keeps only the keys of the objects
// that it is in.
class JsonCheck : public nlohmann::json_sax<Json> {
 public:
  JsonCheck(const std::string& file, const char* kind) : file_(file), kind_(kind) {}

  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool string(string_t&) override { return true; }
  bool binary(binary_t&) override { return true; }
  bool start_object(size_t) override { return open(); }
  bool start_array(size_t) override { return open(); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }
  bool key(string_t& name) override {
    if (!keys_.back().insert(name).second) damaged(file_, "it names " + quote(name) + " twice", kind_);
    return true;
  }
  bool parse_error(size_t, const std::string&, const Json::exception&) override { return false; }

 private:
  bool open() {
    if (keys_.size() == 4) damaged(file_, "its JSON is nested too deeply", kind_);
    keys_.emplace_back();
    return true;
  }
  bool close() {
    keys_.pop_back();
    return true;
  }

  const std::string& file_;
  const char* kind_;
  std::vector<std::set<std::string>> keys_;  // of the objects and arrays that are open; an array has none
};

// Parse the text of a header or an index. The parser takes a zero byte for the end.
Json parse_json(const std::string& text, const std::string& file, const char* kind = "safetensors file") {
  JsonCheck check(file, kind);
  if (text.find('\0') != text.npos || !Json::sax_parse(text, &check))
    damaged(file, "its description is not JSON", kind);
  Json json = Json::parse(text);
  if (!json.is_object()) damaged(file, "its description is not a JSON object", kind);
  return json;
}

uint64_t unsigned_at(const Json& list, size_t i, const std::string& file, const std::string& name) {
  const Json& value = list[i];
  if (!value.is_number_unsigned() || value.get<uint64_t>() > uint64_t{1} << 62)
    damaged(file, name + " has a size or offset that is no whole number below 2^62");
  return value.get<uint64_t>();
}

Entry parse_entry(const std::string& key, const Json& json, uint64_t buffer_bytes, const std::string& file,
                  UnknownTypes unknown) {
  const std::string name = "tensor " + quote(key);
  if (!json.is_object() || !json.contains("dtype") || !json["dtype"].is_string() || !json.contains("shape") ||
      !json["shape"].is_array() || !json.contains("data_offsets") || !json["data_offsets"].is_array() ||
      json["data_offsets"].size() != 2)
    damaged(file, name + " lacks its dtype, shape or data_offsets");

  const std::string type_name = json["dtype"];
  const Type* type = type_named(type_name);
  if (!type && unknown == UnknownTypes::refuse) {
    throw IoError(file + ": " + name + " has elements of type " + quote(type_name) +
                  "; known are F64, F32, F16, BF16, I64, I32, I16, I8, U8, BOOL");
  }

  // The sizes multiply to a number of bytes that may overflow: a size of 0 counts as 1 here, since strides are products
  // of the other sizes and must not overflow either.
  const Json& sizes = json["shape"];
  if (sizes.size() > kMaxRank) damaged(file, name + " has more than 32 dimensions");
  Shape shape;
  // what an element takes here, or in the file if that is more
  const uint64_t widest = type ? std::max(static_cast<uint64_t>(size_of(type->dtype)), type->bytes) : 1;
  uint64_t bytes = widest;
  bool empty = false;
  for (size_t d = 0; d < sizes.size(); ++d) {
    uint64_t size = unsigned_at(sizes, d, file, name);
    shape.push_back(static_cast<int64_t>(size));
    empty = empty || size == 0;
    if (__builtin_mul_overflow(bytes, std::max<uint64_t>(size, 1), &bytes) || bytes > uint64_t{1} << 62)
      damaged(file, name + " has more elements than memory can address");
  }

  const uint64_t begin = unsigned_at(json["data_offsets"], 0, file, name);
  const uint64_t end = unsigned_at(json["data_offsets"], 1, file, name);
  if (begin > end || end > buffer_bytes) damaged(file, name + " lies beyond the end of the file");
  if (!type) return {key, type_name, type, shape, begin, end};  // its elements may be smaller than a byte
  bytes = empty ? 0 : bytes / widest * type->bytes;
  if (end - begin != bytes)
    damaged(file, name + " of shape " + to_string(shape) + " takes " + std::to_string(bytes) + " bytes, not " +
                      std::to_string(end - begin));
  return {key, type_name, type, shape, begin, end};
}

// The tensor that lies at `place` of a mapped file, without a copy: possible if it lies as its type has to.
std::optional<Tensor> in_place(const Source& source, uint64_t place, const Entry& entry) {
  const auto size = static_cast<uint64_t>(size_of(entry.type->dtype)), bytes = entry.end - entry.begin;
  if (!source.memory || entry.type->widen || place % size != 0 || bytes == 0) return {};
  using Mapping = std::shared_ptr<std::byte>;
  auto let_go = [](void* mapping) { delete static_cast<Mapping*>(mapping); };
  return from_storage(Storage::wrap(source.memory.get() + place, static_cast<int64_t>(bytes), Device::cpu, let_go,
                                    new Mapping(source.memory)),
                      entry.shape, entry.type->dtype);
}

Tensor copied(const Source& source, uint64_t place, const Entry& entry) {
  Tensor x = empty(entry.shape, entry.type->dtype);
  const auto bytes = static_cast<size_t>(entry.end - entry.begin);
  if (entry.type->widen) {
    // A piece at a time, so that the tensor alone takes memory.
    std::vector<char> narrow(std::min<size_t>(bytes, 1 << 16));
    int64_t* out = x.mutable_data<int64_t>();
    for (size_t done = 0; done < bytes; done += narrow.size()) {
      const size_t piece = std::min(narrow.size(), bytes - done);
      const auto n = static_cast<int64_t>(piece / entry.type->bytes);
      source.read(place + done, narrow.data(), piece);
      entry.type->widen(n, narrow.data(), out);
      out += n;
    }
  } else {
    source.read(place, x.impl()->storage->data(), bytes);
  }
  return x;
}

SafeTensors parse(const Source& source, uint64_t file_bytes, const std::string& file, UnknownTypes unknown) {
  uint64_t header_bytes = 0;
  if (file_bytes < sizeof header_bytes) damaged(file, "it has only " + std::to_string(file_bytes) + " bytes");
  source.read(0, &header_bytes, sizeof header_bytes);
  if (header_bytes > kMaxHeader) damaged(file, "its header claims more than 100 MB");
  if (header_bytes > file_bytes - sizeof header_bytes) damaged(file, "its header claims more bytes than there are");
  std::string text(static_cast<size_t>(header_bytes), '\0');
  source.read(sizeof header_bytes, text.data(), text.size());
  const uint64_t buffer_begin = sizeof header_bytes + header_bytes, buffer_bytes = file_bytes - buffer_begin;

  const Json header = parse_json(text, file);
  SafeTensors result;
  std::vector<Entry> entries;
  for (const auto& [key, value] : header.items()) {
    if (key != "__metadata__") {
      entries.push_back(parse_entry(key, value, buffer_bytes, file, unknown));
      continue;
    }
    if (!value.is_object()) damaged(file, "its metadata is not a JSON object");
    for (const auto& [word, meaning] : value.items()) {
      if (!meaning.is_string()) damaged(file, "its metadata holds something other than text");
      result.metadata[word] = meaning;
    }
  }

  // In order of their place the tensors must follow one another without gap or overlap, up to the end of the file: a
  // thousand names for the same gigabyte would fill the memory of a reader that believed them.
  std::sort(entries.begin(), entries.end(),
            [](const Entry& a, const Entry& b) { return std::pair(a.begin, a.end) < std::pair(b.begin, b.end); });
  uint64_t expected = 0;
  for (const Entry& entry : entries) {
    if (entry.begin != expected) damaged(file, "tensor " + quote(entry.name) + " overlaps another or leaves a gap");
    expected = entry.end;
  }
  if (expected != buffer_bytes)
    damaged(file, "it is " + std::to_string(buffer_bytes - expected) + " bytes longer than its tensors");

  for (const Entry& entry : entries) {
    if (!entry.type) {
      result.unknown[entry.name] = entry.type_name;
      continue;
    }
    const uint64_t place = buffer_begin + entry.begin;
    std::optional<Tensor> mapped = in_place(source, place, entry);
    Tensor x = mapped ? *mapped : copied(source, place, entry);
    // A C++ bool that is neither 0 nor 1 is undefined behaviour.
    const auto* data = static_cast<const unsigned char*>(x.impl()->storage->data());
    if (entry.type->dtype == DType::boolean &&
        std::any_of(data, data + x.numel(), [](unsigned char b) { return b > 1; }))
      damaged(file, "tensor " + quote(entry.name) + " holds a bool that is neither 0 nor 1");
    result.tensors.emplace(entry.name, std::move(x));
  }
  return result;
}

const char* type_name(DType dtype) {
  switch (dtype) {
    case DType::boolean: return "BOOL";
    case DType::int64: return "I64";
    case DType::float64: return "F64";
    case DType::float16: return "F16";
    case DType::bfloat16: return "BF16";
    default: return "F32";
  }
}

}  // namespace

static SafeTensors load_one(const std::string& path, const SafeTensorsOptions& options) {
  InputFile file(path);
  auto read = [&](uint64_t offset, void* to, size_t bytes) { file.read(offset, to, bytes); };
  return parse({read, options.map ? file.map() : nullptr}, file.size(), path, options.unknown);
}

static std::string folder_of(const std::string& path) { return path.substr(0, path.rfind('/') + 1); }

SafeTensors load_safetensors(const std::string& path, const SafeTensorsOptions& options) {
  if (!path.ends_with(".json")) return load_one(path, options);

  // Every shard once, and of it what the index says it holds.
  const std::map<std::string, std::string> index = parse_safetensors_index(read_file(path, kMaxHeader), path);
  std::map<std::string, SafeTensors> shards;
  SafeTensors result;
  for (const auto& [name, shard] : index) {
    auto [found, fresh] = shards.try_emplace(shard);
    if (fresh) {
      found->second = load_one(folder_of(path) + shard, options);
      result.metadata.merge(found->second.metadata);
    }
    SafeTensors& held = found->second;
    if (auto tensor = held.tensors.extract(name)) result.tensors.insert(std::move(tensor));
    else if (auto type = held.unknown.extract(name)) result.unknown.insert(std::move(type));
    else damaged(path, "tensor " + quote(name) + " is not in " + shard, kIndex);
  }
  return result;
}

SafeTensors parse_safetensors(std::span<const std::byte> file, const std::string& name, UnknownTypes unknown) {
  auto read = [&](uint64_t offset, void* to, size_t bytes) {
    if (bytes > 0) std::memcpy(to, file.data() + offset, bytes);
  };
  return parse({read}, file.size(), name, unknown);
}

// Is it the name of a file beside the index, and of nothing else?
static bool is_shard_name(std::string_view name) {
  auto odd = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f || c == '/' || c == '\\'; };
  return !name.empty() && name.front() != '.' && !name.ends_with(".json") &&
         std::none_of(name.begin(), name.end(), odd);
}

std::map<std::string, std::string> parse_safetensors_index(const std::string& text, const std::string& name) {
  const Json index = parse_json(text, name, kIndex);
  if (!index.contains("weight_map") || !index["weight_map"].is_object()) damaged(name, "it has no weight_map", kIndex);
  std::map<std::string, std::string> files;
  for (const auto& [tensor, file] : index["weight_map"].items()) {
    const std::string shard = file.is_string() ? file.get<std::string>() : "";
    if (!is_shard_name(shard))
      damaged(name, "tensor " + quote(tensor) + " lies in " + quote(shard) + ", which is no name of a shard", kIndex);
    files[tensor] = shard;
  }
  return files;
}

void save_safetensors(const std::string& path, const std::map<std::string, Tensor>& tensors,
                      const std::map<std::string, std::string>& metadata) {
  // The widest types come first, as in the reference implementation, so that every tensor is aligned in the file.
  std::vector<std::pair<std::string, Tensor>> ordered;
  for (const auto& [name, x] : tensors) {
    if (name == "__metadata__") throw IoError("cannot write " + path + ": no tensor can be called __metadata__");
    if (!x.defined()) throw IoError("cannot write " + path + ": tensor " + quote(name) + " is undefined");
    ordered.emplace_back(name, to_host(x).contiguous());
  }
  std::stable_sort(ordered.begin(), ordered.end(),
                   [](const auto& a, const auto& b) { return size_of(a.second.dtype()) > size_of(b.second.dtype()); });

  Json header = Json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  auto bytes_of = [](const Tensor& x) { return static_cast<uint64_t>(x.numel() * size_of(x.dtype())); };
  uint64_t offset = 0;
  for (const auto& [name, x] : ordered) {
    Json shape = Json::array();
    for (int64_t size : x.shape()) shape.push_back(size);
    header[name] = {
        {"dtype", type_name(x.dtype())}, {"shape", shape}, {"data_offsets", {offset, offset + bytes_of(x)}}};
    offset += bytes_of(x);
  }
  std::string text;
  try {
    text = header.dump();
  } catch (const Json::exception&) {
    throw IoError("cannot write " + path + ": a name or the metadata is not UTF-8");
  }
  text.append((8 - text.size() % 8) % 8, ' ');

  AtomicFile file(path);
  const uint64_t header_bytes = text.size();
  file.write(&header_bytes, sizeof header_bytes);
  file.write(text);
  for (const auto& [name, x] : ordered) {
    const auto* storage = static_cast<const char*>(x.impl()->storage->data());
    file.write(storage + x.impl()->offset * size_of(x.dtype()), static_cast<size_t>(bytes_of(x)));
  }
  file.commit();
}

// The shards that the index `path` names, that were written for it by their names, and that no other index names: the
// others are not ours to remove.
static std::set<std::string> own_shards(const std::string& path, const std::string& stem) {
  std::set<std::string> own;
  if (!std::filesystem::exists(path)) return own;
  static const std::regex kNumber("(-[0-9]{1,9})?-[0-9]{5,9}-of-[0-9]{5,9}\\.safetensors");
  try {
    for (const auto& [name, shard] : parse_safetensors_index(read_file(path, kMaxHeader), path))
      if (shard.starts_with(stem) && shard.size() < stem.size() + 50 &&
          std::regex_match(shard.substr(stem.size()), kNumber))
        own.insert(shard);
    const std::string folder = folder_of(path);
    for (const auto& file : std::filesystem::directory_iterator(folder.empty() ? "." : folder)) {
      const std::string other = folder + file.path().filename().string();
      if (other == path || !other.ends_with(".index.json")) continue;
      for (const auto& [name, shard] : parse_safetensors_index(read_file(other, kMaxHeader), other)) own.erase(shard);
    }
  } catch (const IoError&) {  // we cannot know what an index that cannot be read names
    own.clear();
  } catch (const std::filesystem::filesystem_error&) {
    own.clear();
  }
  return own;
}

void save_sharded_safetensors(const std::string& path, const std::map<std::string, Tensor>& tensors, uint64_t max_bytes,
                              const std::map<std::string, std::string>& metadata) {
  constexpr std::string_view kEnd = ".safetensors.index.json";
  if (!path.ends_with(kEnd)) throw IoError("cannot write " + path + ": an index ends in " + std::string(kEnd));
  const std::string stem = path.substr(0, path.size() - kEnd.size()), own_stem = stem.substr(folder_of(path).size());
  if (!is_shard_name(own_stem + ".safetensors"))
    throw IoError("cannot write " + path +
                  ": an index's name has no dot in front, and no backslash or control character");

  // Deal the tensors out, in the order of their names.
  std::vector<std::map<std::string, Tensor>> shards;
  uint64_t total = 0, room = 0;
  for (const auto& [name, x] : tensors) {
    if (!x.defined()) throw IoError("cannot write " + path + ": tensor " + quote(name) + " is undefined");
    const auto bytes = static_cast<uint64_t>(x.numel() * size_of(x.dtype()));
    if (shards.empty() || bytes > room) shards.emplace_back(), room = max_bytes;
    shards.back().emplace(name, x);
    room -= std::min(room, bytes);
    total += bytes;
  }

  // Names that are free: `model-00001-of-00002.safetensors`, or `model-2-00001-of-00002.safetensors`, and so on.
  auto name_of = [&](int copy, size_t shard) {
    char number[64];
    std::snprintf(number, sizeof number, "-%05zu-of-%05zu.safetensors", shard + 1, shards.size());
    return stem + (copy == 1 ? "" : "-" + std::to_string(copy)) + number;
  };
  auto taken = [&](int copy) {
    for (size_t i = 0; i < shards.size(); ++i)
      if (std::filesystem::exists(name_of(copy, i))) return true;
    return false;
  };
  int copy = 1;
  while (taken(copy)) ++copy;

  const std::set<std::string> old = own_shards(path, own_stem);

  Json index = {{"metadata", {{"total_size", total}}}, {"weight_map", Json::object()}};
  std::error_code ignored;
  try {
    for (size_t i = 0; i < shards.size(); ++i) {
      const std::string file = name_of(copy, i);
      save_safetensors(file, shards[i], metadata);
      for (const auto& [name, x] : shards[i]) index["weight_map"][name] = file.substr(folder_of(file).size());
    }
    write_file(path, index.dump(2) + "\n");
  } catch (...) {
    for (size_t i = 0; i < shards.size(); ++i) std::filesystem::remove(name_of(copy, i), ignored);
    throw;
  }
  for (const std::string& shard : old) std::filesystem::remove(folder_of(path) + shard, ignored);
}

}  // namespace cr::io
