/* 21_crawler.c - the whole page in one program: tasks, a semaphore, blocking work, results.
 *
 * One task per URL, at most two of them past the semaphore at once; the fetch awaits, the checksum
 * runs on the blocking pool. The tasks borrow the semaphore from `crawl`, which therefore ends them
 * in its cleanup before it ends itself. The program checks that the limit was kept.
 *
 *     cc -std=c11 -O2 -pthread examples/21_crawler.c -o 21_crawler
 */
#define TASKRT_IMPLEMENTATION
#include "../taskrt.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>

enum { URLS = 4, AT_ONCE = 2 };

static const char *const urls[URLS] = {"https://a.example", "https://b.example",
                                       "https://c.example", "https://d.example"};

struct body {
    char text[64];
};

struct fetch { /* waits, as a network would make it wait */
    const char *url;
};
trt_async(struct body, fetch)
{
    trt_body {
        trt_await(trt_sleep(trt_ms(20)));
        struct body body;
        snprintf(body.text, sizeof body.text, "<html>%s</html>", self->url);
        trt_return(body);
    }
}

struct checksum { /* computes: ordinary code for the blocking pool */
    struct body body;
};
trt_blocking_fn(uint64_t, checksum)
{
    uint64_t hash = 0;
    for (const char *c = self->body.text; *c; c++) hash = hash * 31 + (unsigned char)*c;
    return hash;
}

struct limit {
    trt_semaphore permits;
    atomic_int fetching, most;
};

static void count_fetch(struct limit *limit) /* one more at work: are they more than ever before? */
{
    int now = atomic_fetch_add(&limit->fetching, 1) + 1, most = atomic_load(&limit->most);
    while (now > most && !atomic_compare_exchange_weak(&limit->most, &most, now)) continue;
}

struct page {
    struct limit *limit; /* arguments */
    const char *url;
    trt_permit permit; /* what the task keeps across awaits */
    trt_frame(fetch) get;
    trt_job(checksum) sum;
};
trt_async(uint64_t, page)
{
    trt_body {
        trt_await_ok(trt_acquire(&self->limit->permits, &self->permit));
        count_fetch(self->limit);
        trt_await_ok(trt_call(fetch, &self->get, .url = self->url));
        atomic_fetch_sub(&self->limit->fetching, 1);
        trt_await_ok(trt_blocking(checksum, &self->sum, .body = self->get.out));
        trt_return(self->sum.out);
    }
    trt_cleanup { trt_release(&self->permit); }
}

struct crawl {
    struct limit limit;
    trt_handle(page) pages[URLS];
    uint64_t hashes[URLS];
    int i;
};
trt_async(trt_void, crawl)
{
    trt_body {
        trt_status_code made = trt_semaphore_init(&self->limit.permits, AT_ONCE);
        if (made != TRT_OK) trt_fail(made);
        for (self->i = 0; self->i < URLS; self->i++)
            self->pages[self->i] = trt_spawn(page, .limit = &self->limit, .url = urls[self->i]);
        for (self->i = 0; self->i < URLS; self->i++)
            trt_await_ok(trt_join(self->pages[self->i], &self->hashes[self->i]));

        if (atomic_load(&self->limit.most) > AT_ONCE) trt_panic("the limit was not kept");
        for (int i = 0; i < URLS; i++) printf("%s -> %" PRIu64 "\n", urls[i], self->hashes[i]);
    }
    trt_cleanup {
        for (self->i = 0; self->i < URLS; self->i++) trt_await(trt_stop(self->pages[self->i]));
    }
}

int main(void)
{
    trt_status_code status = trt_run(crawl, NULL);
    if (status != TRT_OK) {
        fprintf(stderr, "21_crawler: %s\n", trt_strerror(status));
        return 1;
    }
    return 0;
}
