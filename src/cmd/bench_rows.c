#include "cmd/bench_rows.h"

#include "core/checked.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

/* xorshift64: speed and repeatability are all that is asked. */
static uint32_t draw(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return (uint32_t)(*state >> 32);
}

static double draw_even(uint64_t *state) { return (double)draw(state) / (double)UINT32_MAX * 4.0 - 2.0; }

static const struct lp_trees *trees_of(const struct lp_bundle *bundle)
{
    for (uint32_t i = 0; i < bundle->op_count; i++)
        if (bundle->ops[i].kind == LP_OP_TREES) return bundle->ops[i].trees;
    return NULL;
}

/* nodes: inner nodes by column, those of column c from begin[c + 1] to begin[c + 2]. */
static void sort_nodes(const struct lp_trees *trees, uint32_t *begin, uint32_t *nodes)
{
    for (uint32_t n = 0; n < trees->node_count; n++)
        if (trees->column[n] != LP_TREES_LEAF) begin[trees->column[n] + 1]++;
    for (uint32_t c = 0; c < trees->column_count; c++) begin[c + 1] += begin[c];
    begin[trees->column_count + 1] = begin[trees->column_count];
    for (uint32_t n = trees->node_count; n-- > 0;)
        if (trees->column[n] != LP_TREES_LEAF) nodes[--begin[trees->column[n] + 1]] = n;
}

static double near_threshold(const struct lp_trees *trees, const uint32_t *nodes, uint32_t count, uint64_t *state)
{
    uint32_t node = nodes[draw(state) % count];
    if ((trees->flags[node] & LP_TREES_CATEGORICAL) != 0) return (double)(draw(state) % 32);
    double threshold = trees->threshold[node];
    return threshold + draw_even(state) * 1e-3 * fabs(threshold);
}

static enum lp_code draw_tree_rows(const struct lp_trees *trees, uint32_t columns, uint32_t row_count, double *rows,
                                   struct lp_error *err)
{
    size_t nodes_bytes = ((size_t)trees->node_count + 1) * sizeof(uint32_t);
    uint32_t *begin = calloc((size_t)trees->column_count + 2, sizeof *begin), *nodes = malloc(nodes_bytes);
    uint64_t state = 88172645463325252u;
    if (begin == NULL || nodes == NULL) {
        free(begin);
        free(nodes);
        return lp_fail_memory(err, nodes_bytes);
    }
    sort_nodes(trees, begin, nodes);
    for (size_t i = 0; i < (size_t)row_count * columns; i++) {
        uint32_t c = (uint32_t)(i % columns);
        uint32_t first = c < trees->column_count ? begin[c + 1] : 0;
        uint32_t last = c + 1 < trees->column_count ? begin[c + 2] : first;
        rows[i] = last > first ? near_threshold(trees, nodes + first, last - first, &state) : draw_even(&state);
    }
    free(begin);
    free(nodes);
    return LP_OK;
}

/* Where a value that only moves columns of the row lies in it; false: it does not. */
static bool find_column(const struct lp_bundle *bundle, uint32_t value, uint32_t *ret_column)
{
    uint32_t column = 0;
    while (value > 0) {
        const struct lp_op *op = &bundle->ops[value - 1];
        bool picks = op->kind == LP_OP_GATHER && op->in.rank == 1 && op->indices->count == 1;
        if (op->kind == LP_OP_SLICE && op->in.rank == 1 && op->step == 1) column += op->start;
        else if (picks && op->indices->dtype == LP_DTYPE_I64) column += (uint32_t) * (const int64_t *)op->indices->data;
        else if (picks) column += (uint32_t) * (const int32_t *)op->indices->data;
        else if (op->kind != LP_OP_RESHAPE) return false;
        value = op->inputs[0];
    }
    *ret_column = column;
    return true;
}

/* Ids that an embedding reads straight from the row are some of its table's. */
static void draw_ids(const struct lp_bundle *bundle, uint32_t row_count, double *rows, uint64_t *state)
{
    for (uint32_t i = 0; i < bundle->op_count; i++) {
        const struct lp_op *op = &bundle->ops[i];
        uint32_t column;
        if (op->kind != LP_OP_EMBEDDING || !find_column(bundle, op->inputs[0], &column)) continue;
        for (uint32_t r = 0; r < row_count; r++)
            for (uint32_t k = 0; k < op->in_width; k++)
                rows[(size_t)r * bundle->column_count + column + k] = (double)(draw(state) % op->weight->dims[0]);
    }
}

enum lp_code lp_bench_rows(const struct lp_bundle *bundle, uint32_t row_count, double **ret_rows, struct lp_error *err)
{
    size_t bytes;
    uint64_t state = 88172645463325252u;
    if (!lp_checked_mul((size_t)row_count * sizeof(double), bundle->column_count, &bytes))
        return lp_fail(err, LP_E_LIMIT, LP_FATAL, "bench: %u columns are too many", bundle->column_count);
    double *rows = malloc(bytes > 0 ? bytes : 1);
    if (rows == NULL) return lp_fail_memory(err, bytes);
    const struct lp_trees *trees = trees_of(bundle);
    for (size_t i = 0; i < bytes / sizeof *rows; i++) rows[i] = draw_even(&state);
    draw_ids(bundle, row_count, rows, &state);
    enum lp_code rc = trees != NULL && bundle->op_count == 1
                          ? draw_tree_rows(trees, bundle->column_count, row_count, rows, err)
                          : LP_OK;
    if (rc == LP_OK) *ret_rows = rows;
    else free(rows);
    return rc;
}
