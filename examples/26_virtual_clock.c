/* 26_virtual_clock.c - a rate limiter, and its test without waiting.
 *
 * An interval puts a permit into a semaphore every 100 ms, up to a burst of three; every request
 * takes one out for good. On the virtual clock, time stands still while any task can run and jumps
 * to the next timer when none can: the same code, exact times, no waiting.
 *
 *     cc -std=c11 -O2 -pthread examples/26_virtual_clock.c -o 26_virtual_clock
 */
#define TASKRT_IMPLEMENTATION
#include "../taskrt.h"

#include <stdio.h>

enum { BURST = 3, REQUESTS = 6 };

struct refill {
    trt_semaphore *bucket;
    trt_interval every;
};
trt_async(trt_void, refill)
{
    trt_body {
        trt_status_code made = trt_interval_init(&self->every, trt_ms(100), TRT_SKIP);
        if (made != TRT_OK) trt_fail(made);
        trt_await_ok(trt_tick(&self->every)); /* the first tick comes at once: the bucket is full */
        for (;;) {
            trt_await_ok(trt_tick(&self->every));
            if (trt_available_permits(self->bucket) < BURST) {
                trt_status_code added = trt_add_permits(self->bucket, 1);
                if (added != TRT_OK) trt_fail(added);
            }
        }
    }
}

struct program {
    trt_semaphore bucket;
    trt_handle(refill) refill;
    trt_permit used;
    trt_instant start;
    int request;
};
trt_async(trt_void, program)
{
    trt_body {
        trt_status_code made = trt_semaphore_init(&self->bucket, BURST);
        if (made != TRT_OK) trt_fail(made);
        self->refill = trt_spawn(refill, .bucket = &self->bucket);
        self->start = trt_now();

        for (self->request = 1; self->request <= REQUESTS; self->request++) {
            trt_await_ok(trt_acquire(&self->bucket, &self->used));
            self->used = (trt_permit){0}; /* never released: this one is used up */
            printf("request %d at %lld ms\n", self->request,
                   (long long)((trt_now() - self->start) / trt_ms(1)));
        }
    }
    trt_cleanup { trt_await(trt_stop(self->refill)); } /* it borrows the bucket */
}

int main(void)
{
    trt_status_code status = trt_run_with(&(trt_config){.virtual_clock = true}, program, NULL);
    if (status != TRT_OK) {
        fprintf(stderr, "26_virtual_clock: %s\n", trt_strerror(status));
        return 1;
    }
    return 0;
}
