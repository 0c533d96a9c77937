/* The clean stage: one decoded record -> one row of doubles, and what was done to each feature. */
#ifndef LP_CLEAN_CLEAN_H
#define LP_CLEAN_CLEAN_H

#include "core/error.h"
#include "core/span.h"
#include "model/bundle.h"

#include <stddef.h>
#include <stdint.h>

struct lp_cleaner; /* compiled from a bundle's features; immutable, any thread; borrows the bundle */

/** What happened to one feature, in records; single writer, summed over lanes by readers. A vector counts once. */
struct lp_clean_counts {
    uint64_t missing;  /* null, absent, or made so by outlier=missing, log1p's domain, an unknown without a bucket */
    uint64_t clipped;  /* set to a bound */
    uint64_t unknown;  /* a category outside the vocabulary */
    uint64_t rejected; /* the record was refused because of this feature */
};

/**
 * feature_slots: [feature_count], borrowed for the call: the first slot of each feature in numbers (or texts).
 * @return LP_OK; LP_E_INVALID with err->field for a feature whose bounds, fill or columns make no sense
 */
LP_MUST_USE enum lp_code lp_cleaner_new(const struct lp_bundle *bundle, const uint32_t *feature_slots,
                                        struct lp_cleaner **ret_cleaner, struct lp_error *err);
void lp_cleaner_free(struct lp_cleaner *cleaner);

/** Heap held, bytes. */
size_t lp_cleaner_bytes(const struct lp_cleaner *cleaner);

/**
 * Clean one record.
 *
 * @param numbers  raw values by slot, NaN = missing; @param texts raw texts by slot, data NULL = missing
 * @param row      out, [bundle->column_count] doubles; a record that fails leaves it undefined
 * @param observed out, observed[f * observed_stride] for feature f: what drift sees: a number after missing and outlier
 *                 handling and before normalization (NaN: was missing), a category's vocabulary index or bucket
 *                 (unknown = vocabulary_count), NaN for a vector. NULL: not wanted
 * @param counts   in/out, [feature_count]
 * @param ret_missing_count out: features of this record that were missing
 * @return LP_OK; LP_E_REFUSED with LP_SKIP_RECORD and err->field (the feature's name) for missing=reject and
 *         outlier=reject
 * Any thread (counts and outputs are the caller's). Never allocates. About 1 ns a plain number.
 *
 * Numbers: outliers first, then missing, then normalization.
 * - Outside [low, high] is an outlier; +-inf is one even outside an open bound, unless outlier=keep; clip makes an
 *   infinity whose bound is open missing.
 * - zscore (x - mean) / std, minmax (x - min) / (max - min), robust (x - median) / iqr: one subtraction and one
 *   division in double, so the bits are numpy's. Scale 0 gives 0. log1p(x): x <= -1 is missing.
 * - missing=mean, value, indicator: missing_value, normalized like any other. keep: NaN.
 * - An indicator column follows the value's: 1 when missing (a vector: when any element is). Elements of a vector are
 *   cleaned one by one with the feature's parameters.
 * - buckets: 1 in column k, where k edges are not above the value.
 * Categories: hash is FNV-1a 64 of the UTF-8 bytes modulo the buckets; an unknown value without a bucket is missing.
 * - target gives the value's mean of the target, the prior for an unknown one (and beside an indicator).
 * - A cross hashes its own text and, each behind a byte 0x1f, those of the features it names; one missing: missing.
 * Texts: tokens are characters (as UTF-8), or runs of ASCII letters, digits and non-ASCII bytes; ASCII letters are made
 *   small. Each n-gram, words with a blank between, adds 1 to column FNV-1a 64 modulo the buckets.
 * Times: in UTC; outside the years 1 to 9999 missing. hour: sin, cos of 2 pi t, t the part of the day; weekday: Monday
 *   first; weekend; month; season: sin, cos of 2 pi (day of the year from 0 + t) / 366.
 * - Missing: keep gives NaN in all its columns. Else, as index or hash: missing_value; as onehot: zeros, and with
 *   missing=value a 1 in the column numbered missing_value.
 */
LP_MUST_USE enum lp_code lp_cleaner_run(const struct lp_cleaner *cleaner, const double *numbers,
                                        const struct lp_span *texts, double *row, double *observed,
                                        uint32_t observed_stride, struct lp_clean_counts *counts,
                                        uint32_t *ret_missing_count, struct lp_error *err);

#endif
