#include "../../../taskrt.h"
struct f { int a; };
trt_async(int, f)
{
    trt_body {
#ifdef WRONG
        trt_await(trt_yield()); trt_await(trt_yield());
#else
        trt_await_at(1, trt_yield()); trt_await_at(2, trt_yield());
#endif
    }
}
int g(void);
int g(void) { return trt_run(f, NULL) == TRT_OK; }
