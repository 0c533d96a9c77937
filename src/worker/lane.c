#include "worker/lane_private.h"

#include "core/clock.h"
#include "core/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    IDLE_POLL_MS = 100,       /* how long a lane without work sleeps in the consumer's queue */
    KEPT_POLL_MS = 5,         /* while outputs wait to be sent again */
    BACKPRESSURE_POLL_MS = 5, /* how long it waits for acknowledgements when nothing more may be in flight */
    SNAPSHOT_NS = 200 * 1000 * 1000,
    DRIFT_NS = 500 * 1000 * 1000,
    SILENT_NS = 2000 * 1000 * 1000, /* without a record for so long, a partition holds no drift window open */
};

/* --- life --- */

static void wake_lane(void *context) { lp_lane_wake(context); }

static enum lp_code new_sink(struct lp_lane *lane, struct lp_error *err)
{
    const struct lp_config *config = lane->shared->config;
    char client_id[320], transactional_id[800];
    snprintf(client_id, sizeof client_id, "lepton-%s-%u", lane->shared->replica, lane->index);
    /* The same after a restart, so that it fences what a dead process left open. The length tells group a-b, replica c
     * from group a, replica b-c; rights are granted by the prefix. */
    snprintf(transactional_id, sizeof transactional_id, "lepton-%s-%s-%u-%zu", config->group_id, lane->shared->replica,
             lane->index, strlen(config->group_id));
    struct lp_sink_options options = {
        .conf = &lane->shared->kafka,
        .client_id = client_id,
        .queue_max = (uint32_t)config->inflight_max_records + (uint32_t)config->batch_max_rows + 1024,
        .queue_max_bytes = lane->shared->producer_queue_bytes,
        .report = lp_lane_on_report,
        .context = lane,
        .patience = lane->txn.on ? NULL : &lp_lane_patience,
        .transactional_id = lane->txn.on ? transactional_id : NULL,
        .wake = wake_lane,
    };
    LP_TRY(lp_sink_new(&options, &lane->sink, err));
    LP_TRY(lp_sink_topic(lane->sink, config->output_topic, &lane->output, err));
    if (config->dead_letter_topic != NULL)
        LP_TRY(lp_sink_topic(lane->sink, config->dead_letter_topic, &lane->dead_letter, err));
    return LP_OK;
}

static enum lp_code init(struct lp_lane *lane, struct lp_error *err)
{
    const struct lp_config *config = lane->shared->config;
    lane->wait_ns = (uint64_t)config->batch_max_wait_us * 1000;
    lane->txn = (struct lp_lane_txn){.on = config->delivery == LP_CONFIG_EXACTLY_ONCE,
                                     .period_ns = (uint64_t)config->transaction_commit_ms * 1000000,
                                     .start_ns = lp_clock_ns(),
                                     .first_open = INT64_MIN,
                                     .cut_first_open = INT64_MIN};
    lp_buffer_init(&lane->out, (size_t)config->output_record_max_bytes);
    pthread_mutex_init(&lane->snapshot_mutex, NULL);
    lane->partitions = calloc(LP_LANE_PARTITIONS_MAX, sizeof *lane->partitions);
    lane->lags = calloc(LP_LANE_PARTITIONS_MAX, sizeof *lane->lags);
    if (lane->txn.on) lane->txn.refusals = calloc(LP_LANE_PARTITIONS_MAX, sizeof *lane->txn.refusals);
    if (lane->partitions == NULL || lane->lags == NULL || (lane->txn.on && lane->txn.refusals == NULL))
        return lp_fail_memory(err, LP_LANE_PARTITIONS_MAX * sizeof *lane->partitions);
    LP_TRY(lp_ledger_new((uint32_t)config->inflight_max_records, LP_LANE_PARTITIONS_MAX, &lane->ledger, err));
    return new_sink(lane, err);
}

enum lp_code lp_lane_new(const struct lp_shared *shared, struct lp_slot *slot, uint32_t index,
                         struct lp_lane **ret_lane, struct lp_error *err)
{
    struct lp_lane *lane = calloc(1, sizeof *lane);
    if (lane == NULL) return lp_fail_memory(err, sizeof *lane);
    lane->shared = shared;
    lane->slot = slot;
    lane->index = index;
    enum lp_code rc = init(lane, err);
    if (rc != LP_OK) {
        lp_lane_free(lane);
        return rc;
    }
    *ret_lane = lane;
    return LP_OK;
}

void lp_lane_free(struct lp_lane *lane)
{
    if (lane == NULL) return;
    lp_sink_free(lane->sink); /* first: its committer wakes the source */
    lp_source_free(lane->source);
    lp_ledger_free(lane->ledger);
    lp_buffer_done(&lane->out);
    free(lane->partitions);
    free(lane->lags);
    free(lane->feature_counts);
    free(lane->txn.refusals);
    pthread_mutex_destroy(&lane->snapshot_mutex);
    free(lane);
}

/* The consumer exists from the first model on: a lane that cannot score must not own partitions. */
static enum lp_code open_source(struct lp_lane *lane, struct lp_error *err)
{
    const struct lp_config *config = lane->shared->config;
    char client_id[320], instance_id[320];
    snprintf(client_id, sizeof client_id, "lepton-%s-%u", lane->shared->replica, lane->index);
    snprintf(instance_id, sizeof instance_id, "%s-%u",
             config->group_instance_id != NULL ? config->group_instance_id : "", lane->index);
    struct lp_source_options options = {
        .conf = &lane->shared->kafka,
        .topics = config->input_topics.items,
        .topic_count = config->input_topics.count,
        .group_id = config->group_id,
        .group_instance_id = config->group_instance_id != NULL ? instance_id : NULL,
        .client_id = client_id,
        .start = (enum lp_input_start)config->input_start,
        .partitions_max = LP_LANE_PARTITIONS_MAX,
        .transactional = lane->txn.on,
    };
    struct lp_source_callbacks callbacks = {.context = lane,
                                            .record = lp_lane_on_record,
                                            .assigned = lp_lane_on_assigned,
                                            .revoking = lp_lane_on_revoking,
                                            .revoked = lp_lane_on_revoked,
                                            .event = lp_lane_on_event};
    LP_TRY(lp_source_new(&options, &callbacks, &lane->source, err));
    atomic_store(&lane->wakeable, lane->source);
    return LP_OK;
}

/* --- model changes --- */

/* The slowest partition that still speaks: what no row can come before. INT64_MIN: none speaks, hold nobody back. */
int64_t lp_lane_watermark(const struct lp_lane *lane)
{
    int64_t lowest = INT64_MAX;
    for (uint32_t slot = 0; slot < lane->partition_limit; slot++) {
        const struct lp_lane_partition *partition = &lane->partitions[slot];
        bool silent = lane->now_ns - partition->last_record_ns > SILENT_NS;
        if (partition->owned && !silent && partition->event_time_ms < lowest) lowest = partition->event_time_ms;
    }
    return lowest != INT64_MAX ? lowest : INT64_MIN;
}

static void merge_drift(struct lp_lane *lane, int64_t watermark_ms, bool flush)
{
    struct lp_kit *kit = lane->kit;
    if (kit == NULL || kit->drift_share == NULL) return;
    if (lane->txn.on) lp_lane_txn_merge_drift(lane, watermark_ms, flush);
    else lp_drift_merge(kit->drift_share->drift, lane->index, kit->drift_lane, watermark_ms, flush);
    lane->stats.late_rows = lane->late_rows_before + lp_drift_lane_late(kit->drift_lane);
    if (flush) lane->late_rows_before = lane->stats.late_rows;
}

/* Between two batches: everything scored so far goes out with the old model, everything after with the new one. */
static void take_model(struct lp_lane *lane)
{
    uint64_t begin_ns = lp_clock_ns();
    lp_lane_flush_batch(lane);
    merge_drift(lane, lp_lane_watermark(lane), true);
    bool swapped, had = lane->kit != NULL;
    lane->slot_version = lp_slot_take(lane->slot, lane->index, &lane->kit, &swapped);
    if (!swapped) return;
    uint64_t taken_ns = lp_clock_ns() - begin_ns;
    lane->stats.generation = lane->kit != NULL ? lane->kit->generation : 0;
    lane->stats.serving = lane->kit != NULL;
    lane->rows_before = lane->stats.rows;
    /* The first call ties the kit's counters to the drift they merge into. */
    merge_drift(lane, INT64_MIN, false);
    if (had && lane->kit != NULL) {
        lane->stats.swaps++;
        lp_latency_add(&lane->stats.swap, taken_ns, 1);
    }
    LP_LOG(LP_LOG_INFO, lane->kit != NULL ? "model_taken" : "model_retired", lp_kv_int("lane", lane->index),
           lp_kv("version", lane->kit != NULL ? lane->kit->model->bundle->version : ""),
           lp_kv_int("generation", (int64_t)lane->stats.generation),
           lp_kv_double("microseconds", (double)taken_ns / 1e3));
}

/* --- snapshots --- */

static void snapshot_features(struct lp_lane *lane)
{
    uint32_t count = lane->kit != NULL ? lane->kit->model->bundle->feature_count : 0;
    if (count > lane->feature_counts_max) {
        struct lp_clean_counts *grown = realloc(lane->feature_counts, count * sizeof *grown);
        if (grown == NULL) return;
        lane->feature_counts = grown;
        lane->feature_counts_max = count;
    }
    if (count > 0) memcpy(lane->feature_counts, lane->kit->counts, count * sizeof *lane->feature_counts);
    lane->feature_count = count;
    lane->feature_generation = lane->stats.generation;
    lane->feature_rows = count > 0 ? lane->stats.rows - lane->rows_before + lane->kit->batch.row_count : 0;
}

static void snapshot_lags(struct lp_lane *lane)
{
    lane->lag_count = 0;
    for (uint32_t slot = 0; slot < lane->partition_limit; slot++) {
        const struct lp_lane_partition *partition = &lane->partitions[slot];
        if (!partition->owned) continue;
        lane->lags[lane->lag_count++] =
            (struct lp_lane_lag){.topic_index = partition->topic_index,
                                 .partition = partition->partition,
                                 .lag = lp_source_lag(lane->source, slot, partition->next_offset)};
    }
}

static void snapshot(struct lp_lane *lane)
{
    struct lp_lane_stats *stats = &lane->stats;
    stats->in_flight = lane->txn.on ? lane->txn.taken + lane->txn.cut_taken : lp_ledger_in_flight(lane->ledger);
    stats->transactions_awaited = lane->txn.on && !lane->txn.ready;
    stats->queued = lp_sink_queued(lane->sink);
    stats->held = lane->held_count;
    stats->stalled = lane->stalled_count;
    stats->last_loop_ns = lane->now_ns;
    if (lane->kit != NULL) stats->schema_id = lp_decoder_schema_id(lane->kit->decoder);
    if (lane->source != NULL) {
        struct lp_source_state state;
        lp_source_get_state(lane->source, &state);
        stats->joined = state.joined;
        stats->assigned = state.assigned_count;
        stats->rebalances = state.rebalances;
        stats->lost_assignments = state.lost_assignments;
        stats->offset_resets = state.offset_resets;
        stats->offset_gap_records = state.offset_gap_records;
        stats->stale_records = state.stale_records;
        stats->commits = state.commits;
        stats->commit_failures = state.commit_failures;
        stats->revoke_commits_failed = state.revoke_commits_failed;
        stats->alarms = state.alarms;
    }
    pthread_mutex_lock(&lane->snapshot_mutex);
    if (lane->source != NULL) snapshot_lags(lane);
    snapshot_features(lane);
    lane->snapshot = *stats;
    pthread_mutex_unlock(&lane->snapshot_mutex);
}

void lp_lane_snapshot(struct lp_lane *lane, struct lp_lane_stats *ret_stats, struct lp_lane_lag *lags, uint32_t lag_max,
                      uint32_t *ret_lag_count)
{
    pthread_mutex_lock(&lane->snapshot_mutex);
    *ret_stats = lane->snapshot;
    *ret_lag_count = lane->lag_count < lag_max ? lane->lag_count : lag_max;
    if (*ret_lag_count > 0) memcpy(lags, lane->lags, *ret_lag_count * sizeof *lags);
    pthread_mutex_unlock(&lane->snapshot_mutex);
}

uint32_t lp_lane_feature_counts(struct lp_lane *lane, uint64_t generation, struct lp_clean_counts *counts,
                                uint32_t feature_max, uint64_t *ret_rows)
{
    pthread_mutex_lock(&lane->snapshot_mutex);
    uint32_t count = lane->feature_generation == generation ? lane->feature_count : 0;
    *ret_rows = count > 0 ? lane->feature_rows : 0;
    if (count > feature_max) count = feature_max;
    if (count > 0) memcpy(counts, lane->feature_counts, count * sizeof *counts);
    pthread_mutex_unlock(&lane->snapshot_mutex);
    return count;
}

/* --- the loop --- */

static void housekeep(struct lp_lane *lane)
{
    /* A lane that has just joined says so at once, since readiness waits for it. */
    if (lane->now_ns >= lane->next_snapshot_ns || (lane->source != NULL && !lane->stats.joined)) {
        snapshot(lane);
        lane->next_snapshot_ns = lane->now_ns + SNAPSHOT_NS;
    }
    if (lane->now_ns >= lane->next_drift_ns) {
        merge_drift(lane, lp_lane_watermark(lane), false);
        lane->next_drift_ns = lane->now_ns + DRIFT_NS;
    }
}

static bool may_take(struct lp_lane *lane)
{
    if (lane->kit == NULL) return false;
    /* What comes again was taken before, and lets the rest advance: lp_lane_on_record takes nothing else meanwhile. */
    if (lane->replay_count > 0) return true;
    if (atomic_load_explicit(&lane->slot->paused, memory_order_relaxed)) return false;
    /* A new model waits until all that the old one scored is committed, so that no transaction mixes their drift. */
    if (lane->txn.on && (lane->txn.reset || lp_slot_changed(lane->slot, lane->slot_version))) return false;
    if (lp_lane_txn_at_limit(lane)) return false;
    return !lp_lane_full(lane);
}

/* One turn: group events and records in, the batch out when it is due or nothing more is there, offsets stored. */
static void turn(struct lp_lane *lane)
{
    struct lp_error err;
    if (lp_slot_changed(lane->slot, lane->slot_version) && (!lane->txn.on || lp_lane_txn_settled(lane)))
        take_model(lane);
    bool may_join = lane->kit != NULL && (!lane->txn.on || lane->txn.ready);
    if (may_join && lane->source == NULL && open_source(lane, &err) != LP_OK) {
        lp_lane_fail(lane, &err);
        return;
    }
    bool take = may_take(lane), batched = lane->kit != NULL && lane->kit->batch.row_count > 0;
    bool full = lane->kit != NULL && lp_lane_full(lane);
    uint64_t records_before = lane->stats.records;
    lane->began_full = full;
    if (full) {
        lane->stats.backpressure_loops++;
        lp_sink_poll(lane->sink, BACKPRESSURE_POLL_MS);
    }
    if (lane->source != NULL) {
        int idle_ms = lp_sink_keeps(lane->sink) ? KEPT_POLL_MS : IDLE_POLL_MS;
        int sleep_ms = batched || full ? 0 : lane->txn.on ? lp_lane_txn_sleep_ms(lane, IDLE_POLL_MS) : idle_ms;
        if (lp_source_poll(lane->source, sleep_ms, take, &err) != LP_OK) lp_lane_fail(lane, &err);
    } else {
        (void)lp_sink_poll(lane->sink, IDLE_POLL_MS);
    }
    lp_sink_poll(lane->sink, 0);
    lane->now_ns = lp_clock_ns();
    bool more = lane->stats.records != records_before;
    if (lane->kit != NULL && (!more || lp_batch_due(&lane->kit->batch, lane->now_ns))) lp_lane_flush_batch(lane);
    if (lane->txn.on) lp_lane_txn_serve(lane);
    if (lane->source != NULL) {
        if (!lane->txn.on) {
            lp_lane_store_offsets(lane);
            lp_lane_serve_stalls(lane);
            lp_lane_serve_recalls(lane);
        }
        lp_lane_serve_held(lane);
    }
    housekeep(lane);
    if (!lane->failed && lp_sink_fatal(lane->sink, &err)) lp_lane_fail(lane, &err);
}

static int left_ms(uint64_t deadline_ns, int least_ms)
{
    int64_t left = ((int64_t)deadline_ns - (int64_t)lp_clock_ns()) / 1000000;
    return left > least_ms ? (int)left : least_ms;
}

/* What the brokers refuse at the end does not come again: its dead letters go without values. */
static void settle(struct lp_lane *lane)
{
    struct lp_error ignored;
    for (int i = 0; i < 2; i++) {
        if (lp_sink_flush(lane->sink, left_ms(lane->drain_deadline_ns, 0), &ignored) == LP_OK && i > 0) return;
        lp_lane_settle_recalls(lane);
    }
}

/* All that was taken is acknowledged, or committed, by the drain's deadline. */
static void finish(struct lp_lane *lane)
{
    struct lp_error err;
    /* What was sent before a failure counts: without it a restart would send it all again. */
    bool dead = lp_sink_fatal(lane->sink, &err);
    if (lane->txn.on) {
        uint64_t void_before = lane->txn.void_records;
        if (!dead && !lp_lane_txn_finish(lane, lane->drain_deadline_ns)) {
            LP_LOG(LP_LOG_WARN, "drain_unfinished", lp_kv_int("lane", lane->index),
                   lp_kv_int("uncommitted",
                             (int64_t)(lane->txn.taken + lane->txn.cut_taken + lane->txn.void_records - void_before)));
            lp_lane_txn_drop(lane);
            lp_sink_txn_wait(lane->sink, left_ms(lane->drain_deadline_ns, 100));
        }
        lp_lane_txn_forget_drift(lane);
        merge_drift(lane, lp_lane_watermark(lane), true);
        return;
    }
    if (!dead) lp_lane_flush_batch(lane);
    merge_drift(lane, lp_lane_watermark(lane), true);
    if (!dead) settle(lane);
    if (!dead && lp_sink_flush(lane->sink, left_ms(lane->drain_deadline_ns, 0), &err) != LP_OK)
        LP_LOG(LP_LOG_WARN, "drain_unfinished", lp_kv_int("lane", lane->index), lp_kv("reason", err.text),
               lp_kv_int("unacknowledged", lp_ledger_in_flight(lane->ledger)));
    if (lane->source != NULL) lp_lane_store_offsets(lane);
}

/* Finish what is in flight, commit, leave the group. A lane that failed leaves as one that was stopped. */
static void drain(struct lp_lane *lane)
{
    struct lp_error err;
    atomic_store(&lane->stop, true);
    (void)lp_lane_drain_is_over(lane); /* the deadline is set at the latest now */
    finish(lane);
    if (lane->source != NULL) {
        uint64_t half_ns = (uint64_t)lane->shared->config->shutdown_timeout_ms * 1000000 / 2;
        if (lp_source_close(lane->source, left_ms(lane->drain_deadline_ns + half_ns, 100), &err) != LP_OK)
            LP_LOG(LP_LOG_WARN, "close_failed", lp_kv_int("lane", lane->index), lp_kv("reason", err.text));
    }
    lane->stats.stopped = true;
    lane->now_ns = lp_clock_ns();
    snapshot(lane);
    lp_slot_return(lane->slot, &lane->kit);
}

static void *lane_main(void *context)
{
    struct lp_lane *lane = context;
    char name[16];
    snprintf(name, sizeof name, "lane-%u", lane->index);
    pthread_setname_np(pthread_self(), name);
    lane->now_ns = lp_clock_ns();
    while (!lane->failed && !atomic_load_explicit(&lane->stop, memory_order_relaxed)) turn(lane);
    if (lane->failed)
        LP_LOG(LP_LOG_ERROR, "lane_failed", lp_kv_int("lane", lane->index), lp_kv("reason", lane->failure.text));
    drain(lane);
    return NULL;
}

enum lp_code lp_lane_start(struct lp_lane *lane, struct lp_error *err)
{
    int rc = pthread_create(&lane->thread, NULL, lane_main, lane);
    if (rc != 0) return lp_fail(err, LP_E_IO, LP_FATAL, "lane %u: thread: %s", lane->index, strerror(rc));
    lane->started = true;
    return LP_OK;
}

void lp_lane_stop(struct lp_lane *lane)
{
    atomic_store(&lane->stop, true);
    lp_lane_wake(lane);
}

void lp_lane_wake(struct lp_lane *lane)
{
    struct lp_source *source = atomic_load(&lane->wakeable);
    if (source != NULL) lp_source_wake(source);
}

enum lp_code lp_lane_check(struct lp_lane *lane, struct lp_error *err)
{
    if (!atomic_load(&lane->failing)) return LP_OK;
    *err = lane->failure;
    return err->code;
}

enum lp_code lp_lane_join(struct lp_lane *lane, struct lp_error *err)
{
    if (lane->started) pthread_join(lane->thread, NULL);
    lane->started = false;
    if (!lane->failed) return LP_OK;
    *err = lane->failure;
    return err->code;
}
