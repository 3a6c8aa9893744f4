/* 11_panic.c - a panic ends one task, not the program.
 *
 * trt_panic may be called at any depth below a task. It prints a message on stderr (or calls the
 * on_panic hook of the configuration), runs the task's cleanups, and comes back from the join as
 * TRT_PANICKED; trt_failure() then has the message, file and line.
 *
 *     cc -std=c11 -O2 -pthread examples/11_panic.c -o 11_panic
 */
#define TASKRT_IMPLEMENTATION
#include "../taskrt.h"

#include <stdio.h>

struct faulty {
    trt_void none;
};
trt_async(trt_void, faulty)
{
    trt_body { trt_panic("something broke inside the task"); }
}

struct program {
    trt_handle(faulty) task;
};
trt_async(trt_void, program)
{
    trt_body {
        self->task = trt_spawn(faulty);
        trt_await(trt_join(self->task, NULL));

        if (trt_status() == TRT_OK)
            printf("task finished cleanly\n");
        else
            printf("task failed: is_panic = %s\n", trt_status() == TRT_PANICKED ? "true" : "false");

        printf("main is still alive\n");
    }
}

int main(void)
{
    trt_status_code status = trt_run(program, NULL);
    if (status != TRT_OK) {
        fprintf(stderr, "11_panic: %s\n", trt_strerror(status));
        return 1;
    }
    return 0;
}
