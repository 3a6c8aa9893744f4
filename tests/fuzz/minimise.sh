#!/bin/sh
# After a long make check-fuzz: what covers most with the fewest files becomes tests/fuzz/corpus; the regressions, named by
# what they found, stay. Usage: minimise.sh DIRECTORY (build/check-fuzz)
set -eu
directory=$1 least=$1/least
rm -rf "$least"
mkdir -p "$least"
"$directory/fuzz" -set_cover_merge=1 "$least" tests/fuzz/corpus "$directory/corpus" >"$directory/merge.txt" 2>&1
for file in tests/fuzz/corpus/*; do
    case $(basename "$file") in
    *-*) ;; # a regression
    *) rm "$file" ;;
    esac
done
for file in "$least"/*; do
    cp "$file" "tests/fuzz/corpus/$(basename "$file" | cut -c 1-12)"
done
ls tests/fuzz/corpus | wc -l
cat tests/fuzz/corpus/* | wc -c
