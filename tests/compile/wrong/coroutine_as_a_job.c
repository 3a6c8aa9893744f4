#include "../../../taskrt.h"
struct f { int a; };
trt_async(int, f)
{
    trt_body { trt_await(trt_yield()); }
}
struct b { int a; };
trt_blocking_fn(int, b) { return self->a; }
struct r { trt_join_set_of(int) set; };
trt_async(int, r)
{
    trt_body {
        trt_spawn_blocking_in(&self->set, b, .a = 1);
#ifdef WRONG
        trt_detach(trt_spawn_blocking(f, .a = 1));
#else
        trt_detach(trt_spawn_blocking(b, .a = 1));
#endif
    }
}
int g(void);
int g(void) { return trt_run(r, NULL) == TRT_OK; }
