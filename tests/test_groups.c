/* any, all, try_all and deadlines: who wins, what becomes of the losers. */
#include "harness.h"
#define TASKRT_IMPLEMENTATION
#include "../taskrt.h"
#include "common.h"

typedef trt_channel(int) ints;

struct first_wins { trt_instant start; trt_frame(later) a, b; };
trt_async(int, first_wins)
{
    trt_body {
        self->start = trt_now();
        trt_await_any(trt_sleep(trt_ms(30)), trt_sleep(trt_ms(10)), trt_sleep(trt_ms(20)));
        CHECK_EQ(trt_chosen(), 1);
        CHECK_EQ(trt_status(), TRT_OK);
        CHECK_EQ(trt_now() - self->start, trt_ms(10));
        trt_await_any(trt_call(later, &self->a, .after = trt_ms(5), .value = 4), trt_call(later, &self->b, .after = trt_ms(7), .value = 5));
        CHECK_EQ(trt_chosen(), 0);
        CHECK_EQ(self->a.out, 4);
        CHECK_EQ(trt_now() - self->start, trt_ms(15));
        trt_await_any_biased(trt_sleep_until(INT64_MAX), trt_sleep(trt_ms(1)));
        CHECK_EQ(trt_chosen(), 1);
    }
}

TEST(any_ends_with_the_first_that_completes)
{
    CHECK_EQ(trt_run_with(&on_virtual_clock, first_wins, NULL), TRT_OK);
}

struct statuses { trt_frame(failing) f; trt_handle(later) zero; trt_frame(later) l; int out; };
trt_async(int, statuses)
{
    trt_body {
        trt_await_any(trt_call(failing, &self->f, .after = trt_ms(1), .status = TRT_CLOSED), trt_sleep(trt_ms(5)));
        CHECK_EQ(trt_chosen(), 0);
        CHECK_EQ(trt_status(), TRT_CLOSED); /* the winner's */
        trt_await_any(trt_sleep(trt_ms(1)), trt_join(self->zero, &self->out));
        CHECK_EQ(trt_chosen(), 1);
        CHECK_EQ(trt_status(), TRT_MISUSE);
    }
}

TEST(the_status_of_any_is_the_winners)
{
    capture_start();
    trt_status_code status = trt_run_with(&on_virtual_clock, statuses, NULL);
    capture_end();
    CHECK_EQ(status, TRT_OK);
}

struct fairness { trt_semaphore s; trt_permit a, b, c; int i, wins[3]; };
trt_async(int, fairness)
{
    trt_body {
        trt_semaphore_init(&self->s, 3);
        for (self->i = 0; self->i < 600; self->i++) {
            trt_await_any(trt_acquire(&self->s, &self->a), trt_acquire(&self->s, &self->b), trt_acquire(&self->s, &self->c));
            CHECK(trt_chosen() >= 0 && trt_chosen() < 3);
            self->wins[trt_chosen()]++;
            CHECK_EQ(trt_available_permits(&self->s), 2); /* the losers took nothing */
            trt_release(&self->a);
            trt_release(&self->b);
            trt_release(&self->c);
        }
        CHECK(self->wins[0] > 60);
        CHECK(self->wins[1] > 60);
        CHECK(self->wins[2] > 60);
        for (self->i = 0; self->i < 600; self->i++) {
            trt_await_any_biased(trt_acquire(&self->s, &self->a), trt_acquire(&self->s, &self->b));
            CHECK_EQ(trt_chosen(), 0);
            trt_release(&self->a);
        }
        CHECK_EQ(trt_available_permits(&self->s), 3);
    }
}

TEST(any_starts_fairly_and_any_biased_with_the_first)
{
    CHECK_EQ(trt_run_with(&on_virtual_clock, fairness, NULL), TRT_OK);
}

struct sixteen { trt_instant start; int i; trt_metrics_info m; };
trt_async(int, sixteen)
{
    trt_body {
        self->start = trt_now();
        trt_await_any(trt_sleep(trt_s(1)), trt_sleep(trt_s(2)), trt_sleep(trt_s(3)), trt_sleep(trt_s(4)), trt_sleep(trt_s(5)),
                      trt_sleep(trt_s(6)), trt_sleep(trt_s(7)), trt_sleep(trt_s(8)), trt_sleep(trt_s(9)), trt_sleep(trt_s(10)),
                      trt_sleep(trt_s(11)), trt_sleep(trt_s(12)), trt_sleep(trt_s(13)), trt_sleep(trt_s(14)),
                      trt_sleep(trt_s(15)), trt_sleep(trt_ms(1)));
        CHECK_EQ(trt_chosen(), 15);
        CHECK_EQ(trt_now() - self->start, trt_ms(1));
        trt_metrics(trt_current(), &self->m);
        CHECK_EQ(self->m.timers_waiting, 0); /* the losers are unlinked */
        trt_await_all(trt_sleep(1), trt_sleep(2), trt_sleep(3), trt_sleep(4), trt_sleep(5), trt_sleep(6), trt_sleep(7), trt_sleep(8),
                      trt_sleep(9), trt_sleep(10), trt_sleep(11), trt_sleep(12), trt_sleep(13), trt_sleep(14), trt_sleep(15),
                      trt_sleep(trt_s(1)));
        CHECK_EQ(trt_status(), TRT_OK);
        CHECK_EQ(trt_now() - self->start, trt_ms(1001));
        for (self->i = 0; self->i < 16; self->i++)
            CHECK_EQ(trt_status_of(self->i), TRT_OK);
    }
}

TEST(a_group_may_have_sixteen_members_and_unlinks_the_losers)
{
    CHECK_EQ(trt_run_with(&on_virtual_clock, sixteen, NULL), TRT_OK);
}

/* ---- losing children ---- */

struct loses { trt_duration linger; int *cleaned; };
trt_async(int, loses)
{
    trt_body { trt_await(trt_sleep_until(INT64_MAX)); }
    trt_cleanup {
        CHECK_EQ(trt_status(), TRT_CANCELLED);
        trt_await(trt_sleep(self->linger));
        ++*self->cleaned;
    }
}
struct loses_nested { trt_frame(loses) child; trt_duration linger; int *cleaned; };
trt_async(int, loses_nested)
{
    trt_body { trt_await(trt_call(loses, &self->child, .linger = self->linger, .cleaned = self->cleaned)); }
    trt_cleanup { ++*self->cleaned; }
}

struct losers_clean_up { trt_frame(loses) a; trt_frame(loses_nested) b; int cleaned; trt_instant start; };
trt_async(int, losers_clean_up)
{
    trt_body {
        self->start = trt_now();
        trt_await_any(trt_call(loses, &self->a, .linger = trt_ms(10), .cleaned = &self->cleaned),
                      trt_call(loses_nested, &self->b, .linger = trt_ms(25), .cleaned = &self->cleaned), trt_sleep(trt_ms(5)));
        CHECK_EQ(trt_chosen(), 2);
        CHECK_EQ(trt_status(), TRT_OK);
        CHECK_EQ(self->cleaned, 3);
        CHECK_EQ(trt_now() - self->start, trt_ms(30)); /* both at once, the slower one counts */
        /* the frames may be used again */
        self->cleaned = 0;
        trt_await_any(trt_call(loses, &self->a, .linger = 1, .cleaned = &self->cleaned), trt_yield());
        CHECK_EQ(trt_chosen(), 1);
        CHECK_EQ(self->cleaned, 1);
    }
}

TEST(losing_children_have_cleaned_up_before_any_ends)
{
    CHECK_EQ(trt_run_with(&on_virtual_clock, losers_clean_up, NULL), TRT_OK);
    CHECK_EQ(trt_run_with(&on_virtual_clock, losers_clean_up, NULL), TRT_OK);
}

struct group_owner { trt_frame(loses) a; int *cleaned; };
trt_async(int, group_owner)
{
    trt_body {
        trt_await_any(trt_call(loses, &self->a, .linger = trt_ms(3), .cleaned = self->cleaned), trt_sleep_until(INT64_MAX));
        letter('x');
    }
    trt_cleanup {
        CHECK_EQ(trt_status(), TRT_CANCELLED);
        CHECK_EQ(*self->cleaned, 1);
        ++*self->cleaned;
    }
}
struct aborts_group { trt_handle(group_owner) h; int cleaned; trt_instant start; };
trt_async(int, aborts_group)
{
    trt_body {
        self->h = trt_spawn(group_owner, .cleaned = &self->cleaned);
        trt_await(trt_sleep(trt_ms(1)));
        self->start = trt_now();
        trt_abort(self->h);
        trt_await(trt_join(self->h, NULL));
        CHECK_EQ(trt_status(), TRT_CANCELLED);
        CHECK_EQ(self->cleaned, 2);
        CHECK_EQ(trt_now() - self->start, trt_ms(3));
    }
}

TEST(abort_while_in_any_ends_the_children_before_the_parents_cleanup)
{
    CHECK_EQ(trt_run_with(&on_virtual_clock, aborts_group, NULL), TRT_OK);
    CHECK_STR(letters, "");
}

struct group_panics { trt_frame(panicking) a; trt_frame(loses) b; int *cleaned; };
trt_async(int, group_panics)
{
    trt_body {
        trt_await_any(trt_call(panicking, &self->a, .after = trt_ms(2)), trt_call(loses, &self->b, .linger = trt_ms(1), .cleaned = self->cleaned));
        letter('x');
    }
    trt_cleanup {
        CHECK_EQ(trt_status(), TRT_PANICKED);
        CHECK_EQ(*self->cleaned, 1); /* the other child ended first */
    }
}

TEST(a_childs_panic_in_any_is_the_callers)
{
    int cleaned = 0;
    capture_start();
    trt_status_code status = trt_run_with(&on_virtual_clock, group_panics, NULL, .cleaned = &cleaned);
    capture_end();
    CHECK_EQ(status, TRT_PANICKED);
    CHECK_EQ(cleaned, 1);
    CHECK_STR(letters, "");
}

/* ---- losers lose nothing ---- */

struct sender { ints *c; int n, i; trt_duration gap; };
trt_async(int, sender)
{
    trt_body {
        for (self->i = 0; self->i < self->n; self->i++) {
            if (self->gap)
                trt_await(trt_sleep(self->gap));
            else
                trt_await(trt_yield());
            trt_await_ok(trt_send(self->c, &self->i));
        }
        trt_channel_close(self->c);
    }
}
struct receives_all { ints c; int out, expected, ticks, n; trt_interval iv; trt_handle(sender) h; };
trt_async(int, receives_all)
{
    trt_body {
        trt_channel_init(&self->c, 2);
        self->h = trt_spawn(sender, .c = &self->c, .n = self->n, .gap = trt_us(700));
        trt_interval_init(&self->iv, trt_us(500), TRT_BURST);
        for (;;) {
            trt_await_any(trt_recv(&self->c, &self->out), trt_tick(&self->iv), trt_sleep(trt_us(300)));
            if (trt_chosen() != 0) {
                self->ticks++;
                continue;
            }
            if (trt_status() == TRT_CLOSED)
                break;
            CHECK_EQ(self->out, self->expected);
            self->expected++;
        }
        CHECK(self->ticks > self->n);
        trt_await_ok(trt_join(self->h, NULL));
        trt_return(self->expected);
    }
    trt_cleanup {
        trt_await(trt_stop(self->h));
        trt_channel_free(&self->c);
    }
}

TEST(a_losing_recv_loses_no_message)
{
    int out = 0;
    CHECK_EQ(trt_run_with(&on_virtual_clock, receives_all, &out, .n = 2000), TRT_OK);
    CHECK_EQ(out, 2000);
}

struct two_channels { ints a, b; int oa, ob, na, nb; trt_handle(sender) ha, hb; };
trt_async(int, two_channels)
{
    trt_body {
        trt_channel_init(&self->a, 1);
        trt_channel_init(&self->b, 4);
        self->ha = trt_spawn(sender, .c = &self->a, .n = 3000);
        self->hb = trt_spawn(sender, .c = &self->b, .n = 3000);
        while (self->na + self->nb < 6000) {
            trt_await_any(trt_recv(&self->a, &self->oa), trt_recv(&self->b, &self->ob));
            if (trt_status() == TRT_CLOSED) {
                if (trt_chosen() == 0) {
                    for (; self->nb < 3000; self->nb++) {
                        trt_await_ok(trt_recv(&self->b, &self->ob));
                        CHECK_EQ(self->ob, self->nb);
                    }
                } else {
                    for (; self->na < 3000; self->na++) {
                        trt_await_ok(trt_recv(&self->a, &self->oa));
                        CHECK_EQ(self->oa, self->na);
                    }
                }
                break;
            }
            if (trt_chosen() == 0)
                CHECK_EQ(self->oa, self->na++);
            else
                CHECK_EQ(self->ob, self->nb++);
        }
        CHECK_EQ(self->na, 3000);
        CHECK_EQ(self->nb, 3000);
        trt_await_ok(trt_join(self->ha, NULL));
        trt_await_ok(trt_join(self->hb, NULL));
    }
    trt_cleanup {
        trt_await(trt_stop(self->ha));
        trt_await(trt_stop(self->hb));
        trt_channel_free(&self->a);
        trt_channel_free(&self->b);
    }
}

TEST(any_over_two_channels_loses_no_message)
{
    CHECK_EQ(trt_run_with(&on_virtual_clock, two_channels, NULL), TRT_OK);
    CHECK_EQ(trt_run_with(&on_two_workers, two_channels, NULL), TRT_OK);
    CHECK_EQ(trt_run_with(&on_four_workers, two_channels, NULL), TRT_OK);
}

struct losing_acquire { trt_semaphore s; trt_permit held, mine; trt_mutex m; trt_guard g, g2; int i; };
trt_async(int, losing_acquire)
{
    trt_body {
        trt_semaphore_init(&self->s, 1);
        trt_await(trt_acquire(&self->s, &self->held));
        trt_await(trt_lock(&self->m, &self->g));
        for (self->i = 0; self->i < 100; self->i++) {
            trt_await_any(trt_acquire(&self->s, &self->mine), trt_lock(&self->m, &self->g2), trt_sleep(trt_us(10)));
            CHECK_EQ(trt_chosen(), 2);
        }
        trt_release(&self->held);
        trt_unlock(&self->g);
        CHECK_EQ(trt_available_permits(&self->s), 1);
        CHECK(trt_try_lock(&self->m, &self->g2));
        trt_unlock(&self->g2);
    }
}

TEST(a_losing_acquire_takes_nothing)
{
    CHECK_EQ(trt_run_with(&on_virtual_clock, losing_acquire, NULL), TRT_OK);
}

/* ---- blocking jobs in groups ---- */

struct until { atomic_bool *flag; };
trt_async(int, until)
{
    trt_body { AWAIT_UNTIL(atomic_load(self->flag)); }
}
struct blocking_loses { trt_job(busy_job) a, b; trt_frame(until) u; atomic_bool running, release; int i; };
trt_async(int, blocking_loses)
{
    trt_body {
        trt_await_any(trt_blocking(busy_job, &self->a, .obeys = true, .running = &self->running, .value = 3), trt_call(until, &self->u, .flag = &self->running));
        CHECK_EQ(trt_chosen(), 1); /* the job was asked to stop and has been waited for */
        atomic_store(&self->release, true);
        trt_await(trt_within(trt_ms(2), trt_blocking(busy_job, &self->a, .obeys = true, .value = 4)));
        CHECK_EQ(trt_status(), TRT_TIMED_OUT);
        atomic_store(&self->running, true); /* the first job may have lost before a thread took it */
        trt_await_any_biased(trt_sleep_until(INT64_MAX), trt_blocking(busy_job, &self->b, .release = &self->release, .value = 5));
        CHECK_EQ(trt_chosen(), 1);
        CHECK_EQ(trt_status(), TRT_OK);
        CHECK_EQ(self->b.out, 5);
    }
}

TEST(a_losing_blocking_job_is_asked_to_stop_and_waited_for)
{
    CHECK_EQ(trt_run_with(&on_two_workers, blocking_loses, NULL), TRT_OK);
}

struct queued_loses { trt_job(busy_job) a; trt_handle(busy_job) first; atomic_bool running, release, ran; };
trt_async(int, queued_loses)
{
    trt_body {
        self->first = trt_spawn_blocking(busy_job, .running = &self->running, .release = &self->release);
        AWAIT_UNTIL(atomic_load(&self->running));
        trt_await_any(trt_blocking(busy_job, &self->a, .running = &self->ran, .obeys = true), trt_sleep(trt_ms(2)));
        CHECK_EQ(trt_chosen(), 1);
        atomic_store(&self->release, true);
        trt_await_ok(trt_join(self->first, NULL));
        CHECK(!atomic_load(&self->ran)); /* it was skipped */
    }
}

TEST(a_losing_blocking_job_that_is_queued_is_skipped)
{
    CHECK_EQ(trt_run_with((&(trt_config){.workers = 1, .max_blocking_threads = 1}), queued_loses, NULL), TRT_OK);
}

/* ---- all and try_all ---- */

struct all_of_them { trt_frame(failing) f[3]; trt_frame(later) l; trt_instant start; };
trt_async(int, all_of_them)
{
    trt_body {
        self->start = trt_now();
        trt_await_all(trt_call(later, &self->l, .after = trt_ms(10), .value = 6), trt_sleep(trt_ms(4)));
        CHECK_EQ(trt_status(), TRT_OK);
        CHECK_EQ(self->l.out, 6);
        CHECK_EQ(trt_now() - self->start, trt_ms(10));

        self->start = trt_now();
        trt_await_all(trt_call(failing, &self->f[0], .after = trt_ms(9), .status = TRT_CLOSED), trt_sleep(trt_ms(20)),
                      trt_call(failing, &self->f[1], .after = trt_ms(1), .status = TRT_FULL));
        CHECK_EQ(trt_now() - self->start, trt_ms(20)); /* waits for all */
        CHECK_EQ(trt_status(), TRT_CLOSED);            /* the first in order */
        CHECK_EQ(trt_chosen(), 0);
        CHECK_EQ(trt_status_of(0), TRT_CLOSED);
        CHECK_EQ(trt_status_of(1), TRT_OK);
        CHECK_EQ(trt_status_of(2), TRT_FULL);
    }
}

TEST(all_waits_for_all_and_tells_the_first_failure_in_order)
{
    CHECK_EQ(trt_run_with(&on_virtual_clock, all_of_them, NULL), TRT_OK);
}

struct try_them { trt_frame(failing) f[3]; trt_frame(later) l; trt_frame(loses) slow; int cleaned; trt_instant start; };
trt_async(int, try_them)
{
    trt_body {
        self->start = trt_now();
        trt_await_try_all(trt_call(later, &self->l, .after = trt_ms(10), .value = 6), trt_sleep(trt_ms(4)));
        CHECK_EQ(trt_status(), TRT_OK);
        CHECK_EQ(trt_now() - self->start, trt_ms(10));

        self->start = trt_now();
        trt_await_try_all(trt_call(failing, &self->f[0], .after = trt_ms(9), .status = TRT_CLOSED), trt_sleep(trt_us(10)),
                          trt_call(loses, &self->slow, .linger = trt_ms(5), .cleaned = &self->cleaned),
                          trt_call(failing, &self->f[1], .after = trt_ms(1), .status = TRT_FULL));
        CHECK_EQ(trt_status(), TRT_FULL);
        CHECK_EQ(trt_chosen(), 3);
        CHECK_EQ(self->cleaned, 1);
        CHECK_EQ(trt_now() - self->start, trt_ms(6));
        CHECK_EQ(trt_status_of(0), TRT_CANCELLED);
        CHECK_EQ(trt_status_of(1), TRT_OK);
        CHECK_EQ(trt_status_of(2), TRT_CANCELLED);
        CHECK_EQ(trt_status_of(3), TRT_FULL);
    }
}

TEST(try_all_ends_with_the_first_failure_in_time_and_cancels_the_rest)
{
    CHECK_EQ(trt_run_with(&on_virtual_clock, try_them, NULL), TRT_OK);
}

struct joins_all { trt_handle(later) h[4]; int out[4]; };
trt_async(int, joins_all)
{
    trt_body {
        self->h[0] = trt_spawn(later, .after = trt_ms(3), .value = 1);
        self->h[1] = trt_spawn(later, .after = trt_ms(1), .value = 2);
        self->h[2] = trt_spawn(later, .value = 3);
        self->h[3] = trt_spawn(later, .after = trt_ms(2), .value = 4);
        trt_await_all(trt_join(self->h[0], &self->out[0]), trt_join(self->h[1], &self->out[1]), trt_join(self->h[2], &self->out[2]),
                      trt_join(self->h[3], &self->out[3]));
        CHECK_EQ(trt_status(), TRT_OK);
        trt_return(self->out[0] + 10 * self->out[1] + 100 * self->out[2] + 1000 * self->out[3]);
    }
}

TEST(all_over_joins)
{
    int out = 0;
    CHECK_EQ(trt_run_with(&on_virtual_clock, joins_all, &out), TRT_OK);
    CHECK_EQ(out, 4321);
    CHECK_EQ(trt_run_with(&on_two_workers, joins_all, &out), TRT_OK);
    CHECK_EQ(out, 4321);
}

/* ---- deadlines ---- */

struct deadlines { trt_instant start; trt_semaphore s; trt_permit p, q; trt_frame(loses) child; trt_frame(later) l; int cleaned, out; ints c; };
trt_async(int, deadlines)
{
    trt_body {
        trt_semaphore_init(&self->s, 1);
        self->start = trt_now();
        trt_await(trt_within(trt_ms(10), trt_sleep(trt_ms(20))));
        CHECK_EQ(trt_status(), TRT_TIMED_OUT);
        CHECK_EQ(trt_now() - self->start, trt_ms(10));
        trt_await(trt_within(trt_ms(20), trt_sleep(trt_ms(10))));
        CHECK_EQ(trt_status(), TRT_OK);
        CHECK_EQ(trt_now() - self->start, trt_ms(20));
        trt_await(trt_within_until(self->start + trt_ms(25), trt_sleep_until(INT64_MAX)));
        CHECK_EQ(trt_status(), TRT_TIMED_OUT);
        CHECK_EQ(trt_now() - self->start, trt_ms(25));

        /* complete at once wins, whatever the deadline */
        trt_await(trt_within(0, trt_acquire(&self->s, &self->p)));
        CHECK_EQ(trt_status(), TRT_OK);
        trt_release(&self->p);
        trt_await(trt_within(-trt_s(1), trt_acquire(&self->s, &self->p)));
        CHECK_EQ(trt_status(), TRT_OK);
        trt_await(trt_within_until(INT64_MIN, trt_sleep(0)));
        CHECK_EQ(trt_status(), TRT_OK);
        /* and one that is not times out at once */
        trt_await(trt_within(0, trt_acquire(&self->s, &self->q)));
        CHECK_EQ(trt_status(), TRT_TIMED_OUT);
        trt_await(trt_within(-5, trt_sleep(1)));
        CHECK_EQ(trt_status(), TRT_TIMED_OUT);
        CHECK_EQ(trt_now() - self->start, trt_ms(25));
        trt_release(&self->p);
        CHECK_EQ(trt_available_permits(&self->s), 1);

        /* nested: the nearest */
        self->start = trt_now();
        trt_await(trt_within(trt_ms(5), trt_within(trt_ms(50), trt_sleep(trt_s(1)))));
        CHECK_EQ(trt_status(), TRT_TIMED_OUT);
        CHECK_EQ(trt_now() - self->start, trt_ms(5));
        trt_await(trt_within(trt_ms(50), trt_within(trt_ms(5), trt_sleep(trt_s(1)))));
        CHECK_EQ(trt_status(), TRT_TIMED_OUT);
        CHECK_EQ(trt_now() - self->start, trt_ms(10));
        trt_await(trt_within(trt_s(5), trt_within_until(self->start + trt_ms(13), trt_sleep(trt_s(1)))));
        CHECK_EQ(trt_status(), TRT_TIMED_OUT);
        CHECK_EQ(trt_now() - self->start, trt_ms(13));
        trt_await(trt_within(INT64_MAX, trt_within_until(INT64_MAX, trt_sleep(trt_ms(2)))));
        CHECK_EQ(trt_status(), TRT_OK);
        CHECK_EQ(trt_now() - self->start, trt_ms(15));

        /* a child ends before the timeout is told */
        self->start = trt_now();
        trt_await(trt_within(trt_ms(3), trt_call(loses, &self->child, .linger = trt_ms(4), .cleaned = &self->cleaned)));
        CHECK_EQ(trt_status(), TRT_TIMED_OUT);
        CHECK_EQ(self->cleaned, 1);
        CHECK_EQ(trt_now() - self->start, trt_ms(7));
        trt_await(trt_within(trt_ms(3), trt_call(later, &self->l, .after = trt_ms(2), .value = 9)));
        CHECK_EQ(trt_status(), TRT_OK);
        CHECK_EQ(self->l.out, 9);

        /* inside a group */
        self->start = trt_now();
        trt_await_any(trt_within(trt_ms(2), trt_sleep(trt_s(1))), trt_sleep(trt_ms(5)));
        CHECK_EQ(trt_chosen(), 0);
        CHECK_EQ(trt_status(), TRT_TIMED_OUT);
        CHECK_EQ(trt_now() - self->start, trt_ms(2));
        trt_await_all(trt_within(trt_ms(2), trt_sleep(trt_s(1))), trt_within(trt_ms(9), trt_sleep(trt_ms(1))));
        CHECK_EQ(trt_status(), TRT_TIMED_OUT);
        CHECK_EQ(trt_status_of(1), TRT_OK);
        CHECK_EQ(trt_now() - self->start, trt_ms(4));

        /* a deadline counts from the await */
        self->out = 77;
        trt_channel_init(&self->c, 1);
        self->start = trt_now();
        trt_await(trt_within(trt_ms(1), trt_recv(&self->c, &self->out)));
        CHECK_EQ(trt_status(), TRT_TIMED_OUT);
        CHECK_EQ(self->out, 77);
        trt_channel_free(&self->c);
    }
}

TEST(within_and_within_until_by_the_book)
{
    CHECK_EQ(trt_run_with(&on_virtual_clock, deadlines, NULL), TRT_OK);
}

struct stored_deadline { trt_op op; trt_instant start; };
trt_async(int, stored_deadline)
{
    trt_body {
        self->op = trt_within(trt_ms(10), trt_sleep(trt_s(1)));
        trt_await(trt_sleep(trt_ms(100)));
        self->start = trt_now();
        trt_await(self->op);
        CHECK_EQ(trt_status(), TRT_TIMED_OUT);
        CHECK_EQ(trt_now() - self->start, trt_ms(10));
    }
}

TEST(the_duration_of_within_counts_from_the_await)
{
    CHECK_EQ(trt_run_with(&on_virtual_clock, stored_deadline, NULL), TRT_OK);
}

struct inner_group { trt_frame(loses) c; int *cleaned; };
trt_async(int, inner_group)
{
    trt_body {
        trt_await_any(trt_call(loses, &self->c, .linger = trt_ms(1), .cleaned = self->cleaned), trt_sleep(trt_s(10)));
        trt_return(trt_chosen());
    }
    trt_cleanup { ++*self->cleaned; }
}
struct outer_group { trt_frame(inner_group) a, b; int cleaned; trt_instant start; };
trt_async(int, outer_group)
{
    trt_body {
        self->start = trt_now();
        trt_await_any(trt_call(inner_group, &self->a, .cleaned = &self->cleaned),
                      trt_within(trt_ms(5), trt_call(inner_group, &self->b, .cleaned = &self->cleaned)));
        CHECK_EQ(trt_chosen(), 1);
        CHECK_EQ(trt_status(), TRT_TIMED_OUT);
        CHECK_EQ(self->cleaned, 4);
        /* the deadline's own loser ends first (1 ms), then the other branch (1 ms) */
        CHECK(trt_now() - self->start >= trt_ms(6) && trt_now() - self->start <= trt_ms(7));
    }
}

TEST(groups_nest)
{
    CHECK_EQ(trt_run_with(&on_virtual_clock, outer_group, NULL), TRT_OK);
}

struct nested_wins { trt_frame(later) a; trt_frame(loses) b; int cleaned, i; };
trt_async(int, nested_wins)
{
    trt_body {
        for (self->i = 0; self->i < 500; self->i++) {
            self->cleaned = 0;
            trt_await_any(trt_call(later, &self->a, .after = trt_us(50), .value = self->i), trt_call(loses, &self->b, .cleaned = &self->cleaned));
            CHECK_EQ(trt_chosen(), 0);
            CHECK_EQ(self->a.out, self->i);
            CHECK_EQ(self->cleaned, 1);
        }
    }
}
struct many_nested { trt_join_set(nested_wins) set; int i; };
trt_async(int, many_nested)
{
    trt_body {
        for (self->i = 0; self->i < 16; self->i++)
            trt_spawn_in(&self->set, nested_wins);
        for (self->i = 0; self->i < 16; self->i++) {
            trt_await(trt_join_next(&self->set, NULL));
            CHECK_EQ(trt_status(), TRT_OK);
        }
    }
}

TEST(groups_of_children_on_several_workers)
{
    CHECK_EQ(trt_run_with(&on_four_workers, many_nested, NULL), TRT_OK);
}

struct deadline_race { long i, n; int out, timed_out, ok; trt_handle(later) h; };
trt_async(int, deadline_race)
{
    trt_body {
        for (self->i = 0; self->i < self->n; self->i++) {
            self->h = trt_spawn(later, .after = trt_us(100), .value = 1);
            self->out = 0;
            trt_await(trt_within(trt_us(100), trt_join(self->h, &self->out)));
            if (trt_status() == TRT_OK) {
                self->ok++;
                CHECK_EQ(self->out, 1);
            } else {
                CHECK_EQ(trt_status(), TRT_TIMED_OUT);
                CHECK_EQ(self->out, 0);
                self->timed_out++;
                trt_await(trt_join(self->h, &self->out));
                CHECK_EQ(trt_status(), TRT_OK);
                CHECK_EQ(self->out, 1);
            }
        }
        CHECK_EQ(self->ok + self->timed_out, self->n);
    }
}

TEST(a_deadline_that_races_the_result_loses_nothing)
{
    CHECK_EQ(trt_run_with(&on_two_workers, deadline_race, NULL, .n = ROUNDS(1000)), TRT_OK);
}

/* ---- yields and forks in groups ---- */

struct yields_in_groups { int i; };
trt_async(int, yields_in_groups)
{
    trt_body {
        trt_await(trt_within(trt_ms(50), trt_yield()));
        CHECK_EQ(trt_status(), TRT_OK);
        trt_await_all(trt_yield(), trt_sleep(trt_ms(1)), trt_yield());
        CHECK_EQ(trt_status(), TRT_OK);
        trt_await_any(trt_sleep_until(INT64_MAX), trt_yield());
        CHECK_EQ(trt_chosen(), 1);
        trt_await_all(trt_within(trt_ms(5), trt_yield()), trt_yield());
        CHECK_EQ(trt_status(), TRT_OK);
    }
}

TEST(a_yield_completes_in_groups_and_under_a_deadline)
{
    CHECK_EQ(trt_run_with(&on_virtual_clock, yields_in_groups, NULL), TRT_OK);
    CHECK_EQ(trt_run_with(&on_two_workers, yields_in_groups, NULL), TRT_OK);
}

struct syncs_in_groups { int a, b, c; trt_instant start; };
trt_async(int, syncs_in_groups)
{
    trt_body {
        trt_fork(later, &self->a, .after = trt_ms(5), .value = 7);
        trt_await(trt_within(trt_ms(50), trt_sync()));
        CHECK_EQ(trt_status(), TRT_OK);
        CHECK_EQ(self->a, 7);
        trt_fork(later, &self->b, .after = trt_ms(20), .value = 8);
        trt_await_any(trt_sync(), trt_sleep(trt_ms(1)));
        CHECK_EQ(trt_chosen(), 1);
        CHECK_EQ(self->b, 0); /* it lost, and runs on */
        trt_await_all(trt_within(trt_ms(2), trt_sync()), trt_sleep(trt_ms(1)));
        CHECK_EQ(trt_status_of(0), TRT_TIMED_OUT);
        CHECK_EQ(trt_status_of(1), TRT_OK);
        CHECK_EQ(self->b, 0);
        trt_fork(later, &self->c, .after = trt_ms(10), .value = 9);
        trt_await_all(trt_sync(), trt_yield(), trt_within(trt_s(1), trt_sync()));
        CHECK_EQ(trt_status(), TRT_OK);
        CHECK_EQ(self->b + self->c, 17);
        trt_await(trt_sync());
        CHECK_EQ(trt_status(), TRT_OK);
    }
}

TEST(a_sync_completes_in_groups_and_under_a_deadline)
{
    CHECK_EQ(trt_run_with(&on_virtual_clock, syncs_in_groups, NULL), TRT_OK);
}

/* Several wait for the same forks, and one gives up. */
struct syncs_twice { int a; };
trt_async(int, syncs_twice)
{
    trt_body {
        trt_fork(later, &self->a, .after = trt_ms(50), .value = 7);
        trt_await_all(trt_within(trt_ms(10), trt_sync()), trt_sync());
        CHECK_EQ(trt_status_of(0), TRT_TIMED_OUT);
        CHECK_EQ(trt_status_of(1), TRT_OK);
        CHECK_EQ(self->a, 7);
        trt_fork(later, &self->a, .after = trt_ms(50), .value = 8);
        trt_await_all(trt_within(trt_ms(60), trt_sync()), trt_within(trt_ms(10), trt_sync()));
        CHECK_EQ(trt_status_of(0), TRT_OK);
        CHECK_EQ(trt_status_of(1), TRT_TIMED_OUT);
        CHECK_EQ(self->a, 8);
        trt_fork(later, &self->a, .after = trt_ms(50), .value = 9);
        trt_await_all(trt_within(trt_ms(20), trt_sync()), trt_within(trt_ms(10), trt_sync()));
        CHECK_EQ(trt_status_of(0), TRT_TIMED_OUT);
        CHECK_EQ(trt_status_of(1), TRT_TIMED_OUT);
        trt_await(trt_sleep(trt_ms(100))); /* nobody waits any more when the fork ends */
        CHECK_EQ(trt_status(), TRT_OK);
        trt_await(trt_sync());
        CHECK_EQ(trt_status(), TRT_OK);
        CHECK_EQ(self->a, 9);
        trt_return(1);
    }
}

TEST(a_sync_that_times_out_leaves_the_others_of_its_group_waiting)
{
    int out = 0;
    CHECK_EQ(trt_run_with(&on_virtual_clock, syncs_twice, &out), TRT_OK);
    CHECK_EQ(out, 1);
    CHECK_EQ(trt_run_with(&on_two_workers, syncs_twice, &out), TRT_OK);
}

struct job_in_try_all { trt_job(busy_job) job; trt_frame(failing) f; };
trt_async(int, job_in_try_all)
{
    trt_body {
        trt_await_try_all(trt_blocking(busy_job, &self->job, .obeys = true), trt_call(failing, &self->f, .status = TRT_EMPTY));
        CHECK_EQ(trt_chosen(), 1);
        CHECK_EQ(trt_status_of(0), TRT_CANCELLED);
    }
}

TEST(a_job_that_lost_in_try_all_counts_as_cancelled)
{
    CHECK_EQ(trt_run_with(&on_two_workers, job_in_try_all, NULL), TRT_OK);
}

/* ---- panics under a deadline of their own ---- */

struct all_with_panic { trt_frame(panicking) p; bool called; trt_handle(panicking) h; int after; };
trt_async(int, all_with_panic)
{
    trt_body {
        if (self->called)
            trt_await_all(trt_within(trt_s(1), trt_call(panicking, &self->p)), trt_sleep(trt_ms(1)));
        else {
            self->h = trt_spawn(panicking);
            trt_await_all(trt_within(trt_s(1), trt_join(self->h, NULL)), trt_sleep(trt_ms(1)));
            CHECK_EQ(trt_status_of(0), TRT_PANICKED);
            CHECK(trt_failure() != NULL);
        }
        trt_return(7);
    }
}

TEST(a_panic_under_a_deadline_in_an_all_is_the_callers_if_it_was_called_and_a_status_if_joined)
{
    int out = 0;
    capture_start();
    CHECK_EQ(trt_run_with(&on_virtual_clock, all_with_panic, &out, .called = false), TRT_OK);
    CHECK_EQ(out, 7);
    CHECK_EQ(trt_run_with(&on_virtual_clock, all_with_panic, NULL, .called = true), TRT_PANICKED);
    CHECK(trt_failure() != NULL);
    capture_end();
}

/* ---- fairness ---- */

struct sets_flag { bool *flag; };
trt_async(trt_void, sets_flag) { trt_body { *self->flag = true; } }
struct never_waits { trt_frame(sets_flag) child; bool flag, other; int how; trt_handle(sets_flag) h; };
trt_async(int, never_waits)
{
    trt_body {
        for (self->how = 0; self->how < 4; self->how++) {
            self->flag = false;
            self->h = trt_spawn(sets_flag, .flag = &self->flag);
            while (!self->flag) {
                if (self->how == 0)
                    trt_await_all(trt_sleep(0), trt_sleep(0));
                else if (self->how == 1)
                    trt_await_any(trt_sleep(0), trt_sleep(0));
                else if (self->how == 2)
                    trt_await(trt_sync());
                else
                    trt_await(trt_call(sets_flag, &self->child, .flag = &self->other));
            }
            trt_await_ok(trt_join(self->h, NULL));
        }
    }
}

TEST(a_task_whose_awaits_never_wait_lets_others_run)
{
    CHECK_EQ(trt_run_with(&on_one_thread, never_waits, NULL), TRT_OK);
}

struct fails_behind_a_child {
    trt_interval never_set;
    trt_handle(later) never_made;
    trt_frame(forever) child;
    atomic_int cleaned;
    int i;
};
trt_async(int, fails_behind_a_child)
{
    trt_body {
        for (self->i = 0; self->i < 50; self->i++) { /* any begins with either */
            trt_await_any(trt_tick(&self->never_set), trt_call(forever, &self->child, .cleaned = &self->cleaned));
            CHECK_EQ(trt_status(), TRT_MISUSE);
            CHECK_EQ(trt_chosen(), 0);
            trt_await_any(trt_call(forever, &self->child, .cleaned = &self->cleaned), trt_join(self->never_made, NULL));
            CHECK_EQ(trt_status(), TRT_MISUSE);
            CHECK_EQ(trt_chosen(), 1);
            trt_await_any(trt_stop(self->never_made), trt_call(forever, &self->child, .cleaned = &self->cleaned));
            CHECK_EQ(trt_status(), TRT_OK);
            CHECK_EQ(trt_chosen(), 0);
            trt_await(trt_within(trt_ms(1), trt_advance(-1)));
            CHECK_EQ(trt_status(), TRT_MISUSE);
        }
        trt_return(1);
    }
}
TEST(what_ends_at_once_behind_a_child_ends_any)
{
    int out = 0;
    CHECK_EQ(trt_run_with(&on_virtual_clock, fails_behind_a_child, &out), TRT_OK);
    CHECK_EQ(out, 1);
}

/* A branch that was aborted in a wait has ended: whoever frees the runtime must not look at that wait. */
struct waits_for_notify { trt_notify *notify; };
trt_async(trt_void, waits_for_notify)
{
    trt_body { trt_await(trt_notified(self->notify)); }
}
struct object_is_gone_first { trt_notify *notify; trt_frame(waits_for_notify) child; };
trt_async(trt_void, object_is_gone_first)
{
    trt_body {
        trt_await(trt_within(trt_ms(1), trt_call(waits_for_notify, &self->child, .notify = self->notify)));
        CHECK_EQ(trt_status(), TRT_TIMED_OUT);
        memset(self->notify, 0xff, sizeof *self->notify); /* its memory is something else now */
    }
}

TEST(what_an_ended_branch_waited_for_is_not_touched_again)
{
    trt_notify notify = {0};
    unsigned char gone[sizeof notify];
    memset(gone, 0xff, sizeof gone);
    CHECK_EQ(trt_run_with(&on_virtual_clock, object_is_gone_first, NULL, .notify = &notify), TRT_OK);
    CHECK(memcmp(&notify, gone, sizeof gone) == 0);
}

/* The number of a system error comes with the join, in a group too, whether the task has ended before or not. */
struct errs { trt_duration after; };
trt_async(int, errs)
{
    trt_body {
        trt_await(trt_sleep(self->after));
        trt_await_ok(trt_readable(-1));
        trt_return(1);
    }
}
struct joins_errs { int i; trt_handle(errs) h; trt_join_set(errs) set; };
trt_async(int, joins_errs)
{
    trt_body {
        for (self->i = 0; self->i < 12; self->i++) {
            trt_duration after = self->i % 2 ? trt_ms(2) : 0;
            self->h = trt_spawn(errs, .after = after);
            trt_spawn_in(&self->set, errs, .after = after);
            trt_await(trt_sleep(trt_ms(1)));
            if (self->i / 2 == 0) trt_await_all(trt_join(self->h, NULL), trt_sleep(trt_ms(9)));
            if (self->i / 2 == 1) trt_await_try_all(trt_sleep(trt_ms(9)), trt_join(self->h, NULL));
            if (self->i / 2 == 2) trt_await(trt_within(trt_ms(9), trt_join(self->h, NULL)));
            if (self->i / 2 == 3) trt_await_all(trt_join_next(&self->set, NULL), trt_sleep(trt_ms(9)));
            if (self->i / 2 == 4) trt_await_any(trt_join_next(&self->set, NULL), trt_sleep(trt_ms(9)));
            if (self->i / 2 == 5) trt_await_all(trt_within(trt_ms(9), trt_join(self->h, NULL)), trt_sleep(trt_ms(9)));
            CHECK_EQ(trt_status(), TRT_ERRNO);
            CHECK_EQ(trt_errno(), EBADF);
            trt_await(trt_set_shutdown(&self->set));
            trt_await(trt_stop(self->h));
        }
        trt_return(6);
    }
}
TEST(a_join_in_a_group_tells_the_number_of_the_error)
{
    int out = 0;
    CHECK_EQ(trt_run_with(&on_virtual_clock, joins_errs, &out), TRT_OK);
    CHECK_EQ(out, 6);
}

/* ---- a panic in an all ---- */

struct ends_with_its_panic { int how; trt_instant start; bool *ended; trt_frame(panicking) p; trt_frame(later) l; trt_channel(int) c; int out; };
trt_async(int, ends_with_its_panic)
{
    trt_body {
        self->start = trt_now();
        if (self->how == 0)
            trt_await_all(trt_call(later, &self->l, .after = trt_s(9)), trt_call(panicking, &self->p, .after = trt_ms(2)));
        if (self->how == 1)
            trt_await_all(trt_call(panicking, &self->p), trt_call(later, &self->l, .after = trt_s(9)));
        if (self->how == 2)
            trt_await_all(trt_sleep(trt_s(9)), trt_within(trt_s(5), trt_call(panicking, &self->p, .after = trt_ms(2))));
        CHECK(self->how < 0); /* it does not go on */
    }
    trt_cleanup {
        CHECK_EQ(trt_status(), TRT_PANICKED);
        CHECK(trt_failure() && !strcmp(trt_failure()->message, "it broke"));
        CHECK_EQ(trt_now() - self->start, self->how == 1 ? 0 : trt_ms(2));
        *self->ended = true;
    }
}

struct joins_a_panic_in_an_all { trt_handle(panicking) h; int out; };
trt_async(int, joins_a_panic_in_an_all)
{
    trt_body {
        self->h = trt_spawn(panicking, .after = trt_ms(1));
        trt_await_all(trt_join(self->h, &self->out), trt_sleep(trt_ms(5))); /* that is a status */
        CHECK_EQ(trt_status(), TRT_PANICKED);
        CHECK_EQ(trt_status_of(1), TRT_OK);
        trt_return(6);
    }
}

TEST(the_panic_of_a_coroutine_in_an_all_ends_the_others_at_once)
{
    int out = 0;
    for (int how = 0; how < 3; how++) {
        bool ended = false;
        capture_start();
        trt_status_code status = trt_run_with(&on_virtual_clock, ends_with_its_panic, NULL, .how = how, .ended = &ended);
        capture_end();
        CHECK_EQ(status, TRT_PANICKED);
        CHECK(ended);
    }
    capture_start();
    trt_status_code status = trt_run_with(&on_virtual_clock, joins_a_panic_in_an_all, &out);
    capture_end();
    CHECK_EQ(status, TRT_OK);
    CHECK_EQ(out, 6);
}

/* ---- what a branch of a try_all with a deadline has got, when another failed before ---- */

typedef trt_oneshot(int) one_int;
struct fails_and_sends { one_int *fails, *sent; };
trt_async(int, fails_and_sends)
{
    trt_body {
        trt_await(trt_sleep(trt_ms(1)));
        trt_oneshot_close(self->fails);
        CHECK_EQ(trt_oneshot_send(self->sent, 5), TRT_OK);
    }
}

struct gets_behind_a_failure { bool bounded; one_int fails, sent; trt_handle(fails_and_sends) h; int out, none; };
trt_async(int, gets_behind_a_failure)
{
    trt_body {
        self->h = trt_spawn(fails_and_sends, .fails = &self->fails, .sent = &self->sent);
        if (self->bounded)
            trt_await_try_all(trt_within(trt_s(5), trt_oneshot_recv(&self->sent, &self->out)), trt_oneshot_recv(&self->fails, &self->none));
        else
            trt_await_try_all(trt_oneshot_recv(&self->sent, &self->out), trt_oneshot_recv(&self->fails, &self->none));
        CHECK_EQ(trt_chosen(), 1);
        CHECK_EQ(trt_status(), TRT_CLOSED);
        CHECK_EQ(trt_status_of(0), self->out ? TRT_OK : TRT_CANCELLED); /* it has consumed, or not */
        if (!self->out) {
            trt_await(trt_oneshot_recv(&self->sent, &self->out));
            CHECK_EQ(trt_status(), TRT_OK);
        }
        CHECK_EQ(self->out, 5);
        trt_await(trt_join(self->h, NULL));
        trt_return(6);
    }
}

TEST(a_branch_that_has_consumed_says_so_though_another_had_failed)
{
    for (int bounded = 0; bounded < 2; bounded++) {
        int out = 0;
        CHECK_EQ(trt_run_with(&on_virtual_clock, gets_behind_a_failure, &out, .bounded = bounded), TRT_OK);
        CHECK_EQ(out, 6);
    }
}

/* ---- a child under a deadline of its own that has not begun when the group is over ---- */

static trt_any_handle not_begun_itself;
struct calls_forever { atomic_int *cleaned; trt_frame(forever) inner; };
trt_async(int, calls_forever)
{
    trt_body { trt_await(trt_call(forever, &self->inner, .cleaned = self->cleaned)); }
    trt_cleanup { atomic_fetch_add(self->cleaned, 1); }
}
struct may_not_begin { int how; atomic_int *started, *cleaned; trt_frame(forever) f; trt_frame(calls_forever) c; trt_frame(failing) fails; trt_frame(panicking) p; };
trt_async(int, may_not_begin)
{
    trt_body {
        trt_await(trt_sleep(trt_ms(1)));
        if (self->how < 4)
            trt_abort(not_begun_itself); /* then the await begins nothing */
        if (self->how == 0)
            trt_await_all(trt_within(trt_s(5), trt_call(forever, &self->f, .started = self->started, .cleaned = self->cleaned)),
                          trt_sleep(1));
        if (self->how == 1)
            trt_await_try_all(trt_within(trt_s(5), trt_within(trt_s(4), trt_call(forever, &self->f, .started = self->started,
                                                                                 .cleaned = self->cleaned, .linger = trt_ms(2)))),
                              trt_within(trt_s(5), trt_sleep(trt_s(9))));
        if (self->how == 2)
            trt_await_all(trt_within(trt_s(5), trt_call(calls_forever, &self->c, .cleaned = self->cleaned)), trt_sleep(1));
        if (self->how == 3)
            trt_await_any(trt_within(trt_s(5), trt_call(forever, &self->f, .started = self->started, .cleaned = self->cleaned)),
                          trt_yield());
        if (self->how == 4) /* which comes first is by chance */
            trt_await_try_all(trt_call(failing, &self->fails, .status = TRT_CLOSED),
                              trt_within(trt_s(5), trt_call(forever, &self->f, .started = self->started, .cleaned = self->cleaned)));
        if (self->how == 5)
            trt_await_all(trt_call(panicking, &self->p),
                          trt_within(trt_s(5), trt_call(forever, &self->f, .started = self->started, .cleaned = self->cleaned)));
    }
}
struct none_begins { int how, n, i, skipped; atomic_int started, cleaned; trt_handle(may_not_begin) h; };
trt_async(int, none_begins)
{
    trt_body {
        for (self->i = 0; self->i < self->n; self->i++) {
            atomic_store(&self->started, 0);
            atomic_store(&self->cleaned, 0);
            self->h = trt_spawn(may_not_begin, .how = self->how, .started = &self->started, .cleaned = &self->cleaned);
            not_begun_itself = trt_any(self->h);
            trt_await(trt_join(self->h, NULL));
            CHECK_EQ(trt_status(), self->how < 4 ? TRT_CANCELLED : self->how == 4 ? TRT_OK : TRT_PANICKED);
            CHECK_EQ(atomic_load(&self->cleaned), 1);
            self->skipped += !atomic_load(&self->started);
        }
        trt_return(self->skipped);
    }
}

TEST(a_child_under_a_deadline_of_its_own_is_cleaned_up_though_it_never_began)
{
    for (int how = 0; how < 6; how++) {
        int skipped = 0, n = how < 4 ? 2 : 50;
        capture_start();
        trt_status_code status = trt_run_with(&on_virtual_clock, none_begins, &skipped, .how = how, .n = n);
        capture_end();
        CHECK_EQ(status, TRT_OK);
        CHECK(how < 4 ? skipped == n : skipped > 0);
    }
}

/* One that was awaited before is none: it had its cleanup. */
struct awaits_used { int i; atomic_int cleaned; trt_frame(forever) f; trt_frame(failing) fails; trt_op op; };
trt_async(int, awaits_used)
{
    trt_body {
        for (self->i = 0; self->i < 50; self->i++) {
            self->op = trt_within(trt_ms(1), trt_call(forever, &self->f, .cleaned = &self->cleaned));
            trt_await(self->op);
            CHECK_EQ(trt_status(), TRT_TIMED_OUT);
            trt_await_try_all(trt_call(failing, &self->fails, .status = TRT_CLOSED), self->op);
            CHECK(trt_status() == TRT_CLOSED || trt_status() == TRT_MISUSE);
            CHECK_EQ(atomic_load(&self->cleaned), self->i + 1);
        }
        trt_return(1);
    }
}

TEST(a_call_that_was_awaited_before_is_not_cleaned_up_again)
{
    int out = 0;
    capture_start();
    trt_status_code status = trt_run_with(&on_virtual_clock, awaits_used, &out);
    capture_end();
    CHECK_EQ(status, TRT_OK);
    CHECK_EQ(out, 1);
}

/* ---- whose panic trt_failure() tells ---- */

static void keeps_quiet(const trt_failure_info *failure, void *user)
{
    (void)failure;
    (void)user;
}
static const trt_config quiet_virtual_clock = {.virtual_clock = true, .on_panic = keeps_quiet};
static const trt_config quiet_two_workers = {.workers = 2, .on_panic = keeps_quiet};
static const char *told_panic(void) { return trt_failure() ? trt_failure()->message : NULL; }

struct says { trt_duration after; const char *text, *in_cleanup; };
trt_async(int, says)
{
    trt_body {
        if (self->after)
            trt_await(trt_sleep(self->after));
        if (self->text)
            trt_panic("%s", self->text);
        trt_fail(TRT_CLOSED);
    }
    trt_cleanup {
        if (self->in_cleanup)
            trt_panic("%s", self->in_cleanup);
    }
}
struct says_job { const char *text; };
trt_blocking_fn(int, says_job) { trt_panic("%s", self->text); }

/* Both have ended before the await, or end in one order or the other. */
struct tells_panics { int i; trt_duration a, b, before; trt_handle(says) ha, hb; trt_join_set(says) set; trt_job(says_job) ja, jb; };
trt_async(int, tells_panics)
{
    trt_body {
        for (self->i = 0; self->i < 3; self->i++) {
            self->a = trt_ms(self->i == 1 ? 8 : 4);
            self->b = trt_ms(self->i == 1 ? 4 : 8);
            self->before = self->i == 2 ? trt_ms(9) : 0;

            self->ha = trt_spawn(says, .after = self->a, .text = "a");
            self->hb = trt_spawn(says, .after = self->b, .text = "b");
            trt_await(trt_sleep(self->before));
            trt_await_all(trt_join(self->ha, NULL), trt_join(self->hb, NULL));
            CHECK_EQ(trt_status(), TRT_PANICKED);
            CHECK_EQ(trt_chosen(), 0);
            CHECK_STR(told_panic(), "a");

            self->ha = trt_spawn(says, .after = self->a, .text = "a");
            self->hb = trt_spawn(says, .after = self->b, .text = "b");
            trt_await(trt_sleep(self->before));
            trt_await_all(trt_sleep(1), trt_within(trt_s(1), trt_join(self->hb, NULL)), trt_within(trt_s(1), trt_join(self->ha, NULL)));
            CHECK_EQ(trt_chosen(), 1);
            CHECK_STR(told_panic(), "b");

            self->ha = trt_spawn(says, .after = self->a);
            self->hb = trt_spawn(says, .after = self->b, .text = "b");
            trt_await(trt_sleep(self->before));
            trt_await_all(trt_join(self->ha, NULL), trt_join(self->hb, NULL));
            CHECK_EQ(trt_status(), TRT_CLOSED);
            CHECK_EQ(trt_status_of(1), TRT_PANICKED);
            CHECK(trt_failure() == NULL);

            trt_spawn_in(&self->set, says, .after = self->a, .text = "member");
            self->hb = trt_spawn(says, .after = self->b, .text = "b");
            trt_await(trt_sleep(self->before));
            trt_await_all(trt_join_next(&self->set, NULL), trt_join(self->hb, NULL));
            CHECK_EQ(trt_chosen(), 0);
            CHECK_STR(told_panic(), "member");

            self->ha = trt_spawn(says, .after = self->a, .text = "a");
            self->hb = trt_spawn(says, .after = self->b, .text = "b");
            trt_await(trt_sleep(self->before));
            trt_await_try_all(trt_join(self->ha, NULL), trt_join(self->hb, NULL));
            CHECK_STR(told_panic(), trt_chosen() == 0 ? "a" : "b");
            CHECK(self->i == 2 || trt_chosen() == self->i);
            trt_await(trt_sleep(trt_ms(9)));
            trt_await_any(trt_join(self->ha, NULL), trt_join(self->hb, NULL)); /* what try_all has left */
            CHECK(trt_status() == TRT_PANICKED || trt_status() == TRT_MISUSE);
            CHECK(!trt_failure() == (trt_status() == TRT_MISUSE));
            trt_detach(self->ha);
            trt_detach(self->hb);
        }
        trt_await_all(trt_blocking(says_job, &self->ja, .text = "job 0"), trt_blocking(says_job, &self->jb, .text = "job 1"));
        CHECK_EQ(trt_chosen(), 0);
        CHECK_STR(told_panic(), "job 0");
        trt_return(5);
    }
}

TEST(the_panic_that_is_told_behind_an_all_is_that_of_the_status)
{
    int out = 0;
    capture_start(); /* a handle that is consumed is joined once more */
    trt_status_code status = trt_run_with(&quiet_virtual_clock, tells_panics, &out);
    capture_end();
    CHECK_EQ(status, TRT_OK);
    CHECK_EQ(out, 5);
}

/* A sync in a group: the forks' panic is its own, told or not. */
struct tells_forks { trt_handle(says) h; };
trt_async(int, tells_forks)
{
    trt_body {
        self->h = trt_spawn(says, .after = trt_ms(2), .text = "task");
        trt_fork(says, NULL, .after = trt_ms(1), .text = "fork");
        trt_await_all(trt_sync(), trt_join(self->h, NULL));
        CHECK_EQ(trt_chosen(), 0);
        CHECK_STR(told_panic(), "fork");
        self->h = trt_spawn(says, .after = trt_ms(1));
        trt_fork(says, NULL, .after = trt_ms(2), .text = "fork 2");
        trt_await_all(trt_join(self->h, NULL), trt_within(trt_s(1), trt_sync()));
        CHECK_EQ(trt_status(), TRT_CLOSED);
        CHECK(trt_failure() == NULL);
        trt_fork(says, NULL, .after = trt_ms(1), .text = "fork 3");
        trt_await(trt_sync());
        CHECK_STR(told_panic(), "fork 3");
        trt_fork(says, NULL, .text = "fork 4");
        trt_await_all(trt_sleep(trt_ms(1)), trt_sync(), trt_sync());
        CHECK_EQ(trt_chosen(), 1);
        CHECK_STR(told_panic(), "fork 4");
        trt_return(5);
    }
}

TEST(the_panic_of_forks_is_told_behind_the_sync_that_tells_of_it)
{
    int out = 0;
    CHECK_EQ(trt_run_with(&quiet_virtual_clock, tells_forks, &out), TRT_OK);
    CHECK_EQ(out, 5);
}

/* The caller's panic is that of the coroutine which ended the all, or, if that was another's failure, of the first. */
struct passes_panic { int how; trt_frame(says) a, b; trt_handle(says) h; };
trt_async(int, passes_panic)
{
    trt_body {
        self->h = trt_spawn(says, .after = trt_ms(1), .text = "joined");
        if (self->how == 0)
            trt_await_all(trt_call(says, &self->a, .after = trt_s(9), .in_cleanup = "later"),
                          trt_call(says, &self->b, .after = trt_ms(2), .text = "first"));
        if (self->how == 1)
            trt_await_all(trt_join(self->h, NULL), trt_call(says, &self->b, .after = trt_ms(2), .text = "first"));
        if (self->how == 2)
            trt_await_try_all(trt_join(self->h, NULL), trt_call(says, &self->a, .after = trt_s(9), .in_cleanup = "first"));
        if (self->how == 3)
            trt_await_any(trt_call(says, &self->a, .after = trt_s(9), .in_cleanup = "first"), trt_join(self->h, NULL));
        CHECK(false); /* it does not go on */
    }
    trt_cleanup {
        CHECK_STR(told_panic(), "first");
        trt_detach(self->h);
    }
}
struct sees_passed_panic { int how; trt_handle(passes_panic) h; };
trt_async(int, sees_passed_panic)
{
    trt_body {
        for (self->how = 0; self->how < 4; self->how++) {
            self->h = trt_spawn(passes_panic, .how = self->how);
            trt_await(trt_join(self->h, NULL));
            CHECK_EQ(trt_status(), TRT_PANICKED);
            CHECK_STR(told_panic(), "first");
        }
    }
}

TEST(the_panic_that_a_group_passes_on_is_the_one_that_ended_it)
{
    CHECK_EQ(trt_run_with(&quiet_virtual_clock, sees_passed_panic, NULL), TRT_OK);
}

/* Two at once. */
struct two_panics { long i, n; trt_handle(says) a, b; };
trt_async(int, two_panics)
{
    trt_body {
        for (self->i = 0; self->i < self->n; self->i++) {
            self->a = trt_spawn(says, .text = "a");
            self->b = trt_spawn(says, .text = "b");
            trt_await_all(trt_join(self->a, NULL), trt_join(self->b, NULL));
            CHECK_EQ(trt_chosen(), 0);
            CHECK_STR(told_panic(), "a");
        }
    }
}

TEST(two_panics_at_once_are_told_apart)
{
    CHECK_EQ(trt_run_with(&quiet_two_workers, two_panics, NULL, .n = ROUNDS(2000)), TRT_OK);
}

int main(int argc, char **argv) { return harness_main(argc, argv); }
