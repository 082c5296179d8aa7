// safetensors: what we write we read, what Python wrote we read, and what lies is refused.

#include <algorithm>
#include <cmath>
#include <cstring>
#include <ctime>
#include <functional>

#include "catch.hpp"
#include "contains.hpp"
#include "io/atomic_file.hpp"
#include "io/bytes.hpp"
#include "io/safetensors.hpp"
#include "ops/ops.hpp"
#include "temporary_folder.hpp"

using namespace cr;
using namespace cr::io;
using namespace std::string_literals;

namespace {

template <typename T> Tensor make(const Shape& shape, const std::vector<T>& values) {
  return from_span(std::span<const T>(values), shape);
}
template <typename T> std::vector<T> values(const Tensor& x) {
  std::span<const T> all = x.span<T>();
  return {all.begin(), all.end()};
}

SafeTensors parse(const std::string& file) { return parse_safetensors(std::as_bytes(std::span(file)), "f"); }

// A file with this header and so many bytes behind it.
std::string file_of(const std::string& header, size_t data_bytes) {
  uint64_t length = header.size();
  std::string file(8, '\0');
  std::memcpy(file.data(), &length, 8);
  return file + header + std::string(data_bytes, '\0');
}

std::string one(const std::string& dtype, const std::string& shape, const std::string& offsets) {
  return R"({"a":{"dtype":")" + dtype + R"(","shape":)" + shape + R"(,"data_offsets":)" + offsets + "}}";
}

}  // namespace

TEST_CASE("tensors and metadata come back from a file", "[io]") {
  TemporaryFolder folder;
  std::map<std::string, Tensor> tensors;
  tensors["mask"] = zeros({5}, DType::boolean);
  tensors["mask"].mutable_data<bool>()[2] = true;
  tensors["weight"] = make<float>({2, 3}, {0, -0.f, 1e-45f, INFINITY, 3.5f, -1});
  tensors["d"] = make<double>({1, 2}, {1 / 3., 1e300});
  tensors["labels"] = make<int64_t>({2}, {INT64_MIN, INT64_MAX});
  tensors["scalar"] = make<float>({}, {7});
  tensors["empty"] = zeros({3, 0});
  save_safetensors(folder / "a", tensors, {{"who", "chainrule"}, {"ключ", "\"quoted\"\n"}});

  SafeTensors file = load_safetensors(folder / "a");
  CHECK(file.metadata == std::map<std::string, std::string>{{"who", "chainrule"}, {"ключ", "\"quoted\"\n"}});
  REQUIRE(file.tensors.size() == tensors.size());
  for (const auto& named : tensors) {
    const Tensor &x = named.second, &y = file.tensors.at(named.first);
    CHECK(y.shape() == x.shape());
    REQUIRE(y.dtype() == x.dtype());
    dispatch(x.dtype(), [&](auto t) {
      using T = decltype(t);
      CHECK(std::memcmp(x.data<T>(), y.data<T>(), static_cast<size_t>(x.numel()) * sizeof(T)) == 0);
    });
  }

  save_safetensors(folder / "b", file.tensors, file.metadata);
  CHECK(read_file(folder / "a") == read_file(folder / "b"));
  save_safetensors(folder / "none", {});
  CHECK(load_safetensors(folder / "none").tensors.empty());
}

TEST_CASE("a view is written as what it shows", "[io]") {
  TemporaryFolder folder;
  Tensor x = make<float>({2, 3}, {1, 2, 3, 4, 5, 6});
  save_safetensors(folder / "a", {{"t", x.t()}, {"row", x[1]}});
  SafeTensors file = load_safetensors(folder / "a");
  CHECK(values<float>(file.tensors.at("t")) == std::vector<float>{1, 4, 2, 5, 3, 6});
  CHECK(values<float>(file.tensors.at("row")) == std::vector<float>{4, 5, 6});
}

TEST_CASE("a file written by Python's safetensors", "[io]") {
  SafeTensors file = load_safetensors(CHAINRULE_SOURCE_DIR "/tests/io/golden/python.safetensors");
  CHECK(file.metadata == std::map<std::string, std::string>{{"format", "pt"}, {"note", "a \"quoted\" word"}});
  CHECK(file.tensors.size() == 7);
  CHECK(values<float>(file.tensors.at("weight")) == std::vector<float>{0, .25f, .5f, .75f, 1, 1.25f});
  CHECK(file.tensors.at("weight").shape() == Shape{2, 3});
  CHECK(values<double>(file.tensors.at("double")) == std::vector<double>{1 / 3., -1e300});
  CHECK(values<int64_t>(file.tensors.at("labels")) == std::vector<int64_t>{-1, 2, 3, int64_t{1} << 62});
  CHECK(values<bool>(file.tensors.at("mask")) == std::vector<bool>{true, false, true});
  CHECK(file.tensors.at("scalar").dim() == 0);
  CHECK(file.tensors.at("scalar").item<float>() == 2.5f);
  CHECK(file.tensors.at("empty").shape() == Shape{0, 4});
  CHECK(values<float>(file.tensors.at("ключ 🔑")) == std::vector<float>{1});
}

TEST_CASE("a file cut short anywhere is refused", "[io]") {
  TemporaryFolder folder;
  save_safetensors(folder / "a", {{"w", make<float>({3}, {1, 2, 3})}, {"m", zeros({3}, DType::boolean)}}, {{"k", "v"}});
  const std::string whole = read_file(folder / "a");
  CHECK(parse(whole).tensors.size() == 2);
  for (size_t length = 0; length < whole.size(); ++length) {
    CAPTURE(length);
    CHECK_THROWS_AS(parse(whole.substr(0, length)), IoError);
  }
  CHECK_THROWS_WITH(parse(whole + "x"), "f: not a sound safetensors file: it is 1 bytes longer than its tensors");
  // The same through a file.
  write_file(folder / "b", whole.substr(0, whole.size() - 1));
  CHECK_THROWS_WITH(load_safetensors(folder / "b"), ContainsSubstring("beyond the end of the file"));
}

TEST_CASE("one damaged byte never does worse than an error", "[io]") {
  TemporaryFolder folder;
  save_safetensors(folder / "a", {{"w", make<float>({2}, {1, 2})}, {"m", zeros({2}, DType::boolean)}}, {{"k", "v"}});
  const std::string whole = read_file(folder / "a");
  int refused = 0;
  for (size_t at = 0; at < whole.size(); ++at)
    for (int value = 0; value < 256; value += 3) {
      std::string file = whole;
      file[at] = static_cast<char>(value);
      try {
        parse(file);
      } catch (const IoError& error) {
        CHECK(std::string(error.what()).find('\n') == std::string::npos);
        ++refused;
      }
    }
  CHECK(refused > 1000);
}

TEST_CASE("types of other programs are widened, or left out and named", "[io]") {
  std::string path = CHAINRULE_SOURCE_DIR "/tests/io/golden/types.safetensors";
  CHECK_THROWS_WITH(load_safetensors(path), ContainsSubstring("\"complex\" has elements of type \"C64\""));
  SafeTensors file = load_safetensors(path, {.unknown = UnknownTypes::skip});
  CHECK(file.unknown == std::map<std::string, std::string>{{"complex", "C64"}});
  for (std::string name : {"uint8", "int8", "int16", "int32"}) {
    const Tensor& x = file.tensors.at(name);
    CHECK(x.dtype() == DType::int64);
    CHECK(x[0].item<int64_t>() == (name == "uint8" ? 0 : name == "int8" ? -128 : name == "int16" ? -32768 : INT32_MIN));
    CHECK(x[1].item<int64_t>() == (name == "uint8" ? 255 : 100));
  }
  CHECK(file.tensors.at("float16")[1].item() == 0.0999755859375);
  CHECK(file.tensors.at("bfloat16")[1].item() == 0.10009765625);
  // Written again, the 16-bit ones keep their type.
  TemporaryFolder folder;
  save_safetensors(folder / "again.safetensors", file.tensors);
  SafeTensors again = load_safetensors(folder / "again.safetensors");
  CHECK(again.tensors.at("bfloat16").dtype() == DType::bfloat16);
  CHECK(again.tensors.at("float16").data<Float16>()[1].bits == file.tensors.at("float16").data<Float16>()[1].bits);
}

TEST_CASE("a tensor of a type that is not known has the size that its place has", "[io]") {
  // Half a byte each, one byte each, and one of ours behind them.
  const std::string file = file_of(
      R"({"a":{"dtype":"F4","shape":[2,3],"data_offsets":[0,3]},"b":{"dtype":"F8_E4M3","shape":[2],"data_offsets":[3,5]},)"
      R"("c":{"dtype":"BOOL","shape":[1],"data_offsets":[5,6]}})",
      6);
  const SafeTensors read = parse_safetensors(std::as_bytes(std::span(file)), "f", UnknownTypes::skip);
  CHECK(read.unknown == std::map<std::string, std::string>{{"a", "F4"}, {"b", "F8_E4M3"}});
  CHECK(read.tensors.size() == 1);
  CHECK_THROWS_WITH(parse(file), ContainsSubstring("has elements of type \"F4\""));
  const std::string gap = file_of(one("F4", "[2]", "[1,2]"), 2);
  CHECK_THROWS_AS(parse_safetensors(std::as_bytes(std::span(gap)), "f", UnknownTypes::skip), IoError);
}

// Eight times as many tensors take about eight times as long, where time by the square would take 64 times as long.
TEST_CASE("many tensors take time in proportion", "[io]") {
  auto seconds = [](int tensors) {
    std::string header = "{";
    for (int i = 0; i < tensors; ++i)
      header += (i ? ",\"" : "\"") + std::to_string(i) + R"(":{"dtype":"F32","shape":[0],"data_offsets":[0,0]})";
    const std::clock_t begin = std::clock();
    CHECK(parse(file_of(header + "}", 0)).tensors.size() == static_cast<size_t>(tensors));
    return static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
  };
  seconds(5'000);  // the first time everything is slower
  CHECK(seconds(40'000) < 25 * std::max(seconds(5'000), 0.001));
}

TEST_CASE("wider elements are read piece by piece", "[io]") {
  std::string file = file_of(one("I16", "[100000]", "[0,200000]"), 200000);
  for (int i = 0; i < 100000; ++i) file[file.size() - 200000 + 2 * static_cast<size_t>(i)] = static_cast<char>(i % 128);
  const Tensor x = parse(file).tensors.at("a");
  bool same = true;
  for (int64_t i = 0; i < 100000; ++i) same = same && x.data<int64_t>()[i] == i % 128;
  CHECK(same);
}

TEST_CASE("a long name is cut between letters", "[io]") {
  std::string name = "x";
  for (int i = 0; i < 40; ++i) name += "ж";
  const std::string quoted = quote(name);
  CHECK(quoted.size() == 1 + 59 + 3 + 1);
  CHECK(quote("a\nb") == "\"a?b\"");
}

TEST_CASE("headers that lie are refused before memory is asked for", "[io]") {
  CHECK(parse(file_of(one("F32", "[2]", "[0,8]"), 8)).tensors.at("a").numel() == 2);
  // Header length: more than there is, more than the limit, close to overflow.
  for (uint64_t length : {uint64_t{100}, uint64_t{1} << 30, ~uint64_t{0}, ~uint64_t{0} - 7}) {
    std::string file(50, '{');
    std::memcpy(file.data(), &length, 8);
    CHECK_THROWS_AS(parse(file), IoError);
  }
  auto refused = [](const std::string& header, size_t bytes, const std::string& why) {
    CAPTURE(header);
    CHECK_THROWS_AS(parse(file_of(header, bytes)), IoError);
    CHECK_THROWS_WITH(parse(file_of(header, bytes)), ContainsSubstring(why));
  };
  refused("", 0, "not JSON");
  refused("{}\0"s, 0, "not JSON");
  refused("{}\0{"s, 0, "not JSON");
  refused("[]", 0, "not a JSON object");
  refused("{\"a\":", 0, "not JSON");
  refused("{\"a\":\"\xff\"}", 0, "not JSON");
  refused(std::string(100000, '['), 0, "nested too deeply");
  refused(R"({"a":{"b":{"c":{"d":{"e":1}}}}})", 0, "nested too deeply");
  refused(R"({"a":1})", 0, "lacks its dtype");
  refused(R"({"a":{"dtype":"F32","shape":[0]}})", 0, "lacks its dtype");
  refused(one("F32", "[0]", "[0]"), 0, "lacks its dtype");
  refused(one("C64", "[2]", "[0,16]"), 16, "known are F64, F32, F16, BF16, I64, I32, I16, I8, U8, BOOL");
  refused(one("F32", "[2]", "[0,4]"), 4, "of shape (2,) takes 8 bytes, not 4");
  refused(one("F32", "[1]", "[4,0]"), 4, "beyond the end");
  refused(one("F32", "[1]", "[0,8]"), 4, "beyond the end");
  refused(one("F32", "[-1]", "[0,4]"), 4, "no whole number");
  refused(one("F32", "[1.0]", "[0,4]"), 4, "no whole number");
  refused(one("F32", "[1e30]", "[0,4]"), 4, "no whole number");
  refused(one("F32", "[18446744073709551615]", "[0,4]"), 4, "no whole number");
  // Products that overflow to something small: 2^32 * 2^32 * 4 = 0, also with a 0 among the sizes.
  refused(one("F32", "[4294967296,4294967296]", "[0,0]"), 0, "more elements than memory");
  refused(one("F32", "[4294967296,0,4294967296]", "[0,0]"), 0, "more elements than memory");
  refused(one("F64", "[4611686018427387904,4]", "[0,0]"), 0, "more elements than memory");
  refused(one("BOOL", "[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]", "[0,1]"), 1, "32 dim");
  // Tensors over one another, with a gap between, one name twice.
  auto two = [](const std::string& a, const std::string& b) {
    const std::string start = R"({"dtype":"F32","shape":[1],"data_offsets":)";
    return R"({"a":)" + start + a + R"(},"b":)" + start + b + "}}";
  };
  REQUIRE(parse(file_of(two("[0,4]", "[4,8]"), 8)).tensors.size() == 2);
  refused(two("[0,4]", "[0,4]"), 4, "overlaps another or leaves a gap");
  refused(two("[0,4]", "[2,6]"), 6, "overlaps another or leaves a gap");
  refused(two("[0,4]", "[5,9]"), 9, "overlaps another or leaves a gap");
  refused(R"({"a":1,"a":2})", 0, "names \"a\" twice");
  refused(R"({"__metadata__":[]})", 0, "metadata");
  refused(R"({"__metadata__":{"a":1}})", 0, "metadata");
  std::string bad_bool = file_of(one("BOOL", "[1]", "[0,1]"), 1);
  bad_bool.back() = 2;
  CHECK_THROWS_WITH(parse(bad_bool), ContainsSubstring("neither 0 nor 1"));
}

TEST_CASE("names that a file cannot hold are refused, and nothing is written", "[io]") {
  TemporaryFolder folder;
  CHECK_THROWS_AS(save_safetensors(folder / "a", {{"__metadata__", zeros({1})}}), IoError);
  CHECK_THROWS_AS(save_safetensors(folder / "a", {{"\xff", zeros({1})}}), IoError);
  CHECK_THROWS_AS(save_safetensors(folder / "a", {{"x", Tensor()}}), IoError);
  CHECK(folder.count() == 0);
}

TEST_CASE("a mapped file gives the same tensors, and keeps its own numbers", "[io]") {
  TemporaryFolder folder;
  // The middle one begins at an odd place, so it cannot lie there as it is and is copied.
  const std::string header =
      R"({"a":{"dtype":"BOOL","shape":[3],"data_offsets":[0,3]},)"
      R"("b":{"dtype":"F32","shape":[2],"data_offsets":[3,11]},"c":{"dtype":"U8","shape":[1],"data_offsets":[11,12]}})";
  std::string odd = file_of(header, 12);
  const float pair[] = {1.5f, -2};
  std::memcpy(odd.data() + odd.size() - 9, pair, sizeof pair);
  write_file(folder / "odd", odd);
  CHECK(values<float>(load_safetensors(folder / "odd", {.map = true}).tensors.at("b")) == std::vector<float>{1.5f, -2});

  Tensor x = make<float>({2, 3}, {1, 2, 3, 4, 5, 6});
  save_safetensors(folder / "a", {{"x", x}, {"none", zeros({0, 4})}});
  const std::string before = read_file(folder / "a");
  Tensor mapped = load_safetensors(folder / "a", {.map = true}).tensors.at("x");
  std::filesystem::remove(folder / "odd");
  mapped.mutable_data<float>()[0] = 100;  // our copy of the page
  CHECK(read_file(folder / "a") == before);
  CHECK(values<float>(mapped * 2) == std::vector<float>{200, 4, 6, 8, 10, 12});

  // Replaced or removed, the file stays with those who look at it.
  Tensor again = load_safetensors(folder / "a", {.map = true}).tensors.at("x");
  save_safetensors(folder / "a", {{"x", zeros({2, 3})}});
  std::filesystem::remove(folder / "a");
  CHECK(values<float>(again) == values<float>(x));

  // A bool that is none is refused here too.
  std::string bad_bool = file_of(one("BOOL", "[1]", "[0,1]"), 1);
  bad_bool.back() = 2;
  write_file(folder / "bad", bad_bool);
  CHECK_THROWS_WITH(load_safetensors(folder / "bad", {.map = true}), ContainsSubstring("neither 0 nor 1"));
  write_file(folder / "empty", "");
  CHECK_THROWS_AS(load_safetensors(folder / "empty", {.map = true}), IoError);
}

TEST_CASE("a model in several files", "[io]") {
  TemporaryFolder folder;
  const std::string index = folder / "model.safetensors.index.json";
  std::map<std::string, Tensor> model;
  for (int i = 0; i < 10; ++i) model["layers." + std::to_string(i)] = full({4}, i);  // 16 bytes each
  auto whole = [&](float shift) {
    SafeTensors read = load_safetensors(index);
    REQUIRE(read.tensors.size() == 10);
    for (int i = 0; i < 10; ++i)
      CHECK(values<float>(read.tensors.at("layers." + std::to_string(i))) ==
            std::vector<float>(4, static_cast<float>(i) + shift));
  };
  save_sharded_safetensors(index, model, 50, {{"who", "chainrule"}});  // three tensors to a shard
  CHECK(folder.count() == 5);
  CHECK(std::filesystem::exists(folder / "model-00004-of-00004.safetensors"));
  CHECK(load_safetensors(index).metadata.at("who") == "chainrule");
  whole(0);

  // Saved again, the new shards lie beside the old ones until the index names them.
  for (auto& named : model) named.second = named.second + 1;
  save_sharded_safetensors(index, model, 50);
  CHECK(folder.count() == 5);
  CHECK(std::filesystem::exists(folder / "model-2-00001-of-00004.safetensors"));
  whole(1);
  save_sharded_safetensors(index, model, 1);  // a tensor larger than a shard has one of its own
  CHECK(folder.count() == 11);
  whole(1);

  // What cannot be written leaves what was there.
  model["bad \xff"] = zeros({1});
  CHECK_THROWS_AS(save_sharded_safetensors(index, model, 20), IoError);
  CHECK(folder.count() == 11);
  whole(1);
  CHECK_THROWS_WITH(save_sharded_safetensors(folder / "x.json", {}), ContainsSubstring("an index ends in"));

  // A shard that is gone, and one that is not what the index says.
  std::filesystem::remove(folder / "model-00003-of-00010.safetensors");
  CHECK_THROWS_WITH(load_safetensors(index), ContainsSubstring("model-00003-of-00010.safetensors: No such file"));
  save_safetensors(folder / "model-00003-of-00010.safetensors", {{"else", zeros({1})}});
  CHECK_THROWS_WITH(load_safetensors(index), ContainsSubstring("\"layers.2\" is not in model-00003-of-00010"));
}

TEST_CASE("only shards of its own are removed with an old index", "[io]") {
  TemporaryFolder folder;
  const std::string index = folder / "m.safetensors.index.json";
  const std::map<std::string, Tensor> model = {{"a", zeros({2})}, {"b", zeros({2})}};
  auto there = [&](const std::string& name) { return std::filesystem::exists(folder / name); };
  for (std::string name : {"thesis.txt", "n-00001-of-00001.safetensors", "m-00001-of-00001.safetensors.txt"}) {
    write_file(folder / name, "years of work");
    write_file(index, R"({"weight_map":{"a":")" + name + "\"}}");
    save_sharded_safetensors(index, model);
    CHECK(there(name));
  }
  // What another index names stays, and so does everything beside an index that cannot be read.
  const std::string copy = folder / "copy.safetensors.index.json";
  std::filesystem::copy(index, copy);
  save_sharded_safetensors(index, model, 8);
  CHECK(load_safetensors(copy).tensors.size() == 2);
  write_file(copy, "");
  CHECK(there("m-00001-of-00002.safetensors"));
  save_sharded_safetensors(index, model, 8);
  CHECK(there("m-00001-of-00002.safetensors"));
  std::filesystem::remove(copy);
  save_sharded_safetensors(index, model, 8);
  CHECK_FALSE(there("m-2-00001-of-00002.safetensors"));

  const long before = folder.count();
  CHECK_THROWS_WITH(save_sharded_safetensors(folder / ".m.safetensors.index.json", model),
                    ContainsSubstring("no dot in front"));
  CHECK(folder.count() == before);
}

TEST_CASE("an index that lies is refused", "[io]") {
  CHECK(parse_safetensors_index(R"({"weight_map":{"a":"x.safetensors"}})").at("a") == "x.safetensors");
  for (std::string shard : {R"("../x")", R"("/etc/passwd")", R"("a/b")", R"("")", R"("..")", R"("model.json")", "1",
                            R"("a\\b")", R"("a\u0000b")", R"("a\n")", "null"}) {
    CAPTURE(shard);
    CHECK_THROWS_WITH(parse_safetensors_index(R"({"weight_map":{"a":)" + shard + "}}", "f"),
                      ContainsSubstring("f: not a sound index of safetensors files: tensor \"a\""));
  }
  for (std::string text : {"", "[]", "{}", R"({"weight_map":[]})", R"({"weight_map":{"a":"x","a":"y"}})", "[[[[[[[["})
    CHECK_THROWS_AS(parse_safetensors_index(text), IoError);
}
