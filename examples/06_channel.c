/* 06_channel.c - messages from one task to another.
 *
 * A bounded channel makes a sender wait while it is full. Closing it lets the receiver take what is
 * left and then see TRT_CLOSED. The channel lives in `program`, and the producer is forked: scoped
 * children end before the cleanup of the coroutine that forked them, so they may use its fields.
 *
 *     cc -std=c11 -O2 -pthread examples/06_channel.c -o 06_channel
 */
#define TASKRT_IMPLEMENTATION
#include "../taskrt.h"

#include <stdio.h>

struct measurement {
    int sensor;
    double celsius;
};
typedef trt_channel(struct measurement) measurements;

struct produce {
    measurements *to;
    int i;
};
trt_async(trt_void, produce)
{
    trt_body {
        for (self->i = 1; self->i <= 5; self->i++) {
            struct measurement next = {.sensor = self->i, .celsius = 20.0 + 0.5 * self->i};
            trt_await_ok(trt_send(self->to, &next)); /* copied: `next` need not survive the await */
        }
    }
    trt_cleanup { trt_channel_close(self->to); } /* on every way out: the receiver must not wait */
}

struct program {
    measurements channel;
    struct measurement got;
};
trt_async(trt_void, program)
{
    trt_body {
        trt_status_code made = trt_channel_init(&self->channel, 2);
        if (made != TRT_OK) trt_fail(made);
        trt_fork(produce, NULL, .to = &self->channel);

        for (;;) {
            trt_await(trt_recv(&self->channel, &self->got));
            if (trt_status() != TRT_OK) break;
            printf("sensor %d: %.1f\n", self->got.sensor, self->got.celsius);
        }
        if (trt_status() != TRT_CLOSED) trt_fail(trt_status());
        trt_await_ok(trt_sync()); /* the producer's own outcome */
        printf("closed\n");
    }
    trt_cleanup { trt_channel_free(&self->channel); }
}

int main(void)
{
    trt_status_code status = trt_run(program, NULL);
    if (status != TRT_OK) {
        fprintf(stderr, "06_channel: %s\n", trt_strerror(status));
        return 1;
    }
    return 0;
}
