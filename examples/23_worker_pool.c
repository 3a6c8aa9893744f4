/* 23_worker_pool.c - a pool of workers with back-pressure.
 *
 * Three workers take jobs from one bounded channel. Whenever four jobs wait there, the producer
 * waits too, so memory stays bounded however fast it is. Closing the channel is the end of work:
 * the workers take what is left and return.
 *
 *     cc -std=c11 -O2 -pthread examples/23_worker_pool.c -o 23_worker_pool
 */
#define TASKRT_IMPLEMENTATION
#include "../taskrt.h"

#include <stdio.h>

enum { WORKERS = 3, WAITING = 4, JOBS = 100 };

typedef trt_channel(int) jobs;

struct tally {
    int jobs;
    long sum;
};

struct worker {
    jobs *queue;
    int job;
    struct tally tally;
};
trt_async(struct tally, worker)
{
    trt_body {
        for (;;) {
            trt_await(trt_recv(self->queue, &self->job));
            if (trt_status() == TRT_CLOSED) break;
            if (trt_status() != TRT_OK) trt_fail(trt_status());
            trt_await(trt_yield()); /* stands for the work */
            self->tally.sum += (long)self->job * self->job;
            self->tally.jobs++;
        }
        trt_return(self->tally);
    }
}

struct program {
    jobs queue;
    struct tally tallies[WORKERS];
    int job;
    size_t most;
};
trt_async(trt_void, program)
{
    trt_body {
        trt_status_code made = trt_channel_init(&self->queue, WAITING);
        if (made != TRT_OK) trt_fail(made);
        for (int i = 0; i < WORKERS; i++)
            trt_fork(worker, &self->tallies[i], .queue = &self->queue);

        for (self->job = 1; self->job <= JOBS; self->job++) {
            trt_await_ok(trt_send(&self->queue, &self->job));
            size_t waiting = trt_channel_len(&self->queue);
            if (waiting > self->most) self->most = waiting;
        }
        trt_channel_close(&self->queue);
        trt_await_ok(trt_sync());

        struct tally all = {0};
        for (int i = 0; i < WORKERS; i++) {
            all.jobs += self->tallies[i].jobs;
            all.sum += self->tallies[i].sum;
        }
        printf("%d jobs done, sum of squares = %ld\n", all.jobs, all.sum);
        printf("never more than %d waiting: %s\n", WAITING, self->most <= WAITING ? "yes" : "no");
    }
    trt_cleanup { trt_channel_free(&self->queue); }
}

int main(void)
{
    trt_status_code status = trt_run(program, NULL);
    if (status != TRT_OK) {
        fprintf(stderr, "23_worker_pool: %s\n", trt_strerror(status));
        return 1;
    }
    return 0;
}
