#include "../../../taskrt.h"
typedef trt_broadcast(int) ints;
typedef trt_subscriber(int) int_subscriber;
typedef trt_subscriber(double) double_subscriber;
#ifdef WRONG
#define SUBSCRIBER double_subscriber
#else
#define SUBSCRIBER int_subscriber
#endif
struct f { ints b; SUBSCRIBER s; };
trt_async(int, f)
{
    trt_body {
        if (trt_broadcast_init(&self->b, 4) == TRT_OK)
            trt_subscribe(&self->b, &self->s);
    }
    trt_cleanup {
        trt_unsubscribe(&self->s);
        trt_broadcast_free(&self->b);
    }
}
int g(void);
int g(void)
{
    double_subscriber unused = {0};
    int_subscriber unused_too = {0};
    (void)unused, (void)unused_too;
    return trt_run(f, NULL) == TRT_OK;
}
