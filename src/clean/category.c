/* Categories: vocabulary index or hash bucket, as one column or as one-hot columns. */
#include "clean/cleaner.h"

#include <math.h>
#include <string.h>

/* The index of a text; LP_VOCABULARY_UNKNOWN when it has none, so that the feature is missing. */
static uint32_t index_of(const struct lp_clean_feature *f, struct lp_span text, struct lp_clean_counts *counts)
{
    if (text.data == NULL) return LP_VOCABULARY_UNKNOWN;
    if (f->spec->encoding == LP_ENCODING_HASH) return (uint32_t)(lp_fnv1a64(text) % f->spec->vocabulary_count);
    uint32_t index = lp_vocabulary_find(&f->vocabulary, text);
    if (index != LP_VOCABULARY_UNKNOWN) return index;
    counts->unknown++;
    return f->spec->unknown_bucket ? f->spec->vocabulary_count : LP_VOCABULARY_UNKNOWN;
}

enum lp_code lp_clean_category(const struct lp_clean_feature *f, struct lp_span text, double *row, double *observed,
                               struct lp_clean_counts *counts, uint32_t *missing_count, struct lp_error *err)
{
    uint32_t index = index_of(f, text, counts);
    bool missing = index == LP_VOCABULARY_UNKNOWN;
    counts->missing += missing;
    *missing_count += missing;
    if (missing && f->spec->missing == LP_MISSING_REJECT) {
        counts->rejected++;
        return lp_fail_field(err, LP_E_REFUSED, LP_SKIP_RECORD, f->spec->name, "feature %s (from %s): %s",
                             f->spec->name, f->spec->from, text.data == NULL ? "missing" : "not in the vocabulary");
    }
    if (observed != NULL) *observed = missing ? NAN : (double)index;
    if (f->spec->encoding == LP_ENCODING_ONEHOT) {
        memset(row, 0, f->columns * sizeof *row);
        uint32_t one = missing ? f->fill_index : index;
        if (one < f->columns) row[one] = 1.0;
        for (uint32_t i = 0; missing && isnan(f->fill) && i < f->columns; i++) row[i] = NAN;
    } else {
        row[0] = missing ? f->fill : (double)index;
    }
    if (f->indicator) row[f->columns] = missing ? 1.0 : 0.0;
    return LP_OK;
}
