/* Readiness of file descriptors. */
#include "harness.h"
#include <sys/resource.h>
#include <sys/socket.h>
#define TASKRT_IMPLEMENTATION
#include "../taskrt.h"
#include "common.h"

static void pair_of_sockets(int fd[2])
{
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, fd))
        perror("socketpair");
    for (int i = 0; i < 2; i++)
        fcntl(fd[i], F_SETFL, fcntl(fd[i], F_GETFL) | O_NONBLOCK);
}
static void pipe_of(int fd[2])
{
    if (pipe(fd))
        perror("pipe");
    for (int i = 0; i < 2; i++)
        fcntl(fd[i], F_SETFL, fcntl(fd[i], F_GETFL) | O_NONBLOCK);
}
static void put(int fd, char c) { CHECK_EQ(write(fd, &c, 1), 1); }
static int get(int fd)
{
    char c;
    return read(fd, &c, 1) == 1 ? c : -1;
}
static void fill(int fd)
{
    static const char bytes[65536];
    while (write(fd, bytes, sizeof bytes) > 0)
        ;
}
static void drain(int fd)
{
    static char bytes[65536];
    while (read(fd, bytes, sizeof bytes) > 0)
        ;
}

struct waits_readable { int fd; char mark; };
trt_async(int, waits_readable)
{
    trt_body {
        trt_await_ok(trt_readable(self->fd));
        if (self->mark)
            letter(self->mark);
        trt_return(0);
    }
}
struct waits_writable { int fd; char mark; };
trt_async(int, waits_writable)
{
    trt_body {
        trt_await_ok(trt_writable(self->fd));
        if (self->mark)
            letter(self->mark);
        trt_return(0);
    }
}

struct basics { int fd[2]; };
trt_async(int, basics)
{
    trt_body {
        pipe_of(self->fd);
        trt_await(trt_writable(self->fd[1]));
        CHECK_EQ(trt_status(), TRT_OK);
        trt_await(trt_within(trt_ms(2), trt_readable(self->fd[0])));
        CHECK_EQ(trt_status(), TRT_TIMED_OUT);
        put(self->fd[1], 'x');
        trt_await(trt_readable(self->fd[0]));
        CHECK_EQ(trt_status(), TRT_OK);
        trt_await(trt_readable(self->fd[0])); /* still there */
        CHECK_EQ(trt_status(), TRT_OK);
        CHECK_EQ(get(self->fd[0]), 'x');
        trt_await(trt_within(trt_ms(2), trt_readable(self->fd[0])));
        CHECK_EQ(trt_status(), TRT_TIMED_OUT); /* not any more */
        put(self->fd[1], 'y');
        trt_await(trt_within(trt_s(10), trt_readable(self->fd[0])));
        CHECK_EQ(trt_status(), TRT_OK);
        CHECK_EQ(get(self->fd[0]), 'y');
    }
    trt_cleanup {
        close(self->fd[0]);
        close(self->fd[1]);
    }
}

TEST(a_pipe_is_readable_while_it_holds_data)
{
    CHECK_EQ(trt_run_with(&on_one_thread, basics, NULL), TRT_OK);
    CHECK_EQ(trt_run_with(&on_two_workers, basics, NULL), TRT_OK);
}

static void *writes_later(void *fd)
{
    for (int i = 0; i < 20; i++)
        harness_pause();
    put(*(int *)fd, 'z');
    return NULL;
}
struct from_thread { int fd[2]; pthread_t thread; };
trt_async(int, from_thread)
{
    trt_body {
        pipe_of(self->fd);
        pthread_create(&self->thread, NULL, writes_later, &self->fd[1]);
        trt_await(trt_readable(self->fd[0])); /* nothing else to do: the workers sleep in the poller */
        CHECK_EQ(trt_status(), TRT_OK);
        CHECK_EQ(get(self->fd[0]), 'z');
        pthread_join(self->thread, NULL);
    }
    trt_cleanup {
        close(self->fd[0]);
        close(self->fd[1]);
    }
}

TEST(data_from_a_thread_wakes_a_sleeping_runtime)
{
    CHECK_EQ(trt_run_with(&on_one_thread, from_thread, NULL), TRT_OK);
    CHECK_EQ(trt_run_with(&on_one_worker, from_thread, NULL), TRT_OK);
    CHECK_EQ(trt_run_with(&on_four_workers, from_thread, NULL), TRT_OK);
}

struct two_on_one { int fd[2]; trt_handle(waits_readable) a, b; trt_handle(waits_writable) c; };
trt_async(int, two_on_one)
{
    trt_body {
        pair_of_sockets(self->fd);
        fill(self->fd[0]);
        self->a = trt_spawn(waits_readable, .fd = self->fd[0], .mark = 'r');
        self->b = trt_spawn(waits_readable, .fd = self->fd[0], .mark = 'r');
        self->c = trt_spawn(waits_writable, .fd = self->fd[0], .mark = 'w');
        trt_await(trt_sleep(trt_ms(2)));
        CHECK(letters_are(""));
        put(self->fd[1], 'x'); /* both readers, not the writer */
        trt_await_ok(trt_join(self->a, NULL));
        trt_await_ok(trt_join(self->b, NULL));
        CHECK(letters_are("rr"));
        CHECK(!trt_is_finished(self->c));
        drain(self->fd[1]);
        trt_await_ok(trt_join(self->c, NULL));
        CHECK(letters_are("rrw"));
        letters[0] = 0;
    }
    trt_cleanup {
        trt_await(trt_stop(self->a));
        trt_await(trt_stop(self->b));
        trt_await(trt_stop(self->c));
        close(self->fd[0]);
        close(self->fd[1]);
    }
}

TEST(several_waiters_on_one_fd_in_both_directions)
{
    CHECK_EQ(trt_run_with(&on_one_thread, two_on_one, NULL), TRT_OK);
    CHECK_EQ(trt_run_with(&on_two_workers, two_on_one, NULL), TRT_OK);
}

struct one_leaves { int fd[2]; trt_handle(waits_readable) a, b; };
trt_async(int, one_leaves)
{
    trt_body {
        pair_of_sockets(self->fd);
        self->a = trt_spawn(waits_readable, .fd = self->fd[0]);
        self->b = trt_spawn(waits_readable, .fd = self->fd[0]);
        trt_await(trt_sleep(trt_ms(1)));
        trt_abort(self->a);
        trt_await(trt_join(self->a, NULL));
        CHECK_EQ(trt_status(), TRT_CANCELLED);
        put(self->fd[1], 'x');
        trt_await(trt_join(self->b, NULL));
        CHECK_EQ(trt_status(), TRT_OK);
    }
    trt_cleanup {
        trt_await(trt_stop(self->b));
        close(self->fd[0]);
        close(self->fd[1]);
    }
}

TEST(an_aborted_waiter_leaves_the_others_on_the_fd)
{
    CHECK_EQ(trt_run_with(&on_two_workers, one_leaves, NULL), TRT_OK);
}

struct hang_up { int fd[2]; int pipe[2]; trt_handle(waits_readable) r; trt_handle(waits_writable) w, pw; };
trt_async(int, hang_up)
{
    trt_body {
        pair_of_sockets(self->fd);
        fill(self->fd[0]);
        self->r = trt_spawn(waits_readable, .fd = self->fd[0], .mark = 'r');
        self->w = trt_spawn(waits_writable, .fd = self->fd[0], .mark = 'w');
        trt_await(trt_sleep(trt_ms(1)));
        CHECK_STR(letters, "");
        close(self->fd[1]); /* the other end goes: both are done, whatever read and write say */
        trt_await(trt_join(self->r, NULL));
        CHECK_EQ(trt_status(), TRT_OK);
        trt_await(trt_join(self->w, NULL));
        CHECK_EQ(trt_status(), TRT_OK);
        close(self->fd[0]);

        pipe_of(self->pipe);
        fill(self->pipe[1]);
        self->pw = trt_spawn(waits_writable, .fd = self->pipe[1]);
        trt_await(trt_sleep(trt_ms(1)));
        CHECK(!trt_is_finished(self->pw));
        close(self->pipe[0]); /* an error condition at the writing end */
        trt_await(trt_join(self->pw, NULL));
        CHECK_EQ(trt_status(), TRT_OK);
        close(self->pipe[1]);
    }
}

TEST(hang_up_and_error_wake_both_directions)
{
    CHECK_EQ(trt_run_with(&on_two_workers, hang_up, NULL), TRT_OK);
    CHECK_EQ(strlen(letters), 2);
}

struct end_of_file { int fd[2]; };
trt_async(int, end_of_file)
{
    trt_body {
        pipe_of(self->fd);
        close(self->fd[1]);
        trt_await(trt_within(trt_s(10), trt_readable(self->fd[0])));
        CHECK_EQ(trt_status(), TRT_OK);
        CHECK_EQ(get(self->fd[0]), -1);
        trt_await(trt_within(trt_s(10), trt_readable(self->fd[0]))); /* and again */
        CHECK_EQ(trt_status(), TRT_OK);
        close(self->fd[0]);
    }
}

TEST(end_of_file_is_readable) { CHECK_EQ(trt_run_with(&on_one_thread, end_of_file, NULL), TRT_OK); }

struct reused { int fd[2], i, first; trt_handle(waits_readable) h; };
trt_async(int, reused)
{
    trt_body {
        for (self->i = 0; self->i < 100; self->i++) {
            if (self->i % 2)
                pipe_of(self->fd);
            else
                pair_of_sockets(self->fd);
            if (self->i == 0)
                self->first = self->fd[0];
            CHECK_EQ(self->fd[0], self->first); /* the same number, another file */
            trt_await(trt_within(trt_us(100), trt_readable(self->fd[0])));
            CHECK_EQ(trt_status(), TRT_TIMED_OUT);
            self->h = trt_spawn(waits_readable, .fd = self->fd[0]);
            trt_await(trt_yield());
            put(self->fd[1], 'x');
            trt_await(trt_within(trt_s(10), trt_join(self->h, NULL)));
            CHECK_EQ(trt_status(), TRT_OK);
            CHECK_EQ(get(self->fd[0]), 'x');
            close(self->fd[0]);
            close(self->fd[1]);
        }
    }
}

TEST(an_fd_may_be_closed_and_its_number_used_again)
{
    CHECK_EQ(trt_run_with(&on_one_thread, reused, NULL), TRT_OK);
    CHECK_EQ(trt_run_with(&on_two_workers, reused, NULL), TRT_OK);
}

/* The waits of one task for the same fd: what it left, what came while it did not wait, what comes later. */
struct same_fd { int fd[2], i, how; trt_handle(waits_readable) other; };
trt_async(int, same_fd)
{
    trt_body {
        pipe_of(self->fd);
        for (self->i = 0; self->i < 60; self->i++) {
            self->how = self->i % 6;
            put(self->fd[1], 'a');
            if (self->how == 1)
                put(self->fd[1], 'b');
            if (self->how == 2)
                trt_await(trt_yield());
            trt_await_ok(trt_readable(self->fd[0]));
            CHECK_EQ(get(self->fd[0]), 'a');
            if (self->how == 1) {
                trt_await_ok(trt_within(trt_s(self->i % 12 == 1 ? 60 : 0), trt_readable(self->fd[0])));
                CHECK_EQ(get(self->fd[0]), 'b');
            }
            if (self->how == 3) {
                trt_await(trt_within(trt_ms(1), trt_readable(self->fd[0])));
                CHECK_EQ(trt_status(), TRT_TIMED_OUT);
            }
            if (self->how == 4) { /* another file of the same number */
                close(self->fd[0]);
                close(self->fd[1]);
                pipe_of(self->fd);
            }
            if (self->how == 5) { /* another task waits in between */
                put(self->fd[1], 'c');
                self->other = trt_spawn(waits_readable, .fd = self->fd[0]);
                trt_await_ok(trt_join(self->other, NULL));
                trt_await_ok(trt_readable(self->fd[0]));
                CHECK_EQ(get(self->fd[0]), 'c');
            }
        }
        trt_return(0);
    }
    trt_cleanup {
        close(self->fd[0]);
        close(self->fd[1]);
    }
}
TEST(one_task_waits_for_an_fd_again_and_again)
{
    CHECK_EQ(trt_run_with(&on_one_thread, same_fd, NULL), TRT_OK);
    CHECK_EQ(trt_run(same_fd, NULL), TRT_OK);
    CHECK_EQ(trt_run_with(&on_virtual_clock, same_fd, NULL), TRT_OK);
}

struct bad_fd { int fd[2], i; };
trt_async(int, bad_fd)
{
    trt_body {
        trt_await(trt_readable(-1));
        CHECK_EQ(trt_status(), TRT_ERRNO);
        CHECK_EQ(trt_errno(), EBADF);
        pipe_of(self->fd);
        close(self->fd[0]);
        close(self->fd[1]);
        trt_await(trt_writable(self->fd[1]));
        CHECK_EQ(trt_status(), TRT_ERRNO);
        CHECK_EQ(trt_errno(), EBADF);
        trt_await(trt_within(trt_s(1), trt_readable(self->fd[0])));
        CHECK_EQ(trt_status(), TRT_ERRNO);
        CHECK_EQ(trt_errno(), EBADF);
        pipe_of(self->fd);
        trt_await(trt_within(trt_ms(1), trt_readable(self->fd[0]))); /* opens the poller */
        CHECK_EQ(trt_status(), TRT_TIMED_OUT);
        close(self->fd[0]);
        trt_await(trt_readable(self->fd[0])); /* one that it has waited for */
        CHECK_EQ(trt_status(), TRT_ERRNO);
        CHECK_EQ(trt_errno(), EBADF);
        close(self->fd[1]);
        trt_await_all(trt_readable(-1), trt_writable(self->fd[1]));
        for (self->i = 0; self->i < 2; self->i++)
            CHECK_EQ(trt_status_of(self->i), TRT_ERRNO);
    }
}

TEST(a_bad_fd_gives_trt_errno)
{
    CHECK_EQ(trt_run_with(&on_one_thread, bad_fd, NULL), TRT_OK);
}

struct regular { int fd; char path[40]; };
trt_async(int, regular)
{
    trt_body {
        strcpy(self->path, "/tmp/taskrt-regular-XXXXXX");
        self->fd = mkstemp(self->path);
        unlink(self->path);
        trt_await(trt_within(trt_s(10), trt_readable(self->fd))); /* always ready, as poll says */
        CHECK_EQ(trt_status(), TRT_OK);
        trt_await(trt_within(trt_s(10), trt_writable(self->fd)));
        CHECK_EQ(trt_status(), TRT_OK);
        close(self->fd);
    }
}

/* However the operation starts: tried, tried later, in a group. */
struct always_ready { int fd, i; trt_frame(waits_writable) child; };
trt_async(int, always_ready)
{
    trt_body {
        for (self->i = 0; self->i < 300; self->i++) /* more than the budget */
            trt_await_ok(trt_readable(self->fd));
        trt_await_all(trt_readable(self->fd), trt_writable(self->fd));
        CHECK_EQ(trt_status(), TRT_OK);
        CHECK_EQ(trt_status_of(0), TRT_OK);
        CHECK_EQ(trt_status_of(1), TRT_OK);
        trt_await_any_biased(trt_readable(self->fd), trt_call(waits_writable, &self->child, .fd = self->fd));
        CHECK_EQ(trt_chosen(), 0);
        CHECK_EQ(trt_status(), TRT_OK);
        trt_return(0);
    }
}

TEST(a_regular_file_is_always_ready)
{
    int null = open("/dev/null", O_RDWR), out;
    CHECK_EQ(trt_run_with(&on_one_thread, regular, NULL), TRT_OK);
    CHECK_EQ(trt_run_with(&on_one_thread, always_ready, &out, .fd = null), TRT_OK);
    CHECK_EQ(trt_run_with(&on_two_workers, always_ready, &out, .fd = null), TRT_OK);
    close(null);
}

/* What is ready wins against what is written behind it, whatever the poller would tell. */
struct ready_first { int fd[2], i; };
trt_async(int, ready_first)
{
    trt_body {
        pipe_of(self->fd);
        put(self->fd[1], 'x');
        for (self->i = 0; self->i < 300; self->i++) {
            trt_await_any_biased(trt_readable(self->fd[0]), trt_sleep(0));
            CHECK_EQ(trt_chosen(), 0);
            trt_await(trt_within(self->i % 2 ? 0 : trt_ms(30), trt_readable(self->fd[0])));
            CHECK_EQ(trt_status(), TRT_OK);
        }
        CHECK_EQ(get(self->fd[0]), 'x');
        trt_await_any_biased(trt_readable(self->fd[0]), trt_sleep(0));
        CHECK_EQ(trt_chosen(), 1);
        trt_return(0);
    }
    trt_cleanup {
        close(self->fd[0]);
        close(self->fd[1]);
    }
}
TEST(what_is_ready_wins_in_a_group)
{
    CHECK_EQ(trt_run_with(&on_one_thread, ready_first, NULL), TRT_OK);
    CHECK_EQ(trt_run_with(&on_two_workers, ready_first, NULL), TRT_OK);
}

struct puts_soon { int fd; };
trt_async(int, puts_soon)
{
    trt_body {
        trt_await(trt_yield());
        put(self->fd, 's');
    }
}

/* Polls that are not short keep a worker from many rounds of maintenance: what a reader has left, and
 * another file of the same number, are found after a few of them. */
static atomic_int polls_of_hog;
static atomic_bool hog_stops;
struct hog { trt_void none; };
trt_async(int, hog)
{
    trt_body {
        while (!hog_stops) {
            trt_instant until = trt_now() + trt_us(300);
            while (trt_now() < until) {}
            polls_of_hog++;
            trt_await(trt_yield());
        }
        trt_return(0);
    }
}
struct beside_hog { int fd[2], i, start; trt_handle(hog) hog; };
trt_async(int, beside_hog)
{
    trt_body {
        hog_stops = false;
        self->hog = trt_spawn(hog);
        pipe_of(self->fd);
        trt_await(trt_within(trt_ms(1), trt_readable(self->fd[0])));
        CHECK_EQ(trt_status(), TRT_TIMED_OUT);
        put(self->fd[1], 'c');
        put(self->fd[1], 'd');
        trt_await_ok(trt_readable(self->fd[0])); /* an edge */
        CHECK_EQ(get(self->fd[0]), 'c');
        self->start = polls_of_hog;
        trt_await_ok(trt_readable(self->fd[0])); /* none */
        CHECK(polls_of_hog - self->start <= 400);
        for (self->i = 0; self->i < 10; self->i++) {
            close(self->fd[0]);
            close(self->fd[1]);
            pipe_of(self->fd);
            trt_await(trt_yield());
            self->start = polls_of_hog;
            trt_detach(trt_spawn(puts_soon, .fd = self->fd[1]));
            trt_await_ok(trt_readable(self->fd[0]));
            CHECK_EQ(get(self->fd[0]), 's');
            CHECK(polls_of_hog - self->start <= 400);
        }
        trt_return(0);
    }
    trt_cleanup {
        hog_stops = true;
        trt_await(trt_stop(self->hog));
        close(self->fd[0]);
        close(self->fd[1]);
    }
}
TEST(fds_are_verified_in_time_beside_long_polls)
{
    CHECK_EQ(trt_run_with(&on_one_worker, beside_hog, NULL), TRT_OK);
}

struct in_groups { int a[2], b[2], i; trt_frame(waits_readable) child; };
trt_async(int, in_groups)
{
    trt_body {
        pipe_of(self->a);
        pipe_of(self->b);
        for (self->i = 0; self->i < 100; self->i++) {
            put(self->i % 2 ? self->a[1] : self->b[1], 'x');
            trt_await_any(trt_readable(self->a[0]), trt_readable(self->b[0]), trt_sleep(trt_s(10)));
            CHECK_EQ(trt_chosen(), self->i % 2 ? 0 : 1);
            CHECK_EQ(trt_status(), TRT_OK);
            CHECK_EQ(get(self->i % 2 ? self->a[0] : self->b[0]), 'x');
        }
        trt_await(trt_within(trt_ms(1), trt_call(waits_readable, &self->child, .fd = self->a[0])));
        CHECK_EQ(trt_status(), TRT_TIMED_OUT);
        put(self->a[1], 'x');
        put(self->b[1], 'x');
        trt_await_all(trt_readable(self->a[0]), trt_readable(self->b[0]), trt_call(waits_readable, &self->child, .fd = self->a[0]));
        CHECK_EQ(trt_status(), TRT_OK);
    }
    trt_cleanup {
        for (self->i = 0; self->i < 2; self->i++) {
            close(self->a[self->i]);
            close(self->b[self->i]);
        }
    }
}

TEST(fds_in_groups_and_within_deadlines)
{
    CHECK_EQ(trt_run_with(&on_one_thread, in_groups, NULL), TRT_OK);
    CHECK_EQ(trt_run_with(&on_two_workers, in_groups, NULL), TRT_OK);
}

/* Bytes through two hundred socket pairs at once, each with a reader and a writer that wait. */
struct reader { int fd; long want, got; unsigned sum; };
trt_async(unsigned, reader)
{
    trt_body {
        while (self->got < self->want) {
            unsigned char bytes[512];
            ssize_t n = read(self->fd, bytes, sizeof bytes);
            if (n > 0) {
                for (ssize_t i = 0; i < n; i++)
                    self->sum += bytes[i];
                self->got += n;
                continue;
            }
            CHECK(n < 0 && errno == EAGAIN);
            trt_await_ok(trt_readable(self->fd));
        }
        trt_return(self->sum);
    }
}
struct writer { int fd; long left; };
trt_async(int, writer)
{
    trt_body {
        while (self->left > 0) {
            unsigned char bytes[512];
            memset(bytes, 3, sizeof bytes);
            ssize_t n = write(self->fd, bytes, self->left < 512 ? (size_t)self->left : 512);
            if (n > 0) {
                self->left -= n;
                continue;
            }
            trt_await_ok(trt_writable(self->fd));
        }
    }
}
struct traffic { int n, i; long bytes; int (*fd)[2]; trt_join_set(reader) readers; trt_join_set(writer) writers; unsigned sum; };
trt_async(int, traffic)
{
    trt_body {
        for (self->i = 0; self->i < self->n; self->i++) {
            pair_of_sockets(self->fd[self->i]);
            trt_spawn_in(&self->readers, reader, .fd = self->fd[self->i][0], .want = self->bytes);
            trt_spawn_in(&self->writers, writer, .fd = self->fd[self->i][1], .left = self->bytes);
        }
        for (self->i = 0; self->i < self->n; self->i++) {
            trt_await(trt_join_next(&self->readers, &self->sum));
            CHECK_EQ(trt_status(), TRT_OK);
            CHECK_EQ(self->sum, 3 * self->bytes);
        }
        for (self->i = 0; self->i < self->n; self->i++) {
            trt_await(trt_join_next(&self->writers, NULL));
            CHECK_EQ(trt_status(), TRT_OK);
        }
        for (self->i = 0; self->i < self->n; self->i++) {
            close(self->fd[self->i][0]);
            close(self->fd[self->i][1]);
        }
    }
}

TEST(two_hundred_socket_pairs)
{
    int (*fd)[2] = calloc(200, sizeof *fd);
    long bytes = ROUNDS(300000);
    CHECK_EQ(trt_run_with(&on_one_thread, traffic, NULL, .n = 20, .bytes = bytes, .fd = fd), TRT_OK);
    CHECK_EQ(trt_run_with(&on_two_workers, traffic, NULL, .n = 200, .bytes = bytes / 4 + 1, .fd = fd), TRT_OK);
    CHECK_EQ(trt_run_with(&on_four_workers, traffic, NULL, .n = 200, .bytes = bytes / 4 + 1, .fd = fd), TRT_OK);
    free(fd);
}

struct ping { int fd; long i, n; };
trt_async(int, ping)
{
    trt_body {
        for (self->i = 0; self->i < self->n; self->i++) {
            put(self->fd, 'p');
            trt_await_ok(trt_readable(self->fd));
            CHECK_EQ(get(self->fd), 'p');
        }
    }
}
struct pings { int fd[2]; long n; trt_handle(ping) a, b; };
trt_async(int, pings)
{
    trt_body {
        pair_of_sockets(self->fd);
        self->a = trt_spawn(ping, .fd = self->fd[0], .n = self->n);
        self->b = trt_spawn(ping, .fd = self->fd[1], .n = self->n);
        trt_await_ok(trt_join(self->a, NULL));
        trt_await_ok(trt_join(self->b, NULL));
    }
    trt_cleanup {
        trt_await(trt_stop(self->a));
        trt_await(trt_stop(self->b));
        close(self->fd[0]);
        close(self->fd[1]);
    }
}

TEST(ping_pong_over_a_socket_pair)
{
    CHECK_EQ(trt_run_with(&on_one_thread, pings, NULL, .n = ROUNDS(5000)), TRT_OK);
    CHECK_EQ(trt_run_with(&on_two_workers, pings, NULL, .n = ROUNDS(5000)), TRT_OK);
}

struct spins { atomic_bool *stop; };
trt_async(int, spins)
{
    trt_body {
        while (!atomic_load(self->stop))
            trt_await(trt_yield());
    }
}
struct under_load { atomic_bool stop; trt_handle(spins) h; trt_frame(pings) p; };
trt_async(int, under_load)
{
    trt_body {
        self->h = trt_spawn(spins, .stop = &self->stop);
        trt_await_ok(trt_call(pings, &self->p, .n = 200));
        atomic_store(&self->stop, true);
        trt_await_ok(trt_join(self->h, NULL));
    }
}

TEST(fds_are_looked_at_under_any_load)
{
    CHECK_EQ(trt_run_with(&on_one_thread, under_load, NULL), TRT_OK);
    CHECK_EQ(trt_run_with(&on_one_worker, under_load, NULL), TRT_OK);
}

struct virtual_fd { int fd[2]; pthread_t thread; trt_instant start; };
trt_async(int, virtual_fd)
{
    trt_body {
        pipe_of(self->fd);
        put(self->fd[1], 'x');
        self->start = trt_now();
        trt_await_any(trt_sleep(trt_s(3600)), trt_readable(self->fd[0]));
        CHECK_EQ(trt_chosen(), 1);
        CHECK_EQ(trt_now(), self->start);
        CHECK_EQ(get(self->fd[0]), 'x');
        trt_await_any(trt_readable(self->fd[0]), trt_sleep(trt_s(3600))); /* nothing there: the clock jumps */
        CHECK_EQ(trt_chosen(), 1);
        CHECK_EQ(trt_now() - self->start, trt_s(3600));
        /* waiting for an fd alone is no deadlock */
        pthread_create(&self->thread, NULL, writes_later, &self->fd[1]);
        trt_await(trt_readable(self->fd[0]));
        CHECK_EQ(trt_status(), TRT_OK);
        pthread_join(self->thread, NULL);
    }
    trt_cleanup {
        close(self->fd[0]);
        close(self->fd[1]);
    }
}

TEST(fds_on_the_virtual_clock) { CHECK_EQ(trt_run_with(&on_virtual_clock, virtual_fd, NULL), TRT_OK); }

TEST(a_runtime_shut_down_with_fd_waiters_leaves_nothing)
{
    trt_runtime *rt;
    int fd[2];
    pair_of_sockets(fd);
    CHECK_EQ(trt_runtime_start(&rt, &on_two_workers), TRT_OK);
    trt_handle(waits_readable) h[10];
    for (int i = 0; i < 10; i++)
        h[i] = trt_spawn_on(rt, waits_readable, .fd = fd[i % 2]);
    CHECK_EQ(trt_runtime_shutdown(rt, -1), TRT_OK);
    for (int i = 0; i < 10; i++)
        CHECK_EQ(trt_join_thread(h[i], NULL), TRT_CANCELLED);
    CHECK_EQ(trt_runtime_free(rt), TRT_OK);
    close(fd[0]);
    close(fd[1]);
}

struct writes_soon { int fd; };
trt_async(trt_void, writes_soon)
{
    trt_body {
        trt_await(trt_sleep(trt_ms(5)));
        put(self->fd, 'x');
    }
}
struct reads_before_deadline { int fd[2]; trt_handle(writes_soon) h; };
trt_async(int, reads_before_deadline)
{
    trt_body {
        pair_of_sockets(self->fd);
        self->h = trt_spawn(writes_soon, .fd = self->fd[1]);
        trt_await(trt_within(trt_s(10), trt_readable(self->fd[0])));
        CHECK_EQ(trt_status(), TRT_OK);
        CHECK_EQ(trt_now(), trt_ms(5));
        trt_await_ok(trt_join(self->h, NULL));
    }
    trt_cleanup {
        close(self->fd[0]);
        close(self->fd[1]);
    }
}

TEST(the_virtual_clock_does_not_jump_over_an_fd_that_is_ready)
{
    CHECK_EQ(trt_run_with(&on_virtual_clock, reads_before_deadline, NULL), TRT_OK);
}

/* ---- no fd is left for a poller of this worker's own ---- */

struct waits_shortly { int fd; atomic_bool *done; };
trt_async(int, waits_shortly)
{
    trt_body {
        trt_await(trt_within(trt_ms(1), trt_readable(self->fd)));
        atomic_store(self->done, true);
        trt_return((int)trt_status());
    }
}

struct waits_without_fds { int first[2], second[2], third[2]; struct rlimit before, now; atomic_bool done; trt_handle(waits_shortly) h; int out; };
trt_async(int, waits_without_fds)
{
    trt_body {
        CHECK(pipe(self->first) == 0 && pipe(self->second) == 0 && pipe(self->third) == 0);
        trt_await(trt_within(trt_ms(1), trt_readable(self->first[0]))); /* one worker has a poller */
        CHECK_EQ(trt_status(), TRT_TIMED_OUT);
        CHECK_EQ(getrlimit(RLIMIT_NOFILE, &self->before), 0);
        self->now = self->before;
        self->now.rlim_cur = (rlim_t)dup(0);
        close((int)self->now.rlim_cur);
        CHECK_EQ(setrlimit(RLIMIT_NOFILE, &self->now), 0);
        self->h = trt_spawn(waits_shortly, .fd = self->second[0], .done = &self->done);
        while (!atomic_load(&self->done)) {} /* so it waits on the other */
        trt_await(trt_within(trt_ms(1), trt_readable(self->third[0])));
        CHECK_EQ(trt_status(), TRT_TIMED_OUT);
        trt_await(trt_join(self->h, &self->out));
        CHECK_EQ(self->out, TRT_TIMED_OUT);
    }
    trt_cleanup {
        CHECK_EQ(setrlimit(RLIMIT_NOFILE, &self->before), 0);
        for (int i = 0; i < 2; i++) {
            close(self->first[i]);
            close(self->second[i]);
            close(self->third[i]);
        }
    }
}

TEST(a_worker_without_an_fd_for_a_poller_uses_anothers)
{
    CHECK_EQ(trt_run_with(&on_two_workers, waits_without_fds, NULL), TRT_OK);
}

int main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN);
    return harness_main(argc, argv);
}
