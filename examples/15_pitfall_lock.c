/* 15_pitfall_lock.c - pitfall 2: what belongs to a thread must not be held across an await.
 *
 * A task may go on in another thread after an await. A pthread mutex would then be unlocked by a
 * thread that does not own it, and until then it blocks whole workers rather than tasks. No C
 * compiler can see that. For a lock that is announced with trt_lock_held, a debug build reports a
 * task that suspends while its thread holds it. To see the report:
 *
 *     cc -std=c11 -g -DWRONG -pthread examples/15_pitfall_lock.c -o 15_pitfall_lock
 *
 * The cure is a trt_mutex, whose waiters are tasks, or to unlock before the await. The data is
 * shared in a trt_arc, whose count is atomic, and the last owner frees it.
 *
 *     cc -std=c11 -O2 -pthread examples/15_pitfall_lock.c -o 15_pitfall_lock
 */
#define TASKRT_IMPLEMENTATION
#include "../taskrt.h"

#include <pthread.h>
#include <stdio.h>

struct list {
    trt_mutex lock;
    int items[3];
};

struct print {
    struct list *list; /* one reference, dropped in the cleanup */
    trt_guard guard;
};
trt_async(trt_void, print)
{
    trt_body {
#ifdef WRONG
        static pthread_mutex_t thread_lock = PTHREAD_MUTEX_INITIALIZER;
        pthread_mutex_lock(&thread_lock);
        trt_lock_held(&thread_lock, "thread_lock");
        trt_await(trt_sleep(trt_ms(10)));
        trt_lock_released(&thread_lock);
        pthread_mutex_unlock(&thread_lock);
#endif
        trt_await_ok(trt_lock(&self->list->lock, &self->guard));
        trt_await(trt_sleep(trt_ms(10))); /* held across an await: right with a trt_mutex */
        const int *items = self->list->items;
        printf("[%d, %d, %d]\n", items[0], items[1], items[2]);
    }
    trt_cleanup { /* on every way out; nothing happens if the lock was never taken */
        trt_unlock(&self->guard);
        trt_arc_drop(self->list);
    }
}

struct program {
    struct list *list;
    trt_handle(print) task;
};
trt_async(trt_void, program)
{
    trt_body {
        self->list = trt_arc_new(sizeof *self->list, NULL);
        if (!self->list) trt_fail(TRT_NO_MEMORY);
        for (int i = 0; i < 3; i++) self->list->items[i] = i + 1;

        struct list *theirs = trt_arc_clone(self->list);
        self->task = trt_spawn(print, .list = theirs);
        if (!trt_spawned(self->task)) trt_arc_drop(theirs); /* no task: what it would own is ours */
        trt_await_ok(trt_join(self->task, NULL));
    }
    trt_cleanup { trt_arc_drop(self->list); }
}

int main(void)
{
    trt_status_code status = trt_run(program, NULL);
    if (status != TRT_OK) {
        fprintf(stderr, "15_pitfall_lock: %s\n", trt_strerror(status));
        return 1;
    }
    return 0;
}
