/* What exactly_once asks of the source: offsets for a transaction, and the way back after one was aborted. */
#include "kafka/source_private.h"

#include <stdlib.h>
#include <string.h>

bool lp_source_has_offsets(const struct lp_source *source) { return source->dirty; }

void lp_source_offsets_free(struct lp_source_offsets *offsets)
{
    if (offsets == NULL) return;
    if (offsets->list != NULL) rd_kafka_topic_partition_list_destroy(offsets->list);
    if (offsets->metadata != NULL) rd_kafka_consumer_group_metadata_destroy(offsets->metadata);
    free(offsets);
}

/*
 * Fresh metadata names the member and the generation, by which the coordinator refuses a commit of partitions that
 * others own by now. A member that was expelled has neither, and a commit without them is not refused: the loss is
 * flagged before they are forgotten, so it is looked at after they were copied.
 */
enum lp_code lp_source_take_offsets(struct lp_source *source, struct lp_source_offsets **ret_offsets,
                                    struct lp_error *err)
{
    enum lp_code rc = LP_OK;
    *ret_offsets = NULL;
    if (!source->dirty) return LP_OK;
    struct lp_source_offsets *offsets = calloc(1, sizeof *offsets);
    if (offsets == NULL) return lp_fail_memory(err, sizeof *offsets);
    offsets->metadata = rd_kafka_consumer_group_metadata(source->client);
    char *member_id = rd_kafka_memberid(source->client);
    bool member = member_id != NULL && member_id[0] != '\0';
    if (member_id != NULL) rd_kafka_mem_free(source->client, member_id);
    if (offsets->metadata == NULL || !member || rd_kafka_assignment_lost(source->client)) {
        rc = lp_fail(err, LP_E_REFUSED, LP_RETRY, "group %s: no member any more", source->options.group_id);
        goto out;
    }
    offsets->list = source_list_new_stores(source);
    if (offsets->list == NULL && source->dirty) rc = lp_fail_memory(err, sizeof *offsets->list);
    if (offsets->list == NULL) goto out;
    *ret_offsets = offsets;
    return LP_OK;
out:
    lp_source_offsets_free(offsets);
    return rc;
}

void lp_source_confirm(struct lp_source *source)
{
    for (uint32_t i = 0; i < source->options.partitions_max; i++)
        if (source->slots[i].used && source->slots[i].given >= 0)
            source->slots[i].known.committed = source->slots[i].given;
}

void lp_source_suspend(struct lp_source *source)
{
    source->suspended = true;
    for (uint32_t i = 0; i < source->options.partitions_max; i++) {
        struct source_slot *slot = &source->slots[i];
        if (!slot->used) continue;
        slot->stored = slot->given = -1;
        if (slot->rewound) continue; /* it begins anew anyway */
        if (!slot->held) source_slot_hold(source, slot, source_next_of(slot));
        slot->wanted = true;
        slot->start_unknown = true;
    }
    source->dirty = false;
    source->attention = true;
}

void lp_source_rewind(struct lp_source *source)
{
    source->suspended = false;
    source->attention = true;
    source->retry_due_ns = 0;
}
