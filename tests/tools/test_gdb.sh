#!/usr/bin/env bash
# common/chainrule-gdb.py shows tensors as numbers.
set -euo pipefail
cd "$(dirname "$0")"
root=$(cd ../.. && pwd)
build=${CHAINRULE_BUILD:-$root/build/release}
command -v gdb >/dev/null || { echo "skipped: there is no gdb"; exit 77; }
if ! [ -x "$build/tests/gdb_subject" ] || grep -q '^CHAINRULE_SANITIZE:[A-Z]*=.' "$build/CMakeCache.txt"; then
  echo "skipped: $build has no program to look at"
  exit 77
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

line=$(grep -n '// breakpoint' gdb_subject.cpp | cut -d: -f1)
gdb -q -batch -nx -ex "source $root/common/chainrule-gdb.py" -ex "break gdb_subject.cpp:$line" -ex run \
  -ex 'print x' -ex 'print transposed' -ex 'print column' -ex 'print many' -ex 'print mask' -ex 'print number' -ex 'print deep' \
  -ex 'print nothing' -ex 'print x.impl_.pointer_->shape' "$build/tests/gdb_subject" >"$work/out" 2>&1 </dev/null || true
if grep -qE 'ptrace: Operation not permitted|Could not trace' "$work/out"; then
  echo "skipped: gdb may not trace a program here"
  exit 77
fi

cat >"$work/expected" <<'TEXT'
$1 = Tensor (2, 3) float64 [[0.5, 1.5, 2.5], [3.5, 4.5, 5.5]]
$2 = Tensor (3, 2) float64 [[0.5, 3.5], [1.5, 4.5], [2.5, 5.5]]
$3 = Tensor (2,) float64 [1.5, 4.5]
$4 = Tensor (2, 100) int64 [[0, 1, 2, ..., 97, 98, 99], [100, 101, 102, ..., 197, 198, 199]]
$5 = Tensor (2,) boolean [true, false]
$6 = Tensor () float32 0.1
$7 = Tensor (1, 1, 1, 1, 1, 1, 2) int64 [[[[[[[7, 7]]]]]]]
$8 = Tensor (undefined)
$9 = (2, 3)
TEXT
grep '^\$' "$work/out" | diff "$work/expected" - >&2 || { cat "$work/out"; exit 1; }
