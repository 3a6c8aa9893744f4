/* Declarations of coroutines and blocking functions that are defined in two_b.c. */
#ifndef TWO_H
#define TWO_H
#include "../../taskrt.h"

struct point { int x, y; };
struct twice { int n; };
trt_async_decl(int, twice);
struct shift { struct point p; int by; };
trt_async_decl(struct point, shift);
struct half { int n; };
trt_blocking_decl(int, half);

/* Objects behind something small: C and C++ must agree where they lie. */
struct objects {
    char a; trt_semaphore semaphore;
    char b; trt_mutex mutex;
    char c; trt_rwlock rwlock;
    char d; trt_notify notify;
    char e; trt_barrier barrier;
    char f; trt_once once;
    char g; trt_guard guard;
    char h; trt_channel(int) channel;
    char i; trt_broadcast(int) broadcast;
    char j; trt_watch(int) watch;
    char k; trt_oneshot(int) oneshot;
    char l; trt_interval interval;
    char m; trt_frame(twice) frame;
    char n; trt_job(half) job;
    char o; trt_join_set(half) set;
    char last;
};
struct layout { struct objects *objects; };
trt_blocking_decl(size_t, layout);
#endif
