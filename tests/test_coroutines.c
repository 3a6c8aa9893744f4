/* The notation: bodies, cleanups, results, calls, and what a coroutine may not do. */
#include "harness.h"
#define TASKRT_IMPLEMENTATION
#include "../taskrt.h"
#include "common.h"

/* ---- results ---- */

struct nothing { trt_void none; };
trt_async(trt_void, nothing)
{
    trt_body { return; }
}

TEST(a_coroutine_without_arguments_and_result_runs)
{
    CHECK_EQ(trt_run(nothing, NULL), TRT_OK);
    trt_void out;
    CHECK_EQ(trt_run(nothing, &out), TRT_OK);
}

struct leaves { int how; };
trt_async(int, leaves)
{
    trt_body {
        if (self->how == 0)
            return;
        if (self->how == 1)
            trt_return(41 + 1);
    }
}

TEST(return_and_falling_off_leave_the_result_zeroed)
{
    int out = 7;
    CHECK_EQ(trt_run(leaves, &out, .how = 0), TRT_OK);
    CHECK_EQ(out, 0);
    out = 7;
    CHECK_EQ(trt_run(leaves, &out, .how = 2), TRT_OK);
    CHECK_EQ(out, 0);
    CHECK_EQ(trt_run(leaves, &out, .how = 1), TRT_OK);
    CHECK_EQ(out, 42);
}

struct point { int x, y; };
struct give_point { int x; };
trt_async(struct point, give_point)
{
    trt_body {
        trt_await(trt_yield());
        trt_return((struct point){self->x, self->x + 1});
    }
}

struct big { uint64_t words[64]; };
struct give_big { uint64_t seed; int i; struct big big; };
trt_async(struct big, give_big)
{
    trt_body {
        for (self->i = 0; self->i < 64; self->i++)
            self->big.words[self->i] = self->seed + (uint64_t)self->i;
        trt_await(trt_sleep(trt_us(1)));
        trt_return(self->big);
    }
}

struct give_pointer { const char *text; };
trt_async(const char *, give_pointer)
{
    trt_body { trt_return(self->text + 1); }
}

typedef int (*binary)(int, int);
static int add(int a, int b) { return a + b; }
struct give_function { trt_void none; };
trt_async(binary, give_function)
{
    trt_body { trt_return(add); }
}

struct give_double { double x; };
trt_async(double, give_double)
{
    trt_body { trt_return(self->x / 2); }
}

struct give_char { char c; };
trt_async(char, give_char)
{
    trt_body { trt_return(self->c); }
}

TEST(results_may_be_of_any_type)
{
    struct point point;
    struct big big;
    const char *text;
    binary function;
    double x;
    char c;
    CHECK_EQ(trt_run(give_point, &point, .x = 3), TRT_OK);
    CHECK_EQ(point.x, 3);
    CHECK_EQ(point.y, 4);
    CHECK_EQ(trt_run(give_big, &big, .seed = 1000), TRT_OK);
    CHECK_EQ(big.words[63], 1063);
    CHECK_EQ(trt_run(give_pointer, &text, .text = "xyz"), TRT_OK);
    CHECK_STR(text, "yz");
    CHECK_EQ(trt_run(give_function, &function), TRT_OK);
    CHECK_EQ(function(2, 3), 5);
    CHECK_EQ(trt_run(give_double, &x, .x = 1.5), TRT_OK);
    CHECK(x > 0.7499 && x < 0.7501);
    CHECK_EQ(trt_run(give_char, &c, .c = 'q'), TRT_OK);
    CHECK_EQ(c, 'q');
}

struct all_results {
    trt_handle(give_point) a;
    trt_handle(give_big) b;
    trt_handle(give_pointer) c;
    trt_handle(give_function) d;
    trt_handle(nothing) e;
    trt_frame(give_big) frame;
    struct point point;
    struct big big;
    const char *text;
    binary function;
    trt_void none;
};
trt_async(int, all_results)
{
    trt_body {
        self->a = trt_spawn(give_point, .x = 1);
        self->b = trt_spawn(give_big, .seed = 5);
        self->c = trt_spawn(give_pointer, .text = "abc");
        self->d = trt_spawn(give_function);
        self->e = trt_spawn(nothing);
        trt_await_ok(trt_join(self->a, &self->point));
        trt_await_ok(trt_join(self->b, &self->big));
        trt_await_ok(trt_join(self->c, &self->text));
        trt_await_ok(trt_join(self->d, &self->function));
        trt_await_ok(trt_join(self->e, &self->none));
        CHECK_EQ(self->point.y, 2);
        CHECK_EQ(self->big.words[10], 15);
        CHECK_STR(self->text, "bc");
        CHECK_EQ(self->function(4, 5), 9);
        trt_await_ok(trt_call(give_big, &self->frame, .seed = 100));
        CHECK_EQ(self->frame.out.words[63], 163);
        trt_return(1);
    }
}

TEST(results_of_any_type_come_back_through_join_and_call)
{
    int out = 0;
    CHECK_EQ(trt_run(all_results, &out), TRT_OK);
    CHECK_EQ(out, 1);
}

/* ---- arguments ---- */

struct many_arguments { int a; const char *b; double c; struct point d; char e[8]; int *zero; };
trt_async(int, many_arguments)
{
    trt_body {
        CHECK_EQ(self->a, 1);
        CHECK_STR(self->b, "two");
        CHECK(self->c > 2.9 && self->c < 3.1);
        CHECK_EQ(self->d.y, 5);
        CHECK_STR(self->e, "six");
        CHECK(self->zero == NULL);
        trt_return(self->a);
    }
}

TEST(arguments_are_moved_in_and_the_rest_is_zeroed)
{
    int out = 0;
    CHECK_EQ(trt_run(many_arguments, &out, .a = 1, .b = "two", .c = 3.0, .d = {4, 5}, .e = "six"), TRT_OK);
    CHECK_EQ(out, 1);
}

struct starts_zeroed { char bytes[300]; int i, sum; };
trt_async(int, starts_zeroed)
{
    trt_body {
        for (self->i = 0; self->i < 300; self->i++)
            self->sum += self->bytes[self->i] ? 1 : 0;
        memset(self->bytes, 0x5a, sizeof self->bytes);
        trt_return(self->sum);
    }
}

struct spawns_zeroed { int i, n; trt_handle(starts_zeroed) h; trt_frame(starts_zeroed) frame; };
trt_async(int, spawns_zeroed)
{
    trt_body {
        for (self->i = 0; self->i < 20; self->i++) {
            self->h = trt_spawn(starts_zeroed);
            trt_await_ok(trt_join(self->h, &self->n));
            CHECK_EQ(self->n, 0);
            trt_await_ok(trt_call(starts_zeroed, &self->frame));
            CHECK_EQ(self->frame.out, 0);
        }
    }
}

TEST(locals_are_zero_also_in_reused_memory) { CHECK_EQ(trt_run(spawns_zeroed, NULL), TRT_OK); }

/* ---- calls ---- */

struct leaf { int n; };
trt_async(int, leaf)
{
    trt_body {
        trt_await(trt_sleep(trt_ms(10)));
        trt_return(self->n * 2);
    }
}

struct middle { int n; trt_frame(leaf) a, b; };
trt_async(int, middle)
{
    trt_body {
        trt_await(trt_call(leaf, &self->a, .n = self->n));
        trt_await(trt_call(leaf, &self->b, .n = self->n + 1));
        trt_return(self->a.out + self->b.out);
    }
}

struct outer { int i, sum; trt_frame(middle) child; trt_instant start; };
trt_async(int, outer)
{
    trt_body {
        self->start = trt_now();
        for (self->i = 0; self->i < 3; self->i++) {
            trt_await(trt_call(middle, &self->child, .n = self->i));
            CHECK_EQ(trt_status(), TRT_OK);
            self->sum += self->child.out;
        }
        CHECK_EQ(trt_now() - self->start, trt_ms(60));
        trt_return(self->sum);
    }
}

TEST(nested_calls_return_their_results_and_a_frame_may_be_used_again)
{
    int out = 0;
    CHECK_EQ(trt_run_with(&on_virtual_clock, outer, &out), TRT_OK);
    CHECK_EQ(out, 2 * (0 + 1) + 2 * (1 + 2) + 2 * (2 + 3));
}

struct factorial { unsigned n; trt_any_handle below; uint64_t value; };
trt_async(uint64_t, factorial)
{
    trt_body {
        if (self->n < 2)
            trt_return(1);
        self->below = trt_any(trt_spawn(factorial, .n = self->n - 1));
        trt_await_ok(trt_join(self->below, (void *)&self->value));
        trt_return(self->n * self->value);
    }
}

TEST(recursion_by_spawn_through_any_handle)
{
    uint64_t out = 0;
    CHECK_EQ(trt_run(factorial, &out, .n = 20), TRT_OK);
    CHECK(out == 2432902008176640000u);
}

struct fibonacci { int n; long a, b; };
trt_async(long, fibonacci)
{
    trt_body {
        if (self->n < 2)
            trt_return(self->n);
        trt_fork(fibonacci, &self->a, .n = self->n - 1);
        trt_fork(fibonacci, &self->b, .n = self->n - 2);
        trt_await_ok(trt_sync());
        trt_return(self->a + self->b);
    }
}

TEST(recursion_by_fork)
{
    long out = 0;
    CHECK_EQ(trt_run(fibonacci, &out, .n = 15), TRT_OK);
    CHECK_EQ(out, 610);
}

/* ---- control flow around awaits ---- */

struct flow { int i, j, sum; };
trt_async(int, flow)
{
    trt_body {
        for (self->i = 0; self->i < 4; self->i++)
            trt_await(trt_yield());
        while (self->j < 10) {
            if (self->j % 2)
                trt_await(trt_sleep(trt_ms(1)));
            else
                trt_await(trt_yield());
            self->j++;
            if (self->j == 5)
                continue;
            if (self->j == 8)
                break;
            {
                {
                    do {
                        trt_await(trt_sleep(1));
                        self->sum++;
                    } while (self->sum % 3);
                }
            }
        }
        if (self->sum > 1000)
            trt_await(trt_sleep_until(INT64_MAX));
        else if (self->sum == 18)
            trt_return(self->sum);
        for (;;) {
            trt_await(trt_yield());
            trt_return(-self->sum);
        }
    }
}

TEST(awaits_may_stand_in_loops_branches_and_blocks)
{
    int out = 0;
    CHECK_EQ(trt_run_with(&on_virtual_clock, flow, &out), TRT_OK);
    CHECK_EQ(out, 18); /* j = 1 2 3 4 6 7 each add until a multiple of three */
}

#define AWAIT_TWO(a, b)                                                                            \
    do {                                                                                           \
        trt_await_at(1, a);                                                                        \
        trt_await_at(2, b);                                                                        \
    } while (0)

struct two_on_a_line { trt_instant start; };
trt_async(int, two_on_a_line)
{
    trt_body {
        self->start = trt_now();
        AWAIT_TWO(trt_sleep(trt_ms(3)), trt_sleep(trt_ms(4)));
        CHECK_EQ(trt_now() - self->start, trt_ms(7));
        trt_await_at(1, trt_sleep(trt_ms(1))); trt_await_at(2, trt_sleep(trt_ms(2))); trt_await_at(3, trt_sleep(trt_ms(3)));
        CHECK_EQ(trt_now() - self->start, trt_ms(13));
    }
}

TEST(await_at_tells_awaits_on_one_line_apart)
{
    CHECK_EQ(trt_run_with(&on_virtual_clock, two_on_a_line, NULL), TRT_OK);
}

struct derived { int value, runs; };
trt_async(int, derived)
{
    int *value = &self->value; /* derived again at every resume */
    self->runs++;
    trt_body {
        *value = 1;
        trt_await(trt_sleep(trt_ms(1)));
        *value += 2;
        trt_await(trt_sleep(trt_ms(1)));
        *value += 4;
        trt_return(*value);
    }
    trt_cleanup {
        CHECK_EQ(*value, 7);
        CHECK(self->runs >= 4); /* start, two resumes, cleanup */
    }
}

TEST(code_before_the_body_runs_at_every_resume_and_before_the_cleanup)
{
    int out = 0;
    CHECK_EQ(trt_run_with(&on_virtual_clock, derived, &out), TRT_OK);
    CHECK_EQ(out, 7);
}

/* ---- operations ---- */

struct op_again { trt_op op; trt_instant start; trt_semaphore s; trt_permit p; };
trt_async(int, op_again)
{
    trt_body {
        trt_semaphore_init(&self->s, 1);
        self->op = trt_acquire(&self->s, &self->p); /* does nothing */
        CHECK_EQ(trt_available_permits(&self->s), 1);
        self->op = trt_sleep(trt_ms(10));
        self->start = trt_now();
        trt_await(trt_sleep(trt_ms(5)));
        CHECK_EQ(trt_now() - self->start, trt_ms(5));
        trt_await(self->op); /* counts from here */
        CHECK_EQ(trt_now() - self->start, trt_ms(15));
        trt_await(self->op);
        CHECK_EQ(trt_now() - self->start, trt_ms(25));
    }
}

TEST(an_operation_does_nothing_until_awaited_and_may_be_awaited_again)
{
    CHECK_EQ(trt_run_with(&on_virtual_clock, op_again, NULL), TRT_OK);
}

struct set_flag { bool *flag; };
trt_async(trt_void, set_flag)
{
    trt_body { *self->flag = true; }
}

struct at_once { bool flag; trt_handle(set_flag) h; trt_semaphore s; trt_permit p; trt_mutex m; trt_guard g; int i; };
trt_async(int, at_once)
{
    trt_body {
        trt_semaphore_init(&self->s, 5);
        trt_await(trt_yield()); /* a fresh budget */
        self->h = trt_spawn(set_flag, .flag = &self->flag);
        trt_await(trt_acquire(&self->s, &self->p));
        trt_release(&self->p);
        trt_await(trt_lock(&self->m, &self->g));
        trt_unlock(&self->g);
        trt_await(trt_sync());
        CHECK(!self->flag); /* nothing suspended */
        for (self->i = 0; self->i < 1000; self->i++) {
            trt_await(trt_acquire(&self->s, &self->p));
            trt_release(&self->p);
        }
        CHECK(self->flag); /* the budget of 128 was used up long ago */
        trt_await(trt_join(self->h, NULL));
    }
}

TEST(an_await_that_is_complete_does_not_suspend_within_the_budget)
{
    CHECK_EQ(trt_run_with(&on_virtual_clock, at_once, NULL), TRT_OK);
}

/* ---- failing ---- */

struct fails { trt_status_code status; int cleaned; int *cleanups; };
trt_async(int, fails)
{
    trt_body { trt_fail(self->status); }
    trt_cleanup {
        if (self->cleanups)
            ++*self->cleanups;
    }
}

struct sees_failures { trt_frame(fails) child; trt_handle(fails) h; int out, cleanups; };
trt_async(int, sees_failures)
{
    trt_body {
        trt_await(trt_call(fails, &self->child, .status = TRT_CLOSED, .cleanups = &self->cleanups));
        CHECK_EQ(trt_status(), TRT_CLOSED);
        CHECK_EQ(self->cleanups, 1);
        self->out = 77;
        self->h = trt_spawn(fails, .status = TRT_FULL, .cleanups = &self->cleanups);
        trt_await(trt_join(self->h, &self->out));
        CHECK_EQ(trt_status(), TRT_FULL);
        CHECK_EQ(self->out, 77); /* written only with TRT_OK */
        CHECK_EQ(self->cleanups, 2);
        trt_fork(fails, &self->out, .status = TRT_LAGGED, .cleanups = &self->cleanups);
        trt_await(trt_sync());
        CHECK_EQ(trt_status(), TRT_LAGGED);
        CHECK_EQ(self->out, 77);
        trt_return(5);
    }
}

TEST(trt_fail_comes_back_from_call_join_sync_and_run)
{
    int out = 77;
    CHECK_EQ(trt_run(sees_failures, &out), TRT_OK);
    CHECK_EQ(out, 5);
    out = 77;
    CHECK_EQ(trt_run(fails, &out, .status = TRT_EMPTY), TRT_EMPTY);
    CHECK_EQ(out, 77);
}

struct propagates { trt_frame(fails) child; int *after, *cleaned; };
trt_async(int, propagates)
{
    trt_body {
        trt_await_ok(trt_yield());
        ++*self->after;
        trt_await_ok(trt_call(fails, &self->child, .status = TRT_CLOSED));
        *self->after += 100;
        trt_return(1);
    }
    trt_cleanup { ++*self->cleaned; }
}

TEST(await_ok_goes_on_with_ok_and_leaves_with_the_failure)
{
    int after = 0, cleaned = 0, out = 9;
    CHECK_EQ(trt_run(propagates, &out, .after = &after, .cleaned = &cleaned), TRT_CLOSED);
    CHECK_EQ(after, 1);
    CHECK_EQ(cleaned, 1);
    CHECK_EQ(out, 9);
}

struct cleanup_leaves { trt_frame(fails) child; int *steps; };
trt_async(int, cleanup_leaves)
{
    trt_body { trt_return(3); }
    trt_cleanup {
        ++*self->steps;
        trt_await_ok(trt_call(fails, &self->child, .status = TRT_CLOSED));
        *self->steps += 100;
    }
}

TEST(await_ok_in_a_cleanup_leaves_the_cleanup)
{
    int steps = 0;
    (void)trt_run(cleanup_leaves, NULL, .steps = &steps);
    CHECK_EQ(steps, 1);
}

/* ---- cleanup ---- */

struct cleans { int how; int *count; trt_status_code *why; trt_instant *at; };
trt_async(int, cleans)
{
    trt_body {
        if (self->how == 0)
            return;
        if (self->how == 1)
            trt_return(1);
        if (self->how == 2)
            trt_panic("as ordered");
        if (self->how == 3)
            trt_await(trt_sleep_until(INT64_MAX));
    }
    trt_cleanup {
        *self->why = trt_status();
        ++*self->count;
        trt_await(trt_sleep(trt_ms(5)));
        trt_await(trt_sleep(trt_ms(2)));
        *self->at = trt_now();
    }
}

struct cleanup_cases { int how, count, out; trt_status_code why; trt_instant start, at; trt_handle(cleans) h; };
trt_async(int, cleanup_cases)
{
    trt_body {
        for (self->how = 0; self->how < 6; self->how++) {
            self->count = 0;
            self->start = trt_now();
            self->h = trt_spawn(cleans, .how = self->how < 5 ? self->how : 3, .count = &self->count, .why = &self->why, .at = &self->at);
            if (self->how == 3) {
                trt_await(trt_sleep(trt_ms(1)));
                self->start = trt_now();
            }
            if (self->how == 3 || self->how == 5)
                trt_abort(self->h); /* 5: before the body ever started */
            trt_await(trt_join(self->h, &self->out));
            CHECK_EQ(trt_status(), self->how == 2 ? TRT_PANICKED : self->how == 3 || self->how == 5 ? TRT_CANCELLED : TRT_OK);
            CHECK_EQ(self->count, 1);
            CHECK_EQ(self->why, trt_status());
            CHECK_EQ(self->at, self->start + trt_ms(7));
            CHECK_EQ(trt_now(), self->at);
        }
    }
}

TEST(cleanup_runs_exactly_once_knows_why_and_may_await)
{
    capture_start();
    trt_status_code status = trt_run_with(&on_virtual_clock, cleanup_cases, NULL);
    capture_end();
    CHECK_EQ(status, TRT_OK);
}

struct deep3 { trt_void none; };
trt_async(int, deep3)
{
    trt_body { trt_await(trt_sleep_until(INT64_MAX)); }
    trt_cleanup {
        CHECK_EQ(trt_status(), TRT_CANCELLED);
        trt_await(trt_sleep(trt_ms(3)));
        letter('3');
    }
}
struct deep2 { trt_frame(deep3) child; };
trt_async(int, deep2)
{
    trt_body {
        trt_await(trt_call(deep3, &self->child));
        letter('x');
    }
    trt_cleanup {
        CHECK_EQ(trt_status(), TRT_CANCELLED);
        trt_await(trt_sleep(trt_ms(2)));
        letter('2');
    }
}
struct deep1 { trt_frame(deep2) child; };
trt_async(int, deep1)
{
    trt_body {
        trt_await(trt_call(deep2, &self->child));
        letter('x');
    }
    trt_cleanup {
        CHECK_EQ(trt_status(), TRT_CANCELLED);
        letter('1');
    }
}
struct aborts_deep { trt_handle(deep1) h; trt_instant start; };
trt_async(int, aborts_deep)
{
    trt_body {
        self->h = trt_spawn(deep1);
        trt_await(trt_sleep(trt_ms(1)));
        self->start = trt_now();
        trt_abort(self->h);
        trt_await(trt_join(self->h, NULL));
        CHECK_EQ(trt_status(), TRT_CANCELLED);
        CHECK_EQ(trt_now() - self->start, trt_ms(5));
    }
}

TEST(abort_unwinds_the_innermost_frame_first)
{
    CHECK_EQ(trt_run_with(&on_virtual_clock, aborts_deep, NULL), TRT_OK);
    CHECK_STR(letters, "321");
}

struct broken_child { trt_void none; };
trt_async(int, broken_child)
{
    trt_body {
        trt_await(trt_yield());
        trt_panic("child broke: %d", 42);
    }
    trt_cleanup {
        CHECK_EQ(trt_status(), TRT_PANICKED);
        letter('c');
    }
}
struct calls_broken { trt_frame(broken_child) child; };
trt_async(int, calls_broken)
{
    trt_body {
        trt_await(trt_call(broken_child, &self->child));
        letter('x');
    }
    trt_cleanup {
        CHECK_EQ(trt_status(), TRT_PANICKED);
        CHECK(trt_failure() != NULL);
        if (trt_failure())
            CHECK_STR(trt_failure()->message, "child broke: 42");
        letter('p');
    }
}

TEST(the_panic_of_a_called_child_is_the_callers)
{
    capture_start();
    trt_status_code status = trt_run(calls_broken, NULL);
    capture_end();
    CHECK_EQ(status, TRT_PANICKED);
    CHECK_STR(letters, "cp");
}

struct no_body { int *cleaned; };
trt_async(int, no_body)
{
    trt_body { trt_await(trt_yield()); }
    trt_cleanup {
        if (trt_status() == TRT_OK)
            ++*self->cleaned;
        else
            return;
        ++*self->cleaned;
        return;
    }
}

TEST(a_plain_return_ends_a_cleanup)
{
    int cleaned = 0;
    CHECK_EQ(trt_run(no_body, NULL, .cleaned = &cleaned), TRT_OK);
    CHECK_EQ(cleaned, 2);
}

/* ---- mistakes that only show at run time ---- */

static int lost_line;
struct inner_switch { int x, *cleaned; };
trt_async(int, inner_switch)
{
    trt_body {
        switch (self->x) {
        case 1:
            lost_line = __LINE__ + 1;
            trt_await(trt_sleep(trt_ms(1)));
            letter('x');
            break;
        default:
            break;
        }
        letter('y');
    }
    trt_cleanup { ++*self->cleaned; }
}

TEST(an_await_in_an_inner_switch_panics_with_its_line_and_cleans_up)
{
    int cleaned = 0;
    char line[32];
    capture_start();
    trt_status_code status = trt_run(inner_switch, NULL, .x = 1, .cleaned = &cleaned);
    const char *text = capture_end();
    CHECK_EQ(status, TRT_PANICKED);
    CHECK_EQ(cleaned, 1);
    CHECK_STR(letters, "");
    snprintf(line, sizeof line, "%d", lost_line);
    CHECK_CONTAINS(text, line);
    CHECK_CONTAINS(text, "test_coroutines.c");
    CHECK(trt_failure() != NULL);
    if (trt_failure() && !strstr(trt_failure()->message, line))
        CHECK_EQ(trt_failure()->line, lost_line);
}

static int stack_line;
struct out_on_the_stack { int how; trt_handle(later) h; trt_semaphore s; trt_guard guard; int *cleaned; };
trt_async(int, out_on_the_stack)
{
    trt_body {
        self->h = trt_spawn(later, .after = trt_ms(1), .value = 1);
        trt_semaphore_init(&self->s, 1);
        if (self->how == 0) {
            int out;
            stack_line = __LINE__ + 1;
            trt_await(trt_join(self->h, &out)); /* suspends */
        }
        if (self->how == 1) {
            trt_permit permit;
            stack_line = __LINE__ + 1;
            trt_await(trt_acquire(&self->s, &permit)); /* complete at once */
        }
        if (self->how == 2) {
            trt_mutex mutex = {0};
            stack_line = __LINE__ + 1;
            trt_await(trt_lock(&mutex, &self->guard)); /* an object on the stack */
        }
        if (self->how == 3) {
            trt_frame(later) frame;
            stack_line = __LINE__ + 1;
            trt_await(trt_call(later, &frame, .after = trt_ms(1)));
        }
        letter('x');
    }
    trt_cleanup {
        trt_await(trt_stop(self->h));
        ++*self->cleaned;
    }
}

static void stack_case(int how)
{
    int cleaned = 0;
    char line[32];
    capture_start();
    trt_status_code status = trt_run(out_on_the_stack, NULL, .how = how, .cleaned = &cleaned);
    const char *text = capture_end();
    CHECK_EQ(status, TRT_PANICKED);
    CHECK_EQ(cleaned, 1);
    CHECK_STR(letters, "");
    snprintf(line, sizeof line, "%d", stack_line);
    CHECK_CONTAINS(text, line);
}

TEST(an_out_pointer_into_the_stack_panics_when_the_await_suspends) { stack_case(0); }
TEST(a_frame_on_the_stack_panics_when_the_await_suspends) { stack_case(3); }
#if TASKRT_DEBUG
TEST(an_out_pointer_into_the_stack_always_panics_in_debug_builds) { stack_case(1); }
TEST(an_object_on_the_stack_always_panics_in_debug_builds) { stack_case(2); }

#ifndef __OPTIMIZE__
/* The compiler does not see this one (it only knows that the address escapes): debug builds overwrite the stack. */
static void hold(unsigned char *p) { (void)p; }
struct keeps_a_local { trt_void none; };
trt_async(int, keeps_a_local)
{
    unsigned char bytes[64];
    hold(bytes);
    trt_body {
        memset(bytes, 1, sizeof bytes);
        trt_await(trt_sleep(trt_ms(1)));
        int same = 0;
        for (int i = 0; i < 64; i++)
            same += bytes[i] == 1;
        trt_return(same);
    }
}

TEST(debug_builds_overwrite_the_stack_before_each_resume)
{
    int same = 64;
    CHECK_EQ(trt_run_with(&on_virtual_clock, keeps_a_local, &same), TRT_OK);
    CHECK(same < 64);
}
#endif
#endif

typedef trt_channel(struct point) points;
struct sends_a_local { points *c; };
trt_async(int, sends_a_local)
{
    trt_body {
        trt_await(trt_send(self->c, &(struct point){1, 2})); /* complete at once */
        trt_await(trt_send(self->c, &(struct point){3, 4})); /* waits for room */
        CHECK_EQ(trt_status(), TRT_OK);
    }
}
struct receives { points c; struct point p; trt_handle(sends_a_local) h; };
trt_async(int, receives)
{
    trt_body {
        CHECK_EQ(trt_channel_init(&self->c, 1), TRT_OK);
        self->h = trt_spawn(sends_a_local, .c = &self->c);
        trt_await(trt_sleep(trt_ms(1)));
        trt_await(trt_recv(&self->c, &self->p));
        CHECK_EQ(self->p.y, 2);
        trt_await(trt_recv(&self->c, &self->p));
        CHECK_EQ(self->p.x, 3);
        CHECK_EQ(self->p.y, 4);
        trt_await_ok(trt_join(self->h, NULL));
    }
    trt_cleanup {
        trt_await(trt_stop(self->h));
        trt_channel_free(&self->c);
    }
}

TEST(what_an_operation_only_reads_may_be_a_local)
{
    CHECK_EQ(trt_run_with(&on_virtual_clock, receives, NULL), TRT_OK);
}

/* What is learned from frames that never came as far as trt_body is not held against those that did. */
struct fronted { bool leaves; int *cleaned; };
trt_async(int, fronted)
{
    if (self->leaves) return;
    trt_body { trt_return(1); }
    trt_cleanup { ++*self->cleaned; }
}

struct runs_fronted { int cleaned, out; trt_frame(fronted) child; };
trt_async(int, runs_fronted)
{
    trt_body {
        trt_await(trt_join(trt_spawn(fronted, .leaves = true, .cleaned = &self->cleaned), &self->out));
        CHECK_EQ(trt_status(), TRT_OK);
        CHECK_EQ(self->out, 0);
        trt_await(trt_call(fronted, &self->child, .leaves = true, .cleaned = &self->cleaned));
        CHECK_EQ(self->cleaned, 0);
        trt_await(trt_join(trt_spawn(fronted, .cleaned = &self->cleaned), &self->out));
        CHECK_EQ(self->out, 1);
        trt_await(trt_call(fronted, &self->child, .cleaned = &self->cleaned));
        trt_fork(fronted, &self->out, .cleaned = &self->cleaned);
        trt_await(trt_sync());
        CHECK_EQ(self->cleaned, 3);
    }
}

TEST(a_return_in_front_of_the_body_says_nothing_of_the_cleanup) { CHECK_EQ(trt_run(runs_fronted, NULL), TRT_OK); }

/* ---- trt_errno ---- */

/* As an await that ended with TRT_ERRNO leaves it. */
static void set_errno(int n) { trt_here_.worker->cur->wait.error = (uint16_t)n; }

struct also_fails { int error; };
trt_async(int, also_fails)
{
    trt_body {
        set_errno(self->error);
        trt_fail(TRT_ERRNO);
    }
}
/* Fails with 1234; its cleanup awaits a timer, an fd that is ready, and what fails with another number. */
struct fails_and_cleans { int how, fd; trt_frame(also_fails) other; };
trt_async(int, fails_and_cleans)
{
    trt_body {
        set_errno(1234);
        trt_fail(TRT_ERRNO);
    }
    trt_cleanup {
        CHECK_EQ(trt_errno(), 1234);
        if (self->how == 1)
            trt_await(trt_sleep(trt_ms(1)));
        if (self->how == 2)
            trt_await(trt_writable(self->fd));
        if (self->how == 3) {
            trt_await(trt_call(also_fails, &self->other, .error = 99));
            CHECK_EQ(trt_errno(), 99);
        }
    }
}
/* The smallest frame: there is no room behind the result. */
struct tiny { unsigned char how; };
trt_async(trt_void, tiny)
{
    trt_body {
        set_errno(1234);
        trt_fail(TRT_ERRNO);
    }
    trt_cleanup {
        trt_await(trt_sleep(trt_ms(1)));
        CHECK_EQ(self->how, 77);
    }
}
struct returns_in_cleanup { int how; };
trt_async(int, returns_in_cleanup)
{
    trt_body {
        set_errno(1234);
        trt_fail(TRT_ERRNO);
    }
    trt_cleanup {
        trt_await(trt_sleep(trt_ms(1)));
        trt_return(54321);
    }
}
struct asks_errno {
    int i, fd[2];
    trt_frame(returns_in_cleanup) returning;
    trt_frame(fails_and_cleans) call;
    trt_frame(tiny) small;
    trt_handle(fails_and_cleans) h;
};
trt_async(int, asks_errno)
{
    trt_body {
        CHECK_EQ(pipe(self->fd), 0);
        for (self->i = 0; self->i < 4; self->i++) {
            trt_await(trt_call(fails_and_cleans, &self->call, .how = self->i, .fd = self->fd[1]));
            CHECK_EQ(trt_status(), TRT_ERRNO);
            CHECK_EQ(trt_errno(), 1234);
            CHECK_EQ(self->call.out, 0);
            self->h = trt_spawn(fails_and_cleans, .how = self->i, .fd = self->fd[1]);
            trt_await(trt_join(self->h, NULL));
            CHECK_EQ(trt_status(), TRT_ERRNO);
            CHECK_EQ(trt_errno(), 1234);
            self->h = trt_spawn(fails_and_cleans, .how = self->i, .fd = self->fd[1]);
            trt_await_any_biased(trt_join(self->h, NULL), trt_sleep(trt_s(1)));
            CHECK_EQ(trt_status(), TRT_ERRNO);
            CHECK_EQ(trt_errno(), 1234);
        }
        trt_await(trt_call(tiny, &self->small, .how = 77));
        CHECK_EQ(trt_status(), TRT_ERRNO);
        CHECK_EQ(trt_errno(), 1234);
        trt_await(trt_call(returns_in_cleanup, &self->returning, .how = 1));
        CHECK_EQ(trt_status(), TRT_ERRNO);
        CHECK_EQ(trt_errno(), 1234);
        close(self->fd[0]);
        close(self->fd[1]);
    }
}
TEST(the_number_of_an_error_outlasts_the_cleanup)
{
    CHECK_EQ(trt_run_with(&on_virtual_clock, asks_errno, NULL), TRT_OK);
    CHECK_EQ(trt_run_with(&on_two_workers, asks_errno, NULL), TRT_OK);
}

int main(int argc, char **argv) { return harness_main(argc, argv); }
