#include "../../../taskrt.h"
#define FOUR trt_yield(), trt_yield(), trt_yield(), trt_yield()
struct f { int a; };
trt_async(int, f)
{
    trt_body {
#ifdef WRONG
        trt_await_any(FOUR, FOUR, FOUR, FOUR, trt_yield());
#else
        trt_await_any(FOUR, FOUR, FOUR, FOUR);
#endif
    }
}
int g(void);
int g(void) { return trt_run(f, NULL) == TRT_OK; }
