#!/bin/sh
# The layer under taskrt.h: it costs nothing, and nothing goes past it. Usage: layer.sh DIRECTORY
set -u
directory=$1
mkdir -p "$directory"
passed=0 failed=0
check() { # name, then a command
    name=$1
    shift
    if "$@"; then
        passed=$((passed + 1))
    else
        echo "FAIL $name"
        failed=$((failed + 1))
    fi
}

printf '#define TASKRT_IMPLEMENTATION\n#include "taskrt.h"\n' >"$directory/impl.c"
compile() { # object, compiler, flags
    object=$1
    shift
    "$@" -std=c11 -O2 -I. -Itests/model -c "$directory/impl.c" -o "$object.o" &&
        objdump -dr --no-show-raw-insn "$object.o" | tail -n +4 >"$object.s"
}
same_code() { # compiler, flags
    compile "$directory/usual" "$@" && compile "$directory/plain" "$@" '-DTASKRT_MODEL="plain.h"' &&
        [ -s "$directory/usual.s" ] && cmp -s "$directory/usual.s" "$directory/plain.s"
}
if command -v objdump >/dev/null 2>&1; then
    for compiler in gcc clang; do
        command -v $compiler >/dev/null 2>&1 || continue
        check "same code with both layers: $compiler" same_code $compiler
        check "same code with both layers: $compiler, poll" same_code $compiler -DTASKRT_POLL
        check "same code with both layers: $compiler, no futex" same_code $compiler -DTASKRT_NO_FUTEX
    done
else
    echo 'skipped: no objdump'
fi

# The implementation without comments, strings, directives, declarations of the system's functions, and the layer.
awk '/^ \* >>impl-settings/ { on = 1 } / \* >>license/ { on = 0 } on' taskrt.h |
    sed -e 's/"[^"]*"//g' -e 's://.*$::' |
    awk '{ while (match($0, /\/\*[^*]*\*+([^\/*][^*]*\*+)*\//)) $0 = substr($0, 1, RSTART - 1) substr($0, RSTART + RLENGTH)
           if (inside) { if (match($0, /\*\//)) { $0 = substr($0, RSTART + 2); inside = 0 } else next }
           if (match($0, /\/\*/)) { $0 = substr($0, 1, RSTART - 1); inside = 1 }
           print }' |
    awk '/^#if defined TASKRT_MODEL$/ { layer++ } layer != 2; /^#endif/ && layer == 2 && ++ends == 3 { layer = 0 }' |
    awk '/^#/ || directive { directive = /\\$/; next } !/^extern /' >"$directory/code.c"
direct='atomic_[a-z_]*|__atomic_[a-z_]*|__sync_[a-z_]*|_Thread_local|__builtin_ia32_pause|__asm__'
calls='pthread_[a-z_]*|malloc|calloc|realloc|free|clock_gettime|nanosleep|syscall|sysconf|sched_[a-z]*|getrandom|rand'
calls="$calls|epoll_[a-z0-9_]*|eventfd|kqueue|kevent|poll|pipe|fcntl|read|write|close|fopen|open"
past_the_layer() { # file
    grep -nE "(^|[^A-Za-z0-9_])($direct)([^A-Za-z0-9_]|$)" "$1" >"$directory/past"
    grep -nE "(^|[^A-Za-z0-9_.>])($calls)\(" "$1" >>"$directory/past"
    [ ! -s "$directory/past" ] || { cat "$directory/past"; return 1; }
}
would_be_seen() { # each in a copy
    [ "$(wc -l <"$directory/code.c")" -gt 4000 ] || return 1
    for line in 'p = malloc(8);' 'x = atomic_load(&y);' 'pthread_join(t, NULL);' 'if (!poll(&p, 1, 0))'; do
        { cat "$directory/code.c"; echo "$line"; } >"$directory/wrong.c"
        if past_the_layer "$directory/wrong.c" >/dev/null; then return 1; fi
    done
}
check 'nothing goes past the layer' past_the_layer "$directory/code.c"
check 'what did would be seen' would_be_seen

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
