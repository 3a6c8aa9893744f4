/* harness.h - what every test program needs, and no more.
 *
 *     #include "harness.h"                     (first: it asks for POSIX and counts the library's memory)
 *     #define TASKRT_IMPLEMENTATION
 *     #include "../taskrt.h"
 *
 *     TEST(one_and_one_is_two) { CHECK_EQ(1 + 1, 2); }
 *
 *     int main(int argc, char **argv) { return harness_main(argc, argv); }
 *
 * `./test_x` runs every test of the file, each in a process of its own and with a time limit, prints what failed and how
 * to repeat it, and ends with one line `N passed, N failed`. `./test_x NAME...` runs those tests in this process.
 *
 * A check that fails is counted and the test goes on, so checks may stand inside coroutines and on any thread.
 * After each test the ledger must be zero: memory of the library, threads and file descriptors.
 *
 * Environment: TASKRT_TEST_SLOW=10 multiplies the time limits (sanitizers, valgrind), TASKRT_TEST_ROUNDS=0.05 shortens
 * the loops that say ROUNDS(n).
 */
#ifndef HARNESS_H
#define HARNESS_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif

#if defined __SANITIZE_THREAD__
#define HARNESS_TSAN 1
#elif defined __has_feature
#if __has_feature(thread_sanitizer)
#define HARNESS_TSAN 1
#endif
#endif
#ifndef HARNESS_TSAN
#define HARNESS_TSAN 0
#endif

/* ------------------------------------------------------------------------------------------------
 * Memory of the library, counted, and made to fail on demand.
 */
static atomic_long harness_blocks;       /* live blocks */
static atomic_long harness_calls;        /* calls of TASKRT_MALLOC so far */
static atomic_long harness_fail_at;      /* number of the call that fails, 0 for none */
static atomic_bool harness_fail_forever; /* and every later one */

/* Who reads what nobody wrote finds this, not the zeros of a fresh page. (For TSan it would be a write that the watch
 * thread's look at a cell, which is not ordered, races with.) */
__attribute__((unused)) static void harness_fill(void *p, size_t size)
{
    if (p && !HARNESS_TSAN)
        memset(p, 0xA5, size);
}

__attribute__((unused)) static void *harness_malloc(size_t size)
{
    long call = atomic_fetch_add(&harness_calls, 1) + 1;
    long fail_at = atomic_load(&harness_fail_at);
    if (fail_at && (call == fail_at || (call > fail_at && atomic_load(&harness_fail_forever))))
        return NULL;
    void *p = malloc(size);
    if (p)
        atomic_fetch_add(&harness_blocks, 1);
    harness_fill(p, size);
    return p;
}

__attribute__((unused)) static void harness_free(void *p)
{
    if (p)
        atomic_fetch_sub(&harness_blocks, 1);
    free(p);
}

#ifndef HARNESS_PLAIN_MALLOC
#define TASKRT_MALLOC(size) harness_malloc(size)
#define TASKRT_FREE(p) harness_free(p)
#endif

/* ------------------------------------------------------------------------------------------------
 * Checks.
 */
typedef struct harness_test {
    const char *name;
    void (*run)(void);
    double seconds;
    struct harness_test *next;
} harness_test;

static harness_test *harness_first, **harness_end = &harness_first;
static const harness_test *harness_current;
static const char *harness_program = "test";
static int harness_log = 2; /* the real stderr, also while a test captures fd 2 */
static atomic_int harness_failures;
static void (*harness_last_words)(void); /* if set, called before the summary is printed */

#define TEST(name) TEST_WITHIN(20, name)
#define TEST_WITHIN(seconds, name)                                                                 \
    static void name(void);                                                                        \
    __attribute__((constructor)) static void harness_add_##name(void)                              \
    {                                                                                              \
        static harness_test test = {#name, name, seconds, NULL};                                   \
        *harness_end = &test;                                                                      \
        harness_end = &test.next;                                                                  \
    }                                                                                              \
    static void name(void)

__attribute__((format(printf, 3, 4))) static void harness_fail(const char *file, int line,
                                                               const char *format, ...)
{
    char text[4096];
    va_list list;
    atomic_fetch_add(&harness_failures, 1);
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    dprintf(harness_log, "%s:%d: %s (repeat: %s %s)\n", file, line, text, harness_program,
            harness_current ? harness_current->name : "");
}

__attribute__((unused)) static bool harness_check(bool good, const char *what, const char *file,
                                                  int line)
{
    if (!good)
        harness_fail(file, line, "not true: %s", what);
    return good;
}

__attribute__((unused)) static bool harness_equal(intmax_t a, intmax_t b, const char *what,
                                                  const char *file, int line)
{
    if (a != b)
        harness_fail(file, line, "%s: %jd, expected %jd", what, a, b);
    return a == b;
}

__attribute__((unused)) static bool harness_same(const char *a, const char *b, const char *what,
                                                 const char *file, int line)
{
    bool same = a && b ? !strcmp(a, b) : a == b;
    if (!same)
        harness_fail(file, line, "%s: \"%s\", expected \"%s\"", what, a ? a : "(null)",
                     b ? b : "(null)");
    return same;
}

__attribute__((unused)) static bool harness_holds(const char *text, const char *part, bool wanted,
                                                  const char *file, int line)
{
    bool found = text && part && strstr(text, part);
    if (found != wanted)
        harness_fail(file, line, "\"%s\" should %sbe in: %.3000s", part ? part : "(null)",
                     wanted ? "" : "not ", text ? text : "(null)");
    return found == wanted;
}

/* CHECK gives whether it held, so that a test may stop where going on makes no sense. */
#define CHECK(expr) harness_check((expr) ? true : false, #expr, __FILE__, __LINE__)
#define CHECK_EQ(got, want)                                                                        \
    harness_equal((intmax_t)(got), (intmax_t)(want), #got " == " #want, __FILE__, __LINE__)
#define CHECK_STR(got, want) harness_same((got), (want), #got, __FILE__, __LINE__)
#define CHECK_CONTAINS(text, part) harness_holds((text), (part), true, __FILE__, __LINE__)
#define CHECK_LACKS(text, part) harness_holds((text), (part), false, __FILE__, __LINE__)

/* For plain threads: wait for what another thread will do. The time limit of the test ends a hang. */
#define WAIT_UNTIL(expr)                                                                           \
    do {                                                                                           \
        while (!(expr))                                                                            \
            harness_pause();                                                                       \
    } while (0)

__attribute__((unused)) static void harness_pause(void)
{
    struct timespec moment = {0, 200000};
    nanosleep(&moment, NULL);
}

static double harness_factor(const char *variable)
{
    const char *text = getenv(variable);
    double factor = text ? atof(text) : 1;
    return factor > 0 ? factor : 1;
}

/* How often to go round: n, or fewer where TASKRT_TEST_ROUNDS says that the machine is slow. */
__attribute__((unused)) static long harness_rounds(long n)
{
    long rounds = (long)((double)n * harness_factor("TASKRT_TEST_ROUNDS"));
    return rounds < 1 ? 1 : rounds;
}
#define ROUNDS(n) harness_rounds(n)

/* Milliseconds within which what is ready has run: more of them where TASKRT_TEST_SLOW says so. */
#define ENOUGH_MS(n) ((int64_t)((n) * 1e6 * harness_factor("TASKRT_TEST_SLOW")))

/* A small random generator: the same numbers on every machine. */
__attribute__((unused)) static uint64_t harness_random(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* ------------------------------------------------------------------------------------------------
 * What was written to stderr.
 */
static int harness_capture_file = -1, harness_capture_saved = -1;
static char harness_text[262144];

static int harness_temporary(void)
{
    char path[] = "/tmp/taskrt-test-XXXXXX";
    int fd = mkstemp(path);
    if (fd < 0) {
        perror("harness: mkstemp");
        exit(3);
    }
    unlink(path);
    return fd;
}

static const char *harness_slurp(int fd)
{
    size_t size = 0;
    lseek(fd, 0, SEEK_SET);
    for (;;) {
        ssize_t n = read(fd, harness_text + size, sizeof harness_text - 1 - size);
        if (n <= 0)
            break;
        size += (size_t)n;
    }
    harness_text[size] = 0;
    return harness_text;
}

/* From here to capture_end() what this process writes to stderr is kept instead. */
__attribute__((unused)) static void capture_start(void)
{
    fflush(stderr);
    harness_capture_file = harness_temporary();
    harness_capture_saved = dup(2);
    dup2(harness_capture_file, 2);
}

/* The text, valid until the next capture. */
__attribute__((unused)) static const char *capture_end(void)
{
    fflush(stderr);
    dup2(harness_capture_saved, 2);
    close(harness_capture_saved);
    const char *text = harness_slurp(harness_capture_file);
    close(harness_capture_file);
    return text;
}

/* What has been captured so far; capturing goes on. */
__attribute__((unused)) static const char *capture_peek(void)
{
    ssize_t n = pread(harness_capture_file, harness_text, sizeof harness_text - 1, 0);
    harness_text[n < 0 ? 0 : n] = 0;
    return harness_text;
}

/* Runs f(argument) in a child process; its wait status and what it wrote to stderr. */
__attribute__((unused)) static const char *child_text(void (*f)(void *), void *argument,
                                                      int *status)
{
    int fd = harness_temporary();
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(fd, 2);
        f(argument);
        fflush(NULL);
        _exit(0);
    }
    waitpid(pid, status, 0);
    const char *text = harness_slurp(fd);
    close(fd);
    return text;
}

/* ------------------------------------------------------------------------------------------------
 * The ledger.
 */
static int harness_count(const char *path)
{
    DIR *directory = opendir(path);
    int n = 0;
    if (!directory)
        return -1;
    while (readdir(directory))
        n++;
    closedir(directory);
    return n - 2; /* without "." and ".." */
}
__attribute__((unused)) static int harness_threads(void) { return harness_count("/proc/self/task"); }
__attribute__((unused)) static int harness_fds(void) { return harness_count("/proc/self/fd"); }

static void harness_run(const harness_test *test)
{
    int threads = harness_threads(), fds = harness_fds();
    harness_current = test;
    atomic_store(&harness_failures, 0);
    test->run();
    /* A thread that was joined may still be on its way out of the kernel's list. */
    for (int i = 0; i < 5000 && !HARNESS_TSAN && harness_threads() > threads; i++)
        harness_pause();
    if (!HARNESS_TSAN && harness_threads() > threads)
        harness_fail(test->name, 0, "%d threads left behind", harness_threads() - threads);
    if (harness_fds() != fds)
        harness_fail(test->name, 0, "%d file descriptors left behind", harness_fds() - fds);
    if (atomic_load(&harness_blocks) != 0)
        harness_fail(test->name, 0, "%ld blocks of memory left behind",
                     atomic_load(&harness_blocks));
}

/* ------------------------------------------------------------------------------------------------
 * Running.
 */
static double harness_limit(const harness_test *test)
{
    return test->seconds * harness_factor("TASKRT_TEST_SLOW");
}

static void harness_indented(const char *text, size_t most)
{
    size_t length = strlen(text);
    if (length > most) {
        text += length - most;
        printf("    ...\n");
    }
    while (*text) {
        size_t n = strcspn(text, "\n");
        printf("    %.*s\n", (int)n, text);
        text += n + (text[n] == '\n');
    }
}

static void harness_in_child(const harness_test *test, int output, int alive)
{
#ifdef __linux__
    prctl(PR_SET_PDEATHSIG, SIGKILL);
#endif
    setpgid(0, 0);
    dup2(output, 1);
    dup2(output, 2);
    harness_log = fcntl(output, F_DUPFD, 100);
    close(output);
    (void)alive;
    harness_run(test);
    fflush(NULL);
    exit(atomic_load(&harness_failures) ? 1 : 0);
}

/* One test in its own process: true if it passed. */
static bool harness_forked(const harness_test *test)
{
    int alive[2], status = 0;
    int output = harness_temporary();
    if (pipe(alive))
        return false;
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        close(alive[0]);
        harness_in_child(test, output, alive[1]);
    }
    setpgid(pid, pid);
    close(alive[1]);
    struct pollfd end = {alive[0], POLLIN, 0};
    int ready = poll(&end, 1, (int)(harness_limit(test) * 1000));
    if (ready == 0)
        kill(-pid, SIGKILL);
    waitpid(pid, &status, 0);
    kill(-pid, SIGKILL);
    close(alive[0]);
    bool passed = ready != 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
    if (!passed) {
        if (ready == 0)
            printf("FAIL %s: no end after %.0f s", test->name, harness_limit(test));
        else if (WIFSIGNALED(status))
            printf("FAIL %s: killed by signal %d (%s)", test->name, WTERMSIG(status),
                   strsignal(WTERMSIG(status)));
        else
            printf("FAIL %s: exit status %d", test->name, WEXITSTATUS(status));
        printf(" (repeat: %s %s)\n", harness_program, test->name);
        harness_indented(harness_slurp(output), 12000);
        fflush(stdout);
    }
    close(output);
    return passed;
}

static const harness_test *harness_find(const char *name)
{
    const harness_test *test = harness_first;
    while (test && strcmp(test->name, name))
        test = test->next;
    return test;
}

static int harness_main(int argc, char **argv)
{
    int passed = 0, failed = 0;
    harness_program = argv[0];
    setvbuf(stdout, NULL, _IOLBF, 0);
    unsetenv("TASKRT_WORKERS");
    unsetenv("TASKRT_STALL_MS");
    if (argc > 1 && !strcmp(argv[1], "-l")) {
        for (const harness_test *test = harness_first; test; test = test->next)
            printf("%s\n", test->name);
        return 0;
    }
    for (int i = 1; i < argc; i++) {
        const harness_test *test = harness_find(argv[i]);
        if (!test) {
            fprintf(stderr, "%s: no test %s\n", argv[0], argv[i]);
            return 2;
        }
        harness_run(test);
        *(atomic_load(&harness_failures) ? &failed : &passed) += 1;
    }
    for (const harness_test *test = harness_first; test && argc == 1; test = test->next)
        *(harness_forked(test) ? &passed : &failed) += 1;
    if (harness_last_words)
        harness_last_words();
    printf("%d passed, %d failed\n", passed, failed);
    return failed ? 1 : 0;
}

#endif
