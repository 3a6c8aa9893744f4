/* 05_abort.c - stop a task whose result is no longer needed.
 *
 * An abort acts at the task's next await, and runs its cleanup. The join then says TRT_CANCELLED;
 * it says TRT_OK if the task was faster than the abort.
 *
 *     cc -std=c11 -O2 -pthread examples/05_abort.c -o 05_abort
 */
#define TASKRT_IMPLEMENTATION
#include "../taskrt.h"

#include <stdio.h>

struct long_running {
    trt_void none;
};
trt_async(const char *, long_running)
{
    trt_body {
        trt_await(trt_sleep(trt_s(60)));
        trt_return("done");
    }
}

struct program {
    trt_handle(long_running) task;
    const char *value;
};
trt_async(trt_void, program)
{
    trt_body {
        self->task = trt_spawn(long_running);
        trt_abort(self->task);
        trt_await(trt_join(self->task, &self->value));

        if (trt_status() == TRT_OK)
            printf("completed: %s\n", self->value);
        else if (trt_status() == TRT_CANCELLED)
            printf("task was cancelled\n");
        else
            printf("task failed: %s\n", trt_strerror(trt_status()));
    }
}

int main(void)
{
    trt_status_code status = trt_run(program, NULL);
    if (status != TRT_OK) {
        fprintf(stderr, "05_abort: %s\n", trt_strerror(status));
        return 1;
    }
    return 0;
}
