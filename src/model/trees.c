/*
 * The trees op: an ensemble in tensors. Children come after their parent and in its tree's range, and each node but a
 * root is the child of exactly one: that is a forest, found in one pass, whatever the depth.
 */
#include "model/array.h"
#include "model/manifest.h"

#include <math.h>

const char *const lp_trees_members[] = {"op",    "input",   "output", "library", "outputs", "base",
                                        "trees", "divisor", "nodes",  "sets",    "leaves",  NULL};

static const char *const libraries[] = {[LP_TREES_XGBOOST] = "xgboost", [LP_TREES_LIGHTGBM] = "lightgbm"};

/* In a file: the threshold is +infinity, or where the tensor has a number below 0 -infinity, which no tensor can say
 * (LightGBM: all but missing values go left; XGBoost: none does below -infinity). */
enum { FLAG_INFINITE = 16 };

static enum lp_code read_tensor(const struct lp_bundle *bundle, const struct lp_node *node, const char *key,
                                enum lp_dtype dtype, const struct lp_tensor **ret_tensor, struct lp_error *err)
{
    const struct lp_tensor *tensor;
    LP_TRY(lp_array_tensor(bundle, node, key, &tensor, err));
    if (tensor->dtype != dtype || tensor->rank != 1)
        return lp_fail(err, LP_E_MISMATCH, LP_FATAL, "%s: `%s` %.64s must be %s of rank 1", node->where, key,
                       tensor->name, lp_dtype_name(dtype));
    if (tensor->count > LP_BUNDLE_NODES_MAX)
        return lp_fail(err, LP_E_LIMIT, LP_FATAL, "%s: `%s` has %llu entries, at most %d are allowed", node->where, key,
                       (unsigned long long)tensor->count, LP_BUNDLE_NODES_MAX);
    *ret_tensor = tensor;
    return LP_OK;
}

/* An array of as many entries as another. */
static enum lp_code read_beside(const struct lp_bundle *bundle, const struct lp_node *node, const char *key,
                                enum lp_dtype dtype, uint64_t count, const void **ret_data, struct lp_error *err)
{
    const struct lp_tensor *tensor;
    LP_TRY(read_tensor(bundle, node, key, dtype, &tensor, err));
    if (tensor->count != count)
        return lp_fail(err, LP_E_MISMATCH, LP_FATAL, "%s: `%s` has %llu entries, not %llu", node->where, key,
                       (unsigned long long)tensor->count, (unsigned long long)count);
    *ret_data = tensor->data;
    return LP_OK;
}

/* Offsets of `count` ranges that fill `filled` entries. */
static enum lp_code check_offsets(const struct lp_node *node, const uint32_t *begin, uint64_t count, uint64_t filled,
                                  struct lp_error *err)
{
    if (begin[0] != 0 || begin[count] != filled)
        return LP_BAD(err, "%s: `begin` must go from 0 to %llu", node->where, (unsigned long long)filled);
    for (uint64_t i = 0; i < count; i++)
        if (begin[i + 1] < begin[i])
            return LP_BAD(err, "%s: `begin`[%llu] is below the one before", node->where, (unsigned long long)i + 1);
    return LP_OK;
}

static enum lp_code read_sets(const struct lp_bundle *bundle, const struct lp_node *node, struct lp_trees *trees,
                              struct lp_error *err)
{
    static const char *const members[] = {"begin", "words", NULL};
    const struct lp_tensor *begin, *words;
    struct lp_node sets;
    LP_TRY(lp_node_object(node, "sets", members, &sets, err));
    if (sets.json == NULL) return LP_OK;
    LP_TRY(read_tensor(bundle, &sets, "begin", LP_DTYPE_I32, &begin, err));
    LP_TRY(read_tensor(bundle, &sets, "words", LP_DTYPE_I32, &words, err));
    if (begin->count == 0) return LP_BAD(err, "%s: `begin` is empty", sets.where);
    LP_TRY(check_offsets(&sets, begin->data, begin->count - 1, words->count, err));
    trees->set_count = (uint32_t)(begin->count - 1);
    trees->set_begin = begin->data;
    trees->set_words = words->data;
    return LP_OK;
}

static enum lp_code read_linear(const struct lp_bundle *bundle, const struct lp_node *leaves, struct lp_trees *trees,
                                struct lp_error *err)
{
    static const char *const members[] = {"begin", "column", "coefficient", "constant", NULL};
    const struct lp_tensor *column;
    const void *begin, *coefficient, *constant;
    struct lp_node linear;
    LP_TRY(lp_node_object(leaves, "linear", members, &linear, err));
    if (linear.json == NULL) return LP_OK;
    if (trees->leaf_width != 1) return LP_BAD(err, "%s: linear leaves have one value each", linear.where);
    if (trees->compare != LP_TREES_LIGHTGBM)
        return LP_BAD(err, "%s: only LightGBM defines linear leaves", linear.where);
    LP_TRY(read_beside(bundle, &linear, "begin", LP_DTYPE_I32, (uint64_t)trees->leaf_count + 1, &begin, err));
    LP_TRY(read_beside(bundle, &linear, "constant", LP_DTYPE_F64, trees->leaf_count, &constant, err));
    LP_TRY(read_tensor(bundle, &linear, "column", LP_DTYPE_I32, &column, err));
    LP_TRY(read_beside(bundle, &linear, "coefficient", LP_DTYPE_F64, column->count, &coefficient, err));
    LP_TRY(check_offsets(&linear, begin, trees->leaf_count, column->count, err));
    trees->linear_begin = begin;
    trees->linear_column = column->data;
    trees->linear_coefficient = coefficient;
    trees->linear_constant = constant;
    for (uint64_t i = 0; i < column->count; i++)
        if (trees->linear_column[i] >= trees->column_count)
            return LP_BAD(err, "%s: `column`[%llu] is %u of %u", linear.where, (unsigned long long)i,
                          trees->linear_column[i], trees->column_count);
    return LP_OK;
}

static enum lp_code read_leaves(const struct lp_bundle *bundle, const struct lp_node *node, struct lp_trees *trees,
                                struct lp_error *err)
{
    static const char *const members[] = {"value", "linear", NULL};
    struct lp_node leaves;
    const struct lp_tensor *value;
    LP_TRY(lp_node_object(node, "leaves", members, &leaves, err));
    LP_TRY(lp_array_tensor(bundle, &leaves, "value", &value, err));
    bool vector = value->rank == 2;
    if (value->dtype != LP_DTYPE_F64 || value->rank < 1 || value->rank > 2 ||
        (vector && value->dims[1] != trees->output_count))
        return lp_fail(err, LP_E_MISMATCH, LP_FATAL, "%s: `value` %.64s must be F64 [leaves] or [leaves, %u]",
                       leaves.where, value->name, trees->output_count);
    if (value->dims[0] > LP_BUNDLE_NODES_MAX)
        return lp_fail(err, LP_E_LIMIT, LP_FATAL, "%s: %llu leaves, at most %d are allowed", leaves.where,
                       (unsigned long long)value->dims[0], LP_BUNDLE_NODES_MAX);
    trees->leaf_count = (uint32_t)value->dims[0];
    trees->leaf_width = vector ? trees->output_count : 1;
    trees->leaf_value = value->data;
    return read_linear(bundle, &leaves, trees, err);
}

static enum lp_code read_nodes(const struct lp_bundle *bundle, const struct lp_node *node, struct lp_trees *trees,
                               struct lp_error *err)
{
    static const char *const members[] = {"column", "threshold", "left", "right", "flags", "index", NULL};
    const struct lp_tensor *column;
    const void *data[5];
    struct lp_node nodes;
    LP_TRY(lp_node_object(node, "nodes", members, &nodes, err));
    LP_TRY(read_tensor(bundle, &nodes, "column", LP_DTYPE_I32, &column, err));
    LP_TRY(read_beside(bundle, &nodes, "threshold", LP_DTYPE_F64, column->count, &data[0], err));
    LP_TRY(read_beside(bundle, &nodes, "left", LP_DTYPE_I32, column->count, &data[1], err));
    LP_TRY(read_beside(bundle, &nodes, "right", LP_DTYPE_I32, column->count, &data[2], err));
    LP_TRY(read_beside(bundle, &nodes, "flags", LP_DTYPE_U8, column->count, &data[3], err));
    LP_TRY(read_beside(bundle, &nodes, "index", LP_DTYPE_I32, column->count, &data[4], err));
    trees->node_count = (uint32_t)column->count;
    trees->column = column->data;
    trees->threshold = data[0];
    trees->left = data[1];
    trees->right = data[2];
    trees->flags = data[3];
    trees->index = data[4];
    return LP_OK;
}

/* Copies with the infinities in their place, where there are any. */
static enum lp_code restore_infinities(struct lp_bundle *bundle, struct lp_trees *trees, struct lp_error *err)
{
    uint32_t count = trees->node_count, infinite = 0;
    for (uint32_t i = 0; i < count; i++) infinite += (trees->flags[i] & FLAG_INFINITE) != 0;
    if (infinite == 0) return LP_OK;
    double *threshold = lp_storage_take(bundle->storage, count, sizeof *threshold, err);
    uint8_t *flags = lp_storage_take(bundle->storage, count, sizeof *flags, err);
    if (threshold == NULL || flags == NULL) return lp_failed(err->code);
    for (uint32_t i = 0; i < count; i++) {
        bool here = (trees->flags[i] & FLAG_INFINITE) != 0;
        threshold[i] = here ? copysign((double)INFINITY, trees->threshold[i]) : trees->threshold[i];
        flags[i] = trees->flags[i] & (uint8_t)~FLAG_INFINITE;
    }
    trees->threshold = threshold;
    trees->flags = flags;
    return LP_OK;
}

static enum lp_code read_trees(const struct lp_bundle *bundle, const struct lp_node *node, struct lp_trees *trees,
                               struct lp_error *err)
{
    static const char *const members[] = {"root", "output", NULL};
    struct lp_node at;
    const struct lp_tensor *root;
    const void *output;
    LP_TRY(lp_node_object(node, "trees", members, &at, err));
    LP_TRY(read_tensor(bundle, &at, "root", LP_DTYPE_I32, &root, err));
    trees->tree_count = (uint32_t)root->count;
    trees->root = root->data;
    if (trees->leaf_width > 1) {
        if (lp_node_has(&at, "output")) return LP_BAD(err, "%s: `output` has no meaning with vector leaves", at.where);
        return LP_OK;
    }
    LP_TRY(read_beside(bundle, &at, "output", LP_DTYPE_I32, root->count, &output, err));
    trees->output = output;
    for (uint32_t i = 0; i < trees->tree_count; i++)
        if (trees->output[i] >= trees->output_count)
            return LP_BAD(err, "%s: tree %u adds to output %u of %u", at.where, i, trees->output[i],
                          trees->output_count);
    return LP_OK;
}

static enum lp_code check_split(const struct lp_trees *trees, const struct lp_node *node, uint32_t i,
                                struct lp_error *err)
{
    uint8_t flags = trees->flags[i];
    bool category = (flags & LP_TREES_CATEGORICAL) != 0;
    if ((uint32_t)trees->column[i] >= trees->column_count)
        return LP_BAD(err, "%s: node %u splits column %d of %u", node->where, i, trees->column[i], trees->column_count);
    if (category && trees->index[i] >= trees->set_count)
        return LP_BAD(err, "%s: node %u has set %u of %u", node->where, i, trees->index[i], trees->set_count);
    bool exact = trees->compare != LP_TREES_XGBOOST || (double)(float)trees->threshold[i] == trees->threshold[i];
    if (!category && !exact)
        return LP_BAD(err, "%s: node %u: the threshold %.17g is no float", node->where, i, trees->threshold[i]);
    bool both = (flags & LP_TREES_MISSING_ZERO) != 0 && (flags & LP_TREES_MISSING_NAN) != 0;
    bool wrong = trees->compare == LP_TREES_XGBOOST && !category &&
                 (flags & (LP_TREES_MISSING_ZERO | LP_TREES_MISSING_NAN)) != LP_TREES_MISSING_NAN;
    if (flags > 15 || both || wrong) return LP_BAD(err, "%s: node %u has flags %u", node->where, i, flags);
    return LP_OK;
}

/* Nodes [first, end) are one tree whose root is the first: children behind their parent, each counted once. */
static enum lp_code check_tree(const struct lp_trees *trees, const struct lp_node *node, uint32_t first, uint32_t end,
                               unsigned char *reached, struct lp_error *err)
{
    reached[first] = 1;
    for (uint32_t i = first; i < end; i++) {
        if (!reached[i]) return LP_BAD(err, "%s: nothing leads to node %u", node->where, i);
        if (trees->column[i] == LP_TREES_LEAF) {
            if (trees->index[i] >= trees->leaf_count)
                return LP_BAD(err, "%s: node %u is leaf %u of %u", node->where, i, trees->index[i], trees->leaf_count);
            continue;
        }
        LP_TRY(check_split(trees, node, i, err));
        const uint32_t children[] = {trees->left[i], trees->right[i]};
        for (int k = 0; k < 2; k++) {
            if (children[k] <= i || children[k] >= end)
                return LP_BAD(err, "%s: node %u: its child %u must be behind it and before %u", node->where, i,
                              children[k], end);
            if (reached[children[k]])
                return LP_BAD(err, "%s: two ways lead to node %u: this is no tree", node->where, children[k]);
            reached[children[k]] = 1;
        }
    }
    return LP_OK;
}

static enum lp_code check_forest(struct lp_bundle *bundle, const struct lp_trees *trees, const struct lp_node *node,
                                 struct lp_error *err)
{
    unsigned char *reached = lp_storage_take(bundle->storage, trees->node_count, 1, err);
    if (reached == NULL) return lp_failed(err->code);
    if (trees->tree_count > 0 ? trees->root[0] != 0 : trees->node_count != 0)
        return LP_BAD(err, "%s: the first tree must begin at node 0, and every node be in a tree", node->where);
    for (uint32_t i = 0; i < trees->tree_count; i++) {
        uint32_t end = i + 1 < trees->tree_count ? trees->root[i + 1] : trees->node_count;
        if (end <= trees->root[i] || end > trees->node_count)
            return LP_BAD(err, "%s: tree %u goes from node %u to %u of %u", node->where, i, trees->root[i], end,
                          trees->node_count);
        LP_TRY(check_tree(trees, node, trees->root[i], end, reached, err));
    }
    return LP_OK;
}

static enum lp_code read_base(const struct lp_bundle *bundle, const struct lp_node *node, struct lp_trees *trees,
                              struct lp_error *err)
{
    uint32_t count = 0;
    trees->divisor = 1;
    LP_TRY(lp_node_number_or(node, "divisor", &trees->divisor, err));
    if (!(trees->divisor >= 1)) return LP_BAD(err, "%s: `divisor` is %g", node->where, trees->divisor);
    if (!lp_node_has(node, "base")) return LP_OK;
    LP_TRY(lp_array_numbers(bundle, node, "base", &trees->base, &count, err));
    if (count != trees->output_count)
        return lp_fail(err, LP_E_MISMATCH, LP_FATAL, "%s: `base` has %u numbers, not %u", node->where, count,
                       trees->output_count);
    return LP_OK;
}

enum lp_code lp_trees_read(struct lp_bundle *bundle, const struct lp_node *node, struct lp_op *op, struct lp_error *err)
{
    struct lp_trees *trees = lp_storage_take(bundle->storage, 1, sizeof *trees, err);
    json_int_t outputs;
    size_t library;
    if (trees == NULL) return lp_failed(err->code);
    LP_TRY(lp_node_choice(node, "library", LP_CHOICE(libraries), NULL, &library, err));
    LP_TRY(lp_node_whole(node, "outputs", 1, LP_BUNDLE_OUTPUTS_MAX, &outputs, err));
    if (op->in.rank != 1)
        return lp_fail(err, LP_E_MISMATCH, LP_FATAL, "%s: `%.64s` has %u axes: trees read one", node->where, op->input,
                       op->in.rank);
    trees->compare = (enum lp_trees_compare)library;
    trees->column_count = op->in_width;
    trees->output_count = (uint32_t)outputs;
    LP_TRY(read_base(bundle, node, trees, err));
    LP_TRY(read_nodes(bundle, node, trees, err));
    LP_TRY(restore_infinities(bundle, trees, err));
    LP_TRY(read_sets(bundle, node, trees, err));
    LP_TRY(read_leaves(bundle, node, trees, err));
    LP_TRY(read_trees(bundle, node, trees, err));
    LP_TRY(check_forest(bundle, trees, node, err));
    /* What the kernels pack later: by node, and by tree its top and 64 values or exits (kernels/trees/blocks.h). Two
     * levels take 5 KiB a tree, but only up to 4096 trees. */
    LP_TRY(lp_storage_charge(bundle->storage, trees->node_count, 32, err));
    LP_TRY(lp_storage_charge(bundle->storage, trees->tree_count, trees->compare == LP_TREES_XGBOOST ? 384 : 640, err));
    op->trees = trees;
    op->shape = (struct lp_shape){1, {trees->output_count}};
    if (__builtin_add_overflow(trees->node_count, (uint64_t)trees->tree_count * trees->output_count, &op->work))
        op->work = UINT64_MAX;
    return LP_OK;
}
