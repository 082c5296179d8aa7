// For each key a block makes $2 R d$ multiply-adds, which is $4 R d$ operations,
// and reads $2 d$ numbers of 2 bytes. That is $R$ operations per byte: neither $d$
// nor $N$ matters. The machine makes $989 / 3.35 = 295$ operations in the time of a
// byte, so $R = 296$ would do without caches. With 128 queries blocks at the peak ask
// for 989 / 128 = 7.7 TB/s, 2.3 times what memory gives. Three things help. All blocks
// of a head read the same keys at about the same time, so that a cache can answer for
// memory. Blocks of a cluster can share one copy (*multicast*): two of them are as
// good as 256 queries. And no kernel reaches the peak: FlashAttention-3's 648 TFLOP/s
// ask for 5.1.
#include <cmath>
#include <cstdio>
#include <initializer_list>

int main() {
  const double peak = 989e12, memory = 3.35e12;
  bool same = true;
  for (double d : {64.0, 128.0, 256.0})
    for (double n : {1000.0, 16000.0})
      for (double r : {64.0, 128.0, 296.0})
        same &= std::abs(4 * r * n * d / (2 * n * d * 2) - r) < 1e-9;
  const double enough = std::ceil(peak / memory), asked = peak / 128;
  same &=
      std::abs(asked / memory - 2.3) < 0.05 && std::abs(648.0 / 128 - 5.1) < 0.05;
  std::printf("R = %.0f without a cache; with 128 it asks for %.2f TB/s\n", enough,
              asked / 1e12);
  return same && enough == 296 && std::abs(asked / 1e12 - 7.73) < 0.01 ? 0 : 1;
}
