/*
 * Is this still the log that we read?
 *
 * A record before the one that should come was fetched from a wrong place (left over from a rebalance or seek, or
 * librdkafka set the partition back, see source_start.c), or the log was made anew and librdkafka began it. To take one
 * for the other is to score a whole topic twice, or to pass over its beginning. The log's end does not tell: a topic
 * that was made anew may have outgrown our offset by the time its first record is here. So the last record that was
 * handed over is fetched again and compared; only where that cannot be, the end decides: a log that does not reach so
 * far is another one.
 */
#include "core/clock.h"
#include "kafka/source_private.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { ASK_MAX = 5, ASK_TIMEOUT_MS = 500, ASK_PERIOD_MS = 500 };

#define PRINT_FACTOR UINT64_C(0x9e3779b97f4a7c15)

/* The last bytes of a value differ most: keys and versions stand in front. */
static uint64_t mix_tail(uint64_t print, const void *data, size_t size)
{
    uint64_t tail = 0;
    size_t taken = size < sizeof tail ? size : sizeof tail;
    if (data == NULL) return (print ^ 1) * PRINT_FACTOR;
    memcpy(&tail, (const char *)data + size - taken, taken);
    print = (print ^ size) * PRINT_FACTOR;
    return ((print ^ (print >> 32)) ^ tail) * PRINT_FACTOR;
}

uint64_t source_print(const rd_kafka_message_t *message, int64_t timestamp_ms)
{
    uint64_t print = mix_tail((uint64_t)timestamp_ms, message->payload, message->len);
    return mix_tail(print ^ (print >> 32), message->key, message->key_len);
}

int64_t source_next_of(const struct source_slot *slot) { return slot->in_doubt ? slot->after : slot->next; }

void source_verify(struct source_slot *slot)
{
    if (slot->known.seen < 0) return;
    slot->after = source_next_of(slot);
    slot->next = -1;
    slot->in_doubt = true;
}

/* Fetch from the last record that was handed over, or from the one that should come if there was none. */
static void seek_witness(struct lp_source *source, struct source_slot *slot)
{
    int64_t after = source_next_of(slot);
    uint64_t pause_ns = slot->asked < ASK_MAX ? 0 : ASK_PERIOD_MS * UINT64_C(1000000);
    source_slot_hold(source, slot, after);
    source_verify(slot);
    slot->seek_due_ns = pause_ns == 0 ? 0 : lp_clock_ns() + pause_ns;
    slot->wanted = true;
    source->attention = true;
}

static void count_ask(struct source_slot *slot)
{
    if (slot->asked < ASK_MAX) slot->asked++;
    slot->ask_end = slot->asked >= ASK_MAX;
}

void source_doubt(struct lp_source *source, struct source_slot *slot, int64_t offset)
{
    source->state.stale_records++;
    slot->behind = offset;
    count_ask(slot);
    seek_witness(source, slot);
}

static void log_is_another(struct lp_source *source, struct source_slot *slot, int64_t end)
{
    char text[64] = "";
    if (end >= 0) snprintf(text, sizeof text, ", past the log's end, which is %" PRId64 " now", end);
    source->state.offset_resets++;
    source_event(source, LP_SOURCE_REWOUND,
                 "topic %s, partition %" PRId32 ": offset %" PRId64 " was next%s: the log is another one (topic made "
                 "anew, or an unclean election): consumed from %" PRId64 " on",
                 source->topics[slot->topic_index].name, slot->partition, source_next_of(slot), text, slot->behind);
    source_slot_hold(source, slot, slot->behind);
    slot->known = (struct source_known){.committed = -1, .seen = -1};
    slot->asked = 0;
    slot->ask_end = false;
    slot->rewound = true;
    source->attention = true;
}

/* The same log: on with what should have come. */
static void go_on(struct lp_source *source, struct source_slot *slot, int64_t offset)
{
    int64_t after = slot->after;
    slot->asked = 0;
    slot->ask_end = false;
    if (after == offset + 1) { /* it comes by itself */
        slot->in_doubt = false;
        slot->next = after;
        slot->exact = true;
        return;
    }
    source_slot_hold(source, slot, after);
    slot->wanted = true;
    source->attention = true;
}

void source_look_at(struct lp_source *source, struct source_slot *slot, const rd_kafka_message_t *message)
{
    rd_kafka_timestamp_type_t type;
    int64_t offset = message->offset, seen = slot->known.seen;
    if (offset < seen) {
        source_doubt(source, slot, offset);
    } else if (offset > seen) {
        source->state.stale_records++;
        count_ask(slot);
        /* Removed meanwhile, and nothing else speaks against this log; or fetched before the seek. */
        if (slot->asked >= ASK_MAX) go_on(source, slot, -1);
        else seek_witness(source, slot);
    } else if (source_print(message, rd_kafka_message_timestamp(message, &type)) == slot->known.print) {
        go_on(source, slot, offset);
    } else {
        if (slot->behind < 0) slot->behind = 0;
        log_is_another(source, slot, -1);
    }
}

void source_serve_doubt(struct lp_source *source, struct source_slot *slot)
{
    int64_t last = slot->known.seen >= 0 ? slot->known.seen : slot->next - 1;
    slot->ask_end = false;
    rd_kafka_topic_partition_list_t *list = source_list_one(source, slot, 0);
    if (list == NULL) return;
    if (source_ask_logs(source, list, RD_KAFKA_OFFSET_END, ASK_TIMEOUT_MS) &&
        list->elems[0].err == RD_KAFKA_RESP_ERR_NO_ERROR && list->elems[0].offset >= 0 && list->elems[0].offset <= last)
        log_is_another(source, slot, list->elems[0].offset);
    rd_kafka_topic_partition_list_destroy(list);
}
