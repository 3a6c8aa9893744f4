/* model.h - runs the real taskrt.h under a scheduler that decides every switch, and many thousand times.
 *
 * A scenario is a small program of threads and tasks. The model runs it again and again on one thread of the operating
 * system; the scenario's threads are fibers. Everything that could go one way or another (who runs next, which store a
 * load reads, whether a wait ends early) goes through choose(), so a run is a list of small numbers. Lists are drawn at
 * random, drawn by priorities (PCT), enumerated depth first, or given: that repeats a failure exactly.
 *
 *     tests/model/run.sh DIRECTORY PROGRAM...           what `make check-model` does, see there
 *     build/check-model/runtime -l                      lists the scenarios of a program
 *     build/check-model/runtime -n 1000000 -s 7 NAME    a million schedules of one of them; -a: at random, even what would be
 *                                                       enumerated
 *     build/check-model/runtime -r LIST NAME            repeats the run that a failure has printed; -v tells every step
 *     build/check-model/runtime -m LIST NAME            makes the list smaller first: as many zeros as the failure allows
 *     build/check-model/runtime -w LINE,FROM,TO         as if on that line of taskrt.h the order FROM were TO: numbers as
 *                                                       gcc has them (relaxed 0, acquire 2, release 3, acq_rel 4, seq_cst 5)
 *     build/check-mutants/runtime -x PLACE              with that place broken, a line of build/check-mutants/list: see
 *                                                       tests/mutants.sh
 *
 * A scenario may be swept instead: what waits in model_await_moment() goes on at step 1, then, in a run that is the same
 * up to there, at step 2, and so on to the last. Then comes the next schedule. -n is the number of runs there too; with
 * -a the moments are drawn as well.
 *
 * What is modelled
 *   - Memory as C11 has it: a location keeps its last 8 stores, and a load may read any that coherence, happens-before,
 *     fences and seq_cst order leave to it. Release sequences as in C11. Nothing older than what was stored a
 *     millisecond of the clock ago: C11 asks for a reasonable time. With weak = 0 a load reads the last store, and
 *     races are still found.
 *   - Data races on plain memory. The scenarios are compiled with -fsanitize=thread and linked with the callbacks in
 *     model.c instead of that sanitizer's library: each plain access is checked by vector clocks, byte by byte.
 *   - Threads, futexes (with spurious returns), clocks and time-outs (the clock moves when nobody can run, or, a bounded
 *     number of times a run, early), malloc and free, membarrier, eventfd,
 *     epoll, poll and pipes as far as the poller needs them.
 *   - The latch, as a lock with one scheduling point; with -DMODEL_LATCH its own code is run instead.
 *
 * What is reported, with the backtrace of every thread and the list to repeat it by
 *   - data races, use of freed memory, double free
 *   - deadlock: nobody can run and nothing is to time out; livelock: more steps than the scenario's limit
 *   - checks of the scenario, asserts of taskrt.h
 *   - at the end of a run: memory, threads or fds left behind
 *
 * What is not modelled
 *   - Load buffering: a load never reads a store that is made later. Executions whose order of seq_cst operations
 *     differs from the order of the steps; they show as another schedule.
 *   - Accesses of one location in different sizes; the order of the kernel's own accesses.
 *   - Reuse of freed memory within a run (malloc gives fresh memory, so that use after free is seen). The slabs reuse.
 *   - Signals. Two words that share a cache line.
 *   - More than 8 remembered stores a location; older ones are no longer read.
 *   - Interrupts between two plain accesses: threads switch at atomic operations and system calls only. What that could
 *     hide is a data race, and reported as one.
 */
#ifndef MODEL_H
#define MODEL_H
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* ------------------------------------------------------------------------------------------------
 * For scenarios.
 */
typedef struct model_scenario {
    const char *name;
    void (*run)(void);
    int weak;           /* 1: stale loads; 0: interleavings only */
    int spurious;       /* futex waits that may return for nothing, a run */
    int early;          /* time-outs that may come while others can run, a run */
    int exhaust;        /* > 0: depth first, with at most exhaust - 1 preemptions; 0: at random */
    int stale;          /* depth first: stale loads a run at most; 0: any number */
    long most;          /* depth first: schedules at most; 0: a million */
    int steps;          /* limit; 0: 20,000 */
    const char *swept;  /* what its moments are called, if it is to be swept */
    bool (*moment)(void); /* is this step one? asked at each; NULL: all are. It sees what memory holds */
    int turns;          /* schedules to sweep at least; if it is not swept: -n schedules for each of so many turns */
    const char *turned; /* what these are called */
    const void *with;   /* for the scenario, which gets it from model_with() */
} model_scenario;

int model_main(int argc, char **argv, const model_scenario *scenarios, size_t n);

void model_fail(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));
#define MODEL_CHECK(x) ((x) ? (void)0 : model_fail("%s:%d: not true: %s", __FILE__, __LINE__, #x))

unsigned long model_start(void (*run)(void *), void *argument); /* a thread; join it */
void model_join(unsigned long thread);
int model_choose(int n);             /* a choice of the scenario itself */
int model_turn(int n);               /* the same, but one schedule after the other takes each answer in turn */
const void *model_with(void);        /* of the scenario */
void model_yield(void);
bool model_await_moment(void);       /* of a sweep; steps count from the first call. False: it will not come */
void model_end_moments(void);        /* no more of them: who awaits one is told, as when nothing else can happen */
int64_t model_elapsed(void);         /* of the model's clock since the run began */
void model_refuse_threads(int from); /* pthread_create fails from the from-th call on (0: the next) */
void model_refuse_memory(int from);  /* malloc, likewise */
void model_allow_membarrier(void);   /* else the system has none: what is found out about it outlives the run */
int model_fd(void);                  /* an fd that is not ready; model_fd_ready makes it so */
void model_fd_ready(int fd, uint32_t events);
void model_fd_unready(int fd, uint32_t events);
void model_log(const char *text);

/* ------------------------------------------------------------------------------------------------
 * The layer of taskrt.h.
 */
uint64_t model_load(void *object, size_t size, memory_order order, int line);
void model_store(void *object, size_t size, uint64_t value, memory_order order, int line);
enum { MODEL_SWAP, MODEL_ADD, MODEL_SUB, MODEL_OR, MODEL_AND };
uint64_t model_update(void *object, size_t size, int how, uint64_t value, memory_order order, int line);
int model_compare(void *object, size_t size, void *expected, uint64_t value, memory_order order, int weak, int line);
void model_fence(int line);
bool model_broken(int place);
void model_pause(int line);
bool model_latch(void *latch, int line);   /* true: it has it */
bool model_latch_once(void *latch, int line);
bool model_unlatch(void *latch, int line); /* false, as trt_unlatch_ */
void *model_memcpy(void *to, const void *from, size_t n);
void *model_memset(void *to, int byte, size_t n);
extern void *model_self; /* the running thread's own memory: 1 KiB, zero at first */

#define MODEL_OBJECT(p) ((void *)(uintptr_t)(p)), sizeof *(p)
#define MODEL_TYPE(p) __typeof__((void)0, *(p))
#define MODEL_BITS(v) ((uint64_t)(uintptr_t)(v))
#define MODEL_UPDATE(p, how, v, order)                                                                                 \
    __extension__({ (MODEL_TYPE(p))(uintptr_t)model_update(MODEL_OBJECT(p), how, MODEL_BITS(v), memory_order_##order, __LINE__); })

#define TRT_LOAD_(p, order) ((MODEL_TYPE(p))(uintptr_t)model_load(MODEL_OBJECT(p), memory_order_##order, __LINE__))
#define TRT_STORE_(p, v, order) model_store(MODEL_OBJECT(p), MODEL_BITS(v), memory_order_##order, __LINE__)
#define TRT_SWAP_(p, v, order) MODEL_UPDATE(p, MODEL_SWAP, v, order)
#define TRT_ADD_(p, v, order) MODEL_UPDATE(p, MODEL_ADD, v, order)
#define TRT_SUB_(p, v, order) MODEL_UPDATE(p, MODEL_SUB, v, order)
#define TRT_OR_(p, v, order) MODEL_UPDATE(p, MODEL_OR, v, order)
#define TRT_AND_(p, v, order) MODEL_UPDATE(p, MODEL_AND, v, order)
#define TRT_CAS_(p, expected, v, order)                                                                                \
    model_compare(MODEL_OBJECT(p), expected, MODEL_BITS(v), memory_order_##order, 0, __LINE__)
#define TRT_CAS_WEAK_(p, expected, v, order)                                                                           \
    model_compare(MODEL_OBJECT(p), expected, MODEL_BITS(v), memory_order_##order, 1, __LINE__)
#define TRT_FENCE_(word) ((void)(word), model_fence(__LINE__))
#define TRT_LIGHT_FENCE_(word) ((void)(word)) /* nothing: see SYS_membarrier in model.c */
#define TRT_LEARN_(word) ((void)(word))
#define TRT_LEARNED_(word) ((void)(word), false)
#define TRT_PAUSE_() model_pause(__LINE__)
#define TRT_SYS_(name) model_sys_##name
#define TRT_THREAD_LOCAL_(type, name) type name##type_ __attribute__((unused))
#define trt_here_ (*(trt_self_ *)model_self)
#ifndef MODEL_LATCH
#define TRT_OWN_LATCH_
#define trt_latch_(latch) model_latch((void *)(uintptr_t)(latch), __LINE__)
#define trt_latch_once_(latch) model_latch_once((void *)(uintptr_t)(latch), __LINE__)
#define trt_unlatch_(latch) model_unlatch((void *)(uintptr_t)(latch), __LINE__)
#endif
#ifndef MODEL_ENGINE
#define memcpy(to, from, n) model_memcpy(to, from, n)
#define memset(to, byte, n) model_memset(to, byte, n)
#endif
#ifndef TASKRT_ASSERT
#define TASKRT_ASSERT(x) MODEL_CHECK(x)
#endif
#ifndef TASKRT_LOG
#define TASKRT_LOG(text) model_log(text)
#endif

struct timespec;
struct epoll_event;
struct pollfd;
long model_sys_syscall(long number, ...);
int model_sys_clock_gettime(int clock, struct timespec *time);
long model_sys_sysconf(int name);
FILE *model_sys_fopen(const char *path, const char *mode);
void *model_sys_malloc(size_t size);
void model_sys_free(void *p);
int model_sys_pthread_create(unsigned long *thread, const void *attributes, void *(*run)(void *), void *argument);
int model_sys_pthread_join(unsigned long thread, void **result);
int model_sys_pthread_mutex_init(pthread_mutex_t *mutex, const void *attributes);
int model_sys_pthread_mutex_lock(pthread_mutex_t *mutex);
int model_sys_pthread_mutex_unlock(pthread_mutex_t *mutex);
int model_sys_pthread_cond_init(pthread_cond_t *condition, const void *attributes);
int model_sys_pthread_cond_wait(pthread_cond_t *condition, pthread_mutex_t *mutex);
int model_sys_pthread_cond_timedwait(pthread_cond_t *condition, pthread_mutex_t *mutex, const struct timespec *at);
int model_sys_pthread_cond_broadcast(pthread_cond_t *condition);
int model_sys_pthread_condattr_init(pthread_condattr_t *attributes);
int model_sys_pthread_condattr_setclock(pthread_condattr_t *attributes, int clock);
int model_sys_pthread_condattr_destroy(pthread_condattr_t *attributes);
int model_sys_pthread_once(pthread_once_t *once, void (*run)(void));
int model_sys_epoll_create1(int flags);
int model_sys_eventfd(unsigned count, int flags);
int model_sys_epoll_ctl(int poller, int op, int fd, struct epoll_event *event);
int model_sys_epoll_wait(int poller, struct epoll_event *events, int most, int timeout);
int model_sys_poll(struct pollfd *fds, unsigned long n, int timeout);
int model_sys_pipe(int fds[2]);
int model_sys_fcntl(int fd, int command, ...);
long model_sys_read(int fd, void *buffer, size_t n);
long model_sys_write(int fd, const void *buffer, size_t n);
int model_sys_close(int fd);

#endif
