/* runtime.c - whole runtimes under the model: workers, pool, shutdown, threads that call in from outside. */
#define _GNU_SOURCE /* fmemopen */
#include "model.h"
#define TASKRT_IMPLEMENTATION
#include "small.h"
#define TASKRT_TEST_SPINS 1
#include TASKRT_H_PATH

_Static_assert(sizeof(trt_self_) <= 1024, "the model has room for it");

static trt_runtime *runtime;
static trt_a32_ cleanups, seen; /* counted by tasks on any worker */

#define COUNT(counter) ((void)TRT_ADD_(&(counter), 1u, relaxed))
#define COUNTED(counter) TRT_LOAD_(&(counter), seq_cst)

static void start(trt_config config)
{
    TRT_STORE_(&cleanups, 0u, relaxed);
    TRT_STORE_(&seen, 0u, relaxed);
    config.stall_after = -1;
    MODEL_CHECK(trt_runtime_start(&runtime, &config) == TRT_OK);
}
static void start_workers(size_t n) { start((trt_config){.workers = n}); }
static void start_unwatched(size_t n) /* no watch thread: nobody is rescued, every wake counts */
{
    model_refuse_threads((int)n);
    start_workers(n);
    model_refuse_threads(-1);
}
static void finish(void)
{
    trt_metrics_info m;
    trt_metrics(runtime, &m);
    MODEL_CHECK(trt_runtime_free(runtime) == TRT_OK);
    runtime = NULL;
}

/* A scenario: two workers run this coroutine, and nothing else happens. */
#define TWO_WORKERS(scenario, coroutine) \
    static void scenario(void) \
    { \
        start_workers(2); \
        MODEL_CHECK(trt_block_on(runtime, coroutine, NULL) == TRT_OK); \
        finish(); \
    }

/* What the scenarios' threads do. */
static void (*part[4])(void);
static void part_main(void *which) { part[(uintptr_t)which](); }
static unsigned long thread(uintptr_t which, void (*run)(void))
{
    part[which] = run;
    return model_start(part_main, (void *)which);
}

struct value { int v; };
trt_async(int, value)
{
    trt_body { trt_return(self->v); }
}

struct yields { int n, i, v; };
trt_async(int, yields)
{
    trt_body {
        for (self->i = 0; self->i < self->n; self->i++) trt_await(trt_yield());
        trt_return(self->v);
    }
    trt_cleanup { COUNT(cleanups); }
}

/* ---- spawn, join, abort, detach ---- */

struct joins { trt_handle(value) a, b; int x, y; };
trt_async(int, joins)
{
    trt_body {
        self->a = trt_spawn(value, .v = 1);
        self->b = trt_spawn(value, .v = 2);
        trt_await(trt_join(self->b, &self->y));
        trt_await(trt_join(self->a, &self->x));
        trt_return(self->x + self->y);
    }
}
static void spawn_join(void)
{
    int sum = 0;
    start_workers(2);
    MODEL_CHECK(trt_block_on(runtime, joins, &sum) == TRT_OK);
    MODEL_CHECK(sum == 3);
    finish();
}

/* A thief has the hint to the first, whose joiner has run it; the third gets its slot, and may be found by that hint. */
struct hints { trt_handle(value) a, b, c; int x, y, z; };
trt_async(int, hints)
{
    trt_body {
        self->a = trt_spawn(value, .v = 1);
        self->b = trt_spawn(value, .v = 2);
        trt_await(trt_join(self->a, &self->x));
        self->c = trt_spawn(value, .v = 3);
        model_yield();
        trt_await(trt_join(self->b, &self->y));
        trt_await(trt_join(self->c, &self->z));
        trt_return(self->x + self->y + self->z);
    }
}
static void stale_hint(void)
{
    int sum = 0;
    start_workers(2);
    MODEL_CHECK(trt_block_on(runtime, hints, &sum) == TRT_OK && sum == 6);
    finish();
}

/* More than a ring holds: overflow, steals by halves, the slabs' batches. */
struct many { trt_handle(yields) h[9]; int i, x, sum; };
trt_async(int, many)
{
    trt_body {
        for (self->i = 0; self->i < 9; self->i++)
            self->h[self->i] = trt_spawn(yields, .n = self->i % 2, .v = self->i);
        for (self->i = 0; self->i < 9; self->i++) {
            trt_await(trt_join(self->h[self->i], &self->x));
            MODEL_CHECK(trt_status() == TRT_OK && self->x == self->i);
            self->sum += self->x;
        }
        trt_return(self->sum);
    }
}
static void spawn_many(void)
{
    int sum = 0;
    start_workers(3);
    MODEL_CHECK(trt_block_on(runtime, many, &sum) == TRT_OK);
    MODEL_CHECK(sum == 36 && COUNTED(cleanups) == 9);
    finish();
}

/* A notify, an abort and the end, all at once; the joiner sees one outcome and one cleanup. */
static trt_notify bell;
static int cleaned; /* plain: the joiner sees what the cleanup did */
struct waits { int *cleaned; };
trt_async(int, waits)
{
    trt_body {
        trt_await(trt_notified(&bell));
        trt_await(trt_yield());
        trt_return(7);
    }
    trt_cleanup {
        trt_await(trt_yield());
        ++*self->cleaned;
    }
}
static trt_handle(waits) waiting;
static void aborts(void) { trt_abort(waiting); }
static void rings(void) { trt_notify_one(&bell); }
static void abort_races(void)
{
    int out = 0;
    unsigned long a, b;
    trt_status_code status;
    memset(&bell, 0, sizeof bell);
    cleaned = 0;
    start_workers(2);
    waiting = trt_spawn_on(runtime, waits, .cleaned = &cleaned);
    a = thread(0, aborts);
    b = thread(1, rings);
    status = trt_join_thread(waiting, &out);
    MODEL_CHECK((status == TRT_OK && out == 7) || (status == TRT_CANCELLED && out == 0));
    MODEL_CHECK(cleaned == 1);
    model_join(a);
    model_join(b);
    finish();
}

/* The runtime is freed while the thread that has rung is still on its way out. */
static void free_behind_wake(void)
{
    unsigned long a;
    memset(&bell, 0, sizeof bell);
    cleaned = 0;
    start((trt_config){.workers = 1, .current_thread = model_choose(2)});
    waiting = trt_spawn_on(runtime, waits, .cleaned = &cleaned);
    a = thread(0, rings);
    MODEL_CHECK(trt_join_thread(waiting, NULL) == TRT_OK);
    finish();
    model_join(a);
}

/* Two joiners of one task, one of them aborted; a detach beside them. */
static trt_handle(yields) shared;
struct joiner { int x; };
trt_async(int, joiner)
{
    trt_body {
        trt_await(trt_join(shared, &self->x));
        MODEL_CHECK(trt_status() == TRT_OK ? self->x == 5 : trt_status() == TRT_MISUSE);
        if (trt_status() == TRT_OK) COUNT(seen);
    }
}
static trt_handle(joiner) joiners[2];
static void aborts_joiner(void) { trt_abort(joiners[0]); }
static void detaches(void) { trt_detach(shared); }
static void join_races(void)
{
    unsigned long a;
    start_workers(2);
    shared = trt_spawn_on(runtime, yields, .n = 1, .v = 5);
    joiners[0] = trt_spawn_on(runtime, joiner);
    joiners[1] = trt_spawn_on(runtime, joiner);
    a = thread(0, aborts_joiner);
    (void)trt_join_thread(joiners[0], NULL);
    MODEL_CHECK(trt_join_thread(joiners[1], NULL) == TRT_OK);
    model_join(a);
    trt_detach(shared);
    MODEL_CHECK(COUNTED(seen) <= 1);
    finish();
}

/* A stop beside a joiner, who may run the task on its back, or be aborted: it waits for the end all the same. */
static trt_handle(waits) stopped;
struct joins_stopped { trt_void none; };
trt_async(int, joins_stopped)
{
    trt_body { trt_await(trt_join(stopped, NULL)); }
}
static trt_handle(joins_stopped) joins_it;
static void aborts_joins_it(void) { trt_abort(joins_it); }
struct stops { trt_void none; };
trt_async(int, stops)
{
    trt_body {
        trt_await(trt_stop(stopped));
        MODEL_CHECK(trt_status() == TRT_OK && cleaned == 1);
        COUNT(seen);
    }
}
static void stop_races(void)
{
    unsigned long a;
    int how = model_choose(3);
    trt_handle(stops) stopping[2];
    memset(&bell, 0, sizeof bell);
    cleaned = 0;
    start_workers(2);
    if (model_choose(2)) trt_notify_one(&bell);
    stopped = trt_spawn_on(runtime, waits, .cleaned = &cleaned);
    joins_it = trt_spawn_on(runtime, joins_stopped);
    if (how == 2) trt_detach(stopped);
    for (int i = 0; i < 2; i++) stopping[i] = trt_spawn_on(runtime, stops);
    a = thread(0, how == 1 ? aborts_joins_it : model_yield);
    for (int i = 0; i < 2; i++) MODEL_CHECK(trt_join_thread(stopping[i], NULL) == TRT_OK);
    (void)trt_join_thread(joins_it, NULL);
    model_join(a);
    MODEL_CHECK(COUNTED(seen) == 2);
    finish();
}
/* The joiner runs the task on its back and is aborted before it waits, beside stops or a detach: then nobody is left for
 * the outcome, and it is not kept. */
static void detaches_stopped(void) { trt_detach(stopped); }
static void joiner_leaves(int stops, bool detach)
{
    unsigned long a, b = 0;
    trt_handle(stops) stopping[2];
    memset(&bell, 0, sizeof bell);
    cleaned = 0;
    start_workers(2);
    if (detach || model_choose(2)) trt_notify_one(&bell);
    stopped = trt_spawn_on(runtime, waits, .cleaned = &cleaned);
    joins_it = trt_spawn_on(runtime, joins_stopped);
    for (int i = 0; i < stops; i++) stopping[i] = trt_spawn_on(runtime, stops);
    a = thread(0, aborts_joins_it);
    if (detach) b = thread(1, detaches_stopped);
    for (int i = 0; i < stops; i++) MODEL_CHECK(trt_join_thread(stopping[i], NULL) == TRT_OK);
    (void)trt_join_thread(joins_it, NULL);
    model_join(a);
    if (detach) model_join(b);
    MODEL_CHECK(trt_runtime_shutdown(runtime, -1) == TRT_OK);
    MODEL_CHECK(trt_stale_(stopped.ref_, TRT_LOAD_(&stopped.ref_.cell->state, acquire)));
    finish();
}
static void stop_leaves(void) { joiner_leaves(1 + model_choose(2), false); }
static void detach_leaves(void) { joiner_leaves(0, true); }
/* A stop of several is aborted, too: those before and behind it wait on. */
static trt_handle(stops) stops_less[3];
static void aborts_stop(void) { trt_abort(stops_less[1]); }
static void stop_aborted(void)
{
    unsigned long a, b;
    memset(&bell, 0, sizeof bell);
    cleaned = 0;
    start_workers(2);
    stopped = trt_spawn_on(runtime, waits, .cleaned = &cleaned);
    joins_it = trt_spawn_on(runtime, joins_stopped);
    if (model_choose(2)) trt_detach(stopped);
    for (int i = 0; i < 3; i++) stops_less[i] = trt_spawn_on(runtime, stops);
    a = thread(0, aborts_stop);
    b = thread(1, aborts_joins_it);
    for (int i = 0; i < 3; i++) MODEL_CHECK(trt_join_thread(stops_less[i], NULL) == TRT_OK || i == 1);
    (void)trt_join_thread(joins_it, NULL);
    model_join(a);
    model_join(b);
    MODEL_CHECK(COUNTED(seen) >= 2);
    finish();
}
/* The same for sure: they come while the task is on the back, or has just left it, and the joiner may still get the
 * outcome. */
static trt_a32_ on_back, dropped;
struct leaves_back { int i; };
trt_async(int, leaves_back)
{
    trt_body {
        if (!(trt_here_.worker->cur->flags & TRT_ASYNC_)) TRT_STORE_(&on_back, 1u, release); /* it may be stolen */
        for (self->i = 0; self->i < 3; self->i++) model_yield();
        trt_await(trt_yield());
        trt_return(5);
    }
}
static trt_handle(leaves_back) carried;
struct carries { int x; };
trt_async(int, carries)
{
    trt_body {
        carried = trt_spawn(leaves_back);
        trt_await(trt_join(carried, &self->x));
        MODEL_CHECK(trt_status() == TRT_OK ? self->x == 5 : trt_status() == TRT_CANCELLED);
    }
}
static trt_handle(carries) carrier;
static bool is_on_back(void)
{
    for (int i = 0; i < 20 && !TRT_LOAD_(&on_back, acquire); i++) model_yield();
    return TRT_LOAD_(&on_back, acquire) != 0;
}
struct stops_carried { int i; };
trt_async(int, stops_carried)
{
    trt_body {
        if (is_on_back()) {
            trt_await(trt_stop(carried));
            MODEL_CHECK(trt_status() == TRT_OK && trt_is_finished(carried));
            COUNT(dropped);
        }
    }
}
static void detaches_carried(void)
{
    if (!is_on_back()) return;
    trt_detach(carried);
    COUNT(dropped);
}
static void aborts_carrier(void)
{
    if (is_on_back()) trt_abort(carrier);
}
static void leaves_its_back(void)
{
    unsigned long a, b;
    int how = model_choose(4);
    trt_handle(stops_carried) stopping[2];
    TRT_STORE_(&on_back, 0u, relaxed);
    TRT_STORE_(&dropped, 0u, relaxed);
    start_workers(2);
    carrier = trt_spawn_on(runtime, carries);
    for (int i = 0; i < how % 3; i++) stopping[i] = trt_spawn_on(runtime, stops_carried);
    a = thread(0, model_choose(2) ? aborts_carrier : model_yield);
    b = thread(1, how != 1 ? detaches_carried : model_yield);
    for (int i = 0; i < how % 3; i++) MODEL_CHECK(trt_join_thread(stopping[i], NULL) == TRT_OK);
    (void)trt_join_thread(carrier, NULL);
    model_join(a);
    model_join(b);
    if (TRT_LOAD_(&on_back, acquire) && !COUNTED(dropped)) trt_detach(carried);
    MODEL_CHECK(trt_runtime_shutdown(runtime, -1) == TRT_OK);
    MODEL_CHECK(!carried.ref_.cell || trt_stale_(carried.ref_, TRT_LOAD_(&carried.ref_.cell->state, acquire)));
    carried.ref_.cell = NULL;
    finish();
}
/* One that ends on its joiner's back, with plain stores. */
static trt_handle(value) run_inline;
struct stops_inline { int i; };
trt_async(int, stops_inline)
{
    trt_body {
        for (self->i = 0; self->i < 4 && !TRT_LOAD_(&seen, acquire); self->i++) trt_await(trt_yield());
        if (TRT_LOAD_(&seen, acquire)) trt_await(trt_stop(run_inline));
    }
}
struct runs_inline { int n, i; trt_handle(stops_inline) s[2]; };
trt_async(int, runs_inline)
{
    trt_body {
        for (self->i = 0; self->i < self->n; self->i++)
            self->s[self->i] = trt_spawn(stops_inline); /* makes room for the next, and can be stolen */
        run_inline = trt_spawn(value, .v = 5);
        TRT_STORE_(&seen, 1u, release);
        trt_await(trt_join(run_inline, NULL));
        for (self->i = 0; self->i < self->n; self->i++) trt_await(trt_join(self->s[self->i], NULL));
    }
}
static void stop_inline(void)
{
    start_unwatched(2);
    MODEL_CHECK(trt_block_on(runtime, runs_inline, NULL, .n = 1) == TRT_OK);
    finish();
}
/* Each of two looks at itself only: of one worker, or of two. */
static void stops_inline_both(void)
{
    start_unwatched(2 + (size_t)model_choose(2));
    MODEL_CHECK(trt_block_on(runtime, runs_inline, NULL, .n = 2) == TRT_OK);
    finish();
}
/* A member of a set is stopped while the set lets it go: either that is misuse, and the member does not notice, or it is
 * nobody's, and aborted. */
struct stops_member { trt_join_set(yields) set; trt_handle(yields) h; };
static trt_set_ *let_go;
static void lets_members_go(void) { trt_detach_all_(let_go); }
trt_async(int, stops_member)
{
    trt_body {
        self->h = trt_spawn_in(&self->set, yields, .n = 2);
        let_go = &self->set.base_;
        TRT_STORE_(&seen, 1u, release);
        trt_await(trt_stop(self->h));
        if (trt_status() == TRT_MISUSE) {
            MODEL_CHECK(trt_stale_(self->h.ref_, TRT_LOAD_(&self->h.ref_.cell->state, acquire)) ||
                        !(TRT_LOAD_(&self->h.ref_.cell->state, acquire) & TRT_ABORT_));
        } else {
            MODEL_CHECK(trt_status() == TRT_OK && trt_is_finished(self->h));
        }
        while (TRT_LOAD_(&seen, acquire) < 2) trt_await(trt_yield());
    }
}
static void stop_member(void)
{
    trt_handle(stops_member) h;
    start_workers(2);
    h = trt_spawn_on(runtime, stops_member);
    while (!TRT_LOAD_(&seen, acquire)) model_yield();
    lets_members_go();
    TRT_STORE_(&seen, 2u, release);
    MODEL_CHECK(trt_join_thread(h, NULL) == TRT_OK);
    finish();
}
static void detach_races(void)
{
    unsigned long a;
    trt_status_code status;
    int out = 0;
    start_workers(2);
    shared = trt_spawn_on(runtime, yields, .n = 1, .v = 5);
    a = thread(0, detaches);
    status = trt_join_thread(shared, &out);
    MODEL_CHECK(status == TRT_OK ? out == 5 : status == TRT_MISUSE);
    model_join(a);
    finish();
    MODEL_CHECK(COUNTED(cleanups) == 1);
}

/* A joiner is aborted while the task ends that it waits for, and that was detached: its slot is another's at once. */
struct reuses { int i, x; trt_handle(yields) h; };
trt_async(int, reuses)
{
    trt_body {
        shared = trt_spawn(yields, .n = 1, .v = 5);
        joiners[0] = trt_spawn(joiner);
        trt_await(trt_yield());
        trt_abort(joiners[0]);
        trt_detach(shared);
        for (self->i = 0; self->i < 2; self->i++) {
            trt_await(trt_yield());
            self->h = trt_spawn(yields, .v = 1);
            trt_await(trt_join(self->h, &self->x));
        }
        trt_await(trt_join(joiners[0], NULL));
    }
}
TWO_WORKERS(join_let_go, reuses)

/* Who sees that a task has ended sees what it has done: as its joiner would, or because its handle is stale. */
static trt_handle(waits) polled;
static void polls_it(void)
{
    for (int i = 0; i < 20; i++) {
        if (trt_is_finished(polled)) {
            MODEL_CHECK(cleaned == 1);
            break;
        }
        model_yield();
    }
}
struct at_once { int *cleaned; }; /* as large as the other */
trt_async(int, at_once)
{
    trt_body { trt_return(7); }
}
struct has_polled { trt_join_set(waits) set; bool forks; int late, i, x; };
trt_async(int, has_polled)
{
    trt_body {
        polled = trt_spawn_in(&self->set, waits, .cleaned = &cleaned);
        TRT_STORE_(&seen, 1u, release);
        for (self->i = 0; self->i < self->late; self->i++) trt_await(trt_yield()); /* its outcome waits for the owner */
        if (!self->forks) trt_await(trt_join_next(&self->set, NULL));
        else trt_detach_all(&self->set);
        for (self->i = 0; self->i < 5 && self->forks; self->i++) { /* in its slot, once it has gone */
            trt_await(trt_yield());
            trt_fork(at_once, &self->x);
            trt_await(trt_sync());
        }
    }
}
static void end_seen(void)
{
    unsigned long a;
    int how = model_choose(5);
    memset(&bell, 0, sizeof bell);
    cleaned = 0;
    start_workers(2);
    trt_notify_one(&bell);
    if (how < 2) {
        polled = trt_spawn_on(runtime, waits, .cleaned = &cleaned);
        if (how == 0) trt_detach(polled);
        a = thread(0, polls_it);
        if (how == 1) MODEL_CHECK(trt_join_thread(polled, NULL) == TRT_OK);
    } else {
        trt_handle(has_polled) h = trt_spawn_on(runtime, has_polled, .forks = how == 3, .late = how == 4 ? 9 : 0);
        while (!TRT_LOAD_(&seen, acquire)) model_yield();
        a = thread(0, polls_it);
        MODEL_CHECK(trt_join_thread(h, NULL) == TRT_OK);
    }
    model_join(a);
    finish();
}

/* ---- sets ---- */

struct crew { trt_join_set(yields) set; int i, x, ok, cancelled; };
trt_async(int, crew)
{
    trt_body {
        for (self->i = 0; self->i < 4; self->i++) trt_spawn_in(&self->set, yields, .n = self->i, .v = 1);
        trt_await(trt_join_next(&self->set, &self->x));
        MODEL_CHECK(trt_status() == TRT_OK && self->x == 1);
        trt_abort_all(&self->set);
        for (;;) {
            trt_await(trt_join_next(&self->set, &self->x));
            if (trt_status() == TRT_EMPTY) break;
            if (trt_status() == TRT_OK) self->ok++;
            else self->cancelled++;
        }
        trt_return(self->ok + self->cancelled);
    }
}
static void join_set(void)
{
    int n = 0;
    start_workers(2);
    MODEL_CHECK(trt_block_on(runtime, crew, &n) == TRT_OK);
    MODEL_CHECK(n == 3 && COUNTED(cleanups) == 4);
    finish();
}

/* Members that wait are aborted by their owner, and run on its worker. */
struct dismisses { trt_join_set(waits) set; int i, cleaned[2]; };
trt_async(int, dismisses)
{
    trt_body {
        for (self->i = 0; self->i < 2; self->i++) trt_spawn_in(&self->set, waits, .cleaned = &self->cleaned[self->i]);
        trt_await(trt_yield());
        trt_abort_all(&self->set);
        for (;;) {
            trt_await(trt_join_next(&self->set, NULL));
            if (trt_status() == TRT_EMPTY) break;
            MODEL_CHECK(trt_status() == TRT_CANCELLED);
        }
        MODEL_CHECK(self->cleaned[0] + self->cleaned[1] == 2);
    }
}
static void set_dismissed(void)
{
    memset(&bell, 0, sizeof bell);
    start_workers(3);
    MODEL_CHECK(trt_block_on(runtime, dismisses, NULL) == TRT_OK);
    finish();
}

/* Members that are let go run on, while the set's owner ends. */
struct lets_go { trt_join_set(yields) set; int i, x; };
trt_async(int, lets_go)
{
    trt_body {
        for (self->i = 0; self->i < 3; self->i++) trt_spawn_in(&self->set, yields, .n = self->i);
        if (trt_try_join_next(&self->set, &self->x) == TRT_PENDING) trt_await(trt_yield());
        trt_detach_all(&self->set);
        trt_await(trt_yield());
        trt_spawn_in(&self->set, yields, .n = 0);
        trt_await(trt_join_next(&self->set, &self->x));
        MODEL_CHECK(trt_status() == TRT_OK && trt_set_len(&self->set) == 0);
    }
}
static void set_let_go(void)
{
    bool two = model_choose(2); /* whose members get each other's slots */
    trt_handle(lets_go) h;
    start_workers(2);
    if (two) h = trt_spawn_on(runtime, lets_go);
    MODEL_CHECK(trt_block_on(runtime, lets_go, NULL) == TRT_OK);
    if (two) MODEL_CHECK(trt_join_thread(h, NULL) == TRT_OK);
    finish();
    MODEL_CHECK(COUNTED(cleanups) == (two ? 8 : 4));
}

/* A set is left full: its frame ends after its members. An abort comes at any time. */
struct leaves { trt_join_set(yields) set; int i, x; };
trt_async(int, leaves)
{
    trt_body {
        for (self->i = 0; self->i < 3; self->i++) trt_spawn_in(&self->set, yields, .n = self->i, .v = 1);
        trt_await(trt_join_next(&self->set, &self->x));
        if (self->x) trt_await(trt_set_shutdown(&self->set));
        trt_spawn_in(&self->set, yields, .n = 2);
        trt_return(1);
    }
}
static trt_handle(leaves) leaving;
static void aborts_leaving(void) { trt_abort(leaving); }
static void set_left(void)
{
    unsigned long a;
    trt_status_code status;
    start_workers(2);
    leaving = trt_spawn_on(runtime, leaves);
    a = thread(0, aborts_leaving);
    status = trt_join_thread(leaving, NULL);
    MODEL_CHECK(status == TRT_OK || status == TRT_CANCELLED);
    model_join(a);
    finish();
}

/* A set that only another task has filled goes with its frame, wherever that lies, and so does one that a member of that
 * fills as the frame ends. */
typedef trt_join_set_of(int) strays;
struct breeds { strays *then; };
trt_async(int, breeds)
{
    trt_body { trt_await(trt_yield()); }
    trt_cleanup {
        trt_spawn_in(self->then, yields, .n = 1);
        COUNT(cleanups);
    }
}
struct fills_for { strays *set, *then; };
trt_async(int, fills_for)
{
    trt_body { trt_spawn_in(self->set, breeds, .then = self->then); }
}
struct filled { strays set, then; trt_handle(fills_for) h; };
trt_async(int, filled)
{
    trt_body {
        self->h = trt_spawn(fills_for, .set = &self->set, .then = &self->then);
        trt_await(trt_join(self->h, NULL));
    }
}
struct calls_lent { trt_frame(filled) *frame; };
trt_async(int, calls_lent)
{
    trt_body { trt_await(trt_call(filled, self->frame)); }
}
static trt_frame(filled) in_static_memory;
struct calls_filled { int i; trt_frame(filled) frame; trt_handle(filled) h; };
trt_async(int, calls_filled)
{
    trt_body {
        self->i = (int)model_choose(5);
        if (self->i == 0) trt_await(trt_call(filled, &self->frame));
        else if (self->i == 1) trt_await_all(trt_call(filled, &self->frame), trt_yield());
        else if (self->i == 2) trt_await(trt_call(filled, &in_static_memory));
        else if (self->i == 3) {
            trt_fork(calls_lent, NULL, .frame = &self->frame);
            trt_await(trt_sync());
        } else {
            self->h = trt_spawn(filled);
            trt_await(trt_join(self->h, NULL));
        }
        MODEL_CHECK(trt_status() == TRT_OK && COUNTED(cleanups) == 2);
        memset(&self->frame, 0x5A, sizeof self->frame);
    }
}
static void set_of_strays(void)
{
    start_workers(2);
    MODEL_CHECK(trt_block_on(runtime, calls_filled, NULL) == TRT_OK);
    finish();
}

/* Others take the members out, and fill the set again, while its frame ends. */
struct reaps { strays *set; int i; };
trt_async(int, reaps)
{
    trt_body {
        for (self->i = 0; self->i < 2; self->i++) {
            (void)trt_try_join_next(self->set, NULL);
            trt_await(trt_yield());
        }
    }
    trt_cleanup {
        (void)trt_try_join_next(self->set, NULL);
        trt_spawn_in(self->set, yields, .n = 1);
        COUNT(cleanups);
    }
}
struct fills_one { strays *set, *reaped; };
trt_async(int, fills_one)
{
    trt_body {
        trt_spawn_in(self->reaped, yields, .n = 0);
        trt_spawn_in(self->set, reaps, .set = self->reaped);
    }
}
struct reaped { strays set, reaped; trt_handle(fills_one) h; };
trt_async(int, reaped)
{
    trt_body {
        self->h = trt_spawn(fills_one, .set = &self->set, .reaped = &self->reaped);
        trt_await(trt_join(self->h, NULL));
    }
}
static trt_frame(reaped) reaped_in_static_memory;
struct calls_reaped { int i; trt_frame(reaped) frame; };
trt_async(int, calls_reaped)
{
    trt_body {
        self->i = (int)model_choose(2);
        trt_await(trt_call(reaped, self->i ? &self->frame : &reaped_in_static_memory));
        MODEL_CHECK(trt_status() == TRT_OK && COUNTED(cleanups) == 3);
        memset(self->i ? &self->frame : &reaped_in_static_memory, 0x5A, sizeof self->frame);
    }
}
static void set_reaped(void)
{
    start_workers(2);
    MODEL_CHECK(trt_block_on(runtime, calls_reaped, NULL) == TRT_OK);
    finish();
}

/* It is filled by who sees an outer frame, but not the one that it lies in: a branch beside that, a fork, the caller while
 * a fork runs it. */
struct is_seen { strays set; };
static strays *seen_set;
trt_async(int, is_seen)
{
    trt_body {
        seen_set = &self->set;
        TRT_STORE_(&seen, 1u, release);
        while (TRT_LOAD_(&seen, acquire) != 2) trt_await(trt_yield());
    }
    trt_cleanup { TRT_STORE_(&seen, 0u, relaxed); }
}
struct fills_seen { int x; };
trt_async(int, fills_seen)
{
    trt_body {
        while (TRT_LOAD_(&seen, acquire) != 1) trt_await(trt_yield());
        trt_spawn_in(seen_set, yields, .n = 2);
        TRT_STORE_(&seen, 2u, release);
    }
}
struct calls_seen { trt_frame(is_seen) *frame; };
trt_async(int, calls_seen)
{
    trt_body {
        trt_await(trt_call(is_seen, self->frame));
        MODEL_CHECK(trt_status() == TRT_OK && COUNTED(cleanups) == 1);
    }
}
struct sees { int how; trt_frame(is_seen) inner; trt_frame(fills_seen) fills; };
trt_async(int, sees)
{
    trt_body {
        if (self->how == 0) trt_await_all(trt_call(is_seen, &self->inner), trt_call(fills_seen, &self->fills));
        else if (self->how == 1) {
            trt_fork(fills_seen, NULL);
            trt_await(trt_call(is_seen, &self->inner));
            MODEL_CHECK(COUNTED(cleanups) == 1);
            trt_await(trt_sync());
        } else {
            trt_fork(calls_seen, NULL, .frame = &self->inner);
            trt_await(trt_call(fills_seen, &self->fills));
            trt_await(trt_sync());
        }
        MODEL_CHECK(trt_status() == TRT_OK && COUNTED(cleanups) == 1);
        memset(&self->inner, 0x5A, sizeof self->inner);
    }
}
static void set_seen_outside(void)
{
    start_workers(2);
    MODEL_CHECK(trt_block_on(runtime, sees, NULL, .how = (int)model_choose(3)) == TRT_OK);
    finish();
}

/* A set of a job, in a frame or spawned, that a task has filled, and then maybe the job: what is left is let go. */
struct fills_job { strays *set; };
trt_async(int, fills_job)
{
    trt_body { trt_spawn_in(self->set, yields, .n = 2); }
}
struct filled_job { bool too; strays set; };
trt_blocking_fn(int, filled_job)
{
    trt_handle(fills_job) h = trt_spawn(fills_job, .set = &self->set);
    MODEL_CHECK(trt_join_thread(h, NULL) == TRT_OK);
    if (self->too) trt_spawn_in(&self->set, yields, .n = 1);
    return 1;
}
struct runs_filled { int how; trt_job(filled_job) job; trt_handle(filled_job) h; };
trt_async(int, runs_filled)
{
    trt_body {
        self->how = (int)model_choose(4);
        if (self->how & 2) {
            self->h = trt_spawn_blocking(filled_job, .too = self->how & 1);
            trt_await(trt_join(self->h, NULL));
        } else {
            trt_await(trt_blocking(filled_job, &self->job, .too = self->how & 1));
            memset(&self->job, 0x5A, sizeof self->job);
        }
        MODEL_CHECK(trt_status() == TRT_OK && !TRT_LOAD_(&trt_strays_some_, relaxed));
        trt_return(self->how & 1);
    }
}
static void set_of_job(void)
{
    int both = 0;
    start_workers(2);
    MODEL_CHECK(trt_block_on(runtime, runs_filled, &both) == TRT_OK);
    finish();
    MODEL_CHECK(COUNTED(cleanups) == 1 + (unsigned)both);
}

/* One that could not be made is told to who waits for the next. */
struct giant { void *set; char more[16000]; };
trt_async_decl(int, giant);
typedef trt_join_set(giant) giants;
trt_async_def(int, giant)
{
    trt_body {
        if (!self->set) trt_return(1);
        model_refuse_memory(0); /* but for what is left of the last region */
        for (int i = 0; i < 3; i++) trt_spawn_in((giants *)self->set, giant);
        model_refuse_memory(-1);
    }
}
struct expects { giants set; int made, unmade; };
trt_async(int, expects)
{
    trt_body {
        trt_spawn_in(&self->set, giant, .set = &self->set);
        for (;;) {
            trt_await(trt_join_next(&self->set, NULL));
            if (trt_status() == TRT_EMPTY) break;
            MODEL_CHECK(trt_status() == TRT_OK || trt_status() == TRT_NO_MEMORY);
            self->made += trt_status() == TRT_OK;
            self->unmade += trt_status() == TRT_NO_MEMORY;
        }
        MODEL_CHECK(self->made + self->unmade == 4 && self->unmade);
        trt_return(1);
    }
}
TWO_WORKERS(set_unmade, expects)

/* ---- the pool ---- */

struct job { int v; };
trt_blocking_fn(int, job)
{
    COUNT(seen);
    if (trt_cancelled()) return -1;
    return self->v;
}

struct uses_pool { trt_job(job) job; trt_handle(job) a, b; int x, y; };
trt_async(int, uses_pool)
{
    trt_body {
        self->a = trt_spawn_blocking(job, .v = 1);
        self->b = trt_spawn_blocking(job, .v = 2);
        trt_abort(self->b);
        trt_await(trt_blocking(job, &self->job, .v = 3));
        MODEL_CHECK(trt_status() == TRT_OK && self->job.out == 3);
        trt_await(trt_join(self->a, &self->x));
        MODEL_CHECK(trt_status() == TRT_OK && self->x == 1);
        trt_await(trt_join(self->b, &self->y));
        MODEL_CHECK(trt_status() == TRT_CANCELLED || self->y == 2 || self->y == -1);
        trt_return(self->x);
    }
}
static void pool(void)
{
    start((trt_config){.workers = 1, .max_blocking_threads = 2, .blocking_keep_alive = trt_ms(1)});
    MODEL_CHECK(trt_block_on(runtime, uses_pool, NULL) == TRT_OK);
    finish();
}

/* A thread's time is up just as a job comes. */
struct job_after { trt_job(job) job; };
trt_async(int, job_after)
{
    trt_body {
        trt_await(trt_blocking(job, &self->job, .v = 1));
        trt_await(trt_sleep(trt_ms(2)));
        trt_await(trt_blocking(job, &self->job, .v = 2));
        trt_return(self->job.out);
    }
}
static void pool_keep_alive(void)
{
    int out = 0;
    start((trt_config){.workers = 1, .max_blocking_threads = 1, .blocking_keep_alive = trt_ms(2)});
    MODEL_CHECK(trt_block_on(runtime, job_after, &out) == TRT_OK && out == 2);
    finish();
}

/* A thread's time is up when it has been called, and is not told yet; then it leaves. */
static void calls_pool(void) { trt_detach(trt_spawn_blocking_on(runtime, job, .v = 1)); }
static void pool_called_late(void)
{
    unsigned long a;
    start((trt_config){.workers = 1, .max_blocking_threads = 1, .blocking_keep_alive = trt_ms(2)});
    (void)trt_join_thread(trt_spawn_blocking_on(runtime, job, .v = 1), NULL);
    a = thread(0, calls_pool);
    model_join(a);
    finish();
}

/* Strands that await jobs are aborted: queued ones are skipped, running ones waited for. */
struct job_waiter { trt_job(job) job; };
trt_async(int, job_waiter)
{
    trt_body {
        trt_await(trt_blocking(job, &self->job, .v = 1));
        trt_return(self->job.out);
    }
    trt_cleanup { COUNT(cleanups); }
}
static trt_handle(job_waiter) job_waiters[2];
static void aborts_job_waiters(void)
{
    trt_abort(job_waiters[1]);
    trt_abort(job_waiters[0]);
}
static void pool_abort(void)
{
    unsigned long a;
    start((trt_config){.workers = 1, .max_blocking_threads = 1});
    for (int i = 0; i < 2; i++) job_waiters[i] = trt_spawn_on(runtime, job_waiter);
    a = thread(0, aborts_job_waiters);
    for (int i = 0; i < 2; i++) {
        int out = 0;
        trt_status_code status = trt_join_thread(job_waiters[i], &out);
        MODEL_CHECK(status == TRT_OK ? out == 1 || out == -1 : status == TRT_CANCELLED);
    }
    model_join(a);
    finish();
    MODEL_CHECK(COUNTED(cleanups) == 2);
}

/* A thread from outside aborts queued jobs. Who joins the last of them frees the runtime at once. */
struct holds_up { int unused; };
trt_blocking_fn(int, holds_up)
{
    (void)self;
    while (!TRT_LOAD_(&seen, acquire)) trt_os_wait_(&seen, 0, TRT_FOREVER_);
    return 1;
}
static trt_handle(job) queued_jobs[2];
static void skips_jobs(void)
{
    for (int i = 0; i < 2; i++) trt_abort(queued_jobs[i]);
}
static void pool_skip_free(void)
{
    unsigned long a;
    start((trt_config){.workers = 1, .max_blocking_threads = 1});
    trt_detach(trt_spawn_blocking_on(runtime, holds_up));
    for (int i = 0; i < 2; i++) queued_jobs[i] = trt_spawn_blocking_on(runtime, job, .v = 1);
    a = thread(0, skips_jobs);
    for (int i = 0; i < 2; i++) MODEL_CHECK(trt_join_thread(queued_jobs[i], NULL) == TRT_CANCELLED);
    COUNT(seen);
    trt_os_wake_(&seen, INT_MAX);
    MODEL_CHECK(trt_runtime_free(runtime) == TRT_OK);
    model_join(a);
}

/* Jobs that wait for each other: each gets a thread, one that is idle, is leaving, or has yet to be started. */
struct meets { uint32_t all; };
trt_blocking_fn(int, meets)
{
    COUNT(seen);
    trt_os_wake_(&seen, INT_MAX);
    for (uint32_t n; (n = TRT_LOAD_(&seen, acquire)) < self->all;) trt_os_wait_(&seen, n, TRT_FOREVER_);
    return 1;
}
static trt_handle(meets) met[3];
static void calls_meeting(void) { met[2] = trt_spawn_blocking_on(runtime, meets, .all = 3); }
static void pool_together(void)
{
    unsigned long a;
    start((trt_config){.workers = 1, .max_blocking_threads = 3, .blocking_keep_alive = trt_ms(1)});
    MODEL_CHECK(trt_join_thread(trt_spawn_blocking_on(runtime, job, .v = 1), NULL) == TRT_OK);
    a = thread(0, calls_meeting);
    for (int i = 0; i < 2; i++) met[i] = trt_spawn_blocking_on(runtime, meets, .all = 3);
    model_join(a);
    for (int i = 0; i < 3; i++) MODEL_CHECK(trt_join_thread(met[i], NULL) == TRT_OK);
    finish();
}

/* No thread can be made for the pool, or only the first. */
static void pool_refused(void)
{
    trt_handle(job) h;
    int out = 0;
    trt_status_code status;
    start_workers(1);
    model_refuse_threads(model_choose(2));
    h = trt_spawn_blocking_on(runtime, job, .v = 4);
    status = trt_join_thread(h, &out);
    MODEL_CHECK(status == TRT_NO_MEMORY || (status == TRT_OK && out == 4));
    status = trt_block_on(runtime, job_waiter, &out);
    MODEL_CHECK(status == TRT_OK);
    finish();
}

/* Who sees that it is to end sees what was written before: a task in its poll, a job that is awaited, or
 * in a set, or joined. */
static int why; /* plain */
static void heed(void)
{
    COUNT(seen);
    for (int i = 0; i < 6; i++) {
        if (trt_cancelled()) {
            MODEL_CHECK(why == 5);
            return;
        }
        model_yield();
    }
}
struct heeding { int unused; };
trt_blocking_fn(int, heeding)
{
    (void)self;
    heed();
    return 1;
}
struct heeds { int how; trt_job(heeding) job; trt_join_set(heeding) set; };
trt_async(int, heeds)
{
    trt_body {
        if (self->how == 0) heed();
        if (self->how == 1) trt_await(trt_blocking(heeding, &self->job));
        if (self->how == 2) {
            trt_spawn_blocking_in(&self->set, heeding);
            trt_await(trt_yield());
            why = 5;
            trt_abort_all(&self->set);
            trt_await(trt_join_next(&self->set, NULL));
        }
        trt_return(1);
    }
}
static trt_handle(heeds) heeds_it;
static trt_handle(heeding) heeding_it;
static void says_why(void)
{
    if (trt_spawned(heeds_it)) while (!COUNTED(seen)) model_yield(); /* then it waits, if it is for a job */
    why = 5;
    trt_abort(heeds_it);
    trt_abort(heeding_it);
}
static void abort_seen(void)
{
    unsigned long a;
    int how = model_choose(4);
    why = 0;
    start_workers(1);
    memset(&heeds_it, 0, sizeof heeds_it);
    memset(&heeding_it, 0, sizeof heeding_it);
    if (how < 3) heeds_it = trt_spawn_on(runtime, heeds, .how = how);
    else heeding_it = trt_spawn_blocking_on(runtime, heeding);
    a = how != 2 ? thread(0, says_why) : 0;
    if (how < 3) (void)trt_join_thread(heeds_it, NULL);
    else (void)trt_join_thread(heeding_it, NULL);
    if (how != 2) model_join(a);
    finish();
}

/* ---- forks ---- */

struct fib { int n, a, b; };
trt_async_decl(int, fib);
trt_async_def(int, fib)
{
    trt_body {
        if (self->n < 2) trt_return(self->n);
        trt_fork(fib, &self->a, .n = self->n - 1);
        trt_fork(fib, &self->b, .n = self->n - 2);
        trt_await_ok(trt_sync());
        trt_return(self->a + self->b);
    }
    trt_cleanup { COUNT(cleanups); }
}
static void fork_sync(void)
{
    int out = 0;
    start_workers(2);
    MODEL_CHECK(trt_block_on(runtime, fib, &out, .n = 4) == TRT_OK && out == 3);
    MODEL_CHECK(COUNTED(cleanups) == 9);
    finish();
}

/* The scope is aborted, or left without a sync; the forks end before its cleanup. */
struct scope { int a, b, c, early, *cleaned; };
trt_async(int, scope)
{
    trt_body {
        trt_fork(yields, &self->a, .n = 1, .v = 1);
        trt_fork(yields, &self->b, .n = 2, .v = 2);
        trt_fork(yields, &self->c, .n = 0, .v = 3);
        if (self->early) trt_return(0);
        trt_await_ok(trt_sync());
        trt_return(self->a + self->b + self->c);
    }
    trt_cleanup { MODEL_CHECK(COUNTED(cleanups) == 3 || COUNTED(cleanups) == 0); }
}
static trt_handle(scope) scoped;
static void aborts_scope(void) { trt_abort(scoped); }
static void fork_abort(void)
{
    unsigned long a;
    int out = 0;
    trt_status_code status;
    start_workers(2);
    scoped = trt_spawn_on(runtime, scope, .early = model_choose(2));
    a = thread(0, aborts_scope);
    status = trt_join_thread(scoped, &out);
    MODEL_CHECK(status == TRT_OK ? out == 6 || out == 0 : status == TRT_CANCELLED);
    model_join(a);
    finish();
}

/* Without memory for the deque, a fork is a strand like any other. */
struct forks_on { int a, b, c; };
trt_async(int, forks_on)
{
    trt_body {
        trt_fork(yields, &self->a, .v = 1);
        trt_fork(yields, &self->b, .v = 2);
        model_refuse_memory(0);
        trt_fork(yields, &self->c, .v = 3);
        model_refuse_memory(-1);
        trt_await_ok(trt_sync());
        trt_return(self->a + self->b + self->c);
    }
}
static void fork_overflow(void)
{
    int out = 0;
    start_workers(2);
    MODEL_CHECK(trt_block_on(runtime, forks_on, &out) == TRT_OK && out == 6);
    finish();
    MODEL_CHECK(COUNTED(cleanups) == 3);
}

/* The only fork is such a strand, and has ended before anybody looks: at a sync, or when its scope ends. */
static trt_join_set(yields) idle;
struct forks_late { int a; bool sync; };
trt_async(int, forks_late)
{
    trt_body {
        trt_spawn_in(&idle, yields); /* of the same size, so that there is memory for the fork itself */
        trt_detach_all(&idle);
        model_refuse_memory(0);
        trt_fork(yields, &self->a, .v = 4);
        model_refuse_memory(-1);
        for (int i = 0; i < 4; i++) model_yield();
        if (!self->sync) trt_return(4);
        trt_await_ok(trt_sync());
        trt_return(self->a);
    }
}
static void fork_late(void)
{
    int out = 0;
    memset(&idle, 0, sizeof idle);
    start_workers(2);
    MODEL_CHECK(trt_block_on(runtime, forks_late, &out, .sync = model_choose(2)) == TRT_OK && out == 4);
    finish();
    MODEL_CHECK(COUNTED(cleanups) == 2);
}

/* ---- any, all, deadlines ---- */

typedef trt_channel(int) ints;
static ints channel;
struct chooses { int x, y, got; trt_frame(yields) child; };
trt_async(int, chooses)
{
    trt_body {
        trt_await_any(trt_recv(&channel, &self->x), trt_notified(&bell), trt_sleep(trt_ms(1)));
        if (trt_chosen() == 0 && trt_status() == TRT_OK) self->got++;
        trt_await(trt_within(trt_ms(1), trt_recv(&channel, &self->y)));
        MODEL_CHECK(trt_status() == TRT_OK || trt_status() == TRT_TIMED_OUT);
        if (trt_status() == TRT_OK) self->got++;
        trt_await_all(trt_call(yields, &self->child, .n = 1, .v = 3), trt_yield());
        MODEL_CHECK(self->child.out == 3);
        trt_return(self->got);
    }
}
static void sends_two(void)
{
    MODEL_CHECK(trt_send_thread(&channel, &(int){1}) == TRT_OK);
    trt_notify_one(&bell);
    MODEL_CHECK(trt_try_send(&channel, &(int){2}) != TRT_CLOSED);
}
static void any_within(void)
{
    unsigned long a;
    int got = 0, left;
    start_workers(2);
    memset(&bell, 0, sizeof bell);
    MODEL_CHECK(trt_channel_init(&channel, 2) == TRT_OK);
    a = thread(0, sends_two);
    MODEL_CHECK(trt_block_on(runtime, chooses, &got) == TRT_OK);
    model_join(a);
    for (left = 0; trt_try_recv(&channel, NULL) == TRT_OK;) left++;
    MODEL_CHECK(got + left == 2);
    finish();
    trt_channel_free(&channel);
}

/* Losers that take time: a called child with a cleanup that awaits, a running job. */
struct lingers { int x; };
trt_async(int, lingers)
{
    trt_body { trt_await(trt_sleep_until(INT64_MAX)); }
    trt_cleanup {
        trt_await(trt_yield());
        COUNT(cleanups);
    }
}
struct races { trt_frame(lingers) slow; trt_frame(yields) quick; trt_job(job) job; };
trt_async(int, races)
{
    trt_body {
        trt_await_any(trt_call(lingers, &self->slow), trt_call(yields, &self->quick, .n = 1, .v = 1),
                      trt_blocking(job, &self->job, .v = 2));
        MODEL_CHECK(trt_status() == TRT_OK && trt_chosen() != 0);
        MODEL_CHECK(COUNTED(cleanups) >= 1);
        trt_return(trt_chosen());
    }
}
static trt_handle(races) racing;
static void aborts_races(void) { trt_abort(racing); }
static void any_losers(void)
{
    unsigned long a;
    trt_status_code status;
    start_workers(2);
    racing = trt_spawn_on(runtime, races);
    a = thread(0, aborts_races);
    status = trt_join_thread(racing, NULL);
    MODEL_CHECK(status == TRT_OK || status == TRT_CANCELLED);
    model_join(a);
    finish();
}

/* try_all: one fails, the rest is ended; each operation of another kind, and all may end elsewhere. */
struct fails { int n, i; };
trt_async(int, fails)
{
    trt_body {
        for (self->i = 0; self->i < self->n; self->i++) trt_await(trt_yield());
        trt_fail(TRT_FULL);
    }
    trt_cleanup { COUNT(cleanups); }
}
struct tries_all {
    trt_frame(fails) child;
    trt_handle(yields) h;
    trt_permit permit;
    int x, y;
};
static trt_semaphore none;
trt_async(int, tries_all)
{
    trt_body {
        self->h = trt_spawn(yields, .n = 1, .v = 4);
        trt_await_try_all(trt_call(fails, &self->child, .n = 1), trt_join(self->h, &self->x),
                          trt_acquire(&none, &self->permit), trt_recv(&channel, &self->y));
        MODEL_CHECK(trt_status() == TRT_FULL && trt_chosen() == 0);
        if (trt_status_of(1) != TRT_OK) trt_await(trt_join(self->h, &self->x));
        MODEL_CHECK(self->x == 4);
        trt_return(1);
    }
    trt_cleanup {
        trt_release(&self->permit);
        trt_await(trt_stop(self->h));
    }
}
static void sends_and_adds(void)
{
    (void)trt_try_send(&channel, &(int){2});
    (void)trt_add_permits(&none, 1);
}
static trt_handle(tries_all) trying;
static void aborts_trying(void) { trt_abort(trying); }
static void try_all(void)
{
    unsigned long a, b;
    trt_status_code status;
    MODEL_CHECK(trt_channel_init(&channel, 1) == TRT_OK && trt_semaphore_init(&none, 0) == TRT_OK);
    start_workers(2);
    trying = trt_spawn_on(runtime, tries_all);
    a = thread(0, sends_and_adds);
    b = thread(1, aborts_trying);
    status = trt_join_thread(trying, NULL);
    MODEL_CHECK(status == TRT_OK || status == TRT_CANCELLED);
    model_join(a);
    model_join(b);
    MODEL_CHECK(trt_available_permits(&none) == 1);
    finish();
    trt_channel_free(&channel);
}

/* ---- panics ---- */

struct breaks { int when; };
trt_async(int, breaks)
{
    trt_body {
        if (self->when) trt_await(trt_yield());
        trt_panic("broken %d", self->when);
    }
    trt_cleanup { COUNT(cleanups); }
}
struct sees_panics { trt_handle(breaks) h; int x, y; };
trt_async(int, sees_panics)
{
    trt_body {
        self->h = trt_spawn(breaks, .when = 1);
        trt_await(trt_join(self->h, &self->x));
        MODEL_CHECK(trt_status() == TRT_PANICKED && trt_failure() && strstr(trt_failure()->message, "broken 1"));
        trt_fork(breaks, &self->x, .when = 1);
        trt_fork(yields, &self->y, .n = 1, .v = 2);
        trt_fork(breaks, NULL, .when = 0);
        trt_await(trt_sync());
        MODEL_CHECK(trt_status() == TRT_PANICKED && trt_failure());
        trt_return(self->y);
    }
}
static void panics(void)
{
    int out = 0;
    start_workers(2);
    MODEL_CHECK(trt_block_on(runtime, sees_panics, &out) == TRT_OK && out == 2);
    MODEL_CHECK(trt_block_on(runtime, breaks, &out) == TRT_PANICKED && trt_failure());
    finish();
}

/* Two at once, of one group: it tells the one whose status it tells. */
struct joins_breaks { int how; trt_handle(breaks) h[2]; trt_frame(breaks) f; };
trt_async(int, joins_breaks)
{
    trt_body {
        for (int i = 0; i < 2; i++) self->h[i] = trt_spawn(breaks, .when = 1 + i);
        if (self->how == 0) trt_await_all(trt_join(self->h[0], NULL), trt_join(self->h[1], NULL));
        if (self->how == 1) trt_await_try_all(trt_join(self->h[0], NULL), trt_join(self->h[1], NULL));
        if (self->how == 2) trt_await_all(trt_join(self->h[0], NULL), trt_call(breaks, &self->f, .when = 3));
        MODEL_CHECK(self->how < 2 && trt_status() == TRT_PANICKED && trt_failure());
        MODEL_CHECK(self->how == 1 || trt_chosen() == 0);
        MODEL_CHECK(strstr(trt_failure()->message, trt_chosen() == 0 ? "broken 1" : "broken 2"));
    }
    trt_cleanup {
        MODEL_CHECK(self->how < 2 || (trt_failure() && strstr(trt_failure()->message, "broken 3")));
        for (int i = 0; i < 2; i++) trt_detach(self->h[i]);
    }
}
static void two_panics(void)
{
    int how = model_choose(3);
    start_workers(2);
    MODEL_CHECK(trt_block_on(runtime, joins_breaks, NULL, .how = how) == (how == 2 ? TRT_PANICKED : TRT_OK));
    finish();
}

/* Make the operation, look, await it: who is told by the count is not told again. */
static trt_a32_ flag;
struct looks_first { trt_op op; };
trt_async(int, looks_first)
{
    trt_body {
        for (;;) {
            self->op = trt_notified(&bell);
            if (TRT_LOAD_(&flag, relaxed)) break;
            trt_await(self->op);
        }
    }
}
static void raises(void)
{
    TRT_STORE_(&flag, 1u, relaxed);
    trt_notify_all(&bell);
}
static void notified_before(void)
{
    unsigned long a;
    memset(&bell, 0, sizeof bell);
    TRT_STORE_(&flag, 0u, relaxed);
    start_workers(1);
    a = thread(0, raises);
    MODEL_CHECK(trt_block_on(runtime, looks_first, NULL) == TRT_OK);
    model_join(a);
    finish();
}

/* ---- threads that call in ---- */

static void blocks_on(void)
{
    int sum = 0;
    MODEL_CHECK(trt_block_on(runtime, joins, &sum) == TRT_OK && sum == 3);
}
static void block_on_two(void)
{
    unsigned long a;
    start_workers(1);
    a = thread(0, blocks_on);
    blocks_on();
    model_join(a);
    finish();
}

/* Two threads drive one current-thread runtime, by turns. */
static void sleeps_and_blocks_on(void)
{
    int v = 0;
    MODEL_CHECK(trt_block_on(runtime, yields, &v, .n = 2, .v = 4) == TRT_OK && v == 4);
}
static void current_thread(void)
{
    unsigned long a;
    start((trt_config){.current_thread = true});
    a = thread(0, sleeps_and_blocks_on);
    blocks_on();
    model_join(a);
    finish();
}

/* One waits for what only the other can bring. */
struct hears { int i; };
trt_async(int, hears)
{
    trt_body {
        trt_await(trt_notified(&bell));
        trt_return(1);
    }
}
static void hears_bell(void) { MODEL_CHECK(trt_block_on(runtime, hears, NULL) == TRT_OK); }
struct tolls { trt_handle(value) h; };
trt_async(int, tolls)
{
    trt_body {
        self->h = trt_spawn(value, .v = 1);
        trt_notify_one(&bell);
        trt_await(trt_join(self->h, NULL));
    }
}
static void current_thread_handover(void)
{
    unsigned long a;
    memset(&bell, 0, sizeof bell);
    start((trt_config){.current_thread = true});
    a = thread(0, hears_bell);
    MODEL_CHECK(trt_block_on(runtime, tolls, NULL) == TRT_OK);
    model_join(a);
    finish();
}

/* Who drives runs another thread's task, and tells it; goes on only by what that one does then. */
static void current_thread_told(void)
{
    unsigned long a;
    int out = 0;
    memset(&bell, 0, sizeof bell);
    start((trt_config){.current_thread = true});
    a = thread(0, hears_bell);
    MODEL_CHECK(trt_block_on(runtime, value, &out, .v = 1) == TRT_OK && out == 1);
    trt_notify_one(&bell);
    model_join(a);
    finish();
}

/* Who drives joins a job, and is told by the job's thread. */
static void current_thread_job(void)
{
    trt_handle(job) h;
    int out = 0;
    start((trt_config){.current_thread = true});
    h = trt_spawn_blocking_on(runtime, job, .v = 4);
    MODEL_CHECK(trt_join_thread(h, &out) == TRT_OK && out == 4);
    finish();
}

/* Entries from outside, while the workers fall asleep. */
static void injects(void)
{
    trt_handle(value) h = trt_spawn_on(runtime, value, .v = 1), g = trt_spawn_on(runtime, value, .v = 2);
    int out = 0;
    MODEL_CHECK(trt_join_thread(g, &out) == TRT_OK && out == 2);
    MODEL_CHECK(trt_join_thread(h, &out) == TRT_OK && out == 1);
}
static void inject(void)
{
    unsigned long a, b;
    start_workers(2);
    a = thread(0, injects);
    b = thread(1, injects);
    injects();
    model_join(a);
    model_join(b);
    MODEL_CHECK(model_elapsed() < trt_s(1)); /* nobody was rescued by a time-out */
    finish();
}

/* Without memory for the injection queue, entries are linked through what they stand for: new ones and woken ones. */
struct needs_one { trt_permit permit; };
trt_async(int, needs_one)
{
    trt_body {
        trt_await_ok(trt_acquire(&none, &self->permit));
        trt_return(1);
    }
}
static void adds_two(void) { MODEL_CHECK(trt_add_permits(&none, 2) == TRT_OK); }
static void inject_overflow(void)
{
    unsigned long a;
    trt_handle(needs_one) h[2];
    MODEL_CHECK(trt_semaphore_init(&none, 0) == TRT_OK);
    start_workers(1);
    model_refuse_memory(1); /* but for the first slots */
    a = thread(0, adds_two);
    for (int i = 0; i < 2; i++) h[i] = trt_spawn_on(runtime, needs_one);
    for (int i = 0; i < 2; i++) MODEL_CHECK(trt_join_thread(h[i], NULL) == TRT_OK);
    model_join(a);
    finish();
}

/* Two runtimes: tasks of one join, and send to, tasks of the other; one is shut down meanwhile. */
static trt_runtime *second;
static trt_handle(yields) far;
struct joins_far { int x; };
trt_async(int, joins_far)
{
    trt_body {
        trt_await(trt_join(far, &self->x));
        MODEL_CHECK(trt_status() == TRT_OK || trt_status() == TRT_CANCELLED);
        (void)trt_try_send(&channel, &self->x);
    }
}
static void frees_second(void) { MODEL_CHECK(trt_runtime_shutdown(second, 0) != TRT_MISUSE); }
static void two_runtimes(void)
{
    unsigned long a;
    int x = 0;
    trt_config config = {.workers = 1, .stall_after = -1};
    start_workers(1);
    MODEL_CHECK(trt_channel_init(&channel, 1) == TRT_OK);
    MODEL_CHECK(trt_runtime_start(&second, &config) == TRT_OK);
    far = trt_spawn_on(second, yields, .n = 1, .v = 6);
    a = thread(0, frees_second);
    MODEL_CHECK(trt_block_on(runtime, joins_far, NULL) == TRT_OK);
    MODEL_CHECK(trt_recv_thread(&channel, &x) == TRT_OK && (x == 6 || x == 0));
    model_join(a);
    MODEL_CHECK(trt_runtime_free(second) == TRT_OK);
    finish();
    trt_channel_free(&channel);
}

/* A set in static memory, in a frame of the second runtime, has members of both. The first is freed while the other fills
 * the set again: what that has left there goes with the frame. */
struct has_both { strays set; };
trt_async(int, has_both)
{
    trt_body {
        seen_set = &self->set;
        TRT_STORE_(&seen, 1u, release);
        while (TRT_LOAD_(&seen, acquire) != 2) trt_await(trt_yield());
    }
}
static trt_frame(has_both) both_in_static_memory;
struct calls_both { int x; };
trt_async(int, calls_both)
{
    trt_body {
        trt_await(trt_call(has_both, &both_in_static_memory));
        MODEL_CHECK(trt_status() == TRT_OK && COUNTED(cleanups) == 2);
        memset(&both_in_static_memory, 0x5A, sizeof both_in_static_memory);
    }
}
static void frees_first(void)
{
    MODEL_CHECK(trt_runtime_free(runtime) == TRT_OK);
    runtime = NULL;
}
static void set_of_two_runtimes(void)
{
    unsigned long a;
    trt_handle(calls_both) h;
    trt_config config = {.workers = 1, .stall_after = -1};
    start(config);
    MODEL_CHECK(trt_runtime_start(&second, &config) == TRT_OK);
    h = trt_spawn_on(second, calls_both);
    while (!TRT_LOAD_(&seen, acquire)) model_yield();
    MODEL_CHECK(trt_block_on(runtime, fills_job, NULL, .set = seen_set) == TRT_OK);
    a = thread(0, frees_first);
    MODEL_CHECK(trt_block_on(second, fills_job, NULL, .set = seen_set) == TRT_OK);
    model_join(a);
    TRT_STORE_(&seen, 2u, release);
    MODEL_CHECK(trt_join_thread(h, NULL) == TRT_OK);
    MODEL_CHECK(trt_runtime_free(second) == TRT_OK);
    MODEL_CHECK(!TRT_LOAD_(&trt_strays_some_, relaxed));
}

/* The virtual clock waits for jobs, and jumps otherwise. */
struct virtual_task { trt_job(job) job; trt_instant start; trt_handle(job) h; };
trt_async(int, virtual_task)
{
    trt_body {
        self->start = trt_now();
        self->h = trt_spawn_blocking(job, .v = 1);
        trt_await(trt_within(trt_s(5), trt_blocking(job, &self->job, .v = 2)));
        MODEL_CHECK(trt_status() == TRT_OK && trt_now() == self->start);
        trt_await(trt_sleep(trt_s(60)));
        MODEL_CHECK(trt_now() == self->start + trt_s(60));
        trt_await(trt_join(self->h, NULL));
        trt_return(1);
    }
}
static void virtual_clock(void)
{
    start((trt_config){.virtual_clock = true, .max_blocking_threads = 2});
    MODEL_CHECK(trt_block_on(runtime, virtual_task, NULL) == TRT_OK);
    finish();
}

struct sleeper { trt_duration d; };
trt_async(int, sleeper)
{
    trt_body {
        trt_await(trt_sleep(self->d));
        trt_return(1);
    }
}

/* Two threads drive it by turns, and spawn in between: that is no deadlock, whatever fails. */
static void drives_virtual(void)
{
    int out = 0;
    trt_handle(job) h;
    trt_status_code status = trt_block_on(runtime, sleeper, &out, .d = trt_s(1));
    MODEL_CHECK(status == TRT_OK && out == 1);
    h = trt_spawn_blocking_on(runtime, job, .v = 3);
    status = trt_join_thread(h, &out);
    MODEL_CHECK((status == TRT_OK && out == 3) || status == TRT_NO_MEMORY);
}
static void rings_outside(void)
{
    drives_virtual();
    trt_notify_one(&bell);
}
static void virtual_clock_outside(void)
{
    unsigned long a;
    memset(&bell, 0, sizeof bell);
    start((trt_config){.virtual_clock = true, .max_blocking_threads = 2});
    a = thread(0, rings_outside);
    if (model_choose(2)) model_refuse_threads(0);
    drives_virtual();
    hears_bell(); /* nobody in here rings it */
    model_join(a);
    MODEL_CHECK(!TRT_LOAD_(&runtime->deadlocked, relaxed));
    finish();
}

/* Nobody is left who could ring: that is told, and the runtime gives up. */
static void virtual_clock_deadlock(void)
{
    FILE *nowhere = fopen("/dev/null", "w"), *before = stderr;
    unsigned long a;
    memset(&bell, 0, sizeof bell);
    start((trt_config){.virtual_clock = true, .max_blocking_threads = 2});
    a = thread(0, drives_virtual);
    stderr = nowhere; /* for the dump */
    MODEL_CHECK(trt_block_on(runtime, hears, NULL) == TRT_CANCELLED);
    stderr = before;
    fclose(nowhere);
    model_join(a);
    finish();
}

/* ---- shutdown ---- */

struct shuts { int x; };
trt_async(int, shuts)
{
    trt_body {
        trt_await(trt_yield());
        MODEL_CHECK(trt_runtime_shutdown(trt_current(), 0) == TRT_PENDING);
        trt_await(trt_sleep_until(INT64_MAX));
        MODEL_CHECK(!"an await completed after the shutdown");
    }
    trt_cleanup {
        trt_await(trt_yield());
        COUNT(cleanups);
    }
}
struct spawns { trt_handle(yields) h; int i, x; };
trt_async(int, spawns)
{
    trt_body {
        for (self->i = 0; self->i < 3; self->i++) {
            self->h = trt_spawn(yields, .n = 1);
            trt_await(trt_join(self->h, &self->x));
        }
    }
    trt_cleanup { trt_detach(self->h); }
}
static void shuts_down(void) { MODEL_CHECK(trt_runtime_shutdown(runtime, -1) == TRT_OK); }
static void shutdown_races(void)
{
    unsigned long a, b;
    trt_handle(shuts) h;
    trt_handle(spawns) g;
    start_workers(2);
    h = trt_spawn_on(runtime, shuts);
    g = trt_spawn_on(runtime, spawns);
    a = thread(0, shuts_down);
    b = thread(1, shuts_down);
    trt_detach(g);
    MODEL_CHECK(trt_join_thread(h, NULL) == TRT_CANCELLED);
    MODEL_CHECK(trt_block_on(runtime, value, NULL) != TRT_MISUSE);
    model_join(a);
    model_join(b);
    finish();
    MODEL_CHECK(COUNTED(cleanups) >= 1);
}

/* Waits for ever, for a thing whose waits are registered in line, or for one whose are not. */
struct stays { trt_permit permit; };
static int stays_for;
trt_async(int, stays)
{
    trt_body {
        if (stays_for == 0) trt_await(trt_sleep_until(INT64_MAX));
        else if (stays_for == 1) trt_await(trt_notified(&bell));
        else trt_await(trt_acquire(&none, &self->permit));
    }
    trt_cleanup {
        trt_await(trt_yield());
        COUNT(cleanups);
    }
}

/* What another thread spawns meanwhile, or a task of it, is aborted, or refused. */
struct spawns_too { int x; };
trt_async(int, spawns_too)
{
    trt_body { trt_detach(trt_spawn(stays)); }
}
static bool made_lingering; /* then it is aborted, and waited for */
static void spawns_lingering(void)
{
    int what = model_choose(3);
    trt_handle(stays) h;
    if (what == 0) {
        h = trt_spawn_on(runtime, stays);
        made_lingering = trt_spawned(h);
        trt_detach(h);
    }
    if (what == 1) trt_detach(trt_spawn_on(runtime, spawns_too));
    if (what == 2) trt_detach(trt_spawn_on(runtime, value)); /* it ends at once */
}
static void shutdown_unseen_of(int memory)
{
    unsigned long a;
    made_lingering = false;
    stays_for = model_choose(3);
    memset(&bell, 0, sizeof bell);
    MODEL_CHECK(trt_semaphore_init(&none, 0) == TRT_OK);
    start_workers(1);
    model_refuse_memory(memory);
    a = thread(0, spawns_lingering);
    shuts_down();
    model_join(a);
    finish();
    MODEL_CHECK(COUNTED(cleanups) <= 1 && COUNTED(cleanups) >= made_lingering);
}
static void shutdown_unseen(void) { shutdown_unseen_of(-1); }

/* Memory for slots, but not for the queue: nobody looks at `closing` before the task begins, but its first wait does. Or
 * none at all: the task that could not be made was counted. */
static void shutdown_overflow(void) { shutdown_unseen_of(model_choose(2)); }

/* A shutdown that says OK has waited for all: it does not take a child's end for another's, and who comes back from it
 * sees what was done. */
struct counts { bool job; int *done; };
trt_async(int, counts)
{
    trt_body {
        if (self->job) trt_detach(trt_spawn_blocking(job));
        else trt_detach(trt_spawn(value));
        trt_await(trt_notified(&bell));
    }
    trt_cleanup {
        trt_await(trt_yield());
        *self->done = 1;
    }
}
static void shutdown_seen(void)
{
    trt_handle(counts) h;
    int done = 0;
    memset(&bell, 0, sizeof bell);
    start_workers(2);
    h = trt_spawn_on(runtime, counts, .job = model_choose(2), .done = &done);
    if (model_choose(2)) model_yield();
    shuts_down();
    MODEL_CHECK(done && trt_is_finished(h));
    trt_detach(h);
    finish();
}

/* What is left of a cleanup at the deadline is given up; a joiner outside hears of it. */
struct stubborn { trt_permit permit; };
trt_async(int, stubborn)
{
    trt_body { trt_await(trt_sleep_until(INT64_MAX)); }
    trt_cleanup { trt_await(trt_notified(&bell)); }
}
static trt_handle(stubborn) never;
static void joins_never(void)
{
    trt_status_code status = trt_join_thread(never, NULL);
    MODEL_CHECK(status == TRT_CANCELLED);
}
static void shutdown_gives_up(void)
{
    unsigned long a;
    trt_status_code status;
    memset(&bell, 0, sizeof bell);
    start((trt_config){.workers = 2, .current_thread = model_choose(2)});
    never = trt_spawn_on(runtime, stubborn);
    a = thread(0, joins_never);
    status = trt_runtime_shutdown(runtime, trt_ms(1));
    MODEL_CHECK(status == TRT_OK || status == TRT_TIMED_OUT);
    model_join(a);
    finish();
}

/* Stops of another runtime hear of it wherever they wait: beside a joiner, or while he runs the task on his back. */
struct joins_stubborn { trt_void none; };
trt_async(int, joins_stubborn)
{
    trt_body { trt_await(trt_join(never, NULL)); }
}
struct stops_stubborn { trt_void none; };
trt_async(int, stops_stubborn)
{
    trt_body {
        trt_await(trt_stop(never));
        MODEL_CHECK(trt_status() == TRT_CANCELLED);
    }
}
/* The stops are of another runtime, whose workers do not look at the list: they have to look themselves. */
static void stops_inline_abroad(void)
{
    trt_config config = {.workers = 1, .stall_after = -1};
    trt_handle(runs_inline) running;
    trt_handle(stops_inline) stopping[2];
    int n = 1 + model_choose(2);
    start_unwatched(1);
    MODEL_CHECK(trt_runtime_start(&second, &config) == TRT_OK);
    for (int i = 0; i < n; i++) stopping[i] = trt_spawn_on(second, stops_inline);
    running = trt_spawn_on(runtime, runs_inline, .n = 0);
    for (int i = 0; i < n; i++) MODEL_CHECK(trt_join_thread(stopping[i], NULL) == TRT_OK);
    MODEL_CHECK(trt_join_thread(running, NULL) == TRT_OK);
    MODEL_CHECK(trt_runtime_free(second) == TRT_OK);
    finish();
}

static void shutdown_stops(void)
{
    unsigned long a;
    trt_config config = {.workers = 2, .stall_after = -1};
    trt_handle(stops_stubborn) stopping[2];
    memset(&bell, 0, sizeof bell);
    start_workers(1);
    MODEL_CHECK(trt_runtime_start(&second, &config) == TRT_OK);
    never = trt_spawn_on(second, stubborn);
    if (model_choose(3)) trt_detach(trt_spawn_on(second, joins_stubborn));
    else trt_detach(never);
    for (int i = 0; i < 2; i++) stopping[i] = trt_spawn_on(runtime, stops_stubborn);
    a = thread(0, frees_second);
    for (int i = 0; i < 2; i++) MODEL_CHECK(trt_join_thread(stopping[i], NULL) == TRT_OK);
    model_join(a);
    MODEL_CHECK(trt_runtime_free(second) == TRT_OK);
    finish();
}

/* It takes nothing more, whoever completes its wait while it is given up and freed. */
static void rings_for_all(void) { trt_notify_all(&bell); }
static void shutdown_left_alone(void)
{
    unsigned long a;
    bool waits;
    memset(&bell, 0, sizeof bell);
    start_workers(1);
    trt_detach(trt_spawn_on(runtime, stubborn));
    a = thread(0, rings_for_all);
    (void)trt_runtime_shutdown(runtime, trt_ms(1));
    (void)trt_latch_value_(&bell.word_);
    waits = bell.waiters_.head != NULL;
    trt_notify_unlatch_(&bell, false);
    if (waits) trt_notify_one(&bell);
    finish();
    model_join(a);
    MODEL_CHECK(!waits || TRT_LOAD_(&bell.word_, relaxed) == TRT_NOTIFY_PERMIT_);
}

/* Nor from its own workers: one comes out of a long poll as the runtime is given up, or later, hands out what it has, and
 * waits itself. When the workers have left, nothing waits any more. */
static trt_mutex late_lock;
static trt_semaphore late_permits;
static trt_a32_ late_gate;
struct late_waits { trt_guard guard; };
trt_async(int, late_waits)
{
    trt_body { trt_return(0); }
    trt_cleanup {
        trt_await(trt_lock(&late_lock, &self->guard));
        trt_unlock(&self->guard);
    }
}
struct late_holds { trt_guard guard; trt_permit permit; };
trt_async(int, late_holds)
{
    trt_body {
        trt_await(trt_lock(&late_lock, &self->guard));
        COUNT(seen);
        while (!TRT_LOAD_(&late_gate, acquire)) trt_os_wait_(&late_gate, 0, TRT_FOREVER_);
        trt_unlock(&self->guard);
    }
    trt_cleanup {
        trt_unlock(&self->guard);
        trt_await(trt_acquire_many(&late_permits, 2, &self->permit));
        trt_release(&self->permit);
    }
}
static void opens_late(void)
{
    TRT_STORE_(&late_gate, 1u, release);
    trt_os_wake_(&late_gate, INT_MAX);
}
static void shutdown_late(void)
{
    uint32_t n = 1 + (uint32_t)model_choose(2);
    bool behind = model_choose(2);
    unsigned long a = 0;
    trt_guard guard;
    trt_permit permit, other;
    memset(&late_lock, 0, sizeof late_lock);
    MODEL_CHECK(trt_semaphore_init(&late_permits, 2) == TRT_OK && trt_try_acquire(&late_permits, &permit));
    TRT_STORE_(&late_gate, 0u, relaxed);
    start_workers(n);
    trt_detach(trt_spawn_on(runtime, late_holds));
    while (!COUNTED(seen)) model_yield();
    trt_detach(trt_spawn_on(runtime, late_waits));
    if (!behind) a = thread(0, opens_late);
    MODEL_CHECK(trt_runtime_shutdown(runtime, trt_ms(1)) == TRT_TIMED_OUT); /* one of the two permits is ours */
    if (behind) opens_late();
    else model_join(a);
    trt_workers_wait_(runtime);
    /* Handed over as it was given up, it may have been before that. */
    if (behind) MODEL_CHECK(trt_try_lock(&late_lock, &guard));
    MODEL_CHECK(trt_try_acquire(&late_permits, &other));
    finish();
    MODEL_CHECK(!late_lock.base_.waiters.head && !late_permits.base_.waiters.head);
}

/* What an abort has claimed lies in a ring, or in a queue, when the time is up at once. When no worker is left, it has let
 * go; and what all the time has waited, when the shutdown is over, whoever has looked at it. */
struct claimed { trt_permit permit; };
trt_async(int, claimed)
{
    trt_body { trt_await(trt_acquire_many(&late_permits, 2, &self->permit)); }
    trt_cleanup { trt_release(&self->permit); }
}
struct waits_on { trt_permit permit; };
trt_async(int, waits_on)
{
    trt_body { trt_return(0); }
    trt_cleanup { trt_await(trt_acquire_many(&late_permits, 2, &self->permit)); }
}
static int late_permits_wanted(void)
{
    int n = 0;
    trt_latch_(&late_permits.base_.lock);
    for (trt_waiter_ *w = late_permits.base_.waiters.head; w; w = w->next) n++;
    trt_unlatch_(&late_permits.base_.lock);
    return n;
}
static bool late_quiet;
static void shuts_late(void)
{
    (void)trt_runtime_shutdown(runtime, model_choose(2) ? 0 : trt_us(10));
    if (late_quiet) MODEL_CHECK(!late_permits_wanted());
}
static void blocks_late(void) { (void)trt_block_on(runtime, waits_on, NULL); }
static void shutdown_lets_go(void)
{
    trt_config config = {.workers = 2, .current_thread = model_choose(2)};
    bool waits = model_choose(2);
    unsigned long a = 0, b = 0;
    trt_permit permit, other;
    MODEL_CHECK(trt_semaphore_init(&late_permits, 2) == TRT_OK && trt_try_acquire(&late_permits, &permit));
    start(config);
    for (int i = 0; i < 3; i++) {
        if (waits) trt_detach(trt_spawn_on(runtime, waits_on));
        else trt_detach(trt_spawn_on(runtime, claimed));
    }
    if (config.current_thread && model_choose(2)) a = thread(0, blocks_late);
    late_quiet = waits && !config.current_thread && model_choose(2);
    while (late_quiet && late_permits_wanted() < 3) model_yield();
    if (model_choose(2)) b = thread(1, shuts_late);
    shuts_late();
    if (config.current_thread && !a && !b) MODEL_CHECK(!late_permits_wanted());
    if (a) model_join(a);
    if (b) model_join(b);
    trt_workers_wait_(runtime);
    MODEL_CHECK(trt_try_acquire(&late_permits, &other));
    finish();
}

/* Nor is it handed anything, or queued, by who comes from outside as the runtime is given up: by an abort, by the
 * completion of one branch, or by what its own worker lets go of. */
static trt_handle(claimed) late_victim;
static void aborts_late(void) { trt_abort(late_victim); }
static void rings_late(void) { trt_notify_one(&bell); }
struct wants_either { size_t n; trt_permit permit; };
trt_async(int, wants_either)
{
    trt_body { trt_return(0); }
    trt_cleanup {
        trt_await_any(trt_notified(&bell), trt_acquire_many(&late_permits, self->n, &self->permit));
        trt_release(&self->permit);
    }
}
static void shutdown_hands_on(void)
{
    int how = model_choose(3), waiting = how == 2 ? 2 : 1;
    unsigned long a = 0;
    trt_permit permit, other;
    memset(&bell, 0, sizeof bell);
    MODEL_CHECK(trt_semaphore_init(&late_permits, 2) == TRT_OK && trt_try_acquire(&late_permits, &permit));
    start_workers(1);
    if (how == 0) late_victim = trt_spawn_on(runtime, claimed);
    else trt_detach(trt_spawn_on(runtime, wants_either, .n = 2));
    while (late_permits_wanted() < 1) model_yield();
    if (how == 2) trt_detach(trt_spawn_on(runtime, wants_either, .n = 1));
    while (late_permits_wanted() < waiting) model_yield();
    if (how != 2) a = thread(0, how ? rings_late : aborts_late);
    (void)trt_runtime_shutdown(runtime, 0);
    trt_workers_wait_(runtime);
    MODEL_CHECK(!late_permits_wanted() && trt_try_acquire(&late_permits, &other));
    if (a) model_join(a);
    MODEL_CHECK(!late_permits_wanted());
    if (how == 0) trt_detach(late_victim);
    finish();
    MODEL_CHECK(!bell.waiters_.head);
}

/* A shutdown of a current-thread runtime that says that all is over: so it is, whoever drove it meanwhile. */
struct ends_slowly { trt_void none; };
trt_async(int, ends_slowly)
{
    trt_body {
        COUNT(seen);
        trt_return(5);
    }
    trt_cleanup { trt_await(trt_yield()); }
}
static trt_handle(ends_slowly) slow;
static void joins_slow(void) { (void)trt_join_thread(slow, NULL); }
static void shuts_without_limit(void) { MODEL_CHECK(trt_runtime_shutdown(runtime, -1) == TRT_OK); }
static void shutdown_over_current(void)
{
    bool joined = model_choose(2);
    unsigned long a;
    int value = 0;
    start((trt_config){.current_thread = true});
    slow = trt_spawn_on(runtime, ends_slowly);
    a = thread(0, joined ? joins_slow : shuts_without_limit);
    while (model_choose(2) && !(joined ? COUNTED(seen) : TRT_LOAD_(&runtime->closing, seq_cst))) model_yield();
    if (model_choose(2)) trt_detach(trt_spawn_on(runtime, ends_slowly)); /* it may be refused */
    shuts_without_limit();
    MODEL_CHECK(trt_is_finished(slow));
    if (!joined && trt_join_thread(slow, &value) == TRT_OK) MODEL_CHECK(value == 5);
    model_join(a);
    finish();
}

/* Whoever spawns a job from outside may find the runtime freed behind it: it is over, and somebody has heard of that. */
struct tells_all { int x; };
trt_blocking_fn(int, tells_all)
{
    COUNT(seen);
    trt_os_wake_(&seen, INT_MAX);
    return self->x;
}
static void spawns_telling(void) { (void)trt_spawned(trt_spawn_blocking_on(runtime, tells_all, .x = 1)); }
static void free_behind_job(void)
{
    unsigned long a;
    start_workers(1);
    a = thread(0, spawns_telling);
    while (!TRT_LOAD_(&seen, acquire)) trt_os_wait_(&seen, 0, TRT_FOREVER_);
    finish();
    model_join(a);
}

/* A job that is spawned from outside as the shutdown begins is refused, skipped, or asked to stop. */
struct polite { int x; };
trt_blocking_fn(int, polite)
{
    while (!trt_cancelled()) model_yield();
    return 1;
}
static void spawns_polite(void) { trt_detach(trt_spawn_blocking_on(runtime, polite, .x = 1)); }
static void shutdown_meets_a_job(void)
{
    unsigned long a;
    start_workers(1);
    a = thread(0, spawns_polite);
    MODEL_CHECK(trt_runtime_shutdown(runtime, -1) == TRT_OK);
    model_join(a);
    finish();
}

/* Jobs that run, wait in the queue, or come too late. */
struct held { trt_a32_ *gate; };
trt_blocking_fn(int, held)
{
    COUNT(seen);
    trt_os_wake_(&seen, INT_MAX);
    while (!TRT_LOAD_(self->gate, acquire)) trt_os_wait_(self->gate, 0, TRT_FOREVER_);
    return 1;
}
static trt_a32_ gate;
static void opens(void)
{
    TRT_STORE_(&gate, 1u, release);
    trt_os_wake_(&gate, INT_MAX);
}
static void shutdown_jobs(void)
{
    trt_handle(held) h;
    trt_handle(job) g;
    unsigned long a;
    trt_status_code status;
    TRT_STORE_(&gate, 0u, relaxed);
    start((trt_config){.workers = 1, .max_blocking_threads = 1, .blocking_keep_alive = trt_ms(1)});
    h = trt_spawn_blocking_on(runtime, held, .gate = &gate);
    g = trt_spawn_blocking_on(runtime, job, .v = 1);
    a = thread(0, opens);
    status = trt_runtime_shutdown(runtime, model_choose(2) ? -1 : trt_ms(1));
    MODEL_CHECK(status == TRT_OK || status == TRT_TIMED_OUT);
    status = trt_join_thread(h, NULL);
    MODEL_CHECK(status == TRT_OK || status == TRT_CANCELLED);
    status = trt_join_thread(g, NULL);
    MODEL_CHECK(status == TRT_OK || status == TRT_CANCELLED);
    model_join(a);
    finish();
}

/* A second thread cannot be started, while the first becomes idle, and more comes. */
static void sees_held(void)
{
    while (!TRT_LOAD_(&seen, acquire)) trt_os_wait_(&seen, 0, TRT_FOREVER_);
}
static void joins_held(void)
{
    trt_handle(held) h = trt_spawn_blocking_on(runtime, held, .gate = &gate);
    sees_held();
    opens();
    (void)trt_join_thread(h, NULL);
    (void)trt_join_thread(trt_spawn_blocking_on(runtime, job, .v = 1), NULL);
}
static void pool_called_in_vain(void)
{
    unsigned long a;
    TRT_STORE_(&gate, 0u, relaxed);
    start((trt_config){.workers = 1, .max_blocking_threads = 3});
    a = thread(0, joins_held);
    sees_held();
    model_refuse_threads(0);
    (void)trt_join_thread(trt_spawn_blocking_on(runtime, job, .v = 1), NULL); /* refused, if the first has left */
    model_join(a);
    MODEL_CHECK(model_elapsed() < trt_s(1)); /* nobody was rescued by a time-out */
    finish();
}

/* A thread of the pool that becomes idle behind the end of all does not wait for its time to leave. */
static void pool_closed(void)
{
    start((trt_config){.workers = 1, .max_blocking_threads = 1, .blocking_keep_alive = trt_s(10)});
    trt_detach(trt_spawn_blocking_on(runtime, job, .v = 1));
    shuts_down();
    MODEL_CHECK(model_elapsed() < trt_s(1));
    finish();
}

/* A job is made on a worker when a shutdown comes: it is skipped, and its slot another's, before it was queued. */
struct posts { int unused; };
trt_async(int, posts)
{
    trt_body { (void)trt_spawn_detached(job, .v = 1); }
}
static void posts_too(void)
{
    trt_handle(job) h = trt_spawn_blocking_on(runtime, job, .v = 2);
    trt_status_code status = trt_join_thread(h, NULL);
    MODEL_CHECK(status == TRT_OK || status == TRT_CANCELLED);
}
static void shutdown_unqueued(void)
{
    unsigned long a;
    start_workers(1);
    trt_detach(trt_spawn_on(runtime, posts));
    a = thread(0, posts_too);
    shuts_down();
    model_join(a);
    finish();
}

/* A job that no thread can be made for counts for a while, and so does the thread. */
static void spawns_job(void)
{
    trt_handle(job) h = trt_spawn_blocking_on(runtime, job, .v = 1);
    trt_detach(h);
}
static void shutdown_refused(void)
{
    unsigned long a;
    start_workers(1);
    model_refuse_threads(1); /* but for this one */
    a = thread(0, spawns_job);
    if (model_choose(2)) (void)trt_runtime_shutdown(runtime, 0);
    (void)trt_runtime_shutdown(runtime, -1);
    model_join(a);
    finish();
    MODEL_CHECK(!COUNTED(seen));
}

/* Who drives waits for a job, and is told by its thread; there may be another who waits for the driver. */
static void shutdown_drives(void)
{
    unsigned long a, b;
    int two = model_choose(2);
    TRT_STORE_(&gate, 0u, relaxed);
    start((trt_config){.current_thread = true});
    trt_detach(trt_spawn_blocking_on(runtime, held, .gate = &gate));
    while (!COUNTED(seen)) model_yield();
    a = thread(0, opens);
    if (two) b = thread(1, shuts_down);
    shuts_down();
    model_join(a);
    if (two) model_join(b);
    finish();
}

/* The virtual clock goes on with the end of a job that nobody waits for, and not because it looks each second. */
struct sleeps_behind_job { trt_instant start; };
trt_async(int, sleeps_behind_job)
{
    trt_body {
        self->start = trt_now();
        trt_detach(trt_spawn_blocking(held, .gate = &gate));
        trt_await(trt_sleep(trt_s(60)));
        MODEL_CHECK(trt_now() == self->start + trt_s(60) && TRT_LOAD_(&gate, seq_cst));
        trt_return(1);
    }
}
static void virtual_clock_job(void)
{
    unsigned long a;
    TRT_STORE_(&gate, 0u, relaxed);
    start((trt_config){.virtual_clock = true});
    a = thread(0, opens);
    MODEL_CHECK(trt_block_on(runtime, sleeps_behind_job, NULL) == TRT_OK);
    MODEL_CHECK(model_elapsed() < trt_s(1));
    model_join(a);
    finish();
}

/* The clock stands still for a job, and then for who waits for it. */
struct waits_for_job { trt_handle(held) h; trt_instant start; };
trt_async(int, waits_for_job)
{
    trt_body {
        self->start = trt_now();
        self->h = trt_spawn_blocking(held, .gate = &gate);
        trt_await(trt_join(self->h, NULL));
        MODEL_CHECK(trt_now() == self->start);
        trt_return(1);
    }
}
static void virtual_clock_waits(void)
{
    unsigned long a;
    trt_handle(sleeper) h;
    TRT_STORE_(&gate, 0u, relaxed);
    start((trt_config){.virtual_clock = true});
    h = trt_spawn_on(runtime, sleeper, .d = trt_s(60));
    a = thread(0, opens);
    MODEL_CHECK(trt_block_on(runtime, waits_for_job, NULL) == TRT_OK);
    trt_abort(h);
    (void)trt_join_thread(h, NULL);
    model_join(a);
    finish();
}

/* ---- time ---- */

/* A duration counts from its await, whoever looks at the clock for it. */
struct sleeps_long_enough { trt_instant start; int i; };
trt_async(int, sleeps_long_enough)
{
    trt_body {
        for (; self->i < 3; self->i++) {
            self->start = trt_now();
            trt_await(trt_sleep(trt_ms(2)));
            MODEL_CHECK(trt_now() - self->start >= trt_ms(2));
        }
    }
}
static void never_early(void)
{
    trt_handle(sleeps_long_enough) h[2];
    int i;
    start_workers(2);
    for (i = 0; i < 2; i++) h[i] = trt_spawn_on(runtime, sleeps_long_enough, .i = i);
    for (i = 0; i < 2; i++) MODEL_CHECK(trt_join_thread(h[i], NULL) == TRT_OK);
    finish();
}

static trt_handle(sleeper) sleepers[3];
static void aborts_sleeper(void) { trt_abort(sleepers[0]); }
static void timers(void)
{
    unsigned long a;
    start_workers(2);
    sleepers[0] = trt_spawn_on(runtime, sleeper, .d = trt_ms(5));
    sleepers[1] = trt_spawn_on(runtime, sleeper, .d = trt_ms(2));
    sleepers[2] = trt_spawn_on(runtime, sleeper, .d = trt_ms(90));
    a = thread(0, aborts_sleeper);
    for (int i = 0; i < 3; i++) {
        trt_status_code status = trt_join_thread(sleepers[i], NULL);
        MODEL_CHECK(status == TRT_OK || (!i && status == TRT_CANCELLED));
    }
    model_join(a);
    MODEL_CHECK(model_elapsed() >= trt_ms(90) && model_elapsed() < trt_ms(400));
    finish();
}

/* ---- objects ---- */

static trt_a32_ sent, received;
struct producer { int i, n; };
trt_async(int, producer)
{
    trt_body {
        for (self->i = 0; self->i < self->n; self->i++) {
            trt_await_ok(trt_send(&channel, &self->i));
            COUNT(sent);
        }
    }
}
struct consumer { int x; };
trt_async(int, consumer)
{
    trt_body {
        for (;;) {
            trt_await_ok(trt_recv(&channel, &self->x));
            COUNT(received);
        }
    }
}
static trt_handle(consumer) consumers[2];
static void aborts_consumer(void) { trt_abort(consumers[0]); }
static void closes(void) { trt_channel_close(&channel); }
static void channel_races(void)
{
    unsigned long a, b;
    trt_handle(producer) p;
    uint32_t left = 0;
    TRT_STORE_(&sent, 0u, relaxed);
    TRT_STORE_(&received, 0u, relaxed);
    start_workers(2);
    MODEL_CHECK(trt_channel_init(&channel, model_choose(2) ? 1 : TRT_UNBOUNDED) == TRT_OK);
    p = trt_spawn_on(runtime, producer, .n = 3);
    for (int i = 0; i < 2; i++) consumers[i] = trt_spawn_on(runtime, consumer);
    a = thread(0, aborts_consumer);
    b = thread(1, closes);
    (void)trt_join_thread(p, NULL);
    for (int i = 0; i < 2; i++) (void)trt_join_thread(consumers[i], NULL);
    model_join(a);
    model_join(b);
    while (trt_try_recv(&channel, NULL) == TRT_OK) left++;
    MODEL_CHECK(COUNTED(sent) == COUNTED(received) + left);
    finish();
    trt_channel_free(&channel);
}

/* Plain threads at both ends, tasks between. */
struct relays { int x; ints *from, *to; };
trt_async(int, relays)
{
    trt_body {
        trt_await_ok(trt_recv(self->from, &self->x));
        trt_await_ok(trt_send(self->to, &self->x));
    }
}
static ints back;
static void sends_thread(void)
{
    for (int i = 0; i < 2; i++) MODEL_CHECK(trt_send_thread(&channel, &i) == TRT_OK);
}
static void thread_ends(void)
{
    unsigned long a;
    trt_handle(relays) h[2];
    int x = 0, sum = 0;
    start_workers(2);
    MODEL_CHECK(trt_channel_init(&channel, 1) == TRT_OK && trt_channel_init(&back, 1) == TRT_OK);
    a = thread(0, sends_thread);
    for (int i = 0; i < 2; i++) h[i] = trt_spawn_on(runtime, relays, .from = &channel, .to = &back);
    for (int i = 0; i < 2; i++) {
        MODEL_CHECK(trt_recv_thread(&back, &x) == TRT_OK);
        sum += x;
    }
    for (int i = 0; i < 2; i++) MODEL_CHECK(trt_join_thread(h[i], NULL) == TRT_OK);
    MODEL_CHECK(sum == 1);
    model_join(a);
    finish();
    trt_channel_free(&channel);
    trt_channel_free(&back);
}

/* A mutex guards plain data; one of the tasks is aborted. */
static trt_mutex mutex;
static trt_rwlock rwlock;
static int guarded, written;
struct locker { trt_guard guard; int i; };
trt_async(int, locker)
{
    trt_body {
        for (self->i = 0; self->i < 2; self->i++) {
            trt_await_ok(trt_lock(&mutex, &self->guard));
            guarded++;
            trt_await_ok(trt_yield());
            trt_unlock(&self->guard);
            trt_await_ok(trt_write_lock(&rwlock, &self->guard));
            written++;
            trt_downgrade(&self->guard);
            MODEL_CHECK(written > 0);
            trt_unlock(&self->guard);
        }
    }
    trt_cleanup { trt_unlock(&self->guard); }
}
static trt_handle(locker) lockers[3];
static void aborts_locker(void) { trt_abort(lockers[1]); }
static void locks(void)
{
    unsigned long a;
    memset(&mutex, 0, sizeof mutex);
    memset(&rwlock, 0, sizeof rwlock);
    guarded = written = 0;
    start_workers(2);
    for (int i = 0; i < 3; i++) lockers[i] = trt_spawn_on(runtime, locker);
    a = thread(0, aborts_locker);
    for (int i = 0; i < 3; i++) (void)trt_join_thread(lockers[i], NULL);
    model_join(a);
    MODEL_CHECK(trt_try_lock(&mutex, &(trt_guard){0}) && trt_try_write_lock(&rwlock, &(trt_guard){0}));
    MODEL_CHECK(guarded >= 4 && guarded <= 6 && written >= 4);
    finish();
}

static trt_semaphore semaphore;
struct taker { size_t n; trt_permit permit; };
trt_async(int, taker)
{
    trt_body {
        trt_await_ok(trt_acquire_many(&semaphore, self->n, &self->permit));
        trt_await_ok(trt_yield());
        trt_return(1);
    }
    trt_cleanup { trt_release(&self->permit); }
}
static trt_handle(taker) takers[3];
static void aborts_taker(void) { trt_abort(takers[1]); }
static void closes_semaphore(void) { trt_semaphore_close(&semaphore); }
static void permits(void)
{
    unsigned long a, b = 0;
    bool close = model_choose(2);
    MODEL_CHECK(trt_semaphore_init(&semaphore, 2) == TRT_OK);
    start_workers(2);
    takers[0] = trt_spawn_on(runtime, taker, .n = 1);
    takers[1] = trt_spawn_on(runtime, taker, .n = 2);
    takers[2] = trt_spawn_on(runtime, taker, .n = 1);
    a = thread(0, aborts_taker);
    if (close) b = thread(1, closes_semaphore);
    for (int i = 0; i < 3; i++) {
        trt_status_code status = trt_join_thread(takers[i], NULL);
        MODEL_CHECK(status == TRT_OK || (i == 1 && status == TRT_CANCELLED) || (close && status == TRT_CLOSED));
    }
    model_join(a);
    if (close) model_join(b);
    MODEL_CHECK(trt_available_permits(&semaphore) == 2);
    finish();
}

typedef trt_oneshot(int) answer;
typedef trt_broadcast(int) news;
typedef trt_subscriber(int) reader;
typedef trt_watch(int) latest;
typedef trt_follower(int) follower;
static answer reply;
static news paper;
static latest state;
static trt_barrier barrier;
static trt_once once;
static int initialised;
struct member { bool leader, first; int x, index; reader sub; follower follower; };
trt_async(int, member)
{
    trt_body {
        trt_subscribe(&paper, &self->sub);
        trt_watch_follow(&state, &self->follower);
        trt_await_ok(trt_once_enter(&once, &self->first));
        if (self->first) {
            trt_await_ok(trt_yield());
            initialised++;
            trt_once_done(&once);
        }
        MODEL_CHECK(initialised == 1);
        trt_await_ok(trt_barrier_wait(&barrier, &self->leader));
        if (self->leader) {
            int three = 3;
            trt_watch_send(&state, &three);
            trt_broadcast_send(&paper, &three);
            trt_oneshot_send(&reply, 3);
        }
        trt_await_ok(trt_broadcast_recv(&self->sub, &self->x));
        MODEL_CHECK(self->x == 3);
        trt_await_ok(trt_watch_changed(&self->follower, &self->x));
        MODEL_CHECK(self->x == 3);
        trt_unsubscribe(&self->sub);
        trt_return(self->leader);
    }
}
struct asks { int x; };
trt_async(int, asks)
{
    trt_body {
        trt_await_ok(trt_oneshot_recv(&reply, &self->x));
        trt_return(self->x);
    }
}
static void meeting(void)
{
    trt_handle(member) h[3];
    trt_handle(asks) q;
    int leaders = 0, x = 0;
    memset(&reply, 0, sizeof reply);
    memset(&once, 0, sizeof once);
    initialised = 0;
    MODEL_CHECK(trt_broadcast_init(&paper, 2) == TRT_OK && trt_watch_init(&state, &(int){0}) == TRT_OK);
    MODEL_CHECK(trt_barrier_init(&barrier, 3) == TRT_OK);
    start_workers(2);
    q = trt_spawn_on(runtime, asks);
    for (int i = 0; i < 3; i++) h[i] = trt_spawn_on(runtime, member, .index = i);
    for (int i = 0; i < 3; i++) {
        MODEL_CHECK(trt_join_thread(h[i], &x) == TRT_OK);
        leaders += x;
    }
    MODEL_CHECK(leaders == 1);
    MODEL_CHECK(trt_join_thread(q, &x) == TRT_OK && x == 3);
    trt_broadcast_free(&paper);
    finish();
}

static trt_token *root;
struct watcher { trt_token *token; };
trt_async(int, watcher)
{
    trt_body { trt_await_ok(trt_token_wait(self->token)); }
    trt_cleanup { trt_token_free(self->token); }
}
static void cancels(void)
{
    why = 6;
    trt_token_cancel(root);
}
static void tokens(void)
{
    unsigned long a;
    trt_handle(watcher) h[2];
    start_workers(2);
    root = trt_token_new(NULL);
    for (int i = 0; i < 2; i++) h[i] = trt_spawn_on(runtime, watcher, .token = trt_token_new(root));
    why = 0;
    a = thread(0, cancels);
    if (model_choose(2)) trt_abort(h[1]);
    for (int i = 0; i < 4; i++) {
        if (trt_token_is_cancelled(root)) MODEL_CHECK(why == 6);
        model_yield();
    }
    for (int i = 0; i < 2; i++) (void)trt_join_thread(h[i], NULL);
    model_join(a);
    trt_token_free(root);
    finish();
}

/* Those who wait are listed: then whoever cancels their tokens may free them at once. */
static trt_token *leaves[2];
struct branches { trt_token *token; bool group; };
trt_async(int, branches)
{
    trt_body {
        if (self->group) trt_await_any(trt_notified(&bell), trt_token_wait(self->token), trt_token_wait(self->token));
        else trt_await(trt_token_wait(self->token));
    }
}
static void cancels_and_frees(void)
{
    bool listed;
    trt_latch_(&root->tree->lock);
    listed = leaves[0]->waiters.head && leaves[1]->waiters.head && leaves[1]->waiters.head->next;
    trt_unlatch_(&root->tree->lock);
    trt_token_cancel(root);
    trt_token_free(root);
    for (int i = 0; i < 2 && listed; i++) trt_token_free(leaves[i]);
}
static void tokens_freed(void)
{
    unsigned long a;
    trt_handle(branches) h[2];
    memset(&bell, 0, sizeof bell);
    start_workers(2);
    root = trt_token_new(NULL);
    for (int i = 0; i < 2; i++) leaves[i] = trt_token_new(root);
    for (int i = 0; i < 2; i++) h[i] = trt_spawn_on(runtime, branches, .token = leaves[i], .group = i);
    for (int i = 0; i < 4; i++) model_yield();
    a = thread(0, cancels_and_frees);
    if (model_choose(2)) trt_notify_one(&bell);
    if (model_choose(2)) trt_abort(h[model_choose(2)]);
    for (int i = 0; i < 2; i++) (void)trt_join_thread(h[i], NULL);
    model_join(a);
    finish();
    for (int i = 0; i < 2; i++) trt_token_free(leaves[i]);
}

/* ---- fds ---- */

static int fd;
struct reads { int n; };
trt_async(int, reads)
{
    trt_body {
        trt_await_ok(trt_readable(fd));
        trt_return(1);
    }
}
static trt_handle(reads) readers[2];
static void makes_ready(void) { model_fd_ready(fd, 1 /* EPOLLIN */); }
static void aborts_reader(void) { trt_abort(readers[0]); }
static void fds(void)
{
    unsigned long a, b;
    start_workers(2);
    fd = model_fd();
    for (int i = 0; i < 2; i++) readers[i] = trt_spawn_on(runtime, reads);
    sleepers[0] = trt_spawn_on(runtime, sleeper, .d = trt_ms(3));
    a = thread(0, makes_ready);
    b = thread(1, aborts_reader);
    for (int i = 0; i < 2; i++) {
        trt_status_code status = trt_join_thread(readers[i], NULL);
        MODEL_CHECK(status == TRT_OK || (!i && status == TRT_CANCELLED));
    }
    MODEL_CHECK(trt_join_thread(sleepers[0], NULL) == TRT_OK);
    model_join(a);
    model_join(b);
    MODEL_CHECK(model_elapsed() < trt_ms(400));
    finish();
}

/* Another worker does its rounds while the first wait for an fd opens the poller. */
static void fds_beside(void)
{
    unsigned long a;
    trt_handle(yields) h;
    trt_handle(reads) g;
    start_workers(2);
    fd = model_fd();
    h = trt_spawn_on(runtime, yields, .n = 12, .v = 1);
    g = trt_spawn_on(runtime, reads);
    a = thread(0, makes_ready);
    MODEL_CHECK(trt_join_thread(g, NULL) == TRT_OK);
    MODEL_CHECK(trt_join_thread(h, NULL) == TRT_OK);
    model_join(a);
    finish();
}

/* The second wait of a task makes no system call: what was left is found all the same, and so is what comes later, in
 * this file or in another of the same number. */
static trt_a32_ may_go;
static int fd_first;
static void makes_first_ready(void) { model_fd_ready(fd_first, 1); }
static void makes_ready_when_told(void)
{
    while (!TRT_LOAD_(&may_go, acquire)) trt_os_wait_(&may_go, 0, TRT_FOREVER_);
    model_fd_ready(fd, 1);
}
struct reads_twice { int how; };
trt_async(int, reads_twice)
{
    trt_body {
        trt_await_ok(trt_readable(fd));
        self->how = model_choose(3);
        if (self->how == 1) model_fd_unready(fd, 1);
        if (self->how == 2) {
            model_sys_close(fd);
            fd = model_fd();
        }
        TRT_STORE_(&may_go, 1u, release);
        trt_os_wake_(&may_go, INT_MAX);
        trt_await_ok(trt_readable(fd));
        trt_return(1);
    }
}
static void fds_twice(void)
{
    trt_handle(reads_twice) h;
    unsigned long a, b;
    TRT_STORE_(&may_go, 0u, relaxed);
    start_workers(2);
    fd = fd_first = model_fd();
    h = trt_spawn_on(runtime, reads_twice);
    a = thread(0, makes_first_ready);
    b = thread(1, makes_ready_when_told);
    MODEL_CHECK(trt_join_thread(h, NULL) == TRT_OK);
    model_join(a);
    model_join(b);
    MODEL_CHECK(model_elapsed() < trt_ms(60));
    finish();
}

/* Each worker has a poller, and an fd moves to that of the worker where it is awaited: whoever sleeps or looks, every
 * event arrives. */
static trt_a32_ told[2];
static int fd_of_task[2];
static void makes_two_ready(void)
{
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 2; i++) {
            uint32_t now;
            while ((now = TRT_LOAD_(&told[i], acquire)) <= (uint32_t)round) trt_os_wait_(&told[i], now, TRT_FOREVER_);
            model_fd_ready(fd_of_task[i], 1);
        }
    }
}
struct reads_rounds { int i, round; };
trt_async(int, reads_rounds)
{
    trt_body {
        for (self->round = 0; self->round < 2; self->round++) {
            if (model_choose(2)) trt_await(trt_yield()); /* it may be stolen */
            TRT_STORE_(&told[self->i], (uint32_t)self->round + 1, release);
            trt_os_wake_(&told[self->i], INT_MAX);
            trt_await_ok(trt_readable(fd_of_task[self->i]));
            model_fd_unready(fd_of_task[self->i], 1);
        }
        trt_return(1);
    }
}
static void fds_move(void)
{
    trt_handle(reads_rounds) h[2];
    trt_handle(yields) y;
    unsigned long a;
    for (int i = 0; i < 2; i++) TRT_STORE_(&told[i], 0u, relaxed);
    start_workers(2);
    for (int i = 0; i < 2; i++) fd_of_task[i] = model_fd();
    y = trt_spawn_on(runtime, yields, .n = 8, .v = 1);
    for (int i = 0; i < 2; i++) h[i] = trt_spawn_on(runtime, reads_rounds, .i = i);
    a = thread(0, makes_two_ready);
    for (int i = 0; i < 2; i++) MODEL_CHECK(trt_join_thread(h[i], NULL) == TRT_OK);
    MODEL_CHECK(trt_join_thread(y, NULL) == TRT_OK);
    model_join(a);
    MODEL_CHECK(model_elapsed() < trt_ms(60));
    finish();
}

/* On the virtual clock, what is ready comes before the next timer. */
struct task_makes_ready { int x; };
trt_async(int, task_makes_ready)
{
    trt_body { makes_ready(); }
}
struct reads_in_time { trt_instant start; };
trt_async(int, reads_in_time)
{
    trt_body {
        self->start = trt_now();
        trt_detach(trt_spawn(task_makes_ready)); /* runs when this waits */
        trt_await(trt_within(trt_s(5), trt_readable(fd)));
        MODEL_CHECK(trt_status() == TRT_OK && trt_now() == self->start);
        model_fd_unready(fd, 1);
        trt_await(trt_within(trt_s(5), trt_readable(fd)));
        MODEL_CHECK(trt_status() == TRT_TIMED_OUT && trt_now() == self->start + trt_s(5));
        trt_return(1);
    }
}
static void virtual_clock_fds(void)
{
    start((trt_config){.virtual_clock = true});
    fd = model_fd();
    MODEL_CHECK(trt_block_on(runtime, reads_in_time, NULL) == TRT_OK);
    finish();
}

/* ---- the watch thread, and what looks from outside ---- */

static trt_a32_ helped;
struct helper { int x; };
trt_async(int, helper)
{
    trt_body {
        TRT_STORE_(&helped, 1u, release);
        trt_os_wake_(&helped, INT_MAX);
    }
}
struct hogs { trt_handle(helper) h; };
trt_async(int, hogs)
{
    trt_body {
        self->h = trt_spawn(helper); /* in the LIFO slot, behind a task that will not give way */
        while (!TRT_LOAD_(&helped, acquire)) trt_os_wait_(&helped, 0, TRT_FOREVER_);
        trt_await(trt_join(self->h, NULL));
        trt_return(1);
    }
}
static void rescue(void)
{
    TRT_STORE_(&helped, 0u, relaxed);
    start_workers(2);
    MODEL_CHECK(trt_block_on(runtime, hogs, NULL) == TRT_OK);
    finish();
}

/* A task whose budget is used up goes behind one that will not give way. Nobody was told, as both seemed quick. */
static trt_notify bells[2];
struct rings_out { int which; };
trt_async(int, rings_out)
{
    trt_body {
        trt_await_ok(trt_notified(&bells[self->which]));
        while (self->which && !TRT_LOAD_(&helped, acquire)) trt_os_wait_(&helped, 0, TRT_FOREVER_);
        trt_return(1);
    }
}
struct uses_up { trt_handle(rings_out) h[2]; trt_semaphore permits; trt_permit permit; int i; };
trt_async(int, uses_up)
{
    trt_body {
        trt_semaphore_init(&self->permits, 1);
        for (self->i = 0; self->i < 2; self->i++) self->h[self->i] = trt_spawn(rings_out, .which = self->i);
        trt_await(trt_yield());
        for (self->i = 0; self->i < 10; self->i++) { /* the hog is behind it in the LIFO slot */
            if (self->i % 5 == 0) trt_notify_one(&bells[self->i / 5]);
            trt_await_ok(trt_acquire(&self->permits, &self->permit));
            trt_release(&self->permit);
        }
        TRT_STORE_(&helped, 1u, release);
        trt_os_wake_(&helped, INT_MAX);
        for (self->i = 0; self->i < 2; self->i++) trt_await_ok(trt_join(self->h[self->i], NULL));
        trt_return(1);
    }
}
static void rescue_requeued(void)
{
    TRT_STORE_(&helped, 0u, relaxed);
    memset(bells, 0, sizeof bells);
    start_workers(2);
    MODEL_CHECK(trt_block_on(runtime, uses_up, NULL) == TRT_OK);
    finish();
}

/* A task that was found, in the injection queue or at another worker, will not give way: its worker counts no longer as
 * one that searches, and what comes then finds another. */
struct hog { int i; };
trt_async(int, hog)
{
    trt_body {
        COUNT(seen);
        while (!TRT_LOAD_(&helped, acquire)) trt_os_wait_(&helped, 0, TRT_FOREVER_);
        trt_return(1);
    }
}
static void hog_injected(void)
{
    trt_handle(hog) h;
    trt_handle(helper) g;
    TRT_STORE_(&helped, 0u, relaxed);
    start_unwatched(2);
    MODEL_CHECK(trt_block_on(runtime, yields, NULL, .n = model_choose(8)) == TRT_OK); /* found in any turn */
    h = trt_spawn_on(runtime, hog);
    g = trt_spawn_on(runtime, helper);
    MODEL_CHECK(trt_join_thread(h, NULL) == TRT_OK && trt_join_thread(g, NULL) == TRT_OK);
    finish();
}
struct two_hogs { trt_handle(hog) h; trt_handle(helper) g; };
trt_async(int, two_hogs)
{
    trt_body {
        self->h = trt_spawn(hog); /* stolen */
        self->g = trt_spawn(helper); /* in the slot: rescued */
        while (!TRT_LOAD_(&helped, acquire)) trt_os_wait_(&helped, 0, TRT_FOREVER_);
        trt_await(trt_join(self->h, NULL));
        trt_await(trt_join(self->g, NULL));
        trt_return(1);
    }
}
static void hog_stolen(void)
{
    TRT_STORE_(&helped, 0u, relaxed);
    start_workers(3);
    MODEL_CHECK(trt_block_on(runtime, two_hogs, NULL) == TRT_OK);
    finish();
}

/* A shutdown does not wait for a hog. Once it is seen that the hog has ended all the same, the next one knows it. */
static void shutdown_again(void)
{
    trt_handle(hog) h;
    TRT_STORE_(&helped, 0u, relaxed);
    start_workers(2);
    h = trt_spawn_on(runtime, hog);
    while (!COUNTED(seen)) model_yield();
    MODEL_CHECK(trt_runtime_shutdown(runtime, 0) == TRT_TIMED_OUT);
    TRT_STORE_(&helped, 1u, release);
    trt_os_wake_(&helped, INT_MAX);
    while (!trt_is_finished(h)) model_yield();
    MODEL_CHECK(trt_runtime_shutdown(runtime, 0) == TRT_OK);
    trt_detach(h);
    finish();
}

/* What a task wakes or forks before it will not give way is for the others. */
struct listens { trt_permit permit; };
trt_async(int, listens)
{
    trt_body {
        COUNT(seen);
        trt_await(trt_acquire(&none, &self->permit));
        TRT_STORE_(&helped, 1u, release);
        trt_os_wake_(&helped, INT_MAX);
    }
}
struct rings_and_hogs { trt_handle(listens) h[2]; };
trt_async(int, rings_and_hogs)
{
    trt_body {
        for (int i = 0; i < 2; i++) self->h[i] = trt_spawn(listens);
        while (COUNTED(seen) < 2) trt_await(trt_yield());
        trt_semaphore_close(&none);
        while (!TRT_LOAD_(&helped, acquire)) trt_os_wait_(&helped, 0, TRT_FOREVER_);
        trt_await(trt_join(self->h[0], NULL));
        trt_await(trt_join(self->h[1], NULL));
        trt_return(1);
    }
}
static void hog_wakes(void)
{
    MODEL_CHECK(trt_semaphore_init(&none, 0) == TRT_OK);
    TRT_STORE_(&helped, 0u, relaxed);
    start_unwatched(2);
    MODEL_CHECK(trt_block_on(runtime, rings_and_hogs, NULL) == TRT_OK);
    finish();
}
struct forks_and_hogs { int i; };
trt_async(int, forks_and_hogs)
{
    trt_body {
        trt_fork(helper, NULL);
        while (!TRT_LOAD_(&helped, acquire)) trt_os_wait_(&helped, 0, TRT_FOREVER_);
        trt_await(trt_sync());
        trt_return(1);
    }
}
static void hog_forks(void)
{
    TRT_STORE_(&helped, 0u, relaxed);
    start_unwatched(2);
    MODEL_CHECK(trt_block_on(runtime, forks_and_hogs, NULL) == TRT_OK);
    finish();
}

/* One that searches has found a hog, just as another worker queues what only a third can run. */
struct queues_and_hogs { trt_handle(helper) h[2]; };
trt_async(int, queues_and_hogs)
{
    trt_body {
        for (int i = 0; i < 2; i++) self->h[i] = trt_spawn(helper); /* the first leaves the slot to the second */
        while (!TRT_LOAD_(&helped, acquire)) trt_os_wait_(&helped, 0, TRT_FOREVER_);
        for (int i = 0; i < 2; i++) trt_detach(self->h[i]);
        trt_return(1);
    }
}
static void hog_found(void)
{
    trt_handle(hog) h;
    TRT_STORE_(&helped, 0u, relaxed);
    start_unwatched(3);
    h = trt_spawn_on(runtime, hog);
    MODEL_CHECK(trt_block_on(runtime, queues_and_hogs, NULL) == TRT_OK);
    MODEL_CHECK(trt_join_thread(h, NULL) == TRT_OK);
    finish();
}

/* What is aborted, and what gives way to a hog, is for the others too. */
struct helps_when_aborted { int x; };
trt_async(int, helps_when_aborted)
{
    trt_body {
        COUNT(seen);
        trt_await(trt_sleep_until(INT64_MAX));
    }
    trt_cleanup {
        TRT_STORE_(&helped, 1u, release);
        trt_os_wake_(&helped, INT_MAX);
    }
}
struct aborts_and_hogs { trt_handle(helps_when_aborted) h; };
trt_async(int, aborts_and_hogs)
{
    trt_body {
        self->h = trt_spawn(helps_when_aborted);
        while (!COUNTED(seen)) trt_await(trt_yield());
        trt_abort(self->h);
        while (!TRT_LOAD_(&helped, acquire)) trt_os_wait_(&helped, 0, TRT_FOREVER_);
        trt_await(trt_join(self->h, NULL));
        trt_return(1);
    }
}
static void hog_aborts(void)
{
    TRT_STORE_(&helped, 0u, relaxed);
    start_unwatched(2);
    MODEL_CHECK(trt_block_on(runtime, aborts_and_hogs, NULL) == TRT_OK);
    finish();
}
struct yields_to_hog { trt_handle(hog) h; };
trt_async(int, yields_to_hog)
{
    trt_body {
        self->h = trt_spawn(hog);
        trt_await(trt_yield());
        TRT_STORE_(&helped, 1u, release);
        trt_os_wake_(&helped, INT_MAX);
        trt_await(trt_join(self->h, NULL));
        trt_return(1);
    }
}
static void hog_first(void)
{
    TRT_STORE_(&helped, 0u, relaxed);
    start_unwatched(2);
    MODEL_CHECK(trt_block_on(runtime, yields_to_hog, NULL) == TRT_OK);
    finish();
}

/* A worker that was woken to search finds that a timer of its own has made a hog ready. */
struct hogs_later { int x; };
trt_async(int, hogs_later)
{
    trt_body {
        trt_await(trt_sleep(trt_ms(1)));
        while (!TRT_LOAD_(&helped, acquire)) trt_os_wait_(&helped, 0, TRT_FOREVER_);
        trt_return(1);
    }
}
static void hog_timer(void)
{
    trt_handle(hogs_later) h;
    trt_handle(value) v;
    trt_handle(helper) g;
    TRT_STORE_(&helped, 0u, relaxed);
    start_unwatched(2);
    h = trt_spawn_on(runtime, hogs_later);
    v = trt_spawn_on(runtime, value);
    MODEL_CHECK(trt_join_thread(v, NULL) == TRT_OK);
    g = trt_spawn_on(runtime, helper);
    MODEL_CHECK(trt_join_thread(h, NULL) == TRT_OK && trt_join_thread(g, NULL) == TRT_OK);
    finish();
}

/* The watch thread sleeps when all do, and is woken with the first. */
static void rescue_after_idle(void)
{
    TRT_STORE_(&helped, 0u, relaxed);
    start_workers(2);
    MODEL_CHECK(trt_block_on(runtime, sleeper, NULL, .d = trt_ms(50)) == TRT_OK);
    MODEL_CHECK(trt_block_on(runtime, hogs, NULL) == TRT_OK);
    finish();
}

/* Read at any time, the numbers belong together well enough for what is computed from them. */
static void reads_metrics(void)
{
    trt_metrics_info m;
    trt_metrics(runtime, &m);
    MODEL_CHECK(m.tasks_alive <= 3 && m.tasks_ended <= m.tasks_spawned);
    MODEL_CHECK(m.queue_depth <= 6);
}
struct scatters { int what; };
trt_async(int, scatters)
{
    trt_body {
        if (self->what == 2) trt_detach(trt_spawn_blocking(job));
        else trt_detach(trt_spawn(value));
        if (self->what) trt_detach(trt_spawn(value));
    }
}
static void metrics(void)
{
    unsigned long a;
    int what = model_choose(4);
    start_workers(2);
    a = thread(0, reads_metrics);
    if (what == 3) MODEL_CHECK(trt_block_on(runtime, joins, NULL) == TRT_OK);
    else MODEL_CHECK(trt_block_on(runtime, scatters, NULL, .what = what) == TRT_OK);
    model_join(a);
    MODEL_CHECK(trt_runtime_shutdown(runtime, -1) == TRT_OK);
    finish();
}

static void dumps_away(void)
{
    FILE *nothing = fmemopen(NULL, 4096, "w");
    trt_dump(runtime, nothing);
    fclose(nothing);
}
static void looks(void)
{
    trt_metrics_info m;
    dumps_away();
    trt_metrics(runtime, &m);
    MODEL_CHECK(m.workers == 2);
}
static void dump(void)
{
    unsigned long a;
    start_workers(2);
    a = thread(0, looks);
    blocks_on();
    sleeps_and_blocks_on();
    model_join(a);
    MODEL_CHECK(model_elapsed() < trt_ms(90)); /* it has not waited in vain for a worker to stop */
    finish();
}

/* It drives itself meanwhile, and who waits to drive is told. */
static void dump_current(void)
{
    unsigned long a;
    start((trt_config){.current_thread = true});
    a = thread(0, dumps_away);
    blocks_on();
    model_join(a);
    finish();
}

/* A worker is told to go on, and to stop again before it has. */
static void dump_twice(void)
{
    unsigned long a, b;
    start_workers(2);
    a = thread(0, looks);
    b = thread(1, looks);
    blocks_on();
    model_join(a);
    model_join(b);
    finish();
}

/* A task dumps while another thread does: it counts as stopped while it waits for its turn. */
struct looks_in { trt_void none; };
trt_async(int, looks_in)
{
    trt_body {
        dumps_away();
        trt_return(3);
    }
}
struct dumps { trt_frame(looks_in) child; };
trt_async(trt_void, dumps)
{
    trt_body {
        trt_await(trt_within(trt_s(1), trt_call(looks_in, &self->child)));
        MODEL_CHECK(trt_status() == TRT_OK && self->child.out == 3);
        trt_await(trt_call(looks_in, &self->child));
    }
}
static void dumps_meet(void)
{
    unsigned long a;
    start_workers(2);
    a = thread(0, looks);
    MODEL_CHECK(trt_block_on(runtime, dumps, NULL) == TRT_OK);
    model_join(a);
    MODEL_CHECK(model_elapsed() < trt_ms(90)); /* nor has it waited in vain here */
    finish();
}

/* What waits is woken from outside while a dump tells of it. */
static void dump_wakes(void)
{
    unsigned long a, b;
    int got = 0, left;
    start_workers(2);
    memset(&bell, 0, sizeof bell);
    MODEL_CHECK(trt_channel_init(&channel, 2) == TRT_OK);
    a = thread(0, sends_two);
    b = thread(1, looks);
    MODEL_CHECK(trt_block_on(runtime, chooses, &got) == TRT_OK);
    model_join(a);
    model_join(b);
    for (left = 0; trt_try_recv(&channel, NULL) == TRT_OK;) left++;
    MODEL_CHECK(got + left == 2);
    finish();
    trt_channel_free(&channel);
}

/* What comes from elsewhere has its turn, whatever there is to run here: with a seed too, and where there is always a
 * fork. */
struct yields_until { int x; };
trt_async(int, yields_until)
{
    trt_body {
        while (!TRT_LOAD_(&helped, acquire)) trt_await(trt_yield());
    }
}
struct forks_until { int x; };
trt_async(int, forks_until)
{
    trt_body {
        while (!TRT_LOAD_(&helped, acquire)) {
            trt_fork(value, NULL);
            trt_await(trt_yield());
        }
        trt_await(trt_sync());
    }
}
static void inject_has_turn(void)
{
    trt_handle(yields_until) h;
    trt_handle(forks_until) g = {0};
    trt_handle(helper) helps;
    bool forks = model_choose(2);
    TRT_STORE_(&helped, 0u, relaxed);
    start((trt_config){.workers = 1, .seed = forks ? 0 : 5});
    if (forks) g = trt_spawn_on(runtime, forks_until);
    h = trt_spawn_on(runtime, yields_until);
    helps = trt_spawn_on(runtime, helper);
    MODEL_CHECK(trt_join_thread(helps, NULL) == TRT_OK);
    MODEL_CHECK(trt_join_thread(h, NULL) == TRT_OK);
    if (forks) MODEL_CHECK(trt_join_thread(g, NULL) == TRT_OK);
    finish();
}

/* This thread is busy for so long. */
static void time_passes(trt_duration d)
{
    trt_a32_ nothing = 0;
    trt_instant until = trt_clock_() + d;
    while (trt_clock_() < until) trt_os_wait_(&nothing, 0, until);
}

/* A duration counts from its await also if the thread that drives leaves before it has looked at the clock. */
static trt_handle(sleeper) left_asleep;
struct leaves_asleep { int x; };
trt_async(int, leaves_asleep)
{
    trt_body {
        left_asleep = trt_spawn(sleeper, .d = trt_ms(20));
        trt_await(trt_yield());
        trt_return(1);
    }
}
static void current_thread_sleeps(void)
{
    trt_instant start_at;
    start((trt_config){.current_thread = true});
    MODEL_CHECK(trt_block_on(runtime, leaves_asleep, NULL) == TRT_OK);
    time_passes(trt_ms(50));
    start_at = trt_clock_();
    MODEL_CHECK(trt_join_thread(left_asleep, NULL) == TRT_OK);
    MODEL_CHECK(trt_clock_() - start_at < trt_ms(10));
    finish();
}

/* The same with fewer threads than were asked for. */
static void fds_few(void)
{
    trt_handle(reads_twice) h;
    unsigned long a, b;
    TRT_STORE_(&may_go, 0u, relaxed);
    model_refuse_threads(2);
    start_workers(3);
    model_refuse_threads(-1);
    fd = fd_first = model_fd();
    h = trt_spawn_on(runtime, reads_twice);
    a = thread(0, makes_first_ready);
    b = thread(1, makes_ready_when_told);
    MODEL_CHECK(trt_join_thread(h, NULL) == TRT_OK);
    model_join(a);
    model_join(b);
    MODEL_CHECK(model_elapsed() < trt_ms(60));
    finish();
}

/* A stall report tells of who stalls. */
static trt_a64_ stall_since[2]; /* when the first was spawned of: those that stall, the innocent */
static void tells_stall(const trt_stall_info *info, void *unused)
{
    bool innocent = strcmp(info->coroutine, "innocent") == 0;
    (void)unused;
    MODEL_CHECK(innocent || strcmp(info->coroutine, "stalls") == 0);
    MODEL_CHECK(!info->task || strcmp(info->name, info->coroutine) == 0);
    MODEL_CHECK(trt_clock_() - (trt_instant)TRT_LOAD_(&stall_since[innocent], seq_cst) >= info->blocked_for);
}
struct stalls { int ms; };
trt_async(int, stalls)
{
    trt_body {
        time_passes(trt_ms(self->ms));
        trt_return(1);
    }
}
struct innocent { int x; };
trt_async(int, innocent)
{
    trt_body { trt_return(2); }
}
static void stall_told(void)
{
    int i;
    trt_handle(stalls) h;
    trt_handle(innocent) g;
    trt_config config = {.workers = 1, .stall_after = trt_ms(4), .on_stall = tells_stall};
    MODEL_CHECK(trt_runtime_start(&runtime, &config) == TRT_OK);
    for (i = 0; i < 2; i++) {
        if (!i) TRT_STORE_(&stall_since[0], (uint64_t)trt_clock_(), seq_cst);
        h = trt_spawn_on(runtime, stalls, .ms = 6);
        MODEL_CHECK(trt_join_thread(h, NULL) == TRT_OK);
        if (!i) TRT_STORE_(&stall_since[1], (uint64_t)trt_clock_(), seq_cst);
        g = trt_spawn_on(runtime, innocent);
        MODEL_CHECK(trt_join_thread(g, NULL) == TRT_OK);
    }
    finish();
}

/* A dump that a worker has not stopped for looks at nothing that this worker may be writing. */
struct comes_back_child { int x; };
trt_async(int, comes_back_child)
{
    trt_body {
        trt_await(trt_yield());
        COUNT(seen);
        while (!TRT_LOAD_(&helped, acquire)) trt_os_wait_(&helped, 0, TRT_FOREVER_);
        trt_await(trt_sleep(trt_ms(1)));
    }
}
struct comes_back { trt_frame(comes_back_child) child; trt_handle(value) h; int how, x; };
trt_async(int, comes_back)
{
    trt_body {
        self->h = trt_spawn_named("a name", value, .v = 1);
        trt_await(trt_yield());
        trt_await(trt_yield());
        if (self->how == 4) trt_await_all(trt_call(comes_back_child, &self->child), trt_sleep(trt_ms(1)));
        COUNT(seen);
        while (!TRT_LOAD_(&helped, acquire)) trt_os_wait_(&helped, 0, TRT_FOREVER_);
        if (self->how == 0) trt_await(trt_sleep(trt_ms(1)));
        if (self->how == 1) trt_await(trt_within(trt_ms(1), trt_sleep(trt_ms(3))));
        if (self->how == 2) trt_await_any(trt_sleep(trt_ms(1)), trt_sleep(trt_ms(3)), trt_recv(&channel, &self->x));
        trt_await(trt_join(self->h, &self->x));
        trt_return(1);
    }
}
static void helps(void)
{
    TRT_STORE_(&helped, 1u, release);
    trt_os_wake_(&helped, INT_MAX);
}
static void looks_at_hog(void)
{
    while (!COUNTED(seen)) model_yield();
    dumps_away();
}
static void helps_late(void)
{
    while (!COUNTED(seen)) model_yield();
    time_passes(trt_ms(100));
    helps();
}
static void dump_hog(void)
{
    unsigned long a, b;
    MODEL_CHECK(trt_channel_init(&channel, 2) == TRT_OK);
    TRT_STORE_(&helped, 0u, relaxed);
    start_workers(1);
    a = thread(0, looks_at_hog);
    b = thread(1, helps_late);
    MODEL_CHECK(trt_block_on(runtime, comes_back, NULL, .how = model_choose(5)) == TRT_OK);
    model_join(a);
    model_join(b);
    finish();
    trt_channel_free(&channel);
}

/* ---- sets that others change, and two that shut down ---- */

/* A set is emptied from another thread, and gets a new member at once: that is the one which its owner joins. */
static trt_join_set(value) open_set;
struct grows { int x; };
trt_async(int, grows)
{
    trt_body {
        trt_spawn_in(&open_set, value, .v = 1);
        while (trt_set_len(&open_set)) trt_await(trt_yield());
        trt_spawn_in(&open_set, value, .v = 2);
        trt_await(trt_join_next(&open_set, &self->x));
        MODEL_CHECK(trt_status() == TRT_OK && self->x == 2);
        trt_await(trt_join_next(&open_set, &self->x));
        MODEL_CHECK(trt_status() == TRT_EMPTY);
    }
}
static void empties(void)
{
    while (!trt_set_len(&open_set)) model_yield();
    trt_detach_all(&open_set);
}
static void set_emptied(void)
{
    unsigned long a;
    memset(&open_set, 0, sizeof open_set);
    start_workers(2);
    a = thread(0, empties);
    MODEL_CHECK(trt_block_on(runtime, grows, NULL) == TRT_OK);
    model_join(a);
    finish();
}

/* A member that is being born is found by the abort, or shutdown, of its set: who has counted it sees it end. */
static trt_join_set(waits) born_set;
struct bears { int x; };
trt_async(int, bears)
{
    trt_body { trt_spawn_in(&born_set, waits, .cleaned = &cleaned); }
}
struct buries { bool all; };
trt_async(int, buries)
{
    trt_body {
        while (!trt_set_len(&born_set)) trt_await(trt_yield());
        if (self->all) {
            trt_abort_all(&born_set);
            trt_await(trt_join_next(&born_set, NULL));
            MODEL_CHECK(trt_status() == TRT_CANCELLED);
        } else {
            trt_await(trt_set_shutdown(&born_set));
        }
        MODEL_CHECK(!trt_set_len(&born_set) && cleaned == 1);
        trt_return(1);
    }
}
static void set_born(void)
{
    trt_handle(bears) h;
    memset(&born_set, 0, sizeof born_set);
    memset(&bell, 0, sizeof bell);
    cleaned = 0;
    start_workers(2);
    h = trt_spawn_on(runtime, bears);
    MODEL_CHECK(trt_block_on(runtime, buries, NULL, .all = model_choose(2)) == TRT_OK);
    MODEL_CHECK(trt_join_thread(h, NULL) == TRT_OK);
    finish();
}

/* Who is told that a member has ended, finds it. */
struct asks_set { trt_join_set(value) set; trt_handle(value) h; int x; };
trt_async(int, asks_set)
{
    trt_body {
        self->h = trt_spawn_in(&self->set, value, .v = 4);
        trt_spawn_in(&self->set, value, .v = 5);
        while (!trt_is_finished(self->h)) trt_await(trt_yield());
        MODEL_CHECK(trt_try_join_next(&self->set, &self->x) == TRT_OK);
        trt_abort(self->h);
        trt_await(trt_join_next(&self->set, &self->x));
        MODEL_CHECK(trt_status() == TRT_OK);
        trt_return(1);
    }
}
TWO_WORKERS(set_asked, asks_set)

/* Who has joined a task, behind a deadline too, finds that it has ended. */
struct joins_within { trt_join_set(value) set; trt_handle(value) h; int x; };
trt_async(int, joins_within)
{
    trt_body {
        self->h = trt_spawn_in(&self->set, value, .v = 4);
        trt_await(trt_within(trt_s(1), trt_join_next(&self->set, &self->x)));
        MODEL_CHECK(trt_status() == TRT_OK && trt_is_finished(self->h));
        self->h = trt_spawn(value, .v = 5);
        trt_await(trt_within(trt_s(1), trt_join(self->h, &self->x)));
        MODEL_CHECK(trt_status() == TRT_OK && trt_is_finished(self->h));
        trt_return(1);
    }
}
TWO_WORKERS(joined_within, joins_within)

/* Two shut down, one of them without a limit: when the other's time is up, both come back. */
struct obstinate { int x; };
trt_async(int, obstinate)
{
    trt_body {
        COUNT(seen);
        trt_await(trt_notified(&bell));
    }
    trt_cleanup { trt_await(trt_notified(&bell)); }
}
static void shuts_down_for_good(void) { MODEL_CHECK(trt_runtime_shutdown(runtime, -1) == TRT_TIMED_OUT); }
static void shutdown_two(void)
{
    unsigned long a;
    memset(&bell, 0, sizeof bell);
    start_workers(1);
    trt_detach(trt_spawn_on(runtime, obstinate));
    while (!COUNTED(seen)) model_yield();
    a = thread(0, shuts_down_for_good);
    MODEL_CHECK(trt_runtime_shutdown(runtime, trt_ms(5)) == TRT_TIMED_OUT);
    model_join(a);
    finish();
}
static void shutdown_two_current(void)
{
    unsigned long a;
    memset(&bell, 0, sizeof bell);
    start((trt_config){.current_thread = true});
    trt_detach(trt_spawn_on(runtime, obstinate));
    MODEL_CHECK(trt_block_on(runtime, yields, NULL, .n = 1) == TRT_OK);
    MODEL_CHECK(COUNTED(seen) == 1);
    a = thread(0, shuts_down_for_good);
    MODEL_CHECK(trt_runtime_shutdown(runtime, trt_ms(5)) == TRT_TIMED_OUT);
    model_join(a);
    finish();
}

/* The watch thread tells of a stall as the task ends, and another gets its slot. */
static void notes_stall(const trt_stall_info *info, void *unused)
{
    (void)unused;
    MODEL_CHECK(!info->task || strncmp(info->name, "stalls", 6) == 0);
}
struct stalls_again { trt_handle(stalls) h; int i; };
trt_async(int, stalls_again)
{
    trt_body {
        for (self->i = 0; self->i < 3; self->i++) {
            self->h = trt_spawn(stalls, .ms = 5);
            trt_await(trt_join(self->h, NULL));
        }
        trt_return(1);
    }
}
static void stall_in_slot(void)
{
    trt_config config = {.workers = 1, .stall_after = trt_ms(4), .on_stall = notes_stall};
    MODEL_CHECK(trt_runtime_start(&runtime, &config) == TRT_OK);
    MODEL_CHECK(trt_block_on(runtime, stalls_again, NULL) == TRT_OK);
    finish();
}

/* Two tasks wake each other, in polls that are neither short nor long, on the worker that was the driver: the other one
 * sleeps, and its timer is not late. */
static trt_notify turns[2];
struct takes_turns { int which; };
trt_async(int, takes_turns)
{
    trt_body {
        while (!TRT_LOAD_(&helped, acquire)) {
            trt_await(trt_notified(&turns[self->which]));
            time_passes(trt_ms(6));
            trt_notify_one(&turns[!self->which]);
        }
        trt_notify_one(&turns[!self->which]);
    }
}
struct begins_turns { int x; };
trt_async(int, begins_turns)
{
    trt_body {
        trt_await(trt_sleep(trt_ms(3)));
        trt_notify_one(&turns[0]);
    }
}
static void timer_beside_turns(void)
{
    trt_handle(takes_turns) h[2];
    trt_handle(begins_turns) g;
    trt_instant start_at;
    memset(turns, 0, sizeof turns);
    TRT_STORE_(&helped, 0u, relaxed);
    start_workers(2);
    for (int i = 0; i < 2; i++) h[i] = trt_spawn_on(runtime, takes_turns, .which = i);
    g = trt_spawn_on(runtime, begins_turns);
    start_at = trt_clock_();
    MODEL_CHECK(trt_block_on(runtime, sleeper, NULL, .d = trt_ms(10)) == TRT_OK);
    MODEL_CHECK(trt_clock_() - start_at < trt_ms(80));
    helps();
    for (int i = 0; i < 2; i++) MODEL_CHECK(trt_join_thread(h[i], NULL) == TRT_OK);
    MODEL_CHECK(trt_join_thread(g, NULL) == TRT_OK);
    finish();
}

#define WEAK .weak = 1, .spurious = 2, .early = 2
static const model_scenario scenarios[] = {
    {.name = "spawn_join", .run = spawn_join, WEAK},
    {.name = "stale_hint", .run = stale_hint, WEAK},
    {.name = "spawn_many", .run = spawn_many, WEAK},
    {.name = "abort_races", .run = abort_races, WEAK},
    {.name = "free_behind_wake", .run = free_behind_wake, WEAK},
    {.name = "join_races", .run = join_races, WEAK},
    {.name = "stop_races", .run = stop_races, WEAK},
    {.name = "stop_leaves", .run = stop_leaves, WEAK},
    {.name = "detach_leaves", .run = detach_leaves, WEAK},
    {.name = "stop_aborted", .run = stop_aborted, WEAK},
    {.name = "leaves_its_back", .run = leaves_its_back, WEAK},
    {.name = "stop_inline", .run = stop_inline, WEAK},
    {.name = "stops_inline_both", .run = stops_inline_both, WEAK},
    {.name = "stop_member", .run = stop_member, WEAK},
    {.name = "join_let_go", .run = join_let_go, WEAK},
    {.name = "detach_races", .run = detach_races, WEAK},
    {.name = "end_seen", .run = end_seen, WEAK},
    {.name = "join_set", .run = join_set, WEAK},
    {.name = "set_dismissed", .run = set_dismissed, WEAK},
    {.name = "set_left", .run = set_left, WEAK},
    {.name = "set_of_strays", .run = set_of_strays, WEAK},
    {.name = "set_reaped", .run = set_reaped, WEAK},
    {.name = "set_seen_outside", .run = set_seen_outside, WEAK},
    {.name = "set_of_job", .run = set_of_job, WEAK},
    {.name = "set_of_two_runtimes", .run = set_of_two_runtimes, WEAK},
    {.name = "set_let_go", .run = set_let_go, WEAK},
    {.name = "set_unmade", .run = set_unmade, WEAK},
    {.name = "try_all", .run = try_all, WEAK},
    {.name = "two_runtimes", .run = two_runtimes, WEAK},
    {.name = "virtual_clock", .run = virtual_clock, WEAK},
    {.name = "virtual_clock_outside", .run = virtual_clock_outside, WEAK},
    {.name = "virtual_clock_deadlock", .run = virtual_clock_deadlock, WEAK},
    {.name = "pool", .run = pool, WEAK},
    {.name = "pool_keep_alive", .run = pool_keep_alive, WEAK},
    {.name = "pool_called_late", .run = pool_called_late, .weak = 1, .spurious = 2, .early = 4},
    {.name = "pool_abort", .run = pool_abort, WEAK},
    {.name = "pool_skip_free", .run = pool_skip_free, WEAK},
    {.name = "pool_together", .run = pool_together, WEAK},
    {.name = "pool_called_in_vain", .run = pool_called_in_vain, .weak = 1, .spurious = 2},
    {.name = "pool_closed", .run = pool_closed, .weak = 1, .spurious = 2},
    {.name = "pool_refused", .run = pool_refused, WEAK},
    {.name = "abort_seen", .run = abort_seen, WEAK},
    {.name = "fork_sync", .run = fork_sync, WEAK},
    {.name = "fork_abort", .run = fork_abort, WEAK},
    {.name = "fork_overflow", .run = fork_overflow, WEAK},
    {.name = "fork_late", .run = fork_late, WEAK},
    {.name = "any_within", .run = any_within, WEAK},
    {.name = "any_losers", .run = any_losers, WEAK},
    {.name = "panics", .run = panics, WEAK},
    {.name = "two_panics", .run = two_panics, WEAK},
    {.name = "notified_before", .run = notified_before, WEAK},
    {.name = "block_on_two", .run = block_on_two, WEAK},
    {.name = "current_thread", .run = current_thread, WEAK},
    {.name = "current_thread_handover", .run = current_thread_handover, WEAK},
    {.name = "current_thread_told", .run = current_thread_told, WEAK},
    {.name = "current_thread_job", .run = current_thread_job, WEAK},
    {.name = "inject_overflow", .run = inject_overflow, WEAK},
    {.name = "inject", .run = inject, .weak = 1, .spurious = 2},
    {.name = "shutdown_races", .run = shutdown_races, WEAK},
    {.name = "shutdown_unseen", .run = shutdown_unseen, WEAK},
    {.name = "shutdown_overflow", .run = shutdown_overflow, WEAK},
    {.name = "shutdown_seen", .run = shutdown_seen, WEAK},
    {.name = "shutdown_gives_up", .run = shutdown_gives_up, WEAK},
    {.name = "shutdown_stops", .run = shutdown_stops, WEAK},
    {.name = "stops_inline_abroad", .run = stops_inline_abroad, WEAK},
    {.name = "shutdown_left_alone", .run = shutdown_left_alone, WEAK},
    {.name = "shutdown_late", .run = shutdown_late, WEAK},
    {.name = "shutdown_lets_go", .run = shutdown_lets_go, WEAK},
    {.name = "shutdown_hands_on", .run = shutdown_hands_on, WEAK},
    {.name = "shutdown_over_current", .run = shutdown_over_current, WEAK},
    {.name = "free_behind_job", .run = free_behind_job, WEAK},
    {.name = "shutdown_meets_a_job", .run = shutdown_meets_a_job, WEAK},
    {.name = "shutdown_jobs", .run = shutdown_jobs, WEAK},
    {.name = "shutdown_unqueued", .run = shutdown_unqueued, WEAK},
    {.name = "shutdown_refused", .run = shutdown_refused, WEAK},
    {.name = "shutdown_drives", .run = shutdown_drives, WEAK},
    {.name = "shutdown_again", .run = shutdown_again, WEAK},
    {.name = "virtual_clock_job", .run = virtual_clock_job, .weak = 1, .spurious = 2},
    {.name = "virtual_clock_waits", .run = virtual_clock_waits, WEAK},
    {.name = "timers", .run = timers, WEAK},
    {.name = "never_early", .run = never_early, .weak = 1, .spurious = 2, .early = 4},
    {.name = "channel_races", .run = channel_races, WEAK},
    {.name = "thread_ends", .run = thread_ends, WEAK},
    {.name = "locks", .run = locks, WEAK},
    {.name = "permits", .run = permits, WEAK},
    {.name = "meeting", .run = meeting, WEAK},
    {.name = "tokens", .run = tokens, WEAK},
    {.name = "tokens_freed", .run = tokens_freed, WEAK},
    {.name = "fds", .run = fds, WEAK},
    {.name = "fds_beside", .run = fds_beside, WEAK},
    {.name = "fds_twice", .run = fds_twice, WEAK},
    {.name = "fds_move", .run = fds_move, WEAK},
    {.name = "virtual_clock_fds", .run = virtual_clock_fds, WEAK},
    {.name = "rescue", .run = rescue, WEAK},
    {.name = "rescue_requeued", .run = rescue_requeued, WEAK},
    {.name = "hog_injected", .run = hog_injected, WEAK},
    {.name = "hog_stolen", .run = hog_stolen, WEAK},
    {.name = "hog_wakes", .run = hog_wakes, WEAK},
    {.name = "hog_forks", .run = hog_forks, WEAK},
    {.name = "hog_found", .run = hog_found, WEAK},
    {.name = "hog_aborts", .run = hog_aborts, WEAK},
    {.name = "hog_timer", .run = hog_timer, WEAK},
    {.name = "hog_first", .run = hog_first, WEAK},
    {.name = "rescue_after_idle", .run = rescue_after_idle, .weak = 1, .spurious = 2},
    {.name = "metrics", .run = metrics, WEAK},
    {.name = "dump", .run = dump, .weak = 1, .spurious = 2},
    {.name = "dump_current", .run = dump_current, .weak = 1, .spurious = 2},
    {.name = "dump_twice", .run = dump_twice, .weak = 1, .spurious = 2},
    {.name = "dumps_meet", .run = dumps_meet, .weak = 1, .spurious = 2},
    {.name = "current_thread_sleeps", .run = current_thread_sleeps, .weak = 1, .spurious = 2},
    {.name = "inject_has_turn", .run = inject_has_turn, .spurious = 2},
    {.name = "fds_few", .run = fds_few, WEAK},
    {.name = "stall_told", .run = stall_told, .spurious = 2, .early = 4},
    {.name = "dump_hog", .run = dump_hog, .spurious = 2, .early = 4},
    {.name = "timer_beside_turns", .run = timer_beside_turns, .spurious = 2},
    {.name = "dump_wakes", .run = dump_wakes, .weak = 1, .spurious = 2},
    {.name = "set_emptied", .run = set_emptied, WEAK},
    {.name = "set_born", .run = set_born, WEAK},
    {.name = "set_asked", .run = set_asked, WEAK},
    {.name = "stall_in_slot", .run = stall_in_slot, WEAK},
    {.name = "joined_within", .run = joined_within, .weak = 1, .spurious = 2},
    {.name = "shutdown_two", .run = shutdown_two, .weak = 1, .spurious = 2},
    {.name = "shutdown_two_current", .run = shutdown_two_current, .weak = 1, .spurious = 2},
};

int main(int argc, char **argv)
{
    return model_main(argc, argv, scenarios, sizeof scenarios / sizeof *scenarios);
}
