/* One feature of a model: where it is in a record, and how it is cleaned, normalized, encoded and watched. */
#ifndef LP_MODEL_FEATURE_H
#define LP_MODEL_FEATURE_H

#include <stdbool.h>
#include <stdint.h>

enum lp_feature_kind {
    LP_FEATURE_NUMBER,
    LP_FEATURE_CATEGORY,
    LP_FEATURE_VECTOR,
    LP_FEATURE_TEXT, /* hashed n-grams */
    LP_FEATURE_TIME, /* parts of a date in UTC */
};
enum lp_missing { LP_MISSING_MEAN, LP_MISSING_VALUE, LP_MISSING_INDICATOR, LP_MISSING_REJECT, LP_MISSING_KEEP };
enum lp_outlier { LP_OUTLIER_KEEP, LP_OUTLIER_CLIP, LP_OUTLIER_MISSING, LP_OUTLIER_REJECT };
enum lp_normalize {
    LP_NORMALIZE_NONE,
    LP_NORMALIZE_ZSCORE,
    LP_NORMALIZE_MINMAX,
    LP_NORMALIZE_ROBUST,
    LP_NORMALIZE_LOG1P,
    LP_NORMALIZE_BUCKETS, /* a column a bucket, 1 in the value's */
};
enum lp_encoding {
    LP_ENCODING_ONEHOT,
    LP_ENCODING_INDEX,
    LP_ENCODING_HASH,
    LP_ENCODING_HASH_ONEHOT, /* a column a bucket */
    LP_ENCODING_TARGET,      /* one column: the mean of the target for that value */
};

/** Parts of a date, in this order in the row; lp_time_part_columns says how many columns each has. */
enum lp_time_part {
    LP_TIME_HOUR,    /* sine and cosine of the time of day */
    LP_TIME_WEEKDAY, /* one of seven, Monday first */
    LP_TIME_WEEKEND, /* 1 on Saturday and Sunday */
    LP_TIME_MONTH,   /* one of twelve */
    LP_TIME_SEASON,  /* sine and cosine of the day of the year */
    LP_TIME_PARTS,
};

static inline uint32_t lp_time_part_columns(enum lp_time_part part)
{
    static const unsigned char columns[LP_TIME_PARTS] = {2, 7, 1, 12, 2};
    return columns[part];
}

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

    uint32_t bucket_edge_count; /* buckets: rising edges; bucket = how many of them are <= the value */
    const double *bucket_edges;

    enum lp_encoding encoding;     /* category only */
    uint32_t vocabulary_count;     /* onehot, index, target: known values; hash, and of a text: buckets */
    const char *const *vocabulary; /* [vocabulary_count], sorted as the model numbers them; NULL for hash */
    bool unknown_bucket; /* onehot, index: an unknown value takes column/index vocabulary_count; else it is missing */

    const double *target_values; /* target: [vocabulary_count] */
    double target_prior;         /* target: of an unknown value */
    uint32_t cross_count;        /* hash: other category features whose raw texts are hashed along */
    const uint32_t *cross;       /* [cross_count] indices of features */

    uint32_t ngram_low, ngram_high; /* text: shortest and longest n */
    bool ngram_characters;          /* of characters; else of words */
    bool ngram_unit_length;         /* the columns divided by their Euclidean norm; else counts */
    bool time_parts[LP_TIME_PARTS]; /* time: which of them it gives */

    uint32_t column; /* first column of the cleaned row */
    uint32_t
        column_count; /* columns it takes: width, onehot width or 1, and 1 more for an indicator (vector: 1 in all) */
    struct lp_baseline baseline;
};

#endif
