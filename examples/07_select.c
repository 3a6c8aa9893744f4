/* 07_select.c - wait for whichever comes first.
 *
 * trt_await_any suspends until one of its operations completes; trt_chosen() tells which. The
 * others are taken back whole: no message or permit is lost in a branch that lost. The biased form
 * looks at its branches in order, so here every order is served before the closing bell is heard.
 *
 *     cc -std=c11 -O2 -pthread examples/07_select.c -o 07_select
 */
#define TASKRT_IMPLEMENTATION
#include "../taskrt.h"

#include <stdio.h>

typedef trt_channel(int) orders;

struct waiter {
    orders *kitchen;
    trt_notify *bell;
    int i;
};
trt_async(trt_void, waiter)
{
    trt_body {
        for (self->i = 1; self->i <= 4; self->i++)
            trt_await_ok(trt_send(self->kitchen, &self->i));
        trt_notify_one(self->bell);
    }
}

struct program {
    orders kitchen;
    trt_notify bell;
    int order, served;
    bool open;
};
trt_async(trt_void, program)
{
    trt_body {
        trt_status_code made = trt_channel_init(&self->kitchen, 2);
        if (made != TRT_OK) trt_fail(made);
        trt_fork(waiter, NULL, .kitchen = &self->kitchen, .bell = &self->bell);

        for (self->open = true; self->open;) {
            trt_await_any_biased(trt_recv(&self->kitchen, &self->order),
                                 trt_notified(&self->bell),
                                 trt_sleep(trt_s(60)));
            if (trt_status() != TRT_OK) trt_fail(trt_status());
            if (trt_chosen() == 0) {
                printf("order %d\n", self->order);
                self->served++;
            } else {
                printf("%s after %d orders\n",
                       trt_chosen() == 1 ? "closing time" : "nobody came", self->served);
                self->open = false;
            }
        }
        trt_await_ok(trt_sync());
    }
    trt_cleanup { trt_channel_free(&self->kitchen); }
}

int main(void)
{
    trt_status_code status = trt_run(program, NULL);
    if (status != TRT_OK) {
        fprintf(stderr, "07_select: %s\n", trt_strerror(status));
        return 1;
    }
    return 0;
}
