/* 13_join_set.c - a group of tasks that is as large as it happens to be.
 *
 * A join set owns its members and hands out their results as they finish. Members that are left
 * when its coroutine ends are aborted and waited for first, so no task is left behind.
 *
 *     cc -std=c11 -O2 -pthread examples/13_join_set.c -o 13_join_set
 */
#define TASKRT_IMPLEMENTATION
#include "../taskrt.h"

#include <stdio.h>

struct work {
    int id;
};
trt_async(int, work)
{
    trt_body { trt_return(self->id * self->id); }
}

struct program {
    trt_join_set(work) set;
    int result, total;
};
trt_async(trt_void, program)
{
    trt_body {
        for (int id = 1; id <= 5; id++) trt_spawn_in(&self->set, work, .id = id);

        for (;;) {
            trt_await(trt_join_next(&self->set, &self->result));
            if (trt_status() == TRT_EMPTY) break;
            if (trt_status() != TRT_OK) trt_fail(trt_status());
            self->total += self->result;
        }
        printf("total = %d\n", self->total);
    }
}

int main(void)
{
    trt_status_code status = trt_run(program, NULL);
    if (status != TRT_OK) {
        fprintf(stderr, "13_join_set: %s\n", trt_strerror(status));
        return 1;
    }
    return 0;
}
