#include "core/clock.h"
#include "kafka/source_private.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PARTITION_MAX = 1 << 20, SEEK_TIMEOUT_MS = 2000, ASK_MAX = 5 };

/* --- slots --- */

uint32_t source_slot_of(const struct lp_source *source, uint32_t topic_index, int32_t partition)
{
    const struct source_topic *topic = &source->topics[topic_index];
    return partition >= 0 && partition < topic->capacity ? topic->slots[partition] : LP_SOURCE_NO_SLOT;
}

static enum lp_code grow(struct source_topic *topic, int32_t partition, struct lp_error *err)
{
    if (partition < topic->capacity) return LP_OK;
    int32_t capacity = topic->capacity > 0 ? topic->capacity : 16;
    while (capacity <= partition) capacity *= 2;
    uint32_t *slots = realloc(topic->slots, (size_t)capacity * sizeof *slots);
    if (slots == NULL) return lp_fail_memory(err, (size_t)capacity * sizeof *slots);
    topic->slots = slots;
    struct source_known *known = realloc(topic->known, (size_t)capacity * sizeof *known);
    if (known == NULL) return lp_fail_memory(err, (size_t)capacity * sizeof *known);
    topic->known = known;
    for (int32_t i = topic->capacity; i < capacity; i++) {
        slots[i] = LP_SOURCE_NO_SLOT;
        known[i] = (struct source_known){.committed = -1, .seen = -1};
    }
    topic->capacity = capacity;
    return LP_OK;
}

enum lp_code source_slot_take(struct lp_source *source, uint32_t topic_index, int32_t partition, uint32_t *ret_slot,
                              struct lp_error *err)
{
    struct source_topic *topic = &source->topics[topic_index];
    if (partition < 0 || partition >= PARTITION_MAX)
        return lp_fail(err, LP_E_LIMIT, LP_FATAL, "topic %s: partition %" PRId32 ": at most %d", topic->name, partition,
                       PARTITION_MAX);
    LP_TRY(grow(topic, partition, err));
    for (uint32_t i = 0; i < source->options.partitions_max; i++) {
        if (source->slots[i].used) continue;
        source->slots[i] = (struct source_slot){.known = topic->known[partition],
                                                .topic_index = topic_index,
                                                .partition = partition,
                                                .used = true,
                                                .next = -1,
                                                .stored = -1,
                                                .given = -1,
                                                .begin = -1,
                                                .behind = -1};
        topic->slots[partition] = i;
        source->last.handle = NULL;
        source->state.assigned_count++;
        *ret_slot = i;
        return LP_OK;
    }
    return lp_fail(err, LP_E_LIMIT, LP_FATAL,
                   "more than %u partitions assigned to one lane: run more lanes or replicas",
                   source->options.partitions_max);
}

void source_slot_release(struct lp_source *source, uint32_t slot_index)
{
    struct source_slot *slot = &source->slots[slot_index];
    source->topics[slot->topic_index].slots[slot->partition] = LP_SOURCE_NO_SLOT;
    source->topics[slot->topic_index].known[slot->partition] = slot->known;
    slot->used = false;
    source->last.handle = NULL;
    source->state.assigned_count--;
}

/* --- records --- */

void source_slot_hold(struct lp_source *source, struct source_slot *slot, int64_t next)
{
    rd_kafka_topic_partition_list_t *list = source_list_one(source, slot, next);
    slot->held = true;
    slot->in_doubt = false;
    slot->next = next;
    if (list == NULL) return; /* not paused: its records are dropped as they come */
    rd_kafka_pause_partitions(source->client, list);
    rd_kafka_topic_partition_list_destroy(list);
}

/* The log's bounds as of the last fetch; no request. */
static bool known_bounds(struct lp_source *source, const struct source_slot *slot, int64_t *ret_low, int64_t *ret_high)
{
    return rd_kafka_get_watermark_offsets(source->client, source->topics[slot->topic_index].name, slot->partition,
                                          ret_low, ret_high) == RD_KAFKA_RESP_ERR_NO_ERROR;
}

/*
 * Offsets have holes (compaction, transaction markers), which are no loss. It is one when the log begins after the
 * offset that should have come: retention was faster.
 */
static void note_gap(struct lp_source *source, struct source_slot *slot, int64_t offset)
{
    int64_t low = -1, high = -1;
    if (slot->gap_checked_poll == source->polls) return;
    slot->gap_checked_poll = source->polls;
    if (!known_bounds(source, slot, &low, &high) || low <= slot->next) return;
    int64_t gap = (low < offset ? low : offset) - slot->next;
    source->state.offset_resets++;
    source->state.offset_gap_records += (uint64_t)gap;
    source_event(source, LP_SOURCE_GAP,
                 "topic %s, partition %" PRId32 ": offset %" PRId64 " is gone, the log begins at %" PRId64 ": %" PRId64
                 " offsets skipped",
                 source->topics[slot->topic_index].name, slot->partition, slot->next, low, gap);
}

/* A record that is not the one expected. True: hand it over. */
static bool admit(struct lp_source *source, struct source_slot *slot, const rd_kafka_message_t *message)
{
    int64_t offset = message->offset;
    if (slot->held) {
        source->state.stale_records++; /* comes again after the seek */
        return false;
    }
    if (slot->in_doubt) {
        source_look_at(source, slot, message);
        return false;
    }
    if (offset < slot->next) {
        source_doubt(source, slot, offset);
        return false;
    }
    int64_t low = -1, high = -1, sought = slot->next;
    /* By retention: what is asked for does not come, but what the log begins with does. */
    if (known_bounds(source, slot, &low, &high) && low > sought) sought = low;
    if (slot->exact && slot->asked < ASK_MAX && offset > sought) {
        /* Either the record at `sought` was removed meanwhile, or this one was fetched before the seek, which
         * librdkafka before 2.4.0 may do more than once: ask again before a record is passed over. */
        source->state.stale_records++;
        slot->asked++;
        note_gap(source, slot, sought);
        source_slot_hold(source, slot, sought);
        slot->wanted = true;
        source->attention = true;
        return false;
    }
    note_gap(source, slot, offset);
    return true;
}

static void hand_over(struct lp_source *source, uint32_t slot_index, rd_kafka_message_t *message)
{
    struct source_slot *slot = &source->slots[slot_index];
    rd_kafka_timestamp_type_t type;
    struct lp_source_record record = {
        .slot = slot_index,
        .topic_index = slot->topic_index,
        .partition = message->partition,
        .offset = message->offset,
        .timestamp_ms = rd_kafka_message_timestamp(message, &type),
        .key = lp_span_of(message->key, message->key_len),
        .value = lp_span_of(message->payload, message->len),
        .message = message,
    };
    slot->exact = false;
    slot->asked = 0;
    enum lp_source_step step = source->callbacks.record(source->callbacks.context, &record);
    if (__builtin_expect(step == LP_SOURCE_HOLD, 0)) {
        source_slot_hold(source, slot, record.offset);
        return;
    }
    slot->next = record.offset + 1;
    slot->known.seen = record.offset;
    slot->known.print = source_print(message, record.timestamp_ms);
    if (step == LP_SOURCE_STOP) {
        source->stopped = true;
        rd_kafka_yield(source->client);
    }
}

static void on_failed(struct lp_source *source, const rd_kafka_message_t *message)
{
    char what[LP_ERROR_TEXT_BYTES / 2];
    if (message->rkt == NULL) snprintf(what, sizeof what, "consumer");
    else
        snprintf(what, sizeof what, "topic %s, partition %" PRId32, rd_kafka_topic_name(message->rkt),
                 message->partition);
    source_failed(source, message->err, what, rd_kafka_message_errstr(message));
}

/* The topic's struct travels as the handle's opaque. */
static uint32_t find_slot(struct lp_source *source, const rd_kafka_message_t *message)
{
    const struct source_topic *topic = rd_kafka_topic_opaque(message->rkt);
    if (__builtin_expect(topic == NULL, 0)) return LP_SOURCE_NO_SLOT;
    uint32_t slot = source_slot_of(source, (uint32_t)(topic - source->topics), message->partition);
    source->last.handle = slot != LP_SOURCE_NO_SLOT ? message->rkt : NULL;
    source->last.partition = message->partition;
    source->last.slot = slot;
    return slot;
}

static inline uint32_t slot_of_message(struct lp_source *source, const rd_kafka_message_t *message)
{
    bool same = message->rkt == source->last.handle && message->partition == source->last.partition;
    return same ? source->last.slot : find_slot(source, message);
}

void source_on_message(rd_kafka_message_t *message, void *opaque)
{
    struct lp_source *source = opaque;
    if (__builtin_expect(message->err != RD_KAFKA_RESP_ERR_NO_ERROR, 0)) {
        on_failed(source, message);
        return;
    }
    source->taken_bytes += message->len + message->key_len;
    uint32_t index = slot_of_message(source, message);
    if (__builtin_expect(index == LP_SOURCE_NO_SLOT, 0)) {
        source->state.stale_records++;
        return;
    }
    struct source_slot *slot = &source->slots[index];
    if (__builtin_expect(message->offset != slot->next || slot->held, 0) && !admit(source, slot, message)) return;
    if (__builtin_expect(!source->records, 0)) {
        /* It came by the event queue while no records are wanted: fetch it again when they are. */
        source_slot_hold(source, slot, message->offset);
        slot->wanted = true;
        source->attention = true;
        return;
    }
    hand_over(source, index, message);
}

/* --- back from held --- */

/* Versions before 2.1.0 take the time-out for microseconds. */
static int seek_timeout_ms(void) { return rd_kafka_version() < 0x02010000 ? SEEK_TIMEOUT_MS * 1000 : SEEK_TIMEOUT_MS; }

/* While the partition is paused, so that nothing is fetched from another place before the seek counts. */
static bool seek_and_resume(struct lp_source *source, struct source_slot *slot)
{
    rd_kafka_topic_partition_list_t *list =
        source_list_one(source, slot, slot->in_doubt ? slot->known.seen : slot->next);
    if (list == NULL) return false;
    rd_kafka_error_t *error = rd_kafka_seek_partitions(source->client, list, seek_timeout_ms());
    bool done = error == NULL && list->elems[0].err == RD_KAFKA_RESP_ERR_NO_ERROR;
    if (error != NULL) rd_kafka_error_destroy(error);
    if (done) rd_kafka_resume_partitions(source->client, list);
    rd_kafka_topic_partition_list_destroy(list);
    return done;
}

static void begin_anew(struct lp_source *source, uint32_t index)
{
    struct source_slot *slot = &source->slots[index];
    const struct lp_source_callbacks *callbacks = &source->callbacks;
    callbacks->revoking(callbacks->context, &index, 1, false);
    callbacks->revoked(callbacks->context, &index, 1);
    slot->stored = slot->given = -1;
    slot->begin = slot->next;
    slot->begun = true;
    slot->rewound = false;
    slot->wanted = true;
    callbacks->assigned(callbacks->context, index, slot->topic_index, slot->partition);
}

void source_serve_held(struct lp_source *source)
{
    uint64_t now_ns = lp_clock_ns();
    source->attention = false;
    for (uint32_t i = 0; i < source->options.partitions_max; i++) {
        struct source_slot *slot = &source->slots[i];
        if (!slot->used || !slot->held) continue;
        if (slot->ask_end && !source->suspended) source_serve_doubt(source, slot);
        if (slot->rewound) begin_anew(source, i);
        if (slot->start_unknown) source->attention = true;
        if (!slot->wanted || slot->start_unknown) continue;
        if (source->suspended || !source->records || now_ns < slot->seek_due_ns || !seek_and_resume(source, slot)) {
            source->attention = true; /* a partition that is just being started refuses to seek */
            continue;
        }
        slot->held = slot->wanted = false;
        slot->seek_due_ns = 0;
        slot->exact = true;
    }
}

void lp_source_resume(struct lp_source *source, uint32_t slot_index)
{
    if (slot_index >= source->options.partitions_max) return;
    struct source_slot *slot = &source->slots[slot_index];
    if (!slot->used || !slot->held) return;
    slot->wanted = true;
    source->attention = true;
}

int64_t lp_source_position(const struct lp_source *source, uint32_t slot_index)
{
    if (slot_index >= source->options.partitions_max || !source->slots[slot_index].used) return -1;
    return source_next_of(&source->slots[slot_index]);
}

int64_t lp_source_again(struct lp_source *source, uint32_t slot_index, int64_t offset)
{
    int64_t next = lp_source_position(source, slot_index);
    if (next <= offset) return next;
    struct source_slot *slot = &source->slots[slot_index];
    if (slot->rewound || slot->start_unknown) return next;
    source_slot_hold(source, slot, offset);
    slot->wanted = true;
    source->attention = true;
    return next;
}

/* --- stored offsets --- */

void lp_source_store(struct lp_source *source, uint32_t slot_index, int64_t next_offset)
{
    if (slot_index >= source->options.partitions_max) return;
    struct source_slot *slot = &source->slots[slot_index];
    if (!slot->used || slot->rewound || next_offset <= slot->stored) return;
    slot->stored = next_offset;
    source->dirty = true;
}

void source_note_committed(struct lp_source *source, const rd_kafka_topic_partition_list_t *list)
{
    for (int i = 0; i < list->cnt; i++) {
        const rd_kafka_topic_partition_t *element = &list->elems[i];
        uint32_t topic_index = source_topic_index(source, element->topic);
        if (topic_index == LP_SOURCE_NO_SLOT || element->err != RD_KAFKA_RESP_ERR_NO_ERROR || element->offset < 0)
            continue;
        uint32_t slot = source_slot_of(source, topic_index, element->partition);
        if (slot != LP_SOURCE_NO_SLOT) source->slots[slot].known.committed = element->offset;
        else if (element->partition >= 0 && element->partition < source->topics[topic_index].capacity)
            source->topics[topic_index].known[element->partition].committed = element->offset;
    }
}

rd_kafka_topic_partition_list_t *source_list_stored(struct lp_source *source, const uint32_t *slots, uint32_t count)
{
    rd_kafka_topic_partition_list_t *list = NULL;
    for (uint32_t i = 0; i < count; i++) {
        const struct source_slot *slot = &source->slots[slots[i]];
        if (slot->stored < 0) continue;
        if (list == NULL) list = rd_kafka_topic_partition_list_new((int)count);
        if (list == NULL) return NULL;
        rd_kafka_topic_partition_list_add(list, source->topics[slot->topic_index].name, slot->partition)->offset =
            slot->stored;
    }
    return list;
}

rd_kafka_topic_partition_list_t *source_list_new_stores(struct lp_source *source)
{
    rd_kafka_topic_partition_list_t *list = NULL;
    for (uint32_t i = 0; i < source->options.partitions_max; i++) {
        struct source_slot *slot = &source->slots[i];
        if (!slot->used || slot->stored <= slot->given) continue;
        if (list == NULL) list = rd_kafka_topic_partition_list_new(16);
        if (list == NULL) return NULL;
        rd_kafka_topic_partition_list_add(list, source->topics[slot->topic_index].name, slot->partition)->offset =
            slot->stored;
        slot->given = slot->stored;
    }
    source->dirty = false;
    return list;
}

void source_give_stores(struct lp_source *source)
{
    if (source->options.transactional) return; /* lp_source_take_offsets */
    rd_kafka_topic_partition_list_t *list = source_list_new_stores(source);
    if (list == NULL) return;
    /* A partition that is no longer ours answers ERR__STATE: its offset is the next owner's. */
    (void)rd_kafka_offsets_store(source->client, list);
    rd_kafka_topic_partition_list_destroy(list);
}
