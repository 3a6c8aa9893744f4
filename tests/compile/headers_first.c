/* Other headers first and no feature macro: what they left undeclared must not matter. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>
#define TASKRT_IMPLEMENTATION
#include "../../taskrt.h"

struct hello { int n; };
trt_async(int, hello)
{
    trt_body {
        trt_await(trt_sleep(trt_ms(1)));
        trt_return(self->n + 1);
    }
}

int main(void)
{
    int out = 0;
    if (trt_run(hello, &out, .n = 41) != TRT_OK || out != 42)
        return 1;
    puts("ok");
    return 0;
}
