/* latch.c - the latch's own code on atomics and futexes; everywhere else the model has a lock in its place. */
#define MODEL_LATCH
#include "model.h"
#define TASKRT_IMPLEMENTATION
#define TASKRT_TEST_SPINS 1
#include TASKRT_H_PATH

static trt_a32_ latch;
static bool swapping; /* the system has no fence for all: every opening is a swap */
static bool denied;   /* it had, and has no more */
static int guarded; /* plain: the model sees it if two are inside, or if one does not see what the last did */

static void counts(void *times)
{
    for (uintptr_t i = 0; i < (uintptr_t)times; i++) {
        trt_latch_(&latch);
        guarded++;
        trt_unlatch_(&latch);
    }
}

/* The value that it keeps: each holder finds what the last one left. */
static void values(void *times)
{
    for (uintptr_t i = 0; i < (uintptr_t)times; i++) {
        uint32_t value = trt_latch_value_(&latch);
        MODEL_CHECK(value == 4u * (uint32_t)guarded);
        guarded++;
        trt_unlatch_value_(&latch, value + 4);
    }
}

static void threads(uintptr_t others, uintptr_t times, void (*run)(void *))
{
    unsigned long t[2];
    TRT_STORE_(&latch, 0u, relaxed);
    TRT_STORE_(&trt_sleepers_, swapping, relaxed);
    if (!denied) model_allow_membarrier();
    guarded = 0;
    for (uintptr_t i = 0; i < others; i++) t[i] = model_start(run, (void *)times);
    run((void *)times);
    for (uintptr_t i = 0; i < others; i++) model_join(t[i]);
    MODEL_CHECK(guarded == (int)((others + 1) * times));
    MODEL_CHECK(TRT_LOAD_(&trt_sleepers_, seq_cst) == swapping);
    MODEL_CHECK(TRT_LOAD_(&latch, seq_cst) == (run == values ? 4u * (uint32_t)guarded : 0u));
}
static void stores(uintptr_t others, uintptr_t times, void (*run)(void *))
{
    swapping = false;
    threads(others, times, run);
}
static void swaps(uintptr_t others, uintptr_t times, void (*run)(void *))
{
    swapping = true;
    threads(others, times, run);
}
static void two(void) { stores(1, 2, counts); }
static void three(void) { stores(2, 1, counts); }
static void many(void) { stores(2, 3, counts); }
static void values_two(void) { stores(1, 2, values); }
static void values_three(void) { stores(2, 1, values); }
static void swap_two(void) { swaps(1, 2, counts); }
static void swap_three(void) { swaps(2, 1, counts); }
static void swap_many(void) { swaps(2, 3, values); }

static void denied_two(void)
{
    denied = true;
    stores(1, 2, counts);
    denied = false;
}

/* The fence for all comes to be while somebody sleeps without, and others open. */
static void prepares(void *unused)
{
    (void)unused;
    trt_latch_prepare_();
}
static void prepare(void)
{
    unsigned long t[2];
    TRT_STORE_(&latch, 0u, relaxed);
    TRT_STORE_(&trt_sleepers_, 1u, relaxed);
    model_allow_membarrier();
    guarded = 0;
    t[0] = model_start(counts, (void *)(uintptr_t)2);
    t[1] = model_start(prepares, NULL);
    counts((void *)(uintptr_t)2);
    model_join(t[0]);
    model_join(t[1]);
    MODEL_CHECK(guarded == 4 && !TRT_LOAD_(&trt_sleepers_, seq_cst));
}

static const model_scenario scenarios[] = {
    {.name = "latch_two", .run = two, .exhaust = 4, .weak = 1, .stale = 2, .spurious = 1},
    {.name = "latch_three", .run = three, .exhaust = 3, .weak = 1, .stale = 1, .spurious = 1},
    {.name = "latch_values_two", .run = values_two, .exhaust = 4, .weak = 1, .stale = 2, .spurious = 1},
    {.name = "latch_values_three", .run = values_three, .exhaust = 3, .weak = 1, .stale = 1, .spurious = 1},
    {.name = "latch_many", .run = many, .weak = 1, .spurious = 3},
    {.name = "latch_swap_two", .run = swap_two, .exhaust = 4, .weak = 1, .stale = 2, .spurious = 1},
    {.name = "latch_swap_three", .run = swap_three, .exhaust = 3, .weak = 1, .stale = 1, .spurious = 1},
    {.name = "latch_swap_many", .run = swap_many, .weak = 1, .spurious = 3},
    {.name = "latch_denied_two", .run = denied_two, .exhaust = 4, .weak = 1, .stale = 2, .spurious = 1},
    {.name = "latch_prepare", .run = prepare, .weak = 1, .spurious = 2},
};

int main(int argc, char **argv)
{
    return model_main(argc, argv, scenarios, sizeof scenarios / sizeof *scenarios);
}
