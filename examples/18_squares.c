/* 18_squares.c - exercise 1: spawn ten tasks, join them all, add up.
 *
 *     cc -std=c11 -O2 -pthread examples/18_squares.c -o 18_squares
 */
#define TASKRT_IMPLEMENTATION
#include "../taskrt.h"

#include <inttypes.h>
#include <stdio.h>

enum { TASKS = 10 };

struct square {
    uint64_t n;
};
trt_async(uint64_t, square)
{
    trt_body { trt_return(self->n * self->n); }
}

struct program {
    trt_handle(square) tasks[TASKS];
    uint64_t n, result, total;
};
trt_async(trt_void, program)
{
    trt_body {
        for (self->n = 1; self->n <= TASKS; self->n++)
            self->tasks[self->n - 1] = trt_spawn(square, .n = self->n);

        for (self->n = 1; self->n <= TASKS; self->n++) {
            trt_await_ok(trt_join(self->tasks[self->n - 1], &self->result));
            self->total += self->result;
        }
        printf("sum of squares 1..=10 = %" PRIu64 "\n", self->total);
    }
}

int main(void)
{
    trt_status_code status = trt_run(program, NULL);
    if (status != TRT_OK) {
        fprintf(stderr, "18_squares: %s\n", trt_strerror(status));
        return 1;
    }
    return 0;
}
