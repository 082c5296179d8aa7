#pragma once

#include "judged.hpp"
#if CHAINRULE_CUDA
#include "backend/cuda/stopwatch.hpp"
#endif

// Sixteen heads of 128, and 16 384 tokens cut into texts of `length`.
struct OnGpu {
  bool back;
  int64_t length;
  int flash_2, flash_3;  // TFLOP/s, published
  double operations() const {
    return 4.0 * 16384 * 2048 * double(length) * (back ? 2.5 : 1);
  }
};

#if CHAINRULE_CUDA
static double time_on_gpu(const OnGpu& what, int rung) {
  const Rungs& rungs = attention::cuda::rungs();

  // As many texts as make 16 384 tokens.
  const int64_t n = what.length, batch = 16384 / n, heads = 16, width = 128;
  ForwardCall<BFloat16, float> a;
  static_cast<AttentionSizes&>(a) = {batch, heads, heads, n, n, width, false};
  Generator random(1);
  auto numbers = [&] {
    return randn({batch * heads, n, width}, random)
        .to(DType::bfloat16)
        .to(Device::cuda);
  };
  auto rows = [&] { return zeros({batch * heads, n}).to(Device::cuda); };
  Tensor q = numbers(), k = numbers(), v = numbers(), o = numbers(),
         d_o = numbers(), dq = numbers(), dk = numbers(), dv = numbers(),
         row_log = rows(), dots = rows();
  a.q = raw<BFloat16>(q), a.k = raw<BFloat16>(k), a.v = raw<BFloat16>(v),
  a.o = raw<BFloat16>(o);
  a.row_log = raw<float>(row_log), a.scale = float(1 / std::sqrt(double(width)));
  if (!what.back)
    return backend::cuda::seconds(
        [&] { (rung == 6 ? rungs.wgmma : rungs.tensor_cores)(a); });

  // The way back needs what the way forth found, so that runs once, untimed.
  rungs.tensor_cores(a);
  BackwardCall<BFloat16, float> b;
  static_cast<AttentionSizes&>(b) = a;
  b.q = a.q, b.k = a.k, b.v = a.v, b.o = a.o, b.row_log = a.row_log,
  b.scale = a.scale, b.d_o = raw<BFloat16>(d_o);
  b.dq = raw<BFloat16>(dq), b.dk = raw<BFloat16>(dk), b.dv = raw<BFloat16>(dv),
  b.dots = raw<float>(dots);
  return backend::cuda::seconds([&] { rungs.tensor_cores_backward(b); });
}

// First right, then fast. Heads of 256 are asked of a Hopper only: lesser GPUs have
// too little shared memory for some of these kernels.
static void right_on_the_gpu(Chapter& chapter, const Rungs& rungs) {
  std::vector<int64_t> widths = {64, 128};
  if (!rungs.missing(6)) widths.push_back(256);
  double wrong = 0;
  for (const Judged& j : judged(rungs, Device::cuda, {1, 100, 127, 129, 300},
                                widths, chapter.seed())) {
    chapter.say("Rung {}: largest error {:.2g}, allowed {:.2g}.", j.rung, j.error,
                j.allowed);
    wrong += !j.right();
  }
  chapter.check("rungs that err more on this GPU", 0, wrong);
}
#endif

// Where there is no GPU the table says so.
static void on_a_gpu(Chapter& chapter) {
  chapter.section("On a GPU");
  std::string gpu;
  const char* missing[7] = {};
#if CHAINRULE_CUDA
  gpu = backend::cuda::gpu_name();
  if (!gpu.empty()) {
    for (int rung : {5, 6}) missing[rung] = attention::cuda::rungs().missing(rung);
    right_on_the_gpu(chapter, attention::cuda::rungs());
  }
#endif
  if (gpu.empty())
    chapter.say(
        "No GPU here, so nothing is timed. The targets stand beside the empty places.");
  else chapter.say("Timed on: {}.", gpu);
  Table table = chapter.table({"kernel", "texts", "TFLOP/s", "FlashAttention-2",
                               "FlashAttention-3", "of the latter"});
  for (int rung : {5, 6})
    for (const OnGpu& what : {OnGpu{false, 512, 309, 467},
                              {false, 16384, 370, 648},
                              {true, 512, 214, 316},
                              {true, 16384, 322, 561}}) {
      // Rung 6 has no way back yet. A quick run times nothing.
      if (rung == 6 && what.back) continue;
      std::string speed = "not measured yet", share = speed;
      if (missing[rung]) speed = share = missing[rung];
#if CHAINRULE_CUDA
      else if (!gpu.empty() && !chapter.quick()) {
        const double rate = what.operations() / time_on_gpu(what, rung) / 1e12;
        speed = fmt::format("{:.0f}", rate),
        share = fmt::format("{:.0f} %", 100 * rate / what.flash_3);
      }
#endif
      table.row(fmt::format("rung {}, {}", rung, what.back ? "back" : "forward"),
                fmt::format("of {}", what.length), speed, what.flash_2,
                what.flash_3, share);
    }
}
