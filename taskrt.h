/* taskrt.h - v1.0.0 - Tokio-style tasks for C11 - MIT

   Do this in one C file, and include the header everywhere else without the define:

       #define TASKRT_IMPLEMENTATION
       #include "taskrt.h"

   A complete program. Compile with: cc -std=c11 -O2 -pthread squares.c

```c
#define TASKRT_IMPLEMENTATION
#include "taskrt.h"

struct square { int n; };                            // what it remembers: arguments and locals
trt_async(int, square)                               // result type, name; `self` is the struct
{
    trt_body {
        trt_await(trt_sleep(trt_ms(10)));            // suspends the task, not the thread
        trt_return(self->n * self->n);
    }
}

struct sum { trt_join_set(square) tasks; int i, value, total; };
trt_async(int, sum)
{
    trt_body {
        for (self->i = 1; self->i <= 10; self->i++)
            trt_spawn_in(&self->tasks, square, .n = self->i);
        for (;;) {
            trt_await(trt_join_next(&self->tasks, &self->value));
            if (trt_status() == TRT_EMPTY) break;
            if (trt_status() == TRT_OK) self->total += self->value;
        }
        trt_return(self->total);
    }
}

int main(void)
{
    int total = 0;
    if (trt_run(sum, &total) != TRT_OK) return 1;
    printf("1 + 4 + ... + 100 = %d\n", total);
    return 0;
}
```
   prints
```text
1 + 4 + ... + 100 = 385
```

   CONTENTS. Each entry is a search tag: look for it with the two angle brackets.

   MANUAL          >>start >>concepts >>coroutines >>cancellation >>ownership >>thread-model
                   >>time-model >>config (macros, environment) >>errors >>promises
                   >>matrix (primitive by property) >>expansion (what the macros become)
                   >>platforms >>limitations
   INTERFACE       >>version >>settings >>status >>types >>coro (defining and awaiting)
                   >>task (spawn, call, fork, handles) >>join (sets) >>runtime >>time
                   >>sync (semaphore, mutex, rwlock, notify, barrier, once, token, arc)
                   >>channels (oneshot, channel, broadcast, watch) >>fds
   IMPLEMENTATION  >>impl-settings >>atomics >>os (clock, threads, futex) >>util
                   >>state (the word that decides every race) >>runtime-state >>messages >>slabs
                   >>queues >>wakes >>claims >>wheel >>panics >>ends >>forks >>abort
                   >>frames (the life of a frame) >>suspending >>groups (any, all, deadlines)
                   >>loop (one strand, until it is gone) >>spawn >>impl-join >>impl-sets
                   >>impl-time >>threads (blocking a plain thread) >>pool (blocking jobs)
                   >>impl-fds >>idle (who sleeps, who is woken) >>sched (the worker's loop)
                   >>virtual (the clock that jumps) >>watch (stalls) >>impl-sync >>impl-channels
                   >>kinds (every operation) >>life (start, shutdown, free) >>impl-inspect
   END             >>license

--------------------------------------------------------------------------------------------------
>>start

  A coroutine is a struct and a function over it. The struct holds its arguments and every
  variable that must survive an await; the function finds it as `self`. Fields that are not given
  at the spawn are zero.

     struct fetch { const char *url; size_t n; };   C wants one member: `trt_void none;` if none
     trt_async(size_t, fetch) { trt_body { ... } }

  Start it in one of four ways:

     trt_run(fetch, &n, .url = "/a")                start a runtime, run it, stop the runtime
     h = trt_spawn(fetch, .url = "/a")              a task that runs on its own; join it by h
     trt_call(fetch, &self->child, .url = "/a")     in place, its frame inside ours: no allocation
     trt_fork(fetch, &self->n, .url = "/a")         a child that ends before our scope does

  Wait with trt_await(op), then ask trt_status(). trt_await_ok(op) leaves the coroutine with the
  failure instead. Code that blocks or computes for long goes to the blocking pool:

     struct parse { int fd; };
     trt_blocking_fn(int, parse) { return parse_all(self->fd); }
     ...
     trt_await(trt_blocking(parse, &self->job, .fd = fd));          result in self->job.out

  The examples directory is a course: 01_hello.c to 26_virtual_clock.c, then treesum.c, a program
  for real use.

--------------------------------------------------------------------------------------------------
>>concepts

  task        a coroutine that the scheduler runs on its own; it has a handle and an id
  frame       {header | result | the user's struct}; a called child's frame is a field of its parent
  operation   a trt_op: a value that says what to wait for. Making one does nothing, awaiting it
              starts it. A forgotten await is a compiler warning
  worker      a thread that runs tasks. A runtime has one for each CPU unless told otherwise
  job         a blocking function on a thread of the pool, outside the workers
  runtime     workers, pool, timers and the fd poller; a process may have several

     a task spawns    --> LIFO slot, queue, forks --> worker 0 --+
                                ^                   timer wheel  +--> blocking pool:
                                | steal                          |    threads on demand
                                v                                |
                          LIFO slot, queue, forks --> worker 1 --+--> the driver: one sleeping
                                                    timer wheel       worker, waits for the next
     another thread   --> injection queue --> any worker              timer and for the fds

  A worker takes its LIFO slot (at most 3 times in a row), then its queue of 256 entries, its own
  forks, the injection queue, and then looks at what other workers have. Every 61 polls it looks
  at timers, fds and the injection queue first, whatever the load (in a tree of forks or joins
  after 0.2 ms, and 190 polls at most). Idle workers sleep; one of them, the driver, sleeps until
  the next timer of any worker and in the fd poller. Before that a worker spins for up to 50 us,
  as long as calls from other threads have come that soon of late; so does a plain thread that
  waits for a task. One more thread looks at the workers while any is awake, every 10 ms (with one
  worker 100 ms; sooner if stall_after is short): it gives away the LIFO slot of a worker that is
  stuck, sees to it that somebody drives, and reports stalls.

  Completion, not polling: whoever completes an operation hands the result over and queues the
  task; a wake resumes the innermost frame directly. One atomic change of the task's state word
  decides between completion, timeout and abort, so a wait that lost has consumed nothing.

  Budget: a task may complete 128 operations at once before it goes to the back of the queue.

--------------------------------------------------------------------------------------------------
>>coroutines

     trt_async(T, name)
     {
         code here runs at every resume and before the cleanup: only for locals derived from self
         trt_body { ... }
         trt_cleanup { ... }          optional
     }

  Both stand in the function's outermost block, the cleanup behind the body: under no condition,
  and no return between them. That there is no cleanup is learnt from one instance for all.

  Leaving the body. trt_return(v) sets the result. A plain `return;` and falling off leave it
  zeroed. trt_fail(status) ends without a result: join, call, sync and run give that status.
  trt_panic("text %d", n) ends the task as TRT_PANICKED, from any call depth.

  Locals. A C local does not survive an await: what must goes into the struct. Compilers report
  most mistakes (clang -Wall at every level, but behind a trt_await_ok or in a loop only with
  -Wconditional-uninitialized; gcc -Wall from -O1, but not a local whose address is
  taken or that it folds to a constant; neither an array). Debug builds overwrite the stack before
  each resume, so that such a local shows garbage at once. Loop counters count as locals.

  Awaits. They stand in the body or cleanup itself, inside any loop, branch or block, but not
  inside a `switch` of the user's (a panic names the line) and not where a variable-length array
  is in scope (compiler error). Two on one source line do not compile; macro authors use
  trt_await_at(k, op).

  Several at once:

     trt_await_any(a, b)        until the first completes; trt_chosen() tells which
     trt_await_any_biased(a, b) the same, looked at in the order written
     trt_await_all(a, b)        until all complete; trt_status_of(i) tells each outcome
     trt_await_try_all(a, b)    until all complete or one fails; the rest is ended
     trt_within(d, op)          op, or TRT_TIMED_OUT

  A loser is unlinked. A losing child coroutine is aborted and its cleanup finished first; a
  losing blocking job is skipped if queued, and asked to stop and waited for if it runs. A child
  coroutine that panics ends all of them at once, as its panic is the caller's.

  Forks. trt_fork starts children that may point into `self`; trt_sync waits for all since the
  last sync, and gives the first failure in time. Leaving the body with forks unsynced aborts them
  and waits until they have ended, before the cleanup runs.

  Across files: trt_async_decl(T, name); in a header, trt_async_def(T, name) { ... } in one C
  file; trt_blocking_decl and trt_blocking_def likewise.

--------------------------------------------------------------------------------------------------
>>cancellation

  trt_abort(h) asks a task to end. Running code is never interrupted: the abort acts at the task's
  next await, complete or not, or at once if it waits already.

     state of the task                what an abort does                             join gives
     never run                        the body never runs, the cleanup does          TRT_CANCELLED
     waiting                          the wait ends, the cleanup runs                TRT_CANCELLED
     woken, not resumed yet           that await is seen as completed; acts later    by its end
     running, then awaits             acts at that await                             TRT_CANCELLED
     running, then returns            nothing                                        its result
     ended                            nothing                                        its result
     in its cleanup                   nothing, the cleanup is shielded               its end
     blocking job, queued             it is skipped                                  TRT_CANCELLED
     blocking job, running            trt_cancelled() becomes true in it             its result

  An abort does not travel to tasks that the victim spawned; it does travel to what lives in its
  scope: called children, forks, branches of any and all, and sets in its struct.

  The cleanup runs exactly once per frame, innermost first, however the body ends: return, falling
  off, abort, panic, shutdown, also if the body never started. In it trt_status() first tells why:
  TRT_OK (returned or failed), TRT_CANCELLED, TRT_PANICKED. A cleanup may await, and is shielded
  from aborts. Every release is a no-op on a zeroed object, so a cleanup needs no flags:

     trt_cleanup {
         trt_release(&self->permit);
         trt_await(trt_set_shutdown(&self->children));
         trt_channel_free(&self->results);
     }

  The order at the end of a frame: forks end, the cleanup runs, the cleanup's forks end, sets that
  lie in the struct are shut down, the result is published. A joiner sees all of it.

  For a polite end, across tasks and at chosen points, use trt_token: a tree whose cancel
  completes trt_token_wait in every task below.

--------------------------------------------------------------------------------------------------
>>ownership

  Arguments are copied into the task. A spawn that could not happen (no memory, runtime shutting
  down, no runtime) runs neither body nor cleanup: what the arguments own stays the caller's, and
  trt_spawned(h) tells.

  Handles are values of 16 bytes: copy them, forget them, never free them. A join consumes the
  result; every other copy is stale from then on (join: TRT_MISUSE, abort: nothing, is_finished:
  true). Handles are valid to ask until their runtime is freed.

  What an operation only reads (the message of trt_send) is copied when the await suspends: a
  local or `&(struct msg){1}` is right there. What it writes, and every object it waits on, stays
  put until the await ends: keep it in self, or in static or heap memory. An out pointer is
  written only with TRT_OK.

  Whatever somebody can wait on (locks, channels, sets, frames, jobs) is not copied or moved once
  in use, and not passed initialised as an argument: initialise it in the body, pass its address.
  Permits and guards are values: to hand one on, copy it and zero the source.

  A join set in `self` ends with its coroutine: members that are left after the cleanup are aborted
  and waited for. In the struct of a blocking function nobody waits for them: it empties the set
  before it returns (trt_try_join_next until TRT_EMPTY, or trt_detach_all), or its members are
  aborted and let go. Anywhere else a set is nobody's, and is emptied before its memory goes.

  Nobody counts the users of an object. It lives in a coroutine that ends its children first
  (forks, a set shut down in the cleanup), in static memory, or in a trt_arc.

  Results and messages are bytes. One that owns memory leaks if nobody takes it: a result not
  joined, a message left in a channel that is freed.

--------------------------------------------------------------------------------------------------
>>thread-model

  Inside a coroutine        awaits, trt_status, trt_chosen, trt_errno, trt_return, trt_fail,
                            trt_fork
  Tasks, blocking jobs      trt_spawn and its sisters without `rt` (they use the current runtime)
  Plain threads and jobs    trt_run, trt_block_on, trt_join_thread, trt_send_thread, trt_recv_thread
                            (they block; in a task they give TRT_MISUSE)
  Any thread                trt_spawn_on, trt_abort, trt_is_finished, trt_detach, trt_task_id, every
                            try, release, unlock, notify, close, cancel and arc function, the sends
                            that are no operations, trt_now, trt_dump, trt_metrics, runtime start
                            and shutdown
  One user at a time        the waiting side of a join set, trt_interval, a subscriber, a follower
  Signal handlers           nothing: write a byte into a pipe and await trt_readable

  Objects work across runtimes: a task of one may receive what a task of another sends.

  What completes an await happens before the code behind it (C11): spawn and start, end with
  cleanup and join, send and receive, release and acquire, cancel and wait. A task may resume on
  another thread: errno and thread-local variables do not survive an await, and nothing that
  belongs to a thread (a pthread mutex) may be held across one.

  A current_thread runtime has no worker threads: it runs its tasks while a thread is inside
  trt_block_on, trt_join_thread, trt_run or trt_runtime_shutdown. One thread drives, others wait
  and take over. Its queue is first in, first out.

--------------------------------------------------------------------------------------------------
>>time-model

  Durations and instants are signed 64-bit nanoseconds: trt_ns, trt_us, trt_ms, trt_s make them,
  of whole or fractional numbers. trt_now() is the monotonic clock; inside a runtime with a
  virtual clock it is that.

  A sleep is never early. Timers sit in a wheel per worker with slots of 2^20 ns (1.05 ms) and
  fire at the end of their slot. A duration counts from the await that starts it, so a deadline
  over several awaits is written with trt_sleep_until or trt_within_until. On the real clock it
  begins when the worker next reads the clock: before it sleeps, or after 61 polls at the latest
  (0.2 ms and 190 in a tree of forks).

  trt_interval: the first tick is at once. A tick seen more than 5 ms late is missed: TRT_BURST
  makes up for it, TRT_DELAY moves the schedule, TRT_SKIP goes on with the next in the old
  schedule.

  virtual_clock (implies current_thread): time stands still while anything can run or a blocking
  job is queued or running, and then jumps to the next timer, exact to the nanosecond.
  trt_advance(d) moves it by hand. If every task waits and nothing can wake them, "deadlock" and a
  dump are printed, and waiting threads get TRT_CANCELLED, now and on this runtime ever after. A
  `seed` on a current_thread runtime picks the next task at random, the same for the same seed.

--------------------------------------------------------------------------------------------------
>>config

  Macros, defined before the include. Scope "impl": only the file with TASKRT_IMPLEMENTATION reads
  it. None changes the layout of a type, so files built with different settings may be mixed.

     macro                   default            scope      meaning
     TASKRT_IMPLEMENTATION   not defined        one file   the implementation is here (a C file)
     TASKRT_STATIC           not defined        each file  all functions static, a copy a file
     TASKRT_API              extern             all files  what stands before each declaration
     TASKRT_DEBUG            1 without -O,      each file  checks of >>errors marked "debug";
                             else 0                        0 or 1, may differ between files
     TASKRT_MALLOC(size)     malloc             impl       thread-safe, aligned to 16, may fail;
     TASKRT_FREE(p)          free               impl       define both or neither
     TASKRT_ASSERT(x)        assert(x)          impl       checks of the implementation on itself
     TASKRT_LOG(text)        fputs to stderr    impl       a line with its newline, any thread
     TASKRT_CACHELINE        64                 impl       what is kept this far apart, in bytes
     TASKRT_POLL             not defined        impl       poll() instead of epoll or kqueue
     TASKRT_NO_FUTEX         not defined        impl       condition variables instead of futexes

  Environment, read by trt_runtime_start; what is not a number, or too large, is reported and
  ignored:

     TASKRT_WORKERS=n        number of workers, wins over trt_config (not over current_thread)
     TASKRT_STALL_MS=n       report a task that blocks its worker for n ms; 0: never

  Run-time settings are the fields of trt_config; zero is the default. See >>types.

--------------------------------------------------------------------------------------------------
>>errors

  Expected outcomes and failing resources are a trt_status_code; nothing changes and nothing leaks
  when a call fails. trt_strerror gives its text.

     TRT_OK          0
     TRT_CANCELLED   the task was aborted, or its runtime shut down
     TRT_PANICKED    it panicked; trt_failure() has message, file, line, task
     TRT_EMPTY       no member left in the set; no message in the channel
     TRT_TIMED_OUT   a deadline passed
     TRT_CLOSED      the other side closed
     TRT_FULL        no room in the channel
     TRT_LAGGED      a broadcast subscriber missed values; trt_lagged() tells how many
     TRT_PENDING     not yet (the answer of try functions)
     TRT_NO_MEMORY   no memory, or no thread could be made
     TRT_MISUSE      a mistake of the program; a message tells which
     TRT_ERRNO       the system said no; trt_errno() has the number

  Mistakes and what happens:

     wrong argument name, await outside a body, two awaits on one line          compiler error
     wrong type of out pointer or child frame, forgotten await, unused handle   compiler warning
     await inside an inner switch                                               panic with its line
     out pointer, object or frame on the C stack given to an await              panic if it suspends
                                                                                (debug: always)
     spawn argument that points into the spawner's stack                        debug: message
     an announced lock (trt_lock_held) held across an await that suspends       debug: message
     a task neither joined nor detached when its runtime is freed               debug: message
     blocking in a task                                                         stall report
     spawn outside a runtime; join twice, of oneself, of a stale handle;        message, TRT_MISUSE
     blocking calls inside a task; period 0; more permits than can be;
     trt_fail(TRT_PENDING)
     panic outside a task and a job                                             message, abort()

  Memory. Waiting for one operation takes none. An any, an all or a deadline that needs some and
  gets none ends at once with TRT_NO_MEMORY, nothing started, trt_chosen() -1. A task that could
  not be made joins as TRT_NO_MEMORY. A cleanup that must not fail awaits one plain operation at a
  time.

  Looking inside: trt_dump(rt, file) lists every task with state, what it waits for, and file and
  line of every frame. trt_metrics(rt, &m) counts. trt_config.on_panic and on_stall replace the
  messages.

--------------------------------------------------------------------------------------------------
>>promises

  Each is backed by the test named behind it, in tests/test_<file>.c, and by the rungs at the end
  of the list.

   1. An operation does nothing until awaited, and may be awaited again; a call or a job once, and
      then it is TRT_MISUSE.
      coroutines: an_operation_does_nothing_until_awaited_and_may_be_awaited_again
      misuse: a_call_or_a_job_that_was_awaited_before_is_misuse
   2. An await that is complete does not suspend, within the budget.
      coroutines: an_await_that_is_complete_does_not_suspend_within_the_budget
   3. A task runs whether or not anybody joins it.
      tasks: tasks_run_whether_or_not_anybody_joins
   4. A handle is a value; joining consumes it, and a stale one is harmless.
      tasks: a_handle_is_a_value_that_join_consumes
   5. Of two joiners one gets the result, the other TRT_MISUSE.
      tasks: of_two_joiners_one_gets_the_result_and_the_other_misuse
   6. A join that timed out, lost or was aborted has consumed nothing.
      tasks: a_join_that_timed_out_or_lost_or_was_aborted_consumed_nothing
   7. A joiner sees everything that the task's cleanup did.
      tasks: a_joiner_sees_everything_that_the_cleanup_did
   8. The cleanup runs exactly once on every way out, knows why, and may await.
      coroutines: cleanup_runs_exactly_once_knows_why_and_may_await
   9. A task aborted before it ran skips its body, and runs its cleanup.
      tasks: abort_of_a_task_never_polled_skips_the_body_and_runs_the_cleanup
  10. A panic ends its task alone; the process and the other tasks go on.
      tasks: a_panic_at_depth_is_contained_and_told_by_join
  11. A branch of any that loses has lost no message, no permit, no member of a set.
      groups: a_losing_recv_loses_no_message, a_losing_acquire_takes_nothing
      sets: a_join_next_that_loses_keeps_the_member
  12. A losing child has finished its cleanup before any goes on.
      groups: losing_children_have_cleaned_up_before_any_ends
  13. Forks may borrow from self: they end before the cleanup runs.
      fork: forks_may_borrow_from_self
      fork: leaving_with_open_forks_aborts_and_drains_them_before_the_cleanup
  14. A set gives its members in the order in which they end.
      sets: join_next_gives_members_in_completion_order_and_then_empty
  15. A set left over in self is shut down after the cleanup.
      sets: a_set_left_over_in_self_is_shut_down_after_the_cleanup
      sets: a_set_that_others_have_filled_goes_with_its_frame
  16. Semaphore and locks are first come, first served; who leaves passes on
      what it held back.
      sync: acquire_is_first_come_first_served, an_aborted_acquire_passes_on_what_it_held_back
  17. Many senders and receivers lose and double no message.
      channels: many_senders_and_receivers_lose_and_double_nothing
  18. A sleep is never early.
      time: a_sleep_is_never_early_on_the_real_clock
  19. Timers and fds are served under any load.
      time: timers_fire_under_any_load;  fds: fds_are_looked_at_under_any_load
  20. A task that blocks its worker freezes neither timers, nor fds, nor tasks others could run
      (two workers or more).
      runtime: a_blocked_worker_freezes_no_timers, a_blocked_worker_freezes_no_fds,
      the_task_in_the_lifo_slot_of_a_blocked_worker_runs_elsewhere
  21. An idle runtime does not wake up.
      inspect: an_idle_runtime_does_not_wake_up
  22. Shutdown ends tasks in every state, and runs their cleanups until the timeout.
      runtime: shutdown_cancels_tasks_in_every_state_and_runs_their_cleanups
  23. The same seed gives the same schedule.
      inspect: a_seed_makes_the_schedule_repeatable_and_seeds_differ

  The rungs go beyond one run of a test, and name what they break when they fail:

     check-model    every order in which threads may run and loads may read, as far as its bounds
                    go. tests/model/abort.c: 6, 8, 9, 11, 12, 16, 17, each awaitable thing aborted
                    at every step. shutdown.c: 8, 15, 22, the same for a shutdown. matrix.c: 4, 5,
                    7 to 10, every combination of panic, join, detach and abort. runtime.c: 3, 13,
                    14, 18, 19, 20. primitives.c: no wake is lost, on which all of them rest.
     check-fuzz     2 to 6, 8 to 18, on programs that nobody has written, against a sequential model
                    of what every await has to give, and when
     check-faults   4, 8 and 22 when an allocation, a thread or a system call fails
     check-soak     3, 8, 16, 17 and 22 on real threads with delays, by a ledger
     check-san, check-valgrind, check-user, check-cross
                    all of them, under other eyes, in a user's program, on other machines
     check-mutants  whether the rungs above would notice: each memory order, fence, wake and second
                    look of this file is weakened or taken out in turn

--------------------------------------------------------------------------------------------------
>>matrix

  order     who is served first among waiters
  cancel    what a wait loses that is aborted, times out, or loses in any: nothing, or its place
  memory    taken by the wait itself; "slab" is the runtime's own pool
  threads   what plain threads and blocking jobs may call

    operation                      order  cancel         memory            threads
    trt_join                       one    safe           none              trt_join_thread
    trt_join_next                  one    safe           none              trt_try_join_next
    trt_stop, trt_set_shutdown     one    safe           none              -
    trt_call                       -      child ends     none              trt_block_on
    trt_fork, trt_sync             -      children end   slab, each fork   -
    trt_blocking                   FIFO   job ends       none              -
    trt_sleep, trt_tick            time   safe           none              -
    trt_acquire, acquire_many      FIFO   place          none              try, release, add, close
    trt_lock                       FIFO   place          none              try, unlock
    trt_read_lock, trt_write_lock  FIFO   place          none              try, unlock, downgrade
    trt_notified                   FIFO   place          none              notify_one, notify_all
    trt_barrier_wait               all    leaves         none              -
    trt_once_enter                 FIFO   place          none              done, failed
    trt_token_wait                 all    safe           none              cancel, is_cancelled
    trt_oneshot_recv               FIFO   place          none              send, close
    trt_send                       FIFO   place, unsent  slab, > 8 bytes   send_thread, try, close
    trt_recv                       FIFO   place          none              recv_thread, try, close
    trt_broadcast_recv             all    safe           none              send, close
    trt_watch_changed              all    safe           none              send, read, close
    trt_readable, trt_writable     all    safe           record, each fd   -
    any, all, trt_within           -      losers end     slab              -

  trt_send to an unbounded channel never waits; it takes a block from TASKRT_MALLOC now and then.
  trt_spawn takes a slab slot, trt_spawn_named the copy of the name as well.

--------------------------------------------------------------------------------------------------
>>expansion

  trt_async(int, page) over an existing struct page makes, all with a trailing underscore:

     struct page_frame_ { trt_co co_; int out; struct page self; };    trt_frame(page)
     union page_handle_ { ...; int *result_; };                        trt_handle(page)
     union page_set_ { ...; int *result_; };                           trt_join_set(page)
     inline functions page_spawn_, page_call_, page_fork_, page_run_   behind trt_spawn(page, ...)
     const trt_type_ page_type_ = { name, file, line, sizes, page_poll_ };
     static void page_body_(struct page_frame_ *trt_frame_, struct page *self)   { your block }

  The member result_ is never used: through it the compiler checks `out` of trt_join(h, &out).

     trt_body        switch (where to resume, in the body) default: if (0) case 0:   { your block }
     trt_cleanup     switch (where to resume, in the cleanup) default: if (0) case 0: { your block }
     trt_await(op)   do {
                         pc = LINE;
                         if (trt_wait_(frame, op)) { return; case LINE: ; }
                     } while (0)
     trt_return(v)   do { frame->out = (v); return; } while (0)
     trt_spawn(page, .url = u)     page_spawn_(..., &(struct page){ .url = u, })

  trt_wait_ is false if the operation is complete: then nothing suspends. So the body is plain C
  with jumps into it: a debugger steps through it, and the resume point is the line that the dump
  prints. A `break` outside of any loop of yours leaves the body, like falling off.

--------------------------------------------------------------------------------------------------
>>platforms

  Needs   C11 with atomics and _Thread_local, gcc or clang (or a compiler that takes their
          attributes), pthreads. C++ files may include it: no coroutine can be defined there, and
          the call forms take the members in order (g++ and clang++ -Wextra name those that are
          left out: -Wno-missing-field-initializers).
  Linux   x86-64, gcc 11 and 12, clang 13 to 19; i386; musl: tested. epoll, futexes, and membarrier
          where the system has it (a sandbox should allow it, or refuse it with an error; to ask for
          it takes the first start of a runtime about 10 ms if other threads run). aarch64,
          riscv64, s390x (big-endian) and 32-bit ARM: tested under qemu-user only.
  poll    any system with poll(), or TASKRT_POLL: the backend is tested on Linux.
  kqueue  macOS, FreeBSD, OpenBSD, NetBSD, DragonFly: written, never run.
  Others  machines without 64-bit atomic instructions need -latomic: not run. Windows: not
          supported.

--------------------------------------------------------------------------------------------------
>>limitations

  - C locals do not survive an await, awaits stand only in the body itself (to wait inside a
    function, make it a coroutine), and a struct cannot hold its own coroutine's frame: recursion
    is by trt_fork or trt_spawn. A struct holds its own kind's handle as trt_any_handle, its set
    as trt_join_set_of(T).
  - Results and arguments are aligned to 16 bytes at most (compiler error beyond).
  - trt_await_any and trt_await_all take at most 16 operations (compiler error beyond). They are
    statements: a deadline for an any is a trt_sleep beside the others, one for an all a
    trt_within_until around each.
  - trt_panic jumps: functions between it and the body are left as by longjmp, with what they
    hold. Its text is cut at 511 bytes, the copy that trt_failure() gives a plain thread at 255.
  - A thread cannot be stopped from outside: a running blocking job ends when it returns, and
    trt_runtime_free waits for it without limit. trt_cancelled() is how it may learn of an abort.
  - A task that never awaits cannot be aborted, and keeps its worker. On a runtime with one worker
    it keeps everything.
  - The stall report tells the last await, not the line that blocks.
  - Lock checks know only what trt_lock_held announced, as a count for each thread.
  - The check of spawn arguments looks at pointer-sized words of the struct itself, not behind
    pointers.
  - Frames come from slabs that go back to TASKRT_FREE when the runtime is freed: the peak stays.
  - The generation in a handle has 32 bits: a handle kept while its slot is used 2^32 times
    matches again.
  - A coroutine may have 2^26 - 1 forks at a time.
  - Regular files are always ready: read them in a blocking job. There is no socket, file, process
    or signal interface; there are no priorities and no task-local variables.
  - A process that has a runtime must not go on using it in the child of fork().
  - The deadlock report needs the virtual clock, and a process without other threads (counted on
    Linux).
  - gcc -flto -Wall may warn at link time (-Wmaybe-uninitialized) where a spawn copies padding: it
    does not remember the pragma that says so. The padding is never looked at.
  - A seed repeats a schedule only if nothing from outside (threads, fds, jobs) takes part.
  - A set whose members live in another runtime than its owner is not told of members that this
    other runtime gives up in a shutdown that times out; it is to be let go of (trt_detach_all)
    before that is freed. Nor, if that of the owner gives up the frame, is the owner's to be freed
    while the set has members of the other.
  - A coroutine that lends a frame in its own struct to a task leaves the sets in it to others: one
    that it fills itself, it ends itself, with its own frame.
*/
#ifndef TASKRT_H
#define TASKRT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* ------------------------------------------------------------------------------------------------
 * >>version
 */
/* The version of the documented interface, by semantic versioning. ABI is not promised: copies of
 * different versions in one program do not link.
 */
#define TASKRT_VERSION_MAJOR 1
#define TASKRT_VERSION_MINOR 0
#define TASKRT_VERSION_PATCH 0
#define TASKRT_VERSION "1.0.0"

/* ------------------------------------------------------------------------------------------------
 * >>settings
 */
#if !defined __GNUC__
#error "taskrt.h needs gcc, clang, or a compiler that understands their attributes"
#endif
#if !defined __cplusplus && (!defined __STDC_VERSION__ || __STDC_VERSION__ < 201112L)
#error "taskrt.h needs C11: compile with -std=c11 or newer"
#endif

#define TRT_UNUSED_ __attribute__((unused))
#define TRT_MUST_USE_ __attribute__((warn_unused_result))
#define TRT_NORETURN_ __attribute__((noreturn))
#define TRT_PRINTF_(string, first) __attribute__((format(printf, string, first)))

/* Checks that cost time: on by default where the compiler was not asked to optimise. */
#ifndef TASKRT_DEBUG
#ifdef __OPTIMIZE__
#define TASKRT_DEBUG 0
#else
#define TASKRT_DEBUG 1
#endif
#endif
#define TRT_DEBUG_ (TASKRT_DEBUG ? 1u : 0u)

#ifdef TASKRT_STATIC
#undef TASKRT_API
#define TASKRT_API static TRT_UNUSED_
#ifdef __cplusplus
#error "TASKRT_STATIC keeps everything in one C file: a C++ file cannot share it"
#endif
#endif
#ifndef TASKRT_API
#define TASKRT_API extern
#endif

#ifdef __cplusplus
extern "C" {
#define TRT_INLINE_ static inline TRT_UNUSED_
#define TRT_ALIGNOF_(type) alignof(type)
#define TRT_STATIC_ASSERT_(condition, text) static_assert(condition, text)
typedef uint32_t trt_a32_;
typedef unsigned char *trt_abytes_;
typedef uint64_t trt_a64_ __attribute__((aligned(8))); /* as in C, also where a uint64_t has 4 */
#else
#define TRT_INLINE_ static inline TRT_UNUSED_
#define TRT_ALIGNOF_(type) _Alignof(type)
#define TRT_STATIC_ASSERT_(condition, text) _Static_assert(condition, text)
typedef _Atomic(uint32_t) trt_a32_;
typedef _Atomic(unsigned char *) trt_abytes_;
typedef _Atomic(uint64_t) trt_a64_ __attribute__((aligned(8)));
#endif

/* ------------------------------------------------------------------------------------------------
 * >>status
 */
#define TRT_STATUS_LIST_(X)                                                                        \
    X(TRT_OK, "ok")                                                                                \
    X(TRT_CANCELLED, "cancelled")                                                                  \
    X(TRT_PANICKED, "panicked")                                                                    \
    X(TRT_EMPTY, "empty")                                                                          \
    X(TRT_TIMED_OUT, "timed out")                                                                  \
    X(TRT_CLOSED, "closed")                                                                        \
    X(TRT_FULL, "full")                                                                            \
    X(TRT_LAGGED, "lagged")                                                                        \
    X(TRT_PENDING, "pending")                                                                      \
    X(TRT_NO_MEMORY, "out of memory")                                                              \
    X(TRT_MISUSE, "misuse")                                                                        \
    X(TRT_ERRNO, "system error")

/* trt_status_code - the outcome of an operation or call. TRT_OK is 0; the texts above are what
 * trt_strerror() gives. The manual's >>errors says when each occurs.
 */
#define TRT_ENUM_(name, text) name,
typedef enum trt_status_code { TRT_STATUS_LIST_(TRT_ENUM_) TRT_STATUS_COUNT_ } trt_status_code;
#undef TRT_ENUM_

/* trt_strerror - the text of a status, a constant string; "unknown status" for any other number.
 *
 *   threads   any thread; cannot fail
 */
TASKRT_API const char *trt_strerror(trt_status_code status);

/* ------------------------------------------------------------------------------------------------
 * >>types
 */
/* Names of types. All members that end in an underscore are private; a zeroed object is valid and
 * empty, unless an init function is listed for its type.
 *
 *   trt_runtime   made by trt_runtime_start or trt_run
 *   trt_co        the header of a frame, private
 *   trt_void      result type for "none"; leave such a coroutine with `return;`
 */
typedef int64_t trt_duration; /* nanoseconds */
typedef int64_t trt_instant;  /* nanoseconds on the monotonic (or virtual) clock */
typedef struct trt_runtime trt_runtime;
typedef struct trt_co trt_co;
typedef struct trt_void { char none_; } trt_void;

struct trt_cell_;
struct trt_waiter_;

typedef struct trt_list_ { struct trt_waiter_ *head, *tail; } trt_list_;

/* What a coroutine or blocking function is; one constant for each, made by the defining macros. */
typedef struct trt_type_ {
    void (*poll)(trt_co *);
    void (*job)(void *);
    const char *name, *file;
    uint32_t line, size, out_offset, out_size, self_offset, self_size;
    uint32_t debug;
    uint16_t slot, tail_slot; /* size class of a cell with such a frame, without and with a tail */
    uint32_t wide;            /* the result does not lie in the 16 bytes behind the header */
    int32_t tail;             /* where in its slot the tail lies, from the cell on */
    trt_a32_ *plain;          /* 1 as soon as it is known that it has no cleanup */
} trt_type_;

/* What the implementation has behind these names is as large. */
#define TRT_CELL_BYTES_ (sizeof(void *) == 8 ? 80u : 64u)
#define TRT_CELL_ALIGN_ (sizeof(void *) == 8 ? 8u : 16u)
#define TRT_TAIL_BYTES_ (3 * (uint32_t)sizeof(void *))
#define TRT_ROUND_(n, to) (((n) + (uint32_t)(to) - 1) & ~((uint32_t)(to) - 1))
/* What is aligned to 16 bytes has a size that is divisible by 16; whatever else has is taken for
 * it. */
#define TRT_SLOT_(size, tail)                                                                      \
    TRT_ROUND_(TRT_CELL_BYTES_ + TRT_ROUND_((uint32_t)(size), 8) + (tail),                         \
               16 - ((uint32_t)(size) & (16 - TRT_CELL_ALIGN_)))
/* Behind a large frame the tail would not lie in the first 64 KiB of its chunk: see >>slabs. */
#define TRT_TAIL_(size)                                                                            \
    (TRT_SLOT_(size, TRT_TAIL_BYTES_) <= 32768                                                     \
         ? (int32_t)(TRT_CELL_BYTES_ + TRT_ROUND_((uint32_t)(size), 8))                            \
         : -(int32_t)TRT_TAIL_BYTES_)

/* The size class of a slot: 64 in steps of 8 bytes, then four a doubling. */
#define TRT_LOG2_(n) (63u - (uint32_t)__builtin_clzll((unsigned long long)(n)))
#define TRT_QUARTER_(last) ((uint32_t)((last) >> (TRT_LOG2_((last) | 512) - 2) & 3))
#define TRT_CLASS_(size)                                                                           \
    ((size) <= 512 ? (uint32_t)(((size) - 1) / 8)                                                  \
                   : 64 + (TRT_LOG2_((size) - 1) - 9) * 4 + TRT_QUARTER_((size) - 1))
#ifdef __cplusplus
typedef const trt_type_ *trt_atype_;
#else
typedef _Atomic(const trt_type_ *) trt_atype_;
#endif

/* The header of every frame. The user's part is only ever touched by the thread that runs it. */
struct trt_co {
    union {
        const trt_type_ *type_;
        trt_atype_ told_; /* the same, for the watch thread, and who makes it */
    };
    struct trt_cell_ *cell_; /* the strand that this frame belongs to */
    trt_co *parent_;         /* the frame that awaits this one in place */
    void *owned_;            /* what must end before this frame does, see >>frames */
    uint32_t pc_;            /* resume point: line << 3 | slot << 1 | running */
    uint32_t forked_;        /* children pushed by trt_fork and not accounted for yet */
    trt_a32_ pending_;       /* children that run on their own, see >>forks */
    uint8_t phase_;          /* body, cleanup, and the waits after each; and why it was left */
    uint8_t status_;         /* trt_status() */
    uint8_t result_;         /* the frame's own outcome */
    int8_t chosen_;          /* trt_chosen() */
};

/* An operation: a plain value that says what to do; trt_await does it. */
typedef struct trt_args_ { void *obj, *out; uint64_t arg; } trt_args_;
typedef struct trt_op {
    trt_args_ args_;
    trt_duration within_; /* deadlines, INT64_MAX for none */
    trt_instant until_;
    uint32_t kind_;
} trt_op;

typedef struct trt_ref_ { struct trt_cell_ *cell; uint32_t generation; uint32_t failed; } trt_ref_;

/* trt_any_handle - a handle of any coroutine or blocking function, made by trt_any(h); trt_join
 * takes it with a void * for the result. For mixed lists, and for a struct that holds its own kind.
 */
/* How to spawn: in which runtime (NULL: this one), and with what (a set, a name). */
typedef struct trt_how_ {
    trt_runtime *rt;
    void *extra;
    const char *where; /* debug builds: "file:line" of the spawn; else NULL */
    uint32_t flags;
} trt_how_;
typedef union trt_any_handle { trt_ref_ ref_; void *result_; } trt_any_handle;

typedef struct trt_owned_ { struct trt_owned_ *next, *prev; } trt_owned_;

typedef struct trt_set_ {
    trt_owned_ owned;  /* in the list of the frame that holds the set, see >>impl-sets */
    trt_owned_ *live;  /* members that have not ended */
    trt_list_ ready;   /* members that have, oldest first */
    struct trt_waiter_ *waiter;
    size_t len;
    uint32_t unmade[3]; /* members that could not be made: no memory, cancelled, misuse */
    trt_a32_ home;      /* where it lies, and in which list, as far as is known */
    trt_a32_ lock, leaving;
} trt_set_;

/* The header of a job that lives in its caller's frame, or behind a cell of its own. */
typedef struct trt_job_ {
    union { /* as in a frame, whose place it may take */
        const trt_type_ *type;
        trt_atype_ told;
    };
    struct trt_cell_ *cell; /* also as in a frame */
    struct trt_job_ *next, *prev;
    struct trt_waiter_ *waiter;
    trt_runtime *rt;
    trt_a32_ cancel;
    uint8_t state, status;
} trt_job_;

/* trt_failure_info - what a panic said: the text (cut at 511 bytes), where, and the task's id.
 *
 *   owns      trt_failure() and the hook lend it; copy what must last
 */
typedef struct trt_failure_info {
    const char *message, *file;
    int line;
    uint64_t task;
} trt_failure_info;

/* trt_stall_info - a task that has blocked its worker for `stall_after` or longer. Valid only while
 * on_stall runs. Task 0: unknown, or a strand without an id of its own (a fork, a branch).
 */
typedef struct trt_stall_info {
    uint64_t task;
    const char *name;      /* the label given to trt_spawn_named, or the coroutine's name */
    const char *coroutine; /* the innermost coroutine */
    const char *file;
    int line;              /* of its last await, or of its definition if it has not awaited yet */
    size_t worker;
    trt_duration blocked_for;
} trt_stall_info;

/* trt_metrics_info - counters of one runtime, since its start unless they tell a present number.
 * Each is a recent value; together they are no snapshot.
 */
typedef struct trt_metrics_info {
    size_t workers;
    size_t tasks_alive;          /* spawned tasks that have not ended */
    uint64_t tasks_spawned;
    uint64_t tasks_ended;
    uint64_t polls;              /* times that a coroutine was resumed */
    uint64_t steals;             /* times that a worker took work from another */
    uint64_t parks;              /* times that a worker went to sleep */
    uint64_t injected;           /* queue entries that came from other threads or from overflow */
    uint64_t budget_yields;      /* awaits that gave way because their budget was used up */
    uint64_t timers_fired;
    uint64_t panics;
    uint64_t stalls;
    size_t queue_depth;          /* runnable entries, approximately */
    size_t timers_waiting;
    size_t blocking_threads, blocking_idle, blocking_queued;
    size_t memory;               /* bytes in use for frames, and kept for the next */
} trt_metrics_info;

/* trt_config - the settings of a runtime; zero is the default of each. It is copied at the start.
 *
 *   workers               threads that run tasks, 32,768 at most; 0: one for each CPU that the
 *                         process may use. TASKRT_WORKERS in the environment wins
 *   current_thread        no worker threads: tasks run while a thread is in trt_block_on or
 *                         trt_join_thread, first in, first out
 *   virtual_clock         time jumps to the next timer when nothing can run; implies current_thread
 *   max_blocking_threads  threads of the blocking pool at most; 0: 512
 *   blocking_keep_alive   how long one stays without work; 0: 10 s
 *   stall_after           report a task that blocks its worker for so long; 0: 1 s, negative:
 *                         never. TASKRT_STALL_MS in the environment wins
 *   on_stall              called instead of the message, on the watch thread; it must be quick:
 *                         nobody else looks after workers that are stuck
 *   on_panic              called instead of the message, on the thread that panics, before its
 *                         cleanups
 *   on_thread_start,      called on each worker and blocking thread as it begins and as it ends
 *   on_thread_stop
 *   user                  handed to the four hooks
 *   seed                  with current_thread: the next task is picked at random, the same for the
 *                         same seed. Elsewhere it seeds where `any` and thieves begin. 0: by the
 *                         clock
 */
typedef struct trt_config {
    size_t workers;
    bool current_thread;
    bool virtual_clock;
    size_t max_blocking_threads;
    trt_duration blocking_keep_alive;
    trt_duration stall_after;
    void (*on_stall)(const trt_stall_info *, void *user);
    void (*on_panic)(const trt_failure_info *, void *user);
    void (*on_thread_start)(void *user);
    void (*on_thread_stop)(void *user);
    void *user;
    uint64_t seed;
} trt_config;

/* ------------------------------------------------------------------------------------------------
 * >>coro
 */
/* Files that were built against different versions must not link. */
#define trt_runtime_start trt_runtime_start_1_0_
#define trt_make_ trt_make_1_0_
#define trt_wait_ trt_wait_1_0_
TASKRT_API bool trt_wait_(trt_co *co, trt_op *op);
TASKRT_API bool trt_wait_checked_(trt_co *co, trt_op *op);
TASKRT_API void trt_frame_init_(trt_co *co, const trt_type_ *type);
TASKRT_API void trt_fail_(trt_co *co, trt_status_code status);
TASKRT_API trt_op trt_call_(trt_co *child);
TASKRT_API trt_op trt_blocking_(trt_job_ *job, const trt_type_ *type);
TASKRT_API void *trt_make_task_(const trt_type_ *type);
TASKRT_API void *trt_make_(const trt_type_ *type, const trt_how_ *how, trt_ref_ *unmade,
                           const void *args);
TASKRT_API trt_ref_ trt_start_(void *frame);
TASKRT_API trt_status_code trt_block_on_(trt_runtime *rt, const trt_config *config, uint32_t own,
                                         const trt_type_ *type, void *out, const void *args);
TASKRT_API trt_co *trt_fork_make_(trt_co *parent, const trt_type_ *type, void *out);
TASKRT_API void trt_fork_push_(trt_co *parent, trt_co *child);
TASKRT_API trt_status_code trt_status_of_(const trt_co *co, int index);
TASKRT_API int trt_errno_(const trt_co *co);
TASKRT_API trt_op trt_any_(uint32_t flags, size_t n, const trt_op *ops);
TASKRT_API void trt_scribble_(void);
TASKRT_API void trt_panic_(const char *file, int line, const char *format, ...)
    TRT_NORETURN_ TRT_PRINTF_(3, 4);

TRT_INLINE_ bool trt_wait_op_(trt_co *co, trt_op op) { return trt_wait_(co, &op); }
TRT_INLINE_ bool trt_wait_op_checked_(trt_co *co, trt_op op) { return trt_wait_checked_(co, &op); }
#if TASKRT_DEBUG
#define TRT_WAIT_ trt_wait_op_checked_
#else
#define TRT_WAIT_ trt_wait_op_
#endif

#define TRT_SKIP_ 1u    /* a resume point that no switch has */
#define TRT_RUNNING_ 1u /* bit of pc_ while the body runs */
#define TRT_PHASE_BODY_ 0u
#define TRT_PHASE_CLEANUP_ 2u
#define TRT_MET_BODY_ 8u     /* bits of phase_: what has been met while it was in its cleanup */
#define TRT_MET_CLEANUP_ 16u
#define TRT_HOW_TASK_ 0u /* bits of trt_how_.flags */
#define TRT_HOW_SET_ 1u
#define TRT_HOW_NAMED_ 2u
#define TRT_HOW_DETACHED_ 4u
#define TRT_HOW_REMOTE_ 8u
#define TRT_GROUP_ALL_ 1u
#define TRT_GROUP_TRY_ 2u
#define TRT_GROUP_BIASED_ 4u

#define TRT_PC_(k) (((uint32_t)__LINE__ << 3) | ((uint32_t)(k) << 1))

TRT_INLINE_ uint32_t trt_body_pc_(trt_co *co)
{
    if (!(co->phase_ & 7u)) return co->pc_;
    co->phase_ = (uint8_t)(co->phase_ | TRT_MET_BODY_);
    return TRT_SKIP_;
}
TRT_INLINE_ uint32_t trt_cleanup_pc_(trt_co *co)
{
    if ((co->phase_ & 7u) != TRT_PHASE_CLEANUP_) return TRT_SKIP_;
    co->phase_ = (uint8_t)(co->phase_ | TRT_MET_CLEANUP_);
    return co->pc_;
}

/* trt_body { ... } - the body of a coroutine; trt_cleanup { ... } - its optional cleanup, behind
 * it.
 *
 * The body runs to its end, with a jump to the await that it waits in at every resume. The cleanup
 * runs exactly once, however the body ended, also if it never started; trt_status() at its begin
 * tells why: TRT_OK (returned or failed), TRT_CANCELLED, TRT_PANICKED. It may await, and aborts do
 * not reach it. Code in front of trt_body runs at every resume and before the cleanup.
 *
 *   owns      a C local does not live across an await: what must goes into the struct (`self`)
 *   memory    no allocation
 *
 * trt_await(op) - suspend the task until the operation is complete; trt_status() is the outcome.
 * trt_await_at(k, op) is the same with a number, 1 to 3, for macros that put several on one line.
 *
 *   threads   in the body or cleanup itself; not inside a switch of the user's (panic), not with a
 *             variable-length array in scope (compiler error), one on a source line
 *   blocks    suspends the task, never the thread; an operation that is complete does not suspend
 *             while the task's budget of 128 lasts
 *   cancel    an abort acts here, unless in a cleanup; the operation then has consumed nothing
 *   memory    no allocation for one operation; of a send that waits, the message beyond 8 bytes
 *
 * trt_await_ok(op) - await; unless the status is TRT_OK, leave with it as trt_fail does. In a
 * cleanup it leaves the cleanup.
 */
#ifndef __cplusplus
#define trt_body                                                                                   \
    switch (trt_body_pc_(&trt_frame_->co_))                                                        \
    default:                                                                                       \
        if (0)                                                                                     \
        case 0:

#define trt_cleanup                                                                                \
    switch (trt_cleanup_pc_(&trt_frame_->co_))                                                     \
    default:                                                                                       \
        if (0)                                                                                     \
        case 0:

#define trt_await_at(k, ...)                                                                       \
    do {                                                                                           \
        trt_frame_->co_.pc_ = TRT_PC_(k) | TRT_RUNNING_;                                           \
        if (TRT_WAIT_(&trt_frame_->co_, (__VA_ARGS__))) {                                          \
            trt_frame_->co_.pc_ = TRT_PC_(k);                                                      \
            return;                                                                                \
        case TRT_PC_(k):                                                                           \
            trt_frame_->co_.pc_ = TRT_PC_(k) | TRT_RUNNING_;                                       \
        }                                                                                          \
    } while (0)

#define trt_await(...) trt_await_at(0, __VA_ARGS__)

#define trt_await_ok(...)                                                                          \
    do {                                                                                           \
        trt_await_at(0, __VA_ARGS__);                                                              \
        if (trt_status() != TRT_OK) {                                                              \
            trt_fail_(&trt_frame_->co_, trt_status());                                             \
            return;                                                                                \
        }                                                                                          \
    } while (0)

/* trt_await_any(op, ...), trt_await_any_biased(op, ...) - until the first of 2 to 16 completes.
 *
 * The status is the winner's, trt_chosen() its index. Losers are unlinked; a losing child coroutine
 * is aborted and its cleanup finished first, a losing trt_blocking job is skipped if queued, asked
 * to stop and waited for if it runs. `any` looks at its operations beginning with a random one,
 * `biased` in the order written.
 *
 * trt_await_all(op, ...), trt_await_try_all(op, ...) - until all complete.
 *
 * The status is TRT_OK or that of the first in order that is not, trt_chosen() its index (else -1),
 * trt_status_of(i) each one's. `try`: the first in time that is not TRT_OK ends the others as
 * losers (their status: TRT_CANCELLED), and is the one told. The panic of a child coroutine, which
 * is the caller's, does so in both.
 *
 *   returns   by trt_status(); also TRT_NO_MEMORY, nothing started and trt_chosen() -1
 *   cancel    safe: a loser has lost no message, permit or result, at most its place
 *   memory    one block of the runtime's slabs, and a small one for each child coroutine
 */
#define TRT_AT_MOST_16_(n) ((n) + 0 * sizeof(char[(n) <= 16 ? 1 : -1]))
#define TRT_OPS_(flags, ...)                                                                       \
    trt_any_((flags), TRT_AT_MOST_16_(sizeof((trt_op[]){__VA_ARGS__}) / sizeof(trt_op)),           \
             (trt_op[]){__VA_ARGS__})
#define trt_await_any(...) trt_await_at(0, TRT_OPS_(0u, __VA_ARGS__))
#define trt_await_any_biased(...) trt_await_at(0, TRT_OPS_(TRT_GROUP_BIASED_, __VA_ARGS__))
#define trt_await_all(...) trt_await_at(0, TRT_OPS_(TRT_GROUP_ALL_, __VA_ARGS__))
#define trt_await_try_all(...)                                                                     \
    trt_await_at(0, TRT_OPS_(TRT_GROUP_ALL_ | TRT_GROUP_TRY_, __VA_ARGS__))

/* trt_status() - the outcome of the last await of this coroutine. Functions that return a status
 * leave it alone.
 * trt_chosen() - an int: see trt_await_any and trt_await_all.
 * trt_status_of(i) - after trt_await_all or trt_await_try_all: the status of operation i.
 * trt_errno() - after TRT_ERRNO: the errno value.
 *
 *   threads   in the coroutine itself; valid until its next await
 */
#define trt_status() ((trt_status_code)trt_frame_->co_.status_)
#define trt_chosen() ((int)trt_frame_->co_.chosen_)
#define trt_status_of(i) trt_status_of_(&trt_frame_->co_, (i))
#define trt_errno() trt_errno_(&trt_frame_->co_)

/* trt_return(v) - set the result and end the body. A plain `return;`, or falling off the end,
 * leaves the result zeroed. In a cleanup it sets the result, and ends the cleanup.
 * trt_fail(status) - end the body without a result: join, call, sync and run give `status`. In a
 * cleanup it ends the cleanup, and the outcome stays. TRT_PENDING, or what is no status: a message,
 * and TRT_MISUSE.
 */
#define trt_return(...)                                                                            \
    do {                                                                                           \
        trt_frame_->out = (__VA_ARGS__);                                                           \
        return;                                                                                    \
    } while (0)
#define trt_fail(status)                                                                           \
    do {                                                                                           \
        trt_fail_(&trt_frame_->co_, (status));                                                     \
        return;                                                                                    \
    } while (0)
#endif /* !__cplusplus */

/* trt_panic("format", ...) - end this task or blocking job as TRT_PANICKED.
 *
 * Prints task, file and line (or calls on_panic), jumps to the worker's loop and runs the cleanups.
 * A panic in a cleanup ends that cleanup, not those of the frames outside.
 *
 *   returns   never; outside a task and a job it prints, and calls abort()
 *   owns      C functions on the way are left as by longjmp: what they hold stays held
 *   memory    one allocation for the text, which may fail and then only loses the text
 */
#define trt_panic(...) trt_panic_(__FILE__, __LINE__, __VA_ARGS__)

/* Types that belong to a coroutine or blocking function `name`:
 *
 *   trt_frame(name)       the frame of a called child; `.out` is its result
 *   trt_job(name)         a blocking job in the frame of its caller; `.out` is its result
 *   trt_handle(name)      a handle: a value, freely copied; zeroed it means "no task"
 *   trt_join_set(name)    a group of tasks of `name`; zeroed it is empty
 *   trt_join_set_of(T)    a group of anything with result T; each use is a new type
 *
 *   owns      frames, jobs and sets stay put while somebody waits for them
 */
#define trt_frame(name) struct name##_frame_
#define trt_job(name) struct name##_job_
#define trt_handle(name) union name##_handle_
#define trt_join_set(name) union name##_set_
#define trt_join_set_of(T) union { trt_set_ base_; T *result_; }

/* Common to coroutines and blocking functions: handle, set, and the call that makes a task. */
#ifdef __cplusplus
#define TRT_ARGS_TYPE_(name) const struct name &
#define TRT_ARGS_PTR_(args) (&(args))
#else
#define TRT_ARGS_TYPE_(name) const struct name *
#define TRT_ARGS_PTR_(args) (args)
#endif

#define TRT_ALWAYS_INLINE_ static inline __attribute__((always_inline))

/* A fork or call is always compiled in its place, where the arguments are known: else they go
 * through memory, and the zeros among them too (skynet_fork 19.2 ms, or 14.3). A spawn, which is
 * longer, is left to the compiler: nqueens12 149 ms, or 160 in place. */
#if defined __OPTIMIZE__ && !defined __OPTIMIZE_SIZE__
#define TRT_FOR_SPEED_ 1
#define TRT_IN_PLACE_ TRT_ALWAYS_INLINE_ TRT_UNUSED_
#else
#define TRT_FOR_SPEED_ 0
#define TRT_IN_PLACE_ TRT_INLINE_
#endif

/* Not by assignment: a struct may have a const member. */
#define TRT_ARGS_PUT_(to, args)                                                                    \
    ((void)__builtin_memcpy((void *)&(to), TRT_ARGS_PTR_(args), sizeof(to)))

/* Arguments go from a literal on the stack into the frame. Word by word: gcc would copy with wider
 * moves than it filled the literal with, and a load that spans two stores that are still under way
 * waits until both are done (measured: 6 ns of a fork's 28). The empty asm keeps the words apart.
 * Most members are mostly not given: what is known to be zero is zeroed at once. */
#if TRT_FOR_SPEED_ && !defined __clang__ && !defined __cplusplus
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized" /* a word may be padding, in part or whole */
#pragma GCC diagnostic ignored "-Wuninitialized"
TRT_ALWAYS_INLINE_ void trt_word_copy_(char *t, const char *f, size_t n, bool zeroed)
{
    uint32_t word;
    if (n < 4) return;
    __builtin_memcpy(&word, f, 4);
    if (zeroed && __builtin_constant_p(word) && !word) return;
    __asm__("" : "+r"(word));
    __builtin_memcpy(t, &word, 4);
}
/* Not a loop: that is unrolled too late for the question above. */
TRT_ALWAYS_INLINE_ void trt_4_words_copy_(char *t, const char *f, size_t n, bool zeroed)
{
    trt_word_copy_(t, f, n, zeroed);
    trt_word_copy_(t + 4, f + 4, n > 4 ? n - 4 : 0, zeroed);
    trt_word_copy_(t + 8, f + 8, n > 8 ? n - 8 : 0, zeroed);
    trt_word_copy_(t + 12, f + 12, n > 12 ? n - 12 : 0, zeroed);
}
/* The halves meet in a register: half the stores. */
TRT_ALWAYS_INLINE_ void trt_pair_copy_(char *t, const char *f, size_t n, bool zeroed)
{
    uint32_t low, high, pair[2];
    if (n < 8) return;
    __builtin_memcpy(&low, f, 4);
    __builtin_memcpy(&high, f + 4, 4);
    if (zeroed && __builtin_constant_p(low) && __builtin_constant_p(high) && !low && !high) return;
    __asm__("" : "+r"(low), "+r"(high));
    pair[0] = low;
    pair[1] = high;
    __builtin_memcpy(t, pair, 8);
}
TRT_ALWAYS_INLINE_ void trt_4_pairs_copy_(char *t, const char *f, size_t n)
{
    trt_pair_copy_(t, f, n, true);
    trt_pair_copy_(t + 8, f + 8, n > 8 ? n - 8 : 0, true);
    trt_pair_copy_(t + 16, f + 16, n > 16 ? n - 16 : 0, true);
    trt_pair_copy_(t + 24, f + 24, n > 24 ? n - 24 : 0, true);
}
TRT_ALWAYS_INLINE_ void trt_args_copy_(void *to, const void *from, size_t n, bool in_place)
{
    char *t = (char *)to;
    const char *f = (const char *)from;
    size_t i = 0;
    if (n <= 64) {
        bool zeroed = n > 24;
        if (zeroed) __builtin_memset(to, 0, n);
        trt_4_words_copy_(t, f, n, zeroed);
        if (n > 16) trt_4_words_copy_(t + 16, f + 16, n - 16, zeroed);
        if (n > 32) trt_4_words_copy_(t + 32, f + 32, n - 32, zeroed);
        if (n > 48) trt_4_words_copy_(t + 48, f + 48, n - 48, zeroed);
        i = n & ~(size_t)3;
    } else if (n <= 128 && !in_place) {
#pragma GCC unroll 16
        for (; i + 8 <= n; i += 8) trt_pair_copy_(t + i, f + i, 8, false);
    } else if (n <= 128) {
        /* More at once would be a call, or a string instruction. (What is asked about n is known
         * here, but the warnings of a smaller struct do not see it.) */
        __builtin_memset(t, 0, n < 64 ? n : 64);
        __builtin_memset(t + 64, 0, n > 64 ? n - 64 : 0);
        trt_4_pairs_copy_(t, f, n);
        trt_4_pairs_copy_(t + 32, f + 32, n > 32 ? n - 32 : 0);
        trt_4_pairs_copy_(t + 64, f + 64, n > 64 ? n - 64 : 0);
        if (n > 96) trt_4_pairs_copy_(t + 96, f + 96, n - 96);
        i = n & ~(size_t)7;
    }
    if (i < n) __builtin_memcpy(t + i, f + i, n - i);
}
#pragma GCC diagnostic pop
#define TRT_ARGS_COPY_(to, args, in_place) trt_args_copy_(&(to), (args), sizeof(to), (in_place))
#else
#define TRT_ARGS_COPY_(to, args, in_place) TRT_ARGS_PUT_(to, args)
#endif

/* Only debug builds look at the arguments; else they need not lie in memory. */
#if TASKRT_DEBUG
#define TRT_ARGS_CHECKED_(args) TRT_ARGS_PTR_(args)
#else
#define TRT_ARGS_CHECKED_(args) NULL
#endif

#define TRT_DECLARE_COMMON_(T, name, record, is_job)                                               \
    union name##_handle_ { trt_ref_ ref_; T *result_; };                                           \
    union name##_set_ { trt_set_ base_; T *result_; };                                             \
    TRT_STATIC_ASSERT_(TRT_ALIGNOF_(record) <= 16, "taskrt.h: alignment of at most 16 bytes");     \
    TRT_INLINE_ trt_ref_ name##_make_(trt_how_ how, TRT_ARGS_TYPE_(name) args)                     \
    {                                                                                              \
        bool plain = !(is_job) && !how.rt && !how.flags && !how.where;                             \
        record *frame = plain ? (record *)trt_make_task_(&name##_type_) : NULL;                    \
        if (!frame) {                                                                              \
            trt_how_ from = how;                                                                   \
            trt_ref_ unmade;                                                                       \
            frame = (record *)trt_make_(&name##_type_, &from, &unmade, TRT_ARGS_CHECKED_(args));   \
            if (!frame) return unmade;                                                             \
        }                                                                                          \
        TRT_ARGS_COPY_(frame->self, args, false);                                                  \
        return trt_start_(frame);                                                                  \
    }                                                                                              \
    TRT_INLINE_ TRT_MUST_USE_ union name##_handle_ name##_spawn_(trt_how_ how,                     \
                                                                 TRT_ARGS_TYPE_(name) args)        \
    {                                                                                              \
        union name##_handle_ handle;                                                               \
        handle.ref_ = name##_make_(how, args);                                                     \
        return handle;                                                                             \
    }                                                                                              \
    TRT_INLINE_ union name##_handle_ name##_spawn_in_(trt_how_ how, T *of_the_set,                 \
                                                      TRT_ARGS_TYPE_(name) args)                   \
    {                                                                                              \
        union name##_handle_ handle;                                                               \
        (void)of_the_set; /* its type was checked */                                               \
        handle.ref_ = name##_make_(how, args);                                                     \
        return handle;                                                                             \
    }

#define TRT_DECLARE_CO_(T, name)                                                                   \
    struct name##_frame_ { trt_co co_; T out; struct name self; };                                 \
    TRT_DECLARE_COMMON_(T, name, struct name##_frame_, false)                                      \
    TRT_IN_PLACE_ TRT_MUST_USE_ trt_op name##_call_(struct name##_frame_ *frame,                   \
                                                    TRT_ARGS_TYPE_(name) args)                     \
    {                                                                                              \
        trt_frame_init_(&frame->co_, &name##_type_);                                               \
        TRT_ARGS_COPY_(frame->self, args, true);                                                   \
        return trt_call_(&frame->co_);                                                             \
    }                                                                                              \
    TRT_IN_PLACE_ void name##_fork_(trt_co *parent, T *out, TRT_ARGS_TYPE_(name) args)             \
    {                                                                                              \
        struct name##_frame_ *frame =                                                              \
            (struct name##_frame_ *)(void *)trt_fork_make_(parent, &name##_type_, (void *)out);    \
        if (frame) {                                                                               \
            TRT_ARGS_COPY_(frame->self, args, true);                                               \
            trt_fork_push_(parent, &frame->co_);                                                   \
        }                                                                                          \
    }                                                                                              \
    TRT_INLINE_ trt_status_code name##_run_(trt_runtime *rt, const trt_config *config,             \
                                            uint32_t own, T *out, TRT_ARGS_TYPE_(name) args)       \
    {                                                                                              \
        return trt_block_on_(rt, config, own, &name##_type_, (void *)out, TRT_ARGS_PTR_(args));    \
    }                                                                                              \
    struct name##_frame_

#define TRT_DECLARE_JOB_(T, name)                                                                  \
    struct name##_job_ { trt_job_ job_; T out; struct name self; };                                \
    TRT_DECLARE_COMMON_(T, name, struct name##_job_, true)                                         \
    TRT_INLINE_ TRT_MUST_USE_ trt_op name##_block_(struct name##_job_ *job,                        \
                                                   TRT_ARGS_TYPE_(name) args)                      \
    {                                                                                              \
        trt_op op = trt_blocking_(&job->job_, &name##_type_);                                      \
        TRT_ARGS_PUT_(job->self, args);                                                            \
        return op;                                                                                 \
    }                                                                                              \
    struct name##_job_

/* trt_async(T, name) { ... } - a coroutine over the existing `struct name`, local to its file.
 * trt_async_decl(T, name); with trt_async_def(T, name) { ... } - the same across files: declared in
 * a header (C and C++), defined in one C file. Also the forward declaration within a file.
 * trt_blocking_fn(T, name) { ...; return v; } - a blocking function: ordinary C with `self`.
 * trt_blocking_decl, trt_blocking_def - that across files.
 *
 * T is the result type, of a form that `T *p` makes a pointer to (typedef arrays and function
 * pointers). Identifiers `name_..._` are taken. The alignment of struct and result is 16 at most.
 */
#define trt_async_decl(T, name)                                                                    \
    extern const trt_type_ name##_type_;                                                           \
    TRT_DECLARE_CO_(T, name)

#define trt_blocking_decl(T, name)                                                                 \
    extern const trt_type_ name##_type_;                                                           \
    TRT_DECLARE_JOB_(T, name)

#ifndef __cplusplus
#if TASKRT_DEBUG
#define TRT_BEFORE_RESUME_() trt_scribble_()
#else
#define TRT_BEFORE_RESUME_() ((void)0)
#endif
#define TRT_TYPE_(name, record, poll_, job_, plain_)                                               \
    {                                                                                              \
        poll_, job_, #name, __FILE__, (uint32_t)__LINE__, TRT_ROUND_((uint32_t)sizeof(record), 8), \
            (uint32_t)offsetof(record, out), (uint32_t)sizeof(((record *)0)->out),                 \
            (uint32_t)offsetof(record, self), (uint32_t)sizeof(struct name), TRT_DEBUG_,           \
            (uint16_t)TRT_CLASS_(TRT_SLOT_(sizeof(record), 0u)),                                   \
            (uint16_t)TRT_CLASS_(TRT_SLOT_(sizeof(record), TRT_TAIL_BYTES_)),                      \
            offsetof(record, out) != sizeof(trt_co) || sizeof(((record *)0)->out) > 16,            \
            TRT_TAIL_(sizeof(record)), plain_                                                      \
    }

#define TRT_DEFINE_CO_(linkage, name)                                                              \
    static void name##_body_(struct name##_frame_ *trt_frame_, struct name *self);                 \
    static void name##_poll_(trt_co *co)                                                           \
    {                                                                                              \
        struct name##_frame_ *frame = (struct name##_frame_ *)(void *)co;                          \
        TRT_BEFORE_RESUME_();                                                                      \
        name##_body_(frame, &frame->self);                                                         \
    }                                                                                              \
    static trt_a32_ name##_plain_;                                                                 \
    linkage const trt_type_ name##_type_ =                                                         \
        TRT_TYPE_(name, struct name##_frame_, name##_poll_, NULL, &name##_plain_);                 \
    static void name##_body_(TRT_UNUSED_ struct name##_frame_ *trt_frame_,                         \
                             TRT_UNUSED_ struct name *self)

#define TRT_DEFINE_JOB_(T, linkage, name)                                                          \
    static T name##_function_(struct name *self);                                                  \
    static void name##_call_job_(void *job)                                                        \
    {                                                                                              \
        struct name##_job_ *this_job = (struct name##_job_ *)job;                                  \
        this_job->out = name##_function_(&this_job->self);                                         \
    }                                                                                              \
    linkage const trt_type_ name##_type_ =                                                         \
        TRT_TYPE_(name, struct name##_job_, NULL, name##_call_job_, NULL);                         \
    static T name##_function_(TRT_UNUSED_ struct name *self)

#define trt_async(T, name)                                                                         \
    static const trt_type_ name##_type_;                                                           \
    TRT_DECLARE_CO_(T, name);                                                                      \
    TRT_DEFINE_CO_(static, name)

#define trt_async_def(T, name)                                                                     \
    TRT_STATIC_ASSERT_(sizeof(((struct name##_frame_ *)0)->out) == sizeof(T),                      \
                       "trt_async_def: not the result type of trt_async_decl");                    \
    TRT_DEFINE_CO_(, name)

#define trt_blocking_fn(T, name)                                                                   \
    static const trt_type_ name##_type_;                                                           \
    TRT_DECLARE_JOB_(T, name);                                                                     \
    TRT_DEFINE_JOB_(T, static, name)

#define trt_blocking_def(T, name) TRT_DEFINE_JOB_(T, , name)
#endif /* !__cplusplus */

/* ------------------------------------------------------------------------------------------------
 * >>task
 */
#ifdef __cplusplus
} /* extern "C" */
template <class S> using trt_struct_ = S;
extern "C" {
#define TRT_ARGS_(name, ...) (trt_struct_<struct name>{__VA_ARGS__})
#else
/* `{ }` for "no argument" is C2x; __extension__ lets older modes take it without a warning. */
#define TRT_ARGS_(name, ...) (__extension__ &(struct name){__VA_ARGS__})
#endif
#define TRT_TYPED_(out, result) (1 ? (out) : (result))

#if TASKRT_DEBUG
#define TRT_TEXT_OF_(x) #x
#define TRT_LINE_TEXT_(line) TRT_TEXT_OF_(line)
#define TRT_WHERE_ __FILE__ ":" TRT_LINE_TEXT_(__LINE__)
#else
#define TRT_WHERE_ NULL
#endif
TRT_INLINE_ trt_how_ trt_how_of_(trt_runtime *rt, uint32_t flags, void *extra, const char *where)
{
    trt_how_ how;
    how.rt = rt;
    how.extra = extra;
    how.where = where;
    how.flags = flags;
    return how;
}

#define TRT_SPAWN_(rt, flags, extra, name, ...)                                                    \
    name##_spawn_(trt_how_of_((rt), (flags), (extra), TRT_WHERE_), TRT_ARGS_(name, __VA_ARGS__))
/* A coroutine has no job: the compiler says so. */
#define TRT_JOB_ONLY_(flags, name) ((flags) + 0u * (uint32_t)sizeof(struct name##_job_))
#define TRT_SPAWN_JOB_(rt, flags, name, ...)                                                       \
    TRT_SPAWN_(rt, TRT_JOB_ONLY_(flags, name), NULL, name, __VA_ARGS__)
#define TRT_MEMBER_(set, flags, name, ...)                                                         \
    name##_spawn_in_(trt_how_of_(NULL, (flags), &(set)->base_, TRT_WHERE_),                        \
                     TRT_TYPED_(NULL, (set)->result_), TRT_ARGS_(name, __VA_ARGS__))
#define TRT_SPAWN_IN_(set, name, ...) TRT_MEMBER_(set, TRT_HOW_SET_, name, __VA_ARGS__)
#define TRT_SPAWN_JOB_IN_(set, name, ...)                                                          \
    TRT_MEMBER_(set, TRT_JOB_ONLY_(TRT_HOW_SET_, name), name, __VA_ARGS__)
#define TRT_DETACHED_(name, ...)                                                                   \
    trt_ref_status_(name##_make_(trt_how_of_(NULL, TRT_HOW_DETACHED_, NULL, TRT_WHERE_),           \
                                 TRT_ARGS_(name, __VA_ARGS__)))
#define TRT_CALL_(name, frame, ...) name##_call_((frame), TRT_ARGS_(name, __VA_ARGS__))
#define TRT_BLOCK_(name, job, ...) name##_block_((job), TRT_ARGS_(name, __VA_ARGS__))
#define TRT_FORK_(name, out, ...)                                                                  \
    name##_fork_(&trt_frame_->co_, (out), TRT_ARGS_(name, __VA_ARGS__))
#define TRT_RUN_(rt, config, own, name, out, ...)                                                  \
    name##_run_((rt), (config), (own), (out), TRT_ARGS_(name, __VA_ARGS__))

/* trt_spawn(name, .arg = v, ...) - start a task, or a blocking job, on the current runtime.
 *
 *   trt_spawn_on(rt, ...)            on that runtime, from any thread
 *   trt_spawn_named("label", ...)    with a name for dumps and messages, which is copied
 *   trt_spawn_blocking(...)          of a blocking function, and of no other; _on: on that runtime
 *   trt_spawn_detached(...)          nobody will join it, nothing is kept of it
 *   trt_spawn_in(&set, ...)          as a member of a set; _blocking_in: of a blocking function
 *
 * Fields that are not named are zero. The task is queued; it never runs inside the call.
 *
 *   returns   a handle (unused: a compiler warning, but for _in). A spawn that could not happen
 *             gives one that joins as TRT_MISUSE (no runtime), TRT_NO_MEMORY or TRT_CANCELLED
 *             (shutting down). detached: TRT_OK, or that status
 *   owns      arguments are copied into the task; if it was not made, what they own stays the
 *             caller's, and no cleanup runs: see trt_spawned
 *   threads   inside a task or blocking job; the forms with `rt` from any thread
 *   blocks    never
 *   memory    one slot of the runtime's slabs; a label one allocation
 */
#define trt_spawn(...) TRT_SPAWN_(NULL, TRT_HOW_TASK_, NULL, __VA_ARGS__, )
#define trt_spawn_on(rt, ...) TRT_SPAWN_((rt), TRT_HOW_REMOTE_, NULL, __VA_ARGS__, )
#define trt_spawn_named(label, ...)                                                                \
    TRT_SPAWN_(NULL, TRT_HOW_NAMED_, trt_label_(label), __VA_ARGS__, )
#define trt_spawn_blocking(...) TRT_SPAWN_JOB_(NULL, TRT_HOW_TASK_, __VA_ARGS__, )
#define trt_spawn_blocking_on(rt, ...) TRT_SPAWN_JOB_((rt), TRT_HOW_REMOTE_, __VA_ARGS__, )
#define trt_spawn_detached(...) TRT_DETACHED_(__VA_ARGS__, )
#define trt_spawn_in(set, ...) TRT_SPAWN_IN_(set, __VA_ARGS__, )
#define trt_spawn_blocking_in(set, ...) TRT_SPAWN_JOB_IN_(set, __VA_ARGS__, )

/* trt_call(name, &self->frame, .arg = v, ...) - op: run a child coroutine in place.
 *
 *   returns   TRT_OK, or what the child failed with; its panic is the caller's. The result is
 *             self->frame.out
 *   owns      the frame is a trt_frame(name) in `self`; arguments are copied into it when the op is
 *             made, so each is awaited once; afterwards the frame may be used again
 *   cancel    an abort reaches the child first, and its cleanup ends before ours begins
 *   memory    no allocation
 *
 * trt_blocking(name, &self->job, .arg = v, ...) - op: run a blocking function on the pool.
 *
 *   returns   TRT_OK, TRT_PANICKED, TRT_NO_MEMORY (no thread could be made); the result is
 *             self->job.out
 *   owns      as trt_call
 *   cancel    a queued job is skipped; a running one is asked to stop (trt_cancelled), and waited
 *             for
 *   memory    no allocation but that of a thread
 *
 * trt_fork(name, &self->out, .arg = v, ...) - start a child of this scope; `out` may be NULL.
 * trt_sync() - op: until all forked since the last sync have ended.
 *
 *   returns   trt_sync: TRT_OK, or the first failure in time; TRT_NO_MEMORY for a fork not made
 *   owns      children may borrow from `self`: leaving the body aborts and drains those that are
 *             not synced, before the cleanup; the end of the cleanup does so for its own
 *   threads   inside a coroutine; a called child has a scope of its own
 *   memory    trt_fork: one slot of the slabs
 *
 * trt_yield() - op: go behind what is queued. (Children of a fork are not: they begin at the sync,
 * when a worker has nothing else, or after 61 yields.)
 */
#define trt_call(name, ...) TRT_CALL_(name, __VA_ARGS__, )
#define trt_blocking(name, ...) TRT_BLOCK_(name, __VA_ARGS__, )
#define trt_fork(name, ...) TRT_FORK_(name, __VA_ARGS__, )
TASKRT_API trt_op trt_sync(void) TRT_MUST_USE_;
TASKRT_API trt_op trt_yield(void) TRT_MUST_USE_;

/* trt_join(h, &out) - op: until the task has ended; take its result. `out` may be NULL.
 *
 * The end is published after the task's cleanup: a joiner sees all that it did.
 *
 *   returns   TRT_OK | what it failed with | TRT_CANCELLED | TRT_PANICKED, see trt_failure |
 *             TRT_NO_MEMORY | TRT_MISUSE for a stale or zeroed handle, oneself, a detached task, a
 *             member of a set, or while somebody else joins
 *   owns      consumes the handle and its copies
 *   cancel    safe: nothing is consumed, the task runs on
 *   memory    no allocation
 *
 * trt_join_thread(h, &out) - the same as a call. It drives a current_thread runtime meanwhile.
 *
 *   threads   plain threads and blocking jobs; in a task TRT_MISUSE
 *   blocks    the thread
 *
 * trt_stop(h) - op: abort, wait for the end, drop the outcome. It waits also while somebody else
 * joins, and for a detached task. TRT_OK at once on a zeroed or consumed handle: for cleanups.
 * TRT_MISUSE for oneself and for a member of a set, and then nothing is aborted. (Two tasks that
 * stop each other in their cleanups wait for ever.)
 * trt_abort(h) - ask the task to end at its next await. A task in its cleanup, or ended, is left
 * alone; a queued blocking job is skipped, a running one may look at trt_cancelled().
 * trt_is_finished(h) - has it ended, cleanup and all? True for a stale or zeroed handle.
 * trt_detach(h) - nobody will join: the result is dropped, unless somebody joins already. No effect
 * on a member of a set.
 * trt_spawned(h) - was the task made?
 * trt_task_id(h) - its id, unique in its runtime; 0 if it was not made.
 * trt_any(h) - the handle as a trt_any_handle.
 *
 *   threads   any thread, with any copy, until the runtime is freed
 *   memory    no allocation; cannot fail
 */
#define trt_any(h) (trt_any_of_((h).ref_))
#define trt_join(h, out) trt_join_((h).ref_, TRT_TYPED_(out, (h).result_))
#define trt_join_thread(h, out) trt_join_thread_((h).ref_, TRT_TYPED_(out, (h).result_))
#define trt_stop(h) trt_stop_((h).ref_)
#define trt_abort(h) trt_abort_((h).ref_)
#define trt_is_finished(h) trt_is_finished_((h).ref_)
#define trt_detach(h) trt_detach_((h).ref_)
#define trt_spawned(h) trt_spawned_((h).ref_)
#define trt_task_id(h) trt_task_id_((h).ref_)

TASKRT_API trt_status_code trt_ref_status_(trt_ref_ ref);
TASKRT_API trt_any_handle trt_any_of_(trt_ref_ ref);
TASKRT_API void *trt_label_(const char *label);
TASKRT_API trt_op trt_join_(trt_ref_ ref, void *out) TRT_MUST_USE_;
TASKRT_API trt_op trt_stop_(trt_ref_ ref) TRT_MUST_USE_;
TASKRT_API trt_status_code trt_join_thread_(trt_ref_ ref, void *out);
TASKRT_API void trt_abort_(trt_ref_ ref);
TASKRT_API bool trt_is_finished_(trt_ref_ ref);
TASKRT_API void trt_detach_(trt_ref_ ref);
TASKRT_API bool trt_spawned_(trt_ref_ ref);
TASKRT_API uint64_t trt_task_id_(trt_ref_ ref);

/* trt_cancelled - has the abort of this task (or of what it runs for) or blocking job been asked
 * for?
 *
 *   threads   inside a task, cleanup or blocking job; elsewhere false
 */
TASKRT_API bool trt_cancelled(void);

/* trt_failure - the panic behind the TRT_PANICKED of the last await, or of the trt_try_join_next
 * that came last; in a cleanup, the one that led there. On a plain thread: of its last trt_run,
 * trt_block_on, trt_join_thread or trt_try_join_next, the text cut at 255 bytes.
 *
 *   returns   NULL if there is none
 *   owns      lent until the next await, or the next such call
 */
TASKRT_API const trt_failure_info *trt_failure(void);

/* ------------------------------------------------------------------------------------------------
 * >>join
 */
/* trt_join_next(&set, &out) - op: the next member that ends, or has ended, in the order of their
 * ends; trt_joined() is its task id. `out` may be NULL.
 *
 *   returns   as trt_join; TRT_EMPTY if no member is left; TRT_MISUSE while somebody else waits. A
 *             member that could not be made comes back with its reason, and id 0
 *   owns      the set stays put until it is empty; one that lies in `self` and still has members
 *             after the cleanup is shut down, wherever the frame lies, whoever has filled it. A
 *             blocking function empties its own before it returns: what it leaves in those that it
 *             has filled is aborted, and let go
 *   threads   one task at a time awaits it
 *   cancel    safe: the member stays in the set
 *   memory    no allocation
 *
 * trt_try_join_next(&set, &out) - the same at once: TRT_PENDING if none has ended, TRT_EMPTY if
 * none is left.
 * trt_abort_all(&set) - abort every member; they stay, and are joined as usual.
 * trt_detach_all(&set) - empty the set; the members run on.
 * trt_set_len(&set) - members, those that have ended included.
 * trt_set_shutdown(&set) - op: abort all, wait for their ends, drop the outcomes.
 */
#define trt_join_next(set, out) trt_join_next_(&(set)->base_, TRT_TYPED_(out, (set)->result_))
#define trt_try_join_next(set, out)                                                                \
    trt_try_join_next_(&(set)->base_, TRT_TYPED_(out, (set)->result_))
#define trt_abort_all(set) trt_abort_all_(&(set)->base_)
#define trt_detach_all(set) trt_detach_all_(&(set)->base_)
#define trt_set_len(set) trt_set_len_(&(set)->base_)
#define trt_set_shutdown(set) trt_set_shutdown_(&(set)->base_)

TASKRT_API trt_op trt_join_next_(trt_set_ *set, void *out) TRT_MUST_USE_;
TASKRT_API trt_status_code trt_try_join_next_(trt_set_ *set, void *out);
TASKRT_API uint64_t trt_joined(void);
TASKRT_API void trt_abort_all_(trt_set_ *set);
TASKRT_API void trt_detach_all_(trt_set_ *set);
TASKRT_API size_t trt_set_len_(trt_set_ *set);
TASKRT_API trt_op trt_set_shutdown_(trt_set_ *set) TRT_MUST_USE_;

/* ------------------------------------------------------------------------------------------------
 * >>runtime
 */
/* trt_run(name, &out, .arg = v, ...) - start a runtime, run a coroutine as its first task, shut
 * down.
 * trt_run_with(&config, name, &out, ...) - the same with a configuration. (One with commas,
 * `&(trt_config){.workers = 2, .seed = 1}`, stands in parentheses of its own.)
 * trt_block_on(rt, name, &out, ...) - run a coroutine on a runtime that is there, and wait for it.
 *
 * `out` may be NULL. What is left when the first task of trt_run has ended is aborted; its cleanups
 * and started blocking jobs are waited for.
 *
 *   returns   as trt_join; TRT_NO_MEMORY if the runtime could not be started
 *   threads   plain threads and blocking jobs; in a task TRT_MISUSE
 *   blocks    the thread
 *   memory    trt_block_on: as a spawn; trt_run: a runtime, freed before it returns
 */
#define trt_run(name, ...) TRT_RUN_(NULL, NULL, 1u, name, __VA_ARGS__, )
#define trt_run_with(config, name, ...) TRT_RUN_(NULL, (config), 1u, name, __VA_ARGS__, )
#define trt_block_on(rt, name, ...) TRT_RUN_((rt), NULL, 0u, name, __VA_ARGS__, )

/* trt_runtime_start - make a runtime and its threads. `config` may be NULL.
 *
 *   returns   TRT_OK | TRT_NO_MEMORY (memory, or not one worker thread), *rt is NULL then. Fewer
 *             threads than asked for are no failure
 *   owns      the caller, until trt_runtime_free
 *   threads   any thread
 *
 * trt_runtime_shutdown - refuse new tasks, abort all that live, serve their cleanups, wait for
 * started blocking jobs, all up to `timeout` (negative: without limit). What is left is given up:
 * it runs no more, keeps what it has, and gets nothing. It has left what it waited for when this
 * returns, or, if a worker was busy still, when that has stopped: trt_runtime_free waits for it.
 * (A dump that is being written comes first, and hooks of the threads are waited for.)
 *
 *   returns   TRT_OK | TRT_TIMED_OUT | TRT_PENDING when called from what runs in it: begun, but it
 *             cannot wait for itself | TRT_MISUSE in a task of another runtime, begun likewise.
 *             NULL is a no-op. It may be called again, also at the same time: the first to
 *             run out of time gives up for all
 *   blocks    the thread
 *
 * trt_runtime_free - shut down without limit if that was not done, wait for blocking jobs without
 * limit, free everything. NULL is a no-op.
 *
 *   returns   TRT_OK | TRT_MISUSE, and nothing done, inside any task or this runtime's jobs
 *   owns      from then on nothing of it may be touched, handles included. Tasks of other runtimes
 *             that await one of its tasks in a group, or with a deadline, go on before
 *
 * trt_current - the runtime of this task or blocking job, else NULL.
 * trt_dump - write every live task: id, name, state, what it waits for, file and line of each
 * frame. It stops the workers between two polls while it writes. If one is in a poll for more than
 * 100 ms, its task is told by the last await, and of the others only those that wait in full.
 * trt_metrics - fill the counters.
 *
 *   threads   any thread, also tasks
 */
TASKRT_API trt_status_code trt_runtime_start(trt_runtime **rt, const trt_config *config);
TASKRT_API trt_status_code trt_runtime_shutdown(trt_runtime *rt, trt_duration timeout);
TASKRT_API trt_status_code trt_runtime_free(trt_runtime *rt);
TASKRT_API trt_runtime *trt_current(void);
TASKRT_API void trt_dump(trt_runtime *rt, FILE *to);
TASKRT_API void trt_metrics(trt_runtime *rt, trt_metrics_info *metrics);

/* trt_lock_held, trt_lock_released - announce a lock that belongs to the thread, such as a pthread
 * mutex. The count is per thread; without these calls nothing is checked.
 */
/* Debug builds warn when a task suspends while its thread holds a lock that was announced here. */
TASKRT_API void trt_lock_held(const void *lock, const char *name);
TASKRT_API void trt_lock_released(const void *lock);

/* ------------------------------------------------------------------------------------------------
 * >>time
 */
/* trt_ns(n), trt_us(n), trt_ms(n), trt_s(n) - durations. A constant if n is one; n may be
 * fractional. */
#define trt_ns(n) ((trt_duration)(n))
#define trt_us(n) TRT_UNITS_(n, 1000)
#define trt_ms(n) TRT_UNITS_(n, 1000000)
#define trt_s(n) TRT_UNITS_(n, 1000000000)
/* Integers exactly, fractions as the nearest double says; a constant if n is one. */
#ifdef __cplusplus
} /* extern "C" */
template <class N> constexpr trt_duration trt_units_(N n, trt_duration unit)
{
    return N(0.5) == 0 ? trt_duration(n) * unit : trt_duration(double(n) * double(unit));
}
#define TRT_UNITS_(n, unit) trt_units_((n), (unit))
extern "C" {
#else
#define TRT_UNITS_(n, unit)                                                                        \
    _Generic((n),                                                                                  \
        float: (trt_duration)(double)((double)(n) * (unit)),                                       \
        double: (trt_duration)(double)((double)(n) * (unit)),                                      \
        long double: (trt_duration)((long double)(n) * (unit)),                                    \
        default: (trt_duration)(n) * (unit))
#endif

/* trt_interval - ticks in even distances. A tick that is seen more than 5 ms late was missed:
 * TRT_BURST makes up for all, TRT_DELAY counts the period from now, TRT_SKIP goes on with the next
 * tick of the old schedule.
 */
typedef enum trt_missed_ticks { TRT_BURST = 1, TRT_DELAY, TRT_SKIP } trt_missed_ticks;
typedef struct trt_interval {
    trt_duration period_;
    trt_instant next_;
    trt_missed_ticks missed_;
} trt_interval;

/* trt_now - the monotonic clock; inside a task or job of a virtual_clock runtime, that clock.
 *
 *   units     nanoseconds
 *   threads   any thread; cannot fail
 *
 * trt_sleep, trt_sleep_until - op: until so much later, or that instant. Never early; done at once
 * if it is past. The duration counts from the await.
 * trt_within, trt_within_until - `op` with a deadline; the nearest of several counts.
 *
 *   returns   the status of `op`, or TRT_TIMED_OUT after it has ended as a loser of any does. One
 *             that is complete at once wins, even if the deadline is past
 *   cancel    safe; trt_within: as `op`
 *   memory    sleeping none; a deadline as trt_await_any
 *
 * trt_interval_init - the first tick is at once. TRT_MISUSE for a period that is not positive.
 * trt_tick - op: the next tick; TRT_MISUSE before init.
 * trt_advance - op: move the virtual clock; what is due fires, and then the caller goes behind it.
 * TRT_MISUSE without a virtual clock, or backwards.
 */
TASKRT_API trt_instant trt_now(void);
TASKRT_API trt_op trt_sleep(trt_duration duration) TRT_MUST_USE_;
TASKRT_API trt_op trt_sleep_until(trt_instant instant) TRT_MUST_USE_;
TASKRT_API trt_op trt_within(trt_duration duration, trt_op op) TRT_MUST_USE_;
TASKRT_API trt_op trt_within_until(trt_instant instant, trt_op op) TRT_MUST_USE_;
TASKRT_API trt_status_code trt_interval_init(trt_interval *interval, trt_duration period,
                                             trt_missed_ticks missed);
TASKRT_API trt_op trt_tick(trt_interval *interval) TRT_MUST_USE_;
TASKRT_API trt_op trt_advance(trt_duration duration) TRT_MUST_USE_;

/* ------------------------------------------------------------------------------------------------
 * >>sync
 */
/* Semaphore, mutex and read-write lock are one mechanism: permits, and a FIFO of waiters. */
typedef struct trt_permits_ {
    trt_a64_ word; /* permits taken or free << 2 | closed << 1 | somebody waits */
    trt_list_ waiters;
    trt_a32_ lock;
    uint32_t ready; /* set by trt_semaphore_init */
} trt_permits_;

typedef struct trt_semaphore { trt_permits_ base_; } trt_semaphore;
typedef struct trt_mutex { trt_permits_ base_; } trt_mutex;
typedef struct trt_rwlock { trt_permits_ base_; } trt_rwlock;
typedef struct trt_permit { trt_semaphore *from_; size_t n_; } trt_permit;
typedef struct trt_guard { trt_permits_ *from_; uint64_t n_; } trt_guard;

/* trt_acquire, trt_acquire_many - op: take permits, first come, first served.
 *
 * A waiter at the front that asks for many holds back those behind it.
 *
 *   returns   TRT_OK | TRT_CLOSED | TRT_MISUSE before init, without a place for the permit, or for
 *             more than SIZE_MAX / 8
 *   owns      `permit` is a value of the caller; until the await ends it stays put. One that is
 *             never released is used up
 *   threads   inside a task; try, release, add and close from any thread
 *   blocks    suspends the task
 *   cancel    safe, the place in the queue is lost; those behind it are looked at
 *   memory    no allocation
 *
 * trt_semaphore_init - n permits. TRT_MISUSE beyond the maximum.
 * trt_try_acquire, trt_try_acquire_many - at once, or false; never before those who wait.
 * trt_release - give back; a no-op on a zeroed permit, and leaves it zeroed.
 * trt_add_permits - more of them. TRT_MISUSE before init or beyond the maximum.
 * trt_available_permits - how many are free; 0 while somebody waits.
 * trt_semaphore_close - waiters and later ones get TRT_CLOSED; permits may still be released.
 */
TASKRT_API trt_status_code trt_semaphore_init(trt_semaphore *semaphore, size_t permits);
TASKRT_API trt_op trt_acquire(trt_semaphore *semaphore, trt_permit *permit) TRT_MUST_USE_;
TASKRT_API trt_op trt_acquire_many(trt_semaphore *semaphore, size_t n, trt_permit *permit)
    TRT_MUST_USE_;
TASKRT_API bool trt_try_acquire(trt_semaphore *semaphore, trt_permit *permit);
TASKRT_API bool trt_try_acquire_many(trt_semaphore *semaphore, size_t n, trt_permit *permit);
TASKRT_API void trt_release(trt_permit *permit);
TASKRT_API trt_status_code trt_add_permits(trt_semaphore *semaphore, size_t n);
TASKRT_API size_t trt_available_permits(trt_semaphore *semaphore);
TASKRT_API void trt_semaphore_close(trt_semaphore *semaphore);

/* trt_lock - op: take the mutex, first come, first served. A zeroed mutex is a free one.
 *
 *   returns   TRT_OK | TRT_MISUSE without a place for the guard
 *   owns      `guard` as a permit: whoever has it may unlock, on any thread
 *   threads   inside a task; try and unlock from any thread
 *   cancel    safe, the place in the queue is lost
 *   memory    no allocation
 *
 * trt_try_lock - at once, or false.
 * trt_unlock - also for the read-write lock; a no-op on a zeroed guard, and leaves it zeroed.
 */
TASKRT_API trt_op trt_lock(trt_mutex *mutex, trt_guard *guard) TRT_MUST_USE_;
TASKRT_API bool trt_try_lock(trt_mutex *mutex, trt_guard *guard);
TASKRT_API void trt_unlock(trt_guard *guard);

/* trt_read_lock, trt_write_lock - op: many readers (2^29 at most), or one writer. A writer that
 * waits holds back the readers behind it. Otherwise as trt_lock.
 *
 * trt_downgrade - turn a write guard into a read guard; no writer comes between.
 */
TASKRT_API trt_op trt_read_lock(trt_rwlock *rwlock, trt_guard *guard) TRT_MUST_USE_;
TASKRT_API trt_op trt_write_lock(trt_rwlock *rwlock, trt_guard *guard) TRT_MUST_USE_;
TASKRT_API bool trt_try_read_lock(trt_rwlock *rwlock, trt_guard *guard);
TASKRT_API bool trt_try_write_lock(trt_rwlock *rwlock, trt_guard *guard);
TASKRT_API void trt_downgrade(trt_guard *guard);

/* trt_notified - op: until notified. It remembers, when made, how many trt_notify_all there had
 * been: make the op, check the condition, then await it, and no wake is lost.
 *
 *   returns   TRT_OK
 *   cancel    safe, the place in the queue is lost; a notification goes to the next
 *   memory    no allocation
 *
 * trt_notify_one - wake the first waiter; without one, one notification is kept.
 * trt_notify_all - complete every trt_notified made before, awaited yet or not; keeps none.
 *
 *   threads   any thread
 */
typedef struct trt_notify {
    trt_list_ waiters_;
    trt_a64_ rounds_; /* calls of trt_notify_all so far */
    trt_a32_ word_;
} trt_notify;
TASKRT_API void trt_notify_one(trt_notify *notify);
TASKRT_API void trt_notify_all(trt_notify *notify);
TASKRT_API trt_op trt_notified(trt_notify *notify) TRT_MUST_USE_;

/* trt_barrier_wait - op: until `parties` tasks wait; then all go on and the next round begins.
 * *leader is true for one of them (`leader` may be NULL).
 *
 *   returns   TRT_OK | TRT_MISUSE before init
 *   cancel    the waiter leaves: it counts no longer. (An abort at the very moment at which the
 *             last one arrives may leave the others go on as if it had not come.)
 *   memory    no allocation
 *
 * trt_barrier_init - TRT_MISUSE for 0 parties.
 */
typedef struct trt_barrier {
    trt_list_ waiters_;
    size_t parties_, arrived_;
    trt_a32_ lock_;
} trt_barrier;
TASKRT_API trt_status_code trt_barrier_init(trt_barrier *barrier, size_t parties);
TASKRT_API trt_op trt_barrier_wait(trt_barrier *barrier, bool *leader) TRT_MUST_USE_;

/* trt_once_enter - op: *first is true for the one that is to initialise; the others wait for it.
 *
 *   returns   TRT_OK | TRT_MISUSE if `first` is NULL
 *   cancel    safe
 *   memory    no allocation
 *
 * trt_once_done - it is initialised: all go on, later ones at once.
 * trt_once_failed - the next waiter is the first now; a no-op once done, so a cleanup may call it.
 */
typedef struct trt_once {
    trt_list_ waiters_;
    trt_a32_ lock_;
    trt_a32_ state_; /* 0 nobody, 1 somebody initialises, 2 done */
} trt_once;
TASKRT_API trt_op trt_once_enter(trt_once *once, bool *first) TRT_MUST_USE_;
TASKRT_API void trt_once_done(trt_once *once);
TASKRT_API void trt_once_failed(trt_once *once);

/* trt_token - a tree of cancellation tokens: a cancel reaches all below, never what is above.
 *
 * trt_token_new - a root, or a child of `parent`; below a cancelled one it is born cancelled.
 *   returns   NULL: no memory
 *   owns      trt_token_free, once for each new; a child outlives its parent's free
 *   memory    one allocation, a root two
 * trt_token_cancel - cancel it and all below; NULL is a no-op.
 * trt_token_is_cancelled - false for NULL.
 * trt_token_wait - op: until cancelled. TRT_OK | TRT_MISUSE for NULL. Cancel: safe. No allocation.
 * trt_token_free(t) - sets t to NULL; NULL is a no-op. While somebody waits for it: message, and it
 * is not freed. Once it is cancelled nobody does, also if those who did have not run since.
 *
 *   threads   any thread
 */
typedef struct trt_token trt_token;
TASKRT_API trt_token *trt_token_new(trt_token *parent);
TASKRT_API void trt_token_cancel(trt_token *token);
TASKRT_API bool trt_token_is_cancelled(const trt_token *token);
TASKRT_API trt_op trt_token_wait(trt_token *token) TRT_MUST_USE_;
#define trt_token_free(token) trt_token_free_(&(token))
TASKRT_API void trt_token_free_(trt_token **token);

/* trt_arc_new - zeroed memory with an atomic count of 1; `destroy` (or NULL) is called on it when
 * the last reference is dropped.
 * trt_arc_clone(p) - one reference more; returns p.
 * trt_arc_drop(p) - one less, and sets p to NULL. NULL is a no-op for both.
 *
 *   returns   new: NULL without memory
 *   owns      each reference is dropped once
 *   threads   any thread; what was done to it before a drop is visible to `destroy`
 *   memory    one allocation, 16 bytes more than asked for
 */
TASKRT_API void *trt_arc_new(size_t size, void (*destroy)(void *));
#ifdef __cplusplus
#define trt_arc_clone(p) (static_cast<decltype(p)>(trt_arc_clone_(p)))
#else
#define trt_arc_clone(p) (trt_arc_clone_(p))
#endif
#define trt_arc_drop(p) (trt_arc_drop_(p), (void)((p) = NULL))
TASKRT_API void *trt_arc_clone_(void *p);
TASKRT_API void trt_arc_drop_(void *p);

/* ------------------------------------------------------------------------------------------------
 * >>channels
 */
#define TRT_UNBOUNDED SIZE_MAX

/* trt_oneshot(T) - one value, one time. Zeroed it is empty. Each use of the macro is a new type,
 * here and below: `typedef trt_oneshot(int) answer;`
 *
 * trt_oneshot_send(&o, value) - TRT_OK | TRT_CLOSED, after a close or an earlier send.
 * trt_oneshot_recv(&o, &out) - op: TRT_OK | TRT_CLOSED. `out` may be NULL.
 *   cancel    safe: a value sent stays to be received
 *   memory    no allocation
 * trt_oneshot_close(&o) - either side gives up; a value sent before is still received.
 *
 *   threads   send and close from any thread
 */
typedef struct trt_oneshot_ {
    trt_list_ waiters;
    trt_a32_ word; /* latch; empty, full, closed: see >>impl-channels */
} trt_oneshot_;
#define trt_oneshot(T) struct { trt_oneshot_ base_; T value_; }
#ifdef __cplusplus
#define trt_oneshot_send(o, ...) (trt_oneshot_put_((o), (__VA_ARGS__)))
#else
#define trt_oneshot_send(o, ...)                                                                   \
    trt_oneshot_send_(&(o)->base_, &(o)->value_, (__typeof__((o)->value_)[1]){__VA_ARGS__},        \
                      sizeof (o)->value_)
#endif
#define trt_oneshot_recv(o, out)                                                                   \
    trt_oneshot_recv_(&(o)->base_, &(o)->value_, sizeof (o)->value_,                               \
                      TRT_TYPED_(out, &(o)->value_))
#define trt_oneshot_close(o) trt_oneshot_close_(&(o)->base_)
TASKRT_API trt_status_code trt_oneshot_send_(trt_oneshot_ *oneshot, void *place, const void *value,
                                             size_t size);
TASKRT_API trt_op trt_oneshot_recv_(trt_oneshot_ *oneshot, void *value, size_t size, void *out)
    TRT_MUST_USE_;
TASKRT_API void trt_oneshot_close_(trt_oneshot_ *oneshot);
#ifdef __cplusplus
} /* extern "C" */
template <class O, class V> trt_status_code trt_oneshot_put_(O *oneshot, const V &value)
{
    auto copy = oneshot->value_;
    copy = value;
    return trt_oneshot_send_(&oneshot->base_, &oneshot->value_, &copy, sizeof copy);
}
extern "C" {
#endif

/* trt_channel(T) - a queue with many senders and receivers; each message goes to one receiver.
 *
 * trt_channel_init(&c, capacity) - `capacity` messages, or TRT_UNBOUNDED.
 *   returns   TRT_OK | TRT_NO_MEMORY | TRT_MISUSE for 0, or for messages of 0 bytes
 *   owns      trt_channel_free, when nobody uses it any more; messages left are dropped as bytes
 *   memory    bounded: one allocation, of about 512 bytes at least
 * trt_send(&c, &value) - op: put a copy at the end, wait for room if it is full, in order.
 *   returns   TRT_OK | TRT_CLOSED, nothing sent | TRT_NO_MEMORY | TRT_MISUSE before init
 *   owns      the value is copied when the await suspends: a local is right
 *   cancel    safe: nothing was sent; the place in the queue is lost
 *   memory    while it waits, a message of more than 8 bytes is kept in the slabs; an unbounded
 *             channel never makes it wait, and allocates blocks of a page, or of one message that
 *             is larger; it keeps some that are used up, four or one
 * trt_recv(&c, &out) - op: the first message; wait for one, in order. `out` may be NULL.
 *   returns   TRT_OK | TRT_CLOSED once it is closed and drained | TRT_MISUSE before init
 *   cancel    safe: no message is lost
 *   memory    no allocation
 * trt_try_send, trt_try_recv - at once, or TRT_FULL, TRT_EMPTY. Any thread.
 * trt_send_thread, trt_recv_thread - as calls that block a plain thread or blocking job.
 * trt_channel_close(&c) - senders get TRT_CLOSED, waiting ones too; receivers drain. Any thread.
 * trt_channel_len(&c) - messages in it.
 * trt_channel_free(&c) - close and free; afterwards it is as before init. Both no-ops before init.
 */
struct trt_block_;
typedef struct trt_channel_end_ { /* of the senders, or of the receivers */
    trt_a32_ latch;
    trt_abytes_ at, until; /* the place of the next message; how far without the other's latch */
    size_t size;           /* bytes a message; both ends have it */
    trt_abytes_ stuck;     /* where the other is, if that is also how far with both latches */
} trt_channel_end_;
typedef struct trt_channel_ { /* what lies between keeps the ends two cache lines apart */
    trt_channel_end_ put;
    trt_list_ senders, receivers;
    struct trt_block_ *first, *last; /* a list of blocks; bounded: one, the ring */
    struct trt_block_ *spare;        /* kept for later: a list */
    size_t bytes, limit, used;       /* of a block; of messages, see trt_channel_enter_ */
    trt_a32_ closed;
    bool bounded;
    trt_channel_end_ take;
} trt_channel_;
#define trt_channel(T) union { trt_channel_ base_; T *elem_; }
#define trt_channel_init(c, capacity)                                                              \
    trt_channel_init_(&(c)->base_, sizeof *(c)->elem_, (capacity))
#define trt_send(c, ...) trt_send_(&(c)->base_, TRT_TYPED_((__VA_ARGS__), (c)->elem_))
#define trt_recv(c, out) trt_recv_(&(c)->base_, TRT_TYPED_(out, (c)->elem_))
#define trt_try_send(c, ...) trt_try_send_(&(c)->base_, TRT_TYPED_((__VA_ARGS__), (c)->elem_))
#define trt_try_recv(c, out) trt_try_recv_(&(c)->base_, TRT_TYPED_(out, (c)->elem_))
#define trt_send_thread(c, ...)                                                                    \
    trt_send_thread_(&(c)->base_, TRT_TYPED_((__VA_ARGS__), (c)->elem_))
#define trt_recv_thread(c, out) trt_recv_thread_(&(c)->base_, TRT_TYPED_(out, (c)->elem_))
#define trt_channel_close(c) trt_channel_close_(&(c)->base_)
#define trt_channel_len(c) trt_channel_len_(&(c)->base_)
#define trt_channel_free(c) trt_channel_free_(&(c)->base_)
TASKRT_API trt_status_code trt_channel_init_(trt_channel_ *channel, size_t size, size_t capacity);
TASKRT_API trt_op trt_send_(trt_channel_ *channel, const void *value) TRT_MUST_USE_;
TASKRT_API trt_op trt_recv_(trt_channel_ *channel, void *out) TRT_MUST_USE_;
TASKRT_API trt_status_code trt_try_send_(trt_channel_ *channel, const void *value);
TASKRT_API trt_status_code trt_try_recv_(trt_channel_ *channel, void *out);
TASKRT_API trt_status_code trt_send_thread_(trt_channel_ *channel, const void *value);
TASKRT_API trt_status_code trt_recv_thread_(trt_channel_ *channel, void *out);
TASKRT_API void trt_channel_close_(trt_channel_ *channel);
TASKRT_API size_t trt_channel_len_(trt_channel_ *channel);
TASKRT_API void trt_channel_free_(trt_channel_ *channel);

/* trt_broadcast(T) - every subscriber gets every value; the last `capacity` are kept.
 *
 * trt_broadcast_init(&b, capacity) - TRT_OK | TRT_NO_MEMORY | TRT_MISUSE for 0, or for values of 0
 * bytes. One allocation.
 * trt_broadcast_send(&b, &value) - TRT_OK, also with no subscriber | TRT_CLOSED | TRT_MISUSE.
 * Waits for nobody, no allocation, any thread.
 * trt_subscribe(&b, &sub) - from the next value on; `sub` is a trt_subscriber(T). No allocation.
 * trt_unsubscribe(&sub) - leave; a no-op on a zeroed one.
 * trt_broadcast_recv(&sub, &out) - op: the next value.
 *   returns   TRT_OK | TRT_LAGGED once, if values were overwritten: trt_lagged(&sub) tells how
 *             many, and the next is the oldest kept | TRT_CLOSED when closed and drained |
 *             TRT_MISUSE
 *   threads   a subscriber has one user at a time, and stays put while it waits
 *   cancel    safe
 *   memory    no allocation
 * trt_broadcast_close(&b), trt_broadcast_free(&b) - as those of a channel.
 */
typedef struct trt_broadcast_ {
    trt_list_ waiters;
    trt_a32_ lock;
    uint32_t closed;
    size_t size, capacity;
    uint64_t next; /* number of the next value; the ring keeps the last `capacity` */
    unsigned char *ring;
} trt_broadcast_;
typedef struct trt_subscriber_ { trt_broadcast_ *of; uint64_t next, lagged; } trt_subscriber_;
#define trt_broadcast(T) union { trt_broadcast_ base_; T *elem_; }
#define trt_subscriber(T) union { trt_subscriber_ base_; T *elem_; }
#define trt_broadcast_init(b, capacity)                                                            \
    trt_broadcast_init_(&(b)->base_, sizeof *(b)->elem_, (capacity))
#define trt_broadcast_send(b, ...)                                                                 \
    trt_broadcast_send_(&(b)->base_, TRT_TYPED_((__VA_ARGS__), (b)->elem_))
#define trt_subscribe(b, sub)                                                                      \
    trt_subscribe_(&(b)->base_, &(sub)->base_, TRT_TYPED_(&(b)->elem_, &(sub)->elem_))
#define trt_unsubscribe(sub) trt_unsubscribe_(&(sub)->base_)
#define trt_broadcast_recv(sub, out)                                                               \
    trt_broadcast_recv_(&(sub)->base_, TRT_TYPED_(out, (sub)->elem_))
#define trt_lagged(sub) ((sub)->base_.lagged)
#define trt_broadcast_close(b) trt_broadcast_close_(&(b)->base_)
#define trt_broadcast_free(b) trt_broadcast_free_(&(b)->base_)
TASKRT_API trt_status_code trt_broadcast_init_(trt_broadcast_ *broadcast, size_t size,
                                               size_t capacity);
TASKRT_API trt_status_code trt_broadcast_send_(trt_broadcast_ *broadcast, const void *value);
TASKRT_API trt_status_code trt_subscribe_(trt_broadcast_ *broadcast, trt_subscriber_ *subscriber,
                                          const void *same_type);
TASKRT_API void trt_unsubscribe_(trt_subscriber_ *subscriber);
TASKRT_API trt_op trt_broadcast_recv_(trt_subscriber_ *subscriber, void *out) TRT_MUST_USE_;
TASKRT_API void trt_broadcast_close_(trt_broadcast_ *broadcast);
TASKRT_API void trt_broadcast_free_(trt_broadcast_ *broadcast);

/* trt_watch(T) - the latest value; those between may be skipped.
 *
 * trt_watch_init(&w, &initial) - TRT_OK | TRT_MISUSE for NULL. No allocation; nothing to free.
 * trt_watch_send(&w, &value) - TRT_OK | TRT_CLOSED | TRT_MISUSE before init. Any thread.
 * trt_watch_read(&w, &out) - the value now, also when closed. Any thread.
 * trt_watch_follow(&w, &follower) - the value of this moment counts as seen.
 * trt_watch_changed(&follower, &out) - op: a value not seen yet, the latest.
 *   returns   TRT_OK | TRT_CLOSED once the last value was seen | TRT_MISUSE
 *   threads   a follower has one user at a time, and stays put while it waits
 *   cancel    safe
 *   memory    no allocation
 * trt_watch_close(&w) - no more values. A no-op before init.
 */
typedef struct trt_watch_ {
    trt_list_ waiters;
    trt_a32_ lock;
    uint32_t closed;
    uint64_t version; /* 0 before trt_watch_init */
    size_t size;
    unsigned char *value;
} trt_watch_;
typedef struct trt_follower_ { trt_watch_ *of; uint64_t seen; } trt_follower_;
#define trt_watch(T) struct { trt_watch_ base_; T value_; }
#define trt_follower(T) union { trt_follower_ base_; T *elem_; }
#define trt_watch_init(w, ...)                                                                     \
    trt_watch_init_(&(w)->base_, &(w)->value_, sizeof (w)->value_,                                 \
                    TRT_TYPED_((__VA_ARGS__), &(w)->value_))
#define trt_watch_send(w, ...)                                                                     \
    trt_watch_send_(&(w)->base_, TRT_TYPED_((__VA_ARGS__), &(w)->value_))
#define trt_watch_read(w, out) trt_watch_read_(&(w)->base_, TRT_TYPED_(out, &(w)->value_))
#define trt_watch_follow(w, follower)                                                              \
    trt_watch_follow_(&(w)->base_, &(follower)->base_, TRT_TYPED_(&(w)->value_, (follower)->elem_))
#define trt_watch_changed(follower, out)                                                           \
    trt_watch_changed_(&(follower)->base_, TRT_TYPED_(out, (follower)->elem_))
#define trt_watch_close(w) trt_watch_close_(&(w)->base_)
TASKRT_API trt_status_code trt_watch_init_(trt_watch_ *watch, void *place, size_t size,
                                           const void *initial);
TASKRT_API trt_status_code trt_watch_send_(trt_watch_ *watch, const void *value);
TASKRT_API trt_status_code trt_watch_read_(trt_watch_ *watch, void *out);
TASKRT_API trt_status_code trt_watch_follow_(trt_watch_ *watch, trt_follower_ *follower,
                                             const void *same_type);
TASKRT_API trt_op trt_watch_changed_(trt_follower_ *follower, void *out) TRT_MUST_USE_;
TASKRT_API void trt_watch_close_(trt_watch_ *watch);

/* ------------------------------------------------------------------------------------------------
 * >>fds
 */
/* trt_readable, trt_writable - op: until the fd is ready, has an error, or is hung up.
 *
 * Regular files are always ready. Several tasks may wait for one fd; all of one direction are
 * woken. So make it non-blocking: another task, or process, may have read before this one does.
 *
 *   returns   TRT_OK | TRT_ERRNO with trt_errno(), EBADF for one that is not open | TRT_NO_MEMORY
 *   owns      the fd stays open until the await ends; afterwards it may be closed and its number
 *             used again
 *   threads   inside a task
 *   blocks    suspends the task
 *   cancel    safe
 *   memory    one allocation for each fd number, kept until the runtime is freed; it has two fds of
 *             its own from the first wait on (epoll), and one for each worker that waits for any
 */
TASKRT_API trt_op trt_readable(int fd) TRT_MUST_USE_;
TASKRT_API trt_op trt_writable(int fd) TRT_MUST_USE_;

#ifdef __cplusplus
} /* extern "C" */
#endif
#endif /* TASKRT_H */
/* ================================================================================================
 * IMPLEMENTATION
 * ================================================================================================
 * >>impl-settings
 */
#ifdef TASKRT_IMPLEMENTATION
#ifdef __cplusplus
#error "define TASKRT_IMPLEMENTATION in a C file: the implementation is C11"
#endif
#ifdef TASKRT_IMPLEMENTED_
#error "TASKRT_IMPLEMENTATION has included the implementation twice"
#endif
#define TASKRT_IMPLEMENTED_

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#if !defined TASKRT_POLL && !defined __linux__ && !defined __APPLE__ && !defined __FreeBSD__ &&    \
    !defined __OpenBSD__ && !defined __NetBSD__ && !defined __DragonFly__
#define TASKRT_POLL
#endif
#if defined __linux__
#include <sys/syscall.h>
#endif
#include <poll.h>
#if defined TASKRT_POLL
#include <fcntl.h>
#elif defined __linux__
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#else
#include <fcntl.h>
#include <sys/types.h>
#include <sys/event.h>
#include <sys/time.h>
#endif

#if defined TASKRT_MALLOC != defined TASKRT_FREE
#error "define both TASKRT_MALLOC and TASKRT_FREE, or neither"
#endif
#ifndef TASKRT_MALLOC
#define TASKRT_MALLOC(size) TRT_SYS_(malloc)(size)
#define TASKRT_FREE(p) TRT_SYS_(free)(p)
#endif
#ifndef TASKRT_ASSERT
#include <assert.h>
#define TASKRT_ASSERT(x) assert(x)
#endif
#ifndef TASKRT_LOG
#define TASKRT_LOG(text) ((void)fputs((text), stderr), (void)fflush(stderr))
#endif
#ifndef TASKRT_CACHELINE
#define TASKRT_CACHELINE 64
#endif

#ifdef TASKRT_STATIC
#define TRT_DEF_ static TRT_UNUSED_
#else
#define TRT_DEF_
#endif

#define TRT_ASSERT_(x) ((void)(TASKRT_DEBUG && ((TASKRT_ASSERT(x)), 0)))
#define TRT_LIKELY_(x) __builtin_expect(!!(x), 1)
#define TRT_UNLIKELY_(x) __builtin_expect(!!(x), 0)
#define TRT_NOINLINE_ __attribute__((noinline))
#define TRT_COLD_ __attribute__((noinline, cold)) /* rare: made for size */
#define TRT_CONTAINER_(type, member, p) ((type *)(void *)((char *)(p) - offsetof(type, member)))

#if defined TASKRT_MODEL /* it knows fences */
#define TRT_TSAN_ 0
#elif defined __SANITIZE_THREAD__
#define TRT_TSAN_ 1
#elif defined __has_feature
#if __has_feature(thread_sanitizer)
#define TRT_TSAN_ 1
#endif
#endif
#ifndef TRT_TSAN_
#define TRT_TSAN_ 0
#endif

/* Sizes. Tests make them small, so that wrap-around and overflow happen in small tests. */
#ifndef TASKRT_TEST_RING
#define TASKRT_TEST_RING 256
#endif
#ifndef TASKRT_TEST_BUDGET
#define TASKRT_TEST_BUDGET 128
#endif
#ifndef TASKRT_TEST_DEQUE
#define TASKRT_TEST_DEQUE 64
#endif
#ifndef TASKRT_TEST_BATCH
#define TASKRT_TEST_BATCH 256
#endif
#ifndef TASKRT_TEST_MAINTENANCE
#define TASKRT_TEST_MAINTENANCE 61
#endif
#ifndef TASKRT_TEST_CHANNEL
#define TASKRT_TEST_CHANNEL 512
#endif
#ifndef TASKRT_TEST_SPINS
#define TASKRT_TEST_SPINS 512
#endif
#define TRT_RING_ ((uint32_t)TASKRT_TEST_RING) /* entries of a local queue, a power of two */
#define TRT_BUDGET_ TASKRT_TEST_BUDGET         /* completed-at-once operations a poll; as Tokio */
#define TRT_LIFO_RUN_ 3u       /* polls from the LIFO slot in a row; as Tokio */
#define TRT_DEQUE_ ((uint64_t)TASKRT_TEST_DEQUE) /* forks, at first; a power of two */
#define TRT_BATCH_ ((size_t)TASKRT_TEST_BATCH)   /* slots passed on at once, at most */
/* Polls between looks at timers, fds and injected work; as Tokio. */
#define TRT_MAINTENANCE_ ((uint32_t)TASKRT_TEST_MAINTENANCE)
#define TRT_LATE_NS_ 200000 /* between looks, if a turn had more polls than that: trt_late_ */
#define TRT_INJECT_BATCH_ 64u /* entries taken at such a look; one would starve a million spawns */
#define TRT_BEAT_NS_ 10000000  /* the watch thread's step while anything runs */
#define TRT_FOREVER_ INT64_MAX

/* ------------------------------------------------------------------------------------------------
 * >>atomics
 *
 * Every atomic access of the implementation goes through these, with the order spelled out. They
 * are one half of the layer between the implementation and the machine; the other half is TRT_SYS_,
 * through which every call of the C library or the system goes that threads, time, memory or fds
 * depend on. Nothing else stands between them: what is not a plain access of memory is here.
 *
 * For tests, -DTASKRT_MODEL='"file.h"' puts another layer in the place of this one. The file
 * defines
 *
 *     TRT_LOAD_ to TRT_CAS_WEAK_, TRT_FENCE_, TRT_LIGHT_FENCE_   as below
 *     TRT_LEARN_(p), TRT_LEARNED_(p)   set and look at a word that the process keeps: what makes
 *                          things faster, and the same (a model that repeats runs learns nothing)
 *     TRT_SYS_(name)       what is called instead of the function `name`
 *     TRT_THREAD_LOCAL_    declares a variable that each thread has for itself, zero at first
 *     TRT_PAUSE_()         a moment's rest in a loop that waits for another thread
 *
 * and, if it likes, trt_latch_, trt_latch_once_ and trt_unlatch_ as macros, with TRT_OWN_LATCH_ to
 * say so.
 *
 * `make check-mutants` weakens each order, and some test has to notice. Where none can, a comment
 * on the line or in front of the statement says why the order is there: it begins with `order`, a
 * colon, and ends with the comment.
 */
#if defined TASKRT_MODEL
#include TASKRT_MODEL
#else
#define TRT_FAILED_relaxed_ memory_order_relaxed
#define TRT_FAILED_acquire_ memory_order_acquire
#define TRT_FAILED_release_ memory_order_relaxed
#define TRT_FAILED_acq_rel_ memory_order_acquire
#define TRT_FAILED_seq_cst_ memory_order_seq_cst
#define TRT_LOAD_(p, order) atomic_load_explicit((p), memory_order_##order)
#define TRT_STORE_(p, v, order) atomic_store_explicit((p), (v), memory_order_##order)
#define TRT_SWAP_(p, v, order) atomic_exchange_explicit((p), (v), memory_order_##order)
#define TRT_ADD_(p, v, order) atomic_fetch_add_explicit((p), (v), memory_order_##order)
#define TRT_SUB_(p, v, order) atomic_fetch_sub_explicit((p), (v), memory_order_##order)
#define TRT_OR_(p, v, order) atomic_fetch_or_explicit((p), (v), memory_order_##order)
#define TRT_AND_(p, v, order) atomic_fetch_and_explicit((p), (v), memory_order_##order)
#define TRT_CAS_(p, expected, v, order)                                                            \
    atomic_compare_exchange_strong_explicit((p), (expected), (v), memory_order_##order,            \
                                            TRT_FAILED_##order##_)
#define TRT_CAS_WEAK_(p, expected, v, order)                                                       \
    atomic_compare_exchange_weak_explicit((p), (expected), (v), memory_order_##order,              \
                                          TRT_FAILED_##order##_)
/* A full fence. ThreadSanitizer does not know fences: there, a read-modify-write on `word`, which
 * both sides of the handshake name. */
#if TRT_TSAN_
#define TRT_FENCE_(word) ((void)atomic_fetch_add_explicit((word), 0u, memory_order_seq_cst))
#else
#define TRT_FENCE_(word) ((void)(word), atomic_thread_fence(memory_order_seq_cst))
#endif
/* One half of a full fence: the other is trt_os_fence_all_. For the processor it is nothing. */
#define TRT_LIGHT_FENCE_(word) ((void)(word), atomic_signal_fence(memory_order_seq_cst))
#define TRT_LEARNED_(p) TRT_LOAD_((p), relaxed)
#define TRT_LEARN_(p) TRT_STORE_((p), 1u, relaxed)
#define TRT_SYS_(name) name
#define TRT_THREAD_LOCAL_(type, name) _Thread_local type name
#if defined __x86_64__ || defined __i386__
#define TRT_PAUSE_() __builtin_ia32_pause()
#elif defined __aarch64__ || defined __ARM_ARCH_7A__
#define TRT_PAUSE_() __asm__ __volatile__("yield")
#else
#define TRT_PAUSE_() ((void)0)
#endif
#endif

/* A counter with one writer: others may read it at any time, and get a recent value. */
#define TRT_COUNT_(p, n) TRT_STORE_((p), TRT_LOAD_((p), relaxed) + (n), relaxed)

typedef _Atomic(uintptr_t) trt_aptr_;
typedef _Atomic(int64_t) trt_ai64_ __attribute__((aligned(8))); /* as trt_a64_ */

/* ------------------------------------------------------------------------------------------------
 * >>os
 *
 * Everything that asks the operating system: clock, threads, blocking on a word in memory. The
 * declarations repeat those that a strict -std=c11 hides when a user's file included the system's
 * headers first.
 */
#if defined __linux__
extern long syscall(long number, ...);
extern int clock_gettime(int clock, struct timespec *time);

static trt_instant trt_clock_(void)
{
    struct timespec t;
#ifdef SYS_clock_gettime64
    if (sizeof(time_t) > sizeof(long)) { /* a 32-bit system with 64-bit time */
        int64_t t64[2] = {0, 0};
        TRT_SYS_(syscall)(SYS_clock_gettime64, 1, t64);
        return t64[0] * 1000000000 + t64[1];
    }
#endif
    TRT_SYS_(clock_gettime)(1 /* CLOCK_MONOTONIC */, &t);
    return (trt_instant)t.tv_sec * 1000000000 + (trt_instant)t.tv_nsec;
}
#else
static trt_instant trt_clock_(void)
{
    struct timespec t;
    TRT_SYS_(clock_gettime)(CLOCK_MONOTONIC, &t);
    return (trt_instant)t.tv_sec * 1000000000 + (trt_instant)t.tv_nsec;
}
#endif

/* Memory that is much and will be used: huge pages, where the system gives them to who asks. What
 * it answers changes nothing. */
static void trt_os_huge_(void *p, size_t size)
{
#if defined __linux__
    uintptr_t page = (uintptr_t)p & ~(uintptr_t)4095;
    TRT_SYS_(syscall)(SYS_madvise, page, (uintptr_t)p + size - page, 14 /* MADV_HUGEPAGE */);
#else
    (void)p, (void)size;
#endif
}

static trt_instant trt_after_(trt_instant t, trt_duration d)
{
    if (d > 0 && t > INT64_MAX - d) return INT64_MAX;
    if (d < 0 && t < INT64_MIN - d) return INT64_MIN;
    return t + d;
}

/* Block while *word is `expected`, until a wake or the deadline; may return early at any time. */
#if defined __linux__ && !defined TASKRT_NO_FUTEX
/* The address of a word, as the system wants it: without the qualifier. */
static void *trt_address_(trt_a32_ *word)
{
    void *p;
    memcpy(&p, &word, sizeof p);
    return p;
}

static void trt_os_wait_(trt_a32_ *word, uint32_t expected, trt_instant deadline)
{
    int op = 9 | 128; /* FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG: the deadline is an instant */
    long error = errno;
#ifdef SYS_futex
    struct { long sec, nsec; } at;
    long call = SYS_futex;
#else
    struct { int64_t sec, nsec; } at;
    long call = SYS_futex_time64;
#endif
    if (deadline < 0) deadline = 0;
    at.sec = 0;
    at.nsec = 0;
    if (deadline != TRT_FOREVER_) {
        trt_instant sec = deadline / 1000000000;
        if (sizeof at.sec < sizeof sec && sec > LONG_MAX) sec = LONG_MAX;
#ifdef SYS_futex
        at.sec = (long)sec;
        at.nsec = (long)(deadline % 1000000000);
#else
        at.sec = sec;
        at.nsec = deadline % 1000000000;
#endif
    }
    TRT_SYS_(syscall)(call, trt_address_(word), op, expected,
                      deadline == TRT_FOREVER_ ? NULL : (void *)&at, NULL, 0xFFFFFFFFu);
    errno = (int)error;
}

static void trt_os_wake_(trt_a32_ *word, int n)
{
    int error = errno, op = 1 | 128; /* FUTEX_WAKE, private */
#ifdef SYS_futex
    TRT_SYS_(syscall)(SYS_futex, trt_address_(word), op, n, NULL, NULL, 0);
#else
    TRT_SYS_(syscall)(SYS_futex_time64, trt_address_(word), op, n, NULL, NULL, 0);
#endif
    errno = error;
}
#else
/* Without futexes: a small table of mutexes and conditions, by address. Two words that share a row
 * wake each other for nothing, which every caller allows for. */
#define TRT_ROWS_ 64u
static struct { pthread_mutex_t mutex; pthread_cond_t changed; } trt_rows_[TRT_ROWS_];
static pthread_once_t trt_rows_once_ = PTHREAD_ONCE_INIT;
#if defined __linux__
extern int pthread_condattr_setclock(pthread_condattr_t *attributes, int clock);
#endif

static void trt_rows_init_(void)
{
    uint32_t i;
    for (i = 0; i < TRT_ROWS_; i++) {
        pthread_condattr_t attributes;
        TRT_SYS_(pthread_condattr_init)(&attributes);
#if defined __linux__
        TRT_SYS_(pthread_condattr_setclock)(&attributes, 1);
#elif !defined __APPLE__
        TRT_SYS_(pthread_condattr_setclock)(&attributes, CLOCK_MONOTONIC);
#endif
        TRT_SYS_(pthread_mutex_init)(&trt_rows_[i].mutex, NULL);
        TRT_SYS_(pthread_cond_init)(&trt_rows_[i].changed, &attributes);
        TRT_SYS_(pthread_condattr_destroy)(&attributes);
    }
}

static uint32_t trt_row_(const void *word)
{
    TRT_SYS_(pthread_once)(&trt_rows_once_, trt_rows_init_);
    return (uint32_t)(((uintptr_t)word >> 4) * 2654435761u >> 7) % TRT_ROWS_;
}

static void trt_os_wait_(trt_a32_ *word, uint32_t expected, trt_instant deadline)
{
    uint32_t row = trt_row_(word);
    TRT_SYS_(pthread_mutex_lock)(&trt_rows_[row].mutex);
    if (TRT_LOAD_(word, relaxed) == expected) { /* who changes it takes the mutex after that */
        if (deadline == TRT_FOREVER_) {
            TRT_SYS_(pthread_cond_wait)(&trt_rows_[row].changed, &trt_rows_[row].mutex);
        } else {
            struct timespec at;
#if defined __APPLE__
            trt_duration left = deadline - trt_clock_();
            if (left < 0) left = 0;
            at.tv_sec = (time_t)(left / 1000000000);
            at.tv_nsec = (long)(left % 1000000000);
            TRT_SYS_(pthread_cond_timedwait_relative_np)
            (&trt_rows_[row].changed, &trt_rows_[row].mutex, &at);
#else
            if (deadline < 0) deadline = 0;
            at.tv_sec = (time_t)(deadline / 1000000000);
            at.tv_nsec = (long)(deadline % 1000000000);
            TRT_SYS_(pthread_cond_timedwait)(&trt_rows_[row].changed, &trt_rows_[row].mutex, &at);
#endif
        }
    }
    TRT_SYS_(pthread_mutex_unlock)(&trt_rows_[row].mutex);
}

static void trt_os_wake_(trt_a32_ *word, int n)
{
    uint32_t row = trt_row_(word);
    (void)n;
    TRT_SYS_(pthread_mutex_lock)(&trt_rows_[row].mutex);
    TRT_SYS_(pthread_cond_broadcast)(&trt_rows_[row].changed);
    TRT_SYS_(pthread_mutex_unlock)(&trt_rows_[row].mutex);
}
#endif

/* Let every thread of the process pass a fence. False: the system cannot. */
#if defined __linux__ && defined SYS_membarrier
static bool trt_os_membarrier_(int command)
{
    int error = errno;
    bool done = TRT_SYS_(syscall)(SYS_membarrier, command, 0, 0) == 0;
    errno = error;
    return done;
}
static bool trt_os_fence_all_(void) { return trt_os_membarrier_(8); }      /* PRIVATE_EXPEDITED */
static bool trt_os_fence_prepare_(void) { return trt_os_membarrier_(16); } /* REGISTER_... */
#else
static bool trt_os_fence_all_(void) { return false; }
static bool trt_os_fence_prepare_(void) { return false; }
#endif

typedef pthread_t trt_thread_id_;

static bool trt_os_thread_(trt_thread_id_ *thread, void *(*run)(void *), void *arg)
{
    return TRT_SYS_(pthread_create)(thread, NULL, run, arg) == 0;
}

static void trt_os_join_(trt_thread_id_ thread) { TRT_SYS_(pthread_join)(thread, NULL); }

static void trt_os_name_(const char *name)
{
#if defined __linux__
    TRT_SYS_(syscall)(SYS_prctl, 15 /* PR_SET_NAME */, name, 0, 0, 0);
#elif defined __APPLE__
    TRT_SYS_(pthread_setname_np)(name);
#else
    (void)name;
#endif
}

/* CPUs that this process may use. */
static size_t trt_os_cpus_(void)
{
#if defined __linux__
    unsigned char mask[8192]; /* 65,536 CPUs; the kernel tells how much it filled */
    long n = TRT_SYS_(syscall)(SYS_sched_getaffinity, 0, sizeof mask, mask);
    if (n > 0) {
        size_t count = 0;
        long i;
        for (i = 0; i < n; i++) count += (size_t)__builtin_popcount(mask[i]);
        if (count) return count;
    }
#endif
    {
        long online = TRT_SYS_(sysconf)(_SC_NPROCESSORS_ONLN);
        return online > 0 ? (size_t)online : 1;
    }
}

/* Threads that the process has; 0: not known. */
static size_t trt_os_threads_(void)
{
    size_t n = 0;
#if defined __linux__
    FILE *f = TRT_SYS_(fopen)("/proc/self/status", "r");
    char line[256];
    while (f && fgets(line, sizeof line, f))
        if (strncmp(line, "Threads:", 8) == 0) n = (size_t)strtoul(line + 8, NULL, 10);
    if (f) (void)fclose(f);
#endif
    return n;
}

/* A latch: a mutex of four bytes. 1 is held, 2 is held and somebody sleeps for it (Drepper,
 * "Futexes Are Tricky", the second mutex); anything else is free, and a value that the holder takes
 * with the latch and puts back at the end. Of most latches it is always 0. Held for a few dozen
 * instructions, so a short spin mostly suffices. Whoever spins looks ever more rarely (Anderson
 * 1990): the holder keeps the cache line for several turns, which the two ends of a channel on
 * different processors gain more from than from the quickest possible hand-over (a third of the
 * time for a message).
 *
 * To open it is a plain store. Only if somebody sleeps for any latch of the process is it a swap,
 * which costs as much as the latch itself, and tells whether to wake. Who is about to sleep
 *
 *     counts itself; lets all threads pass a fence; swaps 2 in, and sleeps if it was held
 *
 * so that an opener that looked at the count before is behind its store, which the swap finds, or
 * sees the count at its second look: then its store may have wiped out the 2, and it wakes. (Dice,
 * Huang, Yang, "Asymmetric Dekker Synchronization", 2001.) The count is odd while there is no such
 * fence, and every opening a swap. The system may stop to give it, if the process denies itself the
 * call: then a sleeper looks again by itself. */
#define TRT_LATCHED_(value) ((value) - 1u < 2u)
static trt_a32_ trt_sleepers_ = 1; /* twice their number, and 1 without a fence for all */

static void trt_latch_prepare_(void)
{
    if ((TRT_LOAD_(&trt_sleepers_, relaxed) & 1u) && trt_os_fence_prepare_())
        TRT_AND_(&trt_sleepers_, ~(uint32_t)1, relaxed);
}

static TRT_NOINLINE_ uint32_t trt_latch_slow_(trt_a32_ *latch)
{
    int spins, pause = TASKRT_TEST_SPINS < 16 ? 1 : 16, i;
    uint32_t value;
    bool fenced;
    for (spins = 0; spins < TASKRT_TEST_SPINS; spins += pause) {
        for (i = 0; i < pause; i++) TRT_PAUSE_();
        if (pause < 128) pause *= 2;
        value = TRT_LOAD_(latch, relaxed);
        if (!TRT_LATCHED_(value) && TRT_CAS_(latch, &value, 1u, acquire)) return value;
    }
    fenced = (TRT_ADD_(&trt_sleepers_, 2u, relaxed) & 1u) || trt_os_fence_all_();
    while (TRT_LATCHED_(value = TRT_SWAP_(latch, 2u, acquire)))
        trt_os_wait_(latch, 2, fenced ? TRT_FOREVER_ : trt_after_(trt_clock_(), 1000000));
    TRT_SUB_(&trt_sleepers_, 2u, relaxed);
    return value;
}

/* Spinning before a sleep, for about as long as a sleep and a wake take: that costs at most twice
 * what the better of the two would have (Karlin et al. 1991, Empirical studies of competitive
 * spinning), and less with what was learnt: after each time in vain it is left out twice as often.
 * It does not give way: a sched_yield takes the time slice of whoever else wants this processor,
 * and who spins cannot be called back from there (4 ms a call, beside a busy process). */
#define TRT_SPIN_NS_ 50000
typedef struct trt_spin_ {
    uint8_t in_vain, left_out;
} trt_spin_;

static bool trt_spin_pays_(trt_spin_ *spin)
{
    if (!spin->left_out) return true;
    spin->left_out--;
    return false;
}

static void trt_spin_learn_(trt_spin_ *spin, bool paid)
{
    if (paid) {
        spin->in_vain = 0;
        return;
    }
    if (spin->in_vain < 7) spin->in_vain++;
    spin->left_out = (uint8_t)((1u << spin->in_vain) - 1);
}

/* Until *word is no longer `value`: true. It has paid if that came soon: a thread that was taken
 * off its processor, as others want it too, would have been back earlier from a sleep. */
static bool trt_spin_while_(const trt_a32_ *word, uint32_t value, bool *paid)
{
    trt_instant until = trt_after_(trt_clock_(), TRT_SPIN_NS_);
    bool changed;
    int spins, i;
    for (spins = 1; spins <= TASKRT_TEST_SPINS; spins++) {
        if (TRT_LOAD_(word, relaxed) != value) break;
        for (i = 0; i < (TASKRT_TEST_SPINS < 16 ? 1 : 4); i++) TRT_PAUSE_();
        if (spins % 16 == 0 && trt_clock_() >= until) break;
    }
    changed = TRT_LOAD_(word, acquire) != value;
    *paid = changed && trt_clock_() < until;
    return changed;
}

static uint32_t trt_latch_value_(trt_a32_ *latch)
{
    uint32_t value = TRT_LOAD_(latch, relaxed);
    if (TRT_LATCHED_(value) || TRT_UNLIKELY_(!TRT_CAS_(latch, &value, 1u, acquire)))
        return trt_latch_slow_(latch);
    return value;
}

enum { TRT_UNLATCHED_, TRT_UNLATCH_SWAPS_, TRT_UNLATCH_WAKES_ };

/* Returns false: to be the last thing that a function does whose answer that is. */
static TRT_NOINLINE_ bool trt_unlatch_rest_(trt_a32_ *latch, uint32_t value, int rest)
{
    if (rest == TRT_UNLATCH_WAKES_) trt_os_wake_(latch, 1);
    /* Pairs with the acquire of the next holder. */
    else if (TRT_SWAP_(latch, value, release) == 2) trt_os_wake_(latch, 1);
    return false;
}

/* Returns what is left to do, which is rarely anything, for trt_unlatch_rest_. */
TRT_ALWAYS_INLINE_ int trt_unlatch_most_(trt_a32_ *latch, uint32_t value)
{
    if (TRT_UNLIKELY_(TRT_LOAD_(&trt_sleepers_, relaxed))) return TRT_UNLATCH_SWAPS_;
    TRT_STORE_(latch, value, release); /* as in trt_unlatch_rest_ */
    TRT_LIGHT_FENCE_(&trt_sleepers_);
    return TRT_UNLIKELY_(TRT_LOAD_(&trt_sleepers_, relaxed)) ? TRT_UNLATCH_WAKES_ : TRT_UNLATCHED_;
}

TRT_ALWAYS_INLINE_ bool trt_unlatch_value_here_(trt_a32_ *latch, uint32_t value)
{
    int rest = trt_unlatch_most_(latch, value);
    return TRT_UNLIKELY_(rest) && trt_unlatch_rest_(latch, value, rest);
}

static TRT_NOINLINE_ bool trt_unlatch_value_(trt_a32_ *latch, uint32_t value)
{
    return trt_unlatch_value_here_(latch, value);
}

#ifndef TRT_OWN_LATCH_
/* A try: for a function that jumps to a slower one if it fails, and so saves no registers. */
TRT_INLINE_ bool trt_latch_once_(trt_a32_ *latch)
{
    uint32_t open = 0;
    return TRT_LIKELY_(TRT_CAS_(latch, &open, 1u, acquire));
}

TRT_INLINE_ void trt_latch_(trt_a32_ *latch)
{
    if (!trt_latch_once_(latch)) (void)trt_latch_slow_(latch);
}

TRT_INLINE_ bool trt_unlatch_(trt_a32_ *latch)
{
    TRT_ASSERT_(TRT_LATCHED_(TRT_LOAD_(latch, relaxed)));
    return trt_unlatch_value_(latch, 0);
}

/* The two in line, for where it pays. */
TRT_ALWAYS_INLINE_ int trt_unlatch_at_once_(trt_a32_ *latch) { return trt_unlatch_most_(latch, 0); }

TRT_ALWAYS_INLINE_ bool trt_unlatch_here_(trt_a32_ *latch)
{
    return trt_unlatch_value_here_(latch, 0);
}
#else
#define trt_unlatch_at_once_(latch) ((int)trt_unlatch_(latch))
#define trt_unlatch_here_ trt_unlatch_
#endif

/* ------------------------------------------------------------------------------------------------
 * >>util
 */
/* These sizes are most results and messages (1: trt_void): two instructions instead of a call.
 * False: another size. */
TRT_ALWAYS_INLINE_ bool trt_copy_small_(void *to, const void *from, size_t n)
{
    if (TRT_LIKELY_(n == 8)) memcpy(to, from, 8);
    else if (n == 4) memcpy(to, from, 4);
    else if (n == 1) memcpy(to, from, 1);
    else return false;
    return true;
}

static inline void trt_copy_(void *to, const void *from, size_t n)
{
    if (!to) return;
    if (TRT_LIKELY_(n == 8)) memcpy(to, from, 8);
    else if (n == 4) memcpy(to, from, 4);
    else memcpy(to, from, n);
}

static uint64_t trt_mix_(uint64_t *state) /* splitmix64 (Steele, Lea, Flood 2014) */
{
    uint64_t z = *state += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

TRT_DEF_ const char *trt_strerror(trt_status_code status)
{
#define TRT_TEXT_(name, text) text,
    static const char *const texts[] = {TRT_STATUS_LIST_(TRT_TEXT_)};
#undef TRT_TEXT_
    return (unsigned)status < (unsigned)TRT_STATUS_COUNT_ ? texts[status] : "unknown status";
}
/* ------------------------------------------------------------------------------------------------
 * >>state
 *
 * A *strand* is what the scheduler runs: a task, a forked child, or a coroutine that one branch of
 * an `any` or `all` awaits. Each has one cell, and behind the cell (in the same slot of a slab) its
 * outermost frame; frames that are awaited in place lie inside their parents. The cell knows the
 * innermost frame, and a wake resumes that one directly.
 *
 *     slot of a task:   | cell 80 | frame header 48 | result | struct of the user | tail? |
 *     slot of a job:    | cell 80 | job header 56   | result | struct of the user | tail? |
 *
 * (The tail of a large frame lies in front of the cell instead, see >>slabs.)
 *
 * The state word decides every race about a strand. Its upper half is the generation of the slot:
 * it ends when the strand's result has been consumed, and makes every older handle stale. (A fork
 * on its parent's back has no handle, and leaves it as it was.) The lower half holds flags:
 *
 *     FRESH    spawned and never run: whoever clears it (the queue, or a joiner) runs it
 *     RUN      running, or owned by exactly one queue entry. (Not a fork on its parent's back.)
 *     WAIT     suspended, and registered with what it waits for: whoever turns WAIT into RUN (a
 *              completer, an abort, a timer) owns the strand from there on. This is the one claim
 *              that decides between completion, timeout and abort
 *     COMMIT   only beside WAIT: the thread that registers a group is not done; a claimer leaves
 *              the strand to it
 *     SHIELD   only beside WAIT: a wait of a cleanup, which an abort does not claim
 *     ABORT    an abort was asked for; honoured at the next await outside a cleanup
 *     DONE     ended, the result waits for a joiner
 *     WAITER   a joiner hangs in `up`, under the cell's latch
 *     STOPS    beside him, or without one, stops hang there, see >>impl-join
 *     JOINED   somebody has the exclusive right to consume the result
 *     DETACHED nobody else will join: whoever finds the task ended and not JOINED frees it
 *     SET      a join set owns the result
 *     LIVE     the slot holds a task or blocking job that somebody could look for
 *     JOB      a blocking job: FRESH while it is queued
 *     NAMED    the tail holds a name
 *     STRAYS   others have filled sets in this slot: the end of a frame looks, see >>impl-sets
 *     ASIDE    only beside JOINED: stops wait for the end in a list of the runtime
 *     GIVEN_UP it waited when its runtime was given up: it never runs again, see >>life
 *
 * What makes claims safe: a waiter is linked in its object under the object's latch, in the same
 * critical section that sets WAIT; it is claimed under that latch; and a strand that was claimed by
 * somebody else takes the latch to unlink itself before it does anything else. So a claim can never
 * hit a later wait of the same strand, and needs no sequence number.
 *
 * Races, and who wins:
 *   completion x abort     the first to turn WAIT into RUN. The abort leaves `status` pending,
 *                          which is how the strand sees on resuming that it must unlink and unwind.
 *   abort x registration   trt_park_ fails if ABORT came before; an abort after it finds WAIT.
 *   end x join             the end's CAS to DONE fails once WAITER or STOPS is set, and then goes
 *                          through the cell's latch, which registration and its cancel hold too.
 *   join x join            CAS of JOINED, or WAITER under the latch; the second gets TRT_MISUSE.
 *   queue x joiner         CAS of FRESH. The loser's queue entry is a stale hint: it may meet
 *                          another generation of the slot, whose FRESH it then claims by right of
 *                          the entry that this one has too. (So FRESH is published by a release
 *                          store, as a hint reaches the new task without the queue's own ordering.)
 */
enum {
    TRT_FRESH_ = 1, TRT_RUN_STATE_ = 2, TRT_WAIT_STATE_ = 4, TRT_DONE_ = 8, TRT_ABORT_ = 16,
    TRT_WAITER_ = 32, TRT_JOINED_ = 64, TRT_DETACHED_ = 128, TRT_SET_ = 256, TRT_SHIELD_ = 512,
    TRT_COMMIT_ = 1024, TRT_LIVE_ = 2048, TRT_JOB_STATE_ = 4096, TRT_NAMED_STATE_ = 8192,
    TRT_STRAYS_ = 16384, TRT_ASIDE_ = 32768, TRT_STOPS_ = 65536, TRT_GIVEN_UP_ = 131072,
    TRT_HANGING_ = TRT_WAITER_ | TRT_STOPS_, /* `up` is a list of waiters */
    TRT_WAITING_STATE_ = TRT_WAIT_STATE_ | TRT_SHIELD_ | TRT_COMMIT_ /* what a claim ends */
};
#define TRT_GENERATION_(state) ((uint32_t)((state) >> 32))
#define TRT_REFUSED_ TRT_STATUS_COUNT_ /* of a poll: aborted, or another branch has won */

typedef struct trt_waiter_ {
    struct trt_waiter_ *next, *prev; /* in the list of the object; then in the chain of the woken */
    trt_args_ args;
    uint8_t kind, mode, index;
    uint8_t status;                  /* TRT_PENDING until the wait is decided */
    uint8_t linked, kept;
    uint16_t error;                  /* errno; for a timer, its slot in the wheel */
} trt_waiter_;

TRT_STATIC_ASSERT_(offsetof(trt_args_, arg) >= 8, "trt_args_: see trt_status_of_");
#define TRT_LINGERS_ 2 /* in `linked`: lost, but takes time to end, see >>groups */
enum { TRT_MODE_STRAND_, TRT_MODE_MEMBER_, TRT_MODE_THREAD_ };
enum { TRT_TASK_, TRT_FORK_KIND_, TRT_BRANCH_, TRT_JOB_ };
enum { /* trt_cell_.flags */
    TRT_ASYNC_ = 1,     /* runs on its own; if not set, on top of the strand behind `up` */
    TRT_SUSPENDED_ = 2, /* the body has just recorded an operation in `wait` */
    TRT_LATE_ = 2,      /* it ended during shutdown: nobody is to blame for not joining it */
    TRT_RETRY_ = 4,     /* its budget was used up: the operation has not been tried yet */
    TRT_DRAINED_ = 8,    /* a fork that was aborted before it began, see >>forks */
    TRT_SAW_PANIC_ = 16, /* trt_failure() has something for this strand */
    TRT_OWN_PANIC_ = 32,
    TRT_ABROAD_ = 64,    /* a frame of this strand lies outside its slot (of a branch each does) */
    TRT_LEAVING_ = 128   /* aborted, and waits only for a job to end before it unwinds */
};

/* Its size is divisible by 16, so that a frame behind it is aligned like the cell. */
typedef struct trt_cell_ {
    _Alignas(TRT_CELL_ALIGN_) trt_a64_ state;
    trt_co *leaf; /* innermost frame; of a free slot the one behind it, as when a strand begins */
    union {
        void *up; /* task: who waits for its end, or its set, or on whose back it runs; fork: parent
                   * frame; branch: its waiter; of a free slot: the next free one */
        _Atomic(void *) up_seen; /* the same, for a look: so it is written by trt_set_up_ */
    };
    trt_a32_ latch;     /* never reset: it outlives the generations */
    uint8_t kind, flags;
    uint16_t cleaning;  /* frames of this strand that are in their cleanup */
    trt_waiter_ wait;   /* the one wait of the strand; its args keep results between awaits */
} trt_cell_;

typedef struct trt_group_ { /* several operations awaited as one: see >>groups */
    trt_cell_ *cell;
    trt_a32_ left;      /* all: members not complete */
    trt_a32_ linger;    /* settling: losers that need time to end, and one for the owner */
    uint32_t inside;    /* a bit for each branch that ended on the back of its group's strand */
    int8_t winner;      /* of any: the first; of try_all: the first that failed; else -1 */
    uint8_t flags, n, timers, first, begun;
    bool parked;             /* its strand is, or has been: others may decide */
    bool settling, deadline; /* deadline: made for one operation, not by the user */
    bool untried;            /* nothing has looked yet whether one of them is complete */
    trt_waiter_ member[];    /* n, then a timer for each of them that has a deadline */
} trt_group_;

typedef struct trt_thread_wait_state_ {
    trt_waiter_ waiter;
    trt_a32_ woken;      /* 1; or 0, and the thread spins; or 2, and it sleeps */
    bool job;            /* joins a job, which ends on a thread of its own, whoever drives */
    trt_runtime *drives; /* the current-thread runtime that it may have to drive meanwhile */
} trt_thread_waiter_;

/* Behind the frame of set members, forks and named tasks; of a large one, in front of its cell. */
typedef struct trt_tail_ {
    trt_owned_ node; /* in the list of the set, or of the forking frame */
    void *out;       /* where a fork's result goes; a named task's name */
} trt_tail_;

/* Whose panic: the strand's own, or one that a frame passes on; one that the strand's last await
 * has seen; of a frame's fork, until the sync (or that fork's errno, as `line`). */
enum { TRT_PANIC_OWN_, TRT_PANIC_SEEN_, TRT_PANIC_FORK_ };

typedef struct trt_panic_record_ {
    struct trt_panic_record_ *next;
    const void *of; /* the strand, the frame, or the member of a group */
    uint8_t role;
    trt_failure_info info;
    char message[];
} trt_panic_record_;

/* Kinds of operations; the table of their functions is in >>kinds. */
enum {
    TRT_KIND_NONE_, TRT_KIND_YIELD_, TRT_KIND_CALL_, TRT_KIND_SYNC_, TRT_KIND_DRAIN_,
    TRT_KIND_GROUP_, TRT_KIND_JOIN_, TRT_KIND_JOIN_NEXT_, TRT_KIND_SET_SHUTDOWN_,
    TRT_KIND_SLEEP_, TRT_KIND_SLEEP_UNTIL_, TRT_KIND_TICK_, TRT_KIND_ADVANCE_,
    TRT_KIND_BLOCKING_, TRT_KIND_READABLE_, TRT_KIND_WRITABLE_,
    TRT_KIND_ACQUIRE_, TRT_KIND_NOTIFIED_, TRT_KIND_BARRIER_, TRT_KIND_ONCE_, TRT_KIND_TOKEN_,
    TRT_KIND_ONESHOT_, TRT_KIND_SEND_, TRT_KIND_RECV_, TRT_KIND_BROADCAST_, TRT_KIND_WATCH_,
    TRT_KINDS_
};

typedef struct trt_kind_row_ {
    const char *name;
    trt_status_code (*poll)(trt_co *co, trt_args_ *args, trt_waiter_ *w);
    void (*cancel)(trt_waiter_ *w);
    bool (*keep)(trt_waiter_ *w);
} trt_kind_row_;
static const trt_kind_row_ trt_kinds_[TRT_KINDS_];

/* ------------------------------------------------------------------------------------------------
 * >>runtime-state: what a worker and a runtime consist of
 */
#define TRT_CLASSES_ 352u /* twice: 64 sizes in steps of 8 bytes, then four a doubling to 2^37 */
#define TRT_CHUNK_ ((size_t)65536)
#define TRT_WHEEL_LEVELS_ 9u
#define TRT_LANES_ 4u /* lists of a slot, see >>wheel */
#define TRT_TICK_BITS_ 20u /* a slot of the wheel's first level is 2^20 ns, about 1.05 ms... */
#define TRT_EXACT_BITS_ 10u /* ...and on the virtual clock 2^10 ns */

typedef struct trt_chunk_ {
    _Alignas(16) trt_runtime *rt;
    struct trt_chunk_ *next;
    size_t stride;
    uint32_t class_index, capacity, first_number;
    trt_a32_ used; /* slots handed out so far, a prefix */
    uint32_t part; /* 2^32 / stride, rounded up; 0: there is one slot only */
    trt_a32_ rare_latch; /* of these: */
    trt_owned_ *strays;  /* sets in its slots that others have filled, see >>impl-sets */
    struct trt_panic_record_ *panics; /* and what else frames in them have said, see >>panics */
} trt_chunk_;

typedef struct trt_region_ { struct trt_region_ *next; size_t size; } trt_region_;

/* Free slots of one worker (or of all threads that are none, under a latch). */
typedef struct trt_cache_ {
    trt_cell_ *free[TRT_CLASSES_], *full[TRT_CLASSES_]; /* full: a batch, or NULL */
    uint32_t room[TRT_CLASSES_]; /* in free: until it is a batch and one more */
    trt_chunk_ *chunk[TRT_CLASSES_];
} trt_cache_;

typedef struct trt_ring_ {
    _Alignas(TASKRT_CACHELINE) trt_a64_ head; /* being stolen from << 32 | next to pop */
    _Alignas(TASKRT_CACHELINE) trt_a32_ tail; /* owner writes, thieves read */
    trt_aptr_ entry[TASKRT_TEST_RING];
} trt_ring_;

typedef struct trt_array_ {
    struct trt_array_ *older;
    uint64_t mask;
    trt_aptr_ entry[];
} trt_array_;
typedef struct trt_deque_ {
    _Alignas(TASKRT_CACHELINE) trt_a64_ top; /* thieves take here */
    _Alignas(TASKRT_CACHELINE) trt_a64_ bottom;
    _Atomic(trt_array_ *) array;
} trt_deque_;

typedef struct trt_wheel_ {
    trt_a32_ latch;
    bool exact;          /* virtual clock: fire at the nanosecond, not at the end of the slot */
    uint32_t bits;       /* of a tick */
    uint64_t now;        /* ticks processed */
    trt_ai64_ next; /* nobody needs to look before this instant */
    trt_a64_ waiting;
    trt_a32_ fresh_some; /* is there anything in... */
    trt_list_ fresh;     /* durations that begin when their owner next looks at the clock */
    uint64_t occupied[TRT_WHEEL_LEVELS_];
    uint8_t lane[TRT_WHEEL_LEVELS_][64]; /* for the next entry, if the slot is occupied */
    trt_list_ slot[TRT_WHEEL_LEVELS_][64][TRT_LANES_];
} trt_wheel_;

typedef struct trt_worker_ {
    /* owner only */
    trt_runtime *rt;
    _Atomic(trt_runtime *) serves; /* the same, until that is given up: see trt_claim_ */
    trt_cell_ *cur;
    const char *stack_base;
    uint32_t index;
    uint32_t turns;        /* until the next look at what must not wait */
    uint32_t looks, at_look; /* how many there were; the polls at the last */
    trt_instant looked;      /* when it was late last */
    uint32_t lifo_run;
    int32_t budget;
    bool solo; /* the only worker: nobody steals */
    bool fifo; /* of a current-thread runtime: it keeps the order, without a LIFO slot */
    bool searching, trapped, dumps, saw_closing, fork_before;
    const struct trt_thread_wait_state_ *driven_for; /* current thread: who waits in this loop */
    uint64_t rng;
    jmp_buf trap; /* where trt_panic lands: armed once a loop */
    trt_cache_ cache;
    /* counters: owner writes, others read */
    trt_a64_ polls, spawned, ended, steals, parks, injected, yields, fired, panics;
    /* what runs now: owner writes, the watch thread reads */
    _Atomic(const trt_type_ *) at_type;
    _Atomic(trt_cell_ *) at_cell;
    trt_a32_ at_pc;
    /* shared */
    _Alignas(TASKRT_CACHELINE) trt_aptr_ lifo;
    trt_a32_ wake;       /* see >>idle */
    trt_a32_ stopped;    /* reached the safe point of a dump */
    trt_ring_ ring;
    trt_deque_ deque;
    trt_wheel_ wheel;
    trt_thread_id_ thread;
    bool started;
    /* see >>impl-fds */
    trt_a32_ poller;     /* of the fds whose home this is: 1 + its fd; 0 until the first */
    trt_a32_ harvesting; /* somebody takes its events */
    trt_a32_ harvest;    /* how often they have been taken */
    _Atomic(struct trt_fd_ *) unsure; /* waits that the poller was not told of */
    uint32_t fd_round, fd_oldest; /* oldest: no wait in that list began before */
    trt_instant fd_looked; /* the last of these rounds */
    uint32_t tiny;        /* forks in a row that were not worth stealing */
    trt_spin_ spin;       /* for a call from outside */
    trt_instant gave_way; /* when a budget was used up last, see trt_soon_ */
    trt_instant calm_at;  /* see trt_calm_ */
    /* watch thread only */
    uint32_t seen_poll, seen_generation; /* of the cell that it was at */
    trt_instant seen_at;
    bool reported;
} trt_worker_;

typedef struct trt_fd_ { /* see >>impl-fds */
    struct trt_fd_ *next, *next_unsure;
    trt_worker_ *home;
    int fd;
    uint32_t away;           /* waits in a row that began elsewhere */
    uint32_t armed, generation;
    uint32_t missed;         /* directions */
    uint32_t round, harvest; /* when its last wait began */
    struct {
        uint64_t task; /* the last that waited */
        uint32_t often;
    } of[2]; /* each direction */
    trt_worker_ *unsure;     /* in whose list */
    trt_list_ readers, writers;
} trt_fd_;

enum { TRT_READ_ = 1, TRT_WRITE_ = 2 };
#define TRT_FD_SHARDS_ 16u
typedef struct trt_fds_ { trt_a32_ latch; uint32_t size, used; trt_fd_ **table; } trt_fds_;

typedef struct trt_pool_thread_ {
    struct trt_pool_thread_ *next; /* idle list */
    trt_runtime *rt;
    trt_spin_ spin;
    trt_a32_ wake;
    trt_thread_id_ thread;
} trt_pool_thread_;

typedef struct trt_pool_ {
    trt_a32_ latch;
    trt_job_ *first, *last;
    trt_pool_thread_ *idle;
    size_t threads, idle_count, limit;
    trt_a32_ queued, running; /* jobs; change under the latch only */
    bool coming, closed, has_exited; /* coming: a thread that was started or woken for the queue */
    trt_thread_id_ exited; /* the last thread that left: the next to leave, or shutdown, joins it */
    trt_a32_ changed;
} trt_pool_;

/* The injection queue is a list of blocks. One array would need three times the memory when it
 * grows, just when a great many tasks are spawned at once. */
#define TRT_INJECT_BLOCK_ (TASKRT_TEST_RING < 256 ? 2u : 511u)
typedef struct trt_inject_block_ {
    struct trt_inject_block_ *next;
    uintptr_t entry[TRT_INJECT_BLOCK_];
} trt_inject_block_;

struct trt_runtime {
    trt_config config;
    size_t n_workers;
    trt_worker_ **workers;
    bool current_thread, virtual_clock;
    /* idle protocol: see >>idle */
    _Alignas(TASKRT_CACHELINE) trt_a32_ sleeping;
    trt_a32_ searchers;
    trt_a32_ calm; /* nobody has slept for a while: see trt_calm_ */
    trt_a64_ *idle_bits;
    size_t idle_words;
    _Alignas(TASKRT_CACHELINE) trt_a32_ driver; /* index + 1 of the worker that is it */
    trt_ai64_ driver_until;
    trt_a32_ signals;      /* TRT_SIGNAL_*: looked at between polls */
    trt_a32_ closing, stop;
    /* injection queue */
    _Alignas(TASKRT_CACHELINE) trt_a32_ inject_latch;
    trt_a64_ inject_len;
    trt_inject_block_ *inject_first, *inject_last, *inject_spare;
    uint32_t inject_head, inject_tail; /* in the first and the last block */
    size_t inject_count;
    trt_co *overflow_first, *overflow_last; /* entries for which there was no memory */
    /* memory */
    _Alignas(TASKRT_CACHELINE) trt_a32_ memory_latch;
    trt_region_ *regions;
    trt_runtime *next; /* under trt_runtimes_latch_ */
    size_t region_chunks, memory;
    char *fresh, *fresh_end;
    _Atomic(trt_chunk_ *) chunks;
    uint32_t next_number;
    trt_cell_ *batches[TRT_CLASSES_];
    trt_a32_ batch_count[TRT_CLASSES_];
    uint32_t batch_size[TRT_CLASSES_];
    trt_a32_ outside_latch; /* of the two below: for threads that are no workers */
    trt_cache_ outside;
    trt_a64_ outside_spawned, outside_ended;
    /* fds */
    trt_a32_ poller_latch, poller_ready;
    int poller, poller_wake[2];
#if defined TASKRT_POLL
    trt_a32_ polling;
    struct pollfd *poll_set;
    size_t poll_capacity, poll_skip;
#endif
    trt_fds_ fds[TRT_FD_SHARDS_];
    trt_a64_ fds_waiting;
    /* current-thread runtimes: which thread drives */
    trt_a32_ driving, drive_gate; /* driving: 0, or... */
    trt_ai64_ drive_until; /* of trt_runtime_shutdown: when to stop driving */
    /* the virtual clock */
    trt_ai64_ virtual_now;
    /* the rest */
    trt_pool_ pool;
    trt_thread_id_ watch;
    bool watching;
    trt_a32_ watch_word;   /* 0 dormant, 1 beating, 2 stop */
    trt_a64_ stalls;
    trt_a32_ dump_latch, resume_gate, names_latch;
    bool dump_alone; /* under dump_latch: all have stopped */
    trt_a32_ visitors, drivers; /* threads from outside between a claim, or trt_inject_, and its
                                 * end; and that drive, or want to */
    trt_a32_ shutdown_latch, ended_gate, ended_fence, threads_latch;
    trt_a32_ given_up;
    trt_a32_ aside_latch, aside_some; /* aside_some: is there anything in... */
    trt_list_ aside; /* who stops what runs on its joiner's back: see >>impl-join */
    trt_a32_ deadlocked, exited; /* exited: workers that have left their loop */
    trt_a64_ own_threads;        /* that live: of the pool, and the watch thread; changes << 32 */
    bool begun;
    trt_a32_ started; /* worker threads: there may be fewer than workers */
};

enum { TRT_RESTLESS_, TRT_SOON_CALM_, TRT_CALM_, TRT_UNSURE_ }; /* calm, see >>idle */
enum { TRT_SIGNAL_STOP_ = 1, TRT_SIGNAL_PAUSE_ = 2 };
enum { TRT_DRIVES_ = 1, TRT_DRIVES_GIVEN_UP_ = 2 }; /* of driving: lets go as it leaves */
enum { TRT_GATE_ENDED_ = 1, TRT_GATE_GIVEN_UP_ = 2 }; /* of ended_gate: why a shutdown goes on */

/* What this thread is. */
typedef struct trt_self_ {
    trt_worker_ *worker; /* inside a worker's loop */
    trt_runtime *rt;     /* that, or the runtime of the blocking job that runs here */
    trt_job_ *job;
    jmp_buf *job_trap;
    trt_panic_record_ *job_panic; /* of a job that lives in a frame */
    uint32_t locks_held;   /* announced by trt_lock_held; the name of the last */
    const char *lock_name;
    trt_spin_ spin; /* of a plain thread that blocks */
    trt_failure_info failure;
    bool failed;
    char message[256];
} trt_self_;
static TRT_THREAD_LOCAL_(trt_self_, trt_here_);

static trt_worker_ *trt_worker_here_(const trt_runtime *rt)
{
    trt_worker_ *w = trt_here_.worker;
    return w && w->rt == rt ? w : NULL;
}

static trt_chunk_ *trt_chunk_of_(const void *slot)
{
    return (trt_chunk_ *)((uintptr_t)slot & ~(uintptr_t)(TRT_CHUNK_ - 1));
}

static trt_runtime *trt_rt_of_(const trt_cell_ *c) { return trt_chunk_of_(c)->rt; }

/* Is it of this worker's runtime, and that not given up? */
static inline bool trt_serves_(const trt_worker_ *w, const trt_cell_ *c)
{
    const trt_runtime *rt;
    if (!w) return false;
    rt = TRT_LOAD_(&w->serves, relaxed); /* order: see trt_claim_visiting_ */
    return rt == trt_rt_of_(c);
}

static void trt_set_up_(trt_cell_ *c, void *up) { TRT_STORE_(&c->up_seen, up, relaxed); }
static trt_co *trt_root_(trt_cell_ *c) { return (trt_co *)(void *)(c + 1); }

static trt_job_ *trt_job_of_(trt_cell_ *c) { return (trt_job_ *)(void *)(c + 1); }

static const trt_type_ *trt_type_of_(trt_cell_ *c)
{
    return c->kind == TRT_JOB_ ? trt_job_of_(c)->type : trt_root_(c)->type_;
}

static trt_tail_ *trt_tail_of_(trt_cell_ *c, const trt_type_ *type)
{
    return (trt_tail_ *)(void *)((char *)c + type->tail);
}

/* All but the first two members of a new frame's header: one copy takes fewer stores. */
static const trt_co trt_new_co_ = {.phase_ = TRT_PHASE_BODY_, .chosen_ = -1};
#define TRT_NEW_CO_FROM_ offsetof(trt_co, parent_)

static inline void trt_header_init_(trt_co *co, const trt_type_ *type)
{
    TRT_STORE_(&co->told_, type, relaxed);
    memcpy((char *)co + TRT_NEW_CO_FROM_, (const char *)&trt_new_co_ + TRT_NEW_CO_FROM_,
           sizeof *co - TRT_NEW_CO_FROM_);
}

static TRT_NOINLINE_ trt_co *trt_result_zero_(trt_co *co, const trt_type_ *type)
{
    memset((char *)co + type->out_offset, 0, type->out_size);
    return co;
}

/* The outermost frame of a strand. A small result lies in the 16 bytes behind the header; whatever
 * else may (arguments, the node of a tail) is not written yet. So all 16 are zeroed, without a
 * call. */
static inline trt_co *trt_root_init_(trt_cell_ *c, const trt_type_ *type)
{
    trt_co *co = trt_root_(c);
    TRT_ASSERT_(c->leaf == co && co->cell_ == c); /* as of every free slot */
    trt_header_init_(co, type);
    if (TRT_UNLIKELY_(type->wide)) return trt_result_zero_(co, type);
    memset(co + 1, 0, 16);
    return co;
}

/* Does it lie in this frame? A frame owns forks, which lie elsewhere, and join sets in `self`. */
static bool trt_lies_in_(const trt_co *co, const void *object)
{
    uintptr_t at = (uintptr_t)object, frame = (uintptr_t)co;
    return at >= frame && at < frame + co->type_->size;
}

/* Where the first slot begins. The only one of a chunk has room for its tail in front of it. */
#define TRT_FRONT_ TRT_ROUND_(TRT_TAIL_BYTES_, 16)
static char *trt_slots_of_(trt_chunk_ *chunk)
{
    return (char *)(chunk + 1) + (chunk->part ? 0 : TRT_FRONT_);
}

/* In which slot of the chunk? (Not a division, which takes longer. It is exact within 64 KiB, and a
 * larger chunk has one slot.) */
static uint32_t trt_slot_of_(const trt_chunk_ *chunk, const void *p)
{
    size_t offset = (size_t)((const char *)p - (const char *)(chunk + 1));
    return (uint32_t)((uint64_t)offset * chunk->part >> 32);
}

/* The cell of the slot in which `p` lies. */
static trt_cell_ *trt_cell_in_(trt_chunk_ *chunk, const void *p)
{
    size_t offset = trt_slot_of_(chunk, p) * chunk->stride;
    return (trt_cell_ *)(void *)(trt_slots_of_(chunk) + offset);
}

/* The same of a tail. */
static trt_cell_ *trt_cell_of_node_(trt_owned_ *node)
{
    return trt_cell_in_(trt_chunk_of_(node), node);
}

/* ------------------------------------------------------------------------------------------------
 * >>messages
 */
static uint64_t trt_id_of_(const trt_cell_ *c, uint32_t generation)
{
    const trt_chunk_ *chunk = trt_chunk_of_(c);
    return (uint64_t)generation << 32 | (chunk->first_number + trt_slot_of_(chunk, c));
}

/* The task that a strand belongs to. */
static trt_cell_ *trt_task_of_(trt_cell_ *c)
{
    for (;;) {
        if (c->kind == TRT_FORK_KIND_) {
            c = ((trt_co *)c->up)->cell_;
        } else if (c->kind == TRT_BRANCH_) {
            trt_waiter_ *w = (trt_waiter_ *)c->up;
            c = TRT_CONTAINER_(trt_group_, member, w - w->index)->cell;
        } else {
            return c;
        }
    }
}

static uint64_t trt_cell_id_(trt_cell_ *c)
{
    c = trt_task_of_(c);
    return trt_id_of_(c, TRT_GENERATION_(TRT_LOAD_(&c->state, relaxed)));
}

static TRT_COLD_ void trt_say_(const char *format, ...) TRT_PRINTF_(1, 2);
static void trt_say_(const char *format, ...)
{
    char text[1024] = "taskrt: ";
    va_list args;
    size_t n;
    va_start(args, format);
    (void)vsnprintf(text + 8, sizeof text - 10, format, args);
    va_end(args);
    n = strlen(text);
    text[n] = '\n';
    text[n + 1] = 0;
    TASKRT_LOG(text);
}

/* Where a coroutine last awaited; where it is defined, if it has not yet. */
static uint32_t trt_line_(const trt_co *co)
{
    return co->pc_ >> 3 ? co->pc_ >> 3 : co->type_->line;
}

static TRT_COLD_ trt_status_code trt_misuse_(const char *function, const char *what)
{
    trt_worker_ *w = trt_here_.worker;
    if (w && w->cur && w->cur->leaf) {
        const trt_co *co = w->cur->leaf;
        trt_say_("%s: %s (task %llu, %s, %s:%u)", function, what,
                 (unsigned long long)trt_cell_id_(w->cur), co->type_->name, co->type_->file,
                 trt_line_(co));
    } else {
        trt_say_("%s: %s", function, what);
    }
    return TRT_MISUSE;
}
/* ------------------------------------------------------------------------------------------------
 * >>slabs
 *
 * Memory for cells and groups comes in chunks of 64 KiB, aligned, so that a slot finds its chunk,
 * and with it its runtime and size class, by masking its own address. A worker frees into its own
 * list, whoever allocated (no return path, no read-modify-write), linked by `up`: `leaf` and the
 * frame's `cell_` are those of the next strand already. When that is a batch, it is put by, and the
 * one that was before passed on through one stack a class, linked by the `leaf` of its first; an
 * empty list takes the one put by, or a batch from the stack (magazines: Bonwick and Adams 2001).
 * Nothing goes back to malloc before the runtime is freed: that is what lets a stale handle look at
 * its slot.
 *
 * Chunks are cut from regions of 128 KiB first, of twice as much each time, and of 32 MiB at
 * last; from 2 MiB they ask for huge pages.
 *
 * A slot of 32 KiB or more has a chunk to itself, of several times 64 KiB if need be. What is to
 * find the chunk has to lie in its first 64 KiB: the slot's own address does, and so does the tail
 * of such a slot, in front of it.
 *
 * Groups and other plain blocks use classes of their own half of the table: a slot that once was a
 * cell stays one, because stale queue entries and handles read its state word, and a late unlatch
 * writes its latch.
 */
#define TRT_CELL_CLASSES_ (TRT_CLASSES_ / 2)
#define TRT_CELL_LEAST_ (sizeof(trt_cell_) + sizeof(trt_co) + 16) /* see trt_root_init_ */
TRT_STATIC_ASSERT_(sizeof(trt_cell_) % 16 == 0 && sizeof(trt_chunk_) % 16 == 0,
                   "frames are aligned to 16 bytes if their slots are");
TRT_STATIC_ASSERT_(sizeof(trt_cell_) == TRT_CELL_BYTES_ && sizeof(trt_tail_) == TRT_TAIL_BYTES_,
                   "the defining macros work with these");

static size_t trt_class_size_(uint32_t class_index)
{
    uint32_t high;
    uint64_t size;
    if (class_index < 64) return ((size_t)class_index + 1) * 8;
    high = (class_index - 64) / 4 + 9;
    size = ((uint64_t)((class_index - 64) & 3) + 5) << (high - 2);
    return size > SIZE_MAX / 2 ? SIZE_MAX / 2 : (size_t)size; /* 32 bits: nothing is as large */
}

#define TRT_HUGE_ ((size_t)1 << 21)

static char *trt_region_start_(trt_region_ *region)
{
    return (char *)(((uintptr_t)(region + 1) + TRT_CHUNK_ - 1) & ~(uintptr_t)(TRT_CHUNK_ - 1));
}

static size_t trt_chunk_bytes_(size_t stride)
{
    return (stride + sizeof(trt_chunk_) + TRT_FRONT_ + TRT_CHUNK_ - 1) & ~(TRT_CHUNK_ - 1);
}

static TRT_COLD_ trt_region_ *trt_region_new_(size_t want)
{
    size_t size = want + TRT_CHUNK_ + sizeof(trt_region_);
    trt_region_ *region = (trt_region_ *)TASKRT_MALLOC(size);
    if (!region) return NULL;
    region->size = size;
    if (want >= TRT_HUGE_) trt_os_huge_(region, size);
    return region;
}

/* Memory latch held: a piece of fresh, chunk-aligned memory. */
static TRT_COLD_ char *trt_fresh_chunks_(trt_runtime *rt, size_t bytes)
{
    size_t want = rt->region_chunks * TRT_CHUNK_;
    trt_region_ *region;
    char *start = rt->fresh;
    if ((size_t)(rt->fresh_end - start) < bytes) {
        if (want < bytes) want = bytes;
        region = trt_region_new_(want);
        if (!region && want > bytes) region = trt_region_new_(want = bytes);
        if (!region) return NULL;
        region->next = rt->regions;
        rt->regions = region;
        if (rt->region_chunks * TRT_CHUNK_ < 16 * TRT_HUGE_) rt->region_chunks *= 2;
        start = trt_region_start_(region);
        rt->fresh_end = start + want;
    }
    rt->fresh = start + bytes;
    return start;
}

static trt_chunk_ *trt_chunk_new_(trt_runtime *rt, uint32_t class_index)
{
    bool cells = class_index < TRT_CELL_CLASSES_;
    size_t stride = trt_class_size_(cells ? class_index : class_index - TRT_CELL_CLASSES_), bytes;
    trt_chunk_ *chunk;
    if (cells && stride > sizeof(trt_cell_) && stride < TRT_CELL_LEAST_) stride = TRT_CELL_LEAST_;
    bytes = trt_chunk_bytes_(stride);
    trt_latch_(&rt->memory_latch);
    chunk = (trt_chunk_ *)(void *)trt_fresh_chunks_(rt, bytes);
    if (chunk) {
        chunk->rt = rt;
        chunk->stride = stride;
        chunk->class_index = class_index;
        chunk->capacity = bytes > TRT_CHUNK_ ? 1 : (uint32_t)((bytes - sizeof *chunk) / stride);
        chunk->part = chunk->capacity > 1 ? UINT32_MAX / (uint32_t)stride + 1 : 0;
        chunk->first_number = rt->next_number;
        rt->next_number += cells ? chunk->capacity : 0;
        TRT_STORE_(&chunk->used, 0u, relaxed);
        TRT_STORE_(&chunk->rare_latch, 0u, relaxed);
        chunk->strays = NULL;
        chunk->panics = NULL;
        rt->memory += bytes;
        chunk->next = TRT_LOAD_(&rt->chunks, relaxed);
        TRT_STORE_(&rt->chunks, chunk, release); /* pairs with the walks of dump and shutdown */
    }
    trt_unlatch_(&rt->memory_latch);
    return chunk;
}

static trt_cell_ *trt_carve_(trt_runtime *rt, trt_cache_ *cache, uint32_t class_index)
{
    trt_chunk_ *chunk = cache->chunk[class_index];
    trt_cell_ *c;
    uint32_t used = chunk ? TRT_LOAD_(&chunk->used, relaxed) : 0;
    if (!chunk || used == chunk->capacity) {
        chunk = trt_chunk_new_(rt, class_index);
        if (!chunk) return NULL;
        cache->chunk[class_index] = chunk;
        used = 0;
        c = (trt_cell_ *)(void *)trt_slots_of_(chunk);
    } else {
        c = (trt_cell_ *)(void *)((char *)(chunk + 1) + (size_t)used * chunk->stride);
    }
    if (class_index < TRT_CELL_CLASSES_) {
        TRT_STORE_(&c->state, 0u, relaxed);
        TRT_STORE_(&c->latch, 0u, relaxed);
        c->leaf = trt_root_(c);
        if (chunk->stride > sizeof *c) trt_root_(c)->cell_ = c;
    }
    /* order: the walks find a valid state, not what memory held before: in the model, nothing */
    TRT_STORE_(&chunk->used, used + 1, release);
    return c;
}

static TRT_NOINLINE_ trt_cell_ *trt_alloc_slow_(trt_runtime *rt, trt_cache_ *cache,
                                                uint32_t class_index)
{
    trt_cell_ *c = cache->full[class_index];
    cache->full[class_index] = NULL;
    if (!c && TRT_LOAD_(&rt->batch_count[class_index], relaxed)) {
        trt_latch_(&rt->memory_latch);
        c = rt->batches[class_index];
        if (c) {
            rt->batches[class_index] = (trt_cell_ *)(void *)c->leaf;
            c->leaf = trt_root_(c);
            TRT_SUB_(&rt->batch_count[class_index], 1u, relaxed);
        }
        trt_unlatch_(&rt->memory_latch);
    }
    if (!c) return trt_carve_(rt, cache, class_index);
    cache->free[class_index] = (trt_cell_ *)c->up;
    cache->room[class_index] = 2; /* it holds a batch but one */
    return c;
}

/* One that was freed here, or NULL. */
static inline trt_cell_ *trt_alloc_again_(trt_cache_ *cache, uint32_t class_index)
{
    trt_cell_ *c = cache->free[class_index];
    if (TRT_UNLIKELY_(!c)) return NULL;
    cache->free[class_index] = (trt_cell_ *)c->up;
    cache->room[class_index]++;
    __builtin_prefetch(cache->free[class_index], 1); /* the next one */
    return c;
}

static inline trt_cell_ *trt_alloc_from_(trt_runtime *rt, trt_cache_ *cache, uint32_t class_index)
{
    trt_cell_ *c = trt_alloc_again_(cache, class_index);
    return TRT_LIKELY_(c != NULL) ? c : trt_alloc_slow_(rt, cache, class_index);
}

/* Behind the first, the list is a batch: it is put by, and the one before it passed on. */
static TRT_NOINLINE_ void trt_spill_(trt_runtime *rt, trt_cache_ *cache, uint32_t class_index)
{
    trt_cell_ *c = cache->free[class_index], *first = cache->full[class_index];
    cache->full[class_index] = (trt_cell_ *)c->up;
    trt_set_up_(c, NULL);
    cache->room[class_index] = rt->batch_size[class_index];
    if (!first) return;
    trt_latch_(&rt->memory_latch);
    first->leaf = (trt_co *)(void *)rt->batches[class_index];
    rt->batches[class_index] = first;
    TRT_ADD_(&rt->batch_count[class_index], 1u, relaxed);
    trt_unlatch_(&rt->memory_latch);
}

static inline void trt_free_to_(trt_runtime *rt, trt_cache_ *cache, trt_cell_ *c,
                                uint32_t class_index)
{
    trt_set_up_(c, cache->free[class_index]);
    cache->free[class_index] = c;
    if (TRT_UNLIKELY_(--cache->room[class_index] == 0)) trt_spill_(rt, cache, class_index);
}

static trt_cell_ *trt_slot_alloc_(trt_runtime *rt, uint32_t class_index)
{
    trt_worker_ *w = trt_worker_here_(rt);
    trt_cell_ *c;
    if (TRT_LIKELY_(w != NULL)) return trt_alloc_from_(rt, &w->cache, class_index);
    trt_latch_(&rt->outside_latch);
    c = trt_alloc_from_(rt, &rt->outside, class_index);
    trt_unlatch_(&rt->outside_latch);
    return c;
}

static TRT_NOINLINE_ void trt_free_outside_(trt_chunk_ *chunk, void *slot)
{
    trt_runtime *rt = chunk->rt;
    trt_latch_(&rt->outside_latch);
    trt_free_to_(rt, &rt->outside, (trt_cell_ *)slot, chunk->class_index);
    trt_unlatch_(&rt->outside_latch);
}

static inline void trt_slot_free_(void *slot)
{
    trt_chunk_ *chunk = trt_chunk_of_(slot);
    trt_worker_ *w = trt_worker_here_(chunk->rt);
    if (TRT_LIKELY_(w != NULL))
        trt_free_to_(chunk->rt, &w->cache, (trt_cell_ *)slot, chunk->class_index);
    else trt_free_outside_(chunk, slot);
}

/* Where it is rare. */
static TRT_NOINLINE_ void trt_slot_unused_(void *slot) { trt_slot_free_(slot); }

/* A block that is no cell, aligned to 16 bytes: at least 32, as a free slot needs its links. */
static void *trt_block_alloc_(trt_runtime *rt, size_t size)
{
    size = size < 32 ? 32 : (size + 15) & ~(size_t)15;
    return trt_slot_alloc_(rt, TRT_CELL_CLASSES_ + TRT_CLASS_(size));
}

/* Handles to it are stale from here on. */
static inline void trt_generation_ends_(trt_cell_ *c)
{
    uint64_t s = TRT_LOAD_(&c->state, relaxed);
    /* Release: who finds its handle stale, in trt_is_finished, sees what the task has done. */
    TRT_STORE_(&c->state, (uint64_t)(TRT_GENERATION_(s) + 1) << 32, release);
}

static inline void trt_cell_free_(trt_cell_ *c)
{
    trt_generation_ends_(c);
    trt_slot_free_(c);
}

/* On a worker of its runtime; a cell without an end of its generation, or with. */
static inline void trt_slot_free_here_(trt_worker_ *w, trt_cell_ *c)
{
    trt_free_to_(w->rt, &w->cache, c, trt_chunk_of_(c)->class_index);
}

static inline void trt_cell_free_here_(trt_worker_ *w, trt_cell_ *c)
{
    trt_generation_ends_(c);
    trt_slot_free_here_(w, c);
}

static void trt_cache_init_(trt_cache_ *cache, const trt_runtime *rt)
{
    uint32_t i;
    for (i = 0; i < TRT_CLASSES_; i++) cache->room[i] = rt->batch_size[i] + 1;
}

/* Every runtime of the process, for who has an address and nothing else. */
static trt_runtime *trt_runtimes_;
static trt_a32_ trt_runtimes_latch_;

/* The chunk of this runtime in which `p` lies, or NULL. (`p` alone does not tell: it may lie
 * anywhere else, or behind the first 64 KiB of a large chunk.) */
static trt_chunk_ *trt_chunk_around_(trt_runtime *rt, const void *p)
{
    trt_region_ *region;
    trt_chunk_ *chunk = NULL;
    char *next = NULL;
    trt_latch_(&rt->memory_latch);
    for (region = rt->regions; region && !next; region = region->next)
        if ((uintptr_t)p - (uintptr_t)region < region->size) next = trt_region_start_(region);
    while (next && (uintptr_t)next <= (uintptr_t)p) { /* from chunk to chunk */
        chunk = (trt_chunk_ *)(void *)next;
        next += trt_chunk_bytes_(chunk->stride);
    }
    trt_unlatch_(&rt->memory_latch);
    return chunk;
}

/* The cell of the coroutine, of whichever runtime, in whose slot `p` lies; or NULL. */
static TRT_COLD_ trt_cell_ *trt_cell_around_(const void *p)
{
    trt_chunk_ *chunk = NULL;
    trt_runtime *rt;
    trt_cell_ *c;
    trt_latch_(&trt_runtimes_latch_);
    for (rt = trt_runtimes_; rt && !chunk; rt = rt->next) chunk = trt_chunk_around_(rt, p);
    trt_unlatch_(&trt_runtimes_latch_);
    if (!chunk || chunk->class_index >= TRT_CELL_CLASSES_) return NULL;
    c = trt_cell_in_(chunk, p);
    return c->kind != TRT_JOB_ && trt_lies_in_(trt_root_(c), p) ? c : NULL;
}

static void trt_memory_init_(trt_runtime *rt)
{
    uint32_t i;
    rt->region_chunks = 2;
    rt->next_number = 1;
    for (i = 0; i < TRT_CLASSES_; i++) {
        size_t size = trt_class_size_(i < TRT_CELL_CLASSES_ ? i : i - TRT_CELL_CLASSES_);
        size_t batch = size ? ((size_t)1 << 17) / size : 0; /* 128 KiB a batch; 0: beyond size_t */
        if (batch > TRT_BATCH_) batch = TRT_BATCH_;
        rt->batch_size[i] = batch < 1 ? 1 : (uint32_t)batch;
    }
    trt_cache_init_(&rt->outside, rt);
    trt_latch_(&trt_runtimes_latch_);
    rt->next = trt_runtimes_;
    trt_runtimes_ = rt;
    trt_unlatch_(&trt_runtimes_latch_);
}

static void trt_own_(trt_owned_ **list, trt_owned_ *node)
{
    node->prev = NULL;
    node->next = *list;
    if (*list) (*list)->prev = node;
    *list = node;
}

static void trt_disown_(trt_owned_ **list, trt_owned_ *node)
{
    if (node->prev) node->prev->next = node->next;
    else *list = node->next;
    if (node->next) node->next->prev = node->prev;
    node->next = node->prev = NULL;
}

/* Of a set's `home`: its state, and the distance from the cell of its slot (0: it lies in none). */
enum { TRT_HOME_UNKNOWN_, TRT_ALONE_, TRT_REGISTERED_, TRT_STRAY_, TRT_HOME_STATE_ = 3 };

/* Sets that others than their frame have filled, see >>impl-sets. */
static trt_a32_ trt_strays_some_; /* how many are in a list */

static void trt_homeless_forget_(const trt_runtime *rt);

static void trt_memory_free_(trt_runtime *rt)
{
    trt_region_ *region = rt->regions;
    trt_chunk_ *chunk;
    trt_runtime **at = &trt_runtimes_;
    const trt_owned_ *node;
    trt_latch_(&trt_runtimes_latch_);
    while (*at != rt) at = &(*at)->next;
    *at = rt->next;
    trt_unlatch_(&trt_runtimes_latch_);
    trt_homeless_forget_(rt);
    for (chunk = TRT_LOAD_(&rt->chunks, relaxed); chunk; chunk = chunk->next) {
        for (node = chunk->strays; node; node = node->next) /* of frames given up */
            TRT_SUB_(&trt_strays_some_, 1u, relaxed);
        while (chunk->panics) {
            trt_panic_record_ *r = chunk->panics;
            chunk->panics = r->next;
            TASKRT_FREE(r);
        }
    }
    while (region) {
        trt_region_ *next = region->next;
        TASKRT_FREE(region);
        region = next;
    }
    rt->regions = NULL;
}
/* ------------------------------------------------------------------------------------------------
 * >>queues
 *
 * An entry is a cell's address. With bit 0 set it owns the strand (state RUN); without, it is a
 * hint to a task that was spawned and not run yet, and whoever takes it claims FRESH first, as a
 * joiner may have been faster.
 *
 *   ring      256 entries a worker, one producer, many consumers. A thief takes half: it moves the
 *             pop index first, copies, then moves the steal index (Tokio's queue.rs; the two
 *             indices share one word). A full ring moves its older half to the injection queue.
 *   LIFO      one entry a worker: the strand woken last, whose data is warm. It is run next, at
 *             most three times in a row, and thieves leave it alone unless its worker is stuck
 *             (>>watch). A current-thread runtime has none, and is first in, first out.
 *   injection one queue a runtime, under a latch: entries from other threads, and overflow. It is
 *             looked at every 61 polls, 64 entries at a time: one at a time left a million spawned
 *             tasks waiting behind one that yields.
 *   deque     forked children, one a worker (Chase and Lev 2005, with the orders of Le, Pop, Cohen
 *             and Zappa Nardelli 2013): the owner pushes and pops at the bottom, thieves take the
 *             oldest at the top.
 *
 * Slots of ring and deque are reused. That a thief has read a slot before the owner writes it again
 * is what the release of the thief's last CAS and the owner's acquire of `head` or `top` are for.
 * Without them a load could read a store that is made later; the model has no such loads, so it
 * cannot tell: `reuse` at such an order. Where the CAS of a ring are stronger than that, they are as
 * in queue.rs: a thief's entries come with `tail`, the owner's are its own, and the CAS of the one
 * word decides.
 */
#define TRT_OWNED_ENTRY_ ((uintptr_t)1)
#define TRT_TINY_NS_ 500   /* about what it takes to steal a fork and run it if it is empty */
#define TRT_CALM_NS_ 100000 /* without a sleeper, see trt_calm_: a hundred times what it may cost */
#define TRT_WAKE_NS_ 20000 /* about what it takes until another worker has woken up and stolen */

static void trt_notify_(trt_runtime *rt);
static void trt_unpark_(trt_worker_ *w);

static trt_co *trt_outermost_(trt_cell_ *c)
{
    trt_co *co = c->leaf;
    while (co->parent_) co = co->parent_;
    return co;
}

/* Without memory for a block, entries are linked through the frames: the outermost has no parent.
 * A hint cannot be linked, it may be one of several: it is made the owner first. */
static void trt_overflow_(trt_runtime *rt, uintptr_t entry)
{
    trt_cell_ *c = (trt_cell_ *)(entry & ~TRT_OWNED_ENTRY_);
    trt_co *root;
    if (!(entry & TRT_OWNED_ENTRY_)) {
        uint64_t s = TRT_LOAD_(&c->state, relaxed); /* a first guess, the CAS decides */
        do {
            if (!(s & TRT_FRESH_) || (s & TRT_JOB_STATE_)) return; /* a joiner has run it */
            /* order: for a stale hint, see trt_start_any_; a hint that is not stale has more */
        } while (
            !TRT_CAS_WEAK_(&c->state, &s, (s & ~(uint64_t)TRT_FRESH_) | TRT_RUN_STATE_, acquire));
        c->flags |= TRT_ASYNC_;
        c->wait.kind = TRT_KIND_YIELD_;
    }
    root = trt_outermost_(c);
    root->parent_ = NULL;
    if (rt->overflow_last) rt->overflow_last->parent_ = root;
    else rt->overflow_first = root;
    rt->overflow_last = root;
    TRT_COUNT_(&rt->inject_len, 1u);
}

static bool trt_inject_block_add_(trt_runtime *rt)
{
    trt_inject_block_ *block = rt->inject_spare;
    if (!block) block = (trt_inject_block_ *)TASKRT_MALLOC(sizeof *block);
    if (!block) return false;
    rt->inject_spare = NULL;
    block->next = NULL;
    if (rt->inject_last) rt->inject_last->next = block;
    else rt->inject_first = block;
    rt->inject_last = block;
    rt->inject_tail = 0;
    return true;
}

/* Injection latch held. */
static inline void trt_inject_put_(trt_runtime *rt, uintptr_t entry)
{
    bool full = !rt->inject_last || rt->inject_tail == TRT_INJECT_BLOCK_;
    if (full && !trt_inject_block_add_(rt)) {
        trt_overflow_(rt, entry);
        return;
    }
    rt->inject_last->entry[rt->inject_tail++] = entry;
    rt->inject_count++;
    TRT_COUNT_(&rt->inject_len, 1u); /* changes under the latch only */
}

static void trt_inject_free_(trt_runtime *rt)
{
    while (rt->inject_first) {
        trt_inject_block_ *next = rt->inject_first->next;
        TASKRT_FREE(rt->inject_first);
        rt->inject_first = next;
    }
    TASKRT_FREE(rt->inject_spare);
}

static uintptr_t trt_inject_take_(trt_runtime *rt)
{
    trt_inject_block_ *first = rt->inject_first;
    uintptr_t entry = first->entry[rt->inject_head++];
    if (--rt->inject_count == 0) { /* then it is the last block too */
        rt->inject_head = rt->inject_tail = 0;
        if (rt->inject_spare) { /* the older is kept: malloc can give back what lies behind it */
            TASKRT_FREE(first);
            rt->inject_first = rt->inject_last = rt->inject_spare;
            rt->inject_first->next = NULL;
            rt->inject_spare = NULL;
        }
    } else if (rt->inject_head == TRT_INJECT_BLOCK_) {
        rt->inject_first = first->next;
        rt->inject_head = 0;
        if (rt->inject_spare) TASKRT_FREE(first);
        else rt->inject_spare = first;
    }
    return entry;
}

static uintptr_t trt_inject_get_(trt_runtime *rt)
{
    uintptr_t entry;
    trt_co *root = rt->overflow_first;
    if (rt->inject_count) {
        entry = trt_inject_take_(rt);
    } else if (root) {
        rt->overflow_first = root->parent_;
        if (!rt->overflow_first) rt->overflow_last = NULL;
        root->parent_ = NULL;
        entry = (uintptr_t)root->cell_ | TRT_OWNED_ENTRY_;
    } else {
        return 0;
    }
    TRT_COUNT_(&rt->inject_len, (uint64_t)-1);
    return entry;
}

/* A thread of its own that puts an entry in may find the strand run, the runtime shut down and
 * freed, before it has left trt_notify_. So it counts as a visitor, from before the entry is seen,
 * and trt_runtime_free waits until there is none. (Static words: the runtime's are gone when it
 * leaves.) The threads that drive a current-thread runtime, or wait for their turn, are counted in
 * `drivers` likewise. */
static trt_a32_ trt_visitors_gate_, trt_visitors_awaited_;

static void trt_visitors_wait_(trt_a32_ *visitors)
{
    TRT_ADD_(&trt_visitors_awaited_, 1u, seq_cst);
    for (;;) {
        /* order: a load that came after the next one would miss a wake between the two. The model
         * makes seq_cst loads in the order of the program, and cannot show it. */
        uint32_t gate = TRT_LOAD_(&trt_visitors_gate_, acquire);
        if (!TRT_LOAD_(visitors, seq_cst)) break;
        trt_os_wait_(&trt_visitors_gate_, gate, TRT_FOREVER_);
    }
    TRT_SUB_(&trt_visitors_awaited_, 1u, relaxed); /* too late a look wakes nobody, and harms not */
}

static TRT_COLD_ void trt_visitor_leaves_(trt_a32_ *visitors)
{
    TRT_SUB_(visitors, 1u, seq_cst); /* the last that it touches of the runtime */
    if (!TRT_LOAD_(&trt_visitors_awaited_, seq_cst)) return;
    /* order: who sees the new gate sees the visitor gone. For the model see trt_visitors_wait_. */
    TRT_ADD_(&trt_visitors_gate_, 1u, release);
    trt_os_wake_(&trt_visitors_gate_, INT_MAX);
}

static void trt_visitor_comes_(trt_a32_ *visitors)
{
    /* order: who waits for it has seen the entry, or passed the latch, and with that this */
    TRT_ADD_(visitors, 1u, seq_cst);
}

/* By a visitor, who leaves with it. */
static TRT_COLD_ void trt_inject_visiting_(trt_runtime *rt, uintptr_t entry)
{
    trt_latch_(&rt->inject_latch);
    trt_inject_put_(rt, entry);
    trt_unlatch_(&rt->inject_latch);
    trt_notify_(rt);
    trt_visitor_leaves_(&rt->visitors);
}

/* By a worker, who notifies if others should hear of it, or by another thread. */
static void trt_inject_(trt_runtime *rt, uintptr_t entry)
{
    if (!trt_worker_here_(rt)) {
        trt_visitor_comes_(&rt->visitors);
        trt_inject_visiting_(rt, entry);
        return;
    }
    trt_latch_(&rt->inject_latch);
    trt_inject_put_(rt, entry);
    trt_unlatch_(&rt->inject_latch);
}

/* A hint to a task that a joiner has run meanwhile. (If the slot is another task's by now, and that
 * is not started yet, its start makes a hint of its own.) */
static inline bool trt_spent_(uintptr_t entry)
{
    return !(entry & TRT_OWNED_ENTRY_) &&
           !(TRT_LOAD_(&((trt_cell_ *)entry)->state, relaxed) & TRT_FRESH_);
}

static TRT_NOINLINE_ void trt_ring_full_(trt_worker_ *w, uintptr_t entry)
{
    trt_runtime *rt = w->rt;
    uint64_t head = TRT_LOAD_(&w->ring.head, relaxed); /* no slot is written */
    uint32_t tail = TRT_LOAD_(&w->ring.tail, relaxed), first = (uint32_t)head, i;
    if (rt->current_thread ||
        (uint32_t)(head >> 32) != first) { /* keep order; or a thief is at work */
        trt_inject_(rt, entry);
        return;
    }
    if (tail - first == TRT_RING_) {
        uint32_t next = first + TRT_RING_ / 2;
        /* order: as in queue.rs, see above */
        if (TRT_CAS_(&w->ring.head, &head, (uint64_t)next << 32 | next, acq_rel)) {
            trt_latch_(&rt->inject_latch);
            for (i = first; i != next; i++) {
                uintptr_t other = TRT_LOAD_(&w->ring.entry[i % TRT_RING_], relaxed);
                if (!trt_spent_(other)) trt_inject_put_(rt, other);
            }
            trt_inject_put_(rt, entry);
            trt_unlatch_(&rt->inject_latch);
            return;
        }
    }
    trt_inject_(rt, entry);
}

/* To the tail of the worker's own queue. The caller notifies if somebody else should hear of it. */
static inline void trt_push_(trt_worker_ *w, uintptr_t entry)
{
    uint32_t tail = TRT_LOAD_(&w->ring.tail, relaxed);
    uint64_t head = TRT_LOAD_(&w->ring.head, acquire); /* order: reuse */
    if (TRT_LIKELY_(tail - (uint32_t)(head >> 32) < TRT_RING_) &&
        !(w->fifo && TRT_LOAD_(&w->rt->inject_len, relaxed))) {
        TRT_STORE_(&w->ring.entry[tail % TRT_RING_], entry, relaxed);
        TRT_STORE_(&w->ring.tail, tail + 1, release); /* pairs with thieves' acquire */
        return;
    }
    trt_ring_full_(w, entry);
}

static inline uintptr_t trt_lifo_swap_(trt_worker_ *w, uintptr_t entry)
{
    uintptr_t old;
    if (!w->solo) return TRT_SWAP_(&w->lifo, entry, release); /* pairs with trt_rescue_ */
    old = TRT_LOAD_(&w->lifo, relaxed);
    TRT_STORE_(&w->lifo, entry, relaxed);
    return old;
}

/* Into the slot, if there is one and it is empty. */
static inline bool trt_put_lifo_(trt_worker_ *w, uintptr_t entry)
{
    /* only its own worker fills it */
    if (w->fifo || TRT_LOAD_(&w->lifo, relaxed)) return false;
    TRT_STORE_(&w->lifo, entry, release); /* pairs with the swap of a thief */
    return true;
}

static inline void trt_push_lifo_(trt_worker_ *w, uintptr_t entry)
{
    uintptr_t old;
    if (trt_put_lifo_(w, entry)) return;
    if (w->fifo) {
        trt_push_(w, entry);
        return;
    }
    old = trt_lifo_swap_(w, entry);
    if (!old || old == entry || trt_spent_(old)) return;
    trt_push_(w, old);
    if (!w->solo) trt_notify_(w->rt);
}

/* A crowd of tasks is not in the cache: what is to run soon is fetched while others run. (In
 * tests/bench timers_over -13 % with one worker, fib27 -26 % on a current-thread runtime, where
 * three entries ahead were better than one, two or five.) A small task is 160 bytes. */
#define TRT_AHEAD_ 3u
static inline void trt_fetch_ahead_(trt_worker_ *w, uint32_t next)
{
    uintptr_t entry = TRT_LOAD_(&w->ring.entry[(next + TRT_AHEAD_) % TRT_RING_], relaxed);
    const char *cell = (const char *)(entry & ~TRT_OWNED_ENTRY_);
    __builtin_prefetch(cell, 1);
    __builtin_prefetch(cell + 64, 1);
    __builtin_prefetch(cell + 128, 1);
}

/* By then that has come, and tells what it will need: its innermost frame, and who joins it. It
 * pays where trees of tasks are run breadth first, more of them than the ring holds (fib27 -25 %,
 * nqueens12 -10 %), and is right where no other worker can have the entry and write its leaf. */
static TRT_NOINLINE_ void trt_fetch_behind_(trt_worker_ *w, uint32_t next)
{
    uintptr_t entry = TRT_LOAD_(&w->ring.entry[(next + 1) % TRT_RING_], relaxed);
    trt_cell_ *c = (trt_cell_ *)(entry & ~TRT_OWNED_ENTRY_);
    if (entry & TRT_OWNED_ENTRY_) {
        __builtin_prefetch(c->leaf, 1);
        __builtin_prefetch((const char *)c->leaf + 64, 1);
    }
    if (TRT_LOAD_(&c->state, relaxed) & TRT_WAITER_) {
        const char *wait = (const char *)TRT_LOAD_(&c->up_seen, relaxed);
        __builtin_prefetch(wait - offsetof(trt_cell_, wait), 1);
        __builtin_prefetch(wait + 64 - offsetof(trt_cell_, wait), 1);
    }
}

static inline uintptr_t trt_pop_(trt_worker_ *w, bool ahead)
{
    uint64_t head = TRT_LOAD_(&w->ring.head, relaxed); /* the entries are its own */
    for (;;) {
        uint32_t next = (uint32_t)head, stolen = (uint32_t)(head >> 32);
        uint32_t tail = TRT_LOAD_(&w->ring.tail, relaxed);
        uint64_t to;
        if (next == tail) return 0;
        if (ahead && tail - next > TRT_AHEAD_) {
            trt_fetch_ahead_(w, next);
            if (TRT_UNLIKELY_(w->fifo) && TRT_LOAD_(&w->rt->inject_len, relaxed))
                trt_fetch_behind_(w, next);
        }
        to = (uint64_t)(stolen == next ? next + 1 : stolen) << 32 | (next + 1);
        if (w->solo) {
            TRT_STORE_(&w->ring.head, to, relaxed);
            return TRT_LOAD_(&w->ring.entry[next % TRT_RING_], relaxed);
        }
        /* order: as in queue.rs, see above */
        if (TRT_CAS_WEAK_(&w->ring.head, &head, to, acq_rel))
            return TRT_LOAD_(&w->ring.entry[next % TRT_RING_], relaxed);
    }
}

/* With a seed, any runnable entry may be next. One thread only: see trt_config.seed. */
static TRT_NOINLINE_ void trt_shuffle_(trt_worker_ *w)
{
    uint32_t first = (uint32_t)TRT_LOAD_(&w->ring.head, relaxed);
    uint32_t n = TRT_LOAD_(&w->ring.tail, relaxed) - first, pick;
    uintptr_t a, b;
    if (n < 2) return;
    pick = first + (uint32_t)(trt_mix_(&w->rng) % n);
    a = TRT_LOAD_(&w->ring.entry[first % TRT_RING_], relaxed);
    b = TRT_LOAD_(&w->ring.entry[pick % TRT_RING_], relaxed);
    TRT_STORE_(&w->ring.entry[first % TRT_RING_], b, relaxed);
    TRT_STORE_(&w->ring.entry[pick % TRT_RING_], a, relaxed);
}

/* Take entries that came from elsewhere: the first is returned, the rest goes to the own ring. */
static uintptr_t trt_take_injected_(trt_worker_ *w, uint32_t most)
{
    trt_runtime *rt = w->rt;
    uint64_t len = TRT_LOAD_(&rt->inject_len, relaxed);
    uintptr_t first;
    uint32_t n, room, tail;
    if (!len) return 0;
    trt_latch_(&rt->inject_latch);
    first = trt_inject_get_(rt);
    len = TRT_LOAD_(&rt->inject_len, relaxed) / rt->n_workers;
    n = len < most ? (uint32_t)len : most;
    tail = TRT_LOAD_(&w->ring.tail, relaxed);
    /* order: reuse */
    room = TRT_RING_ - (tail - (uint32_t)(TRT_LOAD_(&w->ring.head, acquire) >> 32));
    if (n > room) n = room;
    TRT_COUNT_(&w->injected, n + (first != 0));
    for (; n; n--) {
        uintptr_t entry = trt_inject_get_(rt);
        if (!entry) break;
        TRT_STORE_(&w->ring.entry[tail++ % TRT_RING_], entry, relaxed);
    }
    TRT_STORE_(&w->ring.tail, tail, release);
    trt_unlatch_(&rt->inject_latch);
    return first;
}

/* Half of another worker's ring: the last entry is returned, the rest goes to the own ring. */
static uintptr_t trt_steal_(trt_worker_ *w, trt_worker_ *victim)
{
    uint32_t mine = TRT_LOAD_(&w->ring.tail, relaxed), n, i, next;
    uint64_t head, to;
    /* order: reuse */
    if (mine - (uint32_t)(TRT_LOAD_(&w->ring.head, acquire) >> 32) > TRT_RING_ / 2) return 0;
    head = TRT_LOAD_(&victim->ring.head, relaxed); /* a first guess, the CAS decides */
    do {
        next = (uint32_t)head;
        if ((uint32_t)(head >> 32) != next) return 0; /* one thief at a time */
        n = TRT_LOAD_(&victim->ring.tail, acquire) - next;
        n -= n / 2;
        if (!n || n > TRT_RING_ / 2) return 0; /* empty, or the two reads do not belong together */
        if (w->tiny) n = 1;
        to = (uint64_t)next << 32 | (next + n);
        /* order: as in queue.rs, see above */
    } while (!TRT_CAS_WEAK_(&victim->ring.head, &head, to, acq_rel));
    for (i = 0; i < n; i++)
        TRT_STORE_(&w->ring.entry[(mine + i) % TRT_RING_],
                   TRT_LOAD_(&victim->ring.entry[(next + i) % TRT_RING_], relaxed), relaxed);
    do {
        uint32_t popped = (uint32_t)to;
        head = to;
        /* order: reuse, and as in queue.rs */
        if (TRT_CAS_WEAK_(&victim->ring.head, &head, (uint64_t)popped << 32 | popped, acq_rel))
            break;
        to = head;
    } while (true);
    TRT_COUNT_(&w->steals, 1u);
    n--;
    if (n) TRT_STORE_(&w->ring.tail, mine + n, release);
    return TRT_LOAD_(&w->ring.entry[(mine + n) % TRT_RING_], relaxed);
}

static uint32_t trt_ring_length_(trt_worker_ *w)
{
    return TRT_LOAD_(&w->ring.tail, relaxed) - (uint32_t)TRT_LOAD_(&w->ring.head, relaxed);
}

/* A look, also for the deque: who sleeps by it has a fence before it. */
static bool trt_ring_empty_(trt_worker_ *w)
{
    return TRT_LOAD_(&w->ring.tail, relaxed) == (uint32_t)TRT_LOAD_(&w->ring.head, relaxed);
}

/* Deque. Indices are signed in the papers; here they start at 1, so that bottom - 1 never wraps. */
static TRT_COLD_ bool trt_deque_grow_(trt_deque_ *d, uint64_t top, uint64_t bottom)
{
    trt_array_ *old = TRT_LOAD_(&d->array, relaxed), *array;
    uint64_t n = old ? (old->mask + 1) * 2 : TRT_DEQUE_, i;
    array = (trt_array_ *)TASKRT_MALLOC(sizeof *array + (size_t)n * sizeof array->entry[0]);
    if (!array) return false;
    array->mask = n - 1;
    array->older = old; /* a thief may still read it: kept until the runtime is freed */
    for (i = top; i != bottom; i++)
        TRT_STORE_(&array->entry[i & array->mask], TRT_LOAD_(&old->entry[i & old->mask], relaxed),
                   relaxed);
    TRT_STORE_(&d->array, array, release);
    return true;
}

/* False: it is full. */
static inline bool trt_deque_put_(trt_deque_ *d, trt_cell_ *c)
{
    uint64_t bottom = TRT_LOAD_(&d->bottom, relaxed);
    uint64_t top = TRT_LOAD_(&d->top, acquire); /* order: reuse */
    trt_array_ *array = TRT_LOAD_(&d->array, relaxed);
    if (TRT_UNLIKELY_(bottom - top > array->mask)) return false;
    TRT_STORE_(&array->entry[bottom & array->mask], (uintptr_t)c, relaxed);
    TRT_STORE_(&d->bottom, bottom + 1, release); /* pairs with the thief's acquire of bottom */
    return true;
}

static TRT_NOINLINE_ bool trt_deque_push_(trt_worker_ *w, trt_cell_ *c)
{
    trt_deque_ *d = &w->deque;
    uint64_t top;
    if (trt_deque_put_(d, c)) return true;
    top = TRT_LOAD_(&d->top, acquire); /* order: reuse */
    return trt_deque_grow_(d, top, TRT_LOAD_(&d->bottom, relaxed)) && trt_deque_put_(d, c);
}

static inline trt_cell_ *trt_deque_pop_(trt_worker_ *w)
{
    trt_deque_ *d = &w->deque;
    uint64_t bottom = TRT_LOAD_(&d->bottom, relaxed), top;
    trt_array_ *array = TRT_LOAD_(&d->array, relaxed);
    trt_cell_ *c;
    if (bottom == TRT_LOAD_(&d->top, relaxed)) return NULL;
    bottom--;
    if (w->solo) {
        TRT_STORE_(&d->bottom, bottom, relaxed);
        return (trt_cell_ *)TRT_LOAD_(&array->entry[bottom & array->mask], relaxed);
    }
#if TRT_TSAN_
    TRT_SWAP_(&d->bottom, bottom, seq_cst);
#else
    TRT_STORE_(&d->bottom, bottom, relaxed);
    TRT_FENCE_(&d->bottom); /* pairs with the thief's fence: one of the two sees the other */
#endif
    top = TRT_LOAD_(&d->top, seq_cst); /* order: for TSan's build, which has no fence */
    if (TRT_LIKELY_(top < bottom))
        return (trt_cell_ *)TRT_LOAD_(&array->entry[bottom & array->mask], relaxed);
    c = NULL;
    if (top == bottom) { /* the last one: the thieves' CAS decides */
        c = (trt_cell_ *)TRT_LOAD_(&array->entry[bottom & array->mask], relaxed);
        /* order: as in the paper, whose proof uses it; the fences seem to suffice */
        if (!TRT_CAS_(&d->top, &top, top + 1, seq_cst)) c = NULL;
    }
    TRT_STORE_(&d->bottom, bottom + 1, relaxed); /* no more to steal than before */
    return c;
}

static trt_cell_ *trt_deque_steal_(trt_worker_ *victim)
{
    trt_deque_ *d = &victim->deque;
    /* order: for TSan's build, which has no fence */
    uint64_t top = TRT_LOAD_(&d->top, acquire), bottom;
    trt_array_ *array;
    trt_cell_ *c;
    if (top >= TRT_LOAD_(&d->bottom, relaxed)) return NULL; /* a look before the fence */
#if TRT_TSAN_
    bottom = TRT_ADD_(&d->bottom, 0u, seq_cst);
#else
    TRT_FENCE_(&d->bottom); /* `top` must be the one read before */
    bottom = TRT_LOAD_(&d->bottom, acquire); /* order: for `top`, the look and the fence acquire */
#endif
    if (top >= bottom) return NULL;
    array = TRT_LOAD_(&d->array, acquire);
    c = (trt_cell_ *)TRT_LOAD_(&array->entry[top & array->mask], relaxed);
    /* order: as in the paper, see trt_deque_pop_ */
    return TRT_CAS_(&d->top, &top, top + 1, seq_cst) ? c : NULL;
}

static bool trt_deque_empty_(trt_worker_ *w)
{
    return TRT_LOAD_(&w->deque.top, relaxed) >= TRT_LOAD_(&w->deque.bottom, relaxed);
}

static void trt_deque_free_(trt_worker_ *w)
{
    trt_array_ *array = TRT_LOAD_(&w->deque.array, relaxed);
    while (array) {
        trt_array_ *older = array->older;
        TASKRT_FREE(array);
        array = older;
    }
}

/* ------------------------------------------------------------------------------------------------
 * >>wakes: from a claim to the queue
 */
/* Claimed by trt_claim_, which has made a thread that is no worker here a visitor. */
static TRT_NOINLINE_ void trt_schedule_claimed_(trt_cell_ *c, bool last)
{
    trt_runtime *rt = trt_rt_of_(c);
    trt_worker_ *w = trt_worker_here_(rt);
    uintptr_t entry = (uintptr_t)c | TRT_OWNED_ENTRY_;
    if (TRT_UNLIKELY_(!w)) {
        trt_inject_visiting_(rt, entry);
    } else if (!last) {
        trt_push_lifo_(w, entry);
    } else {
        trt_push_(w, entry);
        if (!w->solo) trt_notify_(rt);
    }
}

static void trt_schedule_last_(trt_cell_ *c) /* behind what is ready already */
{
    trt_runtime *rt = trt_rt_of_(c);
    trt_worker_ *w = trt_worker_here_(rt);
    uintptr_t entry = (uintptr_t)c | TRT_OWNED_ENTRY_;
    if (!w) {
        trt_inject_(rt, entry);
        return;
    }
    trt_push_(w, entry);
    if (!w->solo) trt_notify_(rt);
}

typedef struct trt_wakes_ {
    trt_waiter_ *first, *last;
} trt_wakes_;
#define TRT_NO_WAKES_ {NULL, NULL}

static void trt_wakes_add_(trt_wakes_ *wakes, trt_waiter_ *w)
{
    w->next = NULL;
    if (wakes->last) wakes->last->next = w;
    else wakes->first = w;
    wakes->last = w;
}

static void trt_wake_thread_(trt_waiter_ *w)
{
    trt_thread_waiter_ *t = TRT_CONTAINER_(trt_thread_waiter_, waiter, w);
    trt_a32_ *word = &t->woken;
    trt_runtime *rt = t->drives;
    if (rt) trt_visitor_comes_(&rt->visitors); /* once woken, it may free the runtime */
    /* Pairs with the acquire in trt_thread_sleep_; t may be gone now. */
    if (TRT_SWAP_(word, 1u, release) == 2) trt_os_wake_(word, 1);
    if (!rt) return;
    TRT_ADD_(&rt->drive_gate, 1u, release);
    trt_os_wake_(&rt->drive_gate, INT_MAX);
    if (!trt_worker_here_(rt)) trt_unpark_(rt->workers[0]);
    trt_visitor_leaves_(&rt->visitors);
}

static TRT_NOINLINE_ void trt_wake_chain_(trt_waiter_ *w, bool last)
{
    trt_waiter_ *next;
    for (; w; w = next) {
        next = w->next;
        if (w->mode == TRT_MODE_THREAD_) trt_wake_thread_(w);
        else trt_schedule_claimed_(TRT_CONTAINER_(trt_cell_, wait, w), last);
    }
}

/* What most wakes are: one strand, by a worker of its own runtime, into a slot that is empty. */
static inline bool trt_wake_quickly_(trt_waiter_ *w)
{
    trt_worker_ *here = trt_here_.worker;
    trt_cell_ *c = TRT_CONTAINER_(trt_cell_, wait, w);
    return !w->next && w->mode != TRT_MODE_THREAD_ && here && here->rt == trt_rt_of_(c) &&
           trt_put_lifo_(here, (uintptr_t)c | TRT_OWNED_ENTRY_);
}

static TRT_NOINLINE_ void trt_wake_these_(trt_waiter_ *w)
{
    if (!trt_wake_quickly_(w)) trt_wake_chain_(w, w->next != NULL);
}

/* One that is woken runs next, on this worker; of many none does. */
static inline void trt_wake_(trt_wakes_ *wakes)
{
    if (wakes->first) trt_wake_these_(wakes->first);
}

static void trt_list_push_(trt_list_ *list, trt_waiter_ *w)
{
    w->next = NULL;
    w->prev = list->tail;
    if (list->tail) list->tail->next = w;
    else list->head = w;
    list->tail = w;
    w->linked = 1;
}

static void trt_list_remove_(trt_list_ *list, trt_waiter_ *w)
{
    TRT_ASSERT_(w->linked == 1 && list->head && list->tail);
    if (w->prev) w->prev->next = w->next;
    else list->head = w->next;
    if (w->next) w->next->prev = w->prev;
    else list->tail = w->prev;
    w->linked = 0;
}

/* ------------------------------------------------------------------------------------------------
 * >>claims
 */
/* 0: somebody else has it; 1: it is ours to queue; 2: ours, and the registering thread takes it
 * on. */
static int trt_claim_strand_(trt_cell_ *c)
{
    uint64_t s = TRT_LOAD_(&c->state, relaxed); /* a first guess, the CAS decides */
    for (;;) {
        uint64_t to = (s & ~(uint64_t)TRT_WAITING_STATE_) | TRT_RUN_STATE_;
        if (!(s & TRT_WAIT_STATE_)) return 0;
        /* order: release, for the look in trt_group_settle_. What else the claimer has written
         * comes with the queue, or with the latch of what was waited for: the strand passes it. */
        if (TRT_CAS_WEAK_(&c->state, &s, to, acq_rel)) return s & TRT_COMMIT_ ? 2 : 1;
    }
}

/* One try, for a strand that waits for one thing. */
static inline bool trt_claim_at_once_(trt_cell_ *c)
{
    uint64_t s = TRT_LOAD_(&c->state, relaxed); /* a first guess, the CAS decides */
    /* order: as in trt_claim_strand_; the latch, under which it has parked, acquires too */
    return TRT_LIKELY_((s & TRT_WAIT_STATE_) != 0) &&
           TRT_CAS_(&c->state, &s, (s & ~(uint64_t)TRT_WAITING_STATE_) | TRT_RUN_STATE_, acq_rel);
}

static bool trt_shielded_(const trt_cell_ *c) { return c->cleaning != 0; }

/* It waits, but its runtime closes. What waits when this worker first sees `closing` is found by
 * trt_see_closing_, and what begins to wait after that sees it here. (Forks and branches are
 * aborted by the strand that they belong to.) */
static TRT_NOINLINE_ bool trt_park_late_(trt_cell_ *c, uint64_t extra)
{
    if (c->kind != TRT_TASK_ || trt_claim_strand_(c) == 0) return true;
    TRT_OR_(&c->state, TRT_ABORT_, relaxed);
    if (extra & TRT_COMMIT_) TRT_AND_(&c->state, ~(uint64_t)TRT_COMMIT_, relaxed);
    return false;
}

/* The strand that runs here, owned, becomes claimable. False: an abort is pending. The release
 * pairs with the claim's acquire: the claimer sees everything that the strand has written. */
static bool trt_park_strand_(trt_cell_ *c, uint64_t extra)
{
    uint64_t s = TRT_LOAD_(&c->state, relaxed);
    bool shielded = trt_shielded_(c) || (extra & TRT_SHIELD_);
    uint64_t set = TRT_WAIT_STATE_ | extra | (shielded ? TRT_SHIELD_ : 0u);
    do {
        if ((s & TRT_ABORT_) && !shielded) return false;
    } while (!TRT_CAS_WEAK_(&c->state, &s, (s & ~(uint64_t)TRT_RUN_STATE_) | set, release));
    return shielded || TRT_LIKELY_(!TRT_LOAD_(&trt_rt_of_(c)->closing, relaxed)) ||
           trt_park_late_(c, extra);
}

/* The same for what most waits are: of the body, while nobody aborts it or closes the runtime.
 * False: whatever else it is; `*parked` says how far it has come. */
static inline bool trt_park_at_once_(trt_cell_ *c, bool *parked)
{
    uint64_t s = TRT_LOAD_(&c->state, relaxed); /* a first guess, the CAS decides */
    TRT_ASSERT_((s & (TRT_RUN_STATE_ | TRT_WAIT_STATE_)) == TRT_RUN_STATE_);
    *parked = TRT_LIKELY_(!(s & TRT_ABORT_) && !trt_shielded_(c)) &&
              TRT_CAS_(&c->state, &s, s ^ (TRT_RUN_STATE_ | TRT_WAIT_STATE_), release);
    return *parked && TRT_LIKELY_(!TRT_LOAD_(&trt_rt_of_(c)->closing, relaxed));
}

static trt_cell_ *trt_waiting_cell_(trt_waiter_ *w) { return TRT_CONTAINER_(trt_cell_, wait, w); }

static trt_group_ *trt_group_of_(trt_waiter_ *w)
{
    return TRT_CONTAINER_(trt_group_, member, w - w->index);
}

static bool trt_park_(trt_waiter_ *w)
{
    w->status = TRT_PENDING;
    return w->mode != TRT_MODE_STRAND_ || trt_park_strand_(trt_waiting_cell_(w), 0);
}

/* On the registering thread: is it undecided, and not aborted? */
static inline bool trt_group_open_(const trt_group_ *g)
{
    uint64_t s = TRT_LOAD_(&g->cell->state, relaxed); /* a look */
    if (g->parked) return (s & TRT_WAIT_STATE_) != 0;
    return g->winner < 0 && TRT_LOAD_(&g->left, relaxed) &&
           (!(s & TRT_ABORT_) || trt_shielded_(g->cell));
}

/* The group's strand becomes claimable. False: it has been claimed already, or an abort pends. */
static bool trt_group_park_(trt_group_ *g)
{
    if (!g->parked) (void)trt_park_strand_(g->cell, TRT_COMMIT_);
    g->parked = true;
    return trt_group_open_(g);
}

static bool trt_group_claim_(trt_group_ *g)
{
    return g->parked ? trt_claim_strand_(g->cell) != 0 : trt_group_open_(g);
}

/* A member completes while its group is being registered: has no other decided the group? */
static bool trt_take_(trt_waiter_ *w)
{
    trt_group_ *g;
    if (w->mode != TRT_MODE_MEMBER_) return true;
    g = trt_group_of_(w);
    if (g->flags & TRT_GROUP_ALL_) return trt_group_open_(g);
    if (!trt_group_claim_(g)) return false;
    g->winner = (int8_t)w->index;
    return true;
}

static uint32_t trt_kind_given_(const trt_waiter_ *member);

/* Does this end all of an `all`? A failure of a try, and the panic of a coroutine: it is the
 * caller's. */
static inline bool trt_ends_all_(const trt_group_ *g, const trt_waiter_ *m, trt_status_code status)
{
    if (TRT_LIKELY_(status == TRT_OK)) return false;
    return (g->flags & TRT_GROUP_TRY_) ||
           (status == TRT_PANICKED && trt_kind_given_(m) == TRT_KIND_CALL_);
}

static bool trt_claim_member_(trt_waiter_ *w, trt_status_code status, trt_wakes_ *wakes)
{
    trt_group_ *g = trt_group_of_(w);
    trt_cell_ *c = g->cell;
    int claimed = 0;
    if (w->linked == TRT_LINGERS_) { /* a loser that took time to end */
        w->status = (uint8_t)status;
        /* order: release, for the look in trt_group_settle_ */
        if (TRT_SUB_(&g->linger, 1u, acq_rel) == 1) claimed = trt_claim_strand_(c);
    } else if (!(g->flags & TRT_GROUP_ALL_)) {
        claimed = trt_claim_strand_(c);
        if (!claimed) return false;
        g->winner = (int8_t)w->index;
        w->status = (uint8_t)status;
    } else {
        if (!(TRT_LOAD_(&c->state, relaxed) & TRT_WAIT_STATE_)) return false; /* a look */
        w->status = (uint8_t)status;
        if (trt_ends_all_(g, w, status)) {
            claimed = trt_claim_strand_(c);
            if (claimed) g->winner = (int8_t)w->index;
            /* order: who reads a member's status passes its latch before, see trt_group_settle_ */
        } else if (TRT_SUB_(&g->left, 1u, acq_rel) == 1) {
            claimed = trt_claim_strand_(c);
        }
    }
    if (claimed == 1) trt_wakes_add_(wakes, &c->wait);
    return true;
}

static bool trt_claim_alone_(trt_waiter_ *w, trt_status_code status, trt_wakes_ *wakes)
{
    if (w->mode == TRT_MODE_STRAND_ && !trt_claim_strand_(trt_waiting_cell_(w))) return false;
    w->status = (uint8_t)status;
    trt_wakes_add_(wakes, w);
    return true;
}

/* From outside: the runtime may be given up and freed meanwhile, so the claimer is a visitor until
 * the strand is in the queue. And it may be dumped: the latch keeps that from reading a status that
 * is being written. What has been given up gets nothing, as it would never pass it on: not from its
 * own workers either, which serve nobody from then on, and come here. (Who comes behind a shutdown
 * sees that it has given up. A worker of its own is here for no other reason.) */
static TRT_COLD_ bool trt_claim_visiting_(trt_runtime *rt, trt_waiter_ *w, trt_status_code status,
                                          trt_wakes_ *wakes)
{
    const trt_waiter_ *last = wakes->last;
    bool claimed = false;
    trt_visitor_comes_(&rt->visitors);
    trt_latch_(&rt->outside_latch);
    /* order: as in trt_abort_ */
    if (!TRT_LOAD_(&rt->given_up, seq_cst) && !trt_worker_here_(rt))
        claimed = w->mode == TRT_MODE_MEMBER_ ? trt_claim_member_(w, status, wakes)
                                              : trt_claim_alone_(w, status, wakes);
    trt_unlatch_(&rt->outside_latch);
    if (wakes->last == last) trt_visitor_leaves_(&rt->visitors); /* nothing to queue */
    return claimed;
}

/* Decide somebody else's wait: see the state essay. Latch of the object held, `w` unlinked. */
static bool trt_claim_(trt_waiter_ *w, trt_status_code status, trt_wakes_ *wakes)
{
    trt_cell_ *c;
    if (w->mode == TRT_MODE_THREAD_) return trt_claim_alone_(w, status, wakes);
    c = w->mode == TRT_MODE_MEMBER_ ? trt_group_of_(w)->cell : trt_waiting_cell_(w);
    if (TRT_UNLIKELY_(!trt_serves_(trt_here_.worker, c)))
        return trt_claim_visiting_(trt_rt_of_(c), w, status, wakes);
    if (w->mode == TRT_MODE_MEMBER_) return trt_claim_member_(w, status, wakes);
    return trt_claim_alone_(w, status, wakes);
}

/* What the op only reads moves from the body's stack to where it lasts. */
static bool trt_keep_(trt_waiter_ *w, size_t size)
{
    void *place;
    if (size <= sizeof w->args.arg) {
        trt_copy_(&w->args.arg, w->args.out, size);
        w->args.out = &w->args.arg;
        return true;
    }
    place = trt_block_alloc_(trt_here_.worker->rt, size);
    if (!place) return false;
    memcpy(place, w->args.out, size);
    w->args.out = place;
    w->kept = 1;
    return true;
}

static TRT_NOINLINE_ void trt_unkeep_it_(trt_waiter_ *w)
{
    w->kept = 0;
    trt_slot_unused_(w->args.out);
}

static inline void trt_unkeep_(trt_waiter_ *w)
{
    if (TRT_UNLIKELY_(w->kept)) trt_unkeep_it_(w);
}

static trt_op trt_op_(uint32_t kind, void *obj, void *out, uint64_t arg)
{
    trt_op op;
    op.args_.obj = obj;
    op.args_.out = out;
    op.args_.arg = arg;
    op.within_ = TRT_FOREVER_;
    op.until_ = TRT_FOREVER_;
    op.kind_ = kind;
    return op;
}
/* ------------------------------------------------------------------------------------------------
 * >>wheel
 *
 * One hierarchical timer wheel a worker (Varghese and Lauck 1987; level and slot by the highest bit
 * in which deadline and present differ, as Tokio does). Nine levels of 64 slots over ticks of 2^20
 * ns reach beyond INT64_MAX ns, so no deadline needs special care. Insert and cancel are O(1); a
 * timer moves down at most once a level.
 *
 * Neighbours in a slot lie anywhere, and where the next but one lies is known only when the next
 * has come from memory. So a slot has four lists, its lanes, which are filled in turns and emptied
 * in turns: while one entry is dealt with, four are on their way, and the order is kept (but for
 * what cancels have left behind). A million timers 0.81 -> 0.42 s of CPU, ten million 13 -> 7; a
 * thousand cost the same as before. Eight lanes bring nothing more. An exact wheel, whose slots
 * are emptied a part at a time, uses one lane, and so keeps the order always.
 *
 * A tick holds what is due within it and fires when it is over: never early, at most 1.05 ms late.
 * On the virtual clock the wheel is exact instead: its ticks are 1,024 ns, the entries of the
 * earliest one are compared, and the clock jumps to the first of them.
 *
 * The wheel's latch is nearly always its own worker's. Others take it to cancel (a strand may have
 * moved), and to expire what is due while the owner is stuck in a long poll.
 *
 * Most timers are deadlines that are never reached. So a duration is not looked up on the clock,
 * which costs more than all the rest, when its await suspends: it goes into a list, and begins when
 * its worker next looks at the clock, before it sleeps or some 61 polls later (or when the watch
 * thread finds it stuck). That makes it late, never early; and a wait that ends before costs no
 * clock at all. On the virtual clock, which is a variable, nothing is put off.
 */
#define TRT_FRESH_SLOT_ ((uint16_t)(TRT_WHEEL_LEVELS_ * 64 * TRT_LANES_))
static uint64_t trt_tick_of_(const trt_wheel_ *wheel, trt_instant deadline)
{
    uint64_t ns = deadline > 0 ? (uint64_t)deadline : 0;
    if (wheel->exact) return ns >> wheel->bits;
    return (ns + ((uint64_t)1 << wheel->bits) - 1) >> wheel->bits;
}

static void trt_wheel_init_(trt_wheel_ *wheel, trt_instant now, bool exact)
{
    wheel->exact = exact;
    wheel->bits = exact ? TRT_EXACT_BITS_ : TRT_TICK_BITS_;
    wheel->now = (uint64_t)now >> wheel->bits;
    TRT_STORE_(&wheel->next, TRT_FOREVER_, relaxed);
}

/* The instant at which a slot has to be looked at. */
static trt_instant trt_tick_instant_(const trt_wheel_ *wheel, uint64_t tick)
{
    return tick > (uint64_t)INT64_MAX >> wheel->bits ? TRT_FOREVER_ - 1
                                                     : (trt_instant)(tick << wheel->bits);
}

static void trt_wheel_link_(trt_wheel_ *wheel, trt_waiter_ *w)
{
    uint64_t tick = trt_tick_of_(wheel, (trt_instant)w->args.arg), differ;
    uint32_t level, slot, lane;
    if (tick <= wheel->now && !wheel->exact) tick = wheel->now + 1;
    if (tick < wheel->now) tick = wheel->now;
    differ = (wheel->now ^ tick) | 63;
    level = (63u - (uint32_t)__builtin_clzll((unsigned long long)differ)) / 6;
    slot = (uint32_t)(tick >> (6 * level)) & 63;
    lane = !wheel->exact && wheel->occupied[level] >> slot & 1 ? wheel->lane[level][slot] : 0;
    wheel->lane[level][slot] = (uint8_t)((lane + 1) % TRT_LANES_);
    w->error = (uint16_t)((level * 64 + slot) * TRT_LANES_ + lane);
    trt_list_push_(&wheel->slot[level][slot][lane], w);
    wheel->occupied[level] |= (uint64_t)1 << slot;
}

/* The earliest occupied slot; false if there is none. `start` is the slot's first tick. */
static bool trt_wheel_first_(const trt_wheel_ *wheel, uint32_t *level, uint32_t *slot,
                             uint64_t *start)
{
    uint32_t i;
    for (i = 0; i < TRT_WHEEL_LEVELS_; i++) {
        /* On a level, everything lies ahead of the present within the same turn. */
        uint32_t here = (uint32_t)(wheel->now >> (6 * i)) & 63;
        uint64_t ahead = wheel->occupied[i] & ~(uint64_t)0 << here;
        if (!ahead) continue;
        *level = i;
        *slot = (uint32_t)__builtin_ctzll((unsigned long long)ahead);
        *start = ((wheel->now >> (6 * i) & ~(uint64_t)63) | *slot) << (6 * i);
        return true;
    }
    return false;
}

static trt_instant trt_wheel_due_(trt_wheel_ *wheel)
{
    uint32_t level, slot, lane;
    uint64_t start;
    trt_instant due = TRT_FOREVER_;
    trt_waiter_ *w;
    if (!trt_wheel_first_(wheel, &level, &slot, &start)) return due;
    if (!wheel->exact) return trt_tick_instant_(wheel, start);
    for (lane = 0; lane < TRT_LANES_; lane++)
        for (w = wheel->slot[level][slot][lane].head; w; w = w->next)
            if ((trt_instant)w->args.arg < due) due = (trt_instant)w->args.arg;
    return due;
}

/* Latch held, `w` parked. True: nobody had planned to look that early. */
static bool trt_wheel_add_(trt_wheel_ *wheel, trt_waiter_ *w)
{
    trt_instant due;
    trt_wheel_link_(wheel, w);
    due = (trt_instant)w->args.arg;
    if (!wheel->exact) due = trt_tick_instant_(wheel, trt_tick_of_(wheel, due));
    if (due < 0) due = 0;
    if (due >= TRT_LOAD_(&wheel->next, relaxed)) return false;
    TRT_STORE_(&wheel->next, due, relaxed);
    return true;
}

/* Latch held, `w` parked: its time has not begun yet. */
static void trt_wheel_defer_(trt_wheel_ *wheel, trt_waiter_ *w)
{
    w->error = TRT_FRESH_SLOT_;
    trt_list_push_(&wheel->fresh, w);
    TRT_STORE_(&wheel->fresh_some, 1u, relaxed);
}

/* Latch held: what was deferred begins now. True: as above, for one of them. */
static bool trt_wheel_settle_(trt_wheel_ *wheel, trt_instant now)
{
    trt_waiter_ *w;
    bool earlier = false;
    while ((w = wheel->fresh.head) != NULL) {
        trt_list_remove_(&wheel->fresh, w);
        w->args.arg = (uint64_t)trt_after_(now, (trt_duration)w->args.arg);
        earlier = trt_wheel_add_(wheel, w) || earlier;
    }
    TRT_STORE_(&wheel->fresh_some, 0u, relaxed);
    return earlier;
}

static bool trt_lanes_empty_(const trt_list_ *lanes)
{
    uint32_t i;
    for (i = 0; i < TRT_LANES_; i++)
        if (lanes[i].head) return false;
    return true;
}

static void trt_wheel_unlink_(trt_wheel_ *wheel, trt_waiter_ *w)
{
    uint32_t slot = w->error / TRT_LANES_ % 64, level = w->error / TRT_LANES_ / 64;
    trt_list_ *lanes;
    if (w->error == TRT_FRESH_SLOT_) {
        trt_list_remove_(&wheel->fresh, w);
        return;
    }
    lanes = wheel->slot[level][slot];
    trt_list_remove_(&lanes[w->error % TRT_LANES_], w);
    if (trt_lanes_empty_(lanes)) wheel->occupied[level] &= ~((uint64_t)1 << slot);
}

static void trt_wheel_remove_(trt_wheel_ *wheel, trt_waiter_ *w)
{
    trt_latch_(&wheel->latch);
    if (w->linked) {
        trt_wheel_unlink_(wheel, w);
        TRT_COUNT_(&wheel->waiting, (uint64_t)-1);
        if (!TRT_LOAD_(&wheel->waiting, relaxed)) TRT_STORE_(&wheel->next, TRT_FOREVER_, relaxed);
    }
    trt_unlatch_here_(&wheel->latch);
}

static void trt_interval_fire_(trt_interval *interval, trt_instant now);

/* The waiter, the state of its cell, and the frame behind it, which will run. */
static void trt_wheel_fetch_(const trt_waiter_ *w)
{
    if (!w) return;
    __builtin_prefetch((const char *)w - offsetof(trt_cell_, wait), 1);
    __builtin_prefetch((const char *)w + sizeof *w - 16, 1);
}

/* One entry of a slot whose time has come: it fires, or moves down. */
static void trt_wheel_entry_(trt_worker_ *by, trt_wheel_ *wheel, trt_waiter_ *w, trt_instant now,
                             trt_wakes_ *wakes)
{
    bool due = (trt_instant)w->args.arg <= now;
    uint32_t slot = w->error / TRT_LANES_;
    if (!due && wheel->exact && slot < 64 && (wheel->now & 63) == slot) return;
    trt_wheel_unlink_(wheel, w);
    if (!due) {
        trt_wheel_link_(wheel, w);
        return;
    }
    TRT_COUNT_(&wheel->waiting, (uint64_t)-1);
    if (!trt_claim_(w, TRT_OK, wakes)) return;
    if (by) TRT_COUNT_(&by->fired, 1u);
    if (w->kind == TRT_KIND_TICK_) trt_interval_fire_((trt_interval *)w->args.out, now);
}

/* Empty one slot. */
static void trt_wheel_slot_(trt_worker_ *by, trt_wheel_ *wheel, trt_list_ *lanes, trt_instant now,
                            trt_wakes_ *wakes)
{
    trt_waiter_ *next[TRT_LANES_];
    uint32_t i, left = 0; /* lanes that are not at their end */
    for (i = 0; i < TRT_LANES_; i++) {
        next[i] = lanes[i].head;
        left += next[i] != NULL;
        trt_wheel_fetch_(next[i]);
    }
    for (i = 0; left; i = (i + 1) % TRT_LANES_) {
        trt_waiter_ *w = next[i];
        if (!w) continue;
        next[i] = w->next;
        left -= !next[i];
        trt_wheel_fetch_(next[i]);
        trt_wheel_entry_(by, wheel, w, now, wakes);
    }
}

/* Fire all that is due at `now`. */
static void trt_wheel_run_(trt_worker_ *by, trt_wheel_ *wheel, trt_instant now)
{
    trt_wakes_ wakes = TRT_NO_WAKES_;
    uint64_t tick = (uint64_t)now >> wheel->bits, start;
    uint32_t level, slot;
    trt_latch_(&wheel->latch);
    while (trt_wheel_first_(wheel, &level, &slot, &start) && start <= tick) {
        uint64_t before = wheel->now;
        if (start > wheel->now) wheel->now = start;
        trt_wheel_slot_(by, wheel, wheel->slot[level][slot], now, &wakes);
        /* An exact wheel stays in a slot until the last of its entries is due. */
        if (wheel->exact && level == 0 && wheel->now == before &&
            !trt_lanes_empty_(wheel->slot[0][slot]))
            break;
    }
    if (tick > wheel->now && !trt_wheel_first_(wheel, &level, &slot, &start)) wheel->now = tick;
    else if (tick > wheel->now && start > tick) wheel->now = tick;
    TRT_STORE_(&wheel->next, trt_wheel_due_(wheel), relaxed);
    trt_unlatch_(&wheel->latch);
    trt_wake_(&wakes);
}
/* ------------------------------------------------------------------------------------------------
 * >>panics
 *
 * A panic jumps to the worker's loop, which sends the strand that was running through its cleanups.
 * What it said is kept in a list of the chunk in which the strand's cell lies, under the strand;
 * joining moves it to the joiner. What has to wait until a frame asks, or ends, while its strand
 * sees others, is kept under the frame: also the number of a TRT_ERRNO. What a member of a group
 * gets is kept under the member, as several may get theirs at once, on as many threads: the group,
 * when it is over, shows the one whose status it tells. All are rare, so tasks pay nothing; but a
 * server's clients may all fail at once, so there is no one list for all.
 */
static const trt_failure_info trt_unknown_failure_ = {"panic (no memory for its message)", "", 0,
                                                      0};

/* Of strand `c`, or of a frame of it. */
static TRT_COLD_ trt_panic_record_ *trt_panic_find_(const trt_cell_ *c, const void *of,
                                                    uint32_t role, bool unlink)
{
    trt_chunk_ *chunk = trt_chunk_of_(c);
    trt_panic_record_ **at, *r;
    trt_latch_(&chunk->rare_latch);
    for (at = &chunk->panics; (r = *at) != NULL; at = &r->next)
        if (r->of == of && r->role == role) break;
    if (r && unlink) *at = r->next;
    trt_unlatch_(&chunk->rare_latch);
    return r;
}

static void trt_panic_drop_(trt_cell_ *c, uint32_t role)
{
    trt_panic_record_ *r;
    while ((r = trt_panic_find_(c, c, role, true)) != NULL) TASKRT_FREE(r);
}

static TRT_COLD_ void trt_panic_link_of_(const trt_cell_ *c, const void *of, trt_panic_record_ *r,
                                         uint32_t role)
{
    trt_chunk_ *chunk = trt_chunk_of_(c);
    r->of = of;
    r->role = (uint8_t)role;
    trt_latch_(&chunk->rare_latch);
    r->next = chunk->panics;
    chunk->panics = r;
    trt_unlatch_(&chunk->rare_latch);
}

static void trt_panic_link_(trt_cell_ *c, trt_panic_record_ *r, uint32_t role)
{
    trt_panic_link_of_(c, c, r, role);
}

/* What strand `c` has in this role is kept for a frame. */
static TRT_COLD_ void trt_panic_keep_(trt_cell_ *c, uint32_t role, const trt_co *co, uint32_t as)
{
    trt_panic_record_ *r = trt_panic_find_(c, c, role, true);
    if (r) trt_panic_link_of_(co->cell_, co, r, as);
}

static TRT_COLD_ void trt_panic_unkeep_(const trt_co *co, uint32_t as)
{
    TASKRT_FREE(trt_panic_find_(co->cell_, co, as, true));
}

/* It is what the last await of this strand has seen; NULL: there was no memory for it. */
static TRT_COLD_ void trt_panic_see_(trt_cell_ *c, trt_panic_record_ *r)
{
    trt_panic_drop_(c, TRT_PANIC_SEEN_);
    if (r) trt_panic_link_(c, r, TRT_PANIC_SEEN_);
    c->flags |= TRT_SAW_PANIC_;
}

/* What was kept for a frame of strand `c` is what the last await has seen. */
static TRT_COLD_ void trt_panic_show_(trt_cell_ *c, const trt_co *co, uint32_t as)
{
    trt_panic_record_ *r = trt_panic_find_(co->cell_, co, as, true);
    trt_panic_see_(c, r);
}

/* What the last await has seen is the strand's own from now. */
static TRT_COLD_ void trt_panic_own_seen_(trt_cell_ *c)
{
    trt_panic_record_ *r = trt_panic_find_(c, c, TRT_PANIC_SEEN_, true);
    if (r) trt_panic_link_(c, r, TRT_PANIC_OWN_);
    c->flags = (uint8_t)((c->flags & ~TRT_SAW_PANIC_) | TRT_OWN_PANIC_);
}

static TRT_NOINLINE_ void trt_forget_panic_(trt_cell_ *c)
{
    trt_panic_drop_(c, TRT_PANIC_SEEN_);
    c->flags &= (uint8_t)~TRT_SAW_PANIC_;
}

/* This thread takes the record over: trt_failure() tells it. */
static TRT_COLD_ void trt_thread_saw_panic_(trt_panic_record_ *r)
{
    trt_self_ *self = &trt_here_;
    self->failure = r ? r->info : trt_unknown_failure_;
    (void)snprintf(self->message, sizeof self->message, "%s", self->failure.message);
    self->failure.message = self->message;
    self->failed = true;
    TASKRT_FREE(r);
}

/* The panic of strand `from` is what strand `to`, which runs here, sees; NULL: this thread. */
static TRT_COLD_ void trt_panic_move_(trt_cell_ *from, trt_cell_ *to)
{
    trt_panic_record_ *r = trt_panic_find_(from, from, TRT_PANIC_OWN_, true);
    if (to) trt_panic_see_(to, r);
    else trt_thread_saw_panic_(r);
}

/* The strand that a waiter belongs to; NULL: a thread. */
static trt_cell_ *trt_waiter_cell_(trt_waiter_ *w)
{
    if (w->mode == TRT_MODE_STRAND_) return trt_waiting_cell_(w);
    return w->mode == TRT_MODE_MEMBER_ ? trt_group_of_(w)->cell : NULL;
}

/* It is what this waiter, claimed and not a thread's, has waited for. */
static TRT_COLD_ void trt_panic_give_(trt_waiter_ *w, trt_panic_record_ *r)
{
    trt_cell_ *c = trt_waiter_cell_(w);
    if (w->mode == TRT_MODE_STRAND_) trt_panic_see_(c, r);
    else if (r) trt_panic_link_of_(c, w, r, TRT_PANIC_SEEN_);
}

/* The panic of strand `from` is. */
static TRT_COLD_ void trt_panic_pass_(trt_cell_ *from, trt_waiter_ *w)
{
    trt_panic_give_(w, trt_panic_find_(from, from, TRT_PANIC_OWN_, true));
}

TRT_DEF_ const trt_failure_info *trt_failure(void)
{
    trt_self_ *self = &trt_here_;
    trt_worker_ *w = self->worker;
    trt_panic_record_ *r = NULL;
    trt_cell_ *c;
    if (!w || !w->cur) return self->failed ? &self->failure : NULL;
    c = w->cur;
    if (c->flags & TRT_SAW_PANIC_) r = trt_panic_find_(c, c, TRT_PANIC_SEEN_, false);
    else if (!trt_shielded_(c) || c->leaf->status_ != TRT_PANICKED) return NULL;
    else r = trt_panic_find_(c, c, TRT_PANIC_OWN_, false);
    return r ? &r->info : &trt_unknown_failure_;
}

static void trt_panic_tell_(trt_runtime *rt, const trt_failure_info *info, const char *name)
{
    if (rt->config.on_panic) {
        rt->config.on_panic(info, rt->config.user);
        return;
    }
    trt_say_("task %llu (%s) panicked at %s:%d: %s", (unsigned long long)info->task, name,
             info->file, info->line, info->message);
}

static const char *trt_told_name_(trt_cell_ *c, uint64_t state, const trt_type_ *type)
{
    const char *name = NULL;
    if (state & TRT_NAMED_STATE_) name = (const char *)trt_tail_of_(c, type)->out;
    return name ? name : type->name;
}

static const char *trt_name_of_(trt_cell_ *c)
{
    return trt_told_name_(c, TRT_LOAD_(&c->state, relaxed), trt_type_of_(c));
}

static trt_panic_record_ *trt_panic_record_new_(const char *file, int line, const char *text)
{
    size_t n = strlen(text) + 1;
    trt_panic_record_ *r = (trt_panic_record_ *)TASKRT_MALLOC(sizeof *r + n);
    if (!r) return NULL;
    memcpy(r->message, text, n);
    r->info.message = r->message;
    r->info.file = file;
    r->info.line = line;
    return r;
}

TRT_DEF_ TRT_COLD_ void trt_panic_(const char *file, int line, const char *format, ...)
{
    trt_self_ *self = &trt_here_;
    trt_worker_ *w = self->worker;
    trt_cell_ *c = w && w->cur && w->trapped ? w->cur : self->job ? self->job->cell : NULL;
    trt_panic_record_ *r;
    char text[512];
    va_list args;
    trt_failure_info info;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (!(w && w->cur && w->trapped) && !self->job) {
        trt_say_("panic outside a task at %s:%d: %s", file, line, text);
        abort();
    }
    info.message = text;
    info.file = file;
    info.line = line;
    info.task = trt_cell_id_(c ? c : trt_waiter_cell_(self->job->waiter));
    r = trt_panic_record_new_(file, line, text);
    if (r) r->info.task = info.task;
    if (!c) { /* a job in a frame: whoever finishes it passes the record on */
        self->job_panic = r;
        trt_panic_tell_(self->rt, &info, self->job->type->name);
        longjmp(*self->job_trap, 1);
    }
    if (r) trt_panic_link_(c, r, TRT_PANIC_OWN_);
    c->flags |= TRT_OWN_PANIC_;
    trt_panic_tell_(trt_rt_of_(c), &info, trt_name_of_(trt_task_of_(c)));
    if (!self->job) TRT_COUNT_(&w->panics, 1u);
    longjmp(self->job ? *self->job_trap : w->trap, 1);
}

/* ------------------------------------------------------------------------------------------------
 * >>ends: how a strand ends, and how its result is consumed
 */
/* Where it is rare, too. */
static TRT_COLD_ void trt_cell_end_slow_(trt_cell_ *c)
{
    trt_runtime *rt = trt_rt_of_(c);
    void *name = NULL;
    bool named = (TRT_LOAD_(&c->state, relaxed) & TRT_NAMED_STATE_) != 0;
    if (c->flags & (TRT_OWN_PANIC_ | TRT_SAW_PANIC_)) {
        trt_panic_drop_(c, TRT_PANIC_OWN_);
        trt_panic_drop_(c, TRT_PANIC_SEEN_);
    }
    if (named) {
        name = trt_tail_of_(c, trt_type_of_(c))->out;
        trt_latch_(&rt->names_latch); /* the watch thread may be about to read it, or a dump */
    }
    trt_cell_free_(c);
    if (!named) return;
    TASKRT_FREE(name);
    trt_unlatch_(&rt->names_latch);
}

static inline void trt_cell_end_(trt_cell_ *c)
{
    if (TRT_UNLIKELY_((c->flags & (TRT_OWN_PANIC_ | TRT_SAW_PANIC_)) ||
                      (TRT_LOAD_(&c->state, relaxed) & TRT_NAMED_STATE_)))
        trt_cell_end_slow_(c);
    else trt_cell_free_(c);
}

static trt_status_code trt_result_(trt_cell_ *c)
{
    return (trt_status_code)(c->kind == TRT_JOB_ ? trt_job_of_(c)->status : trt_root_(c)->result_);
}

static const void *trt_result_at_(trt_cell_ *c)
{
    return (const char *)(c + 1) + trt_type_of_(c)->out_offset;
}

/* In args.arg of a join, beside the generation: abort first, and drop the outcome; where it is
 * linked, if not as the joiner: behind him in the cell, or aside; that JOINED is its own, as it has
 * run the task on its back. */
#define TRT_JOIN_STOP_ ((uint64_t)1 << 32)
#define TRT_JOIN_ASIDE_ ((uint64_t)1 << 33)
#define TRT_JOIN_OWN_ ((uint64_t)1 << 34)
#define TRT_JOIN_BEHIND_ ((uint64_t)1 << 35)

/* What a stop that waits aside ends with, see >>impl-join. No task of a runtime that was given up
 * will end. */
static trt_status_code trt_aside_status_(const trt_runtime *rt, trt_waiter_ *w, uint64_t s)
{
    if (TRT_GENERATION_(s) != (uint32_t)w->args.arg || (s & TRT_DONE_)) return TRT_OK;
    if (trt_rt_of_(trt_waiter_cell_(w)) == rt) return TRT_PENDING;
    return TRT_LOAD_(&rt->given_up, relaxed) ? TRT_CANCELLED : TRT_PENDING; /* order: the latch */
}

/* Latch held: complete this one if its task has ended, which drops the outcome. */
static TRT_COLD_ void trt_aside_complete_(trt_runtime *rt, trt_waiter_ *w, trt_wakes_ *wakes)
{
    trt_ref_ ref = {(trt_cell_ *)w->args.obj, (uint32_t)w->args.arg, 0};
    uint64_t s = TRT_LOAD_(&ref.cell->state, acquire); /* pairs with the release of its end */
    trt_status_code status = trt_aside_status_(rt, w, s);
    if (status == TRT_PENDING) return;
    trt_list_remove_(&rt->aside, w);
    if (trt_claim_(w, status, wakes) && status == TRT_OK) trt_detach_(ref);
}

/* True: somebody was woken. */
static TRT_COLD_ bool trt_aside_look_(trt_runtime *rt)
{
    trt_wakes_ wakes = TRT_NO_WAKES_;
    trt_waiter_ *w, *next;
    trt_latch_(&rt->aside_latch);
    for (w = rt->aside.head; w; w = next) {
        next = w->next;
        trt_aside_complete_(rt, w, &wakes);
    }
    TRT_STORE_(&rt->aside_some, rt->aside.head != NULL, relaxed);
    trt_unlatch_(&rt->aside_latch);
    trt_wake_(&wakes);
    return wakes.first != NULL;
}

/* The caller alone may consume the result of `c`: copy it to `out`, and end the cell. */
static TRT_NOINLINE_ trt_status_code trt_consume_(trt_cell_ *c, void *out, trt_cell_ *joiner)
{
    trt_runtime *rt = trt_rt_of_(c);
    trt_status_code status = trt_result_(c);
    bool aside = (TRT_LOAD_(&c->state, relaxed) & TRT_ASIDE_) != 0;
    if (TRT_LIKELY_(status == TRT_OK)) {
        if (out) trt_copy_(out, trt_result_at_(c), trt_type_of_(c)->out_size);
    } else if (status == TRT_ERRNO && joiner) {
        joiner->wait.error = c->wait.error;
    } else if (status == TRT_PANICKED) {
        trt_panic_move_(c, joiner);
    }
    trt_cell_end_(c);
    if (TRT_UNLIKELY_(aside)) (void)trt_aside_look_(rt);
    return status;
}

/* The same on a worker, for what most joins find: a task of this runtime that has returned. */
static inline trt_status_code trt_consume_here_(trt_worker_ *w, trt_cell_ *c, void *out,
                                                trt_cell_ *joiner)
{
    const trt_co *co = trt_root_(c);
    if (TRT_UNLIKELY_(c->kind == TRT_JOB_ || co->result_ != TRT_OK || trt_rt_of_(c) != w->rt ||
                      (c->flags & (TRT_OWN_PANIC_ | TRT_SAW_PANIC_)) ||
                      (TRT_LOAD_(&c->state, relaxed) & (TRT_NAMED_STATE_ | TRT_ASIDE_))))
        return trt_consume_(c, out, joiner);
    trt_copy_(out, (const char *)co + co->type_->out_offset, co->type_->out_size);
    trt_cell_free_here_(w, c);
    return TRT_OK;
}

static void trt_thread_panic_(trt_waiter_ *w, trt_cell_ *c); /* a thread's copy, see >>threads */

/* Hand the result of `c` to a waiter that has been claimed. Latch of `c` held. */
static void trt_deliver_(trt_cell_ *c, trt_waiter_ *w, trt_status_code status)
{
    if (w->args.arg & TRT_JOIN_STOP_ && w->kind == TRT_KIND_JOIN_) return;
    if (status == TRT_OK) trt_copy_(w->args.out, trt_result_at_(c), trt_type_of_(c)->out_size);
    if (status == TRT_ERRNO) w->error = c->wait.error;
    if (status != TRT_PANICKED) return;
    if (w->mode == TRT_MODE_THREAD_) trt_thread_panic_(w, c);
    else trt_panic_pass_(c, w);
}

static void trt_set_end_(trt_cell_ *c, trt_status_code status);

static inline void trt_count_end_here_(trt_worker_ *w)
{
    /* The release pairs with the acquire in trt_live_ and trt_metrics: counted means over. */
    TRT_STORE_(&w->ended, TRT_LOAD_(&w->ended, relaxed) + 1, release);
}

static inline void trt_count_end_(trt_runtime *rt)
{
    trt_worker_ *w = trt_worker_here_(rt);
    if (w) trt_count_end_here_(w);
    else TRT_ADD_(&rt->outside_ended, 1u, seq_cst); /* before the look at `closing` */
}

static void trt_check_ended_(trt_runtime *rt);

/* After a count: was it the last that a shutdown waits for? */
static void trt_check_closing_(trt_runtime *rt)
{
    if (TRT_UNLIKELY_(TRT_LOAD_(&rt->closing, seq_cst))) trt_check_ended_(rt);
}

/* Those behind the first are stops. True: one has dropped the outcome. */
static TRT_COLD_ bool trt_end_stops_(trt_waiter_ *w, trt_wakes_ *wakes)
{
    trt_waiter_ *next;
    bool dropped = false;
    for (; w; w = next) {
        next = w->next;
        w->linked = 0;
        if (trt_claim_(w, TRT_OK, wakes)) dropped = true;
    }
    return dropped;
}

/* Somebody waits for it, or is leaving: everything under the latch. */
static TRT_NOINLINE_ void trt_task_end_joined_(trt_cell_ *c, trt_status_code status)
{
    trt_wakes_ wakes = TRT_NO_WAKES_;
    trt_waiter_ *w, *next;
    uint64_t s;
    bool taken = false; /* by the joiner, or dropped by a stop */
    trt_latch_(&c->latch);
    w = (trt_waiter_ *)c->up;
    if (w) {
        bool stop = (w->args.arg & TRT_JOIN_STOP_) != 0;
        next = w->next;
        w->linked = 0;
        taken = trt_claim_(w, stop ? TRT_OK : status, &wakes);
        if (taken) trt_deliver_(c, w, status);
        if (TRT_UNLIKELY_(next != NULL) && trt_end_stops_(next, &wakes)) taken = true;
        trt_set_up_(c, NULL);
    }
    s = TRT_LOAD_(&c->state, relaxed);
    if (!taken)
        while (!TRT_CAS_WEAK_(
            &c->state, &s, (s & ~(uint64_t)(TRT_RUN_STATE_ | TRT_WAITER_)) | TRT_DONE_, release)) {}
    /* Before the latch goes: a joiner that was registering a group passes it, and then goes on. */
    if (taken || (s & TRT_DETACHED_)) trt_cell_end_(c);
    trt_unlatch_here_(&c->latch);
    trt_wake_(&wakes);
}

/* A task or job has ended, its frame is at rest: publish it. After this it is not ours. */
static inline void trt_task_end_(trt_cell_ *c, trt_status_code status)
{
    trt_runtime *rt = trt_rt_of_(c);
    uint64_t s = TRT_LOAD_(&c->state, relaxed); /* a first guess, the CAS or the latch decides */
    trt_count_end_(rt);
    if (TRT_UNLIKELY_(TRT_LOAD_(&rt->closing, relaxed))) c->flags |= TRT_LATE_;
    for (;;) {
        if (s & TRT_SET_) {
            /* Relaxed: the rest is under the set's latch. */
            if (!TRT_CAS_WEAK_(&c->state, &s, s | TRT_JOINED_, relaxed)) continue;
            trt_set_end_(c, status);
            break;
        }
        if (s & TRT_HANGING_) {
            trt_task_end_joined_(c, status);
            break;
        }
        /* The release pairs with the joiner's acquire: it sees the result and all cleanup. The
         * acquire is for what those have written who left the cell to us: trt_join_unlink_. */
        if (TRT_CAS_WEAK_(&c->state, &s, (s & ~(uint64_t)TRT_RUN_STATE_) | TRT_DONE_, acq_rel)) {
            if ((s & (TRT_DETACHED_ | TRT_JOINED_)) == TRT_DETACHED_) trt_cell_end_(c);
            if (TRT_UNLIKELY_(s & TRT_ASIDE_)) (void)trt_aside_look_(rt);
            break;
        }
    }
    trt_check_closing_(rt);
}

static TRT_NOINLINE_ void trt_job_end_(trt_cell_ *c, trt_status_code status)
{
    trt_task_end_(c, status);
}

/* ------------------------------------------------------------------------------------------------
 * >>forks
 *
 * trt_fork allocates the child and pushes it to the worker's deque; nothing is registered. trt_sync
 * pops the children again and runs them one after another on top of the parent (`up`), in the same
 * loop, without an atomic read-modify-write. So long nobody else can mean the child: its state word
 * stays that of a free slot, and no generation ends with it. (But one that is aborted at the end of
 * its parent's body, before it began, has ABORT there, and DRAINED to say so.) A child that was
 * stolen, or that suspends, is on its own from then: it gets RUN, is linked in the parent's `owned_`
 * list, and counted in `pending_`, both under the latch of the parent's cell. A thief may count down
 * before the parent, at its sync, counts up what it did not find in the deque any more: the count
 * wraps around and comes back.
 *
 * What a fork costs is its stores, then its instructions. So what is the same in every life of a
 * slot stays there (`leaf`, the frame's `cell_`), and what only a wait needs is written by the wait:
 * fib27_fork with one worker 29.0 -> 27.2 ns, with two 28.6 -> 25.5. But one word for `cur` and
 * `at_cell`, or the size class from the type instead of the chunk, is slower by 2 and 4 %.
 *
 *     pending_ = waiting 1 | failure 4 | draining 1 | children 26
 *
 * The budget bounds how long a sync runs children: then the strand goes to the back of the queue
 * as it is, with those it runs on top of, as one entry.
 *
 * Rejected: nested C calls for children (slower, and a panic would have to unwind them), pushing
 * the parent instead of the child (every fork becomes a resume point, and locals die there).
 */
#define TRT_PENDING_COUNT_ ((1u << 26) - 1)
#define TRT_PENDING_DRAIN_ (1u << 26)
#define TRT_PENDING_FAILURE_ 27
#define TRT_PENDING_WAITING_ (1u << 31)

static uint32_t trt_pending_add_(uint32_t pending, uint32_t n)
{
    return (pending & ~TRT_PENDING_COUNT_) | ((pending + n) & TRT_PENDING_COUNT_);
}

static trt_status_code trt_pending_failure_(uint32_t pending)
{
    return (trt_status_code)(pending >> TRT_PENDING_FAILURE_ & 15);
}

static void trt_fork_fail_(trt_co *parent, trt_status_code status) /* parent's latch held */
{
    uint32_t pending = TRT_LOAD_(&parent->pending_, relaxed);
    if (trt_pending_failure_(pending)) return;
    TRT_STORE_(&parent->pending_, pending | (uint32_t)status << TRT_PENDING_FAILURE_, relaxed);
}

/* A child leaves its parent's back: it was stolen, or is about to suspend. */
static void trt_fork_async_(trt_cell_ *c, uint32_t count)
{
    trt_co *parent = (trt_co *)c->up;
    trt_cell_ *cell = parent->cell_;
    uint32_t pending;
    c->flags |= TRT_ASYNC_;
    TRT_OR_(&c->state, TRT_RUN_STATE_, relaxed); /* so the release of its last end goes on */
    trt_latch_(&cell->latch);
    trt_own_((trt_owned_ **)(void *)&parent->owned_, &trt_tail_of_(c, trt_root_(c)->type_)->node);
    pending = TRT_LOAD_(&parent->pending_, relaxed);
    TRT_STORE_(&parent->pending_, trt_pending_add_(pending, count), relaxed);
    if (pending & TRT_PENDING_DRAIN_) TRT_OR_(&c->state, TRT_ABORT_, relaxed);
    trt_unlatch_(&cell->latch);
}

/* The number behind a TRT_ERRNO is kept for a frame, as a panic would be. */
static TRT_COLD_ void trt_errno_keep_(const trt_cell_ *from, const trt_co *co, uint32_t as)
{
    trt_panic_record_ *r = trt_panic_record_new_("", from->wait.error, "");
    if (r) trt_panic_link_of_(co->cell_, co, r, as);
}

static TRT_COLD_ uint16_t trt_errno_take_(const trt_co *co, uint32_t as) /* 0: no memory for it */
{
    trt_panic_record_ *r = trt_panic_find_(co->cell_, co, as, true);
    uint16_t error = r ? (uint16_t)r->info.line : 0;
    TASKRT_FREE(r);
    return error;
}

static TRT_NOINLINE_ void trt_fork_note_failure_(trt_cell_ *c, trt_status_code status)
{
    trt_co *parent = (trt_co *)c->up;
    bool first;
    trt_latch_(&parent->cell_->latch);
    first = !trt_pending_failure_(TRT_LOAD_(&parent->pending_, relaxed));
    if (first && status == TRT_PANICKED)
        trt_panic_keep_(c, TRT_PANIC_OWN_, parent, TRT_PANIC_FORK_);
    if (first && status == TRT_ERRNO) trt_errno_keep_(c, parent, TRT_PANIC_FORK_);
    trt_fork_fail_(parent, status);
    trt_unlatch_(&parent->cell_->latch);
}

static inline void trt_fork_note_(trt_cell_ *c, trt_status_code status)
{
    const trt_type_ *type = trt_root_(c)->type_;
    void *out = trt_tail_of_(c, type)->out;
    if (TRT_UNLIKELY_(status != TRT_OK)) trt_fork_note_failure_(c, status);
    else if (out) trt_copy_(out, (const char *)(c + 1) + type->out_offset, type->out_size);
}

/* A sync of this frame gives what a fork has left. */
static TRT_COLD_ void trt_fork_failure_seen_(trt_cell_ *c, const trt_co *co, uint32_t status)
{
    if (status == TRT_PANICKED) trt_panic_show_(c, co, TRT_PANIC_FORK_);
    if (status == TRT_ERRNO) c->wait.error = trt_errno_take_(co, TRT_PANIC_FORK_);
}

static trt_waiter_ *trt_sync_waiter_(trt_waiter_ *member);

/* Parent's latch held, its last child has ended: complete the sync that waits, alone or in a
 * group. */
static uint32_t trt_sync_done_(trt_cell_ *cell, uint32_t pending, trt_wakes_ *wakes)
{
    trt_status_code status = trt_pending_failure_(pending);
    trt_group_ *g;
    uint32_t i;
    pending &= ~TRT_PENDING_WAITING_;
    if (cell->wait.kind != TRT_KIND_GROUP_) {
        if (!trt_claim_strand_(cell)) return pending | TRT_PENDING_WAITING_;
        cell->wait.status = TRT_OK;
        trt_wakes_add_(wakes, &cell->wait);
        return pending;
    }
    g = (trt_group_ *)cell->wait.args.obj;
    for (i = 0; i < g->n; i++) {
        trt_waiter_ *m = trt_sync_waiter_(&g->member[i]);
        if (!m) continue;
        m->linked = 0;
        if (trt_claim_(m, status, wakes)) pending &= TRT_PENDING_DRAIN_;
    }
    return pending;
}

static void trt_fork_end_(trt_cell_ *c, trt_status_code status)
{
    trt_co *parent = (trt_co *)c->up;
    trt_cell_ *cell = parent->cell_;
    trt_wakes_ wakes = TRT_NO_WAKES_;
    uint32_t pending;
    trt_fork_note_(c, status);
    trt_latch_(&cell->latch);
    trt_disown_((trt_owned_ **)(void *)&parent->owned_,
                &trt_tail_of_(c, trt_root_(c)->type_)->node);
    pending = trt_pending_add_(TRT_LOAD_(&parent->pending_, relaxed), TRT_PENDING_COUNT_);
    if ((pending & TRT_PENDING_WAITING_) && !(pending & TRT_PENDING_COUNT_))
        pending = trt_sync_done_(cell, pending, &wakes);
    TRT_STORE_(&parent->pending_, pending, release); /* pairs with the acquire in trt_forks_left_ */
    trt_unlatch_(&cell->latch);
    trt_cell_end_(c);
    trt_wake_(&wakes);
}

static bool trt_forks_left_(trt_co *co)
{
    return co->forked_ || (TRT_LOAD_(&co->pending_, acquire) & TRT_PENDING_COUNT_);
}

static inline trt_co *trt_fork_init_(trt_cell_ *c, trt_co *parent, const trt_type_ *type, void *out)
{
    TRT_ASSERT_(!(uint32_t)TRT_LOAD_(&c->state, relaxed)); /* of a free slot: it stays so */
    c->kind = TRT_FORK_KIND_;
    c->flags = 0;
    c->cleaning = 0;
    trt_set_up_(c, parent);
    trt_tail_of_(c, type)->out = out;
    return trt_root_init_(c, type);
}

static TRT_NOINLINE_ trt_co *trt_fork_make_slow_(trt_co *parent, const trt_type_ *type, void *out)
{
    trt_worker_ *w = trt_here_.worker;
    trt_cell_ *c = trt_alloc_from_(w->rt, &w->cache, type->tail_slot);
    if (c) return trt_fork_init_(c, parent, type, out);
    trt_latch_(&parent->cell_->latch);
    trt_fork_fail_(parent, TRT_NO_MEMORY);
    trt_unlatch_(&parent->cell_->latch);
    return NULL;
}

/* What is rare is a jump here, not a call: these two save no registers. (Half a fork's time is
 * stores; fork_join 19.9 -> 15.6 ns with what follows from that.) */
TRT_DEF_ trt_co *trt_fork_make_(trt_co *parent, const trt_type_ *type, void *out)
{
    trt_worker_ *w = trt_here_.worker;
    trt_cell_ *c = trt_alloc_again_(&w->cache, type->tail_slot);
    if (TRT_UNLIKELY_(!c)) return trt_fork_make_slow_(parent, type, out);
    return trt_fork_init_(c, parent, type, out);
}

static TRT_COLD_ void trt_fork_push_slow_(trt_worker_ *w, trt_cell_ *c)
{
    if (trt_deque_push_(w, c)) {
        if (!w->solo) trt_notify_(w->rt);
        return;
    }
    ((trt_co *)c->up)->forked_--; /* no memory for the deque: a strand like any other */
    trt_fork_async_(c, 1);
    c->wait.kind = TRT_KIND_YIELD_;
    trt_schedule_last_(c);
}

TRT_DEF_ void trt_fork_push_(trt_co *parent, trt_co *child)
{
    trt_worker_ *w = trt_here_.worker;
    trt_cell_ *c = (trt_cell_ *)(void *)child - 1;
    parent->forked_++;
    if (TRT_UNLIKELY_(!trt_deque_put_(&w->deque, c))) trt_fork_push_slow_(w, c);
    else if (!w->solo) trt_notify_(w->rt);
}

/* Ask everything that runs for this frame to end. */
static void trt_abort_strand_(trt_cell_ *c);

static void trt_drain_begin_(trt_cell_ *c, trt_co *co)
{
    trt_owned_ *node;
    uint32_t pending;
    trt_latch_(&c->latch);
    pending = TRT_LOAD_(&co->pending_, relaxed);
    TRT_STORE_(&co->pending_, pending | TRT_PENDING_DRAIN_, relaxed);
    for (node = (trt_owned_ *)co->owned_; node && !(pending & TRT_PENDING_DRAIN_);
         node = node->next)
        if (!trt_lies_in_(co, node)) trt_abort_strand_(trt_cell_of_node_(node));
    trt_unlatch_(&c->latch);
}

/* ------------------------------------------------------------------------------------------------
 * >>abort
 */
static void trt_abort_strand_(trt_cell_ *c)
{
    uint64_t s = TRT_LOAD_(&c->state, relaxed);
    for (;;) {
        bool claim = (s & (TRT_WAIT_STATE_ | TRT_SHIELD_)) == TRT_WAIT_STATE_;
        uint64_t to = s | TRT_ABORT_;
        if (s & TRT_DONE_) return;
        if (claim) to = (to & ~(uint64_t)TRT_WAITING_STATE_) | TRT_RUN_STATE_;
        if (!TRT_CAS_WEAK_(&c->state, &s, to, acq_rel)) continue;
        /* Its waiter may still be linked in an object: the chain of wakes cannot go through it. */
        if (claim && !(s & TRT_COMMIT_)) trt_schedule_last_(c);
        return;
    }
}

/* The slot of a handle, if its generation still lives. */
static bool trt_stale_(trt_ref_ ref, uint64_t state)
{
    return TRT_GENERATION_(state) != ref.generation || !(state & TRT_LIVE_);
}

static void trt_job_skip_(trt_cell_ *c);

static void trt_abort_handle_(trt_ref_ ref)
{
    trt_cell_ *c = ref.cell;
    uint64_t s = TRT_LOAD_(&c->state, relaxed); /* a first guess, the CAS decides */
    for (;;) {
        bool claim = (s & (TRT_WAIT_STATE_ | TRT_SHIELD_)) == TRT_WAIT_STATE_;
        uint64_t to = s | TRT_ABORT_;
        bool skip = (s & (TRT_JOB_STATE_ | TRT_FRESH_)) == (TRT_JOB_STATE_ | TRT_FRESH_);
        if (trt_stale_(ref, s) || (s & (TRT_DONE_ | TRT_ABORT_))) return;
        if (claim) to = (to & ~(uint64_t)TRT_WAITING_STATE_) | TRT_RUN_STATE_;
        if (skip) to = (to & ~(uint64_t)TRT_FRESH_) | TRT_RUN_STATE_;
        if (!TRT_CAS_WEAK_(&c->state, &s, to, acq_rel)) continue;
        if (claim && !(s & TRT_COMMIT_)) trt_schedule_last_(c);
        if (skip) trt_job_skip_(c);
        return;
    }
}

/* From outside it is a visitor: behind the pass of whoever gives up, it must queue nothing. */
TRT_DEF_ void trt_abort_(trt_ref_ ref)
{
    trt_runtime *rt;
    bool visits;
    if (!ref.cell) return;
    rt = trt_rt_of_(ref.cell);
    visits = !trt_worker_here_(rt);
    if (visits) trt_visitor_comes_(&rt->visitors);
    /* order: of two, one sees the other: this, or trt_visitors_wait_ in trt_give_up_ */
    if (!visits || !TRT_LOAD_(&rt->given_up, seq_cst)) trt_abort_handle_(ref);
    if (visits) trt_visitor_leaves_(&rt->visitors);
}
/* ------------------------------------------------------------------------------------------------
 * >>frames: the life of a frame
 *
 *     0 body -> 1 wait for forks -> 2 cleanup -> 3 wait for forks -> 4 shut down sets in self ->
 *     over
 *
 * However the body ends (return, falling off, abort, panic), the frame goes the whole way, once.
 * Once a cleanup's poll has come by trt_body and met no trt_cleanup, the coroutine is known to have
 * none (`plain`): then a body that has nothing to wait for is the frame's end.
 *
 * Waits in 1, 3 and 4 are shielded from aborts, and so is everything that a cleanup awaits, however
 * deep: `cleaning` of the cell counts the frames that are in 2 to 4.
 */
#define TRT_LEFT_ABORTED_ 64u /* bits of phase_: why the body was left early */
#define TRT_LEFT_PANICKED_ 128u
#define TRT_PASSES_PANIC_ 32u /* was called, and fails with a panic that it has seen */
#define TRT_LEFT_MASK_ (TRT_LEFT_ABORTED_ | TRT_LEFT_PANICKED_ | TRT_PASSES_PANIC_)

enum {
    TRT_STEP_GONE_,
    TRT_STEP_BEGIN_,
    TRT_STEP_RESUME_,
    TRT_STEP_POLL_,
    TRT_STEP_ENDED_,
    TRT_STEP_OVER_,
    TRT_STEP_ABORT_,
    TRT_STEP_PANIC_,
    TRT_STEP_COMMIT_
};

TRT_DEF_ void trt_frame_init_(trt_co *co, const trt_type_ *type)
{
    trt_header_init_(co, type);
    co->cell_ = NULL;
    memset((char *)co + type->out_offset, 0, type->out_size);
}

TRT_DEF_ void trt_fail_(trt_co *co, trt_status_code status)
{
    trt_cell_ *c = co->cell_;
    if ((co->phase_ & 7) != TRT_PHASE_BODY_) return;
    /* PENDING says that a wait is not decided yet, and the counters of forks have four bits. */
    if (status == TRT_PENDING || (uint32_t)status >= TRT_STATUS_COUNT_)
        status = trt_misuse_("trt_fail", "no outcome: TRT_PENDING, or what is no status");
    co->result_ = (uint8_t)status;
    if (status != TRT_PANICKED) return;
    /* Passed on: whoever joins sees it, or who has called, whatever the cleanup awaits. */
    if (co->parent_) {
        co->phase_ = (uint8_t)(co->phase_ | TRT_PASSES_PANIC_);
        trt_panic_keep_(c, TRT_PANIC_SEEN_, co, TRT_PANIC_OWN_);
        c->flags &= (uint8_t)~TRT_SAW_PANIC_;
    } else if (c->flags & TRT_SAW_PANIC_) {
        trt_panic_own_seen_(c);
    }
}

/* Debug builds: locals of the body that would be read after an await find this instead. */
TRT_DEF_ TRT_NOINLINE_ void trt_scribble_(void)
{
    volatile unsigned char stack[1024];
    size_t i;
    for (i = 0; i < sizeof stack; i++) stack[i] = 0xA5;
}

/* Leave the innermost frame's body, or its cleanup if that is what panicked. */
static int trt_leave_(trt_cell_ *c, uint32_t how)
{
    trt_co *co = c->leaf;
    if (c->flags & TRT_SAW_PANIC_) trt_forget_panic_(c); /* not what led here */
    if ((co->phase_ & TRT_PASSES_PANIC_) || co->result_ == TRT_ERRNO)
        trt_panic_unkeep_(co, TRT_PANIC_OWN_);
    co->result_ = how == TRT_LEFT_PANICKED_ ? TRT_PANICKED : TRT_CANCELLED;
    co->phase_ = (uint8_t)((co->phase_ & 7u) | how);
    return TRT_STEP_ENDED_;
}

static int trt_await_inside_(trt_cell_ *c, uint32_t kind, void *obj)
{
    c->wait.kind = (uint8_t)kind;
    c->wait.mode = TRT_MODE_STRAND_;
    c->wait.status = TRT_PENDING;
    c->wait.linked = c->wait.kept = 0;
    c->wait.args.obj = obj;
    c->wait.args.out = NULL;
    return TRT_STEP_COMMIT_;
}

static void trt_pause_point_(trt_worker_ *w);

static TRT_NOINLINE_ void trt_not_resumed_(const trt_co *co, uint32_t pc)
{
    trt_panic_(co->type_->file, (int)(pc >> 3),
               "the await of line %u cannot be resumed: it stands inside a switch of its own",
               pc >> 3);
}

static inline int trt_cleanup_begin_(trt_cell_ *c, trt_co *co)
{
    /* What it awaits overwrites the number. */
    if (TRT_UNLIKELY_(co->result_ == TRT_ERRNO)) trt_errno_keep_(c, co, TRT_PANIC_OWN_);
    co->phase_ = (uint8_t)((co->phase_ & ~7u) | TRT_PHASE_CLEANUP_);
    co->pc_ = 0;
    /* What the cleanup finds as its status: a failed body has still returned. */
    co->status_ = co->phase_ & (TRT_LEFT_ABORTED_ | TRT_LEFT_PANICKED_) ? co->result_ : TRT_OK;
    c->cleaning++;
    return TRT_STEP_POLL_;
}

/* The strand that waits behind an inline child. */
static trt_cell_ *trt_behind_(trt_cell_ *c)
{
    if (c->kind == TRT_FORK_KIND_) return ((trt_co *)c->up)->cell_;
    if (c->kind == TRT_BRANCH_) return trt_group_of_((trt_waiter_ *)c->up)->cell;
    return (trt_cell_ *)c->up;
}

/* The cell of the slot in which this frame lies: of its strand, of one that waits for it, or
 * somebody else's. NULL: it lies in none. */
static TRT_COLD_ trt_cell_ *trt_slot_around_(trt_cell_ *c, const trt_co *co)
{
    while ((uintptr_t)co - (uintptr_t)c >= trt_chunk_of_(c)->stride) {
        if (c->kind == TRT_TASK_) return trt_cell_around_(co);
        c = trt_behind_(c);
    }
    return c;
}

/* Sets that lie in no slot, by the page of their address. */
#define TRT_PAGE_ 4096u
#define TRT_PAGES_ 256u
typedef struct trt_homeless_ { trt_a32_ latch; trt_owned_ *strays; } trt_homeless_;
static trt_homeless_ trt_pages_[TRT_PAGES_];

static trt_homeless_ *trt_page_(uintptr_t page) { return &trt_pages_[page % TRT_PAGES_]; }

/* Strays of this list that lie in these bytes go into that one. */
static TRT_COLD_ void trt_adopt_from_(trt_a32_ *latch, trt_owned_ **strays, const void *p,
                                      size_t size, trt_owned_ **into)
{
    trt_owned_ *node, *next;
    trt_latch_(latch);
    for (node = *strays; node; node = next) {
        next = node->next;
        if ((uintptr_t)node - (uintptr_t)p >= size) continue;
        trt_disown_(strays, node);
        trt_own_(into, node);
        TRT_STORE_(&TRT_CONTAINER_(trt_set_, owned, node)->home, TRT_REGISTERED_, relaxed);
        TRT_SUB_(&trt_strays_some_, 1u, relaxed);
    }
    trt_unlatch_(latch);
}

/* The bytes lie in the slot of this cell; or NULL: in none. */
static TRT_COLD_ void trt_adopt_in_(trt_cell_ *c, const void *p, size_t size, trt_owned_ **into)
{
    uintptr_t at = (uintptr_t)p / TRT_PAGE_, last = ((uintptr_t)p + size - 1) / TRT_PAGE_;
    if (c) {
        trt_chunk_ *chunk = trt_chunk_of_(c);
        trt_adopt_from_(&chunk->rare_latch, &chunk->strays, p, size, into);
        return;
    }
    if (last - at >= TRT_PAGES_) last = at + TRT_PAGES_ - 1; /* each list, once */
    for (; at <= last; at++)
        trt_adopt_from_(&trt_page_(at)->latch, &trt_page_(at)->strays, p, size, into);
}

/* The frame ends, and has no forks: strays in it become its own, see >>impl-sets. False: there are
 * none. */
static TRT_NOINLINE_ bool trt_adopt_(trt_cell_ *c, trt_co *co)
{
    uint64_t s = TRT_LOAD_(&c->state, relaxed);
    bool root = co == trt_root_(c);
    /* A fork on its parent's back leaves the word as it was. Before the look: what a member fills
     * meanwhile is for the next. */
    if (root) TRT_AND_(&c->state, ~(uint64_t)TRT_STRAYS_, relaxed);
    if (!TRT_LOAD_(&trt_strays_some_, relaxed)) return false;
    /* No room for one in it. (Else each end would go through those of the chunk: of 150 tasks with a
     * stray each, a call of a small frame took 277 ns instead of 17.) */
    if (!root && co->type_->self_size < sizeof(trt_set_)) return false;
    if (!root) c = trt_slot_around_(c, co);
    if (!root && c) s = TRT_LOAD_(&c->state, relaxed);
    if (c && !(s & TRT_STRAYS_)) return false;
    trt_adopt_in_(c, co, co->type_->size, (trt_owned_ **)(void *)&co->owned_);
    return co->owned_ != NULL;
}

/* The same question, mostly answered without a look at any list. */
static inline bool trt_adopts_(trt_cell_ *c, trt_co *co)
{
    return TRT_UNLIKELY_((TRT_LOAD_(&c->state, relaxed) & TRT_STRAYS_) |
                         (c->flags & TRT_ABROAD_)) &&
           (TRT_LOAD_(&trt_strays_some_, relaxed) || c->kind == TRT_FORK_KIND_) &&
           TRT_UNLIKELY_(trt_adopt_(c, co));
}

/* Has it neither forks nor sets of which it knows? (Acquire pairs with the last fork's end.) */
static inline bool trt_knows_none_(trt_co *co)
{
    return TRT_LIKELY_(!co->forked_ && !TRT_LOAD_(&co->pending_, acquire) && !co->owned_);
}

static inline int trt_poll_once_(trt_cell_ *c, trt_co *co, const trt_type_ *type)
{
    type->poll(co);
    if (!(c->flags & TRT_SUSPENDED_)) return TRT_STEP_ENDED_;
    c->flags &= (uint8_t)~TRT_SUSPENDED_;
    return TRT_STEP_COMMIT_;
}

static inline int trt_cleanup_over_(trt_cell_ *c)
{
    TRT_ASSERT_(c->cleaning > 0);
    c->cleaning--;
    if (TRT_UNLIKELY_(c->leaf->result_ == TRT_ERRNO))
        c->wait.error = trt_errno_take_(c->leaf, TRT_PANIC_OWN_);
    return TRT_STEP_OVER_;
}

/* The body has ended, and nothing is left to wait for: its cleanup, if it has one. */
static TRT_NOINLINE_ int trt_cleanup_at_once_(trt_cell_ *c, trt_co *co)
{
    int step;
    trt_cleanup_begin_(c, co);
    step = trt_poll_once_(c, co, co->type_);
    if (step != TRT_STEP_ENDED_ || !trt_knows_none_(co) || trt_adopts_(c, co)) return step;
    if ((co->phase_ & (TRT_MET_BODY_ | TRT_MET_CLEANUP_)) == TRT_MET_BODY_)
        TRT_LEARN_(co->type_->plain);
    return trt_cleanup_over_(c);
}

/* Run the innermost frame: its body and, if that ends with nothing to wait for, its cleanup. */
TRT_ALWAYS_INLINE_ int trt_poll_frame_(trt_worker_ *w, trt_cell_ *c, trt_co *co, uint32_t pc)
{
    const trt_type_ *type = co->type_;
    int step;
    w->cur = c;
    TRT_COUNT_(&w->polls, 1u); /* first: see trt_stall_tell_ */
    TRT_STORE_(&w->at_type, type, relaxed);
    TRT_STORE_(&w->at_pc, pc, relaxed);
    TRT_STORE_(&w->at_cell, c, relaxed);
    step = trt_poll_once_(c, co, type);
    if (step != TRT_STEP_ENDED_) return step;
    if (TRT_UNLIKELY_(pc && co->pc_ == pc)) trt_not_resumed_(co, pc);
    if (TRT_UNLIKELY_((co->phase_ & 7u) != TRT_PHASE_BODY_ || !trt_knows_none_(co))) return step;
    if (TRT_UNLIKELY_(!TRT_LEARNED_(type->plain))) return trt_cleanup_at_once_(c, co);
    return TRT_LIKELY_(!trt_adopts_(c, co)) ? TRT_STEP_OVER_ : step;
}

TRT_ALWAYS_INLINE_ int trt_poll_leaf_(trt_worker_ *w, trt_cell_ *c)
{
    return trt_poll_frame_(w, c, c->leaf, c->leaf->pc_);
}

static void trt_enter_child_(trt_cell_ *c)
{
    trt_co *child = (trt_co *)c->wait.args.obj;
    child->cell_ = c;
    child->parent_ = c->leaf;
    c->leaf = child;
}

/* A call that nothing stands in the way of. */
static inline bool trt_call_begins_(trt_cell_ *c)
{
    if (c->wait.kind != TRT_KIND_CALL_ || (c->flags & TRT_RETRY_) ||
        (TRT_LOAD_(&c->state, relaxed) & TRT_ABORT_))
        return false;
    trt_enter_child_(c);
    return true;
}

/* Has a called frame returned? Then it is the caller's turn. */
static inline bool trt_call_returns_(trt_cell_ *c)
{
    const trt_co *co = c->leaf;
    trt_co *parent = co->parent_;
    if (!parent || (co->phase_ & TRT_LEFT_MASK_)) return false;
    c->leaf = parent;
    parent->status_ = co->result_;
    return true;
}

/* The next step of the strand: calls are entered and left at once. */
TRT_ALWAYS_INLINE_ int trt_poll_calls_(trt_worker_ *w, trt_cell_ *c)
{
    int step = trt_poll_leaf_(w, c);
    if (step == TRT_STEP_OVER_ && trt_call_returns_(c)) return TRT_STEP_POLL_;
    if (step == TRT_STEP_COMMIT_ && trt_call_begins_(c)) return TRT_STEP_POLL_;
    return step;
}

static int trt_strand_over_(trt_worker_ *w, trt_cell_ **pc);

/* The frame is over: on with the one that awaits it, or with whoever waits for the strand. */
static int trt_frame_over_(trt_worker_ *w, trt_cell_ **pc)
{
    trt_cell_ *c = *pc;
    trt_co *co = c->leaf, *parent = co->parent_;
    uint32_t how = co->phase_ & TRT_LEFT_MASK_;
    if (!parent) return trt_strand_over_(w, pc);
    c->leaf = parent;
    parent->status_ = co->result_;
    if (TRT_LIKELY_(!how)) return TRT_STEP_POLL_;
    if (how == TRT_LEFT_PANICKED_) return TRT_STEP_PANIC_;
    if (how == TRT_LEFT_ABORTED_) return TRT_STEP_ABORT_;
    trt_forget_panic_(c);
    trt_panic_show_(c, co, TRT_PANIC_OWN_);
    return TRT_STEP_POLL_;
}

/* No fork is left. How they ended, nobody asks any more. */
static void trt_forks_forget_(trt_co *co)
{
    uint32_t status = trt_pending_failure_(TRT_LOAD_(&co->pending_, relaxed));
    if (status == TRT_PANICKED || status == TRT_ERRNO) trt_panic_unkeep_(co, TRT_PANIC_FORK_);
    TRT_STORE_(&co->pending_, 0u, relaxed);
}

/* The body or the cleanup has returned, or one of the waits after them is over: on to the next. */
static int trt_frame_ended_(trt_cell_ *c)
{
    trt_co *co = c->leaf;
    trt_owned_ *sets;
    uint32_t phase = co->phase_ & 7u;
    if (phase == TRT_PHASE_BODY_ || phase == TRT_PHASE_CLEANUP_) {
        co->phase_++;
        phase++;
    }
    if (phase < 4) {
        if (trt_forks_left_(co)) return trt_await_inside_(c, TRT_KIND_DRAIN_, co);
        trt_forks_forget_(co);
        if (phase == 1) return trt_cleanup_begin_(c, co);
        co->phase_++;
    }
    /* Strays not before: what still runs a frame in this one, lent by it, ends in the cleanup. */
    if (!co->owned_ && !trt_adopts_(c, co)) return trt_cleanup_over_(c);
    sets = (trt_owned_ *)co->owned_;
    return trt_await_inside_(c, TRT_KIND_SET_SHUTDOWN_, TRT_CONTAINER_(trt_set_, owned, sets));
}

/* ------------------------------------------------------------------------------------------------
 * >>suspending
 */
static inline bool trt_on_stack_(const trt_worker_ *w, const void *p)
{
    uintptr_t here = (uintptr_t)__builtin_frame_address(0);
    return (uintptr_t)p - here < (uintptr_t)w->stack_base - here;
}

/* A frame that has a strand has been awaited: trt_none_poll_ says so. */
static inline uint32_t trt_kind_of_op_(const trt_op *op)
{
    bool again = op->kind_ == TRT_KIND_CALL_ && ((const trt_co *)op->args_.obj)->cell_;
    return TRT_UNLIKELY_(again) ? (uint32_t)TRT_KIND_NONE_ : op->kind_;
}

static void trt_check_op_(trt_worker_ *w, trt_co *co, const trt_op *op)
{
    bool copied = trt_kinds_[op->kind_].keep != NULL;
    if (op->kind_ != TRT_KIND_GROUP_ &&
        (trt_on_stack_(w, op->args_.obj) || (!copied && trt_on_stack_(w, op->args_.out))))
        trt_panic_(co->type_->file, (int)(co->pc_ >> 3),
                   "%s: a local variable was given to an await; it must live in self",
                   trt_kinds_[op->kind_].name);
}

static TRT_NOINLINE_ void trt_check_ops_(trt_worker_ *w, trt_co *co, const trt_op *op)
{
    size_t i;
    if (op->kind_ != TRT_KIND_GROUP_) {
        trt_check_op_(w, co, op);
        return;
    }
    for (i = 0; i < op->args_.arg >> 8; i++)
        trt_check_op_(w, co, (const trt_op *)op->args_.obj + i);
}

static trt_group_ *trt_group_new_(trt_worker_ *w, trt_co *co, const trt_op *op);
static trt_group_ *trt_deadline_new_(trt_worker_ *w, trt_co *co, const trt_op *op);
static trt_status_code trt_fd_try_now_(trt_co *co, const trt_op *op, uint32_t direction);

static bool trt_deadline_(const trt_op *op)
{
    return op->within_ != TRT_FOREVER_ || op->until_ != TRT_FOREVER_;
}

/* What trt_status_of() tells of an all, four bits each. */
static inline void trt_outcomes_(trt_waiter_ *w, uint64_t statuses)
{
    memcpy(&w->args, &statuses, sizeof statuses);
}

/* Record the operation in the cell: the loop registers it when the body's C frames are gone. */
static TRT_NOINLINE_ bool trt_suspend_(trt_worker_ *w, trt_co *co, const trt_op *op)
{
    trt_cell_ *c = co->cell_;
    trt_waiter_ *wait = &c->wait;
    bool group = op->kind_ == TRT_KIND_GROUP_ || trt_deadline_(op);
    if (TRT_UNLIKELY_(op->kind_ == TRT_KIND_GROUP_ || trt_on_stack_(w, op->args_.obj) ||
                      trt_on_stack_(w, op->args_.out)))
        trt_check_ops_(w, co, op);
    if (group || op->kind_ == TRT_KIND_CALL_) w->budget--; /* may be over without having waited */
    wait->mode = TRT_MODE_STRAND_;
    wait->status = TRT_PENDING;
    wait->linked = wait->kept = 0;
    wait->args = op->args_;
    wait->kind = (uint8_t)(group ? (uint32_t)TRT_KIND_GROUP_ : trt_kind_of_op_(op));
    if (group) {
        wait->args.obj = op->kind_ == TRT_KIND_GROUP_ ? trt_group_new_(w, co, op)
                                                      : trt_deadline_new_(w, co, op);
        if (!wait->args.obj) goto no_memory;
    } else if (trt_kinds_[op->kind_].keep && !trt_kinds_[op->kind_].keep(wait)) {
        goto no_memory;
    }
    c->flags |= TRT_SUSPENDED_;
    return true;
no_memory:
    wait->kind = TRT_KIND_NONE_;
    trt_outcomes_(wait, (uint64_t)TRT_NO_MEMORY * (UINT64_MAX / 15)); /* of an all */
    wait->args.arg = 0; /* trt_joined() looks here after a join_next */
    co->status_ = TRT_NO_MEMORY;
    co->chosen_ = -1;
    return false;
}

/* The budget is used up: does this await have to let others run first? A yield does so anyway, and
 * a sync that has forks to run looks at the budget itself. */
static bool trt_gives_way_(trt_co *co, uint32_t kind)
{
    return kind != TRT_KIND_YIELD_ && (kind != TRT_KIND_SYNC_ || !trt_forks_left_(co));
}

/* An abort is pending, or the budget is used up: the operation is not tried, but recorded. */
static TRT_NOINLINE_ bool trt_wait_untried_(trt_worker_ *w, trt_co *co, const trt_op *op)
{
    trt_cell_ *c = co->cell_;
    bool aborted = (TRT_LOAD_(&c->state, relaxed) & TRT_ABORT_) && !trt_shielded_(c);
    if (!aborted && trt_gives_way_(co, op->kind_)) {
        TRT_COUNT_(&w->yields, 1u);
        c->flags |= TRT_RETRY_;
    }
    if (trt_suspend_(w, co, op)) return true;
    c->flags &= (uint8_t)~TRT_RETRY_;
    return false;
}

/* The general await. */
static TRT_NOINLINE_ bool trt_wait_any_kind_(trt_co *co, trt_op *op)
{
    trt_cell_ *c = co->cell_;
    trt_worker_ *w = trt_here_.worker; /* after the poll it is looked up again, not kept */
    trt_status_code status;
    if (TRT_UNLIKELY_(c->flags & TRT_SAW_PANIC_)) trt_forget_panic_(c);
    TRT_STORE_(&w->at_pc, co->pc_, relaxed);
    if (TRT_UNLIKELY_(w->budget <= 0 || ((TRT_LOAD_(&c->state, relaxed) & TRT_ABORT_) &&
                                         !trt_shielded_(c))))
        return trt_wait_untried_(w, co, op);
    status = trt_kinds_[op->kind_].poll(co, &op->args_, NULL);
    if (status == TRT_PENDING) return trt_suspend_(trt_here_.worker, co, op);
    trt_here_.worker->budget--;
    co->status_ = (uint8_t)status;
    return false;
}

/* Awaits of what tasks do most have a function each, a short cut of the general one: no table (an
 * indirect jump with many targets is predicted badly), no operation in memory. They begin with this
 * question, and take the general way if the answer is no, or if there is anything unusual. */
static inline bool trt_may_try_(const trt_worker_ *w, const trt_co *co)
{
    const trt_cell_ *c = co->cell_;
    return TRT_LIKELY_(w->budget > 0 && !(c->flags & TRT_SAW_PANIC_) &&
                       !(TRT_LOAD_(&c->state, relaxed) & TRT_ABORT_));
}

static TRT_NOINLINE_ bool trt_await_slowly_(trt_co *co, uint32_t kind, void *obj, void *out,
                                            uint64_t arg)
{
    trt_op op = trt_op_(kind, obj, out, arg);
    return trt_wait_any_kind_(co, &op);
}

static inline bool trt_done_(trt_worker_ *w, trt_co *co, trt_status_code status)
{
    TRT_STORE_(&w->at_pc, co->pc_, relaxed);
    w->budget--;
    co->status_ = (uint8_t)status;
    return false;
}

/* Record an operation that has no deadline, nothing to keep, and nothing on the stack. */
static inline bool trt_record_(trt_worker_ *w, trt_co *co, uint32_t kind, void *obj, void *out,
                               uint64_t arg)
{
    trt_cell_ *c = co->cell_;
    TRT_STORE_(&w->at_pc, co->pc_, relaxed);
    c->wait.args.obj = obj;
    c->wait.args.out = out;
    c->wait.args.arg = arg;
    c->wait.kind = (uint8_t)kind; /* where it is a constant, these are two stores */
    c->wait.mode = TRT_MODE_STRAND_;
    c->wait.index = 0;
    c->wait.status = TRT_PENDING;
    c->wait.linked = c->wait.kept = 0;
    c->flags |= TRT_SUSPENDED_;
    return true;
}

/* It cannot complete now: wait, for what keeps nothing of the body's stack. */
TRT_ALWAYS_INLINE_ bool trt_park_here_(trt_worker_ *w, trt_co *co, uint32_t kind, void *obj,
                                       void *out, uint64_t arg)
{
    if (TRT_UNLIKELY_(trt_on_stack_(w, obj) || (out && trt_on_stack_(w, out))))
        return trt_await_slowly_(co, kind, obj, out, arg);
    return trt_record_(w, co, kind, obj, out, arg);
}

static TRT_NOINLINE_ bool trt_park_on_(trt_worker_ *w, trt_co *co, uint32_t kind, void *obj,
                                       void *out, uint64_t arg)
{
    return trt_park_here_(w, co, kind, obj, out, arg);
}

/* Record one without operands: what else of `wait` it needs, it writes when it waits. */
static inline bool trt_record_kind_(trt_worker_ *w, trt_co *co, uint32_t kind)
{
    trt_cell_ *c = co->cell_;
    TRT_STORE_(&w->at_pc, co->pc_, relaxed);
    c->wait.kind = (uint8_t)kind;
    c->wait.kept = 0; /* an abort before it waits looks at this */
    c->flags |= TRT_SUSPENDED_;
    return true;
}

static TRT_NOINLINE_ bool trt_await_yield_(trt_co *co)
{
    trt_worker_ *w = trt_here_.worker;
    if (!trt_may_try_(w, co)) return trt_await_slowly_(co, TRT_KIND_YIELD_, NULL, NULL, 0);
    return trt_record_kind_(w, co, TRT_KIND_YIELD_);
}

static TRT_NOINLINE_ bool trt_await_sync_(trt_co *co)
{
    trt_worker_ *w = trt_here_.worker;
    if (!trt_may_try_(w, co) || !co->forked_)
        return trt_await_slowly_(co, TRT_KIND_SYNC_, NULL, NULL, 0);
    return trt_record_kind_(w, co, TRT_KIND_SYNC_);
}

static const trt_type_ trt_bounded_type_;

/* A frame that does not lie in its caller's asks for strays when it ends, wherever it lies. (What
 * trt_bounded_ calls, its group has looked at.) */
static inline void trt_call_abroad_(const trt_co *co)
{
    if (co->type_ != &trt_bounded_type_) co->cell_->flags |= TRT_ABROAD_;
}

static TRT_NOINLINE_ bool trt_await_call_(trt_co *co, void *child)
{
    trt_worker_ *w = trt_here_.worker;
    bool here = trt_lies_in_(co, child); /* then it is neither on the stack nor abroad */
    if (TRT_UNLIKELY_(!here)) trt_call_abroad_(co);
    if (!trt_may_try_(w, co) || (!here && trt_on_stack_(w, child)) ||
        TRT_UNLIKELY_(((const trt_co *)child)->cell_ != NULL))
        return trt_await_slowly_(co, TRT_KIND_CALL_, child, NULL, 0);
    w->budget--; /* may be over without having waited */
    return trt_record_(w, co, TRT_KIND_CALL_, child, NULL, 0);
}

static void trt_check_locks_(trt_co *co)
{
    if (trt_here_.locks_held)
        trt_say_("warning: %s awaits at %s:%u while its thread holds %s; use trt_mutex",
                 co->type_->name, co->type_->file, trt_line_(co),
                 trt_here_.lock_name ? trt_here_.lock_name : "a lock");
}

TRT_DEF_ bool trt_wait_checked_(trt_co *co, trt_op *op)
{
    trt_check_ops_(trt_here_.worker, co, op);
    if (!trt_wait_(co, op)) return false;
    trt_check_locks_(co);
    return true;
}

TRT_DEF_ void trt_lock_held(const void *lock, const char *name)
{
    (void)lock;
    trt_here_.lock_name = name;
    trt_here_.locks_held++;
}

TRT_DEF_ void trt_lock_released(const void *lock)
{
    (void)lock;
    if (trt_here_.locks_held) trt_here_.locks_held--;
}

static trt_status_code trt_never_poll_(trt_co *co, trt_args_ *args, trt_waiter_ *w)
{
    (void)co;
    (void)args;
    (void)w;
    return TRT_PENDING;
}

static trt_status_code trt_none_poll_(trt_co *co, trt_args_ *args, trt_waiter_ *w)
{
    (void)co;
    (void)args;
    (void)w;
    return trt_misuse_("trt_await", "no operation, or a call that was awaited before");
}

static void trt_no_cancel_(trt_waiter_ *w) { (void)w; }

TRT_DEF_ trt_op trt_yield(void) { return trt_op_(TRT_KIND_YIELD_, NULL, NULL, 0); }
TRT_DEF_ trt_op trt_call_(trt_co *child) { return trt_op_(TRT_KIND_CALL_, child, NULL, 0); }
TRT_DEF_ trt_op trt_sync(void) { return trt_op_(TRT_KIND_SYNC_, NULL, NULL, 0); }

/* A branch of a group that awaits something for the group's strand: see trt_bounded_poll_. */
struct trt_bounded_ {
    trt_co co;
    trt_void out;
    trt_op op;
    uint64_t small;     /* a message to send, kept here or in a block */
    void *kept;
    trt_waiter_ *sync;  /* waits for the forks of the group's frame, under the latch of its cell */
};

/* In a group no child runs on top of the strand: all are on their own. `args->obj` is the frame
 * whose forks are meant, if it is not the one that awaits. */
static trt_status_code trt_sync_join_(trt_co *co, trt_args_ *args, trt_waiter_ *w)
{
    trt_co *of = args->obj ? (trt_co *)args->obj : co;
    trt_cell_ *c = of->cell_;
    trt_status_code status = TRT_PENDING;
    uint32_t pending;
    trt_latch_(&c->latch);
    pending = trt_pending_add_(TRT_LOAD_(&of->pending_, relaxed), of->forked_);
    of->forked_ = 0;
    if (!(pending & TRT_PENDING_COUNT_)) {
        status = w && !trt_take_(w) ? TRT_REFUSED_ : trt_pending_failure_(pending);
        if (status != TRT_REFUSED_) pending &= TRT_PENDING_DRAIN_;
        /* (Of a member of a group, trt_group_finish_ does it.) */
        if (TRT_UNLIKELY_(status != TRT_OK) && of == co && !w)
            trt_fork_failure_seen_(c, co, status);
    } else if (w) {
        pending |= TRT_PENDING_WAITING_;
        w->linked = 1;
        if (of != co) ((struct trt_bounded_ *)(void *)co)->sync = w;
    }
    TRT_STORE_(&of->pending_, pending, relaxed);
    trt_unlatch_(&c->latch);
    return status;
}

static trt_status_code trt_sync_poll_(trt_co *co, trt_args_ *args, trt_waiter_ *w)
{
    uint32_t pending = TRT_LOAD_(&co->pending_, acquire);
    if (w || args->obj) return trt_sync_join_(co, args, w);
    /* Those that ran elsewhere and have ended count down what is in forked_ still. */
    if (trt_pending_add_(pending, co->forked_) & TRT_PENDING_COUNT_) return TRT_PENDING;
    return pending ? trt_sync_join_(co, args, w) : TRT_OK;
}

/* Latch of the group's strand held: does a member of it, or a branch, wait for forks? */
static bool trt_sync_awaited_(trt_group_ *g)
{
    uint32_t i;
    for (i = 0; i < g->n; i++)
        if (trt_sync_waiter_(&g->member[i])) return true;
    return false;
}

/* Of a group's member; alone: trt_sync_resume_. */
static TRT_COLD_ void trt_sync_cancel_(trt_waiter_ *w)
{
    trt_co *co, *of;
    bool waited;
    if (w->mode != TRT_MODE_MEMBER_) return;
    co = trt_group_of_(w)->cell->leaf;
    of = w->args.obj ? (trt_co *)w->args.obj : co;
    trt_latch_(&of->cell_->latch);
    waited = w->linked == 1;
    w->linked = 0;
    if (of != co) ((struct trt_bounded_ *)(void *)co)->sync = NULL;
    if (waited && !trt_sync_awaited_((trt_group_ *)of->cell_->wait.args.obj)) {
        uint32_t pending = TRT_LOAD_(&of->pending_, relaxed);
        TRT_STORE_(&of->pending_, pending & ~TRT_PENDING_WAITING_, relaxed);
    }
    trt_unlatch_(&of->cell_->latch);
}

TRT_DEF_ int trt_errno_(const trt_co *co) { return co->cell_->wait.error; }

/* The outcomes of an all, four bits each, take the place of `obj` and, on 32 bits, `out`. */
TRT_DEF_ trt_status_code trt_status_of_(const trt_co *co, int index)
{
    uint64_t statuses;
    memcpy(&statuses, &co->cell_->wait.args, sizeof statuses);
    return (trt_status_code)(statuses >> (4 * (uint32_t)index & 63) & 15);
}

TRT_DEF_ trt_op trt_within(trt_duration duration, trt_op op)
{
    if (duration < op.within_) op.within_ = duration;
    return op;
}

TRT_DEF_ trt_op trt_within_until(trt_instant instant, trt_op op)
{
    if (instant < op.until_) op.until_ = instant;
    return op;
}

/* ------------------------------------------------------------------------------------------------
 * >>groups: any, all, try_all, and deadlines
 *
 * A group is one block: a waiter for each operation, and one more for each deadline. All waiters
 * end at the strand's own state word, so that the same one claim decides, and a loser that has not
 * been claimed is only unlinked: it can never have half-consumed a message.
 *
 *   any      the first claim of the strand wins; `winner` is written by the claimer.
 *   all      each completion counts `left` down; the last claims the strand.
 *   try_all  a failure claims at once; so does the panic of a coroutine in an all.
 *
 * While the members are being registered, the state is WAIT | COMMIT: claims go ahead, but whoever
 * claims leaves the strand to the registering thread. A member that completes at once during
 * registration asks trt_take_ first, so that there are never two winners.
 *
 * A branch that awaits a coroutine is a strand of its own, with the cell taken when the group is
 * made (so that nothing can fail half-way). It runs at once, on top of the group's strand, until it
 * suspends: that is what lets a child that never waits win over a deadline in the past. As long as
 * nothing but branches that ended so has begun, nobody else can know of the group: it is parked
 * before the first other operation, or when a branch leaves its back (trt_go_async_).
 *
 * Afterwards the group settles: losers are unlinked; coroutines are aborted and jobs asked to stop,
 * and the strand waits for these (`linger`), shielded. A branch of `all` with a deadline of its own
 * becomes a small coroutine that awaits it, trt_bounded_, and so does a yield or an advance.
 */
static void trt_bounded_poll_(trt_co *co)
{
    struct trt_bounded_ *self = (struct trt_bounded_ *)(void *)co;
    if ((co->phase_ & 7u) != TRT_PHASE_BODY_) return;
    if (co->pc_ == 0) {
        trt_op op = self->op;
        co->pc_ = 8 | TRT_RUNNING_;
        if (trt_wait_(co, &op)) {
            co->pc_ = 8;
            return;
        }
    }
    co->pc_ = 8 | TRT_RUNNING_;
    if (co->status_ != TRT_OK) trt_fail_(co, (trt_status_code)co->status_);
}

static trt_a32_ trt_bounded_plain_ = 1;
static const trt_type_ trt_bounded_type_ = {trt_bounded_poll_,
                                            NULL,
                                            "within",
                                            "taskrt.h",
                                            0,
                                            (uint32_t)sizeof(struct trt_bounded_),
                                            (uint32_t)offsetof(struct trt_bounded_, out),
                                            (uint32_t)sizeof(trt_void),
                                            (uint32_t)offsetof(struct trt_bounded_, op),
                                            (uint32_t)sizeof(trt_op),
                                            0,
                                            0,
                                            0, /* it is called, and so has no slot of its own */
                                            0,
                                            0,
                                            &trt_bounded_plain_};

/* What the user gave: the operation of the branch, where a member was made one. */
static uint32_t trt_kind_given_(const trt_waiter_ *member)
{
    if (member->kind != TRT_KIND_CALL_ || !member->kept) return member->kind;
    return ((const struct trt_bounded_ *)member->args.obj)->op.kind_;
}

/* The waiter for forks that this member of a group is, or that its branch has registered. */
static trt_waiter_ *trt_sync_waiter_(trt_waiter_ *member)
{
    const trt_co *branch;
    if (member->kind == TRT_KIND_SYNC_) return member->linked == 1 ? member : NULL;
    if (member->kind != TRT_KIND_CALL_) return NULL; /* its args may be written at this moment */
    branch = (const trt_co *)member->args.obj;
    if (branch->type_ != &trt_bounded_type_) return NULL;
    return ((const struct trt_bounded_ *)(const void *)branch)->sync;
}

static trt_instant trt_now_of_(trt_runtime *rt)
{
    return rt->virtual_clock ? TRT_LOAD_(&rt->virtual_now, relaxed) : trt_clock_();
}

static trt_instant trt_op_deadline_(trt_runtime *rt, const trt_op *op)
{
    trt_instant at = op->until_;
    if (op->within_ != TRT_FOREVER_) {
        trt_instant within = trt_after_(trt_now_of_(rt), op->within_);
        if (within < at) at = within;
    }
    return at;
}

static trt_cell_ *trt_branch_new_(trt_worker_ *w, trt_waiter_ *member, trt_co *child)
{
    trt_cell_ *c = trt_alloc_from_(w->rt, &w->cache, TRT_CLASS_(sizeof *c));
    if (!c) return NULL;
    /* Release: as in trt_generation_ends_.
     * order: mostly the same thread has freed it, and in C11 the release of that store goes on */
    TRT_STORE_(&c->state,
               (TRT_LOAD_(&c->state, relaxed) & ~(uint64_t)0xFFFFFFFF) | TRT_RUN_STATE_, release);
    c->kind = TRT_BRANCH_;
    c->flags = TRT_ABROAD_;
    c->cleaning = 0;
    trt_set_up_(c, member);
    c->leaf = child;
    c->wait.kind = TRT_KIND_NONE_;
    child->cell_ = c;
    return c;
}

static void trt_member_clear_(trt_waiter_ *m)
{
    bool call = m->kind == TRT_KIND_CALL_;
    if (call && m->args.out) {
        trt_cell_ *branch = (trt_cell_ *)m->args.out;
        if (branch->flags & (TRT_OWN_PANIC_ | TRT_SAW_PANIC_)) {
            trt_panic_drop_(branch, TRT_PANIC_OWN_);
            trt_panic_drop_(branch, TRT_PANIC_SEEN_);
        }
        trt_cell_free_(branch);
    }
    if (!m->kept) return;
    m->kept = 0;
    if (call && ((struct trt_bounded_ *)m->args.obj)->kept)
        trt_slot_unused_(((struct trt_bounded_ *)m->args.obj)->kept);
    trt_slot_unused_(call ? m->args.obj : m->args.out);
}

static void trt_group_free_(trt_group_ *g)
{
    uint32_t i;
    for (i = 0; i < g->n; i++) trt_member_clear_(&g->member[i]);
    trt_slot_free_(g);
}

static TRT_COLD_ trt_group_ *trt_group_unmade_(trt_group_ *g)
{
    uint32_t i;
    for (i = 0; i < g->n; i++) { /* its calls may be awaited again */
        trt_waiter_ *m = &g->member[i];
        if (m->kind == TRT_KIND_CALL_ && m->args.out) ((trt_co *)m->args.obj)->cell_ = NULL;
    }
    trt_group_free_(g);
    return NULL;
}

/* A branch of `all` with a deadline, and a yield: the member calls a coroutine that awaits the
 * operation. A message to send is kept for it, as the body's stack is gone when it starts. */
static TRT_COLD_ bool trt_member_bound_(trt_worker_ *w, trt_waiter_ *m, const trt_op *op,
                                        bool deadline)
{
    struct trt_bounded_ *frame = (struct trt_bounded_ *)trt_block_alloc_(w->rt, sizeof *frame);
    if (!frame) return false;
    trt_frame_init_(&frame->co, &trt_bounded_type_);
    frame->op = *op;
    if (!deadline) frame->op.within_ = frame->op.until_ = TRT_FOREVER_; /* the group has a timer */
    frame->kept = NULL;
    frame->sync = NULL;
    if (op->kind_ == TRT_KIND_SYNC_) frame->op.args_.obj = trt_group_of_(m)->cell->leaf;
    if (op->kind_ == TRT_KIND_SEND_) {
        if (!trt_kinds_[op->kind_].keep(m)) {
            trt_slot_unused_(frame);
            return false;
        }
        frame->small = m->args.arg;
        frame->kept = m->kept ? m->args.out : NULL;
        frame->op.args_.out = m->kept ? m->args.out : (void *)&frame->small;
    }
    m->kind = TRT_KIND_CALL_;
    m->args.obj = &frame->co;
    m->args.out = NULL;
    m->kept = 1;
    return true;
}

static bool trt_member_init_(trt_worker_ *w, trt_group_ *g, uint32_t index, const trt_op *op)
{
    trt_waiter_ *m = &g->member[index];
    bool bound;
    memset(m, 0, sizeof *m);
    m->mode = TRT_MODE_MEMBER_;
    m->index = (uint8_t)index;
    m->status = TRT_PENDING;
    m->kind = (uint8_t)trt_kind_of_op_(op);
    m->args = op->args_;
    if (op->kind_ == TRT_KIND_CALL_ && !trt_lies_in_(g->cell->leaf, op->args_.obj))
        trt_call_abroad_(g->cell->leaf);
    bound = ((op->kind_ == TRT_KIND_YIELD_ || op->kind_ == TRT_KIND_ADVANCE_) && !g->deadline) ||
            ((g->flags & TRT_GROUP_ALL_) && trt_deadline_(op));
    if (bound && !trt_member_bound_(w, m, op, (g->flags & TRT_GROUP_ALL_) != 0)) return false;
    if (m->kind == TRT_KIND_CALL_) {
        m->args.out = trt_branch_new_(w, m, (trt_co *)m->args.obj);
        return m->args.out != NULL;
    }
    return !trt_kinds_[m->kind].keep || trt_kinds_[m->kind].keep(m);
}

/* The deadline of the member `of`. */
static inline void trt_member_timer_(trt_worker_ *w, trt_waiter_ *m, uint32_t index,
                                     trt_waiter_ *of, const trt_op *op)
{
    memset(m, 0, sizeof *m);
    m->mode = TRT_MODE_MEMBER_;
    m->index = (uint8_t)index;
    m->status = TRT_PENDING;
    m->kind = TRT_KIND_SLEEP_;
    m->args.out = of;
    m->args.arg = (uint64_t)op->within_;
    if (op->until_ != TRT_FOREVER_ || w->rt->virtual_clock) {
        m->kind = TRT_KIND_SLEEP_UNTIL_;
        m->args.arg = (uint64_t)trt_op_deadline_(w->rt, op);
    }
}

/* A coroutine has to be run to know. */
static bool trt_any_call_(const trt_op *ops, uint32_t n)
{
    uint32_t i;
    for (i = 0; i < n; i++)
        if (ops[i].kind_ == TRT_KIND_CALL_) return true;
    return false;
}

static trt_group_ *trt_group_alloc_(trt_worker_ *w, trt_co *co, uint32_t flags, uint32_t n,
                                    uint32_t timers)
{
    trt_group_ *g = (trt_group_ *)trt_block_alloc_(w->rt, sizeof *g +
                                                              (n + timers) * sizeof g->member[0]);
    if (!g) return NULL;
    g->cell = co->cell_;
    TRT_STORE_(&g->left, n, relaxed);
    TRT_STORE_(&g->linger, 0u, relaxed);
    g->winner = -1;
    g->flags = (uint8_t)flags;
    g->inside = 0;
    g->n = g->timers = g->first = g->begun = 0;
    g->parked = g->settling = g->deadline = false;
    g->untried = (flags & TRT_GROUP_ALL_) || (co->cell_->flags & TRT_RETRY_);
    return g;
}

/* For one operation with a deadline. */
static trt_group_ *trt_deadline_new_(trt_worker_ *w, trt_co *co, const trt_op *op)
{
    trt_group_ *g = trt_group_alloc_(w, co, TRT_GROUP_BIASED_, 1, 1);
    if (!g) return NULL;
    g->deadline = true;
    g->n = g->timers = 1;
    trt_member_timer_(w, &g->member[1], 1, &g->member[0], op);
    return trt_member_init_(w, g, 0, op) ? g : trt_group_unmade_(g);
}

static trt_group_ *trt_group_new_(trt_worker_ *w, trt_co *co, const trt_op *op)
{
    const trt_op *ops = (const trt_op *)op->args_.obj;
    uint32_t flags = (uint32_t)op->args_.arg & 255u, n = (uint32_t)(op->args_.arg >> 8);
    uint32_t timers = 0, i, k = n;
    trt_group_ *g;
    for (i = 0; i < n && !(flags & TRT_GROUP_ALL_); i++) timers += trt_deadline_(&ops[i]);
    g = trt_group_alloc_(w, co, flags, n, timers);
    if (!g) return NULL;
    if (trt_any_call_(ops, n)) g->untried = true;
    if (!(flags & TRT_GROUP_BIASED_)) g->first = (uint8_t)(trt_mix_(&w->rng) % n);
    for (i = 0; i < n; i++) {
        g->n++;
        if (!trt_member_init_(w, g, i, &ops[i])) return trt_group_unmade_(g);
    }
    g->timers = (uint8_t)timers;
    for (i = 0; i < n && timers; i++) {
        if (!trt_deadline_(&ops[i])) continue;
        trt_member_timer_(w, &g->member[k], k, &g->member[i], &ops[i]);
        k++;
    }
    return g;
}

/* An fd is looked at, whatever the poller would tell: the others are complete or not right now. */
static trt_status_code trt_member_try_(trt_co *co, trt_op *op)
{
    if (op->kind_ == TRT_KIND_READABLE_) return trt_fd_try_now_(co, op, TRT_READ_);
    if (op->kind_ == TRT_KIND_WRITABLE_) return trt_fd_try_now_(co, op, TRT_WRITE_);
    return trt_kinds_[op->kind_].poll(co, &op->args_, NULL);
}

/* The quick look, before anything is allocated: has one of an `any` completed already? */
static trt_status_code trt_group_poll_(trt_co *co, trt_args_ *args, trt_waiter_ *w)
{
    trt_op *ops = (trt_op *)args->obj;
    uint32_t flags = (uint32_t)args->arg & 255u, n = (uint32_t)(args->arg >> 8), first = 0, i;
    (void)w;
    if ((flags & TRT_GROUP_ALL_) || trt_any_call_(ops, n)) return TRT_PENDING;
    if (!(flags & TRT_GROUP_BIASED_)) first = (uint32_t)(trt_mix_(&trt_here_.worker->rng) % n);
    for (i = 0; i < n; i++) {
        uint32_t k = (first + i) % n;
        trt_status_code status = trt_member_try_(co, &ops[k]);
        if (status == TRT_PENDING) continue;
        co->chosen_ = (int8_t)k;
        return status;
    }
    return TRT_PENDING;
}

TRT_DEF_ trt_op trt_any_(uint32_t flags, size_t n, const trt_op *ops)
{
    union {
        const trt_op *from;
        void *to;
    } list; /* the operations are only read, and copied */
    list.from = ops;
    return trt_op_(TRT_KIND_GROUP_, list.to, NULL, (uint64_t)n << 8 | flags);
}

/* A branch has ended: tell its member. On top of its group's strand, nobody else can be asking. */
static void trt_branch_end_(trt_cell_ *c, trt_status_code status)
{
    trt_waiter_ *m = (trt_waiter_ *)c->up;
    trt_wakes_ wakes = TRT_NO_WAKES_;
    trt_latch_(&c->latch);
    if (status == TRT_PANICKED) trt_panic_pass_(c, m);
    m->error = c->wait.error;
    if (!trt_claim_(m, status, &wakes)) m->status = (uint8_t)status;
    trt_unlatch_(&c->latch);
    trt_wake_(&wakes);
}

static void trt_call_cancel_(trt_waiter_ *m)
{
    trt_cell_ *c = (trt_cell_ *)m->args.out;
    trt_group_ *g = trt_group_of_(m);
    trt_latch_(&c->latch);
    if (m->status == TRT_PENDING) {
        TRT_ADD_(&g->linger, 1u, relaxed);
        m->linked = TRT_LINGERS_;
        trt_abort_strand_(c);
    }
    trt_unlatch_(&c->latch);
}

/* A member completed on the registering thread. Of an `any`, trt_take_ has claimed, but for a poll
 * that takes nothing: it tells of a mistake, or of a task that was never made. */
static void trt_member_done_(trt_group_ *g, trt_waiter_ *m, trt_status_code status)
{
    m->status = (uint8_t)status;
    if (!(g->flags & TRT_GROUP_ALL_)) {
        if (g->winner != (int8_t)m->index && trt_group_claim_(g)) g->winner = (int8_t)m->index;
    } else if (trt_ends_all_(g, m, status)) {
        if (trt_group_claim_(g)) g->winner = (int8_t)m->index;
    } else if (!g->parked) {
        TRT_COUNT_(&g->left, (uint32_t)-1);
        /* order: as in trt_claim_member_ */
    } else if (TRT_SUB_(&g->left, 1u, acq_rel) == 1) {
        trt_claim_strand_(g->cell);
    }
}

/* Is it a branch that no other thread has ever known? */
static bool trt_ended_inside_(const trt_group_ *g, const trt_waiter_ *m)
{
    return g->inside >> (m - g->member) & 1;
}

/* Which comes as number i: operations from a random one on, then the deadlines. */
static trt_waiter_ *trt_member_(trt_group_ *g, uint32_t i)
{
    uint32_t k = g->first + i;
    if (i >= g->n) return &g->member[i];
    return &g->member[k < g->n ? k : k - g->n];
}

static int trt_group_settle_(trt_worker_ *w, trt_cell_ *c);
static void trt_timer_cancel_(trt_waiter_ *w);

/* The strand is claimed, and settles the group when it is its turn again. */
static int trt_group_gives_way_(trt_worker_ *w, trt_cell_ *c)
{
    trt_push_(w, (uintptr_t)c | TRT_OWNED_ENTRY_);
    return TRT_STEP_GONE_;
}

/* It has completed here, and left with the strand what that of another member would overwrite. */
static TRT_COLD_ void trt_member_failed_(trt_cell_ *c, trt_waiter_ *m, trt_status_code status)
{
    if (status == TRT_ERRNO && !m->error) m->error = c->wait.error;
    if (!(c->flags & TRT_SAW_PANIC_)) return;
    c->flags &= (uint8_t)~TRT_SAW_PANIC_;
    trt_panic_give_(m, trt_panic_find_(c, c, TRT_PANIC_SEEN_, true));
}

/* Register the next members; a branch runs first, until it suspends or ends. */
static int trt_group_step_(trt_worker_ *w, trt_cell_ **pc)
{
    trt_cell_ *c = *pc;
    trt_group_ *g = (trt_group_ *)c->wait.args.obj;
    uint64_t s;
    while (g->begun < g->n + g->timers && trt_group_open_(g)) {
        trt_waiter_ *m = trt_member_(g, g->begun);
        trt_status_code status;
        if (m->kind != TRT_KIND_CALL_ && !trt_group_park_(g)) break;
        g->begun++;
        if (m->kind == TRT_KIND_CALL_) {
            *pc = (trt_cell_ *)m->args.out;
            return TRT_STEP_POLL_;
        }
        status = trt_kinds_[m->kind].poll(c->leaf, &m->args, m);
        if (status == TRT_REFUSED_) break;
        if (status != TRT_PENDING) {
            if (TRT_UNLIKELY_(status != TRT_OK)) trt_member_failed_(c, m, status);
            trt_member_done_(g, m, status);
        }
        if (m->kind == TRT_KIND_ADVANCE_ && status == TRT_OK) return trt_group_gives_way_(w, c);
    }
    if (g->deadline && g->member[0].kind == TRT_KIND_YIELD_ && trt_claim_strand_(c) != 0) {
        g->winner = 0; /* a yield is complete when it is its turn again, whatever the time is then */
        g->member[0].status = TRT_OK;
        return trt_group_gives_way_(w, c);
    }
    /* Done registering: from the moment that COMMIT goes, the strand may run elsewhere. */
    s = TRT_LOAD_(&c->state, relaxed); /* a first guess, the CAS decides */
    while (s & TRT_WAIT_STATE_)
        if (TRT_CAS_WEAK_(&c->state, &s, s & ~(uint64_t)TRT_COMMIT_, release))
            return TRT_STEP_GONE_;
    return trt_group_settle_(w, c);
}

static int trt_group_finish_(trt_cell_ *c);

/* What a member has got, or for a sync its forks have left. */
static TRT_COLD_ trt_panic_record_ *trt_member_panic_(const trt_cell_ *c, const trt_waiter_ *m)
{
    bool sync = trt_kind_given_(m) == TRT_KIND_SYNC_;
    return trt_panic_find_(c, sync ? (const void *)c->leaf : m,
                           sync ? TRT_PANIC_FORK_ : TRT_PANIC_SEEN_, true);
}

/* Members have panicked, `shown` is the one whose status is told, or -1. True: one is a coroutine.
 * Then its panic is the caller's; of any other operation it is a status, which the strand sees. */
static TRT_COLD_ bool trt_group_panics_(trt_cell_ *c, trt_group_ *g, int shown)
{
    int told = c->leaf->status_ == TRT_PANICKED ? shown : -1, i;
    bool passed = false;
    trt_panic_record_ *r;
    for (i = 0; i < (int)g->n; i++) {
        const trt_waiter_ *m = &g->member[i];
        if (m->status != TRT_PANICKED || trt_kind_given_(m) != TRT_KIND_CALL_) continue;
        if (!passed || i == shown) told = i;
        passed = true;
    }
    r = told >= 0 ? trt_member_panic_(c, &g->member[told]) : NULL;
    for (i = 0; i < (int)g->n; i++)
        if (g->member[i].status == TRT_PANICKED) TASKRT_FREE(trt_member_panic_(c, &g->member[i]));
    if (told >= 0) trt_panic_see_(c, r);
    if (passed) trt_panic_own_seen_(c);
    return passed;
}

/* A deadline of one operation is the most common group by far, so it has a short way: if neither
 * takes time to end, both are over here at once. */
static int trt_deadline_over_(trt_cell_ *c, trt_group_ *g)
{
    trt_waiter_ *m = &g->member[0];
    trt_co *co = c->leaf;
    int winner;
    if (g->begun && !g->inside && trt_kinds_[m->kind].cancel) trt_kinds_[m->kind].cancel(m);
    if (g->begun == 2) trt_timer_cancel_(m + 1);
    winner = g->winner;
    if (winner == 0) {
        co->status_ = m->status;
        if (m->status == TRT_ERRNO) c->wait.error = m->error;
        if (m->status == TRT_PANICKED) trt_panic_see_(c, trt_member_panic_(c, m));
        c->wait.args.arg = m->args.arg; /* trt_joined() looks here after a join_next */
    } else if (winner > 0) {
        co->status_ = TRT_TIMED_OUT;
    }
    c->wait.kind = TRT_KIND_NONE_;
    if (g->inside || m->kept) trt_member_clear_(m);
    trt_slot_free_(g);
    return winner < 0 ? TRT_STEP_ABORT_ : TRT_STEP_POLL_;
}

/* A branch that has never run. Its cleanup still does, as for a task that is aborted before its
 * start; and if it is trt_bounded_, that of the coroutine which it was to call. */
static TRT_COLD_ void trt_branch_skip_(trt_worker_ *w, trt_waiter_ *m)
{
    trt_cell_ *branch = (trt_cell_ *)m->args.out;
    m->linked = TRT_LINGERS_;
    TRT_ADD_(&trt_group_of_(m)->linger, 1u, relaxed);
    TRT_OR_(&branch->state, TRT_ABORT_, relaxed);
    branch->flags |= TRT_ASYNC_;
    branch->wait.kind = TRT_KIND_YIELD_;
    if (m->kept) {
        const trt_op *op = &((const struct trt_bounded_ *)m->args.obj)->op;
        branch->wait.args.obj = op->args_.obj; /* as if it had awaited it */
        if (trt_kind_of_op_(op) == TRT_KIND_CALL_) trt_enter_child_(branch);
    }
    trt_push_(w, (uintptr_t)branch | TRT_OWNED_ENTRY_);
}

/* The strand is ours again: end what has not completed, and wait for what takes time to end. */
static int trt_group_settle_(trt_worker_ *w, trt_cell_ *c)
{
    trt_group_ *g = (trt_group_ *)c->wait.args.obj;
    uint32_t i, kind = g->member[0].kind;
    if (g->deadline && kind != TRT_KIND_CALL_ && kind != TRT_KIND_BLOCKING_ &&
        kind != TRT_KIND_SYNC_)
        return trt_deadline_over_(c, g);
    if (!g->settling) {
        g->settling = true;
        TRT_STORE_(&g->linger, 1u, relaxed);
        for (i = 0; i < (uint32_t)g->n + g->timers; i++) {
            trt_waiter_ *m = trt_member_(g, i);
            bool begun = i < g->begun;
            if (m->kind == TRT_KIND_CALL_ && !begun) {
                trt_branch_skip_(w, m);
            } else if (begun && trt_kinds_[m->kind].cancel && !trt_ended_inside_(g, m)) {
                /* Also those that have completed: their completers may still hold the latch. */
                trt_kinds_[m->kind].cancel(m);
            }
        }
        /* One for the owner: whoever counts down to nothing goes on. The acquire is for those who
         * have counted down already: compilers look at a member's `kind` and `linked` below with
         * one load, and its `status` lies between.
         * order: what is meant to be read is read behind the latches below. At -O2 `shutdown
         * blocking_queued` shows it */
        if (TRT_LOAD_(&g->linger, acquire) > 1) {
            trt_park_strand_(c, TRT_SHIELD_ | TRT_COMMIT_);
            if (TRT_SUB_(&g->linger, 1u, acq_rel) > 1) { /* order: as above */
                uint64_t s = TRT_LOAD_(&c->state, acquire); /* order: as above */
                while (s & TRT_WAIT_STATE_)
                    /* order: as above. The park has released, and nothing was written since. */
                    if (TRT_CAS_WEAK_(&c->state, &s, s & ~(uint64_t)TRT_COMMIT_, acq_rel))
                        return TRT_STEP_GONE_;
            } else {
                trt_claim_strand_(c);
            }
        }
    }
    /* The last to linger may still hold its latch: pass through it before the cells, and the group,
     * are freed. */
    for (i = 0; i < g->n; i++) {
        trt_waiter_ *m = &g->member[i];
        trt_a32_ *latch = NULL;
        if (m->kind == TRT_KIND_CALL_ && !trt_ended_inside_(g, m))
            latch = &((trt_cell_ *)m->args.out)->latch;
        else if (m->kind == TRT_KIND_BLOCKING_ && m->linked == TRT_LINGERS_)
            latch = &w->rt->pool.latch;
        if (!latch) continue;
        trt_latch_(latch);
        trt_unlatch_(latch);
    }
    return trt_group_finish_(c);
}

/* The outcome of an `all`: the first in order that is not OK, or for `try` the first in time. */
static trt_status_code trt_all_outcome_(trt_co *co, trt_group_ *g)
{
    uint32_t i;
    if (g->winner >= 0) {
        co->chosen_ = g->winner;
        return (trt_status_code)g->member[g->winner].status;
    }
    co->chosen_ = -1;
    for (i = 0; i < g->n; i++) {
        if (g->member[i].status == TRT_OK) continue;
        co->chosen_ = (int8_t)i;
        return (trt_status_code)g->member[i].status;
    }
    return TRT_OK;
}

static trt_status_code trt_any_outcome_(trt_co *co, trt_group_ *g)
{
    const trt_waiter_ *m = &g->member[g->winner];
    trt_status_code status = (trt_status_code)m->status;
    int8_t chosen = g->winner;
    if (m->index >= g->n) { /* a deadline: of which operation? */
        chosen = (int8_t)((const trt_waiter_ *)m->args.out)->index;
        status = TRT_TIMED_OUT;
    }
    if (!g->deadline) co->chosen_ = chosen;
    return status;
}

static int trt_group_finish_(trt_cell_ *c)
{
    trt_group_ *g = (trt_group_ *)c->wait.args.obj;
    trt_co *co = c->leaf;
    bool all = (g->flags & TRT_GROUP_ALL_) != 0, panicked = false;
    bool decided = g->winner >= 0 || (all && !TRT_LOAD_(&g->left, relaxed));
    uint64_t statuses = 0;
    uint32_t i;
    uint16_t fork_errno = 0;
    int shown; /* whose trt_errno() it is, and trt_failure() */
    if (decided) co->status_ = (uint8_t)(all ? trt_all_outcome_(co, g) : trt_any_outcome_(co, g));
    shown = g->deadline ? 0 : co->chosen_;
    for (i = 0; i < g->n; i++) {
        trt_waiter_ *m = &g->member[i];
        trt_status_code status = (trt_status_code)m->status;
        if (status == TRT_PENDING) status = TRT_CANCELLED;
        /* What trt_bounded_ awaits has consumed, or lost: its own status tells. */
        if (m->linked == TRT_LINGERS_ && status != TRT_PANICKED && trt_kind_given_(m) == m->kind)
            status = TRT_CANCELLED;
        statuses |= (uint64_t)status << 4 * i;
        if (TRT_UNLIKELY_(status == TRT_PANICKED)) panicked = true;
        if (status == TRT_ERRNO && trt_kind_given_(m) == TRT_KIND_SYNC_)
            m->error = fork_errno = fork_errno ? fork_errno : trt_errno_take_(co, TRT_PANIC_FORK_);
        if (status == TRT_ERRNO && (int)i == shown) c->wait.error = m->error;
    }
    if (TRT_UNLIKELY_(panicked)) panicked = trt_group_panics_(c, g, decided ? shown : -1);
    if (decided && !all) /* trt_joined() looks here after a join_next */
        c->wait.args.arg = g->member[g->winner].args.arg;
    trt_group_free_(g);
    trt_outcomes_(&c->wait, statuses);
    c->wait.kind = TRT_KIND_NONE_;
    if (panicked) return TRT_STEP_PANIC_;
    return decided ? TRT_STEP_POLL_ : TRT_STEP_ABORT_;
}
/* ------------------------------------------------------------------------------------------------
 * >>loop: one strand, until it is gone
 *
 * A trampoline: frames, forked children at a sync, unstarted children at a join and branches of a
 * group are all run by this one loop, with no C frame of ours in between. So depth costs no stack,
 * and a panic has one place to land.
 */
/* An inline child must be on its own before anything can let it run elsewhere. */
static void trt_go_async_(trt_cell_ *c)
{
    if (c->kind == TRT_FORK_KIND_) {
        trt_fork_async_(c, 1);
        return;
    }
    c->flags |= TRT_ASYNC_;
    if (c->kind == TRT_BRANCH_) {
        trt_group_park_(trt_group_of_((trt_waiter_ *)c->up));
        return;
    }
    ((trt_cell_ *)c->up)->wait.args.arg |= TRT_JOIN_OWN_; /* until the joiner has registered */
    trt_set_up_(c, NULL);
}

/* Does an abort wait for one of the strands that this one runs on top of? */
static bool trt_abort_behind_(trt_cell_ *c)
{
    for (; !(c->flags & TRT_ASYNC_); c = trt_behind_(c)) {
        trt_cell_ *behind = trt_behind_(c);
        if ((TRT_LOAD_(&behind->state, relaxed) & TRT_ABORT_) && !trt_shielded_(behind))
            return true;
    }
    return false;
}

/* The budget of a strand is used up. Is it going to be its turn again before another worker would
 * have woken up for it? Then nobody is told: two that talk to each other all the time are several
 * times faster on one worker (mpsc_b1000_1p: 11 ns a message instead of 91). */
static bool trt_soon_(trt_worker_ *w)
{
    trt_instant now = trt_clock_(), took = now - w->gave_way;
    w->gave_way = now;
    /* The first look is compared with the beginning of the clock: a product might overflow. */
    return took < TRT_WAKE_NS_ && took * trt_ring_length_(w) < TRT_WAKE_NS_;
}

static TRT_NOINLINE_ int trt_requeue_slow_(trt_worker_ *w, trt_cell_ **pc)
{
    trt_cell_ *c = *pc, *behind = NULL;
    bool exhausted = (c->flags & TRT_RETRY_) != 0;
    if (!(c->flags & TRT_ASYNC_)) {
        behind = trt_behind_(c);
        trt_go_async_(c);
    }
    trt_push_(w, (uintptr_t)c | TRT_OWNED_ENTRY_);
    if (!w->solo && (behind || TRT_LOAD_(&w->lifo, relaxed)) &&
        !(exhausted && trt_soon_(w)))
        trt_notify_(w->rt);
    *pc = behind;
    return behind ? TRT_STEP_COMMIT_ : TRT_STEP_GONE_;
}

/* A strand has given way but stays runnable: to the back of the queue. What it runs on top of goes
 * on. Mostly there is nothing, and nobody to tell. */
static inline int trt_requeue_(trt_worker_ *w, trt_cell_ **pc)
{
    trt_cell_ *c = *pc;
    if ((c->flags & (TRT_ASYNC_ | TRT_RETRY_)) != TRT_ASYNC_ || TRT_LOAD_(&w->lifo, relaxed))
        return trt_requeue_slow_(w, pc);
    trt_push_(w, (uintptr_t)c | TRT_OWNED_ENTRY_);
    return TRT_STEP_GONE_;
}

/* An inline child of a sync that has just run: if it is over, body and cleanup, it is taken leave of
 * here. */
static inline bool trt_fork_is_over_(trt_worker_ *w, trt_cell_ *c, int step)
{
    trt_co *co = c->leaf;
    if (step != TRT_STEP_OVER_ ||
        TRT_UNLIKELY_(co->parent_ ||
                      (c->flags & (TRT_OWN_PANIC_ | TRT_SAW_PANIC_ | TRT_DRAINED_))))
        return false;
    trt_fork_note_(c, (trt_status_code)co->result_);
    trt_slot_free_here_(w, c); /* it has no name, and no generation ends: see above */
    return true;
}

/* The budget is used up: to the back of the queue, with all that it runs on top of, as one entry. */
static TRT_NOINLINE_ int trt_sync_gives_way_(trt_worker_ *w, trt_cell_ **pc)
{
    trt_cell_ *c = *pc;
    TRT_COUNT_(&w->yields, 1u);
    c->flags |= TRT_RETRY_;
    if (trt_abort_behind_(c)) return trt_requeue_(w, pc);
    trt_push_(w, (uintptr_t)c | TRT_OWNED_ENTRY_);
    return TRT_STEP_GONE_;
}

/* Latch held, no fork is left. How they ended is the outcome of the sync; the end of a body or
 * cleanup forgets it, see trt_forks_forget_. */
static int trt_forks_over_(trt_cell_ *c, trt_co *co, uint32_t pending)
{
    if (c->wait.kind == TRT_KIND_DRAIN_) {
        TRT_STORE_(&co->pending_, pending, relaxed);
        return TRT_STEP_ENDED_;
    }
    co->status_ = (uint8_t)trt_pending_failure_(pending);
    if (TRT_UNLIKELY_(co->status_ != TRT_OK)) trt_fork_failure_seen_(c, co, co->status_);
    TRT_STORE_(&co->pending_, pending & TRT_PENDING_DRAIN_, relaxed);
    return TRT_STEP_POLL_;
}

/* No child is left here, but some run elsewhere, or one has failed. */
static TRT_NOINLINE_ int trt_sync_waits_(trt_worker_ *w, trt_cell_ **pc)
{
    trt_cell_ *c = *pc;
    trt_co *co = c->leaf;
    uint32_t pending;
    w->cur = c;
    trt_latch_(&c->latch);
    pending = trt_pending_add_(TRT_LOAD_(&co->pending_, relaxed), co->forked_);
    co->forked_ = 0;
    if (!(pending & TRT_PENDING_COUNT_)) {
        int step = trt_forks_over_(c, co, pending);
        trt_unlatch_(&c->latch);
        return step;
    }
    if (!(c->flags & TRT_ASYNC_)) { /* about to suspend: not on somebody's back */
        trt_cell_ *behind = trt_behind_(c);
        TRT_STORE_(&co->pending_, pending, relaxed);
        trt_unlatch_(&c->latch);
        trt_go_async_(c);
        c->flags |= TRT_RETRY_;
        trt_push_(w, (uintptr_t)c | TRT_OWNED_ENTRY_);
        *pc = behind;
        return TRT_STEP_COMMIT_;
    }
    TRT_STORE_(&co->pending_, pending | TRT_PENDING_WAITING_, relaxed);
    (void)trt_await_inside_(c, c->wait.kind, NULL);
    if (!trt_park_strand_(c, c->wait.kind == TRT_KIND_DRAIN_ ? TRT_SHIELD_ : 0)) {
        TRT_STORE_(&co->pending_, pending, relaxed);
        trt_unlatch_(&c->latch);
        return TRT_STEP_ABORT_;
    }
    trt_unlatch_(&c->latch);
    return TRT_STEP_GONE_;
}

/* What comes next is of a parent that ran here and suspended: those of this one lie elsewhere. */
static TRT_NOINLINE_ trt_cell_ *trt_fork_put_back_(trt_worker_ *w, trt_cell_ *child)
{
    (void)trt_deque_push_(w, child); /* cannot fail: its room has just been made */
    return NULL;
}

/* The next child of this frame from the worker's deque, or NULL. */
static inline trt_cell_ *trt_fork_pop_(trt_worker_ *w, trt_co *co)
{
    trt_cell_ *child = co->forked_ ? trt_deque_pop_(w) : NULL;
    if (TRT_UNLIKELY_(!child)) return NULL;
    if (TRT_UNLIKELY_(child->up != co)) return trt_fork_put_back_(w, child);
    co->forked_--;
    return child;
}

/* The wait for forks at the end of a body or cleanup: abort them first. */
static int trt_drain_step_(trt_worker_ *w, trt_cell_ **pc)
{
    trt_cell_ *c = *pc, *child;
    trt_drain_begin_(c, c->leaf);
    child = trt_fork_pop_(w, c->leaf);
    if (!child) return trt_sync_waits_(w, pc);
    w->budget--;
    *pc = child;
    child->flags |= TRT_DRAINED_;
    TRT_OR_(&child->state, TRT_ABORT_, relaxed);
    return TRT_STEP_ABORT_;
}

/* trt_sync. A tree of forks that neither suspend otherwise nor are stolen is run to its end in this
 * loop: down to the children of a child at its own sync, and up when a sync is complete. */
static int trt_sync_step_(trt_worker_ *w, trt_cell_ **pc)
{
    trt_cell_ *c = *pc;
    trt_co *co = c->leaf;
    for (;;) {
        trt_cell_ *child = trt_fork_pop_(w, co);
        int step;
        if (child) {
            if (TRT_UNLIKELY_(--w->budget < 0)) {
                w->budget = 0;
                co->forked_++;
                (void)trt_deque_push_(w, child);
                *pc = c;
                return trt_sync_gives_way_(w, pc);
            }
            step = trt_poll_frame_(w, child, trt_root_(child), 0); /* no need to read these two */
        } else {
            *pc = c;
            if (co->forked_ || TRT_LOAD_(&co->pending_, acquire)) return trt_sync_waits_(w, pc);
            co->status_ = TRT_OK; /* all ran here, none failed */
            if (c->kind != TRT_FORK_KIND_ || (c->flags & TRT_ASYNC_)) return TRT_STEP_POLL_;
            child = c;
            co = (trt_co *)c->up;
            c = co->cell_;
            step = trt_poll_leaf_(w, child);
        }
        if (trt_fork_is_over_(w, child, step)) continue;
        *pc = child;
        if (step != TRT_STEP_COMMIT_ || child->wait.kind != TRT_KIND_SYNC_ ||
            (child->flags & TRT_RETRY_) || (TRT_LOAD_(&child->state, relaxed) & TRT_ABORT_))
            return step;
        c = child;
        co = c->leaf;
    }
}

/* The fork that ended last has claimed us, or an abort has. */
static int trt_sync_resume_(trt_cell_ *c)
{
    trt_co *co = c->leaf;
    uint32_t pending;
    int step;
    trt_latch_(&c->latch);
    pending = TRT_LOAD_(&co->pending_, relaxed) & ~TRT_PENDING_WAITING_;
    if (c->wait.status == TRT_PENDING) { /* aborted: the forks are still there */
        TRT_STORE_(&co->pending_, pending, relaxed);
        trt_unlatch_(&c->latch);
        return TRT_STEP_ABORT_;
    }
    step = trt_forks_over_(c, co, pending);
    trt_unlatch_(&c->latch);
    return step;
}

/* A joiner runs a child that nobody has started, at once and on its own thread. (The biggest single
 * gain for fork-join by spawn and join.) A current-thread runtime keeps its order instead. */
static bool trt_join_inline_(trt_worker_ *w, trt_cell_ **pc)
{
    trt_cell_ *c = *pc, *child = (trt_cell_ *)c->wait.args.obj;
    uint64_t s, arg = c->wait.args.arg;
    const uint64_t must_not = TRT_JOINED_ | TRT_SET_ | TRT_ABORT_ | TRT_DETACHED_ | TRT_WAITER_ |
                              TRT_JOB_STATE_;
    if (!child || w->fifo || w->budget <= 0 || trt_rt_of_(child) != w->rt)
        return false;
    s = TRT_LOAD_(&child->state, relaxed); /* a first guess, the CAS decides */
    if ((s & (must_not | TRT_FRESH_)) != TRT_FRESH_ || TRT_GENERATION_(s) != (uint32_t)arg ||
        (arg & TRT_JOIN_STOP_))
        return false;
    if (TRT_LOAD_(&w->rt->closing, relaxed)) return false;
    /* order: who has the handle has the frame; as for a hint, which has nothing else */
    if (!TRT_CAS_(&child->state, &s, (s & ~(uint64_t)TRT_FRESH_) | TRT_RUN_STATE_ | TRT_JOINED_,
                  acquire))
        return false;
    w->budget--;
    trt_set_up_(child, c);
    child->flags &= (uint8_t)~TRT_ASYNC_;
    *pc = child;
    return true;
}

/* A wait of the body or the cleanup is followed by these, one of the frame's life by its next
 * phase. */
static int trt_after_wait_(trt_cell_ *c)
{
    uint32_t phase = c->leaf->phase_ & 7u;
    return phase == TRT_PHASE_BODY_ || phase == TRT_PHASE_CLEANUP_ ? TRT_STEP_POLL_
                                                                   : TRT_STEP_ENDED_;
}

/* What has been recorded was over before it could wait. */
static TRT_NOINLINE_ int trt_over_at_once_(trt_worker_ *w, trt_cell_ *c, trt_status_code status)
{
    w->budget--;
    trt_unkeep_(&c->wait);
    if (status == TRT_REFUSED_) return TRT_STEP_ABORT_;
    c->leaf->status_ = (uint8_t)status;
    return trt_after_wait_(c);
}

static void trt_aside_return_(trt_cell_ *c, uint32_t generation);

/* A task that has left its joiner's back, as he gives JOINED back. */
static uint64_t trt_unjoined_(uint64_t s)
{
    uint64_t stops = (s & TRT_ASIDE_) * (TRT_STOPS_ / TRT_ASIDE_);
    return (s & ~(uint64_t)(TRT_JOINED_ | TRT_ASIDE_)) | stops;
}

/* It has run the task on its back, and is aborted before it has registered: the next may join, and
 * of a task that is detached the end frees it, or, if that has come by, this does. */
static TRT_COLD_ void trt_disjoin_(trt_cell_ *c)
{
    trt_cell_ *child = (trt_cell_ *)c->wait.args.obj;
    uint64_t s = TRT_LOAD_(&child->state, relaxed); /* a first guess, the CAS decides */
    trt_latch_(&child->latch);
    /* Acquire: after its end, if it has ended. */
    while (!TRT_CAS_WEAK_(&child->state, &s, trt_unjoined_(s), acquire)) {}
    if ((s & (TRT_DONE_ | TRT_ASIDE_)) == TRT_ASIDE_) trt_aside_return_(child, TRT_GENERATION_(s));
    trt_unlatch_(&child->latch);
    if ((s & (TRT_DONE_ | TRT_DETACHED_)) == (TRT_DONE_ | TRT_DETACHED_))
        trt_cell_end_slow_(child);
}

/* Register what the body (or the life of the frame) has recorded. */
static int trt_commit_(trt_worker_ *w, trt_cell_ **pc)
{
    trt_cell_ *c = *pc, *behind = NULL;
    trt_status_code status;
    uint32_t kind = c->wait.kind;
    bool aborted = (TRT_LOAD_(&c->state, relaxed) & TRT_ABORT_) && !trt_shielded_(c);
    if (kind == TRT_KIND_GROUP_ && !(c->flags & TRT_RETRY_)) {
        if ((c->flags & TRT_ASYNC_) || ((trt_group_ *)c->wait.args.obj)->begun)
            return trt_group_step_(w, pc);
        c->flags |= TRT_RETRY_; /* its branches run on its own back, not on somebody else's */
        return trt_requeue_(w, pc);
    }
    if (aborted && kind != TRT_KIND_DRAIN_ && kind != TRT_KIND_GROUP_) {
        c->flags &= (uint8_t)~TRT_RETRY_;
        trt_unkeep_(&c->wait);
        if (kind == TRT_KIND_JOIN_ && (c->wait.args.arg & TRT_JOIN_OWN_)) trt_disjoin_(c);
        if (kind == TRT_KIND_CALL_)
            trt_enter_child_(c); /* its cleanup runs, as of any aborted start */
        return TRT_STEP_ABORT_;
    }
    if ((c->flags & TRT_RETRY_) || kind == TRT_KIND_YIELD_) return trt_requeue_(w, pc);
    if (kind == TRT_KIND_CALL_) {
        trt_enter_child_(c);
        return TRT_STEP_POLL_;
    }
    if (kind == TRT_KIND_SYNC_) return trt_sync_step_(w, pc);
    if (kind == TRT_KIND_DRAIN_) return trt_drain_step_(w, pc);
    if (kind == TRT_KIND_JOIN_ && trt_join_inline_(w, pc)) return TRT_STEP_POLL_;
    if (!(c->flags & TRT_ASYNC_)) {
        behind = trt_behind_(c);
        trt_go_async_(c);
    }
    status = trt_kinds_[kind].poll(c->leaf, &c->wait.args, &c->wait);
    if (!behind) return status == TRT_PENDING ? TRT_STEP_GONE_ : trt_over_at_once_(w, c, status);
    *pc = behind;
    if (status == TRT_PENDING) return TRT_STEP_COMMIT_;
    w->budget--; /* both can go on: the child from the queue */
    trt_unkeep_(&c->wait);
    c->wait.status = (uint8_t)(status == TRT_REFUSED_ ? TRT_PENDING : status);
    trt_push_(w, (uintptr_t)c | TRT_OWNED_ENTRY_);
    return TRT_STEP_COMMIT_;
}

/* An inline child has ended: its outcome goes straight to the strand behind it. */
static int trt_inline_over_(trt_worker_ *w, trt_cell_ **pc, trt_status_code status)
{
    trt_cell_ *c = *pc, *behind = trt_behind_(c);
    *pc = behind;
    if (c->kind == TRT_FORK_KIND_) {
        trt_fork_note_(c, status);
        trt_cell_end_(c);
        return TRT_STEP_COMMIT_;
    }
    if (c->kind == TRT_BRANCH_) {
        trt_waiter_ *m = (trt_waiter_ *)c->up;
        trt_group_ *g = trt_group_of_(m);
        if (TRT_UNLIKELY_(status == TRT_PANICKED)) trt_panic_pass_(c, m);
        m->error = c->wait.error;
        g->inside |= 1u << m->index;
        if (g->deadline && !g->parked && status != TRT_PANICKED) {
            m->status = (uint8_t)status;
            (void)trt_take_(m);
            return trt_deadline_over_(behind, g);
        }
        if (trt_take_(m)) trt_member_done_(g, m, status);
        else m->status = (uint8_t)status;
        return TRT_STEP_COMMIT_;
    }
    behind->leaf->status_ = (uint8_t)status;
    trt_count_end_here_(w);
    trt_consume_here_(w, c, behind->wait.args.out, behind);
    return TRT_STEP_POLL_;
}

static int trt_strand_over_(trt_worker_ *w, trt_cell_ **pc)
{
    trt_cell_ *c = *pc;
    trt_status_code status = (trt_status_code)c->leaf->result_;
    if (!(c->flags & TRT_ASYNC_)) return trt_inline_over_(w, pc, status);
    if (c->kind == TRT_TASK_) trt_task_end_(c, status);
    else if (c->kind == TRT_FORK_KIND_) trt_fork_end_(c, status);
    else trt_branch_end_(c, status);
    return TRT_STEP_GONE_;
}

static bool trt_job_cancel_strand_(trt_waiter_ *w);

/* A strand that was queued as its owner comes to run: what has become of its wait? */
static int trt_resume_(trt_worker_ *w, trt_cell_ *c)
{
    uint32_t kind = c->wait.kind;
    if (c->flags & TRT_RETRY_) {
        c->flags &= (uint8_t)~TRT_RETRY_;
        return TRT_STEP_COMMIT_;
    }
    if (kind == TRT_KIND_YIELD_) {
        if ((TRT_LOAD_(&c->state, relaxed) & TRT_ABORT_) && !trt_shielded_(c))
            return TRT_STEP_ABORT_;
        c->leaf->status_ = TRT_OK;
        return TRT_STEP_POLL_;
    }
    if (kind == TRT_KIND_GROUP_) return trt_group_settle_(w, c);
    if (kind == TRT_KIND_SYNC_ || kind == TRT_KIND_DRAIN_) return trt_sync_resume_(c);
    if (c->flags & TRT_LEAVING_) {
        c->flags &= (uint8_t)~TRT_LEAVING_;
        return TRT_STEP_ABORT_;
    }
    if (c->wait.status == TRT_PENDING) { /* an abort was faster */
        if (kind == TRT_KIND_BLOCKING_)
            return trt_job_cancel_strand_(&c->wait) ? TRT_STEP_ABORT_ : TRT_STEP_GONE_;
        trt_kinds_[kind].cancel(&c->wait);
        return TRT_STEP_ABORT_;
    }
    /* The claimer may still hold the latch of a member; a simple wait's is done with us. */
    c->leaf->status_ = c->wait.status;
    return trt_after_wait_(c);
}

/* A hint to a task that a joiner has run meanwhile is nothing to do. */
static int trt_begin_(trt_worker_ *w, trt_cell_ *c)
{
    uint64_t s = TRT_LOAD_(&c->state, relaxed); /* a first guess, the CAS decides */
    do {
        if (!(s & TRT_FRESH_) || (s & TRT_JOB_STATE_)) return TRT_STEP_GONE_;
        /* Acquire: a stale hint has nothing else, see trt_start_any_. */
    } while (!TRT_CAS_WEAK_(&c->state, &s, (s & ~(uint64_t)TRT_FRESH_) | TRT_RUN_STATE_, acquire));
    c->flags |= TRT_ASYNC_;
    if (TRT_UNLIKELY_(TRT_LOAD_(&w->rt->closing, relaxed))) TRT_OR_(&c->state, TRT_ABORT_, relaxed);
    else if (!(s & TRT_ABORT_)) return TRT_STEP_POLL_;
    return TRT_STEP_ABORT_;
}

/* No switch: what is run most comes first, and an indirect jump is predicted worse. */
static TRT_NOINLINE_ void trt_strand_run_(trt_worker_ *w, trt_cell_ *c, int step)
{
    w->cur = c;
    if (step == TRT_STEP_RESUME_) step = trt_resume_(w, c);
    else if (step == TRT_STEP_BEGIN_) step = trt_begin_(w, c);
    while (step != TRT_STEP_GONE_) {
        w->cur = c;
        if (step == TRT_STEP_POLL_) step = trt_poll_calls_(w, c);
        else if (step == TRT_STEP_COMMIT_) step = trt_commit_(w, &c);
        else if (step == TRT_STEP_OVER_) step = trt_frame_over_(w, &c);
        else if (step == TRT_STEP_ENDED_) step = trt_frame_ended_(c);
        else step = trt_leave_(c, step == TRT_STEP_ABORT_ ? TRT_LEFT_ABORTED_ : TRT_LEFT_PANICKED_);
    }
    w->cur = NULL;
}

/* What most strands that are resumed have waited for: one operation, which is over; or they have
 * yielded. False: whatever else it is, see trt_resume_. */
static inline bool trt_resume_at_once_(trt_cell_ *c)
{
    trt_co *co = c->leaf;
    trt_status_code status = (trt_status_code)c->wait.status;
    if (TRT_UNLIKELY_(c->flags != TRT_ASYNC_)) return false;
    if (c->wait.kind == TRT_KIND_YIELD_ && !(TRT_LOAD_(&c->state, relaxed) & TRT_ABORT_))
        status = TRT_OK;
    else if (c->wait.kind <= TRT_KIND_GROUP_ || status == TRT_PENDING ||
             trt_after_wait_(c) != TRT_STEP_POLL_)
        return false;
    co->status_ = (uint8_t)status;
    return true;
}

/* And what they do next: they wait again, or yield. Otherwise the step that they are at. */
static inline int trt_commit_at_once_(trt_worker_ *w, trt_cell_ *c)
{
    trt_status_code status;
    uint32_t kind = c->wait.kind;
    if (TRT_UNLIKELY_(c->flags != TRT_ASYNC_ || (TRT_LOAD_(&c->state, relaxed) & TRT_ABORT_)))
        return TRT_STEP_COMMIT_;
    if (kind > TRT_KIND_JOIN_) {
        status = trt_kinds_[kind].poll(c->leaf, &c->wait.args, &c->wait);
        return TRT_LIKELY_(status == TRT_PENDING) ? TRT_STEP_GONE_
                                                  : trt_over_at_once_(w, c, status);
    }
    if (kind != TRT_KIND_YIELD_ || TRT_LOAD_(&w->lifo, relaxed)) return TRT_STEP_COMMIT_;
    trt_push_(w, (uintptr_t)c | TRT_OWNED_ENTRY_);
    return TRT_STEP_GONE_;
}

/* The usual way is straight: poll, commit, gone. */
static TRT_NOINLINE_ void trt_run_on_(trt_worker_ *w, trt_cell_ *c)
{
    int step = trt_poll_leaf_(w, c);
    if (step == TRT_STEP_COMMIT_) step = trt_commit_at_once_(w, c);
    if (step == TRT_STEP_GONE_) w->cur = NULL;
    else trt_strand_run_(w, c, step);
}

/* A strand that was queued as its owner. */
static TRT_NOINLINE_ void trt_run_owned_(trt_worker_ *w, trt_cell_ *c)
{
    if (TRT_LIKELY_(trt_resume_at_once_(c))) trt_run_on_(w, c);
    else trt_strand_run_(w, c, TRT_STEP_RESUME_);
}

/* An entry of a queue: to its owner, or a hint. */
static inline void trt_run_entry_(trt_worker_ *w, uintptr_t entry)
{
    trt_cell_ *c = (trt_cell_ *)(entry & ~TRT_OWNED_ENTRY_);
    if (entry & TRT_OWNED_ENTRY_) trt_run_owned_(w, c);
    else trt_strand_run_(w, c, TRT_STEP_BEGIN_);
}

/* A forked child from a deque, own or another's: it is on its own from here. */
static void trt_run_fork_(trt_worker_ *w, trt_cell_ *c)
{
    c->wait.kind = TRT_KIND_NONE_;
    trt_fork_async_(c, 0);
    trt_strand_run_(w, c,
                    TRT_LOAD_(&c->state, relaxed) & TRT_ABORT_ ? TRT_STEP_ABORT_ : TRT_STEP_POLL_);
}

/* Where trt_panic lands. */
static void trt_recover_(trt_worker_ *w)
{
    trt_cell_ *c = w->cur;
    c->flags &= (uint8_t) ~(TRT_SUSPENDED_ | TRT_RETRY_);
    trt_strand_run_(w, c, TRT_STEP_PANIC_);
}
/* ------------------------------------------------------------------------------------------------
 * >>spawn
 */
static void trt_set_unmade_(trt_set_ *set, trt_status_code why);
static inline void trt_set_add_(trt_set_ *set, trt_cell_ *c);
static bool trt_pool_submit_(trt_runtime *rt, trt_job_ *job, bool set);

/* Debug builds: an argument that points into the spawner's stack dangles as soon as it returns. */
static TRT_COLD_ void trt_check_args_(const trt_worker_ *w, const trt_type_ *type, const void *args,
                            const char *where)
{
    const char *words = (const char *)args;
    size_t at;
    for (at = 0; at + sizeof(uintptr_t) <= type->self_size; at += sizeof(uintptr_t)) {
        uintptr_t word;
        memcpy(&word, words + at, sizeof word);
        if (!trt_on_stack_(w, (const void *)word)) continue;
        trt_say_(
            "warning: an argument of %s, at offset %zu of struct %s, points into the stack of the "
            "spawner (task %llu, spawn at %s); the task may outlive it",
            type->name, at, type->name, (unsigned long long)trt_cell_id_(w->cur), where);
        return;
    }
}

static trt_runtime *trt_spawn_target_(const trt_how_ *how, trt_status_code *why)
{
    bool remote = (how->flags & TRT_HOW_REMOTE_) != 0;
    trt_runtime *rt = how->rt || remote ? how->rt : trt_here_.rt;
    *why = TRT_OK;
    if (rt) return rt;
    *why = trt_misuse_("trt_spawn",
                       remote ? "no runtime was given"
                              : "called outside a runtime; start one with trt_run, or use "
                                "trt_spawn_on");
    return NULL;
}

static trt_ref_ trt_unmade_ref_(trt_status_code why)
{
    trt_ref_ ref = {NULL, 0, (uint32_t)why};
    return ref;
}

/* Count first, look at `closing` then: shutdown does it the other way round, so that either it
 * waits for this task or the task is refused. */
static bool trt_count_spawn_(trt_runtime *rt)
{
    trt_worker_ *w = trt_worker_here_(rt);
    if (w) {
        if (TRT_UNLIKELY_(TRT_LOAD_(&rt->closing, relaxed))) return false;
        TRT_COUNT_(&w->spawned, 1u);
        return true;
    }
    TRT_ADD_(&rt->outside_spawned, 1u, seq_cst);
    if (!TRT_LOAD_(&rt->closing, seq_cst)) return true;
    /* order: release, so that who counts this has counted the spawn. In the model, what is seq_cst
     * there and in trt_live_ does that alone. */
    TRT_ADD_(&rt->outside_ended, 1u, seq_cst);
    trt_check_ended_(rt);
    return false;
}

static TRT_COLD_ bool trt_name_copy_(trt_cell_ *c, const trt_type_ *type, const char *label)
{
    size_t n = label ? strlen(label) + 1 : 0;
    void *copy = n ? TASKRT_MALLOC(n) : NULL;
    trt_tail_of_(c, type)->out = copy;
    if (!copy) return n == 0;
    memcpy(copy, label, n);
    c->wait.args.arg |= TRT_NAMED_STATE_;
    return true;
}

/* In args.arg of a new task: not by trt_make_task_, so trt_start_ has to ask what it is. */
#define TRT_UNUSUAL_ ((uint64_t)1 << 32)

/* A task or job that nobody knows yet. The state that trt_start_ publishes waits in args.arg. */
static inline void trt_task_init_(trt_cell_ *c, uint32_t kind, void *up, uint64_t state)
{
    c->kind = (uint8_t)kind;
    c->flags = 0;
    c->cleaning = 0;
    trt_set_up_(c, up);
    memset(&c->wait.kind, 0, sizeof c->wait - offsetof(trt_waiter_, kind));
    c->wait.args.arg = TRT_FRESH_ | TRT_LIVE_ | state;
}

static trt_cell_ *trt_task_new_(trt_runtime *rt, const trt_type_ *type, const trt_how_ *from)
{
    uint32_t how = from->flags;
    bool tail = (how & (TRT_HOW_SET_ | TRT_HOW_NAMED_)) != 0;
    trt_cell_ *c = trt_slot_alloc_(rt, tail ? type->tail_slot : type->slot);
    if (!c) return NULL;
    trt_task_init_(c, type->job ? TRT_JOB_ : TRT_TASK_, how & TRT_HOW_SET_ ? from->extra : NULL,
                   TRT_UNUSUAL_ | (type->job ? TRT_JOB_STATE_ : 0u) |
                       (how & TRT_HOW_SET_ ? TRT_SET_ : 0u) |
                       (how & TRT_HOW_DETACHED_ ? TRT_DETACHED_ : 0u));
    if ((how & TRT_HOW_NAMED_) && !trt_name_copy_(c, type, (const char *)from->extra)) {
        trt_slot_unused_(c);
        return NULL;
    }
    if (type->job) {
        memset(c + 1, 0, type->self_offset);
        TRT_STORE_(&trt_job_of_(c)->told, type, relaxed);
        trt_job_of_(c)->cell = c;
        trt_job_of_(c)->rt = rt;
    } else {
        trt_root_init_(c, type);
    }
    return c;
}

/* On a worker, without the questions that others need. NULL: there is something unusual. */
static inline void *trt_make_here_(const trt_type_ *type, uint32_t slot, void *up, uint64_t state)
{
    trt_worker_ *w = trt_here_.worker;
    trt_cell_ *c;
    if (TRT_UNLIKELY_(!w || TRT_LOAD_(&w->rt->closing, relaxed))) return NULL;
    c = trt_alloc_again_(&w->cache, slot);
    if (TRT_UNLIKELY_(!c)) return NULL;
    TRT_COUNT_(&w->spawned, 1u);
    trt_task_init_(c, TRT_TASK_, up, state);
    return trt_root_init_(c, type);
}

static TRT_NOINLINE_ void *trt_make_member_(const trt_type_ *type, void *set)
{
    return trt_make_here_(type, type->tail_slot, set, TRT_SET_);
}

static TRT_NOINLINE_ void *trt_make_any_(const trt_type_ *type, const trt_how_ *how,
                                         trt_ref_ *unmade, const void *args)
{
    trt_status_code why;
    trt_cell_ *c = NULL;
    trt_runtime *rt = trt_spawn_target_(how, &why);
    if (rt && how->where && trt_here_.worker && trt_here_.worker->cur)
        trt_check_args_(trt_here_.worker, type, args, how->where);
    if (rt && !trt_count_spawn_(rt)) why = TRT_CANCELLED;
    if (why == TRT_OK) {
        c = trt_task_new_(rt, type, how);
        if (!c) {
            trt_count_end_(rt);
            trt_check_closing_(rt);
            why = TRT_NO_MEMORY;
        }
    }
    if (c) return c + 1;
    *unmade = trt_unmade_ref_(why);
    if (how->flags & TRT_HOW_SET_) trt_set_unmade_((trt_set_ *)how->extra, why);
    return NULL;
}

TRT_DEF_ void *trt_make_(const trt_type_ *type, const trt_how_ *how, trt_ref_ *unmade,
                         const void *args)
{
    bool member = how->flags == TRT_HOW_SET_ && !how->rt && !how->where && !type->job;
    void *frame = member ? trt_make_member_(type, how->extra) : NULL;
    return frame ? frame : trt_make_any_(type, how, unmade, args);
}

/* What most spawns are, a plain task from a task. */
TRT_DEF_ void *trt_make_task_(const trt_type_ *type)
{
    return trt_make_here_(type, type->slot, NULL, 0);
}

static trt_ref_ trt_start_any_(trt_ref_ ref);

static TRT_NOINLINE_ trt_ref_ trt_start_pushed_(trt_worker_ *w, trt_ref_ ref)
{
    trt_push_lifo_(w, (uintptr_t)ref.cell);
    return ref;
}

TRT_DEF_ trt_ref_ trt_start_(void *frame)
{
    trt_worker_ *w = trt_here_.worker;
    trt_cell_ *c = (trt_cell_ *)frame - 1;
    uint64_t s = TRT_LOAD_(&c->state, relaxed);
    trt_ref_ ref;
    ref.cell = c;
    ref.generation = TRT_GENERATION_(s);
    ref.failed = TRT_OK;
    if (TRT_UNLIKELY_(c->wait.args.arg != (TRT_FRESH_ | TRT_LIVE_))) return trt_start_any_(ref);
    TRT_ASSERT_(!(uint32_t)s); /* of a free slot it is the generation alone */
    /* Release: see trt_start_any_. */
    TRT_STORE_(&c->state, s | TRT_FRESH_ | TRT_LIVE_, release);
    return trt_put_lifo_(w, (uintptr_t)c) ? ref : trt_start_pushed_(w, ref);
}

static TRT_NOINLINE_ trt_ref_ trt_start_elsewhere_(trt_ref_ ref)
{
    trt_inject_(trt_rt_of_(ref.cell), (uintptr_t)ref.cell);
    return ref;
}

/* A member of a set. What the latch lets others find in it can be aborted, and let go. */
static TRT_NOINLINE_ trt_ref_ trt_start_in_(trt_worker_ *w, trt_ref_ ref)
{
    trt_cell_ *c = ref.cell;
    trt_set_ *set = (trt_set_ *)c->up;
    trt_latch_(&set->lock);
    trt_set_add_(set, c);
    /* order: for a stale hint, see trt_start_any_; others come by the latch, or the queue */
    TRT_STORE_(&c->state, (uint64_t)ref.generation << 32 | (uint32_t)c->wait.args.arg, release);
    trt_unlatch_(&set->lock);
    return w ? trt_start_pushed_(w, ref) : trt_start_elsewhere_(ref);
}

/* A job that is born during its set's shutdown is skipped like those before it: without FRESH, and
 * never queued. Set's latch held on entry, not on return. */
static TRT_COLD_ trt_ref_ trt_start_skipped_(trt_set_ *set, trt_ref_ ref)
{
    trt_cell_ *c = ref.cell;
    uint32_t flags = ((uint32_t)c->wait.args.arg & ~(uint32_t)TRT_FRESH_) | TRT_RUN_STATE_;
    trt_job_of_(c)->status = TRT_CANCELLED;
    /* order: as in trt_start_job_ */
    TRT_STORE_(&c->state, (uint64_t)ref.generation << 32 | flags, release);
    trt_unlatch_(&set->lock);
    trt_job_end_(c, TRT_CANCELLED);
    return ref;
}

/* From outside: a shutdown may have begun since it was counted, and passed it by. (A worker looks
 * at what it has made itself, see trt_closing_unseen_, a task as it begins.) */
static TRT_COLD_ void trt_job_started_late_(trt_runtime *rt, trt_ref_ ref)
{
    TRT_FENCE_(&rt->ended_fence); /* pairs with trt_shutdown_begin_ */
    if (TRT_LOAD_(&rt->closing, relaxed)) trt_abort_handle_(ref);
}

/* From the store on others know of the job, and may skip it: they wait until it is queued. Once it
 * is, it may end, and the runtime be freed: so who comes from outside is a visitor. */
static TRT_NOINLINE_ trt_ref_ trt_start_job_(trt_ref_ ref)
{
    trt_cell_ *c = ref.cell;
    trt_runtime *rt = trt_rt_of_(c);
    trt_set_ *set = c->wait.args.arg & TRT_SET_ ? (trt_set_ *)c->up : NULL;
    bool visits = !trt_worker_here_(rt);
    if (set) {
        trt_latch_(&set->lock);
        trt_set_add_(set, c);
        if (c->wait.args.arg & TRT_ABORT_) return trt_start_skipped_(set, ref);
    }
    if (visits) trt_visitor_comes_(&rt->visitors);
    trt_latch_(&rt->pool.latch);
    /* order: others come by one of the two latches */
    TRT_STORE_(&c->state, (uint64_t)ref.generation << 32 | (uint32_t)c->wait.args.arg, release);
    if (set) trt_unlatch_(&set->lock);
    /* Without a thread: as if it had never been spawned. */
    if (!trt_pool_submit_(rt, trt_job_of_(c), set)) ref = trt_unmade_ref_(TRT_NO_MEMORY);
    else if (visits) trt_job_started_late_(rt, ref);
    if (visits) trt_visitor_leaves_(&rt->visitors);
    return ref;
}

static TRT_NOINLINE_ trt_ref_ trt_start_any_(trt_ref_ ref)
{
    trt_cell_ *c = ref.cell;
    trt_worker_ *w = trt_worker_here_(trt_rt_of_(c));
    uint32_t flags = (uint32_t)c->wait.args.arg;
    if (flags & TRT_JOB_STATE_) return trt_start_job_(ref);
    if (flags & TRT_SET_) return trt_start_in_(w, ref);
    /* The release publishes the frame: a stale hint, or a joiner, may find the task without a
     * queue. */
    TRT_STORE_(&c->state, (uint64_t)ref.generation << 32 | flags, release);
    return w ? trt_start_pushed_(w, ref) : trt_start_elsewhere_(ref);
}

TRT_DEF_ void *trt_label_(const char *label)
{
    union {
        const char *from;
        void *to;
    } pointer; /* it is only read, and copied */
    pointer.from = label;
    return pointer.to;
}

TRT_DEF_ trt_status_code trt_ref_status_(trt_ref_ ref)
{
    if (ref.cell) return TRT_OK;
    return ref.failed ? (trt_status_code)ref.failed : TRT_MISUSE;
}

TRT_DEF_ trt_any_handle trt_any_of_(trt_ref_ ref)
{
    trt_any_handle handle;
    handle.ref_ = ref;
    return handle;
}

TRT_DEF_ bool trt_spawned_(trt_ref_ ref) { return ref.cell != NULL; }

TRT_DEF_ uint64_t trt_task_id_(trt_ref_ ref)
{
    return ref.cell ? trt_id_of_(ref.cell, ref.generation) : 0;
}

TRT_DEF_ bool trt_is_finished_(trt_ref_ ref)
{
    uint64_t s;
    if (!ref.cell) return true;
    s = TRT_LOAD_(&ref.cell->state, acquire);
    return trt_stale_(ref, s) || (s & TRT_DONE_);
}

TRT_DEF_ void trt_detach_(trt_ref_ ref)
{
    trt_cell_ *c = ref.cell;
    uint64_t s;
    if (!c) return;
    s = TRT_LOAD_(&c->state, relaxed); /* a first guess, the CAS decides */
    for (;;) {
        bool left = (s & (TRT_DONE_ | TRT_JOINED_)) == TRT_DONE_;
        uint64_t to = s | TRT_DETACHED_ | (left ? TRT_JOINED_ : 0u);
        if (trt_stale_(ref, s) || (s & (TRT_DETACHED_ | TRT_SET_))) return;
        if (!TRT_CAS_WEAK_(&c->state, &s, to, acquire)) continue; /* after its end, if so */
        if (left) trt_cell_end_slow_(c);
        return;
    }
}

TRT_DEF_ bool trt_cancelled(void)
{
    trt_self_ *self = &trt_here_;
    trt_cell_ *c = self->worker ? self->worker->cur : NULL;
    if (self->job) {
        if (TRT_LOAD_(&self->job->cancel, acquire)) return true;
        c = self->job->cell;
        return c && (TRT_LOAD_(&c->state, acquire) & TRT_ABORT_);
    }
    while (c) {
        if (TRT_LOAD_(&c->state, acquire) & TRT_ABORT_) return true;
        if (c->kind == TRT_FORK_KIND_) c = ((trt_co *)c->up)->cell_;
        else if (c->kind == TRT_BRANCH_) c = trt_group_of_((trt_waiter_ *)c->up)->cell;
        else return false;
    }
    return false;
}

/* ------------------------------------------------------------------------------------------------
 * >>impl-join
 *
 * Who waits for the end of a task hangs in its cell, in a list that begins at `up` and is guarded
 * by the cell's latch (`prev` of the first is the last). There is one joiner at most, in front:
 * that is WAITER. But a stop waits for the end in any case, or what the task borrows would be freed
 * under it: also while somebody else joins, and if the task is detached. Such stops hang behind:
 * STOPS, which stays. (One that comes before any joiner is WAITER itself.)
 *
 * A joiner that runs the task on his back has no waiter, and `up` is his cell: he has JOINED, and
 * only a stop can come meanwhile. It waits aside (ASIDE), in a list of the task's runtime. When the
 * task has left the back, and the joiner registers or is aborted, the stop moves to the cell. So
 * the list is short, and what walks it takes no time beside a great many stops; where it is long,
 * as many stop one task, none of them walks it to get there.
 *
 * What becomes of the outcome. A stop that is done has dropped it, which is the same as a detach:
 *
 *     state, not ended        its end                    a detach      another joiner
 *     -                       DONE                       DETACHED      WAITER
 *     DETACHED                frees it                   -             misuse
 *     WAITER                  is his; if he goes: DONE   + DETACHED    misuse
 *     WAITER, DETACHED        is his; if he goes: frees  -             misuse
 *     JOINED, on the back     is his, by plain stores    + DETACHED    misuse
 *     JOINED, off the back    DONE, JOINED               + DETACHED    misuse; he: WAITER
 *     JOINED, DETACHED        DONE, JOINED, DETACHED     -             misuse; he: WAITER, DETACHED
 *     (the last two           if he is aborted: without JOINED, as above)
 *
 *     state, ended                   a detach      another joiner   he, if it has left his back
 *     DONE                           frees it      is his           -
 *     DONE, JOINED                   + DETACHED    misuse           is his; aborted: DONE
 *     DONE, JOINED, DETACHED         -             misuse           is his; aborted: frees it
 *
 * Nobody but who is in the table writes these bits, and each by a read-modify-write, except for an
 * end on the back: what is lost then was for a generation that is over.
 *
 *   end x stop         an end that sees STOPS goes through the cell's latch, as for WAITER. ASIDE
 *                      is set by a CAS, with the list's latch held until the stop is linked: an end
 *                      that sees it looks at the list behind its own publication, and so finds the
 *                      stop; one that came before makes the CAS fail.
 *   inline end x stop  on its joiner's back a task ends by plain loads and stores, which may lose
 *                      ASIDE. So a worker looks at the list also now and then, before it sleeps,
 *                      and when it leaves, and the stop looks once at its own task. Both have a
 *                      fence between: an end that the stop does not see, the worker sees to. (At
 *                      the others it need not look: each has, and the same holds for each.)
 *   joiner x stop      neither depends on the other. A joiner that is aborted, or never was, leaves
 *                      the result behind, which the stop then drops.
 *   abort of the stop  unlinks it under the cell's latch, and if it is aside under the list's,
 *                      too. (That is the order of the two, so the stop may move meanwhile.) STOPS
 *                      or ASIDE stay, and cost a look.
 *   reuse of the slot  the generation differs, and begins without STOPS and ASIDE.
 *   shutdown           stops of other runtimes are told when this one is given up, like joiners:
 *                      first those aside, then those in cells, so that none moves in between.
 *
 * Rejected: a look at the list by every end, as most tasks end inline, or by every stop that comes
 * (128,000 stops of one task took 66 s instead of 1.1); all these stops in the list
 * (of 32,000 at a time each took 0.16 ms, and 400,000 yields beside 10,000 0.67 s instead of 0.01).
 */
static TRT_COLD_ trt_status_code trt_join_misuse_(const trt_args_ *args, const char *what)
{
    if (args->arg & TRT_JOIN_STOP_) return TRT_OK; /* trt_stop: nothing is left to stop */
    return trt_misuse_("trt_join", what);
}

/* This is wrong of a stop, too. */
static TRT_COLD_ trt_status_code trt_stop_misuse_(const trt_args_ *args, const char *what)
{
    return trt_misuse_(args->arg & TRT_JOIN_STOP_ ? "trt_stop" : "trt_join", what);
}

/* What can be told from the state alone. PENDING: it has to be waited for. */
static trt_status_code trt_join_look_(const trt_co *co, const trt_args_ *args, uint64_t s)
{
    trt_cell_ *c = (trt_cell_ *)args->obj;
    if (TRT_GENERATION_(s) != (uint32_t)args->arg || !(s & TRT_LIVE_))
        return trt_join_misuse_(args, "the handle was joined before, or its task was detached");
    if (s & TRT_SET_)
        return trt_stop_misuse_(args, "a join set owns this task: use trt_join_next");
    if (co && trt_task_of_(co->cell_) == c)
        return trt_stop_misuse_(args, "a task cannot join itself");
    if (args->arg & (TRT_JOIN_STOP_ | TRT_JOIN_OWN_)) return TRT_PENDING; /* whoever else joins */
    if (s & TRT_DETACHED_) return trt_join_misuse_(args, "the task was detached");
    if (s & (TRT_JOINED_ | TRT_WAITER_))
        return trt_join_misuse_(args, "somebody else joins this task");
    return TRT_PENDING;
}

/* An ended task: take its result, unless somebody else was faster. */
static inline bool trt_join_ended_(trt_worker_ *w, trt_cell_ *c, void *out, trt_cell_ *joiner,
                                   uint64_t s, bool own, trt_status_code *status)
{
    /* Pairs with the release of the task's end. (What is its own, only a detach can change.) */
    while (!TRT_CAS_(&c->state, &s, s | TRT_JOINED_, acquire))
        if (!own) return false;
    *status = w ? trt_consume_here_(w, c, out, joiner) : trt_consume_(c, out, joiner);
    return true;
}

/* It has ended, or `status` says what is wrong. (`w` is NULL for a mere look.) */
static TRT_COLD_ trt_status_code trt_join_over_(trt_co *co, trt_args_ *args, trt_waiter_ *w,
                                                uint64_t s, trt_status_code status)
{
    trt_ref_ ref = {(trt_cell_ *)args->obj, (uint32_t)args->arg, 0};
    if (w && !trt_take_(w)) return TRT_REFUSED_;
    if (status != TRT_PENDING) return status;
    if (args->arg & TRT_JOIN_STOP_) {
        trt_detach_(ref);
        return TRT_OK;
    }
    /* Nobody else can have it: a second joiner would have been told so before... */
    if (trt_join_ended_(NULL, ref.cell, args->out, co ? co->cell_ : NULL, s,
                        args->arg & TRT_JOIN_OWN_, &status) || !w)
        return status;
    return trt_join_misuse_(args, "somebody else joins this task"); /* ...unless right now */
}

/* Latch held. One more waits for the end; `first`: those who do already, or NULL. */
static TRT_COLD_ void trt_hang_(trt_cell_ *c, trt_waiter_ *w, trt_waiter_ *first)
{
    trt_waiter_ *last = first ? first->prev : w;
    w->next = NULL;
    w->prev = last;
    w->linked = 1;
    if (first) first->prev = w;
    if (first && (w->args.arg & TRT_JOIN_BEHIND_)) {
        last->next = w;
        return;
    }
    w->next = first;
    trt_set_up_(c, w);
}

/* Latch held. One less does. */
static TRT_COLD_ void trt_unhang_(trt_cell_ *c, trt_waiter_ *w)
{
    trt_waiter_ *first = (trt_waiter_ *)c->up, *next = w->next;
    if (w == first) trt_set_up_(c, next);
    else w->prev->next = next;
    (next ? next : first)->prev = w->prev;
    w->linked = 0;
    /* Release: the end that finds no WAITER does without the latch, and may free the slot. */
    if (!(w->args.arg & TRT_JOIN_BEHIND_)) TRT_AND_(&c->state, ~(uint64_t)TRT_WAITER_, release);
}

/* A stop that comes while the task, whose latch is held, is on its joiner's back, or has just left
 * it. False: the state has changed. */
static TRT_COLD_ bool trt_join_aside_(trt_cell_ *c, trt_waiter_ *w, uint64_t *s,
                                      trt_status_code *status)
{
    trt_runtime *rt = trt_rt_of_(c);
    trt_wakes_ wakes = TRT_NO_WAKES_;
    bool set;
    w->args.arg |= TRT_JOIN_ASIDE_; /* before the park, which publishes it to whoever cancels */
    trt_latch_(&rt->aside_latch);
    set = TRT_CAS_(&c->state, s, *s | TRT_ASIDE_, acquire); /* if it fails, as in the caller */
    if (set && !trt_park_(w)) {
        *status = TRT_REFUSED_;
    } else if (set) {
        trt_list_push_(&rt->aside, w);
        TRT_STORE_(&rt->aside_some, 1u, relaxed);
        TRT_FENCE_(&rt->sleeping); /* pairs with the one in trt_worker_sleep_ */
        trt_aside_complete_(rt, w, &wakes); /* not the others: each has looked */
    }
    trt_unlatch_(&rt->aside_latch);
    trt_wake_(&wakes);
    if (!set) w->args.arg &= ~TRT_JOIN_ASIDE_;
    return set;
}

/* Latch held, STOPS set and ASIDE cleared: stops that wait aside hang in the cell from here. (Of an
 * older generation of the slot they are about to be told.) */
static TRT_COLD_ void trt_aside_return_(trt_cell_ *c, uint32_t generation)
{
    trt_runtime *rt = trt_rt_of_(c);
    trt_waiter_ *w, *next;
    trt_latch_(&rt->aside_latch);
    for (w = rt->aside.head; w; w = next) {
        next = w->next;
        if (w->args.obj != c || (uint32_t)w->args.arg != generation) continue;
        trt_list_remove_(&rt->aside, w);
        w->args.arg ^= TRT_JOIN_ASIDE_ | TRT_JOIN_BEHIND_;
        trt_hang_(c, w, (trt_waiter_ *)c->up);
    }
    TRT_STORE_(&rt->aside_some, rt->aside.head != NULL, relaxed);
    trt_unlatch_(&rt->aside_latch);
}

/* Latch held, not ended: one more waits, beside others, or of a detached task. False: the state has
 * changed. */
static TRT_COLD_ bool trt_join_beside_(trt_cell_ *c, trt_waiter_ *w, uint64_t *s)
{
    bool behind = (w->args.arg & TRT_JOIN_STOP_) && (*s & (TRT_WAITER_ | TRT_DETACHED_));
    uint64_t as = behind ? TRT_STOPS_ : TRT_WAITER_;
    /* Before that, `up` may have been a set, of a member that was detached. */
    bool list = (*s & (TRT_HANGING_ | TRT_JOINED_)) != 0;
    if (!TRT_CAS_(&c->state, s, trt_unjoined_(*s) | as, seq_cst)) return false;
    if (*s & TRT_ASIDE_) trt_aside_return_(c, TRT_GENERATION_(*s));
    if (behind) w->args.arg |= TRT_JOIN_BEHIND_; /* before the park, as ASIDE */
    trt_hang_(c, w, list ? (trt_waiter_ *)c->up : NULL);
    return true;
}

/* The same; mostly there is nobody yet. */
static inline bool trt_join_first_(trt_cell_ *c, trt_waiter_ *w, uint64_t *s)
{
    if (TRT_UNLIKELY_(*s & (TRT_HANGING_ | TRT_DETACHED_ | TRT_ASIDE_)))
        return trt_join_beside_(c, w, s);
    if (!TRT_CAS_WEAK_(&c->state, s, (*s & ~(uint64_t)TRT_JOINED_) | TRT_WAITER_, seq_cst))
        return false;
    w->next = NULL;
    w->prev = w;
    w->linked = 1;
    trt_set_up_(c, w);
    return true;
}

static trt_status_code trt_join_register_(trt_co *co, trt_args_ *args, trt_waiter_ *w)
{
    trt_cell_ *c = (trt_cell_ *)args->obj;
    trt_status_code status;
    uint64_t s;
    trt_latch_(&c->latch);
    s = TRT_LOAD_(&c->state, acquire); /* a stop that finds the task over sees what it has done */
    for (;;) {
        status = trt_join_look_(co, args, s);
        if (status != TRT_PENDING || (s & TRT_DONE_)) {
            trt_unlatch_(&c->latch);
            return trt_join_over_(co, args, w, s, status);
        }
        if ((s & TRT_JOINED_) && !(args->arg & TRT_JOIN_OWN_)) {
            if (!trt_join_aside_(c, w, &s, &status)) continue;
            trt_unlatch_(&c->latch);
            return status;
        }
        if (trt_join_first_(c, w, &s)) break;
    }
    /* Its runtime may have given it up: either the sweep, behind its fence, sees WAITER or STOPS,
     * or this sees the flag. Hence seq_cst for both. */
    if (TRT_UNLIKELY_(TRT_LOAD_(&trt_rt_of_(c)->given_up, seq_cst)) && !(s & TRT_JOB_STATE_)) {
        status = trt_take_(w) ? TRT_CANCELLED : TRT_REFUSED_;
    } else if (TRT_LIKELY_(trt_park_(w))) {
        trt_unlatch_here_(&c->latch);
        return TRT_PENDING;
    } else {
        status = TRT_REFUSED_;
    }
    trt_unhang_(c, w);
    trt_unlatch_(&c->latch);
    return status;
}

static TRT_NOINLINE_ bool trt_await_ended_(trt_co *co, trt_cell_ *c, void *out, uint64_t s)
{
    trt_worker_ *w = trt_here_.worker;
    trt_status_code status;
    if ((s & (TRT_LIVE_ | TRT_DONE_ | TRT_SET_ | TRT_DETACHED_ | TRT_JOINED_)) !=
            (TRT_LIVE_ | TRT_DONE_) ||
        !trt_join_ended_(w, c, out, co->cell_, s, false, &status))
        return trt_await_slowly_(co, TRT_KIND_JOIN_, c, out, TRT_GENERATION_(s));
    return trt_done_(w, co, status);
}

/* A child that has ended gives its result at once. One that nobody has started is mostly run by its
 * joiner: see trt_join_inline_. */
static TRT_NOINLINE_ bool trt_await_join_(trt_co *co, void *child, void *out, uint64_t arg)
{
    trt_worker_ *w = trt_here_.worker;
    trt_cell_ *c = (trt_cell_ *)child;
    uint64_t s = c ? TRT_LOAD_(&c->state, relaxed) : 0; /* a look */
    if (TRT_GENERATION_(s) != arg || !trt_may_try_(w, co) || trt_on_stack_(w, out))
        return trt_await_slowly_(co, TRT_KIND_JOIN_, child, out, arg);
    if (s & TRT_FRESH_) return trt_record_(w, co, TRT_KIND_JOIN_, child, out, arg);
    return trt_await_ended_(co, c, out, s);
}

/* A stop: a misuse does nothing to the task. */
static TRT_COLD_ trt_status_code trt_stop_poll_(trt_co *co, trt_args_ *args, trt_waiter_ *w)
{
    trt_ref_ ref = {(trt_cell_ *)args->obj, (uint32_t)args->arg, 0};
    uint64_t s = TRT_LOAD_(&ref.cell->state, acquire); /* as in trt_join_register_ */
    trt_status_code status = trt_join_look_(co, args, s);
    if (status != TRT_PENDING || (s & TRT_DONE_)) return trt_join_over_(co, args, w, s, status);
    trt_abort_(ref);
    return w ? trt_join_register_(co, args, w) : TRT_PENDING;
}

static trt_status_code trt_join_poll_(trt_co *co, trt_args_ *args, trt_waiter_ *w)
{
    trt_cell_ *c = (trt_cell_ *)args->obj;
    trt_status_code status;
    uint64_t s;
    if (!c) return (trt_status_code)args->arg; /* never made: the reason */
    if (TRT_UNLIKELY_(args->arg & TRT_JOIN_STOP_)) return trt_stop_poll_(co, args, w);
    if (w) return trt_join_register_(co, args, w);
    s = TRT_LOAD_(&c->state, acquire); /* as there */
    status = trt_join_look_(co, args, s);
    if (status == TRT_PENDING && !(s & TRT_DONE_)) return status;
    return trt_join_over_(co, args, NULL, s, status);
}

/* False: whoever completes the wait was faster. Then the slot may be another's already. */
static TRT_COLD_ bool trt_join_unlink_(trt_cell_ *c, trt_waiter_ *w)
{
    trt_runtime *rt = trt_rt_of_(c);
    bool waits, aside;
    trt_latch_(&c->latch);
    aside = (w->args.arg & TRT_JOIN_ASIDE_) != 0;
    if (aside) trt_latch_(&rt->aside_latch);
    waits = w->linked;
    if (waits && aside) trt_list_remove_(&rt->aside, w);
    else if (waits) trt_unhang_(c, w);
    if (aside) trt_unlatch_(&rt->aside_latch);
    trt_unlatch_(&c->latch);
    return waits;
}

static void trt_join_cancel_(trt_waiter_ *w)
{
    if (w->args.obj) (void)trt_join_unlink_((trt_cell_ *)w->args.obj, w);
}

TRT_DEF_ trt_op trt_join_(trt_ref_ ref, void *out)
{
    if (!ref.cell) return trt_op_(TRT_KIND_JOIN_, NULL, NULL, (uint64_t)trt_ref_status_(ref));
    return trt_op_(TRT_KIND_JOIN_, ref.cell, out, ref.generation);
}

TRT_DEF_ trt_op trt_stop_(trt_ref_ ref)
{
    if (!ref.cell) return trt_op_(TRT_KIND_JOIN_, NULL, NULL, TRT_OK);
    return trt_op_(TRT_KIND_JOIN_, ref.cell, NULL, ref.generation | TRT_JOIN_STOP_);
}

/* ------------------------------------------------------------------------------------------------
 * >>impl-sets
 *
 * A set's latch guards its two lists: members that live, by the node behind their frames, and
 * members that have ended, by their waiters, oldest first. A waiting owner gets the next result
 * handed over.
 *
 * A set that lies in a frame is shut down when that ends, so whoever adds the first member makes it
 * known, under the set's latch. Its home is
 *
 *     UNKNOWN     it is new, or the frame that held it is over
 *     REGISTERED  its frame knows it, until it ends (`owned_`). It was filled by the strand of the
 *                 frame, which runs, and so sees its own frames
 *     STRAY       it has members, and others have filled it: another task, a fork, a branch, or a
 *                 thread, a job's too. They cannot look at the frames of a strand that may be
 *                 running, and do not know of those that others run inside a frame that they see;
 *                 so a strand with forks is no better off. Where a stray belongs is asked when a
 *                 frame ends, by the address. The slot, of whichever runtime, is found at once: the
 *                 set is linked in the slot's chunk, and the cell gets STRAYS. If it lies in none,
 *                 there may be a frame or a job around it all the same, in static memory or in the
 *                 heap: it is linked in a list of the process, by its page
 *     ALONE       where it lies is known, and it is in no list: it is empty, and may be freed. The
 *                 next spawner looks at its own frames again
 *
 * A frame that ends makes those strays its own that lie in it (trt_adopt_). It asks if its strand
 * has STRAYS, or ABROAD: one of its frames did not lie in its caller's when it was called. Such a
 * frame looks at the chunk of the slot that it lies in, whosever that is, or, if in none, at the
 * lists of the pages that it touches. Inner frames end first, so each stray comes to the innermost
 * that holds it: that may be one which a task runs to which it was lent, and for which its lender
 * waits in the cleanup, so nobody takes strays before that is over. (But what a lender fills itself
 * in a frame that it has lent to a task is its own: it cannot see that it is lent.)
 *
 * A blocking function does the same when it returns, but waits for nobody.
 *
 * Races. A frame ends x others fill a set in it: who does so without being waited for has a pointer
 * that dangles. Those that the frame waits for are its forks, jobs and branches, gone before it
 * looks for strays, and members of its sets: so it looks again behind each set that it has shut
 * down. What has told it of their ends orders their STRAYS, and the count of strays, before its
 * look, which needs no latch; the lists have one each, as other frames look, too.
 *   The last member goes x a frame adopts: `home` changes from STRAY under the latch of the list
 * only. Whoever comes first unlinks the set; the other finds it ALONE, in no list, or REGISTERED.
 *   The first member comes x the last goes: the set's latch.
 *   A runtime is freed x a set in the heap has members of it still: nobody can ask for them from
 * then on, so they are taken out. If that leaves none the set is ALONE again, and may be freed.
 * Others may fill it at that moment, with members of theirs: the set's latch.
 *
 * Rejected: strays that stay linked when they are empty. In a job's struct the next call of the
 * function would zero the node, in the heap it would be freed. Strays in the list of the slot's
 * outermost frame, which its strand reads without a latch; one list for the runtime, or for all
 * that lie in no slot: where there are many, each end would go through it.
 *
 * Rejected: an owner that takes all ended members at once and joins them without the latch (joinset
 * -9 %). trt_detach_all may come from another thread meanwhile, and has to empty the set.
 */
static uint32_t trt_unmade_index_(trt_status_code why)
{
    return why == TRT_NO_MEMORY ? 0 : why == TRT_CANCELLED ? 1 : 2;
}

/* The cell of the slot in which a set lies that is alone, or a stray; or NULL. */
static trt_cell_ *trt_set_slot_(trt_set_ *set)
{
    uint32_t distance = TRT_LOAD_(&set->home, relaxed) & ~(uint32_t)TRT_HOME_STATE_;
    return distance ? (trt_cell_ *)(void *)((char *)set - distance) : NULL;
}

/* The list for a stray that lies in this slot (NULL: in none), and its latch, taken. */
static TRT_COLD_ trt_owned_ **trt_strays_of_(const trt_set_ *set, trt_cell_ *slot, trt_a32_ **latch)
{
    trt_homeless_ *page = trt_page_((uintptr_t)set / TRT_PAGE_);
    *latch = slot ? &trt_chunk_of_(slot)->rare_latch : &page->latch;
    trt_latch_(*latch);
    return slot ? &trt_chunk_of_(slot)->strays : &page->strays;
}

/* Set's latch held: its first member comes, and the spawner knows no frame that it lies in. */
static TRT_COLD_ void trt_set_stray_(trt_set_ *set)
{
    trt_a32_ *latch;
    trt_cell_ *c;
    if (TRT_LOAD_(&set->home, relaxed) == TRT_HOME_UNKNOWN_) {
        c = trt_cell_around_(set);
        TRT_STORE_(&set->home, TRT_ALONE_ | (c ? (uint32_t)((char *)set - (char *)c) : 0), relaxed);
    }
    c = trt_set_slot_(set);
    trt_own_(trt_strays_of_(set, c, &latch), &set->owned);
    if (c) TRT_OR_(&c->state, TRT_STRAYS_, relaxed);
    TRT_ADD_(&trt_strays_some_, 1u, relaxed);
    TRT_OR_(&set->home, TRT_STRAY_, relaxed);
    trt_unlatch_(latch);
}

/* Both latches held: the set is in no list any more. */
static TRT_COLD_ void trt_set_alone_(trt_set_ *set, trt_owned_ **strays)
{
    trt_disown_(strays, &set->owned);
    TRT_SUB_(&trt_strays_some_, 1u, relaxed);
    TRT_AND_(&set->home, ~(uint32_t)(TRT_STRAY_ ^ TRT_ALONE_), relaxed);
}

/* Set's latch held, and its last member has gone: it may be freed, and is in no list then. */
static TRT_COLD_ void trt_set_empty_(trt_set_ *set)
{
    trt_a32_ *latch;
    trt_owned_ **strays = trt_strays_of_(set, trt_set_slot_(set), &latch);
    /* Else it has become its frame's own. */
    if ((TRT_LOAD_(&set->home, relaxed) & TRT_HOME_STATE_) == TRT_STRAY_)
        trt_set_alone_(set, strays);
    trt_unlatch_(latch);
}

/* Set's latch held: what is left of its members in this runtime goes with that. */
static TRT_COLD_ void trt_set_drop_(trt_set_ *set, const trt_runtime *rt)
{
    trt_owned_ *node, *next;
    trt_waiter_ *w, *after;
    for (node = set->live; node; node = next) {
        next = node->next;
        if (trt_chunk_of_(node)->rt != rt) continue;
        trt_disown_(&set->live, node);
        set->len--;
    }
    for (w = set->ready.head; w; w = after) {
        after = w->next;
        if (trt_chunk_of_(w)->rt != rt) continue;
        trt_list_remove_(&set->ready, w);
        set->len--;
    }
}

/* A runtime is freed. A set's latch is taken before that of its list, so here it is only tried. */
static TRT_COLD_ void trt_homeless_forget_(const trt_runtime *rt)
{
    trt_homeless_ *page = trt_pages_;
    trt_owned_ *node, *next;
    for (; TRT_LOAD_(&trt_strays_some_, relaxed) && page < trt_pages_ + TRT_PAGES_; page++) {
        trt_latch_(&page->latch);
        for (node = page->strays; node; node = next) {
            trt_set_ *set = TRT_CONTAINER_(trt_set_, owned, node);
            next = node->next;
            if (!trt_latch_once_(&set->lock)) { /* who has it may wait for the list */
                trt_unlatch_(&page->latch);
                TRT_PAUSE_();
                trt_latch_(&page->latch);
                next = page->strays;
                continue;
            }
            trt_set_drop_(set, rt);
            if (!set->live && !set->ready.head) trt_set_alone_(set, &page->strays);
            trt_unlatch_(&set->lock);
        }
        trt_unlatch_(&page->latch);
    }
}

static inline void trt_set_shrank_(trt_set_ *set) /* latch held */
{
    if (!set->len && TRT_UNLIKELY_((TRT_LOAD_(&set->home, relaxed) & TRT_HOME_STATE_) ==
                                   TRT_STRAY_))
        trt_set_empty_(set);
}

/* Set's latch held: which frame of this strand does it lie in? Where one has forks, it may be that
 * one of them runs a frame that lies in that one in turn, and holds the set. */
static TRT_COLD_ void trt_set_register_(trt_set_ *set)
{
    trt_worker_ *w = trt_here_.worker;
    trt_co *co = w && w->cur ? w->cur->leaf : NULL;
    while (co && !trt_forks_left_(co) && !trt_lies_in_(co, set)) co = co->parent_;
    if (!co || trt_forks_left_(co)) {
        trt_set_stray_(set);
        return;
    }
    trt_own_((trt_owned_ **)(void *)&co->owned_, &set->owned); /* no latch: it has no forks */
    TRT_STORE_(&set->home, TRT_REGISTERED_, relaxed);
}

/* Set's latch held, as members of other sets may fill it: its frame has shut it down, and ends. */
static TRT_COLD_ void trt_set_forget_(trt_set_ *set, trt_co *co)
{
    trt_disown_((trt_owned_ **)(void *)&co->owned_, &set->owned);
    TRT_STORE_(&set->home, TRT_HOME_UNKNOWN_, relaxed);
}

static inline void trt_set_add_(trt_set_ *set, trt_cell_ *c) /* latch held */
{
    if (!(TRT_LOAD_(&set->home, relaxed) & TRT_REGISTERED_)) /* nor is it a stray */
        trt_set_register_(set);
    trt_own_(&set->live, &trt_tail_of_(c, trt_type_of_(c))->node);
    set->len++;
    /* Born during the set's shutdown: aborted like those before it. */
    if (set->waiter && set->waiter->kind == TRT_KIND_SET_SHUTDOWN_) c->wait.args.arg |= TRT_ABORT_;
}

static void trt_set_unmade_(trt_set_ *set, trt_status_code why)
{
    trt_wakes_ wakes = TRT_NO_WAKES_;
    trt_waiter_ *w;
    trt_latch_(&set->lock);
    w = set->waiter;
    if (w && w->kind == TRT_KIND_SET_SHUTDOWN_) { /* outcomes are ignored */
        trt_unlatch_(&set->lock);
        return;
    }
    set->waiter = NULL;
    if (w) w->linked = 0;
    if (w && trt_claim_(w, why, &wakes)) {
        w->args.arg = 0;
    } else {
        set->unmade[trt_unmade_index_(why)]++;
        set->len++;
    }
    trt_unlatch_(&set->lock);
    trt_wake_(&wakes);
}

/* A member has ended. (JOINED is set: from there on trt_detach_all leaves it to us.) */
static void trt_set_end_(trt_cell_ *c, trt_status_code status)
{
    trt_set_ *set = (trt_set_ *)c->up;
    trt_owned_ *node = &trt_tail_of_(c, trt_type_of_(c))->node;
    trt_wakes_ wakes = TRT_NO_WAKES_;
    trt_waiter_ *w;
    bool taken = false;
    trt_latch_(&set->lock);
    if (node->next == node) { /* trt_detach_all waits for those that are about here */
        TRT_SUB_(&set->leaving, 1u, relaxed);
        trt_unlatch_here_(&set->lock);
        trt_os_wake_(&set->leaving, INT_MAX);
        trt_cell_end_slow_(c);
        return;
    }
    trt_disown_(&set->live, node);
    w = set->waiter;
    if (w && w->kind == TRT_KIND_JOIN_NEXT_) {
        set->waiter = NULL;
        w->linked = 0;
        taken = trt_claim_(w, status, &wakes);
        if (taken) {
            set->len--;
            w->args.arg = trt_id_of_(c, TRT_GENERATION_(TRT_LOAD_(&c->state, relaxed)));
            trt_deliver_(c, w, status);
        }
    } else if (w && set->len == 1) { /* trt_set_shutdown: this was the last */
        set->waiter = NULL;
        w->linked = 0;
        trt_claim_(w, TRT_OK, &wakes);
    }
    if (w && w->kind == TRT_KIND_SET_SHUTDOWN_) {
        set->len--;
        taken = true; /* outcomes are ignored */
    }
    if (!taken) {
        /* Not before: who is told of the end looks for it in the set. A store is enough, as the
         * member is JOINED: of an abort that comes between, nothing is left to be done. */
        TRT_STORE_(&c->state,
                   (TRT_LOAD_(&c->state, relaxed) & ~(uint64_t)TRT_RUN_STATE_) | TRT_DONE_,
                   release);
        trt_list_push_(&set->ready, &c->wait);
    } else {
        trt_cell_end_(c); /* before the latch goes, as in trt_task_end_joined_ */
        trt_set_shrank_(set);
    }
    trt_unlatch_here_(&set->lock);
    /* Behind the other members that are ready: then it finds several that have ended. */
    if (wakes.first) trt_wake_chain_(wakes.first, true);
}

/* The one behind the next is fetched now: of a great many, none is in the cache any more. */
static inline void trt_fetch_member_(const trt_waiter_ *next)
{
    const char *wait = next ? (const char *)next->next : NULL;
    if (!wait) return;
    __builtin_prefetch(wait - offsetof(trt_cell_, wait), 1);
    __builtin_prefetch(wait + 64 - offsetof(trt_cell_, wait), 1);
}

/* Latch held, not empty of ended members: the next one's outcome. */
static trt_status_code trt_set_pop_(trt_set_ *set, void *out, trt_cell_ *joiner, uint64_t *id)
{
    static const trt_status_code why[3] = {TRT_NO_MEMORY, TRT_CANCELLED, TRT_MISUSE};
    trt_waiter_ *w = set->ready.head;
    uint32_t i;
    set->len--;
    trt_set_shrank_(set);
    *id = 0;
    if (w) {
        trt_cell_ *c = trt_waiting_cell_(w);
        trt_list_remove_(&set->ready, w);
        trt_fetch_member_(set->ready.head);
        *id = trt_id_of_(c, TRT_GENERATION_(TRT_LOAD_(&c->state, relaxed)));
        return trt_consume_(c, out, joiner);
    }
    for (i = 0; !set->unmade[i]; i++) {}
    set->unmade[i]--;
    return why[i];
}

static bool trt_set_has_ended_(const trt_set_ *set)
{
    return set->ready.head || set->unmade[0] || set->unmade[1] || set->unmade[2];
}

static trt_status_code trt_join_next_poll_(trt_co *co, trt_args_ *args, trt_waiter_ *w)
{
    trt_set_ *set = (trt_set_ *)args->obj;
    trt_cell_ *c = co->cell_;
    trt_status_code status = TRT_PENDING;
    uint64_t id = 0;
    trt_latch_(&set->lock);
    if (set->waiter) {
        trt_unlatch_here_(&set->lock);
        return trt_misuse_("trt_join_next", "somebody else awaits this set");
    }
    if (trt_set_has_ended_(set) || !set->len) {
        if (w && !trt_take_(w)) status = TRT_REFUSED_;
        else status = set->len ? trt_set_pop_(set, args->out, c, &id) : TRT_EMPTY;
    } else if (w) {
        if (trt_park_(w)) {
            set->waiter = w;
            w->linked = 1;
        } else {
            status = TRT_REFUSED_;
        }
    }
    trt_unlatch_here_(&set->lock);
    if (status == TRT_PENDING || status == TRT_REFUSED_) return status;
    if (w) w->args.arg = id;
    else c->wait.args.arg = id;
    return status;
}

/* The short way: a member has ended, and nobody else is at the set. */
static TRT_NOINLINE_ bool trt_await_join_next_(trt_co *co, void *obj, void *out)
{
    trt_worker_ *w = trt_here_.worker;
    trt_cell_ *c = co->cell_;
    trt_set_ *set = (trt_set_ *)obj;
    trt_status_code status;
    if (!trt_may_try_(w, co) || !trt_latch_once_(&set->lock))
        return trt_await_slowly_(co, TRT_KIND_JOIN_NEXT_, set, out, 0);
    if (!set->ready.head || set->waiter) {
        trt_unlatch_(&set->lock);
        return trt_await_slowly_(co, TRT_KIND_JOIN_NEXT_, set, out, 0);
    }
    status = trt_set_pop_(set, out, c, &c->wait.args.arg);
    trt_unlatch_(&set->lock);
    return trt_done_(w, co, status);
}

static void trt_set_cancel_(trt_waiter_ *w)
{
    trt_set_ *set = (trt_set_ *)w->args.obj;
    trt_latch_(&set->lock);
    if (set->waiter == w) set->waiter = NULL;
    w->linked = 0;
    trt_unlatch_(&set->lock);
}

TRT_DEF_ trt_op trt_join_next_(trt_set_ *set, void *out)
{
    return trt_op_(TRT_KIND_JOIN_NEXT_, set, out, 0);
}

TRT_DEF_ uint64_t trt_joined(void)
{
    trt_worker_ *w = trt_here_.worker;
    return w && w->cur ? w->cur->wait.args.arg : 0;
}

TRT_DEF_ trt_status_code trt_try_join_next_(trt_set_ *set, void *out)
{
    trt_worker_ *w = trt_here_.worker;
    trt_cell_ *c = w ? w->cur : NULL;
    trt_status_code status = TRT_EMPTY;
    uint64_t id = 0;
    if (!c) trt_here_.failed = false;
    else if (c->flags & TRT_SAW_PANIC_) trt_forget_panic_(c);
    trt_latch_(&set->lock);
    if (set->len) status = trt_set_has_ended_(set) ? trt_set_pop_(set, out, c, &id) : TRT_PENDING;
    trt_unlatch_(&set->lock);
    if (c) c->wait.args.arg = id;
    return status;
}

TRT_DEF_ size_t trt_set_len_(trt_set_ *set)
{
    size_t n;
    trt_latch_(&set->lock);
    n = set->len;
    trt_unlatch_(&set->lock);
    return n;
}

/* Clear FRESH of a queued job: whoever does runs it, or ends it. */
static bool trt_job_claim_(trt_cell_ *c, uint32_t generation, uint64_t and_set)
{
    uint64_t s = TRT_LOAD_(&c->state, relaxed); /* a first guess, the CAS decides */
    while ((s & (TRT_JOB_STATE_ | TRT_FRESH_)) == (TRT_JOB_STATE_ | TRT_FRESH_) &&
           TRT_GENERATION_(s) == generation)
        /* order: the pool's latch, which was held to queue the job, and is to run or skip it */
        if (TRT_CAS_WEAK_(&c->state, &s, (s & ~(uint64_t)TRT_FRESH_) | TRT_RUN_STATE_ | and_set,
                          acq_rel))
            return true;
    return false;
}

/* Latch held: members stay in the list until they have ended, which takes the latch. Queued jobs
 * are skipped instead, which ends them at once: the caller does, without the latch. */
static TRT_COLD_ trt_waiter_ *trt_abort_live_(trt_set_ *set)
{
    trt_waiter_ *skipped = NULL;
    trt_owned_ *node;
    for (node = set->live; node; node = node->next) {
        trt_cell_ *c = trt_cell_of_node_(node);
        trt_ref_ ref = {c, TRT_GENERATION_(TRT_LOAD_(&c->state, relaxed)), 0};
        if (!trt_job_claim_(c, ref.generation, TRT_ABORT_)) {
            trt_abort_(ref);
            continue;
        }
        c->wait.next = skipped;
        skipped = &c->wait;
    }
    return skipped;
}

static TRT_COLD_ void trt_skip_jobs_(trt_waiter_ *skipped)
{
    trt_waiter_ *next;
    for (; skipped; skipped = next) {
        next = skipped->next;
        trt_job_skip_(trt_waiting_cell_(skipped));
    }
}

TRT_DEF_ void trt_abort_all_(trt_set_ *set)
{
    trt_waiter_ *skipped;
    trt_latch_(&set->lock);
    skipped = trt_abort_live_(set);
    trt_unlatch_(&set->lock);
    trt_skip_jobs_(skipped);
}

/* Latch held. How many members are already ending, and will come for the latch? Each of them finds
 * its node linked to itself: others may be born, and end, before it comes. */
static uint32_t trt_detach_live_(trt_set_ *set)
{
    uint32_t ending = 0;
    while (set->live) {
        trt_owned_ *node = set->live;
        trt_cell_ *c = trt_cell_of_node_(node);
        uint64_t s = TRT_LOAD_(&c->state, relaxed); /* a first guess, the CAS decides */
        trt_disown_(&set->live, node);
        /* Release: from there on its end frees it, without our latch. */
        while (!(s & TRT_JOINED_) &&
               !TRT_CAS_WEAK_(&c->state, &s, (s & ~(uint64_t)TRT_SET_) | TRT_DETACHED_, release)) {}
        if (!(s & TRT_JOINED_)) continue;
        node->next = node;
        ending++;
    }
    return ending;
}

TRT_DEF_ TRT_COLD_ void trt_detach_all_(trt_set_ *set)
{
    trt_waiter_ *w, *next, *waiting;
    trt_wakes_ wakes = TRT_NO_WAKES_;
    uint32_t ending;
    trt_latch_(&set->lock);
    TRT_ADD_(&set->leaving, trt_detach_live_(set), relaxed); /* two may empty it at a time */
    w = set->ready.head;
    set->ready.head = set->ready.tail = NULL;
    set->len = 0;
    set->unmade[0] = set->unmade[1] = set->unmade[2] = 0;
    trt_set_shrank_(set);
    waiting = set->waiter;
    set->waiter = NULL;
    if (waiting) {
        waiting->linked = 0;
        trt_claim_(waiting, waiting->kind == TRT_KIND_JOIN_NEXT_ ? TRT_EMPTY : TRT_OK, &wakes);
    }
    trt_unlatch_(&set->lock);
    for (; w; w = next) {
        next = w->next;
        trt_cell_end_(trt_waiting_cell_(w));
    }
    while ((ending = TRT_LOAD_(&set->leaving, relaxed)) != 0)
        trt_os_wait_(&set->leaving, ending, TRT_FOREVER_);
    trt_latch_(&set->lock); /* the last of them may still hold it */
    trt_unlatch_(&set->lock);
    trt_wake_(&wakes);
}

/* Latch held: outcomes are ignored. */
static TRT_COLD_ void trt_set_drop_ended_(trt_set_ *set)
{
    trt_waiter_ *w;
    while ((w = set->ready.head) != NULL) {
        trt_list_remove_(&set->ready, w);
        trt_cell_end_(trt_waiting_cell_(w));
        set->len--;
    }
    set->len -= (size_t)set->unmade[0] + set->unmade[1] + set->unmade[2];
    set->unmade[0] = set->unmade[1] = set->unmade[2] = 0;
    trt_set_shrank_(set);
}

static TRT_COLD_ trt_status_code trt_set_shutdown_poll_(trt_co *co, trt_args_ *args, trt_waiter_ *w)
{
    trt_set_ *set = (trt_set_ *)args->obj;
    trt_status_code status = TRT_PENDING;
    trt_waiter_ *skipped;
    trt_latch_(&set->lock);
    trt_set_drop_ended_(set);
    if (!set->len) status = w && !trt_take_(w) ? TRT_REFUSED_ : TRT_OK;
    else if (w && set->waiter) status = TRT_MISUSE;
    else if (w && !trt_park_(w)) status = TRT_REFUSED_;
    else if (w) set->waiter = w; /* what is born from here on is aborted by trt_set_add_... */
    /* ...and what was before, in the same critical section: so not by a mere look. */
    skipped = w ? trt_abort_live_(set) : NULL;
    if ((status == TRT_OK || status == TRT_MISUSE) && (co->phase_ & 7u) == 4)
        trt_set_forget_(set, co);
    trt_unlatch_(&set->lock);
    trt_skip_jobs_(skipped);
    if (status == TRT_MISUSE) trt_misuse_("trt_set_shutdown", "somebody else awaits this set");
    return status;
}

TRT_DEF_ trt_op trt_set_shutdown_(trt_set_ *set)
{
    return trt_op_(TRT_KIND_SET_SHUTDOWN_, set, NULL, 0);
}
/* ------------------------------------------------------------------------------------------------
 * >>impl-time
 */
TRT_DEF_ trt_instant trt_now(void)
{
    trt_runtime *rt = trt_here_.rt;
    return rt ? trt_now_of_(rt) : trt_clock_();
}

static void trt_timer_added_(trt_runtime *rt, trt_instant due);

/* Register with the wheel of the worker that runs the strand: the only one sure to look soon. */
static trt_status_code trt_timer_register_(trt_waiter_ *w)
{
    trt_worker_ *worker = trt_here_.worker;
    trt_wheel_ *wheel = &worker->wheel;
    trt_instant due = (trt_instant)w->args.arg;
    bool earlier;
    w->args.obj = wheel; /* before the park, which publishes it to whoever cancels */
    trt_latch_(&wheel->latch);
    if (!trt_park_(w)) {
        trt_unlatch_here_(&wheel->latch);
        return TRT_REFUSED_;
    }
    TRT_COUNT_(&wheel->waiting, 1u);
    earlier = w->kind != TRT_KIND_SLEEP_ && trt_wheel_add_(wheel, w);
    if (w->kind == TRT_KIND_SLEEP_) trt_wheel_defer_(wheel, w);
    trt_unlatch_here_(&wheel->latch);
    if (earlier) trt_timer_added_(worker->rt, due);
    return TRT_PENDING;
}

static trt_status_code trt_sleep_until_poll_(trt_co *co, trt_args_ *args, trt_waiter_ *w)
{
    (void)co;
    if (trt_now_of_(trt_here_.worker->rt) < (trt_instant)args->arg)
        return w ? trt_timer_register_(w) : TRT_PENDING;
    return w && !trt_take_(w) ? TRT_REFUSED_ : TRT_OK;
}

/* A duration counts from the await that starts it: on the virtual clock from here, where `keep` is
 * called, else from when the wheel settles. */
static bool trt_sleep_keep_(trt_waiter_ *w)
{
    trt_runtime *rt = trt_here_.worker->rt;
    if (!rt->virtual_clock) return true;
    w->args.arg = (uint64_t)trt_after_(trt_now_of_(rt), (trt_duration)w->args.arg);
    w->kind = TRT_KIND_SLEEP_UNTIL_;
    return true;
}

static trt_status_code trt_sleep_poll_(trt_co *co, trt_args_ *args, trt_waiter_ *w)
{
    (void)co;
    if ((trt_duration)args->arg > 0) return w ? trt_timer_register_(w) : TRT_PENDING;
    return w && !trt_take_(w) ? TRT_REFUSED_ : TRT_OK;
}

static void trt_timer_cancel_(trt_waiter_ *w)
{
    if (w->args.obj) trt_wheel_remove_((trt_wheel_ *)w->args.obj, w);
}

TRT_DEF_ trt_op trt_sleep(trt_duration duration)
{
    return trt_op_(TRT_KIND_SLEEP_, NULL, NULL, (uint64_t)duration);
}

TRT_DEF_ trt_op trt_sleep_until(trt_instant instant)
{
    return trt_op_(TRT_KIND_SLEEP_UNTIL_, NULL, NULL, (uint64_t)instant);
}

TRT_DEF_ trt_status_code trt_interval_init(trt_interval *interval, trt_duration period,
                                           trt_missed_ticks missed)
{
    if (period <= 0) return trt_misuse_("trt_interval_init", "the period must be positive");
    if (missed != TRT_BURST && missed != TRT_DELAY && missed != TRT_SKIP)
        return trt_misuse_("trt_interval_init", "unknown policy for missed ticks");
    interval->period_ = period;
    interval->next_ = trt_now();
    interval->missed_ = missed;
    return TRT_OK;
}

/* A tick counts as missed when it is seen 5 ms late, as in Tokio. */
static void trt_interval_fire_(trt_interval *interval, trt_instant now)
{
    trt_instant due = interval->next_;
    trt_duration period = interval->period_;
    if (now <= trt_after_(due, 5000000) || interval->missed_ == TRT_BURST)
        interval->next_ = trt_after_(due, period);
    else if (interval->missed_ == TRT_DELAY) interval->next_ = trt_after_(now, period);
    else interval->next_ = trt_after_(now, period - (now - due) % period);
}

static trt_status_code trt_tick_poll_(trt_co *co, trt_args_ *args, trt_waiter_ *w)
{
    trt_interval *interval = (trt_interval *)args->out;
    trt_instant now;
    (void)co;
    if (!interval->period_) return trt_misuse_("trt_tick", "the interval was not initialised");
    now = trt_now_of_(trt_here_.worker->rt);
    if (now < interval->next_) {
        args->arg = (uint64_t)interval->next_;
        args->obj = NULL;
        return w ? trt_timer_register_(w) : TRT_PENDING;
    }
    if (w && !trt_take_(w)) return TRT_REFUSED_;
    trt_interval_fire_(interval, now);
    return TRT_OK;
}

TRT_DEF_ trt_op trt_tick(trt_interval *interval)
{
    return trt_op_(TRT_KIND_TICK_, NULL, interval, 0);
}

/* Move the virtual clock; what is due fires, and the caller goes behind what that made ready. */
static TRT_COLD_ trt_status_code trt_advance_poll_(trt_co *co, trt_args_ *args, trt_waiter_ *w)
{
    trt_worker_ *worker = trt_here_.worker;
    trt_runtime *rt = worker->rt;
    trt_duration duration = (trt_duration)args->arg;
    trt_instant until, next;
    (void)co;
    if (!rt->virtual_clock) return trt_misuse_("trt_advance", "this runtime has no virtual clock");
    if (duration < 0) return trt_misuse_("trt_advance", "time does not run backwards");
    if (!w) return TRT_PENDING;
    if (w->mode == TRT_MODE_MEMBER_ && !trt_take_(w)) return TRT_REFUSED_;
    until = trt_after_(TRT_LOAD_(&rt->virtual_now, relaxed), duration);
    while ((next = TRT_LOAD_(&worker->wheel.next, relaxed)) <= until && next != TRT_FOREVER_) {
        if (next > TRT_LOAD_(&rt->virtual_now, relaxed))
            TRT_STORE_(&rt->virtual_now, next, relaxed);
        trt_wheel_run_(worker, &worker->wheel, TRT_LOAD_(&rt->virtual_now, relaxed));
    }
    TRT_STORE_(&rt->virtual_now, until, relaxed);
    if (w->mode == TRT_MODE_MEMBER_) return TRT_OK;
    w->kind = TRT_KIND_YIELD_;
    trt_push_(worker, (uintptr_t)trt_waiting_cell_(w) | TRT_OWNED_ENTRY_);
    return TRT_PENDING;
}

TRT_DEF_ trt_op trt_advance(trt_duration duration)
{
    return trt_op_(TRT_KIND_ADVANCE_, NULL, NULL, (uint64_t)duration);
}

/* ------------------------------------------------------------------------------------------------
 * >>threads: blocking a plain thread, or a blocking job, until an operation is done
 */
static void trt_thread_panic_(trt_waiter_ *w, trt_cell_ *c)
{
    w->args.obj = trt_panic_find_(c, c, TRT_PANIC_OWN_, true); /* now the thread's */
}

static bool trt_drive_(trt_runtime *rt, trt_thread_waiter_ *t);

static bool trt_in_task_(void) { return trt_here_.worker && trt_here_.worker->cur; }

static void trt_thread_sleep_(trt_thread_waiter_ *t)
{
    trt_spin_ *spin = &trt_here_.spin;
    uint32_t spins = 0;
    bool woken = TRT_LOAD_(&t->woken, acquire) != 0, paid;
    if (!woken && trt_spin_pays_(spin)) {
        woken = trt_spin_while_(&t->woken, 0, &paid);
        trt_spin_learn_(spin, paid);
    }
    if (woken || !TRT_CAS_(&t->woken, &spins, 2u, acquire)) return;
    while (TRT_LOAD_(&t->woken, acquire) == 2) trt_os_wait_(&t->woken, 2, TRT_FOREVER_);
}

/* Block until `t` is woken. A current-thread runtime runs its tasks meanwhile, on this thread; if
 * it gives up first, nobody wakes who joins `c`: false. (But a job ends.) */
static TRT_COLD_ bool trt_thread_block_(trt_runtime *rt, trt_thread_waiter_ *t, trt_cell_ *c)
{
    bool over = false;
    if (rt && rt->current_thread) {
        trt_visitor_comes_(&rt->drivers);
        over = !trt_drive_(rt, t) && !t->job && trt_join_unlink_(c, &t->waiter);
        trt_visitor_leaves_(&rt->drivers);
    }
    if (!over) trt_thread_sleep_(t);
    return !over;
}

static trt_status_code trt_thread_wait_on_(trt_runtime *rt, uint32_t kind, void *obj, void *out,
                                           uint64_t arg)
{
    trt_thread_waiter_ t;
    trt_status_code status;
    memset(&t, 0, sizeof t);
    trt_here_.failed = false;
    if (trt_in_task_())
        return trt_misuse_(trt_kinds_[kind].name,
                           "this would block a worker: await the operation instead");
    t.waiter.args.obj = obj;
    t.waiter.args.out = out;
    t.waiter.args.arg = arg;
    t.waiter.kind = (uint8_t)kind;
    t.waiter.mode = TRT_MODE_THREAD_;
    t.waiter.status = TRT_PENDING;
    t.drives = rt && rt->current_thread ? rt : NULL;
    t.job = rt && (TRT_LOAD_(&((trt_cell_ *)obj)->state, relaxed) & TRT_JOB_STATE_);
    status = trt_kinds_[kind].poll(NULL, &t.waiter.args, &t.waiter);
    if (status != TRT_PENDING) return status;
    if (!trt_thread_block_(rt, &t, (trt_cell_ *)obj)) return TRT_CANCELLED;
    status = (trt_status_code)t.waiter.status;
    if (kind == TRT_KIND_JOIN_ && status == TRT_PANICKED)
        trt_thread_saw_panic_((trt_panic_record_ *)t.waiter.args.obj);
    return status;
}

static trt_status_code trt_thread_wait_(uint32_t kind, void *obj, void *out, uint64_t arg)
{
    return trt_thread_wait_on_(NULL, kind, obj, out, arg);
}

TRT_DEF_ trt_status_code trt_join_thread_(trt_ref_ ref, void *out)
{
    if (trt_in_task_())
        return trt_misuse_("trt_join_thread", "this would block a worker: await trt_join instead");
    trt_here_.failed = false;
    if (!ref.cell) return trt_ref_status_(ref);
    if (trt_here_.job && trt_here_.job->cell == ref.cell)
        return trt_misuse_("trt_join_thread", "a job cannot join itself");
    return trt_thread_wait_on_(trt_rt_of_(ref.cell), TRT_KIND_JOIN_, ref.cell, out, ref.generation);
}
/* ------------------------------------------------------------------------------------------------
 * >>pool: blocking jobs
 *
 * One FIFO queue and a stack of idle threads. A submit calls a thread: it wakes the one that went
 * idle last, or, if there is none, starts one. At most one is on its way; one that comes, and finds
 * more work than it takes, calls the next before it begins. So a burst of short jobs is run by a
 * few threads, and a burst of long ones still gets a thread each, up to the limit. (To wake one for
 * each job took 30 times longer for jobs that do nothing: spawn_blocking.)
 *
 * One job after the other, each awaited, would be two sleeps and two wakes a job. So the thread
 * that has run one spins for a moment, as the worker does that has nothing else to do, see >>idle.
 *
 * A job is queued, running, or over; the pool's latch guards that. A spawned job's cell says the
 * same by FRESH, which an abort clears to skip the job.
 *
 * Threads that leave are joined by the next that leaves, the last by shutdown: a thread is never
 * detached, so none outlives the runtime.
 */
enum { TRT_JOB_NEW_, TRT_JOB_QUEUED_, TRT_JOB_RUNNING_, TRT_JOB_OVER_ };

static void *trt_pool_main_(void *arg);

static void trt_pool_put_(trt_pool_ *pool, trt_job_ *job) /* latch held */
{
    job->state = TRT_JOB_QUEUED_;
    job->next = NULL;
    job->prev = pool->last;
    if (pool->last) pool->last->next = job;
    else pool->first = job;
    pool->last = job;
    TRT_COUNT_(&pool->queued, 1u);
}

static void trt_pool_remove_(trt_pool_ *pool, trt_job_ *job) /* latch held */
{
    if (job->prev) job->prev->next = job->next;
    else pool->first = job->next;
    if (job->next) job->next->prev = job->prev;
    else pool->last = job->prev;
    TRT_COUNT_(&pool->queued, (uint32_t)-1);
}

/* Latch held: the thread to wake, if one is idle. */
static trt_pool_thread_ *trt_pool_idle_(trt_pool_ *pool)
{
    trt_pool_thread_ *t = pool->idle;
    if (!t) return NULL;
    pool->idle = t->next;
    pool->idle_count--;
    return t;
}

static void trt_pool_wake_(trt_pool_thread_ *t)
{
    trt_a32_ *word = &t->wake;
    TRT_STORE_(word, 1u, release); /* pairs with the acquire in trt_pool_sleep_ */
    trt_os_wake_(word, 1);
}

/* Is one queued or running? Exact with the latch held. */
static bool trt_any_job_(trt_runtime *rt)
{
    return TRT_LOAD_(&rt->pool.queued, relaxed) || TRT_LOAD_(&rt->pool.running, relaxed);
}

/* Whom to call: a thread that is idle, or a new one, or nobody. */
typedef struct trt_summons_ {
    trt_pool_thread_ *wake;
    bool start; /* it is counted in `threads` already */
} trt_summons_;

/* Latch held: does what is queued need a thread? Then the caller wakes or starts it, without the
 * latch. */
static trt_summons_ trt_pool_call_(trt_pool_ *pool, bool may_start)
{
    trt_summons_ call = {NULL, false};
    if (pool->coming || !TRT_LOAD_(&pool->queued, relaxed)) return call;
    call.wake = trt_pool_idle_(pool);
    call.start = may_start && !call.wake && pool->threads < pool->limit;
    pool->threads += call.start;
    pool->coming = call.wake || call.start;
    return call;
}

#define TRT_OWN_BEGINS_ (((uint64_t)1 << 32) + 1) /* one more change, and one more */
#define TRT_OWN_ENDS_ (((uint64_t)1 << 32) - 1)   /* one more change, and one less */

static TRT_COLD_ bool trt_pool_thread_start_(trt_runtime *rt)
{
    trt_pool_thread_ *t = (trt_pool_thread_ *)TASKRT_MALLOC(sizeof *t);
    if (t) {
        memset(t, 0, sizeof *t);
        t->rt = rt;
        trt_latch_(&rt->threads_latch); /* the thread waits for this: `thread` is written then */
        if (trt_os_thread_(&t->thread, trt_pool_main_, t)) {
            TRT_ADD_(&rt->own_threads, TRT_OWN_BEGINS_, release); /* order: as in trt_alone_ */
            trt_unlatch_(&rt->threads_latch);
            return true;
        }
        trt_unlatch_(&rt->threads_latch);
        TASKRT_FREE(t);
    }
    return false;
}

/* Latch held: a job in a frame is over, its waiter gets the status. */
static void trt_job_finish_(trt_job_ *job, trt_status_code status, trt_panic_record_ *panic,
                            trt_wakes_ *wakes)
{
    trt_waiter_ *w = job->waiter;
    job->state = TRT_JOB_OVER_;
    job->status = (uint8_t)status;
    job->waiter = NULL;
    if (!w) return;
    if (!trt_claim_(w, status, wakes)) { /* aborted, or another branch was faster */
        if (w->mode == TRT_MODE_MEMBER_) w->status = (uint8_t)status;
        TASKRT_FREE(panic);
        return;
    }
    if (status == TRT_PANICKED) trt_panic_give_(w, panic);
}

/* Latch held, out of the queue. False: an abort has cleared FRESH, and ends the job once it gets
 * the latch; until then its memory stays. */
static bool trt_job_take_(trt_job_ *job)
{
    trt_cell_ *c = job->cell;
    if (!c || trt_job_claim_(c, TRT_GENERATION_(TRT_LOAD_(&c->state, relaxed)), 0)) return true;
    job->state = TRT_JOB_OVER_;
    return false;
}

/* Latch held on entry and return: jobs that the caller had taken are over, and their waiters woken.
 * The virtual clock stood still for them. */
static void trt_pool_ran_(trt_runtime *rt)
{
    trt_pool_ *pool = &rt->pool;
    TRT_COUNT_(&pool->running, (uint32_t)-1);
    if (!rt->virtual_clock) return;
    trt_unlatch_(&pool->latch);
    trt_unpark_(rt->workers[0]);
    trt_latch_(&pool->latch);
}

/* A start has failed. The threads there are go on; if there is none, and none on its way, every
 * queued job ends with TRT_NO_MEMORY. True: so does `mine`, a spawned job, and the caller ends it.
 * */
static TRT_COLD_ bool trt_pool_start_failed_(trt_runtime *rt, const trt_job_ *mine)
{
    trt_pool_ *pool = &rt->pool;
    trt_wakes_ wakes = TRT_NO_WAKES_;
    trt_job_ *job, *over = NULL;
    trt_summons_ call;
    bool own = false;
    trt_latch_(&pool->latch);
    pool->coming = false;
    pool->threads--;
    TRT_COUNT_(&pool->running, 1u);
    while (!pool->threads && (job = pool->first) != NULL) {
        trt_pool_remove_(pool, job);
        if (!job->cell) {
            trt_job_finish_(job, TRT_NO_MEMORY, NULL, &wakes);
        } else if (trt_job_take_(job)) {
            job->state = TRT_JOB_OVER_;
            job->status = TRT_NO_MEMORY;
            own = own || job == mine;
            if (job == mine) continue;
            job->next = over;
            over = job;
        }
    }
    call = trt_pool_call_(pool, false);
    TRT_ADD_(&pool->changed, 1u, release); /* order: the latch */
    trt_unlatch_(&pool->latch);
    if (call.wake) trt_pool_wake_(call.wake);
    trt_os_wake_(&pool->changed, INT_MAX); /* a shutdown may have waited for the thread */
    trt_wake_(&wakes);
    while ((job = over) != NULL) {
        over = job->next;
        trt_job_end_(job->cell, TRT_NO_MEMORY);
    }
    trt_latch_(&pool->latch);
    trt_pool_ran_(rt);
    trt_unlatch_(&pool->latch);
    return own;
}

/* False: there is no thread, and `mine`, a spawned job, is the caller's to end. */
static bool trt_pool_called_(trt_runtime *rt, trt_summons_ call, const trt_job_ *mine)
{
    if (call.wake) trt_pool_wake_(call.wake);
    return !call.start || trt_pool_thread_start_(rt) || !trt_pool_start_failed_(rt, mine);
}

/* Latch held on entry, not on return, when the job may be over already. False: as above. */
static bool trt_pool_queue_(trt_runtime *rt, trt_job_ *job)
{
    trt_pool_ *pool = &rt->pool;
    trt_summons_ call;
    trt_pool_put_(pool, job);
    call = trt_pool_call_(pool, true);
    trt_unlatch_(&pool->latch);
    return trt_pool_called_(rt, call, job);
}

/* A spawned job. Latch held on entry, not on return. False: there is no thread to run it, and it is
 * gone. */
static bool trt_pool_submit_(trt_runtime *rt, trt_job_ *job, bool set)
{
    trt_cell_ *c = job->cell;
    if (trt_pool_queue_(rt, job)) return true;
    if (set) { /* the set reports it */
        trt_job_end_(c, TRT_NO_MEMORY);
        return true;
    }
    trt_count_end_(rt);
    trt_cell_end_(c);
    trt_check_closing_(rt);
    return false;
}

/* FRESH is cleared by the caller, who alone may end the job now. If that is a thread from outside,
 * who joins the job may free the runtime before it has left: so it is a visitor. */
static TRT_COLD_ void trt_job_skip_(trt_cell_ *c)
{
    trt_runtime *rt = trt_rt_of_(c);
    trt_pool_ *pool = &rt->pool;
    trt_job_ *job = trt_job_of_(c);
    trt_visitor_comes_(&rt->visitors);
    trt_latch_(&pool->latch);
    TRT_ASSERT_(job->state != TRT_JOB_NEW_);
    if (job->state == TRT_JOB_QUEUED_) trt_pool_remove_(pool, job);
    job->state = TRT_JOB_OVER_;
    job->status = TRT_CANCELLED;
    trt_unlatch_(&pool->latch);
    trt_job_end_(c, TRT_CANCELLED);
    trt_visitor_leaves_(&rt->visitors);
}

/* What is left in sets of its own is aborted, and let go: a thread waits for no task. */
static TRT_COLD_ void trt_job_leaves_(const trt_job_ *job)
{
    trt_owned_ *node = NULL;
    trt_adopt_in_(trt_cell_around_(job), job, job->type->size, &node);
    while (node) {
        trt_set_ *set = TRT_CONTAINER_(trt_set_, owned, node);
        node = node->next;
        trt_abort_all_(set);
        trt_detach_all_(set);
        TRT_STORE_(&set->home, TRT_HOME_UNKNOWN_, relaxed);
    }
}

static void trt_job_call_(trt_job_ *job)
{
    jmp_buf trap;
    trt_here_.job = job;
    trt_here_.job_trap = &trap;
    trt_here_.job_panic = NULL;
    trt_here_.failed = false; /* what the thread's last job has seen is not this one's */
    job->status = TRT_PANICKED;
    if (setjmp(trap) == 0) {
        job->type->job(job);
        trt_here_.job->status = TRT_OK;
    }
    trt_here_.job = NULL;
    trt_here_.job_trap = NULL;
}

/* Run a job that has been taken from the queue. */
static void trt_job_run_(trt_runtime *rt, trt_job_ *job)
{
    trt_wakes_ wakes = TRT_NO_WAKES_;
    trt_cell_ *c = job->cell;
    trt_job_call_(job);
    if (job->type->self_size >= sizeof(trt_set_) && TRT_LOAD_(&trt_strays_some_, relaxed))
        trt_job_leaves_(job);
    if (c) {
        trt_job_end_(c, (trt_status_code)job->status);
        return;
    }
    trt_latch_(&rt->pool.latch);
    trt_job_finish_(job, (trt_status_code)job->status, trt_here_.job_panic, &wakes);
    trt_unlatch_(&rt->pool.latch);
    trt_wake_(&wakes);
}

/* Latch held on entry and return. False: the thread is to leave. */
static TRT_COLD_ bool trt_pool_sleep_(trt_runtime *rt, trt_pool_thread_ *t)
{
    trt_pool_ *pool = &rt->pool;
    trt_instant until = trt_after_(trt_clock_(), rt->config.blocking_keep_alive);
    trt_pool_thread_ **at;
    if (pool->closed) return false;
    TRT_STORE_(&t->wake, 0u, relaxed);
    t->next = pool->idle;
    pool->idle = t;
    pool->idle_count++;
    trt_unlatch_(&pool->latch);
    while (!TRT_LOAD_(&t->wake, relaxed) && trt_clock_() < until) trt_os_wait_(&t->wake, 0, until);
    trt_latch_(&pool->latch);
    /* order: saves the way through the list. (Acquire: the waker's store comes before our free.) */
    if (TRT_LOAD_(&t->wake, acquire)) {
        pool->coming = false;
        return true;
    }
    for (at = &pool->idle; *at; at = &(*at)->next) {
        if (*at != t) continue;
        *at = t->next;
        pool->idle_count--;
        return false;
    }
    trt_unlatch_(&pool->latch); /* taken off the list: the wake is on its way, and touches `t` */
    while (!TRT_LOAD_(&t->wake, acquire)) trt_os_wait_(&t->wake, 0, TRT_FOREVER_);
    trt_latch_(&pool->latch);
    pool->coming = false;
    return true;
}

/* Latch held on entry and return. A task that has awaited a job often has the next one right away:
 * stay for a moment, as somebody who comes. */
static void trt_pool_linger_(trt_runtime *rt, trt_pool_thread_ *t)
{
    trt_pool_ *pool = &rt->pool;
    bool paid;
    if (pool->coming || pool->closed || !trt_spin_pays_(&t->spin)) return;
    pool->coming = true;
    trt_unlatch_(&pool->latch);
    (void)trt_spin_while_(&pool->queued, 0, &paid);
    trt_spin_learn_(&t->spin, paid);
    trt_latch_(&pool->latch);
    pool->coming = false;
}

/* Latch held on entry, not on return. */
static TRT_COLD_ void trt_pool_leave_(trt_runtime *rt, trt_pool_thread_ *t)
{
    trt_pool_ *pool = &rt->pool;
    bool join = pool->has_exited;
    trt_summons_ call;
    trt_thread_id_ before = pool->exited;
    pool->exited = t->thread;
    pool->has_exited = true;
    trt_unlatch_(&pool->latch);
    if (join) trt_os_join_(before);
    if (rt->config.on_thread_stop) rt->config.on_thread_stop(rt->config.user);
    TASKRT_FREE(t);
    trt_latch_(&pool->latch);
    pool->threads--;
    call = trt_pool_call_(pool, true); /* for a job that came when this thread still counted */
    TRT_ADD_(&pool->changed, 1u, release); /* order: the latch */
    trt_unlatch_(&pool->latch);
    (void)trt_pool_called_(rt, call, NULL); /* a new one counts again: shutdown waits on */
    trt_os_wake_(&pool->changed, INT_MAX);
}

static void *trt_pool_main_(void *arg)
{
    trt_pool_thread_ *t = (trt_pool_thread_ *)arg;
    trt_runtime *rt = t->rt;
    trt_pool_ *pool = &rt->pool;
    trt_job_ *job;
    trt_summons_ call;
    trt_latch_(&rt->threads_latch);
    trt_unlatch_(&rt->threads_latch);
    trt_os_name_("trt-blocking");
    trt_here_.rt = rt;
    if (rt->config.on_thread_start) rt->config.on_thread_start(rt->config.user);
    trt_latch_(&pool->latch);
    pool->coming = false;
    for (;;) {
        job = pool->first;
        if (!job) {
            if (!trt_pool_sleep_(rt, t)) break;
            continue;
        }
        trt_pool_remove_(pool, job);
        if (!trt_job_take_(job)) continue;
        job->state = TRT_JOB_RUNNING_;
        TRT_COUNT_(&pool->running, 1u);
        call = trt_pool_call_(pool, true);
        trt_unlatch_(&pool->latch);
        (void)trt_pool_called_(rt, call, NULL);
        trt_job_run_(rt, job);
        trt_latch_(&pool->latch);
        trt_pool_ran_(rt);
        if (!pool->first) trt_pool_linger_(rt, t);
    }
    trt_pool_leave_(rt, t);
    TRT_ADD_(&rt->own_threads, TRT_OWN_ENDS_, release); /* order: as in trt_alone_ */
    return NULL;
}

/* The job in a frame: an operation. */
TRT_DEF_ trt_op trt_blocking_(trt_job_ *job, const trt_type_ *type)
{
    memset(job, 0, type->self_offset);
    job->type = type;
    return trt_op_(TRT_KIND_BLOCKING_, job, NULL, 0);
}

static trt_status_code trt_blocking_poll_(trt_co *co, trt_args_ *args, trt_waiter_ *w)
{
    trt_job_ *job = (trt_job_ *)args->obj;
    trt_runtime *rt = trt_here_.worker->rt;
    (void)co;
    if (!w) return TRT_PENDING;
    w->linked = 0;
    if (job->rt) return trt_misuse_("trt_blocking", "the job was awaited before");
    job->rt = rt; /* before the park, which publishes it to whoever cancels */
    trt_latch_(&rt->pool.latch);
    if (!trt_park_(w)) {
        trt_unlatch_(&rt->pool.latch);
        return TRT_REFUSED_;
    }
    job->waiter = w;
    job->state = TRT_JOB_NEW_;
    (void)trt_pool_queue_(rt, job); /* without a thread it has been completed like any other wait */
    return TRT_PENDING;
}

/* Latch held. True: it is out of the queue, or was over; false: it runs, and was asked to stop. */
static bool trt_job_withdraw_(trt_pool_ *pool, trt_job_ *job)
{
    if (job->state == TRT_JOB_RUNNING_) {
        TRT_STORE_(&job->cancel, 1u, release);
        return false;
    }
    if (job->state == TRT_JOB_QUEUED_) trt_pool_remove_(pool, job);
    job->state = TRT_JOB_OVER_;
    job->waiter = NULL;
    return true;
}

static void trt_blocking_cancel_(trt_waiter_ *w) /* of a group's member */
{
    trt_job_ *job = (trt_job_ *)w->args.obj;
    trt_pool_ *pool;
    if (!job->rt) return;
    pool = &job->rt->pool;
    trt_latch_(&pool->latch);
    if (job->waiter == w && !trt_job_withdraw_(pool, job)) {
        TRT_ADD_(&trt_group_of_(w)->linger, 1u, relaxed);
        w->linked = TRT_LINGERS_;
    }
    trt_unlatch_(&pool->latch);
}

/* An aborted strand whose only wait is the job. False: it waits again, for the job to end. */
static bool trt_job_cancel_strand_(trt_waiter_ *w)
{
    trt_cell_ *c = trt_waiting_cell_(w);
    trt_job_ *job = (trt_job_ *)w->args.obj;
    trt_pool_ *pool = &job->rt->pool;
    bool out;
    trt_latch_(&pool->latch);
    out = job->waiter != w || trt_job_withdraw_(pool, job);
    if (!out) {
        c->flags |= TRT_LEAVING_;
        trt_park_strand_(c, TRT_SHIELD_);
    }
    trt_unlatch_(&pool->latch);
    return out;
}
/* ------------------------------------------------------------------------------------------------
 * >>impl-fds
 *
 * Readiness of file descriptors. One record an fd, in 16 shards by number, each with a latch;
 * records stay until the runtime is freed. Waiters of one direction are woken together; hang-up and
 * error wake both directions. The poller is opened by the first wait. Before, nobody needs it, and
 * workers sleep on futexes.
 *
 * kqueue and poll: every wait looks at the fd, and if it is not ready arms the poller for one shot.
 *
 * epoll: each worker has a poller of its own, for the fds whose home it is: those that were awaited
 * first there. It looks there before it looks at what others have. So a task, its fd, and what the
 * kernel keeps of it stay on one processor. (Two workers with one poller did no more than one:
 * tcp_echo_50c 222,000 requests a second; with a poller each 259,000.) If a wait begins elsewhere
 * eight times in a row, that is its home from then on: so fds spread as the work does. The pollers
 * are themselves in one poller of the runtime, where the driver sleeps: it takes what comes for
 * anybody. If nobody drives, workers look there too, in each round if somebody sleeps, now and then
 * if nobody does; and the watch thread looks at the poller of who is stuck.
 *
 * An fd stays armed, edge-triggered, from its first wait on, and a further wait of the same
 * task makes no system call: on a busy server the next edge comes before anybody would sleep. Two
 * things can go wrong, and neither is told by an edge: the fd was ready all the time (its reader
 * has left some), or it was closed and its number used again (the kernel has forgotten it). So such
 * a wait is `unsure`: its record is in a list of the worker. The worker verifies it 16 rounds of
 * maintenance after the wait began, or in the first round that is 16 ms later: rounds may be long.
 * If all workers sleep, the last to fall asleep verifies all lists after a nap of 100 us; who falls
 * asleep while others work does so after 1 ms. If a worker is stuck, the watch thread does. To
 * verify is to look at the level and, if the fd is not ready, to arm it again: the kernel looks
 * once more, and an fd that it does not know is added, under a new generation that tells late
 * events of the old one apart.
 *
 *   task     another task's wait for the same fd is probably one for another file: it looks and
 *            arms, as the first does
 *   hurried  so does a wait in a group, or with a deadline of less than a second: it might be over
 *            before anybody verifies it
 *   often    above 0 they all do, because one was found ready only when it was verified, or for
 *            another file; what finds that again raises it, what does not lowers it
 *   missed   an edge came while nobody waited: the next wait begins with a look
 *   harvest  if the wait began while somebody was in the poller of its home, the event that he
 *            brings may be older: of data that have been read since, or of another file. It counts
 *            if a look confirms it
 *
 * A look is poll() for one fd.
 */
enum { TRT_FD_OFTEN_ = 8, TRT_FD_ROUNDS_ = 16, TRT_FD_ROUND_NS_ = 1000000 };
enum { TRT_FD_NAP_NS_ = 100000, TRT_FD_LONG_NAP_NS_ = 1000000 };
enum { TRT_FD_AWAY_ = (TRT_BUDGET_ + 15) / 16, TRT_FD_HURRIED_NS_ = 1000000000 };

static void trt_fd_event_(trt_runtime *rt, int fd, uint32_t generation, uint32_t ready, int error,
                          trt_wakes_ *wakes);
static uint32_t trt_fd_interest_(const trt_fd_ *record);
static void trt_driver_again_(trt_runtime *rt);

#if defined __linux__ && !defined TASKRT_POLL
enum { TRT_POLLER_KEEPS_ = 1 }; /* an fd stays armed */
#else
enum { TRT_POLLER_KEEPS_ = 0 };
#endif

#if defined __linux__ && !defined TASKRT_POLL
static bool trt_poller_open_(trt_runtime *rt)
{
    struct epoll_event event;
    memset(&event, 0, sizeof event);
    event.events = EPOLLIN | EPOLLET; /* edge: the count need not be read */
    event.data.u64 = UINT64_MAX;
    rt->poller = TRT_SYS_(epoll_create1)(EPOLL_CLOEXEC);
    if (rt->poller < 0) return false;
    rt->poller_wake[0] = TRT_SYS_(eventfd)(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (rt->poller_wake[0] >= 0 &&
        TRT_SYS_(epoll_ctl)(rt->poller, EPOLL_CTL_ADD, rt->poller_wake[0], &event) == 0)
        return true;
    if (rt->poller_wake[0] >= 0) TRT_SYS_(close)(rt->poller_wake[0]);
    TRT_SYS_(close)(rt->poller);
    rt->poller = rt->poller_wake[0] = -1;
    return false;
}

static void trt_poller_interrupt_(trt_runtime *rt)
{
    uint64_t one = 1;
    if (TRT_SYS_(write)(rt->poller_wake[0], &one, sizeof one) < 0) { /* full: it is awake anyway */
    }
}

/* The poller of a worker, told apart by this number from the fds in the runtime's. */
#define TRT_POLLER_OF_(index) (UINT64_MAX - 1 - (index))
static bool trt_is_poller_(uint64_t data) { return data >> 32 == UINT32_MAX; }

/* By the worker itself, when it becomes the home of an fd. The only worker needs no second one.
 * Negative: errno tells. */
static TRT_COLD_ int trt_poller_of_(trt_worker_ *w)
{
    struct epoll_event event;
    int poller = (int)TRT_LOAD_(&w->poller, relaxed) - 1;
    if (poller >= 0) return poller;
    if (w->solo) {
        poller = w->rt->poller;
    } else {
        memset(&event, 0, sizeof event);
        event.events = EPOLLIN; /* as long as there is any event in it */
        event.data.u64 = TRT_POLLER_OF_(w->index);
        poller = TRT_SYS_(epoll_create1)(EPOLL_CLOEXEC);
        if (poller < 0) return -1;
        if (TRT_SYS_(epoll_ctl)(w->rt->poller, EPOLL_CTL_ADD, poller, &event) != 0) {
            int error = errno;
            TRT_SYS_(close)(poller);
            errno = error;
            return -1;
        }
    }
    TRT_STORE_(&w->poller, (uint32_t)poller + 1, release);
    return poller;
}

/* A worker that has a poller; without one, `w` may be the first to wait. */
static TRT_COLD_ trt_worker_ *trt_poller_any_(trt_worker_ *w)
{
    trt_runtime *rt = w->rt;
    size_t i;
    for (i = 0; i < rt->n_workers && !TRT_LOAD_(&w->poller, acquire); i++) w = rt->workers[i];
    return TRT_LOAD_(&w->poller, relaxed) ? w : NULL;
}

/* Shard latch held: this worker becomes the home of an fd, or if it can have no poller, another. 0
 * or errno. */
static TRT_COLD_ int trt_fd_move_(trt_worker_ *w, trt_fd_ *record)
{
    if (trt_poller_of_(w) < 0) {
        int error = errno;
        if (record->home) return 0;
        w = trt_poller_any_(w);
        if (!w) return error;
    }
    if (record->home) { /* it may have forgotten it, if it was closed */
        /* order: as in trt_poller_arm_ */
        int poller = (int)TRT_LOAD_(&record->home->poller, relaxed) - 1;
        TRT_SYS_(epoll_ctl)(poller, EPOLL_CTL_DEL, record->fd, NULL);
    }
    record->armed = 0;
    record->away = 0;
    record->home = w;
    return 0;
}

/* Shard latch held, this worker begins to wait: where is the home of this fd? 0 or errno. */
static int trt_fd_settle_(trt_worker_ *w, trt_fd_ *record)
{
    if (TRT_LIKELY_(record->home == w)) {
        record->away = 0;
        return 0;
    }
    if (record->home && (++record->away < TRT_FD_AWAY_ || trt_fd_interest_(record))) return 0;
    return trt_fd_move_(w, record);
}

/* Shard latch held. 0 or errno. */
static TRT_COLD_ int trt_poller_arm_(trt_runtime *rt, trt_fd_ *record, uint32_t interest)
{
    struct epoll_event event;
    /* order: its home has opened it before the latch was free */
    int poller = (int)TRT_LOAD_(&record->home->poller, relaxed) - 1;
    uint32_t all = record->armed | interest;
    (void)rt;
    memset(&event, 0, sizeof event);
    event.events = (uint32_t)EPOLLET | (all & TRT_READ_ ? (uint32_t)EPOLLIN | EPOLLRDHUP : 0u) |
                   (all & TRT_WRITE_ ? (uint32_t)EPOLLOUT : 0u);
    event.data.u64 = (uint64_t)record->generation << 32 | (uint32_t)record->fd;
    if (TRT_SYS_(epoll_ctl)(poller, EPOLL_CTL_MOD, record->fd, &event) != 0) {
        record->armed = 0;
        if (errno != ENOENT) return errno;
        if (++record->generation == UINT32_MAX) record->generation = 1;
        event.data.u64 = (uint64_t)record->generation << 32 | (uint32_t)record->fd;
        if (TRT_SYS_(epoll_ctl)(poller, EPOLL_CTL_ADD, record->fd, &event) != 0) return errno;
    }
    record->armed = all;
    return 0;
}

/* epoll_wait counts milliseconds. What is below is waited for by polling the poller itself, and not
 * by epoll_pwait2: Linux has that since 5.11, valgrind reports it, and some sandboxes refuse it. */
static int trt_epoll_(int poller, struct epoll_event *events, int most, trt_duration timeout)
{
    int64_t ms = timeout < 0 ? -1 : timeout / 1000000;
    if (timeout < 0 || timeout % 1000000 == 0 || ms > INT_MAX) {
        return TRT_SYS_(epoll_wait)(poller, events, most, ms > INT_MAX ? INT_MAX : (int)ms);
    } else {
        struct pollfd self = {poller, POLLIN, 0};
#if defined SYS_ppoll
        struct { long sec, nsec; } rest = {0, (long)(timeout % 1000000)};
        long call = SYS_ppoll;
#else
        struct { int64_t sec, nsec; } rest = {0, timeout % 1000000};
        long call = SYS_ppoll_time64;
#endif
        int n = ms ? TRT_SYS_(epoll_wait)(poller, events, most, (int)ms) : 0;
        if (n != 0 || TRT_SYS_(syscall)(call, &self, 1, &rest, NULL, 0) <= 0) return n;
        return TRT_SYS_(epoll_wait)(poller, events, most, 0);
    }
}

static void trt_poller_take_(trt_worker_ *of);

static void trt_poller_tell_(trt_runtime *rt, const struct epoll_event *events, int n)
{
    trt_wakes_ wakes = TRT_NO_WAKES_;
    int i;
    for (i = 0; i < n; i++) {
        uint64_t data = events[i].data.u64;
        uint32_t e = events[i].events, ready = 0;
        if (data == UINT64_MAX) continue; /* an interrupt */
        if (trt_is_poller_(data)) {
            trt_poller_take_(rt->workers[TRT_POLLER_OF_(data)]);
            continue;
        }
        if (e & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) ready |= TRT_READ_;
        if (e & (EPOLLOUT | EPOLLHUP | EPOLLERR)) ready |= TRT_WRITE_;
        trt_fd_event_(rt, (int)(uint32_t)data, (uint32_t)(data >> 32), ready, 0, &wakes);
    }
    trt_wake_(&wakes);
}

/* What has come for the fds of one worker. If somebody else is at it, he tells. */
static TRT_NOINLINE_ void trt_poller_take_(trt_worker_ *of)
{
    struct epoll_event events[128];
    int poller = (int)TRT_LOAD_(&of->poller, acquire) - 1, n;
    uint32_t nobody = 0;
    if (poller < 0 || !TRT_CAS_(&of->harvesting, &nobody, 1u, acquire)) return;
    /* order: the system's calls lie between this and the wait that it is for, see
     * trt_fd_register_; they are outside of the model */
    TRT_ADD_(&of->harvest, 1u, seq_cst);
    n = TRT_SYS_(epoll_wait)(poller, events, 128, 0);
    trt_poller_tell_(of->rt, events, n);
    TRT_STORE_(&of->harvesting, 0u, release);
}

/* As the driver: wait for events, at most `timeout` (negative: for ever), and complete the waits
 * that they end. */
static void trt_poller_wait_(trt_runtime *rt, trt_duration timeout)
{
    struct epoll_event events[128];
    if (rt->workers[0]->solo) TRT_ADD_(&rt->workers[0]->harvest, 1u, seq_cst); /* order: as above */
    trt_poller_tell_(rt, events, trt_epoll_(rt->poller, events, 128, timeout));
}

static void trt_poller_close_(trt_runtime *rt)
{
    size_t i;
    if (!TRT_LOAD_(&rt->poller_ready, relaxed)) return;
    for (i = 0; i < rt->n_workers && rt->n_workers > 1; i++) {
        int poller = (int)TRT_LOAD_(&rt->workers[i]->poller, relaxed) - 1;
        if (poller >= 0) TRT_SYS_(close)(poller);
    }
    TRT_SYS_(close)(rt->poller);
    TRT_SYS_(close)(rt->poller_wake[0]);
}
#else
static int trt_fd_settle_(trt_worker_ *w, trt_fd_ *record)
{
    record->home = w;
    return 0;
}

static bool trt_wake_pipe_open_(trt_runtime *rt)
{
    int i;
    if (TRT_SYS_(pipe)(rt->poller_wake) != 0) return false;
    for (i = 0; i < 2; i++) {
        TRT_SYS_(fcntl)(rt->poller_wake[i], F_SETFL, O_NONBLOCK);
        TRT_SYS_(fcntl)(rt->poller_wake[i], F_SETFD, FD_CLOEXEC);
    }
    return true;
}

static void trt_poller_interrupt_(trt_runtime *rt)
{
    char one = 1;
    if (TRT_SYS_(write)(rt->poller_wake[1], &one, 1) < 0) { /* full: it is awake anyway */
    }
}

static void trt_wake_pipe_drain_(trt_runtime *rt)
{
    char bytes[64];
    while (TRT_SYS_(read)(rt->poller_wake[0], bytes, sizeof bytes) > 0) {}
}

#if defined TASKRT_POLL
static bool trt_poller_open_(trt_runtime *rt) { return trt_wake_pipe_open_(rt); }

/* The set is read when a worker begins to poll: one that polls already has to begin again. */
static TRT_COLD_ int trt_poller_arm_(trt_runtime *rt, trt_fd_ *record, uint32_t interest)
{
    record->armed = interest;
    if (TRT_LOAD_(&rt->polling, relaxed)) trt_poller_interrupt_(rt); /* the shard's latch orders */
    return 0;
}

#define TRT_POLL_FEW_ 64u /* fds that are polled without memory */

/* The armed fds, behind the wake pipe. If there is no memory for all of them: as many as there is
 * room for, and the next ones at the next call. */
static size_t trt_poll_set_(trt_runtime *rt, struct pollfd *few, struct pollfd **set, bool *all)
{
    size_t n = 1, shard, seen = 0, skip = rt->poll_skip;
    size_t capacity = rt->poll_set ? rt->poll_capacity : TRT_POLL_FEW_;
    *set = rt->poll_set ? rt->poll_set : few;
    *all = true;
    (*set)[0].fd = rt->poller_wake[0];
    (*set)[0].events = POLLIN;
    (*set)[0].revents = 0;
    for (shard = 0; shard < TRT_FD_SHARDS_; shard++) {
        trt_fds_ *fds = &rt->fds[shard];
        uint32_t i;
        trt_latch_(&fds->latch);
        for (i = 0; i < fds->size; i++) {
            trt_fd_ *record;
            for (record = fds->table[i]; record; record = record->next) {
                if (!record->armed) continue;
                if (seen++ < skip) {
                    *all = false;
                    continue;
                }
                if (n == capacity) {
                    struct pollfd *more =
                        (struct pollfd *)TASKRT_MALLOC(capacity * 2 * sizeof *more);
                    if (!more) {
                        *all = false;
                        continue;
                    }
                    memcpy(more, *set, n * sizeof *more);
                    TASKRT_FREE(rt->poll_set);
                    rt->poll_set = *set = more;
                    rt->poll_capacity = capacity *= 2;
                }
                (*set)[n].fd = record->fd;
                (*set)[n].events = (short)((record->armed & TRT_READ_ ? POLLIN : 0) |
                                           (record->armed & TRT_WRITE_ ? POLLOUT : 0));
                (*set)[n++].revents = 0;
            }
        }
        trt_unlatch_(&fds->latch);
    }
    rt->poll_skip = *all || skip + n - 1 >= seen ? 0 : skip + n - 1;
    return n;
}

static void trt_poller_wait_(trt_runtime *rt, trt_duration timeout)
{
    struct pollfd few[TRT_POLL_FEW_], *set;
    size_t n, i;
    int64_t ms = timeout < 0 ? -1 : timeout / 1000000 + (timeout % 1000000 != 0);
    bool all;
    trt_wakes_ wakes = TRT_NO_WAKES_;
    /* From here on, whoever arms interrupts: or has armed before that shard is looked at. */
    TRT_STORE_(&rt->polling, 1u, relaxed);
    n = trt_poll_set_(rt, few, &set, &all);
    if (!all && (ms < 0 || ms > 10)) ms = 10; /* those that were left out are next */
    if (TRT_SYS_(poll)(set, (nfds_t)n, ms > INT_MAX ? INT_MAX : (int)ms) < 0) n = 0;
    TRT_STORE_(&rt->polling, 0u, relaxed);
    if (n && set[0].revents) trt_wake_pipe_drain_(rt);
    for (i = 1; i < n; i++) {
        int e = set[i].revents;
        uint32_t ready = 0;
        if (e & (POLLIN | POLLHUP | POLLERR | POLLNVAL)) ready |= TRT_READ_;
        if (e & (POLLOUT | POLLHUP | POLLERR | POLLNVAL)) ready |= TRT_WRITE_;
        if (ready) trt_fd_event_(rt, set[i].fd, 0, ready, e & POLLNVAL ? EBADF : 0, &wakes);
    }
    trt_wake_(&wakes);
}
#else /* kqueue */
static bool trt_poller_open_(trt_runtime *rt)
{
    struct kevent change;
    rt->poller = TRT_SYS_(kqueue)();
    if (rt->poller < 0) return false;
    if (trt_wake_pipe_open_(rt)) {
        EV_SET(&change, (uintptr_t)rt->poller_wake[0], EVFILT_READ, EV_ADD, 0, 0, 0);
        if (TRT_SYS_(kevent)(rt->poller, &change, 1, NULL, 0, NULL) == 0) return true;
        TRT_SYS_(close)(rt->poller_wake[0]);
        TRT_SYS_(close)(rt->poller_wake[1]);
    }
    TRT_SYS_(close)(rt->poller);
    return false;
}

static TRT_COLD_ int trt_poller_arm_(trt_runtime *rt, trt_fd_ *record, uint32_t interest)
{
    struct kevent changes[2];
    int n = 0;
    if (interest & TRT_READ_)
        EV_SET(&changes[n++], (uintptr_t)record->fd, EVFILT_READ, EV_ADD | EV_ONESHOT, 0, 0, 0);
    if (interest & TRT_WRITE_)
        EV_SET(&changes[n++], (uintptr_t)record->fd, EVFILT_WRITE, EV_ADD | EV_ONESHOT, 0, 0, 0);
    return TRT_SYS_(kevent)(rt->poller, changes, n, NULL, 0, NULL) == 0 ? 0 : errno;
}

static void trt_poller_wait_(trt_runtime *rt, trt_duration timeout)
{
    struct kevent events[128];
    struct timespec at;
    trt_wakes_ wakes = TRT_NO_WAKES_;
    int n, i;
    at.tv_sec = (time_t)(timeout / 1000000000);
    at.tv_nsec = (long)(timeout % 1000000000);
    n = TRT_SYS_(kevent)(rt->poller, NULL, 0, events, 128, timeout < 0 ? NULL : &at);
    for (i = 0; i < n; i++) {
        uint32_t ready = events[i].filter == EVFILT_WRITE ? TRT_WRITE_ : TRT_READ_;
        if ((int)events[i].ident == rt->poller_wake[0]) {
            trt_wake_pipe_drain_(rt);
            continue;
        }
        if (events[i].flags & (EV_EOF | EV_ERROR)) ready = TRT_READ_ | TRT_WRITE_;
        trt_fd_event_(rt, (int)events[i].ident, 0, ready, 0, &wakes);
    }
    trt_wake_(&wakes);
}
#endif

static void trt_poller_close_(trt_runtime *rt)
{
    if (!TRT_LOAD_(&rt->poller_ready, relaxed)) return;
#if defined TASKRT_POLL
    TASKRT_FREE(rt->poll_set);
#else
    TRT_SYS_(close)(rt->poller);
#endif
    TRT_SYS_(close)(rt->poller_wake[0]);
    TRT_SYS_(close)(rt->poller_wake[1]);
}
#endif

static bool trt_poller_ensure_(trt_runtime *rt)
{
    bool ready = TRT_LOAD_(&rt->poller_ready, acquire) != 0;
    if (ready) return true;
    trt_latch_(&rt->poller_latch);
    ready = TRT_LOAD_(&rt->poller_ready, relaxed) || trt_poller_open_(rt);
    if (ready) TRT_STORE_(&rt->poller_ready, 1u, release);
    trt_unlatch_(&rt->poller_latch);
    if (!ready) return false;
    TRT_FENCE_(&rt->driver); /* pairs with the driver's, before it looks for a poller */
    trt_driver_again_(rt);   /* it sleeps on a futex: it has to move over */
    return true;
}

/* Shard latch held. */
static bool trt_fds_grow_(trt_fds_ *fds)
{
    uint32_t size = fds->size ? fds->size * 2 : 8, i;
    trt_fd_ **table = (trt_fd_ **)TASKRT_MALLOC(size * sizeof *table);
    if (!table) return false;
    for (i = 0; i < size; i++) table[i] = NULL;
    for (i = 0; i < fds->size; i++) {
        trt_fd_ *record, *next;
        for (record = fds->table[i]; record; record = next) {
            uint32_t at = (uint32_t)record->fd / TRT_FD_SHARDS_ % size;
            next = record->next;
            record->next = table[at];
            table[at] = record;
        }
    }
    TASKRT_FREE(fds->table);
    fds->table = table;
    fds->size = size;
    return true;
}

/* Shard latch held: a record for an fd that has none; NULL: no memory. */
static TRT_COLD_ trt_fd_ *trt_fd_new_(trt_fds_ *fds, int fd)
{
    trt_fd_ *record, **at;
    if (fds->used == fds->size && !trt_fds_grow_(fds)) return NULL;
    record = (trt_fd_ *)TASKRT_MALLOC(sizeof *record);
    if (!record) return NULL;
    memset(record, 0, sizeof *record);
    at = &fds->table[(uint32_t)fd / TRT_FD_SHARDS_ % fds->size];
    record->fd = fd;
    record->next = *at;
    *at = record;
    fds->used++;
    return record;
}

/* Shard latch held: NULL if it has none. */
static inline trt_fd_ *trt_fd_record_(const trt_fds_ *fds, int fd)
{
    uint32_t number = (uint32_t)fd / TRT_FD_SHARDS_;
    trt_fd_ *record = fds->size ? fds->table[number % fds->size] : NULL;
    while (record && record->fd != fd) record = record->next;
    return record;
}

static void trt_fds_free_(trt_runtime *rt)
{
    size_t shard;
    for (shard = 0; shard < TRT_FD_SHARDS_; shard++) {
        trt_fds_ *fds = &rt->fds[shard];
        uint32_t i;
        for (i = 0; i < fds->size; i++) {
            while (fds->table[i]) {
                trt_fd_ *record = fds->table[i];
                fds->table[i] = record->next;
                TASKRT_FREE(record);
            }
        }
        TASKRT_FREE(fds->table);
    }
}

static trt_fds_ *trt_shard_(trt_runtime *rt, int fd)
{
    return &rt->fds[(uint32_t)fd % TRT_FD_SHARDS_];
}

static void trt_fd_complete_(trt_runtime *rt, trt_list_ *list, int error, trt_wakes_ *wakes)
{
    trt_waiter_ *w;
    while ((w = list->head) != NULL) {
        trt_list_remove_(list, w);
        TRT_SUB_(&rt->fds_waiting, 1u, relaxed);
        w->error = (uint16_t)error; /* who loses it passes this latch */
        trt_claim_(w, error ? TRT_ERRNO : TRT_OK, wakes);
    }
}

static uint32_t trt_fd_interest_(const trt_fd_ *record)
{
    return (record->readers.head ? (uint32_t)TRT_READ_ : 0u) |
           (record->writers.head ? (uint32_t)TRT_WRITE_ : 0u);
}

/* The look: which of these directions are ready right now? Regular files always are; an fd that is
 * not open is ready to say so, in `error`. */
static uint32_t trt_fd_look_(int fd, uint32_t directions, int *error)
{
    struct pollfd p;
    int n;
    p.fd = fd;
    p.events = (short)((directions & TRT_READ_ ? POLLIN : 0) |
                       (directions & TRT_WRITE_ ? POLLOUT : 0));
    p.revents = 0;
    do {
        n = TRT_SYS_(poll)(&p, 1, 0);
    } while (n < 0 && errno == EINTR);
    *error = n < 0 ? errno : p.revents & POLLNVAL ? EBADF : 0;
    if (*error || (p.revents & (POLLHUP | POLLERR))) return directions;
    return (p.revents & POLLIN ? (uint32_t)TRT_READ_ : 0u) |
           (p.revents & POLLOUT ? (uint32_t)TRT_WRITE_ : 0u);
}

/* How often a look pays: much if one was missing. */
static void trt_fd_learn_(trt_fd_ *record, uint32_t directions, int by)
{
    int i;
    for (i = 0; i < 2; i++) {
        int often = (int)record->of[i].often + by;
        if (!(directions & ((uint32_t)TRT_READ_ << i))) continue;
        if (often > TRT_FD_OFTEN_) often = TRT_FD_OFTEN_;
        record->of[i].often = often < 0 ? 0 : (uint32_t)often;
    }
}

static void trt_fd_ready_(trt_runtime *rt, trt_fd_ *record, uint32_t ready, int error,
                          trt_wakes_ *wakes)
{
    if (ready & TRT_READ_) trt_fd_complete_(rt, &record->readers, error, wakes);
    if (ready & TRT_WRITE_) trt_fd_complete_(rt, &record->writers, error, wakes);
}

/* Latched: arm it for those that still wait. If that fails it was closed. */
static void trt_fd_rearm_(trt_runtime *rt, trt_fd_ *record, trt_wakes_ *wakes)
{
    uint32_t left = trt_fd_interest_(record);
    int error = left ? trt_poller_arm_(rt, record, left) : 0;
    if (error) trt_fd_ready_(rt, record, TRT_READ_ | TRT_WRITE_, error, wakes);
}

static void trt_fd_event_(trt_runtime *rt, int fd, uint32_t generation, uint32_t ready, int error,
                          trt_wakes_ *wakes)
{
    trt_fds_ *fds = trt_shard_(rt, fd);
    trt_fd_ *record;
    trt_latch_(&fds->latch);
    record = trt_fd_record_(fds, fd);
    if (record && record->generation == generation) {
        uint32_t awaited = ready & trt_fd_interest_(record);
        if (TRT_POLLER_KEEPS_ && awaited &&
            record->harvest == TRT_LOAD_(&record->home->harvest, relaxed))
            awaited = trt_fd_look_(fd, awaited, &error);
        record->missed |= ready & ~awaited;
        trt_fd_ready_(rt, record, awaited, error, wakes);
        if (!TRT_POLLER_KEEPS_) {
            record->armed = 0;
            trt_fd_rearm_(rt, record, wakes);
        }
    }
    trt_unlatch_(&fds->latch);
}

static void trt_unsure_push_(trt_worker_ *w, trt_fd_ *record)
{
    trt_fd_ *head = TRT_LOAD_(&w->unsure, relaxed);
    do {
        record->next_unsure = head;
    } while (!TRT_CAS_WEAK_(&w->unsure, &head, record, release));
}

/* Latched: this worker's wait goes on without a system call. */
static void trt_fd_unsure_(trt_worker_ *w, trt_fd_ *record)
{
    if (record->unsure && record->unsure != w) return; /* verified by the other one's rounds */
    record->round = w->fd_round;
    if (record->unsure) return;
    record->unsure = w;
    if (!TRT_LOAD_(&w->unsure, relaxed)) w->fd_oldest = w->fd_round;
    trt_unsure_push_(w, record);
}

static void trt_fd_verify_(trt_runtime *rt, trt_fd_ *record, trt_wakes_ *wakes)
{
    uint32_t interest = trt_fd_interest_(record), ready, generation = record->generation;
    int error;
    if (!interest) return;
    ready = trt_fd_look_(record->fd, interest, &error);
    trt_fd_learn_(record, ready, TRT_FD_OFTEN_);
    if (ready) record->armed = 0; /* for all we know: the next wait arms it */
    trt_fd_ready_(rt, record, ready, error, wakes);
    trt_fd_rearm_(rt, record, wakes);
    if (record->generation != generation) trt_fd_learn_(record, interest, TRT_FD_OFTEN_);
}

/* Verify the waits that `of` is unsure of; those that began lately only if `all`. */
static TRT_COLD_ void trt_fds_verify_(trt_worker_ *of, bool all)
{
    trt_fd_ *record = TRT_SWAP_(&of->unsure, NULL, acquire), *next;
    trt_wakes_ wakes = TRT_NO_WAKES_;
    if (!all) of->fd_oldest = of->fd_round;
    for (; record; record = next) {
        trt_fds_ *fds = trt_shard_(of->rt, record->fd);
        trt_latch_(&fds->latch);
        next = record->next_unsure;
        if (!all && trt_fd_interest_(record) && of->fd_round - record->round < TRT_FD_ROUNDS_) {
            if (of->fd_round - record->round > of->fd_round - of->fd_oldest)
                of->fd_oldest = record->round;
            trt_unsure_push_(of, record);
        } else {
            record->unsure = NULL;
            trt_fd_verify_(of->rt, record, &wakes);
        }
        trt_unlatch_(&fds->latch);
    }
    trt_wake_(&wakes);
}

static void trt_fds_verify_all_(trt_runtime *rt)
{
    size_t i;
    for (i = 0; i < rt->n_workers; i++)
        if (TRT_LOAD_(&rt->workers[i]->unsure, relaxed)) trt_fds_verify_(rt->workers[i], true);
}

/* Workers that somebody runs. While a runtime starts it grows. */
static uint32_t trt_awake_most_(const trt_runtime *rt)
{
    return rt->current_thread ? 1 : TRT_LOAD_(&rt->started, relaxed);
}

/* Before a sleep: how long may it be, until something has to be verified? 0: there is nothing.
 * Behind the fence of trt_worker_sleep_: the last who comes there sees them all, and what they have
 * left. Who sleeps while others work looks after what is its own. */
static trt_duration trt_fds_nap_(const trt_worker_ *w)
{
    trt_runtime *rt = w->rt;
    size_t i;
    if (!TRT_POLLER_KEEPS_ || !TRT_LOAD_(&rt->fds_waiting, relaxed)) return 0;
    if (TRT_LOAD_(&rt->sleeping, relaxed) < trt_awake_most_(rt))
        return TRT_LOAD_(&w->unsure, relaxed) ? TRT_FD_LONG_NAP_NS_ : 0;
    for (i = 0; i < rt->n_workers; i++)
        if (TRT_LOAD_(&rt->workers[i]->unsure, relaxed)) return TRT_FD_NAP_NS_;
    return 0;
}

/* Complete the waits whose fds have become ready, unless somebody drives. */
static void trt_fds_drive_(trt_worker_ *w)
{
    trt_runtime *rt = w->rt;
    uint32_t nobody = 0;
    if (TRT_LOAD_(&rt->driver, relaxed) == 0 &&
        TRT_LOAD_(&rt->poller_ready, acquire) && /* with it, what the poller is */
        TRT_CAS_(&rt->driver, &nobody, w->index + 1, acquire)) {
        trt_poller_wait_(rt, 0);
        TRT_STORE_(&rt->driver, 0u, release); /* what the poller keeps goes to the next */
    }
}

/* The same for those of this worker. */
static void trt_fds_poll_(trt_worker_ *w)
{
#if defined __linux__ && !defined TASKRT_POLL
    trt_poller_take_(w);
#else
    trt_fds_drive_(w); /* all have one */
#endif
}

/* A round of maintenance. What sleepers have left in their lists has to be verified too. */
static TRT_COLD_ void trt_fds_round_(trt_worker_ *w)
{
    trt_instant now = trt_clock_(), took = w->fd_looked ? now - w->fd_looked : 0;
    uint32_t before = w->fd_round / TRT_FD_ROUNDS_;
    bool asleep = TRT_LOAD_(&w->rt->sleeping, relaxed) != 0, due;
    w->fd_looked = now;
    w->fd_round += 1 + (uint32_t)(took / TRT_FD_ROUND_NS_); /* a long one counts for several */
    due = w->fd_round / TRT_FD_ROUNDS_ != before; /* now and then */
    trt_fds_poll_(w);
    if (TRT_POLLER_KEEPS_ && !w->solo && (asleep || due)) trt_fds_drive_(w);
    if (TRT_LOAD_(&w->unsure, relaxed) && w->fd_round - w->fd_oldest >= TRT_FD_ROUNDS_)
        trt_fds_verify_(w, false);
    if (asleep && due) trt_fds_verify_all_(w->rt);
}

/* With a deadline: is it so near that the wait may be over before anybody verifies it? */
static bool trt_fd_hurried_(trt_waiter_ *w)
{
    const trt_group_ *g;
    if (w->mode != TRT_MODE_MEMBER_) return false;
    g = trt_group_of_(w);
    return !g->deadline || g->member[1].kind != TRT_KIND_SLEEP_ ||
           g->member[1].args.arg < TRT_FD_HURRIED_NS_;
}

static bool trt_fd_hurried_op_(const trt_op *op)
{
    return op->until_ != TRT_FOREVER_ || op->within_ < TRT_FD_HURRIED_NS_;
}

static uint64_t trt_fd_task_(const trt_co *co)
{
    return trt_id_of_(co->cell_, TRT_GENERATION_(TRT_LOAD_(&co->cell_->state, relaxed)));
}

/* Will the poller tell when it gets ready? */
static bool trt_fd_kept_(const trt_fd_ *record, uint32_t direction, uint64_t task, bool hurried)
{
    return TRT_POLLER_KEEPS_ && (record->armed & direction) && !hurried &&
           record->of[direction - 1].task == task && !record->of[direction - 1].often;
}

/* Has somebody looked before it is registered? */
static bool trt_fd_tried_(trt_waiter_ *w)
{
    return w->mode == TRT_MODE_MEMBER_ && !trt_group_of_(w)->untried;
}

/* Latched. */
static bool trt_fd_look_now_(trt_fd_ *record, uint32_t direction, int *error)
{
    bool ready = trt_fd_look_(record->fd, direction, error) != 0;
    record->missed &= ~direction;
    if (!ready) trt_fd_learn_(record, direction, -1);
    return ready;
}

/* Latched. True: it need not be armed. */
static TRT_COLD_ bool trt_fd_arm_(trt_runtime *rt, trt_fd_ *record, uint32_t direction, int *error)
{
    uint32_t generation = record->generation, armed = record->armed;
    *error = trt_poller_arm_(rt, record, trt_fd_interest_(record) | direction);
    if (*error == EPERM) /* a file that epoll does not take: it is always ready */
        return trt_fd_look_now_(record, direction, error);
    if (armed && record->generation != generation)
        trt_fd_learn_(record, direction, TRT_FD_OFTEN_); /* the number was used again */
    return false;
}

/* Latched: TRT_PENDING, or what the wait ends with at once. */
static trt_status_code trt_fd_begin_(trt_runtime *rt, trt_fd_ *record, uint32_t direction,
                                     bool kept, trt_waiter_ *w)
{
    bool ready = false;
    int error = 0;
    if ((record->missed & direction) || (!kept && !trt_fd_tried_(w)))
        ready = trt_fd_look_now_(record, direction, &error);
    if (!ready && !kept) ready = trt_fd_arm_(rt, record, direction, &error);
    w->error = (uint16_t)error;
    return error ? TRT_ERRNO : ready ? TRT_OK : TRT_PENDING;
}

static trt_status_code trt_fd_register_(uint64_t task, int fd, uint32_t direction,
                                        trt_waiter_ *w)
{
    trt_worker_ *worker = trt_here_.worker;
    trt_runtime *rt = worker->rt;
    trt_fds_ *fds = trt_shard_(rt, fd);
    trt_status_code status = TRT_NO_MEMORY;
    trt_fd_ *record;
    bool kept = false;
    int error;
    if (!trt_poller_ensure_(rt)) {
        w->error = (uint16_t)errno;
        return trt_take_(w) ? TRT_ERRNO : TRT_REFUSED_;
    }
    trt_latch_(&fds->latch);
    w->args.obj = rt;
    record = trt_fd_record_(fds, fd);
    if (TRT_UNLIKELY_(!record)) record = trt_fd_new_(fds, fd);
    if (record && (error = trt_fd_settle_(worker, record)) != 0) {
        w->error = (uint16_t)error;
        status = TRT_ERRNO;
    } else if (record) {
        kept = trt_fd_kept_(record, direction, task, trt_fd_hurried_(w));
        record->of[direction - 1].task = task;
        status = trt_fd_begin_(rt, record, direction, kept, w);
    }
    if (status != TRT_PENDING) {
        if (!trt_take_(w)) status = TRT_REFUSED_;
    } else if (trt_park_(w)) {
        trt_list_push_(direction == TRT_READ_ ? &record->readers : &record->writers, w);
        TRT_ADD_(&rt->fds_waiting, 1u, relaxed);
        /* order: as in trt_poller_take_ */
        record->harvest = TRT_LOAD_(&record->home->harvest, seq_cst);
        if (kept) trt_fd_unsure_(worker, record);
    } else {
        status = TRT_REFUSED_;
    }
    trt_unlatch_(&fds->latch);
    return status;
}

/* Before the wait: is it ready now? No, as far as anybody knows, if the poller would have told. */
static bool trt_fd_try_(trt_co *co, int fd, uint32_t direction, bool hurried, int *error)
{
    trt_fds_ *fds = trt_shard_(trt_here_.worker->rt, fd);
    trt_fd_ *record;
    bool ready = false;
    trt_latch_(&fds->latch);
    record = trt_fd_record_(fds, fd);
    if (!record)
        ready = trt_fd_look_(fd, direction, error) != 0;
    else if ((record->missed & direction) ||
             !trt_fd_kept_(record, direction, trt_fd_task_(co), hurried))
        ready = trt_fd_look_now_(record, direction, error);
    trt_unlatch_(&fds->latch);
    return ready;
}

static TRT_COLD_ trt_status_code trt_fd_looked_(trt_co *co, int fd, uint32_t direction,
                                                bool hurried)
{
    int error = EBADF;
    if (fd >= 0 && !trt_fd_try_(co, fd, direction, hurried, &error)) return TRT_PENDING;
    if (!error) return TRT_OK;
    co->cell_->wait.error = (uint16_t)error;
    return TRT_ERRNO;
}

static trt_status_code trt_fd_try_now_(trt_co *co, const trt_op *op, uint32_t direction)
{
    return trt_fd_looked_(co, (int)(uint32_t)op->args_.arg, direction, true);
}

static trt_status_code trt_fd_poll_(trt_co *co, trt_args_ *args, trt_waiter_ *w, uint32_t direction)
{
    int fd = (int)(uint32_t)args->arg;
    if (w && fd >= 0) return trt_fd_register_(trt_fd_task_(co), fd, direction, w);
    if (!w) {
        const trt_op *op = TRT_CONTAINER_(trt_op, args_, args);
        if (TRT_LOAD_(&trt_here_.rt->poller_ready, relaxed) && !trt_deadline_(op) && fd >= 0)
            return TRT_PENDING; /* the look comes when it is registered, under the same latch */
        return trt_fd_looked_(co, fd, direction, trt_fd_hurried_op_(op));
    }
    w->error = EBADF;
    return trt_take_(w) ? TRT_ERRNO : TRT_REFUSED_;
}

static trt_status_code trt_readable_poll_(trt_co *co, trt_args_ *args, trt_waiter_ *w)
{
    return trt_fd_poll_(co, args, w, TRT_READ_);
}

static trt_status_code trt_writable_poll_(trt_co *co, trt_args_ *args, trt_waiter_ *w)
{
    return trt_fd_poll_(co, args, w, TRT_WRITE_);
}

static TRT_COLD_ void trt_fd_cancel_(trt_waiter_ *w)
{
    trt_runtime *rt = (trt_runtime *)w->args.obj;
    int fd = (int)(uint32_t)w->args.arg;
    trt_fds_ *fds;
    trt_fd_ *record;
    if (!rt) return;
    fds = trt_shard_(rt, fd);
    trt_latch_(&fds->latch);
    record = w->linked ? trt_fd_record_(fds, fd) : NULL;
    if (record) {
        trt_list_remove_(w->kind == TRT_KIND_READABLE_ ? &record->readers : &record->writers, w);
        TRT_SUB_(&rt->fds_waiting, 1u, relaxed);
        if (!TRT_POLLER_KEEPS_) record->armed = trt_fd_interest_(record);
    }
    trt_unlatch_(&fds->latch);
}

TRT_DEF_ trt_op trt_readable(int fd)
{
    return trt_op_(TRT_KIND_READABLE_, NULL, NULL, (uint32_t)fd);
}

TRT_DEF_ trt_op trt_writable(int fd)
{
    return trt_op_(TRT_KIND_WRITABLE_, NULL, NULL, (uint32_t)fd);
}
/* ------------------------------------------------------------------------------------------------
 * >>idle
 *
 * `sleeping` counts workers that sleep or are about to, one bit each in `idle_bits`; `searchers`
 * those that look for work at others'. Whoever makes work visible and sees a sleeper and no
 * searcher wakes one, as a searcher; the last searcher to find something wakes the next. So wakes
 * come one at a time and stop when there is nothing left to find.
 *
 * No wake is lost: a producer publishes its entry, fences, and reads `sleeping`; a worker that
 * goes to sleep sets its bit, fences, and looks at all queues once more. One of the two sees the
 * other.
 *
 * What is proved of the counters, the bits and the driver is proved by the fences: relaxed would do
 * where they change, and `order: fences` says so. (An update is an update of the last value in any
 * order, and what is seq_cst costs nothing more on x86.)
 *
 * A fence for each entry costs more than the entry. So when nobody has slept for a while the
 * runtime is `calm`: who makes work only looks, and the first to go to sleep ends the calm, and
 * lets all threads pass a fence behind its own. Whoever finds it calm behind its entry is in front
 * of that fence, so that the entry is seen, or looks later, and sees the sleeper. (As for latches,
 * see >>os; but not at each sleep, which a crowd of workers that come and go would pay for.)
 *
 *     restless -> soon calm -> calm -> unsure -> restless
 *
 * Soon calm, all still fence, and who goes to sleep sees it coming or is seen, and stops it. It is
 * unsure until that fence is passed: who goes to sleep meanwhile looks again after a while. So it
 * stays if the system, which has given that fence, denies it. (Rejected: the same for who takes its
 * own forks back. A fence of all threads at each steal costs more than is saved: skynet_fork with
 * two workers 10.9 -> 11.8 ms, fork_join 14.1 -> 16.2 ns.)
 *
 * Whoever falls asleep spins for a moment first, as long as that pays: another thread that talks to
 * a task, or a blocking job that it awaits, mostly calls again soon, and the wake is a store then,
 * not two visits to the kernel (xthread_wake: 0.5 us a round trip instead of 4 on one processor,
 * 40 on two). What another worker has found to do does not count: who comes too soon takes apart
 * what is faster on one worker (rwlock_10x20k_10pctw_yield with two: 50 -> 120 ns).
 *
 * One sleeper at a time is the driver: it sleeps until the next timer of any worker, and in the fd
 * poller once there is one. The others sleep on a futex. Whoever registers a timer earlier than the
 * driver's wakes the driver.
 */
static void trt_watch_wake_(trt_runtime *rt);

static TRT_COLD_ bool trt_wake_sleeper_(trt_runtime *rt, size_t word, uint64_t bits)
{
    while (bits) {
        uint32_t bit = (uint32_t)__builtin_ctzll((unsigned long long)bits);
        uint64_t mask = (uint64_t)1 << bit;
        bits &= ~mask;
        if (!(TRT_AND_(&rt->idle_bits[word], ~mask, seq_cst) & mask)) continue; /* order: fences */
        TRT_SUB_(&rt->sleeping, 1u, seq_cst);
        trt_watch_wake_(rt); /* the worker may have run on, and looked before this was counted */
        trt_unpark_(rt->workers[word * 64 + bit]); /* it inherits the place as searcher */
        return true;
    }
    return false;
}

static bool trt_any_idle_(trt_runtime *rt)
{
    size_t i;
    for (i = 0; i < rt->idle_words; i++)
        if (TRT_LOAD_(&rt->idle_bits[i], relaxed)) return true;
    return false;
}

/* Others rely on whoever holds the place as searcher. So it is given up only if, after that, nobody
 * is idle: a worker on its way to sleep may have counted itself, but not set its bit yet. */
static TRT_NOINLINE_ void trt_notify_slow_(trt_runtime *rt)
{
    size_t i;
    do {
        uint32_t none = 0, driver = TRT_LOAD_(&rt->driver, relaxed);
        size_t at = driver ? driver - 1 : SIZE_MAX;
        if (!TRT_CAS_(&rt->searchers, &none, 1u, seq_cst)) return; /* order: fences */
        for (i = 0; i < rt->idle_words; i++) { /* the driver only if nobody else sleeps */
            uint64_t spare = at / 64 == i ? (uint64_t)1 << at % 64 : 0;
            if (trt_wake_sleeper_(rt, i, TRT_LOAD_(&rt->idle_bits[i], relaxed) & ~spare)) return;
        }
        for (i = 0; i < rt->idle_words; i++)
            if (trt_wake_sleeper_(rt, i, TRT_LOAD_(&rt->idle_bits[i], relaxed))) return;
        TRT_SUB_(&rt->searchers, 1u, seq_cst); /* order: fences */
        TRT_FENCE_(&rt->sleeping);             /* pairs with the one in trt_worker_sleep_ */
    } while (trt_any_idle_(rt));
}

static inline void trt_notify_(trt_runtime *rt)
{
    TRT_LIGHT_FENCE_(&rt->sleeping); /* the look at `calm` is behind the entry too */
    /* Pairs with the fence in trt_worker_sleep_; in the calm, with what follows it there. */
    if (TRT_LOAD_(&rt->calm, relaxed) == TRT_CALM_) TRT_LIGHT_FENCE_(&rt->sleeping);
    else TRT_FENCE_(&rt->sleeping);
    if (TRT_LOAD_(&rt->sleeping, relaxed) && !TRT_LOAD_(&rt->searchers, relaxed))
        trt_notify_slow_(rt);
}

static TRT_COLD_ bool trt_calm_stop_(trt_runtime *rt)
{
    uint32_t calm = TRT_SOON_CALM_;
    /* order: as in trt_calm_end_ */
    if (TRT_CAS_(&rt->calm, &calm, (uint32_t)TRT_RESTLESS_, acquire)) return true;
    if (calm != TRT_CALM_) return calm == TRT_RESTLESS_;
    if (!TRT_CAS_(&rt->calm, &calm, (uint32_t)TRT_UNSURE_, relaxed) || !trt_os_fence_all_())
        return false;
    TRT_STORE_(&rt->calm, (uint32_t)TRT_RESTLESS_, release); /* order: as there */
    return true;
}

/* Behind a fence. False: some may still do without theirs, and what they made may be missed. */
static bool trt_calm_end_(trt_runtime *rt)
{
    /* order: acquire and release, for what somebody else's fence for all let him see. In the model
     * that fence is one of all threads at once. */
    return TRT_LIKELY_(TRT_LOAD_(&rt->calm, acquire) == TRT_RESTLESS_) || trt_calm_stop_(rt);
}

/* Nobody sleeps, and who goes to sleep from now on sees that it is soon calm. */
static void trt_calm_begin_(trt_runtime *rt)
{
    uint32_t calm = TRT_RESTLESS_, next;
    if (!TRT_CAS_(&rt->calm, &calm, (uint32_t)TRT_SOON_CALM_, relaxed)) return;
    TRT_FENCE_(&rt->sleeping); /* pairs with the one in trt_worker_sleep_ */
    next = TRT_LOAD_(&rt->sleeping, relaxed) ? TRT_RESTLESS_ : TRT_CALM_;
    calm = TRT_SOON_CALM_;
    (void)TRT_CAS_(&rt->calm, &calm, next, relaxed);
}

/* Now and then: is it time to be calm? */
static void trt_calm_(trt_worker_ *w)
{
    trt_runtime *rt = w->rt;
    trt_instant now;
    if (w->solo || TRT_LOAD_(&rt->calm, relaxed) || (TRT_LOAD_(&trt_sleepers_, relaxed) & 1u))
        return;
    now = trt_clock_();
    if (!w->calm_at || TRT_LOAD_(&rt->sleeping, relaxed)) {
        w->calm_at = now + TRT_CALM_NS_;
        return;
    }
    if (now < w->calm_at) return;
    w->calm_at = 0;
    trt_calm_begin_(rt);
}

enum { TRT_ASLEEP_, TRT_AWAKE_, TRT_IN_POLLER_, TRT_SPINS_ }; /* SPINS: and sees a wake by itself */

static void trt_unpark_(trt_worker_ *w)
{
    /* order: release, for what it is for; the other half is the fence in trt_worker_sleep_ */
    uint32_t was = TRT_SWAP_(&w->wake, (uint32_t)TRT_AWAKE_, seq_cst);
    if (was == TRT_ASLEEP_) trt_os_wake_(&w->wake, 1);
    else if (was == TRT_IN_POLLER_) trt_poller_interrupt_(w->rt);
}

static trt_instant trt_next_timer_(trt_runtime *rt)
{
    trt_instant next = TRT_FOREVER_;
    size_t i;
    if (rt->virtual_clock) return next; /* no time to sleep for: the clock jumps, >>virtual */
    for (i = 0; i < rt->n_workers; i++) {
        trt_instant at = TRT_LOAD_(&rt->workers[i]->wheel.next, relaxed);
        if (at < next) next = at;
    }
    return next;
}

/* The driver sleeps with an outdated plan: let it begin anew. Behind the caller's fence. */
static void trt_driver_again_(trt_runtime *rt)
{
    uint32_t driver = TRT_LOAD_(&rt->driver, relaxed);
    if (driver) trt_unpark_(rt->workers[driver - 1]);
}

static void trt_timer_added_(trt_runtime *rt, trt_instant due)
{
    if (rt->virtual_clock) return;
    TRT_FENCE_(
        &rt->driver); /* pairs with the driver's, between its plan and its look at the wheels */
    if (TRT_LOAD_(&rt->driver, relaxed) && due < TRT_LOAD_(&rt->driver_until, relaxed))
        trt_driver_again_(rt);
}

static void trt_settle_timers_(trt_worker_ *of)
{
    trt_instant due;
    bool earlier;
    trt_latch_(&of->wheel.latch);
    /* the clock behind the latch: before it, another worker may have put a duration in since */
    earlier = trt_wheel_settle_(&of->wheel, trt_clock_());
    due = TRT_LOAD_(&of->wheel.next, relaxed);
    trt_unlatch_(&of->wheel.latch);
    if (earlier) trt_timer_added_(of->rt, due);
}

static void trt_run_timers_(trt_worker_ *by, trt_worker_ *of, trt_instant now)
{
    if (TRT_LOAD_(&of->wheel.fresh_some, relaxed)) trt_settle_timers_(of);
    if (now >= TRT_LOAD_(&of->wheel.next, relaxed)) trt_wheel_run_(by, &of->wheel, now);
}

static void trt_run_all_timers_(trt_worker_ *w)
{
    trt_instant now = trt_now_of_(w->rt);
    size_t i;
    for (i = 0; i < w->rt->n_workers; i++) trt_run_timers_(w, w->rt->workers[i], now);
}

static bool trt_stopped_(trt_worker_ *w, const trt_thread_waiter_ *t);

/* Is there a strand that any worker could take? */
static bool trt_any_entry_(trt_runtime *rt)
{
    size_t i;
    if (TRT_LOAD_(&rt->inject_len, seq_cst)) return true; /* order: fences */
    for (i = 0; i < rt->n_workers; i++)
        if (!trt_ring_empty_(rt->workers[i])) return true;
    return false;
}

static bool trt_any_queued_(trt_runtime *rt) /* or a fork? */
{
    size_t i;
    if (trt_any_entry_(rt)) return true;
    for (i = 0; i < rt->n_workers; i++)
        if (!trt_deque_empty_(rt->workers[i])) return true;
    return false;
}

/* Is there a reason not to sleep? */
static bool trt_any_work_(trt_worker_ *w)
{
    trt_runtime *rt = w->rt;
    /* order: fences, and an unpark comes with each signal */
    if (TRT_LOAD_(&rt->signals, seq_cst) & (TRT_SIGNAL_STOP_ | TRT_SIGNAL_PAUSE_)) return true;
    if (rt->current_thread && trt_stopped_(w, w->driven_for)) return true;
    return trt_any_queued_(rt);
}

static void trt_watch_wake_(trt_runtime *rt)
{
    uint32_t dormant = 0;
    if (TRT_LIKELY_(TRT_LOAD_(&rt->watch_word, seq_cst) != 0)) return;
    /* order: the thread is to see the word, nothing else */
    if (TRT_CAS_(&rt->watch_word, &dormant, 1u, seq_cst)) trt_os_wake_(&rt->watch_word, 1);
}

/* Sleep as the driver: until the next timer, an fd event, or an unpark. */
static void trt_driver_sleep_(trt_worker_ *w, trt_instant until)
{
    trt_runtime *rt = w->rt;
    uint32_t asleep = TRT_ASLEEP_;
    trt_instant due;
    due = trt_next_timer_(rt);
    if (due < until) until = due;
    TRT_STORE_(&rt->driver_until, until, relaxed);
    TRT_FENCE_(&rt->driver); /* pairs with those in trt_timer_added_ and trt_poller_ensure_ */
    if (trt_next_timer_(rt) < until) return; /* the next round sees it */
    if (!TRT_LOAD_(&rt->poller_ready, acquire)) {
        /* order: the wait looks at the word too, this saves the call */
        if (TRT_LOAD_(&w->wake, acquire) == TRT_ASLEEP_ &&
            (until == TRT_FOREVER_ || trt_clock_() < until))
            trt_os_wait_(&w->wake, TRT_ASLEEP_, until);
        return;
    }
    /* order: an update of the last value, whatever its order; likewise the one below */
    if (TRT_CAS_(&w->wake, &asleep, (uint32_t)TRT_IN_POLLER_, seq_cst)) {
        trt_duration timeout = -1;
        if (until != TRT_FOREVER_) {
            timeout = until - trt_clock_();
            if (timeout < 0) timeout = 0;
        }
        trt_poller_wait_(rt, timeout);
        TRT_SWAP_(&w->wake, (uint32_t)TRT_AWAKE_, seq_cst); /* order: see above */
    }
}

/* On the virtual clock nothing tells when the last thread that could call in has gone: look
 * again. */
static trt_instant trt_sleep_limit_(const trt_runtime *rt)
{
    trt_instant limit = rt->current_thread ? TRT_LOAD_(&rt->drive_until, relaxed) : TRT_FOREVER_;
    trt_instant again = rt->virtual_clock ? trt_after_(trt_clock_(), trt_s(1)) : TRT_FOREVER_;
    return again < limit ? again : limit;
}

static bool trt_virtual_idle_(trt_worker_ *w);
static void trt_abort_all_live_(trt_runtime *rt);

/* A shutdown looks once at what it can see. What it has missed, this worker has made, run or ended
 * itself: so each looks once more when it sees `closing`, between two turns or behind the fence
 * before it sleeps. */
static bool trt_closing_unseen_(const trt_worker_ *w)
{
    return TRT_UNLIKELY_(TRT_LOAD_(&w->rt->closing, relaxed)) && !w->saw_closing;
}

static void trt_see_closing_(trt_worker_ *w)
{
    w->saw_closing = true;
    trt_abort_all_live_(w->rt);
    trt_check_ended_(w->rt);
}

/* True: woken meanwhile. Sleeping, it might have been the driver: so it looks at the fds first. */
static bool trt_worker_spin_(trt_worker_ *w)
{
    uint32_t spins = TRT_SPINS_;
    bool woken, paid;
    if (TRT_LOAD_(&w->rt->fds_waiting, relaxed)) {
        trt_fds_drive_(w);
        if (!trt_ring_empty_(w) || TRT_LOAD_(&w->lifo, relaxed)) return true;
    }
    /* order: as where it sleeps on the word */
    woken = trt_spin_while_(&w->wake, TRT_SPINS_, &paid) ||
            !TRT_CAS_(&w->wake, &spins, (uint32_t)TRT_ASLEEP_, relaxed);
    trt_spin_learn_(&w->spin, paid && (w->solo || TRT_LOAD_(&w->rt->inject_len, relaxed)));
    return woken;
}

static void trt_worker_block_(trt_worker_ *w, trt_instant until, bool nap)
{
    trt_runtime *rt = w->rt;
    uint32_t nobody = 0;
    if (TRT_CAS_(&rt->driver, &nobody, w->index + 1, seq_cst)) { /* order: fences */
        trt_driver_sleep_(w, until);
        TRT_STORE_(&rt->driver, 0u, release); /* what the poller keeps goes to the next */
        if (!rt->virtual_clock) trt_run_all_timers_(w);
    } else {
        /* order: what it was woken for it sees behind the next fence here at the latest */
        while (TRT_LOAD_(&w->wake, acquire) == TRT_ASLEEP_ && (!nap || trt_clock_() < until))
            trt_os_wait_(&w->wake, TRT_ASLEEP_, nap ? until : TRT_FOREVER_);
    }
}

/* Nothing to do: sleep until there is. Returns after any wake; the caller looks again. */
static void trt_worker_sleep_(trt_worker_ *w)
{
    trt_runtime *rt = w->rt;
    trt_a64_ *bits = &rt->idle_bits[w->index / 64];
    uint64_t mask = (uint64_t)1 << w->index % 64;
    bool closing, told, all_seen, nap = false, relied_on = w->searching;
    bool spins = trt_spin_pays_(&w->spin);
    TRT_STORE_(&w->at_cell, NULL, relaxed);
    /* Takes back the last unpark, and sees what it was for: a `woken` or a gate has no fence. */
    TRT_SWAP_(&w->wake, spins ? (uint32_t)TRT_SPINS_ : TRT_ASLEEP_, relaxed); /* and the fence */
    TRT_ADD_(&rt->sleeping, 1u, seq_cst); /* order: fences */
    TRT_OR_(bits, mask, seq_cst);         /* order: fences */
    if (relied_on) {
        w->searching = false;
        TRT_SUB_(&rt->searchers, 1u, seq_cst); /* order: fences */
    }
    TRT_FENCE_(&rt->sleeping); /* pairs with trt_notify_, and with trt_shutdown_begin_ */
    all_seen = trt_calm_end_(rt);
    closing = trt_closing_unseen_(w);
    told = TRT_UNLIKELY_(TRT_LOAD_(&rt->aside_some, relaxed)) && trt_aside_look_(rt);
    if (!closing && !told && !trt_any_work_(w) && !(rt->virtual_clock && trt_virtual_idle_(w))) {
        trt_instant until = trt_sleep_limit_(rt);
        trt_duration most = all_seen ? trt_fds_nap_(w) : TRT_FD_NAP_NS_;
        relied_on = false;
        nap = most != 0;
        if (nap) until = trt_after_(trt_clock_(), most);
        TRT_COUNT_(&w->parks, 1u);
        if (!spins || !trt_worker_spin_(w)) trt_worker_block_(w, until, nap);
        nap = nap && trt_clock_() >= until;
    }
    /* order: fences */
    if (!(TRT_AND_(bits, ~mask, seq_cst) & mask)) {
        w->searching = true; /* woken by name: trt_notify_slow_ has counted us */
    } else {
        TRT_SUB_(&rt->sleeping, 1u, seq_cst);
        if (relied_on) { /* by who made the work that we have seen: the chain goes on from here */
            w->searching = true;
            TRT_ADD_(&rt->searchers, 1u, seq_cst); /* order: fences */
        }
    }
    if (nap) trt_fds_verify_all_(rt);
    trt_watch_wake_(rt);
    if (closing) trt_see_closing_(w);
}

/* ------------------------------------------------------------------------------------------------
 * >>sched: the worker's loop
 */
static uintptr_t trt_next_local_(trt_worker_ *w)
{
    uintptr_t entry;
    if (w->lifo_run < TRT_LIFO_RUN_ && TRT_LOAD_(&w->lifo, relaxed)) {
        entry = trt_lifo_swap_(w, 0);
        if (entry) {
            w->lifo_run++; /* and goes on with the budget of the one before */
            return entry;
        }
    }
    w->lifo_run = 0;
    w->budget = TRT_BUDGET_;
    if (TRT_UNLIKELY_(w->fifo && w->rt->config.seed)) trt_shuffle_(w); /* it has no slot */
    entry = trt_pop_(w, true);
    if (entry || !TRT_LOAD_(&w->lifo, relaxed)) return entry;
    return trt_lifo_swap_(w, 0);
}

/* Before a poll that may be long: somebody else searches on, if there is more to find. Whoever makes
 * work after the fence sees that nobody searches. */
static void trt_found_(trt_worker_ *w)
{
    if (!w->searching) return;
    w->searching = false;
    if (TRT_SUB_(&w->rt->searchers, 1u, seq_cst) != 1) return; /* order: fences */
    TRT_FENCE_(&w->rt->sleeping);                   /* pairs with the one in trt_notify_ */
    if (trt_any_queued_(w->rt)) trt_notify_(w->rt); /* the chain goes on */
}

/* A turn may run a great many children on the back of a strand. So if there were many polls since
 * the last look, the clock is asked. (A look behind each such turn makes fib27 with two workers 6 %
 * slower.) */
static TRT_NOINLINE_ bool trt_late_(trt_worker_ *w)
{
    trt_instant now = trt_clock_();
    w->at_look = (uint32_t)TRT_LOAD_(&w->polls, relaxed);
    if (now - w->looked < TRT_LATE_NS_ || w->rt->config.seed || w->rt->virtual_clock)
        return false; /* these schedules do not depend on the clock */
    w->looked = now;
    return true;
}

/* Is it time to look at what must not wait? */
static inline bool trt_look_due_(trt_worker_ *w)
{
    uint32_t polls = (uint32_t)TRT_LOAD_(&w->polls, relaxed) - w->at_look;
    if (TRT_UNLIKELY_(--w->turns == 0)) return true;
    return TRT_UNLIKELY_(polls > TRT_MAINTENANCE_) && trt_late_(w);
}

/* A look at what must not wait however much there is to run here: true if it ran something. */
static bool trt_maintain_(trt_worker_ *w)
{
    trt_runtime *rt = w->rt;
    uintptr_t entry;
    trt_cell_ *fork;
    bool forks = w->turns == 0; /* not if it is late: a tree would be taken apart from its root */
    if (forks) w->turns = TRT_MAINTENANCE_;
    w->at_look = (uint32_t)TRT_LOAD_(&w->polls, relaxed);
    if (trt_closing_unseen_(w)) trt_see_closing_(w);
    if (!rt->virtual_clock) {
        if (++w->looks % 4 == 0) trt_run_all_timers_(w);
        else if (TRT_LOAD_(&w->wheel.next, relaxed) != TRT_FOREVER_ ||
                 TRT_LOAD_(&w->wheel.fresh_some, relaxed))
            trt_run_timers_(w, w, trt_clock_());
    }
    if (TRT_LOAD_(&rt->fds_waiting, relaxed)) trt_fds_round_(w);
    if (TRT_UNLIKELY_(TRT_LOAD_(&rt->aside_some, relaxed))) (void)trt_aside_look_(rt);
    trt_calm_(w);
    /* Its oldest, so nobody starves; in turns with what comes from elsewhere, as there may always be
     * one. */
    fork = !forks || w->fork_before || trt_deque_empty_(w) ? NULL : trt_deque_steal_(w);
    if (forks) w->fork_before = fork != NULL;
    if (fork) { /* who searches has none, so this worker does not */
        w->budget = TRT_BUDGET_;
        trt_run_fork_(w, fork);
        return true;
    }
    /* With a seed, a current-thread runtime picks at random, and goes on to these behind all. */
    entry = rt->config.seed && rt->current_thread ? 0 : trt_take_injected_(w, TRT_INJECT_BATCH_);
    if (!entry) return false;
    trt_found_(w);
    w->budget = TRT_BUDGET_;
    trt_run_entry_(w, entry);
    return true;
}

/* A fork or a new task that does next to nothing takes longer to steal than to run, and so does its
 * memory when it goes back: then both are faster if the thief keeps away for a while, and takes one
 * at a time until it finds more to do. (Tasks that have begun may be worth it as a crowd.) */
static void trt_run_stolen_(trt_worker_ *w, trt_cell_ *fork, uintptr_t entry)
{
    trt_instant start = trt_clock_();
    int i;
    if (fork) trt_run_fork_(w, fork);
    else trt_run_entry_(w, entry);
    if (trt_clock_() - start > TRT_TINY_NS_) {
        w->tiny = 0;
        return;
    }
    if (w->tiny < 5) w->tiny++;
    for (i = 0; i < (TASKRT_TEST_SPINS / 16) << w->tiny; i++) {
        if (fork && trt_any_entry_(w->rt)) break;
        TRT_PAUSE_();
    }
}

/* Look at the others', beginning anywhere. */
static bool trt_search_(trt_worker_ *w)
{
    trt_runtime *rt = w->rt;
    size_t i, n = rt->n_workers, from;
    if (n == 1) return false;
    if (!w->searching) {
        if (2 * TRT_LOAD_(&rt->searchers, relaxed) >= n) return false;
        TRT_ADD_(&rt->searchers, 1u, seq_cst); /* order: fences */
        w->searching = true;
    }
    from = (size_t)(trt_mix_(&w->rng) % n);
    for (i = 0; i < n; i++) {
        trt_worker_ *victim = rt->workers[(from + i) % n];
        trt_cell_ *fork;
        uintptr_t entry;
        if (victim == w) continue;
        fork = trt_deque_steal_(victim);
        entry = fork ? 0 : trt_steal_(w, victim);
        if (!fork && !entry) continue;
        if (fork) TRT_COUNT_(&w->steals, 1u);
        trt_found_(w);
        w->budget = TRT_BUDGET_;
        if (fork || !(entry & TRT_OWNED_ENTRY_)) trt_run_stolen_(w, fork, entry);
        else trt_run_entry_(w, entry);
        return true;
    }
    return false;
}

/* True: there is something to run again, which has waited for an fd. */
static bool trt_fds_found_(trt_worker_ *w)
{
    if (!TRT_POLLER_KEEPS_ || !TRT_LOAD_(&w->poller, relaxed) ||
        !TRT_LOAD_(&w->rt->fds_waiting, relaxed))
        return false;
    trt_fds_poll_(w);
    return !trt_ring_empty_(w) || TRT_LOAD_(&w->lifo, relaxed);
}

/* Run one thing; false: there is nothing anywhere. */
static bool trt_work_(trt_worker_ *w)
{
    uintptr_t entry;
    trt_cell_ *fork;
    if (trt_look_due_(w) && trt_maintain_(w)) return true;
    entry = trt_next_local_(w);
    if (TRT_LIKELY_(entry != 0)) {
        if (TRT_UNLIKELY_(w->searching)) trt_found_(w);
        trt_run_entry_(w, entry);
        return true;
    }
    w->budget = TRT_BUDGET_;
    fork = trt_deque_pop_(w);
    if (fork) { /* it does not search, as above */
        trt_run_fork_(w, fork);
        return true;
    }
    entry = trt_take_injected_(w, TRT_RING_ / 2);
    if (entry) {
        trt_found_(w);
        trt_run_entry_(w, entry);
        return true;
    }
    return trt_fds_found_(w) || trt_search_(w);
}

/* One round; false: there was nothing to do. */
static bool trt_turn_(trt_worker_ *w)
{
    if (trt_work_(w)) return true;
    if (!w->rt->virtual_clock) trt_run_all_timers_(w);
    /* order: who goes to sleep looks at the ring again, but not at the slot */
    return !trt_ring_empty_(w) || TRT_LOAD_(&w->lifo, relaxed);
}

static bool trt_all_ended_(trt_runtime *rt)
{
    /* order: as in trt_check_ended_ */
    return (TRT_LOAD_(&rt->ended_gate, acquire) & TRT_GATE_ENDED_) != 0;
}

/* Is the time up that a shutdown gives to the tasks of a current-thread runtime? */
static bool trt_drive_over_(trt_runtime *rt)
{
    trt_instant until = TRT_LOAD_(&rt->drive_until, relaxed);
    return until != TRT_FOREVER_ && trt_clock_() >= until;
}

static TRT_NOINLINE_ bool trt_drive_ends_(trt_runtime *rt, const trt_thread_waiter_ *t)
{
    if (TRT_LOAD_(&rt->deadlocked, relaxed)) return true; /* who drives has set it */
    if (t) return TRT_LOAD_(&t->woken, relaxed) != 0;     /* trt_thread_block_ acquires */
    return trt_all_ended_(rt) || trt_drive_over_(rt);
}

/* A look, on a current-thread runtime: is the loop about to end? */
static bool trt_stopped_(trt_worker_ *w, const trt_thread_waiter_ *t)
{
    return (TRT_LOAD_(&w->rt->signals, relaxed) & TRT_SIGNAL_STOP_) || trt_drive_ends_(w->rt, t);
}

/* A function of its own: what is inlined into one that calls setjmp is optimised less, and gcc
 * warns of its variables (-Wclobbered). */
static TRT_NOINLINE_ void trt_turns_(trt_worker_ *w, const trt_thread_waiter_ *t)
{
    for (;;) {
        uint32_t signals = TRT_LOAD_(&w->rt->signals, acquire); /* pairs with who stops it */
        if (TRT_UNLIKELY_(w->fifo) && trt_drive_ends_(w->rt, t)) return;
        if (TRT_UNLIKELY_(signals)) {
            if (signals & TRT_SIGNAL_STOP_) return;
            trt_pause_point_(w);
        }
        if (!trt_turn_(w)) trt_worker_sleep_(w);
    }
}

/* Run until told to stop, or (current thread) until `t` is woken. Panics land here. */
static void trt_worker_loop_(trt_worker_ *w, const trt_thread_waiter_ *volatile t)
{
    trt_worker_ *volatile worker = w;
    w->stack_base = (const char *)__builtin_frame_address(0);
    w->trapped = true;
    w->driven_for = t;
    if (setjmp(w->trap) != 0) trt_recover_(worker);
    trt_turns_(worker, t);
    worker->trapped = false;
    TRT_STORE_(&worker->at_cell, NULL, relaxed);
}

static void trt_let_go_(trt_runtime *rt, trt_worker_ *w);

static void *trt_worker_main_(void *arg)
{
    trt_worker_ *w = (trt_worker_ *)arg;
    trt_runtime *rt = w->rt;
    char name[16];
    (void)snprintf(name, sizeof name, "trt-worker-%u", w->index % 1000);
    trt_os_name_(name);
    trt_here_.worker = w;
    trt_here_.rt = rt;
    if (rt->config.on_thread_start) rt->config.on_thread_start(rt->config.user);
    trt_worker_loop_(w, NULL);
    /* order: the acquire that saw STOP */
    if (TRT_UNLIKELY_(TRT_LOAD_(&rt->given_up, relaxed))) trt_let_go_(rt, w);
    (void)trt_aside_look_(rt);
    if (w->searching) TRT_SUB_(&rt->searchers, 1u, seq_cst); /* order: fences */
    w->searching = false;
    if (rt->config.on_thread_stop) rt->config.on_thread_stop(rt->config.user);
    trt_here_.worker = NULL;
    return NULL;
}

/* Who drove leaves, or who kept others from driving. If the runtime was given up behind its back,
 * it lets go for the worker. */
static TRT_COLD_ void trt_drive_leave_(trt_runtime *rt)
{
    uint32_t drives = TRT_DRIVES_;
    if (!TRT_CAS_(&rt->driving, &drives, 0u, seq_cst)) { /* pairs with trt_dump_drives_ */
        trt_let_go_(rt, rt->workers[0]);
        TRT_STORE_(&rt->driving, 0u, seq_cst); /* the same */
    }
    /* order: who sees the step sees that nobody drives. For the model see trt_visitors_wait_. */
    TRT_ADD_(&rt->drive_gate, 1u, release);
    trt_os_wake_(&rt->drive_gate, INT_MAX);
}

/* A plain thread runs a current-thread runtime until `t` is woken; only one does at a time, and
 * another takes over when it leaves. False: the runtime has stopped. `t` NULL: until all tasks
 * have ended. */
static TRT_COLD_ bool trt_drive_(trt_runtime *rt, trt_thread_waiter_ *t)
{
    trt_self_ *self = &trt_here_;
    trt_worker_ *w = rt->workers[0];
    for (;;) {
        uint32_t gate = TRT_LOAD_(&rt->drive_gate, acquire), free = 0;
        if (t && TRT_LOAD_(&t->woken, relaxed)) return true; /* trt_thread_block_ acquires */
        /* order: without it, it would drive in vain until it is woken or given up */
        if (TRT_LOAD_(&rt->signals, acquire) & TRT_SIGNAL_STOP_) return false;
        if (TRT_CAS_(&rt->driving, &free, TRT_DRIVES_, seq_cst)) { /* pairs with trt_all_asleep_ */
            trt_worker_ *worker_before = self->worker;
            trt_runtime *rt_before = self->rt;
            trt_job_ *job_before = self->job;
            self->worker = w;
            self->rt = rt;
            self->job = NULL;
            trt_watch_wake_(rt);
            trt_worker_loop_(w, t);
            /* Nobody looks at the clock for it until the next one drives. */
            if (TRT_LOAD_(&w->wheel.fresh_some, relaxed)) trt_settle_timers_(w);
            self->worker = worker_before;
            self->rt = rt_before;
            self->job = job_before;
            trt_drive_leave_(rt);
            /* order: a dump that waits for a pause would wait out its time */
            if (TRT_LOAD_(&rt->signals, relaxed) & TRT_SIGNAL_PAUSE_)
                trt_os_wake_(&w->stopped, INT_MAX);
            if (!t) return true;
            if (TRT_LOAD_(&rt->deadlocked, relaxed)) return false;
            continue;
        }
        /* order: saves the wait for who drives still, and leaves then */
        if (!t && trt_all_ended_(rt)) return true;
        trt_os_wait_(&rt->drive_gate, gate, TRT_LOAD_(&rt->drive_until, relaxed));
        if (!t && trt_drive_over_(rt)) return true;
    }
}

/* ------------------------------------------------------------------------------------------------
 * >>virtual: the clock that jumps
 *
 * When nothing is runnable and no blocking job is queued or running, the clock moves to the next
 * timer. If there is none either, and no fd is awaited, and the process has no thread that could
 * call in from outside, then nothing will ever happen again: that is reported with a dump, and the
 * runtime gives up. (Threads are counted by /proc; elsewhere nothing is reported.)
 */
static bool trt_alone_(trt_runtime *rt)
{
    uint64_t own;
    size_t n;
    /* A thread is counted after it has begun, and no more before it ends. (Changes are counted with
     * them: one may have ended and another begun meanwhile, for a thread from outside.)
     * order: the system's own count lies between, which is outside of the model */
    do {
        own = TRT_LOAD_(&rt->own_threads, acquire); /* order: see above */
        n = trt_os_threads_();
    } while (own != TRT_LOAD_(&rt->own_threads, acquire)); /* order: see above */
    if (TRT_TSAN_ && n > 1) n--; /* it has a thread of its own: two, after a fork */
    return n && n <= 1 + (size_t)(uint32_t)own;
}

/* Nothing runs or is about to: no task, no job, nor the thread that drives (trt_any_work_). */
static bool trt_virtual_quiet_(trt_worker_ *w)
{
    trt_runtime *rt = w->rt;
    bool jobs;
    if (trt_any_work_(w)) return false; /* order: saves the latch, the look behind it decides */
    trt_latch_(&rt->pool.latch);
    jobs = trt_any_job_(rt);
    trt_unlatch_(&rt->pool.latch);
    return !jobs && !trt_any_work_(w); /* a job that is over has woken its waiter before */
}

/* True: the caller should look for work again. */
static bool trt_virtual_idle_(trt_worker_ *w)
{
    trt_runtime *rt = w->rt;
    trt_instant next;
    if (!trt_virtual_quiet_(w)) return false;
    if (TRT_LOAD_(&rt->fds_waiting, relaxed)) { /* what is ready now comes before the next timer */
        trt_fds_verify_all_(rt);
        trt_poller_wait_(rt, 0);
        if (trt_any_work_(w)) return true;
    }
    trt_latch_(&w->wheel.latch);
    next = trt_wheel_due_(&w->wheel);
    trt_unlatch_(&w->wheel.latch);
    if (next != TRT_FOREVER_) {
        if (next > TRT_LOAD_(&rt->virtual_now, relaxed))
            TRT_STORE_(&rt->virtual_now, next, relaxed);
        trt_wheel_run_(w, &w->wheel, TRT_LOAD_(&rt->virtual_now, relaxed));
        return true;
    }
    if (TRT_LOAD_(&rt->fds_waiting, relaxed) || !trt_alone_(rt)) return false;
    if (!trt_virtual_quiet_(w)) return false; /* a thread that has gone since may have called in */
    trt_say_("deadlock: every task waits, and nothing can wake them");
    trt_dump(rt, stderr);
    TRT_STORE_(&rt->deadlocked, 1u, relaxed); /* `driving` goes from one who looks to the next */
    return true;
}

/* ------------------------------------------------------------------------------------------------
 * >>watch
 *
 * One thread a runtime looks at the workers every 10 ms while any of them is awake, and sleeps
 * while all do. For a worker that is still in the poll of the last look, it
 *   - gives the task in its LIFO slot to the others,
 *   - wakes a sleeper to be the driver, if there is none, or to take what waits in its ring: of a
 *     pair that seemed quick nobody was told (trt_soon_),
 *   - reports a stall once the poll has lasted `stall_after`.
 *
 * And it wakes a sleeper to be the driver if one was missing at two looks.
 */
/* False: the cell was seen before its type, and the next look tells; or the poll is over by now, and
 * what has been read is of another one, or of another task in the same slot. */
static TRT_COLD_ bool trt_stall_tell_(trt_runtime *rt, trt_worker_ *w, trt_duration for_)
{
    const trt_type_ *type = TRT_LOAD_(&w->at_type, relaxed);
    trt_cell_ *c = TRT_LOAD_(&w->at_cell, relaxed);
    uint32_t pc = TRT_LOAD_(&w->at_pc, relaxed);
    trt_stall_info info;
    char label[256];
    uint64_t s;
    if (!type || !c) return false;
    info.coroutine = info.name = type->name;
    info.file = type->file;
    info.line = (int)(pc >> 3 ? pc >> 3 : type->line);
    info.worker = w->index;
    info.blocked_for = for_;
    info.task = 0;
    trt_latch_(&rt->names_latch); /* names are freed under it */
    s = TRT_LOAD_(&c->state, acquire);
    if (s & TRT_LIVE_) {
        info.task = trt_id_of_(c, TRT_GENERATION_(s));
        (void)snprintf(label, sizeof label, "%s",
                       trt_told_name_(c, s, TRT_LOAD_(&trt_root_(c)->told_, relaxed)));
        info.name = label;
    }
    trt_unlatch_(&rt->names_latch); /* the hook may do what it likes: dump, detach a task */
    s = TRT_LOAD_(&c->state, relaxed);
    if ((uint32_t)TRT_LOAD_(&w->polls, relaxed) != w->seen_poll ||
        TRT_GENERATION_(s) != w->seen_generation) {
        w->seen_generation = TRT_GENERATION_(s); /* seen late, perhaps: the next look tells */
        return false;
    }
    TRT_ADD_(&rt->stalls, 1u, relaxed);
    if (rt->config.on_stall) rt->config.on_stall(&info, rt->config.user);
    else
        trt_say_(
            "stall: task %llu (%s) has blocked worker %zu for %lld ms; %s, last await at %s:%d; "
            "use trt_spawn_blocking for what blocks",
            (unsigned long long)info.task, info.name, info.worker, (long long)(for_ / 1000000),
            info.coroutine, info.file, info.line);
    return true;
}

static void trt_rescue_(trt_runtime *rt, trt_worker_ *stuck)
{
    uintptr_t entry;
    if (rt->current_thread || rt->n_workers == 1) return;
    entry = TRT_LOAD_(&stuck->lifo, relaxed) ? TRT_SWAP_(&stuck->lifo, 0u, acquire) : 0;
    if (entry) trt_inject_(rt, entry);
    if (TRT_LOAD_(&rt->sleeping, relaxed) && !TRT_LOAD_(&rt->searchers, relaxed) &&
        (!TRT_LOAD_(&rt->driver, relaxed) || !trt_ring_empty_(stuck)))
        trt_notify_slow_(rt);
}

static void trt_watch_worker_(trt_runtime *rt, trt_worker_ *w, trt_instant now)
{
    uint32_t poll = (uint32_t)TRT_LOAD_(&w->polls, relaxed);
    trt_cell_ *at = TRT_LOAD_(&w->at_cell, relaxed);
    if (!at || poll != w->seen_poll) {
        w->seen_poll = poll;
        w->seen_generation = at ? TRT_GENERATION_(TRT_LOAD_(&at->state, relaxed)) : 0;
        w->seen_at = trt_clock_(); /* behind the look: `now` may be older than what it has seen */
        w->reported = false;
        return;
    }
    if (TRT_LOAD_(&w->wheel.fresh_some, relaxed)) {
        trt_latch_(&rt->dump_latch); /* a dump tells until when a task sleeps */
        trt_settle_timers_(w);
        trt_unlatch_(&rt->dump_latch);
    }
    if (TRT_POLLER_KEEPS_ && !w->solo) trt_fds_poll_(w);
    trt_fds_verify_all_(rt);
    trt_rescue_(rt, w);
    if (w->reported || rt->config.stall_after < 0 || now - w->seen_at < rt->config.stall_after)
        return;
    w->reported = trt_stall_tell_(rt, w, now - w->seen_at);
}

static bool trt_all_asleep_(trt_runtime *rt)
{
    if (rt->current_thread && !TRT_LOAD_(&rt->driving, seq_cst)) return true;
    /* Those that have left after a shutdown sleep for good. */
    return TRT_LOAD_(&rt->sleeping, seq_cst) + TRT_LOAD_(&rt->exited, relaxed) >=
           trt_awake_most_(rt);
}

/* Does somebody sleep while nobody is the driver, and a timer is late, or fds are waited for? Who was
 * it last may be busy with polls that are too short to be taken for one that is stuck, and too long
 * for the timers of others, which it looks at after 244 of them. */
static bool trt_undriven_(trt_runtime *rt, trt_instant now)
{
    return !rt->current_thread && rt->n_workers > 1 && TRT_LOAD_(&rt->sleeping, relaxed) &&
           !TRT_LOAD_(&rt->driver, relaxed) && !TRT_LOAD_(&rt->searchers, relaxed) &&
           (TRT_LOAD_(&rt->fds_waiting, relaxed) || trt_next_timer_(rt) <= now);
}

static trt_duration trt_beat_(const trt_runtime *rt)
{
    trt_duration beat = rt->config.stall_after / 4;
    if (rt->config.stall_after < 0 || beat > 100000000) beat = 100000000;
    if (beat < 1000000) beat = 1000000;
    if (!rt->current_thread && rt->n_workers > 1 && beat > TRT_BEAT_NS_) beat = TRT_BEAT_NS_;
    return beat;
}

static TRT_COLD_ void *trt_watch_main_(void *arg)
{
    trt_runtime *rt = (trt_runtime *)arg;
    trt_duration beat = trt_beat_(rt);
    uint32_t state;
    bool undriven = false, before;
    trt_os_name_("trt-watch");
    trt_here_.rt = rt; /* what on_stall asks of it, it asks from inside */
    /* order: as in trt_watch_wake_ */
    while ((state = TRT_LOAD_(&rt->watch_word, acquire)) != 2) {
        trt_instant now = trt_clock_();
        size_t i;
        if (!state) {
            trt_os_wait_(&rt->watch_word, 0, TRT_FOREVER_);
            continue;
        }
        for (i = 0; i < rt->n_workers; i++) trt_watch_worker_(rt, rt->workers[i], now);
        before = undriven;
        undriven = trt_undriven_(rt, now);
        if (undriven && before) trt_notify_slow_(rt);
        if (trt_all_asleep_(rt)) {
            if (!TRT_CAS_(&rt->watch_word, &state, 0u, seq_cst)) continue;
            /* A worker clears its idle bit, then looks at the word; here it is the other way. */
            if (!trt_all_asleep_(rt)) trt_watch_wake_(rt);
            continue;
        }
        trt_os_wait_(&rt->watch_word, 1, now + beat);
    }
    return NULL;
}
/* ------------------------------------------------------------------------------------------------
 * >>impl-sync
 *
 * Everything here, and every channel below, is the same shape: a little state and a FIFO of
 * waiters under a latch. To complete a waiter takes these steps in this order:
 *
 *     latch, unlink it, claim it, hand over, unlatch, wake
 *
 * The claim decides between this completion and an abort, a timeout or another branch of an `any`.
 * Who loses it gets nothing, and the completer goes on with the next waiter: that is why a wait
 * that lost has never consumed anything. A waiter whose claim failed is only unlinked; its own
 * cancel comes later, finds it unlinked, and has nothing to pass on. (The cancel of a branch may
 * come even after it has completed: to pass through the latch, and to find the same.)
 *
 * Lifetime. The woken may free the object at once, so the wake comes after the unlatch and nothing
 * of the object is touched behind it. A task that completes without waiting may be as quick, so
 * it goes through the latch too (which the completer has then left), or reads a word whose change
 * is the last thing that the completer does to the object. The exception is trt_once, whose users
 * all have to be gone before it is: the manual asks that of every object anyway.
 *
 * What most waits and completions are has a way of its own in front of the general one: a strand
 * that waits for one thing, completed by a worker of its runtime. There all calls are last ones, of
 * functions that are not in line, so it saves no registers.
 *
 * A function that expects the latch to be held says "latched".
 */

/* Latched: unlink waiters until one can be claimed. Returns it, for the hand-over, or NULL. */
static trt_waiter_ *trt_complete_first_(trt_list_ *list, trt_status_code status, trt_wakes_ *wakes)
{
    trt_waiter_ *w;
    while ((w = list->head) != NULL) {
        trt_list_remove_(list, w);
        if (trt_claim_(w, status, wakes)) return w;
    }
    return NULL;
}

/* Latched: the same for what most waiters are, a strand of this worker's runtime that waits for one
 * thing. It is claimed before it is unlinked. NULL: it is something else, nothing has changed. */
static inline trt_cell_ *trt_claim_first_(trt_worker_ *here, trt_list_ *list,
                                          trt_status_code status)
{
    trt_waiter_ *w = list->head, *next;
    trt_cell_ *c;
    if (!w || w->mode != TRT_MODE_STRAND_) return NULL;
    c = trt_waiting_cell_(w);
    if (!trt_serves_(here, c) || !trt_claim_at_once_(c)) return NULL;
    next = w->next;
    list->head = next;
    if (next) next->prev = NULL;
    else list->tail = NULL;
    w->linked = 0;
    w->status = (uint8_t)status;
    return c;
}

static TRT_NOINLINE_ void trt_unlatch_rest_and_wake_(trt_a32_ *latch, uint32_t value, int rest,
                                                     trt_cell_ *c)
{
    trt_unlatch_rest_(latch, value, rest);
    trt_schedule_claimed_(c, false);
}

/* What trt_claim_first_ has claimed is woken behind the unlatch, which has left `rest`. (All that
 * is rare here is the last call: so who has this in line saves no registers.) */
static inline void trt_wake_behind_(trt_a32_ *latch, uint32_t value, int rest, trt_worker_ *here,
                                    trt_cell_ *c)
{
    if (TRT_UNLIKELY_(rest)) trt_unlatch_rest_and_wake_(latch, value, rest, c);
    else if (!trt_put_lifo_(here, (uintptr_t)c | TRT_OWNED_ENTRY_)) trt_schedule_claimed_(c, false);
}

/* Latched: complete all, where there is nothing to hand over. */
static void trt_complete_all_(trt_list_ *list, trt_status_code status, trt_wakes_ *wakes)
{
    while (trt_complete_first_(list, status, wakes)) continue;
}

/* Latched: the end of a poll that could not complete: wait, if there is a waiter to do it with. */
static trt_status_code trt_enlist_(trt_list_ *list, trt_waiter_ *w)
{
    if (!w) return TRT_PENDING;
    if (!trt_park_(w)) return TRT_REFUSED_; /* aborted meanwhile */
    trt_list_push_(list, w);
    return TRT_PENDING;
}

/* Latched: the same in line, for a strand alone. It is linked first, so that there is nothing left
 * to do once it is parked. False: on with trt_enlist_late_. */
static inline bool trt_enlist_at_once_(trt_list_ *list, trt_waiter_ *w, bool *parked)
{
    trt_list_push_(list, w);
    return TRT_LIKELY_(trt_park_at_once_(trt_waiting_cell_(w), parked));
}

static TRT_NOINLINE_ trt_status_code trt_enlist_late_(trt_list_ *list, trt_waiter_ *w, bool parked)
{
    trt_cell_ *c = trt_waiting_cell_(w);
    if (parked ? trt_park_late_(c, 0) : trt_park_strand_(c, 0)) return TRT_PENDING;
    trt_list_remove_(list, w);
    return TRT_REFUSED_;
}

/* The end of a poll that completes with `status`, before it takes or changes anything: a branch of
 * an `any` may find that another has won while they were being registered. */
static trt_status_code trt_settle_(trt_waiter_ *w, trt_status_code status)
{
    return !w || trt_take_(w) ? status : TRT_REFUSED_;
}

/* The cancel of everything from whose leaving nothing follows. */
static void trt_unlist_(trt_a32_ *latch, trt_list_ *list, trt_waiter_ *w)
{
    trt_latch_(latch);
    if (w->linked) trt_list_remove_(list, w);
    trt_unlatch_(latch);
}

static void trt_hand_bool_(void *out, bool value)
{
    if (out) *(bool *)out = value;
}

/* ---- permits: semaphore, mutex, read-write lock
 *
 * A mutex is a semaphore with 1 permit. A read-write lock is one with 2^29: a reader takes one, a
 * writer all. One word carries everything that the fast paths need:
 *
 *      63                                     2     1        0
 *     | free permits minus the bias (mod 2^62) | closed | queued |
 *
 * The bias (semaphore 0, mutex 1, rwlock 2^29) makes the zeroed lock a free one. The object does
 * not store which of the three it is: whoever asks or gives back says so. An "ask" is
 * `n << 2 | flavour`; it is the `arg` of the op, and what a guard remembers.
 *
 * Nobody waits: to take and to give back is one CAS each. Somebody waits: the bit `queued` is
 * set, and both go to the latch. The bit is set and cleared under the latch only, and while it is
 * set only the holder of the latch changes the word. At every unlatch: bit set <=> list not empty.
 *
 * Order. A fresh ask never overtakes: it takes only while the bit is clear. Free permits stay in
 * the word until the head of the list can have all that it asks for; nobody else can take them
 * meanwhile, and trt_available_permits() shows 0. A write lock at the head holds back the readers
 * behind it in the same way.
 *
 * Races:
 *   - ask against give: the asker finds too few, latches, and sets the bit with a CAS that fails if
 *     the giver was quicker; a giver that comes later fails its own CAS, sees the bit, and latches.
 *     So no permit is put down beside a waiter that does not look.
 *   - give against the last waiter's cancel: the giver saw the bit, the cancel cleared it before
 *     the giver had the latch. The giver unlatches and starts again, so that its CAS is its last
 *     touch: whoever takes that permit may free the object.
 *   - close against ask: CLOSED is seen by the asker's CAS loop, under the latch or not; who set
 *     the bit before is in the list by the time that the closer has the latch.
 *   - refusal: the asker set the bit, but its task was aborted meanwhile. It clears the bit if the
 *     list is empty; a try in between sees "somebody waits", which was true. Or it took permits as
 *     a branch of an `any` that another branch has just decided: then it gives them back. (Asking
 *     first is no better: having won, the branch could not be sure to get them. And to set the bit
 *     before asking would make every such acquire fail the tries of others for no reason.)
 *
 * Rejected: handing a waiter its permits piece by piece as they come (Tokio's batch_semaphore). It
 * keeps the same order, and a cancelled waiter then has a partial grant to return.
 */
#define TRT_QUEUED_ ((uint64_t)1)
#define TRT_SHUT_ ((uint64_t)2)
#define TRT_MAX_PERMITS_ ((uint64_t)(SIZE_MAX >> 3)) /* as Tokio: no sum of two wraps in 62 bits */
#define TRT_MAX_READERS_ ((uint64_t)1 << 29)         /* Tokio's number; a u32 and room to spare */
#define TRT_IS_SEMAPHORE_ 0u
#define TRT_IS_MUTEX_ 1u
#define TRT_IS_RWLOCK_ 2u
#define TRT_ASK_(n, flavour) ((uint64_t)(n) << 2 | (flavour))
#define TRT_ASK_WRITE_ TRT_ASK_(TRT_MAX_READERS_, TRT_IS_RWLOCK_)

static const uint64_t trt_permits_bias_[4] = {0, 1, TRT_MAX_READERS_};

static uint64_t trt_permits_most_(uint64_t ask)
{
    uint64_t bias = trt_permits_bias_[ask & 3];
    return bias ? bias : TRT_MAX_PERMITS_;
}

static uint64_t trt_permits_free_(uint64_t word, uint64_t ask)
{
    return ((word >> 2) + trt_permits_bias_[ask & 3]) & (UINT64_MAX >> 2);
}

static const char *trt_permits_caller_(uint64_t ask)
{
    if ((ask & 3) == TRT_IS_SEMAPHORE_) return "trt_acquire";
    if ((ask & 3) == TRT_IS_MUTEX_) return "trt_lock";
    return ask == TRT_ASK_WRITE_ ? "trt_write_lock" : "trt_read_lock";
}

/* What is wrong with this request, or NULL. */
static const char *trt_permits_wrong_(const trt_permits_ *p, uint64_t ask, const void *out)
{
    if (!out) return "NULL instead of a place for the permit or guard";
    if (ask >> 2 > trt_permits_most_(ask)) return "more permits than a semaphore can have";
    if ((ask & 3) == TRT_IS_SEMAPHORE_ && !p->ready) return "before trt_semaphore_init";
    return NULL;
}

/* Write the permit or guard that the ask has earned. */
static void trt_permits_hand_over_(trt_permits_ *p, uint64_t ask, void *out)
{
    if ((ask & 3) == TRT_IS_SEMAPHORE_) {
        trt_permit *permit = out;
        permit->from_ = (trt_semaphore *)p;
        permit->n_ = (size_t)(ask >> 2);
    } else {
        trt_guard *guard = out;
        guard->from_ = p;
        guard->n_ = ask;
    }
}

/* A free mutex, and one that is locked while nobody waits. */
#define TRT_MUTEX_ASK_ TRT_ASK_(1, TRT_IS_MUTEX_)
#define TRT_MUTEX_FREE_ ((uint64_t)0)
#define TRT_MUTEX_TAKEN_ (TRT_MUTEX_FREE_ - 4)

/* The first try, for the most frequent case: enough, open, nobody waits. (What is wrong with an ask
 * makes it fail: permits that there cannot be are not free, those of a semaphore before its init
 * neither.) The orders are those of trt_permits_take_. */
static inline bool trt_permits_quick_(trt_permits_ *p, uint64_t ask)
{
    uint64_t word = TRT_MUTEX_FREE_, n = ask >> 2;
    if (ask == TRT_MUTEX_ASK_) return TRT_CAS_(&p->word, &word, TRT_MUTEX_TAKEN_, acquire);
    word = TRT_LOAD_(&p->word, relaxed);
    return !(word & (TRT_QUEUED_ | TRT_SHUT_)) && n && trt_permits_free_(word, ask) >= n &&
           TRT_CAS_WEAK_(&p->word, &word, word - (n << 2), acquire);
}

/* Take what is asked for, if nobody waits and there is enough: TRT_OK, TRT_CLOSED or TRT_PENDING.
 * With `wait` = TRT_QUEUED_ (latched) TRT_PENDING means also that the bit is set now. */
static TRT_NOINLINE_ trt_status_code trt_permits_take_(trt_permits_ *p, uint64_t ask,
                                                       uint64_t wait)
{
    uint64_t n = ask >> 2;
    uint64_t word = TRT_LOAD_(&p->word, acquire); /* pairs with the closers' release */
    for (;;) {
        bool enough = trt_permits_free_(word, ask) >= n;
        if (word & TRT_SHUT_) return TRT_CLOSED;
        if (n == 0) return TRT_OK;
        if ((word & TRT_QUEUED_) || (!enough && !wait)) return TRT_PENDING;
        /* Acquire pairs with the release in trt_permits_give_ and trt_permits_grant_: all that was
         * done under these permits before is visible. While nobody waits, each change of the word
         * is an RMW, so that one acquire sees every release before it, not only the last. */
        if (TRT_CAS_WEAK_(&p->word, &word, enough ? word - (n << 2) : word | wait, acquire))
            return enough ? TRT_OK : TRT_PENDING;
    }
}

/* Latched, while somebody waits: nobody else changes the word then, so `word` is what it becomes.
 * Let in from the head whoever can have all it asks for; clear the bit after the last. The release
 * pairs with the acquire in trt_permits_take_; what others gave back before the bit was set, who
 * set it has seen, and we by the latch. */
static void trt_permits_grant_(trt_permits_ *p, uint64_t word, trt_wakes_ *wakes)
{
    trt_waiter_ *w;
    while ((w = p->waiters.head) != NULL) {
        uint64_t ask = w->args.arg;
        if (ask >> 2 > trt_permits_free_(word, ask)) break;
        trt_list_remove_(&p->waiters, w);
        if (!trt_claim_(w, TRT_OK, wakes)) continue;
        word -= ask >> 2 << 2;
        trt_permits_hand_over_(p, ask, w->args.out);
    }
    TRT_STORE_(&p->word, w ? word : word & ~TRT_QUEUED_, release);
}

/* Give back with somebody waiting. TRT_PENDING: nobody waits any more, start again. */
static trt_status_code trt_permits_hand_on_(trt_permits_ *p, uint64_t ask)
{
    trt_wakes_ wakes = TRT_NO_WAKES_;
    trt_status_code status = TRT_OK;
    uint64_t word;
    trt_latch_(&p->lock);
    word = TRT_LOAD_(&p->word, relaxed);
    if (!p->waiters.head) status = TRT_PENDING;
    else if (ask >> 2 > trt_permits_most_(ask) - trt_permits_free_(word, ask)) status = TRT_MISUSE;
    else trt_permits_grant_(p, word + (ask >> 2 << 2), &wakes);
    trt_unlatch_(&p->lock);
    trt_wake_(&wakes);
    return status;
}

/* In general. */
static TRT_NOINLINE_ trt_status_code trt_permits_put_(trt_permits_ *p, uint64_t ask,
                                                      const char *caller)
{
    uint64_t n = ask >> 2;
    uint64_t word = TRT_LOAD_(&p->word, relaxed); /* a first guess, the CAS decides */
    trt_status_code status = TRT_PENDING;
    while (status == TRT_PENDING) {
        if (word & TRT_QUEUED_) {
            status = trt_permits_hand_on_(p, ask);
            word = status == TRT_PENDING ? TRT_LOAD_(&p->word, relaxed) : 0;
        } else if (n > trt_permits_most_(ask) - trt_permits_free_(word, ask)) {
            status = TRT_MISUSE;
        } else if (TRT_CAS_WEAK_(&p->word, &word, word + (n << 2), release)) {
            return TRT_OK; /* as in trt_permits_give_ */
        }
    }
    return status == TRT_OK ? TRT_OK : trt_misuse_(caller, "more given back than there can be");
}

/* Latched: it is one permit, and who waits first wants one. Then it is handed on, and no other is
 * free (see Order). NULL: it is not so simple. */
static inline trt_cell_ *trt_permits_hand_one_(trt_worker_ *here, trt_permits_ *p, uint64_t ask)
{
    trt_waiter_ *w = p->waiters.head;
    trt_cell_ *c = NULL;
    if (TRT_LIKELY_(w && w->args.arg == ask && ask >> 2 == 1))
        c = trt_claim_first_(here, &p->waiters, TRT_OK);
    if (TRT_UNLIKELY_(!c)) return NULL;
    trt_permits_hand_over_(p, ask, w->args.out);
    /* order: as in trt_permits_grant_; but none is free, and who gives back next is woken after */
    if (!p->waiters.head)
        TRT_STORE_(&p->word, TRT_LOAD_(&p->word, relaxed) & ~TRT_QUEUED_, release);
    return c;
}

static TRT_NOINLINE_ trt_status_code trt_permits_unlatch_(trt_permits_ *p, uint64_t ask,
                                                          const char *caller)
{
    trt_unlatch_(&p->lock);
    return trt_permits_put_(p, ask, caller);
}

/* Give back n permits, or to a semaphore new ones. */
static TRT_NOINLINE_ trt_status_code trt_permits_return_(trt_permits_ *p, uint64_t ask,
                                                         const char *caller)
{
    trt_worker_ *here = trt_here_.worker;
    trt_cell_ *c;
    if (!(TRT_LOAD_(&p->word, relaxed) & TRT_QUEUED_) || !trt_latch_once_(&p->lock))
        return trt_permits_put_(p, ask, caller);
    c = trt_permits_hand_one_(here, p, ask);
    if (TRT_UNLIKELY_(!c)) return trt_permits_unlatch_(p, ask, caller);
    trt_wake_behind_(&p->lock, 0, trt_unlatch_at_once_(&p->lock), here, c);
    return TRT_OK;
}

static inline trt_status_code trt_permits_give_(trt_permits_ *p, uint64_t ask, const char *caller)
{
    uint64_t word = TRT_MUTEX_TAKEN_, n = ask >> 2;
    bool quick = true;
    if (ask != TRT_MUTEX_ASK_) {
        word = TRT_LOAD_(&p->word, relaxed); /* a first guess, the CAS decides */
        quick = !(word & TRT_QUEUED_) && n <= trt_permits_most_(ask) - trt_permits_free_(word, ask);
    }
    /* Released to the CAS in trt_permits_take_; p may be gone already. */
    if (TRT_LIKELY_(quick && TRT_CAS_(&p->word, &word, word + (n << 2), release))) return TRT_OK;
    return trt_permits_return_(p, ask, caller);
}

/* Take, or wait. Here too nobody overtakes, and permits may have come back since the first try. */
static trt_status_code trt_permits_wait_(trt_permits_ *p, uint64_t ask, trt_waiter_ *w)
{
    trt_status_code taken = TRT_PENDING, status;
    trt_latch_(&p->lock);
    if (!p->waiters.head || ask >> 2 == 0) taken = trt_permits_take_(p, ask, TRT_QUEUED_);
    status = taken == TRT_PENDING ? trt_enlist_(&p->waiters, w) : trt_settle_(w, taken);
    if (taken == TRT_PENDING && !p->waiters.head)
        TRT_AND_(&p->word, ~TRT_QUEUED_, relaxed); /* refused; an RMW carries earlier releases */
    trt_unlatch_(&p->lock);
    if (taken == TRT_OK && status == TRT_REFUSED_)
        trt_permits_put_(p, ask, trt_permits_caller_(ask));
    return status;
}

static TRT_NOINLINE_ trt_status_code trt_acquire_look_(trt_args_ *a, trt_waiter_ *w)
{
    trt_permits_ *p = a->obj;
    uint64_t ask = a->arg; /* copies: once it is in the list and the latch open, w may be gone */
    void *out = a->out;
    const char *wrong = trt_permits_wrong_(p, ask, out);
    trt_status_code status;
    if (wrong) return trt_settle_(w, trt_misuse_(trt_permits_caller_(ask), wrong));
    status = w ? trt_permits_wait_(p, ask, w) : trt_permits_take_(p, ask, 0);
    if (status == TRT_OK) trt_permits_hand_over_(p, ask, out);
    return status;
}

static TRT_NOINLINE_ trt_status_code trt_acquire_late_(trt_permits_ *p, trt_waiter_ *w, bool parked)
{
    trt_status_code status = trt_enlist_late_(&p->waiters, w, parked);
    if (!p->waiters.head) TRT_AND_(&p->word, ~TRT_QUEUED_, relaxed); /* as in trt_permits_wait_ */
    trt_unlatch_(&p->lock);
    return status;
}

static TRT_NOINLINE_ trt_status_code trt_acquire_unlatch_(trt_args_ *a, trt_waiter_ *w)
{
    trt_permits_ *p = a->obj;
    trt_unlatch_(&p->lock);
    return trt_acquire_look_(a, w);
}

/* Latched: one permit is asked for, and others wait, or there is none. Sets the bit, with the order
 * of trt_permits_take_. */
static inline bool trt_permits_none_(trt_permits_ *p, uint64_t ask)
{
    uint64_t word;
    if (p->waiters.head) return true;
    word = TRT_LOAD_(&p->word, relaxed); /* a first guess, the CAS decides */
    /* order: none is free, so who gave one back is seen by who has it now, and hands it on */
    return !(word & TRT_SHUT_) && !trt_permits_free_(word, ask) &&
           ((ask & 3) != TRT_IS_SEMAPHORE_ || p->ready) &&
           TRT_CAS_(&p->word, &word, word | TRT_QUEUED_, acquire);
}

/* In line: most waits are those of a strand that waits for this alone, and for one permit. */
static trt_status_code trt_acquire_poll_(trt_co *co, trt_args_ *a, trt_waiter_ *w)
{
    trt_permits_ *p = a->obj;
    uint64_t ask = a->arg;
    bool parked;
    (void)co;
    if (!w || w->mode != TRT_MODE_STRAND_ || ask >> 2 != 1 || !a->out || !trt_latch_once_(&p->lock))
        return trt_acquire_look_(a, w);
    if (TRT_UNLIKELY_(!trt_permits_none_(p, ask))) return trt_acquire_unlatch_(a, w);
    if (!trt_enlist_at_once_(&p->waiters, w, &parked)) return trt_acquire_late_(p, w, parked);
    trt_unlatch_here_(&p->lock);
    return TRT_PENDING;
}

/* Not at the first try: it waits, if it looks as though it had to. */
static TRT_NOINLINE_ bool trt_await_acquire_again_(trt_co *co, trt_permits_ *p, void *out,
                                                   uint64_t ask)
{
    uint64_t word = TRT_LOAD_(&p->word, relaxed); /* a look */
    if (ask == TRT_MUTEX_ASK_ ||
        (!(word & TRT_SHUT_) &&
         ((word & TRT_QUEUED_) || trt_permits_free_(word, ask) < ask >> 2)))
        return trt_park_here_(trt_here_.worker, co, TRT_KIND_ACQUIRE_, p, out, ask);
    return trt_await_slowly_(co, TRT_KIND_ACQUIRE_, p, out, ask);
}

static TRT_NOINLINE_ bool trt_await_acquire_(trt_co *co, void *permits, void *out, uint64_t ask)
{
    trt_worker_ *w = trt_here_.worker;
    trt_permits_ *p = (trt_permits_ *)permits;
    if (!trt_may_try_(w, co) || !out)
        return trt_await_slowly_(co, TRT_KIND_ACQUIRE_, permits, out, ask);
    if (TRT_UNLIKELY_(!trt_permits_quick_(p, ask)))
        return trt_await_acquire_again_(co, p, out, ask);
    trt_permits_hand_over_(p, ask, out);
    return trt_done_(w, co, TRT_OK);
}

/* A big request that leaves the head may have held back smaller ones. */
static TRT_COLD_ void trt_acquire_cancel_(trt_waiter_ *w)
{
    trt_permits_ *p = w->args.obj;
    trt_wakes_ wakes = TRT_NO_WAKES_;
    trt_latch_(&p->lock);
    if (w->linked) {
        trt_list_remove_(&p->waiters, w);
        trt_permits_grant_(p, TRT_LOAD_(&p->word, relaxed), &wakes);
    }
    trt_unlatch_(&p->lock);
    trt_wake_(&wakes);
}

static bool trt_permits_try_(trt_permits_ *p, uint64_t ask, void *out, const char *caller)
{
    const char *wrong = trt_permits_wrong_(p, ask, out);
    if (wrong) {
        trt_misuse_(caller, wrong);
        return false;
    }
    if (trt_permits_take_(p, ask, 0) != TRT_OK) return false;
    trt_permits_hand_over_(p, ask, out);
    return true;
}

/* More than the maximum stays more than the maximum, and fits beside the flavour. */
static uint64_t trt_semaphore_ask_(size_t n)
{
    size_t most = (size_t)TRT_MAX_PERMITS_;
    return TRT_ASK_(n > most ? most + 1 : n, TRT_IS_SEMAPHORE_);
}

TRT_DEF_ trt_status_code trt_semaphore_init(trt_semaphore *semaphore, size_t permits)
{
    trt_permits_ *p = &semaphore->base_;
    if (permits > TRT_MAX_PERMITS_)
        return trt_misuse_("trt_semaphore_init", "more permits than a semaphore can have");
    TRT_STORE_(&p->word, (uint64_t)permits << 2, relaxed); /* nobody else knows it yet */
    TRT_STORE_(&p->lock, 0, relaxed);                      /* the same */
    p->waiters.head = p->waiters.tail = NULL;
    p->ready = 1;
    return TRT_OK;
}

TRT_DEF_ trt_op trt_acquire_many(trt_semaphore *semaphore, size_t n, trt_permit *permit)
{
    return trt_op_(TRT_KIND_ACQUIRE_, &semaphore->base_, permit, trt_semaphore_ask_(n));
}

TRT_DEF_ trt_op trt_acquire(trt_semaphore *semaphore, trt_permit *permit)
{
    return trt_acquire_many(semaphore, 1, permit);
}

TRT_DEF_ bool trt_try_acquire_many(trt_semaphore *semaphore, size_t n, trt_permit *permit)
{
    return trt_permits_try_(&semaphore->base_, trt_semaphore_ask_(n), permit, "trt_try_acquire");
}

TRT_DEF_ bool trt_try_acquire(trt_semaphore *semaphore, trt_permit *permit)
{
    return trt_try_acquire_many(semaphore, 1, permit);
}

TRT_DEF_ void trt_release(trt_permit *permit)
{
    trt_semaphore *from = permit->from_;
    size_t n = permit->n_;
    permit->from_ = NULL;
    permit->n_ = 0;
    if (from && n) trt_permits_give_(&from->base_, trt_semaphore_ask_(n), "trt_release");
}

TRT_DEF_ trt_status_code trt_add_permits(trt_semaphore *semaphore, size_t n)
{
    if (!semaphore->base_.ready) return trt_misuse_("trt_add_permits", "before trt_semaphore_init");
    return trt_permits_give_(&semaphore->base_, trt_semaphore_ask_(n), "trt_add_permits");
}

TRT_DEF_ size_t trt_available_permits(trt_semaphore *semaphore)
{
    uint64_t word = TRT_LOAD_(&semaphore->base_.word, relaxed); /* a number, orders nothing */
    if (!semaphore->base_.ready) trt_misuse_("trt_available_permits", "before trt_semaphore_init");
    return word & TRT_QUEUED_ ? 0 : (size_t)(word >> 2);
}

/* Close with somebody waiting. False: nobody waits any more, start again. */
static bool trt_permits_evict_(trt_permits_ *p)
{
    trt_wakes_ wakes = TRT_NO_WAKES_;
    bool any;
    trt_latch_(&p->lock);
    any = p->waiters.head != NULL;
    if (any) {
        trt_complete_all_(&p->waiters, TRT_CLOSED, &wakes);
        /* As in trt_permits_grant_. Pairs with the load in trt_permits_take_. */
        TRT_STORE_(&p->word, (TRT_LOAD_(&p->word, relaxed) | TRT_SHUT_) & ~TRT_QUEUED_, release);
    }
    trt_unlatch_(&p->lock);
    trt_wake_(&wakes);
    return any;
}

TRT_DEF_ TRT_COLD_ void trt_semaphore_close(trt_semaphore *semaphore)
{
    trt_permits_ *p = &semaphore->base_;
    uint64_t word;
    if (!p->ready) return;
    word = TRT_LOAD_(&p->word, relaxed); /* a first guess, the CAS decides */
    while (!(word & TRT_SHUT_)) {
        if (word & TRT_QUEUED_) {
            if (trt_permits_evict_(p)) return;
            word = TRT_LOAD_(&p->word, relaxed); /* a first guess again */
        } else if (TRT_CAS_WEAK_(&p->word, &word, word | TRT_SHUT_, release)) {
            return; /* released to the load in trt_permits_take_; p may be gone already */
        }
    }
}

TRT_DEF_ trt_op trt_lock(trt_mutex *mutex, trt_guard *guard)
{
    return trt_op_(TRT_KIND_ACQUIRE_, &mutex->base_, guard, TRT_MUTEX_ASK_);
}

TRT_DEF_ bool trt_try_lock(trt_mutex *mutex, trt_guard *guard)
{
    return trt_permits_try_(&mutex->base_, TRT_MUTEX_ASK_, guard, "trt_try_lock");
}

TRT_DEF_ trt_op trt_read_lock(trt_rwlock *rwlock, trt_guard *guard)
{
    return trt_op_(TRT_KIND_ACQUIRE_, &rwlock->base_, guard, TRT_ASK_(1, TRT_IS_RWLOCK_));
}

TRT_DEF_ trt_op trt_write_lock(trt_rwlock *rwlock, trt_guard *guard)
{
    return trt_op_(TRT_KIND_ACQUIRE_, &rwlock->base_, guard, TRT_ASK_WRITE_);
}

TRT_DEF_ bool trt_try_read_lock(trt_rwlock *rwlock, trt_guard *guard)
{
    uint64_t ask = TRT_ASK_(1, TRT_IS_RWLOCK_);
    return trt_permits_try_(&rwlock->base_, ask, guard, "trt_try_read_lock");
}

TRT_DEF_ bool trt_try_write_lock(trt_rwlock *rwlock, trt_guard *guard)
{
    return trt_permits_try_(&rwlock->base_, TRT_ASK_WRITE_, guard, "trt_try_write_lock");
}

TRT_DEF_ void trt_unlock(trt_guard *guard)
{
    trt_permits_ *from = guard->from_;
    uint64_t ask = guard->n_;
    guard->from_ = NULL;
    guard->n_ = 0;
    if (from) trt_permits_give_(from, ask, "trt_unlock");
}

/* All permits but one go back in one step, so no writer can come between. */
TRT_DEF_ void trt_downgrade(trt_guard *guard)
{
    if (!guard->from_ || guard->n_ != TRT_ASK_WRITE_) {
        trt_misuse_("trt_downgrade", "not a write guard");
        return;
    }
    guard->n_ = TRT_ASK_(1, TRT_IS_RWLOCK_);
    trt_permits_give_(guard->from_, TRT_ASK_(TRT_MAX_READERS_ - 1, TRT_IS_RWLOCK_),
                      "trt_downgrade");
}

/* ---- notify
 *
 * `rounds_` counts the calls of trt_notify_all. An op carries the count of the moment when it was
 * made; a different count when it is awaited means that a notify_all came in between. So "make the
 * op, check the condition, await it" loses no wake. Everybody in the list has the current count.
 *
 * `word_` is the latch of the list, and while nobody holds it one of
 *
 *     0                     nobody waits, nothing is kept
 *     TRT_NOTIFY_PERMIT_    nobody waits, a notification is kept
 *     TRT_NOTIFY_WAITERS_   somebody waits
 *
 * so that a notification is put down, and one that is kept is taken, by one CAS that fails if
 * anybody waits, comes to wait, or notifies all. It is the last touch of both: whoever has taken
 * the notification may free the object.
 */
#define TRT_NOTIFY_PERMIT_ 4u
#define TRT_NOTIFY_WAITERS_ 8u

static void trt_notify_unlatch_(trt_notify *n, bool permit)
{
    uint32_t value = permit ? TRT_NOTIFY_PERMIT_ : 0u;
    trt_unlatch_value_(&n->word_, n->waiters_.head ? TRT_NOTIFY_WAITERS_ : value);
}

/* Takes a notification that is kept. If a notify_all came since the look at the rounds, the op had
 * no need of it, and takes it nevertheless. */
static bool trt_notify_take_(trt_notify *n, uint64_t rounds)
{
    uint32_t value = TRT_NOTIFY_PERMIT_;
    return TRT_LOAD_(&n->word_, relaxed) == TRT_NOTIFY_PERMIT_ &&
           TRT_LOAD_(&n->rounds_, relaxed) == rounds &&
           TRT_CAS_(&n->word_, &value, 0u, acquire);
}

/* In general. With the latch, there was no notification when it was taken. */
static TRT_NOINLINE_ trt_status_code trt_notified_settle_(trt_args_ *a, trt_waiter_ *w,
                                                          bool latched)
{
    trt_notify *n = a->obj;
    trt_status_code status;
    bool permit, missed;
    permit = !latched && trt_latch_value_(&n->word_) == TRT_NOTIFY_PERMIT_;
    missed = TRT_LOAD_(&n->rounds_, relaxed) != a->arg; /* changes under the latch only */
    if (missed || permit) {
        status = trt_settle_(w, TRT_OK);
        if (status == TRT_OK && !missed) permit = false;
    } else {
        status = trt_enlist_(&n->waiters_, w);
    }
    trt_notify_unlatch_(n, permit);
    return status;
}

static TRT_NOINLINE_ trt_status_code trt_notified_late_(trt_notify *n, trt_waiter_ *w, bool parked)
{
    trt_status_code status = trt_enlist_late_(&n->waiters_, w, parked);
    trt_notify_unlatch_(n, false);
    return status;
}

/* In line: most waits are those of a strand that waits for this alone. */
static trt_status_code trt_notified_poll_(trt_co *co, trt_args_ *a, trt_waiter_ *w)
{
    trt_notify *n = a->obj;
    uint32_t value = TRT_LOAD_(&n->word_, relaxed); /* a first guess, the CAS decides */
    bool parked;
    (void)co;
    if (!w && trt_notify_take_(n, a->arg)) return TRT_OK;
    /* A look; what it misses, the registration sees under the latch. Of an `any` none may follow:
     * so under a latch, where one may be kept that its holder puts back, it does not say no. */
    if (!w && !(value & ~TRT_NOTIFY_WAITERS_) && TRT_LOAD_(&n->rounds_, relaxed) == a->arg)
        return TRT_PENDING;
    if (TRT_UNLIKELY_(!w || w->mode != TRT_MODE_STRAND_ || (value & ~TRT_NOTIFY_WAITERS_) ||
                      !TRT_CAS_(&n->word_, &value, 1u, acquire)))
        return trt_notified_settle_(a, w, false);
    if (TRT_UNLIKELY_(TRT_LOAD_(&n->rounds_, relaxed) != a->arg)) /* as above */
        return trt_notified_settle_(a, w, true);
    if (!trt_enlist_at_once_(&n->waiters_, w, &parked)) return trt_notified_late_(n, w, parked);
    trt_unlatch_value_here_(&n->word_, TRT_NOTIFY_WAITERS_);
    return TRT_PENDING;
}

static TRT_NOINLINE_ bool trt_await_notified_(trt_co *co, void *notify, uint64_t rounds)
{
    trt_worker_ *w = trt_here_.worker;
    trt_notify *n = (trt_notify *)notify;
    if (!trt_may_try_(w, co)) return trt_await_slowly_(co, TRT_KIND_NOTIFIED_, n, NULL, rounds);
    if (TRT_LIKELY_(trt_notify_take_(n, rounds))) return trt_done_(w, co, TRT_OK);
    if (TRT_LOAD_(&n->rounds_, relaxed) == rounds)
        return trt_park_here_(w, co, TRT_KIND_NOTIFIED_, n, NULL, rounds);
    return trt_await_slowly_(co, TRT_KIND_NOTIFIED_, n, NULL, rounds);
}

static TRT_COLD_ void trt_notified_cancel_(trt_waiter_ *w)
{
    trt_notify *n = w->args.obj;
    bool permit = trt_latch_value_(&n->word_) == TRT_NOTIFY_PERMIT_;
    if (w->linked) trt_list_remove_(&n->waiters_, w);
    trt_notify_unlatch_(n, permit);
}

TRT_DEF_ trt_op trt_notified(trt_notify *notify)
{
    /* Acquire pairs with the add in trt_notify_all: who sees the new count here, and so is not
     * woken by it, sees what the notifier did before. */
    return trt_op_(TRT_KIND_NOTIFIED_, notify, NULL, TRT_LOAD_(&notify->rounds_, acquire));
}

/* Latched: hand it to the first that can be claimed, or keep it. */
static TRT_NOINLINE_ void trt_notify_first_(trt_notify *notify)
{
    trt_wakes_ wakes = TRT_NO_WAKES_;
    trt_notify_unlatch_(notify, !trt_complete_first_(&notify->waiters_, TRT_OK, &wakes));
    trt_wake_(&wakes);
}

/* In general. */
static TRT_NOINLINE_ void trt_notify_next_(trt_notify *notify)
{
    uint32_t value = TRT_LOAD_(&notify->word_, relaxed);
    /* Release pairs with whoever takes it: what is kept already tells of this notifier too. */
    while (!value || value == TRT_NOTIFY_PERMIT_)
        if (TRT_CAS_WEAK_(&notify->word_, &value, TRT_NOTIFY_PERMIT_, release)) return;
    (void)trt_latch_value_(&notify->word_);
    trt_notify_first_(notify);
}

TRT_DEF_ void trt_notify_one(trt_notify *notify)
{
    uint32_t value = TRT_LOAD_(&notify->word_, relaxed); /* a first guess, the CAS decides */
    trt_worker_ *here;
    trt_cell_ *c;
    if (value != TRT_NOTIFY_WAITERS_ ||
        TRT_UNLIKELY_(!TRT_CAS_(&notify->word_, &value, 1u, acquire))) {
        trt_notify_next_(notify);
        return;
    }
    here = trt_here_.worker;
    c = trt_claim_first_(here, &notify->waiters_, TRT_OK);
    if (TRT_UNLIKELY_(!c)) {
        trt_notify_first_(notify);
        return;
    }
    value = notify->waiters_.head ? TRT_NOTIFY_WAITERS_ : 0u;
    trt_wake_behind_(&notify->word_, value, trt_unlatch_most_(&notify->word_, value), here, c);
}

TRT_DEF_ void trt_notify_all(trt_notify *notify)
{
    trt_wakes_ wakes = TRT_NO_WAKES_;
    bool permit = trt_latch_value_(&notify->word_) == TRT_NOTIFY_PERMIT_;
    TRT_ADD_(&notify->rounds_, 1, release); /* pairs with the load in trt_notified */
    trt_complete_all_(&notify->waiters_, TRT_OK, &wakes);
    trt_notify_unlatch_(notify, permit);
    trt_wake_(&wakes);
}

/* ---- barrier
 *
 * The last arriver completes the others and starts the next round, so a round needs no number. A
 * waiter leaves when its await ends; one that has lost, and has not run since, is taken out before
 * it could make a round complete.
 */
/* Does it still wait? One that lost to an abort or a deadline stays linked until its strand runs. */
static bool trt_still_waits_(trt_waiter_ *w)
{
    trt_cell_ *c = w->mode == TRT_MODE_MEMBER_ ? trt_group_of_(w)->cell : trt_waiting_cell_(w);
    return (TRT_LOAD_(&c->state, relaxed) & TRT_WAIT_STATE_) != 0;
}

/* Latch held, the round is about to be complete: who has lost counts no longer. */
static void trt_barrier_sweep_(trt_barrier *b)
{
    trt_waiter_ *w = b->waiters_.head, *next;
    for (; w; w = next) {
        next = w->next;
        if (trt_still_waits_(w)) continue;
        trt_list_remove_(&b->waiters_, w);
        b->arrived_--;
    }
}

static TRT_COLD_ trt_status_code trt_barrier_poll_(trt_co *co, trt_args_ *a, trt_waiter_ *w)
{
    trt_barrier *b = a->obj;
    trt_wakes_ wakes = TRT_NO_WAKES_;
    trt_waiter_ *other;
    trt_status_code status;
    (void)co;
    if (!b->parties_) /* never changes after init */
        return trt_settle_(w, trt_misuse_("trt_barrier_wait", "before trt_barrier_init"));
    trt_latch_(&b->lock_);
    if (b->parties_ - b->arrived_ <= 1) trt_barrier_sweep_(b);
    if (b->parties_ - b->arrived_ > 1) {
        status = trt_enlist_(&b->waiters_, w);
        if (w && status == TRT_PENDING) b->arrived_++;
    } else if ((status = trt_settle_(w, TRT_OK)) == TRT_OK) {
        b->arrived_ = 0;
        while ((other = trt_complete_first_(&b->waiters_, TRT_OK, &wakes)) != NULL)
            trt_hand_bool_(other->args.out, false);
        trt_hand_bool_(a->out, true);
    }
    trt_unlatch_(&b->lock_);
    trt_wake_(&wakes);
    return status;
}

static TRT_COLD_ void trt_barrier_cancel_(trt_waiter_ *w)
{
    trt_barrier *b = w->args.obj;
    trt_latch_(&b->lock_);
    if (w->linked) {
        trt_list_remove_(&b->waiters_, w);
        b->arrived_--;
    }
    trt_unlatch_(&b->lock_);
}

TRT_DEF_ trt_status_code trt_barrier_init(trt_barrier *barrier, size_t parties)
{
    if (!parties) return trt_misuse_("trt_barrier_init", "0 parties");
    barrier->waiters_.head = barrier->waiters_.tail = NULL;
    barrier->parties_ = parties;
    barrier->arrived_ = 0;
    TRT_STORE_(&barrier->lock_, 0, relaxed); /* nobody else knows it yet */
    return TRT_OK;
}

TRT_DEF_ trt_op trt_barrier_wait(trt_barrier *barrier, bool *leader)
{
    return trt_op_(TRT_KIND_BARRIER_, barrier, leader, 0);
}

/* ---- once: idle -> busy (somebody initialises) -> done, or back to idle if that failed */
#define TRT_ONCE_IDLE_ 0u
#define TRT_ONCE_BUSY_ 1u
#define TRT_ONCE_DONE_ 2u

static TRT_COLD_ trt_status_code trt_once_poll_(trt_co *co, trt_args_ *a, trt_waiter_ *w)
{
    trt_once *o = a->obj;
    bool *first = a->out;
    uint32_t state;
    trt_status_code status;
    (void)co;
    if (!first) return trt_settle_(w, trt_misuse_("trt_once_enter", "NULL, so nobody would know"));
    if (TRT_LOAD_(&o->state_, acquire) == TRT_ONCE_DONE_) { /* pairs with trt_once_done */
        status = trt_settle_(w, TRT_OK);
        if (status == TRT_OK) *first = false;
        return status;
    }
    trt_latch_(&o->lock_);
    state = TRT_LOAD_(&o->state_, relaxed); /* changes under the latch only */
    if (state == TRT_ONCE_BUSY_) {
        status = trt_enlist_(&o->waiters_, w);
    } else if ((status = trt_settle_(w, TRT_OK)) == TRT_OK) {
        *first = state == TRT_ONCE_IDLE_;
        if (*first) TRT_STORE_(&o->state_, TRT_ONCE_BUSY_, relaxed); /* read under the latch */
    }
    trt_unlatch_(&o->lock_);
    return status;
}

static TRT_COLD_ void trt_once_cancel_(trt_waiter_ *w)
{
    trt_once *o = w->args.obj;
    trt_unlist_(&o->lock_, &o->waiters_, w);
}

TRT_DEF_ trt_op trt_once_enter(trt_once *once, bool *first)
{
    return trt_op_(TRT_KIND_ONCE_, once, first, 0);
}

TRT_DEF_ TRT_COLD_ void trt_once_done(trt_once *once)
{
    trt_wakes_ wakes = TRT_NO_WAKES_;
    trt_waiter_ *w;
    bool entered;
    trt_latch_(&once->lock_);
    entered = TRT_LOAD_(&once->state_, relaxed) != TRT_ONCE_IDLE_; /* under the latch */
    if (entered) {
        while ((w = trt_complete_first_(&once->waiters_, TRT_OK, &wakes)) != NULL)
            trt_hand_bool_(w->args.out, false);
        TRT_STORE_(&once->state_, TRT_ONCE_DONE_, release); /* the first load in trt_once_poll_ */
    }
    trt_unlatch_(&once->lock_);
    trt_wake_(&wakes);
    if (!entered) trt_misuse_("trt_once_done", "nobody has entered");
}

/* The next waiter becomes the first; without one the next to enter does. */
TRT_DEF_ TRT_COLD_ void trt_once_failed(trt_once *once)
{
    trt_wakes_ wakes = TRT_NO_WAKES_;
    trt_latch_(&once->lock_);
    if (TRT_LOAD_(&once->state_, relaxed) == TRT_ONCE_BUSY_) { /* changes under the latch only */
        trt_waiter_ *w = trt_complete_first_(&once->waiters_, TRT_OK, &wakes);
        if (w) trt_hand_bool_(w->args.out, true);
        else TRT_STORE_(&once->state_, TRT_ONCE_IDLE_, relaxed); /* read under the latch */
    }
    trt_unlatch_(&once->lock_);
    trt_wake_(&wakes);
}

/* ---- token
 *
 * One latch for a whole tree: a cancel must see a subtree that nobody changes, and a latch for each
 * token would mean to hold two. The latch lives in a record of its own, which goes with the last
 * that uses it: a token of the tree, or a wait for one. For who has cancelled a token may free it,
 * while those who waited for it have not run since, and some of them have a cancel to come: all
 * members of groups, and whoever had lost to something else. In `out` they keep the record, whose
 * latch they pass; the token itself they touch only if they are in its list, as it is not freed
 * then.
 *
 * A token that is freed before its children stays in the tree while it has two or more; with one
 * left, that one takes its place; with none it goes. So every token that is kept for others has at
 * least two children, there are always fewer of them than live tokens, each free takes constant
 * time, and a chain of "make a child, free the parent" does not grow. (Tokio moves all children to
 * the grandparent, which takes time for each; a reference count would let that chain grow.)
 *
 * What is below a cancelled token is cancelled: new ones are born so, and the walk of a cancel,
 * which climbs by the parent pointers and needs no stack, may stop there.
 */
typedef struct trt_tree_ {
    trt_a32_ lock;
    size_t users; /* under lock: tokens, also freed ones that are linked still; and waits */
} trt_tree_;

struct trt_token {
    /* immutable after new */ trt_tree_ *tree;
    /* under tree->lock */ trt_token *parent, *child, *next, *prev; /* child: the newest */
    trt_list_ waiters;
    bool freed;
    /* any thread, atomic */ trt_a32_ cancelled;
};

static void trt_token_link_(trt_token *t, trt_token *parent)
{
    t->parent = parent;
    t->next = parent->child;
    if (t->next) t->next->prev = t;
    parent->child = t;
}

/* Take t out of the tree; its only child, if it has one, takes its place. */
static void trt_token_unlink_(trt_token *t)
{
    trt_token *heir = t->child;
    if (heir) {
        heir->parent = t->parent;
        heir->prev = t->prev;
        heir->next = t->next;
    }
    if (t->prev) t->prev->next = heir ? heir : t->next;
    else if (t->parent) t->parent->child = heir ? heir : t->next;
    if (t->next) t->next->prev = heir ? heir : t->prev;
}

/* Take out t, and what is above it, as far as nobody needs them. Returns them, linked by next. */
static trt_token *trt_token_prune_(trt_token *t)
{
    trt_token *gone = NULL;
    while (t && t->freed && (!t->child || !t->child->next)) {
        trt_token *parent = t->parent;
        trt_token_unlink_(t);
        t->tree->users--;
        t->next = gone;
        gone = t;
        t = parent;
    }
    return gone;
}

/* Cancel this one alone. False if it was, and so all below it. */
static bool trt_token_mark_(trt_token *t, trt_wakes_ *wakes)
{
    trt_waiter_ *w;
    if (TRT_LOAD_(&t->cancelled, relaxed)) return false; /* changes under the latch only */
    TRT_STORE_(&t->cancelled, 1, release); /* pairs with the loads in is_cancelled and poll */
    while ((w = trt_complete_first_(&t->waiters, TRT_OK, wakes)) != NULL)
        if (w->mode != TRT_MODE_MEMBER_) t->tree->users--; /* no cancel of it comes */
    return true;
}

static trt_tree_ *trt_tree_new_(void)
{
    trt_tree_ *tree = TASKRT_MALLOC(sizeof *tree);
    if (!tree) return NULL;
    TRT_STORE_(&tree->lock, 0, relaxed); /* nobody else knows it yet */
    tree->users = 0;
    return tree;
}

TRT_DEF_ TRT_COLD_ trt_token *trt_token_new(trt_token *parent)
{
    trt_token *t = TASKRT_MALLOC(sizeof *t);
    trt_tree_ *tree;
    if (!t) return NULL;
    tree = parent ? parent->tree : trt_tree_new_();
    if (!tree) {
        TASKRT_FREE(t);
        return NULL;
    }
    memset((void *)t, 0, sizeof *t);
    t->tree = tree;
    trt_latch_(&tree->lock);
    tree->users++;
    if (parent) {
        trt_token_link_(t, parent);
        /* Both relaxed: the parent's changes under the latch only, nobody else knows t yet. */
        TRT_STORE_(&t->cancelled, TRT_LOAD_(&parent->cancelled, relaxed), relaxed);
    }
    trt_unlatch_(&tree->lock);
    return t;
}

TRT_DEF_ TRT_COLD_ void trt_token_free_(trt_token **token)
{
    trt_token *t = *token;
    trt_tree_ *tree;
    trt_token *gone;
    bool last;
    if (!t) return;
    *token = NULL;
    tree = t->tree;
    trt_latch_(&tree->lock);
    if (t->waiters.head) { /* to leak it is better than to pull it away from under them */
        trt_unlatch_(&tree->lock);
        trt_misuse_("trt_token_free", "somebody still waits for it");
        return;
    }
    t->freed = true;
    gone = trt_token_prune_(t);
    last = !tree->users;
    trt_unlatch_(&tree->lock);
    if (last) TASKRT_FREE(tree);
    while (gone) {
        t = gone;
        gone = t->next;
        TASKRT_FREE(t);
    }
}

TRT_DEF_ TRT_COLD_ void trt_token_cancel(trt_token *token)
{
    trt_wakes_ wakes = TRT_NO_WAKES_;
    trt_token *t = token;
    trt_tree_ *tree;
    if (!token) return;
    tree = token->tree;
    trt_latch_(&tree->lock);
    for (;;) {
        if (trt_token_mark_(t, &wakes) && t->child) {
            t = t->child;
            continue;
        }
        while (t != token && !t->next) t = t->parent;
        if (t == token) break;
        t = t->next;
    }
    trt_unlatch_(&tree->lock);
    trt_wake_(&wakes);
}

TRT_DEF_ bool trt_token_is_cancelled(const trt_token *token)
{
    return token && TRT_LOAD_(&token->cancelled, acquire) != 0; /* pairs with trt_token_mark_ */
}

/* Latched. The tree is noted before the wait is parked: from there on its cancel may come. */
static trt_status_code trt_token_enlist_(trt_token *t, trt_waiter_ *w)
{
    if (!w) return TRT_PENDING;
    w->args.out = t->tree;
    if (trt_enlist_(&t->waiters, w) == TRT_PENDING) {
        t->tree->users++;
        return TRT_PENDING;
    }
    w->args.out = NULL;
    return TRT_REFUSED_;
}

static trt_status_code trt_token_poll_(trt_co *co, trt_args_ *a, trt_waiter_ *w)
{
    trt_token *t = a->obj;
    trt_tree_ *tree;
    trt_status_code status;
    (void)co;
    if (!t) return trt_settle_(w, trt_misuse_("trt_token_wait", "no token (NULL)"));
    if (trt_token_is_cancelled(t)) return trt_settle_(w, TRT_OK);
    tree = t->tree; /* t may be gone once this wait is in the list and the latch open */
    trt_latch_(&tree->lock);
    if (TRT_LOAD_(&t->cancelled, relaxed)) /* changes under the latch only */
        status = trt_settle_(w, TRT_OK);
    else status = trt_token_enlist_(t, w);
    trt_unlatch_(&tree->lock);
    return status;
}

static TRT_COLD_ void trt_token_cancel_(trt_waiter_ *w)
{
    trt_tree_ *tree = w->args.out;
    bool last;
    if (!tree) return; /* never in a list, or it has left already */
    w->args.out = NULL;
    trt_latch_(&tree->lock);
    if (w->linked) trt_list_remove_(&((trt_token *)w->args.obj)->waiters, w);
    last = !--tree->users;
    trt_unlatch_(&tree->lock);
    if (last) TASKRT_FREE(tree);
}

TRT_DEF_ trt_op trt_token_wait(trt_token *token)
{
    return trt_op_(TRT_KIND_TOKEN_, token, NULL, 0);
}

/* ---- arc: | count, destroy (16 bytes) | the user's memory | */
#define TRT_ARC_HEADER_ ((size_t)16) /* keeps the alignment of the allocator */
typedef struct trt_arc_ {
    trt_a64_ count;
    void (*destroy)(void *);
} trt_arc_;
TRT_STATIC_ASSERT_(sizeof(trt_arc_) <= TRT_ARC_HEADER_, "taskrt.h: header of an arc");

static trt_arc_ *trt_arc_of_(void *p)
{
    return (trt_arc_ *)(void *)((unsigned char *)p - TRT_ARC_HEADER_);
}

TRT_DEF_ void *trt_arc_new(size_t size, void (*destroy)(void *))
{
    trt_arc_ *arc;
    if (size > PTRDIFF_MAX - TRT_ARC_HEADER_) return NULL;
    arc = TASKRT_MALLOC(TRT_ARC_HEADER_ + size);
    if (!arc) return NULL;
    memset((void *)arc, 0, TRT_ARC_HEADER_ + size);
    TRT_STORE_(&arc->count, 1, relaxed); /* nobody else knows it yet */
    arc->destroy = destroy;
    return (unsigned char *)(void *)arc + TRT_ARC_HEADER_;
}

TRT_DEF_ void *trt_arc_clone_(void *p)
{
    if (p) TRT_ADD_(&trt_arc_of_(p)->count, 1, relaxed); /* who clones has one: nothing to order */
    return p;
}

TRT_DEF_ void trt_arc_drop_(void *p)
{
    trt_arc_ *arc;
    if (!p) return;
    arc = trt_arc_of_(p);
    /* Release for every drop, acquire for the last: what others did to it is over and visible. */
    if (TRT_SUB_(&arc->count, 1, acq_rel) != 1) return;
    if (arc->destroy) arc->destroy(p);
    TASKRT_FREE(arc);
}
/* ------------------------------------------------------------------------------------------------
 * >>impl-channels
 *
 * Four ways to pass a message, all of the shape described at >>impl-sync: a latch, a FIFO of
 * waiters, and a copy of the message under the latch, straight to a waiter if there is one.
 *
 *     oneshot    one message, one time           the object holds it
 *     channel    each message to one receiver    a ring, or blocks when unbounded; two latches
 *     broadcast  each message to everyone        a ring; each subscriber has a cursor
 *     watch      the latest value to everyone    the object holds it; each follower a version
 *
 * Messages are bytes of a fixed size, copied in and out; nothing is constructed or destroyed.
 *
 * Why a latch and not a lock-free queue: every hand-over is decided by a claim, a message may have
 * any size, and a wait may end at any time. The list of waiters that a lock-free queue needs beside
 * it would take a latch anyway; one latch held for one copy keeps the order of both by itself.
 */

/* What an op only reads travels in `out` too: a poll of a send never writes to it. */
static void *trt_unconst_(const void *p) { return (void *)(uintptr_t)p; }

/* ---- oneshot
 *
 *     EMPTY --send--> FULL --receive--> CLOSED
 *       \---- send, somebody waits; close --^
 *
 * A close after the send changes nothing, the value stays to be received. The state is the value
 * that the latch keeps. It changes under the latch only, but for one step: who comes to receive and
 * finds it full closes it with one CAS, and has the value.
 */
#define TRT_ONESHOT_EMPTY_ 0u
#define TRT_ONESHOT_FULL_ 4u
#define TRT_ONESHOT_CLOSED_ 8u
#define TRT_ONESHOT_OFFSET_BITS_ 16 /* of the op's arg, the offset of the value; then its size */

static TRT_NOINLINE_ trt_status_code trt_oneshot_send_slow_(trt_oneshot_ *oneshot, void *place,
                                                            const void *value, size_t size,
                                                            bool latched) /* and empty */
{
    trt_wakes_ wakes = TRT_NO_WAKES_;
    trt_status_code status = TRT_OK;
    uint32_t state = latched ? TRT_ONESHOT_EMPTY_ : trt_latch_value_(&oneshot->word);
    trt_waiter_ *w;
    if (state != TRT_ONESHOT_EMPTY_) {
        status = TRT_CLOSED;
    } else if ((w = trt_complete_first_(&oneshot->waiters, TRT_OK, &wakes)) != NULL) {
        trt_copy_(w->args.out, value, size);
        trt_complete_all_(&oneshot->waiters, TRT_CLOSED, &wakes); /* there is only one value */
        state = TRT_ONESHOT_CLOSED_;
    } else {
        trt_copy_(place, value, size);
        state = TRT_ONESHOT_FULL_;
    }
    trt_unlatch_value_here_(&oneshot->word, state);
    trt_wake_(&wakes);
    return status;
}

/* Quick, as in trt_await_send_: it is empty, nobody waits, and the value is a small one. */
TRT_DEF_ trt_status_code trt_oneshot_send_(trt_oneshot_ *oneshot, void *place, const void *value,
                                           size_t size)
{
    uint32_t state = TRT_ONESHOT_EMPTY_;
    if (TRT_UNLIKELY_(!TRT_CAS_(&oneshot->word, &state, 1u, acquire))) /* as trt_latch_once_ */
        return trt_oneshot_send_slow_(oneshot, place, value, size, false);
    if (oneshot->waiters.head || !trt_copy_small_(place, value, size))
        return trt_oneshot_send_slow_(oneshot, place, value, size, true);
    trt_unlatch_value_(&oneshot->word, TRT_ONESHOT_FULL_);
    return TRT_OK;
}

static inline void *trt_oneshot_place_(trt_oneshot_ *o, uint64_t arg)
{
    return (unsigned char *)(void *)o + (arg & ((1u << TRT_ONESHOT_OFFSET_BITS_) - 1));
}

/* It is this receiver's value, and stays where it is. */
static inline void trt_oneshot_take_(trt_oneshot_ *o, void *out, uint64_t arg)
{
    trt_copy_(out, trt_oneshot_place_(o, arg), (size_t)(arg >> TRT_ONESHOT_OFFSET_BITS_));
}

static trt_status_code trt_oneshot_poll_(trt_co *co, trt_args_ *a, trt_waiter_ *w)
{
    trt_oneshot_ *o = a->obj;
    uint32_t state = trt_latch_value_(&o->word);
    trt_status_code status;
    (void)co;
    if (state == TRT_ONESHOT_EMPTY_) status = trt_enlist_(&o->waiters, w);
    else status = trt_settle_(w, state == TRT_ONESHOT_FULL_ ? TRT_OK : TRT_CLOSED);
    if (status == TRT_OK) {
        trt_oneshot_take_(o, a->out, a->arg);
        state = TRT_ONESHOT_CLOSED_;
    }
    trt_unlatch_value_here_(&o->word, state);
    return status;
}

static TRT_COLD_ bool trt_await_oneshot_value_(trt_co *co, trt_oneshot_ *o, void *out,
                                               uint64_t arg)
{
    trt_oneshot_take_(o, out, arg);
    return trt_done_(trt_here_.worker, co, TRT_OK);
}

static TRT_NOINLINE_ bool trt_await_oneshot_(trt_co *co, void *oneshot, void *out, uint64_t arg)
{
    trt_worker_ *w = trt_here_.worker;
    trt_oneshot_ *o = (trt_oneshot_ *)oneshot;
    uint32_t state;
    if (!trt_may_try_(w, co)) return trt_await_slowly_(co, TRT_KIND_ONESHOT_, oneshot, out, arg);
    /* A look; what it misses, the registration sees under the latch. */
    state = TRT_LOAD_(&o->word, relaxed);
    if (state == TRT_ONESHOT_EMPTY_)
        return trt_park_on_(w, co, TRT_KIND_ONESHOT_, oneshot, out, arg);
    /* Acquire pairs with the send's unlatch. */
    if (state != TRT_ONESHOT_FULL_ || !TRT_CAS_(&o->word, &state, TRT_ONESHOT_CLOSED_, acquire))
        return trt_await_slowly_(co, TRT_KIND_ONESHOT_, oneshot, out, arg);
    if (out && !trt_copy_small_(out, trt_oneshot_place_(o, arg),
                                (size_t)(arg >> TRT_ONESHOT_OFFSET_BITS_)))
        return trt_await_oneshot_value_(co, o, out, arg);
    return trt_done_(w, co, TRT_OK);
}

static TRT_COLD_ void trt_oneshot_cancel_(trt_waiter_ *w)
{
    trt_oneshot_ *o = w->args.obj;
    uint32_t state = trt_latch_value_(&o->word);
    if (w->linked) trt_list_remove_(&o->waiters, w);
    trt_unlatch_value_(&o->word, state);
}

TRT_DEF_ trt_op trt_oneshot_recv_(trt_oneshot_ *oneshot, void *value, size_t size, void *out)
{
    size_t offset = (size_t)((unsigned char *)value - (unsigned char *)(void *)oneshot);
    return trt_op_(TRT_KIND_ONESHOT_, oneshot, out,
                   (uint64_t)size << TRT_ONESHOT_OFFSET_BITS_ | offset);
}

TRT_DEF_ TRT_COLD_ void trt_oneshot_close_(trt_oneshot_ *oneshot)
{
    trt_wakes_ wakes = TRT_NO_WAKES_;
    uint32_t state = trt_latch_value_(&oneshot->word);
    if (state != TRT_ONESHOT_FULL_) {
        state = TRT_ONESHOT_CLOSED_;
        trt_complete_all_(&oneshot->waiters, TRT_CLOSED, &wakes);
    }
    trt_unlatch_value_(&oneshot->word, state);
    trt_wake_(&wakes);
}

/* ---- channel
 *
 * A list of blocks of `bytes` each:
 *
 *     first -> | taken | take.at ... full | -> | full | -> last | ... put.at | free |      spare
 *
 * of which some that were used up are kept for the next ones. A bounded channel has one, which is a
 * ring. (With four of them mpsc_unb_4p takes 12 ns, with one 15, as malloc's memory comes and goes.)
 *
 * Each end has a latch of its own, and a stretch of places, from `at` until `until`, for which that
 * latch is enough: free places that senders fill, messages that receivers take. So the ends of a
 * busy channel seldom meet. Whoever finds its stretch empty, and everybody who waits, wakes or
 * closes, takes both latches, that of the senders first; then all is as with one latch, and at the
 * end the stretches are made anew. (But the senders' is enough to wait for a message, and to hand
 * one over: there is nothing to take, and so it stays.)
 *
 * A small ring has more places than it may have messages: it is not at its end that often.
 *
 * At every unlatch of both: receivers wait only if there is no message, senders only if there is no
 * room. While a receiver waits the senders' stretch is empty, and it is handed what comes. While a
 * sender waits that of the receivers is, and who takes a message lets the first of them put its own
 * behind the others. So a message overtakes no other, and nobody who comes fresh overtakes a
 * waiter. A waiting sender keeps its message with its waiter (see trt_keep_): nothing of it is in
 * the channel before the claim, and a send that loses has sent nothing.
 *
 * Lifetime: trt_channel_free passes both latches.
 */
#define TRT_BLOCK_BYTES_ ((size_t)4096 - 32) /* a page, less the link and malloc's own header */
#define TRT_SPARE_BLOCKS_ 4
#define TRT_RING_BYTES_ ((size_t)TASKRT_TEST_CHANNEL) /* at least: less often from its end on */

typedef struct trt_block_ {
    struct trt_block_ *next;
    unsigned char data[];
} trt_block_;

static trt_block_ *trt_block_new_(size_t bytes)
{
    trt_block_ *block = TASKRT_MALLOC(sizeof *block + bytes);
    if (block) block->next = NULL;
    return block;
}

_Static_assert(sizeof(void *) != 8 || offsetof(trt_channel_, take) == 128, "see trt_channel_");

static void trt_channel_spare_(trt_channel_ *c, trt_block_ *block)
{
    const trt_block_ *spare = c->spare;
    int n;
    for (n = 0; spare; n++) spare = spare->next;
    if (n == (c->bytes <= TRT_BLOCK_BYTES_ ? TRT_SPARE_BLOCKS_ : 1)) {
        TASKRT_FREE(block);
        return;
    }
    block->next = c->spare;
    c->spare = block;
}

static void trt_blocks_free_(trt_block_ *block)
{
    while (block) {
        trt_block_ *next = block->next;
        TASKRT_FREE(block);
        block = next;
    }
}

/* The senders' latch is held. Take the other too, and see what has been done: then `used` is what
 * the messages take; at other times it counts both stretches as used up. */
static void trt_channel_enter_(trt_channel_ *c)
{
    unsigned char *to, *from;
    trt_block_ *first = c->first;
    trt_latch_(&c->take.latch);
    to = TRT_LOAD_(&c->put.at, relaxed);
    from = TRT_LOAD_(&c->take.at, relaxed);
    c->used += (size_t)(TRT_LOAD_(&c->take.until, relaxed) - from) -
               (size_t)(TRT_LOAD_(&c->put.until, relaxed) - to);
    if (!first) return;
    if (c->bounded && to == first->data + c->bytes) to = first->data;
    if (from == first->data + c->bytes) {
        if (first != c->last) { /* used up */
            c->first = first->next;
            trt_channel_spare_(c, first);
        }
        from = c->first->data;
    }
    if (!c->used) to = from = c->last->data; /* empty and alone: starts again */
    TRT_STORE_(&c->put.at, to, relaxed);
    TRT_STORE_(&c->take.at, from, relaxed);
}

static void trt_channel_leave_(trt_channel_ *c)
{
    unsigned char *to = TRT_LOAD_(&c->put.at, relaxed), *from = TRT_LOAD_(&c->take.at, relaxed);
    if (c->last) {
        size_t used = c->used, left = c->limit - used;
        size_t room = (size_t)(c->last->data + c->bytes - to);
        size_t ready = (size_t)(c->first->data + c->bytes - from);
        if (room > left) room = left;
        if (ready > used) ready = used;
        if (c->receivers.head || TRT_LOAD_(&c->closed, relaxed)) room = 0;
        if (c->senders.head) ready = 0;
        TRT_STORE_(&c->put.stuck, room == left ? from : NULL, relaxed);
        TRT_STORE_(&c->take.stuck, ready == used ? to : NULL, relaxed);
        TRT_STORE_(&c->put.until, to + room, relaxed);
        TRT_STORE_(&c->take.until, from + ready, relaxed);
        c->used = used + room - ready;
    }
    trt_unlatch_(&c->put.latch);
    trt_unlatch_(&c->take.latch);
}

static TRT_NOINLINE_ void trt_channel_latch_(trt_channel_ *c)
{
    trt_latch_(&c->put.latch);
    trt_channel_enter_(c);
}

TRT_DEF_ TRT_COLD_ trt_status_code trt_channel_init_(trt_channel_ *channel, size_t size,
                                                     size_t capacity)
{
    trt_block_ *ring = NULL;
    size_t bytes, limit = SIZE_MAX;
    if (!capacity) return trt_misuse_("trt_channel_init", "capacity 0");
    if (!size) return trt_misuse_("trt_channel_init", "messages of 0 bytes"); /* an empty struct */
    if (capacity != TRT_UNBOUNDED) {
        if (capacity > ((size_t)PTRDIFF_MAX - sizeof *ring) / size) return TRT_NO_MEMORY;
        bytes = limit = capacity * size;
        if (bytes < TRT_RING_BYTES_) bytes = TRT_RING_BYTES_ / size * size;
        ring = trt_block_new_(bytes);
        if (!ring) return TRT_NO_MEMORY;
    } else {
        bytes = size < TRT_BLOCK_BYTES_ ? TRT_BLOCK_BYTES_ / size * size : size;
    }
    memset((void *)channel, 0, sizeof *channel);
    channel->put.size = channel->take.size = size;
    channel->first = channel->last = ring;
    channel->bounded = ring != NULL;
    channel->bytes = bytes;
    channel->limit = limit;
    trt_channel_latch_(channel);
    trt_channel_leave_(channel);
    return TRT_OK;
}

/* Both latched: one more block at the end. */
static TRT_COLD_ bool trt_channel_grow_(trt_channel_ *c)
{
    trt_block_ *block = c->spare;
    if (block) c->spare = block->next;
    else block = trt_block_new_(c->bytes);
    if (!block) return false;
    block->next = NULL;
    if (c->last) {
        c->last->next = block;
    } else {
        c->first = block;
        TRT_STORE_(&c->take.at, block->data, relaxed);
    }
    c->last = block;
    TRT_STORE_(&c->put.at, block->data, relaxed);
    return true;
}

/* Latched: is there something in this end's stretch? Others may look. */
static inline bool trt_stretch_(const trt_channel_end_ *end)
{
    return TRT_LOAD_(&end->at, relaxed) != TRT_LOAD_(&end->until, relaxed);
}

/* The quickest way, latched: a small message, to its place or from there. False: nothing done. */
TRT_ALWAYS_INLINE_ bool trt_channel_quick_(trt_channel_end_ *end, void *value, bool put)
{
    unsigned char *at = TRT_LOAD_(&end->at, relaxed);
    size_t size = end->size;
    if (TRT_UNLIKELY_(at == TRT_LOAD_(&end->until, relaxed))) return false;
    if ((put || value) && !trt_copy_small_(put ? at : value, put ? value : at, size)) return false;
    TRT_STORE_(&end->at, at + size, release); /* pairs with the acquire in trt_channel_open_ */
    return true;
}

/* Latched: a message of any size. */
static TRT_NOINLINE_ void trt_channel_step_(trt_channel_end_ *end, void *out, const void *in)
{
    unsigned char *at = TRT_LOAD_(&end->at, relaxed);
    if (in) memcpy(at, in, end->size);
    else if (out) memcpy(out, at, end->size);
    TRT_STORE_(&end->at, at + end->size, release); /* as above */
}

/* Both latched: the place of the next message, which is filled or taken. */
static inline unsigned char *trt_channel_place_(trt_channel_ *c, trt_channel_end_ *end)
{
    unsigned char *at = TRT_LOAD_(&end->at, relaxed), *next = at + end->size;
    if (c->bounded && next == c->first->data + c->bytes) next = c->first->data;
    TRT_STORE_(&end->at, next, relaxed);
    return at;
}

/* Both latched: put a message behind the others. A ring has a free place. */
static trt_status_code trt_channel_store_(trt_channel_ *c, const void *value)
{
    if (!c->last || TRT_LOAD_(&c->put.at, relaxed) == c->last->data + c->bytes)
        if (!trt_channel_grow_(c)) return TRT_NO_MEMORY;
    c->used += c->put.size;
    trt_copy_(trt_channel_place_(c, &c->put), value, c->put.size);
    return TRT_OK;
}

/* Is there no message, or no room? With the latch of the other end a yes is certain, and stays so.
 * Else it is a look before the wait, and what it misses, the registration sees. */
static TRT_NOINLINE_ bool trt_channel_stuck_(const trt_channel_ *c, const trt_channel_end_ *end,
                                             const trt_channel_end_ *other)
{
    return !trt_stretch_(end) && !TRT_LOAD_(&c->closed, relaxed) &&
           TRT_LOAD_(&other->at, relaxed) == TRT_LOAD_(&end->stuck, relaxed);
}

static inline bool trt_channel_dry_(const trt_channel_ *c)
{
    return trt_channel_stuck_(c, &c->take, &c->put);
}

static inline bool trt_channel_full_(const trt_channel_ *c)
{
    return c->bounded && trt_channel_stuck_(c, &c->put, &c->take);
}

/* Latched: the last receiver waits no more, and there is nothing to take: all places are free, and
 * known to be without the other latch. Up to the end of the block they become the stretch. */
static inline void trt_channel_open_(trt_channel_ *c)
{
    unsigned char *to = TRT_LOAD_(&c->put.at, relaxed);
    /* Acquire: who has taken the last message has read it. */
    unsigned char *from = TRT_LOAD_(&c->take.at, acquire);
    size_t room;
    if (!c->last) return;
    room = (size_t)(c->last->data + c->bytes - to);
    if (room >= c->limit) {
        room = c->limit;
        TRT_STORE_(&c->put.stuck, from, relaxed);
    }
    TRT_STORE_(&c->put.until, to + room, relaxed);
    c->used = room;
}

/* Latched, and unlatches: send, or wait to. Who hands over needs one latch: while a receiver waits
 * there is nothing to take. */
static trt_status_code trt_channel_send_(trt_channel_ *c, const void *value, trt_waiter_ *w)
{
    trt_wakes_ wakes = TRT_NO_WAKES_;
    trt_status_code status;
    trt_waiter_ *receiver = NULL;
    bool both = !c->receivers.head;
    if (both) {
        if (!w && trt_stretch_(&c->put)) {
            trt_channel_step_(&c->put, NULL, value);
            trt_unlatch_(&c->put.latch);
            return TRT_OK;
        }
        trt_channel_enter_(c);
    }
    if (TRT_LOAD_(&c->closed, relaxed)) {
        status = trt_settle_(w, TRT_CLOSED);
    } else if (both && c->used == c->limit) {
        status = trt_enlist_(&c->senders, w);
    } else if ((status = trt_settle_(w, TRT_OK)) == TRT_OK) {
        receiver = trt_complete_first_(&c->receivers, TRT_OK, &wakes);
        if (receiver) {
            trt_copy_(receiver->args.out, value, c->put.size);
            if (!c->receivers.head) trt_channel_open_(c);
        } else {
            if (!both) trt_channel_enter_(c);
            both = true;
            status = trt_channel_store_(c, value);
        }
    }
    if (w && status != TRT_PENDING) trt_unkeep_(w);
    if (both) trt_channel_leave_(c);
    else trt_unlatch_(&c->put.latch);
    trt_wake_(&wakes);
    return status;
}

/* Both latched: receive, or wait to: another may just have taken the last. */
static trt_status_code trt_channel_get_(trt_channel_ *c, void *out, trt_waiter_ *w,
                                        trt_wakes_ *wakes)
{
    trt_waiter_ *sender;
    trt_status_code status;
    if (!c->used && !TRT_LOAD_(&c->closed, relaxed)) return trt_enlist_(&c->receivers, w);
    status = trt_settle_(w, c->used ? TRT_OK : TRT_CLOSED);
    if (status != TRT_OK) return status;
    c->used -= c->take.size;
    trt_copy_(out, trt_channel_place_(c, &c->take), c->take.size);
    sender = trt_complete_first_(&c->senders, TRT_OK, wakes);
    if (sender) {
        (void)trt_channel_store_(c, sender->args.out); /* cannot fail */
        trt_unkeep_(sender);
    }
    return TRT_OK;
}

/* Latched for senders: a receiver waits, as there is nothing to take. So it stays without the other
 * latch. Close the senders' stretch. */
static inline void trt_channel_shut_(trt_channel_ *c)
{
    TRT_STORE_(&c->put.until, TRT_LOAD_(&c->put.at, relaxed), relaxed);
    TRT_STORE_(&c->put.stuck, NULL, relaxed);
    c->used = 0;
}

/* Latched for senders, and unlatches: what became of a receiver that was to wait. */
static trt_status_code trt_channel_waits_(trt_channel_ *c, trt_status_code status)
{
    if (c->receivers.head) trt_channel_shut_(c);
    trt_unlatch_(&c->put.latch);
    return status;
}

/* Latched for receivers, and unlatches: a message of any size, if there is one for this latch. */
static TRT_NOINLINE_ bool trt_channel_take_(trt_channel_ *c, void *out)
{
    bool some = trt_stretch_(&c->take);
    if (some) trt_channel_step_(&c->take, out, NULL);
    trt_unlatch_(&c->take.latch);
    return some;
}

/* Latched for senders, and unlatches. */
static TRT_NOINLINE_ trt_status_code trt_channel_recv_latched_(trt_channel_ *c, void *out,
                                                               trt_waiter_ *w)
{
    trt_wakes_ wakes = TRT_NO_WAKES_;
    trt_status_code status;
    if (trt_channel_dry_(c)) return trt_channel_waits_(c, trt_enlist_(&c->receivers, w));
    trt_channel_enter_(c);
    status = trt_channel_get_(c, out, w, &wakes);
    trt_channel_leave_(c);
    trt_wake_(&wakes);
    return status;
}

static trt_status_code trt_channel_recv_(trt_channel_ *c, void *out, trt_waiter_ *w)
{
    if (!w && trt_stretch_(&c->take)) {
        trt_latch_(&c->take.latch);
        if (trt_channel_take_(c, out)) return TRT_OK;
    }
    trt_latch_(&c->put.latch);
    return trt_channel_recv_latched_(c, out, w);
}

/* Latched: to a receiver that waits, in line. NULL: it is not so simple. */
static inline trt_cell_ *trt_channel_hand_(trt_worker_ *here, trt_channel_ *c, const void *value)
{
    trt_waiter_ *w = c->receivers.head;
    trt_cell_ *cell = trt_claim_first_(here, &c->receivers, TRT_OK);
    if (!cell) return NULL;
    trt_copy_(w->args.out, value, c->put.size);
    if (!c->receivers.head) trt_channel_open_(c);
    return cell;
}

/* Latched, and unlatches. */
static TRT_NOINLINE_ bool trt_await_send_late_(trt_co *co, trt_channel_ *c, void *value)
{
    trt_op op = trt_op_(TRT_KIND_SEND_, c, value, 0);
    trt_status_code status = TRT_PENDING;
    bool ready = c->put.size != 0;
    if (ready && !trt_channel_full_(c)) status = trt_channel_send_(c, value, NULL);
    else trt_unlatch_(&c->put.latch);
    if (!ready) return trt_wait_any_kind_(co, &op); /* misuse */
    if (status != TRT_PENDING) return trt_done_(trt_here_.worker, co, status);
    TRT_STORE_(&trt_here_.worker->at_pc, co->pc_, relaxed);
    return trt_suspend_(trt_here_.worker, co, &op);
}

/* Latched, and unlatches. */
static TRT_NOINLINE_ bool trt_await_send_latched_(trt_co *co, trt_channel_ *c, void *value)
{
    trt_worker_ *w = trt_here_.worker;
    trt_cell_ *receiver = trt_channel_hand_(w, c, value);
    if (!receiver) return trt_await_send_late_(co, c, value);
    (void)trt_done_(w, co, TRT_OK);
    trt_wake_behind_(&c->put.latch, 0, trt_unlatch_at_once_(&c->put.latch), w, receiver);
    return false;
}

static TRT_NOINLINE_ bool trt_await_send_latch_(trt_co *co, trt_channel_ *c, void *value)
{
    trt_latch_(&c->put.latch);
    return trt_await_send_latched_(co, c, value);
}

/* What is not done quickly is a jump to who calls functions, so that these save no registers. */
static TRT_NOINLINE_ bool trt_await_send_(trt_co *co, void *channel, void *value)
{
    trt_worker_ *w = trt_here_.worker;
    trt_channel_ *c = (trt_channel_ *)channel;
    if (!trt_may_try_(w, co)) return trt_await_slowly_(co, TRT_KIND_SEND_, channel, value, 0);
    if (!trt_latch_once_(&c->put.latch)) return trt_await_send_latch_(co, c, value);
    if (!trt_channel_quick_(&c->put, value, true)) return trt_await_send_latched_(co, c, value);
    (void)trt_done_(w, co, TRT_OK);
    return trt_unlatch_(&c->put.latch);
}

static TRT_NOINLINE_ bool trt_await_recv_again_(trt_co *co, trt_channel_ *c, void *out)
{
    trt_worker_ *w = trt_here_.worker;
    trt_status_code status = TRT_PENDING;
    if (!c->take.size) return trt_await_slowly_(co, TRT_KIND_RECV_, c, out, 0);
    if (!trt_channel_dry_(c)) status = trt_channel_recv_(c, out, NULL);
    if (status == TRT_PENDING) return trt_park_on_(w, co, TRT_KIND_RECV_, c, out, 0);
    return trt_done_(w, co, status);
}

/* Latched, and unlatches. */
static TRT_NOINLINE_ bool trt_await_recv_latched_(trt_co *co, trt_channel_ *c, void *out)
{
    if (trt_channel_take_(c, out)) return trt_done_(trt_here_.worker, co, TRT_OK);
    return trt_await_recv_again_(co, c, out);
}

static TRT_NOINLINE_ bool trt_await_recv_(trt_co *co, void *channel, void *out)
{
    trt_worker_ *w = trt_here_.worker;
    trt_channel_ *c = (trt_channel_ *)channel;
    if (!trt_may_try_(w, co)) return trt_await_slowly_(co, TRT_KIND_RECV_, channel, out, 0);
    if (!trt_stretch_(&c->take) || !trt_latch_once_(&c->take.latch))
        return trt_await_recv_again_(co, c, out);
    if (!trt_channel_quick_(&c->take, out, false)) return trt_await_recv_latched_(co, c, out);
    (void)trt_done_(w, co, TRT_OK);
    return trt_unlatch_(&c->take.latch);
}

static trt_status_code trt_send_poll_(trt_co *co, trt_args_ *a, trt_waiter_ *w)
{
    trt_channel_ *c = a->obj;
    (void)co;
    if (!c->put.size || !a->out) /* size never changes between init and free */
        return trt_settle_(w, trt_misuse_("trt_send", a->out ? "before trt_channel_init" : "NULL"));
    /* No answer by a look, not even without `w`: it may be of several moments, and a try, or an any
     * that is biased, must not miss what was done before. */
    trt_latch_(&c->put.latch);
    return trt_channel_send_(c, a->out, w);
}

static bool trt_send_keep_(trt_waiter_ *w)
{
    const trt_channel_ *c = w->args.obj;
    return !w->args.out || !c->put.size || trt_keep_(w, c->put.size); /* misuse: the poll says so */
}

static TRT_COLD_ void trt_send_cancel_(trt_waiter_ *w)
{
    trt_channel_ *c = w->args.obj;
    trt_channel_latch_(c);
    if (w->linked) trt_list_remove_(&c->senders, w);
    trt_unkeep_(w);
    trt_channel_leave_(c);
}

static TRT_NOINLINE_ trt_status_code trt_recv_late_(trt_channel_ *c, trt_waiter_ *w, bool parked)
{
    return trt_channel_waits_(c, trt_enlist_late_(&c->receivers, w, parked));
}

static TRT_NOINLINE_ trt_status_code trt_recv_general_(trt_channel_ *c, trt_args_ *a,
                                                       trt_waiter_ *w)
{
    if (!c->take.size) return trt_settle_(w, trt_misuse_("trt_recv", "before trt_channel_init"));
    return trt_channel_recv_(c, a->out, w);
}

/* In line: most waits are those of a strand that waits for this alone, behind a look. */
static trt_status_code trt_recv_poll_(trt_co *co, trt_args_ *a, trt_waiter_ *w)
{
    trt_channel_ *c = a->obj;
    bool parked;
    (void)co;
    if (!w || w->mode != TRT_MODE_STRAND_ || !c->take.size || !trt_latch_once_(&c->put.latch))
        return trt_recv_general_(c, a, w);
    if (TRT_UNLIKELY_(!trt_channel_dry_(c))) return trt_channel_recv_latched_(c, a->out, w);
    if (!trt_enlist_at_once_(&c->receivers, w, &parked)) return trt_recv_late_(c, w, parked);
    trt_channel_shut_(c);
    trt_unlatch_here_(&c->put.latch);
    return TRT_PENDING;
}

static void trt_recv_cancel_(trt_waiter_ *w)
{
    trt_channel_ *c = w->args.obj;
    trt_unlist_(&c->put.latch, &c->receivers, w);
}

TRT_DEF_ trt_op trt_send_(trt_channel_ *channel, const void *value)
{
    return trt_op_(TRT_KIND_SEND_, channel, trt_unconst_(value), 0);
}

TRT_DEF_ trt_op trt_recv_(trt_channel_ *channel, void *out)
{
    return trt_op_(TRT_KIND_RECV_, channel, out, 0);
}

/* Latched, and unlatches. */
static TRT_NOINLINE_ trt_status_code trt_try_send_latched_(trt_channel_ *c, const void *value)
{
    trt_status_code status = trt_channel_send_(c, value, NULL);
    return status == TRT_PENDING ? TRT_FULL : status;
}

static TRT_NOINLINE_ trt_status_code trt_try_send_slow_(trt_channel_ *c, const void *value)
{
    trt_args_ args = {c, trt_unconst_(value), 0};
    trt_status_code status = trt_send_poll_(NULL, &args, NULL);
    return status == TRT_PENDING ? TRT_FULL : status;
}

TRT_DEF_ trt_status_code trt_try_send_(trt_channel_ *channel, const void *value)
{
    if (TRT_UNLIKELY_(!channel->put.size || !value || !trt_latch_once_(&channel->put.latch)))
        return trt_try_send_slow_(channel, value);
    if (!trt_channel_quick_(&channel->put, trt_unconst_(value), true))
        return trt_try_send_latched_(channel, value);
    (void)trt_unlatch_here_(&channel->put.latch);
    return TRT_OK;
}

TRT_DEF_ trt_status_code trt_try_recv_(trt_channel_ *channel, void *out)
{
    trt_status_code status;
    if (!channel->take.size) return trt_misuse_("trt_try_recv", "before trt_channel_init");
    /* No answer without a latch: callers may rely on its order. */
    status = trt_channel_recv_(channel, out, NULL);
    return status == TRT_PENDING ? TRT_EMPTY : status;
}

TRT_DEF_ trt_status_code trt_send_thread_(trt_channel_ *channel, const void *value)
{
    return trt_thread_wait_(TRT_KIND_SEND_, channel, trt_unconst_(value), 0);
}

TRT_DEF_ trt_status_code trt_recv_thread_(trt_channel_ *channel, void *out)
{
    return trt_thread_wait_(TRT_KIND_RECV_, channel, out, 0);
}

TRT_DEF_ TRT_COLD_ void trt_channel_close_(trt_channel_ *channel)
{
    trt_wakes_ wakes = TRT_NO_WAKES_;
    trt_waiter_ *sender;
    if (!channel->put.size) return;
    trt_channel_latch_(channel);
    TRT_STORE_(&channel->closed, 1u, relaxed);
    while ((sender = trt_complete_first_(&channel->senders, TRT_CLOSED, &wakes)) != NULL)
        trt_unkeep_(sender);
    trt_complete_all_(&channel->receivers, TRT_CLOSED, &wakes); /* if any: there is no message */
    trt_channel_leave_(channel);
    trt_wake_(&wakes);
}

TRT_DEF_ size_t trt_channel_len_(trt_channel_ *channel)
{
    size_t len;
    if (!channel->put.size) {
        trt_misuse_("trt_channel_len", "before trt_channel_init");
        return 0;
    }
    trt_channel_latch_(channel);
    len = channel->used / channel->put.size;
    trt_channel_leave_(channel);
    return len;
}

/* Closes first: a waiter is a mistake of the caller, and this answer does the least harm. */
TRT_DEF_ TRT_COLD_ void trt_channel_free_(trt_channel_ *channel)
{
    if (!channel->put.size) return;
    trt_channel_close_(channel);
    trt_blocks_free_(channel->first);
    trt_blocks_free_(channel->spare);
    memset((void *)channel, 0, sizeof *channel);
}

/* ---- broadcast
 *
 * Values are numbered from 0; value i lies in place i mod capacity until value i + capacity comes.
 * A subscriber is the number of the value that it wants next, so to subscribe and to leave cost
 * nothing, and the sender waits for nobody. Whoever waits wants the value that does not exist yet:
 * a send hands it over and moves the cursor on, both under the latch.
 */
static unsigned char *trt_broadcast_place_(const trt_broadcast_ *b, uint64_t number)
{
    return b->ring + (size_t)(number % b->capacity) * b->size;
}

TRT_DEF_ TRT_COLD_ trt_status_code trt_broadcast_init_(trt_broadcast_ *broadcast, size_t size,
                                             size_t capacity)
{
    unsigned char *ring;
    if (!capacity) return trt_misuse_("trt_broadcast_init", "capacity 0");
    if (!size) return trt_misuse_("trt_broadcast_init", "values of 0 bytes"); /* an empty struct */
    if (capacity > (size_t)PTRDIFF_MAX / size) return TRT_NO_MEMORY;
    ring = TASKRT_MALLOC(capacity * size);
    if (!ring) return TRT_NO_MEMORY;
    memset((void *)broadcast, 0, sizeof *broadcast);
    broadcast->size = size;
    broadcast->capacity = capacity;
    broadcast->ring = ring;
    return TRT_OK;
}

TRT_DEF_ trt_status_code trt_broadcast_send_(trt_broadcast_ *broadcast, const void *value)
{
    trt_wakes_ wakes = TRT_NO_WAKES_;
    trt_status_code status = TRT_CLOSED;
    trt_waiter_ *w;
    if (!broadcast->size || !value)
        return trt_misuse_("trt_broadcast_send", value ? "before trt_broadcast_init" : "NULL");
    trt_latch_(&broadcast->lock);
    if (!broadcast->closed) {
        status = TRT_OK;
        trt_copy_(trt_broadcast_place_(broadcast, broadcast->next), value, broadcast->size);
        broadcast->next++;
        while ((w = trt_complete_first_(&broadcast->waiters, TRT_OK, &wakes)) != NULL) {
            trt_subscriber_ *subscriber = w->args.obj;
            subscriber->next = broadcast->next;
            trt_copy_(w->args.out, value, broadcast->size);
        }
    }
    trt_unlatch_here_(&broadcast->lock);
    trt_wake_(&wakes);
    return status;
}

TRT_DEF_ trt_status_code trt_subscribe_(trt_broadcast_ *broadcast, trt_subscriber_ *subscriber,
                                        const void *same_type)
{
    (void)same_type; /* for the compiler's check only */
    if (!broadcast->size) return trt_misuse_("trt_subscribe", "before trt_broadcast_init");
    trt_latch_(&broadcast->lock);
    subscriber->next = broadcast->next;
    trt_unlatch_(&broadcast->lock);
    subscriber->of = broadcast;
    subscriber->lagged = 0;
    return TRT_OK;
}

TRT_DEF_ void trt_unsubscribe_(trt_subscriber_ *subscriber)
{
    subscriber->of = NULL;
    subscriber->next = 0;
    subscriber->lagged = 0;
}

/* Latched: the next value for this subscriber, or that it has missed some, or wait. */
static trt_status_code trt_broadcast_get_(trt_broadcast_ *b, trt_subscriber_ *s, void *out,
                                          trt_waiter_ *w)
{
    uint64_t oldest = b->next > b->capacity ? b->next - b->capacity : 0;
    trt_status_code status;
    if (s->next == b->next)
        return b->closed ? trt_settle_(w, TRT_CLOSED) : trt_enlist_(&b->waiters, w);
    status = trt_settle_(w, s->next < oldest ? TRT_LAGGED : TRT_OK);
    if (status == TRT_LAGGED) {
        s->lagged = oldest - s->next;
        s->next = oldest;
    } else if (status == TRT_OK) {
        trt_copy_(out, trt_broadcast_place_(b, s->next), b->size);
        s->next++;
    }
    return status;
}

static trt_status_code trt_broadcast_poll_(trt_co *co, trt_args_ *a, trt_waiter_ *w)
{
    trt_subscriber_ *s = a->obj;
    trt_broadcast_ *b = s->of;
    trt_status_code status;
    (void)co;
    if (!b || !b->size) return trt_settle_(w, trt_misuse_("trt_broadcast_recv", "not subscribed"));
    trt_latch_(&b->lock);
    status = trt_broadcast_get_(b, s, a->out, w);
    trt_unlatch_here_(&b->lock);
    return status;
}

static TRT_COLD_ void trt_broadcast_cancel_(trt_waiter_ *w)
{
    const trt_subscriber_ *s = w->args.obj;
    if (s->of) trt_unlist_(&s->of->lock, &s->of->waiters, w);
}

TRT_DEF_ trt_op trt_broadcast_recv_(trt_subscriber_ *subscriber, void *out)
{
    return trt_op_(TRT_KIND_BROADCAST_, subscriber, out, 0);
}

TRT_DEF_ TRT_COLD_ void trt_broadcast_close_(trt_broadcast_ *broadcast)
{
    trt_wakes_ wakes = TRT_NO_WAKES_;
    if (!broadcast->size) return;
    trt_latch_(&broadcast->lock);
    broadcast->closed = 1;
    trt_complete_all_(&broadcast->waiters, TRT_CLOSED, &wakes); /* who waits has seen all */
    trt_unlatch_(&broadcast->lock);
    trt_wake_(&wakes);
}

TRT_DEF_ void trt_broadcast_free_(trt_broadcast_ *broadcast)
{
    if (!broadcast->size) return;
    trt_broadcast_close_(broadcast); /* as in trt_channel_free_ */
    TASKRT_FREE(broadcast->ring);
    memset((void *)broadcast, 0, sizeof *broadcast);
}

/* ---- watch: one value and its version; a follower remembers the version that it saw last */
TRT_DEF_ trt_status_code trt_watch_init_(trt_watch_ *watch, void *place, size_t size,
                                         const void *initial)
{
    if (!initial) return trt_misuse_("trt_watch_init", "NULL");
    memset((void *)watch, 0, sizeof *watch);
    watch->version = 1;
    watch->size = size;
    watch->value = place;
    trt_copy_(place, initial, size);
    return TRT_OK;
}

TRT_DEF_ trt_status_code trt_watch_send_(trt_watch_ *watch, const void *value)
{
    trt_wakes_ wakes = TRT_NO_WAKES_;
    trt_status_code status = TRT_CLOSED;
    trt_waiter_ *w;
    if (!watch->size || !value) /* size never changes after init */
        return trt_misuse_("trt_watch_send", value ? "before trt_watch_init" : "NULL");
    trt_latch_(&watch->lock);
    if (!watch->closed) {
        status = TRT_OK;
        trt_copy_(watch->value, value, watch->size);
        watch->version++;
        while ((w = trt_complete_first_(&watch->waiters, TRT_OK, &wakes)) != NULL) {
            trt_follower_ *follower = w->args.obj;
            follower->seen = watch->version;
            trt_copy_(w->args.out, value, watch->size);
        }
    }
    trt_unlatch_here_(&watch->lock);
    trt_wake_(&wakes);
    return status;
}

TRT_DEF_ trt_status_code trt_watch_read_(trt_watch_ *watch, void *out)
{
    if (!watch->size) return trt_misuse_("trt_watch_read", "before trt_watch_init");
    trt_latch_(&watch->lock);
    trt_copy_(out, watch->value, watch->size);
    trt_unlatch_(&watch->lock);
    return TRT_OK;
}

TRT_DEF_ trt_status_code trt_watch_follow_(trt_watch_ *watch, trt_follower_ *follower,
                                           const void *same_type)
{
    (void)same_type; /* for the compiler's check only */
    if (!watch->size) return trt_misuse_("trt_watch_follow", "before trt_watch_init");
    trt_latch_(&watch->lock);
    follower->seen = watch->version;
    trt_unlatch_(&watch->lock);
    follower->of = watch;
    return TRT_OK;
}

static trt_status_code trt_watch_poll_(trt_co *co, trt_args_ *a, trt_waiter_ *w)
{
    trt_follower_ *f = a->obj;
    trt_watch_ *watch = f->of;
    trt_status_code status;
    (void)co;
    if (!watch) return trt_settle_(w, trt_misuse_("trt_watch_changed", "follows nothing"));
    trt_latch_(&watch->lock);
    if (f->seen != watch->version) {
        status = trt_settle_(w, TRT_OK);
        if (status == TRT_OK) {
            trt_copy_(a->out, watch->value, watch->size);
            f->seen = watch->version;
        }
    } else {
        status = watch->closed ? trt_settle_(w, TRT_CLOSED) : trt_enlist_(&watch->waiters, w);
    }
    trt_unlatch_here_(&watch->lock);
    return status;
}

static TRT_COLD_ void trt_watch_cancel_(trt_waiter_ *w)
{
    const trt_follower_ *f = w->args.obj;
    if (f->of) trt_unlist_(&f->of->lock, &f->of->waiters, w);
}

TRT_DEF_ trt_op trt_watch_changed_(trt_follower_ *follower, void *out)
{
    return trt_op_(TRT_KIND_WATCH_, follower, out, 0);
}

TRT_DEF_ TRT_COLD_ void trt_watch_close_(trt_watch_ *watch)
{
    trt_wakes_ wakes = TRT_NO_WAKES_;
    if (!watch->size) return;
    trt_latch_(&watch->lock);
    watch->closed = 1;
    trt_complete_all_(&watch->waiters, TRT_CLOSED, &wakes); /* who waits has seen the last value */
    trt_unlatch_(&watch->lock);
    trt_wake_(&wakes);
}
/* ------------------------------------------------------------------------------------------------
 * >>kinds: every operation, and what it is made of
 */
static const trt_kind_row_ trt_kinds_[TRT_KINDS_] = {
    {"nothing", trt_none_poll_, trt_no_cancel_, NULL},
    {"yield", trt_never_poll_, trt_no_cancel_, NULL},
    {"call", trt_never_poll_, trt_call_cancel_, NULL},
    {"sync", trt_sync_poll_, trt_sync_cancel_, NULL},
    {"forks to end", trt_never_poll_, trt_no_cancel_, NULL},
    {"several", trt_group_poll_, trt_no_cancel_, NULL},
    {"join", trt_join_poll_, trt_join_cancel_, NULL},
    {"join_next", trt_join_next_poll_, trt_set_cancel_, NULL},
    {"set_shutdown", trt_set_shutdown_poll_, trt_set_cancel_, NULL},
    {"sleep", trt_sleep_poll_, trt_timer_cancel_, trt_sleep_keep_},
    {"sleep", trt_sleep_until_poll_, trt_timer_cancel_, NULL},
    {"tick", trt_tick_poll_, trt_timer_cancel_, NULL},
    {"advance", trt_advance_poll_, trt_no_cancel_, NULL},
    {"blocking", trt_blocking_poll_, trt_blocking_cancel_, NULL},
    {"readable", trt_readable_poll_, trt_fd_cancel_, NULL},
    {"writable", trt_writable_poll_, trt_fd_cancel_, NULL},
    {"acquire", trt_acquire_poll_, trt_acquire_cancel_, NULL},
    {"notified", trt_notified_poll_, trt_notified_cancel_, NULL},
    {"barrier", trt_barrier_poll_, trt_barrier_cancel_, NULL},
    {"once", trt_once_poll_, trt_once_cancel_, NULL},
    {"token", trt_token_poll_, trt_token_cancel_, NULL},
    {"oneshot", trt_oneshot_poll_, trt_oneshot_cancel_, NULL},
    {"send", trt_send_poll_, trt_send_cancel_, trt_send_keep_},
    {"recv", trt_recv_poll_, trt_recv_cancel_, NULL},
    {"broadcast", trt_broadcast_poll_, trt_broadcast_cancel_, NULL},
    {"watch", trt_watch_poll_, trt_watch_cancel_, NULL},
};

/* Which kinds have an await of their own. Where the kind is a constant, only that call is left. */
TRT_ALWAYS_INLINE_ bool trt_wait_kind_(trt_co *co, trt_op *op)
{
    void *obj = op->args_.obj, *out = op->args_.out;
    uint64_t arg = op->args_.arg;
    uint32_t kind = op->kind_;
    if (TRT_UNLIKELY_(trt_deadline_(op))) return trt_wait_any_kind_(co, op);
    if (kind == TRT_KIND_RECV_) return trt_await_recv_(co, obj, out);
    if (kind == TRT_KIND_SEND_ && out) return trt_await_send_(co, obj, out);
    if (kind == TRT_KIND_ACQUIRE_) return trt_await_acquire_(co, obj, out, arg);
    if (kind == TRT_KIND_NOTIFIED_) return trt_await_notified_(co, obj, arg);
    if (kind == TRT_KIND_ONESHOT_) return trt_await_oneshot_(co, obj, out, arg);
    if (kind == TRT_KIND_JOIN_) return trt_await_join_(co, obj, out, arg);
    if (kind == TRT_KIND_CALL_) return trt_await_call_(co, obj);
    if (kind == TRT_KIND_SYNC_) return trt_await_sync_(co);
    if (kind == TRT_KIND_YIELD_) return trt_await_yield_(co);
    if (kind == TRT_KIND_JOIN_NEXT_) return trt_await_join_next_(co, obj, out);
    return trt_wait_any_kind_(co, op);
}

TRT_DEF_ bool trt_wait_(trt_co *co, trt_op *op) { return trt_wait_kind_(co, op); }

/* In this file the compiler sees what an await becomes: coroutines that are defined behind the
 * implementation call the await of their operation directly. */
#if !TASKRT_DEBUG
TRT_ALWAYS_INLINE_ bool trt_wait_here_(trt_co *co, trt_op op)
{
    return __builtin_constant_p(op.kind_) ? trt_wait_kind_(co, &op) : trt_wait_(co, &op);
}
#undef TRT_WAIT_
#define TRT_WAIT_ trt_wait_here_
#endif

/* ------------------------------------------------------------------------------------------------
 * >>life: start, run, shut down, free
 *
 * Shutdown sets `closing`, after which no task is made and no wait begins outside a cleanup, and
 * aborts every task that lives. When all have ended, or time is up, the workers stop. What is left
 * then is given up: it is never run again. It must not hold up others who share its objects: so it
 * lets go of them at once, and nothing is handed to it from then on. (What it has been handed
 * before, a lock too, it keeps: its cleanup does not run.) It is one of these:
 *
 *     waits        whoever gives up turns WAIT into GIVEN_UP, and cancels the wait. Nobody claims
 *                  it then, and it is in no object that may be gone when the runtime is freed
 *     queued       an abort has claimed it, and it is in its object still; it is taken out of the
 *                  injection queue, and owned by that, so its wait is cancelled too
 *     in a ring    the same, but only the worker may take it out, as it leaves; or who holds
 *                  `driving`, if it is a current-thread runtime
 *     runs         in a poll that lasts: its worker comes back late, or registers a wait just now.
 *                  It may wait and wake until it has left
 *
 *     on the pool  what is queued is taken out; what runs ends by itself
 *
 * A worker that leaves does the same for what it leaves, and the free, when no worker is left, for
 * all. Races:
 *   giving up x claim    the CAS of the state word. Who claims first hands over, as it would have a
 *                        moment before; who comes second unlinks it and goes on to the next. The
 *                        cancel passes the latch of the object like any other, and so finds what a
 *                        completer of one member of an `all` has done there, who claims nothing.
 *                        Who claims from outside, an abort too, is a visitor until the strand is
 *                        in the queue: the queue is looked at when no visitor is left, and who
 *                        comes then sees `given_up`
 *   giving up x worker   `given_up` comes before STOP: who leaves has seen it, and looks itself
 *   giving up x driver   a SWAP of `driving`: nobody drove, then whoever gives up looks at the ring
 *                        instead; or who drives finds it as it leaves. And nobody drives then
 *   giving up x park     fences of ended_fence: the pass of whoever gives up, or the worker's,
 *                        sees WAIT
 *   giving up x look     of a worker that leaves: it is a visitor, who is waited for. Else it could
 *                        have turned WAIT into GIVEN_UP, and be in the object behind the shutdown
 *   late worker x claim  a worker serves nobody (`serves`) once its runtime is given up, or it
 *                        leaves: its claims are refused, like those of other threads. Who is
 *                        refused is only unlinked, and its cancel is to come. One that looks at the
 *                        same moment claims: then that was before. (To look at `given_up` would be
 *                        one load more a claim)
 *   giving up x dump     one at a time (dump_latch): a dump keeps workers, and `driving`
 *   free x claim         from outside, see trt_unlink_all_
 *   free x driver        `drivers`: who drives, or wants to, has left
 *   object x giving up   it may be freed behind the shutdown, unless a worker was busy then; not
 *                        during it, as those who wait have not let go yet
 *
 * Rejected: to leave all to the free, and to refuse claims until then. A big request of a task that
 * was given up held back smaller ones, and it counted at a barrier.
 */
static uint64_t trt_live_(trt_runtime *rt)
{
    uint64_t ended = TRT_LOAD_(&rt->outside_ended, seq_cst), spawned; /* order: acquire; fences */
    size_t i;
    /* order: as in trt_metrics, where the model shows it. Here it would take three stale looks of
     * one task at `closing` besides */
    for (i = 0; i < rt->n_workers; i++) ended += TRT_LOAD_(&rt->workers[i]->ended, acquire);
    /* Ended first: then nothing that had ended has not been counted as spawned. */
    spawned = TRT_LOAD_(&rt->outside_spawned, seq_cst); /* order: fences */
    for (i = 0; i < rt->n_workers; i++) spawned += TRT_LOAD_(&rt->workers[i]->spawned, relaxed);
    return spawned - ended;
}

/* After the caller's count. Of two that end at the same time one sees both: hence the fence. */
static TRT_COLD_ void trt_check_ended_(trt_runtime *rt)
{
    TRT_FENCE_(&rt->ended_fence);
    if (trt_live_(rt)) return;
    /* Pairs with trt_tasks_wait_ and trt_stopped_.
     * order: what the tasks have done comes also with the exits that a shutdown waits for, of
     * workers and of the pool's threads; or with `driving` */
    TRT_OR_(&rt->ended_gate, (uint32_t)TRT_GATE_ENDED_, release);
    if (rt->current_thread) trt_unpark_(rt->workers[0]); /* who drives, and then lets others */
    else trt_os_wake_(&rt->ended_gate, INT_MAX);
}

static void *trt_zeroed_(size_t size)
{
    void *p = TASKRT_MALLOC(size);
    if (p) memset(p, 0, size);
    return p;
}

/* Memory aligned for cache lines; the word before it remembers what malloc gave. */
static void *trt_aligned_(size_t size)
{
    char *raw = (char *)trt_zeroed_(size + TASKRT_CACHELINE + sizeof(void *));
    uintptr_t at;
    if (!raw) return NULL;
    at = ((uintptr_t)raw + sizeof(void *) + TASKRT_CACHELINE - 1) &
         ~(uintptr_t)(TASKRT_CACHELINE - 1);
    ((void **)at)[-1] = raw;
    return (void *)at;
}

static void trt_aligned_free_(void *p)
{
    if (p) TASKRT_FREE(((void **)p)[-1]);
}

#define TRT_MOST_WORKERS_ 32768 /* more than any machine has; sizes are far from an overflow */

/* -1: there is none. What is beyond a long long is read as the greatest, and so too large. */
static int64_t trt_env_(const char *name, int64_t most)
{
    const char *text = getenv(name);
    char *end;
    long long n;
    if (!text || !*text) return -1;
    n = strtoll(text, &end, 10);
    if (!*end && n >= 0 && n <= most) return (int64_t)n;
    trt_say_("%s=%s is not a number from 0 to %lld: ignored", name, text, (long long)most);
    return -1;
}

static void trt_config_fill_(trt_config *config)
{
    int64_t workers = trt_env_("TASKRT_WORKERS", TRT_MOST_WORKERS_);
    int64_t stall = trt_env_("TASKRT_STALL_MS", INT64_MAX / 1000000);
    if (config->virtual_clock) config->current_thread = true;
    if (workers > 0) config->workers = (size_t)workers;
    if (!config->workers) config->workers = trt_os_cpus_();
    if (config->current_thread) config->workers = 1;
    if (!config->max_blocking_threads) config->max_blocking_threads = 512;
    if (!config->blocking_keep_alive) config->blocking_keep_alive = trt_s(10);
    if (stall >= 0) config->stall_after = stall ? stall * 1000000 : -1;
    if (!config->stall_after) config->stall_after = trt_s(1);
}

static trt_worker_ *trt_worker_new_(trt_runtime *rt, size_t index)
{
    trt_worker_ *w = (trt_worker_ *)trt_aligned_(sizeof *w);
    uint64_t seed = rt->config.seed ? rt->config.seed : (uint64_t)trt_clock_() ^ (uintptr_t)rt;
    if (!w) return NULL;
    w->rt = rt;
    TRT_STORE_(&w->serves, rt, relaxed); /* its thread begins later */
    w->index = (uint32_t)index;
    w->solo = rt->n_workers == 1;
    w->fifo = rt->current_thread;
    w->budget = TRT_BUDGET_;
    w->turns = TRT_MAINTENANCE_;
    w->rng = seed + index * 0x9E3779B97F4A7C15u;
    TRT_STORE_(&w->deque.top, 1u, relaxed);
    TRT_STORE_(&w->deque.bottom, 1u, relaxed);
    if (!trt_deque_grow_(&w->deque, 1, 1)) {
        trt_aligned_free_(w);
        return NULL;
    }
    trt_cache_init_(&w->cache, rt);
    trt_wheel_init_(&w->wheel, rt->virtual_clock ? 0 : trt_clock_(), rt->virtual_clock);
    return w;
}

static void trt_runtime_release_(trt_runtime *rt)
{
    size_t i;
    trt_poller_close_(rt);
    for (i = 0; rt->workers && i < rt->config.workers; i++) {
        if (rt->workers[i]) trt_deque_free_(rt->workers[i]);
        trt_aligned_free_(rt->workers[i]);
    }
    TASKRT_FREE(rt->workers);
    TASKRT_FREE(rt->idle_bits);
    trt_inject_free_(rt);
    trt_fds_free_(rt);
    trt_memory_free_(rt);
    trt_aligned_free_(rt);
}

static void *trt_worker_thread_(void *arg)
{
    trt_runtime *rt = ((trt_worker_ *)arg)->rt;
    trt_worker_main_(arg);
    /* order: behind the end of each task there is also the fence of trt_check_ended_ */
    TRT_ADD_(&rt->exited, 1u, release);
    trt_os_wake_(&rt->exited, INT_MAX);
    return NULL;
}

/* The threads that can be made are made; one worker is enough. */
static bool trt_threads_start_(trt_runtime *rt)
{
    size_t i;
    for (i = 0; i < rt->n_workers && !rt->current_thread; i++) {
        trt_worker_ *w = rt->workers[i];
        w->started = trt_os_thread_(&w->thread, trt_worker_thread_, w);
        if (!w->started) break;
        TRT_COUNT_(&rt->started, 1u);
    }
    if (!rt->current_thread && !TRT_LOAD_(&rt->started, relaxed)) return false;
    TRT_STORE_(&rt->watch_word, 1u, relaxed);
    rt->watching = trt_os_thread_(&rt->watch, trt_watch_main_, rt);
    if (rt->watching) TRT_ADD_(&rt->own_threads, TRT_OWN_BEGINS_, relaxed);
    return true;
}

TRT_DEF_ TRT_COLD_ trt_status_code trt_runtime_start(trt_runtime **out, const trt_config *config)
{
    trt_runtime *rt = (trt_runtime *)trt_aligned_(sizeof *rt);
    size_t i;
    if (!out) {
        trt_aligned_free_(rt);
        return trt_misuse_("trt_runtime_start", "there is no place for the runtime");
    }
    *out = NULL;
    if (!rt) return TRT_NO_MEMORY;
    if (config) rt->config = *config;
    trt_config_fill_(&rt->config);
    if (rt->config.workers > TRT_MOST_WORKERS_) {
        trt_aligned_free_(rt);
        return trt_misuse_("trt_runtime_start", "more workers than 32,768");
    }
    rt->n_workers = rt->config.workers;
    rt->current_thread = rt->config.current_thread;
    rt->virtual_clock = rt->config.virtual_clock;
    rt->pool.limit = rt->config.max_blocking_threads;
    rt->poller = rt->poller_wake[0] = rt->poller_wake[1] = -1;
    TRT_STORE_(&rt->drive_until, TRT_FOREVER_, relaxed);
    TRT_STORE_(&rt->driver_until, TRT_FOREVER_, relaxed);
    rt->idle_words = (rt->n_workers + 63) / 64;
    trt_memory_init_(rt);
    trt_latch_prepare_();
    rt->idle_bits = (trt_a64_ *)trt_zeroed_(rt->idle_words * sizeof *rt->idle_bits);
    rt->workers = (trt_worker_ **)trt_zeroed_(rt->n_workers * sizeof *rt->workers);
    for (i = 0; rt->workers && i < rt->n_workers; i++) {
        rt->workers[i] = trt_worker_new_(rt, i);
        if (!rt->workers[i]) break;
    }
    if (!rt->idle_bits || !rt->workers || i < rt->n_workers || !trt_threads_start_(rt)) {
        trt_runtime_release_(rt);
        return TRT_NO_MEMORY;
    }
    *out = rt;
    return TRT_OK;
}

TRT_DEF_ trt_runtime *trt_current(void) { return trt_here_.rt; }

typedef bool (*trt_visit_)(trt_cell_ *c, uint64_t state, void *context);

/* Every slot that has ever been a cell, oldest chunk last. */
static void trt_cells_(trt_runtime *rt, trt_visit_ visit, void *context)
{
    trt_chunk_ *chunk = TRT_LOAD_(&rt->chunks, acquire);
    for (; chunk; chunk = chunk->next) {
        uint32_t used = TRT_LOAD_(&chunk->used, acquire), i; /* order: as in trt_carve_ */
        char *slot = trt_slots_of_(chunk);
        if (chunk->class_index >= TRT_CELL_CLASSES_) continue;
        for (i = 0; i < used; i++) {
            trt_cell_ *c = (trt_cell_ *)(void *)slot;
            uint64_t s = TRT_LOAD_(&c->state, acquire);
            slot += chunk->stride;
            if (!visit(c, s, context)) return;
        }
    }
}

static TRT_COLD_ bool trt_abort_visit_(trt_cell_ *c, uint64_t state, void *context)
{
    trt_ref_ ref = {c, TRT_GENERATION_(state), 0};
    (void)context;
    if ((state & TRT_LIVE_) && !(state & TRT_DONE_)) trt_abort_handle_(ref);
    return true;
}

/* Threads, and tasks of other runtimes, that join what will never end now. */
static TRT_COLD_ bool trt_give_up_visit_(trt_cell_ *c, uint64_t state, void *context)
{
    trt_wakes_ wakes = TRT_NO_WAKES_;
    trt_waiter_ *w, *next;
    (void)context;
    if (!(state & TRT_LIVE_) || !(state & TRT_HANGING_)) return true;
    if (state & TRT_JOB_STATE_) return true; /* it still ends */
    trt_latch_(&c->latch);
    w = TRT_LOAD_(&c->state, relaxed) & TRT_HANGING_ ? (trt_waiter_ *)c->up : NULL;
    for (; w; w = next) {
        trt_cell_ *joiner = trt_waiter_cell_(w);
        next = w->next;
        if (joiner && trt_rt_of_(joiner) == trt_rt_of_(c)) continue;
        trt_unhang_(c, w);
        trt_claim_(w, TRT_CANCELLED, &wakes);
    }
    trt_unlatch_(&c->latch);
    trt_wake_(&wakes);
    return true;
}

/* What is queued would begin behind the shutdown. (What runs goes on, and ends by itself.) */
static TRT_COLD_ void trt_job_let_go_(trt_waiter_ *w)
{
    trt_job_ *job = (trt_job_ *)w->args.obj;
    trt_pool_ *pool = &trt_rt_of_(trt_waiter_cell_(w))->pool;
    trt_latch_(&pool->latch);
    if (job->rt && job->state == TRT_JOB_QUEUED_) (void)trt_job_withdraw_(pool, job);
    trt_unlatch_(&pool->latch);
}

/* As when it settles: also the members that have completed, whose completers may be about there. */
static void trt_group_unlink_(trt_group_ *g)
{
    uint32_t i;
    for (i = 0; i < g->begun && !g->settling; i++) {
        trt_waiter_ *m = trt_member_(g, i);
        if (m->kind == TRT_KIND_BLOCKING_) trt_job_let_go_(m);
        else if (m->kind != TRT_KIND_CALL_) trt_kinds_[m->kind].cancel(m);
    }
    g->settling = true;
}

/* Once: what has a status has left its object, which may be gone. */
static TRT_COLD_ void trt_unlink_(trt_cell_ *c)
{
    trt_waiter_ *w = &c->wait;
    if (w->kind == TRT_KIND_GROUP_) {
        trt_group_unlink_((trt_group_ *)w->args.obj);
    } else if (w->kind == TRT_KIND_BLOCKING_) {
        trt_job_let_go_(w);
    } else if (w->kind > TRT_KIND_GROUP_ && w->status == TRT_PENDING) {
        trt_kinds_[w->kind].cancel(w);
        w->status = TRT_CANCELLED;
    }
}

/* In state RUN, and the caller's: nobody runs it any more. */
static void trt_unlink_owned_(trt_cell_ *c)
{
    if (!(c->flags & TRT_RETRY_)) trt_unlink_(c); /* else recorded, not registered */
}

/* What is queued is taken out. If an abort has claimed it, it is still in the object. */
static void trt_let_go_queued_(trt_runtime *rt, trt_worker_ *w)
{
    uintptr_t entry;
    do {
        entry = w ? trt_lifo_swap_(w, 0) : 0;
        if (!entry && w) entry = trt_pop_(w, false);
        if (!entry) {
            trt_latch_(&rt->inject_latch);
            entry = trt_inject_get_(rt);
            trt_unlatch_(&rt->inject_latch);
        }
        if (entry & TRT_OWNED_ENTRY_) trt_unlink_owned_((trt_cell_ *)(entry & ~TRT_OWNED_ENTRY_));
    } while (entry);
}

/* What waits leaves its object, and nobody can complete it then. (Not what is being registered: its
 * worker has not left.) */
static TRT_COLD_ bool trt_let_go_visit_(trt_cell_ *c, uint64_t s, void *context)
{
    (void)context;
    while ((s & (TRT_WAIT_STATE_ | TRT_COMMIT_)) == TRT_WAIT_STATE_) {
        uint64_t to = (s & ~(uint64_t)TRT_WAITING_STATE_) | TRT_GIVEN_UP_;
        if (!TRT_CAS_WEAK_(&c->state, &s, to, acq_rel)) continue; /* as in trt_claim_strand_ */
        trt_unlink_(c);
        break;
    }
    return true;
}

/* By who leaves worker `w` of a runtime that was given up: see >>life. */
static TRT_COLD_ void trt_let_go_(trt_runtime *rt, trt_worker_ *w)
{
    trt_visitor_comes_(&rt->visitors);
    TRT_STORE_(&w->serves, NULL, relaxed); /* else what it lets go of could be handed on to it */
    TRT_FENCE_(&rt->ended_fence); /* pairs with trt_give_up_: who sees what has parked? */
    trt_let_go_queued_(rt, w);
    trt_cells_(rt, trt_let_go_visit_, NULL);
    trt_visitor_leaves_(&rt->visitors);
}

static void trt_give_up_(trt_runtime *rt)
{
    size_t i;
    for (i = 0; i < rt->n_workers; i++) TRT_STORE_(&rt->workers[i]->serves, NULL, relaxed);
    TRT_FENCE_(&rt->ended_fence); /* pairs with trt_join_register_, and with trt_let_go_ */
    (void)trt_aside_look_(rt); /* first: from there on, none of those moves to a cell */
    trt_cells_(rt, trt_give_up_visit_, NULL);
    /* order: STOP was set before: who drives next leaves at once, with nothing */
    if (rt->current_thread && !TRT_SWAP_(&rt->driving, (uint32_t)TRT_DRIVES_GIVEN_UP_, seq_cst))
        trt_drive_leave_(rt);
    trt_cells_(rt, trt_let_go_visit_, NULL);
    /* Who leaves, and has taken a cell before, takes it from its object. And who has claimed one
     * has put it into the queue. */
    trt_visitors_wait_(&rt->visitors);
    trt_let_go_queued_(rt, NULL);
    /* Another thread may shut down, too, and with more patience: no worker is left to end them. */
    TRT_OR_(&rt->ended_gate, (uint32_t)TRT_GATE_GIVEN_UP_, relaxed);
    trt_os_wake_(&rt->ended_gate, INT_MAX);
}

static void trt_abort_all_live_(trt_runtime *rt) { trt_cells_(rt, trt_abort_visit_, NULL); }

/* Have the workers been stopped? (Who comes second waits here until all have been aborted: else what
 * the first claims late would be queued behind the pass of trt_give_up_.) */
static bool trt_shutdown_begin_(trt_runtime *rt)
{
    bool begun;
    trt_latch_(&rt->shutdown_latch);
    if (!TRT_SWAP_(&rt->closing, 1u, seq_cst)) { /* order: the fence below */
        /* Pairs with the sleep of a worker: see trt_see_closing_. */
        TRT_FENCE_(&rt->ended_fence);
        trt_abort_all_live_(rt);
        trt_check_ended_(rt);
    }
    begun = rt->begun;
    trt_unlatch_(&rt->shutdown_latch);
    return begun;
}

static void trt_stop_workers_(trt_runtime *rt)
{
    trt_pool_thread_ *t;
    size_t i;
    /* order: release; all are unparked behind it, see trt_any_work_ */
    TRT_OR_(&rt->signals, (uint32_t)TRT_SIGNAL_STOP_, seq_cst);
    for (i = 0; i < rt->n_workers; i++) trt_unpark_(rt->workers[i]);
    trt_latch_(&rt->pool.latch);
    rt->pool.closed = true;
    while ((t = trt_pool_idle_(&rt->pool)) != NULL) trt_pool_wake_(t);
    trt_unlatch_(&rt->pool.latch);
}

/* Wait until the blocking threads have left, or for the deadline. */
static void trt_pool_wait_(trt_runtime *rt, trt_instant deadline)
{
    trt_pool_ *pool = &rt->pool;
    for (;;) {
        uint32_t seen = TRT_LOAD_(&pool->changed, acquire); /* order: the latch */
        size_t threads;
        trt_latch_(&pool->latch);
        threads = pool->threads;
        trt_unlatch_(&pool->latch);
        if (!threads || (deadline != TRT_FOREVER_ && trt_clock_() >= deadline)) return;
        trt_os_wait_(&pool->changed, seen, deadline);
    }
}

/* All tasks are counted as ended, the last may be about to publish it. The workers leave now. */
static void trt_workers_wait_(trt_runtime *rt)
{
    uint32_t exited, started = TRT_LOAD_(&rt->started, relaxed);
    while ((exited = TRT_LOAD_(&rt->exited, acquire)) < started)
        trt_os_wait_(&rt->exited, exited, TRT_FOREVER_);
    trt_visitors_wait_(&rt->drivers);
}

/* False: not all tasks have ended, and this deadline has passed, or that of another thread that
 * shuts down. */
static bool trt_tasks_wait_(trt_runtime *rt, trt_instant deadline)
{
    if (rt->current_thread) {
        trt_instant until = TRT_LOAD_(&rt->drive_until, relaxed);
        TRT_STORE_(&rt->deadlocked, 0u, relaxed);
        /* The first of several to run out of time stops it for all: then it is not driven again. */
        while (deadline < until && !TRT_CAS_WEAK_(&rt->drive_until, &until, deadline, relaxed)) {}
        trt_visitor_comes_(&rt->drivers);
        trt_drive_(rt, NULL);
        trt_visitor_leaves_(&rt->drivers);
    }
    /* order: as in trt_check_ended_ */
    while (!rt->current_thread && !TRT_LOAD_(&rt->ended_gate, acquire)) {
        if (deadline != TRT_FOREVER_ && trt_clock_() >= deadline) break;
        trt_os_wait_(&rt->ended_gate, 0, deadline);
    }
    return trt_all_ended_(rt);
}

/* Another thread gives it up: until then, what waits may be in its objects. */
static TRT_COLD_ void trt_given_up_wait_(trt_runtime *rt)
{
    while (!TRT_LOAD_(&rt->ended_gate, acquire)) trt_os_wait_(&rt->ended_gate, 0, TRT_FOREVER_);
}

TRT_DEF_ TRT_COLD_ trt_status_code trt_runtime_shutdown(trt_runtime *rt, trt_duration timeout)
{
    trt_instant deadline = timeout < 0 ? TRT_FOREVER_ : trt_after_(trt_clock_(), timeout);
    bool ended, again, gives_up;
    if (!rt) return TRT_OK;
    again = trt_shutdown_begin_(rt);
    if (trt_here_.rt == rt)
        return TRT_PENDING; /* from inside: begun, but it cannot wait for itself */
    if (trt_in_task_()) return trt_misuse_("trt_runtime_shutdown", "this would block a worker");
    ended = again || trt_tasks_wait_(rt, deadline);
    /* Not while a dump keeps workers, and what they have, from leaving. */
    if (!ended) trt_latch_(&rt->dump_latch);
    /* Before they stop: who leaves sees it. order: the fence of trt_give_up_ */
    gives_up = !ended && !TRT_SWAP_(&rt->given_up, 1u, seq_cst);
    trt_latch_(&rt->shutdown_latch);
    if (!rt->begun) trt_stop_workers_(rt);
    rt->begun = true;
    trt_unlatch_(&rt->shutdown_latch);
    if (gives_up) trt_give_up_(rt);
    if (!ended) trt_unlatch_(&rt->dump_latch);
    if (TRT_LOAD_(&rt->given_up, relaxed)) trt_given_up_wait_(rt); /* order: the latch */
    /* A job is counted like a task, or its task waits for it: threads that are left are idle. */
    trt_pool_wait_(rt, deadline);
    /* No worker runs: only jobs can have ended since. A refused spawn counts for a moment.
     * order: as in trt_check_ended_ */
    if (again) ended = trt_all_ended_(rt) || trt_live_(rt) == 0;
    if (ended) trt_workers_wait_(rt);
    return ended ? TRT_OK : TRT_TIMED_OUT;
}

static void trt_join_threads_(trt_runtime *rt)
{
    size_t i;
    for (i = 0; i < rt->n_workers; i++)
        if (rt->workers[i]->started) trt_os_join_(rt->workers[i]->thread);
    trt_visitors_wait_(&rt->drivers);
    trt_pool_wait_(rt, TRT_FOREVER_);
    if (rt->pool.has_exited) trt_os_join_(rt->pool.exited);
    if (!rt->watching) return;
    TRT_STORE_(&rt->watch_word, 2u, seq_cst); /* order: as in trt_watch_wake_ */
    trt_os_wake_(&rt->watch_word, 1);
    trt_os_join_(rt->watch);
}

static TRT_COLD_ bool trt_unwait_visit_(trt_cell_ *c, uint64_t state, void *context)
{
    (void)context;
    if (state & TRT_WAIT_STATE_) (void)trt_claim_strand_(c);
    return true;
}

static TRT_COLD_ bool trt_unlink_visit_(trt_cell_ *c, uint64_t state, void *context)
{
    (void)context;
    if ((state & TRT_RUN_STATE_) && !(state & (TRT_JOB_STATE_ | TRT_DONE_))) trt_unlink_owned_(c);
    return true;
}

/* No thread of the runtime is left: take what has not let go yet out of the objects that it waits
 * for. First all of it is claimed: those who were quicker are visitors. When they have left, what
 * they have completed has a status, and its object may be gone. What has none was claimed here, or
 * by an abort and has not run since. */
static void trt_unlink_all_(trt_runtime *rt)
{
    trt_cells_(rt, trt_unwait_visit_, NULL);
    trt_visitors_wait_(&rt->visitors);
    trt_cells_(rt, trt_unlink_visit_, NULL);
}

typedef struct trt_leak_ {
    size_t n;
    trt_cell_ *first;
} trt_leak_;

static TRT_COLD_ bool trt_leak_visit_(trt_cell_ *c, uint64_t state, void *context)
{
    trt_leak_ *leak = (trt_leak_ *)context;
    if ((state & (TRT_LIVE_ | TRT_DONE_ | TRT_SET_)) != (TRT_LIVE_ | TRT_DONE_)) return true;
    if (c->flags & TRT_LATE_) return true;
    leak->n++;
    leak->first = c;
    return true;
}

static TRT_COLD_ bool trt_unname_visit_(trt_cell_ *c, uint64_t state, void *context)
{
    (void)context;
    if (state & TRT_NAMED_STATE_) TASKRT_FREE(trt_tail_of_(c, trt_type_of_(c))->out);
    return true;
}

TRT_DEF_ TRT_COLD_ trt_status_code trt_runtime_free(trt_runtime *rt)
{
    trt_leak_ leak = {0, NULL};
    if (!rt) return TRT_OK;
    if (trt_here_.rt == rt)
        return trt_misuse_("trt_runtime_free", "a runtime cannot be freed by what runs in it");
    if (trt_in_task_()) return trt_misuse_("trt_runtime_free", "this would block a worker");
    if (!rt->begun) (void)trt_runtime_shutdown(rt, -1);
    trt_join_threads_(rt);
    trt_unlink_all_(rt);
    trt_cells_(rt, trt_leak_visit_, &leak);
    if (leak.n && TASKRT_DEBUG)
        trt_say_("%zu ended tasks were neither joined nor detached; one is task %llu (%s)", leak.n,
                 (unsigned long long)trt_cell_id_(leak.first), trt_name_of_(leak.first));
    trt_cells_(rt, trt_unname_visit_, NULL);
    trt_runtime_release_(rt);
    return TRT_OK;
}

TRT_DEF_ TRT_COLD_ trt_status_code trt_block_on_(trt_runtime *rt, const trt_config *config,
                                                 uint32_t own, const trt_type_ *type, void *out,
                                                 const void *args)
{
    trt_status_code status;
    trt_how_ how;
    trt_ref_ ref;
    void *frame;
    trt_here_.failed = false;
    if (trt_in_task_())
        return trt_misuse_(own ? "trt_run" : "trt_block_on",
                           "called inside a task: await it, or spawn it");
    if (!own && !rt) return trt_misuse_("trt_block_on", "no runtime was given");
    if (own) {
        status = trt_runtime_start(&rt, config);
        if (status != TRT_OK) return status;
    }
    how = trt_how_of_(rt, TRT_HOW_REMOTE_, NULL, NULL);
    frame = trt_make_(type, &how, &ref, args);
    if (frame) {
        memcpy((char *)frame + type->self_offset, args, type->self_size);
        ref = trt_start_(frame);
    }
    status = trt_join_thread_(ref, out);
    if (own) (void)trt_runtime_free(rt);
    return status;
}
/* ------------------------------------------------------------------------------------------------
 * >>impl-inspect: dump and metrics
 *
 * A dump stops the workers between two polls, for as long as it writes. One that does not get there
 * within 100 ms is in a long poll, and may come out of it at any moment: of the task that it runs,
 * only the last await is told, and nothing is looked into but what waits. Other threads make, wake
 * and free no tasks meanwhile: the latch of what they allocate from is the dump's.
 */
static void trt_pause_point_(trt_worker_ *w)
{
    trt_runtime *rt = w->rt;
    trt_cell_ *at = TRT_LOAD_(&w->at_cell, relaxed);
    if (w->dumps) return; /* its own task writes the dump */
    TRT_STORE_(&w->at_cell, NULL, relaxed);
    do {
        /* order: who sees the step sees the end of the pause. For the model see
         * trt_visitors_wait_. */
        uint32_t gate = TRT_LOAD_(&rt->resume_gate, acquire);
        /* order: the look at the end decides */
        if (TRT_LOAD_(&rt->signals, seq_cst) & TRT_SIGNAL_PAUSE_) {
            TRT_STORE_(&w->stopped, 1u, release); /* pairs with trt_world_stop_ */
            trt_os_wake_(&w->stopped, INT_MAX);
            trt_os_wait_(&rt->resume_gate, gate, TRT_FOREVER_);
        } else {
            TRT_STORE_(&w->stopped, 0u, seq_cst);
        }
        /* A next dump may have taken this for stopped already: then it is, again. */
    } while (TRT_LOAD_(&rt->signals, seq_cst) & TRT_SIGNAL_PAUSE_ ||
             TRT_LOAD_(&w->stopped, relaxed));
    TRT_STORE_(&w->at_cell, at, relaxed);
}

/* In a current-thread runtime nobody runs while this thread could drive. (seq_cst, as is the step of
 * who leaves: it would wait in vain for who has left.) */
static bool trt_dump_drives_(trt_runtime *rt)
{
    uint32_t free = 0;
    return rt->current_thread && TRT_CAS_(&rt->driving, &free, TRT_DRIVES_, seq_cst);
}

/* True: whoever drove has left without a pause, and this thread keeps others from driving. */
static bool trt_world_stop_(trt_runtime *rt)
{
    trt_instant until = trt_after_(trt_clock_(), 100000000);
    size_t i;
    TRT_OR_(&rt->signals, (uint32_t)TRT_SIGNAL_PAUSE_, seq_cst);
    for (i = 0; i < rt->n_workers; i++) trt_unpark_(rt->workers[i]);
    for (i = 0; i < rt->n_workers; i++) {
        trt_worker_ *w = rt->workers[i];
        if (w == trt_here_.worker || !(w->started || rt->current_thread)) continue;
        /* seq_cst: not the 1 of the last dump, if the worker has gone on and not seen PAUSE yet */
        while (!TRT_LOAD_(&w->stopped, seq_cst)) {
            if (trt_dump_drives_(rt)) return true;
            if ((TRT_LOAD_(&rt->signals, relaxed) & TRT_SIGNAL_STOP_) || trt_clock_() >= until) {
                rt->dump_alone = false;
                break;
            }
            trt_os_wait_(&w->stopped, 0, until);
        }
    }
    return false;
}

static void trt_world_go_(trt_runtime *rt)
{
    TRT_AND_(&rt->signals, ~(uint32_t)TRT_SIGNAL_PAUSE_, seq_cst); /* order: the step's */
    TRT_ADD_(&rt->resume_gate, 1u, release); /* order: as in trt_pause_point_ */
    trt_os_wake_(&rt->resume_gate, INT_MAX);
}

/* The worker that is in a poll of this very strand, if any. */
static trt_worker_ *trt_runner_of_(trt_runtime *rt, const trt_cell_ *c)
{
    size_t i;
    /* order: who stopped in time has been waited for, what others are at is a hint */
    for (i = 0; i < rt->n_workers; i++)
        if (TRT_LOAD_(&rt->workers[i]->at_cell, relaxed) == c) return rt->workers[i];
    return NULL;
}

/* A worker that has not stopped may be settling what has just begun: until when is not told then. */
static TRT_COLD_ void trt_dump_wait_(const trt_runtime *rt, FILE *to, const trt_waiter_ *w)
{
    const char *name = trt_kinds_[w->kind].name;
    if (w->kind == TRT_KIND_ACQUIRE_) name = trt_permits_caller_(w->args.arg) + 4;
    /* (What was given up has let go, and the task of another runtime may be gone.) */
    if (w->kind == TRT_KIND_JOIN_ && w->args.obj && !TRT_LOAD_(&rt->given_up, relaxed))
        fprintf(to, "%s of task %llu", name,
                (unsigned long long)trt_id_of_((trt_cell_ *)w->args.obj, (uint32_t)w->args.arg));
    else if (w->kind == TRT_KIND_READABLE_ || w->kind == TRT_KIND_WRITABLE_)
        fprintf(to, "%s fd %d", name, (int)(uint32_t)w->args.arg);
    else if (w->kind == TRT_KIND_SLEEP_UNTIL_ || w->kind == TRT_KIND_TICK_ ||
             (w->kind == TRT_KIND_SLEEP_ && rt->dump_alone && w->error != TRT_FRESH_SLOT_))
        fprintf(to, "%s until %.3f ms", name, (double)(trt_instant)w->args.arg / 1e6);
    else fprintf(to, "%s", name);
}

/* Does it wait? Also for what runs on its back before anybody else can know of the wait. */
static bool trt_dump_waits_(trt_runtime *rt, const trt_cell_ *c, uint64_t s)
{
    const trt_group_ *g;
    if (s & (TRT_WAIT_STATE_ | TRT_GIVEN_UP_))
        return rt->dump_alone || !(s & TRT_COMMIT_); /* not registering still */
    if (!rt->dump_alone || (s & TRT_FRESH_) || c->wait.kind != TRT_KIND_GROUP_) return false;
    g = (const trt_group_ *)c->wait.args.obj;
    return g->begun && !g->parked;
}

static TRT_COLD_ void trt_dump_strand_(trt_runtime *rt, FILE *to, trt_cell_ *c, int indent);

static TRT_COLD_ void trt_dump_group_(trt_runtime *rt, FILE *to, trt_group_ *g, int indent)
{
    uint32_t i;
    for (i = 0; i < (uint32_t)g->n + g->timers; i++) {
        trt_waiter_ *m = &g->member[i];
        if (rt->dump_alone && m->status != TRT_PENDING) continue; /* else somebody may write it */
        fprintf(to, "%*s- ", indent, "");
        trt_dump_wait_(rt, to, m);
        fprintf(to, "\n");
        if (m->kind == TRT_KIND_CALL_ && m->args.out && indent < 64)
            trt_dump_strand_(rt, to, (trt_cell_ *)m->args.out, indent + 2);
    }
}

static TRT_COLD_ void trt_dump_frame_(trt_runtime *rt, FILE *to, trt_co *co, int indent)
{
    trt_owned_ *node;
    uint32_t line = co->pc_ >> 3;
    uint32_t phase = co->phase_ & 7u, forks;
    fprintf(to, "%*sat %s (%s:%u)%s\n", indent, "", co->type_->name, co->type_->file,
            line ? line : co->type_->line, phase ? ", in its cleanup" : "");
    if (!rt->dump_alone) return;
    /* Live ones; then those that are in the deque still. */
    forks = trt_pending_add_(TRT_LOAD_(&co->pending_, relaxed), co->forked_) & TRT_PENDING_COUNT_;
    for (node = (trt_owned_ *)co->owned_; node; node = node->next) {
        if (trt_lies_in_(co, node)) continue;
        forks--;
        fprintf(to, "%*sfork:\n", indent + 2, "");
        if (indent < 64) trt_dump_strand_(rt, to, trt_cell_of_node_(node), indent + 4);
    }
    if (forks) fprintf(to, "%*s%u forks that have not begun\n", indent + 2, "", forks);
}

static void trt_dump_strand_(trt_runtime *rt, FILE *to, trt_cell_ *c, int indent)
{
    uint64_t s = TRT_LOAD_(&c->state, acquire); /* order: those who stopped have released theirs */
    trt_worker_ *runner = rt->dump_alone ? NULL : trt_runner_of_(rt, c);
    trt_co *co;
    if (!rt->dump_alone && !trt_dump_waits_(rt, c, s) && !(runner && runner == trt_here_.worker)) {
        const trt_type_ *type = runner ? TRT_LOAD_(&runner->at_type, relaxed) : NULL;
        uint32_t pc = runner ? TRT_LOAD_(&runner->at_pc, relaxed) : 0;
        if (type) /* it may be seen later than at_cell */
            fprintf(to, "%*sat %s (%s:%u), running on worker %u\n", indent, "", type->name,
                    type->file, pc >> 3 ? pc >> 3 : type->line, runner->index);
        return;
    }
    if ((c->kind == TRT_FORK_KIND_ || c->kind == TRT_BRANCH_) && trt_dump_waits_(rt, c, s)) {
        fprintf(to, "%*swaits for ", indent, "");
        trt_dump_wait_(rt, to, &c->wait);
        fprintf(to, "\n");
    }
    /* The outermost has no parent, but may be linked to another strand's: see trt_overflow_. */
    for (co = c->leaf; co && co->cell_ == c; co = co->parent_) trt_dump_frame_(rt, to, co, indent);
    if (c->wait.kind == TRT_KIND_GROUP_ && trt_dump_waits_(rt, c, s))
        trt_dump_group_(rt, to, (trt_group_ *)c->wait.args.obj, indent);
}

typedef struct trt_dump_state_ {
    trt_runtime *rt;
    FILE *to;
    size_t n;
} trt_dump_state_;

static TRT_COLD_ bool trt_dump_visit_(trt_cell_ *c, uint64_t s, void *context)
{
    trt_dump_state_ *d = (trt_dump_state_ *)context;
    const trt_type_ *type;
    bool waits, still; /* still: nobody can end it meanwhile */
    if (!(s & TRT_LIVE_)) return true;
    d->n++;
    waits = trt_dump_waits_(d->rt, c, s);
    still = waits || d->rt->dump_alone;
    type = TRT_LOAD_(&trt_root_(c)->told_, relaxed);
    fprintf(d->to, "task %llu %s: ", (unsigned long long)trt_id_of_(c, TRT_GENERATION_(s)),
            trt_told_name_(c, s, type));
    if (s & TRT_DONE_) {
        fprintf(d->to, "ended (%s), waits to be joined\n",
                still ? trt_strerror(trt_result_(c)) : "lately");
        return true;
    }
    if (s & TRT_JOB_STATE_) {
        fprintf(d->to, "blocking job, %s (%s:%u)\n", s & TRT_FRESH_ ? "queued" : "running",
                type->file, type->line);
        return true;
    }
    if (waits) {
        fprintf(d->to, "waits for ");
        trt_dump_wait_(d->rt, d->to, &c->wait);
    } else {
        fprintf(d->to, "%s",
                s & TRT_FRESH_             ? "new"
                : trt_runner_of_(d->rt, c) ? "running"
                                           : "ready");
    }
    fprintf(d->to, "%s\n", s & TRT_ABORT_ ? ", aborted" : "");
    trt_dump_strand_(d->rt, d->to, c, 4);
    return true;
}

/* One at a time. A worker that waits for its turn changes nothing: for the dump before it has
 * stopped. */
static TRT_COLD_ void trt_dump_begin_(trt_runtime *rt, trt_worker_ *inside)
{
    if (inside) {
        inside->dumps = true;
        TRT_STORE_(&inside->stopped, 1u, release); /* pairs with trt_world_stop_ */
        trt_os_wake_(&inside->stopped, INT_MAX);
    }
    trt_latch_(&rt->dump_latch);
    if (inside) TRT_STORE_(&inside->stopped, 0u, relaxed); /* order: the latch's */
}

TRT_DEF_ TRT_COLD_ void trt_dump(trt_runtime *rt, FILE *to)
{
    trt_dump_state_ d;
    bool drives, inside, paused;
    if (!rt || !to) return;
    d.rt = rt;
    d.to = to;
    d.n = 0;
    inside = trt_here_.worker && trt_here_.worker->rt == rt;
    trt_dump_begin_(rt, inside ? trt_here_.worker : NULL);
    rt->dump_alone = true;
    drives = !inside && trt_dump_drives_(rt);
    paused = !drives;
    if (paused) drives = trt_world_stop_(rt);
    trt_latch_(&rt->names_latch); /* a worker that has not stopped may end a task with a name */
    trt_latch_(&rt->outside_latch);
    fprintf(to, "taskrt: tasks of this runtime (now is %.3f ms):\n", (double)trt_now_of_(rt) / 1e6);
    trt_cells_(rt, trt_dump_visit_, &d);
    fprintf(to, "%zu tasks\n", d.n);
    (void)fflush(to);
    trt_unlatch_(&rt->outside_latch);
    trt_unlatch_(&rt->names_latch);
    if (paused) trt_world_go_(rt);
    if (drives) trt_drive_leave_(rt);
    if (inside) trt_here_.worker->dumps = false;
    trt_unlatch_(&rt->dump_latch);
}

TRT_DEF_ TRT_COLD_ void trt_metrics(trt_runtime *rt, trt_metrics_info *m)
{
    size_t i;
    memset(m, 0, sizeof *m);
    if (!rt) return;
    m->workers = rt->n_workers;
    /* Ended first, as in trt_live_: no more have ended than were spawned. */
    m->tasks_ended = TRT_LOAD_(&rt->outside_ended, acquire);
    for (i = 0; i < rt->n_workers; i++)
        m->tasks_ended += TRT_LOAD_(&rt->workers[i]->ended, acquire);
    m->tasks_spawned = TRT_LOAD_(&rt->outside_spawned, relaxed);
    m->stalls = TRT_LOAD_(&rt->stalls, relaxed);
    m->queue_depth = (size_t)TRT_LOAD_(&rt->inject_len, relaxed);
    for (i = 0; i < rt->n_workers; i++) {
        trt_worker_ *w = rt->workers[i];
        int32_t depth = (int32_t)(TRT_LOAD_(&w->ring.tail, relaxed) -
                                  (uint32_t)TRT_LOAD_(&w->ring.head, relaxed));
        m->tasks_spawned += TRT_LOAD_(&w->spawned, relaxed);
        m->polls += TRT_LOAD_(&w->polls, relaxed);
        m->steals += TRT_LOAD_(&w->steals, relaxed);
        m->parks += TRT_LOAD_(&w->parks, relaxed);
        m->injected += TRT_LOAD_(&w->injected, relaxed);
        m->budget_yields += TRT_LOAD_(&w->yields, relaxed);
        m->timers_fired += TRT_LOAD_(&w->fired, relaxed);
        m->panics += TRT_LOAD_(&w->panics, relaxed);
        m->timers_waiting += (size_t)TRT_LOAD_(&w->wheel.waiting, relaxed);
        if (depth > 0) m->queue_depth += (size_t)depth; /* the two may be of different moments */
        m->queue_depth += TRT_LOAD_(&w->lifo, relaxed) != 0;
    }
    m->tasks_alive = (size_t)(m->tasks_spawned - m->tasks_ended);
    trt_latch_(&rt->pool.latch);
    m->blocking_threads = rt->pool.threads;
    m->blocking_idle = rt->pool.idle_count;
    m->blocking_queued = TRT_LOAD_(&rt->pool.queued, relaxed);
    trt_unlatch_(&rt->pool.latch);
    trt_latch_(&rt->memory_latch);
    m->memory = rt->memory;
    trt_unlatch_(&rt->memory_latch);
}
#endif /* TASKRT_IMPLEMENTATION */
/* ------------------------------------------------------------------------------------------------
 * >>license
 *
 * MIT License. Copyright (c) 2026 the taskrt.h authors
 *
 * Permission is hereby granted, free of charge, to any person obtaining a copy of this software
 * and associated documentation files (the "Software"), to deal in the Software without
 * restriction, including without limitation the rights to use, copy, modify, merge, publish,
 * distribute, sublicense, and/or sell copies of the Software, and to permit persons to whom the
 * Software is furnished to do so, subject to the following conditions:
 *
 * The above copyright notice and this permission notice shall be included in all copies or
 * substantial portions of the Software.
 *
 * THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING
 * BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND
 * NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM,
 * DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM,
 * OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
 */
