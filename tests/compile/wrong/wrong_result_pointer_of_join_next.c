#include "../../../taskrt.h"
struct f { int a; };
trt_async(int, f)
{
    trt_body { trt_return(self->a); }
}
#ifdef WRONG
#define TYPE unsigned char
#else
#define TYPE int
#endif
struct g { trt_join_set(f) set; TYPE out; };
trt_async(int, g)
{
    trt_body {
        trt_spawn_in(&self->set, f);
        trt_await(trt_join_next(&self->set, &self->out));
    }
}
int h(void);
int h(void) { return trt_run(g, NULL) == TRT_OK; }
