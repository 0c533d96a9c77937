/* Trees packed into blocks. */
#include "kernels/trees/blocks.h"

#include <stdlib.h>
#include <string.h>

/* Two levels take 3 or 5 KiB a tree: beyond this many, what they save in steps is lost in memory. */
enum { TWO_TREES_MAX = 4096 };

enum { TOP_HEAP = 2 * LP_TOP_EXITS - 1, SMALL_HEAP = 2 * LP_SMALL_EXITS - 1 };

/* Number the nodes as a complete binary tree: children of i at 2 i + 1 and 2 i + 2; below a leaf is the leaf again. */
static void spread(const struct lp_trees *trees, uint32_t root, uint32_t *heap, uint32_t heap_nodes)
{
    heap[0] = root;
    for (uint32_t i = 0; 2 * i + 2 < heap_nodes; i++) {
        bool leaf = trees->column[heap[i]] == LP_TREES_LEAF;
        heap[2 * i + 1] = leaf ? heap[i] : trees->left[heap[i]];
        heap[2 * i + 2] = leaf ? heap[i] : trees->right[heap[i]];
    }
}

/* Roots of small blocks, in the order in which their parents' exits name them; [node_count] */
struct queue {
    uint32_t *root, *level;
    uint32_t count;
};

static uint32_t exit_to(const struct lp_trees *trees, struct queue *queue, uint32_t node)
{
    if (trees->column[node] == LP_TREES_LEAF) return trees->index[node] | LP_EXIT_LEAF;
    queue->root[queue->count] = node;
    return queue->count++;
}

static void put_node(const struct lp_blocks *blocks, uint32_t node, uint8_t *slot, uint8_t *rank)
{
    bool leaf = blocks->trees->column[node] == LP_TREES_LEAF;
    *slot = leaf ? 0 : blocks->slots.node_slot[node];
    *rank = leaf ? UINT8_MAX : blocks->slots.node_rank[node];
}

static void put_top(const struct lp_blocks *blocks, const uint32_t *heap, struct lp_top *top)
{
    for (uint32_t i = 0; i < 7; i++) put_node(blocks, heap[i], &top->slot[i], &top->rank[i]);
    for (uint32_t p = 0; p < 8; p++) {
        for (uint32_t i = 0; i < 7; i++) {
            uint32_t level = i == 0 ? 0 : i < 3 ? 1 : 2, at = 7 + 7 * p + i;
            uint32_t place = (8u << level) - 1 + (p << level) + (i - ((1u << level) - 1));
            put_node(blocks, heap[place], &top->slot[at], &top->rank[at]);
        }
    }
    top->slot[LP_TOP_EXITS - 1] = 0;
    top->rank[LP_TOP_EXITS - 1] = UINT8_MAX;
}

static void put_small(const struct lp_blocks *blocks, const uint32_t *heap, uint8_t *slot, uint8_t *rank)
{
    for (uint32_t i = 0; i < LP_SMALL_EXITS - 1; i++) put_node(blocks, heap[i], &slot[i], &rank[i]);
    slot[LP_SMALL_EXITS - 1] = 0;
    rank[LP_SMALL_EXITS - 1] = UINT8_MAX;
}

/* Levels of inner nodes of the deepest tree; `queue` and `level` have room for every node. */
static uint32_t count_levels(const struct lp_trees *trees, uint32_t *queue, uint32_t *level)
{
    uint32_t deepest = 0;
    for (uint32_t t = 0; t < trees->tree_count; t++) {
        uint32_t count = 1;
        queue[0] = trees->root[t];
        level[0] = 0;
        for (uint32_t i = 0; i < count; i++) {
            uint32_t node = queue[i];
            if (level[i] > deepest) deepest = level[i];
            if (trees->column[node] == LP_TREES_LEAF) continue;
            queue[count] = trees->left[node];
            queue[count + 1] = trees->right[node];
            level[count] = level[count + 1] = level[i] + 1;
            count += 2;
        }
    }
    return deepest;
}

static enum lp_blocks_form choose_form(const struct lp_blocks *blocks, uint32_t levels)
{
    bool single = lp_blocks_single(blocks);
    if (single && levels <= LP_TOP_LEVELS) return LP_BLOCKS_FLAT;
    bool two = single && levels <= LP_TOP_LEVELS + LP_SMALL_LEVELS && blocks->trees->tree_count <= TWO_TREES_MAX;
    return two ? LP_BLOCKS_TWO : LP_BLOCKS_DEEP;
}

static void *take(struct lp_blocks *blocks, size_t count, size_t size, struct lp_error *err)
{
    size_t bytes = (count * size + LP_SLOTS_TABLE_BYTES) / LP_SLOTS_TABLE_BYTES * LP_SLOTS_TABLE_BYTES;
    void *memory = aligned_alloc(LP_SLOTS_TABLE_BYTES, bytes);
    if (memory == NULL) {
        (void)lp_fail_memory(err, bytes);
        return NULL;
    }
    memset(memory, 0, bytes);
    blocks->bytes += bytes;
    return memory;
}

static double value_of(const struct lp_trees *trees, uint32_t node) { return trees->leaf_value[trees->index[node]]; }

static enum lp_code pack_flat(struct lp_blocks *blocks, struct lp_error *err)
{
    const struct lp_trees *trees = blocks->trees;
    bool floats = trees->compare == LP_TREES_XGBOOST;
    uint32_t heap[TOP_HEAP];
    if (floats) blocks->float_value = take(blocks, trees->tree_count, sizeof *blocks->float_value, err);
    else blocks->double_value = take(blocks, trees->tree_count, sizeof *blocks->double_value, err);
    if (blocks->float_value == NULL && blocks->double_value == NULL) return LP_E_MEMORY;
    for (uint32_t t = 0; t < trees->tree_count; t++) {
        spread(trees, trees->root[t], heap, TOP_HEAP);
        put_top(blocks, heap, &blocks->top[t]);
        for (uint32_t e = 0; e < LP_TOP_EXITS; e++) {
            double value = value_of(trees, heap[LP_TOP_EXITS - 1 + e]);
            if (floats) blocks->float_value[t][e] = (float)value;
            else blocks->double_value[t][e] = value;
        }
    }
    return LP_OK;
}

static void pack_two_exit(struct lp_blocks *blocks, uint32_t tree, uint32_t exit, uint32_t node)
{
    const struct lp_trees *trees = blocks->trees;
    uint32_t heap[SMALL_HEAP];
    spread(trees, node, heap, SMALL_HEAP);
    if (blocks->float_small != NULL) {
        struct lp_float_small *small = &blocks->float_small[tree][exit];
        put_small(blocks, heap, small->slot, small->rank);
        for (uint32_t i = 0; i < LP_SMALL_EXITS; i++)
            small->value[i] = (float)value_of(trees, heap[LP_SMALL_EXITS - 1 + i]);
    } else {
        struct lp_double_small *small = &blocks->double_small[tree][exit];
        put_small(blocks, heap, small->slot, small->rank);
        for (uint32_t i = 0; i < LP_SMALL_EXITS; i++) small->value[i] = value_of(trees, heap[LP_SMALL_EXITS - 1 + i]);
    }
}

static enum lp_code pack_two(struct lp_blocks *blocks, struct lp_error *err)
{
    const struct lp_trees *trees = blocks->trees;
    uint32_t heap[TOP_HEAP];
    if (trees->compare == LP_TREES_XGBOOST)
        blocks->float_small = take(blocks, trees->tree_count, sizeof *blocks->float_small, err);
    else blocks->double_small = take(blocks, trees->tree_count, sizeof *blocks->double_small, err);
    if (blocks->float_small == NULL && blocks->double_small == NULL) return LP_E_MEMORY;
    for (uint32_t t = 0; t < trees->tree_count; t++) {
        spread(trees, trees->root[t], heap, TOP_HEAP);
        put_top(blocks, heap, &blocks->top[t]);
        for (uint32_t e = 0; e < LP_TOP_EXITS; e++) pack_two_exit(blocks, t, e, heap[LP_TOP_EXITS - 1 + e]);
    }
    return LP_OK;
}

/* Exits open blocks in the order of the queue; `small` is NULL while the blocks are counted. */
static void pack_smalls(struct lp_blocks *blocks, struct queue *queue)
{
    uint32_t heap[SMALL_HEAP];
    for (uint32_t b = 0; b < queue->count; b++) {
        spread(blocks->trees, queue->root[b], heap, SMALL_HEAP);
        for (uint32_t e = 0; e < LP_SMALL_EXITS; e++) {
            uint32_t exit = exit_to(blocks->trees, queue, heap[LP_SMALL_EXITS - 1 + e]);
            if (blocks->small != NULL) blocks->small[b].exit[e] = exit;
        }
        if (blocks->small != NULL) put_small(blocks, heap, blocks->small[b].slot, blocks->small[b].rank);
    }
}

static enum lp_code pack_deep(struct lp_blocks *blocks, struct queue *queue, struct lp_error *err)
{
    const struct lp_trees *trees = blocks->trees;
    uint32_t heap[TOP_HEAP];
    blocks->exit = take(blocks, trees->tree_count, sizeof *blocks->exit, err);
    if (blocks->exit == NULL) return LP_E_MEMORY;
    for (uint32_t t = 0; t < trees->tree_count; t++) {
        spread(trees, trees->root[t], heap, TOP_HEAP);
        put_top(blocks, heap, &blocks->top[t]);
        for (uint32_t e = 0; e < LP_TOP_EXITS; e++)
            blocks->exit[t][e] = exit_to(trees, queue, heap[LP_TOP_EXITS - 1 + e]);
    }
    uint32_t below_tops = queue->count;
    pack_smalls(blocks, queue);
    blocks->small_count = queue->count;
    blocks->small = take(blocks, blocks->small_count, sizeof *blocks->small, err);
    if (blocks->small == NULL) return LP_E_MEMORY;
    queue->count = below_tops;
    pack_smalls(blocks, queue);
    if (trees->compare != LP_TREES_XGBOOST || trees->leaf_width != 1) return LP_OK;
    blocks->float_leaf = take(blocks, trees->leaf_count, sizeof *blocks->float_leaf, err);
    if (blocks->float_leaf == NULL) return LP_E_MEMORY;
    for (uint32_t i = 0; i < trees->leaf_count; i++) blocks->float_leaf[i] = (float)trees->leaf_value[i];
    return LP_OK;
}

static enum lp_code build(struct lp_blocks *blocks, struct queue *queue, struct lp_error *err)
{
    const struct lp_trees *trees = blocks->trees;
    size_t nodes = (size_t)trees->node_count + 1;
    if (trees->node_count >= LP_EXIT_LEAF || trees->leaf_count >= LP_EXIT_LEAF)
        return lp_fail(err, LP_E_LIMIT, LP_FATAL, "trees: %u nodes: at most 2^31 - 1", trees->node_count);
    LP_TRY(lp_slots_init(&blocks->slots, trees, err));
    queue->root = malloc(nodes * sizeof *queue->root);
    queue->level = malloc(nodes * sizeof *queue->level);
    blocks->top = take(blocks, trees->tree_count, sizeof *blocks->top, err);
    if (queue->root == NULL || queue->level == NULL || blocks->top == NULL)
        return lp_fail_memory(err, nodes * sizeof *queue->root);
    blocks->form = choose_form(blocks, count_levels(trees, queue->root, queue->level));
    if (blocks->form == LP_BLOCKS_FLAT) return pack_flat(blocks, err);
    return blocks->form == LP_BLOCKS_TWO ? pack_two(blocks, err) : pack_deep(blocks, queue, err);
}

enum lp_code lp_blocks_new(const struct lp_trees *trees, struct lp_blocks **ret_blocks, struct lp_error *err)
{
    struct lp_blocks *blocks = calloc(1, sizeof *blocks);
    struct queue queue = {NULL, NULL, 0};
    if (blocks == NULL) return lp_fail_memory(err, sizeof *blocks);
    blocks->trees = trees;
    blocks->bytes = sizeof *blocks;
    enum lp_code rc = build(blocks, &queue, err);
    free(queue.root);
    free(queue.level);
    if (rc == LP_OK) *ret_blocks = blocks;
    else lp_blocks_free(blocks);
    return rc;
}

void lp_blocks_free(struct lp_blocks *blocks)
{
    if (blocks == NULL) return;
    lp_slots_done(&blocks->slots);
    free(blocks->top);
    free(blocks->small);
    free(blocks->exit);
    free(blocks->float_value);
    free(blocks->double_value);
    free(blocks->float_small);
    free(blocks->double_small);
    free(blocks->float_leaf);
    free(blocks);
}
