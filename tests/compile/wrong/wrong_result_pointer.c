#include "../../../taskrt.h"
struct f { int a; };
trt_async(int, f)
{
    trt_body { trt_return(self->a); }
}
#ifdef WRONG
#define TYPE double
#else
#define TYPE int
#endif
struct g { trt_handle(f) h; TYPE out; };
trt_async(int, g)
{
    trt_body {
        self->h = trt_spawn(f);
        trt_await(trt_join(self->h, &self->out));
    }
}
int h(void);
int h(void) { return trt_run(g, NULL) == TRT_OK; }
