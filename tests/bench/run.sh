#!/bin/sh
# Measures taskrt.h, and Tokio beside it. Needs a C compiler, sh and awk.
#
#     sh tests/bench/run.sh                                           taskrt alone
#     TOKIO_BENCH=path/to/tokio-bench sh tests/bench/run.sh           both, in turns, with their ratios
#     BENCHES='fib chan' WORKERS='1 2 4' sh tests/bench/run.sh        some groups, other numbers of workers
#     sh tests/bench/run.sh table                                     the table again, of what was measured last
#
# The twin in tests/bench/tokio does row by row what bench.c does. It builds from Debian's package of Tokio 1.24:
#
#     apt-get install -y cargo librust-tokio-dev
#     cd tests/bench/tokio && cargo build --release --offline         makes target/release/tokio-bench
#
# Variables, with their defaults:
#
#     BENCHES=all            groups, as `bench` lists them without arguments; all is all but fib35 and scale
#     WORKERS='ct 1 2'       ct: a current_thread runtime
#     ROUNDS, REPS           processes for each figure (7; 1 without Tokio), and repetitions in each (1; 7)
#     TOKIO_BENCH            the twin; TOKIO_BENCH2: one more, built with another Tokio
#     TOKIO_NAME=Tokio       what the table and the chart call it; TOKIO_NAME2
#     BENCH_MIN_S, ECHO_SECS seconds that a short row is repeated for (0.1), and that an echo row takes (1)
#     CC=cc, BENCH_CFLAGS=-O2
#
# The programs run in turns, row group by row group, so that what else the machine does meets all of them. The figure of
# a row is the median of its rounds. What they print is kept in build/bench/GROUP.WORKERS.PROGRAM.txt, the figures in
# build/bench/figures.txt, the table in build/bench/table.txt. A run over all groups with Tokio, with 1 and 2 workers
# among the WORKERS, draws tests/bench/chart.svg.
set -eu
cd "$(dirname "$0")/../.."
out=build/bench
mkdir -p "$out"

shared='spawn_join yield_one yield_many ping_pong skynet fib nqueens sleepers timers timeout_churn chan oneshot sync
    spawn_blocking joinset abort xwake echo'
own='fork_join matmul split' # rows that the twin does not have
own_too='fib35 scale'        # only when asked for

BENCHES=${BENCHES:-all}
WORKERS=${WORKERS:-ct 1 2}
TOKIO_BENCH=${TOKIO_BENCH:-}
TOKIO_BENCH2=${TOKIO_BENCH2:-}
if [ -n "$TOKIO_BENCH" ]; then
    ROUNDS=${ROUNDS:-7} REPS=${REPS:-1}
else
    ROUNDS=${ROUNDS:-1} REPS=${REPS:-7}
fi
BENCH_MIN_S=${BENCH_MIN_S:-0.1}
ECHO_SECS=${ECHO_SECS:-1}
export BENCH_MIN_S ECHO_SECS

has() { # word, list
    # shellcheck disable=SC2086,SC2116 # the lists are spread over lines
    case " $(echo $2) " in
    *" $1 "*) ;;
    *) return 1 ;;
    esac
}

groups=$BENCHES
[ "$BENCHES" = all ] && groups="$shared $own"
for group in $groups; do
    if ! has "$group" "$shared $own $own_too"; then
        printf 'run.sh: no group %s; there are: ' "$group" >&2
        # shellcheck disable=SC2086
        echo $shared $own $own_too >&2
        exit 2
    fi
done

measure() {
    # shellcheck disable=SC2086
    ${CC:-cc} -std=c11 ${BENCH_CFLAGS:--O2} -pthread tests/bench/bench.c -o "$out/bench"
    [ "$BENCHES" = all ] && rm -f "$out"/*.txt
    {
        echo "TOKIO_NAME='${TOKIO_NAME:-Tokio}'"
        echo "TOKIO_NAME2='${TOKIO_NAME2:-Tokio (2)}'"
        echo "ROUNDS=$ROUNDS"
    } >"$out/names.txt"
    for group in $groups; do
        for workers in $WORKERS; do
            rm -f "$out/$group.$workers".*.txt
            round=1
            while [ "$round" -le "$ROUNDS" ]; do
                [ -t 2 ] && printf '\r\033[K%s' "$group, workers: $workers, round $round of $ROUNDS" >&2
                run taskrt "$out/bench"
                if has "$group" "$shared"; then
                    [ -n "$TOKIO_BENCH" ] && run tokio "$TOKIO_BENCH"
                    [ -n "$TOKIO_BENCH2" ] && run tokio2 "$TOKIO_BENCH2"
                fi
                round=$((round + 1))
            done
        done
    done
    [ -t 2 ] && printf '\r\033[K' >&2
    return 0
}

run() { # name, program
    if ! "$2" "$group" "$workers" "$REPS" >>"$out/$group.$workers.$1.txt"; then
        echo "run.sh: failed: $2 $group $workers $REPS" >&2
        exit 1
    fi
}

# The raw lines to one line for each figure: group row unit workers program median min max rounds.
figures() {
    for group in $shared $own $own_too; do
        for file in "$out/$group".*.txt; do
            if [ -f "$file" ]; then echo "$file"; fi
        done | sort -t . -k 2,2n -k 3,3 # ct counts as 0
    done | awk '
        function sort(n,    i, j, x) {
            for (i = 2; i <= n; i++) {
                x = a[i]
                for (j = i - 1; j > 0 && a[j] > x; j--) a[j + 1] = a[j]
                a[j + 1] = x
            }
        }
        {
            file = $0
            n_parts = split(file, part, /[\/.]/)
            group = part[n_parts - 3]
            program = part[n_parts - 1]
            while ((getline line < file) > 0) {
                split(line, f, " ")
                key = group " " f[1] " " f[5] " " (f[2] ~ /-ct$/ ? "ct" : f[3]) " " program
                if (!(key in n)) order[++keys] = key
                value[key, ++n[key]] = f[4] + 0
            }
            close(file)
        }
        END {
            for (k = 1; k <= keys; k++) {
                key = order[k]
                m = n[key]
                for (i = 1; i <= m; i++) a[i] = value[key, i]
                sort(m)
                median = m % 2 ? a[(m + 1) / 2] : (a[m / 2] + a[m / 2 + 1]) / 2
                print key, median, a[1], a[m], m
            }
        }'
}

# What both the table and the chart are made of: `figure[row, workers, program]`, its `low` and `high`, and `twin(row)`,
# the row of Tokio that a row is held against. A ratio is our cost by Tokio's, so below 1 ours is better; for a rate,
# Tokio's by ours.
# shellcheck disable=SC2016
common='
    function twin(row) {
        if (row == "fork_join") return "spawn_join"
        if (row == "timeout_ready_call") return "timeout_ready"
        sub(/_fork$/, "", row)
        return row
    }
    function ratio(ours, theirs, unit) {
        if (ours <= 0 || theirs <= 0) return 0
        return unit == "req/s" ? theirs / ours : ours / theirs
    }
    function better(x, y, unit) { return unit == "req/s" ? x > y : x < y }
    {
        if (!($2 in unit)) rows[++n_rows] = $2
        group[$2] = $1
        unit[$2] = $3
        if (!(($2, $4) in has_workers)) workers[$2, ++n_workers[$2]] = $4
        has_workers[$2, $4] = 1
        figure[$2, $4, $5] = $6
        low[$2, $4, $5] = $7
        high[$2, $4, $5] = $8
        programs[$5] = 1
    }'

table() {
    # shellcheck disable=SC2086,SC2116
    awk -v name="$TOKIO_NAME" -v name2="$TOKIO_NAME2" -v groups=" $(echo $groups) " "$common"'
        function number(x) {
            if (x >= 100 || x <= -100) return sprintf("%.0f", x)
            if (x >= 10 || x <= -10) return sprintf("%.1f", x)
            return sprintf("%.2f", x)
        }
        function columns(row, w, program) {
            if (!((row, w, program) in figure)) return sprintf("%33s", "")
            return sprintf("%9s %-23s", number(figure[row, w, program]),
                           "(" number(low[row, w, program]) " .. " number(high[row, w, program]) ")")
        }
        function against(row, w, program) {
            return columns(twin(row), w, program) " " \
                times(ratio(figure[row, w, "taskrt"], figure[twin(row), w, program], unit[row]))
        }
        function times(x) { return x ? sprintf("%6.2f", x) : sprintf("%6s", "") }
        END {
            head = sprintf("%-27s %-13s %-3s %-33s", "row", "unit", "w", "   taskrt")
            if ("tokio" in programs) head = head sprintf(" %-33s %6s", "   " name, "ratio")
            if ("tokio2" in programs) head = head sprintf(" %-33s %6s", "   " name2, "ratio")
            if ("tokio" in programs) head = head sprintf(" %6s", "best")
            print head
            for (i = 1; i <= n_rows; i++) {
                row = rows[i]
                t = twin(row)
                if (!index(groups, " " group[row] " ")) continue
                found = 0 # the best of all that Tokio has for this row
                for (p in programs) {
                    if (p == "taskrt") continue
                    for (j = 1; j <= n_workers[t]; j++) {
                        if (!((t, workers[t, j], p) in figure)) continue
                        x = figure[t, workers[t, j], p]
                        if (!found || better(x, best, unit[row])) best = x
                        found = 1
                    }
                }
                for (j = 1; j <= n_workers[row]; j++) {
                    w = workers[row, j]
                    ours = figure[row, w, "taskrt"]
                    line = sprintf("%-27s %-13s %-3s %s", row (t == row || !found ? "" : " *"), unit[row], w,
                                   columns(row, w, "taskrt"))
                    if ("tokio" in programs) line = line " " against(row, w, "tokio")
                    if ("tokio2" in programs) line = line " " against(row, w, "tokio2")
                    if ("tokio" in programs) line = line " " (found ? times(ratio(ours, best, unit[row])) : "")
                    sub(/ +$/, "", line)
                    print line
                }
            }
            print ""
            print "w: workers; ct: a current_thread runtime. Median of the rounds (least .. most)."
            if ("tokio" in programs) {
                print "ratio: the cost of taskrt by that of Tokio with the same w (medians); below 1 taskrt is better."
                print "best: the same with the best of all that Tokio has in this row."
                print "*: not in Tokio; held against its spawn_join, skynet, fib27, nqueens12, timeout_ready."
            }
        }' "$out/figures.txt"
}

# Bars to the right of 1 where taskrt is better, to the left where it is worse.
chart() {
    awk -v name="$TOKIO_NAME" -v name2="$TOKIO_NAME2" -v rounds="$ROUNDS" "$common"'
        function text(class, x, y, anchor, s) {
            printf "<text class=\"%s\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">%s</text>\n", class, x, y, anchor, s
        }
        function at(r) { return left + width * (log(r) - log(from)) / (log(to) - log(from)) }
        function against(row, w,    t, r, r2) { # the better of the two Tokios
            t = twin(row)
            r = ratio(figure[row, w, "taskrt"], figure[t, w, "tokio"], unit[row])
            r2 = ratio(figure[row, w, "taskrt"], figure[t, w, "tokio2"], unit[row])
            if (r2 > r) r = r2
            return r ? 1 / r : 0
        }
        function digits(r) { return sprintf(r >= 9.95 ? "%.0f" : r >= 0.995 ? "%.1f" : "%.2f", r) }
        function bar(class, r, y, height,    x, one) {
            if (!r) return
            x = at(r < from ? from : r > to ? to : r)
            one = at(1)
            printf "<rect class=\"%s\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"/>\n",
                   class, x < one ? x : one, y, x < one ? one - x : x - one, height
            text("figure", r < 1 ? x - 4 : x + 4, y + height - 1.5, r < 1 ? "end" : "start", digits(r))
        }
        END {
            left = 230; width = 560; step = 30; top = 128
            from = 0.5; to = 2
            for (i = 1; i <= n_rows; i++) {
                r[i, 1] = against(rows[i], 1)
                r[i, 2] = against(rows[i], 2)
                if (!r[i, 1] && !r[i, 2]) continue
                shown[++n] = i
                for (w = 1; w <= 2; w++) {
                    while (r[i, w] && r[i, w] < 1.4 * from && from > 1 / 64) from /= 2 # with room for the figure
                    while (r[i, w] > to / 1.2 && to < 1024) to *= 2
                }
            }
            bottom = top + n * step
            tall = bottom + 74
            wide = left + width + 60
            printf "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\"", wide, tall
            printf " viewBox=\"0 0 %d %d\" role=\"img\"", wide, tall
            print " aria-label=\"How many times faster taskrt is than Tokio, row by row\">"
            print "<style>"
            print "text { font: 12px system-ui, -apple-system, \"Segoe UI\", Roboto, \"DejaVu Sans\", sans-serif }"
            print "text { fill: #24292f }"
            print ".title { font-size: 18px; font-weight: 600 } .figure { font-size: 10px }"
            print ".note, .tick { fill: #57606a }"
            print ".paper { fill: #ffffff } .grid { stroke: #d8dee4 } .one { stroke: #24292f }"
            print ".two-workers { fill: #0b5cad } .one-worker { fill: #8fbdea }"
            print "@media (prefers-color-scheme: dark) {"
            print "text { fill: #e6edf3 } .note, .tick { fill: #9aa4af }"
            print ".paper { fill: #0d1117 } .grid { stroke: #30363d } .one { stroke: #e6edf3 }"
            print ".two-workers { fill: #58a6ff } .one-worker { fill: #2b5a91 }"
            print "}"
            print "</style>"
            printf "<rect class=\"paper\" width=\"%d\" height=\"%d\"/>\n", wide, tall
            text("title", 20, 32, "start", "taskrt.h and Tokio: how many times faster")
            other = "tokio2" in programs ? "the better of " name " and " name2 : name
            text("note", 20, 52, "start", "Against " other " with as many workers.")
            text("note", 20, 68, "start", "Medians of " rounds \
                 " runs of each, in turns. sleepers_rss: how many times less memory.")
            printf "<rect class=\"two-workers\" x=\"20\" y=\"81\" width=\"12\" height=\"12\"/>\n"
            text("", 38, 91, "start", "2 workers")
            printf "<rect class=\"one-worker\" x=\"112\" y=\"81\" width=\"12\" height=\"12\"/>\n"
            text("", 130, 91, "start", "1 worker")
            for (t = from; t <= to; t *= 2) {
                printf "<line class=\"%s\" x1=\"%.1f\" y1=\"%d\" x2=\"%.1f\" y2=\"%d\"/>\n",
                       t == 1 ? "one" : "grid", at(t), top - 6, at(t), bottom
                s = t < 1 ? "1/" 1 / t : t
                text("tick", at(t), top - 12, "middle", s)
                text("tick", at(t), bottom + 16, "middle", s)
            }
            for (k = 1; k <= n; k++) {
                i = shown[k]
                y = top + (k - 1) * step
                text("", left - 12, y + 16, "end", rows[i] (twin(rows[i]) == rows[i] ? "" : " *"))
                bar("two-workers", r[i, 2], y + 2, 11)
                bar("one-worker", r[i, 1], y + 14, 10)
            }
            text("note", at(1) + 6, bottom + 36, "start", "taskrt is better &#8594;")
            text("note", at(1) - 6, bottom + 36, "end", "&#8592; Tokio is better")
            text("note", left + width, bottom + 36, "end", "cost of Tokio / cost of taskrt, log scale")
            text("note", 20, bottom + 58, "start", "* against the row of Tokio by spawn and join, or by a coroutine")
            print "</svg>"
        }' "$out/figures.txt"
}

case ${1:-} in
'') measure ;;
table) groups="$shared $own $own_too" ;;
*)
    echo 'usage: run.sh [table], see its first lines' >&2
    exit 2
    ;;
esac
if ! [ -f "$out/names.txt" ]; then
    echo 'run.sh: nothing was measured yet' >&2
    exit 1
fi
# shellcheck source=/dev/null
. "./$out/names.txt"
figures >"$out/figures.new"
mv "$out/figures.new" "$out/figures.txt"
table | tee "$out/table.txt"

whole=yes
for group in $shared; do
    for workers in 1 2; do
        [ -f "$out/$group.$workers.tokio.txt" ] || whole=no
    done
done
if [ $whole = yes ]; then
    chart >tests/bench/chart.svg
    echo
    echo 'tests/bench/chart.svg is drawn.'
fi
