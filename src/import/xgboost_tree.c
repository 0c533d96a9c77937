/* One tree of an XGBoost file: arrays by node -> struct lp_raw_tree. */
#include "import/xgboost.h"

#include <string.h>

#define BAD(err, ...) lp_fail((err), LP_E_INVALID, LP_FATAL, __VA_ARGS__)

enum { CATEGORY_MAX = (1 << 24) - 1, LEAF_SIZE_MAX = LP_BUNDLE_OUTPUTS_MAX };

#define READ_WHOLES(member, name)                                                    \
    static enum lp_code read_##member(struct lp_xgboost *file, struct lp_error *err) \
    {                                                                                \
        return lp_xgboost_wholes(&file->document, name, &file->tree.member, err);    \
    }
READ_WHOLES(left, "left_children")
READ_WHOLES(right, "right_children")
READ_WHOLES(default_left, "default_left")
READ_WHOLES(split_index, "split_indices")
READ_WHOLES(split_type, "split_type")
READ_WHOLES(categories, "categories")
READ_WHOLES(category_nodes, "categories_nodes")
READ_WHOLES(category_segments, "categories_segments")
READ_WHOLES(category_sizes, "categories_sizes")

static enum lp_code read_condition(struct lp_xgboost *file, struct lp_error *err)
{
    return lp_xgboost_floats(&file->document, "split_conditions", &file->tree.condition, err);
}
static enum lp_code read_leaf_weights(struct lp_xgboost *file, struct lp_error *err)
{
    return lp_xgboost_floats(&file->document, "leaf_weights", &file->tree.leaf_weights, err);
}
/* Only vector leaves of 2.x need them, and that is known at the tree's end. */
static enum lp_code read_base_weights(struct lp_xgboost *file, struct lp_error *err)
{
    file->tree.base_weights_at = file->document.at;
    return lp_document_skip(&file->document, err);
}
static enum lp_code read_leaf_size(struct lp_xgboost *file, struct lp_error *err)
{
    return lp_xgboost_whole(file, "size_leaf_vector", 0, LEAF_SIZE_MAX, &file->tree.leaf_size, err);
}
static enum lp_code read_param(struct lp_xgboost *file, struct lp_error *err)
{
    static const struct lp_xgboost_member members[] = {{"size_leaf_vector", read_leaf_size}, {NULL, NULL}};
    return lp_xgboost_object(file, members, "tree_param", err);
}

static enum lp_code check_count(const char *what, size_t got, size_t want, struct lp_error *err)
{
    return got == want ? LP_OK : BAD(err, "%s has %zu entries, not %zu", what, got, want);
}

static enum lp_code check_counts(const struct lp_xgboost_tree *tree, size_t *ret_count, struct lp_error *err)
{
    size_t count = lp_wholes_count(&tree->left), sets = lp_wholes_count(&tree->category_nodes);
    if (count == 0 || count > LP_BUNDLE_NODES_MAX) return BAD(err, "it has %zu nodes", count);
    LP_TRY(check_count("right_children", lp_wholes_count(&tree->right), count, err));
    LP_TRY(check_count("default_left", lp_wholes_count(&tree->default_left), count, err));
    LP_TRY(check_count("split_indices", lp_wholes_count(&tree->split_index), count, err));
    LP_TRY(check_count("split_conditions", lp_floats_count(&tree->condition), count, err));
    if (tree->split_type.size > 0) LP_TRY(check_count("split_type", lp_wholes_count(&tree->split_type), count, err));
    LP_TRY(check_count("categories_segments", lp_wholes_count(&tree->category_segments), sets, err));
    LP_TRY(check_count("categories_sizes", lp_wholes_count(&tree->category_sizes), sets, err));
    *ret_count = count;
    return LP_OK;
}

/* Segments lie apart, so that their sizes come to no more than there are categories: the work is linear in the file. */
static enum lp_code check_segments(const struct lp_xgboost_tree *tree, struct lp_error *err)
{
    int64_t count = (int64_t)lp_wholes_count(&tree->categories), left = count;
    for (size_t i = 0; i < lp_wholes_count(&tree->category_nodes); i++) {
        int64_t begin = lp_wholes(&tree->category_segments)[i], size = lp_wholes(&tree->category_sizes)[i];
        if (begin < 0 || size < 0 || begin > count || size > count - begin)
            return BAD(err, "categories %lld+%lld of %lld", (long long)begin, (long long)size, (long long)count);
        if (size > left) return BAD(err, "categories_segments overlap: more than %lld categories", (long long)count);
        left -= size;
    }
    return LP_OK;
}

/* One node's categories as bits behind the words that are there. */
static enum lp_code add_set(struct lp_xgboost *file, size_t set, struct lp_error *err)
{
    struct lp_xgboost_tree *tree = &file->tree;
    int64_t begin = lp_wholes(&tree->category_segments)[set], size = lp_wholes(&tree->category_sizes)[set];
    int64_t largest = -1;
    const int64_t *categories = size > 0 ? lp_wholes(&tree->categories) + begin : NULL;
    for (int64_t i = 0; i < size; i++) {
        if (categories[i] < 0 || categories[i] > CATEGORY_MAX)
            return BAD(err, "category %lld: 0 to %d is allowed", (long long)categories[i], CATEGORY_MAX);
        if (categories[i] > largest) largest = categories[i];
    }
    uint32_t words = largest >= 0 ? (uint32_t)largest / 32 + 1 : 0, at = (uint32_t)(tree->set_words.size / 4);
    if (words > LP_FOREST_WORDS_MAX - file->set_words_read)
        return lp_fail(err, LP_E_LIMIT, LP_FATAL, "category sets of more than %d words", LP_FOREST_WORDS_MAX);
    file->set_words_read += words;
    lp_buffer_append(&tree->set_begin, &at, sizeof at);
    unsigned char *to = words > 0 ? lp_buffer_reserve(&tree->set_words, (size_t)words * 4) : NULL;
    if (words > 0 && to == NULL) return lp_fail_memory(err, (size_t)words * 4);
    if (words > 0) memset(to, 0, (size_t)words * 4);
    tree->set_words.size += (size_t)words * 4;
    uint32_t *bits = (uint32_t *)(void *)to;
    for (int64_t i = 0; i < size; i++) bits[categories[i] / 32] |= (uint32_t)1 << (categories[i] % 32);
    return LP_OK;
}

/* Sets in the order of categories_nodes; each node learns which is its own. A node that was pruned keeps its entry. */
static enum lp_code add_sets(struct lp_xgboost *file, struct lp_raw_node *nodes, size_t count, struct lp_error *err)
{
    struct lp_xgboost_tree *tree = &file->tree;
    LP_TRY(check_segments(tree, err));
    size_t sets = lp_wholes_count(&tree->category_nodes);
    for (size_t i = 0; i < sets; i++) {
        int64_t node = lp_wholes(&tree->category_nodes)[i];
        if (node < 0 || node >= (int64_t)count) return BAD(err, "categories of node %lld", (long long)node);
        if (nodes[node].set != UINT32_MAX) return BAD(err, "node %lld has two category sets", (long long)node);
        nodes[node].set = (uint32_t)i;
        LP_TRY(add_set(file, i, err));
    }
    uint32_t end = (uint32_t)(tree->set_words.size / 4);
    lp_buffer_append(&tree->set_begin, &end, sizeof end);
    return lp_buffer_check(&tree->set_words, "category sets", err);
}

static void put_values(struct lp_buffer *to, const float *values, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        double value = (double)values[i];
        lp_buffer_append(to, &value, sizeof value);
    }
}

/* Vector leaves: 3.1 on, leaf_weights by leaf, whose number is in right_children; before, base_weights by node. */
static enum lp_code find_vectors(struct lp_xgboost *file, size_t count, bool *ret_by_leaf, struct lp_error *err)
{
    struct lp_xgboost_tree *tree = &file->tree;
    size_t width = (size_t)tree->leaf_size;
    *ret_by_leaf = tree->leaf_weights.size > 0;
    if (*ret_by_leaf) {
        if (lp_floats_count(&tree->leaf_weights) % width != 0) return BAD(err, "leaf_weights are no vectors");
        put_values(&tree->leaf_values, lp_floats(&tree->leaf_weights), lp_floats_count(&tree->leaf_weights));
        return lp_buffer_check(&tree->leaf_values, "leaf_weights", err);
    }
    if (tree->base_weights_at == 0) return BAD(err, "vector leaves, but neither leaf_weights nor base_weights");
    struct lp_document again;
    lp_document_init(&again, file->document.bytes, file->document.is_binary);
    again.at = tree->base_weights_at;
    enum lp_code rc = lp_xgboost_floats(&again, "base_weights", &tree->base_weights, err);
    lp_document_done(&again);
    if (rc != LP_OK) return rc;
    LP_TRY(check_count("base_weights", lp_floats_count(&tree->base_weights), count * width, err));
    put_values(&tree->leaf_values, lp_floats(&tree->base_weights), lp_floats_count(&tree->base_weights));
    return lp_buffer_check(&tree->leaf_values, "base_weights", err);
}

static enum lp_code make_nodes(struct lp_xgboost *file, size_t count, struct lp_raw_node *nodes, struct lp_error *err)
{
    struct lp_xgboost_tree *tree = &file->tree;
    bool vector = tree->leaf_size > 1, by_leaf = false;
    if (vector) LP_TRY(find_vectors(file, count, &by_leaf, err));
    else put_values(&tree->leaf_values, lp_floats(&tree->condition), count);
    for (size_t i = 0; i < count; i++) {
        int64_t left = lp_wholes(&tree->left)[i], right = lp_wholes(&tree->right)[i];
        int64_t column = lp_wholes(&tree->split_index)[i];
        bool category = tree->split_type.size > 0 && lp_wholes(&tree->split_type)[i] != 0;
        nodes[i] = (struct lp_raw_node){.is_leaf = left == -1, .left = left, .right = right, .set = UINT32_MAX};
        if (nodes[i].is_leaf) {
            int64_t leaf = by_leaf ? right : (int64_t)i;
            nodes[i].leaf = leaf >= 0 && leaf < UINT32_MAX ? (uint32_t)leaf : UINT32_MAX;
            continue;
        }
        nodes[i].column = column >= 0 && column <= INT32_MAX ? (uint32_t)column : INT32_MAX;
        nodes[i].threshold = (double)lp_floats(&tree->condition)[i];
        nodes[i].flags = category ? LP_TREES_CATEGORICAL : LP_TREES_MISSING_NAN;
        if (lp_wholes(&tree->default_left)[i] != 0) nodes[i].flags |= LP_TREES_DEFAULT_LEFT;
    }
    return lp_buffer_check(&tree->leaf_values, "leaves", err);
}

static enum lp_code add_tree(struct lp_xgboost *file, struct lp_error *err)
{
    struct lp_xgboost_tree *tree = &file->tree;
    struct lp_forest *forest = &file->draft->forest;
    uint32_t width = tree->leaf_size > 1 ? (uint32_t)tree->leaf_size : 1;
    size_t count;
    LP_TRY(check_counts(tree, &count, err));
    if (lp_forest_tree_count(forest) == 0) forest->leaf_width = width;
    if (forest->leaf_width != width) return BAD(err, "its leaves have %u values, not %u", width, forest->leaf_width);
    struct lp_raw_node *nodes = (void *)lp_buffer_reserve(&tree->nodes, count * sizeof *nodes);
    if (nodes == NULL) return lp_fail_memory(err, count * sizeof *nodes);
    LP_TRY(make_nodes(file, count, nodes, err));
    LP_TRY(add_sets(file, nodes, count, err));
    const struct lp_raw_tree raw = {
        .node_count = (uint32_t)count,
        .nodes = nodes,
        .set_count = (uint32_t)lp_wholes_count(&tree->category_nodes),
        .set_begin = (const uint32_t *)(const void *)tree->set_begin.data,
        .set_words = (const uint32_t *)(const void *)tree->set_words.data,
        .leaf_count = (uint32_t)(tree->leaf_values.size / sizeof(double) / width),
        .leaf_value = (const double *)(const void *)tree->leaf_values.data,
    };
    return lp_forest_add(forest, &raw, err);
}

enum lp_code lp_xgboost_tree_read(struct lp_xgboost *file, struct lp_error *err)
{
    static const struct lp_xgboost_member members[] = {{"left_children", read_left},
                                                       {"right_children", read_right},
                                                       {"default_left", read_default_left},
                                                       {"split_indices", read_split_index},
                                                       {"split_type", read_split_type},
                                                       {"split_conditions", read_condition},
                                                       {"categories", read_categories},
                                                       {"categories_nodes", read_category_nodes},
                                                       {"categories_segments", read_category_segments},
                                                       {"categories_sizes", read_category_sizes},
                                                       {"leaf_weights", read_leaf_weights},
                                                       {"base_weights", read_base_weights},
                                                       {"tree_param", read_param},
                                                       {NULL, NULL}};
    struct lp_xgboost_tree *tree = &file->tree;
    struct lp_buffer *const used[] = {
        &tree->left,           &tree->right,      &tree->default_left,   &tree->split_index,
        &tree->split_type,     &tree->categories, &tree->category_nodes, &tree->category_segments,
        &tree->category_sizes, &tree->condition,  &tree->leaf_weights,   &tree->base_weights,
        &tree->nodes,          &tree->set_begin,  &tree->set_words,      &tree->leaf_values,
    };
    for (size_t i = 0; i < sizeof used / sizeof *used; i++) lp_buffer_clear(used[i]);
    tree->base_weights_at = 0;
    tree->leaf_size = 1;
    LP_TRY(lp_xgboost_object(file, members, "a tree", err));
    return add_tree(file, err);
}
