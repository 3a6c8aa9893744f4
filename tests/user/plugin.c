/* A library with the runtime inside, as a program loads it with dlopen(): see host.c. */
#define _POSIX_C_SOURCE 200809L
#define TASKRT_IMPLEMENTATION
#include "../../taskrt.h"

#include <time.h>
#include <unistd.h>

int plugin_start(void);
int plugin_use(int n);
int plugin_stop(void);

struct waits_in_the_pool { int n; };
trt_blocking_fn(int, waits_in_the_pool)
{
    return nanosleep(&(struct timespec){0, 100000}, NULL) == 0 ? self->n : 0;
}

struct adds {
    int n, fd[2], i, sum;
    trt_job(waits_in_the_pool) job;
};
trt_async(int, adds)
{
    trt_body {
        if (pipe(self->fd) != 0) trt_fail(TRT_ERRNO);
        for (self->i = 1; self->i <= self->n; self->i++) {
            trt_await_ok(trt_blocking(waits_in_the_pool, &self->job, .n = self->i));
            self->sum += self->job.out;
        }
        trt_await(trt_within(trt_us(300), trt_readable(self->fd[0])));
        if (trt_status() != TRT_TIMED_OUT) trt_panic("a silent pipe: %s", trt_strerror(trt_status()));
        trt_return(self->sum);
    }
    trt_cleanup {
        for (int i = 0; i < 2; i++) {
            if (self->fd[i] > 0) close(self->fd[i]);
        }
    }
}

static trt_runtime *rt;

int plugin_start(void)
{
    trt_config config = {.workers = 2, .stall_after = -1};
    return trt_runtime_start(&rt, &config);
}
int plugin_use(int n)
{
    int sum = 0;
    return trt_block_on(rt, adds, &sum, .n = n) == TRT_OK ? sum : -1;
}
int plugin_stop(void) { return trt_runtime_free(rt); }
