#include "core/clock.h"
#include "kafka/source_private.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
    ASK_TIMEOUT_MS = 5000,      /* for the group's offsets, inside a rebalance */
    ASK_AGAIN_TIMEOUT_MS = 500, /* later, between two polls; and always where a dead member's transaction keeps the
                                   offsets from being known until its time-out */
    ASK_AGAIN_PERIOD_MS = 500,
    COMMIT_TIMEOUT_MS = 5000, /* before partitions are given up */
    COMMIT_TIMEOUT_MIN_MS = 500
};

static uint32_t topic_index_of(const struct lp_source *source, const char *name)
{
    for (uint32_t i = 0; i < source->options.topic_count; i++)
        if (strcmp(source->topics[i].name, name) == 0) return i;
    return LP_SOURCE_NO_SLOT;
}

static uint32_t slot_of_element(const struct lp_source *source, const rd_kafka_topic_partition_t *element)
{
    uint32_t topic_index = topic_index_of(source, element->topic);
    return topic_index == LP_SOURCE_NO_SLOT ? LP_SOURCE_NO_SLOT
                                            : source_slot_of(source, topic_index, element->partition);
}

/* --- where a partition starts --- */

/* input.start=latest is about what stood in the topic when we first looked; a partition that came later is read whole.
 */
static bool came_later(struct lp_source *source, const struct source_slot *slot)
{
    struct source_topic *topic = &source->topics[slot->topic_index];
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

static void refuse_start(struct lp_source *source, const struct source_slot *slot)
{
    struct lp_error err;
    lp_fail_field(&err, LP_E_REFUSED, LP_FATAL, "input.start",
                  "topic %s, partition %" PRId32 ": group %s has no committed offset and input.start=fail: set it to "
                  "earliest or latest, or reset the group's offsets",
                  source->topics[slot->topic_index].name, slot->partition, source->options.group_id);
    source_set_fatal(source, &err);
}

/*
 * Decide from what the group has committed (-1: nothing). With latest the end is asked for and stored, so that the next
 * owner begins there too and not at a later end. False: not known yet.
 */
static bool decide_start(struct lp_source *source, struct source_slot *slot, int64_t committed, uint64_t deadline_ns)
{
    int64_t low = -1, high = -1;
    slot->next = -1;
    if (committed >= 0 || slot->begun) {
        slot->next = committed >= 0 ? committed : slot->begin;
        if (committed < 0 && slot->begin > slot->stored) {
            slot->stored = slot->begin; /* a transaction was aborted with it */
            source->dirty = true;
        }
        return true;
    }
    if (source->options.start == LP_START_FAIL) refuse_start(source, slot);
    if (source->options.start != LP_START_LATEST || came_later(source, slot)) return true;
    int timeout_ms = lp_client_left_ms(deadline_ns);
    if (source->topics[slot->topic_index].first_count < 0 || timeout_ms == 0 ||
        rd_kafka_query_watermark_offsets(source->client, source->topics[slot->topic_index].name, slot->partition, &low,
                                         &high, timeout_ms) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return false;
    slot->next = slot->stored = high;
    source->dirty = true;
    return true;
}

/* Between a transaction and its fate nothing is asked: the answer might be overtaken. */
static void know_no_starts(struct lp_source *source, const rd_kafka_topic_partition_list_t *list)
{
    for (int i = 0; i < list->cnt; i++) {
        uint32_t index = slot_of_element(source, &list->elems[i]);
        if (index != LP_SOURCE_NO_SLOT) source->slots[index].start_unknown = true;
    }
    source->attention = true;
}

/* Ask for the offsets of all of `list`; afterwards each slot has a start or is start_unknown. */
static void find_starts(struct lp_source *source, const rd_kafka_topic_partition_list_t *list, int timeout_ms)
{
    if (source->suspended) {
        know_no_starts(source, list);
        return;
    }
    uint64_t deadline_ns = lp_clock_ns() + (uint64_t)timeout_ms * 1000000u;
    rd_kafka_topic_partition_list_t *asked = rd_kafka_topic_partition_list_copy(list);
    rd_kafka_resp_err_t error =
        list->cnt > 0 ? rd_kafka_committed(source->client, asked, timeout_ms) : RD_KAFKA_RESP_ERR_NO_ERROR;
    if (source->options.start == LP_START_LATEST) look_at_topics(source, deadline_ns);
    for (int i = 0; i < asked->cnt; i++) {
        uint32_t index = slot_of_element(source, &asked->elems[i]);
        if (index == LP_SOURCE_NO_SLOT) continue;
        struct source_slot *slot = &source->slots[index];
        bool answered = error == RD_KAFKA_RESP_ERR_NO_ERROR && asked->elems[i].err == RD_KAFKA_RESP_ERR_NO_ERROR;
        int64_t committed = asked->elems[i].offset >= 0 ? asked->elems[i].offset : -1;
        slot->start_unknown = !answered || !decide_start(source, slot, committed, deadline_ns);
        if (slot->start_unknown) {
            source->attention = true;
        } else if (!slot->begun) {
            slot->begin = slot->next;
            slot->begun = true;
        }
    }
    rd_kafka_topic_partition_list_destroy(asked);
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
    if (list->cnt > 0) find_starts(source, list, ASK_AGAIN_TIMEOUT_MS);
    source->retry_due_ns = lp_clock_ns() + ASK_AGAIN_PERIOD_MS * UINT64_C(1000000);
    rd_kafka_topic_partition_list_destroy(list);
}

/* --- assignment --- */

static bool is_cooperative(rd_kafka_t *client)
{
    const char *protocol = rd_kafka_rebalance_protocol(client);
    return protocol != NULL && strcmp(protocol, "COOPERATIVE") == 0;
}

/* Before the assignment, so that our forwarding wins over the group's own. */
static void forward_to_lane(struct lp_source *source, const rd_kafka_topic_partition_t *element)
{
    rd_kafka_queue_t *queue = rd_kafka_queue_get_partition(source->client, element->topic, element->partition);
    if (queue == NULL) return; /* its records come by the event queue */
    rd_kafka_queue_forward(queue, source->lane);
    rd_kafka_queue_destroy(queue);
}

static enum lp_code take_slots(struct lp_source *source, const rd_kafka_topic_partition_list_t *list,
                               struct lp_error *err)
{
    for (int i = 0; i < list->cnt; i++) {
        uint32_t slot, topic_index = topic_index_of(source, list->elems[i].topic);
        if (topic_index == LP_SOURCE_NO_SLOT)
            return lp_fail(err, LP_E_MISMATCH, LP_FATAL,
                           "the group assigned topic %s, which is not in input.topics: do all members of group %s have "
                           "the same topics?",
                           list->elems[i].topic, source->options.group_id);
        if (source_slot_of(source, topic_index, list->elems[i].partition) != LP_SOURCE_NO_SLOT) continue;
        LP_TRY(source_slot_take(source, topic_index, list->elems[i].partition, &slot, err));
    }
    return LP_OK;
}

static void call_assign(struct lp_source *source, rd_kafka_topic_partition_list_t *list)
{
    struct lp_error err;
    rd_kafka_error_t *error = NULL;
    if (is_cooperative(source->client)) {
        error = rd_kafka_incremental_assign(source->client, list);
    } else {
        rd_kafka_resp_err_t code = rd_kafka_assign(source->client, list);
        if (code != RD_KAFKA_RESP_ERR_NO_ERROR) error = rd_kafka_error_new(code, "%s", rd_kafka_err2str(code));
    }
    if (error == NULL) return;
    lp_fail(&err, LP_E_IO, LP_FATAL, "assignment of %d partitions: %s", list->cnt, rd_kafka_error_string(error));
    rd_kafka_error_destroy(error);
    source_set_fatal(source, &err);
}

/* The slots' starts into the list; what has none yet is assigned but held. */
static void start_list(struct lp_source *source, rd_kafka_topic_partition_list_t *list)
{
    for (int i = 0; i < list->cnt; i++) {
        uint32_t index = slot_of_element(source, &list->elems[i]);
        int64_t next = index != LP_SOURCE_NO_SLOT ? source->slots[index].next : -1;
        list->elems[i].offset = next >= 0 ? next : RD_KAFKA_OFFSET_BEGINNING;
        forward_to_lane(source, &list->elems[i]);
    }
}

static void announce(struct lp_source *source, const rd_kafka_topic_partition_list_t *list)
{
    for (int i = 0; i < list->cnt; i++) {
        uint32_t index = slot_of_element(source, &list->elems[i]);
        if (index == LP_SOURCE_NO_SLOT) continue;
        struct source_slot *slot = &source->slots[index];
        if (slot->start_unknown) {
            source_slot_hold(source, slot, slot->next);
            slot->wanted = true;
        }
        source->callbacks.assigned(source->callbacks.context, index, slot->topic_index, slot->partition);
    }
}

static void assign(struct lp_source *source, rd_kafka_topic_partition_list_t *list)
{
    struct lp_error err;
    source->state.joined = true;
    /* librdkafka takes an assignment during close for an unassignment. */
    if (!source->closing) {
        if (take_slots(source, list, &err) != LP_OK) source_set_fatal(source, &err);
        find_starts(source, list, source->options.transactional ? ASK_AGAIN_TIMEOUT_MS : ASK_TIMEOUT_MS);
        start_list(source, list);
    }
    call_assign(source, list);
    if (!source->closing) announce(source, list);
}

/* --- revocation --- */

static void count_commit(struct lp_source *source, rd_kafka_resp_err_t code)
{
    if (code == RD_KAFKA_RESP_ERR__NO_OFFSET) return; /* nothing was stored since the last one */
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
        source->state.commits++;
        return;
    }
    struct lp_error err;
    char what[LP_ERROR_TEXT_BYTES / 2];
    snprintf(what, sizeof what, "group %s: commit", source->options.group_id);
    lp_client_fail_on(&err, code, LP_SIDE_COMMIT, what);
    source->state.commit_failures++;
    if (err.action == LP_PAUSE) source->state.alarms++;
    if (err.action == LP_FATAL && !source->closing) source_set_fatal(source, &err);
    source_event(source, err.action == LP_PAUSE ? LP_SOURCE_ALARM : LP_SOURCE_COMMIT_FAILED, "%s", err.text);
}

void source_on_commit(rd_kafka_t *client, rd_kafka_resp_err_t code, rd_kafka_topic_partition_list_t *list, void *opaque)
{
    (void)client;
    (void)list;
    count_commit(opaque, code);
}

static int commit_timeout_ms(const struct lp_source *source)
{
    if (!source->closing) return COMMIT_TIMEOUT_MS;
    int left_ms = lp_client_left_ms(source->close_deadline_ns);
    if (left_ms < COMMIT_TIMEOUT_MIN_MS) return COMMIT_TIMEOUT_MIN_MS;
    return left_ms < COMMIT_TIMEOUT_MS ? left_ms : COMMIT_TIMEOUT_MS;
}

/* rd_kafka_commit() may wait for the coordinator without end: wait on a queue of our own instead. */
static void commit_now(struct lp_source *source, const uint32_t *slots, uint32_t count)
{
    rd_kafka_topic_partition_list_t *list = source_list_stored(source, slots, count);
    if (list == NULL) return;
    rd_kafka_queue_t *queue = rd_kafka_queue_new(source->client);
    if (queue != NULL) {
        rd_kafka_resp_err_t code = rd_kafka_commit_queue(source->client, list, queue, NULL, NULL);
        if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
            rd_kafka_event_t *event = rd_kafka_queue_poll(queue, commit_timeout_ms(source));
            code = event != NULL ? rd_kafka_event_error(event) : RD_KAFKA_RESP_ERR__TIMED_OUT;
            if (event != NULL) rd_kafka_event_destroy(event);
        }
        count_commit(source, code);
        rd_kafka_queue_destroy(queue);
    }
    rd_kafka_topic_partition_list_destroy(list);
}

static void call_unassign(struct lp_source *source, rd_kafka_topic_partition_list_t *list)
{
    if (is_cooperative(source->client)) {
        rd_kafka_error_t *error = rd_kafka_incremental_unassign(source->client, list);
        if (error == NULL) return;
        source->state.errors++;
        source_event(source, LP_SOURCE_ERROR, "unassign: %s", rd_kafka_error_string(error));
        rd_kafka_error_destroy(error);
        return;
    }
    rd_kafka_assign(source->client, NULL);
}

static void hand_back(struct lp_source *source, const uint32_t *slots, uint32_t count, bool lost)
{
    const struct lp_source_callbacks *callbacks = &source->callbacks;
    if (count == 0) return;
    callbacks->revoking(callbacks->context, slots, count, lost);
    if (!lost && !source->options.transactional) {
        /* Also to librdkafka: unassigning commits what it has, which must not be older. */
        source_give_stores(source);
        commit_now(source, slots, count);
    }
    callbacks->revoked(callbacks->context, slots, count);
}

static rd_kafka_topic_partition_list_t *list_held(const struct lp_source *source, const uint32_t *slots, uint32_t count)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    for (uint32_t i = 0; list != NULL && i < count; i++) {
        const struct source_slot *slot = &source->slots[slots[i]];
        if (slot->held)
            rd_kafka_topic_partition_list_add(list, source->topics[slot->topic_index].name, slot->partition);
    }
    return list;
}

static void revoke(struct lp_source *source, rd_kafka_topic_partition_list_t *list)
{
    bool lost = rd_kafka_assignment_lost(source->client) != 0;
    uint32_t count = 0;
    for (int i = 0; i < list->cnt; i++) {
        uint32_t index = slot_of_element(source, &list->elems[i]);
        if (index != LP_SOURCE_NO_SLOT) source->scratch[count++] = index;
    }
    if (lost) {
        source->state.lost_assignments++;
        source_event(source, LP_SOURCE_LOST, "group %s: %d partitions lost to other members", source->options.group_id,
                     list->cnt);
    }
    hand_back(source, source->scratch, count, lost);
    rd_kafka_topic_partition_list_t *paused = list_held(source, source->scratch, count);
    for (uint32_t i = 0; i < count; i++) source_slot_release(source, source->scratch[i]);
    call_unassign(source, list);
    /* A pause outlives the assignment. */
    if (paused != NULL) {
        if (paused->cnt > 0) rd_kafka_resume_partitions(source->client, paused);
        rd_kafka_topic_partition_list_destroy(paused);
    }
}

void source_drop_slots(struct lp_source *source)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < source->options.partitions_max; i++)
        if (source->slots[i].used) source->scratch[count++] = i;
    hand_back(source, source->scratch, count, true);
    for (uint32_t i = 0; i < count; i++) source_slot_release(source, source->scratch[i]);
}

void source_on_rebalance(rd_kafka_t *client, rd_kafka_resp_err_t code, rd_kafka_topic_partition_list_t *list,
                         void *opaque)
{
    struct lp_source *source = opaque;
    source->state.rebalances++;
    if (code == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
        assign(source, list);
        return;
    }
    if (code != RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS) {
        source->state.errors++;
        source_event(source, LP_SOURCE_ERROR, "rebalance: %s", rd_kafka_err2str(code));
        rd_kafka_assign(client, NULL);
        return;
    }
    revoke(source, list);
}
