#include "../../../taskrt.h"
struct c { int a; };
trt_async(int, c)
{
    trt_body { trt_return(self->a); }
}
struct f { int a; };
trt_async(int, f)
{
    trt_body {
#ifdef WRONG
        trt_spawn(c, .a = 1);
#else
        trt_detach(trt_spawn(c, .a = 1));
#endif
        trt_await(trt_yield());
    }
}
int g(void);
int g(void) { return trt_run(f, NULL) == TRT_OK; }
