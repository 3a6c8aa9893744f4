/* Defines what two.h declares, and is the file with the implementation. */
#define TASKRT_IMPLEMENTATION
#include "two.h"

trt_async_def(int, twice)
{
    trt_body {
        trt_await(trt_yield());
        trt_return(2 * self->n);
    }
}
trt_async_def(struct point, shift)
{
    trt_body { trt_return((struct point){self->p.x + self->by, self->p.y + self->by}); }
}
trt_blocking_def(int, half) { return self->n / 2; }
/* Where C says that the last member lies, if it is where C++ has put it; else 0. */
trt_blocking_def(size_t, layout) { return self->objects->last == 42 ? offsetof(struct objects, last) : 0; }
