/* Spawning, joining, handles, abort in every state, panics. */
#include "harness.h"
#define TASKRT_IMPLEMENTATION
#include "../taskrt.h"
#include "common.h"

/* ---- spawn and join ---- */

struct add_up { int i, n, total; trt_handle(now_value) h[100]; };
trt_async(int, add_up)
{
    trt_body {
        for (self->i = 0; self->i < 100; self->i++)
            self->h[self->i] = trt_spawn(now_value, .value = self->i + 1);
        for (self->i = 0; self->i < 100; self->i++) {
            trt_await(trt_join(self->h[self->i], &self->n));
            CHECK_EQ(trt_status(), TRT_OK);
            self->total += self->n;
        }
        trt_return(self->total);
    }
}

TEST(spawn_and_join_sum_to_5050)
{
    const trt_config *configs[] = {NULL, &on_one_thread, &on_one_worker, &on_two_workers, &on_four_workers, &on_virtual_clock};
    for (size_t i = 0; i < sizeof configs / sizeof *configs; i++) {
        int out = 0;
        CHECK_EQ(configs[i] ? trt_run_with(configs[i], add_up, &out) : trt_run(add_up, &out), TRT_OK);
        CHECK_EQ(out, 5050);
    }
}

struct overlap { int i, n; trt_handle(later) h[50]; trt_instant start; };
trt_async(int, overlap)
{
    trt_body {
        self->start = trt_now();
        for (self->i = 0; self->i < 50; self->i++)
            self->h[self->i] = trt_spawn(later, .after = trt_ms(50), .value = self->i);
        for (self->i = 0; self->i < 50; self->i++) {
            trt_await(trt_join(self->h[self->i], &self->n));
            CHECK_EQ(self->n, self->i);
        }
        CHECK_EQ(trt_now() - self->start, trt_ms(50));
    }
}

TEST(sleeping_tasks_overlap) { CHECK_EQ(trt_run_with(&on_virtual_clock, overlap, NULL), TRT_OK); }

struct raise { int *flag; };
trt_async(trt_void, raise)
{
    trt_body { *self->flag = 1; }
}

struct spawn_is_lazy { int flag; trt_handle(raise) h; };
trt_async(int, spawn_is_lazy)
{
    trt_body {
        self->h = trt_spawn(raise, .flag = &self->flag);
        CHECK(trt_spawned(self->h));
        CHECK_EQ(self->flag, 0); /* never run by the spawn itself */
        CHECK(!trt_is_finished(self->h));
        trt_await(trt_join(self->h, NULL));
        CHECK_EQ(self->flag, 1);
    }
}

TEST(spawn_queues_and_never_runs_the_task_itself)
{
    CHECK_EQ(trt_run_with(&on_virtual_clock, spawn_is_lazy, NULL), TRT_OK);
}

struct not_joined { int flag, other; trt_handle(raise) h; };
trt_async(int, not_joined)
{
    trt_body {
        self->h = trt_spawn(raise, .flag = &self->flag);
        AWAIT_UNTIL(self->flag);
        trt_detach(self->h);
        CHECK_EQ(trt_spawn_detached(raise, .flag = &self->other), TRT_OK);
        AWAIT_UNTIL(self->other);
    }
}

TEST(tasks_run_whether_or_not_anybody_joins)
{
    CHECK_EQ(trt_run_with(&on_virtual_clock, not_joined, NULL), TRT_OK);
}

struct yields { int *turns, n; };
trt_async(int, yields)
{
    trt_body {
        while (*self->turns < self->n) {
            ++*self->turns;
            trt_await(trt_yield());
        }
    }
}
struct takes_turns { int a, b; trt_handle(yields) h; };
trt_async(int, takes_turns)
{
    trt_body {
        self->h = trt_spawn(yields, .turns = &self->a, .n = 1000);
        while (self->a < 1000) {
            self->b++;
            trt_await(trt_yield());
            CHECK(self->b <= self->a + 100); /* neither runs away from the other */
        }
        trt_await(trt_join(self->h, NULL));
        CHECK(self->b >= 900);
    }
}

TEST(yield_lets_others_run) { CHECK_EQ(trt_run_with(&on_one_thread, takes_turns, NULL), TRT_OK); }

/* ---- handles ---- */

struct handle_rules { trt_handle(later) h, copy, zero, own; trt_handle(failing) bad; trt_any_handle any; int out, i; uint64_t id; trt_op op; };
trt_async(int, handle_rules)
{
    trt_body {
        /* joining consumes the handle and its copies */
        self->h = trt_spawn(later, .after = trt_ms(1), .value = 5);
        self->copy = self->h;
        self->any = trt_any(self->h);
        self->id = trt_task_id(self->h);
        CHECK(self->id != 0);
        CHECK_EQ(trt_task_id(self->copy), self->id);
        CHECK_EQ(trt_task_id(self->any), self->id);
        CHECK(!trt_is_finished(self->any));
        self->op = trt_join(self->h, &self->out);
        trt_await(self->op);
        CHECK_EQ(trt_status(), TRT_OK);
        CHECK_EQ(self->out, 5);
        self->out = 77;
        trt_await(self->op);
        CHECK_EQ(trt_status(), TRT_MISUSE);
        trt_await(trt_join(self->copy, &self->out));
        CHECK_EQ(trt_status(), TRT_MISUSE);
        trt_await(trt_join(self->any, (void *)&self->out));
        CHECK_EQ(trt_status(), TRT_MISUSE);
        CHECK_EQ(self->out, 77);
        CHECK(trt_is_finished(self->h));
        CHECK(trt_is_finished(self->any));
        trt_abort(self->h);
        trt_abort(self->copy);
        trt_detach(self->copy);
        trt_await(trt_stop(self->h)); /* done at once */
        trt_await(trt_stop(self->any));

        /* "no task" */
        trt_await(trt_join(self->zero, &self->out));
        CHECK_EQ(trt_status(), TRT_MISUSE);
        CHECK_EQ(self->out, 77);
        CHECK(!trt_spawned(self->zero));
        trt_abort(self->zero);
        trt_detach(self->zero);
        trt_await(trt_stop(self->zero));

        /* a failure leaves out alone; out may be NULL */
        self->bad = trt_spawn(failing, .status = TRT_LAGGED);
        trt_await(trt_join(self->bad, &self->out));
        CHECK_EQ(trt_status(), TRT_LAGGED);
        CHECK_EQ(self->out, 77);
        self->h = trt_spawn(later, .value = 1);
        trt_await(trt_join(self->h, NULL));
        CHECK_EQ(trt_status(), TRT_OK);

        /* a stale handle stays stale when its memory is used again */
        self->copy = self->h;
        for (self->i = 0; self->i < 1000; self->i++) {
            self->h = trt_spawn(later, .after = trt_ms(1), .value = self->i);
            CHECK(trt_task_id(self->h) != self->id);
            CHECK(trt_is_finished(self->copy));
            trt_abort(self->copy);
            trt_await(trt_join(self->copy, &self->out));
            CHECK_EQ(trt_status(), TRT_MISUSE);
            trt_await(trt_join(self->h, &self->out));
            CHECK_EQ(trt_status(), TRT_OK);
            CHECK_EQ(self->out, self->i);
        }
    }
}

TEST(a_handle_is_a_value_that_join_consumes)
{
    capture_start();
    trt_status_code status = trt_run_with(&on_virtual_clock, handle_rules, NULL);
    capture_end();
    CHECK_EQ(status, TRT_OK);
}

struct ids { uint64_t seen[500]; trt_handle(later) h[500]; int i, j; };
trt_async(int, ids)
{
    trt_body {
        for (self->i = 0; self->i < 500; self->i++) {
            self->h[self->i] = trt_spawn(later, .after = trt_ms(1));
            self->seen[self->i] = trt_task_id(self->h[self->i]);
            CHECK(self->seen[self->i] != 0);
            for (self->j = 0; self->j < self->i; self->j++)
                CHECK(self->seen[self->j] != self->seen[self->i]);
        }
        for (self->i = 0; self->i < 500; self->i++)
            trt_await(trt_join(self->h[self->i], NULL));
    }
}

TEST(task_ids_are_unique) { CHECK_EQ(trt_run_with(&on_virtual_clock, ids, NULL), TRT_OK); }

struct joins_itself { trt_any_handle *own; trt_status_code status; };
trt_async(int, joins_itself)
{
    trt_body {
        trt_await(trt_join(*self->own, NULL));
        CHECK_EQ(trt_status(), TRT_MISUSE);
        trt_return(3);
    }
}
struct starts_joins_itself { trt_any_handle own; int out; };
trt_async(int, starts_joins_itself)
{
    trt_body {
        self->own = trt_any(trt_spawn(joins_itself, .own = &self->own));
        trt_await(trt_join(self->own, (void *)&self->out));
        CHECK_EQ(trt_status(), TRT_OK);
        CHECK_EQ(self->out, 3);
    }
}

TEST(joining_oneself_is_misuse_and_no_deadlock)
{
    capture_start();
    trt_status_code status = trt_run_with(&on_virtual_clock, starts_joins_itself, NULL);
    capture_end();
    CHECK_EQ(status, TRT_OK);
}

struct joiner { trt_handle(later) h; int out; };
trt_async(trt_status_code, joiner)
{
    trt_body {
        trt_await(trt_join(self->h, &self->out));
        if (trt_status() == TRT_OK)
            CHECK_EQ(self->out, 9);
        trt_return(trt_status());
    }
}
struct two_joiners { trt_handle(later) h; trt_handle(joiner) a, b; trt_status_code sa, sb; };
trt_async(int, two_joiners)
{
    trt_body {
        self->h = trt_spawn(later, .after = trt_ms(5), .value = 9);
        self->a = trt_spawn(joiner, .h = self->h);
        self->b = trt_spawn(joiner, .h = self->h);
        trt_await_ok(trt_join(self->a, &self->sa));
        trt_await_ok(trt_join(self->b, &self->sb));
        CHECK((self->sa == TRT_OK && self->sb == TRT_MISUSE) || (self->sa == TRT_MISUSE && self->sb == TRT_OK));
    }
}

TEST(of_two_joiners_one_gets_the_result_and_the_other_misuse)
{
    capture_start();
    CHECK_EQ(trt_run_with(&on_virtual_clock, two_joiners, NULL), TRT_OK);
    CHECK_EQ(trt_run_with(&on_two_workers, two_joiners, NULL), TRT_OK);
    capture_end();
}

struct join_later { trt_handle(later) h; trt_handle(joiner) j; trt_status_code status; int out; };
trt_async(int, join_later)
{
    trt_body {
        self->h = trt_spawn(later, .after = trt_ms(100), .value = 9);
        trt_await(trt_within(trt_ms(1), trt_join(self->h, &self->out)));
        CHECK_EQ(trt_status(), TRT_TIMED_OUT);
        trt_await_any(trt_join(self->h, &self->out), trt_sleep(trt_ms(1)));
        CHECK_EQ(trt_chosen(), 1);
        self->j = trt_spawn(joiner, .h = self->h);
        trt_await(trt_sleep(trt_ms(1)));
        trt_abort(self->j);
        trt_await(trt_join(self->j, &self->status));
        CHECK_EQ(trt_status(), TRT_CANCELLED);
        CHECK(!trt_is_finished(self->h));
        CHECK_EQ(self->out, 0);
        trt_await(trt_join(self->h, &self->out));
        CHECK_EQ(trt_status(), TRT_OK);
        CHECK_EQ(self->out, 9);
    }
}

TEST(a_join_that_timed_out_or_lost_or_was_aborted_consumed_nothing)
{
    CHECK_EQ(trt_run_with(&on_virtual_clock, join_later, NULL), TRT_OK);
}

struct slow_end { atomic_int *ended; };
trt_async(int, slow_end)
{
    trt_body { trt_await(trt_sleep(trt_ms(1))); }
    trt_cleanup {
        trt_await(trt_sleep(trt_ms(10)));
        atomic_store(self->ended, 1);
    }
}
struct finished_means_cleaned { trt_handle(slow_end) h; atomic_int ended; };
trt_async(int, finished_means_cleaned)
{
    trt_body {
        self->h = trt_spawn(slow_end, .ended = &self->ended);
        trt_await(trt_sleep(trt_ms(5)));
        CHECK(!trt_is_finished(self->h));
        trt_await(trt_join(self->h, NULL));
        CHECK_EQ(atomic_load(&self->ended), 1);

        atomic_store(&self->ended, 0);
        self->h = trt_spawn(slow_end, .ended = &self->ended);
        trt_await(trt_sleep(trt_ms(5)));
        trt_abort(self->h); /* in its cleanup: shielded */
        CHECK(!trt_is_finished(self->h));
        trt_await(trt_sleep(trt_ms(1)));
        trt_abort(self->h);
        while (!trt_is_finished(self->h))
            trt_await(trt_sleep(trt_ms(1)));
        CHECK_EQ(atomic_load(&self->ended), 1);
        trt_await(trt_join(self->h, NULL));
        CHECK_EQ(trt_status(), TRT_OK); /* the body had finished first */
    }
}

TEST(a_task_is_finished_when_its_cleanup_is)
{
    CHECK_EQ(trt_run_with(&on_virtual_clock, finished_means_cleaned, NULL), TRT_OK);
}

struct writes_in_cleanup { int *plain; };
trt_async(int, writes_in_cleanup)
{
    trt_body { trt_await(trt_yield()); }
    trt_cleanup { *self->plain = 1; }
}
struct joiner_sees { int plain, i; trt_handle(writes_in_cleanup) h; };
trt_async(int, joiner_sees)
{
    trt_body {
        for (self->i = 0; self->i < 2000; self->i++) {
            self->plain = 0;
            self->h = trt_spawn(writes_in_cleanup, .plain = &self->plain);
            if (self->i % 3 == 0)
                trt_abort(self->h);
            trt_await(trt_join(self->h, NULL));
            CHECK_EQ(self->plain, 1);
        }
    }
}

TEST(a_joiner_sees_everything_that_the_cleanup_did)
{
    CHECK_EQ(trt_run_with(&on_two_workers, joiner_sees, NULL), TRT_OK);
}

struct detaches { trt_handle(later) h, copy; atomic_int started, cleaned; trt_handle(forever) f; };
trt_async(int, detaches)
{
    trt_body {
        self->h = trt_spawn(later, .after = trt_ms(2), .value = 4);
        trt_detach(self->h);
        CHECK(!trt_is_finished(self->h)); /* is_finished, id and abort still work */
        CHECK(trt_task_id(self->h) != 0);
        trt_await(trt_sleep(trt_ms(5)));
        CHECK(trt_is_finished(self->h));
        trt_await(trt_join(self->h, NULL)); /* nothing was kept */
        CHECK_EQ(trt_status(), TRT_MISUSE);

        self->f = trt_spawn(forever, .started = &self->started, .cleaned = &self->cleaned);
        trt_detach(self->f);
        trt_await(trt_sleep(trt_ms(1)));
        CHECK_EQ(atomic_load(&self->started), 1);
        trt_abort(self->f);
        trt_await(trt_sleep(trt_ms(1)));
        CHECK_EQ(atomic_load(&self->cleaned), 1);
        CHECK(trt_is_finished(self->f));
    }
}

TEST(a_detached_task_can_still_be_aborted_and_asked)
{
    capture_start();
    trt_status_code status = trt_run_with(&on_virtual_clock, detaches, NULL);
    capture_end();
    CHECK_EQ(status, TRT_OK);
}

struct stops { trt_handle(forever) h; trt_handle(later) l; atomic_int cleaned; trt_instant start; };
trt_async(int, stops)
{
    trt_body {
        self->h = trt_spawn(forever, .linger = trt_ms(4), .cleaned = &self->cleaned);
        trt_await(trt_sleep(trt_ms(1)));
        self->start = trt_now();
        trt_await(trt_stop(self->h));
        CHECK_EQ(trt_now() - self->start, trt_ms(4));
        CHECK_EQ(atomic_load(&self->cleaned), 1);
        trt_await(trt_stop(self->h)); /* consumed: done at once */
        CHECK_EQ(trt_now() - self->start, trt_ms(4));
        self->l = trt_spawn(later, .value = 1);
        trt_await(trt_sleep(trt_ms(1)));
        CHECK(trt_is_finished(self->l));
        trt_await(trt_stop(self->l)); /* finished: the outcome is dropped */
        CHECK(trt_is_finished(self->l));
        trt_await(trt_join(self->l, NULL));
        CHECK_EQ(trt_status(), TRT_MISUSE);
    }
}

TEST(stop_aborts_waits_for_the_end_and_drops_the_outcome)
{
    capture_start();
    trt_status_code status = trt_run_with(&on_virtual_clock, stops, NULL);
    capture_end();
    CHECK_EQ(status, TRT_OK);
}

struct owner { trt_handle(forever) h; atomic_int *cleaned; };
trt_async(int, owner)
{
    trt_body {
        self->h = trt_spawn(forever, .linger = trt_ms(3), .cleaned = self->cleaned);
        trt_await(trt_sleep_until(INT64_MAX));
    }
    trt_cleanup {
        trt_await(trt_stop(self->h));
    }
}
struct stops_owner { trt_handle(owner) a, b; atomic_int cleaned; };
trt_async(int, stops_owner)
{
    trt_body {
        self->a = trt_spawn(owner, .cleaned = &self->cleaned);
        trt_await(trt_sleep(trt_ms(1)));
        trt_await(trt_stop(self->a));
        CHECK_EQ(atomic_load(&self->cleaned), 1);
        self->b = trt_spawn(owner, .cleaned = &self->cleaned);
        trt_abort(self->b); /* never started: its cleanup stops a zeroed handle */
        trt_await(trt_join(self->b, NULL));
        CHECK_EQ(trt_status(), TRT_CANCELLED);
    }
}

TEST(stop_in_a_cleanup_waits_for_the_child)
{
    CHECK_EQ(trt_run_with(&on_virtual_clock, stops_owner, NULL), TRT_OK);
}

/* The cell has room for one who waits for the end; a stop waits in any case, or what the task borrows would be freed. */
struct joins_forever { trt_handle(forever) h; };
trt_async(int, joins_forever)
{
    trt_body {
        trt_await(trt_join(self->h, NULL));
        trt_return((int)trt_status());
    }
}
struct stops_it { trt_handle(forever) h; atomic_int *cleaned; };
trt_async(int, stops_it)
{
    trt_body {
        trt_await(trt_stop(self->h));
        CHECK_EQ(trt_status(), TRT_OK);
        trt_return(atomic_load(self->cleaned));
    }
}
struct stops_joined {
    trt_handle(forever) h;
    trt_handle(joins_forever) j;
    trt_handle(stops_it) s[3];
    trt_instant start;
    atomic_int cleaned;
    int i, out;
};
trt_async(int, stops_joined)
{
    trt_body {
        self->h = trt_spawn(forever, .linger = trt_ms(4), .cleaned = &self->cleaned);
        self->j = trt_spawn(joins_forever, .h = self->h);
        trt_await(trt_sleep(trt_ms(1)));
        self->start = trt_now();
        for (self->i = 0; self->i < 3; self->i++)
            self->s[self->i] = trt_spawn(stops_it, .h = self->h, .cleaned = &self->cleaned);
        trt_await(trt_sleep(trt_ms(1)));
        trt_abort(self->s[1]); /* leaves */
        trt_await(trt_join(self->s[1], NULL));
        CHECK_EQ(trt_status(), TRT_CANCELLED);
        trt_await(trt_within(trt_ms(1), trt_stop(self->h)));
        CHECK_EQ(trt_status(), TRT_TIMED_OUT);
        trt_await(trt_stop(self->h));
        CHECK_EQ(atomic_load(&self->cleaned), 1);
        CHECK_EQ(trt_now() - self->start, trt_ms(4));
        for (self->i = 0; self->i < 3; self->i += 2) {
            trt_await(trt_join(self->s[self->i], &self->out));
            CHECK_EQ(self->out, 1);
        }
        trt_await(trt_join(self->j, &self->out));
        CHECK_EQ(self->out, TRT_CANCELLED);
    }
}
TEST(stop_waits_for_the_end_while_somebody_else_joins)
{
    CHECK_EQ(trt_run_with(&on_virtual_clock, stops_joined, NULL), TRT_OK);
}

struct stops_left { trt_handle(forever) h; trt_handle(joins_forever) j; trt_handle(stops_it) s; atomic_int cleaned; };
trt_async(int, stops_left)
{
    trt_body {
        self->h = trt_spawn(forever, .linger = trt_ms(4), .cleaned = &self->cleaned);
        self->j = trt_spawn(joins_forever, .h = self->h);
        trt_await(trt_sleep(trt_ms(1)));
        self->s = trt_spawn(stops_it, .h = self->h, .cleaned = &self->cleaned);
        trt_await(trt_sleep(trt_ms(1)));
        trt_await(trt_stop(self->j));
        CHECK_EQ(atomic_load(&self->cleaned), 0);
        trt_await(trt_join(self->s, NULL));
        CHECK_EQ(atomic_load(&self->cleaned), 1);
        CHECK(trt_is_finished(self->h));
    }
}
TEST(stop_drops_the_outcome_that_an_aborted_joiner_has_left)
{
    capture_start();
    CHECK_EQ(trt_run_with(&on_virtual_clock, stops_left, NULL), TRT_OK);
    CHECK_LACKS(capture_end(), "neither joined nor detached");
}

struct stops_detached { trt_handle(forever) h; atomic_int cleaned; trt_instant start; };
trt_async(int, stops_detached)
{
    trt_body {
        self->h = trt_spawn(forever, .linger = trt_ms(4), .cleaned = &self->cleaned);
        trt_await(trt_sleep(trt_ms(1)));
        trt_detach(self->h);
        self->start = trt_now();
        trt_await_any(trt_stop(self->h), trt_stop(self->h));
        CHECK_EQ(trt_now() - self->start, trt_ms(4));
        CHECK_EQ(atomic_load(&self->cleaned), 1);
        trt_await(trt_stop(self->h)); /* over: done at once */
        CHECK_EQ(trt_now() - self->start, trt_ms(4));
    }
}
TEST(stop_waits_for_the_end_of_a_detached_task)
{
    CHECK_EQ(trt_run_with(&on_virtual_clock, stops_detached, NULL), TRT_OK);
}

struct obedient_job { atomic_bool *running, *ended; };
trt_blocking_fn(int, obedient_job)
{
    atomic_store(self->running, true);
    while (!trt_cancelled())
        harness_pause();
    for (int i = 0; i < 20; i++)
        harness_pause();
    atomic_store(self->ended, true);
    return 1;
}
struct stops_detached_job { trt_handle(obedient_job) h; atomic_bool running, ended; };
trt_async(int, stops_detached_job)
{
    trt_body {
        self->h = trt_spawn_blocking(obedient_job, .running = &self->running, .ended = &self->ended);
        trt_detach(self->h);
        AWAIT_UNTIL(atomic_load(&self->running));
        trt_await(trt_stop(self->h));
        CHECK(atomic_load(&self->ended));
    }
}
TEST(stop_waits_for_the_end_of_a_detached_job)
{
    CHECK_EQ(trt_run_with(&on_two_workers, stops_detached_job, NULL), TRT_OK);
}

/* A joiner runs a new task on its own back: then nobody waits, and yet somebody joins. */
static atomic_int inline_runs, inline_over, inline_stopping;
struct runs_inline { bool suspends; };
trt_async(int, runs_inline)
{
    trt_body {
        atomic_store(&inline_runs, 1);
        WAIT_UNTIL(atomic_load(&inline_stopping));
        for (int i = 0; i < 50; i++)
            harness_pause();
        if (self->suspends)
            trt_await(trt_sleep_until(INT64_MAX));
    }
    trt_cleanup {
        if (self->suspends)
            trt_await(trt_sleep(trt_ms(2)));
        atomic_store(&inline_over, 1);
    }
}
static trt_handle(runs_inline) inline_handle;
struct joins_inline { bool suspends; };
trt_async(int, joins_inline)
{
    trt_body {
        inline_handle = trt_spawn(runs_inline, .suspends = self->suspends);
        trt_await(trt_join(inline_handle, NULL));
        CHECK_EQ(trt_status(), self->suspends ? TRT_CANCELLED : TRT_OK);
    }
}
struct stops_inline { bool suspends; trt_handle(joins_inline) j; };
trt_async(int, stops_inline)
{
    trt_body {
        self->j = trt_spawn(joins_inline, .suspends = self->suspends);
        AWAIT_UNTIL(atomic_load(&inline_runs));
        atomic_store(&inline_stopping, 1);
        trt_await(trt_stop(inline_handle));
        CHECK_EQ(trt_status(), TRT_OK);
        CHECK_EQ(atomic_load(&inline_over), 1);
        trt_await(trt_join(self->j, NULL));
    }
}
TEST(stop_waits_for_the_end_of_a_task_that_its_joiner_runs)
{
    for (int i = 0; i < 2; i++) {
        atomic_store(&inline_runs, 0);
        atomic_store(&inline_stopping, 0);
        atomic_store(&inline_over, 0);
        CHECK_EQ(trt_run_with(&on_two_workers, stops_inline, NULL, .suspends = i == 1), TRT_OK);
    }
}

/* When the task leaves the back, the stop hangs in its cell: workers do not look for it any more. */
static bool stops_aside(void) { return TRT_LOAD_(&trt_current()->aside_some, relaxed) != 0; }
struct leaves_back { trt_void none; };
trt_async(int, leaves_back)
{
    trt_body {
        bool on_back = !(trt_here_.worker->cur->flags & TRT_ASYNC_); /* it may be stolen */
        atomic_store(&inline_runs, 1);
        WAIT_UNTIL(!on_back || stops_aside());
        trt_await(trt_sleep_until(INT64_MAX));
    }
    trt_cleanup { AWAIT_UNTIL(atomic_load(&inline_over)); }
}
static trt_handle(leaves_back) leaves_handle;
struct joins_leaver { trt_void none; };
trt_async(int, joins_leaver)
{
    trt_body {
        leaves_handle = trt_spawn(leaves_back);
        trt_await(trt_join(leaves_handle, NULL));
        CHECK_EQ(trt_status(), TRT_CANCELLED);
    }
}
struct stops_leaver { trt_void none; };
trt_async(int, stops_leaver)
{
    trt_body {
        trt_await(trt_stop(leaves_handle));
        CHECK_EQ(atomic_load(&inline_over), 1);
    }
}
struct leaves { bool abandoned; int i; trt_instant start; trt_handle(joins_leaver) j; trt_handle(stops_leaver) s[2]; };
trt_async(int, leaves)
{
    trt_body {
        self->j = trt_spawn(joins_leaver);
        AWAIT_UNTIL(atomic_load(&inline_runs));
        if (self->abandoned)
            trt_abort(self->j);
        for (self->i = 0; self->i < 2; self->i++)
            self->s[self->i] = trt_spawn(stops_leaver);
        self->start = trt_now();
        for (self->i = 0; self->i < 100 || (stops_aside() && trt_now() - self->start < trt_s(5)); self->i++)
            trt_await(trt_yield());
        CHECK(!stops_aside());
        CHECK(!trt_is_finished(leaves_handle));
        atomic_store(&inline_over, 1);
        for (self->i = 0; self->i < 2; self->i++)
            trt_await(trt_join(self->s[self->i], NULL));
        trt_await(trt_join(self->j, NULL));
        CHECK_EQ(trt_status(), self->abandoned ? TRT_CANCELLED : TRT_OK);
    }
}
TEST(nobody_looks_for_a_stop_whose_task_has_left_its_joiners_back)
{
    for (int i = 0; i < 2; i++) {
        atomic_store(&inline_runs, 0);
        atomic_store(&inline_over, 0);
        CHECK_EQ(trt_run_with(&on_two_workers, leaves, NULL, .abandoned = i == 1), TRT_OK);
    }
}

/* A great many stops are in nobody's way, and each task finds its own: of detached tasks, and of tasks that others join. */
enum { MANY_STOPS = 2000 };
struct stops_many {
    bool detached;
    int i;
    trt_handle(forever) *h;
    trt_join_set(stops_it) stopping;
    trt_join_set(joins_forever) joining;
    atomic_int cleaned;
};
trt_async(int, stops_many)
{
    trt_body {
        for (self->i = 0; self->i < MANY_STOPS; self->i++) {
            self->h[self->i] = trt_spawn(forever, .linger = trt_ms(1 + self->i % 3), .cleaned = &self->cleaned);
            if (self->detached)
                trt_detach(self->h[self->i]);
            else
                trt_spawn_in(&self->joining, joins_forever, .h = self->h[self->i]);
        }
        trt_await(trt_sleep(trt_ms(1)));
        for (self->i = 0; self->i < MANY_STOPS; self->i++)
            trt_spawn_in(&self->stopping, stops_it, .h = self->h[self->i], .cleaned = &self->cleaned);
        trt_await(trt_yield());
        trt_await(trt_yield());
        CHECK_EQ(atomic_load(&self->cleaned), 0);
        CHECK(!stops_aside());
        for (;;) {
            trt_await(trt_join_next(&self->stopping, NULL));
            if (trt_status() == TRT_EMPTY)
                break;
        }
        CHECK_EQ(atomic_load(&self->cleaned), MANY_STOPS);
        for (self->i = 0; self->i < MANY_STOPS; self->i++)
            CHECK(trt_is_finished(self->h[self->i]));
    }
}
TEST(a_great_many_stops_are_in_nobodys_way)
{
    trt_handle(forever) *h = malloc(MANY_STOPS * sizeof *h);
    for (int i = 0; i < 2; i++)
        CHECK_EQ(trt_run_with(&on_virtual_clock, stops_many, NULL, .detached = i == 1, .h = h), TRT_OK);
    free(h);
}

/* So are those of one task while it is on its joiner's back: each that comes looks at itself. (If each looked at all, that
 * would take a minute.) */
static atomic_long crowd_stopping;
static atomic_int crowd_runs, crowd_over;
struct runs_for_crowd { trt_void none; };
trt_async(int, runs_for_crowd)
{
    trt_body {
        atomic_store(&crowd_runs, 1);
        WAIT_UNTIL(atomic_load(&crowd_over));
        trt_return(1);
    }
}
static trt_handle(runs_for_crowd) crowd_handle;
struct joins_for_crowd { trt_void none; };
trt_async(int, joins_for_crowd)
{
    trt_body {
        crowd_handle = trt_spawn(runs_for_crowd);
        trt_await(trt_join(crowd_handle, NULL));
    }
}
struct stops_in_crowd { trt_void none; };
trt_async(int, stops_in_crowd)
{
    trt_body {
        atomic_fetch_add(&crowd_stopping, 1);
        trt_await(trt_stop(crowd_handle));
        trt_return(1);
    }
}
struct crowd { long n, i; int one; trt_handle(joins_for_crowd) j; trt_join_set(stops_in_crowd) set; };
trt_async(int, crowd)
{
    trt_body {
        self->j = trt_spawn(joins_for_crowd);
        AWAIT_UNTIL(atomic_load(&crowd_runs));
        for (self->i = 0; self->i < self->n; self->i++)
            trt_spawn_in(&self->set, stops_in_crowd);
        AWAIT_UNTIL(atomic_load(&crowd_stopping) == self->n);
        trt_await(trt_yield());
        atomic_store(&crowd_over, 1);
        for (self->i = 0; self->i < self->n; self->i++) {
            trt_await(trt_join_next(&self->set, &self->one));
            CHECK_EQ(trt_status(), TRT_OK);
        }
        trt_await(trt_join(self->j, NULL));
        CHECK_EQ(trt_status(), TRT_OK);
    }
}
TEST_WITHIN(10, a_great_many_stops_of_one_task_on_its_joiners_back)
{
    CHECK_EQ(trt_run_with(&on_two_workers, crowd, NULL, .n = ROUNDS(150000)), TRT_OK);
}

/* A detach counts also while the joiner runs the task on his back: if he is aborted before he waits, the outcome goes. */
static trt_any_handle carried_handle, carrier_handle;
struct detaches_itself { trt_void none; };
trt_async(int, detaches_itself)
{
    trt_body {
        trt_detach(carried_handle);
        trt_abort(carrier_handle);
        trt_await(trt_yield());
        trt_return(5);
    }
}
struct carries { trt_handle(detaches_itself) h; };
trt_async(int, carries)
{
    trt_body {
        self->h = trt_spawn(detaches_itself);
        carried_handle = trt_any(self->h);
        trt_await(trt_join(self->h, NULL));
    }
}
struct detached_on_back { trt_handle(carries) h; };
trt_async(int, detached_on_back)
{
    trt_body {
        self->h = trt_spawn(carries);
        carrier_handle = trt_any(self->h);
        AWAIT_UNTIL(carried_handle.ref_.cell && trt_is_finished(carried_handle));
        CHECK(trt_stale_(carried_handle.ref_, TRT_LOAD_(&carried_handle.ref_.cell->state, acquire)));
        trt_await(trt_join(self->h, NULL));
        CHECK_EQ(trt_status(), TRT_CANCELLED);
    }
}
TEST(a_detach_counts_while_the_joiner_runs_the_task)
{
    memset(&carried_handle, 0, sizeof carried_handle);
    capture_start();
    CHECK_EQ(trt_run_with(&on_one_worker, detached_on_back, NULL), TRT_OK);
    CHECK_LACKS(capture_end(), "neither joined nor detached");
}

/* ---- outside a runtime ---- */

TEST(spawning_outside_a_runtime_gives_a_message_and_misuse)
{
    int flag = 0;
    capture_start();
    trt_handle(raise) h = trt_spawn(raise, .flag = &flag);
    bool spawned = trt_spawned(h);
    trt_status_code joined = trt_join_thread(h, NULL);
    const char *text = capture_end();
    CHECK(strlen(text) > 0);
    CHECK(!spawned);
    CHECK_EQ(joined, TRT_MISUSE);
    CHECK_EQ(flag, 0);
    trt_abort(h);
    trt_detach(h);
    CHECK(trt_current() == NULL);

    capture_start();
    trt_status_code detached = trt_spawn_detached(raise, .flag = &flag);
    trt_handle(raise) named = trt_spawn_named("label", raise, .flag = &flag);
    trt_handle(busy_job) job = trt_spawn_blocking(busy_job, .value = 1);
    text = capture_end();
    CHECK(strlen(text) > 0);
    CHECK_EQ(detached, TRT_MISUSE);
    CHECK(!trt_spawned(named));
    CHECK(!trt_spawned(job));
    CHECK_EQ(flag, 0);
}

TEST(spawn_on_works_from_any_thread)
{
    trt_runtime *rt;
    trt_handle(later) h[50];
    CHECK_EQ(trt_runtime_start(&rt, &on_two_workers), TRT_OK);
    for (int i = 0; i < 50; i++)
        h[i] = trt_spawn_on(rt, later, .after = trt_ms(1), .value = i);
    for (int i = 0; i < 50; i++) {
        int out = -1;
        CHECK_EQ(trt_join_thread(h[i], &out), TRT_OK);
        CHECK_EQ(out, i);
        CHECK_EQ(trt_join_thread(h[i], NULL), TRT_MISUSE);
    }
    CHECK_EQ(trt_runtime_free(rt), TRT_OK);
}

struct names { char label[8]; trt_handle(forever) h; char *text; size_t size; FILE *f; };
trt_async(int, names)
{
    trt_body {
        strcpy(self->label, "alice");
        self->h = trt_spawn_named(self->label, forever);
        strcpy(self->label, "bob");
        trt_await(trt_sleep(trt_ms(1)));
        self->f = open_memstream(&self->text, &self->size);
        trt_dump(trt_current(), self->f);
        fclose(self->f);
        CHECK_CONTAINS(self->text, "alice");
        CHECK_LACKS(self->text, "bob");
        free(self->text);
        trt_await(trt_stop(self->h));
    }
}

TEST(the_label_of_spawn_named_is_copied)
{
    CHECK_EQ(trt_run_with(&on_virtual_clock, names, NULL), TRT_OK);
}

struct joins_as_thread { trt_handle(later) h; };
trt_async(int, joins_as_thread)
{
    trt_body {
        self->h = trt_spawn(later, .value = 1);
        CHECK_EQ(trt_join_thread(self->h, NULL), TRT_MISUSE);
        trt_await(trt_join(self->h, NULL));
        CHECK_EQ(trt_status(), TRT_OK); /* and nothing was consumed */
    }
}

TEST(join_thread_inside_a_task_is_misuse)
{
    capture_start();
    trt_status_code status = trt_run(joins_as_thread, NULL);
    const char *text = capture_end();
    CHECK_EQ(status, TRT_OK);
    CHECK(strlen(text) > 0);
}

/* ---- panics ---- */

static int panic_line;
static bool panics_at_the_bottom = true;
__attribute__((noinline)) static int helper_at_depth(int n)
{
    if (n == 0 && panics_at_the_bottom) {
        panic_line = __LINE__ + 1;
        trt_panic("bottom of %s at %d", "stairs", 7);
    }
    return n > 0 ? helper_at_depth(n - 1) + 1 : 0;
}
struct panics_deep { trt_void none; };
trt_async(int, panics_deep)
{
    trt_body {
        trt_await(trt_yield());
        trt_return(helper_at_depth(50));
    }
}
struct joins_panic { trt_handle(panics_deep) h; trt_handle(now_value) ok; int out; };
trt_async(int, joins_panic)
{
    trt_body {
        CHECK(trt_failure() == NULL);
        self->out = 77;
        self->h = trt_spawn(panics_deep);
        trt_await(trt_join(self->h, &self->out));
        CHECK_EQ(trt_status(), TRT_PANICKED);
        CHECK_EQ(self->out, 77);
        CHECK(trt_failure() != NULL);
        if (trt_failure()) {
            CHECK_STR(trt_failure()->message, "bottom of stairs at 7");
            CHECK_CONTAINS(trt_failure()->file, "test_tasks.c");
            CHECK_EQ(trt_failure()->line, panic_line);
            CHECK_EQ(trt_failure()->task, trt_task_id(self->h));
        }
        self->ok = trt_spawn(now_value, .value = 4);
        trt_await(trt_join(self->ok, &self->out));
        CHECK_EQ(trt_status(), TRT_OK);
        CHECK(trt_failure() == NULL);
        CHECK_EQ(self->out, 4);
    }
}

TEST(a_panic_at_depth_is_contained_and_told_by_join)
{
    capture_start();
    trt_status_code status = trt_run_with(&on_one_worker, joins_panic, NULL);
    const char *text = capture_end();
    CHECK_EQ(status, TRT_OK);
    CHECK_CONTAINS(text, "bottom of stairs at 7");
    CHECK_CONTAINS(text, "test_tasks.c");
}

TEST(a_plain_thread_asks_trt_failure_after_run_and_join_thread)
{
    trt_runtime *rt;
    int out = 77;
    CHECK_EQ(trt_runtime_start(&rt, NULL), TRT_OK);
    capture_start();
    trt_handle(panicking) h = trt_spawn_on(rt, panicking);
    trt_status_code joined = trt_join_thread(h, &out);
    trt_status_code blocked = trt_block_on(rt, panics_deep, &out);
    const trt_failure_info *failure = trt_failure();
    CHECK(failure != NULL);
    if (failure)
        CHECK_STR(failure->message, "bottom of stairs at 7");
    CHECK_EQ(trt_runtime_free(rt), TRT_OK);
    trt_status_code run = trt_run(panicking, &out);
    capture_end();
    CHECK_EQ(joined, TRT_PANICKED);
    CHECK_EQ(blocked, TRT_PANICKED);
    CHECK_EQ(run, TRT_PANICKED);
    CHECK_EQ(out, 77);
    CHECK(trt_failure() != NULL);
    if (trt_failure()) {
        CHECK_STR(trt_failure()->message, "it broke");
        CHECK_CONTAINS(trt_failure()->file, "common.h");
    }
    CHECK_EQ(trt_run(now_value, &out, .value = 2), TRT_OK);
    CHECK(trt_failure() == NULL);
    capture_start();
    CHECK_EQ(trt_run(panicking, &out), TRT_PANICKED);
    capture_end();
    CHECK(trt_failure() != NULL);
    CHECK_EQ(trt_join_thread((trt_handle(panicking)){0}, &out), TRT_MISUSE); /* there is no task */
    CHECK(trt_failure() == NULL);
}

struct cleanup_panics_inner { trt_void none; };
trt_async(int, cleanup_panics_inner)
{
    trt_body { trt_await(trt_sleep_until(INT64_MAX)); }
    trt_cleanup {
        letter('a');
        trt_await(trt_sleep(trt_ms(1)));
        trt_panic("in the cleanup");
    }
}
struct cleanup_panics { trt_frame(cleanup_panics_inner) child; };
trt_async(int, cleanup_panics)
{
    trt_body { trt_await(trt_call(cleanup_panics_inner, &self->child)); }
    trt_cleanup {
        letter('b');
        trt_await(trt_sleep(trt_ms(1)));
        letter('c');
    }
}
struct aborts_cleanup_panics { trt_handle(cleanup_panics) h; trt_handle(now_value) other; };
trt_async(int, aborts_cleanup_panics)
{
    trt_body {
        self->h = trt_spawn(cleanup_panics);
        trt_await(trt_sleep(trt_ms(1)));
        trt_abort(self->h);
        trt_await(trt_join(self->h, NULL));
        CHECK_EQ(trt_status(), TRT_PANICKED);
        CHECK(trt_failure() != NULL);
        if (trt_failure())
            CHECK_STR(trt_failure()->message, "in the cleanup");
        self->other = trt_spawn(now_value);
        trt_await_ok(trt_join(self->other, NULL));
    }
}

TEST(a_panic_in_a_cleanup_ends_that_cleanup_and_not_the_outer_ones)
{
    capture_start();
    trt_status_code status = trt_run_with(&on_virtual_clock, aborts_cleanup_panics, NULL);
    capture_end();
    CHECK_EQ(status, TRT_OK);
    CHECK_STR(letters, "abc");
}

static void panic_in_main(void *unused)
{
    (void)unused;
    trt_panic("no task here: %d", 5);
}

TEST(a_panic_outside_of_tasks_prints_and_aborts)
{
    int status = 0;
    const char *text = child_text(panic_in_main, NULL, &status);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    CHECK_CONTAINS(text, "no task here: 5");
}

struct many_panics { int i, panicked; trt_handle(panicking) h[200]; };
trt_async(int, many_panics)
{
    trt_body {
        for (self->i = 0; self->i < 200; self->i++)
            self->h[self->i] = trt_spawn(panicking, .after = self->i % 2 ? trt_us(10 * self->i) : 0);
        for (self->i = 0; self->i < 200; self->i++) {
            trt_await(trt_join(self->h[self->i], NULL));
            if (trt_status() == TRT_PANICKED && trt_failure() && trt_failure()->task == trt_task_id(self->h[self->i]))
                self->panicked++;
        }
        trt_return(self->panicked);
    }
}

TEST(two_hundred_panics_leave_the_workers_alive)
{
    int out = 0;
    capture_start();
    trt_status_code status = trt_run_with(&on_four_workers, many_panics, &out);
    capture_end();
    CHECK_EQ(status, TRT_OK);
    CHECK_EQ(out, 200);
}

/* ---- the abort table ---- */

struct counted { atomic_int *body, *cleanup; trt_status_code *why; };
trt_async(int, counted)
{
    trt_body {
        atomic_fetch_add(self->body, 1);
        trt_await(trt_sleep(trt_ms(10)));
        trt_return(1);
    }
    trt_cleanup {
        *self->why = trt_status();
        CHECK(trt_cancelled() == (trt_status() == TRT_CANCELLED));
        atomic_fetch_add(self->cleanup, 1);
    }
}

struct abort_never_polled { trt_handle(counted) h; atomic_int body, cleanup; trt_status_code why; int out; };
trt_async(int, abort_never_polled)
{
    trt_body {
        self->out = 77;
        self->h = trt_spawn(counted, .body = &self->body, .cleanup = &self->cleanup, .why = &self->why);
        trt_abort(self->h);
        CHECK(!trt_is_finished(self->h)); /* it is carried out when a worker gets there */
        trt_await(trt_join(self->h, &self->out));
        CHECK_EQ(trt_status(), TRT_CANCELLED);
        CHECK_EQ(self->out, 77);
        CHECK_EQ(atomic_load(&self->body), 0);
        CHECK_EQ(atomic_load(&self->cleanup), 1);
        CHECK_EQ(self->why, TRT_CANCELLED);
    }
}
TEST(abort_of_a_task_never_polled_skips_the_body_and_runs_the_cleanup)
{
    CHECK_EQ(trt_run_with(&on_virtual_clock, abort_never_polled, NULL), TRT_OK);
}

struct abort_idle { trt_handle(counted) h; atomic_int body, cleanup; trt_status_code why; int out; trt_instant start; };
trt_async(int, abort_idle)
{
    trt_body {
        self->h = trt_spawn(counted, .body = &self->body, .cleanup = &self->cleanup, .why = &self->why);
        trt_await(trt_sleep(trt_ms(1)));
        self->start = trt_now();
        CHECK_EQ(atomic_load(&self->body), 1);
        trt_abort(self->h);
        trt_abort(self->h); /* twice is once */
        trt_await(trt_join(self->h, &self->out));
        CHECK_EQ(trt_status(), TRT_CANCELLED);
        CHECK_EQ(trt_now(), self->start);
        CHECK_EQ(atomic_load(&self->cleanup), 1);
        CHECK_EQ(self->why, TRT_CANCELLED);
        trt_abort(self->h); /* after the join: nothing */
    }
}
TEST(abort_of_a_waiting_task_cancels_it_at_once)
{
    CHECK_EQ(trt_run_with(&on_virtual_clock, abort_idle, NULL), TRT_OK);
}

struct woken { trt_notify *n; int *seen; bool returns; };
trt_async(int, woken)
{
    trt_body {
        trt_await(trt_notified(self->n));
        *self->seen = 1;
        if (self->returns)
            trt_return(6);
        trt_await(trt_sleep(trt_ms(1)));
        *self->seen = 2;
    }
}
struct abort_woken { trt_handle(woken) h; trt_notify n; int seen, out; };
trt_async(int, abort_woken)
{
    trt_body {
        self->h = trt_spawn(woken, .n = &self->n, .seen = &self->seen);
        trt_await(trt_sleep(trt_ms(1)));
        trt_notify_one(&self->n); /* woken, but it has not run yet */
        CHECK_EQ(self->seen, 0);
        trt_abort(self->h);
        trt_await(trt_join(self->h, &self->out));
        CHECK_EQ(trt_status(), TRT_CANCELLED);
        CHECK_EQ(self->seen, 1); /* the completed await was seen, the abort acted at the next */

        self->seen = 0;
        self->h = trt_spawn(woken, .n = &self->n, .seen = &self->seen, .returns = true);
        trt_await(trt_sleep(trt_ms(1)));
        trt_notify_one(&self->n);
        trt_abort(self->h);
        trt_await(trt_join(self->h, &self->out));
        CHECK_EQ(trt_status(), TRT_OK); /* it finished first */
        CHECK_EQ(self->out, 6);
    }
}
TEST(abort_of_a_woken_task_acts_at_its_next_await)
{
    CHECK_EQ(trt_run_with(&on_virtual_clock, abort_woken, NULL), TRT_OK);
}

struct runs_on { atomic_bool *running, *go; bool returns; atomic_int *after; };
trt_async(int, runs_on)
{
    trt_body {
        atomic_store(self->running, true);
        while (!atomic_load(self->go))
            harness_pause();
        CHECK(trt_cancelled());
        if (self->returns)
            trt_return(8);
        trt_await(trt_sleep_until(INT64_MAX));
        atomic_store(self->after, 1);
    }
}
TEST(abort_of_a_running_task_acts_when_it_suspends)
{
    trt_runtime *rt;
    atomic_bool running = false, go = false;
    atomic_int after = 0;
    int out = 77;
    CHECK_EQ(trt_runtime_start(&rt, &on_two_workers), TRT_OK);
    trt_handle(runs_on) h = trt_spawn_on(rt, runs_on, .running = &running, .go = &go, .after = &after);
    WAIT_UNTIL(atomic_load(&running));
    trt_abort(h);
    CHECK(!trt_is_finished(h));
    atomic_store(&go, true);
    CHECK_EQ(trt_join_thread(h, &out), TRT_CANCELLED);
    CHECK_EQ(out, 77);
    CHECK_EQ(atomic_load(&after), 0);
    CHECK_EQ(trt_runtime_free(rt), TRT_OK);
}
TEST(abort_of_a_running_task_that_returns_is_ignored)
{
    trt_runtime *rt;
    atomic_bool running = false, go = false;
    int out = 0;
    CHECK_EQ(trt_runtime_start(&rt, &on_two_workers), TRT_OK);
    trt_handle(runs_on) h = trt_spawn_on(rt, runs_on, .running = &running, .go = &go, .returns = true);
    WAIT_UNTIL(atomic_load(&running));
    trt_abort(h);
    atomic_store(&go, true);
    CHECK_EQ(trt_join_thread(h, &out), TRT_OK);
    CHECK_EQ(out, 8);
    CHECK_EQ(trt_runtime_free(rt), TRT_OK);
}

struct abort_complete { trt_handle(now_value) h; int out; };
trt_async(int, abort_complete)
{
    trt_body {
        self->h = trt_spawn(now_value, .value = 3);
        while (!trt_is_finished(self->h))
            trt_await(trt_yield());
        trt_abort(self->h);
        trt_await(trt_join(self->h, &self->out));
        CHECK_EQ(trt_status(), TRT_OK);
        CHECK_EQ(self->out, 3);
    }
}
TEST(abort_of_a_complete_task_changes_nothing)
{
    CHECK_EQ(trt_run_with(&on_virtual_clock, abort_complete, NULL), TRT_OK);
    CHECK_EQ(trt_run_with(&on_two_workers, abort_complete, NULL), TRT_OK);
}

struct abort_cancelled { trt_handle(counted) h; atomic_int body, cleanup; trt_status_code why; };
trt_async(int, abort_cancelled)
{
    trt_body {
        self->h = trt_spawn(counted, .body = &self->body, .cleanup = &self->cleanup, .why = &self->why);
        trt_await(trt_yield());
        trt_abort(self->h);
        while (!trt_is_finished(self->h))
            trt_await(trt_yield());
        trt_abort(self->h);
        trt_abort(self->h);
        trt_await(trt_join(self->h, NULL));
        CHECK_EQ(trt_status(), TRT_CANCELLED);
        CHECK_EQ(atomic_load(&self->cleanup), 1);
    }
}
TEST(abort_of_a_cancelled_task_changes_nothing)
{
    CHECK_EQ(trt_run_with(&on_virtual_clock, abort_cancelled, NULL), TRT_OK);
}

TEST(abort_of_a_queued_blocking_job_skips_it)
{
    trt_runtime *rt;
    atomic_bool running = false, release = false, ran = false;
    int out = 77;
    CHECK_EQ(trt_runtime_start(&rt, &(trt_config){.workers = 1, .max_blocking_threads = 1}), TRT_OK);
    trt_handle(busy_job) first = trt_spawn_blocking_on(rt, busy_job, .running = &running, .release = &release, .value = 1);
    WAIT_UNTIL(atomic_load(&running));
    trt_handle(busy_job) second = trt_spawn_blocking_on(rt, busy_job, .running = &ran, .release = &release, .value = 2);
    trt_handle(busy_job) third = trt_spawn_blocking_on(rt, busy_job, .release = &release, .value = 3);
    trt_abort(second);
    trt_abort(second);
    atomic_store(&release, true);
    CHECK_EQ(trt_join_thread(second, &out), TRT_CANCELLED);
    CHECK_EQ(out, 77);
    CHECK_EQ(trt_join_thread(first, &out), TRT_OK);
    CHECK_EQ(out, 1);
    CHECK_EQ(trt_join_thread(third, &out), TRT_OK);
    CHECK_EQ(out, 3);
    CHECK(!atomic_load(&ran));
    CHECK_EQ(trt_runtime_free(rt), TRT_OK);
}

TEST(abort_of_a_running_blocking_job_is_only_a_request)
{
    trt_runtime *rt;
    atomic_bool running = false, release = false;
    int out = 0;
    CHECK_EQ(trt_runtime_start(&rt, NULL), TRT_OK);
    trt_handle(busy_job) h = trt_spawn_blocking_on(rt, busy_job, .running = &running, .release = &release, .value = 4);
    WAIT_UNTIL(atomic_load(&running));
    trt_abort(h);
    for (int i = 0; i < 10; i++)
        harness_pause();
    CHECK(!trt_is_finished(h));
    atomic_store(&release, true);
    CHECK_EQ(trt_join_thread(h, &out), TRT_OK);
    CHECK_EQ(out, 4);
    atomic_store(&running, false);
    h = trt_spawn_blocking_on(rt, busy_job, .running = &running, .obeys = true, .value = 5);
    WAIT_UNTIL(atomic_load(&running));
    trt_abort(h); /* the job asks trt_cancelled() and stops early */
    CHECK_EQ(trt_join_thread(h, &out), TRT_OK);
    CHECK_EQ(out, 5);
    CHECK_EQ(trt_runtime_free(rt), TRT_OK);
}

struct aborts_itself { trt_any_handle *own; bool suspends; int *after; };
trt_async(int, aborts_itself)
{
    trt_body {
        CHECK(!trt_cancelled());
        trt_abort(*self->own);
        CHECK(trt_cancelled());
        *self->after = 1; /* running code is never interrupted */
        if (self->suspends) {
            trt_await(trt_sleep(trt_ms(1)));
            *self->after = 2;
        }
        trt_return(5);
    }
}
struct starts_aborts_itself { trt_any_handle own; int out, after; };
trt_async(int, starts_aborts_itself)
{
    trt_body {
        self->own = trt_any(trt_spawn(aborts_itself, .own = &self->own, .suspends = true, .after = &self->after));
        trt_await(trt_join(self->own, (void *)&self->out));
        CHECK_EQ(trt_status(), TRT_CANCELLED);
        CHECK_EQ(self->after, 1);
        self->own = trt_any(trt_spawn(aborts_itself, .own = &self->own, .after = &self->after));
        trt_await(trt_join(self->own, (void *)&self->out));
        CHECK_EQ(trt_status(), TRT_OK);
        CHECK_EQ(self->out, 5);
    }
}
TEST(a_task_may_abort_itself)
{
    CHECK_EQ(trt_run_with(&on_virtual_clock, starts_aborts_itself, NULL), TRT_OK);
}

struct parent_of { trt_handle(forever) *child; atomic_int *started, *cleaned; };
trt_async(int, parent_of)
{
    trt_body {
        *self->child = trt_spawn(forever, .started = self->started, .cleaned = self->cleaned);
        trt_await(trt_sleep_until(INT64_MAX));
    }
}
struct abort_parent { trt_handle(forever) child; trt_handle(parent_of) parent; atomic_int started, cleaned; };
trt_async(int, abort_parent)
{
    trt_body {
        self->parent = trt_spawn(parent_of, .child = &self->child, .started = &self->started, .cleaned = &self->cleaned);
        trt_await(trt_sleep(trt_ms(1)));
        trt_abort(self->parent);
        trt_await(trt_join(self->parent, NULL));
        trt_await(trt_sleep(trt_ms(1)));
        CHECK_EQ(atomic_load(&self->started), 1);
        CHECK_EQ(atomic_load(&self->cleaned), 0);
        CHECK(!trt_is_finished(self->child));
        trt_await(trt_stop(self->child));
        CHECK_EQ(atomic_load(&self->cleaned), 1);
    }
}
TEST(abort_does_not_travel_to_spawned_tasks)
{
    CHECK_EQ(trt_run_with(&on_virtual_clock, abort_parent, NULL), TRT_OK);
}

static void *aborts_on_a_thread(void *handle)
{
    trt_abort(*(trt_handle(forever) *)handle);
    return NULL;
}
TEST(abort_works_from_any_thread)
{
    trt_runtime *rt;
    atomic_int started = 0, cleaned = 0;
    CHECK_EQ(trt_runtime_start(&rt, &on_two_workers), TRT_OK);
    for (int i = 0; i < 100; i++) {
        pthread_t threads[3];
        trt_handle(forever) h = trt_spawn_on(rt, forever, .started = &started, .cleaned = &cleaned);
        if (i % 2)
            WAIT_UNTIL(atomic_load(&started) > i / 2);
        for (int j = 0; j < 3; j++)
            pthread_create(&threads[j], NULL, aborts_on_a_thread, &h);
        CHECK_EQ(trt_join_thread(h, NULL), TRT_CANCELLED);
        for (int j = 0; j < 3; j++)
            pthread_join(threads[j], NULL);
        CHECK_EQ(atomic_load(&cleaned), i + 1);
        atomic_store(&started, (i + 1) / 2);
    }
    CHECK_EQ(trt_runtime_free(rt), TRT_OK);
}

struct cleanup_is_shielded { int *steps; };
trt_async(int, cleanup_is_shielded)
{
    trt_body { trt_await(trt_sleep_until(INT64_MAX)); }
    trt_cleanup {
        CHECK(trt_cancelled());
        trt_await(trt_sleep(trt_ms(5)));
        CHECK_EQ(trt_status(), TRT_OK);
        ++*self->steps;
        trt_await(trt_sleep(trt_ms(5)));
        CHECK_EQ(trt_status(), TRT_OK);
        ++*self->steps;
    }
}
struct aborts_in_cleanup { trt_handle(cleanup_is_shielded) h; int steps; };
trt_async(int, aborts_in_cleanup)
{
    trt_body {
        self->h = trt_spawn(cleanup_is_shielded, .steps = &self->steps);
        trt_await(trt_sleep(trt_ms(1)));
        trt_abort(self->h);
        trt_await(trt_sleep(trt_ms(2)));
        trt_abort(self->h);
        trt_await(trt_sleep(trt_ms(5)));
        trt_abort(self->h);
        trt_await(trt_join(self->h, NULL));
        CHECK_EQ(trt_status(), TRT_CANCELLED);
        CHECK_EQ(self->steps, 2);
    }
}
TEST(a_cleanup_is_shielded_from_further_aborts)
{
    CHECK_EQ(trt_run_with(&on_virtual_clock, aborts_in_cleanup, NULL), TRT_OK);
}

/* ---- many ---- */

struct churn { long i, n; int out; trt_handle(now_value) h; };
trt_async(int, churn)
{
    trt_body {
        for (self->i = 0; self->i < self->n; self->i++) {
            self->h = trt_spawn(now_value, .value = (int)self->i);
            trt_await(trt_join(self->h, &self->out));
            if (trt_status() != TRT_OK || self->out != (int)self->i)
                trt_panic("round %ld", self->i);
        }
    }
}
TEST(two_hundred_thousand_spawns_and_joins)
{
    CHECK_EQ(trt_run_with(&on_one_thread, churn, NULL, .n = ROUNDS(200000)), TRT_OK);
    CHECK_EQ(trt_run_with(&on_two_workers, churn, NULL, .n = ROUNDS(200000)), TRT_OK);
}

/* ---- found in review ---- */

/* Passing TRT_PANICKED up is a failure, not a panic of one's own. */
struct passes_panic_up { int how; trt_handle(panicking) h; };
trt_async(int, passes_panic_up)
{
    trt_body {
        if (self->how == 0) {
            self->h = trt_spawn(panicking, .after = trt_us(5));
            trt_await_ok(trt_join(self->h, NULL));
        } else {
            trt_fork(panicking, NULL, .after = trt_us(5));
            trt_await_ok(trt_sync());
        }
    }
}
struct joins_passed_up { int how; trt_handle(passes_panic_up) h; };
trt_async(int, joins_passed_up)
{
    trt_body {
        self->h = trt_spawn(passes_panic_up, .how = self->how);
        if (self->how == 0) {
            while (!trt_is_finished(self->h))
                trt_await(trt_yield());
        }
        trt_await(trt_join(self->h, NULL));
        CHECK_EQ(trt_status(), TRT_PANICKED);
        CHECK(trt_failure() != NULL);
        trt_await(trt_yield());
        CHECK(trt_failure() == NULL);
        trt_return(7);
    }
}

TEST(a_panic_passed_up_as_a_failure_is_told_again)
{
    capture_start();
    for (int how = 0; how < 2; how++) {
        trt_runtime *rt;
        int out = 0;
        CHECK_EQ(trt_run(passes_panic_up, &out, .how = how), TRT_PANICKED);
        CHECK(trt_failure() != NULL);
        CHECK_EQ(trt_run(joins_passed_up, &out, .how = how), TRT_OK);
        CHECK_EQ(out, 7);
        CHECK_EQ(trt_runtime_start(&rt, &on_one_worker), TRT_OK);
        trt_handle(passes_panic_up) h = trt_spawn_on(rt, passes_panic_up, .how = how);
        CHECK_EQ(trt_join_thread(h, NULL), TRT_PANICKED);
        h = trt_spawn_on(rt, passes_panic_up, .how = how);
        WAIT_UNTIL(trt_is_finished(h));
        CHECK_EQ(trt_join_thread(h, NULL), TRT_PANICKED);
        CHECK_EQ(trt_runtime_free(rt), TRT_OK);
    }
    capture_end();
}

/* The outcome of a task that is stopped is dropped, with what its panic said: nobody has awaited the panic. */
struct stops_panicked { bool in_any; trt_handle(panicking) h; };
trt_async(int, stops_panicked)
{
    trt_body {
        self->h = trt_spawn(panicking);
        while (!trt_is_finished(self->h))
            trt_await(trt_yield());
        if (self->in_any)
            trt_await_any(trt_stop(self->h), trt_sleep(trt_s(1)));
        else
            trt_await(trt_stop(self->h));
        CHECK_EQ(trt_status(), TRT_OK);
        CHECK(trt_failure() == NULL);
        trt_await(trt_join(self->h, NULL));
        CHECK_EQ(trt_status(), TRT_MISUSE); /* consumed */
    }
}

TEST(a_stop_does_not_tell_the_panic_of_the_task_that_it_stops)
{
    capture_start();
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(trt_run_with(&on_one_thread, stops_panicked, NULL, .in_any = i == 1), TRT_OK);
        CHECK(trt_failure() == NULL);
    }
    capture_end();
}

/* The same by a called child, whose cleanup waits, and sees, or has, another panic meanwhile. */
enum { CLEANUP_ENDS, CLEANUP_WAITS, CLEANUP_SEES_ANOTHER, CLEANUP_CALLS_ANOTHER, CLEANUP_PANICS, CLEANUP_KINDS };
struct panics_with { const char *text; };
trt_async(int, panics_with)
{
    trt_body { trt_panic("%s", self->text); }
}
struct passes_up { const char *text; };
trt_async(int, passes_up)
{
    trt_body { trt_await_ok(trt_join(trt_spawn(panics_with, .text = self->text), NULL)); }
    trt_cleanup { trt_await(trt_sleep(trt_ms(1))); }
}
struct passes_up_from_call { const char *text; int how; trt_frame(passes_up) another; };
trt_async(int, passes_up_from_call)
{
    trt_body { trt_await_ok(trt_join(trt_spawn(panics_with, .text = self->text), NULL)); }
    trt_cleanup {
        CHECK_EQ(trt_status(), TRT_OK); /* it has failed, not panicked */
        if (self->how == CLEANUP_WAITS)
            trt_await(trt_sleep(trt_ms(1)));
        if (self->how == CLEANUP_SEES_ANOTHER) {
            trt_await(trt_join(trt_spawn(panics_with, .text = "another"), NULL));
            CHECK(trt_failure() && !strcmp(trt_failure()->message, "another"));
        }
        if (self->how == CLEANUP_CALLS_ANOTHER) {
            trt_await(trt_call(passes_up, &self->another, .text = "another"));
            CHECK(trt_failure() && !strcmp(trt_failure()->message, "another"));
        }
        if (self->how == CLEANUP_PANICS)
            trt_panic("in the cleanup");
    }
}
struct calls_passers { int how; trt_frame(passes_up_from_call) child; };
trt_async(int, calls_passers)
{
    trt_body {
        for (self->how = 0; self->how < CLEANUP_PANICS; self->how++) {
            trt_await(trt_call(passes_up_from_call, &self->child, .text = "the first", .how = self->how));
            CHECK_EQ(trt_status(), TRT_PANICKED);
            if (CHECK(trt_failure() != NULL))
                CHECK_STR(trt_failure()->message, "the first");
            trt_await(trt_sleep(trt_ms(1)));
            CHECK(trt_failure() == NULL);
        }
        trt_await(trt_call(passes_up_from_call, &self->child, .text = "the first", .how = self->how));
        CHECK(false); /* its panic is the caller's */
    }
    trt_cleanup {
        CHECK_EQ(trt_status(), TRT_PANICKED);
        if (CHECK(trt_failure() != NULL))
            CHECK_STR(trt_failure()->message, "in the cleanup");
    }
}
struct joins_passers { trt_handle(calls_passers) h; };
trt_async(int, joins_passers)
{
    trt_body {
        self->h = trt_spawn(calls_passers);
        trt_await(trt_join(self->h, NULL));
        CHECK_EQ(trt_status(), TRT_PANICKED);
        if (CHECK(trt_failure() != NULL))
            CHECK_STR(trt_failure()->message, "in the cleanup");
        trt_await(trt_sleep(trt_ms(1)));
        CHECK(trt_chunk_of_(trt_here_.worker->cur)->panics == NULL); /* nothing is kept of what nobody asks for */
        trt_return(7);
    }
}

TEST(a_panic_passed_up_by_a_call_is_told_whatever_its_cleanup_awaits)
{
    int out = 0;
    const trt_config *configs[] = {&on_virtual_clock, &on_two_workers};
    for (int i = 0; i < 2; i++) {
        capture_start();
        trt_status_code status = trt_run_with(configs[i], joins_passers, &out);
        capture_end();
        CHECK_EQ(status, TRT_OK);
        CHECK_EQ(out, 7);
    }
}

/* Its own panic, not the one that it has seen before. */
struct panics_after_another { trt_void none; };
trt_async(int, panics_after_another)
{
    trt_body {
        trt_await(trt_join(trt_spawn(panics_with, .text = "another"), NULL));
        CHECK(trt_failure() && !strcmp(trt_failure()->message, "another"));
        trt_panic("its own");
    }
    trt_cleanup {
        CHECK_EQ(trt_status(), TRT_PANICKED);
        if (CHECK(trt_failure() != NULL))
            CHECK_STR(trt_failure()->message, "its own");
    }
}

TEST(a_cleanup_is_told_the_panic_that_led_there)
{
    capture_start();
    trt_status_code status = trt_run_with(&on_virtual_clock, panics_after_another, NULL);
    capture_end();
    CHECK_EQ(status, TRT_PANICKED);
    if (CHECK(trt_failure() != NULL))
        CHECK_STR(trt_failure()->message, "its own");
}

int main(int argc, char **argv) { return harness_main(argc, argv); }
