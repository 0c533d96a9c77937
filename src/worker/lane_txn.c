/*
 * exactly_once: what a lane takes in goes out in transactions, its offsets with it.
 *
 * A cut is made transaction.commit_ms after the first record since the last one: the batch is flushed, so that the
 * offsets are exactly those behind the last record whose outputs are all in the transaction, and both go to the
 * committer. Meanwhile the lane goes on: what it sends waits in the sink for the next transaction. Whatever goes wrong,
 * all that was taken since the last commit is dropped, and the partitions begin again where the group says; it says so
 * only after the fate of a commit under way is known.
 */
#include "worker/lane_private.h"

#include "core/clock.h"
#include "core/log.h"

enum { WAIT_MS = 20, AWAITED_LOG_NS = 2000 * 1000 * 1000 };

static const uint64_t ALARM_NS = 60 * UINT64_C(1000000000);

/* --- records --- */

void lp_lane_txn_note(struct lp_lane *lane, const struct lp_source_record *record)
{
    struct lp_lane_txn *txn = &lane->txn;
    if (lane->failed) return; /* by this one, most likely: it must come again */
    lane->partitions[record->slot].taken_offset = record->offset + 1;
    txn->taken++;
    if (txn->due_ns == 0) txn->due_ns = lane->now_ns + txn->period_ns;
}

/* --- drift: counts only what was committed --- */

static bool has_drift(const struct lp_lane *lane) { return lane->kit != NULL && lane->kit->drift_share != NULL; }

static void cut_drift(struct lp_lane *lane)
{
    struct lp_kit *kit = lane->kit;
    if (!has_drift(lane)) return;
    struct lp_drift *cut = kit->drift_open;
    lp_drift_set_aside(kit->drift_lane, cut, lp_lane_watermark(lane), kit->drift_cut);
    kit->drift_open = kit->drift_cut;
    kit->drift_cut = cut;
    lane->txn.cut_first_open = lp_drift_lane_first_open(kit->drift_lane);
}

static void settle_drift(struct lp_lane *lane)
{
    if (!has_drift(lane)) return;
    lp_drift_settle(lane->kit->drift_share->drift, lane->index, lane->kit->drift_cut, false);
    lane->txn.first_open = lane->txn.cut_first_open;
}

void lp_lane_txn_forget_drift(struct lp_lane *lane)
{
    if (!has_drift(lane)) return;
    lp_drift_forget(lane->kit->drift_open);
    lp_drift_forget(lane->kit->drift_cut);
    lp_drift_lane_forget(lane->kit->drift_lane, lane->txn.first_open);
}

void lp_lane_txn_merge_drift(struct lp_lane *lane, int64_t watermark_ms, bool flush)
{
    struct lp_kit *kit = lane->kit;
    if (!flush && !lp_lane_txn_settled(lane)) return; /* it comes with the commit */
    lp_drift_set_aside(kit->drift_lane, kit->drift_open, watermark_ms, kit->drift_open);
    lp_drift_settle(kit->drift_share->drift, lane->index, kit->drift_open, flush);
    lane->txn.first_open = lp_drift_lane_first_open(kit->drift_lane);
}

/* --- the cut --- */

bool lp_lane_txn_settled(const struct lp_lane *lane)
{
    const struct lp_lane_txn *txn = &lane->txn;
    return txn->taken == 0 && !txn->committing && !txn->reset &&
           (lane->kit == NULL || lane->kit->batch.row_count == 0) &&
           (lane->source == NULL || !lp_source_has_offsets(lane->source));
}

static void cut(struct lp_lane *lane)
{
    struct lp_lane_txn *txn = &lane->txn;
    struct lp_source_offsets *offsets;
    struct lp_error err;
    lp_lane_flush_batch(lane);
    if (txn->broken || !lp_sink_txn_open(lane->sink)) return; /* the next serve aborts */
    for (uint32_t slot = 0; slot < lane->partition_limit; slot++) {
        struct lp_lane_partition *partition = &lane->partitions[slot];
        if (!partition->owned || partition->taken_offset < 0) continue;
        lp_source_store(lane->source, slot, partition->taken_offset);
        partition->cut_offset = partition->taken_offset;
        partition->cut_event_time_ms = partition->event_time_ms;
    }
    if (lp_source_take_offsets(lane->source, &offsets, &err) != LP_OK) {
        LP_LOG(LP_LOG_WARN, "transaction_given_up", lp_kv_int("lane", lane->index), lp_kv("reason", err.text));
        lp_lane_txn_drop(lane);
        return;
    }
    txn->due_ns = 0;
    /* Records of a topic that was made anew have no offset to commit; their outputs count. */
    if (offsets == NULL && txn->taken == 0) return;
    cut_drift(lane);
    txn->cut_taken = txn->taken;
    txn->taken = 0;
    txn->cut_ns = lp_clock_ns();
    txn->committing = true;
    lp_sink_commit(lane->sink, offsets);
}

/* --- what came of it --- */

static void on_committed(struct lp_lane *lane)
{
    struct lp_lane_txn *txn = &lane->txn;
    txn->committing = false;
    if (lane->source != NULL) lp_source_confirm(lane->source);
    for (uint32_t slot = 0; slot < lane->partition_limit; slot++) {
        struct lp_lane_partition *partition = &lane->partitions[slot];
        if (!partition->owned || partition->cut_offset < 0) continue;
        partition->next_offset = partition->cut_offset;
        partition->settled_event_time_ms = partition->cut_event_time_ms;
    }
    settle_drift(lane);
    lp_lane_txn_relax(lane);
    lane->stats.transactions_committed++;
    lane->stats.committed_records += txn->cut_taken;
    lane->stats.acknowledged += txn->cut_taken;
    lp_latency_add(&lane->stats.commit, lp_clock_ns() - txn->cut_ns, 1);
    txn->cut_taken = 0;
    /* What waited begins its transaction only now. */
    if (txn->due_ns != 0) txn->due_ns = lp_clock_ns() + txn->period_ns;
}

/* No record comes in until lp_source_rewind. */
static void close_intake(struct lp_lane *lane)
{
    lane->txn.reset = true;
    lp_lane_drop_batch(lane);
    if (lane->source != NULL) lp_source_suspend(lane->source);
}

void lp_lane_txn_drop(struct lp_lane *lane)
{
    if (lane->txn.reset || (lp_lane_txn_settled(lane) && !lane->txn.broken && !lp_sink_txn_broken(lane->sink))) return;
    close_intake(lane);
    lp_sink_abort(lane->sink);
}

/* The fate of all that was sent is known: from where the group's offsets are. */
static void go_back(struct lp_lane *lane)
{
    struct lp_lane_txn *txn = &lane->txn;
    lp_lane_drop_batch(lane);
    lp_lane_txn_forget_drift(lane);
    txn->voids++;
    txn->void_records += txn->taken + txn->cut_taken;
    for (uint32_t slot = 0; slot < lane->partition_limit; slot++) {
        struct lp_lane_partition *partition = &lane->partitions[slot];
        partition->taken_offset = partition->cut_offset = -1;
        partition->event_time_ms = partition->settled_event_time_ms;
        if (partition->held) lp_source_resume(lane->source, slot);
        partition->held = false;
    }
    lane->held_count = 0;
    txn->taken = txn->cut_taken = 0;
    txn->due_ns = 0;
    txn->committing = txn->reset = txn->broken = false;
    if (lane->source != NULL) lp_source_rewind(lane->source);
}

static void on_event(struct lp_lane *lane, enum lp_txn_event event, const struct lp_error *reason)
{
    switch (event) {
    case LP_TXN_READY:
        lane->txn.ready = true;
        LP_LOG(LP_LOG_INFO, "transactions_ready", lp_kv_int("lane", lane->index));
        break;
    case LP_TXN_COMMITTED: on_committed(lane); break;
    case LP_TXN_ABORTED:
    case LP_TXN_FENCED:
        lane->txn.ready = true;
        if (event == LP_TXN_ABORTED) lane->stats.transactions_aborted++;
        else lane->stats.transactions_fenced++;
        LP_LOG(LP_LOG_WARN, event == LP_TXN_ABORTED ? "transaction_aborted" : "producer_made_anew",
               lp_kv_int("lane", lane->index), lp_kv("reason", reason->text),
               lp_kv_int("records", lane->txn.taken + lane->txn.cut_taken));
        if (!lane->txn.reset) close_intake(lane);
        break;
    case LP_TXN_FAILED: lp_lane_fail(lane, reason); break;
    default: break;
    }
}

static void say_what_is_awaited(struct lp_lane *lane)
{
    struct lp_lane_txn *txn = &lane->txn;
    struct lp_error err;
    uint64_t waited_ns = lp_clock_ns() - txn->start_ns;
    bool trouble = lp_sink_txn_trouble(lane->sink, &err);
    if (!txn->said && trouble && waited_ns > AWAITED_LOG_NS) {
        LP_LOG(LP_LOG_WARN, "waiting", lp_kv("for", "transaction coordinator"), lp_kv_int("lane", lane->index),
               lp_kv("reason", err.text));
        txn->said = true;
    }
    if (lane->shared->config->startup_timeout_ms == 0) return;
    if (waited_ns < (uint64_t)lane->shared->config->startup_timeout_ms * 1000000) return;
    if (!trouble) lp_fail(&err, LP_E_TIMEOUT, LP_FATAL, "no answer");
    (void)lp_error_wrap(&err,
                        "start: transaction coordinator not reached within %lld ms (are there brokers enough for "
                        "transaction.state.log.replication.factor and .min.isr?)",
                        (long long)lane->shared->config->startup_timeout_ms);
    lp_lane_fail(lane, &err);
}

/* What keeps the transactions back for seconds: after these, once a minute, and when it is over. */
static void report_trouble(struct lp_lane *lane)
{
    struct lp_lane_alarm *alarm = &lane->alarms[0];
    struct lp_error why;
    if (!lp_sink_txn_trouble(lane->sink, &why)) {
        if (alarm->on) LP_LOG(LP_LOG_INFO, "output_resumed", lp_kv_int("lane", lane->index));
        *alarm = (struct lp_lane_alarm){0};
        return;
    }
    if (alarm->due_ns == 0) alarm->due_ns = lane->now_ns + AWAITED_LOG_NS;
    if (lane->now_ns < alarm->due_ns) return;
    LP_LOG(LP_LOG_ERROR, "output_stalled", lp_kv_int("lane", lane->index), lp_kv("reason", why.text));
    alarm->on = true;
    alarm->due_ns = lane->now_ns + ALARM_NS;
}

void lp_lane_txn_serve(struct lp_lane *lane)
{
    struct lp_lane_txn *txn = &lane->txn;
    struct lp_error reason;
    on_event(lane, lp_sink_txn_poll(lane->sink, &reason), &reason);
    if (!lane->failed && lp_sink_txn_hung(lane->sink, &reason)) lp_lane_fail(lane, &reason);
    if (!txn->ready) {
        if (!lane->failed) say_what_is_awaited(lane);
        return;
    }
    report_trouble(lane);
    if (txn->broken || lp_sink_txn_broken(lane->sink)) lp_lane_txn_drop(lane);
    if (txn->reset && lp_sink_txn_open(lane->sink)) go_back(lane);
    if (lane->source == NULL || txn->reset || txn->committing || !lp_sink_txn_open(lane->sink)) return;
    if (txn->due_ns == 0 && lp_source_has_offsets(lane->source)) txn->due_ns = lane->now_ns + txn->period_ns;
    bool hurry = lp_slot_changed(lane->slot, lane->slot_version) || lp_lane_txn_at_limit(lane);
    if (txn->due_ns != 0 && (hurry || lane->now_ns >= txn->due_ns)) cut(lane);
}

int lp_lane_txn_sleep_ms(const struct lp_lane *lane, int timeout_ms)
{
    const struct lp_lane_txn *txn = &lane->txn;
    if (txn->committing || txn->reset || txn->due_ns == 0) return timeout_ms; /* the committer wakes us */
    int64_t left_ms = ((int64_t)txn->due_ns - (int64_t)lp_clock_ns() + 999999) / 1000000;
    /* What is sent waits for room in the client, or for its topic. */
    if (left_ms < WAIT_MS && !lp_sink_txn_open(lane->sink)) left_ms = WAIT_MS;
    return left_ms < 0 ? 0 : left_ms < timeout_ms ? (int)left_ms : timeout_ms;
}

bool lp_lane_txn_finish(struct lp_lane *lane, uint64_t deadline_ns)
{
    struct lp_lane_txn *txn = &lane->txn;
    struct lp_error err;
    uint64_t voids = txn->voids;
    if (!txn->ready || lane->source == NULL) return lp_lane_txn_settled(lane);
    for (;;) {
        lane->now_ns = lp_clock_ns();
        if (txn->taken > 0 || lp_source_has_offsets(lane->source)) txn->due_ns = lane->now_ns;
        lp_lane_txn_serve(lane);
        if (txn->reset || txn->broken || lp_sink_fatal(lane->sink, &err)) return false;
        if (lp_lane_txn_settled(lane)) return txn->voids == voids;
        if (lp_clock_ns() >= deadline_ns || lp_lane_drain_is_over(lane)) return false;
        lp_sink_txn_wait(lane->sink, WAIT_MS);
        lp_sink_poll(lane->sink, 0);
    }
}
