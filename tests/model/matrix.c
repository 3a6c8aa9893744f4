/* matrix.c - the state matrix of tests/test_matrix.c, each combination under many schedules. */
#define _GNU_SOURCE /* setenv */
#include "model.h"
#define TASKRT_IMPLEMENTATION
#include "small.h"
#include TASKRT_H_PATH

/* ---- what harness.h gives there ---- */

static const char *present(void); /* the combination in words */
#define CHECK(x) check((x), #x, __LINE__)
static bool check(bool good, const char *what, int line)
{
    if (!good) model_fail("test_matrix.c:%d: not true: %s (%s)", line, what, present());
    return true;
}
#define CHECK_EQ(got, want) check_equal((intmax_t)(got), (intmax_t)(want), #got, __LINE__)
static bool check_equal(intmax_t got, intmax_t want, const char *what, int line)
{
    if (got != want) model_fail("test_matrix.c:%d: %s: %jd, expected %jd (%s)", line, what, got, want, present());
    return true;
}
/* A loop that gives way, to other threads too. */
#define AWAIT_UNTIL(expr)                                                                                              \
    do {                                                                                                               \
        while (!(expr)) {                                                                                              \
            model_yield();                                                                                             \
            trt_await(trt_yield());                                                                                    \
        }                                                                                                              \
    } while (0)

static void *zeroed(size_t n, size_t size)
{
    void *p = model_sys_malloc(n * size);
    return memset(p, 0, n * size);
}
static atomic_int harness_failures, harness_blocks; /* here a check that fails ends the run, and so does a leak */
#define harness_fail(file, line, ...) model_fail(__VA_ARGS__)
#define calloc(n, size) zeroed((n), (size))
#define free(p) model_sys_free(p)
#undef atomic_load
#undef atomic_fetch_add
#define atomic_load(p) TRT_LOAD_((p), seq_cst)
#define atomic_fetch_add(p, n) TRT_ADD_((p), (n), seq_cst)
#define pthread_mutex_init(m, a) model_sys_pthread_mutex_init((m), (a))
#define pthread_mutex_lock(m) model_sys_pthread_mutex_lock(m)
#define pthread_mutex_unlock(m) model_sys_pthread_mutex_unlock(m)
#define pthread_mutex_destroy(m) ((void)(m))
#define pthread_cond_init(c, a) model_sys_pthread_cond_init((c), (a))
#define pthread_cond_wait(c, m) model_sys_pthread_cond_wait((c), (m))
#define pthread_cond_broadcast(c) model_sys_pthread_cond_broadcast(c)
#define pthread_cond_destroy(c) ((void)(c))

#define MATRIX_NO_MAIN
#include "../test_matrix.c"

/* ---- a scenario for each runtime and each way to abort ---- */

enum { CELLS = FLAVOURS * BYS, MOST = 512 };
static struct combination sensible[CELLS][MOST];
static size_t filling, number[CELLS];
static char names[CELLS][160];

static const struct combination *playing;
static const char *present(void) { return describe(playing); }

static void fill(const struct combination *c)
{
    if (number[filling] == MOST) abort();
    sensible[filling][number[filling]++] = *c;
}

static void run(void)
{
    size_t cell = (size_t)((const struct combination *)model_with() - sensible[0]) / MOST;
    (void)model_turn(2); /* each of the two strategies, and then the next combination */
    playing = &sensible[cell][model_turn((int)number[cell])];
    combination(playing);
}

int main(int argc, char **argv)
{
    static const char *const flavours[] = {"current-thread", "one-worker", "two-workers"};
    static const char *const bys[] = {"by-handle", "by-set", "by-shutdown"};
    static model_scenario scenarios[CELLS];
    setenv("TASKRT_STALL_MS", "0", 1); /* the model's clock jumps */
    for (filling = 0; filling < CELLS; filling++) {
        (void)combinations((int)(filling / BYS), (int)(filling % BYS), 1, fill);
        snprintf(names[filling], sizeof names[filling], "%s-%s", flavours[filling / BYS], bys[filling % BYS]);
        scenarios[filling] = (model_scenario){.name = names[filling], .run = run, .weak = 1, .spurious = 2, .early = 2};
        scenarios[filling].turns = (int)number[filling];
        scenarios[filling].turned = "combinations";
        scenarios[filling].with = sensible[filling];
    }
    return model_main(argc, argv, scenarios, CELLS);
}
