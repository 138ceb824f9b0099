#!/usr/bin/env bash
# Compiles all C of the package for another system, without linking: tools/cross_compile.sh BUILD TARGET [FLAG ...]
#
# BUILD is a folder that Meson has built for this machine (it has the C that Cython wrote), TARGET one of Zig's, such as
# aarch64-linux-gnu, aarch64-macos or x86_64-windows-gnu. The compiler is Zig's: pip install ziglang. Python's headers are
# those of this machine, unless PYTHON_HEADERS names a folder with others. Windows needs others: a copy of these with the
# file PC/pyconfig.h of CPython's sources in place of pyconfig.h.
set -euo pipefail

build=$(cd "$1" && pwd) target=$2
shift 2
cd "$(dirname "${BASH_SOURCE[0]}")/.."
objects=$(mktemp -d)
trap 'rm -rf "$objects"' EXIT
headers=${PYTHON_HEADERS:-$(python3 -c 'import sysconfig; print(sysconfig.get_path("include"))')}

flags=(-c -O2 -std=gnu11 -Wall -Werror=implicit-function-declaration -Wno-unused-function -Wno-unused-but-set-variable)
flags+=(-fno-math-errno -fno-trapping-math -I sklearn_vectorflow/engine -I "$headers")

failed=0 n=0
while IFS= read -r source; do
    n=$((n + 1))
    if ! python3 -m ziglang cc -target "$target" "${flags[@]}" "$@" "$source" -o "$objects/$n.o"; then
        echo "FAILED: $source" >&2
        failed=$((failed + 1))
    fi
done < <(find sklearn_vectorflow/engine/kernels "$build" -name '*.c' -not -path '*/meson-private/*' | sort)
echo "$target: $((n - failed)) of $n files compiled"
exit "$((failed > 0))"
