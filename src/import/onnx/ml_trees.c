/*
 * TreeEnsembleClassifier and TreeEnsembleRegressor of ai.onnx.ml: parallel lists of nodes, which name their tree and
 * their number in it, and of weights, which name a leaf and an output. Sorted once, so that each name is found by
 * halving.
 */
#include "import/onnx/ml_forest.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A node's or a weight's name, and its place in the lists. */
struct entry {
    int64_t tree, node;
    size_t at;
};

/* The lists of one op. Arrays of the file are borrowed. */
struct file {
    size_t node_count, weight_count;
    const int64_t *features, *if_true, *if_false, *tracks, *outputs;
    const struct lp_span *modes;
    const double *values;
    const float *weights;
    uint32_t column_count, output_count;
    struct entry *nodes, *leaves; /* owned, sorted */
    struct lp_raw_node *raw;      /* owned: of one tree */
    double *numbers;              /* owned: leaves of one tree */
    bool is_vector;               /* a tree's leaves have several outputs */
};

static int compare(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    if (x->tree != y->tree) return x->tree < y->tree ? -1 : 1;
    if (x->node != y->node) return x->node < y->node ? -1 : 1;
    return x->at < y->at ? -1 : x->at > y->at;
}

static enum lp_code sort(const int64_t *trees, const int64_t *nodes, size_t count, struct entry **ret_entries,
                         struct lp_error *err)
{
    struct entry *entries = calloc(count + 1, sizeof *entries);
    if (entries == NULL) return lp_fail_memory(err, count * sizeof *entries);
    for (size_t i = 0; i < count; i++) entries[i] = (struct entry){trees[i], nodes[i], i};
    qsort(entries, count, sizeof *entries, compare);
    *ret_entries = entries;
    return LP_OK;
}

/* A list that has as many entries as the op has nodes or weights. */
static enum lp_code read_wholes(const struct lp_onnx_node *node, const char *name, size_t count,
                                const int64_t **ret_wholes, struct lp_error *err)
{
    size_t found;
    LP_TRY(lp_onnx_ints(node, name, ret_wholes, &found, err));
    return found == count ? LP_OK : lp_onnx_bad(node, err, "`%s` has %zu entries, not %zu", name, found, count);
}

/* Floats, or a tensor of doubles. */
static enum lp_code read_values(struct lp_onnx *onnx, const struct lp_onnx_node *node, struct file *file,
                                struct lp_error *err)
{
    struct lp_onnx_constant *tensor;
    const float *floats;
    size_t count;
    LP_TRY(lp_onnx_floats(node, "nodes_values", &floats, &count, err));
    LP_TRY(lp_onnx_tensor_attribute(onnx, node, "nodes_values_as_tensor", &tensor, err));
    if (count == 0 && tensor != NULL) count = (size_t)tensor->count;
    if (count != file->node_count) return lp_onnx_bad(node, err, "%zu values of %zu nodes", count, file->node_count);
    double *values = lp_storage_take(&onnx->draft->storage, count, sizeof *values, err);
    if (values == NULL) return lp_failed(err->code);
    for (size_t i = 0; i < count; i++) values[i] = floats != NULL ? (double)floats[i] : lp_onnx_number_at(tensor, i);
    file->values = values;
    return LP_OK;
}

static enum lp_code read_nodes(struct lp_onnx *onnx, const struct lp_onnx_node *node, struct file *file,
                               struct lp_error *err)
{
    const int64_t *trees, *numbers;
    size_t modes, tracks;
    LP_TRY(lp_onnx_ints(node, "nodes_treeids", &trees, &file->node_count, err));
    if (file->node_count == 0 || file->node_count > LP_BUNDLE_NODES_MAX)
        return lp_fail(err, LP_E_LIMIT, LP_FATAL, "%zu nodes: 1 to %d are allowed", file->node_count,
                       LP_BUNDLE_NODES_MAX);
    LP_TRY(read_wholes(node, "nodes_nodeids", file->node_count, &numbers, err));
    LP_TRY(read_wholes(node, "nodes_featureids", file->node_count, &file->features, err));
    LP_TRY(read_wholes(node, "nodes_truenodeids", file->node_count, &file->if_true, err));
    LP_TRY(read_wholes(node, "nodes_falsenodeids", file->node_count, &file->if_false, err));
    LP_TRY(lp_onnx_ints(node, "nodes_missing_value_tracks_true", &file->tracks, &tracks, err));
    LP_TRY(lp_onnx_texts(onnx, node, "nodes_modes", &file->modes, &modes, err));
    if (modes != file->node_count || (tracks != 0 && tracks != file->node_count))
        return lp_onnx_bad(node, err, "%zu modes and %zu ways of missing values of %zu nodes", modes, tracks,
                           file->node_count);
    if (tracks == 0) file->tracks = NULL;
    LP_TRY(read_values(onnx, node, file, err));
    return sort(trees, numbers, file->node_count, &file->nodes, err);
}

/* @param names the lists of trees, nodes, outputs, weights, and of weights as a tensor */
static enum lp_code read_weights(struct lp_onnx *onnx, const struct lp_onnx_node *node, const char *const names[5],
                                 struct file *file, struct lp_error *err)
{
    struct lp_onnx_constant *tensor;
    const int64_t *trees, *nodes;
    size_t count;
    LP_TRY(lp_onnx_ints(node, names[0], &trees, &file->weight_count, err));
    if (file->weight_count > LP_ML_LEAF_NUMBERS_MAX)
        return lp_fail(err, LP_E_LIMIT, LP_FATAL, "%zu weights, at most %d are allowed", file->weight_count,
                       LP_ML_LEAF_NUMBERS_MAX);
    LP_TRY(read_wholes(node, names[1], file->weight_count, &nodes, err));
    LP_TRY(read_wholes(node, names[2], file->weight_count, &file->outputs, err));
    LP_TRY(lp_onnx_floats(node, names[3], &file->weights, &count, err));
    LP_TRY(lp_onnx_tensor_attribute(onnx, node, names[4], &tensor, err));
    if (count == 0 && tensor != NULL && tensor->count == file->weight_count) {
        float *weights = lp_storage_take(&onnx->draft->storage, file->weight_count, sizeof *weights, err);
        if (weights == NULL) return lp_failed(err->code);
        for (size_t i = 0; i < file->weight_count; i++) weights[i] = (float)lp_onnx_number_at(tensor, i);
        file->weights = weights;
        count = file->weight_count;
    }
    if (count != file->weight_count)
        return lp_onnx_bad(node, err, "`%s` has %zu entries, not %zu", names[3], count, file->weight_count);
    for (size_t i = 0; i < count; i++)
        if (file->outputs[i] < 0 || file->outputs[i] >= file->output_count)
            return lp_onnx_bad(node, err, "weight %zu is of output %lld of %u", i, (long long)file->outputs[i],
                               file->output_count);
    return sort(trees, nodes, file->weight_count, &file->leaves, err);
}

static bool is_leaf(const struct file *file, const struct entry *entry)
{
    return lp_span_is(file->modes[entry->at], "LEAF");
}

static int64_t mode_of(struct lp_span name)
{
    static const char *const names[] = {"BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE",
                                        "BRANCH_GT",  "BRANCH_EQ", "BRANCH_NEQ"};
    for (int64_t i = 0; i < (int64_t)(sizeof names / sizeof *names); i++)
        if (lp_span_is(name, names[i])) return i;
    return -1;
}

/* Place of a node among those of its tree, or -1. */
static int64_t find(const struct entry *nodes, size_t count, int64_t number)
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (nodes[middle].node < number) low = middle + 1;
        else high = middle;
    }
    return low < count && nodes[low].node == number ? (int64_t)low : -1;
}

/* Does one output get all the weights of each tree? */
static bool is_scalar(const struct file *file)
{
    for (size_t i = 1; i < file->weight_count; i++)
        if (file->leaves[i].tree == file->leaves[i - 1].tree &&
            file->outputs[file->leaves[i].at] != file->outputs[file->leaves[i - 1].at])
            return false;
    return true;
}

static enum lp_code check_nodes(const struct lp_onnx_node *node, const struct file *file, struct lp_error *err)
{
    for (size_t i = 1; i < file->node_count; i++)
        if (file->nodes[i].tree == file->nodes[i - 1].tree && file->nodes[i].node == file->nodes[i - 1].node)
            return lp_onnx_bad(node, err, "node %lld of tree %lld is there twice", (long long)file->nodes[i].node,
                               (long long)file->nodes[i].tree);
    return LP_OK;
}

/* Splits of one tree; children as places among its nodes. @param pointed [count], zeroed: who is a child */
static enum lp_code make_splits(const struct lp_onnx_node *node, const struct file *file, const struct entry *nodes,
                                size_t count, unsigned char *pointed, struct lp_error *err)
{
    for (size_t i = 0; i < count; i++) {
        size_t at = nodes[i].at;
        file->raw[i] = (struct lp_raw_node){.is_leaf = true, .leaf = UINT32_MAX};
        if (is_leaf(file, &nodes[i])) continue;
        int64_t yes = find(nodes, count, file->if_true[at]), no = find(nodes, count, file->if_false[at]);
        if (yes < 0 || no < 0)
            return lp_onnx_bad(node, err, "node %lld of tree %lld leads to a node that there is not",
                               (long long)nodes[i].node, (long long)nodes[i].tree);
        if (file->features[at] < 0 || file->features[at] >= file->column_count)
            return lp_onnx_bad(node, err, "node %lld of tree %lld reads number %lld of %u", (long long)nodes[i].node,
                               (long long)nodes[i].tree, (long long)file->features[at], file->column_count);
        LP_TRY(lp_ml_split(node, mode_of(file->modes[at]), file->values[at], file->tracks != NULL && file->tracks[at],
                           yes, no, &file->raw[i], err));
        file->raw[i].column = (uint32_t)file->features[at];
        pointed[yes] = pointed[no] = 1;
    }
    return LP_OK;
}

/* Weights of one tree's leaves, summed where there are several. Weights of what is no leaf are passed over. */
static uint32_t make_leaves(const struct file *file, const struct entry *nodes, size_t count,
                            const struct entry *leaves, size_t leaf_count)
{
    uint32_t width = file->is_vector ? file->output_count : 1, made = 0;
    for (size_t i = 0; i < count; i++) {
        if (!file->raw[i].is_leaf) continue;
        memset(file->numbers + (size_t)made * width, 0, width * sizeof(double));
        file->raw[i].leaf = made++;
    }
    for (size_t i = 0; i < leaf_count; i++) {
        int64_t place = find(nodes, count, leaves[i].node);
        if (place < 0 || !file->raw[place].is_leaf) continue;
        size_t output = file->is_vector ? (size_t)file->outputs[leaves[i].at] : 0;
        double *number = file->numbers + (size_t)file->raw[place].leaf * width + output;
        *number = (double)((float)*number + file->weights[leaves[i].at]);
    }
    return made;
}

/* The root comes first: the two nodes change places. */
static enum lp_code put_root_first(const struct lp_onnx_node *node, struct lp_raw_node *raw, size_t count,
                                   const unsigned char *pointed, int64_t tree, struct lp_error *err)
{
    size_t root = count;
    for (size_t i = 0; i < count; i++) {
        if (pointed[i]) continue;
        if (root < count) return lp_onnx_bad(node, err, "tree %lld has several roots", (long long)tree);
        root = i;
    }
    if (root == count) return lp_onnx_bad(node, err, "tree %lld has no root: it goes in a circle", (long long)tree);
    const struct lp_raw_node first = raw[0];
    raw[0] = raw[root];
    raw[root] = first;
    for (size_t i = 0; i < count && root != 0; i++) {
        int64_t *ways[] = {&raw[i].left, &raw[i].right};
        for (int k = 0; k < 2; k++)
            if (!raw[i].is_leaf) *ways[k] = *ways[k] == 0 ? (int64_t)root : *ways[k] == (int64_t)root ? 0 : *ways[k];
    }
    return LP_OK;
}

static enum lp_code add_tree(const struct lp_onnx_node *node, struct file *file, size_t begin, size_t end,
                             size_t *leaf_at, unsigned char *pointed, struct lp_forest *forest, struct lp_error *err)
{
    const struct entry *nodes = file->nodes + begin, *leaves;
    size_t count = end - begin, leaf_begin = *leaf_at;
    memset(pointed, 0, count);
    LP_TRY(make_splits(node, file, nodes, count, pointed, err));
    if (leaf_begin < file->weight_count && file->leaves[leaf_begin].tree < nodes->tree)
        return lp_onnx_bad(node, err, "a weight of tree %lld, which there is not",
                           (long long)file->leaves[leaf_begin].tree);
    while (*leaf_at < file->weight_count && file->leaves[*leaf_at].tree == nodes->tree) ++*leaf_at;
    leaves = file->leaves + leaf_begin;
    uint32_t leaf_count = make_leaves(file, nodes, count, leaves, *leaf_at - leaf_begin);
    LP_TRY(put_root_first(node, file->raw, count, pointed, nodes->tree, err));
    const struct lp_raw_tree tree = {
        .node_count = (uint32_t)count,
        .nodes = file->raw,
        .leaf_count = leaf_count,
        .leaf_value = file->numbers,
        .output = *leaf_at > leaf_begin && !file->is_vector ? (uint32_t)file->outputs[leaves->at] : 0,
    };
    enum lp_code rc = lp_forest_add(forest, &tree, err);
    return rc == LP_OK ? rc : lp_error_wrap(err, "tree %lld", (long long)nodes->tree);
}

static enum lp_code add_trees(const struct lp_onnx_node *node, struct file *file, struct lp_forest *forest,
                              struct lp_error *err)
{
    unsigned char *pointed = calloc(file->node_count, 1);
    size_t leaf_at = 0, begin = 0;
    enum lp_code rc = pointed != NULL ? LP_OK : lp_fail_memory(err, file->node_count);
    while (rc == LP_OK && begin < file->node_count) {
        size_t end = begin + 1;
        while (end < file->node_count && file->nodes[end].tree == file->nodes[begin].tree) end++;
        rc = add_tree(node, file, begin, end, &leaf_at, pointed, forest, err);
        begin = end;
    }
    free(pointed);
    if (rc == LP_OK && leaf_at < file->weight_count)
        return lp_onnx_bad(node, err, "a weight of tree %lld, which there is not",
                           (long long)file->leaves[leaf_at].tree);
    return rc;
}

/* Nodes and weights as a forest of the graph's. */
static enum lp_code make_forest(struct lp_onnx *onnx, const struct lp_onnx_node *node, struct file *file,
                                struct lp_graph_trees **ret_trees, struct lp_error *err)
{
    LP_TRY(check_nodes(node, file, err));
    file->is_vector = !is_scalar(file) && file->output_count > 1;
    uint64_t numbers = (uint64_t)file->node_count * (file->is_vector ? file->output_count : 1);
    if (numbers > LP_ML_LEAF_NUMBERS_MAX)
        return lp_fail(err, LP_E_LIMIT, LP_FATAL, "%zu nodes of %u outputs: at most %d numbers are allowed",
                       file->node_count, file->output_count, LP_ML_LEAF_NUMBERS_MAX);
    LP_TRY(lp_storage_charge(&onnx->draft->storage, numbers, sizeof *file->numbers, err));
    file->raw = calloc(file->node_count, sizeof *file->raw);
    file->numbers = calloc((size_t)numbers, sizeof *file->numbers);
    if (file->raw == NULL || file->numbers == NULL) return lp_fail_memory(err, (size_t)numbers * sizeof *file->numbers);
    LP_TRY(lp_ml_forest_new(onnx, file->is_vector ? file->output_count : 1, ret_trees, err));
    return add_trees(node, file, &(*ret_trees)->forest, err);
}

static void file_done(struct file *file)
{
    free(file->nodes);
    free(file->leaves);
    free(file->raw);
    free(file->numbers);
}

static enum lp_code read_row(struct lp_onnx *onnx, const struct lp_onnx_node *node, struct file *file,
                             struct lp_ml_row *ret_row, struct lp_error *err)
{
    LP_TRY(lp_ml_input(onnx, node, 0, ret_row, err));
    if (ret_row->rank > 1) return lp_onnx_refuse(node, err, "%u axes beside the batch: it defines one", ret_row->rank);
    file->column_count = ret_row->rank > 0 ? ret_row->dims[0] : 1;
    return LP_OK;
}

/* base_values, or base_values_as_tensor; none: NULL. */
static enum lp_code read_base(struct lp_onnx *onnx, const struct lp_onnx_node *node, const double **ret_base,
                              size_t *ret_count, struct lp_error *err)
{
    struct lp_onnx_constant *tensor;
    const float *floats;
    size_t count;
    LP_TRY(lp_onnx_floats(node, "base_values", &floats, &count, err));
    LP_TRY(lp_onnx_tensor_attribute(onnx, node, "base_values_as_tensor", &tensor, err));
    if (count == 0 && tensor != NULL) count = (size_t)tensor->count;
    *ret_count = count;
    *ret_base = NULL;
    if (count == 0) return LP_OK;
    double *base = lp_storage_take(&onnx->draft->storage, count, sizeof *base, err);
    if (base == NULL) return lp_failed(err->code);
    for (size_t i = 0; i < count; i++) base[i] = floats != NULL ? (double)floats[i] : lp_onnx_number_at(tensor, i);
    for (size_t i = 0; i < count; i++)
        if (!isfinite((float)base[i])) return lp_onnx_bad(node, err, "base value %zu is not finite", i);
    *ret_base = base;
    return LP_OK;
}

/* Is there a tree that gives class 1 in each of its leaves? */
static bool always_scores_second(const struct file *file)
{
    size_t at = 0;
    for (size_t begin = 0, end; begin < file->node_count; begin = end) {
        bool all = true;
        for (end = begin; end < file->node_count && file->nodes[end].tree == file->nodes[begin].tree; end++) {
            if (!is_leaf(file, &file->nodes[end])) continue;
            bool has = false;
            while (at < file->weight_count &&
                   compare(&(struct entry){file->leaves[at].tree, file->leaves[at].node, 0},
                           &(struct entry){file->nodes[end].tree, file->nodes[end].node, 0}) < 0)
                at++;
            for (size_t i = at; i < file->weight_count && file->leaves[i].tree == file->nodes[end].tree &&
                                file->leaves[i].node == file->nodes[end].node;
                 i++)
                has |= file->outputs[file->leaves[i].at] == 1;
            all &= has;
        }
        if (all) return true;
    }
    return false;
}

/*
 * Two classes, where ONNX Runtime has rules of its own (tree_ensemble_aggregator.h): when all weights are of class 0
 * they are the score of class 1, and class 0 is the rest. When both classes have weights, a row in which no leaf says
 * anything of class 1 counts as the first kind: refused, unless some tree always does.
 */
static enum lp_code check_two(const struct lp_onnx_node *node, const struct file *file, bool single, const double *base,
                              size_t base_count, struct lp_error *err)
{
    if (base_count > 1) return lp_onnx_refuse(node, err, "%zu base values of two classes", base_count);
    if (single) return LP_OK;
    if (base_count == 1 && base[0] != 0) return lp_onnx_refuse(node, err, "one base value of two classes' weights");
    if (!always_scores_second(file))
        return lp_onnx_refuse(node, err, "no tree has a weight of the second class in all of its leaves");
    return LP_OK;
}

static enum lp_code classify(struct lp_onnx *onnx, const struct lp_onnx_node *node, struct file *file, size_t labels,
                             struct lp_ml_row *row, struct lp_error *err)
{
    enum lp_ml_post post;
    struct lp_graph_trees *trees;
    const double *base;
    size_t base_count;
    bool single = labels == 2, negative = false;
    LP_TRY(lp_ml_post_read(node, &post, err));
    LP_TRY(read_base(onnx, node, &base, &base_count, err));
    for (size_t i = 0; i < file->weight_count; i++) {
        single &= file->outputs[i] == 0;
        negative |= file->weights[i] < 0;
    }
    if (labels == 2) LP_TRY(check_two(node, file, single, base, base_count, err));
    else if (base_count != 0 && base_count != labels)
        return lp_onnx_bad(node, err, "%zu base values of %zu classes", base_count, labels);
    if (labels == 2 && !single) base = NULL;
    if (single) file->output_count = 1;
    LP_TRY(make_forest(onnx, node, file, &trees, err));
    LP_TRY(lp_ml_forest_emit(onnx, trees, file->output_count, base, false, row, err));
    return single ? lp_ml_second_class(onnx, post, negative, row, err) : lp_ml_post(onnx, node, post, row, err);
}

enum lp_code lp_ml_tree_classifier(struct lp_onnx *onnx, const struct lp_onnx_node *node, struct lp_error *err)
{
    static const char *const names[] = {"class_treeids", "class_nodeids", "class_ids", "class_weights",
                                        "class_weights_as_tensor"};
    struct file file = {0};
    struct lp_ml_row row;
    size_t labels;
    enum lp_code rc;
    LP_GUARD(read_row(onnx, node, &file, &row, err));
    LP_GUARD(lp_ml_labels(onnx, node, "classlabels_int64s", "classlabels_strings", &labels, err));
    if (labels < 2) LP_GUARD(lp_onnx_refuse(node, err, "%zu classes: two or more are in this release", labels));
    file.output_count = (uint32_t)labels;
    LP_GUARD(read_nodes(onnx, node, &file, err));
    LP_GUARD(read_weights(onnx, node, names, &file, err));
    LP_GUARD(classify(onnx, node, &file, labels, &row, err));
    lp_ml_bind(onnx, node, 1, &row);
out:
    file_done(&file);
    return rc;
}

/* ONNX Runtime applies a transform to several targets only. */
static enum lp_code regress(struct lp_onnx *onnx, const struct lp_onnx_node *node, struct file *file,
                            struct lp_ml_row *row, struct lp_error *err)
{
    enum lp_ml_post post;
    struct lp_span how;
    struct lp_graph_trees *trees;
    const double *base;
    size_t base_count;
    LP_TRY(lp_ml_post_read(node, &post, err));
    LP_TRY(lp_onnx_text(node, "aggregate_function", "SUM", &how, err));
    LP_TRY(read_base(onnx, node, &base, &base_count, err));
    if (!lp_span_is(how, "SUM") && !lp_span_is(how, "AVERAGE"))
        return lp_onnx_refuse(node, err, "aggregate_function `%.*s` is not in this release",
                              (int)(how.size < 16 ? how.size : 16), (const char *)how.data);
    if (base_count != 0 && base_count != file->output_count)
        return lp_onnx_bad(node, err, "%zu base values of %u targets", base_count, file->output_count);
    LP_TRY(make_forest(onnx, node, file, &trees, err));
    LP_TRY(lp_ml_forest_emit(onnx, trees, file->output_count, base, lp_span_is(how, "AVERAGE"), row, err));
    return file->output_count > 1 ? lp_ml_post(onnx, node, post, row, err) : LP_OK;
}

enum lp_code lp_ml_tree_regressor(struct lp_onnx *onnx, const struct lp_onnx_node *node, struct lp_error *err)
{
    static const char *const names[] = {"target_treeids", "target_nodeids", "target_ids", "target_weights",
                                        "target_weights_as_tensor"};
    struct file file = {0};
    struct lp_ml_row row;
    int64_t targets;
    enum lp_code rc;
    LP_GUARD(read_row(onnx, node, &file, &row, err));
    LP_GUARD(lp_onnx_int(node, "n_targets", 1, &targets, err));
    if (targets < 1 || targets > LP_BUNDLE_OUTPUTS_MAX)
        LP_GUARD(lp_onnx_bad(node, err, "%lld targets", (long long)targets));
    file.output_count = (uint32_t)targets;
    LP_GUARD(read_nodes(onnx, node, &file, err));
    LP_GUARD(read_weights(onnx, node, names, &file, err));
    LP_GUARD(regress(onnx, node, &file, &row, err));
    lp_ml_bind(onnx, node, 0, &row);
out:
    file_done(&file);
    return rc;
}
