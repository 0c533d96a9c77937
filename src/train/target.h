/* Target means of categories, for rows to learn from: out of fold. */
#ifndef LP_TRAIN_TARGET_H
#define LP_TRAIN_TARGET_H

#include "train/table.h"

enum {
    LP_TARGET_FOLDS = 5,
    LP_TARGET_PRIOR_ROWS = 20, /* as fit: rows that the mean of all counts as, beside a value's own */
};

/**
 * A feature with target means stands for its category by the mean label of the rows that share it. Where a row's own
 * label is part of that mean, the feature tells the label: of a category that few rows share, it tells it outright. The
 * network then learns to read the label off the feature, the training loss falls to nothing, and in serving, where the
 * record's label is in no mean, the model is worthless (D. Micci-Barreca, 2001, for the means; "target leakage").
 *
 * So each row learns with the mean of its category over the rows of the other LP_TARGET_FOLDS - 1 folds, its own fold
 * left out, and rows that validate with the mean over all rows that are learned from, none of which is theirs: what is
 * measured there is what serving sees. Both are drawn towards the mean of all rows that are learned from, with the
 * weight of LP_TARGET_PRIOR_ROWS rows, and are that mean for a category that no such row has. The bundle keeps the
 * means of `lepton fit`, over all records.
 *
 * @param table    in/out: the columns of features with target means are set anew, in this rank's rows
 * @param features that the table was read with
 * @param order    train_count rows to learn from, then the others of the table
 * @param seed     of the folds: the same rows and seed give the same folds, whatever the threads and ranks
 * @return LP_E_MEMORY
 */
LP_MUST_USE enum lp_code lp_target_encode(struct lp_table *table, const struct lp_bundle *features,
                                          const uint32_t *order, uint32_t train_count, uint64_t seed,
                                          struct lp_error *err);

/** The fold of a row, 0 to LP_TARGET_FOLDS - 1: by its number and the seed alone. */
uint32_t lp_target_fold(uint32_t row, uint64_t seed);

#endif
