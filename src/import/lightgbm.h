/* What the files of LightGBM's importer share. Private to import/. */
#ifndef LP_IMPORT_LIGHTGBM_H
#define LP_IMPORT_LIGHTGBM_H

#include "import/draft.h"
#include "import/lines.h"

/** The lines of one tree; arrays of int64_t and double, cleared for each tree. */
struct lp_lightgbm_tree {
    int64_t leaf_count, set_count, is_linear;
    struct lp_buffer split_feature, decision_type, left, right, boundaries, words, terms, term_columns; /* int64_t */
    struct lp_buffer threshold, leaf_value, leaf_const, term_coefficients;                              /* double */
    struct lp_buffer nodes, set_begin, set_words, linear_begin, linear_column; /* as struct lp_raw_tree wants them */
};

struct lp_lightgbm {
    struct lp_lines lines;
    struct lp_draft *draft;
    int64_t class_count, trees_per_iteration, feature_max;
    bool averages, has_end;
    uint32_t size_count; /* entries of tree_sizes */
    struct lp_span version, objective, names, infos, pandas;
    struct lp_lightgbm_tree tree;
};

/** The lines of one tree behind `Tree=`, to the empty line after them; appended to the draft's forest. */
LP_MUST_USE enum lp_code lp_lightgbm_tree_read(struct lp_lightgbm *file, struct lp_error *err);
void lp_lightgbm_tree_init(struct lp_lightgbm_tree *tree, size_t bytes_max);
void lp_lightgbm_tree_done(struct lp_lightgbm_tree *tree);

/** Names, and the names of categories that pandas had. */
LP_MUST_USE enum lp_code lp_lightgbm_features(struct lp_lightgbm *file, struct lp_error *err);

/** Task and link of the objective's line. */
LP_MUST_USE enum lp_code lp_lightgbm_objective(struct lp_lightgbm *file, struct lp_error *err);

#endif
