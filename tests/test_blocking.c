/* The blocking pool: growth, cap, order, keep-alive, abort, panics. */
#include "harness.h"
#define TASKRT_IMPLEMENTATION
#include "../taskrt.h"
#include "common.h"

/* A job that ends when `all` of its kind run at the same time. */
struct meets { atomic_int *here; int all; };
trt_blocking_fn(int, meets)
{
    atomic_fetch_add(self->here, 1);
    while (atomic_load(self->here) < self->all)
        harness_pause();
    return self->all;
}
struct meeting { trt_handle(meets) h[32]; atomic_int here; int i, out; };
trt_async(int, meeting)
{
    trt_body {
        for (self->i = 0; self->i < 32; self->i++)
            self->h[self->i] = trt_spawn_blocking(meets, .here = &self->here, .all = 32);
        for (self->i = 0; self->i < 32; self->i++) {
            trt_await(trt_join(self->h[self->i], &self->out));
            CHECK_EQ(trt_status(), TRT_OK);
            CHECK_EQ(self->out, 32);
        }
    }
}

TEST(the_pool_grows_on_demand) { CHECK_EQ(trt_run_with(&on_one_worker, meeting, NULL), TRT_OK); }

struct counts_jobs { atomic_int *now, *most, *done; };
trt_blocking_fn(trt_void, counts_jobs)
{
    int now = atomic_fetch_add(self->now, 1) + 1;
    int most = atomic_load(self->most);
    while (now > most && !atomic_compare_exchange_weak(self->most, &most, now))
        ;
    harness_pause();
    atomic_fetch_sub(self->now, 1);
    atomic_fetch_add(self->done, 1);
    return (trt_void){0};
}
struct capped { trt_join_set(counts_jobs) set; atomic_int now, most, done; int i; trt_metrics_info m; };
trt_async(int, capped)
{
    trt_body {
        for (self->i = 0; self->i < 100; self->i++)
            trt_spawn_blocking_in(&self->set, counts_jobs, .now = &self->now, .most = &self->most, .done = &self->done);
        trt_metrics(trt_current(), &self->m);
        CHECK(self->m.blocking_threads <= 3);
        for (self->i = 0; self->i < 100; self->i++) {
            trt_await(trt_join_next(&self->set, NULL));
            CHECK_EQ(trt_status(), TRT_OK);
        }
        CHECK_EQ(atomic_load(&self->done), 100);
        CHECK(atomic_load(&self->most) <= 3);
    }
}

TEST(max_blocking_threads_is_respected)
{
    CHECK_EQ(trt_run_with((&(trt_config){.workers = 1, .max_blocking_threads = 3}), capped, NULL), TRT_OK);
}

struct in_turn { int *next, number; };
trt_blocking_fn(int, in_turn)
{
    CHECK_EQ(*self->next, self->number);
    ++*self->next;
    return self->number;
}
struct fifo { trt_handle(busy_job) first; trt_join_set(in_turn) set; atomic_bool running, release; int next, i, out; };
trt_async(int, fifo)
{
    trt_body {
        self->first = trt_spawn_blocking(busy_job, .running = &self->running, .release = &self->release);
        AWAIT_UNTIL(atomic_load(&self->running));
        for (self->i = 0; self->i < 50; self->i++)
            trt_spawn_blocking_in(&self->set, in_turn, .next = &self->next, .number = self->i);
        atomic_store(&self->release, true);
        for (self->i = 0; self->i < 50; self->i++) {
            trt_await(trt_join_next(&self->set, &self->out));
            CHECK_EQ(self->out, self->i);
        }
        trt_await(trt_join(self->first, NULL));
    }
}

TEST(one_thread_takes_jobs_first_in_first_out)
{
    CHECK_EQ(trt_run_with((&(trt_config){.workers = 1, .max_blocking_threads = 1}), fifo, NULL), TRT_OK);
}

TEST(idle_threads_leave_after_the_keep_alive)
{
    trt_runtime *rt;
    trt_metrics_info m;
    atomic_int here = 0;
    trt_handle(meets) h[4];
    CHECK_EQ(trt_runtime_start(&rt, &(trt_config){.workers = 1, .blocking_keep_alive = trt_ms(20)}), TRT_OK);
    for (int i = 0; i < 4; i++)
        h[i] = trt_spawn_blocking_on(rt, meets, .here = &here, .all = 4);
    for (int i = 0; i < 4; i++)
        CHECK_EQ(trt_join_thread(h[i], NULL), TRT_OK);
    do {
        harness_pause();
        trt_metrics(rt, &m);
    } while (m.blocking_threads > 0);
    /* and come back when there is work again */
    atomic_store(&here, 0);
    h[0] = trt_spawn_blocking_on(rt, meets, .here = &here, .all = 1);
    CHECK_EQ(trt_join_thread(h[0], NULL), TRT_OK);
    CHECK_EQ(trt_runtime_free(rt), TRT_OK);
}

TEST(idle_threads_are_used_again)
{
    trt_runtime *rt;
    trt_metrics_info m;
    CHECK_EQ(trt_runtime_start(&rt, &on_one_worker), TRT_OK);
    for (int i = 0; i < 100; i++) {
        atomic_int here = 0;
        trt_handle(meets) h = trt_spawn_blocking_on(rt, meets, .here = &here, .all = 1);
        CHECK_EQ(trt_join_thread(h, NULL), TRT_OK);
        WAIT_UNTIL((trt_metrics(rt, &m), m.blocking_idle > 0));
    }
    CHECK_EQ(m.blocking_threads, 1);
    CHECK_EQ(trt_runtime_free(rt), TRT_OK);
}

/* ---- in the frame ---- */

struct parse { size_t bytes; };
trt_blocking_fn(size_t, parse) { return self->bytes / 50; }
struct uses_job { trt_job(parse) job; int i; };
trt_async(size_t, uses_job)
{
    trt_body {
        for (self->i = 0; self->i < 20; self->i++) {
            trt_await(trt_blocking(parse, &self->job, .bytes = (size_t)self->i * 50));
            CHECK_EQ(trt_status(), TRT_OK);
            CHECK_EQ(self->job.out, self->i);
        }
        trt_return(self->job.out);
    }
}

TEST(a_job_in_the_frame_gives_its_result_in_out)
{
    size_t out = 0;
    CHECK_EQ(trt_run(uses_job, &out), TRT_OK);
    CHECK_EQ(out, 19);
}

struct owns_job { trt_job(busy_job) job; atomic_bool *running, *release; int *after, *cleaned; };
trt_async(int, owns_job)
{
    trt_body {
        trt_await(trt_blocking(busy_job, &self->job, .running = self->running, .release = self->release, .value = 3));
        *self->after = 1;
        trt_await(trt_sleep(trt_s(1000)));
        *self->after = 2;
    }
    trt_cleanup { ++*self->cleaned; }
}

TEST(abort_waits_for_the_running_job_in_the_frame)
{
    trt_runtime *rt;
    atomic_bool running = false, release = false;
    int after = 0, cleaned = 0;
    CHECK_EQ(trt_runtime_start(&rt, &on_one_worker), TRT_OK);
    trt_handle(owns_job) h = trt_spawn_on(rt, owns_job, .running = &running, .release = &release, .after = &after, .cleaned = &cleaned);
    WAIT_UNTIL(atomic_load(&running));
    trt_abort(h);
    for (int i = 0; i < 20; i++)
        harness_pause();
    CHECK(!trt_is_finished(h));
    atomic_store(&release, true);
    CHECK_EQ(trt_join_thread(h, NULL), TRT_CANCELLED);
    CHECK(after < 2);
    CHECK_EQ(cleaned, 1);
    CHECK_EQ(trt_runtime_free(rt), TRT_OK);
}

TEST(abort_skips_the_queued_job_in_the_frame)
{
    trt_runtime *rt;
    atomic_bool running = false, release = false, ran = false;
    int after = 0, cleaned = 0;
    CHECK_EQ(trt_runtime_start(&rt, &(trt_config){.workers = 1, .max_blocking_threads = 1}), TRT_OK);
    trt_handle(busy_job) first = trt_spawn_blocking_on(rt, busy_job, .running = &running, .release = &release);
    WAIT_UNTIL(atomic_load(&running));
    trt_handle(owns_job) h = trt_spawn_on(rt, owns_job, .running = &ran, .release = &release, .after = &after, .cleaned = &cleaned);
    trt_metrics_info m;
    WAIT_UNTIL((trt_metrics(rt, &m), m.blocking_queued > 0));
    trt_abort(h);
    CHECK_EQ(trt_join_thread(h, NULL), TRT_CANCELLED); /* though the only thread is busy */
    CHECK_EQ(cleaned, 1);
    CHECK_EQ(after, 0);
    atomic_store(&release, true);
    CHECK_EQ(trt_join_thread(first, NULL), TRT_OK);
    CHECK(!atomic_load(&ran));
    CHECK_EQ(trt_runtime_free(rt), TRT_OK);
}

/* ---- panics ---- */

static int job_line;
struct job_panics { int n; };
trt_blocking_fn(int, job_panics)
{
    if (self->n) {
        job_line = __LINE__ + 1;
        trt_panic("job %d broke", self->n);
    }
    return 5;
}
struct joins_job_panics { trt_handle(job_panics) h; trt_job(job_panics) job; int out; };
trt_async(int, joins_job_panics)
{
    trt_body {
        self->out = 77;
        self->h = trt_spawn_blocking(job_panics, .n = 3);
        trt_await(trt_join(self->h, &self->out));
        CHECK_EQ(trt_status(), TRT_PANICKED);
        CHECK_EQ(self->out, 77);
        CHECK(trt_failure() != NULL);
        if (trt_failure()) {
            CHECK_STR(trt_failure()->message, "job 3 broke");
            CHECK_CONTAINS(trt_failure()->file, "test_blocking.c");
            CHECK_EQ(trt_failure()->line, job_line);
            CHECK_EQ(trt_failure()->task, trt_task_id(self->h));
        }
        trt_await(trt_blocking(job_panics, &self->job, .n = 4));
        CHECK_EQ(trt_status(), TRT_PANICKED); /* an outcome: the caller goes on */
        CHECK(trt_failure() != NULL);
        if (trt_failure())
            CHECK_STR(trt_failure()->message, "job 4 broke");
        trt_await(trt_blocking(job_panics, &self->job));
        CHECK_EQ(trt_status(), TRT_OK);
        CHECK_EQ(self->job.out, 5);
        CHECK(trt_failure() == NULL);
    }
}

TEST(a_panic_in_a_job_is_contained_and_told)
{
    capture_start();
    trt_status_code status = trt_run_with((&(trt_config){.workers = 1, .max_blocking_threads = 1}), joins_job_panics, NULL);
    const char *text = capture_end();
    CHECK_EQ(status, TRT_OK);
    CHECK_CONTAINS(text, "job 3 broke");
    CHECK_CONTAINS(text, "test_blocking.c");
}

/* ---- inside a job ---- */

struct job_uses_runtime { trt_runtime *rt; };
trt_blocking_fn(int, job_uses_runtime)
{
    int out = 0, sum = 0;
    atomic_bool release = true;
    CHECK(trt_current() == self->rt);
    CHECK(!trt_cancelled());
    trt_handle(later) h = trt_spawn(later, .after = trt_us(10), .value = 1);
    CHECK_EQ(trt_join_thread(h, &out), TRT_OK);
    sum += out;
    CHECK_EQ(trt_block_on(self->rt, later, &out, .after = trt_us(10), .value = 2), TRT_OK);
    sum += out;
    trt_handle(busy_job) b = trt_spawn_blocking(busy_job, .release = &release, .value = 4);
    CHECK_EQ(trt_join_thread(b, &out), TRT_OK);
    return sum + out;
}
struct runs_job { trt_job(job_uses_runtime) job; };
trt_async(int, runs_job)
{
    trt_body {
        trt_await_ok(trt_blocking(job_uses_runtime, &self->job, .rt = trt_current()));
        trt_return(self->job.out);
    }
}

TEST(a_job_may_spawn_join_and_block)
{
    int out = 0;
    CHECK_EQ(trt_run_with(&on_two_workers, runs_job, &out), TRT_OK);
    CHECK_EQ(out, 7);
    out = 0;
    CHECK_EQ(trt_run_with(&on_one_thread, runs_job, &out), TRT_OK);
    CHECK_EQ(out, 7);
}

typedef trt_channel(int) ints;
struct job_receives { ints *c; };
trt_blocking_fn(int, job_receives)
{
    int n, sum = 0;
    while (trt_recv_thread(self->c, &n) == TRT_OK)
        sum += n;
    return sum;
}
struct feeds_job { ints c; trt_handle(job_receives) h; int i, out; };
trt_async(int, feeds_job)
{
    trt_body {
        trt_channel_init(&self->c, 2);
        self->h = trt_spawn_blocking(job_receives, .c = &self->c);
        for (self->i = 1; self->i <= 100; self->i++)
            trt_await_ok(trt_send(&self->c, &self->i));
        trt_channel_close(&self->c);
        trt_await_ok(trt_join(self->h, &self->out));
        trt_return(self->out);
    }
    trt_cleanup {
        trt_await(trt_stop(self->h));
        trt_channel_free(&self->c);
    }
}

TEST(a_job_may_receive_from_a_channel)
{
    int out = 0;
    CHECK_EQ(trt_run(feeds_job, &out), TRT_OK);
    CHECK_EQ(out, 5050);
}

/* ---- the workers stay free ---- */

struct many_jobs { trt_join_set(parse) set; long i, n; size_t out, sum; };
trt_async(size_t, many_jobs)
{
    trt_body {
        for (self->i = 0; self->i < self->n; self->i++)
            trt_spawn_blocking_in(&self->set, parse, .bytes = 50);
        for (;;) {
            trt_await(trt_join_next(&self->set, &self->out));
            if (trt_status() == TRT_EMPTY)
                break;
            CHECK_EQ(trt_status(), TRT_OK);
            self->sum += self->out;
        }
        trt_return(self->sum);
    }
}

TEST(ten_thousand_jobs)
{
    size_t out = 0;
    long n = ROUNDS(10000);
    CHECK_EQ(trt_run_with((&(trt_config){.workers = 2, .max_blocking_threads = 8}), many_jobs, &out, .n = n), TRT_OK);
    CHECK_EQ(out, n);
}

struct ticks_meanwhile { trt_handle(busy_job) h; atomic_bool running, release; int out, ticks; };
trt_async(int, ticks_meanwhile)
{
    trt_body {
        self->h = trt_spawn_blocking(busy_job, .running = &self->running, .release = &self->release, .value = 5);
        AWAIT_UNTIL(atomic_load(&self->running));
        for (self->ticks = 0; self->ticks < 1000; self->ticks++)
            trt_await(trt_yield());
        CHECK(!trt_is_finished(self->h));
        atomic_store(&self->release, true);
        trt_await_ok(trt_join(self->h, &self->out));
        trt_return(self->out);
    }
    trt_cleanup { atomic_store(&self->release, true); }
}

TEST(a_job_leaves_the_workers_free)
{
    int out = 0;
    CHECK_EQ(trt_run_with(&on_one_thread, ticks_meanwhile, &out), TRT_OK);
    CHECK_EQ(out, 5);
}

/* ---- found in review ---- */

struct joins_itself { trt_any_handle *own; atomic_bool *known; };
trt_blocking_fn(int, joins_itself)
{
    int out = 77;
    WAIT_UNTIL(atomic_load(self->known));
    CHECK_EQ(trt_join_thread(*self->own, &out), TRT_MISUSE);
    CHECK_EQ(out, 77);
    return 5;
}

TEST(a_job_that_joins_itself_is_misuse_and_no_deadlock)
{
    trt_runtime *rt;
    trt_any_handle own;
    atomic_bool known = false;
    int out = 0;
    capture_start();
    CHECK_EQ(trt_runtime_start(&rt, &on_one_worker), TRT_OK);
    trt_handle(joins_itself) h = trt_spawn_blocking_on(rt, joins_itself, .own = &own, .known = &known);
    own = trt_any(h);
    atomic_store(&known, true);
    WAIT_UNTIL(trt_is_finished(h));
    CHECK_EQ(trt_join_thread(h, &out), TRT_OK);
    CHECK_EQ(trt_runtime_free(rt), TRT_OK);
    CHECK_CONTAINS(capture_end(), "cannot join itself");
    CHECK_EQ(out, 5);
}

static atomic_bool *slow_release;
static void *releases_slowly(void *unused)
{
    (void)unused;
    for (int i = 0; i < 10; i++)
        harness_pause();
    atomic_store(slow_release, true);
    return NULL;
}

TEST(a_current_thread_runtime_hears_of_a_job_that_a_thread_waits_for)
{
    trt_runtime *rt;
    CHECK_EQ(trt_runtime_start(&rt, &on_one_thread), TRT_OK);
    for (int i = 0; i < 50; i++) {
        atomic_bool release = false;
        pthread_t thread;
        int out = 0;
        trt_handle(busy_job) h = trt_spawn_blocking_on(rt, busy_job, .release = &release, .value = i);
        slow_release = &release;
        pthread_create(&thread, NULL, releases_slowly, NULL);
        CHECK_EQ(trt_join_thread(h, &out), TRT_OK); /* nothing else wakes the thread that drives */
        CHECK_EQ(out, i);
        pthread_join(thread, NULL);
    }
    CHECK_EQ(trt_runtime_free(rt), TRT_OK);
}

static void leaves_slowly(void *unused)
{
    (void)unused;
    harness_pause();
}

TEST(a_job_submitted_while_the_last_thread_leaves_is_run)
{
    trt_runtime *rt;
    trt_config config = {.workers = 1, .max_blocking_threads = 1, .blocking_keep_alive = trt_us(300), .on_thread_stop = leaves_slowly};
    CHECK_EQ(trt_runtime_start(&rt, &config), TRT_OK);
    for (long i = 0; i < ROUNDS(2000); i++) {
        atomic_bool release = true;
        trt_handle(busy_job) h = trt_spawn_blocking_on(rt, busy_job, .release = &release);
        CHECK_EQ(trt_join_thread(h, NULL), TRT_OK);
        struct timespec gap = {0, 250000 + (i * 7919) % 300000};
        nanosleep(&gap, NULL);
    }
    CHECK_EQ(trt_runtime_free(rt), TRT_OK);
}

/* ---- what one job has seen is not the next one's ---- */

struct sees_a_failure { bool runs; };
trt_blocking_fn(bool, sees_a_failure)
{
    if (self->runs)
        CHECK_EQ(trt_run_with(&on_one_worker, panicking, NULL), TRT_PANICKED);
    return trt_failure() != NULL;
}
struct two_jobs { trt_job(sees_a_failure) job; };
trt_async(int, two_jobs)
{
    trt_body {
        trt_await_ok(trt_blocking(sees_a_failure, &self->job, .runs = true));
        CHECK(self->job.out);
        trt_await_ok(trt_blocking(sees_a_failure, &self->job));
        CHECK(!self->job.out);
        trt_return(6);
    }
}
TEST(a_job_does_not_see_the_failure_of_the_last_one_on_its_thread)
{
    int out = 0;
    capture_start();
    trt_status_code status = trt_run_with((&(trt_config){.workers = 1, .max_blocking_threads = 1}), two_jobs, &out);
    capture_end();
    CHECK_EQ(status, TRT_OK);
    CHECK_EQ(out, 6);
}

int main(int argc, char **argv) { return harness_main(argc, argv); }
