/* 10_parallel_sum.c - divide and conquer with scoped children.
 *
 * trt_fork starts a child that writes its result straight into a field of its parent; trt_sync
 * waits for all of them. The scope ends the children in every case: they may borrow from `self`.
 *
 *     cc -std=c11 -O2 -pthread examples/10_parallel_sum.c -o 10_parallel_sum
 */
#define TASKRT_IMPLEMENTATION
#include "../taskrt.h"

#include <inttypes.h>
#include <stdio.h>

enum { COUNT = 4000000, SMALL = 50000 };

static uint32_t values[COUNT];

struct sum {
    const uint32_t *from;
    size_t count;
    uint64_t left, right;
};
trt_async(uint64_t, sum)
{
    trt_body {
        if (self->count <= SMALL) { /* small enough that splitting would cost more than it gains */
            uint64_t total = 0;
            for (size_t i = 0; i < self->count; i++) total += self->from[i];
            trt_return(total);
        }
        size_t half = self->count / 2;
        trt_fork(sum, &self->left, .from = self->from, .count = half);
        trt_fork(sum, &self->right, .from = self->from + half, .count = self->count - half);
        trt_await_ok(trt_sync());
        trt_return(self->left + self->right);
    }
}

int main(void)
{
    for (uint32_t i = 0; i < COUNT; i++) values[i] = i + 1;

    uint64_t total = 0;
    trt_status_code status = trt_run(sum, &total, .from = values, .count = COUNT);
    if (status != TRT_OK) {
        fprintf(stderr, "10_parallel_sum: %s\n", trt_strerror(status));
        return 1;
    }
    printf("1 + 2 + ... + %d = %" PRIu64 "\n", COUNT, total);
    return 0;
}
