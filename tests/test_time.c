/* Sleeping, intervals, the virtual clock, many timers. */
#include "harness.h"
#define TASKRT_IMPLEMENTATION
#include "../taskrt.h"
#include "common.h"

static const trt_duration lengths[] = {
    1, 2, 999, trt_us(1), trt_us(999), trt_us(999.5), trt_ms(1) - 1, trt_ms(1), trt_ms(1) + 1, trt_ms(1.5), trt_ms(63), trt_ms(64), trt_ms(65),
    trt_ms(4095), trt_ms(4096), trt_ms(4097), trt_s(1), trt_s(0.25), trt_s(60), trt_s(3600), trt_s(86400), trt_s(86400) * 365, trt_s(86400) * 36500,
};
enum { LENGTHS = sizeof lengths / sizeof *lengths };

struct exact { int i; trt_instant start; };
trt_async(int, exact)
{
    trt_body {
        for (self->i = 0; self->i < LENGTHS; self->i++) {
            self->start = trt_now();
            trt_await(trt_sleep(lengths[self->i]));
            CHECK_EQ(trt_status(), TRT_OK);
            CHECK_EQ(trt_now() - self->start, lengths[self->i]);
            trt_await(trt_sleep_until(self->start + 2 * lengths[self->i]));
            CHECK_EQ(trt_now() - self->start, 2 * lengths[self->i]);
        }
    }
}

TEST(sleep_is_exact_on_the_virtual_clock) { CHECK_EQ(trt_run_with(&on_virtual_clock, exact, NULL), TRT_OK); }

struct at_once { trt_instant start; int flag; };
trt_async(int, at_once)
{
    trt_body {
        self->start = trt_now();
        trt_await(trt_sleep(0));
        trt_await(trt_sleep(-1));
        trt_await(trt_sleep(INT64_MIN));
        trt_await(trt_sleep_until(self->start));
        trt_await(trt_sleep_until(self->start - trt_s(5)));
        trt_await(trt_sleep_until(0));
        trt_await(trt_sleep_until(INT64_MIN));
        CHECK_EQ(trt_status(), TRT_OK);
        CHECK_EQ(trt_now(), self->start);
    }
}

TEST(a_sleep_that_is_past_is_done_at_once) { CHECK_EQ(trt_run_with(&on_virtual_clock, at_once, NULL), TRT_OK); }

struct farthest { trt_instant start; trt_metrics_info m; };
trt_async(int, farthest)
{
    trt_body {
        self->start = trt_now();
        trt_await_any(trt_sleep(INT64_MAX), trt_sleep_until(INT64_MAX), trt_sleep(INT64_MAX - 1), trt_sleep(trt_ms(1)));
        CHECK_EQ(trt_chosen(), 3);
        CHECK_EQ(trt_now() - self->start, trt_ms(1));
        trt_await(trt_within(INT64_MAX, trt_sleep(trt_ms(1))));
        CHECK_EQ(trt_status(), TRT_OK);
        trt_await(trt_within_until(INT64_MAX, trt_sleep(trt_ms(1))));
        CHECK_EQ(trt_status(), TRT_OK);
        trt_await(trt_within(trt_ms(2), trt_sleep(INT64_MAX)));
        CHECK_EQ(trt_status(), TRT_TIMED_OUT);
        CHECK_EQ(trt_now() - self->start, trt_ms(5));
        trt_metrics(trt_current(), &self->m);
        CHECK_EQ(self->m.timers_waiting, 0);
    }
}

TEST(deadlines_go_up_to_int64_max)
{
    CHECK_EQ(trt_run_with(&on_virtual_clock, farthest, NULL), TRT_OK);
}

static trt_duration constant = trt_ms(5), half = trt_s(0.5), nothing = trt_ns(7), micro = trt_us(2.5);
TEST(durations_are_constants_and_may_be_fractions)
{
    int n = 3;
    double f = 0.25;
    CHECK_EQ(constant, 5000000);
    CHECK_EQ(half, 500000000);
    CHECK_EQ(nothing, 7);
    CHECK_EQ(micro, 2500);
    CHECK_EQ(trt_s(n), 3000000000);
    CHECK_EQ(trt_ms(n * 2), 6000000);
    CHECK_EQ(trt_ms(f), 250000);
    CHECK_EQ(trt_s(0.3), 300000000);
    CHECK_EQ(trt_ms(0.7), 700000);
    CHECK_EQ(trt_s(9223372036), 9223372036000000000);
}

TEST(outside_a_runtime_now_is_the_monotonic_clock)
{
    struct timespec a, b;
    clock_gettime(CLOCK_MONOTONIC, &a);
    trt_instant now = trt_now();
    clock_gettime(CLOCK_MONOTONIC, &b);
    CHECK(now >= (int64_t)a.tv_sec * 1000000000 + a.tv_nsec);
    CHECK(now <= (int64_t)b.tv_sec * 1000000000 + b.tv_nsec);
}

static int64_t real_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

struct never_early { int i; trt_duration d; int64_t real; trt_instant start; };
trt_async(int, never_early)
{
    trt_body {
        for (self->i = 0; self->i < 20; self->i++) {
            self->real = real_now();
            self->start = trt_now();
            self->d = trt_us(137 * (self->i + 1));
            if (self->i % 2)
                trt_await(trt_sleep(self->d));
            else
                trt_await(trt_sleep_until(self->start + self->d));
            CHECK(trt_now() - self->start >= self->d);
            CHECK(real_now() - self->real >= self->d);
        }
    }
}
struct never_early_many { trt_join_set(never_early) set; int i; };
trt_async(int, never_early_many)
{
    trt_body {
        for (self->i = 0; self->i < 50; self->i++)
            trt_spawn_in(&self->set, never_early);
        for (self->i = 0; self->i < 50; self->i++) {
            trt_await(trt_join_next(&self->set, NULL));
            CHECK_EQ(trt_status(), TRT_OK);
        }
    }
}

TEST(a_sleep_is_never_early_on_the_real_clock)
{
    CHECK_EQ(trt_run_with(&on_one_thread, never_early, NULL), TRT_OK);
    CHECK_EQ(trt_run_with(&on_four_workers, never_early_many, NULL), TRT_OK);
}

/* ---- order ---- */

struct ordered { trt_join_set(later) set; int i, out; };
trt_async(int, ordered)
{
    trt_body {
        for (self->i = 0; self->i < 500; self->i++)
            trt_spawn_in(&self->set, later, .after = trt_us(100) * ((self->i * 37) % 500) + 1, .value = (self->i * 37) % 500);
        for (self->i = 0; self->i < 500; self->i++) {
            trt_await(trt_join_next(&self->set, &self->out));
            CHECK_EQ(self->out, self->i);
        }
    }
}

TEST(timers_fire_in_the_order_of_their_deadlines)
{
    CHECK_EQ(trt_run_with(&on_virtual_clock, ordered, NULL), TRT_OK);
}

/* A hundred thousand timers with random deadlines: each wakes exactly on time and after all that were due before it. */
static trt_instant *due, *sorted;
static size_t woken;
struct oracle_timer { size_t i; };
trt_async(int, oracle_timer)
{
    trt_body {
        trt_await(trt_sleep_until(due[self->i]));
        if (trt_now() != due[self->i] || sorted[woken] != due[self->i])
            CHECK_EQ(trt_now(), sorted[woken]);
        woken++;
    }
}
static int by_time(const void *a, const void *b)
{
    trt_instant x = *(const trt_instant *)a, y = *(const trt_instant *)b;
    return (x > y) - (x < y);
}
struct oracle { size_t i, n; uint64_t seed; };
trt_async(int, oracle)
{
    trt_body {
        for (self->i = 0; self->i < self->n; self->i++) {
            /* every level of a wheel: from microseconds to centuries */
            unsigned bits = 16 + (unsigned)(harness_random(&self->seed) % 46);
            due[self->i] = trt_now() + 1 + (trt_instant)(harness_random(&self->seed) >> (64 - bits));
        }
        memcpy(sorted, due, self->n * sizeof *due);
        qsort(sorted, self->n, sizeof *sorted, by_time);
        for (self->i = 0; self->i < self->n; self->i++)
            if (trt_spawn_detached(oracle_timer, .i = self->i) != TRT_OK)
                CHECK(false);
        trt_await(trt_sleep_until(INT64_MAX - 1));
        CHECK_EQ(woken, self->n);
    }
}

TEST_WITHIN(60, random_timers_agree_with_a_sorted_list)
{
    size_t n = (size_t)ROUNDS(100000);
    due = calloc(n, sizeof *due);
    sorted = calloc(n, sizeof *sorted);
    CHECK_EQ(trt_run_with(&on_virtual_clock, oracle, NULL, .n = n, .seed = 4711), TRT_OK);
    free(due);
    free(sorted);
}

struct same_time { trt_join_set(later) set; trt_instant start; int i; };
trt_async(int, same_time)
{
    trt_body {
        self->start = trt_now();
        for (self->i = 0; self->i < 1000; self->i++)
            trt_spawn_in(&self->set, later, .after = trt_ms(5));
        for (self->i = 0; self->i < 1000; self->i++) {
            trt_await(trt_join_next(&self->set, NULL));
            CHECK_EQ(trt_now() - self->start, trt_ms(5));
        }
    }
}

TEST(timers_of_the_same_moment_all_fire_at_it)
{
    CHECK_EQ(trt_run_with(&on_virtual_clock, same_time, NULL), TRT_OK);
}

/* ---- cancel ---- */

struct cancels { trt_handle(later) *h; long i, n; int out; trt_instant start; trt_metrics_info m; };
trt_async(int, cancels)
{
    trt_body {
        self->start = trt_now();
        for (self->i = 0; self->i < self->n; self->i++)
            self->h[self->i] = trt_spawn(later, .after = trt_us(10) * (1 + self->i * 7919 % self->n), .value = (int)self->i);
        trt_await(trt_yield());
        trt_await(trt_sleep(1)); /* all of them sleep now */
        for (self->i = 0; self->i < self->n; self->i++)
            if (self->i % 3)
                trt_abort(self->h[self->i]);
        for (self->i = 0; self->i < self->n; self->i++) {
            if (self->i % 3 == 0)
                continue;
            trt_await(trt_join(self->h[self->i], &self->out));
            CHECK_EQ(trt_status(), TRT_CANCELLED);
        }
        CHECK_EQ(trt_now() - self->start, 1);
        trt_metrics(trt_current(), &self->m);
        CHECK_EQ(self->m.timers_waiting, (self->n + 2) / 3);
        for (self->i = 0; self->i < self->n; self->i += 3) {
            trt_await(trt_join(self->h[self->i], &self->out));
            CHECK_EQ(trt_status(), TRT_OK);
            CHECK_EQ(self->out, self->i);
            CHECK(trt_now() - self->start >= trt_us(10) * (1 + self->i * 7919 % self->n));
        }
        CHECK_EQ(trt_now() - self->start <= trt_us(10) * self->n, true);
        trt_metrics(trt_current(), &self->m);
        CHECK_EQ(self->m.timers_waiting, 0);
    }
}

TEST(cancelled_timers_are_gone_and_the_others_fire)
{
    long n = ROUNDS(20000);
    trt_handle(later) *h = calloc((size_t)n, sizeof *h);
    CHECK_EQ(trt_run_with(&on_virtual_clock, cancels, NULL, .n = n, .h = h), TRT_OK);
    free(h);
}

struct remote_cancel { trt_handle(later) h[64]; long i, round, rounds; int out; };
trt_async(int, remote_cancel)
{
    trt_body {
        for (self->round = 0; self->round < self->rounds; self->round++) {
            for (self->i = 0; self->i < 64; self->i++)
                self->h[self->i] = trt_spawn(later, .after = trt_us(self->i % 8 ? 1000000 : 50), .value = (int)self->i);
            if (self->round % 2)
                trt_await(trt_sleep(trt_us(60)));
            for (self->i = 0; self->i < 64; self->i++)
                trt_abort(self->h[self->i]);
            for (self->i = 0; self->i < 64; self->i++) {
                trt_await(trt_join(self->h[self->i], &self->out));
                CHECK(trt_status() == TRT_CANCELLED || (trt_status() == TRT_OK && self->i % 8 == 0 && self->out == self->i));
            }
        }
    }
}

TEST(timers_may_be_cancelled_from_other_workers)
{
    CHECK_EQ(trt_run_with(&on_four_workers, remote_cancel, NULL, .rounds = ROUNDS(500)), TRT_OK);
}

/* ---- intervals ---- */

struct ticks { trt_missed_ticks missed; trt_interval iv; trt_instant start, at[8]; int i; };
trt_async(int, ticks)
{
    trt_body {
        self->start = trt_now();
        CHECK_EQ(trt_interval_init(&self->iv, trt_ms(10), self->missed), TRT_OK);
        trt_await(trt_tick(&self->iv)); /* the first at once */
        CHECK_EQ(trt_status(), TRT_OK);
        CHECK_EQ(trt_now(), self->start);
        trt_await(trt_tick(&self->iv));
        CHECK_EQ(trt_now() - self->start, trt_ms(10));
        trt_await(trt_sleep(trt_ms(4))); /* work that takes less than the period */
        trt_await(trt_tick(&self->iv));
        CHECK_EQ(trt_now() - self->start, trt_ms(20));
        trt_await(trt_sleep(trt_ms(25))); /* 45: the ticks of 30 and 40 are late */
        for (self->i = 0; self->i < 5; self->i++) {
            trt_await(trt_tick(&self->iv));
            self->at[self->i] = trt_now() - self->start;
        }
        CHECK_EQ(self->at[0], trt_ms(45));
        if (self->missed == TRT_BURST) {
            CHECK_EQ(self->at[1], trt_ms(45));
            CHECK_EQ(self->at[2], trt_ms(50));
            CHECK_EQ(self->at[3], trt_ms(60));
        } else if (self->missed == TRT_DELAY) {
            CHECK_EQ(self->at[1], trt_ms(55));
            CHECK_EQ(self->at[2], trt_ms(65));
            CHECK_EQ(self->at[3], trt_ms(75));
        } else {
            CHECK_EQ(self->at[1], trt_ms(50));
            CHECK_EQ(self->at[2], trt_ms(60));
            CHECK_EQ(self->at[3], trt_ms(70));
        }
    }
}

TEST(a_missed_tick_bursts) { CHECK_EQ(trt_run_with(&on_virtual_clock, ticks, NULL, .missed = TRT_BURST), TRT_OK); }
TEST(a_missed_tick_delays) { CHECK_EQ(trt_run_with(&on_virtual_clock, ticks, NULL, .missed = TRT_DELAY), TRT_OK); }
TEST(a_missed_tick_is_skipped) { CHECK_EQ(trt_run_with(&on_virtual_clock, ticks, NULL, .missed = TRT_SKIP), TRT_OK); }

struct tick_loses { trt_interval iv; trt_instant start; int ticks, others; };
trt_async(int, tick_loses)
{
    trt_body {
        self->start = trt_now();
        CHECK_EQ(trt_interval_init(&self->iv, trt_ms(10), TRT_BURST), TRT_OK);
        while (self->ticks < 20) {
            trt_await_any(trt_tick(&self->iv), trt_sleep(trt_ms(3)));
            if (trt_chosen() == 0) {
                CHECK_EQ(trt_now() - self->start, self->ticks * trt_ms(10));
                self->ticks++;
            } else
                self->others++;
        }
        CHECK(self->others > 50);
    }
}

TEST(a_tick_that_loses_is_not_lost) { CHECK_EQ(trt_run_with(&on_virtual_clock, tick_loses, NULL), TRT_OK); }

TEST(an_interval_needs_a_period)
{
    trt_interval iv = {0};
    capture_start();
    CHECK_EQ(trt_interval_init(&iv, 0, TRT_BURST), TRT_MISUSE);
    CHECK_EQ(trt_interval_init(&iv, -trt_s(1), TRT_BURST), TRT_MISUSE);
    const char *text = capture_end();
    CHECK(strlen(text) > 0);
    CHECK_EQ(trt_interval_init(&iv, 1, TRT_BURST), TRT_OK);
}

/* ---- advance ---- */

struct advances { trt_handle(later) a, b, c; trt_instant start; int out; };
trt_async(int, advances)
{
    trt_body {
        self->start = trt_now();
        self->a = trt_spawn(later, .after = trt_ms(10), .value = 1);
        self->b = trt_spawn(later, .after = trt_ms(20), .value = 2);
        self->c = trt_spawn(later, .after = trt_s(100), .value = 3);
        trt_await(trt_sleep(0));
        trt_await(trt_yield()); /* they sleep now */
        CHECK_EQ(trt_now(), self->start);
        trt_await(trt_advance(trt_ms(15)));
        CHECK_EQ(trt_status(), TRT_OK);
        CHECK_EQ(trt_now() - self->start, trt_ms(15));
        trt_await(trt_join(self->a, &self->out));
        CHECK_EQ(self->out, 1);
        CHECK_EQ(trt_now() - self->start, trt_ms(15)); /* it had been due */
        CHECK(!trt_is_finished(self->b));
        trt_await(trt_advance(trt_ms(5)));
        CHECK_EQ(trt_now() - self->start, trt_ms(20));
        trt_await(trt_join(self->b, &self->out));
        CHECK_EQ(self->out, 2);
        CHECK_EQ(trt_now() - self->start, trt_ms(20));
        CHECK(!trt_is_finished(self->c));
        trt_await(trt_advance(trt_s(1000)));
        CHECK_EQ(trt_now() - self->start, trt_s(1000) + trt_ms(20));
        trt_await(trt_join(self->c, &self->out));
        CHECK_EQ(self->out, 3);
        CHECK_EQ(trt_now() - self->start, trt_s(1000) + trt_ms(20));
    }
}

TEST(advance_moves_the_virtual_clock_and_fires_what_is_due)
{
    CHECK_EQ(trt_run_with(&on_virtual_clock, advances, NULL), TRT_OK);
}

/* Also where it is one of several operations, it lets run what it made ready. */
struct wakes_at { trt_duration after; bool *woken; };
trt_async(int, wakes_at)
{
    trt_body {
        trt_await(trt_sleep(self->after));
        *self->woken = true;
    }
}

struct advances_inside { bool woken[5]; trt_handle(wakes_at) tasks[5]; int i; trt_notify never; trt_instant start; };
trt_async(int, advances_inside)
{
    trt_body {
        self->start = trt_now();
        for (int i = 0; i < 5; i++)
            self->tasks[i] = trt_spawn(wakes_at, .after = trt_ms(10 * i + 5), .woken = &self->woken[i]);
        trt_await(trt_yield());
        trt_await(trt_yield());
        trt_await_any(trt_advance(trt_ms(10)), trt_notified(&self->never));
        CHECK_EQ(trt_status(), TRT_OK);
        CHECK_EQ(trt_chosen(), 0);
        CHECK(self->woken[0] && !self->woken[1]);
        trt_await_all(trt_advance(trt_ms(10)), trt_sleep(0));
        CHECK_EQ(trt_status(), TRT_OK);
        CHECK(self->woken[1] && !self->woken[2]);
        trt_await(trt_within(trt_s(1), trt_advance(trt_ms(10))));
        CHECK_EQ(trt_status(), TRT_OK);
        CHECK(self->woken[2] && !self->woken[3]);
        trt_await(trt_within(trt_ms(1), trt_advance(trt_ms(10)))); /* it is over before it is late */
        CHECK_EQ(trt_status(), TRT_OK);
        CHECK(self->woken[3] && !self->woken[4]);
        trt_await_all(trt_within(trt_s(1), trt_advance(trt_ms(10))), trt_sleep(0));
        CHECK_EQ(trt_status(), TRT_OK);
        CHECK(self->woken[4]);
        CHECK_EQ(trt_now() - self->start, trt_ms(50));
        for (self->i = 0; self->i < 5; self->i++) trt_await(trt_join(self->tasks[self->i], NULL));
    }
}

TEST(advance_inside_a_group_lets_others_run)
{
    CHECK_EQ(trt_run_with(&on_virtual_clock, advances_inside, NULL), TRT_OK);
}

struct advances_real { trt_void none; };
trt_async(int, advances_real)
{
    trt_body {
        trt_await(trt_advance(trt_ms(15)));
        CHECK_EQ(trt_status(), TRT_MISUSE);
    }
}

TEST(advance_on_the_real_clock_is_misuse)
{
    capture_start();
    trt_status_code status = trt_run(advances_real, NULL);
    const char *text = capture_end();
    CHECK_EQ(status, TRT_OK);
    CHECK(strlen(text) > 0);
}

struct held_back { trt_handle(busy_job) h; atomic_bool running, release; trt_instant start; };
static void *lets_go_later(void *release)
{
    for (int i = 0; i < 50; i++)
        harness_pause();
    atomic_store((atomic_bool *)release, true);
    return NULL;
}
trt_async(int, held_back)
{
    trt_body {
        pthread_t thread;
        self->h = trt_spawn_blocking(busy_job, .running = &self->running, .release = &self->release);
        AWAIT_UNTIL(atomic_load(&self->running));
        self->start = trt_now();
        pthread_create(&thread, NULL, lets_go_later, &self->release);
        pthread_detach(thread);
        trt_await(trt_sleep(trt_s(3600)));
        CHECK(atomic_load(&self->release)); /* the clock did not jump while the job ran */
        CHECK_EQ(trt_now() - self->start, trt_s(3600));
        trt_await_ok(trt_join(self->h, NULL));
    }
}

TEST(a_running_job_holds_the_virtual_clock_back)
{
    CHECK_EQ(trt_run_with(&on_virtual_clock, held_back, NULL), TRT_OK);
}

struct busy_yielder { int *turns; };
trt_async(int, busy_yielder)
{
    trt_body {
        for (; *self->turns < 1000; ++*self->turns)
            trt_await(trt_yield());
    }
}
struct ready_first { int turns; trt_handle(busy_yielder) h; trt_instant start; };
trt_async(int, ready_first)
{
    trt_body {
        self->start = trt_now();
        self->h = trt_spawn(busy_yielder, .turns = &self->turns);
        trt_await(trt_sleep(1));
        CHECK_EQ(self->turns, 1000); /* as long as a task is ready the clock stands still */
        CHECK_EQ(trt_now() - self->start, 1);
        trt_await_ok(trt_join(self->h, NULL));
    }
}

TEST(the_virtual_clock_jumps_only_when_nothing_is_ready)
{
    CHECK_EQ(trt_run_with(&on_virtual_clock, ready_first, NULL), TRT_OK);
}

struct timer_load { trt_join_set(never_early) set; trt_handle(busy_yielder) h; int turns, i; };
trt_async(int, timer_load)
{
    trt_body {
        self->turns = INT32_MIN; /* yields for ever */
        self->h = trt_spawn(busy_yielder, .turns = &self->turns);
        for (self->i = 0; self->i < 20; self->i++)
            trt_spawn_in(&self->set, never_early);
        for (self->i = 0; self->i < 20; self->i++)
            trt_await(trt_join_next(&self->set, NULL));
        trt_await(trt_stop(self->h));
    }
}

TEST(timers_fire_under_any_load)
{
    CHECK_EQ(trt_run_with(&on_one_thread, timer_load, NULL), TRT_OK);
    CHECK_EQ(trt_run_with(&on_one_worker, timer_load, NULL), TRT_OK);
}

/* Some come to the last instant from an earlier one; what is left of its slot then must not be overtaken. */
struct in_line { int i; trt_instant first, then; int *next; };
trt_async(int, in_line)
{
    trt_body {
        if (self->first) trt_await(trt_sleep_until(self->first));
        trt_await(trt_sleep_until(self->then));
        CHECK_EQ(self->i, (*self->next)++);
    }
}
struct line { bool two_steps; trt_instant then; int i, next; trt_handle(in_line) h[100]; };
trt_async(int, line)
{
    trt_body {
        self->then = trt_now() + (self->two_steps ? 500 : trt_ms(80));
        for (self->i = 0; self->i < 100; self->i++)
            self->h[self->i] = trt_spawn(in_line, .i = self->i, .then = self->then, .next = &self->next,
                                         .first = self->two_steps && self->i >= 50 ? self->then - 400 : 0);
        for (self->i = 0; self->i < 100; self->i++) trt_await(trt_join(self->h[self->i], NULL));
        CHECK_EQ(self->next, 100);
    }
}

TEST(timers_of_one_instant_fire_in_the_order_in_which_they_began)
{
    CHECK_EQ(trt_run_with(&on_virtual_clock, line, NULL), TRT_OK);
    CHECK_EQ(trt_run_with(&on_virtual_clock, line, NULL, .two_steps = true), TRT_OK);
    CHECK_EQ(trt_run_with(&on_one_thread, line, NULL), TRT_OK);
}

struct advances_to_the_end { trt_frame(later) l; trt_handle(later) h; int out; };
trt_async(int, advances_to_the_end)
{
    trt_body {
        trt_await(trt_advance(INT64_MAX - trt_now() - trt_s(1)));
        CHECK_EQ(trt_status(), TRT_OK);
        self->h = trt_spawn(later, .after = trt_ms(5), .value = 3);
        trt_await(trt_advance(INT64_MAX)); /* no further than the end of time */
        CHECK_EQ(trt_status(), TRT_OK);
        trt_await(trt_join(self->h, &self->out));
        CHECK_EQ(self->out, 3);
    }
}

TEST(the_virtual_clock_may_be_advanced_to_the_end_of_time)
{
    CHECK_EQ(trt_run_with(&on_virtual_clock, advances_to_the_end, NULL), TRT_OK);
}

int main(int argc, char **argv) { return harness_main(argc, argv); }
