#include "../../../taskrt.h"
struct f { int a; };
trt_async(int, f)
{
    trt_body { trt_return(self->a); }
}
#ifdef WRONG
#define NAME .b
#else
#define NAME .a
#endif
int g(void);
int g(void) { return trt_run(f, NULL, NAME = 1) == TRT_OK; }
