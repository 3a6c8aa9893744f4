/* 17_pitfall_runtime.c - pitfall 4: no runtime to spawn on, or a result used without its status.
 *
 * Outside a runtime there is nobody to run a task: trt_spawn says so on stderr, and its handle
 * joins as TRT_MISUSE. And a join is two things, a status and a value; the value is written only
 * with TRT_OK. (A third trap, an operation that is made but not awaited, is a compiler warning.)
 *
 *     cc -std=c11 -O2 -pthread examples/17_pitfall_runtime.c -o 17_pitfall_runtime
 */
#define TASKRT_IMPLEMENTATION
#include "../taskrt.h"

#include <stdio.h>

struct divide {
    int dividend, divisor;
};
trt_async(int, divide)
{
    trt_body {
        if (self->divisor == 0) trt_fail(TRT_EMPTY); /* the C form of returning an error */
        trt_return(self->dividend / self->divisor);
    }
}

struct program {
    trt_handle(divide) good, bad;
    int value;
};
trt_async(trt_void, program)
{
    trt_body {
        self->good = trt_spawn(divide, .dividend = 84, .divisor = 2);
        trt_await(trt_join(self->good, &self->value));
        printf("84 / 2: %s, %d\n", trt_strerror(trt_status()), self->value);

        self->value = -1;
        self->bad = trt_spawn(divide, .dividend = 1, .divisor = 0);
        trt_await(trt_join(self->bad, &self->value));
        printf("1 / 0: %s, still %d\n", trt_strerror(trt_status()), self->value);

        trt_await(trt_join(self->good, &self->value));
        printf("joined twice: %s\n", trt_strerror(trt_status()));
    }
}

int main(void)
{
    trt_handle(divide) lost = trt_spawn(divide, .dividend = 84, .divisor = 2);
    trt_status_code status = trt_join_thread(lost, NULL);
    printf("outside a runtime: %s, %s\n", trt_spawned(lost) ? "spawned" : "not spawned",
           trt_strerror(status));

    status = trt_run(program, NULL);
    if (status != TRT_OK) {
        fprintf(stderr, "17_pitfall_runtime: %s\n", trt_strerror(status));
        return 1;
    }
    return 0;
}
