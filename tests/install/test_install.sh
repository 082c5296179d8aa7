#!/usr/bin/env bash
# Installs what was built, then builds and runs a small project that finds it with find_package(chainrule).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
build=${CHAINRULE_BUILD:-$here/../../build/release}
if ! [ -f "$build/common/libchainrule_book.a" ] || grep -q '^CHAINRULE_SANITIZE:[A-Z]*=.' "$build/CMakeCache.txt"; then
  echo "skipped: $build holds no library that others can link to"
  exit 77
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cmake --install "$build" --prefix "$work/prefix" >"$work/log"
cmake -S "$here" -B "$work/build" -G Ninja -DCMAKE_PREFIX_PATH="$work/prefix" \
  -DCMAKE_CXX_COMPILER="$(sed -n 's/^CMAKE_CXX_COMPILER:[A-Z]*=//p' "$build/CMakeCache.txt")" >>"$work/log"
cmake --build "$work/build" >>"$work/log" || { cat "$work/log"; exit 1; }
result=$("$work/build/consumer")
[ "$result" = "dx = 6" ] || { echo "the consumer printed: $result"; exit 1; }

# A version that we are not is refused.
sed 's/chainrule 0.1/chainrule 7.0/' "$here/CMakeLists.txt" >"$work/CMakeLists.txt"
cp "$here/main.cpp" "$work/"
if cmake -S "$work" -B "$work/build7" -G Ninja -DCMAKE_PREFIX_PATH="$work/prefix" >"$work/log7" 2>&1; then
  echo "find_package(chainrule 7.0) found version 0.1"
  exit 1
fi
