/* 14_pitfall_move.c - pitfall 1: a task may outlive the stack of the one that spawned it.
 *
 * Rust refuses to compile a task that borrows a local. C compiles it, so taskrt looks at the
 * arguments: in a debug build, one that points into the spawner's stack is reported on stderr with
 * its offset in the struct, the coroutine and the line of the spawn. To see the report:
 *
 *     cc -std=c11 -g -DWRONG -pthread examples/14_pitfall_move.c -o 14_pitfall_move
 *
 * The cure is to move the data in. Arguments are copied into the task, so let the struct hold the
 * data itself rather than a pointer to it; what is large goes to the heap, or into a trt_arc.
 *
 *     cc -std=c11 -O2 -pthread examples/14_pitfall_move.c -o 14_pitfall_move
 */
#define TASKRT_IMPLEMENTATION
#include "../taskrt.h"

#include <stdio.h>

struct name {
    char text[16];
};

#ifdef WRONG

struct greet {
    const struct name *name; /* borrowed from whom, and for how long? */
};
trt_async(trt_void, greet)
{
    trt_body { printf("hello, %s\n", self->name ? "whoever that was" : "nobody"); }
}
#define NAME_OF(local) (&(local))

#else

struct greet {
    struct name name; /* owned: a struct is copied, array and all */
};
trt_async(trt_void, greet)
{
    trt_body { printf("hello, %s\n", self->name.text); }
}
#define NAME_OF(local) (local)

#endif

struct program {
    trt_handle(greet) task;
};
trt_async(trt_void, program)
{
    trt_body {
        struct name name = {"Ada"}; /* on this worker's stack: gone at the next await */
        self->task = trt_spawn(greet, .name = NAME_OF(name));
        trt_await_ok(trt_join(self->task, NULL));
    }
}

int main(void)
{
    trt_status_code status = trt_run(program, NULL);
    if (status != TRT_OK) {
        fprintf(stderr, "14_pitfall_move: %s\n", trt_strerror(status));
        return 1;
    }
    return 0;
}
