/* Categories: vocabulary index or hash bucket, as one column or as one-hot columns. */
#include "clean/cleaner.h"

#include <math.h>
#include <string.h>

/* The bucket of the feature's own text and those it is crossed with, a byte 0x1f (unit separator) between them. */
static uint32_t bucket_of(const struct lp_clean_feature *f, struct lp_span text, const struct lp_span *texts)
{
    uint64_t hash = lp_fnv1a64(text);
    for (uint32_t i = 0; i < f->spec->cross_count; i++) {
        struct lp_span other = texts[f->cross_slots[i]];
        if (other.data == NULL) return LP_VOCABULARY_UNKNOWN;
        hash = lp_fnv1a64_add(hash, 0x1f);
        for (size_t k = 0; k < other.size; k++) hash = lp_fnv1a64_add(hash, other.data[k]);
    }
    return (uint32_t)(hash % f->spec->vocabulary_count);
}

/* The index of a text; LP_VOCABULARY_UNKNOWN when it has none, so that the feature is missing. */
static uint32_t index_of(const struct lp_clean_feature *f, const struct lp_span *texts, struct lp_clean_counts *counts)
{
    struct lp_span text = texts[f->slot];
    if (text.data == NULL) return LP_VOCABULARY_UNKNOWN;
    if (f->spec->encoding == LP_ENCODING_HASH || f->spec->encoding == LP_ENCODING_HASH_ONEHOT)
        return bucket_of(f, text, texts);
    uint32_t index = lp_vocabulary_find(&f->vocabulary, text);
    if (index != LP_VOCABULARY_UNKNOWN) return index;
    counts->unknown++;
    return f->spec->unknown_bucket ? f->spec->vocabulary_count : LP_VOCABULARY_UNKNOWN;
}

/* The mean of the target for a value; the prior for one that is not known. */
static double target_of(const struct lp_feature *spec, double index)
{
    return index < (double)spec->vocabulary_count ? spec->target_values[(uint32_t)index] : spec->target_prior;
}

enum lp_code lp_clean_category(const struct lp_clean_feature *f, const struct lp_span *texts, double *row,
                               double *observed, struct lp_clean_counts *counts, uint32_t *missing_count,
                               struct lp_error *err)
{
    struct lp_span text = texts[f->slot];
    uint32_t index = index_of(f, texts, counts);
    bool missing = index == LP_VOCABULARY_UNKNOWN;
    counts->missing += missing;
    *missing_count += missing;
    if (missing && f->spec->missing == LP_MISSING_REJECT) {
        counts->rejected++;
        return lp_fail_field(err, LP_E_REFUSED, LP_SKIP_RECORD, f->spec->name, "feature %s (from %s): %s",
                             f->spec->name, f->spec->from, text.data == NULL ? "missing" : "not in the vocabulary");
    }
    if (observed != NULL) *observed = missing ? NAN : (double)index;
    if (f->spec->encoding == LP_ENCODING_ONEHOT || f->spec->encoding == LP_ENCODING_HASH_ONEHOT) {
        memset(row, 0, f->columns * sizeof *row);
        uint32_t one = missing ? f->fill_index : index;
        if (one < f->columns) row[one] = 1.0;
        for (uint32_t i = 0; missing && isnan(f->fill) && i < f->columns; i++) row[i] = NAN;
    } else {
        row[0] = missing ? f->fill : (double)index;
        if (f->spec->encoding == LP_ENCODING_TARGET && !isnan(row[0]))
            row[0] = missing && f->indicator ? f->spec->target_prior : target_of(f->spec, row[0]);
    }
    if (f->indicator) row[f->columns] = missing ? 1.0 : 0.0;
    return LP_OK;
}
