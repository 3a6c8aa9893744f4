#include "../../../taskrt.h"
struct point { int x, y; };
struct f { int n; };
trt_async(struct point, f)
{
    trt_body {
#ifdef WRONG
        trt_return(self->n);
#else
        trt_return((struct point){self->n, 0});
#endif
    }
}
int g(void);
int g(void) { return trt_run(f, NULL) == TRT_OK; }
