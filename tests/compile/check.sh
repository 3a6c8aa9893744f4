#!/bin/sh
# What must compile, and what must not. Usage: check.sh DIRECTORY quick|strict-gcc|strict-clang|link|cxx|wrong
# `quick` needs only $CC; the others use gcc and clang, g++ and clang++, as far as they are there, or COMPILERS, and C++
# with flags of their own in FLAGS. strict-NAME: any compiler.
set -u
directory=$1 part=$2 flags=${FLAGS:-}
here=tests/compile
passed=0
failed=0
mkdir -p "$directory"
log=$directory/messages

strict='-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wimplicit-fallthrough -Wswitch-default
    -Wswitch-enum -Wcast-qual -Wstrict-prototypes -Wmissing-prototypes -Wdeclaration-after-statement -Werror'
strict=$(echo $strict)

have() { command -v "$1" >/dev/null 2>&1; }
compilers() {
    case $part in
    quick) echo "${CC:-cc}" && return ;;
    strict-*) have "${part#strict-}" && echo "${part#strict-}" && return ;;
    esac
    for compiler in ${COMPILERS:-gcc clang}; do
        if have $compiler; then echo $compiler; else echo "skipped: no $compiler" >&2; fi
    done
}
good() { passed=$((passed + 1)); }
bad() {
    failed=$((failed + 1))
    echo "FAIL $1"
    [ -f "$log" ] && head -n "${2:-25}" "$log"
}

# must compile, silently
compiles() { # command...
    if "$@" >"$log" 2>&1 && ! [ -s "$log" ]; then good; else bad "does not compile without warnings: $*"; fi
}
# must compile, link, and print "ok"
runs() { # command... (its last argument is the program)
    program=
    for program in "$@"; do :; done
    if ! "$@" >"$log" 2>&1; then
        bad "does not compile and link: $*"
    elif [ "$("$program" 2>&1 | tail -n 1)" != ok ]; then
        "$program" >"$log" 2>&1
        bad "does not run well: $*"
    else
        good
    fi
}
# must give an error or a warning
complains() { # command...
    if "$@" >"$log" 2>&1 && ! [ -s "$log" ]; then
        rm -f "$log"
        bad "neither error nor warning: $*"
    else
        good
    fi
}

# The user's file and the implementation under every standard, level and warning.
check_strict() {
    standards='c11 gnu11 c17 c2x' levels='0 1 2 3'
    [ "$part" = quick ] && standards='c11 gnu11 c17 c2x' levels='0 2'
    for compiler in $(compilers); do
        for standard in $standards; do
            echo 'int nothing;' >"$directory/probe.c"
            if ! $compiler -std=$standard -c "$directory/probe.c" -o "$directory/probe.o" 2>/dev/null; then
                echo "skipped: $compiler knows no -std=$standard"
                continue
            fi
            for level in $levels; do
                compiles $compiler -std=$standard -O$level $strict -c $here/strict.c -o "$directory/strict.o"
                # the implementation takes longer: once a standard and once a level
                if [ "$standard" = c11 ] && { [ "$part" != quick ] || [ $level = 2 ]; } || [ $level = 0 ]; then
                    compiles $compiler -std=$standard -O$level $strict -c $here/impl.c -o "$directory/impl.o"
                fi
            done
        done
        [ "$part" = quick ] && continue
        compiles $compiler -std=c11 -O1 $strict -DTASKRT_DEBUG=1 -c $here/impl.c -o "$directory/impl.o"
        compiles $compiler -std=c11 -O1 $strict -DTASKRT_POLL -c $here/impl.c -o "$directory/impl.o"
        for source in examples/*.c; do
            [ -f "$source" ] && compiles $compiler -std=c11 -O2 -fsyntax-only -Wall -Wextra "$source"
        done
    done
}

# Several files, several inclusions, other headers first.
check_link() {
    for compiler in $(compilers); do
        for standard in c11 gnu11; do
            runs $compiler -std=$standard -Wall -Wextra -Werror -pthread $here/headers_first.c -o "$directory/headers_first"
            runs $compiler -std=$standard -Wall -Wextra -Werror -pthread $here/twice.c -o "$directory/twice"
        done
        runs $compiler -std=c11 -Wall -Wextra -Werror -pthread $here/two_a.c $here/two_b.c -o "$directory/two"
        runs $compiler -std=c11 $strict -pthread $here/static_a.c $here/static_b.c -o "$directory/static"
        # files built with and without debug checks may be mixed
        for mix in '1 0' '0 1'; do
            $compiler -std=c11 -O1 -pthread -DTASKRT_DEBUG=${mix% *} -c $here/two_a.c -o "$directory/two_a.o"
            $compiler -std=c11 -O1 -pthread -DTASKRT_DEBUG=${mix#* } -c $here/two_b.c -o "$directory/two_b.o"
            runs $compiler -pthread "$directory/two_a.o" "$directory/two_b.o" -o "$directory/mixed"
        done
        # two implementations in one program must not link
        $compiler -std=c11 -pthread -c $here/twice.c -o "$directory/one.o"
        $compiler -std=c11 -pthread -DTASKRT_POLL -c $here/impl.c -o "$directory/other.o"
        complains $compiler -pthread "$directory/one.o" "$directory/other.o" -o "$directory/clash"
    done
}

# C++ files use what C files define.
check_cxx() {
    for c in ${COMPILERS:-gcc clang}; do
        compiler=$(echo "$c" | sed 's/gcc/g++/; s/clang/clang++/')
        if ! have $compiler; then
            echo "skipped: no $compiler"
            continue
        fi
        have $c || continue
        c="$c $flags" compiler="$compiler $flags"
        $c -std=c11 -O1 -pthread -c $here/two_b.c -o "$directory/two_b.o" || bad "$c: two_b.c"
        for standard in c++17 c++20; do
            compiles $compiler -std=$standard -O1 -Wall -Wextra -Werror -c $here/cxx.cpp -o "$directory/cxx.o"
            runs $compiler -std=$standard -O1 -pthread $here/cxx.cpp "$directory/two_b.o" -o "$directory/cxx"
        done
        # TASKRT_STATIC keeps everything in one C file: said so in C++
        complains $compiler -std=c++17 -DTASKRT_STATIC -c $here/cxx.cpp -o "$directory/cxx.o"
    done
}

# Mistakes that the compiler sees. Without -DWRONG the same file must be clean.
check_wrong() {
    for compiler in $(compilers); do
        for source in $here/wrong/*.c; do
            compiles $compiler -std=c11 -O1 -Wall -Wextra -c "$source" -o "$directory/right.o"
            complains $compiler -std=c11 -O1 -Wall -DWRONG -c "$source" -o "$directory/wrong.o"
        done
        complains $compiler -std=c99 -c $here/impl.c -o "$directory/c99.o"
    done
}

case $part in
quick)
    check_strict
    check_link
    check_wrong
    ;;
*) "check_${part%%-*}" ;;
esac
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
