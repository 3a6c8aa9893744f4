#include <stdlib.h>
static size_t allocated;
static void *count_and_allocate(size_t size)
{
    allocated += size;
    return malloc(size);
}
#define TASKRT_STATIC
#define TASKRT_MALLOC(size) count_and_allocate(size)
#define TASKRT_FREE(p) free(p)
#define TASKRT_IMPLEMENTATION
#include "../../taskrt.h"

struct hello { int n; };
trt_async(int, hello)
{
    trt_body {
        trt_await(trt_yield());
        trt_return(self->n + 1);
    }
}

int other(void);
int other(void)
{
    int out = 0;
    return trt_run(hello, &out, .n = 6) == TRT_OK && allocated > 0 ? out : 0;
}
