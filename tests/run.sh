#!/bin/sh
# Runs one target of the Makefile: makes a list of steps, runs them side by side, adds up what they say.
# A step is one line `NAME|COMMAND`; its output goes to build/TARGET/NAME.log, and its last line is `N passed, N failed`.
set -u
target=$1
cd "$(dirname "$0")/.." || exit 2

CC=${CC:-cc}
CFLAGS=${CFLAGS:--O1 -g}
SAN=${SAN:-}
SEEDED=${SEEDED:-yes} # are bugs put in, to see that they are found?
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
        step "$variant-$name" \
            "WRAPPER='$wrapper' sh tests/unit.sh '$out/$variant' $name $* -std=${standard:-c11} $warnings -pthread"
    done
}

# Does what this compiler makes with these flags run here?
works() { # compiler and flags
    echo 'int main(void) { return 0; }' >"$out/probe.c"
    "$@" "$out/probe.c" -o "$out/probe" 2>/dev/null && "$out/probe" 2>/dev/null && return
    echo "skipped: $* does not work here"
    return 1
}
# The first of these commands that is there.
first_of() {
    for candidate in "$@"; do
        have "$candidate" && echo "$candidate" && return
    done
    return 1
}
address='-fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer'
thread=-fsanitize=thread

# check-cross: each name in CROSS is a machine, a C library, a language or a compiler. SECTIONS="tasks time" leaves out
# the other test programs. For an emulator all is linked statically: so it needs nothing else of that system.
all_platforms='aarch64 riscv64 s390x armhf armhf-time64 i386 i386-time64 musl c17 c2x optimised
    gcc-11 gcc-12 clang-13 clang-14 clang-15 clang-16 clang-19'
platforms=
time64='-D_TIME_BITS=64 -D_FILE_OFFSET_BITS=64'
emulator=
ran() { platforms="$platforms${platforms:+, }$platform ($1${emulator:+, $emulator})"; }
version() { "$1" --version | sed -n '1s/.*[ )]\([0-9]*\.[0-9.]*\).*/\1/p'; }

on_machine() { # compiler and flags: the program runs under $emulator
    echo 'int main(void) { return 0; }' >"$out/probe.c"
    if ! "$@" -static "$out/probe.c" -o "$out/probe" 2>/dev/null || ! $emulator "$out/probe" 2>/dev/null; then
        echo "skipped: $platform: ${emulator:+$emulator and }$* do not work here"
        return 1
    fi
    unit "$platform" "$emulator" "$@" -O1 -g -static -Werror
    step "$platform-atomics" "sh tests/atomics.sh '$out/$platform-atomics' $*"
    ran "${1##*/} $(version "$1")"
}
foreign() { # architecture of the emulator, name of the target, flags
    emulator=qemu-$1
    compiler=$(first_of "$2-gcc" "$2-gcc-12" "$2-gcc-13" "$2-gcc-14")
    if [ -z "$compiler" ] || ! have "$emulator"; then
        echo "skipped: $platform: no $2-gcc or no $emulator"
        return
    fi
    shift 2
    on_machine "$compiler" "$@"
}
native() { # compiler and flags
    if ! have "$1"; then
        echo "skipped: $platform: no $1"
        return 1
    fi
    works "$@" || return
    unit "$platform" '' "$@" -Werror $no_warning
    ran "$(version "$1")"
}
compile() { # compiler, parts of tests/compile/check.sh
    compiler=$1
    shift
    for part in "$@"; do
        log=$platform-compile-${part%%-*}
        step "$log" "COMPILERS=$compiler FLAGS='$FLAGS' sh tests/compile/check.sh '$out/$log' $part"
    done
}
cross() {
    TASKRT_TEST_SLOW=${TASKRT_TEST_SLOW:-10} TASKRT_TEST_ROUNDS=${TASKRT_TEST_ROUNDS:-0.03}
    export TASKRT_TEST_SLOW TASKRT_TEST_ROUNDS
    [ -n "${SECTIONS:-}" ] && sections=$(for name in $SECTIONS; do echo "tests/test_$name.c"; done)
    # where Debian keeps the kernel's headers for both sizes
    i386="-m32 -idirafter /usr/include/$(uname -m)-linux-gnu"
    for platform in ${CROSS:-$all_platforms}; do
        emulator='' standard=c11 FLAGS='' no_warning=''
        case $platform in
        aarch64) foreign aarch64 aarch64-linux-gnu ;;
        riscv64) foreign riscv64 riscv64-linux-gnu ;;
        s390x) foreign s390x s390x-linux-gnu ;;
        armhf) foreign arm arm-linux-gnueabihf ;;
        armhf-time64) foreign arm arm-linux-gnueabihf $time64 ;;
        i386) on_machine gcc $i386 && works g++ $i386 && FLAGS=$i386 && compile gcc cxx ;;
        i386-time64) on_machine gcc $i386 $time64 ;;
        musl) if have musl-gcc; then on_machine musl-gcc; else echo 'skipped: musl: no musl-gcc'; fi ;;
        c17 | c2x) standard=$platform && native $CC -O1 -g ;;
        # gcc forgets at link time where the header says that padding may be copied
        optimised) no_warning=-Wno-maybe-uninitialized && native $CC -O3 -flto ;;
        gcc-* | clang-*)
            native "$platform" -O2 && compile "$platform" "strict-$platform" link cxx wrong
            ;;
        *) echo "run.sh: CROSS knows no $platform" >&2 && exit 2 ;;
        esac
    done
}

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
                case " ${BUILDS:-$compiler$optimise-$kind} " in *" $compiler$optimise-$kind "*) ;; *) continue ;; esac
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
    [ "$SEEDED" = no ] || step seeded "sh tests/fuzz/seeded.sh '$out/seeded'"
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
check-user)
    memcheck='valgrind -q --leak-check=full --show-leak-kinds=all --error-exitcode=99'
    for compiler in gcc clang; do
        if ! have $compiler; then
            echo "skipped: no $compiler"
            continue
        fi
        for optimise in -O2 '-O0 -g'; do
            name=$compiler${optimise% *}
            user() { step "$name-$1" "sh tests/user.sh '$out/$name-$1' run '$2' $compiler $optimise $3"; }
            user plain '' ''
            works $compiler $address && user asan '' '-fsanitize=address,undefined'
            works $compiler $thread && user tsan '' $thread
            # valgrind 3.19 cannot read what clang writes for -g
            have valgrind && user valgrind "$memcheck" "$(echo "$name" | sed -n 's/^clang-O0$/-gdwarf-4/p')"
            step "$name-symbols" "sh tests/user.sh '$out/$name-symbols' symbols $compiler $optimise"
        done
    done
    # Each of these checks would fail.
    seeded() { step "seeded-$1" "sh tests/user.sh '$out/seeded-$1' seeded $1 '$2' $CC -g $3"; }
    for seed in THREAD FD HANDLER OUTPUT CONSTRUCTOR CALL PRINT NAME; do seeded $seed '' ''; done
    works $CC $address && for seed in LEAK OVERRUN OVERFLOW; do seeded $seed '' '-fsanitize=address,undefined'; done
    works $CC $thread && seeded RACE '' $thread
    if have valgrind; then seeded REACHABLE "$memcheck" ''; else echo 'skipped: no valgrind'; fi
    ;;
check-cross)
    cross
    ;;
check-model)
    SCHEDULES=${SCHEDULES:-20000} SEED=${SEED:-1}
    [ "$SEED" = fresh ] && SEED=$(date +%s)
    if [ "$(uname -s) $(uname -m)" = 'Linux x86_64' ] && have gcc; then
        echo "$SCHEDULES schedules of each scenario, seed $SEED"
        [ "$SEEDED" = no ] || step seeded "sh tests/model/seeded.sh '$out/seeded'"
        for program in primitives runtime latch channel; do
            sh tests/model/build.sh "$out" tests/model/$program.c >"$out/$program.build" 2>&1 &
        done
        wait
        # An abort, and a shutdown, at every step of everything that can be awaited.
        for program in abort shutdown; do
            step "$program" "sh tests/model/build.sh '$out' tests/model/$program.c && '$out/$program' -n $((SCHEDULES / 4)) -s $SEED"
        done
        # The state matrix, so many schedules of each combination.
        step matrix "sh tests/model/build.sh '$out' tests/model/matrix.c && '$out/matrix' -n $((SCHEDULES / 20)) -s $SEED"
        # The other ways to sleep: condition variables, poll().
        for way in NO_FUTEX POLL; do
            build="sh tests/model/build.sh '$out' tests/model/runtime.c runtime-$way -DTASKRT_$way"
            step "runtime-$way" "$build && '$out/runtime-$way' -n $((SCHEDULES / 10)) -s $SEED"
        done
        for program in primitives runtime latch channel; do
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
[ -z "${platforms:-}" ] || echo "platforms: $platforms"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
