/* 25_echo.c - TCP with tasks: an echo server and three clients on the loopback interface.
 *
 * Sockets are non-blocking. A call that would block is preceded by an await for its descriptor:
 * trt_readable, trt_writable. Every descriptor is closed in a cleanup, after the last await on it.
 *
 *     cc -std=c11 -O2 -pthread examples/25_echo.c -o 25_echo
 */
#define _POSIX_C_SOURCE 200809L
#define TASKRT_IMPLEMENTATION
#include "../taskrt.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CLIENTS = 3 };

/* A non-blocking socket, or -1. */
static int open_socket(void)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd >= 0 && fcntl(fd, F_SETFL, O_NONBLOCK) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static bool would_block(void) { return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR; }

struct echo { /* the server's side of one connection */
    int fd;   /* closed when the task ends */
    char buffer[256];
    size_t length, sent;
};
trt_async(trt_void, echo)
{
    trt_body {
        for (;;) {
            trt_await_ok(trt_readable(self->fd));
            ssize_t got = recv(self->fd, self->buffer, sizeof self->buffer, 0);
            if (got == 0) break; /* the client is done */
            if (got < 0 && would_block()) continue;
            if (got < 0) trt_fail(TRT_ERRNO);
            self->length = (size_t)got;
            for (self->sent = 0; self->sent < self->length;) {
                trt_await_ok(trt_writable(self->fd));
                ssize_t put = send(self->fd, self->buffer + self->sent,
                                   self->length - self->sent, 0);
                if (put < 0 && !would_block()) trt_fail(TRT_ERRNO);
                if (put > 0) self->sent += (size_t)put;
            }
        }
    }
    trt_cleanup { close(self->fd); }
}

struct serve {
    int listener;
    trt_join_set(echo) connections; /* aborted and drained when the server is */
};
trt_async(trt_void, serve)
{
    trt_body {
        for (;;) {
            trt_await_ok(trt_readable(self->listener));
            int fd = accept(self->listener, NULL, NULL);
            if (fd < 0 && !would_block()) trt_fail(TRT_ERRNO);
            if (fd < 0) continue;
            bool ready = fcntl(fd, F_SETFL, O_NONBLOCK) == 0;
            if (!ready || !trt_spawned(trt_spawn_in(&self->connections, echo, .fd = fd))) close(fd);
            while (trt_set_len(&self->connections) > 0 &&
                   trt_try_join_next(&self->connections, NULL) != TRT_PENDING)
                continue; /* forgets the connections that have ended */
        }
    }
}

struct client {
    int id, fd;
    struct sockaddr_in server;
    char *reply; /* at least 32 bytes */
    char line[32];
    size_t length, received;
};
trt_async(trt_void, client)
{
    trt_body {
        self->length = (size_t)snprintf(self->line, sizeof self->line, "hello from %d", self->id);
        self->fd = open_socket();
        if (self->fd < 0) trt_fail(TRT_ERRNO);
        if (connect(self->fd, (const struct sockaddr *)&self->server, sizeof self->server) != 0) {
            if (errno != EINPROGRESS) trt_fail(TRT_ERRNO);
            trt_await_ok(trt_writable(self->fd)); /* connected, or failed: the send tells */
        }
        if (send(self->fd, self->line, self->length, 0) != (ssize_t)self->length)
            trt_fail(TRT_ERRNO); /* so short a line fits into any send buffer */
        while (self->received < self->length) {
            trt_await_ok(trt_readable(self->fd));
            ssize_t got = recv(self->fd, self->reply + self->received,
                               self->length - self->received, 0);
            if (got == 0) trt_fail(TRT_CLOSED);
            if (got < 0 && !would_block()) trt_fail(TRT_ERRNO);
            if (got > 0) self->received += (size_t)got;
        }
    }
    trt_cleanup {
        if (self->fd > 0) close(self->fd); /* 0: the body never ran */
    }
}

struct program {
    int listener;
    struct sockaddr_in address;
    trt_handle(serve) server;
    char replies[CLIENTS][32];
};
trt_async(trt_void, program)
{
    trt_body {
        self->server = trt_spawn(serve, .listener = self->listener);
        for (int i = 0; i < CLIENTS; i++)
            trt_fork(client, NULL, .id = i + 1, .server = self->address, .reply = self->replies[i]);
        trt_await_ok(trt_within(trt_s(30), trt_sync()));
        for (int i = 0; i < CLIENTS; i++) printf("%s\n", self->replies[i]);
    }
    trt_cleanup { trt_await(trt_stop(self->server)); }
}

int main(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address; /* port 0: the system chooses a free one */
    int listener = open_socket();
    signal(SIGPIPE, SIG_IGN); /* a peer that has gone is an error of the send, not the end of us */
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, size) != 0 ||
        listen(listener, CLIENTS) != 0 ||
        getsockname(listener, (struct sockaddr *)&address, &size) != 0) {
        perror("25_echo");
        return 1;
    }
    trt_status_code status = trt_run(program, NULL, .listener = listener, .address = address);
    close(listener);
    if (status != TRT_OK) {
        fprintf(stderr, "25_echo: %s\n", trt_strerror(status));
        return 1;
    }
    return 0;
}
