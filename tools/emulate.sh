#!/usr/bin/env bash
# Compiles tools/kernels.c and the kernels twice, runs both, and compares what they print:
# tools/emulate.sh CC RUNNER [FLAG ...], for example tools/emulate.sh aarch64-linux-gnu-gcc qemu-aarch64
#
# CC is the other compiler, RUNNER what runs its programs (env runs those of this machine). Numbers may differ by
# rounding, since processors and compilers differ in fused multiplications.
set -euo pipefail

other=$1 runner=$2
shift 2
cd "$(dirname "${BASH_SOURCE[0]}")/../sklearn_vectorflow/engine"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
sources=(../../tools/kernels.c kernels/optimizers/*.c)
flags=(-O2 -std=gnu11 -fno-math-errno -fno-trapping-math -Wno-unused-function -I .)

"${CC:-cc}" "${flags[@]}" "${sources[@]}" -o "$work/here" -lm
"$other" "${flags[@]}" -static "$@" "${sources[@]}" -o "$work/there" -lm
"$work/here" >"$work/here.txt"
"$runner" "$work/there" >"$work/there.txt"
python3 - "$work/here.txt" "$work/there.txt" <<'COMPARE'
import math
import re
import sys

here, there = (open(name).read().splitlines() for name in sys.argv[1:])
assert len(here) == len(there) > 0
apart = 0.0
for line, other in zip(here, there):
    exact = line.startswith(("number", "hash"))
    for a, b in zip(re.findall(r"\S+", line), re.findall(r"\S+", other), strict=True):
        if a != b:
            apart = max(apart, math.inf if exact else abs(float(a) - float(b)) / abs(float(a)))
print(f"{len(here)} lines, {sum(a != b for a, b in zip(here, there))} differ, by {apart:.1e} at most")
sys.exit(not apart < 1e-4)
COMPARE
