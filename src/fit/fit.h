/* Data -> statistics of its columns -> the feature list of a bundle: what cleans in training is what cleans in serving.
 */
#ifndef LP_FIT_FIT_H
#define LP_FIT_FIT_H

#include "core/error.h"
#include "data/data.h"
#include "fit/distinct.h"
#include "fit/moments.h"
#include "fit/quantiles.h"
#include "fit/top.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

enum {
    LP_FIT_COLUMNS_MAX = 16384, /* as LP_BUNDLE_FEATURES_MAX */
    LP_FIT_THREADS_MAX = 64,
    LP_FIT_EXAMPLES_MAX = 5, /* rejected records that are told one by one */
    LP_FIT_VALUES_MAX = 64,  /* different numbers of a column that are counted one by one */
    LP_FIT_REASON_BYTES = 160,
    LP_FIT_CLASSES_MAX = 1000,
    LP_FIT_GAP_BYTES = 8,
};

enum lp_fit_kind {
    LP_FIT_NUMBER,
    LP_FIT_CATEGORY,
    LP_FIT_TEXT,
    LP_FIT_VECTOR,
    LP_FIT_TIME,
    LP_FIT_IDENTIFIER, /* names a record rather than tell about it: no feature */
    LP_FIT_CONSTANT,   /* one value only, or none: no feature */
    LP_FIT_LABEL,
    LP_FIT_DROPPED, /* by the caller's word */
    LP_FIT_OTHER,   /* no feature can take it: maps, arrays of records, ... */
};

/** A number and how often it was there. */
struct lp_fit_value {
    double value;
    uint64_t count;
};

/** What one pass found out about a column. */
struct lp_fit_column {
    const char *path; /* as a want names it; owned by the fit */
    enum lp_data_hint hint;
    enum lp_fit_kind kind;
    char reason[LP_FIT_REASON_BYTES]; /* why that kind */
    uint32_t width;                   /* of a vector; else 1 */
    int32_t want;                     /* its want in the pass; -1: it was not read */
    bool numeric;                     /* read as numbers (times too), else as texts */
    bool forced;                      /* the kind is the caller's word */
    bool hashed;                      /* likewise: no text of it is kept beyond the pass */
    double number_share;              /* of texts: how many of the first records' values are numbers */
    char gap[LP_FIT_GAP_BYTES];       /* a word among the first records' numbers that says there is none; or empty */

    uint64_t missing; /* null, empty, absent; of a vector: records with any such element */
    uint64_t seen;    /* values that were there: count = seen + missing, but for vectors */
    uint64_t refused; /* records that were rejected for what stands in this column */

    /* numbers; of a vector, all of its elements together */
    uint64_t infinite_low, infinite_high; /* in no other figure below */
    struct lp_moments moments;
    struct lp_quantiles quantiles;
    struct lp_quantiles_view view; /* after the pass */
    bool whole;                    /* every one is a whole number */
    bool whole_days;               /* every one is a day's first millisecond: dates without a time */
    struct lp_fit_value values[LP_FIT_VALUES_MAX];
    uint32_t value_count;              /* LP_FIT_VALUES_MAX + 1: there are more */
    struct lp_comoments with_label;    /* pairs (value, label), where the label is a number or has two classes */
    struct lp_comoments missing_label; /* pairs (1 when missing, label) */

    /* texts */
    struct lp_top top;
    uint64_t text_bytes, text_words, text_max_bytes;

    struct lp_distinct *distinct; /* owned */
    double distinct_count;        /* after the pass: exact where value_count or the top says it, else estimated */
};

/** One rejected record. */
struct lp_fit_example {
    char text[LP_ERROR_TEXT_BYTES]; /* "clicks.csv: line 12: price: "abc" is not a number" */
};

/** Something a person should know. */
struct lp_fit_warning {
    const char *column; /* NULL: about the data as a whole */
    char text[LP_ERROR_TEXT_BYTES];
};

/** Shift of one column against an earlier spec. */
struct lp_fit_skew {
    const char *column;
    double psi;                         /* over the old baseline's bins; NaN: nothing to compare */
    double missing_before, missing_now; /* rates */
    const char *verdict; /* "stable", "shifted", "moved", "not compared"; "absent", "new": in one only; static */
};

struct lp_fit {
    struct lp_data *data; /* owned; closed after the pass, but its names live on */
    struct lp_fit_column *columns;
    uint32_t column_count;
    int32_t label; /* column, or -1 */
    uint64_t records;
    uint64_t rejected;
    struct lp_fit_example examples[LP_FIT_EXAMPLES_MAX];
    uint32_t example_count;
    double repeated; /* records that are like an earlier one */
    bool repeated_is_estimate;
    struct lp_fit_warning *warnings;
    uint32_t warning_count;
    struct lp_fit_skew *skews;
    uint32_t skew_count;
    uint32_t threads;
    uint64_t bytes;
    uint64_t elapsed_ns;
    const char *format;
    uint32_t file_count;

    /* of the pass */
    struct lp_want *looks, *wants; /* owned: for the first records, for all */
    uint32_t want_count, number_count, text_count;
    json_t *asked;        /* owned: what the caller's spec says, as lists of features by path; NULL: nothing */
    const char *positive; /* owned; text label of two classes: the one that counts as 1; else NULL */
};

struct lp_fit_progress {
    uint64_t taken_bytes, total_bytes; /* total 0: not known */
    uint64_t records;
};

/** Zeroed: defaults. Pointers are borrowed for the call. */
struct lp_fit_options {
    const char *path;  /* as lp_data_open */
    const char *label; /* path of the label; NULL: none. Records without one are rejected */
    const char *const *drop;
    uint32_t drop_count;
    const char *const *hash; /* columns to be hashed: no text of theirs comes into the spec */
    uint32_t hash_count;     /* dropping and hashing stand above what the spec says */
    const json_t *spec;      /* {"features":[{"name":..., ...}]}: what is said there holds, the rest is fitted */
    const json_t *against;
    uint32_t threads; /* 0: as many as the CPUs of the affinity */
    void (*progress)(void *context, const struct lp_fit_progress *progress); /* now and then, from any thread, one at
                                                                                a time */
    void *context;
};

/**
 * Read the data once and decide what its columns are. Deterministic: the same data, whatever the threads.
 * @return as lp_data_open and lp_data_want; LP_E_NOT_FOUND (err->field) for a label or a column named in the options
 *         that is not there; LP_E_INVALID: no record was good, or a spec that is none
 */
LP_MUST_USE enum lp_code lp_fit_run(const struct lp_fit_options *options, struct lp_fit **ret_fit,
                                    struct lp_error *err);
void lp_fit_free(struct lp_fit *fit);

/** The feature list as {"features":[...]} of schemas/bundle.schema.json; the caller's json_decref. */
LP_MUST_USE enum lp_code lp_fit_spec(const struct lp_fit *fit, const struct lp_fit_options *options, json_t **ret_spec,
                                     struct lp_error *err);

/** Classes of the label in their order (numbers by value, texts by bytes), with how often each was there. */
struct lp_fit_class {
    const char *name; /* owned by the list */
    uint64_t count;
};
/**
 * @param ret_classes free() it: one block; NULL when the label is a number of many values (a regression)
 */
LP_MUST_USE enum lp_code lp_fit_classes(const struct lp_fit *fit, struct lp_fit_class **ret_classes,
                                        uint32_t *ret_count, struct lp_error *err);

/** Does a column of that kind become a feature? */
bool lp_fit_is_feature(enum lp_fit_kind kind);

/** "number", "category", ... */
const char *lp_fit_kind_name(enum lp_fit_kind kind);

#endif
