/* 12_detach.c - a task that nobody joins still runs, and can report through a oneshot.
 *
 * Nothing waits for a detached task: the runtime cancels it if the program ends first. So what it
 * uses must outlive it: static memory here, a trt_arc where there is more than one.
 *
 *     cc -std=c11 -O2 -pthread examples/12_detach.c -o 12_detach
 */
#define TASKRT_IMPLEMENTATION
#include "../taskrt.h"

#include <stdio.h>

typedef trt_oneshot(const char *) message;

struct background {
    message *reply;
};
trt_async(trt_void, background)
{
    trt_body {
        trt_status_code sent = trt_oneshot_send(self->reply, "background work finished");
        if (sent != TRT_OK) trt_fail(sent);
    }
    trt_cleanup { trt_oneshot_close(self->reply); } /* if nothing was sent, nobody waits for ever */
}

struct program {
    const char *text;
};
trt_async(trt_void, program)
{
    trt_body {
        static message reply;
        trt_status_code spawned = trt_spawn_detached(background, .reply = &reply);
        if (spawned != TRT_OK) trt_fail(spawned);

        trt_await_ok(trt_oneshot_recv(&reply, &self->text)); /* TRT_CLOSED: the sender gave up */
        printf("%s\n", self->text);
    }
}

int main(void)
{
    trt_status_code status = trt_run(program, NULL);
    if (status != TRT_OK) {
        fprintf(stderr, "12_detach: %s\n", trt_strerror(status));
        return 1;
    }
    return 0;
}
