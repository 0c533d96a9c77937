#include "core/clock.h"
#include "kafka/source_private.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
    ASK_TIMEOUT_MS = 5000,       /* for the group's offsets, inside a rebalance */
    ASK_STABLE_TIMEOUT_MS = 500, /* where a dead member's transaction may keep them from being known for its time-out */
    COMMIT_TIMEOUT_MS = 5000,    /* before partitions are given up */
    COMMIT_TIMEOUT_MIN_MS = 500
};

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
        uint32_t slot, topic_index = source_topic_index(source, list->elems[i].topic);
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
        uint32_t index = source_slot_of_element(source, &list->elems[i]);
        struct source_slot *slot = index != LP_SOURCE_NO_SLOT ? &source->slots[index] : NULL;
        forward_to_lane(source, &list->elems[i]);
        list->elems[i].offset = 0;
        if (slot == NULL) continue;
        if (!slot->start_unknown) {
            list->elems[i].offset = slot->next;
            continue;
        }
        source_slot_hold(source, slot, -1); /* nothing is fetched before its start is known */
        slot->wanted = true;
    }
}

static void announce(struct lp_source *source, const rd_kafka_topic_partition_list_t *list)
{
    for (int i = 0; i < list->cnt; i++) {
        uint32_t index = source_slot_of_element(source, &list->elems[i]);
        if (index == LP_SOURCE_NO_SLOT) continue;
        source->callbacks.assigned(source->callbacks.context, index, source->slots[index].topic_index,
                                   source->slots[index].partition);
    }
}

static void assign(struct lp_source *source, rd_kafka_topic_partition_list_t *list)
{
    struct lp_error err;
    source->state.joined = true;
    /* librdkafka takes an assignment during close for an unassignment. */
    if (!source->closing) {
        if (take_slots(source, list, &err) != LP_OK) source_set_fatal(source, &err);
        source_find_starts(source, list, source->options.transactional ? ASK_STABLE_TIMEOUT_MS : ASK_TIMEOUT_MS);
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
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR && list != NULL) source_note_committed(opaque, list);
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
static rd_kafka_resp_err_t commit_now(struct lp_source *source, const uint32_t *slots, uint32_t count)
{
    rd_kafka_topic_partition_list_t *list = source_list_stored(source, slots, count);
    rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR__FAIL;
    if (list == NULL) return RD_KAFKA_RESP_ERR_NO_ERROR;
    rd_kafka_queue_t *queue = rd_kafka_queue_new(source->client);
    if (queue != NULL) {
        code = rd_kafka_commit_queue(source->client, list, queue, NULL, NULL);
        if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
            rd_kafka_event_t *event = rd_kafka_queue_poll(queue, commit_timeout_ms(source));
            code = event != NULL ? rd_kafka_event_error(event) : RD_KAFKA_RESP_ERR__TIMED_OUT;
            if (code == RD_KAFKA_RESP_ERR_NO_ERROR) source_note_committed(source, list);
            if (event != NULL) rd_kafka_event_destroy(event);
        }
        count_commit(source, code);
        rd_kafka_queue_destroy(queue);
    }
    rd_kafka_topic_partition_list_destroy(list);
    return code;
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
        rd_kafka_resp_err_t code = commit_now(source, slots, count);
        if (code != RD_KAFKA_RESP_ERR_NO_ERROR && code != RD_KAFKA_RESP_ERR__NO_OFFSET) {
            source->state.revoke_commits_failed++;
            source_event(
                source, LP_SOURCE_UNCOMMITTED,
                "group %s: the last commit of %u partitions failed: %s: what was done since the one before comes "
                "again to their next owner",
                source->options.group_id, count, rd_kafka_err2str(code));
        }
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
        uint32_t index = source_slot_of_element(source, &list->elems[i]);
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
