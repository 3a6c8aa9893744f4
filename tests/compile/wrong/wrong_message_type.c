#include "../../../taskrt.h"
typedef trt_channel(int) ints;
#ifdef WRONG
#define TYPE long
#else
#define TYPE int
#endif
struct f { ints c; TYPE v; };
trt_async(int, f)
{
    trt_body {
        if (trt_channel_init(&self->c, 1) == TRT_OK)
            trt_await(trt_send(&self->c, &self->v));
    }
    trt_cleanup { trt_channel_free(&self->c); }
}
int g(void);
int g(void) { return trt_run(f, NULL) == TRT_OK; }
