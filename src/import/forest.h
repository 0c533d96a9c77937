/* Trees as a library's file has them, appended to the flat arrays of a bundle's trees op: preorder, left first. */
#ifndef LP_IMPORT_FOREST_H
#define LP_IMPORT_FOREST_H

#include "core/buffer.h"
#include "core/error.h"

#include <stdbool.h>
#include <stdint.h>

/* Words of category sets, over all trees: a set is as long as its largest category, whatever the file's size. */
enum { LP_FOREST_WORDS_MAX = 6 << 20, LP_FOREST_INFINITE = 16 /* the bundle's flag of an infinite threshold */ };

/** One node as the file numbers it. */
struct lp_raw_node {
    bool is_leaf;
    uint8_t flags;    /* of kernels/trees/trees.h */
    uint32_t column;  /* split */
    double threshold; /* numeric split */
    int64_t left, right;
    uint32_t set;  /* categorical split: which of the tree's sets */
    uint32_t leaf; /* leaf: which of the tree's leaves */
};

/** One tree; node 0 is the root. Nodes that nothing leads to are left out. Borrowed for the call. */
struct lp_raw_tree {
    uint32_t node_count;
    const struct lp_raw_node *nodes;
    uint32_t set_count;
    const uint32_t *set_begin; /* [set_count + 1] in set_words */
    const uint32_t *set_words;
    uint32_t leaf_count;
    const double *leaf_value;     /* [leaf_count][forest's leaf_width] */
    const uint32_t *linear_begin; /* NULL, or [leaf_count + 1] */
    const uint32_t *linear_column;
    const double *linear_coefficient, *linear_constant;
    uint32_t output;
};

/** How far the arrays are before a tree. */
struct lp_forest_mark {
    uint32_t node, leaf, set, word, term;
};

/** Arrays of struct lp_trees, as bytes. */
struct lp_forest {
    uint32_t leaf_width;  /* set before the first tree */
    bool allows_infinity; /* LightGBM, ONNX: infinite thresholds; set before the first tree */
    bool is_linear;       /* some tree had linear leaves */
    struct lp_buffer column, threshold, left, right, flags, index;
    struct lp_buffer root, output;
    struct lp_buffer set_begin, set_words;
    struct lp_buffer leaf_value;
    struct lp_buffer linear_begin, linear_column, linear_coefficient, linear_constant;
    struct lp_buffer marks; /* struct lp_forest_mark, one a tree */
    struct lp_buffer stack, seen;
};

/** @param bytes_max of each array */
void lp_forest_init(struct lp_forest *forest, size_t bytes_max);
void lp_forest_done(struct lp_forest *forest);

uint32_t lp_forest_tree_count(const struct lp_forest *forest);

/**
 * Check that the nodes are a tree and append them.
 * @return LP_E_INVALID: a child out of range, a node that two ways lead to (a cycle is one); LP_E_LIMIT, LP_E_MEMORY
 * Cost: linear in the nodes that are reached, on a stack of its own.
 */
LP_MUST_USE enum lp_code lp_forest_add(struct lp_forest *forest, const struct lp_raw_tree *tree, struct lp_error *err);

/** Keep the first trees only. */
void lp_forest_truncate(struct lp_forest *forest, uint32_t tree_count);

/** Multiply a tree's leaves by `weight`, in float as XGBoost's dart does. */
void lp_forest_scale(struct lp_forest *forest, uint32_t tree, float weight);

/** The last offset of sets and linear terms: nothing is added any more. */
LP_MUST_USE enum lp_code lp_forest_finish(struct lp_forest *forest, struct lp_error *err);

#endif
