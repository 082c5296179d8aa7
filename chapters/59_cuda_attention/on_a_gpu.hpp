#pragma once

#include "clock.hpp"

// Is there one? A program that was built with the toolkit may run where there is none.
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

// Sixteen heads of 128 or the like, 2048 numbers per token, and 16 384 tokens, as both papers measure. Forward takes $4 N^2
// d$ operations per head, back 2.5 times as many (the products that are computed again are not counted), the causal
// case half.
struct OnGpu {
  std::string name;
  bool back, causal;
  double operations(int64_t n) const {
    return 4.0 * double(n) * double(n) * 2048 * (back ? 2.5 : 1) * (causal ? 0.5 : 1);
  }
};

#if CHAINRULE_CUDA
static double time_on_gpu(const OnGpu& what, int64_t n, int64_t width, bool wgmma) {
  const Rungs& rungs = attention::cuda::rungs();
  const int64_t heads = 2048 / width;
  ForwardCall<BFloat16, float> a;
  static_cast<AttentionSizes&>(a) = {1, heads, heads, n, n, width, what.causal};
  auto numbers = [&] { return randn({heads, n, width}).to(DType::bfloat16).to(Device::cuda); };
  auto rows = [&] { return zeros({heads, n}).to(Device::cuda); };
  Tensor q = numbers(), k = numbers(), v = numbers(), o = numbers(), d_o = numbers(), dq = numbers(), dk = numbers(),
         dv = numbers(), row_log = rows(), dots = rows();
  a.q = raw<BFloat16>(q), a.k = raw<BFloat16>(k), a.v = raw<BFloat16>(v), a.o = raw<BFloat16>(o);
  a.row_log = raw<float>(row_log), a.scale = float(1 / std::sqrt(double(width)));
  if (!what.back) return attention::cuda::seconds([&] { (wgmma ? rungs.wgmma : rungs.tensor_cores)(a); });
  rungs.tensor_cores(a);
  BackwardCall<BFloat16, float> b;
  static_cast<AttentionSizes&>(b) = a;
  b.q = a.q, b.k = a.k, b.v = a.v, b.o = a.o, b.row_log = a.row_log, b.scale = a.scale, b.d_o = raw<BFloat16>(d_o);
  b.dq = raw<BFloat16>(dq), b.dk = raw<BFloat16>(dk), b.dv = raw<BFloat16>(dv), b.dots = raw<float>(dots);
  return attention::cuda::seconds([&] { rungs.tensor_cores_backward(b); });
}
#endif

// Where there is no GPU the table says so. The last column is relative to the best figure of FlashAttention-3.
static void on_a_gpu(Chapter& chapter) {
  chapter.section("On a GPU");
  const bool here = has_gpu();
  if (!here) chapter.say("No GPU here, so nothing is timed. The targets stand beside the empty places.");
  Table table = chapter.table({"kernel", "case", "TFLOP/s", "FlashAttention-2", "FlashAttention-3", "of the latter's best"});
  const std::vector<OnGpu> cases = {{"forward", false, false}, {"forward, causal", false, true}, {"back", true, false},
                                    {"back, causal", true, true}};
  for (bool wgmma : {false, true})
    for (const OnGpu& what : cases) {
      if (wgmma && what.back) continue;
      std::string speed = "not measured yet", share = "not measured yet";
#if CHAINRULE_CUDA
      if (here) try {
          const double rate = what.operations(16384) / time_on_gpu(what, 16384, 128, wgmma) / 1e12;
          speed = fmt::format("{:.0f}", rate), share = fmt::format("{:.0f} %", 100 * rate / (what.back ? 561 : 648));
        } catch (const DeviceError& error) {
          speed = share = "not on this device";
        }
#endif
      table.row(wgmma ? "rung 6" : "rung 5", what.name, speed, what.back ? "214 … 322" : "309 … 370",
                what.back ? "316 … 561" : "467 … 648", share);
    }
}
