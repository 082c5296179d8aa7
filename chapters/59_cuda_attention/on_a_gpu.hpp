#pragma once

#include "clock.hpp"

// Is there one? A program that was built with the toolkit may run where there is
// none.
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

// Sixteen heads of 128, and 16 384 tokens cut into texts of `length`. Forward takes
// $4 N^2 d$ operations for each head of each text, back 2.5 times as many: what is
// computed again is not counted.
struct OnGpu {
  bool back;
  int64_t length;
  int flash_2, flash_3;  // TFLOP/s, published
  double operations() const {
    return 4.0 * 16384 * 2048 * double(length) * (back ? 2.5 : 1);
  }
};

#if CHAINRULE_CUDA
static double time_on_gpu(const OnGpu& what, bool wgmma) {
  const Rungs& rungs = attention::cuda::rungs();

  // Sixteen heads of 128, and as many texts as make 16 384 tokens.
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
    return attention::cuda::seconds(
        [&] { (wgmma ? rungs.wgmma : rungs.tensor_cores)(a); });

  // The way back needs what the way forth found, so that runs once, untimed.
  rungs.tensor_cores(a);
  BackwardCall<BFloat16, float> b;
  static_cast<AttentionSizes&>(b) = a;
  b.q = a.q, b.k = a.k, b.v = a.v, b.o = a.o, b.row_log = a.row_log,
  b.scale = a.scale, b.d_o = raw<BFloat16>(d_o);

  // Where the gradients go.
  b.dq = raw<BFloat16>(dq), b.dk = raw<BFloat16>(dk), b.dv = raw<BFloat16>(dv),
  b.dots = raw<float>(dots);
  return attention::cuda::seconds([&] { rungs.tensor_cores_backward(b); });
}
#endif

// Where there is no GPU the table says so.
static void on_a_gpu(Chapter& chapter) {
  chapter.section("On a GPU");
  const bool here = has_gpu();
  if (!here)
    chapter.say(
        "No GPU here, so nothing is timed. The targets stand beside the empty places.");
  Table table = chapter.table({"kernel", "texts", "TFLOP/s", "FlashAttention-2",
                               "FlashAttention-3", "of the latter"});
  for (bool wgmma : {false, true})
    for (const OnGpu& what : {OnGpu{false, 512, 309, 467},
                              {false, 16384, 370, 648},
                              {true, 512, 214, 316},
                              {true, 16384, 322, 561}}) {
      // Rung 6 has no way back yet.
      if (wgmma && what.back) continue;
      std::string speed = "not measured yet", share = "not measured yet";
#if CHAINRULE_CUDA
      if (here) try {
          const double rate = what.operations() / time_on_gpu(what, wgmma) / 1e12;
          speed = fmt::format("{:.0f}", rate),
          share = fmt::format("{:.0f} %", 100 * rate / what.flash_3);
        } catch (const DeviceError&) {
          speed = share = "not on this device";
        }
#endif
      table.row(
          fmt::format("rung {}, {}", wgmma ? 6 : 5, what.back ? "back" : "forward"),
          fmt::format("of {}", what.length), speed, what.flash_2, what.flash_3,
          share);
    }
}
