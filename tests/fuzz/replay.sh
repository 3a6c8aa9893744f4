#!/bin/sh
# Runs every program of the corpus, without libFuzzer. Usage: replay.sh DIRECTORY COMPILER FLAGS...
set -u
directory=$1
shift
if sh tests/fuzz/build.sh "$directory/replay" "$@" -DREPLAY && "$directory/replay" tests/fuzz/corpus/*; then
    echo '1 passed, 0 failed'
else
    echo 'FAIL replay'
    echo '0 passed, 1 failed'
fi
