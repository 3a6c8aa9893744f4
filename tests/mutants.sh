#!/bin/sh
# Which tests would notice if taskrt.h were wrong? Breaks it in one place at a time, and reports what goes red:
#   order     a memory order, one step weaker; if that survives, the next step
#   fence     no fence
#   wake      no wake: a call that wakes, schedules or queues is left out, or the step of a counter that others wait on
#   recheck   no second look after sleep was announced or a waiter registered: the list below
#
# The rungs, until one goes red: the compiler; every scenario of tests/model that reaches the line, with more schedules
# from round to round (a last round of 2,000 or more: depth first, what is made for it); for a wake or a re-check the
# unit tests. First comes what has killed the same before, then those that have killed most a second, and reach most of
# the lines around it and little else. The many that abort or shut down each thing in turn take turns with the rest.
#
#     make check-mutants                       all of them: hours
#     make check-mutants MUTANTS=trt_drive_    those whose key or kind has this regular expression
#     make check-mutants MUTANTS=3200-3300     those on these lines
#     make check-mutants SCHEDULES='40 300' MOST='200 10' UNITS=no
#                                              a quick look: 40 schedules of 200 scenarios, 300 of ten
#
# Results are kept in build/check-mutants/results, so a stopped run goes on where it was. What was killed stays so until
# its function changes; a survivor is tried again when taskrt.h, the model or SCHEDULES has changed.
#
# A line of the report is
#     killed line 1234 trt_push_:TRT_STORE__release:1 release->relaxed by primitives-ring
#     equivalent ...   the machine code is the same, or the line is not compiled on this system
#     explained ...    it survives, and taskrt.h says why: a comment on the line, or in front of the statement, that says
#                      `order: ` and the reason. What is explained is tried all the same.
#     SURVIVED ...     it survives: a test is missing, or an explanation, or the code can go
set -u
cd "$(dirname "$0")/.." || exit 2
root=$PWD out=build/check-mutants
SCHEDULES=${SCHEDULES:-200 2000 20000} MOST=${MOST:-1000} UNITS=${UNITS:-yes} MUTANTS=${MUTANTS:-}
JOBS=${JOBS:-$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)}
export SCHEDULES MOST UNITS MUTANTS JOBS
tab=$(printf '\t')

# All without a result: what is left of the statement has to compile.
wakes='trt_os_wake_|trt_notify_|trt_notify_slow_|trt_unpark_|trt_wake_|trt_wakes_add_|trt_wake_thread_|trt_wake_chain_'
wakes="$wakes|trt_schedule_|trt_schedule_last_|trt_push_|trt_push_lifo_|trt_inject_|trt_pool_wake_|trt_pool_start_"
wakes="$wakes|trt_poller_interrupt_|trt_watch_wake_|trt_permits_grant_|trt_driver_again_|trt_timer_added_"
wakes="$wakes|trt_poller_take_|trt_complete_all_|trt_visitor_leaves_|trt_found_|trt_check_ended_|trt_check_closing_|trt_rescue_"

# FUNCTION@TEXT@WHAT IT BECOMES, the first place in the function, or with FUNCTION#2 the second.
rechecks='
trt_worker_sleep_@!trt_any_work_(w)@true
trt_any_work_@TRT_LOAD_(&rt->signals, seq_cst) & (TRT_SIGNAL_STOP_ | TRT_SIGNAL_PAUSE_)@false
trt_any_work_@rt->current_thread && trt_stopped_(w, w->driven_for)@false
trt_any_entry_@TRT_LOAD_(&rt->inject_len, seq_cst)@false
trt_any_entry_@!trt_ring_empty_(rt->workers[i])@false
trt_any_queued_@trt_any_entry_(rt)@false
trt_any_queued_@!trt_deque_empty_(rt->workers[i])@false
trt_worker_sleep_@closing = trt_closing_unseen_(w)@closing = false
trt_driver_sleep_@trt_next_timer_(rt) < until@false
trt_driver_sleep_@TRT_LOAD_(&w->wake, acquire) == TRT_ASLEEP_@true
trt_notify_slow_@while (trt_any_idle_(rt))@while (false)
trt_turn_@!trt_ring_empty_(w)@false
trt_turn_@TRT_LOAD_(&w->lifo, relaxed)@false
trt_alone_@own != TRT_LOAD_(&rt->own_threads, acquire)@false
trt_virtual_quiet_@if (trt_any_work_(w)) return false;@
trt_virtual_quiet_@!jobs && !trt_any_work_(w)@!jobs
trt_virtual_idle_@if (trt_any_work_(w)) return true;@
trt_virtual_idle_#2@if (!trt_virtual_quiet_(w)) return false;@
trt_thread_block_@trt_join_unlink_(c, &t->waiter)@(trt_join_unlink_(c, &t->waiter), true)
trt_watch_main_@if (!trt_all_asleep_(rt)) trt_watch_wake_(rt);@
trt_park_strand_@TRT_LOAD_(&trt_rt_of_(c)->closing, relaxed)@false
trt_park_at_once_@TRT_LOAD_(&trt_rt_of_(c)->closing, relaxed)@false
trt_join_register_@TRT_LOAD_(&trt_rt_of_(c)->given_up, seq_cst)@false
trt_join_aside_@trt_aside_complete_(rt, w, &wakes);@
trt_count_spawn_@if (!TRT_LOAD_(&rt->closing, seq_cst)) return true;@return true;
trt_drive_@if (t && TRT_LOAD_(&t->woken, relaxed)) return true;@
trt_drive_@if (TRT_LOAD_(&rt->signals, acquire) & TRT_SIGNAL_STOP_) return false;@
trt_drive_@if (TRT_LOAD_(&rt->deadlocked, relaxed)) return false;@
trt_drive_@if (!t && trt_all_ended_(rt)) return true;@
trt_pool_sleep_@if (pool->closed) return false;@
trt_pool_sleep_@if (TRT_LOAD_(&t->wake, acquire)) {@if (false) {
trt_pool_leave_@trt_pool_call_(pool, true)@(trt_summons_){NULL, false}
trt_poller_arm_@TRT_LOAD_(&rt->polling, relaxed)@false
trt_pause_point_#2@TRT_LOAD_(&rt->signals, seq_cst) & TRT_SIGNAL_PAUSE_@false
trt_latch_slow_@trt_os_fence_all_()@true
trt_calm_stop_@trt_os_fence_all_()@true
trt_calm_begin_@TRT_LOAD_(&rt->sleeping, relaxed) ? TRT_RESTLESS_ : TRT_CALM_@TRT_CALM_
trt_worker_sleep_@all_seen ? trt_fds_nap_(w) : TRT_FD_NAP_NS_@trt_fds_nap_(w)
trt_worker_sleep_@TRT_LOAD_(&rt->aside_some, relaxed)@false
trt_unlatch_most_#2@TRT_LOAD_(&trt_sleepers_, relaxed)@false
trt_pause_point_@TRT_LOAD_(&w->stopped, relaxed)@false
trt_notified_settle_@missed || permit@false
trt_notified_poll_@TRT_LOAD_(&n->rounds_, relaxed) != a->arg@false
trt_recv_poll_@!trt_channel_dry_(c)@false
trt_once_poll_@TRT_LOAD_(&o->state_, relaxed)@TRT_ONCE_BUSY_
trt_runtime_shutdown@trt_live_(rt) == 0@false
'

world() { # what a survivor has survived: comments count for nothing
    { gcc -fpreprocessed -dD -E -P taskrt.h 2>/dev/null; cat tests/model/*.c tests/model/*.h tests/test_*.c; } | cksum | tr -d ' '
    echo "$SCHEDULES/$MOST/$UNITS" | tr ' ' ','
}

# ----------------------------------------------------------------------------------------------------------------------
# One place: a line of the list. Started by xargs.

build() { # header, program, object, binary
    gcc -std=c11 ${MODEL_OPTIMISE:--O1} -fno-omit-frame-pointer -no-pie -pthread -w -Itests/model -I"$(dirname "$1")" -fsanitize=thread \
        -DTASKRT_DEBUG=1 '-DTASKRT_MODEL="model.h"' '-DTASKRT_H_PATH="taskrt.h"' "-fmacro-prefix-map=$(dirname "$1")/=" \
        $(sed -n "s/^$2 [^ ]* //p" "$out/programs") -c "tests/model/$(sed -n "s/^$2 \([^ ]*\).*/\1/p" "$out/programs")" -o "$3" &&
        gcc -no-pie -pthread "$3" "$out/model.o" -o "$4"
}

number() { # of a memory order, as gcc has them
    case $1 in relaxed) echo 0 ;; acquire) echo 2 ;; release) echo 3 ;; acq_rel) echo 4 ;; *) echo 5 ;; esac
}

# Sets state and by. $1: the place's line, column and length; $2: what comes there
try() {
    state=survived by=- reached=no differs=no
    mkdir -p "$slot"
    rm -rf "${slot:?}"/*
    # shellcheck disable=SC2086
    set -- $1 "$2"
    awk -v mode=apply -v line="$1" -v column="$2" -v size="$3" -v to="$4" -f tests/mutants.awk taskrt.h >"$slot/taskrt.h"
    # scenarios that reach the line: ROUND PROGRAM SCENARIO
    # gcov counts a call of several lines at one of them, or at another line of its statement.
    lines=$(echo "$where" | tr - ' ' | awk -v compiled="$out/compiled" '{
        while ((getline s <compiled) > 0) if (s + 0 >= $1 && s + 0 <= $2) known = 1
        print (known ? $1 : $3), $2
    }')
    cat "$out/results" 2>/dev/null | awk -F "$tab" -v from="${lines% *}" -v to="${lines#* }" -v schedules="$SCHEDULES" -v costs="$out/costs" -v reach="$out/reach" \
        -v key="$key" -v becomes="$4" -v in_turn="$(grep -l things.h tests/model/*.c | sed 's:.*/::; s:\.c$::' | tr '\n' ' ')" '
        $4 == "killed" { kills[$5]++ }
        $4 == "killed" && $1 == key && $3 == becomes { before[$5] = 1 }
        END {
            rounds = split(schedules, round, " ")
            in_turn = " " in_turn
            while ((getline s <costs) > 0) { split(s, f, " "); cost[f[1] "-" f[2]] = f[3] + 20; exhausts[f[1] "-" f[2]] = f[4] && round[rounds] >= 2000 }
            while ((getline s <reach) > 0) {
                split(s, f, " ")
                lines[f[2] "-" f[3]]++
                if (f[1] > from - 16 && f[1] < to + 16) around[f[2] "-" f[3]]++
                if (f[1] < from + 0 || f[1] > to + 0) continue
                reaches[f[2] "-" f[3]] = s
                if (f[2] !~ /-/) usual = 1
            }
            for (name in reaches) {
                split(reaches[name], f, " ")
                value = (kills[name] + 1) / cost[name] / lines[name] * around[name] ^ 4 * (name in before ? 1e9 : 1)
                group = index(in_turn, " " f[2] " ") > 0
                for (i = usual && f[2] ~ /-/ && !(name in before) ? rounds : 1; i <= rounds; i++) { # the other ways to sleep: last
                    if (i < rounds || !exhausts[name]) printf "%d %d %.12f %s %s -a -s 1 -n %d\n", i, group, value, f[2], f[3], round[i]
                    if (i == rounds && exhausts[name]) printf "%d %d %.12f %s %s -n %d\n", i, group, value * 2, f[2], f[3], 1
                }
            }
        }' | sort -k 1,1n -k 2,2n -k 3,3rg | awk '{ $2 = ++n[$1 " " $2]; print }' | sort -k 1,1n -k 2,2n -k 3,3rg |
        awk -v most="$MOST" 'BEGIN { rounds = split(most, m, " ") } ++n[$1] <= m[$1 < rounds ? $1 : rounds]' >"$slot/plan"
    # Needs no build: the model can weaken an order, if it is the only one of its kind on the line, and break the rest.
    weaken=
    case $kind,$where in
    order,"$1-$1-"*)
        from=${what#* }
        [ "$(sed -n "$1p" taskrt.h | sed 's@/\*.*@@' | grep -o "\<$from\>" | wc -l)" -eq 1 ] && weaken="-w $1,$(number "$from"),$(number "$4")"
        ;;
    order,*) ;;
    *) weaken="-x $(awk -F "$tab" -v key="$key" '$1 == key { print NR }' "$out/list")" ;;
    esac
    while read -r _ _ _ program scenario options; do
        reached=yes
        if [ -n "$weaken" ]; then
            differs=yes
            # shellcheck disable=SC2086
            if ! timeout 300 "$out/$program" $weaken $options "$scenario" >"$slot/log" 2>&1 &&
                grep -q '^  repeat:\|killed by signal' "$slot/log"; then
                state=killed by=$program-$scenario
                return
            fi
            continue
        fi
        if [ ! -e "$slot/$program.o" ]; then
            if ! build "$slot/taskrt.h" "$program" "$slot/$program.o" "$slot/$program" >"$slot/log" 2>&1; then
                state=killed by=compiler
                return
            fi
            [ -e "$out/$program-plain.o" ] || build taskrt.h "$program" "$out/$program-plain.o" "$out/$program-plain" >"$slot/log" 2>&1
            cmp -s "$slot/$program.o" "$out/$program-plain.o" && rm -f "$slot/$program" || differs=yes
        fi
        [ -e "$slot/$program" ] || continue
        # shellcheck disable=SC2086
        if ! timeout 300 "$slot/$program" $options "$scenario" >"$slot/log" 2>&1 &&
            grep -q '^  repeat:\|killed by signal' "$slot/log"; then
            state=killed by=$program-$scenario
            return
        fi
    done <"$slot/plan"
    if [ $reached = yes ] && [ $differs = no ]; then
        state=equivalent
        return
    fi
    if [ $reached = no ]; then
        by='not reached by the model'
        if ! awk -v from="${lines% *}" -v to="${lines#* }" '$1 >= from && $1 <= to { found = 1 } END { exit !found }' "$out/compiled"; then
            state=equivalent by='not compiled here'
            return
        fi
    fi
    case $kind in
    wake | recheck) [ "$UNITS" = yes ] || return ;;
    *) return ;;
    esac
    mkdir -p "$slot/tests"
    for file in tests/*.[ch]; do ln -s "$PWD/$file" "$slot/$file"; done
    for name in $(ls tests/test_*.c | sed 's:.*/::; s:\.c$::' | awk -F "$tab" -v results="$out/results" '
        BEGIN { while ((getline s <results) > 0) { split(s, f, "\t"); kills[f[5]]++ } }
        { print kills["unit-" $0] + 0, $0 }' | sort -k 1,1nr | cut -d ' ' -f 2); do
        ${CC:-cc} -O1 -std=c11 -w -pthread "$slot/tests/$name.c" -o "$slot/$name" >"$slot/log" 2>&1 || { state=killed by=compiler; return; }
        # twice: on a busy machine a test may be too slow
        if ! timeout 300 "$slot/$name" >"$slot/log" 2>&1 && ! timeout 300 "$slot/$name" >"$slot/log" 2>&1; then
            state=killed by=unit-$name
            return
        fi
    done
}

one() {
    IFS=$tab read -r key hash kind line column size what steps where why <<END
$(sed -n "$1p" "$out/todo" | sed "s/$tab$/$tab-/")
END
    world=$(world | tr '\n' ' ')
    slot=$out/slot.$$
    rest=$steps
    while [ -n "$rest" ]; do
        step=${rest%%|*}
        case $rest in *'|'*) rest=${rest#*|} ;; *) rest= ;; esac
        [ $kind = order ] || { step=$steps rest=; }
        all=yes
        IFS=,
        [ $kind = order ] || IFS=
        for to in $step; do
            unset IFS
            [ $kind = recheck ] || to=${to:-}
            had=$(awk -F "$tab" -v key="$key" -v hash="$hash" -v to="$to" -v world="$world" '
                $1 == key && $2 == hash && $3 == to && ($4 == "killed" || $6 == world) { state = $4 } END { print state }' "$out/results")
            if [ -z "$had" ]; then
                try "$line $column $size" "$to"
                had=$state
                printf '%s\t%s\t%s\t%s\t%s\t%s\n' "$key" "$hash" "$to" "$state" "$by" "$world" >>"$out/results"
                echo "$(date +%T) $state line $line $key $to by $by"
            fi
            [ "$had" = killed ] && all=no
        done
        [ $all = yes ] || break
    done
    rm -rf "$slot"
}
# Started by xargs: which lines a scenario reaches, and what 200 schedules of it take.
reach() { # program, scenario
    at=$out/coverage/$1/$2
    mkdir "$at"
    before=$(date +%s%N)
    "$out/$1" -a -n 200 "$2" >"$at/log" 2>&1 || { cat "$at/log"; echo "$1 $2 fails as it is"; exit 255; }
    after=$(date +%s%N)
    exhausts=0
    grep -q "name = \"$2\".*\(exhaust\|BOUND(\)" "tests/model/$(sed -n "s/^$1 \([^ ]*\).*/\1/p" "$out/programs")" && exhausts=1
    echo "$1 $2 $(((after - before) / 1000000)) $exhausts" >"$at/costs"
    cd "$at" || exit 255
    ln -s ../it.gcno it.gcno
    GCOV_PREFIX=$PWD GCOV_PREFIX_STRIP=99 ../it -a -n 500 "$2" >log 2>&1
    : >reach
    gcov -t ./it.gcda 2>/dev/null | awk -F : -v program="$1" -v scenario="$2" '
        $3 == "Source" { on = $4 ~ /taskrt\.h$/ }
        on && $2 + 0 > 0 {
            gsub(/ /, "", $1)
            gsub(/ /, "", $2)
            if ($1 != "-") print $2, program >"compiled"
            if ($1 + 0 > 0) print $2, program, scenario >"reach"
        }'
}
if [ "${1:-}" = reach ]; then
    reach "$2" "$3"
    exit 0
fi
if [ "${1:-}" = one ]; then
    one "$2"
    exit 0
fi

# ----------------------------------------------------------------------------------------------------------------------
# What there is to do.
if [ "$(uname -s) $(uname -m)" != 'Linux x86_64' ] || ! command -v gcc >/dev/null 2>&1; then
    echo 'skipped: the model needs gcc on Linux, x86-64'
    echo '0 passed, 0 failed'
    exit 0
fi
mkdir -p "$out"
rm -rf "$out"/slot.*
touch "$out/results"
awk -v mode=list -v wakes="$wakes" -v rechecks="$rechecks" -f tests/mutants.awk taskrt.h >"$out/list" || exit 2
mkdir -p "$out/switch"
awk -v mode=switch -v wakes="$wakes" -v rechecks="$rechecks" -f tests/mutants.awk taskrt.h >"$out/switch/taskrt.h" || exit 2

# The programs of the model: every source with a main, and the other ways to sleep.
for source in $(grep -l '^int main(' tests/model/*.c); do
    source=$(basename "$source")
    echo "${source%.c} $source "
done >"$out/programs"
for way in NO_FUTEX POLL; do echo "runtime-$way runtime.c -DTASKRT_$way"; done >>"$out/programs"

# Which scenarios reach which line, and how long 200 schedules of each take. Read by gcov from a build of its own.
stamp="$(cat taskrt.h tests/model/*.c tests/model/*.h tests/mutants.sh tests/mutants.awk | cksum) ${MODEL_OPTIMISE:-}"
if [ "$(cat "$out/stamp" 2>/dev/null)" != "$stamp" ]; then
    echo "which scenario reaches what..."
    rm -rf "$out"/*-plain* "$out/stamp" "$out/coverage" "$out/reach" "$out/compiled" "$out/costs" "$out/scenarios"
    mkdir -p "$out/coverage"
    gcc -std=c11 -O2 -g -fno-omit-frame-pointer -no-pie -Wno-psabi -pthread -Itests/model -c tests/model/model.c -o "$out/model.o" || exit 2
    gcc -std=c11 -O2 -DMODEL_COVERAGE -no-pie -Wno-psabi -pthread -Itests/model -c tests/model/model.c -o "$out/coverage/model.o" || exit 2
    while read -r program source flags; do
        mkdir "$out/coverage/$program"
        build "$out/switch/taskrt.h" "$program" "$out/$program.o" "$out/$program" &&
            (cd "$out/coverage/$program" &&
                gcc -std=c11 -O0 --coverage -no-pie -w -pthread -I../../../../tests/model '-DTASKRT_MODEL="model.h"' -DTASKRT_DEBUG=1 \
                    "-DTASKRT_H_PATH=\"$root/taskrt.h\"" $flags -c "../../../../tests/model/$source" -o it.o &&
                gcc --coverage -no-pie -pthread it.o ../model.o -o it) || exit 2
        "$out/$program" -l | sed "s/^/$program /" >>"$out/scenarios"
    done <"$out/programs"
    xargs -P "$JOBS" -n 2 sh tests/mutants.sh reach <"$out/scenarios" || exit 1
    for what in costs reach compiled; do cat "$out"/coverage/*/*/$what >"$out/$what"; done
    sort -u "$out/compiled" >"$out/reach.new" && mv "$out/reach.new" "$out/compiled"
    echo "$stamp" >"$out/stamp"
fi

case $MUTANTS in
'') cp "$out/list" "$out/todo" ;;
*[!0-9-]*) awk -F "$tab" -v wanted="$MUTANTS" '($1 " " $3) ~ wanted' "$out/list" >"$out/todo" ;;
*) awk -F "$tab" -v from="${MUTANTS%-*}" -v to="${MUTANTS#*-}" '$4 + 0 >= from && $4 + 0 <= to' "$out/list" >"$out/todo" ;;
esac
n=$(grep -vc '^lost' "$out/todo")
[ "$n" -gt 0 ] && seq 1 "$(wc -l <"$out/todo")" | xargs -P "$JOBS" -n 1 sh tests/mutants.sh one

# ----------------------------------------------------------------------------------------------------------------------
# The report: the last result of each.
awk -F "$tab" -v results="$out/results" -v world="$(world | tr '\n' ' ')" '
    BEGIN {
        while ((getline s <results) > 0) {
            split(s, f, "\t")
            if (f[4] != "killed" && f[6] != world) continue
            state[f[1], f[2], f[3]] = f[4]
            by[f[1], f[2], f[3]] = f[5]
        }
    }
    $1 == "lost" { print "FAIL the re-check is gone: " $2; failed++; next }
    {
        n = $3 == "order" ? split($8, to, /[|,]/) : 1
        if ($3 != "order") to[1] = $8
        for (i = 1; i <= n; i++) {
            s = state[$1, $2, to[i]]
            if (s == "") continue
            line = "line " $4 " " $1 " " ($3 == "order" ? $7 "->" to[i] : $3 == "recheck" ? "-> " to[i] : "deleted")
            killer = by[$1, $2, to[i]]
            if (s == "killed") {
                rung = killer
                sub(/-.*/, "", rung)
                rungs[rung]++
                print "killed " line " by " killer
            } else if (s == "equivalent") print "equivalent " line (killer != "-" ? ": " killer : "")
            else if ($10 != "") { s = "explained"; print "explained " line ": " $10 }
            else print "SURVIVED " line (killer != "-" ? ", " killer : "")
            total[s]++
        }
    }
    END {
        for (rung in rungs) printf "%s has killed %d\n", rung, rungs[rung]
        printf "mutants: %d killed, %d equivalent, %d explained, %d survived\n", total["killed"], total["equivalent"],
            total["explained"], total["survived"]
        printf "%d passed, %d failed\n", total["killed"] + total["equivalent"] + total["explained"], total["survived"] + failed
        exit total["survived"] + failed > 0
    }' "$out/todo" | tee "$out/report"
tail -n 1 "$out/report" | grep -q ' 0 failed$'
