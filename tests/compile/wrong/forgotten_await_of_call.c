#include "../../../taskrt.h"
struct c { int a; };
trt_async(int, c)
{
    trt_body { trt_return(self->a); }
}
struct f { trt_frame(c) child; };
trt_async(int, f)
{
    trt_body {
#ifdef WRONG
        trt_call(c, &self->child, .a = 1);
#else
        trt_await(trt_call(c, &self->child, .a = 1));
#endif
    }
}
int g(void);
int g(void) { return trt_run(f, NULL) == TRT_OK; }
