/* What the parts of fit/ share. */
#ifndef LP_FIT_PRIVATE_H
#define LP_FIT_PRIVATE_H

#include "fit/fit.h"
#include "fit/repeats.h"

/** What a sample of a column's texts looks like. */
struct lp_fit_sample {
    uint64_t seen, missing;
    uint64_t numbers, leading_zeros, whole, times;
    uint64_t bytes, words;
    uint32_t distinct; /* up to LP_FIT_SAMPLE_DISTINCT_MAX */
    bool stamps;       /* whole numbers that would be milliseconds or seconds of this century */
};

/** The state of one pass that the threads share. */
struct lp_fit_pass {
    struct lp_fit *fit;
    const struct lp_want *wants;
    uint32_t want_count, number_count, text_count;
    const uint32_t *column_of_want;
    uint32_t block_rows; /* at most so many records are taken together */
    /* the label as a number: its want, or the second of two classes */
    int32_t label_want;
    const char *positive; /* text label of two classes: the one that is 1; NULL: no number */
    struct lp_repeats repeats;
    const struct lp_fit_options *options;
};

/** Names and first records -> kinds and wants; fit->columns, fit->label are set. */
LP_MUST_USE enum lp_code lp_fit_look(struct lp_fit *fit, const struct lp_fit_options *options, struct lp_chunk *first,
                                     struct lp_error *err);
/** All records, by threads. @param first a chunk to begin with, or one of size 0 */
LP_MUST_USE enum lp_code lp_fit_scan(struct lp_fit_pass *pass, struct lp_chunk *first, struct lp_error *err);

/* --- a block: up to block_rows records of one chunk, taken together --- */
struct lp_fit_block;
LP_MUST_USE enum lp_code lp_fit_block_new(const struct lp_fit_pass *pass, struct lp_fit_block **ret_block,
                                          struct lp_error *err);
void lp_fit_block_free(struct lp_fit_block *block);
void lp_fit_block_clear(struct lp_fit_block *block);
bool lp_fit_block_is_full(const struct lp_fit_block *block);
/** LP_E_INVALID with LP_SKIP_RECORD: no label. */
LP_MUST_USE enum lp_code lp_fit_block_add(struct lp_fit_block *block, const struct lp_record *record,
                                          struct lp_error *err);
/** What one thread can do alone: sums and sorting. */
void lp_fit_block_finish(struct lp_fit_block *block);
/** Into the fit; one thread at a time, in the order of the records. */
LP_MUST_USE enum lp_code lp_fit_block_merge(struct lp_fit_block *block, struct lp_fit_pass *pass, struct lp_error *err);

/** Kinds from the statistics, warnings. */
LP_MUST_USE enum lp_code lp_fit_judge(struct lp_fit *fit, struct lp_error *err);
LP_MUST_USE enum lp_code lp_fit_warn(struct lp_fit *fit, const char *column, struct lp_error *err, const char *format,
                                     ...) __attribute__((format(printf, 4, 5)));
/** Bytes that are no UTF-8, and what a cut left of a character, become `?`: JSON takes nothing else. */
void lp_fit_mend_text(char *text);
/** Mean and sum of squares of the label as a number; false: it is none. */
bool lp_fit_label_sums(const struct lp_fit *fit, double *ret_mean, double *ret_m2);
LP_MUST_USE enum lp_code lp_fit_compare(struct lp_fit *fit, const json_t *against, struct lp_error *err);

/** The features of the caller's spec made of that column (by `from`, else by their name), or NULL. */
const json_t *lp_fit_asked(const struct lp_fit *fit, const char *path);
/** The first of them that is no cross, or NULL. */
const json_t *lp_fit_asked_plain(const struct lp_fit *fit, const char *path);
bool lp_fit_is_named(const char *const *names, uint32_t count, const char *name);

#endif
