/* Threads that cannot be created: a status, never a crash, and what is there serves on. */
#include "harness.h"

/* Fails the call of this number, and every later one if asked to. */
static atomic_long thread_calls, thread_fail_at;
static atomic_bool thread_fail_forever;
static int counted_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*f)(void *), void *argument)
{
    long call = atomic_fetch_add(&thread_calls, 1) + 1, at = atomic_load(&thread_fail_at);
    if (at && (call == at || (call > at && atomic_load(&thread_fail_forever)))) {
        harness_pause(); /* failing takes a while too */
        return EAGAIN;
    }
    return pthread_create(thread, attributes, f, argument);
}
static void fail_threads(long at, bool forever)
{
    atomic_store(&thread_calls, 0);
    atomic_store(&thread_fail_forever, forever);
    atomic_store(&thread_fail_at, at);
}

#define TASKRT_IMPLEMENTATION
#define pthread_create counted_pthread_create
#include "../taskrt.h"
#undef pthread_create
#include "common.h"

struct quick { int n; };
trt_blocking_fn(int, quick) { return self->n + 1; }

struct uses_pool { trt_handle(quick) h; trt_job(quick) job; int out, i, short_of_threads; };
trt_async(int, uses_pool)
{
    trt_body {
        for (self->i = 0; self->i < 5; self->i++) {
            self->h = trt_spawn_blocking(quick, .n = self->i);
            trt_await(trt_join(self->h, &self->out));
            CHECK(trt_status() == TRT_OK || trt_status() == TRT_NO_MEMORY);
            if (trt_status() == TRT_OK)
                CHECK_EQ(self->out, self->i + 1);
            else
                self->short_of_threads++;
            trt_await(trt_blocking(quick, &self->job, .n = self->i));
            CHECK(trt_status() == TRT_OK || trt_status() == TRT_NO_MEMORY);
            if (trt_status() == TRT_OK)
                CHECK_EQ(self->job.out, self->i + 1);
            else
                self->short_of_threads++;
        }
        trt_return(self->short_of_threads);
    }
}

TEST(a_runtime_that_gets_no_threads_does_not_start_or_serves_with_those_it_has)
{
    for (int forever = 0; forever < 2; forever++)
        for (long at = 1; at < 12; at++) {
            trt_runtime *rt = NULL;
            int out = 0;
            fail_threads(at, forever);
            trt_status_code status = trt_runtime_start(&rt, &on_four_workers);
            if (status == TRT_OK) {
                CHECK_EQ(trt_block_on(rt, later, &out, .after = trt_us(10), .value = 3), TRT_OK);
                CHECK_EQ(out, 3);
                CHECK_EQ(trt_runtime_free(rt), TRT_OK);
            } else {
                CHECK(rt == NULL);
                CHECK_EQ(status, TRT_NO_MEMORY);
            }
        }
    fail_threads(0, false);
}

TEST(a_pool_without_threads_gives_no_memory)
{
    trt_runtime *rt;
    int out = 0;
    CHECK_EQ(trt_runtime_start(&rt, &on_one_worker), TRT_OK);
    fail_threads(1, true);
    CHECK_EQ(trt_block_on(rt, uses_pool, &out), TRT_OK);
    CHECK_EQ(out, 10);
    fail_threads(0, false);
    CHECK_EQ(trt_block_on(rt, uses_pool, &out), TRT_OK); /* and serves when there are threads again */
    CHECK_EQ(out, 0);
    fail_threads(1, true);
    CHECK_EQ(trt_block_on(rt, uses_pool, &out), TRT_OK); /* one thread is there: it serves */
    CHECK_EQ(out, 0);
    fail_threads(0, false);
    CHECK_EQ(trt_runtime_free(rt), TRT_OK);
}

TEST(one_failing_thread_is_survived)
{
    for (long at = 1; at < 10; at++) {
        fail_threads(at, false);
        trt_status_code status = trt_run_with(&on_two_workers, uses_pool, NULL);
        CHECK(status == TRT_OK || status == TRT_NO_MEMORY);
    }
    fail_threads(0, false);
}

struct submits { trt_runtime *rt; long ok, failed; };
static void *submits_jobs(void *argument)
{
    struct submits *s = argument;
    for (long i = 0; i < ROUNDS(300); i++) {
        int out = 0;
        trt_handle(quick) h = trt_spawn_blocking_on(s->rt, quick, .n = (int)i);
        trt_status_code status = trt_join_thread(h, &out);
        if (status == TRT_OK) {
            CHECK_EQ(out, i + 1);
            s->ok++;
        } else {
            CHECK_EQ(status, TRT_NO_MEMORY);
            s->failed++;
        }
    }
    return NULL;
}

TEST(jobs_submitted_while_a_thread_fails_to_start_are_all_answered)
{
    trt_runtime *rt;
    CHECK_EQ(trt_runtime_start(&rt, &on_one_worker), TRT_OK);
    fail_threads(1, true);
    pthread_t threads[4];
    struct submits s[4];
    for (int i = 0; i < 4; i++) {
        s[i] = (struct submits){rt, 0, 0};
        pthread_create(&threads[i], NULL, submits_jobs, &s[i]);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        CHECK_EQ(s[i].ok, 0);
        CHECK_EQ(s[i].failed, ROUNDS(300));
    }
    fail_threads(0, false);
    CHECK_EQ(trt_runtime_free(rt), TRT_OK);
}

int main(int argc, char **argv) { return harness_main(argc, argv); }
