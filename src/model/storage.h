/* What a bundle owns: strings, arrays and tensors, taken from blocks that are freed together and counted. */
#ifndef LP_MODEL_STORAGE_H
#define LP_MODEL_STORAGE_H

#include "core/error.h"

#include <stddef.h>
#include <stdint.h>

struct lp_bundle_storage {
    struct lp_storage_block *blocks; /* owned list */
    unsigned char *next;             /* free part of the newest shared block */
    size_t left;                     /* bytes */
    uint64_t bytes;                  /* asked of the allocator so far */
    uint64_t charged, budget;        /* bytes taken or used, and how many may be */
};

/** `count` zeroed elements of `element_bytes`, 8-byte aligned, until _done; NULL: no memory or no budget, err says so.
 */
void *lp_storage_take(struct lp_bundle_storage *storage, size_t count, size_t element_bytes, struct lp_error *err);

/** A NUL-terminated copy of `size` bytes; NULL as above. */
const char *lp_storage_text(struct lp_bundle_storage *storage, const void *text, size_t size, struct lp_error *err);

/**
 * Count `count` * `element_bytes` against the budget: a small file that uses its tensors thousands of times must not
 * cost the memory or the time of a large one. LP_E_LIMIT past it.
 */
LP_MUST_USE enum lp_code lp_storage_charge(struct lp_bundle_storage *storage, uint64_t count, size_t element_bytes,
                                           struct lp_error *err);

void lp_storage_done(struct lp_bundle_storage *storage);

#endif
