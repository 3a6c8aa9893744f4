/* runtime.c - whole runtimes under the model: workers, pool, shutdown, threads that call in from outside. */
#include "model.h"
#define TASKRT_IMPLEMENTATION
#define TASKRT_TEST_RING 4
#include "../../taskrt.h"

_Static_assert(sizeof(trt_self_) <= 1024, "the model has room for it");

static trt_runtime *runtime;

static void start(trt_config config)
{
    MODEL_CHECK(trt_runtime_start(&runtime, &config) == TRT_OK);
}
static void finish(void)
{
    MODEL_CHECK(trt_runtime_free(runtime) == TRT_OK);
    runtime = NULL;
}

struct value { int v; };
trt_async(int, value)
{
    trt_body { trt_return(self->v); }
}

/* ---- spawn and join ---- */

struct joins { trt_handle(value) a, b; int x, y; };
trt_async(int, joins)
{
    trt_body {
        self->a = trt_spawn(value, .v = 1);
        self->b = trt_spawn(value, .v = 2);
        trt_await(trt_join(self->b, &self->y));
        trt_await(trt_join(self->a, &self->x));
        trt_return(self->x + self->y);
    }
}
static void spawn_join(void)
{
    int sum = 0;
    start((trt_config){.workers = 2, .stall_after = -1});
    MODEL_CHECK(trt_block_on(runtime, joins, &sum) == TRT_OK);
    MODEL_CHECK(sum == 3);
    finish();
}

static const model_scenario scenarios[] = {
    {.name = "spawn_join", .run = spawn_join, .weak = 1, .spurious = 1, .early = 1},
};

int main(int argc, char **argv)
{
    return model_main(argc, argv, scenarios, sizeof scenarios / sizeof *scenarios);
}
