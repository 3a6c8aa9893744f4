/* abort.c - everything that can be awaited, aborted at every step: nothing is lost, and who waits behind goes on.
 *
 * A scenario is a row of things.h. A thread aborts the victim: at step 1, at step 2, ... (the scenario of the row's
 * name), or when it has suspended for the first time, the second time, ... (that name with -waits). Runtimes of all
 * kinds, and ways to wait, take turns.
 */
#include "things.h"

static bool was_waiting, aborted, aborted_in_time;

/* Is this the step at which the victim has suspended once more? */
static bool suspends(void)
{
    bool waits = TRT_LOAD_(&victim.ref_.cell->state, relaxed) & TRT_WAIT_STATE_;
    bool is = waits && !was_waiting;
    was_waiting = waits;
    return is;
}

static void aborts(void *unused)
{
    (void)unused;
    aborted = model_await_moment();
    if (aborted) trt_abort(victim);
    TRT_STORE_(&abort_returned, (uint32_t)aborted, seq_cst);
    aborted_in_time = aborted && trt_now() < late;
}

static void check_victim(trt_status_code status, int out)
{
    const struct told *t = &told[VICTIM];
    MODEL_CHECK((status == TRT_OK && out == 7) || (status == TRT_CANCELLED && out == 0));
    MODEL_CHECK(t->begun <= 1 && t->cleanups <= 1 && t->cleanups >= t->begun && t->ended == t->cleanups);
    MODEL_CHECK(t->ended == 1 || status == TRT_CANCELLED);
}

static void check_next(trt_handle(waiter) next)
{
    const struct told *t = &told[NEXT];
    int out = 0;
    if (!told[VICTIM].took && thing->instead) thing->instead();
    MODEL_CHECK(trt_join_thread(next, &out) == TRT_OK && out == 7);
    MODEL_CHECK(t->begun == 1 && t->cleanups == 1 && t->ended == 1);
    MODEL_CHECK(t->took || (t->got == thing->refuses && t->got != TRT_OK));
}

static void run(void)
{
    trt_handle(waiter) next = {{0}};
    trt_status_code status;
    unsigned long aborter, giver;
    int out = 0;
    thing = model_with();
    start(1);
    was_waiting = aborted = false;
    way = (enum way)model_turn(WAYS);
    bool next_first = !thing->alone && model_choose(2);
    if (!thing->holds && (way == IN_ALL || way == IN_TRY_ALL)) way = PLAINLY; /* no telling what it got */
    if (thing->set_up) thing->set_up();
    if (next_first) next = trt_spawn_on(runtime, waiter, .which = NEXT);
    victim = spawn_victim();
    aborter = model_start(aborts, NULL);
    if (!thing->alone && !next_first) next = trt_spawn_on(runtime, waiter, .which = NEXT);
    giver = model_start(gives, NULL);
    status = trt_join_thread(victim, (void *)&out);
    check_victim(status, out);
    if (!thing->alone) check_next(next);
    model_end_moments();
    model_join(aborter);
    model_join(giver);
    MODEL_CHECK(aborted || status == TRT_OK);
    if (thing->freed_by_abort && aborted_in_time && !told[VICTIM].took) MODEL_CHECK(told[NEXT].in_time);
    if (thing->check) thing->check();
    MODEL_CHECK(trt_runtime_free(runtime) == TRT_OK);
    runtime = NULL;
    MODEL_CHECK(COUNTED(kids_made) == COUNTED(kids_cleaned));
    if (thing->tear_down) thing->tear_down();
}

int main(int argc, char **argv)
{
    static model_scenario scenarios[2 * THINGS];
    static char names[THINGS][40];
    for (int i = 0; i < THINGS; i++) {
        model_scenario s = {.name = things[i].name, .run = run, .weak = 1, .spurious = 2, .swept = "abort points",
                            .turns = 3 * WAYS, .with = &things[i]};
        s.early = things[i].freed_by_abort ? 0 : 2; /* time passes there when nobody can run, and only then */
        scenarios[2 * i] = s;
        snprintf(names[i], sizeof names[i], "%s-waits", things[i].name);
        s.name = names[i];
        s.swept = "aborted waits";
        s.moment = suspends;
        scenarios[2 * i + 1] = s;
    }
    return model_main(argc, argv, scenarios, 2 * THINGS);
}
