#include "import/forest.h"

#include "kernels/trees/trees.h"
#include "model/bundle.h"

#include <math.h>
#include <string.h>

/* A node to visit, and the entry of its parent that wants its number. */
struct step {
    uint32_t raw;
    uint32_t parent; /* NO_PARENT: the root */
    bool is_right;
};

#define NO_PARENT UINT32_MAX

static struct lp_buffer *const *arrays(struct lp_forest *f, struct lp_buffer **list)
{
    struct lp_buffer *const all[] = {
        &f->column,
        &f->threshold,
        &f->left,
        &f->right,
        &f->flags,
        &f->index,
        &f->root,
        &f->output,
        &f->set_begin,
        &f->set_words,
        &f->leaf_value,
        &f->marks,
        &f->linear_begin,
        &f->linear_column,
        &f->linear_coefficient,
        &f->linear_constant,
        &f->stack,
        &f->seen,
        NULL,
    };
    memcpy(list, all, sizeof all);
    return list;
}

enum { ARRAYS_MAX = 19 };

void lp_forest_init(struct lp_forest *forest, size_t bytes_max)
{
    struct lp_buffer *list[ARRAYS_MAX];
    *forest = (struct lp_forest){.leaf_width = 1};
    for (struct lp_buffer *const *at = arrays(forest, list); *at != NULL; at++) lp_buffer_init(*at, bytes_max);
}

void lp_forest_done(struct lp_forest *forest)
{
    struct lp_buffer *list[ARRAYS_MAX];
    for (struct lp_buffer *const *at = arrays(forest, list); *at != NULL; at++) lp_buffer_done(*at);
}

static void put_u32(struct lp_buffer *buffer, uint32_t value) { lp_buffer_append(buffer, &value, sizeof value); }
static void put_f64(struct lp_buffer *buffer, double value) { lp_buffer_append(buffer, &value, sizeof value); }

static uint32_t count_of(const struct lp_buffer *buffer, size_t element_bytes)
{
    return (uint32_t)(buffer->size / element_bytes);
}

uint32_t lp_forest_tree_count(const struct lp_forest *forest) { return count_of(&forest->root, sizeof(uint32_t)); }

static const struct lp_forest_mark *mark_of(const struct lp_forest *forest, uint32_t tree)
{
    return (const struct lp_forest_mark *)(const void *)forest->marks.data + tree;
}

static struct lp_forest_mark here(const struct lp_forest *forest)
{
    return (struct lp_forest_mark){
        .node = count_of(&forest->column, sizeof(int32_t)),
        .leaf = count_of(&forest->leaf_value, sizeof(double) * forest->leaf_width),
        .set = count_of(&forest->set_begin, sizeof(uint32_t)),
        .word = count_of(&forest->set_words, sizeof(uint32_t)),
        .term = count_of(&forest->linear_column, sizeof(uint32_t)),
    };
}

static enum lp_code add_set(struct lp_forest *forest, const struct lp_raw_tree *tree, uint32_t set,
                            struct lp_error *err)
{
    uint32_t begin = tree->set_begin[set], count = tree->set_begin[set + 1] - begin;
    uint32_t words = count_of(&forest->set_words, sizeof(uint32_t));
    if (count > LP_FOREST_WORDS_MAX - words)
        return lp_fail(err, LP_E_LIMIT, LP_FATAL, "category sets of more than %d words", LP_FOREST_WORDS_MAX);
    put_u32(&forest->set_begin, words);
    if (count > 0) lp_buffer_append(&forest->set_words, tree->set_words + begin, count * sizeof(uint32_t));
    return LP_OK;
}

/* A tree without linear leaves in a forest that has some: no terms, and the constant is the value. */
static void add_linear(struct lp_forest *forest, const struct lp_raw_tree *tree, uint32_t leaf)
{
    put_u32(&forest->linear_begin, count_of(&forest->linear_column, sizeof(uint32_t)));
    if (tree->linear_begin == NULL) {
        put_f64(&forest->linear_constant, tree->leaf_value[leaf]);
        return;
    }
    uint32_t begin = tree->linear_begin[leaf], count = tree->linear_begin[leaf + 1] - begin;
    put_f64(&forest->linear_constant, tree->linear_constant[leaf]);
    forest->is_linear = true; /* a constant may differ from the value also where there are no terms */
    if (count == 0) return;
    lp_buffer_append(&forest->linear_column, tree->linear_column + begin, count * sizeof(uint32_t));
    lp_buffer_append(&forest->linear_coefficient, tree->linear_coefficient + begin, count * sizeof(double));
}

static enum lp_code add_leaf(struct lp_forest *forest, const struct lp_raw_tree *tree, const struct lp_raw_node *node,
                             struct lp_error *err)
{
    const double *value = tree->leaf_value + (size_t)node->leaf * forest->leaf_width;
    if (node->leaf >= tree->leaf_count)
        return lp_fail(err, LP_E_INVALID, LP_FATAL, "leaf %u of %u", node->leaf, tree->leaf_count);
    for (uint32_t i = 0; i < forest->leaf_width; i++)
        if (!isfinite(value[i])) return lp_fail(err, LP_E_INVALID, LP_FATAL, "leaf %u is not finite", node->leaf);
    put_u32(&forest->index, count_of(&forest->leaf_value, sizeof(double) * forest->leaf_width));
    lp_buffer_append(&forest->leaf_value, value, forest->leaf_width * sizeof(double));
    if (forest->leaf_width == 1) add_linear(forest, tree, node->leaf);
    return LP_OK;
}

static enum lp_code add_split(struct lp_forest *forest, const struct lp_raw_tree *tree, const struct lp_raw_node *node,
                              struct lp_error *err)
{
    if ((node->flags & LP_TREES_CATEGORICAL) != 0) {
        if (node->set >= tree->set_count)
            return lp_fail(err, LP_E_INVALID, LP_FATAL, "category set %u of %u", node->set, tree->set_count);
        put_u32(&forest->index, count_of(&forest->set_begin, sizeof(uint32_t)));
        return add_set(forest, tree, node->set, err);
    }
    bool infinite = forest->allows_infinity && isinf(node->threshold);
    if (!isfinite(node->threshold) && !infinite)
        return lp_fail(err, LP_E_INVALID, LP_FATAL, "a threshold is not finite");
    put_u32(&forest->index, 0);
    return LP_OK;
}

static void push(struct lp_forest *forest, int64_t raw, uint32_t parent, bool is_right)
{
    const struct step step = {.raw = (uint32_t)raw, .parent = parent, .is_right = is_right};
    lp_buffer_append(&forest->stack, &step, sizeof step);
}

static enum lp_code add_node(struct lp_forest *forest, const struct lp_raw_tree *tree, const struct step *step,
                             struct lp_error *err)
{
    const struct lp_raw_node *node = &tree->nodes[step->raw];
    uint32_t number = count_of(&forest->column, sizeof(int32_t));
    struct lp_buffer *wants = step->is_right ? &forest->right : &forest->left;
    if (number >= LP_BUNDLE_NODES_MAX)
        return lp_fail(err, LP_E_LIMIT, LP_FATAL, "more than %d nodes", LP_BUNDLE_NODES_MAX);
    if (step->parent != NO_PARENT) memcpy(wants->data + step->parent * sizeof number, &number, sizeof number);
    put_u32(&forest->column, node->is_leaf ? (uint32_t)LP_TREES_LEAF : node->column);
    bool numeric = !node->is_leaf && (node->flags & LP_TREES_CATEGORICAL) == 0;
    bool infinite = numeric && isinf(node->threshold) && forest->allows_infinity;
    double sign = node->threshold < 0 ? -1 : 0;
    put_f64(&forest->threshold, infinite ? sign : numeric ? node->threshold : 0);
    put_u32(&forest->left, 0);
    put_u32(&forest->right, 0);
    const uint8_t flags = node->is_leaf ? 0 : (uint8_t)(node->flags | (infinite ? LP_FOREST_INFINITE : 0));
    lp_buffer_append(&forest->flags, &flags, 1);
    if (node->is_leaf) return add_leaf(forest, tree, node, err);
    LP_TRY(add_split(forest, tree, node, err));
    const int64_t children[] = {node->right, node->left};
    for (int k = 0; k < 2; k++) {
        if (children[k] < 0 || children[k] >= tree->node_count)
            return lp_fail(err, LP_E_INVALID, LP_FATAL, "node %u: its child %lld is not among %u nodes", step->raw,
                           (long long)children[k], tree->node_count);
        push(forest, children[k], number, k == 0);
    }
    return LP_OK;
}

static enum lp_code walk(struct lp_forest *forest, const struct lp_raw_tree *tree, struct lp_error *err)
{
    push(forest, 0, NO_PARENT, false);
    while (forest->stack.size > 0 && !forest->stack.failed) {
        struct step step;
        forest->stack.size -= sizeof step;
        memcpy(&step, forest->stack.data + forest->stack.size, sizeof step);
        if (forest->seen.data[step.raw] != 0)
            return lp_fail(err, LP_E_INVALID, LP_FATAL, "two ways lead to node %u: this is no tree", step.raw);
        forest->seen.data[step.raw] = 1;
        LP_TRY(add_node(forest, tree, &step, err));
        if (forest->column.failed || forest->left.failed || forest->right.failed) break;
    }
    return LP_OK;
}

static enum lp_code check_buffers(struct lp_forest *forest, struct lp_error *err)
{
    struct lp_buffer *list[ARRAYS_MAX];
    for (struct lp_buffer *const *at = arrays(forest, list); *at != NULL; at++)
        LP_TRY(lp_buffer_check(*at, "the trees", err));
    return LP_OK;
}

enum lp_code lp_forest_add(struct lp_forest *forest, const struct lp_raw_tree *tree, struct lp_error *err)
{
    struct lp_forest_mark mark = here(forest);
    if (tree->node_count == 0) return lp_fail(err, LP_E_INVALID, LP_FATAL, "it has no nodes");
    lp_buffer_append(&forest->marks, &mark, sizeof mark);
    put_u32(&forest->root, mark.node);
    put_u32(&forest->output, tree->output);
    lp_buffer_clear(&forest->stack);
    lp_buffer_clear(&forest->seen);
    unsigned char *seen = lp_buffer_reserve(&forest->seen, tree->node_count);
    if (seen == NULL) return lp_fail_memory(err, tree->node_count);
    memset(seen, 0, tree->node_count);
    LP_TRY(walk(forest, tree, err));
    return check_buffers(forest, err);
}

void lp_forest_truncate(struct lp_forest *forest, uint32_t tree_count)
{
    if (tree_count >= lp_forest_tree_count(forest)) return;
    const struct lp_forest_mark mark = *mark_of(forest, tree_count);
    forest->column.size = forest->left.size = forest->right.size = forest->index.size = mark.node * sizeof(uint32_t);
    forest->threshold.size = mark.node * sizeof(double);
    forest->flags.size = mark.node;
    forest->root.size = forest->output.size = tree_count * sizeof(uint32_t);
    forest->marks.size = tree_count * sizeof mark;
    forest->set_begin.size = mark.set * sizeof(uint32_t);
    forest->set_words.size = mark.word * sizeof(uint32_t);
    forest->leaf_value.size = (size_t)mark.leaf * forest->leaf_width * sizeof(double);
    if (forest->leaf_width > 1) return;
    forest->linear_begin.size = mark.leaf * sizeof(uint32_t);
    forest->linear_constant.size = mark.leaf * sizeof(double);
    forest->linear_column.size = mark.term * sizeof(uint32_t);
    forest->linear_coefficient.size = mark.term * sizeof(double);
}

void lp_forest_scale(struct lp_forest *forest, uint32_t tree, float weight)
{
    bool last = tree + 1 >= lp_forest_tree_count(forest);
    uint32_t end = last ? here(forest).leaf : mark_of(forest, tree + 1)->leaf;
    double *values = (double *)(void *)forest->leaf_value.data;
    for (size_t i = mark_of(forest, tree)->leaf; i < end; i++) values[i] = (double)((float)values[i] * weight);
}

enum lp_code lp_forest_finish(struct lp_forest *forest, struct lp_error *err)
{
    put_u32(&forest->set_begin, count_of(&forest->set_words, sizeof(uint32_t)));
    put_u32(&forest->linear_begin, count_of(&forest->linear_column, sizeof(uint32_t)));
    return check_buffers(forest, err);
}
