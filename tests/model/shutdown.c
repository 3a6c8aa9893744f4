/* shutdown.c - a runtime is shut down at every step, whatever its tasks wait for, and by whomever.
 *
 * A scenario is a row of things.h, or one of those below: what is running, queued, in its cleanup or on the pool. The
 * shutdown comes from a thread, from two, from a task, from a blocking job, with a deadline, or as a free. When it has
 * returned, every cleanup has run once, nothing runs any more, and what is spawned is refused.
 */
#include "things.h"

enum by { BY_THREAD, BY_TWO, BY_TASK, BY_JOB, BY_FREE, IN_A_HURRY, BYS };
static enum by by;

/* Nobody is made any more, and whoever asks hears why. */
static void check_refused(void)
{
    trt_handle(kid) h = trt_spawn_on(runtime, kid);
    MODEL_CHECK(!trt_spawned(h) && trt_join_thread(h, NULL) == TRT_CANCELLED);
    MODEL_CHECK(trt_block_on(runtime, kid, NULL) == TRT_CANCELLED);
    trt_handle(gated) g = trt_spawn_blocking_on(runtime, gated);
    MODEL_CHECK(!trt_spawned(g) && trt_join_thread(g, NULL) == TRT_CANCELLED);
}

static void check_all_ended(void)
{
    MODEL_CHECK(COUNTED(kids_made) == COUNTED(kids_cleaned));
    for (int i = 0; i < 2; i++) MODEL_CHECK(told[i].begun <= 1 && told[i].cleanups == told[i].ended);
}

static void check_counters(void)
{
    trt_metrics_info m;
    trt_metrics(runtime, &m);
    MODEL_CHECK(m.tasks_alive == 0 && m.tasks_spawned == m.tasks_ended && m.blocking_threads == 0);
}

/* Whoever may wait for the end. */
static void shut_down_from_outside(void)
{
    MODEL_CHECK(trt_runtime_shutdown(runtime, -1) == TRT_OK);
    check_all_ended();
    check_refused();
}

/* Whoever runs in it may only begin. */
static void shut_down_from_inside(void)
{
    MODEL_CHECK(trt_runtime_shutdown(trt_current(), model_choose(2) ? -1 : 0) == TRT_PENDING);
    trt_handle(kid) h = trt_spawn(kid);
    MODEL_CHECK(!trt_spawned(h));
}

static void shuts_down(void *unused)
{
    (void)unused;
    if (model_await_moment()) shut_down_from_outside();
}

static trt_notify order;
struct shuts { int cleanups; };
trt_async(int, shuts)
{
    trt_body {
        trt_await(trt_notified(&order));
        shut_down_from_inside();
        trt_await(trt_sleep_until(INT64_MAX));
        MODEL_CHECK(!"an await of a body completed after the shutdown");
    }
    trt_cleanup {
        MODEL_CHECK(trt_status() == TRT_CANCELLED && ++self->cleanups == 1);
        trt_await(trt_yield());
        MODEL_CHECK(trt_status() == TRT_OK);
    }
}
static void orders(void *unused)
{
    (void)unused;
    if (model_await_moment()) trt_notify_one(&order);
}

struct shuts_job { int none; };
trt_blocking_fn(int, shuts_job)
{
    if (model_await_moment()) shut_down_from_inside();
    return 1;
}

/* ---- the engine ---- */

struct shutters { unsigned long thread[2]; int n; trt_any_handle inside; };

static void shutters_start(struct shutters *s)
{
    s->n = by == BY_TWO ? 2 : by == BY_THREAD || by == BY_TASK ? 1 : 0;
    for (int i = 0; i < s->n; i++) s->thread[i] = model_start(by == BY_TASK ? orders : shuts_down, NULL);
    if (by == BY_TASK) s->inside = trt_any(trt_spawn_on(runtime, shuts));
    else if (by == BY_JOB) s->inside = trt_any(trt_spawn_blocking_on(runtime, shuts_job));
}

static void shutters_end(struct shutters *s)
{
    model_end_moments();
    for (int i = 0; i < s->n; i++) model_join(s->thread[i]);
}

/* Free at the moment: nothing of the runtime may be touched from then on, so nobody joins. */
static void free_at_moment(void)
{
    (void)model_await_moment();
    MODEL_CHECK(trt_runtime_free(runtime) == TRT_OK);
}

static void end_in_a_hurry(void)
{
    (void)model_await_moment();
    trt_status_code status = trt_runtime_shutdown(runtime, trt_us(model_choose(3) * 700));
    MODEL_CHECK(status == TRT_OK || status == TRT_TIMED_OUT);
    if (status == TRT_OK) check_all_ended();
    check_refused();
    MODEL_CHECK(trt_runtime_free(runtime) == TRT_OK);
}

static void check_joined(trt_any_handle h, bool not_refused)
{
    trt_status_code status = trt_join_thread(h, NULL);
    MODEL_CHECK(status == TRT_OK || status == TRT_CANCELLED);
    MODEL_CHECK(!not_refused || trt_spawned(h));
}

static void run(void)
{
    trt_handle(waiter) next = {{0}};
    struct shutters shutters = {{0}, 0, {{0}}};
    unsigned long giver;
    thing = model_with();
    shut = true;
    by = (enum by)model_turn(BYS);
    memset(&order, 0, sizeof order);
    in_a_hurry = by == IN_A_HURRY;
    start(by == BY_JOB ? 2 : 1);
    way = (enum way)model_choose(WAYS);
    if (!thing->holds && (way == IN_ALL || way == IN_TRY_ALL)) way = PLAINLY;
    if (thing->set_up) thing->set_up();
    victim = spawn_victim();
    shutters_start(&shutters);
    if (!thing->alone) next = trt_spawn_on(runtime, waiter, .which = NEXT);
    giver = model_start(gives, NULL);
    if (by == BY_FREE) free_at_moment();
    else if (by == IN_A_HURRY) end_in_a_hurry();
    if (by == BY_FREE || by == IN_A_HURRY) {
        model_join(giver);
    } else {
        /* Only a shutdown frees a task that nobody gives anything. */
        model_join(giver);
        check_joined(victim, true);
        if (!thing->alone && !thing->instead) check_joined(trt_any(next), false);
        shutters_end(&shutters);
        if (trt_spawned(shutters.inside)) trt_detach(shutters.inside);
        shut_down_from_outside();
        check_counters();
        if (!thing->alone && thing->instead) check_joined(trt_any(next), false);
        if (thing->check) thing->check();
        MODEL_CHECK(trt_runtime_free(runtime) == TRT_OK);
    }
    runtime = NULL;
    for (int i = 0; i < 2; i++) MODEL_CHECK(told[i].begun <= 1 && told[i].cleanups <= 1);
    if (by != IN_A_HURRY) MODEL_CHECK(COUNTED(kids_made) == COUNTED(kids_cleaned));
    if (thing->tear_down) thing->tear_down();
}

/* ---- tasks and jobs in other states ---- */

static trt_a32_ made, cleaned; /* tasks */
static trt_a32_ seen_enough;   /* the sweep ends here, and a shutdown comes in any case */

static void count_made(bool spawned)
{
    if (spawned) COUNT(made);
}
static void see_enough(void)
{
    TRT_STORE_(&seen_enough, 1u, release);
    trt_os_wake_(&seen_enough, INT_MAX);
}
static void ends_moments(void *unused)
{
    (void)unused;
    while (!TRT_LOAD_(&seen_enough, acquire)) trt_os_wait_(&seen_enough, 0, TRT_FOREVER_);
    model_end_moments();
}

/* Never waits, never ends. */
struct busy { int i, *begun, *cleaned; };
trt_async(int, busy)
{
    trt_body {
        if (self->begun) ++*self->begun;
        for (self->i = 0;; self->i++) {
            if (self->i == 3) see_enough();
            trt_await(trt_yield());
        }
    }
    trt_cleanup {
        if (self->cleaned) ++*self->cleaned;
        else COUNT(cleaned);
    }
}

/* Has children of every sort, all busy. */
struct parent { trt_frame(busy) called; trt_join_set(busy) set; int x, begun, cleaned; };
trt_async(int, parent)
{
    trt_body {
        count_made(trt_spawned(trt_spawn_in(&self->set, busy)));
        COUNT(made);
        trt_fork(busy, &self->x);
        trt_await(trt_call(busy, &self->called, .begun = &self->begun, .cleaned = &self->cleaned));
        MODEL_CHECK(!"a child that never ends has ended");
    }
    trt_cleanup {
        MODEL_CHECK(self->begun <= self->cleaned && self->cleaned <= 1);
        COUNT(cleaned);
    }
}
static void make_busy(void)
{
    count_made(trt_spawn_on(runtime, busy).ref_.cell != NULL);
    count_made(trt_spawn_on(runtime, parent).ref_.cell != NULL);
}

/* Its cleanup takes a while, and asks for what the shutdown refuses, and for what it does not. */
struct tidies { int i; trt_handle(kid) h; trt_job(gated) job; };
trt_async(int, tidies)
{
    trt_body { trt_return(1); }
    trt_cleanup {
        trt_await(trt_yield());
        see_enough();
        self->h = trt_spawn(kid, .stays = true);
        if (trt_spawned(self->h)) COUNT(kids_made);
        trt_await(trt_sleep(trt_ms(1)));
        MODEL_CHECK(trt_status() == TRT_OK);
        trt_await(trt_blocking(gated, &self->job));
        MODEL_CHECK(trt_status() == TRT_OK && self->job.out == 5);
        trt_await(trt_stop(self->h));
        COUNT(cleaned);
    }
}
static void make_cleanup(void) { count_made(trt_spawn_on(runtime, tidies).ref_.cell != NULL); }

/* Never stops spawning. */
struct brief { int i; };
trt_async(int, brief)
{
    trt_body { trt_await(trt_yield()); }
    trt_cleanup { COUNT(cleaned); }
}
struct spawner { int i; bool refused; };
trt_async(int, spawner)
{
    trt_body {
        for (self->i = 0;; self->i++) {
            trt_status_code status = trt_spawn_detached(brief);
            MODEL_CHECK(status == TRT_OK ? !self->refused : status == TRT_CANCELLED);
            self->refused = status != TRT_OK;
            count_made(!self->refused);
            if (self->i == 3) see_enough();
            trt_await(trt_yield());
        }
    }
    trt_cleanup { COUNT(cleaned); }
}
static void make_spawner(void) { count_made(trt_spawn_on(runtime, spawner).ref_.cell != NULL); }

/* A burst: most of it is in the queues when the shutdown comes. */
static void make_burst(void)
{
    for (int i = 0; i < 7; i++) count_made(trt_spawn_on(runtime, brief).ref_.cell != NULL);
    see_enough();
}

/* One job runs, two are queued; a task waits for a fourth. */
static int job_in[4], job_out[4];
static trt_handle(gated) jobs[3];
struct waits_for_job { trt_job(gated) job; };
trt_async(int, waits_for_job)
{
    trt_body { trt_await(trt_blocking(gated, &self->job, .in = &job_in[3], .out = &job_out[3])); }
    trt_cleanup {
        MODEL_CHECK(job_in[3] == job_out[3]);
        COUNT(cleaned);
    }
}
static void make_jobs(void)
{
    memset(job_in, 0, sizeof job_in);
    memset(job_out, 0, sizeof job_out);
    for (int i = 0; i < 3; i++) jobs[i] = trt_spawn_blocking_on(runtime, gated, .in = &job_in[i], .out = &job_out[i]);
    count_made(trt_spawn_on(runtime, waits_for_job).ref_.cell != NULL);
    see_enough();
}
static void check_jobs(void)
{
    for (int i = 0; i < 3; i++) {
        int out = 0;
        trt_status_code status = trt_join_thread(jobs[i], &out);
        MODEL_CHECK(job_in[i] == job_out[i] && job_in[i] == (status == TRT_OK));
        MODEL_CHECK(status == TRT_OK ? out == 5 : status == TRT_CANCELLED);
    }
}

struct state { const char *name; void (*make)(void); void (*check)(void); bool gated, spawned_into; };
static const struct state states[] = {
    {"busy", .make = make_busy},
    {"in_cleanup", .make = make_cleanup, .gated = true},
    {"spawner", .make = make_spawner, .spawned_into = true},
    {"burst", .make = make_burst, .spawned_into = true},
    {"jobs", .make = make_jobs, .check = check_jobs, .gated = true},
};
enum { STATES = sizeof states / sizeof *states };

static void opens_gate(void *unused)
{
    (void)unused;
    open_gate();
}

/* From outside, whatever happens inside. What is spawned late hears why. */
static void spawns(void *unused)
{
    bool refused = false;
    (void)unused;
    for (int i = 0; i < 3; i++) {
        trt_handle(brief) h = trt_spawn_on(runtime, brief);
        MODEL_CHECK(trt_spawned(h) ? !refused : trt_join_thread(h, NULL) == TRT_CANCELLED);
        refused = !trt_spawned(h);
        count_made(!refused);
        trt_detach(h);
    }
}

static void shuts_down_too(void *unused)
{
    (void)unused;
    (void)model_await_moment();
    shut_down_from_outside();
}

static void states_run(void)
{
    static const struct thing nothing = {.name = "nothing"};
    const struct state *s = model_with();
    unsigned long others[4];
    int n = 0;
    trt_any_handle inside = {{0}};
    thing = &nothing;
    shut = true;
    by = (enum by)model_turn(BYS);
    in_a_hurry = by == IN_A_HURRY;
    memset(&order, 0, sizeof order);
    TRT_STORE_(&made, 0u, relaxed);
    TRT_STORE_(&cleaned, 0u, relaxed);
    TRT_STORE_(&seen_enough, 0u, relaxed);
    start(by == BY_JOB ? 2 : 1);
    if (by == BY_TASK) inside = trt_any(trt_spawn_on(runtime, shuts));
    if (by == BY_JOB) inside = trt_any(trt_spawn_blocking_on(runtime, shuts_job));
    s->make();
    others[n++] = model_start(ends_moments, NULL);
    if (s->gated) others[n++] = model_start(opens_gate, NULL);
    if (s->spawned_into && by != BY_FREE && by != IN_A_HURRY) others[n++] = model_start(spawns, NULL);
    if (by == BY_TWO) others[n++] = model_start(shuts_down_too, NULL);
    if (by == BY_FREE) free_at_moment();
    else if (by == IN_A_HURRY) end_in_a_hurry();
    else (void)model_await_moment();
    if (by == BY_TASK) trt_notify_one(&order);
    if (by != BY_FREE && by != IN_A_HURRY) shut_down_from_outside();
    uint32_t at_return = COUNTED(cleaned);
    see_enough();
    for (int i = 0; i < n; i++) model_join(others[i]);
    MODEL_CHECK(COUNTED(cleaned) == at_return || in_a_hurry); /* nothing runs any more */
    if (by != BY_FREE && by != IN_A_HURRY) {
        check_counters();
        if (s->check) s->check();
        if (inside.ref_.cell) trt_detach(inside);
        MODEL_CHECK(trt_runtime_free(runtime) == TRT_OK);
    }
    runtime = NULL;
    MODEL_CHECK(COUNTED(cleaned) == COUNTED(made) || (in_a_hurry && COUNTED(cleaned) < COUNTED(made)));
}

int main(int argc, char **argv)
{
    static model_scenario scenarios[THINGS + STATES];
    for (size_t i = 0; i < THINGS + STATES; i++) {
        bool is_state = i < STATES;
        scenarios[i] = (model_scenario){.weak = 1, .spurious = 2, .early = 2, .turns = 3 * BYS};
        scenarios[i].swept = "shutdown points";
        scenarios[i].name = is_state ? states[i].name : things[i - STATES].name;
        scenarios[i].run = is_state ? states_run : run;
        scenarios[i].with = is_state ? (const void *)&states[i] : (const void *)&things[i - STATES];
    }
    return model_main(argc, argv, scenarios, THINGS + STATES);
}
