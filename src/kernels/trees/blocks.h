/*
 * Trees cut into blocks whose nodes are all compared at once. A tree's top is a complete tree of six levels: 63
 * compares in one vector give a 64-bit mask, two look-ups in a table of 128 entries (three levels each) turn the mask
 * into one of 64 exits. Below an exit hangs a leaf or a small block of three levels: 7 compares, one look-up, 8 exits.
 * Where a tree ends early, the nodes below are fillers and all their exits are the same leaf. Nothing here branches on
 * data.
 *
 * This is no bitvector scheme as in QuickScorer: nodes are neither sorted by threshold nor combined by masks of leaves;
 * each tree's own path is read from its own compares, top to bottom.
 */
#ifndef LP_KERNELS_TREES_BLOCKS_H
#define LP_KERNELS_TREES_BLOCKS_H

#include "kernels/trees/slots.h"

enum {
    LP_TOP_LEVELS = 6,
    LP_TOP_EXITS = 64,
    LP_SMALL_LEVELS = 3,
    LP_SMALL_EXITS = 8,
    LP_PATTERNS = 128, /* of 7 compares */
};

/** Node i goes right where the row's byte[slot[i]] >= rank[i]. Order: three levels in breadth-first order, then the
 * eight three-level trees below, left to right; the last entry is a filler. */
struct lp_top {
    uint8_t slot[LP_TOP_EXITS], rank[LP_TOP_EXITS];
};

/** In a model of two levels every exit of a top has such a block, in place, and the leaves' values are at hand. */
struct lp_float_small {
    uint8_t slot[LP_SMALL_EXITS], rank[LP_SMALL_EXITS];
    float value[LP_SMALL_EXITS];
};

struct lp_double_small {
    uint8_t slot[LP_SMALL_EXITS], rank[LP_SMALL_EXITS];
    double value[LP_SMALL_EXITS];
};

/** An exit is a leaf's number with LP_EXIT_LEAF, or the number of a small block. */
struct lp_small {
    uint8_t slot[LP_SMALL_EXITS], rank[LP_SMALL_EXITS];
    uint32_t exit[LP_SMALL_EXITS];
};

#define LP_EXIT_LEAF 0x80000000u

/* By the deepest tree; the first two take one output and leaves of single numbers only. */
enum lp_blocks_form {
    LP_BLOCKS_FLAT, /* at most 6 levels: tops and values */
    LP_BLOCKS_TWO,  /* at most 9: tops, then a small block each */
    LP_BLOCKS_DEEP, /* tops, then small blocks until a leaf is reached */
};

struct lp_blocks {
    const struct lp_trees *trees; /* borrowed */
    struct lp_slots slots;
    enum lp_blocks_form form;
    struct lp_top *top; /* [tree_count] */
    uint32_t small_count;
    /* Flat, XGBoost's or LightGBM's: [tree_count] */
    float (*float_value)[LP_TOP_EXITS];
    double (*double_value)[LP_TOP_EXITS];
    /* Two: [tree_count] */
    struct lp_float_small (*float_small)[LP_TOP_EXITS];
    struct lp_double_small (*double_small)[LP_TOP_EXITS];
    /* Deep */
    uint32_t (*exit)[LP_TOP_EXITS]; /* [tree_count] */
    struct lp_small *small;         /* [small_count] */
    float *float_leaf;              /* [leaf_count], XGBoost's single numbers */
    size_t bytes;                   /* heap held */
};

/* Entry m of the tables: where the three levels of compares m lead, 0 to 7 from left to right. */
extern const uint8_t lp_path_of[LP_PATTERNS];
/* The same p as 8 * p << 6 | 7 + 7 * p: the first of its exits, and the first bit of the tree of three levels there. */
extern const uint16_t lp_subtree_of[LP_PATTERNS];

/** One instruction set's way through the blocks; a row's bits are the same with each. */
struct lp_blocks_kernel {
    const char *name;
    uint32_t slots_max;
    uint32_t group_rows_min; /* from here on tops are bit-sliced */
    size_t scratch_bytes;
    /** values, row_count, stride, margins as in lp_trees_run; margins hold the base. */
    void (*run)(const struct lp_blocks *blocks, const double *values, uint32_t row_count, size_t stride,
                double *margins, void *scratch);
};

#define LP_TREES_KERNEL(isa, usable) extern const struct lp_blocks_kernel lp_trees_##isa;
#include "kernels/trees/kernels.inc"
#undef LP_TREES_KERNEL

/** One output, leaves of single numbers. */
bool lp_blocks_single(const struct lp_blocks *blocks);

/** Add to the sums of rows what one tree gives them; exits[r] is row r's leaf. rows, stride, margins as in
 * lp_trees_run. */
void lp_blocks_add_rows(const struct lp_blocks *blocks, uint32_t tree, uint32_t row_count, const uint32_t *exits,
                        const double *rows, size_t stride, double *margins);

/** @return LP_E_UNSUPPORTED (too many slots), LP_E_LIMIT, LP_E_MEMORY */
LP_MUST_USE enum lp_code lp_blocks_new(const struct lp_trees *trees, struct lp_blocks **ret_blocks,
                                       struct lp_error *err);
void lp_blocks_free(struct lp_blocks *blocks);

#endif
