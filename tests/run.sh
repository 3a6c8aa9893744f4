#!/bin/sh
# Runs one target of the Makefile: makes a list of steps, runs them side by side, adds up what they say.
# A step is one line `NAME|COMMAND`; its output goes to build/TARGET/NAME.log, and its last line is `N passed, N failed`.
set -u
target=$1
cd "$(dirname "$0")/.." || exit 2

CC=${CC:-cc}
CFLAGS=${CFLAGS:--O1 -g}
SAN=${SAN:-}
JOBS=${JOBS:-$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)}
export CC CFLAGS SAN JOBS

out=build/$target
steps=$out/steps
mkdir -p "$out"
rm -f "$out"/*.log
: >"$steps"

warnings='-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wimplicit-fallthrough -Wswitch-default
    -Wswitch-enum -Wcast-qual -Wstrict-prototypes -Wmissing-prototypes'
warnings=$(echo $warnings)

step() { # name, command
    printf '%s|%s\n' "$1" "$2" >>"$steps"
}
have() { command -v "$1" >/dev/null 2>&1; }

# The longest first, so that both processors end at about the same time.
all_tests() {
    for section in races runtime memory tasks; do echo "tests/test_$section.c"; done
    for source in tests/test_*.c; do
        case $source in
        */test_races.c | */test_runtime.c | */test_memory.c | */test_tasks.c) ;;
        *) echo "$source" ;;
        esac
    done
}

# Every test program, built by the given compiler with the given flags.
unit() { # variant, wrapper, compiler and flags
    variant=$1 wrapper=$2
    shift 2
    for source in ${sections:-$(all_tests)}; do
        name=$(basename "$source" .c)
        step "$variant-$name" "WRAPPER='$wrapper' sh tests/unit.sh '$out/$variant' $name $* -std=c11 $warnings -pthread"
    done
}

# Does what this compiler makes with these flags run here?
works() { # compiler and flags
    echo 'int main(void) { return 0; }' >"$out/probe.c"
    "$@" "$out/probe.c" -o "$out/probe" 2>/dev/null && "$out/probe" 2>/dev/null && return
    echo "skipped: $* does not work here"
    return 1
}
address='-fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer'
thread=-fsanitize=thread

case $target in
test)
    unit plain '' $CC $CFLAGS $SAN
    # Debug builds check more: what looks at that is tested again without optimisation.
    sections='tests/test_coroutines.c tests/test_misuse.c tests/test_tasks.c tests/test_inspect.c' \
        unit debug '' $CC -g $SAN
    for source in examples/*.c; do
        [ -f "$source" ] && step "example-$(basename "$source" .c)" "sh tests/example.sh '$out/examples' $source"
    done
    step snippets "sh tests/snippets.sh '$out/snippets'"
    step compile "sh tests/compile/check.sh '$out/compile' quick"
    step fuzz-replay "sh tests/fuzz/replay.sh '$out/fuzz' $CC $CFLAGS $SAN -std=c11 $warnings -pthread"
    ;;
check-compile)
    for part in strict-gcc strict-clang link cxx wrong; do
        step "compile-$part" "sh tests/compile/check.sh '$out/$part' $part"
    done
    ;;
check-poll)
    unit poll '' $CC $CFLAGS $SAN -DTASKRT_POLL
    ;;
check-san)
    TASKRT_TEST_SLOW=${TASKRT_TEST_SLOW:-10} TASKRT_TEST_ROUNDS=${TASKRT_TEST_ROUNDS:-0.03}
    export TASKRT_TEST_SLOW TASKRT_TEST_ROUNDS
    ASAN_OPTIONS=${ASAN_OPTIONS:-detect_stack_use_after_return=0} UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1}
    TSAN_OPTIONS=${TSAN_OPTIONS:-halt_on_error=1}
    export ASAN_OPTIONS UBSAN_OPTIONS TSAN_OPTIONS
    for compiler in gcc clang; do
        if ! have $compiler; then
            echo "skipped: no $compiler"
            continue
        fi
        for optimise in -O0 -O2; do
            for sanitize in '' "$address" '-fsanitize=thread'; do
                case $sanitize in
                '') kind=plain ;;
                *address*) kind=asan ;;
                *) kind=tsan ;;
                esac
                echo 'int main(void) { return 0; }' >"$out/probe.c"
                if ! $compiler $sanitize "$out/probe.c" -o "$out/probe" 2>/dev/null || ! "$out/probe" 2>/dev/null; then
                    echo "skipped: $compiler $sanitize does not work here"
                    continue
                fi
                # without a sanitizer, warnings are errors
                [ $kind = plain ] && sanitize=-Werror
                unit "$compiler$optimise-$kind" '' $compiler $optimise -g $sanitize
            done
        done
    done
    # clang checks the types of called C functions from version 17 on.
    printf 'static void f(int *p) { (void)p; }\nint main(void) { ((void (*)(void *))f)(0); return 0; }\n' >"$out/probe.c"
    if have clang && clang -fsanitize=function -fno-sanitize-recover=all "$out/probe.c" -o "$out/probe" 2>/dev/null &&
        ! "$out/probe" 2>/dev/null; then
        unit clang-O2-function '' clang -O2 -g -fsanitize=function -fno-sanitize-recover=all
    else
        echo 'skipped: no clang that checks -fsanitize=function in C'
    fi
    ;;
check-faults)
    TASKRT_TEST_SLOW=${TASKRT_TEST_SLOW:-10}
    ASAN_OPTIONS=${ASAN_OPTIONS:-detect_stack_use_after_return=0} TSAN_OPTIONS=${TSAN_OPTIONS:-halt_on_error=1}
    export TASKRT_TEST_SLOW ASAN_OPTIONS TSAN_OPTIONS
    sections='tests/faults.c tests/test_faults.c tests/test_memory.c'
    unit plain '' $CC $CFLAGS $SAN
    unit poll '' $CC $CFLAGS $SAN -DTASKRT_POLL
    unit no-futex '' $CC $CFLAGS $SAN -DTASKRT_NO_FUTEX
    # shellcheck disable=SC2086
    works $CC $address && unit asan '' $CC -O1 -g $address
    works $CC $thread && unit tsan '' $CC -O1 -g $thread
    ;;
check-soak)
    SOAK_SECONDS=${SOAK_SECONDS:-3600} TSAN_OPTIONS=${TSAN_OPTIONS:-halt_on_error=1}
    export SOAK_SECONDS TSAN_OPTIONS
    sections=tests/soak.c
    unit plain '' $CC $CFLAGS $SAN
    works $CC $thread && unit tsan 'env TASKRT_TEST_SLOW=10' $CC -O1 -g $thread
    ;;
check-fuzz)
    FUZZ_SECONDS=${FUZZ_SECONDS:-3600}
    ASAN_OPTIONS=${ASAN_OPTIONS:-detect_stack_use_after_return=0} UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1}
    export FUZZ_SECONDS ASAN_OPTIONS UBSAN_OPTIONS
    step replay "sh tests/fuzz/replay.sh '$out' $CC $CFLAGS $SAN -std=c11 $warnings -pthread"
    step seeded "sh tests/fuzz/seeded.sh '$out/seeded'"
    echo 'int LLVMFuzzerTestOneInput(const char *p, long n); int LLVMFuzzerTestOneInput(const char *p, long n) { return !p && n; }' >"$out/probe.c"
    if have clang && clang -fsanitize=fuzzer "$out/probe.c" -o "$out/probe" 2>/dev/null; then
        sh tests/fuzz/build.sh "$out/fuzz" clang -O1 -g -fsanitize=fuzzer $address -std=c11 $warnings -pthread
        for number in $(seq "$JOBS"); do
            step "fuzz-$number" "sh tests/fuzz/fuzz.sh '$out' $number"
        done
    else
        echo 'skipped: no clang with libFuzzer'
    fi
    ;;
check-valgrind)
    TASKRT_TEST_SLOW=${TASKRT_TEST_SLOW:-30} TASKRT_TEST_ROUNDS=${TASKRT_TEST_ROUNDS:-0.003}
    export TASKRT_TEST_SLOW TASKRT_TEST_ROUNDS
    if have valgrind; then
        unit valgrind 'valgrind -q --error-exitcode=99 --leak-check=full --show-leak-kinds=all --errors-for-leak-kinds=definite,indirect,possible --fair-sched=try' \
            $CC -O1 -g $SAN
    else
        echo 'skipped: no valgrind'
    fi
    ;;
check-model)
    SCHEDULES=${SCHEDULES:-20000} SEED=${SEED:-1}
    [ "$SEED" = fresh ] && SEED=$(date +%s)
    if [ "$(uname -s) $(uname -m)" = 'Linux x86_64' ] && have gcc; then
        echo "$SCHEDULES schedules of each scenario, seed $SEED"
        step seeded "sh tests/model/seeded.sh '$out/seeded'"
        for program in primitives runtime latch; do
            sh tests/model/build.sh "$out" tests/model/$program.c >"$out/$program.build" 2>&1 &
        done
        wait
        # The other ways to sleep: condition variables, poll().
        for way in NO_FUTEX POLL; do
            build="sh tests/model/build.sh '$out' tests/model/runtime.c runtime-$way -DTASKRT_$way"
            step "runtime-$way" "$build && '$out/runtime-$way' -n $((SCHEDULES / 10)) -s $SEED"
        done
        for program in primitives runtime latch; do
            if [ ! -x "$out/$program" ]; then
                step "$program" "cat '$out/$program.build'"
                continue
            fi
            for name in $("$out/$program" -l); do
                step "$program-$name" "'$out/$program' -n $SCHEDULES -s $SEED $name"
            done
        done
    else
        echo 'skipped: the model needs gcc on Linux, x86-64'
    fi
    step layer "sh tests/model/layer.sh '$out/layer'"
    ;;
*)
    echo "run.sh: no target $target" >&2
    exit 2
    ;;
esac

# One line of the list a time to a shell, JOBS of them at once.
TEST_OUT=$out
export TEST_OUT
tr '\n' '\0' <"$steps" | xargs -0 -P "$JOBS" -n 1 sh -c '
    name=${1%%|*}
    log=$TEST_OUT/$name.log
    sh -c "${1#*|}" >"$log" 2>&1 </dev/null
    last=$(tail -n 1 "$log")
    case $last in
    *" passed, "*" failed") ;;
    *) echo "FAIL $name: it ended without a summary" >>"$log"
       last="0 passed, 1 failed"
       echo "$last" >>"$log" ;;
    esac
    case $last in
    *" 0 failed") ;;
    *) echo "---- $name: $last"
       grep -v " passed, .* failed$" "$log" ;;
    esac
' step

# The sum of all last lines. A step that left no log has failed.
passed=0
failed=0
for name in $(cut -d '|' -f 1 "$steps"); do
    last=$(tail -n 1 "$out/$name.log" 2>/dev/null)
    case $last in
    *' passed, '*' failed')
        p=${last%% *}
        f=${last#*, }
        passed=$((passed + p))
        failed=$((failed + ${f%% *}))
        sed -n "s/^\(swept\|soaked\|fuzzed\) /$name: &/p" "$out/$name.log"
        ;;
    *)
        echo "FAIL $name: no log"
        failed=$((failed + 1))
        ;;
    esac
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
