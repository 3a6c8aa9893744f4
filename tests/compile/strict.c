/* Every shape of the notation in the user's file: no warning from any of them, whatever is asked for. */
#include "../../taskrt.h"

#include <stddef.h>

struct point { int x, y; };
typedef int (*binary)(int, int);
typedef trt_channel(struct point) points;
typedef trt_oneshot(struct point) one_point;
typedef trt_broadcast(int) broadcast_ints;
typedef trt_subscriber(int) subscriber_ints;
typedef trt_watch(struct point) watch_point;
typedef trt_follower(struct point) follower_point;

struct nothing { trt_void none; };
trt_async(trt_void, nothing)
{
    trt_body { return; }
}

struct gives_point { int x, i; };
trt_async(struct point, gives_point)
{
    trt_body {
        for (self->i = 0; self->i < 3; self->i++) {
            if (self->i % 2)
                trt_await(trt_yield());
            else
                trt_await(trt_sleep(trt_ms(1)));
        }
        trt_return((struct point){self->x, 2});
    }
    trt_cleanup { trt_await(trt_yield()); }
}

struct gives_function { trt_void none; };
trt_async(binary, gives_function)
{
    trt_body { }
}

struct works { size_t n; };
trt_blocking_fn(size_t, works)
{
    if (trt_cancelled())
        trt_panic("cancelled after %zu", self->n);
    return self->n / 2;
}

struct tree { int depth; long left, right; trt_any_handle child; trt_join_set_of(long) set; };
trt_async(long, tree)
{
    trt_body {
        if (self->depth == 0)
            trt_return(1);
        trt_fork(tree, &self->left, .depth = self->depth - 1);
        trt_fork(tree, NULL);
        trt_await_ok(trt_sync());
        self->child = trt_any(trt_spawn(tree, .depth = 0));
        trt_await_ok(trt_join(self->child, (void *)&self->right));
        trt_spawn_in(&self->set, tree, .depth = 0);
        trt_spawn_in(&self->set, tree);
        trt_await(trt_join_next(&self->set, &self->right));
        trt_return(self->left + self->right);
    }
}

/* Arguments that nobody changes, started in each of the ways. */
struct constants { const int k; const char *const text; const double array[2]; trt_void none; };
trt_async(int, constants)
{
    trt_body { trt_return(self->k + (self->text != NULL)); }
}
struct constant_job { const size_t n; };
trt_blocking_fn(size_t, constant_job) { return self->n; }
struct starts_constants { trt_frame(constants) frame; trt_job(constant_job) job; trt_join_set(constants) set; int out; };
trt_async(int, starts_constants)
{
    trt_body {
        trt_await_ok(trt_call(constants, &self->frame, .k = 1, .text = "one"));
        trt_await_ok(trt_blocking(constant_job, &self->job, .n = 1));
        trt_fork(constants, &self->out, .k = 2);
        trt_await_ok(trt_sync());
        trt_await_ok(trt_join(trt_spawn(constants, .k = 3), &self->out));
        trt_detach(trt_spawn_blocking(constant_job, .n = 4));
        trt_spawn_in(&self->set, constants, .k = 5, .text = "five");
    }
}

struct everything {
    trt_handle(gives_point) h, named;
    trt_handle(works) w;
    trt_frame(gives_point) frame;
    trt_job(works) job;
    trt_join_set(gives_point) set;
    struct point p;
    size_t n;
    trt_semaphore s;
    trt_permit permit;
    trt_mutex m;
    trt_rwlock rw;
    trt_guard g;
    trt_notify notify;
    trt_barrier barrier;
    trt_once once;
    trt_token *token;
    int *arc;
    bool flag;
    points c;
    one_point one;
    broadcast_ints b;
    subscriber_ints sub;
    watch_point w2;
    follower_point f;
    trt_interval iv;
    trt_op op;
    int i;
};
trt_async(int, everything)
{
    trt_body {
        self->h = trt_spawn(gives_point, .x = 1);
        self->named = trt_spawn_named("name", gives_point);
        self->w = trt_spawn_blocking(works, .n = 4);
        if (trt_spawn_detached(nothing) != TRT_OK)
            trt_fail(TRT_CLOSED);
        if (!trt_spawned(self->h))
            return;
        trt_await(trt_join(self->h, &self->p));
        if (trt_status() == TRT_PANICKED && trt_failure())
            trt_panic("%s at %s:%d", trt_failure()->message, trt_failure()->file, trt_failure()->line);
        trt_await(trt_join(self->named, NULL));
        trt_await_ok(trt_join(self->w, &self->n));
        trt_await(trt_call(gives_point, &self->frame, .x = 3));
        trt_await(trt_call(gives_point, &self->frame));
        trt_await(trt_blocking(works, &self->job, .n = 5));
        trt_await_any(trt_call(gives_point, &self->frame, .x = 3), trt_sleep(trt_s(0.5)));
        if (trt_chosen() == 1)
            trt_await_any_biased(trt_sleep(trt_us(1)), trt_yield());
        trt_await_all(trt_sleep(1), trt_sleep(2));
        trt_await_try_all(trt_sleep(1), trt_within(trt_ms(1), trt_sleep(2)), trt_within_until(trt_now(), trt_sleep(1)));
        if (trt_status_of(1) == TRT_ERRNO && trt_errno() == 1)
            return;
        trt_spawn_in(&self->set, gives_point, .x = 2);
        trt_spawn_in(&self->set, gives_point);
        trt_await(trt_join_next(&self->set, &self->p));
        if (trt_try_join_next(&self->set, &self->p) == TRT_EMPTY)
            self->i++;
        trt_semaphore_init(&self->s, 1);
        trt_await(trt_acquire(&self->s, &self->permit));
        trt_release(&self->permit);
        trt_await(trt_lock(&self->m, &self->g));
        trt_unlock(&self->g);
        trt_await(trt_read_lock(&self->rw, &self->g));
        trt_unlock(&self->g);
        trt_notify_one(&self->notify);
        self->op = trt_notified(&self->notify);
        trt_await(self->op);
        trt_barrier_init(&self->barrier, 1);
        trt_await(trt_barrier_wait(&self->barrier, &self->flag));
        trt_await(trt_once_enter(&self->once, &self->flag));
        trt_once_done(&self->once);
        self->token = trt_token_new(NULL);
        trt_token_free(self->token);
        self->arc = trt_arc_new(sizeof *self->arc, NULL);
        trt_arc_drop(self->arc);
        if (trt_channel_init(&self->c, TRT_UNBOUNDED) == TRT_OK) {
            trt_await(trt_send(&self->c, &(struct point){1, 2}));
            trt_await(trt_recv(&self->c, &self->p));
        }
        if (trt_oneshot_send(&self->one, (struct point){1, 2}) == TRT_OK)
            trt_await(trt_oneshot_recv(&self->one, &self->p));
        if (trt_broadcast_init(&self->b, 3) == TRT_OK && trt_subscribe(&self->b, &self->sub) == TRT_OK) {
            trt_broadcast_send(&self->b, &(int){3});
            trt_await(trt_broadcast_recv(&self->sub, &self->i));
            trt_unsubscribe(&self->sub);
        }
        trt_watch_init(&self->w2, &(struct point){1, 2});
        trt_watch_follow(&self->w2, &self->f);
        trt_watch_send(&self->w2, &(struct point){3, 4});
        trt_await(trt_watch_changed(&self->f, &self->p));
        if (trt_interval_init(&self->iv, trt_ms(1), TRT_BURST) == TRT_OK)
            trt_await(trt_tick(&self->iv));
        trt_await_at(1, trt_sleep(1)); trt_await_at(2, trt_sleep(1));
        trt_await(trt_readable(0));
        trt_await(trt_stop(self->h));
        trt_return(self->i);
    }
    trt_cleanup {
        trt_unlock(&self->g);
        trt_release(&self->permit);
        trt_await(trt_set_shutdown(&self->set));
        trt_channel_free(&self->c);
        trt_broadcast_free(&self->b);
    }
}

int main(void)
{
    trt_runtime *rt;
    int out;
    long sum;
    trt_config config = {.workers = 2};
    if (trt_run(everything, &out) != TRT_OK || trt_run(nothing, NULL) != TRT_OK)
        return 1;
    if (trt_run_with(&config, tree, &sum, .depth = 3) != TRT_OK)
        return 1;
    if (trt_run(gives_function, NULL) != TRT_OK || trt_run(starts_constants, NULL, .out = 1) != TRT_OK)
        return 1;
    if (trt_runtime_start(&rt, NULL) != TRT_OK)
        return 1;
    {
        trt_handle(works) h = trt_spawn_blocking_on(rt, works, .n = 2);
        size_t n;
        trt_join_thread(h, &n);
    }
    trt_block_on(rt, tree, &sum, .depth = 1);
    trt_runtime_shutdown(rt, trt_s(1));
    trt_runtime_free(rt);
    return 0;
}
