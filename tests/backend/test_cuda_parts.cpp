// # What of the CUDA backend needs no GPU
#include <map>
#include <random>

#include "backend/cuda/allocator.hpp"
#include "backend/cuda/errors.hpp"
#include "backend/gpu_options.hpp"
#include "catch.hpp"
#include "tensor/error.hpp"

using namespace cr;
using namespace cr::backend::cuda;

namespace {

// A device with `total` bytes: addresses are numbers, and nobody looks behind them.
class Paper : public BlockSource {
 public:
  explicit Paper(int64_t total) : total_(total) {}
  void* take(int64_t bytes) override {
    ++asked;
    if (used + bytes > total_) return nullptr;
    used += bytes;
    auto* block = reinterpret_cast<char*>(next_);
    next_ += static_cast<uintptr_t>((bytes + 511) / 512 * 512);
    blocks[block] = bytes;
    return block;
  }
  void give(void* block) noexcept override {
    used -= blocks.at(static_cast<char*>(block));
    blocks.erase(static_cast<char*>(block));
  }
  int64_t free_bytes() override { return total_ - used; }
  int64_t total_bytes() override { return total_; }

  std::map<char*, int64_t> blocks;
  int64_t used = 0;
  int asked = 0;

 private:
  int64_t total_;
  uintptr_t next_ = 1 << 20;
};

constexpr int64_t kMB = 1 << 20;

std::string text_of(const std::function<void()>& f) {
  try {
    f();
  } catch (const OutOfMemory& e) {
    return e.what();
  }
  return "nothing thrown";
}

}  // namespace

TEST_CASE("a block that came back serves again", "[cuda]") {
  Paper paper(1000 * kMB);
  CachingAllocator memory(paper);
  void* first = memory.allocate(10 * kMB);
  memory.free(first);
  CHECK(memory.allocate(10 * kMB - 100) == first);
  memory.free(first);
  CHECK(memory.allocate(10 * kMB) == first);
  CHECK(paper.asked == 1);
  memory.free(first);
  memory.free(first);  // twice does no harm
  void* other = memory.allocate(10 * kMB);
  CHECK(other == first);
  CHECK(memory.allocate(10 * kMB) != first);
}

TEST_CASE("a steady loop asks the driver for nothing", "[cuda]") {
  Paper paper(4000 * kMB);
  CachingAllocator memory(paper);
  auto step = [&] {
    std::vector<void*> blocks;
    for (int64_t bytes : {4, 100, 5000, 70000, 300000, 1 << 20, 5 << 20, 5 << 20, 33 << 20})
      blocks.push_back(memory.allocate(bytes));
    for (void* b : blocks) memory.free(b);
  };
  step();
  const int asked = paper.asked;
  for (int i = 0; i < 100; ++i) step();
  CHECK(paper.asked == asked);
  CHECK(memory.stats().used == 0);
  CHECK(memory.stats().reserved == paper.used);
}

TEST_CASE("blocks lie apart, are aligned and waste little", "[cuda]") {
  Paper paper(8000 * kMB);
  CachingAllocator memory(paper);
  std::mt19937 random(1);
  std::map<char*, int64_t> live;
  for (int i = 0; i < 3000; ++i) {
    if (!live.empty() && random() % 3 == 0) {
      auto at = std::next(live.begin(), static_cast<std::ptrdiff_t>(random() % live.size()));
      memory.free(at->first);
      live.erase(at);
      continue;
    }
    const int64_t bytes = 1 + static_cast<int64_t>(random() >> (12 + random() % 18));
    auto* block = static_cast<char*>(memory.allocate(bytes));
    CHECK(reinterpret_cast<uintptr_t>(block) % 256 == 0);
    auto after = live.lower_bound(block);
    CHECK((after == live.end() || block + bytes <= after->first));
    CHECK((after == live.begin() || std::prev(after)->first + std::prev(after)->second <= block));
    live[block] = bytes;
  }
  int64_t wanted = 0;
  for (auto [block, bytes] : live) wanted += std::max<int64_t>(bytes, 820);
  CHECK(memory.stats().used <= wanted * 5 / 4);
  for (auto [block, bytes] : live) memory.free(block);
  CHECK(memory.stats().used == 0);
  memory.release_cached();
  CHECK(memory.stats().reserved == 0);
  CHECK(paper.used == 0);
}

TEST_CASE("out of memory: the cache goes back, and then a line with the sizes", "[cuda]") {
  Paper paper(100 * kMB);
  CachingAllocator memory(paper);
  std::vector<void*> small;
  for (int i = 0; i < 60; ++i) small.push_back(memory.allocate(kMB));
  for (void* b : small) memory.free(b);
  void* large = memory.allocate(80 * kMB);  // only the cache stood in its way
  CHECK(memory.stats().used >= 80 * kMB);
  std::string line = text_of([&] { memory.allocate(50 * kMB); });
  CHECK(line.find("52.4 MB asked for") != std::string::npos);
  CHECK(line.find("tensors hold 83.9 MB") != std::string::npos);
  CHECK(line.find("of its 104.9 MB") != std::string::npos);
  CHECK(line.find('\n') == std::string::npos);
  memory.free(large);
  CHECK(text_of([&] { memory.free(memory.allocate(50 * kMB)); }) == "nothing thrown");
  CHECK(text_of([&] { memory.allocate(INT64_MAX); }).find("out of memory on the GPU") == 0);
}

TEST_CASE("a slab with one block in use stays", "[cuda]") {
  Paper paper(6 * kMB);
  CachingAllocator memory(paper);
  void* a = memory.allocate(1000);
  void* b = memory.allocate(1000);
  memory.free(a);
  memory.release_cached();
  CHECK(paper.used == 2 * kMB);
  memory.free(b);
  memory.release_cached();
  CHECK(paper.used == 0);
}

TEST_CASE("why there is no GPU, in one line", "[cuda]") {
  Found none{.error = kInsufficientDriver, .text = "", .driver = 0, .runtime = 13000};
  CHECK(why_not(none) == "no NVIDIA driver is installed here");
  none.driver = 11040;
  CHECK(why_not(none) == "the NVIDIA driver is too old: it knows CUDA 11.4, and this program needs 13.0");
  none.error = kNoDevice;
  CHECK(why_not(none) == "the NVIDIA driver finds no GPU (CUDA_VISIBLE_DEVICES may hide it)");
  Found old{.error = kNoKernelImage,
            .text = "",
            .driver = 13000,
            .runtime = 13000,
            .name = "GeForce GTX 1080",
            .major = 6,
            .minor = 1,
            .built_for = "75-real, 80-real"};
  CHECK(why_not(old) ==
        "this program has no code for GeForce GTX 1080, of compute capability 6.1: it was built for 75-real, 80-real "
        "(CMAKE_CUDA_ARCHITECTURES)");
  CHECK(why_not({.error = 46, .text = "all devices are busy", .driver = 13000}) ==
        "the GPU does not answer: all devices are busy");
  CHECK(why_not({.driver = 13000}).empty());
}

TEST_CASE("a fault names its kernel as well as it is known", "[cuda]") {
  LaunchLog log;
  CHECK(log.recent().empty());
  for (const char* kernel : {"fill", "add", "matmul", "softmax", "sum"}) log.add(kernel);
  CHECK(log.recent() == "sum, softmax, matmul, add");
  CHECK(is_sticky(700));
  CHECK(is_sticky(719));
  CHECK_FALSE(is_sticky(kMemoryAllocation));
  CHECK_FALSE(is_sticky(9));
  CHECK(message("sum", 9, "invalid configuration argument", true, log) == "sum: invalid configuration argument");
  std::string later = message("to_host", 700, "an illegal memory access was encountered", false, log);
  CHECK(later.find("the last were sum, softmax, matmul, add; --sync tells which it was") != std::string::npos);
  CHECK(later.find("has to be started again") != std::string::npos);
  std::string at_once = message("sum", 700, "an illegal memory access was encountered", true, log);
  CHECK(at_once.find("--sync") == std::string::npos);
  CHECK(at_once.find("sum: an illegal memory access was encountered; the GPU is lost") == 0);
  CHECK(lost("sum: an illegal access").find("since sum: an illegal access") != std::string::npos);
}
