/* Every allocation fails once: a status, never a crash, and nothing leaks. */
#include "harness.h"
#define TASKRT_IMPLEMENTATION
#include "../taskrt.h"
#include "common.h"

typedef trt_channel(int) ints;
typedef trt_broadcast(int) broadcast_ints;
typedef trt_subscriber(int) subscriber_ints;
typedef trt_watch(int) watch_int;
typedef trt_follower(int) follower_int;

/* What may come of an operation when memory is short: what it promises, or TRT_NO_MEMORY. */
#define OK_OR_NO_MEMORY(status)                                                                    \
    CHECK((status) == TRT_OK || (status) == TRT_NO_MEMORY)

struct small_job { int n; };
trt_blocking_fn(int, small_job) { return self->n + 1; }

struct sends_some { ints *c; int i, n; };
trt_async(int, sends_some)
{
    trt_body {
        for (self->i = 0; self->i < self->n; self->i++)
            trt_await_ok(trt_send(self->c, &self->i));
    }
    trt_cleanup { trt_channel_close(self->c); }
}

struct scenario {
    int out, i, many, made;
    trt_handle(later) h, hs[300];
    trt_handle(later) named;
    trt_frame(later) call;
    trt_frame(forever) forever;
    trt_join_set(later) set;
    trt_handle(small_job) bh;
    trt_job(small_job) job;
    ints bounded, unbounded;
    trt_handle(sends_some) sender;
    broadcast_ints broadcast;
    subscriber_ints sub;
    watch_int watch;
    follower_int follower;
    trt_token *token, *child;
    int *arc;
    trt_semaphore s;
    trt_permit p;
    int forked[4];
    int fd[2];
    bool ready;
    atomic_int cleaned;
};
trt_async(int, scenario)
{
    trt_body {
        self->ready = true;
        self->fd[0] = self->fd[1] = -1;
        if (pipe(self->fd))
            CHECK(false);
        trt_semaphore_init(&self->s, 1);

        /* spawn, join */
        self->out = 77;
        self->h = trt_spawn(later, .after = trt_us(3), .value = 5);
        if (!trt_spawned(self->h)) {
            trt_await(trt_join(self->h, &self->out));
            CHECK_EQ(trt_status(), TRT_NO_MEMORY);
            CHECK_EQ(self->out, 77);
        } else {
            trt_await(trt_join(self->h, &self->out));
            CHECK_EQ(trt_status(), TRT_OK);
            CHECK_EQ(self->out, 5);
        }
        for (self->i = 0; self->i < self->many; self->i++)
            self->hs[self->i] = trt_spawn(later, .after = trt_us(self->i), .value = self->i);
        for (self->i = 0; self->i < self->many; self->i++) {
            self->made += trt_spawned(self->hs[self->i]);
            self->out = 77;
            trt_await(trt_join(self->hs[self->i], &self->out));
            OK_OR_NO_MEMORY(trt_status());
            CHECK_EQ(self->out, trt_status() == TRT_OK ? self->i : 77);
        }
        self->named = trt_spawn_named("a name that is quite long, as names go, to need some memory", later, .value = 3);
        trt_await(trt_join(self->named, &self->out));
        OK_OR_NO_MEMORY(trt_status());
        OK_OR_NO_MEMORY(trt_spawn_detached(forever, .cleaned = &self->cleaned));

        /* calls take no memory */
        trt_await(trt_call(later, &self->call, .after = trt_us(1), .value = 8));
        CHECK_EQ(trt_status(), TRT_OK);
        CHECK_EQ(self->call.out, 8);

        /* groups and deadlines: all or nothing */
        trt_await_any(trt_call(forever, &self->forever), trt_sleep(trt_us(5)));
        if (trt_status() == TRT_NO_MEMORY)
            CHECK_EQ(trt_chosen(), -1);
        else
            CHECK_EQ(trt_chosen(), 1);
        trt_await_all(trt_sleep(trt_us(1)), trt_sleep(trt_us(2)));
        OK_OR_NO_MEMORY(trt_status());
        trt_await(trt_within(trt_us(2), trt_call(forever, &self->forever)));
        CHECK(trt_status() == TRT_TIMED_OUT || trt_status() == TRT_NO_MEMORY);
        trt_await(trt_within(trt_s(1), trt_acquire(&self->s, &self->p)));
        OK_OR_NO_MEMORY(trt_status());
        trt_release(&self->p);

        /* forks */
        for (self->i = 0; self->i < 4; self->i++) {
            self->forked[self->i] = 77;
            trt_fork(later, &self->forked[self->i], .after = trt_us(self->i), .value = self->i);
        }
        trt_await(trt_sync());
        OK_OR_NO_MEMORY(trt_status());
        for (self->i = 0; self->i < 4; self->i++)
            CHECK(self->forked[self->i] == self->i || (trt_status() == TRT_NO_MEMORY && self->forked[self->i] == 77));

        /* sets */
        for (self->i = 0; self->i < 10; self->i++)
            trt_spawn_in(&self->set, later, .after = trt_us(self->i), .value = self->i);
        CHECK_EQ(trt_set_len(&self->set), 10);
        for (self->i = 0; self->i < 10; self->i++) {
            trt_await(trt_join_next(&self->set, &self->out));
            OK_OR_NO_MEMORY(trt_status());
            CHECK_EQ(trt_joined() == 0, trt_status() == TRT_NO_MEMORY);
        }
        trt_await(trt_join_next(&self->set, &self->out));
        CHECK_EQ(trt_status(), TRT_EMPTY);

        /* blocking */
        self->bh = trt_spawn_blocking(small_job, .n = 3);
        trt_await(trt_join(self->bh, &self->out));
        OK_OR_NO_MEMORY(trt_status());
        trt_await(trt_blocking(small_job, &self->job, .n = 4));
        OK_OR_NO_MEMORY(trt_status());
        if (trt_status() == TRT_OK)
            CHECK_EQ(self->job.out, 5);

        /* channels */
        if (trt_channel_init(&self->bounded, 4) == TRT_OK) {
            self->sender = trt_spawn(sends_some, .c = &self->bounded, .n = 20);
            if (!trt_spawned(self->sender))
                trt_channel_close(&self->bounded);
            for (self->i = 0;; self->i++) {
                trt_await(trt_recv(&self->bounded, &self->out));
                if (trt_status() != TRT_OK)
                    break;
                CHECK_EQ(self->out, self->i);
            }
            CHECK_EQ(trt_status(), TRT_CLOSED);
            trt_await(trt_join(self->sender, NULL));
            OK_OR_NO_MEMORY(trt_status());
        }
        if (trt_channel_init(&self->unbounded, TRT_UNBOUNDED) == TRT_OK) {
            self->made = 0;
            for (self->i = 0; self->i < 200; self->i++) {
                trt_await(trt_send(&self->unbounded, &self->i));
                OK_OR_NO_MEMORY(trt_status());
                self->made += trt_status() == TRT_OK;
            }
            CHECK_EQ(trt_channel_len(&self->unbounded), self->made);
            for (self->i = 0; self->i < self->made; self->i++) {
                trt_await(trt_recv(&self->unbounded, &self->out));
                CHECK_EQ(trt_status(), TRT_OK);
            }
        }
        if (trt_broadcast_init(&self->broadcast, 4) == TRT_OK && trt_subscribe(&self->broadcast, &self->sub) == TRT_OK) {
            OK_OR_NO_MEMORY(trt_broadcast_send(&self->broadcast, &(int){6}));
            if (trt_broadcast_send(&self->broadcast, &(int){6}) == TRT_OK) {
                trt_await(trt_broadcast_recv(&self->sub, &self->out));
                CHECK_EQ(trt_status(), TRT_OK);
            }
        }
        if (trt_watch_init(&self->watch, &(int){1}) == TRT_OK) {
            OK_OR_NO_MEMORY(trt_watch_follow(&self->watch, &self->follower));
            OK_OR_NO_MEMORY(trt_watch_send(&self->watch, &(int){2}));
        }

        /* tokens, arcs */
        self->token = trt_token_new(NULL);
        self->child = self->token ? trt_token_new(self->token) : NULL;
        if (self->child) {
            trt_token_cancel(self->token);
            trt_await(trt_token_wait(self->child));
            CHECK_EQ(trt_status(), TRT_OK);
        }
        self->arc = trt_arc_new(100, NULL);

        /* fds */
        trt_await(trt_writable(self->fd[1]));
        CHECK(trt_status() == TRT_OK || trt_status() == TRT_NO_MEMORY);
        trt_return(1);
    }
    trt_cleanup {
        if (self->ready) {
            close(self->fd[0]);
            close(self->fd[1]);
        }
        trt_await(trt_stop(self->sender));
        trt_unsubscribe(&self->sub);
        trt_broadcast_free(&self->broadcast);
        trt_channel_free(&self->bounded);
        trt_channel_free(&self->unbounded);
        trt_watch_close(&self->watch);
        trt_token_free(self->child);
        trt_token_free(self->token);
        trt_arc_drop(self->arc);
    }
}

/* Fails the first, second, third ... allocation of a run, until a run needs fewer. */
static void fail_each(const trt_config *config, bool forever_after, int many)
{
    long runs = 0;
    for (long at = 1;; at++) {
        int out = 77;
        atomic_store(&harness_calls, 0);
        atomic_store(&harness_fail_forever, forever_after);
        atomic_store(&harness_fail_at, at);
        trt_status_code status = trt_run_with(config, scenario, &out, .many = many);
        bool met = atomic_load(&harness_calls) >= at;
        atomic_store(&harness_fail_at, 0);
        runs++;
        if (!CHECK(status == TRT_OK || status == TRT_NO_MEMORY) || !CHECK_EQ(out, status == TRT_OK ? 1 : 77) ||
            !CHECK_EQ(atomic_load(&harness_blocks), 0)) {
            fprintf(stderr, "allocation %ld failed%s\n", at, forever_after ? " and all after it" : "");
            break;
        }
        if (!met) {
            CHECK_EQ(status, TRT_OK);
            break;
        }
    }
    CHECK(runs > 3);
}

TEST(one_failing_allocation_on_the_virtual_clock) { fail_each(&on_virtual_clock, false, 300); }
TEST(failing_allocations_from_one_on_on_the_virtual_clock) { fail_each(&on_virtual_clock, true, 300); }
TEST(one_failing_allocation_on_two_workers) { fail_each(&on_two_workers, false, 300); }
TEST(failing_allocations_from_one_on_on_two_workers) { fail_each(&on_two_workers, true, 300); }

TEST(a_runtime_that_gets_no_memory_does_not_start)
{
    for (int mode = 0; mode < 2; mode++)
        for (long at = 1;; at++) {
            trt_runtime *rt = (trt_runtime *)&rt;
            atomic_store(&harness_calls, 0);
            atomic_store(&harness_fail_forever, mode == 1);
            atomic_store(&harness_fail_at, at);
            trt_status_code status = trt_runtime_start(&rt, &on_four_workers);
            bool met = atomic_load(&harness_calls) >= at;
            atomic_store(&harness_fail_at, 0);
            if (status == TRT_OK)
                CHECK_EQ(trt_runtime_free(rt), TRT_OK);
            else {
                CHECK_EQ(status, TRT_NO_MEMORY);
                CHECK(rt == NULL);
            }
            if (!CHECK_EQ(atomic_load(&harness_blocks), 0) || !met)
                break;
        }
}

/* The runtime serves on when memory comes back. */
TEST(a_runtime_recovers_from_want_of_memory)
{
    trt_runtime *rt;
    int out = 0;
    static trt_handle(later) h[20000];
    size_t made = 0;
    CHECK_EQ(trt_runtime_start(&rt, &on_one_worker), TRT_OK);
    CHECK_EQ(trt_block_on(rt, now_value, &out, .value = 1), TRT_OK);
    atomic_store(&harness_calls, 0);
    atomic_store(&harness_fail_forever, true);
    atomic_store(&harness_fail_at, 1);
    for (int i = 0; i < 20000; i++) {
        h[i] = trt_spawn_on(rt, later, .after = trt_us(1), .value = i);
        made += trt_spawned(h[i]);
    }
    CHECK(made < 20000);
    atomic_store(&harness_fail_at, 0);
    for (int i = 0; i < 20000; i++) {
        trt_status_code status = trt_join_thread(h[i], &out);
        if (status == TRT_OK ? out != i : status != TRT_NO_MEMORY)
            CHECK_EQ(status, TRT_NO_MEMORY);
    }
    for (int i = 0; i < 1000; i++)
        CHECK(trt_spawned(h[i] = trt_spawn_on(rt, later, .value = i)));
    for (int i = 0; i < 1000; i++)
        CHECK_EQ(trt_join_thread(h[i], NULL), TRT_OK);
    CHECK_EQ(trt_runtime_free(rt), TRT_OK);
}

/* Every operation of an `all` that could not start says so. */
#define THREE_SLEEPS trt_sleep(1), trt_sleep(1), trt_sleep(1)
struct all_without_memory { void *taken; int i; };
static void take_all_slots(struct all_without_memory *self)
{
    void *slot;
    atomic_store(&harness_calls, 0);
    atomic_store(&harness_fail_forever, true);
    atomic_store(&harness_fail_at, 1);
    while ((slot = trt_block_alloc_(trt_current(), sizeof(trt_group_) + 3 * sizeof(trt_waiter_))) != NULL) {
        *(void **)slot = self->taken;
        self->taken = slot;
    }
}
static void give_all_slots(struct all_without_memory *self)
{
    while (self->taken) {
        void *slot = self->taken;
        self->taken = *(void **)slot;
        trt_slot_unused_(slot);
    }
    atomic_store(&harness_fail_at, 0);
}
trt_async(int, all_without_memory)
{
    trt_body {
        take_all_slots(self);
        trt_await_all(THREE_SLEEPS);
        CHECK_EQ(trt_status(), TRT_NO_MEMORY);
        CHECK_EQ(trt_chosen(), -1);
        for (self->i = 0; self->i < 3; self->i++)
            CHECK_EQ(trt_status_of(self->i), TRT_NO_MEMORY);
        trt_await_try_all(THREE_SLEEPS);
        CHECK_EQ(trt_status(), TRT_NO_MEMORY);
        for (self->i = 0; self->i < 3; self->i++)
            CHECK_EQ(trt_status_of(self->i), TRT_NO_MEMORY);
        trt_await_any(THREE_SLEEPS);
        CHECK_EQ(trt_status(), TRT_NO_MEMORY);
        CHECK_EQ(trt_joined(), 0);
        give_all_slots(self);
    }
}

TEST(each_status_of_an_all_that_gets_no_memory_says_so)
{
    CHECK_EQ(trt_run_with(&on_virtual_clock, all_without_memory, NULL), TRT_OK);
}

/* Waiting for one operation takes no memory at all. */
struct waits_plainly { trt_semaphore *s; trt_permit p; };
trt_async(int, waits_plainly)
{
    trt_body {
        trt_await_ok(trt_acquire(self->s, &self->p));
        trt_await_ok(trt_sleep(trt_us(5)));
    }
    trt_cleanup { trt_release(&self->p); }
}
struct plain_waits { trt_semaphore s; trt_handle(waits_plainly) h[100]; int i; trt_permit p; long calls; };
trt_async(int, plain_waits)
{
    trt_body {
        trt_semaphore_init(&self->s, 1);
        trt_await_ok(trt_acquire(&self->s, &self->p));
        for (self->i = 0; self->i < 100; self->i++)
            self->h[self->i] = trt_spawn(waits_plainly, .s = &self->s);
        self->calls = atomic_load(&harness_calls);
        trt_release(&self->p);
        for (self->i = 0; self->i < 100; self->i++) {
            trt_await(trt_join(self->h[self->i], NULL));
            CHECK_EQ(trt_status(), TRT_OK);
        }
        CHECK_EQ(atomic_load(&harness_calls), self->calls);
    }
}

TEST(waiting_for_one_operation_takes_no_memory)
{
    CHECK_EQ(trt_run_with(&on_virtual_clock, plain_waits, NULL), TRT_OK);
}

struct recycles { long i, rounds; int j, out; trt_handle(later) h[100]; trt_metrics_info m; size_t memory; };
trt_async(int, recycles)
{
    trt_body {
        for (self->i = 0; self->i < self->rounds; self->i++) {
            for (self->j = 0; self->j < 100; self->j++)
                self->h[self->j] = trt_spawn(later, .after = trt_us(self->j % 7), .value = self->j);
            for (self->j = 0; self->j < 100; self->j++)
                trt_await(trt_join(self->h[self->j], &self->out));
            trt_metrics(trt_current(), &self->m);
            if (self->i == 20)
                self->memory = self->m.memory;
        }
        CHECK(self->m.memory <= self->memory + 262144); /* memory of ended tasks is used again */
    }
}

TEST(memory_of_ended_tasks_is_used_again)
{
    CHECK_EQ(trt_run_with(&on_virtual_clock, recycles, NULL, .rounds = 300), TRT_OK);
    CHECK_EQ(trt_run_with(&on_two_workers, recycles, NULL, .rounds = 300), TRT_OK);
}

/* Slots come in steps of 8 bytes, frames of 16-aligned types must not. Two of each size and each kind of slot at least,
 * since the first slot of a chunk is aligned to 16 bytes in any case. */
#define ALIGNED(name, T, fields, pointer)                                                                             \
    struct name { fields int n; };                                                                                     \
    trt_async(T, name)                                                                                                 \
    {                                                                                                                  \
        trt_body {                                                                                                     \
            CHECK_EQ((uintptr_t)(pointer) % 16, 0);                                                                    \
            trt_await_ok(trt_yield());                                                                                 \
        }                                                                                                              \
    }                                                                                                                  \
    struct all_##name { trt_handle(name) h[3], named[3]; trt_join_set(name) set; T out[3]; int i; };                   \
    trt_async(trt_void, all_##name)                                                                                    \
    {                                                                                                                  \
        trt_body {                                                                                                     \
            for (self->i = 0; self->i < 3; self->i++) {                                                                \
                self->h[self->i] = trt_spawn(name, .n = 1);                                                            \
                self->named[self->i] = trt_spawn_named("aligned", name, .n = 1);                                       \
                CHECK(trt_spawned(trt_spawn_in(&self->set, name, .n = 1)));                                            \
                trt_fork(name, &self->out[self->i], .n = 1);                                                           \
            }                                                                                                          \
            trt_await_ok(trt_sync());                                                                                  \
            for (self->i = 0; self->i < 3; self->i++) {                                                                \
                trt_await_at(1, trt_join(self->h[self->i], NULL));                                                     \
                trt_await_at(2, trt_join(self->named[self->i], NULL));                                                 \
                trt_await_at(3, trt_join_next(&self->set, NULL));                                                      \
            }                                                                                                          \
        }                                                                                                              \
    }
typedef struct { _Alignas(16) char c; } sixteen;
ALIGNED(aligned_self_1, char, _Alignas(16) char c[1];, self->c)
ALIGNED(aligned_self_2, char, _Alignas(16) char c[17];, self->c)
ALIGNED(aligned_self_3, char, _Alignas(16) char c[40];, self->c)
ALIGNED(aligned_self_4, char, _Alignas(16) char c[600];, self->c)
ALIGNED(aligned_out_1, sixteen, char c[1];, &trt_frame_->out)
ALIGNED(aligned_out_2, sixteen, char c[24];, &trt_frame_->out)

struct aligned_job { _Alignas(16) char c[24]; };
trt_blocking_fn(sixteen, aligned_job)
{
    sixteen out = {0};
    CHECK_EQ((uintptr_t)self % 16, 0);
    return out;
}
struct all_aligned_jobs { trt_handle(aligned_job) h[3]; int i; };
trt_async(trt_void, all_aligned_jobs)
{
    trt_body {
        for (self->i = 0; self->i < 3; self->i++) self->h[self->i] = trt_spawn_blocking(aligned_job, .c = {0});
        for (self->i = 0; self->i < 3; self->i++) trt_await_ok(trt_join(self->h[self->i], NULL));
    }
}

/* The smallest frames there are, next to each other: none may begin where another still has something. The second round
 * takes the slots in the opposite order. */
struct tiny { char c; };
trt_async(char, tiny)
{
    trt_body {
        trt_await_ok(trt_yield());
        trt_return(self->c);
    }
}
struct all_tiny { trt_handle(tiny) h[100]; char round, i, out; };
trt_async(trt_void, all_tiny)
{
    trt_body {
        for (self->round = 0; self->round < 2; self->round++) {
            for (self->i = 0; self->i < 100; self->i++) self->h[(int)self->i] = trt_spawn(tiny, .c = self->i);
            for (self->i = 0; self->i < 100; self->i++) {
                trt_await_ok(trt_join(self->h[(int)self->i], &self->out));
                CHECK_EQ(self->out, self->i);
            }
        }
    }
}

TEST(structs_and_results_lie_where_their_alignment_asks)
{
    CHECK_EQ(trt_run(all_aligned_self_1, NULL), TRT_OK);
    CHECK_EQ(trt_run(all_aligned_self_2, NULL), TRT_OK);
    CHECK_EQ(trt_run(all_aligned_self_3, NULL), TRT_OK);
    CHECK_EQ(trt_run(all_aligned_self_4, NULL), TRT_OK);
    CHECK_EQ(trt_run(all_aligned_out_1, NULL), TRT_OK);
    CHECK_EQ(trt_run(all_aligned_out_2, NULL), TRT_OK);
    CHECK_EQ(trt_run(all_aligned_jobs, NULL), TRT_OK);
    CHECK_EQ(trt_run(all_tiny, NULL), TRT_OK);
}

/* ---- large frames and messages ---- */

static int count_in(const char *text, const char *part)
{
    int n = 0;
    for (; (text = strstr(text, part)) != NULL; text++)
        n++;
    return n;
}
static char *dump_here(void)
{
    char *text = NULL;
    size_t size;
    FILE *f = open_memstream(&text, &size);
    trt_dump(trt_current(), f);
    fclose(f);
    return text;
}

/* Slots of 64 KiB and more have a chunk of their own, which is several times as large. Members of sets, forks and named
 * tasks have to be found there too, and nobody else may write to their frames. */
typedef trt_join_set_of(int) large_set;
struct large_kind {
    trt_any_handle (*member)(large_set *set, trt_duration after, atomic_int *lives);
    trt_any_handle (*named)(const char *label, atomic_int *lives);
    trt_any_handle (*forks)(atomic_int *lives);
    void (*job)(large_set *set, atomic_bool *runs, atomic_bool *release);
};

struct set_of_large {
    const struct large_kind *kind;
    large_set set;
    trt_any_handle h[3];
    atomic_int *lives;
    int i, n, out;
};
trt_async(int, set_of_large)
{
    trt_body {
        self->h[0] = self->kind->member(&self->set, trt_ms(1), self->lives);
        self->h[1] = self->kind->member(&self->set, 0, self->lives);
        self->h[2] = self->kind->member(&self->set, 0, self->lives);
        trt_await_ok(trt_join_next(&self->set, &self->out));
        CHECK_EQ(self->out, 7);
        CHECK_EQ(trt_joined(), trt_task_id(self->h[0]));
        AWAIT_UNTIL(atomic_load(self->lives) == 2);
        trt_abort_all(&self->set);
        while (trt_set_len(&self->set)) {
            trt_await(trt_within(trt_s(5), trt_join_next(&self->set, &self->out)));
            CHECK_EQ(trt_status(), TRT_CANCELLED);
            if (trt_status() == TRT_TIMED_OUT)
                break;
        }
        CHECK_EQ(atomic_load(self->lives), 0);

        for (self->i = 0; self->i < 3; self->i++)
            self->kind->member(&self->set, 0, self->lives);
        AWAIT_UNTIL(atomic_load(self->lives) == 3);
        trt_await(trt_within(trt_s(5), trt_set_shutdown(&self->set)));
        CHECK_EQ(trt_status(), TRT_OK);
        CHECK_EQ(atomic_load(self->lives), 0);

        for (self->i = 0; self->i < 3; self->i++)
            self->h[self->i] = self->kind->member(&self->set, 0, self->lives);
        AWAIT_UNTIL(atomic_load(self->lives) == 3);
        trt_detach_all(&self->set);
        CHECK_EQ(trt_set_len(&self->set), 0);
        for (self->i = 0; self->i < 3; self->i++)
            trt_abort(self->h[self->i]);
        AWAIT_UNTIL(atomic_load(self->lives) == 0);

        for (self->i = 0; self->i < 3; self->i++) /* left in the set */
            self->kind->member(&self->set, 0, self->lives);
        AWAIT_UNTIL(atomic_load(self->lives) == 3);
        trt_return(1);
    }
}

struct dumps_large {
    const struct large_kind *kind;
    trt_any_handle named, forks;
    const char *at;
    atomic_int *lives;
    char *text;
};
trt_async(int, dumps_large)
{
    trt_body {
        self->forks = self->kind->forks(self->lives);
        trt_await(trt_sleep(trt_ms(20)));
        AWAIT_UNTIL(atomic_load(self->lives) == 3);
        self->named = self->kind->named("a large one", self->lives);
        AWAIT_UNTIL(atomic_load(self->lives) == 4);
        self->text = dump_here();
        CHECK_EQ(count_in(self->text, "a large one: "), 1);
        if (trt_current()->virtual_clock) {
            CHECK_EQ(count_in(self->text, "fork:\n"), 3);
            CHECK_EQ(count_in(self->text, self->at), 4);
        }
        free(self->text);
        trt_abort(self->named);
        trt_await(trt_join(self->named, NULL));
        CHECK_EQ(trt_status(), TRT_CANCELLED);
        trt_abort(self->forks);
        trt_await(trt_within(trt_s(5), trt_join(self->forks, NULL)));
        CHECK_EQ(trt_status(), TRT_CANCELLED);
        CHECK_EQ(atomic_load(self->lives), 0);
        trt_return(1);
    }
}

struct large_jobs { const struct large_kind *kind; large_set set; atomic_bool runs, release; int i, out; };
trt_async(int, large_jobs)
{
    trt_body {
        for (self->i = 0; self->i < 3; self->i++)
            self->kind->job(&self->set, &self->runs, &self->release);
        AWAIT_UNTIL(atomic_load(&self->runs));
        trt_abort_all(&self->set); /* one runs, two are queued */
        for (self->i = 0; self->i < 2; self->i++) {
            trt_await(trt_within(trt_s(5), trt_join_next(&self->set, NULL)));
            CHECK_EQ(trt_status(), TRT_CANCELLED);
        }
        atomic_store(&self->release, true);
        trt_await(trt_join_next(&self->set, &self->out));
        trt_return(self->out);
    }
}

static void run_large(const struct large_kind *kind, const trt_config *config, const char *at)
{
    atomic_int lives = 0;
    int out = 0;
    CHECK_EQ(trt_run_with(config, set_of_large, &out, .kind = kind, .lives = &lives), TRT_OK);
    CHECK_EQ(out, 1);
    CHECK_EQ(atomic_load(&lives), 0);
    out = 0;
    CHECK_EQ(trt_run_with(config, dumps_large, &out, .kind = kind, .lives = &lives, .at = at), TRT_OK);
    CHECK_EQ(out, 1);
}

#define LARGE(name, bytes)                                                                                             \
    struct name { trt_duration after; atomic_int *lives; char filled[bytes]; };                                        \
    trt_async(int, name)                                                                                               \
    {                                                                                                                  \
        trt_body {                                                                                                     \
            memset(self->filled, 0x5a, sizeof self->filled);                                                           \
            atomic_fetch_add(self->lives, 1);                                                                          \
            trt_await(trt_sleep_until(self->after ? trt_now() + self->after : INT64_MAX));                             \
            trt_return(7);                                                                                             \
        }                                                                                                              \
        trt_cleanup {                                                                                                  \
            CHECK(self->filled[0] == 0x5a && !memcmp(self->filled, self->filled + 1, sizeof self->filled - 1));        \
            atomic_fetch_sub(self->lives, 1);                                                                          \
        }                                                                                                              \
    }                                                                                                                  \
    struct job_##name { atomic_bool *runs, *release; char filled[bytes]; };                                            \
    trt_blocking_fn(int, job_##name)                                                                                   \
    {                                                                                                                  \
        atomic_store(self->runs, true);                                                                                \
        while (!atomic_load(self->release)) harness_pause();                                                           \
        return 8;                                                                                                      \
    }                                                                                                                  \
    struct forks_##name { atomic_int *lives; int i, out[3]; };                                                         \
    trt_async(int, forks_##name)                                                                                       \
    {                                                                                                                  \
        trt_body {                                                                                                     \
            for (self->i = 0; self->i < 3; self->i++)                                                                  \
                trt_fork(name, &self->out[self->i], .lives = self->lives, .after = trt_ms(1));                         \
            trt_await_ok(trt_sync());                                                                                  \
            CHECK_EQ(self->out[0] + self->out[1] + self->out[2], 21);                                                  \
            for (self->i = 0; self->i < 3; self->i++) trt_fork(name, NULL, .lives = self->lives);                      \
            trt_await_at(1, trt_sync());                                                                               \
        }                                                                                                              \
        trt_cleanup { CHECK_EQ(atomic_load(self->lives), 0); }                                                         \
    }                                                                                                                  \
    static trt_any_handle member_##name(large_set *set, trt_duration after, atomic_int *lives)                         \
    {                                                                                                                  \
        return trt_any(trt_spawn_in(set, name, .after = after, .lives = lives));                                       \
    }                                                                                                                  \
    static trt_any_handle named_##name(const char *label, atomic_int *lives)                                           \
    {                                                                                                                  \
        return trt_any(trt_spawn_named(label, name, .lives = lives));                                                  \
    }                                                                                                                  \
    static trt_any_handle spawn_forks_##name(atomic_int *lives)                                                        \
    {                                                                                                                  \
        return trt_any(trt_spawn(forks_##name, .lives = lives));                                                       \
    }                                                                                                                  \
    static void spawn_job_##name(large_set *set, atomic_bool *runs, atomic_bool *release)                              \
    {                                                                                                                  \
        trt_spawn_blocking_in(set, job_##name, .runs = runs, .release = release);                                      \
    }                                                                                                                  \
    static const struct large_kind kind_##name = {member_##name, named_##name, spawn_forks_##name, spawn_job_##name};  \
    TEST(sets_forks_names_and_jobs_with_frames_of_##bytes##_bytes)                                                     \
    {                                                                                                                  \
        int out = 0;                                                                                                   \
        run_large(&kind_##name, &on_virtual_clock, "at " #name " (");                                                  \
        run_large(&kind_##name, &on_two_workers, "at " #name " (");                                                    \
        CHECK_EQ(trt_run_with((&(trt_config){.workers = 1, .max_blocking_threads = 1}), large_jobs, &out,              \
                              .kind = &kind_##name),                                                                   \
                 TRT_OK);                                                                                              \
        CHECK_EQ(out, 8);                                                                                              \
    }
LARGE(large_1, 28400)
LARGE(large_2, 32400)
LARGE(large_3, 32760)
LARGE(large_4, 57100)
LARGE(large_5, 65200)
LARGE(large_6, 65536)
LARGE(large_7, 100000)
LARGE(large_8, 1000000)

/* Messages that wait with their senders. */
struct large_message { char filled[100000]; };
typedef trt_channel(struct large_message) large_messages;
struct sends_large { large_messages *c; atomic_bool *lost; struct large_message m; int i; };
trt_async(int, sends_large)
{
    trt_body {
        for (self->i = 1; self->i <= 3; self->i++) {
            memset(&self->m, self->i, sizeof self->m);
            trt_await_ok(trt_send(self->c, &self->m));
        }
        memset(&self->m, 0x77, sizeof self->m);
        trt_await(trt_within(trt_ms(1), trt_send(self->c, &self->m)));
        CHECK_EQ(trt_status(), TRT_TIMED_OUT);
        trt_await_any(trt_send(self->c, &self->m), trt_sleep(trt_ms(1)));
        CHECK_EQ(trt_chosen(), 1);
        trt_await_all(trt_within(trt_ms(1), trt_send(self->c, &self->m)), trt_yield());
        CHECK_EQ(trt_status_of(0), TRT_TIMED_OUT);
        atomic_store(self->lost, true);
        memset(&self->m, 4, sizeof self->m);
        trt_await_all(trt_within(trt_s(9), trt_send(self->c, &self->m)), trt_yield());
        CHECK_EQ(trt_status_of(0), TRT_OK);
        trt_await(trt_send(self->c, &self->m)); /* aborted here */
    }
}
struct large_messages_pass {
    large_messages c;
    trt_handle(sends_large) h;
    struct large_message m;
    atomic_bool lost;
    int i;
};
trt_async(int, large_messages_pass)
{
    trt_body {
        CHECK_EQ(trt_channel_init(&self->c, 2), TRT_OK);
        self->h = trt_spawn_named("sends", sends_large, .c = &self->c, .lost = &self->lost);
        for (self->i = 1; self->i <= 4; self->i++) {
            do trt_await(trt_sleep(trt_ms(1)));
            while (self->i > 1 && !atomic_load(&self->lost));
            trt_await_ok(trt_recv(&self->c, &self->m));
            CHECK(self->m.filled[0] == self->i && !memcmp(&self->m, self->m.filled + 1, sizeof self->m - 1));
        }
    }
    trt_cleanup {
        trt_await(trt_stop(self->h));
        trt_channel_free(&self->c);
    }
}

TEST(messages_larger_than_a_chunk)
{
    CHECK_EQ(trt_run_with(&on_virtual_clock, large_messages_pass, NULL), TRT_OK);
    CHECK_EQ(trt_run_with(&on_two_workers, large_messages_pass, NULL), TRT_OK);
}

int main(int argc, char **argv) { return harness_main(argc, argv); }
