/* The compiled form of a bundle's features. Private to clean/. */
#ifndef LP_CLEAN_CLEANER_H
#define LP_CLEAN_CLEANER_H

#include "clean/clean.h"
#include "clean/vocabulary.h"
#include "kernels/normalize/normalize.h"

#include <stdbool.h>

/**
 * One feature with everything decided that a record cannot change. Bounds are those that the outlier rule acts on:
 * -+infinity for outlier=keep, else finite, so that an infinite value is outside open bounds too.
 */
struct lp_clean_feature {
    const struct lp_feature *spec; /* borrowed from the bundle */
    uint32_t slot;                 /* first index in numbers, or the index in texts */
    uint32_t columns;              /* columns of the value alone, without the indicator */
    double low, high;
    double fill;           /* column of a missing value, a number's normalized; NaN for missing=keep */
    uint32_t fill_index;   /* onehot: the column a missing category sets; LP_VOCABULARY_UNKNOWN: none */
    uint32_t *cross_slots; /* owned, [spec->cross_count]: texts that are hashed along */
    bool indicator;        /* the column after the value's says whether it was missing */
    bool scale_is_zero;    /* a constant feature normalizes to 0 */
    struct lp_vocabulary vocabulary;
};

enum lp_clean_step_kind {
    LP_CLEAN_NUMBERS, /* `count` neighbouring features that are one number each, normalized by (x - center) / scale */
    LP_CLEAN_VECTOR,  /* one vector feature normalized so */
    LP_CLEAN_FEATURE, /* any one feature */
};

/** A run of features that one loop handles. */
struct lp_clean_step {
    enum lp_clean_step_kind kind;
    uint32_t feature, count; /* first feature, features */
    uint32_t slot, column;   /* of the first feature */
    union {
        struct lp_normalize_each each; /* LP_CLEAN_NUMBERS: from the first feature on */
        struct lp_normalize_same same; /* LP_CLEAN_VECTOR */
    } by;
};

struct lp_cleaner {
    uint32_t feature_count, column_count, step_count;
    struct lp_clean_feature *features; /* [feature_count] */
    struct lp_clean_step *steps;       /* [step_count] */
    const struct lp_normalize_kernel *kernel;
    double *low, *high, *center, *scale; /* by feature, for the kernel's loops over neighbours */
    size_t bytes;                        /* heap held */
};

/** The slow, complete way for one feature: every rule, every counter. */
LP_MUST_USE enum lp_code lp_clean_number(const struct lp_clean_feature *f, const double *values, double *row,
                                         double *observed, struct lp_clean_counts *counts, uint32_t *missing_count,
                                         struct lp_error *err);
LP_MUST_USE enum lp_code lp_clean_category(const struct lp_clean_feature *f, const struct lp_span *texts, double *row,
                                           double *observed, struct lp_clean_counts *counts, uint32_t *missing_count,
                                           struct lp_error *err);

LP_MUST_USE enum lp_code lp_clean_text(const struct lp_clean_feature *f, struct lp_span text, double *row,
                                       double *observed, struct lp_clean_counts *counts, uint32_t *missing_count,
                                       struct lp_error *err);
LP_MUST_USE enum lp_code lp_clean_time(const struct lp_clean_feature *f, double ms, double *row, double *observed,
                                       struct lp_clean_counts *counts, uint32_t *missing_count, struct lp_error *err);

/** 1 in the column of the value's bucket, 0 in the others; NaN in all for NaN. */
void lp_clean_bucket(const struct lp_feature *spec, double value, double *row);

/** (x - center) / scale, or the feature's own formula; NaN where log1p is not defined. */
double lp_clean_normalize(const struct lp_clean_feature *f, double x);

#endif
