// Data sets and loaders: every sample once an epoch, in an order that only the seed decides.

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <set>
#include <stdexcept>

#include "backend/parallel.hpp"
#include "catch.hpp"
#include "contains.hpp"
#include "data/data_loader.hpp"
#include "io/atomic_file.hpp"
#include "io/idx.hpp"
#include "io/temporary_folder.hpp"
#include "machine.hpp"
#include "ops/ops.hpp"
#include "tensor/allocator.hpp"

using namespace cr;
using namespace cr::data;

namespace {

// Sample i is the row (10 i, 10 i + 1) with target i.
Dataset counting(int64_t n) {
  Dataset data{empty({n, 2}), empty({n}, DType::int64)};
  for (int64_t i = 0; i < n; ++i) {
    data.inputs.mutable_data<float>()[2 * i] = static_cast<float>(10 * i);
    data.inputs.mutable_data<float>()[2 * i + 1] = static_cast<float>(10 * i + 1);
    data.targets.mutable_data<int64_t>()[i] = i;
  }
  return data;
}

// The targets of a batch, after checking that the inputs belong to them.
std::vector<int64_t> samples(const Batch& batch) {
  std::vector<int64_t> all(batch.y.data<int64_t>(), batch.y.data<int64_t>() + batch.y.numel());
  REQUIRE(batch.x.shape() == Shape{batch.y.numel(), 2});
  for (size_t i = 0; i < all.size(); ++i) {
    REQUIRE(batch.x.data<float>()[2 * i] == static_cast<float>(10 * all[i]));
    REQUIRE(batch.x.data<float>()[2 * i + 1] == static_cast<float>(10 * all[i] + 1));
  }
  return all;
}

std::vector<int64_t> epoch_of(DataLoader& loader) {
  std::vector<int64_t> all;
  for (Batch& batch : loader)
    for (int64_t sample : samples(batch)) all.push_back(sample);
  return all;
}

}  // namespace

TEST_CASE("without shuffle the samples come in order", "[loader]") {
  DataLoader loader(counting(10), {.batch_size = 4});
  CHECK(loader.size() == 3);
  std::vector<std::vector<int64_t>> batches;
  for (const auto& [x, y] : loader) batches.push_back(samples({x, y}));
  CHECK(batches == std::vector<std::vector<int64_t>>{{0, 1, 2, 3}, {4, 5, 6, 7}, {8, 9}});

  DataLoader whole_only(counting(10), {.batch_size = 4, .drop_last = true});
  CHECK(whole_only.size() == 2);
  CHECK(epoch_of(whole_only) == std::vector<int64_t>{0, 1, 2, 3, 4, 5, 6, 7});
}

TEST_CASE("shuffled, every sample comes once an epoch and each epoch differs", "[loader]") {
  DataLoader loader(counting(101), {.batch_size = 7, .shuffle = true}, Generator(1));
  std::vector<int64_t> first = epoch_of(loader), second = epoch_of(loader);
  CHECK(first != second);
  for (std::vector<int64_t> order : {first, second}) {
    CHECK_FALSE(std::is_sorted(order.begin(), order.end()));
    std::sort(order.begin(), order.end());
    for (int64_t i = 0; i < 101; ++i) CHECK(order[static_cast<size_t>(i)] == i);
  }
  DataLoader other(counting(101), {.batch_size = 7, .shuffle = true}, Generator(2));
  CHECK(epoch_of(other) != first);
}

TEST_CASE("the order is the same with and without the other thread", "[loader]") {
  std::vector<std::vector<int64_t>> orders;
  for (int threads : {1, 2})
    for (bool prefetch : {false, true}) {
      Threads guard(threads);
      DataLoader loader(counting(50), {.batch_size = 8, .shuffle = true, .prefetch = prefetch}, Generator(3));
      std::vector<int64_t> order = epoch_of(loader);
      for (int64_t sample : epoch_of(loader)) order.push_back(sample);
      orders.push_back(order);
    }
  for (const auto& order : orders) CHECK(order == orders[0]);
}

TEST_CASE("a loop may be left early, at any batch", "[loader]") {
  Threads guard(2);
  DataLoader straight(counting(30), {.batch_size = 4, .shuffle = true}, Generator(4));
  std::vector<std::vector<int64_t>> epochs;
  for (int i = 0; i < 9; ++i) epochs.push_back(epoch_of(straight));

  DataLoader loader(counting(30), {.batch_size = 4, .shuffle = true}, Generator(4));
  for (int64_t stop = 0; stop < 8; ++stop) {
    int64_t seen = 0;
    for (Batch& batch : loader) {
      samples(batch);
      if (++seen > stop) break;
    }
  }
  CHECK(epoch_of(loader) == epochs[8]);
  // A loader may go while its thread is at work.
  for (int i = 0; i < 50; ++i) {
    DataLoader brief(counting(30), {.batch_size = 4});
    brief.next();
  }
}

TEST_CASE("next goes on from epoch to epoch", "[loader]") {
  DataLoader loop(counting(10), {.batch_size = 3, .shuffle = true}, Generator(5));
  DataLoader stream(counting(10), {.batch_size = 3, .shuffle = true}, Generator(5));
  for (int epoch = 0; epoch < 3; ++epoch)
    for (Batch& batch : loop) CHECK(samples(batch) == samples(stream.next()));
  CHECK(stream.epoch() == 2);
  CHECK(stream.batch() == 4);
}

TEST_CASE("a run that is resumed sees what it would have seen", "[loader]") {
  auto make = [](uint64_t seed) {
    return std::make_unique<DataLoader>(counting(22), DataLoaderOptions{.batch_size = 4, .shuffle = true},
                                        Generator(seed));
  };
  for (int64_t stop = 0; stop < 13; ++stop) {
    auto unbroken = make(6), before = make(6), after = make(7);
    for (int64_t i = 0; i < stop; ++i) unbroken->next(), before->next();
    after->next();  // a batch of the wrong seed, and another one under way
    after->load_state_dict(before->state_dict());
    CHECK(after->epoch() == before->epoch());
    CHECK(after->batch() == before->batch());
    for (int i = 0; i < 8; ++i) CHECK(samples(after->next()) == samples(unbroken->next()));
  }
  auto resumed = make(0);
  CHECK_THROWS_AS(resumed->load_state_dict({}), Error);
  CHECK_THROWS_AS(resumed->load_state_dict({{"loader", zeros({6})}}), Error);
  CHECK_THROWS_AS(resumed->load_state_dict(DataLoader(counting(5)).state_dict()), Error);
}

// Saved within a loop, a run does the rest of it; saved after one that was left early, or by an error, or after `next`, it
// begins an epoch. Either way it goes on as the one that saved does.
TEST_CASE("loops that are resumed see what they would have seen", "[loader]") {
  using State = std::map<std::string, Tensor>;
  const auto make = [](uint64_t seed) {
    return std::make_unique<DataLoader>(counting(22), DataLoaderOptions{.batch_size = 4, .shuffle = true},
                                        Generator(seed));
  };
  const auto resume = [&](const State& state) {
    auto resumed = make(0), copied = make(1);
    for (const Batch& batch : *resumed)  // a loop that the state knows nothing of
      if (samples(batch).size() == 4) break;
    resumed->load_state_dict(state);
    copied->load_state_dict(resumed->state_dict());  // saved again before anything was done
    return copied;
  };
  auto reference = make(6);
  const std::vector<int64_t> first = epoch_of(*reference), second = epoch_of(*reference), third = epoch_of(*reference);

  for (int64_t stop = 1; stop <= 6; ++stop) {
    auto loader = make(6);
    State within;
    int64_t seen = 0;
    for (const Batch& batch : *loader) {
      samples(batch);
      within = loader->state_dict();
      if (++seen == stop) break;
    }
    auto inside = resume(within), outside = resume(loader->state_dict());
    if (stop < 6) CHECK(epoch_of(*inside) == std::vector<int64_t>(first.begin() + 4 * stop, first.end()));
    CHECK(epoch_of(*inside) == second);
    CHECK(epoch_of(*outside) == second);
    CHECK(epoch_of(*loader) == second);
    CHECK(epoch_of(*resume(loader->state_dict())) == third);
  }

  auto loader = make(6);
  try {
    for (const Batch& batch : *loader) throw std::runtime_error(std::to_string(batch.y.numel()));
  } catch (const std::runtime_error&) {
  }
  CHECK(epoch_of(*resume(loader->state_dict())) == second);
  loader->next();
  CHECK(epoch_of(*resume(loader->state_dict())) == second);
  CHECK(samples(resume(loader->state_dict())->next()) == std::vector<int64_t>(first.begin() + 8, first.begin() + 12));
  CHECK(epoch_of(*loader) == second);
}

TEST_CASE("a transform changes batches, by seed and place only", "[loader]") {
  auto noise = [](Batch& batch, Generator& g) {
    for (int64_t i = 0; i < batch.x.numel(); ++i) batch.x.mutable_data<float>()[i] += g.normal();
  };
  std::vector<std::vector<float>> runs;
  for (bool prefetch : {false, true}) {
    Threads guard(2);
    DataLoader loader(counting(20), {.batch_size = 6, .shuffle = true, .prefetch = prefetch, .transform = noise},
                      Generator(8));
    std::vector<float> numbers;
    for (int epoch = 0; epoch < 2; ++epoch)
      for (auto& [x, y] : loader) numbers.insert(numbers.end(), x.data<float>(), x.data<float>() + x.numel());
    runs.push_back(numbers);
  }
  CHECK(runs[0] == runs[1]);
  CHECK(runs[0][0] != runs[0][40]);
}

TEST_CASE("what a transform throws, the loop throws", "[loader]") {
  for (bool prefetch : {false, true}) {
    Threads guard(2);
    std::atomic<bool> broken = true;
    auto fails = [&broken](Batch& batch, Generator&) {
      if (broken && batch.y.data<int64_t>()[0] == 8) throw std::runtime_error("sample 8 is bad");
    };
    DataLoader loader(counting(20), {.batch_size = 4, .prefetch = prefetch, .transform = fails});
    int64_t seen = 0;
    CHECK_THROWS_WITH(
        [&] {
          for (Batch& batch : loader) seen += batch.y.numel();
        }(),
        "sample 8 is bad");
    CHECK(seen == 8);
    // The loader is still good; it stands before the bad batch.
    CHECK(loader.batch() == 2);
    broken = false;
    CHECK(samples(loader.next())[0] == 8);
    CHECK(epoch_of(loader).size() == 20);
  }
}

TEST_CASE("a steady loop asks the system for nothing", "[loader]") {
  if (!allocator::caches()) SKIP("the sanitizer's allocator keeps no blocks");
  for (bool prefetch : {false, true}) {
    Threads guard(2);
    DataLoader loader(counting(10000), {.batch_size = 1000, .shuffle = true, .prefetch = prefetch});
    for (int epoch = 0; epoch < 2; ++epoch) epoch_of(loader);
    const int64_t before = allocator::stats().system_allocations;
    for (int epoch = 0; epoch < 10; ++epoch)
      for (auto& [x, y] : loader) CHECK(x.numel() == 2000);
    CHECK(allocator::stats().system_allocations == before);
  }
}

TEST_CASE("a loader refuses what makes no batches", "[loader]") {
  CHECK_THROWS_AS(DataLoader({zeros({3, 2}), zeros({4})}), ShapeError);
  CHECK_THROWS_AS(DataLoader({zeros({3, 2}), Tensor()}), ShapeError);
  CHECK_THROWS_AS(DataLoader(counting(0)), ShapeError);
  CHECK_THROWS_AS(DataLoader(counting(3), {.batch_size = 0}), Error);
  CHECK_THROWS_WITH(DataLoader(counting(3), {.batch_size = 4, .drop_last = true}),
                    "DataLoader: 3 samples make no batch of 4");
}

TEST_CASE("a data set is split in two views", "[data]") {
  auto [first, rest] = counting(5).split(2);
  CHECK(first.size() == 2);
  CHECK(rest.size() == 3);
  CHECK(rest.targets.data<int64_t>()[0] == 2);
  DataLoader loader(rest, {.batch_size = 3});
  CHECK(samples(loader.next()) == std::vector<int64_t>{2, 3, 4});
  CHECK(counting(5).split(5).second.size() == 0);
  CHECK_THROWS_AS(counting(5).split(6), IndexError);
  CHECK_THROWS_AS(counting(5).split(-1), IndexError);
}

TEST_CASE("MNIST's four files, in either place, or a message that says what to do", "[data]") {
  TemporaryFolder folder;
  CHECK_THROWS_WITH(mnist(folder / "none"),
                    ContainsSubstring("--data DIR") && ContainsSubstring(folder / "none/mnist"));
  for (std::string part : {"train", "t10k"}) {
    io::write_idx(folder / (part + "-images-idx3-ubyte"), full({6, 28, 28}, 255));
    io::write_idx(folder / (part + "-labels-idx1-ubyte"), full({6}, 9));
  }
  CHECK(mnist(folder / "").train.inputs.data<float>()[783] == 1);
  std::filesystem::create_directory(folder / "mnist");
  io::write_idx(folder / "mnist/t10k-labels-idx1-ubyte", full({5}, 9));
  CHECK_THROWS_WITH(mnist(folder / ""), ContainsSubstring("holds (5,) labels for 6 images"));
  io::write_idx(folder / "mnist/t10k-labels-idx1-ubyte", full({6}, 10));
  CHECK_THROWS_WITH(mnist(folder / ""), ContainsSubstring("holds the label 10"));
  io::write_idx(folder / "mnist/t10k-images-idx3-ubyte", full({6, 27, 28}, 10));
  CHECK_THROWS_WITH(mnist(folder / ""), ContainsSubstring("not images of 28 x 28"));
  io::write_file(folder / "mnist/t10k-images-idx3-ubyte", "nonsense");
  CHECK_THROWS_AS(mnist(folder / ""), IoError);
}

#if CHAINRULE_ZLIB
TEST_CASE("the real MNIST", "[data]") {
  const char* data = std::getenv("CHAINRULE_DATA");
  if (!data) SKIP("CHAINRULE_DATA is not set");
  if (!std::filesystem::exists(std::string(data) + "/mnist/train-images-idx3-ubyte.gz"))
    SKIP("no mnist in CHAINRULE_DATA");
  TrainTest sets = mnist();
  CHECK(sets.train.inputs.shape() == Shape{60000, 28, 28});
  CHECK(sets.test.size() == 10000);
  CHECK(sets.train.targets.data<int64_t>()[0] == 5);
}
#else
TEST_CASE("the real MNIST", "[data]") { SKIP("this build has no zlib"); }
#endif
