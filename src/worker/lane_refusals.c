/*
 * exactly_once: outputs that the brokers refuse for good. What is refused is a whole produce batch, so that a refusal
 * tells nothing of one record before that record is alone in its transaction: transactions are made smaller, with each
 * refusal, until it is, and grow again afterwards. Then the record becomes something else when it comes again.
 */
#include "worker/lane_private.h"

#include <string.h>

enum { OFFSET_BITS = 52, STEP = 8 /* smaller and larger by; so many commits before the next larger size */ };

static const uint64_t OFFSET_MASK = (UINT64_C(1) << OFFSET_BITS) - 1;

uint64_t lp_lane_txn_ticket(uint32_t slot, int64_t offset)
{
    return (uint64_t)slot << OFFSET_BITS | (((uint64_t)offset + 1) & OFFSET_MASK);
}

static struct lp_lane_refusal *find(struct lp_lane_txn *txn, uint64_t ticket)
{
    for (uint32_t i = 0; i < txn->refusal_count; i++)
        if (txn->refusals[i].ticket == ticket) return &txn->refusals[i];
    return NULL;
}

const struct lp_lane_refusal *lp_lane_txn_refusal(struct lp_lane *lane, uint64_t ticket)
{
    return find(&lane->txn, ticket);
}

/* In order: with the time of now where the time was refused, a dead letter, one without its value, the end. */
static void mark(struct lp_lane *lane, uint64_t ticket, const struct lp_error *error)
{
    struct lp_lane_txn *txn = &lane->txn;
    struct lp_lane_refusal *refusal = find(txn, ticket);
    if (refusal == NULL && txn->refusal_count == LP_LANE_PARTITIONS_MAX) {
        lp_lane_fail(lane, error);
        return;
    }
    if (refusal == NULL) {
        refusal = &txn->refusals[txn->refusal_count++];
        *refusal = (struct lp_lane_refusal){.ticket = ticket};
    }
    if (refusal->times == 2) {
        lp_lane_fail(lane, error);
        return;
    }
    refusal->error = *error;
    if (strcmp(error->field, "timestamp") == 0 && !refusal->retimed) refusal->retimed = true;
    else refusal->times++;
}

void lp_lane_txn_on_refused(struct lp_lane *lane, uint64_t ticket, const struct lp_error *error)
{
    struct lp_lane_txn *txn = &lane->txn;
    uint32_t records = txn->taken + txn->cut_taken;
    if (error->action != LP_SKIP_RECORD) {
        lp_lane_fail(lane, error);
    } else if (records <= 1) {
        mark(lane, ticket, error);
    } else {
        txn->limit = records > STEP ? records / STEP : 1;
        txn->commits_at_limit = 0;
    }
}

bool lp_lane_txn_at_limit(const struct lp_lane *lane)
{
    return lane->txn.limit > 0 && (lane->txn.committing || lane->txn.taken >= lane->txn.limit);
}

void lp_lane_txn_relax(struct lp_lane *lane)
{
    struct lp_lane_txn *txn = &lane->txn;
    for (uint32_t i = txn->refusal_count; i-- > 0;) {
        const struct lp_lane_partition *partition = &lane->partitions[txn->refusals[i].ticket >> OFFSET_BITS];
        if (partition->cut_offset >= (int64_t)(txn->refusals[i].ticket & OFFSET_MASK))
            txn->refusals[i] = txn->refusals[--txn->refusal_count];
    }
    if (txn->limit == 0 || ++txn->commits_at_limit < STEP) return;
    txn->commits_at_limit = 0;
    txn->limit *= STEP;
    if (txn->limit >= (uint32_t)lane->shared->config->inflight_max_records) txn->limit = 0;
}

void lp_lane_txn_forget_refusals(struct lp_lane *lane, uint32_t slot)
{
    struct lp_lane_txn *txn = &lane->txn;
    for (uint32_t i = txn->refusal_count; i-- > 0;)
        if (txn->refusals[i].ticket >> OFFSET_BITS == slot) txn->refusals[i] = txn->refusals[--txn->refusal_count];
}
