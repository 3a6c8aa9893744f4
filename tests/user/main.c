/* A program as its user writes it: a shop whose customers are threads of the program itself, on two runtimes of two
 * workers, and on short-lived ones of their own. It prints "ok", and nothing else: tests/user.sh runs it under every
 * tool with its defaults, and every line that a tool writes is a failure.
 */
#define _GNU_SOURCE
#define TASKRT_IMPLEMENTATION
#include "shop.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { ROUNDS = 3, CUSTOMERS = 3, ORDERS = 60, LINES = 50, SIGNALS = 65 };

#define MUST(expr) ((expr) ? (void)0 : broken(#expr, __LINE__))
static void broken(const char *what, int line)
{
    fprintf(stderr, "main.c:%d: not true: %s\n", line, what);
    abort();
}

static int entries(const char *path)
{
    DIR *directory = opendir(path);
    int n = 0;
    if (!directory) return -1;
    while (readdir(directory)) n++;
    closedir(directory);
    return n;
}
static void handlers(void (**into)(int))
{
    for (int i = 1; i < SIGNALS; i++) {
        struct sigaction action;
        into[i] = sigaction(i, NULL, &action) == 0 ? action.sa_handler : SIG_DFL;
    }
}

static atomic_int threads, panics;
static void begins(void *user) { atomic_fetch_add((atomic_int *)user, 1); }
static void ends(void *user) { atomic_fetch_sub((atomic_int *)user, 1); }
static void panicked(const trt_failure_info *info, void *user)
{
    (void)user;
    if (strcmp(info->message, "fell down") != 0) fprintf(stderr, "%s:%d: %s\n", info->file, info->line, info->message);
    atomic_fetch_add(&panics, 1);
}
/* A tool may hold a worker up for longer than the usual second. */
static const trt_config settings = {.workers = 2, .stall_after = 100000000000, .on_panic = panicked, .user = &threads,
                                    .on_thread_start = begins, .on_thread_stop = ends};

static void close_shop(void *p)
{
    shop *s = p;
    trt_channel_free(&s->counter);
    trt_broadcast_free(&s->receipts);
    trt_token_free(s->closing);
}

typedef struct customer {
    trt_runtime *rt, *other;
    shop *shop; /* a reference of its own */
    int number, lines;
} customer;
static void *buy(void *argument)
{
    customer *me = argument;
    long total;
    for (int i = 0; i < ORDERS; i++) {
        order one = {me->number * 100 + i, i + 1, ""};
        snprintf(one.customer, sizeof one.customer, "thread %d", me->number);
        MUST(trt_send_thread(&me->shop->counter, &one) == TRT_OK);
        if (i % 16 == 0) {
            trt_handle(sum) price = trt_spawn_on(i % 32 ? me->rt : me->other, sum, .from = 1, .to = 20);
            MUST(trt_join_thread(price, &total) == TRT_OK && total == 210);
            trt_handle(loiter) idler = trt_spawn_on(me->rt, loiter, .fd = -1);
            trt_abort(idler);
            MUST(trt_join_thread(idler, NULL) == TRT_CANCELLED);
            trt_handle(stumble) unlucky = trt_spawn_on(me->other, stumble, .depth = 3);
            MUST(trt_join_thread(unlucky, NULL) == TRT_PANICKED && strcmp(trt_failure()->message, "fell down") == 0);
            trt_handle(doze) rest = trt_spawn_blocking_on(me->rt, doze, .least = 2);
            MUST(trt_join_thread(rest, NULL) == TRT_OK);
            trt_detach(trt_spawn_on(me->other, sum, .from = 1, .to = 3));
        }
    }
    for (int i = 0; me->lines >= 0 && i < LINES; i++) MUST(dprintf(me->lines, "%d\n", i + 1) > 0);
    trt_config days = {.virtual_clock = true};
    MUST(trt_run_with(&days, calendar, &total, .days = 3) == TRT_OK && total == 72);
    trt_config alone = {.current_thread = true};
    MUST(trt_run_with(&alone, sum, &total, .from = 1, .to = 100) == TRT_OK && total == 5050);
    trt_arc_drop(me->shop);
    return NULL;
}

static void *shut_down(void *rt)
{
    MUST(trt_runtime_shutdown(rt, trt_s(100)) == TRT_OK);
    return NULL;
}

static void one_day(void)
{
    trt_runtime *rt, *other;
    int lines[2], silence[2], receipts;
    long turnover, expected = 0;
    pthread_t thread[CUSTOMERS], closer;
    customer customers[CUSTOMERS];
    MUST(pipe(lines) == 0 && pipe(silence) == 0 && fcntl(lines[0], F_SETFL, O_NONBLOCK) == 0);
    MUST(trt_runtime_start(&rt, &settings) == TRT_OK);
    MUST(trt_runtime_start(&other, &settings) == TRT_OK);

    shop *s = trt_arc_new(sizeof *s, close_shop);
    MUST(s && trt_channel_init(&s->counter, 8) == TRT_OK && trt_broadcast_init(&s->receipts, 16) == TRT_OK);
    MUST(trt_semaphore_init(&s->tills, 2) == TRT_OK && trt_watch_init(&s->board, &(long){0}) == TRT_OK);
    s->closing = trt_token_new(NULL);

    trt_handle(count_receipts) counting = trt_spawn_on(other, count_receipts, .shop = s);
    trt_handle(open_shop) open = trt_spawn_on(rt, open_shop, .shop = s, .lines = lines[0]);
    for (int i = 0; i < CUSTOMERS; i++) {
        customers[i] = (customer){rt, other, trt_arc_clone(s), i, i == 0 ? lines[1] : -1};
        MUST(pthread_create(&thread[i], NULL, buy, &customers[i]) == 0);
    }
    for (int i = 0; i < CUSTOMERS; i++) pthread_join(thread[i], NULL);
    close(lines[1]);
    MUST(trt_join_thread(open, &turnover) == TRT_OK);
    MUST(trt_join_thread(counting, &receipts) == TRT_OK && receipts == CUSTOMERS * ORDERS + LINES);
    for (int i = 1; i <= ORDERS; i++) expected += CUSTOMERS * i;
    for (int i = 1; i <= LINES; i++) expected += i;
    MUST(turnover == expected);
    trt_arc_drop(s);

    /* The end of both while tasks sleep, wait for an fd and block, and while others still spawn. */
    for (int i = 0; i < 4; i++) trt_detach(trt_spawn_on(rt, loiter, .fd = i % 2 ? silence[0] : -1));
    trt_handle(doze) sleeper = trt_spawn_blocking_on(rt, doze, .least = -1);
    trt_detach(trt_spawn_on(other, loiter, .fd = silence[0]));
    MUST(pthread_create(&closer, NULL, shut_down, rt) == 0);
    for (int i = 0; i < 100; i++) trt_detach(trt_spawn_on(rt, sum, .from = 1, .to = 5));
    MUST(trt_join_thread(sleeper, NULL) != TRT_PANICKED);
    pthread_join(closer, NULL);
    MUST(trt_runtime_free(rt) == TRT_OK && trt_runtime_free(other) == TRT_OK);
    close(lines[0]);
    close(silence[0]);
    close(silence[1]);
}

#ifdef SEEDED
void seed(void); /* a fault that has to be seen: seeds.c */
#endif
static void *nothing(void *unused) { return unused; }

int main(void)
{
    pthread_t first; /* with it a sanitizer starts its own */
    MUST(pthread_create(&first, NULL, nothing, NULL) == 0 && pthread_join(first, NULL) == 0);
    static void (*before[SIGNALS])(int), (*after[SIGNALS])(int);
    int fds = entries("/proc/self/fd"), tasks = entries("/proc/self/task");
    handlers(before);
    for (int i = 0; i < ROUNDS; i++) one_day();
#ifdef SEEDED
    seed();
#endif
    handlers(after);
    MUST(memcmp(before, after, sizeof before) == 0);
    MUST(entries("/proc/self/fd") == fds);
    /* a thread that was joined may still be on its way out of the kernel's list */
    for (int i = 0; i < 5000 && entries("/proc/self/task") > tasks; i++)
        nanosleep(&(struct timespec){0, 1000000}, NULL);
    MUST(entries("/proc/self/task") <= tasks);
    MUST(atomic_load(&threads) == 0);
    MUST(atomic_load(&panics) == ROUNDS * CUSTOMERS * ((ORDERS + 15) / 16));
    puts("ok");
    return 0;
}
