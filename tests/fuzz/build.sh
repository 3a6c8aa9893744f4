#!/bin/sh
# Builds tests/fuzz/fuzz.c, if it is not up to date. Usage: build.sh PROGRAM COMPILER FLAGS...
# TASKRT names another header than taskrt.h.
set -u
program=$1
shift
header=${TASKRT:-taskrt.h}
mkdir -p "$(dirname "$program")"
command="$* -DFUZZ_TASKRT=\"$(pwd)/$header\" tests/fuzz/fuzz.c -o $program"
if [ -x "$program" ] && [ "$(cat "$program.command" 2>/dev/null)" = "$command" ] &&
    [ -z "$(find "$header" tests/fuzz/fuzz.c tests/fuzz/oracle.h -newer "$program")" ]; then
    exit 0
fi
rm -f "$program"
"$@" "-DFUZZ_TASKRT=\"$(pwd)/$header\"" tests/fuzz/fuzz.c -o "$program" || exit 1
echo "$command" >"$program.command"
