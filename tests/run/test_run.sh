#!/usr/bin/env bash
# Tests of the `run` script, in a small tree of its own (its path has a space) with one stub chapter: they build in seconds.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
unset CHAINRULE_DATA
passed=0 failed=0

# try STATUS PATTERN COMMAND...: the command ends with this exit status, and what it prints matches the extended regular expression.
try() {
  local status=$1 pattern=$2 code=0 out
  shift 2
  out=$("$@" 2>&1 </dev/null) || code=$?
  if [ "$code" = "$status" ] && grep -qE -- "$pattern" <<<"$out"; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
    printf 'FAILED: %s: exit status %s, expected %s and "%s"\n%s\n' "$*" "$code" "$status" "$pattern" "$out"
  fi
}
lines() { { "$@" 2>&1 || true; } | wc -l; }
last_line() { { "$@" || true; } | tail -n 1; }

# The tree: the real front door and build files; a library of one function, one chapter, three tests.
tree="$work/a tree"
mkdir -p "$tree"/{common/{tensor,book},chapters/05_neural_network,tests/{common,other,tools}}
cp -r "$root"/{run,CMakeLists.txt,CMakePresets.json} "$tree/"
cp -r "$root"/common/{CMakeLists.txt,cmake} "$tree/common/"
cp "$root/chapters/CMakeLists.txt" "$tree/chapters/"
cp -r "$root"/tests/{CMakeLists.txt,*.cpp,*.hpp} "$tree/tests/"
mkdir "$tree/tests/bench"
cp "$root/tests/bench/usage.txt" "$tree/tests/bench/"
: >"$tree/tests/compare.cpp"  # it compares tensors, and there are none here
echo 'int main() {}' >"$tree/tests/tools/gdb_subject.cpp"
mkdir "$tree/data"
cp "$root"/data/*.{py,json} "$tree/data/"
[ ! -d "$root/chapters/template" ] || cp -r "$root/chapters/template" "$tree/chapters/"
echo 'namespace cr { int one() { return 1; } }' >"$tree/common/tensor/one.cpp"
echo 'namespace cr { int one(); int two() { return one() + one(); } }' >"$tree/common/book/two.cpp"
cat >"$tree/chapters/05_neural_network/main.cpp" <<'CPP'
#include <cstdio>
namespace cr { int two(); }
int main(int argc, char** argv) {
  std::printf("two is %d", cr::two());
  for (int i = 1; i < argc; ++i) std::printf(" [%s]", argv[i]);
  std::puts("");
  return argc > 3 ? 7 : 0;
}
CPP
cat >"$tree/chapters/05_neural_network/test.cpp" <<'CPP'
#include <cstdlib>
#include "catch.hpp"
TEST_CASE("the default size is judged only when asked") { CHECK(std::getenv("CHAINRULE_TEST_ALL") == nullptr); }
CPP
printf '# Chapter 5. Neural network\n\nWhat can it do?\n' >"$tree/chapters/05_neural_network/README.md"
cat >"$tree/tests/common/test_one.cpp" <<'CPP'
#include "catch.hpp"
namespace cr { int one(); }
TEST_CASE("passes") { CHECK(cr::one() == 1); }
TEST_CASE("fails") { CHECK(cr::one() == 2); }
TEST_CASE("skips") { SKIP("there is no data"); }
CPP
printf '#!/bin/sh\nexit 77\n' >"$tree/tests/other/test_skips.sh"
printf '#!/bin/sh\necho 2 passed, 0 failed, 1 skipped\n' >"$tree/tests/other/test_counts.sh"
chmod +x "$tree"/tests/other/*.sh

# The same words from the tree, from elsewhere, and through a relative path.
cd "$work"
run="$tree/run"
try 0 '^\./run NN' "$run"
try 0 '^\./run NN' "$run" help
try 0 '^05  Neural network$' "$run" list
try 0 'g\+\+ +installed' "$run" doctor
try 0 '^\./run bench \[NAME' "$run" bench --help
try 0 '^05  ' "a tree/run" list
try 0 '^mnist .* -  ' "$run" data

# One line and exit status 2 for what cannot be done.
try 2 'no command "tset"; did you mean "test"' "$run" tset
try 2 'no command "docotr"; did you mean "doctor"' "$run" docotr
try 2 'no command "neural_network"; did you mean "05_neural_network"' "$run" neural_network
try 2 'no chapter 06; there is: 05_neural_network' "$run" 6
try 2 'no chapter 09; there is' "$run" test 09
try 2 'test what\?' "$run" test everythign
try 2 'no preset "relase"; did you mean "release"' "$run" --preset relase 05
try 2 'report which chapter' "$run" report
try 0 '^safetensors$' "$root/run" fuzz --list
try 2 'no fuzzer "idy"; did you mean "idx"' "$root/run" fuzz idy
try 2 'fuzz --seconds how many' "$root/run" fuzz --seconds x
try 2 'fuzz --seconds how many' "$root/run" fuzz --seconds 0
try 2 'no data set "mnits"; did you mean "mnist"' "$run" data mnits
try 2 'how to: ./run new NN name' "$run" new neural
try 2 'there is a chapter 05 already' "$run" new 5 other
try 0 '^1$' lines "$run" tset
try 0 '^1$' lines "$run" 6

# Packages. A dpkg-query that misses libfmt-dev until apt-get, which is ours too, has been called; an id that is no root's.
mkdir "$work/bin" "$work/user"
cat >"$work/bin/dpkg-query" <<SH
#!/bin/sh
for package; do :; done
if [ "\$package" = libfmt-dev ] && [ ! -f "$work/fetched" ]; then exit 1; fi
echo ii
SH
cat >"$work/bin/apt-get" <<SH
#!/bin/sh
echo "\$*" >>"$work/apt-calls"
case "\$*" in *" install "*libfmt-dev*) touch "$work/fetched" ;; esac
SH
printf '#!/bin/sh\necho 0\n' >"$work/bin/id"
printf '#!/bin/sh\necho 1000\n' >"$work/user/id"
printf '#!/bin/sh\nexit 1\n' >"$work/user/sudo"
chmod +x "$work"/{bin,user}/*
command='apt-get update && apt-get install -y --no-install-recommends libfmt-dev$'
try 2 "$command" env PATH="$work/bin:$PATH" "$run" --no-install 05
try 2 "$command" env PATH="$work/bin:$PATH" "$run" 05 --no-install
try 2 "$command" env PATH="$work/user:$work/bin:$PATH" "$run" 05
try 0 '^1$' lines env PATH="$work/user:$work/bin:$PATH" "$run" 05
try 1 '' test -e "$work/apt-calls"
try 0 '^installing 1 packages: libfmt-dev$' env PATH="$work/bin:$PATH" "$run" 05
try 0 'install -y --no-install-recommends libfmt-dev' cat "$work/apt-calls"

# A GPU is asked for where there is none, or no compiler for it. What is there is what PATH says, but for a driver's device.
if [ ! -e /dev/nvidiactl ] && [ ! -e /dev/dxg ]; then
  try 2 'needs a GPU of NVIDIA, and no driver' "$run" 05 --device cuda
  try 2 'needs a GPU of NVIDIA, and no driver' "$run" 05 --quick --device=cuda
  try 0 '^1$' lines "$run" 05 --device cuda
  printf '#!/bin/sh\necho 9.0\n' >"$work/user/nvidia-smi"
  chmod +x "$work/user/nvidia-smi"
  if [ ! -x /usr/local/cuda/bin/nvcc ] && ! command -v nvcc >/dev/null; then
    try 2 'needs nvcc, from NVIDIA' env PATH="$work/user:$PATH" "$run" 05 --device cuda
  fi
  rm "$work/user/nvidia-smi"
fi
try 0 'CUDA Toolkit \(nvcc\) +(none|[0-9.]+)' "$run" doctor

# A chapter gets its options and gives its exit status.
try 0 '^two is 2$' "$run" 05
try 0 '^two is 2 \[--quick\] \[a b\]$' "$run" 5 --quick 'a b'
try 7 'two is 2 \[1\] \[2\] \[3\]' "$run" 05_neural_network 1 2 3
try 0 "^two is 2 \[--report\] \[$tree/chapters/05_neural_network\]" "$run" report 05
try 0 '^1$' lines "$run" 05

# The sums, and the exit status that goes with them.
try 1 '^4 passed, 1 failed, 3 skipped$' "$run" test
try 0 '^4 passed, 1 failed, 3 skipped$' last_line "$run" test
try 1 '^1 passed, 1 failed, 1 skipped$' "$run" test common
try 1 'skipped: there is no data' "$run" test common
try 1 'test_one.cpp:4: FAILED' "$run" test common
try 0 '^1 passed, 0 failed, 0 skipped$' "$run" test 05
try 1 '^0 passed, 1 failed, 0 skipped$' "$run" test 05 --all
try 0 '^1 passed, 0 failed, 0 skipped$' "$run" test common -- passes

# A program that does not compile: the compiler's words, where the rest of them is, exit status 1.
echo 'int main() { return "nothing"; }' >"$tree/chapters/05_neural_network/main.cpp"
try 1 'main.cpp:1:.* error:' "$run" 05
try 1 'the whole story: .*/build/release/run.log' "$run" 05
try 1 '^0 passed, 1 failed, 0 skipped$' "$run" test 05

# A new chapter has every part, and no placeholder is left in it.
if [ -d "$tree/chapters/template" ]; then
  try 0 'chapters/07_two_moons is there' "$run" new 7 two_moons
  for part in README.md main.cpp test.cpp exercises.md; do try 0 '' test -s "$tree/chapters/07_two_moons/$part"; done
  try 1 '' grep -rE '@[a-zA-Z]+@' "$tree/chapters/07_two_moons"
  try 0 '^07  ' "$run" list
fi

echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" = 0 ]
