/* Partitions come and go: what is in flight is finished within a deadline, the rest comes again to its next owner. */
#include "worker/lane_private.h"

#include "core/clock.h"
#include "core/log.h"
#include "decode/registry.h"

enum { POLL_MS = 5 };

void lp_lane_on_assigned(void *context, uint32_t slot, uint32_t topic_index, int32_t partition)
{
    struct lp_lane *lane = context;
    lp_ledger_open(lane->ledger, slot);
    lane->partitions[slot] = (struct lp_lane_partition){.owned = true,
                                                        .topic_index = topic_index,
                                                        .partition = partition,
                                                        .next_offset = -1,
                                                        .event_time_ms = INT64_MIN,
                                                        .taken_offset = -1,
                                                        .cut_offset = -1,
                                                        .cut_event_time_ms = INT64_MIN,
                                                        .settled_event_time_ms = INT64_MIN};
    if (slot >= lane->partition_limit) lane->partition_limit = slot + 1;
    LP_LOG(LP_LOG_INFO, "partition_assigned", lp_kv_int("lane", lane->index),
           lp_kv("topic", lane->shared->config->input_topics.items[topic_index]), lp_kv_int("partition", partition));
}

void lp_lane_on_event(void *context, enum lp_source_event event, const char *text)
{
    static const char *const names[] = {"offset_gap",    "log_rewound",    "assignment_lost", "not_committed",
                                        "commit_failed", "consumer_error", "consumer_alarm"};
    const struct lp_lane *lane = context;
    LP_LOG(event == LP_SOURCE_ALARM ? LP_LOG_ERROR : LP_LOG_WARN, names[event], lp_kv_int("lane", lane->index),
           lp_kv("reason", text));
}

static uint32_t in_flight(const struct lp_lane *lane, const uint32_t *slots, uint32_t slot_count)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < slot_count; i++) count += lp_ledger_slot_in_flight(lane->ledger, slots[i]);
    return count;
}

/* exactly_once: the whole transaction, since it cannot be cut by partition. What is dropped here comes again to the
 * next owner, and to us. */
static uint32_t settle(struct lp_lane *lane, uint64_t deadline_ns, bool lost)
{
    struct lp_error err;
    uint64_t void_before = lane->txn.void_records;
    bool done = !lost && !lp_sink_fatal(lane->sink, &err) && lp_lane_txn_finish(lane, deadline_ns);
    uint64_t left = lane->txn.taken + lane->txn.cut_taken + lane->txn.void_records - void_before;
    if (!done) lp_lane_txn_drop(lane);
    return done ? 0 : (uint32_t)left;
}

static void log_revoked(const struct lp_lane *lane, uint32_t slot_count, bool lost, uint32_t left)
{
    LP_LOG(left > 0 ? LP_LOG_WARN : LP_LOG_INFO, "partitions_revoked", lp_kv_int("lane", lane->index),
           lp_kv_int("partitions", slot_count), lp_kv("lost", lost ? "true" : "false"),
           lp_kv_int("unacknowledged", left));
}

void lp_lane_on_revoking(void *context, const uint32_t *slots, uint32_t slot_count, bool lost)
{
    struct lp_lane *lane = context;
    struct lp_error err;
    uint64_t deadline_ns = lp_clock_ns() + (uint64_t)lane->shared->config->revoke_timeout_ms * 1000000;
    if (lane->txn.on) {
        uint32_t dropped = settle(lane, deadline_ns, lost);
        if (dropped > 0 && !lane->failed) lane->stats.revoke_deadlines_missed++;
        log_revoked(lane, slot_count, lost, dropped);
        return;
    }
    lp_lane_flush_batch(lane);
    /* A lost partition has a new owner already: waiting would not prevent the duplicates. */
    bool dead = lp_sink_fatal(lane->sink, &err);
    /* Nor does waiting for a topic that takes nothing: what is kept for it is dropped, and comes to the next owner. */
    while (!lost && !dead && in_flight(lane, slots, slot_count) > 0 &&
           lp_sink_moving(lane->sink) + lane->recall_count > 0 && lp_clock_ns() < deadline_ns &&
           !lp_lane_drain_is_over(lane)) {
        lp_lane_settle_recalls(lane);
        lp_sink_poll(lane->sink, POLL_MS);
    }
    uint32_t left = in_flight(lane, slots, slot_count);
    if (left > 0 && !lane->failed) lane->stats.revoke_deadlines_missed++;
    lp_lane_store_offsets(lane);
    log_revoked(lane, slot_count, lost, left);
}

void lp_lane_on_revoked(void *context, const uint32_t *slots, uint32_t slot_count)
{
    struct lp_lane *lane = context;
    for (uint32_t i = 0; i < slot_count; i++) {
        lp_ledger_close(lane->ledger, slots[i]);
        lp_lane_forget_recalls(lane, slots[i]);
        lp_lane_txn_forget_refusals(lane, slots[i]);
        if (lane->partitions[slots[i]].held) lane->held_count--;
        lane->partitions[slots[i]] = (struct lp_lane_partition){0};
    }
}

void lp_lane_store_offsets(struct lp_lane *lane)
{
    uint32_t slot;
    int64_t next_offset;
    while (lp_ledger_take_advanced(lane->ledger, &slot, &next_offset)) {
        lane->partitions[slot].next_offset = next_offset;
        lp_source_store(lane->source, slot, next_offset);
    }
}

/* Anything but "still under way" is an answer: the record is offered again and gets its fate. */
static bool still_waits(const struct lp_lane *lane, const struct lp_lane_partition *partition)
{
    const struct lp_avro_schema *schema;
    struct lp_error err;
    if (partition->stalled) return true;
    if (partition->held_schema_id == 0)
        return atomic_load_explicit(&lane->slot->paused, memory_order_relaxed) || lp_lane_full(lane);
    return lp_registry_get(lane->shared->registry, partition->held_schema_id, &schema, &err) == LP_E_PENDING;
}

void lp_lane_serve_held(struct lp_lane *lane)
{
    if (lane->held_count == 0) return;
    for (uint32_t slot = 0; slot < lane->partition_limit; slot++) {
        struct lp_lane_partition *partition = &lane->partitions[slot];
        if (!partition->held || lane->now_ns < partition->retry_ns) continue;
        if (still_waits(lane, partition)) {
            partition->retry_ns = lane->now_ns + LP_LANE_RETRY_NS;
            continue;
        }
        partition->held = false;
        lane->held_count--;
        lp_source_resume(lane->source, slot);
    }
}
