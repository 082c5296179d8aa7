#!/usr/bin/env bash
# Do the kernels compile for a GPU, and to what they were written for? No GPU is needed, only nvcc (else: skipped, 77).
#
#   - the chapters' kernels compile for sm_75, sm_80 and sm_90a, and what stands beneath them for sm_90a
#   - no kernel spills registers to memory, unless a line "// spills NAME: why" beside it says so
#   - the machine code has the instructions that the chapter is about, where cuobjdump is there (PATH, the toolkit, or
#     build/python, where ./run setup puts it); otherwise that part says "skipped: "
#
# Objects stay in $CHAINRULE_BUILD/cuda_compiles, and only what changed is compiled again.
#
# With --spills LOG FOLDER it only looks at what ptxas said in LOG (-Xptxas=-v), and names kernels that spill although no such
# line in FOLDER explains it.
set -uo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)

# "name bytes" of each kernel that spills: ptxas writes the kernel's name a line or two before its bytes.
spills() {
  awk '/Compiling entry function|Function properties for/ { for (i = 1; i <= NF; ++i) if ($i ~ /_Z/) { name = $i; gsub(/\x27/, "", name) } }
       /bytes spill stores/ { for (i = 1; i <= NF; ++i) if ($i == "spill" && $(i + 1) ~ /^stores/ && $(i - 2) > 0) print name, $(i - 2) }' "$1" | sort -u
}
# Of those in this log the ones that no line in this folder explains.
unexplained() {
  local kernel bytes known explained
  spills "$1" | while read -r kernel bytes; do
    explained=no
    while read -r known; do [[ $kernel != *"$known"* ]] || explained=yes; done < <(sed -n 's|^ *// spills \([A-Za-z0-9_]*\):.*|\1|p' "$2"/*.cu* 2>/dev/null)
    [ $explained = yes ] || printf ' %s (%s bytes)' "$kernel" "$bytes"
  done
}
if [ "${1:-}" = --spills ]; then
  found=$(unexplained "$2" "$3")
  [ -z "$found" ] || { echo "spills without a reason:$found"; exit 1; }
  exit
fi

nvcc=$(command -v nvcc || ls /usr/local/cuda/bin/nvcc 2>/dev/null)
[ -n "$nvcc" ] || { echo "skipped: no nvcc here"; exit 77; }
cuobjdump=
for place in cuobjdump "$(dirname "$nvcc")/cuobjdump" "$root"/build/python/lib/python*/site-packages/nvidia/*/bin/cuobjdump; do
  [ -n "$cuobjdump" ] || cuobjdump=$(command -v "$place") || true
done
[ -z "$cuobjdump" ] || PATH=$PATH:$(dirname "$cuobjdump")  # it calls nvdisasm, which lies beside it
out=${CHAINRULE_BUILD:-$root/build/release}/cuda_compiles
mkdir -p "$out"
passed=0 failed=0 skipped=0
pass() { passed=$((passed + 1)); }
complain() { failed=$((failed + 1)); echo "FAILED: $*"; }

# What the machine code must hold: folder, architecture, instructions.
expected() {
  case $1-$2 in
    57_*-80) echo "LDG.E.128 STS.128 LDS.128 LDGSTS HMMA" ;;
    57_*-90a) echo "HGMMA UTMALDG LDGSTS STS.128" ;;
    58_*-80) echo "HMMA" ;;
    59_*-80) echo "HMMA" ;;
    59_*-90a) echo "HGMMA" ;;
  esac
}

# Two jobs at a time: the file, the architecture, the object and what ptxas says beside it.
jobs_list=()
for source in "$root"/chapters/5[789]_*/*.cu; do
  [ -f "$source" ] || continue
  for arch in 75 80 90a; do jobs_list+=("$source $arch"); done
done
for source in "$root"/common/backend/cuda/*.cu; do jobs_list+=("$source 90a"); done
name_of() { local folder=${1%/*}; echo "${folder##*/}-$(basename "${1%.cu}")-sm_$2"; }

compile() {
  local source=$1 arch=$2 object newer switches
  object=$out/$(name_of "$source" "$arch")
  newer=$(find "$root/common" "${source%/*}" \( -name '*.hpp' -o -name '*.cuh' -o -name '*.cu' \) -newer "$object.cubin" -print -quit 2>/dev/null || echo new)
  [ -n "$newer" ] || [ ! -f "$object.cubin" ] || return 0
  switches=(-DCHAINRULE_THREADS=1 -DCHAINRULE_X86_DISPATCH=1 -DCHAINRULE_SIMT=1 -DCHAINRULE_CUDA=1 -DCR_ISA=cuda
    -DCHAINRULE_CUDA_BUILT_FOR='""' -DNDEBUG)
  rm -f "$object.cubin"
  "$nvcc" -std=c++20 -O3 -cubin -arch="sm_$arch" --expt-relaxed-constexpr --extended-lambda -Xptxas -v \
    "${switches[@]}" -I "$root/common" -I "${source%/*}" -o "$object.cubin" "$source" >"$object.log" 2>&1
}
export -f compile name_of
export root out nvcc
printf '%s\n' "${jobs_list[@]}" | xargs -P 2 -L 1 bash -c 'compile "$@" || true' compile

for job in "${jobs_list[@]}"; do
  source=${job% *} arch=${job##* } folder=${source%/*}
  name=$(name_of "$source" "$arch")
  if [ ! -f "$out/$name.cubin" ]; then
    complain "$name does not compile"
    grep -E 'error|fatal' "$out/$name.log" | head -n 5
    continue
  fi
  pass
  found=$(unexplained "$out/$name.log" "$folder")
  if [ -n "$found" ]; then complain "$name spills:$found"; else pass; fi

  wanted=$(expected "$(basename "$folder")" "$arch")
  [ -n "$wanted" ] || continue
  if [ -z "$cuobjdump" ]; then
    skipped=$((skipped + 1))
    continue
  fi
  # A chapter may have several kernel files: an instruction counts wherever it is.
  for other in "$folder"/*.cu; do "$cuobjdump" -sass "$out/$(name_of "$other" "$arch").cubin" 2>/dev/null; done >"$out/sass"
  missing=
  for instruction in $wanted; do grep -qE "[ ;]$instruction" "$out/sass" || missing+=" $instruction"; done
  if [ -n "$missing" ]; then complain "$name: no$missing in its machine code"; else pass; fi
  # Chapter 59's rung 6: exponentials, then the wait for the product that runs beside them, then the next product.
  [[ $name == 59_*-sm_90a ]] || continue
  late=$(awk '/Function :/ { exps = 0; ours = /wgmma_kernel/ }
              ours && /MUFU.EX2/ { exps = 1; waited = 0 }
              ours && /WARPGROUP.DEPBAR.LE gsb0, 0x0/ { waited = 1 }
              ours && /HGMMA/ && exps { print waited ? "beside" : "behind"; exps = 0 }' "$out/sass" | sort | uniq -c | tr -s ' ')
  if [ "$late" = " 3 beside" ]; then pass; else complain "$name: the softmax runs behind a product, not beside it:$late"; fi
done
[ -n "$cuobjdump" ] || echo "skipped: the machine code is not looked at: no cuobjdump here"
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
