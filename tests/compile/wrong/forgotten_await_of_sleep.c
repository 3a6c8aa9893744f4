#include "../../../taskrt.h"
struct f { int a; };
trt_async(int, f)
{
    trt_body {
#ifdef WRONG
        trt_sleep(trt_ms(1));
#else
        trt_await(trt_sleep(trt_ms(1)));
#endif
    }
}
int g(void);
int g(void) { return trt_run(f, NULL) == TRT_OK; }
