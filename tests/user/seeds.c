/* What the checks of tests/user.sh must see: one fault each, put into the program or into the implementation. */
#define _GNU_SOURCE
#if defined SEED_CONSTRUCTOR || defined SEED_CALL || defined SEED_PRINT || defined SEED_NAME
#include "../compile/impl.c"
#endif
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void seed(void);
int helper(void);

#if defined SEED_RACE
static int shared;
static void *writes(void *unused)
{
    for (int i = 0; i < 1000; i++) shared++;
    return unused;
}
void seed(void)
{
    pthread_t a, b;
    if (pthread_create(&a, NULL, writes, NULL) || pthread_create(&b, NULL, writes, NULL)) abort();
    pthread_join(a, NULL);
    pthread_join(b, NULL);
}
#elif defined SEED_LEAK
void seed(void)
{
    volatile char *p = malloc(100);
    *p = 1;
}
#elif defined SEED_REACHABLE
void *kept;
void seed(void) { kept = malloc(100); }
#elif defined SEED_OVERRUN
void seed(void)
{
    volatile char *p = malloc(100);
    p[100] = 1;
    free((void *)p);
}
#elif defined SEED_OVERFLOW
void seed(void)
{
    volatile int i = 0x7fffffff;
    i++;
}
#elif defined SEED_THREAD
static void *stays(void *unused)
{
    sleep(1000);
    return unused;
}
void seed(void)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, stays, NULL)) abort();
}
#elif defined SEED_FD
void seed(void) { (void)open("/dev/null", O_RDONLY); }
#elif defined SEED_HANDLER
void seed(void) { signal(SIGUSR1, SIG_IGN); }
#elif defined SEED_OUTPUT
void seed(void) { puts("seed"); }
#elif defined SEED_CONSTRUCTOR
__attribute__((constructor)) static void early(void) { TASKRT_LOG("early\n"); }
#elif defined SEED_CALL
void trt_seed(void) { signal(SIGUSR1, SIG_IGN); }
#elif defined SEED_PRINT
void trt_seed(void) { printf("%d\n", (int)getpid()); }
#elif defined SEED_NAME
int helper(void) { return 1; }
#endif
