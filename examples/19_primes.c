/* 19_primes.c - exercise 2: a computation on the blocking pool, while the runtime stays free.
 *
 *     cc -std=c11 -O2 -pthread examples/19_primes.c -o 19_primes
 */
#define TASKRT_IMPLEMENTATION
#include "../taskrt.h"

#include <inttypes.h>
#include <stdio.h>

struct count_primes {
    uint64_t below;
};
trt_blocking_fn(uint64_t, count_primes) /* naive on purpose: it stands for heavy work */
{
    uint64_t count = 0;
    for (uint64_t n = 2; n < self->below; n++) {
        uint64_t divisor = 2;
        while (n % divisor != 0) divisor++;
        if (divisor == n) count++;
    }
    return count;
}

struct program {
    trt_handle(count_primes) job;
    uint64_t primes;
};
trt_async(trt_void, program)
{
    trt_body {
        self->job = trt_spawn_blocking(count_primes, .below = 10000);
        printf("counting primes on the blocking pool...\n");
        trt_await_ok(trt_join(self->job, &self->primes));
        printf("primes below 10000 = %" PRIu64 "\n", self->primes);
    }
}

int main(void)
{
    trt_status_code status = trt_run(program, NULL);
    if (status != TRT_OK) {
        fprintf(stderr, "19_primes: %s\n", trt_strerror(status));
        return 1;
    }
    return 0;
}
