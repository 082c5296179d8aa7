#!/usr/bin/env bash
# The order of the layers holds in this tree; and the script that says so does see each way to break it.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
passed=0 failed=0
verdict() { if [ "$1" = 0 ]; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "FAILED: $2"; fi; }

code=0
"$here/check_layers.sh" || code=$?
verdict $code "this tree breaks a rule"

# breaks FILE LINE PATTERN: a tree with this one line in this file gets a complaint that matches PATTERN ("": none).
breaks() {
  local tree out code=0
  tree=$(mktemp -d)
  mkdir -p "$tree/$(dirname "$1")"
  printf '%s\n' '#pragma once' "$2" >"$tree/$1"
  out=$("$here/check_layers.sh" "$tree") || code=$?
  if [ -z "$3" ]; then
    verdict $code "$1 with $2: $out"
  else
    [[ $code = 1 && $out == "$1:2: "*$3* ]] && code=0 || code=1
    verdict $code "$1 with $2 gives: $out"
  fi
  rm -r "$tree"
}
breaks common/tensor/a.hpp '#include "ops/add.hpp"' 'lies above it'
breaks common/nn/a.cpp '#include "book/chapter.hpp"' 'lies above it'
breaks common/ops/a.cpp '#include "backend/cpu/gemm.hpp"' 'reaches into a backend'
breaks common/nn/a.cpp '  #  include "backend/simt/grid.hpp"' 'reaches into a backend'
breaks common/ops/a.cpp '#include "backend/parallel.hpp"' 'ops/ sees'
breaks common/misc/a.cpp '#include "tensor/tensor.hpp"' 'no place in the order'
breaks common/ops/a.cpp '#include "../tests/catch.hpp"' 'no header of common/'
breaks chapters/05_x/main.cpp $'  f();  // a \\' 'backslash'
breaks common/ops/a.cpp '#include "backend/backend.hpp"' ''
breaks common/book/a.cpp '#include "data/digits.hpp"' ''
breaks common/chainrule.hpp '#include "nn/linear.hpp"' ''
breaks tests/common/test_a.cpp '#include "backend/cpu/gemm.hpp"' ''

echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" = 0 ]
