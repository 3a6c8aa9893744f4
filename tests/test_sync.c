/* Semaphore, mutex, read-write lock, notify, barrier, once, token, arc. */
#include "harness.h"
#define TASKRT_IMPLEMENTATION
#include "../taskrt.h"
#include "common.h"

/* ---- semaphore ---- */

struct takes { trt_semaphore *s; size_t n; trt_duration hold; char mark; trt_permit p; };
trt_async(int, takes)
{
    trt_body {
        trt_await(trt_acquire_many(self->s, self->n, &self->p));
        if (trt_status() != TRT_OK)
            trt_fail(trt_status());
        letter(self->mark);
        if (self->hold)
            trt_await(trt_sleep(self->hold));
    }
    trt_cleanup { trt_release(&self->p); }
}

struct semaphore_basics { trt_semaphore s, fresh; trt_permit a, b, c; };
trt_async(int, semaphore_basics)
{
    trt_body {
        CHECK_EQ(trt_semaphore_init(&self->s, 3), TRT_OK);
        CHECK_EQ(trt_available_permits(&self->s), 3);
        trt_await(trt_acquire(&self->s, &self->a));
        CHECK_EQ(trt_status(), TRT_OK);
        CHECK(trt_try_acquire(&self->s, &self->b));
        CHECK_EQ(trt_available_permits(&self->s), 1);
        CHECK(!trt_try_acquire_many(&self->s, 2, &self->c));
        CHECK(trt_try_acquire_many(&self->s, 1, &self->c));
        CHECK_EQ(trt_available_permits(&self->s), 0);
        trt_release(&self->a);
        trt_release(&self->a); /* empty now: a no-op */
        trt_release(&self->b);
        CHECK_EQ(trt_available_permits(&self->s), 2);
        CHECK_EQ(trt_add_permits(&self->s, 5), TRT_OK);
        CHECK_EQ(trt_available_permits(&self->s), 7);
        trt_await(trt_acquire_many(&self->s, 7, &self->a));
        CHECK_EQ(trt_available_permits(&self->s), 0);
        self->b = self->a; /* handed on by copying and zeroing the source */
        self->a = (trt_permit){0};
        trt_release(&self->a);
        CHECK_EQ(trt_available_permits(&self->s), 0);
        trt_release(&self->b);
        CHECK_EQ(trt_available_permits(&self->s), 7);
    }
    trt_cleanup { trt_release(&self->c); }
}

TEST(permits_are_taken_and_given_back)
{
    CHECK_EQ(trt_run_with(&on_virtual_clock, semaphore_basics, NULL), TRT_OK);
}

struct semaphore_order { trt_semaphore s; trt_permit held; trt_join_set(takes) set; trt_handle(takes) big; int i; };
trt_async(int, semaphore_order)
{
    trt_body {
        trt_semaphore_init(&self->s, 2);
        trt_await(trt_acquire_many(&self->s, 2, &self->held));
        trt_spawn_in(&self->set, takes, .s = &self->s, .n = 1, .mark = 'a', .hold = trt_ms(1));
        trt_await(trt_yield());
        self->big = trt_spawn_in(&self->set, takes, .s = &self->s, .n = 2, .mark = 'B', .hold = trt_ms(1));
        trt_await(trt_yield());
        trt_spawn_in(&self->set, takes, .s = &self->s, .n = 1, .mark = 'c', .hold = trt_ms(1));
        trt_await(trt_yield());
        trt_spawn_in(&self->set, takes, .s = &self->s, .n = 1, .mark = 'd', .hold = trt_ms(1));
        trt_await(trt_sleep(trt_us(1)));
        CHECK_STR(letters, "");
        trt_release(&self->held);
        trt_await(trt_sleep(trt_us(1)));
        CHECK_STR(letters, "a"); /* the big one at the head holds back those behind it */
        CHECK_EQ(trt_available_permits(&self->s), 0); /* and nobody can barge in */
        CHECK(!trt_try_acquire(&self->s, &self->held));
        for (self->i = 0; self->i < 4; self->i++) {
            trt_await(trt_join_next(&self->set, NULL));
            CHECK_EQ(trt_status(), TRT_OK);
        }
        CHECK(!strcmp(letters, "aBcd") || !strcmp(letters, "aBdc"));
        CHECK_EQ(trt_available_permits(&self->s), 2);
    }
}

TEST(acquire_is_first_come_first_served)
{
    CHECK_EQ(trt_run_with(&on_virtual_clock, semaphore_order, NULL), TRT_OK);
}

struct head_leaves { trt_semaphore s; trt_permit held; trt_handle(takes) big, small1, small2; };
trt_async(int, head_leaves)
{
    trt_body {
        trt_semaphore_init(&self->s, 3);
        trt_await(trt_acquire_many(&self->s, 1, &self->held));
        self->big = trt_spawn(takes, .s = &self->s, .n = 3, .mark = 'B'); /* two are free: it waits for the third */
        trt_await(trt_sleep(1));
        self->small1 = trt_spawn(takes, .s = &self->s, .n = 1, .mark = 'a', .hold = trt_ms(5));
        self->small2 = trt_spawn(takes, .s = &self->s, .n = 1, .mark = 'b', .hold = trt_ms(5));
        trt_await(trt_sleep(1));
        CHECK_STR(letters, "");
        trt_abort(self->big); /* what it had passes on at once */
        trt_await(trt_join(self->big, NULL));
        CHECK_EQ(trt_status(), TRT_CANCELLED);
        trt_await(trt_sleep(1));
        CHECK_EQ(strlen(letters), 2);
        CHECK_EQ(trt_available_permits(&self->s), 0);
        trt_await_ok(trt_join(self->small1, NULL));
        trt_await_ok(trt_join(self->small2, NULL));
        trt_release(&self->held);
        CHECK_EQ(trt_available_permits(&self->s), 3);
    }
}

TEST(an_aborted_acquire_passes_on_what_it_held_back)
{
    CHECK_EQ(trt_run_with(&on_virtual_clock, head_leaves, NULL), TRT_OK);
}

/* Permits handed to a task that is aborted before it runs are not lost. */
struct handed_then_aborted { trt_semaphore s; trt_permit held; trt_handle(takes) a, b; };
trt_async(int, handed_then_aborted)
{
    trt_body {
        trt_semaphore_init(&self->s, 1);
        trt_await(trt_acquire(&self->s, &self->held));
        self->a = trt_spawn(takes, .s = &self->s, .n = 1, .mark = 'a', .hold = trt_s(1));
        self->b = trt_spawn(takes, .s = &self->s, .n = 1, .mark = 'b', .hold = trt_ms(1));
        trt_await(trt_sleep(1));
        trt_release(&self->held); /* handed to a, which has not run yet */
        trt_abort(self->a);
        trt_await(trt_join(self->a, NULL));
        CHECK_EQ(trt_status(), TRT_CANCELLED);
        trt_await(trt_join(self->b, NULL));
        CHECK_EQ(trt_status(), TRT_OK);
        CHECK_EQ(trt_available_permits(&self->s), 1);
    }
}

TEST(permits_handed_to_an_aborted_task_are_not_lost)
{
    CHECK_EQ(trt_run_with(&on_virtual_clock, handed_then_aborted, NULL), TRT_OK);
}

struct closes_semaphore { trt_semaphore s; trt_permit held, p; trt_handle(takes) a, b; };
trt_async(int, closes_semaphore)
{
    trt_body {
        trt_semaphore_init(&self->s, 1);
        trt_await(trt_acquire(&self->s, &self->held));
        self->a = trt_spawn(takes, .s = &self->s, .n = 1, .mark = 'a');
        self->b = trt_spawn(takes, .s = &self->s, .n = 1, .mark = 'b');
        trt_await(trt_sleep(1));
        trt_semaphore_close(&self->s);
        trt_semaphore_close(&self->s);
        trt_await(trt_join(self->a, NULL));
        CHECK_EQ(trt_status(), TRT_CLOSED);
        trt_await(trt_join(self->b, NULL));
        CHECK_EQ(trt_status(), TRT_CLOSED);
        trt_release(&self->held); /* still counted, but nobody gets it any more */
        trt_await(trt_acquire(&self->s, &self->p));
        CHECK_EQ(trt_status(), TRT_CLOSED);
        CHECK(!trt_try_acquire(&self->s, &self->p));
    }
}

TEST(a_closed_semaphore_fails_waiters_and_later_ones)
{
    CHECK_EQ(trt_run_with(&on_virtual_clock, closes_semaphore, NULL), TRT_OK);
}

struct forgets { trt_semaphore s; trt_permit p; };
trt_async(int, forgets)
{
    trt_body {
        trt_semaphore_init(&self->s, 2);
        trt_await(trt_acquire(&self->s, &self->p));
        self->p = (trt_permit){0}; /* never released: used up */
        trt_await(trt_acquire(&self->s, &self->p));
        trt_release(&self->p);
        CHECK_EQ(trt_available_permits(&self->s), 1);
    }
}

TEST(a_permit_that_is_never_released_is_used_up)
{
    CHECK_EQ(trt_run_with(&on_virtual_clock, forgets, NULL), TRT_OK);
}

struct before_init { trt_semaphore s; trt_permit p; trt_barrier b; bool leader; };
trt_async(int, before_init)
{
    trt_body {
        trt_semaphore_close(&self->s); /* a no-op: a cleanup runs even if the body never started */
        trt_await(trt_acquire(&self->s, &self->p));
        CHECK_EQ(trt_status(), TRT_MISUSE);
        CHECK_EQ(trt_add_permits(&self->s, 1), TRT_MISUSE);
        CHECK(!trt_try_acquire(&self->s, &self->p));
        trt_await(trt_barrier_wait(&self->b, &self->leader));
        CHECK_EQ(trt_status(), TRT_MISUSE);
        trt_semaphore_init(&self->s, 1);
        trt_await(trt_acquire(&self->s, &self->p));
        CHECK_EQ(trt_status(), TRT_OK);
    }
    trt_cleanup { trt_release(&self->p); }
}

TEST(before_its_init_an_object_is_misuse_and_close_a_no_op)
{
    capture_start();
    trt_status_code status = trt_run_with(&on_virtual_clock, before_init, NULL);
    capture_end();
    CHECK_EQ(status, TRT_OK);
}

TEST(permits_beyond_the_maximum_are_misuse)
{
    trt_semaphore s = {0};
    CHECK_EQ(trt_semaphore_init(&s, 1), TRT_OK);
    capture_start();
    trt_status_code status = trt_add_permits(&s, SIZE_MAX);
    const char *text = capture_end();
    CHECK_EQ(status, TRT_MISUSE);
    CHECK(strlen(text) > 0);
    CHECK_EQ(trt_available_permits(&s), 1);
}

/* ---- plain threads use the same objects ---- */

static trt_semaphore shared_semaphore;
static trt_mutex shared_mutex;
static atomic_int inside;
static void *uses_semaphore(void *unused)
{
    (void)unused;
    for (long i = 0; i < ROUNDS(2000); i++) {
        trt_permit p = {0};
        if (trt_try_acquire(&shared_semaphore, &p)) {
            CHECK(atomic_fetch_add(&inside, 1) < 2);
            atomic_fetch_sub(&inside, 1);
            trt_release(&p);
        } else
            sched_yield();
    }
    return NULL;
}
struct user { long i; trt_permit p; };
trt_async(int, user)
{
    trt_body {
        for (self->i = 0; self->i < ROUNDS(2000); self->i++) {
            trt_await(trt_acquire(&shared_semaphore, &self->p));
            CHECK(atomic_fetch_add(&inside, 1) < 2);
            if (self->i % 16 == 0)
                trt_await(trt_yield());
            atomic_fetch_sub(&inside, 1);
            trt_release(&self->p);
        }
    }
}

TEST(a_semaphore_serves_threads_and_several_runtimes)
{
    pthread_t threads[2];
    trt_runtime *a, *b;
    trt_handle(user) h[8];
    CHECK_EQ(trt_semaphore_init(&shared_semaphore, 2), TRT_OK);
    CHECK_EQ(trt_runtime_start(&a, &on_two_workers), TRT_OK);
    CHECK_EQ(trt_runtime_start(&b, &on_one_worker), TRT_OK);
    for (int i = 0; i < 2; i++)
        pthread_create(&threads[i], NULL, uses_semaphore, NULL);
    for (int i = 0; i < 8; i++)
        h[i] = trt_spawn_on(i % 2 ? a : b, user);
    for (int i = 0; i < 8; i++)
        CHECK_EQ(trt_join_thread(h[i], NULL), TRT_OK);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    CHECK_EQ(trt_available_permits(&shared_semaphore), 2);
    CHECK_EQ(trt_runtime_free(a), TRT_OK);
    CHECK_EQ(trt_runtime_free(b), TRT_OK);
}

/* ---- mutex ---- */

struct counts { trt_mutex *m; long *count, i, n, seen; trt_guard g; };
trt_async(int, counts)
{
    trt_body {
        for (self->i = 0; self->i < self->n; self->i++) {
            trt_await(trt_lock(self->m, &self->g));
            CHECK_EQ(trt_status(), TRT_OK);
            self->seen = *self->count;
            if (self->i % 8 == 0)
                trt_await(trt_yield());
            *self->count = self->seen + 1;
            trt_unlock(&self->g);
        }
    }
    trt_cleanup { trt_unlock(&self->g); }
}
struct counters { trt_mutex m; long count, n; int i; trt_join_set(counts) set; };
trt_async(long, counters)
{
    trt_body {
        for (self->i = 0; self->i < 10; self->i++)
            trt_spawn_in(&self->set, counts, .m = &self->m, .count = &self->count, .n = self->n);
        for (self->i = 0; self->i < 10; self->i++) {
            trt_await(trt_join_next(&self->set, NULL));
            CHECK_EQ(trt_status(), TRT_OK);
        }
        trt_return(self->count);
    }
}

TEST(a_mutex_excludes)
{
    long out = 0, n = ROUNDS(2000);
    CHECK_EQ(trt_run_with(&on_virtual_clock, counters, &out, .n = n), TRT_OK);
    CHECK_EQ(out, 10 * n);
    CHECK_EQ(trt_run_with(&on_four_workers, counters, &out, .n = n), TRT_OK);
    CHECK_EQ(out, 10 * n);
}

struct locks { trt_mutex *m; char mark; bool panics; trt_guard g; };
trt_async(int, locks)
{
    trt_body {
        trt_await(trt_lock(self->m, &self->g));
        letter(self->mark);
        if (self->panics)
            trt_panic("holding a lock");
        trt_await(trt_sleep(trt_ms(1)));
    }
    trt_cleanup { trt_unlock(&self->g); }
}
struct mutex_order { trt_mutex m; trt_guard g, g2; trt_handle(locks) h[5]; int i; };
trt_async(int, mutex_order)
{
    trt_body {
        CHECK(trt_try_lock(&self->m, &self->g));
        for (self->i = 0; self->i < 5; self->i++) {
            self->h[self->i] = trt_spawn(locks, .m = &self->m, .mark = (char)('a' + self->i), .panics = self->i == 3);
            trt_await(trt_yield());
            trt_await(trt_sleep(1));
        }
        CHECK_STR(letters, "");
        trt_abort(self->h[1]);
        trt_unlock(&self->g);
        trt_unlock(&self->g); /* empty now */
        for (self->i = 0; self->i < 5; self->i++) {
            trt_await(trt_join(self->h[self->i], NULL));
            CHECK_EQ(trt_status(), self->i == 1 ? TRT_CANCELLED : self->i == 3 ? TRT_PANICKED : TRT_OK);
        }
        CHECK_STR(letters, "acde");
        CHECK(trt_try_lock(&self->m, &self->g)); /* released by abort and panic, no poison */
        CHECK(!trt_try_lock(&self->m, &self->g2));
        trt_unlock(&self->g);
    }
}

TEST(a_mutex_is_fifo_and_abort_or_panic_unlock_through_the_cleanup)
{
    capture_start();
    trt_status_code status = trt_run_with(&on_virtual_clock, mutex_order, NULL);
    capture_end();
    CHECK_EQ(status, TRT_OK);
}

static long shared_count;
static void *try_locks(void *unused)
{
    (void)unused;
    for (long i = 0; i < ROUNDS(2000);) {
        trt_guard g = {0};
        if (trt_try_lock(&shared_mutex, &g)) {
            shared_count++;
            i++;
            trt_unlock(&g);
        } else
            sched_yield();
    }
    return NULL;
}
struct locks_shared { long i; trt_guard g; };
trt_async(int, locks_shared)
{
    trt_body {
        for (self->i = 0; self->i < ROUNDS(2000); self->i++) {
            trt_await(trt_lock(&shared_mutex, &self->g));
            shared_count++;
            trt_unlock(&self->g);
        }
    }
}

TEST(a_static_mutex_needs_no_init_and_serves_threads)
{
    pthread_t thread;
    pthread_create(&thread, NULL, try_locks, NULL);
    CHECK_EQ(trt_run_with(&on_two_workers, locks_shared, NULL), TRT_OK);
    pthread_join(thread, NULL);
    CHECK_EQ(shared_count, 2 * ROUNDS(2000));
}

/* ---- read-write lock ---- */

struct reads { trt_rwlock *rw; char mark; trt_duration hold; trt_guard g; };
trt_async(int, reads)
{
    trt_body {
        trt_await(trt_read_lock(self->rw, &self->g));
        letter(self->mark);
        trt_await(trt_sleep(self->hold));
    }
    trt_cleanup { trt_unlock(&self->g); }
}
struct writes { trt_rwlock *rw; char mark; trt_duration hold; bool downgrades; trt_guard g; };
trt_async(int, writes)
{
    trt_body {
        trt_await(trt_write_lock(self->rw, &self->g));
        letter(self->mark);
        trt_await(trt_sleep(self->hold));
        if (self->downgrades) {
            trt_downgrade(&self->g);
            letter('v');
            trt_await(trt_sleep(self->hold));
        }
    }
    trt_cleanup { trt_unlock(&self->g); }
}
struct rw_rules { trt_rwlock rw; trt_guard a, b, c; trt_join_set_of(int) set; int i; };
trt_async(int, rw_rules)
{
    trt_body {
        trt_await(trt_read_lock(&self->rw, &self->a));
        CHECK_EQ(trt_status(), TRT_OK);
        CHECK(trt_try_read_lock(&self->rw, &self->b));
        CHECK(!trt_try_write_lock(&self->rw, &self->c));
        trt_unlock(&self->a);
        CHECK(!trt_try_write_lock(&self->rw, &self->c));
        trt_unlock(&self->b);
        CHECK(trt_try_write_lock(&self->rw, &self->c));
        CHECK(!trt_try_read_lock(&self->rw, &self->a));
        CHECK(!trt_try_write_lock(&self->rw, &self->b));
        trt_downgrade(&self->c);
        CHECK(trt_try_read_lock(&self->rw, &self->a));
        CHECK(!trt_try_write_lock(&self->rw, &self->b));
        trt_unlock(&self->a);
        trt_unlock(&self->c);
        trt_unlock(&self->c);

        /* a read after a queued write waits: no writer starves */
        trt_await(trt_read_lock(&self->rw, &self->a));
        trt_spawn_in(&self->set, writes, .rw = &self->rw, .mark = 'W', .hold = trt_ms(1), .downgrades = true);
        trt_await(trt_sleep(1));
        trt_spawn_in(&self->set, reads, .rw = &self->rw, .mark = 'r', .hold = trt_ms(10));
        trt_await(trt_sleep(1));
        trt_spawn_in(&self->set, reads, .rw = &self->rw, .mark = 'r', .hold = trt_ms(10));
        trt_await(trt_sleep(1));
        CHECK(!trt_try_read_lock(&self->rw, &self->b));
        trt_spawn_in(&self->set, writes, .rw = &self->rw, .mark = 'X', .hold = trt_ms(1));
        trt_await(trt_sleep(1));
        trt_spawn_in(&self->set, reads, .rw = &self->rw, .mark = 's', .hold = trt_ms(1));
        trt_await(trt_sleep(1));
        CHECK_STR(letters, "");
        trt_unlock(&self->a);
        for (self->i = 0; self->i < 5; self->i++) {
            trt_await(trt_join_next(&self->set, NULL));
            CHECK_EQ(trt_status(), TRT_OK);
        }
        CHECK_STR(letters, "WvrrXs"); /* the readers got in when the writer downgraded */
    }
}

TEST(read_write_lock_by_the_book)
{
    CHECK_EQ(trt_run_with(&on_virtual_clock, rw_rules, NULL), TRT_OK);
}

struct rw_abort { trt_rwlock rw; trt_guard a; trt_handle(writes) w; trt_handle(reads) r; trt_instant start; };
trt_async(int, rw_abort)
{
    trt_body {
        trt_await(trt_read_lock(&self->rw, &self->a));
        self->w = trt_spawn(writes, .rw = &self->rw, .mark = 'w');
        trt_await(trt_sleep(1));
        self->r = trt_spawn(reads, .rw = &self->rw, .mark = 'r');
        trt_await(trt_sleep(1));
        CHECK_STR(letters, "");
        self->start = trt_now();
        trt_abort(self->w); /* the reader behind it need not wait any longer */
        trt_await(trt_join(self->w, NULL));
        trt_await(trt_join(self->r, NULL));
        CHECK_EQ(trt_status(), TRT_OK);
        CHECK_EQ(trt_now(), self->start);
        CHECK_STR(letters, "r");
        trt_unlock(&self->a);
        CHECK(trt_try_write_lock(&self->rw, &self->a));
        trt_unlock(&self->a);
    }
}

TEST(an_aborted_writer_lets_the_readers_behind_it_pass)
{
    CHECK_EQ(trt_run_with(&on_virtual_clock, rw_abort, NULL), TRT_OK);
}

struct rw_worker { trt_rwlock *rw; long *a, *b, i, n; bool writer; trt_guard g; };
trt_async(int, rw_worker)
{
    trt_body {
        for (self->i = 0; self->i < self->n; self->i++) {
            if (self->writer) {
                trt_await(trt_write_lock(self->rw, &self->g));
                ++*self->a;
                if (self->i % 8 == 0)
                    trt_await(trt_yield());
                ++*self->b;
            } else {
                trt_await(trt_read_lock(self->rw, &self->g));
                CHECK_EQ(*self->a, *self->b);
                if (self->i % 8 == 0)
                    trt_await(trt_yield());
                CHECK_EQ(*self->a, *self->b);
            }
            trt_unlock(&self->g);
        }
    }
}
struct rw_workers { trt_rwlock rw; long a, b, n; int i; trt_join_set(rw_worker) set; };
trt_async(int, rw_workers)
{
    trt_body {
        for (self->i = 0; self->i < 12; self->i++)
            trt_spawn_in(&self->set, rw_worker, .rw = &self->rw, .a = &self->a, .b = &self->b, .n = self->n, .writer = self->i % 3 == 0);
        for (self->i = 0; self->i < 12; self->i++) {
            trt_await(trt_join_next(&self->set, NULL));
            CHECK_EQ(trt_status(), TRT_OK);
        }
        CHECK_EQ(self->a, 4 * self->n);
    }
}

TEST(writers_exclude_everybody_and_readers_only_writers)
{
    CHECK_EQ(trt_run_with(&on_four_workers, rw_workers, NULL, .n = ROUNDS(2000)), TRT_OK);
}

/* ---- notify ---- */

struct notified { trt_notify *n; char mark; };
trt_async(int, notified)
{
    trt_body {
        trt_await(trt_notified(self->n));
        CHECK_EQ(trt_status(), TRT_OK);
        letter(self->mark);
    }
}
struct notify_rules { trt_notify n; trt_handle(notified) h[4]; int i; trt_op early, late; };
trt_async(int, notify_rules)
{
    trt_body {
        /* without a waiter one notification is kept, and never more than one */
        trt_notify_one(&self->n);
        trt_notify_one(&self->n);
        trt_await(trt_notified(&self->n));
        CHECK_EQ(trt_status(), TRT_OK);
        trt_await(trt_within(trt_ms(1), trt_notified(&self->n)));
        CHECK_EQ(trt_status(), TRT_TIMED_OUT);
        /* waiters in order */
        for (self->i = 0; self->i < 4; self->i++) {
            self->h[self->i] = trt_spawn(notified, .n = &self->n, .mark = (char)('a' + self->i));
            trt_await(trt_sleep(1));
        }
        trt_notify_one(&self->n);
        trt_await(trt_sleep(1));
        CHECK_STR(letters, "a");
        trt_notify_one(&self->n);
        trt_await(trt_sleep(1));
        CHECK_STR(letters, "ab");
        trt_notify_all(&self->n);
        trt_await(trt_sleep(1));
        CHECK_EQ(strlen(letters), 4);
        for (self->i = 0; self->i < 4; self->i++)
            trt_await_ok(trt_join(self->h[self->i], NULL));
        /* notify_all keeps nothing, but completes what was made before it */
        self->early = trt_notified(&self->n);
        trt_notify_all(&self->n);
        self->late = trt_notified(&self->n);
        trt_await(trt_within(trt_ms(1), self->late));
        CHECK_EQ(trt_status(), TRT_TIMED_OUT);
        trt_await(trt_within(trt_ms(1), self->early));
        CHECK_EQ(trt_status(), TRT_OK);
        /* and does not eat a kept one */
        trt_notify_one(&self->n);
        trt_notify_all(&self->n);
        trt_await(trt_within(trt_ms(1), trt_notified(&self->n)));
        CHECK_EQ(trt_status(), TRT_OK);
        trt_await(trt_within(trt_ms(1), trt_notified(&self->n)));
        CHECK_EQ(trt_status(), TRT_TIMED_OUT);
    }
}

TEST(notify_keeps_one_wakes_in_order_and_all_that_were_made_before)
{
    CHECK_EQ(trt_run_with(&on_virtual_clock, notify_rules, NULL), TRT_OK);
}

struct passes_on { trt_notify n; trt_handle(notified) a, b; };
trt_async(int, passes_on)
{
    trt_body {
        self->a = trt_spawn(notified, .n = &self->n, .mark = 'a');
        trt_await(trt_sleep(1));
        self->b = trt_spawn(notified, .n = &self->n, .mark = 'b');
        trt_await(trt_sleep(1));
        trt_abort(self->a);
        trt_notify_one(&self->n); /* whether or not a has left already: not lost */
        trt_await(trt_join(self->a, NULL));
        if (trt_status() == TRT_OK)
            trt_notify_one(&self->n);
        trt_await(trt_within(trt_s(1), trt_join(self->b, NULL)));
        CHECK_EQ(trt_status(), TRT_OK);
        trt_await(trt_stop(self->b));
    }
}

TEST(a_notification_is_not_lost_on_an_aborted_waiter)
{
    CHECK_EQ(trt_run_with(&on_virtual_clock, passes_on, NULL), TRT_OK);
}

struct waits_condition { trt_notify *n; atomic_long *value; long until; trt_op op; };
trt_async(int, waits_condition)
{
    trt_body {
        for (;;) {
            self->op = trt_notified(self->n); /* make the op, check, await */
            if (atomic_load(self->value) >= self->until)
                break;
            trt_await(self->op);
        }
    }
}
static struct { trt_notify n; atomic_long value; long rounds; } shared;
static void *raises_condition(void *unused)
{
    (void)unused;
    for (long i = 0; i < shared.rounds; i++) {
        atomic_fetch_add(&shared.value, 1);
        trt_notify_all(&shared.n);
    }
    return NULL;
}

TEST(a_notified_made_before_the_check_misses_no_notify_all)
{
    for (int round = 0; round < 50; round++) {
        pthread_t thread;
        trt_runtime *rt;
        trt_handle(waits_condition) h[8];
        shared.rounds = ROUNDS(200);
        atomic_store(&shared.value, 0);
        CHECK_EQ(trt_runtime_start(&rt, &on_two_workers), TRT_OK);
        for (int i = 0; i < 8; i++)
            h[i] = trt_spawn_on(rt, waits_condition, .n = &shared.n, .value = &shared.value, .until = shared.rounds * (i + 1) / 8);
        pthread_create(&thread, NULL, raises_condition, NULL);
        for (int i = 0; i < 8; i++)
            CHECK_EQ(trt_join_thread(h[i], NULL), TRT_OK);
        pthread_join(thread, NULL);
        CHECK_EQ(trt_runtime_free(rt), TRT_OK);
    }
}

/* A notify_all, or a waiter that leaves, holds the latch for a moment, and puts back what is kept. */
static void *holds_notify_latch(void *stage)
{
    bool kept = trt_latch_value_(&shared.n.word_) == TRT_NOTIFY_PERMIT_;
    atomic_store((atomic_int *)stage, 1);
    for (int i = 0; i < 50; i++)
        harness_pause();
    trt_notify_unlatch_(&shared.n, kept);
    return NULL;
}
struct looks_under_latch { trt_mutex other; trt_guard g; atomic_int stage; pthread_t thread; };
trt_async(int, looks_under_latch)
{
    trt_body {
        trt_notify_one(&shared.n);
        pthread_create(&self->thread, NULL, holds_notify_latch, &self->stage);
        WAIT_UNTIL(atomic_load(&self->stage));
        trt_await_any_biased(trt_notified(&shared.n), trt_lock(&self->other, &self->g));
        CHECK_EQ(trt_chosen(), 0);
        pthread_join(self->thread, NULL);
    }
    trt_cleanup { trt_unlock(&self->g); }
}

TEST(a_kept_notification_comes_first_also_while_somebody_notifies_all)
{
    CHECK_EQ(trt_run_with(&on_one_thread, looks_under_latch, NULL), TRT_OK);
}

/* ---- barrier ---- */

struct party { trt_barrier *b; int rounds, i, *leaders, *phase; bool leader; trt_duration pause; };
trt_async(int, party)
{
    trt_body {
        for (self->i = 0; self->i < self->rounds; self->i++) {
            trt_await(trt_sleep(self->pause));
            CHECK_EQ(*self->phase, self->i);
            trt_await(trt_barrier_wait(self->b, &self->leader));
            CHECK_EQ(trt_status(), TRT_OK);
            if (self->leader) {
                ++*self->leaders;
                ++*self->phase;
            } else
                AWAIT_UNTIL(*self->phase > self->i);
        }
    }
}
struct barrier_rules { trt_barrier b; trt_join_set(party) set; trt_handle(party) gone; int leaders, phase, i, extra; bool leader; };
trt_async(int, barrier_rules)
{
    trt_body {
        CHECK_EQ(trt_barrier_init(&self->b, 5), TRT_OK);
        for (self->i = 0; self->i < 5; self->i++)
            trt_spawn_in(&self->set, party, .b = &self->b, .rounds = 10, .leaders = &self->leaders, .phase = &self->phase, .pause = trt_ms(self->i));
        for (self->i = 0; self->i < 5; self->i++) {
            trt_await(trt_join_next(&self->set, NULL));
            CHECK_EQ(trt_status(), TRT_OK);
        }
        CHECK_EQ(self->leaders, 10);
    }
}

TEST(a_barrier_is_reusable_and_has_one_leader_a_round)
{
    CHECK_EQ(trt_run_with(&on_virtual_clock, barrier_rules, NULL), TRT_OK);
}

struct waits_barrier { trt_barrier *b; trt_duration within; bool leader; };
trt_async(bool, waits_barrier)
{
    trt_body {
        if (self->within)
            trt_await_ok(trt_within(self->within, trt_barrier_wait(self->b, &self->leader)));
        else
            trt_await_ok(trt_barrier_wait(self->b, &self->leader));
        trt_return(self->leader);
    }
}
struct barrier_leavers { trt_barrier b, one; trt_handle(waits_barrier) a, c, d; bool la, lc, ld; };
trt_async(int, barrier_leavers)
{
    trt_body {
        CHECK_EQ(trt_barrier_init(&self->b, 2), TRT_OK);
        self->a = trt_spawn(waits_barrier, .b = &self->b);
        trt_await(trt_sleep(1));
        trt_abort(self->a);
        trt_await(trt_join(self->a, NULL));
        CHECK_EQ(trt_status(), TRT_CANCELLED);
        self->c = trt_spawn(waits_barrier, .b = &self->b);
        trt_await(trt_sleep(1));
        CHECK(!trt_is_finished(self->c)); /* the aborted one does not count */
        self->d = trt_spawn(waits_barrier, .b = &self->b);
        trt_await_ok(trt_join(self->c, &self->lc));
        trt_await_ok(trt_join(self->d, &self->ld));
        CHECK_EQ(self->lc + self->ld, 1);
        /* one party never waits */
        CHECK_EQ(trt_barrier_init(&self->one, 1), TRT_OK);
        trt_await(trt_barrier_wait(&self->one, &self->la));
        CHECK_EQ(trt_status(), TRT_OK);
        CHECK(self->la);
        trt_await(trt_barrier_wait(&self->one, NULL));
        CHECK_EQ(trt_status(), TRT_OK);
    }
}

TEST(an_aborted_waiter_leaves_the_barrier)
{
    CHECK_EQ(trt_run_with(&on_virtual_clock, barrier_leavers, NULL), TRT_OK);
}

/* Who arrives right behind an abort meets nobody: the aborted task has not run since. */
struct arrives_behind_abort { trt_barrier b; trt_handle(waits_barrier) plain, in_any; bool leader; };
trt_async(int, arrives_behind_abort)
{
    trt_body {
        CHECK_EQ(trt_barrier_init(&self->b, 3), TRT_OK);
        self->plain = trt_spawn(waits_barrier, .b = &self->b);
        self->in_any = trt_spawn(waits_barrier, .b = &self->b, .within = trt_s(9));
        trt_await(trt_sleep(1));
        trt_abort(self->plain);
        trt_abort(self->in_any);
        trt_await(trt_within(trt_ms(1), trt_barrier_wait(&self->b, &self->leader)));
        CHECK_EQ(trt_status(), TRT_TIMED_OUT);
        trt_await(trt_join(self->plain, NULL));
        CHECK_EQ(trt_status(), TRT_CANCELLED);
        trt_await(trt_join(self->in_any, NULL));
        CHECK_EQ(trt_status(), TRT_CANCELLED);
        self->plain = trt_spawn(waits_barrier, .b = &self->b); /* the next round is a whole one */
        self->in_any = trt_spawn(waits_barrier, .b = &self->b, .within = trt_s(9));
        trt_await(trt_barrier_wait(&self->b, &self->leader));
        CHECK_EQ(trt_status(), TRT_OK);
        trt_await_ok(trt_join(self->plain, NULL));
        trt_await_ok(trt_join(self->in_any, NULL));
        trt_return(1);
    }
}

TEST(an_aborted_waiter_does_not_count_for_who_arrives_next)
{
    int out = 0;
    CHECK_EQ(trt_run_with(&on_virtual_clock, arrives_behind_abort, &out), TRT_OK);
    CHECK_EQ(out, 1);
}

/* ---- once ---- */

struct enters { trt_once *o; bool first; int *runs, *tries; int how; };
trt_async(int, enters)
{
    trt_body {
        trt_await(trt_once_enter(self->o, &self->first));
        CHECK_EQ(trt_status(), TRT_OK);
        if (self->first) {
            ++*self->tries;
            trt_await(trt_sleep(trt_ms(1)));
            if (self->how == 1) {
                self->first = false; /* the turn is given back: the cleanup has nothing to give */
                trt_once_failed(self->o);
                trt_return(-1);
            }
            ++*self->runs;
            trt_once_done(self->o);
        }
        CHECK_EQ(*self->runs, 1); /* initialised, whoever did it */
        trt_return(self->first);
    }
    trt_cleanup {
        if (self->first)
            trt_once_failed(self->o); /* a no-op once done */
    }
}
struct once_rules { trt_once o; trt_handle(enters) h[10]; int i, runs, tries, out, firsts, failed; };
trt_async(int, once_rules)
{
    trt_body {
        for (self->i = 0; self->i < 10; self->i++) {
            self->h[self->i] = trt_spawn(enters, .o = &self->o, .runs = &self->runs, .tries = &self->tries, .how = self->i < 2 ? 1 : 0);
            trt_await(trt_sleep(1)); /* they come one after the other */
        }
        trt_await(trt_sleep(trt_us(2500))); /* two have failed, the third is at it */
        trt_abort(self->h[2]);
        for (self->i = 0; self->i < 10; self->i++) {
            trt_await(trt_join(self->h[self->i], &self->out));
            if (self->i == 2) {
                CHECK_EQ(trt_status(), TRT_CANCELLED);
                continue;
            }
            CHECK_EQ(trt_status(), TRT_OK);
            self->firsts += self->out == 1;
            self->failed += self->out == -1;
        }
        CHECK_EQ(self->failed, 2);
        CHECK_EQ(self->firsts, 1);
        CHECK_EQ(self->runs, 1);
        CHECK_EQ(self->tries, 4);
        self->h[0] = trt_spawn(enters, .o = &self->o, .runs = &self->runs, .tries = &self->tries);
        trt_await_ok(trt_join(self->h[0], &self->out));
        CHECK_EQ(self->out, 0);
        CHECK_EQ(self->tries, 4);
    }
}

TEST(once_runs_one_initialiser_and_hands_over_on_failure_or_abort)
{
    CHECK_EQ(trt_run_with(&on_virtual_clock, once_rules, NULL), TRT_OK);
}

/* ---- token ---- */

struct waits_token { trt_token *t; char mark; };
trt_async(int, waits_token)
{
    trt_body {
        trt_await(trt_token_wait(self->t));
        CHECK_EQ(trt_status(), TRT_OK);
        letter(self->mark);
    }
}
struct token_rules { trt_token *root, *a, *b, *aa, *late; trt_handle(waits_token) h[4]; int i; };
trt_async(int, token_rules)
{
    trt_body {
        self->root = trt_token_new(NULL);
        self->a = trt_token_new(self->root);
        self->b = trt_token_new(self->root);
        self->aa = trt_token_new(self->a);
        CHECK(self->root && self->a && self->b && self->aa);
        self->h[0] = trt_spawn(waits_token, .t = self->root, .mark = 'r');
        self->h[1] = trt_spawn(waits_token, .t = self->a, .mark = 'a');
        self->h[2] = trt_spawn(waits_token, .t = self->aa, .mark = 'A');
        self->h[3] = trt_spawn(waits_token, .t = self->b, .mark = 'b');
        trt_await(trt_sleep(1));
        CHECK_STR(letters, "");
        trt_token_cancel(self->a); /* all below, nothing above or beside */
        CHECK(trt_token_is_cancelled(self->a));
        CHECK(trt_token_is_cancelled(self->aa));
        CHECK(!trt_token_is_cancelled(self->root));
        CHECK(!trt_token_is_cancelled(self->b));
        trt_await(trt_sleep(1));
        CHECK_EQ(strlen(letters), 2);
        CHECK(strchr(letters, 'a') && strchr(letters, 'A'));
        trt_await(trt_token_wait(self->aa)); /* at once, and for ever */
        trt_await(trt_token_wait(self->aa));
        CHECK_EQ(trt_status(), TRT_OK);
        trt_await(trt_within(trt_ms(1), trt_token_wait(self->b)));
        CHECK_EQ(trt_status(), TRT_TIMED_OUT);
        self->late = trt_token_new(self->aa); /* below a cancelled one: born cancelled */
        CHECK(trt_token_is_cancelled(self->late));
        trt_token_cancel(self->a);
        trt_token_cancel(self->root);
        CHECK(trt_token_is_cancelled(self->b));
        for (self->i = 0; self->i < 4; self->i++) {
            trt_await(trt_join(self->h[self->i], NULL));
            CHECK_EQ(trt_status(), TRT_OK);
        }
        CHECK_EQ(strlen(letters), 4);
    }
    trt_cleanup {
        trt_token_free(self->root);
        CHECK(self->root == NULL);
        trt_token_free(self->root);
        trt_token_free(self->late);
        trt_token_free(self->aa);
        trt_token_free(self->b);
        trt_token_free(self->a);
    }
}

TEST(a_token_cancels_itself_and_all_below)
{
    CHECK_EQ(trt_run_with(&on_virtual_clock, token_rules, NULL), TRT_OK);
}

TEST(tokens_may_be_freed_in_any_order)
{
    for (int order = 0; order < 6; order++) {
        trt_token *t[3];
        t[0] = trt_token_new(NULL);
        t[1] = trt_token_new(t[0]);
        t[2] = trt_token_new(t[1]);
        int first = order % 3, second = (first + 1 + order / 3) % 3, third = 3 - first - second;
        trt_token *kept = t[third];
        trt_token_free(t[first]);
        trt_token_free(t[second]);
        CHECK(!trt_token_is_cancelled(kept));
        trt_token_cancel(kept);
        CHECK(trt_token_is_cancelled(kept));
        trt_token_free(t[third]);
    }
    /* a grandchild still hears of the root when the token between them is gone */
    trt_token *root = trt_token_new(NULL), *middle = trt_token_new(root), *leaf = trt_token_new(middle);
    trt_token_free(middle);
    trt_token_cancel(root);
    CHECK(trt_token_is_cancelled(leaf));
    trt_token_free(root);
    CHECK(trt_token_is_cancelled(leaf));
    trt_token_free(leaf);
    trt_token *none = NULL;
    trt_token_free(none);
}

/* Cancel it, free it: those who waited have not run since, and may have been aborted before. */
struct waits_cancelled { trt_token *t; trt_notify *n; int how; };
trt_async(int, waits_cancelled)
{
    trt_body {
        if (self->how == 0)
            trt_await(trt_token_wait(self->t));
        else if (self->how == 1)
            trt_await(trt_within(trt_s(3600), trt_token_wait(self->t)));
        else if (self->how == 2)
            trt_await_any(trt_sleep(trt_s(3600)), trt_token_wait(self->t), trt_token_wait(self->t));
        else if (self->how == 3)
            trt_await_all(trt_token_wait(self->t), trt_notified(self->n));
        else {
            trt_await_any(trt_notified(self->n), trt_token_wait(self->t));
            trt_return(trt_chosen());
        }
        if (trt_status() != TRT_OK)
            trt_fail(trt_status());
        trt_return(1);
    }
}
struct cancels_and_frees { trt_token *t, *above; trt_notify n; trt_handle(waits_cancelled) h; int how, v; bool abort; };
trt_async(int, cancels_and_frees)
{
    trt_body {
        self->above = trt_token_new(NULL);
        self->t = trt_token_new(self->above);
        self->h = trt_spawn(waits_cancelled, .t = self->t, .n = &self->n, .how = self->how);
        trt_await(trt_sleep(1));
        if (self->abort)
            trt_abort(self->h);
        if (self->how == 4)
            trt_notify_one(&self->n); /* the other branch is faster */
        trt_token_cancel(self->above);
        trt_token_free(self->above);
        trt_token_free(self->t);
        CHECK(self->t == NULL);
        if (self->how == 3)
            trt_notify_one(&self->n);
        trt_await(trt_join(self->h, &self->v));
        CHECK_EQ(trt_status(), self->abort ? TRT_CANCELLED : TRT_OK);
        trt_return(self->v);
    }
}

TEST(a_token_is_freed_right_after_its_cancel)
{
    for (int how = 0; how < 5; how++)
        for (int abort = 0; abort < 2; abort++) {
            int v = -1;
            trt_status_code status = trt_run_with(&on_virtual_clock, cancels_and_frees, &v, .how = how, .abort = abort);
            CHECK_EQ(status, TRT_OK);
            CHECK_EQ(v, abort || how == 4 ? 0 : 1);
        }
}

/* The same, and those who waited never run again. */
struct outlives_token { trt_token *t; atomic_int *ready; trt_duration lingers; };
trt_async(int, outlives_token)
{
    trt_body {
        atomic_fetch_add(self->ready, 1);
        trt_await_any(trt_token_wait(self->t), trt_sleep_until(INT64_MAX));
    }
    trt_cleanup {
        if (self->lingers)
            trt_await_any(trt_token_wait(self->t), trt_sleep(self->lingers));
        if (self->lingers)
            trt_await(trt_token_wait(self->t));
    }
}

TEST(a_token_is_freed_before_the_runtime_that_waits_for_it)
{
    trt_runtime *rt;
    atomic_int ready = 0;
    trt_token *t = trt_token_new(NULL);
    CHECK_EQ(trt_runtime_start(&rt, &on_one_worker), TRT_OK);
    trt_detach(trt_spawn_on(rt, outlives_token, .t = t, .ready = &ready, .lingers = 1));
    trt_detach(trt_spawn_on(rt, outlives_token, .t = t, .ready = &ready, .lingers = trt_s(100000)));
    CHECK_EQ(trt_runtime_shutdown(rt, ENOUGH_MS(20)), TRT_TIMED_OUT);
    trt_token_cancel(t);
    trt_token_free(t);
    CHECK(t == NULL);
    CHECK_EQ(trt_runtime_free(rt), TRT_OK);
}

struct token_storm_waiter { trt_token *parent, *mine; };
trt_async(int, token_storm_waiter)
{
    trt_body {
        trt_await(trt_token_wait(self->mine));
        CHECK_EQ(trt_status(), TRT_OK);
    }
    trt_cleanup { trt_token_free(self->mine); }
}
TEST(a_token_cancelled_from_a_thread_wakes_a_thousand)
{
    for (int round = 0; round < 10; round++) {
        trt_runtime *rt;
        enum { WAITERS = 500 };
        static trt_handle(token_storm_waiter) h[WAITERS];
        trt_token *root = trt_token_new(NULL);
        CHECK_EQ(trt_runtime_start(&rt, &on_four_workers), TRT_OK);
        for (int i = 0; i < WAITERS; i++) {
            h[i] = trt_spawn_on(rt, token_storm_waiter, .mine = trt_token_new(root));
            if (i == round * 50)
                trt_token_cancel(root);
        }
        for (int i = 0; i < WAITERS; i++)
            CHECK_EQ(trt_join_thread(h[i], NULL), TRT_OK);
        trt_token_free(root);
        CHECK_EQ(trt_runtime_free(rt), TRT_OK);
    }
}

/* ---- arc ---- */

static atomic_int destroyed;
static void destroy_arc(void *p)
{
    CHECK_EQ(*(int *)p, 42);
    atomic_fetch_add(&destroyed, 1);
}

TEST(an_arc_is_destroyed_with_its_last_reference)
{
    int *a = trt_arc_new(sizeof *a, destroy_arc);
    CHECK(a != NULL);
    CHECK_EQ(*a, 0); /* zeroed */
    CHECK_EQ((uintptr_t)a % sizeof(void *), 0);
    *a = 42;
    int *b = trt_arc_clone(a);
    CHECK(a == b);
    trt_arc_drop(a);
    CHECK(a == NULL);
    CHECK_EQ(atomic_load(&destroyed), 0);
    trt_arc_drop(a); /* NULL */
    CHECK_EQ(*b, 42);
    trt_arc_drop(b);
    CHECK_EQ(atomic_load(&destroyed), 1);
    CHECK(trt_arc_clone(a) == NULL);
    char *plain = trt_arc_new(100, NULL);
    for (int i = 0; i < 100; i++)
        CHECK_EQ(plain[i], 0);
    trt_arc_drop(plain);
}

static void *clones_and_drops(void *p)
{
    int *mine = p;
    for (long i = 0; i < ROUNDS(20000); i++) {
        int *more = trt_arc_clone(mine);
        trt_arc_drop(more);
    }
    trt_arc_drop(mine);
    return NULL;
}

TEST(an_arc_counts_across_threads)
{
    int *a = trt_arc_new(sizeof *a, destroy_arc);
    pthread_t threads[4];
    *a = 42;
    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, clones_and_drops, trt_arc_clone(a));
    trt_arc_drop(a);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    CHECK_EQ(atomic_load(&destroyed), 1);
}

/* ---- abort while waiting leaves every object usable ---- */

struct waits_on { int what; trt_semaphore *s; trt_mutex *m; trt_rwlock *rw; trt_notify *n; trt_barrier *b; trt_token *t; trt_permit p; trt_guard g; bool flag; };
trt_async(int, waits_on)
{
    trt_body {
        if (self->what == 0)
            trt_await(trt_acquire_many(self->s, 2, &self->p));
        else if (self->what == 1)
            trt_await(trt_lock(self->m, &self->g));
        else if (self->what == 2)
            trt_await(trt_read_lock(self->rw, &self->g));
        else if (self->what == 3)
            trt_await(trt_write_lock(self->rw, &self->g));
        else if (self->what == 4)
            trt_await(trt_notified(self->n));
        else if (self->what == 5)
            trt_await(trt_barrier_wait(self->b, &self->flag));
        else
            trt_await(trt_token_wait(self->t));
    }
    trt_cleanup {
        trt_release(&self->p);
        trt_unlock(&self->g);
    }
}
struct storm { trt_semaphore s; trt_mutex m; trt_rwlock rw; trt_notify n; trt_barrier b; trt_token *t; trt_permit p; trt_guard g, w; long i, j, rounds; trt_handle(waits_on) h[70]; };
trt_async(int, storm)
{
    trt_body {
        trt_semaphore_init(&self->s, 3);
        trt_barrier_init(&self->b, 1000000);
        self->t = trt_token_new(NULL);
        for (self->j = 0; self->j < self->rounds; self->j++) {
            trt_await(trt_acquire_many(&self->s, 3, &self->p));
            trt_await(trt_lock(&self->m, &self->g));
            trt_await(trt_write_lock(&self->rw, &self->w));
            for (self->i = 0; self->i < 70; self->i++)
                self->h[self->i] = trt_spawn(waits_on, .what = (int)(self->i % 7), .s = &self->s, .m = &self->m, .rw = &self->rw, .n = &self->n, .b = &self->b, .t = self->t);
            if (self->j % 2)
                trt_await(trt_sleep(trt_us(20)));
            for (self->i = 0; self->i < 70; self->i++)
                if (self->i % 7 >= 4 || self->i % 2)
                    trt_abort(self->h[self->i]);
            trt_release(&self->p);
            trt_unlock(&self->g);
            trt_unlock(&self->w);
            for (self->i = 0; self->i < 70; self->i++)
                trt_await(trt_join(self->h[self->i], NULL));
            CHECK_EQ(trt_available_permits(&self->s), 3);
            CHECK(trt_try_lock(&self->m, &self->g));
            CHECK(trt_try_write_lock(&self->rw, &self->w));
            trt_unlock(&self->g);
            trt_unlock(&self->w);
        }
    }
    trt_cleanup { trt_token_free(self->t); }
}

TEST(aborted_waiters_leave_every_object_whole)
{
    CHECK_EQ(trt_run_with(&on_virtual_clock, storm, NULL, .rounds = ROUNDS(200)), TRT_OK);
    CHECK_EQ(trt_run_with(&on_four_workers, storm, NULL, .rounds = ROUNDS(300)), TRT_OK);
}

int main(int argc, char **argv) { return harness_main(argc, argv); }
