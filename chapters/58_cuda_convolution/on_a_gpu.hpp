#pragma once

#include <fmt/format.h>

#include <cmath>
#include <stdexcept>

#include "bench.hpp"
#include "book/chapter.hpp"
#include "resnet.hpp"
#if CHAINRULE_CUDA
#include "backend/cuda/stopwatch.hpp"
#include "yardstick.hpp"
#endif

using namespace cr;

// How will one read the table, once there is one? TFLOP/s says how much of the
// machine is used. The share of cuDNN says how much is still to be had, since
// somebody has shown that it can be. Where both are low, the layer is small: the 7 ×
// 7 places of 32 images are 1568 rows, which with 512 filters make 25 · 8 = 200
// tiles of 64 × 64 for 132 processors: 68 have two to do, and the others wait half
// of the time. Cutting the sum, as for the weights, would help. Where only the share
// is low, the kernel is. Where the share is above 1, this layer is one that cuDNN's
// algorithms were not tuned for. And why is a kernel slow? In Nsight Compute
// (`ncu --set full`) look at *Speed of Light* for the unit that is busiest, at
// *Warp State* for what warps wait for (`long scoreboard`: memory, `mio throttle`:
// shared memory, `math pipe throttle`: good), and in *Memory Tables* at sectors for a
// request and bank conflicts, which are what our emulator counts.
#if CHAINRULE_CUDA
// One layer at its full size, for a batch of 32. No kernel is timed before its result
// has been compared: in float32 the direct rung is the judge, and for tensor cores,
// whose factors are the same numbers, it and the implicit product's two ways back.
// They have to agree to rounding: one part in $2^7$ for a result in bfloat16, whose
// typical error is less than half of that, a thousandth for sums in float32.
static void time_layer(Table& table, const ResnetLayer& named, Generator& random) {
  namespace gpu = backend::cuda;
  const Conv& d = named.d;
  const Layer layer = random_layer(d, random, true);
  Bench bench(layer, Device::cuda, gpu::rungs());
  const Rungs& r = bench.r;
  auto floats = [&](const Shape& shape) {
    return zeros(shape, DType::float32, Device::cuda);
  };
  auto halves = [&](const Shape& shape) {
    return zeros(shape, DType::bfloat16, Device::cuda);
  };
  auto compare = [&](const char* what, const Tensor& got, const Tensor& right,
                     double most) {
    const double error = typical_error(got, right);
    if (!(error < most))
      throw std::runtime_error(fmt::format(
          "{}, {}: the GPU's result is off by {:.2g}", named.name, what, error));
  };

  // Twice the multiply-adds over the time, also for Winograd, which makes fewer: it
  // is the layer that is counted, not the kernel. So a Winograd rung may pass the
  // peak.
  auto line = [&](const std::string& name, double ours, double theirs) {
    table.row(named.name, name,
              fmt::format("{:.1f}", 2 * double(d.macs()) / ours / 1e12),
              std::isnan(theirs) ? std::string("no cuDNN")
                                 : fmt::format("{:.0f} %", 100 * theirs / ours));
  };

  const Tensor judge = bench.forward(r.direct), y = floats(layer.dy.shape());
  compare("forward, float32", bench.forward(r.implicit), judge, 1e-4);
  const double theirs = gpu::cudnn_seconds(d, gpu::Pass::forward, false,
                                           raw(bench.x), raw(bench.w), raw(y));
  line("forward, float32",
       gpu::seconds([&] { r.implicit(d, raw(bench.x), raw(bench.w), raw(y)); }),
       theirs);
  if (d.kh == 3 && d.stride == 1)
    for (int m : {2, 4}) {
      const auto rung = m == 2 ? r.winograd2 : r.winograd4;
      const std::string name = fmt::format("forward, F({},3)", m);
      compare(name.c_str(), bench.forward(rung, winograd_space(d, m)), judge, 1e-3);
      const Tensor space = floats({winograd_space(d, m)});
      const double ours = gpu::seconds(
          [&] { rung(d, raw(bench.x), raw(bench.w), raw(space), raw(y)); });
      line(name, ours, theirs);
    }

  if (!gpu::has_tensor_cores()) {
    table.row(named.name, "tensor cores", "needs 8.0", "");
    return;
  }
  // All processors get at least two blocks of the weights' gradient.
  const int tile = d.o > 64 && d.c > 64 ? 128 : 64;
  const int blocks = int(blocks_for(d.o, tile) * blocks_for(d.c, tile)) * d.taps();
  const int processors = gpu::processors(),
            parts = std::max(1, (2 * processors + blocks - 1) / blocks);
  compare("forward", bench.tensor_forward(processors), judge, 1. / 128);
  compare("to the image", bench.tensor_data_gradient(processors),
          bench.data_gradient(), 1. / 128);
  compare("to the weights", bench.tensor_weight_gradient(parts),
          bench.weight_gradient(parts), 1e-3);

  // cuDNN takes the channels as they are; ours are padded to a multiple of eight.
  auto there = [](const Tensor& t) { return channels_last(t).to(Device::cuda); };
  auto dense = [](const Tensor& t) {
    return t.permute({0, 2, 3, 1})
        .to(DType::bfloat16)
        .contiguous()
        .to(Device::cuda);
  };
  const Tensor x = there(layer.x), w = there(layer.w), dy = there(layer.dy),
               turned = there(layer.w.transpose(0, 1)), out = halves(dy.shape()),
               dx = halves(x.shape()), dw = floats(w.shape()),
               partial = floats({parts * w.numel()});
  const Tensor their_x = dense(layer.x), their_w = dense(layer.w),
               their_y = dense(layer.dy);
  using B = BFloat16;
  auto cudnn = [&](gpu::Pass pass) {
    return gpu::cudnn_seconds(d, pass, true, raw<B>(their_x), raw<B>(their_w),
                              raw<B>(their_y));
  };
  const double forward = gpu::seconds(
      [&] { r.tensor_forward(d, processors, raw<B>(x), raw<B>(w), raw<B>(out)); });
  line("forward", forward, cudnn(gpu::Pass::forward));
  const double image = gpu::seconds([&] {
    r.tensor_data_gradient(d, processors, raw<B>(dy), raw<B>(turned), raw<B>(dx));
  });
  line("to the image", image, cudnn(gpu::Pass::data));
  const double weights = gpu::seconds([&] {
    r.tensor_weight_gradient(d, raw<B>(x), raw<B>(dy), parts, raw(partial),
                             raw(dw));
  });
  line("to the weights", weights, cudnn(gpu::Pass::weights));
}
#endif

// One line for each direction and each way; nothing is timed with `--quick`.
static void on_a_gpu(Chapter& chapter, [[maybe_unused]] Generator& random) {
  chapter.section("On a GPU");
  Table table = chapter.table({"layer", "direction", "TFLOP/s", "of cuDNN"});
#if CHAINRULE_CUDA
  if (!chapter.quick() && !backend::cuda::gpu_name().empty()) {
    for (const ResnetLayer& layer : resnet50(32)) time_layer(table, layer, random);
    chapter.say("On {}, batches of 32 images.", backend::cuda::gpu_name());
    return;
  }
#endif
  table.row(fmt::format("all {}", resnet50().size()), "forward and back",
            "not measured yet", "not measured yet");
}
