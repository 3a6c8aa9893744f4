/* 24_supervisor.c - restart what crashes, wait longer each time, give up in the end.
 *
 * A join tells how a task ended, and trt_failure() has the words of its panic. The on_panic hook
 * replaces the message on stderr. On the virtual clock the waits between two attempts take no time.
 *
 *     cc -std=c11 -O2 -pthread examples/24_supervisor.c -o 24_supervisor
 */
#define TASKRT_IMPLEMENTATION
#include "../taskrt.h"

#include <stdio.h>

enum { ATTEMPTS = 5 };

struct connection {
    int attempt;
};
trt_async(trt_void, connection)
{
    trt_body {
        trt_await(trt_sleep(trt_s(1)));
        if (self->attempt < 3) trt_panic("connection %d lost", self->attempt);
    }
}

struct supervisor {
    trt_handle(connection) task;
    trt_instant start;
    trt_duration pause;
    int attempt;
};
trt_async(trt_void, supervisor)
{
    trt_body {
        self->start = trt_now();
        self->pause = trt_s(1);
        for (self->attempt = 1;; self->attempt++) {
            self->task = trt_spawn_named("connection", connection, .attempt = self->attempt);
            trt_await(trt_join(self->task, NULL));
            long long seconds = (trt_now() - self->start) / trt_s(1);
            if (trt_status() == TRT_OK) {
                printf("%lld s: attempt %d ended well\n", seconds, self->attempt);
                return;
            }
            if (trt_status() != TRT_PANICKED || self->attempt == ATTEMPTS) trt_fail(trt_status());
            printf("%lld s: panic '%s', trying again\n", seconds, trt_failure()->message);
            trt_await(trt_sleep(self->pause));
            self->pause *= 2;
        }
    }
    trt_cleanup { trt_await(trt_stop(self->task)); } /* the supervisor takes its task with it */
}

static void count_panic(const trt_failure_info *failure, void *user)
{
    (void)failure; /* a service would log it here */
    ++*(int *)user;
}

int main(void)
{
    int panics = 0;
    trt_config config = {.virtual_clock = true, .on_panic = count_panic, .user = &panics};
    trt_status_code status = trt_run_with(&config, supervisor, NULL);
    if (status != TRT_OK) {
        fprintf(stderr, "24_supervisor: %s\n", trt_strerror(status));
        return 1;
    }
    printf("%d panics, and the program is fine\n", panics);
    return 0;
}
