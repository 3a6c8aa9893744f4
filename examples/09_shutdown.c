/* 09_shutdown.c - end well on SIGTERM: stop taking work, let everybody save, then leave.
 *
 * The signal handler does the one thing that a handler may do, it writes a byte into a pipe, and a
 * task waits for that pipe. A token carries the news to every worker, at whatever await it is. What
 * must happen in any case, after an abort or a panic too, stands in the cleanup, which may await.
 *
 *     cc -std=c11 -O2 -pthread examples/09_shutdown.c -o 09_shutdown
 */
#define _POSIX_C_SOURCE 200809L
#define TASKRT_IMPLEMENTATION
#include "../taskrt.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

enum { WORKERS = 3 };

static int signal_pipe[2];

static void on_signal(int number)
{
    int kept = errno;
    unsigned char byte = (unsigned char)number;
    if (write(signal_pipe[1], &byte, 1) < 0) { /* full: a signal is waiting to be read already */
    }
    errno = kept;
}

struct worker {
    trt_barrier *ready;
    trt_token *stop;
    bool *saved;
    bool leader;
};
trt_async(trt_void, worker)
{
    trt_body {
        trt_await_ok(trt_barrier_wait(self->ready, &self->leader));
        do { /* a piece of work, again and again, until told to stop */
            trt_await(trt_within(trt_ms(5), trt_token_wait(self->stop)));
        } while (trt_status() == TRT_TIMED_OUT);
    }
    trt_cleanup {
        trt_await(trt_sleep(trt_ms(5))); /* stands for writing the unfinished work to disk */
        *self->saved = true;
    }
}

struct server {
    trt_barrier ready;
    trt_token *stop;
    bool saved[WORKERS], leader;
};
trt_async(trt_void, server)
{
    trt_body {
        self->stop = trt_token_new(NULL);
        if (!self->stop) trt_fail(TRT_NO_MEMORY);
        trt_status_code made = trt_barrier_init(&self->ready, WORKERS + 1);
        if (made != TRT_OK) trt_fail(made);
        for (int i = 0; i < WORKERS; i++)
            trt_fork(worker, NULL, .ready = &self->ready, .stop = self->stop,
                     .saved = &self->saved[i]);
        trt_await_ok(trt_barrier_wait(&self->ready, &self->leader));
        printf("all workers are busy\n");

        raise(SIGTERM); /* what an operator's `kill` would do */
        trt_await_ok(trt_readable(signal_pipe[0]));
        printf("asked to stop\n");
        trt_token_cancel(self->stop);
        trt_await_ok(trt_sync());
        for (int i = 0; i < WORKERS; i++)
            printf("worker %d: %s\n", i + 1, self->saved[i] ? "saved" : "lost its work");
    }
    trt_cleanup { trt_token_free(self->stop); }
}

int main(void)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    if (pipe(signal_pipe) != 0 || sigaction(SIGTERM, &action, NULL) != 0) {
        perror("09_shutdown");
        return 1;
    }
    trt_status_code status = trt_run(server, NULL);
    if (status != TRT_OK) {
        fprintf(stderr, "09_shutdown: %s\n", trt_strerror(status));
        return 1;
    }
    return 0;
}
