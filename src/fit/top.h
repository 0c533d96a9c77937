/*
 * The most frequent texts of a stream in bounded memory: filtered space-saving (N. Homem, J. Carvalho, "Finding top-k
 * elements in data streams", 2010). A text without an entry is counted by its hash's share of a filter, and takes the
 * rarest entry's place once that count is above the rarest: a stream of identifiers costs no eviction each.
 */
#ifndef LP_FIT_TOP_H
#define LP_FIT_TOP_H

#include "core/error.h"
#include "core/span.h"

#include <stdbool.h>
#include <stdint.h>

enum { LP_TOP_ENTRIES = 2048, LP_TOP_TEXT_MAX_BYTES = 1024 };

struct lp_top_entry {
    uint64_t hash;
    char *text; /* owned, terminated */
    uint32_t bytes;
    uint32_t heap; /* where it is in the heap */
    uint64_t count;
    uint64_t error; /* count may be too high by this much: who left the place to it */
    double sum;     /* of what the caller added beside the counts, over count - error of them */
};

/** Exact while there were at most LP_TOP_ENTRIES texts; then every text of more than count / LP_TOP_ENTRIES is in it.
 */
struct lp_top {
    struct lp_top_entry *entries; /* owned, [capacity] */
    uint32_t *heap;               /* owned: the rarest first */
    uint32_t *table;              /* owned, open addressing by hash: entry + 1, or 0 */
    uint64_t *filter;             /* owned: at most so often were texts of that hash there that have no entry */
    uint32_t count, capacity;     /* grows: a column of few texts takes little */
    bool full;                    /* a text has no entry */
};

void lp_top_done(struct lp_top *top);

/**
 * `count` more of a text. A longer one than LP_TOP_TEXT_MAX_BYTES is passed over.
 * @param hash of the text, well mixed; two texts with one hash are one
 * @param sum  added to the entry's
 */
LP_MUST_USE enum lp_code lp_top_add(struct lp_top *top, struct lp_span text, uint64_t hash, uint64_t count, double sum,
                                    struct lp_error *err);

/** Pointers to the entries, the most frequent first, ties in the order of the bytes; free() it. NULL: no memory. */
const struct lp_top_entry **lp_top_sorted(const struct lp_top *top);

#endif
