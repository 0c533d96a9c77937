/* What the files of XGBoost's importer share. Private to import/. */
#ifndef LP_IMPORT_XGBOOST_H
#define LP_IMPORT_XGBOOST_H

#include "import/document.h"
#include "import/draft.h"

enum { LP_XGBOOST_WORD_BYTES = 64 };

/** The arrays of the tree that is being read; cleared for each. */
struct lp_xgboost_tree {
    struct lp_buffer left, right, default_left, split_index, split_type;            /* int64_t */
    struct lp_buffer categories, category_nodes, category_segments, category_sizes; /* int64_t */
    struct lp_buffer condition, leaf_weights, base_weights;                         /* float */
    size_t base_weights_at;                                                         /* byte of the file, 0: none */
    int64_t leaf_size;                                                              /* size_leaf_vector */
    struct lp_buffer nodes, set_begin, set_words, leaf_values; /* as struct lp_raw_tree wants them */
};

/** Everything a file says, in whatever order. */
struct lp_xgboost {
    struct lp_document document;
    struct lp_draft *draft;
    const struct lp_import_options *options;
    char booster[LP_XGBOOST_WORD_BYTES], objective[LP_XGBOOST_WORD_BYTES];
    struct lp_buffer base_score; /* text */
    int64_t best_iteration;      /* -1: the file says nothing */
    int64_t class_count, target_count, feature_count, parallel_count, tree_count, linear_rounds;
    int64_t version[3];
    uint32_t version_count;
    bool has_learner, has_trees, has_weights;
    struct lp_buffer names, types;                /* const char * */
    struct lp_buffer vocabularies;                /* struct lp_draft_feature, one a feature, without names */
    struct lp_buffer tree_info, iteration_indptr; /* int64_t */
    struct lp_buffer weight_drop, weights;        /* float */
    struct lp_buffer enc_offsets, enc_values;     /* int64_t, of the categories that are being read */
    uint32_t set_words_read; /* words of category sets in the trees read so far, whether a node reaches them or not */
    struct lp_xgboost_tree tree;
};

/** A member of an object and what reads its value. */
struct lp_xgboost_member {
    const char *name;
    enum lp_code (*read)(struct lp_xgboost *file, struct lp_error *err);
};

/** The object that comes next: known members through `members` (ends with a NULL name), others passed over. */
LP_MUST_USE enum lp_code lp_xgboost_object(struct lp_xgboost *file, const struct lp_xgboost_member *members,
                                           const char *what, struct lp_error *err);

/** The array that comes next, as int64_t or float; refused when `to` has something: the member is there twice. */
LP_MUST_USE enum lp_code lp_xgboost_wholes(struct lp_document *document, const char *what, struct lp_buffer *to,
                                           struct lp_error *err);
LP_MUST_USE enum lp_code lp_xgboost_floats(struct lp_document *document, const char *what, struct lp_buffer *to,
                                           struct lp_error *err);

/** A whole number from low to high, as a number or as a text of digits. */
LP_MUST_USE enum lp_code lp_xgboost_whole(struct lp_xgboost *file, const char *what, int64_t low, int64_t high,
                                          int64_t *ret_whole, struct lp_error *err);

/** One tree, appended to the draft's forest. */
LP_MUST_USE enum lp_code lp_xgboost_tree_read(struct lp_xgboost *file, struct lp_error *err);

/** The `cats` of 3.x: names of categories. */
LP_MUST_USE enum lp_code lp_xgboost_categories_read(struct lp_xgboost *file, struct lp_error *err);

/** Task, link, base margins, trees that count, features: when the whole file is read. */
LP_MUST_USE enum lp_code lp_xgboost_finish(struct lp_xgboost *file, struct lp_error *err);

static inline const int64_t *lp_wholes(const struct lp_buffer *buffer)
{
    return (const int64_t *)(const void *)buffer->data;
}
static inline size_t lp_wholes_count(const struct lp_buffer *buffer) { return buffer->size / sizeof(int64_t); }
static inline const float *lp_floats(const struct lp_buffer *buffer)
{
    return (const float *)(const void *)buffer->data;
}
static inline size_t lp_floats_count(const struct lp_buffer *buffer) { return buffer->size / sizeof(float); }

#endif
