// What is built of a chapter with GPU kernels where there is no emulator to run them: its program says so and ends with
// status 2, its test with 77, which CTest counts as skipped.
#include <cstdio>

int main() {
  std::fprintf(
      stderr,
      "chapter %s runs GPU kernels on the emulator, which this build is without: build with -DCHAINRULE_SIMT=ON "
      "(needs libboost-context-dev)\n",
      CHAPTER);
  return SKIPPED ? 77 : 2;
}
