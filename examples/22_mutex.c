/* 22_mutex.c - a mutex between tasks, held across an await.
 *
 * Ten tasks move money between two accounts. Each reads, awaits and writes back; without the lock
 * money would appear or vanish. A guard is released in the cleanup, so no way out forgets it.
 *
 *     cc -std=c11 -O2 -pthread examples/22_mutex.c -o 22_mutex
 */
#define TASKRT_IMPLEMENTATION
#include "../taskrt.h"

#include <stdio.h>

enum { TASKS = 10, TRANSFERS = 100 };

struct bank {
    trt_mutex lock;
    long checking, savings;
};

struct move_money {
    struct bank *bank;
    int i;
    long checking, savings; /* as read under the lock */
    trt_guard guard;
};
trt_async(trt_void, move_money)
{
    trt_body {
        for (self->i = 0; self->i < TRANSFERS; self->i++) {
            trt_await_ok(trt_lock(&self->bank->lock, &self->guard));
            self->checking = self->bank->checking;
            self->savings = self->bank->savings;
            trt_await(trt_yield()); /* the others run now, and find the lock taken */
            self->bank->checking = self->checking - 1;
            self->bank->savings = self->savings + 1;
            trt_unlock(&self->guard);
        }
    }
    trt_cleanup { trt_unlock(&self->guard); } /* does nothing unless the loop was left half-way */
}

struct program {
    struct bank bank;
};
trt_async(trt_void, program)
{
    trt_body {
        self->bank.checking = 5000;
        for (int i = 0; i < TASKS; i++) trt_fork(move_money, NULL, .bank = &self->bank);
        trt_await_ok(trt_sync());
        printf("checking %ld, savings %ld\n", self->bank.checking, self->bank.savings);
    }
}

int main(void)
{
    trt_status_code status = trt_run(program, NULL);
    if (status != TRT_OK) {
        fprintf(stderr, "22_mutex: %s\n", trt_strerror(status));
        return 1;
    }
    return 0;
}
