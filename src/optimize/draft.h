/* A bundle that is being changed: its manifest as JSON, its tensors borrowed from the parent until they are replaced.
 */
#ifndef LP_OPTIMIZE_DRAFT_H
#define LP_OPTIMIZE_DRAFT_H

#include "core/buffer.h"
#include "model/bundle.h"

#include <jansson.h>

struct lp_draft {
    const struct lp_bundle *parent; /* borrowed, outlives the draft */
    json_t *manifest;               /* owned; without golden rows: they are not this bundle's */
    json_t *graph;                  /* in the manifest */
    struct lp_tensor *tensors;
    uint32_t count, capacity;
    void **owned; /* blocks that tensors use */
    uint32_t owned_count, owned_capacity;
};

/** LP_E_MEMORY. */
LP_MUST_USE enum lp_code lp_draft_new(const struct lp_bundle *parent, struct lp_draft **ret_draft,
                                      struct lp_error *err);
void lp_draft_free(struct lp_draft *draft);

/** Zeroed memory that lives as long as the draft; NULL: none. */
void *lp_draft_take(struct lp_draft *draft, size_t count, size_t element_bytes);

/** Put a tensor in the place of the one of its name, or behind the others. name and data: the draft's or the parent's.
 */
LP_MUST_USE enum lp_code lp_draft_put(struct lp_draft *draft, const struct lp_tensor *tensor, struct lp_error *err);
void lp_draft_remove(struct lp_draft *draft, const char *name);

/** Members of the graph's ops that are this text: uses of a dense layer's, convolution's or table's tensor. */
uint32_t lp_draft_uses(const struct lp_draft *draft, const char *name);

/** Say where it comes from: the original's SHA-256, and one more step behind those that it has. */
LP_MUST_USE enum lp_code lp_draft_set_lineage(struct lp_draft *draft, const struct lp_bundle *original,
                                              const char *step, const char *suffix, struct lp_error *err);

/** Append the file's bytes. LP_E_LIMIT, LP_E_MEMORY. */
LP_MUST_USE enum lp_code lp_draft_encode(const struct lp_draft *draft, struct lp_buffer *out, struct lp_error *err);

#endif
