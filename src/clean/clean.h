/* The clean stage: one decoded record -> one row of doubles, and what was done to each feature. */
#ifndef LP_CLEAN_CLEAN_H
#define LP_CLEAN_CLEAN_H

#include "core/error.h"
#include "core/span.h"
#include "model/bundle.h"

#include <stdint.h>

struct lp_cleaner; /* compiled from a bundle's features; immutable, any thread; borrows the bundle */

/** Rows cleaned and what happened, one per feature; single writer, summed over lanes by readers. */
struct lp_clean_counts {
    uint64_t missing, clipped, unknown, rejected;
};

/** feature_slots: [feature_count], borrowed for the call: the first slot of each feature in numbers (or texts). */
LP_MUST_USE enum lp_code lp_cleaner_new(const struct lp_bundle *bundle, const uint32_t *feature_slots,
                                        struct lp_cleaner **ret_cleaner, struct lp_error *err);
void lp_cleaner_free(struct lp_cleaner *cleaner);

/**
 * Clean one record.
 *
 * @param numbers  raw values by slot, NaN = missing; @param texts raw texts by slot, data NULL = missing
 * @param row      out, [bundle->column_count] doubles, written whole; a record that fails leaves it undefined
 * @param observed out, observed[f * observed_stride] for feature f: what drift sees: a number after missing and outlier
 *                 handling and before normalization (NaN: was missing), a category's vocabulary index or bucket
 * (unknown = vocabulary_count), NaN for a vector
 * @param counts   in/out, [feature_count]
 * @param ret_missing_count out: features of this record that were missing
 * @return LP_OK; LP_E_REFUSED with LP_SKIP_RECORD and err->field (the feature's name) for missing=reject and
 *         outlier=reject; +-inf is an outlier like any other unless outlier=keep
 * Never allocates. Formulas: zscore (x - mean)/std, minmax (x - min)/(max - min), robust (x - median)/iqr,
 * log1p sign(x) * log1p(|x|) is NOT used: log1p(x), x <= -1 is missing. Scale 0 gives 0.
 * An indicator column follows the value's: 1 when missing.
 */
LP_MUST_USE enum lp_code lp_cleaner_run(const struct lp_cleaner *cleaner, const double *numbers,
                                        const struct lp_span *texts, double *row, double *observed,
                                        uint32_t observed_stride, struct lp_clean_counts *counts,
                                        uint32_t *ret_missing_count, struct lp_error *err);

#endif
