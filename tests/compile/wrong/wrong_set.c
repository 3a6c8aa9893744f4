#include "../../../taskrt.h"
struct f { int a; };
trt_async(int, f)
{
    trt_body { trt_return(self->a); }
}
#ifdef WRONG
typedef trt_join_set_of(double) set;
#else
typedef trt_join_set_of(int) set;
#endif
struct g { set members; };
trt_async(int, g)
{
    trt_body {
        trt_spawn_in(&self->members, f, .a = 1);
        trt_await(trt_set_shutdown(&self->members));
    }
}
int h(void);
int h(void) { return trt_run(g, NULL) == TRT_OK; }
