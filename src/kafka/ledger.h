/*
 * What is in flight, per partition and in order: an offset may be stored only when all before it are done.
 * Up to 64 records of a partition with consecutive offsets share an entry (a bit each), so that thousands in flight
 * touch a few cache lines. One array of entries for the lane, linked per partition in order of arrival, so that memory
 * depends on what is in flight and not on how many partitions there are; done entries behind an open one are joined.
 * Lane thread only; no I/O, no librdkafka.
 */
#ifndef LP_KAFKA_LEDGER_H
#define LP_KAFKA_LEDGER_H

#include "core/error.h"

#include <stdbool.h>
#include <stdint.h>

struct lp_ledger;

/** Names a record across the reuse of its entry; 0 is never one. Fits a pointer, so that a delivery report can carry
 * it. */
typedef uint64_t lp_ledger_ticket;

/** records_max: not done at a time, at most 2^25. */
LP_MUST_USE enum lp_code lp_ledger_new(uint32_t records_max, uint32_t slots_max, struct lp_ledger **ret_ledger,
                                       struct lp_error *err);
void lp_ledger_free(struct lp_ledger *ledger);

/** Begin a partition at `slot` with nothing in flight. */
void lp_ledger_open(struct lp_ledger *ledger, uint32_t slot);
/** Forget the slot's records; their tickets are stale from now on. */
void lp_ledger_close(struct lp_ledger *ledger, uint32_t slot);

/** A record arrived, with `outputs` to be acknowledged (0: done at once). Returns 0 when full. O(1). */
lp_ledger_ticket lp_ledger_add(struct lp_ledger *ledger, uint32_t slot, int64_t offset, uint32_t outputs);

/** One output is acknowledged. False: a stale ticket (done, or the partition was revoked meanwhile), ignored. O(1). */
bool lp_ledger_done(struct lp_ledger *ledger, lp_ledger_ticket ticket);

/** Where the record of a ticket that is not done stands; false: a stale ticket. O(1). */
bool lp_ledger_find(const struct lp_ledger *ledger, lp_ledger_ticket ticket, uint32_t *ret_slot, int64_t *ret_offset);

/**
 * Next slot whose done prefix has advanced since it was last taken: true and the offset to store (last done + 1).
 * Call until false, once a loop.
 */
bool lp_ledger_take_advanced(struct lp_ledger *ledger, uint32_t *ret_slot, int64_t *ret_next_offset);

/** Records that are not done. */
uint32_t lp_ledger_in_flight(const struct lp_ledger *ledger);
uint32_t lp_ledger_slot_in_flight(const struct lp_ledger *ledger, uint32_t slot);
/** How many more may come. */
uint32_t lp_ledger_free_entries(const struct lp_ledger *ledger);

#endif
