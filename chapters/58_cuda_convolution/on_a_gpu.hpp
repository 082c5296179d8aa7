#pragma once

#include "resnet.hpp"
#include "workbench.hpp"
#include "yardstick.hpp"

// Is there one? A program built with the toolkit may run on a machine without.
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
// One layer, at its full size: correctness against the host's float64 is checked on the
// scaled layers above, with the same kernels; here a batch of 32 is only timed. A line for
// each direction.
static void time_layer(Chapter& chapter, Table& table, const ResnetLayer& layer) {
  namespace gpu = backend::cuda;
  const Conv& d = layer.d;
  const Rungs& r = gpu::rungs();
  auto room = [](int64_t count) { return zeros({count}).to(Device::cuda); };
  const int64_t weights = int64_t{d.o} * d.taps() * padded8(d.c);
  const int parts = 8;
  Tensor x = room(int64_t{d.pixels()} * padded8(d.c) / 2),
         y = room(int64_t{d.places()} * padded8(d.o) / 2), w = room(weights),
         turned = room(int64_t{d.c} * d.taps() * padded8(d.o)),
         partial = room(parts * weights);
  auto line = [&](const std::string& name, gpu::Pass pass, auto run) {
    const double ours = gpu::gpu_seconds(run),
                 theirs = gpu::cudnn_seconds(d, pass, true);
    const double flops = 2 * static_cast<double>(d.macs());
    table.row(layer.name, name, fmt::format("{:.1f}", flops / ours / 1e12),
              std::isnan(theirs) ? "no cuDNN"
                                 : fmt::format("{:.0f} %", 100 * theirs / ours));
  };
  line("forward", gpu::Pass::forward,
       [&] { r.tensor_forward(d, raw16(x), raw16(w), raw16(y)); });
  line("to the image", gpu::Pass::data,
       [&] { r.tensor_data_gradient(d, raw16(y), raw16(turned), raw16(x)); });
  line("to the weights", gpu::Pass::weights, [&] {
    r.tensor_weight_gradient(d, raw16(x), raw16(y), parts, raw(partial), raw(w));
  });
  (void)chapter;
}
#endif

static void on_a_gpu(Chapter& chapter) {
  chapter.section("On a GPU");
  Table table = chapter.table({"layer", "direction", "TFLOP/s", "of cuDNN"});
  const bool here = has_gpu();
  for (const ResnetLayer& layer : resnet50(32)) {
#if CHAINRULE_CUDA
    if (here) {
      time_layer(chapter, table, layer);
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
