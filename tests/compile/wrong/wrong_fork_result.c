#include "../../../taskrt.h"
struct f { int a; };
trt_async(int, f)
{
    trt_body { trt_return(self->a); }
}
#ifdef WRONG
#define TYPE float
#else
#define TYPE int
#endif
struct g { TYPE out; };
trt_async(int, g)
{
    trt_body {
        trt_fork(f, &self->out);
        trt_await(trt_sync());
    }
}
int h(void);
int h(void) { return trt_run(g, NULL) == TRT_OK; }
