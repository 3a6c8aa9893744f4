#include "../../../taskrt.h"
struct c { int a; };
trt_blocking_fn(int, c) { return self->a; }
struct f { trt_job(c) job; };
trt_async(int, f)
{
    trt_body {
#ifdef WRONG
        trt_blocking(c, &self->job, .a = 1);
#else
        trt_await(trt_blocking(c, &self->job, .a = 1));
#endif
    }
}
int g(void);
int g(void) { return trt_run(f, NULL) == TRT_OK; }
