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
#endif
