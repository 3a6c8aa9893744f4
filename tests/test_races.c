/* Two things at the same time, a hundred thousand times: whoever wins, nothing is lost and nothing happens twice. */
#include "harness.h"
#define TASKRT_IMPLEMENTATION
#include "../taskrt.h"
#include "common.h"

/* Burns a little time, so that the other side arrives sooner or later. */
static void spin(uint64_t n)
{
    for (volatile uint64_t i = 0; i < n; i++)
        ;
}

/* ---- abort against completion ---- */

struct short_life { uint64_t spins; int suspends; int *cleanups; int i; };
trt_async(int, short_life)
{
    trt_body {
        spin(self->spins);
        for (self->i = 0; self->i < self->suspends; self->i++)
            trt_await(trt_yield());
        trt_return(42);
    }
    trt_cleanup { ++*self->cleanups; }
}
struct aborts { uint64_t r; long i, n, ok, cancelled; int out, cleanups; uint64_t random; trt_handle(short_life) h; };
trt_async(int, aborts)
{
    trt_body {
        self->random = 1;
        for (self->i = 0; self->i < self->n; self->i++) {
            self->r = harness_random(&self->random);
            self->out = self->cleanups = 0;
            self->h = trt_spawn(short_life, .spins = self->r % 200, .suspends = (int)(self->r >> 20) % 3, .cleanups = &self->cleanups);
            if (self->r >> 32 & 1)
                trt_await(trt_yield());
            spin(harness_random(&self->random) % 400);
            trt_abort(self->h);
            trt_await(trt_join(self->h, &self->out));
            if (trt_status() == TRT_OK)
                self->ok++;
            else
                self->cancelled++;
            if ((trt_status() != TRT_OK && trt_status() != TRT_CANCELLED) || self->cleanups != 1 || self->out != (trt_status() == TRT_OK ? 42 : 0)) {
                CHECK_EQ(self->cleanups, 1);
                CHECK_EQ(self->out, trt_status() == TRT_OK ? 42 : 0);
                CHECK(trt_status() == TRT_OK || trt_status() == TRT_CANCELLED);
            }
        }
        CHECK_EQ(self->ok + self->cancelled, self->n);
    }
}

TEST_WITHIN(60, abort_against_completion)
{
    CHECK_EQ(trt_run_with(&on_two_workers, aborts, NULL, .n = ROUNDS(100000)), TRT_OK);
    CHECK_EQ(trt_run_with(&on_four_workers, aborts, NULL, .n = ROUNDS(20000)), TRT_OK);
}

TEST_WITHIN(60, abort_from_a_thread_against_completion)
{
    trt_runtime *rt;
    uint64_t random = 2;
    CHECK_EQ(trt_runtime_start(&rt, &on_two_workers), TRT_OK);
    for (long i = 0; i < ROUNDS(50000); i++) {
        int out = 0, cleanups = 0;
        uint64_t r = harness_random(&random);
        trt_handle(short_life) h = trt_spawn_on(rt, short_life, .spins = r % 300, .suspends = (int)(r >> 20) % 3, .cleanups = &cleanups);
        spin((r >> 32) % 3000);
        trt_abort(h);
        trt_status_code status = trt_join_thread(h, &out);
        if (!(status == TRT_OK && out == 42) && !(status == TRT_CANCELLED && out == 0))
            CHECK_EQ(status, TRT_OK);
        if (cleanups != 1)
            CHECK_EQ(cleanups, 1);
    }
    CHECK_EQ(trt_runtime_free(rt), TRT_OK);
}

/* ---- wake against park ---- */

TEST_WITHIN(60, wake_against_park)
{
    trt_runtime *rt;
    uint64_t random = 3;
    CHECK_EQ(trt_runtime_start(&rt, &on_two_workers), TRT_OK);
    for (long i = 0; i < ROUNDS(100000); i++) {
        int out = -1;
        trt_handle(now_value) h = trt_spawn_on(rt, now_value, .value = (int)i);
        if (trt_join_thread(h, &out) != TRT_OK || out != (int)i)
            CHECK_EQ(out, (int)i);
        spin(harness_random(&random) % 2000); /* the workers go to sleep, or are about to */
    }
    CHECK_EQ(trt_runtime_free(rt), TRT_OK);
}

struct echo { trt_notify *there, *back; long i, n; };
trt_async(int, echo)
{
    trt_body {
        for (self->i = 0; self->i < self->n; self->i++) {
            trt_await(trt_notified(self->there));
            trt_notify_one(self->back);
        }
    }
}
struct echoes { trt_notify a, b; long n; trt_handle(echo) h; long i; };
trt_async(int, echoes)
{
    trt_body {
        self->h = trt_spawn(echo, .there = &self->a, .back = &self->b, .n = self->n);
        for (self->i = 0; self->i < self->n; self->i++) {
            trt_notify_one(&self->a);
            if (self->i % 64 == 0)
                trt_await(trt_sleep(trt_us(1))); /* let everybody park */
            trt_await(trt_notified(&self->b));
        }
        trt_await_ok(trt_join(self->h, NULL));
    }
}

TEST_WITHIN(60, notify_against_wait)
{
    CHECK_EQ(trt_run_with(&on_two_workers, echoes, NULL, .n = ROUNDS(100000)), TRT_OK);
    CHECK_EQ(trt_run_with(&on_one_worker, echoes, NULL, .n = ROUNDS(20000)), TRT_OK);
}

static trt_notify thread_there;
static long thread_rounds;
static void *notifies(void *value)
{
    atomic_long *seen = value;
    uint64_t random = 4;
    for (long i = 0; i < thread_rounds; i++) {
        trt_notify_one(&thread_there);
        while (atomic_load(seen) <= i)
            spin(10);
        spin(harness_random(&random) % 1000);
    }
    return NULL;
}
struct counts_notified { atomic_long *seen; long i; };
trt_async(int, counts_notified)
{
    trt_body {
        for (self->i = 0; self->i < thread_rounds; self->i++) {
            trt_await(trt_notified(&thread_there));
            atomic_fetch_add(self->seen, 1);
        }
    }
}

TEST_WITHIN(60, wake_from_a_thread_against_wait)
{
    pthread_t thread;
    atomic_long seen = 0;
    thread_rounds = ROUNDS(50000);
    pthread_create(&thread, NULL, notifies, &seen);
    CHECK_EQ(trt_run_with(&on_one_worker, counts_notified, NULL, .seen = &seen), TRT_OK);
    pthread_join(thread, NULL);
    CHECK_EQ(atomic_load(&seen), thread_rounds);
}

/* ---- join against finish ---- */

struct joins { uint64_t r; long i, n; int out, cleanups; uint64_t random; trt_handle(short_life) h; };
trt_async(int, joins)
{
    trt_body {
        self->random = 5;
        for (self->i = 0; self->i < self->n; self->i++) {
            self->r = harness_random(&self->random);
            self->cleanups = self->out = 0;
            self->h = trt_spawn(short_life, .spins = self->r % 300, .suspends = (int)(self->r >> 20) % 2, .cleanups = &self->cleanups);
            if (self->r >> 32 & 1)
                trt_await(trt_yield());
            spin((self->r >> 40) % 300);
            if (self->r >> 33 & 1) {
                trt_await(trt_within(trt_us(1), trt_join(self->h, &self->out)));
                if (trt_status() == TRT_OK && self->out == 42 && self->cleanups == 1)
                    continue;
                CHECK_EQ(trt_status(), TRT_TIMED_OUT);
            }
            trt_await(trt_join(self->h, &self->out));
            if (trt_status() != TRT_OK || self->out != 42 || self->cleanups != 1) {
                CHECK_EQ(trt_status(), TRT_OK);
                CHECK_EQ(self->out, 42);
                CHECK_EQ(self->cleanups, 1);
            }
        }
    }
}

TEST_WITHIN(60, join_against_finish)
{
    CHECK_EQ(trt_run_with(&on_two_workers, joins, NULL, .n = ROUNDS(100000)), TRT_OK);
    CHECK_EQ(trt_run_with(&on_four_workers, joins, NULL, .n = ROUNDS(20000)), TRT_OK);
}

struct detaches { uint64_t r; long i, n; uint64_t random; trt_handle(short_life) h; int *cleanups; trt_metrics_info before, m; };
trt_async(int, detaches)
{
    trt_body {
        self->cleanups = calloc((size_t)self->n, sizeof(int));
        trt_metrics(trt_current(), &self->before);
        self->random = 6;
        for (self->i = 0; self->i < self->n; self->i++) {
            self->r = harness_random(&self->random);
            self->h = trt_spawn(short_life, .spins = self->r % 300, .suspends = (int)(self->r >> 20) % 2, .cleanups = &self->cleanups[self->i]);
            if (self->r >> 32 & 1)
                trt_await(trt_yield());
            spin((self->r >> 40) % 300);
            trt_detach(self->h);
        }
        do {
            trt_await(trt_yield());
            trt_metrics(trt_current(), &self->m);
        } while (self->m.tasks_alive > self->before.tasks_alive);
        for (self->i = 0; self->i < self->n; self->i++)
            if (self->cleanups[self->i] != 1)
                CHECK_EQ(self->cleanups[self->i], 1);
    }
    trt_cleanup { free(self->cleanups); }
}

TEST_WITHIN(60, detach_against_finish)
{
    CHECK_EQ(trt_run_with(&on_two_workers, detaches, NULL, .n = ROUNDS(100000)), TRT_OK);
}

/* ---- close against send ---- */

typedef trt_channel(int) ints;
typedef trt_oneshot(int) one_int;

struct sends { ints *c; int n, i; uint64_t random; };
trt_async(int, sends)
{
    trt_body {
        for (self->i = 0; self->i < self->n; self->i++) {
            trt_await(trt_send(self->c, &self->i));
            if (trt_status() != TRT_OK)
                break;
        }
        trt_return(self->i); /* how many were sent */
    }
}
struct closes { ints *c; uint64_t spins; };
trt_async(int, closes)
{
    trt_body {
        spin(self->spins);
        trt_channel_close(self->c);
    }
}
struct close_send { ints c; long i, n; int out, sent, got; uint64_t random; trt_handle(sends) s; trt_handle(closes) x; };
trt_async(int, close_send)
{
    trt_body {
        self->random = 7;
        for (self->i = 0; self->i < self->n; self->i++) {
            CHECK_EQ(trt_channel_init(&self->c, 1 + (size_t)(self->i % 3)), TRT_OK);
            self->s = trt_spawn(sends, .c = &self->c, .n = 4);
            self->x = trt_spawn(closes, .c = &self->c, .spins = (harness_random(&self->random) % 500));
            self->got = 0;
            for (;;) {
                trt_await(trt_recv(&self->c, &self->out));
                if (trt_status() == TRT_CLOSED)
                    break;
                if (self->out != self->got)
                    CHECK_EQ(self->out, self->got);
                self->got++;
            }
            trt_await_ok(trt_join(self->s, &self->sent));
            trt_await_ok(trt_join(self->x, NULL));
            if (self->sent != self->got)
                CHECK_EQ(self->got, self->sent);
            trt_channel_free(&self->c);
        }
    }
}

TEST_WITHIN(60, close_against_send)
{
    CHECK_EQ(trt_run_with(&on_two_workers, close_send, NULL, .n = ROUNDS(100000)), TRT_OK);
}

struct oneshot_side { one_int *o; uint64_t spins; bool sends; };
trt_async(int, oneshot_side)
{
    trt_body {
        spin(self->spins);
        if (self->sends)
            trt_return((int)trt_oneshot_send(self->o, 9));
        trt_oneshot_close(self->o);
    }
}
struct oneshot_race { uint64_t r; long i, n; int out, sent; uint64_t random; trt_handle(oneshot_side) a, b; one_int o; trt_status_code status; };
trt_async(int, oneshot_race)
{
    trt_body {
        self->random = 8;
        for (self->i = 0; self->i < self->n; self->i++) {
            self->r = harness_random(&self->random);
            memset(&self->o, 0, sizeof self->o);
            self->out = 0;
            self->a = trt_spawn(oneshot_side, .o = &self->o, .spins = self->r % 300, .sends = true);
            self->b = trt_spawn(oneshot_side, .o = &self->o, .spins = (self->r >> 20) % 300);
            trt_await(trt_oneshot_recv(&self->o, &self->out));
            self->status = trt_status();
            trt_await_ok(trt_join(self->a, &self->sent));
            trt_await_ok(trt_join(self->b, NULL));
            if (self->status == TRT_OK ? self->out != 9 || self->sent != TRT_OK : self->status != TRT_CLOSED || self->sent != TRT_CLOSED) {
                CHECK_EQ(self->status, self->sent);
                CHECK_EQ(self->out, self->status == TRT_OK ? 9 : 0);
            }
        }
    }
}

TEST_WITHIN(60, oneshot_send_against_close_and_receive)
{
    CHECK_EQ(trt_run_with(&on_two_workers, oneshot_race, NULL, .n = ROUNDS(100000)), TRT_OK);
}

/* ---- abort against hand-over ---- */

struct receives { ints *c; atomic_long *sum, *got; int v; };
trt_async(int, receives)
{
    trt_body {
        for (;;) {
            trt_await(trt_recv(self->c, &self->v));
            if (trt_status() != TRT_OK)
                break;
            atomic_fetch_add(self->sum, self->v);
            atomic_fetch_add(self->got, 1);
            self->v = 0;
        }
    }
}
struct feeds { ints *c; long i, n; int v; };
trt_async(int, feeds)
{
    trt_body {
        for (self->i = 0; self->i < self->n; self->i++) {
            self->v = (int)(self->i % 1000);
            trt_await_ok(trt_send(self->c, &self->v));
        }
        trt_channel_close(self->c);
    }
}
/* Receivers come and are aborted all the time; every message still arrives exactly once. */
struct recv_abort { ints c; long n, i; atomic_long sum, got; uint64_t random; trt_handle(feeds) f; trt_handle(receives) h[4]; bool done; };
trt_async(int, recv_abort)
{
    trt_body {
        self->random = 9;
        CHECK_EQ(trt_channel_init(&self->c, 2), TRT_OK);
        self->f = trt_spawn(feeds, .c = &self->c, .n = self->n);
        for (self->i = 0; self->i < 4; self->i++)
            self->h[self->i] = trt_spawn(receives, .c = &self->c, .sum = &self->sum, .got = &self->got);
        while (!trt_is_finished(self->f)) {
            self->i = (long)(harness_random(&self->random) % 4);
            trt_abort(self->h[self->i]);
            trt_await(trt_join(self->h[self->i], NULL));
            self->h[self->i] = trt_spawn(receives, .c = &self->c, .sum = &self->sum, .got = &self->got);
            spin(harness_random(&self->random) % 300);
            if (self->i == 0)
                trt_await(trt_yield());
        }
        trt_await_ok(trt_join(self->f, NULL));
        for (self->i = 0; self->i < 4; self->i++)
            trt_await(trt_join(self->h[self->i], NULL));
        CHECK_EQ(atomic_load(&self->got), self->n);
        CHECK_EQ(atomic_load(&self->sum), self->n / 1000 * 499500);
    }
    trt_cleanup { trt_channel_free(&self->c); }
}

TEST_WITHIN(60, abort_of_receivers_against_send_loses_no_message)
{
    long n = 1000 * ROUNDS(100);
    CHECK_EQ(trt_run_with(&on_two_workers, recv_abort, NULL, .n = n), TRT_OK);
    CHECK_EQ(trt_run_with(&on_four_workers, recv_abort, NULL, .n = n), TRT_OK);
}

struct takes { trt_semaphore *s; size_t n; trt_permit p; };
trt_async(int, takes)
{
    trt_body {
        trt_await_ok(trt_acquire_many(self->s, self->n, &self->p));
        trt_await(trt_yield());
    }
    trt_cleanup { trt_release(&self->p); }
}
struct acquire_abort { trt_semaphore s; long i, n; int j; uint64_t random; trt_handle(takes) h[6]; };
trt_async(int, acquire_abort)
{
    trt_body {
        self->random = 10;
        trt_semaphore_init(&self->s, 3);
        for (self->i = 0; self->i < self->n; self->i++) {
            for (self->j = 0; self->j < 6; self->j++)
                self->h[self->j] = trt_spawn(takes, .s = &self->s, .n = 1 + (size_t)harness_random(&self->random) % 3);
            for (self->j = 0; self->j < 6; self->j++) {
                spin(harness_random(&self->random) % 200);
                if (harness_random(&self->random) % 2)
                    trt_abort(self->h[self->j]);
            }
            for (self->j = 0; self->j < 6; self->j++)
                trt_await(trt_join(self->h[self->j], NULL));
            if (trt_available_permits(&self->s) != 3) {
                CHECK_EQ(trt_available_permits(&self->s), 3);
                break;
            }
        }
    }
}

TEST_WITHIN(60, abort_of_waiters_against_release_loses_no_permit)
{
    CHECK_EQ(trt_run_with(&on_two_workers, acquire_abort, NULL, .n = ROUNDS(20000)), TRT_OK);
    CHECK_EQ(trt_run_with(&on_four_workers, acquire_abort, NULL, .n = ROUNDS(20000)), TRT_OK);
}

/* A deadline against the hand-over of a permit. */
struct brief { trt_semaphore *s; long i, n, *got; trt_permit p; };
trt_async(int, brief)
{
    trt_body {
        for (self->i = 0; self->i < self->n; self->i++) {
            trt_await(trt_within(trt_us(self->i % 40), trt_acquire(self->s, &self->p)));
            if (trt_status() == TRT_OK) {
                ++*self->got;
                if (self->i % 8 == 0)
                    trt_await(trt_sleep(trt_us(20)));
                trt_release(&self->p);
            } else if (trt_status() != TRT_TIMED_OUT)
                CHECK_EQ(trt_status(), TRT_TIMED_OUT);
        }
    }
    trt_cleanup { trt_release(&self->p); }
}
struct briefs { trt_semaphore s; trt_join_set(brief) set; int i; long n, got[8]; };
trt_async(int, briefs)
{
    trt_body {
        trt_semaphore_init(&self->s, 2);
        for (self->i = 0; self->i < 8; self->i++)
            trt_spawn_in(&self->set, brief, .s = &self->s, .n = self->n, .got = &self->got[self->i]);
        for (self->i = 0; self->i < 8; self->i++)
            trt_await_ok(trt_join_next(&self->set, NULL));
        CHECK_EQ(trt_available_permits(&self->s), 2);
        for (self->i = 0; self->i < 8; self->i++)
            CHECK(self->got[self->i] > 0);
    }
}

TEST_WITHIN(60, deadline_against_hand_over_loses_no_permit)
{
    CHECK_EQ(trt_run_with(&on_four_workers, briefs, NULL, .n = ROUNDS(10000)), TRT_OK);
}

/* ---- sets, forks, groups ---- */

struct set_race { trt_join_set(short_life) set; long i, n; int out, cleanups[8], j, joined; uint64_t random; trt_status_code status; };
trt_async(int, set_race)
{
    trt_body {
        self->random = 11;
        for (self->i = 0; self->i < self->n; self->i++) {
            memset(self->cleanups, 0, sizeof self->cleanups);
            for (self->j = 0; self->j < 8; self->j++)
                trt_spawn_in(&self->set, short_life, .spins = harness_random(&self->random) % 100, .suspends = self->j % 3, .cleanups = &self->cleanups[self->j]);
            self->joined = 0;
            while ((self->status = trt_try_join_next(&self->set, &self->out)) != TRT_PENDING && self->status != TRT_EMPTY)
                self->joined++;
            if (harness_random(&self->random) % 2)
                trt_abort_all(&self->set);
            for (;;) {
                trt_await(trt_join_next(&self->set, &self->out));
                if (trt_status() == TRT_EMPTY)
                    break;
                self->joined++;
            }
            if (self->joined != 8)
                CHECK_EQ(self->joined, 8);
            for (self->j = 0; self->j < 8; self->j++)
                if (self->cleanups[self->j] != 1)
                    CHECK_EQ(self->cleanups[self->j], 1);
        }
    }
}

TEST_WITHIN(60, abort_all_and_join_next_against_finish)
{
    CHECK_EQ(trt_run_with(&on_two_workers, set_race, NULL, .n = ROUNDS(12500)), TRT_OK);
    CHECK_EQ(trt_run_with(&on_four_workers, set_race, NULL, .n = ROUNDS(12500)), TRT_OK);
}

struct fork_race { long i, n; int a, b, cleanups, b_cleanups; uint64_t random; };
trt_async(int, fork_race)
{
    trt_body {
        self->random = 12;
        for (self->i = 0; self->i < self->n; self->i++) {
            self->a = self->b = self->cleanups = self->b_cleanups = 0;
            trt_fork(short_life, &self->a, .spins = harness_random(&self->random) % 300, .suspends = (int)(self->i % 2), .cleanups = &self->cleanups);
            trt_fork(short_life, &self->b, .spins = harness_random(&self->random) % 300, .cleanups = &self->b_cleanups);
            spin(harness_random(&self->random) % 300);
            trt_await(trt_sync());
            if (trt_status() != TRT_OK || self->a != 42 || self->b != 42 || self->cleanups != 1 || self->b_cleanups != 1) {
                CHECK_EQ(trt_status(), TRT_OK);
                CHECK_EQ(self->a + self->b, 84);
                CHECK_EQ(self->cleanups + self->b_cleanups, 2);
            }
        }
    }
}

TEST_WITHIN(60, sync_against_finish)
{
    CHECK_EQ(trt_run_with(&on_two_workers, fork_race, NULL, .n = ROUNDS(100000)), TRT_OK);
}

struct group_race { long i, n; int ca, cb; uint64_t random; trt_frame(short_life) a, b; trt_handle(short_life) h; int ch, out; };
trt_async(int, group_race)
{
    trt_body {
        self->random = 13;
        for (self->i = 0; self->i < self->n; self->i++) {
            self->ca = self->cb = self->ch = self->out = 0;
            self->h = trt_spawn(short_life, .spins = harness_random(&self->random) % 200, .cleanups = &self->ch);
            trt_await_any(trt_call(short_life, &self->a, .suspends = 3, .cleanups = &self->ca), trt_join(self->h, &self->out),
                          trt_call(short_life, &self->b, .suspends = (int)(self->i % 5), .cleanups = &self->cb));
            if (trt_status() != TRT_OK)
                CHECK_EQ(trt_status(), TRT_OK);
            if (trt_chosen() != 1) {
                if (self->out != 0)
                    CHECK_EQ(self->out, 0); /* the join consumed nothing */
                trt_await(trt_join(self->h, &self->out));
            }
            if (self->out != 42 || self->ch != 1 || self->ca > 1 || self->cb > 1)
                CHECK_EQ(self->out, 42);
        }
    }
}

TEST_WITHIN(60, join_in_any_against_finish)
{
    CHECK_EQ(trt_run_with(&on_two_workers, group_race, NULL, .n = ROUNDS(100000)), TRT_OK);
    CHECK_EQ(trt_run_with(&on_four_workers, group_race, NULL, .n = ROUNDS(20000)), TRT_OK);
}

/* ---- blocking ---- */

struct tiny { int n; };
trt_blocking_fn(int, tiny) { return self->n; }
struct blocking_race { long i, n; int out; uint64_t random; trt_handle(tiny) h; trt_job(tiny) job; };
trt_async(int, blocking_race)
{
    trt_body {
        self->random = 14;
        for (self->i = 0; self->i < self->n; self->i++) {
            self->h = trt_spawn_blocking(tiny, .n = 7);
            spin(harness_random(&self->random) % 3000);
            trt_abort(self->h);
            self->out = 0;
            trt_await(trt_join(self->h, &self->out));
            if (!(trt_status() == TRT_OK && self->out == 7) && !(trt_status() == TRT_CANCELLED && self->out == 0))
                CHECK_EQ(trt_status(), TRT_OK);
            trt_await(trt_within(trt_us(harness_random(&self->random) % 20), trt_blocking(tiny, &self->job, .n = 8)));
            if (!(trt_status() == TRT_OK && self->job.out == 8) && trt_status() != TRT_TIMED_OUT)
                CHECK_EQ(trt_status(), TRT_OK);
        }
    }
}

TEST_WITHIN(60, abort_and_deadline_against_a_blocking_job)
{
    CHECK_EQ(trt_run_with(&on_two_workers, blocking_race, NULL, .n = ROUNDS(20000)), TRT_OK);
}

/* ---- start and shutdown ---- */

struct bustle { trt_join_set(later) set; int i; };
trt_async(int, bustle)
{
    trt_body {
        for (self->i = 0; self->i < 10; self->i++)
            trt_spawn_in(&self->set, later, .after = trt_us(10 * self->i));
        for (self->i = 0; self->i < 10; self->i++)
            trt_await(trt_join_next(&self->set, NULL));
    }
}

TEST_WITHIN(60, shutdown_at_every_moment)
{
    uint64_t random = 15;
    for (long i = 0; i < ROUNDS(2000); i++) {
        trt_runtime *rt;
        trt_handle(bustle) h[4];
        CHECK_EQ(trt_runtime_start(&rt, &on_two_workers), TRT_OK);
        for (int j = 0; j < 4; j++)
            h[j] = trt_spawn_on(rt, bustle);
        spin(harness_random(&random) % 60000);
        CHECK_EQ(trt_runtime_shutdown(rt, -1), TRT_OK);
        for (int j = 0; j < 4; j++) {
            trt_status_code status = trt_join_thread(h[j], NULL);
            CHECK(status == TRT_OK || status == TRT_CANCELLED);
        }
        CHECK_EQ(trt_runtime_free(rt), TRT_OK);
    }
}

/* ---- two that wake against two that park ---- */

struct waker { trt_runtime *rt; uint64_t random; };
static void *spawns_and_joins(void *argument)
{
    struct waker *w = argument;
    for (long i = 0; i < ROUNDS(40000); i++) {
        int out = -1;
        trt_handle(now_value) h = trt_spawn_on(w->rt, now_value, .value = (int)i);
        if (trt_join_thread(h, &out) != TRT_OK || out != (int)i)
            CHECK_EQ(out, (int)i);
        spin(harness_random(&w->random) % 3000);
    }
    return NULL;
}

TEST_WITHIN(60, two_threads_that_wake_against_one_worker_that_parks)
{
    pthread_t threads[2];
    struct waker w[2];
    trt_runtime *rt;
    CHECK_EQ(trt_runtime_start(&rt, &on_one_worker), TRT_OK);
    for (int i = 0; i < 2; i++) {
        w[i] = (struct waker){rt, 16 + (uint64_t)i};
        pthread_create(&threads[i], NULL, spawns_and_joins, &w[i]);
    }
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    CHECK_EQ(trt_runtime_free(rt), TRT_OK);
}

/* A fork panics while its parent looks at another panic. */
struct looks_at_panic { trt_handle(panicking) h; long i, n; const trt_failure_info *seen; };
trt_async(int, looks_at_panic)
{
    trt_body {
        for (self->i = 0; self->i < self->n; self->i++) {
            self->h = trt_spawn(panicking);
            trt_await(trt_join(self->h, NULL));
            CHECK_EQ(trt_status(), TRT_PANICKED);
            self->seen = trt_failure();
            trt_fork(panicking, NULL);
            trt_fork(panicking, NULL);
            for (int k = 0; k < 200; k++) {
                if (!self->seen || strcmp(self->seen->message, "it broke"))
                    CHECK_STR(self->seen ? self->seen->message : NULL, "it broke");
                spin(20);
            }
            trt_await(trt_yield());
            trt_await(trt_sync());
            CHECK_EQ(trt_status(), TRT_PANICKED);
            if (!trt_failure() || strcmp(trt_failure()->message, "it broke"))
                CHECK_STR(trt_failure() ? trt_failure()->message : NULL, "it broke");
        }
    }
}

TEST_WITHIN(60, a_fork_that_panics_against_a_look_at_another_panic)
{
    capture_start();
    trt_status_code status = trt_run_with(&on_four_workers, looks_at_panic, NULL, .n = ROUNDS(2000));
    capture_end();
    CHECK_EQ(status, TRT_OK);
}

/* A loser of any that still runs on the pool has let go of the group before the group's memory is used again. */
struct ends_when_asked { bool panics; };
trt_blocking_fn(int, ends_when_asked)
{
    for (int i = 0; i < 20 && !trt_cancelled(); i++)
        sched_yield();
    if (self->panics)
        trt_panic("asked to end");
    return 1;
}
struct leaves_jobs { long i, n; trt_job(ends_when_asked) job, job2; };
trt_async(int, leaves_jobs)
{
    trt_body {
        for (self->i = 0; self->i < self->n; self->i++) {
            trt_await_any(trt_blocking(ends_when_asked, &self->job, .panics = self->i % 3 == 0),
                          trt_blocking(ends_when_asked, &self->job2), trt_sleep(trt_us(self->i % 40)));
            CHECK(trt_status() == TRT_OK || trt_status() == TRT_PANICKED);
        }
        trt_return(1);
    }
}
static void quiet(const trt_failure_info *failure, void *user)
{
    (void)failure;
    (void)user;
}
struct many_leave_jobs { trt_handle(leaves_jobs) h[4]; int i; long n; };
trt_async(int, many_leave_jobs)
{
    trt_body {
        for (self->i = 0; self->i < 4; self->i++)
            self->h[self->i] = trt_spawn(leaves_jobs, .n = self->n);
        for (self->i = 0; self->i < 4; self->i++)
            trt_await_ok(trt_join(self->h[self->i], NULL));
    }
}
TEST_WITHIN(60, losing_jobs_let_go_of_their_group)
{
    const trt_config config = {.workers = 2, .on_panic = quiet};
    CHECK_EQ(trt_run_with(&config, many_leave_jobs, NULL, .n = ROUNDS(2000)), TRT_OK);
}

int main(int argc, char **argv) { return harness_main(argc, argv); }
