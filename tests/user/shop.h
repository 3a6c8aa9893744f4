/* shop.h - what the two files of this program share. See main.c. */
#ifndef SHOP_H
#define SHOP_H
#include "../../taskrt.h"

typedef struct order { int id, amount; char customer[16]; } order;
typedef trt_channel(order) orders;

/* What the shop is made of; it lives in an arc. No member is atomic: the runtime orders the accesses. */
typedef struct shop {
    orders counter;         /* from threads and tasks */
    trt_semaphore tills;
    trt_mutex lock;
    long turnover;          /* under the lock */
    trt_rwlock rules;
    int discount;           /* under rules */
    trt_broadcast(int) receipts;
    trt_watch(long) board;
    trt_oneshot(int) counting;
    trt_token *closing;
} shop;

/* Serves all orders, and the lines of a pipe, until both have ended. The turnover. */
struct open_shop { shop *shop; int lines; long turnover; };
trt_async_decl(long, open_shop);

/* 1 + 2 + ... + n, by forks. */
struct sum { int from, to; long left, right; };
trt_async_decl(long, sum);

/* Counts the receipts until the broadcast is closed. */
struct count_receipts {
    shop *shop;
    trt_subscriber(int) subscriber;
    int id, n;
};
trt_async_decl(int, count_receipts);

/* A task that never ends by itself, one that panics, a job that ends when asked to. */
struct loiter { int fd; };
trt_async_decl(trt_void, loiter);
struct stumble { int depth; };
trt_async_decl(trt_void, stumble);
struct doze { int least; };
trt_blocking_decl(int, doze);

/* For the virtual clock: sleeps for days. The hours that passed. */
struct calendar { int days, day; trt_instant begin; };
trt_async_decl(long, calendar);
#endif
