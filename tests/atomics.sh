#!/bin/sh
# No platform needs libatomic: the implementation calls no __atomic_ function. Usage: atomics.sh DIRECTORY COMPILER...
set -u
directory=$1
shift
passed=0
failed=0
mkdir -p "$directory"
nm=$(echo "$1" | sed 's/gcc\(-[0-9]*\)*$/nm/')
command -v "$nm" >/dev/null 2>&1 || nm=nm
for flags in -O0 -O2 '-O2 -DTASKRT_POLL -DTASKRT_NO_FUTEX'; do
    if ! "$@" -std=c11 $flags -c tests/compile/impl.c -o "$directory/impl.o" ||
        ! "$nm" -u "$directory/impl.o" >"$directory/calls" || ! grep -q pthread_create "$directory/calls"; then
        echo "FAIL $* $flags: no object file, or nm cannot read it"
        failed=$((failed + 1))
    elif grep -E '__(atomic|sync)_' "$directory/calls"; then
        echo "FAIL $* $flags: it calls libatomic"
        failed=$((failed + 1))
    else
        passed=$((passed + 1))
    fi
done
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
