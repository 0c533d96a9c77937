/* How many records were there before: hashes of a share of them, so that memory is bounded. */
#ifndef LP_FIT_REPEATS_H
#define LP_FIT_REPEATS_H

#include "core/error.h"

#include <stdbool.h>
#include <stdint.h>

enum { LP_REPEATS_HASHES_MAX = 1 << 19 };

/**
 * Keeps the hashes below a limit that is halved when they get too many (M. Wegman's adaptive sampling, P. Flajolet
 * 1990), each with the number of its records: what is left at the end has been counted from the first record on, so
 * that the answer does not depend on the order. Exact up to LP_REPEATS_HASHES_MAX different records.
 */
struct lp_repeats {
    struct lp_repeats_slot {
        uint64_t hash; /* 0: free */
        uint64_t count;
    } * table;            /* owned, open addressing */
    uint32_t slots, used; /* at most half of them */
    unsigned shift;       /* only hashes whose highest `shift` bits are 0 are kept */
};

LP_MUST_USE enum lp_code lp_repeats_init(struct lp_repeats *repeats, struct lp_error *err);
void lp_repeats_done(struct lp_repeats *repeats);
/** @param hashes of records, well mixed */
LP_MUST_USE enum lp_code lp_repeats_add(struct lp_repeats *repeats, const uint64_t *hashes, uint32_t count,
                                        struct lp_error *err);
/** Records that repeat an earlier one; an estimate once shift is above 0. */
double lp_repeats_count(const struct lp_repeats *repeats);

#endif
