// npy and npz: what we write we read, what numpy wrote we read, and what lies is refused.

#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>

#include "contains.hpp"
#include "hostile.hpp"
#include "io/atomic_file.hpp"
#include "io/npy.hpp"
#include "io/zip.hpp"
#include "ops/create.hpp"
#include "temporary_folder.hpp"

using namespace cr;
using namespace cr::io;
using namespace std::string_literals;

namespace {

Tensor parse(const std::string& file) { return parse_npy(bytes_of(file), "f"); }

// A file of this header, version and data.
std::string file_of(const std::string& header, const std::string& data, char version = 1) {
  std::string file = "\x93NUMPY"s + version + '\0';
  if (version == 1) append_little(file, static_cast<uint16_t>(header.size()));
  else append_little(file, static_cast<uint32_t>(header.size()));
  return file + header + data;
}

std::string header(const std::string& descr, const std::string& shape, const std::string& fortran = "False") {
  return "{'descr': '" + descr + "', 'fortran_order': " + fortran + ", 'shape': " + shape + ", }\n";
}

std::map<std::string, Tensor> some_tensors() {
  std::map<std::string, Tensor> all;
  all["weight"] = tensor({{0., -1.5, INFINITY}, {1e-45, 3.25, -0.}}, DType::float32);
  all["double"] = tensor({1 / 3., -1e300}, DType::float64);
  all["labels"] = from_vector(std::vector<int64_t>{INT64_MIN, -1, 0, INT64_MAX});
  all["mask"] = tensor({1, 0, 1}, DType::boolean);
  all["half"] = tensor({1., 0.1}).to(DType::float16);
  all["scalar"] = tensor(2.5);
  all["empty"] = zeros({0, 4});
  all["cube"] = arange(24).reshape({2, 3, 4});
  return all;
}

bool same(const Tensor& x, const Tensor& y) {
  if (x.shape() != y.shape() || x.dtype() != y.dtype()) return false;
  const Tensor a = x.contiguous(), b = y.contiguous();
  return std::memcmp(a.impl()->storage->data(), b.impl()->storage->data(),
                     static_cast<size_t>(x.numel() * size_of(x.dtype()))) == 0;
}

}  // namespace

TEST_CASE("the bytes of an npy file, by hand", "[io]") {
  Tensor x = parse(file_of(header("<i2", "(2, 3)"), "\x01\0\x02\0\x03\0\xff\xff\0\x80\xff\x7f"s));
  CHECK(x.shape() == Shape{2, 3});
  CHECK(values<int64_t>(x) == std::vector<int64_t>{1, 2, 3, -1, -32768, 32767});
  // Fortran's order: the first index runs fastest.
  Tensor f = parse(file_of(header("|u1", "(2, 3)", "True"), "\x01\x02\x03\x04\x05\xff"s));
  CHECK(f.shape() == Shape{2, 3});
  CHECK(values<int64_t>(f) == std::vector<int64_t>{1, 3, 5, 2, 4, 255});
  // Both orders of bytes.
  CHECK(parse(file_of(header("<f4", "(1,)"), "\0\0\xc0\x3f"s)).item<float>() == 1.5f);
  CHECK(parse(file_of(header(">f4", "(1,)"), "\x3f\xc0\0\0"s)).item<float>() == 1.5f);
  CHECK(parse(file_of(header("=f8", "()"), "\0\0\0\0\0\0\xf8\x3f"s)).item<double>() == 1.5);
  CHECK(parse(file_of(header(">f2", "()"), "\x3e\x00"s)).to(DType::float32).item<float>() == 1.5f);
  CHECK(values<bool>(parse(file_of(header("|b1", "(2,)"), "\0\x01"s))) == std::vector<bool>{false, true});
  CHECK(values<int64_t>(parse(file_of(header(">u4", "(1,)"), "\xff\xff\xff\xfe"s))) ==
        std::vector<int64_t>{4294967294});
  // Other spellings that numpy takes: versions 2 and 3, keys in any order, double quotes, Python 2's 3L.
  for (char version : {'\2', '\3'}) CHECK(parse(file_of(header("|i1", "(1,)"), "\xff", version)).item<int64_t>() == -1);
  CHECK(parse(file_of("{\"shape\":(3L,),'fortran_order':False,\"descr\":\"|u1\"}", "abc")).numel() == 3);
  CHECK(parse(file_of("{u'descr': u'<f4', 'fortran_order': False, 'shape': ()}", "\0\0\xc0\x3f"s)).item<float>() ==
        1.5f);
  CHECK(parse(file_of(header("f4", "()"), "\0\0\xc0\x3f"s)).item<float>() == 1.5f);
}

TEST_CASE("npy files of every type come back", "[io]") {
  TemporaryFolder folder;
  for (const auto& named : some_tensors()) {
    CAPTURE(named.first);
    write_npy(folder / "a.npy", named.second);
    CHECK(same(read_npy(folder / "a.npy"), named.second));
    CHECK(read_file(folder / "a.npy").find('\n') % 64 == 63);  // the numbers are aligned
  }
  write_npy(folder / "a.npy", arange(6).reshape({2, 3}).t());
  CHECK(values<int64_t>(read_npy(folder / "a.npy")) == std::vector<int64_t>{0, 3, 1, 4, 2, 5});
  CHECK_THROWS_WITH(write_npy(folder / "b.npy", zeros({2}).to(DType::bfloat16)), ContainsSubstring("no bfloat16"));
  CHECK(folder.count() == 1);
}

TEST_CASE("npy files that are cut, damaged or lie are refused", "[io]") {
  const std::string whole = file_of(header("<f4", "(1, 2)"), "\0\0\xc0\x3f\0\0\x80\x3f"s);
  refuse_every_cut(whole, parse);
  CHECK(survive_damage(whole, parse) > 1000);
  auto refuse = [](const std::string& file, const std::string& why) {
    CAPTURE(file);
    CHECK_THROWS_AS(parse(file), IoError);
    CHECK_THROWS_WITH(parse(file), ContainsSubstring(why));
  };
  refuse(whole + "x", "take 8 bytes, and there are 9");
  refuse("PK\3\4PK\3\4PK\3\4", "does not begin");
  refuse(file_of(header("<f4", "()"), "", 4), "version 4.0");
  refuse("\x93NUMPY\x02\x00\xff\xff\xff\xff"s, "more than 64 KB");
  refuse("\x93NUMPY\x01\x00\xff\xff"s, "more bytes than there are");
  // Elements that are none of ours.
  for (const char* descr :
       {"<c8", "<c16", "|O", "<U5", "|S3", "<M8[s]", "<f16", "|V2", "<b1x", "f16", "", "<", "<<f4"}) {
    CAPTURE(descr);
    CHECK_THROWS_WITH(parse(file_of(header(descr, "(1,)"), "12345678")), ContainsSubstring("known are bool"));
  }
  refuse(file_of("{'descr': [('x', '<f4')], 'fortran_order': False, 'shape': (1,), }", "1234"), "records");
  refuse(file_of(header("|b1", "(1,)"), "\2"), "neither 0 nor 1");
  refuse(file_of(header("<u8", "(1,)"), "\0\0\0\0\0\0\0\x80"s), "beyond int64");
  // Sizes that are none, overflow one by one, and overflow as a product, also beside a size of 0.
  refuse(file_of(header("<f4", "(-1,)"), ""), "no whole number");
  refuse(file_of(header("<f4", "(1.5,)"), ""), "lacks a )");
  refuse(file_of(header("<f4", "(9223372036854775808,)"), ""), "beyond int64");
  refuse(file_of(header("<f4", "(3)"), std::string(12, '\0')), "has a number for its shape");
  refuse(file_of(header("<f4", "(4294967296, 4294967296)"), ""), "more elements than memory");
  refuse(file_of(header("<f4", "(0, 4294967296, 4294967296)"), ""), "more elements than memory");
  refuse(file_of(header("|u1", "(1000000000000,)"), "x"), "take 1000000000000 bytes, and there are 1");
  std::string ones;
  for (int i = 0; i < 33; ++i) ones += "1, ";
  refuse(file_of(header("|u1", "(" + ones + ")"), "x"), "more than 32 dimensions");
  // Headers that are no such dictionary.
  refuse(file_of("", ""), "lacks a {");
  refuse(file_of("{}", ""), "lacks its descr");
  refuse(file_of("{'descr': '<f4', 'shape': (), }", "1234"), "lacks its descr");
  refuse(file_of("{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': ()}", "1234"), "twice");
  refuse(file_of("{'descr': '<f4', 'fortran_order': 0, 'shape': ()}", "1234"), "True or False");
  refuse(file_of("{'descr': '<f4', 'fortran_order': False, 'shape': 3}", "1234"), "lacks a (");
  refuse(file_of("{'evil': __import__('os')}", ""), "unknown key");
  refuse(file_of("{'descr': __import__('os')}", ""), "lacks a text");
  refuse(file_of("{'evil': 'x'}", ""), "unknown key");
  refuse(file_of(header("<f4", "()") + "x", "1234"), "behind its dictionary");
  refuse(file_of("{'descr': '<f4", ""), "quotation marks");
}

TEST_CASE("npy files written by numpy, in every version", "[io]") {
  for (const char* version : {"1", "2", "3"}) {
    const Tensor x = read_npy(std::string(CHAINRULE_SOURCE_DIR "/tests/io/golden/numpy/version") + version + ".npy");
    CHECK(x.shape() == Shape{2, 3, 4});
    CHECK(values<int64_t>(x) == values<int64_t>(arange(24)));
  }
}

#if CHAINRULE_LIBZIP

TEST_CASE("npz archives come back, stored and deflated", "[io]") {
  TemporaryFolder folder;
  const auto all = some_tensors();
  for (NpzCompression how : {NpzCompression::stored, NpzCompression::deflated}) {
    write_npz(folder / "a.npz", all, how);
    write_npz(folder / "b.npz", all, how);
    CHECK(read_file(folder / "a.npz") == read_file(folder / "b.npz"));
    const auto again = read_npz(folder / "a.npz");
    REQUIRE(again.size() == all.size());
    for (const auto& named : all) {
      CAPTURE(named.first);
      CHECK(same(again.at(named.first), named.second));
    }
  }
  write_npz(folder / "none.npz", {});
  CHECK(read_npz(folder / "none.npz").empty());
  write_npz(folder / "zeros.npz", {{"x", zeros({1000})}}, NpzCompression::deflated);
  CHECK(read_file(folder / "zeros.npz").size() < 400);
}

TEST_CASE("npz archives written by numpy", "[io]") {
  const std::string folder = CHAINRULE_SOURCE_DIR "/tests/io/golden/numpy/";
  const auto expected = nlohmann::json::parse(read_file(folder + "values.json"));
  REQUIRE(expected.size() >= 24);
  for (const char* file : {"stored.npz", "deflated.npz"}) {
    const auto arrays = read_npz(folder + file);
    CHECK(arrays.size() == expected.size());
    for (const auto& item : expected.items()) {
      CAPTURE(file, item.key());
      const Tensor& x = arrays.at(item.key());
      CHECK(std::vector<int64_t>(x.shape().begin(), x.shape().end()) ==
            item.value()["shape"].get<std::vector<int64_t>>());
      // Integers became int64, the others kept their type.
      const std::string kind = item.value()["kind"];
      CHECK((kind == "i" || kind == "u") == (x.dtype() == DType::int64));
      if (kind == "f") CHECK(size_of(x.dtype()) == item.value()["bytes"].get<int64_t>());
      if (kind == "b") CHECK(values<bool>(x) == item.value()["values"].get<std::vector<bool>>());
      else if (kind == "f")
        CHECK(values<double>(x.to(DType::float64)) == item.value()["values"].get<std::vector<double>>());
      else CHECK(values<int64_t>(x) == item.value()["values"].get<std::vector<int64_t>>());
    }
  }
}

TEST_CASE("npz archives that hold something else are refused", "[io]") {
  TemporaryFolder folder;
  ZipWriter zip(folder / "a.npz");
  zip.add("readme.txt", "hello");
  zip.commit();
  CHECK_THROWS_WITH(read_npz(folder / "a.npz"), ContainsSubstring("\"readme.txt\" is no .npy"));
  ZipWriter bad(folder / "b.npz");
  bad.add("x.npy", "hello");
  bad.commit();
  CHECK_THROWS_WITH(read_npz(folder / "b.npz"), ContainsSubstring("b.npz/x.npy: not a sound npy file"));
  CHECK_THROWS_AS(read_npz(folder / "missing.npz"), IoError);
}

#else

TEST_CASE("npz archives", "[io]") { SKIP("this build has no libzip"); }

TEST_CASE("without libzip archives are refused", "[io]") {
  CHECK_THROWS_WITH(parse_npz(bytes_of("PK"), "f"),
                    ContainsSubstring("f: a zip archive, and this build has no libzip"));
  CHECK_THROWS_WITH(write_npz("f", {}), ContainsSubstring("no libzip"));
}

#endif
