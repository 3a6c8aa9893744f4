/* Uses what another file defines. */
#include "two.h"

#include <stdio.h>

struct uses { int n, half; trt_frame(shift) frame; trt_handle(twice) h; trt_job(half) job; trt_join_set(half) set; };
trt_async(int, uses)
{
    trt_body {
        self->h = trt_spawn(twice, .n = 10);
        trt_await_ok(trt_join(self->h, &self->n));
        trt_await_ok(trt_call(shift, &self->frame, .p = {1, 2}, .by = 3));
        trt_await_ok(trt_blocking(half, &self->job, .n = 8));
        trt_spawn_blocking_in(&self->set, half, .n = 200);
        trt_await_ok(trt_join_next(&self->set, &self->half));
        trt_return(self->n + self->frame.out.y + self->job.out + self->half);
    }
}

int main(void)
{
    int out = 0;
    if (trt_run(uses, &out) != TRT_OK || out != 20 + 5 + 4 + 100)
        return 1;
    puts("ok");
    return 0;
}
