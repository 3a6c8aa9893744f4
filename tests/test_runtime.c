/* Starting, blocking, shutting down, and what is left behind: nothing. */
#include "harness.h"
#define TASKRT_IMPLEMENTATION
#include "../taskrt.h"
#include "common.h"

TEST(run_gives_the_roots_status_and_result)
{
    int out = 77;
    CHECK_EQ(trt_run(now_value, &out, .value = 5), TRT_OK);
    CHECK_EQ(out, 5);
    CHECK_EQ(trt_run(now_value, NULL), TRT_OK);
    CHECK_EQ(trt_run(failing, &out, .status = TRT_LAGGED), TRT_LAGGED);
    CHECK_EQ(out, 5);
    CHECK_EQ(trt_run_with(&on_two_workers, later, &out, .after = trt_us(10), .value = 6), TRT_OK);
    CHECK_EQ(out, 6);
    CHECK_EQ(trt_run_with(NULL, now_value, &out, .value = 7), TRT_OK);
    CHECK_EQ(out, 7);
    CHECK(trt_current() == NULL);
}

struct root_asks { trt_runtime *other; };
trt_async(int, root_asks)
{
    trt_body {
        CHECK(trt_current() != NULL);
        CHECK(trt_current() != self->other);
        CHECK(!trt_cancelled());
    }
}
struct leaves_work { atomic_int *started, *cleaned; };
trt_async(int, leaves_work)
{
    trt_body {
        for (int i = 0; i < 20; i++)
            CHECK_EQ(trt_spawn_detached(forever, .started = self->started, .cleaned = self->cleaned, .linger = trt_us(100)), TRT_OK);
        trt_return(4);
    }
}

TEST(run_shuts_down_what_the_root_left_behind)
{
    atomic_int started = 0, cleaned = 0;
    int out = 0;
    CHECK_EQ(trt_run_with(&on_two_workers, leaves_work, &out, .started = &started, .cleaned = &cleaned), TRT_OK);
    CHECK_EQ(out, 4);
    CHECK_EQ(atomic_load(&cleaned), 20); /* cleanups ran, also of those that never started */
    out = 0;
    CHECK_EQ(trt_run_with(&on_virtual_clock, leaves_work, &out, .started = &started, .cleaned = &cleaned), TRT_OK);
    CHECK_EQ(out, 4);
    CHECK_EQ(atomic_load(&cleaned), 40);
}

TEST(start_block_on_shutdown_free)
{
    trt_runtime *rt = NULL;
    int out = 0;
    CHECK_EQ(trt_runtime_start(&rt, NULL), TRT_OK);
    CHECK(rt != NULL);
    for (int i = 0; i < 100; i++) {
        CHECK_EQ(trt_block_on(rt, later, &out, .after = trt_us(50), .value = i), TRT_OK);
        CHECK_EQ(out, i);
    }
    CHECK_EQ(trt_block_on(rt, failing, &out, .status = TRT_FULL), TRT_FULL);
    CHECK_EQ(trt_block_on(rt, root_asks, NULL), TRT_OK);
    CHECK_EQ(trt_runtime_shutdown(rt, -1), TRT_OK);
    CHECK_EQ(trt_runtime_shutdown(rt, -1), TRT_OK); /* idempotent */
    CHECK_EQ(trt_runtime_shutdown(rt, 0), TRT_OK);
    CHECK_EQ(trt_runtime_free(rt), TRT_OK);
    CHECK_EQ(trt_runtime_free(NULL), TRT_OK); /* a no-op */
}

TEST(free_alone_shuts_down)
{
    trt_runtime *rt;
    atomic_int cleaned = 0;
    for (int i = 0; i < 20; i++) {
        CHECK_EQ(trt_runtime_start(&rt, i % 2 ? &on_two_workers : &on_one_thread), TRT_OK);
        trt_detach(trt_spawn_on(rt, forever, .cleaned = &cleaned));
        CHECK_EQ(trt_runtime_free(rt), TRT_OK);
        CHECK_EQ(atomic_load(&cleaned), i + 1);
    }
}

TEST(a_runtime_that_is_never_used_costs_nothing_to_stop)
{
    trt_runtime *rt;
    for (int i = 0; i < 100; i++) {
        CHECK_EQ(trt_runtime_start(&rt, i % 3 == 0 ? &on_virtual_clock : i % 3 == 1 ? &on_one_thread : &on_four_workers), TRT_OK);
        CHECK_EQ(trt_runtime_free(rt), TRT_OK);
    }
}

TEST(several_runtimes_live_side_by_side)
{
    trt_runtime *rt[5];
    trt_handle(later) h[5][20];
    const trt_config *configs[5] = {&on_one_thread, &on_one_worker, &on_two_workers, &on_four_workers, &on_virtual_clock};
    for (int i = 0; i < 5; i++)
        CHECK_EQ(trt_runtime_start(&rt[i], configs[i]), TRT_OK);
    for (int i = 0; i < 5; i++)
        for (int j = 0; j < 20; j++)
            h[i][j] = trt_spawn_on(rt[i], later, .after = trt_us(10 * j), .value = 100 * i + j);
    for (int i = 4; i >= 0; i--)
        for (int j = 0; j < 20; j++) {
            int out = -1;
            CHECK_EQ(trt_join_thread(h[i][j], &out), TRT_OK);
            CHECK_EQ(out, 100 * i + j);
        }
    for (int i = 0; i < 5; i++) {
        CHECK_EQ(trt_block_on(rt[i], root_asks, NULL, .other = rt[(i + 1) % 5]), TRT_OK);
        CHECK_EQ(trt_runtime_free(rt[i]), TRT_OK);
    }
}

struct joins_abroad { trt_handle(later) h; int out; };
trt_async(int, joins_abroad)
{
    trt_body {
        trt_await_ok(trt_join(self->h, &self->out));
        trt_return(self->out);
    }
}

TEST(a_task_may_join_a_task_of_another_runtime)
{
    trt_runtime *a, *b;
    int out = 0;
    CHECK_EQ(trt_runtime_start(&a, &on_one_worker), TRT_OK);
    CHECK_EQ(trt_runtime_start(&b, &on_one_worker), TRT_OK);
    for (int i = 0; i < 200; i++) {
        trt_handle(later) h = trt_spawn_on(a, later, .after = trt_us(i), .value = i);
        CHECK_EQ(trt_block_on(b, joins_abroad, &out, .h = h), TRT_OK);
        CHECK_EQ(out, i);
    }
    CHECK_EQ(trt_runtime_free(b), TRT_OK);
    CHECK_EQ(trt_runtime_free(a), TRT_OK);
}

/* ---- block_on from several threads ---- */

static trt_runtime *common_rt;
struct adds { int n, sum, i, v; trt_handle(later) h[10]; };
trt_async(int, adds)
{
    trt_body {
        for (self->i = 0; self->i < 10; self->i++)
            self->h[self->i] = trt_spawn(later, .after = trt_us(7 * self->i), .value = self->n);
        for (self->i = 0; self->i < 10; self->i++) {
            trt_await_ok(trt_join(self->h[self->i], &self->v));
            self->sum += self->v;
        }
        trt_return(self->sum);
    }
}
static void *blocks_on(void *n)
{
    for (int i = 0; i < 30; i++) {
        int out = 0;
        CHECK_EQ(trt_block_on(common_rt, adds, &out, .n = *(int *)n), TRT_OK);
        CHECK_EQ(out, 10 * *(int *)n);
    }
    return NULL;
}
static void block_on_threads(const trt_config *config)
{
    pthread_t threads[6];
    int n[6];
    CHECK_EQ(trt_runtime_start(&common_rt, config), TRT_OK);
    for (int i = 0; i < 6; i++) {
        n[i] = i + 1;
        pthread_create(&threads[i], NULL, blocks_on, &n[i]);
    }
    for (int i = 0; i < 6; i++)
        pthread_join(threads[i], NULL);
    CHECK_EQ(trt_runtime_free(common_rt), TRT_OK);
}

TEST(several_threads_may_block_on_one_runtime)
{
    block_on_threads(&on_two_workers);
    block_on_threads(&on_one_thread); /* one drives, the others wait and take over */
    block_on_threads(&on_virtual_clock);
}

/* ---- current_thread ---- */

struct tells_thread { trt_void none; };
trt_async(pthread_t, tells_thread)
{
    trt_body { trt_return(pthread_self()); }
}

TEST(a_current_thread_runtime_runs_tasks_only_while_a_thread_waits)
{
    trt_runtime *rt;
    atomic_int started = 0;
    pthread_t thread;
    CHECK_EQ(trt_runtime_start(&rt, &on_one_thread), TRT_OK);
    trt_handle(forever) f = trt_spawn_on(rt, forever, .started = &started);
    trt_handle(tells_thread) h = trt_spawn_on(rt, tells_thread);
    for (int i = 0; i < 20; i++)
        harness_pause();
    CHECK_EQ(atomic_load(&started), 0);
    CHECK(!trt_is_finished(h));
    CHECK_EQ(trt_join_thread(h, &thread), TRT_OK);
    CHECK(pthread_equal(thread, pthread_self()));
    CHECK_EQ(atomic_load(&started), 1);
    CHECK_EQ(trt_block_on(rt, tells_thread, &thread), TRT_OK);
    CHECK(pthread_equal(thread, pthread_self()));
    trt_abort(f);
    CHECK_EQ(trt_join_thread(f, NULL), TRT_CANCELLED);
    CHECK_EQ(trt_runtime_free(rt), TRT_OK);
}

/* ---- workers ---- */

TEST(workers_are_as_configured)
{
    trt_runtime *rt;
    trt_metrics_info m;
    unsetenv("TASKRT_WORKERS");
    for (size_t n = 1; n <= 8; n++) {
        CHECK_EQ(trt_runtime_start(&rt, &(trt_config){.workers = n}), TRT_OK);
        trt_metrics(rt, &m);
        CHECK_EQ(m.workers, n);
        CHECK_EQ(trt_runtime_free(rt), TRT_OK);
    }
    cpu_set_t set;
    CHECK_EQ(sched_getaffinity(0, sizeof set, &set), 0);
    CHECK_EQ(trt_runtime_start(&rt, NULL), TRT_OK);
    trt_metrics(rt, &m);
    CHECK_EQ(m.workers, CPU_COUNT(&set)); /* those that this process may use */
    CHECK_EQ(trt_runtime_free(rt), TRT_OK);
}

TEST(one_worker_for_each_cpu_that_the_process_may_use)
{
    trt_runtime *rt;
    trt_metrics_info m;
    cpu_set_t all, one;
    unsetenv("TASKRT_WORKERS");
    CHECK_EQ(sched_getaffinity(0, sizeof all, &all), 0);
    CPU_ZERO(&one);
    for (size_t i = 0; i < CPU_SETSIZE; i++)
        if (CPU_ISSET(i, &all)) {
            CPU_SET(i, &one);
            break;
        }
    CHECK_EQ(sched_setaffinity(0, sizeof one, &one), 0);
    CHECK_EQ(trt_runtime_start(&rt, NULL), TRT_OK);
    trt_metrics(rt, &m);
    CHECK_EQ(m.workers, 1);
    CHECK_EQ(trt_runtime_free(rt), TRT_OK);
}

TEST(taskrt_workers_in_the_environment_wins)
{
    trt_runtime *rt;
    trt_metrics_info m;
    setenv("TASKRT_WORKERS", "3", 1);
    CHECK_EQ(trt_runtime_start(&rt, NULL), TRT_OK);
    trt_metrics(rt, &m);
    CHECK_EQ(m.workers, 3);
    CHECK_EQ(trt_runtime_free(rt), TRT_OK);
    CHECK_EQ(trt_runtime_start(&rt, &on_two_workers), TRT_OK);
    trt_metrics(rt, &m);
    CHECK_EQ(m.workers, 3);
    CHECK_EQ(trt_runtime_free(rt), TRT_OK);
    CHECK_EQ(trt_run(now_value, NULL), TRT_OK);
}

static void too_large(const char *name, const char *value)
{
    trt_runtime *rt;
    trt_metrics_info m;
    setenv(name, value, 1);
    capture_start();
    CHECK_EQ(trt_runtime_start(&rt, &on_two_workers), TRT_OK);
    const char *text = capture_end();
    unsetenv(name);
    CHECK_CONTAINS(text, name);
    CHECK_CONTAINS(text, "ignored");
    trt_metrics(rt, &m);
    CHECK_EQ(m.workers, 2);
    CHECK_EQ(rt->config.stall_after, trt_s(1));
    CHECK_EQ(trt_runtime_free(rt), TRT_OK);
}

TEST(what_is_too_large_in_the_environment_is_reported_and_ignored)
{
    too_large("TASKRT_WORKERS", "2305843009213693952"); /* times eight it is nothing */
    too_large("TASKRT_WORKERS", "32769");
    too_large("TASKRT_WORKERS", "99999999999999999999");
    too_large("TASKRT_STALL_MS", "9223372036855");
    too_large("TASKRT_STALL_MS", "9223372036854775807");
    too_large("TASKRT_STALL_MS", "-1");
    trt_runtime *rt;
    setenv("TASKRT_STALL_MS", "9223372036854", 1);
    CHECK_EQ(trt_runtime_start(&rt, &on_two_workers), TRT_OK);
    CHECK_EQ(rt->config.stall_after, INT64_C(9223372036854000000));
    CHECK_EQ(trt_runtime_free(rt), TRT_OK);
}

TEST(too_many_workers_are_misuse)
{
    trt_runtime *rt = (trt_runtime *)(void *)&rt;
    capture_start();
    CHECK_EQ(trt_runtime_start(&rt, &(trt_config){.workers = SIZE_MAX / sizeof(void *) + 1}), TRT_MISUSE);
    CHECK(rt == NULL);
    CHECK_EQ(trt_runtime_start(&rt, &(trt_config){.workers = 32769}), TRT_MISUSE);
    CHECK_CONTAINS(capture_end(), "32,768");
    CHECK_EQ(trt_runtime_start(&rt, &(trt_config){.workers = SIZE_MAX, .current_thread = true}), TRT_OK);
    CHECK_EQ(trt_runtime_free(rt), TRT_OK);
}

/* ---- hooks ---- */

struct hook_counts { atomic_int starts, stops; };
static void on_start(void *user) { atomic_fetch_add(&((struct hook_counts *)user)->starts, 1); }
static void on_stop(void *user) { atomic_fetch_add(&((struct hook_counts *)user)->stops, 1); }

TEST(thread_hooks_pair_up)
{
    trt_runtime *rt;
    struct hook_counts counts = {0};
    trt_config config = {.workers = 3, .on_thread_start = on_start, .on_thread_stop = on_stop, .user = &counts};
    CHECK_EQ(trt_runtime_start(&rt, &config), TRT_OK);
    WAIT_UNTIL(atomic_load(&counts.starts) >= 3);
    CHECK_EQ(trt_block_on(rt, later, NULL, .after = trt_us(10)), TRT_OK);
    atomic_bool release = true;
    trt_handle(busy_job) h = trt_spawn_blocking_on(rt, busy_job, .release = &release);
    CHECK_EQ(trt_join_thread(h, NULL), TRT_OK);
    CHECK(atomic_load(&counts.starts) >= 4); /* blocking threads too */
    CHECK_EQ(atomic_load(&counts.stops), 0);
    CHECK_EQ(trt_runtime_free(rt), TRT_OK);
    CHECK_EQ(atomic_load(&counts.stops), atomic_load(&counts.starts));
}

/* ---- shutdown ---- */

struct child_of { atomic_int *started, *cleaned; trt_frame(forever) child; trt_mutex *m; trt_guard g; int how; trt_join_set(forever) set; trt_semaphore *s; trt_permit p; };
trt_async(int, child_of)
{
    trt_body {
        if (self->how == 0)
            trt_await(trt_call(forever, &self->child, .started = self->started));
        else if (self->how == 1) {
            trt_fork(forever, NULL, .started = self->started);
            trt_fork(forever, NULL, .started = self->started);
            trt_await(trt_sync());
        } else if (self->how == 2)
            trt_await(trt_lock(self->m, &self->g));
        else if (self->how == 3)
            trt_await(trt_acquire(self->s, &self->p));
        else if (self->how == 4) {
            trt_spawn_in(&self->set, forever, .started = self->started);
            trt_await(trt_join_next(&self->set, NULL));
            trt_await(trt_sleep_until(INT64_MAX)); /* the member may be cancelled first */
        } else if (self->how == 5)
            trt_await_any(trt_call(forever, &self->child, .started = self->started), trt_sleep_until(INT64_MAX));
        else if (self->how == 6)
            trt_await(trt_within(trt_s(1000), trt_call(forever, &self->child, .started = self->started)));
        else
            for (;;)
                trt_await(trt_yield());
    }
    trt_cleanup {
        CHECK_EQ(trt_status(), TRT_CANCELLED);
        trt_await(trt_sleep(trt_us(50)));
        trt_await(trt_yield());
        trt_unlock(&self->g);
        trt_release(&self->p);
        atomic_fetch_add(self->cleaned, 1);
    }
}

static void shutdown_in_every_state(const trt_config *config, int pause)
{
    enum { TASKS = 80 };
    static trt_mutex mutex;
    static trt_semaphore semaphore;
    trt_runtime *rt;
    atomic_int started = 0, cleaned = 0;
    atomic_bool release = true;
    trt_handle(child_of) h[TASKS];
    trt_handle(now_value) done;
    trt_guard guard = {0};
    int out = 0;
    CHECK(trt_try_lock(&mutex, &guard));
    CHECK_EQ(trt_semaphore_init(&semaphore, 0), TRT_OK);
    CHECK_EQ(trt_runtime_start(&rt, config), TRT_OK);
    done = trt_spawn_on(rt, now_value, .value = 3);
    if (!config->current_thread)
        WAIT_UNTIL(trt_is_finished(done));
    for (int i = 0; i < TASKS; i++)
        h[i] = trt_spawn_on(rt, child_of, .how = i % 8, .started = &started, .cleaned = &cleaned, .m = &mutex, .s = &semaphore);
    trt_handle(busy_job) job = trt_spawn_blocking_on(rt, busy_job, .release = &release, .value = 4);
    for (int i = 0; i < pause; i++)
        harness_pause();
    CHECK_EQ(trt_runtime_shutdown(rt, -1), TRT_OK);
    CHECK_EQ(atomic_load(&cleaned), TASKS);
    for (int i = 0; i < TASKS; i++) {
        CHECK(trt_is_finished(h[i]));
        CHECK_EQ(trt_join_thread(h[i], NULL), TRT_CANCELLED);
    }
    trt_status_code status = trt_join_thread(done, &out);
    if (config->current_thread)
        CHECK(status == TRT_OK || status == TRT_CANCELLED);
    else {
        CHECK_EQ(status, TRT_OK); /* what had finished keeps its result */
        CHECK_EQ(out, 3);
    }
    status = trt_join_thread(job, &out);
    CHECK((status == TRT_OK && out == 4) || status == TRT_CANCELLED);
    CHECK_EQ(trt_runtime_free(rt), TRT_OK);
    trt_unlock(&guard);
}

TEST(shutdown_cancels_tasks_in_every_state_and_runs_their_cleanups)
{
    for (int i = 0; i < 20; i++) {
        shutdown_in_every_state(&on_two_workers, i % 4);
        shutdown_in_every_state(&on_four_workers, i % 3);
        shutdown_in_every_state(&on_one_worker, i % 3);
    }
    shutdown_in_every_state(&on_one_thread, 0);
}

struct never_ends { atomic_int *in_cleanup; };
trt_async(int, never_ends)
{
    trt_body { trt_await(trt_sleep_until(INT64_MAX)); }
    trt_cleanup {
        atomic_fetch_add(self->in_cleanup, 1);
        trt_await(trt_sleep_until(INT64_MAX));
        letter('x');
    }
}

TEST(shutdown_gives_up_cleanups_that_outlast_the_timeout)
{
    trt_runtime *rt;
    atomic_int in_cleanup = 0;
    CHECK_EQ(trt_runtime_start(&rt, &on_two_workers), TRT_OK);
    for (int i = 0; i < 10; i++)
        trt_detach(trt_spawn_on(rt, never_ends, .in_cleanup = &in_cleanup));
    trt_instant start = trt_now();
    CHECK_EQ(trt_runtime_shutdown(rt, ENOUGH_MS(30)), TRT_TIMED_OUT);
    CHECK(trt_now() - start >= ENOUGH_MS(30));
    CHECK_EQ(atomic_load(&in_cleanup), 10);
    CHECK_EQ(trt_runtime_free(rt), TRT_OK);
    CHECK_STR(letters, "");
}

TEST(a_job_may_outlive_the_timeout_and_free_waits_for_it)
{
    trt_runtime *rt;
    atomic_bool running = false, release = false;
    CHECK_EQ(trt_runtime_start(&rt, &on_one_worker), TRT_OK);
    trt_handle(busy_job) h = trt_spawn_blocking_on(rt, busy_job, .running = &running, .release = &release, .value = 6);
    WAIT_UNTIL(atomic_load(&running));
    CHECK_EQ(trt_runtime_shutdown(rt, trt_ms(10)), TRT_TIMED_OUT);
    CHECK(!trt_is_finished(h));
    atomic_store(&release, true);
    CHECK_EQ(trt_runtime_free(rt), TRT_OK);
}

static void *releases_later(void *release)
{
    for (int i = 0; i < 100; i++)
        harness_pause();
    atomic_store((atomic_bool *)release, true);
    return NULL;
}

TEST(free_waits_for_started_jobs_without_limit)
{
    trt_runtime *rt;
    pthread_t thread;
    atomic_bool running = false, release = false;
    CHECK_EQ(trt_runtime_start(&rt, &on_one_worker), TRT_OK);
    trt_detach(trt_spawn_blocking_on(rt, busy_job, .running = &running, .release = &release));
    WAIT_UNTIL(atomic_load(&running));
    CHECK_EQ(trt_runtime_shutdown(rt, 0), TRT_TIMED_OUT);
    pthread_create(&thread, NULL, releases_later, &release);
    CHECK_EQ(trt_runtime_free(rt), TRT_OK);
    CHECK(atomic_load(&release));
    pthread_join(thread, NULL);
}

TEST(shutdown_waits_for_started_jobs_and_cancels_queued_ones)
{
    trt_runtime *rt;
    pthread_t thread;
    atomic_bool running = false, release = false, ran = false;
    int out = 0;
    CHECK_EQ(trt_runtime_start(&rt, &(trt_config){.workers = 1, .max_blocking_threads = 1}), TRT_OK);
    trt_handle(busy_job) first = trt_spawn_blocking_on(rt, busy_job, .running = &running, .release = &release, .value = 8);
    WAIT_UNTIL(atomic_load(&running));
    trt_handle(busy_job) second = trt_spawn_blocking_on(rt, busy_job, .running = &ran, .release = &release);
    pthread_create(&thread, NULL, releases_later, &release);
    CHECK_EQ(trt_runtime_shutdown(rt, -1), TRT_OK);
    CHECK(atomic_load(&release));
    CHECK_EQ(trt_join_thread(first, &out), TRT_OK);
    CHECK_EQ(out, 8);
    CHECK_EQ(trt_join_thread(second, &out), TRT_CANCELLED);
    CHECK(!atomic_load(&ran));
    pthread_join(thread, NULL);
    CHECK_EQ(trt_runtime_free(rt), TRT_OK);
}

/* The thread that has run it is idle, and has not left yet. */
TEST(shutdown_without_patience_is_done_if_all_jobs_are_over)
{
    for (int i = 0; i < 20; i++) {
        trt_runtime *rt;
        int out = 0;
        atomic_bool release = true;
        CHECK_EQ(trt_runtime_start(&rt, i % 2 ? &on_one_thread : &on_one_worker), TRT_OK);
        trt_handle(busy_job) h = trt_spawn_blocking_on(rt, busy_job, .release = &release, .value = 5);
        CHECK_EQ(trt_join_thread(h, &out), TRT_OK);
        CHECK_EQ(out, 5);
        CHECK_EQ(trt_runtime_shutdown(rt, 0), TRT_OK);
        CHECK_EQ(trt_runtime_free(rt), TRT_OK);
    }
}

TEST(spawning_after_shutdown_gives_cancelled)
{
    trt_runtime *rt;
    atomic_int started = 0, cleaned = 0;
    int out = 77;
    CHECK_EQ(trt_runtime_start(&rt, &on_two_workers), TRT_OK);
    CHECK_EQ(trt_runtime_shutdown(rt, -1), TRT_OK);
    trt_handle(forever) h = trt_spawn_on(rt, forever, .started = &started, .cleaned = &cleaned);
    CHECK(!trt_spawned(h));
    CHECK_EQ(trt_join_thread(h, &out), TRT_CANCELLED);
    CHECK_EQ(out, 77);
    trt_handle(busy_job) b = trt_spawn_blocking_on(rt, busy_job);
    CHECK(!trt_spawned(b));
    CHECK_EQ(trt_join_thread(b, &out), TRT_CANCELLED);
    CHECK_EQ(trt_block_on(rt, now_value, &out), TRT_CANCELLED);
    CHECK_EQ(out, 77);
    CHECK_EQ(atomic_load(&started) + atomic_load(&cleaned), 0); /* no cleanup for what was never made */
    CHECK_EQ(trt_runtime_free(rt), TRT_OK);
}

struct shuts_down_from_inside { trt_duration timeout; int *steps; };
trt_async(int, shuts_down_from_inside)
{
    trt_body {
        ++*self->steps;
        (void)trt_runtime_shutdown(trt_current(), self->timeout); /* returns, whatever it says */
        ++*self->steps;
        trt_await(trt_sleep_until(INT64_MAX));
    }
    trt_cleanup { ++*self->steps; }
}

TEST(shutdown_from_inside_a_task_does_not_deadlock)
{
    trt_runtime *rt;
    int steps = 0;
    const trt_duration timeouts[] = {0, trt_ms(5)};
    capture_start();
    for (int i = 0; i < 2; i++) {
        steps = 0;
        CHECK_EQ(trt_runtime_start(&rt, &on_one_worker), TRT_OK);
        trt_handle(shuts_down_from_inside) h = trt_spawn_on(rt, shuts_down_from_inside, .timeout = timeouts[i], .steps = &steps);
        trt_detach(h);
        WAIT_UNTIL(trt_is_finished(h)); /* what it began has aborted it too */
        CHECK_EQ(trt_runtime_free(rt), TRT_OK);
        CHECK_EQ(steps, 3);
    }
    capture_end();
}

struct frees_from_inside { trt_status_code *status; };
trt_async(int, frees_from_inside)
{
    trt_body {
        *self->status = trt_runtime_free(trt_current());
        trt_return(5);
    }
}

TEST(free_from_inside_a_task_is_misuse)
{
    int out = 0;
    trt_status_code status = TRT_OK;
    capture_start();
    CHECK_EQ(trt_run(frees_from_inside, &out, .status = &status), TRT_OK);
    const char *text = capture_end();
    CHECK_EQ(status, TRT_MISUSE);
    CHECK_EQ(out, 5);
    CHECK(strlen(text) > 0);
}

struct spawner { atomic_int *made, *cleaned; trt_handle(forever) h; };
trt_async(int, spawner)
{
    trt_body {
        for (;;) {
            self->h = trt_spawn(forever, .cleaned = self->cleaned);
            if (!trt_spawned(self->h))
                break;
            trt_detach(self->h);
            atomic_fetch_add(self->made, 1);
            trt_await(trt_yield());
        }
    }
}
static struct { trt_runtime *rt; atomic_int made, cleaned; atomic_bool stop; } shared;
static void *spawns_from_outside(void *unused)
{
    (void)unused;
    while (!atomic_load(&shared.stop)) {
        trt_handle(forever) h = trt_spawn_on(shared.rt, forever, .cleaned = &shared.cleaned);
        if (trt_spawned(h))
            atomic_fetch_add(&shared.made, 1);
        trt_detach(h);
    }
    return NULL;
}

TEST(shutdown_with_spawners_that_never_stop)
{
    for (int round = 0; round < 30; round++) {
        pthread_t thread;
        atomic_store(&shared.made, 0);
        atomic_store(&shared.cleaned, 0);
        atomic_store(&shared.stop, false);
        CHECK_EQ(trt_runtime_start(&shared.rt, &on_two_workers), TRT_OK);
        for (int i = 0; i < 3; i++)
            trt_detach(trt_spawn_on(shared.rt, spawner, .made = &shared.made, .cleaned = &shared.cleaned));
        pthread_create(&thread, NULL, spawns_from_outside, NULL);
        for (int i = 0; i < round % 5; i++)
            harness_pause();
        CHECK_EQ(trt_runtime_shutdown(shared.rt, -1), TRT_OK);
        atomic_store(&shared.stop, true);
        pthread_join(thread, NULL);
        CHECK_EQ(atomic_load(&shared.made), atomic_load(&shared.cleaned)); /* every task that was made cleaned up, once */
        CHECK_EQ(trt_runtime_free(shared.rt), TRT_OK);
    }
}

static void *shuts_down(void *rt)
{
    CHECK_EQ(trt_runtime_shutdown((trt_runtime *)rt, -1), TRT_OK);
    return NULL;
}

TEST(two_threads_may_shut_down_at_once)
{
    for (int round = 0; round < 20; round++) {
        trt_runtime *rt;
        pthread_t threads[2];
        atomic_int cleaned = 0;
        CHECK_EQ(trt_runtime_start(&rt, &on_two_workers), TRT_OK);
        for (int i = 0; i < 20; i++)
            trt_detach(trt_spawn_on(rt, forever, .cleaned = &cleaned, .linger = trt_us(100)));
        for (int i = 0; i < 2; i++)
            pthread_create(&threads[i], NULL, shuts_down, rt);
        for (int i = 0; i < 2; i++)
            pthread_join(threads[i], NULL);
        CHECK_EQ(atomic_load(&cleaned), 20);
        CHECK_EQ(trt_runtime_free(rt), TRT_OK);
    }
}

static void *joins_in_thread(void *handle)
{
    CHECK_EQ(trt_join_thread(*(trt_handle(forever) *)handle, NULL), TRT_CANCELLED);
    return NULL;
}
static void *blocks_in_thread(void *rt)
{
    CHECK_EQ(trt_block_on((trt_runtime *)rt, forever, NULL), TRT_CANCELLED);
    return NULL;
}

TEST(shutdown_ends_threads_that_wait_for_tasks)
{
    for (int round = 0; round < 20; round++) {
        trt_runtime *rt;
        pthread_t a, b;
        CHECK_EQ(trt_runtime_start(&rt, &on_two_workers), TRT_OK);
        trt_handle(forever) h = trt_spawn_on(rt, forever);
        pthread_create(&a, NULL, joins_in_thread, &h);
        pthread_create(&b, NULL, blocks_in_thread, rt);
        for (int i = 0; i < round % 4; i++)
            harness_pause();
        CHECK_EQ(trt_runtime_shutdown(rt, -1), TRT_OK);
        pthread_join(a, NULL);
        pthread_join(b, NULL);
        CHECK_EQ(trt_runtime_free(rt), TRT_OK);
    }
}

struct shutdown_job { trt_void none; };
trt_blocking_fn(int, shutdown_job)
{
    (void)trt_runtime_shutdown(trt_current(), 0);
    return 3;
}

TEST(shutdown_from_a_blocking_job_does_not_deadlock)
{
    trt_runtime *rt;
    CHECK_EQ(trt_runtime_start(&rt, &on_one_worker), TRT_OK);
    trt_handle(shutdown_job) h = trt_spawn_blocking_on(rt, shutdown_job);
    capture_start();
    trt_status_code status = trt_join_thread(h, NULL);
    capture_end();
    CHECK(status == TRT_OK || status == TRT_CANCELLED);
    CHECK_EQ(trt_runtime_free(rt), TRT_OK);
}

/* ---- blocking a worker ---- */

struct raises { atomic_bool *flag; trt_duration after; };
trt_async(int, raises)
{
    trt_body {
        if (self->after)
            trt_await(trt_sleep(self->after));
        atomic_store(self->flag, true);
    }
}
/* A task that keeps its worker until the flag is up: the mistake that must not freeze the others. */
struct blocks_worker { atomic_bool *running, *flag; bool spawns; };
trt_async(int, blocks_worker)
{
    trt_body {
        if (self->spawns)
            CHECK_EQ(trt_spawn_detached(raises, .flag = self->flag), TRT_OK);
        atomic_store(self->running, true);
        while (!atomic_load(self->flag))
            harness_pause();
    }
}

TEST(a_blocked_worker_freezes_no_timers)
{
    trt_runtime *rt;
    atomic_bool running = false, flag = false;
    CHECK_EQ(trt_runtime_start(&rt, &on_two_workers), TRT_OK);
    trt_handle(blocks_worker) h = trt_spawn_on(rt, blocks_worker, .running = &running, .flag = &flag);
    WAIT_UNTIL(atomic_load(&running));
    trt_handle(raises) r = trt_spawn_on(rt, raises, .flag = &flag, .after = trt_ms(5));
    CHECK_EQ(trt_join_thread(h, NULL), TRT_OK);
    CHECK_EQ(trt_join_thread(r, NULL), TRT_OK);
    CHECK_EQ(trt_runtime_free(rt), TRT_OK);
}

struct sleeps_then_blocks { atomic_bool *running, *flag; };
trt_async(int, sleeps_then_blocks)
{
    trt_body {
        /* its timer, and that of the other, sit in this worker's wheel */
        CHECK_EQ(trt_spawn_detached(raises, .flag = self->flag, .after = trt_ms(20)), TRT_OK);
        trt_await(trt_sleep(trt_ms(5)));
        atomic_store(self->running, true);
        while (!atomic_load(self->flag))
            harness_pause();
    }
}

TEST(timers_of_a_blocked_worker_fire)
{
    trt_runtime *rt;
    atomic_bool running = false, flag = false;
    for (int i = 0; i < 10; i++) {
        atomic_store(&flag, false);
        CHECK_EQ(trt_runtime_start(&rt, &on_two_workers), TRT_OK);
        trt_handle(sleeps_then_blocks) h = trt_spawn_on(rt, sleeps_then_blocks, .running = &running, .flag = &flag);
        CHECK_EQ(trt_join_thread(h, NULL), TRT_OK);
        CHECK_EQ(trt_runtime_free(rt), TRT_OK);
    }
}

TEST(the_task_in_the_lifo_slot_of_a_blocked_worker_runs_elsewhere)
{
    trt_runtime *rt;
    for (int i = 0; i < 10; i++) {
        atomic_bool running = false, flag = false;
        CHECK_EQ(trt_runtime_start(&rt, &on_two_workers), TRT_OK);
        trt_handle(blocks_worker) h = trt_spawn_on(rt, blocks_worker, .running = &running, .flag = &flag, .spawns = true);
        CHECK_EQ(trt_join_thread(h, NULL), TRT_OK);
        CHECK_EQ(trt_runtime_free(rt), TRT_OK);
    }
}

struct waits_pipe { int fd; atomic_bool *flag; };
trt_async(int, waits_pipe)
{
    trt_body {
        trt_await(trt_readable(self->fd));
        atomic_store(self->flag, true);
    }
}

TEST(a_blocked_worker_freezes_no_fds)
{
    trt_runtime *rt;
    for (int i = 0; i < 10; i++) {
        int fd[2];
        atomic_bool running = false, flag = false;
        CHECK_EQ(pipe(fd), 0);
        CHECK_EQ(trt_runtime_start(&rt, &on_two_workers), TRT_OK);
        trt_handle(waits_pipe) p = trt_spawn_on(rt, waits_pipe, .fd = fd[0], .flag = &flag);
        trt_handle(blocks_worker) h = trt_spawn_on(rt, blocks_worker, .running = &running, .flag = &flag);
        WAIT_UNTIL(atomic_load(&running));
        CHECK_EQ(write(fd[1], "x", 1), 1);
        CHECK_EQ(trt_join_thread(h, NULL), TRT_OK);
        CHECK_EQ(trt_join_thread(p, NULL), TRT_OK);
        CHECK_EQ(trt_runtime_free(rt), TRT_OK);
        close(fd[0]);
        close(fd[1]);
    }
}

TEST(tasks_queued_behind_a_blocked_worker_run_elsewhere)
{
    trt_runtime *rt;
    atomic_bool running[3], flag = false;
    trt_handle(blocks_worker) h[3];
    CHECK_EQ(trt_runtime_start(&rt, &on_four_workers), TRT_OK);
    for (int i = 0; i < 3; i++) {
        atomic_store(&running[i], false);
        h[i] = trt_spawn_on(rt, blocks_worker, .running = &running[i], .flag = &flag);
        WAIT_UNTIL(atomic_load(&running[i]));
    }
    for (int i = 0; i < 500; i++) {
        int out;
        trt_handle(later) l = trt_spawn_on(rt, later, .after = i % 10 ? 0 : trt_us(100), .value = i);
        CHECK_EQ(trt_join_thread(l, &out), TRT_OK);
        CHECK_EQ(out, i);
    }
    atomic_store(&flag, true);
    for (int i = 0; i < 3; i++)
        CHECK_EQ(trt_join_thread(h[i], NULL), TRT_OK);
    CHECK_EQ(trt_runtime_free(rt), TRT_OK);
}

/* ---- many ---- */

struct waits_gate { trt_semaphore *gate; trt_permit p; atomic_long *alive; };
trt_async(int, waits_gate)
{
    trt_body {
        atomic_fetch_add(self->alive, 1);
        trt_await_ok(trt_acquire(self->gate, &self->p));
        trt_return(1);
    }
    trt_cleanup { trt_release(&self->p); }
}
struct million { trt_semaphore gate; trt_join_set(waits_gate) set; long i, n, sum; int out; atomic_long alive; };
trt_async(long, million)
{
    trt_body {
        trt_semaphore_init(&self->gate, 0);
        for (self->i = 0; self->i < self->n; self->i++)
            trt_spawn_in(&self->set, waits_gate, .gate = &self->gate, .alive = &self->alive);
        AWAIT_UNTIL(atomic_load(&self->alive) == self->n);
        CHECK_EQ(trt_set_len(&self->set), self->n);
        CHECK_EQ(trt_add_permits(&self->gate, 2), TRT_OK);
        for (self->i = 0; self->i < self->n; self->i++) {
            trt_await(trt_join_next(&self->set, &self->out));
            if (trt_status() == TRT_OK)
                self->sum += self->out;
        }
        trt_return(self->sum);
    }
}

TEST_WITHIN(60, a_million_tasks_alive_at_once_on_two_workers)
{
    long out = 0, n = ROUNDS(1000000);
    CHECK_EQ(trt_run_with(&on_two_workers, million, &out, .n = n), TRT_OK);
    CHECK_EQ(out, n);
}

TEST_WITHIN(60, a_million_sleeping_tasks_are_shut_down)
{
    trt_runtime *rt;
    atomic_int cleaned = 0;
    long n = ROUNDS(1000000);
    CHECK_EQ(trt_runtime_start(&rt, &on_two_workers), TRT_OK);
    for (long i = 0; i < n; i++)
        trt_detach(trt_spawn_on(rt, forever, .cleaned = &cleaned));
    CHECK_EQ(trt_runtime_shutdown(rt, -1), TRT_OK);
    CHECK_EQ(atomic_load(&cleaned), n);
    CHECK_EQ(trt_runtime_free(rt), TRT_OK);
}

/* ---- found in review ---- */

/* A cleanup that is given up while it waits for its forks, or in a group. */
struct given_up { int how; atomic_int *in_cleanup; trt_frame(never_ends) child; };
trt_async(int, given_up)
{
    trt_body { trt_await(trt_sleep_until(INT64_MAX)); }
    trt_cleanup {
        atomic_fetch_add(self->in_cleanup, 1);
        if (self->how == 0) {
            trt_fork(never_ends, NULL, .in_cleanup = self->in_cleanup);
            trt_fork(forever, NULL);
            trt_await(trt_sync());
        } else if (self->how == 1)
            trt_await_any(trt_call(never_ends, &self->child, .in_cleanup = self->in_cleanup), trt_sleep_until(INT64_MAX));
        else
            trt_await(trt_within(trt_s(1000), trt_call(never_ends, &self->child, .in_cleanup = self->in_cleanup)));
    }
}

TEST(what_is_given_up_in_a_sync_or_a_group_is_freed)
{
    for (int how = 0; how < 3; how++)
        for (int config = 0; config < 2; config++) {
            trt_runtime *rt;
            atomic_int in_cleanup = 0;
            CHECK_EQ(trt_runtime_start(&rt, config ? &on_two_workers : &on_one_worker), TRT_OK);
            for (int i = 0; i < 5; i++)
                trt_detach(trt_spawn_on(rt, given_up, .how = how, .in_cleanup = &in_cleanup));
            CHECK_EQ(trt_runtime_shutdown(rt, ENOUGH_MS(20)), TRT_TIMED_OUT);
            CHECK(atomic_load(&in_cleanup) >= 5);
            CHECK_EQ(trt_runtime_free(rt), TRT_OK);
        }
}

typedef trt_channel(int) ints;

/* What is given up is served no longer: what it waits for is for those who can still use it. */
struct waits_on {
    atomic_int *turn;
    int mine, how;
    trt_semaphore *semaphore;
    trt_mutex *mutex;
    trt_notify *notify;
    ints *channel;
    trt_permit permit;
    trt_guard guard;
    int message;
};
trt_async(int, waits_on)
{
    trt_body { trt_await(trt_sleep_until(INT64_MAX)); }
    trt_cleanup {
        AWAIT_UNTIL(atomic_load(self->turn) == self->mine);
        atomic_fetch_add(self->turn, 1);
        if (self->how == 0)
            trt_await(trt_lock(self->mutex, &self->guard));
        else if (self->how == 1)
            trt_await(trt_recv(self->channel, &self->message));
        else if (self->how == 2)
            trt_await(trt_within(trt_s(100000), trt_notified(self->notify)));
        else
            trt_await(trt_acquire_many(self->semaphore, (size_t)self->how - 2, &self->permit));
        trt_unlock(&self->guard);
        trt_release(&self->permit);
    }
}

/* Who has notified what was given up may free the notify before the runtime. */
struct waits_in_cleanup { trt_notify *notify; atomic_bool *waits; bool in_group; };
trt_async(int, waits_in_cleanup)
{
    trt_body { trt_await(trt_sleep_until(INT64_MAX)); }
    trt_cleanup {
        atomic_store(self->waits, true);
        if (self->in_group)
            trt_await_any(trt_notified(self->notify), trt_sleep(trt_s(100000)));
        else
            trt_await(trt_notified(self->notify));
    }
}

TEST(what_is_given_up_is_not_in_objects_that_have_let_go_of_it)
{
    for (int i = 0; i < 2; i++) {
        trt_runtime *rt;
        atomic_bool waits = false;
        trt_notify *notify = calloc(1, sizeof *notify);
        CHECK_EQ(trt_runtime_start(&rt, &on_one_worker), TRT_OK);
        trt_detach(trt_spawn_on(rt, waits_in_cleanup, .notify = notify, .waits = &waits, .in_group = i == 1));
        CHECK_EQ(trt_runtime_shutdown(rt, ENOUGH_MS(20)), TRT_TIMED_OUT);
        CHECK(waits);
        trt_notify_all(notify);
        free(notify);
        CHECK_EQ(trt_runtime_free(rt), TRT_OK);
    }
}

TEST(what_is_given_up_takes_nothing_from_the_others)
{
    trt_runtime *rt;
    trt_mutex mutex = {0};
    trt_notify notify = {0};
    trt_guard guard;
    ints channel;
    int message = 0;
    atomic_int turn = 0;
    CHECK_EQ(trt_runtime_start(&rt, &on_one_worker), TRT_OK);
    CHECK_EQ(trt_channel_init(&channel, 1), TRT_OK);
    CHECK(trt_try_lock(&mutex, &guard));
    for (int i = 0; i < 3; i++)
        trt_detach(trt_spawn_on(rt, waits_on, .turn = &turn, .mine = i, .how = i, .mutex = &mutex,
                                .channel = &channel, .notify = &notify));
    CHECK_EQ(trt_runtime_shutdown(rt, ENOUGH_MS(20)), TRT_TIMED_OUT);
    CHECK_EQ(atomic_load(&turn), 3);
    trt_unlock(&guard);
    CHECK(trt_try_lock(&mutex, &guard));
    CHECK_EQ(trt_try_send(&channel, &(int){7}), TRT_OK);
    CHECK_EQ(trt_try_recv(&channel, &message), TRT_OK);
    CHECK_EQ(message, 7);
    trt_notify_one(&notify);
    CHECK_EQ(trt_runtime_free(rt), TRT_OK);
    CHECK_EQ(notify.word_, TRT_NOTIFY_PERMIT_);
    trt_channel_free(&channel);
}

TEST(a_free_passes_permits_to_nobody_who_was_given_up)
{
    trt_runtime *rt;
    trt_semaphore semaphore;
    trt_permit permit;
    atomic_int turn = 0;
    CHECK_EQ(trt_runtime_start(&rt, &on_one_worker), TRT_OK);
    CHECK_EQ(trt_semaphore_init(&semaphore, 2), TRT_OK);
    CHECK(trt_try_acquire(&semaphore, &permit));
    for (int i = 0; i < 2; i++) /* two permits are asked for first; for the second, one would do */
        trt_detach(trt_spawn_on(rt, waits_on, .turn = &turn, .mine = i, .how = 4 - i,
                                .semaphore = &semaphore));
    CHECK_EQ(trt_runtime_shutdown(rt, ENOUGH_MS(20)), TRT_TIMED_OUT);
    CHECK_EQ(atomic_load(&turn), 2);
    CHECK_EQ(trt_runtime_free(rt), TRT_OK);
    CHECK_EQ(trt_available_permits(&semaphore), 1);
}

/* Holds a lock, and in one long poll gives back and hands out what those wait for who were given up meanwhile. */
struct hands_out_late {
    atomic_int *turn;
    atomic_bool *stuck, *go, *over;
    trt_semaphore *semaphore;
    trt_mutex *mutex;
    trt_notify *notify;
    ints *channel;
    trt_guard guard;
};
trt_async(int, hands_out_late)
{
    trt_body {
        trt_await(trt_lock(self->mutex, &self->guard));
        AWAIT_UNTIL(atomic_load(self->turn) == 4);
        atomic_store(self->stuck, true);
        WAIT_UNTIL(atomic_load(self->go));
        trt_unlock(&self->guard);
        CHECK_EQ(trt_try_send(self->channel, &(int){7}), TRT_OK);
        trt_notify_one(self->notify);
        CHECK_EQ(trt_add_permits(self->semaphore, 1), TRT_OK);
        atomic_store(self->over, true);
    }
}

TEST(what_is_given_up_takes_nothing_from_a_poll_that_ends_late)
{
    trt_runtime *rt;
    trt_mutex mutex = {0};
    trt_notify notify = {0};
    trt_semaphore semaphore;
    trt_permit permit;
    trt_guard guard;
    ints channel;
    int message = 0;
    atomic_int turn = 0;
    atomic_bool stuck = false, go = false, over = false;
    CHECK_EQ(trt_runtime_start(&rt, &on_one_worker), TRT_OK);
    CHECK_EQ(trt_channel_init(&channel, 1), TRT_OK);
    CHECK_EQ(trt_semaphore_init(&semaphore, 0), TRT_OK);
    trt_detach(trt_spawn_on(rt, hands_out_late, .turn = &turn, .stuck = &stuck, .go = &go, .over = &over, .mutex = &mutex,
                            .channel = &channel, .notify = &notify, .semaphore = &semaphore));
    for (int i = 0; i < 4; i++) {
        trt_handle(waits_on) h = trt_spawn_on(rt, waits_on, .turn = &turn, .mine = i, .how = i, .mutex = &mutex,
                                              .channel = &channel, .notify = &notify, .semaphore = &semaphore);
        trt_abort(h);
        trt_detach(h);
    }
    WAIT_UNTIL(atomic_load(&stuck));
    CHECK_EQ(trt_runtime_shutdown(rt, ENOUGH_MS(5)), TRT_TIMED_OUT);
    atomic_store(&go, true);
    WAIT_UNTIL(atomic_load(&over));
    CHECK(trt_try_lock(&mutex, &guard));
    CHECK(trt_try_acquire(&semaphore, &permit));
    CHECK_EQ(trt_try_recv(&channel, &message), TRT_OK);
    CHECK_EQ(message, 7);
    CHECK_EQ(notify.word_, TRT_NOTIFY_PERMIT_);
    CHECK_EQ(trt_runtime_free(rt), TRT_OK);
    trt_channel_free(&channel);
}

struct holds_back { trt_semaphore *semaphore; trt_rwlock *rwlock; trt_barrier *barrier; atomic_int *waiting; trt_permit permit; trt_guard guard; };
trt_async(int, holds_back)
{
    trt_body { trt_await(trt_sleep_until(INT64_MAX)); }
    trt_cleanup {
        atomic_fetch_add(self->waiting, 1);
        if (self->semaphore) trt_await(trt_acquire_many(self->semaphore, 3, &self->permit));
        if (self->rwlock) trt_await_any(trt_write_lock(self->rwlock, &self->guard), trt_sleep_until(INT64_MAX));
        if (self->barrier) trt_await(trt_barrier_wait(self->barrier, NULL));
    }
}

TEST(what_is_given_up_holds_back_nobody)
{
    trt_runtime *rt;
    trt_semaphore semaphore;
    trt_rwlock rwlock = {0};
    trt_barrier barrier;
    trt_permit permit, other;
    trt_guard guard, reader;
    atomic_int waiting = 0;
    CHECK_EQ(trt_runtime_start(&rt, &on_two_workers), TRT_OK);
    CHECK_EQ(trt_semaphore_init(&semaphore, 3), TRT_OK);
    CHECK_EQ(trt_barrier_init(&barrier, 2), TRT_OK);
    CHECK(trt_try_acquire(&semaphore, &permit) && trt_try_read_lock(&rwlock, &guard));
    trt_detach(trt_spawn_on(rt, holds_back, .semaphore = &semaphore, .waiting = &waiting));
    trt_detach(trt_spawn_on(rt, holds_back, .rwlock = &rwlock, .waiting = &waiting));
    trt_detach(trt_spawn_on(rt, holds_back, .barrier = &barrier, .waiting = &waiting));
    CHECK_EQ(trt_runtime_shutdown(rt, ENOUGH_MS(20)), TRT_TIMED_OUT);
    CHECK_EQ(atomic_load(&waiting), 3);
    CHECK(trt_try_acquire(&semaphore, &other));
    CHECK(trt_try_read_lock(&rwlock, &reader));
    CHECK_EQ(barrier.arrived_, 0);
    CHECK_EQ(trt_runtime_free(rt), TRT_OK);
}

/* The abort of some has come, but no worker comes to them: the only one is in a long poll, of a task that waits for the
 * same when that is over. It is stuck before the shutdown, or by it. */
struct kept_waiting {
    bool early, hog;
    atomic_bool *waits, *stuck, *go;
    trt_semaphore *semaphore;
    trt_permit permit;
};
trt_async(int, kept_waiting)
{
    trt_body {
        if (self->early)
            AWAIT_UNTIL(atomic_load(self->waits));
        else if (self->hog)
            trt_await(trt_sleep_until(INT64_MAX));
        atomic_store(self->waits, true);
        if (!self->hog)
            trt_await(trt_acquire_many(self->semaphore, 3, &self->permit));
    }
    trt_cleanup {
        if (self->hog) {
            atomic_store(self->stuck, true);
            WAIT_UNTIL(atomic_load(self->go));
        }
        trt_await(trt_acquire_many(self->semaphore, 3, &self->permit));
    }
}
struct hogs_thread { trt_runtime *rt; struct kept_waiting hog; trt_status_code status; };
static void *hogs_thread(void *context)
{
    struct hogs_thread *h = context;
    h->status = trt_block_on(h->rt, kept_waiting, NULL, .early = h->hog.early, .hog = true, .waits = h->hog.waits,
                             .stuck = h->hog.stuck, .go = h->hog.go, .semaphore = h->hog.semaphore);
    return NULL;
}

TEST(what_no_worker_came_to_holds_back_nobody)
{
    for (int round = 0; round < 4; round++) {
        bool early = round % 2, current_thread = round > 1;
        trt_semaphore semaphore;
        trt_permit permit, other = {0};
        atomic_bool waits = false, stuck = false, go = false;
        struct hogs_thread hog = {NULL, {early, true, &waits, &stuck, &go, &semaphore, {0}}, TRT_OK};
        pthread_t thread;
        CHECK_EQ(trt_runtime_start(&hog.rt, current_thread ? &on_one_thread : &on_one_worker), TRT_OK);
        CHECK_EQ(trt_semaphore_init(&semaphore, 3), TRT_OK);
        CHECK(trt_try_acquire(&semaphore, &permit));
        pthread_create(&thread, NULL, hogs_thread, &hog);
        trt_detach(trt_spawn_on(hog.rt, kept_waiting, .waits = &waits, .semaphore = &semaphore));
        WAIT_UNTIL(atomic_load(early ? &stuck : &waits));
        CHECK_EQ(trt_runtime_shutdown(hog.rt, ENOUGH_MS(5)), TRT_TIMED_OUT);
        CHECK(atomic_load(&stuck) || !early);
        CHECK(trt_try_acquire(&semaphore, &other) || !early);
        trt_release(&other);
        atomic_store(&go, true);
        pthread_join(thread, NULL);
        CHECK_EQ(hog.status, TRT_CANCELLED);
        if (!current_thread)
            WAIT_UNTIL(TRT_LOAD_(&hog.rt->exited, acquire) == 1);
        CHECK(trt_try_acquire(&semaphore, &other));
        CHECK_EQ(trt_runtime_free(hog.rt), TRT_OK);
    }
}

TEST(a_thread_that_joins_after_a_shutdown_that_timed_out_is_answered)
{
    trt_runtime *rt;
    pthread_t before;
    atomic_int in_cleanup = 0;
    CHECK_EQ(trt_runtime_start(&rt, &on_two_workers), TRT_OK);
    trt_handle(never_ends) a = trt_spawn_on(rt, never_ends, .in_cleanup = &in_cleanup);
    trt_handle(forever) b = trt_spawn_on(rt, forever, .linger = trt_s(100000));
    pthread_create(&before, NULL, joins_in_thread, &b);
    CHECK_EQ(trt_runtime_shutdown(rt, ENOUGH_MS(20)), TRT_TIMED_OUT);
    CHECK_EQ(trt_join_thread(a, NULL), TRT_CANCELLED);
    pthread_join(before, NULL);
    CHECK_EQ(trt_runtime_free(rt), TRT_OK);
}

/* Members of a set that have ended, and wait for nothing but to be joined. */
struct receives { ints *channel; atomic_int *begun, *over; bool lingers; };
trt_async(int, receives)
{
    trt_body {
        atomic_fetch_add(self->begun, 1);
        trt_await(trt_recv(self->channel, NULL));
    }
    trt_cleanup {
        if (self->lingers)
            trt_await(trt_yield()); /* so what it waited for last is another thing, and it ends behind the others */
        atomic_fetch_add(self->over, 1);
    }
}
struct keeps_members { ints *channel; atomic_int *begun, *over; trt_join_set(receives) set; };
trt_async(int, keeps_members)
{
    trt_body {
        for (int i = 0; i < 3; i++)
            trt_spawn_in(&self->set, receives, .channel = self->channel, .begun = self->begun, .over = self->over, .lingers = i > 0);
        trt_await(trt_sleep_until(INT64_MAX));
    }
    trt_cleanup {
        trt_abort_all(&self->set);
        trt_await(trt_sleep_until(INT64_MAX));
    }
}
TEST(members_of_a_set_that_have_ended_are_not_unlinked_again)
{
    trt_runtime *rt;
    ints channel;
    atomic_int begun = 0, over = 0;
    int out = 0;
    CHECK_EQ(trt_channel_init(&channel, 4), TRT_OK);
    CHECK_EQ(trt_runtime_start(&rt, &on_one_worker), TRT_OK);
    trt_detach(trt_spawn_on(rt, keeps_members, .channel = &channel, .begun = &begun, .over = &over));
    WAIT_UNTIL(atomic_load(&begun) == 3); /* in a poll that the shutdown does not interrupt before it waits */
    CHECK_EQ(trt_runtime_shutdown(rt, ENOUGH_MS(20)), TRT_TIMED_OUT);
    CHECK_EQ(trt_runtime_free(rt), TRT_OK);
    CHECK_EQ(atomic_load(&over), 3);
    CHECK_EQ(trt_try_send(&channel, &(int){7}), TRT_OK);
    CHECK_EQ(trt_try_recv(&channel, &out), TRT_OK);
    CHECK_EQ(out, 7);
    trt_channel_free(&channel);
}

/* What waited on an object that outlives the runtime is unlinked from it, even if it was never run again. */
static trt_notify outliving_notify;
static trt_semaphore outliving_semaphore;
static trt_mutex outliving_mutex;
static ints outliving_channel;
static trt_token *outliving_token;
struct waits_outside { int how, v; trt_permit p; trt_guard g; atomic_int *waiting; };
trt_async(int, waits_outside)
{
    trt_body {
        atomic_fetch_add(self->waiting, 1);
        if (self->how == 0)
            trt_await(trt_notified(&outliving_notify));
        else if (self->how == 1)
            trt_await(trt_acquire(&outliving_semaphore, &self->p));
        else if (self->how == 2)
            trt_await(trt_lock(&outliving_mutex, &self->g));
        else if (self->how == 3)
            trt_await(trt_recv(&outliving_channel, &self->v));
        else if (self->how == 4)
            trt_await(trt_token_wait(outliving_token));
        else
            trt_await_any(trt_notified(&outliving_notify), trt_recv(&outliving_channel, &self->v), trt_acquire(&outliving_semaphore, &self->p));
    }
}

TEST(what_was_never_run_again_is_unlinked_from_what_outlives_the_runtime)
{
    trt_guard held = {0};
    CHECK_EQ(trt_semaphore_init(&outliving_semaphore, 0), TRT_OK);
    CHECK_EQ(trt_channel_init(&outliving_channel, 4), TRT_OK);
    CHECK(trt_try_lock(&outliving_mutex, &held));
    outliving_token = trt_token_new(NULL);
    for (int config = 0; config < 2; config++) {
        trt_runtime *rt;
        atomic_int waiting = 0;
        atomic_bool running = false, flag = false;
        pthread_t thread;
        CHECK_EQ(trt_runtime_start(&rt, config ? &on_one_worker : &on_one_thread), TRT_OK);
        for (int i = 0; i < 12; i++)
            trt_detach(trt_spawn_on(rt, waits_outside, .how = i % 6, .waiting = &waiting));
        CHECK_EQ(trt_block_on(rt, later, NULL, .after = trt_ms(1)), TRT_OK);
        CHECK_EQ(atomic_load(&waiting), 12);
        if (config) {
            trt_detach(trt_spawn_on(rt, blocks_worker, .running = &running, .flag = &flag));
            WAIT_UNTIL(atomic_load(&running));
            pthread_create(&thread, NULL, releases_later, &flag);
        }
        (void)trt_runtime_shutdown(rt, 0);
        CHECK_EQ(trt_runtime_free(rt), TRT_OK);
        if (config)
            pthread_join(thread, NULL);
        for (int i = 0; i < 8; i++)
            trt_notify_one(&outliving_notify);
        trt_notify_all(&outliving_notify);
        CHECK_EQ(trt_try_send(&outliving_channel, &(int){config}), TRT_OK);
        CHECK_EQ(trt_channel_len(&outliving_channel), 1);
        CHECK_EQ(trt_try_recv(&outliving_channel, NULL), TRT_OK);
    }
    CHECK_EQ(trt_add_permits(&outliving_semaphore, 3), TRT_OK);
    CHECK_EQ(trt_available_permits(&outliving_semaphore), 3);
    trt_unlock(&held);
    CHECK(trt_try_lock(&outliving_mutex, &held));
    trt_unlock(&held);
    trt_token_cancel(outliving_token);
    trt_token_free(outliving_token);
    trt_channel_free(&outliving_channel);
}

TEST(a_task_is_run_while_another_blocks_the_worker_that_was_woken)
{
    trt_runtime *rt;
    CHECK_EQ(trt_runtime_start(&rt, &on_two_workers), TRT_OK);
    for (long i = 0; i < ROUNDS(400); i++) {
        atomic_bool running = false, flag = false;
        trt_handle(blocks_worker) h = trt_spawn_on(rt, blocks_worker, .running = &running, .flag = &flag);
        if (i % 2)
            WAIT_UNTIL(atomic_load(&running));
        trt_handle(raises) r = trt_spawn_on(rt, raises, .flag = &flag);
        CHECK_EQ(trt_join_thread(h, NULL), TRT_OK);
        CHECK_EQ(trt_join_thread(r, NULL), TRT_OK);
    }
    CHECK_EQ(trt_runtime_free(rt), TRT_OK);
}

/* A shutdown that timed out on a job may be asked again, and the job still be joined. */
static void waits_again_for_a_job(const trt_config *config)
{
    trt_runtime *rt;
    atomic_bool running = false, release = false;
    int out = 0;
    CHECK_EQ(trt_runtime_start(&rt, config), TRT_OK);
    trt_handle(busy_job) job = trt_spawn_blocking_on(rt, busy_job, .running = &running, .release = &release, .value = 3);
    WAIT_UNTIL(atomic_load(&running));
    CHECK_EQ(trt_runtime_shutdown(rt, trt_ms(1)), TRT_TIMED_OUT);
    atomic_store(&release, true);
    CHECK_EQ(trt_join_thread(job, &out), TRT_OK);
    CHECK_EQ(out, 3);
    CHECK_EQ(trt_runtime_shutdown(rt, -1), TRT_OK);
    CHECK_EQ(trt_runtime_free(rt), TRT_OK);
}

TEST(a_job_that_outlasts_a_shutdown_keeps_its_result)
{
    waits_again_for_a_job(&on_one_thread);
    waits_again_for_a_job(&on_virtual_clock);
    waits_again_for_a_job(&on_two_workers);
}

/* What a task that was given up would have run on the pool next is not begun behind the shutdown. */
struct counts_runs { atomic_int *runs; };
trt_blocking_fn(int, counts_runs) { return atomic_fetch_add(self->runs, 1); }
struct wants_job { atomic_int *runs; atomic_bool *wants; bool in_group; trt_job(counts_runs) job; };
trt_async(int, wants_job)
{
    trt_body { trt_await(trt_sleep_until(INT64_MAX)); }
    trt_cleanup {
        atomic_store(self->wants, true);
        if (self->in_group)
            trt_await_any(trt_blocking(counts_runs, &self->job, .runs = self->runs), trt_sleep_until(INT64_MAX));
        else
            trt_await(trt_blocking(counts_runs, &self->job, .runs = self->runs));
    }
}

TEST(what_is_queued_for_the_pool_is_given_up_with_its_task)
{
    for (int i = 0; i < 4; i++) {
        trt_config config = {.workers = 1, .current_thread = i / 2, .max_blocking_threads = 1};
        trt_runtime *rt;
        atomic_bool running = false, release = false, wants = false;
        atomic_int runs = 0;
        CHECK_EQ(trt_runtime_start(&rt, &config), TRT_OK);
        trt_handle(busy_job) job = trt_spawn_blocking_on(rt, busy_job, .running = &running, .release = &release, .value = 3);
        WAIT_UNTIL(atomic_load(&running));
        trt_detach(trt_spawn_on(rt, wants_job, .runs = &runs, .wants = &wants, .in_group = i % 2));
        CHECK_EQ(trt_runtime_shutdown(rt, ENOUGH_MS(20)), TRT_TIMED_OUT);
        CHECK(atomic_load(&wants));
        atomic_store(&release, true);
        CHECK_EQ(trt_join_thread(job, NULL), TRT_OK);
        CHECK_EQ(trt_runtime_free(rt), TRT_OK);
        CHECK_EQ(atomic_load(&runs), 0);
    }
}

/* A thread that drives a current-thread runtime is a worker of it: the free waits until its poll is over. */
struct slow_poll { trt_runtime *rt; atomic_bool *running, *freeing, *over; };
trt_async(int, slow_poll)
{
    trt_body {
        atomic_store(self->running, true);
        WAIT_UNTIL(atomic_load(self->freeing));
        for (int i = 0; i < 1000; i++) sched_yield();
        atomic_store(self->over, true);
    }
}
static void *drives_slowly(void *context)
{
    struct slow_poll *p = context;
    (void)trt_block_on(p->rt, slow_poll, NULL, .running = p->running, .freeing = p->freeing, .over = p->over);
    return NULL;
}

TEST(a_free_waits_for_the_thread_that_drives)
{
    for (int timed_out = 0; timed_out < 2; timed_out++) {
        pthread_t thread;
        atomic_bool running = false, freeing = false, over = false;
        struct slow_poll p = {.running = &running, .freeing = &freeing, .over = &over};
        CHECK_EQ(trt_runtime_start(&p.rt, &on_one_thread), TRT_OK);
        CHECK_EQ(pthread_create(&thread, NULL, drives_slowly, &p), 0);
        WAIT_UNTIL(atomic_load(&running));
        if (timed_out)
            CHECK_EQ(trt_runtime_shutdown(p.rt, 0), TRT_TIMED_OUT);
        atomic_store(&freeing, true);
        CHECK_EQ(trt_runtime_free(p.rt), TRT_OK);
        CHECK(atomic_load(&over));
        pthread_join(thread, NULL);
    }
}

int main(int argc, char **argv) { return harness_main(argc, argv); }
