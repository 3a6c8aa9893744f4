#include "../../../taskrt.h"
struct f { int a; };
trt_async(int, f)
{
    trt_body { trt_await(trt_yield()); }
}
int g(void);
int g(void)
{
#ifdef WRONG
    trt_await(trt_yield());
#endif
    return trt_run(f, NULL) == TRT_OK;
}
