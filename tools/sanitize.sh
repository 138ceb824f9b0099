#!/usr/bin/env bash
# Builds the package with sanitizers and runs tests on it:
# tools/sanitize.sh address [PYTEST ARGUMENT ...]    AddressSanitizer and UndefinedBehaviorSanitizer
# tools/sanitize.sh thread [PYTEST ARGUMENT ...]     ThreadSanitizer; races that are intended: tools/thread_races.supp
#
# Needs GCC on Linux, and in the environment what the build and the tests need (CONTRIBUTING.md). Two tests limit their
# memory, which sanitizers reserve by the terabyte, so they are left out.
set -euo pipefail

sanitizer=${1:?"usage: tools/sanitize.sh address|thread [PYTEST ARGUMENT ...]"}
shift
checkout=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

library() { gcc -print-file-name="$1"; }

case $sanitizer in
    address)
        kinds=address,undefined
        preloaded="$(library libasan.so) $(library libubsan.so)"
        export ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1 UBSAN_OPTIONS=halt_on_error=1
        ;;
    thread)
        kinds=thread
        preloaded=$(library libtsan.so)
        # Python and its other packages are not built for it, so what only they do is not looked at.
        export TSAN_OPTIONS="suppressions=$checkout/tools/thread_races.supp ignore_noninstrumented_modules=1 exitcode=66"
        ;;
    *)
        echo "tools/sanitize.sh: address or thread, not $sanitizer" >&2
        exit 2
        ;;
esac

# Modules that lie in the checkout would be installed in place of those that are built here.
compiled=$(find "$checkout/sklearn_vectorflow" -name '*.so')
if [ -n "$compiled" ]; then
    echo "tools/sanitize.sh: the checkout has compiled modules, which no sanitizer looks at. Remove them, or use a clean copy:" \
        "$compiled" >&2
    exit 2
fi

pip install --quiet --no-build-isolation --no-deps --target "$work" "$checkout" \
    -Csetup-args=-Db_sanitize="$kinds" -Csetup-args=-Db_lundef=false

cd "$checkout"
LD_PRELOAD=$preloaded PYTHONMALLOC=malloc PYTHONPATH="$work" pytest \
    --deselect tests/robustness/test_matrices_hostile.py::test_every_door_refuses_corrupt_matrices_or_reads_them_right \
    --deselect tests/robustness/test_state_pickles.py::test_changed_pickles_are_refused_or_harmless "$@"
