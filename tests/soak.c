/* A random mixed workload on real threads, for SOAK_SECONDS (3600 unless set), round after round: whole runtimes are
 * started, used by tasks and plain threads at once, and shut down in the middle of it. Atomic operations and futexes are
 * delayed at random, weak compare-and-swaps fail, futex waits end early. At the end of each round a ledger must be at
 * zero: messages, bytes, permits, locks, cleanups, memory, threads, descriptors.
 *
 * SOAK_SEED=n begins with that round's seed; a failure names it. (A seed repeats the workload, not the threads.)
 */
#include "harness.h"
#include <sys/mman.h>
#ifdef __linux__
#include <sys/syscall.h>
#endif

/* ------------------------------------------------------------------------------------------------
 * Chaos: what the library does between two atomic operations takes a while, now and then.
 */
static atomic_int chaos_level; /* 0: none; else one delay in about 2^(14 - level) operations */
static _Thread_local uint64_t chaos_state;

static uint64_t chaos_random(void)
{
    if (!chaos_state)
        chaos_state = (uint64_t)(uintptr_t)&chaos_state ^ (uint64_t)time(NULL) << 20;
    return harness_random(&chaos_state);
}
static bool chaos_one_in(uint64_t n) { return chaos_level && chaos_random() % n == 0; }
static void chaos(void)
{
    int level = atomic_load_explicit(&chaos_level, memory_order_relaxed);
    if (!level)
        return;
    uint64_t r = chaos_random(), rare = (uint64_t)1 << (14 - level);
    if (r % rare)
        return;
    r /= rare;
    if (r % 8 < 5) {
        sched_yield();
    } else if (r % 8 < 7) {
        for (volatile int i = 0; i < 2000; i++) {}
    } else { /* 1 us to 1 ms, long ones seldom */
        struct timespec t = {0, 1000L << (r / 8 % 11)};
        nanosleep(&t, NULL);
    }
}

#ifdef __clang__
#define RAW(name) __c11_atomic_##name
#define RAW_FENCE(order) __c11_atomic_thread_fence(order)
#define RAW_CAS(p, e, v, weak, s, f)                                                               \
    ((weak) ? __c11_atomic_compare_exchange_weak((p), (e), (v), (s), (f))                          \
            : __c11_atomic_compare_exchange_strong((p), (e), (v), (s), (f)))
#define RAW_LOAD __c11_atomic_load
#define RAW_STORE __c11_atomic_store
#define RAW_SWAP __c11_atomic_exchange
#else
#define RAW(name) __atomic_##name
#define RAW_FENCE(order) __atomic_thread_fence(order)
#define RAW_CAS(p, e, v, weak, s, f) __atomic_compare_exchange_n((p), (e), (v), (weak), (s), (f))
#define RAW_LOAD __atomic_load_n
#define RAW_STORE __atomic_store_n
#define RAW_SWAP __atomic_exchange_n
#endif
#undef atomic_load_explicit
#undef atomic_store_explicit
#undef atomic_exchange_explicit
#undef atomic_fetch_add_explicit
#undef atomic_fetch_sub_explicit
#undef atomic_fetch_or_explicit
#undef atomic_fetch_and_explicit
#undef atomic_compare_exchange_strong_explicit
#undef atomic_compare_exchange_weak_explicit
#undef atomic_thread_fence
#define atomic_load_explicit(p, o) (chaos(), RAW_LOAD((p), (o)))
#define atomic_store_explicit(p, v, o) (chaos(), RAW_STORE((p), (v), (o)))
#define atomic_exchange_explicit(p, v, o) (chaos(), RAW_SWAP((p), (v), (o)))
#define atomic_fetch_add_explicit(p, v, o) (chaos(), RAW(fetch_add)((p), (v), (o)))
#define atomic_fetch_sub_explicit(p, v, o) (chaos(), RAW(fetch_sub)((p), (v), (o)))
#define atomic_fetch_or_explicit(p, v, o) (chaos(), RAW(fetch_or)((p), (v), (o)))
#define atomic_fetch_and_explicit(p, v, o) (chaos(), RAW(fetch_and)((p), (v), (o)))
#define atomic_compare_exchange_strong_explicit(p, e, v, s, f) (chaos(), RAW_CAS((p), (e), (v), 0, (s), (f)))
#define atomic_compare_exchange_weak_explicit(p, e, v, s, f)                                       \
    (chaos(), chaos_one_in(16) ? (*(e) = RAW_LOAD((p), (f)), false) : RAW_CAS((p), (e), (v), 1, (s), (f)))
#define atomic_thread_fence(o) (chaos(), RAW_FENCE(o), chaos())

#if defined __linux__ && (defined __x86_64__ || defined __aarch64__)
/* The library declares syscall() itself, so this is not static. */
long chaotic_syscall(long number, ...);
long chaotic_syscall(long number, ...)
{
    long a[6], result;
    va_list list;
    va_start(list, number);
    for (int i = 0; i < 6; i++)
        a[i] = va_arg(list, long); /* fewer were given: what is read for the others, the kernel ignores */
    va_end(list);
    if (number == SYS_futex) {
        chaos();
        if ((a[1] & 127) == 9 && chaos_one_in(16))
            return 0; /* a wait that ends for nothing */
    }
    result = syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
    if (number == SYS_futex)
        chaos();
    return result;
}
#define syscall chaotic_syscall
#endif

static atomic_int messages;
#define TASKRT_LOG(text) ((void)(text), (void)atomic_fetch_add(&messages, 1))
#define TASKRT_IMPLEMENTATION
#define TASKRT_TEST_RING 16 /* so that queues overflow */
#include "../taskrt.h"
#undef syscall
#include "common.h"

/* ------------------------------------------------------------------------------------------------
 * The workload.
 */
struct message { long number, copy[4]; };
typedef trt_channel(struct message) bounded;
typedef trt_channel(long) unbounded;
typedef trt_broadcast(int) broadcast_ints;
typedef trt_subscriber(int) subscriber_ints;
typedef trt_watch(int) watch_int;
typedef trt_follower(int) follower_int;

struct world {
    trt_runtime *rt;
    bounded bounded;
    unbounded unbounded;
    atomic_long sent, received, sent_unbounded, received_unbounded, written, read;
    trt_semaphore semaphore;
    trt_mutex mutex;
    trt_rwlock rwlock;
    long locked, written_under_lock; /* guarded */
    atomic_long lock_uses, write_uses;
    trt_notify notify;
    trt_barrier barrier;
    trt_token *token;
    broadcast_ints broadcast;
    watch_int watch;
    int pipe[2];
    atomic_long made, cleanups, operations;
    atomic_bool stop;
};
#define PERMITS 3

struct job { uint64_t random; };
trt_blocking_fn(int, job)
{
    for (uint64_t i = 0; i < self->random % 50 && !trt_cancelled(); i++)
        sched_yield();
    if (self->random % 97 == 0)
        trt_panic("a job");
    return 5;
}

struct sum_tree { int depth, left, right; };
trt_async(int, sum_tree)
{
    trt_body {
        if (!self->depth)
            trt_return(1);
        trt_fork(sum_tree, &self->left, .depth = self->depth - 1);
        trt_fork(sum_tree, &self->right, .depth = self->depth - 1);
        trt_await_ok(trt_sync());
        trt_return(self->left + self->right);
    }
}

/* Holds a permit across a wait, and gives it back however it ends. */
struct holder { struct world *w; trt_permit p; trt_duration hold; };
trt_async(int, holder)
{
    trt_body {
        trt_await_ok(trt_acquire(&self->w->semaphore, &self->p));
        trt_await(trt_sleep(self->hold));
        trt_return(1);
    }
    trt_cleanup {
        trt_await(trt_yield());
        trt_release(&self->p);
    }
}

struct actor {
    struct world *w;
    uint64_t random;
    int depth, i, j, out, operations;
    trt_any_handle h;
    trt_join_set_of(int) set;
    trt_permit permit;
    trt_guard guard, rw;
    trt_frame(holder) a, b;
    trt_frame(sum_tree) tree;
    trt_job(job) job;
    trt_handle(job) job_handle;
    struct message m;
    long number;
    subscriber_ints subscriber;
    follower_int follower;
    char byte;
};
#define SOON (trt_us(harness_random(&self->random) % 300))
trt_async(int, actor)
{
    struct world *w = self->w;
    trt_body {
        for (self->i = 0; self->i < self->operations; self->i++) {
            uint64_t r = harness_random(&self->random), what = r % 24;
            atomic_fetch_add(&w->operations, 1);
            self->out = -1;
            if (what == 0) {
                trt_await(trt_sleep(SOON));
            } else if (what <= 2) {
                self->m = (struct message){self->i, {self->i, self->i, self->i, self->i}};
                trt_await(trt_within(SOON, trt_send(&w->bounded, &self->m)));
                if (trt_status() == TRT_OK)
                    atomic_fetch_add(&w->sent, 1);
            } else if (what <= 4) {
                trt_await(trt_within(SOON, trt_recv(&w->bounded, &self->m)));
                if (trt_status() == TRT_OK) {
                    atomic_fetch_add(&w->received, 1);
                    CHECK(self->m.number == self->m.copy[0] && self->m.number == self->m.copy[3]);
                }
            } else if (what == 5) {
                self->number = self->i;
                trt_await(trt_send(&w->unbounded, &self->number));
                if (trt_status() == TRT_OK)
                    atomic_fetch_add(&w->sent_unbounded, 1);
            } else if (what == 6) {
                trt_await_any(trt_recv(&w->bounded, &self->m), trt_recv(&w->unbounded, &self->number), trt_sleep(SOON));
                if (trt_status() == TRT_OK && trt_chosen() == 0)
                    atomic_fetch_add(&w->received, 1);
                if (trt_status() == TRT_OK && trt_chosen() == 1)
                    atomic_fetch_add(&w->received_unbounded, 1);
            } else if (what == 7) {
                trt_await(trt_within(SOON, trt_acquire_many(&w->semaphore, 1 + harness_random(&self->random) % PERMITS, &self->permit)));
                if (trt_status() == TRT_OK)
                    trt_await(trt_yield());
                trt_release(&self->permit);
            } else if (what == 8) {
                trt_await(trt_lock(&w->mutex, &self->guard));
                if (trt_status() == TRT_OK) {
                    w->locked++;
                    atomic_fetch_add(&w->lock_uses, 1);
                    trt_await(trt_yield());
                    trt_unlock(&self->guard);
                }
            } else if (what == 9) {
                trt_await(trt_write_lock(&w->rwlock, &self->rw));
                if (trt_status() == TRT_OK) {
                    w->written_under_lock++;
                    atomic_fetch_add(&w->write_uses, 1);
                    trt_downgrade(&self->rw);
                    self->number = w->written_under_lock;
                    trt_await(trt_yield());
                    CHECK_EQ(w->written_under_lock, self->number);
                    trt_unlock(&self->rw);
                }
            } else if (what == 10) {
                trt_await(trt_within(SOON, trt_read_lock(&w->rwlock, &self->rw)));
                trt_unlock(&self->rw);
            } else if (what <= 13 && self->depth > 0) {
                self->h = trt_any(trt_spawn(actor, .w = w, .random = harness_random(&self->random), .depth = self->depth - 1,
                                            .operations = self->operations / 2));
                if (trt_spawned(self->h))
                    atomic_fetch_add(&w->made, 1);
                for (self->j = (int)(harness_random(&self->random) % 4); self->j > 0; self->j--)
                    trt_await(trt_yield());
                r = harness_random(&self->random);
                if (r % 5 == 0) {
                    trt_detach(self->h);
                } else {
                    if (r % 5 < 3)
                        trt_abort(self->h);
                    if (r % 5 == 3) {
                        trt_await(trt_within(SOON, trt_join(self->h, &self->out)));
                        if (trt_status() == TRT_TIMED_OUT)
                            trt_await(trt_stop(self->h));
                    } else {
                        trt_await(trt_join(self->h, &self->out));
                        CHECK(trt_status() != TRT_MISUSE);
                        CHECK_EQ(self->out, trt_status() == TRT_OK ? 9 : -1);
                    }
                }
            } else if (what <= 15 && self->depth > 0) {
                for (self->j = 0; self->j < 3; self->j++)
                    if (trt_spawned(trt_spawn_in(&self->set, actor, .w = w, .random = harness_random(&self->random), .depth = 0,
                                                 .operations = self->operations / 2)))
                        atomic_fetch_add(&w->made, 1);
                if (harness_random(&self->random) % 3 == 0)
                    trt_abort_all(&self->set);
                trt_await(trt_join_next(&self->set, &self->out));
                if (harness_random(&self->random) % 6 == 0)
                    trt_await(trt_set_shutdown(&self->set));
                else if (harness_random(&self->random) % 6 == 0)
                    trt_detach_all(&self->set);
            } else if (what == 16) {
                trt_await(trt_call(sum_tree, &self->tree, .depth = 5));
                CHECK(trt_status() != TRT_OK || self->tree.out == 32);
                trt_await(trt_within(SOON, trt_call(sum_tree, &self->tree, .depth = 7)));
            } else if (what == 17) {
                trt_await(trt_within(SOON, trt_blocking(job, &self->job, .random = harness_random(&self->random) | 1)));
                CHECK(trt_status() != TRT_OK || self->job.out == 5);
            } else if (what == 18) {
                self->job_handle = trt_spawn_blocking(job, .random = harness_random(&self->random));
                if (harness_random(&self->random) % 2)
                    trt_abort(self->job_handle);
                trt_await(trt_join(self->job_handle, &self->out));
                CHECK_EQ(self->out, trt_status() == TRT_OK ? 5 : -1);
            } else if (what == 19) {
                trt_await_any(trt_call(holder, &self->a, .w = w, .hold = SOON), trt_sleep(SOON),
                              trt_call(holder, &self->b, .w = w, .hold = SOON));
            } else if (what == 20) {
                trt_notify_one(&w->notify);
                trt_await(trt_within(SOON, trt_notified(&w->notify)));
                trt_await(trt_within(SOON, trt_barrier_wait(&w->barrier, NULL)));
                trt_await(trt_within(SOON, trt_token_wait(w->token)));
            } else if (what == 21) {
                CHECK_EQ(trt_broadcast_send(&w->broadcast, &self->i), TRT_OK);
                CHECK_EQ(trt_watch_send(&w->watch, &self->i), TRT_OK);
                trt_await(trt_within(SOON, trt_broadcast_recv(&self->subscriber, &self->out)));
                trt_await(trt_within(SOON, trt_watch_changed(&self->follower, &self->out)));
            } else if (what == 22) {
                if (write(w->pipe[1], "x", 1) == 1)
                    atomic_fetch_add(&w->written, 1);
                trt_await(trt_within(SOON, trt_readable(w->pipe[0])));
                if (trt_status() == TRT_OK && read(w->pipe[0], &self->byte, 1) == 1)
                    atomic_fetch_add(&w->read, 1);
            } else if (what == 23 && r / 24 % 16 == 0) {
                trt_await(trt_acquire(&w->semaphore, &self->permit));
                trt_panic("an actor");
            }
        }
        trt_return(9);
    }
    trt_cleanup {
        trt_release(&self->permit);
        trt_unlock(&self->guard);
        trt_unlock(&self->rw);
        trt_unsubscribe(&self->subscriber);
        trt_await(trt_stop(self->h));
        trt_await(trt_set_shutdown(&self->set));
        atomic_fetch_add(&w->cleanups, 1);
    }
}

/* A plain thread that spawns, aborts, joins, sends and receives from outside. */
struct outsider { struct world *w; uint64_t random; pthread_t thread; };
static void *outsider_main(void *argument)
{
    struct outsider *o = argument;
    struct world *w = o->w;
    for (int i = 0; i < 60 && !atomic_load(&w->stop); i++) {
        uint64_t r = harness_random(&o->random);
        int out = -1;
        trt_status_code status;
        trt_handle(actor) h = trt_spawn_on(w->rt, actor, .w = w, .random = r, .depth = 1 + (int)(r % 2), .operations = 12);
        if (trt_spawned(h))
            atomic_fetch_add(&w->made, 1);
        r /= 2;
        if (r % 4 == 0)
            trt_abort(h);
        if (r % 3 == 0) {
            trt_detach(h);
        } else {
            status = trt_join_thread(h, &out);
            CHECK(status == TRT_OK || status == TRT_CANCELLED || status == TRT_PANICKED || status == TRT_CLOSED);
            CHECK_EQ(out, status == TRT_OK ? 9 : -1);
        }
        if (r % 5 == 0 && trt_try_send(&w->unbounded, &(long){i}) == TRT_OK)
            atomic_fetch_add(&w->sent_unbounded, 1);
        if (r % 7 == 0 && trt_try_recv(&w->unbounded, NULL) == TRT_OK)
            atomic_fetch_add(&w->received_unbounded, 1);
        trt_notify_all(&w->notify);
    }
    return NULL;
}

static void one_round(uint64_t seed)
{
    uint64_t random = seed;
    struct world *w = calloc(1, sizeof *w);
    struct outsider outsiders[3];
    trt_config config = {.workers = 1 + harness_random(&random) % 4, .current_thread = harness_random(&random) % 6 == 0,
                         .max_blocking_threads = 1 + harness_random(&random) % 5, .stall_after = -1, .seed = seed | 1,
                         .blocking_keep_alive = trt_us(harness_random(&random) % 2000 + 1)};
    /* One in eight gives tasks up: then cleanups do not run, and what they hold is not given back. */
    bool gives_up = harness_random(&random) % 8 == 0, waits = harness_random(&random) % 2;
    trt_metrics_info m;
    trt_status_code status;
    int fds = harness_fds(), threads = harness_threads(), left;
    char bytes[256];
    ssize_t n;

    atomic_store(&chaos_level, (int)(harness_random(&random) % 9));
    trt_channel_init(&w->bounded, 1 + harness_random(&random) % 4);
    trt_channel_init(&w->unbounded, TRT_UNBOUNDED);
    trt_semaphore_init(&w->semaphore, PERMITS);
    trt_barrier_init(&w->barrier, 2);
    trt_broadcast_init(&w->broadcast, 4);
    trt_watch_init(&w->watch, &(int){0});
    w->token = trt_token_new(NULL);
    if (pipe(w->pipe) || fcntl(w->pipe[0], F_SETFL, O_NONBLOCK) || fcntl(w->pipe[1], F_SETFL, O_NONBLOCK))
        exit(3);
    CHECK_EQ(trt_runtime_start(&w->rt, &config), TRT_OK);

    for (int i = 0; i < 3; i++) {
        outsiders[i] = (struct outsider){.w = w, .random = harness_random(&random)};
        CHECK_EQ(pthread_create(&outsiders[i].thread, NULL, outsider_main, &outsiders[i]), 0);
    }
    for (uint64_t i = 0; i < (waits ? 0 : harness_random(&random) % 100); i++)
        harness_pause();
    if (waits)
        for (int i = 0; i < 3; i++)
            pthread_join(outsiders[i].thread, NULL);
    status = trt_runtime_shutdown(w->rt, gives_up ? trt_us(harness_random(&random) % 500) : -1);
    CHECK(status == TRT_OK || (status == TRT_TIMED_OUT && gives_up));
    gives_up = status != TRT_OK;
    atomic_store(&w->stop, true);
    if (!waits)
        for (int i = 0; i < 3; i++)
            pthread_join(outsiders[i].thread, NULL);
    trt_metrics(w->rt, &m);
    if (!gives_up) {
        CHECK_EQ(m.tasks_alive, 0);
        CHECK_EQ(m.tasks_spawned, m.tasks_ended);
    }
    CHECK_EQ(trt_runtime_free(w->rt), TRT_OK);
    atomic_store(&chaos_level, 0);

    if (!gives_up) { /* else a task may have been woken with a message, and never come to count it */
        CHECK_EQ(atomic_load(&w->received) + (long)trt_channel_len(&w->bounded), atomic_load(&w->sent));
        CHECK_EQ(atomic_load(&w->received_unbounded) + (long)trt_channel_len(&w->unbounded), atomic_load(&w->sent_unbounded));
    }
    for (left = 0; (n = read(w->pipe[0], bytes, sizeof bytes)) > 0;)
        left += (int)n;
    CHECK_EQ(atomic_load(&w->read) + left, atomic_load(&w->written));
    CHECK_EQ(w->locked, atomic_load(&w->lock_uses));
    CHECK_EQ(w->written_under_lock, atomic_load(&w->write_uses));
    if (!gives_up) {
        trt_guard guard = {0}, rw = {0};
        CHECK_EQ(trt_available_permits(&w->semaphore), PERMITS);
        CHECK(trt_try_lock(&w->mutex, &guard));
        CHECK(trt_try_write_lock(&w->rwlock, &rw));
        CHECK_EQ(atomic_load(&w->cleanups), atomic_load(&w->made));
    }
    trt_channel_free(&w->bounded);
    trt_channel_free(&w->unbounded);
    trt_broadcast_free(&w->broadcast);
    trt_token_free(w->token);
    CHECK_EQ(atomic_load(&harness_blocks), 0);
    close(w->pipe[0]);
    close(w->pipe[1]);
    CHECK_EQ(harness_fds(), fds);
    for (int i = 0; i < 5000 && !HARNESS_TSAN && harness_threads() > threads; i++)
        harness_pause();
    if (!HARNESS_TSAN)
        CHECK(harness_threads() <= threads);
    free(w);
}

static atomic_long *rounds; /* shared between processes */
static double soak_seconds(void)
{
    const char *text = getenv("SOAK_SECONDS");
    return text && atof(text) > 0 ? atof(text) : 3600;
}
static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

TEST(rounds_of_everything_at_once_leave_nothing_behind)
{
    double end = now() + soak_seconds();
    const char *first = getenv("SOAK_SEED");
    uint64_t seed = first ? strtoull(first, NULL, 10) : (uint64_t)time(NULL) * 1000000;
    do {
        dprintf(harness_log, "SOAK_SEED=%llu\n", (unsigned long long)seed); /* the last line tells, if a round hangs */
        alarm((unsigned)(60 * harness_factor("TASKRT_TEST_SLOW")));         /* a limit for each round */
        one_round(seed++);
        atomic_fetch_add(rounds, 1);
    } while (now() < end && !atomic_load(&harness_failures));
    alarm(0);
}

static void tell_rounds(void) { printf("soaked %ld rounds\n", atomic_load(rounds)); }

int main(int argc, char **argv)
{
    rounds = mmap(NULL, sizeof *rounds, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (rounds == MAP_FAILED)
        return 3;
    for (harness_test *test = harness_first; test; test = test->next)
        test->seconds = soak_seconds() + 120;
    harness_last_words = tell_rounds;
    return harness_main(argc, argv);
}
