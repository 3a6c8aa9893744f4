#include "../../../taskrt.h"
typedef trt_oneshot(int) one_int;
#ifdef WRONG
#define TYPE short
#else
#define TYPE int
#endif
struct f { one_int o; TYPE v; };
trt_async(int, f)
{
    trt_body { trt_await(trt_oneshot_recv(&self->o, &self->v)); }
}
int g(void);
int g(void) { return trt_run(f, NULL) == TRT_OK; }
