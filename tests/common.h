/* common.h - configurations and coroutines that several test files use. Included after taskrt.h. */
#ifndef COMMON_H
#define COMMON_H

static const trt_config on_virtual_clock __attribute__((unused)) = {.virtual_clock = true};
static const trt_config on_one_thread __attribute__((unused)) = {.current_thread = true};
static const trt_config on_one_worker __attribute__((unused)) = {.workers = 1};
static const trt_config on_two_workers __attribute__((unused)) = {.workers = 2};
static const trt_config on_four_workers __attribute__((unused)) = {.workers = 4};

/* In a coroutine: give way until another task has done something. */
#define AWAIT_UNTIL(expr)                                                                          \
    do {                                                                                           \
        while (!(expr))                                                                            \
            trt_await(trt_yield());                                                                \
    } while (0)

/* A log of letters, in the order in which things happened. */
static char letters[256] __attribute__((unused));
static pthread_mutex_t letters_lock = PTHREAD_MUTEX_INITIALIZER;
__attribute__((unused)) static void letter(char c)
{
    pthread_mutex_lock(&letters_lock);
    size_t n = strlen(letters);
    if (n + 1 < sizeof letters) {
        letters[n] = c;
        letters[n + 1] = 0;
    }
    pthread_mutex_unlock(&letters_lock);
}

/* The log read while others may write to it. */
__attribute__((unused)) static bool letters_are(const char *expected)
{
    pthread_mutex_lock(&letters_lock);
    bool same = strcmp(letters, expected) == 0;
    pthread_mutex_unlock(&letters_lock);
    return same;
}

/* Sleeps, then gives `value`. */
struct later { trt_duration after; int value; };
trt_async(int, later)
{
    trt_body {
        trt_await(trt_sleep(self->after));
        trt_return(self->value);
    }
}

/* Gives `value` at once. */
struct now_value { int value; };
trt_async(int, now_value)
{
    trt_body { trt_return(self->value); }
}

/* Sleeps, then fails with `status`. */
struct failing { trt_duration after; trt_status_code status; };
trt_async(int, failing)
{
    trt_body {
        if (self->after)
            trt_await(trt_sleep(self->after));
        trt_fail(self->status);
    }
}

/* Sleeps, then panics. */
struct panicking { trt_duration after; };
trt_async(int, panicking)
{
    trt_body {
        if (self->after)
            trt_await(trt_sleep(self->after));
        trt_panic("%s broke", "it");
    }
}

/* Waits until it is aborted, then takes `linger` for its cleanup; counts starts and cleanups. */
struct forever {
    trt_duration linger;
    atomic_int *started, *cleaned;
    char mark;
};
trt_async(int, forever)
{
    trt_body {
        if (self->started)
            atomic_fetch_add(self->started, 1);
        trt_await(trt_sleep_until(INT64_MAX));
        trt_return(1);
    }
    trt_cleanup {
        if (self->linger)
            trt_await(trt_sleep(self->linger));
        if (self->mark)
            letter(self->mark);
        if (self->cleaned)
            atomic_fetch_add(self->cleaned, 1);
    }
}

/* A job that runs until it is told to end, or asked to stop if `obeys`. */
struct busy_job {
    atomic_bool *running, *release;
    bool obeys;
    int value;
};
trt_blocking_fn(int, busy_job)
{
    if (self->running)
        atomic_store(self->running, true);
    while (!(self->release && atomic_load(self->release)) && !(self->obeys && trt_cancelled()))
        harness_pause();
    return self->value;
}

#endif
