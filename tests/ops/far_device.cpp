#include "far_device.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <map>
#include <mutex>

#include "backend/cuda/host.hpp"

namespace cr::test {

using namespace cr::backend;

// ## The memory
struct FarDevice::Memory final : DeviceMemory {
  static constexpr int64_t kRoom = int64_t{1} << 32, kPage = 4096;

  Memory() {
    const int file = memfd_create("far", 0);
    const auto room = static_cast<size_t>(kRoom);
    if (file < 0 || ftruncate(file, kRoom) != 0) throw Error("far device: no memory");
    far = static_cast<char*>(mmap(nullptr, room, PROT_NONE, MAP_SHARED | MAP_NORESERVE, file, 0));
    near = static_cast<char*>(mmap(nullptr, room, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, file, 0));
    close(file);
    if (far == MAP_FAILED || near == MAP_FAILED) throw Error("far device: no memory");
  }
  ~Memory() override {
    munmap(far, static_cast<size_t>(kRoom));
    munmap(near, static_cast<size_t>(kRoom));
  }

  static int64_t rounded(int64_t bytes) { return (bytes + kPage - 1) / kPage * kPage; }

  void* allocate(int64_t bytes) override {
    std::scoped_lock lock(mutex);
    const int64_t size = rounded(bytes);
    if (live + size > limit) throw OutOfMemory("far device: " + std::to_string(bytes) + " bytes asked for");
    live += size;
    if (auto found = free_blocks.find(size); found != free_blocks.end()) {
      void* block = found->second;
      free_blocks.erase(found);
      return block;
    }
    if (used + size > kRoom) throw OutOfMemory("far device: full");
    return far + std::exchange(used, used + size);
  }
  void free(void* block, int64_t bytes) noexcept override {
    std::scoped_lock lock(mutex);
    live -= rounded(bytes);
    free_blocks.emplace(rounded(bytes), static_cast<char*>(block));
  }

  char* reachable(const void* block) const { return near + (static_cast<const char*>(block) - far); }
  void to_device(void* block, const void* host, int64_t bytes) override {
    ++copies;
    std::memcpy(reachable(block), host, static_cast<size_t>(bytes));
  }
  void to_host(void* host, const void* block, int64_t bytes) override {
    ++copies;
    std::memcpy(host, reachable(block), static_cast<size_t>(bytes));
  }

  std::mutex mutex;
  std::multimap<int64_t, char*> free_blocks;
  char *far = nullptr, *near = nullptr;
  int64_t used = 0, live = 0, limit = kRoom, copies = 0;
};

// ## The backend
namespace {

using Tensors = std::span<const Tensor>;

class Far final : public Backend {
 public:
  void fill(const Tensor& out, Scalar n) override {
    hosted({out}, {}, [&](Tensors o, Tensors) { cpu().fill(o[0], n); });
  }
  void copy(const Tensor& out, const Tensor& x) override {
    hosted({out}, {x}, [&](Tensors o, Tensors i) { cpu().copy(o[0], i[0]); });
  }
  void arange(const Tensor& out, Scalar start, Scalar step) override {
    hosted({out}, {}, [&](Tensors o, Tensors) { cpu().arange(o[0], start, step); });
  }
  void map(int f, const Tensor& out, std::span<const backend::Operand> in) override {
    std::vector<Tensor> tensors;
    for (const backend::Operand& x : in) tensors.push_back(x.tensor ? *x.tensor : Tensor());
    const Tensor outs[] = {out};
    compute_on_host(outs, tensors, [&](Tensors o, Tensors i) {
      std::vector<backend::Operand> here;
      for (size_t k = 0; k < in.size(); ++k)
        here.push_back(in[k].tensor ? backend::Operand(i[k]) : backend::Operand(in[k].number));
      cpu().map(f, o[0], here);
    });
  }
  void reduce(int f, const Tensor& out, const Tensor& x, const Dims& dims) override {
    hosted({out}, {x}, [&](Tensors o, Tensors i) { cpu().reduce(f, o[0], i[0], dims); });
  }
  void arg_reduce(bool largest, const Tensor& out, const Tensor& x, int d) override {
    hosted({out}, {x}, [&](Tensors o, Tensors i) { cpu().arg_reduce(largest, o[0], i[0], d); });
  }
  void gemm(const Tensor& c, const Tensor& a, const Tensor& b, const GemmOptions& options) override {
    hosted({c}, {a, b, options.bias ? *options.bias : Tensor()}, [&](Tensors o, Tensors i) {
      GemmOptions here = options;
      if (options.bias) here.bias = &i[2];
      cpu().gemm(o[0], i[0], i[1], here);
    });
  }
  void distances(const Tensor& out, const Tensor& x, const Tensor& y, double p) override {
    hosted({out}, {x, y}, [&](Tensors o, Tensors i) { cpu().distances(o[0], i[0], i[1], p); });
  }
  void gather(const Tensor& out, const Tensor& x, int d, const Tensor& index, const char* op) override {
    hosted({out}, {x, index}, [&](Tensors o, Tensors i) { cpu().gather(o[0], i[0], d, i[1], op); });
  }
  void scatter(const Tensor& out, int d, const Tensor& index, const Tensor& x, Place how, const char* op) override {
    hosted({out}, {index, x}, [&](Tensors o, Tensors i) { cpu().scatter(o[0], d, i[0], i[1], how, op); });
  }
  Tensor nonzero(const Tensor& x) override {
    Tensor places;
    hosted({}, {x}, [&](Tensors, Tensors i) { places = cpu().nonzero(i[0]); });
    return places.to(Device::cuda);
  }
  void add_overlapping(const Tensor& out, const Tensor& x) override {
    hosted({out}, {x}, [&](Tensors o, Tensors i) { cpu().add_overlapping(o[0], i[0]); });
  }
  void softmax(const Tensor& out, const Tensor& x, bool log) override {
    hosted({out}, {x}, [&](Tensors o, Tensors i) { cpu().softmax(o[0], i[0], log); });
  }
  void softmax_backward(const Tensor& dx, const Tensor& y, const Tensor& dy, bool log) override {
    hosted({dx}, {y, dy}, [&](Tensors o, Tensors i) { cpu().softmax_backward(o[0], i[0], i[1], log); });
  }
  void cross_entropy(const Tensor& loss, const Tensor& lse, const Tensor& x, const Tensor& target) override {
    hosted({loss, lse}, {x, target}, [&](Tensors o, Tensors i) { cpu().cross_entropy(o[0], o[1], i[0], i[1]); });
  }
  void cross_entropy_backward(const Tensor& dx, const Tensor& x, const Tensor& target, const Tensor& lse,
                              const Tensor& dloss) override {
    hosted({dx}, {x, target, lse, dloss},
           [&](Tensors o, Tensors i) { cpu().cross_entropy_backward(o[0], i[0], i[1], i[2], i[3]); });
  }
  void sort(const Tensor& values, const Tensor& indices, const Tensor& x, int d, bool descending) override {
    hosted({values, indices}, {x}, [&](Tensors o, Tensors i) { cpu().sort(o[0], o[1], i[0], d, descending); });
  }
  void pick(Pick what, const Tensor& values, const Tensor& indices, const Tensor& x, int d, int64_t k) override {
    hosted({values, indices}, {x}, [&](Tensors o, Tensors i) { cpu().pick(what, o[0], o[1], i[0], d, k); });
  }
  void scan(Scan kind, const Tensor& out, const Tensor& x, int d, bool reverse) override {
    hosted({out}, {x}, [&](Tensors o, Tensors i) { cpu().scan(kind, o[0], i[0], d, reverse); });
  }
  void scan_linear(const Tensor& out, const Tensor& factor, const Tensor& x, int d, bool reverse) override {
    hosted({out}, {factor, x}, [&](Tensors o, Tensors i) { cpu().scan_linear(o[0], i[0], i[1], d, reverse); });
  }
  void scan_extreme(bool largest, const Tensor& values, const Tensor& indices, const Tensor& x, int d) override {
    hosted({values, indices}, {x}, [&](Tensors o, Tensors i) { cpu().scan_extreme(largest, o[0], o[1], i[0], d); });
  }
  void search_sorted(const Tensor& out, const Tensor& sorted, const Tensor& x, bool right) override {
    hosted({out}, {sorted, x}, [&](Tensors o, Tensors i) { cpu().search_sorted(o[0], i[0], i[1], right); });
  }
  void logsumexp(const Tensor& out, const Tensor& x) override {
    hosted({out}, {x}, [&](Tensors o, Tensors i) { cpu().logsumexp(o[0], i[0]); });
  }
  void layer_norm(const Tensor& y, const Tensor& mean, const Tensor& var, const Tensor& x, const Tensor& w,
                  const Tensor& b, double eps) override {
    hosted({y, mean, var}, {x, w, b},
           [&](Tensors o, Tensors i) { cpu().layer_norm(o[0], o[1], o[2], i[0], i[1], i[2], eps); });
  }
  void layer_norm_backward(const Tensor& dx, const Tensor& dw, const Tensor& db, const Tensor& dy, const Tensor& x,
                           const Tensor& w, const Tensor& mean, const Tensor& var, double eps) override {
    hosted({dx, dw, db}, {dy, x, w, mean, var}, [&](Tensors o, Tensors i) {
      cpu().layer_norm_backward(o[0], o[1], o[2], i[0], i[1], i[2], i[3], i[4], eps);
    });
  }
  void batch_norm(const Tensor& y, const Tensor& mean, const Tensor& var, const Tensor& x, const Tensor& w,
                  const Tensor& b, double eps) override {
    hosted({y, mean, var}, {x, w, b},
           [&](Tensors o, Tensors i) { cpu().batch_norm(o[0], o[1], o[2], i[0], i[1], i[2], eps); });
  }
  void batch_norm_backward(const Tensor& dx, const Tensor& dw, const Tensor& db, const Tensor& dy, const Tensor& x,
                           const Tensor& w, const Tensor& mean, const Tensor& var, double eps) override {
    hosted({dx, dw, db}, {dy, x, w, mean, var}, [&](Tensors o, Tensors i) {
      cpu().batch_norm_backward(o[0], o[1], o[2], i[0], i[1], i[2], i[3], i[4], eps);
    });
  }
  void random(const Tensor& out, Random kind, const RandomState& from, int64_t lo, int64_t hi) override {
    hosted({out}, {}, [&](Tensors o, Tensors) { cpu().random(o[0], kind, from, lo, hi); });
  }
  void conv(const Tensor& y, const Tensor& x, const Tensor& w, const Tensor& b, const Window& window,
            int64_t groups) override {
    hosted({y}, {x, w, b}, [&](Tensors o, Tensors i) { cpu().conv(o[0], i[0], i[1], i[2], window, groups); });
  }
  void conv_input(const Tensor& dx, const Tensor& dy, const Tensor& w, const Tensor& b, const Window& window,
                  int64_t groups) override {
    hosted({dx}, {dy, w, b}, [&](Tensors o, Tensors i) { cpu().conv_input(o[0], i[0], i[1], i[2], window, groups); });
  }
  void conv_weight(const Tensor& dw, const Tensor& x, const Tensor& dy, const Window& window, int64_t groups) override {
    hosted({dw}, {x, dy}, [&](Tensors o, Tensors i) { cpu().conv_weight(o[0], i[0], i[1], window, groups); });
  }
  void max_pool(const Tensor& y, const Tensor& indices, const Tensor& x, std::span<const PoolSpan> spans) override {
    hosted({y, indices}, {x}, [&](Tensors o, Tensors i) { cpu().max_pool(o[0], o[1], i[0], spans); });
  }
  void max_pool_backward(const Tensor& dx, const Tensor& dy, const Tensor& indices,
                         std::span<const PoolSpan> spans) override {
    hosted({dx}, {dy, indices}, [&](Tensors o, Tensors i) { cpu().max_pool_backward(o[0], i[0], i[1], spans); });
  }
  void avg_pool(const Tensor& y, const Tensor& x, std::span<const PoolSpan> spans) override {
    hosted({y}, {x}, [&](Tensors o, Tensors i) { cpu().avg_pool(o[0], i[0], spans); });
  }
  void avg_pool_backward(const Tensor& dx, const Tensor& dy, std::span<const PoolSpan> spans) override {
    hosted({dx}, {dy}, [&](Tensors o, Tensors i) { cpu().avg_pool_backward(o[0], i[0], spans); });
  }
  void recurrent(const RecurrentLayer& l) override {
    hosted({l.h, l.c, l.gates}, {l.x, l.w_ih, l.w_hh, l.b_ih, l.b_hh}, [&](Tensors o, Tensors i) {
      cpu().recurrent({l.kind, l.reverse, i[0], i[1], i[2], i[3], i[4], o[0], o[1], o[2]});
    });
  }
  void recurrent_backward(const RecurrentLayer& l, const RecurrentGradients& d) override {
    hosted({d.dh, d.dc, d.dx, d.dw_ih, d.dw_hh, d.db_ih, d.db_hh},
           {d.dy, l.x, l.w_ih, l.w_hh, l.b_ih, l.b_hh, l.h, l.c, l.gates}, [&](Tensors o, Tensors i) {
             cpu().recurrent_backward({l.kind, l.reverse, i[1], i[2], i[3], i[4], i[5], i[6], i[7], i[8]},
                                      {i[0], o[0], o[1], o[2], o[3], o[4], o[5], o[6]});
           });
  }
  void attention(const Tensor& out, const Tensor& normalizer, const Tensor& q, const Tensor& k, const Tensor& v,
                 const Tensor& bias, double scale, bool causal) override {
    hosted({out, normalizer}, {q, k, v, bias},
           [&](Tensors o, Tensors i) { cpu().attention(o[0], o[1], i[0], i[1], i[2], i[3], scale, causal); });
  }
  void attention_backward(const Tensor& dq, const Tensor& dk, const Tensor& dv, const Tensor& dout, const Tensor& out,
                          const Tensor& normalizer, const Tensor& q, const Tensor& k, const Tensor& v,
                          const Tensor& bias, double scale, bool causal) override {
    hosted({dq, dk, dv}, {dout, out, normalizer, q, k, v, bias}, [&](Tensors o, Tensors i) {
      cpu().attention_backward(o[0], o[1], o[2], i[0], i[1], i[2], i[3], i[4], i[5], i[6], scale, causal);
    });
  }
  void cholesky(const Tensor& a, const Tensor& info) override {
    hosted({a, info}, {}, [&](Tensors o, Tensors) { cpu().cholesky(o[0], o[1]); });
  }
  void lu(const Tensor& a, const Tensor& pivots, const Tensor& info) override {
    hosted({a, pivots, info}, {}, [&](Tensors o, Tensors) { cpu().lu(o[0], o[1], o[2]); });
  }
  void solve_triangular(const Tensor& b, const Tensor& a, bool upper, bool unit) override {
    hosted({b}, {a}, [&](Tensors o, Tensors i) { cpu().solve_triangular(o[0], i[0], upper, unit); });
  }
  void qr(const Tensor& a, const Tensor& tau) override {
    hosted({a, tau}, {}, [&](Tensors o, Tensors) { cpu().qr(o[0], o[1]); });
  }
  void householder_product(const Tensor& q, const Tensor& tau) override {
    hosted({q}, {tau}, [&](Tensors o, Tensors i) { cpu().householder_product(o[0], i[0]); });
  }
  void eigh(const Tensor& a, const Tensor& values, bool upper, bool vectors, const Tensor& info) override {
    hosted({a, values, info}, {}, [&](Tensors o, Tensors) { cpu().eigh(o[0], o[1], upper, vectors, o[2]); });
  }
  void svd(const Tensor& a, const Tensor& u, const Tensor& s, const Tensor& vh, const Tensor& info) override {
    hosted({a, u, s, vh, info}, {}, [&](Tensors o, Tensors) { cpu().svd(o[0], o[1], o[2], o[3], o[4]); });
  }
  void sgd(const Tensor& p, const Tensor& g, const Tensor& momentum, const SgdStep& options) override {
    hosted({p, momentum}, {g}, [&](Tensors o, Tensors i) { cpu().sgd(o[0], i[0], o[1], options); });
  }
  void adam(const Tensor& p, const Tensor& g, const Tensor& m, const Tensor& v, const Tensor& largest,
            const AdamStep& options) override {
    hosted({p, m, v, largest}, {g}, [&](Tensors o, Tensors i) { cpu().adam(o[0], i[0], o[1], o[2], o[3], options); });
  }
  void adagrad(const Tensor& p, const Tensor& g, const Tensor& sum, const AdagradStep& options) override {
    hosted({p, sum}, {g}, [&](Tensors o, Tensors i) { cpu().adagrad(o[0], i[0], o[1], options); });
  }
  void rmsprop(const Tensor& p, const Tensor& g, const Tensor& square, const Tensor& mean, const Tensor& momentum,
               const RmspropStep& options) override {
    hosted({p, square, mean, momentum}, {g},
           [&](Tensors o, Tensors i) { cpu().rmsprop(o[0], i[0], o[1], o[2], o[3], options); });
  }

 private:
  static Backend& cpu() { return on(Device::cpu); }
  static void hosted(std::initializer_list<Tensor> outs, std::initializer_list<Tensor> ins, const OnHost& f) {
    compute_on_host({outs.begin(), outs.size()}, {ins.begin(), ins.size()}, f);
  }
};

}  // namespace

// ## The switch
FarDevice::FarDevice() : memory_(std::make_unique<Memory>()), backend_(std::make_unique<Far>()) {
  set_device_memory(memory_.get());
  replace(Device::cuda, backend_.get());
}
FarDevice::~FarDevice() {
  replace(Device::cuda, nullptr);
  set_device_memory(nullptr);
}
int64_t FarDevice::live_bytes() const { return memory_->live; }
int64_t FarDevice::copies() const { return memory_->copies; }
void FarDevice::limit(int64_t bytes) { memory_->limit = bytes; }

}  // namespace cr::test
