/* TASKRT_STATIC: all of it is static, so that two copies may live in one program, even with different settings. */
#define TASKRT_STATIC
#define TASKRT_DEBUG 1
#define TASKRT_IMPLEMENTATION
#include "../../taskrt.h"

#include <stdio.h>

struct hello { int n; };
trt_async(int, hello)
{
    trt_body {
        trt_await(trt_yield());
        trt_return(self->n + 1);
    }
}

int other(void);
int main(void)
{
    int out = 0;
    if (trt_run(hello, &out, .n = 41) != TRT_OK || out != 42 || other() != 7)
        return 1;
    puts("ok");
    return 0;
}
