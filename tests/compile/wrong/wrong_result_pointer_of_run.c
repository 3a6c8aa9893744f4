#include "../../../taskrt.h"
struct f { int a; };
trt_async(int, f)
{
    trt_body { trt_return(self->a); }
}
#ifdef WRONG
static long out;
#else
static int out;
#endif
int h(void);
int h(void) { return trt_run(f, &out) == TRT_OK; }
