/* primitives.c - the parts of taskrt.h under the model, depth first: every schedule with so many preemptions.
 *
 * Some scenarios call the implementation's own functions on workers that have no thread; the others are as small as a
 * runtime can be: tasks of a current-thread runtime, plain threads around it, no watch thread.
 */
#include "model.h"
#define TASKRT_IMPLEMENTATION
#define TASKRT_TEST_RING 4
#define TASKRT_TEST_DEQUE 2
#define TASKRT_TEST_SPINS 1
#include TASKRT_H_PATH

static trt_runtime *runtime;

static void (*part[4])(void);
static void part_main(void *which) { part[(uintptr_t)which](); }
static unsigned long thread(uintptr_t which, void (*run)(void))
{
    part[which] = run;
    return model_start(part_main, (void *)which);
}

/* A runtime whose workers are data only. */
static void bare(size_t workers)
{
    runtime = (trt_runtime *)trt_aligned_(sizeof *runtime);
    runtime->n_workers = runtime->config.workers = workers;
    TRT_STORE_(&runtime->started, (uint32_t)workers, relaxed);
    runtime->poller = runtime->poller_wake[0] = -1;
    TRT_STORE_(&runtime->driver_until, TRT_FOREVER_, relaxed);
    TRT_STORE_(&runtime->drive_until, TRT_FOREVER_, relaxed);
    TRT_STORE_(&runtime->watch_word, 1u, relaxed);
    runtime->idle_words = 1;
    trt_memory_init_(runtime);
    runtime->idle_bits = (trt_a64_ *)trt_zeroed_(sizeof *runtime->idle_bits);
    runtime->workers = (trt_worker_ **)trt_zeroed_(workers * sizeof *runtime->workers);
    for (size_t i = 0; i < workers; i++) runtime->workers[i] = trt_worker_new_(runtime, i);
}
static void bare_free(void) { trt_runtime_release_(runtime); }
static trt_worker_ *be_worker(size_t i)
{
    trt_here_.worker = runtime->workers[i];
    trt_here_.rt = runtime;
    return runtime->workers[i];
}
static void be_nobody(void) { memset(&trt_here_, 0, sizeof trt_here_); }

/* ---- queues: each entry comes out once ---- */

enum { ENTRIES = 9 };
static uint8_t got[4][ENTRIES]; /* by thread */
static uintptr_t entry_of(uintptr_t i) { return i << 4 | TRT_OWNED_ENTRY_; }
static void took(int by, uintptr_t entry)
{
    if (entry) got[by][entry >> 4]++;
}
static void all_once(uintptr_t n)
{
    for (uintptr_t i = 1; i <= n; i++) MODEL_CHECK(got[0][i] + got[1][i] + got[2][i] == 1);
}

static void steals_from_first(size_t i)
{
    trt_worker_ *w = be_worker(i);
    took((int)i, trt_steal_(w, runtime->workers[0]));
    for (uintptr_t entry; (entry = trt_pop_(w, true)) != 0;) took((int)i, entry);
}
static void steals_1(void)
{
    steals_from_first(1);
    steals_from_first(1);
}
static void steals_2(void) { steals_from_first(2); }
static void ring_owner(uintptr_t n)
{
    trt_worker_ *w = be_worker(0);
    for (uintptr_t i = 1; i <= n; i++) {
        trt_push_(w, entry_of(i));
        if (i == 2) took(0, trt_pop_(w, true));
    }
    for (uintptr_t entry; (entry = trt_pop_(w, true)) != 0 || (entry = trt_take_injected_(w, 2)) != 0;) took(0, entry);
    be_nobody();
}
static void ring(void)
{
    unsigned long a;
    memset(got, 0, sizeof got);
    bare(2);
    a = thread(0, steals_1);
    ring_owner(4);
    model_join(a);
    all_once(4);
    bare_free();
}
static void ring_overflow(void)
{
    unsigned long a;
    memset(got, 0, sizeof got);
    bare(2);
    a = thread(0, steals_1);
    ring_owner(7);
    model_join(a);
    all_once(7);
    bare_free();
}
static void ring_two_thieves(void)
{
    unsigned long a, b;
    memset(got, 0, sizeof got);
    bare(3);
    a = thread(0, steals_1);
    b = thread(1, steals_2);
    ring_owner(4);
    model_join(a);
    model_join(b);
    all_once(4);
    bare_free();
}

/* What came into a ring by a theft, or from outside, is stolen in its turn. */
static void steals_on(void)
{
    took(2, trt_steal_(be_worker(2), runtime->workers[1]));
}
static void ring_stolen_on(void)
{
    unsigned long a;
    memset(got, 0, sizeof got);
    bare(3);
    for (uintptr_t i = 1; i <= 4; i++) trt_push_(be_worker(0), entry_of(i));
    a = thread(0, steals_on);
    took(1, trt_steal_(be_worker(1), runtime->workers[0]));
    model_join(a);
    for (size_t i = 0; i < 2; i++)
        for (uintptr_t entry; (entry = trt_pop_(be_worker(i), true)) != 0;) took(1, entry);
    be_nobody();
    all_once(4);
    bare_free();
}
static void ring_injected(void)
{
    unsigned long a;
    memset(got, 0, sizeof got);
    bare(3);
    be_worker(1);
    for (uintptr_t i = 1; i <= 8; i++) trt_inject_(runtime, entry_of(i)); /* a third of what is left goes to the ring */
    a = thread(0, steals_on);
    took(1, trt_take_injected_(runtime->workers[1], 4));
    model_join(a);
    for (uintptr_t entry; (entry = trt_pop_(runtime->workers[1], true)) != 0 || (entry = trt_take_injected_(runtime->workers[1], 4)) != 0;)
        took(1, entry);
    be_nobody();
    all_once(8);
    bare_free();
}

static void deque_thief(int by, int times)
{
    while (times--) took(by, (uintptr_t)trt_deque_steal_(runtime->workers[0]));
}
static void deque_thief_1(void) { deque_thief(1, 2); }
static void deque_thief_2(void) { deque_thief(2, 1); }
static void deque_owner(uintptr_t n)
{
    trt_worker_ *w = be_worker(0);
    for (uintptr_t i = 1; i <= n; i++) MODEL_CHECK(trt_deque_push_(w, (trt_cell_ *)(i << 4)));
    for (uintptr_t i = 1; i <= n; i++) took(0, (uintptr_t)trt_deque_pop_(w));
    be_nobody();
}
static void deque(void)
{
    unsigned long a;
    memset(got, 0, sizeof got);
    bare(2);
    a = thread(0, deque_thief_1);
    deque_owner(3); /* the third makes it grow */
    model_join(a);
    all_once(3);
    bare_free();
}
static void deque_two_thieves(void)
{
    unsigned long a, b;
    memset(got, 0, sizeof got);
    bare(2);
    a = thread(0, deque_thief_1);
    b = thread(1, deque_thief_2);
    deque_owner(2);
    model_join(a);
    model_join(b);
    all_once(2);
    bare_free();
}

static void injects_1(void) { trt_inject_(runtime, entry_of(1)); }
static void injects_2(void) { trt_inject_(runtime, entry_of(2)); }
static void inject_queue(void)
{
    unsigned long a, b;
    trt_worker_ *w;
    memset(got, 0, sizeof got);
    bare(1);
    a = thread(0, injects_1);
    b = thread(1, injects_2);
    w = be_worker(0);
    took(0, trt_take_injected_(w, 2));
    took(0, trt_pop_(w, true));
    model_join(a);
    model_join(b);
    for (uintptr_t entry; (entry = trt_take_injected_(w, 2)) != 0 || (entry = trt_pop_(w, true)) != 0;) took(0, entry);
    be_nobody();
    trt_visitors_wait_(&runtime->visitors);
    all_once(2);
    bare_free();
}

/* ---- idle: no wake is lost ---- */

static trt_a32_ done;
static void works(size_t i)
{
    trt_worker_ *w = be_worker(i);
    while (!(TRT_LOAD_(&runtime->signals, acquire) & TRT_SIGNAL_STOP_)) {
        uintptr_t entry = trt_take_injected_(w, 2);
        if (!entry) entry = trt_pop_(w, true);
        if (!entry) {
            trt_worker_sleep_(w);
            continue;
        }
        trt_found_(w);
        TRT_ADD_(&done, 1u, release);
        trt_os_wake_(&done, INT_MAX);
    }
}
static void works_0(void) { works(0); }
static void works_1(void) { works(1); }
static void calm_begins(void) { trt_calm_begin_(runtime); }

/* Calm: nobody fences, until somebody goes to sleep. Or that begins, as work comes and somebody goes to sleep. The fence
 * for all threads may be denied. */
enum { IS_CALM = 1, BEGINS = 2, FENCED = 4 };
static void idle(size_t workers, uint32_t entries, int how)
{
    unsigned long t[3];
    if (how & FENCED) model_allow_membarrier();
    bare(workers);
    TRT_STORE_(&done, 0u, relaxed);
    if (how & IS_CALM) TRT_STORE_(&runtime->calm, (uint32_t)TRT_CALM_, relaxed);
    t[0] = thread(0, works_0);
    if (workers > 1) t[1] = thread(1, works_1);
    if (how & BEGINS) t[2] = thread(2, calm_begins);
    for (uint32_t i = 1; i <= entries; i++) trt_inject_(runtime, entry_of(i));
    for (uint32_t n; (n = TRT_LOAD_(&done, acquire)) < entries;) trt_os_wait_(&done, n, TRT_FOREVER_);
    TRT_OR_(&runtime->signals, (uint32_t)TRT_SIGNAL_STOP_, seq_cst);
    for (size_t i = 0; i < workers; i++) trt_unpark_(runtime->workers[i]);
    for (size_t i = 0; i < workers; i++) model_join(t[i]);
    if (how & BEGINS) model_join(t[2]);
    bare_free();
}
static void idle_one(void) { idle(1, 2, 0); }
static void idle_two(void) { idle(2, 2, 0); }
static void idle_two_for_one(void) { idle(2, 1, 0); }
static void calm_one(void) { idle(1, 2, IS_CALM | FENCED); }
static void calm_two(void) { idle(2, 2, IS_CALM | FENCED); }
static void calm_denied(void) { idle(1, 2, IS_CALM); }
static void calm_denied_two(void) { idle(2, 2, IS_CALM); }
static void calm_begin(void) { idle(1, 2, BEGINS | FENCED); }
static void calm_begin_two(void) { idle(2, 2, BEGINS | FENCED); }
static void calm_begin_again(void) { idle(1, 2, IS_CALM | BEGINS | FENCED); }
static void calm_begin_denied(void) { idle(1, 2, BEGINS); }

/* What a worker has queued for itself while it is busy: another one comes for it. */
static void helps(void)
{
    trt_worker_ *w = be_worker(1);
    while (!(TRT_LOAD_(&runtime->signals, acquire) & TRT_SIGNAL_STOP_)) {
        if (!trt_steal_(w, runtime->workers[0]) && !trt_deque_steal_(runtime->workers[0])) {
            trt_worker_sleep_(w);
            continue;
        }
        trt_found_(w);
        TRT_STORE_(&done, 1u, release);
        trt_os_wake_(&done, 1);
    }
}
static void idle_helper(bool fork)
{
    unsigned long a;
    bare(2);
    TRT_STORE_(&done, 0u, relaxed);
    a = thread(0, helps);
    be_worker(0);
    if (fork) {
        MODEL_CHECK(trt_deque_push_(runtime->workers[0], (trt_cell_ *)16));
        trt_notify_(runtime);
    } else {
        trt_push_lifo_(runtime->workers[0], entry_of(1)); /* it stays in the slot */
        trt_push_lifo_(runtime->workers[0], entry_of(2));
    }
    while (!TRT_LOAD_(&done, acquire)) trt_os_wait_(&done, 0, TRT_FOREVER_);
    TRT_OR_(&runtime->signals, (uint32_t)TRT_SIGNAL_STOP_, seq_cst);
    trt_unpark_(runtime->workers[1]);
    model_join(a);
    be_nobody();
    bare_free();
}
static void idle_ring(void) { idle_helper(false); }
static void idle_deque(void) { idle_helper(true); }

/* Somebody without work holds the place as searcher for a moment, while work comes and a worker goes to sleep. */
static void notifies(void) { trt_notify_(runtime); }
static void idle_relied_on(void)
{
    unsigned long t[3];
    bare(1);
    TRT_STORE_(&done, 0u, relaxed);
    t[0] = thread(0, works_0);
    t[1] = thread(1, notifies);
    t[2] = thread(2, injects_1);
    while (!TRT_LOAD_(&done, acquire)) trt_os_wait_(&done, 0, TRT_FOREVER_);
    for (int i = 1; i < 3; i++) model_join(t[i]);
    TRT_OR_(&runtime->signals, (uint32_t)TRT_SIGNAL_STOP_, seq_cst);
    trt_unpark_(runtime->workers[0]);
    model_join(t[0]);
    bare_free();
}

/* The watch thread goes to sleep as the only worker is woken: it is awake when that worker is stuck. */
static void watches(void) { (void)trt_watch_main_(runtime); }
static void watch(void)
{
    unsigned long a, b;
    trt_worker_ *w;
    trt_a32_ nothing = 0;
    bare(2);
    TRT_STORE_(&runtime->started, 1, relaxed); /* the other one is there to be rescued for */
    runtime->config.stall_after = -1;
    w = be_worker(0);
    a = thread(0, watches);
    b = thread(1, injects_1);
    while (!trt_take_injected_(w, 2)) trt_worker_sleep_(w);
    trt_found_(w);
    TRT_STORE_(&w->lifo, entry_of(2), relaxed);
    TRT_STORE_(&w->at_cell, (trt_cell_ *)16, relaxed);
    for (trt_instant until = trt_clock_() + trt_ms(200); trt_clock_() < until;) trt_os_wait_(&nothing, 0, until);
    MODEL_CHECK(!TRT_LOAD_(&w->lifo, seq_cst) && TRT_LOAD_(&runtime->inject_len, seq_cst) == 1);
    be_nobody();
    TRT_STORE_(&runtime->watch_word, 2u, seq_cst);
    trt_os_wake_(&runtime->watch_word, 1);
    model_join(a);
    model_join(b);
    bare_free();
}

/* The same as a thread begins to drive: it tells of the stall all the same. */
static trt_a32_ stalls;
static void counts_stall(const trt_stall_info *info, void *unused)
{
    (void)unused;
    MODEL_CHECK(info->blocked_for >= trt_ms(20));
    TRT_ADD_(&stalls, 1u, relaxed);
}
struct blocks { int x; };
trt_async(int, blocks)
{
    trt_body {
        trt_a32_ nothing = 0;
        for (trt_instant until = trt_clock_() + trt_ms(150); trt_clock_() < until;) trt_os_wait_(&nothing, 0, until);
        trt_return(1);
    }
}
static void watch_drive(void)
{
    trt_config config = {.current_thread = true, .stall_after = trt_ms(20), .on_stall = counts_stall};
    TRT_STORE_(&stalls, 0u, relaxed);
    MODEL_CHECK(trt_runtime_start(&runtime, &config) == TRT_OK);
    MODEL_CHECK(trt_block_on(runtime, blocks, NULL) == TRT_OK);
    MODEL_CHECK(trt_runtime_free(runtime) == TRT_OK);
    MODEL_CHECK(TRT_LOAD_(&stalls, seq_cst) >= 1);
}

/* The last task ends just as a shutdown begins: one of the two sees it, at the latest before the worker sleeps. */
static void ends_last(void)
{
    trt_worker_ *w = be_worker(0);
    trt_count_end_(runtime);
    trt_check_closing_(runtime);
    while (!(TRT_LOAD_(&runtime->signals, acquire) & TRT_SIGNAL_STOP_)) trt_worker_sleep_(w);
    be_nobody();
}
static void last_end(void)
{
    unsigned long a;
    bare(1);
    TRT_STORE_(&runtime->workers[0]->spawned, 1u, relaxed);
    a = thread(0, ends_last);
    trt_shutdown_begin_(runtime);
    while (!TRT_LOAD_(&runtime->ended_gate, acquire)) trt_os_wait_(&runtime->ended_gate, 0, TRT_FOREVER_);
    TRT_OR_(&runtime->signals, (uint32_t)TRT_SIGNAL_STOP_, seq_cst);
    trt_unpark_(runtime->workers[0]);
    model_join(a);
    bare_free();
}

/* The last two end at once, in a shutdown: one of them sees both. */
static void ends(size_t i)
{
    be_worker(i);
    trt_count_end_(runtime);
    trt_check_closing_(runtime);
    be_nobody();
}
static void ends_too(void) { ends(1); }
static void last_two_end(void)
{
    unsigned long a;
    bare(2);
    for (int i = 0; i < 2; i++) TRT_STORE_(&runtime->workers[i]->spawned, 1u, relaxed);
    TRT_STORE_(&runtime->closing, 1u, seq_cst);
    a = thread(0, ends_too);
    ends(0);
    model_join(a);
    MODEL_CHECK(TRT_LOAD_(&runtime->ended_gate, acquire));
    bare_free();
}

/* A timer is set on one worker while the other becomes the driver: somebody fires it. */
static trt_thread_waiter_ timer;
static void drives(void)
{
    trt_worker_ *w = be_worker(1);
    while (TRT_LOAD_(&timer.woken, acquire) != 1) {
        trt_worker_sleep_(w);
        trt_run_all_timers_(w);
    }
}
static void driver(void)
{
    unsigned long a;
    trt_wheel_ *wheel;
    bool first;
    bare(2);
    memset(&timer, 0, sizeof timer);
    timer.waiter.mode = TRT_MODE_THREAD_;
    timer.waiter.kind = TRT_KIND_SLEEP_UNTIL_;
    timer.waiter.args.arg = (uint64_t)(trt_clock_() + trt_ms(5));
    wheel = &be_worker(0)->wheel;
    a = thread(0, drives);
    trt_latch_(&wheel->latch);
    TRT_COUNT_(&wheel->waiting, 1u);
    first = trt_wheel_add_(wheel, &timer.waiter);
    trt_unlatch_(&wheel->latch);
    if (first) trt_timer_added_(runtime, (trt_instant)timer.waiter.args.arg);
    trt_thread_sleep_(&timer);
    MODEL_CHECK(model_elapsed() >= trt_ms(5));
    trt_unpark_(runtime->workers[1]);
    model_join(a);
    be_nobody();
    bare_free();
}

/* The first fd is awaited while the other worker becomes the driver: somebody polls. */
static void driver_poller(void)
{
    unsigned long a;
    int fd = model_fd();
    bare(2);
    memset(&timer, 0, sizeof timer);
    timer.waiter.mode = TRT_MODE_THREAD_;
    timer.waiter.kind = TRT_KIND_READABLE_;
    timer.waiter.args.arg = (uint64_t)fd;
    be_worker(0);
    a = thread(0, drives);
    MODEL_CHECK(trt_fd_register_(1, fd, TRT_READ_, &timer.waiter) == TRT_PENDING);
    model_fd_ready(fd, 1);
    trt_thread_sleep_(&timer);
    trt_unpark_(runtime->workers[1]);
    model_join(a);
    be_nobody();
    bare_free();
}

/* A timer is taken out by another thread as it fires. */
static void expires(void) { trt_wheel_run_(NULL, &runtime->workers[0]->wheel, trt_clock_() + trt_ms(9)); }
static void wheel_cancel(void)
{
    unsigned long a;
    trt_wheel_ *wheel;
    bare(1);
    wheel = &runtime->workers[0]->wheel;
    memset(&timer, 0, sizeof timer);
    timer.waiter.mode = TRT_MODE_THREAD_;
    timer.waiter.args.arg = (uint64_t)(trt_clock_() + trt_ms(5));
    trt_latch_(&wheel->latch);
    TRT_COUNT_(&wheel->waiting, 1u);
    (void)trt_wheel_add_(wheel, &timer.waiter);
    trt_unlatch_(&wheel->latch);
    a = thread(0, expires);
    trt_wheel_remove_(wheel, &timer.waiter);
    MODEL_CHECK(!timer.waiter.linked && TRT_LOAD_(&wheel->waiting, seq_cst) == 0);
    model_join(a);
    MODEL_CHECK(trt_wheel_due_(wheel) == TRT_FOREVER_);
    bare_free();
}

/* ---- waits of a task: completion x abort x time-out ---- */

static void start(void)
{
    trt_config config = {.current_thread = true, .stall_after = -1};
    model_refuse_threads(0); /* no watch thread */
    MODEL_CHECK(trt_runtime_start(&runtime, &config) == TRT_OK);
    model_refuse_threads(-1);
}
static void finish(void) { MODEL_CHECK(trt_runtime_free(runtime) == TRT_OK); }

static trt_notify bell;
struct waits { int timed; };
trt_async(int, waits)
{
    trt_body {
        if (self->timed) trt_await_ok(trt_within(trt_ms(1), trt_notified(&bell)));
        else trt_await_ok(trt_notified(&bell));
        trt_return(7);
    }
}
static trt_handle(waits) waiting;
static void aborts(void) { trt_abort(waiting); }
static void rings(void) { trt_notify_one(&bell); }
static void rings_all(void) { trt_notify_all(&bell); }
static void claim_of(int timed, bool abort)
{
    unsigned long a, b = 0;
    int out = 0;
    trt_status_code status;
    memset(&bell, 0, sizeof bell);
    start();
    waiting = trt_spawn_on(runtime, waits, .timed = timed);
    a = thread(0, rings);
    if (abort) b = thread(1, aborts);
    status = trt_join_thread(waiting, &out);
    MODEL_CHECK(status == TRT_OK ? out == 7 : (abort && status == TRT_CANCELLED) || (timed && status == TRT_TIMED_OUT));
    model_join(a);
    if (abort) model_join(b);
    MODEL_CHECK((status != TRT_OK) == (TRT_LOAD_(&bell.word_, seq_cst) == TRT_NOTIFY_PERMIT_) && !bell.waiters_.head); /* a lost wait has consumed nothing */
    finish();
}
static void claim_abort(void) { claim_of(0, true); }
static void claim_timeout(void) { claim_of(1, false); }
static void claim_all(void) { claim_of(1, true); }

/* trt_notify_all meets an op that was made before or after it; never half. */
static void notify_all(void)
{
    unsigned long a, b;
    memset(&bell, 0, sizeof bell);
    start();
    waiting = trt_spawn_on(runtime, waits);
    a = thread(0, rings_all);
    b = thread(1, aborts);
    (void)trt_join_thread(waiting, NULL);
    model_join(a);
    model_join(b);
    MODEL_CHECK(!bell.waiters_.head && !TRT_LOAD_(&bell.word_, seq_cst));
    finish();
}

/* What was written before a notification is read behind it, kept or not, and whoever has taken the last may free. */
static trt_notify *owned_bell;
static int told;
struct takes { int i; };
trt_async(trt_void, takes)
{
    trt_body {
        trt_await_ok(trt_notified(owned_bell));
        MODEL_CHECK(told == 1);
        TASKRT_FREE(owned_bell);
    }
}
static void tells(void)
{
    told = 1;
    trt_notify_one(owned_bell);
}
static void notify_freed(void)
{
    trt_handle(takes) h;
    unsigned long a;
    owned_bell = TASKRT_MALLOC(sizeof *owned_bell);
    memset(owned_bell, 0, sizeof *owned_bell);
    told = 0;
    start();
    a = thread(0, tells);
    h = trt_spawn_on(runtime, takes);
    MODEL_CHECK(trt_join_thread(h, NULL) == TRT_OK);
    model_join(a);
    finish();
}

/* Two wait, or come to wait; each passes on what it gets. Then one is kept, however often it is given. */
struct passes { int i; };
trt_async(trt_void, passes)
{
    trt_body {
        trt_await_ok(trt_notified(&bell));
        trt_notify_one(&bell);
    }
}
static void notify_passed_on(void)
{
    trt_handle(passes) h[2];
    unsigned long a;
    memset(&bell, 0, sizeof bell);
    start();
    a = thread(0, rings);
    for (int i = 0; i < 2; i++) h[i] = trt_spawn_on(runtime, passes);
    for (int i = 0; i < 2; i++) MODEL_CHECK(trt_join_thread(h[i], NULL) == TRT_OK);
    model_join(a);
    trt_notify_one(&bell);
    MODEL_CHECK(!bell.waiters_.head && TRT_LOAD_(&bell.word_, seq_cst) == TRT_NOTIFY_PERMIT_);
    finish();
}

/* ---- the end of a task x joiners x detach x abort ---- */

struct ends { int v, yield; };
trt_async(int, ends)
{
    trt_body {
        if (self->yield) trt_await(trt_yield());
        trt_return(self->v);
    }
}
static trt_handle(ends) ending;
static trt_a32_ joined;
static void joins(void)
{
    int out = 0;
    trt_status_code status = trt_join_thread(ending, &out);
    MODEL_CHECK(status == TRT_OK ? out == 5 : status == TRT_MISUSE || status == TRT_CANCELLED);
    if (status != TRT_MISUSE) TRT_ADD_(&joined, 1u, relaxed);
}
static void detaches(void) { trt_detach(ending); }
static void aborts_ending(void) { trt_abort(ending); }
static void join_of(void (*other)(void), bool both)
{
    unsigned long a;
    TRT_STORE_(&joined, 0u, relaxed);
    start();
    ending = trt_spawn_on(runtime, ends, .v = 5, .yield = 1);
    a = thread(0, other);
    joins();
    model_join(a);
    MODEL_CHECK(both ? TRT_LOAD_(&joined, seq_cst) == 1 : TRT_LOAD_(&joined, seq_cst) <= 1);
    finish();
}
static void join_join(void) { join_of(joins, true); }
static void join_detach(void) { join_of(detaches, false); }
static void join_abort(void) { join_of(aborts_ending, true); }

/* A joiner in a task is aborted as the task that it joins ends. */
struct joiner { int x; };
trt_async(int, joiner)
{
    trt_body {
        trt_await_ok(trt_join(ending, &self->x));
        trt_return(self->x);
    }
}
static trt_handle(joiner) joining;
static void aborts_joining(void) { trt_abort(joining); }
static void drives_too(void)
{
    MODEL_CHECK(trt_block_on(runtime, ends, NULL, .v = 1) == TRT_OK);
}
static void joiner_abort(void)
{
    unsigned long a, b;
    int out = 0;
    trt_status_code status;
    start();
    ending = trt_spawn_on(runtime, ends, .v = 5, .yield = 1);
    joining = trt_spawn_on(runtime, joiner);
    a = thread(0, aborts_joining);
    b = thread(1, drives_too);
    status = trt_join_thread(joining, &out);
    MODEL_CHECK(status == TRT_OK ? out == 5 : status == TRT_CANCELLED);
    if (status == TRT_CANCELLED) MODEL_CHECK(trt_join_thread(ending, &out) == TRT_OK && out == 5);
    model_join(a);
    model_join(b);
    finish();
}

/* ---- channels ---- */

typedef trt_channel(int) ints;
static ints channel;
static int sends, receives;
static void sends_two(void)
{
    for (int i = 1; i <= 2; i++) sends += trt_send_thread(&channel, &i) == TRT_OK;
}
static void receives_some(void)
{
    int x;
    while (trt_recv_thread(&channel, &x) == TRT_OK) receives++;
}
static void closes(void) { trt_channel_close(&channel); }
static void channel_of(size_t capacity)
{
    unsigned long a, b;
    sends = receives = 0;
    MODEL_CHECK(trt_channel_init(&channel, capacity) == TRT_OK);
    a = thread(0, sends_two);
    b = thread(1, receives_some);
    closes();
    model_join(a);
    model_join(b);
    MODEL_CHECK(sends == receives && trt_channel_len(&channel) == 0);
    trt_channel_free(&channel);
}
static void channel_bounded(void) { channel_of(1); }
static void channel_unbounded(void) { channel_of(TRT_UNBOUNDED); }

struct receiver { int x; };
trt_async(int, receiver)
{
    trt_body {
        trt_await_ok(trt_recv(&channel, &self->x));
        trt_return(self->x);
    }
}
static trt_handle(receiver) receiving;
static void aborts_receiver(void) { trt_abort(receiving); }
static void sends_one(void)
{
    int one = 1;
    MODEL_CHECK(trt_try_send(&channel, &one) == TRT_OK);
}
static void channel_abort(void)
{
    unsigned long a, b;
    int out = 0;
    trt_status_code status;
    start();
    MODEL_CHECK(trt_channel_init(&channel, 1) == TRT_OK);
    receiving = trt_spawn_on(runtime, receiver);
    a = thread(0, sends_one);
    b = thread(1, aborts_receiver);
    status = trt_join_thread(receiving, &out);
    model_join(a);
    model_join(b);
    MODEL_CHECK(status == TRT_OK ? out == 1 : status == TRT_CANCELLED);
    MODEL_CHECK(trt_channel_len(&channel) == (status != TRT_OK));
    finish();
    trt_channel_free(&channel);
}

/* ---- semaphore ---- */

static trt_semaphore semaphore;
static int said; /* before the close: plain, whoever sees the close may read it */
struct taker { trt_permit permit; };
trt_async(int, taker)
{
    trt_body {
        trt_await(trt_acquire_many(&semaphore, 2, &self->permit));
        MODEL_CHECK(trt_status() != TRT_CLOSED || said == 1);
        if (trt_status() != TRT_OK) trt_fail(trt_status());
        trt_return(1);
    }
    trt_cleanup { trt_release(&self->permit); }
}
static trt_handle(taker) taking;
static void aborts_taker(void) { trt_abort(taking); }
static void adds(void) { MODEL_CHECK(trt_add_permits(&semaphore, 1) == TRT_OK); }
static void closes_semaphore(void)
{
    said = 1;
    trt_semaphore_close(&semaphore);
}
static void semaphore_of(void (*one)(void), void (*other)(void))
{
    unsigned long a, b;
    trt_status_code status;
    said = 0;
    MODEL_CHECK(trt_semaphore_init(&semaphore, 1) == TRT_OK);
    start();
    taking = trt_spawn_on(runtime, taker);
    a = thread(0, one);
    b = thread(1, other);
    status = trt_join_thread(taking, NULL);
    MODEL_CHECK(status == TRT_OK || status == TRT_CANCELLED || status == TRT_CLOSED);
    model_join(a);
    model_join(b);
    MODEL_CHECK(trt_available_permits(&semaphore) == 2);
    finish();
}
static void semaphore_abort(void) { semaphore_of(adds, aborts_taker); }
static void semaphore_close(void) { semaphore_of(adds, closes_semaphore); }
static void semaphore_closed(void) /* one asks before, the other perhaps after */
{
    trt_handle(taker) h[2];
    unsigned long a;
    said = 0;
    MODEL_CHECK(trt_semaphore_init(&semaphore, 1) == TRT_OK);
    start();
    h[0] = trt_spawn_on(runtime, taker);
    a = thread(0, closes_semaphore);
    h[1] = trt_spawn_on(runtime, taker);
    for (int i = 0; i < 2; i++) MODEL_CHECK(trt_join_thread(h[i], NULL) == TRT_CLOSED);
    model_join(a);
    finish();
}

/* Threads that only try: nothing is lost, nothing is taken twice. */
static void tries(void)
{
    trt_permit p = {NULL, 0};
    if (trt_try_acquire_many(&semaphore, 2, &p)) trt_release(&p);
    if (trt_try_acquire(&semaphore, &p)) trt_release(&p);
}
static void semaphore_try(void)
{
    unsigned long a, b;
    MODEL_CHECK(trt_semaphore_init(&semaphore, 2) == TRT_OK);
    a = thread(0, tries);
    b = thread(1, tries);
    tries();
    model_join(a);
    model_join(b);
    MODEL_CHECK(trt_available_permits(&semaphore) == 2);
}

/* ---- oneshot, once, barrier ---- */

typedef trt_oneshot(int) answer;
static answer reply;
struct asks { int x; };
trt_async(int, asks)
{
    trt_body {
        trt_await_ok(trt_oneshot_recv(&reply, &self->x));
        trt_return(self->x);
    }
}
static int answered;
static void answers(void) { answered = trt_oneshot_send(&reply, 3) == TRT_OK; }
static void closes_reply(void) { trt_oneshot_close(&reply); }
static void oneshot(void)
{
    unsigned long a, b;
    int out = 0;
    trt_status_code status;
    memset(&reply, 0, sizeof reply);
    start();
    a = thread(0, answers);
    b = thread(1, closes_reply);
    status = trt_block_on(runtime, asks, &out);
    model_join(a);
    model_join(b);
    MODEL_CHECK(status == TRT_OK ? out == 3 && answered : status == TRT_CLOSED && !answered);
    finish();
}

/* Two runtimes on two threads share the object: one gets the value, the other is told that there is none. */
static const trt_config here = {.current_thread = true, .stall_after = -1};
static trt_a32_ received;
static void asks_here(void)
{
    int out = 0;
    trt_status_code status = trt_run_with(&here, asks, &out);
    MODEL_CHECK(status == TRT_OK ? out == 3 : status == TRT_CLOSED);
    if (status == TRT_OK) TRT_ADD_(&received, 1u, relaxed);
}
static void oneshot_two(void)
{
    unsigned long a, b;
    memset(&reply, 0, sizeof reply);
    TRT_STORE_(&received, 0u, relaxed);
    a = thread(0, asks_here);
    b = thread(1, answers);
    model_refuse_threads(0);
    asks_here();
    model_join(a);
    model_join(b);
    MODEL_CHECK(answered && TRT_LOAD_(&received, seq_cst) == 1);
}

static trt_once once;
static int initialised;
struct initialises { bool first; };
trt_async(int, initialises)
{
    trt_body {
        trt_await_ok(trt_once_enter(&once, &self->first));
        if (self->first && !initialised++) trt_once_failed(&once); /* the first one fails */
        else if (self->first) trt_once_done(&once);
        trt_return(self->first);
    }
}
static void initialises_here(void)
{
    trt_status_code status = trt_run_with(&here, initialises, NULL);
    MODEL_CHECK(status == TRT_OK);
}
static void once_two(void)
{
    unsigned long a;
    memset(&once, 0, sizeof once);
    initialised = 0;
    a = thread(0, initialises_here);
    model_refuse_threads(0);
    initialises_here();
    model_join(a);
    MODEL_CHECK(initialised >= 1);
}

static trt_barrier barrier;
static trt_a32_ leaders;
struct meets { bool leader; };
trt_async(int, meets)
{
    trt_body {
        trt_await_ok(trt_barrier_wait(&barrier, &self->leader));
        if (self->leader) TRT_ADD_(&leaders, 1u, relaxed);
    }
}
static void meets_here(void) { MODEL_CHECK(trt_run_with(&here, meets, NULL) == TRT_OK); }
static void barrier_two(void)
{
    unsigned long a;
    TRT_STORE_(&leaders, 0u, relaxed);
    MODEL_CHECK(trt_barrier_init(&barrier, 2) == TRT_OK);
    a = thread(0, meets_here);
    model_refuse_threads(0);
    meets_here();
    model_join(a);
    MODEL_CHECK(TRT_LOAD_(&leaders, seq_cst) == 1);
}

/* The last two references go at once. */
static int destroyed;
static void destroys(void *p)
{
    MODEL_CHECK(*(int *)p == 5);
    destroyed++;
}
static int *counted;
static void drops(void)
{
    int *mine = counted;
    trt_arc_drop(mine);
}
static void arc(void)
{
    unsigned long a;
    destroyed = 0;
    counted = (int *)trt_arc_new(sizeof *counted, destroys);
    *counted = 5;
    (void)trt_arc_clone(counted);
    a = thread(0, drops);
    drops();
    model_join(a);
    MODEL_CHECK(destroyed == 1);
}

#define BOUND(n) .exhaust = (n) + 1
#define WEAK(n) .weak = 1, .stale = (n)
static const model_scenario scenarios[] = {
    {.name = "ring", .run = ring, BOUND(3), WEAK(1)},
    {.name = "ring_overflow", .run = ring_overflow, BOUND(2), WEAK(1)},
    {.name = "ring_two_thieves", .run = ring_two_thieves, BOUND(2)},
    {.name = "ring_stolen_on", .run = ring_stolen_on, BOUND(3), WEAK(1)},
    {.name = "ring_injected", .run = ring_injected, BOUND(3), WEAK(1)},
    {.name = "deque", .run = deque, BOUND(3), WEAK(2)},
    {.name = "deque_two_thieves", .run = deque_two_thieves, BOUND(2), WEAK(2)},
    {.name = "inject_queue", .run = inject_queue, BOUND(4), WEAK(1)},
    {.name = "idle_one", .run = idle_one, BOUND(2), WEAK(1)},
    {.name = "idle_two", .run = idle_two, BOUND(1), WEAK(1)},
    {.name = "idle_two_for_one", .run = idle_two_for_one, BOUND(2)},
    {.name = "idle_ring", .run = idle_ring, BOUND(2), WEAK(1)},
    {.name = "idle_deque", .run = idle_deque, BOUND(2), WEAK(1)},
    {.name = "calm_one", .run = calm_one, BOUND(2), WEAK(1)},
    {.name = "calm_two", .run = calm_two, .weak = 1},
    {.name = "calm_denied", .run = calm_denied, BOUND(2), WEAK(1)},
    {.name = "calm_denied_two", .run = calm_denied_two, .weak = 1},
    {.name = "calm_begin", .run = calm_begin, BOUND(1), WEAK(1)},
    {.name = "calm_begin_two", .run = calm_begin_two, .weak = 1},
    {.name = "calm_begin_again", .run = calm_begin_again, .weak = 1},
    {.name = "calm_begin_denied", .run = calm_begin_denied, .weak = 1},
    {.name = "idle_relied_on", .run = idle_relied_on, .weak = 1},
    {.name = "watch", .run = watch, BOUND(2), WEAK(1)},
    {.name = "watch_spurious", .run = watch, .weak = 1, .spurious = 1},
    {.name = "watch_drive", .run = watch_drive, BOUND(2), WEAK(1)},
    {.name = "last_end", .run = last_end, BOUND(3), WEAK(2)},
    {.name = "last_two_end", .run = last_two_end, BOUND(3), WEAK(2)},
    {.name = "driver", .run = driver, BOUND(3), WEAK(2)},
    {.name = "driver_poller", .run = driver_poller, BOUND(3), WEAK(1)},
    {.name = "wheel_cancel", .run = wheel_cancel, BOUND(6), WEAK(1)},
    {.name = "claim_abort", .run = claim_abort, BOUND(2)},
    {.name = "claim_timeout", .run = claim_timeout, BOUND(2), WEAK(1), .early = 1},
    {.name = "claim_all", .run = claim_all, BOUND(1), .early = 1, WEAK(1)},
    {.name = "notify_all", .run = notify_all, BOUND(2)},
    {.name = "notify_freed", .run = notify_freed, BOUND(2), WEAK(1)},
    {.name = "notify_passed_on", .run = notify_passed_on, BOUND(2), WEAK(1)},
    {.name = "join_join", .run = join_join, BOUND(3), WEAK(1)},
    {.name = "join_detach", .run = join_detach, BOUND(3), WEAK(1)},
    {.name = "join_abort", .run = join_abort, BOUND(3), WEAK(1)},
    {.name = "joiner_abort", .run = joiner_abort, BOUND(2)},
    {.name = "channel_bounded", .run = channel_bounded, .most = 4000000, BOUND(3), WEAK(1), .spurious = 1},
    {.name = "channel_unbounded", .run = channel_unbounded, BOUND(3), WEAK(1), .spurious = 1},
    {.name = "channel_abort", .run = channel_abort, BOUND(2)},
    {.name = "semaphore_abort", .run = semaphore_abort, BOUND(2)},
    {.name = "semaphore_close", .run = semaphore_close, BOUND(2)},
    {.name = "semaphore_closed", .run = semaphore_closed, BOUND(2)},
    {.name = "semaphore_try", .run = semaphore_try, BOUND(3), WEAK(1)},
    {.name = "oneshot", .run = oneshot, BOUND(2), WEAK(1)},
    {.name = "oneshot_two", .run = oneshot_two, BOUND(1), WEAK(1)},
    {.name = "once_two", .run = once_two, BOUND(2)},
    {.name = "barrier_two", .run = barrier_two, BOUND(2)},
    {.name = "arc", .run = arc, .exhaust = 100, .weak = 1},
};

int main(int argc, char **argv)
{
    return model_main(argc, argv, scenarios, sizeof scenarios / sizeof *scenarios);
}
