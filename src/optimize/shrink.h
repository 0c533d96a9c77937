/* Smaller forms of a draft's ops: fewer bits, zeros, fewer trees. */
#ifndef LP_OPTIMIZE_SHRINK_H
#define LP_OPTIMIZE_SHRINK_H

#include "optimize/draft.h"

#include <stdbool.h>

enum { LP_SHRINK_INT8_INPUTS_MAX = 65536 };

/** How an int8 layer's input becomes whole numbers of 0 to 255. */
enum lp_int8 {
    LP_INT8_MINMAX,     /* all that the calibration rows showed */
    LP_INT8_PERCENTILE, /* the middle 99.9 %; what is beyond is clamped */
    LP_INT8_DYNAMIC,    /* each row by its own range */
};

/** What a dense layer's inputs were, zero included. */
struct lp_range {
    bool known;
    float low, high;               /* of all values */
    float middle_low, middle_high; /* of the middle 99.9 %, to the resolution of a histogram of 4096 bins */
};

/**
 * Ranges of the inputs of all dense layers, by op: a graph that ends in front of the layer is run.
 * @param rows [row_count][column_count]
 * @param ret_ranges [op_count]; ops that cannot be quantized stay unknown
 */
LP_MUST_USE enum lp_code lp_ranges_measure(const struct lp_bundle *bundle, const double *rows, uint32_t row_count,
                                           struct lp_range *ret_ranges, struct lp_error *err);

/** Is it a dense layer with float weights that int8 can hold? */
bool lp_shrink_takes_int8(const struct lp_op *op);

/**
 * One layer to int8: ws[o] = max |w[.., o]| / 127, q = rne(w / ws[o]); input: s = (high - low) / 255, z = rne(-low /
 * s).
 */
LP_MUST_USE enum lp_code lp_shrink_int8(struct lp_draft *draft, uint32_t op, enum lp_int8 kind,
                                        const struct lp_range *range, struct lp_error *err);

/** F32 weights of dense layers and convolutions, and tables, to bfloat16, to nearest even. @param ret_count tensors */
LP_MUST_USE enum lp_code lp_shrink_bf16(struct lp_draft *draft, uint32_t *ret_count, struct lp_error *err);

/** The `share` smallest weights of each F32 dense layer are set to 0. */
LP_MUST_USE enum lp_code lp_shrink_prune(struct lp_draft *draft, double share, uint32_t *ret_count,
                                         struct lp_error *err);

/**
 * Of hidden layers that one dense layer alone reads, the `share` of units that weigh least (norm of the weights in
 * times norm of the weights out) goes; what is left is a multiple of 16, as kernels compute. @param ret_count units
 */
LP_MUST_USE enum lp_code lp_shrink_units(struct lp_draft *draft, double share, uint32_t *ret_count,
                                         struct lp_error *err);

/** The first `keep` trees of an op; a mean over trees is one over those that stay. */
LP_MUST_USE enum lp_code lp_shrink_trees(struct lp_draft *draft, uint32_t op, uint32_t keep, struct lp_error *err);

#endif
