# shellcheck shell=sh disable=SC2034
# SPDX-License-Identifier: MIT
# Sourced by the checks: goes to the root of the project; $sources are its .c and .h files (paths
# within the project have no spaces), $scratch is a folder that goes away at the end.
root=$(cd "$(dirname "$0")/../.." && pwd)
cd "$root" || exit 1
sources=$(find isa vmcs paging traces src test \( -name '*.c' -o -name '*.h' \) -print 2>/dev/null |
  LC_ALL=C sort)
scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT TERM
CC=${CC:-cc}

# Generates nst_encodings.h into $scratch, so that a check needs no build.
make_encodings() {
  $CC -std=c11 -I. -o "$scratch/gen_encodings" src/gen_encodings.c &&
    "$scratch/gen_encodings" "$scratch/nst_encodings.h"
}
