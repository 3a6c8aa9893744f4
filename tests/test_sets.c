/* Join sets: completion order, leftovers, abort_all, detach_all, shutdown. */
#include "harness.h"
#define TASKRT_IMPLEMENTATION
#include "../taskrt.h"
#include "common.h"

struct in_order { trt_join_set(later) set; int i, out; uint64_t ids[5]; trt_instant start; };
trt_async(int, in_order)
{
    trt_body {
        trt_await(trt_join_next(&self->set, &self->out)); /* zeroed is empty */
        CHECK_EQ(trt_status(), TRT_EMPTY);
        CHECK_EQ(trt_set_len(&self->set), 0);
        self->start = trt_now();
        for (self->i = 0; self->i < 5; self->i++)
            self->ids[self->i] = trt_task_id(trt_spawn_in(&self->set, later, .after = trt_ms(50 - 10 * self->i), .value = self->i));
        CHECK_EQ(trt_set_len(&self->set), 5);
        for (self->i = 4; self->i >= 0; self->i--) {
            trt_await(trt_join_next(&self->set, &self->out));
            CHECK_EQ(trt_status(), TRT_OK);
            CHECK_EQ(self->out, self->i);
            CHECK_EQ(trt_joined(), self->ids[self->i]);
            CHECK_EQ(trt_now() - self->start, trt_ms(50 - 10 * self->i));
            CHECK_EQ(trt_set_len(&self->set), self->i);
        }
        trt_await(trt_join_next(&self->set, &self->out));
        CHECK_EQ(trt_status(), TRT_EMPTY);
        /* and it may be used again */
        trt_spawn_in(&self->set, later, .value = 8);
        trt_await(trt_join_next(&self->set, NULL));
        CHECK_EQ(trt_status(), TRT_OK);
    }
}

TEST(join_next_gives_members_in_completion_order_and_then_empty)
{
    CHECK_EQ(trt_run_with(&on_virtual_clock, in_order, NULL), TRT_OK);
}

struct total55 { trt_join_set(later) set; int i, out, total; };
trt_async(int, total55)
{
    trt_body {
        for (self->i = 1; self->i <= 5; self->i++)
            trt_spawn_in(&self->set, later, .value = self->i * self->i);
        for (;;) {
            trt_await(trt_join_next(&self->set, &self->out));
            if (trt_status() == TRT_EMPTY)
                break;
            CHECK_EQ(trt_status(), TRT_OK);
            self->total += self->out;
        }
        trt_return(self->total);
    }
}

TEST(a_set_adds_up_to_55)
{
    int out = 0;
    CHECK_EQ(trt_run(total55, &out), TRT_OK);
    CHECK_EQ(out, 55);
}

struct mixed_set { trt_join_set_of(int) set; int out, ok, cancelled; trt_handle(forever) f; };
trt_async(int, mixed_set)
{
    trt_body {
        trt_spawn_in(&self->set, later, .after = trt_s(100), .value = 3);
        trt_spawn_in(&self->set, failing, .after = trt_s(100), .status = TRT_CLOSED);
        trt_spawn_in(&self->set, panicking, .after = trt_s(100));
        self->f = trt_spawn_in(&self->set, forever);
        trt_spawn_blocking_in(&self->set, busy_job, .obeys = true, .value = 6);
        trt_await(trt_sleep(trt_us(1)));
        CHECK_EQ(trt_set_len(&self->set), 5);
        trt_abort(self->f);
        self->out = 77;
        trt_await(trt_join_next(&self->set, &self->out));
        CHECK_EQ(trt_status(), TRT_CANCELLED);
        CHECK_EQ(self->out, 77);
        CHECK_EQ(trt_joined(), trt_task_id(self->f));
        trt_abort_all(&self->set); /* the job looks at trt_cancelled and ends with its value */
        for (;;) {
            trt_await(trt_join_next(&self->set, &self->out));
            if (trt_status() == TRT_EMPTY)
                break;
            self->ok += trt_status() == TRT_OK;
            self->cancelled += trt_status() == TRT_CANCELLED;
        }
        CHECK_EQ(self->ok + self->cancelled, 4);
    }
}

TEST(a_set_of_a_type_holds_coroutines_and_jobs)
{
    capture_start();
    trt_status_code status = trt_run_with(&on_one_thread, mixed_set, NULL);
    capture_end();
    CHECK_EQ(status, TRT_OK);
}

struct outcomes { trt_join_set_of(int) set; int out; uint64_t id; };
trt_async(int, outcomes)
{
    trt_body {
        trt_spawn_in(&self->set, later, .after = trt_ms(1), .value = 3);
        trt_spawn_in(&self->set, failing, .after = trt_ms(2), .status = TRT_CLOSED);
        self->id = trt_task_id(trt_spawn_in(&self->set, panicking, .after = trt_ms(3)));
        self->out = 77;
        trt_await(trt_join_next(&self->set, &self->out));
        CHECK_EQ(trt_status(), TRT_OK);
        CHECK_EQ(self->out, 3);
        self->out = 77;
        trt_await(trt_join_next(&self->set, &self->out));
        CHECK_EQ(trt_status(), TRT_CLOSED);
        CHECK(trt_failure() == NULL);
        trt_await(trt_join_next(&self->set, &self->out));
        CHECK_EQ(trt_status(), TRT_PANICKED);
        CHECK(trt_failure() != NULL);
        if (trt_failure()) {
            CHECK_STR(trt_failure()->message, "it broke");
            CHECK_EQ(trt_failure()->task, self->id);
        }
        CHECK_EQ(trt_joined(), self->id);
        CHECK_EQ(self->out, 77);
        /* the same through try_join_next */
        trt_spawn_in(&self->set, panicking);
        CHECK_EQ(trt_try_join_next(&self->set, &self->out), TRT_PENDING);
        trt_await(trt_sleep(trt_ms(1)));
        CHECK_EQ(trt_try_join_next(&self->set, &self->out), TRT_PANICKED);
        CHECK(trt_failure() != NULL);
        CHECK_EQ(self->out, 77);
        CHECK_EQ(trt_try_join_next(&self->set, &self->out), TRT_EMPTY);
        CHECK_EQ(trt_status(), TRT_OK); /* of the last await: functions leave it alone */
    }
}

TEST(a_set_tells_how_each_member_ended)
{
    capture_start();
    trt_status_code status = trt_run_with(&on_virtual_clock, outcomes, NULL);
    capture_end();
    CHECK_EQ(status, TRT_OK);
}

struct set_owns { trt_join_set(later) set; trt_handle(later) h; int out; };
trt_async(int, set_owns)
{
    trt_body {
        self->h = trt_spawn_in(&self->set, later, .after = trt_ms(1), .value = 3);
        CHECK(trt_spawned(self->h));
        CHECK(trt_task_id(self->h) != 0);
        CHECK(!trt_is_finished(self->h));
        self->out = 77;
        trt_await(trt_join(self->h, &self->out));
        CHECK_EQ(trt_status(), TRT_MISUSE); /* the set owns it */
        CHECK_EQ(self->out, 77);
        trt_detach(self->h); /* does nothing */
        CHECK_EQ(trt_set_len(&self->set), 1);
        trt_await(trt_sleep(trt_ms(2)));
        CHECK(trt_is_finished(self->h));
        CHECK_EQ(trt_set_len(&self->set), 1); /* finished and not joined yet counts */
        trt_await(trt_join_next(&self->set, &self->out));
        CHECK_EQ(trt_status(), TRT_OK);
        CHECK_EQ(self->out, 3);
        CHECK(trt_is_finished(self->h));
    }
}

TEST(the_handle_of_a_member_serves_for_abort_and_asking_only)
{
    capture_start();
    trt_status_code status = trt_run_with(&on_virtual_clock, set_owns, NULL);
    capture_end();
    CHECK_EQ(status, TRT_OK);
}

struct aborts_all { trt_join_set_of(int) set; int i, out, ok, cancelled; atomic_int started, cleaned; trt_instant start; };
trt_async(int, aborts_all)
{
    trt_body {
        for (self->i = 0; self->i < 10; self->i++) {
            trt_spawn_in(&self->set, forever, .started = &self->started, .cleaned = &self->cleaned, .linger = trt_ms(self->i));
            trt_spawn_in(&self->set, now_value, .value = self->i);
        }
        trt_await(trt_sleep(trt_ms(1)));
        self->start = trt_now();
        trt_abort_all(&self->set);
        CHECK_EQ(trt_set_len(&self->set), 20); /* it keeps the members */
        for (;;) {
            trt_await(trt_join_next(&self->set, &self->out));
            if (trt_status() == TRT_EMPTY)
                break;
            self->ok += trt_status() == TRT_OK; /* what had finished still gives its value */
            self->cancelled += trt_status() == TRT_CANCELLED;
        }
        CHECK_EQ(self->ok, 10);
        CHECK_EQ(self->cancelled, 10);
        CHECK_EQ(atomic_load(&self->cleaned), 10);
        CHECK_EQ(trt_now() - self->start, trt_ms(9));
    }
}

TEST(abort_all_keeps_members_and_results)
{
    CHECK_EQ(trt_run_with(&on_virtual_clock, aborts_all, NULL), TRT_OK);
}

struct shuts_down { trt_join_set(forever) set; int i; atomic_int cleaned; trt_instant start; };
trt_async(int, shuts_down)
{
    trt_body {
        trt_await(trt_set_shutdown(&self->set)); /* empty: at once */
        CHECK_EQ(trt_status(), TRT_OK);
        for (self->i = 0; self->i < 10; self->i++)
            trt_spawn_in(&self->set, forever, .cleaned = &self->cleaned, .linger = trt_ms(self->i));
        trt_await(trt_sleep(trt_ms(1)));
        self->start = trt_now();
        trt_await(trt_set_shutdown(&self->set));
        CHECK_EQ(trt_status(), TRT_OK);
        CHECK_EQ(trt_now() - self->start, trt_ms(9));
        CHECK_EQ(atomic_load(&self->cleaned), 10);
        CHECK_EQ(trt_set_len(&self->set), 0);
        trt_await(trt_join_next(&self->set, NULL));
        CHECK_EQ(trt_status(), TRT_EMPTY);
    }
}

TEST(set_shutdown_aborts_and_drains)
{
    CHECK_EQ(trt_run_with(&on_virtual_clock, shuts_down, NULL), TRT_OK);
}

struct detaches_all { trt_join_set(later) set; trt_join_set(forever) set2; trt_handle(forever) f; int i; atomic_int cleaned; };
trt_async(int, detaches_all)
{
    trt_body {
        for (self->i = 0; self->i < 4; self->i++)
            trt_spawn_in(&self->set, later, .after = trt_ms(self->i));
        self->f = trt_spawn_in(&self->set2, forever, .cleaned = &self->cleaned);
        trt_await(trt_sleep(trt_us(1500)));
        trt_detach_all(&self->set);
        trt_detach_all(&self->set2);
        CHECK_EQ(trt_set_len(&self->set), 0);
        trt_await(trt_join_next(&self->set, NULL));
        CHECK_EQ(trt_status(), TRT_EMPTY);
        CHECK(!trt_is_finished(self->f)); /* nothing was aborted */
        trt_await(trt_sleep(trt_ms(10)));
        CHECK(!trt_is_finished(self->f));
        trt_abort(self->f);
        trt_await(trt_sleep(trt_ms(1)));
        CHECK_EQ(atomic_load(&self->cleaned), 1);
    }
}

TEST(detach_all_empties_the_set_without_abort)
{
    CHECK_EQ(trt_run_with(&on_virtual_clock, detaches_all, NULL), TRT_OK);
}

struct leaves_set { trt_join_set(forever) set; int i; bool panics; int borrowed; atomic_int *cleaned; };
trt_async(int, leaves_set)
{
    trt_body {
        for (self->i = 0; self->i < 5; self->i++)
            trt_spawn_in(&self->set, forever, .cleaned = self->cleaned, .linger = trt_ms(2), .mark = 'm');
        trt_await(trt_sleep(trt_ms(1)));
        if (self->panics)
            trt_panic("leaves a set");
        trt_return(4);
    }
    trt_cleanup {
        CHECK_EQ(atomic_load(self->cleaned), 0); /* the set goes after the cleanup */
        letter('c');
    }
}
struct watches_set { trt_handle(leaves_set) h; trt_frame(leaves_set) called; int out; atomic_int cleaned; trt_instant start; };
trt_async(int, watches_set)
{
    trt_body {
        self->start = trt_now();
        self->h = trt_spawn(leaves_set, .cleaned = &self->cleaned);
        trt_await(trt_join(self->h, &self->out));
        CHECK_EQ(trt_status(), TRT_OK);
        CHECK_EQ(self->out, 4);
        CHECK_EQ(atomic_load(&self->cleaned), 5); /* before the coroutine counts as ended */
        CHECK_EQ(trt_now() - self->start, trt_ms(3));
        atomic_store(&self->cleaned, 0);
        trt_await(trt_call(leaves_set, &self->called, .cleaned = &self->cleaned));
        CHECK_EQ(self->called.out, 4);
        CHECK_EQ(atomic_load(&self->cleaned), 5);
        atomic_store(&self->cleaned, 0);
        self->h = trt_spawn(leaves_set, .cleaned = &self->cleaned, .panics = true);
        trt_await(trt_join(self->h, NULL));
        CHECK_EQ(trt_status(), TRT_PANICKED);
        CHECK_EQ(atomic_load(&self->cleaned), 5);
    }
}

TEST(a_set_left_over_in_self_is_shut_down_after_the_cleanup)
{
    capture_start();
    trt_status_code status = trt_run_with(&on_virtual_clock, watches_set, NULL);
    capture_end();
    CHECK_EQ(status, TRT_OK);
    CHECK_STR(letters, "cmmmmmcmmmmmcmmmmm");
}

struct tree { int depth; trt_join_set_of(int) set; int out, sum; };
trt_async(int, tree)
{
    trt_body {
        if (self->depth > 0) {
            trt_spawn_in(&self->set, tree, .depth = self->depth - 1);
            trt_spawn_in(&self->set, tree, .depth = self->depth - 1);
        }
        for (;;) {
            trt_await(trt_join_next(&self->set, &self->out));
            if (trt_status() == TRT_EMPTY)
                break;
            CHECK_EQ(trt_status(), TRT_OK);
            self->sum += self->out;
        }
        trt_return(self->sum + 1);
    }
}

TEST(a_struct_may_hold_a_set_of_its_own_coroutine)
{
    int out = 0;
    CHECK_EQ(trt_run(tree, &out, .depth = 10), TRT_OK);
    CHECK_EQ(out, 2047);
}

struct set_in_any { trt_join_set(later) set; int i, out, ok, ticks; };
trt_async(int, set_in_any)
{
    trt_body {
        for (self->i = 0; self->i < 20; self->i++)
            trt_spawn_in(&self->set, later, .after = trt_ms(self->i), .value = self->i);
        while (self->ok < 20) {
            trt_await_any(trt_join_next(&self->set, &self->out), trt_sleep(trt_us(300)));
            if (trt_chosen() == 1)
                self->ticks++;
            else if (trt_status() == TRT_OK)
                CHECK_EQ(self->out, self->ok++);
        }
        CHECK(self->ticks > 40);
    }
}

TEST(a_join_next_that_loses_keeps_the_member)
{
    CHECK_EQ(trt_run_with(&on_virtual_clock, set_in_any, NULL), TRT_OK);
}

struct process { int id; };
trt_async(int, process)
{
    trt_body {
        trt_await(trt_sleep(self->id % 2 ? trt_ms(20) : trt_ms(200)));
        trt_return(self->id);
    }
}
struct budgeted { trt_join_set(process) jobs; int i, v, done; trt_instant deadline; };
trt_async(int, budgeted)
{
    trt_body {
        for (self->i = 1; self->i <= 4; self->i++)
            trt_spawn_in(&self->jobs, process, .id = self->i);
        self->deadline = trt_now() + trt_ms(100);
        for (;;) {
            trt_await_any(trt_join_next(&self->jobs, &self->v), trt_sleep_until(self->deadline));
            if (trt_chosen() == 1) {
                trt_abort_all(&self->jobs);
                break;
            }
            if (trt_status() == TRT_EMPTY)
                break;
            self->done = self->done * 10 + self->v;
        }
        for (;;) {
            trt_await(trt_join_next(&self->jobs, &self->v));
            if (trt_status() == TRT_EMPTY)
                break;
            CHECK_EQ(trt_status(), TRT_CANCELLED);
        }
        trt_return(self->done);
    }
}

TEST(a_batch_with_a_deadline_keeps_job_1_and_job_3)
{
    int out = 0;
    CHECK_EQ(trt_run_with(&on_virtual_clock, budgeted, &out), TRT_OK);
    CHECK(out == 13 || out == 31);
}

struct big_set { trt_join_set(now_value) set; long i, n, sum; int out; };
trt_async(long, big_set)
{
    trt_body {
        for (self->i = 0; self->i < self->n; self->i++)
            trt_spawn_in(&self->set, now_value, .value = (int)(self->i % 1000));
        for (;;) {
            trt_await(trt_join_next(&self->set, &self->out));
            if (trt_status() == TRT_EMPTY)
                break;
            self->sum += self->out;
        }
        trt_return(self->sum);
    }
}

TEST(a_set_of_a_hundred_thousand)
{
    long out = 0, n = 1000 * ROUNDS(100);
    CHECK_EQ(trt_run_with(&on_four_workers, big_set, &out, .n = n), TRT_OK);
    CHECK_EQ(out, n / 1000 * 499500);
}

struct spawns_late { trt_status_code *status; uint64_t *joined; trt_join_set(later) set; int out; };
trt_async(int, spawns_late)
{
    trt_body { trt_await(trt_sleep_until(INT64_MAX)); }
    trt_cleanup {
        trt_spawn_in(&self->set, later, .value = 1); /* the runtime is shutting down */
        trt_await(trt_join_next(&self->set, &self->out));
        *self->status = trt_status();
        *self->joined = trt_joined();
        trt_await(trt_join_next(&self->set, &self->out));
        CHECK_EQ(trt_status(), TRT_EMPTY);
    }
}

TEST(a_member_that_could_not_be_made_comes_back_with_its_reason)
{
    trt_runtime *rt;
    trt_status_code status = TRT_OK;
    uint64_t joined = 77;
    CHECK_EQ(trt_runtime_start(&rt, &on_one_worker), TRT_OK);
    trt_handle(spawns_late) h = trt_spawn_on(rt, spawns_late, .status = &status, .joined = &joined);
    trt_detach(h);
    CHECK_EQ(trt_runtime_shutdown(rt, -1), TRT_OK);
    CHECK_EQ(status, TRT_CANCELLED);
    CHECK_EQ(joined, 0);
    CHECK_EQ(trt_runtime_free(rt), TRT_OK);
}

TEST(closing_functions_on_a_zeroed_set_do_nothing)
{
    trt_join_set(later) set = {0};
    CHECK_EQ(trt_set_len(&set), 0);
    trt_abort_all(&set);
    trt_detach_all(&set);
    int out = 77;
    CHECK_EQ(trt_try_join_next(&set, &out), TRT_EMPTY);
    CHECK_EQ(out, 77);
}

struct joined_in_groups { trt_join_set(later) set; trt_handle(later) h; uint64_t id; int v; };
trt_async(int, joined_in_groups)
{
    trt_body {
        self->h = trt_spawn_in(&self->set, later, .after = trt_ms(2), .value = 1);
        self->id = trt_task_id(self->h);
        trt_await_any(trt_join_next(&self->set, &self->v), trt_sleep(trt_s(1)));
        CHECK_EQ(trt_chosen(), 0);
        CHECK_EQ(trt_joined(), self->id);
        self->h = trt_spawn_in(&self->set, later, .after = trt_ms(2), .value = 2);
        self->id = trt_task_id(self->h);
        trt_await(trt_within(trt_s(1), trt_join_next(&self->set, &self->v)));
        CHECK_EQ(trt_status(), TRT_OK);
        CHECK_EQ(trt_joined(), self->id);
        CHECK_EQ(self->v, 2);
    }
}

TEST(joined_tells_the_id_also_after_an_any_and_a_deadline)
{
    CHECK_EQ(trt_run_with(&on_virtual_clock, joined_in_groups, NULL), TRT_OK);
}

/* ---- found in review ---- */

/* A try that stands between an all and the questions for its outcomes. */
struct tries_after_all { trt_join_set(now_value) set; uint64_t id; int out; };
trt_async(int, tries_after_all)
{
    trt_body {
        self->id = trt_task_id(trt_spawn_in(&self->set, now_value, .value = 4));
        trt_await(trt_sleep(trt_ms(2)));
        trt_await_all(trt_sleep(0), trt_join(trt_spawn(failing, .status = TRT_CLOSED), NULL));
        CHECK_EQ(trt_try_join_next(&self->set, &self->out), TRT_OK);
        CHECK_EQ(trt_joined(), self->id);
        CHECK_EQ(trt_try_join_next(&self->set, &self->out), TRT_EMPTY);
        CHECK_EQ(trt_status(), TRT_CLOSED);
        CHECK_EQ(trt_chosen(), 1);
        CHECK_EQ(trt_status_of(0), TRT_OK);
        CHECK_EQ(trt_status_of(1), TRT_CLOSED);
        trt_return(self->out);
    }
}

TEST(try_join_next_leaves_the_outcomes_of_an_all_alone)
{
    int out = 0;
    CHECK_EQ(trt_run_with(&on_virtual_clock, tries_after_all, &out), TRT_OK);
    CHECK_EQ(out, 4);
}

/* Members that spawn into their own set when they are cleaned up. */
typedef trt_join_set_of(int) int_set;
struct respawns { int_set *set; int generations; atomic_int *alive; };
trt_async(int, respawns)
{
    trt_body {
        atomic_fetch_add(self->alive, 1);
        trt_await(trt_sleep_until(INT64_MAX));
    }
    trt_cleanup {
        if (self->generations)
            trt_spawn_in(self->set, respawns, .set = self->set, .generations = self->generations - 1, .alive = self->alive);
        trt_await(trt_yield());
    }
}
struct respawn_owner { int_set set; int i; atomic_int alive; bool waits; };
trt_async(int, respawn_owner)
{
    trt_body {
        for (self->i = 0; self->i < 20; self->i++)
            trt_spawn_in(&self->set, respawns, .set = &self->set, .generations = self->i % 4, .alive = &self->alive);
        AWAIT_UNTIL(atomic_load(&self->alive) >= 20);
        if (self->waits)
            trt_await(trt_sleep_until(INT64_MAX));
        trt_await(trt_set_shutdown(&self->set)); /* those that come meanwhile are aborted too */
        CHECK_EQ(trt_set_len(&self->set), 0);
    }
}

TEST(a_set_is_shut_down_though_its_members_spawn_into_it)
{
    CHECK_EQ(trt_run_with(&on_virtual_clock, respawn_owner, NULL), TRT_OK);
    for (long i = 0; i < ROUNDS(100); i++)
        CHECK_EQ(trt_run_with(&on_two_workers, respawn_owner, NULL), TRT_OK);
}

TEST(a_runtime_is_shut_down_though_members_spawn_into_their_set)
{
    for (long i = 0; i < ROUNDS(200); i++) {
        trt_runtime *rt;
        CHECK_EQ(trt_runtime_start(&rt, &on_two_workers), TRT_OK);
        trt_handle(respawn_owner) h = trt_spawn_on(rt, respawn_owner, .waits = true);
        if (i % 2)
            harness_pause();
        CHECK_EQ(trt_runtime_shutdown(rt, -1), TRT_OK);
        CHECK_EQ(trt_join_thread(h, NULL), TRT_CANCELLED);
        CHECK_EQ(trt_runtime_free(rt), TRT_OK);
    }
}

/* A set in `self` that only others fill, who cannot see in which frame it lies, goes with its frame all the same. */
static atomic_int strays_begun, strays_cleaned;
struct stray { int_set *then; };
trt_async(int, stray)
{
    trt_body {
        atomic_fetch_add(&strays_begun, 1);
        trt_await(trt_sleep_until(INT64_MAX));
    }
    trt_cleanup {
        if (self->then) /* a set that nobody has filled before, in a frame that is about to end */
            trt_spawn_in(self->then, stray);
        trt_await(trt_yield());
        atomic_fetch_add(&strays_cleaned, 1);
    }
}
struct fills { int_set *set, *then; };
trt_async(int, fills)
{
    trt_body {
        trt_spawn_in(self->set, stray, .then = self->then);
        trt_spawn_in(self->set, stray);
    }
}
struct fills_as_job { int_set *set; };
trt_blocking_fn(int, fills_as_job)
{
    trt_spawn_in(self->set, stray);
    trt_spawn_in(self->set, stray);
    return 0;
}

enum { BY_TASK, BY_JOB, BY_JOB_IN_FRAME, BY_TASK_AND_OWNER, BY_MEMBER, FILLERS };
struct is_filled { int by; bool panics; int_set set, then; trt_handle(fills) h; trt_handle(fills_as_job) j; trt_job(fills_as_job) job; };
trt_async(int, is_filled)
{
    trt_body {
        atomic_store(&strays_begun, 0);
        atomic_store(&strays_cleaned, 0);
        if (self->by == BY_JOB) {
            self->j = trt_spawn_blocking(fills_as_job, .set = &self->set);
            trt_await(trt_join(self->j, NULL));
        } else if (self->by == BY_JOB_IN_FRAME) {
            trt_await(trt_blocking(fills_as_job, &self->job, .set = &self->set));
        } else {
            self->h = trt_spawn(fills, .set = &self->set, .then = self->by == BY_MEMBER ? &self->then : NULL);
            trt_await(trt_join(self->h, NULL));
        }
        if (self->by == BY_TASK_AND_OWNER) /* it is known already: not a second time */
            trt_spawn_in(&self->set, stray);
        AWAIT_UNTIL(atomic_load(&strays_begun) == (self->by == BY_TASK_AND_OWNER ? 3 : 2));
        CHECK_EQ(trt_set_len(&self->set), atomic_load(&strays_begun));
        if (self->panics)
            trt_panic("leaves a set");
        trt_return(9);
    }
    trt_cleanup { CHECK_EQ(atomic_load(&strays_cleaned), 0); }
}

/* The same in every place where a frame may be: a task, a called child, that of a child, a fork, a branch; and outside the
 * slot of who calls it: in the forker, in another task, in the heap. */
enum {
    IN_TASK, IN_CALL, IN_CALL_OF_CALL, IN_FORK, IN_BRANCH, IN_CALL_OF_BRANCH, IN_FORKER, IN_SPAWNER, IN_HEAP,
    IN_HEAP_OF_BRANCH, IN_HEAP_OF_BOUNDED, IN_HEAP_OF_CALL, PLACES
};
struct calls_lent { int by; bool panics; trt_frame(is_filled) *frame; };
trt_async(int, calls_lent)
{
    trt_body { trt_await_ok(trt_call(is_filled, self->frame, .by = self->by, .panics = self->panics)); }
}
struct calls_filled { int by; bool panics; trt_frame(is_filled) frame; };
trt_async(int, calls_filled)
{
    trt_body {
        trt_await(trt_call(is_filled, &self->frame, .by = self->by, .panics = self->panics));
        trt_return(self->frame.out);
    }
}
struct has_filled {
    int where, by, i, out;
    bool panics;
    trt_handle(is_filled) h;
    trt_handle(calls_lent) lent;
    trt_frame(is_filled) called, *heap;
    trt_frame(calls_filled) calls;
    trt_frame(calls_lent) lends;
};
trt_async(int, has_filled)
{
    trt_body {
        self->heap = calloc(1, sizeof *self->heap);
        for (self->i = 0; self->i < 2; self->i++) { /* twice in the same memory */
            self->out = 0;
            if (self->where == IN_TASK) {
                self->h = trt_spawn(is_filled, .by = self->by, .panics = self->panics);
                trt_await_ok(trt_join(self->h, &self->out));
            } else if (self->where == IN_CALL) {
                trt_await_ok(trt_call(is_filled, &self->called, .by = self->by, .panics = self->panics));
            } else if (self->where == IN_CALL_OF_CALL) {
                trt_await_ok(trt_call(calls_filled, &self->calls, .by = self->by, .panics = self->panics));
            } else if (self->where == IN_FORK) {
                trt_fork(is_filled, &self->out, .by = self->by, .panics = self->panics);
                trt_await_ok(trt_sync());
            } else if (self->where == IN_BRANCH) {
                trt_await_any(trt_call(is_filled, &self->called, .by = self->by, .panics = self->panics), trt_sleep_until(INT64_MAX));
            } else if (self->where == IN_FORKER) {
                trt_fork(calls_lent, NULL, .by = self->by, .panics = self->panics, .frame = &self->called);
                trt_await_ok(trt_sync());
            } else if (self->where == IN_SPAWNER) {
                self->lent = trt_spawn(calls_lent, .by = self->by, .panics = self->panics, .frame = &self->called);
                trt_await_ok(trt_join(self->lent, NULL));
            } else if (self->where == IN_HEAP) {
                trt_await_ok(trt_call(is_filled, self->heap, .by = self->by, .panics = self->panics));
            } else if (self->where == IN_HEAP_OF_BRANCH) {
                trt_await_any(trt_call(is_filled, self->heap, .by = self->by, .panics = self->panics), trt_sleep_until(INT64_MAX));
            } else if (self->where == IN_HEAP_OF_BOUNDED) {
                trt_await_all(trt_within(trt_s(100), trt_call(is_filled, self->heap, .by = self->by, .panics = self->panics)), trt_yield());
            } else if (self->where == IN_HEAP_OF_CALL) {
                trt_await_ok(trt_call(calls_lent, &self->lends, .by = self->by, .panics = self->panics, .frame = self->heap));
            } else {
                trt_await_ok(trt_within(trt_s(100), trt_call(calls_filled, &self->calls, .by = self->by, .panics = self->panics)));
            }
            CHECK_EQ(self->out + self->called.out + self->calls.out + self->heap->out, 9);
            CHECK_EQ(atomic_load(&strays_cleaned), self->by == BY_TASK_AND_OWNER || self->by == BY_MEMBER ? 3 : 2);
        }
    }
    trt_cleanup { free(self->heap); }
}

static void stray_sets(const trt_config *config)
{
    for (int where = 0; where < PLACES; where++)
        for (int by = 0; by < FILLERS; by++) {
            int failures = atomic_load(&harness_failures);
            CHECK_EQ(trt_run_with(config, has_filled, NULL, .where = where, .by = by), TRT_OK);
            if (atomic_load(&harness_failures) > failures)
                harness_fail(__FILE__, __LINE__, "that was in place %d, filled by %d", where, by);
        }
}
TEST(a_set_that_others_have_filled_goes_with_its_frame) { stray_sets(&on_one_thread); }
TEST(a_set_that_others_have_filled_goes_with_its_frame_on_two_workers) { stray_sets(&on_two_workers); }

/* The first frame outside a slot that this process has. */
TEST(a_set_that_others_have_filled_goes_with_its_branch_in_the_heap)
{
    CHECK_EQ(trt_run_with(&on_one_thread, has_filled, NULL, .where = IN_HEAP_OF_BRANCH), TRT_OK);
}
TEST(a_set_that_others_have_filled_goes_with_its_branch_of_an_all_in_the_heap)
{
    CHECK_EQ(trt_run_with(&on_one_thread, has_filled, NULL, .where = IN_HEAP_OF_BOUNDED), TRT_OK);
}

TEST(a_set_that_others_have_filled_goes_with_its_frame_after_a_panic)
{
    capture_start();
    for (int where = 0; where < PLACES; where++) {
        trt_status_code status = trt_run_with(&on_one_thread, has_filled, NULL, .where = where, .panics = true);
        CHECK_EQ(status, TRT_PANICKED);
        CHECK_EQ(atomic_load(&strays_cleaned), 2);
    }
    capture_end();
}

/* A fork that runs on its parent's back leaves its slot as it was: the next one finds nothing of the set. */
static _Atomic(int_set *) shown; /* a set in a fork that blocks its worker */
static atomic_bool shown_is_filled;
struct shows_set { int_set set; };
trt_async(int, shows_set)
{
    trt_body {
        atomic_store(&shown, &self->set);
        while (!atomic_load(&shown_is_filled))
            harness_pause();
        CHECK_EQ(trt_set_len(&self->set), 2);
    }
}
struct fills_shown { trt_void none; };
trt_blocking_fn(int, fills_shown)
{
    (void)self;
    WAIT_UNTIL(atomic_load(&shown));
    trt_spawn_in(atomic_load(&shown), stray);
    trt_spawn_in(atomic_load(&shown), stray);
    atomic_store(&shown_is_filled, true);
    return 0;
}
struct forks_showing { int i; };
trt_async(int, forks_showing)
{
    trt_body {
        for (self->i = 0; self->i < 10; self->i++) {
            atomic_store(&shown, NULL);
            atomic_store(&shown_is_filled, false);
            atomic_store(&strays_cleaned, 0);
            CHECK_EQ(trt_spawn_detached(fills_shown), TRT_OK);
            trt_fork(shows_set, NULL);
            trt_await(trt_sync());
            CHECK_EQ(trt_status(), TRT_OK);
            CHECK_EQ(atomic_load(&strays_cleaned), 2);
        }
    }
}

/* Nor is anything of it left in the slot's word, where a set was emptied again, or a frame was abroad. */
static _Atomic(trt_cell_ *) cell_of_fork;
struct calls_nothing { trt_void none; };
trt_async(int, calls_nothing)
{
    trt_body {}
}
struct goes_abroad { trt_frame(calls_nothing) *frame; };
trt_async(int, goes_abroad)
{
    trt_body {
        atomic_store(&cell_of_fork, trt_here_.worker->cur);
        trt_await_ok(trt_call(calls_nothing, self->frame));
    }
}
struct is_emptied { int_set set; };
trt_async(int, is_emptied)
{
    trt_body {
        atomic_store(&cell_of_fork, trt_here_.worker->cur);
        atomic_store(&shown, &self->set);
        WAIT_UNTIL(atomic_load(&shown_is_filled));
        CHECK_EQ(trt_set_len(&self->set), 2);
        trt_detach_all(&self->set);
    }
}
struct leaves_words { int i; trt_frame(calls_nothing) *heap; };
trt_async(int, leaves_words)
{
    trt_body {
        self->heap = calloc(1, sizeof *self->heap);
        for (self->i = 0; self->i < 4; self->i++) {
            atomic_store(&shown, NULL);
            atomic_store(&shown_is_filled, false);
            if (self->i % 2) {
                CHECK_EQ(trt_spawn_detached(fills_shown), TRT_OK);
                trt_fork(is_emptied, NULL);
            } else {
                trt_fork(goes_abroad, NULL, .frame = self->heap);
            }
            trt_await_ok(trt_sync());
            CHECK_EQ((uint32_t)TRT_LOAD_(&atomic_load(&cell_of_fork)->state, relaxed), 0);
        }
    }
    trt_cleanup { free(self->heap); }
}

TEST(a_fork_on_its_parents_back_leaves_the_word_of_its_slot_as_it_was)
{
    CHECK_EQ(trt_run_with(&on_one_worker, leaves_words, NULL), TRT_OK);
}

TEST(a_set_in_a_fork_is_filled_while_it_runs_on_its_parents_back)
{
    CHECK_EQ(trt_run_with(&on_one_worker, forks_showing, NULL), TRT_OK);
}

/* A frame that lies in its caller's has a set, which is filled by somebody who sees the caller's frame, but not this one:
 * a branch beside it, a fork, or its caller, while a fork runs it. */
enum { BY_BRANCH, BY_FORK, BY_CALLER, BY_CALL_OF_CALLER, BY_FORKING_CALL, SEERS };
struct shows_inner { int_set set; };
trt_async(int, shows_inner)
{
    trt_body {
        atomic_store(&shown, &self->set);
        AWAIT_UNTIL(atomic_load(&strays_begun) == 2);
    }
}
struct fills_inner { trt_void none; };
trt_async(int, fills_inner)
{
    trt_body {
        AWAIT_UNTIL(atomic_load(&shown));
        trt_spawn_in(atomic_load(&shown), stray);
        trt_spawn_in(atomic_load(&shown), stray);
    }
}
struct calls_inner { trt_frame(shows_inner) *frame; };
trt_async(int, calls_inner)
{
    trt_body {
        trt_await_ok(trt_call(shows_inner, self->frame));
        CHECK_EQ(atomic_load(&strays_cleaned), 2);
    }
}
struct forks_inner { trt_frame(shows_inner) *frame; };
trt_async(int, forks_inner)
{
    trt_body {
        trt_fork(calls_inner, NULL, .frame = self->frame);
        AWAIT_UNTIL(atomic_load(&shown));
        trt_spawn_in(atomic_load(&shown), stray);
        trt_spawn_in(atomic_load(&shown), stray);
        trt_await_ok(trt_sync());
    }
}
struct holds_inner { int by, i; trt_frame(shows_inner) inner; trt_frame(fills_inner) fills; trt_frame(forks_inner) forks; };
trt_async(int, holds_inner)
{
    trt_body {
        for (self->i = 0; self->i < 3; self->i++) {
            atomic_store(&shown, NULL);
            atomic_store(&strays_begun, 0);
            atomic_store(&strays_cleaned, 0);
            if (self->by == BY_BRANCH) {
                trt_await_all(trt_call(shows_inner, &self->inner), trt_call(fills_inner, &self->fills));
            } else if (self->by == BY_FORK) {
                trt_fork(fills_inner, NULL);
                trt_await_ok(trt_call(shows_inner, &self->inner));
                CHECK_EQ(atomic_load(&strays_cleaned), 2);
                trt_await_ok(trt_sync());
            } else if (self->by == BY_FORKING_CALL) {
                trt_await_ok(trt_call(forks_inner, &self->forks, .frame = &self->inner));
            } else {
                trt_fork(calls_inner, NULL, .frame = &self->inner);
                if (self->by == BY_CALL_OF_CALLER)
                    trt_await_ok(trt_call(fills_inner, &self->fills));
                AWAIT_UNTIL(atomic_load(&shown));
                if (self->by == BY_CALLER) {
                    trt_spawn_in(atomic_load(&shown), stray);
                    trt_spawn_in(atomic_load(&shown), stray);
                }
                trt_await_ok(trt_sync());
            }
            CHECK_EQ(atomic_load(&strays_cleaned), 2);
        }
    }
}

TEST(a_set_goes_with_the_innermost_frame_though_it_was_filled_by_who_sees_only_an_outer_one)
{
    for (int by = 0; by < SEERS; by++) {
        CHECK_EQ(trt_run_with(&on_two_workers, holds_inner, NULL, .by = by), TRT_OK);
        if (by == BY_BRANCH) /* who yields there is woken by nobody else, so its forks begin at the sync only */
            CHECK_EQ(trt_run_with(&on_one_thread, holds_inner, NULL, .by = by), TRT_OK);
    }
}

/* A frame that is lent to a task, for which the lender waits in its cleanup: the end of the lender's body takes nothing. */
struct lent_set { int_set set; trt_handle(fills) h; };
trt_async(int, lent_set)
{
    trt_body {
        self->h = trt_spawn(fills, .set = &self->set);
        trt_await(trt_join(self->h, NULL));
        atomic_store(&shown, &self->set);
        trt_await(trt_sleep_until(INT64_MAX));
    }
}
struct borrows_frame { trt_frame(lent_set) *frame; };
trt_async(int, borrows_frame)
{
    trt_body { trt_await(trt_call(lent_set, self->frame)); }
    trt_cleanup { CHECK_EQ(atomic_load(&strays_cleaned), 2); }
}
struct lends_frame { trt_frame(lent_set) lent; trt_handle(borrows_frame) h; };
trt_async(int, lends_frame)
{
    trt_body {
        atomic_store(&shown, NULL);
        atomic_store(&strays_cleaned, 0);
        self->h = trt_spawn(borrows_frame, .frame = &self->lent);
        AWAIT_UNTIL(atomic_load(&shown));
    }
    trt_cleanup {
        trt_await(trt_stop(self->h));
        CHECK_EQ(trt_set_len(atomic_load(&shown)), 0);
        CHECK_EQ(atomic_load(&strays_cleaned), 2);
    }
}

TEST(a_set_in_a_lent_frame_goes_with_that_while_its_lender_is_in_the_cleanup)
{
    CHECK_EQ(trt_run_with(&on_one_thread, lends_frame, NULL), TRT_OK);
    CHECK_EQ(trt_run_with(&on_two_workers, lends_frame, NULL), TRT_OK);
}

/* Frames of several pages, and of more than there are lists for; beside them others that have sets of their own. */
enum { WIDE_SETS = 8 };
struct wide { int i; int_set *sets[WIDE_SETS]; trt_handle(fills) h; char more[3 << 19]; };
trt_async(int, wide)
{
    trt_body {
        for (self->i = 0; self->i < WIDE_SETS; self->i++) { /* the last at the very end */
            size_t at = sizeof self->more * (size_t)(self->i + 1) / WIDE_SETS - sizeof(int_set);
            self->sets[self->i] = (int_set *)(void *)(((uintptr_t)self->more + at) & ~(uintptr_t)15);
            self->h = trt_spawn(fills, .set = self->sets[self->i]);
            trt_await(trt_join(self->h, NULL));
        }
    }
}
struct narrow { int_set set; trt_handle(fills) h; char more[9000]; int_set last; };
trt_async(int, narrow)
{
    trt_body {
        self->h = trt_spawn(fills, .set = &self->set);
        trt_await(trt_join(self->h, NULL));
        self->h = trt_spawn(fills, .set = &self->last);
        trt_await(trt_join(self->h, NULL));
    }
}
struct calls_wide { trt_frame(wide) *wide; trt_frame(narrow) *narrow; int_set *other; trt_handle(fills) h; };
trt_async(int, calls_wide)
{
    trt_body {
        self->wide = calloc(1, sizeof *self->wide);
        self->narrow = calloc(1, sizeof *self->narrow);
        self->other = calloc(1, sizeof *self->other);
        trt_await_ok(trt_call(narrow, self->narrow));
        CHECK_EQ(trt_set_len(&self->narrow->self.set) + trt_set_len(&self->narrow->self.last), 0);
        self->h = trt_spawn(fills, .set = self->other);
        trt_await(trt_join(self->h, NULL));
        CHECK_EQ(TRT_LOAD_(&trt_strays_some_, relaxed), 1);
        trt_await_ok(trt_call(wide, self->wide));
        CHECK_EQ(TRT_LOAD_(&trt_strays_some_, relaxed), 1);
        CHECK_EQ(trt_set_len(self->other), 2);
        trt_await(trt_set_shutdown(self->other));
        CHECK_EQ(TRT_LOAD_(&trt_strays_some_, relaxed), 0);
    }
    trt_cleanup {
        free(self->wide);
        free(self->narrow);
        free(self->other);
    }
}

TEST(a_frame_of_many_pages_in_the_heap_ends_all_its_sets)
{
    CHECK_EQ(trt_run_with(&on_one_thread, calls_wide, NULL), TRT_OK);
}

/* The end of a frame in the heap does not look at all sets that lie there: they are in many lists. */
enum { SETS_IN_PAGES = 512 };
struct fills_pages { int i, most; char *pages; int_set *set; trt_handle(fills) h; trt_frame(calls_nothing) *abroad; };
trt_async(int, fills_pages)
{
    trt_body {
        self->abroad = calloc(1, sizeof *self->abroad);
        trt_await_ok(trt_call(calls_nothing, self->abroad));
        self->pages = calloc(SETS_IN_PAGES, TRT_PAGE_);
        for (self->i = 0; self->i < SETS_IN_PAGES; self->i++) {
            self->set = (int_set *)(void *)(self->pages + self->i * (int)TRT_PAGE_);
            self->h = trt_spawn(fills, .set = self->set);
            trt_await(trt_join(self->h, NULL));
        }
        CHECK_EQ(TRT_LOAD_(&trt_strays_some_, relaxed), SETS_IN_PAGES);
        for (self->i = 0; self->i < (int)TRT_PAGES_; self->i++) {
            int n = 0;
            for (trt_owned_ *node = trt_pages_[self->i].strays; node; node = node->next)
                n++;
            if (n > self->most)
                self->most = n;
        }
        CHECK_EQ(self->most, SETS_IN_PAGES / TRT_PAGES_);
        for (self->i = 0; self->i < SETS_IN_PAGES; self->i++) {
            self->set = (int_set *)(void *)(self->pages + self->i * (int)TRT_PAGE_);
            trt_await(trt_set_shutdown(self->set));
        }
        CHECK_EQ(TRT_LOAD_(&trt_strays_some_, relaxed), 0);
    }
    trt_cleanup {
        free(self->pages);
        free(self->abroad);
    }
}

TEST(sets_in_no_slot_are_looked_for_by_page)
{
    CHECK_EQ(trt_run_with(&on_one_thread, fills_pages, NULL), TRT_OK);
}

/* Behind the first 64 KiB of a slot, and by a task of another runtime. */
struct lets_fill { int_set *set; trt_runtime *other; trt_handle(fills) h; };
trt_async(int, lets_fill)
{
    trt_body {
        atomic_store(&strays_begun, 0);
        atomic_store(&strays_cleaned, 0);
        self->h = trt_spawn_on(self->other, fills, .set = self->set);
        trt_await(trt_join(self->h, NULL));
        AWAIT_UNTIL(atomic_load(&strays_begun) == 2);
    }
}
struct large_owner { char before[150000]; int_set set; char after[50000]; trt_runtime *other; trt_frame(lets_fill) call; };
trt_async(int, large_owner)
{
    trt_body { trt_await_ok(trt_call(lets_fill, &self->call, .set = &self->set, .other = self->other)); }
}
struct small_owner { int_set set; trt_runtime *other; trt_frame(lets_fill) call; };
trt_async(int, small_owner)
{
    trt_body { trt_await_ok(trt_call(lets_fill, &self->call, .set = &self->set, .other = self->other)); }
}

TEST(a_set_that_tasks_of_another_runtime_have_filled_goes_with_its_frame)
{
    trt_runtime *here, *other;
    CHECK_EQ(trt_runtime_start(&here, &on_one_worker), TRT_OK);
    CHECK_EQ(trt_runtime_start(&other, &on_one_worker), TRT_OK);
    CHECK_EQ(trt_block_on(here, small_owner, NULL, .other = other), TRT_OK);
    CHECK_EQ(atomic_load(&strays_cleaned), 2);
    CHECK_EQ(trt_block_on(here, large_owner, NULL, .other = other), TRT_OK);
    CHECK_EQ(atomic_load(&strays_cleaned), 2);
    CHECK_EQ(trt_block_on(here, large_owner, NULL, .other = here), TRT_OK);
    CHECK_EQ(atomic_load(&strays_cleaned), 2);
    CHECK_EQ(trt_runtime_free(here), TRT_OK);
    CHECK_EQ(trt_runtime_free(other), TRT_OK);
}

/* In static memory it is nobody's. */
static int_set static_set;
struct fills_static { trt_handle(fills) h; };
trt_async(int, fills_static)
{
    trt_body {
        atomic_store(&strays_begun, 0);
        atomic_store(&strays_cleaned, 0);
        self->h = trt_spawn(fills, .set = &static_set);
        trt_await(trt_join(self->h, NULL));
        AWAIT_UNTIL(atomic_load(&strays_begun) == 2);
    }
}

TEST(a_set_in_static_memory_stays_when_those_end_who_have_filled_it)
{
    trt_runtime *rt;
    CHECK_EQ(trt_runtime_start(&rt, &on_one_worker), TRT_OK);
    CHECK_EQ(trt_block_on(rt, fills_static, NULL), TRT_OK);
    CHECK_EQ(trt_set_len(&static_set), 2);
    CHECK_EQ(atomic_load(&strays_cleaned), 0);
    CHECK_EQ(trt_runtime_free(rt), TRT_OK);
}

/* Sets in the heap, filled by others while frames lie there too: each may be freed once it is empty, or its runtime is. */
struct uses_heap { int i; int_set **kept, *set; trt_frame(is_filled) *frame; trt_handle(fills) h; };
trt_async(int, uses_heap)
{
    trt_body {
        self->frame = calloc(1, sizeof *self->frame);
        for (self->i = 0; self->i < 4; self->i++) {
            atomic_store(&strays_begun, 0);
            self->set = calloc(1, sizeof *self->set);
            self->h = trt_spawn(fills, .set = self->set);
            trt_await(trt_join(self->h, NULL));
            AWAIT_UNTIL(atomic_load(&strays_begun) == 2);
            trt_await_ok(trt_call(is_filled, self->frame));
            CHECK_EQ(atomic_load(&strays_cleaned), 2); /* of the frame's set, and of no other */
            CHECK_EQ(trt_set_len(self->set), 2);
            if (self->i == 0)
                trt_detach_all(self->set);
            if (self->i == 1)
                trt_await(trt_set_shutdown(self->set));
            if (self->i == 2)
                trt_abort_all(self->set);
            if (self->i == 3)
                break;
            while (trt_set_len(self->set))
                trt_await(trt_join_next(self->set, NULL));
            free(self->set);
            trt_await_ok(trt_call(is_filled, self->frame));
        }
        *self->kept = self->set; /* its members end when the runtime does, and nobody asks for them */
    }
    trt_cleanup { free(self->frame); }
}

TEST(a_set_in_the_heap_may_be_freed_when_it_is_empty_or_its_runtime_is_gone)
{
    for (int i = 0; i < 2; i++) {
        int_set *kept = NULL;
        CHECK_EQ(trt_run_with(&on_one_thread, uses_heap, NULL, .kept = &kept), TRT_OK);
        free(kept);
    }
}

/* A job that fills a set in its own struct, and empties it; or does not. */
struct empties { int n; int_set set; };
trt_blocking_fn(int, empties)
{
    trt_status_code status;
    int out = 0, sum = 0;
    trt_spawn_in(&self->set, now_value, .value = self->n);
    trt_spawn_in(&self->set, now_value, .value = self->n);
    while ((status = trt_try_join_next(&self->set, &out)) != TRT_EMPTY) {
        sum += status == TRT_OK ? out : 0;
        harness_pause();
    }
    return sum;
}
static atomic_int jobs_run;
struct runs_jobs { int rounds, i, sum; trt_job(empties) job; int_set set; trt_handle(fills) h; };
trt_async(int, runs_jobs)
{
    trt_body {
        self->h = trt_spawn(fills, .set = &self->set); /* a stray among those that lie in jobs */
        trt_await(trt_join(self->h, NULL));
        for (self->i = 0; self->i < self->rounds; self->i++) {
            AWAIT_UNTIL(self->i == 0 || atomic_load(&jobs_run) >= 4);
            trt_await(trt_blocking(empties, &self->job, .n = 1));
            self->sum += self->job.out;
            atomic_fetch_add(&jobs_run, 1);
        }
        AWAIT_UNTIL(atomic_load(&jobs_run) == 6);
        trt_return(self->sum);
    }
}
struct runs_jobs_again { int_set set; int i, out, sum; };
trt_async(int, runs_jobs_again)
{
    trt_body {
        atomic_store(&strays_cleaned, 0);
        for (self->i = 0; self->i < 4; self->i++)
            trt_spawn_in(&self->set, runs_jobs, .rounds = self->i ? 1 : 3);
        while (trt_set_len(&self->set)) {
            trt_await(trt_join_next(&self->set, &self->out));
            self->sum += self->out;
        }
        CHECK_EQ(atomic_load(&strays_cleaned), 8);
        trt_return(self->sum);
    }
}

TEST(a_job_with_a_set_in_its_struct_runs_again_in_the_same_frame)
{
    int out = 0;
    CHECK_EQ(trt_run_with(&on_one_worker, runs_jobs_again, &out), TRT_OK);
    CHECK_EQ(out, 12);
}

struct leaves { bool panics; int_set set, others; };
trt_blocking_fn(int, leaves)
{
    trt_spawn_in(&self->set, stray);
    trt_spawn_in(&self->others, stray);
    trt_spawn_in(&self->set, now_value);
    trt_spawn_blocking_in(&self->set, busy_job, .obeys = true);
    WAIT_UNTIL(atomic_load(&strays_begun) == 2);
    if (self->panics)
        trt_panic("leaves a set");
    return 3;
}
struct finds_none { bool spawned; int i, out; trt_handle(leaves) h; trt_job(leaves) job; };
trt_async(int, finds_none)
{
    trt_body {
        for (self->i = 0; self->i < 4; self->i++) {
            atomic_store(&strays_begun, 0);
            atomic_store(&strays_cleaned, 0);
            if (self->spawned) {
                self->h = trt_spawn_blocking(leaves, .panics = self->i % 2);
                trt_await(trt_join(self->h, &self->out));
            } else {
                trt_await(trt_blocking(leaves, &self->job, .panics = self->i % 2));
            }
            CHECK_EQ(trt_status(), self->i % 2 ? TRT_PANICKED : TRT_OK);
            AWAIT_UNTIL(atomic_load(&strays_cleaned) == 2);
        }
    }
}

TEST(what_a_job_leaves_in_its_sets_is_aborted_and_let_go)
{
    capture_start();
    trt_status_code in_frame = trt_run_with(&on_one_worker, finds_none, NULL);
    trt_status_code spawned = trt_run_with(&on_one_worker, finds_none, NULL, .spawned = true);
    capture_end();
    CHECK_EQ(in_frame, TRT_OK);
    CHECK_EQ(spawned, TRT_OK);
}

/* The same of sets that tasks have filled, before the job itself, or alone. */
struct leaves_filled { bool panics, fills; int_set set; };
trt_blocking_fn(int, leaves_filled)
{
    trt_handle(fills) h = trt_spawn(fills, .set = &self->set);
    trt_join_thread(h, NULL);
    if (self->fills)
        trt_spawn_in(&self->set, stray);
    WAIT_UNTIL(atomic_load(&strays_begun) == (self->fills ? 3 : 2));
    if (self->panics)
        trt_panic("leaves a set");
    return 3;
}
enum { JOB_IN_FRAME, JOB_IN_HEAP, JOB_SPAWNED, JOB_PLACES };
struct finds_none_filled { int where, i, all; trt_handle(leaves_filled) h; trt_job(leaves_filled) job, *heap; };
trt_async(int, finds_none_filled)
{
    trt_body {
        self->heap = calloc(1, sizeof *self->heap);
        for (self->i = 0; self->i < 8; self->i++) { /* twice in the same memory */
            self->all = 2 + self->i % 2;
            atomic_store(&strays_begun, 0);
            atomic_store(&strays_cleaned, 0);
            if (self->where == JOB_SPAWNED) {
                self->h = trt_spawn_blocking(leaves_filled, .panics = self->i & 2, .fills = self->i % 2);
                trt_await(trt_join(self->h, NULL));
            } else {
                trt_await(trt_blocking(leaves_filled, self->where == JOB_IN_HEAP ? self->heap : &self->job,
                                       .panics = self->i & 2, .fills = self->i % 2));
            }
            CHECK_EQ(trt_status(), self->i & 2 ? TRT_PANICKED : TRT_OK);
            AWAIT_UNTIL(atomic_load(&strays_cleaned) == self->all);
            CHECK_EQ(TRT_LOAD_(&trt_strays_some_, relaxed), 0);
        }
    }
    trt_cleanup { free(self->heap); }
}

TEST(what_others_leave_in_the_sets_of_a_job_is_aborted_and_let_go)
{
    capture_start();
    for (int where = 0; where < JOB_PLACES; where++)
        CHECK_EQ(trt_run_with(&on_one_worker, finds_none_filled, NULL, .where = where), TRT_OK);
    capture_end();
}

/* A frame in the heap whose set has members of two runtimes, of which one is freed first. */
static atomic_int mixed_phase;
struct mixes { bool joins; int_set set; };
trt_async(int, mixes)
{
    trt_body {
        atomic_store(&shown, &self->set);
        AWAIT_UNTIL(atomic_load(&mixed_phase) == 1);
        if (self->joins) {
            trt_await(trt_join_next(&self->set, NULL));
            CHECK_EQ(trt_status(), TRT_OK);
        }
        atomic_store(&mixed_phase, 2);
        AWAIT_UNTIL(atomic_load(&mixed_phase) == 3);
        CHECK_EQ(trt_set_len(&self->set), 2); /* the other one went with its runtime */
    }
}
struct calls_mixing { bool joins; trt_frame(mixes) *frame; };
trt_async(int, calls_mixing)
{
    trt_body {
        self->frame = calloc(1, sizeof *self->frame);
        trt_await_ok(trt_call(mixes, self->frame, .joins = self->joins));
        CHECK_EQ(atomic_load(&strays_cleaned), 2);
    }
    trt_cleanup { free(self->frame); }
}
struct adds_one { trt_void none; };
trt_async(int, adds_one)
{
    trt_body { trt_spawn_in(atomic_load(&shown), now_value, .value = 1); }
}

TEST(members_of_another_runtime_are_ended_though_that_of_the_first_was_freed)
{
    for (int joins = 0; joins < 2; joins++) {
        trt_runtime *first, *other;
        trt_handle(calls_mixing) h;
        atomic_store(&shown, NULL);
        atomic_store(&mixed_phase, 0);
        atomic_store(&strays_cleaned, 0);
        CHECK_EQ(trt_runtime_start(&first, &on_one_worker), TRT_OK);
        CHECK_EQ(trt_runtime_start(&other, &on_one_worker), TRT_OK);
        h = trt_spawn_on(other, calls_mixing, .joins = joins);
        WAIT_UNTIL(atomic_load(&shown));
        CHECK_EQ(trt_block_on(first, adds_one, NULL), TRT_OK);
        CHECK_EQ(trt_block_on(other, fills, NULL, .set = atomic_load(&shown)), TRT_OK);
        atomic_store(&mixed_phase, 1);
        WAIT_UNTIL(atomic_load(&mixed_phase) == 2);
        CHECK_EQ(trt_runtime_free(first), TRT_OK);
        atomic_store(&mixed_phase, 3);
        CHECK_EQ(trt_join_thread(h, NULL), TRT_OK);
        CHECK_EQ(trt_runtime_free(other), TRT_OK);
    }
}

/* A set in a frame that is given up is counted no longer than its runtime lives. */
struct is_given_up { int_set set; };
trt_async(int, is_given_up)
{
    trt_body {}
    trt_cleanup {
        atomic_store(&shown, &self->set);
        AWAIT_UNTIL(false);
    }
}

TEST(a_set_in_a_frame_that_is_given_up_goes_with_its_runtime)
{
    trt_runtime *rt;
    atomic_store(&shown, NULL);
    CHECK_EQ(trt_runtime_start(&rt, &on_two_workers), TRT_OK);
    trt_detach(trt_spawn_on(rt, is_given_up));
    WAIT_UNTIL(atomic_load(&shown));
    CHECK_EQ(trt_block_on(rt, fills, NULL, .set = atomic_load(&shown)), TRT_OK);
    CHECK_EQ(TRT_LOAD_(&trt_strays_some_, relaxed), 1);
    CHECK_EQ(trt_runtime_shutdown(rt, trt_ms(10)), TRT_TIMED_OUT);
    CHECK_EQ(trt_runtime_free(rt), TRT_OK);
    CHECK_EQ(TRT_LOAD_(&trt_strays_some_, relaxed), 0);
}

/* A member that spawns a job, and a coroutine, into its set when it is cleaned up. */
static atomic_int born_jobs_run, born_bodies_run;
struct born_job { trt_void none; };
trt_blocking_fn(int, born_job)
{
    (void)self;
    atomic_fetch_add(&born_jobs_run, 1);
    return 1;
}
struct born { trt_void none; };
trt_async(int, born)
{
    trt_body { atomic_fetch_add(&born_bodies_run, 1); }
}
struct bears { int_set *set; };
trt_async(int, bears)
{
    trt_body { trt_await(trt_sleep_until(INT64_MAX)); }
    trt_cleanup {
        trt_spawn_blocking_in(self->set, born_job);
        trt_spawn_in(self->set, born);
    }
}
struct shuts_bearing { int_set set; };
trt_async(int, shuts_bearing)
{
    trt_body {
        trt_spawn_in(&self->set, bears, .set = &self->set);
        trt_await(trt_sleep(trt_ms(1)));
        trt_await(trt_set_shutdown(&self->set));
        CHECK_EQ(trt_set_len(&self->set), 0);
    }
}

TEST(what_is_born_during_a_sets_shutdown_does_not_run)
{
    CHECK_EQ(trt_run_with(&on_virtual_clock, shuts_bearing, NULL), TRT_OK);
    CHECK_EQ(atomic_load(&born_jobs_run), 0);
    CHECK_EQ(atomic_load(&born_bodies_run), 0);
    for (long i = 0; i < ROUNDS(300); i++)
        CHECK_EQ(trt_run_with(&on_two_workers, shuts_bearing, NULL), TRT_OK);
    CHECK_EQ(atomic_load(&born_jobs_run), 0);
    CHECK_EQ(atomic_load(&born_bodies_run), 0);
}

/* What trt_failure tells is of the last await, or of the last trt_try_join_next. */
struct tells_panics { trt_join_set(panicking) tried, shut; };
trt_async(int, tells_panics)
{
    trt_body {
        trt_spawn_in(&self->tried, panicking);
        trt_spawn_in(&self->shut, panicking);
        trt_await(trt_sleep(trt_ms(5)));
        CHECK_EQ(trt_try_join_next(&self->tried, NULL), TRT_PANICKED);
        CHECK(trt_failure() != NULL);
        CHECK_EQ(trt_try_join_next(&self->tried, NULL), TRT_EMPTY);
        CHECK(trt_failure() == NULL);
        trt_await(trt_set_shutdown(&self->shut)); /* drops the panic */
        CHECK_EQ(trt_set_len(&self->shut), 0);
        CHECK(trt_failure() == NULL);
    }
}

TEST(a_panic_is_not_told_once_something_else_has_come_out_of_the_set)
{
    capture_start();
    trt_status_code status = trt_run_with(&on_one_thread, tells_panics, NULL);
    capture_end();
    CHECK_EQ(status, TRT_OK);
    CHECK(trt_failure() == NULL); /* that of the set which was shut down was dropped, not told to this thread */
}

/* The same for a plain thread, which may try too. */
static trt_join_set(panicking) tried_outside;
struct fills_outside { trt_void none; };
trt_async(int, fills_outside)
{
    trt_body {
        trt_spawn_in(&tried_outside, panicking);
        trt_await(trt_sleep(trt_ms(5)));
    }
}

TEST(a_plain_thread_is_told_of_what_it_tried_last)
{
    trt_runtime *rt;
    capture_start();
    CHECK_EQ(trt_runtime_start(&rt, &on_one_thread), TRT_OK);
    CHECK_EQ(trt_block_on(rt, fills_outside, NULL), TRT_OK);
    CHECK_EQ(trt_try_join_next(&tried_outside, NULL), TRT_PANICKED);
    CHECK(trt_failure() != NULL);
    CHECK_EQ(trt_try_join_next(&tried_outside, NULL), TRT_EMPTY);
    CHECK(trt_failure() == NULL);
    CHECK_EQ(trt_runtime_free(rt), TRT_OK);
    capture_end();
}

/* A set in static memory is everybody's: what a runtime gives up, and leaves in it, goes with the runtime. */
struct outlasts { trt_void none; };
trt_async(int, outlasts)
{
    trt_body { trt_return(0); }
    trt_cleanup { trt_await(trt_sleep_until(INT64_MAX)); }
}
static trt_join_set(outlasts) everybodys;
struct fills_everybodys { trt_void none; };
trt_async(int, fills_everybodys)
{
    trt_body { (void)trt_spawned(trt_spawn_in(&everybodys, outlasts)); }
}

TEST(a_static_set_forgets_what_was_given_up_with_its_runtime)
{
    for (int round = 0; round < 2; round++) {
        trt_runtime *rt;
        CHECK_EQ(trt_runtime_start(&rt, &on_one_worker), TRT_OK);
        CHECK_EQ(trt_block_on(rt, fills_everybodys, NULL), TRT_OK);
        CHECK_EQ(trt_set_len(&everybodys), 1);
        CHECK_EQ(trt_runtime_shutdown(rt, trt_ms(5)), TRT_TIMED_OUT);
        CHECK_EQ(trt_runtime_free(rt), TRT_OK);
        CHECK_EQ(trt_set_len(&everybodys), 0);
        CHECK_EQ(TRT_LOAD_(&trt_strays_some_, relaxed), 0);
    }
}

int main(int argc, char **argv) { return harness_main(argc, argv); }
