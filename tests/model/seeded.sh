#!/bin/sh
# Does the model find what it is for? Each case breaks a copy of taskrt.h in one place, and names a scenario that has to
# fail, within so many schedules (those of primitives.c are run to their end). Usage: seeded.sh DIRECTORY
set -u
directory=$1
mkdir -p "$directory"
passed=0 failed=0

# name, program, scenario, what the report has to say, sed script, seeds to try
bug() {
    name=$1 program=$2 scenario=$3 says=$4 script=$5
    mkdir -p "$directory/$name"
    sed -e "$script" taskrt.h >"$directory/$name/taskrt.h"
    if cmp -s taskrt.h "$directory/$name/taskrt.h"; then
        echo "FAIL $name: the place to break was not found"
        failed=$((failed + 1))
        return
    fi
    TASKRT=$directory/$name/taskrt.h MODEL_OPTIMISE=-O1 sh tests/model/build.sh "$directory/$name" tests/model/$program.c >"$directory/$name.log" 2>&1 &&
        for seed in ${6:-1}; do
            "$directory/$name/$program" -n 20000 -s "$seed" "$scenario" >>"$directory/$name.log" 2>&1 || break
        done
    if grep -q '^FAIL' "$directory/$name.log" && grep -q "$says" "$directory/$name.log"; then
        grep -o 'schedule [0-9]* (.*' "$directory/$name.log" | head -n 1 | sed "s/^/$name: /"
        passed=$((passed + 1))
    else
        echo "FAIL $name: not found"
        tail -n 3 "$directory/$name.log"
        failed=$((failed + 1))
    fi
}

bug no_recheck_before_sleep primitives idle_one 'deadlock' \
    's/if (!closing && !told && !trt_any_work_(w) &&/if (!closing \&\& !told \&\&/'
bug no_wake_after_inject primitives idle_one 'deadlock' \
    '/^static TRT_COLD_ void trt_inject_visiting_(/,/^}/s/    trt_notify_(rt);//'
bug no_fence_in_notify primitives idle_one 'deadlock' \
    '/^static inline void trt_notify_(/,/^}/s/    else TRT_FENCE_(&rt->sleeping);//'
bug spin_forgets_a_wake primitives idle_one 'deadlock' \
    '/^static bool trt_worker_spin_(/,/^}/s/!TRT_CAS_(&w->wake, &spins, (uint32_t)TRT_ASLEEP_, relaxed)/(TRT_STORE_(\&w->wake, (uint32_t)TRT_ASLEEP_, relaxed), (void)spins, false)/'
bug thread_forgets_a_wake primitives driver_poller 'deadlock' \
    's/if (woken || !TRT_CAS_(&t->woken, &spins, 2u, acquire)) return;/(void)spins; if (woken) return; TRT_STORE_(\&t->woken, 2u, relaxed);/'
bug calm_without_fence_for_all primitives calm_one 'deadlock' \
    '/^static TRT_COLD_ bool trt_calm_stop_(/,/^}/s/|| !trt_os_fence_all_()/|| false/'
bug calm_begins_unseen primitives calm_begin_again 'deadlock' \
    '/^static void trt_calm_begin_(/,/^}/s/TRT_LOAD_(&rt->sleeping, relaxed) ? TRT_RESTLESS_ : //'
bug unsure_sleeps_on primitives calm_denied 'deadlock' \
    's/all_seen ? trt_fds_nap_(w) : TRT_FD_NAP_NS_;/trt_fds_nap_(w);/'
bug ring_tail_relaxed primitives ring 'not true: got' \
    's/TRT_STORE_(&w->ring.tail, tail + 1, release);/TRT_STORE_(\&w->ring.tail, tail + 1, relaxed);/'
bug deque_pop_without_fence primitives deque 'not true: got' \
    '/^static inline trt_cell_ \*trt_deque_pop_(/,/^}/s/TRT_FENCE_(&d->bottom);//'
bug unlink_without_latch primitives wheel_cancel 'data race' \
    '/^static void trt_wheel_remove_(/,/^}/s/trt_u*n*latch_\(here_\)*(&wheel->latch);//'
bug end_relaxed runtime spawn_join 'data race' \
    '/^static inline void trt_task_end_(/,/^}/s/acq_rel/relaxed/'
bug cancel_wakes_nobody runtime permits 'deadlock\|livelock' \
    '/^static TRT_COLD_ void trt_acquire_cancel_(/,/^}/s/trt_permits_grant_(p, .*);//'
bug latch_release_relaxed latch latch_two 'data race' \
    's/TRT_STORE_(latch, value, release)/TRT_STORE_(latch, value, relaxed)/'
bug latch_wakes_nobody latch latch_swap_two 'deadlock' \
    's/if (TRT_SWAP_(latch, value, release) == 2) trt_os_wake_(latch, 1);/(void)TRT_SWAP_(latch, value, release);/'
bug latch_without_fence_for_all latch latch_two 'deadlock' \
    's/& 1u) || trt_os_fence_all_();/\& 1u) || true;/'
bug latch_looks_once latch latch_two 'deadlock' \
    's/return TRT_UNLIKELY_(TRT_LOAD_(&trt_sleepers_, relaxed)) ? TRT_UNLATCH_WAKES_ : TRT_UNLATCHED_;/return TRT_UNLATCHED_;/'
bug place_filled_while_it_is_read channel handed_behind_a_take 'data race' \
    '/^TRT_ALWAYS_INLINE_ bool trt_channel_quick_(/,/^}/s/at + size, release/at + size, relaxed/'
bug opened_while_one_waits channel 'receivers_two' 'no order explains\|has overtaken\|deadlock\|MODEL_CHECK' \
    's/if (!c->receivers.head) trt_channel_open_(c);/trt_channel_open_(c);/'
bug full_by_a_look channel tries_two 'no order explains' \
    '/^static trt_status_code trt_send_poll_(/,/^}/s/    trt_latch_(.*/    if (!w \&\& trt_channel_full_(c)) return TRT_PENDING;\n&/'
bug channel_freed_behind_one_latch channel freed_by_last 'freed memory\|data race' \
    '/^TRT_DEF_ TRT_COLD_ void trt_channel_free_(/,/^}/s/trt_channel_close_(channel);/trt_latch_(\&channel->put.latch), (void)trt_unlatch_(\&channel->put.latch);/'
bug visitor_not_awaited runtime free_behind_wake 'freed memory\|data race' \
    's/^    trt_visitors_wait_(&rt->visitors);//'
bug joiner_leaves_its_waiter runtime shutdown_gives_up 'has been left' \
    '/^static TRT_COLD_ bool trt_join_unlink_(/,/^}/s/return waits;/return true;/'
bug deadlock_among_others runtime virtual_clock_outside 'not true' \
    's/if (TRT_LOAD_(&rt->fds_waiting, relaxed) || !trt_alone_(rt)) return false;/(void)trt_alone_;/'
bug pool_thread_not_joined runtime pool 'not joined\|data race' \
    's/if (rt->pool.has_exited) trt_os_join_(rt->pool.exited);//'
bug unsure_for_ever runtime fds_twice 'deadlock\|livelock' \
    's/if (kept) trt_fd_unsure_(worker, record);//'
bug driver_takes_nothing_for_others runtime fds_move 'deadlock\|livelock\|not true' \
    's/^            trt_poller_take_(rt->workers\[TRT_POLLER_OF_(data)\]);//'
bug fd_in_two_pollers runtime fds_move 'not true' \
    's/^        TRT_SYS_(epoll_ctl)(poller, EPOLL_CTL_DEL, record->fd, NULL);//'
bug requeued_behind_a_hog runtime rescue_requeued 'deadlock\|livelock' \
    's/(!TRT_LOAD_(&rt->driver, relaxed) || !trt_ring_empty_(stuck)))/!TRT_LOAD_(\&rt->driver, relaxed))/'
bug region_leaked runtime spawn_join 'left behind' \
    '/^static void trt_memory_free_(/,/^}/s/TASKRT_FREE(region);//'
bug abort_holds_back abort acquire_held_back 'not true\|deadlock\|livelock' \
    '/^static TRT_COLD_ void trt_acquire_cancel_(/,/^}/s/trt_permits_grant_(p, .*);//'
bug abort_stays_linked abort notify_one 'not true\|freed memory\|data race\|deadlock' \
    '/^static TRT_COLD_ void trt_notified_cancel_(/,/^}/s/if (w->linked) trt_list_remove_(.*);//'
bug barrier_counts_the_aborted abort barrier 'not true' \
    's/if (b->parties_ - b->arrived_ <= 1) trt_barrier_sweep_(b);//'
bug shutdown_misses_a_task shutdown busy 'livelock' \
    '/^static bool trt_maintain_(/,/^}/s/if (trt_closing_unseen_(w)) trt_see_closing_(w);//' '8 2 11 7 12 13 14 15 16 17'
bug free_behind_claim shutdown acquire_many 'freed memory\|data race' \
    '/^static void trt_unlink_all_(/,/^}/s/trt_visitors_wait_(&rt->visitors);//'
bug late_workers_serve runtime shutdown_late 'not true' \
    's/TRT_STORE_(&rt->workers\[i\]->serves, NULL, relaxed)/(void)rt->workers[i]/'
bug late_workers_let_nothing_go runtime shutdown_late 'not true' \
    's/if (TRT_UNLIKELY_(TRT_LOAD_(&rt->given_up, relaxed))) trt_let_go_(.*);//'
bug who_drives_lets_nothing_go runtime shutdown_lets_go 'not true' \
    's/if (rt->current_thread \&\& !TRT_SWAP_(&rt->driving,.*)$/if (0)/'
bug gives_up_beside_a_worker runtime shutdown_lets_go 'data race\|not true' \
    '/^static void trt_give_up_(/,/^}/s/trt_visitors_wait_(&rt->visitors);//'
bug abort_breaks_the_shield matrix one-worker-by-handle 'not true\|expected' \
    '/^static void trt_abort_handle_(/,/^}/s/(s & (TRT_WAIT_STATE_ | TRT_SHIELD_)) == TRT_WAIT_STATE_/(s \& TRT_WAIT_STATE_) != 0/'

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
