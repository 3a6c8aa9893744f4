/* Every mistake has an answer: what the compiler cannot see is told at run time, with file and line. */
#include "harness.h"
#define TASKRT_IMPLEMENTATION
#include "../taskrt.h"
#include "common.h"

/* Runs the root and gives what was written to stderr. */
#define TEXT_OF(status, ...) (capture_start(), (status) = trt_run_with(&on_virtual_clock, __VA_ARGS__), capture_end())

struct runs_inside { int how; int out; trt_handle(later) h; };
trt_async(int, runs_inside)
{
    trt_body {
        trt_await(trt_sleep(1));
        self->out = 77;
        if (self->how == 0)
            CHECK_EQ(trt_run(now_value, &self->out), TRT_MISUSE);
        else if (self->how == 1)
            CHECK_EQ(trt_run_with(&on_one_worker, now_value, &self->out), TRT_MISUSE);
        else if (self->how == 2)
            CHECK_EQ(trt_block_on(trt_current(), now_value, &self->out), TRT_MISUSE);
        else {
            self->h = trt_spawn(later, .value = 4);
            CHECK_EQ(trt_join_thread(self->h, &self->out), TRT_MISUSE);
            CHECK_EQ(self->out, 77);
            trt_await(trt_join(self->h, &self->out));
            CHECK_EQ(trt_status(), TRT_OK);
            CHECK_EQ(self->out, 4);
            self->out = 77;
        }
        CHECK_EQ(self->out, 77);
        CHECK_EQ(trt_status(), TRT_OK); /* the last await's */
    }
}

TEST(run_block_on_and_thread_calls_inside_a_task_are_misuse)
{
    const char *functions[] = {"trt_run", "trt_run", "trt_block_on", "trt_join_thread"};
    for (int how = 0; how < 4; how++) {
        trt_status_code status;
        const char *text = TEXT_OF(status, runs_inside, NULL, .how = how);
        CHECK_EQ(status, TRT_OK);
        CHECK_CONTAINS(text, functions[how]);
        CHECK_CONTAINS(text, "test_misuse.c:"); /* where in the task */
    }
}

struct blocks_on_other { trt_runtime *other; int out; };
trt_async(int, blocks_on_other)
{
    trt_body { CHECK_EQ(trt_block_on(self->other, now_value, &self->out), TRT_MISUSE); }
}

TEST(block_on_another_runtime_inside_a_task_is_misuse_too)
{
    trt_runtime *other;
    trt_status_code status;
    CHECK_EQ(trt_runtime_start(&other, &on_one_worker), TRT_OK);
    const char *text = TEXT_OF(status, blocks_on_other, NULL, .other = other);
    CHECK_EQ(status, TRT_OK);
    CHECK(strlen(text) > 0);
    CHECK_EQ(trt_runtime_free(other), TRT_OK);
}

struct frees_itself { trt_void none; };
trt_async(int, frees_itself)
{
    trt_body {
        trt_await(trt_sleep(1));
        CHECK_EQ(trt_runtime_free(trt_current()), TRT_MISUSE);
        trt_await(trt_sleep(1)); /* and goes on as if nothing had been */
        CHECK_EQ(trt_status(), TRT_OK);
        trt_return(3);
    }
}

TEST(a_runtime_freed_inside_its_own_task_is_misuse)
{
    trt_status_code status;
    int out = 0;
    const char *text = TEXT_OF(status, frees_itself, &out);
    CHECK_EQ(status, TRT_OK);
    CHECK_EQ(out, 3);
    CHECK_CONTAINS(text, "trt_runtime_free");
    CHECK_CONTAINS(text, "test_misuse.c:");
}

TEST(trt_spawn_outside_a_runtime_says_so)
{
    capture_start();
    trt_handle(now_value) h = trt_spawn(now_value);
    const char *text = capture_end();
    CHECK_EQ(trt_spawned(h), false);
    CHECK_CONTAINS(text, "runtime");
    CHECK_CONTAINS(text, "spawn");
}

struct period_zero { trt_interval iv; };
trt_async(int, period_zero)
{
    trt_body {
        trt_await(trt_sleep(1));
        CHECK_EQ(trt_interval_init(&self->iv, 0, TRT_SKIP), TRT_MISUSE);
    }
}

TEST(period_zero_is_misuse_with_a_message)
{
    trt_status_code status;
    const char *text = TEXT_OF(status, period_zero, NULL);
    CHECK_EQ(status, TRT_OK);
    CHECK_CONTAINS(text, "trt_interval_init");
    CHECK_CONTAINS(text, "test_misuse.c:");
}

/* How the failure reaches whoever waits, with and without a wait in between. */
struct fails_wrongly { int code, how; int out; trt_frame(failing) child; trt_handle(failing) h; trt_instant start; };
trt_async(int, fails_wrongly)
{
    trt_duration after = self->how % 2 ? trt_ms(5) : 0;
    trt_status_code code = (trt_status_code)self->code;
    trt_body {
        self->start = trt_now();
        if (self->how / 2 == 0)
            trt_await(trt_call(failing, &self->child, .after = after, .status = code));
        if (self->how / 2 == 1)
            trt_await(trt_join(trt_spawn(failing, .after = after, .status = code), NULL));
        if (self->how / 2 == 2)
            trt_await_any(trt_call(failing, &self->child, .after = after, .status = code), trt_sleep(trt_ms(50)));
        if (self->how / 2 == 3)
            trt_await_all(trt_sleep(0), trt_call(failing, &self->child, .after = after, .status = code));
        if (self->how / 2 == 4) {
            trt_fork(failing, NULL, .after = after, .status = code);
            trt_fork(later, &self->out, .after = trt_ms(8), .value = 3);
            trt_await(trt_within(trt_ms(1), trt_sync()));
            trt_await(trt_sleep(trt_ms(100)));
            CHECK_EQ(trt_status(), TRT_OK);
            CHECK_EQ(trt_now() - self->start, trt_ms(101));
            CHECK_EQ(self->out, 3);
            trt_await(trt_sync());
        }
        CHECK_EQ(trt_status(), TRT_MISUSE);
        if (self->how / 2 == 3) {
            CHECK_EQ(trt_status_of(0), TRT_OK);
            CHECK_EQ(trt_status_of(1), TRT_MISUSE);
        }
        trt_return(6);
    }
}

TEST(failing_with_what_is_no_outcome_is_misuse_with_a_message)
{
    const int codes[] = {TRT_PENDING, TRT_STATUS_COUNT_, 15, 16, 31, 256, -1};
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        for (int how = 0; how < 10; how++) {
            trt_status_code status;
            int out = 0;
            const char *text = TEXT_OF(status, fails_wrongly, &out, .code = codes[i], .how = how);
            CHECK_EQ(status, TRT_OK);
            CHECK_EQ(out, 6);
            CHECK_CONTAINS(text, "trt_fail");
            CHECK_CONTAINS(text, "common.h:");
        }
    }
}

struct too_many_permits { trt_semaphore s; };
trt_async(int, too_many_permits)
{
    trt_body {
        trt_await(trt_sleep(1));
        trt_semaphore_init(&self->s, 1);
        CHECK_EQ(trt_add_permits(&self->s, SIZE_MAX), TRT_MISUSE);
        CHECK_EQ(trt_available_permits(&self->s), 1);
    }
}

TEST(permits_beyond_the_maximum_are_misuse_with_a_message)
{
    trt_status_code status;
    const char *text = TEXT_OF(status, too_many_permits, NULL);
    CHECK_EQ(status, TRT_OK);
    CHECK_CONTAINS(text, "trt_add_permits");
    CHECK_CONTAINS(text, "test_misuse.c:");
}

struct joins_twice { trt_handle(now_value) h, zero; int out; };
trt_async(int, joins_twice)
{
    trt_body {
        self->h = trt_spawn(now_value, .value = 3);
        trt_await(trt_join(self->h, &self->out));
        trt_await(trt_join(self->h, &self->out));
        CHECK_EQ(trt_status(), TRT_MISUSE);
        trt_await(trt_join(self->zero, &self->out));
        CHECK_EQ(trt_status(), TRT_MISUSE);
        CHECK_EQ(self->out, 3);
    }
}

TEST(joining_twice_is_misuse)
{
    trt_status_code status;
    (void)TEXT_OF(status, joins_twice, NULL);
    CHECK_EQ(status, TRT_OK);
}

struct two_wait_for_a_set { trt_join_set(later) *set; };
trt_async(int, two_wait_for_a_set)
{
    trt_body {
        trt_await(trt_join_next(self->set, NULL));
        trt_return((int)trt_status());
    }
}
struct set_with_two { trt_join_set(later) set; trt_handle(two_wait_for_a_set) a, b; int sa, sb; };
trt_async(int, set_with_two)
{
    trt_body {
        trt_spawn_in(&self->set, later, .after = trt_ms(5));
        self->a = trt_spawn(two_wait_for_a_set, .set = &self->set);
        self->b = trt_spawn(two_wait_for_a_set, .set = &self->set);
        trt_await_ok(trt_join(self->a, &self->sa));
        trt_await_ok(trt_join(self->b, &self->sb));
        CHECK((self->sa == TRT_OK) != (self->sb == TRT_OK)); /* one task at a time awaits it: no crash, no deadlock */
    }
}

TEST(two_tasks_on_one_set_do_no_harm)
{
    trt_status_code status;
    (void)TEXT_OF(status, set_with_two, NULL);
    CHECK_EQ(status, TRT_OK);
}

#if TASKRT_DEBUG
/* ---- what debug builds see ---- */

static int spawn_line;
struct borrows_stack { long a, b; int *pointer; };
trt_async(int, borrows_stack)
{
    trt_body { trt_return(0); }
}
struct lends_stack { trt_handle(borrows_stack) h; };
trt_async(int, lends_stack)
{
    trt_body {
        {
            int local = 3;
            spawn_line = __LINE__ + 1;
            self->h = trt_spawn(borrows_stack, .pointer = &local);
        }
        trt_await(trt_join(self->h, NULL));
    }
}

TEST(a_spawn_argument_into_the_spawners_stack_is_warned_about)
{
    trt_status_code status;
    char offset[32], line[32];
    const char *text = TEXT_OF(status, lends_stack, NULL);
    CHECK_EQ(status, TRT_OK);
    snprintf(offset, sizeof offset, "%zu", offsetof(struct borrows_stack, pointer));
    snprintf(line, sizeof line, "test_misuse.c:%d", spawn_line);
    CHECK_CONTAINS(text, "borrows_stack");
    CHECK_CONTAINS(text, offset);
    CHECK_CONTAINS(text, line);
}

struct passes_heap { trt_handle(borrows_stack) h; int value; };
trt_async(int, passes_heap)
{
    trt_body {
        self->h = trt_spawn(borrows_stack, .pointer = &self->value);
        trt_await(trt_join(self->h, NULL));
    }
}

TEST(other_pointers_in_spawn_arguments_are_not_warned_about)
{
    trt_status_code status;
    const char *text = TEXT_OF(status, passes_heap, NULL);
    CHECK_EQ(status, TRT_OK);
    CHECK_STR(text, "");
}

static pthread_mutex_t plain_mutex = PTHREAD_MUTEX_INITIALIZER;
static int held_line;
struct holds_lock { trt_void none; };
trt_async(int, holds_lock)
{
    trt_body {
        pthread_mutex_lock(&plain_mutex);
        trt_lock_held(&plain_mutex, "the plain mutex");
        held_line = __LINE__ + 1;
        trt_await(trt_sleep(trt_ms(1)));
        trt_lock_released(&plain_mutex);
        pthread_mutex_unlock(&plain_mutex);
        trt_await(trt_sleep(trt_ms(1)));
    }
}

TEST(an_announced_lock_held_across_an_await_is_warned_about)
{
    trt_status_code status;
    char line[40];
    const char *text = TEXT_OF(status, holds_lock, NULL);
    CHECK_EQ(status, TRT_OK);
    snprintf(line, sizeof line, "test_misuse.c:%d", held_line);
    CHECK_CONTAINS(text, "the plain mutex");
    CHECK_CONTAINS(text, line);
}

struct drops_handle { trt_handle(now_value) h; };
trt_async(int, drops_handle)
{
    trt_body {
        self->h = trt_spawn(now_value, .value = 1);
        trt_await(trt_sleep(trt_ms(1)));
    }
}

TEST(a_task_neither_joined_nor_detached_is_reported)
{
    trt_status_code status;
    const char *text = TEXT_OF(status, drops_handle, NULL);
    CHECK_EQ(status, TRT_OK);
    CHECK_CONTAINS(text, "now_value");
}

TEST(one_that_was_joined_or_detached_is_not_reported)
{
    trt_status_code status;
    int out = 0;
    const char *text = TEXT_OF(status, later, &out, .after = trt_ms(1));
    CHECK_STR(text, "");
    CHECK_EQ(status, TRT_OK);
}
#endif

/* ---- a call, or a job, is awaited once ---- */

struct counts_cleanups { trt_duration after; int *cleanups; };
trt_async(int, counts_cleanups)
{
    trt_body {
        if (self->after) trt_await(trt_sleep(self->after));
        trt_return(4);
    }
    trt_cleanup { ++*self->cleanups; }
}

struct awaits_twice { int how; trt_duration after; trt_op op; int cleanups, i; trt_frame(counts_cleanups) child; };
trt_async(int, awaits_twice)
{
    trt_body {
        if (self->how == 2) /* with the budget used up */
            while (self->i < 127) trt_await(trt_call(counts_cleanups, &self->child, .cleanups = &self->i));
        self->op = trt_call(counts_cleanups, &self->child, .after = self->after, .cleanups = &self->cleanups);
        if (self->how == 1) {
            trt_await_all(self->op, self->op);
            CHECK_EQ(trt_status_of(0), TRT_OK);
            CHECK_EQ(trt_status_of(1), TRT_MISUSE);
        } else {
            trt_await(self->op);
            CHECK_EQ(trt_status(), TRT_OK);
            CHECK_EQ(self->child.out, 4);
            if (self->how == 3) trt_await(trt_within(trt_ms(1), self->op));
            else trt_await(self->op);
        }
        CHECK_EQ(trt_status(), TRT_MISUSE);
        CHECK_EQ(self->cleanups, 1);
        trt_await(trt_call(counts_cleanups, &self->child, .cleanups = &self->cleanups)); /* made again */
        CHECK_EQ(trt_status(), TRT_OK);
        CHECK_EQ(self->cleanups, 2);
        trt_return(6);
    }
}

struct doubles { int value; };
trt_blocking_fn(int, doubles) { return 2 * self->value; }
struct blocks_twice { bool group; trt_op op; trt_job(doubles) job; };
trt_async(int, blocks_twice)
{
    trt_body {
        self->op = trt_blocking(doubles, &self->job, .value = 3);
        if (self->group) {
            trt_await_all(self->op, self->op); /* which comes first is by chance */
            CHECK_EQ(trt_status_of(0) + trt_status_of(1), TRT_MISUSE);
        } else {
            trt_await(self->op);
            CHECK_EQ(trt_status(), TRT_OK);
            trt_await(self->op);
        }
        CHECK_EQ(trt_status(), TRT_MISUSE);
        CHECK_EQ(self->job.out, 6);
        trt_return(6);
    }
}

TEST(a_call_or_a_job_that_was_awaited_before_is_misuse)
{
    trt_status_code status;
    const char *text;
    int out;
    for (int how = 0; how < 8; how++) {
        out = 0;
        text = TEXT_OF(status, awaits_twice, &out, .how = how / 2, .after = how % 2 ? trt_ms(1) : 0);
        CHECK_EQ(status, TRT_OK);
        CHECK_EQ(out, 6);
        CHECK_CONTAINS(text, "a call that was awaited before");
    }
    for (int group = 0; group < 2; group++) {
        out = 0;
        text = TEXT_OF(status, blocks_twice, &out, .group = group);
        CHECK_EQ(status, TRT_OK);
        CHECK_EQ(out, 6);
        CHECK_CONTAINS(text, "the job was awaited before");
    }
}

/* A stop that is wrong does nothing to the task. */
struct stops_wrongly { int how; trt_join_set(later) set; trt_handle(later) h; int out; };
trt_async(int, stops_wrongly)
{
    trt_body {
        self->h = trt_spawn_in(&self->set, later, .after = trt_ms(2), .value = 7);
        trt_await(trt_sleep(trt_ms(self->how % 2 ? 1 : 0)));
        if (self->how / 2 == 0)
            trt_await(trt_stop(self->h));
        else if (self->how / 2 == 1)
            trt_await_all(trt_stop(self->h), trt_yield());
        else
            trt_await(trt_within(trt_s(1), trt_stop(self->h)));
        CHECK_EQ(trt_status(), TRT_MISUSE);
        trt_await(trt_join_next(&self->set, &self->out));
        CHECK_EQ(trt_status(), TRT_OK);
        trt_return(self->out);
    }
}

static trt_any_handle stops_itself_handle;
struct stops_itself { trt_void none; };
trt_async(int, stops_itself)
{
    trt_body {
        trt_await(trt_stop(stops_itself_handle));
        CHECK_EQ(trt_status(), TRT_MISUSE);
        trt_await(trt_sleep(1));
        trt_return(7);
    }
}
struct spawns_self_stop { trt_handle(stops_itself) h; int out; };
trt_async(int, spawns_self_stop)
{
    trt_body {
        self->h = trt_spawn(stops_itself);
        stops_itself_handle = trt_any(self->h);
        trt_await(trt_join(self->h, &self->out));
        CHECK_EQ(trt_status(), TRT_OK);
        trt_return(self->out);
    }
}

TEST(a_stop_of_oneself_or_of_a_member_of_a_set_is_misuse_and_aborts_nothing)
{
    trt_status_code status;
    const char *text;
    int out;
    for (int how = 0; how < 7; how++) {
        out = 0;
        text = how < 6 ? TEXT_OF(status, stops_wrongly, &out, .how = how) : TEXT_OF(status, spawns_self_stop, &out);
        CHECK_EQ(status, TRT_OK);
        CHECK_EQ(out, 7);
        CHECK_CONTAINS(text, "trt_stop: ");
        CHECK_LACKS(text, "trt_join: ");
    }
}

int main(int argc, char **argv) { return harness_main(argc, argv); }
