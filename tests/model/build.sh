#!/bin/sh
# Builds a program of the model, if it is not up to date. Usage: build.sh DIRECTORY SOURCE [NAME [FLAGS...]]
# The scenarios are instrumented for data races; the callbacks are in model.c, so no sanitizer is linked.
set -u
directory=$1 source=$2
name=${3:-$(basename "$source" .c)}
shift 2
[ $# -gt 0 ] && shift
CC=${MODEL_CC:-gcc}
TASKRT=$(realpath "${TASKRT:-taskrt.h}")
mkdir -p "$directory"
program=$directory/$name
command="$CC -std=c11 ${MODEL_OPTIMISE:--O2} -g -fno-omit-frame-pointer -no-pie -Wall -Wextra -pthread -Itests/model"
stamp="$command $* $TASKRT"
if [ -x "$program" ] && [ "$(cat "$program.command" 2>/dev/null)" = "$stamp" ]; then
    current=yes
    for input in "$TASKRT" tests/model/model.h tests/model/model.c tests/model/things.h tests/model/small.h tests/test_matrix.c "$source"; do
        [ -z "$(find "$input" -newer "$program")" ] || current=no
    done
    [ $current = yes ] && exit 0
fi
rm -f "$program"
$command -Wno-psabi -c tests/model/model.c -o "$program-model.o" || exit 1
$command -fsanitize=thread -DTASKRT_DEBUG=1 '-DTASKRT_MODEL="model.h"' "-DTASKRT_H_PATH=\"$TASKRT\"" "$@" -c "$source" -o "$program.o" || exit 1
gcc -no-pie -pthread "$program.o" "$program-model.o" -o "$program" || exit 1
echo "$stamp" >"$program.command"
