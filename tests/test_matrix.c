/* The state matrix: one task in every combination of how it ends, who joins it and when, what becomes of its handle,
 * when it is aborted, by whom, and on which runtime. For each: the join's status, one cleanup and its reason, no task
 * alive and no memory in use at the end.
 *
 * A combination uses neither the clock nor sleeps, only events, so whatever controls the threads of a program may call
 * combination() as well: tests/model/matrix.c does. It defines MATRIX_NO_MAIN, and what harness.h and common.h give.
 */
#ifndef MATRIX_NO_MAIN
#include "harness.h"
static atomic_int messages; /* what the library would print: misuse of handles is part of the matrix */
#define TASKRT_LOG(text) ((void)(text), (void)atomic_fetch_add(&messages, 1))
#define TASKRT_IMPLEMENTATION
#include "../taskrt.h"
#include "common.h"
#endif

enum flavour { CURRENT_THREAD, ONE_WORKER, TWO_WORKERS, FLAVOURS };
enum belongs { TO_NOBODY, TO_A_SET, BELONGINGS };
enum panics { NOWHERE, IN_THE_BODY, IN_THE_CLEANUP, PANICS };
enum joined { BEFORE_THE_END, AFTER_THE_END, NOT_AT_ALL, JOINS };
enum handle { KEPT, DETACHED_EARLY, DETACHED_LATE, DETACHED_AFTER, HANDLES };
enum aborted {
    NEVER,
    BEFORE_START,
    SUSPENDED,
    RUNNING,         /* by itself, or by what it calls; then it awaits */
    RUNNING_LEAVES,  /* the same; then it leaves without an await */
    RUNNING_BESIDES, /* by another thread, while it runs; then it awaits */
    IN_CLEANUP,
    AFTER_END,
    ABORTS
};
enum by { BY_HANDLE, BY_SET, BY_SHUTDOWN, BYS };

struct combination {
    enum flavour flavour;
    enum belongs belongs;
    enum panics panics;
    enum joined joined;
    enum handle handle;
    enum aborted aborted;
    enum by by;
};

static const char *describe(const struct combination *c)
{
    static const char *const flavours[] = {"on the current thread", "on one worker", "on two workers"};
    static const char *const belongings[] = {"a task", "a member of a set"};
    static const char *const panics[] = {"panics nowhere", "panics in the body", "panics in the cleanup"};
    static const char *const joins[] = {"joined before the end", "joined after the end", "not joined"};
    static const char *const handles[] = {"kept", "detached early", "detached late", "detached after the end"};
    static const char *const aborts[] = {"never aborted", "aborted before it starts", "aborted while suspended",
        "aborted while running, then awaits", "aborted while running, then leaves", "aborted by another thread while running",
        "aborted in its cleanup", "aborted after the end"};
    static const char *const bys[] = {"by a handle", "by the set", "by shutdown"};
    static char text[400];
    snprintf(text, sizeof text, "%s, %s, %s, %s, %s, %s %s", flavours[c->flavour], belongings[c->belongs],
             panics[c->panics], joins[c->joined], handles[c->handle], aborts[c->aborted], bys[c->by]);
    return text;
}

/* Why a combination is left out; NULL if it makes sense. */
static const char *senseless(const struct combination *c)
{
    bool shutdown = c->by == BY_SHUTDOWN, set = c->belongs == TO_A_SET;
    if (c->aborted == NEVER && c->by != BY_HANDLE)
        return "nobody aborts, so nobody does it in another way";
    if (c->by == BY_SET && !set)
        return "a set aborts its members only";
    if (c->panics == IN_THE_BODY && (c->aborted == BEFORE_START || c->aborted == SUSPENDED || c->aborted == RUNNING ||
                                     c->aborted == RUNNING_BESIDES))
        return "the abort ends the body before it comes to panic";
    if (c->aborted == RUNNING_BESIDES && c->flavour == CURRENT_THREAD)
        return "the thread that aborts is the one that the task runs on";
    if (c->aborted == RUNNING_BESIDES && shutdown)
        return "a shutdown from outside returns after the task's end, so the task cannot wait for it; from inside: RUNNING";
    if (c->handle == DETACHED_EARLY && c->by == BY_SET)
        return "the set holds it no longer";
    if (c->handle == DETACHED_LATE && c->by == BY_SET && c->aborted == AFTER_END)
        return "the set holds it no longer";
    if (c->handle == DETACHED_LATE && shutdown && c->aborted != AFTER_END)
        return "a shutdown from outside returns after the end: nothing comes between abort and end";
    if (shutdown && set && c->joined == AFTER_THE_END && c->aborted != AFTER_END)
        return "the shutdown ends the frame of the set too, and with it the member: nobody is left to join after the end";
    if (shutdown && set && c->handle == DETACHED_AFTER)
        return "the shutdown ends the frame of the set too";
    return NULL;
}

/* An event: told once, by any thread; awaited by one task, or by a thread. */
typedef trt_semaphore event;
static void tell(event *e) { CHECK_EQ(trt_add_permits(e, 1), TRT_OK); }

struct victim { struct ground *g; trt_permit gate, end_gate; };
struct ground {
    const struct combination *c;
    trt_runtime *rt;
    event made, started, gate, in_cleanup, end_gate, leave, joining, bye;
    trt_any_handle h; /* of the victim */
    struct owner *owner;
    atomic_int bodies, cleanups;
    trt_status_code reason;  /* of the cleanup */
    trt_status_code outcome; /* of the join */
    int out;
    pthread_mutex_t mutex; /* between plain threads, and for a task that blocks its worker on purpose */
    pthread_cond_t changed;
    bool running, over;
};

static void plainly_tell(struct ground *g, bool *flag)
{
    pthread_mutex_lock(&g->mutex);
    *flag = true;
    pthread_cond_broadcast(&g->changed);
    pthread_mutex_unlock(&g->mutex);
}
static void plainly_await(struct ground *g, const bool *flag)
{
    pthread_mutex_lock(&g->mutex);
    while (!*flag)
        pthread_cond_wait(&g->changed, &g->mutex);
    pthread_mutex_unlock(&g->mutex);
}

static void abort_victim(struct ground *g);

trt_async(int, victim)
{
    struct ground *g = self->g;
    trt_body {
        atomic_fetch_add(&g->bodies, 1);
        tell(&g->started);
        trt_await_ok(trt_acquire(&g->gate, &self->gate));
        if (g->c->aborted == RUNNING || g->c->aborted == RUNNING_LEAVES)
            abort_victim(g);
        if (g->c->aborted == RUNNING_BESIDES) {
            plainly_tell(g, &g->running);
            plainly_await(g, &g->over);
        }
        if (g->c->aborted == RUNNING || g->c->aborted == RUNNING_BESIDES) {
            trt_await(trt_yield());
            CHECK(false); /* the abort acts there */
        }
        if (g->c->panics == IN_THE_BODY)
            trt_panic("in the body");
        trt_return(7);
    }
    trt_cleanup {
        if (atomic_fetch_add(&g->cleanups, 1) == 0)
            g->reason = trt_status();
        tell(&g->in_cleanup);
        trt_await(trt_acquire(&g->end_gate, &self->end_gate));
        CHECK_EQ(trt_status(), TRT_OK); /* shielded */
        if (g->c->panics == IN_THE_CLEANUP)
            trt_panic("in the cleanup");
    }
}

/* Makes the victim, and joins it if it is a member of a set, or to be joined before its end. That is in the cleanup,
 * which a shutdown does not reach. */
struct owner { struct ground *g; trt_join_set(victim) set; trt_permit leave, bye; };
trt_async(trt_void, owner)
{
    struct ground *g = self->g;
    trt_body {
        g->owner = self;
        if (g->c->belongs == TO_A_SET)
            g->h = trt_any(trt_spawn_in(&self->set, victim, .g = g));
        else
            g->h = trt_any(trt_spawn(victim, .g = g));
        CHECK(trt_spawned(g->h));
        if (g->c->handle == DETACHED_EARLY) {
            if (g->c->belongs == TO_A_SET)
                trt_detach_all(&self->set);
            else
                trt_detach(g->h);
        }
        if (g->c->aborted == BEFORE_START)
            abort_victim(g);
        tell(&g->made);
        trt_await_ok(trt_acquire(&g->leave, &self->leave));
    }
    trt_cleanup {
        if (g->c->joined == BEFORE_THE_END || (g->c->joined == AFTER_THE_END && g->c->belongs == TO_A_SET)) {
            tell(&g->joining);
            if (g->c->belongs == TO_A_SET)
                trt_await(trt_join_next(&self->set, &g->out));
            else
                trt_await(trt_join(g->h, &g->out));
            g->outcome = trt_status();
        }
        trt_await(trt_acquire(&g->bye, &self->bye)); /* the set must stay for those who still abort or detach it */
    }
}

static void abort_victim(struct ground *g)
{
    trt_any_handle copy = g->h;
    switch (g->c->by) {
    case BY_HANDLE: trt_abort(copy); break;
    case BY_SET: trt_abort_all(&g->owner->set); break;
    case BY_SHUTDOWN:
        CHECK_EQ(trt_runtime_shutdown(g->rt, -1), trt_current() ? TRT_PENDING : TRT_OK);
        break;
    case BYS:
    default: CHECK(false);
    }
}

static void detach_victim(struct ground *g)
{
    if (g->c->belongs == TO_A_SET)
        trt_detach_all(&g->owner->set);
    else
        trt_detach(g->h);
}

struct awaits_event { event *e; trt_permit p; };
trt_async(trt_void, awaits_event)
{
    trt_body { trt_await_ok(trt_acquire(self->e, &self->p)); }
}
static void await_event(struct ground *g, event *e) { CHECK_EQ(trt_block_on(g->rt, awaits_event, NULL, .e = e), TRT_OK); }

struct awaits_end { trt_any_handle h; };
trt_async(trt_void, awaits_end)
{
    trt_body { AWAIT_UNTIL(trt_is_finished(self->h)); }
}

static bool is_natural(const struct combination *c) /* does it end as if nobody had aborted it? */
{
    return c->aborted == NEVER || c->aborted == RUNNING_LEAVES || c->aborted == IN_CLEANUP || c->aborted == AFTER_END;
}

static void check_outcome(struct ground *g)
{
    const struct combination *c = g->c;
    trt_status_code reason = !is_natural(c) ? TRT_CANCELLED : c->panics == IN_THE_BODY ? TRT_PANICKED : TRT_OK, join;
    bool set = c->belongs == TO_A_SET;
    trt_status_code gone = set ? TRT_EMPTY : TRT_MISUSE;
    /* On two workers the shutdown at the end may find it before it has come to call its own. */
    if (c->aborted == RUNNING_LEAVES && c->by == BY_SHUTDOWN && c->flavour == TWO_WORKERS && g->reason == TRT_CANCELLED)
        reason = TRT_CANCELLED;
    join = c->panics == IN_THE_CLEANUP ? TRT_PANICKED : reason;
    CHECK_EQ(atomic_load(&g->cleanups), 1);
    CHECK_EQ(g->reason, reason);
    if (c->aborted != BEFORE_START)
        CHECK_EQ(atomic_load(&g->bodies), 1);
    else if (c->flavour != TWO_WORKERS) /* there it may have begun on the other worker */
        CHECK_EQ(atomic_load(&g->bodies), 0);
    if (c->joined == NOT_AT_ALL)
        join = TRT_PENDING;
    else if (c->handle == DETACHED_EARLY || (c->joined == AFTER_THE_END && c->handle != KEPT))
        join = gone;
    else if (c->handle == DETACHED_LATE && set) /* the owner waits: told that the set is empty now */
        join = gone;
    /* A joiner that waits already is served, whoever detaches. On two workers it may come too late. */
    if (!(c->joined == BEFORE_THE_END && (c->handle == DETACHED_LATE || c->handle == DETACHED_AFTER) &&
          c->flavour == TWO_WORKERS && g->outcome == gone))
        CHECK_EQ(g->outcome, join);
    CHECK_EQ(g->out, g->outcome == TRT_OK ? 7 : -1);
}

static void play(struct ground *g)
{
    const struct combination *c = g->c;
    bool shutdown = c->by == BY_SHUTDOWN, set = c->belongs == TO_A_SET, left;
    trt_handle(owner) owner;

    /* A shutdown from outside waits for all: what it would wait for is told before. */
    if (shutdown) {
        tell(&g->bye);
        if (c->handle != DETACHED_LATE)
            tell(&g->end_gate);
        if (c->joined == BEFORE_THE_END)
            tell(&g->leave);
    }
    owner = trt_spawn_on(g->rt, owner, .g = g);
    if (shutdown && c->aborted == BEFORE_START) { /* the owner runs, and shuts down under whoever waits for it */
        trt_status_code status = trt_block_on(g->rt, awaits_event, NULL, .e = &g->made);
        CHECK(status == TRT_CANCELLED || (status == TRT_OK && c->flavour == TWO_WORKERS));
    } else {
        await_event(g, &g->made);
        if (c->joined == BEFORE_THE_END) {
            if (!shutdown)
                tell(&g->leave);
            await_event(g, &g->joining);
        }
        if (c->aborted != BEFORE_START)
            await_event(g, &g->started);
    }
    /* The victim waits at its gate, unless it was aborted before it came there. */
    if (c->aborted == SUSPENDED)
        abort_victim(g);
    else if (c->aborted != BEFORE_START)
        tell(&g->gate);
    if (c->aborted == RUNNING_BESIDES) {
        plainly_await(g, &g->running);
        abort_victim(g);
        plainly_tell(g, &g->over);
    }
    /* It comes to its cleanup, and waits at the end gate. */
    if (c->aborted == IN_CLEANUP) {
        await_event(g, &g->in_cleanup);
        abort_victim(g);
    }
    if (c->handle == DETACHED_LATE) {
        if (c->aborted != IN_CLEANUP)
            await_event(g, &g->in_cleanup);
        detach_victim(g);
        if (shutdown)
            tell(&g->end_gate);
    }
    if (!shutdown)
        tell(&g->end_gate);
    if (!shutdown || c->aborted == AFTER_END)
        CHECK_EQ(trt_block_on(g->rt, awaits_end, NULL, .h = g->h), TRT_OK);
    else
        CHECK_EQ(trt_runtime_shutdown(g->rt, -1), TRT_OK);
    CHECK(trt_is_finished(g->h));
    if (c->aborted == AFTER_END)
        abort_victim(g);
    if (c->handle == DETACHED_AFTER)
        detach_victim(g);
    if (c->joined == AFTER_THE_END && !set)
        g->outcome = trt_join_thread(g->h, &g->out);
    if (!shutdown && c->joined != BEFORE_THE_END)
        tell(&g->leave);
    if (!shutdown)
        tell(&g->bye);
    /* The shutdown finds the owner at its wait to leave, unless it was told to; a complete wait ends it as well. */
    left = !shutdown || (c->joined == BEFORE_THE_END && c->aborted != BEFORE_START);
    CHECK_EQ(trt_join_thread(owner, NULL), left ? TRT_OK : TRT_CANCELLED);
}

static void combination(const struct combination *c)
{
    int before = atomic_load(&harness_failures);
    const trt_config config = {.current_thread = c->flavour == CURRENT_THREAD, .workers = c->flavour == TWO_WORKERS ? 2 : 1};
    struct ground *g = calloc(1, sizeof *g);
    event *const events[] = {&g->made, &g->started, &g->gate, &g->in_cleanup, &g->end_gate, &g->leave, &g->joining, &g->bye};
    trt_metrics_info m;
    g->c = c;
    g->out = -1;
    g->outcome = TRT_PENDING;
    g->reason = TRT_PENDING;
    for (size_t i = 0; i < sizeof events / sizeof *events; i++)
        CHECK_EQ(trt_semaphore_init(events[i], 0), TRT_OK);
    pthread_mutex_init(&g->mutex, NULL);
    pthread_cond_init(&g->changed, NULL);
    if (CHECK_EQ(trt_runtime_start(&g->rt, &config), TRT_OK)) {
        play(g);
        check_outcome(g);
        CHECK_EQ(trt_runtime_shutdown(g->rt, -1), TRT_OK);
        trt_metrics(g->rt, &m);
        CHECK_EQ(m.tasks_alive, 0);
        CHECK_EQ(m.tasks_spawned, m.tasks_ended);
        CHECK_EQ(m.panics, c->panics == NOWHERE || (c->panics == IN_THE_BODY && g->reason == TRT_CANCELLED) ? 0 : 1);
        CHECK_EQ(trt_runtime_free(g->rt), TRT_OK);
        CHECK_EQ(atomic_load(&harness_blocks), 0);
    }
    pthread_cond_destroy(&g->changed);
    pthread_mutex_destroy(&g->mutex);
    free(g);
    if (atomic_load(&harness_failures) != before)
        harness_fail(__FILE__, __LINE__, "in this combination: %s", describe(c));
}

/* Every combination of what is not given as -1, at most one in `step` of them. How many there were. */
__attribute__((unused)) static long combinations(int flavour, int by, long step, void (*run)(const struct combination *))
{
    long n = 0, made = 0;
    struct combination c;
    for (int f = 0; f < FLAVOURS; f++)
        for (int b = 0; b < BELONGINGS; b++)
            for (int p = 0; p < PANICS; p++)
                for (int j = 0; j < JOINS; j++)
                    for (int h = 0; h < HANDLES; h++)
                        for (int a = 0; a < ABORTS; a++)
                            for (int y = 0; y < BYS; y++) {
                                c = (struct combination){(enum flavour)f, (enum belongs)b, (enum panics)p, (enum joined)j,
                                                         (enum handle)h, (enum aborted)a, (enum by)y};
                                if ((flavour >= 0 && f != flavour) || (by >= 0 && y != by) || senseless(&c))
                                    continue;
                                if (n++ % step == 0) {
                                    run(&c);
                                    made++;
                                }
                            }
    return made;
}

#ifndef MATRIX_NO_MAIN
/* Where the machine is said to be slow: every tenth, or hundredth, so that all kinds of them are still met. */
static void cell(enum flavour flavour, enum by by, long expected)
{
    long share = ROUNDS(1000), step = share >= 1000 ? 1 : 1000 / share;
    if (step > 40)
        step = 40;
    long n = combinations((int)flavour, (int)by, step, combination);
    CHECK_EQ(n, (expected + step - 1) / step);
}
#define CELL(name, flavour, by, expected)                                                          \
    TEST_WITHIN(60, name) { cell(flavour, by, expected); }

CELL(every_state_on_the_current_thread, CURRENT_THREAD, BY_HANDLE, 432)
CELL(every_state_on_the_current_thread_aborted_by_a_set, CURRENT_THREAD, BY_SET, 126)
CELL(every_state_on_the_current_thread_aborted_by_shutdown, CURRENT_THREAD, BY_SHUTDOWN, 219)
CELL(every_state_on_one_worker, ONE_WORKER, BY_HANDLE, 480)
CELL(every_state_on_one_worker_aborted_by_a_set, ONE_WORKER, BY_SET, 144)
CELL(every_state_on_one_worker_aborted_by_shutdown, ONE_WORKER, BY_SHUTDOWN, 219)
CELL(every_state_on_two_workers, TWO_WORKERS, BY_HANDLE, 480)
CELL(every_state_on_two_workers_aborted_by_a_set, TWO_WORKERS, BY_SET, 144)
CELL(every_state_on_two_workers_aborted_by_shutdown, TWO_WORKERS, BY_SHUTDOWN, 219)

int main(int argc, char **argv) { return harness_main(argc, argv); }
#endif
