#!/usr/bin/env bash
# Builds the package with AddressSanitizer and UndefinedBehaviorSanitizer and runs tests on it:
# tools/sanitize.sh [PYTEST ARGUMENT ...]
#
# Needs GCC on Linux, and in the environment what the build and the tests need (CONTRIBUTING.md). Two tests limit their
# memory, which AddressSanitizer reserves by the terabyte, so they are left out.
set -euo pipefail

checkout=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

pip install --quiet --no-build-isolation --no-deps --target "$work" "$checkout" \
    -Csetup-args=-Db_sanitize=address,undefined -Csetup-args=-Db_lundef=false

cd "$checkout"
LD_PRELOAD="$(gcc -print-file-name=libasan.so) $(gcc -print-file-name=libubsan.so)" \
    ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1 UBSAN_OPTIONS=halt_on_error=1 \
    PYTHONMALLOC=malloc PYTHONPATH="$work" pytest \
    --deselect tests/robustness/test_matrices_hostile.py::test_every_door_refuses_corrupt_matrices_or_reads_them_right \
    --deselect tests/robustness/test_state_pickles.py::test_changed_pickles_are_refused_or_harmless "$@"
