/* Trees packed into blocks. */
#include "kernels/trees/blocks.h"

#include <stdlib.h>
#include <string.h>

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

/* Roots of small blocks, in the order in which their parents' exits name them. */
struct queue {
    uint32_t *root; /* [node_count] */
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

static bool single_leaves(const struct lp_trees *trees)
{
    return trees->leaf_width == 1 && trees->linear_begin == NULL;
}

/* All exits are known when the queue has run dry; `small` may be NULL to count the blocks. */
static void pack_small(struct lp_blocks *blocks, struct queue *queue)
{
    uint32_t heap[SMALL_HEAP];
    for (uint32_t b = 0; b < queue->count; b++) {
        spread(blocks->trees, queue->root[b], heap, SMALL_HEAP);
        for (uint32_t e = 0; e < LP_SMALL_EXITS; e++) {
            /* Exits below an early leaf name it again; only a node reached first opens a block. */
            uint32_t exit = exit_to(blocks->trees, queue, heap[LP_SMALL_EXITS - 1 + e]);
            if (blocks->small != NULL) blocks->small[b].exit[e] = exit;
        }
        if (blocks->small == NULL) continue;
        struct lp_small *small = &blocks->small[b];
        for (uint32_t i = 0; i < 7; i++) put_node(blocks, heap[i], &small->slot[i], &small->rank[i]);
        small->slot[7] = 0;
        small->rank[7] = UINT8_MAX;
    }
}

static void pack_tops(struct lp_blocks *blocks, struct queue *queue)
{
    uint32_t heap[TOP_HEAP];
    const struct lp_trees *trees = blocks->trees;
    queue->count = 0;
    for (uint32_t t = 0; t < trees->tree_count; t++) {
        spread(trees, trees->root[t], heap, TOP_HEAP);
        put_top(blocks, heap, &blocks->top[t]);
        for (uint32_t e = 0; e < LP_TOP_EXITS; e++)
            blocks->exit[t][e] = exit_to(trees, queue, heap[LP_TOP_EXITS - 1 + e]);
    }
}

static void *take(struct lp_blocks *blocks, size_t count, size_t size)
{
    size_t bytes = (count * size + LP_SLOTS_TABLE_BYTES) / LP_SLOTS_TABLE_BYTES * LP_SLOTS_TABLE_BYTES;
    void *memory = aligned_alloc(LP_SLOTS_TABLE_BYTES, bytes);
    if (memory == NULL) return NULL;
    memset(memory, 0, bytes);
    blocks->bytes += bytes;
    return memory;
}

static enum lp_code put_values(struct lp_blocks *blocks, struct lp_error *err)
{
    const struct lp_trees *trees = blocks->trees;
    bool floats = trees->compare == LP_TREES_XGBOOST;
    blocks->flat = blocks->small_count == 0 && single_leaves(trees) && trees->output_count == 1;
    if (!blocks->flat) {
        if (!floats || trees->leaf_width != 1) return LP_OK;
        blocks->float_leaf = take(blocks, trees->leaf_count, sizeof *blocks->float_leaf);
        if (blocks->float_leaf == NULL) return lp_fail_memory(err, trees->leaf_count * sizeof *blocks->float_leaf);
        for (uint32_t i = 0; i < trees->leaf_count; i++) blocks->float_leaf[i] = (float)trees->leaf_value[i];
        return LP_OK;
    }
    if (floats) blocks->float_value = take(blocks, trees->tree_count, sizeof *blocks->float_value);
    else blocks->double_value = take(blocks, trees->tree_count, sizeof *blocks->double_value);
    if (blocks->float_value == NULL && blocks->double_value == NULL)
        return lp_fail_memory(err, trees->tree_count * sizeof *blocks->double_value);
    for (uint32_t t = 0; t < trees->tree_count; t++) {
        for (uint32_t e = 0; e < LP_TOP_EXITS; e++) {
            double value = trees->leaf_value[blocks->exit[t][e] & ~LP_EXIT_LEAF];
            if (floats) blocks->float_value[t][e] = (float)value;
            else blocks->double_value[t][e] = value;
        }
    }
    return LP_OK;
}

static enum lp_code build(struct lp_blocks *blocks, struct queue *queue, struct lp_error *err)
{
    const struct lp_trees *trees = blocks->trees;
    if (trees->node_count >= LP_EXIT_LEAF || trees->leaf_count >= LP_EXIT_LEAF)
        return lp_fail(err, LP_E_LIMIT, LP_FATAL, "trees: %u nodes: at most 2^31 - 1", trees->node_count);
    LP_TRY(lp_slots_init(&blocks->slots, trees, err));
    queue->root = malloc(((size_t)trees->node_count + 1) * sizeof *queue->root);
    blocks->top = take(blocks, trees->tree_count, sizeof *blocks->top);
    blocks->exit = take(blocks, trees->tree_count, sizeof *blocks->exit);
    if (queue->root == NULL || blocks->top == NULL || blocks->exit == NULL)
        return lp_fail_memory(err, trees->tree_count * sizeof *blocks->exit);
    pack_tops(blocks, queue);
    uint32_t below_tops = queue->count;
    pack_small(blocks, queue);
    blocks->small_count = queue->count;
    blocks->small = take(blocks, blocks->small_count, sizeof *blocks->small);
    if (blocks->small == NULL) return lp_fail_memory(err, blocks->small_count * sizeof *blocks->small);
    queue->count = below_tops;
    pack_small(blocks, queue);
    return put_values(blocks, err);
}

enum lp_code lp_blocks_new(const struct lp_trees *trees, struct lp_blocks **ret_blocks, struct lp_error *err)
{
    struct lp_blocks *blocks = calloc(1, sizeof *blocks);
    struct queue queue = {NULL, 0};
    if (blocks == NULL) return lp_fail_memory(err, sizeof *blocks);
    blocks->trees = trees;
    blocks->bytes = sizeof *blocks;
    enum lp_code rc = build(blocks, &queue, err);
    free(queue.root);
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
    free(blocks->float_leaf);
    free(blocks);
}
