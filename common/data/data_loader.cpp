#include "data/data_loader.hpp"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <span>

#include "backend/parallel.hpp"

#if CHAINRULE_THREADS
#include <condition_variable>
#include <mutex>
#include <system_error>
#include <thread>
#endif

namespace cr::data {

// ## The other thread
//
// It does one job at a time. `start` hands it over, `finish` waits and takes it back; between the two the job is nobody
// else's. A build without threads has none, and no loader ever makes one.
#if CHAINRULE_THREADS

class DataLoader::Worker {
 public:
  explicit Worker(const DataLoader& loader) : loader_(loader), thread_([this] { run(); }) {}

  ~Worker() {
    {
      std::scoped_lock lock(mutex_);
      state_ = State::stop;
    }
    changed_.notify_all();
    thread_.join();
  }

  bool busy() const { return busy_; }

  void start(Job job) {
    {
      std::scoped_lock lock(mutex_);
      job_ = std::move(job);
      state_ = State::todo;
    }
    busy_ = true;
    changed_.notify_all();
  }

  Job finish() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return state_ == State::idle; });
    busy_ = false;
    return std::move(job_);
  }

 private:
  enum class State { idle, todo, stop };

  void run() {
    std::unique_lock lock(mutex_);
    while (true) {
      changed_.wait(lock, [this] { return state_ != State::idle; });
      if (state_ == State::stop) return;
      lock.unlock();
      try {
        loader_.fill(job_);
      } catch (...) {
        job_.error = std::current_exception();
      }
      lock.lock();
      if (state_ == State::stop) return;
      state_ = State::idle;
      changed_.notify_all();
    }
  }

  const DataLoader& loader_;
  Job job_;
  State state_ = State::idle;
  bool busy_ = false;  // the caller's own note that a job is out
  std::mutex mutex_;
  std::condition_variable changed_;
  std::thread thread_;  // last: it uses all of the above
};

#else

class DataLoader::Worker {
 public:
  bool busy() const { return false; }
  void start(Job) {}
  Job finish() { return {}; }
};

#endif

namespace {

Tensor empty_rows(const Tensor& like, int64_t count) {
  Shape shape = like.shape();
  shape[0] = count;
  return empty(shape, like.dtype());
}

// to[i] = from[rows[i]]. Both are contiguous.
void gather_rows(const Tensor& from, std::span<const int64_t> rows, const Tensor& to) {
  const int64_t bytes = from.numel() / from.size(0) * size_of(from.dtype());
  const auto* source =
      static_cast<const char*>(from.impl()->storage->data()) + from.impl()->offset * size_of(from.dtype());
  auto* target = static_cast<char*>(to.impl()->storage->data());
  for (int64_t row : rows) {
    std::memcpy(target, source + row * bytes, static_cast<size_t>(bytes));
    target += bytes;
  }
}

}  // namespace

// ## The loader

DataLoader::DataLoader(Dataset dataset, DataLoaderOptions options, const Generator& generator)
    : data_(std::move(dataset)), options_(std::move(options)), generator_(generator) {
  if (!data_.inputs.defined() || !data_.targets.defined() || data_.inputs.dim() == 0 || data_.targets.dim() == 0 ||
      data_.inputs.size(0) != data_.targets.size(0))
    throw ShapeError("DataLoader: inputs and targets must have the same number of rows" +
                     (data_.inputs.defined() && data_.targets.defined()
                          ? ", got " + to_string(data_.inputs.shape()) + " and " + to_string(data_.targets.shape())
                          : std::string(", one is undefined")));
  if (!is_host(data_.inputs.device()) || !is_host(data_.targets.device()))
    throw DeviceError("DataLoader: the data set must be in host memory; move the batches to the GPU");
  if (options_.batch_size < 1)
    throw Error("DataLoader: batch_size must be at least 1, got " + std::to_string(options_.batch_size));
  batches_ = data_.size() / options_.batch_size;
  if (!options_.drop_last && data_.size() % options_.batch_size != 0) ++batches_;
  if (batches_ == 0)
    throw ShapeError("DataLoader: " + std::to_string(data_.size()) + " samples make no batch of " +
                     std::to_string(options_.batch_size));
  data_ = {data_.inputs.detach().contiguous(), data_.targets.detach().contiguous()};

#if CHAINRULE_THREADS
  // A system that has no thread to give is no reason to stop.
  if (options_.prefetch && backend::num_threads() > 1) try {
      worker_ = std::make_unique<Worker>(*this);
    } catch (const std::system_error&) {
    }
#endif
}

DataLoader::~DataLoader() = default;

// The order of the samples in the current epoch.
void DataLoader::set_order() {
  if (ordered_epoch_ == epoch_ || (!options_.shuffle && !order_.empty())) return;
  order_.resize(static_cast<size_t>(data_.size()));
  std::iota(order_.begin(), order_.end(), 0);
  if (options_.shuffle) generator_.split(static_cast<uint64_t>(epoch_)).split(0).shuffle(std::span<int64_t>(order_));
  ordered_epoch_ = epoch_;
}

DataLoader::Job DataLoader::prepare(int64_t number) const {
  const int64_t count = std::min(options_.batch_size, data_.size() - number * options_.batch_size);
  return {epoch_, number, {empty_rows(data_.inputs, count), empty_rows(data_.targets, count)}, nullptr};
}

void DataLoader::fill(Job& job) const {
  const auto first = static_cast<size_t>(job.number * options_.batch_size);
  const auto rows = std::span(order_).subspan(first, static_cast<size_t>(job.batch.x.size(0)));
  gather_rows(data_.inputs, rows, job.batch.x);
  gather_rows(data_.targets, rows, job.batch.y);
  if (options_.transform) {
    Generator generator =
        generator_.split(static_cast<uint64_t>(job.epoch)).split(1 + static_cast<uint64_t>(job.number));
    options_.transform(job.batch, generator);
  }
}

// Batch number `batch_` of the current epoch. It is usually the one the other thread has been working on; after a jump
// it is not, and that one is dropped.
Batch DataLoader::take() {
  Job job;
  if (worker_ && worker_->busy()) job = worker_->finish();
  set_order();
  if (job.epoch != epoch_ || job.number != batch_) {
    job = prepare(batch_);
    fill(job);
  } else if (job.error) {
    std::rethrow_exception(job.error);
  }
  ++batch_;
  if (worker_ && batch_ < batches_) worker_->start(prepare(batch_));
  return std::move(job.batch);
}

Batch DataLoader::next() {
  continue_epoch_ = false;
  if (batch_ == batches_) ++epoch_, batch_ = 0;
  return take();
}

DataLoader::Iterator DataLoader::begin() {
  if (batch_ == batches_ || (batch_ > 0 && !continue_epoch_)) ++epoch_, batch_ = 0;
  continue_epoch_ = false;
  return Iterator(this);
}

DataLoader::Iterator::Iterator(DataLoader* loader) : loader_(loader) {
  ++*this;
  loader->in_loop_ = true;
}

// The old batch goes first, so that its memory can serve for a new one.
DataLoader::Iterator& DataLoader::Iterator::operator++() {
  batch_ = {};
  if (loader_->batch_ < loader_->batches_) {
    batch_ = loader_->take();
  } else {
    loader_->in_loop_ = false;
    loader_ = nullptr;
  }
  return *this;
}

std::map<std::string, Tensor> DataLoader::state_dict() const {
  const RandomState& random = generator_.state();
  const int64_t numbers[] = {
      static_cast<int64_t>(random.seed), static_cast<int64_t>(random.stream), epoch_, batch_, batches_,
      in_loop_ || continue_epoch_};
  Tensor state = empty({std::ssize(numbers)}, DType::int64);
  std::copy(std::begin(numbers), std::end(numbers), state.mutable_data<int64_t>());
  return {{"loader", state}};
}

void DataLoader::load_state_dict(const std::map<std::string, Tensor>& state) {
  const auto found = state.find("loader");
  if (found == state.end() || !found->second.defined() || found->second.dtype() != DType::int64 ||
      found->second.shape() != Shape{6})
    throw Error("DataLoader: the state is not one that a loader saved");
  const Tensor numbers = found->second.contiguous();
  const int64_t* n = numbers.data<int64_t>();
  if (n[4] != batches_ || n[2] < 0 || n[3] < 0 || n[3] > batches_)
    throw Error("DataLoader: the state was saved with " + std::to_string(n[4]) + " batches an epoch, here are " +
                std::to_string(batches_));
  if (worker_ && worker_->busy()) worker_->finish();
  generator_.set_state({static_cast<uint64_t>(n[0]), static_cast<uint64_t>(n[1]), 0});
  epoch_ = n[2], batch_ = n[3];
  continue_epoch_ = n[5] != 0;
  ordered_epoch_ = -1;
}

}  // namespace cr::data
