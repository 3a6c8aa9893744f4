/* 02_spawn_join.c - start a task, go on, and await its result.
 *
 * trt_spawn moves its arguments into a new task, which may run on any worker at once. The handle is
 * a plain value. Joining it gives a status and, if that is TRT_OK, the result; trt_await_ok leaves
 * the coroutine with any other status, and that is then what trt_run returns.
 *
 *     cc -std=c11 -O2 -pthread examples/02_spawn_join.c -o 02_spawn_join
 */
#define TASKRT_IMPLEMENTATION
#include "../taskrt.h"

#include <inttypes.h>
#include <stdio.h>

struct sum_to {
    uint64_t last;
};
trt_async(uint64_t, sum_to)
{
    trt_body {
        uint64_t total = 0; /* a C local is fine where no await follows */
        for (uint64_t i = 1; i <= self->last; i++) total += i;
        trt_return(total);
    }
}

struct program {
    trt_handle(sum_to) task;
    uint64_t sum;
};
trt_async(trt_void, program)
{
    trt_body {
        self->task = trt_spawn(sum_to, .last = 100);
        printf("task spawned, main continues\n");
        trt_await_ok(trt_join(self->task, &self->sum));
        printf("sum = %" PRIu64 "\n", self->sum);
    }
}

int main(void)
{
    trt_status_code status = trt_run(program, NULL);
    if (status != TRT_OK) {
        fprintf(stderr, "02_spawn_join: %s\n", trt_strerror(status));
        return 1;
    }
    return 0;
}
