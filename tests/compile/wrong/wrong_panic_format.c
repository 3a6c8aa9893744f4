#include "../../../taskrt.h"
struct f { int n; };
trt_async(int, f)
{
    trt_body {
#ifdef WRONG
        trt_panic("%s", self->n);
#else
        trt_panic("%d", self->n);
#endif
    }
}
int g(void);
int g(void) { return trt_run(f, NULL) == TRT_OK; }
