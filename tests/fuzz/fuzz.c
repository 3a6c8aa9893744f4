/* Programs made of bytes, run by coroutines on the virtual clock, and an oracle that says at each step what must have
 * come back, and when: oracle.h.
 *
 *   clang -fsanitize=fuzzer,address,undefined fuzz.c    libFuzzer's driver: LLVMFuzzerTestOneInput
 *   cc -DREPLAY fuzz.c                                  ./fuzz FILE... runs those files; -p prints them and what happens
 *
 * The bytes: 4 of configuration, then operations of 3 bytes (code, a, b). END separates scripts; script 0 is what the
 * root runs, SPAWN, FORK and CALL start others by number. What stands behind DEFER in a script is its cleanup. ANY, ALL
 * and the like take the next 2 to 4 awaits together, WITHIN gives the next one a deadline.
 *
 * Where the outcome would depend on something that is nowhere promised (two branches of a fair `any` that are both
 * complete, say), the interpreter does something else instead: see allowed(). So every byte string is a program, and
 * every program has one right outcome.
 */
#define _GNU_SOURCE
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static long blocks; /* memory of the library; counted without atomics: what its other thread does is to sleep */
static void *counted_malloc(size_t size)
{
    void *p = malloc(size);
    blocks += p != NULL;
    if (p) memset(p, 0xA5, size); /* who reads what nobody wrote finds this */
    return p;
}
static void counted_free(void *p)
{
    blocks -= p != NULL;
    free(p);
}
static void said(const char *text);

#define TASKRT_MALLOC(size) counted_malloc(size)
#define TASKRT_FREE(p) counted_free(p)
#define TASKRT_LOG(text) said(text)
#define TASKRT_IMPLEMENTATION
#ifdef FUZZ_TASKRT
#include FUZZ_TASKRT
#else
#include "../../taskrt.h"
#endif
#include "oracle.h"

/* ------------------------------------------------------------------------------------------------
 * Programs.
 */
enum { MOST_OPS = 400, MOST_SCRIPTS = 16, HEADER = 4 };
struct op { uint8_t code, a, b; };
static struct program {
    uint8_t header[HEADER];
    struct op op[MOST_OPS];
    struct { int begin, defer, end; } script[MOST_SCRIPTS];
    int ops, scripts;
} program;

static void program_read(const uint8_t *data, size_t size)
{
    memset(&program, 0, sizeof program);
    for (size_t i = 0; i < HEADER && i < size; i++)
        program.header[i] = data[i];
    for (size_t i = HEADER; i + 2 < size && program.ops < MOST_OPS; i += 3)
        program.op[program.ops++] = (struct op){(uint8_t)(data[i] % OP_COUNT), data[i + 1], data[i + 2]};
    for (int i = 0; i < program.ops || program.scripts == 0; program.scripts++) {
        int s = program.scripts, end = i;
        if (s == MOST_SCRIPTS)
            break;
        program.script[s].begin = i;
        while (end < program.ops && program.op[end].code != OP_END)
            end++;
        program.script[s].end = program.script[s].defer = end;
        for (int k = end - 1; k >= i; k--)
            if (program.op[k].code == OP_DEFER)
                program.script[s].defer = k;
        i = end + 1;
    }
}

static void program_print(FILE *to)
{
    fprintf(to, "seed %u, %u permits, barrier of %u, capacities %u, %u\n", program.header[0], program.header[1] % 4u,
            1u + program.header[1] / 4u % 3u, 1u + program.header[2] % 3u, 1u + program.header[2] / 3u % 2u);
    for (int s = 0; s < program.scripts; s++) {
        fprintf(to, "script %d\n", s);
        for (int i = program.script[s].begin; i < program.script[s].end; i++)
            fprintf(to, "    %-16s %3u %3u\n", op_names[program.op[i].code], program.op[i].a, program.op[i].b);
    }
}

/* ------------------------------------------------------------------------------------------------
 * What has happened, for the report.
 */
struct step { int64_t now; int task, op, object, status; bool cleaning; };
static struct step steps[4096];
static int n_steps;
static bool deadlock;

static void note(const struct frame *f, int op, int object, int status)
{
    if (n_steps < (int)(sizeof steps / sizeof steps[0]))
        steps[n_steps++] = (struct step){m.now, index_of(f), op, object, status, f->cleaning};
}

enum { NOTE_BODY = OP_COUNT, NOTE_CLEANUP, NOTE_END, NOTE_OVER, NOTE_RESUMED };
static void report(void)
{
    static const char *const notes[] = {"body", "cleanup", "end of body", "end of cleanup", "resumed"};
    fprintf(stderr, "---- the program\n");
    program_print(stderr);
    fprintf(stderr, "---- what happened: time, task, operation, object, status\n");
    for (int i = 0; i < n_steps; i++) {
        const struct step *s = &steps[i];
        fprintf(stderr, "%12lld %*s%d%s %s %d", (long long)s->now, s->task, "", s->task, s->cleaning ? "c" : "",
                s->op < OP_COUNT ? op_names[s->op] : notes[s->op - OP_COUNT], s->object);
        fprintf(stderr, s->status == PENDING ? "\n" : " -> %s\n", trt_strerror((trt_status_code)s->status));
    }
}

static void wrong(const char *format, ...)
{
    va_list list;
    report();
    va_start(list, format);
    fprintf(stderr, "---- WRONG at %lld: ", (long long)m.now);
    vfprintf(stderr, format, list);
    fprintf(stderr, "\n");
    va_end(list);
    abort();
}

/* Messages of the library: misuse is asked for, a deadlock is not. */
static void said(const char *text)
{
    if (strstr(text, "deadlock"))
        deadlock = true;
}
static void silent(const trt_failure_info *info, void *user)
{
    (void)info;
    (void)user;
}

/* ------------------------------------------------------------------------------------------------
 * The objects, and a coroutine.
 */
struct big { int value; char rest[20]; };
typedef trt_channel(int) small_channel;
typedef trt_channel(struct big) big_channel;
typedef trt_oneshot(int) oneshot;
typedef trt_broadcast(int) broadcast;
typedef trt_watch(int) watch;

static trt_runtime *runtime;
static trt_semaphore semaphore;
static trt_mutex mutex;
static trt_rwlock rwlock;
static trt_notify notify;
static trt_barrier barrier;
static trt_once once;
static trt_token *tokens[TOKENS];
static oneshot oneshots[ONESHOTS];
static small_channel small0, small2;
static big_channel big1;
static broadcast news;
static watch state;
static trt_instant beginning;

struct actor {
    int id;
    int value[MOST_WAITS];
    struct big big[MOST_WAITS];
    bool flag[MOST_WAITS];
    trt_permit permit[MOST_WAITS];
    trt_guard guard[MOST_WAITS];
    int fork_out[MOST_FRAMES];
    trt_interval interval;
    trt_join_set_of(int) set;
    trt_subscriber(int) subscriber;
    trt_follower(int) follower;
};
trt_async_decl(int, actor);

static trt_handle(actor) handles[MOST_FRAMES];
static trt_frame(actor) *children[MOST_FRAMES];

/* The frames of children that f has awaited; NULL: of all. */
static void children_free(const struct frame *f)
{
    for (int i = 0; i < MOST_FRAMES; i++) {
        if (!children[i] || (f && m.f[i].caller != index_of(f)))
            continue;
        for (size_t k = 0; k < sizeof *children[i]; k++) /* who looks at it now will trip */
            ((volatile unsigned char *)children[i])[k] = 0xff;
        free(children[i]);
        children[i] = NULL;
    }
}

static trt_duration duration(uint8_t x)
{
    static const trt_duration unit[] = {0, 1, 500, 1000, 1024, 65536, 1000000, 1048576, 5000000, 70000000, 4000000000};
    return unit[x % 11] * (1 + x / 11 % 4);
}

/* ------------------------------------------------------------------------------------------------
 * Operations that are done at once.
 */
#define SAME(got, want)                                                                                                \
    do {                                                                                                               \
        long long got_ = (long long)(got), want_ = (long long)(want);                                                  \
        if (got_ != want_)                                                                                             \
            wrong("%s of task %d: %lld, expected %lld", #got, index_of(f), got_, want_);                               \
    } while (0)

static void release(struct actor *self, struct frame *f, int i)
{
    if (!f->held[i])
        return;
    int64_t n = f->held[i];
    f->held[i] = 0;
    trt_release(&self->permit[i]);
    permits_give(0, n);
}

static void unlock(struct actor *self, struct frame *f, int i)
{
    if (f->guard[i] == NOBODY)
        return;
    int op = f->guard[i];
    f->guard[i] = NOBODY;
    trt_unlock(&self->guard[i]);
    permits_give(f->guard_of[i], permits_of_guard(op));
}

static struct frame *some_task(uint8_t a)
{
    int tasks[MOST_FRAMES], n = 0;
    for (int i = 1; i < m.frames; i++)
        if (m.f[i].kind == TASK)
            tasks[n++] = i;
    return n ? &m.f[tasks[a % n]] : NULL;
}

static void spawn(struct actor *self, struct frame *f, struct op op)
{
    int script = op.a % program.scripts, id = m.frames;
    if (m.frames >= MOST_FRAMES)
        return;
    if (op.code == OP_SPAWN_DETACHED) {
        trt_status_code status = trt_spawn_detached(actor, .id = id);
        SAME(status, m.closing ? TRT_CANCELLED : TRT_OK);
        if (status == TRT_OK) {
            frame_new(script, TASK, f);
            m.f[id].detached = true;
            memset(&handles[id], 0, sizeof handles[id]);
        }
        return;
    }
    if (m.closing && (op.code == OP_SPAWN_IN))
        return;
    if (op.code == OP_SPAWN_IN && f->set_spoiled)
        return;
    if (op.code == OP_SPAWN_IN)
        handles[id] = trt_spawn_in(&self->set, actor, .id = id);
    else if (op.b & 1)
        handles[id] = trt_spawn_named("named", actor, .id = id);
    else
        handles[id] = trt_spawn(actor, .id = id);
    SAME(trt_spawned(handles[id]), !m.closing);
    if (m.closing)
        return;
    frame_new(script, TASK, f);
    if (op.code == OP_SPAWN_IN) {
        m.f[id].owner = index_of(f);
        f->members[id] = 1;
    }
}

static void do_tasks(struct actor *self, struct frame *f, struct op op)
{
    struct frame *task = some_task(op.a);
    int wait;
    if (op.code == OP_ABORT_ALL && !f->set_spoiled) {
        trt_abort_all(&self->set);
        abort_members(f);
    }
    if (op.code == OP_SET_LEN && !f->set_spoiled)
        SAME(trt_set_len(&self->set), set_len(f));
    if (op.code == OP_DETACH_ALL && !f->set_spoiled) {
        trt_detach_all(&self->set);
        for (int i = 0; i < m.frames; i++) {
            if (!f->members[i])
                continue;
            f->members[i] = 0;
            m.f[i].owner = NOBODY;
            m.f[i].detached = true;
            m.f[i].consumed = m.f[i].state == OVER;
        }
        f->n_ended = 0;
    }
    if (op.code == OP_TRY_JOIN_NEXT && !f->set_spoiled) {
        int value = -1;
        trt_status_code status = trt_try_join_next(&self->set, &value);
        if (!f->n_ended) {
            SAME(status, set_len(f) ? TRT_PENDING : TRT_EMPTY);
        } else {
            const struct frame *member = &m.f[set_pop(f)];
            SAME(status, member->outcome);
            SAME(value, status == TRT_OK ? member->value : -1);
        }
    }
    if (!task)
        return;
    if (op.code == OP_ABORT) {
        trt_abort(handles[index_of(task)]);
        if (handles[index_of(task)].ref_.cell)
            abort_strand(task);
    }
    if (op.code == OP_IS_FINISHED)
        SAME(trt_is_finished(handles[index_of(task)]), task->state == OVER || !handles[index_of(task)].ref_.cell);
    if (op.code == OP_DETACH && !joiner_of(task, &wait)) {
        trt_detach(handles[index_of(task)]);
        if (task->owner == NOBODY) {
            task->detached = true;
            task->consumed = task->state == OVER;
        }
    }
}

static void do_permits(struct actor *self, struct frame *f, struct op op)
{
    int i = op.a % MOST_WAITS;
    int64_t n = 1 + op.b % 3;
    bool got;
    switch (op.code) {
    case OP_TRY_ACQUIRE:
        if (f->held[i] || permits_zombies(0))
            break;
        got = trt_try_acquire_many(&semaphore, (size_t)n, &self->permit[i]);
        SAME(got, permits_try(0, n));
        if (got)
            f->held[i] = n;
        break;
    case OP_RELEASE: release(self, f, i); break;
    case OP_ADD_PERMITS:
        SAME(trt_add_permits(&semaphore, (size_t)n), TRT_OK);
        m.permits[0].total += n;
        permits_give(0, n);
        break;
    case OP_PERMITS:
        if (!permits_zombies(0))
            SAME(trt_available_permits(&semaphore), permits_queue(0) ? 0 : m.permits[0].available);
        break;
    case OP_CLOSE_SEMAPHORE:
        if (op.a & 3)
            break;
        trt_semaphore_close(&semaphore);
        m.permits[0].closed = true;
        grant(0);
        break;
    case OP_TRY_LOCK:
    case OP_TRY_READ:
    case OP_TRY_WRITE: {
        int object = op.code == OP_TRY_LOCK ? 1 : 2;
        int kind = object == 1 ? OP_LOCK : op.code == OP_TRY_READ ? OP_READ : OP_WRITE;
        if (f->guard[i] != NOBODY || permits_zombies(object))
            break;
        got = object == 1          ? trt_try_lock(&mutex, &self->guard[i])
              : kind == OP_READ ? trt_try_read_lock(&rwlock, &self->guard[i])
                                   : trt_try_write_lock(&rwlock, &self->guard[i]);
        SAME(got, permits_try(object, permits_of_guard(kind)));
        if (got) {
            f->guard[i] = kind;
            f->guard_of[i] = object;
        }
        break;
    }
    case OP_UNLOCK: unlock(self, f, i); break;
    case OP_DOWNGRADE:
        if (f->guard[i] != OP_WRITE)
            break;
        trt_downgrade(&self->guard[i]);
        f->guard[i] = OP_READ;
        permits_give(2, permits_of_guard(OP_WRITE) - 1);
        break;
    default: break;
    }
}

static trt_status_code try_send(int c, int value)
{
    if (c == 1)
        return trt_try_send(&big1, &(struct big){.value = value});
    return trt_try_send(c ? &small2 : &small0, &value);
}
static trt_status_code try_recv(int c, int *value)
{
    struct big big = {.value = -1};
    if (c != 1)
        return trt_try_recv(c ? &small2 : &small0, value);
    trt_status_code status = trt_try_recv(&big1, &big);
    *value = big.value;
    return status;
}

static void do_channels(struct frame *f, struct op op)
{
    int c = op.a % CHANNELS, value = -1, i;
    trt_status_code status;
    switch (op.code) {
    case OP_TRY_SEND:
        SAME(try_send(c, ++m.values), channel_push(c, m.values));
        break;
    case OP_TRY_RECV:
        status = try_recv(c, &value);
        SAME(status, m.channel[c].len ? TRT_OK : m.channel[c].closed ? TRT_CLOSED : TRT_EMPTY);
        SAME(value, status == TRT_OK ? channel_pop(c) : -1);
        break;
    case OP_CLOSE:
        if (op.b & 1)
            break;
        if (c == 1)
            trt_channel_close(&big1);
        else
            trt_channel_close(c ? &small2 : &small0);
        m.channel[c].closed = true;
        complete_all(OP_SEND, c, TRT_CLOSED, 0);
        complete_all(OP_RECV, c, TRT_CLOSED, 0);
        break;
    case OP_LEN:
        SAME(c == 1 ? trt_channel_len(&big1) : trt_channel_len(c ? &small2 : &small0), m.channel[c].len);
        break;
    case OP_BROADCAST_SEND:
        SAME(trt_broadcast_send(&news, &(int){++m.values}), m.broadcast.closed ? TRT_CLOSED : TRT_OK);
        if (m.broadcast.closed)
            break;
        m.broadcast.values[m.broadcast.next++] = m.values;
        struct frame *waiter;
        while ((waiter = first_waiter(OP_BROADCAST_RECV, OP_BROADCAST_RECV, 0, &i)) != NULL)
            if (complete(waiter, i, TRT_OK, m.values))
                waiter->next_value = m.broadcast.next;
        break;
    case OP_BROADCAST_CLOSE:
        if (op.b & 1)
            break;
        trt_broadcast_close(&news);
        m.broadcast.closed = true;
        complete_all(OP_BROADCAST_RECV, 0, TRT_CLOSED, 0);
        break;
    case OP_WATCH_SEND:
        SAME(trt_watch_send(&state, &(int){++m.values}), m.watch.closed ? TRT_CLOSED : TRT_OK);
        if (m.watch.closed)
            break;
        m.watch.version++;
        m.watch.value = m.values;
        complete_all(OP_CHANGED, 0, TRT_OK, m.values);
        break;
    case OP_WATCH_CLOSE:
        if (op.b & 1)
            break;
        trt_watch_close(&state);
        m.watch.closed = true;
        complete_all(OP_CHANGED, 0, TRT_CLOSED, 0);
        break;
    default: break;
    }
    if (trt_watch_read(&state, &value) == TRT_OK)
        SAME(value, m.watch.value);
}

static void do_oneshot(struct frame *f, struct op op)
{
    int o = op.a % ONESHOTS;
    if (op.code == OP_ONESHOT_CLOSE) {
        trt_oneshot_close(&oneshots[o]);
        if (m.oneshot[o].state == EMPTY) {
            m.oneshot[o].state = CLOSED;
            complete_all(OP_ONESHOT_RECV, o, TRT_CLOSED, 0);
        }
        return;
    }
    SAME(trt_oneshot_send(&oneshots[o], ++m.values), m.oneshot[o].state == EMPTY ? TRT_OK : TRT_CLOSED);
    if (m.oneshot[o].state != EMPTY)
        return;
    if (complete_first(OP_ONESHOT_RECV, o, TRT_OK, m.values)) {
        m.oneshot[o].state = CLOSED;
        complete_all(OP_ONESHOT_RECV, o, TRT_CLOSED, 0);
        return;
    }
    m.oneshot[o].state = FULL;
    m.oneshot[o].value = m.values;
}

static void once_failed(void)
{
    m.once.state = IDLE;
    complete_first(OP_ONCE, 0, TRT_OK, true);
}

static void do_signals(struct frame *f, struct op op)
{
    switch (op.code) {
    case OP_NOTIFY_ONE:
        trt_notify_one(&notify);
        if (!complete_first(OP_NOTIFIED, 0, TRT_OK, 0))
            m.notify.permit = true;
        break;
    case OP_NOTIFY_ALL:
        trt_notify_all(&notify);
        m.notify.rounds++;
        complete_all(OP_NOTIFIED, 0, TRT_OK, 0);
        break;
    case OP_CANCEL:
        trt_token_cancel(tokens[op.a % TOKENS]);
        for (int i = op.a % TOKENS; i < TOKENS; i++) {
            m.cancelled[i] = true;
            complete_all(OP_TOKEN_WAIT, i, TRT_OK, 0);
        }
        for (int i = 0; i < TOKENS; i++)
            SAME(trt_token_is_cancelled(tokens[i]), m.cancelled[i]);
        break;
    case OP_ONCE_DONE:
    case OP_ONCE_FAILED:
        if (m.once.state != BUSY || m.once.by != index_of(f))
            break;
        if (op.code == OP_ONCE_FAILED) {
            trt_once_failed(&once);
            once_failed();
        } else {
            trt_once_done(&once);
            m.once.state = DONE;
            complete_all(OP_ONCE, 0, TRT_OK, false);
        }
        break;
    case OP_SHUTDOWN:
        if (op.a & 3)
            break;
        SAME(trt_runtime_shutdown(trt_current(), -1), TRT_PENDING);
        abort_everything();
        break;
    default: break;
    }
}

/* May this frame panic? What awaits it in a cleanup would end without a word. */
static bool may_panic(const struct frame *f)
{
    for (const struct frame *by = f; by->kind == IN_PLACE || by->kind == BRANCH;) {
        by = &m.f[by->caller];
        if (by->cleaning)
            return false;
    }
    return true;
}

/* ------------------------------------------------------------------------------------------------
 * Awaits.
 */
static void plain(struct frame *f, int op)
{
    memset(f->w, 0, sizeof f->w);
    f->form = OP_YIELD;
    f->n = 1;
    f->w[0].op = op;
    f->w[0].deadline = NEVER;
}

static void becomes_sleep(struct wait *w, uint8_t a)
{
    w->op = OP_SLEEP;
    w->object = 0;
    w->n = duration(a);
    w->due = m.now + w->n;
}

static bool pure(const struct wait *w)
{
    return w->op == OP_SLEEP || w->op == OP_SLEEP_UNTIL || w->op == OP_TOKEN_WAIT;
}

static int depth(const struct frame *f)
{
    int n = 0;
    while (f->kind != TASK)
        f = &m.f[f->kind == FORK ? f->parent : f->caller], n++;
    return n;
}

/* Would it be complete at once? */
static bool ready_now(const struct frame *f, const struct wait *w)
{
    const struct frame *task = &m.f[w->object];
    int o = w->object, wait, arrived = 1;
    switch (w->op) {
    case OP_SLEEP:
    case OP_SLEEP_UNTIL:
    case OP_TICK: return w->due <= m.now;
    case OP_ACQUIRE:
    case OP_LOCK:
    case OP_READ:
    case OP_WRITE:
        o = object_of_op(w->op);
        return m.permits[o].closed || (!permits_queue(o) && m.permits[o].available >= w->n);
    case OP_RECV: return m.channel[o].len || m.channel[o].closed;
    case OP_SEND: return m.channel[o].closed || m.channel[o].len < m.channel[o].capacity;
    case OP_JOIN:
    case OP_STOP:
        return task->consumed || task->owner != NOBODY || task->state == OVER || task_of(f) == task ||
               (w->op == OP_JOIN && (task->detached || joiner_of(task, &wait)));
    case OP_JOIN_NEXT: return f->n_ended || !set_len(f);
    case OP_SET_SHUTDOWN: return set_len(f) == f->n_ended;
    case OP_SYNC: return !live_forks(f);
    case OP_ONESHOT_RECV: return m.oneshot[o].state != EMPTY;
    case OP_BROADCAST_RECV: return f->next_value < m.broadcast.next || m.broadcast.closed;
    case OP_CHANGED: return f->seen < m.watch.version || m.watch.closed;
    case OP_ONCE: return m.once.state != BUSY;
    case OP_NOTIFIED: return m.notify.permit;
    case OP_TOKEN_WAIT: return m.cancelled[o];
    case OP_BARRIER:
        for (int k = 0; k < m.frames; k++)
            for (int j = 0; j < m.f[k].n; j++)
                arrived += m.f[k].w[j].linked && m.f[k].w[j].op == OP_BARRIER;
        return arrived >= m.parties;
    default: return false;
    }
}

/* What a wait needs of this frame; false where that is not to be had. */
static bool describe(struct actor *self, struct frame *f, int i, struct op op)
{
    struct wait *w = &f->w[i];
    struct frame *task;
    int object = object_of_op(op.code);
    w->op = op.code;
    if (object >= 0 && permits_zombies(object))
        return false;
    switch (op.code) {
    case OP_SLEEP:
    case OP_ADVANCE:
        w->n = duration(op.a);
        w->due = m.now + w->n;
        return true;
    case OP_SLEEP_UNTIL:
        w->due = beginning + duration(op.a) * (1 + op.b % 8);
        return true;
    case OP_TICK:
        if (!f->period) {
            f->period = duration(op.a) + 1;
            f->missed = TRT_BURST + op.b % 3;
            f->tick = m.now;
            (void)trt_interval_init(&self->interval, f->period, (trt_missed_ticks)f->missed);
        }
        w->due = f->tick;
        return true;
    case OP_ACQUIRE:
        release(self, f, i);
        w->n = 1 + op.b % 3;
        return true;
    case OP_LOCK:
    case OP_READ:
    case OP_WRITE:
        unlock(self, f, i);
        w->object = object;
        w->n = permits_of_guard(op.code);
        return true;
    case OP_RECV:
    case OP_SEND:
        w->object = op.a % CHANNELS;
        w->n = op.code == OP_SEND ? ++m.values : 0;
        return true;
    case OP_ONESHOT_RECV: w->object = op.a % ONESHOTS; return true;
    case OP_TOKEN_WAIT: w->object = op.a % TOKENS; return true;
    case OP_NOTIFIED: w->n = m.notify.rounds; return true;
    case OP_BARRIER: return !has_zombies(OP_BARRIER, OP_BARRIER, 0);
    case OP_JOIN:
    case OP_STOP:
        task = some_task(op.a);
        if (!task || !handles[index_of(task)].ref_.cell || has_zombies(OP_JOIN, OP_STOP, index_of(task)))
            return false;
        if (task->owner != NOBODY && (m.f[task->owner].set_spoiled || m.f[task->owner].state >= ENDING))
            return false; /* whether its outcome has been dropped nobody can see */
        w->object = index_of(task);
        return op.code == OP_JOIN || task_of(f) != task;
    case OP_JOIN_NEXT: return !f->set_spoiled;
    case OP_BROADCAST_RECV:
        if (f->next_value < 0 && m.broadcast.closed)
            return false;
        if (f->next_value < 0) {
            (void)trt_subscribe(&news, &self->subscriber);
            f->next_value = m.broadcast.next;
        }
        return true;
    case OP_CHANGED:
        if (f->seen < 0) {
            (void)trt_watch_follow(&state, &self->follower);
            f->seen = m.watch.version;
        }
        return true;
    case OP_CALL: return m.frames + 1 < MOST_FRAMES && depth(f) < 6;
    default: return true;
    }
}

/* Would the outcome of this branch depend on what nobody promises? */
static bool allowed(const struct frame *f, int i, bool alone)
{
    const struct wait *w = &f->w[i];
    bool all = f->form == OP_ALL || f->form == OP_TRY_ALL;
    if (alone)
        return true;
    if (w->op == OP_YIELD || w->op == OP_ADVANCE || w->op == OP_STOP || w->op == OP_SET_SHUTDOWN)
        return false;
    for (int k = 0; k < i; k++) {
        const struct wait *v = &f->w[k];
        if (v->op == OP_CALL && (all || w->op == OP_CALL) && !pure(w)) /* it runs before or after this begins */
            return false;
        if (w->op == OP_CALL && all && !pure(v))
            return false;
        bool same = v->op == w->op || (object_of_op(v->op) == 2 && object_of_op(w->op) == 2) ||
                    (v->op == OP_SEND && w->op == OP_RECV) || (v->op == OP_RECV && w->op == OP_SEND);
        if (!pure(w) && w->op != OP_CALL && same && v->object == w->object)
            return false;
        if ((v->op == OP_JOIN_NEXT && w->op == OP_SET_SHUTDOWN) || (v->op == OP_SET_SHUTDOWN && w->op == OP_JOIN_NEXT))
            return false;
    }
    return true;
}

static void child_new(struct frame *f, int i)
{
    struct wait *w = &f->w[i];
    bool branch = is_group(f);
    int script = (int)w->n % program.scripts;
    struct frame *child = frame_new(script, branch ? BRANCH : IN_PLACE, f);
    child->caller = index_of(f);
    child->caller_wait = i;
    w->child = index_of(child);
    children[w->child] = malloc(sizeof *children[0]);
    memset(children[w->child], 0x5a, sizeof *children[0]);
}

static bool must_end(const struct frame *f) { return f->root == 0 || shielded(f); }

static bool advance_is_clear(void)
{
    for (int i = 0; i < m.frames; i++)
        for (int k = 0; k < m.f[i].n && m.f[i].state == WAITING; k++)
            if ((m.f[i].form == OP_ALL || m.f[i].form == OP_TRY_ALL) && m.f[i].w[k].deadline != NEVER)
                return false;
    return true;
}

/* The forms that do not depend on a random start. */
static void choose_form(struct frame *f)
{
    int ready = 0;
    bool call = false;
    for (int i = 0; i < f->n; i++) {
        ready += ready_now(f, &f->w[i]);
        call = call || f->w[i].op == OP_CALL;
    }
    if (must_end(f) && f->form != OP_YIELD)
        f->form = OP_BIASED;
    if (f->form == OP_ANY && (call || ready > 1 || !program.header[0]))
        f->form = OP_BIASED;
    for (int i = 0; i < f->n && f->form == OP_TRY_ALL; i++)
        if (ready_now(f, &f->w[i]) && !pure(&f->w[i]))
            f->form = OP_ALL;
    for (int i = 0; i < f->n && (f->form == OP_ALL || f->form == OP_TRY_ALL); i++)
        if (f->w[i].deadline != NEVER && (!pure(&f->w[i]) || f->w[i].deadline <= m.now))
            f->w[i].deadline = NEVER;
}

/* The await that stands at pc. False: none does, the script is over there. */
static bool prepare(struct actor *self, struct frame *f, int end)
{
    int want = 1;
    int64_t deadline = NEVER;
    bool ok = false;
    f->form = OP_YIELD;
    f->n = 0;
    memset(f->w, 0, sizeof f->w);
    while (f->n < want && f->pc < end) {
        struct op op = program.op[f->pc++];
        if (op.code == OP_WITHIN) {
            deadline = m.now + duration(op.a) - (op.b == 255);
        } else if (op_how[op.code] == 'M') {
            if (want == 1 && f->n == 0) {
                want = 2 + op.a % 3;
                f->form = op.code;
            }
        } else {
            int i = f->n++;
            ok = op_how[op.code] == 'A' && describe(self, f, i, op) && allowed(f, i, want == 1);
            if (!ok)
                becomes_sleep(&f->w[i], op.a);
            if (f->w[i].op == OP_CALL)
                f->w[i].n = op.a;
            f->w[i].deadline = f->w[i].op == OP_YIELD || f->w[i].op == OP_ADVANCE ? NEVER : deadline;
            deadline = NEVER;
        }
    }
    if (!f->n)
        return false;
    if (f->n == 1)
        f->form = OP_YIELD;
    if (f->w[0].op == OP_ADVANCE && !advance_is_clear())
        plain(f, OP_YIELD);
    choose_form(f);
    for (int i = 0; i < f->n && must_end(f); i++)
        if (f->w[i].deadline == NEVER && !is_timer(&f->w[i]) && f->w[i].op != OP_YIELD && f->w[i].op != OP_ADVANCE)
            f->w[i].deadline = m.now + duration((uint8_t)(f->pc * 7 + 3)) + 1;
    return true;
}

enum { DO_END, DO_AWAIT, DO_FORK, DO_PANIC };

/* Of a strand that runs on top of another: it must be on its own before a group begins. And the oracle knows nothing
 * of budgets. */
static bool yields_first(const struct frame *f)
{
    const struct frame *r = root_of(f);
    if (trt_here_.worker->budget <= 8)
        return true;
    int op = f->w[0].op;
    return !r->async && (f->form != OP_YIELD || f->w[0].deadline != NEVER || op == OP_SYNC || op == OP_JOIN ||
                         op == OP_ADVANCE);
}

/* Do what can be done at once, up to the next await, fork or end. */
static int next(struct actor *self, struct frame *f)
{
    int end = f->cleaning ? program.script[f->script].end : program.script[f->script].defer;
    while (f->pc < end && m.operations++ < MOST_OPERATIONS) {
        struct op op = program.op[f->pc];
        if (op_how[op.code] == 'A' || op_how[op.code] == 'M') {
            int pc = f->pc;
            if (trt_here_.worker->budget <= 8) {
                plain(f, OP_YIELD);
            } else if (!prepare(self, f, end)) {
                break;
            } else if (yields_first(f)) {
                f->pc = pc;
                plain(f, OP_YIELD);
            }
            for (int i = 0; i < f->n; i++)
                if (f->w[i].op == OP_CALL)
                    child_new(f, i);
            for (int i = 0; i < f->n; i++)
                note(f, f->w[i].op, f->w[i].op == OP_CALL ? f->w[i].child : f->w[i].object, PENDING);
            begin_await(f);
            return DO_AWAIT;
        }
        if (op.code == OP_SPAWN_IN && !root_of(f)->async) { /* the end of a frame with a set may wait */
            plain(f, OP_YIELD);
            begin_await(f);
            return DO_AWAIT;
        }
        f->pc++;
        note(f, op.code, op.a, PENDING);
        switch (op.code) {
        case OP_RETURN:
        case OP_FAIL:
            if (f->cleaning)
                break;
            f->outcome = op.code == OP_RETURN ? TRT_OK : op.a & 1 ? TRT_EMPTY : TRT_FULL;
            f->pc = end;
            break;
        case OP_PANIC:
            if (may_panic(f) && (root_of(f)->async || !(live_forks(f) || live_members(f))))
                return DO_PANIC;
            break;
        case OP_FORK:
            if (m.closing || m.frames >= MOST_FRAMES)
                break;
            struct frame *child = frame_new(op.a % program.scripts, FORK, f);
            child->parent = index_of(f);
            child->slot = f->slots++;
            return DO_FORK;
        case OP_SPAWN:
        case OP_SPAWN_IN:
        case OP_SPAWN_DETACHED: spawn(self, f, op); break;
        case OP_ABORT:
        case OP_DETACH:
        case OP_IS_FINISHED:
        case OP_ABORT_ALL:
        case OP_DETACH_ALL:
        case OP_SET_LEN:
        case OP_TRY_JOIN_NEXT: do_tasks(self, f, op); break;
        case OP_TRY_SEND:
        case OP_TRY_RECV:
        case OP_CLOSE:
        case OP_LEN:
        case OP_BROADCAST_SEND:
        case OP_BROADCAST_CLOSE:
        case OP_WATCH_SEND:
        case OP_WATCH_CLOSE: do_channels(f, op); break;
        case OP_ONESHOT_SEND:
        case OP_ONESHOT_CLOSE: do_oneshot(f, op); break;
        case OP_NOTIFY_ONE:
        case OP_NOTIFY_ALL:
        case OP_CANCEL:
        case OP_ONCE_DONE:
        case OP_ONCE_FAILED:
        case OP_SHUTDOWN: do_signals(f, op); break;
        default: do_permits(self, f, op); break;
        }
    }
    if (!root_of(f)->async && (live_forks(f) || live_members(f))) { /* it will have to wait for them */
        plain(f, OP_YIELD);
        begin_await(f);
        return DO_AWAIT;
    }
    return DO_END;
}

static trt_op op_of(struct actor *self, struct frame *f, int i)
{
    static struct big message[MOST_WAITS]; /* the next send overwrites it: who waits has a copy */
    struct wait *w = &f->w[i];
    self->value[i] = self->big[i].value = -1;
    message[i].value = (int)w->n;
    switch (w->op) {
    case OP_SLEEP: return trt_sleep(w->n);
    case OP_SLEEP_UNTIL: return trt_sleep_until(w->due);
    case OP_ADVANCE: return trt_advance(w->n);
    case OP_TICK: return trt_tick(&self->interval);
    case OP_CALL: return trt_call(actor, children[w->child], .id = w->child);
    case OP_SYNC: return trt_sync();
    case OP_JOIN: return trt_join(handles[w->object], &self->value[i]);
    case OP_STOP: return trt_stop(handles[w->object]);
    case OP_JOIN_NEXT: return trt_join_next(&self->set, &self->value[i]);
    case OP_SET_SHUTDOWN: return trt_set_shutdown(&self->set);
    case OP_ACQUIRE: return trt_acquire_many(&semaphore, (size_t)w->n, &self->permit[i]);
    case OP_LOCK: return trt_lock(&mutex, &self->guard[i]);
    case OP_READ: return trt_read_lock(&rwlock, &self->guard[i]);
    case OP_WRITE: return trt_write_lock(&rwlock, &self->guard[i]);
    case OP_NOTIFIED: return trt_notified(&notify);
    case OP_BARRIER: return trt_barrier_wait(&barrier, &self->flag[i]);
    case OP_ONCE: return trt_once_enter(&once, &self->flag[i]);
    case OP_TOKEN_WAIT: return trt_token_wait(tokens[w->object]);
    case OP_ONESHOT_RECV: return trt_oneshot_recv(&oneshots[w->object], &self->value[i]);
    case OP_RECV:
        if (w->object == 1)
            return trt_recv(&big1, &self->big[i]);
        return trt_recv(w->object ? &small2 : &small0, &self->value[i]);
    case OP_SEND:
        if (w->object == 1)
            return trt_send(&big1, &message[i]);
        return trt_send(w->object ? &small2 : &small0, &message[i].value);
    case OP_BROADCAST_RECV: return trt_broadcast_recv(&self->subscriber, &self->value[i]);
    case OP_CHANGED: return trt_watch_changed(&self->follower, &self->value[i]);
    default: return trt_yield();
    }
}

/* One operation, or several as trt_await_any and its sisters make them. */
static trt_op awaited(struct actor *self, struct frame *f)
{
    static trt_op ops[MOST_WAITS];
    for (int i = 0; i < f->n; i++) {
        ops[i] = op_of(self, f, i);
        if (f->w[i].deadline != NEVER && f->n % 2)
            ops[i] = trt_within_until(f->w[i].deadline, ops[i]);
        else if (f->w[i].deadline != NEVER)
            ops[i] = trt_within(f->w[i].deadline - m.now, ops[i]);
    }
    switch (f->form) {
    case OP_ANY: return trt_any_(0, (size_t)f->n, ops);
    case OP_BIASED: return trt_any_(TRT_GROUP_BIASED_, (size_t)f->n, ops);
    case OP_ALL: return trt_any_(TRT_GROUP_ALL_, (size_t)f->n, ops);
    case OP_TRY_ALL: return trt_any_(TRT_GROUP_ALL_ | TRT_GROUP_TRY_, (size_t)f->n, ops);
    default: return ops[0];
    }
}

/* What a completed wait has written. */
static void check_value(struct actor *self, struct frame *f, int i)
{
    struct wait *w = &f->w[i];
    bool ok = w->status == TRT_OK, has_value;
    has_value = w->op == OP_RECV || w->op == OP_JOIN || w->op == OP_JOIN_NEXT || w->op == OP_ONESHOT_RECV ||
                w->op == OP_BROADCAST_RECV || w->op == OP_CHANGED;
    if (has_value)
        SAME(w->op == OP_RECV && w->object == 1 ? self->big[i].value : self->value[i], ok ? w->value : -1);
    if (w->op == OP_BARRIER && ok)
        SAME(self->flag[i], w->value);
    if (w->op == OP_ONCE && ok)
        SAME(self->flag[i], w->value);
    if (w->op == OP_CALL && ok)
        SAME(children[w->child]->out, w->value);
    if (w->op == OP_BROADCAST_RECV && w->status == TRT_LAGGED)
        SAME(trt_lagged(&self->subscriber), w->n);
}

static bool holds(const struct frame *f, int i)
{
    const struct actor *self = &((const trt_frame(actor) *)(const void *)f->co)->self;
    return f->w[i].op == OP_ACQUIRE ? self->permit[i].from_ != NULL : self->guard[i].from_ != NULL;
}

static int64_t interval_next(const struct frame *f)
{
    return ((const trt_frame(actor) *)(const void *)f->co)->self.interval.next_;
}

static void check_held(struct actor *self, struct frame *f)
{
    for (int i = 0; i < MOST_WAITS; i++) {
        hold_as_found(f, i, self->guard[i].from_ || self->permit[i].from_);
        SAME(self->permit[i].n_, f->held[i]);
        SAME(self->permit[i].from_ != NULL, f->held[i] != 0);
        SAME(self->guard[i].from_ != NULL, f->guard[i] != NOBODY);
    }
    if (f->period)
        SAME(self->interval.next_, f->tick);
}

static void check_forks(struct actor *self, struct frame *f)
{
    for (int i = 0; i < m.frames; i++) {
        const struct frame *child = &m.f[i];
        if (child->kind == FORK && child->parent == index_of(f) && child->slot >= 0 && child->state == OVER) {
            SAME(self->fork_out[child->slot], child->outcome == TRT_OK ? child->value : -1);
            m.f[i].slot = -1;
        }
    }
}

static void after(struct actor *self, struct frame *f, trt_co *co)
{
    int statuses[MOST_WAITS] = {0}, status = co->status_, chosen = co->chosen_;
    uint64_t joined = trt_joined();
    if (f->form == OP_ALL || f->form == OP_TRY_ALL)
        for (int i = 0; i < f->n; i++)
            statuses[i] = (int)trt_status_of_(co, i);
    await_ends(f);
    note(f, NOTE_RESUMED, chosen, status);
    check_outcome(f, status, chosen, statuses);
    for (int i = 0; i < f->n; i++)
        check_value(self, f, i);
    for (int i = 0; i < f->n; i++)
        if (f->form != OP_ALL && f->form != OP_TRY_ALL && f->w[i].op == OP_JOIN_NEXT && f->w[i].status >= 0 &&
            f->w[i].status != TRT_EMPTY && f->w[i].status != TRT_TIMED_OUT)
            SAME(joined, trt_task_id(handles[f->w[i].joined]));
    check_held(self, f);
    if (f->w[0].op == OP_SYNC && f->form == OP_YIELD && status != TRT_TIMED_OUT)
        check_forks(self, f);
    children_free(f);
}

static void release_all(struct actor *self, struct frame *f)
{
    for (int i = 0; i < MOST_WAITS; i++) {
        release(self, f, i);
        unlock(self, f, i);
    }
    if (m.once.state == BUSY && m.once.by == index_of(f)) {
        trt_once_failed(&once);
        once_failed();
    }
    trt_unsubscribe(&self->subscriber);
}

trt_async_def(int, actor)
{
    struct frame *f = &m.f[self->id];
    int what;
    trt_body {
        body_begins(f, &trt_frame_->co_);
        note(f, NOTE_BODY, f->script, PENDING);
        f->pc = program.script[f->script].begin;
        while ((what = next(self, f)) != DO_END) {
            if (what == DO_FORK) {
                self->fork_out[f->slots - 1] = -1;
                trt_fork(actor, &self->fork_out[f->slots - 1], .id = m.frames - 1);
            } else if (what == DO_PANIC) {
                body_ends(f, TRT_PANICKED, TRT_PANICKED, 0);
                trt_panic("as asked");
            } else {
                trt_await(awaited(self, f));
                after(self, f, &trt_frame_->co_);
            }
        }
        note(f, NOTE_END, 0, f->outcome);
        body_ends(f, TRT_OK, f->outcome, ++m.values);
        if (f->outcome != TRT_OK)
            trt_fail((trt_status_code)f->outcome);
        trt_return(f->value);
    }
    trt_cleanup {
        note(f, NOTE_CLEANUP, 0, (int)trt_status());
        cleanup_begins(f, &trt_frame_->co_, (int)trt_status());
        check_held(self, f);
        children_free(f);
        f->pc = program.script[f->script].defer;
        if (f->pc < program.script[f->script].end)
            f->pc++;
        while ((what = next(self, f)) != DO_END) {
            if (what == DO_FORK) {
                self->fork_out[f->slots - 1] = -1;
                trt_fork(actor, &self->fork_out[f->slots - 1], .id = m.frames - 1);
            } else if (what == DO_PANIC) {
                cleanup_ends(f, true);
                trt_panic("as asked, in a cleanup");
            } else {
                trt_await(awaited(self, f));
                after(self, f, &trt_frame_->co_);
            }
        }
        release_all(self, f);
        note(f, NOTE_OVER, 0, f->outcome);
        cleanup_ends(f, false);
    }
}

/* ------------------------------------------------------------------------------------------------
 * One program.
 */
static void objects_init(void)
{
    memset(&m, 0, sizeof m);
    memset(handles, 0, sizeof handles);
    memset(&semaphore, 0, sizeof semaphore);
    memset(&mutex, 0, sizeof mutex);
    memset(&rwlock, 0, sizeof rwlock);
    memset(&notify, 0, sizeof notify);
    memset(&once, 0, sizeof once);
    memset(oneshots, 0, sizeof oneshots);
    m.expected = NOBODY;
    m.fifo = program.header[0] == 0;
    m.permits[0].available = m.permits[0].total = program.header[1] % 4;
    m.permits[1].available = m.permits[1].total = 1;
    m.permits[2].available = m.permits[2].total = (int64_t)1 << 29;
    m.parties = 1 + program.header[1] / 4 % 3;
    m.channel[0].capacity = 1 + program.header[2] % 3;
    m.channel[1].capacity = 1 + program.header[2] / 3 % 2;
    m.channel[2].capacity = INT_MAX;
    m.broadcast.capacity = 1 + program.header[3] % 3;
    (void)trt_semaphore_init(&semaphore, (size_t)m.permits[0].total);
    (void)trt_barrier_init(&barrier, (size_t)m.parties);
    (void)trt_channel_init(&small0, (size_t)m.channel[0].capacity);
    (void)trt_channel_init(&big1, (size_t)m.channel[1].capacity);
    (void)trt_channel_init(&small2, TRT_UNBOUNDED);
    (void)trt_broadcast_init(&news, (size_t)m.broadcast.capacity);
    (void)trt_watch_init(&state, &(int){0});
    for (int i = 0; i < TOKENS; i++)
        tokens[i] = trt_token_new(i ? tokens[i - 1] : NULL);
}

/* Nothing is lost and nothing is left over. */
static void objects_check(void)
{
    const struct frame *f = &m.f[0];
    int64_t held = 0;
    for (int i = 0; i < m.frames; i++) {
        if (m.f[i].state != OVER)
            wrong("task %d has not ended", i);
        for (int k = 0; k < MOST_WAITS; k++)
            held += m.f[i].held[k]; /* by those whose cleanup panicked */
    }
    SAME(trt_available_permits(&semaphore), m.permits[0].total - held);
    for (int c = 0; c < CHANNELS; c++) {
        int value;
        while (try_recv(c, &value) == TRT_OK) {
            if (!m.channel[c].len)
                wrong("channel %d has a message that nobody sent", c);
            SAME(value, channel_pop(c));
        }
        SAME(m.channel[c].len, 0);
    }
    for (int i = 0; i < TOKENS; i++)
        trt_token_free(tokens[i]);
    trt_channel_free(&small0);
    trt_channel_free(&big1);
    trt_channel_free(&small2);
    trt_broadcast_free(&news);
    children_free(NULL);
    SAME(blocks, 0);
    SAME(deadlock, false);
}

static void program_run(const uint8_t *data, size_t size)
{
    const struct frame *f = &m.f[0];
    trt_config config = {.virtual_clock = true, .on_panic = silent, .stall_after = -1};
    int value = -1;
    n_steps = 0;
    program_read(data, size);
    objects_init();
    config.seed = program.header[0];
    if (trt_runtime_start(&runtime, &config) != TRT_OK)
        wrong("the runtime did not start");
    frame_new(0, TASK, NULL);
    beginning = 0;
    trt_status_code status = trt_block_on(runtime, actor, &value, .id = 0);
    look_at_ends();
    if (f->state != OVER)
        wrong("trt_block_on has returned, but the root has not ended");
    SAME(status, f->outcome);
    SAME(value, status == TRT_OK ? f->value : -1);
    abort_everything();
    m.fifo = false; /* from outside, not in order */
    SAME(trt_runtime_shutdown(runtime, -1), TRT_OK);
    look_at_ends();
    SAME(trt_runtime_free(runtime), TRT_OK);
    objects_check();
}

/* ------------------------------------------------------------------------------------------------
 * Drivers.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    program_run(data, size);
    return 0;
}

#ifdef REPLAY
static void late(int signal)
{
    (void)signal;
    wrong("no end");
}

int main(int argc, char **argv)
{
    static uint8_t data[1 << 16];
    bool print = false;
    int n = 0;
    signal(SIGALRM, late);
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "-p")) {
            print = true;
            continue;
        }
        FILE *from = fopen(argv[i], "rb");
        if (!from) {
            perror(argv[i]);
            return 2;
        }
        size_t size = fread(data, 1, sizeof data, from);
        fclose(from);
        alarm(10);
        program_run(data, size);
        n++;
        if (print)
            report();
    }
    printf("replayed %d programs\n", n);
    return 0;
}
#else
/* Mutations that know what an operation is; a fourth of the time libFuzzer's own. */
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t most);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed);

static uint64_t random_state;
static uint32_t below(uint32_t n)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(random_state >> 33) % n;
}

/* Small arguments are enough: they are numbers of scripts, tasks, objects and durations. */
static void some_op(uint8_t *at)
{
    static const uint8_t shape[] = {OP_END,  OP_END, OP_DEFER,  OP_SPAWN, OP_SPAWN,   OP_SPAWN_IN, OP_FORK,   OP_CALL,
                                    OP_CALL, OP_ANY, OP_BIASED, OP_ALL,   OP_TRY_ALL, OP_WITHIN,   OP_WITHIN, OP_ABORT};
    at[0] = (uint8_t)below(OP_COUNT);
    if (below(3) == 0)
        at[0] = shape[below(sizeof shape)];
    at[1] = (uint8_t)below(below(4) ? 12 : 256);
    at[2] = (uint8_t)below(below(4) ? 6 : 256);
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed)
{
    random_state = seed;
    if (below(4) == 0 || most < HEADER + 9)
        return LLVMFuzzerMutate(data, size, most);
    while (size < HEADER)
        data[size++] = (uint8_t)below(16);
    for (uint32_t times = 1 + below(4); times; times--) {
        uint32_t ops = (uint32_t)(size - HEADER) / 3, at = below(ops + 1), n = 1 + below(8), from;
        uint8_t *op = data + HEADER + at * 3;
        switch (below(8)) {
        case 0: /* leave one out */
            if (at < ops) {
                memmove(op, op + 3, (ops - at - 1) * 3);
                size = HEADER + (ops - 1) * 3;
            }
            break;
        case 1: /* another argument, or another configuration */
            if (at < ops)
                op[1 + below(2)] = (uint8_t)below(below(2) ? 8 : 256);
            else
                data[below(HEADER)] = (uint8_t)below(below(2) ? 3 : 256);
            break;
        case 2: /* another operation */
            if (at < ops)
                some_op(op);
            break;
        case 3: /* a few that stand elsewhere, here too */
            from = below(ops + 1);
            if (n > ops - from)
                n = ops - from;
            if (HEADER + (ops + n) * 3 > most)
                break;
            memmove(op + n * 3, op, (ops - at) * 3);
            memmove(op, data + HEADER + (from >= at ? from + n : from) * 3, n * 3);
            size = HEADER + (ops + n) * 3;
            break;
        default: /* one more */
            if (HEADER + (ops + 1) * 3 > most)
                break;
            memmove(op + 3, op, (ops - at) * 3);
            some_op(op);
            size = HEADER + (ops + 1) * 3;
            break;
        }
    }
    return size;
}

void __sanitizer_set_death_callback(void (*callback)(void));
int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    __sanitizer_set_death_callback(report);
    return 0;
}
#endif
