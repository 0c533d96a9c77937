/* One feature of a model: where it is in a record, and how it is cleaned, normalized, encoded and watched. */
#ifndef LP_MODEL_FEATURE_H
#define LP_MODEL_FEATURE_H

#include <stdbool.h>
#include <stdint.h>

enum lp_feature_kind { LP_FEATURE_NUMBER, LP_FEATURE_CATEGORY, LP_FEATURE_VECTOR };
enum lp_missing { LP_MISSING_MEAN, LP_MISSING_VALUE, LP_MISSING_INDICATOR, LP_MISSING_REJECT, LP_MISSING_KEEP };
enum lp_outlier { LP_OUTLIER_KEEP, LP_OUTLIER_CLIP, LP_OUTLIER_MISSING, LP_OUTLIER_REJECT };
enum lp_normalize {
    LP_NORMALIZE_NONE,
    LP_NORMALIZE_ZSCORE,
    LP_NORMALIZE_MINMAX,
    LP_NORMALIZE_ROBUST,
    LP_NORMALIZE_LOG1P
};
enum lp_encoding { LP_ENCODING_ONEHOT, LP_ENCODING_INDEX, LP_ENCODING_HASH };

/**
 * Reference distribution. Number: `edge_count` rising inner edges cut the line into edge_count + 1 bins; a value equal
 * to edge j belongs to the bin on its right (bin = how many edges are <= value). Category: edge_count is 0 and the bins
 * are the vocabulary's indices and one more for unknown values (hash: the buckets). Missing values are in no bin.
 */
struct lp_baseline {
    uint32_t edge_count;
    const double *edges;  /* owned by the bundle */
    uint32_t bin_count;   /* 0: not watched */
    const double *counts; /* [bin_count] reference rows in each bin, owned by the bundle */
    double missing_rate;  /* of the reference rows, 0 to 1 */
};

/** Immutable once the bundle is loaded; strings and arrays are owned by the bundle. */
struct lp_feature {
    const char *name;
    const char *from; /* path in the record: a.b, a[2], m.key (map), dots in names escaped as \. */
    enum lp_feature_kind kind;
    uint32_t width; /* values in the record: 1, or the vector's length */

    enum lp_missing missing;
    /* Numbers and vectors: the mean, the value, the filler beside an indicator; raw, before normalization. Categories:
     * the index or bucket that LP_MISSING_VALUE takes (vocabulary_count: the unknown bucket); 0 beside an indicator,
     * where onehot sets no column. */
    double missing_value;
    enum lp_outlier outlier;
    double low, high; /* bounds, inclusive; -inf and inf when open */

    enum lp_normalize normalize;
    double center; /* zscore mean, minmax min, robust median */
    double scale;  /* zscore std, minmax max - min, robust iqr; 0 means the constant feature and normalizes to 0 */

    enum lp_encoding encoding;     /* category only */
    uint32_t vocabulary_count;     /* onehot, index: known values; hash: buckets */
    const char *const *vocabulary; /* [vocabulary_count], sorted as the model numbers them; NULL for hash */
    bool unknown_bucket; /* onehot, index: an unknown value takes column/index vocabulary_count; else it is missing */

    uint32_t column; /* first column of the cleaned row */
    uint32_t
        column_count; /* columns it takes: width, onehot width or 1, and 1 more for an indicator (vector: 1 in all) */
    struct lp_baseline baseline;
};

#endif
