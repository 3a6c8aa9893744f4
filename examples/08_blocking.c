/* 08_blocking.c - long computations and blocking calls go to threads of their own.
 *
 * A blocking function is ordinary C: it may compute, read files, sleep. It runs on the blocking
 * pool, so the workers stay free for tasks. A spawned one is joined like a task.
 *
 *     cc -std=c11 -O2 -pthread examples/08_blocking.c -o 08_blocking
 */
#define TASKRT_IMPLEMENTATION
#include "../taskrt.h"

#include <inttypes.h>
#include <stdio.h>

static uint64_t fibonacci(unsigned n)
{
    return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2);
}

struct fib {
    unsigned n;
};
trt_blocking_fn(uint64_t, fib) { return fibonacci(self->n); }

struct program {
    trt_handle(fib) job;
    uint64_t result;
};
trt_async(trt_void, program)
{
    trt_body {
        self->job = trt_spawn_blocking(fib, .n = 35);
        printf("computing fib(35) on a blocking thread...\n");
        trt_await_ok(trt_join(self->job, &self->result));
        printf("fib(35) = %" PRIu64 "\n", self->result);
    }
}

int main(void)
{
    trt_status_code status = trt_run(program, NULL);
    if (status != TRT_OK) {
        fprintf(stderr, "08_blocking: %s\n", trt_strerror(status));
        return 1;
    }
    return 0;
}
