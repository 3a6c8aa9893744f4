/* 01_hello.c - the smallest program: a coroutine, an await, a run.
 *
 * The struct holds the arguments and everything that must survive an await; inside the coroutine
 * it is `self`. trt_run starts a runtime, runs the coroutine to its end and stops the runtime.
 *
 *     cc -std=c11 -O2 -pthread examples/01_hello.c -o 01_hello
 */
#define TASKRT_IMPLEMENTATION
#include "../taskrt.h"

#include <stdio.h>

struct hello {
    const char *name;
};
trt_async(trt_void, hello)
{
    trt_body {
        printf("hello, %s\n", self->name);
        trt_await(trt_sleep(trt_ms(10)));
        printf("goodbye, %s\n", self->name);
    }
}

int main(void)
{
    trt_status_code status = trt_run(hello, NULL, .name = "world");
    if (status != TRT_OK) {
        fprintf(stderr, "01_hello: %s\n", trt_strerror(status));
        return 1;
    }
    return 0;
}
