/* Every resource fails once, and from some moment on: the N-th allocation, thread, or system call, for N = 1, 2, ...
 * until a run meets no failure, in every scenario, on every kind of runtime. What must hold each time: no crash, no hang,
 * the documented status, what was not promised untouched, nothing leaked, and a runtime that serves on when the resource
 * is there again.
 */
#define HARNESS_PLAIN_MALLOC
#include "harness.h"
#include <sys/mman.h>
#ifdef __linux__
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#endif

/* ------------------------------------------------------------------------------------------------
 * What fails.
 */
enum resource { MEMORY, THREADS, POLLERS, WAKERS, ARMING, PROCESSORS, RESOURCES };
static const char *const resource_name[] = {"allocation", "pthread_create", "epoll_create1 or pipe", "eventfd", "epoll_ctl",
                                            "sched_getaffinity"};
static atomic_int failing; /* which, or RESOURCES for none */
static atomic_long uses, fail_at;
static atomic_bool fail_forever;

static bool fails(enum resource resource)
{
    if (atomic_load(&failing) != (int)resource)
        return false;
    long use = atomic_fetch_add(&uses, 1) + 1, at = atomic_load(&fail_at);
    return use == at || (use > at && atomic_load(&fail_forever));
}
static void fail(enum resource resource, long at, bool forever)
{
    atomic_store(&failing, RESOURCES);
    atomic_store(&uses, 0);
    atomic_store(&fail_at, at);
    atomic_store(&fail_forever, forever);
    atomic_store(&failing, (int)resource);
}

static void *faulty_malloc(size_t size)
{
    void *p = fails(MEMORY) ? NULL : malloc(size);
    if (p)
        atomic_fetch_add(&harness_blocks, 1);
    harness_fill(p, size);
    return p;
}
static int faulty_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*f)(void *), void *argument)
{
    return fails(THREADS) ? EAGAIN : pthread_create(thread, attributes, f, argument);
}
static int out_of(int error)
{
    errno = error;
    return -1;
}
__attribute__((unused)) static int faulty_pipe(int fd[2]) { return fails(POLLERS) ? out_of(EMFILE) : pipe(fd); }
#ifdef __linux__
__attribute__((unused)) static int faulty_epoll_create1(int flags) { return fails(POLLERS) ? out_of(EMFILE) : epoll_create1(flags); }
__attribute__((unused)) static int faulty_eventfd(unsigned count, int flags) { return fails(WAKERS) ? out_of(EMFILE) : eventfd(count, flags); }
__attribute__((unused)) static int faulty_epoll_ctl(int poller, int op, int fd, struct epoll_event *event)
{
    return fails(ARMING) ? out_of(ENOSPC) : epoll_ctl(poller, op, fd, event);
}
/* The library declares syscall() itself: so this one is told apart by its number alone, and is not static. */
long faulty_syscall(long number, ...);
long faulty_syscall(long number, ...)
{
    long a[6];
    va_list list;
    if (number == SYS_sched_getaffinity && fails(PROCESSORS))
        return out_of(EPERM);
    va_start(list, number);
    for (int i = 0; i < 6; i++)
        a[i] = va_arg(list, long); /* fewer were given: what is read for the others, the kernel ignores */
    va_end(list);
    return syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}
#endif

static atomic_int messages;
#define TASKRT_LOG(text) ((void)(text), (void)atomic_fetch_add(&messages, 1))
#define TASKRT_MALLOC(size) faulty_malloc(size)
#define TASKRT_FREE(p) harness_free(p)
#define TASKRT_IMPLEMENTATION
#define pthread_create faulty_pthread_create
#define pipe faulty_pipe
#ifdef __linux__
#define epoll_create1 faulty_epoll_create1
#define eventfd faulty_eventfd
#define epoll_ctl faulty_epoll_ctl
#if defined __x86_64__ || defined __aarch64__
#define syscall faulty_syscall
#endif
#endif
#include "../taskrt.h"
#undef pthread_create
#undef pipe
#undef epoll_create1
#undef eventfd
#undef epoll_ctl
#undef syscall
#include "common.h"

/* ------------------------------------------------------------------------------------------------
 * The sweep.
 */
static bool ok_or(trt_status_code status, trt_status_code why) { return status == TRT_OK || status == why; }
#define FAIR(status) CHECK(ok_or((status), TRT_NO_MEMORY))
/* What was to be written is, or is as before. */
#define FAIR_OUT(status, out, value, untouched)                                                    \
    (FAIR(status), CHECK_EQ((out), (status) == TRT_OK ? (value) : (untouched)))

static atomic_long *points; /* failures met, by all tests: shared between processes */

struct doubles { int n; };
trt_blocking_fn(int, doubles) { return 2 * self->n; }

/* After the failure: all that needs a resource works. */
struct is_usable { trt_handle(later) h; trt_job(doubles) job; int out, fd[2]; };
trt_async(int, is_usable)
{
    trt_body {
        self->h = trt_spawn(later, .after = trt_us(10), .value = 4);
        CHECK(trt_spawned(self->h));
        trt_await_ok(trt_join(self->h, &self->out));
        trt_await_ok(trt_within(trt_s(60), trt_blocking(doubles, &self->job, .n = self->out)));
        CHECK_EQ(self->job.out, 8);
        if (pipe(self->fd))
            trt_panic("no pipe");
        trt_await_all(trt_writable(self->fd[1]), trt_sleep(trt_us(1)));
        CHECK_EQ(trt_status(), TRT_OK);
        trt_await_any(trt_readable(self->fd[0]), trt_sleep(trt_us(1)));
        CHECK_EQ(trt_status(), TRT_OK);
        trt_return(self->out);
    }
    trt_cleanup {
        if (self->fd[0] || self->fd[1]) {
            close(self->fd[0]);
            close(self->fd[1]);
        }
    }
}

struct scenario {
    void (*play)(trt_runtime *rt, const trt_config *config);
    bool from_start; /* the start of the runtime is part of it */
    bool ends;       /* it shuts the runtime down */
};

/* One run. True if it met the failure. */
static bool run_once(const struct scenario *s, const trt_config *config, enum resource resource, long at, bool forever)
{
    trt_runtime *rt = (trt_runtime *)&rt;
    trt_status_code status;
    int out = 77;
    if (!s->from_start)
        atomic_store(&failing, RESOURCES);
    else
        fail(resource, at, forever);
    status = trt_runtime_start(&rt, config);
    if (!s->from_start) {
        CHECK_EQ(status, TRT_OK);
        fail(resource, at, forever);
    }
    if (status == TRT_OK && s->play)
        s->play(rt, config);
    bool met = atomic_load(&uses) >= at;
    atomic_store(&failing, RESOURCES);
    if (status == TRT_OK) {
        trt_status_code after = trt_block_on(rt, is_usable, &out);
        CHECK_EQ(after, s->ends ? TRT_CANCELLED : TRT_OK);
        CHECK_EQ(out, s->ends ? 77 : 4);
        CHECK_EQ(trt_runtime_free(rt), TRT_OK);
    } else {
        CHECK(met);
        CHECK_EQ(status, TRT_NO_MEMORY);
        CHECK(rt == NULL);
    }
    CHECK_EQ(atomic_load(&harness_blocks), 0);
    return met;
}

static const trt_config on_three_workers = {.workers = 3};
static const trt_config on_every_processor = {.workers = 0};
static const struct { const char *name; const trt_config *config; } runtimes[] = {
    {"the virtual clock", &on_virtual_clock}, {"the current thread", &on_one_thread}, {"one worker", &on_one_worker},
    {"two workers", &on_two_workers}, {"three workers", &on_three_workers}, {"a worker for each processor", &on_every_processor},
};

static void sweep(const struct scenario *s)
{
    int fds = harness_fds();
    for (size_t r = 0; r < sizeof runtimes / sizeof *runtimes; r++)
        for (int resource = 0; resource < RESOURCES; resource++)
            for (int forever = 0; forever < 2; forever++)
                for (long at = 1;; at++) {
                    int before = atomic_load(&harness_failures);
                    char where[200];
                    snprintf(where, sizeof where, "%s %ld fails%s, on %s", resource_name[resource], at,
                             forever ? " and all after it" : "", runtimes[r].name);
                    dprintf(harness_log, "%s\n", where); /* seen if the test fails: the last line before a hang */
                    bool met = run_once(s, runtimes[r].config, (enum resource)resource, at, forever);
                    if (harness_fds() != fds)
                        harness_fail(__FILE__, __LINE__, "%d descriptors left behind", harness_fds() - fds);
                    if (atomic_load(&harness_failures) != before) {
                        harness_fail(__FILE__, __LINE__, "when %s", where);
                        return;
                    }
                    if (!met)
                        break;
                    atomic_fetch_add(points, 1);
                    if (at > 20) /* long runs are sampled where the machine is said to be slow */
                        at += (long)(0.1 / harness_factor("TASKRT_TEST_ROUNDS"));
                }
}
#define SCENARIO(name, ...)                                                                        \
    static void name##_play(trt_runtime *rt, const trt_config *config);                            \
    TEST_WITHIN(120, name)                                                                         \
    {                                                                                              \
        static const struct scenario scenario = {name##_play, __VA_ARGS__};                        \
        sweep(&scenario);                                                                          \
    }                                                                                              \
    static void name##_play(__attribute__((unused)) trt_runtime *rt, __attribute__((unused)) const trt_config *config)
/* A scenario that is one coroutine, which gives 1. */
#define COROUTINE_SCENARIO(name, coroutine)                                                        \
    SCENARIO(name, false, false)                                                                   \
    {                                                                                              \
        int out = 77;                                                                              \
        trt_status_code status = trt_block_on(rt, coroutine, &out);                                \
        FAIR_OUT(status, out, 1, 77);                                                              \
    }

/* ------------------------------------------------------------------------------------------------
 * The scenarios.
 */
SCENARIO(start, true, false) {}

SCENARIO(run_with, true, false)
{
    int out = 77;
    trt_status_code status = trt_run_with(config, later, &out, .after = trt_us(5), .value = 1);
    FAIR_OUT(status, out, 1, 77);
}

struct big { int value; char room[20000]; };
trt_async(int, big)
{
    trt_body {
        self->room[sizeof self->room - 1] = 1;
        trt_await(trt_yield());
        trt_return(self->value + self->room[sizeof self->room - 1]);
    }
}
struct huge { int value; char room[300000]; };
trt_async(int, huge)
{
    trt_body {
        self->room[sizeof self->room - 1] = 1;
        trt_await(trt_yield());
        trt_return(self->value + self->room[sizeof self->room - 1]);
    }
}
struct spawns { trt_handle(later) h[600], named; trt_handle(big) b[8]; trt_handle(huge) g[2]; int i, out; };
trt_async(int, spawns)
{
    trt_body {
        for (self->i = 0; self->i < 600; self->i++)
            self->h[self->i] = trt_spawn(later, .after = trt_us(self->i % 9), .value = self->i);
        for (self->i = 0; self->i < 8; self->i++)
            self->b[self->i] = trt_spawn(big, .value = self->i);
        for (self->i = 0; self->i < 2; self->i++)
            self->g[self->i] = trt_spawn(huge, .value = self->i);
        self->named = trt_spawn_named("a name that is long enough to need memory of its own", later, .value = 5);
        FAIR(trt_spawn_detached(later, .value = 1));
        for (self->i = 0; self->i < 600; self->i++) {
            self->out = -1;
            CHECK(trt_spawned(self->h[self->i]) == (trt_task_id(self->h[self->i]) != 0));
            trt_await(trt_join(self->h[self->i], &self->out));
            FAIR_OUT(trt_status(), self->out, self->i, -1);
        }
        for (self->i = 0; self->i < 8; self->i++) {
            self->out = -1;
            trt_await(trt_join(self->b[self->i], &self->out));
            FAIR_OUT(trt_status(), self->out, self->i + 1, -1);
        }
        for (self->i = 0; self->i < 2; self->i++) {
            self->out = -1;
            trt_await(trt_join(self->g[self->i], &self->out));
            FAIR_OUT(trt_status(), self->out, self->i + 1, -1);
        }
        self->out = -1;
        trt_await(trt_join(self->named, &self->out));
        FAIR_OUT(trt_status(), self->out, 5, -1);
        trt_return(1);
    }
}
COROUTINE_SCENARIO(spawns_small_and_large, spawns)

struct set_user { trt_join_set(later) set; trt_join_set(doubles) jobs; trt_join_set(forever) left; int i, out, sum; };
trt_async(int, set_user)
{
    trt_body {
        for (self->i = 0; self->i < 40; self->i++)
            trt_spawn_in(&self->set, later, .after = trt_us(self->i % 5), .value = 1);
        for (self->i = 0; self->i < 6; self->i++)
            trt_spawn_blocking_in(&self->jobs, doubles, .n = 1);
        for (self->i = 0; self->i < 3; self->i++)
            trt_spawn_in(&self->left, forever, .linger = trt_us(1));
        CHECK_EQ(trt_set_len(&self->set), 40);
        for (self->i = 0; self->i < 40; self->i++) {
            self->out = -1;
            trt_await(trt_join_next(&self->set, &self->out));
            FAIR_OUT(trt_status(), self->out, 1, -1);
        }
        trt_await(trt_join_next(&self->set, &self->out));
        CHECK_EQ(trt_status(), TRT_EMPTY);
        CHECK_EQ(trt_set_len(&self->jobs), 6);
        for (self->i = 0; self->i < 6; self->i++) {
            self->out = -1;
            trt_await(trt_join_next(&self->jobs, &self->out));
            FAIR_OUT(trt_status(), self->out, 2, -1);
        }
        trt_await(trt_join_next(&self->jobs, &self->out));
        CHECK_EQ(trt_status(), TRT_EMPTY);
        trt_return(1); /* `left` is shut down with the frame */
    }
}
COROUTINE_SCENARIO(sets, set_user)

struct tree { int depth, left, right; };
trt_async(int, tree)
{
    trt_body {
        if (!self->depth)
            trt_return(1);
        self->left = self->right = -1;
        trt_fork(tree, &self->left, .depth = self->depth - 1);
        trt_fork(tree, &self->right, .depth = self->depth - 1);
        trt_await_ok(trt_sync());
        trt_return(self->left + self->right);
    }
}
struct forker { int i, sum; int out[700]; trt_frame(tree) tree; trt_duration wait; };
trt_async(int, forker)
{
    trt_body {
        for (self->i = 0; self->i < 700; self->i++) {
            self->out[self->i] = -1;
            trt_fork(later, &self->out[self->i], .after = trt_us(self->i % 3), .value = self->i);
        }
        trt_await(trt_sync());
        FAIR(trt_status());
        for (self->i = 0; self->i < 700; self->i++)
            CHECK(self->out[self->i] == self->i || (trt_status() == TRT_NO_MEMORY && self->out[self->i] == -1));
        trt_await(trt_call(tree, &self->tree, .depth = 8));
        FAIR_OUT(trt_status(), self->tree.out, 256, 0);
        for (self->i = 0; self->i < 100; self->i++)
            trt_fork(forever, NULL, .linger = trt_us(1)); /* left open: ended by leaving */
        trt_await(trt_yield());
        trt_return(1);
    }
}
COROUTINE_SCENARIO(forks_beyond_the_deque, forker)

struct group_user {
    trt_frame(later) a, b;
    trt_frame(forever) f, f2;
    trt_frame(failing) failing;
    trt_job(doubles) job;
    trt_semaphore s;
    trt_permit p;
};
trt_async(int, group_user)
{
    trt_body {
        trt_semaphore_init(&self->s, 1);
        trt_await_any(trt_call(forever, &self->f, .linger = trt_us(1)), trt_call(later, &self->a, .after = trt_us(5), .value = 3));
        FAIR(trt_status());
        CHECK_EQ(trt_chosen(), trt_status() == TRT_OK ? 1 : -1);
        CHECK(trt_status() != TRT_OK || self->a.out == 3);
        trt_await_any_biased(trt_acquire(&self->s, &self->p), trt_sleep(trt_us(5)));
        FAIR(trt_status());
        CHECK_EQ(trt_chosen(), trt_status() == TRT_OK ? 0 : -1);
        trt_release(&self->p);
        trt_await_all(trt_call(later, &self->a, .after = trt_us(1), .value = 1), trt_call(later, &self->b, .after = trt_us(2), .value = 2),
                      trt_sleep(trt_us(1)));
        FAIR(trt_status());
        trt_await_all(trt_blocking(doubles, &self->job, .n = 1), trt_sleep(trt_us(1)));
        FAIR(trt_status());
        trt_await_try_all(trt_call(failing, &self->failing, .after = trt_us(2), .status = TRT_FULL),
                          trt_call(forever, &self->f2, .linger = trt_us(1)));
        CHECK(trt_status() == TRT_FULL || trt_status() == TRT_NO_MEMORY);
        trt_await(trt_within(trt_us(3), trt_call(forever, &self->f, .linger = trt_us(1))));
        CHECK(trt_status() == TRT_TIMED_OUT || trt_status() == TRT_NO_MEMORY);
        trt_await_any(trt_within(trt_us(3), trt_call(forever, &self->f)), trt_within(trt_s(9), trt_call(forever, &self->f2)));
        CHECK(trt_status() == TRT_TIMED_OUT || trt_status() == TRT_NO_MEMORY);
        CHECK_EQ(trt_available_permits(&self->s), 1);
        trt_return(1);
    }
}
COROUTINE_SCENARIO(groups_and_deadlines, group_user)

struct message { long number; char text[240]; };
typedef trt_channel(struct message) messages_channel;
typedef trt_channel(int) ints;
struct sends_messages { messages_channel *c; long i, n, sent; };
trt_async(long, sends_messages)
{
    trt_body {
        for (self->i = 0; self->i < self->n; self->i++) {
            struct message m = {self->i, "text"};
            trt_await(trt_send(self->c, &m));
            FAIR(trt_status());
            self->sent += trt_status() == TRT_OK;
        }
        trt_return(self->sent);
    }
    trt_cleanup { trt_channel_close(self->c); }
}
struct channel_user {
    messages_channel big;
    ints small, unbounded;
    trt_oneshot(int) oneshot;
    trt_handle(sends_messages) sender;
    struct message m;
    long got, sent;
    int i, out, made;
};
trt_async(int, channel_user)
{
    trt_body {
        if (trt_channel_init(&self->big, 2) == TRT_OK) {
            self->sender = trt_spawn(sends_messages, .c = &self->big, .n = 30);
            if (!trt_spawned(self->sender))
                trt_channel_close(&self->big);
            for (;;) {
                trt_await(trt_recv(&self->big, &self->m));
                if (trt_status() != TRT_OK)
                    break;
                CHECK_STR(self->m.text, "text");
                self->got++;
            }
            CHECK_EQ(trt_status(), TRT_CLOSED);
            trt_await(trt_join(self->sender, &self->sent));
            FAIR(trt_status());
            CHECK_EQ(self->got, self->sent);
        }
        if (trt_channel_init(&self->small, 3) == TRT_OK) {
            for (self->i = 0; self->i < 3; self->i++)
                CHECK_EQ(trt_try_send(&self->small, &self->i), TRT_OK);
            CHECK_EQ(trt_try_send(&self->small, &self->i), TRT_FULL);
            trt_await(trt_within(trt_us(1), trt_send(&self->small, &self->i)));
            CHECK(trt_status() == TRT_TIMED_OUT || trt_status() == TRT_NO_MEMORY);
            CHECK_EQ(trt_channel_len(&self->small), 3);
        }
        if (trt_channel_init(&self->unbounded, TRT_UNBOUNDED) == TRT_OK) {
            for (self->i = 0; self->i < 500; self->i++) {
                trt_status_code status = trt_try_send(&self->unbounded, &self->i);
                FAIR(status);
                self->made += status == TRT_OK;
            }
            CHECK_EQ(trt_channel_len(&self->unbounded), self->made);
            while (trt_try_recv(&self->unbounded, &self->out) == TRT_OK)
                self->made--;
            CHECK_EQ(self->made, 0);
        }
        CHECK_EQ(trt_oneshot_send(&self->oneshot, 3), TRT_OK);
        trt_await_ok(trt_oneshot_recv(&self->oneshot, &self->out));
        trt_return(1);
    }
    trt_cleanup {
        trt_channel_free(&self->big);
        trt_channel_free(&self->small);
        trt_channel_free(&self->unbounded);
    }
}
COROUTINE_SCENARIO(channels, channel_user)

typedef trt_broadcast(int) broadcast_ints;
typedef trt_subscriber(int) subscriber_ints;
typedef trt_watch(int) watch_int;
typedef trt_follower(int) follower_int;
struct follows { follower_int f; watch_int *w; int out; };
trt_async(int, follows)
{
    trt_body {
        trt_await_ok(trt_watch_changed(&self->f, &self->out));
        trt_return(self->out);
    }
}
struct hub_user { broadcast_ints b; subscriber_ints s[2]; watch_int w; follower_int f; trt_handle(follows) h; int i, out; };
trt_async(int, hub_user)
{
    trt_body {
        if (trt_broadcast_init(&self->b, 4) == TRT_OK) {
            for (self->i = 0; self->i < 2; self->i++)
                CHECK_EQ(trt_subscribe(&self->b, &self->s[self->i]), TRT_OK);
            for (self->i = 0; self->i < 3; self->i++)
                CHECK_EQ(trt_broadcast_send(&self->b, &self->i), TRT_OK);
            for (self->i = 0; self->i < 3; self->i++) {
                trt_await_all(trt_broadcast_recv(&self->s[0], &self->out), trt_sleep(0));
                FAIR(trt_status());
                CHECK(trt_status() != TRT_OK || self->out <= self->i);
            }
        } else {
            CHECK_EQ(trt_broadcast_send(&self->b, &self->i), TRT_MISUSE);
        }
        CHECK_EQ(trt_watch_init(&self->w, &(int){1}), TRT_OK);
        CHECK_EQ(trt_watch_follow(&self->w, &self->f), TRT_OK);
        self->h = trt_spawn(follows, .f = self->f, .w = &self->w);
        trt_await(trt_yield());
        CHECK_EQ(trt_watch_send(&self->w, &(int){2}), TRT_OK);
        trt_await(trt_join(self->h, &self->out));
        FAIR(trt_status());
        trt_return(1);
    }
    trt_cleanup {
        trt_unsubscribe(&self->s[0]);
        trt_unsubscribe(&self->s[1]);
        trt_broadcast_free(&self->b);
        trt_watch_close(&self->w);
    }
}
COROUTINE_SCENARIO(broadcast_and_watch, hub_user)

static atomic_int arcs;
static void arc_gone(void *p)
{
    (void)p;
    atomic_fetch_sub(&arcs, 1);
}
struct token_user { trt_token *root, *child[5]; int *arc[4]; int i; };
trt_async(int, token_user)
{
    trt_body {
        self->root = trt_token_new(NULL);
        for (self->i = 0; self->i < 5 && self->root; self->i++)
            self->child[self->i] = trt_token_new(self->i && self->child[self->i - 1] ? self->child[self->i - 1] : self->root);
        trt_token_cancel(self->root);
        for (self->i = 0; self->i < 5; self->i++) {
            CHECK_EQ(trt_token_is_cancelled(self->child[self->i]), self->child[self->i] != NULL);
            if (!self->child[self->i])
                continue;
            trt_await(trt_token_wait(self->child[self->i]));
            CHECK_EQ(trt_status(), TRT_OK);
        }
        for (self->i = 0; self->i < 3; self->i++)
            if ((self->arc[self->i] = trt_arc_new(100, arc_gone)) != NULL)
                atomic_fetch_add(&arcs, 1);
        self->arc[3] = trt_arc_clone(self->arc[0]);
        trt_return(1);
    }
    trt_cleanup {
        for (self->i = 0; self->i < 4; self->i++)
            trt_arc_drop(self->arc[self->i]);
        CHECK_EQ(atomic_load(&arcs), 0);
        trt_token_free(self->root); /* before its children */
        for (self->i = 0; self->i < 5; self->i++)
            trt_token_free(self->child[self->i]);
    }
}
COROUTINE_SCENARIO(tokens_and_arcs, token_user)

/* A panic without memory is one all the same: only its text is lost. */
static void check_told(const trt_failure_info *failure, const char *text)
{
    if (failure && strcmp(failure->message, "panic (no memory for its message)"))
        CHECK_STR(failure->message, text);
}

struct breaks { int n; };
trt_blocking_fn(int, breaks) { trt_panic("job %d", self->n); }
struct job_user { trt_handle(doubles) h[12]; trt_job(doubles) job[3]; trt_handle(breaks) broken; trt_job(breaks) broken_job; int i, out; };
trt_async(int, job_user)
{
    trt_body {
        for (self->i = 0; self->i < 12; self->i++)
            self->h[self->i] = trt_spawn_blocking(doubles, .n = self->i);
        for (self->i = 0; self->i < 12; self->i++) {
            self->out = -1;
            if (self->i == 5)
                trt_abort(self->h[5]);
            trt_await(trt_join(self->h[self->i], &self->out));
            if (self->i != 5)
                FAIR_OUT(trt_status(), self->out, 2 * self->i, -1);
        }
        for (self->i = 0; self->i < 3; self->i++) {
            trt_await(trt_blocking(doubles, &self->job[self->i], .n = self->i));
            FAIR_OUT(trt_status(), self->job[self->i].out, 2 * self->i, 0);
        }
        trt_await_all(trt_blocking(doubles, &self->job[0], .n = 1), trt_blocking(doubles, &self->job[1], .n = 1),
                      trt_blocking(doubles, &self->job[2], .n = 1));
        FAIR(trt_status());
        self->broken = trt_spawn_blocking(breaks, .n = 1);
        trt_await(trt_join(self->broken, NULL));
        CHECK(trt_status() == TRT_PANICKED || trt_status() == TRT_NO_MEMORY);
        trt_await(trt_blocking(breaks, &self->broken_job, .n = 2));
        CHECK(trt_status() == TRT_PANICKED || trt_status() == TRT_NO_MEMORY);
        if (trt_status() == TRT_PANICKED)
            check_told(trt_failure(), "job 2");
        trt_return(1);
    }
}
COROUTINE_SCENARIO(blocking_jobs, job_user)

struct panics_in_cleanup { int n; };
trt_async(int, panics_in_cleanup)
{
    trt_body { trt_await(trt_yield()); }
    trt_cleanup { trt_panic("cleanup %d", self->n); }
}
struct panic_user {
    trt_handle(panicking) h[3];
    trt_handle(panics_in_cleanup) c;
    trt_join_set(panicking) set;
    trt_frame(panicking) frame;
    trt_handle(panicking) outer;
    int i;
};
trt_async(int, panic_user)
{
    trt_body {
        for (self->i = 0; self->i < 3; self->i++)
            self->h[self->i] = trt_spawn(panicking, .after = trt_us(self->i));
        trt_spawn_in(&self->set, panicking);
        self->c = trt_spawn(panics_in_cleanup, .n = 1);
        for (self->i = 0; self->i < 3; self->i++) {
            trt_await(trt_join(self->h[self->i], NULL));
            CHECK(trt_status() == TRT_PANICKED || trt_status() == TRT_NO_MEMORY);
            if (trt_status() == TRT_PANICKED)
                check_told(trt_failure(), "it broke");
        }
        trt_await(trt_join(self->c, NULL));
        CHECK(trt_status() == TRT_PANICKED || trt_status() == TRT_NO_MEMORY);
        trt_await(trt_join_next(&self->set, NULL));
        CHECK(trt_status() == TRT_PANICKED || trt_status() == TRT_NO_MEMORY);
        trt_fork(panicking, NULL, .after = trt_us(1));
        trt_await(trt_sync());
        CHECK(trt_status() == TRT_PANICKED || trt_status() == TRT_NO_MEMORY);
        trt_await_any(trt_call(panicking, &self->frame, .after = trt_us(1)), trt_sleep_until(INT64_MAX));
        CHECK_EQ(trt_status(), TRT_NO_MEMORY); /* else it panics here, as its child did */
        trt_return(1);
    }
}
SCENARIO(panics, false, false)
{
    int out = 77;
    trt_status_code status = trt_block_on(rt, panic_user, &out);
    CHECK(status == TRT_OK ? out == 1 : (status == TRT_PANICKED || status == TRT_NO_MEMORY) && out == 77);
    if (status == TRT_PANICKED)
        check_told(trt_failure(), "it broke");
}

static void *blocks_on(void *argument)
{
    trt_runtime *rt = argument;
    for (int i = 0; i < 10; i++) {
        int out = 77;
        trt_handle(later) h = trt_spawn_on(rt, later, .after = trt_us(1), .value = i);
        trt_status_code status = trt_block_on(rt, later, &out, .after = trt_us(i), .value = i);
        FAIR_OUT(status, out, i, 77);
        out = 77;
        status = trt_join_thread(h, &out);
        FAIR_OUT(status, out, i, 77);
        trt_handle(doubles) d = trt_spawn_blocking_on(rt, doubles, .n = i);
        out = 77;
        status = trt_join_thread(d, &out);
        FAIR_OUT(status, out, 2 * i, 77);
    }
    return NULL;
}
SCENARIO(block_on_from_threads, false, false)
{
    pthread_t threads[2];
    for (int i = 0; i < 2; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, blocks_on, rt), 0);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
}

/* Fds: a wait that could not be made says TRT_NO_MEMORY, or TRT_ERRNO where the system refused. */
struct reads { int fd; char byte; };
trt_async(int, reads)
{
    trt_body {
        for (;;) {
            trt_await(trt_readable(self->fd));
            if (trt_status() != TRT_OK) {
                CHECK(trt_status() == TRT_NO_MEMORY ||
                      (trt_status() == TRT_ERRNO && (trt_errno() == EMFILE || trt_errno() == ENOSPC)));
                trt_fail(trt_status());
            }
            if (read(self->fd, &self->byte, 1) == 1)
                trt_return(self->byte);
            CHECK(errno == EAGAIN); /* woken for nothing is allowed: its arming has failed */
            trt_await(trt_yield());
        }
    }
}
#define PIPES 80 /* more than the poll() backend has room for without memory */
struct fd_user { int fd[PIPES][2]; trt_handle(reads) h[PIPES]; int i, out; };
trt_async(int, fd_user)
{
    trt_body {
        for (self->i = 0; self->i < PIPES; self->i++) {
            if (pipe(self->fd[self->i]))
                trt_panic("no pipe");
            fcntl(self->fd[self->i][0], F_SETFL, O_NONBLOCK);
            self->h[self->i] = trt_spawn(reads, .fd = self->fd[self->i][0]);
        }
        for (self->i = 0; self->i < 5; self->i++)
            trt_await(trt_yield());
        for (self->i = PIPES - 1; self->i >= 0; self->i--) {
            trt_await(trt_writable(self->fd[self->i][1]));
            CHECK(trt_status() == TRT_OK || trt_status() == TRT_NO_MEMORY || trt_status() == TRT_ERRNO);
            CHECK_EQ(write(self->fd[self->i][1], "x", 1), 1);
            self->out = -1;
            trt_await(trt_join(self->h[self->i], &self->out));
            CHECK(trt_status() == TRT_OK || trt_status() == TRT_NO_MEMORY || trt_status() == TRT_ERRNO);
            CHECK_EQ(self->out, trt_status() == TRT_OK ? 'x' : -1);
        }
        trt_return(1);
    }
    trt_cleanup {
        for (self->i = 0; self->i < PIPES; self->i++) {
            trt_await(trt_stop(self->h[self->i]));
            if (self->fd[self->i][1]) {
                close(self->fd[self->i][0]);
                close(self->fd[self->i][1]);
            }
        }
    }
}
COROUTINE_SCENARIO(pipes, fd_user)

struct ticks { trt_interval interval; int i; trt_frame(later) call; };
trt_async(int, ticks)
{
    trt_body {
        CHECK_EQ(trt_interval_init(&self->interval, trt_us(50), TRT_BURST), TRT_OK);
        for (self->i = 0; self->i < 5; self->i++) {
            trt_await(trt_tick(&self->interval)); /* takes no memory */
            CHECK_EQ(trt_status(), TRT_OK);
            trt_await(trt_within(trt_s(50), trt_tick(&self->interval)));
            FAIR(trt_status());
            trt_await(trt_call(later, &self->call, .after = trt_us(1), .value = 1));
            CHECK_EQ(trt_status(), TRT_OK);
        }
        trt_return(1);
    }
}
COROUTINE_SCENARIO(intervals, ticks)

struct looked_at { trt_handle(forever) named; trt_frame(forever) f; trt_handle(later) h; };
trt_async(int, looked_at)
{
    trt_body {
        self->named = trt_spawn_named("somebody", forever);
        self->h = trt_spawn(later, .after = trt_us(3));
        trt_await_any(trt_call(forever, &self->f), trt_join(self->h, NULL), trt_sleep(trt_us(1)));
        FAIR(trt_status());
        {
            trt_metrics_info m;
            FILE *null = fopen("/dev/null", "w");
            trt_dump(trt_current(), null);
            fclose(null);
            trt_metrics(trt_current(), &m);
            CHECK(m.tasks_alive >= 1);
        }
        trt_return(1);
    }
    trt_cleanup {
        trt_await(trt_stop(self->named));
        trt_detach(self->h);
    }
}
SCENARIO(dump_and_metrics, false, false)
{
    int out = 77;
    trt_handle(looked_at) h = trt_spawn_on(rt, looked_at);
    FILE *null = fopen("/dev/null", "w");
    for (int i = 0; i < 3; i++)
        trt_dump(rt, null);
    trt_status_code status = trt_join_thread(h, &out);
    trt_dump(rt, null);
    fclose(null);
    FAIR_OUT(status, out, 1, 77);
}

static atomic_int lingering;
struct lingers { trt_duration how_long; bool started; };
trt_async(int, lingers)
{
    trt_body { trt_await(trt_sleep_until(INT64_MAX)); }
    trt_cleanup {
        trt_await(trt_sleep(self->how_long)); /* takes no memory */
        CHECK_EQ(trt_status(), TRT_OK);
        atomic_fetch_sub(&lingering, 1);
    }
}
SCENARIO(shutdown_without_limit, false, true)
{
    trt_handle(lingers) h[20];
    trt_handle(doubles) jobs[4];
    for (int i = 0; i < 20; i++) {
        h[i] = trt_spawn_on(rt, lingers, .how_long = trt_us(i));
        if (trt_spawned(h[i]))
            atomic_fetch_add(&lingering, 1);
    }
    for (int i = 0; i < 4; i++)
        jobs[i] = trt_spawn_blocking_on(rt, doubles, .n = i);
    CHECK_EQ(trt_runtime_shutdown(rt, -1), TRT_OK);
    CHECK_EQ(atomic_load(&lingering), 0);
    for (int i = 0; i < 20; i++) {
        trt_status_code status = trt_join_thread(h[i], NULL);
        CHECK_EQ(status, trt_spawned(h[i]) ? TRT_CANCELLED : TRT_NO_MEMORY);
    }
    for (int i = 0; i < 4; i++) {
        trt_status_code status = trt_join_thread(jobs[i], NULL);
        CHECK(status == TRT_OK || status == TRT_NO_MEMORY || status == TRT_CANCELLED);
    }
}
SCENARIO(shutdown_with_a_timeout, false, true)
{
    trt_handle(lingers) never = trt_spawn_on(rt, lingers, .how_long = trt_s(10000));
    trt_handle(later) ends = trt_spawn_on(rt, later, .value = 3);
    atomic_store(&lingering, 1);
    trt_status_code status = trt_join_thread(ends, NULL);
    FAIR(status);
    /* On the virtual clock the shutdown's limit is real time, and nothing keeps the clock from jumping to the end. */
    status = trt_runtime_shutdown(rt, trt_us(300));
    CHECK(status == TRT_OK ? config->virtual_clock || !trt_spawned(never) : status == TRT_TIMED_OUT && trt_spawned(never));
    status = trt_join_thread(never, NULL);
    CHECK_EQ(status, trt_spawned(never) ? TRT_CANCELLED : TRT_NO_MEMORY);
}

TEST(the_sweep_met_its_faults) { CHECK(harness_first == NULL || atomic_load(points) > 500); }

static void tell_points(void) { printf("swept %ld faults\n", atomic_load(points)); }

int main(int argc, char **argv)
{
    points = mmap(NULL, sizeof *points, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (points == MAP_FAILED)
        return 3;
    atomic_store(&failing, RESOURCES);
    harness_last_words = tell_points;
    return harness_main(argc, argv);
}
