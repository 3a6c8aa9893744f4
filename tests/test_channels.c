/* oneshot, channel, broadcast, watch. */
#include "harness.h"
#define TASKRT_IMPLEMENTATION
#include "../taskrt.h"
#include "common.h"

struct message { int from; uint64_t number; char text[20]; };
typedef trt_oneshot(int) one_int;
typedef trt_oneshot(struct message) one_message;
typedef trt_channel(int) ints;
typedef trt_channel(struct message) messages;
typedef trt_broadcast(int) broadcast_ints;
typedef trt_subscriber(int) subscriber_ints;
typedef trt_watch(struct message) watch_message;
typedef trt_follower(struct message) follower_message;

/* ---- oneshot ---- */

struct sends_one { one_int *o; trt_duration after; int value; trt_status_code *status; };
trt_async(int, sends_one)
{
    trt_body {
        trt_await(trt_sleep(self->after));
        trt_return((int)trt_oneshot_send(self->o, self->value));
    }
}
struct oneshot_rules { one_int a, b, c, d; one_message m; trt_handle(sends_one) h; int out; struct message got; trt_instant start; };
trt_async(int, oneshot_rules)
{
    trt_body {
        /* sent before the receive */
        CHECK_EQ(trt_oneshot_send(&self->a, 5), TRT_OK);
        trt_await(trt_oneshot_recv(&self->a, &self->out));
        CHECK_EQ(trt_status(), TRT_OK);
        CHECK_EQ(self->out, 5);
        /* one value in its life */
        self->out = 77;
        CHECK_EQ(trt_oneshot_send(&self->a, 6), TRT_CLOSED);
        trt_await(trt_oneshot_recv(&self->a, &self->out));
        CHECK_EQ(trt_status(), TRT_CLOSED);
        CHECK_EQ(self->out, 77);
        /* waiting for it */
        self->start = trt_now();
        self->h = trt_spawn(sends_one, .o = &self->b, .after = trt_ms(3), .value = 8);
        trt_await(trt_within(trt_ms(1), trt_oneshot_recv(&self->b, &self->out)));
        CHECK_EQ(trt_status(), TRT_TIMED_OUT);
        CHECK_EQ(self->out, 77);
        trt_await(trt_oneshot_recv(&self->b, &self->out));
        CHECK_EQ(trt_status(), TRT_OK);
        CHECK_EQ(self->out, 8);
        CHECK_EQ(trt_now() - self->start, trt_ms(3));
        trt_await(trt_join(self->h, &self->out));
        CHECK_EQ(self->out, TRT_OK);
        CHECK_EQ(trt_oneshot_send(&self->b, 9), TRT_CLOSED);
        /* closed: either side gives up */
        trt_oneshot_close(&self->c);
        CHECK_EQ(trt_oneshot_send(&self->c, 1), TRT_CLOSED);
        trt_await(trt_oneshot_recv(&self->c, &self->out));
        CHECK_EQ(trt_status(), TRT_CLOSED);
        /* what was sent before the close is still received */
        CHECK_EQ(trt_oneshot_send(&self->d, 4), TRT_OK);
        trt_oneshot_close(&self->d);
        trt_oneshot_close(&self->d);
        trt_await(trt_oneshot_recv(&self->d, &self->out));
        CHECK_EQ(trt_status(), TRT_OK);
        CHECK_EQ(self->out, 4);
        trt_await(trt_oneshot_recv(&self->d, &self->out));
        CHECK_EQ(trt_status(), TRT_CLOSED);
        /* a struct, with commas */
        CHECK_EQ(trt_oneshot_send(&self->m, (struct message){1, 2, "three"}), TRT_OK);
        trt_await(trt_oneshot_recv(&self->m, &self->got));
        CHECK_EQ(self->got.number, 2);
        CHECK_STR(self->got.text, "three");
    }
}

TEST(a_oneshot_carries_one_value_in_its_life)
{
    CHECK_EQ(trt_run_with(&on_virtual_clock, oneshot_rules, NULL), TRT_OK);
}

struct closes_one { one_int *o; };
trt_async(int, closes_one)
{
    trt_body { trt_await(trt_sleep(trt_ms(1))); }
    trt_cleanup { trt_oneshot_close(self->o); }
}
struct oneshot_given_up { one_int o; trt_handle(closes_one) h; int out; };
trt_async(int, oneshot_given_up)
{
    trt_body {
        self->h = trt_spawn(closes_one, .o = &self->o);
        trt_await(trt_oneshot_recv(&self->o, &self->out));
        CHECK_EQ(trt_status(), TRT_CLOSED);
        trt_await_ok(trt_join(self->h, NULL));
    }
}

TEST(closing_a_oneshot_wakes_its_receiver)
{
    CHECK_EQ(trt_run_with(&on_virtual_clock, oneshot_given_up, NULL), TRT_OK);
}

struct pair { one_int ping, pong; };
struct answers { struct pair *pairs; long i, n; int v; };
trt_async(int, answers)
{
    trt_body {
        for (self->i = 0; self->i < self->n; self->i++) {
            trt_await_ok(trt_oneshot_recv(&self->pairs[self->i].ping, &self->v));
            CHECK_EQ(trt_oneshot_send(&self->pairs[self->i].pong, self->v + 1), TRT_OK);
        }
    }
}
struct asks { struct pair *pairs; long i, n; int v; trt_handle(answers) h; };
trt_async(int, asks)
{
    trt_body {
        self->h = trt_spawn(answers, .pairs = self->pairs, .n = self->n);
        for (self->i = 0; self->i < self->n; self->i++) {
            CHECK_EQ(trt_oneshot_send(&self->pairs[self->i].ping, (int)self->i), TRT_OK);
            trt_await_ok(trt_oneshot_recv(&self->pairs[self->i].pong, &self->v));
            CHECK_EQ(self->v, self->i + 1);
        }
        trt_await_ok(trt_join(self->h, NULL));
    }
}

TEST(oneshots_between_two_workers)
{
    long n = ROUNDS(20000);
    struct pair *pairs = calloc((size_t)n, sizeof *pairs);
    CHECK_EQ(trt_run_with(&on_two_workers, asks, NULL, .pairs = pairs, .n = n), TRT_OK);
    free(pairs);
}

/* ---- channel ---- */

struct channel_rules { ints c, u, closed, fresh; messages m; int i, out; struct message got; };
trt_async(int, channel_rules)
{
    trt_body {
        CHECK_EQ(trt_channel_init(&self->c, 2), TRT_OK);
        CHECK_EQ(trt_channel_len(&self->c), 0);
        self->out = 77;
        CHECK_EQ(trt_try_recv(&self->c, &self->out), TRT_EMPTY);
        CHECK_EQ(self->out, 77);
        CHECK_EQ(trt_try_send(&self->c, &(int){1}), TRT_OK);
        trt_await(trt_send(&self->c, &(int){2}));
        CHECK_EQ(trt_status(), TRT_OK);
        CHECK_EQ(trt_channel_len(&self->c), 2);
        CHECK_EQ(trt_try_send(&self->c, &(int){3}), TRT_FULL);
        trt_await(trt_within(trt_ms(1), trt_send(&self->c, &(int){3})));
        CHECK_EQ(trt_status(), TRT_TIMED_OUT); /* not sent */
        CHECK_EQ(trt_channel_len(&self->c), 2);
        trt_await(trt_recv(&self->c, &self->out));
        CHECK_EQ(self->out, 1);
        CHECK_EQ(trt_try_recv(&self->c, &self->out), TRT_OK);
        CHECK_EQ(self->out, 2);
        CHECK_EQ(trt_try_recv(&self->c, NULL), TRT_EMPTY);
        /* wraps round */
        for (self->i = 0; self->i < 100; self->i++) {
            CHECK_EQ(trt_try_send(&self->c, &self->i), TRT_OK);
            if (self->i % 3 == 0 && trt_try_send(&self->c, &(int){-1}) == TRT_OK) {
                CHECK_EQ(trt_try_recv(&self->c, &self->out), TRT_OK);
                CHECK_EQ(self->out, self->i);
                CHECK_EQ(trt_try_recv(&self->c, NULL), TRT_OK); /* out may be NULL */
                continue;
            }
            CHECK_EQ(trt_try_recv(&self->c, &self->out), TRT_OK);
            CHECK_EQ(self->out, self->i);
        }
        /* unbounded */
        CHECK_EQ(trt_channel_init(&self->u, TRT_UNBOUNDED), TRT_OK);
        for (self->i = 0; self->i < 10000; self->i++)
            CHECK_EQ(trt_try_send(&self->u, &self->i), TRT_OK);
        CHECK_EQ(trt_channel_len(&self->u), 10000);
        for (self->i = 0; self->i < 5000; self->i++) {
            trt_await(trt_recv(&self->u, &self->out));
            if (self->out != self->i)
                CHECK_EQ(self->out, self->i);
        }
        CHECK_EQ(trt_channel_len(&self->u), 5000);
        /* structs */
        CHECK_EQ(trt_channel_init(&self->m, 3), TRT_OK);
        trt_await(trt_send(&self->m, &(struct message){1, 2, "abc"}));
        trt_await(trt_recv(&self->m, &self->got));
        CHECK_EQ(self->got.from, 1);
        CHECK_STR(self->got.text, "abc");
        /* closed: senders fail, receivers drain */
        CHECK_EQ(trt_channel_init(&self->closed, 4), TRT_OK);
        trt_await(trt_send(&self->closed, &(int){1}));
        trt_await(trt_send(&self->closed, &(int){2}));
        trt_channel_close(&self->closed);
        trt_channel_close(&self->closed);
        trt_await(trt_send(&self->closed, &(int){3}));
        CHECK_EQ(trt_status(), TRT_CLOSED);
        CHECK_EQ(trt_try_send(&self->closed, &(int){3}), TRT_CLOSED);
        trt_await(trt_recv(&self->closed, &self->out));
        CHECK_EQ(trt_status(), TRT_OK);
        CHECK_EQ(self->out, 1);
        CHECK_EQ(trt_try_recv(&self->closed, &self->out), TRT_OK);
        CHECK_EQ(self->out, 2);
        trt_await(trt_recv(&self->closed, &self->out));
        CHECK_EQ(trt_status(), TRT_CLOSED);
        CHECK_EQ(trt_try_recv(&self->closed, &self->out), TRT_CLOSED);
        CHECK_EQ(self->out, 2);
    }
    trt_cleanup {
        trt_channel_free(&self->c);
        trt_channel_free(&self->u); /* messages left are dropped */
        trt_channel_free(&self->m);
        trt_channel_free(&self->closed);
        trt_channel_close(&self->fresh); /* no-ops before the init */
        trt_channel_free(&self->fresh);
    }
}

TEST(a_channel_by_the_book) { CHECK_EQ(trt_run_with(&on_virtual_clock, channel_rules, NULL), TRT_OK); }

struct channel_misuse { ints zero, fresh; int out; };
trt_async(int, channel_misuse)
{
    trt_body {
        CHECK_EQ(trt_channel_init(&self->zero, 0), TRT_MISUSE);
        trt_await(trt_recv(&self->fresh, &self->out));
        CHECK_EQ(trt_status(), TRT_MISUSE);
        trt_await(trt_send(&self->fresh, &self->out));
        CHECK_EQ(trt_status(), TRT_MISUSE);
        CHECK_EQ(trt_try_send(&self->fresh, &self->out), TRT_MISUSE);
        CHECK_EQ(trt_try_recv(&self->fresh, &self->out), TRT_MISUSE);
        trt_channel_close(&self->fresh);
        trt_channel_free(&self->fresh);
        trt_channel_free(&self->zero);
    }
}

/* An empty struct has no size in GNU C. */
TEST(messages_of_no_size_are_misuse_with_a_message)
{
    ints channel;
    trt_broadcast(int) broadcast;
    capture_start();
    CHECK_EQ(trt_channel_init_(&channel.base_, 0, 4), TRT_MISUSE);
    CHECK_EQ(trt_channel_init_(&channel.base_, 0, TRT_UNBOUNDED), TRT_MISUSE);
    CHECK_EQ(trt_broadcast_init_(&broadcast.base_, 0, 4), TRT_MISUSE);
    const char *text = capture_end();
    CHECK_CONTAINS(text, "trt_channel_init");
    CHECK_CONTAINS(text, "trt_broadcast_init");
}

TEST(capacity_zero_and_use_before_init_are_misuse)
{
    capture_start();
    trt_status_code status = trt_run_with(&on_virtual_clock, channel_misuse, NULL);
    const char *text = capture_end();
    CHECK_EQ(status, TRT_OK);
    CHECK(strlen(text) > 0);
}

/* Waiting senders and receivers are served in order. */
struct send_marked { ints *c; int value; char mark; };
trt_async(int, send_marked)
{
    trt_body {
        trt_await(trt_send(self->c, &self->value));
        if (trt_status() != TRT_OK)
            trt_fail(trt_status());
        letter(self->mark);
    }
}
struct recv_marked { ints *c; int out; char mark; };
trt_async(int, recv_marked)
{
    trt_body {
        trt_await(trt_recv(self->c, &self->out));
        if (trt_status() != TRT_OK)
            trt_fail(trt_status());
        letter(self->mark);
        trt_return(self->out);
    }
}
struct in_order { ints c; trt_handle(send_marked) s[5]; trt_handle(recv_marked) r[5]; int i, out; };
trt_async(int, in_order)
{
    trt_body {
        trt_channel_init(&self->c, 1);
        CHECK_EQ(trt_try_send(&self->c, &(int){100}), TRT_OK);
        for (self->i = 0; self->i < 5; self->i++) {
            self->s[self->i] = trt_spawn(send_marked, .c = &self->c, .value = self->i, .mark = (char)('a' + self->i));
            trt_await(trt_sleep(1));
        }
        CHECK_EQ(trt_try_send(&self->c, &(int){200}), TRT_FULL);
        trt_abort(self->s[2]); /* its message is not sent */
        trt_await(trt_join(self->s[2], NULL));
        CHECK_EQ(trt_status(), TRT_CANCELLED);
        trt_await(trt_recv(&self->c, &self->out));
        CHECK_EQ(self->out, 100);
        for (self->i = 0; self->i < 5; self->i++) {
            if (self->i == 2)
                continue;
            trt_await(trt_recv(&self->c, &self->out));
            CHECK_EQ(self->out, self->i);
            trt_await_ok(trt_join(self->s[self->i], NULL));
        }
        CHECK_STR(letters, "abde");
        letters[0] = 0;
        for (self->i = 0; self->i < 5; self->i++) {
            self->r[self->i] = trt_spawn(recv_marked, .c = &self->c, .mark = (char)('A' + self->i));
            trt_await(trt_sleep(1));
        }
        trt_abort(self->r[1]);
        trt_await(trt_join(self->r[1], NULL));
        CHECK_EQ(trt_status(), TRT_CANCELLED);
        for (self->i = 0; self->i < 4; self->i++) {
            trt_await_ok(trt_send(&self->c, &self->i));
            trt_await(trt_sleep(1));
        }
        CHECK_STR(letters, "ACDE");
        for (self->i = 0; self->i < 5; self->i++) {
            if (self->i == 1)
                continue;
            trt_await_ok(trt_join(self->r[self->i], &self->out));
            CHECK_EQ(self->out, self->i > 1 ? self->i - 1 : self->i);
        }
    }
    trt_cleanup { trt_channel_free(&self->c); }
}

TEST(waiting_senders_and_receivers_are_served_in_order_and_may_leave)
{
    CHECK_EQ(trt_run_with(&on_virtual_clock, in_order, NULL), TRT_OK);
}

struct closes_waiters { ints full, empty; trt_handle(send_marked) s[3]; trt_handle(recv_marked) r[3]; int i, out; };
trt_async(int, closes_waiters)
{
    trt_body {
        trt_channel_init(&self->full, 1);
        trt_channel_init(&self->empty, 1);
        CHECK_EQ(trt_try_send(&self->full, &(int){100}), TRT_OK);
        for (self->i = 0; self->i < 3; self->i++) {
            self->s[self->i] = trt_spawn(send_marked, .c = &self->full, .value = self->i, .mark = 's');
            self->r[self->i] = trt_spawn(recv_marked, .c = &self->empty, .mark = 'r');
        }
        trt_await(trt_sleep(1));
        trt_channel_close(&self->full);
        trt_channel_close(&self->empty);
        for (self->i = 0; self->i < 3; self->i++) {
            trt_await(trt_join(self->s[self->i], NULL));
            CHECK_EQ(trt_status(), TRT_CLOSED);
            trt_await(trt_join(self->r[self->i], NULL));
            CHECK_EQ(trt_status(), TRT_CLOSED);
        }
        CHECK_STR(letters, "");
        trt_await(trt_recv(&self->full, &self->out)); /* nothing of the waiting ones was sent */
        CHECK_EQ(trt_status(), TRT_OK);
        CHECK_EQ(self->out, 100);
        trt_await(trt_recv(&self->full, &self->out));
        CHECK_EQ(trt_status(), TRT_CLOSED);
    }
    trt_cleanup {
        trt_channel_free(&self->full);
        trt_channel_free(&self->empty);
    }
}

TEST(close_ends_waiting_senders_and_receivers)
{
    CHECK_EQ(trt_run_with(&on_virtual_clock, closes_waiters, NULL), TRT_OK);
}

/* Many senders, many receivers: nothing lost, nothing doubled, each sender's messages in order at each receiver. */
struct producer { messages *c; int from; uint64_t i, n; };
trt_async(int, producer)
{
    trt_body {
        for (self->i = 0; self->i < self->n; self->i++)
            trt_await_ok(trt_send(self->c, &(struct message){self->from, self->i, "x"}));
    }
}
struct consumer { messages *c; atomic_long *sum, *count; struct message m; uint64_t last[8]; bool any[8]; };
trt_async(int, consumer)
{
    trt_body {
        for (;;) {
            trt_await(trt_recv(self->c, &self->m));
            if (trt_status() == TRT_CLOSED)
                break;
            if (self->any[self->m.from] && self->m.number <= self->last[self->m.from])
                CHECK(self->m.number > self->last[self->m.from]);
            self->any[self->m.from] = true;
            self->last[self->m.from] = self->m.number;
            atomic_fetch_add(self->sum, (long)self->m.number);
            atomic_fetch_add(self->count, 1);
        }
    }
}
struct crowd { messages c; size_t capacity; trt_join_set(producer) p; trt_join_set(consumer) r; atomic_long sum, count; int i; uint64_t n; };
trt_async(int, crowd)
{
    trt_body {
        CHECK_EQ(trt_channel_init(&self->c, self->capacity), TRT_OK);
        for (self->i = 0; self->i < 4; self->i++)
            trt_spawn_in(&self->r, consumer, .c = &self->c, .sum = &self->sum, .count = &self->count);
        for (self->i = 0; self->i < 8; self->i++)
            trt_spawn_in(&self->p, producer, .c = &self->c, .from = self->i, .n = self->n);
        for (self->i = 0; self->i < 8; self->i++)
            trt_await_ok(trt_join_next(&self->p, NULL));
        trt_channel_close(&self->c);
        for (self->i = 0; self->i < 4; self->i++)
            trt_await_ok(trt_join_next(&self->r, NULL));
        CHECK_EQ(atomic_load(&self->count), 8 * self->n);
        CHECK_EQ(atomic_load(&self->sum), 8 * (self->n * (self->n - 1) / 2));
    }
    trt_cleanup {
        trt_await(trt_set_shutdown(&self->p));
        trt_await(trt_set_shutdown(&self->r));
        trt_channel_free(&self->c);
    }
}

TEST(many_senders_and_receivers_lose_and_double_nothing)
{
    const size_t capacities[] = {1, 2, 7, 1000, TRT_UNBOUNDED};
    for (size_t i = 0; i < sizeof capacities / sizeof *capacities; i++) {
        CHECK_EQ(trt_run_with(&on_virtual_clock, crowd, NULL, .capacity = capacities[i], .n = (uint64_t)ROUNDS(2000)), TRT_OK);
        CHECK_EQ(trt_run_with(&on_two_workers, crowd, NULL, .capacity = capacities[i], .n = (uint64_t)ROUNDS(3000)), TRT_OK);
        CHECK_EQ(trt_run_with(&on_four_workers, crowd, NULL, .capacity = capacities[i], .n = (uint64_t)ROUNDS(3000)), TRT_OK);
    }
}

/* Plain threads at both ends. */
static ints thread_channel;
static void *sends_from_thread(void *from)
{
    int base = *(int *)from;
    for (int i = 0; i < 1000; i++)
        CHECK_EQ(trt_send_thread(&thread_channel, &(int){base + i}), TRT_OK);
    return NULL;
}
static void *receives_in_thread(void *sum)
{
    int v;
    while (trt_recv_thread(&thread_channel, &v) == TRT_OK)
        *(long *)sum += v;
    return NULL;
}
struct task_receiver { int v; long sum; };
trt_async(long, task_receiver)
{
    trt_body {
        for (;;) {
            trt_await(trt_recv(&thread_channel, &self->v));
            if (trt_status() != TRT_OK)
                break;
            self->sum += self->v;
        }
        trt_return(self->sum);
    }
}

TEST(plain_threads_send_and_receive)
{
    pthread_t senders[3], receivers[2];
    int bases[3] = {0, 1000, 2000};
    long sums[2] = {0, 0};
    trt_runtime *rt;
    CHECK_EQ(trt_channel_init(&thread_channel, 4), TRT_OK);
    CHECK_EQ(trt_runtime_start(&rt, &on_two_workers), TRT_OK);
    trt_handle(task_receiver) h = trt_spawn_on(rt, task_receiver);
    long by_task = 0;
    for (int i = 0; i < 3; i++)
        pthread_create(&senders[i], NULL, sends_from_thread, &bases[i]);
    for (int i = 0; i < 2; i++)
        pthread_create(&receivers[i], NULL, receives_in_thread, &sums[i]);
    for (int i = 0; i < 3; i++)
        pthread_join(senders[i], NULL);
    trt_channel_close(&thread_channel);
    for (int i = 0; i < 2; i++)
        pthread_join(receivers[i], NULL);
    CHECK_EQ(trt_join_thread(h, &by_task), TRT_OK);
    CHECK_EQ(sums[0] + sums[1] + by_task, 2999L * 3000 / 2);
    CHECK_EQ(trt_send_thread(&thread_channel, &(int){1}), TRT_CLOSED);
    CHECK_EQ(trt_recv_thread(&thread_channel, NULL), TRT_CLOSED);
    CHECK_EQ(trt_runtime_free(rt), TRT_OK);
    trt_channel_free(&thread_channel);
}

struct thread_call_in_task { ints c; int v; };
trt_async(int, thread_call_in_task)
{
    trt_body {
        trt_channel_init(&self->c, 1);
        CHECK_EQ(trt_recv_thread(&self->c, &self->v), TRT_MISUSE);
        CHECK_EQ(trt_send_thread(&self->c, &self->v), TRT_MISUSE);
        CHECK_EQ(trt_channel_len(&self->c), 0);
    }
    trt_cleanup { trt_channel_free(&self->c); }
}

TEST(thread_calls_inside_a_task_are_misuse)
{
    capture_start();
    trt_status_code status = trt_run(thread_call_in_task, NULL);
    const char *text = capture_end();
    CHECK_EQ(status, TRT_OK);
    CHECK(strlen(text) > 0);
}

struct two_runtimes_end { ints *in, *out; int i, v; };
trt_async(int, two_runtimes_end)
{
    trt_body {
        for (self->i = 0; self->i < 2000; self->i++) {
            trt_await_ok(trt_recv(self->in, &self->v));
            CHECK_EQ(self->v, self->i);
            trt_await_ok(trt_send(self->out, &self->v));
        }
    }
}

TEST(a_channel_joins_two_runtimes)
{
    static ints there, back;
    trt_runtime *a, *b;
    int v = 0;
    CHECK_EQ(trt_channel_init(&there, 1), TRT_OK);
    CHECK_EQ(trt_channel_init(&back, 1), TRT_OK);
    CHECK_EQ(trt_runtime_start(&a, &on_one_worker), TRT_OK);
    CHECK_EQ(trt_runtime_start(&b, &on_one_worker), TRT_OK);
    trt_handle(two_runtimes_end) ha = trt_spawn_on(a, two_runtimes_end, .in = &there, .out = &back);
    static ints end;
    CHECK_EQ(trt_channel_init(&end, TRT_UNBOUNDED), TRT_OK);
    trt_handle(two_runtimes_end) hb = trt_spawn_on(b, two_runtimes_end, .in = &back, .out = &end);
    for (int i = 0; i < 2000; i++)
        CHECK_EQ(trt_send_thread(&there, &i), TRT_OK);
    for (int i = 0; i < 2000; i++) {
        CHECK_EQ(trt_recv_thread(&end, &v), TRT_OK);
        CHECK_EQ(v, i);
    }
    CHECK_EQ(trt_join_thread(ha, NULL), TRT_OK);
    CHECK_EQ(trt_join_thread(hb, NULL), TRT_OK);
    CHECK_EQ(trt_runtime_free(a), TRT_OK);
    CHECK_EQ(trt_runtime_free(b), TRT_OK);
    trt_channel_free(&there);
    trt_channel_free(&back);
    trt_channel_free(&end);
}

/* ---- broadcast ---- */

struct subscriber_task { broadcast_ints *b; subscriber_ints sub; int v, expected; };
trt_async(int, subscriber_task)
{
    trt_body {
        CHECK_EQ(trt_subscribe(self->b, &self->sub), TRT_OK);
        for (;;) {
            trt_await(trt_broadcast_recv(&self->sub, &self->v));
            if (trt_status() == TRT_CLOSED)
                break;
            CHECK_EQ(trt_status(), TRT_OK);
            CHECK_EQ(self->v, self->expected++);
        }
        trt_return(self->expected);
    }
    trt_cleanup { trt_unsubscribe(&self->sub); }
}
struct broadcast_rules { broadcast_ints b, fresh; subscriber_ints s1, s2, s3; int i, out; trt_handle(subscriber_task) h[3]; };
trt_async(int, broadcast_rules)
{
    trt_body {
        CHECK_EQ(trt_broadcast_init(&self->b, 4), TRT_OK);
        CHECK_EQ(trt_broadcast_send(&self->b, &(int){-1}), TRT_OK); /* also with no subscriber */
        CHECK_EQ(trt_subscribe(&self->b, &self->s1), TRT_OK);
        self->out = 77;
        trt_await(trt_within(0, trt_broadcast_recv(&self->s1, &self->out)));
        CHECK_EQ(trt_status(), TRT_TIMED_OUT); /* only what is sent after the subscription */
        CHECK_EQ(self->out, 77);
        for (self->i = 0; self->i < 3; self->i++)
            CHECK_EQ(trt_broadcast_send(&self->b, &self->i), TRT_OK);
        CHECK_EQ(trt_subscribe(&self->b, &self->s2), TRT_OK);
        CHECK_EQ(trt_broadcast_send(&self->b, &self->i), TRT_OK);
        for (self->i = 0; self->i < 4; self->i++) {
            trt_await(trt_broadcast_recv(&self->s1, &self->out));
            CHECK_EQ(trt_status(), TRT_OK);
            CHECK_EQ(self->out, self->i);
        }
        trt_await(trt_broadcast_recv(&self->s2, &self->out));
        CHECK_EQ(self->out, 3);
        /* a slow one is told once how many it missed, then gets the oldest kept */
        for (self->i = 10; self->i < 20; self->i++)
            CHECK_EQ(trt_broadcast_send(&self->b, &self->i), TRT_OK);
        self->out = 77;
        trt_await(trt_broadcast_recv(&self->s1, &self->out));
        CHECK_EQ(trt_status(), TRT_LAGGED);
        CHECK_EQ(self->out, 77);
        CHECK_EQ(trt_lagged(&self->s1), 6); /* exactly the last four are kept */
        for (self->i = 16; self->i < 20; self->i++) {
            trt_await(trt_broadcast_recv(&self->s1, &self->out));
            CHECK_EQ(trt_status(), TRT_OK);
            CHECK_EQ(self->out, self->i);
        }
        /* unsubscribed is forgotten */
        trt_unsubscribe(&self->s2);
        trt_unsubscribe(&self->s2);
        /* closing: subscribers drain */
        CHECK_EQ(trt_broadcast_send(&self->b, &(int){50}), TRT_OK);
        trt_broadcast_close(&self->b);
        CHECK_EQ(trt_broadcast_send(&self->b, &(int){51}), TRT_CLOSED);
        trt_await(trt_broadcast_recv(&self->s1, &self->out));
        CHECK_EQ(trt_status(), TRT_OK);
        CHECK_EQ(self->out, 50);
        trt_await(trt_broadcast_recv(&self->s1, &self->out));
        CHECK_EQ(trt_status(), TRT_CLOSED);
    }
    trt_cleanup {
        trt_unsubscribe(&self->s1);
        trt_unsubscribe(&self->s3);
        trt_broadcast_free(&self->b);
        trt_broadcast_close(&self->fresh);
        trt_broadcast_free(&self->fresh);
    }
}

TEST(broadcast_by_the_book) { CHECK_EQ(trt_run_with(&on_virtual_clock, broadcast_rules, NULL), TRT_OK); }

struct exact_capacity { broadcast_ints b; subscriber_ints s; int i, out; size_t capacity; };
trt_async(int, exact_capacity)
{
    trt_body {
        for (self->capacity = 1; self->capacity < 10; self->capacity++) {
            CHECK_EQ(trt_broadcast_init(&self->b, self->capacity), TRT_OK);
            CHECK_EQ(trt_subscribe(&self->b, &self->s), TRT_OK);
            for (self->i = 0; self->i < 100; self->i++)
                trt_broadcast_send(&self->b, &self->i);
            trt_await(trt_broadcast_recv(&self->s, &self->out));
            CHECK_EQ(trt_status(), TRT_LAGGED);
            CHECK_EQ(trt_lagged(&self->s), 100 - self->capacity);
            for (self->i = 100 - (int)self->capacity; self->i < 100; self->i++) {
                trt_await(trt_broadcast_recv(&self->s, &self->out));
                CHECK_EQ(self->out, self->i);
            }
            trt_unsubscribe(&self->s);
            trt_broadcast_free(&self->b);
        }
    }
}

TEST(broadcast_keeps_exactly_its_capacity)
{
    CHECK_EQ(trt_run_with(&on_virtual_clock, exact_capacity, NULL), TRT_OK);
}

struct broadcaster { broadcast_ints b; int i; trt_join_set(subscriber_task) set; int out; };
trt_async(int, broadcaster)
{
    trt_body {
        CHECK_EQ(trt_broadcast_init(&self->b, 100), TRT_OK);
        for (self->i = 0; self->i < 10; self->i++)
            trt_spawn_in(&self->set, subscriber_task, .b = &self->b);
        trt_await(trt_sleep(trt_ms(1)));
        for (self->i = 0; self->i < 1000; self->i++) {
            CHECK_EQ(trt_broadcast_send(&self->b, &self->i), TRT_OK);
            if (self->i % 50 == 0)
                trt_await(trt_sleep(trt_ms(1)));
        }
        trt_broadcast_close(&self->b);
        for (self->i = 0; self->i < 10; self->i++) {
            trt_await(trt_join_next(&self->set, &self->out));
            CHECK_EQ(trt_status(), TRT_OK);
            CHECK_EQ(self->out, 1000);
        }
    }
    trt_cleanup {
        trt_await(trt_set_shutdown(&self->set));
        trt_broadcast_free(&self->b);
    }
}

TEST(every_subscriber_gets_every_value)
{
    CHECK_EQ(trt_run_with(&on_virtual_clock, broadcaster, NULL), TRT_OK);
}

struct lag_counter { broadcast_ints *b; subscriber_ints sub; int v; long got, missed, last; };
trt_async(long, lag_counter)
{
    trt_body {
        CHECK_EQ(trt_subscribe(self->b, &self->sub), TRT_OK);
        self->last = -1;
        for (;;) {
            trt_await(trt_broadcast_recv(&self->sub, &self->v));
            if (trt_status() == TRT_CLOSED)
                break;
            if (trt_status() == TRT_LAGGED) {
                self->missed += (long)trt_lagged(&self->sub);
                continue;
            }
            if (self->v <= self->last)
                CHECK(self->v > self->last);
            self->last = self->v;
            self->got++;
        }
        trt_return(self->got + self->missed);
    }
    trt_cleanup { trt_unsubscribe(&self->sub); }
}
struct lag_sender { broadcast_ints b; long i, n, out; int v; trt_join_set(lag_counter) set; trt_metrics_info m; };
trt_async(int, lag_sender)
{
    trt_body {
        CHECK_EQ(trt_broadcast_init(&self->b, 8), TRT_OK);
        for (self->i = 0; self->i < 4; self->i++)
            trt_spawn_in(&self->set, lag_counter, .b = &self->b);
        trt_await(trt_sleep(trt_ms(20)));
        for (self->i = 0; self->i < self->n; self->i++) {
            self->v = (int)self->i;
            trt_broadcast_send(&self->b, &self->v);
            if (self->i % 5 == 0)
                trt_await(trt_yield());
        }
        trt_broadcast_close(&self->b);
        for (self->i = 0; self->i < 4; self->i++) {
            trt_await(trt_join_next(&self->set, &self->out));
            CHECK_EQ(trt_status(), TRT_OK);
            CHECK(self->out <= self->n); /* less only for what was sent before it subscribed */
        }
    }
    trt_cleanup {
        trt_await(trt_set_shutdown(&self->set));
        trt_broadcast_free(&self->b);
    }
}

TEST(received_and_missed_add_up)
{
    CHECK_EQ(trt_run_with(&on_four_workers, lag_sender, NULL, .n = ROUNDS(20000)), TRT_OK);
}

/* ---- watch ---- */

struct watch_rules { watch_message w; follower_message a, b; struct message out; uint64_t i; };
trt_async(int, watch_rules)
{
    trt_body {
        CHECK_EQ(trt_watch_init(&self->w, &(struct message){0, 1, "first"}), TRT_OK);
        trt_watch_read(&self->w, &self->out);
        CHECK_STR(self->out.text, "first");
        trt_watch_follow(&self->w, &self->a);
        self->out.number = 77;
        trt_await(trt_within(0, trt_watch_changed(&self->a, &self->out)));
        CHECK_EQ(trt_status(), TRT_TIMED_OUT); /* the value of that moment counts as seen */
        CHECK_EQ(self->out.number, 77);
        for (self->i = 2; self->i < 10; self->i++)
            CHECK_EQ(trt_watch_send(&self->w, &(struct message){0, self->i, "more"}), TRT_OK);
        trt_watch_follow(&self->w, &self->b);
        trt_await(trt_watch_changed(&self->a, &self->out));
        CHECK_EQ(trt_status(), TRT_OK);
        CHECK_EQ(self->out.number, 9); /* the latest; those between are skipped */
        trt_await(trt_within(0, trt_watch_changed(&self->a, &self->out)));
        CHECK_EQ(trt_status(), TRT_TIMED_OUT);
        trt_await(trt_within(0, trt_watch_changed(&self->b, &self->out)));
        CHECK_EQ(trt_status(), TRT_TIMED_OUT);
        CHECK_EQ(trt_watch_send(&self->w, &(struct message){0, 10, "last"}), TRT_OK);
        trt_watch_close(&self->w);
        CHECK_EQ(trt_watch_send(&self->w, &(struct message){0, 11, "late"}), TRT_CLOSED);
        trt_await(trt_watch_changed(&self->a, &self->out)); /* closed only once the last value was seen */
        CHECK_EQ(trt_status(), TRT_OK);
        CHECK_EQ(self->out.number, 10);
        trt_await(trt_watch_changed(&self->a, &self->out));
        CHECK_EQ(trt_status(), TRT_CLOSED);
        trt_await(trt_watch_changed(&self->b, NULL));
        CHECK_EQ(trt_status(), TRT_OK);
        trt_await(trt_watch_changed(&self->b, NULL));
        CHECK_EQ(trt_status(), TRT_CLOSED);
        self->out.number = 0;
        trt_watch_read(&self->w, &self->out); /* read still works */
        CHECK_EQ(self->out.number, 10);
    }
}

TEST(watch_by_the_book) { CHECK_EQ(trt_run_with(&on_virtual_clock, watch_rules, NULL), TRT_OK); }

struct follows { watch_message *w; follower_message f; struct message m; uint64_t last; atomic_int *ready; };
trt_async(uint64_t, follows)
{
    trt_body {
        trt_watch_follow(self->w, &self->f);
        atomic_fetch_add(self->ready, 1);
        for (;;) {
            trt_await(trt_watch_changed(&self->f, &self->m));
            if (trt_status() == TRT_CLOSED)
                break;
            CHECK_EQ(trt_status(), TRT_OK);
            CHECK(self->m.number > self->last);
            CHECK_EQ((uint64_t)self->m.from, self->m.number); /* never half of one and half of another */
            self->last = self->m.number;
        }
        trt_return(self->last);
    }
}
struct sends_watch { watch_message w; trt_join_set(follows) set; atomic_int ready; uint64_t i, n, out; int j; };
trt_async(int, sends_watch)
{
    trt_body {
        trt_watch_init(&self->w, &(struct message){0});
        for (self->j = 0; self->j < 4; self->j++)
            trt_spawn_in(&self->set, follows, .w = &self->w, .ready = &self->ready);
        AWAIT_UNTIL(atomic_load(&self->ready) == 4);
        for (self->i = 1; self->i <= self->n; self->i++)
            trt_watch_send(&self->w, &(struct message){(int)self->i, self->i, ""});
        trt_watch_close(&self->w);
        for (self->j = 0; self->j < 4; self->j++) {
            trt_await(trt_join_next(&self->set, &self->out));
            CHECK_EQ(trt_status(), TRT_OK);
            CHECK_EQ(self->out, self->n); /* nobody misses the last */
        }
    }
}

TEST(every_follower_sees_the_last_value)
{
    for (long i = 0; i < ROUNDS(50); i++)
        CHECK_EQ(trt_run_with(&on_four_workers, sends_watch, NULL, .n = 1000), TRT_OK);
}

struct watch_misuse { watch_message w; struct message m; };
trt_async(int, watch_misuse)
{
    trt_body {
        CHECK_EQ(trt_watch_send(&self->w, &self->m), TRT_MISUSE);
        trt_watch_close(&self->w);
    }
}

TEST(a_watch_before_its_init_is_misuse)
{
    capture_start();
    trt_status_code status = trt_run(watch_misuse, NULL);
    capture_end();
    CHECK_EQ(status, TRT_OK);
}

int main(int argc, char **argv) { return harness_main(argc, argv); }
