/* model.c - the engine of model.h: threads, memory, time, choices, reports. Not instrumented itself. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#define MODEL_ENGINE
#include "model.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    THREADS = 16,        /* of a run; a thread that has ended keeps its number */
    STACK = 1 << 17,
    HISTORY = 8,         /* stores remembered by a location */
    REACHES_ALL_NS = 1000000, /* by then a store has reached every thread */
    SLOTS = 6,           /* plain accesses remembered by eight bytes of memory */
    LOCATIONS = 8192,    /* atomic objects of a run */
    CHOICES = 1 << 17,
    TOUCHED = 1 << 18,
    BLOCKS = 4096,
    FDS = 32,
    PAGE = 4096
};
#define ARENA_START ((uintptr_t)1 << 44) /* always there: addresses are the same in every run */
#define HEAP ((size_t)32 << 20)
#define ARENA ((size_t)THREADS * STACK + HEAP)

/* Vector clocks. A thread's own clock counts its steps; 0 is before everything. */
typedef int16_t clocks __attribute__((vector_size(2 * THREADS)));
typedef uint64_t words __attribute__((vector_size(2 * THREADS)));

static inline void clocks_join(clocks *to, const clocks *from)
{
    clocks greater = *from > *to;
    *to = (*from & greater) | (*to & ~greater);
}
static inline bool clocks_any(clocks c)
{
    words w = (words)c;
    return (w[0] | w[1] | w[2] | w[3]) != 0;
}
/* Has one of these events happened before what `now` knows? */
static inline bool clocks_one_known(const clocks *events, const clocks *now)
{
    return clocks_any((*events != 0) & (*events <= *now));
}
static inline bool clocks_one_unknown(const clocks *events, const clocks *now) { return clocks_any(*events > *now); }

/* ------------------------------------------------------------------------------------------------
 * State.
 */
typedef struct store {
    uint64_t value;
    uint32_t step;
    bool sequential;     /* made with seq_cst */
    uint16_t heads;      /* threads whose release sequences it belongs to */
    clocks released;     /* what an acquire that reads it gets */
    clocks seen;         /* when each thread first wrote or read it: who knows one of these reads nothing older */
} store;

typedef struct location {
    uintptr_t address;
    uint32_t size, n;    /* stores so far, the first is what memory held */
    int holder;          /* of a latch: its thread, or -1 */
    clocks freed;        /* of a latch: what the next holder gets */
    clocks reads, writes;
    store history[HISTORY];
} location;

/* Eight bytes of memory. A slot is an access: bytes << 20 | write << 19 | thread << 15 | clock. */
typedef struct granule {
    uint32_t run;        /* of another run: untouched in this one */
    uint16_t location[2];/* atomic objects in it, 0 none */
    uint32_t slot[SLOTS];
} granule;
#define FREED UINT32_MAX

typedef enum { NONE, READY, BLOCKED, ENDED } condition;
typedef struct thread {
    void *sp;
    condition state;
    const void *waits_for;
    const char *wait_name;
    int64_t deadline;
    bool timed_out, joined;
    int error, line;
    void *(*run)(void *);
    void *argument;
    long priority;
    uint32_t fence_step;
    clocks now, acquired, released, fenced; /* acquired: by relaxed loads; released: by a fence; fenced: seq_cst */
    char self[1024] __attribute__((aligned(16)));
} thread;

typedef struct block { char *address; size_t size; bool live; void *by; uint32_t step; } block;
typedef struct fd_state {
    int kind, poller, peer;
    uint32_t ready, interest;
    bool armed, edge;
    uint64_t count;
    union epoll_data data;
} fd_state;
enum { FD_NONE, FD_POLLER, FD_EVENT, FD_READ, FD_WRITE, FD_TEST };
enum { FD_FIRST = 1000 };

static struct {
    const model_scenario *scenario, *first;
    struct { long moments, runs; } *swept; /* of each scenario, told by the process that ran it */
    enum { RANDOM, PCT, DEPTH, REPLAY } strategy;
    uint64_t seed, random;
    long schedule, schedules;
    uint32_t run;
    bool running, verbose, explaining, shrinking, at_random;
    int weaker_line, weaker_from, weaker_to; /* -w */
    int broken; /* -x */
    void *controller;
    /* threads */
    int me, n_threads;
    uint32_t ready, yielded, timed; /* one bit a thread */
    thread *threads;
    /* choices */
    uint8_t *picked, *out_of;
    size_t n_picked, position;
    /* scheduling */
    uint32_t step, limit, long_ago; /* long_ago: what was stored up to there has reached everybody */
    int preempted, spurious, early, stale, stickiness, depth;
    uint32_t change[8];
    long lowest;
    double mean_steps;
    /* memory */
    granule *shadow, *data_shadow;
    location *locations;
    uint32_t n_locations;
    clocks fence;                   /* all that seq_cst fences have made visible */
    uintptr_t heap;
    uint32_t *page_run;             /* a page without a touched granule can be skipped */
    uintptr_t *touched;
    size_t n_touched;
    block *blocks;
    size_t n_blocks, n_live;
    uintptr_t free_from[64], free_to[64];
    int n_free;
    int64_t clock;
    /* a sweep's moment: its number (0: none), how many there were, who goes on at it; see model_await_moment */
    uint32_t moment, moments, awaiting;
    enum { BEFORE, COUNTING, OVER } moments_are;
    int at_once;                    /* the thread that goes on alone from its moment on, or -1 */
    long turn;
    int threads_left, memory_left;
    bool membarrier;
    fd_state fd[FDS];
    /* to explain a race: the access to look for when the run is repeated */
    uintptr_t watched;
    int watched_thread, watched_clock;
    char log[4096];
} M;
void *model_self;

static const char *program;
extern char __data_start, _end;

static void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void say(const char *format, ...)
{
    va_list list;
    va_start(list, format);
    vprintf(format, list);
    va_end(list);
}

/* ------------------------------------------------------------------------------------------------
 * Reports.
 */
static void print_frames(uintptr_t *at, int n)
{
    char command[2048];
    int used = snprintf(command, sizeof command, "addr2line -e /proc/%d/exe -f -i -p", (int)getpid());
    for (int i = 0; i < n && used < (int)sizeof command - 32; i++)
        used += snprintf(command + used, sizeof command - (size_t)used, " %lx", (unsigned long)at[i]);
    fflush(stdout);
    FILE *lines = popen(command, "r");
    char line[512];
    while (lines && fgets(line, sizeof line, lines)) {
        char *file = strrchr(line, '/'), *name = strstr(line, " at ");
        if (file && name && file > name) memmove(name + 4, file + 1, strlen(file));
        printf("        %s", line);
    }
    if (lines) pclose(lines);
}

static void print_stack(int t, uintptr_t *frame)
{
    uintptr_t low = ARENA_START + (uintptr_t)t * STACK, at[24];
    int n = 0;
    while ((uintptr_t)frame >= low && (uintptr_t)frame < low + STACK - 32 && n < 24) {
        if (!frame[1]) break;
        at[n++] = frame[1] - 1;
        if (frame[0] <= (uintptr_t)frame) break;
        frame = (uintptr_t *)frame[0];
    }
    if (n) print_frames(at, n);
}

static void print_list(FILE *to)
{
    size_t n = M.strategy == REPLAY ? M.n_picked : M.position;
    if (M.position < n) n = M.position;
    while (n && !M.picked[n - 1]) n--;
    for (size_t i = 0; i < n;) {
        size_t zeros = 0;
        while (i + zeros < n && !M.picked[i + zeros]) zeros++;
        if (zeros > 4) {
            fprintf(to, "[%zu]", zeros);
            i += zeros;
        } else {
            fputc("0123456789abcdefghijklmnopqrstuvwxyz"[M.picked[i++]], to);
        }
    }
}

static const char *state_name(const thread *t)
{
    return t->state == READY ? "can run" : t->state == BLOCKED ? t->wait_name : t->state == ENDED ? "has ended" : "none";
}

static void print_threads(void)
{
    for (int i = 0; i < M.n_threads; i++) {
        thread *t = &M.threads[i];
        if (t->state == ENDED) continue;
        printf("    thread %d%s: %s", i, i == M.me ? " (running)" : "", state_name(t));
        if (t->state == BLOCKED) printf(" %p", t->waits_for);
        if (t->state == BLOCKED && t->deadline != INT64_MAX) printf(" for %lld us", (long long)(t->deadline - M.clock) / 1000);
        printf("\n");
        print_stack(i, i == M.me ? __builtin_frame_address(0) : ((uintptr_t **)t->sp)[4]);
    }
}

/* Repeats the run in a child that looks for the first of the two accesses; see one_run. */
void model_swap(void **save, void *to);
static void explain_race(void)
{
    int status;
    void *here;
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        M.explaining = true;
        model_swap(&here, M.controller);
    }
    waitpid(child, &status, 0);
}

void model_fail(const char *format, ...)
{
    va_list list;
    M.running = false;
    if (M.explaining) _exit(1);
    if (M.shrinking) _exit(10 + (int)((uintptr_t)format / 4 % 200)); /* the kind of failure */
    printf("  %s, schedule %ld (%s), ", M.scenario->name, M.schedule,
           M.strategy == PCT ? "pct" : M.strategy == RANDOM ? "random" : M.strategy == DEPTH ? "depth first" : "repeated");
    if (M.scenario->swept) printf("moment %u, ", M.moment);
    printf("step %u, thread %d: ", M.step, M.me);
    va_start(list, format);
    vprintf(format, list);
    va_end(list);
    printf("\n");
    print_threads();
    if (*M.log) printf("    it has said: %s", M.log);
    printf("  repeat: %s -r '", program);
    print_list(stdout);
    printf("' %s\n", M.scenario->name);
    if (M.watched && M.strategy != REPLAY) explain_race();
    fflush(stdout);
    _exit(1);
}

void model_log(const char *text)
{
    size_t used = strlen(M.log);
    bool was = M.running;
    M.running = false;
    if (M.verbose) say("    says: %s", text);
    if (used < sizeof M.log - 1) snprintf(M.log + used, sizeof M.log - used, "%s", text);
    M.running = was;
}

/* ------------------------------------------------------------------------------------------------
 * Choices.
 */
static uint64_t random_next(void)
{
    uint64_t z = M.random += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

/* One of n, noted. `wish` is what a random strategy would like: -1 for any. */
static int choose(int n, int wish)
{
    int pick;
    if (n <= 1) return 0;
    if (n > 35) n = 35;
    if (M.position >= CHOICES) model_fail("more than %d choices", CHOICES);
    if (M.strategy == REPLAY) {
        pick = M.position < M.n_picked ? M.picked[M.position] : 0;
        if (pick >= n && M.shrinking) pick = 0;
        if (pick >= n) model_fail("the list does not belong to this scenario, or taskrt.h has changed");
    } else if (M.strategy == DEPTH) {
        if (M.position == M.n_picked) {
            M.picked[M.n_picked] = 0;
            M.out_of[M.n_picked++] = (uint8_t)n;
        }
        pick = M.picked[M.position];
    } else {
        pick = wish >= 0 ? wish : (int)(random_next() % (unsigned)n);
    }
    M.picked[M.position++] = (uint8_t)pick;
    return pick;
}

int model_choose(int n) { return choose(n, -1); }

int model_turn(int n)
{
    int wish = (int)(M.turn % n), answer = 0;
    M.turn /= n;
    if (n <= 35) return choose(n, wish);
    for (int shift = 10; shift >= 0; shift -= 5) answer |= choose(32, wish >> shift & 31) << shift;
    if (answer >= n) model_fail("the list does not belong to this scenario");
    return answer;
}

const void *model_with(void) { return M.scenario->with; }

/* The moment is a part of the list, in front. */
static void choose_moment(void)
{
    uint32_t moment = M.moment;
    M.moment = 0;
    for (int shift = 15; shift >= 0; shift -= 5) M.moment |= (uint32_t)choose(32, moment >> shift & 31) << shift;
    M.at_once = choose(2, (int)(M.schedule / 2 % 2)) - 1;
}

/* ------------------------------------------------------------------------------------------------
 * Switching. The saved registers lie on the thread's stack, its frame pointer fifth.
 */
void model_swap(void **save, void *to);
#if defined __x86_64__
__asm__(".text\n.globl model_swap\n.type model_swap,@function\nmodel_swap:\n"
        "push %rbx\n push %rbp\n push %r12\n push %r13\n push %r14\n push %r15\n"
        "mov %rsp, (%rdi)\n mov %rsi, %rsp\n"
        "pop %r15\n pop %r14\n pop %r13\n pop %r12\n pop %rbp\n pop %rbx\n ret\n"
        ".size model_swap, . - model_swap\n.section .note.GNU-stack,\"\",@progbits\n.text\n");
#else
#error "the model switches stacks by hand: write model_swap for this processor"
#endif

static void switch_to(int t)
{
    int from = M.me, error = errno;
    if (t == from) return;
    M.me = t;
    model_self = M.threads[t].self;
    model_swap(&M.threads[from].sp, M.threads[t].sp);
    errno = error;
}

static int nth(uint32_t set, int n)
{
    while (n--) set &= set - 1;
    return __builtin_ctz(set);
}

static void wake_up(int t, bool timed_out)
{
    thread *w = &M.threads[t];
    w->state = READY;
    w->timed_out = timed_out;
    M.ready |= 1u << t;
    M.timed &= ~(1u << t);
    if (!timed_out || w->deadline <= M.clock) return;
    if (w->deadline - M.clock >= REACHES_ALL_NS) M.long_ago = M.step;
    M.clock = w->deadline;
    for (uint32_t left = M.timed; left; left &= left - 1)
        if (M.threads[__builtin_ctz(left)].deadline <= M.clock) wake_up(__builtin_ctz(left), true);
}

static void wake_awaiting(void)
{
    for (uint32_t left = M.awaiting; left; left &= left - 1) wake_up(__builtin_ctz(left), false);
}

/* Nobody can run: time passes, until the next who only waits for that. */
static void pass_time(void)
{
    int64_t first = INT64_MAX;
    uint32_t due = 0;
    for (uint32_t left = M.timed; left; left &= left - 1) {
        int t = __builtin_ctz(left);
        if (M.threads[t].deadline > first) continue;
        if (M.threads[t].deadline < first) due = 0;
        first = M.threads[t].deadline;
        due |= 1u << t;
    }
    if (!due && M.awaiting && M.moments_are == COUNTING) { /* there will be no moment any more */
        M.moments_are = OVER;
        wake_awaiting();
        return;
    }
    if (!due) model_fail("deadlock");
    wake_up(nth(due, choose(__builtin_popcount(due), -1)), true);
}

static int first_by_priority(uint32_t able)
{
    int best = __builtin_ctz(able);
    for (uint32_t left = able; left; left &= left - 1) {
        int t = __builtin_ctz(left);
        if (M.threads[t].priority > M.threads[best].priority) best = t;
    }
    return best;
}

/* Who runs next. Candidate 0 is the present thread, if it can; then come the others by number; then those whose time
 * may be up early. */
static int pick(void)
{
    uint32_t able = M.ready & ~M.yielded, self = able & 1u << M.me;
    uint32_t others, early = M.early > 0 ? M.timed : 0;
    int n, n_others, wish = -1, chosen;
    M.yielded = 0; /* who rests does so once */
    while (!able) {
        if (!M.ready) pass_time();
        able = M.ready;
        self = able & 1u << M.me;
    }
    if (self && M.at_once == M.me) return M.me;
    if (self && M.scenario->exhaust && M.preempted >= M.scenario->exhaust - 1) return M.me;
    others = able & ~self;
    n_others = __builtin_popcount(others);
    n = (self != 0) + n_others + __builtin_popcount(early);
    if (n == 1) return __builtin_ctz(able);
    if (M.strategy == PCT || M.strategy == RANDOM) {
        if (early && random_next() % 128 == 0) {
            wish = (self != 0) + n_others + (int)(random_next() % (unsigned)__builtin_popcount(early));
        } else if (M.strategy == PCT && M.step < M.limit / 2) {
            int best = first_by_priority(able);
            wish = best == M.me && self ? 0 : (self != 0) + __builtin_popcount(others & ((1u << best) - 1));
        } else if (self && random_next() % (unsigned)M.stickiness) {
            wish = 0;
        } else {
            wish = (int)(random_next() % (unsigned)((self != 0) + n_others));
        }
    }
    chosen = choose(n, wish);
    if (self && chosen == 0) return M.me;
    chosen -= self != 0;
    M.preempted += self != 0;
    if (chosen < n_others) return nth(others, chosen);
    M.early--;
    chosen = nth(early, chosen - n_others);
    wake_up(chosen, true);
    return chosen;
}

static inline void tick(thread *me)
{
    if (me->now[M.me] == INT16_MAX) model_fail("livelock: too many steps of one thread");
    me->now[M.me]++;
}

/* Has the moment come? Who awaits it goes on at once. */
static bool moment_comes(void)
{
    bool is_one;
    M.running = false; /* what is asked here is no part of the run */
    is_one = !M.scenario->moment || M.scenario->moment();
    M.running = true;
    if (!is_one || ++M.moments != M.moment || !M.awaiting) return false;
    if (M.at_once >= 0) M.at_once = __builtin_ctz(M.awaiting);
    wake_awaiting();
    return true;
}

/* Before each operation that others could see. */
static inline thread *point(int line)
{
    thread *me = &M.threads[M.me];
    if (++M.step > M.limit) model_fail("livelock: %u steps", M.limit);
    tick(me);
    me->line = line;
    if (M.strategy == PCT)
        for (int i = 0; i + 1 < M.depth; i++)
            if (M.change[i] == M.step) me->priority = --M.lowest;
    if (M.moments_are == COUNTING && moment_comes()) switch_to(__builtin_ctz(M.awaiting));
    else if (M.ready != 1u << M.me || M.early > 0) switch_to(pick());
    return me;
}

/* True: woken; false: the time was up. */
static bool block_on(const void *object, const char *name, int64_t deadline)
{
    thread *me = &M.threads[M.me];
    me->state = BLOCKED;
    me->waits_for = object;
    me->wait_name = name;
    me->deadline = deadline;
    M.ready &= ~(1u << M.me);
    if (deadline != INT64_MAX) M.timed |= 1u << M.me;
    switch_to(pick());
    return !me->timed_out;
}

static bool moment_came(void) { return M.moment && M.moments >= M.moment; }

bool model_await_moment(void)
{
    if (M.moments_are == BEFORE) M.moments_are = COUNTING;
    if (M.moments_are == COUNTING && !moment_came()) {
        M.awaiting |= 1u << M.me;
        block_on(&M.moment, "awaits the moment", INT64_MAX);
    }
    return moment_came();
}

static int wake(const void *object, int n)
{
    uint32_t waiting = 0;
    int woken = 0;
    for (int i = 0; i < M.n_threads; i++)
        if (M.threads[i].state == BLOCKED && M.threads[i].waits_for == object) waiting |= 1u << i;
    for (; waiting && woken < n; woken++) {
        int t = n >= THREADS ? __builtin_ctz(waiting) : nth(waiting, choose(__builtin_popcount(waiting), -1));
        waiting &= ~(1u << t);
        wake_up(t, false);
    }
    return woken;
}

void model_end_moments(void)
{
    (void)point(0);
    M.moments_are = OVER;
    (void)wake(&M.moment, THREADS);
}

static void told(int line, const char *what, const void *object, uint64_t value)
{
    if (!M.verbose) return;
    bool was = M.running;
    M.running = false;
    printf("%5u  thread %d  line %-5d %-8s %p  %llx\n", M.step, M.me, line, what, object, (unsigned long long)value);
    M.running = was;
}

/* ------------------------------------------------------------------------------------------------
 * Plain memory.
 */
static inline granule *granule_raw(uintptr_t at)
{
    if (at - ARENA_START < ARENA) return &M.shadow[(at - ARENA_START) >> 3];
    if (at - ((uintptr_t)&__data_start & ~(uintptr_t)7) < (uintptr_t)(&_end - &__data_start))
        return &M.data_shadow[(at - ((uintptr_t)&__data_start & ~(uintptr_t)7)) >> 3];
    return NULL;
}

static void granule_begin(granule *g, uintptr_t at)
{
    memset(g, 0, sizeof *g);
    g->run = M.run;
    if (at - ARENA_START >= ARENA) return;
    if (M.n_touched < TOUCHED) M.touched[M.n_touched++] = at & ~(uintptr_t)7;
    M.page_run[(at - ARENA_START) / PAGE] = M.run;
    for (int i = 0; i < M.n_free; i++)
        if (at >= M.free_from[i] && at < M.free_to[i]) g->slot[0] = FREED;
}

static inline granule *granule_at(uintptr_t at)
{
    granule *g = granule_raw(at);
    if (g && __builtin_expect(g->run != M.run, 0)) granule_begin(g, at);
    return g;
}

static void race(uintptr_t at, const char *what, const char *other, int by, int clock)
{
    if (!M.watched) {
        M.watched = at & ~(uintptr_t)7;
        M.watched_thread = by;
        M.watched_clock = clock;
    }
    model_fail("data race at %p: %s here, %s by thread %d before", (void *)at, what, other, by);
}

static int first_unknown(const clocks *events, const clocks *now)
{
    for (int i = 0; i < THREADS; i++)
        if ((*events)[i] > (*now)[i]) return i;
    return 0;
}

/* A plain access meets atomic objects: their clocks are elsewhere, and a write makes them anew. */
static void plain_meets_atomic(granule *g, uintptr_t at, uint32_t bytes, bool write, const thread *me)
{
    for (int i = 0; i < 2; i++) {
        location *l = &M.locations[g->location[i]];
        if (!g->location[i] || !(bytes & (l->size == 8 ? 0xFFu : i ? 0xF0u : 0x0Fu))) continue;
        if (clocks_one_unknown(&l->writes, &me->now)) {
            int t = first_unknown(&l->writes, &me->now);
            race(at, write ? "plain write" : "plain read", "atomic write", t, l->writes[t]);
        }
        if (!write) continue;
        if (clocks_one_unknown(&l->reads, &me->now)) {
            int t = first_unknown(&l->reads, &me->now);
            race(at, "plain write", "atomic read", t, l->reads[t]);
        }
        g->location[i] = 0;
    }
}

static __attribute__((noinline)) void watched_access(const char *what)
{
    M.running = false;
    printf("  the other access (%s), thread %d, step %u:\n", what, M.me, M.step);
    print_stack(M.me, __builtin_frame_address(0));
    fflush(stdout);
    if (M.explaining) _exit(0);
    M.running = true;
}

static inline bool is_watched(uintptr_t at, const thread *me)
{
    return __builtin_expect(M.watched != 0, 0) && M.strategy == REPLAY && (at & ~(uintptr_t)7) == M.watched &&
           M.me == M.watched_thread && me->now[M.me] == M.watched_clock;
}

/* On the stack of another thread, which has left the frame. */
static inline bool is_dead_frame(uintptr_t at)
{
    uintptr_t t = (at - ARENA_START) / STACK;
    return t < THREADS && (int)t != M.me && (M.threads[t].state == ENDED || at < (uintptr_t)M.threads[t].sp);
}

/* Conflicts with what the granule remembers. */
static inline void check_slots(granule *g, uintptr_t at, uint32_t bytes, bool write, const thread *me, const char *what)
{
    if (g->slot[0] == FREED) model_fail("use of freed memory at %p: %s", (void *)at, what);
    if (is_dead_frame(at)) model_fail("use of a frame that has been left, at %p: %s", (void *)at, what);
    for (int i = 0; i < SLOTS && g->slot[i]; i++) {
        uint32_t s = g->slot[i];
        int t = s >> 15 & 15, clock = s & 0x7FFF;
        if ((s >> 20 & bytes) && (write || (s >> 19 & 1)) && t != M.me && clock > me->now[t])
            race(at, what, s >> 19 & 1 ? "write" : "read", t, clock);
    }
}

static inline void access_plain(uintptr_t at, uint32_t bytes, bool write)
{
    granule *g = granule_at(at);
    thread *me;
    uint32_t mine;
    int free = -1;
    if (!g) return;
    me = &M.threads[M.me];
    mine = bytes << 20 | (uint32_t)write << 19 | (uint32_t)M.me << 15 | (uint32_t)(uint16_t)me->now[M.me];
    if (g->slot[0] == mine) return;
    if (is_watched(at, me)) watched_access(write ? "write" : "read");
    check_slots(g, at, bytes, write, me, write ? "write" : "read");
    if (g->location[0] | g->location[1]) plain_meets_atomic(g, at, bytes, write, me);
    for (int i = 0; i < SLOTS; i++) { /* in the place of an access that this one covers */
        uint32_t s = g->slot[i];
        if (!s) {
            if (free < 0) free = i;
            break;
        }
        if (((s >> 20) & ~bytes) || (!write && (s >> 19 & 1))) continue;
        if (write || (int)(s >> 15 & 15) == M.me) {
            free = i;
            break;
        }
    }
    if (free < 0) free = 1 + (int)(M.step % (SLOTS - 1)); /* forget one */
    g->slot[free] = mine;
}

static inline void access_range(uintptr_t at, size_t n, bool write)
{
    uintptr_t end = at + n;
    bool arena = at - ARENA_START < ARENA;
    while (at < end) {
        uintptr_t next = (at & ~(uintptr_t)7) + 8;
        uint32_t bytes = 0xFFu << (at & 7) & 0xFF;
        if (arena && n >= 2 * PAGE && !(at & (PAGE - 1)) && end - at >= PAGE &&
            M.page_run[(at - ARENA_START) / PAGE] != M.run) {
            at += PAGE; /* a large block that nobody has touched: not noted */
            continue;
        }
        if (next > end) bytes &= 0xFFu >> (next - end);
        access_plain(at, bytes, write);
        at = next;
    }
}

void *model_memcpy(void *to, const void *from, size_t n)
{
    if (M.running) {
        access_range((uintptr_t)from, n, false);
        access_range((uintptr_t)to, n, true);
    }
    return memcpy(to, from, n);
}

void *model_memset(void *to, int byte, size_t n)
{
    const block *last = &M.blocks[M.n_blocks ? M.n_blocks - 1 : 0];
    bool fresh = n >= 1024 && to == last->address && M.step == last->step; /* nobody else can know it */
    if (M.running && !fresh) access_range((uintptr_t)to, n, true);
    return memset(to, byte, n);
}

/* The callbacks of -fsanitize=thread. */
#define CALLBACK(name, size, write)                                                                                    \
    void name(void *p);                                                                                                \
    void name(void *p)                                                                                                 \
    {                                                                                                                  \
        uintptr_t at = (uintptr_t)p;                                                                                   \
        if (!M.running) return;                                                                                        \
        if ((at & 7) + size <= 8) access_plain(at, (size == 8 ? 0xFFu : (1u << size % 8) - 1) << (at & 7), write);     \
        else access_range(at, size, write);                                                                            \
    }
CALLBACK(__tsan_read1, 1, false)
CALLBACK(__tsan_read2, 2, false)
CALLBACK(__tsan_read4, 4, false)
CALLBACK(__tsan_read8, 8, false)
CALLBACK(__tsan_read16, 16, false)
CALLBACK(__tsan_write1, 1, true)
CALLBACK(__tsan_write2, 2, true)
CALLBACK(__tsan_write4, 4, true)
CALLBACK(__tsan_write8, 8, true)
CALLBACK(__tsan_write16, 16, true)
CALLBACK(__tsan_unaligned_read2, 2, false)
CALLBACK(__tsan_unaligned_read4, 4, false)
CALLBACK(__tsan_unaligned_read8, 8, false)
CALLBACK(__tsan_unaligned_read16, 16, false)
CALLBACK(__tsan_unaligned_write2, 2, true)
CALLBACK(__tsan_unaligned_write4, 4, true)
CALLBACK(__tsan_unaligned_write8, 8, true)
CALLBACK(__tsan_unaligned_write16, 16, true)

void __tsan_read_range(void *p, size_t n);
void __tsan_read_range(void *p, size_t n)
{
    if (M.running) access_range((uintptr_t)p, n, false);
}
void __tsan_write_range(void *p, size_t n);
void __tsan_write_range(void *p, size_t n)
{
    if (M.running) access_range((uintptr_t)p, n, true);
}
void __tsan_init(void);
void __tsan_init(void) {}
void __tsan_func_entry(void *pc);
void __tsan_func_entry(void *pc) { (void)pc; }
void __tsan_func_exit(void);
void __tsan_func_exit(void) {}

/* Atomics that go past the layer end here. */
#define PAST(name)                                                                                                     \
    void name(void);                                                                                                   \
    void name(void) { model_fail(#name ": an atomic access past the layer"); }
PAST(__tsan_atomic32_load)
PAST(__tsan_atomic64_load)
PAST(__tsan_atomic32_store)
PAST(__tsan_atomic64_store)
PAST(__tsan_atomic32_fetch_add)
PAST(__tsan_atomic64_fetch_add)
PAST(__tsan_atomic_thread_fence)

/* ------------------------------------------------------------------------------------------------
 * Atomic objects.
 */
static inline bool acquires(memory_order order)
{
    return order == memory_order_acquire || order == memory_order_acq_rel || order == memory_order_seq_cst;
}
static inline bool releases(memory_order order)
{
    return order == memory_order_release || order == memory_order_acq_rel || order == memory_order_seq_cst;
}

static inline uint64_t in_memory(const void *object, size_t size)
{
    return size == 8 ? *(const uint64_t *)object : *(const uint32_t *)object;
}

static inline store *stored(location *l, uint32_t i) { return &l->history[i % HISTORY]; }
static inline store *newest(location *l) { return stored(l, l->n - 1); }

/* One store: what memory holds, written in a way that happened before. */
static void location_restart(location *l, uint64_t value)
{
    store *s = &l->history[0];
    memset(s, 0, sizeof *s);
    s->value = value;
    l->n = 1;
}

static location *location_at(void *object, size_t size, thread *me, bool write, const char *what)
{
    uintptr_t at = (uintptr_t)object;
    granule *g = granule_at(at);
    uint32_t half = size == 4 && (at & 4) ? 1 : 0, bytes = size == 8 ? 0xFFu : half ? 0xF0u : 0x0Fu;
    location *l;
    uint64_t value = in_memory(object, size);
    if (!g || (size != 4 && size != 8) || (at & (size - 1))) model_fail("an atomic object of %zu bytes at %p", size, object);
    if (is_watched(at, me)) watched_access(what);
    check_slots(g, at, bytes, write, me, what);
    if (!g->location[half]) {
        if (M.n_locations == LOCATIONS) model_fail("more than %d atomic objects", LOCATIONS);
        l = &M.locations[M.n_locations];
        g->location[half] = (uint16_t)M.n_locations++;
        l->address = at;
        l->size = (uint32_t)size;
        l->holder = -1;
        memset(&l->freed, 0, sizeof l->freed);
        memset(&l->reads, 0, sizeof l->reads);
        memset(&l->writes, 0, sizeof l->writes);
        location_restart(l, value);
        return l;
    }
    l = &M.locations[g->location[half]];
    if (newest(l)->value != value) location_restart(l, value); /* written where nobody has looked */
    return l;
}

/* May this load not read anything older than this store? */
static inline bool bars_older(const store *s, const thread *me, memory_order order)
{
    if (clocks_one_known(&s->seen, &me->now) || clocks_one_known(&s->seen, &me->fenced)) return true;
    if (s->sequential && s->step <= me->fence_step) return true;
    if (s->step <= M.long_ago) return true;
    return order == memory_order_seq_cst && (s->sequential || clocks_one_known(&s->seen, &M.fence));
}

/* How many stores back a load may reach. */
static int reach(location *l, const thread *me, memory_order order)
{
    uint32_t oldest = l->n > HISTORY ? l->n - HISTORY : 0, i = l->n - 1;
    if (!M.scenario->weak || !M.stale) return 0;
    while (i > oldest && !bars_older(stored(l, i), me, order)) i--;
    return (int)(l->n - 1 - i);
}

static uint64_t read_store(location *l, store *s, thread *me, memory_order order)
{
    if (!s->seen[M.me]) s->seen[M.me] = me->now[M.me];
    l->reads[M.me] = me->now[M.me];
    clocks_join(acquires(order) ? &me->now : &me->acquired, &s->released);
    return s->value;
}

/* Release sequences as in C11: an update carries on those of the store before it, a plain store its own thread's. */
static void write_store(location *l, uint64_t value, thread *me, memory_order order, bool update)
{
    const store *before = newest(l);
    bool carries = update || (before->heads >> M.me & 1);
    clocks carried = before->released;
    uint16_t heads = carries ? before->heads : 0;
    store *s = stored(l, l->n++);
    s->value = value;
    s->step = M.step;
    s->sequential = order == memory_order_seq_cst;
    s->released = releases(order) ? me->now : me->released;
    s->heads = (uint16_t)(heads | (releases(order) || clocks_any(me->released != 0) ? 1u << M.me : 0));
    if (carries) clocks_join(&s->released, &carried);
    memset(&s->seen, 0, sizeof s->seen);
    s->seen[M.me] = me->now[M.me];
    l->writes[M.me] = me->now[M.me];
    if (l->size == 8) *(uint64_t *)l->address = value;
    else *(uint32_t *)l->address = (uint32_t)value;
}

/* Is this the order that -w makes weaker? */
static inline memory_order weakened(memory_order order, int line)
{
    return line == M.weaker_line && (int)order == M.weaker_from ? (memory_order)M.weaker_to : order;
}

bool model_broken(int place) { return place == M.broken; }

uint64_t model_load(void *object, size_t size, memory_order order, int line)
{
    if (!M.running) return in_memory(object, size);
    order = weakened(order, line);
    thread *me = point(line);
    location *l = location_at(object, size, me, false, "atomic read");
    int back = choose(reach(l, me, order) + 1, -1);
    if (back) M.stale--;
    uint64_t value = read_store(l, stored(l, l->n - 1 - (uint32_t)back), me, order);
    told(line, back ? "stale" : "load", object, value);
    return value;
}

void model_store(void *object, size_t size, uint64_t value, memory_order order, int line)
{
    order = weakened(order, line);
    thread *me = point(line);
    location *l = location_at(object, size, me, true, "atomic write");
    if (size == 4) value = (uint32_t)value;
    write_store(l, value, me, order, false);
    told(line, "store", object, value);
}

static uint64_t updated(int how, uint64_t old, uint64_t value)
{
    switch (how) {
    case MODEL_ADD: return old + value;
    case MODEL_SUB: return old - value;
    case MODEL_OR: return old | value;
    case MODEL_AND: return old & value;
    default: return value;
    }
}

/* Reads the newest store and makes the next: a release sequence goes on. */
static uint64_t read_and_write(location *l, int how, uint64_t value, thread *me, memory_order order)
{
    uint64_t old = read_store(l, newest(l), me, order);
    value = updated(how, old, value);
    if (l->size == 4) value = (uint32_t)value;
    write_store(l, value, me, order, true);
    return old;
}

uint64_t model_update(void *object, size_t size, int how, uint64_t value, memory_order order, int line)
{
    static const char *const names[] = {"swap", "add", "sub", "or", "and"};
    order = weakened(order, line);
    thread *me = point(line);
    location *l = location_at(object, size, me, true, "atomic update");
    uint64_t old = read_and_write(l, how, value, me, order);
    told(line, names[how], object, newest(l)->value);
    return old;
}

/* What is left of an order when the compare fails. */
static memory_order of_failure(memory_order order)
{
    return order == memory_order_release ? memory_order_relaxed : order == memory_order_acq_rel ? memory_order_acquire : order;
}

int model_compare(void *object, size_t size, void *expected, uint64_t value, memory_order order, int weak, int line)
{
    order = weakened(order, line);
    thread *me = point(line);
    uint64_t wanted = in_memory(expected, size), found;
    location *l = location_at(object, size, me, true, "atomic compare");
    store *s = newest(l);
    int back = choose(reach(l, me, of_failure(order)) + 1, -1);
    if (back) M.stale--;
    if (back && stored(l, l->n - 1 - (uint32_t)back)->value != wanted) s = stored(l, l->n - 1 - (uint32_t)back);
    if (s->value == wanted && !(weak && M.spurious > 0 && choose(2, random_next() % 32 == 0) && M.spurious-- > 0)) {
        read_and_write(l, MODEL_SWAP, value, me, order);
        told(line, "cas", object, value);
        return 1;
    }
    found = read_store(l, s, me, of_failure(order));
    if (size == 8) *(uint64_t *)expected = found;
    else *(uint32_t *)expected = (uint32_t)found;
    told(line, "cas: no", object, found);
    return 0;
}

/* All fences are seq_cst. What they order is visibility, not happens-before: `fenced` does not excuse a data race. */
static void fence(thread *t)
{
    clocks_join(&t->now, &t->acquired);
    t->released = t->now;
    clocks_join(&M.fence, &t->now);
    t->fenced = M.fence;
    t->fence_step = M.step;
}

void model_fence(int line)
{
    fence(point(line));
    told(line, "fence", NULL, 0);
}

/* Each thread passes a fence, wherever it is, between two fences of the caller. */
static long membarrier(void)
{
    model_fence(0);
    for (int i = 0; i < M.n_threads; i++) {
        if (i == M.me) continue;
        (void)point(0);
        if (M.threads[i].state != ENDED) fence(&M.threads[i]);
        told(0, "fence of", &M.threads[i], (uint64_t)i);
    }
    model_fence(0);
    return 0;
}

void model_pause(int line)
{
    thread *me = point(line);
    me->priority = --M.lowest;
    M.yielded = 1u << M.me;
    switch_to(pick());
}
void model_yield(void) { model_pause(0); }

static bool latch_taken(void *latch, int line, bool waits)
{
    thread *me = point(line);
    location *l = location_at(latch, 4, me, true, "latch");
    while (l->holder >= 0) {
        if (!waits) return false;
        if (l->holder == M.me) model_fail("a latch taken twice by its holder");
        block_on(latch, "waits for the latch", INT64_MAX);
        l = location_at(latch, 4, me, true, "latch");
    }
    l->holder = M.me;
    l->writes[M.me] = me->now[M.me];
    clocks_join(&me->now, &l->freed);
    told(line, "latch", latch, 0);
    return true;
}
bool model_latch(void *latch, int line) { return latch_taken(latch, line, true); }
bool model_latch_once(void *latch, int line) { return latch_taken(latch, line, false); }

bool model_unlatch(void *latch, int line)
{
    thread *me = &M.threads[M.me];
    location *l;
    l = location_at(latch, 4, me, true, "unlatch");
    me->line = line;
    if (l->holder != M.me) model_fail("a latch opened by who does not hold it");
    clocks_join(&l->freed, &me->now);
    l->writes[M.me] = me->now[M.me];
    l->holder = -1;
    tick(me);
    wake(latch, THREADS);
    told(line, "unlatch", latch, 0);
    return false;
}

/* ------------------------------------------------------------------------------------------------
 * Memory.
 */
void *model_sys_malloc(size_t size)
{
    if (M.memory_left == 0) return NULL;
    if (M.memory_left > 0) M.memory_left--;
    size_t start = size >= PAGE ? (M.heap + PAGE - 1) & ~(size_t)(PAGE - 1) : (M.heap + 15) & ~(size_t)15;
    block *b = &M.blocks[M.n_blocks];
    start += 16; /* the number of the block, and what an index of -1 would hit */
    if (start + size > ARENA_START + ARENA || M.n_blocks == BLOCKS) model_fail("no memory left for this run");
    *(size_t *)(start - 16) = M.n_blocks++;
    *(size_t *)(start - 8) = ~(size_t)0;
    b->address = (char *)start;
    b->size = size;
    b->live = true;
    b->step = M.step;
    b->by = __builtin_return_address(0);
    M.n_live++;
    M.heap = start + size;
    if (size <= 512) memset((void *)start, 0xA5, size);
    return (void *)start;
}

/* Everybody else's accesses have to happen before the free; later ones are seen. */
static void free_granule(granule *g, uintptr_t at, const thread *me)
{
    check_slots(g, at, 0xFF, true, me, "free");
    if (g->location[0] | g->location[1]) plain_meets_atomic(g, at, 0xFF, true, me);
    g->location[0] = g->location[1] = 0;
    g->slot[0] = FREED;
}

void model_sys_free(void *p)
{
    thread *me = &M.threads[M.me];
    uintptr_t start = (uintptr_t)p, end;
    block *b;
    if (!p) return;
    b = start - ARENA_START < ARENA ? &M.blocks[*(size_t *)(start - 16) % BLOCKS] : NULL;
    if (!b || b->address != p) model_fail("free of what malloc has not given: %p", p);
    if (!b->live) model_fail("freed twice: %p", p);
    b->live = false;
    M.n_live--;
    end = (start + b->size + 7) & ~(uintptr_t)7;
    if (b->size <= PAGE) {
        for (; start < end; start += 8) free_granule(granule_at(start), start, me);
        return;
    }
    for (size_t i = 0; i < M.n_touched; i++)
        if (M.touched[i] >= start && M.touched[i] < end) free_granule(granule_raw(M.touched[i]), M.touched[i], me);
    if (M.n_free == 64) model_fail("more than 64 large blocks freed");
    M.free_from[M.n_free] = start;
    M.free_to[M.n_free++] = end;
}

/* ------------------------------------------------------------------------------------------------
 * Threads.
 */
static void thread_main(void)
{
    thread *me = &M.threads[M.me];
    me->run(me->argument);
    me->now[M.me]++;
    me->state = ENDED;
    M.ready &= ~(1u << M.me);
    wake(me, THREADS);
    me->sp = NULL;
    for (int i = 0; i < M.n_threads; i++)
        if (M.threads[i].state != ENDED) {
            switch_to(pick());
            break;
        }
    model_swap(&me->sp, M.controller);
    abort();
}

static int thread_new(void *(*run)(void *), void *argument)
{
    int t = M.n_threads++;
    thread *n = &M.threads[t];
    void **sp = (void **)(ARENA_START + (uintptr_t)(t + 1) * STACK) - 4;
    memset(n, 0, sizeof *n);
    *--sp = NULL;                          /* keeps the stack aligned, and ends backtraces */
    *--sp = (void *)(uintptr_t)thread_main;
    for (int i = 0; i < 6; i++) *--sp = NULL;
    n->sp = sp;
    n->run = run;
    n->argument = argument;
    n->state = READY;
    n->priority = (long)(random_next() >> 40) + 1;
    M.ready |= 1u << t;
    return t;
}

int model_sys_pthread_create(unsigned long *id, const void *attributes, void *(*run)(void *), void *argument)
{
    thread *me = point(0);
    int t;
    (void)attributes;
    if (M.threads_left == 0) return EAGAIN;
    if (M.threads_left > 0) M.threads_left--;
    if (M.n_threads == THREADS) model_fail("more than %d threads", THREADS);
    t = thread_new(run, argument);
    M.threads[t].now = me->now;
    M.threads[t].now[t] = 1;
    told(0, "create", NULL, (uint64_t)t);
    (void)point(0); /* the new thread may run before its number is written */
    access_range((uintptr_t)id, sizeof *id, true);
    *id = (unsigned long)t;
    return 0;
}

int model_sys_pthread_join(unsigned long id, void **result)
{
    thread *me = point(0), *t = &M.threads[id % THREADS];
    if ((int)id >= M.n_threads || t->joined) model_fail("join of a thread that is none, or was joined before");
    while (t->state != ENDED) block_on(t, "joins thread", INT64_MAX);
    t->joined = true;
    clocks_join(&me->now, &t->now);
    if (result) *result = NULL;
    return 0;
}

typedef struct { void (*run)(void *); void *argument; } start_record;
static start_record starts[THREADS];
static void *start_main(void *p)
{
    start_record s = *(start_record *)p;
    s.run(s.argument);
    return NULL;
}

unsigned long model_start(void (*run)(void *), void *argument)
{
    start_record *s = &starts[M.n_threads % THREADS];
    unsigned long id;
    s->run = run;
    s->argument = argument;
    if (model_sys_pthread_create(&id, NULL, start_main, s)) model_fail("no thread for the scenario");
    return id;
}
void model_join(unsigned long id) { model_sys_pthread_join(id, NULL); }
void model_refuse_threads(int from) { M.threads_left = from; }
void model_refuse_memory(int from) { M.memory_left = from; }
void model_allow_membarrier(void) { M.membarrier = true; }

/* Mutexes and conditions, for TASKRT_NO_FUTEX: a mutex is a latch. */
int model_sys_pthread_mutex_init(pthread_mutex_t *m, const void *a) { return (void)m, (void)a, 0; }
int model_sys_pthread_cond_init(pthread_cond_t *c, const void *a) { return (void)c, (void)a, 0; }
int model_sys_pthread_condattr_init(pthread_condattr_t *a) { return (void)a, 0; }
int model_sys_pthread_condattr_setclock(pthread_condattr_t *a, int clock) { return (void)a, (void)clock, 0; }
int model_sys_pthread_condattr_destroy(pthread_condattr_t *a) { return (void)a, 0; }
int model_sys_pthread_mutex_lock(pthread_mutex_t *m) { return !model_latch(m, 0); }
int model_sys_pthread_mutex_unlock(pthread_mutex_t *m) { return model_unlatch(m, 0); }
int model_sys_pthread_once(pthread_once_t *once, void (*run)(void))
{
    if (!*once) run();
    *once = 1;
    return 0;
}

int model_sys_pthread_cond_timedwait(pthread_cond_t *c, pthread_mutex_t *m, const struct timespec *at)
{
    int64_t deadline = at ? (int64_t)at->tv_sec * 1000000000 + at->tv_nsec : INT64_MAX;
    bool woken = true;
    model_unlatch(m, 0);
    if (M.spurious > 0 && choose(2, random_next() % 16 == 0)) M.spurious--;
    else if (deadline <= M.clock) woken = false;
    else woken = block_on(c, "waits for the condition", deadline > INT64_MAX / 2 ? INT64_MAX : deadline);
    model_latch(m, 0);
    return woken ? 0 : ETIMEDOUT;
}
int model_sys_pthread_cond_wait(pthread_cond_t *c, pthread_mutex_t *m)
{
    return model_sys_pthread_cond_timedwait(c, m, NULL);
}
int model_sys_pthread_cond_broadcast(pthread_cond_t *c) { return wake(c, THREADS), 0; }

/* ------------------------------------------------------------------------------------------------
 * Time, futexes, and what else is asked of the system.
 */
int64_t model_elapsed(void) { return M.clock - (int64_t)1000000000000; }

int model_sys_clock_gettime(int clock, struct timespec *time)
{
    (void)clock;
    time->tv_sec = M.clock / 1000000000;
    time->tv_nsec = M.clock % 1000000000;
    return 0;
}

static int64_t after_ns(int64_t ns) { return ns < 0 || ns > INT64_MAX / 2 ? INT64_MAX : M.clock + ns; }

static long futex_wait(void *word, uint32_t expected, const struct timespec *at)
{
    thread *me = point(0);
    int64_t deadline = at ? (int64_t)at->tv_sec * 1000000000 + at->tv_nsec : INT64_MAX;
    location *l = location_at(word, 4, me, false, "futex wait");
    told(0, "wait", word, expected);
    if (deadline > INT64_MAX / 2) deadline = INT64_MAX; /* a century from now is never */
    if (newest(l)->value != expected) return errno = EAGAIN, -1;
    if (deadline <= M.clock) return errno = ETIMEDOUT, -1;
    if (M.spurious > 0 && choose(2, random_next() % 16 == 0)) {
        M.spurious--;
        return errno = EINTR, -1;
    }
    return block_on(word, "sleeps on the word", deadline) ? 0 : (errno = ETIMEDOUT, -1);
}

static int poller_wait(int poller, struct epoll_event *events, int most, int64_t timeout);

long model_sys_syscall(long number, ...)
{
    va_list list;
    long result = 0;
    va_start(list, number);
    if (number == SYS_futex) {
        void *word = va_arg(list, void *);
        int op = va_arg(list, int);
        if ((op & 127) == 9) {
            uint32_t expected = va_arg(list, uint32_t);
            result = futex_wait(word, expected, va_arg(list, struct timespec *));
        } else {
            int n = va_arg(list, int);
            (void)point(0);
            told(0, "wake", word, (uint64_t)n);
            result = wake(word, n);
        }
    } else if (number == SYS_ppoll) { /* of the poller alone: says whether it has events, takes none */
        const struct pollfd *poller = va_arg(list, struct pollfd *);
        (void)va_arg(list, int);
        const long *t = va_arg(list, long *);
        result = poller_wait(poller->fd, NULL, FDS, (int64_t)t[0] * 1000000000 + t[1]);
    } else if (number == SYS_membarrier) {
        if (!M.membarrier) result = -1;
        else if (va_arg(list, int) == 8 /* PRIVATE_EXPEDITED */) result = membarrier();
    } else if (number == SYS_sched_getaffinity) {
        (void)va_arg(list, int);
        (void)va_arg(list, size_t);
        *va_arg(list, unsigned char *) = 3;
        result = 1;
    } else if (number != SYS_prctl) {
        model_fail("system call %ld is not modelled", number);
    }
    va_end(list);
    return result;
}

long model_sys_sysconf(int name)
{
    (void)name;
    return 2;
}

/* What /proc says of the process: how many threads it has. Who reads that one has gone sees what it did. */
FILE *model_sys_fopen(const char *path, const char *mode)
{
    static char text[32];
    thread *me = point(0);
    int n = 0;
    (void)path;
    for (int i = 0; i < M.n_threads; i++) {
        if (M.threads[i].state == ENDED) clocks_join(&me->now, &M.threads[i].now);
        else n++;
    }
    snprintf(text, sizeof text, "Threads:\t%d\n", n);
    return fmemopen(text, strlen(text), mode);
}

/* ------------------------------------------------------------------------------------------------
 * File descriptors.
 */
static fd_state *fd_of(int fd)
{
    if (fd < FD_FIRST || fd >= FD_FIRST + FDS || M.fd[fd - FD_FIRST].kind == FD_NONE) return NULL;
    return &M.fd[fd - FD_FIRST];
}

static int fd_new(int kind)
{
    for (int i = 0; i < FDS; i++) {
        if (M.fd[i].kind != FD_NONE) continue;
        memset(&M.fd[i], 0, sizeof M.fd[i]);
        M.fd[i].kind = kind;
        return FD_FIRST + i;
    }
    model_fail("more than %d fds", FDS);
}

/* A poller is readable while it has something to report. */
static bool fd_reports(const fd_state *f);
static uint32_t fd_is_ready(const fd_state *f)
{
    if (f->kind != FD_POLLER) return f->ready;
    for (int i = 0; i < FDS; i++)
        if (M.fd[i].kind != FD_NONE && M.fd[i].poller == FD_FIRST + (f - M.fd) && fd_reports(&M.fd[i])) return EPOLLIN;
    return 0;
}

static bool fd_reports(const fd_state *f)
{
    if (!f->poller || !f->armed || !(fd_is_ready(f) & (f->interest | EPOLLHUP | EPOLLERR))) return false;
    return !(f->interest & EPOLLET) || f->edge;
}

static void fd_changed(fd_state *f)
{
    for (fd_state *of = f; of && fd_reports(of); of = fd_of(of->poller)) wake(fd_of(of->poller), THREADS);
    wake(M.fd, THREADS); /* who is in poll() looks again */
}

int model_fd(void) { return fd_new(FD_TEST); }

void model_fd_ready(int fd, uint32_t events)
{
    fd_state *f;
    (void)point(0);
    f = fd_of(fd);
    if (!f) model_fail("no fd %d", fd);
    f->ready |= events;
    f->edge = true;
    fd_changed(f);
}

void model_fd_unready(int fd, uint32_t events)
{
    (void)point(0);
    fd_of(fd)->ready &= ~events;
}

int model_sys_epoll_create1(int flags) { return (void)flags, fd_new(FD_POLLER); }
int model_sys_eventfd(unsigned count, int flags) { return (void)count, (void)flags, fd_new(FD_EVENT); }

int model_sys_epoll_ctl(int poller, int op, int fd, struct epoll_event *event)
{
    fd_state *f;
    (void)point(0);
    f = fd_of(fd);
    if (!f || !fd_of(poller)) return errno = EBADF, -1;
    if (op != EPOLL_CTL_ADD && f->poller != poller) return errno = ENOENT, -1;
    if (op == EPOLL_CTL_ADD && f->poller) return errno = EEXIST, -1; /* in one poller only */
    if (op == EPOLL_CTL_DEL) return f->poller = 0;
    f->poller = poller;
    f->interest = event->events;
    f->data = event->data;
    f->armed = true;
    f->edge = f->ready != 0;
    fd_changed(f);
    return 0;
}

/* Without `events` nothing is taken. */
static int poller_wait(int poller, struct epoll_event *events, int most, int64_t timeout)
{
    int64_t deadline = after_ns(timeout);
    (void)point(0);
    for (;;) {
        int n = 0;
        if (!fd_of(poller)) return errno = EBADF, -1;
        for (int i = 0; i < FDS && n < most; i++) {
            fd_state *f = &M.fd[i];
            if (f->kind == FD_NONE || f->poller != poller || !fd_reports(f)) continue;
            if (!events) return 1;
            events[n].events = fd_is_ready(f) & (f->interest | EPOLLHUP | EPOLLERR);
            events[n++].data = f->data;
            f->edge = false;
            if (f->interest & (uint32_t)EPOLLONESHOT) f->armed = false;
        }
        if (n || timeout == 0) return n;
        if (!block_on(fd_of(poller), "sleeps in the poller", deadline)) return 0;
    }
}

int model_sys_epoll_wait(int poller, struct epoll_event *events, int most, int timeout)
{
    return poller_wait(poller, events, most, timeout < 0 ? -1 : (int64_t)timeout * 1000000);
}

int model_sys_poll(struct pollfd *fds, unsigned long n, int timeout)
{
    int64_t deadline = after_ns(timeout < 0 ? -1 : (int64_t)timeout * 1000000);
    (void)point(0);
    for (;;) {
        int found = 0;
        for (unsigned long i = 0; i < n; i++) {
            fd_state *f = fd_of(fds[i].fd);
            uint32_t look = (uint32_t)(fds[i].events | POLLHUP | POLLERR); /* the same bits as epoll's */
            fds[i].revents = f ? (short)(f->ready & look) : POLLNVAL;
            found += fds[i].revents != 0;
        }
        if (found || timeout == 0) return found;
        if (!block_on(M.fd, "sleeps in poll()", deadline)) return 0;
    }
}

int model_sys_pipe(int fds[2])
{
    fds[0] = fd_new(FD_READ);
    fds[1] = fd_new(FD_WRITE);
    fd_of(fds[1])->peer = fds[0];
    return 0;
}

int model_sys_fcntl(int fd, int command, ...) { return (void)fd, (void)command, 0; }

long model_sys_read(int fd, void *buffer, size_t n)
{
    fd_state *f;
    (void)buffer;
    (void)point(0);
    f = fd_of(fd);
    if (!f) return errno = EBADF, -1;
    if (!f->count) return errno = EAGAIN, -1;
    if (n > f->count) n = f->count;
    f->count -= n;
    if (!f->count) f->ready &= ~(uint32_t)EPOLLIN;
    return (long)n;
}

long model_sys_write(int fd, const void *buffer, size_t n)
{
    fd_state *f;
    (void)buffer;
    (void)point(0);
    f = fd_of(fd);
    if (f && f->kind == FD_WRITE) f = fd_of(f->peer);
    if (!f) model_fail("write to fd %d, which is closed", fd);
    f->count += n;
    f->ready |= EPOLLIN;
    f->edge = true;
    fd_changed(f);
    return (long)n;
}

int model_sys_close(int fd)
{
    fd_state *f;
    (void)point(0);
    f = fd_of(fd);
    if (!f) model_fail("fd %d closed twice", fd);
    f->kind = FD_NONE;
    f->poller = 0;
    return 0;
}

/* ------------------------------------------------------------------------------------------------
 * Runs.
 */
static void *main_thread(void *unused)
{
    (void)unused;
    M.scenario->run();
    return NULL;
}

static void ledger(void)
{
    for (int i = 1; i < M.n_threads; i++)
        if (!M.threads[i].joined) model_fail("thread %d was not joined", i);
    for (size_t i = 0; i < M.n_blocks; i++) {
        if (!M.blocks[i].live) continue;
        uintptr_t by = (uintptr_t)M.blocks[i].by - 1;
        printf("  left behind: %zu blocks; the first, %zu bytes, is from\n", M.n_live, M.blocks[i].size);
        print_frames(&by, 1);
        model_fail("memory left behind");
    }
    for (int i = 0; i < FDS; i++)
        if (M.fd[i].kind != FD_NONE && M.fd[i].kind != FD_TEST) model_fail("fd %d left open", FD_FIRST + i);
}

static void one_run(void)
{
    const model_scenario *s = M.scenario;
    M.run++;
    M.random = (M.seed + (uint64_t)M.schedule) * 0xD1342543DE82EF95u + 1;
    M.n_threads = 0;
    M.ready = M.yielded = M.timed = 0;
    M.position = 0;
    M.step = M.long_ago = 0;
    M.limit = s->steps ? (uint32_t)s->steps : 20000;
    M.preempted = 0;
    M.spurious = s->spurious;
    M.early = s->early;
    M.stale = s->exhaust && s->stale ? s->stale : INT_MAX;
    M.lowest = 0;
    M.n_locations = 1;
    memset(&M.fence, 0, sizeof M.fence);
    M.heap = ARENA_START + (uintptr_t)THREADS * STACK;
    M.n_touched = M.n_blocks = M.n_live = 0;
    M.n_free = 0;
    M.clock = 1000000000000;
    M.threads_left = M.memory_left = -1;
    M.membarrier = false;
    memset(M.fd, 0, sizeof M.fd);
    *M.log = 0;
    M.moments = M.awaiting = 0;
    M.moments_are = BEFORE;
    M.at_once = -1;
    M.turn = M.at_random ? (long)((uint64_t)M.schedule * 0x9E3779B97F4A7C15u >> 40) : M.schedule;
    if (s->swept) choose_moment();
    if (M.strategy == RANDOM) M.stickiness = 1 << (2 * (M.schedule / 2 % 4)); /* 1, 4, 16, 64 */
    if (M.strategy == PCT) {
        M.depth = 2 + (int)(M.schedule / 2 % 3);
        for (int i = 0; i < 8; i++) M.change[i] = 1 + (uint32_t)(random_next() % (uint64_t)(M.mean_steps * 1.2 + 10));
    }
    M.me = thread_new(main_thread, NULL);
    M.threads[0].now[0] = 1;
    model_self = M.threads[0].self;
    M.running = true;
    model_swap(&M.controller, M.threads[0].sp);
    M.running = false;
    if (M.explaining) { /* a race was found: where was the other access? */
        M.n_picked = M.position;
        M.strategy = REPLAY;
        one_run();
        _exit(0);
    }
    M.mean_steps += ((double)M.step - M.mean_steps) / (M.schedule < 100 ? (double)M.schedule + 1 : 100);
    ledger();
}

/* The next list, in order. False: that was the last. */
static bool next_list(void)
{
    while (M.n_picked && M.picked[M.n_picked - 1] + 1 >= M.out_of[M.n_picked - 1]) M.n_picked--;
    if (!M.n_picked) return false;
    M.picked[M.n_picked - 1]++;
    return true;
}

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void swept_run(uint32_t moment, long *runs, double *steps)
{
    M.strategy = M.schedule % 2 ? PCT : RANDOM;
    M.moment = moment;
    one_run();
    *steps += M.step;
    ++*runs;
}

/* Every moment of some schedules; then one moment of each of many. At random: only these. */
static void sweep_scenario(void)
{
    const model_scenario *s = M.scenario;
    double start = seconds(), steps = 0;
    long runs = 0, moments = 0;
    uint32_t most = 1;
    for (M.schedule = 0; M.at_random ? runs < 8 : M.schedule < s->turns || runs < M.schedules / 2; M.schedule++) {
        swept_run(0, &runs, &steps);
        uint32_t n = M.moments;
        for (uint32_t moment = 1; moment <= n && !M.at_random; moment++) swept_run(moment, &runs, &steps);
        moments += n;
        if (n > most) most = n;
    }
    for (; runs < M.schedules; M.schedule++) swept_run(1 + (uint32_t)(M.schedule * 2654435761u >> 7) % most, &runs, &steps);
    M.swept[s - M.first].moments = moments;
    M.swept[s - M.first].runs = runs;
    start = seconds() - start;
    say("%-28s %8ld %s, %6ld runs, %6.1f steps each, %6.2f s\n", s->name, moments, s->swept, runs, steps / (double)runs, start);
}

static void run_scenario(void)
{
    if (M.scenario->swept) {
        sweep_scenario();
        return;
    }
    ptrdiff_t which = M.scenario - M.first;
    model_scenario drawn = *M.scenario;
    const model_scenario *s = M.at_random ? M.scenario = &drawn : M.scenario;
    drawn.exhaust = 0;
    double start = seconds(), steps = 0;
    long most = s->exhaust ? (s->most ? s->most : 1000000) : M.schedules * (s->turns && !M.at_random ? s->turns : 1);
    bool complete = false;
    for (M.schedule = 0; M.schedule < most && !complete; M.schedule++) {
        M.strategy = s->exhaust ? DEPTH : M.schedule % 2 ? PCT : RANDOM;
        one_run();
        steps += M.step;
        if (s->exhaust) complete = !next_list();
    }
    if (s->turned) {
        M.swept[which].moments = s->turns;
        M.swept[which].runs = M.schedule;
    }
    start = seconds() - start;
    say("%-28s %8ld schedules, %6.1f steps each, %5.2f us a step, %6.2f s, %s", s->name, M.schedule,
        steps / (double)M.schedule, start / steps * 1e6, start, s->weak ? "weak memory" : "interleavings");
    if (s->exhaust) say(", at most %d preemptions: %s", s->exhaust - 1, complete ? "all" : "NOT ALL");
    say("\n");
    if (s->exhaust && !complete && !s->most) {
        fflush(stdout);
        _exit(1);
    }
}

static void parse_list(const char *list)
{
    M.n_picked = 0;
    for (; *list; list++) {
        if (*list == '[') {
            char *end;
            long zeros = strtol(list + 1, &end, 10);
            list = end;
            while (zeros-- > 0 && M.n_picked < CHOICES) M.picked[M.n_picked++] = 0;
        } else if (M.n_picked < CHOICES) {
            M.picked[M.n_picked++] = (uint8_t)(*list <= '9' ? *list - '0' : *list - 'a' + 10);
        }
    }
}

/* How does a list of this length end? In a child: 0 for no failure. */
static int ending(size_t n)
{
    int status = 0;
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        M.n_picked = n;
        one_run();
        _exit(0);
    }
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

/* Zeroes as much of a list as the same failure allows: a 0 goes on with the present thread and the newest store. */
static void shrink(void)
{
    size_t n = M.n_picked, part;
    uint8_t *kept = malloc(n + 1);
    int kind;
    M.shrinking = true;
    kind = ending(n);
    for (size_t size = n; kind && kept && size; size /= 2) {
        for (size_t at = 0; at < n; at += size) {
            part = at + size < n ? size : n - at;
            memcpy(kept, M.picked + at, part);
            memset(M.picked + at, 0, part);
            if (ending(n) != kind) memcpy(M.picked + at, kept, part);
        }
    }
    free(kept);
    M.shrinking = false;
    M.n_picked = n;
}

static void *map(uintptr_t at, size_t size)
{
    void *p = mmap((void *)at, size, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | (at ? MAP_FIXED_NOREPLACE : 0), -1, 0);
    if (p == MAP_FAILED) {
        perror("model: mmap");
        exit(2);
    }
    return p;
}

static void set_up(void)
{
    size_t data = (size_t)(&_end - &__data_start) / 8 + 2;
    (void)map(ARENA_START, ARENA);
    M.shadow = map(0, ARENA / 8 * sizeof(granule));
    M.data_shadow = map(0, data * sizeof(granule));
    M.locations = map(0, LOCATIONS * sizeof(location));
    M.threads = map(0, THREADS * sizeof(thread));
    M.picked = map(0, CHOICES);
    M.out_of = map(0, CHOICES);
    M.page_run = map(0, ARENA / PAGE * sizeof(uint32_t));
    M.touched = map(0, TOUCHED * sizeof(uintptr_t));
    M.blocks = map(0, BLOCKS * sizeof(block));
}

static const char *what_is_swept(const model_scenario *s) { return s->swept ? s->swept : s->turned; }

/* What was swept, a line for each kind of moment or turn. */
static void say_swept(const model_scenario *scenarios, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        long moments = 0, runs = 0;
        if (!M.swept[i].runs) continue;
        for (size_t j = i; j < n; j++) {
            if (!M.swept[j].runs || strcmp(what_is_swept(&scenarios[i]), what_is_swept(&scenarios[j]))) continue;
            moments += M.swept[j].moments;
            runs += M.swept[j].runs;
            M.swept[j].runs = 0;
        }
        printf("swept %ld %s, %ld runs\n", moments, what_is_swept(&scenarios[i]), runs);
    }
}

#ifdef MODEL_COVERAGE
void __gcov_dump(void);
#endif
/* One scenario in a process of its own. */
static bool passes(const model_scenario *s)
{
    int status = 0;
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        M.scenario = s;
        run_scenario();
        fflush(stdout);
#ifdef MODEL_COVERAGE
        __gcov_dump();
#endif
        _exit(0);
    }
    waitpid(child, &status, 0);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return true;
    if (WIFSIGNALED(status)) printf("  killed by signal %d\n", WTERMSIG(status));
    printf("FAIL %s\n", s->name);
    return false;
}

int model_main(int argc, char **argv, const model_scenario *scenarios, size_t n)
{
    int passed = 0, failed = 0, option;
    const char *list = NULL;
    bool smaller = false;
    program = argv[0];
    M.schedules = 20000;
    M.seed = 1;
    set_up();
    M.first = scenarios;
    M.swept = mmap(NULL, (n + 1) * sizeof *M.swept, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    while ((option = getopt(argc, argv, "aln:s:r:m:vw:x:")) != -1) {
        if (option == 'n') M.schedules = atol(optarg);
        else if (option == 's') M.seed = strtoull(optarg, NULL, 10) << 32;
        else if (option == 'r' || option == 'm') list = optarg, smaller = option == 'm';
        else if (option == 'v') M.verbose = true;
        else if (option == 'a') M.at_random = true;
        else if (option == 'x') M.broken = atoi(optarg);
        else if (option == 'w') {
            if (sscanf(optarg, "%d,%d,%d", &M.weaker_line, &M.weaker_from, &M.weaker_to) != 3) return 2;
        }
        else if (option == 'l') {
            for (size_t i = 0; i < n; i++) puts(scenarios[i].name);
            return 0;
        } else return 2;
    }
    for (size_t i = 0; i < n; i++) {
        bool wanted = optind == argc;
        for (int j = optind; j < argc; j++) wanted = wanted || !strcmp(argv[j], scenarios[i].name);
        if (!wanted) continue;
        if (list) {
            M.scenario = &scenarios[i];
            M.strategy = REPLAY;
            parse_list(list);
            if (smaller) shrink();
            one_run();
            printf("no failure\n");
            return 0;
        }
        *(passes(&scenarios[i]) ? &passed : &failed) += 1;
    }
    say_swept(scenarios, n);
    printf("%d passed, %d failed\n", passed, failed);
    return failed != 0 || passed == 0;
}
