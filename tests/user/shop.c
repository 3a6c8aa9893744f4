/* The tasks of the shop. */
#define _POSIX_C_SOURCE 200809L
#include "shop.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

trt_blocking_def(int, doze)
{
    int rounds = 0;
    while (self->least < 0 ? !trt_cancelled() : rounds < self->least) {
        nanosleep(&(struct timespec){0, 100000}, NULL);
        rounds++;
    }
    return rounds;
}

struct verify { order order; };
trt_blocking_fn(bool, verify) { return self->order.amount > 0 && strlen(self->order.customer) > 0; }

trt_async_def(long, sum)
{
    trt_body {
        if (self->from == self->to) trt_return(self->from);
        int middle = self->from + (self->to - self->from) / 2;
        trt_fork(sum, &self->left, .from = self->from, .to = middle);
        trt_fork(sum, &self->right, .from = middle + 1, .to = self->to);
        trt_await_ok(trt_sync());
        trt_return(self->left + self->right);
    }
}

/* One clerk takes orders until the counter is closed. */
struct clerk {
    shop *shop;
    order order;
    trt_permit till;
    trt_guard guard, rules;
    trt_frame(sum) price;
    trt_job(verify) check;
    int served, discount;
};
trt_async(int, clerk)
{
    trt_body {
        for (;;) {
            trt_await(trt_recv(&self->shop->counter, &self->order));
            if (trt_status() == TRT_CLOSED) break;
            if (trt_status() != TRT_OK) trt_fail(trt_status());
            trt_await_ok(trt_acquire(&self->shop->tills, &self->till));
            if (self->order.id % 5 == 0) {
                trt_await_ok(trt_blocking(verify, &self->check, .order = self->order));
                if (!self->check.out) trt_panic("a bad order from %s", self->order.customer);
            } else {
                trt_await_ok(trt_within(trt_s(100), trt_call(sum, &self->price, .from = 1, .to = 8)));
                if (self->price.out != 36) trt_panic("%ld", self->price.out);
            }
            trt_release(&self->till);
            trt_await_ok(trt_read_lock(&self->shop->rules, &self->rules));
            self->discount = self->shop->discount;
            trt_unlock(&self->rules);
            trt_await_ok(trt_lock(&self->shop->lock, &self->guard));
            self->shop->turnover += self->order.amount - self->discount;
            (void)trt_watch_send(&self->shop->board, &self->shop->turnover);
            trt_unlock(&self->guard);
            (void)trt_broadcast_send(&self->shop->receipts, &self->order.id);
            self->served++;
        }
        trt_return(self->served);
    }
    trt_cleanup {
        trt_unlock(&self->guard);
        trt_unlock(&self->rules);
        trt_release(&self->till);
    }
}

/* Reads "AMOUNT\n" from a pipe until its end: each line is an order. */
struct read_lines {
    shop *shop;
    int fd, number;
    size_t length;
    char text[256], *line;
};
trt_async(trt_void, read_lines)
{
    trt_body {
        for (;;) {
            trt_await_ok(trt_readable(self->fd));
            ssize_t n = read(self->fd, self->text + self->length, sizeof self->text - 1 - self->length);
            if (n == 0) return;
            if (n < 0 && errno != EAGAIN) trt_fail(TRT_ERRNO);
            if (n < 0) continue;
            self->length += (size_t)n;
            self->text[self->length] = 0;
            for (self->line = self->text; strchr(self->line, '\n'); self->line = strchr(self->line, '\n') + 1) {
                order one = {self->number, (int)strtol(self->line, NULL, 10), "by post"};
                self->number++;
                trt_await_ok(trt_send(&self->shop->counter, &one));
            }
            self->length = strlen(self->line);
            memmove(self->text, self->line, self->length + 1);
        }
    }
}

/* Changes the rules there and back, once a millisecond, until the shop closes. */
struct manage { shop *shop; trt_interval interval; trt_guard guard; };
trt_async(trt_void, manage)
{
    trt_body {
        trt_interval_init(&self->interval, trt_ms(1), TRT_DELAY);
        for (;;) {
            trt_await_any(trt_tick(&self->interval), trt_token_wait(self->shop->closing));
            if (trt_chosen() != 0) return;
            trt_await_ok(trt_write_lock(&self->shop->rules, &self->guard));
            self->shop->discount++;
            self->shop->discount--;
            trt_unlock(&self->guard);
        }
    }
    trt_cleanup { trt_unlock(&self->guard); }
}

struct look_at_the_board { shop *shop; trt_follower(long) follower; long value; int looks; };
trt_async(int, look_at_the_board)
{
    trt_body {
        trt_watch_follow(&self->shop->board, &self->follower);
        for (;;) {
            trt_await(trt_watch_changed(&self->follower, &self->value));
            if (trt_status() != TRT_OK) break;
            self->looks++;
        }
        trt_return(self->looks);
    }
}

trt_async_def(int, count_receipts)
{
    trt_body {
        (void)trt_subscribe(&self->shop->receipts, &self->subscriber);
        (void)trt_oneshot_send(&self->shop->counting, 1);
        for (;;) {
            trt_await(trt_broadcast_recv(&self->subscriber, &self->id));
            if (trt_status() == TRT_CLOSED) break;
            if (trt_status() == TRT_LAGGED) self->n += (int)trt_lagged(&self->subscriber);
            else self->n++;
        }
        trt_return(self->n);
    }
    trt_cleanup { trt_unsubscribe(&self->subscriber); }
}

trt_async_def(trt_void, loiter)
{
    trt_body {
        if (self->fd >= 0) trt_await_ok(trt_readable(self->fd));
        trt_await(trt_sleep(trt_s(1000000)));
    }
    trt_cleanup { trt_await(trt_sleep(trt_us(100))); }
}

static void fall(int depth)
{
    while (depth-- > 0) nanosleep(&(struct timespec){0, 1000}, NULL);
    trt_panic("fell down");
}
trt_async_def(trt_void, stumble)
{
    trt_body {
        trt_await(trt_yield());
        fall(self->depth);
    }
}

trt_async_def(long, calendar)
{
    trt_body {
        self->begin = trt_now();
        for (self->day = 0; self->day < self->days; self->day++) trt_await_ok(trt_sleep(trt_s(86400)));
        trt_return((long)((trt_now() - self->begin) / trt_s(3600)));
    }
}

struct run_shop {
    shop *shop;
    int lines, i, served, total, looks;
    trt_handle(manage) manager;
    trt_handle(look_at_the_board) looker;
    trt_join_set(clerk) clerks;
    trt_frame(read_lines) reader;
};
trt_async(long, run_shop)
{
    trt_body {
        trt_await_ok(trt_oneshot_recv(&self->shop->counting, NULL));
        self->manager = trt_spawn(manage, .shop = self->shop);
        self->looker = trt_spawn_named("looker", look_at_the_board, .shop = self->shop);
        for (self->i = 0; self->i < 3; self->i++) trt_spawn_in(&self->clerks, clerk, .shop = self->shop);
        trt_await_ok(trt_call(read_lines, &self->reader, .shop = self->shop, .fd = self->lines, .number = 1000));
        trt_channel_close(&self->shop->counter);
        while (trt_set_len(&self->clerks) > 0) {
            trt_await_ok(trt_join_next(&self->clerks, &self->served));
            self->total += self->served;
        }
        trt_token_cancel(self->shop->closing);
        trt_await_ok(trt_join(self->manager, NULL));
        trt_broadcast_close(&self->shop->receipts);
        trt_watch_close(&self->shop->board);
        trt_await_ok(trt_join(self->looker, &self->looks));
        if (self->looks < 1 || self->looks > self->total) trt_panic("%d looks", self->looks);
        trt_return(self->shop->turnover);
    }
    trt_cleanup {
        trt_await(trt_set_shutdown(&self->clerks));
        trt_await(trt_stop(self->manager));
        trt_await(trt_stop(self->looker));
    }
}

trt_async_def(long, open_shop)
{
    trt_body {
        trt_fork(run_shop, &self->turnover, .shop = self->shop, .lines = self->lines);
        trt_await_ok(trt_sync());
        trt_return(self->turnover);
    }
}
