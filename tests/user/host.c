/* Loads a library that has taskrt.h inside, uses it from two threads, unloads it, and loads it again. The threads
 * outlive the library: nothing of it may be called when they end. The main thread leaves it alone: glibc keeps the
 * thread-local variables of an unloaded library until the threads end that have used them.
 * Prints "ok" and nothing else. Usage: host LIBRARY
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MUST(expr) ((expr) ? (void)0 : broken(#expr, __LINE__))
static void broken(const char *what, int line)
{
    const char *error = dlerror();
    fprintf(stderr, "host.c:%d: not true: %s (%s)\n", line, what, error ? error : "no error of dlopen");
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

static int (*start)(void), (*use)(int), (*stop)(void);
static pthread_barrier_t begun, used, stopped, unloaded;
static void *owner(void *unused)
{
    MUST(start() == 0);
    pthread_barrier_wait(&begun);
    MUST(use(4) == 10);
    pthread_barrier_wait(&used);
    MUST(stop() == 0);
    pthread_barrier_wait(&stopped);
    pthread_barrier_wait(&unloaded);
    return unused;
}
static void *guest(void *unused)
{
    pthread_barrier_wait(&begun);
    MUST(use(10) == 55);
    pthread_barrier_wait(&used);
    pthread_barrier_wait(&stopped);
    pthread_barrier_wait(&unloaded);
    return unused;
}
static void *nothing(void *unused) { return unused; }

int main(int argc, char **argv)
{
    pthread_t threads[2];
    MUST(argc == 2);
    /* with the first thread a sanitizer starts its own */
    MUST(pthread_create(&threads[0], NULL, nothing, NULL) == 0 && pthread_join(threads[0], NULL) == 0);
    int fds = entries("/proc/self/fd"), tasks = entries("/proc/self/task");
    pthread_barrier_init(&begun, NULL, 2);
    pthread_barrier_init(&used, NULL, 2);
    pthread_barrier_init(&stopped, NULL, 3);
    pthread_barrier_init(&unloaded, NULL, 3);
    for (int i = 0; i < 3; i++) {
        void *library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
        MUST(library);
        void *symbols[3] = {dlsym(library, "plugin_start"), dlsym(library, "plugin_use"),
                            dlsym(library, "plugin_stop")};
        memcpy(&start, &symbols[0], sizeof start); /* ISO C has no cast from an object pointer to a function */
        memcpy(&use, &symbols[1], sizeof use);
        memcpy(&stop, &symbols[2], sizeof stop);
        MUST(pthread_create(&threads[0], NULL, owner, NULL) == 0);
        MUST(pthread_create(&threads[1], NULL, guest, NULL) == 0);
        pthread_barrier_wait(&stopped);
        for (int k = 0; k < 5000 && entries("/proc/self/task") > tasks + 2; k++)
            nanosleep(&(struct timespec){0, 1000000}, NULL);
        MUST(entries("/proc/self/task") == tasks + 2);
        MUST(entries("/proc/self/fd") == fds);
        MUST(dlclose(library) == 0);
        MUST(!dlopen(argv[1], RTLD_NOW | RTLD_NOLOAD));
        pthread_barrier_wait(&unloaded);
        pthread_join(threads[0], NULL);
        pthread_join(threads[1], NULL);
    }
    pthread_barrier_destroy(&begun);
    pthread_barrier_destroy(&used);
    pthread_barrier_destroy(&stopped);
    pthread_barrier_destroy(&unloaded);
    puts("ok");
    return 0;
}
