/* 04_timeout.c - any operation with a deadline.
 *
 * trt_within wraps any operation: a sleep, a receive, a join, a whole child coroutine. If time runs
 * out first, the operation is taken back completely (a child is aborted and its cleanup finished)
 * and the status is TRT_TIMED_OUT.
 *
 *     cc -std=c11 -O2 -pthread examples/04_timeout.c -o 04_timeout
 */
#define TASKRT_IMPLEMENTATION
#include "../taskrt.h"

#include <stdio.h>

typedef trt_channel(int) numbers;

struct ask {
    trt_duration thinking;
};
trt_async(int, ask)
{
    trt_body {
        trt_await(trt_sleep(self->thinking));
        trt_return(42);
    }
    trt_cleanup {
        if (trt_status() == TRT_CANCELLED) printf("  (the question was withdrawn)\n");
    }
}

struct program {
    trt_frame(ask) answer; /* the child's frame lives in ours: calling it allocates nothing */
    numbers silent;
    int value;
};
trt_async(trt_void, program)
{
    trt_body {
        if (trt_channel_init(&self->silent, 1) != TRT_OK) trt_fail(TRT_NO_MEMORY);

        trt_await(trt_within(trt_s(60), trt_call(ask, &self->answer, .thinking = trt_ms(1))));
        printf("quick answer: %s, %d\n", trt_strerror(trt_status()), self->answer.out);

        trt_await(trt_within(trt_ms(20), trt_call(ask, &self->answer, .thinking = trt_s(3600))));
        printf("slow answer: %s\n", trt_strerror(trt_status()));

        trt_await(trt_within(trt_ms(20), trt_recv(&self->silent, &self->value)));
        printf("silent channel: %s\n", trt_strerror(trt_status()));
    }
    trt_cleanup { trt_channel_free(&self->silent); }
}

int main(void)
{
    trt_status_code status = trt_run(program, NULL);
    if (status != TRT_OK) {
        fprintf(stderr, "04_timeout: %s\n", trt_strerror(status));
        return 1;
    }
    return 0;
}
