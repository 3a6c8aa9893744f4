/* Looking inside: dump, stall watchdog, metrics, hooks, deadlock report, seeds, messages. */
#include "harness.h"
#define TASKRT_IMPLEMENTATION
#include "../taskrt.h"
#include "common.h"

static char *dump_of(trt_runtime *rt)
{
    char *text = NULL;
    size_t size;
    FILE *f = open_memstream(&text, &size);
    trt_dump(rt, f);
    fclose(f);
    return text;
}
static const char *place(int line)
{
    static char text[4][64];
    static int i;
    i = (i + 1) % 4;
    snprintf(text[i], sizeof text[i], "test_inspect.c:%d", line);
    return text[i];
}
static const char *number(uint64_t n)
{
    static char text[4][32];
    static int i;
    i = (i + 1) % 4;
    snprintf(text[i], sizeof text[i], "%llu", (unsigned long long)n);
    return text[i];
}

/* ---- dump ---- */

static int line_inner, line_outer, line_named, line_mutex;
struct inner_frame { trt_void none; };
trt_async(int, inner_frame)
{
    trt_body {
        line_inner = __LINE__ + 1;
        trt_await(trt_sleep(trt_s(1000)));
    }
}
struct outer_frame { trt_frame(inner_frame) child; };
trt_async(int, outer_frame)
{
    trt_body {
        line_outer = __LINE__ + 1;
        trt_await(trt_call(inner_frame, &self->child));
    }
}
struct named_task { trt_frame(outer_frame) child; };
trt_async(int, named_task)
{
    trt_body {
        line_named = __LINE__ + 1;
        trt_await(trt_call(outer_frame, &self->child));
    }
}
struct locked_out { trt_mutex *m; trt_guard g; };
trt_async(int, locked_out)
{
    trt_body {
        line_mutex = __LINE__ + 1;
        trt_await(trt_lock(self->m, &self->g));
    }
    trt_cleanup { trt_unlock(&self->g); }
}
struct never_started { trt_void none; };
trt_async(int, never_started)
{
    trt_body { trt_await(trt_yield()); }
}

struct dumps { trt_handle(named_task) a; trt_handle(locked_out) b; trt_handle(never_started) c; trt_mutex m; trt_guard g; char *text; };
trt_async(int, dumps)
{
    trt_body {
        trt_await(trt_lock(&self->m, &self->g));
        self->a = trt_spawn_named("lighthouse", named_task);
        self->b = trt_spawn(locked_out, .m = &self->m);
        trt_await(trt_sleep(1));
        self->c = trt_spawn(never_started);
        self->text = dump_of(trt_current());
        CHECK_CONTAINS(self->text, number(trt_task_id(self->a)));
        CHECK_CONTAINS(self->text, number(trt_task_id(self->b)));
        CHECK_CONTAINS(self->text, number(trt_task_id(self->c)));
        CHECK_CONTAINS(self->text, "lighthouse");
        CHECK_CONTAINS(self->text, "inner_frame");
        CHECK_CONTAINS(self->text, "outer_frame");
        CHECK_CONTAINS(self->text, "named_task");
        CHECK_CONTAINS(self->text, "locked_out");
        CHECK_CONTAINS(self->text, "never_started");
        CHECK_CONTAINS(self->text, place(line_inner));
        CHECK_CONTAINS(self->text, place(line_outer));
        CHECK_CONTAINS(self->text, place(line_named));
        CHECK_CONTAINS(self->text, place(line_mutex));
        CHECK_CONTAINS(self->text, "sleep"); /* what it waits for */
        CHECK_CONTAINS(self->text, "lock");
        free(self->text);
        trt_await(trt_stop(self->a));
        trt_await(trt_stop(self->b));
        trt_await(trt_stop(self->c));
        self->text = dump_of(trt_current());
        CHECK_LACKS(self->text, "lighthouse"); /* live tasks only */
        CHECK_LACKS(self->text, "locked_out");
        free(self->text);
        trt_unlock(&self->g);
    }
}

TEST(a_dump_tells_id_name_and_the_line_of_every_frame)
{
    CHECK_EQ(trt_run_with(&on_virtual_clock, dumps, NULL), TRT_OK);
}

/* Without memory, queued tasks are linked through their frames: these are no frames of each other. */
struct first_queued { trt_void none; };
trt_async(int, first_queued)
{
    trt_body { trt_await(trt_yield()); }
}
struct second_queued { trt_void none; };
trt_async(int, second_queued)
{
    trt_body { trt_await(trt_yield()); }
}

TEST(a_dump_without_memory_for_the_queue_tells_each_task_once)
{
    trt_runtime *rt;
    CHECK_EQ(trt_runtime_start(&rt, &on_one_thread), TRT_OK);
    for (int i = 0; i < 2; i++) { /* the second time, the frames are there, and the queue has no block */
        trt_detach(trt_spawn_on(rt, first_queued));
        trt_detach(trt_spawn_on(rt, second_queued));
        if (i == 1)
            break;
        CHECK_EQ(trt_block_on(rt, first_queued, NULL), TRT_OK);
        TASKRT_FREE(rt->inject_spare);
        TASKRT_FREE(rt->inject_first);
        rt->inject_spare = rt->inject_first = rt->inject_last = NULL;
        atomic_store(&harness_fail_forever, true);
        atomic_store(&harness_fail_at, 1);
    }
    CHECK(rt->overflow_first != NULL);
    char *text = dump_of(rt);
    const char *at = strstr(text, "at second_queued");
    CHECK(at != NULL);
    CHECK(!at || !strstr(at + 1, "at second_queued"));
    free(text);
    atomic_store(&harness_fail_at, 0);
    CHECK_EQ(trt_runtime_free(rt), TRT_OK);
}

struct dumps_from_a_branch { char *text; };
trt_async(int, dumps_from_a_branch)
{
    trt_body { self->text = dump_of(trt_current()); }
    trt_cleanup
    {
        CHECK_CONTAINS(self->text, "waits for several");
        CHECK_CONTAINS(self->text, "at awaits_what_dumps");
        CHECK_CONTAINS(self->text, "at dumps_from_a_branch");
        free(self->text);
    }
}
struct awaits_what_dumps { trt_frame(dumps_from_a_branch) child; };
trt_async(int, awaits_what_dumps)
{
    trt_body {
        trt_await(trt_within(trt_s(1), trt_call(dumps_from_a_branch, &self->child)));
        trt_await_any(trt_call(dumps_from_a_branch, &self->child), trt_sleep(trt_s(1)));
        trt_await_all(trt_call(dumps_from_a_branch, &self->child), trt_yield());
    }
}

TEST(a_dump_tells_what_runs_in_front_of_a_deadline)
{
    CHECK_EQ(trt_run_with(&on_virtual_clock, awaits_what_dumps, NULL), TRT_OK);
    CHECK_EQ(trt_run_with(&on_two_workers, awaits_what_dumps, NULL), TRT_OK);
}

TEST(a_dump_from_a_plain_thread)
{
    trt_runtime *rt;
    CHECK_EQ(trt_runtime_start(&rt, &on_two_workers), TRT_OK);
    trt_handle(named_task) h = trt_spawn_on(rt, named_task);
    char *text = NULL;
    for (;;) {
        text = dump_of(rt);
        if (strstr(text, "inner_frame"))
            break;
        free(text);
        harness_pause();
    }
    CHECK_CONTAINS(text, number(trt_task_id(h)));
    CHECK_CONTAINS(text, place(line_inner));
    free(text);
    trt_abort(h);
    CHECK_EQ(trt_join_thread(h, NULL), TRT_CANCELLED);
    CHECK_EQ(trt_runtime_free(rt), TRT_OK);
}

/* A worker that does not stop ends a task with a name while that name is being written. */
#if defined __linux__
static struct { atomic_bool runs, stop; char text[4096]; size_t n; } ended_in_dump;
struct ends_in_dump { trt_void none; };
trt_async(int, ends_in_dump)
{
    trt_body {
        atomic_store(&ended_in_dump.runs, true);
        while (!atomic_load(&ended_in_dump.stop)) harness_pause();
    }
}
struct starts_ends_in_dump { trt_void none; };
trt_async(int, starts_ends_in_dump)
{
    trt_body { trt_detach(trt_spawn_named("a label that lasts as long as the dump", ends_in_dump)); }
}
static ssize_t ends_it(void *cookie, const char *bytes, size_t n)
{
    (void)cookie;
    if (ended_in_dump.n + n < sizeof ended_in_dump.text) memcpy(ended_in_dump.text + ended_in_dump.n, bytes, n);
    ended_in_dump.n += n;
    if (strstr(ended_in_dump.text, "\ntask ") && !atomic_load(&ended_in_dump.stop)) {
        atomic_store(&ended_in_dump.stop, true);
        for (int i = 0; i < 20; i++) harness_pause();
    }
    return (ssize_t)n;
}
TEST(a_dump_reads_no_name_that_is_gone)
{
    trt_runtime *rt;
    static char buffer[4];
    FILE *f = fopencookie(NULL, "w", (cookie_io_functions_t){.write = ends_it});
    setvbuf(f, buffer, _IOFBF, sizeof buffer);
    CHECK_EQ(trt_runtime_start(&rt, &(trt_config){.workers = 2, .stall_after = -1}), TRT_OK);
    CHECK_EQ(trt_block_on(rt, starts_ends_in_dump, NULL), TRT_OK);
    while (!atomic_load(&ended_in_dump.runs)) harness_pause();
    trt_dump(rt, f);
    fclose(f);
    CHECK_CONTAINS(ended_in_dump.text, "a label that lasts as long as the dump");
    CHECK_EQ(trt_runtime_free(rt), TRT_OK);
}
#endif

struct churns { atomic_bool *stop; trt_handle(later) h; trt_frame(later) l; int a; };
trt_async(int, churns)
{
    trt_body {
        while (!atomic_load(self->stop)) {
            self->h = trt_spawn_named("short", later, .after = trt_us(10));
            trt_fork(later, &self->a, .after = trt_us(5));
            trt_await_any(trt_call(later, &self->l, .after = trt_us(7)), trt_sleep(trt_us(7)));
            trt_await(trt_sync());
            trt_await(trt_join(self->h, NULL));
        }
    }
    trt_cleanup { trt_await(trt_stop(self->h)); }
}

TEST(dumps_and_metrics_while_everything_moves)
{
    trt_runtime *rt;
    atomic_bool stop = false;
    trt_handle(churns) h[20];
    trt_metrics_info m;
    CHECK_EQ(trt_runtime_start(&rt, &on_four_workers), TRT_OK);
    for (int i = 0; i < 20; i++)
        h[i] = trt_spawn_on(rt, churns, .stop = &stop);
    for (long i = 0; i < ROUNDS(300); i++) {
        char *text = dump_of(rt);
        CHECK(strlen(text) > 0);
        free(text);
        trt_metrics(rt, &m);
        CHECK_EQ(m.workers, 4);
    }
    atomic_store(&stop, true);
    for (int i = 0; i < 20; i++)
        CHECK_EQ(trt_join_thread(h[i], NULL), TRT_OK);
    CHECK_EQ(trt_runtime_free(rt), TRT_OK);
}

/* Of a worker that does not stop only the last await is told, and others' tasks only if they wait. */
static int line_long;
struct polls_long { atomic_bool *stop, *begun; };
trt_async(int, polls_long)
{
    trt_body {
        line_long = __LINE__ + 1;
        trt_await(trt_yield());
        atomic_store(self->begun, true);
        while (!atomic_load(self->stop))
            harness_pause();
    }
}
struct asks_long { trt_frame(polls_long) child; atomic_bool *stop, *begun; };
trt_async(int, asks_long)
{
    trt_body {
        trt_await(trt_within(trt_s(60), trt_call(polls_long, &self->child, .stop = self->stop, .begun = self->begun)));
    }
}

TEST(a_dump_of_a_worker_that_does_not_stop)
{
    trt_runtime *rt;
    atomic_bool stop = false, begun = false;
    char *text;
    CHECK_EQ(trt_runtime_start(&rt, &on_two_workers), TRT_OK);
    trt_handle(named_task) waits = trt_spawn_on(rt, named_task);
    trt_handle(asks_long) h = trt_spawn_on(rt, asks_long, .stop = &stop, .begun = &begun);
    while (!atomic_load(&begun))
        harness_pause();
    for (;;) {
        text = dump_of(rt);
        if (strstr(text, "inner_frame"))
            break;
        free(text);
    }
    CHECK_CONTAINS(text, place(line_long));
    CHECK_CONTAINS(text, "running on worker");
    CHECK_CONTAINS(text, place(line_inner));
    free(text);
    atomic_store(&stop, true);
    CHECK_EQ(trt_join_thread(h, NULL), TRT_OK);
    trt_abort(waits);
    CHECK_EQ(trt_join_thread(waits, NULL), TRT_CANCELLED);
    CHECK_EQ(trt_runtime_free(rt), TRT_OK);
}

static trt_channel(int) dump_channel;
static trt_notify dump_bell;
struct hears { atomic_bool *stop; int x; };
trt_async(int, hears)
{
    trt_body {
        while (!atomic_load(self->stop)) {
            trt_await_any(trt_recv(&dump_channel, &self->x), trt_notified(&dump_bell), trt_sleep(trt_ms(1)));
            trt_await(trt_within(trt_ms(1), trt_recv(&dump_channel, &self->x)));
            trt_await_all(trt_sleep(trt_us(10)), trt_within(trt_ms(1), trt_recv(&dump_channel, &self->x)));
        }
    }
}
static void *calls(void *arg)
{
    const atomic_bool *stop = arg;
    while (!atomic_load(stop)) {
        trt_try_send(&dump_channel, &(int){1});
        trt_notify_one(&dump_bell);
    }
    return NULL;
}

TEST(a_dump_while_a_plain_thread_wakes_what_waits)
{
    trt_runtime *rt;
    atomic_bool stop = false;
    trt_handle(hears) h[3];
    pthread_t caller;
    CHECK_EQ(trt_channel_init(&dump_channel, 2), TRT_OK);
    CHECK_EQ(trt_runtime_start(&rt, &on_four_workers), TRT_OK);
    for (int i = 0; i < 3; i++)
        h[i] = trt_spawn_on(rt, hears, .stop = &stop);
    CHECK_EQ(pthread_create(&caller, NULL, calls, &stop), 0);
    for (long i = 0; i < ROUNDS(5000); i++) {
        char *text = dump_of(rt);
        CHECK(strstr(text, "hears") != NULL);
        free(text);
    }
    atomic_store(&stop, true);
    for (int i = 0; i < 3; i++)
        CHECK_EQ(trt_join_thread(h[i], NULL), TRT_OK);
    pthread_join(caller, NULL);
    CHECK_EQ(trt_runtime_free(rt), TRT_OK);
    trt_channel_free(&dump_channel);
}

/* ---- metrics ---- */

struct counted { trt_join_set(later) set; trt_metrics_info before, m; int i; };
trt_async(int, counted)
{
    trt_body {
        trt_metrics(trt_current(), &self->before);
        for (self->i = 0; self->i < 10; self->i++)
            trt_spawn_in(&self->set, later, .after = trt_ms(1 + self->i));
        trt_await(trt_sleep(trt_us(5500)));
        trt_metrics(trt_current(), &self->m);
        CHECK_EQ(self->m.workers, 1);
        CHECK_EQ(self->m.tasks_spawned - self->before.tasks_spawned, 10);
        CHECK_EQ(self->m.tasks_ended - self->before.tasks_ended, 5);
        CHECK_EQ(self->m.tasks_alive - self->before.tasks_alive, 5);
        CHECK_EQ(self->m.timers_waiting, 5);
        CHECK_EQ(self->m.timers_fired - self->before.timers_fired, 6);
        CHECK(self->m.polls - self->before.polls >= 15);
        CHECK(self->m.memory > 0);
        CHECK_EQ(self->m.panics, 0);
        CHECK_EQ(self->m.stalls, 0);
        trt_await(trt_set_shutdown(&self->set));
        trt_metrics(trt_current(), &self->m);
        CHECK_EQ(self->m.tasks_alive, self->before.tasks_alive);
        CHECK_EQ(self->m.timers_waiting, 0);
        trt_spawn_in(&self->set, panicking);
        trt_await(trt_join_next(&self->set, NULL));
        trt_metrics(trt_current(), &self->m);
        CHECK_EQ(self->m.panics, 1);
    }
}

TEST(metrics_count_tasks_timers_and_panics)
{
    capture_start();
    trt_status_code status = trt_run_with(&on_virtual_clock, counted, NULL);
    capture_end();
    CHECK_EQ(status, TRT_OK);
}

TEST(metrics_count_blocking_threads)
{
    trt_runtime *rt;
    trt_metrics_info m;
    atomic_bool running = false, release = false;
    CHECK_EQ(trt_runtime_start(&rt, &(trt_config){.workers = 1, .max_blocking_threads = 1}), TRT_OK);
    trt_handle(busy_job) a = trt_spawn_blocking_on(rt, busy_job, .running = &running, .release = &release);
    WAIT_UNTIL(atomic_load(&running));
    trt_handle(busy_job) b = trt_spawn_blocking_on(rt, busy_job, .release = &release);
    trt_metrics(rt, &m);
    CHECK_EQ(m.blocking_threads, 1);
    CHECK_EQ(m.blocking_idle, 0);
    CHECK_EQ(m.blocking_queued, 1);
    atomic_store(&release, true);
    CHECK_EQ(trt_join_thread(a, NULL), TRT_OK);
    CHECK_EQ(trt_join_thread(b, NULL), TRT_OK);
    WAIT_UNTIL((trt_metrics(rt, &m), m.blocking_idle == 1));
    CHECK_EQ(m.blocking_queued, 0);
    CHECK_EQ(trt_runtime_free(rt), TRT_OK);
}

/* What waits in a runtime that was given up is told, but not what for: that may be gone by now. */
struct sleeps_on { atomic_bool *running; };
trt_async(int, sleeps_on)
{
    trt_body {
        atomic_store(self->running, true);
        trt_await(trt_sleep_until(INT64_MAX));
    }
}
struct joins_abroad { trt_handle(sleeps_on) other; };
trt_async(int, joins_abroad)
{
    trt_body { trt_return(0); }
    trt_cleanup { trt_await(trt_join(self->other, NULL)); }
}
TEST(a_dump_of_what_was_given_up_follows_nothing)
{
    trt_runtime *rt, *other;
    atomic_bool running = false;
    CHECK_EQ(trt_runtime_start(&rt, &on_two_workers), TRT_OK);
    CHECK_EQ(trt_runtime_start(&other, &on_two_workers), TRT_OK);
    trt_handle(sleeps_on) h = trt_spawn_on(other, sleeps_on, .running = &running);
    WAIT_UNTIL(atomic_load(&running));
    trt_detach(trt_spawn_on(rt, joins_abroad, .other = h));
    CHECK_EQ(trt_runtime_shutdown(rt, ENOUGH_MS(20)), TRT_TIMED_OUT);
    CHECK_EQ(trt_runtime_free(other), TRT_OK);
    char *text = dump_of(rt);
    CHECK_CONTAINS(text, "joins_abroad");
    CHECK_CONTAINS(text, "waits for join");
    CHECK(!strstr(text, "of task"));
    free(text);
    CHECK_EQ(trt_runtime_free(rt), TRT_OK);
}

/* ---- stalls ---- */

static int stall_line;
struct stalls { atomic_bool *stop; };
trt_async(int, stalls)
{
    trt_body {
        stall_line = __LINE__ + 1;
        trt_await(trt_sleep(trt_us(10)));
        while (!atomic_load(self->stop))
            harness_pause();
        trt_return(1);
    }
}
struct calls_stalls { atomic_bool *stop; trt_frame(stalls) child; };
trt_async(int, calls_stalls)
{
    trt_body { trt_await(trt_call(stalls, &self->child, .stop = self->stop)); }
}

struct stall_seen { atomic_bool stop; atomic_int times; uint64_t task; char name[32], coroutine[32], file[128]; int line; size_t worker; trt_duration blocked_for; };
static void stall_hook(const trt_stall_info *info, void *user)
{
    struct stall_seen *seen = user;
    if (atomic_fetch_add(&seen->times, 1) == 0) {
        seen->task = info->task;
        snprintf(seen->name, sizeof seen->name, "%s", info->name);
        snprintf(seen->coroutine, sizeof seen->coroutine, "%s", info->coroutine);
        snprintf(seen->file, sizeof seen->file, "%s", info->file);
        seen->line = info->line;
        seen->worker = info->worker;
        seen->blocked_for = info->blocked_for;
    }
    atomic_store(&seen->stop, true);
}

TEST(the_watchdog_names_task_coroutine_file_line_and_time)
{
    trt_runtime *rt;
    static struct stall_seen seen;
    trt_metrics_info m;
    trt_config config = {.workers = 2, .stall_after = trt_ms(20), .on_stall = stall_hook, .user = &seen};
    CHECK_EQ(trt_runtime_start(&rt, &config), TRT_OK);
    trt_handle(calls_stalls) h = trt_spawn_on(rt, calls_stalls, .stop = &seen.stop);
    CHECK_EQ(trt_join_thread(h, NULL), TRT_OK);
    CHECK_EQ(seen.task, trt_task_id(h));
    CHECK_STR(seen.name, "calls_stalls");
    CHECK_STR(seen.coroutine, "stalls");
    CHECK_CONTAINS(seen.file, "test_inspect.c");
    CHECK_EQ(seen.line, stall_line);
    CHECK(seen.worker < 2);
    CHECK(seen.blocked_for >= trt_ms(20));
    trt_metrics(rt, &m);
    CHECK(m.stalls >= 1);
    CHECK_EQ(trt_runtime_free(rt), TRT_OK);
}

static void *ends_stall_when_told(void *stop)
{
    while (!strstr(capture_peek(), "stalls"))
        harness_pause();
    for (int i = 0; i < 10; i++)
        harness_pause(); /* let it finish its line */
    atomic_store((atomic_bool *)stop, true);
    return NULL;
}

static void stall_message(const trt_config *config)
{
    trt_runtime *rt;
    pthread_t thread;
    atomic_bool stop = false;
    capture_start();
    CHECK_EQ(trt_runtime_start(&rt, config), TRT_OK);
    trt_handle(stalls) h = trt_spawn_on(rt, stalls, .stop = &stop);
    pthread_create(&thread, NULL, ends_stall_when_told, &stop);
    CHECK_EQ(trt_join_thread(h, NULL), TRT_OK);
    uint64_t id = trt_task_id(h);
    pthread_join(thread, NULL);
    CHECK_EQ(trt_runtime_free(rt), TRT_OK);
    const char *text = capture_end();
    CHECK_CONTAINS(text, "stalls");
    CHECK_CONTAINS(text, place(stall_line));
    CHECK_CONTAINS(text, number(id));
}

TEST(without_a_hook_the_watchdog_writes_to_stderr)
{
    stall_message(&(trt_config){.workers = 2, .stall_after = trt_ms(20)});
}

TEST(taskrt_stall_ms_in_the_environment_sets_the_watchdog)
{
    setenv("TASKRT_STALL_MS", "20", 1);
    stall_message(&on_two_workers);
}

TEST(the_watchdog_is_on_by_default_after_a_second)
{
    stall_message(&on_one_worker);
}

struct lively { atomic_bool *stop; trt_instant until; };
trt_async(int, lively)
{
    trt_body {
        self->until = trt_now() + trt_ms(100);
        while (trt_now() < self->until)
            trt_await(trt_yield());
        trt_await(trt_sleep(trt_ms(50)));
    }
}

/* The hook may call whatever any thread may: also what takes a label away, and a dump. */
static trt_handle(stalls) labelled;
static atomic_bool hook_done;
static void hook_detaches(const trt_stall_info *info, void *user)
{
    char *text;
    CHECK_STR(info->name, "the one that stalls");
    if (atomic_load(&hook_done)) return;
    trt_detach(labelled);
    text = dump_of((trt_runtime *)atomic_load((_Atomic(void *) *)user));
    CHECK_CONTAINS(text, "the one that stalls");
    free(text);
    atomic_store(&hook_done, true);
}
static atomic_bool stop_at_once = true, stop_later;
struct makes_labelled { trt_void none; };
trt_async(int, makes_labelled)
{
    trt_body {
        labelled = trt_spawn_named("ended", stalls, .stop = &stop_at_once);
        while (!trt_is_finished(labelled)) trt_await(trt_yield());
        trt_detach(trt_spawn_named("the one that stalls", stalls, .stop = &stop_later));
    }
}
/* Until the hook is done, with what it has to do; the runtime is its `user`. */
static void stall_for(void (*hook)(const trt_stall_info *, void *))
{
    static _Atomic(void *) rt_seen;
    trt_runtime *rt;
    CHECK_EQ(trt_runtime_start(&rt, &(trt_config){.workers = 2, .stall_after = trt_ms(20), .on_stall = hook, .user = &rt_seen}), TRT_OK);
    atomic_store(&rt_seen, (void *)rt);
    CHECK_EQ(trt_block_on(rt, makes_labelled, NULL), TRT_OK);
    WAIT_UNTIL(atomic_load(&hook_done));
    atomic_store(&stop_later, true);
    CHECK_EQ(trt_runtime_free(rt), TRT_OK);
}

TEST(the_stall_hook_may_detach_and_dump) { stall_for(hook_detaches); }

/* But it may not free what calls it. */
static void hook_frees(const trt_stall_info *info, void *user)
{
    (void)info;
    if (atomic_load(&hook_done)) return;
    CHECK_EQ(trt_runtime_free((trt_runtime *)atomic_load((_Atomic(void *) *)user)), TRT_MISUSE);
    atomic_store(&hook_done, true);
}
TEST(the_stall_hook_may_not_free) { stall_for(hook_frees); }

TEST(a_task_that_awaits_is_no_stall)
{
    static struct stall_seen seen;
    trt_config config = {.workers = 1, .stall_after = trt_s(5), .on_stall = stall_hook, .user = &seen};
    CHECK_EQ(trt_run_with(&config, lively, NULL), TRT_OK);
    CHECK_EQ(atomic_load(&seen.times), 0);
}

static long voluntary_switches(void)
{
    DIR *tasks = opendir("/proc/self/task");
    struct dirent *entry;
    long sum = 0;
    while (tasks && (entry = readdir(tasks))) {
        char path[300], line[200];
        if (atoi(entry->d_name) == 0 || atoi(entry->d_name) == getpid())
            continue;
        snprintf(path, sizeof path, "/proc/self/task/%s/status", entry->d_name);
        FILE *f = fopen(path, "r");
        while (f && fgets(line, sizeof line, f)) {
            long n;
            if (sscanf(line, "voluntary_ctxt_switches: %ld", &n) == 1)
                sum += n;
        }
        if (f)
            fclose(f);
    }
    if (tasks)
        closedir(tasks);
    return sum;
}

static long switches_in_a_while(void)
{
    struct timespec wait = {0, 300000000};
    long before = voluntary_switches();
    nanosleep(&wait, NULL);
    return voluntary_switches() - before;
}
static void comes_to_rest(void)
{
    for (int i = 0; i < 20 && switches_in_a_while() > 4; i++) {} /* on a busy machine it does so late */
    CHECK(switches_in_a_while() <= 4); /* and stays there */
}

TEST(an_idle_runtime_does_not_wake_up)
{
    trt_runtime *rt;
    if (HARNESS_TSAN)
        return;
    CHECK_EQ(trt_runtime_start(&rt, &(trt_config){.workers = 2, .stall_after = trt_ms(5)}), TRT_OK);
    trt_handle(forever) h = trt_spawn_on(rt, forever);
    CHECK_EQ(trt_block_on(rt, later, NULL, .after = trt_ms(1)), TRT_OK);
    comes_to_rest();
    trt_abort(h);
    CHECK_EQ(trt_join_thread(h, NULL), TRT_CANCELLED);
    CHECK_EQ(trt_runtime_shutdown(rt, -1), TRT_OK); /* and after that, too */
    comes_to_rest();
    CHECK_EQ(trt_runtime_free(rt), TRT_OK);
}

/* ---- panics ---- */

struct panic_seen { atomic_int times; char message[64], file[128]; int line; uint64_t task; };
static void panic_hook(const trt_failure_info *info, void *user)
{
    struct panic_seen *seen = user;
    atomic_fetch_add(&seen->times, 1);
    snprintf(seen->message, sizeof seen->message, "%s", info->message);
    snprintf(seen->file, sizeof seen->file, "%s", info->file);
    seen->line = info->line;
    seen->task = info->task;
}
static int panic_line;
struct broken { trt_void none; };
trt_async(int, broken)
{
    trt_body {
        panic_line = __LINE__ + 1;
        trt_panic("out of %s", "tea");
    }
}

TEST(on_panic_is_called_instead_of_the_message)
{
    trt_runtime *rt;
    static struct panic_seen seen;
    trt_config config = {.workers = 1, .on_panic = panic_hook, .user = &seen};
    capture_start();
    CHECK_EQ(trt_runtime_start(&rt, &config), TRT_OK);
    trt_handle(broken) h = trt_spawn_on(rt, broken);
    uint64_t id = trt_task_id(h);
    CHECK_EQ(trt_join_thread(h, NULL), TRT_PANICKED);
    CHECK_EQ(trt_runtime_free(rt), TRT_OK);
    const char *text = capture_end();
    CHECK_STR(text, "");
    CHECK_EQ(atomic_load(&seen.times), 1);
    CHECK_STR(seen.message, "out of tea");
    CHECK_CONTAINS(seen.file, "test_inspect.c");
    CHECK_EQ(seen.line, panic_line);
    CHECK_EQ(seen.task, id);
}

TEST(a_panic_message_has_task_file_line_and_text)
{
    trt_runtime *rt;
    capture_start();
    CHECK_EQ(trt_runtime_start(&rt, &on_one_worker), TRT_OK);
    trt_handle(broken) h = trt_spawn_on(rt, broken);
    uint64_t id = trt_task_id(h);
    CHECK_EQ(trt_join_thread(h, NULL), TRT_PANICKED);
    CHECK_EQ(trt_runtime_free(rt), TRT_OK);
    const char *text = capture_end();
    CHECK_CONTAINS(text, "out of tea");
    CHECK_CONTAINS(text, place(panic_line));
    CHECK_CONTAINS(text, number(id));
    CHECK_CONTAINS(text, "broken");
}

struct names_broken { trt_handle(broken) h; };
trt_async(int, names_broken)
{
    trt_body {
        self->h = trt_spawn_named("kettle", broken);
        trt_await(trt_join(self->h, NULL));
    }
}

TEST(a_panic_message_has_the_label_of_the_task)
{
    capture_start();
    CHECK_EQ(trt_run(names_broken, NULL), TRT_OK);
    CHECK_CONTAINS(capture_end(), "kettle");
}

struct detached_broken { trt_void none; };
trt_async(int, detached_broken)
{
    trt_body {
        CHECK_EQ(trt_spawn_detached(broken), TRT_OK);
        trt_await(trt_sleep(trt_ms(1)));
    }
}

TEST(a_panic_in_a_detached_task_does_not_vanish)
{
    capture_start();
    CHECK_EQ(trt_run_with(&on_virtual_clock, detached_broken, NULL), TRT_OK);
    CHECK_CONTAINS(capture_end(), "out of tea");
}

/* ---- deadlock ---- */

struct waits_for { trt_mutex *have, *want; trt_guard a, b; };
trt_async(int, waits_for)
{
    trt_body {
        trt_await(trt_lock(self->have, &self->a));
        trt_await(trt_sleep(trt_ms(1)));
        trt_await(trt_lock(self->want, &self->b));
    }
    trt_cleanup {
        trt_unlock(&self->a);
        trt_unlock(&self->b);
    }
}
struct philosophers { trt_mutex m[2]; trt_handle(waits_for) a, b; };
trt_async(int, philosophers)
{
    trt_body {
        self->a = trt_spawn_named("plato", waits_for, .have = &self->m[0], .want = &self->m[1]);
        self->b = trt_spawn_named("socrates", waits_for, .have = &self->m[1], .want = &self->m[0]);
        trt_await(trt_join(self->a, NULL));
        trt_await(trt_join(self->b, NULL));
    }
}

/* What happens after the report is not promised: read until it has come, then end the process. */
static char *deadlock_text(void)
{
    static char text[65536];
    int fd[2];
    size_t size = 0;
    if (pipe(fd))
        return text;
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(fd[1], 2);
        close(fd[0]);
        close(fd[1]);
        (void)trt_run_with(&on_virtual_clock, philosophers, NULL);
        _exit(0);
    }
    close(fd[1]);
    for (;;) {
        ssize_t n = read(fd[0], text + size, sizeof text - 1 - size);
        if (n <= 0)
            break;
        size += (size_t)n;
        text[size] = 0;
        if (strstr(text, "eadlock") && strstr(text, "plato") && strstr(text, "socrates") && strstr(text, "philosophers"))
            break;
    }
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    close(fd[0]);
    return text;
}

TEST(a_deadlock_on_the_virtual_clock_is_reported_with_a_dump)
{
    if (HARNESS_TSAN || harness_threads() > 1)
        return; /* a sanitizer or an emulator has threads of its own: the report needs a process without others */
    const char *text = deadlock_text();
    CHECK_CONTAINS(text, "eadlock");
    CHECK_CONTAINS(text, "plato");
    CHECK_CONTAINS(text, "socrates");
    CHECK_CONTAINS(text, "test_inspect.c:");
}

TEST(waiting_for_a_job_is_no_deadlock)
{
    trt_runtime *rt;
    atomic_bool release = false, running = false;
    capture_start();
    CHECK_EQ(trt_runtime_start(&rt, &on_virtual_clock), TRT_OK);
    trt_handle(busy_job) h = trt_spawn_blocking_on(rt, busy_job, .running = &running, .release = &release, .value = 1);
    trt_detach(trt_spawn_on(rt, forever));
    WAIT_UNTIL(atomic_load(&running));
    atomic_store(&release, true);
    CHECK_EQ(trt_join_thread(h, NULL), TRT_OK);
    CHECK_EQ(trt_runtime_free(rt), TRT_OK);
    CHECK_LACKS(capture_end(), "eadlock");
}

/* ---- seeds ---- */

static char trace[4096];
static size_t traced;
struct tracer { char mark; int i; trt_semaphore *s; trt_permit a, b; };
trt_async(int, tracer)
{
    trt_body {
        for (self->i = 0; self->i < 8; self->i++) {
            trace[traced++] = self->mark;
            trt_await(trt_yield());
            trt_await_any(trt_acquire(self->s, &self->a), trt_acquire(self->s, &self->b));
            trace[traced++] = trt_chosen() ? '+' : '-';
            trt_release(&self->a);
            trt_release(&self->b);
        }
    }
}
struct traces { trt_join_set(tracer) set; trt_semaphore s; int i; };
trt_async(int, traces)
{
    trt_body {
        trt_semaphore_init(&self->s, 100);
        for (self->i = 0; self->i < 20; self->i++)
            trt_spawn_in(&self->set, tracer, .mark = (char)('a' + self->i), .s = &self->s);
        for (self->i = 0; self->i < 20; self->i++)
            trt_await(trt_join_next(&self->set, NULL));
    }
}
static void traced_run(uint64_t seed, char *into)
{
    trt_config config = {.virtual_clock = true, .seed = seed};
    memset(trace, 0, sizeof trace);
    traced = 0;
    CHECK_EQ(trt_run_with(&config, traces, NULL), TRT_OK);
    memcpy(into, trace, sizeof trace);
}

TEST(a_seed_makes_the_schedule_repeatable_and_seeds_differ)
{
    static char first[10][4096], again[4096];
    int different = 0, orders = 0;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        traced_run(seed, first[seed - 1]);
        traced_run(seed, again);
        CHECK_STR(again, first[seed - 1]);
        if (seed > 1)
            different += strcmp(first[seed - 1], first[0]) != 0;
        /* and not only in the choices of any: the order of the tasks too */
        for (char *p = first[seed - 1], *q = first[0]; *p && *q; p++, q++)
            if (*p != *q && *p != '+' && *p != '-' && *q != '+' && *q != '-') {
                orders++;
                break;
            }
    }
    CHECK(different >= 8);
    CHECK(orders >= 5);
}

/* ---- texts ---- */

TEST(every_status_has_a_text)
{
    const trt_status_code all[] = {TRT_OK, TRT_CANCELLED, TRT_PANICKED, TRT_EMPTY, TRT_TIMED_OUT, TRT_CLOSED, TRT_FULL, TRT_LAGGED, TRT_PENDING, TRT_NO_MEMORY, TRT_MISUSE, TRT_ERRNO};
    CHECK_EQ(TRT_OK, 0);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        CHECK(trt_strerror(all[i]) != NULL);
        CHECK(strlen(trt_strerror(all[i])) > 0);
        for (size_t j = 0; j < i; j++)
            CHECK(strcmp(trt_strerror(all[i]), trt_strerror(all[j])) != 0);
    }
    CHECK(trt_strerror((trt_status_code)12345) != NULL);
}

struct waits_as_a_fork { trt_mutex *m; trt_guard g; };
trt_async(int, waits_as_a_fork)
{
    trt_body { trt_await(trt_lock(self->m, &self->g)); }
    trt_cleanup { trt_unlock(&self->g); }
}
struct dumps_forks { trt_mutex m; trt_guard g; char *text; };
trt_async(int, dumps_forks)
{
    trt_body {
        trt_await(trt_lock(&self->m, &self->g));
        trt_fork(waits_as_a_fork, NULL, .m = &self->m);
        trt_fork(waits_as_a_fork, NULL, .m = &self->m);
        trt_await(trt_within(trt_ms(1), trt_sync())); /* both begin */
        CHECK_EQ(trt_status(), TRT_TIMED_OUT);
        trt_fork(waits_as_a_fork, NULL, .m = &self->m);
        self->text = dump_of(trt_current());
        CHECK_CONTAINS(self->text, "fork:");
        CHECK_CONTAINS(self->text, "waits for lock\n");
        CHECK_CONTAINS(self->text, "1 forks that have not begun");
        CHECK(!strstr(self->text, "acquire"));
        free(self->text);
        trt_unlock(&self->g);
        trt_await(trt_sync());
        self->text = dump_of(trt_current());
        CHECK(!strstr(self->text, "fork:") && !strstr(self->text, "forks that"));
        free(self->text);
        trt_return(6);
    }
}
TEST(a_dump_tells_what_forks_wait_for_and_how_many_have_not_begun)
{
    int out = 0;
    CHECK_EQ(trt_run_with(&on_virtual_clock, dumps_forks, &out), TRT_OK);
    CHECK_EQ(out, 6);
}

int main(int argc, char **argv) { return harness_main(argc, argv); }
