// # Batches
//
// Training looks at the data a few samples at a time, in a new random order each time round (an **epoch**). While the
// model works on one batch, a second thread may put the next one together.
//
//     DataLoader loader(train, {.batch_size = 64, .shuffle = true}, generator);
//     for (int epoch = 0; epoch < 10; ++epoch)
//       for (auto& [x, y] : loader) { … }                  // x (64, 28, 28), y (64,)
//
// The order is a function of the generator and the number of the epoch, not of threads or of what was read before. So
// the numbers of epoch and batch, and whether a loop is under way, say where a run stands; one that is resumed there sees
// what it would have seen.
#pragma once

#include <cstdint>
#include <exception>
#include <functional>
#include <iterator>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "backend/generator.hpp"
#include "data/dataset.hpp"

namespace cr::data {

struct Batch {
  Tensor x, y;
  Batch to(Device device) const { return {x.to(device), y.to(device)}; }
};

struct DataLoaderOptions {
  int64_t batch_size = 1;
  bool shuffle = false;
  bool drop_last = false;  // leave out the last batch of an epoch if it is smaller than the others
  bool prefetch = true;    // make one batch ahead in another thread, if the program may use more than one

  // Changes a batch before it is handed out: noise, shifts, other augmentation. The generator is the batch's own, a
  // function of seed, epoch and batch. It runs in the other thread if there is one; what it throws, the loop throws.
  std::function<void(Batch& batch, Generator& generator)> transform = {};
};

class DataLoader {
 public:
  // Takes what the order depends on from `generator`'s seed and stream; its place does not matter. Throws ShapeError if
  // inputs and targets differ in length or make no batch at all, Error for a batch size below 1, DeviceError unless
  // both are in host memory.
  DataLoader(Dataset dataset, DataLoaderOptions options = {}, const Generator& generator = Generator(0));
  ~DataLoader();
  DataLoader(const DataLoader&) = delete;
  DataLoader& operator=(const DataLoader&) = delete;

  // Batches in an epoch.
  int64_t size() const { return batches_; }

  // A loop over an epoch. It begins at the next epoch's start: a loop left early is an epoch ended early. Only after
  // `load_state_dict` of a state saved within a loop does it do the rest of that one. An iterator moves the loader
  // itself: one loop at a time, and none that outlives the loader.
  class Iterator {
   public:
    ~Iterator() {
      if (loader_) loader_->in_loop_ = false;
    }
    Iterator(const Iterator&) = delete;
    Iterator& operator=(const Iterator&) = delete;
    Batch& operator*() { return batch_; }
    Batch* operator->() { return &batch_; }
    Iterator& operator++();
    bool operator!=(std::default_sentinel_t) const { return loader_ != nullptr; }

   private:
    friend class DataLoader;
    explicit Iterator(DataLoader* loader);
    DataLoader* loader_;
    Batch batch_;
  };
  Iterator begin();
  std::default_sentinel_t end() const { return {}; }

  // The next batch, from the next epoch if this one is through: for loops over steps.
  Batch next();

  // Where we stand: the epoch, and how many of its batches were handed out.
  int64_t epoch() const { return epoch_; }
  int64_t batch() const { return batch_; }

  // Position, seed and stream, to be saved with a checkpoint, within a loop or outside: after it is loaded, loops and
  // `next` give what they would have given here. `load_state_dict` throws Error when the state is not a loader's of as
  // many batches.
  std::map<std::string, Tensor> state_dict() const;
  void load_state_dict(const std::map<std::string, Tensor>& state);

 private:
  class Worker;

  // A batch to be made. Its tensors are allocated and freed by the thread that loops, so that the allocator's cache
  // finds them again; the other thread only writes into them.
  struct Job {
    int64_t epoch = -1, number = -1;
    Batch batch;
    std::exception_ptr error;
  };
  Job prepare(int64_t number) const;
  void fill(Job& job) const;
  void set_order();
  Batch take();

  Dataset data_;
  DataLoaderOptions options_;
  Generator generator_;
  int64_t batches_ = 0;
  int64_t epoch_ = 0, batch_ = 0;
  bool in_loop_ = false;         // an iterator is under way
  bool continue_epoch_ = false;  // one was in the state we loaded: the next loop goes on within the epoch
  int64_t ordered_epoch_ = -1;   // the epoch that `order_` is for
  std::vector<int64_t> order_;
  std::unique_ptr<Worker> worker_;  // none without prefetch
};

}  // namespace cr::data
