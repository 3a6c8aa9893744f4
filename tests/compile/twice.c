/* Included several times, and the implementation after the declarations. */
#include "../../taskrt.h"
#include "../../taskrt.h"
struct hello { int n; };
trt_async(int, hello)
{
    trt_body { trt_return(self->n + 1); }
}
#define TASKRT_IMPLEMENTATION
#include "../../taskrt.h"
#undef TASKRT_IMPLEMENTATION
#include "../../taskrt.h"

#include <stdio.h>
int main(void)
{
    int out = 0;
    if (trt_run(hello, &out, .n = 41) != TRT_OK || out != 42)
        return 1;
    puts("ok");
    return 0;
}
