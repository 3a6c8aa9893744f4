/* channel.c - histories of a channel. Threads and tasks do what chance tells them; in the end there has to be an order
 * of all that was done that a plain queue explains, in which nothing comes before what had ended when it began.
 *
 * The latches are those of taskrt.h, so that a latch may be found taken. Messages have all sizes that are treated apart;
 * blocks of an unbounded channel hold one or two.
 */
#define MODEL_LATCH
#include "model.h"
#define TASKRT_IMPLEMENTATION
#include "small.h"
#define TASKRT_TEST_SPINS 1
#define TASKRT_TEST_CHANNEL ring_bytes
static unsigned long ring_bytes; /* a ring has that many at least */
#include TASKRT_H_PATH

#define UNSEEN __attribute__((noinline, no_sanitize("thread"))) /* by the model: it orders nothing */

enum op { TRY_SEND, TRY_RECV, LEN, CLOSE, SEND, RECV };
enum { SHORT = 4, LONG = 24, BYTES = 24 };
enum how { PLAINLY, WITHIN, IN_ANY, EITHER, HOWS }; /* a task does it; either: to send or to receive, what comes first */
struct event {
    enum op op;
    enum how how;
    bool began, over;
    trt_status_code status;
    int value; /* sent, received, or the length */
    int begin, end;
    uint32_t behind; /* values that waited to be sent when it began; receivers that waited */
};
static struct event events[LONG];
static int n_events, now, next_value;

static trt_channel_ channel;
static size_t size, capacity;


/* ---- the history ---- */

UNSEEN static void begin(struct event *e)
{
    e->behind = 0;
    if (e->op == SEND || e->op == TRY_SEND)
        for (trt_waiter_ *w = channel.senders.head; w; w = w->next) e->behind |= 1u << *(unsigned char *)w->args.out;
    if (e->op == RECV || e->op == TRY_RECV)
        for (trt_waiter_ *w = channel.receivers.head; w; w = w->next)
            for (int i = 0; i < n_events; i++)
                if (w->args.obj == &channel && events[i].op == RECV && events[i].began && !events[i].over &&
                    w->args.out && *(unsigned char *)w->args.out == 128 + i)
                    e->behind |= 1u << i;
    e->began = true;
    e->begin = now++;
}
UNSEEN static void end(struct event *e, trt_status_code status, int value)
{
    e->status = status;
    if (e->op != SEND && e->op != TRY_SEND) e->value = value;
    e->end = now++;
    e->over = true;
}

struct queue { int first, n; bool closed; unsigned char value[LONG]; };

/* Could it be done next, with this outcome? */
UNSEEN static bool explains(struct queue *q, const struct event *e)
{
    switch (e->op) {
    case SEND:
    case TRY_SEND:
        if (q->closed) return e->status == TRT_CLOSED;
        if ((size_t)q->n == capacity) return e->op == TRY_SEND && e->status == TRT_FULL;
        q->value[q->first + q->n++] = (unsigned char)e->value;
        return e->status == TRT_OK;
    case RECV:
    case TRY_RECV:
        if (q->n == 0) return e->status == (q->closed ? TRT_CLOSED : e->op == RECV ? TRT_PENDING : TRT_EMPTY);
        q->n--;
        return e->status == TRT_OK && e->value == q->value[q->first++];
    case LEN: return e->value == q->n;
    case CLOSE: q->closed = true; return true;
    }
    return false;
}
UNSEEN static bool explained(const struct queue *q, uint32_t done)
{
    int earliest = INT_MAX;
    if (done + 1 == 1u << n_events) return true;
    for (int i = 0; i < n_events; i++)
        if (!(done >> i & 1) && events[i].end < earliest) earliest = events[i].end;
    for (int i = 0; i < n_events; i++) {
        struct queue then = *q;
        if (done >> i & 1 || events[i].begin > earliest) continue;
        if (explains(&then, &events[i]) && explained(&then, done | 1u << i)) return true;
    }
    return false;
}
UNSEEN static void check_history(void)
{
    static const char *const names[] = {"try_send", "try_recv", "len", "close", "send", "recv"};
    static const struct queue empty;
    uint32_t undone = 0;
    char text[LONG * 60] = "";
    for (int i = 0; i < n_events; i++)
        if (!events[i].over) undone |= 1u << i;
    if (explained(&empty, undone)) return;
    for (int i = 0; i < n_events; i++)
        sprintf(text + strlen(text), "%d-%d %s %d: %s; ", events[i].begin, events[i].end, names[events[i].op],
                events[i].value, events[i].over ? trt_strerror(events[i].status) : "not done");
    model_fail("no order explains, capacity %zd, size %zu: %s", (ssize_t)capacity, size, text);
}

/* ---- what is done ---- */

static void fill(unsigned char *bytes, int value)
{
    for (size_t i = 0; i < size; i++) bytes[i] = (unsigned char)value;
}
static int value_of(const unsigned char *bytes)
{
    for (size_t i = 1; i < size; i++) MODEL_CHECK(bytes[i] == bytes[0]);
    return bytes[0];
}

static struct event *event(enum op op)
{
    struct event *e = &events[n_events++];
    MODEL_CHECK(n_events <= LONG);
    e->op = op;
    if (op == SEND || op == TRY_SEND) e->value = next_value++;
    return e;
}
static void does(struct event *e)
{
    unsigned char bytes[BYTES];
    trt_status_code status = TRT_OK;
    size_t len = 0;
    fill(bytes, e->op == SEND || e->op == TRY_SEND ? e->value : 128 + (int)(e - events));
    begin(e);
    switch (e->op) {
    case TRY_SEND: status = trt_try_send_(&channel, bytes); break;
    case TRY_RECV: status = trt_try_recv_(&channel, bytes); break;
    case LEN: len = trt_channel_len_(&channel); break;
    case CLOSE: trt_channel_close_(&channel); break;
    case SEND: status = trt_send_thread_(&channel, bytes); break;
    case RECV: status = trt_recv_thread_(&channel, bytes); break;
    }
    end(e, status, e->op == LEN ? (int)len : status == TRT_OK ? value_of(bytes) : 0);
}

static void open_channel(size_t message, size_t messages, int places)
{
    n_events = now = 0;
    next_value = 1;
    memset(events, 0, sizeof events);
    model_allow_membarrier();
    size = message;
    capacity = messages;
    ring_bytes = size * (size_t)places;
    MODEL_CHECK(trt_channel_init_(&channel, size, capacity) == TRT_OK);
    if (!channel.bounded) channel.bytes = size * (size_t)(1 + model_choose(2));
}
static void make_channel(void)
{
    static const size_t sizes[] = {4, 1, 8, BYTES};
    static const size_t capacities[] = {1, 2, 3, TRT_UNBOUNDED};
    size_t message = sizes[model_choose(4)], messages = capacities[model_choose(4)];
    open_channel(message, messages, model_choose(5));
}
/* The history begins with some that are done one after the other. */
static void prelude(int most)
{
    for (int n = model_choose(most + 1); n > 0; n--) does(event(model_choose(3) ? TRY_SEND : TRY_RECV));
}
static void end_channel(void)
{
    check_history();
    MODEL_CHECK(!channel.senders.head && !channel.receivers.head);
    trt_channel_free_(&channel);
    MODEL_CHECK(!channel.put.size && !channel.first && !channel.spare);
}

static struct event *plan[4][SHORT + 1];
static void follows(void *which)
{
    for (struct event **e = plan[(uintptr_t)which]; *e; e++) does(*e);
}
static void make_plan(uintptr_t which, int n, int ops)
{
    for (int i = 0; i < n; i++) plan[which][i] = event((enum op)model_choose(ops));
    plan[which][n] = NULL;
}

static void drain(void)
{
    struct event *e;
    do does(e = event(TRY_RECV));
    while (e->status == TRT_OK);
    MODEL_CHECK(e->status == TRT_CLOSED);
}

/* ---- nobody waits ---- */

static void tries(int threads, int each, int ops)
{
    unsigned long t[3];
    make_channel();
    prelude(3);
    for (int i = 0; i < threads; i++) make_plan((uintptr_t)i, each, ops);
    for (int i = 1; i < threads; i++) t[i - 1] = model_start(follows, (void *)(uintptr_t)i);
    follows(0);
    for (int i = 1; i < threads; i++) model_join(t[i - 1]);
    end_channel();
}
static void tries_two(void) { tries(2, 4, 3); }
static void tries_three(void) { tries(3, 3, 3); }
static void tries_closed(void) { tries(3, 3, 4); }

/* ---- threads wait ---- */

/* Nobody overtakes who waits: what waited to be sent when a send began comes out before. */
UNSEEN static int place_of(int value)
{
    for (int i = 0, place = 0; i < n_events; i++)
        if ((events[i].op == RECV || events[i].op == TRY_RECV) && events[i].over && events[i].status == TRT_OK) {
            if (events[i].value == value) return place;
            place++;
        }
    return -1;
}
UNSEEN static const struct event *send_of(int value)
{
    for (int i = 0; i < n_events; i++)
        if ((events[i].op == SEND || events[i].op == TRY_SEND) && events[i].value == value) return &events[i];
    return NULL;
}
UNSEEN static void check_senders(void) /* one receiver */
{
    for (int i = 0; i < n_events; i++) {
        const struct event *e = &events[i];
        if ((e->op != SEND && e->op != TRY_SEND) || !e->over || e->status != TRT_OK) continue;
        for (int v = 1; v < next_value; v++)
            if (e->behind >> v & 1 && send_of(v)->over && send_of(v)->status == TRT_OK &&
                place_of(v) > place_of(e->value))
                model_fail("%d has overtaken %d", e->value, v);
    }
}
UNSEEN static void check_receivers(void) /* one sender: values are in order */
{
    for (int i = 0; i < n_events; i++) {
        const struct event *e = &events[i];
        if ((e->op != RECV && e->op != TRY_RECV) || !e->over || e->status != TRT_OK) continue;
        for (int k = 0; k < n_events; k++)
            if (e->behind >> k & 1 && events[k].over && events[k].status == TRT_OK && events[k].value > e->value)
                model_fail("receiver %d has overtaken %d", i, k);
    }
}

/* One receives; when it has had enough, it is closed, and drained. */
static void senders(int threads, int each)
{
    unsigned long t[3];
    make_channel();
    if (capacity == TRT_UNBOUNDED || model_choose(2)) prelude(2);
    else for (size_t i = 0; i < capacity; i++) does(event(TRY_SEND));
    for (int i = 0; i < threads; i++) {
        for (int k = 0; k < each; k++) plan[i][k] = event(model_choose(3) ? SEND : TRY_SEND);
        plan[i][each] = NULL;
        t[i] = model_start(follows, (void *)(uintptr_t)i);
    }
    for (int n = next_value - 1; n > 0; n--) /* it waits only for what is there: perhaps nobody sends any more */
        does(event(model_choose(2) && trt_channel_len_(&channel) ? RECV : TRY_RECV));
    does(event(CLOSE));
    for (int i = 0; i < threads; i++) model_join(t[i]);
    drain();
    check_senders();
    end_channel();
}
static void senders_two(void) { senders(2, 2); }
static void senders_three(void) { senders(3, 1); }

/* One sends; it is closed at some time. */
static void receivers(int threads, int each)
{
    unsigned long t[4];
    make_channel();
    for (int i = 0; i < threads; i++) {
        for (int k = 0; k < each; k++) plan[i][k] = event(model_choose(3) ? RECV : TRY_RECV);
        plan[i][each] = NULL;
    }
    for (int k = 0; k < 4; k++) plan[threads][k] = event(model_choose(2) ? SEND : TRY_SEND);
    plan[threads][4] = NULL;
    for (int i = 0; i <= threads; i++) t[i] = model_start(follows, (void *)(uintptr_t)i);
    if (model_choose(2)) does(event(LEN));
    does(event(CLOSE));
    for (int i = 0; i <= threads; i++) model_join(t[i]);
    check_receivers();
    end_channel();
}
static void receivers_two(void) { receivers(2, 2); }
static void receivers_three(void) { receivers(3, 1); }

/* ---- tasks wait: with deadlines, in an any, for both ends, until they are aborted ---- */

static trt_notify never;
struct doer { struct event **next, *e; unsigned char in[BYTES], out[BYTES]; };
trt_async(int, doer)
{
    struct event *e = self->e;
    trt_op send = trt_send_(&channel, self->in), recv = trt_recv_(&channel, self->out);
    trt_body {
        while ((self->e = e = *self->next++) != NULL) {
            if (e->op != SEND && e->op != RECV && e->how != EITHER) {
                does(e);
                continue;
            }
            fill(self->in, e->value);
            fill(self->out, 128 + (int)(e - events));
            begin(e);
            if (e->how == PLAINLY) {
                trt_await(e->op == SEND ? send : recv);
            } else if (e->how == WITHIN) {
                trt_await(trt_within(trt_ms(1), e->op == SEND ? send : recv));
            } else if (e->how == IN_ANY) {
                if (e->op == SEND) trt_await_any(send, trt_sleep(trt_ms(1)));
                else trt_await_any(trt_notified(&never), recv, trt_sleep(trt_ms(1)));
            } else {
                trt_await_any(send, trt_within(trt_ms(1), recv));
                e->op = trt_chosen() == 0 ? SEND : RECV;
                e->behind = 0;
            }
            if (trt_status() == TRT_TIMED_OUT) continue; /* nothing has been done */
            if (e->how == IN_ANY && trt_chosen() != (e->op == RECV)) continue;
            MODEL_CHECK(trt_status() == TRT_OK || trt_status() == TRT_CLOSED);
            end(e, trt_status(), trt_status() == TRT_OK ? value_of(self->out) : 0);
        }
    }
}
static trt_handle(doer) doers[2];
struct passes_time { trt_void none; };
trt_async(int, passes_time)
{
    trt_body { trt_await(trt_sleep(trt_ms(3))); }
}
static void aborts(void *unused)
{
    (void)unused;
    for (int i = model_choose(8); i > 0; i--) model_yield();
    trt_abort(doers[0]);
}
static trt_runtime *start_runtime(void)
{
    trt_runtime *runtime;
    size_t workers = (size_t)model_choose(3);
    trt_config config = {.current_thread = !workers, .workers = workers, .stall_after = -1};
    model_refuse_threads((int)workers); /* no watch thread: every wake counts */
    MODEL_CHECK(trt_runtime_start(&runtime, &config) == TRT_OK);
    model_refuse_threads(-1);
    return runtime;
}
static void tasks_of(int each, int tries, bool is_aborted)
{
    trt_runtime *runtime;
    unsigned long t[2];
    make_channel();
    runtime = start_runtime();
    memset((void *)&never, 0, sizeof never);
    prelude(2);
    for (int i = 0; i < 2; i++) {
        for (int k = 0; k < each; k++) {
            struct event *e = plan[i][k] = event(model_choose(2) ? SEND : RECV);
            e->how = (enum how)model_choose(HOWS);
            if (e->how == EITHER && e->op == RECV) e->value = next_value++;
        }
        plan[i][each] = NULL;
    }
    make_plan(2, tries, 3);
    for (int i = 0; i < 2; i++) doers[i] = trt_spawn_on(runtime, doer, .next = plan[i]);
    t[0] = model_start(follows, (void *)(uintptr_t)2);
    if (is_aborted) t[1] = model_start(aborts, NULL);
    if (model_choose(2)) MODEL_CHECK(trt_block_on(runtime, passes_time, NULL) == TRT_OK);
    does(event(CLOSE));
    for (int i = 0; i < 2; i++) (void)trt_join_thread(doers[i], NULL);
    model_join(t[0]);
    if (is_aborted) model_join(t[1]);
    drain();
    for (int i = 0; i < n_events; i++) /* closed out: nothing was done */
        if (events[i].status == TRT_CLOSED && events[i].how == EITHER) events[i].over = false;
    MODEL_CHECK(trt_runtime_free(runtime) == TRT_OK);
    end_channel();
}
static void tasks(void) { tasks_of(3, 2, false); }
static void tasks_aborted(void) { tasks_of(3, 2, true); }

/* One task sends to the other, which mostly waits for it. Or both receive: the last message is taken by one, the other
 * waits, and its place is filled again. */
static void handed(bool receives)
{
    trt_runtime *runtime;
    unsigned long t;
    int n = receives ? 1 : SHORT;
    if (receives) open_channel(8, 2, 2);
    else make_channel();
    runtime = start_runtime();
    if (receives) for (int i = 0; i < 3; i++) does(event(i < 2 ? TRY_SEND : TRY_RECV));
    else prelude(2);
    for (int i = 0; i < 2; i++) {
        for (int k = 0; k < n; k++) plan[i][k] = event(i || receives ? RECV : SEND);
        plan[i][n] = NULL;
    }
    make_plan(2, receives ? 3 : model_choose(3), receives ? 1 : 2);
    for (int i = 0; i < 2; i++) doers[i] = trt_spawn_on(runtime, doer, .next = plan[i]);
    t = model_start(follows, (void *)(uintptr_t)2);
    MODEL_CHECK(trt_block_on(runtime, passes_time, NULL) == TRT_OK);
    model_join(t);
    does(event(CLOSE));
    for (int i = 0; i < 2; i++) (void)trt_join_thread(doers[i], NULL);
    drain();
    MODEL_CHECK(trt_runtime_free(runtime) == TRT_OK);
    end_channel();
}
static void handed_on(void) { handed(false); }
static void handed_behind_a_take(void) { handed(true); }

/* ---- freed by who has got the last message, or is woken: the other may still be on its way out ---- */

typedef trt_channel(int) ints;
static ints *freed;
static int ways;
static void frees(void)
{
    trt_channel_free(freed);
    MODEL_CHECK(!freed->base_.put.size && !freed->base_.first);
    if (model_choose(2)) { /* again, and elsewhere */
        int x = 0;
        MODEL_CHECK(trt_channel_init(freed, 2) == TRT_OK && trt_try_send(freed, &(int){7}) == TRT_OK);
        MODEL_CHECK(trt_try_recv(freed, &x) == TRT_OK && x == 7 && trt_try_recv(freed, &x) == TRT_EMPTY);
        trt_channel_free(freed);
    }
    TASKRT_FREE(freed);
}
static void the_other(void *unused)
{
    (void)unused;
    switch (ways) {
    case 0: MODEL_CHECK(trt_send_thread(freed, &(int){1}) == TRT_OK && trt_send_thread(freed, &(int){2}) == TRT_OK); break;
    case 1:
        while (trt_try_send(freed, &(int){1}) != TRT_OK) model_yield();
        while (trt_try_send(freed, &(int){2}) != TRT_OK) model_yield();
        break;
    case 2: (void)trt_channel_close(freed); break;
    case 3: MODEL_CHECK(trt_recv_thread(freed, NULL) == TRT_OK); break;
    case 4:
        while (trt_try_recv(freed, NULL) != TRT_OK) model_yield();
        break;
    }
}
struct last { int x, i; };
trt_async(int, last)
{
    trt_body {
        for (self->i = 0; self->i < (ways < 2 ? 2 : 1); self->i++) {
            if (ways < 3) trt_await(trt_recv(freed, &self->x));
            else trt_await(trt_send(freed, &self->x));
            MODEL_CHECK(trt_status() == (ways == 2 ? TRT_CLOSED : TRT_OK));
            if (ways < 2) MODEL_CHECK(self->x == self->i + 1);
        }
        frees();
    }
}
static void freed_by_last(void)
{
    static const size_t capacities[] = {1, 2, TRT_UNBOUNDED};
    trt_runtime *runtime = start_runtime();
    unsigned long t;
    model_allow_membarrier();
    ways = model_choose(5);
    freed = (ints *)TASKRT_MALLOC(sizeof *freed);
    MODEL_CHECK(trt_channel_init(freed, ways < 3 ? capacities[model_choose(3)] : 1) == TRT_OK);
    if (!freed->base_.bounded) freed->base_.bytes = sizeof(int);
    if (ways >= 3) MODEL_CHECK(trt_try_send(freed, &(int){0}) == TRT_OK); /* full: the second gets in as one is taken */
    t = model_start(the_other, NULL);
    MODEL_CHECK(trt_block_on(runtime, last, NULL) == TRT_OK);
    model_join(t);
    MODEL_CHECK(trt_runtime_free(runtime) == TRT_OK);
}

/* ---- the first that is complete in the order written ---- */

static trt_notify bell;
static unsigned char small[BYTES];
struct chooses { bool sends; };
trt_async(int, chooses)
{
    trt_body {
        if (self->sends) trt_await_any_biased(trt_send_(&channel, small), trt_notified(&bell));
        else trt_await_any_biased(trt_recv_(&channel, small), trt_notified(&bell));
        trt_return(trt_chosen());
    }
}
static void looks(void *unused)
{
    (void)unused;
    (void)trt_channel_len_(&channel);
}
static void biased(void)
{
    trt_runtime *runtime;
    trt_config config = {.current_thread = true, .stall_after = -1};
    unsigned long t;
    int chosen = -1;
    bool sends = model_choose(2);
    make_channel();
    model_refuse_threads(0); /* no watch thread */
    MODEL_CHECK(trt_runtime_start(&runtime, &config) == TRT_OK);
    model_refuse_threads(-1);
    memset((void *)&bell, 0, sizeof bell);
    trt_notify_one(&bell);
    does(event(TRY_SEND));
    if (model_choose(2)) does(event(TRY_SEND));
    if (sends) while (trt_try_recv_(&channel, small) != TRT_OK) continue;
    t = model_start(looks, NULL);
    MODEL_CHECK(trt_block_on(runtime, chooses, &chosen, .sends = sends) == TRT_OK && chosen == 0);
    model_join(t);
    MODEL_CHECK(trt_runtime_free(runtime) == TRT_OK);
    trt_channel_free_(&channel);
}

#define RANDOM .weak = 1, .spurious = 2
static const model_scenario scenarios[] = {
    {.name = "tries_two", .run = tries_two, RANDOM},
    {.name = "tries_three", .run = tries_three, RANDOM},
    {.name = "tries_closed", .run = tries_closed, RANDOM},
    {.name = "senders_two", .run = senders_two, RANDOM},
    {.name = "senders_three", .run = senders_three, RANDOM},
    {.name = "receivers_two", .run = receivers_two, RANDOM},
    {.name = "receivers_three", .run = receivers_three, RANDOM},
    {.name = "tasks", .run = tasks, .early = 2, RANDOM},
    {.name = "tasks_aborted", .run = tasks_aborted, .early = 2, RANDOM},
    {.name = "handed_on", .run = handed_on, .early = 2, RANDOM},
    {.name = "handed_behind_a_take", .run = handed_behind_a_take, .early = 2, RANDOM},
    {.name = "freed_by_last", .run = freed_by_last, RANDOM},
    {.name = "biased", .run = biased, RANDOM},
};

int main(int argc, char **argv)
{
    return model_main(argc, argv, scenarios, sizeof scenarios / sizeof *scenarios);
}
