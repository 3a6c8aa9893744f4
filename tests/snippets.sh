#!/bin/sh
# Compiles every ```c block of README.md and of the manual in taskrt.h. One that includes taskrt.h is a file of its own, any other gets the includes put
# before it. (A block that is not meant to compile is opened with something else than exactly ```c.)
# Usage: snippets.sh DIRECTORY
set -u
directory=$1
passed=0
failed=0
rm -rf "$directory"
mkdir -p "$directory"

for text in README.md taskrt.h; do
    [ -f $text ] && awk -v directory="$directory" -v text=$text '
        /^```c$/ {
            file = directory "/snippet-" text "-" ++n ".c"
            print "#line " NR + 1 " \"" text "\"" >file
            inside = 1
            next
        }
        /^```/ && inside { inside = 0; close(file) }
        inside { print >file }
    ' $text
done

for snippet in "$directory"/snippet*.c; do
    [ -f "$snippet" ] || continue
    if ! grep -q 'include.*taskrt\.h' "$snippet"; then
        {
            printf '#define TASKRT_IMPLEMENTATION\n#include "taskrt.h"\n'
            printf '#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n'
            cat "$snippet"
        } >"$snippet.tmp"
        mv "$snippet.tmp" "$snippet"
    fi
    if ${CC:-cc} -std=c11 -O1 -Wall -Wextra -Wno-unused -I. -pthread -c "$snippet" -o "$snippet.o" 2>"$snippet.log" && ! [ -s "$snippet.log" ]; then
        passed=$((passed + 1))
    else
        echo "FAIL $(basename "$snippet") does not compile without warnings"
        cat "$snippet.log"
        failed=$((failed + 1))
    fi
done
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
