/* Reference: walks the arrays as they are, a row and a tree at a time. Takes every ensemble. */
#include "kernels/trees/trees_private.h"

#include <math.h>

static bool in_set(const struct lp_trees *trees, uint32_t set, uint32_t category)
{
    uint32_t begin = trees->set_begin[set], words = trees->set_begin[set + 1] - begin;
    return category / 32 < words && (trees->set_words[begin + category / 32] >> category % 32 & 1) != 0;
}

static bool xgboost_goes_left(const struct lp_trees *trees, uint32_t node, float value)
{
    enum { CATEGORIES = 1 << 24 };
    uint8_t flags = trees->flags[node];
    if (isnan(value)) return (flags & LP_TREES_DEFAULT_LEFT) != 0;
    if ((flags & LP_TREES_CATEGORICAL) == 0) return value < (float)trees->threshold[node];
    if (value < 0.0f || value >= (float)CATEGORIES) return true;
    return !in_set(trees, trees->index[node], (uint32_t)value);
}

static bool lightgbm_goes_left(const struct lp_trees *trees, uint32_t node, double value)
{
    uint8_t flags = trees->flags[node];
    if (fabs(value) <= LP_LIGHTGBM_ZERO) value = 0.0;
    if ((flags & LP_TREES_CATEGORICAL) != 0)
        return value > -1.0 && value < 2147483648.0 && in_set(trees, trees->index[node], (uint32_t)(int32_t)value);
    bool missing = isnan(value) && (flags & (LP_TREES_MISSING_NAN | LP_TREES_MISSING_ZERO)) != 0;
    if (isnan(value)) value = 0.0;
    if (missing || (value == 0.0 && (flags & LP_TREES_MISSING_ZERO) != 0)) return (flags & LP_TREES_DEFAULT_LEFT) != 0;
    return value <= trees->threshold[node];
}

bool lp_trees_goes_left(const struct lp_trees *trees, uint32_t node, double value)
{
    return trees->compare == LP_TREES_XGBOOST ? xgboost_goes_left(trees, node, (float)value)
                                              : lightgbm_goes_left(trees, node, value);
}

uint32_t lp_trees_walk(const struct lp_trees *trees, uint32_t tree, const double *row)
{
    uint32_t node = trees->root[tree];
    while (trees->column[node] != LP_TREES_LEAF)
        node = lp_trees_goes_left(trees, node, row[trees->column[node]]) ? trees->left[node] : trees->right[node];
    return node;
}

void lp_trees_leaves(const struct lp_trees *trees, const double *row, uint32_t *ret_nodes)
{
    for (uint32_t t = 0; t < trees->tree_count; t++) ret_nodes[t] = lp_trees_walk(trees, t, row);
}

static double linear(const struct lp_trees *trees, uint32_t leaf, const double *row)
{
    double sum = trees->linear_constant[leaf];
    for (uint32_t i = trees->linear_begin[leaf]; i < trees->linear_begin[leaf + 1]; i++) {
        double value = row[trees->linear_column[i]];
        if (isnan(value)) return trees->leaf_value[leaf];
        sum += trees->linear_coefficient[i] * (fabs(value) <= LP_LIGHTGBM_ZERO ? 0.0 : value);
    }
    return sum;
}

static double add(const struct lp_trees *trees, double sum, double value)
{
    return trees->compare == LP_TREES_XGBOOST ? (double)((float)sum + (float)value) : sum + value;
}

void lp_trees_add_leaf(const struct lp_trees *trees, uint32_t tree, uint32_t leaf, const double *row, double *margins)
{
    if (trees->leaf_width == 1) {
        double value = trees->linear_begin != NULL ? linear(trees, leaf, row) : trees->leaf_value[leaf];
        double *to = &margins[trees->output[tree]];
        *to = add(trees, *to, value);
        return;
    }
    for (uint32_t o = 0; o < trees->output_count; o++)
        margins[o] = add(trees, margins[o], trees->leaf_value[(size_t)leaf * trees->leaf_width + o]);
}

void lp_trees_scalar_run(const struct lp_trees *trees, const double *rows, uint32_t row_count,
                         size_t row_stride_doubles, double *margins)
{
    for (uint32_t r = 0; r < row_count; r++, rows += row_stride_doubles, margins += trees->output_count)
        for (uint32_t t = 0; t < trees->tree_count; t++)
            lp_trees_add_leaf(trees, t, trees->index[lp_trees_walk(trees, t, rows)], rows, margins);
}
