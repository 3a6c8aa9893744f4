#!/bin/sh
# One process of libFuzzer, FUZZ_SECONDS long. Usage: fuzz.sh DIRECTORY NUMBER
# What it finds on the way goes to DIRECTORY/corpus, which the processes share and the next run begins with. With
# FUZZ_SEED=n a run repeats itself: nothing is shared; FUZZ_RUNS=n ends it after so many programs.
set -u
directory=$1 number=$2 log=$1/fuzz-$2.txt
corpus=$directory/corpus seed=0 reload=1
if [ -n "${FUZZ_SEED:-}" ]; then
    corpus=$directory/corpus-$number seed=$((FUZZ_SEED + number)) reload=0
    rm -rf "$corpus"
fi
mkdir -p "$corpus"
rm -f "$directory/crash-$number-"*
"$directory/fuzz" "$corpus" tests/fuzz/corpus -max_total_time="$FUZZ_SECONDS" -runs="${FUZZ_RUNS:--1}" -seed="$seed" \
    -reload="$reload" -max_len=600 -len_control=20 -timeout=60 -rss_limit_mb=4096 -print_final_stats=1 -artifact_prefix="$directory/crash-$number-" >"$log" 2>&1
code=$?
last=$(grep -a 'cov: ' "$log" | tail -n 1)
programs=$(sed -n 's/^stat::number_of_executed_units: //p' "$log")
size=$(echo "$last" | sed -n 's|.*corp: \([0-9]*\)/.*|\1|p')
edges=$(echo "$last" | sed -n 's/.*cov: \([0-9]*\) .*/\1/p')
echo "fuzzed ${programs:-0} programs, corpus ${size:-0}, ${edges:-0} edges"
if [ $code -eq 0 ]; then
    echo '1 passed, 0 failed'
    exit
fi
# The report of fuzz.c and that of a sanitizer, without the rest.
sed -n '/^---- the program/,/^---- WRONG/p; /ERROR: Addr/,/^SUMMARY/p; /runtime error:/p; /^ALARM/p; /out-of-memory/p' "$log" | head -n 400
for file in "$directory/crash-$number-"*; do
    echo "FAIL fuzz: repeat it with sh tests/fuzz/replay.sh, or: $directory/replay -p $file"
done
echo '0 passed, 1 failed'
