// # Shared ownership, counted inside the object
//
// A tensor, its storage and the node that made it are shared by many handles. `std::shared_ptr` keeps its counts in a
// second block and is two pointers wide; here the count lives in the object and a handle is one pointer. A small tensor
// operation creates three such objects, so this is most of what it costs.
#pragma once

#include <atomic>
#include <cstdint>
#include <utility>

namespace cr {

// A base for counted objects. `T` is the derived class; when the last handle goes, `T::destroy(T*)` is called, which may
// do more than `delete` (the autograd graph frees itself without recursion).
template <class T> class Counted {
 public:
  Counted() = default;
  Counted(const Counted&) = delete;
  Counted& operator=(const Counted&) = delete;

  void retain() const { count_.fetch_add(1, std::memory_order_relaxed); }

  // Nobody else can add a reference to an object that only we hold, so the common case needs no locked instruction.
  void release() const {
    if (count_.load(std::memory_order_acquire) == 1 || count_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
      T::destroy(const_cast<T*>(static_cast<const T*>(this)));
    }
  }

  int64_t use_count() const { return count_.load(std::memory_order_acquire); }

 protected:
  ~Counted() = default;

 private:
  mutable std::atomic<int64_t> count_{1};  // the creator holds the first reference
};

// The handle. `Ref<T>::adopt(p)` takes over the creator's reference; copying adds one.
template <class T> class Ref {
 public:
  Ref() = default;
  Ref(std::nullptr_t) {}
  Ref(const Ref& other) : pointer_(other.pointer_) {
    if (pointer_) pointer_->retain();
  }
  Ref(Ref&& other) noexcept : pointer_(std::exchange(other.pointer_, nullptr)) {}
  Ref& operator=(Ref other) noexcept {
    std::swap(pointer_, other.pointer_);
    return *this;
  }
  ~Ref() {
    if (pointer_) pointer_->release();
  }

  static Ref adopt(T* p) {
    Ref r;
    r.pointer_ = p;
    return r;
  }
  static Ref share(T* p) {
    if (p) p->retain();
    return adopt(p);
  }

  T* get() const { return pointer_; }
  T* operator->() const { return pointer_; }
  T& operator*() const { return *pointer_; }
  explicit operator bool() const { return pointer_ != nullptr; }
  bool operator==(const Ref& other) const { return pointer_ == other.pointer_; }

 private:
  T* pointer_ = nullptr;
};

}  // namespace cr
