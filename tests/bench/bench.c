/* bench.c - what the operations of taskrt.h cost. The twin of tokio/src/main.rs, row by row.
 *
 *     cc -std=c11 -O2 -pthread tests/bench/bench.c -o bench
 *     ./bench all 2                    every group on two workers
 *     ./bench GROUP ct|1|2|N [REPETITIONS]
 *     ./bench scale ct|1|2|N           cost per task and per timer, from 10^3 to 10^7 of them
 *     ./bench echo-server N PORT
 *     ./bench echo-client N PORT CONNECTIONS DEPTH SECONDS
 *
 * Each row is one line: bench runtime workers median unit min max n. The runtime is `taskrt`, or
 * `taskrt-ct` for `ct`, a current_thread runtime. The twin prints the same lines with its names,
 * so that the two can be compared line by line; run.sh runs both in turns and does so. The twin
 * builds from Debian's package of Tokio 1.24, without a crate registry:
 *
 *     apt-get install -y librust-tokio-dev
 *     cd tests/bench/tokio && cargo build --release --offline     makes target/release/tokio-bench
 *
 * For a newer Tokio remove .cargo/config.toml and build with a registry.
 *
 * Rules, the same for both
 *
 *   - Wall time by the monotonic clock, taken inside the measured task.
 *   - The measured task ("root") is spawned: on a multi-thread runtime it runs on a worker.
 *   - At least 0.1 s of warm-up. Then the median of 7 repetitions in the same runtime and process;
 *     short rows repeat until 0.4 s are measured (BENCH_MIN_S), 60 times at most. `sleepers` takes
 *     a fresh process for each repetition (1 + 4), `timers` 1 + 4 repetitions, `echo` 3, of 3 s
 *     each (ECHO_SECS).
 *   - Results and counts are checked; a wrong one ends the program with a message.
 *   - Every runtime has the default settings but for its workers.
 *
 * Where C and Rust differ
 *
 *   - What several tasks share lies in the root's struct, and the root ends after them; the twin
 *     counts references. A channel is closed by the last of its producers, by a count of the
 *     bench's own, and the root joins them before it frees the channel.
 *   - A frame cannot contain a frame of its own kind. Where the twin awaits a boxed future in
 *     place (`fib`), here is a trt_call on a frame from malloc, freed after the await.
 *   - Rows that end in _fork do the work of the row without it by trt_fork and trt_sync, which
 *     Tokio does not have. timeout_ready_call, fork_join, matmul1024, mpsc_split, fib35 and
 *     `scale` have no twin either.
 *   - The ready future of timeout_ready is a notify that was notified before: that is in the time.
 */
#define _POSIX_C_SOURCE 200809L
#define _DEFAULT_SOURCE /* struct rusage */
#define TASKRT_IMPLEMENTATION
#include "../../taskrt.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* ------------------------------------------------------------------------------------------------
 * What the rows are made with
 */
enum { MILLION = 1000000 };

struct setup {
    size_t workers; /* 0: current_thread */
    size_t repetitions;
};

#define CHECK(x) ((x) ? (void)0 : wrong(__LINE__, #x))
static _Noreturn void wrong(int line, const char *what)
{
    fflush(stdout);
    fprintf(stderr, "bench.c:%d: not true: %s\n", line, what);
    exit(1);
}

static void *allocate(size_t count, size_t size)
{
    void *memory = malloc(count * size);
    CHECK(memory);
    return memory;
}

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* Nanoseconds for each of `operations` since `start`. */
static double ns_each(int64_t start, int64_t operations)
{
    return (double)(now_ns() - start) / (double)operations;
}

static double ms_since(int64_t start) { return (double)(now_ns() - start) / 1e6; }

static double cpu_seconds(void)
{
    struct rusage usage;
    CHECK(getrusage(RUSAGE_SELF, &usage) == 0);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

/* A line of /proc/self/status, such as VmRSS, in kB. */
static double status_kb(const char *key)
{
    char line[256];
    double value = -1;
    FILE *file = fopen("/proc/self/status", "r");
    CHECK(file);
    while (value < 0 && fgets(line, sizeof line, file))
        if (strncmp(line, key, strlen(key)) == 0) value = strtod(line + strlen(key) + 1, NULL);
    fclose(file);
    CHECK(value >= 0);
    return value;
}

static uint64_t splitmix(uint64_t x)
{
    x += 0x9E3779B97F4A7C15u;
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
    return x ^ (x >> 31);
}

static double number_from(const char *variable, double otherwise)
{
    const char *text = getenv(variable);
    char *end = NULL;
    double value = text ? strtod(text, &end) : otherwise;
    return text && (end == text || *end) ? otherwise : value;
}

static double min_seconds(void) { return number_from("BENCH_MIN_S", 0.4); }

/* Brings the processors out of their idle clocks. */
static void *spin_one(void *unused)
{
    int64_t end = now_ns() + (int64_t)(min_seconds() / 2 * 1e9);
    while (now_ns() < end) {}
    return unused;
}

static void spin(void)
{
    pthread_t thread[2];
    for (int i = 0; i < 2; i++) CHECK(pthread_create(&thread[i], NULL, spin_one, NULL) == 0);
    for (int i = 0; i < 2; i++) CHECK(pthread_join(thread[i], NULL) == 0);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void report(const struct setup *setup, const char *name, const char *unit, double *values,
                   size_t n)
{
    qsort(values, n, sizeof *values, by_value);
    double median = n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
    printf("%s %s %zu %.4f %s %.4f %.4f %zu\n", name, setup->workers ? "taskrt" : "taskrt-ct",
           setup->workers ? setup->workers : 1, median, unit, values[0], values[n - 1], n);
    fflush(stdout);
}

/* Long loops without an await are what some rows consist of: no message about them. */
static void ignore_stall(const trt_stall_info *stall, void *user) { (void)stall, (void)user; }

static trt_runtime *start(const struct setup *setup)
{
    trt_config config = {.workers = setup->workers,
                         .current_thread = setup->workers == 0,
                         .on_stall = ignore_stall};
    trt_runtime *rt;
    CHECK(trt_runtime_start(&rt, &config) == TRT_OK);
    return rt;
}

enum { REPETITIONS_MOST = 1000, SHORT_MOST = 60 };

/* Warms up, repeats and reports. `once` runs the row one time and gives its figure. */
static void many_on(trt_runtime *rt, const struct setup *setup, const char *name, const char *unit,
                    double (*once)(trt_runtime *rt))
{
    double values[REPETITIONS_MOST];
    size_t n = 0;
    int64_t begin = now_ns();
    do (void)once(rt);
    while (now_ns() - begin <= 100000000);
    begin = now_ns();
    while (n < setup->repetitions ||
           (n < SHORT_MOST && (double)(now_ns() - begin) / 1e9 < min_seconds()))
        values[n++] = once(rt);
    report(setup, name, unit, values, n);
}

static void many(const struct setup *setup, const char *name, const char *unit,
                 double (*once)(trt_runtime *rt))
{
    trt_runtime *rt = start(setup);
    many_on(rt, setup, name, unit, once);
    CHECK(trt_runtime_free(rt) == TRT_OK);
}

/* Defines `function`, which runs the root on `rt` and gives its result. */
#define ONCE(function, run)                                                                        \
    static double function(trt_runtime *rt)                                                        \
    {                                                                                              \
        double figure = 0;                                                                         \
        CHECK((run) == TRT_OK);                                                                    \
        return figure;                                                                             \
    }

struct empty {
    trt_void none;
};
trt_async(trt_void, empty) { trt_body {} }

/* ------------------------------------------------------------------------------------------------
 * Tasks: spawn, join, yield
 */
enum { BATCH = 1000 };

struct spawn_join { /* a thousand times: spawn a thousand empty tasks, join them in order */
    int64_t start;
    int round, i;
    trt_handle(empty) *tasks;
};
trt_async(double, spawn_join)
{
    trt_body {
        self->tasks = allocate(BATCH, sizeof *self->tasks);
        self->start = now_ns();
        for (self->round = 0; self->round < MILLION / BATCH; self->round++) {
            for (int i = 0; i < BATCH; i++) self->tasks[i] = trt_spawn(empty);
            for (self->i = 0; self->i < BATCH; self->i++)
                trt_await_ok(trt_join(self->tasks[self->i], NULL));
        }
        trt_return(ns_each(self->start, MILLION));
    }
    trt_cleanup { free(self->tasks); }
}
ONCE(spawn_join_once, trt_block_on(rt, spawn_join, &figure))

struct fork_join { /* the same by forks, with a sync for each thousand */
    int64_t start;
    int round;
};
trt_async(double, fork_join)
{
    trt_body {
        self->start = now_ns();
        for (self->round = 0; self->round < MILLION / BATCH; self->round++) {
            for (int i = 0; i < BATCH; i++) trt_fork(empty, NULL);
            trt_await_ok(trt_sync());
        }
        trt_return(ns_each(self->start, MILLION));
    }
}
ONCE(fork_join_once, trt_block_on(rt, fork_join, &figure))

struct yielder {
    int left;
};
trt_async(trt_void, yielder)
{
    trt_body {
        for (; self->left > 0; self->left--) trt_await_ok(trt_yield());
    }
}

struct yield_one { /* the root alone */
    int64_t start;
    int i;
};
trt_async(double, yield_one)
{
    trt_body {
        self->start = now_ns();
        for (self->i = 0; self->i < MILLION; self->i++) trt_await_ok(trt_yield());
        trt_return(ns_each(self->start, MILLION));
    }
}
ONCE(yield_one_once, trt_block_on(rt, yield_one, &figure))

enum { YIELDERS = 200, YIELDS = 1000 };
struct yield_many {
    int64_t start;
    int i;
    trt_handle(yielder) tasks[YIELDERS];
};
trt_async(double, yield_many)
{
    trt_body {
        self->start = now_ns();
        for (int i = 0; i < YIELDERS; i++) self->tasks[i] = trt_spawn(yielder, .left = YIELDS);
        for (self->i = 0; self->i < YIELDERS; self->i++)
            trt_await_ok(trt_join(self->tasks[self->i], NULL));
        trt_return(ns_each(self->start, YIELDERS * YIELDS));
    }
}
ONCE(yield_many_once, trt_block_on(rt, yield_many, &figure))

typedef trt_oneshot(trt_void) signal_once;

struct partner {
    signal_once *from, *to;
};
trt_async(trt_void, partner)
{
    trt_body {
        trt_await_ok(trt_oneshot_recv(self->from, NULL));
        CHECK(trt_oneshot_send(self->to, (trt_void){0}) == TRT_OK);
    }
}

/* The partner works on this frame, so it is joined; the twin's lets go of a shared allocation. */
struct pair {
    signal_once there, back;
    trt_handle(partner) partner;
};
trt_async(trt_void, pair)
{
    trt_body {
        self->partner = trt_spawn(partner, .from = &self->there, .to = &self->back);
        CHECK(trt_oneshot_send(&self->there, (trt_void){0}) == TRT_OK);
        trt_await_ok(trt_oneshot_recv(&self->back, NULL));
        trt_await_ok(trt_join(self->partner, NULL));
    }
}

enum { PING_ROUNDS = 100 };
struct ping_pong {
    int64_t start;
    int round, i;
    trt_handle(pair) *pairs;
};
trt_async(double, ping_pong)
{
    trt_body {
        self->pairs = allocate(BATCH, sizeof *self->pairs);
        self->start = now_ns();
        for (self->round = 0; self->round < PING_ROUNDS; self->round++) {
            for (int i = 0; i < BATCH; i++) self->pairs[i] = trt_spawn(pair);
            for (self->i = 0; self->i < BATCH; self->i++)
                trt_await_ok(trt_join(self->pairs[self->i], NULL));
        }
        trt_return(ns_each(self->start, PING_ROUNDS * BATCH));
    }
    trt_cleanup { free(self->pairs); }
}
ONCE(ping_pong_once, trt_block_on(rt, ping_pong, &figure))

struct joinset { /* a hundred thousand empty tasks in one set */
    int64_t start;
    int n;
    trt_join_set(empty) set;
};
trt_async(double, joinset)
{
    trt_body {
        self->start = now_ns();
        for (int i = 0; i < 100000; i++) trt_spawn_in(&self->set, empty);
        for (;; self->n++) {
            trt_await(trt_join_next(&self->set, NULL));
            if (trt_status() == TRT_EMPTY) break;
            CHECK(trt_status() == TRT_OK);
        }
        CHECK(self->n == 100000);
        trt_return(ns_each(self->start, self->n));
    }
}
ONCE(joinset_once, trt_block_on(rt, joinset, &figure))

/* It keeps one pointer, as what the twin's captures. */
struct long_sleeper {
    atomic_size_t *registered;
};
trt_async(trt_void, long_sleeper)
{
    trt_body {
        atomic_fetch_add_explicit(self->registered, 1, memory_order_relaxed);
        trt_await_ok(trt_sleep(trt_s(3600)));
    }
}

enum { ABORTED = 100000 };
struct abort_join { /* abort and join a hundred thousand tasks that sleep; not: spawn them */
    int64_t start;
    int i;
    atomic_size_t registered;
    trt_handle(long_sleeper) *tasks;
};
trt_async(double, abort_join)
{
    trt_body {
        self->tasks = allocate(ABORTED, sizeof *self->tasks);
        for (int i = 0; i < ABORTED; i++)
            self->tasks[i] = trt_spawn(long_sleeper, .registered = &self->registered);
        while (atomic_load_explicit(&self->registered, memory_order_relaxed) < ABORTED)
            trt_await_ok(trt_yield());
        trt_await_ok(trt_yield());
        self->start = now_ns();
        for (int i = 0; i < ABORTED; i++) trt_abort(self->tasks[i]);
        for (self->i = 0; self->i < ABORTED; self->i++) {
            trt_await(trt_join(self->tasks[self->i], NULL));
            CHECK(trt_status() == TRT_CANCELLED);
        }
        trt_return(ns_each(self->start, ABORTED));
    }
    trt_cleanup { free(self->tasks); }
}
ONCE(abort_join_once, trt_block_on(rt, abort_join, &figure))

/* ------------------------------------------------------------------------------------------------
 * Trees of tasks. Each twice: by spawn and join as in the twin, and by fork and sync.
 */
enum { SKYNET_LEAVES = 1000000 };
#define SKYNET_SUM UINT64_C(499999500000)

struct skynet { /* the sum of the numbers of all leaves; each inner node has ten children */
    uint64_t number, leaves, sum, part;
    int i;
    trt_any_handle children[10];
};
trt_async(uint64_t, skynet)
{
    trt_body {
        if (self->leaves == 1) trt_return(self->number);
        for (uint64_t i = 0, n = self->leaves / 10; i < 10; i++)
            self->children[i] =
                trt_any(trt_spawn(skynet, .number = self->number + i * n, .leaves = n));
        for (self->i = 0; self->i < 10; self->i++) {
            trt_await_ok(trt_join(self->children[self->i], &self->part));
            self->sum += self->part;
        }
        trt_return(self->sum);
    }
}

struct skynet_root {
    int64_t start;
    uint64_t sum;
    trt_handle(skynet) top;
};
trt_async(double, skynet_root)
{
    trt_body {
        self->start = now_ns();
        self->top = trt_spawn(skynet, .leaves = SKYNET_LEAVES);
        trt_await_ok(trt_join(self->top, &self->sum));
        CHECK(self->sum == SKYNET_SUM);
        trt_return(ms_since(self->start));
    }
}
ONCE(skynet_once, trt_block_on(rt, skynet_root, &figure))

struct skynet_fork {
    uint64_t number, leaves, parts[10];
};
trt_async(uint64_t, skynet_fork)
{
    trt_body {
        if (self->leaves == 1) trt_return(self->number);
        for (uint64_t i = 0, n = self->leaves / 10; i < 10; i++)
            trt_fork(skynet_fork, &self->parts[i], .number = self->number + i * n, .leaves = n);
        trt_await_ok(trt_sync());
        uint64_t sum = 0;
        for (int i = 0; i < 10; i++) sum += self->parts[i];
        trt_return(sum);
    }
}

struct skynet_fork_root {
    int64_t start;
    uint64_t sum;
};
trt_async(double, skynet_fork_root)
{
    trt_body {
        self->start = now_ns();
        trt_fork(skynet_fork, &self->sum, .leaves = SKYNET_LEAVES);
        trt_await_ok(trt_sync());
        CHECK(self->sum == SKYNET_SUM);
        trt_return(ms_since(self->start));
    }
}
ONCE(skynet_fork_once, trt_block_on(rt, skynet_fork_root, &figure))

/* fib(n-1) is spawned, fib(n-2) awaited in place. Its frame cannot be a field, since the struct
 * would contain itself: it is malloc'ed, as the twin's boxed future is, and run by trt_call. */
struct fib {
    uint32_t n;
    trt_any_handle spawned;
    trt_frame(fib) *boxed;
    uint64_t a, b;
};
trt_async(uint64_t, fib)
{
    trt_body {
        if (self->n < 2) trt_return(self->n);
        self->spawned = trt_any(trt_spawn(fib, .n = self->n - 1));
        self->boxed = allocate(1, sizeof *self->boxed);
        trt_await_ok(trt_call(fib, self->boxed, .n = self->n - 2));
        self->b = self->boxed->out;
        free(self->boxed);
        trt_await_ok(trt_join(self->spawned, &self->a));
        trt_return(self->a + self->b);
    }
}

/* Both are forked: trt_sync runs the one forked last in place unless another worker has it. The
 * time still counts for each of the spawns of the row above, half of the forks made here. */
struct fib_fork {
    uint32_t n;
    uint64_t a, b;
};
trt_async(uint64_t, fib_fork)
{
    trt_body {
        if (self->n < 2) trt_return(self->n);
        trt_fork(fib_fork, &self->a, .n = self->n - 1);
        trt_fork(fib_fork, &self->b, .n = self->n - 2);
        trt_await_ok(trt_sync());
        trt_return(self->a + self->b);
    }
}

/* The top is awaited in place in both. fib(27) makes 317810 spawns, fib(35) 14930351. */
struct fib_root {
    uint32_t n;
    bool by_fork;
    int64_t start;
    uint64_t result;
    trt_frame(fib) *top;
    trt_frame(fib_fork) *fork_top;
};
trt_async(double, fib_root)
{
    trt_body {
        self->start = now_ns();
        if (self->by_fork) {
            self->fork_top = allocate(1, sizeof *self->fork_top);
            trt_await_ok(trt_call(fib_fork, self->fork_top, .n = self->n));
            self->result = self->fork_top->out;
        } else {
            self->top = allocate(1, sizeof *self->top);
            trt_await_ok(trt_call(fib, self->top, .n = self->n));
            self->result = self->top->out;
        }
        CHECK(self->result == (self->n == 27 ? 196418 : 9227465));
        trt_return(self->n == 27 ? ns_each(self->start, 317810) : ms_since(self->start));
    }
    trt_cleanup {
        free(self->top);
        free(self->fork_top);
    }
}
ONCE(fib27_once, trt_block_on(rt, fib_root, &figure, .n = 27))
ONCE(fib27_fork_once, trt_block_on(rt, fib_root, &figure, .n = 27, .by_fork = true))
ONCE(fib35_once, trt_block_on(rt, fib_root, &figure, .n = 35))
ONCE(fib35_fork_once, trt_block_on(rt, fib_root, &figure, .n = 35, .by_fork = true))

enum { QUEENS = 12, SOLUTIONS = 14200 };
struct board {
    uint8_t column[16];
};

static bool queen_fits(const struct board *board, int row, int column)
{
    for (int x = 0; x < row; x++) {
        int taken = board->column[x], distance = row - x;
        if (column == taken || column == taken - distance || column == taken + distance)
            return false;
    }
    return true;
}

struct nqueens { /* one task for each legal column of a row */
    int row, n, i;
    struct board board;
    uint64_t sum, part;
    trt_any_handle columns[QUEENS];
};
trt_async(uint64_t, nqueens)
{
    trt_body {
        if (self->row == QUEENS) trt_return(1);
        for (int y = 0; y < QUEENS; y++) {
            if (!queen_fits(&self->board, self->row, y)) continue;
            struct board board = self->board;
            board.column[self->row] = (uint8_t)y;
            self->columns[self->n++] =
                trt_any(trt_spawn(nqueens, .row = self->row + 1, .board = board));
        }
        for (self->i = 0; self->i < self->n; self->i++) {
            trt_await_ok(trt_join(self->columns[self->i], &self->part));
            self->sum += self->part;
        }
        trt_return(self->sum);
    }
}

struct nqueens_root {
    int64_t start;
    uint64_t solutions;
    trt_handle(nqueens) top;
};
trt_async(double, nqueens_root)
{
    trt_body {
        self->start = now_ns();
        self->top = trt_spawn(nqueens);
        trt_await_ok(trt_join(self->top, &self->solutions));
        CHECK(self->solutions == SOLUTIONS);
        trt_return(ms_since(self->start));
    }
}
ONCE(nqueens_once, trt_block_on(rt, nqueens_root, &figure))

struct nqueens_fork {
    int row, n;
    struct board board;
    uint64_t parts[QUEENS];
};
trt_async(uint64_t, nqueens_fork)
{
    trt_body {
        if (self->row == QUEENS) trt_return(1);
        for (int y = 0; y < QUEENS; y++) {
            if (!queen_fits(&self->board, self->row, y)) continue;
            struct board board = self->board;
            board.column[self->row] = (uint8_t)y;
            trt_fork(nqueens_fork, &self->parts[self->n++], .row = self->row + 1, .board = board);
        }
        trt_await_ok(trt_sync());
        uint64_t sum = 0;
        for (int i = 0; i < self->n; i++) sum += self->parts[i];
        trt_return(sum);
    }
}

struct nqueens_fork_root {
    int64_t start;
    uint64_t solutions;
};
trt_async(double, nqueens_fork_root)
{
    trt_body {
        self->start = now_ns();
        trt_fork(nqueens_fork, &self->solutions);
        trt_await_ok(trt_sync());
        CHECK(self->solutions == SOLUTIONS);
        trt_return(ms_since(self->start));
    }
}
ONCE(nqueens_fork_once, trt_block_on(rt, nqueens_fork_root, &figure))

/* c += a * b for square matrices, by quarters: four products and then the four that add to the same
 * places. The last of each four is the one that trt_sync runs in place. */
enum { MATRIX = 1024, MATRIX_LEAF = 32 };
struct matmul {
    const int *a, *b;
    int *c;
    size_t n;
};
trt_async(trt_void, matmul)
{
    const size_t n = self->n / 2, down = n * MATRIX; /* from a quarter to those right and below */
    const int *a = self->a, *b = self->b;
    int *c = self->c;
    trt_body {
        if (self->n <= MATRIX_LEAF) {
            for (size_t i = 0; i < self->n; i++)
                for (size_t j = 0; j < self->n; j++)
                    for (size_t k = 0; k < self->n; k++)
                        c[i * MATRIX + j] += a[i * MATRIX + k] * b[k * MATRIX + j];
            return;
        }
        trt_fork(matmul, NULL, .a = a, .b = b, .c = c, .n = n);
        trt_fork(matmul, NULL, .a = a, .b = b + n, .c = c + n, .n = n);
        trt_fork(matmul, NULL, .a = a + down, .b = b, .c = c + down, .n = n);
        trt_fork(matmul, NULL, .a = a + down, .b = b + n, .c = c + down + n, .n = n);
        trt_await_ok(trt_sync());
        a += n;
        b += down;
        trt_fork(matmul, NULL, .a = a, .b = b, .c = c, .n = n);
        trt_fork(matmul, NULL, .a = a, .b = b + n, .c = c + n, .n = n);
        trt_fork(matmul, NULL, .a = a + down, .b = b, .c = c + down, .n = n);
        trt_fork(matmul, NULL, .a = a + down, .b = b + n, .c = c + down + n, .n = n);
        trt_await_ok(trt_sync());
    }
}

struct matmul_root {
    int64_t start;
    int *a, *b, *c;
    double figure;
};
trt_async(double, matmul_root)
{
    const size_t places = (size_t)MATRIX * MATRIX;
    trt_body {
        self->a = allocate(places, sizeof *self->a);
        self->b = allocate(places, sizeof *self->b);
        self->c = allocate(places, sizeof *self->c);
        for (size_t i = 0; i < places; i++) {
            self->a[i] = self->b[i] = 1;
            self->c[i] = 0;
        }
        self->start = now_ns();
        trt_fork(matmul, NULL, .a = self->a, .b = self->b, .c = self->c, .n = MATRIX);
        trt_await_ok(trt_sync());
        self->figure = ms_since(self->start);
        for (size_t i = 0; i < places; i++) CHECK(self->c[i] == MATRIX);
        trt_return(self->figure);
    }
    trt_cleanup {
        free(self->a);
        free(self->b);
        free(self->c);
    }
}
ONCE(matmul_once, trt_block_on(rt, matmul_root, &figure))

/* ------------------------------------------------------------------------------------------------
 * Timers
 */
/* It keeps nothing, as the twin's: the counter is static. */
static atomic_size_t sleepers_registered;
struct sleeper {
    trt_void none;
};
trt_async(trt_void, sleeper)
{
    trt_body {
        atomic_fetch_add_explicit(&sleepers_registered, 1, memory_order_relaxed);
        trt_await_ok(trt_sleep(trt_s(10)));
    }
}

struct sleepers_figures {
    double bytes, spawn, registered, abort_join; /* a task; ns a task */
};
struct sleepers_root {
    int64_t start, spawned, all;
    int i;
    double before;
    trt_handle(sleeper) *tasks;
    struct sleepers_figures figures;
};
trt_async(struct sleepers_figures, sleepers_root)
{
    trt_body {
        self->tasks = allocate(MILLION, sizeof *self->tasks);
        memset(self->tasks, 1, MILLION * sizeof *self->tasks); /* so that it is not counted */
        self->before = status_kb("VmRSS");
        self->start = now_ns();
        for (int i = 0; i < MILLION; i++) self->tasks[i] = trt_spawn(sleeper);
        self->spawned = now_ns();
        while (atomic_load_explicit(&sleepers_registered, memory_order_relaxed) < MILLION)
            trt_await_ok(trt_yield());
        self->all = now_ns();
        self->figures.bytes = (status_kb("VmHWM") - self->before) * 1024 / MILLION;
        self->figures.spawn = (double)(self->spawned - self->start) / MILLION;
        self->figures.registered = (double)(self->all - self->start) / MILLION;
        for (int i = 0; i < MILLION; i++) trt_abort(self->tasks[i]);
        for (self->i = 0; self->i < MILLION; self->i++) {
            trt_await(trt_join(self->tasks[self->i], NULL));
            CHECK(trt_status() == TRT_CANCELLED);
        }
        self->figures.abort_join = ns_each(self->all, MILLION);
        trt_return(self->figures);
    }
    trt_cleanup { free(self->tasks); }
}

/* The mode of the process that `sleepers` starts: four numbers on one line. */
static void sleepers_one(const struct setup *setup)
{
    struct sleepers_figures f;
    trt_runtime *rt = start(setup);
    CHECK(trt_block_on(rt, sleepers_root, &f) == TRT_OK);
    CHECK(trt_runtime_free(rt) == TRT_OK);
    printf("%f %f %f %f\n", f.bytes, f.spawn, f.registered, f.abort_join);
}

static const char *program; /* argv[0] */

/* Runs this program in a process of its own, and reads what sleepers_one prints. */
static struct sleepers_figures sleepers_in_a_process(const struct setup *setup)
{
    struct sleepers_figures f;
    char workers[32], line[256];
    int ends[2], status;
    if (setup->workers) snprintf(workers, sizeof workers, "%zu", setup->workers);
    else snprintf(workers, sizeof workers, "ct");
    CHECK(pipe(ends) == 0);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        dup2(ends[1], STDOUT_FILENO);
        close(ends[0]);
        close(ends[1]);
        execl("/proc/self/exe", program, "sleepers_one", workers, (char *)NULL);
        execlp(program, program, "sleepers_one", workers, (char *)NULL);
        _exit(127);
    }
    close(ends[1]);
    FILE *out = fdopen(ends[0], "r");
    CHECK(out && fgets(line, sizeof line, out));
    CHECK(sscanf(line, "%lf %lf %lf %lf", &f.bytes, &f.spawn, &f.registered, &f.abort_join) == 4);
    fclose(out);
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
    return f;
}

static size_t few(const struct setup *setup, size_t most)
{
    return setup->repetitions < most ? setup->repetitions : most;
}

static void sleepers(const struct setup *setup)
{
    double bytes[4], spawn[4], registered[4], abort_join[4];
    size_t n = few(setup, 4);
    sleepers_in_a_process(setup);
    for (size_t i = 0; i < n; i++) {
        struct sleepers_figures f = sleepers_in_a_process(setup);
        bytes[i] = f.bytes;
        spawn[i] = f.spawn;
        registered[i] = f.registered;
        abort_join[i] = f.abort_join;
    }
    report(setup, "sleepers_rss", "bytes/task", bytes, n);
    report(setup, "sleepers_spawn", "ns/task", spawn, n);
    report(setup, "sleepers_spawn_registered", "ns/task", registered, n);
    report(setup, "sleepers_abort_join", "ns/task", abort_join, n);
}

struct nap {
    trt_duration duration;
};
trt_async(trt_void, nap)
{
    trt_body { trt_await_ok(trt_sleep(self->duration)); }
}

struct timers_figures {
    double over, cpu; /* ms beyond the second, seconds */
};
struct timers_root { /* a million tasks sleep up to a second each */
    int64_t start;
    int i;
    trt_handle(nap) *tasks;
    double cpu;
    struct timers_figures figures;
};
trt_async(struct timers_figures, timers_root)
{
    trt_body {
        self->tasks = allocate(MILLION, sizeof *self->tasks);
        self->cpu = cpu_seconds();
        self->start = now_ns();
        for (uint64_t i = 0; i < MILLION; i++)
            self->tasks[i] = trt_spawn(nap, .duration = trt_ms(splitmix(i) % 1000));
        for (self->i = 0; self->i < MILLION; self->i++)
            trt_await_ok(trt_join(self->tasks[self->i], NULL));
        self->figures.over = ms_since(self->start) - 1000;
        self->figures.cpu = cpu_seconds() - self->cpu;
        trt_return(self->figures);
    }
    trt_cleanup { free(self->tasks); }
}

static void timers(const struct setup *setup)
{
    double over[4], cpu[4];
    size_t n = few(setup, 4);
    struct timers_figures f;
    trt_runtime *rt = start(setup);
    CHECK(trt_block_on(rt, timers_root, &f) == TRT_OK);
    for (size_t i = 0; i < n; i++) {
        CHECK(trt_block_on(rt, timers_root, &f) == TRT_OK);
        over[i] = f.over;
        cpu[i] = f.cpu;
    }
    report(setup, "timers_over", "ms", over, n);
    report(setup, "timers_cpu", "cpu-s", cpu, n);
    CHECK(trt_runtime_free(rt) == TRT_OK);
}

struct timeout_churn { /* a deadline that is set and taken back */
    int64_t start;
    int i;
};
trt_async(double, timeout_churn)
{
    trt_body {
        self->start = now_ns();
        for (self->i = 0; self->i < MILLION; self->i++)
            trt_await_ok(trt_within(trt_s(1), trt_yield()));
        trt_return(ns_each(self->start, MILLION));
    }
}
ONCE(timeout_churn_once, trt_block_on(rt, timeout_churn, &figure))

struct timeout_ready { /* a deadline for an operation that is complete */
    int64_t start;
    int i;
    trt_notify notify;
};
trt_async(double, timeout_ready)
{
    trt_body {
        self->start = now_ns();
        for (self->i = 0; self->i < MILLION; self->i++) {
            trt_notify_one(&self->notify);
            trt_await_ok(trt_within(trt_s(1), trt_notified(&self->notify)));
        }
        trt_return(ns_each(self->start, MILLION));
    }
}
ONCE(timeout_ready_once, trt_block_on(rt, timeout_ready, &figure))

struct ready {
    trt_void none;
};
trt_async(size_t, ready) { trt_body { trt_return(1); } }

struct timeout_ready_call { /* the same for a coroutine that does not wait */
    int64_t start;
    int i;
    trt_frame(ready) ready;
};
trt_async(double, timeout_ready_call)
{
    trt_body {
        self->start = now_ns();
        for (self->i = 0; self->i < MILLION; self->i++) {
            trt_await_ok(trt_within(trt_s(1), trt_call(ready, &self->ready)));
            CHECK(self->ready.out == 1);
        }
        trt_return(ns_each(self->start, MILLION));
    }
}
ONCE(timeout_ready_call_once, trt_block_on(rt, timeout_ready_call, &figure))

/* ------------------------------------------------------------------------------------------------
 * Channels
 */
typedef trt_channel(uint64_t) numbers;

struct mpsc {
    numbers channel;
    atomic_int producers; /* that have not sent all they have; the last one closes the channel */
};

static void producer_ends(struct mpsc *mpsc)
{
    if (atomic_fetch_sub_explicit(&mpsc->producers, 1, memory_order_acq_rel) == 1)
        trt_channel_close(&mpsc->channel);
}

struct producer {
    struct mpsc *to;
    uint64_t i, count;
};
trt_async(trt_void, producer)
{
    trt_body {
        for (; self->i < self->count; self->i++)
            trt_await_ok(trt_send(&self->to->channel, &self->i));
        producer_ends(self->to);
    }
}

/* The send to an unbounded channel is a plain call, as it is in the twin. */
struct unbounded_producer {
    struct mpsc *to;
    uint64_t count;
};
trt_async(trt_void, unbounded_producer)
{
    trt_body {
        for (uint64_t i = 0; i < self->count; i++)
            CHECK(trt_try_send(&self->to->channel, &i) == TRT_OK);
        producer_ends(self->to);
    }
}

struct mpsc_root {
    size_t capacity;
    int producers;
    uint64_t each;
    trt_runtime *elsewhere; /* where the producers run; NULL: here */
    int64_t start;
    uint64_t value, n;
    int i;
    double figure;
    struct mpsc mpsc;
    trt_any_handle tasks[4];
};
trt_async(double, mpsc_root)
{
    trt_body {
        CHECK(trt_channel_init(&self->mpsc.channel, self->capacity) == TRT_OK);
        atomic_store_explicit(&self->mpsc.producers, self->producers, memory_order_relaxed);
        self->start = now_ns();
        for (int i = 0; i < self->producers; i++) {
            if (self->elsewhere)
                self->tasks[i] = trt_any(trt_spawn_on(self->elsewhere, producer, .to = &self->mpsc,
                                                      .count = self->each));
            else if (self->capacity == TRT_UNBOUNDED)
                self->tasks[i] = trt_any(
                    trt_spawn(unbounded_producer, .to = &self->mpsc, .count = self->each));
            else
                self->tasks[i] =
                    trt_any(trt_spawn(producer, .to = &self->mpsc, .count = self->each));
        }
        for (;;) {
            trt_await(trt_recv(&self->mpsc.channel, &self->value));
            if (trt_status() != TRT_OK) break;
            self->n++;
        }
        CHECK(trt_status() == TRT_CLOSED);
        CHECK(self->n == self->each * (uint64_t)self->producers);
        self->figure = ns_each(self->start, (int64_t)self->n);
        for (self->i = 0; self->i < self->producers; self->i++)
            trt_await_ok(trt_join(self->tasks[self->i], NULL));
        trt_return(self->figure);
    }
    trt_cleanup { trt_channel_free(&self->mpsc.channel); }
}
#define MPSC(function, ...) ONCE(function, trt_block_on(rt, mpsc_root, &figure, __VA_ARGS__))
MPSC(mpsc_b1000_1p, .capacity = 1000, .producers = 1, .each = 5 * MILLION)
MPSC(mpsc_b1000_4p, .capacity = 1000, .producers = 4, .each = MILLION)
MPSC(mpsc_unb_1p, .capacity = TRT_UNBOUNDED, .producers = 1, .each = 5 * MILLION)
MPSC(mpsc_unb_4p, .capacity = TRT_UNBOUNDED, .producers = 4, .each = MILLION)

/* The price of the way between two processors. In mpsc_b1000_1p the scheduler may keep both ends on
 * one worker; here it cannot, since each runs in a runtime of its own with one worker. */
static trt_runtime *producers_runtime;
MPSC(mpsc_split_once, .capacity = 1000, .producers = 1, .each = 5 * MILLION,
     .elsewhere = producers_runtime)

struct oneshot { /* the root sends to itself, each time by a new one */
    int64_t start;
    uint64_t i, value;
    trt_oneshot(uint64_t) oneshot;
};
trt_async(double, oneshot)
{
    trt_body {
        self->start = now_ns();
        for (self->i = 0; self->i < MILLION; self->i++) {
            memset(&self->oneshot, 0, sizeof self->oneshot);
            CHECK(trt_oneshot_send(&self->oneshot, self->i) == TRT_OK);
            trt_await_ok(trt_oneshot_recv(&self->oneshot, &self->value));
            CHECK(self->value == self->i);
        }
        trt_return(ns_each(self->start, MILLION));
    }
}
ONCE(oneshot_once, trt_block_on(rt, oneshot, &figure))

/* ------------------------------------------------------------------------------------------------
 * Locks
 */
struct mutex_uncontended {
    int64_t start;
    int i;
    trt_mutex mutex;
    trt_guard guard;
    uint64_t value;
};
trt_async(double, mutex_uncontended)
{
    trt_body {
        self->start = now_ns();
        for (self->i = 0; self->i < MILLION; self->i++) {
            trt_await_ok(trt_lock(&self->mutex, &self->guard));
            self->value++;
            trt_unlock(&self->guard);
        }
        CHECK(self->value == MILLION);
        trt_return(ns_each(self->start, MILLION));
    }
}
ONCE(mutex_uncontended_once, trt_block_on(rt, mutex_uncontended, &figure))

struct counter {
    trt_mutex mutex;
    uint64_t value;
};

struct adder {
    struct counter *counter;
    int left;
    bool yields; /* while it holds the lock */
    trt_guard guard;
};
trt_async(trt_void, adder)
{
    trt_body {
        for (; self->left > 0; self->left--) {
            trt_await_ok(trt_lock(&self->counter->mutex, &self->guard));
            self->counter->value++;
            if (self->yields) trt_await_ok(trt_yield());
            trt_unlock(&self->guard);
        }
    }
}

enum { LOCKERS = 10 };
struct mutex_10 {
    int each;
    bool yields;
    int64_t start;
    int i;
    struct counter counter;
    trt_handle(adder) tasks[LOCKERS];
};
trt_async(double, mutex_10)
{
    trt_body {
        self->start = now_ns();
        for (int i = 0; i < LOCKERS; i++)
            self->tasks[i] = trt_spawn(adder, .counter = &self->counter, .left = self->each,
                                       .yields = self->yields);
        for (self->i = 0; self->i < LOCKERS; self->i++)
            trt_await_ok(trt_join(self->tasks[self->i], NULL));
        CHECK(self->counter.value == (uint64_t)self->each * LOCKERS);
        trt_return(ns_each(self->start, (int64_t)self->each * LOCKERS));
    }
}
ONCE(mutex_10x100k, trt_block_on(rt, mutex_10, &figure, .each = 100000))
ONCE(mutex_10x20k_yield, trt_block_on(rt, mutex_10, &figure, .each = 20000, .yields = true))

struct semaphore_uncontended {
    int64_t start;
    int i;
    trt_semaphore semaphore;
    trt_permit permit;
};
trt_async(double, semaphore_uncontended)
{
    trt_body {
        CHECK(trt_semaphore_init(&self->semaphore, 10) == TRT_OK);
        self->start = now_ns();
        for (self->i = 0; self->i < MILLION; self->i++) {
            trt_await_ok(trt_acquire(&self->semaphore, &self->permit));
            trt_release(&self->permit);
        }
        trt_return(ns_each(self->start, MILLION));
    }
}
ONCE(semaphore_uncontended_once, trt_block_on(rt, semaphore_uncontended, &figure))

struct acquirer {
    trt_semaphore *semaphore;
    int left;
    trt_permit permit;
};
trt_async(trt_void, acquirer)
{
    trt_body {
        for (; self->left > 0; self->left--) {
            trt_await_ok(trt_acquire(self->semaphore, &self->permit));
            trt_await_ok(trt_yield());
            trt_release(&self->permit);
        }
    }
}

enum { ACQUIRERS = 1000, ACQUIRES = 200 };
struct semaphore_10p { /* a thousand tasks want ten permits */
    int64_t start;
    int i;
    trt_semaphore semaphore;
    trt_handle(acquirer) *tasks;
};
trt_async(double, semaphore_10p)
{
    trt_body {
        self->tasks = allocate(ACQUIRERS, sizeof *self->tasks);
        CHECK(trt_semaphore_init(&self->semaphore, 10) == TRT_OK);
        self->start = now_ns();
        for (int i = 0; i < ACQUIRERS; i++)
            self->tasks[i] =
                trt_spawn(acquirer, .semaphore = &self->semaphore, .left = ACQUIRES);
        for (self->i = 0; self->i < ACQUIRERS; self->i++)
            trt_await_ok(trt_join(self->tasks[self->i], NULL));
        CHECK(trt_available_permits(&self->semaphore) == 10);
        trt_return(ns_each(self->start, ACQUIRERS * ACQUIRES));
    }
    trt_cleanup { free(self->tasks); }
}
ONCE(semaphore_10p_1000t, trt_block_on(rt, semaphore_10p, &figure))

struct rwlock_uncontended {
    bool writes;
    int64_t start;
    int i;
    trt_rwlock rwlock;
    trt_guard guard;
    volatile uint64_t value;
    uint64_t sum;
};
trt_async(double, rwlock_uncontended)
{
    trt_body {
        self->start = now_ns();
        if (self->writes) {
            for (self->i = 0; self->i < MILLION; self->i++) {
                trt_await_ok(trt_write_lock(&self->rwlock, &self->guard));
                self->value++;
                trt_unlock(&self->guard);
            }
        } else {
            for (self->i = 0; self->i < MILLION; self->i++) {
                trt_await_ok(trt_read_lock(&self->rwlock, &self->guard));
                self->sum += self->value;
                trt_unlock(&self->guard);
            }
        }
        CHECK(self->value == (self->writes ? MILLION : 0) && self->sum == 0);
        trt_return(ns_each(self->start, MILLION));
    }
}
ONCE(rwlock_read_once, trt_block_on(rt, rwlock_uncontended, &figure))
ONCE(rwlock_write_once, trt_block_on(rt, rwlock_uncontended, &figure, .writes = true))

struct record {
    trt_rwlock rwlock;
    volatile uint64_t value;
};

struct visitor { /* writes every tenth time, reads otherwise, and yields with the lock held */
    struct record *record;
    int i, count;
    trt_guard guard;
};
trt_async(trt_void, visitor)
{
    trt_body {
        for (; self->i < self->count; self->i++) {
            if (self->i % 10 == 0) {
                trt_await_ok(trt_write_lock(&self->record->rwlock, &self->guard));
                self->record->value++;
            } else {
                trt_await_ok(trt_read_lock(&self->record->rwlock, &self->guard));
                (void)self->record->value;
            }
            trt_await_ok(trt_yield());
            trt_unlock(&self->guard);
        }
    }
}

struct rwlock_10 {
    int64_t start;
    int i;
    struct record record;
    trt_handle(visitor) tasks[LOCKERS];
};
trt_async(double, rwlock_10)
{
    trt_body {
        self->start = now_ns();
        for (int i = 0; i < LOCKERS; i++)
            self->tasks[i] = trt_spawn(visitor, .record = &self->record, .count = 20000);
        for (self->i = 0; self->i < LOCKERS; self->i++)
            trt_await_ok(trt_join(self->tasks[self->i], NULL));
        CHECK(self->record.value == LOCKERS * 20000 / 10);
        trt_return(ns_each(self->start, LOCKERS * 20000));
    }
}
ONCE(rwlock_10x20k, trt_block_on(rt, rwlock_10, &figure))

enum { NOTIFY_ROUNDS = 200000 };
struct notify_player {
    trt_notify *mine, *other;
    bool serves; /* notifies before it waits, not after */
    int i;
};
trt_async(trt_void, notify_player)
{
    trt_body {
        for (; self->i < NOTIFY_ROUNDS; self->i++) {
            if (self->serves) trt_notify_one(self->other);
            trt_await_ok(trt_notified(self->mine));
            if (!self->serves) trt_notify_one(self->other);
        }
    }
}

struct notify_pingpong {
    int64_t start;
    trt_notify a, b;
    trt_handle(notify_player) returner, server;
};
trt_async(double, notify_pingpong)
{
    trt_body {
        self->start = now_ns();
        self->returner = trt_spawn(notify_player, .mine = &self->a, .other = &self->b);
        self->server =
            trt_spawn(notify_player, .mine = &self->b, .other = &self->a, .serves = true);
        trt_await_ok(trt_join(self->returner, NULL));
        trt_await_ok(trt_join(self->server, NULL));
        trt_return(ns_each(self->start, NOTIFY_ROUNDS));
    }
}
ONCE(notify_pingpong_once, trt_block_on(rt, notify_pingpong, &figure))

struct notify_self {
    int64_t start;
    int i;
    trt_notify notify;
};
trt_async(double, notify_self)
{
    trt_body {
        self->start = now_ns();
        for (self->i = 0; self->i < MILLION; self->i++) {
            trt_notify_one(&self->notify);
            trt_await_ok(trt_notified(&self->notify));
        }
        trt_return(ns_each(self->start, MILLION));
    }
}
ONCE(notify_self_once, trt_block_on(rt, notify_self, &figure))

/* ------------------------------------------------------------------------------------------------
 * Other threads: the blocking pool, and one that is none of the runtime's
 */
struct nothing {
    trt_void none;
};
trt_blocking_fn(trt_void, nothing) { return (trt_void){0}; }

enum { JOBS = 100000, SERIAL_JOBS = 20000 };
struct spawn_blocking {
    int64_t start;
    int i;
    trt_handle(nothing) *jobs;
};
trt_async(double, spawn_blocking)
{
    trt_body {
        self->jobs = allocate(JOBS, sizeof *self->jobs);
        self->start = now_ns();
        for (int i = 0; i < JOBS; i++) self->jobs[i] = trt_spawn_blocking(nothing);
        for (self->i = 0; self->i < JOBS; self->i++)
            trt_await_ok(trt_join(self->jobs[self->i], NULL));
        trt_return(ns_each(self->start, JOBS));
    }
    trt_cleanup { free(self->jobs); }
}
ONCE(spawn_blocking_once, trt_block_on(rt, spawn_blocking, &figure))

struct spawn_blocking_serial {
    int64_t start;
    int i;
    trt_handle(nothing) job;
};
trt_async(double, spawn_blocking_serial)
{
    trt_body {
        self->start = now_ns();
        for (self->i = 0; self->i < SERIAL_JOBS; self->i++) {
            self->job = trt_spawn_blocking(nothing);
            trt_await_ok(trt_join(self->job, NULL));
        }
        trt_return(ns_each(self->start, SERIAL_JOBS));
    }
}
ONCE(spawn_blocking_serial_once, trt_block_on(rt, spawn_blocking_serial, &figure))

enum { WAKES = 20000 };
struct wakes {
    numbers there, back; /* unbounded to the task; one place to the thread */
    pthread_t thread;
    double us;
};

static void *wakes_thread(void *argument)
{
    struct wakes *wakes = argument;
    int64_t begin = now_ns();
    for (uint64_t i = 0, reply; i < WAKES; i++) {
        CHECK(trt_send_thread(&wakes->there, &i) == TRT_OK);
        CHECK(trt_recv_thread(&wakes->back, &reply) == TRT_OK);
        CHECK(reply == i);
    }
    wakes->us = ns_each(begin, WAKES) / 1000;
    trt_channel_close(&wakes->there);
    return NULL;
}

struct xthread_wake {
    struct wakes *wakes;
    uint64_t value;
};
trt_async(trt_void, xthread_wake)
{
    trt_body {
        CHECK(pthread_create(&self->wakes->thread, NULL, wakes_thread, self->wakes) == 0);
        for (;;) {
            trt_await(trt_recv(&self->wakes->there, &self->value));
            if (trt_status() == TRT_CLOSED) break;
            CHECK(trt_status() == TRT_OK);
            trt_await_ok(trt_send(&self->wakes->back, &self->value));
        }
    }
}

static double xthread_wake_once(trt_runtime *rt)
{
    struct wakes wakes;
    memset(&wakes, 0, sizeof wakes);
    CHECK(trt_channel_init(&wakes.there, TRT_UNBOUNDED) == TRT_OK);
    CHECK(trt_channel_init(&wakes.back, 1) == TRT_OK);
    CHECK(trt_block_on(rt, xthread_wake, NULL, .wakes = &wakes) == TRT_OK);
    CHECK(pthread_join(wakes.thread, NULL) == 0);
    trt_channel_free(&wakes.there);
    trt_channel_free(&wakes.back);
    return wakes.us;
}

/* ------------------------------------------------------------------------------------------------
 * TCP echo over the loopback interface. Server and clients are tasks of one runtime.
 */
enum { MESSAGE = 64, CONNECTIONS = 50 };

static bool would_block(void) { return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR; }

/* Non-blocking, without delay. */
static void set_up_socket(int fd)
{
    int on = 1;
    CHECK(fcntl(fd, F_SETFL, O_NONBLOCK) == 0);
    CHECK(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0);
}

static struct sockaddr_in loopback(uint16_t port)
{
    struct sockaddr_in address;
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    return address;
}

/* Port 0: the system chooses one. */
static int listen_on(uint16_t *port)
{
    struct sockaddr_in address = loopback(*port);
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    CHECK(fd >= 0);
    set_up_socket(fd);
    CHECK(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0);
    CHECK(bind(fd, (struct sockaddr *)&address, size) == 0);
    CHECK(listen(fd, 1024) == 0);
    CHECK(getsockname(fd, (struct sockaddr *)&address, &size) == 0);
    *port = ntohs(address.sin_port);
    return fd;
}

struct echo { /* the server's side of one connection */
    int fd;
    size_t length, sent;
    char buffer[4096];
};
trt_async(trt_void, echo)
{
    trt_body {
        for (;;) {
            trt_await_ok(trt_readable(self->fd));
            ssize_t got = recv(self->fd, self->buffer, sizeof self->buffer, 0);
            if (got < 0 && would_block()) continue;
            if (got <= 0) return;
            self->length = (size_t)got;
            for (self->sent = 0; self->sent < self->length;) {
                ssize_t put = send(self->fd, self->buffer + self->sent,
                                   self->length - self->sent, MSG_NOSIGNAL);
                if (put > 0) {
                    self->sent += (size_t)put;
                } else {
                    if (!would_block()) return;
                    trt_await_ok(trt_writable(self->fd));
                }
            }
        }
    }
    trt_cleanup { close(self->fd); }
}

struct serve {
    int listener;
};
trt_async(trt_void, serve)
{
    trt_body {
        for (;;) {
            trt_await_ok(trt_readable(self->listener));
            int fd = accept(self->listener, NULL, NULL);
            if (fd < 0 && would_block()) continue;
            CHECK(fd >= 0);
            set_up_socket(fd);
            CHECK(trt_spawn_detached(echo, .fd = fd) == TRT_OK);
        }
    }
    trt_cleanup { close(self->listener); }
}

struct client {
    int fd;
    size_t size; /* of what is written at once, and then read back */
    const atomic_bool *stop;
    atomic_uint_fast64_t *total;
    uint64_t messages;
    size_t done;
    char *out, *in;
};
trt_async(trt_void, client)
{
    trt_body {
        self->out = allocate(self->size, 1);
        self->in = allocate(self->size, 1);
        memset(self->out, 7, self->size);
        while (!atomic_load_explicit(self->stop, memory_order_relaxed)) {
            for (self->done = 0; self->done < self->size;) {
                ssize_t put = send(self->fd, self->out + self->done, self->size - self->done,
                                   MSG_NOSIGNAL);
                if (put > 0) {
                    self->done += (size_t)put;
                } else {
                    CHECK(would_block());
                    trt_await_ok(trt_writable(self->fd));
                }
            }
            for (self->done = 0; self->done < self->size;) {
                trt_await_ok(trt_readable(self->fd));
                ssize_t got = recv(self->fd, self->in + self->done, self->size - self->done, 0);
                CHECK(got > 0 || (got < 0 && would_block()));
                if (got > 0) self->done += (size_t)got;
            }
            self->messages += self->size / MESSAGE;
        }
        CHECK(memcmp(self->in, self->out, self->messages ? self->size : 0) == 0);
        atomic_fetch_add_explicit(self->total, self->messages, memory_order_relaxed);
    }
    trt_cleanup {
        close(self->fd);
        free(self->out);
        free(self->in);
    }
}

/* Each connection keeps `depth` messages on their way. The result is messages per second. */
struct echo_clients {
    uint16_t port;
    size_t connections, depth;
    double seconds;
    int64_t start;
    size_t i;
    atomic_bool stop;
    atomic_uint_fast64_t total;
    int *fds;
    trt_handle(client) *tasks;
};
trt_async(double, echo_clients)
{
    trt_body {
        self->fds = allocate(self->connections, sizeof *self->fds);
        self->tasks = allocate(self->connections, sizeof *self->tasks);
        for (self->i = 0; self->i < self->connections; self->i++) {
            struct sockaddr_in server = loopback(self->port);
            int fd = self->fds[self->i] = socket(AF_INET, SOCK_STREAM, 0);
            CHECK(fd >= 0);
            set_up_socket(fd);
            if (connect(fd, (struct sockaddr *)&server, sizeof server) != 0) {
                CHECK(errno == EINPROGRESS);
                trt_await_ok(trt_writable(self->fds[self->i]));
            }
        }
        self->start = now_ns();
        for (size_t i = 0; i < self->connections; i++)
            self->tasks[i] = trt_spawn(client, .fd = self->fds[i], .size = MESSAGE * self->depth,
                                       .stop = &self->stop, .total = &self->total);
        trt_await_ok(trt_sleep(trt_s(self->seconds)));
        atomic_store_explicit(&self->stop, true, memory_order_relaxed);
        for (self->i = 0; self->i < self->connections; self->i++)
            trt_await_ok(trt_join(self->tasks[self->i], NULL));
        trt_return((double)atomic_load_explicit(&self->total, memory_order_relaxed) * 1e9 /
                   (double)(now_ns() - self->start));
    }
    trt_cleanup {
        free(self->fds);
        free(self->tasks);
    }
}

static double echo_once(trt_runtime *rt, uint16_t port, size_t connections, size_t depth,
                        double seconds)
{
    double rate = 0;
    CHECK(trt_block_on(rt, echo_clients, &rate, .port = port, .connections = connections,
                       .depth = depth, .seconds = seconds) == TRT_OK);
    return rate;
}

static void echo_row(const struct setup *setup, const char *name, size_t depth)
{
    double values[3], seconds = number_from("ECHO_SECS", 3);
    size_t n = few(setup, 3);
    uint16_t port = 0;
    int listener = listen_on(&port);
    trt_runtime *rt = start(setup);
    trt_detach(trt_spawn_on(rt, serve, .listener = listener));
    echo_once(rt, port, CONNECTIONS, depth, 0.3);
    for (size_t i = 0; i < n; i++) values[i] = echo_once(rt, port, CONNECTIONS, depth, seconds);
    report(setup, name, "req/s", values, n);
    CHECK(trt_runtime_free(rt) == TRT_OK);
}

static void echo_server(const struct setup *setup, uint16_t port)
{
    int listener = listen_on(&port);
    trt_runtime *rt = start(setup);
    CHECK(trt_block_on(rt, serve, NULL, .listener = listener) == TRT_OK);
}

static void echo_client(const struct setup *setup, char **arguments)
{
    trt_runtime *rt = start(setup);
    printf("%.0f req/s\n",
           echo_once(rt, (uint16_t)strtoul(arguments[0], NULL, 10),
                     strtoul(arguments[1], NULL, 10), strtoul(arguments[2], NULL, 10),
                     strtod(arguments[3], NULL)));
    CHECK(trt_runtime_free(rt) == TRT_OK);
}

/* ------------------------------------------------------------------------------------------------
 * Scale: does one more task, one more timer, cost the same however many there are?
 *
 * flat_tasks_N    N tasks are spawned, wait for one notification all at once, are woken and joined
 * flat_timers_N   N tasks sleep until instants that are 1 us apart on average, in random order. It
 *                 counts processor time: for most of the wall time there is nothing to do
 *
 * With few of them the round is repeated until there were a million, or 300000 timers.
 */
struct gate {
    trt_notify open;
    atomic_size_t waiting;
};

struct gated {
    struct gate *gate;
};
trt_async(trt_void, gated)
{
    trt_body {
        trt_op open = trt_notified(&self->gate->open); /* from now on no notification is missed */
        atomic_fetch_add_explicit(&self->gate->waiting, 1, memory_order_release);
        trt_await_ok(open);
    }
}

struct flat_tasks {
    size_t n, rounds;
    int64_t start;
    size_t round, i;
    struct gate gate;
    trt_handle(gated) *tasks;
};
trt_async(double, flat_tasks)
{
    trt_body {
        self->tasks = allocate(self->n, sizeof *self->tasks);
        memset(self->tasks, 1, self->n * sizeof *self->tasks);
        self->start = now_ns();
        for (self->round = 0; self->round < self->rounds; self->round++) {
            atomic_store_explicit(&self->gate.waiting, 0, memory_order_relaxed);
            for (size_t i = 0; i < self->n; i++)
                self->tasks[i] = trt_spawn(gated, .gate = &self->gate);
            while (atomic_load_explicit(&self->gate.waiting, memory_order_acquire) < self->n)
                trt_await_ok(trt_yield());
            trt_notify_all(&self->gate.open);
            for (self->i = 0; self->i < self->n; self->i++)
                trt_await_ok(trt_join(self->tasks[self->i], NULL));
        }
        trt_return(ns_each(self->start, (int64_t)(self->n * self->rounds)));
    }
    trt_cleanup { free(self->tasks); }
}

struct nap_until {
    trt_instant end;
};
trt_async(trt_void, nap_until)
{
    trt_body {
        trt_await_ok(trt_sleep_until(self->end));
        CHECK(trt_now() >= self->end);
    }
}

struct flat_timers {
    size_t n, rounds;
    double cpu;
    size_t round, i;
    trt_handle(nap_until) *tasks;
};
trt_async(double, flat_timers)
{
    trt_body {
        self->tasks = allocate(self->n, sizeof *self->tasks);
        memset(self->tasks, 1, self->n * sizeof *self->tasks);
        self->cpu = cpu_seconds();
        for (self->round = 0; self->round < self->rounds; self->round++) {
            trt_instant now = trt_now();
            for (size_t i = 0; i < self->n; i++)
                self->tasks[i] = trt_spawn(
                    nap_until, .end = now + (trt_duration)(splitmix(i) % (self->n * 1000)));
            for (self->i = 0; self->i < self->n; self->i++)
                trt_await_ok(trt_join(self->tasks[self->i], NULL));
        }
        trt_return((cpu_seconds() - self->cpu) * 1e9 / (double)(self->n * self->rounds));
    }
    trt_cleanup { free(self->tasks); }
}

static void scale(const struct setup *setup)
{
    double values[3];
    char name[64];
    size_t repetitions = few(setup, 3);
    for (int timers = 0; timers < 2; timers++) {
        for (size_t n = 1000; n <= 10000000; n *= 10) {
            size_t total = timers ? 300000 : 1000000, rounds = n < total ? total / n : 1;
            trt_runtime *rt = start(setup);
            for (size_t i = 0; i <= repetitions; i++) { /* the first warms up */
                double *value = &values[i ? i - 1 : 0];
                if (timers)
                    CHECK(trt_block_on(rt, flat_timers, value, .n = n, .rounds = rounds) == TRT_OK);
                else
                    CHECK(trt_block_on(rt, flat_tasks, value, .n = n, .rounds = rounds) == TRT_OK);
            }
            snprintf(name, sizeof name, timers ? "flat_timers_%zu" : "flat_tasks_%zu", n);
            report(setup, name, timers ? "cpu-ns/timer" : "ns/task", values, repetitions);
            CHECK(trt_runtime_free(rt) == TRT_OK);
        }
    }
}

/* ------------------------------------------------------------------------------------------------
 * Groups
 */
static void group_spawn_join(const struct setup *s)
{
    many(s, "spawn_join", "ns/task", spawn_join_once);
}
static void group_yield_one(const struct setup *s)
{
    many(s, "yield_one", "ns/yield", yield_one_once);
}
static void group_yield_many(const struct setup *s)
{
    many(s, "yield_many", "ns/yield", yield_many_once);
}
static void group_ping_pong(const struct setup *s)
{
    many(s, "ping_pong", "ns/pair", ping_pong_once);
}
static void group_skynet(const struct setup *s)
{
    many(s, "skynet", "ms", skynet_once);
    many(s, "skynet_fork", "ms", skynet_fork_once);
}
static void group_fib(const struct setup *s)
{
    many(s, "fib27", "ns/spawn", fib27_once);
    many(s, "fib27_fork", "ns/spawn", fib27_fork_once);
}
static void group_fib35(const struct setup *s)
{
    many(s, "fib35", "ms", fib35_once);
    many(s, "fib35_fork", "ms", fib35_fork_once);
}
static void group_nqueens(const struct setup *s)
{
    many(s, "nqueens12", "ms", nqueens_once);
    many(s, "nqueens12_fork", "ms", nqueens_fork_once);
}
static void group_timeout_churn(const struct setup *s)
{
    many(s, "timeout_churn", "ns/op", timeout_churn_once);
    many(s, "timeout_ready", "ns/op", timeout_ready_once);
    many(s, "timeout_ready_call", "ns/op", timeout_ready_call_once);
}
static void group_chan(const struct setup *s)
{
    many(s, "mpsc_b1000_1p", "ns/msg", mpsc_b1000_1p);
    many(s, "mpsc_b1000_4p", "ns/msg", mpsc_b1000_4p);
    many(s, "mpsc_unb_1p", "ns/msg", mpsc_unb_1p);
    many(s, "mpsc_unb_4p", "ns/msg", mpsc_unb_4p);
}
static void group_oneshot(const struct setup *s) { many(s, "oneshot", "ns/op", oneshot_once); }
static void group_sync(const struct setup *s)
{
    many(s, "mutex_uncontended", "ns/op", mutex_uncontended_once);
    many(s, "mutex_10x100k", "ns/op", mutex_10x100k);
    many(s, "mutex_10x20k_yield", "ns/op", mutex_10x20k_yield);
    many(s, "semaphore_uncontended", "ns/op", semaphore_uncontended_once);
    many(s, "semaphore_10p_1000t", "ns/op", semaphore_10p_1000t);
    many(s, "rwlock_read_uncontended", "ns/op", rwlock_read_once);
    many(s, "rwlock_write_uncontended", "ns/op", rwlock_write_once);
    many(s, "rwlock_10x20k_10pctw_yield", "ns/op", rwlock_10x20k);
    many(s, "notify_pingpong", "ns/roundtrip", notify_pingpong_once);
    many(s, "notify_self", "ns/op", notify_self_once);
}
static void group_spawn_blocking(const struct setup *s)
{
    many(s, "spawn_blocking", "ns/op", spawn_blocking_once);
    many(s, "spawn_blocking_serial", "ns/op", spawn_blocking_serial_once);
}
static void group_joinset(const struct setup *s) { many(s, "joinset", "ns/task", joinset_once); }
static void group_abort(const struct setup *s)
{
    many(s, "abort_join", "ns/task", abort_join_once);
}
static void group_xwake(const struct setup *s)
{
    many(s, "xthread_wake", "us/roundtrip", xthread_wake_once);
}
static void group_echo(const struct setup *s)
{
    echo_row(s, "tcp_echo_50c", 1);
    echo_row(s, "tcp_echo_50c_pipe16", 16);
}
static void group_fork_join(const struct setup *s)
{
    many(s, "fork_join", "ns/fork", fork_join_once);
}
static void group_matmul(const struct setup *s) { many(s, "matmul1024", "ms", matmul_once); }
static void group_split(const struct setup *s)
{
    const struct setup one = {.workers = 1, .repetitions = s->repetitions};
    if (s->workers != 2) return;
    producers_runtime = start(&one);
    trt_runtime *consumers_runtime = start(&one);
    many_on(consumers_runtime, s, "mpsc_split", "ns/msg", mpsc_split_once);
    CHECK(trt_runtime_free(consumers_runtime) == TRT_OK);
    CHECK(trt_runtime_free(producers_runtime) == TRT_OK);
}

static const struct group {
    const char *name;
    void (*run)(const struct setup *setup);
    bool not_in_all;
} groups[] = {
    {"spawn_join", group_spawn_join, false},
    {"yield_one", group_yield_one, false},
    {"yield_many", group_yield_many, false},
    {"ping_pong", group_ping_pong, false},
    {"skynet", group_skynet, false},
    {"fib", group_fib, false},
    {"nqueens", group_nqueens, false},
    {"sleepers", sleepers, false},
    {"timers", timers, false},
    {"timeout_churn", group_timeout_churn, false},
    {"chan", group_chan, false},
    {"oneshot", group_oneshot, false},
    {"sync", group_sync, false},
    {"spawn_blocking", group_spawn_blocking, false},
    {"joinset", group_joinset, false},
    {"abort", group_abort, false},
    {"xwake", group_xwake, false},
    {"echo", group_echo, false},
    {"fork_join", group_fork_join, false},
    {"matmul", group_matmul, false},
    {"split", group_split, false},
    {"fib35", group_fib35, true},
    {"scale", scale, true},
};
enum { GROUPS = sizeof groups / sizeof groups[0] };

static int usage(void)
{
    fprintf(stderr, "usage: bench GROUP|all ct|WORKERS [REPETITIONS]\n"
                    "       bench echo-server ct|WORKERS PORT\n"
                    "       bench echo-client ct|WORKERS PORT CONNECTIONS DEPTH SECONDS\n"
                    "groups:");
    for (int i = 0; i < GROUPS; i++) fprintf(stderr, " %s", groups[i].name);
    fprintf(stderr, " (all: without fib35 and scale)\n");
    return 2;
}

int main(int argc, char **argv)
{
    struct setup setup = {.repetitions = 7};
    char *end = NULL;
    bool found = false;
    if (argc < 3) return usage();
    program = argv[0];
    if (strcmp(argv[2], "ct") != 0) {
        setup.workers = strtoul(argv[2], &end, 10);
        if (*end || setup.workers < 1 || setup.workers > 1024) return usage();
    }
    unsetenv("TASKRT_WORKERS"); /* it would win over the command line */
    signal(SIGPIPE, SIG_IGN);

    if (strcmp(argv[1], "sleepers_one") == 0) {
        sleepers_one(&setup);
        return 0;
    }
    if (strcmp(argv[1], "echo-server") == 0 && argc == 4) {
        echo_server(&setup, (uint16_t)strtoul(argv[3], NULL, 10));
        return 0;
    }
    if (strcmp(argv[1], "echo-client") == 0 && argc == 7) {
        echo_client(&setup, argv + 3);
        return 0;
    }
    if (argc > 3) {
        setup.repetitions = strtoul(argv[3], &end, 10);
        if (*end || setup.repetitions < 1 || setup.repetitions > REPETITIONS_MOST) return usage();
    }
    for (int i = 0; i < GROUPS; i++) {
        bool all = strcmp(argv[1], "all") == 0 && !groups[i].not_in_all;
        if (!all && strcmp(argv[1], groups[i].name) != 0) continue;
        if (!found) spin();
        found = true;
        groups[i].run(&setup);
    }
    return found ? 0 : usage();
}
