#include "../../../taskrt.h"
struct a { int n; };
trt_async(int, a)
{
    trt_body { trt_return(self->n); }
}
struct b { int n; };
trt_async(int, b)
{
    trt_body { trt_return(self->n); }
}
struct f { trt_frame(a) a; trt_frame(b) b; };
trt_async(int, f)
{
    trt_body {
        trt_await(trt_call(b, &self->b));
#ifdef WRONG
        trt_await(trt_call(a, &self->b));
#else
        trt_await(trt_call(a, &self->a));
#endif
    }
}
int g(void);
int g(void) { return trt_run(f, NULL) == TRT_OK; }
