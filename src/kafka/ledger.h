/*
 * What is in flight, per partition and in order: an offset may be stored only when all before it are done.
 * One array of entries for the lane, linked per partition in order of arrival (offsets have gaps), so that memory
 * depends on what is in flight and not on how many partitions there are. Done records behind an open one of their
 * partition take one entry together. Lane thread only; no I/O, no librdkafka.
 */
#ifndef LP_KAFKA_LEDGER_H
#define LP_KAFKA_LEDGER_H

#include "core/error.h"

#include <stdbool.h>
#include <stdint.h>

struct lp_ledger;

/** Names an entry across its reuse; 0 is never one. Fits a pointer, so that a delivery report can carry it. */
typedef uint64_t lp_ledger_ticket;

LP_MUST_USE enum lp_code lp_ledger_new(uint32_t entries_max, uint32_t slots_max, struct lp_ledger **ret_ledger,
                                       struct lp_error *err);
void lp_ledger_free(struct lp_ledger *ledger);

/** Begin a partition at `slot` with nothing in flight. */
void lp_ledger_open(struct lp_ledger *ledger, uint32_t slot);
/** Forget the slot's entries; their tickets are stale from now on. */
void lp_ledger_close(struct lp_ledger *ledger, uint32_t slot);

/** A record arrived, with `outputs` to be acknowledged (0: done at once). Returns 0 when full. O(1). */
lp_ledger_ticket lp_ledger_add(struct lp_ledger *ledger, uint32_t slot, int64_t offset, uint32_t outputs);

/** One output is acknowledged. False: a stale ticket (the partition was revoked meanwhile), ignored. O(1). */
bool lp_ledger_done(struct lp_ledger *ledger, lp_ledger_ticket ticket);

/** Where the record of a ticket stands; false: a stale ticket. O(1). */
bool lp_ledger_find(const struct lp_ledger *ledger, lp_ledger_ticket ticket, uint32_t *ret_slot, int64_t *ret_offset);

/**
 * Next slot whose done prefix has advanced since it was last taken: true and the offset to store (last done + 1).
 * Call until false, once a loop.
 */
bool lp_ledger_take_advanced(struct lp_ledger *ledger, uint32_t *ret_slot, int64_t *ret_next_offset);

/** Entries in use: open records, and runs of done ones behind them. */
uint32_t lp_ledger_in_flight(const struct lp_ledger *ledger);
uint32_t lp_ledger_slot_in_flight(const struct lp_ledger *ledger, uint32_t slot);
uint32_t lp_ledger_free_entries(const struct lp_ledger *ledger);

#endif
