// Pictures and sound: what is read is what lies in the folder, and nothing damaged passes for data.

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <set>

#include "catch.hpp"
#include "contains.hpp"
#include "data/images.hpp"
#include "data/speech.hpp"
#include "io/atomic_file.hpp"
#include "io/idx.hpp"
#include "io/png.hpp"
#include "io/temporary_folder.hpp"
#include "io/wav.hpp"
#include "ops/ops.hpp"
#include "real_data.hpp"

using namespace cr;
using namespace cr::data;
using io::write_file;

namespace {

// `n` records whose label is their number modulo 10 and whose pixels are all `value`.
std::string cifar_records(int n, int value = 51) {
  std::string file;
  for (int i = 0; i < n; ++i) file += static_cast<char>(i % 10) + std::string(3072, static_cast<char>(value));
  return file;
}

bool all_equal(const Tensor& x, float value) {
  const auto v = x.span<float>();
  return std::all_of(v.begin(), v.end(), [&](float e) { return e == value; });
}

}  // namespace

TEST_CASE("an IDX file of labels that are no digits, or pixels that are no bytes", "[images]") {
  TemporaryFolder folder;
  for (std::string part : {"train", "t10k"}) {
    io::write_idx(folder / (part + "-images-idx3-ubyte"), full({2, 28, 28}, 255));
    io::write_idx(folder / (part + "-labels-idx1-ubyte"), full({2}, 9));
  }
  CHECK(mnist(folder / "", "any-name").test.size() == 2);
  for (double bad : {double(NAN), 2.5, -1., 10., double(INFINITY)}) {
    io::write_idx(folder / "t10k-labels-idx1-ubyte", full({2}, bad), io::IdxType::f64);
    CHECK_THROWS_WITH(mnist(folder / ""), ContainsSubstring("t10k-labels-idx1-ubyte: holds the label "));
  }
  io::write_idx(folder / "t10k-labels-idx1-ubyte", full({2}, 3), io::IdxType::f32);
  CHECK(mnist(folder / "").test.targets.data<int64_t>()[1] == 3);
  for (double bad : {double(NAN), 256., -1.}) {
    io::write_idx(folder / "t10k-images-idx3-ubyte", full({2, 28, 28}, bad), io::IdxType::f32);
    CHECK_THROWS_WITH(mnist(folder / ""), ContainsSubstring("holds a pixel that is no byte"));
  }
}

TEST_CASE("CIFAR-10 from a subset and from all batches", "[images]") {
  TemporaryFolder folder;
  CHECK_THROWS_WITH(cifar10(folder / ""), ContainsSubstring("no data_batch_1.bin in " + (folder / "")) &&
                                              ContainsSubstring("./run data cifar10"));
  write_file(folder / "data_batch_1.bin", cifar_records(12));
  write_file(folder / "test_batch.bin", cifar_records(3, 255));
  TrainTest sets = cifar10(folder / "");
  CHECK(sets.train.inputs.shape() == Shape{12, 3, 32, 32});
  CHECK(all_equal(sets.train.inputs, 51 / 255.f));
  CHECK(all_equal(sets.test.inputs, 1));
  CHECK(sets.train.targets.data<int64_t>()[11] == 1);

  // Red comes before green and blue, row by row.
  std::string record = cifar_records(1);
  record[1 + 1024 + 32 * 5 + 7] = 0;
  write_file(folder / "test_batch.bin", record);
  const Tensor image = cifar10(folder / "").test.inputs;
  CHECK(image.data<float>()[1024 + 32 * 5 + 7] == 0);

  for (std::string number : {"2", "3", "5"}) write_file(folder / ("data_batch_" + number + ".bin"), cifar_records(1));
  CHECK_THROWS_WITH(cifar10(folder / ""), ContainsSubstring("no data_batch_4.bin"));
  write_file(folder / "data_batch_4.bin", cifar_records(1));
  CHECK(cifar10(folder / "").train.size() == 16);

  record[0] = 10;
  for (const std::string& bad : {std::string(), cifar_records(2).substr(1), cifar_records(1) + "x", record}) {
    write_file(folder / "test_batch.bin", bad);
    CHECK_THROWS_WITH(cifar10(folder / ""), ContainsSubstring("test_batch.bin: "));
  }
}

#if CHAINRULE_PNG

namespace {

// Two alphabets; the drawing by drawer d of character c is white but for a black pixel at (c, d).
void draw_alphabets(const TemporaryFolder& folder) {
  int character = 0;
  for (std::string name : {"Greek/character01", "Greek/character02", "Latin/character01"}) {
    const std::string place = folder / ("omniglot/images_background/" + name);
    std::filesystem::create_directories(place);
    for (int d = 1; d <= 20; ++d) {
      Tensor image = full({105, 105}, 1);
      image.mutable_data<float>()[character * 105 + d] = 0;
      io::write_png(place + "/000" + std::to_string(character) + (d < 10 ? "_0" : "_") + std::to_string(d) + ".png",
                    image);
    }
    ++character;
  }
}

}  // namespace

TEST_CASE("Omniglot, drawing by drawing", "[images]") {
  TemporaryFolder folder;
  CHECK_THROWS_WITH(omniglot(folder / ""), ContainsSubstring("omniglot: no images_background in"));
  draw_alphabets(folder);
  const Omniglot set = omniglot(folder / "", "images_background", 105);
  CHECK(set.names == std::vector<std::string>{"Greek/character01", "Greek/character02", "Latin/character01"});
  CHECK(set.alphabet_names == std::vector<std::string>{"Greek", "Latin"});
  REQUIRE(set.images.shape() == Shape{60, 105, 105});
  for (int64_t i = 0; i < 60; ++i) {
    CHECK(set.characters.data<int64_t>()[i] == i / 20);
    CHECK(set.drawers.data<int64_t>()[i] == i % 20);
    CHECK(set.alphabets.data<int64_t>()[i] == i / 40);
    const float* image = set.images.data<float>() + i * 105 * 105;
    CHECK(std::count(image, image + 105 * 105, 1.f) == 1);
    CHECK(image[i / 20 * 105 + i % 20 + 1] == 1);
  }

  // Made smaller, a picture keeps its ink.
  for (int64_t size : {1, 28, 35, 104}) {
    const Tensor small = omniglot(folder / "", "images_background", size).images;
    CHECK(small.shape() == Shape{60, size, size});
    double ink = 0;
    for (int64_t i = 0; i < size * size; ++i) ink += double{small.data<float>()[i]};
    CHECK(ink * std::pow(105. / double(size), 2) == Approx(1).epsilon(1e-4));
  }
  // At a third of the size each pixel is the average of nine: (0, 1) becomes a ninth of (0, 0).
  CHECK(omniglot(folder / "", "images_background", 35).images.data<float>()[0] == Approx(1 / 9.));
  CHECK_THROWS_AS(omniglot(folder / "", "images_background", 0), Error);
  CHECK_THROWS_AS(omniglot(folder / "", "images_background", 106), Error);
}

TEST_CASE("an Omniglot that is not", "[images]") {
  TemporaryFolder folder;
  draw_alphabets(folder);
  const std::string place = folder / "omniglot/images_background/Greek/character02/";
  const std::string drawing = io::read_file(place + "0001_07.png");
  const auto load = [&] { return omniglot(folder / ""); };
  const auto change = [&](const std::string& from, const std::string& to) {
    std::filesystem::rename(place + from, place + to);
  };

  std::filesystem::remove(place + "0001_07.png");
  CHECK_THROWS_WITH(load(), ContainsSubstring("character02: 19 drawings, not 20"));
  write_file(place + "0001_27.png", drawing);
  CHECK_THROWS_WITH(load(), ContainsSubstring("\"0001_27.png\" is no drawing's name"));
  change("0001_27.png", "0002_08.png");
  CHECK_THROWS_WITH(load(), ContainsSubstring("two drawings by number 8"));
  change("0002_08.png", "0001_07.png");
  CHECK_NOTHROW(load());
  write_file(place + ".DS_Store", "x");
  CHECK_NOTHROW(load());

  for (size_t length : {size_t{0}, size_t{20}, drawing.size() / 2, drawing.size() - 1}) {
    write_file(place + "0001_07.png", drawing.substr(0, length));
    CHECK_THROWS_AS(load(), IoError);
  }
  io::write_png(place + "0001_07.png", full({104, 105}, 1));
  CHECK_THROWS_WITH(load(), ContainsSubstring("0001_07.png: a picture of (104, 105), not (105, 105)"));
  io::write_png(place + "0001_07.png", full({400, 400}, 1));
  CHECK_THROWS_WITH(load(), ContainsSubstring("0001_07.png"));
  std::filesystem::remove_all(folder / "omniglot/images_background");
  std::filesystem::create_directories(folder / "omniglot/images_background");
  CHECK_THROWS_WITH(load(), ContainsSubstring("no drawings in it"));
}

TEST_CASE("the real Omniglot", "[images]") {
  const std::string data = real_data("omniglot");
  if (data.empty()) SKIP("no omniglot in CHAINRULE_DATA");
  const Omniglot set = omniglot(data, "images_evaluation", 28);
  CHECK(set.images.shape() == Shape{659 * 20, 28, 28});
  CHECK(set.names.size() == 659);
  CHECK(set.alphabet_names.size() == 20);
  double ink = 0;
  for (float v : set.images.span<float>()) {
    if (!(v >= 0 && v <= 1.0001f)) FAIL("a pixel of " << v);
    ink += double{v};
  }
  ink /= double(set.images.numel());
  CHECK((ink > 0.02 && ink < 0.2));
}

#else

TEST_CASE("Omniglot, drawing by drawing", "[images]") { SKIP("this build has no libpng"); }
TEST_CASE("an Omniglot that is not", "[images]") { SKIP("this build has no libpng"); }
TEST_CASE("the real Omniglot", "[images]") { SKIP("this build has no libpng"); }

#endif

TEST_CASE("the real CIFAR-10, or a piece of it", "[images]") {
  const std::string whole = real_data("cifar10"), piece = real_data("cifar10-2k");
  if (whole.empty() && piece.empty()) SKIP("no cifar10 in CHAINRULE_DATA");
  const TrainTest sets = cifar10(whole.empty() ? piece : whole);
  CHECK((sets.train.size() == 50000 || sets.train.size() == 2000));
  const int64_t* labels = sets.train.targets.data<int64_t>();
  CHECK(std::vector<int64_t>(labels, labels + 5) == std::vector<int64_t>{6, 9, 9, 4, 1});
  CHECK(sets.train.inputs.data<float>()[0] == 59 / 255.f);
  CHECK(sets.train.inputs.data<float>()[1024] == 62 / 255.f);
}

#if CHAINRULE_ZLIB
TEST_CASE("real Fashion-MNIST, or its first 20 000", "[images]") {
  for (std::string name : {"fashion-mnist", "fashion-mnist-20k"})
    if (const std::string data = real_data(name); !data.empty()) {
      const TrainTest sets = mnist(data, name);
      CHECK((sets.train.size() == 60000 || sets.train.size() == 20000));
      CHECK(sets.test.size() == 10000);
      CHECK(sets.train.targets.data<int64_t>()[0] == 9);
      CHECK(sets.test.targets.data<int64_t>()[0] == 9);
      return;
    }
  SKIP("no fashion-mnist in CHAINRULE_DATA");
}
#else
TEST_CASE("real Fashion-MNIST, or its first 20 000", "[images]") { SKIP("this build has no zlib"); }
#endif

#if CHAINRULE_SNDFILE

TEST_CASE("spoken digits: who says what, and which are for the test", "[speech]") {
  TemporaryFolder folder;
  CHECK_THROWS_WITH(spoken_digits(folder / ""), ContainsSubstring("fsdd: no recordings in"));
  std::filesystem::create_directories(folder / "fsdd/recordings");
  const auto write = [&](const std::string& name, int64_t frames, float value, int64_t rate = 8000) {
    io::write_wav(folder / ("fsdd/recordings/" + name), full({frames}, value), rate);
  };
  CHECK_THROWS_WITH(spoken_digits(folder / ""), ContainsSubstring("no recordings to train with"));
  write("7_zoe_5.wav", 3, 0.5f);
  CHECK_THROWS_WITH(spoken_digits(folder / ""), ContainsSubstring("or none (takes 0 to 4) to test with"));
  write("7_ann_4.wav", 2, 0.25f);
  write("7_ann_10.wav", 4, -0.5f);
  write("0_zoe_49.wav", 1, 0);
  const SpokenDigitsSplit split = spoken_digits(folder / "");
  CHECK(split.train.digits == std::vector<int64_t>{0, 7, 7});
  CHECK(split.train.speaker_names == std::vector<std::string>{"ann", "zoe"});
  CHECK(split.train.speakers == std::vector<int64_t>{1, 0, 1});
  CHECK(split.train.takes == std::vector<int64_t>{49, 10, 5});
  CHECK(split.test.digits == std::vector<int64_t>{7});
  CHECK(split.train.waves[1].numel() == 4);

  const Dataset cut = split.train.cut(3);
  CHECK(cut.inputs.shape() == Shape{3, 3});
  const auto all = cut.inputs.span<float>();
  CHECK(std::vector<float>(all.begin(), all.end()) ==
        std::vector<float>{0, 0, 0, -0.5f, -0.5f, -0.5f, 0.5f, 0.5f, 0.5f});
  CHECK(split.train.cut(5).inputs.data<float>()[9] == 0);
  CHECK_THROWS_AS(split.train.cut(0), Error);

  for (std::string bad : {"x.wav", "10_ann_1.wav", "7_ann_.wav", "7__1.wav", "7_ann_-1.wav", "7_ann_1x.wav",
                          "7_ann_1.mp3", "a_ann_1.wav", "7_ann_99999999999999999999.wav"}) {
    write_file(folder / ("fsdd/recordings/" + bad), "");
    CHECK_THROWS_WITH(spoken_digits(folder / ""), ContainsSubstring("is no recording's name"));
    std::filesystem::remove(folder / ("fsdd/recordings/" + bad));
  }
  const std::string sound = io::read_file(folder / "fsdd/recordings/7_ann_10.wav");
  for (size_t length = 0; length < sound.size(); length += 3) {
    write_file(folder / "fsdd/recordings/7_ann_10.wav", sound.substr(0, length));
    CHECK_THROWS_AS(spoken_digits(folder / ""), IoError);
  }
  write("7_ann_10.wav", 4, 0, 16000);
  CHECK_THROWS_WITH(spoken_digits(folder / ""), ContainsSubstring("7_ann_10.wav: 16000 samples a second"));
  io::write_wav(folder / "fsdd/recordings/7_ann_10.wav", full({4, 2}, 0), 8000);
  CHECK_THROWS_WITH(spoken_digits(folder / ""), ContainsSubstring("not 8000 of one channel"));
  write("7_ann_10.wav", 80001, 0);
  CHECK_THROWS_WITH(spoken_digits(folder / ""), ContainsSubstring("80001 samples, not 1 to 80000"));
}

TEST_CASE("the real spoken digits", "[speech]") {
  const std::string data = real_data("fsdd");
  if (data.empty()) SKIP("no fsdd in CHAINRULE_DATA");
  const SpokenDigitsSplit split = spoken_digits(data);
  CHECK(split.test.waves.size() == 300);
  CHECK(split.train.speaker_names.size() == 6);
  CHECK((split.train.waves.size() == 2700 || split.train.waves.size() == 600));
  // Balanced: each speaker says each digit equally often.
  for (const SpokenDigits* part : {&split.train, &split.test})
    for (int64_t digit = 0; digit < 10; ++digit)
      CHECK(std::count(part->digits.begin(), part->digits.end(), digit) * 10 == int64_t(part->digits.size()));
}

#else

TEST_CASE("spoken digits: who says what, and which are for the test", "[speech]") {
  SKIP("this build has no libsndfile");
}
TEST_CASE("the real spoken digits", "[speech]") { SKIP("this build has no libsndfile"); }

#endif
