#!/bin/sh
# Does the oracle see what it is for? Each case breaks a copy of taskrt.h in one place; replaying the corpus has to fail.
# Usage: seeded.sh DIRECTORY
set -u
directory=$1
mkdir -p "$directory"
passed=0 failed=0

# name, sed script
bug() {
    name=$1 script=$2
    mkdir -p "$directory/$name"
    sed -e "$script" taskrt.h >"$directory/$name/taskrt.h"
    if cmp -s taskrt.h "$directory/$name/taskrt.h"; then
        echo "FAIL $name: the place to break was not found"
        failed=$((failed + 1))
        return
    fi
    if ! TASKRT=$directory/$name/taskrt.h sh tests/fuzz/build.sh "$directory/$name/replay" "${CC:-cc}" -O1 -g -std=c11 -DREPLAY \
        -pthread >"$directory/$name.log" 2>&1; then
        echo "FAIL $name: it does not compile"
        failed=$((failed + 1))
    elif "$directory/$name/replay" tests/fuzz/corpus/* >"$directory/$name.log" 2>&1; then
        echo "FAIL $name: not found"
        failed=$((failed + 1))
    else
        echo "$name: $(grep -a '^---- WRONG' "$directory/$name.log" || echo it crashed)"
        passed=$((passed + 1))
    fi
}

bug waiters_last_in_first_out \
    '/^static trt_waiter_ \*trt_complete_first_(/,/^}/s/w = list->head/w = list->tail/'
bug acquire_overtakes \
    '/^static TRT_NOINLINE_ trt_status_code trt_permits_take_(/,/^}/s/(word & TRT_QUEUED_) || //'
bug those_behind_an_aborted_acquire_are_forgotten \
    '/^static TRT_COLD_ void trt_acquire_cancel_(/,/^}/s/trt_permits_grant_(.*);//'
bug a_lost_claim_ends_the_search \
    '/^static trt_waiter_ \*trt_complete_first_(/,/^}/s/return w;/return w; else return NULL;/'
bug deadline_a_nanosecond_late \
    '/^static trt_instant trt_op_deadline_(/,/^}/s/op->within_);/op->within_ + 1);/'
bug sleep_a_nanosecond_early \
    '/^static bool trt_sleep_keep_(/,/^}/s/(trt_duration)w->args.arg);/(trt_duration)w->args.arg - 1);/'
bug cleanup_twice \
    '/^static inline int trt_cleanup_over_(/,/^}/s/    c->cleaning--;/    c->cleaning--; if (!(c->leaf->phase_ \& 32)) { c->leaf->phase_ |= 32; return trt_cleanup_begin_(c, c->leaf); }/'
bug no_cleanup_of_what_never_ran \
    '/^static int trt_leave_(/,/^}/s/    return TRT_STEP_ENDED_;/    if (!co->pc_ \&\& !(co->phase_ \& 7u) \&\& how == TRT_LEFT_ABORTED_) { co->phase_ |= 4; c->cleaning++; }\n    return TRT_STEP_ENDED_;/'
bug oneshot_value_lost \
    's/trt_unlatch_value_(&oneshot->word, TRT_ONESHOT_FULL_);/trt_unlatch_value_(\&oneshot->word, TRT_ONESHOT_CLOSED_);/'
bug close_drops_messages \
    's/^    TRT_STORE_(&channel->closed, 1u, relaxed);/&\n    channel->used = 0;/'
bug an_abort_beats_a_completed_await \
    's/status == TRT_PENDING || *$/(TRT_LOAD_(\&c->state, relaxed) \& TRT_ABORT_) || &/; /^static int trt_resume_(/,/^}/s/if (c->wait.status == TRT_PENDING) {/if (c->wait.status == TRT_PENDING || ((TRT_LOAD_(\&c->state, relaxed) \& TRT_ABORT_) \&\& !trt_shielded_(c))) {/'
bug notify_all_keeps_one \
    '/^TRT_DEF_ void trt_notify_all(/,/^}/s/notify_unlatch_(notify, permit)/notify_unlatch_(notify, true)/'
bug a_cancel_stops_at_the_children \
    '/^TRT_DEF_ TRT_COLD_ void trt_token_cancel(/,/^}/s/ && t->child)/ \&\& t->child \&\& t == token)/'
bug the_last_failure_of_forks_is_told \
    '/^static void trt_fork_fail_(/,/^}/s/if (trt_pending_failure_(pending)) return;/pending \&= ~(15u << TRT_PENDING_FAILURE_);/'
bug an_aborted_waiter_counts_at_the_barrier \
    '/^static TRT_COLD_ void trt_barrier_cancel_(/,/^}/s/b->arrived_--;//'
bug all_tells_the_last_failure \
    '/^static trt_status_code trt_all_outcome_(/,/^}/s/for (i = 0; i < g->n; i++)/for (i = g->n; i-- > 0;)/'
bug a_lagging_subscriber_is_not_told \
    '/^static trt_status_code trt_broadcast_get_(/,/^}/s/s->next < oldest ? TRT_LAGGED : TRT_OK/TRT_OK/'
bug forks_outlive_their_scope \
    '/^static int trt_frame_ended_(/,/^}/s/if (trt_forks_left_(co)) return/if (trt_forks_left_(co) \&\& !c->cleaning \&\& 0) return/'
bug a_shielded_cleanup_is_aborted \
    '/^static void trt_abort_handle_(/,/^}/s/(TRT_WAIT_STATE_ | TRT_SHIELD_)) == TRT_WAIT_STATE_/TRT_WAIT_STATE_) == TRT_WAIT_STATE_/'
bug a_failed_initialiser_lets_nobody_in \
    '/^TRT_DEF_ TRT_COLD_ void trt_once_failed(/,/^}/s/trt_complete_first_(&once->waiters_, TRT_OK, &wakes)/NULL/'
bug branch_cells_stay_alive \
    '/^static void trt_member_clear_(/,/^}/s/trt_cell_free_(branch)/trt_slot_free_(branch)/'

echo "$passed passed, $failed failed"
