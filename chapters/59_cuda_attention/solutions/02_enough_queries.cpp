// For each key a block makes $2 R d$ multiply-adds, which is $4 R d$ operations,
// and reads $2 d$ numbers of 2 bytes. That is $R$ operations per byte: neither $d$
// nor $N$ matters. The machine makes $989 / 3.35 = 295$ operations in the time of a
// byte, so $R = 296$ would do without caches. But all blocks of a head read the
// same keys, at about the same time, and the second cache of an H100 answers
// several times as fast as memory. With 128 queries a block asks it for 989 / 128 =
// 7.7 TB/s at the peak; what is left for memory is a small part of that.
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
  std::printf("R = %.0f without a cache; with 128 it asks for %.2f TB/s\n", enough,
              asked / 1e12);
  return same && enough == 296 && std::abs(asked / 1e12 - 7.73) < 0.01 ? 0 : 1;
}
