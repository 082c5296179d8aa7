// Pools and norms of odd sizes, on the emulator.
#include "backend/backend.hpp"

#if CHAINRULE_SIMT
#include "agree.hpp"

using namespace cr;
using namespace cr::test;
using backend::PoolSpan;

namespace {

double bound_of(DType type) { return type == DType::float32 ? 1e-5 : 1e-13; }

// Windows of `taps` places `step` apart, `stride` apart from each other, beginning at −padding.
PoolSpan regular(int64_t places, int64_t taps, int64_t stride, int64_t padding, int64_t step, bool inside_only) {
  PoolSpan s;
  s.step = step;
  const int64_t reach = (taps - 1) * step + 1, count = (places + 2 * padding - reach) / stride + 1;
  for (int64_t i = 0; i < count; ++i) {
    const int64_t begin = i * stride - padding, end = begin + reach;
    s.begin.push_back(begin), s.end.push_back(end);
    s.size.push_back(inside_only ? std::min(end, places) - std::max<int64_t>(begin, 0) : taps);
  }
  return s;
}
PoolSpan adaptive(int64_t places, int64_t outputs) {
  PoolSpan s;
  for (int64_t i = 0; i < outputs; ++i) {
    s.begin.push_back(i * places / outputs), s.end.push_back(((i + 1) * places + outputs - 1) / outputs);
    s.size.push_back(s.end.back() - s.begin.back());
  }
  return s;
}

struct PoolCase {
  Shape x;
  std::vector<PoolSpan> spans;
};

}  // namespace

TEST_CASE("simt: pools and their adjoints") {
  const PoolCase cases[] = {
      {{3, 7}, {regular(7, 2, 2, 0, 1, false)}},
      {{2, 9}, {regular(9, 3, 1, 1, 2, false)}},
      {{3, 8, 6}, {regular(8, 3, 2, 1, 1, true), regular(6, 2, 3, 1, 1, true)}},
      {{2, 7, 11}, {adaptive(7, 3), adaptive(11, 4)}},
      {{5, 17, 19}, {adaptive(17, 1), adaptive(19, 1)}},
      {{1, 4, 5, 6}, {regular(4, 2, 1, 0, 1, false), adaptive(5, 2), regular(6, 3, 3, 0, 1, false)}},
      {{0, 7}, {regular(7, 2, 2, 0, 1, false)}},
  };
  for (DType type : {DType::float32, DType::float64, DType::int64}) {
    for (const PoolCase& c : cases) {
      INFO(to_string(c.x) << " " << name(type));
      Shape outputs{c.x[0]};
      bool dilated = false;
      for (const PoolSpan& s : c.spans) outputs.push_back(std::ssize(s.begin)), dilated = dilated || s.step > 1;
      const Tensor x = numbers_of(c.x, type), y = numbers_of(outputs, type, 2);
      const Tensor at = numbers_of(outputs, DType::int64);
      agree({y, at}, {x}, 0, [&](auto& b, auto& out, auto& in) { b.max_pool(out[0], out[1], in[0], c.spans); });
      agree({y}, {x}, 0, [&](auto& b, auto& out, auto& in) { b.max_pool(out[0], {}, in[0], c.spans); });
      if (!dilated) {
        agree({y}, {x}, bound_of(type), [&](auto& b, auto& out, auto& in) { b.avg_pool(out[0], in[0], c.spans); });
      }
      if (type == DType::int64) continue;
      backend::on(Device::cpu).max_pool(y, at, x, c.spans);
      agree({x}, {numbers_of(outputs, type, 3), at}, bound_of(type),
            [&](auto& b, auto& out, auto& in) { b.max_pool_backward(out[0], in[0], in[1], c.spans); });
      if (dilated) continue;
      agree({x}, {numbers_of(outputs, type, 3)}, bound_of(type),
            [&](auto& b, auto& out, auto& in) { b.avg_pool_backward(out[0], in[0], c.spans); });
    }
  }
}

TEST_CASE("simt: of equals a pool names the first, of NaNs the last") {
  Tensor x = numbers_of({1, 8});
  auto* p = static_cast<float*>(x.impl()->storage->data());
  const float numbers[] = {1, 1, NAN, NAN, -INFINITY, -INFINITY, 0, INFINITY};
  std::copy_n(numbers, 8, p);
  const std::vector<PoolSpan> spans{regular(8, 2, 2, 0, 1, false)};
  agree({numbers_of({1, 4}), numbers_of({1, 4}, DType::int64)}, {x}, 0,
        [&](auto& b, auto& out, auto& in) { b.max_pool(out[0], out[1], in[0], spans); });
}

TEST_CASE("simt: layer norm") {
  for (DType type : {DType::float32, DType::float64}) {
    for (int64_t rows : {0, 1, 3, 70, 200}) {
      for (int64_t n : {1, 2, 31, 33, 130, 1100}) {
        if (rows > 3 && n > 130) continue;
        const Tensor x = numbers_of({rows, n}, type), dy = numbers_of({rows, n}, type, 2);
        const Tensor weight = numbers_of({n}, type, 3), bias = numbers_of({n}, type, 4);
        const Tensor mean = numbers_of({rows}, DType::float64, 5), var = numbers_of({rows}, DType::float64, 6);
        backend::on(Device::cpu)
            .map(functor::Maps::index_of<functor::Square>(), var, std::vector<backend::Operand>{var});
        for (bool affine : {false, true}) {
          for (bool center : {false, true}) {
            INFO(rows << " rows of " << n << (affine ? ", affine" : "") << (center ? ", centered" : ""));
            const Tensor w = affine ? weight : Tensor(), b = affine ? bias : Tensor(), m = center ? mean : Tensor();
            agree({x, m, var}, {x, w, b}, 3 * bound_of(type), [&](auto& backend, auto& out, auto& in) {
              backend.layer_norm(out[0], out[1], out[2], in[0], in[1], in[2], 1e-2);
            });
            agree({x, w, b}, {dy, x, w, m, var}, 3 * bound_of(type), [&](auto& backend, auto& out, auto& in) {
              backend.layer_norm_backward(out[0], out[1], out[2], in[0], in[1], in[2], in[3], in[4], 1e-2);
            });
          }
        }
      }
    }
  }
}

TEST_CASE("simt: batch norm") {
  for (DType type : {DType::float32, DType::float64}) {
    for (const Shape& shape : {Shape{1, 1, 2}, Shape{5, 3, 7}, Shape{67, 33, 1}, Shape{3, 40, 1}, Shape{9, 2, 130},
                               Shape{40, 3, 64}, Shape{2, 0, 3}}) {
      INFO(to_string(shape) << " " << name(type));
      const Tensor x = numbers_of(shape, type), dy = numbers_of(shape, type, 2), of = numbers_of({shape[1]}, type, 3);
      const Tensor mean = numbers_of({shape[1]}, DType::float64, 5), var = numbers_of({shape[1]}, DType::float64, 6);
      if (var.numel() > 0)
        backend::on(Device::cpu)
            .map(functor::Maps::index_of<functor::Square>(), var, std::vector<backend::Operand>{var});
      for (bool affine : {false, true}) {
        const Tensor w = affine ? of : Tensor();
        agree({x, mean, var}, {x, w, w}, 3 * bound_of(type),
              [&](auto& b, auto& out, auto& in) { b.batch_norm(out[0], out[1], out[2], in[0], in[1], in[2], 1e-2); });
        agree({x, w, w}, {dy, x, w, mean, var}, 3 * bound_of(type), [&](auto& b, auto& out, auto& in) {
          b.batch_norm_backward(out[0], out[1], out[2], in[0], in[1], in[2], in[3], in[4], 1e-2);
        });
      }
    }
  }
}

TEST_CASE("simt: numbers far from 0 keep their digits in a norm") {
  Tensor x = numbers_of({3, 200});
  for (int64_t i = 0; i < x.numel(); ++i) static_cast<float*>(x.impl()->storage->data())[i] += 10000;
  const Tensor mean = numbers_of({3}, DType::float64), var = numbers_of({3}, DType::float64);
  agree({x, mean, var}, {x}, 1e-5,
        [&](auto& b, auto& out, auto& in) { b.layer_norm(out[0], out[1], out[2], in[0], {}, {}, 1e-5); });
}
#endif
