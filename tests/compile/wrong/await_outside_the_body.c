#include "../../../taskrt.h"
struct f { int a; };
trt_async(int, f)
{
#ifdef WRONG
    trt_await(trt_yield());
#endif
    trt_body { trt_await(trt_yield()); }
}
int g(void);
int g(void) { return trt_run(f, NULL) == TRT_OK; }
