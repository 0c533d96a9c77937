/* Random and adversarial tree ensembles for the kernels' test. */
#ifndef TESTS_KERNELS_FOREST_H
#define TESTS_KERNELS_FOREST_H

#include "kernels/trees/trees.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FOREST_SETS = 40, FOREST_SET_WORDS = 3, FOREST_TERMS = 3 };

struct shape {
    const char *name;
    enum lp_trees_compare compare;
    uint32_t columns, outputs, trees;
    uint32_t depth_max;    /* of a path */
    uint32_t grow_percent; /* chance that a node above depth_max is split */
    bool chain;            /* one child of every node is a leaf */
    uint32_t thresholds;   /* distinct ones a column; 0: each node its own */
    uint32_t category_percent, linear_percent;
    bool vector_leaves;
    uint32_t modes; /* ways of treating missing values that occur, 1 to 5 */
};

struct forest {
    struct lp_trees trees;
    uint32_t *root, *output, *left, *right, *index, *set_begin, *set_words, *linear_begin, *linear_column;
    int32_t *column;
    double *threshold, *leaf_value, *linear_coefficient, *linear_constant, *base;
    uint8_t *flags;
    uint32_t capacity, term_count;
};

static uint64_t forest_state = 0x9E3779B97F4A7C15u;

static inline uint32_t draw(uint32_t below)
{
    forest_state ^= forest_state << 13;
    forest_state ^= forest_state >> 7;
    forest_state ^= forest_state << 17;
    return (uint32_t)((forest_state >> 20) % below);
}

static inline void *forest_take(size_t count, size_t size)
{
    void *memory = calloc(count + 1, size);
    if (memory == NULL) abort();
    return memory;
}

/* What thresholds and values are drawn from, so that they often meet; `k` chooses among `distinct`. */
static inline double pool_value(const struct shape *shape, uint32_t k)
{
    static const double special[] = {0.0,    -0.0, 1e-40, -1e-40, 1e-35, 1.0000001e-35,
                                     -1e-35, 1e30, -1e30, 0.5,    1.0,   2.0};
    if (k < sizeof special / sizeof *special) {
        return shape->compare == LP_TREES_XGBOOST ? (double)(float)special[k] : special[k];
    }
    double value = ((double)k - 60.0) / 7.0;
    return shape->compare == LP_TREES_XGBOOST ? (double)(float)value : value;
}

static inline void add_terms(struct forest *f, const struct shape *shape, uint32_t leaf)
{
    f->linear_constant[leaf] = (double)draw(1000) / 313.0 - 1.0;
    uint32_t terms = draw(100) < shape->linear_percent ? draw(FOREST_TERMS) + 1 : 0;
    for (uint32_t i = 0; i < terms; i++) {
        f->linear_column[f->term_count] = draw(shape->columns);
        f->linear_coefficient[f->term_count++] = (double)draw(1000) / 777.0 - 0.5;
    }
    f->linear_begin[leaf + 1] = f->term_count;
}

static inline void make_leaf(struct forest *f, const struct shape *shape, uint32_t node)
{
    uint32_t leaf = f->trees.leaf_count++;
    f->column[node] = LP_TREES_LEAF;
    f->index[node] = leaf;
    for (uint32_t w = 0; w < f->trees.leaf_width; w++) {
        double value = (double)draw(100000) / 33333.0 - 1.3;
        f->leaf_value[(size_t)leaf * f->trees.leaf_width + w] =
            shape->compare == LP_TREES_XGBOOST ? (double)(float)value : value;
    }
    if (shape->linear_percent > 0) add_terms(f, shape, leaf);
}

static inline void make_split(struct forest *f, const struct shape *shape, uint32_t node)
{
    bool xgboost = shape->compare == LP_TREES_XGBOOST;
    uint32_t mode = draw(shape->modes);
    f->column[node] = (int32_t)draw(shape->columns);
    f->threshold[node] = pool_value(shape, shape->thresholds != 0 ? draw(shape->thresholds) : draw(100000));
    if (mode % 2 == 1) f->flags[node] |= LP_TREES_DEFAULT_LEFT;
    if (draw(100) < shape->category_percent) {
        f->flags[node] |= LP_TREES_CATEGORICAL;
        f->index[node] = draw(f->trees.set_count);
    } else if (xgboost || mode == 2 || mode == 3) {
        f->flags[node] |= LP_TREES_MISSING_NAN;
    } else if (mode == 4 || mode == 1) {
        f->flags[node] |= LP_TREES_MISSING_ZERO;
    }
}

/* Grown breadth first, with an explicit queue: chains may be long. */
static inline void make_tree(struct forest *f, const struct shape *shape, uint32_t tree, uint32_t nodes_max)
{
    uint32_t first = f->trees.node_count, *depth = forest_take(nodes_max, sizeof *depth);
    f->root[tree] = first;
    f->output[tree] = draw(shape->outputs);
    f->trees.node_count = first + 1;
    for (uint32_t n = first; n < f->trees.node_count; n++) {
        uint32_t level = depth[n - first];
        bool room = f->trees.node_count - first + 2 <= nodes_max && level < shape->depth_max;
        bool grow = shape->chain ? n == first || n % 2 == (first + 1) % 2 : draw(100) < shape->grow_percent;
        if (!room || !grow) {
            make_leaf(f, shape, n);
            continue;
        }
        make_split(f, shape, n);
        bool swap = draw(2) == 0; /* children need not be in order */
        f->left[n] = f->trees.node_count + (swap ? 1 : 0);
        f->right[n] = f->trees.node_count + (swap ? 0 : 1);
        depth[f->trees.node_count - first] = depth[f->trees.node_count + 1 - first] = level + 1;
        f->trees.node_count += 2;
    }
    free(depth);
}

static inline void forest_init(struct forest *f, const struct shape *shape)
{
    uint32_t tree_nodes =
        shape->chain ? 2 * shape->depth_max + 1 : (shape->depth_max < 11 ? (2u << shape->depth_max) : 4000);
    size_t nodes = (size_t)tree_nodes * shape->trees + 1;
    memset(f, 0, sizeof *f);
    f->trees.leaf_width = shape->vector_leaves ? shape->outputs : 1;
    f->root = forest_take(shape->trees, sizeof *f->root);
    f->output = forest_take(shape->trees, sizeof *f->output);
    f->left = forest_take(nodes, sizeof *f->left);
    f->right = forest_take(nodes, sizeof *f->right);
    f->index = forest_take(nodes, sizeof *f->index);
    f->column = forest_take(nodes, sizeof *f->column);
    f->threshold = forest_take(nodes, sizeof *f->threshold);
    f->flags = forest_take(nodes, sizeof *f->flags);
    f->leaf_value = forest_take(nodes * f->trees.leaf_width, sizeof *f->leaf_value);
    f->linear_begin = forest_take(nodes + 1, sizeof *f->linear_begin);
    f->linear_column = forest_take(nodes * FOREST_TERMS, sizeof *f->linear_column);
    f->linear_coefficient = forest_take(nodes * FOREST_TERMS, sizeof *f->linear_coefficient);
    f->linear_constant = forest_take(nodes, sizeof *f->linear_constant);
    f->base = forest_take(shape->outputs, sizeof *f->base);
    f->set_begin = forest_take(FOREST_SETS + 1, sizeof *f->set_begin);
    f->set_words = forest_take(FOREST_SETS * FOREST_SET_WORDS, sizeof *f->set_words);
    f->trees.set_count = 1 + draw(FOREST_SETS);
    for (uint32_t s = 0; s < f->trees.set_count; s++) {
        uint32_t words = draw(FOREST_SET_WORDS + 1); /* an empty set is legal */
        for (uint32_t w = 0; w < words; w++) f->set_words[f->set_begin[s] + w] = draw(UINT32_MAX);
        f->set_begin[s + 1] = f->set_begin[s] + words;
    }
    for (uint32_t t = 0; t < shape->trees; t++) make_tree(f, shape, t, tree_nodes);
    for (uint32_t o = 0; o < shape->outputs; o++) f->base[o] = (double)(float)draw(1000) / 8.0;
    bool linear = shape->linear_percent > 0;
    struct lp_trees *trees = &f->trees;
    trees->compare = shape->compare;
    trees->column_count = shape->columns;
    trees->output_count = shape->outputs;
    trees->tree_count = shape->trees;
    trees->root = f->root;
    trees->output = f->output;
    trees->left = f->left;
    trees->right = f->right;
    trees->index = f->index;
    trees->column = f->column;
    trees->threshold = f->threshold;
    trees->flags = f->flags;
    trees->set_begin = f->set_begin;
    trees->set_words = f->set_words;
    trees->leaf_value = f->leaf_value;
    trees->linear_begin = linear ? f->linear_begin : NULL;
    trees->linear_column = linear ? f->linear_column : NULL;
    trees->linear_coefficient = linear ? f->linear_coefficient : NULL;
    trees->linear_constant = linear ? f->linear_constant : NULL;
    trees->base = draw(4) == 0 ? NULL : f->base;
    trees->divisor = draw(3) == 0 ? 7.0 : 1.0;
}

static inline void forest_done(struct forest *f)
{
    void *all[] = {f->root,           f->output,    f->left,         f->right,         f->index,
                   f->column,         f->threshold, f->flags,        f->leaf_value,    f->base,
                   f->set_begin,      f->set_words, f->linear_begin, f->linear_column, f->linear_coefficient,
                   f->linear_constant};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]);
}

/* Values at, just beside and far from thresholds; categories in and out of range; what is missing or no number. */
static inline double forest_value(const struct forest *f, const struct shape *shape)
{
    static const double special[] = {NAN,          INFINITY,
                                     -INFINITY,    0.0,
                                     -0.0,         DBL_TRUE_MIN,
                                     1e-45,        -1e-45,
                                     DBL_MIN,      -0.5,
                                     -1.0,         95.0,
                                     96.0,         97.5,
                                     -0.999,       1e10,
                                     2147483648.0, 1.5,
                                     16777216.0,   31.0,
                                     2147483647.0, 4294967296.0 + 3.0,
                                     0.7,          -3.0};
    uint32_t kind = draw(10);
    if (kind < 2) return special[draw(sizeof special / sizeof *special)];
    if (kind < 4) return (double)draw(100);
    double value = f->trees.node_count > 0 && kind < 8
                       ? f->threshold[draw(f->trees.node_count)]
                       : pool_value(shape, shape->thresholds != 0 ? draw(shape->thresholds) : draw(100000));
    switch (draw(6)) {
    case 0: return nextafter(value, INFINITY);
    case 1: return nextafter(value, -INFINITY);
    case 2: return (double)nextafterf((float)value, INFINITY);
    case 3: return (double)nextafterf((float)value, -INFINITY);
    default: return value;
    }
}

#endif
