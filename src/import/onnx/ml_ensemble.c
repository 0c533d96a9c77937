/*
 * TreeEnsemble of ai.onnx.ml 5: splits of all trees in one list, leaves in another, roots by number. A leaf has one
 * weight of one target.
 */
#include "import/onnx/ml_forest.h"

#include <stdlib.h>
#include <string.h>

enum { AVERAGE, SUM, MIN, MAX };
/* As the standard numbers them; ONNX Runtime (1.32) takes 1 for LOGISTIC and 2 for SOFTMAX. */
enum { NONE, SOFTMAX, LOGISTIC, SOFTMAX_ZERO, PROBIT };

struct ensemble {
    size_t split_count, leaf_count, root_count;
    const int64_t *features, *if_true, *if_false, *true_is_leaf, *false_is_leaf, *tracks, *targets, *roots;
    const struct lp_onnx_constant *modes, *splits, *weights;
    uint32_t column_count, target_count;
    uint32_t *place;      /* owned: [split_count] of the tree that is being read, UINT32_MAX: not yet */
    struct lp_buffer raw; /* struct lp_raw_node of that tree */
    struct lp_buffer numbers, stack;
    bool is_vector;
};

static enum lp_code read_list(const struct lp_onnx_node *node, const char *name, size_t count, const int64_t **ret_list,
                              struct lp_error *err)
{
    size_t found;
    LP_TRY(lp_onnx_ints(node, name, ret_list, &found, err));
    return found == count ? LP_OK : lp_onnx_bad(node, err, "`%s` has %zu entries, not %zu", name, found, count);
}

static enum lp_code read_tensor(struct lp_onnx *onnx, const struct lp_onnx_node *node, const char *name, size_t count,
                                const struct lp_onnx_constant **ret_tensor, struct lp_error *err)
{
    struct lp_onnx_constant *tensor;
    LP_TRY(lp_onnx_tensor_attribute(onnx, node, name, &tensor, err));
    if (tensor == NULL || tensor->count != count || tensor->type == LP_ONNX_STRING)
        return lp_onnx_bad(node, err, "`%s` must have %zu numbers", name, count);
    *ret_tensor = tensor;
    return LP_OK;
}

static enum lp_code read(struct lp_onnx *onnx, const struct lp_onnx_node *node, struct ensemble *e,
                         struct lp_error *err)
{
    size_t tracks;
    LP_TRY(lp_onnx_ints(node, "nodes_featureids", &e->features, &e->split_count, err));
    LP_TRY(lp_onnx_ints(node, "leaf_targetids", &e->targets, &e->leaf_count, err));
    LP_TRY(lp_onnx_ints(node, "tree_roots", &e->roots, &e->root_count, err));
    if (e->split_count > LP_BUNDLE_NODES_MAX || e->leaf_count > LP_BUNDLE_NODES_MAX || e->split_count == 0)
        return lp_fail(err, LP_E_LIMIT, LP_FATAL, "%zu nodes and %zu leaves: 1 to %d are allowed", e->split_count,
                       e->leaf_count, LP_BUNDLE_NODES_MAX);
    LP_TRY(read_list(node, "nodes_truenodeids", e->split_count, &e->if_true, err));
    LP_TRY(read_list(node, "nodes_falsenodeids", e->split_count, &e->if_false, err));
    LP_TRY(read_list(node, "nodes_trueleafs", e->split_count, &e->true_is_leaf, err));
    LP_TRY(read_list(node, "nodes_falseleafs", e->split_count, &e->false_is_leaf, err));
    LP_TRY(lp_onnx_ints(node, "nodes_missing_value_tracks_true", &e->tracks, &tracks, err));
    if (tracks != 0 && tracks != e->split_count) return lp_onnx_bad(node, err, "%zu ways of missing values", tracks);
    if (tracks == 0) e->tracks = NULL;
    LP_TRY(read_tensor(onnx, node, "nodes_modes", e->split_count, &e->modes, err));
    LP_TRY(read_tensor(onnx, node, "nodes_splits", e->split_count, &e->splits, err));
    return read_tensor(onnx, node, "leaf_weights", e->leaf_count, &e->weights, err);
}

/* Append a leaf to the tree. */
static enum lp_code add_leaf(const struct lp_onnx_node *node, struct ensemble *e, int64_t leaf, int64_t *ret_place,
                             int64_t *output, struct lp_error *err)
{
    const uint32_t width = e->is_vector ? e->target_count : 1;
    if (leaf < 0 || (uint64_t)leaf >= e->leaf_count)
        return lp_onnx_bad(node, err, "leaf %lld of %zu", (long long)leaf, e->leaf_count);
    int64_t target = e->targets[leaf];
    if (target < 0 || target >= e->target_count)
        return lp_onnx_bad(node, err, "leaf %lld is of target %lld of %u", (long long)leaf, (long long)target,
                           e->target_count);
    const struct lp_raw_node raw = {.is_leaf = true, .leaf = (uint32_t)(e->numbers.size / (width * sizeof(double)))};
    const double weight = (double)(float)lp_onnx_number_at(e->weights, (uint64_t)leaf);
    *ret_place = (int64_t)(e->raw.size / sizeof raw);
    *output = target;
    lp_buffer_append(&e->raw, &raw, sizeof raw);
    for (uint32_t i = 0; i < width; i++) {
        const double number = !e->is_vector || i == target ? weight : 0;
        lp_buffer_append(&e->numbers, &number, sizeof number);
    }
    return LP_OK;
}

/* A split that has been reached: its place in the tree, its own ways to be followed. Each is reached once. */
static enum lp_code reach(const struct lp_onnx_node *node, struct ensemble *e, int64_t split, int64_t *ret_place,
                          struct lp_error *err)
{
    const struct lp_raw_node raw = {0};
    if (split < 0 || (uint64_t)split >= e->split_count)
        return lp_onnx_bad(node, err, "node %lld of %zu", (long long)split, e->split_count);
    if (e->place[split] != UINT32_MAX)
        return lp_onnx_bad(node, err, "two ways lead to node %lld: this is no tree", (long long)split);
    *ret_place = (int64_t)(e->raw.size / sizeof raw);
    e->place[split] = (uint32_t)*ret_place;
    lp_buffer_append(&e->raw, &raw, sizeof raw);
    lp_buffer_append(&e->stack, &split, sizeof split);
    return LP_OK;
}

static enum lp_code follow(const struct lp_onnx_node *node, struct ensemble *e, int64_t split, int64_t *output,
                           struct lp_error *err)
{
    struct lp_raw_node raw;
    int64_t yes, no;
    uint64_t at = (uint64_t)split;
    if (e->true_is_leaf[at]) LP_TRY(add_leaf(node, e, e->if_true[at], &yes, output, err));
    else LP_TRY(reach(node, e, e->if_true[at], &yes, err));
    if (e->false_is_leaf[at]) LP_TRY(add_leaf(node, e, e->if_false[at], &no, output, err));
    else LP_TRY(reach(node, e, e->if_false[at], &no, err));
    if (e->features[at] < 0 || e->features[at] >= e->column_count)
        return lp_onnx_bad(node, err, "node %lld reads number %lld of %u", (long long)split, (long long)e->features[at],
                           e->column_count);
    LP_TRY(lp_ml_split(node, lp_onnx_whole_at(e->modes, at), lp_onnx_number_at(e->splits, at),
                       e->tracks != NULL && e->tracks[at], yes, no, &raw, err));
    raw.column = (uint32_t)e->features[at];
    LP_TRY(lp_buffer_check(&e->raw, "a tree", err));
    memcpy(e->raw.data + e->place[at] * sizeof raw, &raw, sizeof raw);
    return LP_OK;
}

/* A tree that is one leaf is a node whose two ways lead to it. */
static bool is_constant(const struct ensemble *e, int64_t root)
{
    return root >= 0 && (uint64_t)root < e->split_count && e->true_is_leaf[root] && e->false_is_leaf[root] &&
           e->if_true[root] == e->if_false[root];
}

static enum lp_code add_tree(const struct lp_onnx_node *node, struct ensemble *e, int64_t root,
                             struct lp_forest *forest, struct lp_error *err)
{
    int64_t place, output = 0;
    lp_buffer_clear(&e->raw);
    lp_buffer_clear(&e->numbers);
    lp_buffer_clear(&e->stack);
    if (is_constant(e, root)) LP_TRY(add_leaf(node, e, e->if_true[root], &place, &output, err));
    else LP_TRY(reach(node, e, root, &place, err));
    while (e->stack.size > 0 && !e->stack.failed) {
        int64_t split;
        e->stack.size -= sizeof split;
        memcpy(&split, e->stack.data + e->stack.size, sizeof split);
        LP_TRY(follow(node, e, split, &output, err));
    }
    LP_TRY(lp_buffer_check(&e->raw, "a tree", err));
    LP_TRY(lp_buffer_check(&e->numbers, "a tree's leaves", err));
    LP_TRY(lp_buffer_check(&e->stack, "a tree", err));
    const struct lp_raw_tree tree = {
        .node_count = (uint32_t)(e->raw.size / sizeof(struct lp_raw_node)),
        .nodes = (const struct lp_raw_node *)(const void *)e->raw.data,
        .leaf_count = (uint32_t)(e->numbers.size / sizeof(double) / (e->is_vector ? e->target_count : 1)),
        .leaf_value = (const double *)(const void *)e->numbers.data,
        .output = (uint32_t)output,
    };
    return lp_forest_add(forest, &tree, err);
}

static enum lp_code add_trees(const struct lp_onnx_node *node, struct ensemble *e, struct lp_forest *forest,
                              struct lp_error *err)
{
    e->place = malloc(e->split_count * sizeof *e->place);
    if (e->place == NULL) return lp_fail_memory(err, e->split_count * sizeof *e->place);
    memset(e->place, 0xff, e->split_count * sizeof *e->place);
    for (size_t i = 0; i < e->root_count; i++) {
        enum lp_code rc = add_tree(node, e, e->roots[i], forest, err);
        if (rc != LP_OK) return lp_error_wrap(err, "tree %zu", i);
    }
    return LP_OK;
}

/* Leaves of one target all: a number each; else a row of numbers each. */
static enum lp_code choose_width(struct lp_onnx *onnx, struct ensemble *e, struct lp_error *err)
{
    for (size_t i = 1; i < e->leaf_count; i++) e->is_vector |= e->targets[i] != e->targets[0];
    uint64_t numbers = (uint64_t)e->split_count * 2 * (e->is_vector ? e->target_count : 1);
    if (numbers > 2 * (uint64_t)LP_ML_LEAF_NUMBERS_MAX)
        return lp_fail(err, LP_E_LIMIT, LP_FATAL, "%zu nodes of %u targets: at most %d numbers are allowed",
                       e->split_count, e->target_count, LP_ML_LEAF_NUMBERS_MAX);
    LP_TRY(lp_storage_charge(&onnx->draft->storage, numbers, sizeof(double), err));
    lp_buffer_init(&e->raw, SIZE_MAX / 2);
    lp_buffer_init(&e->numbers, SIZE_MAX / 2);
    lp_buffer_init(&e->stack, SIZE_MAX / 2);
    return LP_OK;
}

static enum lp_code lower(struct lp_onnx *onnx, const struct lp_onnx_node *node, struct ensemble *e,
                          struct lp_ml_row *row, struct lp_error *err)
{
    struct lp_graph_trees *trees;
    int64_t targets, how, post;
    LP_TRY(lp_onnx_int(node, "n_targets", 1, &targets, err));
    LP_TRY(lp_onnx_int(node, "aggregate_function", SUM, &how, err));
    LP_TRY(lp_onnx_int(node, "post_transform", 0, &post, err));
    if (targets < 1 || targets > LP_BUNDLE_OUTPUTS_MAX || post < 0 || post >= LP_ML_POST_COUNT)
        return lp_onnx_bad(node, err, "%lld targets, post_transform %lld", (long long)targets, (long long)post);
    if (how != SUM && how != AVERAGE)
        return lp_onnx_refuse(node, err, "aggregate_function %lld is not in this release", (long long)how);
    if (post == PROBIT) return lp_onnx_refuse(node, err, "post_transform PROBIT is not in this release");
    if (targets > 1 && (post == SOFTMAX || post == LOGISTIC))
        return lp_onnx_refuse(node, err, "post_transform %lld: the standard and ONNX Runtime read it differently",
                              (long long)post);
    e->target_count = (uint32_t)targets;
    LP_TRY(read(onnx, node, e, err));
    LP_TRY(choose_width(onnx, e, err));
    LP_TRY(lp_ml_forest_new(onnx, e->is_vector ? e->target_count : 1, &trees, err));
    LP_TRY(add_trees(node, e, &trees->forest, err));
    LP_TRY(lp_ml_forest_emit(onnx, trees, e->target_count, NULL, how == AVERAGE, row, err));
    bool zero = post == SOFTMAX_ZERO && e->target_count > 1;
    return lp_ml_post(onnx, node, zero ? LP_ML_SOFTMAX_ZERO : LP_ML_NONE, row, err);
}

enum lp_code lp_ml_tree_ensemble(struct lp_onnx *onnx, const struct lp_onnx_node *node, struct lp_error *err)
{
    struct ensemble e = {0};
    struct lp_ml_row row;
    enum lp_code rc;
    LP_GUARD(lp_ml_input(onnx, node, 0, &row, err));
    if (row.rank > 1) LP_GUARD(lp_onnx_refuse(node, err, "%u axes beside the batch: it defines one", row.rank));
    e.column_count = row.rank > 0 ? row.dims[0] : 1;
    LP_GUARD(lower(onnx, node, &e, &row, err));
    lp_ml_bind(onnx, node, 0, &row);
out:
    free(e.place);
    lp_buffer_done(&e.raw);
    lp_buffer_done(&e.numbers);
    lp_buffer_done(&e.stack);
    return rc;
}
