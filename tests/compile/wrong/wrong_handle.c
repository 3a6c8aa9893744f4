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
#ifdef WRONG
#define OTHER b
#else
#define OTHER a
#endif
struct f { trt_handle(a) h; };
trt_async(int, f)
{
    trt_body {
        trt_await(trt_join(trt_spawn(b), NULL));
        self->h = trt_spawn(OTHER);
        trt_await(trt_join(self->h, NULL));
    }
}
int g(void);
int g(void) { return trt_run(f, NULL) == TRT_OK; }
