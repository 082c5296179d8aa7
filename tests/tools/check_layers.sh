#!/usr/bin/env bash
# check_layers.sh [TREE]: prints every line of the sources that breaks a rule of the house; exit status 1 if there is one.
#
#   - a folder of common/ includes only itself and those below it
#   - nothing above backend/ reaches into a backend (but for cpu_features.hpp, which says what machine this is), and ops/ sees
#     of backend/ only the waist: backend.hpp and the headers it is made of, functor.hpp and generator.hpp
#   - no // line ends in a backslash: it would swallow the next line, code or not
set -euo pipefail
cd "${1:-$(dirname "$0")/../..}"

sources=$(find common chapters tests -type f \( -name '*.cpp' -o -name '*.hpp' -o -name '*.cu' -o -name '*.cuh' \) 2>/dev/null | sort || true)
# shellcheck disable=SC2016  # $0 is awk's
rules='
    BEGIN {
      n = split("tensor backend io autograd ops func nn optim data text parallel book", order)
      for (i = 1; i <= n; ++i) level[order[i]] = i
    }
    function complain(why) { print FILENAME ":" FNR ": " why }
    FNR == 1 { split(FILENAME, path, "/") }

    /\/\/.*\\[ \t]*$/ { complain("a // line ends in a backslash") }

    path[1] == "common" && /^[ \t]*#[ \t]*include[ \t]*"/ {
      split($0, quoted, "\"")
      included = quoted[2]
      split(included, target, "/")
      from = path[2]; to = target[1]
      if (from ~ /\.hpp$/ && to in level) next   # common/chainrule.hpp includes everything
      if (!(from in level)) complain("common/" from " has no place in the order of folders")
      else if (!(to in level)) complain("\"" included "\" is no header of common/")
      else if (level[to] > level[from]) complain(from "/ includes " included ", which lies above it")
      else if (from != "backend" && included ~ /^backend\/(cpu|gpu|simt|cuda)\// && included !~ /cpu_features/) complain(from "/ reaches into a backend: " included)
      else if (from == "ops" && to == "backend" && included !~ /^backend\/(backend|functor|generator)\.hpp$/)
        complain("ops/ sees of backend/ only backend.hpp, functor.hpp and generator.hpp, not " included)
    }'
broken=$(tr '\n' '\0' <<<"$sources" | xargs -0 awk "$rules")
[ -z "$broken" ] || { echo "$broken"; exit 1; }
