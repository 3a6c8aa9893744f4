/* oracle.h - what every operation must return, and when: a sequential model, in plain C, of what FACE.md promises.
 *
 * The interpreter (fuzz.c) tells it what each coroutine does, in the order in which they do it, and asks whether what
 * came back is right. The model decides at the moment of each call who completes, with which status and which value;
 * the order in which the ready ones resume it does not foresee but watches. What holds in every order it checks:
 *
 *   - an await that is complete at once does not suspend; a child awaited in place runs next, and its caller after it
 *   - time moves only when nobody is ready, and then to the nearest timer exactly (so: no lost wake, nothing early)
 *   - each wait ends with the one status and value that the model has given it: first come, first served
 *   - bodies and cleanups begin when they may, once, and with the right reason
 *
 * Five things happen at moments that a program cannot see, and the model takes what it finds:
 *
 *   zombie   a wait that has lost (aborted, timed out) stays linked until its strand runs again, and may hold back
 *            those behind it; at the latest when the clock moves it is gone. So of a lock that was waited for behind one,
 *            the model does not know whether it came before an abort, or before another lock of the same await
 *   leaving  a frame that had to wait for forks or for its set after the cleanup ends when its strand runs again
 *   doomed   forks and branches are aborted when the strand that they belong to runs: a look at the cell tells when
 *   late     a branch of a try_all that has a deadline of its own runs once more when it is over; until then the other
 *            branches may complete
 *   a tie    of two timers of one await that are due at the same instant, either may win
 */
#ifndef ORACLE_H
#define ORACLE_H

enum { MOST_FRAMES = 24, MOST_WAITS = 4, CHANNELS = 3, ONESHOTS = 2, TOKENS = 3 };
enum { MOST_OPERATIONS = 700, MOST_MESSAGES = 1024 }; /* in one program, with room for the ends of its tasks */
enum { PENDING = -1, NOBODY = -1 };
#define NEVER INT64_MAX

/* name, how to decode it: S structure, N now, A await, M modifier of the awaits behind it */
#define OPS(X)                                                                                                         \
    X(END, S) X(DEFER, S) X(RETURN, N) X(FAIL, N) X(PANIC, N)                                                          \
    X(SPAWN, N) X(SPAWN_IN, N) X(SPAWN_DETACHED, N) X(FORK, N) X(ABORT, N) X(DETACH, N) X(IS_FINISHED, N)              \
    X(ABORT_ALL, N) X(DETACH_ALL, N) X(SET_LEN, N) X(TRY_JOIN_NEXT, N)                                                 \
    X(TRY_ACQUIRE, N) X(RELEASE, N) X(ADD_PERMITS, N) X(PERMITS, N) X(CLOSE_SEMAPHORE, N)                              \
    X(TRY_LOCK, N) X(TRY_READ, N) X(TRY_WRITE, N) X(UNLOCK, N) X(DOWNGRADE, N)                                         \
    X(TRY_SEND, N) X(TRY_RECV, N) X(CLOSE, N) X(LEN, N)                                                                \
    X(NOTIFY_ONE, N) X(NOTIFY_ALL, N) X(ONESHOT_SEND, N) X(ONESHOT_CLOSE, N)                                           \
    X(BROADCAST_SEND, N) X(BROADCAST_CLOSE, N) X(WATCH_SEND, N) X(WATCH_CLOSE, N)                                      \
    X(CANCEL, N) X(ONCE_DONE, N) X(ONCE_FAILED, N) X(SHUTDOWN, N)                                                      \
    X(YIELD, A) X(SLEEP, A) X(SLEEP_UNTIL, A) X(ADVANCE, A) X(TICK, A)                                                 \
    X(CALL, A) X(SYNC, A) X(JOIN, A) X(STOP, A) X(JOIN_NEXT, A) X(SET_SHUTDOWN, A)                                     \
    X(ACQUIRE, A) X(LOCK, A) X(READ, A) X(WRITE, A) X(NOTIFIED, A) X(BARRIER, A) X(ONCE, A) X(TOKEN_WAIT, A)           \
    X(ONESHOT_RECV, A) X(SEND, A) X(RECV, A) X(BROADCAST_RECV, A) X(CHANGED, A)                                        \
    X(WITHIN, M) X(ANY, M) X(BIASED, M) X(ALL, M) X(TRY_ALL, M)

enum {
#define X(name, how) OP_##name,
    OPS(X)
#undef X
        OP_COUNT
};
static const char *const op_names[] = {
#define X(name, how) #name,
    OPS(X)
#undef X
};
static const char op_how[] = {
#define X(name, how) #how[0],
    OPS(X)
#undef X
};

enum state {
    FRESH,   /* made, nothing of it has run */
    RUNNING, /* its code runs now */
    WAITING, /* in an await that is not complete */
    READY,   /* its await is complete, or lost: it runs again soon */
    DRAIN,   /* the body is over, forks are not */
    ENDING,  /* the cleanup is over, forks or members of its set are not */
    LEAVING, /* these are over too: so will it be, when its strand runs again */
    OVER
};
enum strand_kind { TASK, FORK, BRANCH, IN_PLACE };

struct wait {
    int op, object;
    int64_t n;          /* permits wanted, value to send, ... */
    int64_t due;        /* of a timer */
    int64_t deadline;   /* of trt_within */
    int child;          /* of a call */
    bool begun, linked; /* registered; in the queue of its object */
    bool aside;         /* a stop beside a joiner, or of a detached task */
    bool either;        /* due and timed out at the same instant */
    int status, value;
    uint64_t joined;    /* the id of the member, of join_next */
    long order;
};

struct frame {
    int script, pc;
    enum state state;
    bool cleaning;                      /* in its cleanup, or behind it */
    int form, n, begun, left;           /* the await: OP_YIELD for a plain one, else OP_ANY... */
    struct wait w[MOST_WAITS];
    unsigned winners;                   /* of an any: who may have won */
    bool lost;                          /* the wait has been ended by an abort */
    bool settled;                       /* what lost is unlinked */
    bool perhaps;                       /* complete, or lost: both happened since the last look */
    long looked;                        /* the look that found it complete, or 0 */
    int64_t claimed;                    /* when the wait ended */
    long ready_at;                      /* its place in the queue of the ready; 0: not known */
    int why, outcome, value;            /* why the body was left, what the joiner gets */
    int caller, caller_wait;            /* of a child awaited in place, or as a branch */
    unsigned maybe;                     /* of an aborted all: branches that may have got what they waited for */
    int64_t held[MOST_WAITS];           /* permits */
    int guard[MOST_WAITS], guard_of[MOST_WAITS];
    int64_t seen, next_value;           /* of its follower, its subscriber */
    int64_t tick, period;
    int missed;
    int slots, fork_failure;            /* forks so far, each has its place; the first failure */
    int members[MOST_FRAMES], ended[MOST_FRAMES], n_ended;
    bool set_spoiled;                   /* a shutdown of it did not come to its end */

    /* of the strand; valid in its outermost frame, whose number is `root` of all */
    int root, leaf;
    enum strand_kind kind;
    bool aborted, doomed, async;
    int cleanings;
    int parent;                         /* of a fork */
    int owner;                          /* of a set's member */
    bool consumed, detached;
    int slot;                           /* of a fork: where its result goes */
    trt_co *co;
    uint32_t generation;
    long left_at;
};

static struct model {
    struct frame f[MOST_FRAMES];
    int frames, expected, values, operations;
    int64_t now;
    long orders, looks;
    bool closing, looking, fifo, placeless;
    struct permits { int64_t available, total, most; bool closed; } permits[3]; /* semaphore, mutex, rwlock */
    struct { int queue[MOST_MESSAGES], head, len, capacity; bool closed; } channel[CHANNELS];
    struct { enum { EMPTY, FULL, CLOSED } state; int value; } oneshot[ONESHOTS];
    struct { int values[MOST_MESSAGES]; int64_t next, capacity; bool closed; } broadcast;
    struct { int64_t version; int value; bool closed; } watch;
    struct { bool permit; int rounds; } notify;
    bool cancelled[TOKENS];
    int parties;
    struct { enum { IDLE, BUSY, DONE } state; int by; } once;
} m;

__attribute__((format(printf, 1, 2), noreturn)) static void wrong(const char *format, ...);

static struct frame *root_of(const struct frame *f) { return &m.f[f->root]; }
static int index_of(const struct frame *f) { return (int)(f - m.f); }
static bool shielded(const struct frame *f) { return root_of(f)->cleanings > 0; }
static bool is_group(const struct frame *f) { return f->form != OP_YIELD || f->w[0].deadline != NEVER; }

/* Has the coroutine got the lock, or the permits, of its wait i? */
static bool holds(const struct frame *f, int i);
/* When its interval fires next. */
static int64_t interval_next(const struct frame *f);

static bool has_deadlines_of_its_own(const struct frame *f);
static int object_of_op(int op);
static void strand_over(struct frame *r);
static void run_group(struct frame *f);
static void grant(int object);
static void look_at_ends(void);
static void frame_over(struct frame *f);

/* ------------------------------------------------------------------------------------------------
 * Completing.
 */
static void unlink_all(struct frame *f)
{
    for (int i = 0; i < f->n; i++)
        f->w[i].linked = false;
    f->settled = true;
}

/* Forks of the strand, and branches of its await, may be aborted from now on. */
static void doom_branches(struct frame *f)
{
    for (int i = 0; i < f->n; i++)
        if (f->w[i].op == OP_CALL && m.f[f->w[i].child].state != OVER)
            m.f[f->w[i].child].doomed = true;
}
static void doom_forks(const struct frame *f)
{
    for (int i = 0; i < m.frames; i++)
        if (m.f[i].kind == FORK && m.f[i].parent == index_of(f) && m.f[i].state != OVER)
            m.f[i].doomed = true;
}

static void claimed(struct frame *f)
{
    f->state = READY;
    if (f->w[0].op != OP_YIELD && f->w[0].op != OP_ADVANCE) /* these are in the queue already */
        f->ready_at = m.placeless || m.looking || f->w[0].op == OP_SYNC ? 0 : ++m.orders; /* a sync may just go on */
    f->looked = m.looking ? m.looks : 0;
    f->claimed = m.now;
    doom_branches(f);
    if (f->lost)
        doom_forks(f);
}

static void interval_fires(struct frame *f, int64_t now)
{
    int64_t late = now - f->tick;
    if (late <= 5000000 || f->missed == TRT_BURST)
        f->tick += f->period;
    else if (f->missed == TRT_DELAY)
        f->tick = now + f->period;
    else
        f->tick = now + f->period - late % f->period;
}

/* What the library has made of an await of several. */
static const trt_group_ *group_of(const struct frame *f)
{
    const trt_waiter_ *w = &f->co->cell_->wait;
    return is_group(f) && w->kind == TRT_KIND_GROUP_ ? (const trt_group_ *)w->args.obj : NULL;
}

/* A branch of try_all with a deadline of its own has timed out, but has not run: until then the others may complete. */
static bool late_but_taken(const struct frame *f, int i)
{
    const trt_group_ *g = f->state == READY && !f->lost && !f->settled ? group_of(f) : NULL;
    return g && f->form == OP_TRY_ALL && has_deadlines_of_its_own(f) && (g->winner < 0 || g->winner == i) &&
           g->member[i].status != TRT_PENDING;
}

/* Of two locks that an any waits for, the other one may have come first, when a zombie in front of it went unseen. */
static int other_lock(const struct frame *f, int i)
{
    const trt_group_ *g = f->form == OP_ANY || f->form == OP_BIASED ? group_of(f) : NULL;
    int winner = g ? g->winner : -1;
    if (winner < 0 || winner >= f->n || winner == i)
        return -1;
    return object_of_op(f->w[winner].op) >= 0 && object_of_op(f->w[i].op) >= 0 ? winner : -1;
}

/* The wait gets what it waits for, unless it has lost: then nothing happens. */
static bool complete(struct frame *f, int i, int status, int value)
{
    struct wait *w = &f->w[i];
    int other;
    if (status != TRT_TIMED_OUT) /* that is decided elsewhere: it becomes a zombie */
        w->linked = false;
    if (f->state == WAITING && w->status == PENDING && (other = other_lock(f, i)) >= 0) {
        m.permits[object_of_op(f->w[other].op)].available -= f->w[other].n;
        complete(f, other, TRT_OK, 0);
    }
    if (w->status != PENDING || (f->state != WAITING && !late_but_taken(f, i)))
        return false;
    w->status = status;
    w->value = value;
    if (w->op == OP_TICK && status == TRT_OK)
        interval_fires(f, m.now);
    if (w->op == OP_CHANGED && status == TRT_OK)
        f->seen = m.watch.version;
    if (w->op == OP_ACQUIRE && status == TRT_OK)
        f->held[i] = w->n;
    if ((w->op == OP_LOCK || w->op == OP_READ || w->op == OP_WRITE) && status == TRT_OK) {
        f->guard[i] = w->op;
        f->guard_of[i] = w->object;
    }
    if (w->op == OP_ONCE && status == TRT_OK && value) {
        m.once.state = BUSY;
        m.once.by = index_of(f);
    }
    if (f->state != WAITING) {
        if (status != TRT_OK) /* and even fail first */
            f->winners |= 1u << i;
        return true;
    }
    if (f->form == OP_ALL || f->form == OP_TRY_ALL) {
        f->left--;
        if ((f->form == OP_TRY_ALL && status != TRT_OK) || (w->op == OP_CALL && status == TRT_PANICKED))
            f->winners = 1u << i;
        else if (f->left > 0)
            return true;
    } else {
        f->winners = 1u << i;
    }
    claimed(f);
    return true;
}

/* The next in the queue of an object, zombies included. */
static struct frame *first_of(int op, int op2, int object, bool aside, int *wait)
{
    struct frame *first = NULL;
    long order = LONG_MAX;
    for (int i = 0; i < m.frames; i++) {
        for (int k = 0; k < m.f[i].n; k++) {
            struct wait *w = &m.f[i].w[k];
            if (!w->linked || (w->op != op && w->op != op2) || w->object != object || w->order > order || w->aside != aside)
                continue;
            first = &m.f[i];
            *wait = k;
            order = w->order;
        }
    }
    return first;
}
static struct frame *first_waiter(int op, int op2, int object, int *wait)
{
    return first_of(op, op2, object, false, wait);
}

static bool lost(const struct frame *f, int wait) { return f->state != WAITING || f->w[wait].status != PENDING; }

static bool has_zombies(int op, int op2, int object)
{
    for (int i = 0; i < m.frames; i++)
        for (int k = 0; k < m.f[i].n; k++) {
            const struct wait *w = &m.f[i].w[k];
            if (w->linked && (w->op == op || w->op == op2) && w->object == object && lost(&m.f[i], k))
                return true;
        }
    return false;
}

static bool complete_first(int op, int object, int status, int value)
{
    struct frame *f;
    int i;
    while ((f = first_waiter(op, op, object, &i)) != NULL)
        if (complete(f, i, status, value))
            return true;
    return false;
}
static void complete_all(int op, int object, int status, int value)
{
    while (complete_first(op, object, status, value)) {}
}

/* ------------------------------------------------------------------------------------------------
 * Permits. 0: the semaphore, 1: the mutex, 2: the read-write lock.
 */
static int op_of_permits(int object) { return object == 0 ? OP_ACQUIRE : object == 1 ? OP_LOCK : OP_READ; }
static int op2_of_permits(int object) { return object == 2 ? OP_WRITE : op_of_permits(object); }
static int object_of_op(int op)
{
    return op == OP_ACQUIRE ? 0 : op == OP_LOCK ? 1 : op == OP_READ || op == OP_WRITE ? 2 : -1;
}
static int64_t permits_of_guard(int op) { return op == OP_WRITE ? (int64_t)1 << 29 : 1; }

static bool permits_queue(int object)
{
    int i;
    return first_waiter(op_of_permits(object), op2_of_permits(object), object, &i) != NULL;
}
static bool permits_zombies(int object)
{
    return has_zombies(op_of_permits(object), op2_of_permits(object), object);
}

static void grant(int object)
{
    struct permits *p = &m.permits[object];
    struct frame *f;
    int i;
    while ((f = first_waiter(op_of_permits(object), op2_of_permits(object), object, &i)) != NULL) {
        if (p->closed) {
            complete(f, i, TRT_CLOSED, 0);
            continue;
        }
        if (f->w[i].n > p->available)
            return; /* it holds back those behind it, also if it has lost and is still there */
        int64_t n = f->w[i].n;
        if (complete(f, i, TRT_OK, 0))
            p->available -= n;
    }
}

/* Who is let in because a zombie has gone: when that was, nobody can see. */
static void grant_late(int object)
{
    m.placeless = true;
    grant(object);
    m.placeless = false;
}

static bool permits_try(int object, int64_t n)
{
    struct permits *p = &m.permits[object];
    if (p->closed || permits_queue(object) || p->available < n)
        return false;
    p->available -= n;
    return true;
}

static void permits_give(int object, int64_t n)
{
    m.permits[object].available += n;
    grant(object);
}

/* A wait of a lock may have become complete when a zombie in front of it went. */
static void purge_for(const struct frame *f, int i)
{
    int object = object_of_op(f->w[i].op);
    if (object < 0 || !f->w[i].linked)
        return;
    for (int k = 0; k < m.frames; k++)
        for (int j = 0; j < m.f[k].n; j++)
            if (object_of_op(m.f[k].w[j].op) == object && m.f[k].w[j].order < f->w[i].order && lost(&m.f[k], j))
                m.f[k].w[j].linked = false;
    grant_late(object);
}

/* What the library says of a wait for permits: a zombie in front of it may have gone unseen. Of an all, the others may
 * still be pending. */
static bool has_completed(const struct frame *f, int i)
{
    const trt_waiter_ *w = &f->co->cell_->wait;
    if (!f->w[i].linked || object_of_op(f->w[i].op) < 0)
        return false;
    if (f->form == OP_ALL || f->form == OP_TRY_ALL)
        return holds(f, i);
    if (w->kind != TRT_KIND_GROUP_)
        return w->status != TRT_PENDING;
    return ((const trt_group_ *)w->args.obj)->winner >= 0;
}

/* Of an all: the branch that is left, if there is only one. */
static int only_pending(const struct frame *f)
{
    int left = -1;
    for (int i = 0; i < f->n; i++) {
        if (f->w[i].status != PENDING)
            continue;
        if (left >= 0)
            return -1;
        left = i;
    }
    return left;
}

/* It did go unseen, and the abort that the model has seen came later. Wait i got its permits, if there are any. */
static void complete_as_found(struct frame *f, int i)
{
    int object;
    if (f->form == OP_ALL || f->form == OP_TRY_ALL)
        i = only_pending(f);
    object = i >= 0 && i < f->n ? object_of_op(f->w[i].op) : -1;
    if (object < 0 || m.permits[object].available < f->w[i].n)
        return;
    f->state = WAITING;
    f->lost = false;
    m.permits[object].available -= f->w[i].n;
    complete(f, i, TRT_OK, 0);
}

/* It was not complete after all, but aborted before: nothing is taken. */
static void take_nothing(struct frame *f)
{
    for (int i = 0; i < f->n; i++) {
        int object = object_of_op(f->w[i].op);
        if (object < 0 || f->w[i].status != TRT_OK)
            continue;
        f->held[i] = 0;
        f->guard[i] = NOBODY;
        m.permits[object].available += f->w[i].n;
    }
}

/* A branch that ends by itself, of an await that was aborted: does the frame hold the lock? */
static void hold_as_found(struct frame *f, int i, bool has)
{
    int object = f->maybe >> i & 1 ? object_of_op(f->w[i].op) : -1;
    f->maybe &= ~(1u << i);
    if (object < 0 || has == (f->guard[i] != NOBODY || f->held[i] != 0))
        return;
    m.permits[object].available += has ? -f->w[i].n : f->w[i].n;
    if (object == 0)
        f->held[i] = has ? f->w[i].n : 0;
    else
        f->guard[i] = has ? f->w[i].op : NOBODY;
    f->guard_of[i] = object;
}

/* An await of several was aborted in the instant in which its interval was due: perhaps that had fired, as one of the
 * late, or as the other timer of a tie. */
static void tick_as_found(struct frame *f)
{
    for (int i = 0; i < f->n; i++) {
        int64_t before = f->tick;
        if (f->w[i].op != OP_TICK || f->w[i].status == TRT_OK || !f->w[i].begun || f->w[i].due > m.now)
            continue;
        interval_fires(f, f->claimed);
        if (interval_next(f) != f->tick)
            f->tick = before;
    }
}

/* Branches of an all with deadlines of their own end by themselves. */
static bool has_deadlines_of_its_own(const struct frame *f)
{
    bool some = false;
    for (int i = 0; i < f->n; i++)
        some = some || f->w[i].deadline != NEVER;
    return some && (f->form == OP_ALL || f->form == OP_TRY_ALL);
}

/* ------------------------------------------------------------------------------------------------
 * Aborting.
 */
/* From here on the strand ends at its next await, or at once if it waits. */
static void abort_strand(struct frame *r)
{
    struct frame *leaf = &m.f[r->leaf];
    if (r->state == OVER || r->aborted)
        return;
    r->aborted = true;
    bool unseen = (m.looking && leaf->looked == m.looks) || has_deadlines_of_its_own(leaf);
    if (leaf->state == READY && !shielded(r) && unseen) {
        leaf->perhaps = true;
        doom_forks(leaf);
    }
    if (leaf->state != WAITING || shielded(r))
        return;
    for (int i = 0; i < leaf->n && leaf->state == WAITING; i++)
        if (has_completed(leaf, i))
            purge_for(leaf, i);
    if (leaf->state != WAITING)
        return;
    leaf->lost = true;
    leaf->winners = 0;
    claimed(leaf);
}

static void abort_everything(void)
{
    m.closing = m.placeless = true;
    for (int i = 0; i < m.frames; i++)
        if (m.f[i].kind == TASK)
            abort_strand(&m.f[i]);
    m.placeless = false;
}

static bool has_completed_any(const struct frame *f)
{
    for (int i = 0; i < f->n && f->state == WAITING; i++)
        if (has_completed(f, i))
            return true;
    return false;
}

/* Which of the strands that may be aborted have been? First those that got nothing before: what they have left, or were
 * no longer there for, the others have got. */
static void look_at_aborts(bool all_known)
{
    m.looking = true;
    for (int k = 0; k < 2 * m.frames; k++) {
        struct frame *r = &m.f[k % m.frames];
        bool first = k < m.frames;
        if (r->root != index_of(r) || r->state == OVER || !r->co || r->aborted)
            continue;
        if (!(atomic_load(&r->co->cell_->state) & TRT_ABORT_) || (first && has_completed_any(&m.f[r->leaf])))
            continue;
        if (!r->doomed && (first || !all_known))
            continue; /* of a moment that the model has not come to yet */
        if (!r->doomed)
            wrong("task %d was aborted, but by nobody", index_of(r));
        abort_strand(r);
    }
    m.looking = false;
}

/* ------------------------------------------------------------------------------------------------
 * Time.
 */
static bool is_timer(const struct wait *w) { return w->op == OP_SLEEP || w->op == OP_SLEEP_UNTIL || w->op == OP_TICK; }

static int64_t next_timer(void)
{
    int64_t next = NEVER;
    for (int i = 0; i < m.frames; i++) {
        for (int k = 0; m.f[i].state == WAITING && k < m.f[i].n; k++) {
            const struct wait *w = &m.f[i].w[k];
            if (w->status != PENDING || !w->begun)
                continue;
            if (is_timer(w) && w->due < next)
                next = w->due;
            if (w->deadline < next)
                next = w->deadline;
        }
    }
    return next;
}

static void fire_one(struct frame *f, int k)
{
    struct wait *w = &f->w[k];
    bool due = is_timer(w) && w->due <= m.now, late = w->deadline <= m.now;
    if (w->status != PENDING || !w->begun || (!due && !late))
        return;
    if (f->state == READY) { /* a tie of an any */
        f->winners |= 1u << k;
        w->status = due ? TRT_OK : TRT_TIMED_OUT;
    } else {
        complete(f, k, due ? TRT_OK : TRT_TIMED_OUT, 0);
    }
    w->either = due && late;
}

static void fire_timers(void)
{
    m.placeless = true; /* all at once */
    for (int i = 0; i < m.frames; i++) {
        struct frame *f = &m.f[i];
        if (f->state != WAITING)
            continue;
        for (int k = 0; k < f->n; k++)
            if (f->state == WAITING || (f->form != OP_ALL && f->form != OP_TRY_ALL) ||
                (f->form == OP_TRY_ALL && f->w[k].deadline <= m.now))
                fire_one(f, k);
    }
    m.placeless = false;
}

static bool lingers(const struct frame *f)
{
    for (int i = 0; i < f->n && f->state == READY; i++)
        if (f->w[i].op == OP_CALL && m.f[f->w[i].child].state != OVER)
            return true;
    return false;
}
static int live_forks(const struct frame *f)
{
    int n = 0;
    for (int i = 0; i < m.frames; i++)
        n += m.f[i].kind == FORK && m.f[i].parent == index_of(f) && m.f[i].state != OVER;
    return n;
}
static int live_members(const struct frame *f)
{
    int n = 0;
    for (int i = 0; i < m.frames; i++)
        n += f->members[i] && m.f[i].state != OVER;
    return n;
}

static int branch_panic(const struct frame *f)
{
    for (int i = 0; i < f->n; i++)
        if (f->w[i].op == OP_CALL && m.f[f->w[i].child].why == TRT_PANICKED)
            return TRT_PANICKED;
    return TRT_OK;
}

/* Its forks end first, then its cleanup begins. */
static bool drains(const struct frame *f) { return (f->lost || f->perhaps || branch_panic(f)) && live_forks(f); }

/* The clock is about to move by itself: then nothing can run. */
static void check_idle(void)
{
    for (int i = 0; i < m.frames; i++) {
        struct frame *f = &m.f[i];
        const struct frame *r = root_of(f);
        if (f->state == FRESH)
            wrong("time moved, but task %d has not been started", i);
        if (f->state == WAITING && (f->w[0].op == OP_YIELD || f->w[0].op == OP_ADVANCE))
            wrong("time moved, but task %d only yields", i);
        if (f->state == READY && !lingers(f) && r->leaf == i && !drains(f))
            wrong("time moved, but task %d is ready", i);
        if (f->state == LEAVING && !(f->kind == IN_PLACE && live_forks(&m.f[f->caller])))
            wrong("time moved, but task %d has not ended", i);
        if (f->state == DRAIN && !live_forks(f))
            wrong("time moved, but the cleanup of task %d has not begun", i);
        if (f->state != OVER && r == f && f->kind == BRANCH && f->doomed && !f->aborted &&
            m.f[f->caller].state == READY)
            wrong("time moved, but branch %d was not aborted", i);
        if (f->state != OVER && f->kind == FORK && !f->aborted && m.f[f->parent].state == DRAIN)
            wrong("time moved, but fork %d was not aborted", i);
    }
}

static void settle_all(void)
{
    for (int i = 0; i < m.frames; i++)
        if (m.f[i].state == READY && !m.f[i].settled)
            unlink_all(&m.f[i]);
    for (int i = 0; i < 3; i++)
        grant_late(i);
}

static void clock_to(int64_t now)
{
    while (m.now < now) {
        int64_t next;
        look_at_ends();
        look_at_aborts(false);
        settle_all();
        check_idle();
        next = next_timer();
        if (next > now)
            wrong("it is %lld, but the next timer is %lld", (long long)now, (long long)next);
        m.now = next;
        fire_timers();
    }
    if (m.now > now)
        wrong("it is %lld, but it has been %lld", (long long)now, (long long)m.now);
}

/* trt_advance: step by step, and nobody runs in between. */
static void advance_to(int64_t until)
{
    int64_t next;
    while ((next = next_timer()) <= until && next != NEVER) {
        if (next > m.now)
            m.now = next;
        fire_timers();
    }
    m.now = until;
}

/* ------------------------------------------------------------------------------------------------
 * Awaits: what they find when they begin.
 */
static void enqueue(struct wait *w)
{
    w->linked = true;
    w->order = ++m.orders;
}

static void begin_permits(struct frame *f, int i, int object)
{
    struct wait *w = &f->w[i];
    if (m.permits[object].closed)
        complete(f, i, TRT_CLOSED, 0);
    else if (permits_try(object, w->n))
        complete(f, i, TRT_OK, 0);
    else
        enqueue(w);
}

static int channel_pop(int c)
{
    int value = m.channel[c].queue[m.channel[c].head++];
    struct frame *f;
    int i;
    m.channel[c].len--;
    while (m.channel[c].len < m.channel[c].capacity && (f = first_waiter(OP_SEND, OP_SEND, c, &i)) != NULL) {
        int sent = (int)f->w[i].n;
        if (!complete(f, i, TRT_OK, 0))
            continue;
        m.channel[c].queue[m.channel[c].head + m.channel[c].len++] = sent;
    }
    return value;
}

/* TRT_FULL: there is no room. */
static int channel_push(int c, int value)
{
    if (m.channel[c].closed)
        return TRT_CLOSED;
    if (!m.channel[c].len && complete_first(OP_RECV, c, TRT_OK, value))
        return TRT_OK;
    if (m.channel[c].len >= m.channel[c].capacity)
        return TRT_FULL;
    m.channel[c].queue[m.channel[c].head + m.channel[c].len++] = value;
    return TRT_OK;
}

static void begin_recv(struct frame *f, int i, int c)
{
    if (m.channel[c].len)
        complete(f, i, TRT_OK, channel_pop(c));
    else if (m.channel[c].closed)
        complete(f, i, TRT_CLOSED, 0);
    else
        enqueue(&f->w[i]);
}

static void begin_send(struct frame *f, int i, int c)
{
    int status = channel_push(c, (int)f->w[i].n);
    if (status == TRT_FULL)
        enqueue(&f->w[i]);
    else
        complete(f, i, status, 0);
}

/* Takes the outcome of an ended task. */
static void consume(struct frame *task, struct frame *f, int i, bool stop)
{
    task->consumed = true;
    complete(f, i, stop ? TRT_OK : task->outcome, task->value);
}

/* The task that f belongs to. */
static struct frame *task_of(const struct frame *f)
{
    struct frame *r = root_of(f);
    while (r->kind != TASK)
        r = root_of(&m.f[r->kind == FORK ? r->parent : r->caller]);
    return r;
}

static struct frame *aside_of(const struct frame *task, int *wait)
{
    return first_of(OP_STOP, OP_STOP, index_of(task), true, wait);
}

static struct frame *joiner_of(const struct frame *task, int *wait)
{
    return first_waiter(OP_JOIN, OP_STOP, index_of(task), wait);
}

static void begin_join(struct frame *f, int i, bool stop)
{
    struct frame *task = &m.f[f->w[i].object];
    int wait;
    if (stop && !task->consumed && task->owner == NOBODY)
        abort_strand(task);
    if (task->consumed) {
        complete(f, i, stop ? TRT_OK : TRT_MISUSE, 0);
    } else if (task->owner != NOBODY || task_of(f) == task) {
        complete(f, i, TRT_MISUSE, 0);
    } else if (task->state == OVER) {
        consume(task, f, i, stop);
    } else if (!task->detached && !joiner_of(task, &wait)) {
        enqueue(&f->w[i]);
    } else if (stop) {
        f->w[i].aside = true;
        enqueue(&f->w[i]);
    } else {
        complete(f, i, TRT_MISUSE, 0);
    }
}

static int set_len(const struct frame *f)
{
    int n = 0;
    for (int i = 0; i < m.frames; i++)
        n += f->members[i];
    return n;
}

static int set_pop(struct frame *f)
{
    int member = f->ended[0];
    f->n_ended--;
    memmove(f->ended, f->ended + 1, (size_t)f->n_ended * sizeof f->ended[0]);
    f->members[member] = 0;
    m.f[member].consumed = true;
    return member;
}

static void begin_join_next(struct frame *f, int i)
{
    if (f->n_ended) {
        const struct frame *member = &m.f[set_pop(f)];
        f->w[i].joined = (uint64_t)index_of(member);
        complete(f, i, member->outcome, member->value);
    } else if (!set_len(f)) {
        complete(f, i, TRT_EMPTY, 0);
    } else {
        enqueue(&f->w[i]);
    }
}

static void abort_members(struct frame *f)
{
    m.placeless = true; /* in no order */
    for (int i = 0; i < m.frames; i++)
        if (f->members[i])
            abort_strand(&m.f[i]);
    m.placeless = false;
}

static void begin_set_shutdown(struct frame *f, int i)
{
    while (f->n_ended)
        set_pop(f);
    f->set_spoiled = true;
    if (!set_len(f)) {
        complete(f, i, TRT_OK, 0);
        return;
    }
    enqueue(&f->w[i]);
    abort_members(f);
}

static void begin_sync(struct frame *f, int i)
{
    if (live_forks(f)) {
        enqueue(&f->w[i]);
        return;
    }
    complete(f, i, f->fork_failure, 0);
    f->fork_failure = TRT_OK;
}

static void begin_barrier(struct frame *f, int i)
{
    int arrived = 1;
    for (int k = 0; k < m.frames; k++)
        for (int j = 0; j < m.f[k].n; j++)
            arrived += m.f[k].w[j].linked && m.f[k].w[j].op == OP_BARRIER && !lost(&m.f[k], j);
    if (arrived < m.parties) {
        enqueue(&f->w[i]);
        return;
    }
    complete_all(OP_BARRIER, 0, TRT_OK, false);
    complete(f, i, TRT_OK, true);
}

static void begin_oneshot(struct frame *f, int i, int o)
{
    if (m.oneshot[o].state == EMPTY) {
        enqueue(&f->w[i]);
        return;
    }
    bool full = m.oneshot[o].state == FULL;
    m.oneshot[o].state = CLOSED;
    complete(f, i, full ? TRT_OK : TRT_CLOSED, m.oneshot[o].value);
}

static void begin_broadcast(struct frame *f, int i)
{
    int64_t oldest = m.broadcast.next - m.broadcast.capacity;
    if (f->next_value < oldest) {
        f->w[i].n = oldest - f->next_value;
        f->next_value = oldest;
        complete(f, i, TRT_LAGGED, 0);
    } else if (f->next_value < m.broadcast.next) {
        complete(f, i, TRT_OK, m.broadcast.values[f->next_value++]);
    } else if (m.broadcast.closed) {
        complete(f, i, TRT_CLOSED, 0);
    } else {
        enqueue(&f->w[i]);
    }
}

static void begin_changed(struct frame *f, int i)
{
    if (f->seen < m.watch.version) {
        f->seen = m.watch.version;
        complete(f, i, TRT_OK, m.watch.value);
    } else if (m.watch.closed) {
        complete(f, i, TRT_CLOSED, 0);
    } else {
        enqueue(&f->w[i]);
    }
}

static void begin_once(struct frame *f, int i)
{
    if (m.once.state == BUSY)
        enqueue(&f->w[i]);
    else
        complete(f, i, TRT_OK, m.once.state == IDLE);
}

static void begin_notified(struct frame *f, int i)
{
    bool missed = f->w[i].n != m.notify.rounds;
    if (!missed && !m.notify.permit) {
        enqueue(&f->w[i]);
        return;
    }
    if (!missed)
        m.notify.permit = false;
    complete(f, i, TRT_OK, 0);
}

static void begin_wait(struct frame *f, int i)
{
    struct wait *w = &f->w[i];
    w->begun = true;
    switch (w->op) {
    case OP_SLEEP:
    case OP_SLEEP_UNTIL:
    case OP_TICK:
        if (w->due <= m.now)
            complete(f, i, TRT_OK, 0);
        break;
    case OP_ACQUIRE: begin_permits(f, i, 0); break;
    case OP_LOCK: begin_permits(f, i, 1); break;
    case OP_READ:
    case OP_WRITE: begin_permits(f, i, 2); break;
    case OP_RECV: begin_recv(f, i, w->object); break;
    case OP_SEND: begin_send(f, i, w->object); break;
    case OP_JOIN: begin_join(f, i, false); break;
    case OP_STOP: begin_join(f, i, true); break;
    case OP_JOIN_NEXT: begin_join_next(f, i); break;
    case OP_SET_SHUTDOWN: begin_set_shutdown(f, i); break;
    case OP_SYNC: begin_sync(f, i); break;
    case OP_BARRIER: begin_barrier(f, i); break;
    case OP_ONESHOT_RECV: begin_oneshot(f, i, w->object); break;
    case OP_BROADCAST_RECV: begin_broadcast(f, i); break;
    case OP_CHANGED: begin_changed(f, i); break;
    case OP_ONCE: begin_once(f, i); break;
    case OP_NOTIFIED: begin_notified(f, i); break;
    case OP_TOKEN_WAIT:
        if (m.cancelled[w->object])
            complete(f, i, TRT_OK, 0);
        else
            enqueue(w);
        break;
    default: break;
    }
}

/* Begin what has not begun of the await, in order. A branch runs until it suspends, then it goes on from there. */
static void run_group(struct frame *f)
{
    while (f->state == WAITING && f->begun < f->n) {
        int i = f->begun++;
        if (f->w[i].op == OP_CALL) {
            f->w[i].begun = true;
            m.expected = f->w[i].child;
            return;
        }
        begin_wait(f, i);
        if (f->form == OP_ALL || f->form == OP_TRY_ALL)
            if (f->w[i].deadline <= m.now && f->w[i].status == PENDING)
                complete(f, i, TRT_TIMED_OUT, 0);
    }
    for (int i = 0; i < f->n && f->state == WAITING; i++)
        if (f->w[i].deadline <= m.now && f->w[i].status == PENDING)
            complete(f, i, TRT_TIMED_OUT, 0);
    if (f->state == READY)
        unlink_all(f);
}

/* A strand that ran on top of another has suspended or ended: that one goes on. */
static void goes_async(struct frame *r)
{
    if (r->async)
        return;
    r->async = true;
    if (r->kind == BRANCH)
        run_group(&m.f[r->caller]);
}

static bool has_call(const struct frame *f)
{
    for (int i = 0; i < f->n; i++)
        if (f->w[i].op == OP_CALL)
            return true;
    return false;
}

/* The await of f, described in f->w, begins. */
static void begin_await(struct frame *f)
{
    struct frame *r = root_of(f);
    bool group = is_group(f), in_place = has_call(f) && !group;
    f->state = WAITING;
    f->winners = 0;
    f->lost = f->settled = f->perhaps = false;
    f->begun = 0;
    f->left = f->n;
    for (int i = 0; i < f->n; i++) {
        f->w[i].status = PENDING;
        f->w[i].begun = f->w[i].linked = f->w[i].either = false;
        f->w[i].value = 0;
    }
    if (in_place)
        r->leaf = f->w[0].child;
    if (r->aborted && !shielded(r)) { /* nothing begins, but the cleanup of a child in place runs */
        f->lost = true;
        claimed(f);
        f->settled = true;
        f->ready_at = 0; /* it goes on, or waits for its branches */
        m.expected = in_place ? f->w[0].child : index_of(f);
        if (!in_place && (has_call(f) || live_forks(f) || !r->async || has_deadlines_of_its_own(f)))
            m.expected = NOBODY; /* branches end first */
        if (!r->async && has_call(f) && group)
            goes_async(r);
        return;
    }
    f->ready_at = 0;
    if (f->w[0].op == OP_ADVANCE || f->w[0].op == OP_YIELD)
        f->ready_at = ++m.orders;
    if (f->w[0].op == OP_ADVANCE) {
        advance_to(m.now + f->w[0].n);
        goes_async(r);
        return;
    }
    if (f->w[0].op == OP_YIELD) {
        goes_async(r);
        return;
    }
    run_group(f);
    if (f->state == READY)
        m.expected = lingers(f) ? NOBODY : index_of(f);
    else if (!has_call(f))
        goes_async(r);
}

/* ------------------------------------------------------------------------------------------------
 * The life of a frame.
 */
static struct frame *frame_new(int script, enum strand_kind kind, const struct frame *by)
{
    struct frame *f = &m.f[m.frames];
    memset(f, 0, sizeof *f);
    f->script = script;
    f->kind = kind;
    f->root = kind == IN_PLACE ? by->root : m.frames;
    f->leaf = m.frames++;
    f->caller = f->parent = f->owner = NOBODY;
    f->async = kind == TASK;
    f->ready_at = kind == TASK ? ++m.orders : 0;
    f->seen = f->next_value = -1;
    for (int i = 0; i < MOST_WAITS; i++)
        f->guard[i] = NOBODY;
    return f;
}

/* Without a seed the queue is first in, first out: is one ready that has been so for longer? */
static bool in_queue(const struct frame *f)
{
    if (!f->ready_at || root_of(f)->leaf != index_of(f) || (root_of(f)->aborted && live_forks(f)) ||
        drains(f))
        return false; /* or it waits for its forks to end */
    return (f->state == FRESH && f->kind == TASK) ||
           (f->state == READY && !has_call(f) && !has_deadlines_of_its_own(f)) ||
           (f->state == WAITING && (f->w[0].op == OP_YIELD || f->w[0].op == OP_ADVANCE));
}

static void check_queue(struct frame *f, bool continues)
{
    if (m.fifo && !continues && in_queue(f))
        for (int i = 0; i < m.frames; i++)
            if (in_queue(&m.f[i]) && m.f[i].ready_at < f->ready_at)
                wrong("task %d runs, but %d has been ready for longer", index_of(f), i);
}

/* The code of f runs: a place in time for all that the model knows. */
static void event(struct frame *f)
{
    bool continues = m.expected == index_of(f);
    clock_to(trt_now());
    look_at_ends();
    look_at_aborts(true);
    if (m.expected != NOBODY && m.expected != index_of(f))
        wrong("task %d runs, but %d is complete at once", index_of(f), m.expected);
    m.expected = NOBODY;
    while (root_of(f)->leaf != index_of(f) && m.f[root_of(f)->leaf].state == LEAVING)
        frame_over(&m.f[root_of(f)->leaf]);
    if (root_of(f)->leaf != index_of(f))
        wrong("task %d runs, but what it awaits in place, %d, does not", index_of(f), root_of(f)->leaf);
    check_queue(f, continues);
}

static void body_begins(struct frame *f, trt_co *co)
{
    f->co = co;
    f->generation = TRT_GENERATION_(atomic_load(&co->cell_->state));
    event(f);
    if (f->state != FRESH)
        wrong("the body of task %d began twice", index_of(f));
    if (root_of(f)->aborted && !shielded(f))
        wrong("the body of task %d began, but it was aborted before", index_of(f));
    f->state = RUNNING;
}

/* f goes on behind its await. */
static void await_ends(struct frame *f)
{
    event(f);
    if (f->state == WAITING && (f->w[0].op == OP_YIELD || f->w[0].op == OP_ADVANCE))
        complete(f, 0, TRT_OK, 0);
    for (int i = 0; i < f->n && f->state == WAITING; i++)
        purge_for(f, i);
    if (f->state != READY)
        wrong("task %d resumed, but what it awaits is not complete", index_of(f));
    if (f->lost)
        complete_as_found(f, f->form == OP_YIELD ? 0 : f->co->chosen_);
    if (f->lost)
        wrong("task %d resumed, but its await was aborted", index_of(f));
    if (lingers(f))
        wrong("task %d resumed, but a child of its await has not ended", index_of(f));
    if (branch_panic(f))
        wrong("task %d resumed, but a child has panicked", index_of(f));
    unlink_all(f);
    for (int i = 0; i < 3; i++)
        grant_late(i);
    f->state = RUNNING;
}

/* The status that await must give; -1 for no index. */
static void check_outcome(struct frame *f, int status, int chosen, const int statuses[])
{
    int want = TRT_OK, index = -1;
    if (f->form == OP_ALL || f->form == OP_TRY_ALL) {
        for (int i = f->n - 1; i >= 0; i--) {
            int each = f->w[i].status == PENDING ? TRT_CANCELLED : f->w[i].status;
            bool tie = f->winners && (each != TRT_OK || (is_timer(&f->w[i]) && f->w[i].due == f->claimed));
            bool ambiguous = f->w[i].either || (tie && (f->winners & (f->winners - 1) || is_timer(&f->w[i])));
            if (ambiguous && f->w[i].op == OP_TICK && f->w[i].status != TRT_OK && statuses[i] == TRT_OK)
                interval_fires(f, f->claimed);
            if (ambiguous)
                each = f->w[i].status = statuses[i];
            if (each != statuses[i])
                wrong("branch %d gave %s, expected %s", i, trt_strerror((trt_status_code)statuses[i]),
                      trt_strerror((trt_status_code)each));
            if (each != TRT_OK && !f->winners)
                want = each, index = i;
        }
        if (f->winners) {
            if (chosen < 0 || !(f->winners >> chosen & 1))
                wrong("branch %d failed first, expected one of %x", chosen, f->winners);
            index = chosen;
            want = f->w[chosen].status;
        }
        if (chosen != index)
            wrong("chosen %d, expected %d", chosen, index);
    } else {
        index = f->form == OP_YIELD ? 0 : chosen;
        if (index < 0 || index >= f->n || !(f->winners >> index & 1))
            wrong("branch %d won, expected one of %x", chosen, f->winners);
        want = f->w[index].status;
        if (f->w[index].either && (status == TRT_OK || status == TRT_TIMED_OUT))
            want = f->w[index].status = status;
        if (f->winners & (f->winners - 1)) /* a tie: only now it is known whether the interval has ticked */
            for (int i = 0; i < f->n; i++) {
                if (f->w[i].op == OP_TICK && f->w[i].status == TRT_OK && (f->winners & (0u - f->winners)) == 1u << i &&
                    i != index)
                    f->tick -= f->period;
                if (i == index && f->w[i].op == OP_TICK && want == TRT_OK &&
                    (f->winners & (0u - f->winners)) != 1u << i)
                    interval_fires(f, f->claimed);
            }
        for (int i = 0; i < f->n; i++)
            if (i != index)
                f->w[i].status = PENDING;
    }
    if (status != want)
        wrong("the await of task %d gave %s, expected %s", index_of(f), trt_strerror((trt_status_code)status),
              trt_strerror((trt_status_code)want));
}

/* The body is left. If nothing has to end first, the cleanup is next. */
static void body_ends(struct frame *f, int why, int outcome, int value)
{
    f->why = why;
    f->outcome = outcome;
    f->value = value;
    f->state = DRAIN;
    doom_forks(f);
    if (!live_forks(f))
        m.expected = index_of(f);
}

static void cleanup_begins(struct frame *f, trt_co *co, int status)
{
    struct frame *r = root_of(f);
    f->co = co;
    f->generation = TRT_GENERATION_(atomic_load(&co->cell_->state));
    event(f);
    if (f->cleaning)
        wrong("the cleanup of task %d began twice", index_of(f));
    if (f->state == FRESH) {
        if (!r->aborted && !(r == f && f->doomed))
            wrong("the cleanup of task %d began before its body, and nobody has aborted it", index_of(f));
        r->aborted = true;
        f->why = TRT_CANCELLED;
    } else if (f->state == READY || f->state == WAITING) {
        bool yields = f->state == WAITING && (f->w[0].op == OP_YIELD || f->w[0].op == OP_ADVANCE);
        if (!f->lost && !f->perhaps && !branch_panic(f) && !yields)
            wrong("the cleanup of task %d began, but its await has not been aborted", index_of(f));
        if (lingers(f))
            wrong("the cleanup of task %d began, but a child of its await has not ended", index_of(f));
        f->why = branch_panic(f) ? TRT_PANICKED : TRT_CANCELLED;
        f->maybe = has_deadlines_of_its_own(f) ? (1u << f->n) - 1 : 0;
        if (f->perhaps && !f->lost && !f->maybe)
            take_nothing(f);
        tick_as_found(f);
        unlink_all(f);
        for (int i = 0; i < 3; i++)
            grant_late(i);
    } else if (f->state != DRAIN) {
        wrong("the cleanup of task %d began, but its body goes on", index_of(f));
    }
    if (f->why != TRT_OK)
        f->outcome = f->why;
    if (live_forks(f))
        wrong("the cleanup of task %d began, but forks of it have not ended", index_of(f));
    if (status != f->why)
        wrong("the cleanup of task %d finds %s, expected %s", index_of(f), trt_strerror((trt_status_code)status),
              trt_strerror((trt_status_code)f->why));
    f->cleaning = true;
    r->cleanings++;
    f->fork_failure = TRT_OK;
    f->state = RUNNING;
    f->n = 0;
}

static void frame_over(struct frame *f)
{
    struct frame *r = root_of(f), *caller = f->caller == NOBODY ? NULL : &m.f[f->caller];
    f->state = OVER;
    r->cleanings--;
    if (f->kind != IN_PLACE) {
        strand_over(f);
        return;
    }
    r->leaf = f->caller;
    if (f->why == TRT_OK) {
        if (caller->state == WAITING)
            complete(caller, 0, f->outcome, f->value);
        return;
    }
    caller->state = READY;
    caller->lost = true;
    doom_forks(caller);
}

static void leave_if_nothing_is_left(struct frame *f)
{
    if (f->state != ENDING || live_forks(f) || live_members(f))
        return;
    f->state = LEAVING;
    f->left_at = ++m.orders;
    if (f->kind == IN_PLACE && f->why != TRT_OK)
        doom_forks(&m.f[f->caller]);
}

/* Has this strand, which was about to end, ended? */
static bool has_left(const struct frame *r)
{
    uint64_t s = atomic_load(&r->co->cell_->state);
    if (TRT_GENERATION_(s) != r->generation || (r->kind == TASK && (s & TRT_DONE_)))
        return true;
    return r->kind == BRANCH && ((const trt_waiter_ *)r->co->cell_->up)->status != TRT_PENDING;
}

/* As a member, and nobody has taken it out yet. */
static bool has_ended_in_set(const struct frame *r)
{
    uint64_t s = atomic_load(&r->co->cell_->state);
    return TRT_GENERATION_(s) == r->generation && (s & TRT_DONE_) && (s & TRT_SET_);
}

/* Did a end before b, which has left, too? Members of a set are in its list in the order in which they have ended: of
 * several that waited for sets of their own, who is woken last may be run first. */
static bool left_before(const struct frame *a, const struct frame *b)
{
    if (a->kind == TASK && b->kind == TASK && a->owner != NOBODY && a->owner == b->owner && has_ended_in_set(a) &&
        has_ended_in_set(b)) {
        for (const trt_waiter_ *w = &a->co->cell_->wait; w; w = w->next)
            if (w == &b->co->cell_->wait)
                return true;
        return false;
    }
    return a->left_at < b->left_at;
}

static void look_at_ends(void)
{
    m.looks++;
    m.looking = true;
    for (;;) {
        struct frame *first = NULL;
        for (int i = 0; i < m.frames; i++) {
            struct frame *f = &m.f[i];
            if (f->state == LEAVING && f->kind != IN_PLACE && has_left(f) && (!first || left_before(f, first)))
                first = f;
        }
        if (!first)
            break;
        frame_over(first);
    }
    m.looking = false;
}

/* The cleanup has ended, or has panicked. */
static void cleanup_ends(struct frame *f, bool panicked)
{
    if (panicked)
        f->why = f->outcome = TRT_PANICKED;
    f->state = ENDING;
    doom_forks(f);
    for (int i = 0; i < m.frames; i++)
        if (f->members[i] && m.f[i].state != OVER)
            m.f[i].doomed = true;
    if (live_forks(f) || live_members(f)) {
        goes_async(root_of(f));
        return;
    }
    frame_over(f);
    if (f->kind == IN_PLACE && !(m.f[f->caller].lost && live_forks(&m.f[f->caller])))
        m.expected = f->caller;
}

static void task_over(struct frame *r)
{
    int wait = 0;
    struct frame *joiner = joiner_of(r, &wait), *owner = r->owner == NOBODY ? NULL : &m.f[r->owner];
    if (r->detached)
        r->consumed = true;
    if (joiner && complete(joiner, wait, joiner->w[wait].op == OP_STOP ? TRT_OK : r->outcome, r->value))
        r->consumed = true;
    while ((joiner = aside_of(r, &wait)) != NULL)
        if (complete(joiner, wait, TRT_OK, 0))
            r->consumed = true;
    if (!owner)
        return;
    for (int i = 0; i < owner->n; i++) {
        struct wait *w = &owner->w[i];
        if (!w->linked || lost(owner, i) || (w->op != OP_JOIN_NEXT && w->op != OP_SET_SHUTDOWN))
            continue;
        owner->members[index_of(r)] = 0;
        r->consumed = true;
        if (w->op == OP_JOIN_NEXT) {
            w->joined = (uint64_t)index_of(r);
            complete(owner, i, r->outcome, r->value);
        } else if (!set_len(owner)) {
            complete(owner, i, TRT_OK, 0);
        }
        return;
    }
    owner->ended[owner->n_ended++] = index_of(r);
    leave_if_nothing_is_left(owner);
}

static void fork_over(struct frame *r)
{
    struct frame *parent = &m.f[r->parent];
    if (r->outcome != TRT_OK && parent->fork_failure == TRT_OK)
        parent->fork_failure = r->outcome;
    if (live_forks(parent))
        return;
    if (root_of(parent)->aborted)
        parent->ready_at = 0; /* it waited for this one */
    for (int i = 0; i < parent->n; i++) {
        if (parent->w[i].op != OP_SYNC || !parent->w[i].linked || lost(parent, i))
            continue;
        complete(parent, i, parent->fork_failure, 0);
        parent->fork_failure = TRT_OK;
    }
    leave_if_nothing_is_left(parent);
}

static void strand_over(struct frame *r)
{
    struct frame *caller = r->caller == NOBODY ? NULL : &m.f[r->caller];
    if (r->kind == TASK) {
        task_over(r);
    } else if (r->kind == FORK) {
        fork_over(r);
    } else {
        if (caller->state == WAITING)
            complete(caller, r->caller_wait, r->outcome, r->value);
        if (r->why == TRT_PANICKED)
            doom_forks(caller); /* its panic is the caller's */
        goes_async(r);
    }
}

#endif
