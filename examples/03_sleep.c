/* 03_sleep.c - five waits that overlap.
 *
 * A sleeping task holds no thread, so five fetches of 50 ms each take about 50 ms together. The
 * results are joined in the order of the handles, whatever the order in which the tasks end.
 *
 *     cc -std=c11 -O2 -pthread examples/03_sleep.c -o 03_sleep
 */
#define TASKRT_IMPLEMENTATION
#include "../taskrt.h"

#include <stdio.h>

enum { USERS = 5 };

struct user {
    char name[24];
};

struct fetch_user {
    int id;
};
trt_async(struct user, fetch_user)
{
    trt_body {
        trt_await(trt_sleep(trt_ms(50))); /* stands for a database or network call */
        struct user user;
        snprintf(user.name, sizeof user.name, "user-%d", self->id);
        trt_return(user);
    }
}

struct program {
    trt_handle(fetch_user) tasks[USERS];
    struct user users[USERS];
    int i;
};
trt_async(trt_void, program)
{
    trt_body {
        for (self->i = 0; self->i < USERS; self->i++)
            self->tasks[self->i] = trt_spawn(fetch_user, .id = self->i + 1);
        for (self->i = 0; self->i < USERS; self->i++)
            trt_await_ok(trt_join(self->tasks[self->i], &self->users[self->i]));

        for (int i = 0; i < USERS; i++)
            printf("%s\"%s\"", i == 0 ? "[" : ", ", self->users[i].name);
        printf("]\n");
    }
    trt_cleanup { /* ends what a failure left behind; a task that was joined is left alone */
        for (self->i = 0; self->i < USERS; self->i++)
            trt_await(trt_stop(self->tasks[self->i]));
    }
}

int main(void)
{
    trt_status_code status = trt_run(program, NULL);
    if (status != TRT_OK) {
        fprintf(stderr, "03_sleep: %s\n", trt_strerror(status));
        return 1;
    }
    return 0;
}
