#!/bin/sh
# Builds one test program, if it is not up to date, and runs it. Usage: unit.sh DIRECTORY NAME COMPILER FLAGS...
set -u
directory=$1 name=$2
shift 2
program=$directory/$name
mkdir -p "$directory"
command="$* tests/$name.c -o $program"
current=no
if [ -x "$program" ] && [ "$(cat "$program.command" 2>/dev/null)" = "$command" ]; then
    current=yes
    for source in taskrt.h tests/harness.h tests/common.h "tests/$name.c"; do
        [ -z "$(find "$source" -newer "$program")" ] || current=no
    done
fi
if [ $current = no ]; then
    rm -f "$program"
    if ! $command; then
        echo "FAIL $name: it does not compile"
        echo '0 passed, 1 failed'
        exit 1
    fi
    echo "$command" >"$program.command"
fi
${WRAPPER:-} "$program"
