/* 20_deadline.c - exercise 3: take what is ready within a time budget, cancel the rest.
 *
 * Jobs 2 and 4 are slow. The deadline is a point in time, so every turn of the loop waits for the
 * same one. The program runs on the virtual clock, which jumps ahead whenever every task waits: it
 * takes no time and has one outcome, on a loaded machine too. With plain trt_run it takes 100 ms.
 *
 *     cc -std=c11 -O2 -pthread examples/20_deadline.c -o 20_deadline
 */
#define TASKRT_IMPLEMENTATION
#include "../taskrt.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { JOBS = 4 };

struct label {
    char text[24];
};

struct process {
    int id;
};
trt_async(struct label, process)
{
    trt_body {
        trt_await(trt_sleep(self->id % 2 == 0 ? trt_ms(200) : trt_ms(20)));
        struct label label;
        snprintf(label.text, sizeof label.text, "job-%d", self->id);
        trt_return(label);
    }
}

static int by_text(const void *a, const void *b)
{
    return strcmp(((const struct label *)a)->text, ((const struct label *)b)->text);
}

struct program {
    trt_join_set(process) jobs;
    trt_instant deadline;
    struct label done[JOBS];
    size_t count;
};
trt_async(trt_void, program)
{
    trt_body {
        self->deadline = trt_now() + trt_ms(100);
        for (int id = 1; id <= JOBS; id++) trt_spawn_in(&self->jobs, process, .id = id);

        for (;;) {
            trt_await_any(trt_join_next(&self->jobs, &self->done[self->count]),
                          trt_sleep_until(self->deadline));
            if (trt_status() == TRT_EMPTY) break; /* all done in time */
            if (trt_status() != TRT_OK) trt_fail(trt_status());
            if (trt_chosen() == 1) break;
            self->count++;
        }
        trt_await(trt_set_shutdown(&self->jobs)); /* cancels the slow jobs, waits for their end */

        qsort(self->done, self->count, sizeof *self->done, by_text);
        printf("completed within budget: [");
        for (size_t i = 0; i < self->count; i++)
            printf("%s\"%s\"", i == 0 ? "" : ", ", self->done[i].text);
        printf("]\n");
    }
}

int main(void)
{
    trt_status_code status = trt_run_with(&(trt_config){.virtual_clock = true}, program, NULL);
    if (status != TRT_OK) {
        fprintf(stderr, "20_deadline: %s\n", trt_strerror(status));
        return 1;
    }
    return 0;
}
