#pragma once

#include <fmt/format.h>

#include <cmath>

#include "resnet.hpp"
#include "workbench.hpp"
#include "yardstick.hpp"

// How will one read the table, once there is one? TFLOP/s says how much of the
// machine is used. The share of cuDNN says how much is still to be had, since
// somebody has shown that it can be. Where both are low, the layer is small: 7 × 7
// places of 32 images are 1568 rows, 25 tiles of 64, and a GPU has more than a
// hundred processors; then the sum has to be cut as for the weights. Where only the
// share is low, the kernel is. Where the share is above 1, we know something about
// this layer that cuDNN's authors did not care for.
//
// Is there a GPU? A program built with the toolkit may run on a machine without.
static bool has_gpu() {
#if CHAINRULE_CUDA
  try {
    zeros({1}).to(Device::cuda);
    return true;
  } catch (const DeviceError&) {
  }
#endif
  return false;
}

#if CHAINRULE_CUDA
// One layer at its full size, for a batch of 32. Whether the kernels are right was
// checked on the scaled layers above; here they are only timed, with random
// numbers, because a processor that multiplies zeros stays cooler and runs faster.
static void time_layer(Table& table, const ResnetLayer& layer, Generator& random) {
  namespace gpu = backend::cuda;
  const Conv& d = layer.d;
  const Rungs& r = gpu::rungs();
  auto normal = [&](int64_t count) {
    return randn({count}, random).to(Device::cuda);
  };
  auto last = [&](const Tensor& from, int a, int b, int inner, bool turned) {
    const int64_t size = int64_t{turned ? b : a} * inner * padded8(turned ? a : b);
    Tensor to = zeros({(size + 1) / 2}).to(Device::cuda);
    r.channels_last(a, b, inner, turned, raw(from), raw16(to));
    return to;
  };
  const int parts = 8;
  const Tensor x = normal(d.x_size()), w = normal(d.w_size()),
               y = normal(d.y_size());
  const Tensor x16 = last(x, d.n, d.c, d.h * d.w, false),
               w16 = last(w, d.o, d.c, d.taps(), false),
               turned = last(w, d.o, d.c, d.taps(), true),
               y16 = last(y, d.n, d.o, d.out_h() * d.out_w(), false);
  const Tensor sums = normal((parts + 1) * d.o * d.taps() * padded8(d.c));

  // Twice the multiply-adds over the time, also for Winograd, which makes fewer: it
  // is the layer that is counted, not the kernel. So a Winograd rung may pass the
  // peak.
  auto line = [&](const std::string& name, gpu::Pass pass, bool bf16, auto run) {
    const double ours = gpu::gpu_seconds(run),
                 theirs = gpu::cudnn_seconds(d, pass, bf16);
    table.row(layer.name, name,
              fmt::format("{:.1f}", 2 * double(d.macs()) / ours / 1e12),
              std::isnan(theirs) ? std::string("no cuDNN")
                                 : fmt::format("{:.0f} %", 100 * theirs / ours));
  };
  line("forward", gpu::Pass::forward, true,
       [&] { r.tensor_forward(d, raw16(x16), raw16(w16), raw16(y16)); });
  line("to the image", gpu::Pass::data, true,
       [&] { r.tensor_data_gradient(d, raw16(y16), raw16(turned), raw16(x16)); });
  line("to the weights", gpu::Pass::weights, true, [&] {
    const int64_t one = sums.numel() / (parts + 1);
    r.tensor_weight_gradient(d, raw16(x16), raw16(y16), parts, raw(sums),
                             raw(sums) + parts * one);
  });
  line("forward, float32", gpu::Pass::forward, false,
       [&] { r.implicit(d, raw(x), raw(w), raw(y)); });
  if (d.kh != 3 || d.stride != 1) return;
  for (int m : {2, 4}) {
    const int64_t tiles =
        int64_t{d.n} * ((d.out_h() + m - 1) / m) * ((d.out_w() + m - 1) / m);
    const Tensor space =
        normal((m + 2) * (m + 2) * (int64_t{d.o} * d.c + (d.o + d.c) * tiles));
    line(m == 2 ? "forward, F(2,3)" : "forward, F(4,3)", gpu::Pass::forward, false,
         [&] {
           (m == 2 ? r.winograd2 : r.winograd4)(d, raw(x), raw(w), raw(space),
                                                raw(y));
         });
  }
}
#endif

// One line for each direction and each way. Without a GPU the lines are there all
// the same, so that one sees what is missing.
static void on_a_gpu(Chapter& chapter, [[maybe_unused]] Generator& random) {
  chapter.section("On a GPU");
  Table table = chapter.table({"layer", "direction", "TFLOP/s", "of cuDNN"});
  const bool here = has_gpu();
  for (const ResnetLayer& layer : resnet50(32)) {
#if CHAINRULE_CUDA
    if (here) {
      time_layer(table, layer, random);
      continue;
    }
#endif
    table.row(layer.name, "all three", "not measured yet", "not measured yet");
  }
  if (!here)
    chapter.say(
        "No GPU here, so nothing was timed. The kernels above are the ones that "
        "would be.");
}
