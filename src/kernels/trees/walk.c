/*
 * A row's cells: one for each column and way of treating missing values that nodes use. "Goes left" is cell <=
 * threshold: a missing value that goes left is -inf, one that goes right is NaN. XGBoost's x < t is x <= the float
 * below t. What does not fit (category sets, infinite thresholds) is marked and decided by the rule itself. A leaf
 * leads to itself: its cell is a constant -inf, and its number stands in the threshold's bits (a denormal, or 0).
 */
#include "kernels/trees/walk.h"

#include "kernels/trees/trees_private.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LANES = 8, CHUNK_ROWS = 64, LEVELS_A_CHECK = 3, CHUNK_CELLS_MAX = 32768 };
enum mode { PLAIN, NAN_LEFT, NAN_RIGHT, ZERO_LEFT, ZERO_RIGHT, MODES };

#define BY_RULE                                                             \
    0x80000000u /* in `cell`; the threshold's bits are the node's number in \
                   struct lp_trees */

struct walk_node {
    union {
        double threshold;
        uint64_t leaf, source;
    };
    uint32_t cell;
    uint32_t left; /* right: the next one */
};

struct walk_cell {
    uint32_t column;
    enum mode mode;
};

struct lp_walk {
    const struct lp_trees *trees; /* borrowed */
    struct walk_node *nodes;
    uint32_t *root;          /* [tree_count] */
    struct walk_cell *cells; /* [cell_count - 1]; cell 0 of a row is -inf */
    uint32_t cell_count, chunk_rows;
    size_t bytes;
};

static enum mode mode_of(const struct lp_trees *trees, uint32_t node)
{
    uint8_t flags = trees->flags[node];
    bool left = (flags & LP_TREES_DEFAULT_LEFT) != 0;
    if (trees->compare == LP_TREES_XGBOOST || (flags & LP_TREES_MISSING_NAN) != 0) return left ? NAN_LEFT : NAN_RIGHT;
    if ((flags & LP_TREES_MISSING_ZERO) != 0) return left ? ZERO_LEFT : ZERO_RIGHT;
    return PLAIN;
}

static bool by_rule(const struct lp_trees *trees, uint32_t node)
{
    return (trees->flags[node] & LP_TREES_CATEGORICAL) != 0 || isinf(trees->threshold[node]);
}

/* cell_of: [column_count][MODES], 0: not used */
static enum lp_code number_cells(struct lp_walk *walk, uint32_t (*cell_of)[MODES], struct lp_error *err)
{
    const struct lp_trees *trees = walk->trees;
    uint64_t count = 1;
    for (uint32_t n = 0; n < trees->node_count; n++) {
        if (trees->column[n] == LP_TREES_LEAF || by_rule(trees, n)) continue;
        uint32_t *cell = &cell_of[trees->column[n]][mode_of(trees, n)];
        if (*cell == 0) *cell = (uint32_t)count++;
        if (count == BY_RULE) return lp_fail(err, LP_E_LIMIT, LP_FATAL, "trees: too many columns");
    }
    walk->cell_count = (uint32_t)count;
    walk->cells = calloc(count, sizeof *walk->cells);
    if (walk->cells == NULL) return lp_fail_memory(err, count * sizeof *walk->cells);
    for (uint32_t c = 0; c < trees->column_count; c++)
        for (int mode = 0; mode < MODES; mode++)
            if (cell_of[c][mode] != 0) walk->cells[cell_of[c][mode] - 1] = (struct walk_cell){c, (enum mode)mode};
    return LP_OK;
}

static double threshold_of(const struct lp_trees *trees, uint32_t node)
{
    double threshold = trees->threshold[node];
    return trees->compare == LP_TREES_XGBOOST ? (double)nextafterf((float)threshold, -INFINITY) : threshold;
}

/* Trees one behind the other, each breadth first; queue: [node_count], of nodes in the order of walk->nodes. */
static void place(struct lp_walk *walk, uint32_t (*cell_of)[MODES], uint32_t *queue)
{
    const struct lp_trees *trees = walk->trees;
    uint32_t count = 0, next = 0;
    for (uint32_t t = 0; t < trees->tree_count; t++) {
        walk->root[t] = count;
        queue[count++] = trees->root[t];
        for (; next < count; next++) {
            uint32_t n = queue[next];
            struct walk_node *node = &walk->nodes[next];
            if (trees->column[n] == LP_TREES_LEAF) {
                *node = (struct walk_node){.leaf = trees->index[n], .cell = 0, .left = next};
                continue;
            }
            if (by_rule(trees, n)) *node = (struct walk_node){.source = n, .cell = BY_RULE, .left = count};
            else
                *node = (struct walk_node){.threshold = threshold_of(trees, n),
                                           .cell = cell_of[trees->column[n]][mode_of(trees, n)],
                                           .left = count};
            queue[count++] = trees->left[n];
            queue[count++] = trees->right[n];
        }
    }
}

static enum lp_code build(struct lp_walk *walk, uint32_t (**cell_of)[MODES], uint32_t **queue, struct lp_error *err)
{
    const struct lp_trees *trees = walk->trees;
    size_t nodes = (size_t)trees->node_count + 1;
    *cell_of = calloc((size_t)trees->column_count + 1, sizeof **cell_of);
    *queue = malloc(nodes * sizeof **queue);
    walk->nodes = calloc(nodes, sizeof *walk->nodes);
    walk->root = calloc((size_t)trees->tree_count + 1, sizeof *walk->root);
    if (*cell_of == NULL || *queue == NULL || walk->nodes == NULL || walk->root == NULL)
        return lp_fail_memory(err, nodes * sizeof *walk->nodes);
    LP_TRY(number_cells(walk, *cell_of, err));
    place(walk, *cell_of, *queue);
    uint32_t rows = CHUNK_CELLS_MAX / walk->cell_count;
    walk->chunk_rows = rows < LANES ? LANES : rows > CHUNK_ROWS ? CHUNK_ROWS : rows;
    walk->bytes = sizeof *walk + nodes * sizeof *walk->nodes + trees->tree_count * sizeof *walk->root +
                  walk->cell_count * sizeof *walk->cells;
    return LP_OK;
}

enum lp_code lp_walk_new(const struct lp_trees *trees, struct lp_walk **ret_walk, struct lp_error *err)
{
    uint32_t(*cell_of)[MODES] = NULL;
    uint32_t *queue = NULL;
    struct lp_walk *walk = calloc(1, sizeof *walk);
    if (walk == NULL) return lp_fail_memory(err, sizeof *walk);
    walk->trees = trees;
    enum lp_code rc = build(walk, &cell_of, &queue, err);
    free(cell_of);
    free(queue);
    if (rc == LP_OK) *ret_walk = walk;
    else lp_walk_free(walk);
    return rc;
}

void lp_walk_free(struct lp_walk *walk)
{
    if (walk == NULL) return;
    free(walk->nodes);
    free(walk->root);
    free(walk->cells);
    free(walk);
}

size_t lp_walk_bytes(const struct lp_walk *walk) { return walk->bytes; }

size_t lp_walk_scratch_bytes(const struct lp_walk *walk)
{
    return (size_t)walk->chunk_rows * walk->cell_count * sizeof(double);
}

static double cell_value(enum lp_trees_compare compare, enum mode mode, double value)
{
    if (compare == LP_TREES_XGBOOST) value = (double)(float)value;
    else if (fabs(value) <= LP_LIGHTGBM_ZERO) value = 0.0;
    bool zero = mode == ZERO_LEFT || mode == ZERO_RIGHT;
    if (!isnan(value) && !(zero && value == 0.0)) return value;
    if (mode == PLAIN) return 0.0;
    return mode == NAN_LEFT || mode == ZERO_LEFT ? -INFINITY : (double)NAN;
}

static void fill_cells(const struct lp_walk *walk, const double *row, double *cells)
{
    cells[0] = -INFINITY;
    for (uint32_t i = 1; i < walk->cell_count; i++) {
        const struct walk_cell *cell = &walk->cells[i - 1];
        cells[i] = cell_value(walk->trees->compare, cell->mode, row[cell->column]);
    }
}

struct lane {
    const double *cells, *row;
    uint32_t node;
};

static inline __attribute__((always_inline)) uint32_t step(const struct lp_walk *walk, const struct lane *lane)
{
    const struct walk_node *node = &walk->nodes[lane->node];
    if (__builtin_expect(node->cell == BY_RULE, 0)) {
        uint32_t source = (uint32_t)node->source;
        return node->left + !lp_trees_goes_left(walk->trees, source, lane->row[walk->trees->column[source]]);
    }
    return node->left + !(lane->cells[node->cell] <= node->threshold);
}

/* Until every lane is at its leaf. */
static void walk_lanes(const struct lp_walk *walk, struct lane *lanes)
{
    bool moving = true;
    while (moving) {
        for (int level = 0; level < LEVELS_A_CHECK; level++) {
#pragma GCC unroll 8
            for (int i = 0; i < LANES; i++) lanes[i].node = step(walk, &lanes[i]);
        }
        moving = false;
        for (int i = 0; i < LANES; i++) moving |= walk->nodes[lanes[i].node].cell != 0;
    }
}

static void run_row(const struct lp_walk *walk, const double *row, const double *cells, double *margins)
{
    struct lane lanes[LANES];
    uint32_t tree_count = walk->trees->tree_count;
    for (uint32_t first = 0; first < tree_count; first += LANES) {
        uint32_t count = tree_count - first < LANES ? tree_count - first : LANES;
        for (uint32_t i = 0; i < LANES; i++) {
            lanes[i] = (struct lane){cells, row, walk->root[first + (i < count ? i : 0)]};
        }
        walk_lanes(walk, lanes);
        for (uint32_t i = 0; i < count; i++)
            lp_trees_add_leaf(walk->trees, first + i, (uint32_t)walk->nodes[lanes[i].node].leaf, row, margins);
    }
}

struct chunk {
    const double *rows, *cells;
    size_t stride;
    uint32_t count;
    double *margins;
};

static void run_tree(const struct lp_walk *walk, const struct chunk *chunk, uint32_t tree)
{
    struct lane lanes[LANES];
    uint32_t outputs = walk->trees->output_count;
    for (uint32_t first = 0; first < chunk->count; first += LANES) {
        uint32_t count = chunk->count - first < LANES ? chunk->count - first : LANES;
        for (uint32_t i = 0; i < LANES; i++) {
            size_t r = first + (i < count ? i : 0);
            lanes[i] =
                (struct lane){chunk->cells + r * walk->cell_count, chunk->rows + r * chunk->stride, walk->root[tree]};
        }
        walk_lanes(walk, lanes);
        for (uint32_t i = 0; i < count; i++)
            lp_trees_add_leaf(walk->trees, tree, (uint32_t)walk->nodes[lanes[i].node].leaf, lanes[i].row,
                              chunk->margins + (size_t)(first + i) * outputs);
    }
}

void lp_walk_run(const struct lp_walk *walk, const double *rows, uint32_t row_count, size_t row_stride_doubles,
                 double *margins, void *scratch)
{
    double *cells = scratch;
    for (uint32_t done = 0; done < row_count;) {
        uint32_t count = row_count - done < walk->chunk_rows ? row_count - done : walk->chunk_rows;
        struct chunk chunk = {rows + done * row_stride_doubles, cells, row_stride_doubles, count,
                              margins + (size_t)done * walk->trees->output_count};
        for (uint32_t r = 0; r < count; r++)
            fill_cells(walk, chunk.rows + r * row_stride_doubles, cells + (size_t)r * walk->cell_count);
        if (count < LANES) {
            for (uint32_t r = 0; r < count; r++)
                run_row(walk, chunk.rows + r * row_stride_doubles, cells + (size_t)r * walk->cell_count,
                        chunk.margins + (size_t)r * walk->trees->output_count);
        } else {
            for (uint32_t t = 0; t < walk->trees->tree_count; t++) run_tree(walk, &chunk, t);
        }
        done += count;
    }
}
