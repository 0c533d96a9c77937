/* Which rows are learned from and which validate. */
#ifndef LP_TRAIN_SPLIT_H
#define LP_TRAIN_SPLIT_H

#include "core/error.h"

#include <stdint.h>

enum lp_split_kind { LP_SPLIT_NONE, LP_SPLIT_RANDOM, LP_SPLIT_LAST, LP_SPLIT_TIME, LP_SPLIT_GROUP };

/** A part: `share` of the rows, or `rows` of them where it is 0. */
struct lp_split_rule {
    enum lp_split_kind kind;
    double share;
    uint32_t rows;
};

/** "none", "0.1", "100", "last:100", "last:0.1", "time:0.2", "group:0.2". LP_E_INVALID. */
LP_MUST_USE enum lp_code lp_split_parse(const char *text, struct lp_split_rule *ret_rule, struct lp_error *err);

struct lp_split_rows {
    uint32_t row_count;
    const uint32_t *class_of; /* random: each class gives its share; NULL: no classes */
    uint32_t class_count;
    const double *time;    /* of LP_SPLIT_TIME: the latest rows validate; those of one time stay together */
    const uint32_t *group; /* of LP_SPLIT_GROUP: whole groups, drawn by the seed */
    uint64_t seed;
};

/**
 * @param ret_order owned: first the rows to learn from, then those to validate with, each part in rising order
 * @return LP_E_INVALID when a part would be empty; LP_E_MEMORY
 */
LP_MUST_USE enum lp_code lp_split_run(const struct lp_split_rule *rule, const struct lp_split_rows *rows,
                                      uint32_t **ret_order, uint32_t *ret_valid_count, struct lp_error *err);

/** Fold `fold` of `fold_count` validates; the folds of one seed are disjoint. Groups stay whole where they are given.
 */
LP_MUST_USE enum lp_code lp_split_fold(const struct lp_split_rows *rows, uint32_t fold, uint32_t fold_count,
                                       uint32_t **ret_order, uint32_t *ret_valid_count, struct lp_error *err);

#endif
