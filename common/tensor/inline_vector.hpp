// # A vector that rarely allocates
//
// Shapes have few dimensions and operations few operands. `InlineVector<T, N>` keeps up to `N` elements inside itself
// and goes to the heap only beyond; a heap allocation costs as much as a whole small operation.
#pragma once

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <utility>

namespace cr {

template <class T, int N> class InlineVector {
 public:
  InlineVector() = default;
  InlineVector(std::initializer_list<T> values) { assign(values.begin(), static_cast<int>(values.size())); }
  explicit InlineVector(std::span<const T> values) { assign(values.data(), static_cast<int>(values.size())); }
  InlineVector(int size, const T& value) {
    resize(size);
    std::fill(begin(), end(), value);
  }
  InlineVector(const InlineVector& other) { assign(other.data(), other.size_); }
  InlineVector(InlineVector&& other) noexcept { take(other); }
  InlineVector& operator=(const InlineVector& other) {
    if (this != &other) assign(other.data(), other.size_);
    return *this;
  }
  InlineVector& operator=(InlineVector&& other) noexcept {
    if (this != &other) take(other);
    return *this;
  }
  ~InlineVector() = default;

  int size() const { return size_; }
  bool empty() const { return size_ == 0; }
  T* data() { return heap_ ? heap_.get() : inline_; }
  const T* data() const { return heap_ ? heap_.get() : inline_; }
  T* begin() { return data(); }
  T* end() { return data() + size_; }
  const T* begin() const { return data(); }
  const T* end() const { return data() + size_; }
  T& operator[](int i) { return data()[i]; }
  const T& operator[](int i) const { return data()[i]; }
  const T& front() const { return data()[0]; }
  const T& back() const { return data()[size_ - 1]; }

  // New elements are default-initialised (numbers: unspecified); old ones are kept.
  void resize(int size) {
    if (size > N && size > capacity_) {
      int capacity = std::max(size, 2 * capacity_);
      std::unique_ptr<T[]> bigger(new T[static_cast<size_t>(capacity)]);
      std::move(begin(), end(), bigger.get());
      heap_ = std::move(bigger);
      capacity_ = capacity;
    }
    drop_from(size);
    size_ = size;
  }
  void push_back(T value) {
    resize(size_ + 1);
    data()[size_ - 1] = std::move(value);
  }
  void insert(int at, T value) {
    push_back(std::move(value));
    std::rotate(begin() + at, end() - 1, end());
  }
  void erase(int at) {
    std::move(begin() + at + 1, end(), begin() + at);
    drop_from(size_ - 1);
    --size_;
  }

  bool operator==(const InlineVector& other) const {
    return size_ == other.size_ && std::equal(begin(), end(), other.begin());
  }

 private:
  void assign(const T* values, int size) {
    resize(size);
    std::copy_n(values, size, data());
  }
  void take(InlineVector& other) {
    if (other.heap_) {
      drop_from(0);
      heap_ = std::move(other.heap_);
      capacity_ = std::exchange(other.capacity_, N);
      size_ = std::exchange(other.size_, 0);
    } else {
      resize(other.size_);
      std::move(other.begin(), other.end(), begin());
      other.size_ = 0;
    }
  }
  // What falls off the end lets go of what it holds.
  void drop_from(int size) {
    if constexpr (!std::is_trivially_destructible_v<T>) {
      for (int i = size; i < size_; ++i) data()[i] = T();
    }
  }

  int size_ = 0;
  int capacity_ = N;
  T inline_[N];
  std::unique_ptr<T[]> heap_;
};

}  // namespace cr
