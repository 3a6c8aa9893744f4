#include "../../../taskrt.h"
struct f { trt_semaphore s; trt_permit p; };
trt_async(int, f)
{
    trt_body {
        trt_semaphore_init(&self->s, 1);
#ifdef WRONG
        trt_acquire(&self->s, &self->p);
#else
        trt_await(trt_acquire(&self->s, &self->p));
#endif
    }
}
int g(void);
int g(void) { return trt_run(f, NULL) == TRT_OK; }
