#!/bin/sh
# Builds one example by the cc line in its own comment, runs it and compares. Usage: example.sh DIRECTORY EXAMPLE.c
set -u
directory=$1 source=$2
name=$(basename "$source" .c)
program=$directory/$name
passed=0
failed=0
mkdir -p "$directory"

fail() {
    echo "FAIL $source: $*"
    failed=$((failed + 1))
}
finish() {
    echo "$passed passed, $failed failed"
    [ $failed -eq 0 ]
    exit
}

line=$(sed -n 's/^ \* *\(cc .* -o [a-z0-9_]*\)$/\1/p' "$source" | tail -n 1)
if [ -z "$line" ]; then
    fail 'no line "cc ... -o NAME" in its comment'
    finish
fi
build=$(printf '%s\n' "$line" | sed "s|^cc |${CC:-cc} ${SAN:-} |; s|-o [a-z0-9_]*\$|-o $program|")
if ! $build 2>"$program.warnings"; then
    fail "does not compile: $build"
    cat "$program.warnings"
    finish
fi
if [ -s "$program.warnings" ]; then
    fail "compiles with warnings: $build"
    cat "$program.warnings"
else
    passed=$((passed + 1))
fi

# treesum against cksum, on what is there: this repository and the system's headers.
if [ "$name" = treesum ]; then
    here=$(ls -A | grep -v -x -e build -e .git)
    for paths in "$here" /usr/include; do
        # shellcheck disable=SC2086
        if [ "$paths" = /usr/include ] && ! [ -d /usr/include ]; then
            echo 'skipped: no /usr/include'
            continue
        fi
        find $paths -type f | LC_ALL=C sort | tr '\n' '\0' | xargs -0 cksum >"$program.want"
        "$program" $paths >"$program.got"
        status=$?
        if [ $status -ne 0 ]; then
            fail "exit status $status for $paths"
        elif ! cmp "$program.want" "$program.got"; then
            fail "does not print what cksum prints for $paths"
            diff "$program.want" "$program.got" | head -n 20
        else
            passed=$((passed + 1))
        fi
    done
    if "$program" "$directory/is-not-there" >"$program.got" 2>"$program.stderr"; then
        fail 'exit status 0 for a path that is not there'
    elif ! [ -s "$program.stderr" ]; then
        fail 'no message for a path that is not there'
    else
        passed=$((passed + 1))
    fi
    finish
fi

limit=
command -v timeout >/dev/null 2>&1 && limit='timeout 60'
$limit "$program" >"$program.got" 2>"$program.stderr"
status=$?
if [ $status -ne 0 ]; then
    fail "exit status $status"
    cat "$program.stderr"
elif ! cmp "examples/$name.out" "$program.got"; then
    fail "prints something else than examples/$name.out"
    diff "examples/$name.out" "$program.got"
else
    passed=$((passed + 1))
fi
finish
