/* things.h - everything that can be awaited, as a table, with what it takes to say that nothing was lost.
 *
 * Two tasks wait for a thing, `victim` and `next`; a thread gives what one of them needs, and who got it passes it on
 * in its cleanup. So in the end exactly one is left over, whatever became of the two. The victim waits plainly, with a
 * deadline, in an any or all, or in a child, a fork or a member of a set.
 */
#include "model.h"
#define TASKRT_IMPLEMENTATION
#include "small.h"
#define TASKRT_TEST_SPINS 1
#include TASKRT_H_PATH

enum way { PLAINLY, WITHIN, IN_ANY, IN_ALL, IN_TRY_ALL, CALLED, FORKED, IN_SET, WAYS };
enum { VICTIM, NEXT };

#define COUNT(counter) ((void)TRT_ADD_(&(counter), 1u, relaxed))
#define COUNTED(counter) TRT_LOAD_(&(counter), seq_cst)

static trt_runtime *runtime;
static trt_a32_ kids_made, kids_cleaned;
static trt_notify bell;

/* What a thing is made of: a kid that ends when the bell rings, one that has to be aborted, a job behind a gate. */
struct kid { int *cleaned; bool stays; };
trt_async(int, kid)
{
    trt_body {
        if (self->stays) trt_await(trt_sleep_until(INT64_MAX));
        else trt_await(trt_notified(&bell));
        trt_return(5);
    }
    trt_cleanup {
        trt_await(trt_yield());
        if (self->cleaned) ++*self->cleaned; /* plain: whoever looks has waited for it */
        COUNT(kids_cleaned);
        if (!self->stays) trt_notify_one(&bell); /* one ring is enough for all */
    }
}

static trt_a32_ gate;
struct gated { int *in, *out; };
trt_blocking_fn(int, gated)
{
    if (self->in) ++*self->in;
    while (!TRT_LOAD_(&gate, acquire)) trt_os_wait_(&gate, 0, TRT_FOREVER_);
    if (self->out) ++*self->out;
    return 5;
}
static void open_gate(void)
{
    TRT_STORE_(&gate, 1u, release);
    trt_os_wake_(&gate, INT_MAX);
}

struct big { int v, more[7]; };
typedef trt_channel(int) ints;
typedef trt_channel(struct big) bigs;
typedef trt_oneshot(int) answer;
typedef trt_broadcast(int) news;
typedef trt_subscriber(int) reader;
typedef trt_watch(int) latest;
typedef trt_follower(int) follower;

/* A task that waits, and the places for what it gets. */
struct waiter {
    int which;
    enum way way;
    bool began, took;
    trt_status_code got;
    trt_permit permit;
    trt_guard guard;
    int x, y, drained, cleaned, in, out;
    bool first;
    struct big big;
    trt_interval interval;
    trt_frame(kid) child;
    trt_job(gated) job;
    trt_handle(kid) kid;
    trt_handle(gated) running;
    trt_join_set(kid) set;
};

struct waiter_frame_;
struct thing {
    const char *name;
    void (*set_up)(void);               /* before anybody waits */
    void (*prepare)(struct waiter_frame_ *, struct waiter *); /* in the task, before it waits */
    trt_op (*op)(struct waiter *);
    void (*give)(void);                 /* what lets one of them go on, or all */
    bool (*holds)(struct waiter *);     /* has it got something? */
    void (*pass_on)(struct waiter *);   /* in the cleanup of who got it */
    trt_op (*drain)(struct waiter *);   /* in every cleanup, until nothing comes */
    void (*look)(struct waiter *);      /* at the end of every cleanup */
    void (*instead)(void);              /* for `next`, if the victim went without */
    void (*check)(void);                /* in the end */
    void (*tear_down)(void);
    trt_status_code gives;              /* what who gets it is told; and who does not, if it was one for all */
    trt_status_code refuses;
    bool alone;                         /* nobody waits behind */
    bool freed_by_abort;                /* the abort alone lets `next` go on */
    bool virtual_clock;
};
static const struct thing *thing;
static enum way way;   /* of the victim */
static bool in_a_hurry; /* it does not wait for cleanups: what is left then is given up */
static bool shut;      /* the runtime is shut down meanwhile, so kids may be cancelled or not even made */

static struct told {
    int begun, cleanups, ended;
    bool took, in_time;
    trt_status_code got;
} told[2];
static trt_instant late; /* when the gift comes to those whom an abort alone has to help */

trt_async(int, waiter)
{
    trt_body {
        told[self->which].begun++;
        self->began = true;
        if (thing->prepare) thing->prepare(trt_frame_, self);
        if (self->way == WITHIN) trt_await(trt_within(trt_ms(1), thing->op(self)));
        else if (self->way == IN_ANY) trt_await_any(trt_sleep(trt_ms(1)), thing->op(self));
        else if (self->way == IN_ALL) trt_await_all(thing->op(self), trt_yield());
        else if (self->way == IN_TRY_ALL) trt_await_try_all(trt_yield(), thing->op(self));
        else trt_await(thing->op(self));
        self->got = trt_status();
        self->took = self->got == thing->gives && !(self->way == IN_ANY && trt_chosen() == 0);
        MODEL_CHECK(self->took || self->got == thing->refuses || (self->way == WITHIN && self->got == TRT_TIMED_OUT) ||
                    self->way == IN_ANY || shut);
        if (self->took) trt_await(trt_yield()); /* an abort comes too late to undo it, and acts here */
        trt_return(7);
    }
    trt_cleanup {
        told[self->which].cleanups++;
        MODEL_CHECK(trt_status() == TRT_OK || (trt_status() == TRT_CANCELLED && (self->which == VICTIM || shut)));
        if (thing->holds && self->took) MODEL_CHECK(thing->holds(self));
        if (thing->holds && self->way != IN_ALL && self->way != IN_TRY_ALL)
            MODEL_CHECK(thing->holds(self) == self->took);
        if (thing->holds) self->took = thing->holds(self);
        while (thing->drain && self->began) {
            trt_await(thing->drain(self));
            if (trt_status() == TRT_EMPTY || trt_status() == TRT_MISUSE || self->drained == 3) break;
            self->drained++;
        }
        if (thing->look && self->began) thing->look(self);
        if (self->took && thing->pass_on) thing->pass_on(self);
        trt_await(trt_yield());
        MODEL_CHECK(trt_status() == TRT_OK); /* shielded */
        told[self->which].took = self->took;
        told[self->which].got = self->got;
        told[self->which].in_time = trt_now() < late;
        told[self->which].ended++;
    }
}

/* The victim in a scope of another: that one's cleanup comes after the victim's. */
static void check_inner_ended(void)
{
    MODEL_CHECK(told[VICTIM].ended == told[VICTIM].begun || told[VICTIM].ended == 1);
}

struct caller { trt_frame(waiter) child; };
trt_async(int, caller)
{
    trt_body {
        trt_await_ok(trt_call(waiter, &self->child, .which = VICTIM, .way = CALLED));
        trt_return(self->child.out);
    }
    trt_cleanup { check_inner_ended(); }
}
struct forker { int out; };
trt_async(int, forker)
{
    trt_body {
        trt_fork(waiter, &self->out, .which = VICTIM, .way = FORKED);
        trt_await_ok(trt_sync());
        trt_return(self->out);
    }
    trt_cleanup { check_inner_ended(); }
}
struct owner { trt_join_set(waiter) set; int out; };
trt_async(int, owner)
{
    trt_body {
        trt_spawn_in(&self->set, waiter, .which = VICTIM, .way = IN_SET);
        trt_await_ok(trt_join_next(&self->set, &self->out));
        trt_return(self->out);
    }
    trt_cleanup {
        trt_await(trt_set_shutdown(&self->set));
        check_inner_ended();
    }
}

static trt_any_handle spawn_victim(void)
{
    if (way == CALLED) return trt_any(trt_spawn_on(runtime, caller));
    if (way == FORKED) return trt_any(trt_spawn_on(runtime, forker));
    if (way == IN_SET) return trt_any(trt_spawn_on(runtime, owner));
    return trt_any(trt_spawn_on(runtime, waiter, .which = VICTIM, .way = way));
}

static trt_any_handle victim;
static trt_a32_ abort_returned;

static void start(size_t jobs)
{
    int flavour = model_turn(3);
    trt_config config = {.current_thread = flavour == 2, .workers = flavour == 0 ? 2 : 1, .stall_after = -1,
                         .max_blocking_threads = jobs, .virtual_clock = thing->virtual_clock};
    memset(&bell, 0, sizeof bell);
    memset(told, 0, sizeof told);
    TRT_STORE_(&kids_made, 0u, relaxed);
    TRT_STORE_(&kids_cleaned, 0u, relaxed);
    late = trt_now() + trt_ms(5);
    TRT_STORE_(&gate, 0u, relaxed);
    TRT_STORE_(&abort_returned, 0u, relaxed);
    MODEL_CHECK(trt_runtime_start(&runtime, &config) == TRT_OK);
}

/* Where the abort alone has to help, time does not pass before nothing else moves. */
static void gives(void *unused)
{
    trt_a32_ nothing = 0;
    (void)unused;
    while (thing->freed_by_abort && trt_now() < late) trt_os_wait_(&nothing, 0, late);
    if (thing->give) thing->give();
}

static bool holds_x(struct waiter *w) { return w->x != 0; }
/* A kid or job of a runtime that is shut down ends as cancelled, and may not have been made at all. */
#define CHECK_UNLESS_SHUT(x) MODEL_CHECK(shut || (x))
static int takers(void) { return told[VICTIM].took + told[NEXT].took; }

/* ---- semaphore, mutex, read-write lock ---- */

static trt_semaphore semaphore;
static trt_mutex mutex;
static trt_rwlock rwlock;
static trt_guard held; /* from the begin, until it is given */

static void semaphore_set_up(void) { MODEL_CHECK(trt_semaphore_init(&semaphore, 0) == TRT_OK); }
static void semaphore_set_up_one(void) { MODEL_CHECK(trt_semaphore_init(&semaphore, 1) == TRT_OK); }
static trt_op acquire(struct waiter *w) { return trt_acquire(&semaphore, &w->permit); }
static trt_op acquire_two(struct waiter *w) { return trt_acquire_many(&semaphore, 2, &w->permit); }
static trt_op acquire_two_and_one(struct waiter *w)
{
    return trt_acquire_many(&semaphore, w->which == VICTIM ? 2 : 1, &w->permit);
}
static void add_one(void) { MODEL_CHECK(trt_add_permits(&semaphore, 1) == TRT_OK); }
static void add_one_and_one(void)
{
    add_one();
    add_one();
}
static bool holds_permit(struct waiter *w) { return w->permit.n_ != 0; }
static void release(struct waiter *w) { trt_release(&w->permit); }
static void check_permits(const trt_permits_ *p) { MODEL_CHECK(!p->waiters.head && !p->waiters.tail); }
static void check_permit(void)
{
    check_permits(&semaphore.base_);
    MODEL_CHECK(trt_available_permits(&semaphore) == 1);
}
static void check_two_permits(void)
{
    check_permits(&semaphore.base_);
    MODEL_CHECK(trt_available_permits(&semaphore) == 2);
}
static void close_semaphore(void) { trt_semaphore_close(&semaphore); }
static void check_closed_semaphore(void) { check_permits(&semaphore.base_); }

static void mutex_set_up(void)
{
    memset(&mutex, 0, sizeof mutex);
    MODEL_CHECK(trt_try_lock(&mutex, &held));
}
static trt_op lock(struct waiter *w) { return trt_lock(&mutex, &w->guard); }
static void unlock_held(void) { trt_unlock(&held); }
static bool holds_guard(struct waiter *w) { return w->guard.from_ != NULL; }
static void unlock(struct waiter *w) { trt_unlock(&w->guard); }
static void check_mutex(void)
{
    check_permits(&mutex.base_);
    MODEL_CHECK(trt_try_lock(&mutex, &held));
}

static void write_locked_set_up(void)
{
    memset(&rwlock, 0, sizeof rwlock);
    MODEL_CHECK(trt_try_write_lock(&rwlock, &held));
}
static void read_locked_set_up(void)
{
    memset(&rwlock, 0, sizeof rwlock);
    MODEL_CHECK(trt_try_read_lock(&rwlock, &held));
}
static trt_op read_lock(struct waiter *w) { return trt_read_lock(&rwlock, &w->guard); }
static trt_op write_lock(struct waiter *w) { return trt_write_lock(&rwlock, &w->guard); }
static trt_op write_or_read_lock(struct waiter *w) { return w->which == VICTIM ? write_lock(w) : read_lock(w); }
static void check_rwlock(void)
{
    check_permits(&rwlock.base_);
    MODEL_CHECK(trt_try_write_lock(&rwlock, &held));
}

/* ---- notify, barrier, once, token ---- */

static trt_notify notify;
static trt_op notified_ops[2];
static void notify_set_up(void)
{
    memset(&notify, 0, sizeof notify);
    for (int i = 0; i < 2; i++) notified_ops[i] = trt_notified(&notify);
}
static trt_op notified(struct waiter *w) { return notified_ops[w->which]; }
static void give_notify(void) { trt_notify_one(&notify); }
static void pass_notify(struct waiter *w)
{
    (void)w;
    trt_notify_one(&notify);
}
static void check_notify(void) { MODEL_CHECK(!notify.waiters_.head && COUNTED(notify.word_) == TRT_NOTIFY_PERMIT_); }
static void give_notify_all(void) { trt_notify_all(&notify); }
static void check_notify_all(void) { MODEL_CHECK(!notify.waiters_.head && COUNTED(notify.word_) == 0); }

static trt_barrier barrier;
static trt_a32_ leaders;
static void barrier_set_up(void)
{
    TRT_STORE_(&leaders, 0u, relaxed);
    MODEL_CHECK(trt_barrier_init(&barrier, 2) == TRT_OK);
}
static trt_op barrier_wait(struct waiter *w) { return trt_barrier_wait(&barrier, &w->first); }
static void count_leader(struct waiter *w)
{
    if (w->first) COUNT(leaders);
}
struct party { bool leader; };
trt_async(int, party)
{
    trt_body {
        trt_await(trt_barrier_wait(&barrier, &self->leader));
        if (self->leader) COUNT(leaders);
    }
}
static trt_handle(party) another;
static bool aborted_before_arrival;
static void see_abort(struct waiter_frame_ *f, struct waiter *w)
{
    bool at_once = way == PLAINLY || way == WITHIN || way == IN_ANY;
    (void)f;
    if (w->which == NEXT) aborted_before_arrival = at_once && COUNTED(abort_returned);
}
static void another_party(void) { another = trt_spawn_on(runtime, party); }
/* An abort at the same time as the last arrival: the round may have counted the victim. Never one that came before
 * (but it takes a while to reach a fork or a member). */
static void check_barrier(void)
{
    if (shut) return;
    if (!told[VICTIM].took) {
        trt_abort(another);
        MODEL_CHECK(trt_join_thread(another, NULL) == TRT_OK || !aborted_before_arrival);
    }
    MODEL_CHECK(!barrier.waiters_.head && !barrier.arrived_ && COUNTED(leaders) == 1);
}

static trt_once once;
struct enters { bool first; };
trt_async(int, enters)
{
    trt_body {
        trt_await_ok(trt_once_enter(&once, &self->first));
        trt_return(self->first);
    }
}
static void enter_once(void)
{
    int first = 0;
    MODEL_CHECK(trt_block_on(runtime, enters, &first) == TRT_OK && first);
}
static void once_set_up(void)
{
    memset(&once, 0, sizeof once);
    enter_once();
}
static trt_op once_enter(struct waiter *w) { return trt_once_enter(&once, &w->first); }
static bool holds_once(struct waiter *w) { return w->first; }
static void once_failed(void) { trt_once_failed(&once); }
static void pass_once(struct waiter *w)
{
    (void)w;
    trt_once_failed(&once);
}
static void check_once(void)
{
    MODEL_CHECK(!once.waiters_.head && COUNTED(once.state_) == 0);
    if (!shut) enter_once();
}
static void once_done(void) { trt_once_done(&once); }
static void look_not_first(struct waiter *w) { MODEL_CHECK(!w->first); }
static void check_once_done(void) { MODEL_CHECK(!once.waiters_.head && COUNTED(once.state_) == 2); }

static trt_token *token;
static void token_set_up(void) { token = trt_token_new(NULL); }
static trt_op token_wait(struct waiter *w)
{
    (void)w;
    return trt_token_wait(token);
}
static void cancel_token(void) { trt_token_cancel(token); }
static void token_tear_down(void) { trt_token_free(token); }

/* ---- oneshot, channel, broadcast, watch ---- */

static answer oneshot;
static void oneshot_set_up(void) { memset(&oneshot, 0, sizeof oneshot); }
static trt_op oneshot_recv(struct waiter *w) { return trt_oneshot_recv(&oneshot, &w->x); }
static void oneshot_send(void) { MODEL_CHECK(trt_oneshot_send(&oneshot, 5) == TRT_OK); }
static void oneshot_close(void) { trt_oneshot_close(&oneshot); }
static void check_oneshot(void)
{
    MODEL_CHECK(!oneshot.base_.waiters.head && takers() <= 1);
    CHECK_UNLESS_SHUT(takers() == 1);
}
static void check_oneshot_closed(void) { MODEL_CHECK(!oneshot.base_.waiters.head); }

static ints channel;
static bigs big_channel;
static trt_a32_ received; /* a bit for each message */
static void empty_set_up(void) { MODEL_CHECK(trt_channel_init(&channel, TRT_UNBOUNDED) == TRT_OK); }
static void empty_bounded_set_up(void) { MODEL_CHECK(trt_channel_init(&channel, 1) == TRT_OK); }
static void full_set_up(void)
{
    TRT_STORE_(&received, 0u, relaxed);
    MODEL_CHECK(trt_channel_init(&channel, 1) == TRT_OK && trt_try_send(&channel, &(int){2}) == TRT_OK);
}
static void full_big_set_up(void)
{
    TRT_STORE_(&received, 0u, relaxed);
    MODEL_CHECK(trt_channel_init(&big_channel, 1) == TRT_OK);
    MODEL_CHECK(trt_try_send(&big_channel, &(struct big){2, {2}}) == TRT_OK);
}
static trt_op recv(struct waiter *w) { return trt_recv(&channel, &w->x); }
static void send_one(void) { MODEL_CHECK(trt_try_send(&channel, &(int){5}) == TRT_OK); }
static void send_back(struct waiter *w)
{
    MODEL_CHECK(w->x == 5);
    send_one();
}
static void check_waits_for_channel(const trt_channel_ *c) { MODEL_CHECK(!c->senders.head && !c->receivers.head); }
static void check_one_message(void)
{
    int x = 0;
    check_waits_for_channel(&channel.base_);
    MODEL_CHECK(trt_channel_len(&channel) == 1 && trt_try_recv(&channel, &x) == TRT_OK && x == 5);
}
static void close_channel(void) { trt_channel_close(&channel); }
static void free_channel(void) { trt_channel_free(&channel); }
static void free_big_channel(void) { trt_channel_free(&big_channel); }

/* A sender waits for room; the messages are bits: 2 was there first, then 4 from the victim and 8 from the next. */
static int message(const struct waiter *w) { return 4 << w->which; }
static trt_op send(struct waiter *w)
{
    w->y = message(w);
    return trt_send(&channel, &w->y);
}
static trt_op send_big(struct waiter *w)
{
    w->big.v = w->big.more[0] = message(w);
    return trt_send(&big_channel, &w->big);
}
static void got_message(int message)
{
    MODEL_CHECK(!(TRT_ADD_(&received, (uint32_t)message, seq_cst) & (uint32_t)message));
}
static void make_room(void)
{
    int x = 0;
    MODEL_CHECK(trt_try_recv(&channel, &x) == TRT_OK);
    got_message(x);
}
static void make_big_room(void)
{
    struct big b = {0, {0}};
    MODEL_CHECK(trt_try_recv(&big_channel, &b) == TRT_OK && b.v == b.more[0]);
    got_message(b.v);
}
static void pass_room(struct waiter *w)
{
    (void)w;
    make_room();
}
static void pass_big_room(struct waiter *w)
{
    (void)w;
    make_big_room();
}
static uint32_t sent(void) { return 2 + told[VICTIM].took * 4u + told[NEXT].took * 8u; }
static void check_sent(void)
{
    check_waits_for_channel(&channel.base_);
    MODEL_CHECK(trt_try_recv(&channel, NULL) == TRT_EMPTY && COUNTED(received) == sent());
}
static void check_big_sent(void)
{
    check_waits_for_channel(&big_channel.base_);
    MODEL_CHECK(trt_try_recv(&big_channel, NULL) == TRT_EMPTY && COUNTED(received) == sent());
}
static void check_not_sent(void)
{
    int x = 0;
    check_waits_for_channel(&channel.base_);
    MODEL_CHECK(trt_try_recv(&channel, &x) == TRT_OK && x == 2 && trt_try_recv(&channel, &x) == TRT_CLOSED);
}
static void check_sent_at_once(void) { MODEL_CHECK((int)trt_channel_len(&channel) == takers()); }

static news paper;
static reader readers[2];
static void broadcast_set_up(void)
{
    MODEL_CHECK(trt_broadcast_init(&paper, 1) == TRT_OK);
    for (int i = 0; i < 2; i++) MODEL_CHECK(trt_subscribe(&paper, &readers[i]) == TRT_OK);
}
static trt_op broadcast_recv(struct waiter *w) { return trt_broadcast_recv(&readers[w->which], &w->x); }
static void broadcast_send(void) { MODEL_CHECK(trt_broadcast_send(&paper, &(int){5}) == TRT_OK); }
static void broadcast_close(void) { trt_broadcast_close(&paper); }
static void check_broadcast(void) { MODEL_CHECK(!paper.base_.waiters.head); }
static void broadcast_tear_down(void)
{
    for (int i = 0; i < 2; i++) trt_unsubscribe(&readers[i]);
    trt_broadcast_free(&paper);
}

static latest state;
static follower followers[2];
static void watch_set_up(void)
{
    MODEL_CHECK(trt_watch_init(&state, &(int){0}) == TRT_OK);
    for (int i = 0; i < 2; i++) MODEL_CHECK(trt_watch_follow(&state, &followers[i]) == TRT_OK);
}
static trt_op watch_changed(struct waiter *w) { return trt_watch_changed(&followers[w->which], &w->x); }
static void watch_send(void) { MODEL_CHECK(trt_watch_send(&state, &(int){5}) == TRT_OK); }
static void watch_close(void) { trt_watch_close(&state); }
static void check_watch(void) { MODEL_CHECK(!state.base_.waiters.head); }

/* ---- time, yield ---- */

static trt_op sleep_ms(struct waiter *w) { return trt_sleep(trt_ms(w->which + 1)); }
static trt_op sleep_until(struct waiter *w) { return trt_sleep_until(trt_now() + trt_ms(w->which + 1)); }
static void start_interval(struct waiter_frame_ *f, struct waiter *w)
{
    (void)f;
    MODEL_CHECK(trt_interval_init(&w->interval, trt_ms(1), TRT_DELAY) == TRT_OK);
    w->interval.next_ = trt_now() + trt_ms(1); /* as after the first tick */
}
static trt_op tick(struct waiter *w) { return trt_tick(&w->interval); }
static trt_op advance(struct waiter *w)
{
    (void)w;
    return trt_advance(trt_ms(2));
}
static trt_op yield(struct waiter *w)
{
    (void)w;
    return trt_yield();
}

/* ---- fds ---- */

static int fd;
static void fd_set_up(void) { fd = model_fd(); }
static trt_op readable(struct waiter *w)
{
    (void)w;
    return trt_readable(fd);
}
static trt_op writable(struct waiter *w)
{
    (void)w;
    return trt_writable(fd);
}
static trt_op readable_and_writable(struct waiter *w) { return w->which == VICTIM ? readable(w) : writable(w); }
static void make_readable(void) { model_fd_ready(fd, 1 /* EPOLLIN */); }
static void make_writable(void) { model_fd_ready(fd, 4 /* EPOLLOUT */); }
static void make_both(void) { model_fd_ready(fd, 5); }

/* ---- children, tasks, jobs, sets ---- */

static void ring(void) { trt_notify_one(&bell); }
static trt_op call(struct waiter *w)
{
    COUNT(kids_made);
    return trt_call(kid, &w->child, .cleaned = &w->cleaned);
}
/* An op that was made and met an abort has not been started: then there was no kid. */
static void look_called(struct waiter *w)
{
    MODEL_CHECK(w->cleaned == 1 || (!w->took && w->cleaned == 0));
    if (!w->cleaned) COUNT(kids_cleaned);
}

static trt_op blocking(struct waiter *w) { return trt_blocking(gated, &w->job, .in = &w->in, .out = &w->out); }
static void hold_the_pool(struct waiter_frame_ *f, struct waiter *w)
{
    (void)f;
    w->running = trt_spawn_blocking(gated);
    trt_detach(w->running);
}
static void look_blocked(struct waiter *w) { MODEL_CHECK(w->in == w->out && w->in <= 1 && (w->in == 1 || !w->took)); }

static void make_kid(struct waiter_frame_ *f, struct waiter *w)
{
    (void)f;
    COUNT(kids_made);
    w->kid = trt_spawn(kid, .cleaned = &w->cleaned);
    if (!trt_spawned(w->kid)) COUNT(kids_cleaned);
}
static trt_op join(struct waiter *w) { return trt_join(w->kid, &w->x); }
static void look_joined(struct waiter *w)
{
    CHECK_UNLESS_SHUT(w->took + w->drained == 1 && w->x == 5 && w->cleaned == 1);
}
static void make_staying_kid(struct waiter_frame_ *f, struct waiter *w)
{
    (void)f;
    COUNT(kids_made);
    w->kid = trt_spawn(kid, .cleaned = &w->cleaned, .stays = true);
    if (!trt_spawned(w->kid)) COUNT(kids_cleaned);
}
static trt_op stop(struct waiter *w) { return trt_stop(w->kid); }
static trt_op join_or_stop(struct waiter *w) { return w->drained ? trt_join(w->kid, NULL) : trt_stop(w->kid); }
static void look_stopped(struct waiter *w) { MODEL_CHECK(in_a_hurry || w->cleaned == trt_spawned(w->kid)); }

static trt_handle(kid) shared;
static void shared_set_up(void)
{
    COUNT(kids_made);
    shared = trt_spawn_on(runtime, kid);
    if (!trt_spawned(shared)) COUNT(kids_cleaned);
}
static trt_op join_shared(struct waiter *w) { return trt_join(shared, &w->x); }
static void check_shared(void)
{
    int x = 0;
    trt_status_code status = trt_join_thread(shared, &x);
    MODEL_CHECK((status == TRT_OK && x == 5) ? takers() == 0 : status == TRT_MISUSE ? shut || takers() == 1 : shut);
}

static void run_job(struct waiter_frame_ *f, struct waiter *w)
{
    (void)f;
    w->running = trt_spawn_blocking(gated, .in = &w->in, .out = &w->out);
}
static trt_op join_job(struct waiter *w) { return trt_join(w->running, &w->x); }
static void look_job_joined(struct waiter *w)
{
    CHECK_UNLESS_SHUT(w->took + w->drained == 1 && w->in == 1);
    MODEL_CHECK(w->in == w->out && w->in <= 1);
}

static void make_members(struct waiter_frame_ *f, struct waiter *w)
{
    (void)f;
    for (int i = 0; i < 2; i++) {
        COUNT(kids_made);
        if (!trt_spawned(trt_spawn_in(&w->set, kid))) COUNT(kids_cleaned);
    }
}
static trt_op join_next(struct waiter *w) { return trt_join_next(&w->set, &w->x); }
static void look_members(struct waiter *w)
{
    MODEL_CHECK(w->took + w->drained <= 2 && trt_set_len(&w->set) == 0);
    CHECK_UNLESS_SHUT(w->took + w->drained == 2);
    CHECK_UNLESS_SHUT(w->x == 5);
}
static void make_staying_members(struct waiter_frame_ *f, struct waiter *w)
{
    (void)f;
    for (int i = 0; i < 2; i++) {
        COUNT(kids_made);
        if (!trt_spawned(trt_spawn_in(&w->set, kid, .stays = true, .cleaned = i ? &w->in : &w->out)))
            COUNT(kids_cleaned);
    }
}
static trt_op set_shutdown(struct waiter *w) { return trt_set_shutdown(&w->set); }
static trt_op set_shutdown_again(struct waiter *w)
{
    return w->drained ? trt_join_next(&w->set, NULL) : trt_set_shutdown(&w->set);
}
static void look_shut_down(struct waiter *w)
{
    MODEL_CHECK(trt_set_len(&w->set) == 0 && w->in <= 1 && w->out <= 1);
    CHECK_UNLESS_SHUT(w->in == 1 && w->out == 1);
}

static void fork_two(struct waiter_frame_ *trt_frame_, struct waiter *w)
{
    COUNT(kids_made);
    trt_fork(kid, &w->x, .cleaned = &w->in);
    COUNT(kids_made);
    trt_fork(kid, &w->y, .cleaned = &w->out);
}
static trt_op sync_forks(struct waiter *w)
{
    (void)w;
    return trt_sync();
}
static void look_synced(struct waiter *w)
{
    MODEL_CHECK(w->in == 1 && w->out == 1);
    MODEL_CHECK(!w->took || (w->x == 5 && w->y == 5));
}

/* ---- the table ---- */

#define PERMIT .holds = holds_permit, .pass_on = release
#define GUARD .holds = holds_guard, .pass_on = unlock, .give = unlock_held
#define CHANNEL .tear_down = free_channel
#define BROADCAST                                                                                                      \
    .set_up = broadcast_set_up, .op = broadcast_recv, .check = check_broadcast, .tear_down = broadcast_tear_down
#define WATCH .set_up = watch_set_up, .op = watch_changed, .check = check_watch
#define CLOSED .gives = TRT_CLOSED

static const struct thing things[] = {
    {"acquire", semaphore_set_up, .op = acquire, .give = add_one, PERMIT, .check = check_permit},
    {"acquire_many", semaphore_set_up, .op = acquire_two, .give = add_one_and_one, PERMIT, .check = check_two_permits},
    {"acquire_held_back", semaphore_set_up_one, .op = acquire_two_and_one, .give = add_one, PERMIT,
     .check = check_two_permits, .freed_by_abort = true},
    {"acquire_closed", semaphore_set_up, .op = acquire, .give = close_semaphore, CLOSED,
     .check = check_closed_semaphore},
    {"lock", mutex_set_up, .op = lock, GUARD, .check = check_mutex},
    {"read_lock", write_locked_set_up, .op = read_lock, GUARD, .check = check_rwlock},
    {"write_lock", write_locked_set_up, .op = write_lock, GUARD, .check = check_rwlock},
    {"write_lock_behind_reader", read_locked_set_up, .op = write_lock, GUARD, .check = check_rwlock},
    {"read_lock_held_back", read_locked_set_up, .op = write_or_read_lock, GUARD, .check = check_rwlock,
     .freed_by_abort = true},
    {"notify_one", notify_set_up, .op = notified, .give = give_notify, .pass_on = pass_notify, .check = check_notify},
    {"notify_all", notify_set_up, .op = notified, .give = give_notify_all, .check = check_notify_all},
    {"barrier", barrier_set_up, .prepare = see_abort, .op = barrier_wait, .instead = another_party,
     .pass_on = count_leader, .check = check_barrier},
    {"once", once_set_up, .op = once_enter, .give = once_failed, .holds = holds_once, .pass_on = pass_once,
     .check = check_once},
    {"once_done", once_set_up, .op = once_enter, .give = once_done, .look = look_not_first, .check = check_once_done},
    {"token", token_set_up, .op = token_wait, .give = cancel_token, .tear_down = token_tear_down},
    {"oneshot", oneshot_set_up, .op = oneshot_recv, .give = oneshot_send, .holds = holds_x, .check = check_oneshot,
     .refuses = TRT_CLOSED},
    {"oneshot_closed", oneshot_set_up, .op = oneshot_recv, .give = oneshot_close, CLOSED,
     .check = check_oneshot_closed},
    {"recv", empty_set_up, .op = recv, .give = send_one, .holds = holds_x, .pass_on = send_back,
     .check = check_one_message, CHANNEL},
    {"recv_bounded", empty_bounded_set_up, .op = recv, .give = send_one, .holds = holds_x, .pass_on = send_back,
     .check = check_one_message, CHANNEL},
    {"recv_closed", empty_set_up, .op = recv, .give = close_channel, CLOSED, CHANNEL},
    {"send", full_set_up, .op = send, .give = make_room, .pass_on = pass_room, .check = check_sent, CHANNEL},
    {"send_big", full_big_set_up, .op = send_big, .give = make_big_room, .pass_on = pass_big_room,
     .check = check_big_sent,
     .tear_down = free_big_channel},
    {"send_closed", full_set_up, .op = send, .give = close_channel, CLOSED, .check = check_not_sent, CHANNEL},
    {"send_unbounded", empty_set_up, .op = send, .check = check_sent_at_once, CHANNEL},
    {"broadcast", BROADCAST, .give = broadcast_send, .holds = holds_x},
    {"broadcast_closed", BROADCAST, .give = broadcast_close, CLOSED},
    {"watch", WATCH, .give = watch_send, .holds = holds_x},
    {"watch_closed", WATCH, .give = watch_close, CLOSED},
    {"sleep", .op = sleep_ms},
    {"sleep_until", .op = sleep_until},
    {"tick", .prepare = start_interval, .op = tick},
    {"advance", .op = advance, .alone = true, .virtual_clock = true},
    {"yield", .op = yield},
    {"readable", fd_set_up, .op = readable, .give = make_readable},
    {"writable", fd_set_up, .op = writable, .give = make_writable},
    {"readable_and_writable", fd_set_up, .op = readable_and_writable, .give = make_both},
    {"call", .op = call, .give = ring, .look = look_called, .alone = true},
    {"blocking", .op = blocking, .give = open_gate, .look = look_blocked},
    {"blocking_queued", .prepare = hold_the_pool, .op = blocking, .give = open_gate, .look = look_blocked,
     .alone = true},
    {"join", .prepare = make_kid, .op = join, .give = ring, .holds = holds_x, .drain = join,
     .look = look_joined, .alone = true},
    {"join_shared", shared_set_up, .op = join_shared, .give = ring, .holds = holds_x, .check = check_shared,
     .refuses = TRT_MISUSE},
    {"join_job", .prepare = run_job, .op = join_job, .give = open_gate, .holds = holds_x, .drain = join_job,
     .look = look_job_joined, .alone = true},
    {"stop", .prepare = make_staying_kid, .op = stop, .drain = join_or_stop, .look = look_stopped, .alone = true},
    {"join_next", .prepare = make_members, .op = join_next, .give = ring, .holds = holds_x, .drain = join_next,
     .look = look_members, .alone = true},
    {"set_shutdown", .prepare = make_staying_members, .op = set_shutdown, .drain = set_shutdown_again,
     .look = look_shut_down,
     .alone = true},
    {"sync", .prepare = fork_two, .op = sync_forks, .give = ring, .look = look_synced, .alone = true},
};
enum { THINGS = sizeof things / sizeof *things };

