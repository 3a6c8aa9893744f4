#include "../../../taskrt.h"
struct point { int x, y; };
struct f { int n; };
trt_async_decl(struct point, f);
#ifdef WRONG
trt_async_def(int, f)
#else
trt_async_def(struct point, f)
#endif
{
    trt_body { self->n = 1; }
}
int g(void);
int g(void) { return trt_run(f, NULL) == TRT_OK; }
