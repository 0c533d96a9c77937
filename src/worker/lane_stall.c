/*
 * Outputs that the brokers do not take. For now: the partitions they came from wait, with an alarm, and the others go
 * on. For good (too large, invalid): the input record is fetched again for the dead letters; what came after it is in
 * the ledger already and is passed over.
 */
#include "worker/lane_private.h"

#include "core/clock.h"
#include "core/log.h"

#include <stdio.h>
#include <string.h>

static const uint64_t ALARM_NS = 60 * UINT64_C(1000000000), LATE_NS = 5 * UINT64_C(1000000000),
                      LATE_LOOK_NS = 500 * UINT64_C(1000000);

static const char *topic_name(const struct lp_lane *lane, const struct lp_sink_topic *topic)
{
    return topic == lane->dead_letter ? lane->shared->config->dead_letter_topic : lane->shared->config->output_topic;
}

/* --- for now --- */

static void stall(struct lp_lane *lane, struct lp_lane_partition *partition, const struct lp_sink_topic *topic)
{
    if (partition->stalled) return;
    partition->stalled = true;
    partition->stalled_by = topic;
    lane->stalled_count++;
}

static void on_kept(void *context, const struct lp_sink_topic *topic, uint64_t ticket, const struct lp_error *why)
{
    struct lp_lane *lane = context;
    uint32_t slot;
    int64_t offset;
    bool stop = topic == lane->dead_letter && why->action == LP_PAUSE &&
                lane->shared->config->dead_letter_on_error == LP_CONFIG_ON_ERROR_STOP;
    if (stop) {
        struct lp_error failure = *why;
        (void)lp_error_wrap(&failure, "dead letters (dead_letter.on_error=stop)");
        lp_lane_fail(lane, &failure);
    }
    if (!lp_ledger_find(lane->ledger, ticket, &slot, &offset)) return;
    stall(lane, &lane->partitions[slot], topic);
}

static bool is_live(void *context, uint64_t ticket)
{
    struct lp_lane *lane = context;
    uint32_t slot;
    int64_t offset;
    return lp_ledger_find(lane->ledger, ticket, &slot, &offset);
}

/* The alarm: at once, once a minute, and when it is over. */
static void report_topic(struct lp_lane *lane, const struct lp_sink_topic *topic, struct lp_lane_alarm *alarm)
{
    struct lp_error why;
    uint64_t since_ns;
    bool stalled = lp_sink_stalled(lane->sink, topic, &why, &since_ns);
    if (stalled && lane->now_ns >= alarm->due_ns) {
        LP_LOG(LP_LOG_ERROR, "output_stalled", lp_kv_int("lane", lane->index), lp_kv("topic", topic_name(lane, topic)),
               lp_kv("reason", why.text), lp_kv_int("partitions_waiting", lane->stalled_count),
               lp_kv_int("seconds", (int64_t)((lane->now_ns - since_ns) / 1000000000u)));
        alarm->due_ns = lane->now_ns + ALARM_NS;
    }
    if (!stalled && alarm->on)
        LP_LOG(LP_LOG_INFO, "output_resumed", lp_kv_int("lane", lane->index), lp_kv("topic", topic_name(lane, topic)));
    if (!stalled) alarm->due_ns = 0;
    alarm->on = stalled;
}

static void release(struct lp_lane *lane, struct lp_lane_partition *partition)
{
    if (partition->stalled) lane->stalled_count--;
    partition->stalled = false;
    partition->stalled_by = NULL;
}

static bool is_late(const struct lp_lane *lane, const struct lp_lane_partition *partition)
{
    return lane->now_ns - partition->waits_since_ns >= LATE_NS;
}

/* What no broker answers to is never reported, since messages have no time-out: a partition that does not advance. */
static void find_late(struct lp_lane *lane)
{
    struct lp_lane_alarm *alarm = &lane->alarms[2];
    uint32_t late_count = 0;
    if (lane->now_ns < lane->next_late_look_ns) return;
    lane->next_late_look_ns = lane->now_ns + LATE_LOOK_NS;
    for (uint32_t slot = 0; slot < lane->partition_limit; slot++) {
        struct lp_lane_partition *partition = &lane->partitions[slot];
        bool waits = partition->owned && lp_ledger_slot_in_flight(lane->ledger, slot) > 0;
        if (!waits || partition->next_offset != partition->waits_at || partition->waits_since_ns == 0) {
            partition->waits_at = partition->next_offset;
            partition->waits_since_ns = lane->now_ns;
        } else if (is_late(lane, partition)) {
            stall(lane, partition, NULL);
            late_count += partition->stalled_by == NULL;
        }
    }
    if (late_count > 0 && lane->now_ns >= alarm->due_ns) {
        LP_LOG(LP_LOG_ERROR, "output_stalled", lp_kv_int("lane", lane->index),
               lp_kv("reason", "no acknowledgement for seconds: are the leaders of the output and dead-letter topics' "
                               "partitions there?"),
               lp_kv_int("partitions_waiting", late_count));
        alarm->due_ns = lane->now_ns + ALARM_NS;
    }
    if (late_count == 0 && alarm->on) LP_LOG(LP_LOG_INFO, "output_resumed", lp_kv_int("lane", lane->index));
    if (late_count == 0) alarm->due_ns = 0;
    alarm->on = late_count > 0;
}

void lp_lane_serve_stalls(struct lp_lane *lane)
{
    struct lp_error why;
    uint64_t since_ns;
    find_late(lane);
    report_topic(lane, lane->output, &lane->alarms[0]);
    if (lane->dead_letter != NULL) report_topic(lane, lane->dead_letter, &lane->alarms[1]);
    for (uint32_t slot = 0; lane->stalled_count > 0 && slot < lane->partition_limit; slot++) {
        struct lp_lane_partition *partition = &lane->partitions[slot];
        if (!partition->stalled) continue;
        bool over = partition->stalled_by == NULL
                        ? !is_late(lane, partition)
                        : !lp_sink_stalled(lane->sink, partition->stalled_by, &why, &since_ns);
        if (over || lp_ledger_slot_in_flight(lane->ledger, slot) == 0) release(lane, partition);
    }
}

/* --- for good --- */

static void copy_own(void *context, const char *name, struct lp_span value)
{
    if (strncmp(name, "__connect.errors.", 17) == 0 || strncmp(name, "lepton.", 7) == 0)
        (void)lp_headers_add(context, name, value);
}

bool lp_lane_shrink_letter(struct lp_sink_message *letter)
{
    char text[24];
    if (letter->value.data != NULL) {
        /* The bytes are in the input topic still. */
        snprintf(text, sizeof text, "%zu", letter->value.size);
        if (letter->headers != NULL)
            (void)lp_headers_add(letter->headers, "lepton.error.value_bytes", lp_span_text(text));
        letter->value = (struct lp_span){0};
        return true;
    }
    if (letter->key.data == NULL) return false;
    letter->key = (struct lp_span){0};
    struct lp_headers *own = letter->headers != NULL ? lp_headers_new(16) : NULL;
    if (own != NULL) lp_headers_each(letter->headers, copy_own, own);
    lp_headers_free(letter->headers);
    letter->headers = own;
    return true;
}

/* Another letter instead of the one that the brokers refused. */
static void send_smaller(struct lp_lane *lane, const struct lp_sink_message *letter, const struct lp_error *why)
{
    struct lp_sink_message smaller = *letter;
    struct lp_error err = *why;
    smaller.headers = letter->headers != NULL ? lp_headers_copy(letter->headers) : NULL;
    while (err.action == LP_SKIP_RECORD && lp_lane_shrink_letter(&smaller))
        if (lp_sink_send(lane->sink, &smaller, &err) == LP_OK) return;
    lp_headers_free(smaller.headers);
    lp_lane_fail(lane, &err);
}

/* The letter of a record that does not come again. */
static void reject_without_value(struct lp_lane *lane, uint32_t slot, int64_t offset, lp_ledger_ticket ticket,
                                 const struct lp_error *why)
{
    struct lp_source_record record = {.slot = slot,
                                      .topic_index = lane->partitions[slot].topic_index,
                                      .partition = lane->partitions[slot].partition,
                                      .offset = offset,
                                      .timestamp_ms = -1};
    lp_lane_reject(lane, &record, NULL, ticket, LP_STAGE_PUBLISH, why);
}

static void on_refused(void *context, const struct lp_sink_message *message, const struct lp_error *why)
{
    struct lp_lane *lane = context;
    uint32_t slot;
    int64_t offset;
    lane->stats.delivery_errors++;
    if (!lp_ledger_find(lane->ledger, message->ticket, &slot, &offset)) {
        lane->stats.stale_reports++;
        return;
    }
    if (message->topic == lane->dead_letter) {
        send_smaller(lane, message, why);
        return;
    }
    if (lane->recall_count == LP_LANE_RECALLS_MAX) {
        reject_without_value(lane, slot, offset, message->ticket, why);
        return;
    }
    lane->recalls[lane->recall_count++] =
        (struct lp_lane_recall){.slot = slot, .offset = offset, .ticket = message->ticket, .error = *why};
}

const struct lp_sink_patience lp_lane_patience = {.kept = on_kept, .refused = on_refused, .live = is_live};

static void forget(struct lp_lane *lane, uint32_t index) { lane->recalls[index] = lane->recalls[--lane->recall_count]; }

/* Once more from the lowest of the slot's refused offsets. */
static void ask_again(struct lp_lane *lane, uint32_t slot)
{
    struct lp_lane_partition *partition = &lane->partitions[slot];
    int64_t lowest = INT64_MAX;
    for (uint32_t i = 0; i < lane->recall_count; i++) {
        if (lane->recalls[i].slot != slot) continue;
        lane->recalls[i].asked = true;
        if (lane->recalls[i].offset < lowest) lowest = lane->recalls[i].offset;
    }
    int64_t position = lp_source_again(lane->source, slot, lowest);
    if (partition->replay_until == 0) lane->replay_count++;
    if (position > partition->replay_until) partition->replay_until = position;
}

void lp_lane_serve_recalls(struct lp_lane *lane)
{
    for (uint32_t i = lane->recall_count; i-- > 0;) {
        struct lp_lane_recall recall = lane->recalls[i];
        if (!recall.asked) {
            ask_again(lane, recall.slot);
        } else if (lp_source_position(lane->source, recall.slot) > recall.offset) {
            forget(lane, i); /* passed over: retention has taken it */
            reject_without_value(lane, recall.slot, recall.offset, recall.ticket, &recall.error);
        }
    }
}

void lp_lane_settle_recalls(struct lp_lane *lane)
{
    while (lane->recall_count > 0 && !lane->failed) {
        struct lp_lane_recall recall = lane->recalls[lane->recall_count - 1];
        forget(lane, lane->recall_count - 1);
        reject_without_value(lane, recall.slot, recall.offset, recall.ticket, &recall.error);
    }
}

void lp_lane_forget_recalls(struct lp_lane *lane, uint32_t slot)
{
    struct lp_lane_partition *partition = &lane->partitions[slot];
    for (uint32_t i = lane->recall_count; i-- > 0;)
        if (lane->recalls[i].slot == slot) forget(lane, i);
    if (partition->replay_until > 0) lane->replay_count--;
    partition->replay_until = 0;
    release(lane, partition);
}

bool lp_lane_replayed(struct lp_lane *lane, const struct lp_source_record *record)
{
    struct lp_lane_partition *partition = &lane->partitions[record->slot];
    if (partition->replay_until == 0) return false;
    if (record->offset >= partition->replay_until) {
        partition->replay_until = 0;
        lane->replay_count--;
        return false;
    }
    for (uint32_t i = 0; i < lane->recall_count; i++) {
        if (lane->recalls[i].slot != record->slot || lane->recalls[i].offset != record->offset) continue;
        struct lp_lane_recall recall = lane->recalls[i];
        forget(lane, i);
        lp_lane_reject(lane, record, lp_headers_take(record->message), recall.ticket, LP_STAGE_PUBLISH, &recall.error);
        break;
    }
    return true;
}
