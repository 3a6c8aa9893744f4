#!/bin/sh
# The tools that a user runs on his program find nothing in it that comes from taskrt.h. Usage:
#   user.sh DIRECTORY run WRAPPER COMPILER FLAGS...    tests/user, built as a user builds it, several times
#   user.sh DIRECTORY symbols COMPILER FLAGS...        what the implementation brings into a program
#   user.sh DIRECTORY seeded SEED WRAPPER COMPILER...  fails unless the others see this fault of tests/user/seeds.c
# Whatever is written beside "ok" is a failure; every tool has its default options.
set -u
directory=$1 part=$2
shift 2
passed=0
failed=0
mkdir -p "$directory"
unset ASAN_OPTIONS LSAN_OPTIONS UBSAN_OPTIONS TSAN_OPTIONS VALGRIND_OPTS
limit=
command -v timeout >/dev/null 2>&1 && limit='timeout 300'
build='-std=c11 -pthread'

good() { passed=$((passed + 1)); }
bad() { # what, a log
    failed=$((failed + 1))
    echo "FAIL $1"
    head -n 60 "$2"
}
silent() { "$@" >"$directory/log" 2>&1 && ! [ -s "$directory/log" ]; }
# Prints "ok" and nothing else, and so does no tool.
clean() { # runs, program and arguments
    runs=$1
    shift
    while [ "$runs" -gt 0 ]; do
        $limit $wrapper "$@" >"$directory/out" 2>"$directory/log" || return 1
        [ "$(cat "$directory/out")" = ok ] && ! [ -s "$directory/log" ] || return 1
        runs=$((runs - 1))
    done
}
no_symbols() { # object file: looks for what no library should bring along
    if ! nm "$1" >"$directory/symbols" || ! grep -q ' T trt_runtime_free$' "$directory/symbols"; then
        echo 'nm does not work'
        return
    fi
    objdump -h "$1" | grep -E '\.(preinit_array|init_array|fini_array|ctors|dtors|init|fini)'
    calls='sigaction|signal|sigprocmask|pthread_sigmask|sigaltstack|exit|_exit|_Exit|quick_exit|atexit|on_exit'
    calls="$calls|__cxa_[a-z_]*|pthread_atfork|pthread_key_create|fork|stdout|printf|__printf_chk|puts|putchar"
    calls="$calls|setlocale|setenv|__atomic_[a-z0-9_]*"
    grep -E " U ($calls)(@.*)?\$" "$directory/symbols"
    # Every other name is private to the file, or taskrt's own.
    grep -E ' [A-TV-Z] ' "$directory/symbols" | grep -v ' trt_'
}

case $part in
run)
    wrapper=$1
    shift
    runs=5
    [ -z "$wrapper" ] || runs=2
    if ! silent "$@" $build tests/user/main.c tests/user/shop.c -o "$directory/shop"; then
        bad "does not compile silently: $* main.c shop.c" "$directory/log"
    elif ! clean $runs "$directory/shop"; then
        bad "$wrapper shop: exit status, or says more than ok ($*)" "$directory/log"
    else
        good
    fi
    if ! silent "$@" $build -fPIC -shared tests/user/plugin.c -o "$directory/plugin.so" ||
        ! silent "$@" $build tests/user/host.c -o "$directory/host" -ldl; then
        bad "does not compile silently: $* plugin.c, host.c" "$directory/log"
    elif ! clean $runs "$directory/host" "$directory/plugin.so"; then
        bad "$wrapper host plugin.so: exit status, or says more than ok ($*)" "$directory/log"
    else
        good
    fi
    ;;
symbols)
    for flags in '' '-DTASKRT_POLL -DTASKRT_NO_FUTEX'; do
        "$@" $flags -std=c11 -c tests/compile/impl.c -o "$directory/impl.o" || exit
        no_symbols "$directory/impl.o" >"$directory/log"
        if ! [ -s "$directory/log" ]; then
            good
        else
            bad "the implementation brings what no library should ($* $flags)" "$directory/log"
        fi
    done
    ;;
seeded)
    seed=$1 wrapper=$2
    shift 2
    case $seed in
    CONSTRUCTOR | CALL | PRINT | NAME)
        "$@" -std=c11 -DSEED_$seed -c tests/user/seeds.c -o "$directory/impl.o" || exit
        no_symbols "$directory/impl.o" >"$directory/log"
        if [ -s "$directory/log" ]; then good; else bad "$seed is not seen" "$directory/log"; fi
        ;;
    *)
        sources='tests/user/main.c tests/user/shop.c tests/user/seeds.c'
        "$@" $build -DSEED_$seed -DSEEDED $sources -o "$directory/shop" || exit
        if clean 1 "$directory/shop"; then bad "$seed is not seen by $wrapper $*" "$directory/log"; else good; fi
        ;;
    esac
    ;;
esac
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
