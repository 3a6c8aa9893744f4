#include "../../../taskrt.h"
struct f { int n; };
trt_async(int, f)
{
    trt_body {
#ifdef WRONG
        int n = self->n + 1;
        trt_await(trt_sleep(trt_ms(1)));
        trt_return(n);
#else
        self->n++;
        trt_await(trt_sleep(trt_ms(1)));
        trt_return(self->n);
#endif
    }
}
int g(void);
int g(void) { return trt_run(f, NULL, .n = 1) == TRT_OK; }
