/* 16_pitfall_blocking.c - pitfall 3: a task that blocks holds up its worker.
 *
 * A task gives way only at an await. One that calls sleep(), reads a slow disk or computes for long
 * keeps its worker from the other tasks. With stall_after set, a watchdog reports it: which task,
 * which coroutine, after which line, for how long. The report goes to stderr, or to on_stall as
 * here. The cure is a blocking function, which has a thread of its own.
 *
 *     cc -std=c11 -O2 -pthread examples/16_pitfall_blocking.c -o 16_pitfall_blocking
 */
#define _POSIX_C_SOURCE 200809L
#define TASKRT_IMPLEMENTATION
#include "../taskrt.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static void wait_for(atomic_bool *flag)
{
    while (!atomic_load(flag)) nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

struct wrong {
    atomic_bool *flag;
};
trt_async(trt_void, wrong)
{
    trt_body { wait_for(self->flag); } /* the mistake: it waits, but does not await */
}

struct right {
    atomic_bool *flag;
};
trt_blocking_fn(trt_void, right)
{
    wait_for(self->flag); /* the cure: the same call, on a thread of its own */
    return (trt_void){0};
}

struct program {
    atomic_bool *reported; /* set by the watchdog's hook */
    atomic_bool enough;
    trt_handle(wrong) wrong;
    trt_handle(right) right;
};
trt_async(trt_void, program)
{
    trt_body {
        self->wrong = trt_spawn(wrong, .flag = self->reported);
        trt_await_ok(trt_join(self->wrong, NULL));

        self->right = trt_spawn_blocking(right, .flag = &self->enough);
        trt_await(trt_sleep(trt_ms(10)));
        printf("while a blocking function waits, the workers are free\n");
        atomic_store(&self->enough, true);
        trt_await_ok(trt_join(self->right, NULL));
    }
    trt_cleanup {
        atomic_store(&self->enough, true); /* a job that still runs borrows it: let it end */
        trt_await(trt_stop(self->right));
    }
}

static void on_stall(const trt_stall_info *stall, void *user)
{
    atomic_bool *reported = user;
    if (strcmp(stall->coroutine, "wrong") != 0 || atomic_load(reported)) return;
    printf("the watchdog says: '%s' blocks its worker\n", stall->coroutine);
    atomic_store(reported, true); /* and so the task goes on */
}

int main(void)
{
    atomic_bool reported = false;
    trt_config config = {.stall_after = trt_ms(30), .on_stall = on_stall, .user = &reported};
    trt_status_code status = trt_run_with(&config, program, NULL, .reported = &reported);
    if (status != TRT_OK) {
        fprintf(stderr, "16_pitfall_blocking: %s\n", trt_strerror(status));
        return 1;
    }
    return 0;
}
