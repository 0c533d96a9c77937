/*
 * Where an assigned partition begins: at the offset that the group has committed, else as input.start says.
 *
 * librdkafka is always given a number, never "the beginning". It would ask the leader for it, and when a pause or a
 * seek comes before the answer, take the answer for outdated and ask again half a second later, whatever was sought
 * meanwhile: the partition begins anew in the middle of being read (2.0.2 and 2.12.1, rd_kafka_toppar_handle_Offset).
 *
 * A group that says "none" for a partition for which this process knows a committed offset is not believed: it is asked
 * again for seconds, then what this process knows is taken. Only a log that ends before it is another log.
 */
#include "core/clock.h"
#include "kafka/source_private.h"

#include <inttypes.h>
#include <string.h>

enum {
    ASK_AGAIN_TIMEOUT_MS = 500, /* between two polls */
    ASK_AGAIN_PERIOD_MS = 500,
    NO_OFFSET_PATIENCE_MS = 5000 /* for a group that denies an offset which it had */
};

uint32_t source_topic_index(const struct lp_source *source, const char *name)
{
    for (uint32_t i = 0; i < source->options.topic_count; i++)
        if (strcmp(source->topics[i].name, name) == 0) return i;
    return LP_SOURCE_NO_SLOT;
}

uint32_t source_slot_of_element(const struct lp_source *source, const rd_kafka_topic_partition_t *element)
{
    uint32_t topic_index = source_topic_index(source, element->topic);
    return topic_index == LP_SOURCE_NO_SLOT ? LP_SOURCE_NO_SLOT
                                            : source_slot_of(source, topic_index, element->partition);
}

/* --- the log's leader --- */

/* rd_kafka_query_watermark_offsets() waits up to socket.timeout.ms whatever it is told, and for one partition. */
bool source_ask_logs(struct lp_source *source, rd_kafka_topic_partition_list_t *list, int64_t which, int timeout_ms)
{
    if (list->cnt == 0) return true;
    if (timeout_ms <= 0) return false;
    for (int i = 0; i < list->cnt; i++) list->elems[i].offset = which;
    return rd_kafka_offsets_for_times(source->client, list, timeout_ms) == RD_KAFKA_RESP_ERR_NO_ERROR;
}

/* input.start=latest is about what stood in the topic when we first looked; a partition that came later is read whole.
 */
static bool came_later(const struct lp_source *source, const struct source_slot *slot)
{
    const struct source_topic *topic = &source->topics[slot->topic_index];
    return topic->first_count >= 0 && slot->partition >= topic->first_count;
}

static void look_at_topics(struct lp_source *source, uint64_t deadline_ns)
{
    for (uint32_t i = 0; i < source->options.topic_count; i++) {
        struct source_topic *topic = &source->topics[i];
        const struct rd_kafka_metadata *metadata = NULL;
        if (topic->first_count >= 0) continue;
        if (rd_kafka_metadata(source->client, 0, topic->handle, &metadata, lp_client_left_ms(deadline_ns)) !=
            RD_KAFKA_RESP_ERR_NO_ERROR)
            continue;
        if (metadata->topic_cnt == 1) topic->first_count = metadata->topics[0].partition_cnt;
        rd_kafka_metadata_destroy(metadata);
    }
}

/* --- the group's answer --- */

static void refuse_start(struct lp_source *source, const struct source_slot *slot)
{
    struct lp_error err;
    lp_fail_field(&err, LP_E_REFUSED, LP_FATAL, "input.start",
                  "topic %s, partition %" PRId32 ": group %s has no committed offset and input.start=fail: set it to "
                  "earliest or latest, or reset the group's offsets",
                  source->topics[slot->topic_index].name, slot->partition, source->options.group_id);
    source_set_fatal(source, &err);
}

static void start_at(struct source_slot *slot, int64_t next)
{
    slot->next = next;
    /* librdkafka has begun a partition at its second record (once in some hundred starts of a busy machine). */
    slot->exact = true;
    slot->in_doubt = slot->start_unknown = false;
    slot->no_offset_ns = 0;
    if (slot->begun) return;
    slot->begin = next;
    slot->begun = true;
}

/* Decide from what the group has committed (-1: nothing), or what else must be asked. */
static void take_answer(struct lp_source *source, struct source_slot *slot, int64_t committed)
{
    enum lp_input_start start = source->options.start;
    slot->ask = SOURCE_ASK_NOTHING;
    if (committed >= 0) {
        slot->known.committed = committed;
        start_at(slot, committed);
    } else if (slot->known.committed >= 0) {
        slot->ask = SOURCE_ASK_WHETHER_SHORTER;
    } else if (slot->begun) {
        start_at(slot, slot->begin);
        if (start == LP_START_LATEST && slot->begin > slot->stored) {
            slot->stored = slot->begin; /* a transaction was aborted with it */
            source->dirty = true;
        }
    } else if (start == LP_START_LATEST && !came_later(source, slot)) {
        if (source->topics[slot->topic_index].first_count >= 0) slot->ask = SOURCE_ASK_END;
    } else {
        if (start == LP_START_FAIL) refuse_start(source, slot);
        slot->ask = SOURCE_ASK_BEGIN;
    }
}

/* The group denies an offset that it had; the log reaches up to `end`. */
static void disbelieve(struct lp_source *source, struct source_slot *slot, int64_t end)
{
    const char *topic = source->topics[slot->topic_index].name;
    uint64_t now_ns = lp_clock_ns();
    if (end < slot->known.committed) { /* made anew: nothing that we know of it counts */
        source->state.offset_resets++;
        source_event(source, LP_SOURCE_REWOUND,
                     "topic %s, partition %" PRId32 ": group %s has no offset where it had %" PRId64
                     ", and the log ends at %" PRId64 " (topic made anew): consumed from its beginning",
                     topic, slot->partition, source->options.group_id, slot->known.committed, end);
        slot->known = (struct source_known){.committed = -1, .seen = -1};
        slot->begun = false;
        source->topics[slot->topic_index].first_count = 0; /* for input.start=latest: all of it came later */
        return;
    }
    if (slot->no_offset_ns == 0) slot->no_offset_ns = now_ns;
    if (now_ns - slot->no_offset_ns < NO_OFFSET_PATIENCE_MS * UINT64_C(1000000)) return;
    source->state.alarms++;
    source_event(source, LP_SOURCE_ALARM,
                 "topic %s, partition %" PRId32 ": group %s says that it has no offset, and it had %" PRId64
                 ": consumed from there on",
                 topic, slot->partition, source->options.group_id, slot->known.committed);
    start_at(slot, slot->known.committed);
    source_verify(slot);
}

/* What the leader says of the slots that `ask` this. */
static void ask_logs(struct lp_source *source, const rd_kafka_topic_partition_list_t *list, enum source_ask ask,
                     uint64_t deadline_ns)
{
    rd_kafka_topic_partition_list_t *asked = rd_kafka_topic_partition_list_new(list->cnt);
    if (asked == NULL) return;
    for (int i = 0; i < list->cnt; i++) {
        uint32_t index = source_slot_of_element(source, &list->elems[i]);
        if (index != LP_SOURCE_NO_SLOT && source->slots[index].ask == ask)
            rd_kafka_topic_partition_list_add(asked, list->elems[i].topic, list->elems[i].partition);
    }
    bool answered =
        source_ask_logs(source, asked, ask == SOURCE_ASK_BEGIN ? RD_KAFKA_OFFSET_BEGINNING : RD_KAFKA_OFFSET_END,
                        lp_client_left_ms(deadline_ns));
    for (int i = 0; answered && i < asked->cnt; i++) {
        struct source_slot *slot = &source->slots[source_slot_of_element(source, &asked->elems[i])];
        int64_t offset = asked->elems[i].offset;
        if (asked->elems[i].err != RD_KAFKA_RESP_ERR_NO_ERROR || offset < 0) continue;
        if (ask == SOURCE_ASK_WHETHER_SHORTER) {
            disbelieve(source, slot, offset);
            continue;
        }
        start_at(slot, offset);
        if (ask != SOURCE_ASK_END) continue;
        slot->stored = offset; /* so that the next owner begins there too and not at a later end */
        source->dirty = true;
    }
    rd_kafka_topic_partition_list_destroy(asked);
}

void source_find_starts(struct lp_source *source, const rd_kafka_topic_partition_list_t *list, int timeout_ms)
{
    uint64_t deadline_ns = lp_clock_ns() + (uint64_t)timeout_ms * 1000000u;
    for (int i = 0; i < list->cnt; i++) {
        uint32_t index = source_slot_of_element(source, &list->elems[i]);
        if (index == LP_SOURCE_NO_SLOT) continue;
        source->slots[index].start_unknown = true;
        source->slots[index].ask = SOURCE_ASK_NOTHING;
        source->slots[index].next = -1;
        source->attention = true;
    }
    /* Between a transaction and its fate nothing is asked: the answer might be overtaken. */
    if (source->suspended || list->cnt == 0) return;
    rd_kafka_topic_partition_list_t *asked = rd_kafka_topic_partition_list_copy(list);
    bool answered = rd_kafka_committed(source->client, asked, timeout_ms) == RD_KAFKA_RESP_ERR_NO_ERROR;
    if (source->options.start == LP_START_LATEST) look_at_topics(source, deadline_ns);
    for (int i = 0; answered && i < asked->cnt; i++) {
        uint32_t index = source_slot_of_element(source, &asked->elems[i]);
        if (index == LP_SOURCE_NO_SLOT || asked->elems[i].err != RD_KAFKA_RESP_ERR_NO_ERROR) continue;
        take_answer(source, &source->slots[index], asked->elems[i].offset >= 0 ? asked->elems[i].offset : -1);
    }
    rd_kafka_topic_partition_list_destroy(asked);
    ask_logs(source, list, SOURCE_ASK_BEGIN, deadline_ns);
    ask_logs(source, list, SOURCE_ASK_END, deadline_ns);
    ask_logs(source, list, SOURCE_ASK_WHETHER_SHORTER, deadline_ns);
}

void source_serve_starts(struct lp_source *source)
{
    uint64_t now_ns = lp_clock_ns();
    if (source->suspended || now_ns < source->retry_due_ns) return;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(4);
    if (list == NULL) return;
    for (uint32_t i = 0; i < source->options.partitions_max; i++)
        if (source->slots[i].used && source->slots[i].start_unknown)
            rd_kafka_topic_partition_list_add(list, source->topics[source->slots[i].topic_index].name,
                                              source->slots[i].partition);
    if (list->cnt > 0) source_find_starts(source, list, ASK_AGAIN_TIMEOUT_MS);
    source->retry_due_ns = lp_clock_ns() + ASK_AGAIN_PERIOD_MS * UINT64_C(1000000);
    rd_kafka_topic_partition_list_destroy(list);
}
