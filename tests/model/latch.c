/* latch.c - the latch's own code on atomics and futexes; everywhere else the model has a lock in its place. */
#define MODEL_LATCH
#include "model.h"
#define TASKRT_IMPLEMENTATION
#define TASKRT_TEST_SPINS 1
#include TASKRT_H_PATH

static trt_a32_ latch;
static int guarded; /* plain: the model sees it if two are inside, or if one does not see what the last did */

static void counts(void *times)
{
    for (uintptr_t i = 0; i < (uintptr_t)times; i++) {
        trt_latch_(&latch);
        guarded++;
        trt_unlatch_(&latch);
    }
}

static void threads(uintptr_t others, uintptr_t times)
{
    unsigned long t[2];
    TRT_STORE_(&latch, 0u, relaxed);
    guarded = 0;
    for (uintptr_t i = 0; i < others; i++) t[i] = model_start(counts, (void *)times);
    counts((void *)times);
    for (uintptr_t i = 0; i < others; i++) model_join(t[i]);
    MODEL_CHECK(guarded == (int)((others + 1) * times));
    MODEL_CHECK(TRT_LOAD_(&latch, seq_cst) == 0);
}
static void two(void) { threads(1, 2); }
static void three(void) { threads(2, 1); }
static void many(void) { threads(2, 3); }

static const model_scenario scenarios[] = {
    {.name = "latch_two", .run = two, .exhaust = 4, .weak = 1, .stale = 2, .spurious = 1},
    {.name = "latch_three", .run = three, .exhaust = 3, .weak = 1, .stale = 1, .spurious = 1},
    {.name = "latch_many", .run = many, .weak = 1, .spurious = 3},
};

int main(int argc, char **argv)
{
    return model_main(argc, argv, scenarios, sizeof scenarios / sizeof *scenarios);
}
