/* fork and sync: children that end before their scope does. */
#include "harness.h"
#define TASKRT_IMPLEMENTATION
#include "../taskrt.h"
#include "common.h"

/* Does the library keep what a panic has said, or an errno? */
static bool any_records(void)
{
    for (trt_chunk_ *chunk = atomic_load(&trt_current()->chunks); chunk; chunk = chunk->next)
        if (chunk->panics)
            return true;
    return false;
}

struct fib { int n; long a, b; };
trt_async(long, fib)
{
    trt_body {
        if (self->n < 2)
            trt_return(self->n);
        trt_fork(fib, &self->a, .n = self->n - 1);
        trt_fork(fib, &self->b, .n = self->n - 2);
        trt_await(trt_sync());
        CHECK_EQ(trt_status(), TRT_OK);
        trt_return(self->a + self->b);
    }
}

TEST(fib_20_by_fork_on_one_two_and_four_workers)
{
    const trt_config *configs[] = {&on_one_thread, &on_virtual_clock, &on_one_worker, &on_two_workers, &on_four_workers};
    for (size_t i = 0; i < sizeof configs / sizeof *configs; i++) {
        long out = 0;
        CHECK_EQ(trt_run_with(configs[i], fib, &out, .n = 20), TRT_OK);
        CHECK_EQ(out, 6765);
    }
}

struct chain { long n, below; };
trt_async(long, chain)
{
    trt_body {
        if (self->n == 0)
            trt_return(0);
        trt_fork(chain, &self->below, .n = self->n - 1);
        trt_await_ok(trt_sync());
        trt_return(self->below + 1);
    }
}

TEST(a_chain_of_forks_may_be_a_hundred_thousand_deep)
{
    long out = 0, n = ROUNDS(100000);
    CHECK_EQ(trt_run_with(&on_two_workers, chain, &out, .n = n), TRT_OK);
    CHECK_EQ(out, n);
}

/* ---- borrowing ---- */

struct adds_slice { const int *numbers; int n, *shared; };
trt_async(long, adds_slice)
{
    trt_body {
        long sum = 0;
        for (int i = 0; i < self->n; i++)
            sum += self->numbers[i];
        trt_return(sum);
    }
}
struct borrows { int numbers[1000], i; long parts[10], total; };
trt_async(long, borrows)
{
    trt_body {
        for (self->i = 0; self->i < 1000; self->i++)
            self->numbers[self->i] = self->i;
        for (self->i = 0; self->i < 10; self->i++)
            trt_fork(adds_slice, &self->parts[self->i], .numbers = self->numbers + 100 * self->i, .n = 100);
        trt_await_ok(trt_sync());
        for (self->i = 0; self->i < 10; self->i++)
            self->total += self->parts[self->i];
        trt_return(self->total);
    }
}

TEST(forks_may_borrow_from_self)
{
    long out = 0;
    CHECK_EQ(trt_run_with(&on_two_workers, borrows, &out), TRT_OK);
    CHECK_EQ(out, 499500);
}

/* ---- sync ---- */

struct syncs { trt_instant start; int a, b, c; };
trt_async(int, syncs)
{
    trt_body {
        trt_await(trt_sync()); /* nothing forked: at once */
        CHECK_EQ(trt_status(), TRT_OK);
        self->start = trt_now();
        trt_fork(later, &self->a, .after = trt_ms(20), .value = 1);
        trt_fork(later, &self->b, .after = trt_ms(10), .value = 2);
        trt_fork(later, NULL, .after = trt_ms(15), .value = 3);
        trt_await(trt_sync());
        CHECK_EQ(trt_status(), TRT_OK);
        CHECK_EQ(trt_now() - self->start, trt_ms(20));
        CHECK_EQ(self->a, 1);
        CHECK_EQ(self->b, 2);
        /* the next scope knows nothing of the last */
        self->a = 7;
        trt_fork(failing, &self->a, .after = trt_ms(20), .status = TRT_CLOSED);
        trt_fork(failing, NULL, .after = trt_ms(10), .status = TRT_FULL);
        trt_fork(later, &self->b, .after = trt_ms(30), .value = 5);
        trt_await(trt_sync());
        CHECK_EQ(trt_status(), TRT_FULL); /* the first in time, but all have ended */
        CHECK_EQ(trt_now() - self->start, trt_ms(50));
        CHECK_EQ(self->a, 7);
        CHECK_EQ(self->b, 5);
        trt_fork(now_value, &self->c, .value = 8);
        trt_await(trt_sync());
        CHECK_EQ(trt_status(), TRT_OK);
        CHECK_EQ(self->c, 8);
        trt_await(trt_sync());
        CHECK_EQ(trt_status(), TRT_OK);
    }
}

TEST(sync_waits_for_all_since_the_last_and_gives_the_first_failure_in_time)
{
    CHECK_EQ(trt_run_with(&on_virtual_clock, syncs, NULL), TRT_OK);
}

struct fork_panics { trt_instant start; int a; };
trt_async(int, fork_panics)
{
    trt_body {
        self->start = trt_now();
        trt_fork(panicking, &self->a, .after = trt_ms(1));
        trt_fork(later, &self->a, .after = trt_ms(5), .value = 4);
        trt_await(trt_sync());
        CHECK_EQ(trt_status(), TRT_PANICKED);
        CHECK(trt_failure() != NULL);
        if (trt_failure())
            CHECK_STR(trt_failure()->message, "it broke");
        CHECK_EQ(trt_now() - self->start, trt_ms(5));
        CHECK_EQ(self->a, 4);
        trt_return(6);
    }
}

TEST(the_panic_of_a_fork_is_told_by_sync)
{
    int out = 0;
    capture_start();
    trt_status_code status = trt_run_with(&on_virtual_clock, fork_panics, &out);
    capture_end();
    CHECK_EQ(status, TRT_OK);
    CHECK_EQ(out, 6);
}

/* Also in a group, and whether the fork has ended before or not. */
struct fork_panics_in_groups { int i, a; };
trt_async(int, fork_panics_in_groups)
{
    trt_body {
        for (self->i = 0; self->i < 8; self->i++) {
            trt_fork(panicking, &self->a, .after = trt_ms(1));
            if (self->i % 2) trt_await(trt_sleep(trt_ms(5)));
            if (self->i / 2 == 0) trt_await_all(trt_sync(), trt_sleep(trt_ms(1)));
            if (self->i / 2 == 1) trt_await_try_all(trt_sleep(trt_ms(1)), trt_sync());
            if (self->i / 2 == 2) trt_await_any(trt_sync(), trt_sleep(trt_ms(9)));
            if (self->i / 2 == 3) trt_await_all(trt_within(trt_ms(9), trt_sync()), trt_sleep(trt_ms(1)));
            CHECK_EQ(trt_status(), TRT_PANICKED);
            CHECK(trt_failure() != NULL);
            if (trt_failure())
                CHECK_STR(trt_failure()->message, "it broke");
        }
        trt_return(6);
    }
}
TEST(the_panic_of_a_fork_is_told_by_sync_in_a_group)
{
    int out = 0;
    capture_start();
    trt_status_code status = trt_run_with(&on_virtual_clock, fork_panics_in_groups, &out);
    capture_end();
    CHECK_EQ(status, TRT_OK);
    CHECK_EQ(out, 6);
}

/* Two scopes of one task have a panic each, and each sync, of one or of several that wait, tells its own. */
struct panics_with { const char *text; };
trt_async(int, panics_with)
{
    trt_body { trt_panic("%s", self->text); }
}
struct inner_fork_panics { bool syncs; };
trt_async(int, inner_fork_panics)
{
    trt_body {
        trt_fork(panics_with, NULL, .text = "inner");
        trt_await(trt_sleep(trt_ms(2)));
        if (!self->syncs)
            return;
        trt_await(trt_sync());
        CHECK_EQ(trt_status(), TRT_PANICKED);
        if (CHECK(trt_failure() != NULL))
            CHECK_STR(trt_failure()->message, "inner");
    }
}
struct outer_fork_panics { int i; trt_frame(inner_fork_panics) child; };
trt_async(int, outer_fork_panics)
{
    trt_body {
        for (self->i = 0; self->i < 4; self->i++) {
            trt_fork(panics_with, NULL, .text = "outer");
            trt_await(trt_sleep(trt_ms(2)));
            trt_await(trt_call(inner_fork_panics, &self->child, .syncs = self->i % 2));
            CHECK_EQ(trt_status(), TRT_OK);
            if (self->i / 2)
                trt_await_all(trt_sync(), trt_within(trt_s(5), trt_sync()));
            else
                trt_await(trt_sync());
            CHECK_EQ(trt_status(), TRT_PANICKED);
            if (CHECK(trt_failure() != NULL))
                CHECK_STR(trt_failure()->message, "outer");
        }
        trt_fork(panicking, NULL, .after = trt_ms(2)); /* told to two at once */
        trt_await_all(trt_sync(), trt_within(trt_s(5), trt_sync()));
        CHECK_EQ(trt_status(), TRT_PANICKED);
        CHECK_EQ(trt_status_of(1), TRT_PANICKED);
        if (CHECK(trt_failure() != NULL))
            CHECK_STR(trt_failure()->message, "it broke");
        trt_return(6);
    }
}

TEST(the_panic_of_a_fork_is_told_by_the_sync_of_its_scope)
{
    int out = 0;
    capture_start();
    trt_status_code status = trt_run_with(&on_virtual_clock, outer_fork_panics, &out);
    CHECK_EQ(trt_run_with(&on_two_workers, outer_fork_panics, NULL), TRT_OK);
    capture_end();
    CHECK_EQ(status, TRT_OK);
    CHECK_EQ(out, 6);
}

/* A scope that ends without another sync: nothing is kept of the panic. */
struct leaves_fork_panics { bool in_cleanup; };
trt_async(int, leaves_fork_panics)
{
    trt_body {
        if (self->in_cleanup)
            return;
        trt_fork(panicking, NULL, .after = trt_ms(5));
        trt_await(trt_within(trt_ms(1), trt_sync()));
        trt_await(trt_sleep(trt_ms(10)));
    }
    trt_cleanup {
        if (!self->in_cleanup)
            return;
        trt_fork(panicking, NULL, .after = trt_ms(5));
        trt_await(trt_within(trt_ms(1), trt_sync()));
        trt_await(trt_sleep(trt_ms(10)));
    }
}
struct runs_leavers { int i; trt_frame(leaves_fork_panics) child; };
trt_async(int, runs_leavers)
{
    trt_body {
        for (self->i = 0; self->i < 4; self->i++) {
            if (self->i / 2)
                trt_await(trt_call(leaves_fork_panics, &self->child, .in_cleanup = self->i % 2));
            else
                trt_await(trt_join(trt_spawn(leaves_fork_panics, .in_cleanup = self->i % 2), NULL));
            CHECK_EQ(trt_status(), TRT_OK);
            CHECK(trt_failure() == NULL);
            CHECK(!any_records());
        }
        trt_return(6);
    }
}

TEST(nothing_is_kept_of_the_panic_of_a_fork_that_is_never_synced)
{
    int out = 0;
    capture_start();
    trt_status_code status = trt_run_with(&on_virtual_clock, runs_leavers, &out);
    capture_end();
    CHECK_EQ(status, TRT_OK);
    CHECK_EQ(out, 6);
}

struct own_scope { int value; int inner; };
trt_async(int, own_scope)
{
    trt_body {
        trt_fork(later, &self->inner, .after = trt_ms(2), .value = self->value);
        trt_await_ok(trt_sync());
        trt_return(self->inner);
    }
}
struct scopes { trt_frame(own_scope) child; int a; trt_instant start; };
trt_async(int, scopes)
{
    trt_body {
        self->start = trt_now();
        trt_fork(later, &self->a, .after = trt_ms(50), .value = 1);
        trt_await_ok(trt_call(own_scope, &self->child, .value = 9));
        CHECK_EQ(self->child.out, 9);
        CHECK_EQ(trt_now() - self->start, trt_ms(2)); /* it did not wait for the caller's fork */
        trt_await_ok(trt_sync());
        CHECK_EQ(trt_now() - self->start, trt_ms(50));
        CHECK_EQ(self->a, 1);
    }
}

TEST(a_called_child_has_its_own_scope)
{
    CHECK_EQ(trt_run_with(&on_virtual_clock, scopes, NULL), TRT_OK);
}

struct wide { long i, n; long *slots; long sum; };
trt_async(long, wide)
{
    trt_body {
        for (self->i = 0; self->i < self->n; self->i++)
            trt_fork(chain, &self->slots[self->i], .n = self->i % 3);
        trt_await_ok(trt_sync());
        for (self->i = 0; self->i < self->n; self->i++)
            self->sum += self->slots[self->i];
        trt_return(self->sum);
    }
}

TEST(a_scope_may_have_a_hundred_thousand_forks)
{
    long n = 3 * ROUNDS(33333), sum = 0;
    long *slots = calloc((size_t)n, sizeof *slots);
    CHECK_EQ(trt_run_with(&on_one_worker, wide, &sum, .n = n, .slots = slots), TRT_OK);
    CHECK_EQ(sum, n);
    CHECK_EQ(trt_run_with(&on_two_workers, wide, &sum, .n = n, .slots = slots), TRT_OK);
    CHECK_EQ(sum, n);
    free(slots);
}

struct sleepers { int i; trt_instant start; };
trt_async(int, sleepers)
{
    trt_body {
        self->start = trt_now();
        for (self->i = 0; self->i < 500; self->i++)
            trt_fork(later, NULL, .after = trt_ms(10));
        trt_await_ok(trt_sync());
        CHECK_EQ(trt_now() - self->start, trt_ms(10));
    }
}

TEST(forks_run_side_by_side) { CHECK_EQ(trt_run_with(&on_virtual_clock, sleepers, NULL), TRT_OK); }

/* ---- abort and leaving ---- */

struct fork_cleanup { trt_duration linger; int *lives, *borrowed; };
trt_async(int, fork_cleanup)
{
    trt_body { trt_await(trt_sleep_until(INT64_MAX)); }
    trt_cleanup {
        CHECK_EQ(trt_status(), TRT_CANCELLED);
        CHECK(trt_cancelled());
        trt_await(trt_sleep(self->linger));
        CHECK_EQ(*self->borrowed, 42); /* the parent's frame is still as it was */
        --*self->lives;
    }
}
struct fork_parent { int how, lives, borrowed, out; trt_duration linger; int *cleaned; };
trt_async(int, fork_parent)
{
    trt_body {
        self->borrowed = 42;
        self->lives = 3;
        trt_fork(fork_cleanup, &self->out, .linger = trt_ms(3), .lives = &self->lives, .borrowed = &self->borrowed);
        trt_fork(fork_cleanup, &self->out, .linger = trt_ms(7), .lives = &self->lives, .borrowed = &self->borrowed);
        trt_fork(fork_cleanup, NULL, .linger = trt_ms(5), .lives = &self->lives, .borrowed = &self->borrowed);
        if (self->how == 1)
            trt_await(trt_sleep(trt_ms(1)));
        if (self->how == 2)
            trt_await(trt_sync());
        if (self->how == 3) {
            trt_await(trt_sleep(trt_ms(1)));
            trt_panic("with forks open");
        }
        if (self->how == 4) {
            trt_await(trt_sleep(trt_ms(1)));
            trt_fail(TRT_CLOSED);
        }
        trt_return(9);
    }
    trt_cleanup {
        CHECK_EQ(self->lives, 0);
        self->borrowed = 0;
        ++*self->cleaned;
    }
}
struct fork_leavers { int how, cleaned, out; trt_handle(fork_parent) h; trt_instant start; };
trt_async(int, fork_leavers)
{
    trt_body {
        for (self->how = 0; self->how < 5; self->how++) {
            self->cleaned = 0;
            self->out = 0;
            self->start = trt_now();
            self->h = trt_spawn(fork_parent, .how = self->how, .cleaned = &self->cleaned);
            if (self->how == 2) {
                trt_await(trt_sleep(trt_ms(1)));
                trt_abort(self->h);
            }
            trt_await(trt_join(self->h, &self->out));
            CHECK_EQ(trt_status(), self->how == 2 ? TRT_CANCELLED : self->how == 3 ? TRT_PANICKED : self->how == 4 ? TRT_CLOSED : TRT_OK);
            CHECK_EQ(self->out, self->how < 2 ? 9 : 0);
            CHECK_EQ(self->cleaned, 1);
            CHECK_EQ(trt_now() - self->start, self->how == 0 ? trt_ms(7) : trt_ms(8));
        }
    }
}

TEST(leaving_with_open_forks_aborts_and_drains_them_before_the_cleanup)
{
    capture_start();
    trt_status_code status = trt_run_with(&on_virtual_clock, fork_leavers, NULL);
    capture_end();
    CHECK_EQ(status, TRT_OK);
}

struct cleanup_forks { int *steps; int a; int how; };
trt_async(int, cleanup_forks)
{
    trt_body {
        if (self->how == 0)
            trt_await(trt_sleep_until(INT64_MAX));
    }
    trt_cleanup {
        trt_fork(later, &self->a, .after = trt_ms(5), .value = 3);
        if (self->how < 2) {
            trt_await(trt_sync());
            CHECK_EQ(trt_status(), TRT_OK); /* shielded: what the cleanup forks is not aborted */
            CHECK_EQ(self->a, 3);
            ++*self->steps;
        }
    }
}
struct forks_in_cleanup { trt_handle(cleanup_forks) h; int steps; trt_instant start; };
trt_async(int, forks_in_cleanup)
{
    trt_body {
        self->h = trt_spawn(cleanup_forks, .steps = &self->steps);
        trt_await(trt_sleep(trt_ms(1)));
        self->start = trt_now();
        trt_abort(self->h);
        trt_await(trt_join(self->h, NULL));
        CHECK_EQ(trt_status(), TRT_CANCELLED);
        CHECK_EQ(self->steps, 1);
        CHECK_EQ(trt_now() - self->start, trt_ms(5));
        self->h = trt_spawn(cleanup_forks, .steps = &self->steps, .how = 1);
        trt_await(trt_join(self->h, NULL));
        CHECK_EQ(trt_status(), TRT_OK);
        CHECK_EQ(self->steps, 2);
        CHECK_EQ(trt_now() - self->start, trt_ms(10));
        /* left open at the end of the cleanup: aborted and drained */
        self->h = trt_spawn(cleanup_forks, .how = 2);
        trt_await(trt_join(self->h, NULL));
        CHECK_EQ(trt_status(), TRT_OK);
        CHECK_EQ(trt_now() - self->start, trt_ms(10));
    }
}

TEST(a_cleanup_may_fork)
{
    CHECK_EQ(trt_run_with(&on_virtual_clock, forks_in_cleanup, NULL), TRT_OK);
}

struct grand { int *lives; };
trt_async(int, grand)
{
    trt_body { trt_await(trt_sleep_until(INT64_MAX)); }
    trt_cleanup {
        trt_await(trt_sleep(trt_ms(1)));
        --*self->lives;
        letter('g');
    }
}
struct child_forks { int *lives; };
trt_async(int, child_forks)
{
    trt_body {
        trt_fork(grand, NULL, .lives = self->lives);
        trt_fork(grand, NULL, .lives = self->lives);
        trt_await(trt_sync());
    }
    trt_cleanup { letter('c'); }
}
struct root_forks { int lives; trt_frame(child_forks) called; };
trt_async(int, root_forks)
{
    trt_body {
        self->lives = 4;
        trt_fork(child_forks, NULL, .lives = &self->lives);
        trt_await(trt_call(child_forks, &self->called, .lives = &self->lives));
        letter('x');
    }
    trt_cleanup {
        CHECK_EQ(self->lives, 0);
        letter('r');
    }
}
struct aborts_tree { trt_handle(root_forks) h; };
trt_async(int, aborts_tree)
{
    trt_body {
        self->h = trt_spawn(root_forks);
        trt_await(trt_sleep(trt_ms(1)));
        trt_abort(self->h);
        trt_await(trt_join(self->h, NULL));
        CHECK_EQ(trt_status(), TRT_CANCELLED);
    }
}

TEST(abort_of_a_tree_of_forks_unwinds_from_the_leaves)
{
    CHECK_EQ(trt_run_with(&on_virtual_clock, aborts_tree, NULL), TRT_OK);
    CHECK_EQ(strlen(letters), 7);
    CHECK_EQ(letters[6], 'r');
    CHECK(strchr(letters, 'x') == NULL);
}

/* A sync that gives way before it has waited, and is aborted before it goes on: in a fork, in a slot that is new. */
enum { MANY_LEAVES = 300, LEAVES_OF_A_TURN = 10 };
struct counted_leaf { int i; trt_any_handle *task; };
trt_async(int, counted_leaf)
{
    trt_body {
        if (self->i == MANY_LEAVES - LEAVES_OF_A_TURN) trt_abort(*self->task);
        trt_return(self->i);
    }
}
struct gives_way { int i; trt_any_handle *task; };
trt_async(int, gives_way)
{
    trt_body {
        for (self->i = 0; self->i < MANY_LEAVES; self->i++) trt_fork(counted_leaf, NULL, .i = self->i, .task = self->task);
        trt_await(trt_sync());
        letter('x');
    }
}
struct aborted_while_it_gives_way { trt_any_handle *task; };
trt_async(int, aborted_while_it_gives_way)
{
    trt_body {
        trt_fork(gives_way, NULL, .task = self->task);
        trt_await(trt_sync());
        letter('x');
    }
}
struct aborts_what_gives_way { trt_any_handle task; };
trt_async(int, aborts_what_gives_way)
{
    trt_body {
        self->task = trt_any(trt_spawn(aborted_while_it_gives_way, .task = &self->task));
        trt_await(trt_join(self->task, NULL));
        CHECK_EQ(trt_status(), TRT_CANCELLED);
    }
}

TEST(a_sync_that_has_given_way_may_be_aborted)
{
    CHECK_EQ(trt_run_with(&on_one_thread, aborts_what_gives_way, NULL), TRT_OK);
    CHECK_EQ(trt_run_with(&on_one_worker, aborts_what_gives_way, NULL), TRT_OK);
    CHECK_EQ(strlen(letters), 0);
}

struct fork_storm { int depth; atomic_int *lives; };
trt_async(int, fork_storm)
{
    trt_body {
        atomic_fetch_add(self->lives, 1);
        if (self->depth) {
            trt_fork(fork_storm, NULL, .depth = self->depth - 1, .lives = self->lives);
            trt_fork(fork_storm, NULL, .depth = self->depth - 1, .lives = self->lives);
            trt_await(trt_sync());
        } else
            trt_await(trt_sleep_until(INT64_MAX));
    }
    trt_cleanup {
        if (trt_cancelled())
            trt_await(trt_yield());
        atomic_fetch_sub(self->lives, 1);
    }
}
struct aborts_storms { long i, n; trt_handle(fork_storm) h; atomic_int lives; };
trt_async(int, aborts_storms)
{
    trt_body {
        for (self->i = 0; self->i < self->n; self->i++) {
            self->h = trt_spawn(fork_storm, .depth = (int)(self->i % 7), .lives = &self->lives);
            if (self->i % 3 == 0)
                trt_await(trt_yield());
            if (self->i % 3 == 1)
                trt_await(trt_sleep(trt_us(self->i % 97)));
            trt_abort(self->h);
            trt_await(trt_join(self->h, NULL));
            CHECK_EQ(trt_status(), TRT_CANCELLED);
            /* one whose body never ran still ran its cleanup, and counted itself out */
            CHECK(atomic_load(&self->lives) <= 0);
            atomic_store(&self->lives, 0);
        }
    }
}

TEST(abort_of_growing_fork_trees_drains_them)
{
    CHECK_EQ(trt_run_with(&on_two_workers, aborts_storms, NULL, .n = ROUNDS(1500)), TRT_OK);
    CHECK_EQ(trt_run_with(&on_four_workers, aborts_storms, NULL, .n = ROUNDS(1500)), TRT_OK);
}

struct mixed { int depth; trt_frame(later) called; trt_handle(later) h; trt_mutex *m; trt_guard g; long *counter; };
trt_async(int, mixed)
{
    trt_body {
        if (self->depth > 0) {
            trt_fork(mixed, NULL, .depth = self->depth - 1, .m = self->m, .counter = self->counter);
            trt_fork(mixed, NULL, .depth = self->depth - 1, .m = self->m, .counter = self->counter);
        }
        self->h = trt_spawn(later, .after = trt_us(20), .value = 1);
        trt_await_ok(trt_call(later, &self->called, .after = trt_us(10), .value = 1));
        trt_await_ok(trt_lock(self->m, &self->g));
        ++*self->counter;
        trt_unlock(&self->g);
        trt_await_ok(trt_join(self->h, NULL));
        trt_await_ok(trt_sync());
    }
    trt_cleanup {
        trt_unlock(&self->g);
        trt_await(trt_stop(self->h));
    }
}

static trt_mutex mixed_mutex;
TEST(forks_calls_locks_and_joins_together)
{
    long counter = 0;
    CHECK_EQ(trt_run_with(&on_four_workers, mixed, NULL, .depth = 9, .m = &mixed_mutex, .counter = &counter), TRT_OK);
    CHECK_EQ(counter, 1023);
}

struct sync_that_is_complete { int out, i; };
trt_async(trt_void, sync_that_is_complete)
{
    trt_body {
        for (self->i = 0; self->i < 2; self->i++) {
            self->out = 0;
            trt_fork(now_value, &self->out, .value = 7); /* run from the queue, not by the sync */
            AWAIT_UNTIL(self->out == 7);
            trt_await_any_biased(trt_sync(), trt_sleep_until(0));
            CHECK_EQ(trt_chosen(), 0);
            CHECK_EQ(trt_status(), TRT_OK);
        }
        trt_fork(failing, NULL, .status = TRT_FULL);
        trt_await(trt_sleep(trt_ms(1)));
        trt_await_any_biased(trt_sync(), trt_sleep_until(0));
        CHECK_EQ(trt_chosen(), 0);
        CHECK_EQ(trt_status(), TRT_FULL);
    }
}

TEST(a_sync_whose_forks_have_ended_is_complete_at_once)
{
    CHECK_EQ(trt_run_with(&on_virtual_clock, sync_that_is_complete, NULL), TRT_OK);
}

/* A turn may run a great many children on the back of a strand: they count for what must not wait. */
static int leaves_run, most_behind; /* on one worker */
struct gets_in { int at; };
trt_async(int, gets_in)
{
    trt_body {
        if (leaves_run - self->at > most_behind)
            most_behind = leaves_run - self->at;
    }
}
static void *calls_in(void *rt)
{
    trt_detach(trt_spawn_on((trt_runtime *)rt, gets_in, .at = leaves_run));
    return NULL;
}
struct calling_leaf { trt_runtime *rt; };
trt_async(int, calling_leaf)
{
    trt_body {
        trt_instant until = trt_now() + trt_us(10);
        while (trt_now() < until) {}
        if (++leaves_run % 997 == 0) {
            pthread_t thread;
            pthread_create(&thread, NULL, calls_in, self->rt);
            pthread_join(thread, NULL);
        }
    }
}
struct calling_tree { trt_runtime *rt; int i; };
trt_async(int, calling_tree)
{
    trt_body {
        for (self->i = 0; self->i < 10000; self->i++)
            trt_fork(calling_leaf, NULL, .rt = self->rt);
        trt_await_ok(trt_sync());
    }
}

TEST(a_tree_of_forks_lets_what_comes_from_elsewhere_begin)
{
    trt_runtime *rt;
    CHECK_EQ(trt_runtime_start(&rt, &on_one_worker), TRT_OK);
    CHECK_EQ(trt_block_on(rt, calling_tree, NULL, .rt = rt), TRT_OK);
    CHECK_EQ(trt_runtime_free(rt), TRT_OK);
    CHECK(most_behind <= 250); /* 61 polls, as many as a budget allows, and 0.2 ms */
}

/* ---- a fork that fails with an errno ---- */

struct errs { trt_duration after; int error; };
trt_async(int, errs)
{
    trt_body {
        if (self->after)
            trt_await(trt_sleep(self->after));
        trt_here_.worker->cur->wait.error = (uint16_t)self->error; /* as a failed await leaves it */
        trt_fail(TRT_ERRNO);
    }
    trt_cleanup { trt_await(trt_yield()); }
}
struct forks_errs { int i, n; };
trt_async(int, forks_errs)
{
    trt_body {
        for (self->i = 0; self->i < 8; self->i++) {
            trt_await(trt_sleep(trt_us(100)));
            trt_fork(errs, NULL, .after = self->i & 1 ? trt_ms(1) : 0, .error = 1000 + self->i);
            if (self->i & 2)
                trt_fork(errs, NULL, .after = trt_ms(20), .error = 99); /* is not the first */
            if (self->i & 4)
                trt_await_all(trt_sleep(trt_ms(2)), trt_sync());
            else
                trt_await(trt_sync());
            CHECK_EQ(trt_status(), TRT_ERRNO);
            CHECK_EQ(trt_errno(), 1000 + self->i);
            self->n += trt_errno() == 1000 + self->i;
        }
        trt_await(trt_sync());
        CHECK_EQ(trt_status(), TRT_OK);
        trt_await_all(trt_within(trt_s(5), trt_sync()), trt_sleep(trt_ms(2)));
        CHECK_EQ(trt_status(), TRT_OK);
        trt_fork(errs, NULL, .after = trt_ms(1), .error = 1234);
        trt_await_all(trt_within(trt_s(5), trt_sync()), trt_sleep(trt_ms(2)));
        CHECK_EQ(trt_errno(), 1234);
        trt_return(self->n);
    }
}
TEST(a_sync_tells_the_number_of_the_first_error)
{
    int n = 0;
    CHECK_EQ(trt_run_with(&on_virtual_clock, forks_errs, &n), TRT_OK);
    CHECK_EQ(n, 8);
    CHECK_EQ(trt_run_with(&on_two_workers, forks_errs, &n), TRT_OK);
    CHECK_EQ(n, 8);
}

/* Nobody asks: nothing of it is left in the runtime. */
struct leaves_errs { int i; };
trt_async(int, leaves_errs)
{
    trt_body {
        trt_fork(errs, NULL, .error = 5);
        trt_fork(errs, NULL, .after = trt_ms(1), .error = 6);
        if (self->i == 1)
            trt_await(trt_sleep(trt_ms(2)));
    }
    trt_cleanup {
        trt_fork(errs, NULL, .error = 7);
        if (self->i == 2)
            trt_await(trt_sleep(trt_ms(2)));
    }
}
struct counts_records { int i; trt_frame(leaves_errs) call; };
trt_async(int, counts_records)
{
    trt_body {
        for (self->i = 0; self->i < 3; self->i++) {
            trt_await(trt_call(leaves_errs, &self->call, .i = self->i));
            CHECK(!any_records());
        }
    }
}
TEST(the_number_of_an_error_that_nobody_asks_for_is_forgotten)
{
    CHECK_EQ(trt_run_with(&on_virtual_clock, counts_records, NULL), TRT_OK);
    CHECK_EQ(trt_run_with(&on_two_workers, counts_records, NULL), TRT_OK);
}

/* A seed repeats a schedule, however long the polls take. */
static uint64_t order_of_trees;
static trt_duration length_of_poll;
struct seeded_tree { int id, n; };
static void note_tree(int id)
{
    struct timespec t;
    int64_t until = 0, now = 0;
    order_of_trees = (order_of_trees ^ (uint64_t)id) * 1099511628211u;
    do {
        clock_gettime(CLOCK_MONOTONIC, &t);
        now = (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
        until = until ? until : now + length_of_poll;
    } while (now < until);
}
trt_async(int, seeded_tree)
{
    trt_body {
        note_tree(self->id * 100 + self->n);
        if (self->n > 1) {
            trt_fork(seeded_tree, NULL, .id = self->id, .n = self->n - 1);
            trt_fork(seeded_tree, NULL, .id = self->id, .n = self->n - 2);
            trt_await(trt_sync());
            note_tree(self->id);
        }
    }
}
struct seeded_trees { trt_join_set(seeded_tree) set; int i; };
trt_async(int, seeded_trees)
{
    trt_body {
        for (self->i = 0; self->i < 4; self->i++)
            trt_spawn_in(&self->set, seeded_tree, .id = self->i + 1, .n = 12 + self->i);
        do {
            trt_await(trt_join_next(&self->set, NULL));
        } while (trt_status() != TRT_EMPTY);
    }
}

TEST(a_seed_repeats_a_schedule_however_long_polls_take)
{
    uint64_t first = 0;
    for (int i = 0; i < 3; i++) {
        trt_config config = {.virtual_clock = i < 2, .current_thread = true, .seed = 42};
        order_of_trees = 1469598103934665603u;
        length_of_poll = i % 2 ? 1000 : 0;
        CHECK_EQ(trt_run_with(&config, seeded_trees, NULL), TRT_OK);
        if (!i)
            first = order_of_trees;
        CHECK(order_of_trees == first || i == 2);
    }
}

int main(int argc, char **argv) { return harness_main(argc, argv); }
