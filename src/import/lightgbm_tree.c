/* One tree of a LightGBM file: inner nodes and leaves numbered apart -> struct lp_raw_tree, inner nodes first. */
#include "import/lightgbm.h"

#include <string.h>

#define BAD(err, ...) lp_fail((err), LP_E_INVALID, LP_FATAL, __VA_ARGS__)

enum { LEAVES_MAX = LP_BUNDLE_NODES_MAX / 2 };
enum { TYPE_CATEGORICAL = 1, TYPE_DEFAULT_LEFT = 2, TYPE_MISSING_SHIFT = 2, TYPE_MAX = 15 };

static void each_buffer(struct lp_lightgbm_tree *tree, struct lp_buffer **ret_all)
{
    struct lp_buffer *const all[] = {
        &tree->split_feature, &tree->decision_type, &tree->left,       &tree->right,
        &tree->boundaries,    &tree->words,         &tree->terms,      &tree->term_columns,
        &tree->threshold,     &tree->leaf_value,    &tree->leaf_const, &tree->term_coefficients,
        &tree->nodes,         &tree->set_begin,     &tree->set_words,  &tree->linear_begin,
        &tree->linear_column,
    };
    memcpy(ret_all, all, sizeof all);
}

enum { BUFFERS = 17 };

void lp_lightgbm_tree_init(struct lp_lightgbm_tree *tree, size_t bytes_max)
{
    struct lp_buffer *all[BUFFERS];
    each_buffer(tree, all);
    for (size_t i = 0; i < BUFFERS; i++) lp_buffer_init(all[i], bytes_max);
}

void lp_lightgbm_tree_done(struct lp_lightgbm_tree *tree)
{
    struct lp_buffer *all[BUFFERS];
    each_buffer(tree, all);
    for (size_t i = 0; i < BUFFERS; i++) lp_buffer_done(all[i]);
}

/* --- its lines --- */

enum kind { IGNORED, WHOLE, WHOLES, DOUBLES };

static enum lp_code read_line(struct lp_lightgbm_tree *tree, const struct lp_line *line, struct lp_error *err)
{
    const struct {
        const char *key;
        enum kind kind;
        void *to;
        int64_t low, high;
    } known[] = {
        {"num_leaves", WHOLE, &tree->leaf_count, 1, LEAVES_MAX},
        {"num_cat", WHOLE, &tree->set_count, 0, LEAVES_MAX},
        {"is_linear", WHOLE, &tree->is_linear, 0, 1},
        {"split_feature", WHOLES, &tree->split_feature, 0, INT32_MAX},
        {"threshold", DOUBLES, &tree->threshold, 0, 0},
        {"decision_type", WHOLES, &tree->decision_type, 0, TYPE_MAX},
        {"left_child", WHOLES, &tree->left, INT32_MIN, INT32_MAX},
        {"right_child", WHOLES, &tree->right, INT32_MIN, INT32_MAX},
        {"leaf_value", DOUBLES, &tree->leaf_value, 0, 0},
        {"cat_boundaries", WHOLES, &tree->boundaries, 0, INT32_MAX},
        {"cat_threshold", WHOLES, &tree->words, 0, UINT32_MAX},
        {"leaf_const", DOUBLES, &tree->leaf_const, 0, 0},
        {"num_features", WHOLES, &tree->terms, 0, INT32_MAX},
        {"leaf_features", WHOLES, &tree->term_columns, 0, INT32_MAX},
        {"leaf_coeff", DOUBLES, &tree->term_coefficients, 0, 0},
        {"split_gain", IGNORED, NULL, 0, 0},
        {"leaf_weight", IGNORED, NULL, 0, 0},
        {"leaf_count", IGNORED, NULL, 0, 0},
        {"internal_value", IGNORED, NULL, 0, 0},
        {"internal_weight", IGNORED, NULL, 0, 0},
        {"internal_count", IGNORED, NULL, 0, 0},
        {"shrinkage", IGNORED, NULL, 0, 0}, /* the leaves are scaled already */
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (!lp_span_is(line->key, known[i].key)) continue;
        struct lp_buffer *to = known[i].to;
        if (known[i].kind == IGNORED) return LP_OK;
        if (known[i].kind == WHOLE)
            return lp_word_whole(line->value, known[i].key, known[i].low, known[i].high, known[i].to, err);
        if (to->size > 0) return BAD(err, "%s is there twice", known[i].key);
        return known[i].kind == WHOLES
                   ? lp_words_wholes(line->value, known[i].key, known[i].low, known[i].high, to, err)
                   : lp_words_doubles(line->value, known[i].key, to, err);
    }
    return lp_fail(err, LP_E_UNSUPPORTED, LP_FATAL, "a line `%.*s=`: its meaning is not known here",
                   (int)(line->key.size < 40 ? line->key.size : 40), (const char *)line->key.data);
}

static const int64_t *wholes(const struct lp_buffer *buffer) { return (const void *)buffer->data; }
static const double *doubles(const struct lp_buffer *buffer) { return (const void *)buffer->data; }

static enum lp_code check_count(const char *what, const struct lp_buffer *buffer, int64_t want, struct lp_error *err)
{
    int64_t got = (int64_t)(buffer->size / sizeof(int64_t));
    return got == want ? LP_OK : BAD(err, "%s has %lld entries, not %lld", what, (long long)got, (long long)want);
}

static enum lp_code check_counts(const struct lp_lightgbm_tree *tree, struct lp_error *err)
{
    int64_t splits = tree->leaf_count - 1;
    if (tree->leaf_count == 0) return BAD(err, "num_leaves is missing");
    LP_TRY(check_count("leaf_value", &tree->leaf_value, tree->leaf_count, err));
    LP_TRY(check_count("split_feature", &tree->split_feature, splits, err));
    LP_TRY(check_count("threshold", &tree->threshold, splits, err));
    LP_TRY(check_count("decision_type", &tree->decision_type, splits, err));
    LP_TRY(check_count("left_child", &tree->left, splits, err));
    LP_TRY(check_count("right_child", &tree->right, splits, err));
    if (tree->set_count > 0) LP_TRY(check_count("cat_boundaries", &tree->boundaries, tree->set_count + 1, err));
    if (!tree->is_linear) return LP_OK;
    LP_TRY(check_count("leaf_const", &tree->leaf_const, tree->leaf_count, err));
    return check_count("num_features", &tree->terms, tree->leaf_count, err);
}

/* --- what they mean --- */

static enum lp_code make_sets(struct lp_lightgbm_tree *tree, struct lp_error *err)
{
    int64_t words = (int64_t)(tree->words.size / sizeof(int64_t));
    for (int64_t i = 0; tree->set_count > 0 && i <= tree->set_count; i++) {
        int64_t at = wholes(&tree->boundaries)[i];
        if (at > words || (i > 0 && at < wholes(&tree->boundaries)[i - 1]))
            return BAD(err, "cat_boundaries: %lld of %lld words", (long long)at, (long long)words);
        uint32_t begin = (uint32_t)at;
        lp_buffer_append(&tree->set_begin, &begin, sizeof begin);
    }
    for (int64_t i = 0; i < words; i++) {
        uint32_t word = (uint32_t)wholes(&tree->words)[i];
        lp_buffer_append(&tree->set_words, &word, sizeof word);
    }
    return lp_buffer_check(&tree->set_words, "cat_threshold", err);
}

static enum lp_code make_linear(struct lp_lightgbm_tree *tree, struct lp_error *err)
{
    uint32_t at = 0;
    int64_t count = (int64_t)(tree->term_columns.size / sizeof(int64_t));
    LP_TRY(check_count("leaf_coeff", &tree->term_coefficients, count, err));
    for (int64_t i = 0; i < tree->leaf_count; i++) {
        lp_buffer_append(&tree->linear_begin, &at, sizeof at);
        int64_t terms = wholes(&tree->terms)[i];
        if (terms > count - (int64_t)at)
            return BAD(err, "num_features: more than the %lld there are", (long long)count);
        at += (uint32_t)terms;
    }
    lp_buffer_append(&tree->linear_begin, &at, sizeof at);
    if (at != count) return BAD(err, "num_features: %u, but leaf_features has %lld", at, (long long)count);
    for (int64_t i = 0; i < count; i++) {
        uint32_t column = (uint32_t)wholes(&tree->term_columns)[i];
        double coefficient = doubles(&tree->term_coefficients)[i];
        if (!(coefficient - coefficient == 0)) return BAD(err, "leaf_coeff: an entry is not finite");
        lp_buffer_append(&tree->linear_column, &column, sizeof column);
    }
    for (int64_t i = 0; i < tree->leaf_count; i++)
        if (!(doubles(&tree->leaf_const)[i] - doubles(&tree->leaf_const)[i] == 0))
            return BAD(err, "leaf_const: an entry is not finite");
    return lp_buffer_check(&tree->linear_column, "leaf_features", err);
}

/* Inner nodes are 0 to leaf_count - 2, leaf j (written ~j) is node leaf_count - 1 + j. */
static int64_t node_of(const struct lp_lightgbm_tree *tree, int64_t child)
{
    if (child >= 0) return child < tree->leaf_count - 1 ? child : -1;
    return ~child < tree->leaf_count ? tree->leaf_count - 1 + ~child : -1;
}

static enum lp_code make_split(const struct lp_lightgbm_tree *tree, int64_t i, struct lp_raw_node *node,
                               struct lp_error *err)
{
    static const uint8_t missing[] = {0, LP_TREES_MISSING_ZERO, LP_TREES_MISSING_NAN};
    int64_t type = wholes(&tree->decision_type)[i];
    double threshold = doubles(&tree->threshold)[i];
    node->column = (uint32_t)wholes(&tree->split_feature)[i];
    node->left = node_of(tree, wholes(&tree->left)[i]);
    node->right = node_of(tree, wholes(&tree->right)[i]);
    node->threshold = threshold;
    if ((type & TYPE_CATEGORICAL) != 0) {
        if (!(threshold >= 0 && threshold < (double)tree->set_count) || threshold != (double)(uint32_t)threshold)
            return BAD(err, "node %lld has category set %g of %lld", (long long)i, threshold,
                       (long long)tree->set_count);
        node->set = (uint32_t)threshold;
        node->flags = LP_TREES_CATEGORICAL;
        return LP_OK;
    }
    int64_t kind = type >> TYPE_MISSING_SHIFT;
    if (kind > 2) return BAD(err, "node %lld has missing type %lld", (long long)i, (long long)kind);
    node->flags = missing[kind];
    if ((type & TYPE_DEFAULT_LEFT) != 0) node->flags |= LP_TREES_DEFAULT_LEFT;
    return LP_OK;
}

static enum lp_code add_tree(struct lp_lightgbm *file, struct lp_error *err)
{
    struct lp_lightgbm_tree *tree = &file->tree;
    LP_TRY(check_counts(tree, err));
    LP_TRY(make_sets(tree, err));
    if (tree->is_linear) LP_TRY(make_linear(tree, err));
    size_t count = (size_t)tree->leaf_count * 2 - 1;
    struct lp_raw_node *nodes = (void *)lp_buffer_reserve(&tree->nodes, count * sizeof *nodes);
    if (nodes == NULL) return lp_fail_memory(err, count * sizeof *nodes);
    memset(nodes, 0, count * sizeof *nodes);
    for (int64_t i = 0; i < tree->leaf_count - 1; i++) LP_TRY(make_split(tree, i, &nodes[i], err));
    for (int64_t j = 0; j < tree->leaf_count; j++)
        nodes[tree->leaf_count - 1 + j] = (struct lp_raw_node){.is_leaf = true, .leaf = (uint32_t)j};
    const struct lp_raw_tree raw = {
        .node_count = (uint32_t)count,
        .nodes = nodes,
        .set_count = (uint32_t)tree->set_count,
        .set_begin = (const void *)tree->set_begin.data,
        .set_words = (const void *)tree->set_words.data,
        .leaf_count = (uint32_t)tree->leaf_count,
        .leaf_value = doubles(&tree->leaf_value),
        .linear_begin = tree->is_linear ? (const void *)tree->linear_begin.data : NULL,
        .linear_column = (const void *)tree->linear_column.data,
        .linear_coefficient = doubles(&tree->term_coefficients),
        .linear_constant = doubles(&tree->leaf_const),
    };
    return lp_forest_add(&file->draft->forest, &raw, err);
}

enum lp_code lp_lightgbm_tree_read(struct lp_lightgbm *file, struct lp_error *err)
{
    struct lp_lightgbm_tree *tree = &file->tree;
    struct lp_buffer *all[BUFFERS];
    struct lp_line line;
    each_buffer(tree, all);
    for (size_t i = 0; i < BUFFERS; i++) lp_buffer_clear(all[i]);
    tree->leaf_count = tree->set_count = tree->is_linear = 0;
    while (lp_lines_next(&file->lines, &line) && line.key.size > 0) {
        if (!line.has_value) return BAD(err, "a line without =");
        LP_TRY(read_line(tree, &line, err));
    }
    return add_tree(file, err);
}
